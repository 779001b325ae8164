-- Blanket orders.

CREATE FUNCTION oms.blanket_order(merchant int, document jsonb, valid_to timestamptz, valid_from timestamptz DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_blanket_order';
COMMENT ON FUNCTION oms.blanket_order(int, jsonb, timestamptz, timestamptz, text, text, text) IS 'Agrees quantities, prices, discounts and tax rates that are called off later, from valid_from (UTC instant; null: now) until valid_to, exclusive. document as for place_order(), every SKU known, without charges, shipping and external_ref. Takes no stock. Returns the blanket order (view blanket_rest). Raises OM002, OM003, OM007, OM008, OM010, OM011, OM012, OM016, OM017';

CREATE FUNCTION oms.call_off(merchant int, blanket bigint, lines jsonb,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_call_off';
COMMENT ON FUNCTION oms.call_off(int, bigint, jsonb, text, text, text) IS 'Places an order for units of a blanket order, at its prices, and returns it. lines: [{"line": 1, "quantity": 2}], lines of the blanket order. Call-offs never sum above what was agreed, also when several come at once (OM007). Raises OM001, OM002, OM003, OM007, OM008 (not valid at this instant), OM010, OM011';
