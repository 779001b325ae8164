/*-------------------------------------------------------------------------
 * tracking.c
 *	  What carriers say about shipments.  The state of a shipment is a fold
 *	  over its events that does not depend on the order of their arrival.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"

PG_FUNCTION_INFO_V1(oms_record_tracking);
PG_FUNCTION_INFO_V1(oms_packing_slip);

enum
{
	ST_STATUS,
	ST_SHIPMENT,
	ST_BY_NUMBER,
	ST_SAME,
	ST_INSERT,
	ST_FOLD,
	ST_DELIVER_CARTONS,
	ST_MOVE_DELIVERY,
	ST_COUNTERS,
	ST_FACTS,
	ST_SLIP
};

static OmsStatement statements[] = {
	[ST_STATUS] = {"SELECT 1 FROM oms.tracking_status WHERE status = $1", 1, {TEXTOID}},
	[ST_SHIPMENT] = {
		"SELECT order_id, kind, status FROM oms.shipment WHERE merchant_id = $1 AND shipment_id = $2", 2, {INT4OID, INT8OID}
	},
	/* numbers come around again after years: the latest shipment is meant */
	[ST_BY_NUMBER] = {
		"SELECT shipment_id FROM oms.shipment WHERE merchant_id = $1 AND tracking_number = $2 "
		"ORDER BY shipped_at DESC, shipment_id DESC LIMIT 1",
		2, {INT4OID, TEXTOID}
	},
	[ST_SAME] = {
		"SELECT status = $4 AND occurred_at = $5 AND place IS NOT DISTINCT FROM $6 AND description IS NOT DISTINCT FROM $7, "
		"status, occurred_at::text FROM oms.tracking_event WHERE merchant_id = $1 AND shipment_id = $2 AND event_reference = $3",
		7, {INT4OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_INSERT] = {
		"INSERT INTO oms.tracking_event (merchant_id, shipment_id, event_reference, status, occurred_at, place, description, "
		"received_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		9, {INT4OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_FOLD] = {
		"UPDATE oms.shipment s SET status = x.status, delivered_at = (SELECT min(d.occurred_at) FROM oms.tracking_event d "
		"WHERE d.merchant_id = $1 AND d.shipment_id = $2 AND d.status = 'delivered') "
		"FROM (SELECT e.status FROM oms.tracking_event e JOIN oms.tracking_status r ON r.status = e.status "
		"WHERE e.merchant_id = $1 AND e.shipment_id = $2 "
		"ORDER BY e.status = 'delivered' DESC, e.occurred_at DESC, r.rank DESC LIMIT 1) x "
		"WHERE s.merchant_id = $1 AND s.shipment_id = $2 RETURNING s.status, s.delivered_at",
		2, {INT4OID, INT8OID}
	},
	/* cartons that went no further than this shipment */
	[ST_DELIVER_CARTONS] = {
		"UPDATE oms.carton c SET delivered_at = $3 FROM oms.shipment_carton sc "
		"WHERE sc.merchant_id = $1 AND sc.shipment_id = $2 AND c.merchant_id = $1 AND c.order_id = $4 AND c.carton_id = sc.carton_id "
		"AND c.delivered_at IS NULL AND NOT EXISTS (SELECT FROM oms.shipment_carton n "
		"WHERE n.merchant_id = $1 AND n.carton_id = sc.carton_id AND n.leg > sc.leg) RETURNING c.carton_id",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, INT8OID}
	},
	[ST_MOVE_DELIVERY] = {
		"UPDATE oms.carton c SET delivered_at = $3 FROM oms.shipment_carton sc "
		"WHERE sc.merchant_id = $1 AND sc.shipment_id = $2 AND c.merchant_id = $1 AND c.order_id = $4 AND c.carton_id = sc.carton_id "
		"AND c.delivered_at > $3 AND NOT EXISTS (SELECT FROM oms.shipment_carton n "
		"WHERE n.merchant_id = $1 AND n.carton_id = sc.carton_id AND n.leg > sc.leg)",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, INT8OID}
	},
	[ST_COUNTERS] = {
		"UPDATE oms.order_line l SET delivered = l.delivered + v.units FROM (SELECT line_no, sum(quantity)::int AS units "
		"FROM oms.carton_line WHERE merchant_id = $1 AND carton_id = ANY ($3) GROUP BY line_no) v "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no",
		3, {INT4OID, INT8OID, INT8ARRAYOID}
	},
	[ST_FACTS] = {
		"SELECT jsonb_strip_nulls(jsonb_build_object('shipment_id', s.shipment_id, 'carrier', c.name, 'service', v.name, "
		"'tracking_number', s.tracking_number, 'delivered_at', s.delivered_at, "
		"'lines', (SELECT string_agg(x.units || ' x ' || l.sku || ' ' || l.title, E'\\n' ORDER BY l.line_no) FROM "
		"(SELECT cl.line_no, sum(cl.quantity) AS units FROM oms.carton_line cl WHERE cl.merchant_id = $1 "
		"AND cl.carton_id = ANY ($3) GROUP BY cl.line_no) x JOIN oms.order_line l ON l.merchant_id = $1 "
		"AND l.order_id = s.order_id AND l.line_no = x.line_no))) "
		"FROM oms.shipment s LEFT JOIN oms.carrier c ON c.merchant_id = s.merchant_id AND c.carrier_id = s.carrier_id "
		"LEFT JOIN oms.carrier_service v ON v.merchant_id = s.merchant_id AND v.service_id = s.service_id "
		"WHERE s.merchant_id = $1 AND s.shipment_id = $2",
		3, {INT4OID, INT8OID, INT8ARRAYOID}
	},
	/* a gift's slip has the note and no prices */
	[ST_SLIP] = {
		"SELECT jsonb_strip_nulls(jsonb_build_object('fulfilment', f.fulfilment_id, 'state', f.state, "
		"'order', f.order_id, 'number', coalesce(o.number, ch.number_prefix || o.order_id), 'external_ref', o.external_ref, "
		"'placed_at', o.placed_at, 'location', jsonb_build_object('code', lo.code, 'name', lo.name, 'address', lo.address), "
		"'ship_to', o.ship_to, 'instructions', o.instructions, 'gift_note', o.gift_note, "
		"'currency', CASE WHEN o.gift_note IS NULL THEN o.currency END, "
		"'lines', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('line', fl.line_no, 'sku', l.sku, 'title', l.title, "
		"'quantity', fl.quantity, 'ordered', l.ordered, 'instructions', l.instructions, "
		"'unit_price', CASE WHEN o.gift_note IS NULL THEN l.unit_price END, "
		"'total', CASE WHEN o.gift_note IS NULL THEN l.total END, "
		"'parts', (SELECT jsonb_agg(jsonb_build_object('sku', i.sku, 'title', i.title, 'quantity', c.per_unit * fl.quantity) "
		"ORDER BY i.sku) FROM oms.order_line_component c JOIN oms.item i ON i.merchant_id = c.merchant_id AND i.item_id = c.item_id "
		"WHERE c.merchant_id = $1 AND c.order_id = f.order_id AND c.line_no = fl.line_no))) ORDER BY fl.line_no) "
		"FROM oms.fulfilment_line fl JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = fl.order_id AND l.line_no = fl.line_no "
		"WHERE fl.merchant_id = $1 AND fl.fulfilment_id = $2 AND fl.quantity > 0), "
		"'cartons', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('carton', ca.carton_id, 'sscc', ca.sscc, "
		"'weight_g', ca.weight_g, 'state', ca.state, 'lines', (SELECT jsonb_agg(jsonb_build_object('line', cl.line_no, "
		"'quantity', cl.quantity) ORDER BY cl.line_no) FROM oms.carton_line cl WHERE cl.merchant_id = $1 "
		"AND cl.carton_id = ca.carton_id))) ORDER BY ca.carton_id) FROM oms.carton ca "
		"WHERE ca.merchant_id = $1 AND ca.fulfilment_id = $2 AND ca.state <> 'void'))) "
		"FROM oms.fulfilment f JOIN oms.sales_order o ON o.merchant_id = f.merchant_id AND o.order_id = f.order_id "
		"JOIN oms.channel ch ON ch.merchant_id = o.merchant_id AND ch.channel_id = o.channel_id "
		"JOIN oms.location lo ON lo.merchant_id = f.merchant_id AND lo.location_id = f.location_id "
		"WHERE f.merchant_id = $1 AND f.fulfilment_id = $2",
		2, {INT4OID, INT8OID}
	},
};

/* One thing that a carrier said. */
typedef struct Said
{
	int32		merchant;
	int64		shipment;
	char	   *status;
	TimestampTz occurred_at;
	char	   *reference;
	char	   *place;
	char	   *description;
} Said;

/* Writes the event; false when it was there.  OM010 when it was there and said something else. */
static bool
write_said(const Said *said, const char *actor)
{
	Datum		values[9];
	char		nulls[9];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int32GetDatum(said->merchant);
	values[1] = Int64GetDatum(said->shipment);
	values[2] = CStringGetTextDatum(said->reference);
	values[3] = CStringGetTextDatum(said->status);
	values[4] = TimestampTzGetDatum(said->occurred_at);
	values[5] = said->place ? CStringGetTextDatum(said->place) : (Datum) 0;
	values[6] = said->description ? CStringGetTextDatum(said->description) : (Datum) 0;
	values[7] = TimestampTzGetDatum(oms_now());
	values[8] = CStringGetTextDatum(actor);
	nulls[5] = said->place ? ' ' : 'n';
	nulls[6] = said->description ? ' ' : 'n';
	if (oms_run(&statements[ST_SAME], values, nulls) > 0)
	{
		if (!oms_get_bool(0, 1))
			ereport(ERROR,
					(errcode(OMS_REQUEST_REUSED),
					 errmsg("tracking event \"%s\" of shipment " INT64_FORMAT " was recorded with other content",
							said->reference, said->shipment),
					 errdetail("It says %s at %s.", oms_get_text(0, 2), oms_get_text(0, 3)),
					 errhint("Give a new fact a reference of its own.")));
		return false;
	}
	oms_run_guarded(&statements[ST_INSERT], values, nulls);
	return true;
}

static void
write_event(const Said *said, int64 order_id, const char *type)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_text(&json, "status", said->status);
	if (said->place != NULL)
		oms_json_add_text(&json, "place", said->place);
	oms_json_add_text(&json, "reference", said->reference);
	oms_json_add_text(&json, "occurred_at", timestamptz_to_str(said->occurred_at));
	event.merchant = said->merchant;
	event.subject_type = "shipment";
	event.subject_id = said->shipment;
	event.order_id = order_id;
	event.type = type;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

/* The shipment's cartons have arrived: counters, event and message, once. */
static void
deliver(const OmsOrderHead *head, const Said *said, TimestampTz delivered_at)
{
	Datum		values[4] = {Int32GetDatum(said->merchant), Int64GetDatum(said->shipment), TimestampTzGetDatum(delivered_at),
	Int64GetDatum(head->order_id)};
	uint64		rows = oms_run_guarded(&statements[ST_DELIVER_CARTONS], values, NULL);
	int64	   *cartons = palloc((rows + 1) * sizeof(int64));
	uint64		i;
	Datum		message;
	bool		isnull;

	for (i = 0; i < rows; i++)
		cartons[i] = oms_get_int64(i, 1);
	write_event(said, head->order_id, "shipment.delivered");
	if (rows == 0)
		return;					/* an earlier leg of cartons that went further */
	values[1] = Int64GetDatum(head->order_id);
	values[2] = oms_int8_array(cartons, (int) rows);
	oms_run_guarded(&statements[ST_COUNTERS], values, NULL);
	values[1] = Int64GetDatum(said->shipment);
	(void) oms_run(&statements[ST_FACTS], values, NULL);
	message = oms_get(0, 1, &isnull);
	oms_message_add(said->merchant, head->order_id, "delivered", psprintf("shipment " INT64_FORMAT, said->shipment), message);
}

/* The shipment of a tracking number; OM002 when there is none. */
static int64
find_by_number(int32 merchant, const char *number)
{
	Datum		values[2] = {Int32GetDatum(merchant), CStringGetTextDatum(number)};

	if (oms_run(&statements[ST_BY_NUMBER], values, NULL) == 0)
		oms_error_unknown_code("shipment with tracking number", merchant, number);
	return oms_get_int64(0, 1);
}

static void
check_said(const Said *said)
{
	Datum		values[1] = {CStringGetTextDatum(said->status)};

	if (oms_run(&statements[ST_STATUS], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("\"%s\" is no tracking status", said->status),
				 errhint("Table tracking_status has those there are.")));
	if (TIMESTAMP_NOT_FINITE(said->occurred_at) || said->occurred_at > oms_now() + USECS_PER_DAY)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"occurred_at\" is out of range"),
				 errdetail("It is %s; what a carrier reports has happened.", timestamptz_to_str(said->occurred_at))));
}

/*
 * record_tracking(merchant, shipment, status, occurred_at, event_reference,
 * place, description, tracking_number, request_key, actor, reason) returns the
 * shipment's status.  Locks the order.  Raises OM002, OM008, OM010, OM011.
 */
Datum
oms_record_tracking(PG_FUNCTION_ARGS)
{
	char	   *number = oms_arg_text_or_null(fcinfo, 7, "tracking_number", OMS_KEY_LENGTH);
	char	   *key = oms_arg_text_or_null(fcinfo, 8, "request_key", OMS_KEY_LENGTH);
	const char *actor = oms_actor(fcinfo, 9);
	char	   *reason = oms_arg_text_or_null(fcinfo, 10, "reason", OMS_TEXT_LENGTH);
	Said		said = {0};
	OmsOrderHead head;
	Datum		values[4];
	char	   *before;
	char	   *status;
	int64		order_id;
	int64		ignored;
	Datum		result;

	said.merchant = oms_arg_merchant(fcinfo);
	said.status = oms_arg_text(fcinfo, 2, "status", OMS_KEY_LENGTH);
	said.occurred_at = PG_ARGISNULL(3) ? oms_now() : PG_GETARG_TIMESTAMPTZ(3);
	said.reference = oms_arg_text_or_null(fcinfo, 4, "event_reference", OMS_KEY_LENGTH);
	said.place = oms_arg_text_or_null(fcinfo, 5, "place", OMS_TEXT_LENGTH);
	said.description = oms_arg_text_or_null(fcinfo, 6, "description", OMS_TEXT_LENGTH);
	if (PG_ARGISNULL(1) == (number == NULL))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("give either argument \"shipment\" or argument \"tracking_number\""),
				 errdetail("%s.", number == NULL ? "Both are null" : "Both were given")));

	oms_begin();
	oms_command(actor, reason, key);
	said.shipment = number != NULL ? find_by_number(said.merchant, number) : PG_GETARG_INT64(1);
	check_said(&said);
	if (said.reference == NULL)
		said.reference = psprintf("%s " INT64_FORMAT, said.status, (int64) said.occurred_at);

	values[0] = Int32GetDatum(said.merchant);
	values[1] = Int64GetDatum(said.shipment);
	if (oms_run(&statements[ST_SHIPMENT], values, NULL) == 0)
		oms_error_unknown("shipment", said.merchant, said.shipment);
	order_id = oms_get_int64(0, 1);
	if (strcmp(oms_get_text(0, 2), "service") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("shipment " INT64_FORMAT " is not tracked", said.shipment),
				 errdetail("It is of services alone.")));
	if (!oms_request_seen(said.merchant, key, "record_tracking", key ? oms_hash_arguments(fcinfo, 8) : 0, &ignored))
	{
		oms_order_lock(said.merchant, order_id, &head);
		(void) oms_run(&statements[ST_SHIPMENT], values, NULL);
		before = oms_get_text(0, 3);
		if (write_said(&said, actor))
		{
			TimestampTz delivered_at;

			oms_run_guarded(&statements[ST_FOLD], values, NULL);
			status = oms_get_text(0, 1);
			delivered_at = oms_get_int64(0, 2);
			write_event(&said, order_id, "shipment.tracking");
			if (strcmp(status, "delivered") == 0)
			{
				if (strcmp(before, "delivered") != 0)
					deliver(&head, &said, delivered_at);
				else
				{
					values[2] = TimestampTzGetDatum(delivered_at);
					values[3] = Int64GetDatum(order_id);
					oms_run_guarded(&statements[ST_MOVE_DELIVERY], values, NULL);
				}
			}
		}
		oms_request_done(said.merchant, key, said.shipment);
	}
	(void) oms_run(&statements[ST_SHIPMENT], values, NULL);
	{
		bool		isnull;

		result = oms_copy_out(oms_get(0, 3, &isnull), false, -1);
	}
	oms_end();
	return result;
}

/* packing_slip(merchant, fulfilment).  Raises OM002. */
Datum
oms_packing_slip(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		fulfilment = oms_arg_int64(fcinfo, 1, "fulfilment");
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(fulfilment)};
	Datum		result;
	bool		isnull;

	oms_begin();
	if (oms_run_read_only(&statements[ST_SLIP], values, NULL) == 0)
		oms_error_unknown("fulfilment", merchant, fulfilment);
	result = oms_copy_out(oms_get(0, 1, &isnull), false, -1);
	oms_end();
	return result;
}
