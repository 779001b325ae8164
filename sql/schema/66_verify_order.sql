-- Invariants of orders.

CREATE OR REPLACE VIEW oms.verify_order AS
SELECT o.merchant_id, 'order_axes' AS rule, format('order %s', o.order_id) AS object,
	format('%s, %s, %s, on hold %s, cancelled %s', a.lifecycle, a.fulfilment_state, a.return_state, a.on_hold, a.cancelled_total) AS expected,
	format('%s, %s, %s, on hold %s, cancelled %s', o.lifecycle, o.fulfilment_state, o.return_state, o.on_hold, o.cancelled_total) AS found
FROM oms.sales_order o JOIN oms.order_axes a USING (merchant_id, order_id)
WHERE (o.lifecycle, o.fulfilment_state, o.return_state, o.on_hold, o.cancelled_total)
	IS DISTINCT FROM (a.lifecycle, a.fulfilment_state, a.return_state, a.on_hold, a.cancelled_total)
UNION ALL
SELECT o.merchant_id, 'payment_state', format('order %s', o.order_id), p.state, o.payment_state
FROM oms.sales_order o JOIN oms.payment_order p USING (merchant_id, order_id)
WHERE o.payment_state <> p.state
UNION ALL
SELECT o.merchant_id, 'closed_is_done', format('order %s', o.order_id), 'no unit open', format('%s, %s units open', o.lifecycle, l.open)
FROM oms.sales_order o, LATERAL (SELECT sum(l.ordered - l.cancelled - l.shipped) AS open
	FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id) l
WHERE o.lifecycle IN ('cancelled', 'completed') AND l.open > 0
UNION ALL
SELECT o.merchant_id, 'order_total', format('order %s', o.order_id),
	format('discount %s, tax %s, shipping %s, charges %s, total %s', l.discount, l.tax + c.tax, c.shipping, c.charges, l.total + c.total),
	format('discount %s, tax %s, shipping %s, charges %s, total %s', o.discount, o.tax, o.shipping, o.charges, o.total)
FROM oms.sales_order o,
	LATERAL (SELECT coalesce(sum(discount), 0) AS discount, coalesce(sum(tax), 0) AS tax, coalesce(sum(total), 0) AS total
		FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id) l,
	LATERAL (SELECT coalesce(sum(tax), 0) AS tax, coalesce(sum(total), 0) AS total,
			coalesce(sum(amount) FILTER (WHERE kind = 'shipping'), 0) AS shipping,
			coalesce(sum(amount) FILTER (WHERE kind <> 'shipping'), 0) AS charges
		FROM oms.order_charge c WHERE c.merchant_id = o.merchant_id AND c.order_id = o.order_id) c
WHERE (o.discount, o.tax, o.shipping, o.charges, o.total)
	IS DISTINCT FROM (l.discount, l.tax + c.tax, c.shipping, c.charges, l.total + c.total)
	OR o.total <> o.subtotal - o.discount + o.shipping + o.charges + CASE WHEN o.tax_included THEN 0 ELSE o.tax END
UNION ALL
SELECT l.merchant_id, 'line_counters', format('order %s line %s', l.order_id, l.line_no),
	'allocated + backordered + shipped + cancelled <= ordered; delivered <= shipped <= packed <= picked <= ordered - cancelled; return_requested + returned <= shipped',
	format('ordered %s, cancelled %s, allocated %s, backordered %s, picked %s, packed %s, shipped %s, delivered %s, return requested %s, returned %s',
		l.ordered, l.cancelled, l.allocated, l.backordered, l.picked, l.packed, l.shipped, l.delivered, l.return_requested, l.returned)
FROM oms.order_line l
WHERE NOT (l.ordered > 0 AND l.cancelled >= 0 AND l.allocated >= 0 AND l.backordered >= 0
	AND l.delivered >= 0 AND l.return_requested >= 0 AND l.returned >= 0
	AND l.allocated + l.backordered + l.shipped + l.cancelled <= l.ordered
	AND l.delivered <= l.shipped AND l.shipped <= l.packed AND l.packed <= l.picked AND l.picked <= l.ordered - l.cancelled
	AND l.picked - l.shipped <= l.allocated AND l.return_requested + l.returned <= l.shipped)
UNION ALL
SELECT l.merchant_id, 'line_total', format('order %s line %s', l.order_id, l.line_no), 'total of zero or more', l.total::text
FROM oms.order_line l WHERE l.total < 0
UNION ALL
SELECT l.merchant_id, 'line_promises', format('order %s line %s', l.order_id, l.line_no),
	format('allocated %s', r.units), format('allocated %s', l.allocated)
FROM oms.order_line l, LATERAL (
	SELECT CASE WHEN EXISTS (SELECT 1 FROM oms.order_line_component c
			WHERE c.merchant_id = l.merchant_id AND c.order_id = l.order_id AND c.line_no = l.line_no)
		THEN (SELECT min(coalesce((SELECT sum(r.quantity) FROM oms.reservation r WHERE r.merchant_id = l.merchant_id
				AND r.order_id = l.order_id AND r.line_no = l.line_no AND r.item_id = c.item_id), 0) / c.per_unit)
			FROM oms.order_line_component c
			WHERE c.merchant_id = l.merchant_id AND c.order_id = l.order_id AND c.line_no = l.line_no)
		ELSE (SELECT coalesce(sum(r.quantity), 0) FROM oms.reservation r
			WHERE r.merchant_id = l.merchant_id AND r.order_id = l.order_id AND r.line_no = l.line_no) END AS units) r
WHERE l.allocated <> r.units
UNION ALL
SELECT r.merchant_id, 'promise_has_line', format('reservation %s', r.reservation_id),
	format('line %s of order %s', r.line_no, r.order_id), 'none'
FROM oms.reservation r
WHERE NOT EXISTS (SELECT 1 FROM oms.order_line l
	WHERE l.merchant_id = r.merchant_id AND l.order_id = r.order_id AND l.line_no = r.line_no)
UNION ALL
SELECT r.merchant_id, 'promise_is_of_line', format('reservation %s', r.reservation_id),
	format('item %s, or a part of it', l.item_id), format('item %s', r.item_id)
FROM oms.reservation r JOIN oms.order_line l USING (merchant_id, order_id, line_no)
WHERE l.item_id IS DISTINCT FROM r.item_id AND NOT EXISTS (SELECT 1 FROM oms.order_line_component c
	WHERE c.merchant_id = r.merchant_id AND c.order_id = r.order_id AND c.line_no = r.line_no AND c.item_id = r.item_id)
UNION ALL
SELECT l.merchant_id, 'line_has_order', format('order %s line %s', l.order_id, l.line_no), 'an order', 'none'
FROM oms.order_line l
WHERE NOT EXISTS (SELECT 1 FROM oms.sales_order o WHERE o.merchant_id = l.merchant_id AND o.order_id = l.order_id)
UNION ALL
SELECT l.merchant_id, 'line_has_item', format('order %s line %s', l.order_id, l.line_no), format('item %s', l.item_id), 'none'
FROM oms.order_line l
WHERE l.item_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM oms.item i WHERE i.merchant_id = l.merchant_id AND i.item_id = l.item_id)
UNION ALL
SELECT o.merchant_id, 'order_has_parents', format('order %s', o.order_id),
	format('channel %s and customer %s', o.channel_id, o.customer_id), 'one of them is missing'
FROM oms.sales_order o
WHERE NOT EXISTS (SELECT 1 FROM oms.channel c WHERE c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id)
	OR (o.customer_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM oms.customer c
		WHERE c.merchant_id = o.merchant_id AND c.customer_id = o.customer_id))
UNION ALL
SELECT o.merchant_id, 'order_was_placed', format('order %s', o.order_id), 'one event order.placed', count(e.event_id)::text
FROM oms.sales_order o LEFT JOIN oms.event e
	ON e.merchant_id = o.merchant_id AND e.order_id = o.order_id AND e.type = 'order.placed'
GROUP BY o.merchant_id, o.order_id HAVING count(e.event_id) > 1
UNION ALL
SELECT l.merchant_id, 'unmapped_is_held', format('order %s line %s', l.order_id, l.line_no), 'an open hold of kind unmapped', 'none'
FROM oms.order_line l JOIN oms.sales_order o USING (merchant_id, order_id)
WHERE l.item_id IS NULL AND l.cancelled < l.ordered AND NOT EXISTS (SELECT 1 FROM oms.order_hold h
	WHERE h.merchant_id = l.merchant_id AND h.order_id = l.order_id AND h.kind = 'unmapped' AND h.released_at IS NULL)
	AND o.lifecycle = 'placed'
UNION ALL
SELECT l.merchant_id, 'unmapped_is_unknown', format('order %s line %s', l.order_id, l.line_no), format('item %s', i.item_id), 'unmapped'
FROM oms.order_line l JOIN oms.sales_order o USING (merchant_id, order_id)
	JOIN oms.item i ON i.merchant_id = l.merchant_id AND i.sku = l.sku
WHERE l.item_id IS NULL AND l.cancelled < l.ordered AND o.lifecycle <> 'cancelled' AND i.active AND (i.kind <> 'kit'
	OR EXISTS (SELECT 1 FROM oms.kit_component c WHERE c.merchant_id = i.merchant_id AND c.kit_id = i.item_id));
COMMENT ON VIEW oms.verify_order IS 'Broken invariants of orders; see verify()';
COMMENT ON COLUMN oms.verify_order.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_order.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_order.object IS 'Where';
COMMENT ON COLUMN oms.verify_order.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_order.found IS 'What is';
