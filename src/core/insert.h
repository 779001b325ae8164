/*-------------------------------------------------------------------------
 * insert.h
 *	  What rows.c and insert.c share: tables as they are written without SQL.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_INSERT_H
#define OMS_INSERT_H

#include "nodes/execnodes.h"

#include "core/rows.h"

typedef struct OmsTable
{
	MemoryContext context;
	Oid			relid;
	Oid			row_type;
	Oid			array_type;
	TupleDesc	desc;
	bool		plain;			/* the catalog allows to insert without SQL */
	TriggerDesc *triggers;		/* null: none */
	FmgrInfo   *trigger_functions;	/* side by side with them */
	const bool *required;		/* columns that may not be null */
	bool		checked;		/* has constraints beside those */
	int			ndefaults;		/* of the columns that are not given, where it is plain */
	int		   *default_columns;	/* from 0 */
	ExprState **defaults;
	int			nindexes;
	Oid		   *index_oids;
	IndexInfo **indexes;		/* to be copied: with compiled expressions */
	ExprState **conditions;		/* of triggers, one each; null: none, or the executor reads it */
	ExprState **checks;			/* null: none, or the executor reads them */
	bool		keyed;			/* the catalog allows to read and update by the primary key without SQL */
	Oid			primary_key;
	int			nkeys;			/* its columns */
} OmsTable;

/* A target of rows that SQL inserts. */
extern OmsTarget *oms_target(const char *table);

/* The target's table, locked until the transaction ends; OM015 when there is none. */
extern OmsTable *oms_table(OmsTarget *target);

/* Whether the running user may insert into it now without SQL. */
extern bool oms_table_is_plain(const OmsTable *table);

/* Inserts the only row, of a plain table without triggers, unless another has one of its unique keys or comes by it: false then. */
extern bool oms_insert_new_row(OmsRows *rows);

/* Inserts the rows of plain tables as one guarded statement would. */
extern void oms_insert_rows(OmsRows **sets, int n);

/*
 * The parts of a statement that the executor is not asked to start: its state,
 * with a snapshot that sees all that was done before; a table, whose indexes
 * are opened when one is to be written; and the end, after which what follows
 * sees the rows.
 */
extern EState *oms_write_begin(void);
extern ResultRelInfo *oms_write_table(EState *estate, const OmsTable *table);
extern void oms_write_indexes(EState *estate, const OmsTable *table, ResultRelInfo *info, TupleTableSlot *slot);
extern void oms_write_close(ResultRelInfo *info);
extern void oms_write_end(EState *estate);

#endif							/* OMS_INSERT_H */
