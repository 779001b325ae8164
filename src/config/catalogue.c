/*-------------------------------------------------------------------------
 * catalogue.c
 *	  Loads and answers the compiled catalogue.  A row change in item, price,
 *	  item_alias or kit_component drops it in every backend.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "config/catalogue.h"
#include "core/cache.h"
#include "core/guard.h"
#include "core/money.h"

PG_FUNCTION_INFO_V1(oms_kit_component_guard);

/* Beyond so many items or SKUs the cache starts anew, so that its memory is bounded. */
#define MAX_ITEMS 100000
#define MAX_SKUS (4 * MAX_ITEMS)

/* Of the advisory lock that those who write parts of kits take, with the merchant. */
#define KIT_LOCK 0x6f6d736b

enum
{
	ST_BY_SKU,
	ST_BY_ALIAS,
	ST_ITEMS,
	ST_PRICES,
	ST_COMPONENTS,
	ST_KIT_CYCLE
};

static OmsStatement statements[] = {
	[ST_BY_SKU] = {
		"SELECT sku, item_id FROM oms.item WHERE merchant_id = $1 AND sku = ANY($2)", 2, {INT4OID, TEXTARRAYOID}
	},
	[ST_BY_ALIAS] = {
		"SELECT sku, item_id FROM oms.item_alias WHERE merchant_id = $1 AND channel_id = $2 AND sku = ANY($3)",
		3, {INT4OID, INT4OID, TEXTARRAYOID}
	},
	[ST_ITEMS] = {
		"SELECT item_id, kind, active, sku, title, tax_class, tracking FROM oms.item WHERE merchant_id = $1 AND item_id = ANY($2)",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_PRICES] = {
		"SELECT item_id, currency, channel_id, min_quantity, valid_from, valid_to, amount, group_id FROM oms.price "
		"WHERE merchant_id = $1 AND item_id = ANY($2) ORDER BY item_id",
		2, {INT4OID, INT8ARRAYOID}
	},
	/* Nested kits multiplied out; only parts that are no kits themselves. */
	[ST_COMPONENTS] = {
		"WITH RECURSIVE part (kit_id, item_id, quantity) AS ("
		"SELECT kit_id, item_id, quantity::numeric FROM oms.kit_component WHERE merchant_id = $1 AND kit_id = ANY($2) "
		"UNION ALL SELECT p.kit_id, c.item_id, p.quantity * c.quantity FROM part p "
		"JOIN oms.kit_component c ON c.merchant_id = $1 AND c.kit_id = p.item_id) "
		"SELECT p.kit_id, p.item_id, least(sum(p.quantity), 2147483647)::int FROM part p "
		"JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = p.item_id WHERE i.kind = 'stocked' "
		"GROUP BY 1, 2 ORDER BY 1, 2",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_KIT_CYCLE] = {
		"WITH RECURSIVE part (item_id) AS (SELECT $3 UNION SELECT c.item_id FROM part p "
		"JOIN oms.kit_component c ON c.merchant_id = $1 AND c.kit_id = p.item_id) "
		"SELECT EXISTS (SELECT 1 FROM part WHERE item_id = $2), "
		"EXISTS (SELECT 1 FROM oms.item WHERE merchant_id = $1 AND item_id = $2 AND kind = 'kit')",
		3, {INT4OID, INT8OID, INT8OID}
	},
};

typedef struct ItemKey
{
	int64		item;
	int64		merchant;		/* as wide as item: the key has no padding */
} ItemKey;

typedef struct ItemEntry
{
	ItemKey		key;
	OmsItem    *item;
} ItemEntry;

/* A SKU as a channel means it: the same one may be an alias in another. */
typedef struct SkuKey
{
	int32		merchant;
	int32		channel;
	const char *sku;
} SkuKey;

typedef struct SkuEntry
{
	SkuKey		key;
	int64		item;
} SkuEntry;

typedef struct Catalogue
{
	HTAB	   *items;
	HTAB	   *skus;
} Catalogue;

static OmsCache cache = {
	.name = "catalogue",
	.tables = {"item", "item_alias", "kit_component", "price"},
};

/* How often the catalogue was begun anew. */
static uint64 generation = 0;

static uint32
hash_sku(const void *key, Size size)
{
	const SkuKey *sku = key;

	return hash_combine(hash_bytes((const unsigned char *) sku->sku, strlen(sku->sku)),
						hash_uint32((uint32) sku->merchant * 31 + (uint32) sku->channel));
}

static int
match_sku(const void *a, const void *b, Size size)
{
	const SkuKey *x = a;
	const SkuKey *y = b;

	return x->merchant == y->merchant && x->channel == y->channel ? strcmp(x->sku, y->sku) : 1;
}

/* The tables of the cache, empty ones when it was dropped or has grown too far. */
static Catalogue *
catalogue(void)
{
	HASHCTL		ctl = {0};
	Catalogue  *result;

	if (cache.valid && cache.data != NULL &&
		(hash_get_num_entries(((Catalogue *) cache.data)->items) > MAX_ITEMS ||
		 hash_get_num_entries(((Catalogue *) cache.data)->skus) > MAX_SKUS))
		cache.valid = false;
	if (oms_cache_fresh(&cache) && cache.data != NULL)
		return cache.data;
	result = MemoryContextAlloc(cache.context, sizeof(Catalogue));
	ctl.keysize = sizeof(ItemKey);
	ctl.entrysize = sizeof(ItemEntry);
	ctl.hcxt = cache.context;
	result->items = hash_create("oms items", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = sizeof(SkuKey);
	ctl.entrysize = sizeof(SkuEntry);
	ctl.hash = hash_sku;
	ctl.match = match_sku;
	result->skus = hash_create("oms skus", 1024, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	cache.data = result;
	generation++;
	return result;
}

static SkuEntry *
find_sku(Catalogue *cat, int32 merchant, int32 channel, const char *sku)
{
	SkuKey		key = {merchant, channel, sku};

	return hash_search(cat->skus, &key, HASH_FIND, NULL);
}

static OmsItem *
find_item(Catalogue *cat, int32 merchant, int64 item)
{
	ItemKey		key = {item, merchant};
	ItemEntry  *entry = hash_search(cat->items, &key, HASH_FIND, NULL);

	return entry == NULL ? NULL : entry->item;
}

/* Notes which item each of the SKUs of the last query means, and asks for those items. */
static void
keep_skus(Catalogue *cat, int32 merchant, int32 channel, uint64 rows, Datum *wanted, int *nwanted)
{
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		SkuKey		key = {merchant, channel, oms_get_text(i, 1)};
		SkuEntry   *entry;
		bool		found;

		entry = hash_search(cat->skus, &key, HASH_ENTER, &found);
		if (!found)
			entry->key.sku = MemoryContextStrdup(cache.context, key.sku);
		entry->item = oms_get_int64(i, 2);
		if (find_item(cat, merchant, entry->item) == NULL)
			wanted[(*nwanted)++] = Int64GetDatum(entry->item);
	}
}

static void
load_prices(Catalogue *cat, int32 merchant, Datum *arguments)
{
	uint64		rows = oms_run(&statements[ST_PRICES], arguments, NULL);
	OmsPrice   *prices = MemoryContextAlloc(cache.context, (rows + 1) * sizeof(OmsPrice));
	OmsItem    *item = NULL;
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		bool		isnull;

		if (item == NULL || item->item != oms_get_int64(i, 1))
		{
			item = find_item(cat, merchant, oms_get_int64(i, 1));
			/* Made since the items were read: it will be, when somebody asks for it again. */
			if (item == NULL)
				continue;
			item->prices = &prices[i];
			item->nprices = 0;
		}
		item->nprices++;
		strlcpy(prices[i].currency, oms_get_text(i, 2), sizeof(prices[i].currency));
		prices[i].channel = oms_get_int32(i, 3);
		prices[i].min_quantity = oms_get_int32(i, 4);
		prices[i].valid_from = oms_get_int64(i, 5);
		prices[i].valid_to = oms_get_int64(i, 6);
		prices[i].amount = oms_numeric_to_scaled(oms_get(i, 7, &isnull), OMS_PRICE_SCALE, "price");
		prices[i].group = oms_get_int32(i, 8);
	}
}

static void
load_components(Catalogue *cat, int32 merchant, Datum *arguments)
{
	uint64		rows = oms_run(&statements[ST_COMPONENTS], arguments, NULL);
	OmsComponent *components = MemoryContextAlloc(cache.context, (rows + 1) * sizeof(OmsComponent));
	OmsItem    *kit = NULL;
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		if (kit == NULL || kit->item != oms_get_int64(i, 1))
		{
			kit = find_item(cat, merchant, oms_get_int64(i, 1));
			if (kit == NULL)
				continue;
			kit->components = &components[i];
			kit->ncomponents = 0;
		}
		if (oms_get_int32(i, 3) > OMS_MAX_PER_KIT)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("kit \"%s\" has too many parts", kit->sku),
					 errdetail("One of it would hold more than %d of item " INT64_FORMAT ".",
							   OMS_MAX_PER_KIT, oms_get_int64(i, 2)),
					 errhint("Correct the quantities in oms.kit_component.")));
		kit->ncomponents++;
		components[i].item = oms_get_int64(i, 2);
		components[i].per_unit = oms_get_int32(i, 3);
	}
}

static void
load_items(Catalogue *cat, int32 merchant, Datum *wanted, int nwanted)
{
	Datum		arguments[2];
	uint64		rows;
	uint64		i;
	bool		kits = false;

	arguments[0] = Int32GetDatum(merchant);
	arguments[1] = PointerGetDatum(construct_array(wanted, nwanted, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	rows = oms_run(&statements[ST_ITEMS], arguments, NULL);
	for (i = 0; i < rows; i++)
	{
		ItemKey		key = {oms_get_int64(i, 1), merchant};
		ItemEntry  *entry;
		OmsItem    *item;
		const char *kind = oms_get_text(i, 2);
		const char *tracking = oms_get_text(i, 7);

		item = MemoryContextAllocZero(cache.context, sizeof(OmsItem));
		item->item = key.item;
		item->kind = strcmp(kind, "stocked") == 0 ? OMS_STOCKED : strcmp(kind, "kit") == 0 ? OMS_KIT : OMS_SERVICE;
		item->tracking = strcmp(tracking, "lot") == 0 ? OMS_BY_LOT : strcmp(tracking, "serial") == 0 ? OMS_BY_SERIAL : OMS_UNTRACKED;
		item->active = oms_get_bool(i, 3);
		item->sku = MemoryContextStrdup(cache.context, oms_get_text(i, 4));
		item->title = MemoryContextStrdup(cache.context, oms_get_text(i, 5));
		item->tax_class = MemoryContextStrdup(cache.context, oms_get_text(i, 6));
		entry = hash_search(cat->items, &key, HASH_ENTER, NULL);
		entry->item = item;
		kits = kits || item->kind == OMS_KIT;
	}
	if (rows > 0)
		load_prices(cat, merchant, arguments);
	if (kits)
		load_components(cat, merchant, arguments);
}

void
oms_catalogue_load(int32 merchant, int32 channel, const int64 *items, int nitems, char *const *skus, int nskus)
{
	Datum	   *wanted = palloc((nitems + 2 * nskus + 1) * sizeof(Datum));
	Datum	   *unknown = palloc((nskus + 1) * sizeof(Datum));

	/* A change that arrives while we read starts it again. */
	do
	{
		Catalogue  *volatile cat = catalogue();
		int			nwanted = 0;
		int			nunknown = 0;
		int			i;

		for (i = 0; i < nskus; i++)
			if (find_sku(cat, merchant, channel, skus[i]) == NULL)
				unknown[nunknown++] = CStringGetTextDatum(skus[i]);
		for (i = 0; i < nitems; i++)
			if (find_item(cat, merchant, items[i]) == NULL)
				wanted[nwanted++] = Int64GetDatum(items[i]);
		if (nunknown == 0 && nwanted == 0)
			break;
		oms_begin();
		PG_TRY();
		{
			if (nunknown > 0)
			{
				Datum		arguments[3];
				Datum		array = PointerGetDatum(construct_array(unknown, nunknown, TEXTOID, -1, false, TYPALIGN_INT));

				arguments[0] = Int32GetDatum(merchant);
				arguments[1] = array;
				keep_skus(cat, merchant, channel, oms_run(&statements[ST_BY_SKU], arguments, NULL), wanted, &nwanted);
				/* After the items' own, for an alias of the channel goes before. */
				arguments[1] = Int32GetDatum(channel);
				arguments[2] = array;
				keep_skus(cat, merchant, channel, oms_run(&statements[ST_BY_ALIAS], arguments, NULL), wanted, &nwanted);
			}
			if (nwanted > 0)
				load_items(cat, merchant, wanted, nwanted);
		}
		PG_CATCH();
		{
			/* What was read in part must not be taken for the whole. */
			cache.valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		oms_end();
	} while (!cache.valid);
}

uint64
oms_catalogue_mark(void)
{
	return cache.valid ? generation : generation + 1;
}

const OmsItem *
oms_catalogue_item(int32 merchant, int64 item)
{
	return find_item(cache.data, merchant, item);
}

const OmsItem *
oms_catalogue_sku(int32 merchant, int32 channel, const char *sku)
{
	SkuEntry   *entry = find_sku(cache.data, merchant, channel, sku);

	return entry == NULL ? NULL : find_item(cache.data, merchant, entry->item);
}

/* Of two prices in force: group, channel, quantity, the later one. */
static bool
beats(const OmsPrice *price, const OmsPrice *best)
{
	if (price->group != best->group)
		return price->group > best->group;
	if (price->channel != best->channel)
		return price->channel > best->channel;
	if (price->min_quantity != best->min_quantity)
		return price->min_quantity > best->min_quantity;
	return price->valid_from > best->valid_from;
}

const OmsPrice *
oms_catalogue_price(const OmsItem *item, const char *currency, int32 channel, int32 group, int32 quantity, TimestampTz at)
{
	const OmsPrice *best = NULL;
	int			i;

	for (i = 0; i < item->nprices; i++)
	{
		const OmsPrice *price = &item->prices[i];

		if ((price->channel != 0 && price->channel != channel) || (price->group != 0 && price->group != group) ||
			price->min_quantity > quantity ||
			price->valid_from > at || price->valid_to <= at || strcmp(price->currency, currency) != 0)
			continue;
		if (best == NULL || beats(price, best))
			best = price;
	}
	return best;
}

/*
 * BEFORE INSERT OR UPDATE row on kit_component: only kits have parts, and none
 * is its own.  Takes a lock of the merchant's kits until commit, for two
 * sessions could close a circle that neither sees; and looks as of now, whatever
 * snapshot the transaction has.
 */
Datum
oms_kit_component_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	Datum		values[3];
	bool		isnull;
	int			i;

	for (i = 0; i < 3; i++)
		values[i] = oms_row_get(trigdata, tuple, i + 1, &isnull);
	(void) DirectFunctionCall2(pg_advisory_xact_lock_int4, Int32GetDatum(KIT_LOCK), values[0]);
	oms_begin_trigger(trigdata);
	oms_run_latest(&statements[ST_KIT_CYCLE], values, NULL);
	if (oms_get_bool(0, 1))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("kit " INT64_FORMAT " would contain itself", DatumGetInt64(values[1])),
				 errdetail("Item " INT64_FORMAT " is or contains that kit.", DatumGetInt64(values[2])),
				 errhint("Break the circle of parts.")));
	if (!oms_get_bool(0, 2))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("item " INT64_FORMAT " is not a kit", DatumGetInt64(values[1])),
				 errhint("Make it with kind = 'kit'.")));
	oms_end();
	return PointerGetDatum(tuple);
}
