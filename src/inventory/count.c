/*-------------------------------------------------------------------------
 * count.c
 *	  Counts: the books follow the shelf, and nobody loses a promise without
 *	  somebody deciding it.
 *
 *	  count_stock() compares and sets: the books must still say what the counter
 *	  expected.  A session writes down what the books said when each item was
 *	  counted; posting it adds the differences to what they say by then, for
 *	  what moved meanwhile moved on the shelf too.
 *
 *	  Orders that a low count makes wait are locked first, then shelves in the
 *	  order of items.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "lib/stringinfo.h"
#include "utils/array.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "inventory/inventory.h"
#include "inventory/lot.h"

PG_FUNCTION_INFO_V1(oms_count_stock);
PG_FUNCTION_INFO_V1(oms_open_count);
PG_FUNCTION_INFO_V1(oms_record_count);
PG_FUNCTION_INFO_V1(oms_post_count);
PG_FUNCTION_INFO_V1(oms_cancel_count);

/* Orders named in an error's detail. */
#define NAMED_ORDERS 10

typedef enum Shortfall
{
	REFUSE,
	KEEP,
	BACKORDER
} Shortfall;

static const char *const shortfall_names[] = {"refuse", "keep", "backorder"};

enum
{
	ST_MAKE_LEVEL,
	ST_LOCK_LEVEL,
	ST_SHELF,
	ST_LOT_LEVEL,
	ST_HITS,
	ST_PROMISED,
	ST_LOCK_ORDERS,
	ST_COUNT,
	ST_HIT,
	ST_WAIT,
	ST_OPEN,
	ST_LIST,
	ST_LIST_DUE,
	ST_LIST_ALL,
	ST_LOCK_SESSION,
	ST_SHARE_SESSION,
	ST_RECORD,
	ST_LAST_COUNT,
	ST_COUNTED,
	ST_LOCK_LOTS,
	ST_LOCK_ORDERS_OF_SESSION,
	ST_POSTED,
	ST_CLOSE
};

static OmsStatement statements[] = {
	/* A shelf that nobody wrote to yet, so that there is a row to lock. */
	[ST_MAKE_LEVEL] = {
		"INSERT INTO oms.stock (merchant_id, location_id, item_id) SELECT $1, $2, $3 WHERE NOT EXISTS "
		"(SELECT 1 FROM oms.stock WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3) ON CONFLICT DO NOTHING",
		3, {INT4OID, INT4OID, INT8OID}
	},
	[ST_LOCK_LEVEL] = {
		"SELECT on_hand, damaged + quality_control + quarantine, safety FROM oms.stock "
		"WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3 FOR NO KEY UPDATE",
		3, {INT4OID, INT4OID, INT8OID}
	},
	[ST_SHELF] = {
		"SELECT coalesce((SELECT on_hand FROM oms.stock WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3), 0)",
		3, {INT4OID, INT4OID, INT8OID}
	},
	/* The last column: none of it is for sale. */
	[ST_LOT_LEVEL] = {
		"SELECT on_hand, damaged + quality_control + quarantine, stopped OR sell_by <= $5 FROM oms.lot_stock "
		"WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3 AND lot_id = $4 FOR NO KEY UPDATE",
		5, {INT4OID, INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_HITS] = {
		"SELECT order_id, line_no, short, backorder FROM oms.count_shortfall($1, $3, $2, $4)", 4, {INT4OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_PROMISED] = {
		"SELECT coalesce((SELECT sum(quantity) FROM oms.reservation WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3), 0)::bigint, "
		"coalesce((SELECT sum(quantity) FROM oms.stock_hold WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3 AND counted AND (starts_at IS NULL OR starts_at <= oms.clock())), 0)::bigint",
		3, {INT4OID, INT4OID, INT8OID}
	},
	[ST_LOCK_ORDERS] = {
		"SELECT order_id FROM oms.sales_order WHERE merchant_id = $1 AND order_id IN "
		"(SELECT order_id FROM oms.count_shortfall($1, $3, $2, $4)) ORDER BY order_id FOR NO KEY UPDATE",
		4, {INT4OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_COUNT] = {
		"INSERT INTO oms.stock_count (merchant_id, location_id, item_id, counted, expected, reason, shortfall, counted_at, actor, "
		"posted_at, session_id, lot_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING count_id",
		12, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID}
	},
	[ST_HIT] = {
		"INSERT INTO oms.stock_count_hit (merchant_id, count_id, order_id, line_no, short, backordered) VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT4OID, INT8OID, INT8OID, INT4OID, INT8OID, INT4OID}
	},
	[ST_WAIT] = {
		"UPDATE oms.order_line SET allocated = allocated - $4, backordered = backordered + $4 "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
	[ST_OPEN] = {
		"INSERT INTO oms.count_session (merchant_id, location_id, state, opened_at, actor) VALUES ($1, $2, 'open', $3, $4) RETURNING session_id",
		4, {INT4OID, INT4OID, TIMESTAMPTZOID, TEXTOID}
	},
	/* Of a tracked item each lot that lies there; with none there it is on the list by itself. */
	[ST_LIST] = {
		"INSERT INTO oms.count_line (merchant_id, session_id, item_id, lot_id) SELECT $1, $2, v.item_id, coalesce(l.lot_id, 0) "
		"FROM (SELECT DISTINCT v FROM unnest($3::bigint[]) v) v(item_id) LEFT JOIN oms.lot_stock l ON l.merchant_id = $1 "
		"AND l.item_id = v.item_id AND l.location_id = $4 AND l.on_hand <> 0",
		4, {INT4OID, INT8OID, INT8ARRAYOID, INT4OID}
	},
	[ST_LIST_DUE] = {
		"INSERT INTO oms.count_line (merchant_id, session_id, item_id, lot_id) SELECT $1, $2, d.item_id, coalesce(l.lot_id, 0) "
		"FROM oms.count_due d LEFT JOIN oms.lot_stock l ON l.merchant_id = $1 AND l.item_id = d.item_id AND l.location_id = $3 "
		"AND l.on_hand <> 0 WHERE d.merchant_id = $1 AND d.location_id = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_LIST_ALL] = {
		"INSERT INTO oms.count_line (merchant_id, session_id, item_id, lot_id) SELECT $1, $2, s.item_id, coalesce(l.lot_id, 0) "
		"FROM oms.stock s JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = s.item_id AND i.kind = 'stocked' "
		"LEFT JOIN oms.lot_stock l ON l.merchant_id = $1 AND l.item_id = s.item_id AND l.location_id = $3 AND l.on_hand <> 0 "
		"WHERE s.merchant_id = $1 AND s.location_id = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_LOCK_SESSION] = {
		"SELECT state, location_id FROM oms.count_session WHERE merchant_id = $1 AND session_id = $2 FOR NO KEY UPDATE",
		2, {INT4OID, INT8OID}
	},
	/* Several people count at once; nobody posts meanwhile. */
	[ST_SHARE_SESSION] = {
		"SELECT state, location_id FROM oms.count_session WHERE merchant_id = $1 AND session_id = $2 FOR SHARE",
		2, {INT4OID, INT8OID}
	},
	[ST_RECORD] = {
		"INSERT INTO oms.count_line (merchant_id, session_id, item_id, expected, counted, counted_at, reason, actor, lot_id, after_count) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $10, (SELECT max(count_id) FROM oms.stock_count "
		"WHERE merchant_id = $1 AND item_id = $3 AND location_id = $9 AND coalesce(lot_id, 0) = $10)) "
		"ON CONFLICT (merchant_id, session_id, item_id, lot_id) DO UPDATE SET expected = excluded.expected, counted = excluded.counted, "
		"counted_at = excluded.counted_at, reason = excluded.reason, actor = excluded.actor, after_count = excluded.after_count",
		10, {INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT4OID, INT8OID}
	},
	[ST_LAST_COUNT] = {
		"SELECT coalesce(max(count_id), 0) FROM oms.stock_count WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3 "
		"AND coalesce(lot_id, 0) = $4",
		4, {INT4OID, INT4OID, INT8OID, INT8OID}
	},
	/* Of an item the lots that are more first: what one has too few is not short where another makes up for it. */
	[ST_COUNTED] = {
		"SELECT item_id, expected, counted, counted_at, coalesce(after_count, 0), reason, actor, lot_id FROM oms.count_line "
		"WHERE merchant_id = $1 AND session_id = $2 AND counted IS NOT NULL ORDER BY item_id, counted - expected DESC, lot_id",
		2, {INT4OID, INT8OID}
	},
	[ST_LOCK_LOTS] = {
		"SELECT 1 FROM oms.lot_stock s JOIN oms.count_line l ON l.merchant_id = $1 AND l.session_id = $2 AND l.item_id = s.item_id "
		"AND l.lot_id = s.lot_id WHERE s.merchant_id = $1 AND s.location_id = $3 ORDER BY s.item_id, s.lot_id FOR NO KEY UPDATE OF s",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_LOCK_ORDERS_OF_SESSION] = {
		"SELECT order_id FROM oms.sales_order WHERE merchant_id = $1 AND order_id = ANY (ARRAY(SELECT f.order_id FROM "
		"(SELECT item_id, sum(counted - expected)::bigint AS change FROM oms.count_line WHERE merchant_id = $1 AND session_id = $3 "
		"AND counted IS NOT NULL GROUP BY 1 HAVING bool_or(counted < expected)) l "
		"JOIN oms.stock s ON s.merchant_id = $1 AND s.item_id = l.item_id AND s.location_id = $2 "
		"CROSS JOIN LATERAL oms.count_shortfall($1, l.item_id, $2, s.on_hand + l.change) f)) ORDER BY order_id FOR NO KEY UPDATE",
		3, {INT4OID, INT4OID, INT8OID}
	},
	[ST_POSTED] = {
		"UPDATE oms.count_line l SET count_id = c.count_id, reason = c.reason FROM oms.stock_count c "
		"WHERE l.merchant_id = $1 AND l.session_id = $2 AND c.merchant_id = $1 AND c.count_id = ANY ($3) AND c.item_id = l.item_id "
		"AND coalesce(c.lot_id, 0) = l.lot_id",
		3, {INT4OID, INT8OID, INT8ARRAYOID}
	},
	[ST_CLOSE] = {
		"UPDATE oms.count_session SET state = $3, closed_at = $4 WHERE merchant_id = $1 AND session_id = $2",
		4, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID}
	},
};

/* A line whose promise the counted shelf does not cover. */
typedef struct Hit
{
	int64		order_id;
	int32		line_no;
	int64		short_units;	/* of the item */
	int32		backorder;		/* units of the line that can wait again */
} Hit;

typedef struct Count
{
	OmsGateKey	key;
	int64		lot;			/* 0: the item has none */
	int64		expected;
	int64		counted;
	const char *reason;			/* null: none given */
	Shortfall	shortfall;
	const char *actor;
	TimestampTz counted_at;
	int64		session;		/* 0: none, the books must say what was expected */
	int64		after_count;	/* of a session: the last count before */
	/* found out: */
	int64		level;			/* what the books say of what is counted */
	int64		shelf;			/* what they say of the item, all its lots together */
	int64		target;			/* what they will say of it */
	int64		unavailable;	/* of the item */
	bool		stopped;		/* none of the lot is for sale */
	int64		safety;
	int64		below;			/* promised and held units that the shelf does not cover */
	Hit		   *hits;
	int			nhits;
	bool		forced;
} Count;

/* The first three parameters of every statement on the shelf. */
static void
place_values(const OmsGateKey *key, Datum *values)
{
	values[0] = Int32GetDatum(key->merchant);
	values[1] = Int32GetDatum(key->location);
	values[2] = Int64GetDatum(key->item);
}

/* The choice given; OM011 for what is none. */
static Shortfall
shortfall_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *given = oms_arg_text(fcinfo, n, "shortfall", OMS_KEY_LENGTH);
	int			i;

	for (i = 0; i < lengthof(shortfall_names); i++)
		if (strcmp(given, shortfall_names[i]) == 0)
			return (Shortfall) i;
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("argument \"shortfall\" is \"%s\"", given),
			 errhint("It is refuse, keep or backorder.")));
}

/* Says which lot is counted; null: the item has none.  OM002, OM008, OM011. */
static void
choose_lot(Count *count, const char *lot)
{
	OmsTracking tracking;

	oms_require_stocked(count->key.merchant, count->key.item);
	tracking = oms_lot_tracking(count->key.merchant, count->key.item);
	if (tracking != OMS_UNTRACKED && lot == NULL)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"lot\" is missing"),
				 errdetail("Item " INT64_FORMAT " is tracked by %s.", count->key.item,
						   tracking == OMS_BY_SERIAL ? "serial number" : "lot"),
				 errhint("Count each lot by itself; view oms.lot_level shows what should lie there.")));
	oms_lot_check(count->key.merchant, count->key.item, tracking, lot != NULL);
	count->lot = lot == NULL ? 0 : oms_lot_id(count->key.merchant, count->key.item, lot);
}

/*
 * OM008 when of the item or lot fewer would be there than lie there
 * unavailable.
 */
static void
require_unavailable(const Count *count, int64 target, int64 unavailable)
{
	if (target < unavailable)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("fewer units of item " INT64_FORMAT " would be at location %d than lie there unavailable",
						count->key.item, count->key.location),
				 errdetail(INT64_FORMAT " would be on hand, " INT64_FORMAT " are damaged, in quality control or quarantined.",
						   target, unavailable),
				 errhint("First take the unavailable units that are gone out of their state, with a movement of kind state.")));
}

/*
 * Locks the lot and the shelf's row, in the order of movements, and reads what
 * the books say.  Returns the unavailable units of what is counted.
 */
static int64
lock_level(Count *count)
{
	Datum		values[5];
	int64		unavailable = 0;

	place_values(&count->key, values);
	values[3] = Int64GetDatum(count->lot);
	values[4] = TimestampTzGetDatum(oms_now());
	if (count->lot != 0 && oms_run(&statements[ST_LOT_LEVEL], values, NULL) > 0)
	{
		count->level = oms_get_int64(0, 1);
		unavailable = oms_get_int64(0, 2);
		count->stopped = oms_get_bool(0, 3);
	}
	oms_run_guarded(&statements[ST_MAKE_LEVEL], values, NULL);
	oms_run(&statements[ST_LOCK_LEVEL], values, NULL);
	count->shelf = oms_get_int64(0, 1);
	count->unavailable = oms_get_int64(0, 2);
	count->safety = oms_get_int64(0, 3);
	if (count->lot == 0)
	{
		count->level = count->shelf;
		unavailable = count->unavailable;
	}
	return unavailable;
}

/*
 * What the books will say.  OM008 when the count is outdated: they no longer
 * say what was expected, or the shelf of a session was counted again since; or
 * when less would be there than lies there unavailable.
 */
static void
find_target(Count *count)
{
	int64		unavailable = lock_level(count);
	int64		change = count->counted - count->expected;
	Datum		values[4];

	if (count->session == 0 && count->level != count->expected)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item " INT64_FORMAT " at location %d was moved since it was counted", count->key.item, count->key.location),
				 errdetail(INT64_FORMAT " were expected on hand, the books say " INT64_FORMAT ".", count->expected, count->level),
				 errhint("Look at the movements since, or count again, and give the new level as expected.")));
	if (count->session != 0)
	{
		place_values(&count->key, values);
		values[3] = Int64GetDatum(count->lot);
		oms_run(&statements[ST_LAST_COUNT], values, NULL);
		if (oms_get_int64(0, 1) != count->after_count)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("item " INT64_FORMAT " at location %d was counted again since", count->key.item, count->key.location),
					 errdetail("Count " INT64_FORMAT " came after that of the session.", oms_get_int64(0, 1)),
					 errhint("Count it once more, with record_count().")));
	}
	count->target = count->shelf + change;
	require_unavailable(count, count->level + change, unavailable);
	require_unavailable(count, count->target, count->unavailable);
}

/* The lines hit, youngest first. */
static void
load_hits(Count *count)
{
	Datum		values[4];
	int			i;

	place_values(&count->key, values);
	values[3] = Int64GetDatum(count->target);
	count->nhits = (int) oms_run(&statements[ST_HITS], values, NULL);
	count->hits = palloc((count->nhits + 1) * sizeof(Hit));
	for (i = 0; i < count->nhits; i++)
	{
		count->hits[i].order_id = oms_get_int64(i, 1);
		count->hits[i].line_no = oms_get_int32(i, 2);
		count->hits[i].short_units = oms_get_int64(i, 3);
		count->hits[i].backorder = oms_get_int32(i, 4);
	}
}

/*
 * Whether the shelf still covers what is promised and held when so many units
 * leave.  Only units that were kept back may be missing: then the movement is
 * a forced one, for the gate keeps them back too.
 */
static bool
is_covered(Count *count)
{
	int64		gone = count->expected - count->counted;

	count->below = 0;
	count->forced = false;
	/* Of a lot that is not for sale nothing is promised. */
	if (gone <= 0 || count->stopped)
		return true;
	/* The gate gives a transaction its own units even when the counter is below zero: what is there is asked first. */
	if (oms_stock_available(&count->key, gone) >= gone && oms_stock_take(NULL, &count->key, gone, NULL))
	{
		/* The movement's trigger takes them from the transaction's books. */
		oms_gate_give(&count->key, gone);
		return true;
	}
	count->forced = true;
	count->below = Max(0, gone - oms_gate_available(&count->key) - count->safety);
	return count->below == 0;
}

/* OM001: what the count would take from whom. */
static void
error_shortfall(const Count *count)
{
	Datum		values[3];
	StringInfoData detail;
	int64		promised;
	int64		held;
	int			i;

	place_values(&count->key, values);
	oms_run(&statements[ST_PROMISED], values, NULL);
	promised = oms_get_int64(0, 1);
	held = oms_get_int64(0, 2);
	initStringInfo(&detail);
	appendStringInfo(&detail, INT64_FORMAT " would be on hand, " INT64_FORMAT " of them unavailable; " INT64_FORMAT
					 " are promised to orders and " INT64_FORMAT " held.", count->target, count->unavailable, promised, held);
	for (i = 0; i < count->nhits && i < NAMED_ORDERS; i++)
		appendStringInfo(&detail, "%sorder " INT64_FORMAT " line %d (" INT64_FORMAT ")", i == 0 ? " Hit: " : ", ",
						 count->hits[i].order_id, count->hits[i].line_no, count->hits[i].short_units);
	if (count->nhits > 0)
		appendStringInfo(&detail, "%s.", count->nhits > NAMED_ORDERS ? ", ..." : "");
	ereport(ERROR,
			(errcode(OMS_SHORTAGE),
			 errmsg("the count of item " INT64_FORMAT " at location %d is " INT64_FORMAT " below what is promised",
					count->key.item, count->key.location, count->below),
			 errdetail("%s", detail.data),
			 count->shortfall == BACKORDER ?
			 errhint("The rest is picked, held, or being promised right now: put it back or release it, or choose shortfall => 'keep'.") :
			 errhint("Choose shortfall => 'keep' or 'backorder'; count_shortfall() lists the orders.")));
}

/*
 * Locks the orders that low counts will hit.  Orders come before shelves, as in
 * every command; what changes until the shelf is locked is met by OM015.
 */
static int64 *
lock_orders(int statement, Datum *values, int *n)
{
	int64	   *orders;
	int			i;

	*n = (int) oms_run(&statements[statement], values, NULL);
	orders = palloc((*n + 1) * sizeof(int64));
	for (i = 0; i < *n; i++)
		orders[i] = oms_get_int64(i, 1);
	return orders;
}

/* Makes the lines hit wait again, as far as they are not picked. */
static void
backorder_hits(Count *count, const int64 *orders, int norders)
{
	int			i;

	for (i = 0; i < count->nhits; i++)
	{
		Hit		   *hit = &count->hits[i];
		OmsOrderHead head = {.merchant = count->key.merchant, .order_id = hit->order_id};
		Datum		values[4];
		bool		locked = false;
		int			j;

		for (j = 0; j < norders && !locked; j++)
			locked = orders[j] == hit->order_id;
		if (!locked)
			ereport(ERROR,
					(errcode(OMS_BUSY),
					 errmsg("promises of item " INT64_FORMAT " at location %d changed while it was counted",
							count->key.item, count->key.location),
					 errhint("Try again.")));
		if (hit->backorder == 0)
			continue;
		oms_promise_release(&head, &hit->line_no, &count->key.location, &hit->backorder, 1);
		values[0] = Int32GetDatum(count->key.merchant);
		values[1] = Int64GetDatum(hit->order_id);
		values[2] = Int32GetDatum(hit->line_no);
		values[3] = Int32GetDatum(hit->backorder);
		oms_run_guarded(&statements[ST_WAIT], values, NULL);
	}
}

/* Writes the count and the lines it hit; returns its id. */
static int64
write_count(const Count *count, bool hit)
{
	Datum		values[12];
	char		nulls[12] = {' ', ' ', ' ', ' ', ' ', count->reason == NULL ? 'n' : ' ', hit ? ' ' : 'n', ' ', ' ', ' ',
	count->session == 0 ? 'n' : ' ', count->lot == 0 ? 'n' : ' '};
	int64		id;
	int			i;

	place_values(&count->key, values);
	values[3] = Int64GetDatum(count->counted);
	values[4] = Int64GetDatum(count->expected);
	values[5] = count->reason == NULL ? (Datum) 0 : CStringGetTextDatum(count->reason);
	values[6] = hit ? CStringGetTextDatum(shortfall_names[count->shortfall]) : (Datum) 0;
	values[7] = TimestampTzGetDatum(count->counted_at);
	values[8] = CStringGetTextDatum(count->actor);
	values[9] = TimestampTzGetDatum(oms_now());
	values[10] = Int64GetDatum(count->session);
	values[11] = Int64GetDatum(count->lot);
	oms_run_guarded(&statements[ST_COUNT], values, nulls);
	id = oms_get_int64(0, 1);
	for (i = 0; hit && i < count->nhits; i++)
	{
		values[1] = Int64GetDatum(id);
		values[2] = Int64GetDatum(count->hits[i].order_id);
		values[3] = Int32GetDatum(count->hits[i].line_no);
		values[4] = Int64GetDatum(count->hits[i].short_units);
		values[5] = Int32GetDatum(count->shortfall == BACKORDER ? count->hits[i].backorder : 0);
		oms_run_guarded(&statements[ST_HIT], values, NULL);
	}
	return id;
}

static void
announce(const Count *count, int64 id, bool hit)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	if (count->lot != 0)
		oms_json_add_int(&json, "lot", count->lot);
	oms_json_add_int(&json, "item", count->key.item);
	oms_json_add_int(&json, "counted", count->counted);
	oms_json_add_int(&json, "expected", count->expected);
	oms_json_add_int(&json, "location", count->key.location);
	if (hit)
		oms_json_add_text(&json, "shortfall", shortfall_names[count->shortfall]);
	event.merchant = count->key.merchant;
	event.subject_type = "stock_count";
	event.subject_id = id;
	event.type = "stock.counted";
	event.reason = count->reason;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

/* A difference has a reason.  OM011. */
static void
require_reason(const Count *count)
{
	if (count->reason == NULL && count->counted != count->expected)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"reason\" is missing"),
				 errdetail(INT64_FORMAT " units of item " INT64_FORMAT " were counted where " INT64_FORMAT " were expected.",
						   count->counted, count->key.item, count->expected),
				 errhint("Say why they differ.")));
}

/* Brings the books in line with one shelf; the orders are those locked.  Returns the count. */
static int64
post(Count *count, const int64 *orders, int norders)
{
	bool		hit = false;
	int64		id;

	find_target(count);
	if (!is_covered(count))
	{
		hit = true;
		load_hits(count);
		if (count->shortfall == BACKORDER)
			backorder_hits(count, orders, norders);
		if (count->shortfall == REFUSE || (count->shortfall == BACKORDER && !is_covered(count)))
			error_shortfall(count);
	}
	id = write_count(count, hit);
	if (count->counted != count->expected)
		oms_stock_move(&(OmsMove) {
			.key = count->key, .kind = "count", .quantity = count->counted - count->expected, .cause = count->reason,
			.source_kind = "count", .source_id = id, .forced = count->forced, .actor = count->actor,
			.lot = count->lot
		});
	if (count->session == 0 || count->counted != count->expected)
		announce(count, id, hit);
	return id;
}

/*
 * SQL: count_stock(merchant, item, location, counted, expected, shortfall,
 * request_key, actor, reason, lot).  Locks the orders it makes wait, then the
 * shelf's row.
 */
Datum
oms_count_stock(PG_FUNCTION_ARGS)
{
	Count		count = {.key = {.item = oms_arg_int64(fcinfo, 1, "item"), .location = oms_arg_int32(fcinfo, 2, "location")}};
	OmsCall		call;
	char	   *lot = oms_arg_text_or_null(fcinfo, 9, "lot", OMS_KEY_LENGTH);
	int64	   *orders = NULL;
	int			norders = 0;
	int64		id;

	count.counted = oms_arg_units(fcinfo, 3, "counted", 0, true);
	count.expected = oms_arg_units(fcinfo, 4, "expected", -OMS_MAX_STOCK, true);
	count.shortfall = shortfall_argument(fcinfo, 5);
	if (oms_call_repeated(fcinfo, "count_stock", 6, &call, &id))
		PG_RETURN_INT64(id);
	count.key.merchant = call.merchant;
	count.actor = call.actor;
	count.reason = call.reason;
	count.counted_at = oms_now();
	require_reason(&count);
	oms_require_location(call.merchant, count.key.location);
	choose_lot(&count, lot);
	if (count.shortfall == BACKORDER && count.counted < count.expected)
	{
		Datum		values[4];

		place_values(&count.key, values);
		oms_run(&statements[ST_SHELF], values, NULL);
		values[3] = Int64GetDatum(oms_get_int64(0, 1) + count.counted - count.expected);
		orders = lock_orders(ST_LOCK_ORDERS, values, &norders);
	}
	id = post(&count, orders, norders);
	oms_call_done(&call, id);
	PG_RETURN_INT64(id);
}

/* An array argument of items, or null; OM002, OM008, OM011. */
static Datum
items_argument(FunctionCallInfo fcinfo, int n, int32 merchant)
{
	Datum	   *items;
	bool	   *nulls;
	int			count;
	int			i;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &items, &nulls, &count);
	for (i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"items\" has a null in it")));
		oms_require_stocked(merchant, DatumGetInt64(items[i]));
	}
	return PG_GETARG_DATUM(n);
}

/* SQL: open_count(merchant, location, items, due, request_key, actor) */
Datum
oms_open_count(PG_FUNCTION_ARGS)
{
	int32		location = oms_arg_int32(fcinfo, 1, "location");
	bool		due = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	OmsCall		call;
	int64		session;

	if (!oms_call_repeated(fcinfo, "open_count", 4, &call, &session))
	{
		Datum		values[4] = {Int32GetDatum(call.merchant), Int32GetDatum(location), TimestampTzGetDatum(oms_now()),
		CStringGetTextDatum(call.actor)};

		oms_require_location(call.merchant, location);
		oms_run_guarded(&statements[ST_OPEN], values, NULL);
		session = oms_get_int64(0, 1);
		values[1] = Int64GetDatum(session);
		values[2] = PG_ARGISNULL(2) ? Int32GetDatum(location) : items_argument(fcinfo, 2, call.merchant);
		values[3] = Int32GetDatum(location);
		if (oms_run_guarded(&statements[!PG_ARGISNULL(2) ? ST_LIST : due ? ST_LIST_DUE : ST_LIST_ALL], values, NULL) == 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("there is nothing to count at location %d", location),
					 errdetail(due ? "No cycle count is due." : "No item ever lay there, or none was named."),
					 errhint("Name the items.")));
		oms_call_done(&call, session);
	}
	PG_RETURN_INT64(session);
}

/* Locks an open session by one of the two statements; returns its location.  OM002, OM008. */
static int32
lock_session(int statement, int32 merchant, int64 session)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(session)};

	if (oms_run(&statements[statement], values, NULL) == 0)
		oms_error_unknown("count session", merchant, session);
	if (strcmp(oms_get_text(0, 1), "open") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("count session " INT64_FORMAT " is not open", session),
				 errdetail("It is %s.", oms_get_text(0, 1)),
				 errhint("Open another one with open_count().")));
	return oms_get_int32(0, 2);
}

/* SQL: record_count(merchant, session, item, counted, request_key, actor, reason, lot).  Locks the shelf's row. */
Datum
oms_record_count(PG_FUNCTION_ARGS)
{
	int64		session = oms_arg_int64(fcinfo, 1, "session");
	Count		count = {.key = {.item = oms_arg_int64(fcinfo, 2, "item")}};
	int64		counted = oms_arg_units(fcinfo, 3, "counted", 0, true);
	char	   *lot = oms_arg_text_or_null(fcinfo, 7, "lot", OMS_KEY_LENGTH);
	OmsCall		call;
	int64		variance;

	if (!oms_call_repeated(fcinfo, "record_count", 4, &call, &variance))
	{
		Datum		values[10];
		char		nulls[10] = {' ', ' ', ' ', ' ', ' ', ' ', call.reason == NULL ? 'n' : ' ', ' ', ' ', ' '};

		count.key.merchant = call.merchant;
		count.key.location = lock_session(ST_SHARE_SESSION, call.merchant, session);
		choose_lot(&count, lot);
		(void) lock_level(&count);
		variance = counted - count.level;
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int64GetDatum(session);
		values[2] = Int64GetDatum(count.key.item);
		values[3] = Int64GetDatum(count.level);
		values[4] = Int64GetDatum(counted);
		values[5] = TimestampTzGetDatum(oms_now());
		values[6] = call.reason == NULL ? (Datum) 0 : CStringGetTextDatum(call.reason);
		values[7] = CStringGetTextDatum(call.actor);
		values[8] = Int32GetDatum(count.key.location);
		values[9] = Int64GetDatum(count.lot);
		oms_run_guarded(&statements[ST_RECORD], values, nulls);
		oms_call_done(&call, variance);
	}
	PG_RETURN_INT64(variance);
}

/* The counted lines of a session, by item. */
static Count *
read_counted(int32 merchant, int64 session, int32 location, const char *reason, Shortfall shortfall, int *n)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(session)};
	Count	   *counts;
	int			i;

	*n = (int) oms_run(&statements[ST_COUNTED], values, NULL);
	counts = palloc0((*n + 1) * sizeof(Count));
	for (i = 0; i < *n; i++)
	{
		counts[i].key = (OmsGateKey) {merchant, location, oms_get_int64(i, 1)};
		counts[i].expected = oms_get_int64(i, 2);
		counts[i].counted = oms_get_int64(i, 3);
		counts[i].counted_at = oms_get_int64(i, 4);
		counts[i].session = session;
		counts[i].after_count = oms_get_int64(i, 5);
		counts[i].reason = oms_is_null(i, 6) ? reason : pstrdup(oms_get_text(i, 6));
		counts[i].actor = pstrdup(oms_get_text(i, 7));
		counts[i].lot = oms_get_int64(i, 8);
		counts[i].shortfall = shortfall;
	}
	return counts;
}

/*
 * SQL: post_count(merchant, session, shortfall, request_key, actor, reason).
 * Locks the session, the orders it makes wait, then the shelves by item.
 */
Datum
oms_post_count(PG_FUNCTION_ARGS)
{
	int64		session = oms_arg_int64(fcinfo, 1, "session");
	Shortfall	shortfall = shortfall_argument(fcinfo, 2);
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "post_count", 3, &call, &result))
	{
		int32		location = lock_session(ST_LOCK_SESSION, call.merchant, session);
		Datum		values[4] = {Int32GetDatum(call.merchant), Int32GetDatum(location), Int64GetDatum(session)};
		Count	   *counts;
		int64	   *orders = NULL;
		int64	   *ids;
		int			norders = 0;
		int			n;
		int			i;

		counts = read_counted(call.merchant, session, location, call.reason, shortfall, &n);
		if (n == 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("nothing was counted in count session " INT64_FORMAT, session),
					 errhint("Write down what was counted with record_count(), or end it with cancel_count().")));
		for (i = 0; i < n; i++)
			require_reason(&counts[i]);
		if (shortfall == BACKORDER)
			orders = lock_orders(ST_LOCK_ORDERS_OF_SESSION, values, &norders);
		if (oms_lots_used(call.merchant))
		{
			values[1] = Int64GetDatum(session);
			values[2] = Int32GetDatum(location);
			oms_run(&statements[ST_LOCK_LOTS], values, NULL);
		}
		ids = palloc(n * sizeof(int64));
		for (i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			ids[i] = post(&counts[i], orders, norders);
		}
		values[1] = Int64GetDatum(session);
		values[2] = oms_int8_array(ids, n);
		oms_run_guarded(&statements[ST_POSTED], values, NULL);
		values[2] = CStringGetTextDatum("posted");
		values[3] = TimestampTzGetDatum(oms_now());
		oms_run_guarded(&statements[ST_CLOSE], values, NULL);
		result = n;
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/* SQL: cancel_count(merchant, session, request_key, actor) */
Datum
oms_cancel_count(PG_FUNCTION_ARGS)
{
	int64		session = oms_arg_int64(fcinfo, 1, "session");
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "cancel_count", 2, &call, &result))
	{
		Datum		values[4] = {Int32GetDatum(call.merchant), Int64GetDatum(session), CStringGetTextDatum("cancelled"),
		TimestampTzGetDatum(oms_now())};

		(void) lock_session(ST_LOCK_SESSION, call.merchant, session);
		oms_run_guarded(&statements[ST_CLOSE], values, NULL);
		result = session;
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
