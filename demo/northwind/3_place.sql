-- One document per order. Northwind's discount is a fraction of the line; oms
-- takes an amount, rounded to the cent line by line.

INSERT INTO oms.staged_order (merchant_id, source, position, document)
	SELECT 1, 'northwind', o.order_id,
			jsonb_strip_nulls(jsonb_build_object(
				'channel', 'northwind',
				'external_ref', o.order_id::text,
				'customer', k.customer_id,
				'currency', 'USD',
				'placed_at', o.order_date AT TIME ZONE 'UTC',
				'origin', 'northwind',
				'ship_to', jsonb_build_object('name', o.ship_name, 'street', o.ship_address, 'city', o.ship_city,
					'region', o.ship_region, 'postcode', o.ship_postal_code, 'country', c.code),
				'tax_included', true,
				'instructions', 'required by ' || o.required_date,
				'lines', d.lines,
				'shipping', o.freight::numeric::text,
				'shipping_tax_rate', '0'))
	FROM northwind.orders o
	JOIN (
		SELECT order_id, jsonb_agg(jsonb_build_object('sku', product_id::text, 'quantity', quantity, 'unit_price', unit_price::numeric::text,
				'discount', round(unit_price::numeric * quantity * discount::numeric, 2)::text, 'tax_rate', '0') ORDER BY product_id) AS lines
		FROM northwind.order_details GROUP BY order_id
	) AS d USING (order_id)
	LEFT JOIN oms.customer k ON k.merchant_id = 1 AND k.external_ref = o.customer_id
	LEFT JOIN northwind.country c ON c.name = o.ship_country;
