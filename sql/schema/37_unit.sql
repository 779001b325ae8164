-- Units of measure as exact ratios of an item's base unit, and what quantities it is sold in.

CREATE TABLE IF NOT EXISTS oms.item_unit (
	merchant_id	int NOT NULL,
	item_id		bigint NOT NULL,
	unit		text COLLATE "C" NOT NULL CHECK (unit <> ''),
	numerator	bigint NOT NULL CHECK (numerator BETWEEN 1 AND 1000000000),
	denominator	bigint NOT NULL DEFAULT 1 CHECK (denominator BETWEEN 1 AND 1000000000),
	PRIMARY KEY (merchant_id, item_id, unit),
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item
);

CREATE TABLE IF NOT EXISTS oms.quantity_rule (
	merchant_id	int NOT NULL,
	item_id		bigint NOT NULL,
	channel_id	int NOT NULL DEFAULT 0,
	minimum		int NOT NULL DEFAULT 1 CHECK (minimum > 0 AND minimum <= 100000000),
	multiple	int NOT NULL DEFAULT 1 CHECK (multiple > 0 AND multiple <= 100000000),
	unit		text COLLATE "C",
	mode		text NOT NULL DEFAULT 'refuse' CHECK (mode IN ('refuse', 'round')),
	PRIMARY KEY (merchant_id, item_id, channel_id),
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item,
	FOREIGN KEY (merchant_id, item_id, unit) REFERENCES oms.item_unit
);

CREATE OR REPLACE TRIGGER item_unit_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.item_unit
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER quantity_rule_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.quantity_rule
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();

COMMENT ON TABLE oms.item_unit IS 'Units of an item besides its base unit, in which stock is kept, as exact ratios: a case of 12 is 12/1; where three sachets are two base units, a sachet is 2/3. May change: placed orders keep the ratio they were placed with';
COMMENT ON COLUMN oms.item_unit.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.item_unit.item_id IS 'Item';
COMMENT ON COLUMN oms.item_unit.unit IS 'Name of the unit, unique per item: case, pallet, metre';
COMMENT ON COLUMN oms.item_unit.numerator IS 'One unit is numerator / denominator base units';
COMMENT ON COLUMN oms.item_unit.denominator IS 'See numerator';
COMMENT ON TABLE oms.quantity_rule IS 'Quantities an item is sold in. The row of the order''s channel counts, else that of channel 0. Checked when an order is placed; order lines that wait for a SKU, and orders there are, stay as they are';
COMMENT ON COLUMN oms.quantity_rule.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.quantity_rule.item_id IS 'Item, as it stands on the order line';
COMMENT ON COLUMN oms.quantity_rule.channel_id IS 'Channel, or 0 for all';
COMMENT ON COLUMN oms.quantity_rule.minimum IS 'Least base units of a line';
COMMENT ON COLUMN oms.quantity_rule.multiple IS 'A line is of a multiple of so many units';
COMMENT ON COLUMN oms.quantity_rule.unit IS 'Unit that multiple counts, a packaging: whole cases only; null: base units';
COMMENT ON COLUMN oms.quantity_rule.mode IS 'refuse: a line that breaks the rule is refused (OM007); round: it is rounded up to the next quantity that does not, and order_line_asked says what was asked';

INSERT INTO oms.table_class VALUES ('item_unit', 'merchant', 'catalogue'), ('quantity_rule', 'merchant', 'catalogue') ON CONFLICT (table_name) DO NOTHING;
