/*-------------------------------------------------------------------------
 * sourcing_config.c
 *	  The compiled sourcing rules, locations and exclusions of merchants, and
 *	  the guard of the rules.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "catalog/pg_proc.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "core/cache.h"
#include "core/guard.h"
#include "core/money.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_sourcing_rule_guard);

enum
{
	ST_RULES,
	ST_PLACES,
	ST_EXCLUSIONS
};

static OmsStatement statements[] = {
	[ST_RULES] = {
		"SELECT rule_id, name, coalesce(channel_id, 0), coalesce(country, ''), coalesce(item_id, 0), coalesce(min_weight_g, -1), "
		"coalesce(max_weight_g, -1), valid_from, valid_to, strategy, function_name, coalesce(max_shipments, 0), split_lines, fewest "
		"FROM oms.sourcing_rule WHERE merchant_id = $1 ORDER BY position, rule_id",
		1, {INT4OID}
	},
	[ST_PLACES] = {
		"SELECT c.channel_id, c.location_id, c.priority, l.active, s.latitude, s.longitude, s.cost, s.currency, "
		"coalesce(s.capacity, -1), s.countries, l.address FROM oms.channel_location c "
		"JOIN oms.location l ON l.merchant_id = $1 AND l.location_id = c.location_id "
		"LEFT JOIN oms.location_sourcing s ON s.merchant_id = $1 AND s.location_id = c.location_id "
		"WHERE c.merchant_id = $1 ORDER BY 1, 3, 2",
		1, {INT4OID}
	},
	[ST_EXCLUSIONS] = {
		"SELECT location_id, item_id, excluded_until, reason FROM oms.sourcing_exclusion "
		"WHERE merchant_id = $1 AND excluded_until > $2 ORDER BY 1, 2",
		2, {INT4OID, TIMESTAMPTZOID}
	},
};

static OmsCache cache = {
	.name = "sourcing",
	.tables = {"sourcing_rule", "sourcing_exclusion", "location_sourcing", "location", "channel_location"},
};

static OmsStrategy
strategy_of(const char *name)
{
	return strcmp(name, "distance") == 0 ? OMS_BY_DISTANCE : strcmp(name, "stock") == 0 ? OMS_BY_STOCK :
		strcmp(name, "cost") == 0 ? OMS_BY_COST : strcmp(name, "function") == 0 ? OMS_BY_FUNCTION : OMS_BY_PRIORITY;
}

static void
load_rules(OmsSourcingConfig *config)
{
	Datum		values[1] = {Int32GetDatum(config->merchant)};
	uint64		rows = oms_run(&statements[ST_RULES], values, NULL);
	uint64		i;

	config->rules = MemoryContextAllocZero(cache.context, (rows + 1) * sizeof(OmsSourcingRule));
	for (i = 0; i < rows; i++)
	{
		OmsSourcingRule *rule = &config->rules[config->nrules++];

		rule->rule_id = oms_get_int32(i, 1);
		rule->name = MemoryContextStrdup(cache.context, oms_get_text(i, 2));
		rule->channel = oms_get_int32(i, 3);
		strlcpy(rule->country, oms_get_text(i, 4), sizeof(rule->country));
		rule->item = oms_get_int64(i, 5);
		rule->min_weight_g = oms_get_int64(i, 6);
		rule->max_weight_g = oms_get_int64(i, 7);
		rule->valid_from = oms_get_int64(i, 8);
		rule->valid_to = oms_get_int64(i, 9);
		rule->strategy = strategy_of(oms_get_text(i, 10));
		if (rule->strategy == OMS_BY_FUNCTION)
			rule->function = MemoryContextStrdup(cache.context, oms_get_text(i, 11));
		rule->max_shipments = oms_get_int32(i, 12);
		rule->split_lines = oms_get_bool(i, 13);
		rule->fewest = oms_get_bool(i, 14);
	}
}

static void
load_countries(OmsPlace *place, uint64 row)
{
	bool		isnull;
	Datum		value = oms_get(row, 10, &isnull);
	Datum	   *countries;
	bool	   *nulls;
	int			n;
	int			i;

	place->ncountries = -1;
	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &countries, &nulls, &n);
	place->ncountries = 0;
	place->countries = MemoryContextAlloc(cache.context, (n + 1) * sizeof(*place->countries));
	for (i = 0; i < n; i++)
		if (!nulls[i])
			strlcpy(place->countries[place->ncountries++], TextDatumGetCString(countries[i]), sizeof(*place->countries));
}

static void
load_places(OmsSourcingConfig *config)
{
	Datum		values[1] = {Int32GetDatum(config->merchant)};
	uint64		rows = oms_run(&statements[ST_PLACES], values, NULL);
	uint64		i;

	config->places = MemoryContextAllocZero(cache.context, (rows + 1) * sizeof(OmsPlace));
	for (i = 0; i < rows; i++)
	{
		OmsPlace   *place = &config->places[config->nplaces++];
		bool		isnull;
		Datum		value;

		place->channel = oms_get_int32(i, 1);
		place->location = oms_get_int32(i, 2);
		place->priority = oms_get_int32(i, 3);
		place->active = oms_get_bool(i, 4);
		value = oms_get(i, 5, &isnull);
		place->has_position = !isnull;
		if (!isnull)
		{
			place->latitude = DatumGetFloat8(value);
			place->longitude = DatumGetFloat8(oms_get(i, 6, &isnull));
		}
		value = oms_get(i, 7, &isnull);
		place->has_cost = !isnull;
		if (!isnull)
		{
			place->cost = oms_numeric_to_scaled(value, OMS_PRICE_SCALE, "cost");
			strlcpy(place->currency, oms_get_text(i, 8), sizeof(place->currency));
		}
		place->capacity = oms_get_int32(i, 9);
		config->limited = config->limited || place->capacity >= 0;
		load_countries(place, i);
		value = oms_get(i, 11, &isnull);
		if (!isnull)
		{
			Jsonb	   *address = DatumGetJsonbP(value);

			place->address = MemoryContextAlloc(cache.context, VARSIZE(address));
			memcpy(place->address, address, VARSIZE(address));
		}
	}
}

static void
load_exclusions(OmsSourcingConfig *config)
{
	Datum		values[2] = {Int32GetDatum(config->merchant), TimestampTzGetDatum(oms_now())};
	uint64		rows = oms_run(&statements[ST_EXCLUSIONS], values, NULL);
	uint64		i;

	config->exclusions = MemoryContextAlloc(cache.context, (rows + 1) * sizeof(OmsExclusion));
	for (i = 0; i < rows; i++)
	{
		OmsExclusion *exclusion = &config->exclusions[config->nexclusions++];

		exclusion->location = oms_get_int32(i, 1);
		exclusion->item = oms_get_int64(i, 2);
		exclusion->until = oms_get_int64(i, 3);
		exclusion->reason = MemoryContextStrdup(cache.context, oms_get_text(i, 4));
	}
}

const OmsSourcingConfig *
oms_sourcing_config_always(int32 merchant)
{
	OmsSourcingConfig *config = oms_cache_of_merchant(&cache, merchant, sizeof(OmsSourcingConfig));

	if (!config->loaded)
	{
		memset(config, 0, sizeof(*config));
		config->merchant = merchant;
		oms_begin();
		load_rules(config);
		load_places(config);
		load_exclusions(config);
		oms_end();
		config->loaded = true;
	}
	return config;
}

const OmsSourcingConfig *
oms_sourcing_config(int32 merchant)
{
	const OmsSourcingConfig *config = oms_sourcing_config_always(merchant);

	return config->nrules == 0 && config->nexclusions == 0 && !config->limited ? NULL : config;
}

Oid
oms_sourcing_function(const char *name)
{
	Oid			argtypes[2] = {INT4OID, JSONBOID};
	List	   *parts;
	Oid			function = InvalidOid;

	if (SplitIdentifierString(pstrdup(name), '.', &parts) && list_length(parts) == 2)
		function = LookupFuncName(list_make2(makeString(linitial(parts)), makeString(lsecond(parts))), 2, argtypes, true);
	if (!OidIsValid(function) || get_func_rettype(function) != INT4ARRAYOID || get_func_retset(function) ||
		get_func_prokind(function) != PROKIND_FUNCTION)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("sourcing function %s (int, jsonb) does not exist", name),
				 errdetail("It is named with its schema, takes (merchant int, request jsonb), and returns int[].")));
	return function;
}

/*
 * BEFORE INSERT OR UPDATE row on sourcing_rule: the function it names is there
 * (OM016).  Nulls are left to the table's constraints.
 */
Datum
oms_sourcing_rule_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	bool		isnull;
	Datum		name = oms_row_get(trigdata, tuple, SPI_fnumber(RelationGetDescr(trigdata->tg_relation), "function_name"), &isnull);

	if (!isnull)
		(void) oms_sourcing_function(TextDatumGetCString(name));
	return PointerGetDatum(tuple);
}
