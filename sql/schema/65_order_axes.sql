-- The derived columns of orders, said once: oms_order_refresh() copies them to sales_order, verify() compares.

CREATE OR REPLACE VIEW oms.order_axes AS
SELECT o.merchant_id, o.order_id,
	CASE WHEN l.units > 0 AND l.cancelled = l.units THEN 'cancelled'
		WHEN o.lifecycle = 'confirmed' AND l.shipped = l.units - l.cancelled THEN 'completed'
		ELSE o.lifecycle END AS lifecycle,
	CASE WHEN l.shipped = 0 THEN 'unfulfilled'
		WHEN l.shipped < l.units - l.cancelled THEN 'partial'
		WHEN l.delivered < l.shipped THEN 'fulfilled'
		ELSE 'delivered' END AS fulfilment_state,
	CASE WHEN l.returned = 0 AND l.return_requested = 0 THEN 'none'
		WHEN l.returned = 0 THEN 'requested'
		WHEN l.returned < l.shipped THEN 'partial'
		ELSE 'returned' END AS return_state,
	l.cancelled_total + CASE WHEN l.cancelled = l.units AND (l.units > 0 OR o.lifecycle = 'cancelled')
		THEN coalesce((SELECT sum(c.total) FROM oms.order_charge c
			WHERE c.merchant_id = o.merchant_id AND c.order_id = o.order_id), 0) ELSE 0 END AS cancelled_total,
	EXISTS (SELECT 1 FROM oms.order_hold h
		WHERE h.merchant_id = o.merchant_id AND h.order_id = o.order_id AND h.released_at IS NULL) AS on_hold
FROM oms.sales_order o, LATERAL (
	SELECT coalesce(sum(l.ordered), 0) AS units, coalesce(sum(l.cancelled), 0) AS cancelled,
		coalesce(sum(l.shipped), 0) AS shipped, coalesce(sum(l.delivered), 0) AS delivered,
		coalesce(sum(l.return_requested), 0) AS return_requested, coalesce(sum(l.returned), 0) AS returned,
		coalesce(sum(CASE WHEN l.cancelled > 0
			THEN oms.units_share(l.total, l.ordered, l.ordered - l.cancelled, l.ordered, o.currency) END), 0) AS cancelled_total
	FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id) l;
COMMENT ON VIEW oms.order_axes IS 'The derived columns of sales_order recomputed from lines, charges and holds (payment_state: view payment_order)';
