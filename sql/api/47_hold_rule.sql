-- Holds on orders: who may release them, and what they block.

CREATE FUNCTION oms.caller_has_role(role_name text) RETURNS boolean
	LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'oms_caller_has_role';
COMMENT ON FUNCTION oms.caller_has_role(text) IS 'Whether the role that called, not the owner of the function it is called in, has the rights of a role; true for null, and of a role that does not exist only for a superuser';

CREATE FUNCTION oms.blocked_by(merchant int, order_id bigint, for_step text DEFAULT NULL)
	RETURNS TABLE (step text, hold_id bigint, kind text, reason text, placed_at timestamptz, placed_by text, release_role text, may_release boolean)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT b.step, b.hold_id, b.kind, b.reason, b.placed_at, b.placed_by, b.release_role, oms.caller_has_role(b.release_role)
	FROM oms.order_blocked b WHERE b.merchant_id = $1 AND b.order_id = $2 AND ($3 IS NULL OR b.step = $3)
	ORDER BY array_position('{confirm,edit,pick,ship,capture,refund,cancel}', b.step), b.hold_id $$;
COMMENT ON FUNCTION oms.blocked_by(int, bigint, text) IS 'What the open holds of an order block, in the order of its life: a row per step (confirm, edit, pick, ship, capture, refund, cancel; or the one asked for) and hold, with the role that may release it and whether the caller has it. No row: nothing is held';
