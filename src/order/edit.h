/*-------------------------------------------------------------------------
 * edit.h
 *	  A change set on an order: read and computed (edit_plan.c), written
 *	  (edit_apply.c), and its commands (edit.c).
 *-------------------------------------------------------------------------
 */
#ifndef OMS_EDIT_H
#define OMS_EDIT_H

#include "core/money.h"
#include "inventory/inventory.h"
#include "order/draft.h"
#include "order/order.h"

/* What an edit may change of a line. */
typedef struct OmsEditFigures
{
	int32		ordered;
	int32		cancelled;
	int32		allocated;
	int32		backordered;
	int64		unit_price;		/* scaled by 10^OMS_PRICE_SCALE */
	int64		discount;		/* minor units, as below */
	int64		tax_rate;		/* scaled by 10^OMS_PRICE_SCALE */
	int64		tax;
	int64		total;
} OmsEditFigures;

typedef struct OmsEditLine
{
	int32		line_no;
	int64		item;			/* 0: unmapped */
	char	   *sku;
	int32		picked;
	int32		shipped;
	bool		invoiced;
	bool		discounted;		/* its discount is as given */
	char	   *price_reason;	/* of its new price */
	int32		from_promise;	/* promised units that are given up */
	Datum		given_price;	/* unit_price with its digits */
	OmsEditFigures was;
	OmsEditFigures now;
} OmsEditLine;

typedef struct OmsEditCharge
{
	int32		charge_no;
	bool		added;
	bool		invoiced;
	OmsDraftCharge was;
	OmsDraftCharge now;
} OmsEditCharge;

typedef struct OmsEditTotals
{
	int64		subtotal;
	int64		discount;
	int64		shipping;
	int64		charges;
	int64		tax;
	int64		total;
	int64		cancelled_total;
	int64		cancelled_tax;
} OmsEditTotals;

/* Texts and addresses of the order, each with what it was; 0: none. */
enum
{
	OMS_EDIT_SHIP_TO, OMS_EDIT_BILL_TO, OMS_EDIT_INSTRUCTIONS, OMS_EDIT_GIFT_NOTE, OMS_EDIT_TEXTS
};

typedef struct OmsEdit
{
	const OmsOrderHead *head;
	bool		keep_discount;	/* policy */
	OmsRounding rounding;
	int			nlines;
	OmsEditLine *lines;
	int			ncharges;
	OmsEditCharge *charges;
	OmsEditTotals was;
	OmsEditTotals now;
	char	   *texts_were[OMS_EDIT_TEXTS];
	char	   *texts[OMS_EDIT_TEXTS];
	OmsDraft   *priced;			/* lines that get another price, where the channel asks about that; null: none */
	OmsDraft   *draft;			/* units to promise: raised lines first, then new ones */
	int			nraised;
	int64		order_discount; /* to be spread over the lines */
	OmsFreed	freed;			/* where its promises came free */
} OmsEdit;

/* One difference that the edit makes. */
typedef struct OmsEditChange
{
	char	   *object;			/* order, line 2, charge 1 */
	const char *field;
	char	   *was;			/* null: nothing */
	char	   *now;
} OmsEditChange;

/*
 * edit_plan.c: reads the locked order and computes what the changes make of
 * it; writes nothing and asks for no stock.  The reason is that of prices that
 * have none of their own.  Raises OM002, OM003, OM007, OM008, OM011, 42501.
 */
extern OmsEdit *oms_edit_plan(const OmsOrderHead *head, Datum changes, bool keep_discount, const char *reason);
/* Asks the gate for the units that the edit adds.  Raises OM001, OM007. */
extern void oms_edit_admit(OmsEdit *edit);
/* What it changes, fields of the order first; *n of them. */
extern OmsEditChange *oms_edit_changes(const OmsEdit *edit, int *n);

/* edit_apply.c: writes a planned and admitted edit. */
extern void oms_edit_apply(OmsEdit *edit);

#endif							/* OMS_EDIT_H */
