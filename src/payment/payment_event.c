/*-------------------------------------------------------------------------
 * payment_event.c
 *	  The trigger on payment_event: whoever inserts a row, it locks order and
 *	  payment, folds the amounts, checks the limits of an intent, and writes
 *	  what follows: the task for the gateway worker, the event, the state of
 *	  refunds and of the order.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"
#include "order/expire.h"
#include "payment/credit.h"
#include "utils/datum.h"

PG_FUNCTION_INFO_V1(oms_payment_event_fold);

/* Columns of payment_event that the trigger reads from the row itself. */
#define COLUMN_MERCHANT	1
#define COLUMN_PAYMENT	2
#define COLUMN_EVENT	3

enum
{
	ST_FACTS,
	ST_REPLACED,
	ST_SET_AMOUNTS,
	ST_REFUND_PAYMENTS,
	ST_REFUND_AMOUNT,
	ST_SET_REFUND
};

static OmsStatement statements[] = {
	[ST_FACTS] = {
		"SELECT event_id, intent_id, refund_id, amount, occurred_at, expires_at, kind, event_reference, actor, reason, data, "
		"CASE WHEN kind = 'capture_requested' THEN data ->> 'rest' END "
		"FROM oms.payment_event WHERE merchant_id = $1 AND payment_id = $2 ORDER BY event_id",
		2, {INT4OID, INT8OID}
	},
	[ST_REPLACED] = {
		"SELECT capturable FROM oms.payment_detail WHERE merchant_id = $1 AND payment_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_SET_AMOUNTS] = {
		"UPDATE oms.payment SET authorized = $3, captured = $4, voided = $5, expired = $6, refunded = $7, charged_back = $8, "
		"authorize_pending = $9, capture_pending = $10, void_pending = $11, refund_pending = $12, authorization_expires_at = $13 "
		"WHERE merchant_id = $1 AND payment_id = $2",
		13, {INT4OID, INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID,
		NUMERICOID, NUMERICOID, NUMERICOID, TIMESTAMPTZOID}
	},
	[ST_REFUND_PAYMENTS] = {
		"SELECT DISTINCT payment_id FROM oms.payment_event WHERE merchant_id = $1 AND refund_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_REFUND_AMOUNT] = {
		"SELECT amount, order_id FROM oms.refund WHERE merchant_id = $1 AND refund_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_SET_REFUND] = {
		"UPDATE oms.refund SET pending = $3, moved = $4, state = $5 WHERE merchant_id = $1 AND refund_id = $2",
		5, {INT4OID, INT8OID, NUMERICOID, NUMERICOID, TEXTOID}
	},
};

static const OmsPaymentKind kinds[] = {
	{"authorize_requested", OMS_PAY_AUTHORIZE, OMS_PAY_REQUEST, true, "payment.requested", "authorize"},
	{"capture_requested", OMS_PAY_CAPTURE, OMS_PAY_REQUEST, true, "payment.requested", "capture"},
	{"void_requested", OMS_PAY_VOID, OMS_PAY_REQUEST, true, "payment.requested", "void"},
	{"refund_requested", OMS_PAY_REFUND, OMS_PAY_REQUEST, true, "payment.requested", "refund"},
	{"authorized", OMS_PAY_AUTHORIZE, OMS_PAY_SUCCESS, true, "payment.authorized", NULL},
	{"authorization_failed", OMS_PAY_AUTHORIZE, OMS_PAY_FAILURE, false, "payment.failed", NULL},
	{"authorization_expired", OMS_PAY_EXPIRY, OMS_PAY_SUCCESS, false, "payment.expired", NULL},
	{"authorization_moved", OMS_PAY_MOVE_AUTHORIZED, OMS_PAY_SUCCESS, true, "payment.moved", NULL},
	{"capture_moved", OMS_PAY_MOVE_CAPTURED, OMS_PAY_SUCCESS, true, "payment.moved", NULL},
	{"captured", OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, true, "payment.captured", NULL},
	{"capture_failed", OMS_PAY_CAPTURE, OMS_PAY_FAILURE, false, "payment.failed", NULL},
	{"voided", OMS_PAY_VOID, OMS_PAY_SUCCESS, false, "payment.voided", NULL},
	{"void_failed", OMS_PAY_VOID, OMS_PAY_FAILURE, false, "payment.failed", NULL},
	{"refunded", OMS_PAY_REFUND, OMS_PAY_SUCCESS, true, "payment.refunded", NULL},
	{"refund_failed", OMS_PAY_REFUND, OMS_PAY_FAILURE, false, "payment.failed", NULL},
	{"charged_back", OMS_PAY_CHARGEBACK, OMS_PAY_SUCCESS, true, "payment.charged_back", NULL},
	{"chargeback_reversed", OMS_PAY_CHARGEBACK, OMS_PAY_FAILURE, false, "payment.chargeback_reversed", NULL},
};

/* What a kind means; OM011 when there is no such kind. */
const OmsPaymentKind *
oms_payment_kind(const char *kind)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return &kinds[i];
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("argument \"kind\" is no kind of payment event"),
			 errdetail("\"%s\" was given.", kind),
			 errhint("Kinds are authorized, authorization_failed, authorization_expired, captured, capture_failed, voided, "
					 "void_failed, refunded, refund_failed, charged_back, chargeback_reversed.")));
	return NULL;
}

/*
 * Reads all facts of a payment, folded amounts not yet worked out.  The rows
 * stay readable with oms_get_*() until the next oms_run().
 */
OmsPaymentFact *
oms_payment_facts(int32 merchant, int64 payment_id, int exponent, int *n)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(payment_id)};
	OmsPaymentFact *facts;

	*n = (int) oms_run(&statements[ST_FACTS], values, NULL);
	facts = palloc0(sizeof(OmsPaymentFact) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		const OmsPaymentKind *info = oms_payment_kind(oms_get_text(i, 7));

		facts[i].event_id = oms_get_int64(i, 1);
		facts[i].intent_id = oms_get_int64(i, 2);
		facts[i].refund_id = oms_get_int64(i, 3);
		facts[i].amount = oms_is_null(i, 4) ? -1 : oms_get_money(i, 4, exponent);
		if (facts[i].amount < 0 && !oms_is_null(i, 4))
			facts[i].amount = -2;	/* check_row() refuses it; -1 is null */
		facts[i].occurred_at = oms_get_int64(i, 5);
		facts[i].expires_at = oms_get_int64(i, 6);
		facts[i].reference = oms_get_text(i, 8);
		facts[i].rest = oms_get_text(i, 12);
		facts[i].class = info->class;
		facts[i].role = info->role;
	}
	return facts;
}

/* Folds; OM017 when a sum does not fit. */
static void
fold(const OmsPayment *payment, OmsPaymentFact *facts, int n, OmsPaymentAmounts *amounts)
{
	if (!oms_payment_fold(facts, n, amounts))
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("amounts of payment " INT64_FORMAT " do not fit", payment->payment_id),
				 errdetail("Their sum is beyond 64 bits of %s's smallest unit.", payment->currency)));
}

/* Writes the folded amounts into the payment's row. */
static void
store_amounts(const OmsPayment *payment)
{
	const OmsPaymentAmounts *a = &payment->amounts;
	int			e = payment->exponent;
	Datum		values[13] = {
		Int32GetDatum(payment->merchant), Int64GetDatum(payment->payment_id),
		oms_scaled_to_numeric(a->authorized, e), oms_scaled_to_numeric(a->captured, e),
		oms_scaled_to_numeric(a->voided, e), oms_scaled_to_numeric(a->expired, e),
		oms_scaled_to_numeric(a->refunded, e), oms_scaled_to_numeric(a->charged_back, e),
		oms_scaled_to_numeric(a->authorize_pending, e), oms_scaled_to_numeric(a->capture_pending, e),
		oms_scaled_to_numeric(a->void_pending, e), oms_scaled_to_numeric(a->refund_pending, e),
		TimestampTzGetDatum(a->expires_at)
	};

	oms_run_guarded(&statements[ST_SET_AMOUNTS], values, a->expires_at == 0 ? "            n" : NULL);
}

static void
error_row(const OmsPaymentKind *info, const char *column, const char *detail)
{
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("a payment event \"%s\" has no such %s", info->kind, column),
			 errdetail("%s", detail),
			 errhint("The comments of oms.payment_event say what each kind has.")));
}

/*
 * What a row may say, whoever wrote it; OM011.  Not CHECKs of the table:
 * PostgreSQL reads the expression of each anew for each statement, which took
 * a fifth of the time of recording a fact.
 */
static void
check_row(const OmsPaymentKind *info, const OmsPaymentFact *fact, int exponent)
{
	if (TIMESTAMP_NOT_FINITE(fact->occurred_at))
		error_row(info, "occurred_at", "An instant is finite.");
	if (fact->reference[0] == '\0')
		error_row(info, "event_reference", "It is empty.");
	if (info->needs_amount ? fact->amount <= 0 : fact->amount == 0 || fact->amount < -1)
		error_row(info, "amount", info->needs_amount ? "It is positive." : "It is positive, or null.");
	if (oms_amount_is_large(fact->amount, exponent))
		error_row(info, "amount", "It is 10^15 or more.");
	if (info->class == OMS_PAY_EXPIRY && fact->amount != -1)
		error_row(info, "amount", "It is null: all that is authorized and not captured.");
	if (fact->intent_id != 0 && (info->role == OMS_PAY_REQUEST || info->class >= OMS_PAY_CHARGEBACK))
		error_row(info, "intent_id", "It answers none.");
	if (fact->refund_id != 0 && (info->class != OMS_PAY_REFUND || info->role != OMS_PAY_REQUEST))
		error_row(info, "refund_id", "Only refund_requested has one.");
	if (fact->expires_at != 0 && (info->class != OMS_PAY_AUTHORIZE || info->role != OMS_PAY_SUCCESS))
		error_row(info, "expires_at", "Only authorized has one.");
}

/* A fact that names an intent must name one of this payment and of its class; OM002. */
static void
check_intent(const OmsPayment *payment, const OmsPaymentFact *facts, int n, const OmsPaymentFact *fact)
{
	if (fact->intent_id == 0)
		return;
	for (int i = 0; i < n; i++)
		if (facts[i].event_id == fact->intent_id && facts[i].role == OMS_PAY_REQUEST && facts[i].class == fact->class)
			return;
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("payment " INT64_FORMAT " has no such intent " INT64_FORMAT, payment->payment_id, fact->intent_id),
			 errdetail("An answer names the *_requested row of the same payment and of its own kind."),
			 errhint("See oms.payment_event, or leave the intent out.")));
}

/*
 * Refuses (OM007) an intent beyond what its payment allows; the payment's
 * amounts have the intent among what is pending.
 */
void
oms_payment_check(const OmsPayment *payment, OmsPaymentClass class, int64 amount)
{
	const OmsPaymentAmounts *a = &payment->amounts;
	int			e = payment->exponent;
	int64		room;

	if (class == OMS_PAY_CAPTURE || class == OMS_PAY_VOID)
	{
		room = oms_payment_capturable(payment);
		if (room < 0)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("payment " INT64_FORMAT " cannot %s %s %s", payment->payment_id,
							class == OMS_PAY_CAPTURE ? "capture" : "void", oms_money_text(amount, e), payment->currency),
					 errdetail("Of %s authorized, %s are captured, %s voided, %s lapsed, and %s are pending besides.",
							   oms_money_text(a->authorized, e), oms_money_text(a->captured, e), oms_money_text(a->voided, e),
							   oms_money_text(a->expired, e), oms_money_text(a->capture_pending + a->void_pending - amount, e)),
					 errhint("At most %s %s can be asked for.", oms_money_text(Max(room + amount, 0), e), payment->currency)));
	}
	if (class == OMS_PAY_REFUND)
	{
		room = oms_payment_refundable(payment);
		if (room < 0)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("payment " INT64_FORMAT " cannot refund %s %s", payment->payment_id,
							oms_money_text(amount, e), payment->currency),
					 errdetail("Of %s captured, %s are refunded, %s charged back, and %s are pending besides.",
							   oms_money_text(a->captured, e), oms_money_text(a->refunded, e), oms_money_text(a->charged_back, e),
							   oms_money_text(a->refund_pending - amount, e)),
					 errhint("At most %s %s can be asked for.", oms_money_text(Max(room + amount, 0), e), payment->currency)));
	}
}

/* Refuses (OM007) an intent beyond what the order owes or has. */
static void
check_order(const OmsOrderHead *head, const OmsPayment *payment, const OmsPaymentKind *info, int64 amount)
{
	int			e = payment->exponent;
	OmsPaymentBalance balance;
	int64		room;

	if (info->class == OMS_PAY_VOID)
		return;
	oms_payment_balance(head, &balance);
	if (info->class == OMS_PAY_REFUND)
	{
		room = balance.captured - balance.charged_back - balance.refunded - balance.refund_pending;
		if (room < 0)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("order " INT64_FORMAT " cannot refund %s %s", head->order_id, oms_money_text(amount, e), payment->currency),
					 errdetail("Of %s captured by all its payments, %s are refunded, %s charged back, and %s are pending besides.",
							   oms_money_text(balance.captured, e), oms_money_text(balance.refunded, e),
							   oms_money_text(balance.charged_back, e), oms_money_text(balance.refund_pending - amount, e)),
					 errhint("At most %s %s can be asked for.", oms_money_text(Max(room + amount, 0), e), payment->currency)));
		return;
	}
	room = balance.due + balance.refund_due;
	if (info->class == OMS_PAY_AUTHORIZE)
	{
		room -= balance.capturable + balance.authorize_pending;
		if (payment->replaces_id != 0)
		{
			Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(payment->replaces_id)};

			oms_run(&statements[ST_REPLACED], values, NULL);
			room += oms_get_money(0, 1, head->exponent);
		}
	}
	if (room < 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("order " INT64_FORMAT " does not owe %s %s more", head->order_id, oms_money_text(amount, e), payment->currency),
				 errdetail("It owes %s; %s are captured, %s refunded, and %s are pending or authorized besides.",
						   oms_money_text(balance.owed, e), oms_money_text(balance.captured - balance.charged_back, e),
						   oms_money_text(balance.refunded + balance.refund_pending, e),
						   oms_money_text(balance.capture_pending +
										  (info->class == OMS_PAY_AUTHORIZE ? balance.capturable + balance.authorize_pending : 0) - amount, e)),
				 errhint("At most %s %s can be asked for.", oms_money_text(Max(room + amount, 0), e), payment->currency)));
}

/* Brings pending, moved and state of a refund in line with its intents, over all payments that carry some. */
static void
store_refund(const OmsPayment *payment, int64 refund_id)
{
	int32		merchant = payment->merchant;
	int			exponent = payment->exponent;
	int64		pending = 0;
	int64		moved = 0;
	int64		amount;
	bool		failed = false;
	int			npayments;
	int64	   *payments;
	const char *state;
	Datum		values[5];

	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(refund_id);
	if (oms_run(&statements[ST_REFUND_AMOUNT], values, NULL) == 0 || oms_get_int64(0, 2) != payment->order_id)
		oms_error_unknown("refund", merchant, refund_id);
	amount = oms_get_money(0, 1, exponent);

	npayments = (int) oms_run(&statements[ST_REFUND_PAYMENTS], values, NULL);
	payments = palloc(sizeof(int64) * npayments);
	for (int i = 0; i < npayments; i++)
		payments[i] = oms_get_int64(i, 1);

	for (int i = 0; i < npayments; i++)
	{
		int			n;
		OmsPaymentFact *facts = oms_payment_facts(merchant, payments[i], exponent, &n);
		OmsPaymentAmounts ignored;

		fold(payment, facts, n, &ignored);
		for (int j = 0; j < n; j++)
		{
			int64		done;

			if (facts[j].refund_id != refund_id)
				continue;
			if (facts[j].answer < 0)
				pending += facts[j].amount;
			else if (oms_payment_operation_done(facts, facts[j].answer, &done))
				moved += done;
			else
				failed = true;
		}
	}

	if (moved >= amount)
		state = "done";
	else if (pending > 0)
		state = "requested";
	else
		state = failed ? "failed" : "granted";
	values[2] = oms_scaled_to_numeric(pending, exponent);
	values[3] = oms_scaled_to_numeric(moved, exponent);
	values[4] = CStringGetTextDatum(state);
	oms_run_guarded(&statements[ST_SET_REFUND], values, NULL);
}

/* All refunds that this payment carries intents of: a fact may answer any of them. */
static void
store_refunds(const OmsPayment *payment, const OmsPaymentFact *facts, int n)
{
	for (int i = 0; i < n; i++)
	{
		bool		seen = facts[i].refund_id == 0;

		for (int j = 0; j < i && !seen; j++)
			seen = facts[j].refund_id == facts[i].refund_id;
		if (!seen)
			store_refund(payment, facts[i].refund_id);
	}
}

/* What the worker outside needs to know to carry out an intent. */
static void
add_task(const OmsPayment *payment, const OmsPaymentKind *info, const OmsPaymentFact *fact)
{
	OmsJson		payload;

	oms_json_begin(&payload);
	oms_json_add_int(&payload, "payment", payment->payment_id);
	oms_json_add_int(&payload, "intent", fact->event_id);
	oms_json_add_text(&payload, "reference", fact->reference);
	oms_json_add_int(&payload, "order", payment->order_id);
	oms_json_add_text(&payload, "method", payment->method);
	oms_json_add_text(&payload, "gateway", payment->gateway);
	if (payment->gateway_reference != NULL)
		oms_json_add_text(&payload, "gateway_reference", payment->gateway_reference);
	oms_json_add_scaled(&payload, "amount", fact->amount, payment->exponent);
	oms_json_add_text(&payload, "currency", payment->currency);
	if (fact->refund_id != 0)
		oms_json_add_int(&payload, "refund", fact->refund_id);
	if (fact->rest != NULL && strcmp(fact->rest, "keep") != 0)
		oms_json_add_text(&payload, "rest", fact->rest);
	oms_task_add_at(payment->merchant, info->task, payment->order_id, "payment", payment->payment_id,
					fact->reference, oms_json_end(&payload), Max(fact->occurred_at, oms_now()));
}

/* The row of the log. */
static void
write_event(const OmsPayment *payment, const OmsPaymentKind *info, const OmsPaymentFact *fact,
			const char *actor, const char *reason, Datum data)
{
	OmsEvent	event = {0};
	OmsJson		payload;

	oms_json_begin(&payload);
	oms_json_add_int(&payload, "payment", payment->payment_id);
	oms_json_add_text(&payload, "kind", info->kind);
	if (fact->amount >= 0)
		oms_json_add_scaled(&payload, "amount", fact->amount, payment->exponent);
	oms_json_add_text(&payload, "currency", payment->currency);
	oms_json_add_text(&payload, "reference", fact->reference);
	if (fact->refund_id != 0)
		oms_json_add_int(&payload, "refund", fact->refund_id);
	oms_json_add_jsonb(&payload, "data", data);

	event.merchant = payment->merchant;
	event.subject_type = "payment";
	event.subject_id = payment->payment_id;
	event.order_id = payment->order_id;
	event.type = info->event;
	event.actor = actor;
	event.reason = reason;
	event.data = oms_json_end(&payload);
	oms_event_write(&event);
}

/*
 * AFTER INSERT row on payment_event.  Locks the order, then the payment.
 * Raises OM002 (payment or intent unknown), OM007 (an intent beyond the
 * limits), OM011 (what the kind does not have), OM017 (amount finer than the
 * currency).
 */
Datum
oms_payment_event_fold(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		isnull;
	int32		merchant = DatumGetInt32(oms_row_get(trigdata, trigdata->tg_trigtuple, COLUMN_MERCHANT, &isnull));
	int64		payment_id = DatumGetInt64(oms_row_get(trigdata, trigdata->tg_trigtuple, COLUMN_PAYMENT, &isnull));
	int64		event_id = DatumGetInt64(oms_row_get(trigdata, trigdata->tg_trigtuple, COLUMN_EVENT, &isnull));
	OmsOrderHead head;
	OmsPayment	payment;
	OmsPaymentAmounts before;
	OmsPaymentFact *facts;
	OmsPaymentFact *fact = NULL;
	const OmsPaymentKind *info = NULL;
	char	   *actor = NULL;
	char	   *reason = NULL;
	Datum		data = (Datum) 0;
	int			n;

	oms_begin_trigger(trigdata);
	oms_order_lock(merchant, oms_payment_order_of(merchant, payment_id), &head);
	oms_order_expire_if_overdue(&head);
	oms_payment_lock(&head, payment_id, &payment);
	before = payment.amounts;

	facts = oms_payment_facts(merchant, payment_id, payment.exponent, &n);
	for (int i = 0; i < n; i++)
	{
		if (facts[i].event_id != event_id)
			continue;
		fact = &facts[i];
		info = oms_payment_kind(oms_get_text(i, 7));
		actor = oms_get_text(i, 9);
		reason = oms_get_text(i, 10);
		data = datumCopy(oms_get(i, 11, &isnull), false, -1);
	}
	if (fact == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("payment event " INT64_FORMAT " is not there", event_id)));

	check_row(info, fact, payment.exponent);
	check_intent(&payment, facts, n, fact);
	fold(&payment, facts, n, &payment.amounts);
	store_amounts(&payment);
	if (payment.account_id != 0)
		oms_credit_follow(&payment, &before, actor);
	if (info->class == OMS_PAY_REFUND)
		store_refunds(&payment, facts, n);
	if (info->role == OMS_PAY_REQUEST)
	{
		oms_payment_check(&payment, info->class, fact->amount);
		check_order(&head, &payment, info, fact->amount);
		if (payment.account_id == 0)
			add_task(&payment, info, fact);
	}
	write_event(&payment, info, fact, actor, reason, data);
	oms_order_refresh_payment(merchant, head.order_id);
	if (info->role != OMS_PAY_REQUEST)
		oms_payment_after_fact(&head, &payment, info, facts, n, fact);
	if (info->class == OMS_PAY_CHARGEBACK)
		oms_payment_after_chargeback(&head, &payment, before.charged_back);
	if (info->role == OMS_PAY_REQUEST && payment.account_id != 0)
		oms_credit_answer(&payment, info, fact, actor);
	oms_end();
	return PointerGetDatum(NULL);
}
