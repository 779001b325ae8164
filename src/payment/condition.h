/*-------------------------------------------------------------------------
 * condition.h
 *	  Shipped only when paid: whether the money of an order lets a step be.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PAYMENT_CONDITION_H
#define OMS_PAYMENT_CONDITION_H

#include "order/order.h"

/* The kind of hold that waiting for money is shown as. */
#define OMS_PAYMENT_HOLD "payment"

/* Whether any order of the merchant may have to wait for money. */
extern bool oms_payment_has_conditions(int32 merchant);
/* Refuses (OM005) a step, pick or ship, of an order that waits for money.  Order locked. */
extern void oms_payment_require(int32 merchant, int64 order_id, const char *step);
/* Lets an order through unpaid; false where it does not wait.  Order locked. */
extern bool oms_payment_waive(const OmsOrderHead *head, const char *actor, const char *reason);

#endif							/* OMS_PAYMENT_CONDITION_H */
