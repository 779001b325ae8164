/*-------------------------------------------------------------------------
 * refund.h
 *	  Granting money back, and moving it: two things.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_REFUND_H
#define OMS_REFUND_H

#include "order/order.h"

typedef struct OmsRefundLine
{
	int32		line_no;
	int32		from_unit;
	int32		quantity;
	int64		amount;			/* minor units, tax included */
	int64		tax;
} OmsRefundLine;

typedef struct OmsRefund
{
	const char *cause;			/* return, cancel, manual */
	int64		cause_id;		/* 0: none */
	int64		return_id;		/* 0: none */
	int64		amount;			/* what the customer gets */
	int64		tax;
	int64		lines_amount;
	int64		shipping;
	int64		shipping_tax;
	int64		fee;			/* kept back */
	int64		fixed_fee;		/* part of it that is kept back once per return */
	int			nlines;
	OmsRefundLine *lines;
	const char *actor;
	const char *reason;
} OmsRefund;

/* Writes the refund with its lines, event and message; moves nothing. Order locked. */
extern int64 oms_refund_grant(const OmsOrderHead *head, const OmsRefund *refund);

/*
 * Asks the order's payments, newest first, to refund at most so much of what
 * the refund has neither moved nor asked for.  Returns what was asked; less
 * when less was captured.  Order locked.
 */
extern int64 oms_refund_move(const OmsOrderHead *head, int64 refund_id, int64 at_most, const char *actor);

#endif							/* OMS_REFUND_H */
