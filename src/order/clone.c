/*-------------------------------------------------------------------------
 * clone.c
 *	  An order placed once more, at prices of now.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/json.h"
#include "core/request.h"
#include "order/draft.h"
#include "order/link.h"
#include "order/place.h"

PG_FUNCTION_INFO_V1(oms_clone_order);

enum
{
	ST_DOCUMENT
};

static OmsStatement statements[] = {
	/* A line without an item makes the whole unusable: its SKU is named. */
	[ST_DOCUMENT] = {
		"SELECT jsonb_strip_nulls(jsonb_build_object('channel', o.channel_id, 'customer', o.customer_id, 'email', o.email, 'phone', o.phone, "
		"'language', o.language, 'ship_to', o.ship_to, 'bill_to', o.bill_to, 'instructions', o.instructions, 'origin', $3, "
		"'lines', l.lines)), l.unmapped FROM oms.sales_order o, "
		"(SELECT jsonb_agg(jsonb_build_object('item', item_id, 'quantity', ordered, 'instructions', instructions) ORDER BY line_no) AS lines, "
		"min(sku) FILTER (WHERE item_id IS NULL) AS unmapped FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2) l "
		"WHERE o.merchant_id = $1 AND o.order_id = $2",
		3, {INT4OID, INT8OID, TEXTOID}
	},
};

/* The document that places the items of an order once more, at prices of whenever it is placed; OM002, OM008. */
Datum
oms_clone_document(int32 merchant, int64 order_id, const char *origin)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(order_id), CStringGetTextDatum(origin)};
	bool		isnull;

	if (oms_run(&statements[ST_DOCUMENT], values, NULL) == 0)
		oms_error_unknown("order", merchant, order_id);
	if (!oms_is_null(0, 2))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " cannot be cloned", order_id),
				 errdetail("No item has its SKU \"%s\".", oms_get_text(0, 2)),
				 errhint("Insert an item or an alias with that SKU.")));
	return PointerGetDatum(DatumGetJsonbPCopy(oms_get(0, 1, &isnull)));
}

/* SQL: clone_order(merchant, order_id, request_key, actor, reason) */
Datum
oms_clone_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "clone_order", 2, &call, &result))
	{
		Datum		document = oms_clone_document(call.merchant, order_id, "clone");

		result = oms_draft_place(oms_draft_from_document(call.merchant, document, call.actor), NULL, 0);
		oms_order_link(call.merchant, order_id, result, "clone", call.actor, call.reason);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
