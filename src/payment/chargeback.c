/*-------------------------------------------------------------------------
 * chargeback.c
 *	  What a chargeback sets going: the order is held while money of it is
 *	  taken back, and goes on when it is won.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "utils/array.h"

#define HOLD_KIND "chargeback"

/* All that would send goods or money after money that is gone. */
static Datum
blocked_steps(void)
{
	static const char *const steps[] = {"confirm", "pick", "ship", "capture", "refund"};
	Datum		values[lengthof(steps)];

	for (int i = 0; i < lengthof(steps); i++)
		values[i] = CStringGetTextDatum(steps[i]);
	return PointerGetDatum(construct_array(values, lengthof(steps), TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * After a chargeback or its reversal was folded: before is what the payment had
 * charged back until then.  More of it holds the order; none of any payment
 * releases it, and what waited goes on.  So the hold is there exactly while
 * money is, in whatever order the gateway tells, unless somebody releases it.
 */
void
oms_payment_after_chargeback(const OmsOrderHead *head, const OmsPayment *payment, int64 before)
{
	OmsPaymentBalance balance;

	if (payment->amounts.charged_back > before)
		(void) oms_order_hold_steps(head, HOLD_KIND, psprintf("%s %s of payment " INT64_FORMAT " were charged back",
															 oms_money_text(payment->amounts.charged_back, payment->exponent),
															 payment->currency, payment->payment_id), blocked_steps(), "oms");
	if (payment->amounts.charged_back >= before)
		return;
	oms_payment_balance(head, &balance);
	if (balance.charged_back > 0 || !oms_order_release(head, HOLD_KIND, "oms", "the chargeback was reversed"))
		return;
	oms_payment_move_waiting_refunds(head);
	oms_order_confirm_if_free(head->merchant, head->order_id, "oms");
}
