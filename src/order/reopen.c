/*-------------------------------------------------------------------------
 * reopen.c
 *	  A closed order goes on: units that were cancelled are ordered again, at
 *	  the figures they had, with promises of their own.
 *
 *	  What an order is follows from its units, so none is reopened without
 *	  some: a cancelled order is placed again, a completed one is confirmed.
 */
#include "core/oms.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/money.h"
#include "core/request.h"
#include "fulfilment/fulfilment.h"
#include "order/hold_rule.h"
#include "order/order.h"
#include "order/reopen.h"
#include "order/sourcing.h"
#include "payment/credit_limit.h"

PG_FUNCTION_INFO_V1(oms_reopen_order);

enum
{
	ST_TAKEN,
	ST_OBSTACLE,
	ST_WORTH,
	ST_RESTORE,
	ST_NOTE,
	ST_DEADLINE,
	ST_TOLD
};

static OmsStatement statements[] = {
	/* The units of the last cancellation. */
	[ST_TAKEN] = {
		"SELECT coalesce(lines, ARRAY[line_no]), coalesce(quantities, ARRAY[quantity]) FROM oms.order_cancellation "
		"WHERE merchant_id = $1 AND order_id = $2 AND coalesce(line_no, lines[1]) IS NOT NULL "
		"ORDER BY cancelled_at DESC, cancellation_id DESC LIMIT 1",
		2, {INT4OID, INT8OID}
	},
	[ST_OBSTACLE] = {
		"SELECT CASE WHEN o.lifecycle NOT IN ('cancelled', 'completed') THEN format('the order is %s', o.lifecycle) "
		"ELSE coalesce((SELECT format('it was merged into order %s', k.target_id) FROM oms.order_link k "
		" WHERE k.merchant_id = $1 AND k.source_id = $2 AND k.kind = 'merge'), "
		"CASE WHEN $3 IS NULL THEN 'no cancellation is there to take back' END, "
		"(SELECT format('of line %s %s units are cancelled, not %s', u.line, coalesce(l.cancelled, 0), u.quantity) FROM unnest($3, $4) u (line, quantity) "
		" LEFT JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = u.line "
		" WHERE u.quantity > coalesce(l.cancelled, 0) ORDER BY u.line LIMIT 1), "
		"(SELECT format('the units of line %s that stayed took the discount of those cancelled', c.line_no) FROM oms.order_cancellation c "
		" WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = ANY ($3) AND c.discount_policy = 'keep' LIMIT 1), "
		"(SELECT format('line %s was invoiced and credited', i.line_no) FROM oms.invoiced i "
		" WHERE i.merchant_id = $1 AND i.order_id = $2 AND i.line_no = ANY ($3) AND i.credited <> 0 LIMIT 1)) END "
		"FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2",
		4, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID}
	},
	/* What comes back is worth, charges too where all was cancelled. */
	[ST_WORTH] = {
		"SELECT coalesce(sum(oms.units_share(l.total, l.ordered, l.ordered - l.cancelled, l.ordered - l.cancelled + u.quantity, $5)), 0) "
		"+ coalesce(sum(c.total), 0), "
		"coalesce(sum(oms.units_share(l.tax, l.ordered, l.ordered - l.cancelled, l.ordered - l.cancelled + u.quantity, $5)), 0) "
		"+ coalesce(sum(c.tax), 0) "
		"FROM unnest($3, $4) u (line, quantity) JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = u.line "
		"LEFT JOIN LATERAL (SELECT sum(c.total) AS total, sum(c.tax) AS tax FROM oms.order_charge c "
		" WHERE c.merchant_id = $1 AND c.order_id = $2 AND $6 AND l.line_no = ($3)[1]) c ON true",
		6, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, TEXTOID, BOOLOID}
	},
	[ST_RESTORE] = {
		"UPDATE oms.order_line l SET cancelled = l.cancelled - u.quantity FROM unnest($3, $4) u (line, quantity) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = u.line",
		4, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_NOTE] = {
		"INSERT INTO oms.order_reopening (merchant_id, order_id, reopened_at, lifecycle_before, lines, quantities, amount, tax, actor, reason) "
		"VALUES ($1, $2, $5, $6, $3, $4, $7, $8, $9, $10) RETURNING reopening_id",
		10, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, TIMESTAMPTZOID, TEXTOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID}
	},
	/* It has as long to be paid as a new one. */
	[ST_DEADLINE] = {
		"INSERT INTO oms.order_deadline AS d (merchant_id, order_id, deadline) "
		"SELECT $1, $2, $3 + p.minutes * interval '1 minute' FROM oms.sales_order o CROSS JOIN LATERAL ("
		" SELECT p.minutes FROM oms.unpaid_policy p WHERE p.merchant_id = $1 AND p.channel_id IN (o.channel_id, 0) "
		" AND p.valid_from <= o.placed_at ORDER BY p.channel_id DESC, p.valid_from DESC LIMIT 1) p "
		"WHERE o.merchant_id = $1 AND o.order_id = $2 "
		"ON CONFLICT (merchant_id, order_id) DO UPDATE SET deadline = excluded.deadline, expired_at = NULL",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	/* The next cancellation is another fact to tell. */
	[ST_TOLD] = {
		"UPDATE oms.message SET fact = 'cancelled before reopening ' || $3 "
		"WHERE merchant_id = $1 AND order_id = $2 AND kind = 'cancellation' AND fact = 'cancelled'",
		3, {INT4OID, INT8OID, INT8OID}
	},
};

/* Names the units, in $3 and $4 of values, null where there are none. */
static void
units_taken(Datum *values, char *nulls)
{
	bool		isnull;

	if (oms_run(&statements[ST_TAKEN], values, NULL) == 0)
	{
		nulls[2] = nulls[3] = 'n';
		return;
	}
	values[2] = PointerGetDatum(PG_DETOAST_DATUM_COPY(oms_get(0, 1, &isnull)));
	values[3] = PointerGetDatum(PG_DETOAST_DATUM_COPY(oms_get(0, 2, &isnull)));
}

char *
oms_reopen_obstacle(int32 merchant, int64 order_id)
{
	Datum		values[4] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	char		nulls[4] = {' ', ' ', ' ', ' '};

	units_taken(values, nulls);
	return oms_run(&statements[ST_OBSTACLE], values, nulls) == 0 ? NULL : oms_get_text(0, 1);
}

/* Refuses (42501) a caller without the role that the setting names. */
static void
require_right(const OmsOrderHead *head)
{
	const char *role = oms_setting(head->merchant, head->channel, "reopen_role");

	if (role[0] != '\0' && !oms_caller_has(role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not reopen order " INT64_FORMAT, oms_calling_role(), head->order_id),
				 errdetail("Members of role \"%s\" may.", role),
				 errhint("Ask one of them, or have the role granted.")));
}

/* Brings the units back, and keeps that they came. */
static void
restore(const OmsOrderHead *head, const OmsCall *call, Datum *units)
{
	Datum		values[10] = {units[0], units[1], units[2], units[3], CStringGetTextDatum(head->currency)};
	char		nulls[10 + 1] = "          ";

	values[5] = BoolGetDatum(strcmp(head->lifecycle, "cancelled") == 0);
	oms_run(&statements[ST_WORTH], values, NULL);
	values[6] = oms_scaled_to_numeric(oms_get_money(0, 1, head->exponent), head->exponent);
	values[7] = oms_scaled_to_numeric(oms_get_money(0, 2, head->exponent), head->exponent);
	oms_run_guarded(&statements[ST_RESTORE], units, NULL);
	values[4] = TimestampTzGetDatum(oms_now());
	values[5] = CStringGetTextDatum(head->lifecycle);
	values[8] = CStringGetTextDatum(call->actor);
	values[9] = CStringGetTextDatum(call->reason);
	oms_run_guarded(&statements[ST_NOTE], values, nulls);
	values[2] = Int64GetDatum(oms_get_int64(0, 1));
	oms_run_guarded(&statements[ST_TOLD], values, NULL);
	values[2] = TimestampTzGetDatum(oms_now());
	oms_run_guarded(&statements[ST_DEADLINE], values, NULL);
}

/* Promises for what came back, unless it waits for its time as before; OM001 where a strict order does not get all. */
static void
promise(const OmsOrderHead *head, const char *allocation)
{
	bool		backorder = strcmp(allocation, "backorder") == 0;
	int32		missing;

	if (strcmp(allocation, "none") == 0 || oms_reserve_waits(head->merchant, head->order_id))
		return;
	(void) oms_reserve_units(head, 0, backorder, &missing);
	if (missing > 0 && !backorder)
		ereport(ERROR,
				(errcode(OMS_SHORTAGE),
				 errmsg("not enough stock to reopen order " INT64_FORMAT, head->order_id),
				 errdetail("%d units are missing.", missing),
				 errhint("Reopen fewer units, wait for a receipt, or let it wait for stock: allocation backorder.")));
}

/* Argument n: strict, backorder or none; null: the channel's setting. */
static const char *
arg_allocation(FunctionCallInfo fcinfo, int n, const OmsOrderHead *head)
{
	const char *allocation = oms_arg_text_or_null(fcinfo, n, "allocation", OMS_KEY_LENGTH);

	if (allocation == NULL)
		return oms_setting(head->merchant, head->channel, "allocation");
	if (strcmp(allocation, "strict") != 0 && strcmp(allocation, "backorder") != 0 && strcmp(allocation, "none") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"allocation\" cannot be \"%s\"", allocation),
				 errdetail("Allowed: strict, backorder, none.")));
	return allocation;
}

/* SQL: reopen_order(merchant, order_id, lines, allocation, request_key, actor, reason) */
Datum
oms_reopen_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	int64		result;

	oms_arg_require(fcinfo, 6, "reason");
	if (!oms_call_repeated(fcinfo, "reopen_order", 4, &call, &result))
	{
		Datum		units[4] = {Int32GetDatum(call.merchant), Int64GetDatum(order_id)};
		char		nulls[4] = {' ', ' ', ' ', ' '};
		const char *allocation;
		char	   *obstacle;

		oms_order_lock(call.merchant, order_id, &head);
		require_right(&head);
		oms_order_require_no_hold(&head, "edit");
		allocation = pstrdup(arg_allocation(fcinfo, 3, &head));
		if (PG_ARGISNULL(2))
			units_taken(units, nulls);
		else
		{
			int			n;
			OmsUnits   *given = oms_units_document(PG_GETARG_JSONB_P(2), &n);

			units[2] = oms_units_lines(given, n);
			units[3] = oms_units_quantities(given, n);
		}
		oms_run(&statements[ST_OBSTACLE], units, nulls);
		obstacle = oms_get_text(0, 1);
		if (obstacle != NULL)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("order " INT64_FORMAT " cannot be reopened", order_id),
					 errdetail("Reason: %s.", obstacle),
					 errhint("clone_order() places its items once more.")));
		restore(&head, &call, units);
		oms_order_move(&head, strcmp(head.lifecycle, "cancelled") == 0 ? "placed" : "confirmed", false, call.actor, call.reason, call.key);
		oms_order_refresh(call.merchant, order_id);
		oms_order_lock(call.merchant, order_id, &head);
		promise(&head, allocation);
		if (oms_orders_are_judged(call.merchant))
			(void) oms_order_judge(call.merchant, order_id, call.actor);
		oms_order_lock(call.merchant, order_id, &head);
		(void) oms_credit_recheck(&head, call.actor);
		oms_order_confirm_if_free(call.merchant, order_id, call.actor);
		result = order_id;
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
