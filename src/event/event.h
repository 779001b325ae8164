/*-------------------------------------------------------------------------
 * event.h
 *	  The one log: whatever happened is one row, in the same transaction.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_EVENT_H
#define OMS_EVENT_H

#include "core/rows.h"

typedef struct OmsEvent
{
	int32		merchant;
	const char *subject_type;	/* order, payment, fulfilment, shipment, return, refund, stock, ... */
	int64		subject_id;
	int64		order_id;		/* 0: none; else the order whose timeline shows it */
	const char *type;			/* order.placed, payment.captured, ... past tense, dotted */
	int16		version;		/* of the payload; 0 means 1 */
	const char *actor;			/* these three: null means as oms_command() said, */
	const char *reason;			/* else the calling role and nothing */
	const char *correlation_id;
	Datum		data;			/* jsonb; 0 means {} */
} OmsEvent;

extern void oms_event_write(const OmsEvent *event);

/* The same for what happened to an order as a whole; actor and reason may be null as in OmsEvent. */
extern void oms_event_of_order(int32 merchant, int64 order_id, const char *type, const char *actor, const char *reason, Datum data);

/*
 * For statements that write events beside other rows: adds one to rows of
 * table event, to be inserted as OMS_EVENT_COLUMNS.
 */
#define OMS_EVENT_COLUMNS \
	"merchant_id, version, tx, at, subject_id, order_id, subject_type, type, actor, reason, correlation_id, data"
extern OmsRows *oms_event_rows(void);
extern void oms_event_add(OmsRows *rows, const OmsEvent *event);

/* The tx of events of the running transaction. */
extern int64 oms_event_tx(void);

/* Work for outsiders, in the same transaction.  dedup_key: one task per (kind, key); null: always new. */
extern int64 oms_task_add(int32 merchant, const char *kind, int64 order_id, const char *subject_type,
						  int64 subject_id, const char *dedup_key, Datum payload);
extern int64 oms_task_add_at(int32 merchant, const char *kind, int64 order_id, const char *subject_type,
							 int64 subject_id, const char *dedup_key, Datum payload, TimestampTz run_at);

/* A message to the customer of an order: one per (order, kind, fact), a second call does nothing. */
extern void oms_message_add(int32 merchant, int64 order_id, const char *kind, const char *fact, Datum data);

#endif							/* OMS_EVENT_H */
