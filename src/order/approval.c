/*-------------------------------------------------------------------------
 * approval.c
 *	  Approvals in levels: asked when an order is placed or changed, decided
 *	  in their order by those who have the right.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "order/approval.h"
#include "order/hold_rule.h"

PG_FUNCTION_INFO_V1(oms_approve_order);
PG_FUNCTION_INFO_V1(oms_reject_order);

enum
{
	ST_WITHDRAW,
	ST_ASK,
	ST_AUTOMATIC,
	ST_NEXT,
	ST_DECIDE
};

static OmsStatement statements[] = {
	/* What is not needed any more, or was asked for another total. */
	[ST_WITHDRAW] = {
		"UPDATE oms.order_approval a SET state = 'withdrawn', decided_at = $3, decided_by = $4, decided_role = $5, "
		"reason = coalesce(a.reason, 'the order changed') "
		"WHERE a.merchant_id = $1 AND a.order_id = $2 AND a.state IN ('open', 'rejected') AND NOT EXISTS ("
		" SELECT 1 FROM oms.approval_need n WHERE n.merchant_id = $1 AND n.order_id = $2 AND n.level = a.level AND n.total = a.total)",
		5, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_ASK] = {
		"INSERT INTO oms.order_approval (merchant_id, level, order_id, asked_at, total, margin) "
		"SELECT $1, n.level, $2, $3, n.total, n.margin FROM oms.approval_need n "
		"WHERE n.merchant_id = $1 AND n.order_id = $2 AND NOT EXISTS (SELECT 1 FROM oms.order_approval a "
		" WHERE a.merchant_id = $1 AND a.order_id = $2 AND a.level = n.level AND a.state IN ('open', 'rejected')) ORDER BY n.level",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	/* All that wait, or none: funds cover the total, nothing else holds it, never approved before. */
	[ST_AUTOMATIC] = {
		"UPDATE oms.order_approval a SET state = 'approved', decided_at = $3, decided_by = 'automatic', decided_role = $4, "
		"reason = 'funds cover the total' FROM oms.sales_order o WHERE a.merchant_id = $1 AND a.order_id = $2 AND a.state = 'open' "
		"AND o.merchant_id = $1 AND o.order_id = $2 AND o.payment_state IN ('authorized', 'paid', 'overpaid') "
		"AND NOT EXISTS (SELECT 1 FROM oms.order_hold h WHERE h.merchant_id = $1 AND h.order_id = $2 "
		" AND h.released_at IS NULL AND h.kind <> 'approval') "
		"AND NOT EXISTS (SELECT 1 FROM oms.order_approval x LEFT JOIN oms.approval_level l ON l.merchant_id = $1 AND l.level = x.level "
		" WHERE x.merchant_id = $1 AND x.order_id = $2 "
		" AND (x.state IN ('approved', 'rejected') OR (x.state = 'open' AND l.automatic IS NOT TRUE))) RETURNING a.level, a.approval_id",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_NEXT] = {
		"SELECT a.approval_id, a.level, a.state, l.role_name, coalesce(l.name, 'level ' || a.level), count(*) OVER () "
		"FROM oms.order_approval a LEFT JOIN oms.approval_level l ON l.merchant_id = $1 AND l.level = a.level "
		"WHERE a.merchant_id = $1 AND a.order_id = $2 AND a.state IN ('open', 'rejected') ORDER BY a.level LIMIT 1",
		2, {INT4OID, INT8OID}
	},
	[ST_DECIDE] = {
		"UPDATE oms.order_approval a SET state = $4, decided_at = $5, decided_by = $6, decided_role = $7, reason = $8, "
		"margin = (SELECT n.margin FROM oms.approval_need n WHERE n.merchant_id = $1 AND n.order_id = $2 AND n.level = a.level) "
		"WHERE a.merchant_id = $1 AND a.order_id = $2 AND a.approval_id = $3",
		8, {INT4OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID}
	},
};

/* What waits first. */
typedef struct Next
{
	int64		approval_id;
	int32		level;
	bool		rejected;
	char	   *role;			/* null: any */
	char	   *name;
	int64		waiting;		/* levels that wait */
} Next;

static bool
next_level(const OmsOrderHead *head, Next *next)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};

	if (oms_run(&statements[ST_NEXT], values, NULL) == 0)
		return false;
	next->approval_id = oms_get_int64(0, 1);
	next->level = oms_get_int32(0, 2);
	next->rejected = strcmp(oms_get_text(0, 3), "rejected") == 0;
	next->role = oms_is_null(0, 4) ? NULL : oms_get_text(0, 4);
	next->name = oms_get_text(0, 5);
	next->waiting = oms_get_int64(0, 6);
	return true;
}

static void
announce(const OmsOrderHead *head, const char *type, int32 level, int64 approval_id, const char *actor, const char *reason)
{
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "level", level);
	oms_json_add_int(&json, "approval", approval_id);
	oms_json_add_text(&json, "role", oms_calling_role());
	oms_json_add_scaled(&json, "total", head->total, head->exponent);
	oms_event_of_order(head->merchant, head->order_id, type, actor, reason, oms_json_end(&json));
}

bool
oms_approval_check(const OmsOrderHead *head, const char *actor, bool settled)
{
	Datum		values[5];
	uint64		automatic = 0;
	Next		next;

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = TimestampTzGetDatum(oms_now());
	values[3] = CStringGetTextDatum(actor);
	values[4] = CStringGetTextDatum(oms_calling_role());
	if (settled)
		oms_run_guarded(&statements[ST_WITHDRAW], values, NULL);
	oms_run_guarded(&statements[ST_ASK], values, NULL);
	values[3] = values[4];
	if (settled)
		automatic = oms_run_guarded(&statements[ST_AUTOMATIC], values, NULL);
	if (automatic > 0)
	{
		SPITupleTable *approved = SPI_tuptable;
		bool		isnull;
		uint64		i;

		for (i = 0; i < automatic; i++)
			announce(head, "order.approved", DatumGetInt32(SPI_getbinval(approved->vals[i], approved->tupdesc, 1, &isnull)),
					 DatumGetInt64(SPI_getbinval(approved->vals[i], approved->tupdesc, 2, &isnull)), "automatic", "funds cover the total");
	}
	if (!next_level(head, &next))
		return settled && oms_order_release(head, "approval", actor, "approved, or not needed any more");
	(void) oms_order_hold(head, "approval", psprintf("%s has to approve", next.name), actor);
	return false;
}

void
oms_approval_require_none(const OmsOrderHead *head)
{
	Next		next;

	if (next_level(head, &next))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is not approved", head->order_id),
				 errdetail("\"%s\" (level %d) %s.", next.name, next.level, next.rejected ? "rejected it" : "has to decide"),
				 errhint(next.rejected ? "Edit it, which asks anew, or cancel it." : "Its hold goes with approve_order().")));
}

/*
 * Opens a decision: locks the order, brings what it asks for up to date, and
 * finds what is next.  Raises OM008 when that is not the level given, 42501
 * when the caller may not.
 */
static void
open_decision(FunctionCallInfo fcinfo, const OmsCall *call, int64 order_id, OmsOrderHead *head, Next *next)
{
	oms_order_lock(call->merchant, order_id, head);
	if (strcmp(head->lifecycle, "cancelled") == 0 ||
		(oms_approval_check(head, call->actor, true), !next_level(head, next)))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " waits for no approval", order_id),
				 errhint("What waits is in view approval_queue.")));
	if (next->rejected)
		oms_approval_require_none(head);
	if (!PG_ARGISNULL(2) && PG_GETARG_INT32(2) != next->level)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("level %d of order " INT64_FORMAT " is not next", PG_GETARG_INT32(2), order_id),
				 errdetail("Level %d, \"%s\", is.", next->level, next->name),
				 errhint("Levels are decided in their order.")));
	if (next->role != NULL && !oms_caller_has(next->role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not decide level %d of order " INT64_FORMAT, oms_calling_role(), next->level, order_id),
				 errdetail("Members of role \"%s\" may.", next->role),
				 errhint("Ask one of them, or have the role granted.")));
}

static void
decide(const OmsCall *call, const OmsOrderHead *head, const Next *next, const char *state)
{
	Datum		values[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = Int64GetDatum(next->approval_id);
	values[3] = CStringGetTextDatum(state);
	values[4] = TimestampTzGetDatum(oms_now());
	values[5] = CStringGetTextDatum(call->actor);
	values[6] = CStringGetTextDatum(oms_calling_role());
	if (call->reason != NULL)
		values[7] = CStringGetTextDatum(call->reason);
	else
		nulls[7] = 'n';
	oms_run_guarded(&statements[ST_DECIDE], values, nulls);
	announce(head, psprintf("order.%s", state), next->level, next->approval_id, call->actor, call->reason);
}

/* SQL: approve_order(merchant, order_id, level, request_key, actor, reason) */
Datum
oms_approve_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	int64		waiting;

	if (!oms_call_repeated(fcinfo, "approve_order", 3, &call, &waiting))
	{
		OmsOrderHead head;
		Next		next;

		open_decision(fcinfo, &call, order_id, &head, &next);
		decide(&call, &head, &next, "approved");
		waiting = next.waiting - 1;
		if (oms_approval_check(&head, call.actor, true))
			oms_order_confirm_if_free(call.merchant, order_id, call.actor);
		oms_call_done(&call, waiting);
	}
	PG_RETURN_INT32((int32) waiting);
}

/* SQL: reject_order(merchant, order_id, level, request_key, actor, reason) */
Datum
oms_reject_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	int64		level;

	oms_arg_require(fcinfo, 5, "reason");
	if (!oms_call_repeated(fcinfo, "reject_order", 3, &call, &level))
	{
		OmsOrderHead head;
		Next		next;

		open_decision(fcinfo, &call, order_id, &head, &next);
		decide(&call, &head, &next, "rejected");
		level = next.level;
		oms_call_done(&call, level);
	}
	PG_RETURN_INT32((int32) level);
}
