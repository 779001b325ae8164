-- Orders with a shipping date left on that day with their shipper; the others are open.
SELECT count(set_config('oms.test_clock', at::text, true) || oms.ship_order(1, order_id, carrier => shipper))
FROM (
	SELECT o.order_id, n.shipped_date::timestamp AT TIME ZONE 'UTC' AS at, n.ship_via::text AS shipper
	FROM northwind.orders n
	JOIN oms.sales_order o ON o.merchant_id = 1 AND o.channel_id = 21 AND o.external_ref = n.order_id::text
	WHERE n.shipped_date IS NOT NULL
	ORDER BY n.shipped_date, n.order_id
) AS todo;
