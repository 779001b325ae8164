/*-------------------------------------------------------------------------
 * rows.c
 *	  Many rows in one statement.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "utils/array.h"

#include "core/guard.h"
#include "core/insert.h"
#include "core/preview.h"

/* Rows of a table of schema oms, in the current memory context. */
OmsRows *
oms_rows_for(OmsTarget *target)
{
	OmsRows    *rows = palloc0(sizeof(OmsRows));
	int			natts;

	rows->target = target;
	rows->table = oms_table(target);
	natts = rows->table->desc->natts;
	rows->values = palloc(natts * sizeof(Datum));
	rows->nulls = palloc(natts * sizeof(bool));
	memset(rows->nulls, true, natts * sizeof(bool));
	return rows;
}

OmsRows *
oms_rows_begin(const char *table)
{
	return oms_rows_for(oms_target(table));
}

void
oms_rows_set(OmsRows *rows, int column, Datum value)
{
	rows->values[column - 1] = value;
	rows->nulls[column - 1] = false;
}

void
oms_rows_set_text(OmsRows *rows, int column, const char *value)
{
	if (value != NULL)
		oms_rows_set(rows, column, CStringGetTextDatum(value));
}

/* Fills the columns that are not given. */
static void
set_defaults(OmsRows *rows)
{
	const OmsTable *table = rows->table;
	int			i;

	if (table->ndefaults == 0)
		return;
	if (rows->context == NULL)
		rows->context = CreateStandaloneExprContext();
	for (i = 0; i < table->ndefaults; i++)
	{
		int			column = table->default_columns[i];

		rows->values[column] = ExecEvalExprSwitchContext(table->defaults[i], rows->context, &rows->nulls[column]);
	}
}

/* Ends the row being built and starts an empty one. */
void
oms_rows_add(OmsRows *rows)
{
	if (rows->n == rows->size)
	{
		rows->size = Max(8, rows->size * 2);
		rows->rows = rows->rows == NULL ? palloc(rows->size * sizeof(HeapTuple)) :
			repalloc_huge(rows->rows, rows->size * sizeof(HeapTuple));
	}
	set_defaults(rows);
	rows->rows[rows->n++] = heap_form_tuple(rows->table->desc, rows->values, rows->nulls);
	if (rows->context != NULL)
		ResetExprContext(rows->context);
	memset(rows->nulls, true, rows->table->desc->natts * sizeof(bool));
}

uint64
oms_rows_run(OmsStatement *stmt, OmsRows **sets, int n)
{
	Datum		arrays[OMS_MAX_ARGS];
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		OmsRows    *rows = sets[i];
		Datum	   *values = palloc(rows->n * sizeof(Datum));

		/* The table was made again since the plan was: its row type is another one. */
		if (stmt->plan != NULL && stmt->argtypes[i] != rows->table->array_type)
		{
			SPI_freeplan(stmt->plan);
			stmt->plan = NULL;
		}
		stmt->argtypes[i] = rows->table->array_type;
		for (j = 0; j < rows->n; j++)
			values[j] = HeapTupleGetDatum(rows->rows[j]);
		arrays[i] = PointerGetDatum(construct_array(values, rows->n, rows->table->row_type, -1, false, TYPALIGN_DOUBLE));
		rows->n = 0;
	}
	return oms_run_guarded(stmt, arrays, NULL);
}

void
oms_rows_insert(OmsStatement *stmt, OmsRows **sets, int n)
{
	bool		plain = true;
	int			i;

	for (i = 0; i < n && plain; i++)
		plain = oms_table_is_plain(sets[i]->table);
	if (plain)
		oms_insert_rows(sets, n);
	else
		(void) oms_rows_run(stmt, sets, n);
}

bool
oms_rows_without_sql(const OmsRows *rows)
{
	return oms_table_is_plain(rows->table) && rows->table->triggers == NULL && !oms_previewing;
}

bool
oms_rows_insert_new(OmsRows *rows)
{
	return oms_rows_without_sql(rows) && oms_insert_new_row(rows);
}
