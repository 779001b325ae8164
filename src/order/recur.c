/*-------------------------------------------------------------------------
 * recur.c
 *	  Recurring orders: the items of an order placed again once a period.
 *
 *	  Whoever runs a recurrence holds the lock of its row, which knows the next
 *	  period; what became of a period is a row under the period's number. So no
 *	  period has two orders, and one without an order is known by its reason.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/date.h"
#include "utils/memutils.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "order/link.h"
#include "order/place.h"

PG_FUNCTION_INFO_V1(oms_recur_order);
PG_FUNCTION_INFO_V1(oms_set_recurrence);
PG_FUNCTION_INFO_V1(oms_run_recurring);
PG_FUNCTION_INFO_V1(oms_retry_recurrence);

/* How far from today dates may be: far more than anybody means. */
#define MAX_DAYS 36525

enum
{
	ST_TODAY,
	ST_ADD,
	ST_ADVANCE,
	ST_STATE,
	ST_SET,
	ST_CANDIDATES,
	ST_TRY_LOCK,
	ST_NEXT,
	ST_COUNT,
	ST_PERIOD,
	ST_RESULT
};

static OmsStatement statements[] = {
	[ST_TODAY] = {
		"SELECT ($3 AT TIME ZONE c.time_zone)::date FROM oms.sales_order o "
		"JOIN oms.channel c ON c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id WHERE o.merchant_id = $1 AND o.order_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_ADD] = {
		"INSERT INTO oms.recurrence (merchant_id, order_id, made_at, period, every, starts_on, ends_on, at_time, month_day, max_attempts, "
		"retry_minutes, actor, reason, next_period) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, extract(day FROM $6)::int), $10, $11, $12, $13, 0) RETURNING recurrence_id",
		13, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, INT4OID, DATEOID, DATEOID, TIMEOID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID}
	},
	/* The first period neither past nor before the start: near the one that today is in, which division finds. */
	[ST_ADVANCE] = {
		"UPDATE oms.recurrence t SET next_period = greatest(t.next_period, (SELECT min(n) FROM oms.recurrences r, "
		"LATERAL (SELECT ($3 AT TIME ZONE r.time_zone)::date AS day) d, "
		"LATERAL (SELECT greatest(0, CASE r.period WHEN 'daily' THEN d.day - r.starts_on WHEN 'weekly' THEN (d.day - r.starts_on) / 7 "
		"WHEN 'monthly' THEN 12 * (extract(year FROM d.day) - extract(year FROM r.starts_on))::int "
		"+ (extract(month FROM d.day) - extract(month FROM r.starts_on))::int "
		"ELSE (extract(year FROM d.day) - extract(year FROM r.starts_on))::int END / r.every) AS near) e, "
		"generate_series(greatest(e.near - 1, 0), e.near + 2) AS n "
		"WHERE r.merchant_id = $1 AND r.recurrence_id = $2 "
		"AND oms.recurrence_due(r.starts_on, r.period, r.every, r.month_day, r.at_time, r.time_zone, n) "
		">= greatest($3, r.starts_on::timestamp AT TIME ZONE r.time_zone))) "
		"WHERE t.merchant_id = $1 AND t.recurrence_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	/* Waits for who is running it. */
	[ST_STATE] = {
		"SELECT v.state FROM oms.recurrence r JOIN oms.recurrences v ON v.merchant_id = r.merchant_id AND v.recurrence_id = r.recurrence_id "
		"WHERE r.merchant_id = $1 AND r.recurrence_id = $2 FOR NO KEY UPDATE OF r",
		2, {INT4OID, INT8OID}
	},
	[ST_SET] = {
		"UPDATE oms.recurrence SET paused_at = CASE WHEN $4 THEN coalesce(paused_at, $3) WHEN NOT $4 THEN NULL ELSE paused_at END, "
		"ends_on = coalesce($5, ends_on) WHERE merchant_id = $1 AND recurrence_id = $2",
		5, {INT4OID, INT8OID, TIMESTAMPTZOID, BOOLOID, DATEOID}
	},
	[ST_CANDIDATES] = {
		"SELECT recurrence_id FROM oms.recurrences r WHERE merchant_id = $1 AND paused_at IS NULL AND (next_due <= $3 OR EXISTS ("
		"SELECT 1 FROM oms.recurring_order p WHERE p.merchant_id = $1 AND p.recurrence_id = r.recurrence_id AND p.next_attempt_at <= $2)) "
		"ORDER BY next_due, recurrence_id",
		3, {INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[ST_TRY_LOCK] = {
		"SELECT order_id FROM oms.recurrence WHERE merchant_id = $1 AND recurrence_id = $2 AND paused_at IS NULL FOR NO KEY UPDATE SKIP LOCKED",
		2, {INT4OID, INT8OID}
	},
	[ST_NEXT] = {
		"SELECT period_no, due_at FROM oms.recurring_order WHERE merchant_id = $1 AND recurrence_id = $2 AND next_attempt_at <= $3 "
		"UNION ALL SELECT next_period, next_due FROM oms.recurrences WHERE merchant_id = $1 AND recurrence_id = $2 AND next_due <= $4 "
		"ORDER BY period_no LIMIT 1",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[ST_COUNT] = {
		"UPDATE oms.recurrence SET next_period = $3 + 1 WHERE merchant_id = $1 AND recurrence_id = $2 AND next_period = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	/* Waits for who is running it. */
	[ST_PERIOD] = {
		"SELECT r.order_id, p.due_at, p.order_id FROM oms.recurrence r LEFT JOIN oms.recurrence_order p ON p.merchant_id = $1 "
		"AND p.recurrence_id = $2 AND p.period_no = $3 WHERE r.merchant_id = $1 AND r.recurrence_id = $2 FOR NO KEY UPDATE OF r",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_RESULT] = {
		"INSERT INTO oms.recurrence_order AS p (merchant_id, recurrence_id, period_no, due_at, order_id, attempts, attempted_at, "
		"error_code, error_message, error_detail) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9) "
		"ON CONFLICT (merchant_id, recurrence_id, period_no) DO UPDATE SET order_id = excluded.order_id, attempts = p.attempts + 1, "
		"attempted_at = excluded.attempted_at, error_code = excluded.error_code, error_message = excluded.error_message, "
		"error_detail = excluded.error_detail WHERE p.order_id IS NULL",
		9, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID}
	},
};

/* Writes an event of a recurrence; of a refusal with the period and the error's code. */
static void
write_event(int32 merchant, int64 recurrence, const char *type, int32 period_no, const char *code)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	if (code != NULL)
	{
		oms_json_add_text(&json, "code", code);
		oms_json_add_int(&json, "period", period_no);
	}
	oms_json_add_int(&json, "recurrence", recurrence);
	event.merchant = merchant;
	event.subject_type = "recurrence";
	event.subject_id = recurrence;
	event.type = type;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

/* A whole number within limits; OM011. */
static Datum
arg_within(FunctionCallInfo fcinfo, int n, const char *name, int most)
{
	int32		value = oms_arg_int32(fcinfo, n, name);

	if (value < 1 || value > most)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("%d was given; it is from 1 to %d.", value, most)));
	return Int32GetDatum(value);
}

/* A date within a hundred years from now, null as 0; OM011. */
static Datum
arg_date(FunctionCallInfo fcinfo, int n, const char *name, char *null)
{
	DateADT		today = (DateADT) (oms_now() / USECS_PER_DAY);

	*null = PG_ARGISNULL(n) ? 'n' : ' ';
	if (PG_ARGISNULL(n))
		return (Datum) 0;
	if (PG_GETARG_DATEADT(n) < today - MAX_DAYS || PG_GETARG_DATEADT(n) > today + MAX_DAYS)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("It is within a hundred years.")));
	return PG_GETARG_DATUM(n);
}

/* SQL: recur_order(merchant, order_id, period, every, starts_on, ends_on, at_time, month_day, max_attempts, retry_minutes, ...) */
Datum
oms_recur_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *period = oms_arg_text(fcinfo, 2, "period", OMS_KEY_LENGTH);
	char		nulls[14] = "             ";
	Datum		values[13] = {0};
	OmsCall		call;
	int64		result;

	if (strcmp(period, "daily") != 0 && strcmp(period, "weekly") != 0 && strcmp(period, "monthly") != 0 && strcmp(period, "yearly") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("there is no period \"%s\"", period),
				 errhint("Periods are daily, weekly, monthly, yearly.")));
	values[3] = CStringGetTextDatum(period);
	values[4] = arg_within(fcinfo, 3, "every", 1000);
	values[5] = arg_date(fcinfo, 4, "starts_on", &nulls[5]);
	values[6] = arg_date(fcinfo, 5, "ends_on", &nulls[6]);
	oms_arg_require(fcinfo, 6, "at_time");
	values[7] = PG_GETARG_DATUM(6);
	nulls[8] = PG_ARGISNULL(7) ? 'n' : ' ';
	if (!PG_ARGISNULL(7))
		values[8] = arg_within(fcinfo, 7, "month_day", 31);
	values[9] = arg_within(fcinfo, 8, "max_attempts", 1000);
	values[10] = arg_within(fcinfo, 9, "retry_minutes", 525600);
	if (!oms_call_repeated(fcinfo, "recur_order", 10, &call, &result))
	{
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int64GetDatum(order_id);
		values[2] = TimestampTzGetDatum(oms_now());
		if (oms_run(&statements[ST_TODAY], values, NULL) == 0)
			oms_error_unknown("order", call.merchant, order_id);
		if (nulls[5] == 'n')
			values[5] = Int32GetDatum(oms_get_int32(0, 1));
		nulls[5] = ' ';
		if (nulls[6] == ' ' && DatumGetDateADT(values[6]) < DatumGetDateADT(values[5]))
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("argument \"ends_on\" is out of range"),
					 errdetail("It is before the start.")));
		(void) oms_clone_document(call.merchant, order_id, "recurrence");
		values[11] = CStringGetTextDatum(call.actor);
		if (call.reason != NULL)
			values[12] = CStringGetTextDatum(call.reason);
		else
			nulls[12] = 'n';
		oms_run_guarded(&statements[ST_ADD], values, nulls);
		result = oms_get_int64(0, 1);
		values[1] = Int64GetDatum(result);
		oms_run_guarded(&statements[ST_ADVANCE], values, NULL);
		write_event(call.merchant, result, "recurrence.made", 0, NULL);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/* SQL: set_recurrence(merchant, recurrence, paused, ends_on, request_key, actor, reason) */
Datum
oms_set_recurrence(PG_FUNCTION_ARGS)
{
	int64		recurrence = oms_arg_int64(fcinfo, 1, "recurrence");
	char		nulls[6] = "     ";
	Datum		ends_on = arg_date(fcinfo, 3, "ends_on", &nulls[4]);
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "set_recurrence", 4, &call, &result))
	{
		Datum		values[5] = {Int32GetDatum(call.merchant), Int64GetDatum(recurrence), TimestampTzGetDatum(oms_now()), (Datum) 0, ends_on};

		if (oms_run(&statements[ST_STATE], values, NULL) == 0)
			oms_error_unknown("recurrence", call.merchant, recurrence);
		if (strcmp(oms_get_text(0, 1), "active") != 0)
			oms_run_guarded(&statements[ST_ADVANCE], values, NULL);
		if (PG_ARGISNULL(2))
			nulls[3] = 'n';
		else
			values[3] = PG_GETARG_DATUM(2);
		oms_run_guarded(&statements[ST_SET], values, nulls);
		write_event(call.merchant, recurrence, "recurrence.changed", 0, NULL);
		result = recurrence;
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/* An order of a period on its way. */
typedef struct Due
{
	int32		merchant;
	int64		source;
	int64		order_id;
} Due;

/* Places it, and has it refer to its source. */
static void
place_step(void *argument)
{
	Due		   *due = argument;
	const char *actor = oms_current_command()->actor;
	OmsDraft   *draft = oms_draft_from_document(due->merchant, oms_clone_document(due->merchant, due->source, "recurrence"), actor);

	draft->of_batch = true;
	due->order_id = oms_draft_place(draft, NULL, 0);
	oms_order_link(due->merchant, due->source, due->order_id, "recurrence", actor, NULL);
}

/* Places, or tries again, the next due order of a locked recurrence; false when there is none. */
static bool
place_next(Due *due, int64 recurrence, TimestampTz until, ReturnSetInfo *rsinfo)
{
	Datum		values[9] = {Int32GetDatum(due->merchant), Int64GetDatum(recurrence), TimestampTzGetDatum(oms_now()), TimestampTzGetDatum(until)};
	bool		missing[6] = {false};
	char		nulls[10] = "         ";
	Datum		row[6];
	ErrorData  *error;
	int			i;

	if (oms_run(&statements[ST_NEXT], values, NULL) == 0)
		return false;
	values[2] = Int32GetDatum(oms_get_int32(0, 1));
	values[3] = TimestampTzGetDatum(oms_get_int64(0, 2));
	oms_run_guarded(&statements[ST_COUNT], values, NULL);
	error = oms_place_try(CurrentMemoryContext, place_step, due);
	values[5] = TimestampTzGetDatum(oms_now());
	if (error == NULL)
	{
		values[4] = Int64GetDatum(due->order_id);
		nulls[6] = nulls[7] = nulls[8] = 'n';
	}
	else
	{
		nulls[4] = 'n';
		values[6] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
		values[7] = CStringGetTextDatum(error->message);
		if (error->detail != NULL)
			values[8] = CStringGetTextDatum(error->detail);
		else
			nulls[8] = 'n';
	}
	oms_run_guarded(&statements[ST_RESULT], values, nulls);
	if (error != NULL)
		write_event(due->merchant, recurrence, "recurrence.refused", DatumGetInt32(values[2]), unpack_sql_state(error->sqlerrcode));
	for (i = 0; i < 4; i++)
	{
		row[i] = values[i + 1];
		missing[i] = nulls[i + 1] == 'n';
	}
	row[4] = values[6];
	row[5] = values[7];
	missing[4] = missing[5] = error == NULL;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, missing);
	return true;
}

/* SQL: run_recurring(merchant, until, max_orders) */
Datum
oms_run_recurring(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	TimestampTz until = PG_ARGISNULL(1) ? oms_now() : PG_GETARG_TIMESTAMPTZ(1);
	int32		left = DatumGetInt32(arg_within(fcinfo, 2, "max_orders", PG_INT32_MAX));
	Datum		values[3] = {Int32GetDatum(merchant), TimestampTzGetDatum(oms_now()), TimestampTzGetDatum(until)};
	int64	   *recurrences;
	uint64		rows;
	uint64		i;

	if (until > oms_now() + 366 * USECS_PER_DAY)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"until\" is out of range"),
				 errdetail("Orders are placed at most a year ahead.")));
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	oms_command(oms_calling_role(), "a recurring order was due", NULL);
	rows = oms_run(&statements[ST_CANDIDATES], values, NULL);
	recurrences = palloc((rows + 1) * sizeof(int64));
	for (i = 0; i < rows; i++)
		recurrences[i] = oms_get_int64(i, 1);
	for (i = 0; i < rows && left > 0; i++)
	{
		Due			due = {merchant};

		CHECK_FOR_INTERRUPTS();
		values[1] = Int64GetDatum(recurrences[i]);
		/* A connection of its own: SPI keeps the answers of all queries until its end. */
		oms_begin();
		if (oms_run(&statements[ST_TRY_LOCK], values, NULL) > 0)
		{
			due.source = oms_get_int64(0, 1);
			while (left > 0 && place_next(&due, recurrences[i], until, rsinfo))
				left--;
		}
		oms_end();
	}
	oms_end();
	return (Datum) 0;
}

/* SQL: retry_recurrence(merchant, recurrence, period_no, request_key, actor, reason) */
Datum
oms_retry_recurrence(PG_FUNCTION_ARGS)
{
	int64		recurrence = oms_arg_int64(fcinfo, 1, "recurrence");
	int32		period_no = oms_arg_int32(fcinfo, 2, "period_no");
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "retry_recurrence", 3, &call, &result))
	{
		Datum		values[9] = {Int32GetDatum(call.merchant), Int64GetDatum(recurrence), Int32GetDatum(period_no)};
		Due			due = {call.merchant};

		if (oms_run(&statements[ST_PERIOD], values, NULL) == 0)
			oms_error_unknown("recurrence", call.merchant, recurrence);
		if (oms_is_null(0, 2) || !oms_is_null(0, 3))
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("period %d of recurrence " INT64_FORMAT " was not refused", period_no, recurrence),
					 oms_is_null(0, 2) ? errdetail("It was not tried yet.") : errdetail("Order " INT64_FORMAT " was placed for it.", oms_get_int64(0, 3)),
					 errhint("View recurring_order has the periods that were.")));
		due.source = oms_get_int64(0, 1);
		values[3] = TimestampTzGetDatum(oms_get_int64(0, 2));
		place_step(&due);
		result = due.order_id;
		values[4] = Int64GetDatum(result);
		values[5] = TimestampTzGetDatum(oms_now());
		oms_run_guarded(&statements[ST_RESULT], values, "      nnn");
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
