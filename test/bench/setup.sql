-- Items 1 to 1,000 are the yardstick's shop: 10,000 customers, one location, plenty of stock. 9,000 more
-- spread the load where one hot item is compared with many; of item 20001 there are a hundred units.
SET client_min_messages = warning;
CREATE EXTENSION oms;
CALL oms.install();
INSERT INTO oms.item (merchant_id, item_id, sku, title)
	SELECT 1, g, 'SKU-' || lpad(g::text, 5, '0'), 'Product ' || g FROM generate_series(1, 10000) g;
INSERT INTO oms.price (merchant_id, item_id, currency, amount)
	SELECT 1, g, 'EUR', 5 + (g % 100) * 0.37 FROM generate_series(1, 10000) g;
INSERT INTO oms.tax_rule (merchant_id, tax_class, rate) VALUES (1, 'standard', 0.2);
UPDATE oms.channel SET tax_included = false WHERE merchant_id = 1;
INSERT INTO oms.customer (merchant_id, customer_id, name, email, ship_to)
	SELECT 1, g, 'Customer ' || g, 'c' || g || '@example.test',
		'{"name":"Ann Other","street":"1 High Street","city":"Town","postcode":"AB1 2CD","country":"GB"}'
	FROM generate_series(1, 10000) g;
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause)
	SELECT 1, 1, g, 'opening', 1000000000, 'benchmark' FROM generate_series(1, 10000) g;
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 20001, 'LAST', 'The last hundred');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 20001, 'EUR', 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 1, 20001, 'opening', 100, 'benchmark');

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 20002, 'WANTED', 'Promised a hundred thousand times');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 20002, 'EUR', 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 1, 20002, 'opening', 1000000, 'benchmark');

-- An attempt that may be refused, so that the client goes on.
CREATE SCHEMA bench;
CREATE FUNCTION bench.try_place(customer bigint, item bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN oms.place_order(1, 1, customer, ARRAY[item], '{1}');
EXCEPTION WHEN SQLSTATE 'OM001' THEN
	RETURN NULL;
END $$;

-- Lists of a thousand items.
CREATE TABLE bench.list AS SELECT (g - 1) / 1000 AS n, array_agg(g::bigint) AS items FROM generate_series(1, 9000) g GROUP BY 1;
