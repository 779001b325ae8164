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
#include "access/tupmacs.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "core/find.h"
#include "core/guard.h"
#include "core/insert.h"
#include "core/preview.h"

static OmsTarget *targets = NULL;

/* How many times this backend heard of a change of any relation. */
static uint64 changes = 0;

static void
relation_changed(Datum arg, Oid relid)
{
	OmsTarget  *target;

	changes++;
	for (target = targets; target != NULL; target = target->next)
		if (target->known != NULL && (!OidIsValid(relid) || target->known->relid == relid))
			target->valid = false;
}

/* A function may be that of a trigger. */
static void
function_changed(Datum arg, int cache, uint32 hash)
{
	relation_changed((Datum) 0, InvalidOid);
}

static bool
is_user_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Whether the expression may not be kept compiled: a function in it may be replaced, or it keeps a row type while it runs. */
static bool
is_fleeting(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return (IsA(node, Var) && ((Var *) node)->varattno == InvalidAttrNumber) ||
		check_functions_in_node(node, is_user_function, NULL) ||
		expression_tree_walker(node, is_fleeting, context);
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
		if (is_fleeting(value, NULL))
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

		if (info->ii_Predicate != NIL && !is_fleeting((Node *) info->ii_Predicate, NULL))
			info->ii_PredicateState = ExecInitQual((List *) expression_planner((Expr *) info->ii_Predicate), NULL);
		if (info->ii_Expressions != NIL && !is_fleeting((Node *) info->ii_Expressions, NULL))
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

/* The functions of the triggers looked up, and what a row must meet. */
static void
read_rules(OmsTable *table)
{
	bool	   *required = palloc0(table->desc->natts * sizeof(bool));
	int			i;

	for (i = 0; i < table->desc->natts; i++)
		required[i] = TupleDescAttr(table->desc, i)->attnotnull;
	table->required = required;
	table->checked = table->desc->constr != NULL && table->desc->constr->num_check > 0;
	if (table->triggers == NULL)
		return;
	table->trigger_functions = palloc0(table->triggers->numtriggers * sizeof(FmgrInfo));
	for (i = 0; i < table->triggers->numtriggers; i++)
		fmgr_info_cxt(table->triggers->triggers[i].tgfoid, &table->trigger_functions[i], table->context);
}

/* Compiles the CHECKs of a table; all or none, as the executor takes them. */
static ExprState **
compile_checks(const TupleConstr *constraints)
{
	int			n = constraints != NULL ? constraints->num_check : 0;
	ExprState **states = palloc0((n + 1) * sizeof(ExprState *));
	int			i;

	for (i = 0; i < n; i++)
	{
		Node	   *check = stringToNode(constraints->check[i].ccbin);

		if (!OMS_CHECK_IS_ENFORCED(constraints->check[i]))
			continue;
		if (is_fleeting(check, NULL))
			return NULL;
		states[i] = ExecInitExpr(expression_planner((Expr *) check), NULL);
	}
	return n > 0 ? states : NULL;
}

/* Compiles the conditions of triggers as TriggerEnabled() would for each statement. */
static ExprState **
compile_conditions(const TriggerDesc *triggers)
{
	int			n = triggers != NULL ? triggers->numtriggers : 0;
	ExprState **states = palloc0((n + 1) * sizeof(ExprState *));
	int			i;

	for (i = 0; i < n; i++)
	{
		Node	   *condition;

		if (triggers->triggers[i].tgqual == NULL)
			continue;
		condition = stringToNode(triggers->triggers[i].tgqual);
		if (is_fleeting(condition, NULL))
			continue;
		ChangeVarNodes(condition, PRS2_OLD_VARNO, INNER_VAR, 0);
		ChangeVarNodes(condition, PRS2_NEW_VARNO, OUTER_VAR, 0);
		states[i] = ExecInitQual((List *) expression_planner((Expr *) make_ands_implicit((Expr *) condition)), NULL);
	}
	return states;
}

/* Whether updates need nothing that only the planner knows: the columns they name, computed columns, checks of domains. */
static bool
may_update(const OmsTable *table, Relation rel)
{
	int			i;

	for (i = 0; i < table->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(table->desc, i);

		if (!att->attisdropped && (att->attgenerated != '\0' || get_typtype(att->atttypid) == TYPTYPE_DOMAIN))
			return false;
	}
	for (i = 0; table->triggers != NULL && i < table->triggers->numtriggers; i++)
		if (TRIGGER_FOR_UPDATE(table->triggers->triggers[i].tgtype) && table->triggers->triggers[i].tgnattr > 0)
			return false;
	return rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relhasrules && !rel->rd_rel->relispartition;
}

/* Finds the primary key; false where there is none, or a unique index is checked later. */
static bool
read_key(OmsTable *table, Relation rel)
{
	List	   *oids = RelationGetIndexList(rel);
	bool		immediate = true;
	ListCell   *cell;

	table->primary_key = rel->rd_pkindex;
	foreach(cell, oids)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		immediate = immediate && index->rd_index->indimmediate;
		if (lfirst_oid(cell) == table->primary_key)
			table->nkeys = index->rd_index->indnkeyatts;
		index_close(index, AccessShareLock);
	}
	list_free(oids);
	return immediate && table->nkeys > 0;
}

/*
 * Reads the catalog about a table that is locked.  Its triggers and columns are
 * copied first: each look into the catalog may build the relation anew, as
 * when autovacuum has counted its pages, and what it had is gone then.
 */
static OmsTable *
read_table(OmsTarget *target, Oid relid)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oms table", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation	rel = table_open(relid, NoLock);
	OmsTable   *table = palloc0(sizeof(OmsTable));
	const TriggerDesc *triggers = table->triggers = CopyTriggerDesc(rel->trigdesc);

	table->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	table->context = context;
	table->relid = relid;
	table->row_type = rel->rd_rel->reltype;
	table->array_type = get_array_type(table->row_type);
	table->plain = target->columns != NULL && rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relhasrules && !rel->rd_rel->relispartition &&
		(triggers == NULL || (!triggers->trig_insert_before_statement && !triggers->trig_insert_after_statement &&
							  !triggers->trig_insert_new_table)) &&
		read_defaults(table, target, rel);
	if (!table->plain)
		table->ndefaults = 0;
	read_rules(table);
	if (rel->rd_rel->relkind == RELKIND_RELATION)
		read_indexes(table, rel);
	table->keyed = may_update(table, rel) && read_key(table, rel);
	table->conditions = compile_conditions(triggers);
	table->checks = compile_checks(table->desc->constr);
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
	uint64		changes_seen;
	Oid			relid;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
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
	changes_seen = changes;
	target->known = read_table(target, relid);
	/* What changed meanwhile, as by CREATE INDEX CONCURRENTLY, is read by the next one. */
	target->valid = changes == changes_seen;
	return target->known;
}

bool
oms_table_is_plain(const OmsTable *table)
{
	return table->plain && !XactReadOnly && !IsInParallelMode() && oms_may_skip_sql(table->relid, ACL_INSERT);
}

/* Opens the table of a set for the rows of one statement; its indexes are opened by the rows. */
ResultRelInfo *
oms_write_table(EState *estate, const OmsTable *table)
{
	ResultRelInfo *info = makeNode(ResultRelInfo);

	/* InitResultRelInfo() would copy the triggers. */
	info->ri_RelationDesc = table_open(table->relid, NoLock);
	if (table->triggers != NULL)
	{
		info->ri_TrigDesc = table->triggers;
		info->ri_TrigFunctions = table->trigger_functions;
		info->ri_TrigWhenExprs = palloc(table->triggers->numtriggers * sizeof(ExprState *));
		memcpy(info->ri_TrigWhenExprs, table->conditions, table->triggers->numtriggers * sizeof(ExprState *));
	}
	OMS_CHECK_STATES(info) = table->checks;
	estate->es_opened_result_relations = lappend(estate->es_opened_result_relations, info);
	info->ri_NumIndices = table->nindexes;
	info->ri_IndexRelationDescs = palloc0(table->nindexes * sizeof(Relation));
	info->ri_IndexRelationInfo = palloc0(table->nindexes * sizeof(IndexInfo *));
	if (unlikely(oms_previewing))
		oms_preview_watch(estate, info);
	return info;
}

/*
 * Opens the indexes that have an entry for the row in the slot, as far as they
 * are not open.  Partial indexes that no row belongs to are left alone, and not
 * locked: a backend that holds more than sixteen locks takes the others from
 * the table that all backends share.
 */
void
oms_write_indexes(EState *estate, const OmsTable *table, ResultRelInfo *info, TupleTableSlot *slot)
{
	ExprContext *context = GetPerTupleExprContext(estate);
	int			i;

	context->ecxt_scantuple = slot;
	for (i = 0; i < table->nindexes; i++)
	{
		IndexInfo  *own;

		if (info->ri_IndexRelationDescs[i] != NULL ||
			(table->indexes[i]->ii_PredicateState != NULL && !ExecQual(table->indexes[i]->ii_PredicateState, context)))
			continue;
		own = info->ri_IndexRelationInfo[i] = palloc(sizeof(IndexInfo));
		memcpy(own, table->indexes[i], sizeof(IndexInfo));
		info->ri_IndexRelationDescs[i] = index_open(table->index_oids[i], RowExclusiveLock);
		own->ii_ReadyForInserts = info->ri_IndexRelationDescs[i]->rd_index->indisready;
		own->ii_AmCache = NULL;
		own->ii_Context = CurrentMemoryContext;
	}
}

/* Closes the indexes before those of the next table are opened. */
void
oms_write_close(ResultRelInfo *info)
{
	ExecCloseIndices(info);
	info->ri_NumIndices = 0;
}

EState *
oms_write_begin(void)
{
	EState	   *estate;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	estate = CreateExecutorState();
	estate->es_snapshot = GetActiveSnapshot();
	estate->es_output_cid = GetCurrentCommandId(true);
	return estate;
}

/* Closes the tables, and lets what follows see the rows. */
void
oms_write_end(EState *estate)
{
	ListCell   *cell;

	ExecResetTupleTable(estate->es_tupleTable, false);
	foreach(cell, estate->es_opened_result_relations)
	{
		ResultRelInfo *info = lfirst(cell);

		table_close(info->ri_RelationDesc, NoLock);
	}
	FreeExecutorState(estate);
	PopActiveSnapshot();
	CommandCounterIncrement();
}

/* Whether the row has all it must have; only one that has not, or more constraints, is worth taking apart. */
static bool
is_complete(const OmsTable *table, TupleTableSlot *slot)
{
	HeapTuple	tuple = TTS_IS_HEAPTUPLE(slot) ? ((HeapTupleTableSlot *) slot)->tuple : NULL;
	int			i;

	if (table->checked || tuple == NULL || HeapTupleHeaderGetNatts(tuple->t_data) < table->desc->natts)
		return false;
	for (i = 0; HeapTupleHasNulls(tuple) && i < table->desc->natts; i++)
		if (table->required[i] && att_isnull(i, tuple->t_data->t_bits))
			return false;
	return true;
}

/* One row with its triggers and indexes, as ExecSimpleRelationInsert() does. */
static void
insert_row(EState *estate, const OmsTable *table, ResultRelInfo *info, TupleTableSlot *slot)
{
	Relation	rel = info->ri_RelationDesc;
	List	   *recheck;

	if (info->ri_TrigDesc != NULL && info->ri_TrigDesc->trig_insert_before_row && !ExecBRInsertTriggers(estate, info, slot))
		return;
	if (rel->rd_att->constr != NULL && !is_complete(table, slot))
		ExecConstraints(info, slot, estate);
	simple_table_tuple_insert(rel, slot);
	oms_write_indexes(estate, table, info, slot);
	recheck = OMS_INSERT_INDEX_TUPLES(info, slot, estate, false, NULL, NIL);
	ExecARInsertTriggers(estate, info, slot, recheck, NULL);
}

static void
insert_set(EState *estate, OmsRows *rows)
{
	const OmsTable *table = oms_table(rows->target);
	ResultRelInfo *info = oms_write_table(estate, table);
	TupleTableSlot *slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(info->ri_RelationDesc), &TTSOpsHeapTuple);
	int			i;

	for (i = 0; i < rows->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(estate);
		ExecStoreHeapTuple(rows->rows[i], slot, true);
		insert_row(estate, table, info, slot);
	}
	oms_write_close(info);
	rows->n = 0;
}

void
oms_insert_rows(OmsRows **sets, int n)
{
	EState	   *estate = oms_write_begin();
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
	oms_write_end(estate);
}

/*
 * As the executor does for ON CONFLICT DO NOTHING: looks, inserts for the time
 * being, and takes the row back when another came first.
 */
bool
oms_insert_new_row(OmsRows *rows)
{
	EState	   *estate = oms_write_begin();
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	const OmsTable *table = oms_table(rows->target);
	ResultRelInfo *info = oms_write_table(estate, table);
	Relation	rel = info->ri_RelationDesc;
	TupleTableSlot *slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel), &TTSOpsHeapTuple);
	ItemPointerData other;
	bool		inserted = false;

	ExecStoreHeapTuple(rows->rows[0], slot, false);
	if (rel->rd_att->constr != NULL)
		ExecConstraints(info, slot, estate);
	oms_write_indexes(estate, table, info, slot);
	if (OMS_CHECK_INDEX_CONSTRAINTS(info, slot, estate, &other, NIL))
	{
		uint32		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
		bool		conflict = false;

		table_tuple_insert_speculative(rel, slot, GetCurrentCommandId(true), 0, NULL, token);
		(void) OMS_INSERT_INDEX_TUPLES(info, slot, estate, true, &conflict, NIL);
		table_tuple_complete_speculative(rel, slot, token, !conflict);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		inserted = !conflict;
	}
	oms_write_close(info);
	MemoryContextSwitchTo(old);
	oms_write_end(estate);
	return inserted;
}
