/*-------------------------------------------------------------------------
 * guard.h
 *	  Tables that only a command may write, and parents that stay.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_GUARD_H
#define OMS_GUARD_H

extern uint64 oms_run_guarded(OmsStatement *stmt, Datum *values, const char *nulls);
extern bool oms_guard_is_open(void);
/* Opens the guard until oms_guard_leave() is given what this returned, which the caller does on failure too. */
extern int	oms_guard_enter(void);
extern void oms_guard_leave(int before);
extern Datum oms_guard_parent(PG_FUNCTION_ARGS);
extern void oms_statement_abort(int nest_level);

/* Refuses with OM009: what may not be written by hand, and the way out. */
pg_noreturn extern void oms_error_guarded(Relation rel, const char *detail, const char *hint);

/* Refuses (class OM) a trigger function called otherwise than as the trigger it is. */
extern TriggerData *oms_trigger_data(FunctionCallInfo fcinfo);

/* Columns of a row in a trigger. */
extern Datum oms_row_get(TriggerData *trigdata, HeapTuple tuple, int column, bool *isnull);
extern bool oms_row_same(TriggerData *trigdata, int column);

/* A row's columns, read once: the last ones of a wide row are far. */
typedef struct OmsRow
{
	Datum	   *values;			/* of column n at n - 1 */
	bool	   *nulls;
} OmsRow;

extern OmsRow oms_row_read(TriggerData *trigdata, HeapTuple tuple);
extern bool oms_row_agrees(TriggerData *trigdata, const OmsRow *old, const OmsRow *new, int column);

#endif							/* OMS_GUARD_H */
