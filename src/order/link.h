/*-------------------------------------------------------------------------
 * link.h
 *	  Which order came of which.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_LINK_H
#define OMS_LINK_H

#include "core/oms.h"

/* Writes a row of order_link; kind as that table says. */
extern void oms_order_link(int32 merchant, int64 source, int64 target, const char *kind, const char *actor, const char *reason);

#endif							/* OMS_LINK_H */
