-- What a SKU means, and what a kit holds: answers that do not depend on who asked before.
BEGIN;
SELECT plan(9);

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'market', 'Marketplace', 'EUR');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'service'), (1, 2, 'B', 'Pear', 'service'), (1, 3, 'C', 'Plum', 'service');
-- In the marketplace, A is their name for our B, and Z for our C.
INSERT INTO oms.item_alias (merchant_id, channel_id, sku, item_id) VALUES (1, 2, 'A', 2), (1, 2, 'Z', 3);
CREATE FUNCTION pg_temp.meant(channel text, sku text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE o bigint := oms.place_order(1, jsonb_build_object('channel', channel, 'lines', jsonb_build_array(jsonb_build_object('sku', sku, 'quantity', 1, 'unit_price', '1'))));
BEGIN
	RETURN (SELECT item_id FROM oms.order_line WHERE merchant_id = 1 AND order_id = o);
END $$;
SELECT is(pg_temp.meant('web', 'A'), 1::bigint, 'in the shop a SKU is the item''s own');
SELECT is(pg_temp.meant('market', 'A'), 2::bigint, 'in a channel with an alias it is the alias, although the other was asked for before');
SELECT is(pg_temp.meant('web', 'A'), 1::bigint, 'and the shop''s is what it was');
SELECT is(pg_temp.meant('market', 'B'), 2::bigint, 'own SKUs are known in every channel');
SELECT is(pg_temp.meant('market', 'Z'), 3::bigint, 'an alias');
SELECT is(pg_temp.meant('web', 'Z'), NULL, 'is known in its channel alone');
DELETE FROM oms.item_alias WHERE sku = 'A';
SELECT is(pg_temp.meant('market', 'A'), 1::bigint, 'an alias that is gone is forgotten');

-- Kits of kits, multiplied beyond what a line could hold.
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 10, 'K1', 'Outer', 'kit'), (1, 11, 'K2', 'Middle', 'kit'), (1, 12, 'K3', 'Inner', 'kit'), (1, 13, 'P', 'Part', 'stocked');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 10, 11, 2147483647), (1, 11, 12, 2147483647), (1, 12, 13, 2147483647);
SELECT throws_ok($$ SELECT pg_temp.meant('web', 'K1') $$, 'OM016', 'kit "K1" has too many parts', 'a kit of too many parts is named');
SELECT is(pg_temp.meant('web', 'A'), 1::bigint, 'and other items are ordered as before');

SELECT * FROM finish();
ROLLBACK;
