/*-------------------------------------------------------------------------
 * ship_command.c
 *	  The commands that ship: ship, ship_order, forward, complete_services.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/request.h"
#include "fulfilment/ship.h"

PG_FUNCTION_INFO_V1(oms_ship);
PG_FUNCTION_INFO_V1(oms_ship_order);
PG_FUNCTION_INFO_V1(oms_forward);
PG_FUNCTION_INFO_V1(oms_complete_services);

enum
{
	ST_OPEN_CARTONS,
	ST_ORDER_CARTONS,
	ST_ORDER_OF_CARTON,
	ST_OPEN_FULFILMENTS
};

static OmsStatement statements[] = {
	[ST_OPEN_CARTONS] = {
		"SELECT carton_id FROM oms.carton WHERE merchant_id = $1 AND fulfilment_id = $2 AND state = 'open' ORDER BY carton_id",
		2, {INT4OID, INT8OID}
	},
	[ST_ORDER_CARTONS] = {
		"SELECT carton_id FROM oms.carton WHERE merchant_id = $1 AND order_id = $2 AND state = 'open' ORDER BY carton_id",
		2, {INT4OID, INT8OID}
	},
	[ST_ORDER_OF_CARTON] = {
		"SELECT order_id FROM oms.carton WHERE merchant_id = $1 AND carton_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_OPEN_FULFILMENTS] = {
		"SELECT f.fulfilment_id, f.location_id, f.state, bool_or(fl.quantity > fl.picked), bool_or(fl.quantity > fl.packed) "
		"FROM oms.fulfilment f JOIN oms.fulfilment_line fl ON fl.merchant_id = f.merchant_id AND fl.fulfilment_id = f.fulfilment_id "
		"WHERE f.merchant_id = $1 AND f.order_id = $2 AND f.state NOT IN ('shipped', 'cancelled') "
		"GROUP BY 1, 2, 3 ORDER BY 1",
		2, {INT4OID, INT8OID}
	},
};

/* The first column of the current result. */
static int64 *
read_ids(uint64 rows)
{
	int64	   *ids = palloc((rows + 1) * sizeof(int64));
	uint64		i;

	for (i = 0; i < rows; i++)
		ids[i] = oms_get_int64(i, 1);
	return ids;
}

/* Carton ids as given: none null, none twice, at least one. */
static int64 *
carton_array(ArrayType *array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	int64	   *cartons;
	int			i;
	int			j;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, n);
	if (*n < 1 || *n > 10000)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"cartons\" is out of range"),
				 errdetail("It has %d elements; 1 to 10000 are allowed.", *n)));
	cartons = palloc(*n * sizeof(int64));
	for (i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"cartons\" has a null element")));
		cartons[i] = DatumGetInt64(elements[i]);
		for (j = 0; j < i; j++)
			if (cartons[j] == cartons[i])
				ereport(ERROR,
						(errcode(OMS_ARGUMENT),
						 errmsg("argument \"cartons\" names carton " INT64_FORMAT " twice", cartons[i])));
	}
	return cartons;
}

/* Carrier, service, tracking number from argument n on, and cost from argument c on. */
static void
read_shipping(FunctionCallInfo fcinfo, int n, int c, OmsShipping *shipping)
{
	int64		cost;

	memset(shipping, 0, sizeof(*shipping));
	shipping->carrier = oms_arg_text_or_null(fcinfo, n, "carrier", OMS_KEY_LENGTH);
	shipping->service = oms_arg_text_or_null(fcinfo, n + 1, "service", OMS_KEY_LENGTH);
	shipping->tracking_number = oms_arg_text_or_null(fcinfo, n + 2, "tracking_number", OMS_KEY_LENGTH);
	shipping->cost_currency = oms_arg_text_or_null(fcinfo, c + 1, "cost_currency", OMS_KEY_LENGTH);
	if (PG_ARGISNULL(c))
	{
		if (shipping->cost_currency != NULL)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"cost\" is missing"),
					 errdetail("Argument \"cost_currency\" is %s.", shipping->cost_currency)));
		return;
	}
	shipping->cost = PG_GETARG_DATUM(c);
	/* a scale that every currency has; the range is what matters here */
	cost = oms_numeric_to_scaled(shipping->cost, 4, "cost");
	if (cost < 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"cost\" is out of range"),
				 errdetail("It is negative.")));
}

/* The cost is in the order's currency unless told otherwise, and in its precision. */
static void
settle_cost(const OmsOrderHead *head, OmsShipping *shipping)
{
	int			exponent;

	if (shipping->cost == (Datum) 0)
		return;
	if (shipping->cost_currency == NULL)
		shipping->cost_currency = pstrdup(head->currency);
	exponent = oms_currency_exponent(shipping->cost_currency);
	shipping->cost = oms_scaled_to_numeric(oms_numeric_to_scaled(shipping->cost, exponent, "cost"), exponent);
}

static void
require_shippable(const OmsOrderHead *head)
{
	oms_order_require_live(head, "shipping");
	oms_order_require_no_hold(head, "ship");
}

/*
 * ship(merchant, fulfilment, carrier, service, tracking_number, cartons, cost,
 * cost_currency, request_key, actor, reason): the given cartons, else all open
 * ones of the fulfilment.  Locks the order, then its payments.  Raises OM001,
 * OM002, OM005 (step ship), OM006, OM008, OM011, OM012, OM017.
 */
Datum
oms_ship(PG_FUNCTION_ARGS)
{
	OmsCall		call;
	OmsShipping shipping;
	OmsFulfilment fulfilment;
	OmsOrderHead head;
	int64	   *cartons = NULL;
	int64		result;
	int			n = 0;

	if (!PG_ARGISNULL(5))
		cartons = carton_array(PG_GETARG_ARRAYTYPE_P(5), &n);
	else if (PG_ARGISNULL(1))
		(void) oms_arg_int64(fcinfo, 1, "fulfilment");
	read_shipping(fcinfo, 2, 6, &shipping);

	if (oms_call_repeated(fcinfo, "ship", 8, &call, &result))
		PG_RETURN_INT64(result);
	if (!PG_ARGISNULL(1))
		oms_fulfilment_lock(call.merchant, PG_GETARG_INT64(1), &fulfilment, &head);
	else
	{
		Datum		values[2] = {Int32GetDatum(call.merchant), Int64GetDatum(cartons[0])};

		if (oms_run(&statements[ST_ORDER_OF_CARTON], values, NULL) == 0)
			oms_error_unknown("carton", call.merchant, cartons[0]);
		oms_order_lock(call.merchant, oms_get_int64(0, 1), &head);
	}
	require_shippable(&head);
	if (!PG_ARGISNULL(1))
	{
		Datum		values[2] = {Int32GetDatum(call.merchant), PG_GETARG_DATUM(1)};
		uint64		rows = oms_run(&statements[ST_OPEN_CARTONS], values, NULL);
		int64	   *open = read_ids(rows);
		uint64		i;
		int			j;

		/* given cartons must be of the fulfilment; whether they are open is told below */
		for (j = 0; j < n; j++)
		{
			for (i = 0; i < rows && open[i] != cartons[j]; i++)
				;
			if (i == rows)
			{
				oms_check_cartons(&head, &cartons[j], 1, false);
				ereport(ERROR,
						(errcode(OMS_STATE),
						 errmsg("carton " INT64_FORMAT " is not of fulfilment " INT64_FORMAT, cartons[j], PG_GETARG_INT64(1))));
			}
		}
		if (cartons == NULL)
		{
			if (rows == 0)
				ereport(ERROR,
						(errcode(OMS_STATE),
						 errmsg("fulfilment " INT64_FORMAT " has nothing to ship", fulfilment.fulfilment_id),
						 errdetail("It is %s and has no open carton.", fulfilment.state),
						 errhint("pack() comes first; view ready_to_ship shows what is packed.")));
			cartons = open;
			n = (int) rows;
		}
	}
	settle_cost(&head, &shipping);
	result = oms_ship_cartons(&head, cartons, n, &shipping, &call);
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}

/*
 * ship_order(merchant, order, carrier, service, tracking_number, cost,
 * cost_currency, request_key, actor, reason): plans, picks and packs (one
 * carton per location) whatever is promised, and ships it as one shipment.
 * Raises what those raise.
 */
Datum
oms_ship_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsCartonMeasures unmeasured = {-1, -1, -1, -1, NULL};
	Datum		values[2] = {Int32GetDatum(oms_arg_merchant(fcinfo)), Int64GetDatum(order_id)};
	OmsShipping shipping;
	OmsOrderHead head;
	OmsFulfilment *open;
	bool	   *to_pick;
	bool	   *to_pack;
	int64	   *ids;
	int64		result;
	uint64		rows;
	uint64		i;

	read_shipping(fcinfo, 2, 5, &shipping);
	if (oms_call_repeated(fcinfo, "ship_order", 7, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_id, &head);
	require_shippable(&head);
	oms_order_require_no_hold(&head, "pick");
	(void) oms_plan(&head, &call, &ids);

	rows = oms_run(&statements[ST_OPEN_FULFILMENTS], values, NULL);
	open = palloc((rows + 1) * sizeof(OmsFulfilment));
	to_pick = palloc((rows + 1) * sizeof(bool));
	to_pack = palloc((rows + 1) * sizeof(bool));
	for (i = 0; i < rows; i++)
	{
		open[i].merchant = call.merchant;
		open[i].order_id = order_id;
		open[i].fulfilment_id = oms_get_int64(i, 1);
		open[i].location = oms_get_int32(i, 2);
		strlcpy(open[i].state, oms_get_text(i, 3), sizeof(open[i].state));
		to_pick[i] = oms_get_bool(i, 4);
		to_pack[i] = oms_get_bool(i, 5);
	}
	for (i = 0; i < rows; i++)
	{
		if (to_pick[i])
			(void) oms_pick(&head, &open[i], NULL, 0);
		if (to_pack[i])
			(void) oms_pack_units(&open[i], NULL, 0, 0, &unmeasured, &call);
	}
	rows = oms_run(&statements[ST_ORDER_CARTONS], values, NULL);
	ids = read_ids(rows);
	settle_cost(&head, &shipping);
	result = oms_ship_cartons(&head, ids, (int) rows, &shipping, &call);
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}

/*
 * complete_services(merchant, order, request_key, actor, reason): the open
 * service lines of an order are done.  Locks the order, then its payments.
 * Raises OM002, OM005 (step ship), OM008.
 */
Datum
oms_complete_services(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsShipping shipping = {0};
	OmsOrderHead head;
	int64		result;

	if (!oms_call_repeated(fcinfo, "complete_services", 2, &call, &result))
	{
		oms_order_lock(call.merchant, order_id, &head);
		require_shippable(&head);
		result = oms_ship_cartons(&head, NULL, 0, &shipping, &call);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/*
 * forward(merchant, cartons, carrier, service, tracking_number, cost,
 * cost_currency, request_key, actor, reason): cartons that have left go on
 * with another carrier.  Locks the order.  Raises OM002, OM008, OM011, OM012,
 * OM017.
 */
Datum
oms_forward(PG_FUNCTION_ARGS)
{
	OmsCall		call;
	OmsShipping shipping;
	OmsOrderHead head;
	int64	   *cartons;
	int64		result;
	int			n;

	if (PG_ARGISNULL(1))
		(void) oms_arg_int64(fcinfo, 1, "cartons");
	cartons = carton_array(PG_GETARG_ARRAYTYPE_P(1), &n);
	read_shipping(fcinfo, 2, 5, &shipping);
	if (!oms_call_repeated(fcinfo, "forward", 7, &call, &result))
	{
		Datum		values[2] = {Int32GetDatum(call.merchant), Int64GetDatum(cartons[0])};

		if (oms_run(&statements[ST_ORDER_OF_CARTON], values, NULL) == 0)
			oms_error_unknown("carton", call.merchant, cartons[0]);
		oms_order_lock(call.merchant, oms_get_int64(0, 1), &head);
		settle_cost(&head, &shipping);
		result = oms_forward_cartons(&head, cartons, n, &shipping, &call);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
