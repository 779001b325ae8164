-- Recurring orders: one order a period, in the channel's time zone, at today's price, with a reference to its source.
BEGIN;
SELECT plan(60);

-- When periods are due: month ends, and clocks that change
CREATE FUNCTION pg_temp.due(starts date, period text, every int, day int, at time, zone text, n int) RETURNS text LANGUAGE sql AS
	$$ SELECT oms.recurrence_due(starts, period, every, day, at, zone, n)::text $$;
SET timezone = 'UTC';
SELECT is((SELECT string_agg(to_char(oms.recurrence_due('2026-01-31', 'monthly', 1, 31, '00:00', 'UTC', n), 'MM-DD'), ' ' ORDER BY n) FROM generate_series(0, 4) n), '01-31 02-28 03-31 04-30 05-31', 'the 31st is the last day');
SELECT is((SELECT string_agg(to_char(oms.recurrence_due('2024-02-29', 'yearly', 1, 29, '00:00', 'UTC', n), 'YYYY-MM-DD'), ' ' ORDER BY n) FROM generate_series(0, 4) n), '2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29', 'leap years');
SELECT is((SELECT string_agg(to_char(oms.recurrence_due('2026-11-30', 'monthly', 3, 30, '00:00', 'UTC', n), 'YYYY-MM-DD'), ' ' ORDER BY n) FROM generate_series(0, 2) n), '2026-11-30 2027-02-28 2027-05-30', 'every third month');
SELECT is(pg_temp.due('2026-03-28', 'daily', 1, 28, '06:00', 'Europe/Berlin', n), d, 'daily at six, over the change in spring') FROM (VALUES (0, '2026-03-28 05:00:00+00'), (1, '2026-03-29 04:00:00+00'), (2, '2026-03-30 04:00:00+00')) v(n, d);
SELECT is(pg_temp.due('2026-10-18', 'weekly', 1, 18, '06:00', 'Europe/Berlin', n), d, 'weekly, over the change in autumn') FROM (VALUES (0, '2026-10-18 04:00:00+00'), (1, '2026-10-25 05:00:00+00')) v(n, d);
SELECT is(pg_temp.due('2026-03-28', 'daily', 1, 28, '02:30', 'Europe/Berlin', 1), '2026-03-29 01:30:00+00', 'a time that is not there is an hour later');
SELECT is(pg_temp.due('2026-10-24', 'daily', 1, 24, '02:30', 'Europe/Berlin', 1), '2026-10-25 01:30:00+00', 'of a time that comes twice the second');

INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, tax_class) VALUES (1, 1, 'A', 'Apple', 'stocked', 'standard'), (1, 2, 'S', 'Service', 'service', 'standard');
INSERT INTO oms.tax_rule (merchant_id, tax_class, country, region, rate) VALUES (1, 'standard', 'DE', '', 0.19);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 9), (1, 2, 'EUR', 5);
UPDATE oms.channel SET time_zone = 'Europe/Berlin' WHERE merchant_id = 1 AND channel_id = 1;
SELECT oms.set_setting(1, 'allocation', 'strict') \g /dev/null
SELECT oms.receive_stock(1, 1, 1, 4, 'opening') \g /dev/null
SET oms.test_clock = '2026-01-31 10:00+00';
SELECT oms.place_order(1, '{"channel": 1, "customer": 1, "external_ref": "R-1", "ship_to": {"country": "DE"}, "lines": [{"sku": "A", "quantity": 2}, {"sku": "S", "quantity": 1}]}') AS o \gset
SELECT oms.recur_order(1, :o, 'monthly', at_time => '06:00', ends_on => '2026-08-31', max_attempts => 2, request_key => 'key') AS r \gset
SELECT is(oms.recur_order(1, :o, 'monthly', at_time => '06:00', ends_on => '2026-08-31', max_attempts => 2, request_key => 'key'), :r::bigint, 'made once by key');
SELECT is((SELECT concat_ws(' ', state, next_period, next_due) FROM oms.recurrences WHERE recurrence_id = :r), 'active 1 2026-02-28 05:00:00+00', 'what is past when it is made gets no order');
SELECT is_empty('SELECT * FROM oms.run_recurring(1)', 'nothing due');

-- An order a period
UPDATE oms.price SET amount = amount + 1;
UPDATE oms.tax_rule SET rate = 0.25 WHERE tax_class = 'standard';
SET oms.test_clock = '2026-02-28 04:59:59+00';
SELECT is_empty('SELECT * FROM oms.run_recurring(1)', 'not a second early');
SET oms.test_clock = '2026-02-28 05:00+00';
SELECT order_id AS p, period_no, due_at FROM oms.run_recurring(1) \gset
SELECT is(:'due_at'::text, '2026-02-28 05:00:00+00', 'when it was due');
SELECT is((SELECT string_agg(concat_ws(' ', sku, ordered, unit_price, tax_rate), ', ' ORDER BY line_no) FROM oms.order_line WHERE order_id = :p), 'A 2 10.00 0.25, S 1 6.00 0.25', 'price and tax of the day');
SELECT is((SELECT concat_ws(' ', customer_id, origin, placed_at) FROM oms.sales_order WHERE order_id = :p), '1 recurrence 2026-02-28 05:00:00+00', 'of the same customer');
SELECT is((SELECT concat_ws(' ', direction, kind, other_id) FROM oms.order_relation WHERE order_id = :p), format('from recurrence %s', :o), 'it refers to its source');
SELECT is_empty('SELECT * FROM oms.run_recurring(1)', 'once a period');
SELECT is((SELECT next_due FROM oms.recurrences WHERE recurrence_id = :r)::text, '2026-03-31 04:00:00+00', 'the 31st again, in summer time');

-- Refusals are kept, tried again, given up; the others do not wait
SELECT oms.place_order(1, '{"channel": 1, "lines": [{"sku": "S", "quantity": 1}]}') AS s \gset
SELECT oms.recur_order(1, :s, 'monthly', starts_on => '2026-03-01', month_day => 31) AS other \gset
SET oms.test_clock = '2026-03-31 04:00+00';
SELECT results_eq('SELECT recurrence_id, period_no, order_id IS NULL, error_code FROM oms.run_recurring(1) ORDER BY 1', format($$ VALUES (%s::bigint, 2, true, 'OM001'), (%s, 0, false, NULL) $$, :r, :other), 'one is refused, the other is not');
SELECT is((SELECT concat_ws(' ', state, attempts, next_attempt_at, error_code) FROM oms.recurring_order WHERE recurrence_id = :r AND period_no = 2), 'waiting 1 2026-03-31 05:00:00+00 OM001', 'kept with its reason');
SELECT is((SELECT count(*) FROM oms.event WHERE type = 'recurrence.refused' AND subject_id = :r AND data ->> 'code' = 'OM001'), 1::bigint, 'and told');
SELECT is_empty('SELECT * FROM oms.run_recurring(1)', 'not again at once');
SELECT oms.receive_stock(1, 1, 1, 2, 'opening') \g /dev/null
SET oms.test_clock = '2026-03-31 05:00+00';
SELECT results_eq('SELECT period_no, order_id IS NULL FROM oms.run_recurring(1)', 'VALUES (2, false)', 'but when its time has come');
SELECT is((SELECT concat_ws(' ', state, attempts, coalesce(error_code, '-')) FROM oms.recurring_order WHERE recurrence_id = :r AND period_no = 2), 'placed 2 -', 'placed');
SET oms.test_clock = '2026-04-30 10:00+00';
SELECT is((SELECT string_agg(coalesce(error_code, 'placed'), ' ' ORDER BY recurrence_id) FROM oms.run_recurring(1)), 'OM001 placed', 'April');
SET oms.test_clock = '2026-04-30 11:00+00';
SELECT is((SELECT string_agg(error_code, ' ') FROM oms.run_recurring(1)), 'OM001', 'once more');
SET oms.test_clock = '2026-05-01 11:00+00';
SELECT is_empty('SELECT * FROM oms.run_recurring(1)', 'then no more');
SELECT is((SELECT state FROM oms.recurring_order WHERE recurrence_id = :r AND period_no = 3), 'given up', 'which is seen');

-- A period that was given up is placed by hand; the refusal is raised, and all stays, while it is still in the way
SELECT throws_ok(format('SELECT oms.retry_recurrence(1, %s, 3)', :r), 'OM001', NULL, 'still nothing there');
SELECT is((SELECT concat_ws(' ', state, attempts) FROM oms.recurring_order WHERE recurrence_id = :r AND period_no = 3), 'given up 2', 'it stays given up');
SELECT throws_ok(format('SELECT oms.retry_recurrence(1, %s, 2)', :r), 'OM008', NULL, 'not one that has its order');
SELECT throws_ok(format('SELECT oms.retry_recurrence(1, %s, 9)', :r), 'OM008', NULL, 'nor one that is not due');
SELECT throws_ok('SELECT oms.retry_recurrence(1, 987654, 1)', 'OM002', NULL, 'nor of none');
SELECT oms.receive_stock(1, 1, 1, 2, 'opening') \g /dev/null
SELECT oms.retry_recurrence(1, :r, 3, 'retry') AS late \gset
SELECT is(oms.retry_recurrence(1, :r, 3, 'retry'), :late::bigint, 'now it is placed, once by key');
SELECT is((SELECT concat_ws(' ', state, attempts, order_id) FROM oms.recurring_order WHERE recurrence_id = :r AND period_no = 3), format('placed 3 %s', :late), 'as the order of that period');
SELECT is((SELECT concat_ws(' ', direction, kind, other_id) FROM oms.order_relation WHERE order_id = :late), format('from recurrence %s', :o), 'that refers to its source');

-- Pause, missed runs, end
SELECT oms.set_recurrence(1, :r, paused => true) \g /dev/null
SELECT is((SELECT concat_ws(' ', state, coalesce(next_due::text, '-')) FROM oms.recurrences WHERE recurrence_id = :r), 'paused -', 'paused');
SELECT oms.receive_stock(1, 1, 1, 50, 'opening') \g /dev/null
SET oms.test_clock = '2026-07-01 00:00+00';
SELECT results_eq('SELECT recurrence_id, due_at FROM oms.run_recurring(1)', format($$ VALUES (%s::bigint, '2026-05-30 22:00:00+00'::timestamptz), (%s, '2026-06-29 22:00:00+00') $$, :other, :other), 'each missed period has its order, a paused one none');
SELECT oms.set_recurrence(1, :r, paused => false) \g /dev/null
SELECT is((SELECT concat_ws(' ', state, next_due) FROM oms.recurrences WHERE recurrence_id = :r), 'active 2026-07-31 04:00:00+00', 'it goes on with the next');
SELECT is((SELECT count(*) FROM oms.run_recurring(1, '2026-12-31', 3)), 3::bigint, 'ahead, so many');
SELECT is((SELECT count(*) FROM oms.run_recurring(1, '2026-12-31')), 5::bigint, 'and the rest');
SELECT is((SELECT string_agg(state, ' ' ORDER BY recurrence_id) FROM oms.recurrences), 'ended active', 'it ends on its last date');
SELECT is((SELECT max(due_at) FROM oms.recurring_order WHERE recurrence_id = :r)::text, '2026-08-31 04:00:00+00', 'which has an order');
SET oms.test_clock = '2027-01-15 00:00+00';
SELECT oms.set_recurrence(1, :r, ends_on => '2027-12-31') \g /dev/null
SELECT is((SELECT concat_ws(' ', state, next_due) FROM oms.recurrences WHERE recurrence_id = :r), 'active 2027-01-31 05:00:00+00', 'revived without what it missed');
SELECT oms.recur_order(1, :s, 'weekly', 2, '2026-01-01') \g /dev/null
SELECT bag_eq('SELECT next_period, next_due FROM oms.recurrences WHERE every = 2', $$ VALUES (28, '2027-01-27 23:00:00+00'::timestamptz) $$, 'counted from its start');

-- What is refused
SELECT throws_ok(format('SELECT oms.recur_order(1, %s, ''hourly'')', :s), 'OM011', 'there is no period "hourly"', 'no such period');
SELECT throws_ok(format('SELECT oms.recur_order(1, %s, ''daily'', 0)', :s), 'OM011', NULL, 'every none');
SELECT throws_ok(format('SELECT oms.recur_order(1, %s, ''monthly'', month_day => 32)', :s), 'OM011', NULL, 'no such day');
SELECT throws_ok(format('SELECT oms.recur_order(1, %s, ''daily'', starts_on => ''infinity'')', :s), 'OM011', NULL, 'never');
SELECT throws_ok(format('SELECT oms.recur_order(1, %s, ''daily'', starts_on => ''2027-02-01'', ends_on => ''2027-01-31'')', :s), 'OM011', NULL, 'an end before the start');
SELECT throws_ok('SELECT oms.recur_order(1, 987654, ''daily'')', 'OM002', NULL, 'no order');
SELECT throws_ok('SELECT oms.set_recurrence(1, 987654, true)', 'OM002', NULL, 'no recurrence');
SELECT throws_ok('SELECT oms.run_recurring(1, ''infinity'')', 'OM011', NULL, 'for ever');
SELECT throws_ok('SELECT oms.run_recurring(1, max_orders => 0)', 'OM011', NULL, 'none');
SELECT throws_ok('UPDATE oms.recurrence SET next_period = 0', 'OM009', NULL, 'counting by hand');
SELECT throws_ok('DELETE FROM oms.recurrence_order', 'OM009', NULL, 'taking back by hand');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SET session_replication_role = replica;
UPDATE oms.recurrence SET next_period = 1 WHERE recurrence_id = :other;
DELETE FROM oms.order_link WHERE kind = 'recurrence' AND target_id = :p;
SELECT bag_eq('SELECT DISTINCT rule FROM oms.verify(1)', $$ VALUES ('period_is_past'), ('recurring_order_links') $$, 'what verify() sees');
SELECT * FROM finish();
ROLLBACK;
