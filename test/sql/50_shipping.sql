-- Shipping: what does it cost to send this parcel, and with whom?
-- A tariff is loaded as a draft, checked and frozen, and asked.

INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (50, 'Tea house', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name, address)
	VALUES (50, 1, 'BERLIN', 'Berlin', '{"street":"Invalidenstr. 1","city":"Berlin","postcode":"10115","country":"DE"}');
INSERT INTO oms.carrier (merchant_id, carrier_id, code, name, tracking_url) VALUES
	(50, 501, 'post', 'The Post', 'https://post.example/track/{tracking_number}'),
	(50, 502, 'swift', 'Swift Couriers', NULL);
INSERT INTO oms.carrier_service (merchant_id, service_id, carrier_id, code, name, transit_days, preference) VALUES
	(50, 501, 501, 'parcel', 'Parcel', 3, 0),
	(50, 502, 501, 'express', 'Express', 1, 0),
	(50, 503, 502, 'courier', 'Courier', 1, 1);

-- Parcel: kilograms and centimetres, volumetric weight above 20 litres, 12 % fuel, 19 % tax.
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency, weight_unit, weight_step, length_unit, side_rounding,
	divisor, volume_threshold, max_weight, max_side, max_girth, fuel_percent, tax_percent)
	VALUES (50, 501, 501, '2026', 'EUR', 'kg', 0.001, 'cm', 'up', 5000, 20000, 31.5, 120, 300, 12, 19);
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, region, postal_from, postal_to, zone, transit_days) VALUES
	(50, 501, 'DE', '', '', '', 'home', NULL),
	(50, 501, 'DE', '', '259', '', 'islands', 5),
	(50, 501, 'DE', '', '10000', '14999', 'local', 1),
	(50, 501, 'AT', '', '', '', 'near', NULL),
	(50, 501, 'GB', '', '', '', 'abroad', 6),
	(50, 501, 'GB', '', 'BT', '', 'islands', 7);
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price)
	SELECT 50, 501, zone, from_weight, to_weight, price * factor
	FROM (VALUES (0, 2, 4.00), (2, 5, 5.20), (5, 10, 7.60), (10, 31.501, 12.00)) AS b (from_weight, to_weight, price),
		(VALUES ('local', 0.8), ('home', 1), ('near', 2), ('islands', 3), ('abroad', 4)) AS z (zone, factor);
INSERT INTO oms.tariff_surcharge (merchant_id, tariff_id, code, position, exclusive_group, amount, residential, over_side, over_weight, fuel, minimum_weight) VALUES
	(50, 501, 'bulky', 1, 'size', 20, false, 100, NULL, false, 10),
	(50, 501, 'heavy', 2, 'size', 8, false, NULL, 25, false, 0),
	(50, 501, 'residential', 3, NULL, 0.50, true, NULL, NULL, true, 0);

-- A draft is not quoted.
SELECT rank, carrier, service, price, refusal, detail
	FROM oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331"}', '[{"weight_g":1800}]');

-- No weight may have two prices, no place two zones; and no range may be empty.
\set VERBOSITY terse
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (50, 501, 'home', 1.5, 2.5, 9);
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, postal_from, postal_to, zone) VALUES (50, 501, 'de', '12 000', '16 000', 'home');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (50, 501, 'home', 40, 40, 9);
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, postal_from, postal_to, zone) VALUES (50, 501, 'DE', '9', '80', 'home');

\set VERBOSITY default

-- And no weight between two breaks may be without one.
UPDATE oms.tariff_rate SET from_weight = 5.5 WHERE merchant_id = 50 AND tariff_id = 501 AND zone = 'near' AND from_weight = 5;
SELECT zone, from_weight, to_weight FROM oms.tariff_gap WHERE merchant_id = 50;
SELECT oms.activate_tariff(50, 501);
UPDATE oms.tariff_rate SET from_weight = 5 WHERE merchant_id = 50 AND tariff_id = 501 AND zone = 'near' AND from_weight = 5.5;
SELECT oms.activate_tariff(50, 501, 'tariff 2026');
SELECT oms.activate_tariff(50, 501, 'tariff 2026');
SELECT oms.activate_tariff(50, 501);

-- Every part of the price is told; they sum to it, and it is rounded once.
SELECT rank, service, zone, base, accessorials, fuel, tax, price, transit_days, refusal
	FROM oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331","company":"Cafe Ltd"}', '[{"weight_g":1800}]');
SELECT service, zone, base, accessorials, fuel, tax, price, transit_days
	FROM oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331"}', '[{"weight_g":1800}]') WHERE refusal IS NULL;

-- The most specific place decides.
SELECT postcode, zone, transit_days FROM (VALUES ('DE', '80331'), ('DE', '10115'), ('DE', '25997'), ('AT', '1010'), ('GB', 'SW1A 1AA'), ('GB', 'bt1 5gs'), ('DE', '')) AS t (country, postcode),
	LATERAL oms.rate_shop(50, 1, jsonb_build_object('country', country, 'postcode', nullif(postcode, '')), '[{"weight_g":500}]') WHERE refusal IS NULL;

-- A weight on a break belongs to the row that begins there.
SELECT weight, base FROM (VALUES (1), (1999), (2000), (2001), (4999), (5000), (31500)) AS t (weight),
	LATERAL oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331"}', jsonb_build_array(jsonb_build_object('weight_g', weight))) WHERE refusal IS NULL;

-- Large and light: 30 x 30 x 30 cm are 27 litres, so 5.4 kg; 27 x 27 x 27 are not above 20 litres.
SELECT base, parcel_parts FROM oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331","company":"x"}', '[{"weight_g":500,"length_mm":300,"width_mm":300,"height_mm":300}]') WHERE refusal IS NULL;
SELECT base, parcel_parts FROM oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331","company":"x"}', '[{"weight_g":500,"length_mm":270,"width_mm":270,"height_mm":270}]') WHERE refusal IS NULL;
-- Two parcels, one of them bulky (which goes before heavy) and billed as 10 kg.
SELECT base, accessorials, fuel, tax, price, parcel_parts FROM oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331","company":"x"}',
	'[{"weight_g":26000,"length_mm":1050,"width_mm":100,"height_mm":100},{"weight_g":3000}]') WHERE refusal IS NULL;

-- Who refuses says why.
SELECT service, refusal, detail FROM oms.rate_shop(50, 1, '{"country":"FR"}', '[{"weight_g":500}]');
SELECT service, refusal, detail FROM oms.rate_shop(50, 1, '{"country":"DE"}', '[{"weight_g":500},{"weight_g":31501}]') WHERE refusal <> 'no_tariff';
SELECT service, refusal, detail FROM oms.rate_shop(50, 1, '{"country":"DE"}', '[{"weight_g":500,"length_mm":1201,"width_mm":10,"height_mm":10}]') WHERE refusal <> 'no_tariff';
SELECT service, refusal, detail FROM oms.rate_shop(50, 1, '{"country":"DE"}', '[{"weight_g":500,"length_mm":1200,"width_mm":500,"height_mm":410}]') WHERE refusal <> 'no_tariff';

-- Two services of the same price: the faster, then the preferred one.
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency) VALUES (50, 502, 502, 'flat', 'EUR'), (50, 503, 503, 'flat', 'EUR');
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, zone) VALUES (50, 502, 'all'), (50, 503, 'all');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (50, 502, 'all', 0, 100, 5.33), (50, 503, 'all', 0, 100, 5.33);
SELECT oms.activate_tariff(50, 503), oms.activate_tariff(50, 502);
SELECT rank, carrier, service, price, transit_days
	FROM oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331","company":"x"}', '[{"weight_g":1800}]');

-- What was active stays as it was quoted.
UPDATE oms.tariff SET fuel_percent = 15 WHERE merchant_id = 50 AND tariff_id = 501;
UPDATE oms.tariff_rate SET price = 1 WHERE merchant_id = 50 AND tariff_id = 501;
DELETE FROM oms.tariff_zone WHERE merchant_id = 50 AND tariff_id = 501;
DELETE FROM oms.tariff WHERE merchant_id = 50 AND tariff_id = 501;
INSERT INTO oms.tariff (merchant_id, service_id, name, currency, state) VALUES (50, 501, '2100', 'EUR', 'active');

-- New prices come as a new version, from an instant on; the quote names the one it used.
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency, valid_from) VALUES (50, 504, 501, '2100', 'EUR', '2100-01-01');
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, zone) VALUES (50, 504, 'all');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (50, 504, 'all', 0, 100, 9.99);
SELECT oms.activate_tariff(50, 504);
UPDATE oms.tariff SET valid_to = '2100-01-01' WHERE merchant_id = 50 AND tariff_id = 501;
SELECT oms.activate_tariff(50, 504);
SELECT at, tariff, price FROM (VALUES ('2099-12-31 23:59:59+00'::timestamptz), ('2100-01-01 00:00:00+00')) AS t (at),
	LATERAL oms.rate_shop(50, 1, '{"country":"DE","postcode":"80331","company":"x"}', '[{"weight_g":1800}]', at) WHERE service = 'parcel';

-- From any address, not only from a location.
SELECT service, price FROM oms.rate_shop(50, NULL, '{"country":"AT"}', '[{"weight_g":1800}]', '2026-06-01', from_address => '{"country":"DE","postcode":"10115"}') WHERE service = 'parcel';

-- Errors name what is wrong.
SELECT oms.rate_shop(50, 1, '{"country":"Germany"}', '[{"weight_g":1800}]');
SELECT oms.rate_shop(50, 1, '{"country":"DE"}', '[]');
SELECT oms.rate_shop(50, 1, '{"country":"DE"}', '[{"weight_g":1800},{"weight":2}]');
SELECT oms.rate_shop(50, 1, '{"country":"DE"}', '[{"weight_g":-1}]');
SELECT oms.rate_shop(50, NULL, '{"country":"DE"}', '[{"weight_g":1}]');
SELECT oms.rate_shop(50, 9, '{"country":"DE"}', '[{"weight_g":1}]');
SELECT oms.rate_shop(51, 1, '{"country":"DE"}', '[{"weight_g":1}]');
SELECT oms.activate_tariff(51, 501);

SELECT * FROM oms.verify(50);
