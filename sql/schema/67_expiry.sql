-- Expiry of unpaid orders: until when each is to be paid, and those that were not.

CREATE TABLE IF NOT EXISTS oms.unpaid_policy (
	merchant_id	int NOT NULL REFERENCES oms.merchant,
	channel_id	int NOT NULL DEFAULT 0,
	valid_from	timestamptz NOT NULL DEFAULT now(),
	minutes		int CHECK (minutes > 0),
	PRIMARY KEY (merchant_id, channel_id, valid_from)
);
COMMENT ON TABLE oms.unpaid_policy IS 'How long orders may stay unpaid. The row in force when an order was placed decides, the channel''s own before that of all channels; an order without one never expires. Plain INSERT, UPDATE and DELETE';
COMMENT ON COLUMN oms.unpaid_policy.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.unpaid_policy.channel_id IS 'Channel; 0: every channel that has no row of its own in force';
COMMENT ON COLUMN oms.unpaid_policy.valid_from IS 'For orders placed from then on (UTC instant), until the next row';
COMMENT ON COLUMN oms.unpaid_policy.minutes IS 'Minutes from placed_at in which an order must be paid or authorized in full; null: any time, but for orders with a deadline of their own (set_payment_deadline)';

CREATE TABLE IF NOT EXISTS oms.order_deadline (
	merchant_id	int NOT NULL,
	order_id	bigint NOT NULL,
	deadline	timestamptz,
	expired_at	timestamptz,
	PRIMARY KEY (merchant_id, order_id),
	FOREIGN KEY (merchant_id, order_id) REFERENCES oms.sales_order
);
CREATE INDEX IF NOT EXISTS order_deadline_open ON oms.order_deadline (merchant_id, deadline) WHERE expired_at IS NULL;
COMMENT ON TABLE oms.order_deadline IS 'Orders with a deadline of their own, and orders that have expired. Written by set_payment_deadline() and expire_orders()';
COMMENT ON COLUMN oms.order_deadline.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_deadline.order_id IS 'Order';
COMMENT ON COLUMN oms.order_deadline.deadline IS 'When it expires unless it is paid (UTC instant); null: never';
COMMENT ON COLUMN oms.order_deadline.expired_at IS 'When it was cancelled for that (UTC instant); null: not';

CREATE OR REPLACE TRIGGER unpaid_policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.unpaid_policy
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER order_deadline_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.order_deadline
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use set_payment_deadline() or expire_orders()');
CREATE OR REPLACE TRIGGER order_deadline_truncate BEFORE TRUNCATE ON oms.order_deadline
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Use set_payment_deadline() or expire_orders()');

INSERT INTO oms.table_class VALUES ('unpaid_policy', 'merchant', 'order'), ('order_deadline', 'merchant', 'order')
	ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.unpaid_order AS
SELECT o.merchant_id, o.order_id, o.channel_id, o.placed_at, o.currency, o.total - o.cancelled_total AS due_in_all, o.payment_state,
	CASE WHEN d.order_id IS NULL THEN o.placed_at + p.minutes * interval '1 minute' ELSE d.deadline END AS deadline
FROM oms.sales_order o
CROSS JOIN LATERAL (
	SELECT p.minutes FROM oms.unpaid_policy p
	WHERE p.merchant_id = o.merchant_id AND p.channel_id IN (o.channel_id, 0) AND p.valid_from <= o.placed_at
	ORDER BY p.channel_id DESC, p.valid_from DESC LIMIT 1) p
LEFT JOIN oms.order_deadline d ON d.merchant_id = o.merchant_id AND d.order_id = o.order_id
WHERE o.lifecycle NOT IN ('cancelled', 'completed') AND o.fulfilment_state = 'unfulfilled'
	AND o.payment_state IN ('none', 'pending', 'partial')
	AND CASE WHEN d.order_id IS NULL THEN p.minutes ELSE extract(epoch FROM d.deadline) END IS NOT NULL
	AND NOT EXISTS (SELECT 1 FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.picked > 0)
	AND NOT EXISTS (SELECT 1 FROM oms.order_hold h WHERE h.merchant_id = o.merchant_id AND h.order_id = o.order_id
		AND h.released_at IS NULL AND h.blocks @> '{cancel}');
COMMENT ON VIEW oms.unpaid_order IS 'Orders that expire at their deadline, or have expired by it, unless they are paid: neither paid nor authorized in full, nothing picked, no hold that blocks cancelling';
COMMENT ON COLUMN oms.unpaid_order.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.unpaid_order.order_id IS 'Order';
COMMENT ON COLUMN oms.unpaid_order.channel_id IS 'Its channel';
COMMENT ON COLUMN oms.unpaid_order.placed_at IS 'When it was placed (UTC instant)';
COMMENT ON COLUMN oms.unpaid_order.currency IS 'Currency of due_in_all';
COMMENT ON COLUMN oms.unpaid_order.due_in_all IS 'total - cancelled_total';
COMMENT ON COLUMN oms.unpaid_order.payment_state IS 'none, pending or partial';
COMMENT ON COLUMN oms.unpaid_order.deadline IS 'From this instant (UTC) on it is expired: it is not confirmed, planned, picked or paid any more, whether expire_orders() has cancelled it or not';

CREATE OR REPLACE VIEW oms.verify_expiry AS
SELECT d.merchant_id, 'expired_is_cancelled' AS rule, format('order %s', d.order_id) AS object, 'cancelled' AS expected, o.lifecycle AS found
FROM oms.order_deadline d JOIN oms.sales_order o USING (merchant_id, order_id)
WHERE d.expired_at IS NOT NULL AND o.lifecycle <> 'cancelled'
UNION ALL
SELECT d.merchant_id, 'expired_returns_money', format('order %s', d.order_id), 'nothing kept',
	format('%s authorized, %s captured', b.capturable, b.captured - b.charged_back - b.refunded - b.refund_pending - b.refund_due)
FROM oms.order_deadline d JOIN oms.payment_balance b USING (merchant_id, order_id)
WHERE d.expired_at IS NOT NULL
	AND (b.capturable > 0 OR b.captured - b.charged_back - b.refunded - b.refund_pending > b.refund_due);
COMMENT ON VIEW oms.verify_expiry IS 'Broken invariants of expired orders; see verify()';
COMMENT ON COLUMN oms.verify_expiry.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_expiry.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_expiry.object IS 'Where';
COMMENT ON COLUMN oms.verify_expiry.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_expiry.found IS 'What is';
