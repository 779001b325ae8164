/*-------------------------------------------------------------------------
 * order.c
 *	  Locking and reading an order, and its holds.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"
#include "utils/snapmgr.h"

#include "core/cache.h"
#include "core/config.h"
#include "core/find.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "event/event.h"
#include "order/approval.h"
#include "order/columns.h"
#include "order/expire.h"
#include "order/hold_rule.h"
#include "order/order.h"
#include "order/workflow.h"
#include "payment/condition.h"

PG_FUNCTION_INFO_V1(oms_caller_has_role);
PG_FUNCTION_INFO_V1(oms_hold);
PG_FUNCTION_INFO_V1(oms_release_hold);
PG_FUNCTION_INFO_V1(oms_transition);

enum
{
	ST_EVENTS,
	ST_BLOCKING_HOLD,
	ST_OPEN_HOLD,
	ST_HOLD,
	ST_RELEASE_RIGHT,
	ST_RELEASE
};

static OmsStatement statements[] = {
	[ST_EVENTS] = {"SELECT count(*) FROM oms.event WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}},
	[ST_BLOCKING_HOLD] = {
		"SELECT kind, coalesce(reason, 'no reason given'), placed_by FROM oms.order_hold "
		"WHERE merchant_id = $1 AND order_id = $2 AND released_at IS NULL AND blocks @> ARRAY[$3] "
		/* That of an edit ends with it, by time alone too. */
		"AND NOT (kind = 'edit' AND EXISTS (SELECT FROM oms.order_edit e WHERE e.merchant_id = $1 AND e.order_id = $2 "
		"AND e.state = 'open' AND e.expires_at <= $4)) "
		"ORDER BY hold_id LIMIT 1",
		4, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID}
	},
	[ST_OPEN_HOLD] = {
		"SELECT hold_id FROM oms.order_hold WHERE merchant_id = $1 AND order_id = $2 AND kind = $3 AND released_at IS NULL",
		3, {INT4OID, INT8OID, TEXTOID}
	},
	[ST_HOLD] = {
		"INSERT INTO oms.order_hold (merchant_id, order_id, kind, reason, blocks, placed_at, placed_by) "
		"VALUES ($1, $2, $3, $4, coalesce($5, (SELECT t.blocks FROM oms.hold_type t WHERE t.merchant_id = $1 AND t.kind = $3), "
		"'{confirm,pick,ship,capture}'), $6, $7) RETURNING hold_id",
		7, {INT4OID, INT8OID, TEXTOID, TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_RELEASE_RIGHT] = {
		"SELECT release_role, reason_required FROM oms.hold_type WHERE merchant_id = $1 AND kind = $2",
		2, {INT4OID, TEXTOID}
	},
	[ST_RELEASE] = {
		"UPDATE oms.order_hold SET released_at = $4, released_by = $5, released_role = $6, release_reason = $7 "
		"WHERE merchant_id = $1 AND order_id = $2 AND kind = $3 AND released_at IS NULL RETURNING hold_id",
		7, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID}
	},
};

static OmsKeyed lock = {
	{"SELECT * FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2 FOR NO KEY UPDATE", 2, {INT4OID, INT8OID}},
	.table = "sales_order",
};
static OmsKeyed move = {
	{"UPDATE oms.sales_order SET lifecycle = $3 WHERE merchant_id = $1 AND order_id = $2", 3, {INT4OID, INT8OID, TEXTOID}},
	.table = "sales_order", .columns = {ORDER_LIFECYCLE},
};
static OmsKeyed move_state = {
	{"UPDATE oms.sales_order SET state = $3 WHERE merchant_id = $1 AND order_id = $2", 3, {INT4OID, INT8OID, TEXTOID}},
	.table = "sales_order", .columns = {ORDER_STATE},
};

static OmsKeyed rows[] = {
	[OMS_ORDER_ROW] = {
		{"SELECT * FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}}, .table = "sales_order"
	},
	[OMS_ORDER_LINES] = {
		{"SELECT * FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2 ORDER BY line_no", 2, {INT4OID, INT8OID}},
		.table = "order_line"
	},
	[OMS_ORDER_CHARGES] = {
		{"SELECT * FROM oms.order_charge WHERE merchant_id = $1 AND order_id = $2 ORDER BY charge_no", 2, {INT4OID, INT8OID}},
		.table = "order_charge"
	},
	[OMS_ORDER_HOLDS] = {
		{"SELECT * FROM oms.order_hold WHERE merchant_id = $1 AND order_id = $2 ORDER BY hold_id", 2, {INT4OID, INT8OID}},
		.table = "order_hold"
	},
};

uint64
oms_order_read(OmsOrderTable table, int32 merchant, int64 order_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};

	return oms_keyed_read(&rows[table], values);
}

/*
 * Whoever had the lock until now may have written rows beside the order's own,
 * which the snapshot of a REPEATABLE READ transaction does not show and no
 * update of ours would meet.  Each command tells its order's events: raises
 * 40001 when there are others than those the snapshot has.
 */
static void
require_current_snapshot(Datum *values)
{
	int64		events;

	oms_run(&statements[ST_EVENTS], values, NULL);
	events = oms_get_int64(0, 1);
	oms_run_latest(&statements[ST_EVENTS], values, NULL);
	if (oms_get_int64(0, 1) != events)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to a concurrent command on the order"),
				 errdetail("Another transaction did something to order " INT64_FORMAT " after this one began.", DatumGetInt64(values[1])),
				 errhint("Try the transaction again.")));
}

void
oms_order_lock(int32 merchant, int64 order_id, OmsOrderHead *head)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	bool		isnull;

	if (oms_keyed_lock(&lock, values) == 0)
		oms_error_unknown("order", merchant, order_id);
	memset(head, 0, sizeof(*head));
	head->merchant = merchant;
	head->order_id = order_id;
	head->channel = oms_get_int32(0, ORDER_CHANNEL);
	head->customer_id = oms_get_int64(0, ORDER_CUSTOMER);
	strlcpy(head->currency, oms_get_text(0, ORDER_CURRENCY), sizeof(head->currency));
	head->tax_included = oms_get_bool(0, ORDER_TAX_INCLUDED);
	head->on_hold = oms_get_bool(0, ORDER_ON_HOLD);
	strlcpy(head->lifecycle, oms_get_text(0, ORDER_LIFECYCLE), sizeof(head->lifecycle));
	strlcpy(head->payment_state, oms_get_text(0, ORDER_PAYMENT), sizeof(head->payment_state));
	strlcpy(head->fulfilment_state, oms_get_text(0, ORDER_FULFILMENT), sizeof(head->fulfilment_state));
	strlcpy(head->return_state, oms_get_text(0, ORDER_RETURN), sizeof(head->return_state));
	head->workflow = oms_get_int32(0, ORDER_WORKFLOW);
	head->state = oms_get_text(0, ORDER_STATE);
	/* Amounts before the exponent's look-up, which may run a query of its own. */
	{
		Datum		total = oms_get(0, ORDER_TOTAL, &isnull);
		Datum		shipping = oms_get(0, ORDER_SHIPPING, &isnull);
		Datum		cancelled = oms_get(0, ORDER_CANCELLED_TOTAL, &isnull);

		head->exponent = oms_currency_exponent(head->currency);
		head->total = oms_numeric_to_scaled(total, head->exponent, "total");
		head->shipping = oms_numeric_to_scaled(shipping, head->exponent, "shipping");
		head->cancelled_total = oms_numeric_to_scaled(cancelled, head->exponent, "cancelled_total");
	}
	if (IsolationUsesXactSnapshot())
		require_current_snapshot(values);
}

static uint64
blocking_hold(const OmsOrderHead *head, const char *step)
{
	Datum		values[4];

	if (!head->on_hold)
		return 0;
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = CStringGetTextDatum(step);
	values[3] = TimestampTzGetDatum(oms_now());
	return oms_run(&statements[ST_BLOCKING_HOLD], values, NULL);
}

bool
oms_order_is_held(const OmsOrderHead *head, const char *step)
{
	return blocking_hold(head, step) > 0;
}

void
oms_order_require_no_hold(const OmsOrderHead *head, const char *step)
{
	if (blocking_hold(head, step) > 0)
		ereport(ERROR,
				(errcode(OMS_ON_HOLD),
				 errmsg("order " INT64_FORMAT " has a hold of kind \"%s\" that blocks step \"%s\"",
						head->order_id, oms_get_text(0, 1), step),
				 errdetail("Placed by %s: %s.", oms_get_text(0, 3), oms_get_text(0, 2)),
				 errhint("Release it with release_hold() once its reason is gone.")));
	if (strcmp(step, "pick") == 0 || strcmp(step, "ship") == 0)
		oms_payment_require(head->merchant, head->order_id, step);
}

void
oms_order_require_live(const OmsOrderHead *head, const char *doing)
{
	if (strcmp(head->lifecycle, "confirmed") != 0 && strcmp(head->lifecycle, "completed") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is %s", head->order_id, head->lifecycle),
				 errdetail("%s needs a confirmed order.", doing),
				 errhint(strcmp(head->lifecycle, "placed") == 0 ? "Confirm it with transition()." :
						 "A cancelled order stays cancelled; place a new one.")));
	oms_order_require_unexpired(head, doing);
}

int64
oms_next_order_id(void)
{
	static OmsCache cache = {
		.name = "order numbers",
		.tables = {"order_id_seq"},
	};

	return oms_cache_nextval(&cache);
}

static int64
place_hold(const OmsOrderHead *head, const char *kind, const char *reason, Datum blocks, const char *actor)
{
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', ' '};
	OmsJson		json;
	int64		hold_id;

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = CStringGetTextDatum(kind);
	if (oms_run(&statements[ST_OPEN_HOLD], values, NULL) > 0)
		return oms_get_int64(0, 1);
	if (reason != NULL)
		values[3] = CStringGetTextDatum(reason);
	else
		nulls[3] = 'n';
	values[4] = blocks;
	if (blocks == (Datum) 0)
		nulls[4] = 'n';
	values[5] = TimestampTzGetDatum(oms_now());
	values[6] = CStringGetTextDatum(actor);
	oms_run_guarded(&statements[ST_HOLD], values, nulls);
	hold_id = oms_get_int64(0, 1);

	oms_json_begin(&json);
	oms_json_add_text(&json, "kind", kind);
	oms_json_add_int(&json, "hold", hold_id);
	oms_event_of_order(head->merchant, head->order_id, "order.held", actor, reason, oms_json_end(&json));
	return hold_id;
}

int64
oms_order_hold_steps(const OmsOrderHead *head, const char *kind, const char *reason, Datum blocks, const char *actor)
{
	return place_hold(head, kind, reason, blocks, actor);
}

int64
oms_order_hold(const OmsOrderHead *head, const char *kind, const char *reason, const char *actor)
{
	return place_hold(head, kind, reason, (Datum) 0, actor);
}

/* Releases the open hold of a kind; false when there is none. */
bool
oms_order_release(const OmsOrderHead *head, const char *kind, const char *actor, const char *reason)
{
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', ' '};
	OmsJson		json;

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = CStringGetTextDatum(kind);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = CStringGetTextDatum(actor);
	values[5] = CStringGetTextDatum(oms_calling_role());
	if (reason != NULL)
		values[6] = CStringGetTextDatum(reason);
	else
		nulls[6] = 'n';
	if (oms_run_guarded(&statements[ST_RELEASE], values, nulls) == 0)
		return false;
	oms_json_begin(&json);
	oms_json_add_text(&json, "kind", kind);
	oms_json_add_int(&json, "hold", oms_get_int64(0, 1));
	oms_json_add_text(&json, "role", oms_calling_role());
	oms_event_of_order(head->merchant, head->order_id, "order.released", actor, reason, oms_json_end(&json));
	return true;
}

/* The steps to block, from an argument: known ones, at least one (OM011); 0 when null. */
static Datum
blocks_argument(FunctionCallInfo fcinfo, int n)
{
	static const char *const steps[] = {"confirm", "pick", "ship", "capture", "refund", "cancel", "edit"};
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	bool		good;
	int			count;
	int			i;

	if (PG_ARGISNULL(n))
		return (Datum) 0;
	array = PG_GETARG_ARRAYTYPE_P(n);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	good = ARR_NDIM(array) == 1 && count > 0;
	for (i = 0; good && i < count; i++)
	{
		const char *step = nulls[i] ? "" : TextDatumGetCString(values[i]);
		int			known = 0;

		while (known < lengthof(steps) && strcmp(step, steps[known]) != 0)
			known++;
		good = known < lengthof(steps);
	}
	if (!good)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"blocks\" has no steps, or unknown ones"),
				 errdetail("The steps are confirm, pick, ship, capture, refund, cancel and edit."),
				 errhint("Give an array of one or more of them.")));
	return PointerGetDatum(array);
}

/* SQL: hold(merchant, order_id, kind, reason, blocks, actor) */
Datum
oms_hold(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *kind = oms_arg_text(fcinfo, 2, "kind", OMS_KEY_LENGTH);
	char	   *reason = oms_arg_text_or_null(fcinfo, 3, "reason", OMS_TEXT_LENGTH);
	Datum		blocks = blocks_argument(fcinfo, 4);
	const char *actor = oms_actor(fcinfo, 5);
	OmsOrderHead head;
	int64		hold_id;

	oms_begin();
	oms_order_lock(merchant, order_id, &head);
	if (strcmp(head.lifecycle, "cancelled") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is cancelled", order_id),
				 errhint("There is nothing left to hold.")));
	hold_id = place_hold(&head, kind, reason, blocks, actor);
	oms_end();
	PG_RETURN_INT64(hold_id);
}

void
oms_order_move(const OmsOrderHead *head, const char *to, bool own, const char *actor, const char *reason, const char *correlation)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), CStringGetTextDatum(to)};

	oms_command(actor, reason, correlation);
	oms_keyed_update(own ? &move_state : &move, values, NULL);
}

/* Confirms a locked order that nothing keeps from it. */
static void
confirm_unless_held(const OmsOrderHead *head, const char *actor, const char *reason)
{
	const OmsCommand *command = oms_current_command();
	const char *why;

	if (strcmp(head->lifecycle, "placed") != 0 || oms_order_is_held(head, "confirm") || oms_order_is_overdue(head))
		return;
	if (head->workflow != 0)
	{
		const OmsWorkflow *workflow = oms_workflow(head->merchant, head->workflow);

		if (oms_workflow_choose(workflow, head->merchant, head->order_id, oms_workflow_state(workflow, head->state),
								-1, "confirmed", NULL, &why) < 0)
			return;
	}
	oms_order_move(head, "confirmed", false, actor, reason, command != NULL ? command->correlation_id : NULL);
}

/* Confirms an order that waited for nothing but its holds. */
void
oms_order_confirm_if_free(int32 merchant, int64 order_id, const char *actor)
{
	OmsOrderHead head;

	oms_order_lock(merchant, order_id, &head);
	if (strcmp(oms_setting(merchant, head.channel, "confirmation"), "auto") == 0)
		confirm_unless_held(&head, actor, "its last hold was released");
}

void
oms_order_confirm_unless_held(int32 merchant, int64 order_id, const char *actor)
{
	OmsOrderHead head;

	oms_order_lock(merchant, order_id, &head);
	confirm_unless_held(&head, actor, NULL);
}

/* Refuses the caller who may not release holds of the kind (42501), or says no reason where one is needed (OM011). */
static void
require_release_right(int32 merchant, const char *kind, const char *reason)
{
	Datum		values[2] = {Int32GetDatum(merchant), CStringGetTextDatum(kind)};

	if (oms_run(&statements[ST_RELEASE_RIGHT], values, NULL) == 0)
		return;
	if (!oms_is_null(0, 1) && !oms_caller_has(oms_get_text(0, 1)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not release holds of kind \"%s\"", oms_calling_role(), kind),
				 errdetail("Members of role \"%s\" may.", oms_get_text(0, 1)),
				 errhint("Ask one of them, or have the role granted.")));
	if (oms_get_bool(0, 2) && reason == NULL)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("releasing a hold of kind \"%s\" needs a reason", kind),
				 errhint("Give argument \"reason\".")));
}

/* SQL: release_hold(merchant, order_id, kind, actor, reason) */
Datum
oms_release_hold(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *kind = oms_arg_text(fcinfo, 2, "kind", OMS_KEY_LENGTH);
	const char *actor = oms_actor(fcinfo, 3);
	char	   *reason = oms_arg_text_or_null(fcinfo, 4, "reason", OMS_TEXT_LENGTH);
	OmsOrderHead head;
	bool		released;

	oms_begin();
	oms_order_lock(merchant, order_id, &head);
	require_release_right(merchant, kind, reason);
	if (strcmp(kind, "approval") == 0)
		oms_approval_require_none(&head);
	released = oms_order_release(&head, kind, actor, reason);
	if (strcmp(kind, OMS_PAYMENT_HOLD) == 0)
		released |= oms_payment_waive(&head, actor, reason);
	/* It may have been all that kept an approval from being automatic. */
	if (released && oms_orders_are_judged(merchant))
		(void) oms_approval_check(&head, actor, true);
	if (released)
		oms_order_confirm_if_free(merchant, order_id, actor);
	oms_end();
	PG_RETURN_BOOL(released);
}

/* SQL: caller_has_role(role_name) */
Datum
oms_caller_has_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_ARGISNULL(0) || oms_caller_has(TextDatumGetCString(PG_GETARG_DATUM(0))));
}

/*
 * SQL: transition(merchant, order_id, to_state, request_key, actor, reason).
 * With a workflow to_state is one of its states, else a lifecycle state, which
 * the first transition leads to that may be taken.
 */
Datum
oms_transition(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *to = oms_arg_text(fcinfo, 2, "to_state", OMS_KEY_LENGTH);
	OmsCall		call;
	OmsOrderHead head;
	int64		result;

	if (!oms_call_repeated(fcinfo, "transition", 3, &call, &result))
	{
		bool		own;

		oms_order_lock(call.merchant, order_id, &head);
		own = head.workflow != 0 && oms_workflow_state(oms_workflow(call.merchant, head.workflow), to) >= 0;
		if (strcmp(own ? head.state : head.lifecycle, to) != 0)
			oms_order_move(&head, to, own, call.actor, call.reason, call.key);
		oms_call_done(&call, order_id);
	}
	PG_RETURN_TEXT_P(cstring_to_text(to));
}
