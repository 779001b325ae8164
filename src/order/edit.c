/*-------------------------------------------------------------------------
 * edit.c
 *	  Edits of placed orders: one open change set an order, previewed,
 *	  confirmed or declined.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/jsonb.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "core/cache.h"
#include "core/config.h"
#include "core/find.h"
#include "core/json.h"
#include "core/request.h"
#include "core/rows.h"
#include "event/event.h"
#include "order/columns.h"
#include "order/edit.h"
#include "order/hold_rule.h"
#include "payment/credit_limit.h"
#include "payment/payment.h"

PG_FUNCTION_INFO_V1(oms_edit_order);
PG_FUNCTION_INFO_V1(oms_preview_edit);
PG_FUNCTION_INFO_V1(oms_confirm_edit);
PG_FUNCTION_INFO_V1(oms_decline_edit);

/* The kind of the hold that stands while an edit is open, where the setting asks for it. */
#define EDIT_HOLD "edit"

/* Columns of order_edit, in the order of sql/schema/43_edit.sql. */
enum
{
	EDIT_MERCHANT = 1, EDIT_ORDER, EDIT_ID, EDIT_STATE, EDIT_DISCOUNT_POLICY, EDIT_CHANGES, EDIT_OPENED_AT, EDIT_EXPIRES_AT,
	EDIT_OPENED_BY, EDIT_REASON, EDIT_CLOSED_AT, EDIT_CLOSED_BY, EDIT_CLOSE_REASON, EDIT_REVISION, EDIT_TOTAL_BEFORE,
	EDIT_TOTAL_AFTER, EDIT_GIVEN_BACK, EDIT_TO_PAY
};

#define OPEN_COLUMNS \
	"merchant_id, order_id, edit_id, state, discount_policy, changes, opened_at, expires_at, opened_by, reason"

static OmsTarget target = {"order_edit", OPEN_COLUMNS};

static OmsStatement insert_open = {"INSERT INTO oms.order_edit (" OPEN_COLUMNS ") SELECT " OPEN_COLUMNS " FROM unnest($1)", 1, {0}};

static OmsKeyed find_open = {
	{"SELECT * FROM oms.order_edit WHERE merchant_id = $1 AND order_id = $2 AND state = 'open'", 2, {INT4OID, INT8OID}},
	.table = "order_edit", .index = "order_edit_open"
};

static OmsKeyed close_edit = {
	{
		"UPDATE oms.order_edit SET state = $4, closed_at = $5, closed_by = $6, close_reason = $7 "
		"WHERE merchant_id = $1 AND order_id = $2 AND edit_id = $3",
		7, {INT4OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	.table = "order_edit", .guarded = true, .columns = {EDIT_STATE, EDIT_CLOSED_AT, EDIT_CLOSED_BY, EDIT_CLOSE_REASON}
};

static OmsKeyed confirm_edit = {
	{
		"UPDATE oms.order_edit SET state = $4, closed_at = $5, closed_by = $6, close_reason = $7, total_before = $8, "
		"total_after = $9, given_back = $10, to_pay = $11, revision = $12 WHERE merchant_id = $1 AND order_id = $2 AND edit_id = $3",
		12, {INT4OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, INT4OID}
	},
	.table = "order_edit", .guarded = true,
	.columns = {EDIT_STATE, EDIT_CLOSED_AT, EDIT_CLOSED_BY, EDIT_CLOSE_REASON, EDIT_TOTAL_BEFORE, EDIT_TOTAL_AFTER, EDIT_GIVEN_BACK,
	EDIT_TO_PAY, EDIT_REVISION}
};

/* An open change set. */
typedef struct OpenEdit
{
	int64		edit_id;
	Datum		changes;
	bool		keep_discount;
	const char *reason;			/* null: none */
} OpenEdit;

/* Refuses (OM008) to edit what is closed. */
static void
require_open(const OmsOrderHead *head)
{
	if (strcmp(head->lifecycle, "cancelled") == 0 || strcmp(head->lifecycle, "completed") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is %s", head->order_id, head->lifecycle),
				 errdetail("Editing needs an order that is placed or confirmed."),
				 errhint("Place a new order, or give money back with refund().")));
}

/* The event of a set that opens or closes without changing anything. */
static void
announce(const OmsOrderHead *head, const char *type, int64 edit_id)
{
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "edit", edit_id);
	oms_event_of_order(head->merchant, head->order_id, type, NULL, NULL, oms_json_end(&json));
}

/* Ends the hold of a set that is closed; the order goes on where that was all it waited for. */
static void
release_hold(const OmsOrderHead *head, const char *actor, const char *reason)
{
	if (head->on_hold && oms_order_release(head, EDIT_HOLD, actor, reason))
		oms_order_confirm_if_free(head->merchant, head->order_id, actor);
}

/* What closes a set, as parameters of close_edit and confirm_edit. */
static void
set_closed(Datum *values, char *nulls, const OmsOrderHead *head, int64 edit_id, const char *state, const char *actor, const char *reason)
{
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = Int64GetDatum(edit_id);
	values[3] = CStringGetTextDatum(state);
	values[4] = TimestampTzGetDatum(oms_now());
	values[5] = CStringGetTextDatum(actor);
	values[6] = reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason);
	nulls[6] = reason == NULL ? 'n' : ' ';
}

/* Closes a set whose time is over, so that another can open; returns it, 0 when there is none.  *open is one still open. */
static int64
expire(const OmsOrderHead *head, int64 *open)
{
	Datum		values[7] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	char		nulls[7 + 1] = "       ";
	int64		edit_id;

	*open = 0;
	if (oms_keyed_read(&find_open, values) == 0)
		return 0;
	edit_id = oms_get_int64(0, EDIT_ID);
	if (oms_get_int64(0, EDIT_EXPIRES_AT) > oms_now())
	{
		*open = edit_id;
		return 0;
	}
	set_closed(values, nulls, head, edit_id, "expired", "oms", NULL);
	oms_keyed_update(&close_edit, values, nulls);
	announce(head, "order.edit_expired", edit_id);
	release_hold(head, "oms", "the edit has expired");
	return edit_id;
}

/* Reads the order's open set; OM002 when there is none, OM008 when its time is over. */
static void
read_open(const OmsOrderHead *head, OpenEdit *open)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	bool		isnull;

	if (oms_keyed_read(&find_open, values) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("order " INT64_FORMAT " has no open edit", head->order_id),
				 errhint("Open one with edit_order().")));
	open->edit_id = oms_get_int64(0, EDIT_ID);
	open->changes = PointerGetDatum(DatumGetJsonbPCopy(oms_get(0, EDIT_CHANGES, &isnull)));
	open->keep_discount = strcmp(oms_get_text(0, EDIT_DISCOUNT_POLICY), "keep") == 0;
	open->reason = oms_get_text(0, EDIT_REASON);
	if (oms_get_int64(0, EDIT_EXPIRES_AT) <= oms_now())
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("edit " INT64_FORMAT " of order " INT64_FORMAT " has expired", open->edit_id, head->order_id),
				 errhint("Open another one with edit_order().")));
}

/* Whether discounts stay as amounts: argument n, else the channel's setting; OM011. */
static bool
keeps_discount(FunctionCallInfo fcinfo, int n, const OmsOrderHead *head)
{
	const char *policy = oms_arg_text_or_null(fcinfo, n, "discount_policy", OMS_KEY_LENGTH);

	if (policy == NULL)
		policy = oms_setting(head->merchant, head->channel, "edit_discount");
	if (strcmp(policy, "keep") != 0 && strcmp(policy, "rate") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"discount_policy\" cannot be \"%s\"", policy),
				 errdetail("Allowed: keep, rate.")));
	return strcmp(policy, "keep") == 0;
}

static int64
next_edit_id(void)
{
	static OmsCache cache = {
		.name = "edit numbers",
		.tables = {"order_edit_edit_id_seq"},
	};

	return oms_cache_nextval(&cache);
}

/* When a set opened now can no longer be confirmed, unless that is said. */
static Datum
default_expiry(const OmsOrderHead *head, TimestampTz now)
{
	Datum		interval = DirectFunctionCall3(interval_in, CStringGetDatum(oms_setting(head->merchant, head->channel, "edit_expiry")),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), interval);
}

/* SQL: edit_order(merchant, order_id, changes, discount_policy, expires_at, request_key, actor, reason) */
Datum
oms_edit_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	int64		edit_id;

	oms_arg_require(fcinfo, 2, "changes");
	if (!oms_call_repeated(fcinfo, "edit_order", 5, &call, &edit_id))
	{
		TimestampTz now = oms_now();
		OmsRows    *rows;
		int64		open;
		bool		keep;

		oms_order_lock(call.merchant, order_id, &head);
		require_open(&head);
		(void) expire(&head, &open);
		oms_order_require_no_hold(&head, "edit");
		if (open != 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("order " INT64_FORMAT " has an open edit", order_id),
					 errdetail("Edit " INT64_FORMAT ".", open),
					 errhint("Confirm it with confirm_edit(), or decline it with decline_edit().")));
		if (!PG_ARGISNULL(4) && PG_GETARG_TIMESTAMPTZ(4) <= now)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"expires_at\" is not in the future")));
		keep = keeps_discount(fcinfo, 3, &head);
		/* What can never be confirmed is refused at once. */
		(void) oms_edit_plan(&head, PG_GETARG_DATUM(2), keep, call.reason);
		edit_id = next_edit_id();
		rows = oms_rows_for(&target);
		oms_rows_set(rows, EDIT_MERCHANT, Int32GetDatum(call.merchant));
		oms_rows_set(rows, EDIT_ORDER, Int64GetDatum(order_id));
		oms_rows_set(rows, EDIT_ID, Int64GetDatum(edit_id));
		oms_rows_set_text(rows, EDIT_STATE, "open");
		oms_rows_set_text(rows, EDIT_DISCOUNT_POLICY, keep ? "keep" : "rate");
		oms_rows_set(rows, EDIT_CHANGES, PG_GETARG_DATUM(2));
		oms_rows_set(rows, EDIT_OPENED_AT, TimestampTzGetDatum(now));
		oms_rows_set(rows, EDIT_EXPIRES_AT, PG_ARGISNULL(4) ? default_expiry(&head, now) : PG_GETARG_DATUM(4));
		oms_rows_set_text(rows, EDIT_OPENED_BY, call.actor);
		oms_rows_set_text(rows, EDIT_REASON, call.reason);
		oms_rows_add(rows);
		oms_rows_insert(&insert_open, &rows, 1);
		announce(&head, "order.edit_opened", edit_id);
		if (strcmp(oms_setting(call.merchant, head.channel, "edit_hold"), "on") == 0)
			(void) oms_order_hold(&head, EDIT_HOLD, "an edit is open", call.actor);
		oms_call_done(&call, edit_id);
	}
	PG_RETURN_INT64(edit_id);
}

/*
 * What the open set would do: admitted in a savepoint that is rolled back, so
 * that the gate and its reserves are as they were.
 */
static OmsEditChange *
try_changes(const OmsOrderHead *head, int *n)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	OmsEditChange *volatile changes = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		OpenEdit	open;
		OmsEdit    *edit;

		read_open(head, &open);
		edit = oms_edit_plan(head, open.changes, open.keep_discount, open.reason);
		oms_edit_admit(edit);
		changes = oms_edit_changes(edit, n);
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	return changes;
}

/* SQL: preview_edit(merchant, order_id) -> object, field, before, after */
Datum
oms_preview_edit(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsOrderHead head;
	OmsEditChange *changes;
	int			n = 0;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	oms_order_lock(merchant, order_id, &head);
	require_open(&head);
	oms_order_require_no_hold(&head, "edit");
	changes = try_changes(&head, &n);
	for (i = 0; i < n; i++)
	{
		Datum		values[4];
		bool		nulls[4] = {false, false, changes[i].was == NULL, changes[i].now == NULL};

		values[0] = CStringGetTextDatum(changes[i].object);
		values[1] = CStringGetTextDatum(changes[i].field);
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(changes[i].was);
		values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(changes[i].now);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	oms_end();
	return (Datum) 0;
}

/* The differences as elements of the event's data. */
static void
add_changes(OmsJson *json, const OmsEdit *edit)
{
	int			n;
	OmsEditChange *changes = oms_edit_changes(edit, &n);
	Datum	   *elements = palloc((n + 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < n; i++)
	{
		OmsJson		element;

		oms_json_begin(&element);
		oms_json_add_text(&element, "object", changes[i].object);
		oms_json_add_text(&element, "field", changes[i].field);
		oms_json_add_text(&element, "before", changes[i].was);
		oms_json_add_text(&element, "after", changes[i].now);
		elements[i] = oms_json_end(&element);
	}
	oms_json_add_array(json, "changes", elements, n);
}

/*
 * Money after the rows: what the order owes less is voided or refunded; what
 * it owes more is said, and charged by nobody here.  Closes the set.
 */
static void
settle(const OmsCall *call, const OmsEdit *edit, const OpenEdit *open)
{
	int			exponent = edit->head->exponent;
	OmsOrderHead after;
	Datum		values[12];
	char		nulls[12 + 1] = "            ";
	OmsJson		json;
	int64		less;
	int64		given = 0;
	int64		to_pay;

	oms_order_lock(call->merchant, edit->head->order_id, &after);
	less = (edit->was.total - edit->head->cancelled_total) - (after.total - after.cancelled_total);
	if (less > 0)
		given = oms_payment_less_owed(&after, less,
									  (edit->was.tax - edit->was.cancelled_tax) - (edit->now.tax - edit->now.cancelled_tax),
									  "edit", open->edit_id, call->actor, call->reason);
	to_pay = oms_payment_to_pay(&after);
	set_closed(values, nulls, &after, open->edit_id, "confirmed", call->actor, call->reason);
	values[7] = oms_scaled_to_numeric(edit->was.total - edit->head->cancelled_total, exponent);
	values[8] = oms_scaled_to_numeric(after.total - after.cancelled_total, exponent);
	values[9] = oms_scaled_to_numeric(given, exponent);
	values[10] = oms_scaled_to_numeric(to_pay, exponent);
	oms_order_read(OMS_ORDER_ROW, call->merchant, after.order_id);
	values[11] = Int32GetDatum(oms_get_int32(0, ORDER_REVISION));
	oms_keyed_update(&confirm_edit, values, nulls);

	oms_json_begin(&json);
	oms_json_add_int(&json, "edit", open->edit_id);
	oms_json_add_text(&json, "discount_policy", open->keep_discount ? "keep" : "rate");
	add_changes(&json, edit);
	if (given > 0)
		oms_json_add_scaled(&json, "given_back", given, exponent);
	if (to_pay > 0)
		oms_json_add_scaled(&json, "to_pay", to_pay, exponent);
	oms_event_of_order(after.merchant, after.order_id, "order.edited", NULL, NULL, oms_json_end(&json));
	if (less < 0)
		(void) oms_credit_recheck(&after, call->actor);
}

/* SQL: confirm_edit(merchant, order_id, request_key, actor, reason) */
Datum
oms_confirm_edit(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "confirm_edit", 2, &call, &result))
	{
		OmsOrderHead head;
		OpenEdit	open;
		OmsEdit    *edit;

		oms_order_lock(call.merchant, order_id, &head);
		require_open(&head);
		oms_order_require_no_hold(&head, "edit");
		read_open(&head, &open);
		edit = oms_edit_plan(&head, open.changes, open.keep_discount, open.reason);
		oms_edit_admit(edit);
		oms_edit_apply(edit);
		settle(&call, edit, &open);
		if (oms_orders_are_judged(call.merchant))
			(void) oms_order_judge(call.merchant, order_id, call.actor);
		result = open.edit_id;
		release_hold(&head, call.actor, "the edit is confirmed");
		oms_backorder_fill_freed(&edit->freed);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/* Closes the open set as declined; returns it. */
static int64
decline(const OmsOrderHead *head, const OmsCall *call)
{
	OpenEdit	open;
	Datum		values[7];
	char		nulls[7 + 1] = "       ";

	read_open(head, &open);
	set_closed(values, nulls, head, open.edit_id, "declined", call->actor, call->reason);
	oms_keyed_update(&close_edit, values, nulls);
	announce(head, "order.edit_declined", open.edit_id);
	release_hold(head, call->actor, "the edit is declined");
	return open.edit_id;
}

/* SQL: decline_edit(merchant, order_id, request_key, actor, reason) */
Datum
oms_decline_edit(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	int64		open;
	int64		result;

	if (!oms_call_repeated(fcinfo, "decline_edit", 2, &call, &result))
	{
		oms_order_lock(call.merchant, order_id, &head);
		result = expire(&head, &open);
		if (result == 0)
			result = decline(&head, &call);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
