-- Catalogue: plain tables, filled by INSERT and COPY.

INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (20, 'Catalogue', 'EUR');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, weight_g, length_mm, width_mm, height_mm) VALUES
	(20, 201, 'CUP', 'Cup', 'stocked', 300, 90, 90, 100),
	(20, 202, 'SAUCER', 'Saucer', 'stocked', 150, 150, 150, 20),
	(20, 203, 'SET', 'Cup and saucer', 'kit', NULL, NULL, NULL, NULL),
	(20, 204, 'SERVICE', 'Six sets', 'kit', NULL, NULL, NULL, NULL),
	(20, 205, 'WRAP', 'Gift wrapping', 'service', NULL, NULL, NULL, NULL);
COPY oms.kit_component (merchant_id, kit_id, item_id, quantity) FROM stdin;
20	203	201	1
20	203	202	1
20	204	203	6
\.

-- A kit may contain kits, but never itself; only kits have parts.
INSERT INTO oms.kit_component VALUES (20, 203, 204, 1);
INSERT INTO oms.kit_component VALUES (20, 203, 203, 1);
INSERT INTO oms.kit_component VALUES (20, 201, 202, 1);

-- SKUs are unique per merchant, and not empty.
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (20, 209, 'CUP', 'Another cup');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (20, 209, '', 'Nothing');

-- Items stay; one that is not sold any more is set inactive.
DELETE FROM oms.item WHERE merchant_id = 20;
UPDATE oms.item SET item_id = 999 WHERE merchant_id = 20 AND item_id = 205;
SET client_min_messages = warning; -- not which tables there are
TRUNCATE oms.item CASCADE;
RESET client_min_messages;
UPDATE oms.item SET active = false WHERE merchant_id = 20 AND item_id = 205;

-- Prices and tax rates.
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (20, 201, 'EUR', -1);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (20, 201, 'EUR', 'NaN');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (20, 201, 'XYZ', 1);
INSERT INTO oms.tax_rule (merchant_id, tax_class, rate) VALUES (20, 'standard', 'Infinity');
SELECT count(*) FROM oms.price WHERE merchant_id = 20;
