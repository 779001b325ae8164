/*-------------------------------------------------------------------------
 * cancel.c
 *	  Cancelling units: promises go back, money follows.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "core/rows.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "fulfilment/promise.h"
#include "inventory/inventory.h"
#include "order/draft.h"
#include "order/order.h"
#include "payment/payment.h"

PG_FUNCTION_INFO_V1(oms_cancel_line);
PG_FUNCTION_INFO_V1(oms_cancel_order);

enum
{
	ST_LINE,
	ST_CANCEL_LINE,
	ST_CANCEL_ALL,
	ST_CANCEL_CHARGES,
	ST_RELEASE_ALL,
	ST_FIGURES,
	ST_DISCOUNT_ORDER,
	ST_DISCOUNT_LINE,
	ST_PROMISED,
	ST_CANCELLATION
};

/* Columns of order_cancellation in the order of sql/schema/44_cancel.sql. */
enum
{
	C_MERCHANT = 1, C_ORDER, C_ID, C_LINE, C_QUANTITY, C_AT, C_POLICY, C_AMOUNT, C_GIVEN_BACK, C_RESTOCK, C_REFUND, C_NOTIFY, C_ACTOR, C_REASON, C_LINES, C_QUANTITIES
};
#define CANCELLATION_COLUMNS \
	"merchant_id, order_id, line_no, quantity, cancelled_at, discount_policy, amount, given_back, restock, refund, notify, actor, reason, lines, quantities"

static OmsTarget cancellations_target = {"order_cancellation", CANCELLATION_COLUMNS};

static OmsStatement statements[] = {
	[ST_LINE] = {
		"SELECT ordered, cancelled, picked, backordered, ordered - cancelled - shipped - allocated - backordered "
		"FROM oms.order_line "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_CANCEL_LINE] = {
		"UPDATE oms.order_line SET cancelled = cancelled + $4, backordered = backordered - $5, allocated = allocated - $6 "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		6, {INT4OID, INT8OID, INT4OID, INT4OID, INT4OID, INT4OID}
	},
	[ST_CANCEL_ALL] = {
		"UPDATE oms.order_line l SET cancelled = l.ordered, backordered = 0, allocated = 0 FROM oms.order_line w "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.cancelled < l.ordered "
		"AND w.merchant_id = $1 AND w.order_id = $2 AND w.line_no = l.line_no RETURNING l.line_no, l.ordered - w.cancelled",
		2, {INT4OID, INT8OID}
	},
	/* An order of charges alone has no lines for its lifecycle to follow. */
	[ST_CANCEL_CHARGES] = {
		"UPDATE oms.sales_order SET lifecycle = 'cancelled' WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_RELEASE_ALL] = {
		"DELETE FROM oms.reservation WHERE merchant_id = $1 AND order_id = $2 RETURNING item_id, location_id", 2, {INT4OID, INT8OID}
	},
	[ST_FIGURES] = {
		"SELECT discount, tax_rate, tax, total, shipped, EXISTS (SELECT FROM oms.invoiced i "
		"WHERE i.merchant_id = $1 AND i.order_id = $2 AND i.line_no = $3) "
		"FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_DISCOUNT_ORDER] = {
		"UPDATE oms.sales_order SET discount = discount + $3, tax = tax + $4, total = total + $5 WHERE merchant_id = $1 AND order_id = $2",
		5, {INT4OID, INT8OID, NUMERICOID, NUMERICOID, NUMERICOID}
	},
	[ST_DISCOUNT_LINE] = {
		"UPDATE oms.order_line SET discount = $4, tax = $5, total = $6 WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		6, {INT4OID, INT8OID, INT4OID, NUMERICOID, NUMERICOID, NUMERICOID}
	},
	[ST_PROMISED] = {
		"SELECT item_id, location_id, sum(quantity)::bigint FROM oms.reservation WHERE merchant_id = $1 AND order_id = $2 "
		"GROUP BY 1, 2 ORDER BY 1, 2",
		2, {INT4OID, INT8OID}
	},
	[ST_CANCELLATION] = {
		"INSERT INTO oms.order_cancellation (" CANCELLATION_COLUMNS ") SELECT " CANCELLATION_COLUMNS " FROM unnest($1)", 1, {0}
	},
};

/* Units of the line that may still be cancelled, and how they stand. */
typedef struct Cancellable
{
	int32		ordered;
	int32		cancelled;
	int32		units;
	int32		backordered;
	int32		without;		/* neither promised nor backordered */
} Cancellable;

static void
read_line(const OmsOrderHead *head, int32 line_no, Cancellable *line)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), Int32GetDatum(line_no)};

	if (oms_run(&statements[ST_LINE], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("order " INT64_FORMAT " has no line %d", head->order_id, line_no)));
	line->ordered = oms_get_int32(0, 1);
	line->cancelled = oms_get_int32(0, 2);
	line->units = line->ordered - line->cancelled - oms_get_int32(0, 3);
	line->backordered = oms_get_int32(0, 4);
	line->without = oms_get_int32(0, 5);
}

/* What a cancellation is to do besides, and what it was. */
typedef struct Cancellation
{
	int32		line_no;		/* 0: the whole order */
	int32		quantity;
	bool		keep_discount;
	int64		tax;			/* with keep_discount: what of it is owed less */
	bool		restock;
	bool		refund;
	bool		notify;
	const char *actor;
	const char *reason;
	Datum		lines;			/* of the whole order: int arrays, which lines, */
	Datum		quantities;		/* and how many units of each */
} Cancellation;

/* The money of a cancellation, once the counters are written, and its row. */
static void
settle(const OmsOrderHead *before, const Cancellation *what)
{
	OmsRows    *rows = oms_rows_for(&cancellations_target);
	OmsOrderHead after;
	int64		less;
	int64		given = 0;

	oms_order_lock(before->merchant, before->order_id, &after);
	less = (before->total - before->cancelled_total) - (after.total - after.cancelled_total);
	if (what->keep_discount)
		given = oms_payment_less_owed(&after, less, what->tax, "cancellation", before->order_id, what->actor, what->reason);
	else if (what->refund)
		given = oms_payment_void_or_refund(&after, less, "cancellation", before->order_id, what->actor, what->reason);
	oms_rows_set(rows, C_MERCHANT, Int32GetDatum(after.merchant));
	oms_rows_set(rows, C_ORDER, Int64GetDatum(after.order_id));
	if (what->line_no != 0)
		oms_rows_set(rows, C_LINE, Int32GetDatum(what->line_no));
	oms_rows_set(rows, C_QUANTITY, Int32GetDatum(what->quantity));
	oms_rows_set(rows, C_AT, TimestampTzGetDatum(oms_now()));
	oms_rows_set_text(rows, C_POLICY, what->keep_discount ? "keep" : "share");
	oms_rows_set(rows, C_AMOUNT, oms_scaled_to_numeric(less, after.exponent));
	oms_rows_set(rows, C_GIVEN_BACK, oms_scaled_to_numeric(given, after.exponent));
	oms_rows_set(rows, C_RESTOCK, BoolGetDatum(what->restock));
	oms_rows_set(rows, C_REFUND, BoolGetDatum(what->refund));
	oms_rows_set(rows, C_NOTIFY, BoolGetDatum(what->notify));
	oms_rows_set_text(rows, C_ACTOR, what->actor);
	oms_rows_set_text(rows, C_REASON, what->reason);
	if (what->lines != (Datum) 0)
	{
		oms_rows_set(rows, C_LINES, what->lines);
		oms_rows_set(rows, C_QUANTITIES, what->quantities);
	}
	oms_rows_add(rows);
	oms_rows_insert(&statements[ST_CANCELLATION], &rows, 1);
}

/* The least amount of so many units whose share for the first of them is this. */
static int64
amount_with_share(int64 share, int32 units, int32 first)
{
	if (share == 0)
		return 0;
	if (share % first != 0)
		return share / first * units + share % first;
	return (share / first - 1) * units + first;
}

/*
 * The units that stay keep the whole discount of the live ones: the line's
 * amount becomes the least whose share for them is exactly that.  Nothing of
 * it may be shipped or invoiced (OM008).  Returns the tax that is owed less.
 */
static int64
keep_discount(const OmsOrderHead *head, int32 line_no, const Cancellable *line, int32 units)
{
	OmsDraft   *draft = oms_draft_of_order(head->merchant, head->channel);
	Datum		values[6] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), Int32GetDatum(line_no)};
	int32		live = line->ordered - line->cancelled;
	int32		stay = live - units;
	int64		discount;
	int64		discount_was;
	int64		tax_was;
	int64		total_was;
	int64		rate;
	int64		base_was;
	int64		subtotal;
	int64		share;
	int64		share_tax = 0;
	int64		share_total;
	int64		tax;
	int64		total;
	bool		isnull;

	oms_run(&statements[ST_FIGURES], values, NULL);
	if (oms_get_int32(0, 5) > 0 || oms_get_bool(0, 6))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("line %d of order " INT64_FORMAT " has units shipped or invoiced", line_no, head->order_id),
				 errdetail("Its discount does not change any more."),
				 errhint("Cancel with discount_policy share.")));
	discount_was = oms_get_money(0, 1, head->exponent);
	rate = oms_numeric_to_scaled(oms_get(0, 2, &isnull), OMS_PRICE_SCALE, "tax_rate");
	tax_was = oms_get_money(0, 3, head->exponent);
	if (stay == 0 || discount_was == 0)
		return oms_units_share(tax_was, line->ordered, stay, live);
	total_was = oms_get_money(0, 4, head->exponent);
	base_was = head->tax_included ? total_was : total_was - tax_was;
	subtotal = base_was + discount_was;
	discount = oms_units_share(subtotal, line->ordered, 0, live) - oms_units_share(base_was, line->ordered, 0, live);
	share = Max(oms_units_share(subtotal, line->ordered, 0, stay) - discount, 0);
	draft->tax_included = head->tax_included;
	oms_draft_retax(draft, base_was, tax_was, share, rate, &share_tax, &share_total);
	tax = amount_with_share(share_tax, line->ordered, stay);
	total = amount_with_share(share_total, line->ordered, stay);
	if (!head->tax_included)
		total = Min(total, subtotal + tax);
	discount = head->tax_included ? subtotal - total : subtotal + tax - total;
	values[2] = oms_scaled_to_numeric(discount - discount_was, head->exponent);
	values[3] = oms_scaled_to_numeric(tax - tax_was, head->exponent);
	values[4] = oms_scaled_to_numeric(total - total_was, head->exponent);
	oms_run_guarded(&statements[ST_DISCOUNT_ORDER], values, NULL);
	values[2] = Int32GetDatum(line_no);
	values[3] = oms_scaled_to_numeric(discount, head->exponent);
	values[4] = oms_scaled_to_numeric(tax, head->exponent);
	values[5] = oms_scaled_to_numeric(total, head->exponent);
	oms_run_guarded(&statements[ST_DISCOUNT_LINE], values, NULL);
	return oms_units_share(tax_was, line->ordered, 0, live) - oms_units_share(tax, line->ordered, 0, stay);
}

/* Argument n: share (false, also when null) or keep; OM011. */
static bool
discount_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *policy = oms_arg_text_or_null(fcinfo, n, "discount_policy", OMS_KEY_LENGTH);

	if (policy != NULL && strcmp(policy, "share") != 0 && strcmp(policy, "keep") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"discount_policy\" cannot be \"%s\"", policy),
				 errdetail("Allowed: share, keep.")));
	return policy != NULL && strcmp(policy, "keep") == 0;
}

/* SQL: cancel_line(merchant, order_id, line_no, quantity, request_key, actor, reason, discount_policy) */
Datum
oms_cancel_line(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	int32		line_no = oms_arg_int32(fcinfo, 2, "line_no");
	bool		keep = discount_argument(fcinfo, 7);
	OmsCall		call;
	OmsOrderHead head;
	Cancellable line;
	int64		units;

	if (!oms_call_repeated(fcinfo, "cancel_line", 4, &call, &units))
	{
		int32		from_backorder;
		int32		from_promise;
		int64		tax = 0;
		Datum		values[6];
		OmsFreed	freed = {0};
		OmsJson		json;

		oms_order_lock(call.merchant, order_id, &head);
		oms_order_require_no_hold(&head, "cancel");
		read_line(&head, line_no, &line);
		units = PG_ARGISNULL(3) ? line.units : PG_GETARG_INT32(3);
		if (units < 0 || (units == 0 && !PG_ARGISNULL(3)))
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"quantity\" is out of range"),
					 errdetail("%d was given; 1 or more are cancelled.", (int32) units)));
		if (units > line.units)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("line %d of order " INT64_FORMAT " has no " INT64_FORMAT " units to cancel",
							line_no, order_id, units),
					 errdetail("%d ordered, %d cancelled before, %d neither cancelled nor picked.",
							   line.ordered, line.cancelled, line.units),
					 errhint("What was picked is put back by cancel_fulfilment(); what was shipped comes back by request_return().")));
		/* Units without stock go first, promised ones last. */
		from_backorder = Min(line.backordered, (int32) units);
		from_promise = Max((int32) units - from_backorder - line.without, 0);
		if (units > 0)
		{
			values[0] = Int32GetDatum(call.merchant);
			values[1] = Int64GetDatum(order_id);
			values[2] = Int32GetDatum(line_no);
			values[3] = Int32GetDatum((int32) units);
			values[4] = Int32GetDatum(from_backorder);
			values[5] = Int32GetDatum(from_promise);
			if (keep)
				tax = keep_discount(&head, line_no, &line, (int32) units);
			oms_promise_release_spare(call.merchant, order_id, line_no, from_promise, &freed);
			oms_run_guarded(&statements[ST_CANCEL_LINE], values, NULL);

			oms_json_begin(&json);
			oms_json_add_int(&json, "line", line_no);
			oms_json_add_int(&json, "quantity", units);
			oms_event_of_order(call.merchant, order_id, "order.line_cancelled", NULL, NULL, oms_json_end(&json));
			settle(&head, &(Cancellation) {line_no, (int32) units, keep, tax, true, true, true, call.actor, call.reason});
			oms_backorder_fill_freed(&freed);
		}
		oms_call_done(&call, units);
	}
	PG_RETURN_INT32((int32) units);
}

/* Units that were promised and are not to be sold again wait for inspection. */
static void
set_aside(const OmsOrderHead *head)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int			n = (int) oms_run(&statements[ST_PROMISED], values, NULL);
	OmsMove    *moves = palloc0((n + 1) * sizeof(OmsMove));
	int			i;

	for (i = 0; i < n; i++)
	{
		moves[i].key = (OmsGateKey) {head->merchant, oms_get_int32(i, 2), oms_get_int64(i, 1)};
		moves[i].quality_control = oms_get_int64(i, 3);
		moves[i].kind = "state";
		moves[i].cause = "cancelled, not restocked";
		moves[i].source_kind = "order";
		moves[i].source_id = head->order_id;
		moves[i].actor = oms_current_command()->actor;
	}
	oms_run_guarded(&statements[ST_RELEASE_ALL], values, NULL);
	for (i = 0; i < n; i++)
		(void) oms_stock_move(&moves[i]);
}

/* Cancels all units of a locked order, whose stock goes to who waits for it; the row says what it was told. */
static void
cancel_all(const OmsOrderHead *head, Cancellation *what)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	OmsFreed	freed = {0};
	int			n;

	oms_fulfilment_undo_all(head);
	if (what->restock)
	{
		n = (int) oms_run_guarded(&statements[ST_RELEASE_ALL], values, NULL);
		for (int i = 0; i < n; i++)
			oms_freed_add(&freed, (OmsGateKey) {head->merchant, oms_get_int32(i, 2), oms_get_int64(i, 1)});
	}
	else
		set_aside(head);
	n = (int) oms_run_guarded(&statements[ST_CANCEL_ALL], values, NULL);
	if (n > 0)
	{
		int32	   *lines = palloc(n * sizeof(int32));
		int32	   *quantities = palloc(n * sizeof(int32));

		for (int i = 0; i < n; i++)
		{
			lines[i] = oms_get_int32(i, 1);
			quantities[i] = oms_get_int32(i, 2);
		}
		what->lines = oms_int4_array(lines, n);
		what->quantities = oms_int4_array(quantities, n);
	}
	else
		oms_run_guarded(&statements[ST_CANCEL_CHARGES], values, NULL);
	settle(head, what);
	oms_backorder_fill_freed(&freed);
}

/* See order.h. */
void
oms_order_cancel(const OmsOrderHead *head, const char *actor, const char *reason)
{
	cancel_all(head, &(Cancellation) {0, 0, false, 0, true, true, true, actor, reason});
}

/* A flag, true unless it says otherwise. */
static bool
flag(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) || PG_GETARG_BOOL(n);
}

/* SQL: cancel_order(merchant, order_id, request_key, actor, reason, restock, refund, notify) */
Datum
oms_cancel_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	int64		result;

	if (!oms_call_repeated(fcinfo, "cancel_order", 2, &call, &result))
	{
		oms_order_lock(call.merchant, order_id, &head);
		if (strcmp(head.lifecycle, "cancelled") != 0)
		{
			oms_order_require_no_hold(&head, "cancel");
			if (strcmp(head.fulfilment_state, "unfulfilled") != 0)
				ereport(ERROR,
						(errcode(OMS_STATE),
						 errmsg("order " INT64_FORMAT " has shipped units", order_id),
						 errdetail("Its fulfilment is \"%s\".", head.fulfilment_state),
						 errhint("Cancel what is open with cancel_line(); take back what was shipped with request_return().")));
			if (strcmp(head.lifecycle, "completed") == 0)
				ereport(ERROR,
						(errcode(OMS_STATE),
						 errmsg("order " INT64_FORMAT " is completed", order_id),
						 errhint("Give its money back with refund().")));
			if (!flag(fcinfo, 7))
				oms_command_quiet();
			cancel_all(&head, &(Cancellation) {0, 0, false, 0, flag(fcinfo, 5), flag(fcinfo, 6), flag(fcinfo, 7), call.actor, call.reason});
		}
		oms_call_done(&call, order_id);
	}
	PG_RETURN_INT64(order_id);
}
