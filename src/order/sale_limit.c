/*-------------------------------------------------------------------------
 * sale_limit.c
 *	  How many units of an item may be sold in all, by a channel, in a period.
 *
 *	  A limit counts what orders have of the item and was not cancelled; what is
 *	  shipped counts on, unlike a bound on promises.  The limits are compiled.
 *	  The row of one that an order meets is locked until commit, so such orders
 *	  pass one by one, in the order of the limits' keys.
 *
 *	  Orders are counted after their lines are written: setting a limit locks
 *	  the lines' table, so whoever writes meets the limits that are set by then.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/cache.h"
#include "core/config.h"
#include "core/guard.h"
#include "inventory/inventory.h"
#include "order/columns.h"
#include "order/sale_limit.h"

PG_FUNCTION_INFO_V1(oms_set_sale_limit);

enum
{
	ST_LOAD,
	ST_LOCK_ALL,
	ST_COUNT,
	ST_ORDER,
	ST_LINES,
	ST_LOCK_LINES,
	ST_SET,
	ST_DROP
};

static OmsStatement statements[] = {
	[ST_LOAD] = {
		"SELECT merchant_id, item_id, channel_id, valid_from, valid_to FROM oms.sale_limit ORDER BY 1, 2, 3, 4", 0, {0}
	},
	[ST_LOCK_ALL] = {
		"SELECT 1 FROM oms.sale_limit WHERE merchant_id = $1 ORDER BY item_id, channel_id, valid_from FOR NO KEY UPDATE", 1, {INT4OID}
	},
	[ST_COUNT] = {
		"UPDATE oms.sale_limit SET used = used + $5 WHERE merchant_id = $1 AND item_id = $2 AND channel_id = $3 AND valid_from = $4 "
		"RETURNING used, quantity",
		5, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID}
	},
	[ST_ORDER] = {
		"SELECT channel_id, placed_at FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_LINES] = {
		"SELECT item_id, ordered - cancelled FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2 AND line_no = ANY ($3) "
		"AND item_id IS NOT NULL",
		3, {INT4OID, INT8OID, INT4ARRAYOID}
	},
	[ST_LOCK_LINES] = {"LOCK TABLE oms.order_line IN SHARE MODE", 0, {0}},
	[ST_SET] = {
		"INSERT INTO oms.sale_limit (merchant_id, item_id, channel_id, valid_from, valid_to, quantity, used) "
		"SELECT $1, i.item_id, $3, $4, $5, $6, coalesce((SELECT sum(l.ordered - l.cancelled) FROM oms.order_line l "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = l.order_id WHERE l.merchant_id = $1 AND l.item_id = $2 "
		"AND (o.channel_id = $3 OR $3 = 0) AND o.placed_at >= $4 AND o.placed_at < $5), 0) "
		"FROM oms.item i WHERE i.merchant_id = $1 AND i.item_id = $2 "
		"ON CONFLICT (merchant_id, item_id, channel_id, valid_from) DO UPDATE SET quantity = excluded.quantity, "
		"valid_to = excluded.valid_to, used = excluded.used RETURNING used",
		6, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
	},
	[ST_DROP] = {
		"DELETE FROM oms.sale_limit WHERE merchant_id = $1 AND item_id = $2 AND channel_id = $3 AND valid_from = $4 RETURNING used",
		4, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID}
	},
};

typedef struct SaleLimit
{
	int32		merchant;
	int32		channel;		/* 0: all */
	int64		item;
	TimestampTz from;
	TimestampTz to;
} SaleLimit;

typedef struct SaleLimits
{
	int			n;
	SaleLimit	limits[FLEXIBLE_ARRAY_MEMBER];	/* by merchant, item, channel, from */
} SaleLimits;

/* Units of a limit, copied: counting runs SQL. */
typedef struct Count
{
	SaleLimit	limit;
	int64		units;
} Count;

typedef struct Counts
{
	int			n;
	int			size;
	Count	   *counts;
} Counts;

static OmsCache cache = {
	.name = "sale limits",
	.tables = {"sale_limit"},
};

/* The limits of all merchants; the newest, whatever the transaction's snapshot. */
static const SaleLimits *
limits(void)
{
	/* No data: reading it failed the last time. */
	while (!oms_cache_fresh(&cache) || cache.data == NULL)
	{
		SaleLimits *loaded;
		uint64		rows;
		uint64		i;

		oms_begin();
		rows = oms_run_latest(&statements[ST_LOAD], NULL, NULL);
		loaded = MemoryContextAllocZero(cache.context, offsetof(SaleLimits, limits) + (rows + 1) * sizeof(SaleLimit));
		for (i = 0; i < rows; i++)
			loaded->limits[loaded->n++] = (SaleLimit) {
				oms_get_int32(i, 1), oms_get_int32(i, 3), oms_get_int64(i, 2), oms_get_int64(i, 4), oms_get_int64(i, 5)
			};
		oms_end();
		cache.data = loaded;
	}
	return cache.data;
}

/* Whether the item has limits; *first is the place of the first one. */
static bool
find(int32 merchant, int64 item, int *first)
{
	const SaleLimits *all = limits();
	int			low = 0;
	int			high = all->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const SaleLimit *limit = &all->limits[middle];

		if (limit->merchant < merchant || (limit->merchant == merchant && limit->item < item))
			low = middle + 1;
		else
			high = middle;
	}
	*first = low;
	return low < all->n && all->limits[low].merchant == merchant && all->limits[low].item == item;
}

/* Adds the units to each limit that they fall under. */
static void
add(Counts *counts, int32 merchant, int32 channel, TimestampTz placed_at, int64 item, int64 units)
{
	const SaleLimits *all = limits();
	int			i;

	if (units == 0 || !find(merchant, item, &i))
		return;
	for (; i < all->n && all->limits[i].merchant == merchant && all->limits[i].item == item; i++)
	{
		const SaleLimit *limit = &all->limits[i];

		if ((limit->channel != 0 && limit->channel != channel) || placed_at < limit->from || placed_at >= limit->to)
			continue;
		if (counts->n == counts->size)
		{
			counts->size = Max(16, counts->size * 2);
			counts->counts = counts->counts == NULL ? palloc(counts->size * sizeof(Count)) :
				repalloc(counts->counts, counts->size * sizeof(Count));
		}
		counts->counts[counts->n++] = (Count) {*limit, units};
	}
}

static int
compare_counts(const void *a, const void *b)
{
	const SaleLimit *x = &((const Count *) a)->limit;
	const SaleLimit *y = &((const Count *) b)->limit;

	if (x->item != y->item)
		return x->item < y->item ? -1 : 1;
	if (x->channel != y->channel)
		return x->channel < y->channel ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

/* Moves the limits, each once and in the order of their keys.  Raises OM007 when strict. */
static void
count(Counts *counts, bool strict)
{
	int			i;

	if (counts->n > 1)
		qsort(counts->counts, counts->n, sizeof(Count), compare_counts);
	for (i = 0; i < counts->n;)
	{
		const SaleLimit *limit = &counts->counts[i].limit;
		Datum		values[5] = {Int32GetDatum(limit->merchant), Int64GetDatum(limit->item), Int32GetDatum(limit->channel),
		TimestampTzGetDatum(limit->from)};
		int64		units = 0;

		for (; i < counts->n && compare_counts(&counts->counts[i], &(Count) {*limit}) == 0; i++)
			units += counts->counts[i].units;
		values[4] = Int64GetDatum(units);
		/* A limit that is newer than the transaction's snapshot. */
		if (oms_run_guarded(&statements[ST_COUNT], values, NULL) == 0)
			ereport(ERROR,
					(errcode(OMS_BUSY),
					 errmsg("a limit of sales of item " INT64_FORMAT " was changed meanwhile", limit->item),
					 errhint("Try again.")));
		if (strict && units > 0 && oms_get_int64(0, 1) > oms_get_int64(0, 2))
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 limit->channel == 0 ? errmsg("item " INT64_FORMAT " has reached its limit of sales", limit->item) :
					 errmsg("item " INT64_FORMAT " has reached its limit of sales by channel %d", limit->item, limit->channel),
					 errdetail(INT64_FORMAT " units would be sold, " INT64_FORMAT " may be.", oms_get_int64(0, 1), oms_get_int64(0, 2)),
					 errhint("Order less, or raise the limit with set_sale_limit().")));
	}
}

/* The order's channel and date; false when it is not there. */
static bool
read_order(int32 merchant, int64 order_id, int32 *channel, TimestampTz *placed_at)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};

	if (oms_run(&statements[ST_ORDER], values, NULL) == 0)
		return false;
	*channel = oms_get_int32(0, 1);
	*placed_at = oms_get_int64(0, 2);
	return true;
}

static void
add_lines(Counts *counts, const OmsDraft *draft, int32 channel, TimestampTz placed_at)
{
	int			i;

	for (i = 0; i < draft->nlines; i++)
		if (draft->lines[i].item != 0 && !draft->lines[i].known)
			add(counts, draft->merchant, channel, placed_at, draft->lines[i].item, draft->lines[i].quantity);
}

void
oms_sale_limit_placed(OmsDraft **drafts, int n)
{
	Counts		counts = {0};
	int			i;

	if (likely(limits()->n == 0))
		return;
	for (i = 0; i < n; i++)
		if (!drafts[i]->repeated)
			add_lines(&counts, drafts[i], drafts[i]->channel, drafts[i]->placed_at);
	/* Who places many orders in a transaction does not know yet which limits will follow. */
	if (counts.n > 0 && drafts[0]->of_batch)
	{
		Datum		values[1] = {Int32GetDatum(drafts[0]->merchant)};

		oms_run(&statements[ST_LOCK_ALL], values, NULL);
	}
	count(&counts, true);
}

void
oms_sale_limit_added(const OmsDraft *draft)
{
	Counts		counts = {0};
	int32		channel;
	TimestampTz placed_at;

	if (likely(limits()->n == 0) || !read_order(draft->merchant, draft->order_id, &channel, &placed_at))
		return;
	add_lines(&counts, draft, channel, placed_at);
	count(&counts, true);
}

void
oms_sale_limit_moved(int32 merchant, int64 order_id, Datum lines)
{
	Counts		counts = {0};
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(order_id), lines};
	int32		channel;
	TimestampTz placed_at;
	int64	   *items;
	int64	   *units;
	int			rows;
	int			i;

	if (likely(limits()->n == 0) || !read_order(merchant, order_id, &channel, &placed_at))
		return;
	rows = (int) oms_run(&statements[ST_LINES], values, NULL);
	items = palloc((rows + 1) * sizeof(int64));
	units = palloc((rows + 1) * sizeof(int64));
	for (i = 0; i < rows; i++)
	{
		items[i] = oms_get_int64(i, 1);
		units[i] = oms_get_int32(i, 2);
	}
	for (i = 0; i < rows; i++)
		add(&counts, merchant, channel, placed_at, items[i], units[i]);
	count(&counts, false);
}

/* Item (0: none) and units of a row of order_line. */
static int64
units_of(TriggerData *trigdata, HeapTuple tuple, int64 *item)
{
	bool		isnull;
	Datum		value = oms_row_get(trigdata, tuple, LINE_ITEM, &isnull);

	*item = isnull ? 0 : DatumGetInt64(value);
	return (int64) DatumGetInt32(oms_row_get(trigdata, tuple, LINE_ORDERED, &isnull)) -
		DatumGetInt32(oms_row_get(trigdata, tuple, LINE_CANCELLED, &isnull));
}

void
oms_sale_limit_changed(TriggerData *trigdata)
{
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	old = trigdata->tg_trigtuple;
	bool		isnull;
	int32		merchant;
	int64		order_id;
	int64		item;
	int64		was = 0;
	int64		units = 0;
	int32		channel;
	TimestampTz placed_at;
	int			first;

	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) || likely(limits()->n == 0))
		return;
	was = units_of(trigdata, old, &item);
	if (update)
	{
		/* A line whose SKU was unknown gets its item; none gets another one. */
		if (item == 0)
			was = 0;
		units = units_of(trigdata, trigdata->tg_newtuple, &item);
	}
	merchant = DatumGetInt32(oms_row_get(trigdata, old, LINE_MERCHANT, &isnull));
	order_id = DatumGetInt64(oms_row_get(trigdata, old, LINE_ORDER, &isnull));
	if (item == 0 || units == was || !find(merchant, item, &first))
		return;
	oms_begin_trigger(trigdata);
	if (read_order(merchant, order_id, &channel, &placed_at))
	{
		Counts		counts = {0};

		add(&counts, merchant, channel, placed_at, item, units - was);
		/* Only an edit orders more of a line that is there; one mapped was sold before. */
		count(&counts, update && was > 0 && !oms_row_same(trigdata, LINE_ORDERED));
	}
	oms_end();
}

/* SQL: set_sale_limit(merchant, item, quantity, channel, valid_from, valid_to) */
Datum
oms_set_sale_limit(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int64		quantity = PG_ARGISNULL(2) ? 0 : oms_arg_units(fcinfo, 2, "quantity", 0, true);
	Datum		values[6] = {Int32GetDatum(merchant), Int64GetDatum(item)};
	int64		used = 0;

	oms_arg_require(fcinfo, 4, "valid_from");
	oms_arg_require(fcinfo, 5, "valid_to");
	if (PG_GETARG_TIMESTAMPTZ(4) >= PG_GETARG_TIMESTAMPTZ(5))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"valid_to\" is out of range"),
				 errdetail("It is not later than valid_from.")));
	if (!PG_ARGISNULL(3) && oms_channel(merchant, PG_GETARG_INT32(3)) == NULL)
		oms_error_unknown("channel", merchant, PG_GETARG_INT32(3));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("a limit of sales is set in a READ COMMITTED transaction"),
				 errdetail("It has to count what others have committed until now.")));
	values[2] = Int32GetDatum(PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3));
	values[3] = PG_GETARG_DATUM(4);
	values[4] = PG_GETARG_DATUM(5);
	values[5] = Int64GetDatum(quantity);
	oms_begin();
	/* Whoever sells the item now has not met the limit; wait until that is committed. */
	oms_run(&statements[ST_LOCK_LINES], NULL, NULL);
	if (PG_ARGISNULL(2))
	{
		if (oms_run_guarded(&statements[ST_DROP], values, NULL) > 0)
			used = oms_get_int64(0, 1);
	}
	else
	{
		if (oms_run_guarded(&statements[ST_SET], values, NULL) == 0)
			oms_error_unknown("item", merchant, item);
		used = oms_get_int64(0, 1);
	}
	oms_end();
	PG_RETURN_INT64(used);
}
