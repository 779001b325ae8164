/*-------------------------------------------------------------------------
 * fulfilment.c
 *	  What the commands of fulfilment share: locking, documents, states,
 *	  policy, events.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"

enum
{
	ST_ORDER_OF,
	ST_READ,
	ST_LINES,
	ST_COUNT,
	ST_COUNT_ORDER,
	ST_REFRESH,
	ST_POLICY
};

static OmsStatement statements[] = {
	[ST_ORDER_OF] = {
		"SELECT order_id FROM oms.fulfilment WHERE merchant_id = $1 AND fulfilment_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_READ] = {
		"SELECT location_id, state FROM oms.fulfilment WHERE merchant_id = $1 AND fulfilment_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_LINES] = {
		"SELECT line_no, quantity, picked, packed, shipped FROM oms.fulfilment_line "
		"WHERE merchant_id = $1 AND fulfilment_id = $2 ORDER BY line_no",
		2, {INT4OID, INT8OID}
	},
	[ST_COUNT] = {
		"UPDATE oms.fulfilment_line fl SET picked = fl.picked + $5 * v.units, packed = fl.packed + $6 * v.units "
		"FROM unnest($3::int[], $4::int[]) v(line_no, units) "
		"WHERE fl.merchant_id = $1 AND fl.fulfilment_id = $2 AND fl.line_no = v.line_no",
		6, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4OID, INT4OID}
	},
	[ST_COUNT_ORDER] = {
		"UPDATE oms.order_line l SET picked = l.picked + $5 * v.units, packed = l.packed + $6 * v.units "
		"FROM unnest($3::int[], $4::int[]) v(line_no, units) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no",
		6, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4OID, INT4OID}
	},
	[ST_REFRESH] = {
		"UPDATE oms.fulfilment f SET state = x.state FROM (SELECT fulfilment_id, "
		"CASE WHEN sum(quantity) = 0 THEN 'cancelled' WHEN sum(shipped) = sum(quantity) THEN 'shipped' "
		"WHEN sum(packed) = sum(quantity) THEN 'packed' WHEN sum(picked) = sum(quantity) THEN 'picked' "
		"WHEN sum(picked) > 0 THEN 'picking' ELSE 'planned' END AS state "
		"FROM oms.fulfilment_line WHERE merchant_id = $1 AND order_id = $2 GROUP BY fulfilment_id) x "
		"WHERE f.merchant_id = $1 AND f.order_id = $2 AND f.fulfilment_id = x.fulfilment_id AND f.state <> x.state",
		2, {INT4OID, INT8OID}
	},
	[ST_POLICY] = {
		"SELECT policy, complete_by FROM oms.order_shipment_policy WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
};

void
oms_fulfilment_lock(int32 merchant, int64 fulfilment_id, OmsFulfilment *fulfilment, OmsOrderHead *head)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(fulfilment_id)};

	/* the order of a fulfilment never changes; its state may until the lock is ours */
	if (oms_run(&statements[ST_ORDER_OF], values, NULL) == 0)
		oms_error_unknown("fulfilment", merchant, fulfilment_id);
	fulfilment->merchant = merchant;
	fulfilment->fulfilment_id = fulfilment_id;
	fulfilment->order_id = oms_get_int64(0, 1);
	oms_order_lock(merchant, fulfilment->order_id, head);
	(void) oms_run(&statements[ST_READ], values, NULL);
	fulfilment->location = oms_get_int32(0, 1);
	strlcpy(fulfilment->state, oms_get_text(0, 2), sizeof(fulfilment->state));
}

OmsFulfilmentLine *
oms_fulfilment_lines(const OmsFulfilment *fulfilment, int *n)
{
	Datum		values[2] = {Int32GetDatum(fulfilment->merchant), Int64GetDatum(fulfilment->fulfilment_id)};
	uint64		rows = oms_run(&statements[ST_LINES], values, NULL);
	OmsFulfilmentLine *lines = palloc((rows + 1) * sizeof(OmsFulfilmentLine));
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		lines[i].line_no = oms_get_int32(i, 1);
		lines[i].quantity = oms_get_int32(i, 2);
		lines[i].picked = oms_get_int32(i, 3);
		lines[i].packed = oms_get_int32(i, 4);
		lines[i].shipped = oms_get_int32(i, 5);
	}
	*n = (int) rows;
	return lines;
}

const OmsFulfilmentLine *
oms_fulfilment_line(const OmsFulfilment *fulfilment, const OmsFulfilmentLine *lines, int n, int32 line_no, const char *view)
{
	int			i;

	for (i = 0; i < n; i++)
		if (lines[i].line_no == line_no)
			return &lines[i];
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("fulfilment " INT64_FORMAT " has no line %d", fulfilment->fulfilment_id, line_no),
			 errhint("View %s shows its lines.", view)));
	return NULL;
}

OmsUnits *
oms_units_document(Jsonb *document, int *n)
{
	static const char *const allowed[] = {"line", "quantity", "lots", NULL};
	OmsPath		root = {NULL, "lines", 0};
	JsonbContainer *array = &document->root;
	OmsUnits   *units;
	int			count;
	int			i;
	int			j;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array))
		oms_error_document(&root, NULL, "an array of {\"line\", \"quantity\"}");
	count = JsonContainerSize(array);
	if (count < 1 || count > 10000)
		oms_error_document(&root, NULL, "1 to 10000 lines");
	units = palloc(count * sizeof(OmsUnits));
	for (i = 0; i < count; i++)
	{
		OmsPath		path = {&root, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);
		JsonbContainer *object;
		int64		number;

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&path, NULL, "an object {\"line\", \"quantity\"}");
		object = value->val.binary.data;
		oms_json_only(object, &path, allowed);
		if (!oms_json_int64(object, &path, "line", 1, PG_INT32_MAX, &number))
			oms_error_document(&path, "line", "the number of an order line");
		units[i].line_no = (int32) number;
		if (!oms_json_int64(object, &path, "quantity", 1, PG_INT32_MAX, &number))
			oms_error_document(&path, "quantity", "a number of units");
		units[i].quantity = (int32) number;
		units[i].nlots = oms_lots_document(object, &path, "lots", &units[i].lots);
		for (j = 0; j < i; j++)
			if (units[j].line_no == units[i].line_no)
				oms_error_document(&path, "line", psprintf("each line once (line %d is at %d too)", units[i].line_no, j));
	}
	*n = count;
	return units;
}

Datum
oms_int4_array(const int32 *values, int n)
{
	Datum	   *elements = palloc((n + 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < n; i++)
		elements[i] = Int32GetDatum(values[i]);
	return PointerGetDatum(construct_array(elements, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

Datum
oms_int8_array(const int64 *values, int n)
{
	Datum	   *elements = palloc((n + 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(elements, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
oms_units_lines(const OmsUnits *units, int n)
{
	int32	   *values = palloc((n + 1) * sizeof(int32));
	int			i;

	for (i = 0; i < n; i++)
		values[i] = units[i].line_no;
	return oms_int4_array(values, n);
}

Datum
oms_units_quantities(const OmsUnits *units, int n)
{
	int32	   *values = palloc((n + 1) * sizeof(int32));
	int			i;

	for (i = 0; i < n; i++)
		values[i] = units[i].quantity;
	return oms_int4_array(values, n);
}

void
oms_fulfilment_refresh(int32 merchant, int64 order_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};

	oms_run_guarded(&statements[ST_REFRESH], values, NULL);
}

void
oms_fulfilment_count(const OmsFulfilment *fulfilment, const OmsUnits *units, int n, int picked, int packed)
{
	Datum		values[6];

	values[0] = Int32GetDatum(fulfilment->merchant);
	values[1] = Int64GetDatum(fulfilment->fulfilment_id);
	values[2] = oms_units_lines(units, n);
	values[3] = oms_units_quantities(units, n);
	values[4] = Int32GetDatum(picked);
	values[5] = Int32GetDatum(packed);
	oms_run_guarded(&statements[ST_COUNT], values, NULL);
	values[1] = Int64GetDatum(fulfilment->order_id);
	oms_run_guarded(&statements[ST_COUNT_ORDER], values, NULL);
	oms_fulfilment_refresh(fulfilment->merchant, fulfilment->order_id);
}

OmsShipmentPolicy
oms_shipment_policy(const OmsOrderHead *head)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	const char *policy;

	if (oms_run(&statements[ST_POLICY], values, NULL) > 0)
	{
		policy = oms_get_text(0, 1);
		if (strcmp(policy, "complete_by") == 0)
			return oms_now() < oms_get_int64(0, 2) ? OMS_SHIP_ORDER_COMPLETE : OMS_SHIP_AS_AVAILABLE;
	}
	else
		policy = oms_setting(head->merchant, head->channel, "shipment_policy");
	if (strcmp(policy, "line_complete") == 0)
		return OMS_SHIP_LINE_COMPLETE;
	if (strcmp(policy, "order_complete") == 0)
		return OMS_SHIP_ORDER_COMPLETE;
	return OMS_SHIP_AS_AVAILABLE;
}

/* [{"line": 1, "quantity": 2}] */
static Datum
units_json(const OmsUnits *units, int n)
{
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	appendStringInfoChar(&text, '[');
	for (i = 0; i < n; i++)
		appendStringInfo(&text, "%s{\"line\":%d,\"quantity\":%d}", i ? "," : "", units[i].line_no, units[i].quantity);
	appendStringInfoChar(&text, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

void
oms_fulfilment_event(const OmsFulfilment *fulfilment, const char *type, const OmsUnits *units, int n, int64 carton)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_jsonb(&json, "lines", units_json(units, n));
	if (carton != 0)
		oms_json_add_int(&json, "carton", carton);
	oms_json_add_int(&json, "location", fulfilment->location);
	event.merchant = fulfilment->merchant;
	event.subject_type = "fulfilment";
	event.subject_id = fulfilment->fulfilment_id;
	event.order_id = fulfilment->order_id;
	event.type = type;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}
