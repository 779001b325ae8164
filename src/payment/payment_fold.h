/*-------------------------------------------------------------------------
 * payment_fold.h
 *	  The amounts of a payment as a pure function of its events; nothing of
 *	  PostgreSQL in it, so that it is tested and fuzzed alone.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PAYMENT_FOLD_H
#define OMS_PAYMENT_FOLD_H

#include <stdbool.h>
#include <stdint.h>

/* What an event is about. */
typedef enum OmsPaymentClass
{
	OMS_PAY_AUTHORIZE,
	OMS_PAY_CAPTURE,
	OMS_PAY_VOID,
	OMS_PAY_REFUND,
	OMS_PAY_CHARGEBACK,
	OMS_PAY_EXPIRY,
	OMS_PAY_MOVE_AUTHORIZED,	/* to a payment of another order */
	OMS_PAY_MOVE_CAPTURED
} OmsPaymentClass;

/* What it says of it. */
typedef enum OmsPaymentRole
{
	OMS_PAY_REQUEST,			/* we asked the gateway */
	OMS_PAY_SUCCESS,			/* the gateway did it */
	OMS_PAY_FAILURE				/* the gateway did not, or took it back */
} OmsPaymentRole;

typedef struct OmsPaymentFact
{
	int64_t		event_id;		/* order of recording */
	int64_t		intent_id;		/* request this answers, as the caller said; 0: not said */
	int64_t		refund_id;		/* of a refund request; 0: none */
	int64_t		amount;			/* minor units; -1: not said */
	int64_t		occurred_at;	/* gateway's time, microseconds */
	int64_t		expires_at;		/* of an authorization; 0: not said */
	const char *reference;		/* the gateway's name of the operation */
	const char *rest;			/* of a capture request: what becomes of the rest, see oms_payment_rest() */
	OmsPaymentClass class;
	OmsPaymentRole role;
	/* worked out by the fold; those from newest on in the first fact of an operation only */
	int			operation;		/* first fact of the same operation */
	int			answer;			/* of a request: its operation, or -1 while open */
	int			newest;			/* the fact that counts */
	int64_t		value;			/* amount of the newest fact that names one, or -1 */
	int64_t		first;			/* lowest event_id */
	bool		taken;			/* answers some request */
} OmsPaymentFact;

/* Minor units.  Pending amounts are of requests without an answer. */
typedef struct OmsPaymentAmounts
{
	int64_t		authorized;
	int64_t		captured;
	int64_t		voided;
	int64_t		refunded;
	int64_t		charged_back;
	int64_t		expired;		/* authorized, but lapsed or released as a whole */
	int64_t		authorize_pending;
	int64_t		capture_pending;
	int64_t		void_pending;
	int64_t		refund_pending;
	int64_t		expires_at;		/* of the newest authorization; 0: not said */
} OmsPaymentAmounts;

extern bool oms_payment_fold(OmsPaymentFact *facts, int n, OmsPaymentAmounts *amounts);
extern bool oms_payment_operation_done(const OmsPaymentFact *facts, int operation, int64_t *amount);

#endif							/* OMS_PAYMENT_FOLD_H */
