-- Core: settings, exact shares, and what configuration does at once.

INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (5, 'Core', 'EUR');

-- A merchant starts with the core lifecycle.
SELECT from_state, to_state, action FROM oms.transition WHERE merchant_id = 5 ORDER BY 1, 2;

-- Settings: channel, else merchant, else default.
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (5, 1, 'web', 'Web', 'EUR'), (5, 2, 'b2b', 'Wholesale', 'EUR');
SELECT * FROM oms.effective_setting(5, 'allocation', 2);
SELECT oms.set_setting(5, 'allocation', 'backorder');
SELECT oms.set_setting(5, 'allocation', 'none', 2);
SELECT * FROM oms.effective_setting(5, 'allocation', 1);
SELECT * FROM oms.effective_setting(5, 'allocation', 2);
SELECT oms.set_setting(5, 'allocation', 'maybe');
SELECT oms.set_setting(5, 'no such setting', 'x');

-- Shares: the largest remainder gets the cent, ties go to the earlier.
SELECT oms.prorate(100.00, w, 'EUR' ORDER BY n) FROM (VALUES (1, 1), (2, 1), (3, 1)) v (n, w);
SELECT oms.prorate(-100.00, w, 'EUR' ORDER BY n) FROM (VALUES (1, 1), (2, 1), (3, 1)) v (n, w);
SELECT oms.prorate(1000, w, 'JPY' ORDER BY n) FROM (VALUES (1, 1), (2, 2), (3, 4)) v (n, w);
SELECT oms.prorate(1.000, w, 'KWD' ORDER BY n) FROM (VALUES (1, 1), (2, 1), (3, 1)) v (n, w);
SELECT oms.prorate(10, 0::numeric, 'EUR' ORDER BY n) FROM generate_series(1, 3) n;
SELECT oms.prorate(10.001, 1, 'EUR');
SELECT oms.prorate(10, -1, 'EUR');
SELECT oms.prorate(10, NULL::numeric, 'EUR');
SELECT oms.prorate(10, 1, 'EURO');

-- Units of a line have fixed values: any cut sums to the whole.
SELECT oms.units_share(10.00, 3, 0, 1, 'EUR') AS first, oms.units_share(10.00, 3, 1, 2, 'EUR') AS second,
	oms.units_share(10.00, 3, 2, 3, 'EUR') AS third, oms.units_share(10.00, 3, 0, 3, 'EUR') AS all_of_them;
SELECT oms.units_share(10.00, 3, 2, 4, 'EUR');

-- What others point at stays.
DELETE FROM oms.channel WHERE merchant_id = 5;
UPDATE oms.channel SET channel_id = 9 WHERE merchant_id = 5 AND channel_id = 1;
UPDATE oms.channel SET name = 'Shop' WHERE merchant_id = 5 AND channel_id = 1;

-- The clock is the transaction's start, unless a test moves it.
SELECT oms.clock() = now();
SET oms.test_clock = '2026-03-29 00:59:59+00';
SELECT oms.clock() AT TIME ZONE 'UTC';
RESET oms.test_clock;
