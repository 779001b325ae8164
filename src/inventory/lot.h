/*-------------------------------------------------------------------------
 * lot.h
 *	  Lots and serial numbers, for those who move stock.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_LOT_H
#define OMS_LOT_H

#include "config/catalogue.h"
#include "core/json.h"
#include "core/request.h"

/* Lots that one line is given at most. */
#define OMS_MOST_LOTS INT64CONST(100000)

/* A lot, or a serial number (1 unit), as commands are told. */
typedef struct OmsLotUnits
{
	char	   *lot;
	int64		quantity;
	bool		used;
} OmsLotUnits;

/* Lots by that key of an object: ["S1", {"lot": "A", "quantity": 2}], a name alone is one unit.  Returns how many, 0 for none.  OM003. */
extern int	oms_lots_document(JsonbContainer *object, const OmsPath *parent, const char *key, OmsLotUnits **lots);

/* Whether the merchant tracks any item; costs a pointer test when nobody does. */
extern bool oms_lots_used(int32 merchant);

/* How the item is tracked. */
extern OmsTracking oms_lot_tracking(int32 merchant, int64 item);

/*
 * Of the trigger on stock_movement: applies the movement to the level of its
 * lot.  values: merchant, location, item, change of on_hand, damaged,
 * quality_control, quarantine, then lot.  Raises OM002 for an unknown lot,
 * OM008 for a shipment of what may not be sold, unless forced, and for a
 * serial number that is received twice.
 */
extern void oms_lot_apply(const Datum *values, OmsTracking tracking, const char *kind, bool forced);

/* OM011: a movement that names no lot, or one of an item without. */
extern void oms_lot_check(int32 merchant, int64 item, OmsTracking tracking, bool named);

/*
 * Locks lots at a location by the settings until they have so many units: ids
 * and units (room for OMS_MOST_LOTS, or as many as the units) are set, and how
 * many lots are returned.  *there is what they have.  channel and customer: 0
 * for none.
 */
extern int	oms_lot_choose(int32 merchant, int32 channel, int64 customer, int32 location, int64 item, int64 quantity,
						   int64 *lots, int64 *units, int64 *there);

/* The id of a lot; OM002 when there is none. */
extern int64 oms_lot_id(int32 merchant, int64 item, const char *lot);

/*
 * The id of a lot, which is made where it is new.  details: expiry, minimum
 * life and origin, where nulls does not say 'n'; a known lot must have them
 * (OM008).
 */
extern int64 oms_lot_make(const OmsCall *call, int64 item, const char *lot, const Datum *details, const char *nulls);

#endif							/* OMS_LOT_H */
