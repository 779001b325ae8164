/*-------------------------------------------------------------------------
 * pick.c
 *	  Units taken from the shelf, and units that are not on it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/lot_pick.h"
#include "inventory/supply.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_confirm_pick);
PG_FUNCTION_INFO_V1(oms_short_pick);

enum
{
	ST_SHORT_LINE,
	ST_SHORT_COUNTERS,
	ST_PART,
	ST_VARIANCE
};

static OmsStatement statements[] = {
	[ST_SHORT_LINE] = {
		"UPDATE oms.fulfilment_line SET quantity = quantity - $4, short = short + $4 "
		"WHERE merchant_id = $1 AND fulfilment_id = $2 AND line_no = $3",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
	[ST_SHORT_COUNTERS] = {
		"UPDATE oms.order_line SET allocated = allocated - $4, backordered = backordered + $4 "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
	/* what one unit of the line takes of the item; all parts when no item is named */
	[ST_PART] = {
		"SELECT item_id, per_unit FROM oms.order_line_component "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3 AND item_id = coalesce($4, item_id) "
		"UNION ALL SELECT l.item_id, 1 FROM oms.order_line l "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = $3 AND l.item_id = coalesce($4, l.item_id) "
		"AND NOT EXISTS (SELECT FROM oms.order_line_component c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3)",
		4, {INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_VARIANCE] = {
		"INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, source_kind, source_id, actor, at) "
		"VALUES ($1, $2, $3, 'adjustment', $4, 'short pick', 'fulfilment', $5, $6, $7)",
		7, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID}
	},
};

/*
 * Counts units as picked; units null: all that are open.  Returns how many.
 * Raises OM001, OM002, OM007, OM008, OM011.
 */
int64
oms_pick(const OmsOrderHead *head, const OmsFulfilment *fulfilment, const OmsUnits *units, int n)
{
	OmsFulfilmentLine *lines;
	OmsUnits   *all;
	int64		picked = 0;
	int			nlines;
	int			i;

	lines = oms_fulfilment_lines(fulfilment, &nlines);
	if (units == NULL)
	{
		all = palloc((nlines + 1) * sizeof(OmsUnits));
		for (i = 0, n = 0; i < nlines; i++)
			if (lines[i].quantity > lines[i].picked)
				all[n++] = (OmsUnits) {lines[i].line_no, lines[i].quantity - lines[i].picked};
		units = all;
	}
	for (i = 0; i < n; i++)
	{
		const OmsFulfilmentLine *line = oms_fulfilment_line(fulfilment, lines, nlines, units[i].line_no, "ready_to_pick");

		if (units[i].quantity > line->quantity - line->picked)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("more would be picked than fulfilment " INT64_FORMAT " asks for", fulfilment->fulfilment_id),
					 errdetail("Line %d: %d to pick, %d given.", units[i].line_no, line->quantity - line->picked, units[i].quantity)));
		picked += units[i].quantity;
	}
	if (n == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("fulfilment " INT64_FORMAT " has nothing to pick", fulfilment->fulfilment_id),
				 errdetail("It is %s.", fulfilment->state)));

	oms_lot_pick(head, fulfilment, units, n);
	oms_fulfilment_count(fulfilment, units, n, 1, 0);
	oms_fulfilment_event(fulfilment, "fulfilment.picked", units, n, 0);
	return picked;
}

/*
 * confirm_pick(merchant, fulfilment, lines, request_key, actor, reason).
 * Locks the order.  Raises OM002, OM003, OM005 (step pick), OM007, OM008.
 */
Datum
oms_confirm_pick(PG_FUNCTION_ARGS)
{
	int64		fulfilment_id = oms_arg_int64(fcinfo, 1, "fulfilment");
	OmsCall		call;
	OmsUnits   *units = NULL;
	OmsFulfilment fulfilment;
	OmsOrderHead head;
	int64		result;
	int			n = 0;

	if (!PG_ARGISNULL(2))
		units = oms_units_document(PG_GETARG_JSONB_P(2), &n);
	if (!oms_call_repeated(fcinfo, "confirm_pick", 3, &call, &result))
	{
		oms_fulfilment_lock(call.merchant, fulfilment_id, &fulfilment, &head);
		oms_order_require_live(&head, "picking");
		oms_order_require_no_hold(&head, "pick");
		result = oms_pick(&head, &fulfilment, units, n);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/*
 * short_pick(merchant, fulfilment, line, quantity, item, adjust, request_key,
 * actor, reason): units that are not on the shelf.  They leave the plan and
 * the location's promise and become backordered; with adjust the ledger loses
 * them too, so that nobody is promised them again.  Locks the order.  Raises
 * OM002, OM005, OM007, OM008, OM011.
 */
Datum
oms_short_pick(PG_FUNCTION_ARGS)
{
	int64		fulfilment_id = oms_arg_int64(fcinfo, 1, "fulfilment");
	int32		line_no = oms_arg_int32(fcinfo, 2, "line");
	int32		quantity = oms_arg_int32(fcinfo, 3, "quantity");
	bool		adjust = PG_ARGISNULL(5) || PG_GETARG_BOOL(5);
	OmsCall		call;
	OmsFulfilment fulfilment;
	OmsOrderHead head;
	OmsFulfilmentLine *lines;
	const OmsFulfilmentLine *line;
	OmsEvent	event = {0};
	OmsJson		json;
	Datum		values[7];
	char		nulls[4] = {' ', ' ', ' ', PG_ARGISNULL(4) ? 'n' : ' '};
	int64		item;
	int64		missing;
	int64		result;
	uint64		parts;
	int			nlines;

	if (quantity <= 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"quantity\" is out of range"),
				 errdetail("%d was given; at least 1 unit is short.", quantity)));
	if (oms_call_repeated(fcinfo, "short_pick", 6, &call, &result))
		PG_RETURN_INT64(result);
	oms_fulfilment_lock(call.merchant, fulfilment_id, &fulfilment, &head);
	oms_order_require_live(&head, "picking");
	oms_order_require_no_hold(&head, "pick");
	lines = oms_fulfilment_lines(&fulfilment, &nlines);
	line = oms_fulfilment_line(&fulfilment, lines, nlines, line_no, "ready_to_pick");
	if (quantity > line->quantity - line->picked)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("more would be short than fulfilment " INT64_FORMAT " has to pick", fulfilment_id),
				 errdetail("Line %d: %d to pick, %d given.", line_no, line->quantity - line->picked, quantity)));

	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(fulfilment.order_id);
	values[2] = Int32GetDatum(line_no);
	values[3] = PG_ARGISNULL(4) ? (Datum) 0 : PG_GETARG_DATUM(4);
	parts = oms_run(&statements[ST_PART], values, nulls);
	if (parts == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("line %d of order " INT64_FORMAT " has no part " INT64_FORMAT, line_no, fulfilment.order_id,
						PG_GETARG_INT64(4))));
	if (parts > 1 && adjust)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"item\" is missing"),
				 errdetail("Line %d is a kit of " UINT64_FORMAT " parts.", line_no, parts),
				 errhint("Name the part that is not there, or give adjust => false.")));
	item = oms_get_int64(0, 1);
	missing = (int64) quantity * oms_get_int32(0, 2);

	values[1] = Int64GetDatum(fulfilment_id);
	values[3] = Int32GetDatum(quantity);
	oms_run_guarded(&statements[ST_SHORT_LINE], values, NULL);
	oms_fulfilment_refresh(call.merchant, fulfilment.order_id);
	oms_promise_release(&head, &line_no, &fulfilment.location, &quantity, 1);
	values[1] = Int64GetDatum(fulfilment.order_id);
	oms_run_guarded(&statements[ST_SHORT_COUNTERS], values, NULL);
	if (adjust && oms_lot_tracking(call.merchant, item) != OMS_UNTRACKED)
		oms_lot_lose(&head, &fulfilment, item, missing, call.actor);
	else if (adjust)
	{
		values[1] = Int32GetDatum(fulfilment.location);
		values[2] = Int64GetDatum(item);
		values[3] = Int64GetDatum(-missing);
		values[4] = Int64GetDatum(fulfilment_id);
		values[5] = CStringGetTextDatum(call.actor);
		values[6] = TimestampTzGetDatum(oms_now());
		oms_run(&statements[ST_VARIANCE], values, NULL);
	}

	oms_json_begin(&json);
	oms_json_add_int(&json, "line", line_no);
	if (adjust)
		oms_json_add_int(&json, "item", item);
	oms_json_add_int(&json, "location", fulfilment.location);
	oms_json_add_int(&json, "quantity", quantity);
	oms_json_add_bool(&json, "adjusted", adjust);
	event.merchant = call.merchant;
	event.subject_type = "fulfilment";
	event.subject_id = fulfilment_id;
	event.order_id = fulfilment.order_id;
	event.type = "fulfilment.short";
	event.data = oms_json_end(&json);
	oms_event_write(&event);
	oms_promise_waiting(call.merchant, &(OmsWaitingLine) {fulfilment.order_id, line_no, head.channel, 0, quantity}, 1, false);
	oms_reserve_after_short_pick(&head, line_no, parts > 1 ? 0 : item, fulfilment.location);
	result = quantity;
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}
