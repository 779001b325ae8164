/*-------------------------------------------------------------------------
 * payment_flow.c
 *	  Money follows goods: capture on ship, void or refund on cancel, and what
 *	  a gateway's answer sets going.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "order/expire.h"
#include "payment/payment.h"
#include "payment/refund.h"

enum
{
	ST_LINES,
	ST_CHARGES,
	ST_CANCEL_TAX,
	ST_GRANTED
};

static OmsStatement statements[] = {
	[ST_LINES] = {
		"SELECT ordered, cancelled, shipped, total FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CHARGES] = {
		"SELECT coalesce(sum(total), 0) FROM oms.order_charge WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CANCEL_TAX] = {
		"SELECT coalesce((SELECT sum(oms.units_share(l.tax, l.ordered, l.ordered - l.cancelled, l.ordered, $3)) "
		"FROM oms.order_line l WHERE l.merchant_id = $1 AND l.order_id = $2), 0) "
		"+ CASE WHEN (SELECT bool_and(l.cancelled = l.ordered) FROM oms.order_line l WHERE l.merchant_id = $1 AND l.order_id = $2) "
		"THEN coalesce((SELECT sum(c.tax) FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $2), 0) ELSE 0 END, "
		"coalesce((SELECT sum(f.amount) FROM oms.refund f WHERE f.merchant_id = $1 AND f.order_id = $2 AND f.cause = 'cancel'), 0) - r.amount, "
		"coalesce((SELECT sum(f.tax) FROM oms.refund f WHERE f.merchant_id = $1 AND f.order_id = $2 AND f.cause = 'cancel'), 0) - r.tax "
		"FROM (SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(tax), 0) AS tax FROM oms.order_reopening "
		"WHERE merchant_id = $1 AND order_id = $2) r",
		3, {INT4OID, INT8OID, TEXTOID}
	},
	[ST_GRANTED] = {
		"SELECT refund_id FROM oms.refund WHERE merchant_id = $1 AND order_id = $2 AND state IN ('granted', 'requested') "
		"AND amount > moved + pending ORDER BY refund_id",
		2, {INT4OID, INT8OID}
	},
};

/* a * b / divisor, rounded half even; OM017 when it does not fit. */
static int64
share(int64 a, int64 b, int64 divisor)
{
	int64		result;

	if (!oms_mul_div(a, b, divisor, OMS_HALF_EVEN, &result))
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("a share of an amount does not fit into 64 bits")));
	return result;
}

/*
 * Value of what has shipped, charges in proportion; *all tells whether no unit
 * is open any more.
 */
static int64
shipped_value(const OmsOrderHead *head, bool *all)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int64		shipped = 0;
	int64		live = 0;
	int64		charges;
	uint64		n = oms_run(&statements[ST_LINES], values, NULL);

	*all = true;
	for (uint64 i = 0; i < n; i++)
	{
		int32		ordered = oms_get_int32(i, 1);
		int32		cancelled = oms_get_int32(i, 2);
		int32		gone = oms_get_int32(i, 3);
		int64		total = oms_get_money(i, 4, head->exponent);

		shipped = oms_money_add(shipped, oms_units_share(total, ordered, 0, gone));
		live = oms_money_add(live, oms_units_share(total, ordered, 0, ordered - cancelled));
		if (gone < ordered - cancelled)
			*all = false;
	}
	oms_run(&statements[ST_CHARGES], values, NULL);
	charges = oms_get_money(0, 1, head->exponent);
	return oms_money_add(shipped, live > 0 ? share(charges, shipped, live) : 0);
}

/* See payment.h. */
int64
oms_payment_capture_share(const OmsOrderHead *head, int64 amount, const char *cause_kind, int64 cause_id, const char *actor)
{
	OmsPaymentCause cause = {cause_kind, cause_id, actor, NULL};
	OmsPaymentBalance balance;
	OmsPayment *payments;
	int64		want;
	int64		value;
	int64		asked = 0;
	bool		all;
	int			n;

	if (strcmp(head->lifecycle, "cancelled") == 0 || oms_order_is_held(head, "capture"))
		return 0;
	n = oms_payment_lock_all(head, &payments);
	if (n == 0)
		return 0;
	oms_payment_balance(head, &balance);
	if (balance.capturable <= 0)
		return 0;

	value = shipped_value(head, &all);
	want = balance.due + balance.refund_due;
	if (!all)
		want = Min(want, amount == OMS_SHIPPED_SHARE ? value - balance.captured - balance.capture_pending : amount);

	oms_payment_sort_charge(payments, n);
	for (int i = 0; i < n && want > 0; i++)
	{
		int64		part = Min(want, oms_payment_capturable(&payments[i]));

		if (part <= 0)
			continue;
		oms_payment_request(&payments[i], "capture", part, 0, &cause);
		want -= part;
		asked += part;
	}
	return asked;
}

/*
 * Tax contained in a refund of cancelled units, so that the taxes of all such
 * refunds of an order sum to the tax of its cancelled units once they are
 * refunded in full.
 */
static int64
cancel_tax(const OmsOrderHead *head, int64 cancelled, int64 amount)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), CStringGetTextDatum(head->currency)};
	int64		tax;
	int64		before;
	int64		tax_before;

	if (cancelled <= 0)
		return 0;
	oms_run(&statements[ST_CANCEL_TAX], values, NULL);
	tax = oms_get_money(0, 1, head->exponent);
	/* Units that were brought back are refunded anew. */
	before = Max(oms_get_money(0, 2, head->exponent), 0);
	tax_before = Max(oms_get_money(0, 3, head->exponent), 0);
	return Max(share(tax, Min(before + amount, cancelled), cancelled) - tax_before, 0);
}

/* What both commands below do; tax: that of the amount, below 0 for that of the cancelled units. */
static int64
give_back(const OmsOrderHead *head, int64 amount, int64 tax, const char *refund_cause, const char *cause_kind, int64 cause_id,
		  const char *actor, const char *reason)
{
	OmsPaymentCause cause = {cause_kind, cause_id, actor, reason};
	OmsPaymentBalance balance;
	OmsPayment *payments;
	int64		want;
	int64		given = 0;
	int			n;

	n = oms_payment_lock_all(head, &payments);
	if (n == 0)
		return 0;
	oms_payment_balance(head, &balance);
	want = balance.captured - balance.charged_back - balance.refunded - balance.refund_pending
		+ balance.capture_pending + balance.capturable - balance.owed - balance.refund_due;
	want = Min(want, amount);

	oms_payment_sort_refund(payments, n);
	for (int i = 0; i < n && want > 0; i++)
	{
		int64		part = Min(want, oms_payment_capturable(&payments[i]));

		if (part <= 0)
			continue;
		oms_payment_request(&payments[i], "void", part, 0, &cause);
		want -= part;
		given += part;
	}
	if (want > 0)
	{
		OmsRefund	refund = {0};
		int64		refund_id;

		refund.cause = refund_cause;
		refund.cause_id = cause_id;
		refund.amount = want;
		refund.tax = tax < 0 ? cancel_tax(head, balance.cancelled, want) : share(tax, want, amount);
		refund.actor = actor;
		refund.reason = reason;
		refund_id = oms_refund_grant(head, &refund);
		(void) oms_refund_move(head, refund_id, want, actor);
		given += want;
	}
	return given;
}

/* See payment.h. */
int64
oms_payment_void_or_refund(const OmsOrderHead *head, int64 amount, const char *cause_kind, int64 cause_id,
						   const char *actor, const char *reason)
{
	return give_back(head, amount, -1, "cancel", cause_kind, cause_id, actor, reason);
}

/* See payment.h. */
int64
oms_payment_less_owed(const OmsOrderHead *head, int64 amount, int64 tax, const char *cause_kind, int64 cause_id,
					  const char *actor, const char *reason)
{
	return give_back(head, amount, Max(tax, 0), "edit", cause_kind, cause_id, actor, reason);
}

/* See payment.h. */
int64
oms_payment_to_pay(const OmsOrderHead *head)
{
	OmsPaymentBalance balance;

	oms_payment_balance(head, &balance);
	return Max(balance.due - balance.capturable - balance.authorize_pending, 0);
}

/* Asks to give up what is left of an authorization. */
static void
void_rest(const OmsPayment *payment, const OmsPaymentCause *cause)
{
	int64		rest = oms_payment_capturable(payment);

	if (rest > 0)
		oms_payment_request(payment, "void", rest, 0, cause);
}

/* An authorization that arrived: nothing for a cancelled order; the one it replaces is given up. */
static void
after_authorized(const OmsOrderHead *head, const OmsPayment *payment)
{
	OmsPaymentCause cause = {"cancellation", head->order_id, "oms", "the order was cancelled before"};
	OmsPayment	replaced;

	if (strcmp(head->lifecycle, "cancelled") == 0)
		void_rest(payment, &cause);
	if (payment->replaces_id == 0)
		return;
	cause = (OmsPaymentCause) {"reauthorization", payment->payment_id, "oms", "it was authorized anew"};
	oms_payment_lock(head, payment->replaces_id, &replaced);
	void_rest(&replaced, &cause);
}

/*
 * What becomes of the rest of the authorization, as the answered request to
 * capture said: a void is asked for, or it has lapsed with the capture.
 */
static void
settle_rest(const OmsPayment *payment, const OmsPaymentFact *facts, int n, const OmsPaymentFact *fact)
{
	OmsPaymentCause cause = {"capture", fact->event_id, "oms", "the rest was given up with the capture"};

	for (int i = 0; i < n; i++)
	{
		int64		ignored;

		if (facts[i].class != OMS_PAY_CAPTURE || facts[i].role != OMS_PAY_REQUEST || facts[i].answer != fact->operation ||
			facts[i].rest == NULL || !oms_payment_operation_done(facts, fact->operation, &ignored))
			continue;
		if (strcmp(facts[i].rest, "release") == 0)
			void_rest(payment, &cause);
		else if (strcmp(facts[i].rest, "expire") == 0 && oms_payment_capturable(payment) > 0)
			oms_payment_record(payment, "authorization_expired", psprintf("rest of " INT64_FORMAT, facts[i].event_id), -1,
							   fact->occurred_at, "oms");
		return;
	}
}

/*
 * Captured money beyond what the order owes goes to refunds that were granted
 * and had nothing to be taken from; without such a refund it stays, visible as
 * overpaid, unless the order had expired unpaid: then it is granted back.
 */
void
oms_payment_move_waiting_refunds(const OmsOrderHead *head)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	uint64		n = oms_run(&statements[ST_GRANTED], values, NULL);
	OmsPaymentBalance balance;
	int64	   *refunds;
	int64		over;

	if (n == 0)
		return;
	refunds = palloc(sizeof(int64) * n);
	for (uint64 i = 0; i < n; i++)
		refunds[i] = oms_get_int64(i, 1);
	oms_payment_balance(head, &balance);
	over = -balance.due;
	for (uint64 i = 0; i < n && over > 0; i++)
		over -= oms_refund_move(head, refunds[i], over, "oms");
}

/* What a fact, folded already, sets going, with order and payment locked. */
void
oms_payment_after_fact(const OmsOrderHead *head, const OmsPayment *payment, const OmsPaymentKind *kind,
					   const OmsPaymentFact *facts, int n, const OmsPaymentFact *fact)
{
	if (kind->role != OMS_PAY_SUCCESS)
		return;
	if (kind->class == OMS_PAY_AUTHORIZE)
		after_authorized(head, payment);
	else if (kind->class == OMS_PAY_CAPTURE)
	{
		settle_rest(payment, facts, n, fact);
		oms_payment_move_waiting_refunds(head);
		if (strcmp(head->lifecycle, "cancelled") == 0 && oms_order_has_expired(head))
			oms_payment_void_or_refund(head, PG_INT64_MAX, "expiry", head->order_id, "oms", "the order had expired unpaid");
	}
}
