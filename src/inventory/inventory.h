/*-------------------------------------------------------------------------
 * inventory.h
 *	  What the files of inventory, and placing orders, share.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_INVENTORY_H
#define OMS_INVENTORY_H

#include "inventory/gate.h"

/* The largest quantity of one movement or level: far from overflow in sums. */
#define OMS_MAX_STOCK INT64CONST(1000000000000)

/* OM001: not enough stock, with what was wanted and what is there. */
pg_noreturn extern void oms_error_shortage(const OmsGateKey *key, int64 wanted, int64 available);

/*
 * hold.c: takes from the gate, and on a shortage first takes back what expired
 * holds still count.  trigdata: null in a command; in a trigger its SQL runs
 * with the rights of the table's owner.
 */
extern bool oms_stock_take(TriggerData *trigdata, const OmsGateKey *key, int64 quantity, int64 *available);

/* What could be taken of so many units wanted. */
extern int64 oms_stock_available(const OmsGateKey *key, int64 wanted);

/*
 * Turns holds into the transaction's own units, which nobody else can take
 * between.  Holds that are gone are passed over.  Raises OM008 when one is
 * kept for another customer or channel, or has not started.  Returns how many locations it wrote
 * into locations, which has room for n.
 */
extern int	oms_hold_use(int32 merchant, const int64 *ids, int n, int64 customer, int32 channel, int32 *locations);

/*
 * Turns up to so many units that are reserved for the customer or channel, and
 * not named, into the transaction's own; false when there are none.
 */
extern bool oms_hold_draw(const OmsGateKey *key, int64 customer, int32 channel, int64 units);

/*
 * backorder.c: promises what is there of an item at a location to the lines
 * that wait for it, kits with it included.  Locks their orders, passing over
 * those that others have locked.  Returns the units of lines filled.
 */
extern int64 oms_backorder_fill(int32 merchant, int64 item, int32 location, bool kit);

/* The same for an item at every location of the channels where it waits. */
extern int64 oms_backorder_fill_item(int32 merchant, int64 item);

/* Where promises or holds ended: who waits is served there when their command has nothing left to do. */
typedef struct OmsFreed
{
	int			n;
	int			size;
	OmsGateKey *keys;
} OmsFreed;

extern void oms_freed_add(OmsFreed *freed, OmsGateKey key);

/*
 * Fills what waits for what came free, as far as that takes no waiting: not
 * only orders but also limits of backorders that others have locked are passed
 * over.  Where nobody waits it is one statement, a probe of the index of lines
 * that wait.
 */
extern void oms_backorder_fill_freed(const OmsFreed *freed);
/* The same for one key, in a trigger of a row typed by hand. */
extern void oms_backorder_fill_typed(TriggerData *trigdata, const OmsGateKey *key);

/*
 * Of the trigger on order_line: counts what a line has backordered more or
 * less.  The limit's row is locked until commit, so orders that backorder a
 * limited item pass one by one.  Raises OM007 for a new order; later facts (a
 * short pick, a line mapped) count but are not refused.
 */
extern void oms_backorder_count(TriggerData *trigdata);

/*
 * Locks the limits of items in the order of their ids, so that two orders that
 * backorder the same items do not wait for each other; of all items when items
 * is null, for who does not know yet which ones will follow.
 */
extern void oms_backorder_lock(int32 merchant, const int64 *items, int n);

/* One movement of stock; what is not set is 0, false or null. */
typedef struct OmsMove
{
	OmsGateKey	key;
	const char *kind;
	int64		quantity;		/* change of on hand */
	int64		damaged;		/* change of the units damaged */
	int64		quality_control;	/* change of the units waiting for inspection */
	const char *cause;
	const char *source_kind;	/* null: no document behind it */
	int64		source_id;
	const char *actor;
	Datum		unit_cost;		/* numeric, in base currency; 0: not said */
	bool		forced;
	int64		lot;			/* 0: none */
} OmsMove;

/* stock.c: writes the movement, whose trigger changes the level; returns its id.  Raises OM001, OM002, OM008. */
extern int64 oms_stock_move(const OmsMove *move);
/* That the item lies on shelves: OM002 for none, OM008 for a kit or a service. */
extern void oms_require_stocked(int32 merchant, int64 id);
/*
 * item_kind.c: that an item is still what an older snapshot of the transaction
 * says; 40001.  Called with the lock on the table that is being written.
 */
extern void oms_item_require_current(int32 merchant, int64 item);
/* That there is the location: OM002. */
extern void oms_require_location(int32 merchant, int32 location);
/* An argument that is a number of units: from min to OMS_MAX_STOCK, 0 only if it may be.  OM011. */
extern int64 oms_arg_units(FunctionCallInfo fcinfo, int n, const char *name, int64 min, bool zero);

/* local_hold.c: holds that end with the session or the transaction and have no row; their ids are negative. */
extern int64 oms_local_hold_take(const OmsGateKey *key, int64 quantity, bool transaction_only);
/* Gives the hold's units to the transaction; false when there is no such hold. */
extern bool oms_local_hold_release(int32 merchant, int64 id, OmsGateKey *key, int64 *quantity);

#endif							/* OMS_INVENTORY_H */
