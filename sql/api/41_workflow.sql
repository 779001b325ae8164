-- What can be done with an order and a fulfilment.

CREATE FUNCTION oms.allowed_actions(merchant int, order_id bigint) RETURNS TABLE (action text, allowed boolean, reason text)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 20 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_allowed_actions';
COMMENT ON FUNCTION oms.allowed_actions(int, bigint) IS 'What can be done with the order now: a row for each command, whether its state lets it, and if not, why (the hold that blocks it, or what is missing). No rows when the merchant has no such order. Raises OM011';
CREATE FUNCTION oms.fulfilment_actions(merchant int, fulfilment bigint) RETURNS TABLE (action text, allowed boolean, reason text)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 6 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_fulfilment_actions';
COMMENT ON FUNCTION oms.fulfilment_actions(int, bigint) IS 'What can be done with the fulfilment now: as allowed_actions(), for confirm_pick, short_pick, pack, unpack (of an open carton), ship and cancel_fulfilment. No rows when the merchant has no such fulfilment. Raises OM011';
