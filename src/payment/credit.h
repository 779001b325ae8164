/*-------------------------------------------------------------------------
 * credit.h
 *	  Gift cards and store credit: accounts that pay without a gateway.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_CREDIT_H
#define OMS_CREDIT_H

#include "payment/payment_internal.h"

/*
 * Pays the locked order from a gift card (code) or an account of its customer
 * (account_id), at most so much; amount -1: what the account has.  Returns the
 * payment; *paid is its amount.
 */
extern int64 oms_credit_pay(const OmsOrderHead *head, const char *code, int64 account_id, int64 amount, int64 at_most,
							const OmsPaymentCause *cause, int64 *paid);

/* Brings the account in line after a fact of a payment that spends it. */
extern void oms_credit_follow(const OmsPayment *payment, const OmsPaymentAmounts *before, const char *actor);

/* Answers an intent of such a payment: nobody outside is asked. */
extern void oms_credit_answer(const OmsPayment *payment, const OmsPaymentKind *info, const OmsPaymentFact *fact, const char *actor);

#endif							/* OMS_CREDIT_H */
