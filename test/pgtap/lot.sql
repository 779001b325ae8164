-- Lots, serial numbers, expiry: what may be sold and until when, which lots an order gets, where each unit came from and went.
-- Not one transaction: time passes, and counters are read again between transactions.
SELECT plan(79);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann'), (1, 2, 'Ben');
INSERT INTO oms.item (merchant_id, item_id, sku, title, tracking) VALUES (1, 1, 'MILK', 'Milk', 'lot'), (1, 2, 'PHONE', 'Phone', 'serial'), (1, 5, 'CHEESE', 'Cheese', 'lot');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 3, 'BOX', 'Box', 'stocked'), (1, 4, 'KIT', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 4, 1, 2), (1, 4, 2, 1), (1, 4, 3, 1);
SELECT oms.receive_stock(1, 3, 1, 50, 'opening');
SET oms.test_clock = '2026-01-01 12:00+00';

CREATE FUNCTION pg_temp.place(lines text, more text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"confirm":true,"lines":[' || lines || ']' || more || '}')::jsonb) $$;
CREATE FUNCTION pg_temp.milk(quantity int, customer int DEFAULT 1, sku text DEFAULT 'MILK') RETURNS bigint LANGUAGE sql AS $$
	SELECT pg_temp.place(format('{"sku":"%s","quantity":%s,"unit_price":"1"}', sku, quantity), ',"customer":' || customer) $$;
CREATE FUNCTION pg_temp.plan_it(o bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT fulfilment_id FROM oms.plan_fulfilment(1, o) $$;
CREATE FUNCTION pg_temp.lots(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(lot || '=' || -q, ' ' ORDER BY lot) FROM (SELECT lot, sum(quantity) AS q FROM oms.lot_trace
	WHERE merchant_id = 1 AND order_id = o AND what IN ('picked', 'packed', 'shipment') GROUP BY 1) x $$;
CREATE FUNCTION pg_temp.gate(item bigint) RETURNS text LANGUAGE sql AS $$
	SELECT counter || CASE WHEN counter = recomputed THEN '' ELSE ' but ' || recomputed END FROM oms.stock_gate WHERE item_id = item AND location_id = 1 $$;
CREATE FUNCTION pg_temp.touch(item bigint) RETURNS text LANGUAGE sql AS $$
	SELECT oms.hold_stock(1, item, 1, 1, scope => 'transaction') < 0; $$;

-- A movement of a tracked item names its lot
SELECT throws_ok($$ SELECT oms.receive_stock(1, 1, 1, 5, 'po') $$, 'OM011', 'a movement of item 1 names no lot', 'a receipt without a lot is refused');
SELECT throws_ok($$ INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 1, 2, 'opening', 1, 'x') $$, 'OM011', NULL, 'typed by hand too');
SELECT throws_ok($$ SELECT oms.receive_lot(1, 3, 1, 'A', 5, 'po') $$, 'OM008', 'item "BOX" has no lots', 'an item that is not tracked has none');
SELECT throws_ok($$ SELECT oms.receive_lot(1, 99, 1, 'A', 5, 'po') $$, 'OM002', NULL, 'nor has an unknown one');
SELECT throws_ok($$ INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, tracking) VALUES (1, 9, 'X', 'X', 'kit', 'lot') $$, '23514', NULL, 'a kit is not tracked, its parts are');
SELECT oms.receive_lot(1, 1, 1, 'B', 10, 'po 1', expires_at => '2026-03-01', minimum_life => '10 days', origin => 'farm B');
SELECT oms.receive_lot(1, 1, 1, 'A', 10, 'po 2', expires_at => '2026-02-01', origin => 'farm A');
SELECT throws_ok($$ INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, lot_id) VALUES (1, 1, 3, 'opening', 1, 'x', 1) $$, 'OM011', NULL, 'an untracked one names none');
SELECT throws_ok($$ INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, lot_id) VALUES (1, 1, 1, 'opening', 1, 'x', 99) $$, 'OM002', NULL, 'an unknown lot is refused');
SELECT throws_ok($$ SELECT oms.receive_lot(1, 1, 1, 'A', 5, 'po', expires_at => '2027-01-01') $$, 'OM008', NULL, 'a lot has one expiry');
SELECT lives_ok($$ SELECT oms.receive_lot(1, 1, 1, 'A', 1, 'po 3', request_key => 'k1') FROM generate_series(1, 3) $$, 'more of it');
SELECT is((SELECT on_hand FROM oms.lot_level WHERE lot = 'A'), 11::bigint, 'once per request key');
SELECT is((SELECT sell_by::text FROM oms.lot WHERE lot = 'B'), '2026-02-19 00:00:00+00', 'sell by: expiry less the life that must remain');
SELECT throws_ok($$ UPDATE oms.lot_stock SET on_hand = 99 $$, 'OM009', NULL, 'levels are not typed by hand');
SELECT throws_ok($$ SELECT oms.adjust_lot(1, 1, 1, 'A', -12, 'lost') $$, 'OM001', NULL, 'nor is more taken than is there');
SELECT throws_ok($$ UPDATE oms.item SET tracking = 'none' WHERE item_id = 1 $$, 'OM008', NULL, 'tracking stays once there are movements');
SELECT throws_ok($$ DELETE FROM oms.lot WHERE lot = 'A' $$, 'OM014', NULL, 'a lot stays');
SELECT lives_ok($$ UPDATE oms.item SET tracking = 'serial' WHERE item_id = 5 $$, 'before that it may change');
UPDATE oms.item SET tracking = 'lot' WHERE item_id = 5;

-- A serial number is one unit in one place
SELECT count(oms.receive_lot(1, 2, 1, 'S' || i, 1, 'po 4')) FROM generate_series(1, 6) i;
SELECT throws_ok($$ SELECT oms.receive_lot(1, 2, 1, 'S9', 2, 'po') $$, 'OM008', NULL, 'a serial number is one unit');
SELECT throws_ok($$ SELECT oms.receive_lot(1, 2, 2, 'S1', 1, 'po') $$, 'OM008', NULL, 'it is received once');
SELECT throws_ok($$ SELECT oms.adjust_lot(1, 2, 1, 'S1', 1, 'found') $$, 'OM008', NULL, 'and not twice there');
SELECT throws_ok($$ SELECT oms.adjust_lot(1, 2, 2, 'S1', 1, 'found') $$, '23505', NULL, 'nor at another place at the same time');
SELECT throws_ok($$ INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, lot_id)
	SELECT 1, 2, 2, 'transfer', 1, 'by hand', lot_id FROM oms.lot WHERE lot = 'S1' $$, '23505', NULL, 'typed by hand too');
SELECT lives_ok($$ INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, lot_id)
	SELECT 1, l.l, 2, 'transfer', l.q, 'by hand', lot_id FROM oms.lot, (VALUES (1, -1), (2, 1)) l(l, q) WHERE lot = 'S6' ORDER BY l.q $$, 'out here, then in there');
SELECT is((SELECT location_id FROM oms.lot_level WHERE lot = 'S6'), 2, 'it has moved');

-- Expiry: at the instant, with no job
SELECT is(oms.available(1, 1, 1), 21::bigint, 'both lots are for sale');
SELECT pg_temp.touch(1) AS t \g /dev/null
SELECT is(pg_temp.gate(1), '21', 'the gate says so');
SET oms.test_clock = '2026-01-31 23:59:59.999999+00';
SELECT lives_ok($$ SELECT oms.hold_stock(1, 1, 1, 21, scope => 'transaction') $$, 'until the last moment');
SET oms.test_clock = '2026-02-01 00:00+00';
SELECT is(oms.available(1, 1, 1), 10::bigint, 'then A has left');
SELECT is((SELECT (available, stopped)::text FROM oms.stock_level WHERE item_id = 1), '(10,11)', 'in the view too');
SELECT throws_ok($$ SELECT pg_temp.milk(11) $$, 'OM001', NULL, 'and from the gate');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 11, duration => '1 minute') $$, 'OM001', NULL, 'holds get none of it');
SELECT is(pg_temp.gate(1), '10', 'the counter is what the rows say');
SELECT lives_ok($$ SELECT oms.adjust_lot(1, 1, 1, 'A', -1, 'thrown away') $$, 'expired units can be thrown away');
SELECT is(pg_temp.gate(1), '10', 'which changes nothing for sale');
SELECT oms.receive_lot(1, 1, 1, 'A', 1, 'late delivery');
SELECT is(pg_temp.gate(1), '10', 'nor does receiving them');
SELECT is((SELECT free FROM oms.lot_level WHERE lot = 'A'), 0::bigint, 'none of them is free');
SET oms.test_clock = '2026-02-19 00:00+00';
SELECT throws_ok($$ SELECT pg_temp.milk(1) $$, 'OM001', NULL, 'B is not sold in its last ten days');
UPDATE oms.lot SET minimum_life = '0' WHERE lot = 'B';
SELECT is(pg_temp.gate(1), '10', 'unless that is changed');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');

-- Recall and release
SET oms.test_clock = '2026-01-01 12:00+00';
CALL oms.install();
SELECT pg_temp.milk(15) AS o \gset
SELECT oms.set_lot_status(1, 1, 'A', 'recalled');
SELECT is(oms.available(1, 1, 1), -5::bigint, 'a recall takes promised units too');
SELECT is((SELECT (promised, stopped, missing, orders)::text FROM oms.lot_shortage), '(15,11,5,{' || :o || '})', 'and says which promises cannot be kept');
SELECT is((SELECT data ->> 'status' FROM oms.event WHERE type = 'lot.status'), 'recalled', 'with an event');
SELECT throws_ok($$ SELECT pg_temp.milk(1) $$, 'OM001', NULL, 'nothing more is promised');
SELECT pg_temp.plan_it(:o) AS f \gset
SELECT throws_ok(format('SELECT oms.confirm_pick(1, %s)', :f), 'OM001', NULL, 'more than is fit cannot be picked');
SELECT throws_ok(format('SELECT oms.confirm_pick(1, %s, %L)', :f, '[{"line":1,"quantity":2,"lots":[{"lot":"A","quantity":2}]}]'), 'OM008', NULL, 'a recalled lot not by name either');
SELECT lives_ok(format('SELECT oms.short_pick(1, %s, 1, 5, adjust => false)', :f), 'the rest is backordered');
SELECT is((SELECT (allocated, backordered)::text FROM oms.order_line WHERE order_id = :o), '(10,5)', 'as the line says');
SELECT is_empty('SELECT * FROM oms.lot_shortage', 'every promise can be kept again');
SELECT oms.confirm_pick(1, :f), oms.pack(1, :f);
SELECT is(pg_temp.lots(:o), 'B=10', 'it gets what is fit');
SELECT oms.set_lot_status(1, 1, 'B', 'blocked');
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM008', 'lot "B" of item 1 may not be shipped', 'what is blocked after packing does not leave');
SELECT throws_ok($$ INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, lot_id) SELECT 1, 1, 1, 'shipment', -1, 'by hand', lot_id FROM oms.lot WHERE lot = 'A' $$,
	'OM008', NULL, 'typed by hand neither');
SELECT oms.set_lot_status(1, 1, 'B', 'released');
SELECT oms.ship(1, :f);
SELECT throws_ok($$ SELECT oms.set_lot_status(1, 1, 'B', 'lost') $$, 'OM011', NULL, 'a status must be one');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');

-- The order of reservation, by setting: lots of cheese, each order takes 4 of 3 + 3 + 3 + 3
INSERT INTO oms.bin (merchant_id, location_id, bin, kind) VALUES (1, 1, 'P1', 'pick'), (1, 1, 'B1', 'bulk');
SELECT oms.receive_lot(1, 5, 1, 'C1', 3, 'po', '2026-05-03');
SET oms.test_clock = '2026-01-02 12:00+00';
SELECT oms.receive_lot(1, 5, 1, 'C2', 3, 'po', '2026-05-01'), oms.receive_lot(1, 5, 1, 'C3', 3, 'po', '2026-05-04');
SET oms.test_clock = '2026-01-03 12:00+00';
SELECT oms.receive_lot(1, 5, 1, 'C4', 3, 'po', '2026-05-02');
SELECT oms.place_lot(1, 5, 1, 'C3', 'P1'), oms.place_lot(1, 5, 1, 'C1', 'B1');
SELECT pg_temp.milk(4, 1, 'CHEESE') AS o \gset
SELECT pg_temp.plan_it(:o) AS f \gset
CREATE FUNCTION pg_temp.picked(name text, value text, f bigint, o bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	PERFORM oms.set_setting(1, name, value);
	BEGIN
		PERFORM oms.confirm_pick(1, f);
		result := pg_temp.lots(o);
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN result;
	WHEN SQLSTATE 'OM001' THEN
		RETURN 'short';
	END;
END $$;
SELECT is(pg_temp.picked('lot_order', 'fefo', :f, :o), 'C2=3 C4=1', 'FEFO: what expires first');
SELECT is(pg_temp.picked('lot_order', 'fifo', :f, :o), 'C1=3 C2=1', 'FIFO: what came first');
SELECT is(pg_temp.picked('lot_order', 'lifo', :f, :o), 'C3=1 C4=3', 'LIFO: what came last');
SELECT is(pg_temp.picked('lot_order', 'pick_face', :f, :o), 'C1=1 C3=3', 'the pick face, then bulk');
SELECT is(pg_temp.picked('lot_mix', 'single', :f, :o), 'short', 'no lot alone has four');
SELECT oms.adjust_lot(1, 5, 1, 'C1', 1, 'found');
SELECT is(pg_temp.picked('lot_mix', 'single', :f, :o), 'C1=4', 'now one has');
SELECT oms.set_setting(1, 'lot_mix', 'any'), oms.set_setting(1, 'lot_order', 'fefo');
SELECT oms.confirm_pick(1, :f, '[{"line":1,"quantity":4,"lots":[{"lot":"C3","quantity":3},"C4"]}]'), oms.pack(1, :f), oms.ship(1, :f);
SELECT is(pg_temp.lots(:o), 'C3=3 C4=1', 'or as the picker says');
SELECT pg_temp.milk(2, 1, 'CHEESE') AS o \gset
SELECT pg_temp.plan_it(:o) AS f \gset
SELECT is(pg_temp.picked('lot_not_older', 'yes', :f, :o), 'short', 'nothing that expires before what the customer got');
SELECT is(pg_temp.picked('lot_not_older', 'no', :f, :o), 'C2=2', 'unless that is allowed');

-- Kits, serial numbers, cartons, and back again
SELECT oms.receive_lot(1, 1, 1, 'D', 10, 'po 5', '2026-04-01');
SELECT pg_temp.place('{"sku":"KIT","quantity":2,"unit_price":"1"},{"sku":"BOX","quantity":1,"unit_price":"1"}') AS o \gset
SELECT pg_temp.plan_it(:o) AS f \gset
SELECT throws_ok(format('SELECT oms.confirm_pick(1, %s, %L)', :f, '[{"line":1,"quantity":1,"lots":["S4","S5"]}]'), 'OM011', NULL, 'as many as are picked');
SELECT throws_ok(format('SELECT oms.confirm_pick(1, %s, %L)', :f, '[{"line":1,"quantity":1,"lots":["S4","S99"]}]'), 'OM002', NULL, 'and known ones');
SELECT oms.confirm_pick(1, :f, '[{"line":1,"quantity":2,"lots":["S4","S2"]},{"line":2,"quantity":1}]');
SELECT is(pg_temp.lots(:o), 'D=4 S2=1 S4=1', 'the parts'' lots');
SELECT throws_ok($$ SELECT oms.adjust_lot(1, 2, 1, 'S4', -1, 'lost', forced => true) $$, 'OM001', NULL, 'a picked one is not lost by the way');
SELECT oms.pack(1, :f, '[{"line":1,"quantity":1,"lots":["S2"]}]') AS c \gset
SELECT is((SELECT string_agg(lot || ' ' || what, ', ' ORDER BY lot, what) FROM oms.lot_trace WHERE order_id = :o), 'D packed, D picked, S2 packed, S4 picked', 'one kit in a carton');
SELECT oms.ship(1, :f) AS s \gset
SELECT is((SELECT order_id::text || ' ' || shipment_id || ' ' || carton_id FROM oms.lot_trace WHERE lot = 'S2' AND what = 'shipment'), concat_ws(' ', :o, :s, :c),
	'from a serial number to its order, shipment and carton');
SELECT is((SELECT string_agg(what || coalesce(' ' || origin, ''), ', ' ORDER BY what) FROM oms.lot_trace WHERE lot = 'B' AND what <> 'shipment'), 'receipt farm B', 'and to where a lot came from');
SELECT oms.cancel_fulfilment(1, :f);
SELECT is((SELECT string_agg(lot, ' ' ORDER BY lot) FROM oms.lot_level WHERE item_id = 2 AND free = 1 AND location_id = 1), 'S1 S3 S4 S5', 'what was not shipped is free again');
SELECT oms.request_return(1, :o, '[{"line":1,"quantity":1}]') AS r \gset
SELECT oms.decide_return(1, :r, 'approve'), oms.receive_return(1, :r);
SELECT throws_ok(format('SELECT oms.inspect_return(1, %s, %L)', :r, '[{"line":1,"sellable":1,"lots":["S4"]}]'), 'OM002', NULL, 'only what was shipped comes back');
SELECT oms.inspect_return(1, :r, '[{"line":1,"sellable":1}]');
SELECT is((SELECT string_agg(what, ' ' ORDER BY at, what) FROM oms.lot_trace WHERE lot = 'S2'), 'receipt return shipment', 'a returned serial number is known');
SELECT is((SELECT free FROM oms.lot_level WHERE lot = 'S2'), 1::bigint, 'and in stock');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');

-- Supply of a tracked item is received by lot
SELECT oms.order_supply(1, '{"supplier":"farm","location":"MAIN","expected_at":"2026-01-10T00:00:00Z","lines":[{"sku":"CHEESE","quantity":5}]}') AS s \gset
SELECT throws_ok(format('SELECT oms.receive_supply(1, %s, 1, 2)', :s), 'OM011', NULL, 'which must be said');
SELECT oms.receive_supply(1, :s, 1, 2, lot => 'C5', expires_at => '2026-06-01');
SELECT is((SELECT on_hand::text || ' until ' || (expires_at AT TIME ZONE 'UTC')::date FROM oms.lot_level WHERE lot = 'C5'), '2 until 2026-06-01', 'a new lot');
SELECT throws_ok(format('SELECT oms.receive_supply(1, %s, 1, 2, lot => %L, expires_at => %L)', :s, 'C5', '2026-06-02'), 'OM008', NULL, 'with one expiry');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');

-- verify() names each fault
CREATE TEMPORARY TABLE found (rule text, said text[]);
CREATE FUNCTION pg_temp.seed(rule text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE said text[];
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE statement;
	SET LOCAL session_replication_role = origin;
	SELECT array_agg(v.rule) INTO said FROM oms.verify(1) v;
	RAISE EXCEPTION USING errcode = 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	INSERT INTO found VALUES (rule, said);
END $$;
SELECT pg_temp.seed(rule, statement) FROM (VALUES
	('lot_is_ledger', 'UPDATE oms.lot_stock SET on_hand = on_hand + 1 WHERE item_id = 1'),
	('lot_is_ledger', 'DELETE FROM oms.lot_stock WHERE item_id = 2'),
	('lots_are_stock', 'UPDATE oms.stock SET on_hand = on_hand + 1 WHERE item_id = 1'),
	('lots_are_stock', 'UPDATE oms.item SET tracking = ''lot'' WHERE item_id = 3'),
	('lot_level_follows', 'UPDATE oms.lot SET status = ''recalled'' WHERE lot = ''D'''),
	('lot_level_follows', 'UPDATE oms.lot_stock SET sell_by = ''infinity'' WHERE item_id = 1'),
	('lot_picked', 'UPDATE oms.lot_stock SET picked = 1 WHERE item_id = 2 AND on_hand = 1'),
	('picked_from_lots', 'DELETE FROM oms.lot_pick WHERE item_id = 2'),
	('picked_from_lots', 'UPDATE oms.lot_pick SET quantity = quantity + 1 WHERE item_id = 1'),
	('lot_shipped', 'UPDATE oms.lot_pick SET shipment_id = 987654 WHERE shipment_id IS NOT NULL')) f(rule, statement) \g /dev/null
SELECT is((SELECT count(*) FROM found WHERE rule = ANY (said)), 10::bigint, 'each fault is named');
SELECT is_empty($$ SELECT DISTINCT m[1] FROM regexp_matches(pg_get_viewdef('oms.verify_lot'), 'merchant_id\)?,\s+''(\w+)''|''(lot_is_ledger)''', 'g') m WHERE m[1] IS NOT NULL EXCEPT SELECT rule FROM found $$,
	'no rule is left out');

SELECT * FROM finish();
