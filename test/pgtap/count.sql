-- Counts: compare and set, variances with their reason, promises that a shelf does not cover, sessions and cycles.
BEGIN;
SELECT plan(71);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'), (1, 4, 'C', 'Cup', 'stocked');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
SELECT oms.receive_stock(1, 1, 1, 10, 'opening'), oms.receive_stock(1, 2, 1, 10, 'opening') \gset

CREATE FUNCTION pg_temp.place(quantity int, sku text DEFAULT 'A', placed text DEFAULT '2026-01-01', allocation text DEFAULT 'strict') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"placed_at":"' || placed || 'T00:00:00Z","allocation":"' || allocation || '","lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.line(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', allocated, backordered) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.on_hand(item bigint, location int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT on_hand FROM oms.stock WHERE merchant_id = 1 AND item_id = item AND location_id = location $$;

-- Compare and set
SELECT oms.count_stock(1, 1, 1, 9, 10, request_key => 'c', reason => 'broken') AS c \gset
SELECT is(pg_temp.on_hand(1), 9::bigint, 'the books follow the shelf');
SELECT is(oms.count_stock(1, 1, 1, 9, 10, request_key => 'c', reason => 'broken'), :c ::bigint, 'twice is once');
SELECT is((SELECT kind || ' ' || quantity || ' ' || cause || ' ' || forced FROM oms.stock_movement WHERE merchant_id = 1 AND source_kind = 'count' AND source_id = :c), 'count -1 broken false', 'by one movement that names its count');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, 8, 10, reason => ''x'')', 'OM008', 'item 1 at location 1 was moved since it was counted', 'a stale expectation is refused');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, 8, 9)', 'OM011', 'argument "reason" is missing', 'a difference needs a reason');
SELECT ok(oms.count_stock(1, 1, 1, 9, 9) > :c, 'what agrees needs none');
SELECT is((SELECT count(*) FROM oms.stock_movement WHERE merchant_id = 1 AND item_id = 1), 2::bigint, 'and is no movement');
SELECT is((SELECT count(*) FROM oms.stock_count WHERE merchant_id = 1 AND item_id = 1), 2::bigint, 'but a count');
SELECT ok(oms.count_stock(1, 4, 2, 3, 0, reason => 'found in a corner') > 0, 'a shelf that the books do not know');
SELECT is(pg_temp.on_hand(4, 2), 3::bigint, 'is known now');
SELECT throws_ok('SELECT oms.count_stock(1, 3, 1, 1, 0, reason => ''x'')', 'OM008', NULL, 'a kit has no shelf');
SELECT throws_ok('SELECT oms.count_stock(1, 99, 1, 1, 0, reason => ''x'')', 'OM002', NULL, 'nor has an unknown item');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 99, 1, 0, reason => ''x'')', 'OM002', NULL, 'nor an unknown location');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, -1, 9, reason => ''x'')', 'OM011', NULL, 'nothing less than nothing is counted');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, 1, 9, shortfall => ''maybe'', reason => ''x'')', 'OM011', NULL, 'an unknown choice');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, cause) VALUES (1, 1, 1, 'state', 0, 2, 'dropped');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, 1, 9, reason => ''x'')', 'OM008', NULL, 'fewer than lie there damaged');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, cause) VALUES (1, 1, 1, 'state', 0, -2, 'repaired');

-- Promises do not keep anybody from counting, and are not passed silently
SELECT pg_temp.place(4, placed => '2026-01-02') AS o2 \gset
SELECT pg_temp.place(3, placed => '2026-01-01') AS o1 \gset
SELECT ok(oms.count_stock(1, 1, 1, 8, 9, reason => 'eaten') > 0, 'down to more than is promised');
SELECT ok(oms.count_stock(1, 1, 1, 7, 8, reason => 'eaten') > 0, 'down to what is promised');
SELECT ok(oms.count_stock(1, 1, 1, 9, 7, reason => 'found') > 0, 'and up');
SELECT is((SELECT string_agg(concat_ws(' ', order_id - :o2, promised, short, backorder), '/') FROM oms.count_shortfall(1, 1, 1, 2)), concat_ws(' ', 0, 4, 4, 4) || '/' || concat_ws(' ', :o1 - :o2, 3, 1, 1),
	'the orders that two units would hit, youngest first');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, 2, 9, reason => ''fire'')', 'OM001', 'the count of item 1 at location 1 is 5 below what is promised', 'below promises it is refused');
SELECT is((SELECT pg_temp.on_hand(1) || ' ' || count(*) FROM oms.stock_count_hit WHERE merchant_id = 1), '9 0', 'and nothing is written');
SELECT oms.count_stock(1, 1, 1, 2, 9, shortfall => 'backorder', reason => 'fire') AS c \gset
SELECT is(pg_temp.line(:o2) || '/' || pg_temp.line(:o1), '0 4/2 1', 'the youngest wait again');
SELECT is((SELECT string_agg(concat_ws(' ', short, backordered), '/' ORDER BY order_id DESC) FROM oms.stock_count_hit WHERE merchant_id = 1 AND count_id = :c), '1 1/4 4', 'the orders hit are rows');
SELECT is((SELECT forced FROM oms.stock_movement WHERE merchant_id = 1 AND source_kind = 'count' AND source_id = :c), false, 'nothing had to be forced');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT ok(oms.count_stock(1, 1, 1, 5, 2, reason => 'in the cellar') > 0, 'three are found');
SELECT is(pg_temp.line(:o2) || '/' || pg_temp.line(:o1), '2 2/3 0', 'and promised to who waits');
SELECT oms.count_stock(1, 1, 1, 4, 5, shortfall => 'keep', reason => 'lost') AS c \gset
SELECT is(pg_temp.line(:o2) || ' ' || pg_temp.on_hand(1) || ' ' || oms.available(1, 1, 1), '2 2 4 -1', 'kept: the promise stands though the shelf does not cover it');
SELECT is((SELECT m.forced || ' ' || c.shortfall FROM oms.stock_movement m, oms.stock_count c WHERE c.merchant_id = 1 AND c.count_id = :c AND m.merchant_id = 1 AND m.source_kind = 'count' AND m.source_id = :c), 'true keep', 'which the books say');
SELECT is((SELECT order_id || ' ' || short || ' ' || backordered FROM oms.stock_count_hit WHERE merchant_id = 1 AND count_id = :c), :o2 || ' 1 0', 'and whom it hits');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'which is no fault');
SELECT ok(oms.count_stock(1, 1, 1, 12, 4, reason => 'delivery') > 0, 'covered again');
SELECT is(pg_temp.line(:o2), '4 0', 'all is promised');

-- What is picked stays promised; a higher priority goes first
SELECT is(oms.cancel_order(1, :o1), :o1 ::bigint, 'another begins');
SELECT oms.plan_fulfilment(1, :o2) AS f \gset
SELECT oms.confirm_pick(1, fulfilment_id) AS picked FROM oms.fulfilment WHERE merchant_id = 1 AND order_id = :o2 \gset
SELECT pg_temp.place(3, placed => '2025-01-01') AS old \gset
SELECT pg_temp.place(3, placed => '2026-02-01') AS rush \gset
SELECT oms.set_urgency(1, :rush, priority => 9) \gset
SELECT is((SELECT string_agg(order_id || ' ' || short || ' ' || backorder, '/' ORDER BY order_id) FROM oms.count_shortfall(1, 1, 1, 5)), :old || ' 3 3/' || :rush || ' 2 2', 'picked units are covered first, then the urgent');
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, 3, 12, shortfall => ''backorder'', reason => ''x'')', 'OM001', NULL, 'picked units do not wait again');
SELECT is(pg_temp.line(:old) || '/' || pg_temp.line(:rush), '3 0/3 0', 'and then nobody does');

-- Holds and safety
SELECT oms.hold_stock(1, 1, 1, 2) AS hold \gset
SELECT throws_ok('SELECT oms.count_stock(1, 1, 1, 11, 12, shortfall => ''backorder'', reason => ''x'')', 'OM001', NULL, 'a hold does not wait');
SELECT is(oms.release_stock(1, :hold), 2::bigint, 'released');
UPDATE oms.stock SET safety = 2 WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1;
SELECT ok(oms.count_stock(1, 1, 1, 11, 12, reason => 'eaten') > 0, 'units kept back are not promised to anybody');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
UPDATE oms.stock SET safety = 0 WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1;

-- Kits wait whole
SELECT count(oms.cancel_order(1, o)) FROM unnest(ARRAY[:old, :rush]) o \gset
SELECT pg_temp.place(3, 'K') AS k \gset
SELECT ok(oms.count_stock(1, 2, 1, 2, 10, shortfall => 'backorder', reason => 'rain') > 0, 'one box too few');
SELECT is(pg_temp.line(:k) || ' ' || oms.available(1, 1, 1), '2 1 3', 'one kit waits, its apples are free');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Sessions
SELECT oms.receive_stock(1, 4, 1, 5, 'opening') AS m \gset
SELECT oms.open_count(1, 1) AS s \gset
SELECT is((SELECT string_agg(sku, ' ' ORDER BY sku) FROM oms.count_lines WHERE merchant_id = 1 AND session_id = :s AND counted IS NULL AND expected IS NULL), 'A B C', 'all that lies there');
SELECT throws_ok(format('SELECT oms.post_count(1, %s)', :s), 'OM008', NULL, 'nothing is counted yet');
SELECT is(oms.record_count(1, :s, 4, 3), -2::bigint, 'two cups too few');
SELECT is(oms.record_count(1, :s, 4, 4, reason => 'looked again'), -1::bigint, 'counted again');
SELECT is(oms.record_count(1, :s, 2, 2), 0::bigint, 'boxes agree');
SELECT oms.receive_stock(1, 4, 1, 10, 'delivery') AS m \gset
SELECT is(oms.post_count(1, :s, request_key => 'p'), 2::bigint, 'two of three were counted');
SELECT is(oms.post_count(1, :s, request_key => 'p'), 2::bigint, 'twice is once');
SELECT is(pg_temp.on_hand(4), 14::bigint, 'what came since the count stays');
SELECT is((SELECT concat_ws(' ', expected, counted, variance, reason) FROM oms.count_lines WHERE merchant_id = 1 AND session_id = :s AND item_id = 4), '5 4 -1 looked again', 'the line says how it differed');
SELECT throws_ok(format('SELECT oms.record_count(1, %s, 4, 3)', :s), 'OM008', NULL, 'a posted session is closed');
SELECT oms.open_count(1, 1, ARRAY[4, 4]::bigint[]) AS s1 \gset
SELECT oms.open_count(1, 1, ARRAY[4]::bigint[]) AS s2 \gset
SELECT is(oms.record_count(1, :s1, 4, 13) || ' ' || oms.record_count(1, :s2, 4, 13), '-1 -1', 'two count the same');
SELECT throws_ok(format('SELECT oms.post_count(1, %s)', :s1), 'OM011', 'argument "reason" is missing', 'without a reason');
SELECT is(oms.post_count(1, :s1, reason => 'shrinkage'), 1::bigint, 'the first counts');
SELECT throws_ok(format('SELECT oms.post_count(1, %s, reason => ''shrinkage'')', :s2), 'OM008', 'item 4 at location 1 was counted again since', 'the second would count it twice');
SELECT is(oms.cancel_count(1, :s2), :s2 ::bigint, 'cancelled');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- A session below promises
SELECT pg_temp.place(13, 'C') AS c \gset
SELECT oms.open_count(1, 1, ARRAY[2, 4]::bigint[]) AS s \gset
SELECT oms.record_count(1, :s, 4, 10, reason => 'broken'), oms.record_count(1, :s, 2, 1, reason => 'broken') \gset
SELECT throws_ok(format('SELECT oms.post_count(1, %s)', :s), 'OM001', NULL, 'asks what to do');
SELECT is(oms.post_count(1, :s, shortfall => 'backorder'), 2::bigint, 'told so');
SELECT is(pg_temp.line(:c) || '/' || pg_temp.line(:k), '10 3/1 2', 'both orders wait for what is missing');

-- Cycles
INSERT INTO oms.count_cycle (merchant_id, location_id, item_id, every_days) VALUES (1, 1, 1, 30), (1, 2, 1, 30), (1, 1, 2, 30);
SELECT is((SELECT string_agg(item_id || '@' || location_id, ' ' ORDER BY 1) FROM oms.count_due WHERE merchant_id = 1), '1@2', 'due: what was never counted');
SET oms.test_clock = '2099-01-01';
SELECT oms.open_count(1, 1, due => true) AS s \gset
SELECT is((SELECT string_agg(item_id::text, ' ' ORDER BY item_id) FROM oms.count_line WHERE merchant_id = 1 AND session_id = :s), '1 2', 'later, all that is due at the location');
RESET oms.test_clock;

-- By hand
SELECT throws_ok('UPDATE oms.stock_count SET counted = 1', 'OM009', NULL, 'counts stay');
SELECT throws_ok('UPDATE oms.count_line SET counted = 1', 'OM009', NULL, 'lines are recorded');
SELECT throws_ok('INSERT INTO oms.stock_count_hit VALUES (1, 1, 1, 1, 1, 1)', 'OM009', NULL, 'hits are found');

-- What verify() finds
CREATE FUNCTION pg_temp.seed(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text;
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE statement;
	SET LOCAL session_replication_role = origin;
	SELECT string_agg(DISTINCT v.rule, ' ' ORDER BY v.rule) INTO said FROM oms.verify(1) v;
	RAISE EXCEPTION USING errcode = 'XX999', message = coalesce(said, '');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
SELECT is(array_agg(pg_temp.seed(s)), '{"count_is_movement stock_is_ledger","count_is_movement session_is_counts",session_is_counts,session_is_counts,no_oversell,"no_oversell shelf_not_negative stock_is_ledger"}', 'each fault by its rule')
FROM unnest(ARRAY[
	'DELETE FROM oms.stock_movement WHERE kind = ''count'' AND item_id = 4 AND location_id = 1 AND quantity = -1',
	'UPDATE oms.stock_count SET counted = counted + 1 WHERE item_id = 4 AND location_id = 1',
	'UPDATE oms.count_line SET count_id = NULL WHERE item_id = 4',
	'UPDATE oms.count_session SET state = ''cancelled'' WHERE state = ''posted''',
	-- two units were taken from promises by force: that excuses two, and no more
	'UPDATE oms.reservation SET quantity = quantity + 50 WHERE item_id = 1 AND line_no = 1 AND reservation_id = (SELECT max(reservation_id) FROM oms.reservation WHERE item_id = 1)',
	'UPDATE oms.stock SET on_hand = -5 WHERE item_id = 1 AND location_id = 1']) s;
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
