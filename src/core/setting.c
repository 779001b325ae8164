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
static OmsStatement channel_exists = {
	"SELECT 1 FROM oms.channel WHERE merchant_id = $1 AND channel_id = $2",
	2, {INT4OID, INT4OID}, NULL
};

/*
 * BEFORE INSERT OR UPDATE row on setting: the setting and the channel exist
 * (OM002), and the value is one of those allowed (OM011).  A null is left to the column's constraint, which comes later.
 */
Datum
oms_setting_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	bool		noname;
	bool		novalue;
	bool		nomerchant;
	bool		nochannel;
	Datum		values[2];
	Datum		channel[2];

	channel[0] = oms_row_get(trigdata, tuple, 1, &nomerchant);
	channel[1] = oms_row_get(trigdata, tuple, 2, &nochannel);
	values[0] = oms_row_get(trigdata, tuple, 3, &noname);
	values[1] = oms_row_get(trigdata, tuple, 4, &novalue);
	if (nomerchant || nochannel || noname || novalue)
		return PointerGetDatum(tuple);
	oms_begin_trigger(trigdata);
	if (DatumGetInt32(channel[1]) != 0 && oms_run(&channel_exists, channel, NULL) == 0)
		oms_error_unknown("channel", DatumGetInt32(channel[0]), DatumGetInt32(channel[1]));
	if (oms_run(&allowed, values, NULL) == 0)
		oms_error_unknown_code("setting", DatumGetInt32(channel[0]), TextDatumGetCString(values[0]));
	if (!oms_get_bool(0, 2))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("setting \"%s\" cannot be \"%s\"", TextDatumGetCString(values[0]), oms_clip(TextDatumGetCString(values[1]), 200)),
				 errdetail("Allowed: %s.", oms_get_text(0, 1))));
	oms_end();
	return PointerGetDatum(tuple);
}
