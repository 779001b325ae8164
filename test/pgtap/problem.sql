-- order_problem: each queue has the order in the transaction that makes the problem, and no more once it is ended.
BEGIN;
SELECT plan(20);

INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 2, "unit_price": "10"}]}'::jsonb || $1) $$;
CREATE FUNCTION pg_temp.problems(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(problem, ', ' ORDER BY problem, detail) FROM oms.order_problem WHERE merchant_id = 1 AND order_id = $1 $$;
SELECT pg_temp.place() AS o, pg_temp.place() AS p, pg_temp.place('{"allocation": "none"}') AS n, pg_temp.place('{"allocation": "backorder", "lines": [{"sku": "B", "quantity": 1, "unit_price": "1"}]}') AS b \gset
SELECT is(pg_temp.problems(:o), NULL, 'a sound order has none');
SELECT is(pg_temp.problems(:b), NULL, 'nor one that waits for stock');
SELECT is(pg_temp.problems(:n), 'unallocated', 'units without stock');
SELECT is((SELECT detail FROM oms.order_problem WHERE order_id = :n), 'line 1: 2 of A', 'the line is named');
SELECT oms.reserve(1, :n) \g /dev/null
SELECT is(pg_temp.problems(:n), NULL, 'until they have it');

-- Shipped and not paid
SELECT oms.ship_order(1, :o) \g /dev/null
SELECT is(pg_temp.problems(:o), 'unpaid_shipped', 'shipped without money');
SELECT is((SELECT detail FROM oms.order_problem WHERE order_id = :o), '20.00 shipped, 0 paid (EUR)', 'how much');
SELECT oms.authorize(1, :o, 'cash') AS pay \gset
SELECT oms.record_payment_event(1, :pay, 'captured', 19.99, 'c1') \g /dev/null
SELECT is(pg_temp.problems(:o), 'unpaid_shipped', 'a cent short');
SELECT oms.record_payment_event(1, :pay, 'captured', 0.01, 'c2') \g /dev/null
SELECT is(pg_temp.problems(:o), NULL, 'paid');
SELECT oms.record_payment_event(1, :pay, 'captured', 5, 'c3') \g /dev/null
SELECT matches(pg_temp.problems(:o), '^mismatch', 'paid too much');
INSERT INTO oms.payment_term VALUES (1, 'net1', 'The next day');
INSERT INTO oms.payment_term_part (merchant_id, code, part_no, event, share, days) VALUES (1, 'net1', 1, 'placed', 1, 1);
SELECT pg_temp.place() AS t \gset
SELECT oms.set_terms(1, :t, 'net1'), oms.ship_order(1, :t) \g /dev/null
SELECT is(pg_temp.problems(:t), NULL, 'shipped on terms, it has time');
SELECT set_config('oms.test_clock', (now() + interval '2 days')::text, true) \g /dev/null
SELECT is(pg_temp.problems(:t), 'unpaid_shipped', 'until its day has passed');
SELECT set_config('oms.test_clock', '', true) \g /dev/null

-- Late
SELECT oms.set_urgency(1, :p, 0, oms.clock() + interval '2 days') \g /dev/null
SELECT is(pg_temp.problems(:p), NULL, 'promised for a day to come');
SELECT set_config('oms.test_clock', (now() + interval '3 days')::text, true) \g /dev/null
SELECT ok(pg_temp.problems(:p) LIKE 'late_risk%', 'which passes, with no job run');
SELECT ok('stuck' <> ALL (string_to_array(pg_temp.problems(:b), ', ')) IS NOT FALSE, 'what waits for stock is not stuck');
SELECT oms.hold(1, :n) \g /dev/null
SELECT set_config('oms.test_clock', (now() + interval '4 days')::text, true) \g /dev/null
SELECT is(pg_temp.problems(:p), 'late_risk, stuck', 'nothing happens to it any more');
SELECT is(pg_temp.problems(:n), NULL, 'what is held is not stuck');
SELECT oms.set_setting(1, 'stuck_hours', '240') \g /dev/null
SELECT is(pg_temp.problems(:p), 'late_risk', 'the setting says how long');
SELECT oms.ship_order(1, :p) \g /dev/null
SELECT is(pg_temp.problems(:p), 'unpaid_shipped', 'shipped, it is late no more');
SELECT set_config('oms.test_clock', '', true) \g /dev/null
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
