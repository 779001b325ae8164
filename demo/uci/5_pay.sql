-- orders paid
-- count: SELECT count(*) FROM oms.payment WHERE merchant_id = 1

-- The file is of invoices, and says nothing of payments: each sale is paid in the evening of its day, what is left of it by then.
SELECT count(set_config('oms.test_clock', at::text, true) || oms.record_payment_event(1, NULL, 'captured', due, 'paid', at,
		gateway => 'bank', gateway_reference => external_ref, order_id => order_id, method => 'invoice'))
FROM (
	SELECT o.order_id, o.external_ref, b.due, date_trunc('day', o.placed_at) + interval '20 hours' AS at
	FROM oms.sales_order o
	JOIN oms.payment_balance b USING (merchant_id, order_id)
	WHERE o.merchant_id = 1 AND o.channel_id = 11 AND b.due > 0
	ORDER BY o.placed_at
) AS todo;
