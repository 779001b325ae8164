/*-------------------------------------------------------------------------
 * write.c
 *	  Writes drafts: one statement a table, however many orders.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/rows.h"
#include "event/event.h"
#include "inventory/supply.h"
#include "order/columns.h"
#include "order/draft.h"
#include "order/history.h"
#include "order/hold_rule.h"
#include "order/order.h"
#include "order/sale_limit.h"
#include "order/sourcing.h"
#include "payment/credit_limit.h"

/* Columns of the other tables, in the order of the scripts in sql/schema. */
enum
{
	PART_MERCHANT = 1, PART_ORDER, PART_LINE, PART_ITEM, PART_PER_UNIT
};
enum
{
	ASKED_MERCHANT = 1, ASKED_LINE, ASKED_ORDER, ASKED_BASE, ASKED_NUMERATOR, ASKED_DENOMINATOR, ASKED_QUANTITY,
	ASKED_PRICE, ASKED_UNIT
};
enum
{
	RES_MERCHANT = 1, RES_LOCATION, RES_ITEM, RES_ID, RES_ORDER, RES_LINE, RES_QUANTITY
};

enum
{
	ST_ALL,
	ST_ORDERS_OR_REPEATED,
	ST_REST,
	ST_PARTS,
	ST_ASKED,
	ST_CHARGES
};

#define ORDER_COLUMNS \
	"merchant_id, channel_id, order_id, customer_id, company_id, placed_at, tax_included, on_hold, currency, " \
	"lifecycle, payment_state, subtotal, discount, shipping, charges, tax, total, ship_to, bill_to, external_ref, " \
	"email, phone, language, instructions, gift_note, origin, actor"
#define LINE_COLUMNS \
	"merchant_id, line_no, order_id, item_id, ordered, allocated, backordered, " \
	"unit_price, discount, tax_rate, tax, total, sku, title, instructions"
#define RESERVATION_COLUMNS \
	"merchant_id, location_id, item_id, order_id, line_no, quantity"
#define PART_COLUMNS \
	"merchant_id, order_id, line_no, item_id, per_unit"
#define ASKED_COLUMNS \
	"merchant_id, line_no, order_id, asked, numerator, denominator, quantity, unit_price, unit"
#define CHARGE_COLUMNS \
	"merchant_id, order_id, charge_no, kind, description, amount, tax_rate, tax, total"

static OmsTarget orders_target = {"sales_order", ORDER_COLUMNS};
static OmsTarget lines_target = {"order_line", LINE_COLUMNS};
static OmsTarget reservations_target = {"reservation", RESERVATION_COLUMNS};
static OmsTarget parts_target = {"order_line_component", PART_COLUMNS};
static OmsTarget charges_target = {"order_charge", CHARGE_COLUMNS};

/* Rows of a table from a parameter, keeping the defaults of columns that others added. */
#define INSERT_ROWS(table, columns, parameter) \
	"INSERT INTO oms." table " (" columns ") SELECT " columns " FROM unnest(" parameter ")"

/* One statement for all of them: each one more costs its start and end. */
#define INSERT_REST(lines, reservations, events) \
	"l AS (" INSERT_ROWS("order_line", LINE_COLUMNS, lines) "), " \
	"r AS (" INSERT_ROWS("reservation", RESERVATION_COLUMNS, reservations) ") " \
	INSERT_ROWS("event", OMS_EVENT_COLUMNS, events)

static OmsStatement statements[] = {
	[ST_ALL] = {
		"WITH o AS (" INSERT_ROWS("sales_order", ORDER_COLUMNS, "$1") "), " INSERT_REST("$2", "$3", "$4"), 4, {0}
	},
	/* Answers the orders whose external reference is new. */
	[ST_ORDERS_OR_REPEATED] = {
		INSERT_ROWS("sales_order", ORDER_COLUMNS, "$1")
		" ON CONFLICT (merchant_id, channel_id, external_ref) WHERE external_ref IS NOT NULL DO NOTHING "
		"RETURNING order_id",
		1, {0}
	},
	[ST_REST] = {"WITH " INSERT_REST("$1", "$2", "$3"), 3, {0}},
	[ST_PARTS] = {INSERT_ROWS("order_line_component", PART_COLUMNS, "$1"), 1, {0}},
	[ST_ASKED] = {INSERT_ROWS("order_line_asked", ASKED_COLUMNS, "$1"), 1, {0}},
	[ST_CHARGES] = {INSERT_ROWS("order_charge", CHARGE_COLUMNS, "$1"), 1, {0}},
};

/* The state the draft starts its life in; an order of charges alone has nothing left to do. */
static const char *
first_state(const OmsDraft *draft)
{
	if (!draft->confirm || draft->unmapped || draft->over_credit != NULL)
		return "placed";
	return draft->nlines > 0 ? "confirmed" : "completed";
}

static void
add_order(OmsRows *rows, const OmsDraft *draft)
{
	int			exponent = draft->exponent;

	oms_rows_set(rows, ORDER_MERCHANT, Int32GetDatum(draft->merchant));
	oms_rows_set(rows, ORDER_CHANNEL, Int32GetDatum(draft->channel));
	oms_rows_set(rows, ORDER_ID, Int64GetDatum(draft->order_id));
	if (draft->customer_id != 0)
		oms_rows_set(rows, ORDER_CUSTOMER, Int64GetDatum(draft->customer_id));
	if (draft->company_id != 0)
		oms_rows_set(rows, ORDER_COMPANY, Int64GetDatum(draft->company_id));
	oms_rows_set(rows, ORDER_PLACED_AT, TimestampTzGetDatum(draft->placed_at));
	oms_rows_set(rows, ORDER_TAX_INCLUDED, BoolGetDatum(draft->tax_included));
	oms_rows_set(rows, ORDER_ON_HOLD, BoolGetDatum(draft->unmapped || draft->over_credit != NULL));
	oms_rows_set_text(rows, ORDER_CURRENCY, draft->currency);
	oms_rows_set_text(rows, ORDER_LIFECYCLE, first_state(draft));
	oms_rows_set_text(rows, ORDER_PAYMENT, draft->total == 0 ? "paid" : "none");
	oms_rows_set(rows, ORDER_SUBTOTAL, oms_scaled_to_numeric(draft->subtotal, exponent));
	oms_rows_set(rows, ORDER_DISCOUNT, oms_scaled_to_numeric(draft->discount, exponent));
	oms_rows_set(rows, ORDER_SHIPPING, oms_scaled_to_numeric(draft->shipping, exponent));
	oms_rows_set(rows, ORDER_CHARGES, oms_scaled_to_numeric(draft->other_charges, exponent));
	oms_rows_set(rows, ORDER_TAX, oms_scaled_to_numeric(draft->tax, exponent));
	oms_rows_set(rows, ORDER_TOTAL, oms_scaled_to_numeric(draft->total, exponent));
	if (draft->ship_to != (Datum) 0)
		oms_rows_set(rows, ORDER_SHIP_TO, draft->ship_to);
	if (draft->bill_to != (Datum) 0)
		oms_rows_set(rows, ORDER_BILL_TO, draft->bill_to);
	oms_rows_set_text(rows, ORDER_EXTERNAL_REF, draft->external_ref);
	oms_rows_set_text(rows, ORDER_EMAIL, draft->email);
	oms_rows_set_text(rows, ORDER_PHONE, draft->phone);
	oms_rows_set_text(rows, ORDER_LANGUAGE, draft->language);
	oms_rows_set_text(rows, ORDER_INSTRUCTIONS, draft->instructions);
	oms_rows_set_text(rows, ORDER_GIFT_NOTE, draft->gift_note);
	oms_rows_set_text(rows, ORDER_ORIGIN, draft->origin != NULL ? draft->origin : "api");
	oms_rows_set_text(rows, ORDER_ACTOR, draft->actor);
	oms_rows_add(rows);
}

static int32
line_number(const OmsDraft *draft, int index)
{
	return draft->lines[index].line_no != 0 ? draft->lines[index].line_no : index + 1;
}

static void
add_lines(OmsRows *rows, OmsRows **parts, const OmsDraft *draft)
{
	int			i;
	int			j;

	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];

		if (line->known)
			continue;
		oms_rows_set(rows, LINE_MERCHANT, Int32GetDatum(draft->merchant));
		oms_rows_set(rows, LINE_NO, Int32GetDatum(line_number(draft, i)));
		oms_rows_set(rows, LINE_ORDER, Int64GetDatum(draft->order_id));
		if (line->item != 0)
			oms_rows_set(rows, LINE_ITEM, Int64GetDatum(line->item));
		oms_rows_set(rows, LINE_ORDERED, Int32GetDatum(line->quantity));
		oms_rows_set(rows, LINE_ALLOCATED, Int32GetDatum(line->allocated));
		oms_rows_set(rows, LINE_BACKORDERED, Int32GetDatum(line->backordered));
		oms_rows_set(rows, LINE_UNIT_PRICE, oms_price_to_numeric(line->unit_price, draft->exponent));
		oms_rows_set(rows, LINE_DISCOUNT, oms_scaled_to_numeric(line->discount, draft->exponent));
		oms_rows_set(rows, LINE_TAX_RATE, oms_price_to_numeric(line->tax_rate, 0));
		oms_rows_set(rows, LINE_TAX, oms_scaled_to_numeric(line->tax, draft->exponent));
		oms_rows_set(rows, LINE_TOTAL, oms_scaled_to_numeric(line->total, draft->exponent));
		oms_rows_set_text(rows, LINE_SKU, line->sku);
		oms_rows_set_text(rows, LINE_TITLE, line->title);
		oms_rows_set_text(rows, LINE_INSTRUCTIONS, line->instructions);
		oms_rows_add(rows);
		if (line->ncomponents > 0 && *parts == NULL)
			*parts = oms_rows_for(&parts_target);
		for (j = 0; j < line->ncomponents; j++)
		{
			oms_rows_set(*parts, PART_MERCHANT, Int32GetDatum(draft->merchant));
			oms_rows_set(*parts, PART_ORDER, Int64GetDatum(draft->order_id));
			oms_rows_set(*parts, PART_LINE, Int32GetDatum(line_number(draft, i)));
			oms_rows_set(*parts, PART_ITEM, Int64GetDatum(line->components[j].item));
			oms_rows_set(*parts, PART_PER_UNIT, Int32GetDatum(line->components[j].per_unit));
			oms_rows_add(*parts);
		}
	}
}

/* Lines in units of their own, or rounded up. */
static void
add_asked(OmsRows **asked, OmsRows *events, const OmsDraft *draft)
{
	int			i;

	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];
		bool		rounded = line->asked != 0 && line->asked != line->quantity;
		OmsEvent	event = {0};
		OmsJson		json;

		if (line->known || (line->unit == NULL && !rounded))
			continue;
		if (*asked == NULL)
			*asked = oms_rows_begin("order_line_asked");
		oms_rows_set(*asked, ASKED_MERCHANT, Int32GetDatum(draft->merchant));
		oms_rows_set(*asked, ASKED_LINE, Int32GetDatum(line_number(draft, i)));
		oms_rows_set(*asked, ASKED_ORDER, Int64GetDatum(draft->order_id));
		oms_rows_set(*asked, ASKED_BASE, Int32GetDatum(line->asked));
		/* Not known before the item is. */
		if (line->item != 0)
		{
			oms_rows_set(*asked, ASKED_NUMERATOR, Int64GetDatum(line->unit != NULL ? line->numerator : 1));
			oms_rows_set(*asked, ASKED_DENOMINATOR, Int64GetDatum(line->unit != NULL ? line->denominator : 1));
		}
		oms_rows_set(*asked, ASKED_QUANTITY, line->unit != NULL ? oms_price_to_numeric(line->asked_quantity, 0) :
					 oms_scaled_to_numeric(line->asked, 0));
		if (line->unit != NULL && line->has_price)
			oms_rows_set(*asked, ASKED_PRICE, oms_price_to_numeric(line->asked_price, draft->exponent));
		oms_rows_set_text(*asked, ASKED_UNIT, line->unit);
		oms_rows_add(*asked);
		if (!rounded)
			continue;
		oms_json_begin(&json);
		oms_json_add_int(&json, "line", line_number(draft, i));
		oms_json_add_int(&json, "asked", line->asked);
		oms_json_add_int(&json, "ordered", line->quantity);
		event.merchant = draft->merchant;
		event.subject_type = "order";
		event.subject_id = event.order_id = draft->order_id;
		event.type = "order.quantity_rounded";
		event.actor = draft->actor;
		event.data = oms_json_end(&json);
		oms_event_add(events, &event);
	}
}

static void
add_charges(OmsRows **charges, const OmsDraft *draft)
{
	OmsRows    *rows;
	int			i;

	if (draft->ncharges == 0)
		return;
	if (*charges == NULL)
		*charges = oms_rows_for(&charges_target);
	rows = *charges;

	for (i = 0; i < draft->ncharges; i++)
	{
		const OmsDraftCharge *charge = &draft->charges[i];

		oms_rows_set(rows, CHARGE_MERCHANT, Int32GetDatum(draft->merchant));
		oms_rows_set(rows, CHARGE_ORDER, Int64GetDatum(draft->order_id));
		oms_rows_set(rows, CHARGE_NO, Int32GetDatum(i + 1));
		oms_rows_set_text(rows, CHARGE_KIND, charge->kind);
		oms_rows_set_text(rows, CHARGE_DESCRIPTION, charge->description);
		oms_rows_set(rows, CHARGE_AMOUNT, oms_scaled_to_numeric(charge->amount, draft->exponent));
		oms_rows_set(rows, CHARGE_TAX_RATE, oms_price_to_numeric(charge->tax_rate, 0));
		oms_rows_set(rows, CHARGE_TAX, oms_scaled_to_numeric(charge->tax, draft->exponent));
		oms_rows_set(rows, CHARGE_TOTAL, oms_scaled_to_numeric(charge->total, draft->exponent));
		oms_rows_add(rows);
	}
}

static void
add_promises(OmsRows *rows, const OmsDraft *draft)
{
	int			i;

	for (i = 0; i < draft->npromises; i++)
	{
		const OmsPromise *promise = &draft->promises[i];

		oms_rows_set(rows, RES_MERCHANT, Int32GetDatum(promise->key.merchant));
		oms_rows_set(rows, RES_LOCATION, Int32GetDatum(promise->key.location));
		oms_rows_set(rows, RES_ITEM, Int64GetDatum(promise->key.item));
		oms_rows_set(rows, RES_ORDER, Int64GetDatum(draft->order_id));
		oms_rows_set(rows, RES_LINE, Int32GetDatum(line_number(draft, promise->line)));
		oms_rows_set(rows, RES_QUANTITY, Int64GetDatum(promise->quantity));
		oms_rows_add(rows);
		/* The row's trigger takes it from the transaction's books. */
		oms_promise_give(&promise->key, promise->quantity, &promise->bounds);
	}
}

/* Of the drafts just inserted, marks those whose external reference was an order already. */
static void
mark_repeated(OmsDraft **drafts, int n, uint64 inserted)
{
	uint64		row = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (row < inserted && oms_get_int64(row, 1) == drafts[i]->order_id)
			row++;
		else
			drafts[i]->repeated = true;
	}
}

static void
add_event(OmsRows *rows, OmsDraft *draft)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "lines", draft->nlines);
	oms_json_add_scaled(&json, "total", draft->total, draft->exponent);
	oms_json_add_text(&json, "currency", draft->currency);
	oms_json_add_text(&json, "lifecycle", first_state(draft));
	event.merchant = draft->merchant;
	event.subject_type = "order";
	event.subject_id = event.order_id = draft->order_id;
	event.type = "order.placed";
	event.actor = draft->actor;
	event.data = draft->placed_event = oms_json_end(&json);
	oms_event_add(rows, &event);
}

/* What a placement means for the customer and for those who must map its SKUs. */
static void
announce(const OmsDraft *draft)
{
	OmsOrderHead head = {0};

	oms_message_add(draft->merchant, draft->order_id, "confirmation", "placed", draft->placed_event);
	head.merchant = draft->merchant;
	head.order_id = draft->order_id;
	if (draft->over_credit != NULL)
		oms_order_hold(&head, "credit", draft->over_credit, draft->actor);
	if (!draft->unmapped)
		return;
	oms_order_hold(&head, "unmapped", "A line has a SKU that no item has", draft->actor);
	if (draft->unpriced)
		oms_order_hold(&head, "price", "An unmapped line came without a price", draft->actor);
}

/* A merchant with rules has its orders judged before they are confirmed, one with a workflow has them confirmed along it. */
static void
judge(const OmsDraft *draft)
{
	if (draft->judged)
		(void) oms_order_judge(draft->merchant, draft->order_id, draft->actor);
	if (draft->confirm_judged)
		oms_order_confirm_unless_held(draft->merchant, draft->order_id, draft->actor);
}

/* Promises a date to the lines that wait. */
static void
promise_waiting(OmsDraft **drafts, int n, int nwaiting)
{
	OmsWaitingLine *lines = palloc(nwaiting * sizeof(OmsWaitingLine));
	int			nlines = 0;
	int			i;
	int			j;

	for (i = 0; i < n; i++)
		for (j = 0; j < drafts[i]->nlines && !drafts[i]->repeated; j++)
			if (drafts[i]->lines[j].backordered > 0)
				lines[nlines++] = (OmsWaitingLine) {
					drafts[i]->order_id, line_number(drafts[i], j), drafts[i]->channel, drafts[i]->lines[j].preorder, drafts[i]->lines[j].backordered
				};
	if (nlines > 0)
		oms_promise_waiting(drafts[0]->merchant, lines, nlines, true);
}

/*
 * After the rows are written, which waits for whoever changes an item's kind:
 * refuses (OM015) what was resolved by a kind that is gone.  A test of a
 * number, when nothing has changed.
 */
static void
check_kinds(const OmsDraft *draft)
{
	int			i;

	if (likely(draft->catalogue == oms_catalogue_mark()))
		return;
	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];
		const OmsItem *item;

		if (line->item == 0)
			continue;
		oms_catalogue_load(draft->merchant, draft->channel, &line->item, 1, NULL, 0);
		item = oms_catalogue_item(draft->merchant, line->item);
		if (item == NULL || item->kind != line->kind)
			ereport(ERROR,
					(errcode(OMS_BUSY),
					 errmsg("item \"%s\" became another kind of item while it was ordered", line->sku),
					 errhint("Try again.")));
	}
}

static void
write_drafts(OmsDraft **drafts, int n)
{
	OmsRows    *sets[4];		/* orders, lines, reservations, events */
	OmsRows    *parts = NULL;	/* few orders have kits or charges */
	OmsRows    *asked = NULL;
	OmsRows    *charges = NULL;
	bool		references = false;
	int			nwaiting = 0;
	bool		sourced = false;
	bool		scheduled = false;
	bool		promoted = false;
	bool		overridden = false;
	bool		exempt = false;
	bool		foreign = false;
	bool		terms = false;
	int			i;

	oms_credit_admit(drafts, n);
	sets[0] = oms_rows_for(&orders_target);
	sets[1] = oms_rows_for(&lines_target);
	sets[2] = oms_rows_for(&reservations_target);
	sets[3] = oms_event_rows();
	for (i = 0; i < n; i++)
	{
		if (drafts[i]->order_id == 0)
			drafts[i]->order_id = oms_next_order_id();
		references = references || drafts[i]->external_ref != NULL;
		nwaiting += drafts[i]->nwaiting;
		add_order(sets[0], drafts[i]);
	}
	if (references)
		mark_repeated(drafts, n, oms_rows_run(&statements[ST_ORDERS_OR_REPEATED], sets, 1));
	for (i = 0; i < n; i++)
	{
		if (drafts[i]->repeated)
		{
			oms_draft_give_back(drafts[i]);
			continue;
		}
		add_lines(sets[1], &parts, drafts[i]);
		add_charges(&charges, drafts[i]);
		add_promises(sets[2], drafts[i]);
		add_event(sets[3], drafts[i]);
		add_asked(&asked, sets[3], drafts[i]);
		sourced = sourced || drafts[i]->sourcing != NULL;
		scheduled = scheduled || drafts[i]->scheduled;
		promoted = promoted || drafts[i]->ngiven > 0;
		overridden = overridden || drafts[i]->noverrides > 0;
		exempt = exempt || drafts[i]->certificate != NULL;
		foreign = foreign || drafts[i]->foreign;
		terms = terms || drafts[i]->terms != NULL;
	}
	if (!references)
		oms_rows_insert(&statements[ST_ALL], sets, 4);
	else if (sets[3]->n > 0)
		oms_rows_insert(&statements[ST_REST], &sets[1], 3);
	oms_sale_limit_placed(drafts, n);
	if (parts != NULL)
		oms_rows_insert(&statements[ST_PARTS], &parts, 1);
	if (asked != NULL)
		oms_rows_run(&statements[ST_ASKED], &asked, 1);
	if (charges != NULL)
		oms_rows_insert(&statements[ST_CHARGES], &charges, 1);
	if (sourced)
		oms_sourcing_write(drafts, n);
	if (terms)
		oms_terms_write(drafts, n);
	if (scheduled)
		oms_schedule_write(drafts, n);
	if (promoted)
		oms_promotions_write(drafts, n);
	if (overridden)
		oms_price_overrides_write(drafts, n);
	if (exempt)
		oms_exemptions_write(drafts, n);
	if (foreign)
		oms_order_base_write(drafts, n);
	for (i = 0; i < n; i++)
		if (!drafts[i]->repeated)
		{
			check_kinds(drafts[i]);
			announce(drafts[i]);
			if (drafts[i]->judged || drafts[i]->confirm_judged)
				judge(drafts[i]);
		}
	if (nwaiting > 0)
		promise_waiting(drafts, n, nwaiting);
}

/*
 * Writes the drafts.  Each has been resolved and admitted; its id is drawn
 * here unless it has one.  A draft whose external reference is an order
 * already, committed or by the time another session commits, is marked as
 * repeated instead and its promises are given back.
 */
void
oms_draft_write(OmsDraft **drafts, int n)
{
	bool		before = oms_history_placing();

	PG_TRY();
	{
		write_drafts(drafts, n);
	}
	PG_FINALLY();
	{
		oms_history_placed(before);
	}
	PG_END_TRY();
}

/* Inserts lines with their parts and promises; what known lines count, the caller writes. */
void
oms_draft_append(OmsDraft *draft)
{
	OmsRows    *sets[3];		/* lines, reservations, events */
	OmsRows    *parts = NULL;
	OmsRows    *asked = NULL;

	sets[0] = oms_rows_for(&lines_target);
	sets[1] = oms_rows_for(&reservations_target);
	sets[2] = oms_event_rows();
	add_lines(sets[0], &parts, draft);
	add_promises(sets[1], draft);
	add_asked(&asked, sets[2], draft);
	oms_rows_insert(&statements[ST_REST], sets, 3);
	oms_sale_limit_added(draft);
	if (parts != NULL)
		oms_rows_insert(&statements[ST_PARTS], &parts, 1);
	if (asked != NULL)
		oms_rows_run(&statements[ST_ASKED], &asked, 1);
	check_kinds(draft);
}

void
oms_draft_append_waiting(OmsDraft *draft)
{
	if (draft->nwaiting > 0)
		promise_waiting(&draft, 1, draft->nwaiting);
}
