-- Holds on orders: what a kind of hold blocks by default, and who may release it.

CREATE TABLE IF NOT EXISTS oms.hold_type (
	merchant_id		int NOT NULL REFERENCES oms.merchant,
	kind			text NOT NULL CHECK (kind <> ''),
	blocks			text[] NOT NULL DEFAULT '{confirm,pick,ship,capture}'
					CHECK (blocks <@ '{confirm,pick,ship,capture,refund,cancel,edit}' AND cardinality(blocks) > 0),
	release_role	text CHECK (release_role <> ''),
	reason_required	boolean NOT NULL DEFAULT false,
	description		text,
	PRIMARY KEY (merchant_id, kind)
);
COMMENT ON TABLE oms.hold_type IS 'Kinds of holds with rules of their own; a kind without row blocks confirm, pick, ship and capture, and whoever may call release_hold() may release it';
COMMENT ON COLUMN oms.hold_type.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.hold_type.kind IS 'Kind, as in order_hold.kind: fraud, address, credit, approval, unmapped, ...';
COMMENT ON COLUMN oms.hold_type.blocks IS 'Steps that a hold of the kind blocks unless hold() names others: confirm, pick, ship, capture, refund, cancel, edit';
COMMENT ON COLUMN oms.hold_type.release_role IS 'Database role whose members alone may release such a hold, checked against the calling role; null: who may call release_hold(). Of a role that is gone only a superuser has the right';
COMMENT ON COLUMN oms.hold_type.reason_required IS 'True: release_hold() without a reason is refused';
COMMENT ON COLUMN oms.hold_type.description IS 'What such a hold is for';

INSERT INTO oms.table_class VALUES ('hold_type', 'merchant', 'order') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.order_blocked AS
SELECT h.merchant_id, h.order_id, s.step, h.hold_id, h.kind, h.reason, h.placed_at, h.placed_by, t.release_role
FROM oms.order_hold h
CROSS JOIN LATERAL unnest(h.blocks) AS s (step)
LEFT JOIN oms.hold_type t ON t.merchant_id = h.merchant_id AND t.kind = h.kind
WHERE h.released_at IS NULL;
COMMENT ON VIEW oms.order_blocked IS 'What open holds block: a row per order, step and hold. Of one order, with the caller''s right to release: blocked_by()';
COMMENT ON COLUMN oms.order_blocked.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_blocked.order_id IS 'Order';
COMMENT ON COLUMN oms.order_blocked.step IS 'Step that is refused: confirm, pick, ship, capture, refund, cancel, edit';
COMMENT ON COLUMN oms.order_blocked.hold_id IS 'The hold';
COMMENT ON COLUMN oms.order_blocked.kind IS 'Its kind';
COMMENT ON COLUMN oms.order_blocked.reason IS 'Why it was placed';
COMMENT ON COLUMN oms.order_blocked.placed_at IS 'Since when (UTC instant)';
COMMENT ON COLUMN oms.order_blocked.placed_by IS 'Who placed it';
COMMENT ON COLUMN oms.order_blocked.release_role IS 'Role that may release it; null: who may call release_hold()';
