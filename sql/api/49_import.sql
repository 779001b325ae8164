-- Orders of other systems.

CREATE FUNCTION oms.import_document(merchant int, source text, payload jsonb, channel text DEFAULT NULL) RETURNS jsonb
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_import_document';
COMMENT ON FUNCTION oms.import_document(int, text, jsonb, text) IS
'The document for place_order() (or staged_order, for many at once) that another system''s order becomes, by the rows of import_field. source: shopify, woocommerce, amazon, x12_850, or your own of import_source; payload: the order as that system writes it, for x12_850 a JSON string with the interchange; channel: code, default the merchant''s only one. Writes nothing. Raises OM002 (source, channel), OM003 (payload malformed, with the field), OM011, OM012 (unknown currency, or not the channel''s), OM017';

CREATE FUNCTION oms.import_order(merchant int, source text, payload jsonb, channel text DEFAULT NULL, allocation text DEFAULT 'backorder', actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_import_order';
COMMENT ON FUNCTION oms.import_order(int, text, jsonb, text, text, text) IS
'Takes an order of another system; returns its id. What the payload states of prices, discounts, taxes and shipping is kept to the cent; where its figures do not add up, or something in it has no place here, the order is kept under a hold of kind import that says so. Payments, refunds and cancellation that the payload tells of become facts here (no gateway is asked for anything).
The same order again (same channel and reference) is the same order: its lines stay, later payments, refunds and cancellation are added; see import_differences(). SKUs that nobody knows are kept unmapped, under a hold.
Arguments as import_document(); allocation: backorder (what is there is promised, the rest waits), strict (refuse on shortage, OM001) or none. Raises as import_document() and place_order()';

CREATE FUNCTION oms.import_differences(merchant int, source text, payload jsonb, channel text DEFAULT NULL) RETURNS TABLE (field text, stored text, given text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.field, d.stored, d.given FROM oms.order_differences($1, oms.import_document($1, $2, $3, $4)) d $$;
COMMENT ON FUNCTION oms.import_differences(int, text, jsonb, text) IS
'How a payload differs from the order it already is: rows (field, stored, given); none when it does not. Raises as import_document(), and OM002 when it is no order yet';

CREATE FUNCTION oms.x12_transactions(interchanges text) RETURNS SETOF jsonb
	LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_x12_transactions_sql';
COMMENT ON FUNCTION oms.x12_transactions(text) IS
'The purchase orders (transaction sets 850) of a text of X12 interchanges, each as an object for import_order(): segments by name, elements e01, e02, ..., parties (N1) and lines (PO1) with the segments that belong to them, a line''s item numbers as ids. Envelopes are checked: control numbers, count of segments. Raises OM003, OM011';
