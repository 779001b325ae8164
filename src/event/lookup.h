/*-------------------------------------------------------------------------
 * lookup.h
 *	  What the event domain asks before it writes.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_EVENT_LOOKUP_H
#define OMS_EVENT_LOOKUP_H

/* Inside oms_begin(); OM002 when there is none. */
extern void oms_event_require_merchant(int32 merchant);
extern void oms_event_require_order(int32 merchant, int64 order_id);

#endif							/* OMS_EVENT_LOOKUP_H */
