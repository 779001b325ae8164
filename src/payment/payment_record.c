/*-------------------------------------------------------------------------
 * payment_record.c
 *	  record_payment_event: what a gateway said, in any order, any number of
 *	  times.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "core/guard.h"
#include "core/request.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(oms_record_payment_event);

enum
{
	ARG_MERCHANT,
	ARG_PAYMENT,
	ARG_KIND,
	ARG_AMOUNT,
	ARG_REFERENCE,
	ARG_OCCURRED_AT,
	ARG_DATA,
	ARG_GATEWAY,
	ARG_GATEWAY_REFERENCE,
	ARG_ORDER,
	ARG_METHOD,
	ARG_CURRENCY,
	ARG_INTENT,
	ARG_EXPIRES_AT,
	ARG_ACTOR
};

enum
{
	ST_SEEN,
	ST_RECORD,
	ST_SET_REFERENCE
};

static OmsStatement statements[] = {
	[ST_SEEN] = {
		"SELECT amount, occurred_at, intent_id, expires_at, $5 IS NULL OR data = $5 FROM oms.payment_event "
		"WHERE merchant_id = $1 AND payment_id = $2 AND kind = $3 AND event_reference = $4",
		5, {INT4OID, INT8OID, TEXTOID, TEXTOID, JSONBOID}
	},
	[ST_RECORD] = {
		"INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount, occurred_at, recorded_at, "
		"intent_id, expires_at, actor, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, '{}'))",
		11, {INT4OID, INT8OID, TEXTOID, TEXTOID, NUMERICOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID,
		TEXTOID, JSONBOID}
	},
	[ST_SET_REFERENCE] = {
		"UPDATE oms.payment SET gateway_reference = $3 WHERE merchant_id = $1 AND payment_id = $2",
		3, {INT4OID, INT8OID, TEXTOID}
	},
};

static void
error_argument(const char *name, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("argument \"%s\" is missing or out of range", name),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* A finite instant, or 0 when null.  Raises OM011. */
static TimestampTz
arg_instant(FunctionCallInfo fcinfo, int n, const char *name)
{
	TimestampTz at;

	if (PG_ARGISNULL(n))
		return 0;
	at = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(at))
		error_argument(name, "An instant is finite.", "Give the gateway's time, or null for now.");
	return at;
}

/*
 * The amount of the fact in minor units, or -1 where the kind allows none.
 * Raises OM011, OM017.
 */
static int64
arg_event_amount(FunctionCallInfo fcinfo, const OmsPaymentKind *kind, int exponent)
{
	int64		amount = oms_arg_amount(fcinfo, ARG_AMOUNT, "amount", exponent);

	if (amount < 0 && kind->needs_amount)
		error_argument("amount", psprintf("A fact \"%s\" has an amount.", kind->kind), "Give the amount the gateway named.");
	if (amount >= 0 && kind->class == OMS_PAY_EXPIRY)
		error_argument("amount", "An expiry lets go of all that is authorized and not captured; it has no amount.",
					   "Leave the amount null, or record \"voided\" for a part.");
	return amount;
}

/*
 * Whether the payment has this fact already.  Raises OM010 when it has one of
 * that kind and reference with other content; what the call leaves null is
 * not compared.
 */
static bool
seen_before(FunctionCallInfo fcinfo, const OmsPayment *payment, const char *kind, const char *reference, int64 amount)
{
	Datum		values[5] = {
		Int32GetDatum(payment->merchant), Int64GetDatum(payment->payment_id),
		CStringGetTextDatum(kind), CStringGetTextDatum(reference),
		PG_ARGISNULL(ARG_DATA) ? (Datum) 0 : PG_GETARG_DATUM(ARG_DATA)
	};
	const char *differs = NULL;

	if (oms_run(&statements[ST_SEEN], values, PG_ARGISNULL(ARG_DATA) ? "    n" : NULL) == 0)
		return false;
	if ((oms_is_null(0, 1) ? -1 : oms_get_money(0, 1, payment->exponent)) != amount)
		differs = "amount";
	else if (!PG_ARGISNULL(ARG_OCCURRED_AT) && oms_get_int64(0, 2) != PG_GETARG_INT64(ARG_OCCURRED_AT))
		differs = "occurred_at";
	else if (!PG_ARGISNULL(ARG_INTENT) && oms_get_int64(0, 3) != PG_GETARG_INT64(ARG_INTENT))
		differs = "intent";
	else if (!PG_ARGISNULL(ARG_EXPIRES_AT) && oms_get_int64(0, 4) != PG_GETARG_INT64(ARG_EXPIRES_AT))
		differs = "expires_at";
	else if (!oms_get_bool(0, 5))
		differs = "data";
	if (differs != NULL)
		ereport(ERROR,
				(errcode(OMS_REQUEST_REUSED),
				 errmsg("event reference \"%s\" was recorded before with other content", reference),
				 errdetail("Payment " INT64_FORMAT " has an event \"%s\" of that reference whose %s differs.",
						   payment->payment_id, kind, differs),
				 errhint("An operation of the gateway has one reference of its own; see oms.payment_event.")));
	return true;
}

/*
 * Finds the payment that the arguments name and locks its order and itself; a
 * payment of the named order first heard of now is made.  Raises OM002, OM008,
 * OM011, OM012.
 */
static void
find_payment(FunctionCallInfo fcinfo, int32 merchant, const char *actor, OmsOrderHead *head, OmsPayment *payment)
{
	char	   *gateway = oms_arg_text_or_null(fcinfo, ARG_GATEWAY, "gateway", OMS_KEY_LENGTH);
	char	   *reference = oms_arg_text_or_null(fcinfo, ARG_GATEWAY_REFERENCE, "gateway_reference", OMS_KEY_LENGTH);
	char	   *method = oms_arg_text_or_null(fcinfo, ARG_METHOD, "method", OMS_KEY_LENGTH);
	char	   *currency = oms_arg_text_or_null(fcinfo, ARG_CURRENCY, "currency", OMS_KEY_LENGTH);
	const char *gateway_or_default = gateway != NULL ? gateway : "manual";
	int64		payment_id;
	int64		order_id;

	if (!PG_ARGISNULL(ARG_PAYMENT))
	{
		payment_id = PG_GETARG_INT64(ARG_PAYMENT);
		order_id = oms_payment_order_of(merchant, payment_id);
		oms_order_lock(merchant, order_id, head);
	}
	else if (reference == NULL)
		error_argument("payment_id", "Neither the payment nor the gateway's reference of it is given.",
					   "Give payment_id, or gateway and gateway_reference (and order_id for a payment first heard of).");
	else if (oms_payment_find(merchant, gateway_or_default, reference, &payment_id, &order_id))
		oms_order_lock(merchant, order_id, head);
	else if (PG_ARGISNULL(ARG_ORDER))
		oms_error_unknown_code("payment with gateway reference", merchant, reference);
	else
	{
		oms_order_lock(merchant, PG_GETARG_INT64(ARG_ORDER), head);
		if (!oms_payment_find(merchant, gateway_or_default, reference, &payment_id, &order_id))
		{
			OmsPayment	new = {.method = method != NULL ? method : "external", .gateway = pstrdup(gateway_or_default),
			.gateway_reference = reference};

			oms_payment_create(head, &new, 0, actor);
			payment_id = new.payment_id;
			order_id = head->order_id;
		}
		else if (order_id != head->order_id)
			oms_order_lock(merchant, order_id, head);
	}

	if (!PG_ARGISNULL(ARG_ORDER) && PG_GETARG_INT64(ARG_ORDER) != order_id)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("payment " INT64_FORMAT " is not of order " INT64_FORMAT, payment_id, PG_GETARG_INT64(ARG_ORDER)),
				 errdetail("It pays order " INT64_FORMAT ".", order_id),
				 errhint("Leave order_id out for a payment that is known.")));
	if (currency != NULL && strcmp(currency, head->currency) != 0)
		ereport(ERROR,
				(errcode(OMS_CURRENCY),
				 errmsg("order " INT64_FORMAT " is in %s", head->order_id, head->currency),
				 errdetail("The gateway's event is in %s.", currency),
				 errhint("A payment is in the currency of its order.")));

	oms_payment_lock(head, payment_id, payment);
	if (gateway != NULL && strcmp(gateway, payment->gateway) != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("payment " INT64_FORMAT " is with gateway \"%s\"", payment_id, payment->gateway),
				 errdetail("The event came from \"%s\".", gateway),
				 errhint("Leave the gateway out, or name the payment by its own gateway and reference.")));
	if (reference == NULL || (payment->gateway_reference != NULL && strcmp(reference, payment->gateway_reference) == 0))
		return;
	if (payment->gateway_reference != NULL)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("payment " INT64_FORMAT " has gateway reference \"%s\"", payment_id, payment->gateway_reference),
				 errdetail("The event names \"%s\".", reference),
				 errhint("A payment keeps the first reference its gateway gave it.")));
	if (oms_payment_find(merchant, payment->gateway, reference, &payment_id, &order_id))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("gateway \"%s\" uses reference \"%s\" for another payment", payment->gateway, reference),
				 errdetail("It is payment " INT64_FORMAT ".", payment_id),
				 errhint("Find it in oms.payment by gateway_reference.")));
	{
		Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(payment->payment_id), CStringGetTextDatum(reference)};

		oms_run_guarded(&statements[ST_SET_REFERENCE], values, NULL);
		payment->gateway_reference = reference;
	}
}

/*
 * record_payment_event(...): records a fact once.  Locks order and payment.
 * Raises OM002, OM008, OM010, OM011, OM012, OM017; never OM007, since what a
 * gateway has done cannot be refused.
 */
Datum
oms_record_payment_event(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	const OmsPaymentKind *kind = oms_payment_kind(oms_arg_text(fcinfo, ARG_KIND, "kind", OMS_KEY_LENGTH));
	char	   *reference = oms_arg_text(fcinfo, ARG_REFERENCE, "event_reference", OMS_KEY_LENGTH);
	TimestampTz occurred_at = arg_instant(fcinfo, ARG_OCCURRED_AT, "occurred_at");
	const char *actor = oms_actor(fcinfo, ARG_ACTOR);
	OmsOrderHead head;
	OmsPayment	payment;
	int64		amount;

	if (kind->role == OMS_PAY_REQUEST || kind->class >= OMS_PAY_MOVE_AUTHORIZED)
		error_argument("kind", psprintf("\"%s\" is an intent, not something a gateway says.", kind->kind),
					   "Ask with authorize(), capture(), void() or refund().");
	if (occurred_at > oms_now() + USECS_PER_DAY)
		error_argument("occurred_at", "It is more than a day ahead.", "Give the gateway's time, or null for now.");
	if (!PG_ARGISNULL(ARG_EXPIRES_AT) && (kind->class != OMS_PAY_AUTHORIZE || kind->role != OMS_PAY_SUCCESS))
		error_argument("expires_at", psprintf("A fact \"%s\" does not expire.", kind->kind), "Give it with \"authorized\" only.");
	(void) arg_instant(fcinfo, ARG_EXPIRES_AT, "expires_at");
	if (!PG_ARGISNULL(ARG_DATA) && !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(ARG_DATA)))
		error_argument("data", "It is not an object.", "Give a JSON object, or null.");
	if (!PG_ARGISNULL(ARG_INTENT) && kind->class >= OMS_PAY_CHARGEBACK)
		error_argument("intent", psprintf("A fact \"%s\" answers no intent.", kind->kind), "Leave it out.");

	oms_begin();
	oms_command(actor, NULL, reference);
	find_payment(fcinfo, merchant, actor, &head, &payment);
	amount = arg_event_amount(fcinfo, kind, payment.exponent);
	if (!seen_before(fcinfo, &payment, kind->kind, reference, amount))
	{
		Datum		values[11];
		char		nulls[12] = "           ";

		values[0] = Int32GetDatum(merchant);
		values[1] = Int64GetDatum(payment.payment_id);
		values[2] = CStringGetTextDatum(kind->kind);
		values[3] = CStringGetTextDatum(reference);
		values[4] = oms_scaled_to_numeric(amount, payment.exponent);
		if (amount < 0)
			nulls[4] = 'n';
		values[5] = TimestampTzGetDatum(PG_ARGISNULL(ARG_OCCURRED_AT) ? oms_now() : occurred_at);
		values[6] = TimestampTzGetDatum(oms_now());
		values[7] = PG_ARGISNULL(ARG_INTENT) ? (Datum) 0 : PG_GETARG_DATUM(ARG_INTENT);
		if (PG_ARGISNULL(ARG_INTENT))
			nulls[7] = 'n';
		values[8] = PG_ARGISNULL(ARG_EXPIRES_AT) ? (Datum) 0 : PG_GETARG_DATUM(ARG_EXPIRES_AT);
		if (PG_ARGISNULL(ARG_EXPIRES_AT))
			nulls[8] = 'n';
		values[9] = CStringGetTextDatum(actor);
		values[10] = PG_ARGISNULL(ARG_DATA) ? (Datum) 0 : PG_GETARG_DATUM(ARG_DATA);
		if (PG_ARGISNULL(ARG_DATA))
			nulls[10] = 'n';
		oms_run(&statements[ST_RECORD], values, nulls);
	}
	oms_end();
	PG_RETURN_INT64(payment.payment_id);
}
