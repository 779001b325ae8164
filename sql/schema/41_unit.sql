-- What order lines were asked for, where that is not what stands on them.

CREATE TABLE IF NOT EXISTS oms.order_line_asked (
	merchant_id	int NOT NULL,
	line_no		int NOT NULL,
	order_id	bigint NOT NULL,
	asked		int NOT NULL,
	numerator	bigint,
	denominator	bigint,
	quantity	numeric NOT NULL,
	unit_price	numeric,
	unit		text,
	PRIMARY KEY (merchant_id, order_id, line_no),
	FOREIGN KEY (merchant_id, order_id, line_no) REFERENCES oms.order_line (merchant_id, order_id, line_no)
);
CREATE INDEX IF NOT EXISTS order_line_asked_waiting ON oms.order_line_asked (merchant_id, unit) WHERE numerator IS NULL;
CREATE OR REPLACE TRIGGER item_unit_map AFTER INSERT OR UPDATE ON oms.item_unit
	FOR EACH ROW EXECUTE FUNCTION oms.map_units();
CREATE OR REPLACE TRIGGER order_line_asked_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.order_line_asked
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use place_order().');
CREATE OR REPLACE TRIGGER order_line_asked_truncate BEFORE TRUNCATE ON oms.order_line_asked
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_append_only('What was asked stays.');

COMMENT ON TABLE oms.order_line_asked IS 'Lines that were asked for in a unit, or in a quantity that a quantity_rule rounded up (asked < order_line.ordered). Frozen, as the line is';
COMMENT ON COLUMN oms.order_line_asked.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_line_asked.line_no IS 'Line';
COMMENT ON COLUMN oms.order_line_asked.order_id IS 'Order';
COMMENT ON COLUMN oms.order_line_asked.asked IS 'Base units asked for: quantity x numerator / denominator';
COMMENT ON COLUMN oms.order_line_asked.numerator IS 'Base units in a unit, when the order was placed or its line mapped: numerator / denominator; null: the SKU or its unit is not known yet, and the line counts in the unit (a part of one as 1)';
COMMENT ON COLUMN oms.order_line_asked.denominator IS 'See numerator';
COMMENT ON COLUMN oms.order_line_asked.quantity IS 'Units asked for';
COMMENT ON COLUMN oms.order_line_asked.unit_price IS 'Price of one unit, where the document gave one';
COMMENT ON COLUMN oms.order_line_asked.unit IS 'Unit; null: the base unit';

INSERT INTO oms.table_class VALUES ('order_line_asked', 'merchant', 'order') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.verify_unit AS
SELECT a.merchant_id, 'asked_is_base' AS rule, format('order %s line %s', a.order_id, a.line_no) AS object,
	format('%s x %s / %s', a.quantity, a.numerator, a.denominator) AS expected, a.asked::text AS found
FROM oms.order_line_asked a WHERE a.asked * a.denominator::numeric <> a.quantity * a.numerator
UNION ALL
SELECT a.merchant_id, 'asked_is_ordered', format('order %s line %s', a.order_id, a.line_no), format('at least %s', a.asked), coalesce(l.ordered::text, 'no line')
FROM oms.order_line_asked a LEFT JOIN oms.order_line l USING (merchant_id, order_id, line_no)
WHERE l.ordered IS NULL OR l.ordered < a.asked;
COMMENT ON VIEW oms.verify_unit IS 'Broken invariants of units of measure; see verify()';
COMMENT ON COLUMN oms.verify_unit.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_unit.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_unit.object IS 'Where';
COMMENT ON COLUMN oms.verify_unit.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_unit.found IS 'What is';
