/*-------------------------------------------------------------------------
 * approval.h
 *	  Approvals in levels.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_APPROVAL_H
#define OMS_APPROVAL_H

#include "order/order.h"

/*
 * Asks for the approvals that a locked order needs and does not have, and holds
 * it while one waits.  Once the order is settled, which it is not in the middle
 * of an edit, also lets go those it needs no more and decides the automatic
 * ones.  True when a hold went with it.
 */
extern bool oms_approval_check(const OmsOrderHead *head, const char *actor, bool settled);

/* Refuses (OM008) while an approval waits: its hold goes with it alone. */
extern void oms_approval_require_none(const OmsOrderHead *head);

#endif							/* OMS_APPROVAL_H */
