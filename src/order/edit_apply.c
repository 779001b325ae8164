/*-------------------------------------------------------------------------
 * edit_apply.c
 *	  Writes a planned edit: a row for the order, its lines in one statement,
 *	  and nothing about stock unless a quantity changes.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/fmgrprotos.h"

#include "core/find.h"
#include "core/guard.h"
#include "fulfilment/promise.h"
#include "order/columns.h"
#include "order/edit.h"
#include "order/sourcing.h"

enum
{
	ST_NEW_CHARGE,
	ST_SOURCING_NUMBER
};

static OmsStatement statements[] = {
	[ST_NEW_CHARGE] = {
		"INSERT INTO oms.order_charge (merchant_id, order_id, charge_no, amount, tax, total, kind, description, tax_rate) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		9, {INT4OID, INT8OID, INT4OID, NUMERICOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID, NUMERICOID}
	},
	[ST_SOURCING_NUMBER] = {
		"SELECT coalesce(max(sourcing_id), 0) + 1 FROM oms.sourcing WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
};

/* Always written: the revision rises with it. */
static OmsKeyed write_totals = {
	{
		"UPDATE oms.sales_order SET subtotal = $3, discount = $4, shipping = $5, charges = $6, tax = $7, total = $8 "
		"WHERE merchant_id = $1 AND order_id = $2",
		8, {INT4OID, INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID}
	},
	.table = "sales_order", .guarded = true,
	.columns = {ORDER_SUBTOTAL, ORDER_DISCOUNT, ORDER_SHIPPING, ORDER_CHARGES, ORDER_TAX, ORDER_TOTAL}
};
static OmsKeyed write_all = {
	{
		"UPDATE oms.sales_order SET subtotal = $3, discount = $4, shipping = $5, charges = $6, tax = $7, total = $8, "
		"ship_to = $9, bill_to = $10, instructions = $11, gift_note = $12 WHERE merchant_id = $1 AND order_id = $2",
		12, {INT4OID, INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, JSONBOID, JSONBOID, TEXTOID, TEXTOID}
	},
	.table = "sales_order", .guarded = true,
	.columns = {ORDER_SUBTOTAL, ORDER_DISCOUNT, ORDER_SHIPPING, ORDER_CHARGES, ORDER_TAX, ORDER_TOTAL, ORDER_SHIP_TO, ORDER_BILL_TO,
	ORDER_INSTRUCTIONS, ORDER_GIFT_NOTE}
};
static OmsKeyed write_line = {
	{
		"UPDATE oms.order_line SET ordered = $4, cancelled = $5, allocated = $6, backordered = $7, unit_price = $8, discount = $9, "
		"tax = $10, total = $11 WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		11, {INT4OID, INT8OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID}
	},
	.table = "order_line", .guarded = true,
	.columns = {LINE_ORDERED, LINE_CANCELLED, LINE_ALLOCATED, LINE_BACKORDERED, LINE_UNIT_PRICE, LINE_DISCOUNT, LINE_TAX, LINE_TOTAL}
};
static OmsKeyed write_charge = {
	{
		"UPDATE oms.order_charge SET amount = $4, tax = $5, total = $6 WHERE merchant_id = $1 AND order_id = $2 AND charge_no = $3",
		6, {INT4OID, INT8OID, INT4OID, NUMERICOID, NUMERICOID, NUMERICOID}
	},
	.table = "order_charge", .guarded = true, .columns = {CHARGE_AMOUNT, CHARGE_TAX, CHARGE_TOTAL}
};

static void
write_order(const OmsEdit *edit)
{
	int			exponent = edit->head->exponent;
	Datum		values[12];
	char		nulls[12 + 1] = "            ";
	bool		texts = false;
	int			i;

	values[0] = Int32GetDatum(edit->head->merchant);
	values[1] = Int64GetDatum(edit->head->order_id);
	values[2] = oms_scaled_to_numeric(edit->now.subtotal, exponent);
	values[3] = oms_scaled_to_numeric(edit->now.discount, exponent);
	values[4] = oms_scaled_to_numeric(edit->now.shipping, exponent);
	values[5] = oms_scaled_to_numeric(edit->now.charges, exponent);
	values[6] = oms_scaled_to_numeric(edit->now.tax, exponent);
	values[7] = oms_scaled_to_numeric(edit->now.total, exponent);
	for (i = 0; i < OMS_EDIT_TEXTS; i++)
		texts |= edit->texts[i] != edit->texts_were[i];
	for (i = 0; i < OMS_EDIT_TEXTS && texts; i++)
	{
		nulls[8 + i] = edit->texts[i] == NULL ? 'n' : ' ';
		if (edit->texts[i] != NULL)
			values[8 + i] = i <= OMS_EDIT_BILL_TO ? DirectFunctionCall1(jsonb_in, CStringGetDatum(edit->texts[i])) :
				CStringGetTextDatum(edit->texts[i]);
	}
	oms_keyed_update(texts ? &write_all : &write_totals, values, nulls);
}

static void
write_charges(const OmsEdit *edit)
{
	int			exponent = edit->head->exponent;
	Datum		values[9];
	char		nulls[9 + 1] = "         ";
	int			i;

	values[0] = Int32GetDatum(edit->head->merchant);
	values[1] = Int64GetDatum(edit->head->order_id);
	for (i = 0; i < edit->ncharges; i++)
	{
		const OmsEditCharge *charge = &edit->charges[i];

		if (!charge->added && charge->now.amount == charge->was.amount)
			continue;
		values[2] = Int32GetDatum(charge->charge_no);
		values[3] = oms_scaled_to_numeric(charge->now.amount, exponent);
		values[4] = oms_scaled_to_numeric(charge->now.tax, exponent);
		values[5] = oms_scaled_to_numeric(charge->now.total, exponent);
		if (!charge->added)
		{
			oms_keyed_update(&write_charge, values, NULL);
			continue;
		}
		values[6] = CStringGetTextDatum(charge->now.kind);
		values[7] = charge->now.description == NULL ? (Datum) 0 : CStringGetTextDatum(charge->now.description);
		nulls[7] = charge->now.description == NULL ? 'n' : ' ';
		values[8] = oms_price_to_numeric(charge->now.tax_rate, 0);
		oms_run_guarded(&statements[ST_NEW_CHARGE], values, nulls);
	}
}

/* Writes the lines that change; returns how many. */
static int
write_lines(OmsEdit *edit)
{
	int			exponent = edit->head->exponent;
	Datum	  **values = palloc((edit->nlines + 1) * sizeof(Datum *));
	char	  **nulls = palloc0((edit->nlines + 1) * sizeof(char *));
	int			n = 0;
	int			i;

	for (i = 0; i < edit->nlines; i++)
	{
		const OmsEditLine *line = &edit->lines[i];
		const OmsEditFigures *now = &line->now;
		Datum	   *row;

		if (memcmp(&line->was, now, sizeof(*now)) == 0)
			continue;
		if (line->from_promise > 0)
			oms_promise_release_spare(edit->head->merchant, edit->head->order_id, line->line_no, line->from_promise, &edit->freed);
		row = values[n++] = palloc(11 * sizeof(Datum));
		row[0] = Int32GetDatum(edit->head->merchant);
		row[1] = Int64GetDatum(edit->head->order_id);
		row[2] = Int32GetDatum(line->line_no);
		row[3] = Int32GetDatum(now->ordered);
		row[4] = Int32GetDatum(now->cancelled);
		row[5] = Int32GetDatum(now->allocated);
		row[6] = Int32GetDatum(now->backordered);
		row[7] = now->unit_price == line->was.unit_price ? line->given_price : oms_price_to_numeric(now->unit_price, exponent);
		row[8] = oms_scaled_to_numeric(now->discount, exponent);
		row[9] = oms_scaled_to_numeric(now->tax, exponent);
		row[10] = oms_scaled_to_numeric(now->total, exponent);
	}
	if (n > 0)
		oms_keyed_update_all(&write_line, values, nulls, n);
	return n;
}

/* New lines and promises; before the others are counted, so that the order is never without units in between. */
static void
write_draft(const OmsEdit *edit)
{
	OmsDraft   *draft = edit->draft;
	Datum		values[2] = {Int32GetDatum(draft->merchant), Int64GetDatum(draft->order_id)};

	if (draft->nlines == 0)
		return;
	oms_draft_append(draft);
	if (draft->sourcing != NULL)
	{
		oms_run(&statements[ST_SOURCING_NUMBER], values, NULL);
		draft->sourcing->number = oms_get_int32(0, 1);
		oms_sourcing_write(&draft, 1);
	}
}

void
oms_edit_apply(OmsEdit *edit)
{
	write_order(edit);
	write_charges(edit);
	write_draft(edit);
	if (write_lines(edit) == 0)
		oms_order_refresh(edit->head->merchant, edit->head->order_id);
	if (edit->draft->noverrides > 0)
		oms_price_overrides_write(&edit->draft, 1);
	if (edit->priced != NULL)
		oms_price_overrides_write(&edit->priced, 1);
	oms_draft_append_waiting(edit->draft);
}
