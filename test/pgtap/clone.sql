-- An order placed once more: today's price and tax, and a reference to its source.
BEGIN;
SELECT plan(11);

INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, tax_class) VALUES (1, 1, 'A', 'Apple', 'stocked', 'standard'), (1, 2, 'S', 'Service', 'service', 'standard');
INSERT INTO oms.tax_rule (merchant_id, tax_class, country, region, rate) VALUES (1, 'standard', 'DE', '', 0.19);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 9), (1, 2, 'EUR', 5);
SELECT oms.receive_stock(1, 1, 1, 5, 'opening') \g /dev/null
SELECT oms.place_order(1, '{"channel": 1, "customer": 1, "external_ref": "C-1", "discount": "1", "shipping": "4.90", "instructions": "ring", "ship_to": {"country": "DE"}, "lines": [{"sku": "A", "quantity": 2, "instructions": "red"}, {"sku": "S", "quantity": 1}]}') AS o \gset
SELECT oms.cancel_line(1, :o, 1, 1) \g /dev/null
UPDATE oms.price SET amount = amount + 1;
UPDATE oms.tax_rule SET rate = 0.25 WHERE tax_class = 'standard';
SELECT oms.clone_order(1, :o, 'key') AS c \gset
SELECT is((SELECT string_agg(concat_ws(' ', sku, ordered, unit_price, discount, tax_rate, instructions), ', ' ORDER BY line_no) FROM oms.order_line WHERE order_id = :c), 'A 2 10.00 0.00 0.25 red, S 1 6.00 0.00 0.25', 'price and tax of today');
SELECT is((SELECT concat_ws(' ', customer_id, ship_to ->> 'country', instructions, origin, coalesce(external_ref, '-')) FROM oms.sales_order WHERE order_id = :c), '1 DE ring clone -', 'of the same customer');
SELECT is((SELECT count(*) FROM oms.order_charge WHERE order_id = :c), 0::bigint, 'without charges');
SELECT is((SELECT concat_ws(' ', direction, kind, other_id, other_external_ref) FROM oms.order_relation WHERE order_id = :c), format('from clone %s C-1', :o), 'it refers to its source');
SELECT is(oms.clone_order(1, :o, 'key'), :c::bigint, 'once by key');
SELECT isnt(oms.clone_order(1, :c), :c::bigint, 'a clone is cloned');
SELECT throws_ok(format('SELECT oms.clone_order(1, %s)', :o), 'OM001', NULL, 'stock is asked for');
SELECT oms.place_order(1, '{"channel": 1, "lines": [{"sku": "WHAT", "quantity": 1, "unit_price": "1"}]}') AS u \gset
SELECT throws_ok(format('SELECT oms.clone_order(1, %s)', :u), 'OM008', format('order %s cannot be cloned', :u), 'an unmapped line');
SELECT throws_ok('SELECT oms.clone_order(1, 987654)', 'OM002', NULL, 'no order');
UPDATE oms.item SET active = false WHERE item_id = 2;
SELECT throws_ok(format('SELECT oms.clone_order(1, %s)', :o), 'OM008', NULL, 'an item that is not sold any more');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
