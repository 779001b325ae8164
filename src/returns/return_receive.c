/*-------------------------------------------------------------------------
 * return_receive.c
 *	  The goods side of returns: what came, what it is fit for, and the refund
 *	  and restock that follow, once.
 *-------------------------------------------------------------------------
 */
#include "returns/return_internal.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/request.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(oms_receive_return);
PG_FUNCTION_INFO_V1(oms_inspect_return);

enum
{
	ST_LOCATION,
	ST_RECEIVED,
	ST_RESTOCK
};

static OmsStatement statements[] = {
	[ST_LOCATION] = {
		"SELECT FROM oms.location WHERE merchant_id = $1 AND location_id = $2",
		2, {INT4OID, INT4OID}
	},
	[ST_RECEIVED] = {
		"UPDATE oms.return_order SET state = 'received', location_id = $3, received_at = coalesce(received_at, $4) "
		"WHERE merchant_id = $1 AND return_id = $2",
		4, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID}
	},
	[ST_RESTOCK] = {
		"INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, quarantine, cause, "
		"source_kind, source_id, actor, at) "
		"SELECT $1, $2, p.item_id, 'return', sum((u.sellable + u.damaged + u.quarantine)::bigint * p.per_unit), "
		"sum(u.damaged::bigint * p.per_unit), sum(u.quarantine::bigint * p.per_unit), $5, 'return', $4, $6, $7 "
		"FROM unnest($8, $9, $10, $11) u(line_no, sellable, damaged, quarantine) "
		"JOIN oms.return_part p ON p.merchant_id = $1 AND p.order_id = $3 AND p.line_no = u.line_no "
		"AND (NOT $12 OR (SELECT i.tracking FROM oms.item i WHERE i.merchant_id = $1 AND i.item_id = p.item_id) = 'none') "
		"WHERE u.sellable + u.damaged + u.quarantine > 0 GROUP BY p.item_id ORDER BY p.item_id",
		12, {INT4OID, INT4OID, INT8OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
		INT4ARRAYOID, BOOLOID}
	},
};

/* One element of receive_return's lines: {"line", "quantity"}. */
static void
receive_field(OmsReturnLine *line, JsonbContainer *element, const OmsPath *path)
{
	int64		quantity;

	if (!oms_json_int64(element, path, "quantity", 1, PG_INT32_MAX, &quantity))
		oms_error_document(path, "quantity", "a whole number from 1 on");
	line->d_returned = (int32) quantity;
}

/* Where the return is received: as said, else where it was before, else the channel's first location.  OM002, OM008, OM016. */
static int32
receiving_location(FunctionCallInfo fcinfo, int n, const OmsOrderHead *head, const OmsReturn *ret)
{
	int32		location;
	const OmsChannel *channel;
	Datum		values[2];

	if (PG_ARGISNULL(n))
	{
		if (ret->location != 0)
			return ret->location;
		channel = oms_channel(head->merchant, head->channel);
		if (channel == NULL || channel->nlocations == 0)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("channel %d has no location", head->channel),
					 errdetail("A return is received at the channel's first location unless another is named."),
					 errhint("Name a location, or add one to oms.channel_location.")));
		return channel->locations[0];
	}
	location = PG_GETARG_INT32(n);
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int32GetDatum(location);
	if (oms_run(&statements[ST_LOCATION], values, NULL) == 0)
		oms_error_unknown("location", head->merchant, location);
	if (ret->location != 0 && location != ret->location)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("return " INT64_FORMAT " is received at location %d", ret->return_id, ret->location),
				 errdetail("Location %d was named.", location),
				 errhint("Receive the rest there too, or close this return and request another.")));
	return location;
}

/*
 * receive_return(merchant, return_id, lines, location, request_key, actor,
 * reason): what really came.  Locks the order.  Raises OM002, OM003, OM007,
 * OM008, OM010, OM011, OM016.
 */
Datum
oms_receive_return(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"line", "quantity", NULL};
	int64		return_id = oms_arg_int64(fcinfo, 1, "return_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsReturn	ret;
	Datum		values[4];
	int64		result;
	int64		units = 0;
	int32		location;

	if (oms_call_repeated(fcinfo, "receive_return", 4, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, oms_return_order_of(call.merchant, return_id), &head);
	oms_return_load(&head, return_id, &ret);
	oms_return_expire(&head, &ret);
	if (strcmp(ret.state, "approved") != 0 && strcmp(ret.state, "received") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("return " INT64_FORMAT " is %s", return_id, ret.state),
				 errdetail("A return that is approved can be received."),
				 errhint("%s", strcmp(ret.state, "requested") == 0 ? "Decide it first: decide_return()." : "Request another return.")));
	location = receiving_location(fcinfo, 3, &head, &ret);

	if (!PG_ARGISNULL(2))
		oms_return_read_lines(&ret, PG_GETARG_DATUM(2), "lines", allowed, receive_field);
	for (int i = 0; i < ret.nlines; i++)
	{
		OmsReturnLine *line = &ret.lines[i];
		int32		promised;

		if (PG_ARGISNULL(2))
		{
			line->d_returned = line->expected;
			line->changed = line->expected > 0;
		}
		if (!line->changed)
			continue;
		promised = Min(line->d_returned, line->expected);
		if (line->d_returned - promised > oms_return_returnable(line))
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("line %d of order " INT64_FORMAT " cannot take back %d units", line->line_no, head.order_id, line->d_returned),
					 errdetail("This return expects %d; of %d shipped, %d are returned and %d are in open returns.",
							   line->expected, line->shipped, line->returned, line->return_requested),
					 errhint("At most %d units can come back by this return. Goods that are not of this order are booked with adjust_stock().",
							 line->expected + oms_return_returnable(line))));
		line->d_requested = -promised;
		line->expected -= promised;
		line->received += line->d_returned;
		units += line->d_returned;
	}
	if (units == 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("return " INT64_FORMAT " expects nothing more", return_id),
				 errdetail("All that was approved has come."),
				 errhint("Name the lines and units that came besides.")));
	oms_return_store(&head, &ret);

	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(return_id);
	values[2] = Int32GetDatum(location);
	values[3] = TimestampTzGetDatum(oms_now());
	oms_run_guarded(&statements[ST_RECEIVED], values, NULL);
	strlcpy(ret.state, "received", sizeof(ret.state));
	oms_return_event(&head, &ret, "return.received", call.actor, call.reason);
	oms_call_done(&call, return_id);
	PG_RETURN_INT64(return_id);
}

static const char *const disposition_names[OMS_DISPOSITIONS] = {"sellable", "damaged", "quarantine", "scrap", "vendor_return"};

static int32
inspected(const OmsReturnLine *line)
{
	int32		sum = 0;

	for (int d = 0; d < OMS_DISPOSITIONS; d++)
		sum += line->put[d];
	return sum;
}

/* One element of inspect_return's lines: units per disposition, and how many are paid back (default: all of them). */
static void
inspect_field(OmsReturnLine *line, JsonbContainer *element, const OmsPath *path)
{
	int64		sum = 0;
	int64		left = line->received - inspected(line);
	int64		refund;

	for (int d = 0; d < OMS_DISPOSITIONS; d++)
	{
		int64		quantity = 0;

		(void) oms_json_int64(element, path, disposition_names[d], 0, PG_INT32_MAX, &quantity);
		line->now[d] = (int32) quantity;
		sum += quantity;
	}
	if (sum == 0)
		oms_error_document(path, NULL, "units of sellable, damaged, quarantine, scrap or vendor_return");
	if (sum > left)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("line %d cannot inspect " INT64_FORMAT " units", line->line_no, sum),
				 errdetail("Of %d received, %d are inspected.", line->received, inspected(line)),
				 errhint("At most " INT64_FORMAT " units can be inspected.", left)));
	refund = sum;
	(void) oms_json_int64(element, path, "refund", 0, sum, &refund);
	line->refund = (int32) refund;
	line->nlots = oms_lots_document(element, path, "lots", &line->lots);
}

/* Puts what is fit for it back into stock, one movement per item, or lot of a tracked one.  Scrap never enters. */
static void
restock(const OmsOrderHead *head, const OmsReturn *ret, const char *actor)
{
	Datum	   *column[4];
	Datum		values[12];
	char	   *cause = psprintf("return " INT64_FORMAT " of order " INT64_FORMAT, ret->return_id, head->order_id);
	bool		lots = oms_lots_used(head->merchant);
	int			n = 0;

	for (int c = 0; c < 4; c++)
		column[c] = palloc(sizeof(Datum) * Max(ret->nlines, 1));
	for (int i = 0; i < ret->nlines; i++)
	{
		const OmsReturnLine *line = &ret->lines[i];

		if (!line->changed)
			continue;
		column[0][n] = Int32GetDatum(line->line_no);
		column[1][n] = Int32GetDatum(line->now[OMS_SELLABLE]);
		column[2][n] = Int32GetDatum(line->now[OMS_DAMAGED]);
		column[3][n] = Int32GetDatum(line->now[OMS_QUARANTINE] + line->now[OMS_VENDOR_RETURN]);
		n++;
	}
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int32GetDatum(ret->location);
	values[2] = Int64GetDatum(head->order_id);
	values[3] = Int64GetDatum(ret->return_id);
	values[4] = CStringGetTextDatum(cause);
	values[5] = CStringGetTextDatum(actor);
	values[6] = TimestampTzGetDatum(oms_now());
	for (int c = 0; c < 4; c++)
		values[7 + c] = PointerGetDatum(construct_array(column[c], n, INT4OID, 4, true, TYPALIGN_INT));
	values[11] = BoolGetDatum(lots);
	oms_run(&statements[ST_RESTOCK], values, NULL);
	if (lots)
		oms_return_restock_lots(head, ret, cause, actor);
}

/*
 * inspect_return(merchant, return_id, lines, request_key, actor, reason): what
 * the units are fit for.  Restocks, refunds, and closes the return when
 * nothing of it is expected or left to inspect.  Locks the order, then its
 * payments.  Raises OM002, OM003, OM007, OM008, OM010, OM011.
 */
Datum
oms_inspect_return(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"line", "sellable", "damaged", "quarantine", "scrap", "vendor_return", "refund", "lots", NULL};
	int64		return_id = oms_arg_int64(fcinfo, 1, "return_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsReturn	ret;
	OmsRefund	refund = {0};
	int64		refund_id = 0;
	int64		limit;
	int64		units = 0;

	if (oms_call_repeated(fcinfo, "inspect_return", 3, &call, &refund_id))
	{
		if (refund_id == 0)
			PG_RETURN_NULL();
		PG_RETURN_INT64(refund_id);
	}
	oms_order_lock(call.merchant, oms_return_order_of(call.merchant, return_id), &head);
	oms_return_load(&head, return_id, &ret);
	oms_return_expire(&head, &ret);
	if (strcmp(ret.state, "received") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("return " INT64_FORMAT " is %s", return_id, ret.state),
				 errdetail("A return that is received can be inspected."),
				 errhint("%s", strcmp(ret.state, "approved") == 0 ? "Receive it first: receive_return()." : "Request another return.")));

	if (!PG_ARGISNULL(2))
		oms_return_read_lines(&ret, PG_GETARG_DATUM(2), "lines", allowed, inspect_field);
	for (int i = 0; i < ret.nlines; i++)
	{
		OmsReturnLine *line = &ret.lines[i];

		if (PG_ARGISNULL(2))
		{
			line->now[OMS_SELLABLE] = line->received - inspected(line);
			line->refund = line->now[OMS_SELLABLE];
			line->changed = line->refund > 0;
		}
		if (!line->changed)
			continue;
		for (int d = 0; d < OMS_DISPOSITIONS; d++)
		{
			line->put[d] += line->now[d];
			units += line->now[d];
		}
		line->refunded += line->refund;
	}
	if (units == 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("return " INT64_FORMAT " has nothing to inspect", return_id),
				 errdetail("All that was received is inspected."),
				 errhint("Receive the rest first, or close the return.")));

	oms_return_store(&head, &ret);
	restock(&head, &ret, call.actor);
	oms_return_event(&head, &ret, "return.inspected", call.actor, call.reason);

	oms_return_compute(&head, &ret, &refund, &limit);
	if (refund.nlines > 0 || refund.shipping > 0)
	{
		refund.actor = call.actor;
		refund.reason = call.reason;
		refund_id = oms_refund_grant(&head, &refund);
		(void) oms_refund_move(&head, refund_id, refund.amount, call.actor);
	}
	if (!oms_return_waits(&ret))
	{
		oms_return_set_state(&head, &ret, "closed", true);
		oms_return_event(&head, &ret, "return.closed", call.actor, call.reason);
	}
	oms_call_done(&call, refund_id);
	if (refund_id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(refund_id);
}
