-- Blanket orders: agreed prices, call-offs that never sum above what was agreed, an end by the clock.
BEGIN;
SELECT plan(25);

INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 3.33);
SELECT oms.receive_stock(1, 1, 1, 90, 'opening'), oms.receive_stock(1, 2, 1, 100, 'opening') \g /dev/null
SET oms.test_clock = '2026-03-01 10:00:00+00';
\set doc '{"channel": 1, "customer": 1, "instructions": "ramp 2", "lines": [{"sku": "A", "quantity": 100, "discount": "10.01", "tax_rate": "0.19"}, {"sku": "B", "quantity": 10, "unit_price": "7"}]}'
SELECT oms.blanket_order(1, :'doc', '2026-06-01 00:00:00+00', request_key => 'key') AS b \gset
SELECT is(oms.blanket_order(1, :'doc', '2026-06-01 00:00:00+00', request_key => 'key'), :b::bigint, 'the same key is the same blanket order');
SELECT is((SELECT string_agg(line_no || ':' || rest || ' ' || unit_price || ' ' || state, ', ' ORDER BY line_no) FROM oms.blanket_rest WHERE blanket_id = :b), '1:100 3.33 open, 2:10 7.00 open', 'agreed');
SELECT is(oms.available(1, 1, 1), 90::bigint, 'no stock is taken');
UPDATE oms.price SET amount = 99;
UPDATE oms.channel SET tax_included = NOT tax_included;
SELECT oms.call_off(1, :b, '[{"line": 1, "quantity": 30}, {"line": 2, "quantity": 10}]', 'call 1') AS o \gset
SELECT is(oms.call_off(1, :b, '[{"line": 1, "quantity": 30}, {"line": 2, "quantity": 10}]', 'call 1'), :o::bigint, 'the same key is the same call-off');
SELECT is((SELECT string_agg(concat_ws(' ', sku, ordered, unit_price, discount, tax_rate), ', ' ORDER BY line_no) FROM oms.order_line WHERE order_id = :o), 'A 30 3.33 3.01 0.19, B 10 7.00 0.00 0', 'an order at the agreed prices, with its units'' share of the discount');
SELECT is((SELECT customer_id || ' ' || instructions FROM oms.sales_order WHERE order_id = :o), '1 ramp 2', 'of the same customer');
SELECT isnt((SELECT s.tax_included FROM oms.sales_order s WHERE order_id = :o), (SELECT tax_included FROM oms.channel WHERE channel_id = 1), 'with tax as it was agreed');
SELECT is(oms.available(1, 1, 1), 60::bigint, 'now stock is taken');
SELECT is((SELECT string_agg(rest || ' ' || state, ', ' ORDER BY line_no) FROM oms.blanket_rest WHERE blanket_id = :b), '70 open, 0 used up', 'the rest is a query');
SELECT throws_ok(format('SELECT oms.call_off(1, %s, ''[{"line": 2, "quantity": 1}]'')', :b), 'OM007', format('line 2 of blanket order %s has no 1 units left', :b), 'not above what was agreed');
SELECT throws_ok(format('SELECT oms.call_off(1, %s, ''[{"line": 1, "quantity": 71}]'')', :b), 'OM007', NULL, 'nor by one unit');
SELECT throws_ok(format('SELECT oms.call_off(1, %s, ''[{"line": 1, "quantity": 70}]'')', :b), 'OM001', NULL, 'nor above the stock');
SELECT is((SELECT called FROM oms.blanket_line WHERE blanket_id = :b AND line_no = 1), 30, 'what is refused counts for nothing');
SELECT oms.receive_stock(1, 1, 1, 100, 'opening') \g /dev/null
SELECT oms.call_off(1, :b, '[{"line": 1, "quantity": 37}]') AS o2, oms.call_off(1, :b, '[{"line": 1, "quantity": 33}]') AS o3 \gset
SELECT is((SELECT sum(l.discount) FROM oms.order_line l JOIN oms.blanket_call c ON c.merchant_id = l.merchant_id AND c.order_id = l.order_id WHERE l.sku = 'A' AND c.line_no = 1), 10.01, 'the discounts of all call-offs sum to the agreed one');
SELECT oms.cancel_order(1, :o3) \g /dev/null
SELECT is((SELECT rest FROM oms.blanket_rest WHERE blanket_id = :b AND line_no = 1), 0, 'a cancelled call-off stays called');
SELECT is((SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE subject_type = 'blanket' AND subject_id = :b), 'blanket.agreed blanket.called_off blanket.called_off blanket.called_off', 'events');

-- When
SELECT oms.blanket_order(1, '{"channel": 1, "lines": [{"sku": "B", "quantity": 5, "unit_price": "1"}]}', '2026-03-20 00:00:00+00', '2026-03-10 00:00:00+00') AS b \gset
SELECT throws_ok(format('SELECT oms.call_off(1, %s, ''[{"line": 1, "quantity": 1}]'')', :b), 'OM008', NULL, 'not before it begins');
SET oms.test_clock = '2026-03-20 00:00:00+00';
SELECT throws_ok(format('SELECT oms.call_off(1, %s, ''[{"line": 1, "quantity": 1}]'')', :b), 'OM008', format('blanket order %s cannot be called off now', :b), 'nor from the instant on that it ends');

-- What is refused
SELECT throws_ok('SELECT oms.blanket_order(1, ''{"channel": 1, "shipping": "3", "lines": [{"sku": "B", "quantity": 5}]}'', ''2027-01-01'')', 'OM003', NULL, 'a charge');
SELECT throws_ok('SELECT oms.blanket_order(1, ''{"channel": 1, "lines": [{"sku": "B", "quantity": 5, "unit_price": "1"}]}'', ''2020-01-01'')', 'OM011', NULL, 'an end that is past');
SELECT throws_ok('SELECT oms.call_off(1, 98765, ''[{"line": 1, "quantity": 1}]'')', 'OM002', NULL, 'no blanket order');
SELECT throws_ok('UPDATE oms.blanket_line SET called = 0', 'OM009', NULL, 'counting by hand');
SELECT throws_ok('DELETE FROM oms.blanket_call', 'OM009', NULL, 'taking back by hand');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SET session_replication_role = replica;
UPDATE oms.blanket_line SET called = called - 1 WHERE called = 100;
SELECT results_eq('SELECT rule FROM oms.verify(1)', $$ VALUES ('call_offs_sum') $$, 'what verify() sees');
SELECT * FROM finish();
ROLLBACK;
