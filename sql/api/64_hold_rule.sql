-- Holds on orders: who may release them, what they block, and orders held by rule.

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

CREATE FUNCTION oms.condition_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_condition_guard';
COMMENT ON FUNCTION oms.condition_guard() IS 'Trigger: a condition is a predicate over names that order_facts has (OM011)';
CREATE FUNCTION oms.block_list_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_block_list_guard';
COMMENT ON FUNCTION oms.block_list_guard() IS 'Trigger: values of the block list are kept as block_key() makes them (OM011)';
CREATE FUNCTION oms.order_changed() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_order_changed';
COMMENT ON FUNCTION oms.order_changed() IS 'Trigger: an order whose total, address or contact changed, or of whose payment a token is told, is judged by rules and block lists';

CREATE FUNCTION oms.check_condition(condition jsonpath) RETURNS jsonpath
	LANGUAGE C IMMUTABLE AS 'MODULE_PATHNAME', 'oms_check_condition';
COMMENT ON FUNCTION oms.check_condition(jsonpath) IS 'Returns the condition as it is, if it is a predicate and names nothing but what order_facts has. Raises OM011';

CREATE FUNCTION oms.dry_run_condition(merchant int, condition jsonpath, since timestamptz DEFAULT NULL)
	RETURNS TABLE (order_id bigint, placed_at timestamptz, total numeric, currency text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT o.order_id, o.placed_at, o.total, o.currency FROM oms.sales_order o
	JOIN oms.order_facts f ON f.merchant_id = o.merchant_id AND f.order_id = o.order_id
	WHERE o.merchant_id = $1 AND o.placed_at >= coalesce($3, oms.clock() - interval '30 days') AND f.facts @@ oms.check_condition($2)
	ORDER BY o.order_id $$;
COMMENT ON FUNCTION oms.dry_run_condition(int, jsonpath, timestamptz) IS 'Which orders placed since an instant (UTC; default the last 30 days) a condition of hold_rule or approval_level would meet, as they are now. Changes nothing. Raises OM011';

CREATE FUNCTION oms.block_key(kind text, value text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE $1
		WHEN 'email' THEN lower(btrim($2))
		WHEN 'phone' THEN ltrim(regexp_replace($2, '[^0-9]', '', 'g'), '0')
		WHEN 'address' THEN CASE WHEN $2 ~ '^\s*\{' THEN (
				SELECT nullif(btrim(regexp_replace(lower(concat_ws(' ', a ->> 'street', a ->> 'street2')), '[^[:alnum:]]+', ' ', 'g')), '')
					|| '|' || lower(regexp_replace(coalesce(a ->> 'postcode', ''), '[^[:alnum:]]', '', 'g')) || '|' || lower(coalesce(a ->> 'country', ''))
				FROM CAST($2 AS jsonb) a)
			ELSE lower(btrim($2)) END
		ELSE $2 END $$;
COMMENT ON FUNCTION oms.block_key(text, text) IS 'How block_list compares: an email in lower case, a phone as its digits without leading zeros (+49 40 1 and 0049 40 1 are the same, 040 1 is not), an address (JSON) as street|postcode|country without punctuation and case, a token as it is';

CREATE FUNCTION oms.judge_order(merchant int, order_id bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_judge_order';
COMMENT ON FUNCTION oms.judge_order(int, bigint, text, text, text) IS 'Judges an order by the rules and block lists of now: placing and changing it do that by themselves, this is for rules that are newer. Returns how many things were found that had not been found before. Raises OM002, OM010';
