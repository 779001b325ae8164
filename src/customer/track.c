/*-------------------------------------------------------------------------
 * track.c
 *	  The secret behind tracking links: each merchant has one from the start,
 *	  so that tokens can be made and checked by reading alone.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/rel.h"

#include "core/guard.h"

PG_FUNCTION_INFO_V1(oms_track_secret_seed);

enum
{
	ST_SEED
};

static OmsStatement statements[] = {
	/* Two of version 4: 244 bits of the server's strong random numbers. */
	[ST_SEED] = {"INSERT INTO oms.track_secret (merchant_id, secret) "
		"VALUES ($1, gen_random_uuid()::text || gen_random_uuid()::text) ON CONFLICT (merchant_id) DO NOTHING",
	1, {INT4OID}},
};

/* AFTER INSERT row on merchant. */
Datum
oms_track_secret_seed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		isnull;
	Datum		values[1];

	values[0] = oms_row_get(trigdata, trigdata->tg_trigtuple,
							SPI_fnumber(RelationGetDescr(trigdata->tg_relation), "merchant_id"), &isnull);
	oms_begin_trigger(trigdata);
	(void) oms_run(&statements[ST_SEED], values, NULL);
	oms_end();
	return PointerGetDatum(NULL);
}
