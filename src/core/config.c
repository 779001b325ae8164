/*-------------------------------------------------------------------------
 * config.c
 *	  Loads and answers the compiled configuration.  One hash table of
 *	  merchants, each loaded whole on first use.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"
#include "utils/memutils.h"

#include "core/cache.h"
#include "core/config.h"
#include "core/money.h"

enum
{
	ST_CURRENCIES,
	ST_SETTINGS,
	ST_DEFAULTS,
	ST_CHANNELS,
	ST_LOCATIONS,
	ST_TAXES,
	ST_TRANSITIONS
};

static OmsStatement statements[] = {
	[ST_CURRENCIES] = {"SELECT code, exponent::int FROM oms.currency", 0, {0}},
	[ST_SETTINGS] = {
		"SELECT channel_id, name, value FROM oms.setting WHERE merchant_id = $1", 1, {INT4OID}
	},
	[ST_DEFAULTS] = {"SELECT name, default_value FROM oms.setting_definition", 0, {0}},
	[ST_CHANNELS] = {
		"SELECT c.channel_id, c.code, c.currency, c.language, c.number_prefix, c.tax_included, c.active, "
		"ARRAY(SELECT l.location_id FROM oms.channel_location cl "
		"JOIN oms.location l ON l.merchant_id = cl.merchant_id AND l.location_id = cl.location_id "
		"WHERE cl.merchant_id = $1 AND cl.channel_id = c.channel_id AND l.active "
		"ORDER BY cl.priority, cl.location_id), "
		"c.currency <> (SELECT m.currency FROM oms.merchant m WHERE m.merchant_id = $1) "
		"FROM oms.channel c WHERE c.merchant_id = $1",
		1, {INT4OID}
	},
	[ST_LOCATIONS] = {
		"SELECT location_id, code FROM oms.location WHERE merchant_id = $1 AND active", 1, {INT4OID}
	},
	[ST_TAXES] = {
		"SELECT tax_class, country, region, rate FROM oms.tax_rule WHERE merchant_id = $1", 1, {INT4OID}
	},
	[ST_TRANSITIONS] = {
		"SELECT from_state, to_state, action FROM oms.transition WHERE merchant_id = $1", 1, {INT4OID}
	},
};

typedef struct Setting
{
	int32		channel;
	char	   *name;
	char	   *value;
} Setting;

typedef struct Location
{
	int32		location;
	char	   *code;
} Location;

typedef struct Tax
{
	char	   *tax_class;
	char	   *country;
	char	   *region;
	int64		rate;
} Tax;

typedef struct Transition
{
	char	   *from;
	char	   *to;
	char	   *action;
} Transition;

typedef struct MerchantConfig
{
	int32		merchant;		/* hash key */
	bool		loaded;
	int			nsettings;
	int			nchannels;
	int			nlocations;
	int			ntaxes;
	int			ntransitions;
	Setting    *settings;
	OmsChannel *channels;
	Location   *locations;
	Tax		   *taxes;
	Transition *transitions;
} MerchantConfig;

typedef struct Currency
{
	char		code[4];
	int			exponent;
} Currency;

static OmsCache config_cache = {
	.name = "merchants",
	.tables = {"channel", "channel_location", "location", "setting", "setting_definition", "tax_rule", "transition", "merchant"},
};

static OmsCache currency_cache = {
	.name = "currencies",
	.tables = {"currency"},
};

/* A text column copied into the cache. */
static char *
keep_text(MemoryContext context, uint64 row, int column)
{
	return MemoryContextStrdup(context, oms_get_text(row, column));
}

static void
load_settings(MerchantConfig *config, MemoryContext context)
{
	Datum		values[1] = {Int32GetDatum(config->merchant)};
	uint64		own = oms_run(&statements[ST_SETTINGS], values, NULL);
	uint64		defaults;
	uint64		i;

	config->settings = MemoryContextAlloc(context, (own + 1) * sizeof(Setting));
	for (i = 0; i < own; i++)
	{
		Setting    *setting = &config->settings[config->nsettings++];

		setting->channel = oms_get_int32(i, 1);
		setting->name = keep_text(context, i, 2);
		setting->value = keep_text(context, i, 3);
	}
	/* Defaults stand last, as channel -1. */
	defaults = oms_run(&statements[ST_DEFAULTS], NULL, NULL);
	config->settings = repalloc(config->settings, (own + defaults + 1) * sizeof(Setting));
	for (i = 0; i < defaults; i++)
	{
		Setting    *setting = &config->settings[config->nsettings++];

		setting->channel = -1;
		setting->name = keep_text(context, i, 1);
		setting->value = keep_text(context, i, 2);
	}
}

static const char *
find_setting(const MerchantConfig *config, int32 channel, const char *name)
{
	const char *found = NULL;
	int32		level = -2;
	int			i;

	for (i = 0; i < config->nsettings; i++)
	{
		const Setting *setting = &config->settings[i];

		if (setting->channel > level &&
			(setting->channel == channel || setting->channel <= 0) &&
			strcmp(setting->name, name) == 0)
		{
			found = setting->value;
			level = setting->channel;
		}
	}
	return found;
}

/* A setting that placing cannot do without. */
static const char *
require_setting(const MerchantConfig *config, int32 channel, const char *name)
{
	const char *value = find_setting(config, channel, name);

	if (value == NULL)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("setting \"%s\" has no default", name),
				 errdetail("Its row of oms.setting_definition is missing."),
				 errhint("Run CALL oms.install(), which brings it back.")));
	return value;
}

static void
load_channels(MerchantConfig *config, MemoryContext context)
{
	Datum		values[1] = {Int32GetDatum(config->merchant)};
	uint64		rows = oms_run(&statements[ST_CHANNELS], values, NULL);
	uint64		i;

	config->channels = MemoryContextAllocZero(context, (rows + 1) * sizeof(OmsChannel));
	for (i = 0; i < rows; i++)
	{
		OmsChannel *channel = &config->channels[config->nchannels++];
		const char *allocation;
		const char *reserve;
		const char *whole;
		const char *override;
		bool		isnull;
		ArrayType  *locations = DatumGetArrayTypeP(oms_get(i, 8, &isnull));

		channel->merchant = config->merchant;
		channel->channel = oms_get_int32(i, 1);
		channel->code = keep_text(context, i, 2);
		strlcpy(channel->currency, oms_get_text(i, 3), sizeof(channel->currency));
		channel->language = keep_text(context, i, 4);
		channel->number_prefix = keep_text(context, i, 5);
		channel->tax_included = oms_get_bool(i, 6);
		channel->active = oms_get_bool(i, 7);
		channel->foreign = oms_get_bool(i, 9);
		channel->nlocations = ArrayGetNItems(ARR_NDIM(locations), ARR_DIMS(locations));
		channel->locations = MemoryContextAlloc(context, (channel->nlocations + 1) * sizeof(int32));
		memcpy(channel->locations, ARR_DATA_PTR(locations), channel->nlocations * sizeof(int32));
		channel->confirm = strcmp(require_setting(config, channel->channel, "confirmation"), "auto") == 0;
		channel->rounding = strcmp(require_setting(config, channel->channel, "rounding"), "half-up") == 0 ?
			OMS_HALF_UP : OMS_HALF_EVEN;
		allocation = require_setting(config, channel->channel, "allocation");
		channel->allocation = strcmp(allocation, "strict") == 0 ? OMS_ALLOCATE_STRICT :
			strcmp(allocation, "backorder") == 0 ? OMS_ALLOCATE_BACKORDER : OMS_ALLOCATE_NONE;
		reserve = require_setting(config, channel->channel, "reserve");
		channel->reserve = strcmp(reserve, "confirmation") == 0 ? OMS_RESERVE_CONFIRMATION :
			strcmp(reserve, "manual") == 0 ? OMS_RESERVE_MANUAL :
			strcmp(reserve, "ship_date") == 0 ? OMS_RESERVE_SHIP_DATE : OMS_RESERVE_PLACEMENT;
		channel->reserve_days = pg_strtoint32(require_setting(config, channel->channel, "reserve_days"));
		whole = require_setting(config, channel->channel, "reserve_whole");
		channel->whole = strcmp(whole, "line") == 0 ? OMS_WHOLE_LINE :
			strcmp(whole, "order") == 0 ? OMS_WHOLE_ORDER : OMS_WHOLE_NO;
		override = require_setting(config, channel->channel, "price_override");
		channel->override = strcmp(override, "reason") == 0 ? OMS_OVERRIDE_REASON :
			strcmp(override, "keep") == 0 ? OMS_OVERRIDE_KEEP : OMS_OVERRIDE_FREE;
	}
	for (i = 0; i < rows; i++)
		config->channels[i].exponent = oms_currency_exponent(config->channels[i].currency);
}

static void
load_locations(MerchantConfig *config, MemoryContext context)
{
	Datum		values[1] = {Int32GetDatum(config->merchant)};
	uint64		rows = oms_run(&statements[ST_LOCATIONS], values, NULL);
	uint64		i;

	config->locations = MemoryContextAlloc(context, (rows + 1) * sizeof(Location));
	for (i = 0; i < rows; i++)
	{
		config->locations[i].location = oms_get_int32(i, 1);
		config->locations[i].code = keep_text(context, i, 2);
		config->nlocations++;
	}
}

static void
load_taxes(MerchantConfig *config, MemoryContext context)
{
	Datum		values[1] = {Int32GetDatum(config->merchant)};
	uint64		rows = oms_run(&statements[ST_TAXES], values, NULL);
	uint64		i;

	config->taxes = MemoryContextAlloc(context, (rows + 1) * sizeof(Tax));
	for (i = 0; i < rows; i++)
	{
		Tax		   *tax = &config->taxes[config->ntaxes++];
		bool		isnull;

		tax->tax_class = keep_text(context, i, 1);
		tax->country = keep_text(context, i, 2);
		tax->region = keep_text(context, i, 3);
		tax->rate = oms_numeric_to_scaled(oms_get(i, 4, &isnull), OMS_PRICE_SCALE, "tax rate");
	}
}

static void
load_transitions(MerchantConfig *config, MemoryContext context)
{
	Datum		values[1] = {Int32GetDatum(config->merchant)};
	uint64		rows = oms_run(&statements[ST_TRANSITIONS], values, NULL);
	uint64		i;

	config->transitions = MemoryContextAlloc(context, (rows + 1) * sizeof(Transition));
	for (i = 0; i < rows; i++)
	{
		Transition *transition = &config->transitions[config->ntransitions++];

		transition->from = keep_text(context, i, 1);
		transition->to = keep_text(context, i, 2);
		transition->action = keep_text(context, i, 3);
	}
}

/* The configuration of a merchant, loaded when it is not there. */
static const MerchantConfig *
merchant_config(int32 merchant)
{
	MerchantConfig *config = oms_cache_of_merchant(&config_cache, merchant, sizeof(MerchantConfig));

	if (!config->loaded)
	{
		int32		key = config->merchant;

		memset(config, 0, sizeof(*config));
		config->merchant = key;
		oms_begin();
		load_settings(config, config_cache.context);
		load_channels(config, config_cache.context);
		load_locations(config, config_cache.context);
		load_taxes(config, config_cache.context);
		load_transitions(config, config_cache.context);
		oms_end();
		config->loaded = true;
	}
	return config;
}

const OmsChannel *
oms_channel(int32 merchant, int32 channel)
{
	const MerchantConfig *config = merchant_config(merchant);
	int			i;

	for (i = 0; i < config->nchannels; i++)
		if (config->channels[i].channel == channel)
			return &config->channels[i];
	return NULL;
}

const OmsChannel *
oms_channel_by_code(int32 merchant, const char *code)
{
	const MerchantConfig *config = merchant_config(merchant);
	int			i;

	for (i = 0; i < config->nchannels; i++)
		if (strcmp(config->channels[i].code, code) == 0)
			return &config->channels[i];
	return NULL;
}

int32
oms_location_id(int32 merchant, const char *code)
{
	const MerchantConfig *config = merchant_config(merchant);
	int			i;

	for (i = 0; i < config->nlocations; i++)
		if (strcmp(config->locations[i].code, code) == 0)
			return config->locations[i].location;
	oms_error_unknown_code("location", merchant, code);
	return 0;
}

int64
oms_tax_rate(int32 merchant, const char *tax_class, const char *country, const char *region)
{
	const MerchantConfig *config = merchant_config(merchant);
	int64		rate = 0;
	int			best = -1;
	int			i;

	for (i = 0; i < config->ntaxes; i++)
	{
		const Tax  *tax = &config->taxes[i];
		int			score = (tax->country[0] != '\0' ? 1 : 0) + (tax->region[0] != '\0' ? 2 : 0);

		if (score > best && strcmp(tax->tax_class, tax_class) == 0 &&
			(tax->country[0] == '\0' || strcmp(tax->country, country ? country : "") == 0) &&
			(tax->region[0] == '\0' || strcmp(tax->region, region ? region : "") == 0))
		{
			rate = tax->rate;
			best = score;
		}
	}
	return rate;
}

const char *
oms_transition_action(int32 merchant, const char *from, const char *to)
{
	const MerchantConfig *config = merchant_config(merchant);
	int			i;

	for (i = 0; i < config->ntransitions; i++)
		if (strcmp(config->transitions[i].from, from) == 0 && strcmp(config->transitions[i].to, to) == 0)
			return config->transitions[i].action;
	return NULL;
}

const char *
oms_setting(int32 merchant, int32 channel, const char *name)
{
	const char *value = find_setting(merchant_config(merchant), channel, name);

	if (value == NULL)
		oms_error_unknown_code("setting", merchant, name);
	return value;
}

int
oms_currency_exponent(const char *code)
{
	char		key[4] = {0};
	Currency   *currency;
	bool		found;

	if (!oms_cache_fresh(&currency_cache))
	{
		HASHCTL		ctl = {0};
		uint64		rows;
		uint64		i;

		ctl.keysize = 4;
		ctl.entrysize = sizeof(Currency);
		ctl.hcxt = currency_cache.context;
		currency_cache.data = hash_create("oms currencies", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		PG_TRY();
		{
			oms_begin();
			rows = oms_run(&statements[ST_CURRENCIES], NULL, NULL);
			for (i = 0; i < rows; i++)
			{
				strlcpy(key, oms_get_text(i, 1), sizeof(key));
				currency = hash_search(currency_cache.data, key, HASH_ENTER, &found);
				currency->exponent = oms_get_int32(i, 2);
			}
			oms_end();
		}
		PG_CATCH();
		{
			currency_cache.valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		memset(key, 0, sizeof(key));
	}
	if (strlen(code) == 3)
	{
		memcpy(key, code, 3);
		currency = hash_search(currency_cache.data, key, HASH_FIND, &found);
		if (found)
			return currency->exponent;
	}
	ereport(ERROR,
			(errcode(OMS_CURRENCY),
			 errmsg("\"%s\" is not a currency", oms_clip(code, 60)),
			 errdetail("It is not in oms.currency."),
			 errhint("Use an ISO 4217 code such as EUR.")));
	return 0;
}
