/*-------------------------------------------------------------------------
 * consumer.c
 *	  Reading the log: named consumers, each with its own cursor.
 *
 *	  Events are read in order of (tx, event_id).  Transaction ids are given
 *	  out in order but end in any, so only events below the oldest transaction
 *	  still running are read: nothing can appear below a cursor any more.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"

#include "core/guard.h"
#include "event/lookup.h"

PG_FUNCTION_INFO_V1(oms_event_horizon);
PG_FUNCTION_INFO_V1(oms_subscribe);
PG_FUNCTION_INFO_V1(oms_unsubscribe);
PG_FUNCTION_INFO_V1(oms_fetch_events);
PG_FUNCTION_INFO_V1(oms_take_events);
PG_FUNCTION_INFO_V1(oms_ack_events);
PG_FUNCTION_INFO_V1(oms_replay);
PG_FUNCTION_INFO_V1(oms_replay_since);
PG_FUNCTION_INFO_V1(oms_purge_events);

#define MAX_FETCH		100000
#define MAX_TYPES		1000
#define MAX_POSITION	PG_INT64_MAX

/* A place in the log; everything up to and including it is behind. */
typedef struct Position
{
	int64		tx;
	int64		event_id;
} Position;

enum
{
	ST_NODE,
	ST_CONSUMER,
	ST_CONSUMER_LOCK,
	ST_SUBSCRIBE,
	ST_TYPES,
	ST_UNSUBSCRIBE,
	ST_MOVE,
	ST_FETCH,
	ST_FETCH_TYPES,
	ST_NEXT,
	ST_SINCE,
	ST_BEFORE,
	ST_SLOWEST,
	ST_PURGE
};

#define EVENT_COLUMNS \
	"e.tx, e.event_id, e.at, e.type, e.version, e.subject_type, e.subject_id, e.order_id, " \
	"e.actor, e.reason, e.correlation_id, e.data "
#define EVENT_NCOLUMNS 12
#define WANTED(n) "(e.type = ANY ($" n ") OR split_part(e.type, '.', 1) || '.*' = ANY ($" n "))"

static OmsStatement statements[] = {
	[ST_NODE] = {"SELECT n.system_identifier, n.tx_base + pg_snapshot_xmin(pg_current_snapshot())::text::bigint "
		"FROM oms.node n"},
	[ST_CONSUMER] = {"SELECT c.tx, c.event_id, c.types FROM oms.consumer c "
		"WHERE c.merchant_id = $1 AND c.name = $2", 2, {INT4OID, TEXTOID}},
	[ST_CONSUMER_LOCK] = {"SELECT c.tx, c.event_id, c.types FROM oms.consumer c "
		"WHERE c.merchant_id = $1 AND c.name = $2 FOR UPDATE", 2, {INT4OID, TEXTOID}},
	[ST_SUBSCRIBE] = {"INSERT INTO oms.consumer (merchant_id, name, types, tx, event_id, created_at) "
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, name) DO NOTHING",
	6, {INT4OID, TEXTOID, TEXTARRAYOID, INT8OID, INT8OID, TIMESTAMPTZOID}},
	[ST_TYPES] = {"UPDATE oms.consumer SET types = $3 WHERE merchant_id = $1 AND name = $2 "
		"AND types IS DISTINCT FROM $3", 3, {INT4OID, TEXTOID, TEXTARRAYOID}},
	[ST_UNSUBSCRIBE] = {"DELETE FROM oms.consumer WHERE merchant_id = $1 AND name = $2",
	2, {INT4OID, TEXTOID}},
	[ST_MOVE] = {"UPDATE oms.consumer SET tx = $3, event_id = $4, moved_at = $5 "
		"WHERE merchant_id = $1 AND name = $2", 5, {INT4OID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID}},
	[ST_FETCH] = {"SELECT " EVENT_COLUMNS "FROM oms.event e "
		"WHERE e.merchant_id = $1 AND (e.tx, e.event_id) > ($2, $3) AND e.tx < $4 "
		"ORDER BY e.tx, e.event_id LIMIT $5", 5, {INT4OID, INT8OID, INT8OID, INT8OID, INT8OID}},
	[ST_FETCH_TYPES] = {"SELECT " EVENT_COLUMNS "FROM oms.event e "
		"WHERE e.merchant_id = $1 AND (e.tx, e.event_id) > ($2, $3) AND e.tx < $4 AND " WANTED("6") " "
		"ORDER BY e.tx, e.event_id LIMIT $5",
	6, {INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTARRAYOID}},
	[ST_NEXT] = {"SELECT e.tx, e.event_id FROM oms.event e "
		"WHERE e.merchant_id = $1 AND (e.tx, e.event_id) > ($2, $3) AND e.tx < $4 AND " WANTED("5") " "
		"ORDER BY e.tx, e.event_id LIMIT 1", 5, {INT4OID, INT8OID, INT8OID, INT8OID, TEXTARRAYOID}},
	[ST_SINCE] = {"SELECT e.tx, e.event_id FROM oms.event e "
		"WHERE e.merchant_id = $1 AND e.at >= $2 AND e.tx < $3 "
		"ORDER BY e.tx, e.event_id LIMIT 1", 3, {INT4OID, TIMESTAMPTZOID, INT8OID}},
	[ST_BEFORE] = {"SELECT e.tx, e.event_id FROM oms.event e "
		"WHERE e.merchant_id = $1 AND (e.tx, e.event_id) < ($2, $3) "
		"ORDER BY e.tx DESC, e.event_id DESC LIMIT 1", 3, {INT4OID, INT8OID, INT8OID}},
	[ST_SLOWEST] = {"SELECT c.tx, c.event_id FROM oms.consumer c WHERE c.merchant_id = $1 "
		"ORDER BY c.tx, c.event_id LIMIT 1", 1, {INT4OID}},
	[ST_PURGE] = {"DELETE FROM oms.event e WHERE e.merchant_id = $1 AND e.at < $2 "
		"AND e.tx < $3 AND (e.tx, e.event_id) <= ($4, $5)",
	5, {INT4OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID}},
};

/*
 * The first tx that may not be read yet.  Where the rows come from another
 * cluster and this one has written none, all of them can be read.  The answer
 * holds for every later snapshot.
 */
static int64
horizon(void)
{
	if (oms_run(&statements[ST_NODE], NULL, NULL) == 0 ||
		oms_get_int64(0, 1) != (int64) GetSystemIdentifier())
		return MAX_POSITION;
	return oms_get_int64(0, 2);
}

/* Reads the consumer's cursor, and its filter (0: wants all); OM002 when there is none. */
static Datum
read_consumer(int32 merchant, const char *name, bool lock, Position *cursor)
{
	Datum		values[2] = {Int32GetDatum(merchant), CStringGetTextDatum(name)};
	bool		isnull;
	Datum		types;

	if (oms_run(&statements[lock ? ST_CONSUMER_LOCK : ST_CONSUMER], values, NULL) == 0)
		oms_error_unknown_code("consumer", merchant, name);
	cursor->tx = oms_get_int64(0, 1);
	cursor->event_id = oms_get_int64(0, 2);
	types = oms_get(0, 3, &isnull);
	return isnull ? (Datum) 0 : types;
}

static void
move_cursor(int32 merchant, const char *name, const Position *to)
{
	Datum		values[5] = {Int32GetDatum(merchant), CStringGetTextDatum(name),
		Int64GetDatum(to->tx), Int64GetDatum(to->event_id), TimestampTzGetDatum(oms_now())};

	(void) oms_run(&statements[ST_MOVE], values, NULL);
}

static bool
is_after(const Position *a, const Position *b)
{
	return a->tx > b->tx || (a->tx == b->tx && a->event_id > b->event_id);
}

/* A position as the row (tx, event_id) that these functions return. */
static Datum
position_row(FunctionCallInfo fcinfo, const Position *position)
{
	TupleDesc	desc;
	Datum		values[2] = {Int64GetDatum(position->tx), Int64GetDatum(position->event_id)};
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function returns a row")));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Refuses (OM007) a position that a running transaction may still write below. */
static void
require_readable(const Position *position, int64 limit)
{
	if (position->tx >= limit)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("position (" INT64_FORMAT ", " INT64_FORMAT ") lies beyond what can be read",
						position->tx, position->event_id),
				 errdetail("Events are readable below tx " INT64_FORMAT ".", limit),
				 errhint("Give the tx and event_id of an event that fetch_events() returned.")));
}

static void
require_position(const Position *position)
{
	if (position->tx < 0 || position->event_id < 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", position->tx < 0 ? "tx" : "event_id"),
				 errdetail("(" INT64_FORMAT ", " INT64_FORMAT ") was given; positions are not negative.",
						   position->tx, position->event_id)));
}

/* The filter as given, checked: OM011 for elements that no type can match. */
static Datum
arg_types(FunctionCallInfo fcinfo, int n)
{
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(n))
		return (Datum) 0;
	array = PG_GETARG_ARRAYTYPE_P(n);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	if (count == 0 || count > MAX_TYPES || ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"types\" is out of range"),
				 errdetail("It has %d elements; 1 to %d are allowed, in one dimension.", count, MAX_TYPES),
				 errhint("Give null to have all types.")));
	for (int i = 0; i < count; i++)
	{
		char	   *type = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
		size_t		length = type == NULL ? 0 : strlen(type);
		char	   *star = type == NULL ? NULL : strchr(type, '*');

		/* A star stands for the rest of the name behind its first dot. */
		if (length == 0 || length > OMS_KEY_LENGTH ||
			(star != NULL && (star != type + length - 1 || star == type || strchr(type, '.') != star - 1)))
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"types\" has an element that is no event type"),
					 errdetail("Element %d is %s.", i + 1,
							   type == NULL ? "null" :
							   psprintf("\"%.*s\"", pg_mbcliplen(type, length, 60), type)),
					 errhint("Give types as order.placed, or families as order.*.")));
	}
	return PointerGetDatum(array);
}

/* SQL: event_horizon() -> the first tx that may not be read yet. */
Datum
oms_event_horizon(PG_FUNCTION_ARGS)
{
	int64		result;

	oms_begin();
	result = horizon();
	oms_end();
	PG_RETURN_INT64(result);
}

/*
 * SQL: subscribe(merchant, consumer, types, from_start) -> cursor.
 * Starts at the horizon or at the first event kept.  Again: the cursor stays,
 * the filter is replaced.
 */
Datum
oms_subscribe(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "consumer", OMS_KEY_LENGTH);
	Datum		types = arg_types(fcinfo, 2);
	bool		from_start;
	Position	cursor = {0, 0};
	Datum		values[6];
	char		nulls[7] = "      ";

	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is missing", "from_start"),
				 errdetail("It may not be null.")));
	from_start = PG_GETARG_BOOL(3);

	oms_begin();
	oms_event_require_merchant(merchant);
	if (!from_start)
	{
		int64		limit = horizon();

		/* All that can be read now is behind; of another cluster's rows the last one is. */
		cursor.tx = limit - 1;
		cursor.event_id = MAX_POSITION;
		if (limit == MAX_POSITION)
		{
			Datum		last[3] = {Int32GetDatum(merchant), Int64GetDatum(MAX_POSITION), Int64GetDatum(MAX_POSITION)};

			cursor.tx = cursor.event_id = 0;
			if (oms_run(&statements[ST_BEFORE], last, NULL) > 0)
			{
				cursor.tx = oms_get_int64(0, 1);
				cursor.event_id = oms_get_int64(0, 2);
			}
		}
	}
	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(name);
	values[2] = types;
	values[3] = Int64GetDatum(cursor.tx);
	values[4] = Int64GetDatum(cursor.event_id);
	values[5] = TimestampTzGetDatum(oms_now());
	if (types == (Datum) 0)
		nulls[2] = 'n';
	if (oms_run(&statements[ST_SUBSCRIBE], values, nulls) == 0)
	{
		(void) oms_run(&statements[ST_TYPES], values, nulls);
		(void) read_consumer(merchant, name, false, &cursor);
	}
	oms_end();
	return position_row(fcinfo, &cursor);
}

/* SQL: unsubscribe(merchant, consumer) -> whether there was one. */
Datum
oms_unsubscribe(PG_FUNCTION_ARGS)
{
	Datum		values[2];
	bool		found;

	values[0] = Int32GetDatum(oms_arg_merchant(fcinfo));
	values[1] = CStringGetTextDatum(oms_arg_text(fcinfo, 1, "consumer", OMS_KEY_LENGTH));
	oms_begin();
	found = oms_run(&statements[ST_UNSUBSCRIBE], values, NULL) > 0;
	oms_end();
	PG_RETURN_BOOL(found);
}

/*
 * Puts the next n events behind the cursor and below *limit into the result
 * set; returns how many, and the last one's position.
 */
static uint64
put_events(FunctionCallInfo fcinfo, int32 merchant, int64 n, Datum types, int64 *limit, const Position *cursor, Position *last)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	OmsStatement *fetch = &statements[types == (Datum) 0 ? ST_FETCH : ST_FETCH_TYPES];
	uint64		rows;
	Datum		values[6] = {Int32GetDatum(merchant), Int64GetDatum(cursor->tx), Int64GetDatum(cursor->event_id),
		Int64GetDatum(*limit), Int64GetDatum(n), types};

	rows = oms_run(fetch, values, NULL);
	if (*limit == MAX_POSITION && rows > 0)
	{
		/*
		 * Rows of another cluster only, or the first ones of this were
		 * committed since: then a limit holds, for they may have overtaken.
		 */
		*limit = horizon();
		values[3] = Int64GetDatum(*limit);
		rows = oms_run(fetch, values, NULL);
	}
	for (uint64 row = 0; row < rows; row++)
	{
		Datum		out[EVENT_NCOLUMNS];
		bool		nulls[EVENT_NCOLUMNS];

		for (int i = 0; i < EVENT_NCOLUMNS; i++)
			out[i] = oms_get(row, i + 1, &nulls[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, out, nulls);
	}
	if (rows > 0)
	{
		last->tx = oms_get_int64(rows - 1, 1);
		last->event_id = oms_get_int64(rows - 1, 2);
	}
	return rows;
}

static int64
arg_count(FunctionCallInfo fcinfo, int n, const char *name)
{
	int32		count = oms_arg_int32(fcinfo, n, name);

	if (count < 1 || count > MAX_FETCH)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("%d was given; 1 to %d are allowed.", count, MAX_FETCH)));
	return count;
}

/*
 * SQL: fetch_events(merchant, consumer, n) -> events behind the cursor, in order.
 * Writes nothing, so it runs on a standby too.
 */
Datum
oms_fetch_events(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "consumer", OMS_KEY_LENGTH);
	int64		n = arg_count(fcinfo, 2, "n");
	Position	cursor,
				last;
	Datum		types;
	int64		limit;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	limit = horizon();
	types = read_consumer(merchant, name, false, &cursor);
	(void) put_events(fcinfo, merchant, n, types, &limit, &cursor, &last);
	oms_end();
	return (Datum) 0;
}

/*
 * SQL: take_events(merchant, consumer, n) -> the same events, and the cursor is
 * moved behind them by the caller's own transaction.  Locks the consumer's row
 * until that ends, so two workers never have the same event.
 */
Datum
oms_take_events(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "consumer", OMS_KEY_LENGTH);
	int64		n = arg_count(fcinfo, 2, "n");
	Position	cursor,
				last = {0, 0};
	Datum		types;
	int64		limit;
	uint64		rows;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	types = read_consumer(merchant, name, true, &cursor);
	limit = horizon();
	rows = put_events(fcinfo, merchant, n, types, &limit, &cursor, &last);
	if (rows > 0)
		move_cursor(merchant, name, &last);
	else if (types != (Datum) 0 && limit != MAX_POSITION && limit - 1 > cursor.tx)
	{
		/* Nothing wanted up to the horizon: do not look there again. */
		last.tx = limit - 1;
		last.event_id = MAX_POSITION;
		move_cursor(merchant, name, &last);
	}
	oms_end();
	return (Datum) 0;
}

/*
 * SQL: ack_events(merchant, consumer, tx, event_id) -> cursor.
 * Moves the cursor forward to the position, and on over events that the filter
 * leaves out; never back.  Raises OM007 for a position beyond the horizon.
 */
Datum
oms_ack_events(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "consumer", OMS_KEY_LENGTH);
	bool		skip_only = PG_ARGISNULL(2) && PG_ARGISNULL(3);
	Position	given = {0, 0},
				cursor,
				to;
	Datum		types;
	int64		limit;

	if (!skip_only)
	{
		given.tx = oms_arg_int64(fcinfo, 2, "tx");
		given.event_id = oms_arg_int64(fcinfo, 3, "event_id");
		require_position(&given);
	}
	oms_begin();
	types = read_consumer(merchant, name, true, &cursor);
	limit = horizon();
	to = cursor;
	if (!skip_only && is_after(&given, &cursor))
	{
		require_readable(&given, limit);
		to = given;
	}
	if (types != (Datum) 0 && limit != MAX_POSITION)
	{
		Datum		values[5] = {Int32GetDatum(merchant), Int64GetDatum(to.tx), Int64GetDatum(to.event_id),
			Int64GetDatum(limit), types};
		Position	next;

		if (oms_run(&statements[ST_NEXT], values, NULL) > 0)
		{
			next.tx = oms_get_int64(0, 1);
			next.event_id = oms_get_int64(0, 2) - 1;
		}
		else
		{
			next.tx = limit - 1;
			next.event_id = MAX_POSITION;
		}
		if (is_after(&next, &to))
			to = next;
	}
	if (is_after(&to, &cursor))
		move_cursor(merchant, name, &to);
	oms_end();
	return position_row(fcinfo, &to);
}

/* SQL: replay(merchant, consumer, tx, event_id) -> cursor, set so that the event there is the next one. */
Datum
oms_replay(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "consumer", OMS_KEY_LENGTH);
	Position	from,
				cursor;

	from.tx = oms_arg_int64(fcinfo, 2, "tx");
	from.event_id = oms_arg_int64(fcinfo, 3, "event_id");
	require_position(&from);
	oms_begin();
	(void) read_consumer(merchant, name, true, &cursor);
	require_readable(&from, horizon());
	if (from.event_id > 0)
		from.event_id--;
	else if (from.tx > 0)
	{
		from.tx--;
		from.event_id = MAX_POSITION;
	}
	move_cursor(merchant, name, &from);
	oms_end();
	return position_row(fcinfo, &from);
}

/*
 * SQL: replay(merchant, consumer, since) -> cursor, set before the first event
 * of that time or later; where there is none, behind all that can be read.
 */
Datum
oms_replay_since(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "consumer", OMS_KEY_LENGTH);
	Position	cursor;
	int64		limit;
	Datum		values[3];

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is missing", "since"),
				 errdetail("It may not be null."),
				 errhint("Give -infinity to replay all that is kept.")));
	oms_begin();
	(void) read_consumer(merchant, name, true, &cursor);
	limit = horizon();
	values[0] = Int32GetDatum(merchant);
	values[1] = PG_GETARG_DATUM(2);
	values[2] = Int64GetDatum(limit);
	if (oms_run(&statements[ST_SINCE], values, NULL) > 0)
	{
		cursor.tx = oms_get_int64(0, 1);
		cursor.event_id = oms_get_int64(0, 2) - 1;
	}
	else if (limit != MAX_POSITION)
	{
		cursor.tx = limit - 1;
		cursor.event_id = MAX_POSITION;
	}
	move_cursor(merchant, name, &cursor);
	oms_end();
	return position_row(fcinfo, &cursor);
}

/*
 * SQL: CALL purge_events(merchant, before, removed): removes events older than
 * that which every consumer has behind it.  Locks no consumer: cursors move
 * forward, and replay() beyond what is kept gives what is kept.
 */
Datum
oms_purge_events(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	TimestampTz before;
	Position	slowest = {MAX_POSITION, MAX_POSITION};
	Datum		values[5];
	int64		removed;
	TupleDesc	desc;
	Datum		result;
	bool		isnull = false;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is missing", "before"),
				 errdetail("It may not be null.")));
	before = PG_GETARG_TIMESTAMPTZ(1);
	oms_arg_not_future(fcinfo, 1, "before", "events", "2 years");
	oms_begin();
	oms_event_require_merchant(merchant);
	values[0] = Int32GetDatum(merchant);
	if (oms_run(&statements[ST_SLOWEST], values, NULL) > 0)
	{
		slowest.tx = oms_get_int64(0, 1);
		slowest.event_id = oms_get_int64(0, 2);
	}
	values[1] = TimestampTzGetDatum(before);
	values[2] = Int64GetDatum(horizon());
	values[3] = Int64GetDatum(slowest.tx);
	values[4] = Int64GetDatum(slowest.event_id);
	removed = (int64) oms_run_guarded(&statements[ST_PURGE], values, NULL);
	oms_end();

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this procedure returns a row")));
	result = Int64GetDatum(removed);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), &result, &isnull));
}
