-- Quotes.

CREATE FUNCTION oms.quote_order(merchant int, document jsonb, expires_at timestamptz,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_quote_order';
COMMENT ON FUNCTION oms.quote_order(int, jsonb, timestamptz, text, text, text) IS 'Computes what an order would cost and keeps it until an instant (UTC): prices, promotions and taxes of now hold until the quote expires. document as for place_order(), every SKU known. Asks for no stock. Returns the quote (view quotes). Raises OM002, OM003, OM007, OM008, OM010, OM011, OM012, OM016, OM017';

CREATE FUNCTION oms.revise_quote(merchant int, quote bigint, document jsonb, expires_at timestamptz DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_revise_quote';
COMMENT ON FUNCTION oms.revise_quote(int, bigint, jsonb, timestamptz, text, text, text) IS 'Quotes anew, at prices of now; the revisions before are kept and cannot be accepted any more. expires_at (UTC instant): null keeps it; a quote that has expired needs a new one. Returns the revision. Raises OM002, OM008 (accepted, or expired) and what quote_order() raises';

CREATE FUNCTION oms.accept_quote(merchant int, quote bigint, revision int DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_accept_quote';
COMMENT ON FUNCTION oms.accept_quote(int, bigint, int, text, text, text) IS 'Places the order that was quoted, at the amounts that were quoted, and returns it. revision: the one the customer saw, refused where there is a newer one; null: the newest. Accepted again, also from two sessions at once, it is the same order. Refused from the instant on that it expires (OM008); no job is needed for that. Raises OM001, OM002, OM007, OM008, OM010, OM011';
