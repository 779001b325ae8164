\pset footer off
\pset null ''
\echo '# 1  A shop'
\echo '> CALL oms.install() has made merchant 1 with one channel (web, EUR) and one location.'
\echo '> Reference data is plain SQL: here a second of each, in pounds.'
\set ECHO queries
UPDATE oms.location SET code = 'HAM', name = 'Hamburg', time_zone = 'Europe/Berlin',
	address = '{"street": "Kaistraße 1", "city": "Hamburg", "postcode": "20457", "country": "DE"}' WHERE merchant_id = 1;
INSERT INTO oms.location (merchant_id, location_id, code, name, time_zone, address)
VALUES (1, 2, 'LDS', 'Leeds', 'Europe/London', '{"street": "9 Canal Road", "city": "Leeds", "postcode": "LS12 2TU", "country": "GB"}');
UPDATE oms.channel SET time_zone = 'Europe/Berlin', language = 'de', number_prefix = 'W-' WHERE merchant_id = 1;
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, time_zone, number_prefix)
VALUES (1, 2, 'uk', 'UK shop', 'GBP', 'Europe/London', 'U-');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 2, 2);
\set ECHO none

\echo '> Articles come from a CSV file: 27 of them, two are kits, one is a service.'
CREATE SCHEMA demo;
CREATE TABLE demo.item_file (sku text, title text, kind text, tax_class text, weight_g int, length_mm int, width_mm int, height_mm int,
	eur numeric, gbp numeric, hamburg int, leeds int);
CREATE TABLE demo.kit_file (kit text, part text, quantity int);
CREATE TABLE demo.customer_file (ref text, name text, company text, email text, language text, street text, city text, postcode text, country text);
CREATE TABLE demo.tax_file (tax_class text, country text, rate numeric);
\copy demo.item_file FROM 'sample/items.csv' WITH (FORMAT csv, HEADER)
\copy demo.kit_file FROM 'sample/kits.csv' WITH (FORMAT csv, HEADER)
\copy demo.customer_file FROM 'sample/customers.csv' WITH (FORMAT csv, HEADER)
\copy demo.tax_file FROM 'sample/tax_rules.csv' WITH (FORMAT csv, HEADER)
INSERT INTO oms.tax_rule (merchant_id, tax_class, country, rate) SELECT 1, tax_class, coalesce(country, ''), rate FROM demo.tax_file;
\set ECHO queries
INSERT INTO oms.item (merchant_id, sku, title, kind, tax_class, weight_g, length_mm, width_mm, height_mm)
	SELECT 1, sku, title, kind, tax_class, weight_g, length_mm, width_mm, height_mm FROM demo.item_file;
INSERT INTO oms.price (merchant_id, item_id, currency, amount)
	SELECT 1, i.item_id, p.currency, p.amount
	FROM demo.item_file f
	JOIN oms.item i ON i.merchant_id = 1 AND i.sku = f.sku, LATERAL (VALUES ('EUR', f.eur), ('GBP', f.gbp)) AS p(currency, amount);
INSERT INTO oms.stock_movement (merchant_id, item_id, location_id, kind, quantity, cause)
	SELECT 1, i.item_id, s.location_id, 'opening', s.quantity, 'count of the first day'
	FROM demo.item_file f
	JOIN oms.item i ON i.merchant_id = 1 AND i.sku = f.sku, LATERAL (VALUES (1, f.hamburg), (2, f.leeds)) AS s(location_id, quantity)
	WHERE s.quantity > 0;
\set ECHO none
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity)
	SELECT 1, k.item_id, p.item_id, f.quantity
	FROM demo.kit_file f
	JOIN oms.item k ON k.merchant_id = 1 AND k.sku = f.kit
	JOIN oms.item p ON p.merchant_id = 1 AND p.sku = f.part;
INSERT INTO oms.company (merchant_id, name) SELECT 1, company FROM demo.customer_file WHERE company IS NOT NULL;
INSERT INTO oms.customer (merchant_id, external_ref, company_id, name, email, language, ship_to)
	SELECT 1, f.ref, c.company_id, f.name, f.email, f.language,
			jsonb_strip_nulls(jsonb_build_object('name', f.name, 'company', f.company, 'street', f.street, 'city', f.city, 'postcode', f.postcode, 'country', f.country))
	FROM demo.customer_file f
	LEFT JOIN oms.company c ON c.merchant_id = 1 AND c.name = f.company;
\echo '> Stock has moved by movements only; the levels follow.'
\set ECHO queries
SELECT i.sku, i.title, s.on_hand AS hamburg, oms.available(1, i.item_id, 2) AS leeds
FROM oms.stock s
JOIN oms.item i USING (merchant_id, item_id)
WHERE s.merchant_id = 1 AND s.location_id = 1
ORDER BY s.on_hand DESC
LIMIT 4;
\set ECHO none
