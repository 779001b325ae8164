/*-------------------------------------------------------------------------
 * map.c
 *	  Unmapped lines: a new item or alias with their SKU maps them, asks for
 *	  their stock and releases the hold.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/rel.h"

#include "config/catalogue.h"
#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "event/event.h"
#include "inventory/inventory.h"
#include "inventory/supply.h"
#include "order/draft.h"
#include "order/order.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_map_lines);
PG_FUNCTION_INFO_V1(oms_map_units);

enum
{
	ST_WAITING,
	ST_UNITS,
	ST_ASKED,
	ST_CONVERT,
	ST_CONVERTED,
	ST_MAP,
	ST_PART,
	ST_PROMISE,
	ST_STILL_UNMAPPED,
	ST_AGAIN,
	ST_AGAIN_ALIAS
};

static OmsStatement statements[] = {
	[ST_WAITING] = {
		"SELECT l.order_id, l.line_no, o.channel_id FROM oms.order_line l "
		"JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id "
		"WHERE l.merchant_id = $1 AND l.sku = $2 AND l.item_id IS NULL AND l.merchant_id = o.merchant_id "
		"AND ($3 = 0 OR o.channel_id = $3) AND o.lifecycle <> 'cancelled' ORDER BY 1, 2",
		3, {INT4OID, TEXTOID, INT4OID}
	},
	[ST_UNITS] = {
		"SELECT ordered - cancelled FROM oms.order_line "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3 AND item_id IS NULL",
		3, {INT4OID, INT8OID, INT4OID}
	},
	/* A line in a unit that was not known; null units: not by this item, or no whole number, or partly cancelled. */
	[ST_ASKED] = {
		"SELECT CASE WHEN l.cancelled = 0 AND a.quantity * u.numerator % u.denominator = 0 "
		"THEN least(a.quantity * u.numerator / u.denominator, 1e15)::bigint END, "
		"l.ordered, l.unit_price, u.numerator, u.denominator FROM oms.order_line_asked a "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = $3 "
		"LEFT JOIN oms.item_unit u ON u.merchant_id = $1 AND u.item_id = $4 AND u.unit = a.unit "
		"WHERE a.merchant_id = $1 AND a.order_id = $2 AND a.line_no = $3 AND a.numerator IS NULL",
		4, {INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_CONVERT] = {
		"UPDATE oms.order_line SET ordered = $4, unit_price = $5 WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		5, {INT4OID, INT8OID, INT4OID, INT4OID, NUMERICOID}
	},
	[ST_CONVERTED] = {
		"UPDATE oms.order_line_asked SET asked = $4, numerator = $5, denominator = $6 "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		6, {INT4OID, INT8OID, INT4OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_MAP] = {
		"UPDATE oms.order_line SET item_id = $4, allocated = $5, backordered = $6 "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID, INT4OID}
	},
	[ST_PART] = {
		"INSERT INTO oms.order_line_component (merchant_id, order_id, line_no, item_id, per_unit) VALUES ($1, $2, $3, $4, $5)",
		5, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID}
	},
	[ST_PROMISE] = {
		"INSERT INTO oms.reservation (merchant_id, order_id, line_no, item_id, location_id, quantity) "
		"VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_STILL_UNMAPPED] = {
		"SELECT 1 FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2 AND item_id IS NULL AND cancelled < ordered LIMIT 1",
		2, {INT4OID, INT8OID}
	},
	[ST_AGAIN] = {
		"UPDATE oms.item SET sku = sku WHERE merchant_id = $1 AND item_id = $2 "
		"AND EXISTS (SELECT 1 FROM oms.order_line_asked WHERE merchant_id = $1 AND numerator IS NULL AND unit = $3)",
		3, {INT4OID, INT8OID, TEXTOID}
	},
	[ST_AGAIN_ALIAS] = {
		"UPDATE oms.item_alias SET sku = sku WHERE merchant_id = $1 AND item_id = $2 "
		"AND EXISTS (SELECT 1 FROM oms.order_line_asked WHERE merchant_id = $1 AND numerator IS NULL AND unit = $3)",
		3, {INT4OID, INT8OID, TEXTOID}
	},
};

typedef struct Waiting
{
	int64		order_id;
	int32		line_no;
	int32		units;
	int32		channel;
} Waiting;

/*
 * Maps one line: its promise is asked for as placing would, but a shortage
 * becomes a backorder, for the order has been accepted.
 */
static void
map_line(const OmsOrderHead *head, int64 item, const Waiting *waiting)
{
	int32		merchant = head->merchant;
	OmsDraft   *draft = oms_draft_of_order(merchant, waiting->channel);
	OmsDraftLine line = {0};
	Datum		values[6];
	bool		sourced;
	bool		waits;
	int32		missing;
	int			i;

	line.item = item;
	line.quantity = waiting->units;
	line.has_price = true;
	draft->lines = &line;
	draft->nlines = 1;
	oms_draft_resolve(draft);
	if (draft->allocation == OMS_ALLOCATE_STRICT)
		draft->allocation = OMS_ALLOCATE_BACKORDER;
	sourced = draft->allocation != OMS_ALLOCATE_NONE && line.kind != OMS_SERVICE && oms_sourcing_applies(merchant, waiting->channel);
	waits = oms_reserve_waits(merchant, waiting->order_id);
	if (sourced || waits)
		draft->allocation = OMS_ALLOCATE_NONE;
	if (draft->nlocations > 0)
		oms_draft_admit(draft);
	else if (draft->allocation != OMS_ALLOCATE_NONE && line.kind != OMS_SERVICE)
		line.backordered = line.quantity;

	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(waiting->order_id);
	values[2] = Int32GetDatum(waiting->line_no);
	for (i = 0; i < line.ncomponents; i++)
	{
		values[3] = Int64GetDatum(line.components[i].item);
		values[4] = Int32GetDatum(line.components[i].per_unit);
		oms_run_guarded(&statements[ST_PART], values, NULL);
	}
	for (i = 0; i < draft->npromises; i++)
	{
		const OmsPromise *promise = &draft->promises[i];

		/* The row's trigger takes it from the transaction's books. */
		oms_promise_give(&promise->key, promise->quantity, &promise->bounds);
		values[3] = Int64GetDatum(promise->key.item);
		values[4] = Int32GetDatum(promise->key.location);
		values[5] = Int64GetDatum(promise->quantity);
		oms_run_guarded(&statements[ST_PROMISE], values, NULL);
	}
	values[3] = Int64GetDatum(item);
	values[4] = Int32GetDatum(line.allocated);
	values[5] = Int32GetDatum(line.backordered);
	oms_run_guarded(&statements[ST_MAP], values, NULL);
	if (line.backordered > 0)
		oms_promise_waiting(merchant, &(OmsWaitingLine) {waiting->order_id, waiting->line_no, waiting->channel, line.preorder, line.backordered},
							1, false);
	if (sourced && !waits)
		(void) oms_reserve_units(head, waiting->line_no, true, &missing);
}

/*
 * A line in a unit gets the item's base units, at a price that leaves its
 * amount; false where that cannot be: it waits on.
 */
static bool
convert_unit(int64 item, Waiting *waiting, int32 merchant)
{
	OmsDraft   *draft = oms_draft_of_order(merchant, waiting->channel);
	Datum		values[6] = {Int32GetDatum(merchant), Int64GetDatum(waiting->order_id), Int32GetDatum(waiting->line_no),
	Int64GetDatum(item)};
	int64		base;
	int64		given;
	int64		price;
	int32		ordered;
	bool		isnull;

	if (oms_run(&statements[ST_ASKED], values, NULL) == 0)
		return true;
	base = oms_is_null(0, 1) ? 0 : oms_get_int64(0, 1);
	ordered = oms_get_int32(0, 2);
	given = oms_numeric_to_scaled(oms_get(0, 3, &isnull), OMS_PRICE_SCALE, "unit_price");
	if (base <= 0 || base > OMS_MAX_QUANTITY || !oms_mul_div(given, ordered, base, draft->rounding, &price) ||
		oms_money_amount(price, base, draft->exponent, draft->rounding) !=
		oms_money_amount(given, ordered, draft->exponent, draft->rounding))
		return false;
	values[4] = Int64GetDatum(oms_get_int64(0, 4));
	values[5] = Int64GetDatum(oms_get_int64(0, 5));
	values[3] = Int32GetDatum((int32) base);
	oms_run_guarded(&statements[ST_CONVERTED], values, NULL);
	values[4] = oms_price_to_numeric(price, draft->exponent);
	oms_run_guarded(&statements[ST_CONVERT], values, NULL);
	waiting->units = (int32) base;
	return true;
}

/*
 * Whether lines can be of the item yet: not while it is inactive, or a kit
 * whose parts are still to come.
 */
static bool
can_be_ordered(int32 merchant, int64 id)
{
	const OmsItem *item;

	oms_catalogue_load(merchant, 0, &id, 1, NULL, 0);
	item = oms_catalogue_item(merchant, id);
	return item != NULL && item->active && (item->kind != OMS_KIT || item->ncomponents > 0);
}

/* Writes the event of a mapped line. */
static void
announce(int32 merchant, int64 item, const Waiting *waiting)
{
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "line", waiting->line_no);
	oms_json_add_int(&json, "item", item);
	oms_event_of_order(merchant, waiting->order_id, "order.line_mapped", NULL, NULL, oms_json_end(&json));
}

/* Releases the order's hold when no line waits for its SKU any more. */
static void
release_when_mapped(int32 merchant, const Waiting *waiting)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(waiting->order_id)};
	OmsOrderHead head;

	if (oms_run(&statements[ST_STILL_UNMAPPED], values, NULL) > 0)
		return;
	oms_order_lock(merchant, waiting->order_id, &head);
	if (oms_order_release(&head, "unmapped", oms_calling_role(), "every SKU is known"))
		oms_order_confirm_if_free(merchant, waiting->order_id, oms_calling_role());
}

/*
 * AFTER INSERT OR UPDATE OF sku, active row on item (its own SKU, in every
 * channel) and OF sku on item_alias (that SKU, in its channel).  What cannot be
 * ordered yet leaves its lines waiting.  An UPDATE to the same SKU is the way
 * out for a kit that got its parts later, and for an order that was placed
 * while the item was being made: neither saw the other.
 */
Datum
oms_map_lines(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	bool		alias = strcmp(RelationGetRelationName(trigdata->tg_relation), "item_alias") == 0;
	bool		isnull;
	int32		merchant = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));
	int64		item = DatumGetInt64(SPI_getbinval(tuple, desc, SPI_fnumber(desc, "item_id"), &isnull));
	Waiting    *waiting;
	Datum		values[3];
	uint64		rows;
	uint64		i;

	oms_begin_trigger(trigdata);
	values[0] = Int32GetDatum(merchant);
	values[1] = SPI_getbinval(tuple, desc, SPI_fnumber(desc, "sku"), &isnull);
	values[2] = alias ? SPI_getbinval(tuple, desc, SPI_fnumber(desc, "channel_id"), &isnull) : Int32GetDatum(0);
	rows = oms_run(&statements[ST_WAITING], values, NULL);
	waiting = palloc((rows + 1) * sizeof(Waiting));
	for (i = 0; i < rows; i++)
	{
		waiting[i].order_id = oms_get_int64(i, 1);
		waiting[i].line_no = oms_get_int32(i, 2);
		waiting[i].channel = oms_get_int32(i, 3);
	}
	for (i = 0; i < rows && can_be_ordered(merchant, item); i++)
	{
		OmsOrderHead head;

		oms_order_lock(merchant, waiting[i].order_id, &head);
		/* Units may have been cancelled while we waited for the order. */
		values[1] = Int64GetDatum(waiting[i].order_id);
		values[2] = Int32GetDatum(waiting[i].line_no);
		waiting[i].units = oms_run(&statements[ST_UNITS], values, NULL) > 0 ? oms_get_int32(0, 1) : 0;
		if (waiting[i].units > 0 && convert_unit(item, &waiting[i], merchant))
		{
			map_line(&head, item, &waiting[i]);
			announce(merchant, item, &waiting[i]);
		}
		release_when_mapped(merchant, &waiting[i]);
	}
	oms_end();
	return PointerGetDatum(NULL);
}

/* AFTER INSERT OR UPDATE row on item_unit: lines that waited for the unit are mapped as if the item were new. */
Datum
oms_map_units(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	Datum		values[3];
	bool		isnull;
	int			i;

	for (i = 0; i < 3; i++)
		values[i] = oms_row_get(trigdata, tuple, i + 1, &isnull);
	oms_begin_trigger(trigdata);
	oms_run(&statements[ST_AGAIN], values, NULL);
	oms_run(&statements[ST_AGAIN_ALIAS], values, NULL);
	oms_end();
	return PointerGetDatum(NULL);
}
