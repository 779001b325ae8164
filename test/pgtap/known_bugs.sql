-- Bugs of stock that are known of five systems, each as it would show here. (Those that need two sessions at once are
-- also in test/isolation/gate_pairs.spec and test/t/022_gate_random.pl.)
BEGIN;
SELECT plan(37);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'SOUTH', 'South');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'B' || n, 'Item ' || n FROM generate_series(1, 9) n;
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 10, 'KIT', 'Kit', 'kit'), (1, 11, 'PAIR', 'Other kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 10, 1, 2), (1, 10, 2, 1), (1, 11, 1, 1), (1, 11, 9, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, item_id, 'EUR', 1 FROM oms.item;
SELECT oms.receive_stock(1, n, 1, 10, 'opening') FROM generate_series(1, 8) n \g /dev/null
CREATE FUNCTION pg_temp.place(lines text, allocation text DEFAULT 'strict') RETURNS bigint LANGUAGE sql AS
	$$ SELECT oms.place_order(1, jsonb_build_object('allocation', allocation, 'lines', (SELECT jsonb_agg(jsonb_build_object('sku', split_part(x, ':', 1), 'quantity', split_part(x, ':', 2)::int)) FROM unnest(string_to_array(lines, ' ')) x))) $$;
CREATE FUNCTION pg_temp.stock(item bigint) RETURNS text LANGUAGE sql AS
	$$ SELECT format('%s %s %s', sum(s.on_hand), coalesce((SELECT sum(quantity) FROM oms.reservation r WHERE r.item_id = item), 0), oms.available(1, item)) FROM oms.stock s WHERE s.item_id = item $$;
CREATE FUNCTION pg_temp.sound(what text) RETURNS text LANGUAGE sql AS $$ SELECT is_empty('SELECT * FROM oms.verify(1)', what) $$;

-- Oversell.
SELECT pg_temp.place('B3:10') AS all_of_3 \gset
SELECT is(pg_temp.stock(3), '10 10 0', 'spree typed movements: an order does not lower what is on hand');
SELECT throws_ok($$ SELECT pg_temp.place('B3:1') $$, 'OM001', NULL, 'saleor#543, vendure#3508, spree#3808, openfoodnetwork#4018: the last unit is sold once');
SELECT throws_ok(format($$ INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 3, %s, 1, 1) $$, :all_of_3), 'OM001', NULL, 'SimplCommerce#1111, shopper#581: nor by whoever does not come through the shop');
SELECT throws_ok($$ SELECT pg_temp.place('B4:6 B4:6') $$, 'OM001', NULL, 'medusa#16502: lines of one item are added up first');
SELECT is(pg_temp.stock(4), '10 0 10', 'medusa#16569: what was refused has taken nothing');
SELECT throws_ok($$ SELECT oms.place_order(1, '{"lines": [{"sku": "B4", "quantity": -3}]}') $$, 'OM003', NULL, 'magento/inventory pull 3036: a negative quantity gives no stock');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 4, 1, 11) $$, 'OM001', NULL, 'vendure#4930: a checkout does not hold more than there is');

-- Leaks and drift.
SELECT pg_temp.place('B5:4') AS o \gset
SELECT lives_ok(format('SELECT oms.cancel_line(1, %s, 1, 1)', :o), 'part of a line is cancelled');
SELECT is(pg_temp.stock(5), '10 3 7', 'magento/inventory#2046, #2130: exactly that part is released');
SELECT throws_ok(format('SELECT oms.cancel_line(1, %s, 1, 4)', :o), 'OM007', NULL, 'medusa#12401, #11131: more than promised is not released, and no clamp hides it');
SELECT lives_ok(format('SELECT oms.cancel_order(1, %s)', :o), 'the rest');
SELECT lives_ok(format('SELECT oms.cancel_order(1, %s)', :o), 'and once more');
SELECT is(pg_temp.stock(5), '10 0 10', 'magento/inventory#1849, #1887: cancelling twice releases once');
SELECT pg_temp.place('B5:4') AS o \gset
SELECT throws_ok(format('UPDATE oms.order_line SET unit_price = 2 WHERE order_id = %s', :o), 'OM009', NULL, 'medusa#16406: a price is not changed behind the counters');
SELECT is(pg_temp.stock(5), '10 4 6', 'medusa#16406: and promises are as before');
SELECT oms.ship_order(1, :o) \g /dev/null
SELECT is(pg_temp.stock(5), '6 0 6', 'medusa#11266, erpnext#52851: shipping ends the promise and lowers the shelf, once');
SELECT throws_ok(format('SELECT oms.cancel_order(1, %s)', :o), 'OM008', NULL, 'magento/inventory#3153: what is shipped is not released again');
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 2}]', 'too small') AS r \gset
SELECT oms.decide_return(1, :r, 'approve'), oms.receive_return(1, :r), oms.inspect_return(1, :r) \g /dev/null
SELECT is(pg_temp.stock(5), '8 0 8', 'what came back is there once');
SELECT pg_temp.sound('odoo#62139: nothing has to be repaired');

-- A fulfilment that is cancelled gives its units back to the order.
SELECT pg_temp.place('B6:10') AS o \gset
SELECT oms.plan_fulfilment(1, :o) IS NOT NULL AS planned \gset
SELECT oms.cancel_fulfilment(1, fulfilment_id) FROM oms.fulfilment WHERE order_id = :o \g /dev/null
SELECT is(pg_temp.stock(6), '10 10 0', 'medusa#11703: the order keeps its promise when a fulfilment is cancelled');
SELECT lives_ok(format('SELECT oms.ship_order(1, %s)', :o), 'medusa#6500, erpnext#46540, #57159: an order that has all of the stock promised can be shipped');
SELECT is(pg_temp.stock(6), '0 0 0', 'and takes it');

-- Several locations.
SELECT oms.receive_stock(1, 7, 2, 10, 'opening') \g /dev/null
SELECT pg_temp.place('B7:15') AS o \gset
SELECT results_eq('SELECT location_id, sum(quantity) FROM oms.reservation WHERE item_id = 7 GROUP BY 1 ORDER BY 1', 'VALUES (1, 10::numeric), (2, 5::numeric)', 'a line of two locations promises its share at each');
SELECT oms.ship_order(1, :o) \g /dev/null
SELECT results_eq($$ SELECT location_id, sum(quantity) FROM oms.stock_movement WHERE item_id = 7 AND kind = 'shipment' GROUP BY 1 ORDER BY 1 $$, 'VALUES (1, -10::numeric), (2, -5::numeric)', 'vendure stock-movement.service: the ledger has each location''s share, not the whole line twice');
SELECT pg_temp.sound('saleor management.py: and both agree with the levels');
SELECT pg_temp.place('B8:14', 'backorder') AS o \gset
SELECT oms.ship_order(1, :o) \g /dev/null
SELECT is(pg_temp.stock(8), '0 0 0', 'medusa create-fulfillment: a line shipped in part lowers stock by that part');
SELECT pg_temp.sound('and all agrees');

-- Kits.
SELECT is(oms.available(1, 11), 0::bigint, 'erpnext#49021, OCA/stock-logistics-warehouse#1332: a part without any stock counts');
SELECT throws_ok($$ SELECT pg_temp.place('PAIR:1') $$, 'OM001', NULL, 'and the kit is not sold');
SELECT throws_ok($$ SELECT pg_temp.place('KIT:4 B1:3') $$, 'OM001', NULL, 'a kit and a line that share a part share its stock');
SELECT pg_temp.place('KIT:4 B1:2') AS o \gset
SELECT is(pg_temp.stock(1) || ', ' || pg_temp.stock(2), '10 10 0, 10 4 6', 'parts are promised in their own units');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT is(pg_temp.stock(1) || ', ' || pg_temp.stock(2), '10 0 10, 10 0 10', 'and released so');

-- Items that change or go.
SELECT pg_temp.place('B2:3') AS o \gset
UPDATE oms.item SET sku = 'NEW2' WHERE item_id = 2;
SELECT lives_ok(format('SELECT oms.cancel_order(1, %s)', :o), 'magento/inventory#2773: renamed, the item keeps its promises');
SELECT is(pg_temp.stock(2), '10 0 10', 'magento/inventory#2773: and they are released');
SELECT throws_ok('DELETE FROM oms.item WHERE item_id = 3', NULL, NULL, 'magento/inventory#3373: an item with promises is not deleted');

-- Counting is not blocked by promises, and does not pass over them.
SELECT lives_ok($$ SELECT oms.adjust_stock(1, 3, 1, 1, 'counted') $$, 'erpnext#49382: a promised item can be counted');
SELECT throws_ok($$ SELECT oms.adjust_stock(1, 3, 1, -2, 'counted') $$, 'OM001', NULL, 'erpnext#49382: below what is promised only by decision');
SELECT * FROM finish();
ROLLBACK;
