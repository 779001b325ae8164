-- Tariffs and rates: real price lists to the cent, breaks, dimensional weight, the guard of active tariffs, the
-- compiled cache, and what is refused.
BEGIN;
SELECT plan(134);

INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (2, 'Other', 'USD');
UPDATE oms.location SET address = '{"country":"US","region":"NY","postcode":"10001"}' WHERE merchant_id = 1 AND location_id = 1;
INSERT INTO oms.carrier (merchant_id, carrier_id, code, name) VALUES (1, 1, 'fedex', 'FedEx'), (1, 2, 'usps', 'USPS'), (2, 1, 'fedex', 'FedEx');
INSERT INTO oms.carrier_service (merchant_id, service_id, carrier_id, code, name) VALUES
	(1, 1, 1, 'ground', 'Ground Home Delivery'), (1, 2, 2, 'advantage', 'Ground Advantage'), (1, 3, 1, 'other', 'Other'), (2, 1, 1, 'ground', 'Ground');

-- One parcel to a zone: zone z of these tests is postal codes z0000 to z9999.
CREATE FUNCTION pg_temp.quote(service text, zone text, parcel jsonb, residential boolean DEFAULT false) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT r FROM oms.rate_shop(1, 1, jsonb_build_object('country', 'US', 'postcode', $2 || '0000', 'residential', $4), jsonb_build_array($3)) r WHERE r.service = $1 $$;
CREATE FUNCTION pg_temp.price(service text, zone text, parcel jsonb, residential boolean DEFAULT false) RETURNS numeric LANGUAGE sql AS $$
	SELECT r.price FROM oms.rate_shop(1, 1, jsonb_build_object('country', 'US', 'postcode', $2 || '0000', 'residential', $4), jsonb_build_array($3)) r WHERE r.service = $1 $$;
CREATE FUNCTION pg_temp.billed(service text, parcel jsonb) RETURNS numeric LANGUAGE sql AS $$
	SELECT (r.parcel_parts -> 0 ->> 'billable_weight')::numeric FROM oms.rate_shop(1, 1, '{"country":"US","postcode":"20000"}', jsonb_build_array($2)) r WHERE r.service = $1 $$;
CREATE FUNCTION pg_temp.refusal(service text, parcel jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT r.refusal FROM oms.rate_shop(1, 1, '{"country":"US","postcode":"20000"}', jsonb_build_array($2)) r WHERE r.service = $1 $$;

-- FedEx Ground Home Delivery, US list rates; where the published list is not at hand, prices of the same shape.
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency, weight_unit, weight_step, length_unit, side_rounding, divisor, max_weight)
	VALUES (1, 1, 1, 'list', 'USD', 'lb', 1, 'in', 'half-up', 139, 150);
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, postal_from, zone) SELECT 1, 1, 'US', z::text, z::text FROM generate_series(2, 8) z;
CREATE TEMPORARY TABLE fedex (weight numeric, zone_2 numeric, zone_3 numeric, zone_4 numeric, zone_5 numeric, zone_6 numeric, zone_7 numeric, zone_8 numeric);
\set have `test -r ../shared/data/carriers/fedex_ground_home_delivery_us_zones_2_8.csv && test -r ../shared/data/carriers/usps_ground_advantage_retail.csv && echo true || echo false`
\if :have
\copy fedex FROM '../shared/data/carriers/fedex_ground_home_delivery_us_zones_2_8.csv' WITH (FORMAT csv, HEADER)
\else
INSERT INTO fedex SELECT w, 10 + w * 0.37, 11 + w * 0.41, 12 + w * 0.43, 13 + w * 0.47, 14 + w * 0.53, 15 + w * 0.59, 16 + w * 0.61 FROM generate_series(1, 149) w;
\endif
CREATE TEMPORARY TABLE fedex_rate AS
	SELECT weight, z.zone, z.price FROM fedex, LATERAL (VALUES ('2', zone_2), ('3', zone_3), ('4', zone_4), ('5', zone_5), ('6', zone_6), ('7', zone_7), ('8', zone_8)) z (zone, price);
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) SELECT 1, 1, zone, weight, weight + 1, price FROM fedex_rate;
INSERT INTO oms.tariff_surcharge (merchant_id, tariff_id, code, zone, position, exclusive_group, amount, over_side, over_girth, minimum_weight)
	SELECT 1, 1, 'oversize', zone, 1, 'size', amount, 96, 130, 90 FROM (VALUES ('2', 240), ('3', 260), ('4', 260), ('5', 297.50), ('6', 297.50), ('7', 305), ('8', 305)) v (zone, amount);
INSERT INTO oms.tariff_surcharge (merchant_id, tariff_id, code, position, exclusive_group, amount, over_side, over_second, over_girth, minimum_weight)
	VALUES (1, 1, 'additional_handling', 2, 'size', 30, 48, 30, 105, 40);
INSERT INTO oms.tariff_surcharge (merchant_id, tariff_id, code, position, exclusive_group, amount, over_weight)
	VALUES (1, 1, 'additional_handling_weight', 3, 'size', 50, 50);
INSERT INTO oms.tariff_surcharge (merchant_id, tariff_id, code, position, amount, residential) VALUES (1, 1, 'residential', 4, 5.95, true);

SELECT is(oms.activate_tariff(1, 1), 1::bigint, 'the published list is complete: no overlap, no gap');
SELECT is_empty($$ SELECT f.*, pg_temp.price('ground', zone, jsonb_build_object('weight_g', floor(weight * 453.59237)))
	FROM fedex_rate f WHERE weight <= 50 AND price IS DISTINCT FROM pg_temp.price('ground', zone, jsonb_build_object('weight_g', floor(weight * 453.59237))) $$,
	'each row up to 50 lb is answered with the file''s price at its heaviest gram');
SELECT is_empty($$ SELECT f.*, pg_temp.price('ground', zone, jsonb_build_object('weight_g', floor(weight * 453.59237)))
	FROM fedex_rate f WHERE weight > 50 AND price + 50 IS DISTINCT FROM pg_temp.price('ground', zone, jsonb_build_object('weight_g', floor(weight * 453.59237))) $$,
	'and above with the surcharge for weight on it');
SELECT is_empty($$ SELECT f.* FROM fedex_rate f JOIN fedex_rate n ON n.zone = f.zone AND n.weight = f.weight + 1
	WHERE n.price + CASE WHEN n.weight > 50 THEN 50 ELSE 0 END IS DISTINCT FROM pg_temp.price('ground', f.zone, jsonb_build_object('weight_g', floor(f.weight * 453.59237) + 1)) $$,
	'one gram more is the next row');
SELECT is((SELECT count(*) FROM fedex_rate)::int, 149 * 7, 'all rows were asked');

-- Dimensional weight: inches rounded half up, volume / 139, next pound.
SELECT is(pg_temp.billed('ground', '{"weight_g":1000}'), 3::numeric, '1000 g are 2.2 lb: 3');
SELECT is(pg_temp.billed('ground', '{"weight_g":1000,"length_mm":305,"width_mm":305,"height_mm":305}'), 13::numeric, '12 x 12 x 12 in / 139 = 12.4: 13');
SELECT is(pg_temp.billed('ground', '{"weight_g":1000,"length_mm":318,"width_mm":305,"height_mm":305}'), 14::numeric, '318 mm = 12.52 in: 13');
SELECT is(pg_temp.billed('ground', '{"weight_g":1000,"length_mm":317,"width_mm":305,"height_mm":305}'), 13::numeric, '317 mm = 12.48 in: 12');
SELECT is(pg_temp.billed('ground', '{"weight_g":9072,"length_mm":305,"width_mm":305,"height_mm":305}'), 21::numeric, 'the larger decides: 9072 g are 20.0003 lb');
SELECT is(pg_temp.billed('ground', '{"weight_g":1000,"length_mm":1300,"width_mm":100,"height_mm":100}'), 40::numeric, 'additional handling bills 40 lb at least');
SELECT is(pg_temp.billed('ground', '{"weight_g":1000,"length_mm":2500,"width_mm":100,"height_mm":100}'), 90::numeric, 'oversize 90 lb');
SELECT is(pg_temp.price('ground', '7', '{"weight_g":1000,"length_mm":2500,"width_mm":100,"height_mm":100}'),
	(SELECT price + 305 FROM fedex_rate WHERE zone = '7' AND weight = 90), 'oversize by zone, and not additional handling too');
SELECT is(pg_temp.price('ground', '2', '{"weight_g":400}', true), (SELECT price + 5.95 FROM fedex_rate WHERE zone = '2' AND weight = 1), 'residential');
SELECT is(pg_temp.refusal('ground', '{"weight_g":68038}'), 'no_rate', '150 lb are carried, but the list ends at 149');
SELECT is(pg_temp.refusal('ground', '{"weight_g":68039}'), 'over_weight', 'a gram over 150 lb is not');
SELECT is(pg_temp.refusal('ground', '{"weight_g":0}'), 'no_rate', 'the list begins above 0');

-- USPS Ground Advantage: "not over" rows by ounces, then pounds; 166 above a cubic foot.
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency, weight_unit, weight_step, length_unit, divisor, volume_threshold, max_weight, max_girth)
	VALUES (1, 2, 2, 'retail', 'USD', 'oz', 0.001, 'in', 10.375, 1728, 1120, 130);
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, postal_from, zone) SELECT 1, 2, 'US', z::text, z::text FROM generate_series(1, 9) z;
CREATE TEMPORARY TABLE usps (label text, z1 numeric, z2 numeric, z3 numeric, z4 numeric, z5 numeric, z6 numeric, z7 numeric, z8 numeric, z9 numeric);
\if :have
\copy usps FROM '../shared/data/carriers/usps_ground_advantage_retail.csv' WITH (FORMAT csv, HEADER)
\else
INSERT INTO usps SELECT l, p, p + 1, p + 2, p + 3, p + 4, p + 5, p + 6, p + 7, p + 8
	FROM (SELECT unnest(ARRAY['4_oz', '8_oz', '12_oz', '15_999_oz']) AS l, generate_series(5, 8) AS p UNION ALL SELECT w || ' lb', 7.5 + w * 0.5 FROM generate_series(1, 70) w) x;
\endif
CREATE TEMPORARY TABLE usps_rate AS
	SELECT oz, z.zone::text, z.price, coalesce(lag(oz) OVER (PARTITION BY z.zone ORDER BY oz) + 0.001, 0) AS from_oz, oz + 0.001 AS to_oz
	FROM usps, LATERAL (SELECT CASE WHEN label LIKE '%lb' THEN 16 * split_part(label, ' ', 1)::numeric ELSE replace(regexp_replace(label, '_oz$', ''), '_', '.')::numeric END AS oz) o,
		LATERAL unnest(ARRAY[z1, z2, z3, z4, z5, z6, z7, z8, z9]) WITH ORDINALITY z (price, zone);
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) SELECT 1, 2, zone, from_oz, to_oz, price FROM usps_rate;
SELECT is(oms.activate_tariff(1, 2), 2::bigint, '"not over" rows are half-open in thousandths of an ounce');
SELECT is((SELECT count(*) FROM usps_rate)::int, 74 * 9, 'all rows are there');
SELECT is_empty($$ SELECT u.* FROM usps_rate u
	WHERE price IS DISTINCT FROM pg_temp.price('advantage', zone, jsonb_build_object('weight_g', floor(oz * 28.349523125))) $$,
	'each row is answered with the file''s price at its heaviest gram');
SELECT is_empty($$ SELECT u.* FROM usps_rate u JOIN usps_rate n ON n.zone = u.zone AND n.from_oz = u.to_oz AND u.oz <> 15.999
	WHERE n.price IS DISTINCT FROM pg_temp.price('advantage', u.zone, jsonb_build_object('weight_g', floor(u.oz * 28.349523125) + 1)) $$,
	'one gram more is the next row');
-- 304 mm cubed is 1714.5 cubic inches, 305 mm cubed 1731.4: 166.9 oz, so the row up to 11 lb
SELECT is(pg_temp.price('advantage', '4', '{"weight_g":1000,"length_mm":304,"width_mm":304,"height_mm":304}'), (SELECT price FROM usps_rate WHERE zone = '4' AND oz = 48),
	'up to a cubic foot the actual weight counts');
SELECT is(pg_temp.price('advantage', '4', '{"weight_g":1000,"length_mm":305,"width_mm":305,"height_mm":305}'), (SELECT price FROM usps_rate WHERE zone = '4' AND oz = 176),
	'above it the dimensional weight');
SELECT is(pg_temp.refusal('advantage', '{"weight_g":31752}'), 'over_weight', 'over 70 lb');
SELECT is(pg_temp.refusal('advantage', '{"weight_g":1000,"length_mm":1500,"width_mm":500,"height_mm":500}'), 'over_girth', 'over 130 in length and girth');

-- All parts sum to the price, whatever the percentages.
SELECT lives_ok($$ INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency, weight_unit, discount_percent, minimum_charge, fuel_percent, handling, tax_percent)
	VALUES (1, 3, 3, 'odd', 'JPY', 'g', 33.3333, 3.3333, 17.7777, 1.2345, 7.7777) $$, 'odd percentages');
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, zone) VALUES (1, 3, 'a');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) SELECT 1, 3, 'a', w, w + 100, w * 0.7777 + 0.0001 FROM generate_series(0, 9900, 100) w;
INSERT INTO oms.tariff_surcharge (merchant_id, tariff_id, code, amount, always, fuel) VALUES (1, 3, 'toll', 0.3333, true, true), (1, 3, 'fee', 0.6667, true, false);
SELECT is(oms.activate_tariff(1, 3), 3::bigint, 'activated');
SELECT is_empty($$ SELECT w, r.price FROM generate_series(1, 9000, 37) w,
	LATERAL oms.rate_shop(1, 1, '{"country":"US"}', jsonb_build_array(jsonb_build_object('weight_g', w), jsonb_build_object('weight_g', w / 2))) r
	WHERE r.service = 'other' AND (r.price <> r.base + r.discount + r.accessorials + r.fuel + r.handling + r.tax OR r.price <> round(r.price)) $$,
	'parts sum to the price, in whole yen');
SELECT is_empty($$ SELECT w, r.price FROM generate_series(1, 9000, 37) w,
	LATERAL oms.rate_shop(1, 1, '{"country":"US"}', jsonb_build_array(jsonb_build_object('weight_g', w))) r,
	LATERAL (SELECT (w / 100 * 100) * 0.7777 + 0.0001 AS list) b,
	LATERAL (SELECT (((greatest(list * 0.666667, 3.3333)) * 1.177777 + 0.3333 * 1.177777 + 0.6667 + 1.2345) * 1.077777) AS exact) e
	WHERE r.service = 'other' AND abs(r.price - e.exact) > 0.5 $$, 'and the price is the exact sum rounded once');

-- The compiled tariffs follow the rows at once, and come back with a rollback.
SELECT is(pg_temp.refusal('ground', '{"weight_g":400}'), NULL, 'quoted');
SAVEPOINT here;
UPDATE oms.carrier_service SET active = false WHERE merchant_id = 1 AND service_id = 1;
SELECT is_empty($$ SELECT pg_temp.price('ground', '2', '{"weight_g":400}') p WHERE pg_temp.price('ground', '2', '{"weight_g":400}') IS NOT NULL $$, 'an inactive service is not offered');
ROLLBACK TO here;
SELECT isnt(pg_temp.price('ground', '2', '{"weight_g":400}'), NULL, 'after rollback it is again');
UPDATE oms.carrier SET active = false WHERE merchant_id = 1 AND carrier_id = 1;
SELECT is(pg_temp.price('ground', '2', '{"weight_g":400}'), NULL, 'nor one of an inactive carrier');
ROLLBACK TO here;
UPDATE oms.tariff SET state = 'withdrawn' WHERE merchant_id = 1 AND tariff_id = 1;
SELECT is(pg_temp.refusal('ground', '{"weight_g":400}'), 'no_tariff', 'a withdrawn tariff is not quoted');
SELECT throws_ok($$ UPDATE oms.tariff SET state = 'active' WHERE merchant_id = 1 AND tariff_id = 1 $$, 'OM008', NULL, 'nor comes it back');
SELECT throws_ok($$ SELECT oms.activate_tariff(1, 1) $$, 'OM008', NULL, 'not by the command either');
ROLLBACK TO here;
UPDATE oms.tariff SET valid_to = now() WHERE merchant_id = 1 AND tariff_id = 1;
SELECT is(pg_temp.refusal('ground', '{"weight_g":400}'), 'no_tariff', 'an ended tariff is not quoted');
SELECT is((SELECT refusal FROM oms.rate_shop(1, 1, '{"country":"US","postcode":"20000"}', '[{"weight_g":400}]', now() - interval '1 second') WHERE service = 'ground'), NULL, 'but at the time it held');
ROLLBACK TO here;

-- What an active tariff consists of is frozen; each column that decides a price by itself.
SELECT throws_ok(format('UPDATE oms.tariff SET %s WHERE merchant_id = 1 AND tariff_id = 1', change), 'OM008', NULL, 'frozen: ' || change)
	FROM unnest(ARRAY['service_id = 3', 'currency = ''EUR''', 'valid_from = ''2000-01-01''', 'weight_unit = ''oz''', 'weight_step = 2', 'minimum_weight = 1',
		'length_unit = ''cm''', 'side_rounding = ''up''', 'divisor = 166', 'volume_threshold = 1', 'max_weight = 100', 'max_side = 10', 'max_girth = 10',
		'discount_percent = 1', 'minimum_charge = 1', 'fuel_percent = 1', 'handling = 1', 'tax_percent = 1', 'tariff_id = 77', 'state = ''draft''']) change;
SELECT lives_ok($$ UPDATE oms.tariff SET name = 'list 2025', valid_to = '2999-01-01' WHERE merchant_id = 1 AND tariff_id = 1 $$, 'name and end may change');
SELECT throws_ok(change, 'OM008', NULL, 'frozen: ' || change) FROM unnest(ARRAY[
	'INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (1, 1, ''9'', 1, 2, 3)',
	'UPDATE oms.tariff_rate SET price = price + 1 WHERE merchant_id = 1 AND tariff_id = 1', 'DELETE FROM oms.tariff_rate WHERE merchant_id = 1 AND tariff_id = 1',
	'INSERT INTO oms.tariff_zone (merchant_id, tariff_id, zone) VALUES (1, 1, ''2'')', 'DELETE FROM oms.tariff_zone WHERE merchant_id = 1 AND tariff_id = 1',
	'UPDATE oms.tariff_surcharge SET amount = 0 WHERE merchant_id = 1 AND tariff_id = 1', 'DELETE FROM oms.tariff_surcharge WHERE merchant_id = 1 AND tariff_id = 1',
	'DELETE FROM oms.tariff WHERE merchant_id = 1 AND tariff_id = 1']) change;
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency) VALUES (1, 4, 3, 'next', 'USD');
SELECT throws_ok($$ UPDATE oms.tariff_rate SET tariff_id = 4 WHERE merchant_id = 1 AND tariff_id = 1 AND zone = '2' AND from_weight = 1 $$, 'OM008', NULL, 'a row may not leave an active tariff');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (1, 4, 'x', 0, 1, 3), (1, 4, 'x', 1, 2, 4);
SELECT throws_ok($$ UPDATE oms.tariff_rate SET tariff_id = 1 WHERE merchant_id = 1 AND tariff_id = 4 $$, 'OM008', NULL, 'nor come into one');
SELECT throws_ok($$ UPDATE oms.tariff SET state = 'active' WHERE merchant_id = 1 AND tariff_id = 4 $$, 'OM009', NULL, 'activation is a command');
SELECT throws_ok($$ SELECT oms.activate_tariff(1, 4) $$, 'OM016', NULL, 'and needs zones');
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, zone) VALUES (1, 4, 'y');
SELECT throws_ok($$ SELECT oms.activate_tariff(1, 4) $$, 'OM016', NULL, 'with rates');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (1, 4, 'y', 0, 1, 3), (1, 4, 'y', 1.001, 2, 4);
SELECT throws_ok($$ SELECT oms.activate_tariff(1, 4) $$, 'OM016', NULL, 'without gaps');
UPDATE oms.tariff_rate SET from_weight = 1 WHERE merchant_id = 1 AND tariff_id = 4 AND from_weight = 1.001;
SELECT throws_ok($$ SELECT oms.activate_tariff(1, 4) $$, 'OM008', NULL, 'and a time of its own');
SELECT throws_ok($$ INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (1, 4, 'y', 0.5, 0.6, 3) $$, '23P01', NULL, 'no weight in two breaks');
SELECT throws_ok($$ INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, postal_from, postal_to, zone) VALUES (1, 4, 'US', '100', '199', 'y'), (1, 4, 'US', '150', '250', 'x') $$, '23P01', NULL, 'no place in two equal rows');
SELECT lives_ok($$ INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, postal_from, postal_to, zone) VALUES (1, 4, 'US', '100', '199', 'y'), (1, 4, 'US', '1500', '1550', 'x'), (1, 4, 'CA', '150', '250', 'x') $$, 'but in a more specific one, or another country''s');
SELECT throws_ok($$ INSERT INTO oms.tariff_zone (merchant_id, tariff_id, region, zone) VALUES (1, 4, 'Texas', 'y') $$, '23514', NULL, 'a region is of a country');
SELECT throws_ok(format($$ INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (1, 4, 'z', 0, 1, %L) $$, price), '23514', NULL, 'no price ' || price)
	FROM unnest(ARRAY['-1', 'NaN', 'Infinity', '1e12', '1.00001']) price;

-- Ties have a fixed order.
INSERT INTO oms.carrier (merchant_id, carrier_id, code, name) VALUES (2, 2, 'a', 'A'), (2, 3, 'b', 'B');
INSERT INTO oms.carrier_service (merchant_id, service_id, carrier_id, code, name, transit_days, preference) VALUES
	(2, 10, 3, 'x', 'X', 2, 0), (2, 11, 2, 'x', 'X', 2, 0), (2, 12, 2, 'fast', 'Fast', 1, 9), (2, 13, 2, 'never', 'Never', NULL, 0), (2, 14, 2, 'liked', 'Liked', 2, -1), (2, 15, 2, 'cheap', 'Cheap', 9, 9);
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency) SELECT 2, s, s, 't', 'USD' FROM generate_series(10, 15) s;
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, zone) SELECT 2, s, 'a' FROM generate_series(10, 15) s;
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) SELECT 2, s, 'a', 0, 100, CASE s WHEN 15 THEN 4 ELSE 5 END FROM generate_series(10, 15) s;
SELECT is(oms.activate_tariff(2, s), s::bigint, 'activated') FROM generate_series(15, 10, -1) s;
SELECT results_eq($$ SELECT rank, carrier || ' ' || service FROM oms.rate_shop(2, NULL, '{"country":"US"}', '[{"weight_g":1}]', from_address => '{"country":"US"}') WHERE refusal IS NULL $$,
	$$ VALUES (1, 'a cheap'), (2, 'a fast'), (3, 'a liked'), (4, 'a x'), (5, 'b x'), (6, 'a never') $$, 'price, transit days, preference, carrier, service');

-- Addresses and parcels as they come.
SELECT throws_ok(format('SELECT oms.rate_shop(%s)', arguments), code, NULL, code || ': ' || left(arguments, 80)) FROM (VALUES
	('NULL, 1, ''{"country":"US"}'', ''[{"weight_g":1}]''', 'OM011'), ('0, 1, ''{"country":"US"}'', ''[{"weight_g":1}]''', 'OM011'),
	('1, NULL, ''{"country":"US"}'', ''[{"weight_g":1}]''', 'OM011'), ('1, 1, NULL, ''[{"weight_g":1}]''', 'OM011'), ('1, 1, ''{"country":"US"}'', NULL', 'OM011'),
	('1, 1, ''{"country":"US"}'', ''[{"weight_g":1}]'', from_address => ''{"country":"US"}''', 'OM011'), ('1, 1, ''{"country":"US"}'', ''[{"weight_g":1}]'', ''infinity''', 'OM011'),
	('2, 1, ''{"country":"US"}'', ''[{"weight_g":1}]''', 'OM002'), ('99, NULL, ''{"country":"US"}'', ''[{"weight_g":1}]'', from_address => ''{"country":"US"}''', 'OM002'), ('1, 99, ''{"country":"US"}'', ''[{"weight_g":1}]''', 'OM002'), ('1, -1, ''{"country":"US"}'', ''[{"weight_g":1}]''', 'OM002'),
	('1, 1, ''{}'', ''[{"weight_g":1}]''', 'OM003'), ('1, 1, ''[]'', ''[{"weight_g":1}]''', 'OM003'), ('1, 1, ''"US"'', ''[{"weight_g":1}]''', 'OM003'), ('1, 1, ''null'', ''[{"weight_g":1}]''', 'OM003'),
	('1, 1, ''{"country":"USA"}'', ''[{"weight_g":1}]''', 'OM003'), ('1, 1, ''{"country":17}'', ''[{"weight_g":1}]''', 'OM003'), ('1, 1, ''{"country":""}'', ''[{"weight_g":1}]''', 'OM003'),
	('1, 1, ''{"country":"US"}'', ''[]''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''{}''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''7''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''[7]''', 'OM003'),
	('1, 1, ''{"country":"US"}'', ''[{}]''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''[{"weight_g":-1}]''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''[{"weight_g":1.5}]''', 'OM003'),
	('1, 1, ''{"country":"US"}'', ''[{"weight_g":1e40}]''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''[{"weight_g":"NaN"}]''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''[{"weight_g":null}]''', 'OM003'),
	('1, 1, ''{"country":"US"}'', ''[{"weight_g":1,"length_mm":-1}]''', 'OM003'), ('1, 1, ''{"country":"US"}'', ''[{"weight_g":1,"lenght_mm":1}]''', 'OM003'),
	('1, 1, ''{"country":"US"}'', (SELECT jsonb_agg(''{"weight_g":1}''::jsonb) FROM generate_series(1, 1001))', 'OM003'),
	('1, 1, jsonb_build_object(''country'', repeat(''U'', 1000000)), ''[{"weight_g":1}]''', 'OM003'), ('1, 1, jsonb_build_object(''country'', ''US'', ''postcode'', repeat(''9'', 1000000)), ''[{"weight_g":1}]''', 'OM003')
	) v (arguments, code);
SELECT is((SELECT count(*) FROM oms.rate_shop(1, 1, '{"country":"US","postcode":"20000"}', (SELECT jsonb_agg('{"weight_g":400}'::jsonb) FROM generate_series(1, 1000))) WHERE service = 'ground' AND price = 1000 * (SELECT price FROM fedex_rate WHERE zone = '2' AND weight = 1) + 5950)::int, 1, '1,000 parcels');
SELECT throws_ok(format('SELECT oms.activate_tariff(%s)', arguments), code, NULL, code || ': activate_tariff(' || left(arguments, 40) || ')') FROM (VALUES
	('NULL, 1', 'OM011'), ('1, NULL', 'OM011'), ('1, 99', 'OM002'), ('1, -1', 'OM002'), ('2, 1', 'OM002'), ('1, 1, ''''', 'OM011'), ('1, 1, repeat(''k'', 201)', 'OM011')) v (arguments, code);

SELECT is_empty('SELECT * FROM oms.verify(1)', 'merchant 1 is sound');
SELECT is_empty('SELECT * FROM oms.verify(2)', 'merchant 2 is sound');

-- verify() finds what only a disabled trigger lets in.
SET LOCAL session_replication_role = replica;
DELETE FROM oms.tariff_rate WHERE merchant_id = 1 AND tariff_id = 1 AND zone = '2' AND from_weight = 7;
DELETE FROM oms.tariff_rate WHERE merchant_id = 1 AND tariff_id = 1 AND zone = '3';
RESET session_replication_role;
SELECT results_eq($$ SELECT rule, object FROM oms.verify(1) ORDER BY 1, 2 $$, $$ VALUES ('tariff_gap', 'tariff 1 zone 2'), ('tariff_zone_priced', 'tariff 1 zone 3') $$, 'a gap and a zone without prices');

SELECT * FROM finish();
ROLLBACK;
