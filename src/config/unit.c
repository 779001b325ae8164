/*-------------------------------------------------------------------------
 * unit.c
 *	  Units of measure: stock is kept in whole base units, other units are
 *	  exact ratios of them.  What a conversion cannot say exactly it refuses,
 *	  so that no residue can arise.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "config/unit.h"
#include "core/cache.h"
#include "core/money.h"

PG_FUNCTION_INFO_V1(oms_base_quantity);
PG_FUNCTION_INFO_V1(oms_unit_quantity);
PG_FUNCTION_INFO_V1(oms_base_price);

/* Beyond so many items the cache starts anew, so that its memory is bounded. */
#define MAX_ITEMS 100000

enum
{
	ST_USED,
	ST_UNITS,
	ST_RULES
};

static OmsStatement statements[] = {
	[ST_USED] = {"SELECT EXISTS (SELECT FROM oms.item_unit) OR EXISTS (SELECT FROM oms.quantity_rule)", 0, {0}},
	[ST_UNITS] = {
		"SELECT unit, numerator, denominator FROM oms.item_unit WHERE merchant_id = $1 AND item_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_RULES] = {
		"SELECT r.channel_id, r.minimum, coalesce(r.multiple * u.numerator / gcd(r.multiple * u.numerator, u.denominator), r.multiple), "
		"r.mode = 'round' FROM oms.quantity_rule r LEFT JOIN oms.item_unit u ON u.merchant_id = $1 AND u.item_id = $2 "
		"AND u.unit = r.unit WHERE r.merchant_id = $1 AND r.item_id = $2",
		2, {INT4OID, INT8OID}
	},
};

/* data is null where nobody has units or rules. */
static OmsCache cache = {
	.name = "units",
	.tables = {"item_unit", "quantity_rule"},
};

bool
oms_units_used(void)
{
	HASHCTL		ctl = {0};

	if (cache.valid && cache.data != NULL && hash_get_num_entries(cache.data) > MAX_ITEMS)
		cache.valid = false;
	if (oms_cache_fresh(&cache))
		return cache.data != NULL;
	PG_TRY();
	{
		oms_begin();
		oms_run(&statements[ST_USED], NULL, NULL);
		if (oms_get_bool(0, 1))
		{
			ctl.keysize = 2 * sizeof(int64);
			ctl.entrysize = sizeof(OmsItemUnits);
			ctl.hcxt = cache.context;
			cache.data = hash_create("oms units", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		oms_end();
	}
	PG_CATCH();
	{
		cache.valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	return cache.data != NULL;
}

/* Reads them, in the current memory context. */
static void
read_units(OmsItemUnits *units)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[2] = {Int32GetDatum((int32) units->merchant), Int64GetDatum(units->item)};
	int			i;

	oms_begin();
	units->nunits = (int) oms_run(&statements[ST_UNITS], values, NULL);
	units->units = MemoryContextAlloc(context, (units->nunits + 1) * sizeof(OmsUnit));
	for (i = 0; i < units->nunits; i++)
	{
		units->units[i].name = MemoryContextStrdup(context, oms_get_text(i, 1));
		units->units[i].numerator = oms_get_int64(i, 2);
		units->units[i].denominator = oms_get_int64(i, 3);
	}
	units->nrules = (int) oms_run(&statements[ST_RULES], values, NULL);
	units->rules = MemoryContextAlloc(context, (units->nrules + 1) * sizeof(OmsQuantityRule));
	for (i = 0; i < units->nrules; i++)
	{
		units->rules[i].channel = oms_get_int32(i, 1);
		units->rules[i].minimum = oms_get_int32(i, 2);
		units->rules[i].step = oms_get_int64(i, 3);
		units->rules[i].round = oms_get_bool(i, 4);
	}
	oms_end();
}

const OmsItemUnits *
oms_item_units(int32 merchant, int64 item)
{
	static const OmsItemUnits none = {0};
	OmsItemUnits key = {.item = item, .merchant = merchant};
	OmsItemUnits *found;
	MemoryContext old;

	/* A change that arrives while we read starts it again. */
	for (;;)
	{
		if (!oms_units_used())
			return &none;
		found = hash_search(cache.data, &key, HASH_FIND, NULL);
		if (found != NULL)
			return found;
		old = MemoryContextSwitchTo(cache.context);
		read_units(&key);
		MemoryContextSwitchTo(old);
		if (!cache.valid)
			continue;
		found = hash_search(cache.data, &key, HASH_ENTER, NULL);
		*found = key;
	}
}

const OmsUnit *
oms_item_unit(int32 merchant, int64 item, const char *name)
{
	const OmsItemUnits *units = oms_item_units(merchant, item);
	int			i;

	for (i = 0; i < units->nunits; i++)
		if (strcmp(units->units[i].name, name) == 0)
			return &units->units[i];
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("unit \"%s\" does not exist", name),
			 errdetail("Item " INT64_FORMAT " of merchant %d has no such unit.", item, merchant),
			 errhint("Insert it into oms.item_unit, or give the quantity in base units.")));
	return NULL;
}

const OmsQuantityRule *
oms_quantity_rule(int32 merchant, int64 item, int32 channel)
{
	const OmsItemUnits *units = oms_item_units(merchant, item);
	const OmsQuantityRule *rule = NULL;
	int			i;

	for (i = 0; i < units->nrules; i++)
		if (units->rules[i].channel == channel || (units->rules[i].channel == 0 && rule == NULL))
			rule = &units->rules[i];
	return rule;
}

bool
oms_exact_ratio(int64 a, int64 b, int64 divisor, int64 *result)
{
	int128		product = (int128) a * b;

	if (product % divisor != 0 || product / divisor > PG_INT64_MAX || product / divisor < PG_INT64_MIN)
		return false;
	*result = (int64) (product / divisor);
	return true;
}

bool
oms_unit_to_base(const OmsUnit *unit, int64 quantity, int64 *base)
{
	return oms_exact_ratio(quantity, unit->numerator, unit->denominator * OMS_PRICE_ONE, base);
}

/* The ratio of a unit argument; null is the base unit. */
static OmsUnit
unit_argument(FunctionCallInfo fcinfo, int n)
{
	OmsUnit		base = {NULL, 1, 1};
	char	   *name = oms_arg_text_or_null(fcinfo, n, "unit", OMS_KEY_LENGTH);

	return name == NULL ? base : *oms_item_unit(oms_arg_merchant(fcinfo), oms_arg_int64(fcinfo, 1, "item"), name);
}

/* OM011: what cannot be converted, and why. */
static void
refuse(FunctionCallInfo fcinfo, const OmsUnit *unit, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("the conversion is not exact"),
			 errdetail("%s; a unit is " INT64_FORMAT "/" INT64_FORMAT " base units of item " INT64_FORMAT ".",
					   what, unit->numerator, unit->denominator, PG_GETARG_INT64(1)),
			 errhint("%s", hint)));
}

/* SQL: base_quantity(merchant, item, quantity, unit) */
Datum
oms_base_quantity(PG_FUNCTION_ARGS)
{
	OmsUnit		unit;
	int64		quantity;
	int64		base;

	(void) oms_arg_merchant(fcinfo);
	(void) oms_arg_int64(fcinfo, 1, "item");
	oms_arg_require(fcinfo, 2, "quantity");
	quantity = oms_numeric_to_scaled(PG_GETARG_DATUM(2), OMS_PRICE_SCALE, "argument \"quantity\"");
	unit = unit_argument(fcinfo, 3);
	if (!oms_unit_to_base(&unit, quantity, &base))
		refuse(fcinfo, &unit, "It is not a whole number of base units", "Give a quantity that is.");
	PG_RETURN_INT64(base);
}

/* SQL: unit_quantity(merchant, item, quantity, unit) */
Datum
oms_unit_quantity(PG_FUNCTION_ARGS)
{
	OmsUnit		unit;
	int64		base;
	int64		scaled = 0;

	(void) oms_arg_merchant(fcinfo);
	(void) oms_arg_int64(fcinfo, 1, "item");
	base = oms_arg_int64(fcinfo, 2, "quantity");
	unit = unit_argument(fcinfo, 3);
	if (!oms_exact_ratio(base, unit.denominator * OMS_PRICE_ONE, unit.numerator, &scaled))
		refuse(fcinfo, &unit, "It is no number of units with 8 decimals", "Keep it in base units.");
	return oms_price_to_numeric(scaled, 0);
}

/* SQL: base_price(merchant, item, price, unit) */
Datum
oms_base_price(PG_FUNCTION_ARGS)
{
	OmsUnit		unit;
	int64		price;
	int64		base = 0;

	(void) oms_arg_merchant(fcinfo);
	(void) oms_arg_int64(fcinfo, 1, "item");
	oms_arg_require(fcinfo, 2, "price");
	price = oms_numeric_to_scaled(PG_GETARG_DATUM(2), OMS_PRICE_SCALE, "argument \"price\"");
	unit = unit_argument(fcinfo, 3);
	if (!oms_exact_ratio(price, unit.denominator, unit.numerator, &base))
		refuse(fcinfo, &unit, "It is no price of a base unit with 8 decimals", "Give the price of the base unit.");
	return oms_price_to_numeric(base, 0);
}
