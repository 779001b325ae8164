/*-------------------------------------------------------------------------
 * rows.h
 *	  Many rows in one statement: an array of a table's row type as parameter.
 *
 *	  "INSERT INTO oms.t (a, b) SELECT a, b FROM unnest($1)" takes rows built in
 *	  C at a fraction of the cost of one statement a row, keeps defaults of
 *	  columns that others added, and routes like any other SQL.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_ROWS_H
#define OMS_ROWS_H

typedef struct OmsRows
{
	TupleDesc	desc;
	Oid			row_type;
	Oid			array_type;
	int			n;
	int			size;
	Datum	   *rows;
	Datum	   *values;			/* of the row being built, all columns */
	bool	   *nulls;
} OmsRows;

extern OmsRows *oms_rows_begin(const char *table);
/* Column by its number in the table's script; null values are just not set. */
extern void oms_rows_set(OmsRows *rows, int column, Datum value);
extern void oms_rows_set_text(OmsRows *rows, int column, const char *value);
extern void oms_rows_add(OmsRows *rows);
/* Runs a guarded statement whose parameters are these sets of rows, in order; then empties them. */
extern uint64 oms_rows_run(OmsStatement *stmt, OmsRows **sets, int n);

#endif							/* OMS_ROWS_H */
