/*-------------------------------------------------------------------------
 * sale_limit.h
 *	  How many units of an item may be sold in all, by a channel, in a period.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_SALE_LIMIT_H
#define OMS_SALE_LIMIT_H

#include "commands/trigger.h"

#include "order/draft.h"

/* Counts the lines of orders that have just been inserted.  Raises OM007, OM015. */
extern void oms_sale_limit_placed(OmsDraft **drafts, int n);
/* Counts the lines that an edit has just added to its order.  Raises OM007, OM015. */
extern void oms_sale_limit_added(const OmsDraft *draft);
/* Counts lines (an int4[] of numbers) that have come from another order: they were sold before, so nothing is refused. */
extern void oms_sale_limit_moved(int32 merchant, int64 order_id, Datum lines);
/* Of the trigger on order_line, for updates and deletes.  Raises OM007 for an edit that orders more, OM015. */
extern void oms_sale_limit_changed(TriggerData *trigdata);

#endif							/* OMS_SALE_LIMIT_H */
