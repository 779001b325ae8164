-- Orders: placing, cancelling, holding, moving through the lifecycle.

CREATE FUNCTION oms.sales_order_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_sales_order_guard';
COMMENT ON FUNCTION oms.sales_order_guard() IS 'Trigger: what may be written to an order by hand, and which transitions there are (OM004, OM009)';
CREATE FUNCTION oms.sales_order_moved() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_sales_order_moved';
COMMENT ON FUNCTION oms.sales_order_moved() IS 'Trigger: each transition of the lifecycle is one event';
CREATE FUNCTION oms.order_line_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_order_line_guard';
COMMENT ON FUNCTION oms.order_line_guard() IS 'Trigger: lines are frozen and their counters belong to commands (OM009)';
CREATE FUNCTION oms.order_line_refresh() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_order_line_refresh';
COMMENT ON FUNCTION oms.order_line_refresh() IS 'Trigger: the axes of an order follow its lines';
CREATE FUNCTION oms.order_hold_refresh() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_order_hold_refresh';
COMMENT ON FUNCTION oms.order_hold_refresh() IS 'Trigger: the hold axis of an order follows its holds';
CREATE FUNCTION oms.map_lines() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_map_lines';
COMMENT ON FUNCTION oms.map_lines() IS 'Trigger: a new or changed SKU of an item or alias maps the lines that waited for it, allocates them and releases their holds; so does making the item active. They wait on while the item is inactive, or a kit without parts: once it has them, UPDATE oms.item SET sku = sku maps';
CREATE FUNCTION oms.map_units() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_map_units';
COMMENT ON FUNCTION oms.map_units() IS 'Trigger: a new or changed unit of an item maps the lines of its SKU that were asked for in that unit';

CREATE FUNCTION oms.place_order(merchant int, document jsonb, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_place_order_document';
COMMENT ON FUNCTION oms.place_order(int, jsonb, text, text) IS
'Places an order and promises its stock in one step; returns its id. The document:
channel (code or id; default the merchant''s only one), external_ref, customer (id, or {email, name, external_ref}: the customer of that reference, else a guest), email, phone, language, currency (must be the channel''s), ship_to and bill_to ({name, company, street, street2, city, region, postcode, country, phone, email}; default the customer''s), placed_at (ISO 8601), origin, instructions, gift_note, tax_included (default the channel''s), location (code), ship_at (ISO 8601; see order_schedule), allocation (strict, backorder, none; default by setting), confirm (default by setting),
lines: [{sku or item, quantity, unit (of item_unit; quantity, up to 8 decimals, and unit_price are then of it; default the base unit), unit_price (default looked up, of the base unit), price_reason (why it is not the listed price: see setting price_override), discount, tax_rate (default by rule), tax (of the line, as given instead of computed), title, instructions}], discount (of the order, spread over the lines), coupons: [code], promotions (false: none applies), shipping, shipping_tax_rate, charges: [{kind, description, amount, tax_rate, tax}].
Amounts are in the currency''s units, rates are fractions. The same (channel, external_ref) again gives the first order (see order_differences); an unknown SKU is kept unmapped under a hold; a quantity that quantity_rule rounded up is in order_line_asked. Raises OM001 shortage, OM002 unknown customer, channel or unit, OM003 malformed (with the path), OM007 a quantity that is not sold, OM010, OM011, OM012, OM016 no price, OM017';

CREATE FUNCTION oms.place_order(merchant int, channel int, customer bigint, items bigint[], quantities int[],
	request_key text DEFAULT NULL, ship_to jsonb DEFAULT NULL, external_ref text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_place_order_arrays';
COMMENT ON FUNCTION oms.place_order(int, int, bigint, bigint[], int[], text, jsonb, text) IS
'Places an order from plain arrays, for hot callers: items and quantities side by side, prices looked up, tax by rule, address of the customer unless given. A null customer is a guest. Returns its id. Raises as the other form';

CREATE FUNCTION oms.order_differences(merchant int, document jsonb) RETURNS TABLE (field text, stored text, given text)
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_order_differences';
COMMENT ON FUNCTION oms.order_differences(int, jsonb) IS 'How a document differs from the order that its (channel, external_ref) already is: a row per field, none when equal. Raises OM002 when there is no such order';

CREATE FUNCTION oms.place_orders(merchant int, source text DEFAULT NULL, max_orders bigint DEFAULT NULL,
	OUT orders bigint, OUT accepted bigint, OUT repeated bigint, OUT refused bigint, OUT lines bigint) RETURNS record
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_place_orders';
COMMENT ON FUNCTION oms.place_orders(int, text, bigint) IS 'Places every waiting row of staged_order of a source (null: of all), in order of source and position, in this one statement, at most max_orders. Each row gets its order_id, or the SQLSTATE, message and detail of its refusal. Returns how many were read, became an order, were an order already, and were refused, and the lines placed. The result equals placing them one by one. A second call at the same time waits for the first and passes over what it has placed';

CREATE FUNCTION oms.cancel_line(merchant int, order_id bigint, line_no int, quantity int DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL, discount_policy text DEFAULT 'share') RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_cancel_line';
COMMENT ON FUNCTION oms.cancel_line(int, bigint, int, int, text, text, text, text) IS 'Cancels units of a line that are not picked (null: all of those): releases exactly their promise, backordered units first, and voids or refunds their share. discount_policy: share (the units take their share of the line''s discount along) or keep (the units that stay keep all of it, as far as their amount reaches); the row of order_cancellation says which. Returns the units cancelled. Raises OM002, OM005, OM007, OM008, OM010, OM011';

CREATE FUNCTION oms.cancel_order(merchant int, order_id bigint,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL,
	restock boolean DEFAULT true, refund boolean DEFAULT true, notify boolean DEFAULT true) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_cancel_order';
COMMENT ON FUNCTION oms.cancel_order(int, bigint, text, text, text, boolean, boolean, boolean) IS 'Cancels all units of an order that nothing was shipped of: planned work ends, promises are released, authorizations voided, captures refunded. restock false: what was promised is not for sale again, it waits for inspection (stock.quality_control); items without lots only. refund false: money stays where it is, visible as overpaid. notify false: the customer gets no message. Cancelling twice is cancelling once. Returns the order. Raises OM002, OM005, OM008, OM010';

CREATE FUNCTION oms.hold(merchant int, order_id bigint, kind text DEFAULT 'manual', reason text DEFAULT NULL,
	blocks text[] DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_hold';
COMMENT ON FUNCTION oms.hold(int, bigint, text, text, text[], text) IS 'Places a hold that blocks the named steps (confirm, pick, ship, capture, refund, cancel, edit; default those of its hold_type, else confirm, pick, ship and capture). An open hold of the kind is returned instead of a second one. Returns the hold. Raises OM002, OM011';

CREATE FUNCTION oms.release_hold(merchant int, order_id bigint, kind text, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_release_hold';
COMMENT ON FUNCTION oms.release_hold(int, bigint, text, text, text) IS 'Releases the open hold of a kind; false when there is none. An order placed with automatic confirmation is confirmed when its last blocking hold goes. Who may release, and whether a reason is needed, says hold_type. Raises OM002, OM011, 42501';

CREATE FUNCTION oms.transition(merchant int, order_id bigint, to_state text,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS text
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_transition';
COMMENT ON FUNCTION oms.transition(int, bigint, text, text, text, text) IS 'Moves an order to another lifecycle state, as far as oms.transition has the row and its units agree. Returns the state. Raises OM002, OM004, OM005, OM008, OM010';
