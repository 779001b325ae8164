-- Preorders: sold until a day before they are there, up to caps, and filled when they come.
BEGIN;
SELECT plan(50);

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'shop2', 'Second shop', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 2, 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'), (1, 4, 'S', 'Service', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
INSERT INTO oms.supply_order (merchant_id, supply_id, external_ref) VALUES (1, 1, 'PO');
CREATE FUNCTION pg_temp.place(quantity int, sku text DEFAULT 'A', channel int DEFAULT 1, placed text DEFAULT '2026-01-01', policy text DEFAULT 'strict') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":' || channel || ',"placed_at":"' || placed || 'T00:00:00Z","allocation":"' || policy || '","lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.line(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', allocated, backordered, preordered, (promised_at AT TIME ZONE 'UTC')::date, (original_promised_at AT TIME ZONE 'UTC')::date) FROM oms.order_lines WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.caps() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', channel_id, used, cap), ', ' ORDER BY channel_id) FROM oms.preorders WHERE merchant_id = 1 AND item_id = 1 AND released_at IS NULL $$;

-- Opening
SELECT throws_ok($$ SELECT pg_temp.place(1) $$, 'OM001', NULL, 'without stock and preorder there is nothing to sell');
SELECT throws_ok($$ SELECT oms.set_preorder(1, 1, '2020-01-01Z') $$, 'OM011', NULL, 'not until a day that is past');
SELECT throws_ok($$ SELECT oms.set_preorder(1, 99, '2031-01-01Z') $$, 'OM002', NULL, 'an unknown item');
SELECT throws_ok($$ SELECT oms.set_preorder(1, 4, '2031-01-01Z') $$, 'OM002', NULL, 'a service');
SELECT throws_ok($$ SELECT oms.set_preorder_cap(1, 1, 5) $$, 'OM008', NULL, 'no cap without preorder');
SELECT oms.set_preorder(1, 1, '2031-01-01Z', 'open') AS r \gset
SELECT is(oms.set_preorder(1, 1, '2031-01-01Z', 'open'), :r ::bigint, 'repeated');
SELECT pg_temp.place(4) AS o1 \gset
SELECT is(pg_temp.line(:o1), '0 4 4 2031-01-01 2031-01-01', 'kept on a strict channel too, with its day');
SELECT is((SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE merchant_id = 1 AND order_id = :o1), 'order.placed order.promised', 'the timeline says so');
SELECT is((SELECT concat_ws(' ', l ->> 'preordered', l ->> 'promised_at') FROM jsonb_array_elements(oms.order_document(1, :o1) -> 'lines') l), '4 2031-01-01T00:00:00+00:00', 'and the document');
SELECT is((SELECT preorder_id FROM oms.backorder WHERE merchant_id = 1 AND order_id = :o1), :r ::bigint, 'and the view of who waits');

-- Caps, in all and by channel
SELECT is(oms.set_preorder_cap(1, 1, 10), 4::bigint, 'four are preordered when the cap is set');
SELECT is(oms.set_preorder_cap(1, 1, 5, 1), 4::bigint, 'all in this channel');
SELECT is(oms.set_preorder_cap(1, 1, 9, 2), 0::bigint, 'none in that');
SELECT throws_ok($$ SELECT oms.set_preorder_cap(1, 1, 9, 77) $$, 'OM002', NULL, 'an unknown channel');
SELECT throws_ok($$ SELECT pg_temp.place(2) $$, 'OM007', NULL, 'the channel''s cap');
SELECT pg_temp.place(5, channel => 2) AS o2 \gset
SELECT is(pg_temp.caps(), '0 9 10, 1 4 5, 2 5 9', 'counted in both');
SELECT throws_ok($$ SELECT pg_temp.place(2, channel => 2) $$, 'OM007', NULL, 'the cap of all');
SELECT throws_ok($$ SELECT pg_temp.place(2, channel => 2, policy => 'backorder') $$, 'OM007', NULL, 'for backorders as well');
SELECT throws_ok($$ SELECT oms.place_order(1, '{"channel": 2, "lines": [{"sku": "A", "quantity": 1, "unit_price": "1"}, {"sku": "A", "quantity": 1, "unit_price": "1"}]}') $$, 'OM007', NULL, 'two lines of an order count together');
SELECT is(pg_temp.caps(), '0 9 10, 1 4 5, 2 5 9', 'refused orders count nothing');
SELECT is(oms.cancel_line(1, :o2, 1, 2), 2, 'two are cancelled');
SELECT is(pg_temp.caps(), '0 7 10, 1 4 5, 2 3 9', 'their caps are given back');
INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 1, 's', n, '{"channel":2,"lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}' FROM generate_series(1, 5) n;
SELECT is((SELECT (accepted, refused)::text FROM oms.place_orders(1, 's')), '(3,2)', 'nor do many at once pass it');
SELECT is((SELECT DISTINCT error_code FROM oms.staged_order WHERE source = 's' AND order_id IS NULL), 'OM007', 'and are told why');
SELECT is(oms.set_preorder_cap(1, 1, NULL, 2), 6::bigint, 'a cap ends');
SELECT is(oms.set_preorder_cap(1, 1, 6), 10::bigint, 'a cap may be lowered below what is sold');

-- The day moves
SELECT oms.set_preorder(1, 1, '2031-02-01Z') = :r AS moved \gset
SELECT is(pg_temp.line(:o1), '0 4 4 2031-02-01 2031-01-01', 'with it what lines are told; the first day is kept');
SELECT is((SELECT (original_available_at AT TIME ZONE 'UTC')::date::text FROM oms.preorder WHERE preorder_id = :r), '2031-01-01', 'for the preorder too');
-- Supply that is known to come later moves who is pegged to it
INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered, expected_at) VALUES (1, 1, 1, 1, 1, 5, '2031-01-15Z'), (1, 1, 2, 1, 1, 9, '2031-03-01Z');
SELECT is(concat_ws(', ', pg_temp.line(:o1), pg_temp.line(:o2)), '0 4 4 2031-02-01 2031-01-01, 0 3 5 2031-03-01 2031-01-01', 'early supply keeps the day, late supply moves it');

-- Receipts fill, and convert nothing twice
SELECT oms.receive_supply(1, 1, 1, 5) > 0 AS received \gset
SELECT is(concat_ws(', ', pg_temp.line(:o1), pg_temp.line(:o2)), '4 0 4 2031-02-01 2031-01-01, 1 2 5 2031-03-01 2031-01-01', 'who waited gets what comes');
SELECT is(pg_temp.caps(), '0 10 6, 1 4 5', 'filled units still count against the caps');
SELECT is(oms.cancel_line(1, :o2, 1, 2), 2, 'what waits is cancelled first');
SELECT is(pg_temp.line(:o2), '1 0 5 2031-03-01 2031-01-01', 'the promise of stock is kept');
SELECT is((SELECT used FROM oms.preorder_cap WHERE preorder_id = :r AND channel_id = 0), 8::bigint, 'and the cap given back');
SELECT throws_ok($$ SELECT pg_temp.place(1, channel => 2) $$, 'OM007', NULL, 'though not below the lowered cap');

-- Stock first: what is there is no preorder
SELECT oms.set_preorder_cap(1, 1, 100) > 0 AS raised \gset
SELECT oms.adjust_stock(1, 1, 1, 10, 'found') > 0 AS moved \gset
SELECT pg_temp.place(8) AS o3 \gset
SELECT is(pg_temp.line(:o3), '7 1 1 2031-03-01 2031-03-01', 'only the rest is');

-- Release
SELECT is(oms.release_preorder(1, 1, 'end'), 0::bigint, 'nothing is there to fill');
SELECT is(oms.release_preorder(1, 1, 'end'), 0::bigint, 'repeated');
SELECT throws_ok($$ SELECT pg_temp.place(1) $$, 'OM001', NULL, 'new orders meet the stock alone');
SELECT throws_ok($$ SELECT oms.release_preorder(1, 1) $$, 'OM008', NULL, 'it is over');
SELECT oms.receive_stock(1, 2, 1, 2, 'two') > 0 AS received \gset
UPDATE oms.stock SET safety = 2 WHERE merchant_id = 1 AND item_id = 2 AND location_id = 1;
SELECT oms.set_preorder(1, 2, '2031-01-01Z') > 0 AS opened \gset
SELECT pg_temp.place(3, 'B') AS b \gset
UPDATE oms.stock SET safety = 0 WHERE merchant_id = 1 AND item_id = 2 AND location_id = 1;
SELECT is(oms.release_preorder(1, 2), 2::bigint, 'release gives out what came free');
SELECT is(pg_temp.line(:b), '2 1 3 2031-01-01 2031-01-01', 'the rest waits on');

-- The day comes: no job ends a preorder
SELECT oms.set_preorder(1, 3, '2031-01-01Z') > 0 AS opened \gset
SELECT is(pg_temp.line(pg_temp.place(1, 'K')), '0 1 1 2031-01-01 2031-01-01', 'a kit in preorder');
SELECT set_config('oms.test_clock', '2031-01-01 00:00:00+00', true) \gset
SELECT throws_ok($$ SELECT pg_temp.place(1, 'K') $$, 'OM001', NULL, 'past its day an item is not in preorder');
SELECT set_config('oms.test_clock', '', true) \gset

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
-- Faults, seeded behind the triggers' back
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
	('UPDATE oms.preorder_cap SET used = used + 1 WHERE channel_id = 1', 'preorder_cap_used'),
	('DELETE FROM oms.preorder_line', 'preorder_cap_used'),
	('UPDATE oms.preorder SET item_id = 2 WHERE item_id = 3', 'preorder_of_line'),
	('UPDATE oms.preorder_line SET channel_id = 7 WHERE preorder_id <> (SELECT min(preorder_id) FROM oms.preorder)', 'preorder_of_line')) f (statement, rule);
SELECT throws_ok($$ UPDATE oms.preorder_cap SET used = 0 $$, 'OM009', NULL, 'caps are not typed');
SELECT * FROM finish();
ROLLBACK;
