-- Workflows of merchants' own, and what can be done with an order and a fulfilment.

CREATE FUNCTION oms.allowed_actions(merchant int, order_id bigint) RETURNS TABLE (action text, allowed boolean, reason text)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 20 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_allowed_actions';
COMMENT ON FUNCTION oms.allowed_actions(int, bigint) IS 'What can be done with the order now: a row for each command, whether its state lets it, and if not, why (the hold that blocks it, what is missing, or what its workflow says: guards, rights, and hooks before that are not volatile). No rows when the merchant has no such order. Raises OM011';
CREATE FUNCTION oms.fulfilment_actions(merchant int, fulfilment bigint) RETURNS TABLE (action text, allowed boolean, reason text)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 6 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_fulfilment_actions';
COMMENT ON FUNCTION oms.fulfilment_actions(int, bigint) IS 'What can be done with the fulfilment now: as allowed_actions(), for confirm_pick, short_pick, pack, unpack (of an open carton), ship and cancel_fulfilment. No rows when the merchant has no such fulfilment. Raises OM011';

CREATE FUNCTION oms.define_workflow(merchant int, document jsonb,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_define_workflow';
COMMENT ON FUNCTION oms.define_workflow(int, jsonb, text, text, text) IS
'Defines a version of a workflow, which does nothing until activate_workflow(); returns its number. The document: name, channel (code; default all), states: [{state, core (placed, confirmed, completed, cancelled)}], transitions: [{from, to, action, guard, before, after, roles: [...]}]. Guards and hooks are functions as in oms.workflow_transition, roles are database roles. Raises OM002, OM003 (with the path), OM010, OM011';

CREATE FUNCTION oms.workflow_findings(merchant int, workflow int) RETURNS TABLE (finding text, state text, path text, detail text)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 5 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_workflow_findings';
COMMENT ON FUNCTION oms.workflow_findings(int, int) IS 'What is wrong with a workflow, a row each, none when it may be activated: no_start (no state of core placed), unreachable (no way leads to the state), trapped (a way leads to it, none to an end), ambiguous (two transitions of one action with the same guard, or none), core (a step that no lifecycle has), function, role (one that does not exist). path: the shortest way from the start, states joined by " -> "; of an unreachable state the way back from it. Raises OM002, OM011';

CREATE FUNCTION oms.activate_workflow(merchant int, workflow int, valid_from timestamptz DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS timestamptz
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_activate_workflow';
COMMENT ON FUNCTION oms.activate_workflow(int, int, timestamptz, text, text, text) IS 'From valid_from (default now, never the past) on, new orders get this version; no job is needed. Returns valid_from. From then on it cannot be changed. Raises OM002, OM008 when it is active already, OM010, OM011, OM016 with the first finding of workflow_findings() and its path';

CREATE FUNCTION oms.perform_action(merchant int, order_id bigint, action text,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS text
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_perform_action';
COMMENT ON FUNCTION oms.perform_action(int, bigint, text, text, text, text) IS 'Takes the transition of that action from the order''s state: of its workflow the first that the caller may take and whose guard holds, else of oms.transition. Returns the state it led to (of a repeated request key: the state now). Raises OM002, OM004, OM005, OM008 (a guard, a hook, or the units say no), OM010, OM011, OM016, 42501';
