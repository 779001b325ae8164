-- 320 orders of twelve weeks, made from nothing but their numbers: the same
-- each time, except that they end yesterday. And seven that are not so good.

CREATE FUNCTION demo.dice(n int, what text, sides int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
	SELECT ('x' || substr(md5(n || what), 1, 7))::bit(28)::int % sides
$$;

CREATE TABLE demo.planned AS
	SELECT n, CASE WHEN demo.dice(n, 'channel', 100) < 68 THEN 'web' ELSE 'uk' END AS channel,
			date_trunc('day', now()) - interval '84 days' + make_interval(days => demo.dice(n, 'day', 84), mins => 420 + demo.dice(n, 'minute', 900)) AS placed_at
	FROM generate_series(1, 320) AS n;

INSERT INTO oms.staged_order (merchant_id, source, position, document)
	WITH chosen AS (	-- one to four different articles each, cheap ones more often
		SELECT p.n, p.channel, i.sku, 1 + demo.dice(p.n, 'quantity' || i.sku, CASE WHEN i.eur < 15 THEN 3 ELSE 1 END) AS quantity,
				row_number() OVER (PARTITION BY p.n ORDER BY demo.dice(p.n, i.sku, 100000) / (1 + 200 / (10 + i.eur))) AS place
		FROM demo.planned p, demo.item_file i
	), line AS (
		SELECT n, jsonb_agg(jsonb_build_object('sku', sku, 'quantity', quantity)
				|| CASE WHEN demo.dice(n, 'discount' || sku, 12) = 0 THEN '{"discount": "1.00"}'::jsonb ELSE '{}' END ORDER BY place) AS lines
		FROM chosen
		WHERE place <= 1 + demo.dice(n, 'lines', 4)
		GROUP BY n
	), customer AS (
		SELECT channel, array_agg(c.customer_id ORDER BY c.customer_id) AS ids
		FROM oms.customer c, LATERAL (VALUES (CASE WHEN c.ship_to->>'country' = 'GB' THEN 'uk' ELSE 'web' END)) AS v(channel)
		WHERE c.merchant_id = 1 GROUP BY channel
	)
	SELECT 1, 'sample', row_number() OVER (ORDER BY p.placed_at, p.n),
			jsonb_strip_nulls(jsonb_build_object(
				'channel', p.channel,
				'external_ref', 'S' || lpad(p.n::text, 4, '0'),
				'customer', c.ids[1 + demo.dice(p.n, 'customer', cardinality(c.ids))],
				'placed_at', p.placed_at,
				'origin', CASE demo.dice(p.n, 'origin', 5) WHEN 0 THEN 'telephone' ELSE 'browser' END,
				'gift_note', CASE demo.dice(p.n, 'gift', 20) WHEN 0 THEN 'With best wishes' END,
				'lines', l.lines,
				'discount', CASE demo.dice(p.n, 'voucher', 15) WHEN 0 THEN '2.50' END,
				'shipping', CASE p.channel WHEN 'web' THEN '4.90' ELSE '3.95' END,
				'shipping_tax_rate', CASE p.channel WHEN 'web' THEN '0.19' ELSE '0.20' END))
	FROM demo.planned p
	JOIN line l USING (n)
	JOIN customer c USING (channel);

INSERT INTO oms.staged_order (merchant_id, source, position, document) VALUES
	(1, 'sample', 1001, '{"channel": "web", "external_ref": "X-1", "lines": [{"sku": "CF-ETH-250", "quantity": 0}]}'),
	(1, 'sample', 1002, '{"channel": "web", "external_ref": "X-2", "lines": [{"sku": "CF-ETH-250", "quantity": 1, "unit_price": "cheap"}]}'),
	(1, 'sample', 1003, '{"channel": "shop", "external_ref": "X-3", "lines": [{"sku": "CF-ETH-250", "quantity": 1}]}'),
	(1, 'sample', 1004, '{"channel": "uk", "external_ref": "X-4", "currency": "EUR", "lines": [{"sku": "CF-ETH-250", "quantity": 1}]}'),
	(1, 'sample', 1005, '{"channel": "uk", "external_ref": "X-5", "lines": [{"sku": "GR-ELC-01", "quantity": 500}]}'),
	(1, 'sample', 1007, '{"channel": "web", "external_ref": "X-7", "email": "new@example.org", "lines": [{"sku": "CF-NEW-250", "quantity": 1, "unit_price": "9.90", "title": "Coffee Peru, 250 g"}]}');

-- One comes twice, the second time with another address.
INSERT INTO oms.staged_order (merchant_id, source, position, document)
	SELECT 1, 'sample', 1006, document || '{"ship_to": {"name": "Somebody else", "city": "Elsewhere", "country": "DE"}}'
	FROM oms.staged_order WHERE merchant_id = 1 AND source = 'sample' AND position = 100;
