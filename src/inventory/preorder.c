/*-------------------------------------------------------------------------
 * preorder.c
 *	  Items sold before they are there: until a day, up to caps, with a promise.
 *
 *	  Which items are in preorder is compiled; placing asks only for what is
 *	  short.  A cap counts what was sold without stock and not cancelled; its
 *	  row is locked until commit, so preorders of a capped item pass one by
 *	  one: the channel's cap first, then that of all channels.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/cache.h"
#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "inventory/inventory.h"
#include "inventory/supply.h"

PG_FUNCTION_INFO_V1(oms_set_preorder);
PG_FUNCTION_INFO_V1(oms_set_preorder_cap);
PG_FUNCTION_INFO_V1(oms_release_preorder);

/* Columns of order_line, in the order of sql/schema/40_order.sql. */
enum
{
	LINE_MERCHANT = 1, LINE_NO, LINE_ORDER, LINE_ITEM, LINE_ORDERED, LINE_CANCELLED
};

enum
{
	ST_LOAD,
	ST_COUNT,
	ST_LINE,
	ST_GIVE_BACK,
	ST_SET,
	ST_OPEN,
	ST_ITEMS,
	ST_LOCK_LINES,
	ST_SET_CAP,
	ST_DROP_CAP,
	ST_RELEASE
};

static OmsStatement statements[] = {
	[ST_LOAD] = {
		"SELECT merchant_id, item_id, preorder_id, CASE WHEN released_at IS NULL THEN available_at ELSE '-infinity' END "
		"FROM oms.preorder ORDER BY 1, 2, released_at NULLS FIRST",
		0, {0}
	},
	[ST_COUNT] = {
		"UPDATE oms.preorder_cap SET used = used + $4 WHERE merchant_id = $1 AND preorder_id = $2 AND channel_id = $3 "
		"RETURNING used, quantity, (SELECT item_id FROM oms.preorder r WHERE r.merchant_id = $1 AND r.preorder_id = $2)",
		4, {INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_LINE] = {
		"INSERT INTO oms.preorder_line (merchant_id, order_id, line_no, preorder_id, channel_id, quantity) VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID, INT8OID}
	},
	/* What of the line's preordered units falls away when so many of it live, and so many after. */
	[ST_GIVE_BACK] = {
		"UPDATE oms.preorder_cap c SET used = c.used - least(q.quantity, $4) + least(q.quantity, $5) FROM oms.preorder_line q "
		"WHERE q.merchant_id = $1 AND q.order_id = $2 AND q.line_no = $3 AND least(q.quantity, $4) <> least(q.quantity, $5) "
		"AND c.merchant_id = $1 AND c.preorder_id = q.preorder_id AND c.channel_id = CASE WHEN $6 THEN q.channel_id ELSE 0 END",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT8OID, BOOLOID}
	},
	[ST_SET] = {
		"INSERT INTO oms.preorder AS r (merchant_id, item_id, available_at, original_available_at, opened_at) "
		"SELECT $1, i.item_id, $3, $3, $4 FROM oms.item i WHERE i.merchant_id = $1 AND i.item_id = $2 AND i.kind <> 'service' "
		"ON CONFLICT (merchant_id, item_id) WHERE released_at IS NULL DO UPDATE SET available_at = excluded.available_at RETURNING preorder_id",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[ST_OPEN] = {
		"SELECT preorder_id FROM oms.preorder WHERE merchant_id = $1 AND item_id = $2 AND released_at IS NULL FOR NO KEY UPDATE",
		2, {INT4OID, INT8OID}
	},
	/* The item, or the parts of a kit. */
	[ST_ITEMS] = {
		"WITH RECURSIVE k AS (SELECT $2 AS item_id UNION "
		"SELECT c.item_id FROM k JOIN oms.kit_component c ON c.merchant_id = $1 AND c.kit_id = k.item_id) "
		"SELECT item_id FROM k ORDER BY 1",
		2, {INT4OID, INT8OID}
	},
	[ST_LOCK_LINES] = {"LOCK TABLE oms.preorder_line IN SHARE MODE", 0, {0}},
	[ST_SET_CAP] = {
		"INSERT INTO oms.preorder_cap AS c (merchant_id, preorder_id, channel_id, quantity, used) "
		"SELECT $1, $2, $3, $4, coalesce((SELECT sum(least(q.quantity, l.ordered - l.cancelled)) FROM oms.preorder_line q "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = q.order_id AND l.line_no = q.line_no "
		"WHERE q.merchant_id = $1 AND q.preorder_id = $2 AND (q.channel_id = $3 OR $3 = 0)), 0) "
		"ON CONFLICT (merchant_id, preorder_id, channel_id) DO UPDATE SET quantity = excluded.quantity RETURNING used",
		4, {INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_DROP_CAP] = {
		"DELETE FROM oms.preorder_cap WHERE merchant_id = $1 AND preorder_id = $2 AND channel_id = $3 RETURNING used",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_RELEASE] = {
		"UPDATE oms.preorder SET released_at = $3 WHERE merchant_id = $1 AND preorder_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
};

/* A preorder, sorted by merchant and item, an open one first. */
typedef struct Preorder
{
	int32		merchant;
	int64		item;
	int64		preorder;
	TimestampTz until;
} Preorder;

typedef struct Preorders
{
	int			n;
	Preorder	preorders[FLEXIBLE_ARRAY_MEMBER];
} Preorders;

static OmsCache cache = {
	.name = "preorders",
	.tables = {"preorder"},
};

static const Preorders *
preorders(void)
{
	/* No data: reading it failed the last time. */
	while (!oms_cache_fresh(&cache) || cache.data == NULL)
	{
		Preorders  *loaded;
		uint64		rows;
		uint64		i;

		oms_begin();
		rows = oms_run(&statements[ST_LOAD], NULL, NULL);
		loaded = MemoryContextAllocZero(cache.context, offsetof(Preorders, preorders) + (rows + 1) * sizeof(Preorder));
		for (i = 0; i < rows; i++)
		{
			Preorder   *preorder = &loaded->preorders[loaded->n++];

			preorder->merchant = oms_get_int32(i, 1);
			preorder->item = oms_get_int64(i, 2);
			preorder->preorder = oms_get_int64(i, 3);
			preorder->until = oms_get_int64(i, 4);
		}
		oms_end();
		cache.data = loaded;
	}
	return cache.data;
}

int64
oms_preorder_open(int32 merchant, int64 item)
{
	const Preorders *all = preorders();
	int			low = 0;
	int			high = all->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const Preorder *preorder = &all->preorders[middle];

		if (preorder->merchant < merchant || (preorder->merchant == merchant && preorder->item < item))
			low = middle + 1;
		else
			high = middle;
	}
	if (low < all->n && all->preorders[low].merchant == merchant && all->preorders[low].item == item &&
		all->preorders[low].until > oms_now())
		return all->preorders[low].preorder;
	return 0;
}

/* Moves one cap, if there is one; OM007 when it would be passed. */
static void
count_units(int32 merchant, int64 preorder, int32 channel, int64 units, bool strict)
{
	Datum		values[4] = {Int32GetDatum(merchant), Int64GetDatum(preorder), Int32GetDatum(channel), Int64GetDatum(units)};

	if (oms_run_guarded(&statements[ST_COUNT], values, NULL) == 0)
		return;
	if (strict && oms_get_int64(0, 1) > oms_get_int64(0, 2))
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 channel == 0 ? errmsg("item " INT64_FORMAT " is sold out in preorder", oms_get_int64(0, 3)) :
				 errmsg("item " INT64_FORMAT " is sold out in preorder by channel %d", oms_get_int64(0, 3), channel),
				 errdetail(INT64_FORMAT " units would be preordered, " INT64_FORMAT " may be.",
						   oms_get_int64(0, 1), oms_get_int64(0, 2)),
				 errhint("Order less, or raise the cap with set_preorder_cap().")));
}

static int
compare_lines(const void *a, const void *b)
{
	const OmsWaitingLine *x = a;
	const OmsWaitingLine *y = b;

	if (x->preorder != y->preorder)
		return x->preorder < y->preorder ? -1 : 1;
	return (x->channel > y->channel) - (x->channel < y->channel);
}

void
oms_preorder_count(int32 merchant, OmsWaitingLine *lines, int n, bool strict)
{
	Datum		values[6] = {Int32GetDatum(merchant)};
	int			i;

	qsort(lines, n, sizeof(OmsWaitingLine), compare_lines);
	for (i = 0; i < n;)
	{
		int64		preorder = lines[i].preorder;
		int64		all = 0;

		while (i < n && lines[i].preorder == preorder)
		{
			int32		channel = lines[i].channel;
			int64		units = 0;

			for (; i < n && lines[i].preorder == preorder && lines[i].channel == channel; i++)
			{
				if (preorder == 0)
					continue;
				units += lines[i].units;
				values[1] = Int64GetDatum(lines[i].order_id);
				values[2] = Int32GetDatum(lines[i].line_no);
				values[3] = Int64GetDatum(preorder);
				values[4] = Int32GetDatum(channel);
				values[5] = Int64GetDatum(lines[i].units);
				oms_run_guarded(&statements[ST_LINE], values, NULL);
			}
			if (preorder != 0)
				count_units(merchant, preorder, channel, units, strict);
			all += units;
		}
		if (preorder != 0)
			count_units(merchant, preorder, 0, all, strict);
	}
}

void
oms_preorder_cancelled(TriggerData *trigdata)
{
	HeapTuple	old = trigdata->tg_trigtuple;
	HeapTuple	new = trigdata->tg_newtuple;
	Datum		values[6];
	bool		isnull;
	int			i;

	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ||
		(oms_row_same(trigdata, LINE_CANCELLED) && oms_row_same(trigdata, LINE_ORDERED)) || preorders()->n == 0)
		return;
	values[0] = oms_row_get(trigdata, new, LINE_MERCHANT, &isnull);
	values[1] = oms_row_get(trigdata, new, LINE_ORDER, &isnull);
	values[2] = oms_row_get(trigdata, new, LINE_NO, &isnull);
	for (i = 0; i < 2; i++)
	{
		HeapTuple	tuple = i == 0 ? old : new;

		values[3 + i] = Int64GetDatum((int64) DatumGetInt32(oms_row_get(trigdata, tuple, LINE_ORDERED, &isnull)) -
									  DatumGetInt32(oms_row_get(trigdata, tuple, LINE_CANCELLED, &isnull)));
	}
	oms_begin_trigger(trigdata);
	for (i = 0; i < 2; i++)
	{
		values[5] = BoolGetDatum(i == 0);
		oms_run_guarded(&statements[ST_GIVE_BACK], values, NULL);
	}
	oms_end();
}

static void
announce(const OmsCall *call, int64 preorder, const char *type, int64 item, TimestampTz available_at)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "item", item);
	if (available_at != 0)
		oms_json_add_timestamp(&json, "available_at", available_at);
	event.merchant = call->merchant;
	event.subject_type = "preorder";
	event.subject_id = preorder;
	event.type = type;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

/*
 * Whoever preorders now has not met what is being set; wait until that is
 * committed.  Needs a snapshot from afterwards: OM008 under REPEATABLE READ.
 */
static void
wait_for_preorders(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("a preorder is set in a READ COMMITTED transaction"),
				 errdetail("It has to see what others have committed until now.")));
	oms_run(&statements[ST_LOCK_LINES], NULL, NULL);
}

/* The item's preorder that is not released, locked; OM008 when there is none. */
static int64
require_open(int32 merchant, int64 item)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(item)};

	if (oms_run(&statements[ST_OPEN], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item " INT64_FORMAT " is not in preorder", item),
				 errhint("Open a preorder with set_preorder().")));
	return oms_get_int64(0, 1);
}

/* SQL: set_preorder(merchant, item, available_at, request_key, actor, reason) */
Datum
oms_set_preorder(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	OmsCall		call;
	int64		preorder;

	oms_arg_require(fcinfo, 2, "available_at");
	if (PG_GETARG_TIMESTAMPTZ(2) <= oms_now() || TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(2)))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"available_at\" is out of range"),
				 errdetail("It is not an instant in the future."),
				 errhint("End a preorder with release_preorder().")));
	if (!oms_call_repeated(fcinfo, "set_preorder", 3, &call, &preorder))
	{
		Datum		values[4] = {Int32GetDatum(call.merchant), Int64GetDatum(item), PG_GETARG_DATUM(2), TimestampTzGetDatum(oms_now())};
		int64	   *items;
		int			n;
		int			i;

		wait_for_preorders();
		if (oms_run_guarded(&statements[ST_SET], values, NULL) == 0)
			ereport(ERROR,
					(errcode(OMS_UNKNOWN),
					 errmsg("merchant %d has no item " INT64_FORMAT " that could be on a shelf", call.merchant, item),
					 errhint("Services are not preordered.")));
		preorder = oms_get_int64(0, 1);
		announce(&call, preorder, "preorder.set", item, PG_GETARG_TIMESTAMPTZ(2));
		n = (int) oms_run(&statements[ST_ITEMS], values, NULL);
		items = palloc((n + 1) * sizeof(int64));
		for (i = 0; i < n; i++)
			items[i] = oms_get_int64(i, 1);
		oms_promise_items(call.merchant, items, n);
		oms_call_done(&call, preorder);
	}
	PG_RETURN_INT64(preorder);
}

/* SQL: set_preorder_cap(merchant, item, quantity, channel) */
Datum
oms_set_preorder_cap(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int64		quantity = PG_ARGISNULL(2) ? 0 : oms_arg_units(fcinfo, 2, "quantity", 0, true);
	Datum		values[4] = {Int32GetDatum(merchant)};
	int64		used = 0;

	if (!PG_ARGISNULL(3) && oms_channel(merchant, PG_GETARG_INT32(3)) == NULL)
		oms_error_unknown("channel", merchant, PG_GETARG_INT32(3));
	oms_begin();
	wait_for_preorders();
	values[1] = Int64GetDatum(require_open(merchant, item));
	values[2] = Int32GetDatum(PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3));
	values[3] = Int64GetDatum(quantity);
	if (!PG_ARGISNULL(2) || oms_run_guarded(&statements[ST_DROP_CAP], values, NULL) > 0)
	{
		if (!PG_ARGISNULL(2))
			oms_run_guarded(&statements[ST_SET_CAP], values, NULL);
		used = oms_get_int64(0, 1);
	}
	oms_end();
	PG_RETURN_INT64(used);
}

/* SQL: release_preorder(merchant, item, request_key, actor, reason) */
Datum
oms_release_preorder(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	OmsCall		call;
	int64		filled;

	if (!oms_call_repeated(fcinfo, "release_preorder", 2, &call, &filled))
	{
		Datum		values[3] = {Int32GetDatum(call.merchant)};

		values[1] = Int64GetDatum(require_open(call.merchant, item));
		values[2] = TimestampTzGetDatum(oms_now());
		oms_run_guarded(&statements[ST_RELEASE], values, NULL);
		announce(&call, DatumGetInt64(values[1]), "preorder.released", item, 0);
		filled = oms_backorder_fill_item(call.merchant, item);
		oms_call_done(&call, filled);
	}
	PG_RETURN_INT64(filled);
}
