-- The page: psql -Atq -v title=... -v note=... -f page/page.sql > demo.html
-- Every figure comes from oms' own tables and views, as of one snapshot.

\pset format unaligned
\pset tuples_only on
\set ON_ERROR_STOP 1
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

\echo '<!DOCTYPE html>'
\echo '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
SELECT '<title>' || page.esc(:'title') || '</title>';
\echo '<style>'
\! cat page/style.css
\echo '</style></head><body><main>'

-- The width of a column of the time charts: a day, a week or a month, whatever gives at most some forty of them.
SELECT CASE WHEN max(placed_at) - min(placed_at) < '45 days' THEN 'day' WHEN max(placed_at) - min(placed_at) < '300 days' THEN 'week' ELSE 'month' END AS bucket,
		CASE WHEN max(placed_at) - min(placed_at) < '300 days' THEN 'MM-DD' ELSE 'YYYY-MM' END AS bucket_label,
		coalesce(min(currency), 'EUR') AS currency, count(DISTINCT currency) AS currencies
FROM oms.sales_order WHERE merchant_id = 1 \gset
SELECT array_agg(to_char(t, :'bucket_label') ORDER BY t) AS axis
FROM (SELECT min(placed_at) AS low, greatest(max(placed_at), (SELECT max(at) FROM oms.stock_movement WHERE merchant_id = 1 AND kind <> 'opening')) AS high
	FROM oms.sales_order WHERE merchant_id = 1) AS span,
	generate_series(date_trunc(:'bucket', low), high, ('1 ' || :'bucket')::interval) AS t \gset

SELECT format('<header><h1>%s</h1><p>%s</p></header>', page.esc(:'title'), page.esc(:'note'));

SELECT page.cards(jsonb_build_array(
	jsonb_build_array(page.number(count(*)), 'orders'),
	jsonb_build_array(page.number((SELECT sum(ordered) FROM oms.order_line WHERE merchant_id = 1)), 'units ordered'),
	jsonb_build_array(page.number(count(DISTINCT customer_id)), 'customers'),
	jsonb_build_array(page.number((SELECT count(*) FROM oms.event WHERE merchant_id = 1)), 'events'),
	jsonb_build_array(page.number(:broken), 'broken rules (oms.verify)')))
FROM oms.sales_order WHERE merchant_id = 1;

\echo '<h2>Orders</h2><div class="two">'

SELECT page.columns('Orders per ' || :'bucket' || ' and channel',
	jsonb_agg(jsonb_build_object('x', to_char(t, :'bucket_label'), 's', name, 'v', orders) ORDER BY t),
	(SELECT array_agg(name ORDER BY channel_id) FROM oms.channel c WHERE merchant_id = 1 AND EXISTS (SELECT FROM oms.sales_order o WHERE o.merchant_id = 1 AND o.channel_id = c.channel_id)), :'axis')
FROM (
	SELECT date_trunc(:'bucket', o.placed_at AT TIME ZONE c.time_zone) AS t, c.name, count(*) AS orders
	FROM oms.sales_order o JOIN oms.channel c USING (merchant_id, channel_id)
	WHERE o.merchant_id = 1
	GROUP BY 1, 2
) AS q;

SELECT page.bars('Where orders stand', jsonb_agg(jsonb_build_object('x', x, 's', 'orders', 'v', n) ORDER BY n DESC, x), '{orders}', ' orders', 300)
FROM (
	SELECT concat_ws(', ', lifecycle, nullif(fulfilment_state, 'unfulfilled'), nullif(replace(payment_state, '_', ' '), 'none'),
			CASE return_state WHEN 'none' THEN NULL ELSE 'return ' || return_state END, CASE WHEN on_hold THEN 'on hold' END) AS x, count(*) AS n
	FROM oms.sales_order WHERE merchant_id = 1 GROUP BY 1 ORDER BY 2 DESC LIMIT 10
) AS q;

\echo '</div><div class="two">'

SELECT page.bars('Most sold', jsonb_agg(jsonb_build_object('x', title, 's', s, 'v', v) ORDER BY sold DESC, title, s DESC), '{kept,returned}', ' units')
FROM (
	SELECT title, sold, s, v
	FROM (
		SELECT min(l.title) AS title, sum(l.ordered - l.cancelled) AS sold, sum(l.returned) AS back
		FROM oms.order_line l
		WHERE l.merchant_id = 1 GROUP BY l.item_id, l.sku ORDER BY 2 DESC LIMIT 12
	) AS t, LATERAL (VALUES ('kept', sold - back), ('returned', back)) AS u(s, v)
) AS q;

SELECT page.bars('Where orders go', jsonb_agg(jsonb_build_object('x', x, 's', 'orders', 'v', v) ORDER BY v DESC, x), '{orders}', ' orders', 80)
FROM (
	SELECT coalesce(ship_to->>'country', 'not said') AS x, count(*) AS v
	FROM oms.sales_order WHERE merchant_id = 1 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 12
) AS q;

\echo '</div>'

SELECT page.grid('{Order,Placed,To,Lines,Total,Payment,Fulfilment}', 'lllrrll', jsonb_agg(r), 'The latest orders')
FROM (
	SELECT jsonb_build_array(coalesce(o.external_ref, o.order_id::text), to_char(o.placed_at AT TIME ZONE c.time_zone, 'YYYY-MM-DD HH24:MI'), left(coalesce(o.ship_to->>'name', o.email, 'guest'), 28),
		(SELECT count(*) FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o.order_id),
		page.number(o.total, 2) || ' ' || o.currency, replace(o.payment_state, '_', ' '), CASE WHEN o.lifecycle = 'cancelled' THEN 'cancelled' ELSE o.fulfilment_state END) AS r
	FROM oms.sales_order o JOIN oms.channel c USING (merchant_id, channel_id)
	WHERE o.merchant_id = 1 ORDER BY o.placed_at DESC, o.order_id DESC LIMIT 12
) AS q;

\echo '<h2>Stock</h2><div class="two">'

SELECT page.bars('On the shelf: the fullest', jsonb_agg(jsonb_build_object('x', title, 's', s, 'v', v) ORDER BY on_hand DESC, title), '{available,promised,unavailable}', ' units')
FROM (
	SELECT title, on_hand, s, v
	FROM (
		SELECT min(i.title) AS title, sum(s.on_hand) AS on_hand, sum(s.damaged + s.quality_control + s.quarantine + s.safety) AS unavailable,
				coalesce(sum(r.promised), 0) AS promised
		FROM oms.stock s
		JOIN oms.item i USING (merchant_id, item_id)
		LEFT JOIN (SELECT item_id, location_id, sum(quantity) AS promised FROM oms.reservation WHERE merchant_id = 1 GROUP BY 1, 2) AS r USING (item_id, location_id)
		WHERE s.merchant_id = 1 GROUP BY s.item_id ORDER BY 2 DESC LIMIT 12
	) AS t, LATERAL (VALUES ('available', greatest(on_hand - unavailable - promised, 0)), ('promised', promised), ('unavailable', unavailable)) AS u(s, v)
) AS q;

SELECT page.columns('Units out and in per ' || :'bucket',
	jsonb_agg(jsonb_build_object('x', to_char(t, :'bucket_label'), 's', s, 'v', v) ORDER BY t), '{shipped,returned,adjusted}', :'axis', ' units')
FROM (
	SELECT date_trunc(:'bucket', at) AS t, CASE kind WHEN 'shipment' THEN 'shipped' WHEN 'return' THEN 'returned' ELSE 'adjusted' END AS s, sum(abs(quantity)) AS v
	FROM oms.stock_movement WHERE merchant_id = 1 AND kind IN ('shipment', 'return', 'adjustment', 'count') GROUP BY 1, 2
) AS q HAVING count(*) > 0;

\echo '</div><div class="two">'

SELECT page.grid('{Movement,Rows,Units in,Units out}', 'lrrr', jsonb_agg(r), 'What moved stock')
FROM (
	SELECT jsonb_build_array(kind, page.number(count(*)), page.number(sum(greatest(quantity, 0))), page.number(sum(greatest(-quantity, 0)))) AS r
	FROM oms.stock_movement WHERE merchant_id = 1 GROUP BY kind ORDER BY count(*) DESC
) AS q;

SELECT page.grid('{Article,Location,On hand,Promised,Available}', 'llrrr', jsonb_agg(r), 'Least left to sell, of what is being sold')
FROM (
	SELECT jsonb_build_array(left(i.title, 22), l.name, page.number(s.on_hand), page.number(coalesce(r.promised, 0)),
		page.number(s.on_hand - s.damaged - s.quality_control - s.quarantine - s.safety - coalesce(r.promised, 0))) AS r
	FROM oms.stock s
	JOIN oms.item i USING (merchant_id, item_id)
	JOIN oms.location l USING (merchant_id, location_id)
	LEFT JOIN (SELECT item_id, location_id, sum(quantity) AS promised FROM oms.reservation WHERE merchant_id = 1 GROUP BY 1, 2) AS r USING (item_id, location_id)
	WHERE s.merchant_id = 1
	ORDER BY s.on_hand - s.damaged - s.quality_control - s.quarantine - s.safety - coalesce(r.promised, 0), s.on_hand DESC, i.sku LIMIT 8
) AS q;

\echo '</div><h2>Money</h2><div class="two">'

SELECT page.columns('Sales per ' || :'bucket' || ', ' || currency,
	jsonb_agg(jsonb_build_object('x', to_char(t, :'bucket_label'), 's', name, 'v', v) ORDER BY t), array_agg(DISTINCT name), :'axis', ' ' || currency, 2)
FROM (
	SELECT o.currency, date_trunc(:'bucket', o.placed_at AT TIME ZONE c.time_zone) AS t, c.name, greatest(sum(o.total - o.cancelled_total), 0) AS v
	FROM oms.sales_order o JOIN oms.channel c USING (merchant_id, channel_id)
	WHERE o.merchant_id = 1 GROUP BY 1, 2, 3
) AS q GROUP BY currency ORDER BY currency;


SELECT page.columns('Refunds per ' || :'bucket' || ', ' || currency,
	jsonb_agg(jsonb_build_object('x', to_char(t, :'bucket_label'), 's', cause, 'v', v) ORDER BY t), '{return,cancel,manual}', :'axis', ' ' || currency, 2)
FROM (
	SELECT currency, date_trunc(:'bucket', granted_at) AS t, cause, sum(amount) AS v FROM oms.refund WHERE merchant_id = 1 GROUP BY 1, 2, 3
) AS q GROUP BY currency ORDER BY currency;

\echo '</div>'

SELECT page.grid('{Channel,Currency,Ordered,Cancelled,Captured,Refunded,Customers owe,Credit notes}', 'llrrrrrr', jsonb_agg(r), 'From order to money')
FROM (
	SELECT jsonb_build_array(c.name, b.currency, page.number(sum(greatest(b.total, 0)), 2), page.number(sum(b.cancelled_total), 2), page.number(sum(b.captured), 2),
		page.number(sum(b.refunded + b.refund_pending), 2), page.number(sum(greatest(b.due, 0)), 2), page.number(sum(greatest(-b.total, 0)), 2)) AS r
	FROM oms.payment_balance b
	JOIN oms.sales_order o USING (merchant_id, order_id)
	JOIN oms.channel c USING (merchant_id, channel_id)
	WHERE b.merchant_id = 1 GROUP BY c.channel_id, c.name, b.currency ORDER BY c.channel_id
) AS q;

\echo '<h2>Shipping</h2><div class="two">'

SELECT page.columns('Shipments per ' || :'bucket' || ' and carrier',
	jsonb_agg(jsonb_build_object('x', to_char(t, :'bucket_label'), 's', name, 'v', v) ORDER BY t), array_agg(DISTINCT name), :'axis', ' shipments')
FROM (
	SELECT date_trunc(:'bucket', s.shipped_at) AS t, coalesce(c.name, 'no carrier named') AS name, count(*) AS v
	FROM oms.shipment s LEFT JOIN oms.carrier c USING (merchant_id, carrier_id)
	WHERE s.merchant_id = 1 AND s.kind <> 'service' GROUP BY 1, 2
) AS q HAVING count(*) > 0;

SELECT page.bars('From order to door: days until shipped', jsonb_agg(jsonb_build_object('x', x, 's', 'shipments', 'v', v) ORDER BY d), '{shipments}', ' shipments')
FROM (
	SELECT d, CASE d WHEN 0 THEN 'same day' WHEN 1 THEN 'next day' WHEN 60 THEN '60 days and more' ELSE d || ' days' END AS x, count(*) AS v
	FROM (
		SELECT least(CASE WHEN n < 10 THEN n WHEN n < 60 THEN n / 10 * 10 ELSE 60 END, 60) AS d
		FROM (
			SELECT s.shipped_at::date - o.placed_at::date AS n
			FROM oms.shipment s JOIN oms.sales_order o USING (merchant_id, order_id)
			WHERE s.merchant_id = 1 AND s.kind <> 'service'
		) AS q
	) AS q GROUP BY d
) AS q HAVING count(*) > 1;

\echo '</div>'

SELECT page.grid('{Carrier,Service,Shipments,Units,Delivered,Cost}', 'llrrrr', jsonb_agg(r), 'By carrier and service')
FROM (
	SELECT jsonb_build_array(coalesce(c.name, 'no carrier named'), coalesce(v.name, ''), page.number(count(*)), page.number(sum(s.units)),
		page.number(count(*) FILTER (WHERE s.delivered_at IS NOT NULL)), coalesce(page.number(sum(s.cost), 2) || ' ' || s.cost_currency, '')) AS r
	FROM oms.shipments s
	LEFT JOIN oms.carrier c ON c.merchant_id = s.merchant_id AND c.code = s.carrier
	LEFT JOIN oms.carrier_service v ON v.merchant_id = s.merchant_id AND v.carrier_id = c.carrier_id AND v.code = s.service
	WHERE s.merchant_id = 1 AND s.kind <> 'service'
	GROUP BY c.name, v.name, s.cost_currency ORDER BY count(*) DESC
) AS q;



SELECT :'extra' <> '' AS has_extra \gset
\if :has_extra
\ir ../:extra
\endif

SELECT CASE WHEN :broken = 0 THEN '<h2>Sound?</h2><p class="good">oms.verify(1) recomputes every level, counter and amount from what they follow from. It found nothing to say.</p>'
	ELSE '<h2>Sound?</h2><p class="bad">oms.verify(1) returns rows:</p>' || (
		SELECT page.grid('{Rule,Object,Expected,Found}', 'llll', jsonb_agg(jsonb_build_array(rule, object, expected, found)))
		FROM (SELECT * FROM oms.verify(1) LIMIT 20) AS v) END;
SELECT format('<footer>oms %s on PostgreSQL %s, %s. Made by SQL from the tables of oms; no script, nothing loaded.</footer>', oms.version(), split_part(current_setting('server_version'), ' ', 1), to_char(now(), 'YYYY-MM-DD HH24:MI'));
\echo '</main></body></html>'
COMMIT;
