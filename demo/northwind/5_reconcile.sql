-- Dump beside oms, order by order.

CREATE VIEW northwind.outcome AS
	SELECT n.order_id AS number, s.company_name AS shipper, n.shipped_date IS NOT NULL AS shipped,
			n.freight::numeric AS freight, o.shipping AS freight_in_oms, e.freight AS freight_exact,
			d.lines, l.lines AS lines_in_oms, d.gross, l.gross AS gross_in_oms, d.net, l.net AS net_in_oms,
			c.name AS carrier_in_oms
	FROM northwind.orders n
	JOIN northwind.shippers s ON s.shipper_id = n.ship_via
	JOIN (
		SELECT order_id, count(*) AS lines, sum(unit_price::numeric * quantity) AS gross,
				sum(unit_price::numeric * quantity * (1 - discount::numeric)) AS net
		FROM northwind.order_details GROUP BY order_id
	) AS d ON d.order_id = n.order_id
	LEFT JOIN northwind.exact_freight e ON e.order_id = n.order_id
	LEFT JOIN oms.sales_order o ON o.merchant_id = 1 AND o.channel_id = 21 AND o.external_ref = n.order_id::text
	LEFT JOIN (
		SELECT order_id, count(*) AS lines, sum(unit_price * ordered) AS gross, sum(total) AS net
		FROM oms.order_line WHERE merchant_id = 1 GROUP BY order_id
	) AS l ON l.order_id = o.order_id
	LEFT JOIN oms.shipment m ON m.merchant_id = 1 AND m.order_id = o.order_id
	LEFT JOIN oms.carrier c ON c.merchant_id = 1 AND c.carrier_id = m.carrier_id;
COMMENT ON VIEW northwind.outcome IS 'For each order of the dump: freight, lines and amounts there and in oms; carrier_in_oms is null for what has not shipped';
