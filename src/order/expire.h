/*-------------------------------------------------------------------------
 * expire.h
 *	  Orders that were to be paid by an instant, and were not.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_EXPIRE_H
#define OMS_EXPIRE_H

#include "order/order.h"

/* Whether the locked order has expired unpaid and is not cancelled yet. */
extern bool oms_order_is_overdue(const OmsOrderHead *head);

/* Refuses (OM008) an order that has expired unpaid; doing is a gerund. */
extern void oms_order_require_unexpired(const OmsOrderHead *head, const char *doing);

/* Cancels the locked order if it has expired unpaid, and reads its head anew. */
extern void oms_order_expire_if_overdue(OmsOrderHead *head);

/* Whether a cancelled order was cancelled because it had expired. */
extern bool oms_order_has_expired(const OmsOrderHead *head);

#endif							/* OMS_EXPIRE_H */
