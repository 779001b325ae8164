/*-------------------------------------------------------------------------
 * cost.h
 *	  What stock is worth, and what its movements cost.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_COST_H
#define OMS_COST_H

#include "core/money_core.h"

/* A layer of an item's cost; of negative quantity: units owed. */
typedef struct OmsCostLayer
{
	int64		id;
	int64		movement;		/* that made it; 0: none */
	int64		quantity;
	int64		value;			/* minor units */
} OmsCostLayer;

/* The cost of an item at a location, whose row of stock is locked. */
typedef struct OmsCost
{
	int32		merchant;
	int32		location;
	int64		item;
	bool		pooled;			/* moving average: one layer */
	char		currency[4];
	int			exponent;
	OmsRounding rounding;
	int64		on_hand;
	int64		quantity;
	int64		value;			/* minor units */
	int64		unit_cost;		/* scaled by 10^OMS_PRICE_SCALE */
} OmsCost;

/*
 * Of the trigger on stock_movement, after the level was changed: writes what
 * the movement cost, where its item is costed.  Null tests only where it is
 * not.
 */
extern void oms_cost_movement(int32 merchant, int32 location, int64 item, int64 movement, int64 quantity);

/* A numeric argument unit_cost: OM011 when negative, OM017 beyond 8 decimals. */
extern Datum oms_arg_unit_cost(FunctionCallInfo fcinfo, int n);

/* Below: shared with landed.c; inside oms_begin(), the row of stock locked. */

/*
 * Reads the cost of an item at a location.  moved: units of the movement at
 * work, which on hand has and costing not yet.  Units that came or went
 * unnoticed are taken in first, as opening stock.  OM008 when the item is not
 * costed.
 */
extern void oms_cost_load(OmsCost *cost, int32 merchant, int32 location, int64 item, int64 moved);
/* Up to n layers after the given one, in their order; one, and all in it, where they are pooled. */
extern int	oms_cost_layers(const OmsCost *cost, int64 after, OmsCostLayer *layers, int n);
/* One row of the ledger; movement, layer and landed 0: null.  Returns its entry. */
extern int64 oms_cost_entry(OmsCost *cost, const char *kind, int64 movement, int64 layer, int64 quantity, int64 value,
							int64 landed);
extern void oms_cost_layer_change(const OmsCost *cost, const OmsCostLayer *layer, int64 quantity, int64 value);
/* Writes the row of item_cost. */
extern void oms_cost_save(OmsCost *cost);
/* part of value: all of it where part is whole, so that nothing is left over */
extern int64 oms_cost_share(const OmsCost *cost, int64 value, int64 part, int64 whole);

#endif							/* OMS_COST_H */
