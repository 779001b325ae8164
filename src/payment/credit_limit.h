/*-------------------------------------------------------------------------
 * credit_limit.h
 *	  Orders against the credit of their customer or company.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_CREDIT_LIMIT_H
#define OMS_CREDIT_LIMIT_H

#include "order/draft.h"
#include "order/order.h"

/*
 * Checks drafts of one merchant about to be written, in their order: sets
 * draft->over_credit of those that their account's limit does not allow, and
 * draft->terms from it.
 * Locks the accounts until the transaction ends.  A test of a pointer where
 * there are no accounts.
 */
extern void oms_credit_admit(OmsDraft **drafts, int n);

/* Copies draft->terms, set by oms_credit_admit(), to the orders just written. */
extern void oms_terms_write(OmsDraft **drafts, int n);

/* Checks a locked order again and places or releases its hold; true: within the limit. */
extern bool oms_credit_recheck(const OmsOrderHead *head, const char *actor);

#endif							/* OMS_CREDIT_LIMIT_H */
