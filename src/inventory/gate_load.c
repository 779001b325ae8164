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
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "inventory/gate_load.h"

enum
{
	ST_OFFERED,
	ST_PROMISED,
	ST_HELD
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
		"SELECT sum(quantity)::bigint, count(expires_at) FROM oms.stock_hold "
		"WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 AND counted",
		3, {INT4OID, INT8OID, INT4OID}
	},
};

/* The sum or level that one of the statements gives under the snapshot. */
static int64
read_committed(int statement, const OmsGateKey *key, Snapshot snapshot)
{
	Datum		values[3] = {Int32GetDatum(key->merchant), Int64GetDatum(key->item), Int32GetDatum(key->location)};

	return oms_run_snapshot(&statements[statement], values, NULL, snapshot) > 0 ? oms_get_int64(0, 1) : 0;
}

/* Columns in the order of sql/schema/29_hold.sql and 30_inventory.sql; all tables begin alike. */
enum
{
	KEY_MERCHANT = 1, KEY_LOCATION, KEY_ITEM,
	STOCK_ON_HAND = 4, STOCK_DAMAGED, STOCK_QUALITY_CONTROL, STOCK_QUARANTINE, STOCK_SAFETY,
	RESERVATION_QUANTITY = 7,
	HOLD_QUANTITY = 5, HOLD_COUNTED = 10
};

/* Which of the tables. */
enum
{
	TABLE_RESERVATION, TABLE_STOCK, TABLE_HOLD
};

static int64
column(Relation rel, HeapTuple tuple, int number)
{
	bool		isnull;

	return DatumGetInt64(heap_getattr(tuple, number, RelationGetDescr(rel), &isnull));
}

static bool
is_counted(Relation rel, HeapTuple tuple)
{
	bool		isnull;

	return DatumGetBool(heap_getattr(tuple, HOLD_COUNTED, RelationGetDescr(rel), &isnull));
}

/*
 * Looks for rows of the key that a transaction in progress, not our own, has
 * written or removed.  Returns how many; of those written *least is the
 * smallest of what they offer (stock), *sum the sum of what they promise
 * (the others).  Those removed still count, and may not after a reload.
 */
static int
read_in_progress(const Oid *relids, int table, const OmsGateKey *key, int64 *least, int64 *sum)
{
	Relation	rel = table_open(relids[table], AccessShareLock);
	ScanKeyData keys[3];
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			found = 0;

	/* In the order of the primary keys. */
	ScanKeyInit(&keys[0], KEY_MERCHANT, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(key->merchant));
	ScanKeyInit(&keys[1], KEY_ITEM, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key->item));
	ScanKeyInit(&keys[2], KEY_LOCATION, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(key->location));
	list_free(RelationGetIndexList(rel));
	InitDirtySnapshot(dirty);
	scan = systable_beginscan(rel, rel->rd_pkindex, true, &dirty, 3, keys);
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
		else if (table == TABLE_HOLD)
			value = is_counted(rel, tuple) ? column(rel, tuple, HOLD_QUANTITY) : 0;
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

void
oms_gate_load(const OmsGateKey *key, const Oid *relids, OmsGateFigure *figure)
{
	Snapshot	snapshot;
	int64		offered;
	int64		promised;
	int64		least_offered = PG_INT64_MAX;
	int64		in_progress = 0;

	/*
	 * Before the snapshot: what a prepared transaction promises is then counted
	 * twice, not never, when it is committed in between.
	 */
	figure->doubtful = false;
	figure->deadline = PG_INT64_MAX;
	if (max_prepared_xacts > 0)
	{
		int64		least;
		int64		sum;

		if (read_in_progress(relids, TABLE_STOCK, key, &least_offered, &sum) > 0)
			figure->doubtful = true;
		if (read_in_progress(relids, TABLE_RESERVATION, key, &least, &sum) > 0)
		{
			in_progress += sum;
			figure->doubtful = true;
		}
		if (read_in_progress(relids, TABLE_HOLD, key, &least, &sum) > 0)
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
	oms_end();
	UnregisterSnapshot(snapshot);
	figure->counter = offered - promised;
}
