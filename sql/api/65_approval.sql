-- Approvals in levels.

CREATE FUNCTION oms.approve_order(merchant int, order_id bigint, level int DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_approve_order';
COMMENT ON FUNCTION oms.approve_order(int, bigint, int, text, text, text) IS 'Approves an order as it is now at its next level, or at the level given, if it is the next. With the last level its hold goes, and an order with automatic confirmation is confirmed. Returns how many levels still wait. Raises OM002, OM008 nothing waits, another level comes first or it was rejected, OM010, OM011, 42501 when the caller has not the level''s role';

CREATE FUNCTION oms.reject_order(merchant int, order_id bigint, level int DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_reject_order';
COMMENT ON FUNCTION oms.reject_order(int, bigint, int, text, text, text) IS 'Rejects an order at its next level; a reason is needed. It stays held until it is edited, which asks anew, or cancelled. Returns the level. Raises OM002, OM008, OM010, OM011, 42501';
