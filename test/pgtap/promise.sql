-- Promises by date: pegs, what may be promised by when, and what lines are told.
BEGIN;
SELECT plan(51);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (1, 3, 'FAR', 'Of no channel');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'), (1, 4, 'N', 'Nest', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1), (1, 4, 3, 1);
INSERT INTO oms.supply_order (merchant_id, supply_id, external_ref) VALUES (1, 1, 'PO');
CREATE FUNCTION pg_temp.place(quantity int, sku text DEFAULT 'A', placed text DEFAULT '2026-01-01') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"placed_at":"' || placed || 'T00:00:00Z","allocation":"backorder","lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.told(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' was ', coalesce((promised_at AT TIME ZONE 'UTC')::date::text, '?'), (original_at AT TIME ZONE 'UTC')::date) FROM oms.line_promise WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.pegs(item bigint DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat(rank, ':', quantity, '@', coalesce(supply_line::text, 'shelf')), ' ' ORDER BY order_id, expected_at NULLS LAST)
	FROM (SELECT *, dense_rank() OVER (ORDER BY order_id) AS rank FROM oms.peg WHERE merchant_id = 1 AND item_id = item) x $$;
CREATE FUNCTION pg_temp.atp(day text DEFAULT NULL, location int DEFAULT NULL, item bigint DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.available_to_promise(1, item, location, day::timestamptz) $$;

-- Who waits before anything is on order
SELECT pg_temp.place(4) AS o1 \gset
SELECT is(pg_temp.told(:o1), NULL, 'nobody knows');
INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered, expected_at) VALUES (1, 1, 1, 1, 1, 10, '2031-01-10Z');
SELECT is(pg_temp.told(:o1), '2031-01-10 was 2031-01-10', 'supply gives a date');
SELECT is(pg_temp.pegs(), '1:4@1', 'and is pegged to who waits');
SELECT is(concat_ws(' ', pg_temp.atp(), pg_temp.atp('2031-01-09Z'), pg_temp.atp('2031-01-10Z')), '0 0 6', 'the rest may be promised from then');
INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered, expected_at) VALUES (1, 1, 2, 1, 2, 10, '2031-02-10Z'), (1, 1, 3, 1, 3, 50, '2031-01-01Z'), (1, 1, 4, 1, 1, 5, NULL);
SELECT pg_temp.place(8) AS o2 \gset
SELECT is(pg_temp.told(:o2), '2031-02-10 was 2031-02-10', 'a later line is told when its last unit comes, at its channel''s locations');
SELECT is(pg_temp.pegs(), '1:4@1 2:6@1 2:2@2', 'it does not eat what the first was promised');
SELECT is(concat_ws(' ', pg_temp.atp('2031-01-10Z', 1), pg_temp.atp('2031-02-09Z', 2), pg_temp.atp('2031-02-10Z', 2), pg_temp.atp('2031-02-10Z', 3), pg_temp.atp('2031-02-10Z')), '0 0 8 50 58', 'by location');
SELECT results_eq($$ SELECT (at AT TIME ZONE 'UTC')::date::text, units, pegged, free, available_to_promise FROM oms.promise_profile(1, 1) OFFSET 1 $$,
	$$ VALUES ('2031-01-01', 50::bigint, 0::bigint, 50::bigint, 50::bigint), ('2031-01-10', 10, 10, 0, 50), ('2031-02-10', 10, 2, 8, 58), (NULL, 5, 0, 5, NULL) $$, 'date by date');
SELECT is((SELECT count(*) FROM oms.supply_profile WHERE merchant_id = 1 AND item_id = 1), 5::bigint, 'as a view');
SELECT pg_temp.place(20) AS o3 \gset
SELECT is(pg_temp.told(:o3), NULL, 'more than what comes on a day is not promised');
SELECT is(pg_temp.pegs(), '1:4@1 2:6@1 2:2@2 3:8@2 3:5@4', 'though pegged as far as it goes');
SELECT is(pg_temp.atp('2031-02-10Z'), 50::bigint, 'and nothing is left for others');

-- A date slips, comes nearer, is lost
SELECT oms.revise_supply(1, 1, 1, '2031-03-01Z', reason => 'late') > 0 AS revised \gset
SELECT is(pg_temp.told(:o1), '2031-02-10 was 2031-01-10', 'the first takes the earliest now');
SELECT is(pg_temp.told(:o2), '2031-03-01 was 2031-02-10', 'the second moves; what it was told first is kept');
SELECT is((SELECT data ::text FROM oms.event WHERE merchant_id = 1 AND order_id = :o2 AND type = 'order.promise_moved'),
	'{"to": "2031-03-01T00:00:00+00:00", "from": "2031-02-10T00:00:00+00:00", "line": 1, "original": "2031-02-10T00:00:00+00:00"}', 'its timeline says so');
SELECT is((SELECT count(*) FROM oms.event WHERE merchant_id = 1 AND order_id = :o1 AND type = 'order.promised'), 1::bigint, 'a first promise is one event');
SELECT oms.close_supply(1, 1, 1, reason => 'sunk') > 0 AS closed \gset
SELECT is(concat_ws(', ', pg_temp.told(:o1), pg_temp.told(:o2)), '2031-02-10 was 2031-01-10, ? was 2031-02-10', 'who cannot be served on a day any more has none');
SELECT is((SELECT data ? 'to' FROM oms.event WHERE merchant_id = 1 AND order_id = :o2 AND type = 'order.promise_moved' ORDER BY event_id DESC LIMIT 1), false, 'and is told so');
SELECT is(pg_temp.pegs(), '1:4@2 2:6@2 2:2@4 3:3@4', 'pegs follow');
SELECT is(oms.renew_promises(1), 0::bigint, 'nothing has changed since');

-- Receipts serve who was pegged to them
SELECT is((SELECT concat_ws(' ', allocated, backordered) FROM oms.order_line WHERE merchant_id = 1 AND order_id = :o1), '0 4', 'who waits');
SELECT oms.receive_supply(1, 1, 2, 5) > 0 AS received \gset
SELECT is((SELECT string_agg(concat_ws(' ', allocated, backordered), ', ' ORDER BY order_id) FROM oms.order_line WHERE merchant_id = 1), '4 0, 1 7, 0 20', 'gets what comes, one unit for one');
SELECT is(pg_temp.told(:o1), '2031-02-10 was 2031-01-10', 'what was told stays on record');
SELECT is(pg_temp.pegs(), '1:5@2 1:2@4 2:3@4', 'the others are pegged to what is still to come');
SELECT is((SELECT concat_ws(' ', promised_at AT TIME ZONE 'UTC', original_promised_at AT TIME ZONE 'UTC', preordered) FROM oms.order_lines WHERE merchant_id = 1 AND order_id = :o1), '2031-02-10 00:00:00 2031-01-10 00:00:00 0', 'a line shows it');
SELECT is((SELECT l ->> 'original_promised_at' FROM jsonb_array_elements(oms.order_document(1, :o1) -> 'lines') l), '2031-01-10T00:00:00+00:00', 'and its document');
SELECT is((SELECT count(*) FROM oms.backorder WHERE merchant_id = 1 AND order_id = :o2 AND expected_at IS NULL AND original_expected_at = '2031-02-10Z'), 1::bigint, 'and the view of who waits');

-- Cancelling makes room; who asks is told
SELECT oms.cancel_order(1, :o2) = :o2 AS cancelled \gset
SELECT is(pg_temp.pegs(), '1:5@2 1:5@4', 'pegs move up at once; what was promised is given out');
SELECT oms.cancel_line(1, :o3, 1, 15) > 0 AS cancelled \gset
SELECT is(oms.renew_promises(1, 1, request_key => 'renew'), 1::bigint, 'promises when they are renewed');
SELECT is(pg_temp.told(:o3), '2031-02-10 was 2031-02-10', 'a date at last');

-- Time passes
SELECT set_config('oms.test_clock', '2031-02-11 00:00:00+00', true) \gset
SELECT is(pg_temp.atp(), 0::bigint, 'an overdue delivery is promised to nobody');
SELECT is(oms.renew_promises(1), 1::bigint, 'who waits for it');
SELECT is(pg_temp.told(:o3), '? was 2031-02-10', 'is told that nobody knows');
SELECT set_config('oms.test_clock', '', true) \gset
SELECT oms.cancel_order(1, :o3) = :o3 AS cancelled \gset

-- Kits wait for the last of their parts, nested ones too
INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered, expected_at) VALUES (1, 1, 5, 2, 2, 5, '2031-04-01Z'), (1, 1, 6, 1, 2, 4, '2031-05-01Z');
SELECT is(concat_ws(' ', pg_temp.atp('2031-03-01Z', item => 3), pg_temp.atp('2031-04-01Z', item => 3), pg_temp.atp('2031-05-01Z', 2, 3), pg_temp.atp('2031-05-01Z', 1, 4)), '0 3 5 0', 'kits by the parts of one location');
SELECT pg_temp.place(4, 'K') AS k \gset
SELECT is(pg_temp.told(:k), '2031-05-01 was 2031-05-01', 'ready with its last part');
SELECT is(pg_temp.pegs(2), '1:4@5', 'pegged by parts');
SELECT pg_temp.place(1, 'N') AS n \gset
SELECT is(pg_temp.told(:n), '2031-05-01 was 2031-05-01', 'a kit of a kit');
SELECT is(pg_temp.atp('2031-05-01Z', 2, 3), 0::bigint, 'nothing is left for another');
SELECT oms.revise_supply(1, 1, 5, '2031-06-01Z') > 0 AS revised \gset
SELECT is(concat_ws(', ', pg_temp.told(:k), pg_temp.told(:n)), '2031-06-01 was 2031-05-01, 2031-06-01 was 2031-05-01', 'a late part makes the kit late');

-- The order of filling is the order of pegs
SELECT oms.cancel_order(1, :k) + oms.cancel_order(1, :n) > 0 AS cancelled \gset
SELECT oms.set_setting(1, 'backorder_fill', 'priority') \gset
SELECT pg_temp.place(9) AS p1 \gset
SELECT pg_temp.place(5) AS p2 \gset
SELECT oms.set_urgency(1, :p2, priority => 5, promised_at => '2031-01-01Z'), oms.set_urgency(1, :p2, priority => 5, promised_at => '2031-02-01Z') \gset
SELECT is((SELECT (promised_at, original_promised_at)::text FROM oms.order_urgency WHERE merchant_id = 1 AND order_id = :p2), ROW('2031-02-01Z'::timestamptz, '2031-01-01Z'::timestamptz)::text, 'an order''s first promise is kept too');
SELECT oms.renew_promises(1) > 0 AS renewed \gset
SELECT is(pg_temp.told(:p2), '2031-02-10 was 2031-02-10', 'who is urgent comes first');

-- Lines that begin to wait later are told as well: mapped ones, and those short at the shelf
SELECT pg_temp.place(1, 'CRATE') AS m \gset
INSERT INTO oms.item_alias (merchant_id, channel_id, sku, item_id) VALUES (1, 1, 'CRATE', 2);
SELECT is(pg_temp.told(:m), '2031-06-01 was 2031-06-01', 'a line whose SKU is known at last');
SELECT oms.receive_stock(1, 2, 2, 2, 'two') > 0 AS received \gset
SELECT pg_temp.place(1, 'B') AS s \gset
SELECT is(pg_temp.told(:s), NULL, 'what has stock waits for nothing');
SELECT max(fulfilment_id) AS f FROM oms.plan_fulfilment(1, :s) \gset
SELECT oms.short_pick(1, :f, 1, 1) > 0 AS short \gset
SELECT is(pg_temp.told(:s), '2031-06-01 was 2031-06-01', 'what is not on its shelf does');

SELECT throws_ok($$ UPDATE oms.line_promise SET promised_at = now() $$, 'OM009', NULL, 'promises are not typed');
SELECT throws_ok($$ SELECT oms.available_to_promise(1, 99) $$, 'OM002', NULL, 'an unknown item');
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
	('UPDATE oms.line_promise SET line_no = 9', 'promise_has_line'),
	('ALTER TABLE oms.line_promise DROP CONSTRAINT line_promise_original; UPDATE oms.line_promise SET original_at = NULL', 'promise_original'),
	('DELETE FROM oms.supply_item WHERE item_id = 2', 'supply_has_item'),
	('CREATE OR REPLACE VIEW oms.peg AS SELECT i.merchant_id, i.item_id, p.order_id, p.line_no, p.supply_id, p.supply_line, p.location_id, p.quantity + 9 AS quantity, p.expected_at FROM oms.supply_item i CROSS JOIN LATERAL oms.pegs(i.merchant_id, i.item_id) p (order_id, line_no, supply_id, supply_line, location_id, quantity, expected_at)', 'peg_within_supply')) f (statement, rule);
SELECT * FROM finish();
ROLLBACK;
