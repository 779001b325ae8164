/*-------------------------------------------------------------------------
 * rows.c
 *	  Many rows in one statement.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "core/guard.h"
#include "core/rows.h"

/* Rows of a table of schema oms, in the current memory context. */
OmsRows *
oms_rows_begin(const char *table)
{
	OmsRows    *rows = palloc0(sizeof(OmsRows));
	TupleDesc	desc;
	Oid			relid = get_relname_relid(table, get_namespace_oid("oms", false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(OMS_NOT_INSTALLED),
				 errmsg("table oms.%s does not exist", table),
				 errhint("Run CALL oms.install();")));
	rows->row_type = get_rel_type_id(relid);
	rows->array_type = get_array_type(rows->row_type);
	desc = lookup_rowtype_tupdesc(rows->row_type, -1);
	rows->desc = CreateTupleDescCopy(desc);
	ReleaseTupleDesc(desc);
	rows->values = palloc(rows->desc->natts * sizeof(Datum));
	rows->nulls = palloc(rows->desc->natts * sizeof(bool));
	memset(rows->nulls, true, rows->desc->natts * sizeof(bool));
	return rows;
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

/* Ends the row being built and starts an empty one. */
void
oms_rows_add(OmsRows *rows)
{
	if (rows->n == rows->size)
	{
		rows->size = Max(8, rows->size * 2);
		rows->rows = rows->rows == NULL ? palloc(rows->size * sizeof(Datum)) :
			repalloc_huge(rows->rows, rows->size * sizeof(Datum));
	}
	rows->rows[rows->n++] = HeapTupleGetDatum(heap_form_tuple(rows->desc, rows->values, rows->nulls));
	memset(rows->nulls, true, rows->desc->natts * sizeof(bool));
}

uint64
oms_rows_run(OmsStatement *stmt, OmsRows **sets, int n)
{
	Datum		arrays[OMS_MAX_ARGS];
	int			i;

	for (i = 0; i < n; i++)
	{
		OmsRows    *rows = sets[i];

		/* The table was made again since the plan was: its row type is another one. */
		if (stmt->plan != NULL && stmt->argtypes[i] != rows->array_type)
		{
			SPI_freeplan(stmt->plan);
			stmt->plan = NULL;
		}
		stmt->argtypes[i] = rows->array_type;
		arrays[i] = PointerGetDatum(construct_array(rows->rows, rows->n, rows->row_type, -1, false, TYPALIGN_DOUBLE));
		rows->n = 0;
	}
	return oms_run_guarded(stmt, arrays, NULL);
}
