-- What happened to the staged orders in their twelve weeks, each at its time: oms.test_clock is what oms takes for now.

CREATE FUNCTION demo.at(at timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT set_config('oms.test_clock', at::text, false) $$;

CREATE TABLE demo.life AS
	SELECT o.order_id, o.placed_at, substr(o.external_ref, 2)::int AS n
	FROM oms.sales_order o
	WHERE o.merchant_id = 1 AND o.external_ref ~ '^S[0-9]{4}$'
	ORDER BY o.placed_at;

-- Cancelled within the hour.
SELECT count(demo.at(placed_at + interval '40 minutes') || oms.cancel_order(1, order_id, reason => 'changed my mind')) FROM demo.life WHERE demo.dice(n, 'cancel', 24) = 0;
-- Authorized at once; the gateway declines a few.
CREATE TABLE demo.paid AS
	SELECT l.*, demo.at(l.placed_at + interval '1 minute') AS clock, oms.authorize(1, l.order_id, CASE demo.dice(l.n, 'method', 3) WHEN 0 THEN 'paypal' ELSE 'card' END, gateway => 'paywell') AS payment_id
	FROM demo.life l JOIN oms.sales_order o ON o.merchant_id = 1 AND o.order_id = l.order_id
	WHERE o.lifecycle <> 'cancelled';
SELECT count(demo.at(p.placed_at + interval '2 minutes') || CASE
		WHEN demo.dice(p.n, 'declined', 60) = 0 THEN oms.record_payment_event(1, p.payment_id, 'authorization_failed', o.total, 'auth-' || p.payment_id, p.placed_at + interval '2 minutes')
		ELSE oms.record_payment_event(1, p.payment_id, 'authorized', o.total, 'auth-' || p.payment_id, p.placed_at + interval '2 minutes') END)
FROM demo.paid p JOIN oms.sales_order o ON o.merchant_id = 1 AND o.order_id = p.order_id;
-- Shipped after a day or two by the cheapest service that takes it.
SELECT count(demo.at(todo.at) || oms.ship_order(1, order_id, carrier => r.carrier, service => r.service, tracking_number => r.carrier || lpad((7000 + n)::text, 6, '0'), cost => r.price, cost_currency => r.currency))
FROM (
	SELECT p.order_id, p.n, o.ship_to, p.placed_at + make_interval(hours => 20 + 9 * demo.dice(p.n, 'ship', 4)) AS at, w.weight
	FROM demo.paid p
	JOIN oms.sales_order o ON o.merchant_id = 1 AND o.order_id = p.order_id
	JOIN oms.payment_detail d ON d.merchant_id = 1 AND d.payment_id = p.payment_id AND d.authorized > 0,
	LATERAL (SELECT sum(l.ordered * coalesce(i.weight_g, 900)) + 150 AS weight FROM oms.order_line l JOIN oms.item i USING (merchant_id, item_id) WHERE l.merchant_id = 1 AND l.order_id = p.order_id) AS w
	WHERE p.placed_at + make_interval(hours => 20 + 9 * demo.dice(p.n, 'ship', 4)) < now()
	ORDER BY 4
) AS todo, LATERAL (
	SELECT * FROM oms.rate_shop(1, 1, todo.ship_to, jsonb_build_array(jsonb_build_object('weight_g', todo.weight)))
	WHERE rank = 1 + CASE demo.dice(todo.n, 'express', 9) WHEN 0 THEN 1 ELSE 0 END
) AS r;
SELECT count(demo.at(e.occurred_at + interval '5 minutes') || oms.record_payment_event(1, e.payment_id, 'captured', e.amount, 'cap-' || e.event_id, e.occurred_at + interval '5 minutes', intent => e.event_id))
FROM oms.payment_event e JOIN demo.paid p USING (payment_id) WHERE e.merchant_id = 1 AND e.kind = 'capture_requested';
SELECT count(demo.at(s.at) || oms.record_tracking(1, s.shipment_id, 'delivered'))
FROM (
	SELECT s.shipment_id, s.shipped_at + make_interval(hours => 30 + 11 * demo.dice(l.n, 'deliver', 7)) AS at
	FROM oms.shipment s JOIN demo.life l USING (order_id) WHERE s.merchant_id = 1 AND s.kind = 'dispatch'
) AS s WHERE s.at < now();
-- Every fourteenth comes back after two weeks.
CREATE TABLE demo.back AS
	SELECT l.order_id, l.at, demo.at(l.at) AS clock,
			oms.receive_return(1, oms.decide_return(1, oms.request_return(1, l.order_id, reason => 'not as expected'), 'approve', refund_shipping => 0)) AS return_id
	FROM (
		SELECT l.order_id, s.delivered_at + interval '10 days' AS at
		FROM demo.life l JOIN oms.shipment s ON s.merchant_id = 1 AND s.order_id = l.order_id
		WHERE demo.dice(l.n, 'return', 14) = 0 AND s.delivered_at + interval '10 days' < now()
	) AS l;
SELECT count(demo.at(at + interval '3 hours') || oms.inspect_return(1, return_id)) FROM demo.back;
SELECT count(demo.at(e.occurred_at) || oms.record_payment_event(1, e.payment_id, 'refunded', e.amount, 'ref-' || e.event_id, intent => e.event_id))
FROM oms.payment_event e JOIN demo.paid p USING (payment_id) WHERE e.merchant_id = 1 AND e.kind = 'refund_requested';
RESET oms.test_clock;

-- The worker has done its tasks: it claims them, calls the gateway, and says so.
SELECT count(oms.complete_task(1, t.task_id, t.lease)) FROM unnest(ARRAY['authorize', 'capture', 'refund']) AS kind, oms.claim_tasks(1, kind, 1000) AS t;

