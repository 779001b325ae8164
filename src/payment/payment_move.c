/*-------------------------------------------------------------------------
 * payment_move.c
 *	  Payments follow orders that are split and merged.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "core/guard.h"
#include "payment/payment.h"

enum
{
	ST_MOVE_ALL
};

static OmsStatement statements[] = {
	[ST_MOVE_ALL] = {
		"UPDATE oms.payment SET order_id = $3 WHERE merchant_id = $1 AND order_id = $2", 3, {INT4OID, INT8OID, INT8OID}
	},
};

/* Takes up to *want from an amount that there is. */
static int64
take(int64 *want, int64 there)
{
	int64		part = Max(Min(*want, there), 0);

	*want -= part;
	return part;
}

/* The second of two shares. */
static int64
share(int64 amount, int64 keeps, int64 gets)
{
	int64		weights[2] = {keeps, gets};
	int64		shares[2];

	if (!oms_prorate(amount, weights, 2, shares))
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("payments cannot be shared by %s and %s", oms_money_text(keeps, 2), oms_money_text(gets, 2))));
	return shares[1];
}

/* See payment.h. */
void
oms_payment_move_share(const OmsOrderHead *from, const OmsOrderHead *to, int64 keeps, int64 gets, const char *actor)
{
	OmsPayment *payments;
	int			n = oms_payment_lock_all(from, &payments);
	int64		captured = 0;
	int64		held = 0;

	for (int i = 0; i < n; i++)
	{
		captured += Max(oms_payment_refundable(&payments[i]), 0);
		held += Max(oms_payment_capturable(&payments[i]), 0);
	}
	held = Max(share(captured + held, keeps, gets) - share(captured, keeps, gets), 0);
	captured = share(captured, keeps, gets);
	for (int i = 0; i < n; i++)
	{
		int64		capture = take(&captured, oms_payment_refundable(&payments[i]));
		int64		authorize = take(&held, oms_payment_capturable(&payments[i]));
		int64		authorized = authorize + Min(capture, payments[i].amounts.authorized);
		char	   *reference = psprintf("order " INT64_FORMAT, to->order_id);
		OmsPayment	moved = payments[i];

		if (capture + authorize == 0)
			continue;
		if (moved.gateway_reference != NULL)
			moved.gateway_reference = psprintf("%s#" INT64_FORMAT, moved.gateway_reference, to->order_id);
		moved.replaces_id = 0;
		oms_payment_create(to, &moved, capture + authorize, actor);
		if (authorized > 0)
		{
			oms_payment_record(&payments[i], "authorization_moved", reference, authorized, oms_now(), actor);
			oms_payment_record(&moved, "authorized", reference, authorized, oms_now(), actor);
		}
		if (capture > 0)
		{
			oms_payment_record(&payments[i], "capture_moved", reference, capture, oms_now(), actor);
			oms_payment_record(&moved, "captured", reference, capture, oms_now(), actor);
		}
	}
}

/* See payment.h. */
void
oms_payment_move_all(const OmsOrderHead *from, const OmsOrderHead *to)
{
	Datum		values[3] = {Int32GetDatum(from->merchant), Int64GetDatum(from->order_id), Int64GetDatum(to->order_id)};

	oms_run_guarded(&statements[ST_MOVE_ALL], values, NULL);
}
