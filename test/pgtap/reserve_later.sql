-- When stock is reserved: at placement, at confirmation, by hand, before the ship date; what is missing; and again after a short pick.
BEGIN;
SELECT plan(106);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'), (1, 4, 'S', 'Service', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
CREATE FUNCTION pg_temp.place(lines text, more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', 1, 'lines', (SELECT jsonb_agg(jsonb_build_object('sku', split_part(l, '=', 1), 'quantity', split_part(l, '=', 2)::int, 'unit_price', '1')) FROM unnest(string_to_array(lines, ' ')) l)) || more) $$;
CREATE FUNCTION pg_temp.lines(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(allocated || '+' || backordered || '/' || ordered - cancelled, ' ' ORDER BY line_no) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(line_no || ':' || item_id || '@' || location_id || '=' || q, ' ' ORDER BY line_no, item_id, location_id), '') FROM
	(SELECT line_no, item_id, location_id, sum(quantity) q FROM oms.reservation WHERE merchant_id = 1 AND order_id = o GROUP BY 1, 2, 3) x $$;
CREATE FUNCTION pg_temp.schedule(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', reserve, allocation, to_char(ship_at AT TIME ZONE 'UTC', 'DD'), to_char(due_at AT TIME ZONE 'UTC', 'DD HH24:MI'), CASE WHEN reserved_at IS NULL THEN 'waits' ELSE 'done' END) FROM oms.order_schedule WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.events(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE merchant_id = 1 AND order_id = o $$;
SELECT oms.receive_stock(1, 1, 1, 10, 'opening'), oms.receive_stock(1, 2, 1, 10, 'opening') \g /dev/null

-- At placement: nothing is written about it, unless the document has a ship date
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.lines(:o), '1+0/1', 'at once');
SELECT is((SELECT count(*) FROM oms.order_schedule), 0::bigint, 'and no row');
SELECT pg_temp.place('A=1', '{"ship_at": "2026-06-20T12:00:00Z"}') AS o \gset
SELECT is(pg_temp.schedule(:o) || ' ' || pg_temp.lines(:o), 'placement strict 20 done 1+0/1', 'a ship date is kept');
SELECT throws_ok($$ SELECT pg_temp.place('A=1', '{"ship_at": "soon"}') $$, 'OM003', NULL, 'and must be one');

-- At confirmation
SELECT oms.set_setting(1, 'reserve', 'confirmation') \g /dev/null
SELECT is(pg_temp.lines(pg_temp.place('A=1')), '1+0/1', 'confirmed at once, reserved at once');
SELECT pg_temp.place('A=2 K=1 S=1', '{"confirm": false}') AS o \gset
SELECT is(pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '0+0/2 0+0/1 0+0/1 confirmation strict waits', 'a placed order waits');
SELECT is(oms.available(1, 1, 1), 7::bigint, 'and takes nothing');
SELECT is(oms.transition(1, :o, 'confirmed'), 'confirmed', 'confirmed');
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '1:1@1=2 2:1@1=2 2:2@1=1 2+0/2 1+0/1 0+0/1 confirmation strict done', 'reserved');
SELECT is(pg_temp.events(:o), 'order.placed order.confirmed order.reserved', 'its timeline says so');
SELECT pg_temp.place('A=9', '{"confirm": false}') AS o \gset
SELECT throws_ok(format('SELECT oms.transition(1, %s, ''confirmed'')', :o), 'OM001', format('not enough stock to confirm order %s', :o), 'strict and short: it is not confirmed');
SELECT is(pg_temp.lines(:o) || ' ' || (SELECT lifecycle FROM oms.sales_order WHERE order_id = :o), '0+0/9 placed', 'and is as it was');
SELECT throws_ok(format('UPDATE oms.sales_order SET lifecycle = ''confirmed'' WHERE order_id = %s', :o), 'OM001', NULL, 'nor by hand');
SELECT pg_temp.place('A=9', '{"confirm": false, "allocation": "backorder"}') AS b \gset
SELECT lives_ok(format('UPDATE oms.sales_order SET lifecycle = ''confirmed'' WHERE order_id = %s', :b), 'the order''s own policy counts');
SELECT is(pg_temp.lines(:b) || ' ' || pg_temp.schedule(:b), '3+6/9 confirmation backorder done', 'and the rest is backordered');
SELECT oms.receive_stock(1, 1, 2, 6, 'rest') > 0 AS received \gset
SELECT is(pg_temp.lines(:b), '9+0/9', 'which a receipt fills');
SELECT pg_temp.place('A=1 NEW=1', '{"allocation": "backorder"}') AS o \gset
SELECT is(pg_temp.lines(:o), '0+0/1 0+0/1', 'an unknown SKU keeps the order from being confirmed');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 5, 'NEW', 'New');
SELECT is(pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '0+1/1 0+1/1 confirmation backorder done', 'known it is, and its stock is asked for');
SELECT pg_temp.place('A=1', '{"allocation": "none", "confirm": false}') AS o \gset
SELECT oms.transition(1, :o, 'confirmed') \g /dev/null
SELECT is(pg_temp.lines(:o) || coalesce(pg_temp.schedule(:o), ' none'), '0+0/1 none', 'who wants nothing reserved gets nothing');

-- By hand
SELECT oms.set_setting(1, 'reserve', 'manual') \g /dev/null
SELECT oms.receive_stock(1, 1, 1, 6, 'five more and one that waits') > 0 AS received \gset
SELECT pg_temp.place('A=4 B=2') AS o \gset
SELECT is(pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '0+0/4 0+0/2 manual strict waits', 'confirmed, and waits');
SELECT is(oms.reserve(1, :o, 2, request_key => 'r'), 2, 'one line');
SELECT is(oms.reserve(1, :o, 2, request_key => 'r'), 2, 'asked again');
SELECT is(pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '0+0/4 2+0/2 manual strict waits', 'promised once');
SELECT is(oms.reserve(1, :o), 4, 'the rest');
SELECT is(pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '4+0/4 2+0/2 manual strict done', 'waits no longer');
SELECT is(oms.reserve(1, :o), 0, 'nothing to reserve');
SELECT pg_temp.place('A=4') AS o \gset
SELECT is(oms.reserve(1, :o) || ' ' || pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '1 1+0/4 manual strict waits', 'strict and short: what there is, and it waits on');
SELECT oms.receive_stock(1, 1, 1, 3, 'three') > 0 AS received \gset
SELECT is(pg_temp.lines(:o), '1+0/4', 'a receipt does not fill it');
SELECT is(oms.reserve(1, :o) || ' ' || pg_temp.schedule(:o), '3 manual strict done', 'asked again it gets the rest');
SELECT pg_temp.place('A=4', '{"allocation": "backorder"}') AS o \gset
SELECT is(oms.reserve(1, :o) || ' ' || pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '0 0+4/4 manual backorder done', 'else the rest is backordered');
SELECT is(oms.cancel_order(1, :o), :o ::bigint, 'cancelled');
SELECT throws_ok(format('SELECT oms.reserve(1, %s)', :o), 'OM008', NULL, 'needs no stock');
SELECT throws_ok('SELECT oms.reserve(1, 987654321)', 'OM002', NULL, 'an order that is not there');
SELECT throws_ok(format('SELECT oms.reserve(1, %s, 0)', :o), 'OM011', NULL, 'a line that cannot be');

-- Before the ship date, to the instant
SELECT oms.set_setting(1, 'reserve', 'ship_date') \g /dev/null
SELECT oms.set_setting(1, 'reserve_days', '5') \g /dev/null
SET LOCAL oms.test_clock TO '2026-06-01 00:00Z';
SELECT oms.receive_stock(1, 1, 1, 20, 'twenty') > 0 AS received \gset
SELECT is(pg_temp.lines(pg_temp.place('A=1')), '1+0/1', 'without a ship date at once');
SELECT is(pg_temp.lines(pg_temp.place('A=1', '{"ship_at": "2026-06-06T00:00:00Z"}')), '1+0/1', 'so is what is due by now');
SELECT pg_temp.place('A=2', '{"ship_at": "2026-06-20T12:00:00Z"}') AS d20, pg_temp.place('A=3', '{"ship_at": "2026-06-19T12:00:00Z"}') AS d19, pg_temp.place('A=1', '{"ship_at": "2026-06-19T12:00:00Z"}') AS gone \gset
SELECT is(pg_temp.schedule(:d20) || ', ' || pg_temp.lines(:d20), 'ship_date strict 20 15 12:00 waits, 0+0/2', 'five days before');
SELECT is(oms.cancel_order(1, :gone), :gone ::bigint, 'one is cancelled meanwhile');
SELECT is_empty($$ SELECT * FROM oms.reserve_due(1) $$, 'nothing is due');
SELECT is_empty($$ SELECT * FROM oms.reserve_due(1, '2026-06-14T11:59:59.999999Z') $$, 'nor a microsecond before');
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-06-14T12:00:00Z') $$, format('VALUES (%s::bigint, 3, 0)', :d19), 'at the instant it is');
SELECT is(pg_temp.schedule(:d19) || ', ' || pg_temp.lines(:d19), 'ship_date strict 19 14 12:00 done, 3+0/3', 'reserved');
SELECT is((SELECT count(*) FROM oms.order_schedule WHERE order_id = :gone), 0::bigint, 'the cancelled one waits no longer');
SELECT is_empty($$ SELECT * FROM oms.reserve_due(1, '2026-06-15T11:59:59Z') $$, 'once');
SET LOCAL oms.test_clock TO '2026-06-15 12:00Z';
SELECT results_eq('SELECT * FROM oms.reserve_due(1)', format('VALUES (%s::bigint, 2, 0)', :d20), 'by the clock too');
SELECT pg_temp.place('A=50', '{"ship_at": "2026-07-20T12:00:00Z"}') AS s, pg_temp.place('A=50', '{"ship_at": "2026-07-21T12:00:00Z", "allocation": "backorder"}') AS b, oms.available(1, 1, 1) AS free \gset
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-07-17', 1) $$, format('VALUES (%s::bigint, %s, %s)', :s, :free, 50 - :free), 'short and strict: what there is; no more orders than asked for');
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-07-17') $$, format('VALUES (%s::bigint, 0, %s), (%s::bigint, 0, 50)', :s, 50 - :free, :b), 'it is asked for again; the other is backordered');
SELECT is(pg_temp.lines(:b) || ' ' || pg_temp.schedule(:b), '0+50/50 ship_date backorder 21 16 12:00 done', 'and done');
SELECT is(oms.cancel_order(1, :b), :b ::bigint, 'cancelled');
-- A strict order that is short does not keep others from being asked for
SELECT pg_temp.place('B=1', '{"ship_at": "2026-07-21T12:00:00Z"}') AS later \gset
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-07-17', 1) $$, format('VALUES (%s::bigint, 1, 0)', :later), 'who was not asked for yet comes first where not all are looked at');
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-07-17', 1) $$, format('VALUES (%s::bigint, 0, %s)', :s, 50 - :free), 'then the short one again');
SELECT pg_temp.place('A=1', '{"ship_at": "2026-07-21T12:00:00Z"}') AS young, oms.receive_stock(1, 1, 1, 1, 'one') AS m \gset
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-07-17') $$, format('VALUES (%s::bigint, 1, %s), (%s::bigint, 0, 1)', :s, 49 - :free, :young), 'of those looked at the earliest is served first');
SELECT is((SELECT count(oms.cancel_order(1, x)) FROM unnest(ARRAY[:later, :young]::bigint[]) x), 2::bigint, 'cancelled');
SELECT is(oms.cancel_order(1, :s), :s ::bigint, 'cancelled');
-- What is in preorder is not missing: it waits, on strict orders too, and counts
SELECT oms.set_setting(1, 'reserve', 'confirmation') \g /dev/null
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 75, 'POST', 'Poster');
SELECT oms.set_preorder(1, 75, '2031-01-01Z') > 0 AS opened, oms.set_preorder_cap(1, 75, 4) AS used, oms.receive_stock(1, 75, 1, 1, 'one') > 0 AS received \gset
SELECT pg_temp.place('POST=3 A=1', '{"confirm": false}') AS o, pg_temp.place('POST=3', '{"confirm": false}') AS second, pg_temp.place('POST=1 A=500', '{"confirm": false}') AS short \gset
SELECT is(oms.transition(1, :o, 'confirmed') IS NOT NULL, true, 'a strict order of an item in preorder is confirmed');
SELECT is(pg_temp.lines(:o) || ' ' || pg_temp.schedule(:o), '1+2/3 1+0/1 confirmation strict done', 'what there is is promised, the rest is preordered');
SELECT is((SELECT preordered || ' ' || (promised_at AT TIME ZONE 'UTC')::date FROM oms.order_lines WHERE merchant_id = 1 AND order_id = :o AND line_no = 1), '2 2031-01-01', 'for its day');
SELECT throws_like(format('SELECT oms.transition(1, %s, ''confirmed'')', :second), '%is sold out in preorder%', 'a cap refuses to confirm');
SELECT throws_ok(format('SELECT oms.transition(1, %s, ''confirmed'')', :short), 'OM001', NULL, 'another line that is short does so as well');
SELECT is((SELECT used FROM oms.preorders WHERE item_id = 75), 2::bigint, 'and nothing was counted');
SELECT is(oms.reserve(1, :short) || ' ' || pg_temp.lines(:short) || ' ' || pg_temp.schedule(:short), (SELECT available || ' 0+1/1 ' || available || '+0/500 confirmation strict waits' FROM (SELECT sum(oms.available(1, 1, l)) AS available FROM unnest('{1,2}'::int[]) l) x), 'reserved by hand it preorders, and waits for the others');
SELECT is(oms.reserve(1, :short) || ' ' || pg_temp.lines(:short), '0 0+1/1 ' || (SELECT allocated FROM oms.order_line WHERE order_id = :short AND line_no = 2) || '+0/500', 'once');
SELECT is((SELECT used FROM oms.preorders WHERE item_id = 75), 3::bigint, 'counted once');
SELECT is((SELECT count(oms.cancel_order(1, x)) FROM unnest(ARRAY[:o, :second, :short]::bigint[]) x), 3::bigint, 'cancelled');
SELECT oms.set_setting(1, 'reserve', 'ship_date') \g /dev/null
SELECT pg_temp.place('A=2', '{"ship_at": "2026-06-25T12:00:00Z"}') AS o \gset
SELECT is(oms.set_ship_date(1, :o, '2026-06-22 00:00Z', 'd'), '2026-06-17 00:00Z', 'a ship date moves, and what is due with it');
SELECT is(oms.set_ship_date(1, :o, '2026-06-22 00:00Z', 'd'), '2026-06-17 00:00Z', 'asked again');
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-06-17 00:00Z') $$, format('VALUES (%s::bigint, 2, 0)', :o), 'due by the new date');
SELECT is(oms.set_ship_date(1, :o, '2026-06-28 00:00Z'), NULL, 'what is reserved waits for no date');
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(oms.set_ship_date(1, :o, '2026-06-28 00:00Z', 'e'), NULL, 'nor an order without one');
SELECT is(oms.set_ship_date(1, :o, '2026-06-28 00:00Z', 'e'), NULL, 'asked again');
SELECT is(pg_temp.schedule(:o), 'placement none 28 done', 'the date is kept');
SELECT throws_ok(format('SELECT oms.set_ship_date(1, %s, ''infinity'')', :o), 'OM011', NULL, 'for ever is no date');
SELECT throws_ok(format('SELECT oms.set_ship_date(1, %s, NULL)', :o), 'OM011', NULL, 'nor is null');
SELECT throws_ok('SELECT * FROM oms.reserve_due(1, NULL, 0)', 'OM011', NULL, 'no orders at all');
SELECT throws_ok('DELETE FROM oms.order_schedule', 'OM009', NULL, 'schedules are written by commands');
SELECT throws_ok($$ SELECT oms.set_setting(1, 'reserve_days', 'a few') $$, 'OM011', NULL, 'days are a number');
SELECT oms.set_setting(1, 'reserve_whole', 'order') \g /dev/null
SELECT pg_temp.place('A=2 B=50', '{"ship_at": "2026-07-20T12:00:00Z"}') AS o \gset
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-07-17') $$, format('VALUES (%s::bigint, 0, 52)', :o), 'all or nothing');
SELECT oms.receive_stock(1, 2, 2, 50, 'boxes') > 0 AS received \gset
SELECT results_eq($$ SELECT * FROM oms.reserve_due(1, '2026-07-17') $$, format('VALUES (%s::bigint, 52, 0)', :o), 'when all is there');
SELECT oms.set_setting(1, 'reserve_whole', 'no'), oms.set_setting(1, 'reserve', 'placement') \g /dev/null

-- A channel of its own
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'b2b', 'B2B', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 2, 1);
SELECT oms.set_setting(1, 'reserve', 'manual', 2) \g /dev/null
SELECT is(pg_temp.lines(pg_temp.place('A=1')) || ' ' || pg_temp.lines(pg_temp.place('A=1', '{"channel": 2}')), '1+0/1 0+0/1', 'by channel');
INSERT INTO oms.staged_order SELECT 1, 's', n, jsonb_build_object('channel', n, 'lines', '[{"sku": "A", "quantity": 1, "unit_price": "1"}]'::jsonb) FROM generate_series(1, 2) n;
SELECT orders FROM oms.place_orders(1, 's') \g /dev/null
SELECT is((SELECT string_agg(pg_temp.lines(order_id), ' ' ORDER BY position) FROM oms.staged_order), '1+0/1 0+0/1', 'also many at once');

-- After a short pick
SELECT oms.set_setting(1, 'short_pick_exclusion_days', '3'), oms.set_setting(1, 'after_short_pick', 'reserve') \g /dev/null
SELECT oms.adjust_stock(1, 1, 1, 5 - oms.available(1, 1, 1), 'test'), oms.receive_stock(1, 1, 2, 5, 'west') \g /dev/null
SELECT pg_temp.place('A=4') AS o \gset
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :o) \gset
SELECT is(pg_temp.promised(:o), '1:1@1=4', 'planned at the first location');
SELECT is(oms.short_pick(1, :f, 1, 3, adjust => false)::int, 3, 'three are not found');
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o), '1:1@1=1 1:1@2=3 4+0/4', 'and come from elsewhere, in one commit');
SELECT is((SELECT string_agg(concat_ws(' ', location_id, reason, detail), ', ' ORDER BY location_id) FROM oms.sourcing_decision WHERE order_id = :o), '1 excluded short pick, 2 chosen', 'the location is not asked again');
SELECT is(pg_temp.promised(pg_temp.place('A=1')), '1:1@2=1', 'nor for other orders');
SELECT is(pg_temp.promised(pg_temp.place('B=1')), '1:2@1=1', 'but for other items');
SET LOCAL oms.test_clock TO '2026-06-18 11:59:59Z';
SELECT is(pg_temp.promised(pg_temp.place('A=1')), '1:1@2=1', 'for three days');
SET LOCAL oms.test_clock TO '2026-06-18 12:00Z';
SELECT is(pg_temp.promised(pg_temp.place('A=1')), '1:1@1=1', 'and then again');
SELECT is((SELECT count(*) FROM oms.plan_fulfilment(1, :o)), 1::bigint, 'what was sourced anew is planned');
-- by the rule of the order: one shipment
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name, max_shipments) VALUES (1, 1, 'one', 1);
DELETE FROM oms.sourcing_exclusion;
SELECT oms.set_setting(1, 'after_short_pick', 'backorder'), oms.set_setting(1, 'short_pick_exclusion_days', '0') \g /dev/null
SELECT oms.adjust_stock(1, 1, 1, 4 - oms.available(1, 1, 1), 'test'), oms.adjust_stock(1, 1, 2, 5 - oms.available(1, 1, 2), 'test') \g /dev/null
SELECT pg_temp.place('A=4') AS o \gset
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :o) \gset
SELECT is(oms.short_pick(1, :f, 1, 3)::int, 3, 'short again');
SELECT is(pg_temp.lines(:o), '1+3/4', 'left backordered');
SELECT is(oms.reserve(1, :o), 0, 'another location would be another shipment');
SELECT oms.receive_stock(1, 1, 2, 1, 'one') > 0 AS received \gset
SELECT is(pg_temp.lines(:o), '1+3/4', 'a receipt there does not break the limit either');
SELECT oms.receive_stock(1, 1, 1, 3, 'three') > 0 AS received \gset
SELECT is(pg_temp.promised(:o), '1:1@1=4', 'one at its location fills it');
UPDATE oms.sourcing_rule SET max_shipments = NULL, split_lines = false;
SELECT pg_temp.place('A=6', '{"allocation": "backorder"}') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@2=6', 'a line from one place');
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :o) \gset
SELECT oms.short_pick(1, :f, 1, 2, adjust => true) AS short, oms.receive_stock(1, 1, 1, 9, 'nine') > 0 AS received \gset
SELECT is(pg_temp.promised(:o), '1:1@2=4', 'stays at one place');
UPDATE oms.sourcing_rule SET split_lines = true;
SELECT is(oms.reserve(1, :o), 2, 'until it may be split');
SELECT is((SELECT shipments || ' ' || opened FROM oms.sourcing WHERE order_id = :o ORDER BY sourcing_id DESC LIMIT 1), '2 1', 'which opens a location');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- verify() names each fault
CREATE TEMPORARY TABLE found (rule text, object text, said text[]);
CREATE FUNCTION pg_temp.seed(rule text, object text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE said text[];
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		EXECUTE statement;
		SET LOCAL session_replication_role = origin;
		SELECT array_agg(v.rule || ': ' || v.object) INTO said FROM oms.verify(1) v;
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		INSERT INTO found VALUES (rule, object, said);
	END;
END $$;
SELECT pg_temp.seed('sourcing_units', 'order ' || :o || ' sourcing 1', 'UPDATE oms.sourcing SET promised = promised - 1 WHERE sourcing_id = 1 AND order_id = ' || :o) \g /dev/null
SELECT pg_temp.seed('sourcing_units', 'order ' || :o || ' sourcing 1', 'DELETE FROM oms.sourcing_location WHERE sourcing_id = 1 AND order_id = ' || :o) \g /dev/null
SELECT pg_temp.seed('sourcing_units', 'order ' || :o || ' sourcing 1', 'UPDATE oms.sourcing SET wanted = 1 WHERE sourcing_id = 1 AND order_id = ' || :o) \g /dev/null
SELECT pg_temp.seed('sourcing_shipments', 'order ' || :o || ' sourcing 2', 'UPDATE oms.sourcing SET max_shipments = 1 WHERE sourcing_id = 2 AND order_id = ' || :o) \g /dev/null
SELECT pg_temp.seed('sourcing_shipments', 'order ' || :o || ' sourcing 1', 'UPDATE oms.sourcing SET shipments = 0 WHERE sourcing_id = 1 AND order_id = ' || :o) \g /dev/null
SELECT pg_temp.seed('schedule_due', 'order ' || :d20, 'UPDATE oms.order_schedule SET due_at = due_at + interval ''1 s'' WHERE order_id = ' || :d20) \g /dev/null
SELECT ok(rule || ': ' || object = ANY (said), rule || ' is found') FROM found;
SELECT is_empty($$ SELECT DISTINCT m[1] FROM regexp_matches(pg_get_viewdef('oms.verify_sourcing'), '''(sourcing_\w+|schedule_\w+)''', 'g') m EXCEPT SELECT rule FROM found $$, 'no rule is left out');

SELECT * FROM finish();
ROLLBACK;
