/*-------------------------------------------------------------------------
 * statement.c
 *	  The statement registry: SPI plans prepared once and kept, run with the
 *	  search_path pinned, and the guard that lets only commands write derived
 *	  tables.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "catalog/namespace.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/guard.h"
#include "core/module.h"

/* What oms_end() gives back of a frame opened by oms_begin*(). */
typedef struct OmsFrame
{
	int			nest_level;		/* transaction nest level it belongs to */
	int			guc_level;		/* 0: search_path was already pinned */
	Oid			userid;			/* InvalidOid: the user was not switched */
	int			sec_context;
	OmsCommand	command;
	ErrorContextCallback on_error;
} OmsFrame;

#define MAX_FRAMES 64

static OmsFrame frames[MAX_FRAMES];
static int	nframes = 0;

/* Depth of statements that may write guarded tables; see guard.c. */
static int	guard_open = 0;

/* oms.lock_wait: how long a command waits for a lock, in ms; the session's lock_timeout where that is shorter. */
static int	lock_wait = 15000;
static int	outer_lock_timeout;

/* Called once, when the module is loaded. */
void
oms_statement_init(void)
{
	DefineCustomIntVariable("oms.lock_wait",
							"How long a command waits for a row that another one has locked before it raises OM015.",
							"0: without end. The session's lock_timeout counts where it is shorter.",
							&lock_wait, 15000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

/*
 * Within oms there is one code for "somebody else has it, try again": a lock
 * that was waited for too long, and a deadlock, are OM015.
 */
static void
on_error(void *arg)
{
	int			code = geterrcode();

	if (code != ERRCODE_LOCK_NOT_AVAILABLE && code != ERRCODE_T_R_DEADLOCK_DETECTED)
		return;
	errcode(OMS_BUSY);
	errhint("Another transaction has what this one needs. Nothing was written: run it again.");
}

/*
 * Drops the frames that an abort left behind; PostgreSQL itself gives back
 * user, settings and SPI.
 */
void
oms_statement_abort(int nest_level)
{
	bool		any = nframes > 0;

	while (nframes > 0 && frames[nframes - 1].nest_level >= nest_level)
		nframes--;
	if (any && nframes == 0)
		LockTimeout = outer_lock_timeout;
	if (nest_level <= 1)
		guard_open = 0;
}

/*
 * Opens SPI with search_path pinned and waits for locks bounded.  Functions
 * declared with SET search_path find it pinned already and pay nothing.
 */
void
oms_begin(void)
{
	OmsFrame   *frame;

	if (nframes >= MAX_FRAMES)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("oms calls are nested too deeply"),
				 errhint("A trigger or hook calls oms from within oms without end.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("SPI_connect failed")));
	if (nframes == 0)
	{
		outer_lock_timeout = LockTimeout;
		if (lock_wait > 0 && (LockTimeout == 0 || LockTimeout > lock_wait))
			LockTimeout = lock_wait;
	}
	frame = &frames[nframes++];
	frame->on_error.callback = on_error;
	frame->on_error.previous = error_context_stack;
	error_context_stack = &frame->on_error;
	frame->nest_level = GetCurrentTransactionNestLevel();
	frame->guc_level = 0;
	frame->userid = InvalidOid;
	memset(&frame->command, 0, sizeof(frame->command));
	if (strcmp(namespace_search_path, OMS_SEARCH_PATH) != 0)
	{
		frame->guc_level = NewGUCNestLevel();
		(void) set_config_option("search_path", OMS_SEARCH_PATH,
								 PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
}

/*
 * The same for a trigger, which runs as whoever typed the statement: its SQL
 * runs with the rights of the table's owner, as foreign keys do.
 */
void
oms_begin_trigger(TriggerData *trigdata)
{
	OmsFrame   *frame;
	Oid			owner = trigdata->tg_relation->rd_rel->relowner;

	oms_begin();
	frame = &frames[nframes - 1];
	GetUserIdAndSecContext(&frame->userid, &frame->sec_context);
	SetUserIdAndSecContext(owner, frame->sec_context | SECURITY_LOCAL_USERID_CHANGE);
}

/* Closes what oms_begin() or oms_begin_trigger() opened. */
void
oms_end(void)
{
	OmsFrame   *frame = &frames[--nframes];

	if (OidIsValid(frame->userid))
		SetUserIdAndSecContext(frame->userid, frame->sec_context);
	if (frame->guc_level > 0)
		AtEOXact_GUC(true, frame->guc_level);
	SPI_finish();
	error_context_stack = frame->on_error.previous;
	if (nframes == 0)
		LockTimeout = outer_lock_timeout;
}

/* Says who does the running command and why, until its oms_end(). */
void
oms_command(const char *actor, const char *reason, const char *correlation_id)
{
	OmsCommand *command = &frames[nframes - 1].command;

	command->actor = actor;
	command->reason = reason;
	command->correlation_id = correlation_id;
}

/* Until the running command's oms_end() nothing of it makes a message. */
void
oms_command_quiet(void)
{
	frames[nframes - 1].command.quiet = true;
}

/* The innermost command that said so; null when the statement was typed by hand. */
const OmsCommand *
oms_current_command(void)
{
	int			i;

	for (i = nframes - 1; i >= 0; i--)
		if (frames[i].command.actor != NULL)
			return &frames[i].command;
	return NULL;
}

/* Prepares the statement on first use; a generic plan is kept for good. */
static void
prepare(OmsStatement *stmt)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(stmt->sql, stmt->nargs, stmt->argtypes,
										  CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not prepare a statement of oms: %s", SPI_result_code_string(SPI_result)),
				 errdetail("%s", stmt->sql)));
	if (SPI_keepplan(plan) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not keep a statement of oms")));
	stmt->plan = plan;
}

/*
 * A plan made while a table was empty may read the whole of it later.
 * Statistics bring a new plan, but not within the transaction that fills the
 * table, so a session plans everything anew after its 200th, 2,000th, ...
 * statement.  This reaches the plans of foreign keys too.
 */
static void
count_run(void)
{
	static uint64 runs = 0;
	static uint64 next = 200;

	if (++runs >= next && next <= 2000000)
	{
		next *= 10;
		ResetPlanCache();
	}
}

static pg_noinline uint64
run(OmsStatement *stmt, Datum *values, const char *nulls, bool read_only, long limit)
{
	int			result;

	if (stmt->plan == NULL)
		prepare(stmt);
	count_run();
	result = SPI_execute_plan(stmt->plan, values, nulls, read_only, limit);
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run a statement of oms: %s", SPI_result_code_string(result)),
				 errdetail("%s", stmt->sql)));
	return SPI_processed;
}

/* Runs the statement, sees and makes changes; returns the number of rows. */
uint64
oms_run(OmsStatement *stmt, Datum *values, const char *nulls)
{
	return run(stmt, values, nulls, false, 0);
}

/* Runs a SELECT under the snapshot of the calling query. */
uint64
oms_run_read_only(OmsStatement *stmt, Datum *values, const char *nulls)
{
	return run(stmt, values, nulls, true, 0);
}

/* Runs the statement until it gave so many rows. */
uint64
oms_run_limit(OmsStatement *stmt, Datum *values, const char *nulls, long limit)
{
	return run(stmt, values, nulls, false, limit);
}

/* Opens a cursor on a SELECT; close it with SPI_cursor_close(). */
Portal
oms_open_cursor(OmsStatement *stmt, Datum *values, const char *nulls)
{
	if (stmt->plan == NULL)
		prepare(stmt);
	return SPI_cursor_open(NULL, stmt->plan, values, nulls, false);
}

/* Runs a SELECT under the given snapshot. */
uint64
oms_run_snapshot(OmsStatement *stmt, Datum *values, const char *nulls, Snapshot snapshot)
{
	int			result;

	if (stmt->plan == NULL)
		prepare(stmt);
	result = SPI_execute_snapshot(stmt->plan, values, nulls, snapshot, InvalidSnapshot, true, false, 0);
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run a statement of oms: %s", SPI_result_code_string(result)),
				 errdetail("%s", stmt->sql)));
	return SPI_processed;
}

/* Runs a SELECT as of now, own changes included, also in a transaction that is to see an older snapshot. */
uint64
oms_run_latest(OmsStatement *stmt, Datum *values, const char *nulls)
{
	CommandCounterIncrement();
	return oms_run_snapshot(stmt, values, nulls, GetLatestSnapshot());
}

/* Runs a statement that may write guarded columns and tables. */
uint64
oms_run_guarded(OmsStatement *stmt, Datum *values, const char *nulls)
{
	int			saved = guard_open;
	uint64		rows;

	PG_TRY();
	{
		guard_open = saved + 1;
		rows = run(stmt, values, nulls, false, 0);
	}
	PG_FINALLY();
	{
		guard_open = saved;
	}
	PG_END_TRY();
	return rows;
}

int
oms_guard_enter(void)
{
	return guard_open++;
}

void
oms_guard_leave(int before)
{
	guard_open = before;
}

/* Whether the running statement is one of a command's that may write guarded tables. */
bool
oms_guard_is_open(void)
{
	return guard_open > 0;
}

Datum
oms_get(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

bool
oms_is_null(uint64 row, int column)
{
	bool		isnull;

	(void) oms_get(row, column, &isnull);
	return isnull;
}

/* Numbers: null reads as 0. */
int64
oms_get_int64(uint64 row, int column)
{
	bool		isnull;
	Datum		value = oms_get(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
oms_get_int32(uint64 row, int column)
{
	bool		isnull;
	Datum		value = oms_get(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
oms_get_bool(uint64 row, int column)
{
	bool		isnull;
	Datum		value = oms_get(row, column, &isnull);

	return isnull ? false : DatumGetBool(value);
}

/* A text column as C string, null as null; lives until oms_end(). */
char *
oms_get_text(uint64 row, int column)
{
	bool		isnull;
	Datum		value = oms_get(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* Copies a value into the memory of whoever called before oms_begin(). */
Datum
oms_copy_out(Datum value, bool typbyval, int typlen)
{
	return SPI_datumTransfer(value, typbyval, typlen);
}
