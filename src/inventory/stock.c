/*-------------------------------------------------------------------------
 * stock.c
 *	  Levels and the ledger: a row of stock_movement is what changes stock,
 *	  whoever writes it, and nothing else does.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/rel.h"

#include "config/catalogue.h"
#include "core/guard.h"
#include "core/request.h"
#include "inventory/cost.h"
#include "inventory/gate.h"
#include "inventory/inventory.h"
#include "inventory/lot.h"

PG_FUNCTION_INFO_V1(oms_stock_movement_apply);
PG_FUNCTION_INFO_V1(oms_stock_guard);
PG_FUNCTION_INFO_V1(oms_stock_gate);
PG_FUNCTION_INFO_V1(oms_receive_stock);
PG_FUNCTION_INFO_V1(oms_adjust_stock);

/* Columns of stock and stock_movement, in the order of sql/schema/30_inventory.sql. */
enum
{
	STOCK_MERCHANT = 1, STOCK_LOCATION, STOCK_ITEM, STOCK_ON_HAND, STOCK_DAMAGED, STOCK_QUALITY_CONTROL,
	STOCK_QUARANTINE, STOCK_SAFETY
};
enum
{
	MOVE_MERCHANT = 1, MOVE_LOCATION, MOVE_ITEM, MOVE_ID, MOVE_QUANTITY, MOVE_DAMAGED, MOVE_QUALITY_CONTROL,
	MOVE_QUARANTINE, MOVE_FORCED, MOVE_KIND, MOVE_CAUSE, MOVE_SOURCE_KIND, MOVE_SOURCE_ID, MOVE_ACTOR, MOVE_AT, MOVE_UNIT_COST, MOVE_LOT
};

enum
{
	ST_APPLY,
	ST_MOVE,
	ST_LOCATION
};

static OmsStatement statements[] = {
	/* The level first: a row to insert is checked before it conflicts, and changes may be negative. */
	[ST_APPLY] = {
		"WITH changed AS (UPDATE oms.stock SET on_hand = on_hand + $4, damaged = damaged + $5, "
		"quality_control = quality_control + $6, quarantine = quarantine + $7 "
		"WHERE merchant_id = $1 AND location_id = $2 AND item_id = $3 RETURNING 1) "
		"INSERT INTO oms.stock AS s (merchant_id, location_id, item_id, on_hand, damaged, quality_control, quarantine) "
		"SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (SELECT 1 FROM changed) ON CONFLICT (merchant_id, item_id, location_id) DO UPDATE SET "
		"on_hand = s.on_hand + excluded.on_hand, damaged = s.damaged + excluded.damaged, "
		"quality_control = s.quality_control + excluded.quality_control, quarantine = s.quarantine + excluded.quarantine",
		7, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID}
	},
	[ST_MOVE] = {
		"INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, cause, source_kind, "
		"source_id, forced, actor, at, quality_control, unit_cost, lot_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
		"RETURNING movement_id",
		15, {INT4OID, INT4OID, INT8OID, TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID, INT8OID, BOOLOID, TEXTOID, TIMESTAMPTZOID, INT8OID,
		NUMERICOID, INT8OID}
	},
	[ST_LOCATION] = {
		"SELECT 1 FROM oms.location WHERE merchant_id = $1 AND location_id = $2", 2, {INT4OID, INT4OID}
	},
};

/* The movement being applied says that it may pass what is promised or there. */
static bool applying_forced = false;

static int64
row_int64(TriggerData *trigdata, HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = oms_row_get(trigdata, tuple, column, &isnull);

	return DatumGetInt64(value);
}

static int32
row_int32(TriggerData *trigdata, HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = oms_row_get(trigdata, tuple, column, &isnull);

	return DatumGetInt32(value);
}

/* The key of the gate's counter for a row of stock. */
static OmsGateKey
gate_key(TriggerData *trigdata, HeapTuple tuple)
{
	OmsGateKey	key;

	key.merchant = row_int32(trigdata, tuple, STOCK_MERCHANT);
	key.location = row_int32(trigdata, tuple, STOCK_LOCATION);
	key.item = row_int64(trigdata, tuple, STOCK_ITEM);
	return key;
}

/* What a level offers before promises. */
static int64
offered(TriggerData *trigdata, HeapTuple tuple)
{
	return row_int64(trigdata, tuple, STOCK_ON_HAND)
		- row_int64(trigdata, tuple, STOCK_DAMAGED)
		- row_int64(trigdata, tuple, STOCK_QUALITY_CONTROL)
		- row_int64(trigdata, tuple, STOCK_QUARANTINE)
		- row_int64(trigdata, tuple, STOCK_SAFETY);
}

void
oms_error_shortage(const OmsGateKey *key, int64 wanted, int64 available)
{
	ereport(ERROR,
			(errcode(OMS_SHORTAGE),
			 errmsg("not enough stock of item " INT64_FORMAT " at location %d", key->item, key->location),
			 errdetail(INT64_FORMAT " wanted, " INT64_FORMAT " available.", wanted, Max(available, 0)),
			 errhint("Order less, wait for a receipt, or allow backorders (setting \"allocation\").")));
}

/* AFTER INSERT row on stock_movement: changes the level it names, and that of its lot, and promises what came to backorders. */
Datum
oms_stock_movement_apply(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = trigdata->tg_trigtuple;
	bool		isnull;
	bool		saved = applying_forced;
	OmsTracking tracking;
	Datum		values[8];

	values[0] = oms_row_get(trigdata, tuple, MOVE_MERCHANT, &isnull);
	values[1] = oms_row_get(trigdata, tuple, MOVE_LOCATION, &isnull);
	values[2] = oms_row_get(trigdata, tuple, MOVE_ITEM, &isnull);
	values[3] = oms_row_get(trigdata, tuple, MOVE_QUANTITY, &isnull);
	values[4] = oms_row_get(trigdata, tuple, MOVE_DAMAGED, &isnull);
	values[5] = oms_row_get(trigdata, tuple, MOVE_QUALITY_CONTROL, &isnull);
	values[6] = oms_row_get(trigdata, tuple, MOVE_QUARANTINE, &isnull);
	oms_begin_trigger(trigdata);
	tracking = oms_lot_tracking(DatumGetInt32(values[0]), DatumGetInt64(values[2]));
	values[7] = oms_row_get(trigdata, tuple, MOVE_LOT, &isnull);
	oms_lot_check(DatumGetInt32(values[0]), DatumGetInt64(values[2]), tracking, !isnull);
	/* Its lot first: units of an expired one come back to the gate before they are taken off the shelf. */
	if (tracking != OMS_UNTRACKED)
		oms_lot_apply(values, tracking, TextDatumGetCString(oms_row_get(trigdata, tuple, MOVE_KIND, &isnull)),
					  DatumGetBool(oms_row_get(trigdata, tuple, MOVE_FORCED, &isnull)));
	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
	{
		oms_item_require_current(DatumGetInt32(values[0]), DatumGetInt64(values[2]));
		oms_require_stocked(DatumGetInt32(values[0]), DatumGetInt64(values[2]));
	}
	PG_TRY();
	{
		applying_forced = DatumGetBool(oms_row_get(trigdata, tuple, MOVE_FORCED, &isnull));
		oms_run_guarded(&statements[ST_APPLY], values, NULL);
	}
	PG_FINALLY();
	{
		applying_forced = saved;
	}
	PG_END_TRY();
	if (DatumGetInt64(values[3]) != 0)
		oms_cost_movement(DatumGetInt32(values[0]), DatumGetInt32(values[1]), DatumGetInt64(values[2]),
						  row_int64(trigdata, tuple, MOVE_ID), DatumGetInt64(values[3]));
	if (DatumGetInt64(values[3]) > DatumGetInt64(values[4]) + DatumGetInt64(values[5]) + DatumGetInt64(values[6]) &&
		SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
		oms_backorder_fill(DatumGetInt32(values[0]), DatumGetInt64(values[2]), DatumGetInt32(values[1]), false);
	oms_end();
	return PointerGetDatum(NULL);
}

void
oms_require_stocked(int32 merchant, int64 id)
{
	const OmsItem *item;

	oms_catalogue_load(merchant, 0, &id, 1, NULL, 0);
	item = oms_catalogue_item(merchant, id);
	if (item == NULL)
		oms_error_unknown("item", merchant, id);
	if (item->kind != OMS_STOCKED)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item \"%s\" has no stock of its own", item->sku),
				 errdetail("It is a %s.", item->kind == OMS_KIT ? "kit" : "service"),
				 errhint(item->kind == OMS_KIT ? "Move the stock of its parts." : "Services are not on shelves.")));
}

void
oms_require_location(int32 merchant, int32 location)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int32GetDatum(location)};

	if (oms_run(&statements[ST_LOCATION], values, NULL) == 0)
		oms_error_unknown("location", merchant, location);
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on stock: only safety may be typed by
 * hand; levels follow the ledger.  Raises OM002, OM008, OM009.
 */
Datum
oms_stock_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	int			column;

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		oms_error_guarded(trigdata->tg_relation, "A level is the sum of its movements.",
						  "Adjust the stock to zero instead.");
	if (!update)
	{
		OmsGateKey	key = gate_key(trigdata, tuple);

		oms_begin_trigger(trigdata);
		oms_require_stocked(key.merchant, key.item);
		oms_end();
	}
	if (oms_guard_is_open())
		return PointerGetDatum(tuple);
	for (column = STOCK_MERCHANT; column <= STOCK_QUARANTINE; column++)
	{
		if (update ? !oms_row_same(trigdata, column) :
			(column >= STOCK_ON_HAND && row_int64(trigdata, tuple, column) != 0))
			oms_error_guarded(trigdata->tg_relation, "Only safety may be written by hand; a level is the sum of its movements.",
							  "Use receive_stock() or adjust_stock(), or insert into oms.stock_movement.");
	}
	return PointerGetDatum(tuple);
}

/*
 * AFTER INSERT OR UPDATE row on stock: moves the gate by what the level offers
 * more or less.  Less than what is promised, or a shelf below zero, is refused
 * (OM001) unless the movement is forced.
 */
Datum
oms_stock_gate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	OmsGateKey	key = gate_key(trigdata, tuple);
	int64		delta = offered(trigdata, tuple) - (update ? offered(trigdata, trigdata->tg_trigtuple) : 0);
	int64		on_hand = row_int64(trigdata, tuple, STOCK_ON_HAND);
	int64		available = 0;

	if (on_hand < 0 && !applying_forced && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA &&
		on_hand < (update ? row_int64(trigdata, trigdata->tg_trigtuple, STOCK_ON_HAND) : 0))
		ereport(ERROR,
				(errcode(OMS_SHORTAGE),
				 errmsg("item " INT64_FORMAT " would have less than nothing on hand at location %d", key.item, key.location),
				 errdetail("On hand would be " INT64_FORMAT ".", on_hand),
				 errhint("Receive the goods first, or force the movement.")));
	/* Units that come make good what is promised and not there; the rest is this transaction's at once. */
	if (delta > 0 && SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		oms_gate_give(&key, delta);
	else if (delta > 0)
		oms_gate_give_covered(&key, delta);
	else if (delta < 0 && (applying_forced || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA))
		oms_gate_take_forced(&key, -delta);
	else if (delta < 0 && !oms_stock_take(trigdata, &key, -delta, &available))
		ereport(ERROR,
				(errcode(OMS_SHORTAGE),
				 errmsg("item " INT64_FORMAT " at location %d is promised to orders or held", key.item, key.location),
				 errdetail(INT64_FORMAT " would be taken away, " INT64_FORMAT " are not promised.", -delta, available),
				 errhint("Cancel or move the promises first, or force the movement.")));
	return PointerGetDatum(NULL);
}

int64
oms_stock_move(const OmsMove *move)
{
	Datum		values[15];
	char		nulls[15] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', 'n', 'n', ' ', ' ', ' ', ' ', move->unit_cost == (Datum) 0 ? 'n' : ' ',
		move->lot == 0 ? 'n' : ' '};

	values[0] = Int32GetDatum(move->key.merchant);
	values[1] = Int32GetDatum(move->key.location);
	values[2] = Int64GetDatum(move->key.item);
	values[3] = CStringGetTextDatum(move->kind);
	values[4] = Int64GetDatum(move->quantity);
	values[5] = Int64GetDatum(move->damaged);
	values[6] = CStringGetTextDatum(move->cause);
	if (move->source_kind != NULL)
	{
		values[7] = CStringGetTextDatum(move->source_kind);
		values[8] = Int64GetDatum(move->source_id);
		nulls[7] = nulls[8] = ' ';
	}
	values[9] = BoolGetDatum(move->forced);
	values[10] = CStringGetTextDatum(move->actor);
	values[11] = TimestampTzGetDatum(oms_now());
	values[12] = Int64GetDatum(move->quality_control);
	values[13] = move->unit_cost;
	values[14] = Int64GetDatum(move->lot);
	oms_run(&statements[ST_MOVE], values, nulls);
	return oms_get_int64(0, 1);
}

int64
oms_arg_units(FunctionCallInfo fcinfo, int n, const char *name, int64 min, bool zero)
{
	int64		units = oms_arg_int64(fcinfo, n, name);

	if (units < min || (units == 0 && !zero) || units > OMS_MAX_STOCK)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail(INT64_FORMAT " was given; " INT64_FORMAT " to " INT64_FORMAT "%s are allowed.",
						   units, min, OMS_MAX_STOCK, min < 0 && !zero ? " without 0" : "")));
	return units;
}

/* SQL: receive_stock(merchant, item, location, quantity, cause, request_key, actor, reason, unit_cost) */
Datum
oms_receive_stock(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = oms_arg_int32(fcinfo, 2, "location");
	int64		quantity = oms_arg_units(fcinfo, 3, "quantity", 1, false);
	char	   *cause = oms_arg_text(fcinfo, 4, "cause", OMS_TEXT_LENGTH);
	Datum		unit_cost = PG_ARGISNULL(8) ? (Datum) 0 : oms_arg_unit_cost(fcinfo, 8);
	OmsCall		call;
	int64		movement;

	if (!oms_call_repeated(fcinfo, "receive_stock", 5, &call, &movement))
	{
		movement = oms_stock_move(&(OmsMove) {
			.key = {call.merchant, location, item}, .kind = "receipt", .quantity = quantity, .cause = cause, .actor = call.actor,
			.unit_cost = unit_cost
		});
		oms_call_done(&call, movement);
	}
	PG_RETURN_INT64(movement);
}

/* SQL: adjust_stock(merchant, item, location, quantity, cause, forced, request_key, actor) */
Datum
oms_adjust_stock(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = oms_arg_int32(fcinfo, 2, "location");
	int64		quantity = oms_arg_units(fcinfo, 3, "quantity", -OMS_MAX_STOCK, false);
	char	   *cause = oms_arg_text(fcinfo, 4, "cause", OMS_TEXT_LENGTH);
	bool		forced = PG_ARGISNULL(5) ? false : PG_GETARG_BOOL(5);
	OmsCall		call;
	int64		movement;

	if (!oms_call_repeated(fcinfo, "adjust_stock", 6, &call, &movement))
	{
		movement = oms_stock_move(&(OmsMove) {
			.key = {call.merchant, location, item}, .kind = "adjustment", .quantity = quantity, .cause = cause,
			.forced = forced, .actor = call.actor
		});
		oms_call_done(&call, movement);
	}
	PG_RETURN_INT64(movement);
}
