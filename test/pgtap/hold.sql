-- Soft holds: who may have the units, until when, and how a hold becomes an order's promise.
BEGIN;
SELECT plan(67);

INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (2, 'Other', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (1, 3, 'FAR', 'Of no channel');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 7, 'Seven'), (1, 8, 'Eight');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'),
	(1, 3, 'K', 'Kit', 'kit'), (1, 4, 'S', 'Service', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause)
	SELECT 1, l, i, 'opening', 10, 'opening' FROM generate_series(1, 3) l, generate_series(1, 2) i;
SET LOCAL oms.test_clock = '2026-01-01 12:00+00';

CREATE FUNCTION pg_temp.place(quantity int, more text DEFAULT '', sku text DEFAULT 'A') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]' || more || '}')::jsonb) $$;
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item_id || '@' || location_id || '=' || q, ' ' ORDER BY item_id, location_id) FROM
	(SELECT item_id, location_id, sum(quantity) q FROM oms.reservation WHERE merchant_id = 1 AND order_id = o GROUP BY 1, 2) x $$;

-- A hold takes units away from everybody else
SELECT oms.hold_stock(1, 1, 1, 4, duration => '10 minutes') AS h \gset
SELECT is(oms.available(1, 1, 1), 6::bigint, 'held units are not available');
SELECT is((SELECT (available, held)::text FROM oms.stock_level WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1), '(6,4)', 'nor in the view');
SELECT is((SELECT (live, expires_at)::text FROM oms.stock_holds WHERE merchant_id = 1 AND hold_id = :h),
	('(t,"' || '2026-01-01 12:10+00'::timestamptz || '")'), 'ten minutes from now');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, duration => '178000000 years') $$, 'OM011', NULL, 'for longer than time lasts');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 7, duration => '1 minute') $$, 'OM001', NULL, 'more than is left is refused');
SELECT throws_ok($$ SELECT oms.adjust_stock(1, 1, 1, -7, 'lost') $$, 'OM001', NULL, 'an adjustment may not take held units');
SELECT throws_ok($$ INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 1, 1, 1, 7) $$, 'OM001', NULL, 'nor a promise typed by hand');
SELECT is(oms.release_stock(1, :h), 4::bigint, 'released');
SELECT is(oms.available(1, 1, 1), 10::bigint, 'and available');
SELECT throws_ok(format('SELECT oms.release_stock(1, %s)', :h), 'OM002', NULL, 'not twice');

-- Expiry needs no job
SELECT oms.hold_stock(1, 1, 1, 10, expires_at => '2026-01-01 12:10+00') AS h \gset
SELECT throws_ok(format($$ SELECT pg_temp.place(5, ',"location":"%s"') $$, (SELECT code FROM oms.location WHERE merchant_id = 1 AND location_id = 1)), 'OM001', NULL, 'all is held');
SET LOCAL oms.test_clock = '2026-01-01 12:10+00';
SELECT is(oms.available(1, 1, 1), 10::bigint, 'at its instant the hold is over');
SELECT is((SELECT live FROM oms.stock_holds WHERE merchant_id = 1 AND hold_id = :h), false, 'the view says so');
SELECT pg_temp.place(5) AS o \gset
SELECT is(pg_temp.promised(:o), '1@1=5', 'an order takes its units');
SELECT is((SELECT counted FROM oms.stock_hold WHERE merchant_id = 1 AND hold_id = :h), false, 'which no longer count for it');
SELECT is(oms.available(1, 1, 1), 5::bigint, 'five are left');

-- Extending
SELECT throws_ok(format($$ SELECT oms.extend_hold(1, %s, '10 minutes') $$, :h), 'OM001', NULL, 'a dead hold that the stock does not cover stays dead');
SELECT is(oms.cancel_order(1, :o), :o ::bigint, 'the order goes');
SELECT is(oms.extend_hold(1, :h, '10 minutes'), '2026-01-01 12:20+00'::timestamptz, 'now the stock covers it');
SELECT is((SELECT counted FROM oms.stock_hold WHERE merchant_id = 1 AND hold_id = :h), true, 'and it counts');
SELECT is(oms.available(1, 1, 1), 0::bigint, 'nothing is available');
SET LOCAL oms.test_clock = '2026-01-01 12:30+00';
SELECT is(oms.extend_hold(1, :h, expires_at => '2026-01-01 13:00+00'), '2026-01-01 13:00+00'::timestamptz, 'an expired one whose units nobody took lives on');
SELECT is(oms.extend_hold(1, :h, expires_at => '2026-01-01 12:40+00', request_key => 'x'), '2026-01-01 12:40+00'::timestamptz, 'the end may come nearer');
SELECT is(oms.extend_hold(1, :h, expires_at => '2026-01-01 12:40+00', request_key => 'x'), '2026-01-01 12:40+00'::timestamptz, 'the same request, the same answer');
SELECT throws_ok(format($$ SELECT oms.extend_hold(1, %s) $$, :h), 'OM011', NULL, 'an end must be given');
SELECT throws_ok($$ SELECT oms.extend_hold(1, 999999, '1 minute') $$, 'OM002', NULL, 'an unknown hold');
SELECT throws_ok(format($$ SELECT oms.extend_hold(2, %s, '1 minute') $$, :h), 'OM002', NULL, 'another merchant''s');

-- A hold becomes an order
SELECT pg_temp.place(6, format(',"holds":[%s]', :h)) AS o \gset
SELECT is(pg_temp.promised(:o), '1@1=6', 'its units are promised');
SELECT is((SELECT count(*) FROM oms.stock_hold WHERE merchant_id = 1 AND hold_id = :h), 0::bigint, 'the hold is gone');
SELECT is(oms.available(1, 1, 1), 4::bigint, 'what the order did not need is free');
SELECT oms.hold_stock(1, 1, 3, 3, duration => '10 minutes') AS h \gset
SELECT pg_temp.place(3, format(',"holds":[%s]', :h)) AS o \gset
SELECT is(pg_temp.promised(:o), '1@3=3', 'the units are those of the hold, where they are');
SELECT oms.hold_stock(1, 1, 2, 10, duration => '10 minutes') AS h \gset
SET LOCAL oms.test_clock = '2026-01-01 14:00+00';
SELECT pg_temp.place(10, format(',"holds":[%s]', :h)) AS o \gset
SELECT is(pg_temp.promised(:o), '1@2=10', 'an expired hold becomes an order where the stock covers it');
SELECT throws_ok(format($$ SELECT pg_temp.place(30, ',"holds":[%s,12345]') $$, :h), 'OM001', NULL, 'holds that are gone help nobody');
SELECT throws_ok($$ SELECT pg_temp.place(1, ',"holds":["x"]') $$, 'OM003', NULL, 'ids are numbers');
SELECT throws_ok($$ SELECT pg_temp.place(1, ',"holds":5') $$, 'OM003', NULL, 'in a list');
SELECT throws_ok($$ SELECT pg_temp.place(1, ',"holds":[1.5]') $$, 'OM003', NULL, 'and whole');
SELECT throws_ok($$ SELECT pg_temp.place(1, ',"allocation":"none","holds":[5]') $$, 'OM003', NULL, 'without allocation there is nothing to hold for');

-- Kept for a customer or a channel (manual and pending reserves)
SELECT oms.hold_stock(1, 2, 1, 10, purpose => 'manual', customer => 7) AS h \gset
SELECT is((SELECT expires_at FROM oms.stock_hold WHERE merchant_id = 1 AND hold_id = :h), NULL, 'until released');
SELECT throws_ok(format($$ SELECT pg_temp.place(1, ',"customer":8,"holds":[%s]', 'B') $$, :h), 'OM008', NULL, 'another customer may not use it');
SELECT throws_ok(format($$ SELECT pg_temp.place(1, ',"holds":[%s]', 'B') $$, :h), 'OM008', NULL, 'nor a guest');
SELECT is(pg_temp.promised(pg_temp.place(10, format(',"customer":7,"holds":[%s]', :h), 'B')), '2@1=10', 'he may');
SELECT oms.hold_stock(1, 2, 2, 1, purpose => 'pending order', channel => 1) AS h \gset
SELECT is(pg_temp.promised(pg_temp.place(1, format(',"holds":[%s]', :h), 'B')), '2@2=1', 'an order of the channel may');

-- Transaction and session holds have no row
SELECT oms.hold_stock(1, 2, 3, 6, scope => 'session') AS h \gset
SELECT ok(:h < 0, 'its id is negative');
SELECT is((SELECT count(*) FROM oms.stock_hold WHERE item_id = 2 AND location_id = 3), 0::bigint, 'no row');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 2, 3, 5, scope => 'transaction') $$, 'OM001', NULL, 'but it holds');
SAVEPOINT a;
SELECT is(oms.release_stock(1, :h), 6::bigint, 'released in a savepoint');
SELECT oms.hold_stock(1, 2, 3, 10, scope => 'transaction') < 0 AS held \gset
ROLLBACK TO a;
SELECT throws_ok($$ SELECT oms.hold_stock(1, 2, 3, 5, scope => 'transaction') $$, 'OM001', NULL, 'rolled back, it holds again');
SELECT is(pg_temp.promised(pg_temp.place(6, format(',"holds":[%s]', :h), 'B')), '2@3=6', 'it becomes a promise too');
SELECT throws_ok(format('SELECT oms.release_stock(1, %s)', :h), 'OM002', NULL, 'and is gone');

-- Bad input
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 0) $$, 'OM011', NULL, 'no units');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, -1) $$, 'OM011', NULL, 'fewer than none');
SELECT throws_ok($$ SELECT oms.hold_stock(1, NULL, 1, 1) $$, 'OM011', NULL, 'no item');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 99, 1, 1) $$, 'OM002', NULL, 'an unknown item');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 99, 1) $$, 'OM002', NULL, 'an unknown location');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 3, 1, 1) $$, 'OM011', NULL, 'a kit');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, '1 minute', '2027-01-01') $$, 'OM011', NULL, 'two ends');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, expires_at => '2025-01-01') $$, 'OM011', NULL, 'an end in the past');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, scope => 'for ever') $$, 'OM011', NULL, 'an unknown scope');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, '1 minute', scope => 'session') $$, 'OM011', NULL, 'a session hold with an end');

-- Typed by hand
SELECT throws_ok($$ INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity) VALUES (1, 1, 1, 1000) $$, 'OM001', NULL, 'the gate holds');
SELECT throws_ok($$ INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity) VALUES (1, 1, 1, 0) $$, 'OM011', NULL, 'no empty hold');
SELECT throws_ok($$ INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity, counted) VALUES (1, 1, 1, 1, false) $$, 'OM009', NULL, 'no hold that does not count');
INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity, expires_at) VALUES (1, 1, 1, 4, '2026-01-01 13:00+00');
SELECT is(oms.available(1, 1, 1), 4::bigint, 'typed with an end in the past: free');
SELECT is(oms.purge_holds('2026-01-01 13:30+00') >= 1, true, 'purged');
SELECT is(pg_temp.promised(pg_temp.place(4)), '1@1=4', 'and the gate agrees');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
ALTER TABLE oms.stock_hold DISABLE TRIGGER USER;
INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity, counted) VALUES (1, 1, 1, 1, false), (1, 1, 1, 100, true);
SELECT is((SELECT string_agg(rule, ' ' ORDER BY rule) FROM oms.verify(1) WHERE rule <> 'trigger_state'), 'hold_counted no_oversell', 'verify() finds what was seeded');
SELECT * FROM finish();
ROLLBACK;
