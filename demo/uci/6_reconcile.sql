-- What became of each line of the file, told by the rows of oms.

CREATE VIEW uci.outcome AS
	WITH ordered AS (
		SELECT document->>'external_ref' AS invoice, order_id FROM oms.staged_order WHERE merchant_id = 1 AND source LIKE 'uci %'
	), done AS (	-- matches that oms has carried out: a cancellation by its call, a return by what was inspected
		SELECT credit_line, sale_line FROM uci.done WHERE result IS NOT NULL
		UNION ALL
		SELECT m.credit_line, m.sale_line
		FROM uci.match m
		JOIN uci.line c ON c.line_no = m.credit_line
		JOIN uci.placed p ON p.line_no = m.sale_line
		JOIN ordered o ON o.invoice = p.invoice
		JOIN uci.returned r ON r.order_id = o.order_id AND r.invoice = c.invoice
		JOIN oms.return_line l ON l.merchant_id = 1 AND l.return_id = r.return_id AND l.line_no = p.part_no
		WHERE NOT m.same_day AND l.sellable = l.requested AND l.refunded = l.requested
	), goods_back AS (	-- units that a credit took back, at the price of the line that had sold them
		SELECT m.credit_line AS line_no, sum(m.units) AS units, sum(m.units * ol.unit_price) AS amount
		FROM uci.match m
		JOIN done d USING (credit_line, sale_line)
		JOIN uci.placed p ON p.line_no = m.sale_line
		JOIN ordered o ON o.invoice = p.invoice
		JOIN oms.order_line ol ON ol.merchant_id = 1 AND ol.order_id = o.order_id AND ol.line_no = p.part_no
		GROUP BY m.credit_line
	)
	SELECT l.line_no, date_trunc('month', l.invoiced_at)::date AS month, c.class, l.quantity * l.unit_price AS in_file, l.quantity AS units_in_file,
			CASE
				WHEN p.part = 'line' THEN ol.ordered * ol.unit_price
				WHEN c.class = 'partly matched' THEN oc.amount - b.amount
				WHEN p.part = 'charge' THEN oc.amount
				WHEN c.class IN ('cancelled', 'returned') THEN -b.amount
				WHEN s.line_no IS NOT NULL THEN 0
			END AS in_oms,
			CASE
				WHEN p.part = 'line' THEN ol.ordered
				WHEN c.class IN ('cancelled', 'returned') THEN -b.units
				WHEN s.line_no IS NOT NULL THEN s.units
				WHEN c.class = 'partly matched' THEN c.unmatched - b.units
				WHEN p.part = 'charge' AND oc.charge_no IS NOT NULL THEN l.quantity
			END AS units_in_oms
	FROM uci.line l
	JOIN uci.class c ON c.line_no = l.line_no
	LEFT JOIN uci.placed p ON p.line_no = l.line_no
	LEFT JOIN ordered o ON o.invoice = p.invoice
	LEFT JOIN oms.order_line ol ON p.part = 'line' AND ol.merchant_id = 1 AND ol.order_id = o.order_id AND ol.line_no = p.part_no
	LEFT JOIN oms.order_charge oc ON p.part = 'charge' AND oc.merchant_id = 1 AND oc.order_id = o.order_id AND oc.charge_no = p.part_no
	LEFT JOIN goods_back b ON b.line_no = l.line_no
	LEFT JOIN uci.stock_change s ON s.line_no = l.line_no;
COMMENT ON VIEW uci.outcome IS 'For each line of the file: its class, its amount, and the amount and units of the rows of oms that it became; null where there are none';

-- The sum of the file, from oms' tables without the mapping: what was sold and charged, less what was cancelled and came back.
CREATE VIEW uci.from_oms AS
	SELECT sold, charges, cancelled, returned, sold + charges - cancelled - returned AS sum, (SELECT sum(quantity * unit_price) FROM uci.line) AS file,
			rounded - sold AS rounding
	FROM (
		SELECT sum(ordered * unit_price) AS sold, sum(cancelled * unit_price) AS cancelled, sum(returned * unit_price) AS returned,
				sum(total) AS rounded,
				(SELECT sum(amount) FROM oms.order_charge WHERE merchant_id = 1) AS charges
		FROM oms.order_line
		WHERE merchant_id = 1
	) AS t;
