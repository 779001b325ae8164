/*-------------------------------------------------------------------------
 * authorization.c
 *	  Authorizations that die: re-authorization in place of the old one, and
 *	  writing off what has lapsed.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "core/guard.h"

PG_FUNCTION_INFO_V1(oms_reauthorize);
PG_FUNCTION_INFO_V1(oms_expire_authorizations);

enum
{
	ST_REPLACED_BY,
	ST_LAPSED
};

static OmsStatement statements[] = {
	[ST_REPLACED_BY] = {
		"SELECT payment_id FROM oms.payment WHERE merchant_id = $1 AND order_id = $2 AND replaces_id = $3 "
		"AND authorized + authorize_pending > 0 ORDER BY payment_id LIMIT 1",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_LAPSED] = {
		"SELECT payment_id, expires_at FROM oms.authorization_expiry WHERE merchant_id = $1 AND expires_at + $2 <= $3 "
		"ORDER BY order_id, payment_id LIMIT $4",
		4, {INT4OID, INTERVALOID, TIMESTAMPTZOID, INT8OID}
	},
};

/* Most that one call of expire_authorizations() looks at. */
#define MAX_LAPSED 10000

/*
 * reauthorize(merchant, payment_id, amount, gateway_reference, request_key,
 * actor, reason): asks for an authorization in the place of a payment's.  The
 * old one is given up when the new one is there, so the order is never without
 * and never charged twice.  Locks the order.  Raises OM002, OM007, OM008,
 * OM010, OM011, OM017.
 */
Datum
oms_reauthorize(PG_FUNCTION_ARGS)
{
	int64		payment_id = oms_arg_int64(fcinfo, 1, "payment_id");
	char	   *reference = oms_arg_text_or_null(fcinfo, 3, "gateway_reference", OMS_KEY_LENGTH);
	OmsCall		call;
	OmsOrderHead head;
	OmsPayment	old;
	OmsPayment	new = {.gateway_reference = reference, .replaces_id = payment_id};
	OmsPaymentBalance balance;
	Datum		values[3];
	int64		amount;
	int64		result;

	if (oms_call_repeated(fcinfo, "reauthorize", 4, &call, &result))
		PG_RETURN_INT64(result);
	oms_payment_lock_of(call.merchant, payment_id, &head, &old);
	oms_payment_require_not_cancelled(&head, "paid");
	if (old.account_id != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("payment " INT64_FORMAT " does not lapse", payment_id),
				 errdetail("It is from credit account " INT64_FORMAT ".", old.account_id),
				 errhint("Void it and pay by other means.")));
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(head.order_id);
	values[2] = Int64GetDatum(payment_id);
	if (oms_run(&statements[ST_REPLACED_BY], values, NULL) > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("payment " INT64_FORMAT " is replaced already", payment_id),
				 errdetail("Payment " INT64_FORMAT " takes its place.", oms_get_int64(0, 1)),
				 errhint("Authorize that one anew.")));
	amount = oms_arg_amount(fcinfo, 2, "amount", head.exponent);
	if (amount < 0)
	{
		int64		rest = oms_payment_capturable(&old);

		oms_payment_balance(&head, &balance);
		if (rest <= 0)
			rest = old.amounts.authorized - old.amounts.voided - old.amounts.captured - old.amounts.capture_pending;
		amount = Min(rest, balance.due - balance.capturable - balance.authorize_pending + Max(oms_payment_capturable(&old), 0));
		if (amount <= 0)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("payment " INT64_FORMAT " has nothing to authorize anew", payment_id),
					 errdetail("Nothing of it is left to capture, or order " INT64_FORMAT " is covered by other payments.", head.order_id),
					 errhint("See views oms.payment_detail and oms.payment_balance.")));
	}
	new.method = old.method;
	new.gateway = old.gateway;
	oms_payment_create(&head, &new, amount, call.actor);
	(void) oms_payment_request(&new, "authorize", amount, 0, oms_payment_by_hand(&call));
	oms_call_done(&call, new.payment_id);
	PG_RETURN_INT64(new.payment_id);
}

/*
 * expire_authorizations(merchant, grace, actor): records as lapsed what is past
 * its end.  A payment with a capture under way is left: its answer tells.
 * Locks order after order, in the order of their ids.  Raises OM002, OM011.
 */
Datum
oms_expire_authorizations(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	const char *actor = oms_actor(fcinfo, 2);
	Datum		values[4];
	int64	   *payments;
	TimestampTz *ends;
	int64		expired = 0;
	int			n;

	oms_arg_require(fcinfo, 1, "grace");
	oms_begin();
	oms_command(actor, NULL, NULL);
	values[0] = Int32GetDatum(merchant);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = TimestampTzGetDatum(oms_now());
	values[3] = Int64GetDatum(MAX_LAPSED);
	n = (int) oms_run(&statements[ST_LAPSED], values, NULL);
	payments = palloc(sizeof(int64) * Max(n, 1));
	ends = palloc(sizeof(TimestampTz) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		payments[i] = oms_get_int64(i, 1);
		ends[i] = oms_get_int64(i, 2);
	}
	for (int i = 0; i < n; i++)
	{
		OmsOrderHead head;
		OmsPayment	payment;

		oms_payment_lock_of(merchant, payments[i], &head, &payment);
		if (oms_payment_capturable(&payment) <= 0 || payment.amounts.capture_pending > 0)
			continue;
		oms_payment_record(&payment, "authorization_expired", psprintf("end " INT64_FORMAT, ends[i]), -1, ends[i], actor);
		expired++;
	}
	oms_end();
	PG_RETURN_INT64(expired);
}
