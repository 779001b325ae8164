/*-------------------------------------------------------------------------
 * promise.h
 *	  Ending the promises that stock holds for the lines of an order.  The
 *	  caller holds the order's lock and moves the lines' counters.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PROMISE_H
#define OMS_PROMISE_H

#include "inventory/inventory.h"
#include "order/order.h"

/* Releases promises of units at locations, kits by their parts; OM006 when less is promised there. */
extern void oms_promise_release(const OmsOrderHead *head, const int32 *lines, const int32 *locations, const int32 *units, int n);

/*
 * Releases promises of a line wherever they are, never those of picked units:
 * first what no fulfilment has, then what is planned, each time the youngest
 * first.  OM006 when there are not so many.  Fulfilments give up their units
 * when the line's counter falls.  Where units came free is added to freed.
 */
extern void oms_promise_release_spare(int32 merchant, int64 order_id, int32 line_no, int32 units, OmsFreed *freed);

#endif							/* OMS_PROMISE_H */
