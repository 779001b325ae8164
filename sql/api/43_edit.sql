-- Edits of placed orders.

CREATE FUNCTION oms.edit_order(merchant int, order_id bigint, changes jsonb, discount_policy text DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_edit_order';
COMMENT ON FUNCTION oms.edit_order(int, bigint, jsonb, text, timestamptz, text, text, text) IS
'Opens a change set on a placed or confirmed order; nothing of the order changes until confirm_edit(). Returns the edit. An order has one open edit at a time.
changes: an array of actions, done in their order: {"action": "quantity", "line", "quantity"} (live units; 0 and more, not below what is picked), {"action": "remove", "line"}, {"action": "price", "line", "unit_price", "price_reason"}, {"action": "discount", "line", "discount"} (of the whole line; without a line, one more that is spread over the lines), {"action": "add", and the fields of a line of place_order()}, {"action": "address", "ship_to", "bill_to"}, {"action": "shipping", "amount"}, {"action": "charge", "charge" (its number), "amount"} or {"action": "charge", and the fields of a new charge}, {"action": "notes", "instructions", "gift_note"} (an empty text clears it).
discount_policy: what becomes of a line''s discount when its amount changes: keep (it stays the same amount) or rate (it changes in proportion); default: setting edit_discount. expires_at: UTC instant from which the set cannot be confirmed; default: setting edit_expiry. Raises OM002, OM003, OM005, OM007, OM008, OM010, OM011, OM016, OM017, 42501';

CREATE FUNCTION oms.preview_edit(merchant int, order_id bigint) RETURNS TABLE (object text, field text, before text, after text)
	LANGUAGE C SECURITY DEFINER ROWS 20 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_preview_edit';
COMMENT ON FUNCTION oms.preview_edit(int, bigint) IS
'What confirming the open edit would change now, a row for each field: object (order, line 2, charge 1), field (a column of sales_order, order_line or order_charge), before (null: it is not there yet) and after. Stock is asked for as confirm_edit() would, and given back. Raises as confirm_edit()';

CREATE FUNCTION oms.confirm_edit(merchant int, order_id bigint,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_confirm_edit';
COMMENT ON FUNCTION oms.confirm_edit(int, bigint, text, text, text) IS
'Does what the open edit of an order says, all of it or nothing: units that are added are promised like those of a new order, units taken off are cancelled and their promise released, amounts are computed as at placement, tax by the rates that stand on the lines. What the order owes less is voided or refunded; what it owes more is in order_edit.to_pay and charged by nobody. Raises the order''s revision and writes event order.edited. Returns the edit. Raises OM001 shortage, OM002 no open edit, OM005, OM007, OM008, OM010, OM015, OM016, OM017';

CREATE FUNCTION oms.decline_edit(merchant int, order_id bigint,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_decline_edit';
COMMENT ON FUNCTION oms.decline_edit(int, bigint, text, text, text) IS 'Closes the open edit of an order without doing it, as expired where its time is over. Returns the edit. Raises OM002 no open edit, OM010';
