/*-------------------------------------------------------------------------
 * errors.c
 *	  Wordings shared by all domains.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "mb/pg_wchar.h"

char *
oms_clip(const char *text, int bytes)
{
	return pnstrdup(text, pg_mbcliplen(text, strlen(text), bytes));
}

void
oms_error_unknown(const char *what, int32 merchant, int64 id)
{
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("%s " INT64_FORMAT " does not exist", what, id),
			 errdetail("Merchant %d has no such %s.", merchant, what),
			 errhint("Check the id and the merchant.")));
}

void
oms_error_unknown_code(const char *what, int32 merchant, const char *code)
{
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("%s \"%s\" does not exist", what, oms_clip(code, 200)),
			 errdetail("Merchant %d has no such %s.", merchant, what),
			 errhint("Check the code and the merchant.")));
}
