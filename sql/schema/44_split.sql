-- Orders that came of other orders: parts of a split, orders merged into another one.

CREATE TABLE IF NOT EXISTS oms.order_link (
	merchant_id	int NOT NULL,
	source_id	bigint NOT NULL,
	target_id	bigint NOT NULL,
	linked_at	timestamptz NOT NULL,
	kind		text NOT NULL CHECK (kind IN ('split', 'merge', 'clone', 'quote', 'call_off', 'recurrence')),
	actor		text NOT NULL,
	reason		text,
	PRIMARY KEY (merchant_id, source_id, target_id, kind),
	FOREIGN KEY (merchant_id, source_id) REFERENCES oms.sales_order,
	FOREIGN KEY (merchant_id, target_id) REFERENCES oms.sales_order,
	CHECK (source_id <> target_id)
);
CREATE INDEX IF NOT EXISTS order_link_target ON oms.order_link (merchant_id, target_id);
COMMENT ON TABLE oms.order_link IS 'Which order came of which. Append-only; written by split_order(), merge_orders() and their kin';
COMMENT ON COLUMN oms.order_link.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_link.source_id IS 'Order it came of: the one that was split, merged into another, or copied. It keeps its number and external reference';
COMMENT ON COLUMN oms.order_link.target_id IS 'Order that has it: the part, the order merged into, the copy';
COMMENT ON COLUMN oms.order_link.linked_at IS 'When (UTC instant)';
COMMENT ON COLUMN oms.order_link.kind IS 'split, merge, clone, quote, call_off, recurrence';
COMMENT ON COLUMN oms.order_link.actor IS 'Who did it';
COMMENT ON COLUMN oms.order_link.reason IS 'Why, where told';

CREATE OR REPLACE TRIGGER order_link_insert BEFORE INSERT ON oms.order_link
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use split_order() or merge_orders()');
CREATE OR REPLACE TRIGGER order_link_guard BEFORE UPDATE OR DELETE ON oms.order_link
	FOR EACH ROW EXECUTE FUNCTION oms.guard_append_only('Where an order came from does not change.');
CREATE OR REPLACE TRIGGER order_link_truncate BEFORE TRUNCATE ON oms.order_link
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_append_only('Where an order came from does not change.');

INSERT INTO oms.table_class VALUES ('order_link', 'merchant', 'order') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.order_relation AS
SELECT l.merchant_id, l.source_id AS order_id, 'into' AS direction, l.kind, l.target_id AS other_id, o.external_ref AS other_external_ref, l.linked_at, l.actor, l.reason
FROM oms.order_link l JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.target_id
UNION ALL
SELECT l.merchant_id, l.target_id, 'from', l.kind, l.source_id, o.external_ref, l.linked_at, l.actor, l.reason
FROM oms.order_link l JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.source_id;
COMMENT ON VIEW oms.order_relation IS 'For each order the orders that it came from or went into, with their references';
COMMENT ON COLUMN oms.order_relation.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_relation.order_id IS 'Order';
COMMENT ON COLUMN oms.order_relation.direction IS 'from: it came of the other; into: the other came of it';
COMMENT ON COLUMN oms.order_relation.kind IS 'split, merge, clone, quote, call_off, recurrence';
COMMENT ON COLUMN oms.order_relation.other_id IS 'The other order';
COMMENT ON COLUMN oms.order_relation.other_external_ref IS 'Its channel''s reference';
COMMENT ON COLUMN oms.order_relation.linked_at IS 'When (UTC instant)';
COMMENT ON COLUMN oms.order_relation.actor IS 'Who did it';
COMMENT ON COLUMN oms.order_relation.reason IS 'Why, where told';

CREATE OR REPLACE VIEW oms.verify_split AS
SELECT k.merchant_id, 'merged_is_empty' AS rule, format('order %s', k.source_id) AS object, 'cancelled, no lines, total 0' AS expected,
	format('%s, %s lines, total %s', o.lifecycle, n.lines, o.total) AS found
FROM oms.order_link k JOIN oms.sales_order o ON o.merchant_id = k.merchant_id AND o.order_id = k.source_id,
	LATERAL (SELECT count(*) AS lines FROM oms.order_line l WHERE l.merchant_id = k.merchant_id AND l.order_id = k.source_id) n
WHERE k.kind = 'merge' AND (o.lifecycle <> 'cancelled' OR n.lines > 0 OR o.total <> 0)
UNION ALL
SELECT k.merchant_id, 'part_is_alike', format('order %s', k.target_id),
	format('channel %s, customer %s, %s', s.channel_id, s.customer_id, s.currency), format('channel %s, customer %s, %s', t.channel_id, t.customer_id, t.currency)
FROM oms.order_link k JOIN oms.sales_order s ON s.merchant_id = k.merchant_id AND s.order_id = k.source_id
JOIN oms.sales_order t ON t.merchant_id = k.merchant_id AND t.order_id = k.target_id
WHERE k.kind IN ('split', 'merge') AND (s.channel_id, s.customer_id, s.currency, s.tax_included)
	IS DISTINCT FROM (t.channel_id, t.customer_id, t.currency, t.tax_included);
COMMENT ON VIEW oms.verify_split IS 'Broken invariants of orders that were split or merged; see verify()';
COMMENT ON COLUMN oms.verify_split.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_split.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_split.object IS 'Where';
COMMENT ON COLUMN oms.verify_split.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_split.found IS 'What is';
