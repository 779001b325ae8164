/*-------------------------------------------------------------------------
 * gate_load.c
 *	  Reading a counter of the gate from the rows.
 *
 *	  Committed rows come by SQL under a fresh snapshot.  A running transaction
 *	  will tell the loaded counter of its rows by its own triggers; a prepared
 *	  one will not, nor can it be told from a running one by its rows.  So
 *	  where prepared transactions are enabled, rows of any transaction in
 *	  progress are looked up too and count as if they were to stay: low, not
 *	  high, until the entry is loaded without them.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/twophase.h"
#include "catalog/namespace.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "inventory/gate_load.h"
#include "inventory/inventory.h"

enum
{
	ST_OFFERED,
	ST_PROMISED,
	ST_HELD,
	ST_BOUND,
	ST_STOPPED
};

static OmsStatement statements[] = {
	[ST_OFFERED] = {
		"SELECT on_hand - damaged - quality_control - quarantine - safety FROM oms.stock "
		"WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_PROMISED] = {
		"SELECT sum(quantity)::bigint FROM oms.reservation WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_HELD] = {
		"SELECT sum(quantity) FILTER (WHERE starts_at IS NULL OR starts_at <= $4)::bigint, "
		"count(*) FILTER (WHERE expires_at IS NOT NULL OR purpose = 'reserve'), "
		"coalesce(min(starts_at) FILTER (WHERE starts_at > $4), 'infinity') FROM oms.stock_hold "
		"WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 AND counted",
		4, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID}
	},
	/* What a bound leaves: its quantity without the promises of its channel and location. */
	[ST_BOUND] = {
		"SELECT b.quantity - coalesce((SELECT sum(r.quantity) FROM oms.reservation r "
		"WHERE r.merchant_id = $1 AND r.item_id = $2 AND (r.location_id = b.location_id OR b.location_id IS NULL) "
		"AND (b.channel_id IS NULL OR EXISTS (SELECT 1 FROM oms.sales_order o WHERE o.merchant_id = $1 "
		"AND o.order_id = r.order_id AND o.channel_id = b.channel_id))), 0)::bigint "
		"FROM oms.promise_bound b WHERE b.merchant_id = $1 AND b.bound_id = - $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	/* Units of lots that are not for sale, and when the next lot will not be. */
	[ST_STOPPED] = {
		"SELECT sum(on_hand - damaged - quality_control - quarantine) FILTER (WHERE stopped OR sell_by <= $4)::bigint, "
		"coalesce(min(sell_by) FILTER (WHERE NOT stopped AND sell_by > $4), 'infinity') FROM oms.lot_stock "
		"WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 AND on_hand <> 0",
		4, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID}
	},
};

/* The sum or level that one of the statements gives under the snapshot. */
static int64
read_committed(int statement, const OmsGateKey *key, Snapshot snapshot)
{
	Datum		values[4] = {Int32GetDatum(key->merchant), Int64GetDatum(key->item), Int32GetDatum(key->location),
		TimestampTzGetDatum(oms_now())};

	return oms_run_snapshot(&statements[statement], values, NULL, snapshot) > 0 ? oms_get_int64(0, 1) : 0;
}

/* Columns in the order of sql/schema/28_lot.sql, 29_hold.sql and 30_inventory.sql; all tables begin alike. */
enum
{
	KEY_MERCHANT = 1, KEY_LOCATION, KEY_ITEM,
	KEY_BOUND = 2, BOUND_QUANTITY = 6,
	STOCK_ON_HAND = 4, STOCK_DAMAGED, STOCK_QUALITY_CONTROL, STOCK_QUARANTINE, STOCK_SAFETY,
	RESERVATION_QUANTITY = 7,
	HOLD_QUANTITY = 5, HOLD_COUNTED = 10,
	LOT_ON_HAND = 5, LOT_DAMAGED, LOT_QUALITY_CONTROL, LOT_QUARANTINE, LOT_SELL_BY = 10, LOT_STOPPED = 12
};

/* Which of the tables; the first as in relids. */
enum
{
	TABLE_RESERVATION, TABLE_STOCK, TABLE_HOLD, TABLE_LOT, TABLE_BOUND
};

static int64
column(Relation rel, HeapTuple tuple, int number)
{
	bool		isnull;

	return DatumGetInt64(heap_getattr(tuple, number, RelationGetDescr(rel), &isnull));
}

static bool
flag(Relation rel, HeapTuple tuple, int number)
{
	bool		isnull;

	return DatumGetBool(heap_getattr(tuple, number, RelationGetDescr(rel), &isnull));
}

/*
 * Looks for rows of the key that a transaction in progress, not our own, has
 * written or removed.  Returns how many; of those written *least is the
 * smallest of what they offer (stock, bounds), *sum the sum of what they promise or
 * stop (the others); of a bound's key, the promises of the item to anybody.  Those removed still count, and may not after a reload.
 */
static int
read_in_progress(Oid relid, int table, const OmsGateKey *key, int64 *least, int64 *sum)
{
	Relation	rel = table_open(relid, AccessShareLock);
	int			nkeys = key->location < 0 ? 2 : 3;
	ScanKeyData keys[3];
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			found = 0;

	/* In the order of the primary keys. */
	ScanKeyInit(&keys[0], KEY_MERCHANT, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(key->merchant));
	if (table == TABLE_BOUND)
		ScanKeyInit(&keys[1], KEY_BOUND, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(-key->location));
	else
		ScanKeyInit(&keys[1], KEY_ITEM, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key->item));
	ScanKeyInit(&keys[2], KEY_LOCATION, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(key->location));
	list_free(RelationGetIndexList(rel));
	InitDirtySnapshot(dirty);
	scan = systable_beginscan(rel, rel->rd_pkindex, true, &dirty, nkeys, keys);
	*least = PG_INT64_MAX;
	*sum = 0;
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		int64		value;

		if (TransactionIdIsValid(dirty.xmin) || TransactionIdIsValid(dirty.xmax))
			found++;
		if (!TransactionIdIsValid(dirty.xmin))
			continue;
		if (table == TABLE_RESERVATION)
			value = column(rel, tuple, RESERVATION_QUANTITY);
		else if (table == TABLE_BOUND)
			value = column(rel, tuple, BOUND_QUANTITY);
		else if (table == TABLE_HOLD)
			value = flag(rel, tuple, HOLD_COUNTED) ? column(rel, tuple, HOLD_QUANTITY) : 0;
		else if (table == TABLE_LOT)
			value = flag(rel, tuple, LOT_STOPPED) || column(rel, tuple, LOT_SELL_BY) <= oms_now() ?
				column(rel, tuple, LOT_ON_HAND) - column(rel, tuple, LOT_DAMAGED) -
				column(rel, tuple, LOT_QUALITY_CONTROL) - column(rel, tuple, LOT_QUARANTINE) : 0;
		else
			value = column(rel, tuple, STOCK_ON_HAND) - column(rel, tuple, STOCK_DAMAGED) -
				column(rel, tuple, STOCK_QUALITY_CONTROL) - column(rel, tuple, STOCK_QUARANTINE) -
				column(rel, tuple, STOCK_SAFETY);
		*least = Min(*least, value);
		*sum += value;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The same for a counter of a bound, whose tables its user has locked. */
static void
load_bound(const OmsGateKey *key, Oid reservation, OmsGateFigure *figure)
{
	Snapshot	snapshot;

	figure->counter = 0;
	if (max_prepared_xacts > 0)
	{
		Oid			bounds = get_relname_relid("promise_bound", get_namespace_oid("oms", false));
		int64		least;
		int64		sum;

		if (read_in_progress(reservation, TABLE_RESERVATION, key, &least, &sum) > 0)
		{
			figure->counter -= sum;
			figure->doubtful = true;
		}
		if (read_in_progress(bounds, TABLE_BOUND, key, &least, &sum) > 0)
		{
			/* Whatever it will be: nothing until then. */
			figure->counter -= OMS_MAX_STOCK;
			figure->doubtful = true;
		}
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	snapshot->curcid = FirstCommandId;
	oms_begin();
	figure->counter += read_committed(ST_BOUND, key, snapshot);
	oms_end();
	UnregisterSnapshot(snapshot);
}

void
oms_gate_load(const OmsGateKey *key, const Oid *relids, OmsGateFigure *figure)
{
	Snapshot	snapshot;
	int64		offered;
	int64		promised;
	int64		least_offered = PG_INT64_MAX;
	int64		in_progress = 0;
	static const int takers[] = {TABLE_RESERVATION, TABLE_HOLD, TABLE_LOT};
	int			i;

	/*
	 * Before the snapshot: what a prepared transaction promises is then counted
	 * twice, not never, when it is committed in between.
	 */
	figure->doubtful = false;
	figure->expiring = false;
	figure->deadline = PG_INT64_MAX;
	if (key->location < 0)
	{
		load_bound(key, relids[TABLE_RESERVATION], figure);
		return;
	}
	if (max_prepared_xacts > 0)
	{
		int64		least;
		int64		sum;

		if (read_in_progress(relids[TABLE_STOCK], TABLE_STOCK, key, &least_offered, &sum) > 0)
			figure->doubtful = true;
		for (i = 0; i < lengthof(takers); i++)
			if (read_in_progress(relids[takers[i]], takers[i], key, &least, &sum) > 0)
			{
				in_progress += sum;
				figure->doubtful = true;
			}
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	/* Own rows reach the counter by their own triggers. */
	snapshot->curcid = FirstCommandId;
	oms_begin();
	offered = Min(read_committed(ST_OFFERED, key, snapshot), least_offered);
	promised = in_progress + read_committed(ST_PROMISED, key, snapshot);
	promised += read_committed(ST_HELD, key, snapshot);
	figure->expiring = oms_get_int64(0, 2) > 0;
	figure->deadline = Min(figure->deadline, oms_get_int64(0, 3));
	promised += read_committed(ST_STOPPED, key, snapshot);
	figure->deadline = Min(figure->deadline, oms_get_int64(0, 2));
	oms_end();
	UnregisterSnapshot(snapshot);
	figure->counter = offered - promised;
}
