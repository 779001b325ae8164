-- units cancelled on the day of the sale
-- count: SELECT coalesce(sum(units), 0) FROM uci.match WHERE same_day

-- What was done for which match, and when. The clock of oms stands at the time of the credit note.
CREATE TABLE uci.done (credit_line bigint, sale_line bigint, at timestamptz, result bigint, PRIMARY KEY (credit_line, sale_line));
INSERT INTO uci.done
	SELECT credit_line, sale_line, set_config('oms.test_clock', at::text, true)::timestamptz,
			oms.cancel_line(1, order_id, line_no, units, request_key => format('uci %s/%s', credit_line, sale_line), reason => invoice)
	FROM (
		SELECT m.credit_line, m.sale_line, m.units, m.invoiced_at AT TIME ZONE 'Europe/London' AS at, l.invoice, o.order_id, p.part_no AS line_no
		FROM uci.match m
		JOIN uci.line l ON l.line_no = m.credit_line
		JOIN uci.placed p ON p.line_no = m.sale_line
		JOIN oms.sales_order o ON o.merchant_id = 1 AND o.channel_id = 11 AND o.external_ref = p.invoice
		WHERE m.same_day
		ORDER BY m.invoiced_at, m.credit_line, m.sale_line
	) AS todo;
