-- Displacement: who must give way, what is never taken, what the loser gets, and that the rules of the winner hold.
BEGIN;
SELECT plan(73);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
CREATE FUNCTION pg_temp.place(lines text, priority int DEFAULT NULL, placed text DEFAULT '2026-01-01') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE o bigint := oms.place_order(1, jsonb_build_object('channel', 1, 'allocation', 'backorder', 'placed_at', placed || 'T00:00:00Z',
	'lines', (SELECT jsonb_agg(jsonb_build_object('sku', split_part(l, '=', 1), 'quantity', split_part(l, '=', 2)::int, 'unit_price', '1')) FROM unnest(string_to_array(lines, ' ')) l)));
BEGIN
	IF priority IS NOT NULL THEN
		PERFORM oms.set_urgency(1, o, priority);
	END IF;
	RETURN o;
END $$;
CREATE FUNCTION pg_temp.lines(VARIADIC o bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(lines, ', ' ORDER BY n) FROM (SELECT n, string_agg(allocated || '+' || backordered, ' ' ORDER BY line_no) AS lines FROM unnest(o) WITH ORDINALITY x (order_id, n) JOIN oms.order_line USING (order_id) GROUP BY n) x $$;
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(line_no || ':' || item_id || '@' || location_id || '=' || q, ' ' ORDER BY line_no, item_id, location_id), '') FROM
	(SELECT line_no, item_id, location_id, sum(quantity) q FROM oms.reservation WHERE merchant_id = 1 AND order_id = o GROUP BY 1, 2, 3) x $$;
CREATE FUNCTION pg_temp.free(VARIADIC o bigint[]) RETURNS bigint LANGUAGE sql AS 'SELECT count(oms.cancel_order(1, x)) FROM unnest(o) x';
SET LOCAL oms.test_clock TO '2026-06-01 00:00Z';
SELECT oms.receive_stock(1, 1, 1, 6, 'opening') > 0 AS received \gset
SELECT oms.order_supply(1, '{"supplier": "Farm", "location": "MAIN", "lines": [{"sku": "A", "quantity": 2, "expected_at": "2026-07-01T00:00:00Z"}, {"sku": "A", "quantity": 90, "expected_at": "2026-08-01T00:00:00Z"}]}') > 0 AS ordered \gset

-- The lowest priority first, then the youngest
SELECT pg_temp.place('A=2', NULL, '2026-01-01') AS old, pg_temp.place('A=2', NULL, '2026-01-02') AS young, pg_temp.place('A=1', -1, '2025-01-01') AS low, pg_temp.place('A=1', 5) AS high \gset
SELECT pg_temp.place('A=4', 3) AS rush \gset
SELECT is(pg_temp.lines(:rush), '0+4', 'an urgent order comes late');
SELECT is(oms.displace(1, :rush, request_key => 'd', reason => 'rush'), 4, 'it gets what it lacks');
SELECT is(oms.displace(1, :rush, request_key => 'd', reason => 'rush'), 4, 'asked again');
SELECT is(pg_temp.lines(:rush, :low, :young, :old, :high), '4+0, 0+1, 0+2, 1+1, 1+0', 'from the lowest priority, then the youngest, no more than needed, never of one as urgent');
SELECT is(pg_temp.promised(:rush), '1:1@1=4', 'promised');
SELECT is(oms.available(1, 1), 0::bigint, 'and nothing became free');
SELECT is((SELECT data - 'by' || jsonb_build_object('by', (data ->> 'by')::bigint = :rush) FROM oms.event WHERE order_id = :old AND type = 'order.displaced'),
	'{"by": true, "line": 1, "location": 1, "quantity": 1}', 'who loses is told');
SELECT is((SELECT reason FROM oms.event WHERE order_id = :old AND type = 'order.displaced'), 'rush', 'with the reason');
SELECT is((SELECT string_agg(concat_ws(' ', priority, to_char(expected_at AT TIME ZONE 'UTC', 'DD Mon')), ', ' ORDER BY placed_at) FROM oms.backorder WHERE order_id IN (:old, :low, :young)), '-1 01 Jul, 0 01 Jul, 0 01 Aug', 'and promised a new date, by what is to come; priorities stay');
SELECT is((SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE order_id = :old), 'order.placed order.displaced order.promised', 'its timeline says so');
SELECT is((SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE order_id = :rush), 'order.placed order.promised order.reserved', 'who wins too');
SELECT oms.receive_stock(1, 1, 1, 2, 'two') > 0 AS received \gset
SELECT is(pg_temp.lines(:low, :young, :old), '1+0, 0+2, 2+0', 'what comes goes to who waits: the oldest orders first');
SELECT is(oms.displace(1, :low), 0, 'without anybody less urgent there is nothing to get');
SELECT is(pg_temp.free(:old, :young, :low, :high, :rush), 5::bigint, 'ended');

-- What is free goes first, and no more than that is taken
SELECT oms.adjust_stock(1, 1, 1, 5 - oms.available(1, 1, 1), 'test') > 0 AS moved \gset
SELECT pg_temp.place('A=5') AS l \gset
SELECT oms.cancel_line(1, :l, 1, 2) = 2 AS cancelled \gset
UPDATE oms.stock SET safety = safety + 2 WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1;
SELECT pg_temp.place('A=3', 1) AS w \gset
UPDATE oms.stock SET safety = safety - 2 WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1;
SELECT is(oms.displace(1, :w, promised_at => '2026-12-24 12:00Z'), 3, 'two are free, one is taken');
SELECT is(pg_temp.lines(:w, :l), '3+0, 2+1', 'one');
SELECT is((SELECT promised_at FROM oms.order_urgency WHERE order_id = :l), '2026-12-24 12:00Z', 'a promise of one''s own choice');
SELECT is(pg_temp.free(:l, :w), 2::bigint, 'ended');

-- Planned and picked units stay
SELECT pg_temp.place('A=2') AS planned, pg_temp.place('A=3') AS l \gset
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :planned) \gset
SELECT pg_temp.place('A=5', 9) AS w \gset
SELECT is(oms.displace(1, :w), 3, 'not what is planned');
SELECT is(pg_temp.lines(:w, :planned, :l), '3+2, 2+0, 0+3', 'only the others');
SELECT oms.confirm_pick(1, :f) = 2 AS picked \gset
SELECT is(oms.displace(1, :w), 0, 'nor what is picked');
SELECT oms.cancel_fulfilment(1, :f) = 2 AS undone \gset
SELECT is(oms.displace(1, :w), 2, 'put back it can be had');
SELECT is(pg_temp.lines(:w, :planned), '5+0, 0+2', 'all of it');
SELECT is(pg_temp.free(:planned, :l, :w), 3::bigint, 'ended');
SELECT pg_temp.place('A=4') AS l \gset
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :l) \gset
SELECT oms.short_pick(1, :f, 1, 3, adjust => false) > 0 AS short, oms.allocate_backorders(1) > 0 AS again \gset
SELECT pg_temp.place('A=5', 9) AS w \gset
SELECT is(pg_temp.lines(:w, :l), '1+4, 4+0', 'of four one is planned');
SELECT is(oms.displace(1, :w), 3, 'the other three can be had');
SELECT is(pg_temp.lines(:w, :l), '4+1, 1+3', 'the plan keeps its unit');
SELECT is((SELECT sum(quantity) FROM oms.fulfilment_line WHERE order_id = :l), 1::bigint, 'as planned');
SELECT is(pg_temp.free(:l, :w), 2::bigint, 'ended');

-- Kits, on both sides
SELECT oms.receive_stock(1, 2, 1, 3, 'boxes') > 0 AS received, oms.adjust_stock(1, 1, 1, 6 - oms.available(1, 1, 1), 'test') > 0 AS moved \gset
SELECT pg_temp.place('K=3') AS l, pg_temp.place('A=3', 1) AS w \gset
SELECT is(oms.displace(1, :w), 3, 'parts of whole kits');
SELECT is(pg_temp.lines(:w, :l) || ' ' || pg_temp.promised(:l), '3+0, 1+2 1:1@1=2 1:2@1=1', 'two kits go for three apples');
SELECT is(oms.available(1, 1, 1) || ' ' || oms.available(1, 2, 1), '1 2', 'what was not needed of them is free');
SELECT is(pg_temp.free(:l, :w), 2::bigint, 'ended');
SELECT pg_temp.place('A=4') AS a, pg_temp.place('B=2') AS b, pg_temp.place('K=2', 1) AS w \gset
SELECT is(pg_temp.lines(:w), '1+1', 'one kit can be made');
SELECT is(oms.displace(1, :w), 1, 'the other needs both its parts');
SELECT is(pg_temp.lines(:w, :a, :b), '2+0, 2+2, 1+1', 'from two orders');
SELECT is(pg_temp.free(:a, :b, :w), 3::bigint, 'ended');
SELECT pg_temp.place('A=6') AS a, pg_temp.place('B=3', 7) AS b, pg_temp.place('K=2', 1) AS w \gset
SELECT is(oms.displace(1, :w), 0, 'a part that cannot be had');
SELECT is(pg_temp.lines(:w, :a, :b), '0+2, 6+0, 3+0', 'and nobody lost the other');
SELECT is((SELECT count(*) FROM oms.event WHERE order_id = :a AND type = 'order.displaced'), 0::bigint, 'nor was told so');
SELECT is(pg_temp.free(:a, :b, :w), 3::bigint, 'ended');

-- By the winner's rule: what it may not have nobody loses
SELECT oms.receive_stock(1, 1, 2, 4, 'west') > 0 AS received \gset
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name, max_shipments) VALUES (1, 1, 'one', 1);
SELECT pg_temp.place('A=6') AS l1, pg_temp.place('A=4') AS l2, pg_temp.place('A=8', 1) AS w \gset
SELECT is(pg_temp.promised(:l1) || ' ' || pg_temp.promised(:l2), '1:1@1=6 1:1@2=4', 'all is taken');
SELECT is(oms.displace(1, :w), 6, 'one shipment');
SELECT is(pg_temp.promised(:w) || ' ' || pg_temp.lines(:w, :l1, :l2), '1:1@1=6 6+2, 0+6, 4+0', 'the other location loses nothing');
SELECT is(pg_temp.free(:l1, :l2, :w), 3::bigint, 'ended');
INSERT INTO oms.sourcing_exclusion VALUES (1, 1, 0, '2027-01-01', 'closed');
SELECT oms.place_order(1, '{"channel": 1, "location": "MAIN", "lines": [{"sku": "A", "quantity": 6, "unit_price": 1}]}') AS l1, pg_temp.place('A=4') AS l2, pg_temp.place('A=5', 1) AS w \gset
SELECT is(oms.displace(1, :w, 1), 4, 'an excluded location is not asked');
SELECT is(pg_temp.promised(:w) || ' ' || pg_temp.lines(:w, :l1, :l2), '1:1@2=4 4+1, 6+0, 0+4', 'nor does anybody lose there');
SELECT is(pg_temp.free(:l1, :l2, :w), 3::bigint, 'ended');
DELETE FROM oms.sourcing_rule;
DELETE FROM oms.sourcing_exclusion;
SELECT pg_temp.place('A=6') AS l1, pg_temp.place('A=4') AS l2, pg_temp.place('A=9 B=5', 1) AS w \gset
SELECT is(oms.displace(1, :w, 1), 9, 'without a rule from several, one line alone');
SELECT is(pg_temp.lines(:w, :l1, :l2), '9+0 3+2, 0+6, 1+3', 'the first location first');
SELECT is(pg_temp.free(:l1, :l2, :w), 3::bigint, 'ended');

-- Lots and serial numbers: promises know none, so they change hands as others do; what is stopped does not
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, tracking) VALUES (1, 5, 'M', 'Milk', 'stocked', 'lot'), (1, 6, 'P', 'Phone', 'stocked', 'serial');
SELECT oms.receive_lot(1, 5, 1, 'L1', 4, 'r', expires_at => '2026-06-20Z') > 0, oms.receive_lot(1, 5, 1, 'L2', 4, 'r', expires_at => '2026-07-20Z') > 0, oms.receive_lot(1, 6, 1, 'S1', 1, 'r') > 0, oms.receive_lot(1, 6, 1, 'S2', 1, 'r') > 0 \g /dev/null
SELECT pg_temp.place('M=5 P=1', NULL, '2026-01-02') AS l1, pg_temp.place('M=3 P=1', NULL, '2026-01-01') AS l2, pg_temp.place('M=4 P=2', 1) AS w \gset
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :l2) \gset
SELECT is(oms.confirm_pick(1, :f), 4::bigint, 'a loser has picked its lots');
SELECT is(oms.displace(1, :w), 5, 'what is picked stays, by lot and serial number');
SELECT is(pg_temp.lines(:w, :l1, :l2), '4+0 1+1, 1+4 0+1, 3+0 1+0', 'the others give way');
SELECT fulfilment_id AS g FROM oms.plan_fulfilment(1, :w) \gset
SELECT is(oms.confirm_pick(1, :g), 5::bigint, 'the winner picks');
SELECT is((SELECT string_agg(i.sku || ' ' || t.lot || ' ' || -t.quantity, ', ' ORDER BY i.sku, t.lot) FROM oms.lot_trace t JOIN oms.item i USING (merchant_id, item_id) WHERE t.order_id = :w AND t.what = 'picked'), 'M L1 1, M L2 3, P S2 1', 'what the loser has not picked');
SELECT is(oms.cancel_fulfilment(1, :f) + oms.cancel_fulfilment(1, :g), 9::bigint, 'undone');
SELECT is(pg_temp.free(:l1, :l2, :w), 3::bigint, 'ended');
SELECT pg_temp.place('M=4', NULL, '2026-01-02') AS young, pg_temp.place('M=3', NULL, '2026-01-01') AS old, pg_temp.place('M=2', 1) AS w \gset
SELECT is(pg_temp.lines(:w), '1+1', 'seven are promised to others');
SELECT is(oms.set_lot_status(1, 5, 'L1', 'recalled') > 0, true, 'four units are recalled: four are left, of eight promised');
SELECT is(oms.displace(1, :w), 1, 'an urgent order gets one that may be sold');
SELECT is(pg_temp.lines(:w, :young, :old), '2+0, 0+4, 2+1', 'those give way who could not all have been served');
SELECT is(oms.available(1, 5, 1), 0::bigint, 'and no more than there is is promised');
SELECT is_empty('SELECT * FROM oms.lot_shortage WHERE item_id = 5', 'nobody is short of it any more');
SELECT is(pg_temp.free(:young, :old, :w), 3::bigint, 'ended');

-- A limit of backorders counts losers, and refuses none
SELECT oms.set_backorder_limit(1, 1, 1) \g /dev/null
SELECT oms.adjust_stock(1, 1, 2, -oms.available(1, 1, 2), 'gone') > 0 AS moved, oms.cancel_order(1, pg_temp.place('B=1')) > 0 AS x \gset
SELECT pg_temp.place('A=6') AS l, pg_temp.place('A=1', 1) AS w \gset
SELECT oms.adjust_stock(1, 2, 1, 5, 'more') > 0 AS moved \gset
SELECT is(oms.displace(1, :w) || ' ' || pg_temp.lines(:w, :l), '1 1+0, 5+1', 'displaced');
SELECT is((SELECT used FROM oms.backorder_limit WHERE item_id = 1), 1::bigint, 'counted');

SELECT is(oms.cancel_order(1, :w), :w ::bigint, 'cancelled');
SELECT throws_ok(format('SELECT oms.displace(1, %s)', :w), 'OM008', NULL, 'a closed order displaces nobody');
SELECT throws_ok('SELECT oms.displace(1, 987654321)', 'OM002', NULL, 'an order that is not there');
SELECT throws_ok(format('SELECT oms.displace(1, %s, 0)', :l), 'OM011', NULL, 'a line that cannot be');
SELECT throws_ok(format('SELECT oms.displace(1, %s, NULL, ''infinity'')', :l), 'OM011', NULL, 'a promise for never');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
