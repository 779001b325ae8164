/*-------------------------------------------------------------------------
 * hold.c
 *	  Soft holds: units kept for somebody until an instant.
 *
 *	  A row of stock_hold is taken from the gate like a promise.  Nothing runs
 *	  when it expires: whoever would be short next takes its units back, by
 *	  setting counted to false under the row's lock.  The row stays, so that it
 *	  may be extended while the stock covers it.
 *
 *	  Nothing runs when it starts either: its start is a deadline of the gate's
 *	  counter, which is read from the rows again then and counts it from there
 *	  on, though it may fall below zero: until then nobody was told to leave
 *	  anything for it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"
#include "utils/rel.h"

#include "core/guard.h"
#include "core/request.h"
#include "inventory/inventory.h"

PG_FUNCTION_INFO_V1(oms_stock_hold_gate);
PG_FUNCTION_INFO_V1(oms_hold_stock);
PG_FUNCTION_INFO_V1(oms_extend_hold);
PG_FUNCTION_INFO_V1(oms_release_stock);

/* Columns of stock_hold, in the order of sql/schema/29_hold.sql. */
enum
{
	HOLD_MERCHANT = 1, HOLD_LOCATION, HOLD_ITEM, HOLD_ID, HOLD_QUANTITY, HOLD_CUSTOMER, HOLD_AT, HOLD_EXPIRES,
	HOLD_CHANNEL, HOLD_COUNTED, HOLD_PURPOSE, HOLD_ACTOR, HOLD_STARTS
};

enum
{
	ST_RECLAIM,
	ST_ITEM,
	ST_INSERT,
	ST_EXTEND,
	ST_RELEASE,
	ST_USE,
	ST_KEPT,
	ST_DRAW
};

static OmsStatement statements[] = {
	/* Rows that somebody locks are being reclaimed, extended or released by him. */
	[ST_RECLAIM] = {
		"UPDATE oms.stock_hold SET counted = false WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 "
		"AND hold_id = ANY (ARRAY(SELECT hold_id FROM oms.stock_hold WHERE merchant_id = $1 AND item_id = $2 "
		"AND location_id = $3 AND counted AND expires_at <= $4 ORDER BY expires_at LIMIT $5 FOR UPDATE SKIP LOCKED))",
		5, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID}
	},
	[ST_ITEM] = {
		"SELECT i.kind, (SELECT l.active FROM oms.location l WHERE l.merchant_id = $1 AND l.location_id = $3) "
		"FROM oms.item i WHERE i.merchant_id = $1 AND i.item_id = $2",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_INSERT] = {
		"INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity, customer_id, held_at, expires_at, "
		"channel_id, purpose, actor, starts_at, external_ref) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING hold_id",
		12, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_EXTEND] = {
		"UPDATE oms.stock_hold SET expires_at = $3, counted = true WHERE merchant_id = $1 AND hold_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_RELEASE] = {
		"DELETE FROM oms.stock_hold WHERE merchant_id = $1 AND hold_id = $2 "
		"RETURNING CASE WHEN counted AND (starts_at IS NULL OR starts_at <= $3) AND (expires_at IS NULL OR expires_at > $3) THEN quantity ELSE 0 END, "
		"location_id, item_id",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_USE] = {
		"DELETE FROM oms.stock_hold WHERE merchant_id = $1 AND hold_id = ANY ($2) "
		"AND (customer_id IS NULL OR customer_id = $3) AND (channel_id IS NULL OR channel_id = $4) "
		"AND (starts_at IS NULL OR starts_at <= $5) RETURNING location_id",
		5, {INT4OID, INT8ARRAYOID, INT8OID, INT4OID, TIMESTAMPTZOID}
	},
	[ST_KEPT] = {
		"SELECT hold_id, CASE WHEN customer_id <> $3 THEN 'is kept for another customer' WHEN channel_id <> $4 THEN "
		"'is kept for another channel' ELSE 'has not started' END "
		"FROM oms.stock_hold WHERE merchant_id = $1 AND hold_id = ANY ($2) LIMIT 1",
		4, {INT4OID, INT8ARRAYOID, INT8OID, INT4OID}
	},
	/* What others draw on now is passed over, so that no order waits for another. */
	[ST_DRAW] = {
		"WITH kept AS (SELECT hold_id, quantity, expires_at FROM oms.stock_hold WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 "
		"AND purpose = 'reserve' AND counted AND (starts_at IS NULL OR starts_at <= $4) AND (expires_at IS NULL OR expires_at > $4) "
		"AND (customer_id IS NOT NULL OR channel_id IS NOT NULL) AND (customer_id IS NULL OR customer_id = $5) "
		"AND (channel_id IS NULL OR channel_id = $6) ORDER BY expires_at, hold_id FOR UPDATE SKIP LOCKED), "
		"share AS (SELECT hold_id, quantity, least(quantity, $7 - before) AS units FROM (SELECT hold_id, quantity, "
		"sum(quantity) OVER (ORDER BY expires_at, hold_id) - quantity AS before FROM kept) k WHERE before < $7), "
		"gone AS (DELETE FROM oms.stock_hold h USING share s WHERE h.merchant_id = $1 AND h.item_id = $2 AND h.location_id = $3 "
		"AND h.hold_id = s.hold_id AND s.units = s.quantity), "
		"less AS (UPDATE oms.stock_hold h SET quantity = h.quantity - s.units FROM share s WHERE h.merchant_id = $1 AND h.item_id = $2 "
		"AND h.location_id = $3 AND h.hold_id = s.hold_id AND s.units < s.quantity) "
		"SELECT 1 FROM share",
		7, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID, INT4OID, INT8OID}
	},
};

/* Reclaims up to so many expired holds; returns how many there were. */
static uint64
reclaim(TriggerData *trigdata, const OmsGateKey *key, int64 most)
{
	Datum		values[5];
	uint64		rows;

	values[0] = Int32GetDatum(key->merchant);
	values[1] = Int64GetDatum(key->item);
	values[2] = Int32GetDatum(key->location);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = Int64GetDatum(most);
	if (trigdata != NULL)
		oms_begin_trigger(trigdata);
	else
		oms_begin();
	rows = oms_run_guarded(&statements[ST_RECLAIM], values, NULL);
	oms_end();
	return rows;
}

bool
oms_stock_take(TriggerData *trigdata, const OmsGateKey *key, int64 quantity, int64 *available)
{
	int64		most;

	if (oms_gate_take(key, quantity, available))
		return true;
	if (!oms_gate_may_reclaim(key))
		return false;
	/* As few as needed: what is left over comes free for others only at commit. */
	for (most = 1; reclaim(trigdata, key, most) > 0; most = Min(most * 2, 64))
		if (oms_gate_take(key, quantity, available))
			return true;
	return false;
}

int64
oms_stock_available(const OmsGateKey *key, int64 wanted)
{
	int64		available = oms_gate_available(key);
	int64		most = 1;

	while (available < wanted && oms_gate_may_reclaim(key) && reclaim(NULL, key, most) > 0)
	{
		available = oms_gate_available(key);
		most = Min(most * 2, 64);
	}
	return available;
}

bool
oms_hold_draw(const OmsGateKey *key, int64 customer, int32 channel, int64 units)
{
	Datum		values[7];
	bool		drawn;

	if (!oms_gate_may_reclaim(key))
		return false;
	values[0] = Int32GetDatum(key->merchant);
	values[1] = Int64GetDatum(key->item);
	values[2] = Int32GetDatum(key->location);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = Int64GetDatum(customer);
	values[5] = Int32GetDatum(channel);
	/* What a reserve never got is of no use. */
	values[6] = Int64GetDatum(units + Max(-oms_gate_available(key), 0));
	oms_begin();
	drawn = oms_run_guarded(&statements[ST_DRAW], values, NULL) > 0;
	oms_end();
	return drawn;
}

/* A row, and what it takes from the gate. */
typedef struct HoldRow
{
	OmsGateKey	key;
	int64		quantity;
	bool		counted;
	bool		has_start;
	TimestampTz starts_at;
	int64		taken;
} HoldRow;

static void
read_row(TriggerData *trigdata, HeapTuple tuple, HoldRow *row)
{
	bool		isnull;

	row->key.merchant = DatumGetInt32(oms_row_get(trigdata, tuple, HOLD_MERCHANT, &isnull));
	row->key.location = DatumGetInt32(oms_row_get(trigdata, tuple, HOLD_LOCATION, &isnull));
	row->key.item = DatumGetInt64(oms_row_get(trigdata, tuple, HOLD_ITEM, &isnull));
	row->quantity = DatumGetInt64(oms_row_get(trigdata, tuple, HOLD_QUANTITY, &isnull));
	row->counted = DatumGetBool(oms_row_get(trigdata, tuple, HOLD_COUNTED, &isnull));
	row->starts_at = DatumGetTimestampTz(oms_row_get(trigdata, tuple, HOLD_STARTS, &isnull));
	row->has_start = !isnull;
	row->taken = row->counted && (isnull || row->starts_at <= oms_now()) ? row->quantity : 0;
}

/* What starts later, or did for a transaction that is younger than this one, is read from the rows then. */
static void
note_start(const HoldRow *row)
{
	if (row->has_start && row->starts_at > oms_now())
		oms_gate_deadline(&row->key, row->starts_at);
}

static void
give(const HoldRow *row, int64 quantity)
{
	if (quantity > 0 && row->has_start)
		oms_gate_give_covered(&row->key, quantity);
	else if (quantity > 0)
		oms_gate_give(&row->key, quantity);
}

/* Units of a hold that ends outside of commands, which see to it themselves, go to who waits. */
static void
came_free(TriggerData *trigdata, const HoldRow *row, int64 quantity)
{
	if (quantity > 0 && !oms_guard_is_open() && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
		oms_backorder_fill_typed(trigdata, &row->key);
}

/*
 * AFTER INSERT OR UPDATE OR DELETE row on stock_hold: takes from the gate, or
 * is refused (OM001).  Raises OM009 when a hold that has not expired is typed
 * as not counted, OM011 for less than a unit.
 */
Datum
oms_stock_hold_gate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	HoldRow		old = {0};
	HoldRow		new;
	int64		kept;
	int64		available = 0;
	Datum		expires_at;
	Datum		purpose;
	bool		forever;
	bool		isnull;

	if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		read_row(trigdata, trigdata->tg_trigtuple, &old);
		note_start(&old);
	}
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		give(&old, old.taken);
		came_free(trigdata, &old, old.taken);
		return PointerGetDatum(NULL);
	}
	read_row(trigdata, tuple, &new);
	if (new.quantity <= 0 || new.quantity > OMS_MAX_STOCK)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("a hold of " INT64_FORMAT " units", new.quantity),
				 errdetail("A hold is of 1 to " INT64_FORMAT " units.", OMS_MAX_STOCK),
				 errhint("Delete the row to release the hold.")));
	note_start(&new);
	expires_at = oms_row_get(trigdata, tuple, HOLD_EXPIRES, &forever);
	purpose = oms_row_get(trigdata, tuple, HOLD_PURPOSE, &isnull);
	if (!forever || strcmp(TextDatumGetCString(purpose), "reserve") == 0)
		oms_gate_expiring(&new.key);
	if (!new.counted && !oms_guard_is_open() && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA &&
		(forever || DatumGetTimestampTz(expires_at) > oms_now()))
		oms_error_guarded(trigdata->tg_relation, "A hold counts until it expires.",
						  "Set counted to true, or delete the row.");
	/* What it has it keeps, though one with a start may lack some of it. */
	kept = update && memcmp(&old.key, &new.key, sizeof(OmsGateKey)) == 0 && old.has_start == new.has_start ?
		Min(old.taken, new.taken) : 0;
	give(&old, old.taken - kept);
	if (new.taken == kept)
	{
		came_free(trigdata, &old, old.taken - kept);
		return PointerGetDatum(NULL);
	}
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		oms_gate_take_forced(&new.key, new.taken - kept);
	else if (!oms_stock_take(trigdata, &new.key, new.taken - kept, &available))
		oms_error_shortage(&new.key, new.taken - kept, available);
	return PointerGetDatum(NULL);
}

/*
 * The end that arguments ask for: a duration from the start, or an instant;
 * null (false) when neither is given.  Raises OM011 when both are, or it is
 * before the start.
 */
static bool
read_end(FunctionCallInfo fcinfo, int duration, int instant, TimestampTz start, TimestampTz *end)
{
	const int	max_days = 36525;
	Interval   *span;

	if (PG_ARGISNULL(duration) && PG_ARGISNULL(instant))
		return false;
	if (!PG_ARGISNULL(duration) && !PG_ARGISNULL(instant))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("arguments \"duration\" and \"expires_at\" exclude each other"),
				 errhint("Give one of them.")));
	if (PG_ARGISNULL(instant))
	{
		span = PG_GETARG_INTERVAL_P(duration);
		if (span->month > 1200 || span->day > max_days || span->time > max_days * USECS_PER_DAY)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"duration\" is out of range"),
					 errdetail("It is at most a hundred years.")));
		*end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(start),
													   PG_GETARG_DATUM(duration)));
	}
	else
		*end = PG_GETARG_TIMESTAMPTZ(instant);
	if (*end <= start)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", PG_ARGISNULL(instant) ? "duration" : "expires_at"),
				 errdetail("The hold would end %s.", start > oms_now() ? "before it starts" : "in the past"),
				 errhint("Give a later end.")));
	return true;
}

/* Refuses what cannot be held: unknown (OM002), not on a shelf (OM011), or at a location that is closed (OM008). */
static void
check_item(const OmsGateKey *key)
{
	Datum		values[3] = {Int32GetDatum(key->merchant), Int64GetDatum(key->item), Int32GetDatum(key->location)};

	if (oms_run(&statements[ST_ITEM], values, NULL) == 0)
		oms_error_unknown("item", key->merchant, key->item);
	if (oms_is_null(0, 2))
		oms_error_unknown("location", key->merchant, key->location);
	if (!oms_get_bool(0, 2))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("location %d is not active", key->location),
				 errdetail("Nothing new is promised from it."),
				 errhint("Set its active to true, or hold elsewhere.")));
	if (strcmp(oms_get_text(0, 1), "stocked") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("item " INT64_FORMAT " is a %s and has no stock of its own", key->item, oms_get_text(0, 1)),
				 errhint("Hold the parts of a kit.")));
}

/* SQL: hold_stock(merchant, item, location, quantity, duration, expires_at, scope, purpose, customer, channel, starts_at, external_ref, request_key, actor) */
Datum
oms_hold_stock(PG_FUNCTION_ARGS)
{
	OmsGateKey	key = {oms_arg_merchant(fcinfo), oms_arg_int32(fcinfo, 2, "location"), oms_arg_int64(fcinfo, 1, "item")};
	int64		quantity = oms_arg_int64(fcinfo, 3, "quantity");
	char	   *scope = oms_arg_text(fcinfo, 6, "scope", OMS_KEY_LENGTH);
	char	   *purpose = oms_arg_text(fcinfo, 7, "purpose", OMS_KEY_LENGTH);
	char	   *external_ref = oms_arg_text_or_null(fcinfo, 11, "external_ref", OMS_KEY_LENGTH);
	char	   *request_key = oms_arg_text_or_null(fcinfo, 12, "request_key", OMS_KEY_LENGTH);
	const char *actor = oms_actor(fcinfo, 13);
	bool		stored = strcmp(scope, "stored") == 0;
	TimestampTz end = 0;
	TimestampTz start = PG_ARGISNULL(10) ? oms_now() : Max(PG_GETARG_TIMESTAMPTZ(10), oms_now());
	bool		ends = read_end(fcinfo, 4, 5, start, &end);
	int64		hold;

	if (quantity <= 0 || quantity > OMS_MAX_STOCK)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"quantity\" is out of range"),
				 errdetail(INT64_FORMAT " was given; 1 to " INT64_FORMAT " are allowed.", quantity, OMS_MAX_STOCK)));
	if (!stored && strcmp(scope, "session") != 0 && strcmp(scope, "transaction") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"scope\" is \"%s\"", scope),
				 errhint("It is stored, session or transaction.")));
	if (!stored && (ends || request_key != NULL || !PG_ARGISNULL(8) || !PG_ARGISNULL(9) ||
					!PG_ARGISNULL(10) || external_ref != NULL))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("a hold of the %s has no row", scope),
				 errdetail("It has no start, other end, request key, customer, channel or reference."),
				 errhint("Use scope stored for these.")));
	if (external_ref != NULL)
	{
		oms_arg_require(fcinfo, 9, "channel");
		if (start > oms_now())
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("arguments \"starts_at\" and \"external_ref\" exclude each other"),
					 errhint("An order that is to come holds from now on.")));
	}
	oms_begin();
	oms_command(actor, NULL, request_key);
	if (!oms_request_seen(key.merchant, request_key, "hold_stock", request_key ? oms_hash_arguments(fcinfo, 12) : 0, &hold))
	{
		check_item(&key);
		if (stored)
		{
			Datum		values[12];
			char		nulls[12] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};

			values[0] = Int32GetDatum(key.merchant);
			values[1] = Int32GetDatum(key.location);
			values[2] = Int64GetDatum(key.item);
			values[3] = Int64GetDatum(quantity);
			values[4] = PG_ARGISNULL(8) ? (Datum) 0 : PG_GETARG_DATUM(8);
			nulls[4] = PG_ARGISNULL(8) ? 'n' : ' ';
			values[5] = TimestampTzGetDatum(oms_now());
			values[6] = TimestampTzGetDatum(end);
			nulls[6] = ends ? ' ' : 'n';
			values[7] = PG_ARGISNULL(9) ? (Datum) 0 : PG_GETARG_DATUM(9);
			nulls[7] = PG_ARGISNULL(9) ? 'n' : ' ';
			values[8] = CStringGetTextDatum(purpose);
			values[9] = CStringGetTextDatum(actor);
			values[10] = TimestampTzGetDatum(start);
			nulls[10] = start > oms_now() ? ' ' : 'n';
			values[11] = external_ref != NULL ? CStringGetTextDatum(external_ref) : (Datum) 0;
			nulls[11] = external_ref != NULL ? ' ' : 'n';
			oms_run_guarded(&statements[ST_INSERT], values, nulls);
			hold = oms_get_int64(0, 1);
		}
		else
			hold = oms_local_hold_take(&key, quantity, strcmp(scope, "transaction") == 0);
		oms_request_done(key.merchant, request_key, hold);
	}
	oms_end();
	PG_RETURN_INT64(hold);
}

/* OM002, with what a negative id means. */
static void
error_unknown_hold(int32 merchant, int64 hold)
{
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("merchant %d has no hold " INT64_FORMAT, merchant, hold),
			 errdetail("%s", hold < 0 ? "Holds of a session or transaction are known to that session alone." :
					   "It was released, used by an order, or never there.")));
}

/* SQL: extend_hold(merchant, hold, duration, expires_at, request_key, actor) */
Datum
oms_extend_hold(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		hold = oms_arg_int64(fcinfo, 1, "hold");
	char	   *key = oms_arg_text_or_null(fcinfo, 4, "request_key", OMS_KEY_LENGTH);
	TimestampTz end = 0;
	int64		result;

	if (!read_end(fcinfo, 2, 3, oms_now(), &end))
		oms_arg_require(fcinfo, 2, "duration");
	oms_begin();
	oms_command(oms_actor(fcinfo, 5), NULL, key);
	if (!oms_request_seen(merchant, key, "extend_hold", key ? oms_hash_arguments(fcinfo, 4) : 0, &result))
	{
		Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(hold), TimestampTzGetDatum(end)};

		if (oms_run_guarded(&statements[ST_EXTEND], values, NULL) == 0)
			error_unknown_hold(merchant, hold);
		oms_request_done(merchant, key, end);
	}
	else
		end = result;
	oms_end();
	PG_RETURN_TIMESTAMPTZ(end);
}

/* SQL: release_stock(merchant, hold, request_key, actor) */
Datum
oms_release_stock(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		hold = oms_arg_int64(fcinfo, 1, "hold");
	char	   *key = oms_arg_text_or_null(fcinfo, 2, "request_key", OMS_KEY_LENGTH);
	int64		quantity;

	oms_begin();
	oms_command(oms_actor(fcinfo, 3), NULL, key);
	if (!oms_request_seen(merchant, key, "release_stock", key ? oms_hash_arguments(fcinfo, 2) : 0, &quantity))
	{
		Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(hold), TimestampTzGetDatum(oms_now())};
		OmsGateKey	gate_key = {merchant};
		OmsFreed	freed = {0};

		if (hold < 0)
		{
			if (!oms_local_hold_release(merchant, hold, &gate_key, &quantity))
				error_unknown_hold(merchant, hold);
		}
		else
		{
			if (oms_run_guarded(&statements[ST_RELEASE], values, NULL) == 0)
				error_unknown_hold(merchant, hold);
			quantity = oms_get_int64(0, 1);
			gate_key.location = oms_get_int32(0, 2);
			gate_key.item = oms_get_int64(0, 3);
		}
		oms_freed_add(&freed, gate_key);
		oms_backorder_fill_freed(&freed);
		oms_request_done(merchant, key, quantity);
	}
	oms_end();
	PG_RETURN_INT64(quantity);
}

int
oms_hold_use(int32 merchant, const int64 *ids, int n, int64 customer, int32 channel, int32 *locations)
{
	Datum	   *stored = palloc(n * sizeof(Datum));
	Datum		values[5];
	int			nstored = 0;
	int			nlocations = 0;
	uint64		rows;
	uint64		row;
	int			i;

	for (i = 0; i < n; i++)
	{
		OmsGateKey	key;
		int64		quantity;

		if (ids[i] > 0)
			stored[nstored++] = Int64GetDatum(ids[i]);
		else if (oms_local_hold_release(merchant, ids[i], &key, &quantity))
			locations[nlocations++] = key.location;
	}
	if (nstored == 0)
		return nlocations;
	values[0] = Int32GetDatum(merchant);
	values[1] = PointerGetDatum(construct_array(stored, nstored, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = Int64GetDatum(customer);
	values[3] = Int32GetDatum(channel);
	values[4] = TimestampTzGetDatum(oms_now());
	rows = oms_run_guarded(&statements[ST_USE], values, NULL);
	for (row = 0; row < rows; row++)
		locations[nlocations++] = oms_get_int32(row, 1);
	if (oms_run(&statements[ST_KEPT], values, NULL) > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("hold " INT64_FORMAT " %s", oms_get_int64(0, 1), oms_get_text(0, 2)),
				 errhint("Release it first, or leave it out of \"holds\".")));
	return nlocations;
}
