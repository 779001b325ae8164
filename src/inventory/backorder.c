/*-------------------------------------------------------------------------
 * backorder.c
 *	  Backorders: their limits, and filling them when stock comes.
 *
 *	  Stock that a movement brings is promised to waiting lines in the same
 *	  transaction, so no order placed meanwhile can take it from them.  The
 *	  order's lock is the first thing, as in every command; but a movement may
 *	  happen under another order's lock, so nothing here ever waits for one:
 *	  orders that somebody is working on are passed over, and left to the next
 *	  movement or to allocate_backorders().
 *
 *	  What a promise or a hold leaves behind is given out likewise, last of all
 *	  in its command, which may hold limits of other items by then: limits too
 *	  are only taken if they are free, and none is waited for.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"
#include "utils/rel.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "inventory/bound.h"
#include "inventory/inventory.h"
#include "order/columns.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_set_backorder_limit);
PG_FUNCTION_INFO_V1(oms_allocate_backorders);

/* Lines looked at in one go: their orders stay locked until the transaction ends. */
#define BATCH 50

enum
{
	ST_LOCK_LIMITS,
	ST_COUNT,
	ST_LOCK_LINES,
	ST_SET_LIMIT,
	ST_DROP_LIMIT,
	ST_PLACES,
	ST_WANTED,
	ST_TRY_LIMITS,
	ST_WAITING,
	ST_LINE,
	ST_PROMISE,
	ST_FILL
};

static OmsStatement statements[] = {
	[ST_LOCK_LIMITS] = {
		"SELECT 1 FROM oms.backorder_limit WHERE merchant_id = $1 AND (item_id = ANY ($2) OR $2 IS NULL) ORDER BY item_id FOR NO KEY UPDATE",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_COUNT] = {
		"UPDATE oms.backorder_limit SET used = used + $3 WHERE merchant_id = $1 AND item_id = $2 RETURNING used, quantity",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_LOCK_LINES] = {"LOCK TABLE oms.order_line IN SHARE MODE", 0, {0}},
	[ST_SET_LIMIT] = {
		"INSERT INTO oms.backorder_limit AS b (merchant_id, item_id, quantity, used) SELECT $1, i.item_id, $3, "
		"coalesce((SELECT sum(backordered) FROM oms.order_line l WHERE l.merchant_id = $1 AND l.item_id = $2 AND l.backordered > 0), 0) "
		"FROM oms.item i WHERE i.merchant_id = $1 AND i.item_id = $2 "
		"ON CONFLICT (merchant_id, item_id) DO UPDATE SET quantity = excluded.quantity RETURNING used",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_DROP_LIMIT] = {
		"DELETE FROM oms.backorder_limit WHERE merchant_id = $1 AND item_id = $2 RETURNING used", 2, {INT4OID, INT8OID}
	},
	/* Where waiting items could come from, best locations first. */
	[ST_PLACES] = {
		"SELECT l.item_id, c.location_id, min(c.priority), i.kind = 'kit' FROM oms.order_line l "
		"JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = l.item_id "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = l.order_id "
		"JOIN oms.channel_location c ON c.merchant_id = $1 AND c.channel_id = o.channel_id "
		"JOIN oms.location w ON w.merchant_id = $1 AND w.location_id = c.location_id AND w.active "
		"WHERE l.merchant_id = $1 AND l.backordered > 0 AND ($2::bigint IS NULL OR l.item_id = $2) "
		"AND ($3::int IS NULL OR c.location_id = $3) GROUP BY 1, 2, 4 ORDER BY 1, 3, 2",
		3, {INT4OID, INT8OID, INT4OID}
	},
	/* Of places where something came free, those whose item somebody waits for, or a kit with it; kits are looked at only if anybody waits at all. */
	[ST_WANTED] = {
		"WITH RECURSIVE whole (item_id, location_id, whole_id) AS ("
		"SELECT item_id, location_id, item_id FROM unnest($2::bigint[], $3::int[]) f (item_id, location_id) "
		"WHERE EXISTS (SELECT FROM oms.order_line WHERE merchant_id = $1 AND backordered > 0) UNION "
		"SELECT w.item_id, w.location_id, k.kit_id FROM whole w JOIN oms.kit_component k ON k.merchant_id = $1 AND k.item_id = w.whole_id) "
		"SELECT DISTINCT item_id, location_id FROM whole w WHERE EXISTS (SELECT FROM oms.order_line l "
		"WHERE l.merchant_id = $1 AND l.item_id = w.whole_id AND l.backordered > 0) ORDER BY 1, 2",
		3, {INT4OID, INT8ARRAYOID, INT4ARRAYOID}
	},
	/* Whether the limits of the item and of kits with it are this transaction's now. */
	[ST_TRY_LIMITS] = {
		"WITH RECURSIVE whole (item_id) AS (SELECT $2 UNION "
		"SELECT k.kit_id FROM whole JOIN oms.kit_component k ON k.merchant_id = $1 AND k.item_id = whole.item_id), "
		"had AS (SELECT item_id FROM oms.backorder_limit WHERE merchant_id = $1 AND item_id = ANY (ARRAY(SELECT item_id FROM whole)) "
		"FOR NO KEY UPDATE SKIP LOCKED) "
		"SELECT (SELECT count(*) FROM had) = (SELECT count(*) FROM oms.backorder_limit "
		"WHERE merchant_id = $1 AND item_id = ANY (ARRAY(SELECT item_id FROM whole)))",
		2, {INT4OID, INT8OID}
	},
	[ST_WAITING] = {
		"SELECT l.order_id, l.line_no, o.channel_id FROM oms.order_line l "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = l.order_id "
		"LEFT JOIN oms.order_urgency u ON u.merchant_id = $1 AND u.order_id = l.order_id "
		"LEFT JOIN oms.line_promise p ON p.merchant_id = $1 AND p.order_id = l.order_id AND p.line_no = l.line_no "
		"WHERE l.merchant_id = $1 AND l.backordered > 0 AND l.item_id = ANY (ARRAY(WITH RECURSIVE whole (item_id) AS (SELECT $2 UNION "
		"SELECT k.kit_id FROM whole JOIN oms.kit_component k ON k.merchant_id = $1 AND k.item_id = whole.item_id) SELECT item_id FROM whole)) "
		"AND EXISTS (SELECT 1 FROM oms.channel_location c "
		"JOIN oms.location w ON w.merchant_id = $1 AND w.location_id = c.location_id AND w.active "
		"WHERE c.merchant_id = $1 AND c.channel_id = o.channel_id AND c.location_id = $3) "
		"ORDER BY CASE WHEN $4 = 'priority' THEN -coalesce(u.priority, 0)::bigint ELSE 0 END, "
		"CASE WHEN $4 = 'promise' THEN coalesce(u.promised_at, p.original_at, 'infinity') END, o.placed_at, l.order_id, l.line_no "
		"LIMIT $5 OFFSET $6 FOR NO KEY UPDATE OF o SKIP LOCKED",
		6, {INT4OID, INT8OID, INT4OID, TEXTOID, INT8OID, INT8OID}
	},
	[ST_LINE] = {
		"SELECT l.backordered, coalesce(c.item_id, l.item_id), coalesce(c.per_unit, 1), o.channel_id FROM oms.order_line l "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = $2 "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3 "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = $3 ORDER BY 2",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_PROMISE] = {
		"INSERT INTO oms.reservation (merchant_id, order_id, line_no, item_id, location_id, quantity) "
		"VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_FILL] = {
		"UPDATE oms.order_line SET allocated = allocated + $4, backordered = backordered - $4 "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
};

/* A line that waits, and what a unit of it is made of. */
typedef struct Part
{
	OmsGateKey	key;
	int64		per_unit;
	OmsBounds	bounds;			/* that its units were taken from */
} Part;

typedef struct Waiting
{
	int64		order_id;
	int32		line_no;
	int32		channel;
} Waiting;

/* Moves the item's count; an order (strict) may not pass the limit. */
static void
count_units(int32 merchant, int64 item, int64 delta, bool strict)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(item), Int64GetDatum(delta)};

	if (oms_run_guarded(&statements[ST_COUNT], values, NULL) == 0)
		return;
	if (strict && oms_get_int64(0, 1) > oms_get_int64(0, 2))
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("item " INT64_FORMAT " has reached its limit of backorders", item),
				 errdetail(INT64_FORMAT " units would be backordered, " INT64_FORMAT " are allowed.",
						   oms_get_int64(0, 1), oms_get_int64(0, 2)),
				 errhint("Order less, wait for a receipt, or raise the limit with set_backorder_limit().")));
}

void
oms_backorder_count(TriggerData *trigdata)
{
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	new = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	bool		isnull;
	int32		merchant = DatumGetInt32(oms_row_get(trigdata, new, LINE_MERCHANT, &isnull));
	int64		delta = DatumGetInt32(oms_row_get(trigdata, new, LINE_BACKORDERED, &isnull));
	Datum		item;

	if (update)
		delta -= DatumGetInt32(oms_row_get(trigdata, trigdata->tg_trigtuple, LINE_BACKORDERED, &isnull));
	/* A line without an item has nothing backordered, so the item never changes from one to another. */
	item = oms_row_get(trigdata, new, LINE_ITEM, &isnull);
	if (delta == 0 || isnull)
		return;
	oms_begin_trigger(trigdata);
	/* Only an edit changes what is ordered: it asks for more, as a new order does. */
	count_units(merchant, DatumGetInt64(item), delta, !update || !oms_row_same(trigdata, LINE_ORDERED));
	oms_end();
}

/* SQL: set_backorder_limit(merchant, item, quantity) */
Datum
oms_set_backorder_limit(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(item), PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2)};
	int64		used = 0;

	if (!PG_ARGISNULL(2) && (PG_GETARG_INT64(2) < 0 || PG_GETARG_INT64(2) > OMS_MAX_STOCK))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"quantity\" is out of range"),
				 errdetail(INT64_FORMAT " was given; 0 to " INT64_FORMAT " are allowed, null is no limit.",
						   PG_GETARG_INT64(2), OMS_MAX_STOCK)));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("a limit of backorders is set in a READ COMMITTED transaction"),
				 errdetail("It has to count what others have committed until now.")));
	oms_begin();
	if (PG_ARGISNULL(2))
	{
		if (oms_run_guarded(&statements[ST_DROP_LIMIT], values, NULL) > 0)
			used = oms_get_int64(0, 1);
	}
	else
	{
		/* Whoever backorders the item now has not met the limit; wait until that is committed. */
		oms_run(&statements[ST_LOCK_LINES], NULL, NULL);
		if (oms_run_guarded(&statements[ST_SET_LIMIT], values, NULL) == 0)
			oms_error_unknown("item", merchant, item);
		used = oms_get_int64(0, 1);
	}
	oms_end();
	PG_RETURN_INT64(used);
}

void
oms_backorder_lock(int32 merchant, const int64 *items, int n)
{
	Datum	   *ids = palloc(n * sizeof(Datum));
	Datum		values[2] = {Int32GetDatum(merchant)};
	int			i;

	for (i = 0; i < n; i++)
		ids[i] = Int64GetDatum(items[i]);
	values[1] = PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	oms_begin();
	oms_run(&statements[ST_LOCK_LIMITS], values, items == NULL ? " n" : NULL);
	oms_end();
}

/* How many units of a line the location could promise of so many. */
static int64
units_at(const Part *parts, int nparts, int32 channel, int64 units)
{
	int			i;

	for (i = 0; i < nparts; i++)
		units = Min(units, oms_promise_available(&parts[i].key, channel, units * parts[i].per_unit) / parts[i].per_unit);
	return units;
}

/* Takes all parts of so many units, or none. */
static bool
take_units(Part *parts, int nparts, int32 channel, int64 units)
{
	int			i;

	for (i = 0; i < nparts; i++)
		if (!oms_promise_take(&parts[i].key, channel, units * parts[i].per_unit, &parts[i].bounds))
		{
			while (--i >= 0)
				oms_promise_give(&parts[i].key, units * parts[i].per_unit, &parts[i].bounds);
			return false;
		}
	return true;
}

static void
announce(int32 merchant, const Waiting *line, int32 location, int64 units)
{
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "line", line->line_no);
	oms_json_add_int(&json, "location", location);
	oms_json_add_int(&json, "quantity", units);
	oms_event_of_order(merchant, line->order_id, "order.backorder_filled", NULL, NULL, oms_json_end(&json));
}

/* Fills one line, whose order is locked, as far as the location can; returns the units. */
static int64
fill_line(int32 merchant, const Waiting *line, int32 location)
{
	Datum		values[6] = {Int32GetDatum(merchant), Int64GetDatum(line->order_id), Int32GetDatum(line->line_no)};
	int			nparts = (int) oms_run(&statements[ST_LINE], values, NULL);
	Part	   *parts = palloc((nparts + 1) * sizeof(Part));
	int64		waiting = nparts > 0 ? oms_get_int32(0, 1) : 0;
	int32		channel = nparts > 0 ? oms_get_int32(0, 4) : 0;
	int64		units;
	int			i;

	for (i = 0; i < nparts; i++)
	{
		parts[i].key.merchant = merchant;
		parts[i].key.location = location;
		parts[i].key.item = oms_get_int64(i, 2);
		parts[i].per_unit = oms_get_int32(i, 3);
	}
	/* Others take from the gate meanwhile: what was there may be less by now. */
	do
	{
		units = units_at(parts, nparts, channel, waiting);
		if (units <= 0)
			return 0;
	} while (!take_units(parts, nparts, channel, units));
	for (i = 0; i < nparts; i++)
	{
		/* The row's trigger takes it from the transaction's books. */
		oms_promise_give(&parts[i].key, units * parts[i].per_unit, &parts[i].bounds);
		values[3] = Int64GetDatum(parts[i].key.item);
		values[4] = Int32GetDatum(location);
		values[5] = Int64GetDatum(units * parts[i].per_unit);
		oms_run_guarded(&statements[ST_PROMISE], values, NULL);
	}
	values[3] = Int32GetDatum((int32) units);
	oms_run_guarded(&statements[ST_FILL], values, NULL);
	announce(merchant, line, location, units);
	return units;
}

/* Fills one line, whose order is locked, by the rules of sourcing; returns the units. */
static int64
source_line(int32 merchant, const Waiting *line)
{
	const OmsChannel *channel = oms_channel(merchant, line->channel);
	OmsOrderHead head;
	int32		missing;
	bool		all = channel->whole == OMS_WHOLE_ORDER;

	oms_order_lock(merchant, line->order_id, &head);
	return oms_reserve_units(&head, all ? 0 : line->line_no, false, &missing);
}

int64
oms_backorder_fill(int32 merchant, int64 item, int32 location, bool kit)
{
	OmsGateKey	key = {merchant, location, item};
	Waiting		lines[BATCH];
	Datum		values[6];
	int64		batch;
	int64		filled = 0;
	int64		passed = 0;
	uint64		rows;
	uint64		i;

	oms_begin();
	do
	{
		/* No more orders than there are units: they stay locked. */
		batch = kit ? BATCH : Min(oms_stock_available(&key, BATCH), BATCH);
		if (batch <= 0)
			break;
		values[0] = Int32GetDatum(merchant);
		values[1] = Int64GetDatum(item);
		values[2] = Int32GetDatum(location);
		values[3] = CStringGetTextDatum(oms_setting(merchant, 0, "backorder_fill"));
		values[4] = Int64GetDatum(batch);
		values[5] = Int64GetDatum(passed);
		rows = oms_run(&statements[ST_WAITING], values, NULL);
		for (i = 0; i < rows; i++)
		{
			lines[i].order_id = oms_get_int64(i, 1);
			lines[i].line_no = oms_get_int32(i, 2);
			lines[i].channel = oms_get_int32(i, 3);
		}
		for (i = 0; i < rows; i++)
		{
			int64		units;

			CHECK_FOR_INTERRUPTS();
			units = oms_sourcing_applies(merchant, lines[i].channel) ? source_line(merchant, &lines[i]) :
				fill_line(merchant, &lines[i], location);
			filled += units;
			/* What still waits is met again by the next batch. */
			if (units == 0)
				passed++;
		}
	} while (rows == batch && passed < BATCH);
	oms_end();
	return filled;
}

/* Fills what waits, of the item and at the location that the values name, or all. */
static int64
fill_places(Datum *values, const char *nulls)
{
	int32		merchant = DatumGetInt32(values[0]);
	uint64		rows = oms_run(&statements[ST_PLACES], values, nulls);
	OmsGateKey *places = palloc((rows + 1) * sizeof(OmsGateKey));
	bool	   *kits = palloc((rows + 1) * sizeof(bool));
	int64		filled = 0;
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		places[i].item = oms_get_int64(i, 1);
		places[i].location = oms_get_int32(i, 2);
		kits[i] = oms_get_bool(i, 4);
	}
	for (i = 0; i < rows; i++)
		filled += oms_backorder_fill(merchant, places[i].item, places[i].location, kits[i]);
	return filled;
}

int64
oms_backorder_fill_item(int32 merchant, int64 item)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(item), (Datum) 0};

	return fill_places(values, "  n");
}

void
oms_freed_add(OmsFreed *freed, OmsGateKey key)
{
	if (freed->n == freed->size)
	{
		freed->size = Max(freed->size * 2, 8);
		freed->keys = freed->keys == NULL ? palloc(freed->size * sizeof(OmsGateKey)) :
			repalloc(freed->keys, freed->size * sizeof(OmsGateKey));
	}
	freed->keys[freed->n++] = key;
}

void
oms_backorder_fill_freed(const OmsFreed *freed)
{
	int64	   *items;
	int32	   *locations;
	Datum		values[3];
	int			n;
	int			i;

	if (freed->n == 0)
		return;
	oms_begin();
	items = palloc(freed->n * sizeof(int64));
	locations = palloc(freed->n * sizeof(int32));
	for (i = 0; i < freed->n; i++)
	{
		items[i] = freed->keys[i].item;
		locations[i] = freed->keys[i].location;
	}
	values[0] = Int32GetDatum(freed->keys[0].merchant);
	values[1] = oms_int8_array(items, freed->n);
	values[2] = oms_int4_array(locations, freed->n);
	n = (int) oms_run(&statements[ST_WANTED], values, NULL);
	for (i = 0; i < n; i++)
	{
		items[i] = oms_get_int64(i, 1);
		locations[i] = oms_get_int32(i, 2);
	}
	for (i = 0; i < n; i++)
	{
		values[1] = Int64GetDatum(items[i]);
		oms_run(&statements[ST_TRY_LIMITS], values, NULL);
		if (oms_get_bool(0, 1))
			(void) oms_backorder_fill(freed->keys[0].merchant, items[i], locations[i], false);
	}
	oms_end();
}

void
oms_backorder_fill_typed(TriggerData *trigdata, const OmsGateKey *key)
{
	OmsFreed	freed = {0};

	oms_begin_trigger(trigdata);
	oms_freed_add(&freed, *key);
	oms_backorder_fill_freed(&freed);
	oms_end();
}

/* SQL: allocate_backorders(merchant, item, location, request_key, actor) */
Datum
oms_allocate_backorders(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *key = oms_arg_text_or_null(fcinfo, 3, "request_key", OMS_KEY_LENGTH);
	Datum		values[3] = {Int32GetDatum(merchant), PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1),
	PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2)};
	char		nulls[3] = {' ', PG_ARGISNULL(1) ? 'n' : ' ', PG_ARGISNULL(2) ? 'n' : ' '};
	int64		filled = 0;

	oms_begin();
	oms_command(oms_actor(fcinfo, 4), NULL, key);
	if (!oms_request_seen(merchant, key, "allocate_backorders", key ? oms_hash_arguments(fcinfo, 3) : 0, &filled))
	{
		filled = fill_places(values, nulls);
		oms_request_done(merchant, key, filled);
	}
	oms_end();
	PG_RETURN_INT64(filled);
}
