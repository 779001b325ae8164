-- Limits of what is sold of an item in all, by a channel, in a period.

CREATE TABLE IF NOT EXISTS oms.sale_limit (
	merchant_id	int NOT NULL,
	item_id		bigint NOT NULL,
	channel_id	int NOT NULL,
	valid_from	timestamptz NOT NULL,
	valid_to	timestamptz NOT NULL CHECK (valid_to > valid_from),
	quantity	bigint NOT NULL CHECK (quantity >= 0),
	used		bigint NOT NULL,
	PRIMARY KEY (merchant_id, item_id, channel_id, valid_from),
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item
) WITH (fillfactor = 50);
COMMENT ON TABLE oms.sale_limit IS 'How many units of an item may be sold in all in a period. An order that would pass it is refused (OM007), also when several come at once. Written by set_sale_limit()';
COMMENT ON COLUMN oms.sale_limit.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sale_limit.item_id IS 'Item, as it stands on the order line: a kit has a limit of its own';
COMMENT ON COLUMN oms.sale_limit.channel_id IS 'Channel of the orders; 0: all together';
COMMENT ON COLUMN oms.sale_limit.valid_from IS 'Orders placed from then on count (sales_order.placed_at, UTC instant)';
COMMENT ON COLUMN oms.sale_limit.valid_to IS 'Until, exclusive (UTC instant)';
COMMENT ON COLUMN oms.sale_limit.quantity IS 'Units that may be sold';
COMMENT ON COLUMN oms.sale_limit.used IS 'Derived: units ordered and not cancelled, shipped and returned ones included; above quantity only after the limit was lowered, a line mapped later, or orders merged into one of the period';

CREATE OR REPLACE TRIGGER sale_limit_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.sale_limit
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use set_sale_limit()');
CREATE OR REPLACE TRIGGER sale_limit_truncate BEFORE TRUNCATE ON oms.sale_limit
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Use set_sale_limit()');
CREATE OR REPLACE TRIGGER sale_limit_changed AFTER INSERT OR UPDATE OF valid_to OR DELETE OR TRUNCATE ON oms.sale_limit
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();

INSERT INTO oms.table_class VALUES ('sale_limit', 'merchant', 'order') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.sale_limits AS
SELECT s.merchant_id, s.item_id, i.sku, i.title, s.channel_id, c.code AS channel, s.valid_from, s.valid_to, s.quantity, s.used,
	greatest(s.quantity - s.used, 0) AS left_over, s.valid_from <= oms.clock() AND oms.clock() < s.valid_to AS in_force
FROM oms.sale_limit s
JOIN oms.item i ON i.merchant_id = s.merchant_id AND i.item_id = s.item_id
LEFT JOIN oms.channel c ON c.merchant_id = s.merchant_id AND c.channel_id = s.channel_id;
COMMENT ON VIEW oms.sale_limits IS 'Limits of sales and how far they are used, in units';
COMMENT ON COLUMN oms.sale_limits.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sale_limits.item_id IS 'Item';
COMMENT ON COLUMN oms.sale_limits.sku IS 'SKU';
COMMENT ON COLUMN oms.sale_limits.title IS 'Title';
COMMENT ON COLUMN oms.sale_limits.channel_id IS 'Channel; 0: all together';
COMMENT ON COLUMN oms.sale_limits.channel IS 'Code of the channel; null: all together';
COMMENT ON COLUMN oms.sale_limits.valid_from IS 'Orders placed from then on count (UTC instant)';
COMMENT ON COLUMN oms.sale_limits.valid_to IS 'Until, exclusive (UTC instant)';
COMMENT ON COLUMN oms.sale_limits.quantity IS 'Units that may be sold';
COMMENT ON COLUMN oms.sale_limits.used IS 'Units sold and not cancelled';
COMMENT ON COLUMN oms.sale_limits.left_over IS 'quantity - used, not below zero';
COMMENT ON COLUMN oms.sale_limits.in_force IS 'True: the period is now';

CREATE OR REPLACE VIEW oms.verify_sale_limit AS
SELECT s.merchant_id, 'sale_limit_used' AS rule, format('item %s channel %s from %s', s.item_id, s.channel_id, s.valid_from) AS object,
	format('%s sold', coalesce(q.units, 0)) AS expected, format('%s counted', s.used) AS found
FROM oms.sale_limit s CROSS JOIN LATERAL (
	SELECT sum(l.ordered - l.cancelled) AS units FROM oms.order_line l
	JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
	WHERE l.merchant_id = s.merchant_id AND l.item_id = s.item_id AND s.channel_id IN (0, o.channel_id)
		AND o.placed_at >= s.valid_from AND o.placed_at < s.valid_to) q
WHERE s.used <> coalesce(q.units, 0);
COMMENT ON VIEW oms.verify_sale_limit IS 'Broken invariants of limits of sales; see verify()';
COMMENT ON COLUMN oms.verify_sale_limit.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_sale_limit.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_sale_limit.object IS 'Where';
COMMENT ON COLUMN oms.verify_sale_limit.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_sale_limit.found IS 'What is';
