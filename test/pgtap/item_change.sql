-- Items and locations that change while promises live: none is orphaned.
BEGIN;
SELECT plan(54);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'),
	(1, 4, 'S', 'Wrapping', 'service'), (1, 5, 'N', 'New', 'stocked'), (1, 6, 'C', 'Cup', 'stocked'), (1, 7, 'KK', 'Kit of kits', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1), (1, 7, 3, 1), (1, 7, 6, 1);
SELECT oms.receive_stock(1, 1, 1, 10, 'opening'), oms.receive_stock(1, 2, 1, 10, 'opening'), oms.receive_stock(1, 1, 2, 5, 'opening') \gset

CREATE FUNCTION pg_temp.place(quantity int, sku text DEFAULT 'A', allocation text DEFAULT 'strict') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"allocation":"' || allocation || '","lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.line(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', allocated, backordered, shipped) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.detail(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE d text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN SQLSTATE 'OM008' THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
	RETURN d;
END $$;

-- Retired: what is promised is shipped, cancelled and taken back as before
SELECT pg_temp.place(3) AS o1 \gset
SELECT pg_temp.place(2) AS o2 \gset
UPDATE oms.item SET active = false WHERE item_id = 1;
SELECT throws_ok('SELECT pg_temp.place(1)', 'OM008', NULL, 'a retired item is not ordered');
SELECT ok(oms.ship_order(1, :o1) > 0, 'its promises are shipped');
SELECT is(oms.cancel_order(1, :o2), :o2 ::bigint, 'or cancelled');
SELECT is((SELECT count(*) FROM oms.reservation WHERE merchant_id = 1 AND item_id = 1), 0::bigint, 'none is left over');
SELECT oms.request_return(1, :o1, '[{"line": 1, "quantity": 1}]') AS r \gset
SELECT oms.decide_return(1, :r, 'approve'), oms.receive_return(1, :r), oms.inspect_return(1, :r) \gset
SELECT is((SELECT on_hand FROM oms.stock WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1), 8::bigint, 'what comes back is on the shelf');
UPDATE oms.item SET active = true WHERE item_id = 1;

-- Retired while lines wait: they are filled, for they were accepted
SELECT pg_temp.place(15, 'A', 'backorder') AS o \gset
SELECT is(pg_temp.line(:o), '13 2 0', 'two wait');
UPDATE oms.item SET active = false WHERE item_id = 1;
SELECT ok(oms.receive_stock(1, 1, 1, 2, 'last delivery') > 0, 'the last delivery');
SELECT is(pg_temp.line(:o), '15 0 0', 'goes to who waits');
SELECT is(oms.cancel_order(1, :o), :o ::bigint, 'cancelled');
UPDATE oms.item SET active = true WHERE item_id = 1;

-- Renamed: promises know the item by its id
SELECT pg_temp.place(3) AS o \gset
UPDATE oms.item SET sku = 'APPLE' WHERE item_id = 1;
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 8, 'A', 'Another apple');
SELECT is((SELECT item_id || ' ' || sku FROM oms.order_line WHERE merchant_id = 1 AND order_id = :o), '1 A', 'the line is as it was placed');
SELECT throws_ok('SELECT pg_temp.place(1)', 'OM001', NULL, 'the old SKU is another item now');
SELECT ok(pg_temp.place(1, 'APPLE') > 0, 'the item has its new one');
SELECT ok(oms.ship_order(1, :o) > 0, 'the promise is shipped');
SELECT is((SELECT sum(quantity) FROM oms.stock_movement WHERE merchant_id = 1 AND source_kind = 'shipment' AND item_id = 1), -6::numeric, 'off the right shelf');
SELECT is(oms.available(1, 8), 0::bigint, 'not off the other');
UPDATE oms.item SET sku = 'OTHER' WHERE item_id = 8;
UPDATE oms.item SET sku = 'A' WHERE item_id = 1;

-- Deleted or given another id: never
SELECT throws_ok('DELETE FROM oms.item WHERE item_id = 5', 'OM014', NULL, 'items stay');
SELECT throws_ok('UPDATE oms.item SET item_id = 55 WHERE item_id = 5', 'OM014', NULL, 'and keep their id');

-- Another kind: only while nothing lives by the old one
SELECT is(pg_temp.detail('UPDATE oms.item SET kind = ''service'' WHERE item_id = 1'),
	'It is stocked and has 1 units of open order lines, 1 units promised, 12 units on shelves or kept back, 1 kits that it is a part of.', 'refused, with all that lives');
SELECT throws_ok('UPDATE oms.item SET kind = ''kit'' WHERE item_id = 1', 'OM008', 'item "A" cannot become a kit item now', 'into a kit as well');
SELECT throws_ok('UPDATE oms.item SET kind = ''stocked'' WHERE item_id = 3', 'OM008', NULL, 'a kit with parts stays one');
SELECT pg_temp.place(2, 'S') AS s \gset
SELECT is(pg_temp.detail('UPDATE oms.item SET kind = ''stocked'' WHERE item_id = 4'), 'It is service and has 2 units of open order lines.', 'a service that is to be done stays one');
SELECT is(oms.cancel_order(1, :s), :s ::bigint, 'once it is not');
SELECT lives_ok('UPDATE oms.item SET kind = ''stocked'' WHERE item_id = 4', 'it is stocked');
SELECT ok(oms.receive_stock(1, 4, 1, 3, 'paper') > 0, 'and received');
SELECT oms.hold_stock(1, 4, 1, 1) AS hold \gset
SELECT is(pg_temp.detail('UPDATE oms.item SET kind = ''service'' WHERE item_id = 4'), 'It is stocked and has 1 units held, 3 units on shelves or kept back.', 'holds count');
SELECT is(oms.release_stock(1, :hold), 1::bigint, 'released');
SELECT ok(oms.transfer_stock(1, 1, 2, '[{"item": 4, "quantity": 3}]') > 0, 'sent away');
SELECT is(pg_temp.detail('UPDATE oms.item SET kind = ''service'' WHERE item_id = 4'), 'It is stocked and has 3 units on their way.', 'what is on its way counts');
SELECT is((SELECT oms.receive_transfer(1, max(transfer_id)) FROM oms.stock_transfer), 0::bigint, 'arrived');
SELECT ok(oms.adjust_stock(1, 4, 2, -3, 'used up') > 0, 'used up');
SELECT lives_ok('UPDATE oms.item SET kind = ''service'' WHERE item_id = 4', 'tracking is off again');
SELECT throws_ok('SELECT oms.receive_stock(1, 4, 1, 1, ''x'')', 'OM008', NULL, 'a shelf that it once had takes nothing');
SELECT throws_ok('INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 1, 4, ''receipt'', 1, ''x'')', 'OM008', NULL, 'by hand neither');
SELECT pg_temp.place(1, 'N', 'backorder') AS o \gset
SELECT throws_ok('UPDATE oms.item SET kind = ''service'' WHERE item_id = 5', 'OM008', NULL, 'nor while a line waits');

-- Parts of a kit: orders keep theirs
SELECT pg_temp.place(2, 'K') AS k \gset
UPDATE oms.kit_component SET quantity = 3 WHERE kit_id = 3 AND item_id = 1;
DELETE FROM oms.kit_component WHERE kit_id = 3 AND item_id = 2;
SELECT is((SELECT string_agg(item_id || '=' || quantity, ' ' ORDER BY item_id) FROM oms.reservation WHERE merchant_id = 1 AND order_id = :k), '1=4 2=2', 'its promises are those of the old parts');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT ok(oms.ship_order(1, :k) > 0, 'and it is shipped so');
SELECT is((SELECT string_agg(item_id || '=' || quantity, ' ' ORDER BY item_id) FROM oms.stock_movement WHERE merchant_id = 1 AND source_kind = 'shipment' AND source_id = (SELECT max(shipment_id) FROM oms.shipment)), '1=-4 2=-2', 'off both shelves');
-- a part of a part fills the whole that waits
SELECT pg_temp.place(1, 'KK', 'backorder') AS kk \gset
SELECT is(pg_temp.line(:kk), '0 1 0', 'no cup yet');
SELECT ok(oms.adjust_stock(1, 1, 1, -oms.available(1, 1, 1), 'gone') > 0 AND oms.adjust_stock(1, 1, 2, -oms.available(1, 1, 2), 'gone') > 0 AND oms.receive_stock(1, 6, 1, 1, 'a cup') > 0, 'a cup, but no apples');
SELECT ok(oms.receive_stock(1, 1, 1, 3, 'apples') > 0, 'apples');
SELECT is(pg_temp.line(:kk), '1 0 0', 'make the kit in the kit');

-- A location that closes: what it promised it ships, and it promises nothing new
SELECT ok(oms.receive_stock(1, 6, 2, 5, 'cups') > 0, 'cups in the west');
SELECT pg_temp.place(2, 'C') AS o \gset
UPDATE oms.location SET active = false WHERE merchant_id = 1 AND location_id = 2;
SELECT throws_ok('SELECT pg_temp.place(1, ''C'')', 'OM001', NULL, 'orders get nothing from it');
SELECT throws_ok('SELECT oms.hold_stock(1, 6, 2, 1)', 'OM008', NULL, 'holds neither');
SELECT pg_temp.place(1, 'C', 'backorder') AS w \gset
SELECT ok(oms.receive_stock(1, 6, 2, 5, 'late cups') > 0 AND oms.allocate_backorders(1) = 0, 'what waits neither');
SELECT ok(oms.ship_order(1, :o) > 0, 'what it has promised is shipped');
UPDATE oms.location SET active = true WHERE merchant_id = 1 AND location_id = 2;
SELECT is(oms.allocate_backorders(1), 1::bigint, 'open again it promises');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What verify() finds
CREATE FUNCTION pg_temp.seed(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text;
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE statement;
	SET LOCAL session_replication_role = origin;
	SELECT string_agg(DISTINCT v.rule, ' ' ORDER BY v.rule) INTO said FROM oms.verify(1) v WHERE v.rule LIKE '%is_stocked';
	RAISE EXCEPTION USING errcode = 'XX999', message = coalesce(said, '');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
-- A part that the kit has no more
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 21, 'P', 'Part', 'stocked'), (1, 22, 'Q', 'Other part', 'stocked'), (1, 23, 'PQ', 'Both', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 23, 21, 1), (1, 23, 22, 1);
SELECT pg_temp.place(3, 'PQ', 'backorder') AS pq \gset
DELETE FROM oms.kit_component WHERE kit_id = 23 AND item_id = 21;
SELECT oms.receive_stock(1, 22, 1, 2, 'po') \gset
SELECT oms.receive_stock(1, 21, 1, 3, 'po') \gset
SELECT is(pg_temp.line(:pq), '0 3 0', 'its receipt does not find the line that waits for it');
SELECT is(oms.allocate_backorders(1, 23), 2::bigint, 'allocate_backorders() does');
SELECT oms.receive_stock(1, 22, 1, 1, 'po') \gset
SELECT is(pg_temp.line(:pq), '3 0 0', 'and so does the receipt of a part that it still has');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT is(pg_temp.seed('UPDATE oms.item SET kind = ''service'' WHERE item_id = 6'), 'level_is_stocked promise_is_stocked', 'a kind changed behind the guard is found');

SELECT * FROM finish();
ROLLBACK;
