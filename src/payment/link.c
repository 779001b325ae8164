/*-------------------------------------------------------------------------
 * link.c
 *	  Pay links: a token that stands for an amount of an order until an
 *	  instant, and makes one payment.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "core/guard.h"

PG_FUNCTION_INFO_V1(oms_create_pay_link);
PG_FUNCTION_INFO_V1(oms_use_pay_link);
PG_FUNCTION_INFO_V1(oms_cancel_pay_link);

enum
{
	ST_CREATE,
	ST_FIND,
	ST_LOOK,
	ST_USED,
	ST_ORDER,
	ST_CANCEL
};

static OmsStatement statements[] = {
	[ST_CREATE] = {
		"INSERT INTO oms.pay_link (merchant_id, order_id, token_hash, amount, whole, currency, created_at, expires_at, actor) "
		"VALUES ($1, $2, oms.code_hash($1, $3), $4, $5, $6, $7, $8, $9) ON CONFLICT (merchant_id, token_hash) DO NOTHING RETURNING link_id",
		9, {INT4OID, INT8OID, TEXTOID, NUMERICOID, BOOLOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_FIND] = {
		"SELECT link_id, order_id FROM oms.pay_link WHERE merchant_id = $1 AND token_hash = oms.code_hash($1, $2)",
		2, {INT4OID, TEXTOID}
	},
	[ST_LOOK] = {
		"SELECT state, amount, open, expires_at FROM oms.pay_links WHERE merchant_id = $1 AND link_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_USED] = {
		"UPDATE oms.pay_link SET payment_id = $3, used_at = $4 WHERE merchant_id = $1 AND link_id = $2",
		4, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_ORDER] = {
		"SELECT order_id FROM oms.pay_link WHERE merchant_id = $1 AND link_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CANCEL] = {
		"UPDATE oms.pay_link SET cancelled_at = $3 WHERE merchant_id = $1 AND link_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
};

#define MIN_TOKEN 20			/* characters */

/* create_pay_link(merchant, order_id, token, expires_at, amount, request_key, actor, reason).  Locks the order. */
Datum
oms_create_pay_link(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *token = oms_arg_text(fcinfo, 2, "token", OMS_KEY_LENGTH);
	TimestampTz expires_at;
	OmsCall		call;
	OmsOrderHead head;
	OmsPaymentBalance balance;
	Datum		values[9];
	int64		amount;
	int64		open;
	int64		link_id;

	oms_arg_require(fcinfo, 3, "expires_at");
	expires_at = PG_GETARG_TIMESTAMPTZ(3);
	if (strlen(token) < MIN_TOKEN || TIMESTAMP_NOT_FINITE(expires_at))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", strlen(token) < MIN_TOKEN ? "token" : "expires_at"),
				 errdetail("A token has at least %d characters, and the end of a link is finite.", MIN_TOKEN),
				 errhint("new_code() makes a token.")));
	if (oms_call_repeated(fcinfo, "create_pay_link", 5, &call, &link_id))
		PG_RETURN_INT64(link_id);
	oms_order_lock(call.merchant, order_id, &head);
	oms_payment_require_not_cancelled(&head, "paid");
	amount = oms_arg_amount(fcinfo, 4, "amount", head.exponent);
	oms_payment_balance(&head, &balance);
	open = balance.due - balance.capturable - balance.authorize_pending;
	if (open <= 0 || amount > open)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("order " INT64_FORMAT " does not owe that much", order_id),
				 errdetail("%s %s are neither paid, authorized nor asked for.", oms_money_text(Max(open, 0), head.exponent), head.currency),
				 errhint("See view oms.payment_balance.")));
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(order_id);
	values[2] = CStringGetTextDatum(token);
	values[3] = oms_scaled_to_numeric(amount < 0 ? open : amount, head.exponent);
	values[4] = BoolGetDatum(amount < 0);
	values[5] = CStringGetTextDatum(head.currency);
	values[6] = TimestampTzGetDatum(oms_now());
	values[7] = TimestampTzGetDatum(expires_at);
	values[8] = CStringGetTextDatum(call.actor);
	if (oms_run_guarded(&statements[ST_CREATE], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("a pay link has this token already"),
				 errhint("Take another from new_code().")));
	link_id = oms_get_int64(0, 1);
	oms_call_done(&call, link_id);
	PG_RETURN_INT64(link_id);
}

/* Refuses a link that is not open any more: OM008, a stale amount OM007. */
static void
require_open(const OmsOrderHead *head, int64 link_id)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(link_id)};
	char	   *state;

	oms_run_latest(&statements[ST_LOOK], values, NULL);
	state = oms_get_text(0, 1);
	if (strcmp(state, "open") == 0)
		return;
	if (strcmp(state, "stale") == 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("pay link " INT64_FORMAT " is over another amount than its order owes now", link_id),
				 errdetail("It is over %s %s; %s are owed and not under way.", oms_money_text(oms_get_money(0, 2, head->exponent), head->exponent),
						   head->currency, oms_money_text(oms_get_money(0, 3, head->exponent), head->exponent)),
				 errhint("Create a new link.")));
	ereport(ERROR,
			(errcode(OMS_STATE),
			 errmsg("pay link " INT64_FORMAT " is %s", link_id, state),
			 errdetail("A link pays once, until its end, unless it is cancelled."),
			 errhint("Create a new link.")));
}

/*
 * use_pay_link(merchant, token, method, gateway, gateway_reference, request_key,
 * actor): makes the payment that the link stands for and asks to authorize it.
 * Locks the order, which all who use its links at once wait for.
 */
Datum
oms_use_pay_link(PG_FUNCTION_ARGS)
{
	char	   *token = oms_arg_text(fcinfo, 1, "token", OMS_KEY_LENGTH);
	OmsPayment	payment = {.method = oms_arg_text(fcinfo, 2, "method", OMS_KEY_LENGTH),
	.gateway = oms_arg_text(fcinfo, 3, "gateway", OMS_KEY_LENGTH),
	.gateway_reference = oms_arg_text_or_null(fcinfo, 4, "gateway_reference", OMS_KEY_LENGTH)};
	OmsCall		call;
	OmsOrderHead head;
	Datum		values[4];
	int64		link_id;
	int64		amount;
	int64		result;

	if (oms_call_repeated(fcinfo, "use_pay_link", 5, &call, &result))
		PG_RETURN_INT64(result);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = CStringGetTextDatum(token);
	if (oms_run(&statements[ST_FIND], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("no pay link has this token"),
				 errhint("Ask for a new link.")));
	link_id = oms_get_int64(0, 1);
	oms_order_lock(call.merchant, oms_get_int64(0, 2), &head);
	require_open(&head, link_id);
	amount = oms_get_money(0, 2, head.exponent);
	oms_payment_create(&head, &payment, amount, call.actor);
	(void) oms_payment_request(&payment, "authorize", amount, 0,
							   &(OmsPaymentCause) {"pay_link", link_id, call.actor, call.reason});
	values[1] = Int64GetDatum(link_id);
	values[2] = Int64GetDatum(payment.payment_id);
	values[3] = TimestampTzGetDatum(oms_now());
	oms_run_guarded(&statements[ST_USED], values, NULL);
	oms_call_done(&call, payment.payment_id);
	PG_RETURN_INT64(payment.payment_id);
}

/* cancel_pay_link(merchant, link_id, request_key, actor, reason).  OM002; OM008 when it is used. */
Datum
oms_cancel_pay_link(PG_FUNCTION_ARGS)
{
	int64		link_id = oms_arg_int64(fcinfo, 1, "link_id");
	OmsCall		call;
	OmsOrderHead head;
	Datum		values[3];
	int64		result;

	if (oms_call_repeated(fcinfo, "cancel_pay_link", 2, &call, &result))
		PG_RETURN_INT64(result);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(link_id);
	if (oms_run(&statements[ST_ORDER], values, NULL) == 0)
		oms_error_unknown("pay link", call.merchant, link_id);
	oms_order_lock(call.merchant, oms_get_int64(0, 1), &head);
	oms_run_latest(&statements[ST_LOOK], values, NULL);
	if (strcmp(oms_get_text(0, 1), "used") == 0)
		require_open(&head, link_id);
	values[2] = TimestampTzGetDatum(oms_now());
	oms_run_guarded(&statements[ST_CANCEL], values, NULL);
	oms_call_done(&call, link_id);
	PG_RETURN_INT64(link_id);
}
