/*-------------------------------------------------------------------------
 * find.c
 *	  One row by its primary key, without a statement: for what each small
 *	  order looks up, where starting and ending a SELECT costs several times the
 *	  look.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "executor/executor.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "core/find.h"

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
