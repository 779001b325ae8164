-- Limits of sales: how many units may be sold in all, by a channel, in a period; what counts, what comes back, who is refused.
BEGIN;
SELECT plan(47);

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'shop2', 'Second shop', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 2, 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'), (1, 4, 'S', 'Service', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening'), oms.receive_stock(1, 2, 1, 1000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(lines text, channel int DEFAULT 1, placed text DEFAULT '2026-06-15', more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', channel, 'placed_at', placed || 'T00:00:00Z', 'lines', (SELECT jsonb_agg(jsonb_build_object('sku', split_part(l, '=', 1), 'quantity', split_part(l, '=', 2)::int, 'unit_price', '1')) FROM unnest(string_to_array(lines, ' ')) l)) || more) $$;
CREATE FUNCTION pg_temp.used(item bigint DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(channel_id || ' ' || used || '/' || quantity, ', ' ORDER BY channel_id, valid_from) FROM oms.sale_limits WHERE merchant_id = 1 AND item_id = $1 $$;
CREATE FUNCTION pg_temp.edit(o bigint, changes jsonb) RETURNS bigint LANGUAGE sql AS $$ SELECT oms.edit_order(1, o, changes); SELECT oms.confirm_edit(1, o) $$;

-- Setting
SELECT throws_ok('SELECT oms.set_sale_limit(1, 99, 5)', 'OM002', NULL, 'an unknown item');
SELECT throws_ok('SELECT oms.set_sale_limit(1, 1, 5, 77)', 'OM002', NULL, 'an unknown channel');
SELECT throws_ok('SELECT oms.set_sale_limit(1, 1, -1)', 'OM011', NULL, 'less than nothing');
SELECT throws_ok($$ SELECT oms.set_sale_limit(1, 1, 5, NULL, '2026-01-01Z', '2026-01-01Z') $$, 'OM011', NULL, 'a period without time');
SELECT throws_ok($$ SELECT oms.set_sale_limit(1, 1, 5, NULL, NULL) $$, 'OM011', NULL, 'or without beginning');
SELECT pg_temp.place('A=4') AS before, pg_temp.place('A=3', placed => '2026-05-31') AS earlier \gset
SELECT is(oms.set_sale_limit(1, 1, 10, 1, '2026-06-01Z', '2026-07-01Z'), 4::bigint, 'what was sold in the period counts');
SELECT is(oms.set_sale_limit(1, 1, 12), 7::bigint, 'one of all channels, for ever');
SELECT is(oms.set_sale_limit(1, 2, NULL), 0::bigint, 'none is ended');

-- Counting
SELECT throws_ok($$ SELECT pg_temp.place('A=6') $$, 'OM007', NULL, 'refused beyond');
SELECT throws_like($$ SELECT pg_temp.place('A=6', 2) $$, '%item 1 has reached its limit of sales', 'of all channels too');
SELECT throws_ok($$ SELECT pg_temp.place('A=3 A=3') $$, 'OM007', NULL, 'two lines count together');
SELECT is(pg_temp.used(), '0 7/12, 1 4/10', 'refused orders count nothing');
SELECT pg_temp.place('A=2', 2) AS other, pg_temp.place('A=1', placed => '2026-07-01') AS later \gset
SELECT is(pg_temp.used(), '0 10/12, 1 4/10', 'another channel, and the instant when the period ends');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 1);
SELECT throws_ok($$ SELECT oms.place_order(1, 1, NULL, ARRAY[1]::bigint[], ARRAY[3]) $$, 'OM007', NULL, 'the short form of placing as well');
INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 1, 's', n, '{"channel":2,"lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}' FROM generate_series(1, 5) n;
SELECT is((SELECT (accepted, refused)::text FROM oms.place_orders(1, 's')), '(2,3)', 'and many at once');
SELECT is((SELECT DISTINCT error_code FROM oms.staged_order WHERE source = 's' AND order_id IS NULL), 'OM007', 'which are told why');
SELECT is(pg_temp.used(), '0 12/12, 1 4/10', 'sold out');

-- Shipping counts on, cancelling does not
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :before) \gset
SELECT oms.confirm_pick(1, :f), oms.pack(1, :f), oms.ship(1, :f) \g /dev/null
SELECT is(pg_temp.used(), '0 12/12, 1 4/10', 'what is shipped was sold');
SELECT throws_ok($$ SELECT pg_temp.place('A=1') $$, 'OM007', NULL, 'and makes no room');
SELECT is(oms.cancel_line(1, :earlier, 1, 2), 2, 'two are cancelled');
SELECT is(pg_temp.used(), '0 10/12, 1 4/10', 'and may be sold again');
SELECT pg_temp.place('A=2', more => '{"email": "a@shop.test"}') AS o \gset
SELECT is(pg_temp.used(), '0 12/12, 1 6/10', 'to others');
SELECT is(oms.cancel_order(1, :other), :other ::bigint, 'a whole order is cancelled');
SELECT is(pg_temp.used(), '0 10/12, 1 6/10', 'by its channel and date');

-- Edits
SELECT throws_ok(format($$ SELECT pg_temp.edit(%s, '[{"action": "quantity", "line": 1, "quantity": 5}]') $$, :o), 'OM007', NULL, 'an edit that orders more meets it');
SELECT throws_ok(format($$ SELECT pg_temp.edit(%s, '[{"action": "add", "sku": "A", "quantity": 3, "unit_price": "1"}]') $$, :o), 'OM007', NULL, 'so does a new line');
SELECT is(pg_temp.used(), '0 10/12, 1 6/10', 'refused');
SELECT lives_ok(format($$ SELECT pg_temp.edit(%s, '[{"action": "quantity", "line": 1, "quantity": 3}, {"action": "add", "sku": "A", "quantity": 1, "unit_price": "1"}]') $$, :o), 'within it');
SELECT is(pg_temp.used(), '0 12/12, 1 8/10', 'counted');

-- Splitting and merging sell nothing
SELECT oms.split_order(1, :o, '[{"line": 1, "quantity": 1}, {"line": 2, "quantity": 1}]') AS part \gset
SELECT is(pg_temp.used(), '0 12/12, 1 8/10', 'split');
SELECT lives_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s]::bigint[])', :o, :part), 'merged');
SELECT is(pg_temp.used(), '0 12/12, 1 8/10', 'and what it was');
SELECT is((SELECT sum(ordered - cancelled) FROM oms.order_line WHERE order_id = :o), 4::bigint, 'in one order again');

-- Set again
SELECT is(oms.set_sale_limit(1, 1, 3), 12::bigint, 'a limit may be lowered below what was sold');
SELECT lives_ok(format('SELECT oms.cancel_line(1, %s, 1, 1)', :o), 'one is cancelled');
SELECT throws_ok($$ SELECT pg_temp.place('A=1') $$, 'OM007', NULL, 'nothing more is sold');
SELECT is(oms.set_sale_limit(1, 1, NULL), 11::bigint, 'ended');
SELECT is(oms.set_sale_limit(1, 1, 9, 1, '2026-06-01Z', '2026-08-01Z'), 8::bigint, 'another end: counted anew');
SELECT throws_ok($$ SELECT pg_temp.place('A=2') $$, 'OM007', NULL, 'by the new figure');

-- Kits and services by themselves; a line whose item comes later counts, and is not refused
SELECT is(oms.set_sale_limit(1, 3, 1) + oms.set_sale_limit(1, 4, 1), 0::bigint, 'a kit and a service');
SELECT pg_temp.place('K=1 S=1') > 0 AS o \gset
SELECT throws_ok($$ SELECT pg_temp.place('K=1') $$, 'OM007', NULL, 'a kit');
SELECT throws_ok($$ SELECT pg_temp.place('S=1') $$, 'OM007', NULL, 'a service');
SELECT pg_temp.place('NEW=5') AS o \gset
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 5, 'OLD', 'Old', 'stocked');
SELECT is(oms.set_sale_limit(1, 5, 2), 0::bigint, 'nobody has ordered it yet');
SELECT oms.receive_stock(1, 5, 1, 10, 'opening') \g /dev/null
UPDATE oms.item SET sku = 'NEW' WHERE item_id = 5;
SELECT is(pg_temp.used(5), '0 5/2', 'a mapped line was sold before');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SELECT throws_ok('UPDATE oms.sale_limit SET used = 0', 'OM009', NULL, 'limits are not typed');
SET LOCAL session_replication_role = replica;
UPDATE oms.sale_limit SET used = used + 1 WHERE item_id = 4;
SET LOCAL session_replication_role = origin;
SELECT is((SELECT string_agg(rule || ': ' || expected || ', ' || found, ' ') FROM oms.verify(1)), 'sale_limit_used: 1 sold, 2 counted', 'verify() finds what was seeded');
SELECT * FROM finish();
ROLLBACK;
