/*-------------------------------------------------------------------------
 * reservation.c
 *	  The gate's trigger on reservation, and what may still be promised.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/tableam.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/guard.h"
#include "inventory/bound.h"
#include "inventory/inventory.h"

PG_FUNCTION_INFO_V1(oms_reservation_gate);
PG_FUNCTION_INFO_V1(oms_gate_truncate);

/* Columns of reservation, in the order of sql/schema/30_inventory.sql. */
enum
{
	RES_MERCHANT = 1, RES_LOCATION, RES_ITEM, RES_ID, RES_ORDER, RES_LINE, RES_QUANTITY
};

enum
{
	ST_LOCK_ORDER,
	ST_LINE_ALLOCATED
};

static OmsStatement statements[] = {
	/* First, so that the sum below sees what another session has just added to the line. */
	[ST_LOCK_ORDER] = {
		"SELECT 1 FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2 FOR NO KEY UPDATE", 2, {INT4OID, INT8OID}
	},
	/* Units of the line that its promises cover: for a kit, of the part that has fewest. */
	[ST_LINE_ALLOCATED] = {
		"UPDATE oms.order_line l SET allocated = coalesce(CASE WHEN EXISTS (SELECT 1 FROM oms.order_line_component c "
		"WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3) "
		"THEN (SELECT min(coalesce((SELECT sum(r.quantity) FROM oms.reservation r WHERE r.merchant_id = $1 "
		"AND r.order_id = $2 AND r.line_no = $3 AND r.item_id = c.item_id), 0) / c.per_unit) "
		"FROM oms.order_line_component c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3) "
		"ELSE (SELECT sum(r.quantity) FROM oms.reservation r WHERE r.merchant_id = $1 AND r.order_id = $2 "
		"AND r.line_no = $3) END, 0) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = $3 AND ($4 = l.item_id "
		"OR EXISTS (SELECT 1 FROM oms.order_line_component c "
		"WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3 AND c.item_id = $4))",
		4, {INT4OID, INT8OID, INT4OID, INT8OID}
	},
};

/* What a row takes from the gate; returns its order. */
static int64
read_key(TriggerData *trigdata, HeapTuple tuple, OmsGateKey *key, int64 *quantity)
{
	bool		isnull;

	key->merchant = DatumGetInt32(oms_row_get(trigdata, tuple, RES_MERCHANT, &isnull));
	key->location = DatumGetInt32(oms_row_get(trigdata, tuple, RES_LOCATION, &isnull));
	key->item = DatumGetInt64(oms_row_get(trigdata, tuple, RES_ITEM, &isnull));
	*quantity = DatumGetInt64(oms_row_get(trigdata, tuple, RES_QUANTITY, &isnull));
	return DatumGetInt64(oms_row_get(trigdata, tuple, RES_ORDER, &isnull));
}

/* A promise typed by hand moves the line's counter as a command would. */
static void
refresh_line(TriggerData *trigdata, HeapTuple tuple)
{
	bool		isnull;
	Datum		values[4];

	values[0] = oms_row_get(trigdata, tuple, RES_MERCHANT, &isnull);
	values[1] = oms_row_get(trigdata, tuple, RES_ORDER, &isnull);
	values[2] = oms_row_get(trigdata, tuple, RES_LINE, &isnull);
	values[3] = oms_row_get(trigdata, tuple, RES_ITEM, &isnull);
	oms_begin_trigger(trigdata);
	oms_run(&statements[ST_LOCK_ORDER], values, NULL);
	if (oms_run_guarded(&statements[ST_LINE_ALLOCATED], values, NULL) == 0 &&
		!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("line %d of order " INT64_FORMAT " does not exist",
						DatumGetInt32(values[2]), DatumGetInt64(values[1])),
				 errdetail("There is none of item " INT64_FORMAT ".", DatumGetInt64(values[3])),
				 errhint("A reservation belongs to a line of an order, of the same item or of a kit with that part.")));
	oms_end();
}

/*
 * AFTER INSERT OR UPDATE OR DELETE row on reservation: passes the gate, or is
 * refused (OM001, or OM007 by a bound).  AFTER, because a BEFORE trigger also fires for rows that
 * ON CONFLICT, a later trigger or a failing constraint drops.
 */
Datum
oms_reservation_gate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	OmsGateKey	key;
	int64		order_id;
	int64		quantity;
	int64		available = 0;

	/* A promise that changes hands, between orders of one channel, passes no gate. */
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) && oms_guard_is_open() && oms_row_same(trigdata, RES_MERCHANT) &&
		oms_row_same(trigdata, RES_LOCATION) && oms_row_same(trigdata, RES_ITEM) && oms_row_same(trigdata, RES_QUANTITY))
		return PointerGetDatum(NULL);
	if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		order_id = read_key(trigdata, trigdata->tg_trigtuple, &key, &quantity);
		oms_gate_give(&key, quantity);
		oms_bound_row(trigdata, &key, order_id, -quantity);
	}
	if (!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;

		order_id = read_key(trigdata, tuple, &key, &quantity);
		if (quantity <= 0)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("a reservation of " INT64_FORMAT " units", quantity),
					 errdetail("A promise is of 1 unit or more."),
					 errhint("Delete the row to release the promise.")));
		if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		{
			/* The row is a fact of another node. */
			oms_gate_take_forced(&key, quantity);
			oms_bound_row(trigdata, &key, order_id, quantity);
			return PointerGetDatum(NULL);
		}
		if (!oms_stock_take(trigdata, &key, quantity, &available))
			oms_error_shortage(&key, quantity, available);
		oms_bound_row(trigdata, &key, order_id, quantity);
		if (!oms_guard_is_open())
			refresh_line(trigdata, tuple);
	}
	if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) && !oms_guard_is_open() &&
		SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
	{
		refresh_line(trigdata, trigdata->tg_trigtuple);
		(void) read_key(trigdata, trigdata->tg_trigtuple, &key, &quantity);
		oms_backorder_fill_typed(trigdata, &key);
	}
	return PointerGetDatum(NULL);
}

/*
 * BEFORE TRUNCATE statement on reservation and stock_hold, whose rows have
 * passed the gate: refused (OM014), in replica role too, unless there are none.
 */
Datum
oms_gate_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	Relation	rel = trigdata->tg_relation;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool		empty = !table_scan_getnextslot(scan, ForwardScanDirection, slot);

	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	if (!empty)
		ereport(ERROR,
				(errcode(OMS_REFERENCED),
				 errmsg("table \"%s\" is not empty and may not be truncated", RelationGetRelationName(rel)),
				 errdetail("Its rows are promises that the gate has counted."),
				 errhint("%s", trigdata->tg_trigger->tgargs[0]),
				 errtable(rel)));
	return PointerGetDatum(NULL);
}
