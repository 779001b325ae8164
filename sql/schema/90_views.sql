-- Views across the domains: what people and BI tools read, and what verify() checks of the log.

CREATE OR REPLACE VIEW oms.orders AS
SELECT o.merchant_id, o.order_id, coalesce(o.number, c.number_prefix || o.order_id) AS number, o.external_ref,
	   c.code AS channel, o.channel_id, o.placed_at, (o.placed_at AT TIME ZONE c.time_zone)::date AS placed_on,
	   o.lifecycle, o.payment_state, o.fulfilment_state, o.return_state, o.on_hold,
	   o.currency, o.tax_included, o.subtotal, o.discount, o.shipping, o.charges, o.tax, o.total, o.cancelled_total,
	   o.customer_id, o.company_id, coalesce(o.ship_to ->> 'name', u.name) AS name, coalesce(o.email, u.email) AS email,
	   coalesce(o.phone, u.phone) AS phone, coalesce(o.language, u.language, c.language) AS language,
	   o.ship_to, coalesce(o.bill_to, o.ship_to) AS bill_to, o.instructions, o.gift_note, o.origin, o.actor, o.revision,
	   coalesce(o.state, o.lifecycle) AS state, o.workflow_id
FROM oms.sales_order o
JOIN oms.channel c ON c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id
LEFT JOIN oms.customer u ON u.merchant_id = o.merchant_id AND u.customer_id = o.customer_id;
COMMENT ON VIEW oms.orders IS 'Orders as people read them: one row each, with number, channel and customer spelled out';
COMMENT ON COLUMN oms.orders.state IS 'State of its workflow; without one the lifecycle';
COMMENT ON COLUMN oms.orders.workflow_id IS 'Version of the workflow it was placed under; null: none';
COMMENT ON COLUMN oms.orders.channel IS 'Code of the channel';
COMMENT ON COLUMN oms.orders.number IS 'Own number, else the channel''s prefix and the order id';
COMMENT ON COLUMN oms.orders.placed_at IS 'Instant (UTC)';
COMMENT ON COLUMN oms.orders.placed_on IS 'Day in the channel''s time zone';
COMMENT ON COLUMN oms.orders.subtotal IS 'Quantity times price of all lines, before discount; with tax if tax_included';
COMMENT ON COLUMN oms.orders.discount IS 'All discounts: of lines and of the order';
COMMENT ON COLUMN oms.orders.shipping IS 'What the customer pays for shipping';
COMMENT ON COLUMN oms.orders.tax IS 'Tax of lines and charges, contained in total';
COMMENT ON COLUMN oms.orders.total IS 'What the customer was to pay when placing, tax included; in currency';
COMMENT ON COLUMN oms.orders.cancelled_total IS 'Part of total that fell away with cancelled units';
COMMENT ON COLUMN oms.orders.name IS 'Name on the parcel, else the customer''s';
COMMENT ON COLUMN oms.orders.email IS 'E-mail address of the order, else the customer''s';
COMMENT ON COLUMN oms.orders.bill_to IS 'Billing address; where none was given the shipping address';

CREATE OR REPLACE VIEW oms.order_money AS
SELECT o.merchant_id, o.order_id, o.channel_id, o.placed_at, o.payment_state, o.currency,
	   oms.money(o.subtotal, o.currency) AS subtotal, oms.money(o.discount, o.currency) AS discount,
	   oms.money(o.shipping, o.currency) AS shipping, oms.money(o.tax, o.currency) AS tax,
	   oms.money(o.total, o.currency) AS total, oms.money(b.owed, o.currency) AS owed,
	   oms.money(b.captured, o.currency) AS captured, oms.money(b.refunded, o.currency) AS refunded, oms.money(b.due, o.currency) AS due
FROM oms.sales_order o
JOIN oms.payment_balance b ON b.merchant_id = o.merchant_id AND b.order_id = o.order_id;
COMMENT ON VIEW oms.order_money IS 'Amounts of each order in type oms.money: a sum over two currencies is an error instead of a wrong figure';
COMMENT ON COLUMN oms.order_money.order_id IS 'Order';
COMMENT ON COLUMN oms.order_money.currency IS 'ISO 4217 currency of the order';
COMMENT ON COLUMN oms.order_money.subtotal IS 'Quantity times price of all lines, before discount';
COMMENT ON COLUMN oms.order_money.discount IS 'All discounts';
COMMENT ON COLUMN oms.order_money.shipping IS 'What the customer pays for shipping';
COMMENT ON COLUMN oms.order_money.tax IS 'Tax, contained in total';
COMMENT ON COLUMN oms.order_money.total IS 'What the customer was to pay when placing';
COMMENT ON COLUMN oms.order_money.owed IS 'Total less what was cancelled and what refunds were granted, at least 0';
COMMENT ON COLUMN oms.order_money.captured IS 'Captured';
COMMENT ON COLUMN oms.order_money.refunded IS 'Paid back';
COMMENT ON COLUMN oms.order_money.due IS 'Still to be captured; negative: more was taken than is owed';

CREATE OR REPLACE VIEW oms.order_lines AS
SELECT l.merchant_id, l.order_id, l.line_no, o.number, o.channel, o.placed_at, o.placed_on, o.lifecycle, l.item_id, l.sku, l.title,
	   l.ordered, l.cancelled, l.allocated, l.backordered, l.picked, l.packed, l.shipped, l.delivered, l.return_requested, l.returned,
	   l.ordered - l.cancelled - l.shipped AS open,
	   o.currency, l.unit_price, l.discount, l.tax_rate, l.tax, l.total, l.instructions,
	   p.promised_at, p.original_at AS original_promised_at, coalesce(q.quantity, 0) AS preordered
FROM oms.order_line l
JOIN oms.orders o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
LEFT JOIN oms.line_promise p ON p.merchant_id = l.merchant_id AND p.order_id = l.order_id AND p.line_no = l.line_no
LEFT JOIN oms.preorder_line q ON q.merchant_id = l.merchant_id AND q.order_id = l.order_id AND q.line_no = l.line_no;
COMMENT ON VIEW oms.order_lines IS 'Order lines with their counters (units) and their order''s number, channel and day';
COMMENT ON COLUMN oms.order_lines.open IS 'Units neither cancelled nor shipped';
COMMENT ON COLUMN oms.order_lines.promised_at IS 'When its last waiting unit is expected, as it was told (UTC instant); null: not told, or not known any more';
COMMENT ON COLUMN oms.order_lines.original_promised_at IS 'The first date it was told (UTC instant)';
COMMENT ON COLUMN oms.order_lines.preordered IS 'Units that were preordered';
COMMENT ON COLUMN oms.order_lines.item_id IS 'Item; null: the SKU is not known yet';
COMMENT ON COLUMN oms.order_lines.discount IS 'Line discount and the line''s share of the order''s';
COMMENT ON COLUMN oms.order_lines.tax_rate IS 'Rate as a fraction: 0.2 is 20 percent';
COMMENT ON COLUMN oms.order_lines.total IS 'What the customer pays for the line, tax included; in currency';

CREATE OR REPLACE VIEW oms.backorder AS
SELECT l.merchant_id, l.order_id, l.line_no, o.channel_id, l.item_id, l.sku, l.backordered, o.placed_at,
	coalesce(u.priority, 0) AS priority, u.promised_at, u.original_promised_at, p.promised_at AS expected_at, p.original_at AS original_expected_at,
	q.preorder_id
FROM oms.order_line l
JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
LEFT JOIN oms.order_urgency u ON u.merchant_id = l.merchant_id AND u.order_id = l.order_id
LEFT JOIN oms.line_promise p ON p.merchant_id = l.merchant_id AND p.order_id = l.order_id AND p.line_no = l.line_no
LEFT JOIN oms.preorder_line q ON q.merchant_id = l.merchant_id AND q.order_id = l.order_id AND q.line_no = l.line_no
WHERE l.backordered > 0;
COMMENT ON VIEW oms.backorder IS 'Lines that wait for stock';
COMMENT ON COLUMN oms.backorder.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.backorder.order_id IS 'Order';
COMMENT ON COLUMN oms.backorder.line_no IS 'Line';
COMMENT ON COLUMN oms.backorder.channel_id IS 'Channel; the line is filled at the channel''s locations';
COMMENT ON COLUMN oms.backorder.item_id IS 'Item';
COMMENT ON COLUMN oms.backorder.sku IS 'SKU';
COMMENT ON COLUMN oms.backorder.backordered IS 'Units that wait';
COMMENT ON COLUMN oms.backorder.placed_at IS 'When it was ordered (UTC instant)';
COMMENT ON COLUMN oms.backorder.priority IS 'Priority, see set_urgency()';
COMMENT ON COLUMN oms.backorder.promised_at IS 'Promised for (UTC instant), see set_urgency()';
COMMENT ON COLUMN oms.backorder.original_promised_at IS 'First date promised (UTC instant), see set_urgency()';
COMMENT ON COLUMN oms.backorder.expected_at IS 'When its last unit is expected, as it was told (UTC instant); null: not known. See line_promise';
COMMENT ON COLUMN oms.backorder.original_expected_at IS 'The first date it was told (UTC instant)';
COMMENT ON COLUMN oms.backorder.preorder_id IS 'Preorder that the line was sold in; null: none';

CREATE OR REPLACE VIEW oms.stock_level AS
SELECT s.merchant_id, s.item_id, s.location_id, i.sku, i.title, w.code AS location,
	   s.on_hand, s.damaged + s.quality_control + s.quarantine AS unavailable, r.quantity AS allocated, s.safety,
	   s.on_hand - s.damaged - s.quality_control - s.quarantine - r.quantity - h.quantity - s.safety - b.quantity AS available,
	   h.quantity AS held, p.quantity AS incoming, b.quantity AS stopped
FROM oms.stock s
JOIN oms.item i ON i.merchant_id = s.merchant_id AND i.item_id = s.item_id
JOIN oms.location w ON w.merchant_id = s.merchant_id AND w.location_id = s.location_id
CROSS JOIN LATERAL (
	SELECT coalesce(sum(r.quantity), 0)::bigint AS quantity FROM oms.reservation r
	WHERE r.merchant_id = s.merchant_id AND r.item_id = s.item_id AND r.location_id = s.location_id) r
CROSS JOIN LATERAL (
	SELECT coalesce(sum(h.quantity), 0)::bigint AS quantity FROM oms.stock_hold h
	WHERE h.merchant_id = s.merchant_id AND h.item_id = s.item_id AND h.location_id = s.location_id
		AND h.counted AND (h.starts_at IS NULL OR h.starts_at <= oms.clock()) AND (h.expires_at IS NULL OR h.expires_at > oms.clock())) h
CROSS JOIN LATERAL (
	SELECT coalesce(sum(p.ordered - p.received - p.closed), 0)::bigint AS quantity FROM oms.supply_line p
	WHERE p.merchant_id = s.merchant_id AND p.item_id = s.item_id AND p.location_id = s.location_id
		AND p.received + p.closed < p.ordered) p
CROSS JOIN LATERAL (
	SELECT coalesce(sum(l.on_hand - l.damaged - l.quality_control - l.quarantine), 0)::bigint AS quantity FROM oms.lot_stock l
	WHERE l.merchant_id = s.merchant_id AND l.item_id = s.item_id AND l.location_id = s.location_id
		AND l.on_hand <> 0 AND (l.stopped OR l.sell_by <= oms.clock())) b;
COMMENT ON VIEW oms.stock_level IS 'Stock by item and location, in units: available = on_hand - unavailable - allocated - safety - held - stopped';
COMMENT ON COLUMN oms.stock_level.stopped IS 'Units, not unavailable otherwise, of lots that are past their sell_by, blocked or recalled';
COMMENT ON COLUMN oms.stock_level.held IS 'Held for somebody (stock_hold), expired holds not counted';
COMMENT ON COLUMN oms.stock_level.incoming IS 'On order and still to come (supply_line); not in available';
COMMENT ON COLUMN oms.stock_level.location IS 'Code of the location';
COMMENT ON COLUMN oms.stock_level.unavailable IS 'Damaged, in quality control or quarantined';
COMMENT ON COLUMN oms.stock_level.allocated IS 'Promised to orders and not shipped yet';
COMMENT ON COLUMN oms.stock_level.safety IS 'Kept back';
COMMENT ON COLUMN oms.stock_level.available IS 'What can be promised; below zero after a forced movement';

CREATE OR REPLACE VIEW oms.payments AS
SELECT p.merchant_id, p.payment_id, p.order_id, o.number, o.channel, p.created_at, p.method, p.gateway, p.gateway_reference, p.currency,
	   p.amount, p.authorized, p.captured, p.voided, p.refunded, p.charged_back, p.authorization_expires_at,
	   p.authorize_pending, p.capture_pending, p.void_pending, p.refund_pending, o.payment_state
FROM oms.payment p
JOIN oms.orders o ON o.merchant_id = p.merchant_id AND o.order_id = p.order_id;
COMMENT ON VIEW oms.payments IS 'Payments with their order''s number and channel; amounts in currency. Pending: asked of the gateway, not answered yet';
COMMENT ON COLUMN oms.payments.amount IS 'What the payment was asked for';
COMMENT ON COLUMN oms.payments.payment_state IS 'Payment state of the whole order';

CREATE OR REPLACE VIEW oms.sales_by_day AS
SELECT f.merchant_id, c.code AS channel, f.day, f.currency, sum(f.orders) AS orders, sum(f.units) AS units, sum(f.gross) AS gross,
	   sum(f.discount) AS discount, sum(f.shipping) AS shipping, sum(f.tax) AS tax, sum(f.total) AS total, sum(f.cancelled) AS cancelled,
	   sum(f.returns) AS returns, sum(f.total - f.cancelled - f.returns) AS net
FROM (
	SELECT o.merchant_id, o.channel_id, (o.placed_at AT TIME ZONE c.time_zone)::date AS day, o.currency, 1::bigint AS orders,
		   (SELECT sum(l.ordered) FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id) AS units,
		   o.subtotal AS gross, o.discount, o.shipping, o.tax, o.total, o.cancelled_total AS cancelled, 0::numeric AS returns
	FROM oms.sales_order o
	JOIN oms.channel c ON c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id
	UNION ALL
	SELECT r.merchant_id, o.channel_id, (r.granted_at AT TIME ZONE c.time_zone)::date, r.currency, 0, 0, 0, 0, 0, 0, 0, 0, r.amount
	FROM oms.refund r
	JOIN oms.sales_order o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
	JOIN oms.channel c ON c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id
	WHERE r.cause NOT IN ('cancel', 'edit')) f
JOIN oms.channel c ON c.merchant_id = f.merchant_id AND c.channel_id = f.channel_id
GROUP BY f.merchant_id, c.code, f.day, f.currency;
COMMENT ON VIEW oms.sales_by_day IS 'Sales by channel and day of the channel''s time zone. Orders count on the day they were placed, refunds on the day they were granted';
COMMENT ON COLUMN oms.sales_by_day.channel IS 'Code of the channel';
COMMENT ON COLUMN oms.sales_by_day.orders IS 'Orders placed';
COMMENT ON COLUMN oms.sales_by_day.units IS 'Units ordered';
COMMENT ON COLUMN oms.sales_by_day.day IS 'Day in the channel''s time zone';
COMMENT ON COLUMN oms.sales_by_day.gross IS 'Quantity times price, before discount; with tax where the channel''s prices include it';
COMMENT ON COLUMN oms.sales_by_day.discount IS 'Discounts';
COMMENT ON COLUMN oms.sales_by_day.shipping IS 'Charged for shipping';
COMMENT ON COLUMN oms.sales_by_day.tax IS 'Tax contained in total';
COMMENT ON COLUMN oms.sales_by_day.total IS 'What customers were to pay when placing, tax included';
COMMENT ON COLUMN oms.sales_by_day.cancelled IS 'Part of total that fell away with cancelled units, on the order''s day';
COMMENT ON COLUMN oms.sales_by_day.returns IS 'Refunds granted that day, but for cancelled units';
COMMENT ON COLUMN oms.sales_by_day.net IS 'total - cancelled - returns';

CREATE OR REPLACE VIEW oms.customers AS
SELECT u.merchant_id, u.customer_id, u.name, u.email, u.phone, u.language, u.external_ref, u.company_id, k.name AS company, u.created_at,
	   coalesce(s.orders, 0) AS orders, s.first_order_at, s.last_order_at
FROM oms.customer u
LEFT JOIN oms.company k ON k.merchant_id = u.merchant_id AND k.company_id = u.company_id
LEFT JOIN (
	SELECT o.merchant_id, o.customer_id, count(*) AS orders, min(o.placed_at) AS first_order_at, max(o.placed_at) AS last_order_at
	FROM oms.sales_order o
	WHERE o.customer_id IS NOT NULL
	GROUP BY o.merchant_id, o.customer_id) s ON s.merchant_id = u.merchant_id AND s.customer_id = u.customer_id;
COMMENT ON VIEW oms.customers IS 'Customers with how often and when they ordered';
COMMENT ON COLUMN oms.customers.company IS 'Name of the company';
COMMENT ON COLUMN oms.customers.orders IS 'Orders placed';
COMMENT ON COLUMN oms.customers.first_order_at IS 'When the first was placed (UTC instant)';
COMMENT ON COLUMN oms.customers.last_order_at IS 'When the latest was placed (UTC instant)';

CREATE OR REPLACE VIEW oms.customer_value AS
SELECT f.merchant_id, f.customer_id, f.currency, sum(f.orders) AS orders, sum(f.total) AS total, sum(f.cancelled) AS cancelled,
	   sum(f.refunded) AS refunded, sum(f.total - f.cancelled - f.refunded) AS net
FROM (
	SELECT o.merchant_id, o.customer_id, o.currency, 1::bigint AS orders, o.total, o.cancelled_total AS cancelled, 0::numeric AS refunded
	FROM oms.sales_order o WHERE o.customer_id IS NOT NULL
	UNION ALL
	SELECT r.merchant_id, o.customer_id, r.currency, 0, 0, 0, r.amount
	FROM oms.refund r
	JOIN oms.sales_order o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
	WHERE o.customer_id IS NOT NULL AND r.cause NOT IN ('cancel', 'edit')) f
GROUP BY f.merchant_id, f.customer_id, f.currency;
COMMENT ON VIEW oms.customer_value IS 'What each customer ordered and kept, by currency: net = total - cancelled - refunded';
COMMENT ON COLUMN oms.customer_value.orders IS 'Orders placed';
COMMENT ON COLUMN oms.customer_value.cancelled IS 'Part of total that fell away with cancelled units';
COMMENT ON COLUMN oms.customer_value.refunded IS 'Refunds granted, but for cancelled units';
COMMENT ON COLUMN oms.customer_value.net IS 'total - cancelled - refunded';

CREATE OR REPLACE VIEW oms.messages AS
SELECT m.merchant_id, m.message_id, m.order_id, m.kind, m.fact, m.recipient, m.language, m.subject, m.body, m.created_at,
	   t.task_id, t.state, t.done_at AS sent_at, t.last_error
FROM oms.message m
LEFT JOIN oms.task t ON t.merchant_id = m.merchant_id AND t.order_id = m.order_id AND t.kind = 'send_message'
	AND t.subject_type = 'message' AND t.subject_id = m.message_id;
COMMENT ON VIEW oms.messages IS 'Messages to customers and how far their sending is';
COMMENT ON COLUMN oms.messages.state IS 'State of the send_message task: ready, leased, done (sent), dead';
COMMENT ON COLUMN oms.messages.sent_at IS 'When the sender said it was sent (UTC instant)';

CREATE OR REPLACE VIEW oms.consumer_lag AS
SELECT c.merchant_id, c.name, c.types, c.tx, c.event_id, c.moved_at, n.events AS waiting, n.oldest AS oldest_at
FROM oms.consumer c
CROSS JOIN LATERAL (
	SELECT count(*) AS events, min(e.at) AS oldest
	FROM oms.event e
	WHERE e.merchant_id = c.merchant_id AND (e.tx, e.event_id) > (c.tx, c.event_id)
		AND (c.types IS NULL OR e.type = ANY (c.types) OR split_part(e.type, '.', 1) || '.*' = ANY (c.types))) n;
COMMENT ON VIEW oms.consumer_lag IS 'Consumers of the log and what waits for each';
COMMENT ON COLUMN oms.consumer_lag.waiting IS 'Events behind the cursor that the consumer wants, also those not readable yet';
COMMENT ON COLUMN oms.consumer_lag.oldest_at IS 'When the oldest of them was written (UTC instant)';

CREATE OR REPLACE VIEW oms.open_work AS
SELECT o.merchant_id, 'confirm order' AS work, 'order' AS subject_type, o.order_id AS subject_id, o.order_id, o.placed_at AS since, NULL::text AS detail
FROM oms.sales_order o WHERE o.lifecycle = 'placed' AND NOT o.on_hold
UNION ALL
SELECT h.merchant_id, 'decide hold', 'order', h.order_id, h.order_id, h.placed_at, concat_ws(': ', h.kind, h.reason)
FROM oms.order_hold h WHERE h.released_at IS NULL
UNION ALL
SELECT l.merchant_id, 'map line', 'order', l.order_id, l.order_id, o.placed_at, 'line ' || l.line_no || ' SKU ' || l.sku
FROM oms.order_line l
JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
WHERE l.item_id IS NULL AND l.cancelled < l.ordered
UNION ALL
SELECT l.merchant_id, 'get stock', 'order', l.order_id, l.order_id, o.placed_at, 'line ' || l.line_no || ': ' || l.backordered || ' of ' || l.sku
FROM oms.order_line l
JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
WHERE l.backordered > 0
UNION ALL
SELECT p.merchant_id, 'plan', 'order', p.order_id, p.order_id, min(p.placed_at), sum(p.quantity) || ' units'
FROM oms.ready_to_plan p GROUP BY p.merchant_id, p.order_id
UNION ALL
SELECT p.merchant_id, 'pick', 'fulfilment', p.fulfilment_id, p.order_id, min(p.planned_at), sum(p.quantity) || ' units'
FROM oms.ready_to_pick p GROUP BY p.merchant_id, p.fulfilment_id, p.order_id
UNION ALL
SELECT p.merchant_id, 'pack', 'fulfilment', p.fulfilment_id, p.order_id, min(p.planned_at), sum(p.quantity) || ' units'
FROM oms.ready_to_pack p GROUP BY p.merchant_id, p.fulfilment_id, p.order_id
UNION ALL
SELECT p.merchant_id, 'ship', 'carton', p.carton_id, p.order_id, p.packed_at, p.units || ' units'
FROM oms.ready_to_ship p
UNION ALL
SELECT r.merchant_id, CASE r.state WHEN 'requested' THEN 'decide return' WHEN 'approved' THEN 'receive return' ELSE 'inspect return' END,
	   'return', r.return_id, r.order_id, r.requested_at,
	   CASE r.state WHEN 'requested' THEN r.requested WHEN 'approved' THEN r.expected ELSE r.to_inspect END || ' units'
FROM oms.return_open r WHERE r.state <> 'received' OR r.to_inspect > 0
UNION ALL
SELECT r.merchant_id, 'move refund', 'refund', r.refund_id, r.order_id, r.granted_at, r.amount - r.moved || ' ' || r.currency
FROM oms.refund r WHERE r.state IN ('granted', 'failed')
UNION ALL
SELECT t.merchant_id, 'revive task', 'task', t.task_id, t.order_id, t.run_at, t.kind || ': ' || t.last_error
FROM oms.task t WHERE t.state = 'dead'
UNION ALL
SELECT i.merchant_id, 'settle conflict', 'inbound_message', NULL, NULL, i.last_at, i.source || ' ' || i.id
FROM oms.inbound_message i WHERE i.conflicts > 0;
COMMENT ON VIEW oms.open_work IS 'What somebody has to do next: one row for each piece of work, oldest since is most urgent';
COMMENT ON COLUMN oms.open_work.work IS 'confirm order, decide hold, map line, get stock, plan, pick, pack, ship, decide return, receive return, inspect return, move refund, revive task, settle conflict';
COMMENT ON COLUMN oms.open_work.subject_type IS 'What it is about: order, fulfilment, carton, return, refund, task, inbound_message';
COMMENT ON COLUMN oms.open_work.since IS 'Since when (UTC instant)';
COMMENT ON COLUMN oms.open_work.detail IS 'What tells one piece from another: the hold, the SKU, the units, the error';

CREATE OR REPLACE VIEW oms.verify_event AS
SELECT e.merchant_id, 'event_position' AS rule, 'event ' || e.tx || '/' || e.event_id AS object,
	   'tx below ' || h.next AS expected, e.tx::text AS found
FROM oms.event e
CROSS JOIN (SELECT n.tx_base + pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next,
				   n.tx_base + pg_current_xact_id_if_assigned()::text::bigint AS own
			FROM oms.node n
			WHERE n.system_identifier = (SELECT s.system_identifier FROM pg_control_system() s)) h
WHERE e.tx >= h.next AND e.tx IS DISTINCT FROM h.own
UNION ALL
SELECT c.merchant_id, 'consumer_cursor', 'consumer ' || c.name, 'tx below ' || h.next, c.tx::text
FROM oms.consumer c
CROSS JOIN (SELECT n.tx_base + pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next
			FROM oms.node n
			WHERE n.system_identifier = (SELECT s.system_identifier FROM pg_control_system() s)) h
WHERE c.tx >= h.next
UNION ALL
SELECT e.merchant_id, 'event_merchant', 'event ' || e.tx || '/' || e.event_id, 'merchant ' || e.merchant_id, 'none'
FROM oms.event e
WHERE NOT EXISTS (SELECT FROM oms.merchant m WHERE m.merchant_id = e.merchant_id)
UNION ALL
SELECT e.merchant_id, 'event_order', 'event ' || e.tx || '/' || e.event_id, 'order ' || e.order_id, 'none'
FROM oms.event e
WHERE e.order_id IS NOT NULL
	AND NOT EXISTS (SELECT FROM oms.sales_order o WHERE o.merchant_id = e.merchant_id AND o.order_id = e.order_id)
UNION ALL
SELECT t.merchant_id, 'task_order', 'task ' || t.task_id, 'order ' || t.order_id, 'none'
FROM oms.task t
WHERE t.order_id IS NOT NULL
	AND NOT EXISTS (SELECT FROM oms.sales_order o WHERE o.merchant_id = t.merchant_id AND o.order_id = t.order_id)
UNION ALL
SELECT t.merchant_id, 'task_lease', 'task ' || t.task_id, 'worker and end of the lease', coalesce(t.leased_by, 'none')
FROM oms.task t
WHERE (t.state = 'leased') <> (t.leased_by IS NOT NULL AND t.leased_until IS NOT NULL)
UNION ALL
SELECT t.merchant_id, 'task_attempts', 'task ' || t.task_id, 'at most ' || t.max_attempts, t.attempts::text
FROM oms.task t
WHERE t.attempts > t.max_attempts
UNION ALL
SELECT m.merchant_id, 'message_order', 'message ' || m.message_id, 'order ' || m.order_id, 'none'
FROM oms.message m
WHERE NOT EXISTS (SELECT FROM oms.sales_order o WHERE o.merchant_id = m.merchant_id AND o.order_id = m.order_id)
UNION ALL
SELECT m.merchant_id, 'message_task', 'message ' || m.message_id, '1', count(t.task_id)::text
FROM oms.message m
LEFT JOIN oms.task t ON t.merchant_id = m.merchant_id AND t.kind = 'send_message' AND t.subject_type = 'message'
	AND t.order_id = m.order_id AND t.subject_id = m.message_id
GROUP BY m.merchant_id, m.message_id
HAVING count(t.task_id) <> 1;
COMMENT ON VIEW oms.verify_event IS 'Broken invariants of log, consumers, tasks and messages; see verify()';
COMMENT ON COLUMN oms.verify_event.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_event.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_event.object IS 'Where';
COMMENT ON COLUMN oms.verify_event.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_event.found IS 'What is';
