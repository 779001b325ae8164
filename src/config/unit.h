/*-------------------------------------------------------------------------
 * unit.h
 *	  Units of measure as exact ratios, and the quantities items are sold in.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_UNIT_H
#define OMS_UNIT_H

/* One of it is numerator / denominator base units; both at most 10^9. */
typedef struct OmsUnit
{
	char	   *name;
	int64		numerator;
	int64		denominator;
} OmsUnit;

typedef struct OmsQuantityRule
{
	int32		channel;		/* 0: all */
	int64		minimum;		/* base units */
	int64		step;			/* base units: any multiple of it is sold */
	bool		round;			/* up, or else refused */
} OmsQuantityRule;

typedef struct OmsItemUnits
{
	int64		item;			/* with merchant the hash key */
	int64		merchant;
	int			nunits;
	OmsUnit    *units;
	int			nrules;
	OmsQuantityRule *rules;
} OmsItemUnits;

/* Whether any item of any merchant has units or rules: a pointer test. */
extern bool oms_units_used(void);

/* Those of an item.  Lives until the next call of a function of this header: never hold it over SQL. */
extern const OmsItemUnits *oms_item_units(int32 merchant, int64 item);
/* OM002 when the item has no such unit. */
extern const OmsUnit *oms_item_unit(int32 merchant, int64 item, const char *name);
/* The rule that counts in a channel, or null. */
extern const OmsQuantityRule *oms_quantity_rule(int32 merchant, int64 item, int32 channel);

/* A quantity of units scaled by 10^OMS_PRICE_SCALE in whole base units; false when it is not a whole number of them. */
extern bool oms_unit_to_base(const OmsUnit *unit, int64 quantity, int64 *base);
/* a * b / divisor, where that is a whole number that fits. */
extern bool oms_exact_ratio(int64 a, int64 b, int64 divisor, int64 *result);

#endif							/* OMS_UNIT_H */
