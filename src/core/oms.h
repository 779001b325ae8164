/*-------------------------------------------------------------------------
 * oms.h
 *	  What every file of oms includes: PostgreSQL's headers, error helpers,
 *	  argument checks and the statement registry.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_H
#define OMS_H

#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"

/* The search_path of everything that runs inside oms; SQL text names schema oms. */
#define OMS_SEARCH_PATH "pg_catalog, pg_temp"

/*
 * One SQL text that C runs: declared once in the static table of its domain,
 * prepared on first use, kept for the life of the backend.
 */
#define OMS_MAX_ARGS 32

typedef struct OmsStatement
{
	const char *sql;
	int			nargs;
	Oid			argtypes[OMS_MAX_ARGS];
	SPIPlanPtr	plan;
} OmsStatement;

/* Who does a command and why: what its events and those of its triggers say. */
typedef struct OmsCommand
{
	const char *actor;
	const char *reason;
	const char *correlation_id;
	bool		quiet;			/* the customer is told nothing */
} OmsCommand;

/* statement.c */
extern void oms_begin(void);
extern void oms_begin_trigger(TriggerData *trigdata);
extern void oms_end(void);
extern void oms_command(const char *actor, const char *reason, const char *correlation_id);
extern void oms_command_quiet(void);
extern const OmsCommand *oms_current_command(void);
extern uint64 oms_run(OmsStatement *stmt, Datum *values, const char *nulls);
extern uint64 oms_run_read_only(OmsStatement *stmt, Datum *values, const char *nulls);
extern uint64 oms_run_limit(OmsStatement *stmt, Datum *values, const char *nulls, long limit);
extern Portal oms_open_cursor(OmsStatement *stmt, Datum *values, const char *nulls);
extern uint64 oms_run_latest(OmsStatement *stmt, Datum *values, const char *nulls);
extern uint64 oms_run_snapshot(OmsStatement *stmt, Datum *values, const char *nulls, Snapshot snapshot);
extern Datum oms_get(uint64 row, int column, bool *isnull);
extern int64 oms_get_int64(uint64 row, int column);
extern int32 oms_get_int32(uint64 row, int column);
extern bool oms_get_bool(uint64 row, int column);
extern char *oms_get_text(uint64 row, int column);
extern bool oms_is_null(uint64 row, int column);
extern Datum oms_copy_out(Datum value, bool typbyval, int typlen);

/* args.c: arguments of SQL functions; a missing one is OM011 naming it */
extern void oms_arg_require(FunctionCallInfo fcinfo, int n, const char *name);
/* Of the instant before which something is purged, as what of such an age: OM011 when it is still to come. */
extern void oms_arg_not_future(FunctionCallInfo fcinfo, int n, const char *name, const char *what, const char *age);
extern int32 oms_arg_int32(FunctionCallInfo fcinfo, int n, const char *name);
extern int64 oms_arg_int64(FunctionCallInfo fcinfo, int n, const char *name);
extern int32 oms_arg_merchant(FunctionCallInfo fcinfo);
extern char *oms_arg_text(FunctionCallInfo fcinfo, int n, const char *name, int maxlen);
extern char *oms_arg_text_or_null(FunctionCallInfo fcinfo, int n, const char *name, int maxlen);
extern const char *oms_actor(FunctionCallInfo fcinfo, int n);
extern const char *oms_calling_role(void);
extern bool oms_caller_has(const char *role);

/* clock.c: the one source of time; transaction start unless a superuser's test setting moves it */
extern TimestampTz oms_now(void);

#define OMS_KEY_LENGTH 200		/* request keys, references, codes, SKUs */
#define OMS_TEXT_LENGTH 4000	/* reasons, instructions, notes */

#endif							/* OMS_H */
