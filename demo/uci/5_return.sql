-- units returned, back on the shelf and refunded
-- count: SELECT coalesce(sum(units), 0) FROM uci.match WHERE NOT same_day

-- One return for each credit note and order that it takes from.
CREATE TABLE uci.back AS
	SELECT l.invoice, o.order_id, min(m.invoiced_at) AT TIME ZONE 'Europe/London' AS at,
			jsonb_agg(jsonb_build_object('line', m.line_no, 'quantity', m.units)) AS lines
	FROM (
		SELECT min(m.credit_line) AS credit_line, p.invoice, p.part_no AS line_no, sum(m.units) AS units, min(m.invoiced_at) AS invoiced_at
		FROM uci.match m
		JOIN uci.line l ON l.line_no = m.credit_line
		JOIN uci.placed p ON p.line_no = m.sale_line
		WHERE NOT m.same_day
		GROUP BY l.invoice, p.invoice, p.part_no
	) AS m
	JOIN uci.line l ON l.line_no = m.credit_line
	JOIN oms.sales_order o ON o.merchant_id = 1 AND o.channel_id = 11 AND o.external_ref = m.invoice
	GROUP BY l.invoice, o.order_id;
ALTER TABLE uci.back ADD PRIMARY KEY (order_id, invoice);

CREATE TABLE uci.returned (order_id bigint, invoice text, at timestamptz, return_id bigint, refund_id bigint, PRIMARY KEY (order_id, invoice));
INSERT INTO uci.returned (order_id, invoice, at, return_id)
	SELECT order_id, invoice, set_config('oms.test_clock', at::text, true)::timestamptz,
			oms.receive_return(1, oms.decide_return(1, oms.request_return(1, order_id, lines, reason => invoice), 'approve', refund_shipping => 0))
	FROM (SELECT * FROM uci.back ORDER BY at, invoice, order_id) AS todo;
UPDATE uci.returned SET refund_id = i.refund_id
	FROM (
		SELECT return_id, set_config('oms.test_clock', at::text, true), oms.inspect_return(1, return_id) AS refund_id
		FROM (SELECT * FROM uci.returned ORDER BY at, return_id) AS todo
	) AS i
	WHERE i.return_id = returned.return_id;

-- The gateway has moved them.
SELECT count(set_config('oms.test_clock', at::text, true)
		|| oms.record_payment_event(1, payment_id, 'refunded', amount, 'refund ' || refund_id, at, intent => event_id))
FROM (
	SELECT e.payment_id, e.event_id, e.refund_id, e.amount, e.occurred_at AS at
	FROM oms.payment_event e
	WHERE e.merchant_id = 1 AND e.kind = 'refund_requested'
	ORDER BY e.occurred_at
) AS todo;
SELECT count(oms.complete_task(1, t.task_id, t.lease)) FROM oms.claim_tasks(1, 'refund', 10000) AS t;
