-- Sourcing: each strategy with predicted results, split limits, rejections with their reasons, exclusions, and re-sourcing.
BEGIN;
SELECT plan(96);

INSERT INTO oms.location (merchant_id, location_id, code, name, address) VALUES
	(1, 2, 'PAR', 'Paris', '{"country": "FR", "postcode": "75001"}'), (1, 3, 'MUC', 'Munich', '{"country": "DE", "postcode": "80331"}'),
	(1, 4, 'MAD', 'Madrid', '{"country": "ES", "postcode": "28001"}'), (1, 5, 'OLD', 'Closed', NULL);
UPDATE oms.location SET code = 'BER', name = 'Berlin', address = '{"country": "DE", "postcode": "10115"}' WHERE merchant_id = 1 AND location_id = 1;
UPDATE oms.location SET active = false WHERE merchant_id = 1 AND location_id = 5;
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2), (1, 1, 3, 3), (1, 1, 4, 3), (1, 1, 5, 9);
INSERT INTO oms.location_sourcing (merchant_id, location_id, latitude, longitude, cost, currency) VALUES
	(1, 1, 52.5323, 13.3846, 6, 'EUR'), (1, 2, 48.8625, 2.3364, 5, 'EUR'), (1, 3, 48.1351, 11.5720, 5, 'USD'), (1, 4, 40.4238, -3.6827, 7, 'EUR');
INSERT INTO oms.postcode VALUES ('DE', '', 51.1, 10.4), ('DE', '8', 48.4, 11.7), ('DE', '80331', 48.1351, 11.5720), ('FR', '75', 48.8566, 2.3522);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, weight_g) VALUES (1, 1, 'A', 'Apple', 'stocked', 500), (1, 2, 'B', 'Box', 'stocked', 1000), (1, 3, 'K', 'Kit', 'kit', NULL),
	(1, 4, 'C', 'Cup', 'stocked', 100), (1, 5, 'S', 'Service', 'service', NULL);
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);

CREATE FUNCTION pg_temp.document(lines text, country text DEFAULT 'DE', postcode text DEFAULT '80331', allocation text DEFAULT 'backorder') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('channel', 1, 'allocation', allocation, 'ship_to', jsonb_strip_nulls(jsonb_build_object('name', 'Ann', 'country', country, 'postcode', postcode)),
		'lines', (SELECT jsonb_agg(jsonb_build_object('sku', split_part(l, '=', 1), 'quantity', split_part(l, '=', 2)::int, 'unit_price', '1')) FROM unnest(string_to_array(lines, ' ')) l)) $$;
CREATE FUNCTION pg_temp.place(lines text, country text DEFAULT 'DE', postcode text DEFAULT '80331', allocation text DEFAULT 'backorder') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, pg_temp.document(lines, country, postcode, allocation)) $$;
-- line:item@location=units
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(line_no || ':' || item_id || '@' || location_id || '=' || q, ' ' ORDER BY line_no, item_id, location_id), '') FROM
	(SELECT line_no, item_id, location_id, sum(quantity) q FROM oms.reservation WHERE merchant_id = 1 AND order_id = o GROUP BY 1, 2, 3) x $$;
CREATE FUNCTION pg_temp.lines(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(allocated || '+' || backordered, ' ' ORDER BY line_no) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
-- rank:location=value reason, the best first
CREATE FUNCTION pg_temp.why(o bigint, n int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat(rank, ':', location_id, '=', value, ' ', reason), ', ' ORDER BY rank NULLS LAST, location_id) FROM oms.sourcing_decision WHERE merchant_id = 1 AND order_id = o AND sourcing_id = n $$;
-- sets an item's stock at locations: 'location=units ...', nothing elsewhere
CREATE FUNCTION pg_temp.stock(item bigint, levels text) RETURNS bigint LANGUAGE sql AS $$
	WITH l AS (SELECT split_part(x, '=', 1)::int AS location, split_part(x, '=', 2)::int AS units FROM unnest(string_to_array(levels, ' ')) x)
	SELECT count(oms.adjust_stock(1, item, location, delta, 'test')) FROM (SELECT c.location_id AS location,
		coalesce((SELECT units FROM l WHERE l.location = c.location_id), 0) - oms.available(1, item, c.location_id) AS delta
		FROM oms.channel_location c WHERE c.merchant_id = 1 AND c.channel_id = 1) x WHERE delta <> 0 $$;
CREATE FUNCTION pg_temp.free(o bigint) RETURNS bigint LANGUAGE sql AS 'SELECT oms.cancel_order(1, o)';

SELECT pg_temp.stock(1, '1=10 2=10 3=10 4=10'), pg_temp.stock(2, '1=10 2=10 3=10 4=10'), pg_temp.stock(4, '1=10 2=10 3=10 4=10') \g /dev/null
SELECT pg_temp.place('A=2') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@1=2', 'without a rule the first location');
SELECT is((SELECT count(*) FROM oms.sourcing), 0::bigint, 'and no row');

-- Distance: great circle by an independent formula (spherical law of cosines), the postal code by its longest beginning
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name, strategy) VALUES (1, 1, 'near', 'distance');
SELECT pg_temp.place('A=2') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@3=2', 'the nearest: Munich to Munich');
SELECT is(pg_temp.why(:o), '1:3=0.000 chosen, 2:1=505.546 not_needed, 3:2=684.853 not_needed, 4:4=1482.297 not_needed, :5= inactive', 'each location with its kilometres, or why not');
SELECT is_empty($$ SELECT l.location_id, value, round((6371.0088 * acos(sin(radians(latitude)) * sin(radians(48.1351)) + cos(radians(latitude)) * cos(radians(48.1351)) * cos(radians(longitude - 11.5720))))::numeric, 1) AS expected
	FROM oms.sourcing_decision d JOIN oms.location_sourcing l ON l.merchant_id = d.merchant_id AND l.location_id = d.location_id WHERE d.value > 0 AND
	abs(value - (6371.0088 * acos(sin(radians(latitude)) * sin(radians(48.1351)) + cos(radians(latitude)) * cos(radians(48.1351)) * cos(radians(longitude - 11.5720))))::numeric) > 0.01 $$, 'the other formula says so too');
SELECT is(pg_temp.promised(pg_temp.place('A=1', 'FR', '75 011')), '1:1@2=1', 'a beginning of the code, written with a blank');
SELECT is(pg_temp.promised(pg_temp.place('A=1', 'DE', '99999')), '1:1@1=1', 'the country, where no code is known');
SELECT pg_temp.place('A=1', 'US', '10001') AS o \gset
SELECT is(pg_temp.why(:o), '1:1= chosen, 2:2= not_needed, 3:3= not_needed, 4:4= not_needed, :5= inactive', 'an unknown place: by priority, ties by location');
SELECT is((SELECT DISTINCT detail FROM oms.sourcing_decision WHERE order_id = :o AND rank > 0), 'the place of the delivery is not known', 'which it says');
UPDATE oms.location_sourcing SET latitude = NULL, longitude = NULL WHERE location_id = 3;
SELECT is(pg_temp.promised(pg_temp.place('A=1')), '1:1@1=1', 'a location of unknown place comes last');
UPDATE oms.location_sourcing SET latitude = 48.1351, longitude = 11.5720 WHERE location_id = 3;

-- Cost: by the tariffs, else the location's own, in the order's currency
UPDATE oms.sourcing_rule SET name = 'cheap', strategy = 'cost';
SELECT pg_temp.place('A=2') AS o \gset
SELECT is(pg_temp.why(:o), '1:2=5.00 chosen, 2:1=6.00 not_needed, 3:4=7.00 not_needed, 4:3= not_needed, :5= inactive', 'no tariff: the locations'' own costs; one in dollars is unknown');
INSERT INTO oms.carrier (merchant_id, carrier_id, code, name) VALUES (1, 1, 'post', 'Post');
INSERT INTO oms.carrier_service (merchant_id, service_id, carrier_id, code, name) VALUES (1, 1, 1, 'std', 'Standard'), (1, 2, 1, 'fast', 'Fast');
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency) VALUES (1, 1, 1, 'std', 'EUR'), (1, 2, 2, 'fast', 'EUR');
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, origin_country, country, zone) VALUES (1, 1, 'DE', 'DE', 'home'), (1, 1, 'FR', 'DE', 'eu'), (1, 2, 'DE', 'DE', 'home');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (1, 1, 'home', 0, 2, 3.5), (1, 1, 'home', 2, 30, 4), (1, 1, 'eu', 0, 30, 9), (1, 2, 'home', 0, 30, 8);
SELECT oms.activate_tariff(1, 1), oms.activate_tariff(1, 2) \g /dev/null
SELECT pg_temp.place('A=2') AS o \gset
SELECT is(pg_temp.why(:o), '1:1=3.50 chosen, 2:3=3.50 not_needed, 3:4=7.00 not_needed, 4:2=9.00 not_needed, :5= inactive', 'the cheapest service from each; Madrid, which no zone has, by its own');
SELECT pg_temp.place('K=1') AS o \gset
SELECT is((SELECT value FROM oms.sourcing_decision WHERE order_id = :o AND location_id = 1), (SELECT price FROM oms.rate_shop(1, 1, '{"country":"DE","postcode":"80331"}', '[{"weight_g":2000}]') WHERE rank = 1), 'a kit weighs what its parts weigh; as rate_shop says');

-- Stock: most units of the order's items
UPDATE oms.sourcing_rule SET name = 'full', strategy = 'stock';
SELECT pg_temp.stock(1, '1=4 2=9 3=4 4=8'), pg_temp.stock(2, '1=3 2=1 3=2 4=5') \g /dev/null
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:2=9 chosen, 2:4=8 not_needed, 3:1=4 not_needed, 4:3=4 not_needed, :5= inactive', 'the fullest');
SELECT pg_temp.place('B=1 A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:4=13 chosen, 2:2=9 not_needed, 3:1=7 not_needed, 4:3=6 not_needed, :5= inactive', 'of all its items');
SELECT pg_temp.place('K=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:4=3 chosen, 2:1=2 not_needed, 3:3=2 not_needed, 4:2=1 not_needed, :5= inactive', 'whole kits');
SELECT is(pg_temp.promised(:o), '1:1@4=2 1:2@4=1', 'with all parts from one place');

-- Own function
CREATE SCHEMA shop;
CREATE FUNCTION shop.rank(merchant int, request jsonb) RETURNS int[] LANGUAGE sql AS
	$$ SELECT array_agg((l ->> 'location')::int ORDER BY (l ->> 'location')::int DESC) FROM jsonb_array_elements(request -> 'locations') l WHERE (l ->> 'location')::int <> 3 $$;
UPDATE oms.sourcing_rule SET name = 'own', strategy = 'function', function_name = 'shop.rank';
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:4=1 chosen, 2:2=2 not_needed, 3:1=3 not_needed, :3= not_ranked, :5= inactive', 'as the function says; what it leaves out is rejected');
SELECT is(pg_temp.promised(:o), '1:1@4=1', 'and promised so');
CREATE TABLE shop.seen (request jsonb, who text, path text);
CREATE FUNCTION shop.spy(merchant int, request jsonb) RETURNS int[] LANGUAGE sql AS
	$$ INSERT INTO shop.seen VALUES (request, current_user, current_setting('search_path')); SELECT '{1,1,77,NULL,2}'::int[] $$;
UPDATE oms.sourcing_rule SET function_name = 'shop.spy';
SELECT pg_temp.stock(1, '1=5 2=5') \g /dev/null
SELECT pg_temp.place('A=2 S=1') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@1=2', 'locations that are none of the channel, nulls and repetitions do no harm');
SELECT is((SELECT request FROM shop.seen), '{"order": null, "channel": 1, "currency": "EUR", "ship_to": {"name": "Ann", "country": "DE", "postcode": "80331"}, "lines": [{"sku": "A", "item": 1, "quantity": 2}, {"sku": "S", "item": 5, "quantity": 1}],
	"locations": [{"units": 2, "location": 1, "priority": 1}, {"units": 2, "location": 2, "priority": 2}, {"units": 0, "location": 3, "priority": 3}, {"units": 0, "location": 4, "priority": 3}]}', 'what it is told');
SELECT is((SELECT path FROM shop.seen), 'pg_catalog, pg_temp', 'search_path is pinned');
CREATE ROLE ranker;
GRANT USAGE, CREATE ON SCHEMA shop TO ranker;
ALTER FUNCTION shop.spy(int, jsonb) OWNER TO ranker;
SELECT throws_ok($$ SELECT pg_temp.place('A=1') $$, 'OM016', 'sourcing function shop.spy failed', 'it has the rights of its owner, who may not write there');
GRANT INSERT ON shop.seen TO ranker;
SELECT lives_ok($$ SELECT pg_temp.place('A=1') $$, 'until he may');
SELECT is((SELECT string_agg(who, ',' ORDER BY who = 'ranker') FROM shop.seen), current_user || ',ranker', 'whoever places the order');
CREATE FUNCTION shop.broken(merchant int, request jsonb) RETURNS int[] LANGUAGE sql AS 'SELECT ARRAY[1 / (merchant - merchant)]';
UPDATE oms.sourcing_rule SET function_name = 'shop.broken';
SELECT throws_like($$ SELECT pg_temp.place('A=1') $$, 'sourcing function shop.broken failed', 'its errors name it');
SELECT throws_ok($$ SELECT * FROM oms.preview_sourcing(1, pg_temp.document('A=1')) $$, 'OM016', NULL, 'in a preview too');
CREATE FUNCTION shop.nothing(merchant int, request jsonb) RETURNS int[] LANGUAGE sql AS 'SELECT NULL::int[]';
UPDATE oms.sourcing_rule SET function_name = 'shop.nothing';
SELECT throws_ok($$ SELECT pg_temp.place('A=1') $$, 'OM016', NULL, 'null is no ranking');
SELECT throws_ok($$ UPDATE oms.sourcing_rule SET function_name = 'shop.nosuch' $$, 'OM016', 'sourcing function shop.nosuch (int, jsonb) does not exist', 'a rule of a function that is not there');
SELECT throws_ok($$ UPDATE oms.sourcing_rule SET function_name = 'rank' $$, 'OM016', NULL, 'nor without its schema');
SELECT throws_ok($$ UPDATE oms.sourcing_rule SET function_name = 'pg_catalog.int4_sum' $$, 'OM016', NULL, 'nor one of other arguments');
SELECT throws_ok($$ UPDATE oms.sourcing_rule SET function_name = 'shop."; DROP TABLE shop.seen; --' $$, 'OM016', NULL, 'nor is a name ever SQL');
SELECT throws_ok($$ UPDATE oms.sourcing_rule SET function_name = NULL $$, '23514', NULL, 'a function rule has one');

-- Which rule decides
DELETE FROM oms.sourcing_rule;
SELECT pg_temp.stock(1, '1=90 2=90 3=90 4=90'), pg_temp.stock(2, '1=90 2=90 3=90 4=90') \g /dev/null
CREATE FUNCTION pg_temp.rule(lines text, country text DEFAULT 'DE') RETURNS text LANGUAGE sql AS $$ SELECT coalesce(min(rule_id)::text, 'none') FROM oms.preview_sourcing(1, pg_temp.document(lines, country)) $$;
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'other', 'Other', 'EUR');
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name, position, channel_id, country, item_id, min_weight_g, max_weight_g, valid_from, valid_to) VALUES
	(1, 1, 'other channel', 1, 2, NULL, NULL, NULL, NULL, '-infinity', 'infinity'), (1, 2, 'old', 1, NULL, NULL, NULL, NULL, NULL, '-infinity', now()),
	(1, 3, 'to come', 1, NULL, NULL, NULL, NULL, NULL, now() + interval '1 s', 'infinity'), (1, 4, 'France', 2, NULL, 'FR', NULL, NULL, NULL, now(), 'infinity'),
	(1, 6, 'boxes', 3, 1, NULL, 2, NULL, NULL, '-infinity', 'infinity'), (1, 5, 'boxes too', 3, 1, NULL, 2, NULL, NULL, '-infinity', 'infinity'),
	(1, 7, 'heavy', 4, NULL, NULL, NULL, 2000, 3000, '-infinity', 'infinity');
SELECT is(pg_temp.rule('A=1'), 'none', 'no rule is met');
SELECT is(pg_temp.rule('A=1', 'FR'), '4', 'by country, from its instant on');
SELECT is(pg_temp.rule('A=1 B=1'), '5', 'by item; of the same position the lower number');
SELECT is(pg_temp.rule('A=1 B=1', 'FR'), '4', 'the lower position first');
SELECT is(pg_temp.rule('A=3') || ' ' || pg_temp.rule('A=4') || ' ' || pg_temp.rule('A=6') || ' ' || pg_temp.rule('A=7') || ' ' || pg_temp.rule('K=1'), 'none 7 7 none 7', 'by weight, both limits included');
SET LOCAL oms.test_clock TO '2500-01-01';
SELECT is(pg_temp.rule('A=1'), '3', 'by its time');
RESET oms.test_clock;
DELETE FROM oms.sourcing_rule;

-- Rejections
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name) VALUES (1, 1, 'plain');
UPDATE oms.location_sourcing SET countries = '{FR,AT}' WHERE location_id = 1;
CREATE FUNCTION pg_temp.today() RETURNS int LANGUAGE sql AS 'SELECT count(DISTINCT order_id)::int FROM oms.sourcing_location WHERE location_id = 2 AND units > 0 AND day = (now() AT TIME ZONE ''UTC'')::date';
UPDATE oms.location_sourcing SET capacity = pg_temp.today() + 1 WHERE location_id = 2;
INSERT INTO oms.sourcing_exclusion VALUES (1, 3, 0, now() + interval '1 hour', 'fire drill');
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:2=2 chosen, 2:4=3 not_needed, :1= country, :3= excluded, :5= inactive', 'does not ship there; excluded');
SELECT is((SELECT string_agg(detail, ', ' ORDER BY location_id) FROM oms.sourcing_decision WHERE order_id = :o), 'does not ship to DE, fire drill', 'in words');
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:4=3 chosen, :1= country, :2= over_capacity, :3= excluded, :5= inactive', 'it has had its orders of the day');
SELECT is(pg_temp.promised(pg_temp.place('A=1', NULL, NULL)), '1:1@4=1', 'an order without country goes from who ships anywhere');
SET LOCAL oms.test_clock TO '2500-01-01';
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:2=2 chosen, 2:3=3 not_needed, 3:4=3 not_needed, :1= country, :5= inactive', 'the next day, when the exclusion is over');
RESET oms.test_clock;
INSERT INTO oms.staged_order SELECT 1, 's', n, pg_temp.document('A=1') FROM generate_series(1, 3) n;
UPDATE oms.location_sourcing SET capacity = pg_temp.today() + 2 WHERE location_id = 2;
SELECT orders FROM oms.place_orders(1, 's') \g /dev/null
SELECT is((SELECT string_agg(pg_temp.promised(order_id), ' ' ORDER BY position) FROM oms.staged_order), '1:1@2=1 1:1@2=1 1:1@4=1', 'many orders in one statement count as one by one');
DELETE FROM oms.location_sourcing;
UPDATE oms.sourcing_exclusion SET item_id = 1;
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:1=1 chosen, 2:2=2 not_needed, 3:3=3 excluded, 4:4=3 not_needed, :5= inactive', 'excluded for one item');
-- A capacity holds without a rule, and costs other channels nothing
DELETE FROM oms.sourcing_rule;
DELETE FROM oms.sourcing_exclusion;
INSERT INTO oms.location_sourcing (merchant_id, location_id, capacity) VALUES (1, 1, 0), (1, 2, pg_temp.today() + 1);
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.why(:o), '1:2=2 chosen, 2:3=3 not_needed, 3:4=3 not_needed, :1= over_capacity, :5= inactive', 'a capacity holds without a rule');
SELECT is(pg_temp.promised(pg_temp.place('A=1')), '1:1@3=1', 'until it is reached');
UPDATE oms.location_sourcing SET capacity = NULL;
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@1=1', 'no capacity');
SELECT is((SELECT count(*) FROM oms.sourcing WHERE order_id = :o), 0::bigint, 'and no decision');
DELETE FROM oms.location_sourcing;
INSERT INTO oms.sourcing_exclusion VALUES (1, 1, 1, now() + interval '1 hour', 'fire drill');
SELECT pg_temp.place('A=1') AS o \gset
SELECT is(pg_temp.promised(:o) || ' ' || (SELECT DISTINCT rule_name FROM oms.sourcing WHERE order_id = :o), '1:1@2=1 none', 'an exclusion holds without a rule');
SELECT pg_temp.place('B=1') AS o \gset
SELECT is((SELECT count(*) FROM oms.sourcing WHERE order_id = :o), 1::bigint, 'and is looked at while it is in force');
SELECT is(pg_temp.promised(oms.place_order(1, pg_temp.document('A=1') || '{"location": "BER"}')), '1:1@1=1', 'who names the location is asked for none other');
DELETE FROM oms.sourcing_exclusion;

-- Split limits, written out
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name, max_shipments) VALUES (1, 1, 'two', 2);
SELECT pg_temp.stock(1, '1=3 2=2 3=4 4=0'), pg_temp.stock(2, '1=0 2=2 3=0 4=5'), pg_temp.stock(4, '1=1 2=0 3=0 4=0') \g /dev/null
SELECT pg_temp.place('A=5') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@1=3 1:1@2=2', 'the best ranks that have it all, within the limit');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
SELECT pg_temp.place('A=8') AS o \gset
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o), '1:1@1=3 1:1@3=4 7+1', 'most units, where the limit does not allow all');
SELECT is(pg_temp.why(:o), '1:1=1 chosen, 2:2=2 split_limit, 3:3=3 chosen, 4:4=3 no_stock, :5= inactive', 'and why');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
SELECT pg_temp.place('A=4 B=2 C=1') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@1=3 1:1@2=1 2:2@2=2 3:4@1=1', 'lines share the locations');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
SELECT throws_ok($$ SELECT pg_temp.place('A=8', allocation => 'strict') $$, 'OM001', NULL, 'a strict order is refused');
SELECT is(pg_temp.promised(pg_temp.place('A=9 B=5', allocation => 'none')), '', 'one that asks for nothing gets nothing');
UPDATE oms.sourcing_rule SET max_shipments = NULL, split_lines = false;
SELECT pg_temp.place('A=4 B=2') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@3=4 2:2@2=2', 'no line is split');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
SELECT pg_temp.place('A=6') AS o \gset
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o), '1:1@3=4 4+2', 'the most that one location has');
SELECT is((SELECT reason FROM oms.sourcing_decision WHERE order_id = :o AND location_id = 1), 'split_limit', 'and why not the others');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
UPDATE oms.sourcing_rule SET split_lines = true, fewest = true;
SELECT pg_temp.place('A=2 B=2') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@2=2 2:2@2=2', 'the location that has the whole order');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
SELECT pg_temp.place('A=6 C=1') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@1=3 1:1@3=3 2:4@1=1', 'else as few as may be');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
DELETE FROM oms.sourcing_rule;
SELECT oms.set_setting(1, 'reserve_whole', 'line') \g /dev/null
SELECT pg_temp.place('A=10 B=7') AS o \gset
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o), '2:2@2=2 2:2@4=5 0+10 7+0', 'all of a line or nothing of it, without any rule');
SELECT is((SELECT reason FROM oms.sourcing_decision WHERE order_id = :o AND location_id = 1), 'not_whole', 'and why');
SELECT oms.receive_stock(1, 1, 1, 0 + 1, 'tenth') > 0 AS received \gset
SELECT is(pg_temp.lines(:o), '10+0 7+0', 'the tenth unit fills it, from wherever they are');
SELECT is((SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE order_id = :o), 'order.placed order.reserved', 'its timeline says so');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
SELECT oms.set_setting(1, 'reserve_whole', 'order') \g /dev/null
SELECT pg_temp.place('A=2 B=8') AS o \gset
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o), ' 0+2 0+8', 'all of the order or nothing');
SELECT oms.receive_stock(1, 2, 3, 1, 'eighth') > 0 AS received \gset
SELECT is(pg_temp.lines(:o), '2+0 8+0', 'until all of it is there');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
SELECT oms.set_setting(1, 'reserve_whole', 'no') \g /dev/null

-- The same on every run
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name, strategy, max_shipments) VALUES (1, 1, 'full', 'stock', 2);
CREATE TEMPORARY TABLE run (answer text);
SELECT pg_temp.stock(1, '1=3 2=3 3=3 4=3'), pg_temp.stock(2, '1=3 2=3 3=3 4=3') \g /dev/null
CREATE FUNCTION pg_temp.run() RETURNS void LANGUAGE sql AS $$ INSERT INTO run SELECT string_agg(concat_ws(' ', location_id, rank, value, units, reason), ',' ORDER BY location_id) FROM oms.preview_sourcing(1, pg_temp.document('A=5 B=4 K=1')) $$;
SELECT pg_temp.run() FROM generate_series(1, 500) \g /dev/null
UPDATE oms.channel_location SET priority = priority WHERE location_id IN (1, 4);
UPDATE oms.location SET name = name || '.';
DELETE FROM oms.channel_location WHERE location_id = 2;
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
SELECT pg_temp.run() FROM generate_series(1, 500) \g /dev/null
SELECT is((SELECT count(DISTINCT answer) || ' of ' || count(*) FROM run), '1 of 1000', 'a thousand previews are one, also when rows lie elsewhere');

-- Random orders against a model that tries every set of locations
CREATE FUNCTION pg_temp.model(stock int[], wants int[], most int, split boolean, fewest boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE best text := ''; best_key int[]; subset int; members int[]; key int[]; total int; answer int[]; left_over int; i int; l int; one int; n int := array_length(stock, 1);
BEGIN
	FOR subset IN 0 .. (1 << n) - 1 LOOP
		members := ARRAY(SELECT x FROM generate_series(1, n) x WHERE subset & (1 << (x - 1)) > 0);
		CONTINUE WHEN cardinality(members) > most;
		total := 0;
		answer := array_fill(0, ARRAY[n]);
		FOR i IN 1 .. array_length(wants, 1) LOOP
			SELECT m INTO one FROM unnest(members) m WHERE stock[m][i] >= wants[i] ORDER BY m LIMIT 1;
			IF one IS NULL AND NOT split THEN
				SELECT m INTO one FROM unnest(members) m WHERE stock[m][i] > 0 ORDER BY stock[m][i] DESC, m LIMIT 1;
			END IF;
			IF one IS NOT NULL THEN
				answer[one] := answer[one] + least(stock[one][i], wants[i]);
				total := total + least(stock[one][i], wants[i]);
				CONTINUE;
			END IF;
			left_over := wants[i];
			FOREACH l IN ARRAY members LOOP
				EXIT WHEN NOT split;
				answer[l] := answer[l] + least(stock[l][i], left_over);
				total := total + least(stock[l][i], left_over);
				left_over := left_over - least(stock[l][i], left_over);
			END LOOP;
		END LOOP;
		CONTINUE WHEN EXISTS (SELECT 1 FROM unnest(members) m WHERE answer[m] = 0);
		-- most units, (fewest), first in rank: as an array that is compared from its beginning
		key := ARRAY[-total, CASE WHEN fewest THEN cardinality(members) ELSE 0 END] || members;
		IF best_key IS NULL OR key < best_key THEN
			best_key := key;
			best := array_to_string(answer, ' ');
		END IF;
	END LOOP;
	RETURN best;
END $$;
UPDATE oms.channel_location SET priority = location_id WHERE merchant_id = 1 AND channel_id = 1;
UPDATE oms.location SET active = true WHERE merchant_id = 1 AND location_id = 5;
UPDATE oms.sourcing_rule SET strategy = 'priority';
CREATE TEMPORARY TABLE compared (trial int, model text, ours text, parameters text);
CREATE FUNCTION pg_temp.compare(trial int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE stock int[] := '{}'; wants int[]; most int := 1 + random() * 3; split boolean := random() < 0.6; few boolean := random() < 0.5; cell int[];
BEGIN
	FOR i IN 1 .. 5 LOOP
		cell := ARRAY[greatest(0, random() * 8 - 3)::int, greatest(0, random() * 8 - 3)::int, greatest(0, random() * 8 - 3)::int];
		stock := stock || ARRAY[cell];
	END LOOP;
	wants := ARRAY[1 + random() * 7, 1 + random() * 7, 1 + random() * 7];
	PERFORM pg_temp.stock(item, (SELECT string_agg(l || '=' || stock[l][CASE item WHEN 4 THEN 3 ELSE item END], ' ') FROM generate_series(1, 5) l)) FROM unnest('{1,2,4}'::bigint[]) item;
	UPDATE oms.sourcing_rule SET max_shipments = most, split_lines = split, fewest = few;
	INSERT INTO compared SELECT trial, pg_temp.model(stock, wants, most, split, few), string_agg(units::text, ' ' ORDER BY location_id),
		format('%s wants %s most %s split %s fewest %s', stock, wants, most, split, few)
		FROM oms.preview_sourcing(1, pg_temp.document(format('A=%s B=%s C=%s', wants[1], wants[2], wants[3])));
END $$;
SELECT setseed(0.42) \g /dev/null
SELECT pg_temp.compare(n) FROM generate_series(1, 300) n \g /dev/null
SELECT is_empty('SELECT * FROM compared WHERE model <> ours LIMIT 5', 'three hundred random orders are sourced as the model says');
SELECT cmp_ok((SELECT count(DISTINCT model)::int FROM compared), '>', 100, 'of many kinds');
-- What a preview says is what placing does.
SELECT pg_temp.place('A=5 B=5 C=5') AS o, (SELECT string_agg(concat_ws(' ', location_id, units), ',' ORDER BY location_id) FROM oms.preview_sourcing(1, pg_temp.document('A=5 B=5 C=5'))) AS p \gset
SELECT isnt(:'p'::text, '', 'there was a preview');
SELECT pg_temp.free(:o) = :o AS freed, (SELECT string_agg(concat_ws(' ', location_id, units), ',' ORDER BY location_id) FROM oms.preview_sourcing(1, pg_temp.document('A=5 B=5 C=5'))) AS p \gset
SELECT pg_temp.place('A=5 B=5 C=5') AS o \gset
SELECT is((SELECT string_agg(concat_ws(' ', location_id, units), ',' ORDER BY location_id) FROM oms.sourcing_decision WHERE order_id = :o), :'p'::text, 'placing does what the preview said');
-- Too many sets to try them all: the location that adds most is taken next
INSERT INTO oms.location (merchant_id, location_id, code, name) SELECT 1, n, 'L' || n, 'Location' FROM generate_series(101, 140) n;
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) SELECT 1, 1, n, n FROM generate_series(101, 140) n;
UPDATE oms.sourcing_rule SET max_shipments = 20, split_lines = true, fewest = true;
SELECT pg_temp.stock(1, (SELECT string_agg(n || '=' || n - 100, ' ') FROM generate_series(101, 140) n)) \g /dev/null
SELECT pg_temp.place('A=100') AS o \gset
SELECT is((SELECT count(*) || ' ' || max(promised) FROM oms.sourcing_decision WHERE order_id = :o AND units > 0), '3 100', '40 + 39 + 21 of forty locations');

-- What is reserved for the channel comes last, within the limit
DELETE FROM oms.channel_location WHERE location_id > 100;
UPDATE oms.sourcing_rule SET max_shipments = 1, fewest = false;
SELECT pg_temp.stock(4, '1=2 2=5') \g /dev/null
SELECT oms.hold_stock(1, 4, 2, 3, expires_at => '2999-01-01', channel => 1, purpose => 'reserve') > 0 AS held, oms.hold_stock(1, 4, 1, 1, expires_at => '2999-01-01', channel => 1, purpose => 'reserve') > 0 AS other \gset
SELECT pg_temp.place('C=6') AS o \gset
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o), '1:4@2=5 5+1', 'two that are free, and three that are reserved for the channel there');
SELECT is(pg_temp.why(:o), '1:1=1 split_limit, 2:2=2 chosen, 3:3=3 no_stock, 4:4=4 no_stock, 5:5=5 no_stock', 'the others stay reserved');
SELECT is(pg_temp.free(:o), :o ::bigint, 'freed');
-- A bound holds for several locations together, which their counters do not show
INSERT INTO oms.promise_bound (merchant_id, bound_id, item_id, channel_id, quantity) VALUES (1, 1, 4, 1, (SELECT coalesce(sum(quantity), 0) FROM oms.reservation WHERE item_id = 4) + 5);
UPDATE oms.sourcing_rule SET max_shipments = NULL;
SELECT pg_temp.stock(4, '1=4 2=4 3=4') \g /dev/null
SELECT pg_temp.place('C=8') AS o \gset
SELECT is(pg_temp.promised(:o) || ' ' || pg_temp.lines(:o), '1:4@1=4 1:4@2=1 5+3', 'as many as the bound allows');
SELECT is((SELECT max(lost) FROM oms.sourcing_decision WHERE order_id = :o), 0, 'which is no lost race');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
-- Decisions stay
SELECT throws_ok('UPDATE oms.sourcing SET promised = 0', 'OM009', NULL, 'a decision is not rewritten');
SELECT throws_ok('DELETE FROM oms.sourcing_location', 'OM009', NULL, 'nor its locations');
SELECT throws_ok($$ INSERT INTO oms.sourcing VALUES (1, 1, 1, now(), NULL, 'x', 'priority', NULL, 1, 1, 1, 1) $$, 'OM009', NULL, 'nor typed');
SELECT throws_ok($$ SELECT * FROM oms.preview_sourcing(NULL, '{}') $$, 'OM011', NULL, 'no merchant');
SELECT throws_ok($$ SELECT * FROM oms.preview_sourcing(1, NULL) $$, 'OM011', NULL, 'no document');

SELECT * FROM finish();
ROLLBACK;
