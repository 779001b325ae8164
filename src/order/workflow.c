/*-------------------------------------------------------------------------
 * workflow.c
 *	  Workflows compiled into each backend, and what a transition asks: the
 *	  rights of the caller, its guard, its hooks.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "core/cache.h"
#include "core/guard.h"
#include "order/workflow.h"

enum
{
	ST_VERSIONS,
	ST_STATES,
	ST_TRANSITIONS
};

static OmsStatement statements[] = {
	[ST_VERSIONS] = {
		"SELECT workflow_id, coalesce(channel_id, 0), valid_from FROM oms.workflow "
		"WHERE merchant_id = $1 AND valid_from IS NOT NULL ORDER BY valid_from DESC, workflow_id DESC",
		1, {INT4OID}
	},
	[ST_STATES] = {
		"SELECT state, core_state FROM oms.workflow_state WHERE merchant_id = $1 AND workflow_id = $2 ORDER BY position",
		2, {INT4OID, INT4OID}
	},
	[ST_TRANSITIONS] = {
		"SELECT from_state, to_state, action, guard, before_hook, after_hook, roles FROM oms.workflow_transition "
		"WHERE merchant_id = $1 AND workflow_id = $2 ORDER BY guard IS NULL, position",
		2, {INT4OID, INT4OID}
	},
};

/* The versions of a merchant, the latest first. */
typedef struct MerchantWorkflows
{
	int32		merchant;		/* hash key */
	bool		loaded;
	int			n;
	OmsWorkflow *versions;
} MerchantWorkflows;

static OmsCache cache = {
	.name = "workflows",
	.tables = {"workflow", "workflow_state", "workflow_transition"},
};

/* Bytes of a function's name with its schema: define_workflow() lets a hundred characters pass. */
#define FUNCTION_KEY 408

/* Statements that call the functions workflows name, kept for good: PostgreSQL plans them anew when a function changes. */
typedef struct FunctionCall
{
	char		name[FUNCTION_KEY];	/* hash key: g or h, and the name */
	OmsStatement statement;
} FunctionCall;

static HTAB *calls = NULL;

static char *
copy_text(uint64 row, int column)
{
	char	   *text = oms_get_text(row, column);

	return text == NULL ? NULL : pstrdup(text);
}

int
oms_workflow_state(const OmsWorkflow *workflow, const char *name)
{
	for (int i = 0; i < workflow->nstates; i++)
		if (strcmp(workflow->states[i].name, name) == 0)
			return i;
	return -1;
}

int
oms_workflow_entry(const OmsWorkflow *workflow, const char *core)
{
	for (int i = 0; i < workflow->nstates; i++)
		if (strcmp(workflow->states[i].core, core) == 0)
			return i;
	return -1;
}

/* Reads states and transitions into the given context. */
static void
load(OmsWorkflow *workflow, int32 merchant, MemoryContext context)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int32GetDatum(workflow->workflow_id)};
	MemoryContext before;
	uint64		rows;

	oms_begin();
	rows = oms_run(&statements[ST_STATES], values, NULL);
	before = MemoryContextSwitchTo(context);
	workflow->states = palloc((rows + 1) * sizeof(OmsState));
	for (uint64 row = 0; row < rows; row++)
		workflow->states[workflow->nstates++] = (OmsState) {copy_text(row, 1), copy_text(row, 2)};
	MemoryContextSwitchTo(before);

	rows = oms_run(&statements[ST_TRANSITIONS], values, NULL);
	before = MemoryContextSwitchTo(context);
	workflow->transitions = palloc0((rows + 1) * sizeof(OmsTransition));
	for (uint64 row = 0; row < rows; row++)
	{
		OmsTransition *transition = &workflow->transitions[workflow->ntransitions++];
		bool		isnull;
		Datum		roles = oms_get(row, 7, &isnull);

		transition->from = oms_workflow_state(workflow, oms_get_text(row, 1));
		transition->to = oms_workflow_state(workflow, oms_get_text(row, 2));
		transition->action = copy_text(row, 3);
		transition->guard = copy_text(row, 4);
		transition->before_hook = copy_text(row, 5);
		transition->after_hook = copy_text(row, 6);
		if (!isnull)
		{
			Datum	   *elements;

			deconstruct_array(DatumGetArrayTypeP(roles), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &transition->nroles);
			transition->roles = palloc((transition->nroles + 1) * sizeof(char *));
			for (int i = 0; i < transition->nroles; i++)
				transition->roles[i] = TextDatumGetCString(elements[i]);
		}
	}
	MemoryContextSwitchTo(before);
	oms_end();
}

OmsWorkflow *
oms_workflow_load(int32 merchant, int32 workflow_id)
{
	OmsWorkflow *workflow = palloc0(sizeof(OmsWorkflow));

	workflow->workflow_id = workflow_id;
	load(workflow, merchant, CurrentMemoryContext);
	return workflow;
}

static const MerchantWorkflows *
merchant_workflows(int32 merchant)
{
	MerchantWorkflows *found = oms_cache_of_merchant(&cache, merchant, sizeof(MerchantWorkflows));

	if (!found->loaded)
	{
		Datum		values[1] = {Int32GetDatum(merchant)};

		found->n = 0;
		oms_begin();
		found->n = (int) oms_run(&statements[ST_VERSIONS], values, NULL);
		found->versions = MemoryContextAllocZero(cache.context, (found->n + 1) * sizeof(OmsWorkflow));
		for (int i = 0; i < found->n; i++)
		{
			bool		isnull;

			found->versions[i].workflow_id = oms_get_int32(i, 1);
			found->versions[i].channel = oms_get_int32(i, 2);
			found->versions[i].valid_from = DatumGetTimestampTz(oms_get(i, 3, &isnull));
		}
		for (int i = 0; i < found->n; i++)
			load(&found->versions[i], merchant, cache.context);
		oms_end();
		found->loaded = true;
	}
	return found;
}

const OmsWorkflow *
oms_workflow_in_force(int32 merchant, int32 channel)
{
	const MerchantWorkflows *all = merchant_workflows(merchant);
	const OmsWorkflow *general = NULL;

	for (int i = 0; i < all->n; i++)
	{
		const OmsWorkflow *version = &all->versions[i];

		if (version->valid_from > oms_now())
			continue;
		if (version->channel == channel)
			return version;
		if (version->channel == 0 && general == NULL)
			general = version;
	}
	return general;
}

const OmsWorkflow *
oms_workflow(int32 merchant, int32 workflow_id)
{
	const MerchantWorkflows *all = merchant_workflows(merchant);

	for (int i = 0; i < all->n; i++)
		if (all->versions[i].workflow_id == workflow_id)
			return &all->versions[i];
	ereport(ERROR,
			(errcode(OMS_CONFIGURATION),
			 errmsg("merchant %d has no active workflow %d", merchant, workflow_id),
			 errhint("Workflows are made by define_workflow() and stay once they are activated.")));
	return NULL;
}

bool
oms_transition_permitted(const OmsTransition *transition)
{
	for (int i = 0; i < transition->nroles; i++)
		if (oms_caller_has(transition->roles[i]))
			return true;
	return transition->nroles == 0;
}

bool
oms_workflow_function(const char *name, bool guard, Oid *owner, bool *is_volatile)
{
	Oid			argtypes[4] = {INT4OID, INT8OID, TEXTOID, TEXTOID};
	List	   *parts;
	Oid			function = InvalidOid;
	HeapTuple	tuple;
	Form_pg_proc proc;
	bool		good;

	if (SplitIdentifierString(pstrdup(name), '.', &parts) && list_length(parts) == 2)
		function = LookupFuncName(list_make2(makeString(linitial(parts)), makeString(lsecond(parts))), guard ? 2 : 4, argtypes, true);
	tuple = OidIsValid(function) ? SearchSysCache1(PROCOID, ObjectIdGetDatum(function)) : NULL;
	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	*owner = proc->proowner;
	*is_volatile = proc->provolatile == PROVOLATILE_VOLATILE;
	good = proc->prorettype == (guard ? BOOLOID : TEXTOID) && !proc->proretset && proc->prokind == PROKIND_FUNCTION;
	ReleaseSysCache(tuple);
	return good;
}

/* The kept statement that calls the function. */
static OmsStatement *
function_call(const char *name, bool guard)
{
	static const Oid argtypes[] = {INT4OID, INT8OID, TEXTOID, TEXTOID};
	char		key[FUNCTION_KEY] = {0};
	FunctionCall *found;
	bool		known;

	if (calls == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(key);
		ctl.entrysize = sizeof(FunctionCall);
		calls = hash_create("oms workflow functions", 16, &ctl, HASH_ELEM | HASH_STRINGS);
	}
	snprintf(key, sizeof(key), "%c%s", guard ? 'g' : 'h', name);
	found = hash_search(calls, key, HASH_ENTER, &known);
	if (!known)
	{
		List	   *parts;

		memset(&found->statement, 0, sizeof(found->statement));
		(void) SplitIdentifierString(pstrdup(name), '.', &parts);
		found->statement.sql = MemoryContextStrdup(TopMemoryContext,
												   psprintf(guard ? "SELECT %s($1, $2)" : "SELECT %s($1, $2, $3, $4)",
															quote_qualified_identifier(linitial(parts), lsecond(parts))));
		found->statement.nargs = guard ? 2 : 4;
		memcpy(found->statement.argtypes, argtypes, sizeof(argtypes));
	}
	return &found->statement;
}

/*
 * Calls a guard or hook with the rights of its owner, so that nobody gets the
 * rights of oms by writing one, and with the guard of tables that commands write
 * closed; search_path is pinned as everywhere.  Returns its answer, to be read
 * before oms_end().
 */
static Datum
call(const char *name, bool guard, Datum *values, bool *isnull)
{
	Oid			owner;
	Oid			userid;
	int			sec_context;
	int			open;
	bool		is_volatile;

	if (!oms_workflow_function(name, guard, &owner, &is_volatile))
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("workflow function %s does not exist", name),
				 guard ? errdetail("A guard takes (merchant int, order_id bigint) and returns boolean.") :
				 errdetail("A hook takes (merchant int, order_id bigint, from_state text, to_state text) and returns text."),
				 errhint("Make it again, or activate a workflow without it.")));
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(owner, sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	open = oms_guard_enter();
	oms_guard_leave(0);
	oms_run(function_call(name, guard), values, NULL);
	oms_guard_leave(open);
	SetUserIdAndSecContext(userid, sec_context);
	return oms_get(0, 1, isnull);
}

bool
oms_transition_holds(const OmsTransition *transition, int32 merchant, int64 order_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	bool		isnull;
	bool		holds;

	if (transition->guard == NULL)
		return true;
	oms_begin();
	holds = DatumGetBool(call(transition->guard, true, values, &isnull)) && !isnull;
	oms_end();
	return holds;
}

/* What the hook, which may be none, says to the transition between two states; null: nothing against it. */
static char *
ask_hook(const char *hook, const char *from, const char *to, int32 merchant, int64 order_id)
{
	Datum		values[4] = {Int32GetDatum(merchant), Int64GetDatum(order_id), CStringGetTextDatum(from), CStringGetTextDatum(to)};
	MemoryContext caller = CurrentMemoryContext;
	char	   *said = NULL;
	bool		isnull;
	Datum		answer;

	oms_begin();
	answer = call(hook, false, values, &isnull);
	if (!isnull)
		said = MemoryContextStrdup(caller, TextDatumGetCString(answer));
	oms_end();
	return said;
}

void
oms_transition_hook(const char *hook, const OmsWorkflow *workflow, const OmsTransition *transition, int32 merchant, int64 order_id)
{
	char	   *from;
	char	   *to;
	char	   *said;

	if (hook == NULL)
		return;
	/* The compiled workflow may go while the hook runs. */
	hook = pstrdup(hook);
	from = pstrdup(workflow->states[transition->from].name);
	to = pstrdup(workflow->states[transition->to].name);
	said = ask_hook(hook, from, to, merchant, order_id);
	if (said != NULL)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " may not go from %s to %s: %s", order_id, from, to, said),
				 errdetail("Hook %s of its workflow says so.", hook)));
}

char *
oms_transition_foreseen(const OmsWorkflow *workflow, const OmsTransition *transition, int32 merchant, int64 order_id)
{
	const char *hook = transition->before_hook;
	Oid			owner;
	bool		is_volatile = false;

	if (hook == NULL || (oms_workflow_function(hook, false, &owner, &is_volatile) && is_volatile))
		return NULL;
	return ask_hook(pstrdup(hook), pstrdup(workflow->states[transition->from].name), pstrdup(workflow->states[transition->to].name),
					merchant, order_id);
}

/* The states that transitions lead to from one, for messages. */
static char *
ways_out(const OmsWorkflow *workflow, int from)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < workflow->ntransitions; i++)
		if (workflow->transitions[i].from == from)
			appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", workflow->states[workflow->transitions[i].to].name);
	return text.len > 0 ? text.data : "none";
}

int
oms_workflow_choose(const OmsWorkflow *workflow, int32 merchant, int64 order_id, int from, int to,
					const char *core, const char *action, const char **why)
{
	int32		id = workflow->workflow_id;
	const char *target = pstrdup(to >= 0 ? workflow->states[to].name : core != NULL ? core : action);
	const char *guard = NULL;
	bool		forbidden = false;

	for (int i = 0; i < workflow->ntransitions; i++)
	{
		const OmsTransition *transition = &workflow->transitions[i];

		if (transition->from != from ||
			(to >= 0 ? transition->to != to :
			 core != NULL ? strcmp(workflow->states[transition->to].core, core) != 0 :
			 strcmp(transition->action, action) != 0))
			continue;
		if (!oms_transition_permitted(transition))
			forbidden = true;
		else if (oms_transition_holds(transition, merchant, order_id))
			return i;
		else
		{
			/* A guard that read configuration of its own may have dropped this one. */
			workflow = oms_workflow(merchant, id);
			guard = pstrdup(workflow->transitions[i].guard);
		}
	}
	if (why != NULL)
	{
		*why = guard != NULL ? psprintf("%s says no", guard) : forbidden ? "the caller has no right to it" : "the workflow has no such way";
		return -1;
	}
	if (guard != NULL)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " cannot go from %s to %s now", order_id, workflow->states[from].name, target),
				 errdetail("Guard %s of workflow %d says no.", guard, id)));
	if (forbidden)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not take order " INT64_FORMAT " from %s to %s", oms_calling_role(), order_id,
						workflow->states[from].name, target),
				 errhint("Workflow %d names the roles that may; GRANT one of them.", id)));
	ereport(ERROR,
			(errcode(OMS_TRANSITION),
			 errmsg("order " INT64_FORMAT " cannot go from %s to %s", order_id, workflow->states[from].name, target),
			 errdetail("From %s the ways of workflow %d are: %s.", workflow->states[from].name, id, ways_out(workflow, from))));
	return -1;
}
