/*-------------------------------------------------------------------------
 * available.c
 *	  What may be promised of a list of items, in one pass over the gate's
 *	  counters.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/xlog.h"
#include "utils/array.h"
#include "utils/inval.h"

#include "inventory/inventory.h"

PG_FUNCTION_INFO_V1(oms_available_list);

enum
{
	ST_BY_ROWS
};

static OmsStatement statements[] = {
	[ST_BY_ROWS] = {
		"SELECT oms.available($1, i.item, $3) FROM unnest($2) WITH ORDINALITY i (item, n) ORDER BY i.n",
		3, {INT4OID, INT8ARRAYOID, INT4OID}
	},
};

/* Answers the items that no counter could answer, from the rows. */
static void
answer_by_rows(int32 merchant, int32 location, Datum *items, const int *unknown, int n, Datum *available)
{
	Datum	   *wanted = palloc(n * sizeof(Datum));
	Datum		values[3];
	char		nulls[3] = {' ', ' ', location == 0 ? 'n' : ' '};
	int			i;

	for (i = 0; i < n; i++)
		wanted[i] = items[unknown[i]];
	values[0] = Int32GetDatum(merchant);
	values[1] = PointerGetDatum(construct_array(wanted, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = Int32GetDatum(location);
	oms_begin();
	(void) oms_run_read_only(&statements[ST_BY_ROWS], values, nulls);
	for (i = 0; i < n; i++)
		available[unknown[i]] = Int64GetDatum(oms_get_int64(i, 1));
	oms_end();
}

/* SQL: available(merchant, items, location) */
Datum
oms_available_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	OmsGateKey	key = {oms_arg_merchant(fcinfo)};
	Datum	   *items;
	bool	   *nulls;
	Datum	   *available;
	int		   *unknown;
	int			n;
	int			nunknown = 0;
	int			i;

	oms_arg_require(fcinfo, 1, "items");
	key.location = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &items, &nulls, &n);
	InitMaterializedSRF(fcinfo, 0);
	available = palloc(n * sizeof(Datum));
	unknown = palloc(n * sizeof(int));
	/* Counters may be outdated by what this session has not heard of yet. */
	AcceptInvalidationMessages();
	for (i = 0; i < n; i++)
	{
		int64		counter;

		if (nulls[i])
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"items\" has a null")));
		key.item = DatumGetInt64(items[i]);
		if (key.location > 0 && !RecoveryInProgress() && oms_gate_peek(&key, &counter))
			available[i] = Int64GetDatum(counter);
		else
			unknown[nunknown++] = i;
	}
	if (nunknown > 0)
		answer_by_rows(key.merchant, key.location, items, unknown, nunknown, available);
	for (i = 0; i < n; i++)
	{
		Datum		values[2] = {items[i], available[i]};
		bool		isnull[2] = {false, false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, isnull);
	}
	return (Datum) 0;
}
