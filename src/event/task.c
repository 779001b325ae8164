/*-------------------------------------------------------------------------
 * task.c
 *	  Work for processes outside: written with the fact that asks for it,
 *	  leased, answered, retried, and given up in the open.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/jsonb.h"

#include "core/json.h"
#include "core/insert.h"
#include "event/event.h"
#include "event/lookup.h"

PG_FUNCTION_INFO_V1(oms_add_task);
PG_FUNCTION_INFO_V1(oms_claim_tasks);
PG_FUNCTION_INFO_V1(oms_extend_lease);
PG_FUNCTION_INFO_V1(oms_complete_task);
PG_FUNCTION_INFO_V1(oms_fail_task);
PG_FUNCTION_INFO_V1(oms_retry_task);

#define MAX_CLAIM		10000
#define MAX_LEASE		(7 * USECS_PER_DAY)

/* The first retry after so long, each later one after twice as long, never longer than the last. */
#define BACKOFF_FIRST	(30 * USECS_PER_SEC)
#define BACKOFF_LAST	(6 * USECS_PER_HOUR)

/* Columns in the order of sql/schema/10_event.sql. */
enum
{
	TASK_MERCHANT = 1, TASK_ID = 3, TASK_ORDER, TASK_SUBJECT_ID, TASK_RUN_AT, TASK_CREATED_AT, TASK_KIND = 13, TASK_SUBJECT_TYPE,
	TASK_DEDUP_KEY, TASK_PAYLOAD = 18
};
#define TASK_COLUMNS "merchant_id, kind, order_id, subject_type, subject_id, dedup_key, payload, run_at, created_at"

static OmsTarget target = {"task", TASK_COLUMNS};

enum
{
	ST_ADD,
	ST_ADD_ONCE,
	ST_FIND,
	ST_CLAIM,
	ST_CLAIM_ALL,
	ST_LOCK,
	ST_EXTEND,
	ST_DONE,
	ST_FAILED,
	ST_RETRY
};

#define ADD_COLUMNS \
	"INSERT INTO oms.task (" TASK_COLUMNS ") " \
	"VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, '{}'), $8, $9) "
#define ADD_TYPES {INT4OID, TEXTOID, INT8OID, TEXTOID, INT8OID, TEXTOID, JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID}

/*
 * run_at of a leased task is the end of its lease, so due ones of both states
 * stand in one index.  A task whose last lease ran out without an answer dies
 * here: its worker died of it often enough.  The arrays keep the planner, who
 * cannot know how few rows LIMIT lets through, from reading the whole table.
 */
#define CLAIM(which) \
	"WITH due AS MATERIALIZED (" \
	" SELECT t.merchant_id, t.task_id FROM oms.task t " \
	" WHERE " which "t.kind = $2 AND t.state IN ('ready', 'leased') AND t.run_at <= $3 " \
	" ORDER BY t.run_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED) " \
	"UPDATE oms.task t SET " \
	" state = CASE WHEN t.attempts >= t.max_attempts THEN 'dead' ELSE 'leased' END, " \
	" run_at = CASE WHEN t.attempts >= t.max_attempts THEN $3 ELSE $5 END, " \
	" leased_until = CASE WHEN t.attempts >= t.max_attempts THEN NULL ELSE $5 END, " \
	" leased_by = CASE WHEN t.attempts >= t.max_attempts THEN NULL ELSE $6 END, " \
	" last_error = CASE WHEN t.attempts >= t.max_attempts THEN 'lease ' || t.lease || ' of worker ' || t.leased_by || ' ran out' ELSE t.last_error END, " \
	" attempts = LEAST(t.attempts + 1, t.max_attempts), lease = t.lease + 1 " \
	"FROM unnest(ARRAY(SELECT d.merchant_id FROM due d), ARRAY(SELECT d.task_id FROM due d)) d (merchant_id, task_id) " \
	"WHERE t.merchant_id = d.merchant_id AND t.task_id = d.task_id " \
	"RETURNING t.merchant_id, t.task_id, t.lease, t.kind, t.order_id, t.subject_type, t.subject_id, t.payload, " \
	"t.attempts, t.leased_until, t.state, t.last_error"
#define CLAIM_TYPES {INT4OID, TEXTOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID}
#define CLAIM_NCOLUMNS 10

static OmsStatement statements[] = {
	[ST_ADD] = {ADD_COLUMNS "RETURNING task_id", 9, ADD_TYPES},
	[ST_ADD_ONCE] = {ADD_COLUMNS "ON CONFLICT (merchant_id, kind, dedup_key) WHERE dedup_key IS NOT NULL DO NOTHING "
	"RETURNING task_id", 9, ADD_TYPES},
	[ST_FIND] = {"SELECT t.task_id FROM oms.task t WHERE t.merchant_id = $1 AND t.kind = $2 AND t.dedup_key = $3",
	3, {INT4OID, TEXTOID, TEXTOID}},
	[ST_CLAIM] = {CLAIM("t.merchant_id = $1 AND "), 6, CLAIM_TYPES},
	[ST_CLAIM_ALL] = {CLAIM("$1 IS NULL AND "), 6, CLAIM_TYPES},
	[ST_LOCK] = {"SELECT t.state, t.lease, t.leased_by, t.leased_until, t.attempts, t.max_attempts, t.order_id, t.kind "
		"FROM oms.task t WHERE t.merchant_id = $1 AND t.task_id = $2 FOR NO KEY UPDATE", 2, {INT4OID, INT8OID}},
	[ST_EXTEND] = {"UPDATE oms.task SET leased_until = $3, run_at = $3 WHERE merchant_id = $1 AND task_id = $2",
	3, {INT4OID, INT8OID, TIMESTAMPTZOID}},
	[ST_DONE] = {"UPDATE oms.task SET state = 'done', done_at = $3, result = $4, leased_until = NULL, leased_by = NULL "
		"WHERE merchant_id = $1 AND task_id = $2", 4, {INT4OID, INT8OID, TIMESTAMPTZOID, JSONBOID}},
	[ST_FAILED] = {"UPDATE oms.task SET state = $3, run_at = $4, last_error = $5, leased_until = NULL, leased_by = NULL "
		"WHERE merchant_id = $1 AND task_id = $2", 5, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID}},
	[ST_RETRY] = {"UPDATE oms.task SET state = 'ready', run_at = $3, attempts = 0 "
		"WHERE merchant_id = $1 AND task_id = $2", 3, {INT4OID, INT8OID, TIMESTAMPTZOID}},
};

/* A task's row as its lock found it; valid until oms_end(). */
typedef struct Task
{
	char	   *state;
	int32		lease;
	char	   *leased_by;
	TimestampTz leased_until;
	int32		attempts;
	int32		max_attempts;
	int64		order_id;
	char	   *kind;
} Task;

/* Locks the task's row and reads it; OM002 when there is none. */
static void
lock_task(int32 merchant, int64 task_id, Task *task)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(task_id)};

	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("task", merchant, task_id);
	task->state = oms_get_text(0, 1);
	task->lease = oms_get_int32(0, 2);
	task->leased_by = oms_get_text(0, 3);
	task->leased_until = oms_get_int64(0, 4);
	task->attempts = oms_get_int32(0, 5);
	task->max_attempts = oms_get_int32(0, 6);
	task->order_id = oms_get_int64(0, 7);
	task->kind = oms_get_text(0, 8);
}

/*
 * Refuses (OM008) an answer under a lease that is not the task's last one, or
 * to a task nobody holds.  A lease that ran out but was not taken over still
 * counts: the work is done, and the row lock keeps others from taking it now.
 */
static void
require_lease(int64 task_id, const Task *task, int32 lease)
{
	if (strcmp(task->state, "leased") == 0 && task->lease == lease)
		return;
	ereport(ERROR,
			(errcode(OMS_STATE),
			 errmsg("lease %d of task " INT64_FORMAT " is lost", lease, task_id),
			 strcmp(task->state, "leased") == 0 ?
			 errdetail("The task is held by \"%s\" under lease %d.", task->leased_by, task->lease) :
			 errdetail("The task is %s; its last lease was %d.", task->state, task->lease),
			 errhint("Drop what was done and claim tasks again.")));
}

/* Says in the log that a task was given up, so that somebody can be told. */
static void
write_dead(int32 merchant, int64 task_id, int64 order_id, const char *kind, const char *error, const char *actor)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_text(&json, "kind", kind);
	oms_json_add_text(&json, "error", error);
	event.merchant = merchant;
	event.subject_type = "task";
	event.subject_id = task_id;
	event.order_id = order_id;
	event.type = "task.dead";
	event.actor = actor;
	event.data = oms_json_end(&json);
	(void) oms_event_write(&event);
}

/* Length of a lease in microseconds: days have 24 hours, months are refused. */
static TimestampTz
lease_end(FunctionCallInfo fcinfo, int n)
{
	Interval   *lease;
	int64		usecs;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is missing", "lease_time"),
				 errdetail("It may not be null.")));
	lease = PG_GETARG_INTERVAL_P(n);
	usecs = lease->month == 0 && lease->day >= 0 && lease->day <= 7 && lease->time >= 0 && lease->time <= MAX_LEASE ?
		lease->day * USECS_PER_DAY + lease->time : 0;
	if (usecs <= 0 || usecs > MAX_LEASE)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", "lease_time"),
				 errdetail("%s was given; more than 0 and at most 7 days are allowed.",
						   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(lease))))));
	return oms_now() + usecs;
}

/*
 * Writes a task inside oms_begin() and returns its id; with a dedup_key that
 * was used before for the kind, the id of that task.
 */
int64
oms_task_add(int32 merchant, const char *kind, int64 order_id, const char *subject_type,
			 int64 subject_id, const char *dedup_key, Datum payload)
{
	return oms_task_add_at(merchant, kind, order_id, subject_type, subject_id, dedup_key, payload, oms_now());
}

/* Writes the task without a statement and returns its id; 0: SQL must try. */
static int64
insert_task(const Datum *values, const char *nulls)
{
	static const int columns[] = {
		TASK_MERCHANT, TASK_KIND, TASK_ORDER, TASK_SUBJECT_TYPE, TASK_SUBJECT_ID, TASK_DEDUP_KEY, TASK_PAYLOAD, TASK_RUN_AT,
		TASK_CREATED_AT
	};
	OmsRows    *rows = oms_rows_for(&target);
	bool		isnull;

	if (!oms_rows_without_sql(rows))
		return 0;
	for (int i = 0; i < lengthof(columns); i++)
		if (nulls[i] == ' ')
			oms_rows_set(rows, columns[i], values[i]);
	oms_rows_add(rows);
	if (!oms_rows_insert_new(rows))
		return 0;
	return DatumGetInt64(heap_getattr(rows->rows[0], TASK_ID, rows->table->desc, &isnull));
}

/* The same, to be claimed at run_at. */
int64
oms_task_add_at(int32 merchant, const char *kind, int64 order_id, const char *subject_type,
				int64 subject_id, const char *dedup_key, Datum payload, TimestampTz run_at)
{
	Datum		values[9];
	char		nulls[10] = "         ";
	int64		task_id;

	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(kind);
	values[2] = Int64GetDatum(order_id);
	values[3] = subject_type != NULL ? CStringGetTextDatum(subject_type) : (Datum) 0;
	values[4] = Int64GetDatum(subject_id);
	values[5] = dedup_key != NULL ? CStringGetTextDatum(dedup_key) : (Datum) 0;
	values[6] = payload;
	values[7] = TimestampTzGetDatum(run_at);
	values[8] = TimestampTzGetDatum(oms_now());
	if (order_id == 0)
		nulls[2] = 'n';
	if (subject_type == NULL)
		nulls[3] = nulls[4] = 'n';
	if (dedup_key == NULL)
		nulls[5] = 'n';
	if (payload == (Datum) 0)
		nulls[6] = 'n';
	else if ((task_id = insert_task(values, nulls)) != 0)
		return task_id;
	if (oms_run(&statements[dedup_key == NULL ? ST_ADD : ST_ADD_ONCE], values, nulls) == 0)
	{
		Datum		key[3] = {values[0], values[1], values[5]};

		if (oms_run(&statements[ST_FIND], key, NULL) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("task \"%s\" was made by a transaction this one cannot see", dedup_key),
					 errhint("Run the transaction again.")));
	}
	return oms_get_int64(0, 1);
}

/* SQL: add_task(merchant, kind, payload, dedup_key, order_id) -> task id. */
Datum
oms_add_task(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *kind = oms_arg_text(fcinfo, 1, "kind", OMS_KEY_LENGTH);
	Datum		payload = PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2);
	char	   *dedup_key = oms_arg_text_or_null(fcinfo, 3, "dedup_key", OMS_KEY_LENGTH);
	int64		order_id = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4);
	int64		result;

	oms_begin();
	oms_event_require_merchant(merchant);
	if (order_id != 0)
		oms_event_require_order(merchant, order_id);
	result = oms_task_add(merchant, kind, order_id, NULL, 0, dedup_key, payload);
	oms_end();
	PG_RETURN_INT64(result);
}

/*
 * SQL: claim_tasks(merchant, kind, n, lease_time, worker) -> tasks that are due.
 * Takes their row locks, skipping rows that others hold; merchant null: all.
 */
Datum
oms_claim_tasks(PG_FUNCTION_ARGS)
{
	bool		all = PG_ARGISNULL(0);
	int32		merchant = all ? 0 : oms_arg_merchant(fcinfo);
	char	   *kind = oms_arg_text(fcinfo, 1, "kind", OMS_KEY_LENGTH);
	int32		n = oms_arg_int32(fcinfo, 2, "n");
	TimestampTz until = lease_end(fcinfo, 3);
	const char *worker = oms_arg_text_or_null(fcinfo, 4, "worker", OMS_KEY_LENGTH);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[6];
	char		nulls[7] = "      ";
	uint64		rows,
				ndead = 0;

	if (n < 1 || n > MAX_CLAIM)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", "n"),
				 errdetail("%d was given; 1 to %d are allowed.", n, MAX_CLAIM)));
	if (worker == NULL)
		worker = oms_calling_role();
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(kind);
	values[2] = TimestampTzGetDatum(oms_now());
	values[3] = Int64GetDatum(n);
	values[4] = TimestampTzGetDatum(until);
	values[5] = CStringGetTextDatum(worker);
	if (all)
		nulls[0] = 'n';
	rows = oms_run(&statements[all ? ST_CLAIM_ALL : ST_CLAIM], values, nulls);
	for (uint64 row = 0; row < rows; row++)
	{
		Datum		out[CLAIM_NCOLUMNS];
		bool		isnull[CLAIM_NCOLUMNS];

		if (strcmp(oms_get_text(row, 11), "dead") == 0)
		{
			ndead++;
			continue;
		}
		for (int i = 0; i < CLAIM_NCOLUMNS; i++)
			out[i] = oms_get(row, i + 1, &isnull[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, out, isnull);
	}
	if (ndead > 0)
	{
		/* Keep what the events say before their statements replace the result. */
		struct
		{
			int32		merchant;
			int64		task_id;
			int64		order_id;
			char	   *error;
		}		   *dead = palloc(sizeof(*dead) * ndead);
		uint64		i = 0;

		for (uint64 row = 0; row < rows; row++)
		{
			if (strcmp(oms_get_text(row, 11), "dead") != 0)
				continue;
			dead[i].merchant = oms_get_int32(row, 1);
			dead[i].task_id = oms_get_int64(row, 2);
			dead[i].order_id = oms_get_int64(row, 5);
			dead[i].error = oms_get_text(row, 12);
			i++;
		}
		for (i = 0; i < ndead; i++)
			write_dead(dead[i].merchant, dead[i].task_id, dead[i].order_id, kind, dead[i].error, worker);
	}
	oms_end();
	return (Datum) 0;
}

/* SQL: extend_lease(merchant, task, lease, lease_time) -> new end of the lease.  Raises OM008 when it is lost. */
Datum
oms_extend_lease(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		task_id = oms_arg_int64(fcinfo, 1, "task");
	int32		lease = oms_arg_int32(fcinfo, 2, "lease");
	TimestampTz until = lease_end(fcinfo, 3);
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(task_id), TimestampTzGetDatum(until)};
	Task		task;

	oms_begin();
	lock_task(merchant, task_id, &task);
	require_lease(task_id, &task, lease);
	(void) oms_run(&statements[ST_EXTEND], values, NULL);
	oms_end();
	PG_RETURN_TIMESTAMPTZ(until);
}

/*
 * SQL: complete_task(merchant, task, lease, result) -> task id.
 * Again under the same lease it does nothing.  Raises OM008 when the lease is lost.
 */
Datum
oms_complete_task(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		task_id = oms_arg_int64(fcinfo, 1, "task");
	int32		lease = oms_arg_int32(fcinfo, 2, "lease");
	Datum		values[4] = {Int32GetDatum(merchant), Int64GetDatum(task_id), TimestampTzGetDatum(oms_now()),
		PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3)};
	char		nulls[5] = "    ";
	Task		task;

	if (PG_ARGISNULL(3))
		nulls[3] = 'n';
	oms_begin();
	lock_task(merchant, task_id, &task);
	if (strcmp(task.state, "done") != 0 || task.lease != lease)
	{
		require_lease(task_id, &task, lease);
		(void) oms_run(&statements[ST_DONE], values, nulls);
	}
	oms_end();
	PG_RETURN_INT64(task_id);
}

/*
 * SQL: fail_task(merchant, task, lease, error, retry) -> ready or dead.
 * Ready again after the backoff; dead when retry is false or the attempts are
 * used up, with an event.  Raises OM008 when the lease is lost.
 */
Datum
oms_fail_task(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		task_id = oms_arg_int64(fcinfo, 1, "task");
	int32		lease = oms_arg_int32(fcinfo, 2, "lease");
	char	   *error = oms_arg_text(fcinfo, 3, "error", OMS_TEXT_LENGTH);
	bool		retry = PG_ARGISNULL(4) || PG_GETARG_BOOL(4);
	int64		delay = BACKOFF_FIRST;
	const char *state;
	Datum		values[5];
	Task		task;

	oms_begin();
	lock_task(merchant, task_id, &task);
	require_lease(task_id, &task, lease);
	for (int i = 1; i < task.attempts && delay < BACKOFF_LAST; i++)
		delay *= 2;
	state = retry && task.attempts < task.max_attempts ? "ready" : "dead";
	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(task_id);
	values[2] = CStringGetTextDatum(state);
	values[3] = TimestampTzGetDatum(oms_now() + (*state == 'r' ? Min(delay, BACKOFF_LAST) : 0));
	values[4] = CStringGetTextDatum(error);
	(void) oms_run(&statements[ST_FAILED], values, NULL);
	if (*state == 'd')
		write_dead(merchant, task_id, task.order_id, task.kind, error, task.leased_by);
	oms_end();
	PG_RETURN_TEXT_P(cstring_to_text(state));
}

/* SQL: retry_task(merchant, task, actor, reason) -> task id.  A dead task is ready again; raises OM008 for others. */
Datum
oms_retry_task(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		task_id = oms_arg_int64(fcinfo, 1, "task");
	OmsEvent	event = {0};
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(task_id), TimestampTzGetDatum(oms_now())};
	Task		task;

	event.actor = oms_actor(fcinfo, 2);
	event.reason = oms_arg_text_or_null(fcinfo, 3, "reason", OMS_TEXT_LENGTH);
	oms_begin();
	lock_task(merchant, task_id, &task);
	if (strcmp(task.state, "dead") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("task " INT64_FORMAT " is %s", task_id, task.state),
				 errdetail("Only a dead task can be retried by hand."),
				 errhint("See view dead_letter.")));
	(void) oms_run(&statements[ST_RETRY], values, NULL);
	event.merchant = merchant;
	event.subject_type = "task";
	event.subject_id = task_id;
	event.order_id = task.order_id;
	event.type = "task.retried";
	(void) oms_event_write(&event);
	oms_end();
	PG_RETURN_INT64(task_id);
}
