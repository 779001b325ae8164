/*-------------------------------------------------------------------------
 * purge.c
 *	  Retention: work that is done leaves, with what goes with it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "funcapi.h"

#include "core/guard.h"
#include "event/lookup.h"

PG_FUNCTION_INFO_V1(oms_purge_work);

#define PURGE_NCOLUMNS 3

enum
{
	ST_PURGE
};

static OmsStatement statements[] = {
	/* A message goes with the task that sent it, or stays with it. */
	[ST_PURGE] = {
		"WITH m AS (DELETE FROM oms.message m USING oms.sales_order o WHERE m.merchant_id = $1 AND m.created_at < $2 "
		"  AND o.merchant_id = $1 AND o.order_id = m.order_id AND o.lifecycle IN ('completed', 'cancelled') "
		"  AND NOT EXISTS (SELECT FROM oms.task t WHERE t.merchant_id = $1 AND t.order_id = m.order_id AND t.kind = 'send_message' "
		"   AND t.subject_type = 'message' AND t.subject_id = m.message_id AND (t.state <> 'done' OR t.done_at >= $2)) "
		"  RETURNING m.message_id), "
		"t AS (DELETE FROM oms.task t WHERE t.merchant_id = $1 AND t.state = 'done' AND t.done_at < $2 "
		"  AND (t.subject_type IS DISTINCT FROM 'message' OR t.subject_id IN (SELECT m.message_id FROM m) "
		"   OR NOT EXISTS (SELECT FROM oms.message x WHERE x.merchant_id = $1 AND x.message_id = t.subject_id)) RETURNING t.task_id), "
		"i AS (DELETE FROM oms.inbound_message i WHERE i.merchant_id = $1 AND i.last_at < $2 AND i.conflicts = 0 RETURNING i.id) "
		"SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM m), (SELECT count(*) FROM i)",
		2, {INT4OID, TIMESTAMPTZOID}
	},
};

/* SQL: purge_work(merchant, before) -> tasks, messages, inbound */
Datum
oms_purge_work(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	Datum		values[2] = {Int32GetDatum(merchant)};
	Datum		out[PURGE_NCOLUMNS];
	bool		nulls[PURGE_NCOLUMNS] = {false};
	TupleDesc	desc;
	int			i;

	oms_arg_require(fcinfo, 1, "before");
	oms_arg_not_future(fcinfo, 1, "before", "work", "1 year");
	get_call_result_type(fcinfo, NULL, &desc);
	desc = BlessTupleDesc(desc);
	oms_begin();
	oms_event_require_merchant(merchant);
	values[1] = PG_GETARG_DATUM(1);
	oms_run_guarded(&statements[ST_PURGE], values, NULL);
	for (i = 0; i < PURGE_NCOLUMNS; i++)
		out[i] = Int64GetDatum(oms_get_int64(0, i + 1));
	oms_end();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, out, nulls)));
}
