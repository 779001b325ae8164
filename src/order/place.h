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

#endif							/* OMS_PLACE_H */
