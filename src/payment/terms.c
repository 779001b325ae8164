/*-------------------------------------------------------------------------
 * terms.c
 *	  Payment terms of orders: copied when an order gets them.  What falls due
 *	  when follows in views.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "payment/credit_limit.h"

PG_FUNCTION_INFO_V1(oms_set_terms);

enum
{
	ST_KNOWN,
	ST_CLEAR,
	ST_COPY
};

static OmsStatement statements[] = {
	[ST_KNOWN] = {"SELECT FROM oms.payment_term WHERE merchant_id = $1 AND code = $2", 2, {INT4OID, TEXTOID}},
	[ST_CLEAR] = {"DELETE FROM oms.order_term_part WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}},
	[ST_COPY] = {
		"INSERT INTO oms.order_term_part (merchant_id, part_no, order_id, days, discount_days, month_end, event, share, discount_percent, amount, required_before, code) "
		"SELECT $1, p.part_no, o.order_id, p.days, p.discount_days, p.month_end, p.event, p.share, p.discount_percent, p.amount, p.required_before, p.code "
		"FROM unnest($2, $3) o (order_id, code) JOIN oms.payment_term_part p ON p.merchant_id = $1 AND p.code = o.code",
		3, {INT4OID, INT8ARRAYOID, TEXTARRAYOID}
	},
};

/* Copies the parts of terms to orders; returns how many. */
static uint64
copy(int32 merchant, Datum *orders, Datum *codes, int n)
{
	Datum		values[3] = {Int32GetDatum(merchant)};

	values[1] = PointerGetDatum(construct_array(orders, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = PointerGetDatum(construct_array(codes, n, TEXTOID, -1, false, TYPALIGN_INT));
	return oms_run_guarded(&statements[ST_COPY], values, NULL);
}

/* See credit_limit.h. */
void
oms_terms_write(OmsDraft **drafts, int n)
{
	Datum	   *orders = palloc(n * sizeof(Datum));
	Datum	   *codes = palloc(n * sizeof(Datum));
	int			count = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (drafts[i]->terms == NULL || drafts[i]->repeated)
			continue;
		orders[count] = Int64GetDatum(drafts[i]->order_id);
		codes[count++] = CStringGetTextDatum(drafts[i]->terms);
	}
	if (count > 0)
		(void) copy(drafts[0]->merchant, orders, codes, count);
}

/* SQL: set_terms(merchant, order_id, terms, request_key, actor, reason) */
Datum
oms_set_terms(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *terms = oms_arg_text_or_null(fcinfo, 2, "terms", OMS_KEY_LENGTH);
	OmsCall		call;
	OmsOrderHead head;
	OmsJson		json;
	Datum		values[2];
	Datum		order = Int64GetDatum(order_id);
	int64		result;

	if (oms_call_repeated(fcinfo, "set_terms", 3, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_id, &head);
	if (strcmp(head.lifecycle, "cancelled") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is cancelled", order_id),
				 errhint("Nothing falls due for it.")));
	values[0] = Int32GetDatum(call.merchant);
	values[1] = order;
	oms_run_guarded(&statements[ST_CLEAR], values, NULL);
	result = 0;
	if (terms != NULL)
	{
		values[1] = CStringGetTextDatum(terms);
		if (oms_run(&statements[ST_KNOWN], values, NULL) == 0)
			oms_error_unknown_code("payment term", call.merchant, terms);
		result = (int64) copy(call.merchant, &order, &values[1], 1);
		if (result == 0)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("payment term \"%s\" has no parts", terms),
					 errhint("Add them to oms.payment_term_part.")));
	}
	oms_json_begin(&json);
	oms_json_add_text(&json, "terms", terms);
	oms_event_of_order(call.merchant, order_id, "order.terms_set", NULL, NULL, oms_json_end(&json));
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}
