/*-------------------------------------------------------------------------
 * refresh.c
 *	  The derived columns of an order, from its lines, charges, holds and
 *	  payments.  Views order_axes and payment_order say the same in SQL, and
 *	  verify() compares.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/fmgrprotos.h"

#include "core/guard.h"
#include "core/money.h"
#include "core/money_core.h"
#include "order/order.h"

enum
{
	ST_LINES,
	ST_CHARGES,
	ST_PAYMENTS,
	ST_WRITE,
	ST_WRITE_PAYMENT
};

static OmsStatement statements[] = {
	[ST_LINES] = {
		"SELECT o.currency, o.lifecycle, o.fulfilment_state, o.return_state, o.cancelled_total, o.on_hold, "
		"EXISTS (SELECT FROM oms.order_hold h WHERE h.merchant_id = $1 AND h.order_id = $2 AND h.released_at IS NULL), "
		"l.ordered, l.cancelled, l.shipped, l.delivered, l.return_requested, l.returned, CASE WHEN l.cancelled > 0 THEN l.total END "
		"FROM oms.sales_order o LEFT JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 "
		"WHERE o.merchant_id = $1 AND o.order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CHARGES] = {
		"SELECT coalesce(sum(total), 0) FROM oms.order_charge WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_PAYMENTS] = {
		"SELECT o.currency, o.payment_state, o.total, o.cancelled_total, p.captured, p.charged_back, p.refunded, p.refund_pending, "
		"p.authorized, p.voided, p.void_pending, p.expired, p.authorize_pending, p.capture_pending, p.tolerance_under, p.tolerance_over "
		"FROM oms.sales_order o LEFT JOIN oms.payment p ON p.merchant_id = $1 AND p.order_id = $2 "
		"WHERE o.merchant_id = $1 AND o.order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_WRITE] = {
		"UPDATE oms.sales_order SET lifecycle = $3, fulfilment_state = $4, return_state = $5, cancelled_total = $6, on_hold = $7, "
		"payment_state = $8 WHERE merchant_id = $1 AND order_id = $2",
		8, {INT4OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID, BOOLOID, TEXTOID}
	},
	[ST_WRITE_PAYMENT] = {
		"UPDATE oms.sales_order SET payment_state = $3 WHERE merchant_id = $1 AND order_id = $2",
		3, {INT4OID, INT8OID, TEXTOID}
	},
};

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
	int64		captured = oms_get_money(row, 5, exponent);

	paid->captured += captured - oms_get_money(row, 6, exponent);
	paid->refunded += oms_get_money(row, 7, exponent);
	paid->refund_pending += oms_get_money(row, 8, exponent);
	paid->held += Max(oms_get_money(row, 9, exponent) - oms_get_money(row, 10, exponent) - oms_get_money(row, 11, exponent) -
					  oms_get_money(row, 12, exponent) - captured, 0);
	paid->pending += oms_get_money(row, 13, exponent) + oms_get_money(row, 14, exponent);
	paid->under = Max(paid->under, tolerance(row, 15, exponent));
	paid->over = Max(paid->over, tolerance(row, 16, exponent));
}

/*
 * What the payments make of the order, whose cancelled_total is the given one,
 * or its own where that is null; *same tells whether it says so already.
 */
static const char *
payment_state(int32 merchant, int64 order_id, const int64 *cancelled, bool *same)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	uint64		rows = oms_run(&statements[ST_PAYMENTS], values, NULL);
	SPITupleTable *payments = SPI_tuptable;
	Paid		paid = {0};
	const char *state;
	char	   *was;
	int			exponent;
	int64		total;
	int64		due;
	uint64		i;

	if (rows == 0)
		oms_error_unknown("order", merchant, order_id);
	was = oms_get_text(0, 2);
	exponent = oms_currency_exponent(oms_get_text(0, 1));
	SPI_tuptable = payments;	/* the exponent's look-up may run a query of its own */
	total = oms_get_money(0, 3, exponent);
	due = total - (cancelled != NULL ? *cancelled : oms_get_money(0, 4, exponent));
	for (i = 0; i < rows && !oms_is_null(i, 5); i++)
		read_payment(i, exponent, &paid);
	if (paid.captured > 0)
		state = paid.refunded >= paid.captured ? "refunded" :
			paid.captured - paid.refunded - paid.refund_pending > due + paid.over ? "overpaid" :
			paid.refunded > 0 ? "partially_refunded" :
			paid.captured >= due - paid.under ? "paid" : "partial";
	else if (total == 0)
		state = "paid";
	else if (paid.held > 0 && paid.held >= due)
		state = "authorized";
	else
		state = paid.held > 0 || paid.pending > 0 ? "pending" : "none";
	*same = strcmp(state, was) == 0;
	return state;
}

/* See order.h. */
void
oms_order_refresh(int32 merchant, int64 order_id)
{
	Datum		values[8] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	uint64		rows = oms_run(&statements[ST_LINES], values, NULL);
	SPITupleTable *lines = SPI_tuptable;
	int64		units = 0;
	int64		cancelled = 0;
	int64		shipped = 0;
	int64		delivered = 0;
	int64		requested = 0;
	int64		returned = 0;
	int64		cancelled_total = 0;
	int64		cancelled_was;
	int			exponent;
	const char *lifecycle;
	const char *fulfilment;
	const char *back;
	const char *payment;
	char	   *lifecycle_was;
	bool		held;
	bool		same;
	bool		same_payment;
	uint64		i;

	if (rows == 0)
		return;
	exponent = oms_currency_exponent(oms_get_text(0, 1));
	SPI_tuptable = lines;
	lifecycle_was = oms_get_text(0, 2);
	cancelled_was = oms_get_money(0, 5, exponent);
	held = oms_get_bool(0, 7);
	for (i = 0; i < rows && !oms_is_null(i, 8); i++)
	{
		int32		ordered = oms_get_int32(i, 8);
		int32		gone = oms_get_int32(i, 9);

		units += ordered;
		cancelled += gone;
		shipped += oms_get_int32(i, 10);
		delivered += oms_get_int32(i, 11);
		requested += oms_get_int32(i, 12);
		returned += oms_get_int32(i, 13);
		if (gone > 0)
			cancelled_total = oms_money_add(cancelled_total,
											oms_units_share(oms_get_money(i, 14, exponent), ordered, ordered - gone, ordered));
	}
	lifecycle = units > 0 && cancelled == units ? "cancelled" :
		strcmp(lifecycle_was, "confirmed") == 0 && shipped == units - cancelled ? "completed" : lifecycle_was;
	fulfilment = shipped == 0 ? "unfulfilled" : shipped < units - cancelled ? "partial" :
		delivered < shipped ? "fulfilled" : "delivered";
	back = returned == 0 ? (requested == 0 ? "none" : "requested") : returned < shipped ? "partial" : "returned";
	same = strcmp(lifecycle, lifecycle_was) == 0 && strcmp(fulfilment, oms_get_text(0, 3)) == 0 &&
		strcmp(back, oms_get_text(0, 4)) == 0 && held == oms_get_bool(0, 6);
	if (cancelled == units && (units > 0 || strcmp(lifecycle_was, "cancelled") == 0))
	{
		oms_run(&statements[ST_CHARGES], values, NULL);
		cancelled_total = oms_money_add(cancelled_total, oms_get_money(0, 1, exponent));
	}
	payment = payment_state(merchant, order_id, &cancelled_total, &same_payment);
	if (same && same_payment && cancelled_total == cancelled_was)
		return;
	values[2] = CStringGetTextDatum(lifecycle);
	values[3] = CStringGetTextDatum(fulfilment);
	values[4] = CStringGetTextDatum(back);
	values[5] = oms_scaled_to_numeric(cancelled_total, cancelled_total == 0 ? 0 : exponent);
	values[6] = BoolGetDatum(held);
	values[7] = CStringGetTextDatum(payment);
	oms_run_guarded(&statements[ST_WRITE], values, NULL);
}

/* See order.h. */
void
oms_order_refresh_payment(int32 merchant, int64 order_id)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	bool		same;
	const char *state = payment_state(merchant, order_id, NULL, &same);

	if (same)
		return;
	values[2] = CStringGetTextDatum(state);
	oms_run_guarded(&statements[ST_WRITE_PAYMENT], values, NULL);
}
