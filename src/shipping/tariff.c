/*-------------------------------------------------------------------------
 * tariff.c
 *	  Carriers' services and tariffs, compiled once per backend.  The list of
 *	  services is read whole; a tariff's rows when it is first quoted.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "catalog/pg_collation.h"
#include "utils/formatting.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "core/cache.h"
#include "core/money.h"
#include "shipping/tariff.h"

enum
{
	ST_SERVICES,
	ST_TARIFFS,
	ST_TARIFF,
	ST_ZONE_NAMES,
	ST_REGIONS,
	ST_ZONES,
	ST_RATES,
	ST_SURCHARGES
};

static OmsStatement statements[] = {
	[ST_SERVICES] = {
		"SELECT s.service_id, c.carrier_id, c.code, s.code, coalesce(s.transit_days, -1), s.preference, s.active AND c.active "
		"FROM oms.carrier_service s "
		"JOIN oms.carrier c ON c.merchant_id = s.merchant_id AND c.carrier_id = s.carrier_id "
		"WHERE s.merchant_id = $1 ORDER BY s.service_id",
		1, {INT4OID}
	},
	[ST_TARIFFS] = {
		"SELECT service_id, tariff_id, name, currency, weight_unit, length_unit, valid_from, valid_to "
		"FROM oms.tariff WHERE merchant_id = $1 AND state = 'active' ORDER BY service_id, valid_from",
		1, {INT4OID}
	},
	[ST_TARIFF] = {
		"SELECT side_rounding, weight_step, minimum_weight, coalesce(divisor, 0), coalesce(volume_threshold, 0), "
		"coalesce(max_weight, -0.001), coalesce(max_side, -0.001), coalesce(max_girth, -0.001), "
		"discount_percent, minimum_charge, fuel_percent, handling, tax_percent, "
		"coalesce((SELECT s.value FROM oms.setting s WHERE s.merchant_id = $1 AND s.channel_id = 0 AND s.name = 'rounding'), "
		"(SELECT d.default_value FROM oms.setting_definition d WHERE d.name = 'rounding')) = 'half-up' "
		"FROM oms.tariff WHERE merchant_id = $1 AND tariff_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_ZONE_NAMES] = {
		"SELECT zone FROM oms.tariff_zone WHERE merchant_id = $1 AND tariff_id = $2 "
		"UNION SELECT zone FROM oms.tariff_rate WHERE merchant_id = $1 AND tariff_id = $2 "
		"UNION SELECT zone FROM oms.tariff_surcharge WHERE merchant_id = $1 AND tariff_id = $2 AND zone <> ''",
		2, {INT4OID, INT8OID}
	},
	[ST_REGIONS] = {
		"SELECT DISTINCT region FROM oms.tariff_zone WHERE merchant_id = $1 AND tariff_id = $2 AND region <> ''",
		2, {INT4OID, INT8OID}
	},
	[ST_ZONES] = {
		"SELECT country, origin_country, length(postal_from), origin_postal, region, postal_low, postal_high, zone, "
		"coalesce(transit_days, -1) FROM oms.tariff_zone WHERE merchant_id = $1 AND tariff_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_RATES] = {
		"SELECT zone, from_weight, to_weight, price FROM oms.tariff_rate WHERE merchant_id = $1 AND tariff_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_SURCHARGES] = {
		"SELECT code, zone, dense_rank() OVER (ORDER BY coalesce(exclusive_group, 'code ' || code))::int, amount, always, "
		"residential, fuel, coalesce(over_weight, -0.001), coalesce(over_side, -0.001), coalesce(over_second, -0.001), "
		"coalesce(over_girth, -0.001), coalesce(over_volume, -0.001), minimum_weight FROM oms.tariff_surcharge "
		"WHERE merchant_id = $1 AND tariff_id = $2 ORDER BY position, zone = '', code COLLATE \"C\", zone COLLATE \"C\"",
		2, {INT4OID, INT8OID}
	},
};

typedef struct MerchantServices
{
	int32		merchant;		/* hash key */
	bool		loaded;
	int			nservices;
	OmsService *services;
} MerchantServices;

static OmsCache cache = {
	.name = "tariffs",
	.tables = {"carrier", "carrier_service", "tariff", "tariff_zone", "tariff_rate", "tariff_surcharge", "setting"},
};

/* Columns of the current result, scaled. */
static int64
get_scaled(uint64 row, int column, int scale, const char *what)
{
	bool		isnull;
	Datum		value = oms_get(row, column, &isnull);

	return oms_numeric_to_scaled(value, scale, what);
}

static char *
keep(const char *text)
{
	return MemoryContextStrdup(cache.context, text);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Position of a name in a sorted list, or -1. */
static int
find_name(char **names, int n, const char *name)
{
	char	  **found;

	if (n == 0)
		return -1;
	found = bsearch(&name, names, n, sizeof(char *), compare_names);
	return found ? (int) (found - names) : -1;
}

/* The first column of the current result as a sorted list. */
static char **
keep_names(uint64 rows)
{
	char	  **names = MemoryContextAlloc(cache.context, (rows + 1) * sizeof(char *));
	uint64		i;

	for (i = 0; i < rows; i++)
		names[i] = keep(oms_get_text(i, 1));
	if (rows > 1)
		qsort(names, rows, sizeof(char *), compare_names);
	return names;
}

static void
load_services(MerchantServices *m)
{
	Datum		values[1] = {Int32GetDatum(m->merchant)};
	uint64		rows = oms_run(&statements[ST_SERVICES], values, NULL);
	uint64		i;
	int			n;

	m->nservices = 0;
	m->services = MemoryContextAllocZero(cache.context, (rows + 1) * sizeof(OmsService));
	for (i = 0; i < rows; i++)
	{
		OmsService *s = &m->services[m->nservices++];

		s->service_id = oms_get_int32(i, 1);
		s->carrier_id = oms_get_int32(i, 2);
		s->carrier = keep(oms_get_text(i, 3));
		s->service = keep(oms_get_text(i, 4));
		s->transit_days = oms_get_int32(i, 5);
		s->preference = oms_get_int32(i, 6);
		s->active = oms_get_bool(i, 7);
	}

	rows = oms_run(&statements[ST_TARIFFS], values, NULL);
	for (i = 0, n = 0; n < m->nservices; n++)
	{
		OmsService *s = &m->services[n];
		uint64		end;

		while (i < rows && oms_get_int32(i, 1) < s->service_id)
			i++;
		for (end = i; end < rows && oms_get_int32(end, 1) == s->service_id; end++)
			;
		s->tariffs = MemoryContextAllocZero(cache.context, (end - i + 1) * sizeof(OmsTariff));
		for (; i < end; i++)
		{
			OmsTariff  *t = &s->tariffs[s->ntariffs++];

			t->tariff_id = oms_get_int64(i, 2);
			t->name = keep(oms_get_text(i, 3));
			strlcpy(t->currency, oms_get_text(i, 4), sizeof(t->currency));
			t->weight_unit = keep(oms_get_text(i, 5));
			t->length_unit = keep(oms_get_text(i, 6));
			t->valid_from = oms_get_int64(i, 7);
			t->valid_to = oms_get_int64(i, 8);
		}
	}
}

OmsService *
oms_services(int32 merchant, int *count)
{
	MerchantServices *m = oms_cache_of_merchant(&cache, merchant, sizeof(MerchantServices));

	if (!m->loaded)
	{
		oms_begin();
		load_services(m);
		oms_end();
		m->loaded = true;
	}
	*count = m->nservices;
	return m->services;
}

OmsTariff *
oms_tariff_at(OmsService *service, TimestampTz at)
{
	int			low = 0;
	int			high = service->ntariffs;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (service->tariffs[middle].valid_from <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && at < service->tariffs[low - 1].valid_to)
		return &service->tariffs[low - 1];
	return NULL;
}

char *
oms_tariff_region_key(const char *region)
{
	return str_toupper(region, strlen(region), DEFAULT_COLLATION_OID);
}

int32
oms_tariff_region(const OmsTariff *tariff, const char *region)
{
	return find_name(tariff->regions, tariff->nregions, region) + 1;
}

static void
load_header(OmsTariff *tariff, Datum *values)
{
	OmsRateTariff *r = &tariff->rate;
	char	   *rounding;

	(void) oms_run(&statements[ST_TARIFF], values, NULL);
	rounding = oms_get_text(0, 1);
	r->side_rounding = strcmp(rounding, "exact") == 0 ? OMS_SIDE_EXACT :
		strcmp(rounding, "up") == 0 ? OMS_SIDE_UP : OMS_SIDE_HALF_UP;
	r->weight_unit = strcmp(tariff->weight_unit, "g") == 0 ? OMS_WEIGHT_G :
		strcmp(tariff->weight_unit, "kg") == 0 ? OMS_WEIGHT_KG :
		strcmp(tariff->weight_unit, "oz") == 0 ? OMS_WEIGHT_OZ : OMS_WEIGHT_LB;
	r->length_unit = strcmp(tariff->length_unit, "mm") == 0 ? OMS_LENGTH_MM :
		strcmp(tariff->length_unit, "cm") == 0 ? OMS_LENGTH_CM : OMS_LENGTH_IN;
	r->weight_step = get_scaled(0, 2, 3, "weight step");
	r->minimum_weight = get_scaled(0, 3, 3, "minimum weight");
	r->divisor = get_scaled(0, 4, 3, "divisor");
	r->volume_threshold = get_scaled(0, 5, 3, "volume threshold");
	r->max_weight = get_scaled(0, 6, 3, "maximum weight");
	r->max_side = get_scaled(0, 7, 3, "maximum side");
	r->max_girth = get_scaled(0, 8, 3, "maximum girth");
	r->discount_ppm = get_scaled(0, 9, 4, "discount");
	r->minimum_charge = get_scaled(0, 10, 4, "minimum charge");
	r->fuel_ppm = get_scaled(0, 11, 4, "fuel surcharge");
	r->handling = get_scaled(0, 12, 4, "handling");
	r->tax_ppm = get_scaled(0, 13, 4, "tax");
	r->half_up = oms_get_bool(0, 14);
}

static void
load_zones(OmsTariff *tariff, Datum *values)
{
	OmsRateTariff *r = &tariff->rate;
	uint64		rows;
	uint64		i;

	rows = oms_run(&statements[ST_ZONE_NAMES], values, NULL);
	tariff->nnames = (int) rows;
	tariff->zone_names = keep_names(rows);
	rows = oms_run(&statements[ST_REGIONS], values, NULL);
	tariff->nregions = (int) rows;
	tariff->regions = keep_names(rows);

	rows = oms_run(&statements[ST_ZONES], values, NULL);
	r->zones = MemoryContextAllocExtended(cache.context, (rows + 1) * sizeof(OmsRateZone), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	r->nzones = (int32) rows;
	for (i = 0; i < rows; i++)
	{
		OmsRateZone *z = &r->zones[i];
		char	   *origin_postal = oms_get_text(i, 4);
		char	   *region = oms_get_text(i, 5);
		char	   *zone = oms_get_text(i, 8);
		int			length = 0;

		CHECK_FOR_INTERRUPTS();
		z->country = oms_rate_country(oms_get_text(i, 1));
		z->origin_country = oms_rate_country(oms_get_text(i, 2));
		z->postal_length = (uint8) oms_get_int32(i, 3);
		if (origin_postal[0] != '\0')
			(void) oms_rate_postal_range(origin_postal, &z->origin_low, &z->origin_high, &length);
		z->origin_length = (uint8) length;
		z->region = region[0] != '\0' ? oms_tariff_region(tariff, region) : 0;
		z->postal_low = oms_get_int64(i, 6);
		z->postal_high = oms_get_int64(i, 7);
		z->zone = find_name(tariff->zone_names, tariff->nnames, zone);
		z->transit_days = oms_get_int32(i, 9);
		pfree(origin_postal);
		pfree(region);
		pfree(zone);
	}
}

static void
load_rates(OmsTariff *tariff, Datum *values)
{
	OmsRateTariff *r = &tariff->rate;
	uint64		rows = oms_run(&statements[ST_RATES], values, NULL);
	uint64		i;

	r->breaks = MemoryContextAllocExtended(cache.context, (rows + 1) * sizeof(OmsRateBreak), MCXT_ALLOC_HUGE);
	r->nbreaks = (int32) rows;
	for (i = 0; i < rows; i++)
	{
		OmsRateBreak *b = &r->breaks[i];

		CHECK_FOR_INTERRUPTS();
		b->zone = find_name(tariff->zone_names, tariff->nnames, oms_get_text(i, 1));
		b->from = get_scaled(i, 2, 3, "weight");
		b->to = get_scaled(i, 3, 3, "weight");
		b->price = get_scaled(i, 4, 4, "price");
	}
}

static void
load_surcharges(OmsTariff *tariff, Datum *values)
{
	OmsRateTariff *r = &tariff->rate;
	uint64		rows = oms_run(&statements[ST_SURCHARGES], values, NULL);
	uint64		i;

	if (rows > OMS_RATE_MAX_SURCHARGES)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("tariff %lld has too many surcharges", (long long) tariff->tariff_id),
				 errdetail("It has " UINT64_FORMAT " rows; %d are possible.", rows, OMS_RATE_MAX_SURCHARGES)));
	r->surcharges = MemoryContextAllocZero(cache.context, (rows + 1) * sizeof(OmsRateSurcharge));
	r->nsurcharges = (int32) rows;
	tariff->surcharge_codes = MemoryContextAlloc(cache.context, (rows + 1) * sizeof(char *));
	for (i = 0; i < rows; i++)
	{
		OmsRateSurcharge *s = &r->surcharges[i];
		char	   *zone = oms_get_text(i, 2);

		tariff->surcharge_codes[i] = keep(oms_get_text(i, 1));
		s->zone = zone[0] != '\0' ? find_name(tariff->zone_names, tariff->nnames, zone) : -1;
		s->group = oms_get_int32(i, 3);
		s->amount = get_scaled(i, 4, 4, "surcharge");
		s->always = oms_get_bool(i, 5);
		s->residential = oms_get_bool(i, 6);
		s->fuel = oms_get_bool(i, 7);
		s->over_weight = get_scaled(i, 8, 3, "weight");
		s->over_side = get_scaled(i, 9, 3, "side");
		s->over_second = get_scaled(i, 10, 3, "side");
		s->over_girth = get_scaled(i, 11, 3, "girth");
		s->over_volume = get_scaled(i, 12, 3, "volume");
		s->minimum_weight = get_scaled(i, 13, 3, "weight");
	}
}

/* The core's allocator. */
static void *
core_alloc(size_t size)
{
	return MemoryContextAllocHuge(cache.context, size);
}

void
oms_tariff_compile(int32 merchant, OmsTariff *tariff)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(tariff->tariff_id)};
	OmsRateFault fault;
	int32_t		row;
	int			exponent;

	if (tariff->compiled)
		return;
	exponent = oms_currency_exponent(tariff->currency);
	memset(&tariff->rate, 0, sizeof(tariff->rate));
	oms_begin();
	load_header(tariff, values);
	load_zones(tariff, values);
	load_rates(tariff, values);
	load_surcharges(tariff, values);
	oms_end();
	tariff->rate.exponent = exponent;

	fault = oms_rate_compile(&tariff->rate, core_alloc, &row);
	if (fault != OMS_RATE_SOUND)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("tariff %lld cannot be used", (long long) tariff->tariff_id),
				 errdetail("%s", fault == OMS_RATE_FAULT_ZONE_OVERLAP ? "Two of its zone rows are equally specific for one place." :
						   fault == OMS_RATE_FAULT_BREAK_OVERLAP ? "Two of its weight breaks overlap." :
						   "One of its numbers is out of range."),
				 errhint("SELECT * FROM oms.verify_shipping names the row.")));
	tariff->compiled = true;
}
