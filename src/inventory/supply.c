/*-------------------------------------------------------------------------
 * supply.c
 *	  Supply on order: ordered, revised, received in parts, closed short.
 *
 *	  Lines may be typed by hand; what came of them only by receive_supply().
 *	  Receiving locks the line first, then moves stock as every receipt does.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/rel.h"

#include "config/catalogue.h"
#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "core/rows.h"
#include "event/event.h"
#include "inventory/inventory.h"
#include "inventory/lot.h"
#include "inventory/supply.h"

PG_FUNCTION_INFO_V1(oms_supply_line_guard);
PG_FUNCTION_INFO_V1(oms_supply_line_moved);
PG_FUNCTION_INFO_V1(oms_order_supply);
PG_FUNCTION_INFO_V1(oms_revise_supply);
PG_FUNCTION_INFO_V1(oms_receive_supply);
PG_FUNCTION_INFO_V1(oms_close_supply);

/* Columns of supply_line, in the order of sql/schema/33_supply.sql. */
enum
{
	LINE_MERCHANT = 1, LINE_SUPPLY, LINE_NO, LINE_ITEM, LINE_LOCATION, LINE_ORDERED, LINE_RECEIVED, LINE_CLOSED,
	LINE_EXPECTED, LINE_ORIGINAL, LINE_TOLERANCE, LINE_COST, LINE_CURRENCY, LINE_CLOSE_REASON
};

#define MAX_LINES 10000

enum
{
	ST_LEVEL,
	ST_ITEM,
	ST_ORDER,
	ST_LINES,
	ST_LOCK,
	ST_REVISE,
	ST_RECEIVE,
	ST_LOCK_OPEN,
	ST_CLOSE
};

static OmsStatement statements[] = {
	/* An item that is expected has a level, if of nothing; the level's guard knows what can have one. */
	[ST_LEVEL] = {
		"INSERT INTO oms.stock (merchant_id, item_id, location_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_ITEM] = {
		"INSERT INTO oms.supply_item (merchant_id, item_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", 2, {INT4OID, INT8OID}
	},
	[ST_ORDER] = {
		"INSERT INTO oms.supply_order (merchant_id, kind, supplier, external_ref, ordered_at, note, actor) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7) "
		"ON CONFLICT (merchant_id, external_ref) WHERE external_ref IS NOT NULL DO NOTHING RETURNING supply_id",
		7, {INT4OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_LINES] = {
		"INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered, expected_at, "
		"tolerance_percent, unit_cost, currency) SELECT merchant_id, supply_id, line_no, item_id, location_id, ordered, "
		"expected_at, tolerance_percent, unit_cost, currency FROM unnest($1) ORDER BY item_id, line_no",
		1, {0}
	},
	[ST_LOCK] = {
		"SELECT l.item_id, l.location_id, l.ordered, l.received, l.closed, l.tolerance_percent, o.external_ref, "
		"CASE WHEN l.currency = (SELECT m.currency FROM oms.merchant m WHERE m.merchant_id = $1) THEN l.unit_cost END "
		"FROM oms.supply_line l JOIN oms.supply_order o ON o.merchant_id = $1 AND o.supply_id = $2 "
		"WHERE l.merchant_id = $1 AND l.supply_id = $2 AND l.line_no = $3 FOR NO KEY UPDATE OF l",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_REVISE] = {
		"UPDATE oms.supply_line SET expected_at = coalesce($4, expected_at), ordered = coalesce($5, ordered) "
		"WHERE merchant_id = $1 AND supply_id = $2 AND line_no = $3 RETURNING greatest(ordered - received - closed, 0)",
		5, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID}
	},
	[ST_RECEIVE] = {
		"WITH r AS (INSERT INTO oms.supply_receipt (merchant_id, supply_id, line_no, movement_id, item_id, location_id, quantity) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7)) "
		"UPDATE oms.supply_line SET received = received + $7 WHERE merchant_id = $1 AND supply_id = $2 AND line_no = $3",
		7, {INT4OID, INT8OID, INT4OID, INT8OID, INT8OID, INT4OID, INT8OID}
	},
	/* In the order of items, as promises are locked. */
	[ST_LOCK_OPEN] = {
		"SELECT line_no, ordered - received - closed FROM oms.supply_line WHERE merchant_id = $1 AND supply_id = $2 "
		"AND (line_no = $3 OR $3 IS NULL) ORDER BY item_id, line_no FOR NO KEY UPDATE",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_CLOSE] = {
		"UPDATE oms.supply_line SET closed = ordered - received, close_reason = $4 "
		"WHERE merchant_id = $1 AND supply_id = $2 AND line_no = $3",
		4, {INT4OID, INT8OID, INT4OID, TEXTOID}
	},
};

static const char *const order_fields[] = {
	"kind", "supplier", "external_ref", "ordered_at", "note", "location", "currency", "expected_at", "lines", NULL
};
static const char *const line_fields[] = {
	"sku", "item", "quantity", "location", "expected_at", "unit_cost", "tolerance_percent", NULL
};

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on supply_line: lines stay, and what
 * came or was closed is written by commands.  Keeps the first date that was
 * given.  Raises OM009.
 */
Datum
oms_supply_line_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	Relation	rel = trigdata->tg_relation;
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	int			original_column = LINE_ORIGINAL;
	Datum		original;
	bool		isnull;
	int			column;

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		oms_error_guarded(rel, "What was ordered stays on record.", "Use close_supply().");
	for (column = LINE_MERCHANT; update && column <= LINE_LOCATION; column++)
		if (!oms_row_same(trigdata, column))
			oms_error_guarded(rel, "A supply line stays of its item and location.", "Close it and order another one.");
	for (column = LINE_RECEIVED; !oms_guard_is_open() && column <= LINE_CLOSED; column++)
		if (update ? !oms_row_same(trigdata, column) : DatumGetInt64(oms_row_get(trigdata, tuple, column, &isnull)) != 0)
			oms_error_guarded(rel, "What came of a line, and what will not, is written by commands.",
							  "Use receive_supply() or close_supply().");
	original = update ? oms_row_get(trigdata, trigdata->tg_trigtuple, LINE_ORIGINAL, &isnull) : (Datum) 0;
	if (!update || isnull)
		original = oms_row_get(trigdata, tuple, LINE_EXPECTED, &isnull);
	return PointerGetDatum(heap_modify_tuple_by_cols(tuple, RelationGetDescr(rel), 1, &original_column, &original, &isnull));
}

/* Adds an instant of the row to the event's data, as ISO 8601 in UTC; nothing for none. */
static void
add_instant(OmsJson *json, const char *key, TriggerData *trigdata, HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = oms_row_get(trigdata, tuple, column, &isnull);

	if (!isnull)
		oms_json_add_timestamp(json, key, DatumGetTimestampTz(value));
}

/*
 * AFTER INSERT OR UPDATE row on supply_line: the item has a level where it is
 * expected, what happened is an event, and promises to who waits follow.
 * Raises OM002 or OM008 for an item that lies on no shelf.
 */
Datum
oms_supply_line_moved(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	Datum		values[3];
	bool		isnull;
	OmsEvent	event = {0};
	OmsJson		json;
	int64		item;

	values[0] = oms_row_get(trigdata, tuple, LINE_MERCHANT, &isnull);
	values[1] = oms_row_get(trigdata, tuple, LINE_ITEM, &isnull);
	values[2] = oms_row_get(trigdata, tuple, LINE_LOCATION, &isnull);
	if (update && oms_row_same(trigdata, LINE_ORDERED) && oms_row_same(trigdata, LINE_RECEIVED) &&
		oms_row_same(trigdata, LINE_CLOSED) && oms_row_same(trigdata, LINE_EXPECTED))
		return PointerGetDatum(NULL);
	oms_begin_trigger(trigdata);
	if (!update)
	{
		oms_run(&statements[ST_LEVEL], values, NULL);
		oms_run_guarded(&statements[ST_ITEM], values, NULL);
	}
	oms_json_begin(&json);
	oms_json_add_int(&json, "line", DatumGetInt32(oms_row_get(trigdata, tuple, LINE_NO, &isnull)));
	oms_json_add_int(&json, "item", DatumGetInt64(values[1]));
	oms_json_add_int(&json, "location", DatumGetInt32(values[2]));
	oms_json_add_int(&json, "ordered", DatumGetInt64(oms_row_get(trigdata, tuple, LINE_ORDERED, &isnull)));
	oms_json_add_int(&json, "received", DatumGetInt64(oms_row_get(trigdata, tuple, LINE_RECEIVED, &isnull)));
	oms_json_add_int(&json, "closed", DatumGetInt64(oms_row_get(trigdata, tuple, LINE_CLOSED, &isnull)));
	add_instant(&json, "expected_at", trigdata, tuple, LINE_EXPECTED);
	if (update)
		add_instant(&json, "expected_before", trigdata, trigdata->tg_trigtuple, LINE_EXPECTED);
	event.merchant = DatumGetInt32(values[0]);
	event.subject_type = "supply";
	event.subject_id = DatumGetInt64(oms_row_get(trigdata, tuple, LINE_SUPPLY, &isnull));
	event.type = !update ? "supply.ordered" :
		!oms_row_same(trigdata, LINE_RECEIVED) ? "supply.received" :
		!oms_row_same(trigdata, LINE_CLOSED) ? "supply.closed" : "supply.revised";
	event.data = oms_json_end(&json);
	oms_event_write(&event);
	item = DatumGetInt64(values[1]);
	oms_promise_items(event.merchant, &item, 1);
	oms_end();
	return PointerGetDatum(NULL);
}

/* Reads a location's code at key, or what is given for all lines. */
static int32
read_location(int32 merchant, JsonbContainer *object, const OmsPath *path, int32 missing)
{
	char	   *code = oms_json_text(object, path, "location", OMS_KEY_LENGTH, missing == 0);

	return code == NULL ? missing : oms_location_id(merchant, code);
}

/* What a document says for all of its lines. */
typedef struct Common
{
	int32		merchant;
	int64		supply;
	int32		location;		/* 0: each line has its own */
	const char *currency;
	bool		expected;
	TimestampTz expected_at;
} Common;

static void
read_line(const Common *common, JsonbContainer *object, const OmsPath *path, OmsRows *rows, int line_no)
{
	int64		item = 0;
	int64		quantity = 0;
	int64		tolerance = 0;
	int64		cost;
	TimestampTz expected_at = common->expected_at;
	char	   *sku;

	oms_json_only(object, path, line_fields);
	(void) oms_json_int64(object, path, "item", 1, PG_INT64_MAX, &item);
	sku = oms_json_text(object, path, "sku", OMS_KEY_LENGTH, item == 0);
	if (item == 0)
	{
		const OmsItem *found;

		oms_catalogue_load(common->merchant, 0, NULL, 0, &sku, 1);
		found = oms_catalogue_sku(common->merchant, 0, sku);
		if (found == NULL)
			oms_error_unknown_code("item", common->merchant, sku);
		item = found->item;
	}
	if (!oms_json_int64(object, path, "quantity", 1, OMS_MAX_STOCK, &quantity))
		oms_error_document(path, "quantity", "a whole number of 1 or more");
	(void) oms_json_int64(object, path, "tolerance_percent", 0, 100, &tolerance);
	oms_rows_set(rows, LINE_MERCHANT, Int32GetDatum(common->merchant));
	oms_rows_set(rows, LINE_SUPPLY, Int64GetDatum(common->supply));
	oms_rows_set(rows, LINE_NO, Int32GetDatum(line_no));
	oms_rows_set(rows, LINE_ITEM, Int64GetDatum(item));
	oms_rows_set(rows, LINE_LOCATION, Int32GetDatum(read_location(common->merchant, object, path, common->location)));
	oms_rows_set(rows, LINE_ORDERED, Int64GetDatum(quantity));
	oms_rows_set(rows, LINE_TOLERANCE, Int32GetDatum((int32) tolerance));
	if (oms_json_timestamp(object, path, "expected_at", &expected_at) || common->expected)
		oms_rows_set(rows, LINE_EXPECTED, TimestampTzGetDatum(expected_at));
	if (oms_json_scaled(object, path, "unit_cost", OMS_PRICE_SCALE, &cost))
	{
		if (cost < 0)
			oms_error_document(path, "unit_cost", "a cost of zero or more");
		if (common->currency == NULL)
			oms_error_document(NULL, "currency", "a currency, for lines with unit_cost");
		oms_rows_set(rows, LINE_COST, oms_price_to_numeric(cost, 0));
		oms_rows_set_text(rows, LINE_CURRENCY, common->currency);
	}
	oms_rows_add(rows);
}

/* Writes the order's row; returns its id.  OM008 for a reference that is there already. */
static int64
write_order(const OmsCall *call, JsonbContainer *document)
{
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', ' '};
	const char *kind = oms_json_text(document, NULL, "kind", OMS_KEY_LENGTH, false);
	const char *texts[3];
	TimestampTz ordered_at = oms_now();
	int			i;

	if (kind == NULL)
		kind = "purchase";
	else if (strcmp(kind, "purchase") != 0 && strcmp(kind, "production") != 0 && strcmp(kind, "other") != 0)
		oms_error_document(NULL, "kind", "purchase, production or other");
	texts[0] = oms_json_text(document, NULL, "supplier", OMS_KEY_LENGTH, false);
	texts[1] = oms_json_text(document, NULL, "external_ref", OMS_KEY_LENGTH, false);
	texts[2] = oms_json_text(document, NULL, "note", OMS_TEXT_LENGTH, false);
	(void) oms_json_timestamp(document, NULL, "ordered_at", &ordered_at);
	values[0] = Int32GetDatum(call->merchant);
	values[1] = CStringGetTextDatum(kind);
	for (i = 0; i < 3; i++)
	{
		int			at = i < 2 ? i + 2 : 5;

		values[at] = texts[i] == NULL ? (Datum) 0 : CStringGetTextDatum(texts[i]);
		nulls[at] = texts[i] == NULL ? 'n' : ' ';
	}
	values[4] = TimestampTzGetDatum(ordered_at);
	values[6] = CStringGetTextDatum(call->actor);
	if (oms_run(&statements[ST_ORDER], values, nulls) == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("supply order \"%s\" is there already", texts[1]),
				 errhint("Revise its lines with revise_supply(), or give another reference.")));
	return oms_get_int64(0, 1);
}

/* SQL: order_supply(merchant, document, request_key, actor) */
Datum
oms_order_supply(PG_FUNCTION_ARGS)
{
	OmsCall		call;
	int64		supply;

	oms_arg_require(fcinfo, 1, "document");
	if (!oms_call_repeated(fcinfo, "order_supply", 2, &call, &supply))
	{
		JsonbContainer *document = &PG_GETARG_JSONB_P(1)->root;
		OmsPath		path = {NULL, "lines", 0};
		Common		common = {call.merchant};
		JsonbContainer *array;
		OmsRows    *rows = oms_rows_begin("supply_line");
		char	   *code;
		int			i;

		if (!JsonContainerIsObject(document))
			oms_error_document(NULL, NULL, "an object");
		oms_json_only(document, NULL, order_fields);
		array = oms_json_container(document, NULL, "lines", true, true);
		if (JsonContainerSize(array) < 1 || JsonContainerSize(array) > MAX_LINES)
			oms_error_document(NULL, "lines", psprintf("1 to %d lines", MAX_LINES));
		code = oms_json_text(document, NULL, "location", OMS_KEY_LENGTH, false);
		common.location = code == NULL ? 0 : oms_location_id(call.merchant, code);
		common.currency = oms_json_text(document, NULL, "currency", 3, false);
		common.expected = oms_json_timestamp(document, NULL, "expected_at", &common.expected_at);
		common.supply = supply = write_order(&call, document);
		for (i = 0; i < JsonContainerSize(array); i++)
		{
			OmsPath		element = {&path, NULL, i};
			JsonbValue *value = getIthJsonbValueFromContainer(array, i);

			if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
				oms_error_document(&element, NULL, "an object");
			read_line(&common, value->val.binary.data, &element, rows, i + 1);
		}
		oms_rows_run(&statements[ST_LINES], &rows, 1);
		oms_call_done(&call, supply);
	}
	PG_RETURN_INT64(supply);
}

/* What a command reads of the line it locks. */
typedef struct Line
{
	int64		item;
	int32		location;
	int64		ordered;
	int64		received;
	int64		closed;
	int64		most;			/* that may be received or closed in all */
	char	   *external_ref;	/* null: none */
	Datum		unit_cost;		/* numeric; 0: not said, or in another currency than the merchant's */
} Line;

static void
error_no_line(int32 merchant, int64 supply, Datum line_no, bool isnull)
{
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 isnull ? errmsg("merchant %d has no supply order " INT64_FORMAT, merchant, supply) :
			 errmsg("merchant %d has no line %d of supply order " INT64_FORMAT, merchant, DatumGetInt32(line_no), supply)));
}

/* Locks the line until commit and reads it; OM002 when there is none. */
static void
lock_line(int32 merchant, int64 supply, int32 line_no, Line *line)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(supply), Int32GetDatum(line_no)};
	bool		isnull;

	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		error_no_line(merchant, supply, values[2], false);
	line->item = oms_get_int64(0, 1);
	line->location = oms_get_int32(0, 2);
	line->ordered = oms_get_int64(0, 3);
	line->received = oms_get_int64(0, 4);
	line->closed = oms_get_int64(0, 5);
	line->most = line->ordered + line->ordered * oms_get_int32(0, 6) / 100;
	line->external_ref = oms_is_null(0, 7) ? NULL : oms_get_text(0, 7);
	line->unit_cost = oms_get(0, 8, &isnull);
	line->unit_cost = isnull ? (Datum) 0 : PointerGetDatum(PG_DETOAST_DATUM_COPY(line->unit_cost));
}

/* SQL: revise_supply(merchant, supply_id, line_no, expected_at, ordered, request_key, actor, reason) */
Datum
oms_revise_supply(PG_FUNCTION_ARGS)
{
	int64		supply = oms_arg_int64(fcinfo, 1, "supply_id");
	int32		line_no = oms_arg_int32(fcinfo, 2, "line_no");
	int64		ordered = PG_ARGISNULL(4) ? 0 : oms_arg_units(fcinfo, 4, "ordered", 1, false);
	OmsCall		call;
	int64		open;

	if (!oms_call_repeated(fcinfo, "revise_supply", 5, &call, &open))
	{
		Datum		values[5] = {Int32GetDatum(call.merchant), Int64GetDatum(supply), Int32GetDatum(line_no)};
		char		nulls[5] = {' ', ' ', ' ', PG_ARGISNULL(3) ? 'n' : ' ', ordered == 0 ? 'n' : ' '};
		Line		line;

		lock_line(call.merchant, supply, line_no, &line);
		if (ordered != 0 && ordered < line.received + line.closed)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("line %d of supply order " INT64_FORMAT " cannot be of " INT64_FORMAT " units", line_no, supply, ordered),
					 errdetail(INT64_FORMAT " were received, " INT64_FORMAT " closed.", line.received, line.closed)));
		values[3] = PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3);
		values[4] = Int64GetDatum(ordered);
		oms_run_guarded(&statements[ST_REVISE], values, nulls);
		open = oms_get_int64(0, 1);
		oms_call_done(&call, open);
	}
	PG_RETURN_INT64(open);
}

/* SQL: receive_supply(merchant, supply_id, line_no, quantity, damaged, quality_control, lot, expires_at, request_key, actor, reason) */
Datum
oms_receive_supply(PG_FUNCTION_ARGS)
{
	int64		supply = oms_arg_int64(fcinfo, 1, "supply_id");
	int32		line_no = oms_arg_int32(fcinfo, 2, "line_no");
	int64		quantity = oms_arg_units(fcinfo, 3, "quantity", 1, false);
	int64		damaged = PG_ARGISNULL(4) ? 0 : oms_arg_units(fcinfo, 4, "damaged", 0, true);
	int64		inspect = PG_ARGISNULL(5) ? 0 : oms_arg_units(fcinfo, 5, "quality_control", 0, true);
	char	   *lot = oms_arg_text_or_null(fcinfo, 6, "lot", OMS_KEY_LENGTH);
	OmsCall		call;
	int64		movement;

	if (damaged + inspect > quantity)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"quantity\" is out of range"),
				 errdetail(INT64_FORMAT " units, of them " INT64_FORMAT " damaged and " INT64_FORMAT " to inspect.",
						   quantity, damaged, inspect),
				 errhint("The quantity includes units that are damaged or to be inspected.")));
	if (!oms_call_repeated(fcinfo, "receive_supply", 8, &call, &movement))
	{
		Datum		details[3] = {PG_GETARG_DATUM(7)};
		char		nulls[3] = {PG_ARGISNULL(7) ? 'n' : ' ', 'n', 'n'};
		Datum		values[7];
		Line		line;

		lock_line(call.merchant, supply, line_no, &line);
		if (line.received + line.closed + quantity > line.most)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("line %d of supply order " INT64_FORMAT " does not expect " INT64_FORMAT " units", line_no, supply, quantity),
					 errdetail(INT64_FORMAT " ordered, " INT64_FORMAT " received, " INT64_FORMAT " closed; with its tolerance "
							   INT64_FORMAT " more may come.", line.ordered, line.received, line.closed,
							   Max(line.most - line.received - line.closed, 0)),
					 errhint("Raise the quantity with revise_supply(), or receive the surplus with receive_stock().")));
		movement = oms_stock_move(&(OmsMove) {
			.key = {call.merchant, line.location, line.item}, .kind = "receipt",
			.quantity = quantity, .damaged = damaged, .quality_control = inspect,
			.cause = call.reason != NULL ? call.reason :
			line.external_ref != NULL ? line.external_ref : psprintf("supply order " INT64_FORMAT, supply),
			.source_kind = "supply", .source_id = supply, .actor = call.actor, .unit_cost = line.unit_cost,
			.lot = lot == NULL ? 0 : oms_lot_make(&call, line.item, lot, details, nulls)
		});
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int64GetDatum(supply);
		values[2] = Int32GetDatum(line_no);
		values[3] = Int64GetDatum(movement);
		values[4] = Int64GetDatum(line.item);
		values[5] = Int32GetDatum(line.location);
		values[6] = Int64GetDatum(quantity);
		oms_run_guarded(&statements[ST_RECEIVE], values, NULL);
		oms_call_done(&call, movement);
	}
	PG_RETURN_INT64(movement);
}

/* SQL: close_supply(merchant, supply_id, line_no, request_key, actor, reason) */
Datum
oms_close_supply(PG_FUNCTION_ARGS)
{
	int64		supply = oms_arg_int64(fcinfo, 1, "supply_id");
	OmsCall		call;
	int64		units;

	oms_arg_require(fcinfo, 5, "reason");
	if (!oms_call_repeated(fcinfo, "close_supply", 3, &call, &units))
	{
		Datum		values[4] = {Int32GetDatum(call.merchant), Int64GetDatum(supply)};
		char		nulls[3] = {' ', ' ', PG_ARGISNULL(2) ? 'n' : ' '};
		uint64		rows;
		uint64		i;
		int32	   *lines;
		int			n = 0;

		values[2] = PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2);
		rows = oms_run(&statements[ST_LOCK_OPEN], values, nulls);
		if (rows == 0)
			error_no_line(call.merchant, supply, values[2], PG_ARGISNULL(2));
		lines = palloc(rows * sizeof(int32));
		for (units = 0, i = 0; i < rows; i++)
			if (oms_get_int64(i, 2) > 0)
			{
				lines[n++] = oms_get_int32(i, 1);
				units += oms_get_int64(i, 2);
			}
		values[3] = CStringGetTextDatum(call.reason);
		for (i = 0; i < n; i++)
		{
			values[2] = Int32GetDatum(lines[i]);
			oms_run_guarded(&statements[ST_CLOSE], values, NULL);
		}
		oms_call_done(&call, units);
	}
	PG_RETURN_INT64(units);
}
