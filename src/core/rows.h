/*-------------------------------------------------------------------------
 * rows.h
 *	  Many rows in one statement: an array of a table's row type as parameter.
 *
 *	  "INSERT INTO oms.t (a, b) SELECT a, b FROM unnest($1)" takes rows built in
 *	  C at a fraction of the cost of one statement a row, keeps defaults of
 *	  columns that others added, and routes like any other SQL.  Where the table
 *	  is a plain one the same is done without the statement (insert.c).
 *-------------------------------------------------------------------------
 */
#ifndef OMS_ROWS_H
#define OMS_ROWS_H

struct OmsTable;

/* A table of schema oms and the columns that its rows are given; the others have their defaults. */
typedef struct OmsTarget
{
	const char *table;
	const char *columns;		/* separated by ", "; null: only SQL writes it */
	/* below: private to insert.c */
	struct OmsTarget *next;
	struct OmsTable *known;
	bool		listed;
	bool		valid;
} OmsTarget;

typedef struct OmsRows
{
	OmsTarget  *target;
	struct OmsTable *table;
	struct ExprContext *context;	/* of defaults, made when the first is computed */
	int			n;
	int			size;
	HeapTuple  *rows;
	Datum	   *values;			/* of the row being built, all columns */
	bool	   *nulls;
} OmsRows;

/* Rows for oms_rows_run(); for oms_rows_insert*(). */
extern OmsRows *oms_rows_begin(const char *table);
extern OmsRows *oms_rows_for(OmsTarget *target);
/* Column by its number in the table's script; null values are just not set. */
extern void oms_rows_set(OmsRows *rows, int column, Datum value);
extern void oms_rows_set_text(OmsRows *rows, int column, const char *value);
extern void oms_rows_add(OmsRows *rows);
/* Runs a guarded statement whose parameters are these sets of rows, in order; then empties them. */
extern uint64 oms_rows_run(OmsStatement *stmt, OmsRows **sets, int n);
/* The same for a statement that does nothing but insert each set into its table. */
extern void oms_rows_insert(OmsStatement *stmt, OmsRows **sets, int n);
/*
 * For one row, unless one of its unique keys is there already: inserts it and
 * returns true.  False says nothing but that SQL must try.
 */
extern bool oms_rows_insert_new(OmsRows *rows);
/* Whether it can at all: to be asked before a row is added whose defaults draw an id. */
extern bool oms_rows_without_sql(const OmsRows *rows);

#endif							/* OMS_ROWS_H */
