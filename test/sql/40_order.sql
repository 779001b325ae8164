-- Orders: from a document to an order that cannot contradict itself.

-- Numbers of this story, whatever ran before it.
\o /dev/null
SELECT setval('oms.order_id_seq', 40000);
\o
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (40, 'Cup shop', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (40, 1, 'MAIN', 'Main');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, tax_included) VALUES
	(40, 1, 'web', 'Web shop', 'EUR', true), (40, 2, 'us', 'US shop', 'USD', false);
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (40, 1, 1), (40, 2, 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES
	(40, 401, 'CUP', 'Cup', 'stocked'), (40, 402, 'SAUCER', 'Saucer', 'stocked'), (40, 403, 'SET', 'Cup and saucer', 'kit'),
	(40, 404, 'WRAP', 'Gift wrapping', 'service');
INSERT INTO oms.kit_component VALUES (40, 403, 401, 1), (40, 403, 402, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, channel_id, min_quantity, valid_from, amount) VALUES
	(40, 401, 'EUR', 0, 1, '-infinity', 7.50), (40, 401, 'EUR', 0, 10, '-infinity', 6.90), (40, 401, 'EUR', 1, 1, '2026-12-01', 6.00),
	(40, 402, 'EUR', 0, 1, '-infinity', 4.00), (40, 403, 'EUR', 0, 1, '-infinity', 10.99), (40, 404, 'EUR', 0, 1, '-infinity', 2.00),
	(40, 401, 'USD', 0, 1, '-infinity', 8.00);
INSERT INTO oms.tax_rule (merchant_id, tax_class, country, region, rate) VALUES
	(40, 'standard', '', '', 0.19), (40, 'standard', 'US', '', 0), (40, 'standard', 'US', 'NY', 0.08875), (40, 'shipping', '', '', 0.19);
INSERT INTO oms.customer (merchant_id, customer_id, name, email, ship_to) VALUES
	(40, 41, 'Ann Other', 'ann@example.com', '{"name": "Ann Other", "street": "1 High Street", "city": "Berlin", "postcode": "10115", "country": "DE"}');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES
	(40, 1, 401, 'opening', 40, 'opening'), (40, 1, 402, 'opening', 20, 'opening');

-- Prices are looked up, the discount is spread, tax is contained.
SELECT oms.place_order(40, '{"channel": "web", "external_ref": "W-1", "customer": 41, "shipping": "4.90", "discount": "1.00",
	"lines": [{"sku": "CUP", "quantity": 2}, {"sku": "SAUCER", "quantity": 1}, {"sku": "SET", "quantity": 1}, {"sku": "WRAP", "quantity": 1}]}', 'key 1') AS o \gset
SELECT subtotal, discount, shipping, tax, total, lifecycle, payment_state, fulfilment_state, ship_to ->> 'city' AS city FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :o;
SELECT line_no, sku, ordered, allocated, unit_price, discount, tax_rate, tax, total FROM oms.order_line WHERE merchant_id = 40 AND order_id = :o ORDER BY 1;
SELECT line_no, item_id, quantity FROM oms.reservation WHERE merchant_id = 40 AND order_id = :o ORDER BY 1, 2;

-- The same key or the same reference is the same order.
SELECT oms.place_order(40, '{"channel": "web", "external_ref": "W-1", "customer": 41, "shipping": "4.90", "discount": "1.00",
	"lines": [{"sku": "CUP", "quantity": 2}, {"sku": "SAUCER", "quantity": 1}, {"sku": "SET", "quantity": 1}, {"sku": "WRAP", "quantity": 1}]}', 'key 1') = :o AS the_same;
SELECT oms.place_order(40, '{"channel": "web", "external_ref": "W-2", "lines": [{"sku": "CUP", "quantity": 2}]}', 'key 1');
\set changed '{"channel": "web", "external_ref": "W-1", "customer": 41, "shipping": "4.90", "lines": [{"sku": "CUP", "quantity": 3}, {"sku": "SAUCER", "quantity": 1}, {"sku": "SET", "quantity": 1}, {"sku": "WRAP", "quantity": 1}]}'
SELECT oms.place_order(40, :'changed') = :o AS the_same;
SELECT * FROM oms.order_differences(40, :'changed');

-- A repetition answers even when a new order would be refused.
UPDATE oms.channel SET active = false WHERE merchant_id = 40 AND channel_id = 1;
SELECT oms.place_order(40, '{"channel": "web", "external_ref": "W-1", "customer": 41, "shipping": "4.90", "discount": "1.00",
	"lines": [{"sku": "CUP", "quantity": 2}, {"sku": "SAUCER", "quantity": 1}, {"sku": "SET", "quantity": 1}, {"sku": "WRAP", "quantity": 1}]}', 'key 1') = :o AS the_same;
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 1}]}');
UPDATE oms.channel SET active = true WHERE merchant_id = 40 AND channel_id = 1;

-- Quantity breaks and dated prices; tax added, by region.
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 10}]}') AS o10 \gset
SELECT unit_price, total FROM oms.order_line WHERE merchant_id = 40 AND order_id = :o10;
SELECT oms.place_order(40, '{"channel": "web", "placed_at": "2026-12-24T10:00:00Z", "lines": [{"sku": "CUP", "quantity": 1}]}') AS odec \gset
SELECT unit_price FROM oms.order_line WHERE merchant_id = 40 AND order_id = :odec;
SELECT oms.place_order(40, '{"channel": "us", "ship_to": {"name": "Bo", "city": "New York", "region": "NY", "country": "US"}, "lines": [{"sku": "CUP", "quantity": 3}]}') AS ous \gset
SELECT subtotal, tax, total, currency FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :ous;

-- The plain-array form.
SELECT oms.place_order(40, 1, 41, '{401, 402}', '{1, 1}') AS oarr \gset
SELECT total FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :oarr;
SELECT oms.place_order(40, 1, 41, '{401, 402}', '{1}');
SELECT oms.place_order(40, 1, 41, '{}', '{}');
SELECT oms.place_order(40, 1, 42, '{401}', '{1}');

-- What is placed is frozen: prices, titles and addresses may change, the order does not.
UPDATE oms.price SET amount = 99 WHERE merchant_id = 40 AND item_id = 401;
UPDATE oms.item SET title = 'Mug' WHERE merchant_id = 40 AND item_id = 401;
UPDATE oms.customer SET ship_to = NULL WHERE merchant_id = 40;
SELECT title, unit_price FROM oms.order_line WHERE merchant_id = 40 AND order_id = :o AND line_no = 1;

-- Shortage: nothing of the order stays.
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "SAUCER", "quantity": 10}, {"sku": "SET", "quantity": 9}]}');
SELECT oms.available(40, 402);
SELECT oms.place_order(40, '{"channel": "web", "allocation": "backorder", "lines": [{"sku": "SAUCER", "quantity": 20, "unit_price": 1}]}') AS oback \gset
SELECT ordered, allocated, backordered FROM oms.order_line WHERE merchant_id = 40 AND order_id = :oback;

-- An unknown SKU keeps the order, under a hold; the item maps it.
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 1, "unit_price": 1}, {"sku": "SPOON", "quantity": 2, "unit_price": "3.00"}]}') AS ohold \gset
SELECT lifecycle, on_hold FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :ohold;
SELECT kind, blocks FROM oms.order_hold WHERE merchant_id = 40 AND order_id = :ohold;
SELECT oms.transition(40, :ohold, 'confirmed') = 'x' AS refused;
BEGIN;
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (40, 405, 'SPOON', 'Spoon');
SELECT line_no, item_id, allocated, backordered FROM oms.order_line WHERE merchant_id = 40 AND order_id = :ohold ORDER BY 1;
SELECT lifecycle, on_hold FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :ohold;
COMMIT;

-- Malformed documents are refused with the path.
SELECT oms.place_order(40, '[]');
SELECT oms.place_order(40, '{"channel": "web"}');
SELECT oms.place_order(40, '{"channel": "fax", "lines": [{"sku": "CUP", "quantity": 1}]}');
SELECT oms.place_order(40, '{"lines": [{"sku": "CUP", "quantity": 1}]}');
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 1}, {"sku": "CUP", "quantity": "many"}]}');
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 1, "unit_prise": 3}]}');
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 1}], "ship_to": {"country": "Germany"}}');
SELECT oms.place_order(40, '{"channel": "web", "currency": "USD", "lines": [{"sku": "CUP", "quantity": 1}]}');
SELECT oms.place_order(40, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 1, "unit_price": 5, "discount": 6}]}');
SELECT oms.place_order(40, '{"channel": "us", "lines": [{"sku": "SAUCER", "quantity": 1}]}');

-- Holds block what they name; the state machine refuses the rest, also by hand.
SELECT oms.hold(40, :o, 'fraud', 'score 92', '{ship,capture}') IS NOT NULL AS held;
SELECT oms.cancel_line(40, :o, 1, 1, reason => 'one is enough');
SELECT oms.release_hold(40, :o, 'fraud'), oms.release_hold(40, :o, 'fraud') AS again;
UPDATE oms.sales_order SET lifecycle = 'placed' WHERE merchant_id = 40 AND order_id = :o;
UPDATE oms.sales_order SET lifecycle = 'cancelled' WHERE merchant_id = 40 AND order_id = :o;
UPDATE oms.sales_order SET total = 0 WHERE merchant_id = 40 AND order_id = :o;
UPDATE oms.sales_order SET ship_to = '{"name": "Ann Other", "city": "Potsdam", "country": "DE"}' WHERE merchant_id = 40 AND order_id = :o RETURNING ship_to ->> 'city', revision > 0;
UPDATE oms.order_line SET shipped = 1 WHERE merchant_id = 40 AND order_id = :o;
DELETE FROM oms.sales_order WHERE merchant_id = 40;
INSERT INTO oms.sales_order (merchant_id, channel_id, order_id, placed_at, tax_included, currency, subtotal, tax, total, origin, actor)
	VALUES (40, 1, 1, now(), true, 'EUR', 1, 0, 1, 'hand', 'me');

-- Cancelling gives back exactly its promise and its share.
SELECT cancelled_total, total FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :o;
SELECT oms.cancel_line(40, :o, 1, 5);
SELECT oms.cancel_line(40, :o, 1, 0);
SELECT oms.cancel_line(40, :o, 9);
SELECT oms.cancel_order(40, :o, reason => 'changed her mind') = :o AS cancelled;
SELECT oms.cancel_order(40, :o) = :o AS again;
SELECT lifecycle, cancelled_total = total AS all_of_it FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :o;
SELECT count(*) FROM oms.reservation WHERE merchant_id = 40 AND order_id = :o;
SELECT type, reason, data - 'hold' AS data FROM oms.event WHERE merchant_id = 40 AND order_id = :o ORDER BY event_id;

-- An order of charges alone has nothing left to do once it is confirmed.
SELECT oms.place_order(40, '{"channel": "web", "charges": [{"kind": "fee", "amount": "5.00", "description": "Engraving plate"}]}') AS ofee \gset
SELECT lifecycle, total FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :ofee;
SELECT oms.place_order(40, '{"channel": "web", "confirm": false, "charges": [{"kind": "adjustment", "amount": "-5.00"}]}') AS ofee \gset
UPDATE oms.sales_order SET lifecycle = 'confirmed' WHERE merchant_id = 40 AND order_id = :ofee;
SELECT lifecycle, total FROM oms.sales_order WHERE merchant_id = 40 AND order_id = :ofee;

-- Many orders in one statement: each accepted, known already, or refused with a reason.
UPDATE oms.price SET amount = 7.50 WHERE merchant_id = 40 AND item_id = 401;
INSERT INTO oms.staged_order (merchant_id, source, position, document) VALUES
	(40, 'feed', 1, '{"channel": "web", "external_ref": "F-1", "lines": [{"sku": "CUP", "quantity": 1}]}'),
	(40, 'feed', 2, '{"channel": "web", "external_ref": "F-1", "lines": [{"sku": "CUP", "quantity": 1}]}'),
	(40, 'feed', 3, '{"channel": "web", "external_ref": "W-1", "lines": [{"sku": "CUP", "quantity": 1}]}'),
	(40, 'feed', 4, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 1000}]}'),
	(40, 'feed', 5, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 0}]}'),
	(40, 'feed', 6, '{"channel": "web", "customer": 999, "lines": [{"sku": "CUP", "quantity": 1}]}'),
	(40, 'feed', 7, '{"channel": "web", "lines": [{"sku": "CUP", "quantity": 2}, {"sku": "WRAP", "quantity": 1}]}');
SELECT * FROM oms.place_orders(40, 'feed');
SELECT position, order_id IS NOT NULL AS placed, error_code, error_message, error_detail FROM oms.staged_order WHERE merchant_id = 40 ORDER BY 1;
SELECT * FROM oms.place_orders(40, 'feed');
UPDATE oms.staged_order SET error_code = NULL, document = jsonb_set(document, '{lines,0,quantity}', '1') WHERE merchant_id = 40 AND position = 5;
SELECT * FROM oms.place_orders(40, 'feed');

SELECT * FROM oms.verify(40);
