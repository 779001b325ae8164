/*-------------------------------------------------------------------------
 * history.h
 *	  The log of changes of orders' rows.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_HISTORY_H
#define OMS_HISTORY_H

/* Between these the rows inserted are an order's first, which are not logged; give back what the first returned. */
extern bool oms_history_placing(void);
extern void oms_history_placed(bool before);

/* In a BEFORE INSERT row trigger: logs a row that is added otherwise than by placing. */
extern void oms_history_added(TriggerData *trigdata);

#endif							/* OMS_HISTORY_H */
