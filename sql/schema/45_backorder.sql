-- Backorders: how many there may be, who is served first, and what waits.

CREATE TABLE IF NOT EXISTS oms.backorder_limit (
	merchant_id	int NOT NULL,
	item_id		bigint NOT NULL,
	quantity	bigint NOT NULL CHECK (quantity >= 0),
	used		bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (merchant_id, item_id),
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item
) WITH (fillfactor = 50);
COMMENT ON TABLE oms.backorder_limit IS 'Items with a limit of backordered units; written by set_backorder_limit(). An order that would pass it is refused (OM007), also when several come at once';
COMMENT ON COLUMN oms.backorder_limit.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.backorder_limit.item_id IS 'Item, as it stands on the order line: a kit has a limit of its own';
COMMENT ON COLUMN oms.backorder_limit.quantity IS 'Units that orders may have backordered at a time';
COMMENT ON COLUMN oms.backorder_limit.used IS 'Derived: units backordered now; above quantity only by a short pick, a line mapped later, or a lowered limit';

CREATE TABLE IF NOT EXISTS oms.order_urgency (
	merchant_id	int NOT NULL,
	order_id	bigint NOT NULL,
	priority	int NOT NULL DEFAULT 0,
	promised_at	timestamptz,
	original_promised_at timestamptz,
	PRIMARY KEY (merchant_id, order_id),
	FOREIGN KEY (merchant_id, order_id) REFERENCES oms.sales_order
);
COMMENT ON TABLE oms.order_urgency IS 'Orders that are more urgent than others; written by set_urgency()';
COMMENT ON COLUMN oms.order_urgency.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_urgency.order_id IS 'Order';
COMMENT ON COLUMN oms.order_urgency.priority IS 'Higher is first; an order without row has 0';
COMMENT ON COLUMN oms.order_urgency.promised_at IS 'Delivery promised for (UTC instant); null: not promised, last';
COMMENT ON COLUMN oms.order_urgency.original_promised_at IS 'The first date promised (UTC instant); set_urgency() keeps it';

CREATE OR REPLACE TRIGGER backorder_limit_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.backorder_limit
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use set_backorder_limit()');
CREATE OR REPLACE TRIGGER backorder_limit_truncate BEFORE TRUNCATE ON oms.backorder_limit
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Use set_backorder_limit()');

INSERT INTO oms.table_class VALUES ('backorder_limit', 'merchant', 'order'), ('order_urgency', 'merchant', 'order') ON CONFLICT (table_name) DO NOTHING;
INSERT INTO oms.setting_definition VALUES
	('backorder_fill', 'oldest', '{oldest,priority,promise}', 'Which backordered line gets stock that comes in: the oldest order''s, that of the highest priority, or of the earliest promise (set_urgency)')
	ON CONFLICT (name) DO NOTHING;

CREATE OR REPLACE VIEW oms.verify_backorder AS
SELECT b.merchant_id, 'backorder_limit_used' AS rule, format('item %s', b.item_id) AS object,
	format('%s backordered', coalesce(l.backordered, 0)) AS expected, format('%s counted', b.used) AS found
FROM oms.backorder_limit b
LEFT JOIN (SELECT merchant_id, item_id, sum(backordered) AS backordered FROM oms.order_line WHERE backordered > 0 GROUP BY 1, 2) l
	USING (merchant_id, item_id)
WHERE b.used <> coalesce(l.backordered, 0);
COMMENT ON VIEW oms.verify_backorder IS 'Broken invariants of backorders; see verify()';
COMMENT ON COLUMN oms.verify_backorder.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_backorder.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_backorder.object IS 'Where';
COMMENT ON COLUMN oms.verify_backorder.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_backorder.found IS 'What is';
