/*-------------------------------------------------------------------------
 * bound.h
 *	  Bounds on live promises: of an item, by channel, location or both.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_BOUND_H
#define OMS_BOUND_H

#include "inventory/gate.h"

/* A promise meets at most three: of its channel, of its location, of both. */
#define OMS_MAX_BOUNDS 3

/* The bounds that a promise was taken from; what is given back goes to them. */
typedef struct OmsBounds
{
	int			n;
	int32		ids[OMS_MAX_BOUNDS];
} OmsBounds;

/* Counters of bounds are kept by the gate like any other, the bound's id in place of the location, below zero. */
#define OMS_BOUND_KEY(merchant, id, item) ((OmsGateKey) {(merchant), -(id), (item)})

/*
 * For commands: takes stock and what the bounds of the channel's promises
 * allow, both or neither; *bounds says from which.
 */
extern bool oms_promise_take(const OmsGateKey *key, int32 channel, int64 quantity, OmsBounds *bounds);
extern void oms_promise_give(const OmsGateKey *key, int64 quantity, const OmsBounds *bounds);

/* What could be promised to the channel of so many units wanted. */
extern int64 oms_promise_available(const OmsGateKey *key, int32 channel, int64 wanted);

/* What the bounds leave of so many units. */
extern int64 oms_bound_left(const OmsGateKey *key, int32 channel, int64 units);

/* OM007 when it is a bound that keeps the channel from so many units at each of the locations. */
extern void oms_bound_refuse(int32 merchant, int32 channel, int64 item, const int32 *locations, int n, int64 wanted);

/*
 * For the trigger on reservation: a row of an order adds quantity to what its
 * bounds have, or (below zero) gives it back.  Raises OM007.
 */
extern void oms_bound_row(TriggerData *trigdata, const OmsGateKey *key, int64 order_id, int64 quantity);

#endif							/* OMS_BOUND_H */
