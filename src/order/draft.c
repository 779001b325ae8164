/*-------------------------------------------------------------------------
 * draft.c
 *	  Turns what was given into an order: resolves customer, items, prices and
 *	  taxes, computes the amounts, and asks the gate for the stock.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/stratnum.h"
#include "utils/fmgroids.h"

#include "config/unit.h"
#include "core/find.h"
#include "core/json.h"
#include "core/money.h"
#include "inventory/inventory.h"
#include "inventory/supply.h"
#include "order/draft.h"
#include "order/hold_rule.h"
#include "order/sourcing.h"
#include "order/workflow.h"

enum
{
	ST_CUSTOMER,
	ST_CUSTOMER_REF,
	ST_ONLY_CHANNEL
};

static OmsStatement statements[] = {
	[ST_CUSTOMER] = {
		"SELECT company_id, ship_to, bill_to, tax_exempt_certificate, group_id, tax_exempt_until FROM oms.customer "
		"WHERE merchant_id = $1 AND customer_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CUSTOMER_REF] = {
		"SELECT customer_id FROM oms.customer WHERE merchant_id = $1 AND external_ref = $2", 2, {INT4OID, TEXTOID}
	},
	[ST_ONLY_CHANNEL] = {
		"SELECT min(channel_id), count(*) FROM oms.channel WHERE merchant_id = $1 AND active", 1, {INT4OID}
	},
};

/* Columns of customer in the order of sql/schema/20_catalogue.sql. */
enum
{
	CUSTOMER_MERCHANT = 1, CUSTOMER_ID, CUSTOMER_COMPANY, CUSTOMER_SHIP_TO = 8, CUSTOMER_BILL_TO, CUSTOMER_TAX_EXEMPT = 11,
	CUSTOMER_GROUP = 13, CUSTOMER_EXEMPT_UNTIL
};

static OmsCache customers = {
	.name = "customer",
	.tables = {"customer"},
};

static void
require_active(const OmsChannel *channel)
{
	if (!channel->active)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("channel \"%s\" is not active", channel->code),
				 errhint("Set its active to true, or use another channel.")));
}

static OmsDraft *
new_draft(const OmsChannel *channel, const char *actor)
{
	OmsDraft   *draft;

	draft = palloc0(sizeof(OmsDraft));
	draft->merchant = channel->merchant;
	draft->channel = channel->channel;
	memcpy(draft->currency, channel->currency, sizeof(draft->currency));
	draft->exponent = channel->exponent;
	draft->rounding = channel->rounding;
	draft->allocation = channel->allocation;
	draft->confirm = channel->confirm;
	draft->tax_included = channel->tax_included;
	draft->foreign = channel->foreign;
	draft->reserve = channel->reserve;
	draft->reserve_days = channel->reserve_days;
	draft->whole = channel->whole;
	draft->override = channel->override;
	draft->nlocations = channel->nlocations;
	draft->locations = palloc((channel->nlocations + 1) * sizeof(int32));
	memcpy(draft->locations, channel->locations, channel->nlocations * sizeof(int32));
	draft->placed_at = oms_now();
	draft->actor = actor;
	return draft;
}

/* An empty draft for a channel; 0 is the merchant's only one. */
OmsDraft *
oms_draft_new(int32 merchant, int32 channel, const char *actor)
{
	const OmsChannel *found;

	if (channel == 0)
	{
		Datum		values[1] = {Int32GetDatum(merchant)};

		oms_begin();
		oms_run(&statements[ST_ONLY_CHANNEL], values, NULL);
		if (oms_get_int64(0, 2) != 1)
			ereport(ERROR,
					(errcode(OMS_MALFORMED),
					 errmsg("the document is malformed at $.channel"),
					 errdetail("Merchant %d has " INT64_FORMAT " active channels; the document does not say which.",
							   merchant, oms_get_int64(0, 2)),
					 errhint("Give the channel's code or id.")));
		channel = oms_get_int32(0, 1);
		oms_end();
	}
	found = oms_channel(merchant, channel);
	if (found == NULL)
		oms_error_unknown("channel", merchant, channel);
	require_active(found);
	return new_draft(found, actor);
}

/* The same for an order that was accepted before: its channel may be closed by now. */
OmsDraft *
oms_draft_of_order(int32 merchant, int32 channel)
{
	const OmsChannel *found = oms_channel(merchant, channel);
	OmsDraft   *draft;

	if (found == NULL)
		oms_error_unknown("channel", merchant, channel);
	draft = new_draft(found, NULL);
	draft->accepted = true;
	draft->reserve = OMS_RESERVE_PLACEMENT;
	return draft;
}

OmsDraft *
oms_draft_for_code(int32 merchant, const char *code, const char *actor)
{
	const OmsChannel *found = oms_channel_by_code(merchant, code);

	if (found == NULL)
		oms_error_unknown_code("channel", merchant, code);
	require_active(found);
	return new_draft(found, actor);
}

/* A customer known by his reference; who is not known is a guest. */
static void
resolve_customer_ref(OmsDraft *draft)
{
	Datum		values[2];

	if (draft->customer_ref == NULL)
		return;
	values[0] = Int32GetDatum(draft->merchant);
	values[1] = CStringGetTextDatum(draft->customer_ref);
	oms_begin();
	if (oms_run(&statements[ST_CUSTOMER_REF], values, NULL) > 0)
		draft->customer_id = oms_get_int64(0, 1);
	oms_end();
}

/*
 * Reads company, addresses, exemption and group of the draft's customer, nulls as 0;
 * false when there is no such customer.
 */
static bool
read_customer(const OmsDraft *draft, Datum *values)
{
	static const int columns[] = {
		CUSTOMER_COMPANY, CUSTOMER_SHIP_TO, CUSTOMER_BILL_TO, CUSTOMER_TAX_EXEMPT, CUSTOMER_GROUP, CUSTOMER_EXEMPT_UNTIL
	};
	static const int16 lengths[] = {sizeof(int64), -1, -1, -1, sizeof(int32), sizeof(TimestampTz)};
	Datum		key[2] = {Int32GetDatum(draft->merchant), Int64GetDatum(draft->customer_id)};
	bool		nulls[lengthof(columns)];
	ScanKeyData keys[2];
	OmsFound	found;
	int			i;

	ScanKeyInit(&keys[0], CUSTOMER_MERCHANT, BTEqualStrategyNumber, F_INT4EQ, key[0]);
	ScanKeyInit(&keys[1], CUSTOMER_ID, BTEqualStrategyNumber, F_INT8EQ, key[1]);
	found = oms_find(&customers, keys, 2, columns, lengthof(columns), values, nulls);
	if (found == OMS_FIND_BY_SQL)
	{
		oms_begin();
		if (oms_run(&statements[ST_CUSTOMER], key, NULL) > 0)
		{
			found = OMS_FOUND;
			for (i = 0; i < lengthof(columns); i++)
			{
				values[i] = oms_get(0, i + 1, &nulls[i]);
				if (!nulls[i])
					values[i] = oms_copy_out(values[i], lengths[i] > 0, lengths[i]);
			}
		}
		oms_end();
	}
	if (found != OMS_FOUND)
		return false;
	for (i = 0; i < lengthof(columns); i++)
		if (nulls[i])
			values[i] = (Datum) 0;
	return true;
}

static void
resolve_customer(OmsDraft *draft)
{
	Datum		values[6];

	resolve_customer_ref(draft);
	if (draft->customer_id == 0)
		return;
	if (!read_customer(draft, values))
		oms_error_unknown("customer", draft->merchant, draft->customer_id);
	draft->company_id = DatumGetInt64(values[0]);
	if (draft->ship_to == (Datum) 0)
	{
		draft->ship_to = values[1];
		if (draft->bill_to == (Datum) 0)
			draft->bill_to = values[2];
	}
	draft->group = DatumGetInt32(values[4]);
	if (values[3] != (Datum) 0 && (values[5] == (Datum) 0 || DatumGetTimestampTz(values[5]) > draft->placed_at))
		draft->certificate = TextDatumGetCString(values[3]);
}

/* Notes where the price of a line is not the listed one. */
static void
compare_price(OmsDraft *draft, OmsDraftLine *line, const OmsItem *item)
{
	const OmsPrice *price = oms_catalogue_price(item, draft->currency, draft->channel, draft->group, line->quantity, draft->placed_at);

	line->listed = price == NULL ? -1 : price->amount;
	line->overridden = line->listed != line->unit_price;
	draft->noverrides += line->overridden;
}

/* Fills a line from the catalogue; a SKU that nobody knows stays unmapped. */
static void
resolve_line(OmsDraft *draft, OmsDraftLine *line, const char *country, const char *region)
{
	const OmsItem *item = line->item != 0 ? oms_catalogue_item(draft->merchant, line->item) :
		oms_catalogue_sku(draft->merchant, draft->channel, line->sku);
	const OmsPrice *price;

	if (item == NULL)
	{
		if (line->item != 0)
			oms_error_unknown("item", draft->merchant, line->item);
		if (line->title == NULL)
			line->title = line->sku;
		draft->unmapped = true;
		draft->unpriced = draft->unpriced || !line->has_price;
		return;
	}
	if (!item->active && !draft->compared)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item \"%s\" is not active", item->sku),
				 errhint("Set its active to true, or leave it out.")));
	line->item = item->item;
	line->kind = item->kind;
	if (line->sku == NULL)
		line->sku = pstrdup(item->sku);
	if (line->title == NULL)
		line->title = pstrdup(item->title);
	if (item->kind == OMS_KIT)
	{
		if (item->ncomponents == 0)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("kit \"%s\" has no parts", item->sku),
					 errhint("Insert its parts into oms.kit_component.")));
		line->ncomponents = item->ncomponents;
		line->components = palloc(item->ncomponents * sizeof(OmsComponent));
		memcpy(line->components, item->components, item->ncomponents * sizeof(OmsComponent));
	}
	if (!line->has_price)
	{
		price = oms_catalogue_price(item, draft->currency, draft->channel, draft->group, line->quantity, draft->placed_at);
		if (price == NULL)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("item \"%s\" has no price", item->sku),
					 errdetail("No row of oms.price is in force for %s, channel %d, quantity %d.",
							   draft->currency, draft->channel, line->quantity),
					 errhint("Insert a price, or give unit_price in the order.")));
		line->unit_price = price->amount;
	}
	else if (draft->override != OMS_OVERRIDE_FREE && !draft->accepted && !draft->compared)
		compare_price(draft, line, item);
	if (!line->has_tax_rate)
		line->tax_rate = oms_tax_rate(draft->merchant, item->tax_class, country, region);
}

void
oms_draft_tax(const OmsDraft *draft, int64 amount, int64 rate, bool given, int64 *tax, int64 *total)
{
	if (given)
	{
		if (draft->tax_included && llabs(*tax) > llabs(amount))
			oms_error_document(NULL, "tax", "no more than the amount that contains it");
	}
	else if (draft->tax_included)
		*tax = oms_money_tax_inside(amount, rate, draft->rounding);
	else
		*tax = oms_money_share(amount, rate, draft->rounding);
	*total = draft->tax_included ? amount : oms_money_add(amount, *tax);
}

void
oms_draft_retax(const OmsDraft *draft, int64 amount_was, int64 tax_was, int64 amount, int64 rate, int64 *tax, int64 *total)
{
	int64		computed = 0;
	int64		ignored;

	oms_draft_tax(draft, amount_was, rate, false, &computed, &ignored);
	if (computed == tax_was || amount_was == 0)
	{
		oms_draft_tax(draft, amount, rate, false, tax, total);
		return;
	}
	if (!oms_mul_div(tax_was, amount, amount_was, draft->rounding, tax))
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("a tax of order " INT64_FORMAT " does not fit into 64 bits", draft->order_id)));
	oms_draft_tax(draft, amount, rate, true, tax, total);
}

/* Rounds each line once, takes off what promotions give, spreads the order's discount, and sums up. */
static void
compute_amounts(OmsDraft *draft)
{
	int64	   *weights = palloc((draft->nlines + 1) * sizeof(int64));
	int64	   *shares = palloc0((draft->nlines + 1) * sizeof(int64));
	int64		discountable = 0;
	int			i;

	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];
		OmsPath		lines = {NULL, "lines", 0};
		OmsPath		path = {&lines, NULL, i};

		line->subtotal = oms_money_amount(line->unit_price, line->quantity, draft->exponent, draft->rounding);
		if (line->own_discount > line->subtotal)
			oms_error_document(&path, "discount", "no more than the line's amount");
		draft->subtotal = oms_money_add(draft->subtotal, line->subtotal);
	}
	oms_promotions_apply(draft);
	for (i = 0; i < draft->nlines; i++)
	{
		weights[i] = draft->lines[i].subtotal - draft->lines[i].own_discount;
		discountable = oms_money_add(discountable, weights[i]);
	}
	if (draft->order_discount > discountable)
		oms_error_document(NULL, "discount", "no more than the lines' amount");
	if (draft->order_discount > 0)
		(void) oms_prorate(draft->order_discount, weights, draft->nlines, shares);
	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];

		line->discount = line->own_discount + shares[i];
		if (draft->certificate != NULL && !line->has_tax)
			line->tax_rate = 0;
		oms_draft_tax(draft, line->subtotal - line->discount, line->tax_rate, line->has_tax, &line->tax, &line->total);
		draft->discount += line->discount;
		draft->tax = oms_money_add(draft->tax, line->tax);
		draft->total = oms_money_add(draft->total, line->total);
	}
	for (i = 0; i < draft->ncharges; i++)
	{
		OmsDraftCharge *charge = &draft->charges[i];
		int64	   *sum = strcmp(charge->kind, "shipping") == 0 ? &draft->shipping : &draft->other_charges;

		if (draft->certificate != NULL && !charge->has_tax)
			charge->tax_rate = 0;
		oms_draft_tax(draft, charge->amount, charge->tax_rate, charge->has_tax, &charge->tax, &charge->total);
		*sum = oms_money_add(*sum, charge->amount);
		draft->tax = oms_money_add(draft->tax, charge->tax);
		draft->total = oms_money_add(draft->total, charge->total);
	}
}

/* Country and region of the delivery, for tax rules. */
void
oms_draft_destination(const OmsDraft *draft, char **country, char **region)
{
	JsonbContainer *address;

	*country = *region = NULL;
	if (draft->ship_to == (Datum) 0)
		return;
	address = &DatumGetJsonbP(draft->ship_to)->root;
	if (!JsonContainerIsObject(address))
		return;
	*country = oms_json_text(address, NULL, "country", 400, false);
	*region = oms_json_text(address, NULL, "region", 400, false);
}

/* Resolves and prices a draft; raises what the document's author must correct. */
void
oms_draft_resolve(OmsDraft *draft)
{
	int64	   *items = palloc((draft->nlines + 1) * sizeof(int64));
	char	  **skus = palloc((draft->nlines + 1) * sizeof(char *));
	char	   *country;
	char	   *region;
	int			nitems = 0;
	int			nskus = 0;
	int			i;
	bool		units;

	resolve_customer(draft);
	if (!draft->accepted)
		draft->judged = oms_orders_are_judged(draft->merchant);
	if (draft->judged || (!draft->accepted && oms_workflow_in_force(draft->merchant, draft->channel) != NULL))
	{
		draft->confirm_judged = draft->confirm;
		draft->confirm = false;
	}
	oms_draft_destination(draft, &country, &region);
	for (i = 0; i < draft->nlines; i++)
	{
		if (draft->lines[i].item != 0)
			items[nitems++] = draft->lines[i].item;
		else
			skus[nskus++] = draft->lines[i].sku;
	}
	/* The tax table first: looking a rate up must not run a query between catalogue look-ups. */
	(void) oms_tax_rate(draft->merchant, "", NULL, NULL);
	units = oms_units_used() && !draft->accepted;
	oms_catalogue_load(draft->merchant, draft->channel, items, nitems, skus, nskus);
	if (units || draft->units)
	{
		oms_draft_quantities(draft);
		oms_catalogue_load(draft->merchant, draft->channel, items, nitems, skus, nskus);
	}
	draft->catalogue = oms_catalogue_mark();
	for (i = 0; i < draft->nlines; i++)
		resolve_line(draft, &draft->lines[i], country, region);
	if (draft->noverrides > 0)
		oms_price_overrides_check(draft);
	for (i = 0; i < draft->ncharges; i++)
		if (!draft->charges[i].has_tax_rate)
			draft->charges[i].tax_rate = oms_tax_rate(draft->merchant, draft->charges[i].kind, country, region);
	compute_amounts(draft);
}

void
oms_draft_compare_prices(OmsDraft *draft)
{
	int64	   *items = palloc((draft->nlines + 1) * sizeof(int64));
	int			i;

	resolve_customer(draft);
	for (i = 0; i < draft->nlines; i++)
		items[i] = draft->lines[i].item;
	oms_catalogue_load(draft->merchant, draft->channel, items, draft->nlines, NULL, 0);
	for (i = 0; i < draft->nlines; i++)
		compare_price(draft, &draft->lines[i], oms_catalogue_item(draft->merchant, items[i]));
	if (draft->noverrides > 0)
		oms_price_overrides_check(draft);
}

static void
add_promise(OmsDraft *draft, int line, const OmsGateKey *key, int64 quantity, const OmsBounds *bounds)
{
	OmsPromise *promise;

	if (draft->npromises == draft->maxpromises)
	{
		draft->maxpromises = Max(8, draft->maxpromises * 2);
		draft->promises = draft->promises == NULL ? palloc(draft->maxpromises * sizeof(OmsPromise)) :
			repalloc(draft->promises, draft->maxpromises * sizeof(OmsPromise));
	}
	promise = &draft->promises[draft->npromises++];
	promise->line = line;
	promise->key = *key;
	promise->quantity = quantity;
	promise->bounds = *bounds;
}

bool
oms_draft_promise(OmsDraft *draft, int index, int32 location, int64 units)
{
	OmsDraftLine *line = &draft->lines[index];
	OmsComponent single = {line->item, 1};
	const OmsComponent *parts = line->kind == OMS_KIT ? line->components : &single;
	int			nparts = line->kind == OMS_KIT ? line->ncomponents : 1;
	int			before = draft->npromises;
	int			i;

	for (i = 0; i < nparts; i++)
	{
		OmsGateKey	key = {draft->merchant, location, parts[i].item};
		OmsBounds	bounds;

		if (!oms_promise_take(&key, draft->channel, units * parts[i].per_unit, &bounds))
		{
			while (draft->npromises > before)
			{
				OmsPromise *promise = &draft->promises[--draft->npromises];

				oms_promise_give(&promise->key, promise->quantity, &promise->bounds);
			}
			return false;
		}
		add_promise(draft, index, &key, units * parts[i].per_unit, &bounds);
	}
	return true;
}

/* How many units of a line a location could promise. */
static int64
units_at(const OmsDraft *draft, const OmsDraftLine *line, int32 location)
{
	OmsGateKey	key = {draft->merchant, location, line->item};
	int64		units = PG_INT64_MAX;
	int			i;

	if (line->kind != OMS_KIT)
		return oms_promise_available(&key, draft->channel, line->quantity);
	for (i = 0; i < line->ncomponents; i++)
	{
		key.item = line->components[i].item;
		units = Min(units, oms_promise_available(&key, draft->channel, (int64) line->quantity * line->components[i].per_unit) /
					line->components[i].per_unit);
	}
	return units;
}

/* Promises what the locations have of the rest of a line, in their order. */
static void
split_line(OmsDraft *draft, int index)
{
	OmsDraftLine *line = &draft->lines[index];
	int			i;

	for (i = 0; i < draft->nlocations && line->allocated < line->quantity; i++)
	{
		int64		units = Min(units_at(draft, line, draft->locations[i]), line->quantity - line->allocated);

		if (units > 0 && oms_draft_promise(draft, index, draft->locations[i], units))
			line->allocated += (int32) units;
	}
}

/*
 * Promises as much of a line as there is: whole at the first location that has
 * it, else split over the locations in their order; what is then missing from
 * what is reserved for the customer or the channel.
 */
static void
admit_line(OmsDraft *draft, int index)
{
	OmsDraftLine *line = &draft->lines[index];
	int			i;

	for (i = 0; i < draft->nlocations; i++)
		if (oms_draft_promise(draft, index, draft->locations[i], line->quantity))
		{
			line->allocated = line->quantity;
			return;
		}
	split_line(draft, index);
	for (i = 0; i < draft->nlocations && line->allocated < line->quantity && line->kind != OMS_KIT; i++)
	{
		OmsGateKey	key = {draft->merchant, draft->locations[i], line->item};
		int64		units = oms_bound_left(&key, draft->channel, line->quantity - line->allocated);

		if (units == 0 || !oms_hold_draw(&key, draft->customer_id, draft->channel, units))
			continue;
		split_line(draft, index);
	}
}

/* Refuses the order for want of a line's stock: what all its lines want together, and what there was. */
static void
refuse(OmsDraft *draft, int index)
{
	const OmsDraftLine *line = &draft->lines[index];
	int64		wanted = 0;
	int64		available = 0;
	int			i;

	for (i = 0; i < draft->nlines; i++)
	{
		if (draft->lines[i].item != line->item)
			continue;
		wanted += draft->lines[i].quantity;
		if (i <= index)
			available += draft->lines[i].allocated;
	}
	oms_draft_give_back(draft);
	if (line->kind != OMS_KIT)
		oms_bound_refuse(draft->merchant, draft->channel, line->item, draft->locations, draft->nlocations, wanted);
	for (i = 0; i < line->ncomponents; i++)
		oms_bound_refuse(draft->merchant, draft->channel, line->components[i].item, draft->locations, draft->nlocations,
						 wanted * line->components[i].per_unit);
	ereport(ERROR,
			(errcode(OMS_SHORTAGE),
			 errmsg("not enough stock of item \"%s\"", line->sku),
			 errdetail(INT64_FORMAT " wanted, " INT64_FORMAT " available.", wanted, available),
			 errhint("Order less, wait for a receipt, or allow backorders (setting \"allocation\").")));
}

/*
 * Takes the units of the draft's holds, and looks at their locations first.
 */
static void
use_holds(OmsDraft *draft)
{
	int32	   *locations = palloc((draft->nholds + draft->nlocations) * sizeof(int32));
	int			n = oms_hold_use(draft->merchant, draft->holds, draft->nholds, draft->customer_id, draft->channel, locations);
	int			held;
	int			i;
	int			j;

	for (held = i = 0; i < n; i++)
	{
		for (j = 0; j < held && locations[j] != locations[i]; j++)
			;
		if (j == held)
			locations[held++] = locations[i];
	}
	for (n = held, i = 0; i < draft->nlocations; i++)
	{
		for (j = 0; j < held && locations[j] != draft->locations[i]; j++)
			;
		if (j == held)
			locations[n++] = draft->locations[i];
	}
	draft->locations = locations;
	draft->nlocations = n;
	draft->nheld = held;
}

/*
 * Asks the gate for the stock of every line, by the draft's policy.  Raises
 * OM001 when the policy is strict and something is short that is not in
 * preorder, OM007 when a bound is what keeps it.
 */
void
oms_draft_admit(OmsDraft *draft)
{
	int64	   *backordered = NULL;
	int			nbackordered = 0;
	bool		sourced;
	int			i;

	if ((draft->reserve != OMS_RESERVE_PLACEMENT || draft->ship_at != 0) && oms_reserve_later(draft))
		return;
	if (draft->allocation == OMS_ALLOCATE_NONE)
		return;
	if (draft->nholds > 0)
		use_holds(draft);
	sourced = draft->nlocations > 0 && !draft->located && oms_sourcing_admit(draft);
	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];

		if (line->item == 0 || line->kind == OMS_SERVICE || line->quantity == 0)
			continue;
		if (draft->nlocations == 0)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("channel %d has no location to promise from", draft->channel),
					 errhint("Insert one into oms.channel_location.")));
		if (!sourced)
			admit_line(draft, i);
		if (line->allocated == line->quantity)
			continue;
		line->preorder = oms_preorder_open(draft->merchant, line->item);
		if (draft->allocation == OMS_ALLOCATE_STRICT && line->preorder == 0)
			refuse(draft, i);
		draft->nwaiting++;
		line->backordered = line->quantity - line->allocated;
		if (backordered == NULL)
			backordered = palloc(draft->nlines * sizeof(int64));
		backordered[nbackordered++] = line->item;
	}
	if (draft->of_batch && nbackordered > 0)
		oms_backorder_lock(draft->merchant, NULL, 0);
	else if (nbackordered > 1)
		oms_backorder_lock(draft->merchant, backordered, nbackordered);
}

/* Gives back what the gate gave, for a draft that is not written. */
void
oms_draft_give_back(OmsDraft *draft)
{
	while (draft->npromises > 0)
	{
		OmsPromise *promise = &draft->promises[--draft->npromises];

		oms_promise_give(&promise->key, promise->quantity, &promise->bounds);
	}
}
