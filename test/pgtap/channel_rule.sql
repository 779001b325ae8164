-- Channel quantity rules: they change what a channel is told, and nothing else.
BEGIN;
SELECT plan(26);

INSERT INTO oms.location (merchant_id, location_id, code, name, active) VALUES (1, 2, 'WEST', 'West', true), (1, 3, 'FAR', 'Of no channel', true), (1, 4, 'SHUT', 'Shut', false);
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 5, 'amazon', 'Amazon', 'EUR'), (1, 6, 'ebay', 'eBay', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 5, 1, 1), (1, 5, 2, 2), (1, 5, 4, 3), (1, 6, 1, 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, active) VALUES (1, 1, 'A', 'Apple', 'stocked', true), (1, 2, 'B', 'Box', 'stocked', true), (1, 3, 'K', 'Kit', 'kit', true),
	(1, 4, 'KK', 'Kit of kits', 'kit', true), (1, 5, 'S', 'Service', 'service', true), (1, 6, 'OLD', 'Retired', 'stocked', false);
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1), (1, 4, 3, 2), (1, 4, 1, 1);
SELECT oms.receive_stock(1, 1, 1, 50, 'x'), oms.receive_stock(1, 1, 2, 31, 'x'), oms.receive_stock(1, 1, 3, 500, 'x'), oms.receive_stock(1, 1, 4, 500, 'x'), oms.receive_stock(1, 2, 1, 10, 'x'), oms.receive_stock(1, 2, 2, 20, 'x') \g /dev/null

CREATE FUNCTION pg_temp.told(channel int, item bigint) RETURNS text LANGUAGE sql AS $$
	SELECT available || '/' || quantity FROM oms.published_quantity(1, channel, ARRAY[item]) $$;
CREATE FUNCTION pg_temp.rule(channel int, item bigint, percentage numeric, safety bigint, maximum bigint, fixed bigint DEFAULT NULL, replenishable boolean DEFAULT false) RETURNS void LANGUAGE sql AS $$
	INSERT INTO oms.channel_rule (merchant_id, channel_id, item_id, percentage, safety, maximum, fixed, replenishable) VALUES (1, channel, item, percentage, safety, maximum, fixed, replenishable)
	ON CONFLICT ON CONSTRAINT channel_rule_merchant_id_channel_id_item_id_key DO UPDATE SET percentage = excluded.percentage, safety = excluded.safety, maximum = excluded.maximum, fixed = excluded.fixed, replenishable = excluded.replenishable $$;
CREATE FUNCTION pg_temp.place(channel int, quantity int, sku text DEFAULT 'A') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":' || channel || ',"lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;

SELECT is(pg_temp.told(5, 1), '81/81', 'without a rule: all that its active locations have');
SELECT is(pg_temp.told(6, 1), '50/50', 'each channel by its own locations');
SELECT is(pg_temp.told(5, 3), '25/25', 'kits by their parts at one location: 10 at one, 15 at the other');
SELECT is(pg_temp.told(5, 4), '11/11', 'kits of kits: five apples and two boxes');
SELECT is((SELECT string_agg(sku, ' ') FROM oms.published_quantity(1, 5)), 'A B K KK OLD', 'services have no quantity');
SELECT oms.receive_stock(1, 6, 1, 7, 'x') \g /dev/null
SELECT is(pg_temp.told(5, 6), '7/0', 'what is retired is not offered');

SELECT pg_temp.rule(5, NULL, 50, NULL, NULL) \g /dev/null
SELECT is(pg_temp.told(5, 1), '81/40', 'a percentage, rounded down');
SELECT pg_temp.rule(5, 1, NULL, 5, NULL) \g /dev/null
SELECT is(pg_temp.told(5, 1), '81/76', 'safety; the item''s rule replaces the one for all');
SELECT is(pg_temp.told(5, 2), '30/15', 'which others still have');
SELECT pg_temp.rule(5, 1, NULL, NULL, 12) \g /dev/null
SELECT is(pg_temp.told(5, 1), '81/12', 'a maximum');
SELECT pg_temp.rule(5, 1, 30, 20, 12) \g /dev/null
SELECT is(pg_temp.told(5, 1), '81/4', 'all three: 24, less 20, not above 12');
SELECT pg_temp.rule(5, 1, 30, 200, 12) \g /dev/null
SELECT is(pg_temp.told(5, 1), '81/0', 'never below zero');
SELECT pg_temp.rule(5, 1, NULL, NULL, NULL, 99) \g /dev/null
SELECT is(pg_temp.told(5, 1), '81/99', 'fixed');
SELECT pg_temp.rule(6, 1, NULL, NULL, NULL, 99, true) \g /dev/null
SELECT throws_ok('SELECT pg_temp.rule(5, 1, 10, NULL, NULL, 99)', '23514', NULL, 'fixed and computed exclude each other');
SELECT throws_ok('SELECT pg_temp.rule(5, 1, NULL, NULL, NULL, NULL, true)', '23514', NULL, 'replenishable is a fixed figure');
SELECT throws_ok('SELECT pg_temp.rule(5, 1, 101, NULL, NULL)', '23514', NULL, 'no more than everything');

-- Both are told 99; what they sell is the shelf, to the unit
SELECT count(pg_temp.place(6, 9)) FROM generate_series(1, 5) \g /dev/null
SELECT is((SELECT count(pg_temp.place(5, 9)) FROM generate_series(1, 4)), 4::bigint, 'sold through both');
SELECT throws_ok('SELECT pg_temp.place(6, 9)', 'OM001', NULL, 'a figure that is told is no promise');
SELECT throws_ok('SELECT pg_temp.place(5, 9)', 'OM001', NULL, 'to neither');
SELECT is(oms.available(1, 1, 1) + oms.available(1, 1, 2), 0::bigint, 'the sum of sales is the shelf');
SELECT is(pg_temp.told(5, 1), '0/0', 'fixed only as long as there is one');
SELECT is(pg_temp.told(6, 1), '0/99', 'replenishable also then');

-- Bounds are known to the figure
INSERT INTO oms.promise_bound (merchant_id, item_id, channel_id, quantity) VALUES (1, 2, 5, 25);
DELETE FROM oms.channel_rule;
SELECT is(pg_temp.told(5, 2), '25/25', 'a channel''s bound');
INSERT INTO oms.promise_bound (merchant_id, item_id, location_id, quantity) VALUES (1, 2, 2, 4);
SELECT is(pg_temp.told(5, 2), '14/14', 'a location''s bound');
SELECT pg_temp.place(5, 14, 'B') \g /dev/null
SELECT is(pg_temp.told(5, 2), '0/0', 'what was told could be sold');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SELECT * FROM finish();
ROLLBACK;
