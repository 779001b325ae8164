/*-------------------------------------------------------------------------
 * workflow_command.c
 *	  Defining a workflow, looking at what is wrong with it, activating it, and
 *	  taking an order along it by an action.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "order/order.h"
#include "order/workflow_lint.h"

PG_FUNCTION_INFO_V1(oms_define_workflow);
PG_FUNCTION_INFO_V1(oms_workflow_findings);
PG_FUNCTION_INFO_V1(oms_activate_workflow);
PG_FUNCTION_INFO_V1(oms_perform_action);

#define MAX_STATES 200
#define MAX_TRANSITIONS 2000

enum
{
	ST_LOCK,
	ST_DEFINE,
	ST_DEFINE_STATE,
	ST_DEFINE_TRANSITION,
	ST_READ,
	ST_ACTIVATE,
	ST_WAY,
	ST_STATE
};

static OmsStatement statements[] = {
	/* Versions of a merchant are numbered one after the other. */
	[ST_LOCK] = {"SELECT FROM oms.merchant WHERE merchant_id = $1 FOR NO KEY UPDATE", 1, {INT4OID}},
	[ST_DEFINE] = {
		"INSERT INTO oms.workflow (merchant_id, workflow_id, channel_id, name, defined_at, defined_by) "
		"SELECT $1, 1 + coalesce(max(workflow_id), 0), $2, $3, $4, $5 FROM oms.workflow WHERE merchant_id = $1 "
		"RETURNING workflow_id",
		5, {INT4OID, INT4OID, TEXTOID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_DEFINE_STATE] = {
		"INSERT INTO oms.workflow_state (merchant_id, workflow_id, position, state, core_state) VALUES ($1, $2, $3, $4, $5)",
		5, {INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID}
	},
	[ST_DEFINE_TRANSITION] = {
		"INSERT INTO oms.workflow_transition (merchant_id, workflow_id, position, from_state, to_state, action, guard, "
		"before_hook, after_hook, roles) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		10, {INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID}
	},
	[ST_READ] = {
		"SELECT valid_from FROM oms.workflow WHERE merchant_id = $1 AND workflow_id = $2 FOR UPDATE", 2, {INT4OID, INT4OID}
	},
	[ST_ACTIVATE] = {
		"UPDATE oms.workflow SET valid_from = $3, activated_at = $4, activated_by = $5 WHERE merchant_id = $1 AND workflow_id = $2",
		5, {INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_WAY] = {
		"SELECT to_state FROM oms.transition WHERE merchant_id = $1 AND from_state = $2 AND action = $3 ORDER BY to_state LIMIT 1",
		3, {INT4OID, TEXTOID, TEXTOID}
	},
	[ST_STATE] = {
		"SELECT coalesce(state, lifecycle) FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
};

/* An array of objects of the document, 1 to max of them. */
static JsonbContainer *
array_of(JsonbContainer *root, const char *key, int max, int *n)
{
	JsonbContainer *array = oms_json_container(root, NULL, key, true, true);

	*n = JsonContainerSize(array);
	if (*n < 1 || *n > max)
		oms_error_document(NULL, key, psprintf("1 to %d elements", max));
	return array;
}

static JsonbContainer *
object_of(JsonbContainer *array, const OmsPath *path, const char *const *allowed)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array, path->index);

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		oms_error_document(path, NULL, "an object");
	oms_json_only(value->val.binary.data, path, allowed);
	return value->val.binary.data;
}

static void
read_states(JsonbContainer *root, OmsWorkflow *workflow)
{
	static const char *const allowed[] = {"state", "core", NULL};
	OmsPath		at = {NULL, "states", 0};
	int			n;
	JsonbContainer *array = array_of(root, "states", MAX_STATES, &n);

	workflow->states = palloc0(n * sizeof(OmsState));
	for (int i = 0; i < n; i++)
	{
		OmsPath		path = {&at, NULL, i};
		JsonbContainer *object = object_of(array, &path, allowed);
		char	   *name = oms_json_text(object, &path, "state", OMS_KEY_LENGTH, true);
		char	   *core = oms_json_text(object, &path, "core", OMS_KEY_LENGTH, true);

		if (oms_workflow_state(workflow, name) >= 0)
			oms_error_document(&path, "state", "a name that no other state has");
		if (strcmp(core, "placed") != 0 && strcmp(core, "confirmed") != 0 &&
			strcmp(core, "completed") != 0 && strcmp(core, "cancelled") != 0)
			oms_error_document(&path, "core", "placed, confirmed, completed or cancelled");
		workflow->states[workflow->nstates++] = (OmsState) {name, core};
	}
}

static void
read_roles(JsonbContainer *object, const OmsPath *path, OmsTransition *transition)
{
	JsonbContainer *array = oms_json_container(object, path, "roles", true, false);

	if (array == NULL)
		return;
	transition->roles = palloc((JsonContainerSize(array) + 1) * sizeof(char *));
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvString || value->val.string.len == 0)
			oms_error_document(path, "roles", "names of roles");
		transition->roles[transition->nroles++] = pnstrdup(value->val.string.val, value->val.string.len);
	}
	if (transition->nroles == 0)
		oms_error_document(path, "roles", "at least one role, or nothing for all");
}

/* A state that a transition names. */
static int
read_end(JsonbContainer *object, const OmsPath *path, const char *key, const OmsWorkflow *workflow)
{
	int			state = oms_workflow_state(workflow, oms_json_text(object, path, key, OMS_KEY_LENGTH, true));

	if (state < 0)
		oms_error_document(path, key, "a state of the document");
	return state;
}

static void
read_transitions(JsonbContainer *root, OmsWorkflow *workflow)
{
	static const char *const allowed[] = {"from", "to", "action", "guard", "before", "after", "roles", NULL};
	OmsPath		at = {NULL, "transitions", 0};
	int			n;
	JsonbContainer *array = array_of(root, "transitions", MAX_TRANSITIONS, &n);

	workflow->transitions = palloc0(n * sizeof(OmsTransition));
	for (int i = 0; i < n; i++)
	{
		OmsPath		path = {&at, NULL, i};
		JsonbContainer *object = object_of(array, &path, allowed);
		OmsTransition *transition = &workflow->transitions[i];

		transition->from = read_end(object, &path, "from", workflow);
		transition->to = read_end(object, &path, "to", workflow);
		transition->action = oms_json_text(object, &path, "action", OMS_KEY_LENGTH, true);
		transition->guard = oms_json_text(object, &path, "guard", OMS_KEY_LENGTH / 2, false);
		transition->before_hook = oms_json_text(object, &path, "before", OMS_KEY_LENGTH / 2, false);
		transition->after_hook = oms_json_text(object, &path, "after", OMS_KEY_LENGTH / 2, false);
		read_roles(object, &path, transition);
		if (transition->from == transition->to)
			oms_error_document(&path, "to", "another state than from");
		for (int j = 0; j < i; j++)
			if (workflow->transitions[j].from == transition->from && workflow->transitions[j].to == transition->to)
				oms_error_document(&path, "to", psprintf("each pair of states once (it is at %d too)", j));
		workflow->ntransitions++;
	}
}

static void
set_text(Datum *values, char *nulls, int n, const char *text)
{
	nulls[n] = text == NULL ? 'n' : ' ';
	values[n] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* Writes the states and transitions of the new version. */
static void
write_rows(int32 merchant, int32 workflow_id, const OmsWorkflow *workflow)
{
	Datum		values[10] = {Int32GetDatum(merchant), Int32GetDatum(workflow_id)};
	char		nulls[10];

	memset(nulls, ' ', sizeof(nulls));
	for (int i = 0; i < workflow->nstates; i++)
	{
		values[2] = Int32GetDatum(i + 1);
		values[3] = CStringGetTextDatum(workflow->states[i].name);
		values[4] = CStringGetTextDatum(workflow->states[i].core);
		oms_run_guarded(&statements[ST_DEFINE_STATE], values, NULL);
	}
	for (int i = 0; i < workflow->ntransitions; i++)
	{
		const OmsTransition *transition = &workflow->transitions[i];
		Datum	   *roles = palloc((transition->nroles + 1) * sizeof(Datum));

		for (int j = 0; j < transition->nroles; j++)
			roles[j] = CStringGetTextDatum(transition->roles[j]);
		values[2] = Int32GetDatum(i + 1);
		values[3] = CStringGetTextDatum(workflow->states[transition->from].name);
		values[4] = CStringGetTextDatum(workflow->states[transition->to].name);
		values[5] = CStringGetTextDatum(transition->action);
		set_text(values, nulls, 6, transition->guard);
		set_text(values, nulls, 7, transition->before_hook);
		set_text(values, nulls, 8, transition->after_hook);
		nulls[9] = transition->nroles == 0 ? 'n' : ' ';
		values[9] = PointerGetDatum(construct_array(roles, transition->nroles, TEXTOID, -1, false, TYPALIGN_INT));
		oms_run_guarded(&statements[ST_DEFINE_TRANSITION], values, nulls);
	}
}

/*
 * define_workflow(merchant, document, request_key, actor, reason).  Locks the
 * merchant.  Raises OM002, OM003, OM010, OM011.
 */
Datum
oms_define_workflow(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"name", "channel", "states", "transitions", NULL};
	OmsCall		call;
	OmsWorkflow workflow = {0};
	JsonbContainer *root;
	Datum		values[5];
	char		nulls[5] = {' ', ' ', ' ', ' ', ' '};
	char	   *name;
	char	   *code;
	int64		result;

	oms_arg_require(fcinfo, 1, "document");
	root = &PG_GETARG_JSONB_P(1)->root;
	if (!JsonContainerIsObject(root))
		oms_error_document(NULL, NULL, "an object");
	oms_json_only(root, NULL, allowed);
	name = oms_json_text(root, NULL, "name", OMS_KEY_LENGTH, true);
	code = oms_json_text(root, NULL, "channel", OMS_KEY_LENGTH, false);
	read_states(root, &workflow);
	read_transitions(root, &workflow);

	if (oms_call_repeated(fcinfo, "define_workflow", 2, &call, &result))
		PG_RETURN_INT32((int32) result);
	values[0] = Int32GetDatum(call.merchant);
	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("merchant", call.merchant, call.merchant);
	nulls[1] = code == NULL ? 'n' : ' ';
	if (code != NULL)
	{
		const OmsChannel *channel = oms_channel_by_code(call.merchant, code);

		if (channel == NULL)
			oms_error_unknown_code("channel", call.merchant, code);
		values[1] = Int32GetDatum(channel->channel);
	}
	values[2] = CStringGetTextDatum(name);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = CStringGetTextDatum(call.actor);
	oms_run_guarded(&statements[ST_DEFINE], values, nulls);
	result = oms_get_int32(0, 1);
	write_rows(call.merchant, (int32) result, &workflow);
	oms_call_done(&call, result);
	PG_RETURN_INT32((int32) result);
}

/* Locks and reads a version; OM002 when there is none.  Sets whether it is activated. */
static OmsWorkflow *
lock_workflow(int32 merchant, int32 workflow_id, bool *active)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int32GetDatum(workflow_id)};

	if (oms_run(&statements[ST_READ], values, NULL) == 0)
		oms_error_unknown("workflow", merchant, workflow_id);
	*active = !oms_is_null(0, 1);
	return oms_workflow_load(merchant, workflow_id);
}

/* SQL: workflow_findings(merchant, workflow) -> finding, state, path, detail */
Datum
oms_workflow_findings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	int32		workflow_id = oms_arg_int32(fcinfo, 1, "workflow");
	OmsWorkflow *workflow;
	OmsFindings findings;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	workflow = oms_workflow_load(merchant, workflow_id);
	if (workflow->nstates == 0)
		oms_error_unknown("workflow", merchant, workflow_id);
	oms_workflow_lint(workflow, &findings);
	for (int i = 0; i < findings.n; i++)
	{
		const OmsFinding *one = &findings.all[i];
		const char *texts[4] = {one->finding, one->state, one->path, one->detail};
		Datum		values[4];
		bool		nulls[4];

		for (int j = 0; j < 4; j++)
		{
			nulls[j] = texts[j] == NULL;
			values[j] = nulls[j] ? (Datum) 0 : CStringGetTextDatum(texts[j]);
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	oms_end();
	return (Datum) 0;
}

/*
 * activate_workflow(merchant, workflow, valid_from, request_key, actor,
 * reason).  Locks the version.  Raises OM002, OM008, OM010, OM011, OM016.
 */
Datum
oms_activate_workflow(PG_FUNCTION_ARGS)
{
	int32		workflow_id = oms_arg_int32(fcinfo, 1, "workflow");
	TimestampTz valid_from = PG_ARGISNULL(2) ? oms_now() : PG_GETARG_TIMESTAMPTZ(2);
	OmsCall		call;
	OmsWorkflow *workflow;
	OmsFindings findings;
	Datum		values[5];
	int64		result;
	bool		active;

	if (TIMESTAMP_NOT_FINITE(valid_from))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"valid_from\" is out of range"),
				 errdetail("It is a finite instant.")));
	if (oms_call_repeated(fcinfo, "activate_workflow", 3, &call, &result))
		PG_RETURN_TIMESTAMPTZ(result);
	workflow = lock_workflow(call.merchant, workflow_id, &active);
	if (active)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("workflow %d is activated already", workflow_id),
				 errhint("Define another version.")));
	if (valid_from < oms_now())
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"valid_from\" is out of range"),
				 errdetail("%s is past.", timestamptz_to_str(valid_from)),
				 errhint("Leave it out for now.")));
	oms_workflow_lint(workflow, &findings);
	if (findings.n > 0)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("workflow %d cannot be activated: %s%s%s", workflow_id, findings.all[0].finding,
						findings.all[0].state != NULL ? " " : "", findings.all[0].state != NULL ? findings.all[0].state : ""),
				 errdetail("%s; the way: %s.", findings.all[0].detail, findings.all[0].path != NULL ? findings.all[0].path : "none"),
				 errhint("workflow_findings() has %d in all.", findings.n)));
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int32GetDatum(workflow_id);
	values[2] = TimestampTzGetDatum(valid_from);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = CStringGetTextDatum(call.actor);
	oms_run_guarded(&statements[ST_ACTIVATE], values, NULL);
	oms_call_done(&call, valid_from);
	PG_RETURN_TIMESTAMPTZ(valid_from);
}

/* Where the action leads the order; OM004, OM008, 42501 when nowhere. */
static char *
target_of(const OmsOrderHead *head, const char *action)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), CStringGetTextDatum(head->lifecycle), CStringGetTextDatum(action)};

	if (head->workflow != 0)
	{
		const OmsWorkflow *workflow = oms_workflow(head->merchant, head->workflow);
		int			chosen = oms_workflow_choose(workflow, head->merchant, head->order_id,
												 oms_workflow_state(workflow, head->state), -1, NULL, action, NULL);

		workflow = oms_workflow(head->merchant, head->workflow);
		return pstrdup(workflow->states[workflow->transitions[chosen].to].name);
	}
	if (oms_run(&statements[ST_WAY], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_TRANSITION),
				 errmsg("order " INT64_FORMAT " has no action %s", head->order_id, action),
				 errdetail("It is %s.", head->lifecycle),
				 errhint("allowed_actions() tells what it has.")));
	return oms_get_text(0, 1);
}

/*
 * perform_action(merchant, order_id, action, request_key, actor, reason).
 * Locks the order.  Raises OM002, OM004, OM005, OM008, OM010, OM011, OM016,
 * 42501.
 */
Datum
oms_perform_action(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *action = oms_arg_text(fcinfo, 2, "action", OMS_KEY_LENGTH);
	Datum		values[2] = {Int32GetDatum(oms_arg_merchant(fcinfo)), Int64GetDatum(order_id)};
	Datum		state;
	bool		isnull;
	OmsCall		call;
	OmsOrderHead head;
	int64		result;

	if (!oms_call_repeated(fcinfo, "perform_action", 3, &call, &result))
	{
		oms_order_lock(call.merchant, order_id, &head);
		oms_order_move(&head, target_of(&head, action), head.workflow != 0, call.actor, call.reason, call.key);
		oms_call_done(&call, order_id);
	}
	oms_begin();
	oms_run(&statements[ST_STATE], values, NULL);
	state = oms_copy_out(oms_get(0, 1, &isnull), false, -1);
	oms_end();
	return state;
}
