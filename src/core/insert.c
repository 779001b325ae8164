/*-------------------------------------------------------------------------
 * insert.c
 *	  Rows into tables without a statement.
 *
 *	  A small order spends more time in starting and ending a statement of four
 *	  inserts than in writing its rows.  Here the executor's own parts are
 *	  called one after the other, as COPY and the workers of logical replication
 *	  do: defaults, BEFORE triggers, constraints, heap, indexes, AFTER triggers.
 *	  What those do not do is left to SQL: rules, row security, partitions,
 *	  statement triggers, generated columns, domains.
 *
 *	  What the catalog says of a table is kept until it changes: the row type,
 *	  compiled defaults and the predicates of partial indexes.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/find.h"
#include "core/guard.h"
#include "core/insert.h"
#include "core/preview.h"

static OmsTarget *targets = NULL;

static void
relation_changed(Datum arg, Oid relid)
{
	OmsTarget  *target;

	for (target = targets; target != NULL; target = target->next)
		if (target->known != NULL && (!OidIsValid(relid) || target->known->relid == relid))
			target->valid = false;
}

static bool
is_user_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Whether a function in the expression may be replaced, so that the expression may not be kept compiled. */
static bool
has_user_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_user_function, NULL) ||
		expression_tree_walker(node, has_user_function, context);
}

static bool
is_given(const OmsTarget *target, const char *column)
{
	size_t		length = strlen(column);
	const char *at = target->columns;

	while ((at = strstr(at, column)) != NULL)
	{
		if ((at == target->columns || at[-1] == ' ') && (at[length] == ',' || at[length] == '\0'))
			return true;
		at += length;
	}
	return false;
}

/* Compiles the defaults of columns that are not given; false when SQL must compute them. */
static bool
read_defaults(OmsTable *table, const OmsTarget *target, Relation rel)
{
	int			column;

	table->default_columns = palloc(table->desc->natts * sizeof(int));
	table->defaults = palloc(table->desc->natts * sizeof(ExprState *));
	for (column = 0; column < table->desc->natts; column++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), column);
		Node	   *value;

		if (att->attisdropped)
			continue;
		if (att->attgenerated != '\0' || get_typtype(att->atttypid) == TYPTYPE_DOMAIN)
			return false;
		if (is_given(target, NameStr(att->attname)))
			continue;
		value = build_column_default(rel, column + 1);
		if (value == NULL)
			continue;
		if (has_user_function(value, NULL))
			return false;
		table->default_columns[table->ndefaults] = column;
		table->defaults[table->ndefaults++] = ExecInitExpr(expression_planner((Expr *) value), NULL);
	}
	return true;
}

/* What each index is made of, with compiled expressions. */
static void
read_indexes(OmsTable *table, Relation rel)
{
	List	   *oids = RelationGetIndexList(rel);
	ListCell   *cell;

	table->index_oids = palloc((list_length(oids) + 1) * sizeof(Oid));
	table->indexes = palloc((list_length(oids) + 1) * sizeof(IndexInfo *));
	foreach(cell, oids)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		IndexInfo  *info = BuildIndexInfo(index);
		ListCell   *expression;

		if (info->ii_Predicate != NIL && !has_user_function((Node *) info->ii_Predicate, NULL))
			info->ii_PredicateState = ExecInitQual((List *) expression_planner((Expr *) info->ii_Predicate), NULL);
		if (info->ii_Expressions != NIL && !has_user_function((Node *) info->ii_Expressions, NULL))
			foreach(expression, info->ii_Expressions)
				info->ii_ExpressionsState = lappend(info->ii_ExpressionsState,
													ExecInitExpr(expression_planner(lfirst(expression)), NULL));
		if (info->ii_Unique)
			BuildSpeculativeIndexInfo(index, info);
		table->index_oids[table->nindexes] = lfirst_oid(cell);
		table->indexes[table->nindexes++] = info;
		index_close(index, AccessShareLock);
	}
	list_free(oids);
}

/* Reads the catalog about a table that is locked. */
static OmsTable *
read_table(OmsTarget *target, Oid relid)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oms table", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation	rel = table_open(relid, NoLock);
	TriggerDesc *triggers = rel->trigdesc;
	OmsTable   *table = palloc0(sizeof(OmsTable));

	table->context = context;
	table->relid = relid;
	table->row_type = rel->rd_rel->reltype;
	table->array_type = get_array_type(table->row_type);
	table->has_triggers = triggers != NULL;
	table->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	table->plain = target->columns != NULL && rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relhasrules &&
		(triggers == NULL || (!triggers->trig_insert_before_statement && !triggers->trig_insert_after_statement &&
							  !triggers->trig_insert_new_table)) &&
		read_defaults(table, target, rel);
	if (table->plain)
		read_indexes(table, rel);
	else
		table->ndefaults = 0;
	table_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	MemoryContextSetIdentifier(context, target->table);
	return table;
}

static void
list_target(OmsTarget *target)
{
	target->next = targets;
	targets = target;
	target->listed = true;
}

OmsTarget *
oms_target(const char *table)
{
	OmsTarget  *target;

	for (target = targets; target != NULL; target = target->next)
		if (target->columns == NULL && strcmp(target->table, table) == 0)
			return target;
	target = MemoryContextAllocZero(TopMemoryContext, sizeof(OmsTarget));
	target->table = MemoryContextStrdup(TopMemoryContext, table);
	list_target(target);
	return target;
}

OmsTable *
oms_table(OmsTarget *target)
{
	static bool registered = false;
	Oid			relid;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		registered = true;
	}
	if (target->valid)
	{
		LockRelationOid(target->known->relid, RowExclusiveLock);
		if (target->valid)
			return target->known;
	}
	/* Those who use what was known may do so until the transaction ends. */
	if (target->known != NULL)
	{
		MemoryContextSetParent(target->known->context, TopTransactionContext);
		target->known = NULL;
	}
	else if (!target->listed)
		list_target(target);
	relid = get_relname_relid(target->table, get_namespace_oid("oms", false));
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(OMS_NOT_INSTALLED),
				 errmsg("table oms.%s does not exist", target->table),
				 errhint("Run CALL oms.install();")));
	LockRelationOid(relid, RowExclusiveLock);
	target->known = read_table(target, relid);
	target->valid = true;
	return target->known;
}

bool
oms_table_is_plain(const OmsTable *table)
{
	return table->plain && !XactReadOnly && !IsInParallelMode() && oms_may_skip_sql(table->relid, ACL_INSERT);
}

/* Opens the indexes of a table for the rows of one statement. */
static void
open_indexes(const OmsTable *table, ResultRelInfo *info)
{
	List	   *oids = RelationGetIndexList(info->ri_RelationDesc);
	ListCell   *cell;
	int			n = 0;

	info->ri_IndexRelationDescs = palloc((list_length(oids) + 1) * sizeof(Relation));
	info->ri_IndexRelationInfo = palloc((list_length(oids) + 1) * sizeof(IndexInfo *));
	foreach(cell, oids)
	{
		Relation	index = index_open(lfirst_oid(cell), RowExclusiveLock);
		IndexInfo  *own;

		if (n < table->nindexes && table->index_oids[n] == lfirst_oid(cell))
		{
			own = palloc(sizeof(IndexInfo));
			memcpy(own, table->indexes[n], sizeof(IndexInfo));
			own->ii_ReadyForInserts = index->rd_index->indisready;
			own->ii_AmCache = NULL;
			own->ii_Context = CurrentMemoryContext;
		}
		else
			own = BuildIndexInfo(index);
		info->ri_IndexRelationDescs[n] = index;
		info->ri_IndexRelationInfo[n++] = own;
	}
	info->ri_NumIndices = n;
	list_free(oids);
}

/* Opens the table of a set for the rows of one statement. */
static ResultRelInfo *
open_table(EState *estate, const OmsRows *rows)
{
	ResultRelInfo *info = makeNode(ResultRelInfo);

	InitResultRelInfo(info, table_open(rows->table->relid, NoLock), 0, NULL, 0);
	estate->es_opened_result_relations = lappend(estate->es_opened_result_relations, info);
	open_indexes(rows->table, info);
	if (unlikely(oms_previewing))
		oms_preview_watch(estate, info);
	return info;
}

static EState *
begin_insert(void)
{
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	return CreateExecutorState();
}

/* Closes the tables, and lets what follows see the rows. */
static void
end_insert(EState *estate)
{
	ListCell   *cell;

	ExecResetTupleTable(estate->es_tupleTable, false);
	foreach(cell, estate->es_opened_result_relations)
	{
		ResultRelInfo *info = lfirst(cell);

		ExecCloseIndices(info);
		table_close(info->ri_RelationDesc, NoLock);
	}
	FreeExecutorState(estate);
	PopActiveSnapshot();
	CommandCounterIncrement();
}

static void
insert_set(EState *estate, OmsRows *rows)
{
	ResultRelInfo *info = open_table(estate, rows);
	TupleTableSlot *slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(info->ri_RelationDesc), &TTSOpsHeapTuple);
	int			i;

	for (i = 0; i < rows->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(estate);
		ExecStoreHeapTuple(rows->rows[i], slot, true);
		ExecSimpleRelationInsert(info, estate, slot);
	}
	rows->n = 0;
}

void
oms_insert_rows(OmsRows **sets, int n)
{
	EState	   *estate = begin_insert();
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	int			guard = oms_guard_enter();
	int			i;

	AfterTriggerBeginQuery();
	PG_TRY();
	{
		for (i = 0; i < n; i++)
			if (sets[i]->n > 0)
				insert_set(estate, sets[i]);
		AfterTriggerEndQuery(estate);
	}
	PG_FINALLY();
	{
		oms_guard_leave(guard);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	end_insert(estate);
}

/*
 * As the executor does for ON CONFLICT DO NOTHING: looks, inserts for the time
 * being, and takes the row back when another came first.
 */
bool
oms_insert_new_row(OmsRows *rows)
{
	EState	   *estate = begin_insert();
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	ResultRelInfo *info = open_table(estate, rows);
	Relation	rel = info->ri_RelationDesc;
	TupleTableSlot *slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel), &TTSOpsHeapTuple);
	ItemPointerData other;
	bool		inserted = false;

	ExecStoreHeapTuple(rows->rows[0], slot, false);
	if (rel->rd_att->constr != NULL)
		ExecConstraints(info, slot, estate);
	if (OMS_CHECK_INDEX_CONSTRAINTS(info, slot, estate, &other, NIL))
	{
		uint32		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
		bool		conflict = false;

		table_tuple_insert_speculative(rel, slot, GetCurrentCommandId(true), 0, NULL, token);
		(void) OMS_INSERT_INDEX_TUPLES(info, slot, estate, &conflict, NIL);
		table_tuple_complete_speculative(rel, slot, token, !conflict);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		inserted = !conflict;
	}
	MemoryContextSwitchTo(old);
	end_insert(estate);
	return inserted;
}
