/*-------------------------------------------------------------------------
 * blanket.c
 *	  Blanket orders: agreed once, called off in parts that never sum above it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "order/draft.h"
#include "order/place.h"

PG_FUNCTION_INFO_V1(oms_blanket_order);
PG_FUNCTION_INFO_V1(oms_call_off);

enum
{
	ST_ADD,
	ST_ADD_LINE,
	ST_READ,
	ST_CALL,
	ST_LINE,
	ST_COMPOSE,
	ST_CALLED
};

static OmsStatement statements[] = {
	[ST_ADD] = {
		"INSERT INTO oms.blanket (merchant_id, channel_id, customer_id, agreed_at, valid_from, valid_to, currency, document, actor, reason) "
		"VALUES ($1, $2, nullif($3, 0), $4, $5, $6, $7, $8 - '{lines,discount,coupons,placed_at}'::text[] "
		"|| jsonb_build_object('channel', $2, 'tax_included', $11, 'promotions', false), $9, $10) RETURNING blanket_id",
		11, {INT4OID, INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, BOOLOID}
	},
	[ST_ADD_LINE] = {
		"INSERT INTO oms.blanket_line (merchant_id, blanket_id, line_no, item_id, quantity, unit_price, discount, tax_rate, sku, title) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		10, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID, NUMERICOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID}
	},
	[ST_READ] = {
		"SELECT valid_from <= $3 AND valid_to > $3, valid_from, valid_to, currency FROM oms.blanket WHERE merchant_id = $1 AND blanket_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	/* In the order of the lines, whoever calls off; waits for who was first. */
	[ST_LINE] = {
		"SELECT quantity, called FROM oms.blanket_line WHERE merchant_id = $1 AND blanket_id = $2 AND line_no = $3 FOR NO KEY UPDATE",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_CALL] = {
		"UPDATE oms.blanket_line SET called = called + $4 WHERE merchant_id = $1 AND blanket_id = $2 AND line_no = $3",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
	/* The document of the order; discounts are those of the units just called. */
	[ST_COMPOSE] = {
		"SELECT b.document || jsonb_build_object('lines', (SELECT jsonb_agg(jsonb_build_object('item', l.item_id, 'sku', l.sku, "
		"'title', l.title, 'quantity', m.quantity, 'unit_price', l.unit_price, 'tax_rate', l.tax_rate, "
		"'discount', oms.units_share(l.discount, l.quantity, l.called - m.quantity, l.called, b.currency)) ORDER BY m.line) "
		"FROM unnest($3, $4) AS m(line, quantity) JOIN oms.blanket_line l "
		"ON l.merchant_id = $1 AND l.blanket_id = $2 AND l.line_no = m.line)) "
		"FROM oms.blanket b WHERE b.merchant_id = $1 AND b.blanket_id = $2",
		4, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_CALLED] = {
		"INSERT INTO oms.blanket_call (merchant_id, blanket_id, line_no, order_id, quantity, called_at) "
		"SELECT $1, $2, m.line, $5, m.quantity, $6 FROM unnest($3, $4) AS m(line, quantity)",
		6, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT8OID, TIMESTAMPTZOID}
	},
};

static void
write_event(int32 merchant, int64 blanket, int64 order_id, const char *type)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "blanket", blanket);
	event.merchant = merchant;
	event.subject_type = "blanket";
	event.subject_id = blanket;
	event.order_id = order_id;
	event.type = type;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

/* SQL: blanket_order(merchant, document, valid_to, valid_from, request_key, actor, reason) */
Datum
oms_blanket_order(PG_FUNCTION_ARGS)
{
	TimestampTz valid_from;
	OmsCall		call;
	int64		result;

	oms_arg_require(fcinfo, 1, "document");
	oms_arg_require(fcinfo, 2, "valid_to");
	valid_from = PG_ARGISNULL(3) ? oms_now() : PG_GETARG_TIMESTAMPTZ(3);
	if (PG_GETARG_TIMESTAMPTZ(2) <= valid_from || PG_GETARG_TIMESTAMPTZ(2) <= oms_now())
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"valid_to\" is out of range"),
				 errdetail("%s was given; it is after valid_from, and not past.", timestamptz_to_str(PG_GETARG_TIMESTAMPTZ(2)))));
	if (!oms_call_repeated(fcinfo, "blanket_order", 4, &call, &result))
	{
		OmsDraft   *draft = oms_draft_from_document(call.merchant, PG_GETARG_DATUM(1), call.actor);
		Datum		values[11];
		int			i;

		draft->price_agreed = true;

		if (draft->ncharges > 0 || draft->external_ref != NULL || draft->nholds > 0)
			oms_error_document(NULL, NULL, "no charges, shipping, external_ref and holds, which belong to a single order");
		oms_draft_resolve(draft);
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int32GetDatum(draft->channel);
		values[2] = Int64GetDatum(draft->customer_id);
		values[3] = TimestampTzGetDatum(oms_now());
		values[4] = TimestampTzGetDatum(valid_from);
		values[5] = PG_GETARG_DATUM(2);
		values[6] = CStringGetTextDatum(draft->currency);
		values[7] = PG_GETARG_DATUM(1);
		values[8] = CStringGetTextDatum(call.actor);
		values[9] = call.reason != NULL ? CStringGetTextDatum(call.reason) : (Datum) 0;
		values[10] = BoolGetDatum(draft->tax_included);
		oms_run_guarded(&statements[ST_ADD], values, call.reason != NULL ? NULL : "         n ");
		result = oms_get_int64(0, 1);
		values[1] = Int64GetDatum(result);
		for (i = 0; i < draft->nlines; i++)
		{
			const OmsDraftLine *line = &draft->lines[i];

			if (line->item == 0)
				ereport(ERROR,
						(errcode(OMS_UNKNOWN),
						 errmsg("no item has SKU \"%s\"", line->sku),
						 errhint("A blanket order is of known items.")));
			values[2] = Int32GetDatum(i + 1);
			values[3] = Int64GetDatum(line->item);
			values[4] = Int32GetDatum(line->quantity);
			values[5] = oms_price_to_numeric(line->unit_price, draft->exponent);
			values[6] = oms_scaled_to_numeric(line->discount, draft->exponent);
			values[7] = oms_price_to_numeric(line->tax_rate, 0);
			values[8] = CStringGetTextDatum(line->sku);
			values[9] = CStringGetTextDatum(line->title);
			oms_run_guarded(&statements[ST_ADD_LINE], values, NULL);
		}
		write_event(call.merchant, result, 0, "blanket.agreed");
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

static int
compare_units(const void *a, const void *b)
{
	return ((const OmsUnits *) a)->line_no - ((const OmsUnits *) b)->line_no;
}

/* Counts units of a line as called off; OM002, OM007. */
static void
call_line(int32 merchant, int64 blanket, const OmsUnits *units)
{
	Datum		values[4] = {
		Int32GetDatum(merchant), Int64GetDatum(blanket), Int32GetDatum(units->line_no), Int32GetDatum(units->quantity)
	};

	if (oms_run(&statements[ST_LINE], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("blanket order " INT64_FORMAT " has no line %d", blanket, units->line_no)));
	if (units->quantity > oms_get_int32(0, 1) - oms_get_int32(0, 2))
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("line %d of blanket order " INT64_FORMAT " has no %d units left", units->line_no, blanket, units->quantity),
				 errdetail("%d agreed, %d called off.", oms_get_int32(0, 1), oms_get_int32(0, 2)),
				 errhint("What is left is in view blanket_rest.")));
	oms_run_guarded(&statements[ST_CALL], values, NULL);
}

/* SQL: call_off(merchant, blanket, lines, request_key, actor, reason) */
Datum
oms_call_off(PG_FUNCTION_ARGS)
{
	int64		blanket = oms_arg_int64(fcinfo, 1, "blanket");
	OmsUnits   *units;
	OmsCall		call;
	int64		result;
	int			n;
	int			i;

	oms_arg_require(fcinfo, 2, "lines");
	units = oms_units_document(PG_GETARG_JSONB_P(2), &n);
	if (!oms_call_repeated(fcinfo, "call_off", 3, &call, &result))
	{
		Datum		values[6] = {Int32GetDatum(call.merchant), Int64GetDatum(blanket), TimestampTzGetDatum(oms_now())};
		OmsDraft   *draft;
		Datum		document;
		bool		isnull;

		if (oms_run(&statements[ST_READ], values, NULL) == 0)
			oms_error_unknown("blanket order", call.merchant, blanket);
		if (!oms_get_bool(0, 1))
		{
			TimestampTz from = oms_get_int64(0, 2);
			TimestampTz to = oms_get_int64(0, 3);

			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("blanket order " INT64_FORMAT " cannot be called off now", blanket),
					 errdetail("It is valid from %s until %s.", pstrdup(timestamptz_to_str(from)), pstrdup(timestamptz_to_str(to)))));
		}
		qsort(units, n, sizeof(OmsUnits), compare_units);
		for (i = 0; i < n; i++)
			call_line(call.merchant, blanket, &units[i]);
		values[2] = oms_units_lines(units, n);
		values[3] = oms_units_quantities(units, n);
		oms_run(&statements[ST_COMPOSE], values, NULL);
		document = PointerGetDatum(DatumGetJsonbPCopy(oms_get(0, 1, &isnull)));
		draft = oms_draft_from_document(call.merchant, document, call.actor);
		draft->price_agreed = true;
		draft->price_cause = psprintf("blanket " INT64_FORMAT, blanket);
		result = oms_draft_place(draft, NULL, 0);
		values[4] = Int64GetDatum(result);
		values[5] = TimestampTzGetDatum(oms_now());
		oms_run_guarded(&statements[ST_CALLED], values, NULL);
		write_event(call.merchant, blanket, result, "blanket.called_off");
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
