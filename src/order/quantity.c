/*-------------------------------------------------------------------------
 * quantity.c
 *	  What is asked for in units becomes base units, exactly, and quantities
 *	  that an item is not sold in are refused or rounded up.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "config/unit.h"
#include "core/json.h"
#include "core/money.h"
#include "order/draft.h"

/* The amount of a price and a quantity, both scaled; false when it does not fit. */
static bool
exact_amount(int64 price, int64 quantity, int exponent, OmsRounding mode, int64 *amount)
{
	int128		product = (int128) price * quantity;
	int64		divisor = OMS_PRICE_ONE * OMS_PRICE_ONE;

	for (; exponent > 0; exponent--)
		divisor /= 10;
	if (product / divisor > PG_INT64_MAX)
		return false;
	*amount = (int64) (product / divisor);
	product %= divisor;
	if (product * 2 > divisor || (product * 2 == divisor && (mode == OMS_HALF_UP || *amount % 2 != 0)))
		(*amount)++;
	return true;
}

/*
 * The price of a unit becomes that of a base unit.  One that 8 decimals cannot
 * hold (10.00 for 12) is rounded, if that does not change the line's amount.
 */
static void
convert_price(const OmsDraft *draft, OmsDraftLine *line, const OmsPath *path)
{
	int64		given = 0;
	int64		base = 0;

	line->asked_price = line->unit_price;
	if (!oms_mul_div(line->unit_price, line->denominator, line->numerator, draft->rounding, &base) ||
		!exact_amount(line->unit_price, line->asked_quantity, draft->exponent, draft->rounding, &given) ||
		oms_money_amount(base, line->quantity, draft->exponent, draft->rounding) != given)
		oms_error_document(path, "unit_price", "a price of the unit that is exact for the base unit too, or the price of the base unit without a unit");
	line->unit_price = base;
}

static void
convert(const OmsDraft *draft, OmsDraftLine *line, const OmsPath *path)
{
	const OmsUnit *unit = oms_item_unit(draft->merchant, line->item, line->unit);
	int64		base;

	line->numerator = unit->numerator;
	line->denominator = unit->denominator;
	if (!oms_unit_to_base(unit, line->asked_quantity, &base))
		oms_error_document(path, "quantity",
						   psprintf("a whole number of base units: one %s is " INT64_FORMAT "/" INT64_FORMAT " of them",
									line->unit, line->numerator, line->denominator));
	if (base > OMS_MAX_QUANTITY)
		oms_error_document(path, "quantity", psprintf("at most %d base units", OMS_MAX_QUANTITY));
	line->quantity = (int32) base;
	if (line->has_price)
		convert_price(draft, line, path);
}

/*
 * A line in a unit of what nobody knows: it counts in that unit until its item
 * comes (map.c).  A part of one is kept as one piece, at the price of the part.
 */
static void
keep_unit(const OmsDraft *draft, OmsDraftLine *line, const OmsPath *path)
{
	int64		whole = line->asked_quantity / OMS_PRICE_ONE;
	int64		given = 0;

	line->asked_price = line->unit_price;
	if (whole > OMS_MAX_QUANTITY)
		oms_error_document(path, "quantity", psprintf("at most %d", OMS_MAX_QUANTITY));
	if (line->asked_quantity % OMS_PRICE_ONE != 0)
	{
		whole = 1;
		if (!oms_mul_div(line->asked_price, line->asked_quantity, OMS_PRICE_ONE, draft->rounding, &line->unit_price) ||
			!exact_amount(line->asked_price, line->asked_quantity, draft->exponent, draft->rounding, &given) ||
			oms_money_amount(line->unit_price, 1, draft->exponent, draft->rounding) != given)
			oms_error_document(path, "unit_price", "a price whose part is exact");
	}
	line->quantity = line->asked = (int32) whole;
}

/* By the rule of the item in the channel.  OM007. */
static void
apply_rule(const OmsDraft *draft, OmsDraftLine *line, int index)
{
	const OmsQuantityRule *rule = oms_quantity_rule(draft->merchant, line->item, draft->channel);
	int64		sold;

	if (rule == NULL)
		return;
	sold = (Max(line->quantity, rule->minimum) + rule->step - 1) / rule->step * rule->step;
	if (sold == line->quantity)
		return;
	if (rule->round && sold <= OMS_MAX_QUANTITY)
		line->quantity = (int32) sold;
	else if (!draft->compared)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("item " INT64_FORMAT " is not sold in this quantity", line->item),
				 errdetail("Line %d asks for %d; at least " INT64_FORMAT " and multiples of " INT64_FORMAT " are sold.",
						   index + 1, line->quantity, rule->minimum, rule->step),
				 errhint("The next quantity is " INT64_FORMAT "; see oms.quantity_rule.", sold)));
}

void
oms_draft_quantities(OmsDraft *draft)
{
	OmsPath		lines = {NULL, "lines", 0};
	int			i;

	/* Items first: what follows reads units, and the catalogue may be dropped meanwhile. */
	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];
		const OmsItem *item = line->item != 0 ? NULL : oms_catalogue_sku(draft->merchant, draft->channel, line->sku);

		if (item != NULL)
			line->item = item->item;
	}
	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];
		OmsPath		path = {&lines, NULL, i};

		if (line->item == 0 && line->unit != NULL)
			keep_unit(draft, line, &path);
		if (line->item == 0)
			continue;
		if (line->unit != NULL)
			convert(draft, line, &path);
		line->asked = line->quantity;
		apply_rule(draft, line, i);
	}
}
