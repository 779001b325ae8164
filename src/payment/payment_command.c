/*-------------------------------------------------------------------------
 * payment_command.c
 *	  Commands that ask a gateway for something: authorize, capture, void,
 *	  refund.  Each writes an intent; the trigger on payment_event has the last
 *	  word on the limits, here a payment's are checked before, for a plain error.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "core/guard.h"
#include "core/request.h"
#include "payment/payment.h"
#include "payment/refund.h"

PG_FUNCTION_INFO_V1(oms_authorize);
PG_FUNCTION_INFO_V1(oms_capture);
PG_FUNCTION_INFO_V1(oms_void);
PG_FUNCTION_INFO_V1(oms_refund);
PG_FUNCTION_INFO_V1(oms_request_refund);
PG_FUNCTION_INFO_V1(oms_return_money);

enum
{
	ST_MANUAL_TAX,
	ST_REFUND_ORDER
};

static OmsStatement statements[] = {
	[ST_MANUAL_TAX] = {
		"SELECT s.tax, coalesce(sum(f.amount), 0), coalesce(sum(f.tax), 0) FROM oms.sales_order s "
		"LEFT JOIN oms.refund f ON f.merchant_id = s.merchant_id AND f.order_id = s.order_id "
		"AND f.cause = 'manual' AND f.state <> 'failed' "
		"WHERE s.merchant_id = $1 AND s.order_id = $2 GROUP BY s.tax",
		2, {INT4OID, INT8OID}
	},
	[ST_REFUND_ORDER] = {
		"SELECT order_id, state FROM oms.refund WHERE merchant_id = $1 AND refund_id = $2",
		2, {INT4OID, INT8OID}
	},
};

/* Refuses (OM008) to ask for money for a cancelled order. */
void
oms_payment_require_not_cancelled(const OmsOrderHead *head, const char *doing)
{
	if (strcmp(head->lifecycle, "cancelled") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is cancelled", head->order_id),
				 errdetail("It cannot be %s.", doing),
				 errhint("Place a new order.")));
}

static void
error_nothing(const OmsPayment *payment, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(OMS_LIMIT),
			 errmsg("payment " INT64_FORMAT " has nothing to %s", payment->payment_id, what),
			 errdetail("Authorized %s, captured %s, voided %s, lapsed %s, refunded %s, charged back %s; pending: capture %s, void %s, refund %s.",
					   oms_money_text(payment->amounts.authorized, payment->exponent),
					   oms_money_text(payment->amounts.captured, payment->exponent),
					   oms_money_text(payment->amounts.voided, payment->exponent),
					   oms_money_text(payment->amounts.expired, payment->exponent),
					   oms_money_text(payment->amounts.refunded, payment->exponent),
					   oms_money_text(payment->amounts.charged_back, payment->exponent),
					   oms_money_text(payment->amounts.capture_pending, payment->exponent),
					   oms_money_text(payment->amounts.void_pending, payment->exponent),
					   oms_money_text(payment->amounts.refund_pending, payment->exponent)),
			 errhint("%s", hint)));
}

/* The cause of an intent that a caller asks for, with nothing behind it. */
const OmsPaymentCause *
oms_payment_by_hand(const OmsCall *call)
{
	OmsPaymentCause *cause = palloc0(sizeof(OmsPaymentCause));

	cause->actor = call->actor;
	cause->reason = call->reason;
	return cause;
}

/*
 * authorize(merchant, order_id, method, amount, gateway, gateway_reference,
 * request_key, actor, reason, not_before): makes a payment and asks the gateway
 * to authorize, at once or later.  Locks the order.  Raises OM002, OM007, OM008, OM010, OM011, OM017.
 */
Datum
oms_authorize(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *method = oms_arg_text(fcinfo, 2, "method", OMS_KEY_LENGTH);
	char	   *gateway = oms_arg_text(fcinfo, 4, "gateway", OMS_KEY_LENGTH);
	char	   *reference = oms_arg_text_or_null(fcinfo, 5, "gateway_reference", OMS_KEY_LENGTH);
	TimestampTz not_before = PG_ARGISNULL(9) ? 0 : PG_GETARG_TIMESTAMPTZ(9);
	OmsCall		call;
	OmsOrderHead head;
	OmsPayment	payment = {.method = method, .gateway = gateway, .gateway_reference = reference};
	OmsPaymentCause cause;
	int64		amount;
	int64		result;

	if (not_before != 0 && (TIMESTAMP_NOT_FINITE(not_before) || not_before < oms_now()))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"not_before\" is out of range"),
				 errdetail("It is in the past or not finite."),
				 errhint("Give an instant to come, or null for at once.")));
	if (oms_call_repeated(fcinfo, "authorize", 6, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_id, &head);
	oms_payment_require_not_cancelled(&head, "paid");
	amount = oms_arg_amount(fcinfo, 3, "amount", head.exponent);
	if (amount < 0)
	{
		OmsPaymentBalance balance;

		oms_payment_balance(&head, &balance);
		amount = balance.due - balance.capturable - balance.authorize_pending;
		if (amount <= 0)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("order " INT64_FORMAT " owes nothing more", order_id),
					 errdetail("It owes %s; %s are captured or asked for, %s authorized or asked for besides.",
							   oms_money_text(balance.owed, head.exponent),
							   oms_money_text(balance.owed - balance.due, head.exponent),
							   oms_money_text(balance.capturable + balance.authorize_pending, head.exponent)),
					 errhint("See view oms.payment_balance.")));
	}
	oms_payment_create(&head, &payment, amount, call.actor);
	cause = *oms_payment_by_hand(&call);
	cause.not_before = not_before;
	(void) oms_payment_request(&payment, "authorize", amount, 0, &cause);
	oms_call_done(&call, payment.payment_id);
	PG_RETURN_INT64(payment.payment_id);
}

/* What capture, void and refund begin with: locks the payment's order and the payment. */
void
oms_payment_lock_of(int32 merchant, int64 payment_id, OmsOrderHead *head, OmsPayment *payment)
{
	oms_order_lock(merchant, oms_payment_order_of(merchant, payment_id), head);
	oms_payment_lock(head, payment_id, payment);
}

/* What becomes of the rest of an authorization: keep, release or expire; null: as the method's rule says. */
static const char *
arg_rest(FunctionCallInfo fcinfo, int n)
{
	const char *rest = oms_arg_text_or_null(fcinfo, n, "rest", OMS_KEY_LENGTH);

	if (rest != NULL && strcmp(rest, "keep") != 0 && strcmp(rest, "release") != 0 && strcmp(rest, "expire") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"rest\" is out of range"),
				 errdetail("\"%s\" was given.", rest),
				 errhint("Give keep, release or expire, or null for the rule of the payment's method.")));
	return rest;
}

/*
 * capture(merchant, payment_id, amount, request_key, actor, reason, rest): asks
 * the gateway to capture, and says what becomes of the rest.  Raises OM002, OM005, OM007, OM008, OM010, OM011, OM017.
 */
Datum
oms_capture(PG_FUNCTION_ARGS)
{
	int64		payment_id = oms_arg_int64(fcinfo, 1, "payment_id");
	const char *rest = arg_rest(fcinfo, 6);
	OmsCall		call;
	OmsOrderHead head;
	OmsPayment	payment;
	OmsPaymentCause cause;
	int64		amount;
	int64		intent;

	if (oms_call_repeated(fcinfo, "capture", 3, &call, &intent))
		PG_RETURN_INT64(intent);
	oms_payment_lock_of(call.merchant, payment_id, &head, &payment);
	oms_payment_require_not_cancelled(&head, "captured for");
	oms_order_require_no_hold(&head, "capture");
	amount = oms_arg_amount(fcinfo, 2, "amount", head.exponent);
	if (amount < 0)
	{
		OmsPaymentBalance balance;

		oms_payment_balance(&head, &balance);
		amount = Min(oms_payment_capturable(&payment), balance.due);
		if (amount <= 0)
			error_nothing(&payment, "capture",
						  balance.due <= 0 ? "The order owes nothing more: see view oms.payment_balance." :
						  "Authorize again, or take another payment of the order.");
	}
	payment.amounts.capture_pending += amount;
	oms_payment_check(&payment, OMS_PAY_CAPTURE, amount);
	cause = *oms_payment_by_hand(&call);
	cause.rest = rest;
	intent = oms_payment_request(&payment, "capture", amount, 0, &cause);
	oms_call_done(&call, intent);
	PG_RETURN_INT64(intent);
}

/*
 * void(merchant, payment_id, amount, request_key, actor, reason): asks the
 * gateway to give up (a part of) the authorization.  Raises OM002, OM007,
 * OM010, OM011, OM017.
 */
Datum
oms_void(PG_FUNCTION_ARGS)
{
	int64		payment_id = oms_arg_int64(fcinfo, 1, "payment_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsPayment	payment;
	int64		amount;
	int64		intent;

	if (oms_call_repeated(fcinfo, "void", 3, &call, &intent))
		PG_RETURN_INT64(intent);
	oms_payment_lock_of(call.merchant, payment_id, &head, &payment);
	amount = oms_arg_amount(fcinfo, 2, "amount", head.exponent);
	if (amount < 0)
	{
		amount = oms_payment_capturable(&payment);
		if (amount <= 0)
			error_nothing(&payment, "void", "What is captured is given back by refund().");
	}
	payment.amounts.void_pending += amount;
	oms_payment_check(&payment, OMS_PAY_VOID, amount);
	intent = oms_payment_request(&payment, "void", amount, 0, oms_payment_by_hand(&call));
	oms_call_done(&call, intent);
	PG_RETURN_INT64(intent);
}

/*
 * Tax contained in a refund that names no units: the order's tax in
 * proportion, so that such refunds of the whole order sum to its tax.
 */
static int64
manual_tax(const OmsOrderHead *head, int64 amount)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int64		tax;
	int64		before;
	int64		tax_before;
	int64		sum;

	if (head->total <= 0)
		return 0;
	oms_run(&statements[ST_MANUAL_TAX], values, NULL);
	tax = oms_get_money(0, 1, head->exponent);
	before = oms_get_money(0, 2, head->exponent);
	tax_before = oms_get_money(0, 3, head->exponent);
	if (!oms_mul_div(tax, Min(oms_money_add(before, amount), head->total), head->total, OMS_HALF_EVEN, &sum))
		return 0;
	return Max(sum - tax_before, 0);
}

/*
 * refund(merchant, payment_id, amount, request_key, actor, reason): grants a
 * refund and asks the gateway of this payment to move it.  Raises OM002,
 * OM005, OM007, OM010, OM011, OM017.
 */
Datum
oms_refund(PG_FUNCTION_ARGS)
{
	int64		payment_id = oms_arg_int64(fcinfo, 1, "payment_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsPayment	payment;
	OmsRefund	refund = {0};
	int64		refund_id;
	int64		room;

	if (oms_call_repeated(fcinfo, "refund", 3, &call, &refund_id))
		PG_RETURN_INT64(refund_id);
	oms_payment_lock_of(call.merchant, payment_id, &head, &payment);
	oms_order_require_no_hold(&head, "refund");
	refund.amount = oms_arg_amount(fcinfo, 2, "amount", head.exponent);
	room = oms_payment_refundable(&payment);
	if (refund.amount < 0)
		refund.amount = room;
	if (room <= 0)
		error_nothing(&payment, "refund", "An authorization that is not captured is given back by void().");
	payment.amounts.refund_pending += refund.amount;
	oms_payment_check(&payment, OMS_PAY_REFUND, refund.amount);
	refund.cause = "manual";
	refund.cause_id = payment_id;
	refund.tax = manual_tax(&head, refund.amount);
	refund.actor = call.actor;
	refund.reason = call.reason;
	refund_id = oms_refund_grant(&head, &refund);
	(void) oms_payment_request(&payment, "refund", refund.amount, refund_id,
							   &(OmsPaymentCause) {"refund", refund_id, call.actor, call.reason});
	oms_call_done(&call, refund_id);
	PG_RETURN_INT64(refund_id);
}

/*
 * request_refund(merchant, refund_id, request_key, actor, reason): asks for
 * what a granted refund has neither moved nor asked for: the gateway refused
 * before, or there was nothing captured then.  Raises OM002, OM005, OM007,
 * OM008, OM010, OM011.
 */
Datum
oms_request_refund(PG_FUNCTION_ARGS)
{
	int64		refund_id = oms_arg_int64(fcinfo, 1, "refund_id");
	OmsCall		call;
	Datum		values[2] = {Int32GetDatum(oms_arg_merchant(fcinfo)), Int64GetDatum(refund_id)};
	OmsOrderHead head;
	char	   *state;
	int64		result;

	if (oms_call_repeated(fcinfo, "request_refund", 2, &call, &result))
		PG_RETURN_INT64(result);
	if (oms_run(&statements[ST_REFUND_ORDER], values, NULL) == 0)
		oms_error_unknown("refund", call.merchant, refund_id);
	oms_order_lock(call.merchant, oms_get_int64(0, 1), &head);
	oms_order_require_no_hold(&head, "refund");
	oms_run(&statements[ST_REFUND_ORDER], values, NULL);
	state = oms_get_text(0, 2);
	if (strcmp(state, "done") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("refund " INT64_FORMAT " is done", refund_id),
				 errdetail("All of it is moved."),
				 errhint("Nothing more needs to be asked for.")));
	if (oms_refund_move(&head, refund_id, PG_INT64_MAX, call.actor) == 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("refund " INT64_FORMAT " cannot be moved", refund_id),
				 errdetail("It is %s, and the payments of order " INT64_FORMAT " have nothing captured that is not refunded or asked for.",
						   state, head.order_id),
				 errhint("See views oms.refund_not_moved and oms.payment_detail.")));
	oms_call_done(&call, refund_id);
	PG_RETURN_INT64(refund_id);
}

/*
 * return_money(merchant, order_id, amount, request_key, actor, reason): gives
 * back by whatever way is right.  What the order has beyond what it owes is
 * voided, and refunded where it is captured; the rest is a refund granted by
 * hand, of captured money alone.  Answers how much is voided.  Raises OM002,
 * OM005, OM007, OM010, OM011, OM017.
 */
Datum
oms_return_money(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsPaymentBalance before;
	OmsPaymentBalance after;
	OmsRefund	refund = {0};
	int64		amount;
	int64		over;
	int64		voided;

	if (oms_call_repeated(fcinfo, "return_money", 3, &call, &voided))
	{
		/* kept in minor units */
		oms_begin();
		oms_order_lock(call.merchant, order_id, &head);
		oms_end();
		PG_RETURN_DATUM(oms_scaled_to_numeric(voided, head.exponent));
	}
	oms_order_lock(call.merchant, order_id, &head);
	oms_order_require_no_hold(&head, "refund");
	amount = oms_arg_amount(fcinfo, 2, "amount", head.exponent);
	oms_payment_balance(&head, &before);
	over = Max(before.capturable - before.due - before.refund_due, 0);
	if (amount < 0)
		amount = over;
	if (amount <= 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("order " INT64_FORMAT " has no money beyond what it owes", order_id),
				 errhint("Give an amount to return more: see view oms.payment_balance.")));
	if (over > 0)
		refund.amount = amount - oms_payment_void_or_refund(&head, Min(amount, over), "return_money", order_id, call.actor, call.reason);
	else
		refund.amount = amount;
	oms_payment_balance(&head, &after);
	voided = before.capturable - after.capturable;
	if (refund.amount > 0)
	{
		int64		room = after.captured - after.charged_back - after.refunded - after.refund_pending - after.refund_due;
		int64		refund_id;

		if (refund.amount > room)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("%s cannot be returned for order " INT64_FORMAT, oms_money_text(amount, head.exponent), order_id),
					 errdetail("%s are authorized beyond what it owes, %s are captured and not refunded or granted.",
							   oms_money_text(voided, head.exponent), oms_money_text(Max(room, 0), head.exponent)),
					 errhint("What it owes and is only authorized becomes less by an edit or a cancellation.")));
		refund.cause = "manual";
		refund.tax = manual_tax(&head, refund.amount);
		refund.actor = call.actor;
		refund.reason = call.reason;
		refund_id = oms_refund_grant(&head, &refund);
		(void) oms_refund_move(&head, refund_id, refund.amount, call.actor);
	}
	oms_call_done(&call, voided);
	PG_RETURN_DATUM(oms_scaled_to_numeric(voided, head.exponent));
}
