/*-------------------------------------------------------------------------
 * pack.c
 *	  Picked units into cartons, and out again while the carton has not left.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/request.h"
#include "fulfilment/lot_pick.h"

PG_FUNCTION_INFO_V1(oms_pack);
PG_FUNCTION_INFO_V1(oms_unpack);

enum
{
	ST_READ_CARTON,
	ST_NEW_CARTON,
	ST_MEASURE,
	ST_CONTENTS,
	ST_CARTON_UNITS,
	ST_VOID
};

static OmsStatement statements[] = {
	[ST_READ_CARTON] = {
		"SELECT fulfilment_id, state FROM oms.carton WHERE merchant_id = $1 AND carton_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_NEW_CARTON] = {
		"INSERT INTO oms.carton (merchant_id, fulfilment_id, order_id, packed_at, packed_by) "
		"VALUES ($1, $2, $3, $4, $5) RETURNING carton_id",
		5, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID}
	},
	/* as given, else as it was; the weight else that of the contents, when all of it is known */
	[ST_MEASURE] = {
		"UPDATE oms.carton c SET weight_g = coalesce($3, CASE WHEN $8 THEN (SELECT CASE WHEN count(*) = count(i.weight_g) "
		"THEN least(sum(cl.quantity::bigint * i.weight_g), 2147483647)::int END FROM oms.carton_line cl "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = c.order_id AND l.line_no = cl.line_no "
		"JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = l.item_id "
		"WHERE cl.merchant_id = $1 AND cl.carton_id = $2) ELSE c.weight_g END), "
		"length_mm = coalesce($4, c.length_mm), width_mm = coalesce($5, c.width_mm), height_mm = coalesce($6, c.height_mm), "
		"sscc = coalesce($7, c.sscc) WHERE c.merchant_id = $1 AND c.carton_id = $2",
		8, {INT4OID, INT8OID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, BOOLOID}
	},
	[ST_CONTENTS] = {
		"INSERT INTO oms.carton_line AS cl (merchant_id, line_no, carton_id, quantity) "
		"SELECT $1, v.line_no, $2, v.units FROM unnest($3::int[], $4::int[]) v(line_no, units) "
		"ON CONFLICT (merchant_id, carton_id, line_no) DO UPDATE SET quantity = cl.quantity + excluded.quantity",
		4, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_CARTON_UNITS] = {
		"SELECT line_no, quantity FROM oms.carton_line WHERE merchant_id = $1 AND carton_id = $2 ORDER BY line_no",
		2, {INT4OID, INT8OID}
	},
	[ST_VOID] = {
		"UPDATE oms.carton SET state = 'void' WHERE merchant_id = $1 AND carton_id = $2", 2, {INT4OID, INT8OID}
	},
};

/* Raises OM002 or OM008 unless the carton is open and of this fulfilment. */
static void
require_open(const OmsFulfilment *fulfilment, int64 carton)
{
	Datum		values[2] = {Int32GetDatum(fulfilment->merchant), Int64GetDatum(carton)};

	if (oms_run(&statements[ST_READ_CARTON], values, NULL) == 0)
		oms_error_unknown("carton", fulfilment->merchant, carton);
	if (oms_get_int64(0, 1) != fulfilment->fulfilment_id)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("carton " INT64_FORMAT " is not of fulfilment " INT64_FORMAT, carton, fulfilment->fulfilment_id),
				 errdetail("It is of fulfilment " INT64_FORMAT ".", oms_get_int64(0, 1))));
	if (strcmp(oms_get_text(0, 2), "open") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("carton " INT64_FORMAT " is not open", carton),
				 errdetail("It is %s; its contents stay as they are.", oms_get_text(0, 2)),
				 errhint("Pack into another carton.")));
}

/* Checks units against what is picked and in no carton; null: all of that. */
static const OmsUnits *
check_units(const OmsFulfilment *fulfilment, const OmsUnits *units, int *n)
{
	int			nlines;
	OmsFulfilmentLine *lines = oms_fulfilment_lines(fulfilment, &nlines);
	OmsUnits   *all;
	int			i;

	if (units == NULL)
	{
		all = palloc((nlines + 1) * sizeof(OmsUnits));
		for (i = 0, *n = 0; i < nlines; i++)
			if (lines[i].picked > lines[i].packed)
				all[(*n)++] = (OmsUnits) {lines[i].line_no, lines[i].picked - lines[i].packed};
		return all;
	}
	for (i = 0; i < *n; i++)
	{
		const OmsFulfilmentLine *line = oms_fulfilment_line(fulfilment, lines, nlines, units[i].line_no, "ready_to_pack");

		if (units[i].quantity > line->picked - line->packed)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("more would be packed than was picked for fulfilment " INT64_FORMAT, fulfilment->fulfilment_id),
					 errdetail("Line %d: %d picked and in no carton, %d given.", units[i].line_no,
							   line->picked - line->packed, units[i].quantity)));
	}
	return units;
}

/*
 * Puts units (null: all that are picked and in no carton) into a carton (0: a
 * new one) and returns it.  An open carton may also just be measured.  Raises
 * OM002, OM007, OM008.
 */
int64
oms_pack_units(const OmsFulfilment *fulfilment, const OmsUnits *units, int n, int64 carton,
			   const OmsCartonMeasures *measures, const OmsCall *call)
{
	Datum		values[8];
	char		nulls[8];
	bool		measured = measures->weight_g >= 0 || measures->length_mm >= 0 || measures->width_mm >= 0 ||
		measures->height_mm >= 0 || measures->sscc != NULL;

	units = check_units(fulfilment, units, &n);
	if (carton != 0)
		require_open(fulfilment, carton);
	if (n == 0 && (carton == 0 || !measured))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("fulfilment " INT64_FORMAT " has nothing to pack", fulfilment->fulfilment_id),
				 errdetail("It is %s; no unit is picked and in no carton.", fulfilment->state),
				 errhint("confirm_pick() comes first.")));

	values[0] = Int32GetDatum(fulfilment->merchant);
	if (carton == 0)
	{
		values[1] = Int64GetDatum(fulfilment->fulfilment_id);
		values[2] = Int64GetDatum(fulfilment->order_id);
		values[3] = TimestampTzGetDatum(oms_now());
		values[4] = CStringGetTextDatum(call->actor);
		oms_run_guarded(&statements[ST_NEW_CARTON], values, NULL);
		carton = oms_get_int64(0, 1);
	}
	values[1] = Int64GetDatum(carton);
	if (n > 0)
	{
		values[2] = oms_units_lines(units, n);
		values[3] = oms_units_quantities(units, n);
		oms_run_guarded(&statements[ST_CONTENTS], values, NULL);
		oms_lot_pack(fulfilment, units, n, carton);
	}
	memset(nulls, 'n', sizeof(nulls));
	nulls[0] = nulls[1] = nulls[7] = ' ';
	if (measures->weight_g >= 0)
		values[2] = Int32GetDatum(measures->weight_g), nulls[2] = ' ';
	if (measures->length_mm >= 0)
		values[3] = Int32GetDatum(measures->length_mm), nulls[3] = ' ';
	if (measures->width_mm >= 0)
		values[4] = Int32GetDatum(measures->width_mm), nulls[4] = ' ';
	if (measures->height_mm >= 0)
		values[5] = Int32GetDatum(measures->height_mm), nulls[5] = ' ';
	if (measures->sscc != NULL)
		values[6] = CStringGetTextDatum(measures->sscc), nulls[6] = ' ';
	values[7] = BoolGetDatum(n > 0);
	oms_run_guarded(&statements[ST_MEASURE], values, nulls);
	if (n > 0)
	{
		oms_fulfilment_count(fulfilment, units, n, 0, 1);
		oms_fulfilment_event(fulfilment, "fulfilment.packed", units, n, carton);
	}
	return carton;
}

/* A length or weight: -1 when null, OM011 when out of range. */
static int32
measure(FunctionCallInfo fcinfo, int n, const char *name, int32 most)
{
	int32		value;

	if (PG_ARGISNULL(n))
		return -1;
	value = PG_GETARG_INT32(n);
	if (value <= 0 || value > most)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("%d was given; 1 to %d are allowed.", value, most)));
	return value;
}

/* GS1: 18 digits, the last one makes the weighted sum a multiple of ten. */
static void
check_sscc(const char *sscc)
{
	int			sum = 0;
	int			i;

	if (sscc == NULL)
		return;
	for (i = 0; i < 18 && sscc[i] >= '0' && sscc[i] <= '9'; i++)
		sum += (sscc[i] - '0') * (i % 2 == 0 ? 3 : 1);
	if (i < 18 || sscc[i] != '\0' || sum % 10 != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"sscc\" is no serial shipping container code"),
				 errdetail("\"%s\" does not have 18 digits with a right check digit.", sscc)));
}

/*
 * pack(merchant, fulfilment, lines, carton, weight_g, length_mm, width_mm,
 * height_mm, sscc, request_key, actor, reason).  Locks the order.  Raises
 * OM002, OM003, OM005 (step pick), OM007, OM008, OM011.
 */
Datum
oms_pack(PG_FUNCTION_ARGS)
{
	int64		fulfilment_id = oms_arg_int64(fcinfo, 1, "fulfilment");
	int64		carton = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3);
	OmsCall		call;
	OmsCartonMeasures measures;
	OmsUnits   *units = NULL;
	OmsFulfilment fulfilment;
	OmsOrderHead head;
	int64		result;
	int			n = 0;

	if (!PG_ARGISNULL(2))
		units = oms_units_document(PG_GETARG_JSONB_P(2), &n);
	if (!PG_ARGISNULL(3) && carton <= 0)
		oms_error_unknown("carton", oms_arg_merchant(fcinfo), carton);
	measures.weight_g = measure(fcinfo, 4, "weight_g", 1000000000);
	measures.length_mm = measure(fcinfo, 5, "length_mm", 100000);
	measures.width_mm = measure(fcinfo, 6, "width_mm", 100000);
	measures.height_mm = measure(fcinfo, 7, "height_mm", 100000);
	measures.sscc = oms_arg_text_or_null(fcinfo, 8, "sscc", OMS_KEY_LENGTH);
	check_sscc(measures.sscc);

	if (!oms_call_repeated(fcinfo, "pack", 9, &call, &result))
	{
		oms_fulfilment_lock(call.merchant, fulfilment_id, &fulfilment, &head);
		oms_order_require_live(&head, "packing");
		oms_order_require_no_hold(&head, "pick");
		result = oms_pack_units(&fulfilment, units, n, carton, &measures, &call);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/*
 * unpack(merchant, carton, request_key, actor, reason): an open carton's units
 * are picked and in no carton again, the carton is void.  Locks the order.
 * Raises OM002, OM008.
 */
Datum
oms_unpack(PG_FUNCTION_ARGS)
{
	int64		carton = oms_arg_int64(fcinfo, 1, "carton");
	OmsCall		call;
	Datum		values[2] = {Int32GetDatum(oms_arg_merchant(fcinfo)), Int64GetDatum(carton)};
	OmsFulfilment fulfilment;
	OmsOrderHead head;
	OmsUnits   *units;
	int64		result;
	uint64		rows;
	uint64		i;

	if (oms_call_repeated(fcinfo, "unpack", 2, &call, &result))
		PG_RETURN_INT64(result);
	if (oms_run(&statements[ST_READ_CARTON], values, NULL) == 0)
		oms_error_unknown("carton", call.merchant, carton);
	oms_fulfilment_lock(call.merchant, oms_get_int64(0, 1), &fulfilment, &head);
	require_open(&fulfilment, carton);
	rows = oms_run(&statements[ST_CARTON_UNITS], values, NULL);
	units = palloc((rows + 1) * sizeof(OmsUnits));
	result = 0;
	for (i = 0; i < rows; i++)
	{
		units[i] = (OmsUnits) {oms_get_int32(i, 1), oms_get_int32(i, 2)};
		result += units[i].quantity;
	}
	oms_run_guarded(&statements[ST_VOID], values, NULL);
	oms_lot_unpack(&fulfilment, carton);
	oms_fulfilment_count(&fulfilment, units, (int) rows, 0, -1);
	oms_fulfilment_event(&fulfilment, "fulfilment.unpacked", units, (int) rows, carton);
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}
