/*-------------------------------------------------------------------------
 * preview.c
 *	  What commands would change: they are run in a subtransaction, which is
 *	  then rolled back.
 *
 *	  While they run, a hook of the executor gives every table that a statement
 *	  writes one more AFTER ROW trigger, in memory alone: it notes the places
 *	  of the row's old and new version.  At the end the versions are read: the
 *	  old ones that were there before the preview, and the new ones that are
 *	  still there.  Neither the order in which triggers fired nor savepoints
 *	  within the commands matter to that.  Who does not preview pays nothing.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/preview.h"

PG_FUNCTION_INFO_V1(oms_preview_images);
PG_FUNCTION_INFO_V1(oms_preview_capture);

/* No trigger of the catalog has this id. */
#define CAPTURE_TRIGGER ((Oid) 1)

/* Columns of preview_images(). */
enum
{
	IMAGE_STEP,
	IMAGE_SIDE,
	IMAGE_TABLE,
	IMAGE_KEY_COLUMNS,
	IMAGE_ROW,
	IMAGE_NCOLUMNS
};

/* One row that a statement wrote; an invalid place where there is no such version. */
typedef struct Change
{
	Oid			relid;
	TransactionId xid;
	ItemPointerData before;
	ItemPointerData after;
} Change;

/* A table with changes, open while they are read. */
typedef struct ChangedTable
{
	Relation	rel;
	TupleTableSlot *slot;
	Datum		name;
	Datum		key_columns;
	bool		has_key;
} ChangedTable;

/* A function of schema oms that may be previewed. */
typedef struct Command
{
	Oid			function;
	Oid			result;
	const char *name;
	int			nargs;
	int			nrequired;
	char	  **arg_names;
	Oid		   *arg_types;
} Command;

typedef struct Preview
{
	int32		merchant;
	MemoryContext context;
	ReturnSetInfo *rsinfo;
	int			step;
	const char *command;
	Datum	   *results;		/* of the steps so far, jsonb; 0: null */
	TransactionId xid;			/* of the subtransaction */
} Preview;

bool		oms_previewing = false;

static MemoryContext change_context;
static Oid	capture_function;
static Change *changes;
static int64 nchanges;
static int64 changes_size;

static ExecutorStart_hook_type next_executor_start = NULL;

/* AFTER row: notes which versions of the row there are.  Made by oms_preview_watch() alone. */
Datum
oms_preview_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	Change	   *change;

	if (!oms_previewing || !TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) || !TRIGGER_FIRED_AFTER(trigdata->tg_event))
		return PointerGetDatum(NULL);
	if (nchanges == changes_size)
	{
		changes_size = Max(256, changes_size * 2);
		changes = changes == NULL ? MemoryContextAlloc(change_context, changes_size * sizeof(Change)) :
			repalloc_huge(changes, changes_size * sizeof(Change));
	}
	change = &changes[nchanges++];
	change->relid = RelationGetRelid(trigdata->tg_relation);
	change->xid = GetCurrentTransactionId();
	ItemPointerSetInvalid(&change->before);
	ItemPointerSetInvalid(&change->after);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		change->after = trigdata->tg_trigslot->tts_tid;
	else
		change->before = trigdata->tg_trigslot->tts_tid;
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		change->after = trigdata->tg_newslot->tts_tid;
	return PointerGetDatum(NULL);
}

/* Adds the trigger to what the executor knows of a table that it is about to write. */
void
oms_preview_watch(EState *estate, ResultRelInfo *info)
{
	Relation	rel = info->ri_RelationDesc;
	TriggerDesc *known = info->ri_TrigDesc;
	int			n = known != NULL ? known->numtriggers : 0;
	TriggerDesc *desc;
	Trigger    *trigger;

	if (IsCatalogRelation(rel) || rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return;
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("changes of \"%s\" cannot be previewed", RelationGetRelationName(rel)),
				 errdetail("It is not a plain table.")));
	desc = palloc0(sizeof(TriggerDesc));
	if (known != NULL)
		*desc = *known;
	desc->triggers = palloc0((n + 1) * sizeof(Trigger));
	if (n > 0)
		memcpy(desc->triggers, known->triggers, n * sizeof(Trigger));
	trigger = &desc->triggers[n];
	trigger->tgoid = CAPTURE_TRIGGER;
	trigger->tgname = "preview_capture";
	trigger->tgfoid = capture_function;
	trigger->tgtype = TRIGGER_TYPE_ROW | TRIGGER_TYPE_AFTER |
		TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
	trigger->tgenabled = TRIGGER_FIRES_ALWAYS;
	trigger->tgisinternal = true;
	desc->numtriggers = n + 1;
	desc->trig_insert_after_row = desc->trig_update_after_row = desc->trig_delete_after_row = true;
	info->ri_TrigDesc = desc;
	info->ri_TrigFunctions = palloc0((n + 1) * sizeof(FmgrInfo));
	info->ri_TrigWhenExprs = palloc0((n + 1) * sizeof(ExprState *));
	if (info->ri_TrigInstrument != NULL)
		info->ri_TrigInstrument = InstrAlloc(n + 1, estate->es_instrument, false);
}

static void
executor_start(QueryDesc *query, int eflags)
{
	if (next_executor_start != NULL)
		next_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (unlikely(oms_previewing) && (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);
		ListCell   *cell;

		foreach(cell, query->estate->es_opened_result_relations)
			oms_preview_watch(query->estate, lfirst(cell));
		MemoryContextSwitchTo(old);
	}
}

/* Puts the hook in place the first time a session previews. */
static void
install_hook(void)
{
	static bool installed = false;

	if (installed)
		return;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	installed = true;
}

static void
put(Preview *preview, const char *side, Datum table, Datum key_columns, Datum row)
{
	Datum		values[IMAGE_NCOLUMNS];
	bool		nulls[IMAGE_NCOLUMNS] = {false};

	values[IMAGE_STEP] = Int32GetDatum(preview->step);
	values[IMAGE_SIDE] = CStringGetTextDatum(side);
	values[IMAGE_TABLE] = table;
	values[IMAGE_KEY_COLUMNS] = key_columns;
	values[IMAGE_ROW] = row;
	nulls[IMAGE_STEP] = preview->step == 0;
	nulls[IMAGE_KEY_COLUMNS] = key_columns == (Datum) 0;
	nulls[IMAGE_ROW] = row == (Datum) 0;
	tuplestore_putvalues(preview->rsinfo->setResult, preview->rsinfo->setDesc, values, nulls);
}

static ChangedTable *
open_changed(Oid relid)
{
	ChangedTable *table = palloc0(sizeof(ChangedTable));
	Bitmapset  *key;
	Datum	   *columns;
	int			n = 0;
	int			i = -1;

	table->rel = table_open(relid, AccessShareLock);
	table->slot = table_slot_create(table->rel, NULL);
	table->name = CStringGetTextDatum(RelationGetNamespace(table->rel) == get_namespace_oid("oms", false) ?
									  RelationGetRelationName(table->rel) :
									  quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table->rel)),
																 RelationGetRelationName(table->rel)));
	key = RelationGetIndexAttrBitmap(table->rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	columns = palloc((bms_num_members(key) + 1) * sizeof(Datum));
	while ((i = bms_next_member(key, i)) >= 0)
		columns[n++] = CStringGetTextDatum(NameStr(TupleDescAttr(RelationGetDescr(table->rel),
																 i + FirstLowInvalidHeapAttributeNumber - 1)->attname));
	if (n > 0)
		table->key_columns = PointerGetDatum(construct_array(columns, n, TEXTOID, -1, false, TYPALIGN_INT));
	return table;
}

/* Reads a version into the table's slot, if the snapshot sees it; whether the preview made it. */
static bool
fetch(ChangedTable *table, ItemPointer place, Snapshot snapshot, TransactionId since, bool *ours)
{
	bool		isnull;
	TransactionId xmin;

	ExecClearTuple(table->slot);
	if (!ItemPointerIsValid(place) || !table_tuple_fetch_row_version(table->rel, place, snapshot, table->slot))
		return false;
	xmin = DatumGetTransactionId(slot_getsysattr(table->slot, MinTransactionIdAttributeNumber, &isnull));
	*ours = TransactionIdIsCurrentTransactionId(xmin) && TransactionIdFollowsOrEquals(xmin, since);
	return true;
}

static void
put_image(Preview *preview, ChangedTable *table, const char *side)
{
	Datum		row = ExecFetchSlotHeapTupleDatum(table->slot);

	put(preview, side, table->name, table->key_columns, oms_to_jsonb(table->rel->rd_rel->reltype, row));
}

/*
 * Puts the rows as they were before the preview and as they are now.  Of a
 * row changed several times the versions in between are neither.
 */
static void
put_images(Preview *preview)
{
	ChangedTable **tables = NULL;
	int			ntables = 0;
	MemoryContext image_context = AllocSetContextCreate(preview->context, "oms preview row", ALLOCSET_DEFAULT_SIZES);
	int64		i;
	int			t;

	preview->step = 0;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (i = 0; i < nchanges; i++)
	{
		Change	   *change = &changes[i];
		MemoryContext old;
		bool		ours;

		CHECK_FOR_INTERRUPTS();
		/* Of a savepoint that was rolled back. */
		if (!TransactionIdIsCurrentTransactionId(change->xid))
			continue;
		for (t = 0; t < ntables && RelationGetRelid(tables[t]->rel) != change->relid; t++)
			;
		if (t == ntables)
		{
			tables = tables == NULL ? palloc(sizeof(ChangedTable *)) : repalloc(tables, (ntables + 1) * sizeof(ChangedTable *));
			tables[ntables++] = open_changed(change->relid);
		}
		old = MemoryContextSwitchTo(image_context);
		if (fetch(tables[t], &change->before, SnapshotAny, preview->xid, &ours) && !ours)
			put_image(preview, tables[t], "before");
		if (fetch(tables[t], &change->after, GetActiveSnapshot(), preview->xid, &ours) && ours)
			put_image(preview, tables[t], "after");
		MemoryContextSwitchTo(old);
		MemoryContextReset(image_context);
	}
	for (t = 0; t < ntables; t++)
	{
		ExecDropSingleTupleTableSlot(tables[t]->slot);
		table_close(tables[t]->rel, NoLock);
	}
	PopActiveSnapshot();
}

/* Reads a candidate; false when it is no command of a merchant. */
static bool
read_command(HeapTuple tuple, Command *command)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	char	  **names;
	Oid		   *types;
	char	   *modes;
	int			n = get_func_arg_info(tuple, &types, &names, &modes);
	int			i;

	if (proc->pronamespace != get_namespace_oid("oms", false) || proc->prokind != PROKIND_FUNCTION ||
		proc->provolatile != PROVOLATILE_VOLATILE || !proc->prosecdef || proc->prorettype == TRIGGEROID || names == NULL)
		return false;
	memset(command, 0, sizeof(Command));
	command->function = proc->oid;
	command->result = proc->prorettype;
	command->name = pstrdup(NameStr(proc->proname));
	command->arg_names = palloc((n + 1) * sizeof(char *));
	command->arg_types = palloc((n + 1) * sizeof(Oid));
	for (i = 0; i < n; i++)
		if (modes == NULL || modes[i] == PROARGMODE_IN || modes[i] == PROARGMODE_INOUT)
		{
			command->arg_names[command->nargs] = names[i];
			command->arg_types[command->nargs++] = types[i];
		}
	command->nrequired = command->nargs - proc->pronargdefaults;
	return command->nargs > 0 && command->nargs <= OMS_MAX_ARGS &&
		strcmp(command->arg_names[0], "merchant") == 0 && command->arg_types[0] == INT4OID;
}

/* The argument of that name, JSON null among them; null when it is not given. */
static JsonbValue *
given_argument(JsonbContainer *arguments, const char *name)
{
	return arguments == NULL ? NULL : getKeyJsonValueFromContainer(arguments, name, strlen(name), NULL);
}

/* Whether the arguments are names of the command's, and all that have no default are given. */
static bool
takes(const Command *command, JsonbContainer *arguments)
{
	int			given = 0;
	int			i;

	for (i = 1; i < command->nargs; i++)
	{
		if (given_argument(arguments, command->arg_names[i]) != NULL)
			given++;
		else if (i < command->nrequired)
			return false;
	}
	return given == (arguments != NULL ? JsonContainerSize(arguments) : 0);
}

/* What the candidates take, for the error's detail. */
static void
describe(StringInfo buf, const Command *command)
{
	int			i;

	if (buf->len > 0)
		appendStringInfoString(buf, "; ");
	appendStringInfo(buf, "%s(", command->name);
	for (i = 1; i < command->nargs; i++)
		appendStringInfo(buf, "%s%s%s", i > 1 ? ", " : "", command->arg_names[i], i < command->nrequired ? "" : " optional");
	appendStringInfoChar(buf, ')');
}

/* The command of that name that takes the arguments.  Raises OM002, OM011. */
static Command *
find_command(const Preview *preview, const char *name, JsonbContainer *arguments)
{
	Command    *found = palloc(sizeof(Command));
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	StringInfoData known;
	int			nfound = 0;
	int			i;

	initStringInfo(&known);
	for (i = 0; i < list->n_members; i++)
	{
		Command		candidate;

		if (!read_command(&list->members[i]->tuple, &candidate))
			continue;
		describe(&known, &candidate);
		if (takes(&candidate, arguments))
		{
			*found = candidate;
			nfound++;
		}
	}
	ReleaseSysCacheList(list);
	if (known.len == 0)
		oms_error_unknown_code("command", preview->merchant, name);
	if (nfound != 1)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("the arguments do not fit command \"%s\"", name),
				 errdetail("It takes: %s.", known.data),
				 errhint("Give each argument by its name; the merchant is that of the preview.")));
	return found;
}

/* The text that the type's input function reads; null for what is no scalar. */
static char *
scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

static Datum
read_scalar(const char *name, Oid type, const JsonbValue *value)
{
	char	   *text = scalar_text(value);
	Oid			input;
	Oid			element;

	if (text == NULL)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is no %s", name, format_type_be(type)),
				 errdetail("An object or array was given."),
				 errhint("Give a value for \"%s\".", name)));
	getTypeInputInfo(type, &input, &element);
	return OidInputFunctionCall(input, text, element, -1);
}

/* An array of the element type from a JSON array. */
static Datum
read_array(const char *name, Oid element, JsonbContainer *array)
{
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			n = JsonContainerSize(array);
	Datum	   *values = palloc((n + 1) * sizeof(Datum));
	bool	   *nulls = palloc((n + 1) * sizeof(bool));
	int			dims[1] = {n};
	int			bounds[1] = {1};
	int16		length;
	bool		by_value;
	char		align;
	int			i = 0;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_ELEM)
		{
			nulls[i] = value.type == jbvNull;
			values[i] = nulls[i] ? (Datum) 0 : read_scalar(name, element, &value);
			i++;
		}
	get_typlenbyvalalign(element, &length, &by_value, &align);
	if (n == 0)
		return PointerGetDatum(construct_empty_array(element));
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, bounds, element, length, by_value, align));
}

/* {"result": 2} stands for what the second step of the preview answered; else null. */
static JsonbValue *
earlier_result(const Preview *preview, const JsonbValue *value)
{
	JsonbValue *step;
	int64		n;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data) || JsonContainerSize(value->val.binary.data) != 1)
		return NULL;
	step = oms_json_find(value->val.binary.data, "result");
	if (step == NULL || step->type != jbvNumeric)
		return NULL;
	n = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(step->val.numeric)));
	if (n < 1 || n >= preview->step)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("there is no result of step " INT64_FORMAT " yet", n),
				 errdetail("This is step %d.", preview->step)));
	step = palloc(sizeof(JsonbValue));
	if (preview->results[n - 1] == (Datum) 0)
		step->type = jbvNull;
	else if (!JsonbExtractScalar(&DatumGetJsonbP(preview->results[n - 1])->root, step))
	{
		step->type = jbvBinary;
		step->val.binary.data = &DatumGetJsonbP(preview->results[n - 1])->root;
	}
	return step;
}

static Datum
read_argument(const Preview *preview, const char *name, Oid type, JsonbValue *value, bool *isnull)
{
	JsonbValue *earlier = type == JSONBOID ? NULL : earlier_result(preview, value);
	Oid			element = get_element_type(type);

	if (earlier != NULL)
		value = earlier;
	*isnull = value->type == jbvNull;
	if (*isnull)
		return (Datum) 0;
	if (type == JSONBOID)
		return JsonbPGetDatum(JsonbValueToJsonb(value));
	if (OidIsValid(element) && value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
		return read_array(name, element, value->val.binary.data);
	return read_scalar(name, type, value);
}

/* Runs a statement that no later call will run again. */
static uint64
run_once(OmsStatement *stmt, Datum *values, const char *nulls)
{
	PG_TRY();
	{
		(void) oms_run(stmt, values, nulls);
	}
	PG_CATCH();
	{
		if (stmt->plan != NULL)
			SPI_freeplan(stmt->plan);
		PG_RE_THROW();
	}
	PG_END_TRY();
	SPI_freeplan(stmt->plan);
	return SPI_processed;
}

/* Runs one command as the caller would, with the caller's rights; keeps and puts its result. */
static void
run_command(Preview *preview, JsonbContainer *object)
{
	static const char *const allowed[] = {"command", "arguments", NULL};
	char	   *name;
	JsonbContainer *arguments;
	Command    *command;
	OmsStatement stmt = {0};
	StringInfoData sql;
	Datum		values[OMS_MAX_ARGS];
	char		nulls[OMS_MAX_ARGS + 1];
	Datum		result = (Datum) 0;
	uint64		rows;
	uint64		row;
	int			i;

	oms_json_only(object, NULL, allowed);
	name = oms_json_text(object, NULL, "command", NAMEDATALEN - 1, true);
	preview->command = name;
	arguments = oms_json_container(object, NULL, "arguments", false, false);
	command = find_command(preview, name, arguments);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM oms.%s(merchant => $1", command->result == VOIDOID ? "NULL::jsonb" : "to_jsonb(r)",
					 quote_identifier(name));
	stmt.argtypes[stmt.nargs] = INT4OID;
	nulls[stmt.nargs] = ' ';
	values[stmt.nargs++] = Int32GetDatum(preview->merchant);
	for (i = 1; i < command->nargs; i++)
	{
		JsonbValue *value = given_argument(arguments, command->arg_names[i]);
		bool		isnull;

		if (value == NULL)
			continue;
		stmt.argtypes[stmt.nargs] = command->arg_types[i];
		values[stmt.nargs] = read_argument(preview, command->arg_names[i], command->arg_types[i], value, &isnull);
		nulls[stmt.nargs] = isnull ? 'n' : ' ';
		appendStringInfo(&sql, ", %s => $%d", quote_identifier(command->arg_names[i]), ++stmt.nargs);
	}
	appendStringInfoString(&sql, ") r");
	stmt.sql = sql.data;
	oms_begin();
	rows = run_once(&stmt, values, nulls);
	for (row = 0; row < rows; row++)
	{
		bool		isnull;
		Datum		value = oms_get(row, 1, &isnull);

		result = isnull ? (Datum) 0 : oms_copy_out(value, false, -1);
		put(preview, "result", CStringGetTextDatum(name), (Datum) 0, result);
	}
	oms_end();
	preview->results[preview->step - 1] = result;
}

static void
say_step(void *arg)
{
	Preview    *preview = arg;

	if (preview->step > 0)
		errcontext("step %d of the preview: %s", preview->step, preview->command != NULL ? preview->command : "?");
}

static void
run_commands(Preview *preview, JsonbContainer *commands)
{
	JsonbIterator *iterator = JsonbIteratorInit(commands);
	JsonbIteratorToken token;
	JsonbValue	value;

	preview->results = palloc0((JsonContainerSize(commands) + 1) * sizeof(Datum));
	preview->xid = GetCurrentTransactionId();
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		preview->step++;
		preview->command = NULL;
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			oms_error_document(NULL, NULL, "objects with command and arguments");
		run_command(preview, value.val.binary.data);
	}
	oms_previewing = false;
	put_images(preview);
}

static Oid
capture_oid(void)
{
	oidvector  *none = buildoidvector(NULL, 0);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("preview_capture"), PointerGetDatum(none),
						   ObjectIdGetDatum(get_namespace_oid("oms", false)));
}

/*
 * SQL: preview_images(merchant, commands) -> step, side, table_name,
 * key_columns, image.  Runs the commands in a subtransaction that is always
 * rolled back; their locks and what they wrote end with it.  Raises what they
 * raise, and OM002, OM003, OM008, OM011.
 */
Datum
oms_preview_images(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorContextCallback callback;
	Preview		preview = {0};
	Jsonb	   *commands;

	preview.merchant = oms_arg_merchant(fcinfo);
	oms_arg_require(fcinfo, 1, "commands");
	commands = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_ARRAY(commands) || JB_ROOT_IS_SCALAR(commands))
		oms_error_document(NULL, NULL, "an array of objects with command and arguments");
	if (oms_previewing)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("a preview is running already"),
				 errdetail("Something that the previewed command calls previews another one."),
				 errhint("Preview both as a sequence.")));
	InitMaterializedSRF(fcinfo, 0);
	preview.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	preview.context = change_context = AllocSetContextCreate(context, "oms preview", ALLOCSET_DEFAULT_SIZES);
	changes = NULL;
	nchanges = changes_size = 0;
	capture_function = capture_oid();
	install_hook();

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(preview.context);
	PG_TRY();
	{
		callback.callback = say_step;
		callback.arg = &preview;
		callback.previous = error_context_stack;
		error_context_stack = &callback;
		oms_previewing = true;
		run_commands(&preview, &commands->root);
		error_context_stack = callback.previous;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		oms_previewing = false;
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	MemoryContextDelete(preview.context);
	return (Datum) 0;
}
