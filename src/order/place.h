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

#endif							/* OMS_PLACE_H */
