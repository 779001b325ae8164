/*-------------------------------------------------------------------------
 * find.h
 *	  One row by its primary key, without a statement.
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

#endif							/* OMS_FIND_H */
