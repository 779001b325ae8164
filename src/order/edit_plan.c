/*-------------------------------------------------------------------------
 * edit_plan.c
 *	  What a change set makes of an order: read, computed by the routines of
 *	  placement, and told as differences.  Nothing is written here.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/fmgrprotos.h"

#include "core/find.h"
#include "core/json.h"
#include "inventory/bound.h"
#include "order/columns.h"
#include "order/edit.h"
#include "order/sourcing.h"

#define MAX_ACTIONS 1000

enum
{
	ST_INVOICED,
	ST_PARTS,
	ST_USED,
	ST_SHIPPING_REFUNDED
};

static OmsStatement statements[] = {
	[ST_INVOICED] = {
		"SELECT DISTINCT coalesce(line_no, 0), coalesce(charge_no, 0) FROM oms.invoiced WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	/* Parts of a kit line as they were at placement. */
	[ST_PARTS] = {
		"SELECT item_id, per_unit FROM oms.order_line_component WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3 ORDER BY 1",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_USED] = {
		"SELECT DISTINCT line_no, location_id FROM oms.reservation WHERE merchant_id = $1 AND order_id = $2 ORDER BY 1, 2",
		2, {INT4OID, INT8OID}
	},
	[ST_SHIPPING_REFUNDED] = {
		"SELECT coalesce(sum(shipping), 0) FROM oms.refund WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
};

static OmsKeyed invoices = {
	{"SELECT * FROM oms.invoice WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}},
	.table = "invoice", .index = "invoice_order"
};

/* The fields of the actions; those of add and charge are lines' and charges'. */
static const char *const quantity_fields[] = {"action", "line", "quantity", NULL};
static const char *const price_fields[] = {"action", "line", "unit_price", "price_reason", NULL};
static const char *const discount_fields[] = {"action", "line", "discount", NULL};
static const char *const remove_fields[] = {"action", "line", NULL};
static const char *const add_fields[] = {
	"action", "sku", "item", "quantity", "unit_price", "price_reason", "discount", "tax_rate", "tax", "title", "instructions", "unit", NULL
};
static const char *const address_fields[] = {"action", "ship_to", "bill_to", NULL};
static const char *const amount_fields[] = {"action", "charge", "amount", NULL};
static const char *const charge_fields[] = {"action", "kind", "description", "amount", "tax_rate", "tax", NULL};
static const char *const shipping_fields[] = {"action", "amount", NULL};
static const char *const notes_fields[] = {"action", "instructions", "gift_note", NULL};

/* A text or a document of the order's row, null as null. */
static char *
text_of(int column)
{
	bool		isnull;
	Datum		value = oms_get(0, column, &isnull);

	return isnull ? NULL : column == ORDER_SHIP_TO || column == ORDER_BILL_TO ? DatumGetCString(DirectFunctionCall1(jsonb_out, value)) :
		TextDatumGetCString(value);
}

/* Reads the order's own columns; true when invoices were issued for it. */
static bool
read_order(OmsEdit *edit)
{
	static const int columns[OMS_EDIT_TEXTS] = {ORDER_SHIP_TO, ORDER_BILL_TO, ORDER_INSTRUCTIONS, ORDER_GIFT_NOTE};
	Datum		values[2] = {Int32GetDatum(edit->head->merchant), Int64GetDatum(edit->head->order_id)};
	int			exponent = edit->head->exponent;
	int			i;

	oms_order_read(OMS_ORDER_ROW, edit->head->merchant, edit->head->order_id);
	edit->was.subtotal = oms_get_money(0, ORDER_SUBTOTAL, exponent);
	edit->was.discount = oms_get_money(0, ORDER_DISCOUNT, exponent);
	edit->was.shipping = oms_get_money(0, ORDER_SHIPPING, exponent);
	edit->was.charges = oms_get_money(0, ORDER_CHARGES, exponent);
	edit->was.tax = oms_get_money(0, ORDER_TAX, exponent);
	edit->was.total = oms_get_money(0, ORDER_TOTAL, exponent);
	edit->was.cancelled_total = oms_get_money(0, ORDER_CANCELLED_TOTAL, exponent);
	for (i = 0; i < OMS_EDIT_TEXTS; i++)
		edit->texts[i] = edit->texts_were[i] = text_of(columns[i]);
	return oms_keyed_read(&invoices, values) > 0;
}

static void
read_lines(OmsEdit *edit)
{
	int			exponent = edit->head->exponent;
	bool		isnull;
	int			i;

	edit->nlines = (int) oms_order_read(OMS_ORDER_LINES, edit->head->merchant, edit->head->order_id);
	edit->lines = palloc0((edit->nlines + 1) * sizeof(OmsEditLine));
	for (i = 0; i < edit->nlines; i++)
	{
		OmsEditLine *line = &edit->lines[i];

		line->line_no = oms_get_int32(i, LINE_NO);
		line->item = oms_get_int64(i, LINE_ITEM);
		line->sku = oms_get_text(i, LINE_SKU);
		line->picked = oms_get_int32(i, LINE_PICKED);
		line->shipped = oms_get_int32(i, LINE_SHIPPED);
		line->was.ordered = oms_get_int32(i, LINE_ORDERED);
		line->was.cancelled = oms_get_int32(i, LINE_CANCELLED);
		line->was.allocated = oms_get_int32(i, LINE_ALLOCATED);
		line->was.backordered = oms_get_int32(i, LINE_BACKORDERED);
		line->given_price = oms_get(i, LINE_UNIT_PRICE, &isnull);
		line->was.unit_price = oms_numeric_to_scaled(line->given_price, OMS_PRICE_SCALE, "unit_price");
		line->was.discount = oms_get_money(i, LINE_DISCOUNT, exponent);
		line->was.tax_rate = oms_numeric_to_scaled(oms_get(i, LINE_TAX_RATE, &isnull), OMS_PRICE_SCALE, "tax_rate");
		line->was.tax = oms_get_money(i, LINE_TAX, exponent);
		line->was.total = oms_get_money(i, LINE_TOTAL, exponent);
		line->now = line->was;
	}
}

static void
read_charges(OmsEdit *edit, int nactions)
{
	int			exponent = edit->head->exponent;
	bool		isnull;
	int			i;

	edit->ncharges = (int) oms_order_read(OMS_ORDER_CHARGES, edit->head->merchant, edit->head->order_id);
	edit->charges = palloc0((edit->ncharges + nactions) * sizeof(OmsEditCharge));
	for (i = 0; i < edit->ncharges; i++)
	{
		OmsEditCharge *charge = &edit->charges[i];

		charge->charge_no = oms_get_int32(i, CHARGE_NO);
		charge->was.kind = oms_get_text(i, CHARGE_KIND);
		charge->was.description = oms_get_text(i, CHARGE_DESCRIPTION);
		charge->was.amount = oms_get_money(i, CHARGE_AMOUNT, exponent);
		charge->was.tax_rate = oms_numeric_to_scaled(oms_get(i, CHARGE_TAX_RATE, &isnull), OMS_PRICE_SCALE, "tax_rate");
		charge->was.tax = oms_get_money(i, CHARGE_TAX, exponent);
		charge->was.total = oms_get_money(i, CHARGE_TOTAL, exponent);
		charge->now = charge->was;
	}
}

/* Marks lines and charges that stand on an invoice. */
static void
read_invoiced(OmsEdit *edit)
{
	Datum		values[2] = {Int32GetDatum(edit->head->merchant), Int64GetDatum(edit->head->order_id)};
	uint64		rows = oms_run(&statements[ST_INVOICED], values, NULL);
	uint64		row;
	int			i;

	for (row = 0; row < rows; row++)
	{
		for (i = 0; i < edit->nlines; i++)
			if (edit->lines[i].line_no == oms_get_int32(row, 1))
				edit->lines[i].invoiced = true;
		for (i = 0; i < edit->ncharges; i++)
			if (edit->charges[i].charge_no == oms_get_int32(row, 2))
				edit->charges[i].invoiced = true;
	}
}

/* The line that an action names; OM002. */
static OmsEditLine *
find_line(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	int64		line_no;
	int			i;

	if (!oms_json_int64(action, path, "line", 1, PG_INT32_MAX, &line_no))
		oms_error_document(path, "line", "the number of a line");
	for (i = 0; i < edit->nlines; i++)
		if (edit->lines[i].line_no == line_no)
			return &edit->lines[i];
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("order " INT64_FORMAT " has no line " INT64_FORMAT, edit->head->order_id, line_no)));
}

/* What has left the house or stands on an invoice was sold as it was: refunds and invoices stand on its figures. */
static void
require_unsettled(const OmsEdit *edit, const OmsEditLine *line, const char *what)
{
	if (line->shipped > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("line %d of order " INT64_FORMAT " has shipped units", line->line_no, edit->head->order_id),
				 errdetail("%d of them; its %s does not change any more.", line->shipped, what),
				 errhint("Add a line for more units; give money back with refund().")));
	if (line->invoiced)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("line %d of order " INT64_FORMAT " is invoiced", line->line_no, edit->head->order_id),
				 errdetail("Its %s does not change while it is.", what),
				 errhint("Void the invoice first, or add a line.")));
}

/* Live units of a line become so many; what is taken off is cancelled, what is put on is ordered. */
static void
change_quantity(OmsEdit *edit, OmsEditLine *line, int32 units)
{
	int32		live = line->was.ordered - line->was.cancelled;

	if (units < line->picked)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("line %d of order " INT64_FORMAT " has more than %d units picked", line->line_no, edit->head->order_id, units),
				 errdetail("%d are picked, %d of them shipped.", line->picked, line->shipped),
				 errhint("What was picked is put back by cancel_fulfilment(); what was shipped comes back by request_return().")));
	if (units > live)
		require_unsettled(edit, line, "quantity");
	if (units > live && line->was.cancelled > OMS_MAX_QUANTITY - units)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("line %d of order " INT64_FORMAT " cannot have %d units", line->line_no, edit->head->order_id, units),
				 errdetail("%d are cancelled; a line has at most %d in all.", line->was.cancelled, OMS_MAX_QUANTITY)));
	line->now.ordered = line->was.ordered + Max(units - live, 0);
	line->now.cancelled = line->was.cancelled + Max(live - units, 0);
}

static void
read_quantity(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	OmsEditLine *line = find_line(edit, action, path);
	int64		units;

	if (!oms_json_int64(action, path, "quantity", 0, OMS_MAX_QUANTITY, &units))
		oms_error_document(path, "quantity", "a whole number of 0 or more");
	change_quantity(edit, line, (int32) units);
}

static void
read_price(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	OmsEditLine *line = find_line(edit, action, path);

	require_unsettled(edit, line, "price");
	if (!oms_json_scaled(action, path, "unit_price", OMS_PRICE_SCALE, &line->now.unit_price) || line->now.unit_price < 0)
		oms_error_document(path, "unit_price", "a price of zero or more");
	line->price_reason = oms_json_text(action, path, "price_reason", OMS_TEXT_LENGTH, false);
}

/* The discount of a line, or one more that is spread over the lines. */
static void
read_discount(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	OmsEditLine *line = oms_json_find(action, "line") != NULL ? find_line(edit, action, path) : NULL;
	int64		discount;

	if (!oms_json_scaled(action, path, "discount", edit->head->exponent, &discount) || discount < 0)
		oms_error_document(path, "discount", "an amount of zero or more");
	if (line == NULL)
		edit->order_discount = oms_money_add(edit->order_discount, discount);
	else
	{
		require_unsettled(edit, line, "discount");
		line->now.discount = discount;
		line->discounted = true;
	}
}

static void
read_address(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	static const char *const keys[] = {"ship_to", "bill_to"};
	int			i;

	for (i = 0; i < lengthof(keys); i++)
	{
		JsonbValue *value = oms_json_find(action, keys[i]);
		Datum		address;

		if (value == NULL)
			continue;
		(void) oms_json_container(action, path, keys[i], false, true);
		address = JsonbPGetDatum(JsonbValueToJsonb(value));
		oms_draft_check_address(address, keys[i]);
		edit->texts[OMS_EDIT_SHIP_TO + i] = DatumGetCString(DirectFunctionCall1(jsonb_out, address));
	}
}

static void
read_notes(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	if (oms_json_find(action, "instructions") != NULL)
		edit->texts[OMS_EDIT_INSTRUCTIONS] = oms_json_text(action, path, "instructions", OMS_TEXT_LENGTH, false);
	if (oms_json_find(action, "gift_note") != NULL)
		edit->texts[OMS_EDIT_GIFT_NOTE] = oms_json_text(action, path, "gift_note", OMS_TEXT_LENGTH, false);
}

static OmsEditCharge *
new_charge(OmsEdit *edit)
{
	OmsEditCharge *charge = &edit->charges[edit->ncharges];

	charge->charge_no = edit->ncharges == 0 ? 1 : charge[-1].charge_no + 1;
	charge->added = true;
	edit->ncharges++;
	return charge;
}

/* The rate of a new charge: the destination's, of the tax class that is the kind's name. */
static void
default_rate(const OmsEdit *edit, OmsDraftCharge *charge)
{
	char	   *country = NULL;
	char	   *region = NULL;

	if (charge->has_tax_rate || charge->has_tax)
		return;
	oms_draft_destination(edit->draft, &country, &region);
	charge->tax_rate = oms_tax_rate(edit->head->merchant, charge->kind, country, region);
	charge->has_tax_rate = true;
}

/* A charge that is there gets another amount; without a number it is a new one. */
static void
read_charge(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	int64		charge_no;
	int			i;

	if (!oms_json_int64(action, path, "charge", 1, PG_INT32_MAX, &charge_no))
	{
		OmsDraftCharge *charge = &new_charge(edit)->now;

		oms_draft_read_charge(edit->draft, charge, action, path);
		default_rate(edit, charge);
		return;
	}
	for (i = 0; i < edit->ncharges && edit->charges[i].charge_no != charge_no; i++)
		;
	if (i == edit->ncharges)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("order " INT64_FORMAT " has no charge " INT64_FORMAT, edit->head->order_id, charge_no)));
	if (!oms_json_scaled(action, path, "amount", edit->head->exponent, &edit->charges[i].now.amount) ||
		(edit->charges[i].now.amount < 0 && strcmp(edit->charges[i].now.kind, "adjustment") != 0))
		oms_error_document(path, "amount", "an amount of zero or more");
}

/* The one charge for shipping gets another amount. */
static void
read_shipping(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	OmsEditCharge *charge = NULL;
	int			i;

	for (i = 0; i < edit->ncharges; i++)
	{
		if (strcmp(edit->charges[i].now.kind, "shipping") != 0)
			continue;
		if (charge != NULL)
			oms_error_document(path, "action", "charge, with the number of one: the order has several charges for shipping");
		charge = &edit->charges[i];
	}
	if (charge == NULL)
	{
		charge = new_charge(edit);
		charge->now.kind = "shipping";
		default_rate(edit, &charge->now);
	}
	if (!oms_json_scaled(action, path, "amount", edit->head->exponent, &charge->now.amount) || charge->now.amount < 0)
		oms_error_document(path, "amount", "an amount of zero or more");
}

static void
read_add(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	oms_draft_read_line(edit->draft, &edit->draft->lines[edit->draft->nlines++], action, path);
}

static void
read_action(OmsEdit *edit, JsonbContainer *action, const OmsPath *path)
{
	char	   *kind = oms_json_text(action, path, "action", OMS_KEY_LENGTH, true);

	if (strcmp(kind, "quantity") == 0)
	{
		oms_json_only(action, path, quantity_fields);
		read_quantity(edit, action, path);
	}
	else if (strcmp(kind, "price") == 0)
	{
		oms_json_only(action, path, price_fields);
		read_price(edit, action, path);
	}
	else if (strcmp(kind, "discount") == 0)
	{
		oms_json_only(action, path, discount_fields);
		read_discount(edit, action, path);
	}
	else if (strcmp(kind, "remove") == 0)
	{
		oms_json_only(action, path, remove_fields);
		change_quantity(edit, find_line(edit, action, path), 0);
	}
	else if (strcmp(kind, "add") == 0)
	{
		oms_json_only(action, path, add_fields);
		read_add(edit, action, path);
	}
	else if (strcmp(kind, "address") == 0)
	{
		oms_json_only(action, path, address_fields);
		read_address(edit, action, path);
	}
	else if (strcmp(kind, "shipping") == 0)
	{
		oms_json_only(action, path, shipping_fields);
		read_shipping(edit, action, path);
	}
	else if (strcmp(kind, "charge") == 0)
	{
		oms_json_only(action, path, oms_json_find(action, "charge") != NULL ? amount_fields : charge_fields);
		read_charge(edit, action, path);
	}
	else if (strcmp(kind, "notes") == 0)
	{
		oms_json_only(action, path, notes_fields);
		read_notes(edit, action, path);
	}
	else
		oms_error_document(path, "action", "quantity, price, discount, remove, add, address, shipping, charge or notes");
}

/* An amount after discount, and before it, by the figures that stand on the line: no rounding comes in between. */
static int64
base_amount(const OmsEdit *edit, const OmsEditFigures *figures)
{
	return edit->head->tax_included ? figures->total : figures->total - figures->tax;
}

/* a * b / divisor; OM017 when it does not fit. */
static int64
scaled(const OmsEdit *edit, int64 a, int64 b, int64 divisor)
{
	int64		result;

	if (!oms_mul_div(a, b, divisor, edit->rounding, &result))
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("an amount of order " INT64_FORMAT " does not fit into 64 bits", edit->head->order_id)));
	return result;
}

static bool
money_changed(const OmsEditLine *line)
{
	return line->now.ordered != line->was.ordered || line->now.unit_price != line->was.unit_price || line->discounted ||
		line->now.discount != line->was.discount;
}

/* Subtotal of the line as it will be. */
static int64
subtotal_of(const OmsEdit *edit, const OmsEditLine *line)
{
	if (line->now.ordered == line->was.ordered && line->now.unit_price == line->was.unit_price)
		return base_amount(edit, &line->was) + line->was.discount;
	return oms_money_amount(line->now.unit_price, line->now.ordered, edit->head->exponent, edit->rounding);
}

/* The discount that a line keeps, by the set's policy. */
static void
rediscount(const OmsEdit *edit, OmsEditLine *line)
{
	int64		subtotal_was = base_amount(edit, &line->was) + line->was.discount;
	int64		subtotal = subtotal_of(edit, line);

	if (!money_changed(line))
		return;
	if (!line->discounted && !edit->keep_discount && subtotal_was > 0)
		line->now.discount = scaled(edit, line->was.discount, subtotal, subtotal_was);
	if (line->now.discount > subtotal)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("the discount of line %d of order " INT64_FORMAT " exceeds its amount", line->line_no, edit->head->order_id),
				 errdetail("Discount %s, amount %s.", oms_money_text(line->now.discount, edit->head->exponent),
						   oms_money_text(subtotal, edit->head->exponent)),
				 errhint("Change the discount too, or let it follow: discount_policy rate.")));
}

/* Spreads one more discount over lines of which nothing is shipped, invoiced or cancelled, and new ones. */
static void
spread_discount(OmsEdit *edit)
{
	OmsDraft   *draft = edit->draft;
	int			n = edit->nlines + draft->nlines;
	int64	   *weights = palloc0((n + 1) * sizeof(int64));
	int64	   *shares = palloc0((n + 1) * sizeof(int64));
	int64		sum = 0;
	int			i;

	if (edit->order_discount == 0)
		return;
	for (i = 0; i < n; i++)
	{
		if (i >= edit->nlines)
			weights[i] = draft->lines[i - edit->nlines].subtotal - draft->lines[i - edit->nlines].discount;
		else if (edit->lines[i].shipped == 0 && !edit->lines[i].invoiced && edit->lines[i].now.cancelled == 0)
			weights[i] = subtotal_of(edit, &edit->lines[i]) - edit->lines[i].now.discount;
		sum = oms_money_add(sum, weights[i]);
	}
	if (edit->order_discount > sum)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("the discount of order " INT64_FORMAT " exceeds what it can be spread over", edit->head->order_id),
				 errdetail("Discount %s; lines of which nothing is shipped, invoiced or cancelled amount to %s.",
						   oms_money_text(edit->order_discount, edit->head->exponent), oms_money_text(sum, edit->head->exponent))));
	(void) oms_prorate(edit->order_discount, weights, n, shares);
	for (i = 0; i < edit->nlines; i++)
		edit->lines[i].now.discount += shares[i];
	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];

		line->discount += shares[edit->nlines + i];
		oms_draft_tax(draft, line->subtotal - line->discount, line->tax_rate, line->has_tax, &line->tax, &line->total);
	}
}

static void
sum_line(OmsEdit *edit, OmsEditLine *line)
{
	OmsEditTotals *now = &edit->now;

	if (money_changed(line))
	{
		oms_draft_retax(edit->draft, base_amount(edit, &line->was), line->was.tax, subtotal_of(edit, line) - line->now.discount,
			  line->now.tax_rate, &line->now.tax, &line->now.total);
		now->subtotal = oms_money_add(now->subtotal, base_amount(edit, &line->now) + line->now.discount -
									  base_amount(edit, &line->was) - line->was.discount);
		now->discount = oms_money_add(now->discount, line->now.discount - line->was.discount);
		now->tax = oms_money_add(now->tax, line->now.tax - line->was.tax);
		now->total = oms_money_add(now->total, line->now.total - line->was.total);
	}
	now->cancelled_total = oms_money_add(now->cancelled_total,
										 oms_units_share(line->now.total, line->now.ordered,
														 line->now.ordered - line->now.cancelled, line->now.ordered));
	now->cancelled_tax = oms_money_add(now->cancelled_tax,
									   oms_units_share(line->now.tax, line->now.ordered,
													   line->now.ordered - line->now.cancelled, line->now.ordered));
	edit->was.cancelled_tax = oms_money_add(edit->was.cancelled_tax,
											oms_units_share(line->was.tax, line->was.ordered,
															line->was.ordered - line->was.cancelled, line->was.ordered));
}

/* What the charges become; not less than what was refunded of them. */
static void
sum_charges(OmsEdit *edit)
{
	Datum		values[2] = {Int32GetDatum(edit->head->merchant), Int64GetDatum(edit->head->order_id)};
	int64		was = 0;
	int64		now = 0;
	int			i;

	for (i = 0; i < edit->ncharges; i++)
	{
		OmsEditCharge *charge = &edit->charges[i];
		int64	   *sum = strcmp(charge->now.kind, "shipping") == 0 ? &edit->now.shipping : &edit->now.charges;

		if (charge->invoiced && charge->now.amount != charge->was.amount)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("charge %d of order " INT64_FORMAT " is invoiced", charge->charge_no, edit->head->order_id),
					 errhint("Void the invoice first, or add a charge of kind adjustment.")));
		if (charge->added)
			oms_draft_tax(edit->draft, charge->now.amount, charge->now.tax_rate, charge->now.has_tax, &charge->now.tax, &charge->now.total);
		else if (charge->now.amount != charge->was.amount)
			oms_draft_retax(edit->draft, charge->was.amount, charge->was.tax, charge->now.amount, charge->now.tax_rate, &charge->now.tax, &charge->now.total);
		*sum = oms_money_add(*sum, charge->now.amount - charge->was.amount);
		edit->now.tax = oms_money_add(edit->now.tax, charge->now.tax - charge->was.tax);
		edit->now.total = oms_money_add(edit->now.total, charge->now.total - charge->was.total);
		was = oms_money_add(was, charge->was.total);
		now = oms_money_add(now, charge->now.total);
	}
	if (now >= was)
		return;
	oms_run(&statements[ST_SHIPPING_REFUNDED], values, NULL);
	if (oms_get_money(0, 1, edit->head->exponent) > now)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("charges of order " INT64_FORMAT " are refunded already", edit->head->order_id),
				 errdetail("%s are, and %s would be left.", oms_money_text(oms_get_money(0, 1, edit->head->exponent), edit->head->exponent),
						   oms_money_text(now, edit->head->exponent))));
}

/* New lines, resolved and priced as in placement; every SKU must be known. */
static void
resolve_added(OmsEdit *edit)
{
	OmsDraft   *draft = edit->draft;
	int32		last = edit->nlines == 0 ? 0 : edit->lines[edit->nlines - 1].line_no;
	int			i;

	if (draft->nlines == 0)
		return;
	draft->accepted = false;
	oms_draft_resolve(draft);
	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];

		if (line->item == 0)
			oms_error_unknown_code("item", draft->merchant, line->sku);
		line->line_no = last + i + 1;
		line->ordered = line->quantity;
		edit->now.subtotal = oms_money_add(edit->now.subtotal, line->subtotal);
	}
}

static void
sum_added(OmsEdit *edit)
{
	int			i;

	for (i = 0; i < edit->draft->nlines; i++)
	{
		const OmsDraftLine *line = &edit->draft->lines[i];

		edit->now.discount = oms_money_add(edit->now.discount, line->discount);
		edit->now.tax = oms_money_add(edit->now.tax, line->tax);
		edit->now.total = oms_money_add(edit->now.total, line->total);
	}
}

/*
 * Units that a line loses: those without stock first, promised ones last, as
 * cancel_line() does.
 */
static void
lower_line(OmsEditLine *line)
{
	int32		lost = line->now.cancelled - line->was.cancelled;
	int32		without = line->was.ordered - line->was.cancelled - line->shipped - line->was.allocated - line->was.backordered;
	int32		waiting = Min(line->was.backordered, lost);

	line->from_promise = Max(lost - waiting - without, 0);
	line->now.backordered -= waiting;
	line->now.allocated -= line->from_promise;
}

/* Lines with more units than before go into the draft, before the new ones. */
static void
raise_lines(OmsEdit *edit)
{
	OmsDraft   *draft = edit->draft;
	OmsDraft   *raised = oms_draft_of_order(edit->head->merchant, edit->head->channel);
	int			i;

	raised->lines = palloc0((edit->nlines + draft->nlines + 1) * sizeof(OmsDraftLine));
	for (i = 0; i < edit->nlines; i++)
	{
		const OmsEditLine *line = &edit->lines[i];
		OmsDraftLine *more;

		if (line->now.ordered == line->was.ordered || line->item == 0)
			continue;
		more = &raised->lines[raised->nlines++];
		more->item = line->item;
		more->sku = line->sku;
		more->quantity = line->now.ordered - line->was.ordered;
		more->ordered = line->now.ordered - line->now.cancelled;
		more->has_price = more->has_tax_rate = true;
		more->known = true;
		more->line_no = line->line_no;
	}
	if (raised->nlines == 0)
		return;
	oms_draft_resolve(raised);
	for (i = 0; i < raised->nlines; i++)
	{
		OmsDraftLine *more = &raised->lines[i];
		Datum		values[3] = {Int32GetDatum(edit->head->merchant), Int64GetDatum(edit->head->order_id), Int32GetDatum(more->line_no)};

		if (more->kind != OMS_KIT)
			continue;
		more->ncomponents = (int) oms_run(&statements[ST_PARTS], values, NULL);
		more->components = palloc((more->ncomponents + 1) * sizeof(OmsComponent));
		for (int j = 0; j < more->ncomponents; j++)
			more->components[j] = (OmsComponent) {oms_get_int64(j, 1), oms_get_int32(j, 2)};
	}
	memcpy(&raised->lines[raised->nlines], draft->lines, draft->nlines * sizeof(OmsDraftLine));
	if (draft->nlines == 0)
		draft->catalogue = raised->catalogue;
	draft->lines = raised->lines;
	draft->nlines += raised->nlines;
	edit->nraised = raised->nlines;
}

/* Prices that change are compared with the listed ones, where the channel asks about that. */
static void
compare_prices(OmsEdit *edit)
{
	OmsDraft   *priced = oms_draft_of_order(edit->head->merchant, edit->head->channel);
	int			i;

	if (priced->override == OMS_OVERRIDE_FREE)
		return;
	priced->order_id = edit->head->order_id;
	priced->customer_id = edit->head->customer_id;
	priced->price_cause = edit->draft->price_cause;
	priced->price_reason = edit->draft->price_reason;
	priced->lines = palloc0((edit->nlines + 1) * sizeof(OmsDraftLine));
	for (i = 0; i < edit->nlines; i++)
	{
		const OmsEditLine *line = &edit->lines[i];
		OmsDraftLine *one = &priced->lines[priced->nlines];

		if (line->now.unit_price == line->was.unit_price || line->item == 0)
			continue;
		one->line_no = line->line_no;
		one->item = line->item;
		one->sku = line->sku;
		one->quantity = Max(line->now.ordered - line->now.cancelled, 1);
		one->unit_price = line->now.unit_price;
		one->price_reason = line->price_reason;
		priced->nlines++;
	}
	if (priced->nlines == 0)
		return;
	oms_draft_compare_prices(priced);
	edit->priced = priced;
}

/* An edit may not leave an order without any unit: that is a cancellation. */
static void
require_units(const OmsEdit *edit)
{
	int64		live = edit->draft->nlines;
	int			i;

	for (i = 0; i < edit->nlines; i++)
		live += edit->lines[i].now.ordered - edit->lines[i].now.cancelled;
	if (live == 0 && edit->nlines > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("the edit leaves nothing of order " INT64_FORMAT, edit->head->order_id),
				 errhint("Use cancel_order().")));
}

static OmsDraft *
new_draft(const OmsEdit *edit, int nactions)
{
	OmsDraft   *draft = oms_draft_of_order(edit->head->merchant, edit->head->channel);

	draft->order_id = edit->head->order_id;
	draft->customer_id = edit->head->customer_id;
	draft->tax_included = edit->head->tax_included;
	draft->price_cause = "edit";
	/* What promotions give, they give at placement, where it is counted and kept. */
	draft->no_promotions = true;
	if (edit->texts[OMS_EDIT_SHIP_TO] != NULL)
		draft->ship_to = DirectFunctionCall1(jsonb_in, CStringGetDatum(edit->texts[OMS_EDIT_SHIP_TO]));
	draft->lines = palloc0((nactions + 1) * sizeof(OmsDraftLine));
	return draft;
}

OmsEdit *
oms_edit_plan(const OmsOrderHead *head, Datum changes, bool keep_discount, const char *reason)
{
	OmsEdit    *edit = palloc0(sizeof(OmsEdit));
	JsonbContainer *array = &DatumGetJsonbP(changes)->root;
	bool		invoiced;
	int			n;
	int			i;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array) || JsonContainerSize(array) == 0 ||
		JsonContainerSize(array) > MAX_ACTIONS)
		oms_error_document(NULL, NULL, psprintf("an array of 1 to %d actions", MAX_ACTIONS));
	n = (int) JsonContainerSize(array);
	edit->head = head;
	edit->keep_discount = keep_discount;
	invoiced = read_order(edit);
	read_lines(edit);
	read_charges(edit, n);
	if (invoiced)
		read_invoiced(edit);
	edit->draft = new_draft(edit, n);
	edit->draft->price_reason = reason;
	edit->rounding = edit->draft->rounding;
	for (i = 0; i < n; i++)
	{
		OmsPath		path = {NULL, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&path, NULL, "an object");
		read_action(edit, value->val.binary.data, &path);
	}
	if (edit->nlines + edit->draft->nlines > OMS_MAX_LINES)
		oms_error_document(NULL, NULL, psprintf("no more than %d lines in the order", OMS_MAX_LINES));
	edit->now = edit->was;
	edit->now.cancelled_total = 0;
	resolve_added(edit);
	compare_prices(edit);
	for (i = 0; i < edit->nlines; i++)
		rediscount(edit, &edit->lines[i]);
	spread_discount(edit);
	for (i = 0; i < edit->nlines; i++)
	{
		sum_line(edit, &edit->lines[i]);
		lower_line(&edit->lines[i]);
	}
	sum_added(edit);
	sum_charges(edit);
	require_units(edit);
	raise_lines(edit);
	return edit;
}

/* Where lines of the order are promised from: sourcing by rules stays there if it can. */
static void
read_used(OmsDraft *draft)
{
	Datum		values[2] = {Int32GetDatum(draft->merchant), Int64GetDatum(draft->order_id)};
	uint64		rows = oms_run(&statements[ST_USED], values, NULL);
	uint64		i;

	draft->used = palloc((rows + 1) * sizeof(OmsUsed));
	for (i = 0; i < rows; i++)
		draft->used[draft->nused++] = (OmsUsed) {oms_get_int32(i, 1), oms_get_int32(i, 2)};
}

void
oms_edit_admit(OmsEdit *edit)
{
	OmsDraft   *draft = edit->draft;
	int			i;
	int			j;

	if (draft->nlines == 0)
		return;
	if (oms_reserve_waits(draft->merchant, draft->order_id))
		draft->allocation = OMS_ALLOCATE_NONE;
	if (oms_sourcing_applies(draft->merchant, draft->channel))
		read_used(draft);
	oms_draft_admit(draft);
	for (i = j = 0; i < edit->nraised; i++)
	{
		while (edit->lines[j].line_no != draft->lines[i].line_no)
			j++;
		edit->lines[j].now.allocated += draft->lines[i].allocated;
		edit->lines[j].now.backordered += draft->lines[i].backordered;
	}
}

/* Differences, as they are found. */
typedef struct Changes
{
	int			n;
	int			size;
	OmsEditChange *changes;
	char	   *object;
	int			exponent;
} Changes;

static void
add_text(Changes *found, const char *field, char *was, char *now)
{
	if (was == NULL ? now == NULL : now != NULL && strcmp(was, now) == 0)
		return;
	if (found->n == found->size)
	{
		found->size = Max(16, found->size * 2);
		found->changes = found->changes == NULL ? palloc(found->size * sizeof(OmsEditChange)) :
			repalloc(found->changes, found->size * sizeof(OmsEditChange));
	}
	found->changes[found->n++] = (OmsEditChange) {found->object, field, was, now};
}

static void
add_number(Changes *found, const char *field, bool added, int64 was, int64 now)
{
	if (added || was != now)
		add_text(found, field, added ? NULL : psprintf(INT64_FORMAT, was), psprintf(INT64_FORMAT, now));
}

static void
add_money(Changes *found, const char *field, bool added, int64 was, int64 now)
{
	if (added || was != now)
		add_text(found, field, added ? NULL : oms_money_text(was, found->exponent), oms_money_text(now, found->exponent));
}

static void
add_price(Changes *found, const char *field, bool added, int64 was, int64 now)
{
	if (added || was != now)
		add_text(found, field, added ? NULL : oms_price_text(was), oms_price_text(now));
}

static void
add_figures(Changes *found, bool added, const OmsEditFigures *was, const OmsEditFigures *now)
{
	add_number(found, "ordered", added, was->ordered, now->ordered);
	add_number(found, "cancelled", added, was->cancelled, now->cancelled);
	add_number(found, "allocated", added, was->allocated, now->allocated);
	add_number(found, "backordered", added, was->backordered, now->backordered);
	add_price(found, "unit_price", added, was->unit_price, now->unit_price);
	add_money(found, "discount", added, was->discount, now->discount);
	add_price(found, "tax_rate", added, was->tax_rate, now->tax_rate);
	add_money(found, "tax", added, was->tax, now->tax);
	add_money(found, "total", added, was->total, now->total);
}

static void
add_new_line(Changes *found, const OmsDraftLine *line)
{
	OmsEditFigures figures = {line->quantity, 0, line->allocated, line->backordered, line->unit_price, line->discount,
	line->tax_rate, line->tax, line->total};

	found->object = psprintf("line %d", line->line_no);
	add_number(found, "item", true, 0, line->item);
	add_text(found, "sku", NULL, line->sku);
	add_text(found, "title", NULL, line->title);
	add_text(found, "instructions", NULL, line->instructions);
	add_figures(found, true, &figures, &figures);
}

static void
add_charge(Changes *found, const OmsEditCharge *charge)
{
	found->object = psprintf("charge %d", charge->charge_no);
	if (charge->added)
	{
		add_text(found, "kind", NULL, pstrdup(charge->now.kind));
		add_text(found, "description", NULL, charge->now.description);
	}
	add_money(found, "amount", charge->added, charge->was.amount, charge->now.amount);
	if (charge->added)
		add_price(found, "tax_rate", true, 0, charge->now.tax_rate);
	add_money(found, "tax", charge->added, charge->was.tax, charge->now.tax);
	add_money(found, "total", charge->added, charge->was.total, charge->now.total);
}

OmsEditChange *
oms_edit_changes(const OmsEdit *edit, int *n)
{
	static const char *const texts[] = {"ship_to", "bill_to", "instructions", "gift_note"};
	Changes		found = {0};
	int			i;

	found.exponent = edit->head->exponent;
	found.object = "order";
	add_money(&found, "subtotal", false, edit->was.subtotal, edit->now.subtotal);
	add_money(&found, "discount", false, edit->was.discount, edit->now.discount);
	add_money(&found, "shipping", false, edit->was.shipping, edit->now.shipping);
	add_money(&found, "charges", false, edit->was.charges, edit->now.charges);
	add_money(&found, "tax", false, edit->was.tax, edit->now.tax);
	add_money(&found, "total", false, edit->was.total, edit->now.total);
	add_money(&found, "cancelled_total", false, edit->was.cancelled_total, edit->now.cancelled_total);
	for (i = 0; i < OMS_EDIT_TEXTS; i++)
		add_text(&found, texts[i], edit->texts_were[i], edit->texts[i]);
	for (i = 0; i < edit->nlines; i++)
	{
		found.object = psprintf("line %d", edit->lines[i].line_no);
		add_figures(&found, false, &edit->lines[i].was, &edit->lines[i].now);
	}
	for (i = edit->nraised; i < edit->draft->nlines; i++)
		add_new_line(&found, &edit->draft->lines[i]);
	for (i = 0; i < edit->ncharges; i++)
		add_charge(&found, &edit->charges[i]);
	*n = found.n;
	return found.changes;
}
