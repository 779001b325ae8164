-- What promises and holds leave behind goes to who waits, in the transaction that ends them.
BEGIN;
SELECT plan(30);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (1, 3, 'FAR', 'Of no channel');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
INSERT INTO oms.unpaid_policy (merchant_id, channel_id, minutes, valid_from) VALUES (1, 0, 60, '2026-02-01');

CREATE FUNCTION pg_temp.place(quantity int, sku text DEFAULT 'A', placed text DEFAULT '2026-01-01', allocation text DEFAULT 'backorder') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"placed_at":"' || placed || 'T00:00:00Z","allocation":"' || allocation || '","lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.line(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', allocated, backordered) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.ask(statement text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE x text; BEGIN EXECUTE statement INTO x; RETURN x; END $$;

SELECT oms.receive_stock(1, 1, 1, 10, 'ten') > 0 AS received \gset
SELECT pg_temp.place(10) AS o \gset
SELECT pg_temp.place(9, placed => '2026-01-03') AS young \gset
SELECT pg_temp.place(3, placed => '2026-01-02') AS old \gset

-- Each way in which promises end
SELECT is(oms.cancel_line(1, :o, 1, 1), 1, 'a unit of a line');
SELECT is(pg_temp.line(:old) || '/' || pg_temp.line(:young), '1 2/0 9', 'serves the older order');
SELECT is((SELECT data->>'quantity' FROM oms.event WHERE merchant_id = 1 AND order_id = :old AND type = 'order.backorder_filled'), '1', 'as its timeline says');
SELECT lives_ok(format($$ SELECT oms.edit_order(1, %s, '[{"action": "quantity", "line": 1, "quantity": 6}]') $$, :o), 'an edit');
SELECT is(pg_temp.line(:old), '1 2', 'that is open gives nothing');
SELECT lives_ok(format($$ SELECT oms.confirm_edit(1, %s) $$, :o), 'and confirmed');
SELECT is(pg_temp.line(:old) || '/' || pg_temp.line(:young), '3 0/1 8', 'what it takes off the line, in order');
UPDATE oms.reservation SET quantity = quantity - 1 WHERE merchant_id = 1 AND order_id = :o;
SELECT is(pg_temp.line(:young), '2 7', 'a promise made smaller by hand');
DELETE FROM oms.reservation WHERE merchant_id = 1 AND order_id = :old;
SELECT is(pg_temp.line(:young), '5 4', 'and one deleted');
SELECT is(oms.cancel_order(1, :o, restock => false), :o ::bigint, 'an order whose units are not to be sold again');
SELECT is(pg_temp.line(:young), '5 4', 'serves nobody');
SELECT is(oms.available(1, 1), 0::bigint, 'and nothing is left over');

-- An order that expires
SELECT oms.receive_stock(1, 2, 1, 2, 'boxes') > 0 AS received \gset
SELECT oms.place_order(1, '{"channel":1,"lines":[{"sku":"B","quantity":2,"unit_price":"1"}]}') AS unpaid \gset
SELECT pg_temp.place(2, 'B') AS o \gset
SELECT is(pg_temp.line(:o), '0 2', 'two wait');
SET LOCAL oms.test_clock = '2100-01-01';
SELECT is((SELECT count(*) FROM oms.expire_orders(1, look_back => '1000 years') e WHERE e.order_id = :unpaid), 1::bigint, 'the unpaid order expires');
SELECT is(pg_temp.line(:o), '2 0', 'and serves them');
RESET oms.test_clock;

-- Holds: released, of the transaction, of a channel's order, expired and purged
SELECT oms.cancel_order(1, :young) > 0 AS cancelled \gset
SELECT is(oms.available(1, 1), 5::bigint, 'nobody waits, so it is free');
SELECT oms.hold_stock(1, 1, 1, 1) AS h, oms.hold_stock(1, 1, 1, 1, scope => 'transaction') AS t \gset
SELECT oms.hold_stock(1, 1, 1, 1, channel => 1, external_ref => 'P-1') > 0 AS pending, oms.hold_stock(1, 1, 1, 2, duration => '1 hour') > 0 AS held \gset
SELECT pg_temp.place(9) AS o \gset
SELECT is(pg_temp.line(:o), '0 9', 'what is held is nobody''s');
SELECT is(oms.release_stock(1, :h), 1::bigint, 'a hold released');
SELECT is(pg_temp.line(:o), '1 8', 'serves who waits');
SELECT is(oms.release_stock(1, :t), 1::bigint, 'one without a row');
SELECT is(pg_temp.line(:o), '2 7', 'too');
SELECT is(oms.release_pending(1, 1, 'P-1'), 1::bigint, 'one of an order that will not come');
SELECT is(pg_temp.line(:o), '3 6', 'too');
SELECT is(pg_temp.ask($$ SET LOCAL oms.test_clock = '2100-01-01'; SELECT oms.purge_holds(oms.clock()) $$), '1', 'one that expired');
SELECT is(pg_temp.line(:o), '5 4', 'when it is purged');
RESET oms.test_clock;

-- Kits, and limits
SELECT oms.cancel_order(1, :o) > 0 AS cancelled \gset
SELECT oms.receive_stock(1, 2, 1, 3, 'boxes') > 0 AS received \gset
SELECT pg_temp.place(5) AS o \gset
SELECT pg_temp.place(2, 'K') AS k \gset
SELECT is(oms.set_backorder_limit(1, 3, 5), 2::bigint, 'two kits wait');
SELECT is(oms.cancel_line(1, :o, 1, 3), 3, 'apples that are one part of them');
SELECT is(pg_temp.line(:k), '1 1', 'make one');
SELECT is((SELECT used FROM oms.backorder_limit WHERE merchant_id = 1 AND item_id = 3), 1::bigint, 'which counts no longer');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SELECT * FROM finish();
ROLLBACK;
