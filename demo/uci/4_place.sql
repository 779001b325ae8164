-- One document per invoice, as a shop would send it, and one per credit note
-- for the part that answers no sale. Which line of the file went where is kept.

CREATE TABLE uci.placed AS
	SELECT r.line_no, r.invoice, 'line' AS part,
			row_number() OVER (PARTITION BY r.invoice ORDER BY r.line_no)::int AS part_no
	FROM uci.read r
	JOIN uci.class c USING (line_no)
	WHERE c.class IN ('sold', 'sold to guest', 'free')
	UNION ALL
	SELECT r.line_no, r.invoice, 'charge',
			row_number() OVER (PARTITION BY r.invoice ORDER BY r.line_no)::int
	FROM uci.read r
	JOIN uci.class c USING (line_no)
	WHERE c.class IN ('charge', 'charge back', 'unmatched credit', 'partly matched');
ALTER TABLE uci.placed ADD PRIMARY KEY (line_no);

INSERT INTO oms.staged_order (merchant_id, source, position, document)
	WITH part AS (
		SELECT r.invoice, r.invoiced_at, r.customer, r.country, p.part, p.part_no,
				CASE
					WHEN p.part = 'line' THEN jsonb_build_object(
						'sku', l.code, 'quantity', r.quantity, 'unit_price', r.unit_price::text, 'tax_rate', '0')
					ELSE jsonb_build_object(
						'kind', CASE WHEN r.goods OR r.quantity * r.unit_price < 0 THEN 'adjustment' ELSE coalesce(k.kind, 'adjustment') END,
						'description', concat_ws(': ', r.sku || CASE WHEN r.goods THEN ' x ' || c.unmatched ELSE '' END, coalesce(k.meaning, trim(r.description))),
						'amount', (CASE WHEN r.goods THEN c.unmatched ELSE r.quantity END * r.unit_price)::text,
						'tax_rate', '0')
				END AS document
		FROM uci.placed p
		JOIN uci.read r USING (line_no)
		JOIN uci.class c USING (line_no)
		JOIN uci.line l USING (line_no)
		LEFT JOIN uci.charge_code k ON k.code = r.sku
	)
	SELECT 1, 'uci ' || to_char(min(p.invoiced_at), 'YYYY-MM'), row_number() OVER (ORDER BY min(p.invoiced_at), p.invoice),
			jsonb_strip_nulls(jsonb_build_object(
				'channel', 'uci',
				'external_ref', p.invoice,
				'customer', min(k.customer_id),
				'currency', 'GBP',
				'placed_at', min(p.invoiced_at) AT TIME ZONE 'Europe/London',
				'origin', CASE WHEN p.invoice LIKE 'C%' THEN 'credit note' ELSE 'invoice' END,
				'ship_to', jsonb_build_object('name', coalesce(min(k.name), 'Guest'), 'country', min(c.code)),
				'tax_included', true,
				'lines', coalesce(jsonb_agg(p.document ORDER BY p.part_no) FILTER (WHERE p.part = 'line'), '[]'),
				'charges', coalesce(jsonb_agg(p.document ORDER BY p.part_no) FILTER (WHERE p.part = 'charge'), '[]')))
	FROM part p
	LEFT JOIN oms.customer k ON k.merchant_id = 1 AND k.external_ref = p.customer
	LEFT JOIN uci.country c ON c.name = p.country
	GROUP BY p.invoice;
