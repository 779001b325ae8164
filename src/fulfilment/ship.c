/*-------------------------------------------------------------------------
 * ship.c
 *	  Goods leave: promises turn into movements, counters move, money is asked
 *	  for, the customer is told; all in one step.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "core/money.h"
#include "event/event.h"
#include "fulfilment/lot_pick.h"
#include "fulfilment/ship.h"
#include "payment/payment.h"

enum
{
	ST_CARRIER,
	ST_CARTONS,
	ST_CARTON,
	ST_CONTENTS,
	ST_LINES,
	ST_MOVEMENTS,
	ST_CHARGES,
	ST_SHIPMENT,
	ST_SHIPMENT_CARTONS,
	ST_SHIPMENT_LINES,
	ST_CARTONS_LEFT,
	ST_FULFILMENT_LINES,
	ST_COUNTERS,
	ST_CAPTURED,
	ST_FACTS
};

static OmsStatement statements[] = {
	[ST_CARRIER] = {
		"SELECT c.carrier_id, c.active, s.service_id, coalesce(s.active, true) FROM oms.carrier c "
		"LEFT JOIN oms.carrier_service s ON s.merchant_id = c.merchant_id AND s.carrier_id = c.carrier_id AND s.code = $3 "
		"WHERE c.merchant_id = $1 AND c.code = $2",
		3, {INT4OID, TEXTOID, TEXTOID}
	},
	[ST_CARTONS] = {
		"SELECT c.carton_id, c.state, (SELECT max(sc.shipment_id) FROM oms.shipment_carton sc "
		"WHERE sc.merchant_id = $1 AND sc.carton_id = c.carton_id), c.delivered_at IS NOT NULL "
		"FROM oms.carton c WHERE c.merchant_id = $1 AND c.order_id = $3 AND c.carton_id = ANY ($2)",
		3, {INT4OID, INT8ARRAYOID, INT8OID}
	},
	[ST_CARTON] = {
		"SELECT order_id FROM oms.carton WHERE merchant_id = $1 AND carton_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_CONTENTS] = {
		"SELECT f.location_id, f.fulfilment_id, cl.line_no, sum(cl.quantity)::int FROM oms.carton c "
		"JOIN oms.carton_line cl ON cl.merchant_id = c.merchant_id AND cl.carton_id = c.carton_id "
		"JOIN oms.fulfilment f ON f.merchant_id = $1 AND f.order_id = $3 AND f.fulfilment_id = c.fulfilment_id "
		"WHERE c.merchant_id = $1 AND c.order_id = $3 AND c.carton_id = ANY ($2) GROUP BY 1, 2, 3 ORDER BY 3, 2",
		3, {INT4OID, INT8ARRAYOID, INT8OID}
	},
	[ST_LINES] = {
		"SELECT l.line_no, l.ordered, l.ordered - l.cancelled, l.packed, l.shipped, l.total, l.tax, "
		"coalesce(i.kind = 'service', false) FROM oms.order_line l "
		"LEFT JOIN oms.item i ON i.merchant_id = l.merchant_id AND i.item_id = l.item_id "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 ORDER BY l.line_no",
		2, {INT4OID, INT8OID}
	},
	/* one movement per item and location, kits by their parts; $9: but for tracked items, which have one per lot */
	[ST_MOVEMENTS] = {
		"INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, source_kind, source_id, actor, at) "
		"SELECT $1, v.location_id, coalesce(c.item_id, l.item_id), 'shipment', "
		"-sum(v.units::bigint * coalesce(c.per_unit, 1))::bigint, 'shipped for an order', 'shipment', $6, $7, $8 "
		"FROM unnest($3::int[], $4::int[], $5::int[]) v(line_no, location_id, units) "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = v.line_no "
		"WHERE NOT $9 OR (SELECT i.tracking FROM oms.item i WHERE i.merchant_id = $1 AND i.item_id = coalesce(c.item_id, l.item_id)) = 'none' "
		"GROUP BY 1, 2, 3 ORDER BY 3, 2",
		9, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT8OID, TEXTOID, TIMESTAMPTZOID, BOOLOID}
	},
	/* of the order: its charges, what it owes in all, what earlier shipments carried, and whether there were any */
	[ST_CHARGES] = {
		"SELECT coalesce((SELECT sum(c.total) FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $2), 0), "
		"o.total - o.cancelled_total, coalesce(s.charge, 0), coalesce(s.n, 0) > 0 FROM oms.sales_order o, "
		"(SELECT sum(charge) AS charge, count(*) AS n FROM oms.shipment WHERE merchant_id = $1 AND order_id = $2 "
		"AND kind <> 'forward') s WHERE o.merchant_id = $1 AND o.order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_SHIPMENT] = {
		"INSERT INTO oms.shipment (merchant_id, order_id, carrier_id, service_id, tracking_number, kind, currency, charge, "
		"cost, cost_currency, shipped_at, shipped_by, status, delivered_at) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING shipment_id",
		14, {INT4OID, INT8OID, INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID, NUMERICOID, TEXTOID,
		TIMESTAMPTZOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	},
	[ST_SHIPMENT_CARTONS] = {
		"INSERT INTO oms.shipment_carton (merchant_id, shipment_id, carton_id, leg) SELECT $1, $2, v, "
		"coalesce((SELECT max(sc.leg) FROM oms.shipment_carton sc WHERE sc.merchant_id = $1 AND sc.carton_id = v), 0) + 1 "
		"FROM unnest($3::bigint[]) v",
		3, {INT4OID, INT8OID, INT8ARRAYOID}
	},
	[ST_SHIPMENT_LINES] = {
		"INSERT INTO oms.shipment_line (merchant_id, line_no, shipment_id, order_id, quantity, from_unit, tax, total) "
		"SELECT $1, v.line_no, $2, $3, v.units, v.from_unit, v.tax, v.total "
		"FROM unnest($4::int[], $5::int[], $6::int[], $7::numeric[], $8::numeric[]) v(line_no, units, from_unit, tax, total)",
		8, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID}
	},
	[ST_CARTONS_LEFT] = {
		"UPDATE oms.carton SET state = 'shipped', shipped_at = $3 WHERE merchant_id = $1 AND order_id = $4 AND carton_id = ANY ($2)",
		4, {INT4OID, INT8ARRAYOID, TIMESTAMPTZOID, INT8OID}
	},
	[ST_FULFILMENT_LINES] = {
		"UPDATE oms.fulfilment_line fl SET shipped = fl.shipped + v.units "
		"FROM unnest($2::bigint[], $3::int[], $4::int[]) v(fulfilment_id, line_no, units) "
		"WHERE fl.merchant_id = $1 AND fl.order_id = $5 AND fl.fulfilment_id = v.fulfilment_id AND fl.line_no = v.line_no",
		5, {INT4OID, INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT8OID}
	},
	/* services are picked, packed, shipped and delivered at once */
	[ST_COUNTERS] = {
		"UPDATE oms.order_line l SET shipped = l.shipped + v.units, "
		"allocated = l.allocated - CASE WHEN v.service THEN 0 ELSE v.units END, "
		"picked = l.picked + CASE WHEN v.service THEN v.units ELSE 0 END, "
		"packed = l.packed + CASE WHEN v.service THEN v.units ELSE 0 END, "
		"delivered = l.delivered + CASE WHEN v.service THEN v.units ELSE 0 END "
		"FROM unnest($3::int[], $4::int[], $5::bool[]) v(line_no, units, service) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no",
		5, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, BOOLARRAYOID}
	},
	[ST_CAPTURED] = {
		"UPDATE oms.shipment SET captured = $3 WHERE merchant_id = $1 AND shipment_id = $2", 3, {INT4OID, INT8OID, NUMERICOID}
	},
	/* what happened, for the log and for the customer */
	[ST_FACTS] = {
		"SELECT jsonb_strip_nulls(jsonb_build_object('kind', s.kind, 'carrier', c.code, 'service', v.code, "
		"'tracking_number', s.tracking_number, 'currency', s.currency, 'charge', s.charge, 'captured', s.captured, "
		"'cost', s.cost, 'cost_currency', s.cost_currency, "
		"'cartons', (SELECT jsonb_agg(sc.carton_id ORDER BY sc.carton_id) FROM oms.shipment_carton sc "
		"WHERE sc.merchant_id = $1 AND sc.shipment_id = $2), "
		"'lines', (SELECT jsonb_agg(jsonb_build_object('line', sl.line_no, 'quantity', sl.quantity, 'total', sl.total, 'tax', sl.tax) "
		"ORDER BY sl.line_no) FROM oms.shipment_line sl WHERE sl.merchant_id = $1 AND sl.shipment_id = $2))), "
		"jsonb_strip_nulls(jsonb_build_object('shipment_id', s.shipment_id, 'carrier', c.name, 'service', v.name, "
		"'tracking_number', s.tracking_number, 'tracking_url', replace(c.tracking_url, '{tracking_number}', s.tracking_number), "
		"'lines', (SELECT string_agg(sl.quantity || ' x ' || l.sku || ' ' || l.title, E'\\n' ORDER BY sl.line_no) "
		"FROM oms.shipment_line sl JOIN oms.order_line l ON l.merchant_id = sl.merchant_id AND l.order_id = sl.order_id "
		"AND l.line_no = sl.line_no WHERE sl.merchant_id = $1 AND sl.shipment_id = $2))) "
		"FROM oms.shipment s LEFT JOIN oms.carrier c ON c.merchant_id = s.merchant_id AND c.carrier_id = s.carrier_id "
		"LEFT JOIN oms.carrier_service v ON v.merchant_id = s.merchant_id AND v.service_id = s.service_id "
		"WHERE s.merchant_id = $1 AND s.shipment_id = $2",
		2, {INT4OID, INT8OID}
	},
};

/* An order line, and what of it leaves now. */
typedef struct ShipLine
{
	int32		line_no;
	int32		ordered;
	int32		live;			/* ordered - cancelled */
	int32		packed;
	int32		shipped;		/* before */
	int64		total;
	int64		tax;
	bool		service;
	int32		units;			/* leave now */
} ShipLine;

/* Contents of the cartons: units of a line of a fulfilment. */
typedef struct Content
{
	int32		location;
	int64		fulfilment;
	int32		line_no;
	int32		units;
} Content;

static ShipLine *
read_lines(const OmsOrderHead *head, int *n)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	uint64		rows = oms_run(&statements[ST_LINES], values, NULL);
	ShipLine   *lines = palloc0((rows + 1) * sizeof(ShipLine));
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		ShipLine   *line = &lines[i];
		bool		isnull;

		line->line_no = oms_get_int32(i, 1);
		line->ordered = oms_get_int32(i, 2);
		line->live = oms_get_int32(i, 3);
		line->packed = oms_get_int32(i, 4);
		line->shipped = oms_get_int32(i, 5);
		line->total = oms_numeric_to_scaled(oms_get(i, 6, &isnull), head->exponent, "total");
		line->tax = oms_numeric_to_scaled(oms_get(i, 7, &isnull), head->exponent, "tax");
		line->service = oms_get_bool(i, 8);
	}
	*n = (int) rows;
	return lines;
}

/* Sets the ids of carrier and service.  OM002 for an unknown code, OM008 for one not in use. */
void
oms_find_carrier(int32 merchant, OmsShipping *shipping)
{
	Datum		values[3];
	char		nulls[3] = {' ', ' ', shipping->service ? ' ' : 'n'};

	shipping->carrier_id = shipping->service_id = 0;
	if (shipping->carrier == NULL)
	{
		if (shipping->service != NULL)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"carrier\" is missing"),
					 errdetail("Service \"%s\" is of some carrier.", shipping->service)));
		return;
	}
	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(shipping->carrier);
	values[2] = shipping->service ? CStringGetTextDatum(shipping->service) : (Datum) 0;
	if (oms_run(&statements[ST_CARRIER], values, nulls) == 0)
		oms_error_unknown_code("carrier", merchant, shipping->carrier);
	shipping->carrier_id = oms_get_int32(0, 1);
	shipping->service_id = oms_get_int32(0, 3);
	if (shipping->service != NULL && oms_is_null(0, 3))
		oms_error_unknown_code("service", merchant, shipping->service);
	if (!oms_get_bool(0, 2) || !oms_get_bool(0, 4))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("%s \"%s\" is not active", oms_get_bool(0, 2) ? "service" : "carrier",
						oms_get_bool(0, 2) ? shipping->service : shipping->carrier),
				 errhint("Set it active, or ship with another one.")));
}

/* Says why the order has no such carton. */
static void
refuse_carton(const OmsOrderHead *head, int64 carton)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(carton)};

	if (oms_run(&statements[ST_CARTON], values, NULL) == 0)
		oms_error_unknown("carton", head->merchant, carton);
	ereport(ERROR,
			(errcode(OMS_STATE),
			 errmsg("carton " INT64_FORMAT " is of another order", carton),
			 errdetail("It is of order " INT64_FORMAT ", the shipment of order " INT64_FORMAT ".", oms_get_int64(0, 1),
					   head->order_id),
			 errhint("Ship the orders apart.")));
}

/*
 * Cartons exist, are of the order, and have not left (forward: have left and
 * are not delivered).
 */
void
oms_check_cartons(const OmsOrderHead *head, const int64 *cartons, int n, bool forward)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), oms_int8_array(cartons, n), Int64GetDatum(head->order_id)};
	uint64		rows = oms_run(&statements[ST_CARTONS], values, NULL);
	uint64		i;
	int			j;

	for (j = 0; j < n; j++)
	{
		const char *state;

		for (i = 0; i < rows && oms_get_int64(i, 1) != cartons[j]; i++)
			;
		if (i == rows)
			refuse_carton(head, cartons[j]);
		state = oms_get_text(i, 2);
		if (strcmp(state, forward ? "shipped" : "open") != 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("carton " INT64_FORMAT " cannot be %s", cartons[j], forward ? "forwarded" : "shipped"),
					 strcmp(state, "shipped") == 0 ? errdetail("It left with shipment " INT64_FORMAT ".", oms_get_int64(i, 3)) :
					 errdetail("It is %s.", state)));
		if (forward && oms_get_bool(i, 4))
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("carton " INT64_FORMAT " cannot be forwarded", cartons[j]),
					 errdetail("It is delivered.")));
	}
}

/* Refuses (OM008) what the order's policy wants to wait. */
static void
check_policy(const OmsOrderHead *head, const ShipLine *lines, int n)
{
	OmsShipmentPolicy policy = oms_shipment_policy(head);
	int			i;

	for (i = 0; i < n && policy != OMS_SHIP_AS_AVAILABLE; i++)
		if (!lines[i].service && lines[i].packed < lines[i].live &&
			(policy == OMS_SHIP_ORDER_COMPLETE || lines[i].units > 0))
			ereport(ERROR,
					(errcode(OMS_STATE),
					 policy == OMS_SHIP_ORDER_COMPLETE ?
					 errmsg("order " INT64_FORMAT " is shipped complete only", head->order_id) :
					 errmsg("line %d of order " INT64_FORMAT " is shipped complete only", lines[i].line_no, head->order_id),
					 errdetail("Line %d: %d of %d units are packed.", lines[i].line_no, lines[i].packed, lines[i].live),
					 errhint("Pack the rest first, or change the policy with set_shipment_policy().")));
}

static Content *
read_contents(const OmsOrderHead *head, const int64 *cartons, int ncartons, int *n)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), oms_int8_array(cartons, ncartons), Int64GetDatum(head->order_id)};
	uint64		rows = ncartons > 0 ? oms_run(&statements[ST_CONTENTS], values, NULL) : 0;
	Content    *contents = palloc((rows + 1) * sizeof(Content));
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		contents[i].location = oms_get_int32(i, 1);
		contents[i].fulfilment = oms_get_int64(i, 2);
		contents[i].line_no = oms_get_int32(i, 3);
		contents[i].units = oms_get_int32(i, 4);
	}
	*n = (int) rows;
	return contents;
}

/*
 * What the customer pays for what leaves now: the exact share of each line,
 * the order's charges with its first shipment, and with the last one whatever
 * the order still owes.
 */
static int64
shipment_charge(const OmsOrderHead *head, const ShipLine *lines, int n)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int64		charge = 0;
	int64		charges;
	int64		owed;
	int64		before;
	bool		isnull;
	bool		last = true;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (lines[i].units > 0)
			charge = oms_money_add(charge, oms_units_share(lines[i].total, lines[i].ordered, lines[i].shipped,
														   lines[i].shipped + lines[i].units));
		last &= lines[i].shipped + lines[i].units == lines[i].live;
	}
	(void) oms_run(&statements[ST_CHARGES], values, NULL);
	charges = oms_numeric_to_scaled(oms_get(0, 1, &isnull), head->exponent, "charges");
	owed = oms_numeric_to_scaled(oms_get(0, 2, &isnull), head->exponent, "total");
	before = oms_numeric_to_scaled(oms_get(0, 3, &isnull), head->exponent, "charge");
	if (last)
		return owed - before;
	return oms_get_bool(0, 4) ? charge : oms_money_add(charge, charges);
}

static Datum
numeric_array(const Datum *values, int n)
{
	return PointerGetDatum(construct_array((Datum *) values, n, NUMERICOID, -1, false, TYPALIGN_INT));
}

/* The row of oms.shipment. */
static int64
insert_shipment(const OmsOrderHead *head, const OmsShipping *shipping, const char *kind, int64 charge, const OmsCall *call)
{
	bool		done = strcmp(kind, "service") == 0;
	Datum		values[14];
	char		nulls[14];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = Int32GetDatum(shipping->carrier_id);
	values[3] = Int32GetDatum(shipping->service_id);
	values[4] = shipping->tracking_number ? CStringGetTextDatum(shipping->tracking_number) : (Datum) 0;
	values[5] = CStringGetTextDatum(kind);
	values[6] = CStringGetTextDatum(head->currency);
	values[7] = oms_scaled_to_numeric(charge, head->exponent);
	values[8] = shipping->cost;
	values[9] = shipping->cost_currency ? CStringGetTextDatum(shipping->cost_currency) : (Datum) 0;
	values[10] = values[13] = TimestampTzGetDatum(oms_now());
	values[11] = CStringGetTextDatum(call->actor);
	values[12] = CStringGetTextDatum(done ? "delivered" : "pre_transit");
	nulls[2] = shipping->carrier_id ? ' ' : 'n';
	nulls[3] = shipping->service_id ? ' ' : 'n';
	nulls[4] = shipping->tracking_number ? ' ' : 'n';
	nulls[8] = nulls[9] = shipping->cost_currency ? ' ' : 'n';
	nulls[13] = done ? ' ' : 'n';
	oms_run_guarded(&statements[ST_SHIPMENT], values, nulls);
	return oms_get_int64(0, 1);
}

/* The rows of oms.shipment_line, and the counters of the order's lines. */
static void
write_lines(const OmsOrderHead *head, int64 shipment, const ShipLine *lines, int n)
{
	int32	   *line_no = palloc((n + 1) * sizeof(int32));
	int32	   *units = palloc((n + 1) * sizeof(int32));
	int32	   *from_unit = palloc((n + 1) * sizeof(int32));
	Datum	   *tax = palloc((n + 1) * sizeof(Datum));
	Datum	   *total = palloc((n + 1) * sizeof(Datum));
	Datum	   *service = palloc((n + 1) * sizeof(Datum));
	Datum		values[8];
	int			count = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		const ShipLine *line = &lines[i];
		int32		to = line->shipped + line->units;

		if (line->units == 0)
			continue;
		line_no[count] = line->line_no;
		units[count] = line->units;
		from_unit[count] = line->shipped;
		tax[count] = oms_scaled_to_numeric(oms_units_share(line->tax, line->ordered, line->shipped, to), head->exponent);
		total[count] = oms_scaled_to_numeric(oms_units_share(line->total, line->ordered, line->shipped, to), head->exponent);
		service[count] = BoolGetDatum(line->service);
		count++;
	}
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(shipment);
	values[2] = Int64GetDatum(head->order_id);
	values[3] = oms_int4_array(line_no, count);
	values[4] = oms_int4_array(units, count);
	values[5] = oms_int4_array(from_unit, count);
	values[6] = numeric_array(tax, count);
	values[7] = numeric_array(total, count);
	oms_run_guarded(&statements[ST_SHIPMENT_LINES], values, NULL);

	values[1] = Int64GetDatum(head->order_id);
	values[2] = values[3];
	values[3] = values[4];
	values[4] = PointerGetDatum(construct_array(service, count, BOOLOID, 1, true, TYPALIGN_CHAR));
	oms_run_guarded(&statements[ST_COUNTERS], values, NULL);
}

/* Promises end and the ledger moves, at the locations that packed. */
static void
move_stock(const OmsOrderHead *head, int64 shipment, const Content *contents, int n, const OmsCall *call)
{
	int32	   *line_no = palloc((n + 1) * sizeof(int32));
	int32	   *locations = palloc((n + 1) * sizeof(int32));
	int32	   *units = palloc((n + 1) * sizeof(int32));
	int64	   *fulfilments = palloc((n + 1) * sizeof(int64));
	Datum		values[9];
	int			i;

	for (i = 0; i < n; i++)
	{
		line_no[i] = contents[i].line_no;
		locations[i] = contents[i].location;
		units[i] = contents[i].units;
		fulfilments[i] = contents[i].fulfilment;
	}
	values[0] = Int32GetDatum(head->merchant);
	values[1] = oms_int8_array(fulfilments, n);
	values[2] = oms_int4_array(line_no, n);
	values[3] = oms_int4_array(units, n);
	values[4] = Int64GetDatum(head->order_id);
	oms_run_guarded(&statements[ST_FULFILMENT_LINES], values, NULL);
	oms_fulfilment_refresh(head->merchant, head->order_id);

	/* in this order: the promise's own units cover what leaves */
	oms_promise_release(head, line_no, locations, units, n);
	values[1] = Int64GetDatum(head->order_id);
	values[3] = oms_int4_array(locations, n);
	values[4] = oms_int4_array(units, n);
	values[5] = Int64GetDatum(shipment);
	values[6] = CStringGetTextDatum(call->actor);
	values[7] = TimestampTzGetDatum(oms_now());
	values[8] = BoolGetDatum(oms_lots_used(head->merchant));
	oms_run(&statements[ST_MOVEMENTS], values, NULL);
}

/* Event and, for goods, the customer's notice. */
static void
announce(const OmsOrderHead *head, int64 shipment, const char *kind)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(shipment)};
	OmsEvent	event = {0};
	Datum		message;
	bool		isnull;

	(void) oms_run(&statements[ST_FACTS], values, NULL);
	event.data = oms_get(0, 1, &isnull);
	message = oms_get(0, 2, &isnull);
	event.merchant = head->merchant;
	event.subject_type = "shipment";
	event.subject_id = shipment;
	event.order_id = head->order_id;
	event.type = strcmp(kind, "forward") == 0 ? "shipment.forwarded" : "shipment.shipped";
	oms_event_write(&event);
	if (strcmp(kind, "service") != 0)
		oms_message_add(head->merchant, head->order_id, "shipping_notice", psprintf("shipment " INT64_FORMAT, shipment), message);
}

/*
 * Ships cartons of a locked order (none: its open services alone).  Open
 * service lines go along.  Returns the shipment.  Raises OM001, OM002, OM006,
 * OM008.
 */
int64
oms_ship_cartons(const OmsOrderHead *head, const int64 *cartons, int ncartons, OmsShipping *shipping, const OmsCall *call)
{
	const char *kind = ncartons > 0 ? "dispatch" : "service";
	ShipLine   *lines;
	Content    *contents;
	Datum		values[4];
	int64		charge;
	int64		captured;
	int64		shipment;
	int			nlines;
	int			ncontents;
	int			services = 0;
	int			i;
	int			j;

	oms_find_carrier(head->merchant, shipping);
	if (ncartons > 0)
		oms_check_cartons(head, cartons, ncartons, false);
	lines = read_lines(head, &nlines);
	contents = read_contents(head, cartons, ncartons, &ncontents);
	for (i = 0; i < ncontents; i++)
		for (j = 0; j < nlines; j++)
			if (lines[j].line_no == contents[i].line_no)
				lines[j].units += contents[i].units;
	for (j = 0; j < nlines; j++)
		if (lines[j].service && lines[j].live > lines[j].shipped)
		{
			lines[j].units = lines[j].live - lines[j].shipped;
			services++;
		}
	if (ncontents == 0 && services == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " has nothing to ship", head->order_id),
				 errdetail("No carton is packed and no service is open."),
				 errhint("pack() comes first; view ready_to_ship shows what is packed.")));
	check_policy(head, lines, nlines);

	charge = shipment_charge(head, lines, nlines);
	shipment = insert_shipment(head, shipping, kind, charge, call);
	values[0] = Int32GetDatum(head->merchant);
	if (ncartons > 0)
	{
		values[1] = Int64GetDatum(shipment);
		values[2] = oms_int8_array(cartons, ncartons);
		oms_run_guarded(&statements[ST_SHIPMENT_CARTONS], values, NULL);
		values[1] = values[2];
		values[2] = TimestampTzGetDatum(oms_now());
		values[3] = Int64GetDatum(head->order_id);
		oms_run_guarded(&statements[ST_CARTONS_LEFT], values, NULL);
		move_stock(head, shipment, contents, ncontents, call);
		oms_lot_ship(head, cartons, ncartons, shipment, call->actor);
	}
	write_lines(head, shipment, lines, nlines);

	/* Also for nothing: the last shipment asks for what was refused before. */
	captured = oms_payment_capture_share(head, Max(charge, 0), "shipment", shipment, call->actor);
	if (captured != 0)
	{
		values[1] = Int64GetDatum(shipment);
		values[2] = oms_scaled_to_numeric(captured, head->exponent);
		oms_run_guarded(&statements[ST_CAPTURED], values, NULL);
	}
	announce(head, shipment, kind);
	return shipment;
}

/* Cartons that have left go on with another carrier.  Returns the shipment. */
int64
oms_forward_cartons(const OmsOrderHead *head, const int64 *cartons, int ncartons, OmsShipping *shipping, const OmsCall *call)
{
	Datum		values[3];
	int64		shipment;

	oms_find_carrier(head->merchant, shipping);
	oms_check_cartons(head, cartons, ncartons, true);
	shipment = insert_shipment(head, shipping, "forward", 0, call);
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(shipment);
	values[2] = oms_int8_array(cartons, ncartons);
	oms_run_guarded(&statements[ST_SHIPMENT_CARTONS], values, NULL);
	announce(head, shipment, "forward");
	return shipment;
}
