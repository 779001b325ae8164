/*-------------------------------------------------------------------------
 * find.c
 *	  Rows by their primary key, without a statement: for what each small
 *	  order looks up and changes, where starting and ending a statement costs
 *	  several times the look.
 *
 *	  An update does what the executor does for one: statement and row triggers,
 *	  constraints, heap, indexes.  Those are opened only when the new version did
 *	  not fit beside the old one or has other keys.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "core/find.h"
#include "core/guard.h"
#include "core/insert.h"

bool
oms_may_skip_sql(Oid relid, AclMode mode)
{
	return ExecutorCheckPerms_hook == NULL &&
		pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
}

OmsFound
oms_find(OmsCache *table, ScanKey keys, int nkeys, const int *columns, int ncolumns, Datum *values, bool *nulls)
{
	OmsFound	result = OMS_FIND_BY_SQL;
	Relation	rel;
	Oid			index;

	(void) oms_cache_fresh(table);
	rel = table_open(table->relids[0], AccessShareLock);
	if (!rel->rd_indexvalid)
		list_free(RelationGetIndexList(rel));
	index = rel->rd_pkindex;
	if (rel->rd_rel->relkind == RELKIND_RELATION && OidIsValid(index) && oms_may_skip_sql(RelationGetRelid(rel), ACL_SELECT))
	{
		Snapshot	snapshot;
		SysScanDesc scan;
		HeapTuple	tuple;
		int			i;

		CommandCounterIncrement();
		snapshot = RegisterSnapshot(GetTransactionSnapshot());
		scan = systable_beginscan(rel, index, true, snapshot, nkeys, keys);
		tuple = systable_getnext(scan);
		result = HeapTupleIsValid(tuple) ? OMS_FOUND : OMS_NOT_FOUND;
		for (i = 0; i < ncolumns && result == OMS_FOUND; i++)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), columns[i] - 1);

			values[i] = heap_getattr(tuple, columns[i], RelationGetDescr(rel), &nulls[i]);
			if (!nulls[i])
				values[i] = datumCopy(values[i], att->attbyval, att->attlen);
		}
		systable_endscan(scan);
		UnregisterSnapshot(snapshot);
	}
	table_close(rel, NoLock);
	return result;
}

/* The statement's table if the running user may do to it what the statement does, else null: SQL refuses, or does what it must. */
static const OmsTable *
keyed_table(OmsKeyed *stmt, bool write)
{
	const OmsTable *table;

	if (XactReadOnly || IsInParallelMode())
		return NULL;
	if (stmt->target == NULL)
		stmt->target = oms_target(stmt->table);
	table = oms_table(stmt->target);
	return table->keyed && oms_may_skip_sql(table->relid, ACL_SELECT) &&
		(!write || oms_may_skip_sql(table->relid, ACL_UPDATE)) ? table : NULL;
}

/* Scans for what the first columns of an index, whole numbers, have these values; null when that is left to the planner. */
static SysScanDesc
begin_scan(Relation rel, Oid index_oid, const Datum *values, int n, Snapshot snapshot)
{
	Relation	index = index_open(index_oid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool		usable = form->indisvalid && !form->indcheckxmin && form->indnkeyatts >= n;
	ScanKeyData keys[INDEX_MAX_KEYS];
	int			i;

	for (i = 0; i < n && usable; i++)
	{
		Oid			type = index->rd_opcintype[i];

		usable = type == INT4OID || type == INT8OID;
		ScanKeyInit(&keys[i], form->indkey.values[i], BTEqualStrategyNumber, type == INT4OID ? F_INT4EQ : F_INT8EQ, values[i]);
	}
	index_close(index, AccessShareLock);
	return usable ? systable_beginscan(rel, index_oid, true, snapshot, n, keys) : NULL;
}

/*
 * Locks the row with this key into the slot, its latest version as the
 * isolation level allows.  OMS_FIND_BY_SQL where that is not simply so: the
 * statement says why.
 */
static OmsFound
lock_row(const OmsTable *table, Relation rel, const Datum *values, Snapshot snapshot, TupleTableSlot *slot)
{
	SysScanDesc scan = begin_scan(rel, table->primary_key, values, table->nkeys, snapshot);
	HeapTuple	tuple;
	bool		found;
	ItemPointerData place;
	TM_FailureData failure;

	if (scan == NULL)
		return OMS_FIND_BY_SQL;
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		place = tuple->t_self;
	systable_endscan(scan);
	if (!found)
		return OMS_NOT_FOUND;
	return table_tuple_lock(rel, &place, snapshot, slot, GetCurrentCommandId(true), LockTupleNoKeyExclusive, LockWaitBlock,
							IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure) == TM_Ok ?
		OMS_FOUND : OMS_FIND_BY_SQL;
}

/* Rows for oms_get() and its kin. */
static SPITupleTable *
new_result(const OmsTable *table)
{
	SPITupleTable *result = palloc0(sizeof(SPITupleTable));

	result->tupdesc = table->desc;
	result->alloced = 4;
	result->vals = palloc(result->alloced * sizeof(HeapTuple));
	return result;
}

static void
add_result(SPITupleTable *result, HeapTuple tuple)
{
	if (result->numvals == result->alloced)
		result->vals = repalloc_huge(result->vals, (result->alloced *= 2) * sizeof(HeapTuple));
	result->vals[result->numvals++] = tuple;
}

uint64
oms_keyed_read(OmsKeyed *stmt, Datum *values)
{
	const OmsTable *table = keyed_table(stmt, false);
	SPITupleTable *result;
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			index = InvalidOid;

	if (table != NULL)
		index = stmt->index == NULL ? table->primary_key : get_relname_relid(stmt->index, get_namespace_oid("oms", false));
	if (!OidIsValid(index))
		return oms_run(&stmt->sql, values, NULL);
	CommandCounterIncrement();
	rel = table_open(table->relid, NoLock);
	result = new_result(table);
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	scan = begin_scan(rel, index, values, stmt->sql.nargs, snapshot);
	while (scan != NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
		add_result(result, heap_copytuple(tuple));
	if (scan != NULL)
		systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
	SPI_tuptable = result;
	return scan == NULL ? oms_run(&stmt->sql, values, NULL) : result->numvals;
}

uint64
oms_keyed_lock(OmsKeyed *stmt, Datum *values)
{
	const OmsTable *table = keyed_table(stmt, true);
	SPITupleTable *result;
	Relation	rel;
	Snapshot	snapshot;
	TupleTableSlot *slot;
	OmsFound	found;

	if (table == NULL)
		return oms_run(&stmt->sql, values, NULL);
	CommandCounterIncrement();
	rel = table_open(table->relid, NoLock);
	result = new_result(table);
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	slot = table_slot_create(rel, NULL);
	found = lock_row(table, rel, values, snapshot, slot);
	if (found == OMS_FOUND)
		add_result(result, ExecCopySlotHeapTuple(slot));
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
	SPI_tuptable = result;
	return found == OMS_FIND_BY_SQL ? oms_run(&stmt->sql, values, NULL) : result->numvals;
}

/* Writes the new version of a row that is locked in the slot. */
static void
update_row(EState *estate, ResultRelInfo *info, const OmsTable *table, const int *columns, int ncolumns,
		   const Datum *values, const char *nulls, TupleTableSlot *old, TransitionCaptureState *capture)
{
	Relation	rel = info->ri_RelationDesc;
	TupleTableSlot *new = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel), &TTSOpsHeapTuple);
	ItemPointerData place = old->tts_tid;
	bool		isnull[OMS_KEYED_COLUMNS];
	EPQState	epq;
	OMS_UPDATE_INDEXES indexes;
	int			i;

	for (i = 0; i < ncolumns; i++)
		isnull[i] = nulls != NULL && nulls[i] == 'n';
	ExecStoreHeapTuple(heap_modify_tuple_by_cols(ExecFetchSlotHeapTuple(old, false, NULL), RelationGetDescr(rel), ncolumns,
												 unconstify(int *, columns), unconstify(Datum *, values), isnull), new, false);
	OMS_EVAL_PLAN_QUAL_INIT(&epq, estate);
	if (info->ri_TrigDesc != NULL && info->ri_TrigDesc->trig_update_before_row &&
		!OMS_BEFORE_UPDATE(estate, &epq, info, &place, new))
		return;
	if (rel->rd_att->constr != NULL)
		ExecConstraints(info, new, estate);
	simple_table_tuple_update(rel, &place, new, estate->es_snapshot, &indexes);
	if (indexes)
	{
		oms_write_indexes(estate, table, info, new);
		list_free(OMS_UPDATE_INDEX_TUPLES(info, new, estate, indexes));
	}
	ExecARUpdateTriggers(estate, info, NULL, NULL, &place, NULL, new, NIL, capture, false);
	ResetPerTupleExprContext(estate);
}

/* Locks the rows into slots; those that are not there leave none.  False when SQL must do it. */
static bool
lock_rows(EState *estate, const OmsTable *table, Relation rel, Datum **values, int n, TupleTableSlot **slots)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		slots[i] = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel), table_slot_callbacks(rel));
		switch (lock_row(table, rel, values[i], estate->es_snapshot, slots[i]))
		{
			case OMS_FIND_BY_SQL:
				return false;
			case OMS_NOT_FOUND:
				slots[i] = NULL;
				break;
			case OMS_FOUND:
				break;
		}
	}
	return true;
}

/* One statement for each set of parameters. */
static uint64
update_by_sql(OmsKeyed *stmt, Datum **values, char **nulls, int n)
{
	uint64		rows = 0;
	int			i;

	for (i = 0; i < n; i++)
		rows += (stmt->guarded ? oms_run_guarded : oms_run) (&stmt->sql, values[i], nulls[i]);
	return rows;
}

uint64
oms_keyed_update(OmsKeyed *stmt, Datum *values, char *nulls)
{
	return oms_keyed_update_all(stmt, &values, &nulls, 1);
}

uint64
oms_keyed_update_all(OmsKeyed *stmt, Datum **values, char **nulls, int n)
{
	const OmsTable *table = keyed_table(stmt, true);
	uint64		rows = 0;
	EState	   *estate;
	MemoryContext old;
	ResultRelInfo *info;
	TupleTableSlot **slots;
	int			guard;
	int			nkeys;
	int			i;

	if (table == NULL)
		return update_by_sql(stmt, values, nulls, n);
	estate = oms_write_begin();
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	info = oms_write_table(estate, table);
	CheckCmdReplicaIdentity(info->ri_RelationDesc, CMD_UPDATE);
	slots = palloc(n * sizeof(TupleTableSlot *));
	if (!lock_rows(estate, table, info->ri_RelationDesc, values, n, slots))
	{
		oms_write_close(info);
		MemoryContextSwitchTo(old);
		oms_write_end(estate);
		return update_by_sql(stmt, values, nulls, n);
	}
	nkeys = table->nkeys;
	guard = oms_guard_enter();
	if (!stmt->guarded)
		oms_guard_leave(guard);
	PG_TRY();
	{
		TransitionCaptureState *capture;

		AfterTriggerBeginQuery();
		capture = MakeTransitionCaptureState(info->ri_TrigDesc, table->relid, CMD_UPDATE);
		ExecBSUpdateTriggers(estate, info);
		for (i = 0; i < n; i++)
			if (slots[i] != NULL)
			{
				update_row(estate, info, table, stmt->columns, stmt->sql.nargs - nkeys, values[i] + nkeys,
						   nulls[i] == NULL ? NULL : nulls[i] + nkeys, slots[i], capture);
				rows++;
			}
		ExecASUpdateTriggers(estate, info, capture);
		AfterTriggerEndQuery(estate);
	}
	PG_FINALLY();
	{
		oms_guard_leave(guard);
	}
	PG_END_TRY();
	oms_write_close(info);
	MemoryContextSwitchTo(old);
	oms_write_end(estate);
	return rows;
}
