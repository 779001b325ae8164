-- Problems of orders: read from the rows themselves, so that a problem is there in the transaction that makes it.

CREATE OR REPLACE VIEW oms.order_problem AS
-- Told for a day that has passed, or that what waits will miss.
SELECT o.merchant_id, o.order_id, 'late_risk' AS problem, d.due_at AS since,
	CASE WHEN d.due_at < oms.clock() THEN 'the day has passed' ELSE format('units are expected on %s', to_char(d.expected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')) END AS detail
-- only what was told a day: by the tables that tell one
FROM (SELECT p.merchant_id, p.order_id FROM oms.line_promise p
	UNION SELECT u.merchant_id, u.order_id FROM oms.order_urgency u
	UNION SELECT s.merchant_id, s.order_id FROM oms.order_schedule s) k
JOIN oms.sales_order o ON o.merchant_id = k.merchant_id AND o.order_id = k.order_id
CROSS JOIN LATERAL (
	SELECT least(u.promised_at, s.ship_at, w.original_at) AS due_at, w.expected_at
	FROM (SELECT min(p.original_at) AS original_at, max(p.promised_at) AS expected_at FROM oms.line_promise p
		JOIN oms.order_line l ON l.merchant_id = p.merchant_id AND l.order_id = p.order_id AND l.line_no = p.line_no AND l.backordered > 0
		WHERE p.merchant_id = o.merchant_id AND p.order_id = o.order_id) w
	LEFT JOIN oms.order_urgency u ON u.merchant_id = o.merchant_id AND u.order_id = o.order_id
	LEFT JOIN oms.order_schedule s ON s.merchant_id = o.merchant_id AND s.order_id = o.order_id) d
WHERE o.lifecycle NOT IN ('completed', 'cancelled') AND (d.due_at < oms.clock() OR d.expected_at > d.due_at)
UNION ALL
-- Past what its service level says.
SELECT c.merchant_id, c.order_id, 'late', c.due_at, format('not %s, %s minutes of working time past', c.milestone, -c.minutes_left)
FROM oms.order_clock c
WHERE c.state = 'late'
UNION ALL
-- Nothing happens any more by itself.
SELECT t.merchant_id, t.order_id, 'stuck', t.run_at, format('task %s %s gave up: %s', t.task_id, t.kind, t.last_error)
FROM oms.task t
WHERE t.state = 'dead' AND t.order_id IS NOT NULL
UNION ALL
SELECT o.merchant_id, o.order_id, 'stuck', e.at, format('%s since, with nothing to hold it', o.lifecycle)
FROM oms.sales_order o
CROSS JOIN LATERAL (SELECT max(e.at) AS at FROM oms.event e WHERE e.merchant_id = o.merchant_id AND e.order_id = o.order_id) e
WHERE o.lifecycle NOT IN ('completed', 'cancelled') AND NOT o.on_hold
	AND e.at < oms.clock() - make_interval(hours => (SELECT CASE WHEN s.value ~ '^[0-9]{1,6}$' THEN s.value::int ELSE 72 END
		FROM oms.effective_setting(o.merchant_id, 'stuck_hours', o.channel_id) s))
	AND NOT EXISTS (SELECT 1 FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.backordered > 0)
	AND NOT EXISTS (SELECT 1 FROM oms.order_schedule s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id AND s.reserved_at IS NULL)
UNION ALL
-- More is shipped than is paid, and its day has passed.
SELECT o.merchant_id, o.order_id, 'unpaid_shipped',
	(SELECT min(s.shipped_at) FROM oms.shipment s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id),
	format('%s shipped, %s paid (%s)', v.shipped, p.captured - p.charged_back, o.currency)
FROM oms.sales_order o
JOIN oms.payment_order p ON p.merchant_id = o.merchant_id AND p.order_id = o.order_id
CROSS JOIN LATERAL (SELECT sum(oms.units_share(l.total, l.ordered, 0, l.shipped, o.currency)) AS shipped
	FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.shipped > 0) v
WHERE o.fulfilment_state <> 'unfulfilled' AND o.payment_state IN ('none', 'pending', 'authorized', 'partial') AND p.captured - p.charged_back < v.shipped
	-- what terms give time for is no problem before its day
	AND (NOT EXISTS (SELECT FROM oms.order_term_part t WHERE t.merchant_id = o.merchant_id AND t.order_id = o.order_id)
		OR EXISTS (SELECT FROM oms.payment_due d WHERE d.merchant_id = o.merchant_id AND d.order_id = o.order_id AND d.state = 'overdue'))
UNION ALL
-- Units that have no stock and do not wait for any.
SELECT o.merchant_id, o.order_id, 'unallocated', o.placed_at,
	format('line %s: %s of %s', l.line_no, l.ordered - l.cancelled - l.shipped - l.allocated - l.backordered, l.sku)
FROM oms.order_line l
JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id AND o.lifecycle NOT IN ('completed', 'cancelled')
LEFT JOIN oms.item i ON i.merchant_id = l.merchant_id AND i.item_id = l.item_id
WHERE l.allocated + l.backordered + l.shipped + l.cancelled < l.ordered AND i.kind IS DISTINCT FROM 'service'
	AND NOT EXISTS (SELECT 1 FROM oms.order_schedule s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id AND s.reserved_at IS NULL)
UNION ALL
-- What others say of the order is not what the order says.
SELECT a.merchant_id, a.order_id, 'mismatch', o.placed_at, format('payment %s: %s, %s where %s is allowed (%s)', a.payment_id, a.anomaly, a.found, a.allowed, a.currency)
FROM oms.payment_anomaly a
JOIN oms.sales_order o ON o.merchant_id = a.merchant_id AND o.order_id = a.order_id
UNION ALL
SELECT h.merchant_id, h.order_id, 'mismatch', h.placed_at, concat_ws(': ', h.kind, h.reason)
FROM oms.order_hold h
WHERE h.released_at IS NULL AND h.kind = 'import';
COMMENT ON VIEW oms.order_problem IS 'Orders with a problem, a row for each: there in the transaction that makes it, and gone in the one that ends it. Ask for one problem or one order';
COMMENT ON COLUMN oms.order_problem.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_problem.order_id IS 'Order';
COMMENT ON COLUMN oms.order_problem.problem IS 'late_risk (open past the day told, promised or to ship at, or expected after it); late (a milestone is not reached by the time its service level says, view order_clock); stuck (a task gave up, or no event for setting stuck_hours though nothing holds it and it waits for no stock); unpaid_shipped (the shipped units'' share of the total is more than was captured; with payment terms, once a part is overdue); unallocated (units neither promised nor backordered); mismatch (a payment beyond its limits or more than is owed, an imported order whose figures differ)';
COMMENT ON COLUMN oms.order_problem.since IS 'The day that is missed, else since when (UTC instant)';
COMMENT ON COLUMN oms.order_problem.detail IS 'Units, amounts or reason';

INSERT INTO oms.setting_definition VALUES
	('stuck_hours', '72', NULL, 'How many hours an order that nothing holds may be without an event before order_problem calls it stuck')
	ON CONFLICT (name) DO NOTHING;
