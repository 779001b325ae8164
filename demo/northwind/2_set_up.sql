-- Reference data from the dump: channel, location, companies with their customers, articles, prices, shippers, stock.

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 21, 'NORTHWIND', 'Northwind Traders');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, tax_included)
VALUES (1, 21, 'northwind', 'Northwind', 'USD', true);
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 21, 21);

INSERT INTO oms.company (merchant_id, name)
	SELECT DISTINCT 1, company_name FROM northwind.customers;
INSERT INTO oms.customer (merchant_id, company_id, external_ref, name, phone, ship_to)
	SELECT 1, co.company_id, c.customer_id, coalesce(c.contact_name, c.company_name), c.phone,
			jsonb_strip_nulls(jsonb_build_object('name', c.contact_name, 'company', c.company_name, 'street', c.address,
				'city', c.city, 'region', c.region, 'postcode', c.postal_code, 'country', k.code))
	FROM northwind.customers c
	JOIN oms.company co ON co.merchant_id = 1 AND co.name = c.company_name
	LEFT JOIN northwind.country k ON k.name = c.country;

INSERT INTO oms.item (merchant_id, sku, title)
	SELECT 1, product_id::text, product_name FROM northwind.products;
INSERT INTO oms.price (merchant_id, item_id, currency, amount)
	SELECT 1, i.item_id, 'USD', p.unit_price::numeric
	FROM northwind.products p
	JOIN oms.item i ON i.merchant_id = 1 AND i.sku = p.product_id::text;

INSERT INTO oms.carrier (merchant_id, code, name)
	SELECT 1, shipper_id::text, company_name FROM northwind.shippers;

-- The dump tells what is on the shelf after all its orders; before them, what they took was there too.
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, at)
	SELECT 1, 21, i.item_id, 'opening', p.units_in_stock + coalesce(d.ordered, 0), 'opening: units in stock and all units ordered', '1996-07-01'
	FROM northwind.products p
	JOIN oms.item i ON i.merchant_id = 1 AND i.sku = p.product_id::text
	LEFT JOIN (SELECT product_id, sum(quantity) AS ordered FROM northwind.order_details GROUP BY 1) AS d USING (product_id)
	WHERE p.units_in_stock + coalesce(d.ordered, 0) > 0;
