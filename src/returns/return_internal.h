/*-------------------------------------------------------------------------
 * return_internal.h
 *	  What the files of returns share.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_RETURN_INTERNAL_H
#define OMS_RETURN_INTERNAL_H

#include "payment/payment_internal.h"

#include "core/json.h"
#include "inventory/lot.h"
#include "payment/refund.h"

/* Where inspected units go. */
typedef enum OmsDisposition
{
	OMS_SELLABLE,
	OMS_DAMAGED,
	OMS_QUARANTINE,
	OMS_SCRAP,
	OMS_VENDOR_RETURN,
	OMS_DISPOSITIONS
} OmsDisposition;

/* A line of the order, and of the return if it is in it. */
typedef struct OmsReturnLine
{
	int32		line_no;
	/* of the order line */
	int32		ordered;
	int32		shipped;
	int32		return_requested;
	int32		returned;
	int32		refunded_before;	/* units in refund_line */
	int64		total;			/* minor units */
	int64		tax;
	/* of the return line, as it is and (after changes) shall be */
	bool		known;
	bool		changed;
	int32		requested;
	int32		approved;
	int32		expected;
	int32		received;
	int32		put[OMS_DISPOSITIONS];
	int32		refunded;
	char	   *reason;
	/* what this call changes */
	int32		d_requested;	/* of order_line.return_requested */
	int32		d_returned;		/* of order_line.returned */
	int32		now[OMS_DISPOSITIONS];
	int32		refund;			/* units to pay back now */
	int			nlots;			/* that are named, of units that go into stock */
	OmsLotUnits *lots;
} OmsReturnLine;

typedef struct OmsReturn
{
	int64		return_id;
	int64		order_id;
	char		state[16];
	int32		location;		/* 0: not received */
	TimestampTz expires_at;
	int64		fee;			/* minor units, for the whole return */
	int64		percent;		/* scaled by OMS_PRICE_ONE: 10 % is 10 * OMS_PRICE_ONE */
	int64		shipping;
	int64		fee_before;		/* fixed fee and shipping taken by earlier refunds of this return */
	int64		shipping_before;
	int			nlines;
	OmsReturnLine *lines;		/* all lines of the order, by number */
} OmsReturn;

/* return_store.c */
extern int64 oms_return_order_of(int32 merchant, int64 return_id);
extern void oms_return_load(const OmsOrderHead *head, int64 return_id, OmsReturn *ret);
extern void oms_return_store(const OmsOrderHead *head, OmsReturn *ret);
extern void oms_return_expire(const OmsOrderHead *head, OmsReturn *keep);
extern int32 oms_return_returnable(const OmsReturnLine *line);
extern bool oms_return_waits(const OmsReturn *ret);
extern void oms_return_event(const OmsOrderHead *head, const OmsReturn *ret, const char *type, const char *actor, const char *reason);
extern void oms_return_set_state(const OmsOrderHead *head, OmsReturn *ret, const char *state, bool ends);

/* return_document.c: lines of a call, matched with the order's; path in each error */
typedef void (*OmsReturnField) (OmsReturnLine *line, JsonbContainer *element, const OmsPath *path);
extern void oms_return_read_lines(OmsReturn *ret, Datum document, const char *name, const char *const *allowed, OmsReturnField field);

/* return_lot.c: restocks units of tracked items.  Raises OM002, OM007, OM011. */
extern void oms_return_restock_lots(const OmsOrderHead *head, const OmsReturn *ret, const char *cause, const char *actor);

/* return_refund.c */
extern void oms_return_compute(const OmsOrderHead *head, const OmsReturn *ret, OmsRefund *refund, int64 *limit);

#endif							/* OMS_RETURN_INTERNAL_H */
