/*-------------------------------------------------------------------------
 * lot.c
 *	  Lots and serial numbers: levels per lot, what of them is for sale, and
 *	  the commands that receive, correct, stop and place them.
 *
 *	  lot_stock repeats of its lot whether it is stopped and until when it is
 *	  sold, so that one table tells the gate what to leave out.  Who moves a
 *	  lot for the first time to a location locks its row of lot FOR SHARE, and
 *	  who changes that row waits for him and then changes the levels.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/rel.h"

#include "core/cache.h"
#include "core/config.h"
#include "core/guard.h"
#include "core/request.h"
#include "event/event.h"
#include "inventory/inventory.h"
#include "inventory/lot.h"

PG_FUNCTION_INFO_V1(oms_lot_guard);
PG_FUNCTION_INFO_V1(oms_lot_follow);
PG_FUNCTION_INFO_V1(oms_lot_stock_guard);
PG_FUNCTION_INFO_V1(oms_lot_stock_gate);
PG_FUNCTION_INFO_V1(oms_item_tracking_guard);
PG_FUNCTION_INFO_V1(oms_receive_lot);
PG_FUNCTION_INFO_V1(oms_adjust_lot);
PG_FUNCTION_INFO_V1(oms_set_lot_status);
PG_FUNCTION_INFO_V1(oms_place_lot);

/* Columns, in the order of sql/schema/28_lot.sql and 20_catalogue.sql. */
enum
{
	LOT_MERCHANT = 1, LOT_ITEM, LOT_ID, LOT_NAME, LOT_STATUS, LOT_EXPIRES, LOT_MINIMUM_LIFE, LOT_SELL_BY
};
enum
{
	LEVEL_MERCHANT = 1, LEVEL_LOCATION, LEVEL_ITEM, LEVEL_LOT, LEVEL_ON_HAND, LEVEL_DAMAGED, LEVEL_QUALITY_CONTROL,
	LEVEL_QUARANTINE, LEVEL_PICKED, LEVEL_SELL_BY, LEVEL_RECEIVED, LEVEL_STOPPED, LEVEL_SERIAL, LEVEL_BIN
};

enum
{
	ST_TRACKED,
	ST_APPLY,
	ST_RECEIVED_BEFORE,
	ST_ON_ITS_WAY,
	ST_UNFIT,
	ST_FOLLOW,
	ST_MISSED,
	ST_LOCK_TABLES,
	ST_MOVED,
	ST_FIND,
	ST_INSERT,
	ST_SET_STATUS,
	ST_CHOOSE,
	ST_PLACE
};

static OmsStatement statements[] = {
	[ST_TRACKED] = {
		"SELECT DISTINCT merchant_id FROM oms.item WHERE tracking <> 'none' ORDER BY 1", 0, {0}
	},
	/* As with stock, the level first; how many there are now, 0 for an unknown lot. */
	[ST_APPLY] = {
		"WITH changed AS (UPDATE oms.lot_stock SET on_hand = on_hand + $4, damaged = damaged + $5, "
		"quality_control = quality_control + $6, quarantine = quarantine + $7 "
		"WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3 AND lot_id = $8 RETURNING 1), "
		"known AS (SELECT sell_by, status FROM oms.lot WHERE merchant_id = $1 AND item_id = $3 AND lot_id = $8 FOR SHARE), "
		"added AS (INSERT INTO oms.lot_stock AS s (merchant_id, location_id, item_id, lot_id, on_hand, damaged, quality_control, "
		"quarantine, sell_by, stopped, serial, received_at) SELECT $1, $2, $3, $8, $4, $5, $6, $7, sell_by, status <> 'released', "
		"$9, $10 FROM known WHERE NOT EXISTS (SELECT 1 FROM changed) "
		"ON CONFLICT (merchant_id, item_id, location_id, lot_id) DO UPDATE SET on_hand = s.on_hand + excluded.on_hand, "
		"damaged = s.damaged + excluded.damaged, quality_control = s.quality_control + excluded.quality_control, "
		"quarantine = s.quarantine + excluded.quarantine RETURNING 1) "
		"SELECT 1 FROM changed UNION ALL SELECT 1 FROM added",
		10, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, BOOLOID, TIMESTAMPTZOID}
	},
	[ST_RECEIVED_BEFORE] = {
		"SELECT location_id FROM oms.lot_stock WHERE merchant_id = $1 AND item_id = $2 AND lot_id = $3 LIMIT 1",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_ON_ITS_WAY] = {
		"SELECT l.transfer_id FROM oms.stock_transfer_lot l JOIN oms.stock_transfer t ON t.merchant_id = $1 AND t.transfer_id = l.transfer_id "
		"WHERE l.merchant_id = $1 AND l.item_id = $2 AND l.lot_id = $3 AND l.received + l.missing < l.quantity AND t.state = 'shipped' LIMIT 1",
		3, {INT4OID, INT8OID, INT8OID}
	},
	/* Locked whatever its status is: an older snapshot that has another one fails with 40001. */
	[ST_UNFIT] = {
		"WITH l AS (SELECT lot, status, sell_by FROM oms.lot WHERE merchant_id = $1 AND item_id = $2 AND lot_id = $3 FOR SHARE) "
		"SELECT lot, CASE status WHEN 'released' THEN 'expired' ELSE status END FROM l WHERE status <> 'released' OR sell_by <= $4",
		4, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_FOLLOW] = {
		"WITH level AS (UPDATE oms.lot_stock SET sell_by = $4, stopped = $5 WHERE merchant_id = $1 AND item_id = $2 AND lot_id = $3 "
		"RETURNING location_id, on_hand - damaged - quality_control - quarantine AS sound) "
		"SELECT location_id FROM level WHERE sound > 0 AND NOT $5 AND $4 > $6 ORDER BY 1",
		6, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, BOOLOID, TIMESTAMPTZOID}
	},
	[ST_MISSED] = {
		"SELECT location_id FROM oms.lot_stock WHERE merchant_id = $1 AND item_id = $2 AND lot_id = $3 AND (sell_by, stopped) <> ($4, $5) LIMIT 1",
		5, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, BOOLOID}
	},
	[ST_LOCK_TABLES] = {
		"LOCK TABLE oms.lot, oms.stock_movement IN SHARE ROW EXCLUSIVE MODE", 0, {0}
	},
	[ST_MOVED] = {
		"SELECT EXISTS (SELECT 1 FROM oms.stock_movement WHERE merchant_id = $1 AND item_id = $2) "
		"OR EXISTS (SELECT 1 FROM oms.lot WHERE merchant_id = $1 AND item_id = $2)",
		2, {INT4OID, INT8OID}
	},
	[ST_FIND] = {
		"SELECT lot_id, coalesce(expires_at <> $4, $4 IS NOT NULL) OR coalesce(minimum_life <> $5, false) "
		"OR coalesce(origin <> $6, $6 IS NOT NULL) FROM oms.lot WHERE merchant_id = $1 AND item_id = $2 AND lot = $3",
		6, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, INTERVALOID, TEXTOID}
	},
	[ST_INSERT] = {
		"INSERT INTO oms.lot (merchant_id, item_id, lot, expires_at, minimum_life, origin, actor) "
		"VALUES ($1, $2, $3, $4, coalesce($5, '0'), $6, $7) ON CONFLICT (merchant_id, item_id, lot) DO NOTHING RETURNING lot_id",
		7, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, INTERVALOID, TEXTOID, TEXTOID}
	},
	[ST_SET_STATUS] = {
		"UPDATE oms.lot SET status = $4 WHERE merchant_id = $1 AND item_id = $2 AND lot_id = $3",
		4, {INT4OID, INT8OID, INT8OID, TEXTOID}
	},
	/* Locks as many as are read.  $5: setting lot_order; $6: least units of one lot; $7: customer who gets none that expires before what he got. */
	[ST_CHOOSE] = {
		"SELECT s.lot_id, s.on_hand - s.damaged - s.quality_control - s.quarantine - s.picked "
		"FROM oms.lot_stock s LEFT JOIN oms.bin b ON b.merchant_id = $1 AND b.location_id = $3 AND b.bin = s.bin "
		"WHERE s.merchant_id = $1 AND s.item_id = $2 AND s.location_id = $3 AND s.on_hand <> 0 AND NOT s.stopped AND s.sell_by > $4 "
		"AND s.on_hand - s.damaged - s.quality_control - s.quarantine - s.picked >= $6 "
		"AND ($7 IS NULL OR s.sell_by >= coalesce((SELECT max(t.sell_by) FROM oms.lot_pick p "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = p.order_id AND o.customer_id = $7 "
		"JOIN oms.lot t ON t.merchant_id = $1 AND t.item_id = $2 AND t.lot_id = p.lot_id "
		"WHERE p.merchant_id = $1 AND p.item_id = $2 AND p.shipment_id IS NOT NULL), '-infinity')) "
		"ORDER BY CASE WHEN $5 = 'pick_face' THEN CASE b.kind WHEN 'pick' THEN 1 WHEN 'bulk' THEN 2 ELSE 3 END END, "
		"CASE WHEN $5 IN ('fefo', 'pick_face') THEN s.sell_by END, CASE WHEN $5 = 'lifo' THEN s.received_at END DESC, "
		"CASE WHEN $5 = 'lifo' THEN s.lot_id END DESC, s.received_at, s.lot_id FOR UPDATE OF s",
		7, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT8OID}
	},
	[ST_PLACE] = {
		"UPDATE oms.lot_stock SET bin = $5 WHERE merchant_id = $1 AND item_id = $2 AND lot_id = $3 AND location_id = $4",
		5, {INT4OID, INT8OID, INT8OID, INT4OID, TEXTOID}
	},
};

/* Merchants that track any item. */
typedef struct Tracked
{
	int			n;
	int32		merchants[FLEXIBLE_ARRAY_MEMBER];
} Tracked;

static OmsCache cache = {
	.name = "tracked items",
	.tables = {"item"},
};

bool
oms_lots_used(int32 merchant)
{
	Tracked    *tracked;
	int			i;

	if (!oms_cache_fresh(&cache) || cache.data == NULL)
	{
		uint64		rows;

		oms_begin();
		rows = oms_run(&statements[ST_TRACKED], NULL, NULL);
		tracked = MemoryContextAlloc(cache.context, offsetof(Tracked, merchants) + rows * sizeof(int32));
		tracked->n = (int) rows;
		for (i = 0; i < tracked->n; i++)
			tracked->merchants[i] = oms_get_int32(i, 1);
		cache.data = tracked;
		oms_end();
	}
	tracked = cache.data;
	for (i = 0; i < tracked->n; i++)
		if (tracked->merchants[i] == merchant)
			return true;
	return false;
}

OmsTracking
oms_lot_tracking(int32 merchant, int64 item)
{
	const OmsItem *known;

	if (!oms_lots_used(merchant))
		return OMS_UNTRACKED;
	oms_catalogue_load(merchant, 0, &item, 1, NULL, 0);
	known = oms_catalogue_item(merchant, item);
	return known == NULL ? OMS_UNTRACKED : known->tracking;
}

void
oms_lot_check(int32 merchant, int64 item, OmsTracking tracking, bool named)
{
	if ((tracking != OMS_UNTRACKED) == named)
		return;
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 named ? errmsg("item " INT64_FORMAT " has no lots", item) :
			 errmsg("a movement of item " INT64_FORMAT " names no lot", item),
			 named ? errdetail("It is not tracked.") :
			 errdetail("It is tracked by %s.", tracking == OMS_BY_SERIAL ? "serial number" : "lot"),
			 named ? errhint("Leave lot_id null.") :
			 errhint("Use receive_lot() or adjust_lot(), or give lot_id.")));
}

void
oms_lot_apply(const Datum *values, OmsTracking tracking, const char *kind, bool forced)
{
	Datum		arguments[10];

	if (strcmp(kind, "shipment") == 0 && !forced)
	{
		Datum		lot[4] = {values[0], values[2], values[7], TimestampTzGetDatum(oms_now())};

		if (oms_run(&statements[ST_UNFIT], lot, NULL) > 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("lot \"%s\" of item " INT64_FORMAT " may not be shipped", oms_get_text(0, 1), DatumGetInt64(values[2])),
					 errdetail("It is %s.", oms_get_text(0, 2)),
					 errhint("Cancel the fulfilment and plan again: other lots are picked then.")));
	}
	if (tracking == OMS_BY_SERIAL && (strcmp(kind, "receipt") == 0 || strcmp(kind, "opening") == 0))
	{
		Datum		serial[3] = {values[0], values[2], values[7]};

		if (oms_run(&statements[ST_RECEIVED_BEFORE], serial, NULL) > 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("serial number " INT64_FORMAT " of item " INT64_FORMAT " was received before", DatumGetInt64(values[7]),
							DatumGetInt64(values[2])),
					 errdetail("It came to location %d.", oms_get_int32(0, 1)),
					 errhint("Use a movement of kind return, transfer or adjustment.")));
	}
	memcpy(arguments, values, 8 * sizeof(Datum));
	arguments[8] = BoolGetDatum(tracking == OMS_BY_SERIAL);
	arguments[9] = TimestampTzGetDatum(oms_now());
	if (oms_run_guarded(&statements[ST_APPLY], arguments, NULL) == 0)
		oms_error_unknown("lot", DatumGetInt32(values[0]), DatumGetInt64(values[7]));
	/* Asked last: who moved the same serial number meanwhile has been waited for. */
	if (tracking == OMS_BY_SERIAL && DatumGetInt64(values[3]) > 0 && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
	{
		Datum		serial[3] = {values[0], values[2], values[7]};

		if (oms_run(&statements[ST_ON_ITS_WAY], serial, NULL) > 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("serial number " INT64_FORMAT " of item " INT64_FORMAT " is on its way", DatumGetInt64(values[7]),
							DatumGetInt64(values[2])),
					 errdetail("It left with transfer " INT64_FORMAT ".", oms_get_int64(0, 1)),
					 errhint("Receive it with receive_transfer(), or cancel the transfer.")));
	}
}

int
oms_lot_choose(int32 merchant, int32 channel, int64 customer, int32 location, int64 item, int64 quantity, int64 *lots, int64 *units,
			   int64 *there)
{
	bool		single = strcmp(oms_setting(merchant, channel, "lot_mix"), "single") == 0;
	bool		newer = customer != 0 && strcmp(oms_setting(merchant, channel, "lot_not_older"), "yes") == 0;
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', newer ? ' ' : 'n'};
	uint64		rows;
	int			n = 0;

	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(item);
	values[2] = Int32GetDatum(location);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = CStringGetTextDatum(oms_setting(merchant, channel, "lot_order"));
	values[5] = Int64GetDatum(single ? quantity : 1);
	values[6] = Int64GetDatum(customer);
	rows = oms_run_limit(&statements[ST_CHOOSE], values, nulls, single ? 1 : (long) Min(quantity, OMS_MOST_LOTS));
	for (*there = 0; (uint64) n < rows && *there < quantity; n++)
	{
		lots[n] = oms_get_int64(n, 1);
		units[n] = Min(oms_get_int64(n, 2), quantity - *there);
		*there += units[n];
	}
	return n;
}

int
oms_lots_document(JsonbContainer *object, const OmsPath *parent, const char *key, OmsLotUnits **result)
{
	static const char *const allowed[] = {"lot", "quantity", NULL};
	OmsPath		root = {parent, key, 0};
	JsonbContainer *array = oms_json_container(object, parent, key, true, false);
	int			n = array ? JsonContainerSize(array) : 0;
	OmsLotUnits *lots = palloc0((n + 1) * sizeof(OmsLotUnits));
	int			i;
	int			j;

	if (array && (n < 1 || n > 10000))
		oms_error_document(&root, NULL, "1 to 10000 lots");
	for (i = 0; i < n; i++)
	{
		OmsPath		path = {&root, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);
		OmsLotUnits *lot = &lots[i];

		if (value->type == jbvString)
		{
			lot->lot = pnstrdup(value->val.string.val, value->val.string.len);
			lot->quantity = 1;
		}
		else if (value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data))
		{
			oms_json_only(value->val.binary.data, &path, allowed);
			lot->lot = oms_json_text(value->val.binary.data, &path, "lot", OMS_KEY_LENGTH, true);
			if (!oms_json_int64(value->val.binary.data, &path, "quantity", 1, PG_INT32_MAX, &lot->quantity))
				oms_error_document(&path, "quantity", "a number of units");
		}
		else
			oms_error_document(&path, NULL, "a serial number, or an object {\"lot\", \"quantity\"}");
		for (j = 0; j < i; j++)
			if (strcmp(lots[j].lot, lot->lot) == 0)
				oms_error_document(&path, NULL, "each lot once");
	}
	*result = lots;
	return n;
}

static int64
column(TriggerData *trigdata, HeapTuple tuple, int number)
{
	bool		isnull;

	return DatumGetInt64(oms_row_get(trigdata, tuple, number, &isnull));
}

static bool
flag(TriggerData *trigdata, HeapTuple tuple, int number)
{
	bool		isnull;

	return DatumGetBool(oms_row_get(trigdata, tuple, number, &isnull));
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on lot: its item is tracked (OM002,
 * OM008); it keeps its key and stays (OM014).
 */
Datum
oms_lot_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = trigdata->tg_trigtuple;
	int64		item = column(trigdata, tuple, LOT_ITEM);
	bool		isnull;
	int32		merchant = DatumGetInt32(oms_row_get(trigdata, tuple, LOT_MERCHANT, &isnull));
	const OmsItem *known;

	if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		return oms_guard_parent(fcinfo);
	oms_begin_trigger(trigdata);
	oms_catalogue_load(merchant, 0, &item, 1, NULL, 0);
	known = oms_catalogue_item(merchant, item);
	if (known == NULL)
		oms_error_unknown("item", merchant, item);
	if (known->tracking == OMS_UNTRACKED)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item \"%s\" has no lots", known->sku),
				 errdetail("It is not tracked."),
				 errhint("Set its tracking to lot or serial before anything of it is received.")));
	oms_end();
	return PointerGetDatum(tuple);
}

/* AFTER UPDATE row on lot: its levels follow, and what is for sale again is promised to lines that wait, as by a receipt. */
Datum
oms_lot_follow(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = trigdata->tg_newtuple;
	bool		isnull;
	Datum		values[6];
	int32	   *locations;
	int			n;
	int			i;

	values[0] = oms_row_get(trigdata, tuple, LOT_MERCHANT, &isnull);
	values[1] = oms_row_get(trigdata, tuple, LOT_ITEM, &isnull);
	values[2] = oms_row_get(trigdata, tuple, LOT_ID, &isnull);
	values[3] = oms_row_get(trigdata, tuple, LOT_SELL_BY, &isnull);
	oms_begin_trigger(trigdata);
	values[4] = BoolGetDatum(strcmp(TextDatumGetCString(oms_row_get(trigdata, tuple, LOT_STATUS, &isnull)), "released") != 0);
	values[5] = TimestampTzGetDatum(oms_now());
	n = (int) oms_run_guarded(&statements[ST_FOLLOW], values, NULL);
	locations = palloc((n + 1) * sizeof(int32));
	for (i = 0; i < n; i++)
		locations[i] = oms_get_int32(i, 1);
	/* Receipts lock the lot, so none comes after this look. */
	if (IsolationUsesXactSnapshot() && oms_run_latest(&statements[ST_MISSED], values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("Units of lot " INT64_FORMAT " came to location %d since the transaction began.", DatumGetInt64(values[2]),
						   oms_get_int32(0, 1)),
				 errhint("Try again.")));
	for (i = 0; i < n && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA; i++)
		(void) oms_backorder_fill(DatumGetInt32(values[0]), DatumGetInt64(values[1]), locations[i], false);
	oms_end();
	return PointerGetDatum(NULL);
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on lot_stock: by movements and
 * commands alone (OM009), not below nothing or what is picked (OM001), a serial
 * number once (OM008): CHECK says so too.
 */
Datum
oms_lot_stock_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	int64		on_hand = column(trigdata, tuple, LEVEL_ON_HAND);
	int64		picked = column(trigdata, tuple, LEVEL_PICKED);

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) || !oms_guard_is_open())
		oms_error_guarded(trigdata->tg_relation, "A level is the sum of its movements.",
						  "Use receive_lot(), adjust_lot() or place_lot(), or insert into oms.stock_movement.");
	if (on_hand > 1 && flag(trigdata, tuple, LEVEL_SERIAL))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("serial number " INT64_FORMAT " of item " INT64_FORMAT " is one unit", column(trigdata, tuple, LEVEL_LOT),
						column(trigdata, tuple, LEVEL_ITEM)),
				 errdetail("There would be " INT64_FORMAT " at location %d.", on_hand,
						   (int32) column(trigdata, tuple, LEVEL_LOCATION))));
	if (on_hand < 0 || picked > on_hand)
		ereport(ERROR,
				(errcode(OMS_SHORTAGE),
				 errmsg("not so much is there of lot " INT64_FORMAT " of item " INT64_FORMAT, column(trigdata, tuple, LEVEL_LOT),
						column(trigdata, tuple, LEVEL_ITEM)),
				 errdetail("On hand would be " INT64_FORMAT ", picked for orders " INT64_FORMAT ".", on_hand, picked),
				 errhint("View oms.lot_level shows where it lies; cancel_fulfilment() puts picked units back.")));
	return PointerGetDatum(tuple);
}

/* Units that a level offers no more, of those that lie there sound; *until is when that changes. */
static int64
stopped_units(TriggerData *trigdata, HeapTuple tuple, TimestampTz *until)
{
	int64		units = column(trigdata, tuple, LEVEL_ON_HAND) - column(trigdata, tuple, LEVEL_DAMAGED) -
		column(trigdata, tuple, LEVEL_QUALITY_CONTROL) - column(trigdata, tuple, LEVEL_QUARANTINE);

	*until = column(trigdata, tuple, LEVEL_SELL_BY);
	if (flag(trigdata, tuple, LEVEL_STOPPED) || *until <= oms_now())
	{
		*until = PG_INT64_MAX;
		return units;
	}
	return 0;
}

/* AFTER INSERT OR UPDATE row on lot_stock: what is stopped or expired leaves the gate, and comes back when it is not. */
Datum
oms_lot_stock_gate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	OmsGateKey	key;
	TimestampTz until;
	TimestampTz was_until;
	bool		isnull;
	int64		delta = stopped_units(trigdata, tuple, &until);

	key.merchant = DatumGetInt32(oms_row_get(trigdata, tuple, LEVEL_MERCHANT, &isnull));
	key.location = DatumGetInt32(oms_row_get(trigdata, tuple, LEVEL_LOCATION, &isnull));
	key.item = column(trigdata, tuple, LEVEL_ITEM);
	if (update)
		delta -= stopped_units(trigdata, trigdata->tg_trigtuple, &was_until);
	if (delta > 0)
		oms_gate_take_forced(&key, delta);
	else if (delta < 0)
		oms_gate_give_covered(&key, -delta);
	/* Told again even if it was before: a counter that was read after that instant has left the units out. */
	if (until != PG_INT64_MAX)
		oms_gate_deadline(&key, until);
	return PointerGetDatum(NULL);
}

/*
 * BEFORE UPDATE row on item, when its tracking changes: nothing of it was ever
 * moved (OM008).  Locks the ledger against writers until commit, so that
 * nobody moves it meanwhile.
 */
Datum
oms_item_tracking_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	Datum		values[2];
	bool		isnull;

	values[0] = oms_row_get(trigdata, trigdata->tg_newtuple, 1, &isnull);
	values[1] = oms_row_get(trigdata, trigdata->tg_newtuple, 2, &isnull);
	oms_begin_trigger(trigdata);
	oms_run(&statements[ST_LOCK_TABLES], NULL, NULL);
	oms_run_latest(&statements[ST_MOVED], values, NULL);
	if (oms_get_bool(0, 1))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("the tracking of item " INT64_FORMAT " cannot be changed any more", DatumGetInt64(values[1])),
				 errdetail("It has movements or lots."),
				 errhint("Make another item, and move the stock to it.")));
	oms_end();
	return PointerGetDatum(trigdata->tg_newtuple);
}

/* Looks the lot up; false when there is none.  *differs: expiry, minimum life or origin are given and are others. */
static bool
find(int32 merchant, int64 item, const char *lot, const Datum *details, const char *nulls, int64 *id, bool *differs)
{
	Datum		values[6] = {Int32GetDatum(merchant), Int64GetDatum(item), CStringGetTextDatum(lot)};
	char		null[6] = {' ', ' ', ' ', 'n', 'n', 'n'};

	if (details != NULL)
	{
		memcpy(&values[3], details, 3 * sizeof(Datum));
		memcpy(&null[3], nulls, 3);
	}
	if (oms_run(&statements[ST_FIND], values, null) == 0)
		return false;
	*id = oms_get_int64(0, 1);
	*differs = oms_get_bool(0, 2);
	return true;
}

int64
oms_lot_id(int32 merchant, int64 item, const char *lot)
{
	int64		id;
	bool		differs;

	if (!find(merchant, item, lot, NULL, NULL, &id, &differs))
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("item " INT64_FORMAT " has no lot \"%s\"", item, lot),
				 errhint("View oms.lot_level shows its lots.")));
	return id;
}

int64
oms_lot_make(const OmsCall *call, int64 item, const char *lot, const Datum *details, const char *nulls)
{
	Datum		values[7] = {Int32GetDatum(call->merchant), Int64GetDatum(item), CStringGetTextDatum(lot),
		details[0], details[1], details[2], CStringGetTextDatum(call->actor)};
	char		null[7] = {' ', ' ', ' ', nulls[0], nulls[1], nulls[2], ' '};
	bool		differs = false;
	int64		id;

	if (find(call->merchant, item, lot, details, nulls, &id, &differs))
		;
	else if (oms_run(&statements[ST_INSERT], values, null) > 0)
		id = oms_get_int64(0, 1);
	else if (!find(call->merchant, item, lot, details, nulls, &id, &differs))
		ereport(ERROR,
				(errcode(OMS_BUSY),
				 errmsg("lot \"%s\" of item " INT64_FORMAT " is being made by somebody else", lot, item),
				 errhint("Try again.")));
	if (differs)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("lot \"%s\" of item " INT64_FORMAT " is known otherwise", lot, item),
				 errdetail("Its expiry, minimum life or origin is another one."),
				 errhint("Leave them out, or correct the row of oms.lot.")));
	return id;
}

/*
 * receive_lot(merchant, item, location, lot, quantity, cause, expires_at,
 * minimum_life, origin, request_key, actor).  Raises OM001, OM002, OM008,
 * OM010, OM011.
 */
Datum
oms_receive_lot(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = oms_arg_int32(fcinfo, 2, "location");
	char	   *lot = oms_arg_text(fcinfo, 3, "lot", OMS_KEY_LENGTH);
	int64		quantity = oms_arg_units(fcinfo, 4, "quantity", 1, false);
	char	   *cause = oms_arg_text(fcinfo, 5, "cause", OMS_TEXT_LENGTH);
	char	   *origin = oms_arg_text_or_null(fcinfo, 8, "origin", OMS_TEXT_LENGTH);
	OmsCall		call;
	int64		movement;

	if (!oms_call_repeated(fcinfo, "receive_lot", 9, &call, &movement))
	{
		Datum		details[3] = {PG_GETARG_DATUM(6), PG_GETARG_DATUM(7), origin ? CStringGetTextDatum(origin) : (Datum) 0};
		char		nulls[3] = {PG_ARGISNULL(6) ? 'n' : ' ', PG_ARGISNULL(7) ? 'n' : ' ', origin ? ' ' : 'n'};
		int64		id = oms_lot_make(&call, item, lot, details, nulls);

		movement = oms_stock_move(&(OmsMove) {
			.key = {call.merchant, location, item}, .kind = "receipt", .quantity = quantity, .cause = cause,
			.actor = call.actor, .lot = id
		});
		oms_call_done(&call, movement);
	}
	PG_RETURN_INT64(movement);
}

/* adjust_lot(merchant, item, location, lot, quantity, cause, forced, request_key, actor).  Raises OM001, OM002, OM010, OM011. */
Datum
oms_adjust_lot(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = oms_arg_int32(fcinfo, 2, "location");
	char	   *lot = oms_arg_text(fcinfo, 3, "lot", OMS_KEY_LENGTH);
	int64		quantity = oms_arg_units(fcinfo, 4, "quantity", -OMS_MAX_STOCK, false);
	char	   *cause = oms_arg_text(fcinfo, 5, "cause", OMS_TEXT_LENGTH);
	bool		forced = PG_ARGISNULL(6) ? false : PG_GETARG_BOOL(6);
	OmsCall		call;
	int64		movement;

	if (!oms_call_repeated(fcinfo, "adjust_lot", 7, &call, &movement))
	{
		movement = oms_stock_move(&(OmsMove) {
			.key = {call.merchant, location, item}, .kind = "adjustment", .quantity = quantity, .cause = cause,
			.forced = forced, .actor = call.actor, .lot = oms_lot_id(call.merchant, item, lot)
		});
		oms_call_done(&call, movement);
	}
	PG_RETURN_INT64(movement);
}

/* set_lot_status(merchant, item, lot, status, request_key, actor, reason).  Raises OM002, OM010, OM011. */
Datum
oms_set_lot_status(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	char	   *lot = oms_arg_text(fcinfo, 2, "lot", OMS_KEY_LENGTH);
	char	   *status = oms_arg_text(fcinfo, 3, "status", OMS_KEY_LENGTH);
	OmsCall		call;
	int64		id;

	if (strcmp(status, "released") != 0 && strcmp(status, "blocked") != 0 && strcmp(status, "recalled") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"status\" is \"%s\"", status),
				 errdetail("A lot is released, blocked or recalled.")));
	if (!oms_call_repeated(fcinfo, "set_lot_status", 4, &call, &id))
	{
		OmsEvent	event = {0};
		OmsJson		json;
		Datum		values[4];

		id = oms_lot_id(call.merchant, item, lot);
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int64GetDatum(item);
		values[2] = Int64GetDatum(id);
		values[3] = CStringGetTextDatum(status);
		oms_run(&statements[ST_SET_STATUS], values, NULL);
		oms_json_begin(&json);
		oms_json_add_int(&json, "item", item);
		oms_json_add_text(&json, "lot", lot);
		oms_json_add_text(&json, "status", status);
		event.merchant = call.merchant;
		event.subject_type = "lot";
		event.subject_id = id;
		event.type = "lot.status";
		event.data = oms_json_end(&json);
		oms_event_write(&event);
		oms_call_done(&call, id);
	}
	PG_RETURN_INT64(id);
}

/* place_lot(merchant, item, location, lot, bin, request_key, actor).  Raises OM002, OM010, OM011, 23503. */
Datum
oms_place_lot(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = oms_arg_int32(fcinfo, 2, "location");
	char	   *lot = oms_arg_text(fcinfo, 3, "lot", OMS_KEY_LENGTH);
	char	   *bin = oms_arg_text_or_null(fcinfo, 4, "bin", OMS_KEY_LENGTH);
	OmsCall		call;
	int64		id;

	if (!oms_call_repeated(fcinfo, "place_lot", 5, &call, &id))
	{
		Datum		values[5];
		char		nulls[5] = {' ', ' ', ' ', ' ', bin ? ' ' : 'n'};

		id = oms_lot_id(call.merchant, item, lot);
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int64GetDatum(item);
		values[2] = Int64GetDatum(id);
		values[3] = Int32GetDatum(location);
		values[4] = bin ? CStringGetTextDatum(bin) : (Datum) 0;
		if (oms_run_guarded(&statements[ST_PLACE], values, nulls) == 0)
			oms_error_unknown_code("lot at this location", call.merchant, lot);
		oms_call_done(&call, id);
	}
	PG_RETURN_INT64(id);
}
