/*-------------------------------------------------------------------------
 * payment_internal.h
 *	  What the files of payments and returns share.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PAYMENT_INTERNAL_H
#define OMS_PAYMENT_INTERNAL_H

#include "core/oms.h"

#include "core/money.h"
#include "core/request.h"
#include "order/order.h"
#include "payment/payment_fold.h"

/* A locked payment. */
typedef struct OmsPayment
{
	int32		merchant;
	int64		payment_id;
	int64		order_id;
	int64		replaces_id;	/* 0: none */
	int64		account_id;		/* gift card or store credit it spends; 0: a gateway carries it out */
	char		currency[4];
	int			exponent;
	char	   *gateway;
	char	   *gateway_reference;
	char	   *method;
	int			charge_rank;	/* rules of the method: table payment_method */
	int			refund_rank;
	const char *rest;
	OmsPaymentAmounts amounts;
} OmsPayment;

/* What the order owes and has, in minor units: view payment_balance. */
typedef struct OmsPaymentBalance
{
	int64		total;
	int64		cancelled;
	int64		owed;
	int64		captured;
	int64		charged_back;
	int64		refunded;
	int64		refund_pending;
	int64		capture_pending;
	int64		authorize_pending;
	int64		capturable;
	int64		due;
	int64		refund_due;
} OmsPaymentBalance;

/* Why money moves: kept with the intent. */
typedef struct OmsPaymentCause
{
	const char *kind;			/* shipment, cancellation, return, refund, ...; null: asked by hand */
	int64		id;
	const char *actor;
	const char *reason;
	const char *rest;			/* of a capture; null: the method's */
	TimestampTz not_before;		/* 0: at once */
} OmsPaymentCause;

/* What each kind of payment_event is about, what it says, and the event and task it makes. */
typedef struct OmsPaymentKind
{
	const char *kind;
	OmsPaymentClass class;
	OmsPaymentRole role;
	bool		needs_amount;
	const char *event;
	const char *task;
} OmsPaymentKind;

/* payment_store.c */
extern int64 oms_payment_order_of(int32 merchant, int64 payment_id);
extern void oms_payment_create(const OmsOrderHead *head, OmsPayment *payment, int64 amount, const char *actor);
extern bool oms_payment_find(int32 merchant, const char *gateway, const char *reference, int64 *payment_id, int64 *order_id);
extern void oms_payment_lock(const OmsOrderHead *head, int64 payment_id, OmsPayment *payment);
extern int	oms_payment_lock_all(const OmsOrderHead *head, OmsPayment **payments);
extern void oms_payment_sort_charge(OmsPayment *payments, int n);
extern void oms_payment_sort_refund(OmsPayment *payments, int n);
extern int64 oms_payment_capturable(const OmsPayment *payment);
extern int64 oms_payment_refundable(const OmsPayment *payment);
extern void oms_payment_balance(const OmsOrderHead *head, OmsPaymentBalance *balance);
extern int64 oms_payment_request(const OmsPayment *payment, const char *kind, int64 amount, int64 refund_id,
								 const OmsPaymentCause *cause);
extern void oms_payment_record(const OmsPayment *payment, const char *kind, const char *reference, int64 amount,
							   TimestampTz occurred_at, const char *actor);
extern bool oms_amount_is_large(int64 amount, int exponent);
extern int64 oms_arg_amount(FunctionCallInfo fcinfo, int n, const char *name, int exponent);

/* payment_event.c */
extern const OmsPaymentKind *oms_payment_kind(const char *kind);
extern void oms_payment_check(const OmsPayment *payment, OmsPaymentClass class, int64 amount);
extern OmsPaymentFact *oms_payment_facts(int32 merchant, int64 payment_id, int exponent, int *n);

/* payment_flow.c: what follows from a fact */
extern void oms_payment_after_fact(const OmsOrderHead *head, const OmsPayment *payment, const OmsPaymentKind *kind,
								   const OmsPaymentFact *facts, int n, const OmsPaymentFact *fact);
extern void oms_payment_move_waiting_refunds(const OmsOrderHead *head);

/* chargeback.c */
extern void oms_payment_after_chargeback(const OmsOrderHead *head, const OmsPayment *payment, int64 before);

/* payment_command.c */
extern void oms_payment_require_not_cancelled(const OmsOrderHead *head, const char *doing);
extern void oms_payment_lock_of(int32 merchant, int64 payment_id, OmsOrderHead *head, OmsPayment *payment);
extern const OmsPaymentCause *oms_payment_by_hand(const OmsCall *call);

#endif							/* OMS_PAYMENT_INTERNAL_H */
