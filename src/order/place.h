/*-------------------------------------------------------------------------
 * place.h
 *	  What placing one order and placing many share.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PLACE_H
#define OMS_PLACE_H

#include "order/draft.h"

/*
 * The order that the draft's external reference is already; 0 when none, and
 * then the stock that is held for it is the draft's.
 */
extern int64 oms_draft_existing(OmsDraft *draft);

/* Places a draft, under an id that a request key has claimed for it (null and 0: none). */
extern int64 oms_draft_place(OmsDraft *draft, const char *key, int64 claimed);

/*
 * batch.c: runs a step in a savepoint, in the memory context.  Null, or why it
 * was refused; what is not about the order (cancel, lock, memory) is raised.
 */
extern ErrorData *oms_place_try(MemoryContext memory, void (*step) (void *), void *argument);

/* clone.c: the document that places the items of an order once more; OM002, OM008. */
extern Datum oms_clone_document(int32 merchant, int64 order_id, const char *origin);

#endif							/* OMS_PLACE_H */
