/*-------------------------------------------------------------------------
 * comments.c
 *	  A view's column that shows a table's column means the same, so it is
 *	  described once.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "catalog/pg_class.h"
#include "commands/comment.h"

#include "core/comments.h"

/* For each undescribed column of a view, the comment of the like-named column of the nearest relation it reads. */
static OmsStatement undescribed = {
	"WITH RECURSIVE reads (view_id, relation_id) AS ("
	"  SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r"
	"  JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v' AND c.relnamespace::regnamespace::text IN ('oms', 'oms_report')"
	"  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid"
	"    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class),"
	" reach (view_id, relation_id, steps) AS ("
	"  SELECT view_id, relation_id, 1 FROM reads"
	"  UNION SELECT reach.view_id, reads.relation_id, steps + 1 FROM reach JOIN reads ON reads.view_id = reach.relation_id)"
	" SELECT DISTINCT ON (v.attrelid, v.attnum) v.attrelid, v.attnum, s.description"
	" FROM reach"
	" JOIN pg_attribute v ON v.attrelid = reach.view_id AND v.attnum > 0"
	" JOIN pg_attribute t ON t.attrelid = reach.relation_id AND t.attname = v.attname"
	" JOIN pg_class c ON c.oid = reach.relation_id"
	" JOIN pg_description s ON s.objoid = t.attrelid AND s.objsubid = t.attnum AND s.classoid = 'pg_class'::regclass"
	" WHERE col_description(v.attrelid, v.attnum) IS NULL"
	" ORDER BY v.attrelid, v.attnum, steps, c.relname"
};

void
oms_describe_views(void)
{
	uint64		n;

	oms_begin();
	n = oms_run(&undescribed, NULL, NULL);
	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;
		Oid			view = DatumGetObjectId(oms_get(row, 1, &isnull));
		int16		column = DatumGetInt16(oms_get(row, 2, &isnull));

		CreateComments(view, RelationRelationId, column, oms_get_text(row, 3));
	}
	oms_end();
}
