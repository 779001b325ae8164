/*-------------------------------------------------------------------------
 * find.h
 *	  Rows by their primary key, without a statement: read, locked, updated.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_FIND_H
#define OMS_FIND_H

#include "access/skey.h"

#include "core/cache.h"

typedef enum OmsFound
{
	OMS_FOUND,
	OMS_NOT_FOUND,
	OMS_FIND_BY_SQL				/* the table is not a plain one, or not for this user */
} OmsFound;

/*
 * Whether the running user may read or write (ACL_SELECT, ACL_INSERT) the table
 * with no statement to check it: else SQL refuses, or does what it must.
 */
extern bool oms_may_skip_sql(Oid relid, AclMode mode);

/*
 * Reads columns, numbered as in the table's script, of the row of the cache's
 * only table that has the given primary key; sees what a statement run now
 * would.  Values are copied into the current memory context.
 */
extern OmsFound oms_find(OmsCache *table, ScanKey keys, int nkeys,
						 const int *columns, int ncolumns, Datum *values, bool *nulls);

#define OMS_KEYED_COLUMNS 16

/*
 * A statement on rows of a table by the whole primary key, or for reading by
 * the first columns of that or another index, which are the statement's first
 * parameters.  It is run where the table is not a plain one; else the same is
 * done without it.  Rows that a partial index leaves out are not wanted.
 */
typedef struct OmsKeyed
{
	OmsStatement sql;
	const char *table;
	const char *index;			/* to read by; null: the primary key */
	bool		guarded;		/* may write guarded columns */
	int			columns[OMS_KEYED_COLUMNS];	/* of an UPDATE: those that the parameters after the key are for, 0 after the last */
	/* below: private to find.c */
	struct OmsTarget *target;
} OmsKeyed;

/*
 * "SELECT * FROM oms.t WHERE ... ORDER BY the index": rows as oms_run() gives
 * them, columns numbered as in the table's script.
 */
extern uint64 oms_keyed_read(OmsKeyed *stmt, Datum *values);

/* The same for one row, with FOR NO KEY UPDATE: waits for others as that does. */
extern uint64 oms_keyed_lock(OmsKeyed *stmt, Datum *values);

/* "UPDATE oms.t SET ... WHERE ...": one row, or one for each of n sets of parameters; returns how many there were. */
extern uint64 oms_keyed_update(OmsKeyed *stmt, Datum *values, char *nulls);
extern uint64 oms_keyed_update_all(OmsKeyed *stmt, Datum **values, char **nulls, int n);

#endif							/* OMS_FIND_H */
