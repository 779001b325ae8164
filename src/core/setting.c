/*-------------------------------------------------------------------------
 * setting.c
 *	  The guard of the settings table.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"

PG_FUNCTION_INFO_V1(oms_setting_guard);

static OmsStatement allowed = {
	"SELECT array_to_string(allowed, ', '), allowed IS NULL OR $2 = ANY(allowed) FROM oms.setting_definition WHERE name = $1",
	2, {TEXTOID, TEXTOID}, NULL
};

/*
 * BEFORE INSERT OR UPDATE row on setting: the value is one of those allowed
 * (OM011).  A null is left to the column's constraint, which comes later.
 */
Datum
oms_setting_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	bool		noname;
	bool		novalue;
	Datum		values[2];

	values[0] = oms_row_get(trigdata, tuple, 3, &noname);
	values[1] = oms_row_get(trigdata, tuple, 4, &novalue);
	if (noname || novalue)
		return PointerGetDatum(tuple);
	oms_begin_trigger(trigdata);
	if (oms_run(&allowed, values, NULL) > 0 && !oms_get_bool(0, 2))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("setting \"%s\" cannot be \"%s\"", TextDatumGetCString(values[0]), TextDatumGetCString(values[1])),
				 errdetail("Allowed: %s.", oms_get_text(0, 1))));
	oms_end();
	return PointerGetDatum(tuple);
}
