-- Orders: header, lines with their counters, charges, holds, staging, and the state machine as data.

CREATE TABLE IF NOT EXISTS oms.core_transition (
	from_state	text NOT NULL,
	to_state	text NOT NULL,
	action		text NOT NULL,
	PRIMARY KEY (from_state, to_state)
);
COMMENT ON TABLE oms.core_transition IS 'The lifecycle every merchant starts with; copied to oms.transition when the merchant is made';
COMMENT ON COLUMN oms.core_transition.from_state IS 'State before';
COMMENT ON COLUMN oms.core_transition.to_state IS 'State after';
COMMENT ON COLUMN oms.core_transition.action IS 'Action that leads there: confirm, complete, cancel, reopen';
INSERT INTO oms.core_transition VALUES
	('placed', 'confirmed', 'confirm'), ('placed', 'cancelled', 'cancel'),
	('confirmed', 'completed', 'complete'), ('confirmed', 'cancelled', 'cancel'),
	('cancelled', 'placed', 'reopen'), ('completed', 'confirmed', 'reopen')
	ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS oms.transition (
	merchant_id	int NOT NULL REFERENCES oms.merchant,
	from_state	text NOT NULL,
	to_state	text NOT NULL,
	action		text NOT NULL,
	PRIMARY KEY (merchant_id, from_state, to_state)
);
COMMENT ON TABLE oms.transition IS 'The state machine of orders as data: what is not here is refused (OM004), also for a hand-typed UPDATE of sales_order.lifecycle';
COMMENT ON COLUMN oms.transition.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.transition.from_state IS 'sales_order.lifecycle before';
COMMENT ON COLUMN oms.transition.to_state IS 'sales_order.lifecycle after';
COMMENT ON COLUMN oms.transition.action IS 'Action that leads there: confirm, complete, cancel, reopen (by reopen_order() alone, which brings units back)';
CREATE OR REPLACE TRIGGER transition_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.transition
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER merchant_seed AFTER INSERT ON oms.merchant
	FOR EACH ROW EXECUTE FUNCTION oms.merchant_seed();

CREATE SEQUENCE IF NOT EXISTS oms.order_id_seq CACHE 32;

CREATE TABLE IF NOT EXISTS oms.sales_order (
	merchant_id			int NOT NULL,
	channel_id			int NOT NULL,
	order_id			bigint NOT NULL,
	customer_id			bigint,
	company_id			bigint,
	placed_at			timestamptz NOT NULL,
	revision			int NOT NULL DEFAULT 0,
	tax_included		boolean NOT NULL,
	on_hold				boolean NOT NULL DEFAULT false,
	currency			text NOT NULL,
	lifecycle			text NOT NULL DEFAULT 'placed',
	payment_state		text NOT NULL DEFAULT 'none',
	fulfilment_state	text NOT NULL DEFAULT 'unfulfilled',
	return_state		text NOT NULL DEFAULT 'none',
	subtotal			numeric NOT NULL,
	discount			numeric NOT NULL DEFAULT 0,
	shipping			numeric NOT NULL DEFAULT 0,
	charges				numeric NOT NULL DEFAULT 0,
	tax					numeric NOT NULL,
	total				numeric NOT NULL,
	cancelled_total		numeric NOT NULL DEFAULT 0,
	ship_to				jsonb,
	bill_to				jsonb,
	number				text,
	external_ref		text COLLATE "C",
	email				text,
	phone				text,
	language			text,
	instructions		text,
	gift_note			text,
	origin				text NOT NULL,
	actor				text NOT NULL,
	workflow_id			int,
	state				text,
	PRIMARY KEY (merchant_id, order_id)
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX IF NOT EXISTS sales_order_external_ref ON oms.sales_order (merchant_id, channel_id, external_ref) WHERE external_ref IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS sales_order_own_number ON oms.sales_order (merchant_id, number) WHERE number IS NOT NULL;
CREATE INDEX IF NOT EXISTS sales_order_customer ON oms.sales_order (merchant_id, customer_id, order_id) WHERE customer_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS sales_order_guest_email ON oms.sales_order (merchant_id, lower(email) text_pattern_ops) WHERE email IS NOT NULL;
CREATE INDEX IF NOT EXISTS sales_order_guest_name ON oms.sales_order (merchant_id, lower(ship_to ->> 'name') text_pattern_ops) WHERE customer_id IS NULL;
CREATE INDEX IF NOT EXISTS sales_order_channel ON oms.sales_order (merchant_id, channel_id, order_id);
CREATE INDEX IF NOT EXISTS sales_order_held ON oms.sales_order (merchant_id, order_id) WHERE on_hold;
-- A BRIN index on rising instants is smaller, and dearer to write: each order widens the range of the last block.
CREATE INDEX IF NOT EXISTS sales_order_placed_at ON oms.sales_order (merchant_id, placed_at);
COMMENT ON TABLE oms.sales_order IS 'Orders. Written by place_order() and its kin; by hand only addresses, contact, instructions, gift note, lifecycle and state (as far as oms.transition or its workflow allows) may be changed';
COMMENT ON COLUMN oms.sales_order.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sales_order.channel_id IS 'Channel the order came by';
COMMENT ON COLUMN oms.sales_order.order_id IS 'Order; rises with time but may have gaps';
COMMENT ON COLUMN oms.sales_order.customer_id IS 'Customer; null for a guest';
COMMENT ON COLUMN oms.sales_order.company_id IS 'Company the customer bought for';
COMMENT ON COLUMN oms.sales_order.placed_at IS 'When the customer placed it (UTC instant)';
COMMENT ON COLUMN oms.sales_order.revision IS 'Rises with each change of the row; for optimistic clients';
COMMENT ON COLUMN oms.sales_order.tax_included IS 'True: prices contain tax. False: tax is added';
COMMENT ON COLUMN oms.sales_order.on_hold IS 'Derived: an open hold exists (order_hold)';
COMMENT ON COLUMN oms.sales_order.currency IS 'ISO 4217 currency of every amount of the order';
COMMENT ON COLUMN oms.sales_order.lifecycle IS 'Axis: placed, confirmed, completed, cancelled';
COMMENT ON COLUMN oms.sales_order.payment_state IS 'Axis, derived: none, pending, authorized, partial, paid, partially_refunded, refunded, overpaid';
COMMENT ON COLUMN oms.sales_order.fulfilment_state IS 'Axis, derived: unfulfilled, partial, fulfilled, delivered';
COMMENT ON COLUMN oms.sales_order.return_state IS 'Axis, derived: none, requested, partial, returned';
COMMENT ON COLUMN oms.sales_order.subtotal IS 'Sum of quantity x unit price of the lines, each rounded once; before discount';
COMMENT ON COLUMN oms.sales_order.discount IS 'Sum of the lines'' discounts';
COMMENT ON COLUMN oms.sales_order.shipping IS 'Sum of the amounts of charges of kind shipping; with tax when tax_included';
COMMENT ON COLUMN oms.sales_order.charges IS 'Sum of the amounts of other charges; with tax when tax_included';
COMMENT ON COLUMN oms.sales_order.tax IS 'Tax of lines and charges';
COMMENT ON COLUMN oms.sales_order.total IS 'What the customer owes: subtotal - discount + shipping + charges, plus tax unless tax_included';
COMMENT ON COLUMN oms.sales_order.cancelled_total IS 'Derived: part of total that belongs to cancelled units, and the charges once everything is cancelled';
COMMENT ON COLUMN oms.sales_order.ship_to IS 'Delivery address as it was at placement: name, company, street, street2, city, region, postcode, country (ISO 3166 alpha-2), phone, email';
COMMENT ON COLUMN oms.sales_order.bill_to IS 'Billing address; null: the delivery address';
COMMENT ON COLUMN oms.sales_order.number IS 'Own number; null: the channel''s prefix and order_id (see view orders)';
COMMENT ON COLUMN oms.sales_order.external_ref IS 'The channel''s own reference, unique per channel';
COMMENT ON COLUMN oms.sales_order.email IS 'Contact where it is not the customer''s';
COMMENT ON COLUMN oms.sales_order.phone IS 'Contact where it is not the customer''s';
COMMENT ON COLUMN oms.sales_order.language IS 'Language of messages, IETF tag; null: the customer''s, else the channel''s';
COMMENT ON COLUMN oms.sales_order.instructions IS 'Special instructions, shown to pick, pack and packing slip';
COMMENT ON COLUMN oms.sales_order.gift_note IS 'Note for the recipient; its presence makes a gift order, whose slip shows no price';
COMMENT ON COLUMN oms.sales_order.origin IS 'How it was entered: the document''s origin, else api';
COMMENT ON COLUMN oms.sales_order.actor IS 'Who entered it';
COMMENT ON COLUMN oms.sales_order.workflow_id IS 'Version of the workflow it was placed under; null: its lifecycle goes by oms.transition';
COMMENT ON COLUMN oms.sales_order.state IS 'State of its workflow (workflow_state), whose core state lifecycle is; null: none';

-- The chain of the counters' inequalities stands in order_line_guard(), which every writer meets: as a CHECK
-- it costs a tenth of a small order, because PostgreSQL reads the expression anew for each statement.
CREATE TABLE IF NOT EXISTS oms.order_line (
	merchant_id			int NOT NULL,
	line_no				int NOT NULL,
	order_id			bigint NOT NULL,
	item_id				bigint,
	ordered				int NOT NULL,
	cancelled			int NOT NULL DEFAULT 0,
	allocated			int NOT NULL DEFAULT 0,
	backordered			int NOT NULL DEFAULT 0,
	picked				int NOT NULL DEFAULT 0,
	packed				int NOT NULL DEFAULT 0,
	shipped				int NOT NULL DEFAULT 0,
	delivered			int NOT NULL DEFAULT 0,
	return_requested	int NOT NULL DEFAULT 0,
	returned			int NOT NULL DEFAULT 0,
	unit_price			numeric NOT NULL,
	discount			numeric NOT NULL DEFAULT 0,
	tax_rate			numeric NOT NULL DEFAULT 0,
	tax					numeric NOT NULL DEFAULT 0,
	total				numeric NOT NULL,
	sku					text COLLATE "C" NOT NULL,
	title				text NOT NULL,
	instructions		text,
	PRIMARY KEY (merchant_id, order_id, line_no)
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS order_line_item ON oms.order_line (merchant_id, item_id, order_id);
CREATE INDEX IF NOT EXISTS order_line_unmapped ON oms.order_line (merchant_id, sku) WHERE item_id IS NULL;
CREATE INDEX IF NOT EXISTS order_line_backordered ON oms.order_line (merchant_id, item_id, order_id) WHERE backordered > 0;
COMMENT ON TABLE oms.order_line IS 'Lines: a frozen snapshot of what was bought, and counters of what became of its units. Written by commands alone';
COMMENT ON COLUMN oms.order_line.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_line.line_no IS 'Line number within the order, from 1';
COMMENT ON COLUMN oms.order_line.order_id IS 'Order';
COMMENT ON COLUMN oms.order_line.item_id IS 'Item; null while the SKU is unknown (unmapped)';
COMMENT ON COLUMN oms.order_line.ordered IS 'Units ordered';
COMMENT ON COLUMN oms.order_line.cancelled IS 'Units cancelled, cumulative; counted from the last unit down';
COMMENT ON COLUMN oms.order_line.allocated IS 'Units promised from stock and not yet shipped (rows of reservation)';
COMMENT ON COLUMN oms.order_line.backordered IS 'Units accepted without stock';
COMMENT ON COLUMN oms.order_line.picked IS 'Units picked, cumulative';
COMMENT ON COLUMN oms.order_line.packed IS 'Units packed, cumulative';
COMMENT ON COLUMN oms.order_line.shipped IS 'Units shipped, cumulative; counted from the first unit up';
COMMENT ON COLUMN oms.order_line.delivered IS 'Units delivered, cumulative';
COMMENT ON COLUMN oms.order_line.return_requested IS 'Units in returns not yet received';
COMMENT ON COLUMN oms.order_line.returned IS 'Units received back, cumulative; counted from the first unit up';
COMMENT ON COLUMN oms.order_line.unit_price IS 'Price of one unit exactly as given, before discount, in the order''s currency';
COMMENT ON COLUMN oms.order_line.discount IS 'Discount of the whole line: its own, and its share of the order''s (largest remainder)';
COMMENT ON COLUMN oms.order_line.tax_rate IS 'Tax rate as a fraction: 0.2 is 20 %';
COMMENT ON COLUMN oms.order_line.tax IS 'Tax of the whole line, rounded once';
COMMENT ON COLUMN oms.order_line.total IS 'What the customer owes for the whole line, tax in it';
COMMENT ON COLUMN oms.order_line.sku IS 'SKU as ordered';
COMMENT ON COLUMN oms.order_line.title IS 'Title at placement';
COMMENT ON COLUMN oms.order_line.instructions IS 'Instructions or personalisation of the line';

CREATE TABLE IF NOT EXISTS oms.order_line_component (
	merchant_id	int NOT NULL,
	order_id	bigint NOT NULL,
	line_no		int NOT NULL,
	item_id		bigint NOT NULL,
	per_unit	int NOT NULL CHECK (per_unit > 0),
	PRIMARY KEY (merchant_id, order_id, line_no, item_id),
	FOREIGN KEY (merchant_id, order_id, line_no) REFERENCES oms.order_line (merchant_id, order_id, line_no),
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item
);
COMMENT ON TABLE oms.order_line_component IS 'Parts of a kit line as they were at placement, nested kits resolved';
COMMENT ON COLUMN oms.order_line_component.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_line_component.order_id IS 'Order';
COMMENT ON COLUMN oms.order_line_component.line_no IS 'Line of the kit';
COMMENT ON COLUMN oms.order_line_component.item_id IS 'Part';
COMMENT ON COLUMN oms.order_line_component.per_unit IS 'Units of the part in one unit of the line';

CREATE TABLE IF NOT EXISTS oms.order_charge (
	merchant_id	int NOT NULL,
	order_id	bigint NOT NULL,
	charge_no	int NOT NULL,
	kind		text NOT NULL CHECK (kind IN ('shipping', 'handling', 'gift_wrap', 'adjustment', 'fee')),
	description	text,
	amount		numeric NOT NULL,
	tax_rate	numeric NOT NULL DEFAULT 0,
	tax			numeric NOT NULL DEFAULT 0,
	total		numeric NOT NULL,
	PRIMARY KEY (merchant_id, order_id, charge_no),
	FOREIGN KEY (merchant_id, order_id) REFERENCES oms.sales_order
);
COMMENT ON TABLE oms.order_charge IS 'What an order costs beside its lines: shipping, handling, adjustments. Written by commands alone';
COMMENT ON COLUMN oms.order_charge.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_charge.order_id IS 'Order';
COMMENT ON COLUMN oms.order_charge.charge_no IS 'Number within the order, from 1';
COMMENT ON COLUMN oms.order_charge.kind IS 'shipping, handling, gift_wrap, adjustment (may be negative) or fee';
COMMENT ON COLUMN oms.order_charge.description IS 'Text for the customer';
COMMENT ON COLUMN oms.order_charge.amount IS 'Amount in the order''s currency; with tax when the order has tax included';
COMMENT ON COLUMN oms.order_charge.tax_rate IS 'Tax rate as a fraction';
COMMENT ON COLUMN oms.order_charge.tax IS 'Tax of the charge';
COMMENT ON COLUMN oms.order_charge.total IS 'What the customer owes for the charge, tax in it';

CREATE TABLE IF NOT EXISTS oms.order_hold (
	merchant_id	int NOT NULL,
	order_id	bigint NOT NULL,
	hold_id		bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY,
	kind		text NOT NULL CHECK (kind <> ''),
	reason		text,
	blocks		text[] NOT NULL DEFAULT '{confirm,pick,ship,capture}'
				CHECK (blocks <@ '{confirm,pick,ship,capture,refund,cancel,edit}' AND cardinality(blocks) > 0),
	placed_at	timestamptz NOT NULL DEFAULT now(),
	placed_by	text NOT NULL DEFAULT current_user,
	released_at	timestamptz,
	released_by	text,
	released_role	text,
	release_reason	text,
	PRIMARY KEY (merchant_id, order_id, hold_id),
	FOREIGN KEY (merchant_id, order_id) REFERENCES oms.sales_order,
	CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS order_hold_open ON oms.order_hold (merchant_id, order_id, kind) WHERE released_at IS NULL;
COMMENT ON TABLE oms.order_hold IS 'Holds: each blocks the steps it names and nothing else. Place with hold(), end with release_hold()';
COMMENT ON COLUMN oms.order_hold.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_hold.order_id IS 'Order';
COMMENT ON COLUMN oms.order_hold.hold_id IS 'Hold';
COMMENT ON COLUMN oms.order_hold.kind IS 'Kind: unmapped, price, fraud, address, credit, manual, ...; one open hold of a kind per order';
COMMENT ON COLUMN oms.order_hold.reason IS 'Why';
COMMENT ON COLUMN oms.order_hold.blocks IS 'Steps it refuses: confirm, pick, ship, capture, refund, cancel, edit';
COMMENT ON COLUMN oms.order_hold.placed_at IS 'Since when (UTC instant)';
COMMENT ON COLUMN oms.order_hold.placed_by IS 'Who placed it';
COMMENT ON COLUMN oms.order_hold.released_at IS 'When it was released (UTC instant); null: open';
COMMENT ON COLUMN oms.order_hold.released_by IS 'Who released it';
COMMENT ON COLUMN oms.order_hold.released_role IS 'Database role that called for the release, whatever the actor says';
COMMENT ON COLUMN oms.order_hold.release_reason IS 'Why it was released';

CREATE TABLE IF NOT EXISTS oms.staged_order (
	merchant_id		int NOT NULL REFERENCES oms.merchant,
	source			text NOT NULL,
	position		bigint NOT NULL,
	document		jsonb NOT NULL,
	order_id		bigint,
	error_code		text,
	error_message	text,
	error_detail	text,
	PRIMARY KEY (merchant_id, source, position)
);
CREATE INDEX IF NOT EXISTS staged_order_waiting ON oms.staged_order (merchant_id, source, position) WHERE order_id IS NULL AND error_code IS NULL;
COMMENT ON TABLE oms.staged_order IS 'Orders waiting for place_orders(): fill it with INSERT or COPY. Each row ends with an order or an error; set the error to null to try again';
COMMENT ON COLUMN oms.staged_order.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.staged_order.source IS 'Name of the batch or feed';
COMMENT ON COLUMN oms.staged_order.position IS 'Order of placing within the source';
COMMENT ON COLUMN oms.staged_order.document IS 'Document as for place_order()';
COMMENT ON COLUMN oms.staged_order.order_id IS 'The order it became, or the one that its external reference already was';
COMMENT ON COLUMN oms.staged_order.error_code IS 'SQLSTATE of the refusal';
COMMENT ON COLUMN oms.staged_order.error_message IS 'Message of the refusal';
COMMENT ON COLUMN oms.staged_order.error_detail IS 'Detail of the refusal';

CREATE OR REPLACE TRIGGER sales_order_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.sales_order
	FOR EACH ROW EXECUTE FUNCTION oms.sales_order_guard();
CREATE OR REPLACE TRIGGER sales_order_truncate BEFORE TRUNCATE ON oms.sales_order
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_parent('Orders are kept; drop the database of a test instead.');
CREATE OR REPLACE TRIGGER sales_order_moved AFTER UPDATE ON oms.sales_order
	FOR EACH ROW WHEN (old.lifecycle IS DISTINCT FROM new.lifecycle OR old.state IS DISTINCT FROM new.state) EXECUTE FUNCTION oms.sales_order_moved();
CREATE OR REPLACE TRIGGER order_line_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.order_line
	FOR EACH ROW EXECUTE FUNCTION oms.order_line_guard();
CREATE OR REPLACE TRIGGER order_line_truncate BEFORE TRUNCATE ON oms.order_line
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_parent('Lines are kept.');
CREATE OR REPLACE TRIGGER order_line_refresh AFTER UPDATE ON oms.order_line REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION oms.order_line_refresh();
CREATE OR REPLACE TRIGGER order_line_component_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.order_line_component
	FOR EACH ROW EXECUTE FUNCTION oms.order_part_guard('place_order() writes the parts of kits');
CREATE OR REPLACE TRIGGER order_line_component_truncate BEFORE TRUNCATE ON oms.order_line_component
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('place_order() writes the parts of kits');
CREATE OR REPLACE TRIGGER order_charge_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.order_charge
	FOR EACH ROW EXECUTE FUNCTION oms.order_part_guard('Charges are part of the document of place_order()');
CREATE OR REPLACE TRIGGER order_charge_truncate BEFORE TRUNCATE ON oms.order_charge
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Charges are part of the document of place_order()');
CREATE OR REPLACE TRIGGER order_hold_guard BEFORE UPDATE OR DELETE ON oms.order_hold
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use release_hold()');
CREATE OR REPLACE TRIGGER order_hold_truncate BEFORE TRUNCATE ON oms.order_hold
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Use release_hold()');
CREATE OR REPLACE TRIGGER order_hold_refresh AFTER INSERT OR UPDATE ON oms.order_hold
	FOR EACH ROW EXECUTE FUNCTION oms.order_hold_refresh();
CREATE OR REPLACE TRIGGER item_maps AFTER INSERT OR UPDATE OF sku, active ON oms.item
	FOR EACH ROW EXECUTE FUNCTION oms.map_lines();
CREATE OR REPLACE TRIGGER item_alias_maps AFTER INSERT OR UPDATE OF sku ON oms.item_alias
	FOR EACH ROW EXECUTE FUNCTION oms.map_lines();

INSERT INTO oms.table_class VALUES
	('core_transition', 'reference', 'order'), ('transition', 'merchant', 'order'), ('sales_order', 'merchant', 'order'),
	('order_line', 'merchant', 'order'), ('order_line_component', 'merchant', 'order'), ('order_charge', 'merchant', 'order'),
	('order_hold', 'merchant', 'order'), ('staged_order', 'merchant', 'order')
	ON CONFLICT (table_name) DO NOTHING;

-- Merchants made before the trigger was there.
INSERT INTO oms.transition SELECT m.merchant_id, t.* FROM oms.merchant m, oms.core_transition t
	WHERE NOT EXISTS (SELECT 1 FROM oms.transition x WHERE x.merchant_id = m.merchant_id);
