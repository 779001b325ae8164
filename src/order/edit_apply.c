/*-------------------------------------------------------------------------
 * edit_apply.c
 *	  Writes a planned edit: a row for the order, its lines in one statement,
 *	  and nothing about stock unless a quantity changes.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "fulfilment/promise.h"
#include "order/edit.h"
#include "order/sourcing.h"

enum
{
	ST_ORDER,
	ST_LINES,
	ST_CHARGE,
	ST_NEW_CHARGE,
	ST_SOURCING_NUMBER
};

static OmsStatement statements[] = {
	/* Always written: the revision rises with it. */
	[ST_ORDER] = {
		"UPDATE oms.sales_order SET subtotal = $3, discount = $4, shipping = $5, charges = $6, tax = $7, total = $8, "
		"ship_to = $9::jsonb, bill_to = $10::jsonb, instructions = $11, gift_note = $12 WHERE merchant_id = $1 AND order_id = $2",
		12, {INT4OID, INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	},
	/* Of the prices only those that change: one keeps its digits as it was given. */
	[ST_LINES] = {
		"UPDATE oms.order_line l SET ordered = v.ordered, cancelled = v.cancelled, allocated = v.allocated, backordered = v.backordered, "
		"unit_price = coalesce(v.unit_price, l.unit_price), discount = v.discount, tax = v.tax, total = v.total "
		"FROM unnest($3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[]) "
		"v(line_no, ordered, cancelled, allocated, backordered, unit_price, discount, tax, total) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no",
		11, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
		NUMERICARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID}
	},
	[ST_CHARGE] = {
		"UPDATE oms.order_charge SET amount = $4, tax = $5, total = $6 WHERE merchant_id = $1 AND order_id = $2 AND charge_no = $3",
		6, {INT4OID, INT8OID, INT4OID, NUMERICOID, NUMERICOID, NUMERICOID}
	},
	[ST_NEW_CHARGE] = {
		"INSERT INTO oms.order_charge (merchant_id, order_id, charge_no, amount, tax, total, kind, description, tax_rate) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		9, {INT4OID, INT8OID, INT4OID, NUMERICOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID, NUMERICOID}
	},
	[ST_SOURCING_NUMBER] = {
		"SELECT coalesce(max(sourcing_id), 0) + 1 FROM oms.sourcing WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
};

static void
write_order(const OmsEdit *edit)
{
	int			exponent = edit->head->exponent;
	Datum		values[12];
	char		nulls[12 + 1] = "            ";
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
	{
		values[8 + i] = edit->texts[i] == NULL ? (Datum) 0 : CStringGetTextDatum(edit->texts[i]);
		nulls[8 + i] = edit->texts[i] == NULL ? 'n' : ' ';
	}
	oms_run_guarded(&statements[ST_ORDER], values, nulls);
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
			oms_run_guarded(&statements[ST_CHARGE], values, NULL);
			continue;
		}
		values[6] = CStringGetTextDatum(charge->now.kind);
		values[7] = charge->now.description == NULL ? (Datum) 0 : CStringGetTextDatum(charge->now.description);
		nulls[7] = charge->now.description == NULL ? 'n' : ' ';
		values[8] = oms_price_to_numeric(charge->now.tax_rate, 0);
		oms_run_guarded(&statements[ST_NEW_CHARGE], values, nulls);
	}
}

static Datum
numeric_array(Datum *elements, bool *nulls, int n)
{
	int			lower = 1;

	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower, NUMERICOID, -1, false, TYPALIGN_INT));
}

/* Writes the lines that change; returns how many. */
static int
write_lines(OmsEdit *edit)
{
	int			exponent = edit->head->exponent;
	Datum	   *columns[9];
	bool	   *same_price = palloc((edit->nlines + 1) * sizeof(bool));
	Datum		values[11];
	int			n = 0;
	int			i;

	for (i = 0; i < lengthof(columns); i++)
		columns[i] = palloc((edit->nlines + 1) * sizeof(Datum));
	for (i = 0; i < edit->nlines; i++)
	{
		const OmsEditLine *line = &edit->lines[i];
		const OmsEditFigures *now = &line->now;

		if (memcmp(&line->was, now, sizeof(*now)) == 0)
			continue;
		if (line->from_promise > 0)
			oms_promise_release_spare(edit->head->merchant, edit->head->order_id, line->line_no, line->from_promise, &edit->freed);
		columns[0][n] = Int32GetDatum(line->line_no);
		columns[1][n] = Int32GetDatum(now->ordered);
		columns[2][n] = Int32GetDatum(now->cancelled);
		columns[3][n] = Int32GetDatum(now->allocated);
		columns[4][n] = Int32GetDatum(now->backordered);
		same_price[n] = now->unit_price == line->was.unit_price;
		columns[5][n] = oms_price_to_numeric(now->unit_price, exponent);
		columns[6][n] = oms_scaled_to_numeric(now->discount, exponent);
		columns[7][n] = oms_scaled_to_numeric(now->tax, exponent);
		columns[8][n] = oms_scaled_to_numeric(now->total, exponent);
		n++;
	}
	if (n == 0)
		return 0;
	values[0] = Int32GetDatum(edit->head->merchant);
	values[1] = Int64GetDatum(edit->head->order_id);
	for (i = 0; i < lengthof(columns); i++)
		values[2 + i] = i < 5 ? PointerGetDatum(construct_array(columns[i], n, INT4OID, sizeof(int32), true, TYPALIGN_INT)) :
			numeric_array(columns[i], i == 5 ? same_price : NULL, n);
	oms_run_guarded(&statements[ST_LINES], values, NULL);
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
