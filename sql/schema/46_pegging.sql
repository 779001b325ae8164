-- Promises to lines that wait: who is pegged to what will come, and what he was told.

CREATE TABLE IF NOT EXISTS oms.supply_item (
	merchant_id	int NOT NULL,
	item_id		bigint NOT NULL,
	revision	bigint NOT NULL DEFAULT 0,
	last_placed_at	timestamptz,
	PRIMARY KEY (merchant_id, item_id),
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item
) WITH (fillfactor = 50);
COMMENT ON TABLE oms.supply_item IS 'Items that have, or had, supply lines. The row is locked until commit by who tells waiting lines a date, so that two sessions do not promise one unit';
COMMENT ON COLUMN oms.supply_item.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.supply_item.item_id IS 'Item';
COMMENT ON COLUMN oms.supply_item.revision IS 'How often promises of the item were looked at';
COMMENT ON COLUMN oms.supply_item.last_placed_at IS 'No order that waits for the item was placed later (UTC instant; -infinity: nobody waits): who is placed after it need not be compared with all others; null: not known';

CREATE TABLE IF NOT EXISTS oms.line_promise (
	merchant_id	int NOT NULL,
	order_id	bigint NOT NULL,
	line_no		int NOT NULL,
	original_at	timestamptz,
	promised_at	timestamptz,
	PRIMARY KEY (merchant_id, order_id, line_no),
	FOREIGN KEY (merchant_id, order_id) REFERENCES oms.sales_order,
	CONSTRAINT line_promise_original CHECK (promised_at IS NULL OR original_at IS NOT NULL)
) WITH (fillfactor = 80);
COMMENT ON TABLE oms.line_promise IS 'What lines that wait, or waited, were told: the first date and the current one. Written by the commands that change what comes or who waits';
COMMENT ON COLUMN oms.line_promise.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.line_promise.order_id IS 'Order';
COMMENT ON COLUMN oms.line_promise.line_no IS 'Line';
COMMENT ON COLUMN oms.line_promise.original_at IS 'The first date that was told (UTC instant); never changes';
COMMENT ON COLUMN oms.line_promise.promised_at IS 'When the line''s last unit is expected (UTC instant); null: not known any more';

CREATE OR REPLACE TRIGGER supply_item_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.supply_item
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Insert supply lines');
CREATE OR REPLACE TRIGGER supply_item_truncate BEFORE TRUNCATE ON oms.supply_item
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Insert supply lines');
CREATE OR REPLACE TRIGGER line_promise_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.line_promise
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Revise the supply with revise_supply(), or the preorder with set_preorder()');
CREATE OR REPLACE TRIGGER line_promise_truncate BEFORE TRUNCATE ON oms.line_promise
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Revise the supply with revise_supply(), or the preorder with set_preorder()');

INSERT INTO oms.table_class VALUES ('supply_item', 'merchant', 'inventory'), ('line_promise', 'merchant', 'order') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.peg AS
SELECT i.merchant_id, i.item_id, p.order_id, p.line_no, p.supply_id, p.supply_line, p.location_id, p.quantity, p.expected_at
FROM oms.supply_item i CROSS JOIN LATERAL oms.pegs(i.merchant_id, i.item_id) p;
COMMENT ON VIEW oms.peg IS 'Who waits for an item that has supply, and what will serve him: each unit to come stands for one unit of one line. Computed when read';
COMMENT ON COLUMN oms.peg.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.peg.item_id IS 'Item; a part, where the line is a kit';
COMMENT ON COLUMN oms.peg.order_id IS 'Order that waits';
COMMENT ON COLUMN oms.peg.line_no IS 'Its line';
COMMENT ON COLUMN oms.peg.supply_id IS 'Supply order; null: on the shelf already';
COMMENT ON COLUMN oms.peg.supply_line IS 'Line of the supply order';
COMMENT ON COLUMN oms.peg.location_id IS 'Where';
COMMENT ON COLUMN oms.peg.quantity IS 'Units of the item';
COMMENT ON COLUMN oms.peg.expected_at IS 'When they come (UTC instant): -infinity for the shelf; null: not known';

CREATE OR REPLACE VIEW oms.supply_profile AS
SELECT i.merchant_id, i.item_id, p.at, p.units, p.pegged, p.free, p.available_to_promise
FROM oms.supply_item i CROSS JOIN LATERAL oms.promise_profile(i.merchant_id, i.item_id) p;
COMMENT ON VIEW oms.supply_profile IS 'Items with supply, date by date: what is on the shelf, what comes, who has it, and what may be promised by then';
COMMENT ON COLUMN oms.supply_profile.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.supply_profile.item_id IS 'Item';
COMMENT ON COLUMN oms.supply_profile.at IS 'From when (UTC instant): -infinity for the shelf; null: no date, or a date that is past';
COMMENT ON COLUMN oms.supply_profile.units IS 'Units available on the shelf, or coming on the date';
COMMENT ON COLUMN oms.supply_profile.pegged IS 'Of these: for lines that wait';
COMMENT ON COLUMN oms.supply_profile.free IS 'Of these: for nobody yet';
COMMENT ON COLUMN oms.supply_profile.available_to_promise IS 'Free units by that date, those before included; null without date';

CREATE OR REPLACE VIEW oms.verify_promise AS
SELECT p.merchant_id, 'promise_has_line' AS rule, format('order %s line %s', p.order_id, p.line_no) AS object, 'a line' AS expected, 'none' AS found
FROM oms.line_promise p
WHERE NOT EXISTS (SELECT FROM oms.order_line l WHERE l.merchant_id = p.merchant_id AND l.order_id = p.order_id AND l.line_no = p.line_no)
UNION ALL
SELECT p.merchant_id, 'promise_original', format('order %s line %s', p.order_id, p.line_no), 'a first date', 'none'
FROM oms.line_promise p WHERE p.original_at IS NULL AND p.promised_at IS NOT NULL
UNION ALL
SELECT l.merchant_id, 'supply_has_item', format('supply %s line %s', l.supply_id, l.line_no), format('item %s in supply_item', l.item_id), 'not there'
FROM oms.supply_line l
WHERE NOT EXISTS (SELECT FROM oms.supply_item i WHERE i.merchant_id = l.merchant_id AND i.item_id = l.item_id)
UNION ALL
SELECT p.merchant_id, 'peg_within_supply', format('supply %s line %s', p.supply_id, p.supply_line),
	format('at most %s pegged', coalesce(greatest(l.ordered - l.received - l.closed, 0), 0)), format('%s pegged', p.quantity)
FROM (SELECT merchant_id, supply_id, supply_line, sum(quantity) AS quantity FROM oms.peg WHERE supply_id IS NOT NULL GROUP BY 1, 2, 3) p
LEFT JOIN oms.supply_line l ON l.merchant_id = p.merchant_id AND l.supply_id = p.supply_id AND l.line_no = p.supply_line
WHERE p.quantity > coalesce(greatest(l.ordered - l.received - l.closed, 0), 0);
COMMENT ON VIEW oms.verify_promise IS 'Broken invariants of promises by date; see verify()';
COMMENT ON COLUMN oms.verify_promise.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_promise.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_promise.object IS 'Where';
COMMENT ON COLUMN oms.verify_promise.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_promise.found IS 'What is';
