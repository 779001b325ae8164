-- psql -v month=2010-12: the orders of one month.

-- An invoice is a sale that left the house: planned, picked, packed and shipped in the evening of its day, in one call.
SELECT count(set_config('oms.test_clock', at::text, true) || oms.ship_order(1, order_id))
FROM (
	SELECT o.order_id, date_trunc('day', o.placed_at) + interval '20 hours' AS at
	FROM oms.sales_order o
	WHERE o.merchant_id = 1 AND o.channel_id = 11 AND o.lifecycle = 'confirmed'
			AND to_char(o.placed_at AT TIME ZONE 'Europe/London', 'YYYY-MM') = :'month'
			AND EXISTS (SELECT FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o.order_id AND l.allocated > 0)
	ORDER BY o.placed_at
) AS todo;

-- Charges and credits alone have nothing to ship.
SELECT count(set_config('oms.test_clock', at::text, true) || oms.transition(1, order_id, 'completed', reason => 'nothing to ship'))
FROM (
	SELECT o.order_id, o.placed_at AS at
	FROM oms.sales_order o
	WHERE o.merchant_id = 1 AND o.channel_id = 11 AND o.lifecycle = 'confirmed'
			AND to_char(o.placed_at AT TIME ZONE 'Europe/London', 'YYYY-MM') = :'month'
			AND NOT EXISTS (SELECT FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o.order_id)
	ORDER BY o.placed_at
) AS todo;
