/*-------------------------------------------------------------------------
 * plan.c
 *	  Which location does which units of an order, and taking that back.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/rel.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/lot_pick.h"

PG_FUNCTION_INFO_V1(oms_plan_fulfilment);
PG_FUNCTION_INFO_V1(oms_cancel_fulfilment);
PG_FUNCTION_INFO_V1(oms_set_shipment_policy);
PG_FUNCTION_INFO_V1(oms_fulfilment_follow);

enum
{
	ST_INCOMPLETE,
	ST_PLANNABLE,
	ST_INSERT,
	ST_INSERT_LINES,
	ST_OF_REQUEST,
	ST_OF_PLAN,
	ST_OPEN,
	ST_CANCEL_LINES,
	ST_CANCEL_CARTONS,
	ST_UNDO_COUNTERS,
	ST_SET_POLICY,
	ST_IN_PLAN,
	ST_FOLLOW
};

/*
 * Units of each line that a location's promises cover: for a kit, the whole
 * kits that the parts promised there make.  Of the order $1, $2.
 */
#define PROMISED_UNITS \
	"promised AS (SELECT r.line_no, r.location_id, r.item_id, sum(r.quantity) AS quantity FROM oms.reservation r " \
	"WHERE r.merchant_id = $1 AND r.order_id = $2 GROUP BY 1, 2, 3), " \
	"kit AS (SELECT c.line_no, c.item_id, c.per_unit FROM oms.order_line_component c " \
	"WHERE c.merchant_id = $1 AND c.order_id = $2), " \
	"units AS (SELECT p.line_no, p.location_id, p.quantity::bigint AS units FROM promised p " \
	"WHERE p.line_no NOT IN (SELECT line_no FROM kit) " \
	"UNION ALL SELECT k.line_no, x.location_id, min(coalesce(p.quantity, 0)::bigint / k.per_unit) " \
	"FROM (SELECT DISTINCT line_no, location_id FROM promised) x JOIN kit k ON k.line_no = x.line_no " \
	"LEFT JOIN promised p ON p.line_no = k.line_no AND p.location_id = x.location_id AND p.item_id = k.item_id " \
	"GROUP BY 1, 2)"

static OmsStatement statements[] = {
	[ST_INCOMPLETE] = {
		"SELECT l.line_no, l.ordered - l.cancelled, l.allocated + l.shipped FROM oms.order_line l "
		"LEFT JOIN oms.item i ON i.merchant_id = l.merchant_id AND i.item_id = l.item_id "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND i.kind IS DISTINCT FROM 'service' "
		"AND l.allocated + l.shipped + l.cancelled < l.ordered ORDER BY l.line_no",
		2, {INT4OID, INT8OID}
	},
	[ST_PLANNABLE] = {
		"WITH " PROMISED_UNITS ", "
		"open AS (SELECT f.location_id, fl.line_no, sum(fl.quantity - fl.shipped) AS units FROM oms.fulfilment f "
		"JOIN oms.fulfilment_line fl ON fl.merchant_id = $1 AND fl.order_id = $2 AND fl.fulfilment_id = f.fulfilment_id "
		"WHERE f.merchant_id = $1 AND f.order_id = $2 GROUP BY 1, 2) "
		"SELECT u.location_id, u.line_no, (u.units - coalesce(o.units, 0))::int FROM units u "
		"LEFT JOIN open o ON o.location_id = u.location_id AND o.line_no = u.line_no "
		"WHERE u.units > coalesce(o.units, 0) AND u.line_no <> ALL ($3) ORDER BY 1, 2",
		3, {INT4OID, INT8OID, INT4ARRAYOID}
	},
	[ST_INSERT] = {
		"INSERT INTO oms.fulfilment (merchant_id, location_id, order_id, planned_at, planned_by, request_key) "
		"SELECT $1, v.location_id, $2, $4, $5, $6 FROM unnest($3::int[]) v(location_id) ORDER BY 2 "
		"RETURNING fulfilment_id, location_id",
		6, {INT4OID, INT8OID, INT4ARRAYOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_INSERT_LINES] = {
		"INSERT INTO oms.fulfilment_line (merchant_id, line_no, fulfilment_id, order_id, planned, quantity) "
		"SELECT $1, v.line_no, v.fulfilment_id, $2, v.units, v.units "
		"FROM unnest($3::bigint[], $4::int[], $5::int[]) v(fulfilment_id, line_no, units)",
		5, {INT4OID, INT8OID, INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_OF_REQUEST] = {
		"SELECT array_agg(fulfilment_id) FROM oms.fulfilment WHERE merchant_id = $1 AND order_id = $2 AND request_key = $3",
		3, {INT4OID, INT8OID, TEXTOID}
	},
	[ST_OF_PLAN] = {
		"SELECT f.fulfilment_id, f.location_id, l.code, (SELECT sum(fl.planned) FROM oms.fulfilment_line fl "
		"WHERE fl.merchant_id = $1 AND fl.fulfilment_id = f.fulfilment_id)::int FROM oms.fulfilment f "
		"JOIN oms.location l ON l.merchant_id = f.merchant_id AND l.location_id = f.location_id "
		"WHERE f.merchant_id = $1 AND f.fulfilment_id = ANY ($2) ORDER BY f.fulfilment_id",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_OPEN] = {
		"SELECT fulfilment_id, location_id FROM oms.fulfilment WHERE merchant_id = $1 AND order_id = $2 "
		"AND state IN ('planned', 'picking', 'picked', 'packed') ORDER BY fulfilment_id",
		2, {INT4OID, INT8OID}
	},
	[ST_CANCEL_LINES] = {
		"UPDATE oms.fulfilment_line SET quantity = shipped, picked = shipped, packed = shipped "
		"WHERE merchant_id = $1 AND fulfilment_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CANCEL_CARTONS] = {
		"UPDATE oms.carton SET state = 'void' WHERE merchant_id = $1 AND fulfilment_id = $2 AND state = 'open'",
		2, {INT4OID, INT8OID}
	},
	[ST_UNDO_COUNTERS] = {
		"UPDATE oms.order_line l SET picked = l.picked - v.picked, packed = l.packed - v.packed "
		"FROM unnest($3::int[], $4::int[], $5::int[]) v(line_no, picked, packed) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no",
		5, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_SET_POLICY] = {
		"INSERT INTO oms.order_shipment_policy (merchant_id, order_id, policy, complete_by, set_by, set_at) "
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, order_id) DO UPDATE "
		"SET policy = excluded.policy, complete_by = excluded.complete_by, set_by = excluded.set_by, set_at = excluded.set_at",
		6, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID}
	},

	/*
	 * Cuts what is planned of the line $3 beyond the location's promises, of
	 * the youngest fulfilment first, never below what is picked.
	 */
	[ST_IN_PLAN] = {
		"SELECT 1 FROM oms.fulfilment_line WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3 AND quantity > shipped LIMIT 1",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_FOLLOW] = {
		"WITH " PROMISED_UNITS ", "
		"open AS (SELECT fl.fulfilment_id, f.location_id, fl.quantity - fl.picked AS spare, fl.quantity - fl.shipped AS units "
		"FROM oms.fulfilment_line fl JOIN oms.fulfilment f ON f.merchant_id = $1 AND f.order_id = $2 "
		"AND f.fulfilment_id = fl.fulfilment_id "
		"WHERE fl.merchant_id = $1 AND fl.order_id = $2 AND fl.line_no = $3 AND fl.quantity > fl.shipped), "
		"over AS (SELECT o.location_id, sum(o.units) - coalesce(max(u.units), 0) AS units FROM open o "
		"LEFT JOIN units u ON u.line_no = $3 AND u.location_id = o.location_id GROUP BY 1), "
		"cut AS (SELECT o.fulfilment_id, least(o.spare, greatest(0, v.units - (sum(o.spare) OVER "
		"(PARTITION BY o.location_id ORDER BY o.fulfilment_id DESC) - o.spare)))::int AS units "
		"FROM open o JOIN over v ON v.location_id = o.location_id) "
		"UPDATE oms.fulfilment_line fl SET quantity = fl.quantity - cut.units FROM cut "
		"WHERE fl.merchant_id = $1 AND fl.order_id = $2 AND fl.line_no = $3 AND fl.fulfilment_id = cut.fulfilment_id "
		"AND cut.units > 0",
		3, {INT4OID, INT8OID, INT4OID}
	},
};

/*
 * Lines that wait because the policy wants them whole.  Raises OM008 when the
 * policy wants the whole order and it is not there.
 */
static int
find_waiting(const OmsOrderHead *head, int32 **waiting)
{
	OmsShipmentPolicy policy = oms_shipment_policy(head);
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	uint64		rows;
	uint64		i;

	*waiting = palloc(sizeof(int32));
	if (policy == OMS_SHIP_AS_AVAILABLE)
		return 0;
	rows = oms_run(&statements[ST_INCOMPLETE], values, NULL);
	if (rows > 0 && policy == OMS_SHIP_ORDER_COMPLETE)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is shipped complete only", head->order_id),
				 errdetail("Line %d has %d units, stock is promised to %d of them.", oms_get_int32(0, 1), oms_get_int32(0, 2),
						   oms_get_int32(0, 3)),
				 errhint("Wait for the stock, cancel what is missing, or change the policy with set_shipment_policy().")));
	*waiting = palloc((rows + 1) * sizeof(int32));
	for (i = 0; i < rows; i++)
		(*waiting)[i] = oms_get_int32(i, 1);
	return (int) rows;
}

/*
 * Makes a fulfilment per location of what is promised and not planned yet.
 * Returns how many, 0 when there is nothing to plan.
 */
int
oms_plan(const OmsOrderHead *head, const OmsCall *call, int64 **fulfilments)
{
	Datum		values[6];
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', call->key ? ' ' : 'n'};
	OmsFulfilment event_of = {head->merchant, 0, head->order_id, 0, ""};
	int32	   *waiting;
	int			nwaiting = find_waiting(head, &waiting);
	int			n;
	int			nlocations = 0;
	int			i;
	int			j;
	int32	   *locations;
	int32	   *quantities;
	int32	   *lines;
	int32	   *units;
	int64	   *line_fulfilments;

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = oms_int4_array(waiting, nwaiting);
	n = (int) oms_run(&statements[ST_PLANNABLE], values, NULL);
	if (n == 0)
		return 0;

	/* rows come by location */
	locations = palloc(n * sizeof(int32));
	lines = palloc(n * sizeof(int32));
	units = palloc(n * sizeof(int32));
	quantities = palloc(n * sizeof(int32)); /* position in locations */
	line_fulfilments = palloc(n * sizeof(int64));
	for (i = 0; i < n; i++)
	{
		int32		location = oms_get_int32(i, 1);

		if (nlocations == 0 || locations[nlocations - 1] != location)
			locations[nlocations++] = location;
		quantities[i] = nlocations - 1;
		lines[i] = oms_get_int32(i, 2);
		units[i] = oms_get_int32(i, 3);
	}

	values[2] = oms_int4_array(locations, nlocations);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = CStringGetTextDatum(call->actor);
	values[5] = call->key ? CStringGetTextDatum(call->key) : (Datum) 0;
	oms_run_guarded(&statements[ST_INSERT], values, nulls);
	*fulfilments = palloc(nlocations * sizeof(int64));
	for (i = 0; i < nlocations; i++)
		for (j = 0; j < nlocations; j++)
			if (oms_get_int32(i, 2) == locations[j])
				(*fulfilments)[j] = oms_get_int64(i, 1);
	for (i = 0; i < n; i++)
		line_fulfilments[i] = (*fulfilments)[quantities[i]];

	values[2] = oms_int8_array(line_fulfilments, n);
	values[3] = oms_int4_array(lines, n);
	values[4] = oms_int4_array(units, n);
	oms_run_guarded(&statements[ST_INSERT_LINES], values, NULL);

	for (j = 0; j < nlocations; j++)
	{
		OmsUnits   *planned = palloc(n * sizeof(OmsUnits));
		int			count = 0;

		for (i = 0; i < n; i++)
			if (quantities[i] == j)
				planned[count++] = (OmsUnits) {lines[i], units[i]};
		event_of.fulfilment_id = (*fulfilments)[j];
		event_of.location = locations[j];
		oms_fulfilment_event(&event_of, "fulfilment.planned", planned, count, 0);
	}
	return nlocations;
}

/* The rows that plan_fulfilment() answers. */
static void
put_plan(ReturnSetInfo *rsinfo, int32 merchant, Datum fulfilments)
{
	Datum		values[4] = {Int32GetDatum(merchant), fulfilments};
	bool		nulls[4] = {false, false, false, false};
	uint64		rows = oms_run(&statements[ST_OF_PLAN], values, NULL);
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		values[0] = Int64GetDatum(oms_get_int64(i, 1));
		values[1] = Int32GetDatum(oms_get_int32(i, 2));
		values[2] = CStringGetTextDatum(oms_get_text(i, 3));
		values[3] = Int32GetDatum(oms_get_int32(i, 4));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * plan_fulfilment(merchant, order, request_key, actor, reason).  Locks the
 * order.  Raises OM002, OM005 (step pick), OM008.
 */
Datum
oms_plan_fulfilment(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	int64	   *fulfilments = NULL;
	int64		result;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (oms_call_repeated(fcinfo, "plan_fulfilment", 2, &call, &result))
	{
		Datum		values[3] = {Int32GetDatum(call.merchant), Int64GetDatum(order_id), CStringGetTextDatum(call.key)};
		bool		isnull;
		Datum		found;

		oms_begin();
		(void) oms_run(&statements[ST_OF_REQUEST], values, NULL);
		found = oms_get(0, 1, &isnull);
		if (!isnull)
			put_plan((ReturnSetInfo *) fcinfo->resultinfo, call.merchant, found);
		oms_end();
		return (Datum) 0;
	}
	oms_order_lock(call.merchant, order_id, &head);
	oms_order_require_live(&head, "planning");
	oms_order_require_no_hold(&head, "pick");
	n = oms_plan(&head, &call, &fulfilments);
	if (n == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " has nothing to plan", order_id),
				 errdetail("No unit has stock promised to it that is not planned already."),
				 errhint("View ready_to_plan shows what can be planned; service lines are done by ship() or complete_services().")));
	put_plan((ReturnSetInfo *) fcinfo->resultinfo, call.merchant, oms_int8_array(fulfilments, n));
	oms_call_done(&call, fulfilments[0]);
	return (Datum) 0;
}

/*
 * What of the fulfilment has not left goes back to being promised and
 * unplanned; open cartons become void.  Returns the units.
 */
static int64
undo(const OmsFulfilment *fulfilment)
{
	int			nlines;
	OmsFulfilmentLine *lines = oms_fulfilment_lines(fulfilment, &nlines);
	OmsUnits   *undone = palloc((nlines + 1) * sizeof(OmsUnits));
	int32	   *line_no = palloc((nlines + 1) * sizeof(int32));
	int32	   *picked = palloc((nlines + 1) * sizeof(int32));
	int32	   *packed = palloc((nlines + 1) * sizeof(int32));
	Datum		values[5];
	int64		units = 0;
	int			n = 0;
	int			i;

	for (i = 0; i < nlines; i++)
		if (lines[i].quantity > lines[i].shipped)
		{
			undone[n] = (OmsUnits) {lines[i].line_no, lines[i].quantity - lines[i].shipped};
			line_no[n] = lines[i].line_no;
			picked[n] = lines[i].picked - lines[i].shipped;
			packed[n] = lines[i].packed - lines[i].shipped;
			units += undone[n].quantity;
			n++;
		}

	values[0] = Int32GetDatum(fulfilment->merchant);
	values[1] = Int64GetDatum(fulfilment->fulfilment_id);
	oms_run_guarded(&statements[ST_CANCEL_LINES], values, NULL);
	oms_run_guarded(&statements[ST_CANCEL_CARTONS], values, NULL);
	oms_lot_unpick(fulfilment);
	oms_fulfilment_refresh(fulfilment->merchant, fulfilment->order_id);
	values[1] = Int64GetDatum(fulfilment->order_id);
	values[2] = oms_int4_array(line_no, n);
	values[3] = oms_int4_array(picked, n);
	values[4] = oms_int4_array(packed, n);
	oms_run_guarded(&statements[ST_UNDO_COUNTERS], values, NULL);
	oms_fulfilment_event(fulfilment, "fulfilment.cancelled", undone, n, 0);
	return units;
}

void
oms_fulfilment_undo_all(const OmsOrderHead *head)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	uint64		rows = oms_run(&statements[ST_OPEN], values, NULL);
	OmsFulfilment *open = palloc0((rows + 1) * sizeof(OmsFulfilment));
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		open[i].merchant = head->merchant;
		open[i].order_id = head->order_id;
		open[i].fulfilment_id = oms_get_int64(i, 1);
		open[i].location = oms_get_int32(i, 2);
	}
	for (i = 0; i < rows; i++)
		(void) undo(&open[i]);
}

/*
 * cancel_fulfilment(merchant, fulfilment, request_key, actor, reason): what
 * has not left goes back to being promised and unplanned.  Locks the order.
 * Raises OM002, OM008.
 */
Datum
oms_cancel_fulfilment(PG_FUNCTION_ARGS)
{
	int64		fulfilment_id = oms_arg_int64(fcinfo, 1, "fulfilment");
	OmsCall		call;
	OmsFulfilment fulfilment;
	OmsOrderHead head;
	int64		units;

	if (oms_call_repeated(fcinfo, "cancel_fulfilment", 2, &call, &units))
		PG_RETURN_INT64(units);
	oms_fulfilment_lock(call.merchant, fulfilment_id, &fulfilment, &head);
	if (strcmp(fulfilment.state, "shipped") == 0 || strcmp(fulfilment.state, "cancelled") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("fulfilment " INT64_FORMAT " cannot be cancelled", fulfilment_id),
				 errdetail("It is %s.", fulfilment.state),
				 strcmp(fulfilment.state, "shipped") == 0 ? errhint("What has left comes back as a return: request_return().") : 0));
	units = undo(&fulfilment);
	oms_call_done(&call, units);
	PG_RETURN_INT64(units);
}

/*
 * set_shipment_policy(merchant, order, policy, complete_by, request_key,
 * actor, reason).  Locks the order.  Raises OM002, OM008, OM011.
 */
Datum
oms_set_shipment_policy(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *policy = oms_arg_text(fcinfo, 2, "policy", OMS_KEY_LENGTH);
	OmsCall		call;
	bool		dated = strcmp(policy, "complete_by") == 0;
	char		nulls[6] = {' ', ' ', ' ', dated ? ' ' : 'n', ' ', ' '};
	OmsOrderHead head;
	OmsJson		json;
	Datum		values[6];
	int64		result;

	if (!dated && strcmp(policy, "as_available") != 0 && strcmp(policy, "line_complete") != 0 &&
		strcmp(policy, "order_complete") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("\"%s\" is no shipment policy", policy),
				 errhint("Use as_available, line_complete, order_complete or complete_by.")));
	if (dated == PG_ARGISNULL(3) || (dated && TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(3))))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"complete_by\" does not go with policy \"%s\"", policy),
				 errdetail("Policy complete_by needs a finite instant, the others take none.")));

	if (oms_call_repeated(fcinfo, "set_shipment_policy", 4, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_id, &head);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(order_id);
	values[2] = CStringGetTextDatum(policy);
	values[3] = dated ? PG_GETARG_DATUM(3) : (Datum) 0;
	values[4] = CStringGetTextDatum(call.actor);
	values[5] = TimestampTzGetDatum(oms_now());
	oms_run_guarded(&statements[ST_SET_POLICY], values, nulls);

	oms_json_begin(&json);
	oms_json_add_text(&json, "policy", policy);
	if (dated)
		oms_json_add_text(&json, "complete_by", timestamptz_to_str(PG_GETARG_TIMESTAMPTZ(3)));
	oms_event_of_order(call.merchant, order_id, "order.shipment_policy_set", NULL, NULL, oms_json_end(&json));
	oms_call_done(&call, order_id);
	PG_RETURN_INT64(order_id);
}

/*
 * AFTER UPDATE row on order_line when promises fell and nothing was shipped:
 * the plan gives up units that are promised no more.
 */
Datum
oms_fulfilment_follow(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	TupleDesc	desc = trigdata->tg_relation->rd_att;
	HeapTuple	row = trigdata->tg_newtuple;
	bool		isnull;
	Datum		values[3];

	values[0] = oms_row_get(trigdata, row, SPI_fnumber(desc, "merchant_id"), &isnull);
	values[1] = oms_row_get(trigdata, row, SPI_fnumber(desc, "order_id"), &isnull);
	values[2] = oms_row_get(trigdata, row, SPI_fnumber(desc, "line_no"), &isnull);
	oms_begin_trigger(trigdata);
	/* Most lines that are cancelled are in no plan. */
	if (oms_run(&statements[ST_IN_PLAN], values, NULL) > 0 && oms_run_guarded(&statements[ST_FOLLOW], values, NULL) > 0)
		oms_fulfilment_refresh(DatumGetInt32(values[0]), DatumGetInt64(values[1]));
	oms_end();
	return PointerGetDatum(NULL);
}
