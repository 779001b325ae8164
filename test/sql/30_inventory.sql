-- Inventory: the ledger changes levels, the gate decides promises.

-- Numbers of this story, whatever ran before it.
\o /dev/null
SELECT setval('oms.order_id_seq', 30000);
\o
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (30, 'Warehouse', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (30, 1, 'NORTH', 'North'), (30, 2, 'SOUTH', 'South');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (30, 1, 'web', 'Web', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (30, 1, 1, 1), (30, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (30, 301, 'BOLT', 'Bolt'), (30, 302, 'NUT', 'Nut');

-- Opening stock comes by COPY into the ledger, with its cause.
COPY oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) FROM stdin;
30	1	301	opening	10	count of 1 January
30	2	301	opening	5	count of 1 January
30	1	302	opening	10	count of 1 January
\.
SELECT item_id, location_id, on_hand FROM oms.stock WHERE merchant_id = 30 ORDER BY 1, 2;
SELECT oms.available(30, 301, 1) AS north, oms.available(30, 301) AS in_all;

-- Levels are the sum of movements: nobody types them.
UPDATE oms.stock SET on_hand = 100 WHERE merchant_id = 30;
INSERT INTO oms.stock (merchant_id, location_id, item_id, on_hand) VALUES (30, 2, 302, 5);
DELETE FROM oms.stock WHERE merchant_id = 30;
TRUNCATE oms.stock;
UPDATE oms.stock_movement SET quantity = 100 WHERE merchant_id = 30;
DELETE FROM oms.stock_movement WHERE merchant_id = 30;
TRUNCATE oms.stock_movement;
-- Only safety stock is a wish, not a fact.
UPDATE oms.stock SET safety = 2 WHERE merchant_id = 30 AND item_id = 301 AND location_id = 1;
SELECT oms.available(30, 301, 1);

-- Movements by function: a cause is owed, the request key makes them happen once.
SELECT oms.receive_stock(30, 301, 1, 5, 'purchase 17', 'receipt 17') AS m \gset
SELECT oms.receive_stock(30, 301, 1, 5, 'purchase 17', 'receipt 17') = :m AS the_same;
SELECT oms.receive_stock(30, 301, 1, 6, 'purchase 17', 'receipt 17');
SELECT oms.receive_stock(30, 301, 1, 0, 'nothing');
SELECT oms.receive_stock(30, 301, 1, -5, 'less than nothing');
SELECT oms.receive_stock(30, 301, 1, 5, '');
SELECT oms.receive_stock(30, 301, 9, 5, 'no such place');
SELECT oms.receive_stock(30, 999, 1, 5, 'no such item');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (30, 303, 'PAIR', 'Bolt and nut', 'kit'), (30, 304, 'ADVICE', 'Advice', 'service');
SELECT oms.receive_stock(30, 303, 1, 5, 'a kit');
SELECT oms.receive_stock(30, 304, 1, 5, 'a service');
SELECT oms.available(30, 301, 1);

-- An order promises; on hand stays.
SELECT oms.place_order(30, '{"lines": [{"sku": "BOLT", "quantity": 12, "unit_price": 1}]}') AS o \gset
SELECT item_id, location_id, quantity FROM oms.reservation WHERE merchant_id = 30;
SELECT on_hand FROM oms.stock WHERE merchant_id = 30 AND item_id = 301 AND location_id = 1;
SELECT oms.available(30, 301, 1) AS north, oms.available(30, 301, 2) AS south;

-- What one location has not, two have together.
SELECT oms.place_order(30, '{"lines": [{"sku": "BOLT", "quantity": 6, "unit_price": 1}]}') AS o2 \gset
SELECT location_id, quantity FROM oms.reservation WHERE merchant_id = 30 AND order_id = :o2 ORDER BY 1;
SELECT oms.place_order(30, '{"lines": [{"sku": "BOLT", "quantity": 1, "unit_price": 1}]}');

-- Promised units cannot be adjusted away, unless it is a fact that they are gone.
SELECT oms.adjust_stock(30, 301, 1, -1, 'counted less');
SELECT oms.adjust_stock(30, 301, 1, -14, 'fire', forced => true) IS NOT NULL AS done;
SELECT oms.available(30, 301, 1);
SELECT oms.adjust_stock(30, 301, 1, 14, 'found again') IS NOT NULL AS done;

-- A promise typed by hand meets the same gate, and the line's counter follows.
INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (30, 1, 301, :o, 1, 1);
DELETE FROM oms.reservation WHERE merchant_id = 30 AND order_id = :o2 AND location_id = 1;
SELECT ordered, allocated FROM oms.order_line WHERE merchant_id = 30 AND order_id = :o2;
INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (30, 1, 301, :o2, 1, 1) RETURNING quantity;
SELECT ordered, allocated FROM oms.order_line WHERE merchant_id = 30 AND order_id = :o2;
INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (30, 1, 301, :o2, 1, 0);
INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (30, 1, 302, 1, 1, 1);
TRUNCATE oms.reservation;

-- Damaged units stay on hand and are not offered.
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, cause) VALUES (30, 1, 302, 'state', 0, 3, 'fell off the shelf');
SELECT on_hand, damaged, oms.available(30, 302, 1) FROM oms.stock WHERE merchant_id = 30 AND item_id = 302;

-- Everything agrees: the gate with the rows, the rows with each other.
SELECT count(*) AS counters, count(*) FILTER (WHERE counter <> recomputed) AS wrong, sum(pins) AS pins FROM oms.stock_gate WHERE merchant_id = 30;
SELECT * FROM oms.verify(30) WHERE rule <> 'no_oversell';
