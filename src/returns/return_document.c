/*-------------------------------------------------------------------------
 * return_document.c
 *	  Lines as returns are told them: [{"line": 1, "quantity": 2}, ...].
 *-------------------------------------------------------------------------
 */
#include "returns/return_internal.h"

#include "utils/jsonb.h"

/*
 * Reads the elements of an array of objects with a member "line", finds the
 * order's line for each and hands it to "field".  Raises OM003 with the path:
 * not an array of objects, unknown member, a line twice, no such line; OM011
 * when it is empty.
 */
void
oms_return_read_lines(OmsReturn *ret, Datum document, const char *name, const char *const *allowed, OmsReturnField field)
{
	JsonbContainer *array = &DatumGetJsonbP(document)->root;
	OmsPath		root = {NULL, name, 0};
	uint32		n;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array))
		oms_error_document(&root, NULL, "an array of objects");
	n = JsonContainerSize(array);
	if (n == 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" names no line", name),
				 errdetail("It is an empty array."),
				 errhint("Name at least one line, or give null for all.")));

	for (uint32 i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);
		OmsPath		path = {&root, NULL, (int) i};
		OmsReturnLine *line = NULL;
		int64		line_no;

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&path, NULL, "an object");
		oms_json_only(value->val.binary.data, &path, allowed);
		if (!oms_json_int64(value->val.binary.data, &path, "line", 1, PG_INT32_MAX, &line_no))
			oms_error_document(&path, "line", "a line number");
		for (int j = 0; j < ret->nlines && line == NULL; j++)
			if (ret->lines[j].line_no == line_no)
				line = &ret->lines[j];
		if (line == NULL)
			oms_error_document(&path, "line", psprintf("a line of order " INT64_FORMAT ", not " INT64_FORMAT, ret->order_id, line_no));
		if (line->changed)
			oms_error_document(&path, "line", psprintf("each line once, not line " INT64_FORMAT " again", line_no));
		line->changed = true;
		field(line, value->val.binary.data, &path);
	}
}
