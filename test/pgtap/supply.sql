-- Supply: ordered, revised, received in parts, closed short.
BEGIN;
SELECT plan(44);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
SELECT code AS main FROM oms.location WHERE merchant_id = 1 AND location_id = 1 \gset
CREATE FUNCTION pg_temp.supply(s bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', line_no, ordered, received, closed), ', ' ORDER BY line_no) FROM oms.supply_line WHERE merchant_id = 1 AND supply_id = s $$;

-- Ordering
SELECT oms.order_supply(1, jsonb_build_object('supplier', 'Orchard', 'external_ref', 'PO-1', 'location', :'main', 'currency', 'EUR', 'expected_at', '2031-01-10T00:00:00Z', 'lines',
	'[{"sku": "A", "quantity": 10, "unit_cost": "0.125"}, {"item": 2, "quantity": 4, "location": "WEST", "expected_at": "2031-02-01T00:00:00Z", "tolerance_percent": 50}]'::jsonb), 'po1') AS s \gset
SELECT is(pg_temp.supply(:s), '1 10 0 0, 2 4 0 0', 'ordered');
SELECT is((SELECT string_agg(concat_ws(' ', sku, location, open, expected_at AT TIME ZONE 'UTC', unit_cost, currency), ', ' ORDER BY line_no) FROM oms.supply WHERE supply_id = :s),
	'A ' || :'main' || ' 10 2031-01-10 00:00:00 0.125 EUR, B WEST 4 2031-02-01 00:00:00', 'as people read it');
SELECT is((SELECT string_agg(concat_ws(' ', item_id, location_id, on_hand, incoming, available), ', ' ORDER BY item_id) FROM oms.stock_level WHERE merchant_id = 1), '1 1 0 10 0, 2 2 0 4 0', 'it is incoming, and not available');
SELECT is(oms.order_supply(1, jsonb_build_object('supplier', 'Orchard', 'external_ref', 'PO-1', 'location', :'main', 'currency', 'EUR', 'expected_at', '2031-01-10T00:00:00Z', 'lines',
	'[{"sku": "A", "quantity": 10, "unit_cost": "0.125"}, {"item": 2, "quantity": 4, "location": "WEST", "expected_at": "2031-02-01T00:00:00Z", "tolerance_percent": 50}]'::jsonb), 'po1'), :s ::bigint, 'repeated');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"external_ref": "PO-1", "lines": [{"sku": "A", "quantity": 1, "location": "WEST"}]}') $$, 'OM008', NULL, 'a second order of the reference');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": [{"sku": "K", "quantity": 1, "location": "WEST"}]}') $$, 'OM008', NULL, 'a kit is on no shelf');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": [{"sku": "X", "quantity": 1, "location": "WEST"}]}') $$, 'OM002', NULL, 'an unknown item');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": [{"item": 99, "quantity": 1, "location": "WEST"}]}') $$, '23503', NULL, 'by id too');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": [{"sku": "A", "quantity": 1, "location": "EAST"}]}') $$, 'OM002', NULL, 'an unknown location');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": [{"sku": "A", "quantity": 1}]}') $$, 'OM003', NULL, 'no location');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": [{"sku": "A", "quantity": 0, "location": "WEST"}]}') $$, 'OM003', NULL, 'no units');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": [{"sku": "A", "quantity": 1, "unit_cost": 1, "location": "WEST"}]}') $$, 'OM003', NULL, 'a cost without currency');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"lines": []}') $$, 'OM003', NULL, 'no lines');
SELECT throws_ok($$ SELECT oms.order_supply(1, '{"kind": "gift", "lines": [{"sku": "A", "quantity": 1, "location": "WEST"}]}') $$, 'OM003', NULL, 'an unknown kind');

-- Receiving in parts, and more than ordered
SELECT oms.receive_supply(1, :s, 1, 4, damaged => 1, quality_control => 1, request_key => 'r1') AS m \gset
SELECT is((SELECT concat_ws(' ', kind, quantity, damaged, quality_control, cause, source_kind, source_id = :s) FROM oms.stock_movement WHERE movement_id = :m), 'receipt 4 1 1 PO-1 supply t', 'a receipt is a movement');
SELECT is((SELECT concat_ws(' ', on_hand, unavailable, incoming, available) FROM oms.stock_level WHERE merchant_id = 1 AND item_id = 1), '4 2 6 2', 'some are not for sale');
SELECT is(oms.receive_supply(1, :s, 1, 4, damaged => 1, quality_control => 1, request_key => 'r1'), :m ::bigint, 'repeated');
SELECT is(pg_temp.supply(:s), '1 10 4 0, 2 4 0 0', 'counted once');
SELECT throws_ok(format('SELECT oms.receive_supply(1, %s, 1, 7)', :s), 'OM007', NULL, 'more than is to come');
SELECT throws_ok(format('SELECT oms.receive_supply(1, %s, 1, 2, 2, 1)', :s), 'OM011', NULL, 'more damaged than there is');
SELECT throws_ok(format('SELECT oms.receive_supply(1, %s, 3, 1)', :s), 'OM002', NULL, 'no such line');
SELECT oms.receive_supply(1, :s, 2, 6) > 0 AS received \gset
SELECT is(pg_temp.supply(:s), '1 10 4 0, 2 4 6 0', 'as much more as the line tolerates');
SELECT throws_ok(format('SELECT oms.receive_supply(1, %s, 2, 1)', :s), 'OM007', NULL, 'and no more');

-- Revising and closing short
SELECT is(oms.revise_supply(1, :s, 1, '2031-01-20Z', 12, reason => 'ship is late'), 8::bigint, 'eight are to come, later');
SELECT is((SELECT concat_ws(' ', expected_at AT TIME ZONE 'UTC', original_expected_at AT TIME ZONE 'UTC') FROM oms.supply WHERE supply_id = :s AND line_no = 1), '2031-01-20 00:00:00 2031-01-10 00:00:00', 'the first date is kept');
SELECT throws_ok(format('SELECT oms.revise_supply(1, %s, 1, ordered => 3)', :s), 'OM007', NULL, 'not less than came');
SELECT throws_ok(format('SELECT oms.close_supply(1, %s, 1)', :s), 'OM011', NULL, 'closing needs a reason');
SELECT is(oms.close_supply(1, :s, 1, reason => 'crop failed'), 8::bigint, 'closed short');
SELECT is((SELECT concat_ws(' ', open, closed, close_reason) FROM oms.supply WHERE supply_id = :s AND line_no = 1), '0 8 crop failed', 'nothing is to come');
SELECT throws_ok(format('SELECT oms.receive_supply(1, %s, 1, 1)', :s), 'OM007', NULL, 'nothing is received any more');
SELECT is(oms.close_supply(1, :s, reason => 'again'), 0::bigint, 'closed twice is closed once');
SELECT throws_ok($$ SELECT oms.close_supply(1, 999999, reason => 'x') $$, 'OM002', NULL, 'no such order');
SELECT is((SELECT string_agg(type || coalesce(' ' || (data ->> 'expected_before'), ''), ', ' ORDER BY event_id) FROM oms.event WHERE subject_type = 'supply' AND subject_id = :s AND data ->> 'line' = '1'),
	'supply.ordered, supply.received 2031-01-10T00:00:00+00:00, supply.revised 2031-01-10T00:00:00+00:00, supply.closed 2031-01-20T00:00:00+00:00', 'the log tells it');

-- By hand
INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered) VALUES (1, :s, 3, 2, 1, 5);
UPDATE oms.supply_line SET expected_at = '2031-03-01Z' WHERE supply_id = :s AND line_no = 3;
SELECT is((SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE subject_type = 'supply' AND data ->> 'line' = '3'), 'supply.ordered supply.revised', 'a line typed is an event too');
SELECT throws_ok(format('UPDATE oms.supply_line SET received = 5 WHERE supply_id = %s', :s), 'OM009', NULL, 'what came is not typed');
SELECT throws_ok(format('UPDATE oms.supply_line SET item_id = 1 WHERE supply_id = %s', :s), 'OM009', NULL, 'nor the item changed');
SELECT throws_ok($$ DELETE FROM oms.supply_line $$, 'OM009', NULL, 'nor a line removed');
SELECT throws_ok($$ DELETE FROM oms.supply_receipt $$, 'OM009', NULL, 'nor a receipt');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
-- Faults, seeded behind the triggers' back
CREATE TEMPORARY TABLE found (statement text, said text);
CREATE FUNCTION pg_temp.seed(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text;
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		EXECUTE statement;
		SET LOCAL session_replication_role = origin;
		SELECT string_agg(DISTINCT v.rule, ' ' ORDER BY v.rule) INTO said FROM oms.verify(1) v;
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN said;
	END;
END $$;
SELECT is(pg_temp.seed(statement), rule, statement) FROM (VALUES
	('UPDATE oms.supply_line SET received = 3 WHERE line_no = 1', 'supply_received'),
	('UPDATE oms.supply_receipt SET quantity = 3 WHERE line_no = 1', 'supply_receipt_moved'),
	('UPDATE oms.supply_line SET item_id = 2 WHERE line_no = 1', 'supply_receipt_moved'),
	('DELETE FROM oms.supply_receipt WHERE line_no = 1', 'movement_of_supply supply_received'),
	('ALTER TABLE oms.supply_line DROP CONSTRAINT supply_line_over; UPDATE oms.supply_line SET closed = 9 WHERE line_no = 1', 'supply_bounds')) f (statement, rule);
SELECT * FROM finish();
ROLLBACK;
