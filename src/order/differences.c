/*-------------------------------------------------------------------------
 * differences.c
 *	  order_differences(): how a repeated document differs from the order it
 *	  already is.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/json.h"
#include "core/money.h"
#include "order/draft.h"
#include "order/place.h"

PG_FUNCTION_INFO_V1(oms_order_differences);

enum
{
	ST_ORDER,
	ST_LINES
};

static OmsStatement statements[] = {
	[ST_ORDER] = {
		"SELECT customer_id::text, email, phone, instructions, gift_note, ship_to::text, bill_to::text, "
		"subtotal::text, discount::text, shipping::text, charges::text, tax::text, total::text, placed_at "
		"FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_LINES] = {
		"SELECT sku, ordered, trim_scale(unit_price)::text, total::text, tax::text, instructions FROM oms.order_line "
		"WHERE merchant_id = $1 AND order_id = $2 ORDER BY line_no",
		2, {INT4OID, INT8OID}
	},
};

/* A field of the row set, where the two differ. */
static void
compare(ReturnSetInfo *rsinfo, const char *field, const char *stored, const char *given)
{
	Datum		values[3];
	bool		nulls[3] = {false, stored == NULL, given == NULL};

	if (stored == NULL ? given == NULL : given != NULL && strcmp(stored, given) == 0)
		return;
	values[0] = CStringGetTextDatum(field);
	values[1] = stored == NULL ? (Datum) 0 : CStringGetTextDatum(stored);
	values[2] = given == NULL ? (Datum) 0 : CStringGetTextDatum(given);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static char *
jsonb_text(Datum value)
{
	return value == (Datum) 0 ? NULL : DatumGetCString(DirectFunctionCall1(jsonb_out, value));
}

static void
compare_order(ReturnSetInfo *rsinfo, const OmsDraft *draft)
{
	int			exponent = draft->exponent;

	compare(rsinfo, "customer", oms_get_text(0, 1),
			draft->customer_id == 0 ? NULL : psprintf(INT64_FORMAT, draft->customer_id));
	compare(rsinfo, "email", oms_get_text(0, 2), draft->email);
	compare(rsinfo, "phone", oms_get_text(0, 3), draft->phone);
	compare(rsinfo, "instructions", oms_get_text(0, 4), draft->instructions);
	compare(rsinfo, "gift_note", oms_get_text(0, 5), draft->gift_note);
	compare(rsinfo, "ship_to", oms_get_text(0, 6), jsonb_text(draft->ship_to));
	compare(rsinfo, "bill_to", oms_get_text(0, 7), jsonb_text(draft->bill_to));
	compare(rsinfo, "subtotal", oms_get_text(0, 8), oms_money_text(draft->subtotal, exponent));
	compare(rsinfo, "discount", oms_get_text(0, 9), oms_money_text(draft->discount, exponent));
	compare(rsinfo, "shipping", oms_get_text(0, 10), oms_money_text(draft->shipping, exponent));
	compare(rsinfo, "charges", oms_get_text(0, 11), oms_money_text(draft->other_charges, exponent));
	compare(rsinfo, "tax", oms_get_text(0, 12), oms_money_text(draft->tax, exponent));
	compare(rsinfo, "total", oms_get_text(0, 13), oms_money_text(draft->total, exponent));
}

static void
compare_lines(ReturnSetInfo *rsinfo, const OmsDraft *draft, int stored)
{
	int			i;

	for (i = 0; i < Max(stored, draft->nlines); i++)
	{
		const OmsDraftLine *line = i < draft->nlines ? &draft->lines[i] : NULL;
		bool		there = i < stored;
		const char *quantity = there ? psprintf("%d", oms_get_int32(i, 2)) : NULL;

		compare(rsinfo, psprintf("lines[%d].sku", i), there ? oms_get_text(i, 1) : NULL, line ? line->sku : NULL);
		compare(rsinfo, psprintf("lines[%d].quantity", i), quantity, line ? psprintf("%d", line->quantity) : NULL);
		compare(rsinfo, psprintf("lines[%d].unit_price", i), there ? oms_get_text(i, 3) : NULL,
				line ? oms_price_text(line->unit_price) : NULL);
		compare(rsinfo, psprintf("lines[%d].total", i), there ? oms_get_text(i, 4) : NULL,
				line ? oms_money_text(line->total, draft->exponent) : NULL);
		compare(rsinfo, psprintf("lines[%d].tax", i), there ? oms_get_text(i, 5) : NULL,
				line ? oms_money_text(line->tax, draft->exponent) : NULL);
		compare(rsinfo, psprintf("lines[%d].instructions", i), there ? oms_get_text(i, 6) : NULL,
				line ? line->instructions : NULL);
	}
}

/* SQL: order_differences(merchant, document) */
Datum
oms_order_differences(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	OmsDraft   *draft;
	Datum		values[2];
	int64		order_id;

	oms_arg_require(fcinfo, 1, "document");
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	draft = oms_draft_from_document(merchant, PG_GETARG_DATUM(1), oms_calling_role());
	order_id = oms_draft_existing(draft);
	if (order_id == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("the document is no order yet"),
				 errdetail("Channel %d has no order with external reference %s.", draft->channel,
						   draft->external_ref == NULL ? "(none given)" : draft->external_ref),
				 errhint("Place it with place_order().")));
	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(order_id);
	oms_run(&statements[ST_ORDER], values, NULL);
	/* As if it had come when the order did: prices have changed since, items are no longer sold. */
	if (!draft->placed_at_given)
		draft->placed_at = oms_get_int64(0, 14);
	draft->compared = true;
	oms_draft_resolve(draft);
	oms_run(&statements[ST_ORDER], values, NULL);
	compare_order(rsinfo, draft);
	compare_lines(rsinfo, draft, (int) oms_run(&statements[ST_LINES], values, NULL));
	oms_end();
	return (Datum) 0;
}
