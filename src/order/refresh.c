/*-------------------------------------------------------------------------
 * refresh.c
 *	  The derived columns of an order, from its lines, charges, holds and
 *	  payments.  Views order_axes and payment_order say the same in SQL, and
 *	  verify() compares.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/fmgrprotos.h"

#include "core/find.h"
#include "core/money.h"
#include "core/money_core.h"
#include "order/columns.h"
#include "order/order.h"

static OmsStatement payments = {
	"SELECT captured, charged_back, refunded, refund_pending, authorized, voided, void_pending, expired, authorize_pending, "
	"capture_pending, tolerance_under, tolerance_over FROM oms.payment WHERE merchant_id = $1 AND order_id = $2",
	2, {INT4OID, INT8OID}
};

static OmsKeyed write_axes = {
	{
		"UPDATE oms.sales_order SET lifecycle = $3, fulfilment_state = $4, return_state = $5, cancelled_total = $6, on_hold = $7, "
		"payment_state = $8 WHERE merchant_id = $1 AND order_id = $2",
		8, {INT4OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID, BOOLOID, TEXTOID}
	},
	.table = "sales_order", .guarded = true,
	.columns = {ORDER_LIFECYCLE, ORDER_FULFILMENT, ORDER_RETURN, ORDER_CANCELLED_TOTAL, ORDER_ON_HOLD, ORDER_PAYMENT}
};
static OmsKeyed write_payment = {
	{
		"UPDATE oms.sales_order SET payment_state = $3 WHERE merchant_id = $1 AND order_id = $2",
		3, {INT4OID, INT8OID, TEXTOID}
	},
	.table = "sales_order", .guarded = true, .columns = {ORDER_PAYMENT}
};

/* The derived columns as the order has them, and what they follow from in its row. */
typedef struct Was
{
	int			exponent;
	char	   *lifecycle;
	char	   *fulfilment;
	char	   *back;
	char	   *payment;
	bool		held;
	int64		total;
	int64		cancelled_total;
} Was;

/* Adds up payments, or takes the greatest of their tolerances. */
typedef struct Paid
{
	int64		captured;		/* less what was charged back */
	int64		refunded;
	int64		refund_pending;
	int64		held;
	int64		pending;		/* asked to authorize or capture */
	int64		under;
	int64		over;
} Paid;

/* A tolerance is whoever's who typed it, and may be finer than the currency. */
static int64
tolerance(uint64 row, int column, int exponent)
{
	bool		isnull;
	Datum		value = oms_get(row, column, &isnull);

	return oms_numeric_to_scaled(DirectFunctionCall2(numeric_trunc, value, Int32GetDatum(exponent)), exponent, "tolerance");
}

static void
read_payment(uint64 row, int exponent, Paid *paid)
{
	int64		captured = oms_get_money(row, 1, exponent);

	paid->captured += captured - oms_get_money(row, 2, exponent);
	paid->refunded += oms_get_money(row, 3, exponent);
	paid->refund_pending += oms_get_money(row, 4, exponent);
	paid->held += Max(oms_get_money(row, 5, exponent) - oms_get_money(row, 6, exponent) - oms_get_money(row, 7, exponent) -
					  oms_get_money(row, 8, exponent) - captured, 0);
	paid->pending += oms_get_money(row, 9, exponent) + oms_get_money(row, 10, exponent);
	paid->under = Max(paid->under, tolerance(row, 11, exponent));
	paid->over = Max(paid->over, tolerance(row, 12, exponent));
}

/* Reads the order's row; false when there is none. */
static bool
read_order(int32 merchant, int64 order_id, Was *was)
{
	SPITupleTable *row;

	if (oms_order_read(OMS_ORDER_ROW, merchant, order_id) == 0)
		return false;
	row = SPI_tuptable;
	was->exponent = oms_currency_exponent(oms_get_text(0, ORDER_CURRENCY));
	SPI_tuptable = row;			/* the exponent's look-up may run a query of its own */
	was->lifecycle = oms_get_text(0, ORDER_LIFECYCLE);
	was->fulfilment = oms_get_text(0, ORDER_FULFILMENT);
	was->back = oms_get_text(0, ORDER_RETURN);
	was->payment = oms_get_text(0, ORDER_PAYMENT);
	was->held = oms_get_bool(0, ORDER_ON_HOLD);
	was->total = oms_get_money(0, ORDER_TOTAL, was->exponent);
	was->cancelled_total = oms_get_money(0, ORDER_CANCELLED_TOTAL, was->exponent);
	return true;
}

/* What the payments make of the order when so much of it is cancelled. */
static const char *
payment_state(int32 merchant, int64 order_id, const Was *was, int64 cancelled)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	uint64		rows = oms_run(&payments, values, NULL);
	int64		due = was->total - cancelled;
	Paid		paid = {0};
	uint64		i;

	for (i = 0; i < rows; i++)
		read_payment(i, was->exponent, &paid);
	if (paid.captured > 0)
		return paid.refunded >= paid.captured ? "refunded" :
			paid.captured - paid.refunded - paid.refund_pending > due + paid.over ? "overpaid" :
			paid.refunded > 0 ? "partially_refunded" :
			paid.captured >= due - paid.under ? "paid" : "partial";
	if (was->total == 0)
		return "paid";
	if (paid.held > 0 && paid.held >= due)
		return "authorized";
	return paid.held > 0 || paid.pending > 0 ? "pending" : "none";
}

static bool
is_held(int32 merchant, int64 order_id)
{
	uint64		holds = oms_order_read(OMS_ORDER_HOLDS, merchant, order_id);
	uint64		i;

	for (i = 0; i < holds; i++)
		if (oms_is_null(i, HOLD_RELEASED_AT))
			return true;
	return false;
}

/* See order.h. */
void
oms_order_refresh(int32 merchant, int64 order_id)
{
	Datum		values[8] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	int64		units = 0;
	int64		cancelled = 0;
	int64		shipped = 0;
	int64		delivered = 0;
	int64		requested = 0;
	int64		returned = 0;
	int64		cancelled_total = 0;
	const char *lifecycle;
	const char *fulfilment;
	const char *back;
	const char *payment;
	bool		held;
	Was			was;
	uint64		rows;
	uint64		i;

	if (!read_order(merchant, order_id, &was))
		return;
	held = is_held(merchant, order_id);
	rows = oms_order_read(OMS_ORDER_LINES, merchant, order_id);
	for (i = 0; i < rows; i++)
	{
		int32		ordered = oms_get_int32(i, LINE_ORDERED);
		int32		gone = oms_get_int32(i, LINE_CANCELLED);

		units += ordered;
		cancelled += gone;
		shipped += oms_get_int32(i, LINE_SHIPPED);
		delivered += oms_get_int32(i, LINE_DELIVERED);
		requested += oms_get_int32(i, LINE_RETURN_REQUESTED);
		returned += oms_get_int32(i, LINE_RETURNED);
		if (gone > 0)
			cancelled_total = oms_money_add(cancelled_total,
											oms_units_share(oms_get_money(i, LINE_TOTAL, was.exponent), ordered, ordered - gone, ordered));
	}
	lifecycle = units > 0 && cancelled == units ? "cancelled" :
		strcmp(was.lifecycle, "confirmed") == 0 && shipped == units - cancelled ? "completed" : was.lifecycle;
	fulfilment = shipped == 0 ? "unfulfilled" : shipped < units - cancelled ? "partial" :
		delivered < shipped ? "fulfilled" : "delivered";
	back = returned == 0 ? (requested == 0 ? "none" : "requested") : returned < shipped ? "partial" : "returned";
	if (cancelled == units && (units > 0 || strcmp(was.lifecycle, "cancelled") == 0))
	{
		rows = oms_order_read(OMS_ORDER_CHARGES, merchant, order_id);
		for (i = 0; i < rows; i++)
			cancelled_total = oms_money_add(cancelled_total, oms_get_money(i, CHARGE_TOTAL, was.exponent));
	}
	payment = payment_state(merchant, order_id, &was, cancelled_total);
	if (strcmp(lifecycle, was.lifecycle) == 0 && strcmp(fulfilment, was.fulfilment) == 0 && strcmp(back, was.back) == 0 &&
		strcmp(payment, was.payment) == 0 && held == was.held && cancelled_total == was.cancelled_total)
		return;
	values[2] = CStringGetTextDatum(lifecycle);
	values[3] = CStringGetTextDatum(fulfilment);
	values[4] = CStringGetTextDatum(back);
	values[5] = oms_scaled_to_numeric(cancelled_total, cancelled_total == 0 ? 0 : was.exponent);
	values[6] = BoolGetDatum(held);
	values[7] = CStringGetTextDatum(payment);
	oms_keyed_update(&write_axes, values, NULL);
}

/* See order.h. */
void
oms_order_refresh_payment(int32 merchant, int64 order_id)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	const char *state;
	Was			was;

	if (!read_order(merchant, order_id, &was))
		oms_error_unknown("order", merchant, order_id);
	state = payment_state(merchant, order_id, &was, was.cancelled_total);
	if (strcmp(state, was.payment) == 0)
		return;
	values[2] = CStringGetTextDatum(state);
	oms_keyed_update(&write_payment, values, NULL);
}
