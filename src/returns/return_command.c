/*-------------------------------------------------------------------------
 * return_command.c
 *	  The paper side of returns: request, decide, close, cancel, expire.
 *-------------------------------------------------------------------------
 */
#include "returns/return_internal.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/request.h"

PG_FUNCTION_INFO_V1(oms_request_return);
PG_FUNCTION_INFO_V1(oms_decide_return);
PG_FUNCTION_INFO_V1(oms_close_return);
PG_FUNCTION_INFO_V1(oms_cancel_return);
PG_FUNCTION_INFO_V1(oms_expire_returns);

enum
{
	ST_CREATE,
	ST_DECIDE,
	ST_SHIPPING_LEFT,
	ST_DUE
};

static OmsStatement statements[] = {
	[ST_CREATE] = {
		"INSERT INTO oms.return_order (merchant_id, order_id, requested_at, expires_at, reason, actor) "
		"VALUES ($1, $2, $3, $4, $5, $6) RETURNING return_id",
		6, {INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_DECIDE] = {
		"UPDATE oms.return_order SET state = $3, decided_at = $4, decided_by = $5, decision_reason = $6, restocking_fee = $7, "
		"restocking_percent = trim_scale($8), refund_shipping = $9, closed_at = CASE WHEN $3 = 'rejected' THEN $4 END "
		"WHERE merchant_id = $1 AND return_id = $2",
		9, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, NUMERICOID, NUMERICOID, NUMERICOID}
	},
	[ST_SHIPPING_LEFT] = {
		"SELECT coalesce((SELECT sum(c.total) FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.kind = 'shipping'), 0) "
		"- coalesce((SELECT sum(f.shipping) FROM oms.refund f WHERE f.merchant_id = $1 AND f.order_id = $2), 0)",
		2, {INT4OID, INT8OID}
	},
	[ST_DUE] = {
		"SELECT DISTINCT order_id FROM oms.return_order WHERE merchant_id = $1 "
		"AND state IN ('requested', 'approved', 'received') AND expires_at <= $2 "
		"AND (state <> 'received' OR EXISTS (SELECT FROM oms.return_line l WHERE l.merchant_id = return_order.merchant_id "
		"AND l.return_id = return_order.return_id AND l.expected > 0)) ORDER BY order_id",
		2, {INT4OID, TIMESTAMPTZOID}
	},
};

/* Refuses (OM008) when the return is not in one of the two states. */
static void
require_state(const OmsReturn *ret, const char *a, const char *b, const char *doing, const char *hint)
{
	if (strcmp(ret->state, a) == 0 || strcmp(ret->state, b) == 0)
		return;
	ereport(ERROR,
			(errcode(OMS_STATE),
			 errmsg("return " INT64_FORMAT " is %s", ret->return_id, ret->state),
			 errdetail("A return that is %s%s%s can be %s.", a, strcmp(a, b) == 0 ? "" : " or ", strcmp(a, b) == 0 ? "" : b, doing),
			 errhint("%s", hint)));
}

/* One element of request_return's lines: {"line", "quantity", "reason"}. */
static void
request_field(OmsReturnLine *line, JsonbContainer *element, const OmsPath *path)
{
	int64		quantity;

	if (!oms_json_int64(element, path, "quantity", 1, PG_INT32_MAX, &quantity))
		oms_error_document(path, "quantity", "a whole number from 1 on");
	line->requested = (int32) quantity;
	line->reason = oms_json_text(element, path, "reason", OMS_TEXT_LENGTH, false);
}

/* When a return requested now expires, where the call does not say. */
static TimestampTz
default_expiry(const OmsOrderHead *head)
{
	const char *setting = oms_setting(head->merchant, head->channel, "return_days");
	int			days = atoi(setting);

	if (days <= 0 || days > 36500)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("setting \"return_days\" is out of range"),
				 errdetail("It is \"%s\"; days from 1 to 36500 are allowed.", setting),
				 errhint("Correct it with set_setting().")));
	return oms_now() + days * USECS_PER_DAY;
}

/*
 * request_return(merchant, order_id, lines, reason, expires_at, request_key,
 * actor): makes a return.  Locks the order.  Raises OM002, OM003, OM007,
 * OM008, OM010, OM011.
 */
Datum
oms_request_return(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"line", "quantity", "reason", NULL};
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *reason = oms_arg_text_or_null(fcinfo, 3, "reason", OMS_TEXT_LENGTH);
	OmsCall		call;
	TimestampTz expires_at = PG_ARGISNULL(4) ? 0 : PG_GETARG_TIMESTAMPTZ(4);
	OmsOrderHead head;
	OmsReturn	ret;
	Datum		values[6];
	int64		result;
	int64		units = 0;

	if (!PG_ARGISNULL(4) && (TIMESTAMP_NOT_FINITE(expires_at) || expires_at <= oms_now()))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"expires_at\" is out of range"),
				 errdetail("A return expires at a finite instant in the future."),
				 errhint("Leave it out to take the setting \"return_days\".")));
	if (oms_call_repeated(fcinfo, "request_return", 5, &call, &result))
		PG_RETURN_INT64(result);
	oms_command(call.actor, reason, call.key);	/* the reason comes before the key here */
	oms_order_lock(call.merchant, order_id, &head);
	oms_return_expire(&head, NULL);
	oms_return_load(&head, 0, &ret);
	if (!PG_ARGISNULL(2))
		oms_return_read_lines(&ret, PG_GETARG_DATUM(2), "lines", allowed, request_field);
	for (int i = 0; i < ret.nlines; i++)
	{
		OmsReturnLine *line = &ret.lines[i];

		if (PG_ARGISNULL(2))
		{
			line->requested = oms_return_returnable(line);
			line->changed = line->requested > 0;
		}
		if (!line->changed)
			continue;
		if (line->requested > oms_return_returnable(line))
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("line %d of order " INT64_FORMAT " cannot return %d units", line->line_no, order_id, line->requested),
					 errdetail("Of %d shipped, %d are returned and %d are in open returns.",
							   line->shipped, line->returned, line->return_requested),
					 errhint("At most %d units can be returned.", oms_return_returnable(line))));
		line->expected = line->requested;
		line->d_requested = line->requested;
		units += line->requested;
	}
	if (units == 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("order " INT64_FORMAT " has nothing to return", order_id),
				 errdetail("No unit is shipped and neither returned nor in an open return."),
				 errhint("See oms.returnable(%d, " INT64_FORMAT ").", call.merchant, order_id)));

	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(order_id);
	values[2] = TimestampTzGetDatum(oms_now());
	values[3] = TimestampTzGetDatum(expires_at != 0 ? expires_at : default_expiry(&head));
	values[4] = reason != NULL ? CStringGetTextDatum(reason) : (Datum) 0;
	values[5] = CStringGetTextDatum(call.actor);
	oms_run_guarded(&statements[ST_CREATE], values, reason == NULL ? "    n " : NULL);
	ret.return_id = oms_get_int64(0, 1);
	strlcpy(ret.state, "requested", sizeof(ret.state));
	oms_return_store(&head, &ret);
	oms_return_event(&head, &ret, "return.requested", call.actor, reason);
	oms_call_done(&call, ret.return_id);
	PG_RETURN_INT64(ret.return_id);
}

/* One element of decide_return's lines: {"line", "quantity"}. */
static void
approve_field(OmsReturnLine *line, JsonbContainer *element, const OmsPath *path)
{
	int64		quantity;

	if (!oms_json_int64(element, path, "quantity", 0, line->requested, &quantity))
		oms_error_document(path, "quantity", "a whole number");
	line->approved = (int32) quantity;
}

/* An amount of money that may be 0, as an argument; null is 0.  OM011, OM017. */
static int64
arg_money_or_zero(FunctionCallInfo fcinfo, int n, const char *name, int scale, int64 max)
{
	int64		amount;

	if (PG_ARGISNULL(n))
		return 0;
	amount = oms_numeric_to_scaled(PG_GETARG_DATUM(n), scale, name);
	if (amount < 0 || amount > max)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("%s was given; 0 to %s are allowed.", oms_money_text(amount, scale), oms_money_text(max, scale)),
				 errhint("Leave it out for 0.")));
	return amount;
}

/*
 * decide_return(merchant, return_id, decision, lines, restocking_fee,
 * restocking_percent, refund_shipping, request_key, actor, reason).  Locks the
 * order.  Raises OM002, OM003, OM007, OM008, OM010, OM011, OM017.
 */
Datum
oms_decide_return(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"line", "quantity", NULL};
	int64		return_id = oms_arg_int64(fcinfo, 1, "return_id");
	char	   *decision = oms_arg_text(fcinfo, 2, "decision", OMS_KEY_LENGTH);
	OmsCall		call;
	bool		approve = strcmp(decision, "approve") == 0;
	OmsOrderHead head;
	OmsReturn	ret;
	int64		result;
	int64		fee;
	int64		percent;
	int64		shipping;
	Datum		values[9];

	if (!approve && strcmp(decision, "reject") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"decision\" is out of range"),
				 errdetail("\"%s\" was given.", decision),
				 errhint("Say approve or reject.")));
	if (oms_call_repeated(fcinfo, "decide_return", 7, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, oms_return_order_of(call.merchant, return_id), &head);
	oms_return_load(&head, return_id, &ret);
	oms_return_expire(&head, &ret);
	require_state(&ret, "requested", "requested", "decided", "Request another return.");

	fee = arg_money_or_zero(fcinfo, 4, "restocking_fee", head.exponent, PG_INT64_MAX / 2);
	percent = arg_money_or_zero(fcinfo, 5, "restocking_percent", OMS_PRICE_SCALE, 100 * OMS_PRICE_ONE);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(head.order_id);
	oms_run(&statements[ST_SHIPPING_LEFT], values, NULL);
	shipping = oms_get_money(0, 1, head.exponent);
	if (!PG_ARGISNULL(6))
	{
		int64		left = shipping;

		shipping = arg_money_or_zero(fcinfo, 6, "refund_shipping", head.exponent, PG_INT64_MAX / 2);
		if (shipping > left)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("order " INT64_FORMAT " cannot refund %s %s of shipping", head.order_id,
							oms_money_text(shipping, head.exponent), head.currency),
					 errdetail("Of what was charged for shipping, %s are not refunded yet.", oms_money_text(left, head.exponent)),
					 errhint("Shipping is refunded at most once in total.")));
	}
	else
		shipping = 0;

	if (approve && !PG_ARGISNULL(3))
		oms_return_read_lines(&ret, PG_GETARG_DATUM(3), "lines", allowed, approve_field);
	for (int i = 0; i < ret.nlines; i++)
	{
		OmsReturnLine *line = &ret.lines[i];

		if (approve && PG_ARGISNULL(3))
			line->approved = line->requested;
		if (line->requested == 0)
			continue;
		line->d_requested = line->approved - line->expected;
		line->expected = line->approved;
		line->changed = true;
	}
	oms_return_store(&head, &ret);

	strlcpy(ret.state, approve ? "approved" : "rejected", sizeof(ret.state));
	values[1] = Int64GetDatum(return_id);
	values[2] = CStringGetTextDatum(ret.state);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = CStringGetTextDatum(call.actor);
	values[5] = call.reason != NULL ? CStringGetTextDatum(call.reason) : (Datum) 0;
	values[6] = oms_scaled_to_numeric(fee, head.exponent);
	values[7] = oms_scaled_to_numeric(percent, OMS_PRICE_SCALE);
	values[8] = oms_scaled_to_numeric(shipping, head.exponent);
	oms_run_guarded(&statements[ST_DECIDE], values, call.reason == NULL ? "     n   " : NULL);
	oms_return_event(&head, &ret, "return.decided", call.actor, call.reason);
	oms_call_done(&call, return_id);
	PG_RETURN_INT64(return_id);
}

/* What close_return and cancel_return share: nothing more is expected. */
static void
let_go(OmsReturn *ret)
{
	for (int i = 0; i < ret->nlines; i++)
	{
		OmsReturnLine *line = &ret->lines[i];

		if (line->expected == 0)
			continue;
		line->d_requested = -line->expected;
		line->expected = 0;
		line->changed = true;
	}
}

static Datum
end_return(FunctionCallInfo fcinfo, bool close)
{
	int64		return_id = oms_arg_int64(fcinfo, 1, "return_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsReturn	ret;
	int64		result;

	if (oms_call_repeated(fcinfo, close ? "close_return" : "cancel_return", 2, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, oms_return_order_of(call.merchant, return_id), &head);
	oms_return_load(&head, return_id, &ret);
	if (close)
		require_state(&ret, "received", "received", "closed", "A return nothing of which came is cancelled.");
	else
		require_state(&ret, "requested", "approved", "cancelled", "A return something of which came is closed.");
	let_go(&ret);
	if (close && oms_return_waits(&ret))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("return " INT64_FORMAT " has units to inspect", return_id),
				 errdetail("What came is inspected before a return is closed."),
				 errhint("Use inspect_return().")));
	oms_return_store(&head, &ret);
	oms_return_set_state(&head, &ret, close ? "closed" : "cancelled", true);
	oms_return_event(&head, &ret, "return.closed", call.actor, call.reason);
	oms_call_done(&call, return_id);
	PG_RETURN_INT64(return_id);
}

/*
 * close_return(merchant, return_id, request_key, actor, reason): nothing more
 * of it will come.  Locks the order.  Raises OM002, OM008, OM010.
 */
Datum
oms_close_return(PG_FUNCTION_ARGS)
{
	return end_return(fcinfo, true);
}

/*
 * cancel_return(merchant, return_id, request_key, actor, reason): it will not
 * happen.  Locks the order.  Raises OM002, OM008, OM010.
 */
Datum
oms_cancel_return(PG_FUNCTION_ARGS)
{
	return end_return(fcinfo, false);
}

/*
 * expire_returns(merchant): says in the rows what is true since each expiry.
 * Locks the orders, one after the other in the order of their ids.  Returns
 * how many orders it touched.
 */
Datum
oms_expire_returns(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	Datum		values[2] = {Int32GetDatum(merchant), TimestampTzGetDatum(oms_now())};
	int			n;
	int64	   *orders;

	oms_begin();
	n = (int) oms_run(&statements[ST_DUE], values, NULL);
	orders = palloc(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
		orders[i] = oms_get_int64(i, 1);
	for (int i = 0; i < n; i++)
	{
		OmsOrderHead head;

		CHECK_FOR_INTERRUPTS();
		oms_order_lock(merchant, orders[i], &head);
		oms_return_expire(&head, NULL);
	}
	oms_end();
	PG_RETURN_INT64(n);
}
