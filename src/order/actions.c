/*-------------------------------------------------------------------------
 * actions.c
 *	  What can be done with an order and with a fulfilment now.  Each answer is
 *	  one query that says of each command what its own checks would say.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "order/reopen.h"
#include "order/workflow.h"

PG_FUNCTION_INFO_V1(oms_allowed_actions);
PG_FUNCTION_INFO_V1(oms_fulfilment_actions);

enum
{
	ST_WORKFLOW_OF,
	ST_ORDER,
	ST_ORDER_OF,
	ST_FULFILMENT
};

#define ACTION_NCOLUMNS 3

/*
 * Of the order $1, $2: o its row, what holds block and its money; l its lines;
 * f its open fulfilments, with what the shipment policy keeps from leaving, or
 * the workflow where the last unit leaves with it.  A CTE u comes before them:
 * why the order would not be completed, where its workflow is against it.
 */
#define OF_ORDER \
	"o AS (" \
	" SELECT x.lifecycle, x.workflow_id, x.on_hold, x.fulfilment_state, b.due, b.due - b.capturable - b.authorize_pending AS unsecured, " \
	"  b.captured - b.charged_back - b.refunded - b.refund_pending AS kept, " \
	"  coalesce((SELECT array_agg(h.kind || ':' || s) FROM oms.order_hold h, unnest(h.blocks) s " \
	"   WHERE h.merchant_id = $1 AND h.order_id = $2 AND h.released_at IS NULL " \
	"   AND NOT (h.kind = 'edit' AND EXISTS (SELECT FROM oms.order_edit e WHERE e.merchant_id = $1 AND e.order_id = $2 " \
	"    AND e.state = 'open' AND e.expires_at <= oms.clock()))), '{}') " \
	"   || ARRAY(SELECT 'payment:' || w FROM unnest('{pick,ship}'::text[]) w WHERE oms.awaits_payment($1, $2, w)) AS held, " \
	"  (SELECT e.edit_id FROM oms.order_edits e WHERE e.merchant_id = $1 AND e.order_id = $2 AND e.state = 'open') AS edit, " \
	"  CASE WHEN x.lifecycle IN ('cancelled', 'completed') THEN 'the order is ' || x.lifecycle END AS closed, " \
	"  CASE WHEN x.lifecycle NOT IN ('confirmed', 'completed') THEN 'the order is ' || x.lifecycle END AS not_live, " \
	"  CASE p.policy WHEN 'complete_by' THEN CASE WHEN oms.clock() < p.complete_by THEN 'order_complete' ELSE 'as_available' END " \
	"   ELSE coalesce(p.policy, (SELECT e.value FROM oms.effective_setting($1, 'shipment_policy', x.channel_id) e)) END AS policy " \
	" FROM oms.sales_order x " \
	" JOIN oms.payment_balance b ON b.merchant_id = x.merchant_id AND b.order_id = x.order_id " \
	" LEFT JOIN oms.order_shipment_policy p ON p.merchant_id = x.merchant_id AND p.order_id = x.order_id " \
	" WHERE x.merchant_id = $1 AND x.order_id = $2), " \
	"l AS (" \
	" SELECT l.*, coalesce(i.kind = 'service', false) AS service, l.ordered - l.cancelled AS live, " \
	"  coalesce((SELECT sum(fl.quantity - fl.shipped) FROM oms.fulfilment_line fl " \
	"   WHERE fl.merchant_id = $1 AND fl.order_id = $2 AND fl.line_no = l.line_no), 0) AS planned " \
	" FROM oms.order_line l LEFT JOIN oms.item i ON i.merchant_id = l.merchant_id AND i.item_id = l.item_id " \
	" WHERE l.merchant_id = $1 AND l.order_id = $2), " \
	"s AS (" \
	" SELECT coalesce(sum(live - shipped), 0) AS open, coalesce(sum(live - shipped) FILTER (WHERE service), 0) AS open_services, coalesce(sum(shipped), 0) AS shipped, coalesce(sum(shipped - return_requested - returned), 0) AS returnable, " \
	"  coalesce(bool_or(live > picked), false) AS cancellable, " \
	"  coalesce(bool_or(service AND live > shipped), false) AS services, " \
	"  coalesce(bool_or(NOT service AND live > packed), false) AS unpacked, " \
	"  coalesce(bool_or(NOT service AND live > allocated + shipped), false) AS short, " \
	"  coalesce(bool_or(allocated > planned), false) AS plannable, " \
	"  coalesce(bool_or(allocated > planned AND live = allocated + shipped), false) AS plannable_whole " \
	" FROM l), " \
	"f AS (" \
	" SELECT f.fulfilment_id, f.state, sum(fl.quantity - fl.picked) AS to_pick, sum(fl.picked - fl.packed) AS to_pack, " \
	"  EXISTS (SELECT FROM oms.carton c WHERE c.merchant_id = $1 AND c.fulfilment_id = f.fulfilment_id AND c.state = 'open') AS packed, " \
	"  CASE WHEN o.policy = 'order_complete' AND s.unpacked THEN 'the order is shipped complete only' " \
	"   WHEN o.policy = 'line_complete' AND bool_or(fl.packed > fl.shipped AND l.live > l.packed) " \
	"   THEN 'lines are shipped complete only' " \
	"   WHEN sum(fl.packed - fl.shipped) = s.open THEN u.complete END AS waits " \
	" FROM oms.fulfilment f " \
	" JOIN oms.fulfilment_line fl ON fl.merchant_id = f.merchant_id AND fl.fulfilment_id = f.fulfilment_id " \
	" JOIN l ON l.line_no = fl.line_no CROSS JOIN o CROSS JOIN s CROSS JOIN u " \
	" WHERE f.merchant_id = $1 AND f.order_id = $2 GROUP BY f.fulfilment_id, f.state, o.policy, s.unpacked, s.open, u.complete) "

/* From a (no, action, step, obstacle): the answer, with the holds that block each step. */
#define ANSWER \
	"SELECT a.action, coalesce(a.obstacle, h.holds) IS NULL, coalesce(a.obstacle, 'held by ' || h.holds) " \
	"FROM a CROSS JOIN o CROSS JOIN LATERAL ( " \
	" SELECT string_agg(DISTINCT split_part(x, ':', 1), ', ') AS holds FROM unnest(o.held) x " \
	" WHERE split_part(x, ':', 2) = ANY (string_to_array(a.step, ' '))) h " \
	"ORDER BY a.no, a.action "

static OmsStatement statements[] = {
	[ST_WORKFLOW_OF] = {
		"SELECT workflow_id, state FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2 AND workflow_id IS NOT NULL",
		2, {INT4OID, INT8OID}
	},
	/* $3 to $5: the actions of the order's workflow, the lifecycle that each leads to, null for the same, and why it does not; $6: why it is not cancelled, $7: not reopened, $8: not completed */
	[ST_ORDER] = {
		"WITH u (complete) AS (SELECT $8), " OF_ORDER ", p AS ("
		" SELECT coalesce(bool_or(p.capturable > 0), false) AS capturable, coalesce(bool_or(p.refundable > 0), false) AS refundable "
		" FROM oms.payment_detail p WHERE p.merchant_id = $1 AND p.order_id = $2), "
		"w AS ("
		" SELECT coalesce(bool_or(to_pick > 0), false) AS to_pick, coalesce(bool_or(to_pack > 0), false) AS to_pack, "
		"  coalesce(bool_or(packed), false) AS to_ship, coalesce(bool_or(packed AND waits IS NULL), false) AS shippable, max(waits) AS waits "
		" FROM f), "
		"plan (obstacle) AS ("
		" SELECT CASE WHEN o.policy = 'order_complete' AND s.short THEN 'the order is shipped complete only' "
		"  WHEN NOT s.plannable THEN 'nothing is allocated and not planned' "
		"  WHEN o.policy = 'line_complete' AND NOT s.plannable_whole THEN 'lines are shipped complete only' END FROM o, s), "
		"a (no, action, step, obstacle) AS ("
		" SELECT 10, t.action, CASE t.to_state WHEN 'confirmed' THEN 'confirm' END, "
		"  CASE WHEN t.to_state = 'completed' AND s.open > 0 THEN 'units are neither shipped nor cancelled' END "
		" FROM o CROSS JOIN s JOIN oms.transition t ON t.merchant_id = $1 AND t.from_state = o.lifecycle AND t.to_state <> 'cancelled' AND o.workflow_id IS NULL AND o.closed IS NULL "
		" UNION ALL "
		" SELECT 10, t.action, CASE t.core WHEN 'confirmed' THEN 'confirm' END, coalesce(t.obstacle, "
		"  CASE WHEN t.core IN ('completed', 'cancelled') AND s.open > 0 THEN 'units are neither shipped nor cancelled' END, "
		"  CASE WHEN t.core IN ('placed', 'confirmed') AND s.open = 0 AND o.closed IS NOT NULL THEN 'no unit is open' END) "
		" FROM o CROSS JOIN s CROSS JOIN unnest($3, $4, $5) t (action, core, obstacle) "
		" UNION ALL "
		" SELECT v.no, v.action, v.step, v.obstacle "
		" FROM o CROSS JOIN s CROSS JOIN u CROSS JOIN p CROSS JOIN w CROSS JOIN plan CROSS JOIN LATERAL (VALUES "
		"  (20, 'authorize', NULL, CASE WHEN o.lifecycle = 'cancelled' THEN 'the order is cancelled' "
		"   WHEN o.unsecured <= 0 THEN 'nothing is due that is not authorized' END), "
		"  (21, 'capture', 'capture', CASE WHEN o.lifecycle = 'cancelled' THEN 'the order is cancelled' "
		"   WHEN NOT p.capturable THEN 'nothing is authorized and not captured' WHEN o.due <= 0 THEN 'nothing is due' END), "
		"  (22, 'void', NULL, CASE WHEN NOT p.capturable THEN 'nothing is authorized and not captured' END), "
		"  (23, 'refund', 'refund', CASE WHEN NOT p.refundable OR o.kept <= 0 THEN 'nothing is captured and not refunded' END), "
		"  (30, 'plan_fulfilment', 'pick', coalesce(o.not_live, plan.obstacle)), "
		"  (31, 'confirm_pick', 'pick', CASE WHEN NOT w.to_pick THEN 'nothing is planned and not picked' ELSE o.not_live END), "
		"  (32, 'pack', 'pick', CASE WHEN NOT w.to_pack THEN 'nothing is picked and not packed' ELSE o.not_live END), "
		"  (33, 'ship', 'ship', CASE WHEN NOT w.to_ship THEN 'nothing is packed and not shipped' "
		"   WHEN NOT w.shippable THEN w.waits ELSE o.not_live END), "
		"  (34, 'ship_order', 'pick ship', coalesce(o.not_live, CASE WHEN o.policy = 'order_complete' AND s.short THEN plan.obstacle "
		"   WHEN NOT (w.to_pick OR w.to_pack OR w.to_ship OR s.services) THEN plan.obstacle END, "
		"   CASE WHEN NOT s.short THEN u.complete END)), "
		"  (35, 'complete_services', 'ship', coalesce(o.not_live, CASE WHEN NOT s.services THEN 'no service is open' "
		"   WHEN o.policy = 'order_complete' AND s.unpacked THEN 'the order is shipped complete only' "
		"   WHEN s.open = s.open_services THEN u.complete END)), "
		"  (40, 'request_return', NULL, CASE WHEN s.returnable <= 0 THEN 'nothing is shipped and not returned' END), "
		"  (50, 'hold', NULL, CASE WHEN o.lifecycle = 'cancelled' THEN 'the order is cancelled' END), "
		"  (51, 'release_hold', NULL, CASE WHEN NOT o.on_hold AND o.held = '{}' THEN 'no hold is open' END), "
		"  (60, 'cancel_line', 'cancel', CASE WHEN NOT s.cancellable THEN 'all units are picked, shipped or cancelled' "
		"   WHEN s.open = 1 THEN CASE WHEN s.shipped > 0 THEN u.complete ELSE $6 END END), "
		"  (61, 'cancel_order', 'cancel', coalesce(o.closed, CASE WHEN o.fulfilment_state <> 'unfulfilled' THEN 'units were shipped' END, $6)), "
		"  (62, 'reopen_order', CASE o.lifecycle WHEN 'completed' THEN 'edit confirm' ELSE 'edit' END, coalesce($7, CASE WHEN o.workflow_id IS NULL "
		"   AND NOT EXISTS (SELECT FROM oms.transition t WHERE t.merchant_id = $1 AND t.from_state = o.lifecycle AND t.to_state = "
		"    CASE o.lifecycle WHEN 'completed' THEN 'confirmed' ELSE 'placed' END) THEN 'oms.transition has no way from ' || o.lifecycle END)), "
		"  (70, 'edit_order', 'edit', coalesce(o.closed, 'edit ' || o.edit || ' is open')), "
		"  (71, 'confirm_edit', 'edit', coalesce(o.closed, CASE WHEN o.edit IS NULL THEN 'no edit is open' END)), "
		"  (72, 'decline_edit', NULL, CASE WHEN o.edit IS NULL THEN 'no edit is open' END)) v (no, action, step, obstacle)) "
		ANSWER,
		8, {INT4OID, INT8OID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID}
	},
	[ST_ORDER_OF] = {
		"SELECT order_id FROM oms.fulfilment WHERE merchant_id = $1 AND fulfilment_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_FULFILMENT] = {
		"WITH u (complete) AS (SELECT $4), " OF_ORDER ", "
		"a (no, action, step, obstacle) AS ("
		" SELECT v.no, v.action, v.step, v.obstacle FROM o CROSS JOIN f CROSS JOIN LATERAL (VALUES "
		"  (10, 'confirm_pick', 'pick', coalesce(o.not_live, CASE WHEN f.to_pick <= 0 THEN 'nothing is planned and not picked' END)), "
		"  (11, 'short_pick', 'pick', coalesce(o.not_live, CASE WHEN f.to_pick <= 0 THEN 'nothing is planned and not picked' END)), "
		"  (20, 'pack', 'pick', coalesce(o.not_live, CASE WHEN f.to_pack <= 0 THEN 'nothing is picked and not packed' END)), "
		"  (21, 'unpack', NULL, CASE WHEN NOT f.packed THEN 'no carton is open' END), "
		"  (30, 'ship', 'ship', coalesce(o.not_live, CASE WHEN NOT f.packed THEN 'nothing is packed and not shipped' END, f.waits)), "
		"  (40, 'cancel_fulfilment', NULL, CASE WHEN f.state IN ('shipped', 'cancelled') THEN 'it is ' || f.state END)) "
		"  v (no, action, step, obstacle) WHERE f.fulfilment_id = $3) "
		ANSWER,
		4, {INT4OID, INT8OID, INT8OID, TEXTOID}
	},
};

/* The rows of a statement as the function's rows. */
static Datum
answer(FunctionCallInfo fcinfo, OmsStatement *statement, Datum *values, const char *nulls)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64		rows = oms_run(statement, values, nulls);

	for (uint64 row = 0; row < rows; row++)
	{
		Datum		out[ACTION_NCOLUMNS];
		bool		isnull[ACTION_NCOLUMNS];

		for (int i = 0; i < ACTION_NCOLUMNS; i++)
			out[i] = oms_get(row, i + 1, &isnull[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, out, isnull);
	}
	return (Datum) 0;
}

static Datum
text_array(const char **texts, int n)
{
	Datum	   *values = palloc((n + 1) * sizeof(Datum));
	bool	   *nulls = palloc((n + 1) * sizeof(bool));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Why the order does not leave a state by an action or to a lifecycle, for this
 * caller now; null: it does, and core is the lifecycle that it would have.
 */
static const char *
obstacle_to(int32 merchant, int64 order_id, int32 workflow_id, int from, const char *lifecycle, const char *action, const char **core)
{
	const char *why = NULL;
	int			chosen = oms_workflow_choose(oms_workflow(merchant, workflow_id), merchant, order_id, from, -1, lifecycle, action, &why);
	const OmsWorkflow *workflow = oms_workflow(merchant, workflow_id);

	if (chosen < 0)
		return why;
	if (core != NULL)
		*core = pstrdup(workflow->states[workflow->transitions[chosen].to].core);
	return oms_transition_foreseen(workflow, &workflow->transitions[chosen], merchant, order_id);
}

static void
set_obstacle(const char *obstacle, Datum *value, char *null)
{
	*null = obstacle == NULL ? 'n' : ' ';
	*value = obstacle == NULL ? (Datum) 0 : CStringGetTextDatum(obstacle);
}

/* Parameters $3 to $8 of the statement: what the workflow says of each action, for this caller now. */
static void
workflow_actions(int32 merchant, int64 order_id, int32 workflow_id, const char *state, Datum *values, char *nulls)
{
	const OmsWorkflow *workflow = oms_workflow(merchant, workflow_id);
	int			from = oms_workflow_state(workflow, state);
	int			max = workflow->ntransitions;
	const char *present = pstrdup(workflow->states[from].core);
	const char **actions = palloc((max + 1) * sizeof(char *));
	const char **cores = palloc((max + 1) * sizeof(char *));
	const char **obstacles = palloc((max + 1) * sizeof(char *));
	int			n = 0;

	for (int i = 0; i < max; i++)
	{
		const OmsTransition *transition = &workflow->transitions[i];
		int			seen = 0;

		while (seen < n && strcmp(actions[seen], transition->action) != 0)
			seen++;
		if (transition->from == from && seen == n)
			actions[n++] = pstrdup(transition->action);
	}
	for (int i = 0; i < n; i++)
	{
		cores[i] = NULL;
		obstacles[i] = obstacle_to(merchant, order_id, workflow_id, from, NULL, actions[i], &cores[i]);
		if (cores[i] != NULL && strcmp(cores[i], present) == 0)
			cores[i] = NULL;
	}
	values[2] = text_array(actions, n);
	values[3] = text_array(cores, n);
	values[4] = text_array(obstacles, n);
	nulls[2] = nulls[3] = nulls[4] = ' ';
	set_obstacle(obstacle_to(merchant, order_id, workflow_id, from, "cancelled", NULL, NULL), &values[5], &nulls[5]);
	if (nulls[6] == 'n')
		set_obstacle(obstacle_to(merchant, order_id, workflow_id, from, strcmp(present, "completed") == 0 ? "confirmed" : "placed", NULL, NULL),
					 &values[6], &nulls[6]);
	if (strcmp(present, "confirmed") == 0)
		set_obstacle(obstacle_to(merchant, order_id, workflow_id, from, "completed", NULL, NULL), &values[7], &nulls[7]);
}

/* SQL: allowed_actions(merchant, order_id) -> action, allowed, reason; no rows when the merchant has no such order. */
Datum
oms_allowed_actions(PG_FUNCTION_ARGS)
{
	Datum		values[8];
	char		nulls[8] = {' ', ' ', 'n', 'n', 'n', 'n', 'n', 'n'};
	char	   *obstacle;

	values[0] = Int32GetDatum(oms_arg_merchant(fcinfo));
	values[1] = Int64GetDatum(oms_arg_int64(fcinfo, 1, "order_id"));
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	obstacle = oms_reopen_obstacle(PG_GETARG_INT32(0), PG_GETARG_INT64(1));
	set_obstacle(obstacle, &values[6], &nulls[6]);
	if (oms_run(&statements[ST_WORKFLOW_OF], values, NULL) > 0)
		workflow_actions(PG_GETARG_INT32(0), PG_GETARG_INT64(1), oms_get_int32(0, 1), oms_get_text(0, 2), values, nulls);
	answer(fcinfo, &statements[ST_ORDER], values, nulls);
	oms_end();
	return (Datum) 0;
}

/* SQL: fulfilment_actions(merchant, fulfilment) -> action, allowed, reason; no rows when the merchant has no such fulfilment. */
Datum
oms_fulfilment_actions(PG_FUNCTION_ARGS)
{
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', 'n'};

	values[0] = Int32GetDatum(oms_arg_merchant(fcinfo));
	values[1] = values[2] = Int64GetDatum(oms_arg_int64(fcinfo, 1, "fulfilment"));
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	if (oms_run(&statements[ST_ORDER_OF], values, NULL) > 0)
	{
		int64		order_id = oms_get_int64(0, 1);

		values[1] = Int64GetDatum(order_id);
		if (oms_run(&statements[ST_WORKFLOW_OF], values, NULL) > 0)
		{
			int32		workflow_id = oms_get_int32(0, 1);
			const char *state = oms_get_text(0, 2);

			set_obstacle(obstacle_to(PG_GETARG_INT32(0), order_id, workflow_id,
									 oms_workflow_state(oms_workflow(PG_GETARG_INT32(0), workflow_id), state), "completed", NULL, NULL),
						 &values[3], &nulls[3]);
		}
		answer(fcinfo, &statements[ST_FULFILMENT], values, nulls);
	}
	oms_end();
	return (Datum) 0;
}
