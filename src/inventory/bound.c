/*-------------------------------------------------------------------------
 * bound.c
 *	  Bounds on live promises: of an item, by channel, location or both.
 *
 *	  A bound is one more counter of the gate: what its promises may still
 *	  have.  It is met by the row trigger on reservation, so by any writer; no
 *	  row is locked.  The bounds are compiled; where there are none, finding
 *	  that out is a test of a pointer.
 *
 *	  Whoever promises while a bound is made does not meet it yet.  So making
 *	  one waits until those who write promises have ended, and keeps others from
 *	  writing any until it is committed: from then on everybody meets it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/cache.h"
#include "core/guard.h"
#include "inventory/bound.h"
#include "inventory/inventory.h"

PG_FUNCTION_INFO_V1(oms_promise_bound_guard);
PG_FUNCTION_INFO_V1(oms_promise_bound_gate);

/* Columns of promise_bound, in the order of sql/schema/46_promise_bound.sql. */
enum
{
	BOUND_MERCHANT = 1, BOUND_ID, BOUND_ITEM, BOUND_CHANNEL, BOUND_LOCATION, BOUND_QUANTITY, BOUND_CEILING
};

enum
{
	ST_ANY,
	ST_LOAD,
	ST_CHANNEL,
	ST_LOCK,
	ST_PROMISED
};

static OmsStatement statements[] = {
	[ST_ANY] = {"SELECT 1 FROM oms.promise_bound LIMIT 1", 0, {0}},
	[ST_LOAD] = {
		"SELECT item_id, bound_id, coalesce(channel_id, 0), coalesce(location_id, 0) FROM oms.promise_bound "
		"WHERE merchant_id = $1 ORDER BY item_id",
		1, {INT4OID}
	},
	[ST_CHANNEL] = {
		"SELECT channel_id FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_LOCK] = {"LOCK TABLE oms.reservation IN SHARE ROW EXCLUSIVE MODE", 0, {0}},
	[ST_PROMISED] = {
		"SELECT i.kind, coalesce((SELECT sum(r.quantity) FROM oms.reservation r WHERE r.merchant_id = $1 AND r.item_id = $2 "
		"AND (r.location_id = $4 OR $4 IS NULL) AND ($3 IS NULL OR EXISTS (SELECT 1 FROM oms.sales_order o "
		"WHERE o.merchant_id = $1 AND o.order_id = r.order_id AND o.channel_id = $3))), 0)::bigint "
		"FROM oms.item i WHERE i.merchant_id = $1 AND i.item_id = $2",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
};

typedef struct Bound
{
	int64		item;
	int32		id;
	int32		channel;		/* 0: any */
	int32		location;		/* 0: any */
} Bound;

typedef struct MerchantBounds
{
	int32		merchant;
	int			n;				/* -1: not loaded yet */
	Bound	   *bounds;			/* by item */
} MerchantBounds;

/* The tables that reading a bound's counter needs; sales_order does not change its bounds. */
static OmsCache cache = {
	.name = "promise bounds",
	.tables = {"promise_bound", "sales_order"},
};

/* In the cache: there are none at all. */
static const char no_bounds = 0;

/* Loads what find() looks into; the newest, whatever the transaction's snapshot. */
static MerchantBounds *
load(TriggerData *trigdata, int32 merchant)
{
	HASHCTL		ctl = {0};
	Datum		values[1] = {Int32GetDatum(merchant)};
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	MerchantBounds *of = NULL;
	bool		found;
	uint64		i;

	if (trigdata != NULL)
		oms_begin_trigger(trigdata);
	else
		oms_begin();
	if (cache.data == NULL && oms_run_snapshot(&statements[ST_ANY], NULL, NULL, snapshot) == 0)
		cache.data = unconstify(char *, &no_bounds);
	else
	{
		if (cache.data == NULL)
		{
			ctl.keysize = sizeof(int32);
			ctl.entrysize = sizeof(MerchantBounds);
			ctl.hcxt = cache.context;
			cache.data = hash_create("oms promise bounds", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		of = hash_search(cache.data, &merchant, HASH_ENTER, &found);
		of->n = -1;
		if (oms_run_snapshot(&statements[ST_LOAD], values, NULL, snapshot) > 0)
			of->bounds = MemoryContextAlloc(cache.context, SPI_processed * sizeof(Bound));
		for (i = 0; i < SPI_processed; i++)
		{
			of->bounds[i].item = oms_get_int64(i, 1);
			of->bounds[i].id = oms_get_int32(i, 2);
			of->bounds[i].channel = oms_get_int32(i, 3);
			of->bounds[i].location = oms_get_int32(i, 4);
		}
		of->n = (int) SPI_processed;
	}
	oms_end();
	UnregisterSnapshot(snapshot);
	return of;
}

/* The first bound of the item in the merchant's, which others of it follow; null when none. */
static const Bound *
find(TriggerData *trigdata, const OmsGateKey *key, const Bound **end)
{
	const MerchantBounds *of;
	int			low = 0;
	int			high;

	if (likely(oms_cache_fresh(&cache) && cache.data == &no_bounds))
		return NULL;
	of = cache.data == NULL ? NULL : hash_search(cache.data, &key->merchant, HASH_FIND, NULL);
	if (of == NULL || of->n < 0)
		of = load(trigdata, key->merchant);
	if (of == NULL)
		return NULL;
	for (high = of->n; low < high;)
	{
		int			middle = (low + high) / 2;

		if (of->bounds[middle].item < key->item)
			low = middle + 1;
		else
			high = middle;
	}
	*end = of->bounds + of->n;
	return low < of->n && of->bounds[low].item == key->item ? &of->bounds[low] : NULL;
}

/*
 * The bounds that a promise of the channel meets.  Locks the tables behind
 * their counters, as the gate does before it reads one.
 */
static void
match(TriggerData *trigdata, const OmsGateKey *key, int32 channel, OmsBounds *bounds)
{
	const Bound *end;
	const Bound *bound = find(trigdata, key, &end);

	bounds->n = 0;
	if (likely(bound == NULL))
		return;
	for (; bound < end && bound->item == key->item; bound++)
		if ((bound->channel == 0 || bound->channel == channel) && (bound->location == 0 || bound->location == key->location))
			bounds->ids[bounds->n++] = bound->id;
	if (bounds->n == 0)
		return;
	LockRelationOid(cache.relids[0], AccessShareLock);
	LockRelationOid(cache.relids[1], AccessShareLock);
}

/* Takes from all bounds, or from none; *failed is the one that has not so much left. */
static bool
take(const OmsGateKey *key, int64 quantity, const OmsBounds *bounds, OmsGateKey *failed, int64 *available)
{
	int			i;

	for (i = 0; i < bounds->n; i++)
	{
		*failed = OMS_BOUND_KEY(key->merchant, bounds->ids[i], key->item);
		if (oms_gate_take(failed, quantity, available))
			continue;
		while (--i >= 0)
			oms_gate_give(&OMS_BOUND_KEY(key->merchant, bounds->ids[i], key->item), quantity);
		return false;
	}
	return true;
}

bool
oms_promise_take(const OmsGateKey *key, int32 channel, int64 quantity, OmsBounds *bounds)
{
	OmsGateKey	failed;
	int64		available;

	match(NULL, key, channel, bounds);
	if (!oms_stock_take(NULL, key, quantity, NULL))
		return false;
	if (take(key, quantity, bounds, &failed, &available))
		return true;
	oms_gate_give(key, quantity);
	return false;
}

void
oms_promise_give(const OmsGateKey *key, int64 quantity, const OmsBounds *bounds)
{
	int			i;

	oms_gate_give(key, quantity);
	for (i = 0; i < bounds->n; i++)
		oms_gate_give(&OMS_BOUND_KEY(key->merchant, bounds->ids[i], key->item), quantity);
}

int64
oms_bound_left(const OmsGateKey *key, int32 channel, int64 units)
{
	OmsBounds	bounds;
	int			i;

	match(NULL, key, channel, &bounds);
	for (i = 0; i < bounds.n; i++)
		units = Min(units, oms_gate_available(&OMS_BOUND_KEY(key->merchant, bounds.ids[i], key->item)));
	return Max(units, 0);
}

int64
oms_promise_available(const OmsGateKey *key, int32 channel, int64 wanted)
{
	return oms_bound_left(key, channel, Min(wanted, Max(oms_stock_available(key, wanted), 0)));
}

static void
error_bound(const OmsGateKey *key, int64 wanted, int64 available)
{
	ereport(ERROR,
			(errcode(OMS_LIMIT),
			 errmsg("promises of item " INT64_FORMAT " have reached a bound", key->item),
			 errdetail(INT64_FORMAT " wanted, " INT64_FORMAT " left of bound %d.", wanted, Max(available, 0), -key->location),
			 errhint("Order less, or raise the bound in oms.promise_bound.")));
}

void
oms_bound_refuse(int32 merchant, int32 channel, int64 item, const int32 *locations, int n, int64 wanted)
{
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		OmsGateKey	key = {merchant, locations[i], item};
		OmsBounds	bounds;

		if (oms_stock_available(&key, wanted) < wanted)
			continue;
		match(NULL, &key, channel, &bounds);
		for (j = 0; j < bounds.n; j++)
		{
			OmsGateKey	bound = OMS_BOUND_KEY(merchant, bounds.ids[j], item);
			int64		available = oms_gate_available(&bound);

			if (available < wanted)
				error_bound(&bound, wanted, available);
		}
	}
}

void
oms_bound_row(TriggerData *trigdata, const OmsGateKey *key, int64 order_id, int64 quantity)
{
	const Bound *end;
	Datum		values[2] = {Int32GetDatum(key->merchant), Int64GetDatum(order_id)};
	OmsBounds	bounds;
	OmsGateKey	failed;
	int32		channel = 0;
	int64		available = 0;
	int			i;

	if (likely(find(trigdata, key, &end) == NULL))
		return;
	oms_begin_trigger(trigdata);
	if (oms_run(&statements[ST_CHANNEL], values, NULL) > 0)
		channel = oms_get_int32(0, 1);
	else if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		/* Its order comes later: the counters are read again. */
		oms_gate_forget();
	oms_end();
	match(trigdata, key, channel, &bounds);
	if (quantity < 0 || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
	{
		for (i = 0; i < bounds.n; i++)
		{
			OmsGateKey	bound = OMS_BOUND_KEY(key->merchant, bounds.ids[i], key->item);

			if (quantity < 0)
				oms_gate_give(&bound, -quantity);
			else
				oms_gate_take_forced(&bound, quantity);
		}
	}
	else if (!take(key, quantity, &bounds, &failed, &available))
		error_bound(&failed, quantity, available);
}

/* A row of promise_bound. */
typedef struct BoundRow
{
	OmsGateKey	key;
	int64		quantity;
	int64		promised;		/* live promises that it counts, once asked for */
	Datum		scope[4];
	char		nulls[4];
} BoundRow;

static void
read_row(TriggerData *trigdata, HeapTuple tuple, BoundRow *row)
{
	static const int columns[4] = {BOUND_MERCHANT, BOUND_ITEM, BOUND_CHANNEL, BOUND_LOCATION};
	bool		isnull;
	int			i;

	for (i = 0; i < 4; i++)
	{
		row->scope[i] = oms_row_get(trigdata, tuple, columns[i], &isnull);
		row->nulls[i] = isnull ? 'n' : ' ';
	}
	row->key = OMS_BOUND_KEY(DatumGetInt32(row->scope[0]),
							 DatumGetInt32(oms_row_get(trigdata, tuple, BOUND_ID, &isnull)),
							 DatumGetInt64(row->scope[1]));
	row->quantity = DatumGetInt64(oms_row_get(trigdata, tuple, BOUND_QUANTITY, &isnull));
}

/* Keeps others from writing promises, and sums up those there are.  Raises OM002, OM008. */
static void
lock_and_sum(TriggerData *trigdata, BoundRow *row)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("a bound is made in a READ COMMITTED transaction"),
				 errdetail("It has to count what others have promised until now.")));
	oms_begin_trigger(trigdata);
	oms_run(&statements[ST_LOCK], NULL, NULL);
	if (oms_run(&statements[ST_PROMISED], row->scope, row->nulls) == 0)
		oms_error_unknown("item", row->key.merchant, row->key.item);
	if (strcmp(oms_get_text(0, 1), "stocked") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item " INT64_FORMAT " is a %s and is not promised itself", row->key.item, oms_get_text(0, 1)),
				 errhint("Bound the parts of a kit.")));
	row->promised = oms_get_int64(0, 2);
	oms_end();
}

/*
 * BEFORE INSERT OR UPDATE row on promise_bound: computes ceiling; what is
 * bounded stays (OM009).
 */
Datum
oms_promise_bound_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	int			ceiling_column = BOUND_CEILING;
	bool		isnull = false;
	bool		missing;
	BoundRow	row;
	int64		ceiling;
	Datum		value;
	int			column;

	for (column = BOUND_MERCHANT; update && column <= BOUND_LOCATION; column++)
		if (!oms_row_same(trigdata, column))
			oms_error_guarded(trigdata->tg_relation, "What is bounded does not change.", "Delete the bound and insert another.");
	/* Missing values are refused by the columns' constraints, which come later. */
	for (column = BOUND_MERCHANT; column <= BOUND_QUANTITY; column++)
	{
		(void) oms_row_get(trigdata, tuple, column, &missing);
		if (missing && column != BOUND_CHANNEL && column != BOUND_LOCATION)
			return PointerGetDatum(tuple);
	}
	read_row(trigdata, tuple, &row);
	if (update)
		ceiling = DatumGetInt64(oms_row_get(trigdata, trigdata->tg_trigtuple, BOUND_CEILING, &missing));
	else
	{
		lock_and_sum(trigdata, &row);
		ceiling = row.promised;
	}
	value = Int64GetDatum(Max(ceiling, row.quantity));
	return PointerGetDatum(heap_modify_tuple_by_cols(tuple, RelationGetDescr(trigdata->tg_relation),
													 1, &ceiling_column, &value, &isnull));
}

/* AFTER INSERT OR UPDATE row on promise_bound: moves the bound's counter. */
Datum
oms_promise_bound_gate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	BoundRow	old;
	BoundRow	new;

	(void) oms_cache_fresh(&cache);
	LockRelationOid(cache.relids[0], AccessShareLock);
	LockRelationOid(cache.relids[1], AccessShareLock);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		read_row(trigdata, trigdata->tg_trigtuple, &old);
		read_row(trigdata, trigdata->tg_newtuple, &new);
		if (new.quantity > old.quantity)
			oms_gate_give(&new.key, new.quantity - old.quantity);
		else
			oms_gate_take_forced(&new.key, old.quantity - new.quantity);
		return PointerGetDatum(NULL);
	}
	read_row(trigdata, trigdata->tg_trigtuple, &new);
	/* Nobody counts with it yet, nor has with the promises there are, the transaction's own included. */
	oms_gate_restart(&new.key);
	lock_and_sum(trigdata, &new);
	oms_gate_give(&new.key, new.quantity);
	oms_gate_take_forced(&new.key, new.promised);
	return PointerGetDatum(NULL);
}
