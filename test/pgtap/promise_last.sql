-- The short way to tell a line that comes after all who wait its date tells what the long way does: orders at random in
-- channels, instants and quantities, over shelves and supplies; after each, renew_promises() has nothing to say of it.
BEGIN;
SELECT plan(4);
SELECT setseed(0.42) \g /dev/null
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) SELECT 1, n, 'L' || n, 'Item', 'stocked' FROM generate_series(1, 3) n;
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 9, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 9, 3, 2);
SELECT oms.order_supply(1, jsonb_build_object('supplier', 'S', 'external_ref', 'PO' || n, 'location', CASE n % 2 WHEN 0 THEN 'MAIN' ELSE 'WEST' END, 'currency', 'EUR', 'expected_at', to_char(date '2031-01-01' + n * 10, 'YYYY-MM-DD"T00:00:00Z"'),
	'lines', (SELECT jsonb_agg(jsonb_build_object('sku', 'L' || i, 'quantity', 5 + n)) FROM generate_series(1, 3) i))) FROM generate_series(1, 6) n \g /dev/null
CREATE TABLE wrong (place text, moved bigint);
CREATE FUNCTION place(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE item text := (ARRAY['L1', 'L2', 'L3', 'K'])[1 + floor(random() * 4)]; moved bigint; document jsonb;
BEGIN
	document := jsonb_build_object('channel', 1, 'allocation', 'backorder', 'lines', jsonb_build_array(jsonb_build_object('sku', item, 'quantity', 1 + floor(random() * 3), 'unit_price', '1'),
		jsonb_build_object('sku', 'L1', 'quantity', 1, 'unit_price', '1')));
	IF random() < 0.2 THEN document := document || jsonb_build_object('placed_at', to_char(date '2020-01-01' + floor(random() * 1000)::int, 'YYYY-MM-DD"T00:00:00Z"')); END IF;
	PERFORM oms.place_order(1, document);
	SELECT oms.renew_promises(1) INTO moved;
	IF moved > 0 THEN INSERT INTO wrong VALUES (n || ' ' || document, moved); END IF;
END $$;
SELECT count(place(n)) FROM generate_series(1, 60) n \g /dev/null
SELECT is_empty('SELECT * FROM wrong', 'each line is told what all rows say');
SELECT cmp_ok((SELECT count(DISTINCT promised_at) FROM oms.line_promise WHERE merchant_id = 1), '>', 5::bigint, 'of several dates');
SELECT cmp_ok((SELECT count(*) FROM oms.order_line l WHERE l.merchant_id = 1 AND l.backordered > 0 AND NOT EXISTS (SELECT FROM oms.line_promise p WHERE p.merchant_id = 1 AND p.order_id = l.order_id AND p.line_no = l.line_no AND p.promised_at IS NOT NULL)), '>', 3::bigint, 'and none, when all is given');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SELECT * FROM finish();
ROLLBACK;
