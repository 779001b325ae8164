-- stock written off, or found
-- count: SELECT count(*) FROM uci.stock_change

CREATE TABLE uci.stock_change (line_no bigint PRIMARY KEY, at timestamptz, units int, movement_id bigint);
INSERT INTO uci.stock_change
	SELECT line_no, set_config('oms.test_clock', at::text, true)::timestamptz, quantity,
			oms.adjust_stock(1, item_id, 11, quantity, cause, request_key => 'uci ' || line_no)
	FROM (
		SELECT r.line_no, r.invoiced_at AT TIME ZONE 'Europe/London' AS at, i.item_id, r.quantity,
				coalesce(nullif(trim(r.description), ''), CASE WHEN r.quantity < 0 THEN 'written off, no reason given' ELSE 'found, no reason given' END) AS cause
		FROM uci.read r
		JOIN uci.class c USING (line_no)
		JOIN oms.item i ON i.merchant_id = 1 AND i.sku = r.sku
		WHERE c.class IN ('written off', 'found')
		ORDER BY r.invoiced_at, r.line_no
	) AS todo;
