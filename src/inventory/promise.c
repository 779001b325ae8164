/*-------------------------------------------------------------------------
 * promise.c
 *	  What lines that wait were told: a date, and the first date beside it.
 *
 *	  Told under a lock of the item (its row of supply_item), which is the last
 *	  thing a command takes: who tells a line sees what all others were told.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/datetime.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "inventory/supply.h"

PG_FUNCTION_INFO_V1(oms_renew_promises);

enum
{
	ST_LOCK_ITEMS,
	ST_LATEST,
	ST_OPEN_ITEMS,
	ST_PARTS,
	ST_STORE,
	ST_ITEMS_OF_LINES,
	ST_SUPPLY_ITEMS,
	ST_PREORDERED
};

static OmsStatement statements[] = {
	/* Changed, not only locked: REPEATABLE READ must not tell from what it saw before.  Orders that begin to wait may be the latest. */
	[ST_LOCK_ITEMS] = {
		"WITH s AS (SELECT item_id FROM oms.supply_item WHERE merchant_id = $1 AND item_id = ANY ($2) ORDER BY item_id FOR NO KEY UPDATE) "
		"UPDATE oms.supply_item i SET revision = i.revision + 1, last_placed_at = CASE WHEN i.last_placed_at IS NOT NULL THEN greatest("
		"i.last_placed_at, (SELECT max(placed_at) FROM oms.sales_order WHERE merchant_id = $1 AND order_id = ANY ($3))) END "
		"FROM s WHERE i.merchant_id = $1 AND i.item_id = s.item_id",
		3, {INT4OID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_LATEST] = {
		"UPDATE oms.supply_item SET last_placed_at = $3 WHERE merchant_id = $1 AND item_id = $2 AND last_placed_at IS DISTINCT FROM $3",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_OPEN_ITEMS] = {
		"SELECT DISTINCT item_id FROM oms.supply_line WHERE merchant_id = $1 AND item_id = ANY ($2) AND received + closed < ordered ORDER BY 1",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_PARTS] = {
		"SELECT DISTINCT c.item_id FROM unnest($2::bigint[], $3::int[]) w (order_id, line_no) "
		"JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = w.order_id AND c.line_no = w.line_no "
		"WHERE c.item_id <> $4 ORDER BY 1",
		4, {INT4OID, INT8ARRAYOID, INT4ARRAYOID, INT8OID}
	},
	[ST_STORE] = {
		"INSERT INTO oms.line_promise AS p (merchant_id, order_id, line_no, original_at, promised_at) VALUES ($1, $2, $3, $4, $4) "
		"ON CONFLICT (merchant_id, order_id, line_no) DO UPDATE SET promised_at = excluded.promised_at, "
		"original_at = coalesce(p.original_at, excluded.original_at)",
		4, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID}
	},
	[ST_ITEMS_OF_LINES] = {
		"SELECT DISTINCT s.item_id FROM unnest($2::bigint[], $3::int[]) w (order_id, line_no) "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = w.order_id AND l.line_no = w.line_no "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = w.order_id AND c.line_no = w.line_no "
		"JOIN oms.supply_item s ON s.merchant_id = $1 AND s.item_id = coalesce(c.item_id, l.item_id) ORDER BY 1",
		3, {INT4OID, INT8ARRAYOID, INT4ARRAYOID}
	},
	[ST_SUPPLY_ITEMS] = {
		"SELECT item_id FROM oms.supply_item WHERE merchant_id = $1 AND ($2 IS NULL OR item_id = $2) ORDER BY 1",
		2, {INT4OID, INT8OID}
	},
	/* Lines of preorders that no supply has given a date. */
	[ST_PREORDERED] = {
		"SELECT q.order_id, q.line_no, r.available_at FROM unnest($2::bigint[], $3::int[]) w (order_id, line_no) "
		"JOIN oms.preorder_line q ON q.merchant_id = $1 AND q.order_id = w.order_id AND q.line_no = w.line_no "
		"JOIN oms.preorder r ON r.merchant_id = $1 AND r.preorder_id = q.preorder_id "
		"WHERE NOT EXISTS (SELECT 1 FROM oms.line_promise p WHERE p.merchant_id = $1 AND p.order_id = q.order_id AND p.line_no = q.line_no)",
		3, {INT4OID, INT8ARRAYOID, INT4ARRAYOID}
	},
};

/* Keeps what the line is told (infinity: no date any more), and says so. */
static void
store(int32 merchant, const OmsWaiting *line, TimestampTz at)
{
	Datum		values[4] = {Int32GetDatum(merchant), Int64GetDatum(line->order_id), Int32GetDatum(line->line_no), TimestampTzGetDatum(at)};
	char		nulls[4] = {' ', ' ', ' ', TIMESTAMP_IS_NOEND(at) ? 'n' : ' '};
	OmsJson		json;

	oms_run_guarded(&statements[ST_STORE], values, nulls);
	oms_json_begin(&json);
	oms_json_add_int(&json, "line", line->line_no);
	if (!TIMESTAMP_IS_NOEND(line->original_at))
		oms_json_add_timestamp(&json, "original", line->original_at);
	if (!TIMESTAMP_IS_NOEND(line->promised_at))
		oms_json_add_timestamp(&json, "from", line->promised_at);
	if (!TIMESTAMP_IS_NOEND(at))
		oms_json_add_timestamp(&json, "to", at);
	oms_event_of_order(merchant, line->order_id, TIMESTAMP_IS_NOEND(line->original_at) ? "order.promised" : "order.promise_moved",
					   NULL, NULL, oms_json_end(&json));
}

/* What a line that waits is to be told; infinity when nobody knows. */
static TimestampTz
date_of(const OmsWaiting *line)
{
	TimestampTz at = line->ready;

	/* What is on the shelf is ready since it was told so. */
	if (TIMESTAMP_IS_NOBEGIN(at))
		at = Min(line->promised_at, oms_now());
	/* A preorder is promised for its day; what is known to come later, later. */
	if (!TIMESTAMP_IS_NOEND(line->available_at))
		at = TIMESTAMP_IS_NOEND(at) ? line->available_at : Max(at, line->available_at);
	return at;
}

typedef struct LineKey
{
	int64		order_id;
	int64		line_no;
} LineKey;

typedef struct LineEntry
{
	LineKey		key;
	OmsWaiting *line;
} LineEntry;

/* A kit is ready with the last of its parts. */
static void
wait_for_other_parts(int32 merchant, int64 item, OmsPegging *pegging)
{
	int64	   *orders = palloc((pegging->nwaiting + 1) * sizeof(int64));
	int32	   *lines = palloc((pegging->nwaiting + 1) * sizeof(int32));
	HASHCTL		ctl = {0};
	HTAB	   *kits;
	Datum		values[4];
	int64	   *others;
	int			nothers;
	int			n = 0;
	int			i;
	int			j;

	ctl.keysize = sizeof(LineKey);
	ctl.entrysize = sizeof(LineEntry);
	ctl.hcxt = CurrentMemoryContext;
	kits = hash_create("oms kits that wait", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (i = 0; i < pegging->nwaiting; i++)
		if (pegging->waiting[i].part)
		{
			LineKey		key = {pegging->waiting[i].order_id, pegging->waiting[i].line_no};
			LineEntry  *entry = hash_search(kits, &key, HASH_ENTER, NULL);

			entry->line = &pegging->waiting[i];
			orders[n] = key.order_id;
			lines[n++] = pegging->waiting[i].line_no;
		}
	if (n == 0)
		return;
	values[0] = Int32GetDatum(merchant);
	values[1] = oms_int8_array(orders, n);
	values[2] = oms_int4_array(lines, n);
	values[3] = Int64GetDatum(item);
	nothers = (int) oms_run(&statements[ST_PARTS], values, NULL);
	others = palloc((nothers + 1) * sizeof(int64));
	for (i = 0; i < nothers; i++)
		others[i] = oms_get_int64(i, 1);
	for (i = 0; i < nothers; i++)
	{
		OmsPegging *other = oms_pegging(merchant, others[i], false);

		for (j = 0; j < other->nwaiting; j++)
		{
			LineKey		key = {other->waiting[j].order_id, other->waiting[j].line_no};
			LineEntry  *entry = hash_search(kits, &key, HASH_FIND, NULL);

			if (entry != NULL)
				entry->line->ready = Max(entry->line->ready, other->waiting[j].ready);
		}
	}
}

/*
 * Tells who waits for an item what has changed for him; of one order (unless
 * 0), whose lines have just begun to wait, its lines alone where nobody waits
 * after them.  Returns how many were told.
 */
static int64
tell(int32 merchant, int64 item, int64 order_id)
{
	OmsPegging *pegging = order_id != 0 ? oms_pegging_last(merchant, item, order_id) : NULL;
	int64		told = 0;
	int			i;

	if (pegging == NULL)
	{
		TimestampTz latest;
		Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(item)};

		pegging = oms_pegging(merchant, item, false);
		wait_for_other_parts(merchant, item, pegging);
		TIMESTAMP_NOBEGIN(latest);
		for (i = 0; i < pegging->nwaiting; i++)
			latest = Max(latest, pegging->waiting[i].placed_at);
		values[2] = TimestampTzGetDatum(latest);
		oms_run_guarded(&statements[ST_LATEST], values, NULL);
	}
	for (i = 0; i < pegging->nwaiting; i++)
	{
		const OmsWaiting *line = &pegging->waiting[i];
		TimestampTz at = date_of(line);

		CHECK_FOR_INTERRUPTS();
		if (at == line->promised_at)
			continue;
		store(merchant, line, at);
		told++;
	}
	return told;
}

/* The items that a statement answers. */
static int64 *
read_items(int statement, Datum *values, const char *nulls, int *n)
{
	int64	   *items;
	int			i;

	*n = (int) oms_run(&statements[statement], values, nulls);
	items = palloc((*n + 1) * sizeof(int64));
	for (i = 0; i < *n; i++)
		items[i] = oms_get_int64(i, 1);
	return items;
}

int64
oms_promise_items(int32 merchant, const int64 *items, int n)
{
	Datum		values[3] = {Int32GetDatum(merchant), oms_int8_array(items, n), oms_int8_array(NULL, 0)};
	int64		told = 0;
	int			i;

	oms_begin();
	oms_run_guarded(&statements[ST_LOCK_ITEMS], values, NULL);
	for (i = 0; i < n; i++)
		told += tell(merchant, items[i], 0);
	oms_end();
	return told;
}

void
oms_promise_waiting(int32 merchant, OmsWaitingLine *lines, int n, bool strict)
{
	int64	   *orders = palloc((n + 1) * sizeof(int64));
	int32	   *numbers = palloc((n + 1) * sizeof(int32));
	bool		preorders = false;
	int64		order_id = n > 0 ? lines[0].order_id : 0;
	OmsWaiting *preordered;
	Datum		values[3];
	int64	   *items;
	int			nitems;
	int			rows;
	int			i;

	oms_begin();
	for (i = 0; i < n; i++)
	{
		orders[i] = lines[i].order_id;
		numbers[i] = lines[i].line_no;
		preorders = preorders || lines[i].preorder != 0;
		if (lines[i].order_id != order_id)
			order_id = 0;
	}
	if (preorders)
		oms_preorder_count(merchant, lines, n, strict);
	values[0] = Int32GetDatum(merchant);
	values[1] = oms_int8_array(orders, n);
	values[2] = oms_int4_array(numbers, n);
	items = read_items(ST_ITEMS_OF_LINES, values, NULL, &nitems);
	if (nitems > 0)
	{
		Datum		locked[3] = {Int32GetDatum(merchant), oms_int8_array(items, nitems), values[1]};

		/* Locked before looking whether anything is to come; where nothing is, there is nothing to tell. */
		oms_run_guarded(&statements[ST_LOCK_ITEMS], locked, NULL);
		items = read_items(ST_OPEN_ITEMS, locked, NULL, &nitems);
		for (i = 0; i < nitems; i++)
			(void) tell(merchant, items[i], order_id);
	}
	rows = preorders ? (int) oms_run(&statements[ST_PREORDERED], values, NULL) : 0;
	preordered = palloc0((rows + 1) * sizeof(OmsWaiting));
	for (i = 0; i < rows; i++)
	{
		preordered[i].order_id = oms_get_int64(i, 1);
		preordered[i].line_no = oms_get_int32(i, 2);
		preordered[i].available_at = oms_get_int64(i, 3);
		TIMESTAMP_NOEND(preordered[i].promised_at);
		TIMESTAMP_NOEND(preordered[i].original_at);
	}
	for (i = 0; i < rows; i++)
		store(merchant, &preordered[i], preordered[i].available_at);
	oms_end();
}

/* SQL: renew_promises(merchant, item, request_key, actor) */
Datum
oms_renew_promises(PG_FUNCTION_ARGS)
{
	OmsCall		call;
	int64		told;

	if (!oms_call_repeated(fcinfo, "renew_promises", 2, &call, &told))
	{
		Datum		values[2] = {Int32GetDatum(call.merchant), PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1)};
		char		nulls[2] = {' ', PG_ARGISNULL(1) ? 'n' : ' '};
		int			n;
		int64	   *items = read_items(ST_SUPPLY_ITEMS, values, nulls, &n);

		told = oms_promise_items(call.merchant, items, n);
		oms_call_done(&call, told);
	}
	PG_RETURN_INT64(told);
}
