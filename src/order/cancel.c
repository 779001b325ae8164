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
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "fulfilment/promise.h"
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
	ST_RELEASE_ALL
};

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
		"UPDATE oms.order_line SET cancelled = ordered, backordered = 0, allocated = 0 "
		"WHERE merchant_id = $1 AND order_id = $2 AND cancelled < ordered",
		2, {INT4OID, INT8OID}
	},
	/* An order of charges alone has no lines for its lifecycle to follow. */
	[ST_CANCEL_CHARGES] = {
		"UPDATE oms.sales_order SET lifecycle = 'cancelled' WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_RELEASE_ALL] = {
		"DELETE FROM oms.reservation WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
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

/* The money and the events of a cancellation, once the counters are written. */
static void
settle(const OmsOrderHead *before, const char *actor, const char *reason)
{
	OmsOrderHead after;

	oms_order_lock(before->merchant, before->order_id, &after);
	oms_payment_void_or_refund(&after, after.cancelled_total - before->cancelled_total,
							   "cancellation", before->order_id, actor, reason);
}

/* SQL: cancel_line(merchant, order_id, line_no, quantity, request_key, actor, reason) */
Datum
oms_cancel_line(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	int32		line_no = oms_arg_int32(fcinfo, 2, "line_no");
	OmsCall		call;
	OmsOrderHead head;
	Cancellable line;
	int64		units;

	if (!oms_call_repeated(fcinfo, "cancel_line", 4, &call, &units))
	{
		int32		from_backorder;
		int32		from_promise;
		Datum		values[6];
		OmsEvent	event = {0};
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
			oms_promise_release_spare(call.merchant, order_id, line_no, from_promise);
			oms_run_guarded(&statements[ST_CANCEL_LINE], values, NULL);

			oms_json_begin(&json);
			oms_json_add_int(&json, "line", line_no);
			oms_json_add_int(&json, "quantity", units);
			event.merchant = call.merchant;
			event.subject_type = "order";
			event.subject_id = event.order_id = order_id;
			event.type = "order.line_cancelled";
			event.data = oms_json_end(&json);
			oms_event_write(&event);
			settle(&head, call.actor, call.reason);
		}
		oms_call_done(&call, units);
	}
	PG_RETURN_INT32((int32) units);
}

/* See order.h. */
void
oms_order_cancel(const OmsOrderHead *head, const char *actor, const char *reason)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};

	oms_fulfilment_undo_all(head);
	oms_run_guarded(&statements[ST_RELEASE_ALL], values, NULL);
	if (oms_run_guarded(&statements[ST_CANCEL_ALL], values, NULL) == 0)
		oms_run_guarded(&statements[ST_CANCEL_CHARGES], values, NULL);
	settle(head, actor, reason);
}

/* SQL: cancel_order(merchant, order_id, request_key, actor, reason) */
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
			oms_order_cancel(&head, call.actor, call.reason);
		}
		oms_call_done(&call, order_id);
	}
	PG_RETURN_INT64(order_id);
}
