/*-------------------------------------------------------------------------
 * place.h
 *	  What placing one order and placing many share.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PLACE_H
#define OMS_PLACE_H

#include "order/draft.h"

extern int64 oms_draft_existing(const OmsDraft *draft);

#endif							/* OMS_PLACE_H */
