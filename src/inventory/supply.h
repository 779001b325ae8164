/*-------------------------------------------------------------------------
 * supply.h
 *	  What is to come, who waits for it, and what was promised to them.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_SUPPLY_H
#define OMS_SUPPLY_H

/* Units that can serve who waits: on a shelf, or of a supply line. */
typedef struct OmsSupply
{
	int64		supply_id;		/* 0: on the shelf */
	int32		line_no;
	int32		location;
	int64		units;			/* on the shelf below 0: promised beyond what is there */
	int64		left;			/* pegged to nobody */
	TimestampTz at;				/* on the shelf: -infinity; not known, or past: infinity */
} OmsSupply;

/* A line that waits for units of the item, its own or as a part of a kit. */
typedef struct OmsWaiting
{
	int64		order_id;
	int32		line_no;
	int32		channel;
	bool		part;
	int64		units;
	TimestampTz ready;			/* when the last unit comes; infinity: not known */
	bool		has_promise;	/* a row of line_promise, with or without date */
	TimestampTz promised_at;	/* infinity: none */
	TimestampTz original_at;	/* infinity: none */
	TimestampTz available_at;	/* of its preorder; infinity: none */
	TimestampTz placed_at;
} OmsWaiting;

typedef struct OmsPeg
{
	int			waiting;		/* index */
	int			supply;			/* index */
	int64		units;
} OmsPeg;

/* Supplies, earliest first; who waits, in the order of filling; and who gets what. */
typedef struct OmsPegging
{
	int			nsupplies;
	OmsSupply  *supplies;
	int			nwaiting;
	OmsWaiting *waiting;
	int			npegs;
	OmsPeg	   *pegs;
} OmsPegging;

/*
 * pegging.c: pegs who waits for an item to what will serve them, each unit
 * once.  read_only: by the snapshot of the calling query.
 */
extern OmsPegging *oms_pegging(int32 merchant, int64 item, bool read_only);

/*
 * The same for lines of one order that come after everybody who waits for the
 * item: they alone are in the result, those before are a sum.  Null where that
 * cannot be told so: another rule than oldest, an order that is not placed now
 * or not the last, kits with the item, or channels that are not all served
 * where it is.  The item's row of supply_item is locked.
 */
extern OmsPegging *oms_pegging_last(int32 merchant, int64 item, int64 order_id);

/*
 * promise.c: tells lines that wait for these items when they will be served,
 * and moves promises that have changed.  Locks the items' rows of supply_item
 * until commit, the last locks a command takes.  Returns how many lines were told.
 */
extern int64 oms_promise_items(int32 merchant, const int64 *items, int n);

/* A line that has just begun to wait. */
typedef struct OmsWaitingLine
{
	int64		order_id;
	int32		line_no;
	int32		channel;
	int64		preorder;		/* 0: none */
	int64		units;
} OmsWaitingLine;

/*
 * promise.c: promises a date to lines that have just begun to wait, and counts
 * preorders against their caps.  strict: raises OM007 beyond a cap.
 */
extern void oms_promise_waiting(int32 merchant, OmsWaitingLine *lines, int n, bool strict);

/* preorder.c: the item's preorder that is open now; 0 when there is none. */
extern int64 oms_preorder_open(int32 merchant, int64 item);
/* Counts units of lines against the caps; sorts the lines.  OM007 when strict. */
extern void oms_preorder_count(int32 merchant, OmsWaitingLine *lines, int n, bool strict);
/* Of the trigger on order_line: what is cancelled of a preordered line gives its caps back. */
extern void oms_preorder_cancelled(TriggerData *trigdata);

#endif							/* OMS_SUPPLY_H */
