/*-------------------------------------------------------------------------
 * expire.c
 *	  Expiry of unpaid orders.
 *
 *	  An order is expired from its deadline on, by the clock: what needs a live
 *	  order is refused, and a payment that comes meets a cancelled order, whoever
 *	  cancels it first.  Both look at payment and deadline under the order's lock,
 *	  so of a payment and an expiry that race one is first and decides.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/cache.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "order/expire.h"

PG_FUNCTION_INFO_V1(oms_expire_orders);
PG_FUNCTION_INFO_V1(oms_set_payment_deadline);

enum
{
	ST_POLICIES,
	ST_OVERDUE,
	ST_CANDIDATES,
	ST_TRY_LOCK,
	ST_EXPIRED,
	ST_HAS_EXPIRED,
	ST_HAS_POLICY,
	ST_SET_DEADLINE
};

static OmsStatement statements[] = {
	[ST_POLICIES] = {"SELECT count(*) FROM oms.unpaid_policy", 0, {0}},
	[ST_OVERDUE] = {
		"SELECT deadline FROM oms.unpaid_order WHERE merchant_id = $1 AND order_id = $2 AND deadline <= $3",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_CANDIDATES] = {
		"SELECT order_id, deadline FROM oms.unpaid_order WHERE merchant_id = $1 AND deadline <= $2 "
		"AND placed_at <= $2 AND placed_at >= $2 - $3 "
		"UNION SELECT u.order_id, u.deadline FROM oms.order_deadline d JOIN oms.unpaid_order u "
		"ON u.merchant_id = d.merchant_id AND u.order_id = d.order_id "
		"WHERE d.merchant_id = $1 AND d.deadline <= $2 AND d.expired_at IS NULL ORDER BY 2, 1 LIMIT $4",
		4, {INT4OID, TIMESTAMPTZOID, INTERVALOID, INT4OID}
	},
	[ST_TRY_LOCK] = {
		"SELECT 1 FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2 FOR NO KEY UPDATE SKIP LOCKED", 2, {INT4OID, INT8OID}
	},
	[ST_EXPIRED] = {
		"INSERT INTO oms.order_deadline (merchant_id, order_id, deadline, expired_at) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (merchant_id, order_id) DO UPDATE SET expired_at = excluded.expired_at",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[ST_HAS_EXPIRED] = {
		"SELECT 1 FROM oms.order_deadline WHERE merchant_id = $1 AND order_id = $2 AND expired_at IS NOT NULL", 2, {INT4OID, INT8OID}
	},
	[ST_HAS_POLICY] = {
		"SELECT 1 FROM oms.sales_order o JOIN oms.unpaid_policy p ON p.merchant_id = o.merchant_id "
		"AND p.channel_id IN (o.channel_id, 0) AND p.valid_from <= o.placed_at "
		"WHERE o.merchant_id = $1 AND o.order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_SET_DEADLINE] = {
		"INSERT INTO oms.order_deadline (merchant_id, order_id, deadline) VALUES ($1, $2, $3) "
		"ON CONFLICT (merchant_id, order_id) DO UPDATE SET deadline = excluded.deadline",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
};

static OmsCache cache = {
	.name = "unpaid policy",
	.tables = {"unpaid_policy"},
};

/* Whether orders expire here at all: most shops ask no more than this. */
static bool
is_used(void)
{
	/* No data: reading it failed the last time. */
	while (!oms_cache_fresh(&cache) || cache.data == NULL)
	{
		bool	   *used = MemoryContextAlloc(cache.context, sizeof(bool));

		oms_begin();
		oms_run(&statements[ST_POLICIES], NULL, NULL);
		*used = oms_get_int64(0, 1) > 0;
		oms_end();
		cache.data = used;
	}
	return *(bool *) cache.data;
}

/*
 * The deadline by which the locked order has expired; false when it has not.
 * Reads as of now, also in a transaction that is to see an old snapshot.
 */
static bool
overdue(const OmsOrderHead *head, TimestampTz *deadline)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), TimestampTzGetDatum(oms_now())};

	if (strcmp(head->lifecycle, "cancelled") == 0 || strcmp(head->lifecycle, "completed") == 0 || !is_used())
		return false;
	if (oms_run_latest(&statements[ST_OVERDUE], values, NULL) == 0)
		return false;
	*deadline = oms_get_int64(0, 1);
	return true;
}

bool
oms_order_is_overdue(const OmsOrderHead *head)
{
	TimestampTz deadline;

	return overdue(head, &deadline);
}

void
oms_order_require_unexpired(const OmsOrderHead *head, const char *doing)
{
	TimestampTz deadline;

	if (overdue(head, &deadline))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " has expired unpaid", head->order_id),
				 errdetail("It was to be paid before %s; %s needs a live order.", timestamptz_to_str(deadline), doing),
				 errhint("Place it anew. expire_orders() gives its stock back.")));
}

bool
oms_order_has_expired(const OmsOrderHead *head)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};

	return oms_run(&statements[ST_HAS_EXPIRED], values, NULL) > 0;
}

/* Cancels the locked order for its deadline. */
static void
expire(const OmsOrderHead *head, TimestampTz deadline)
{
	Datum		values[4] = {
		Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), TimestampTzGetDatum(deadline), TimestampTzGetDatum(oms_now())
	};
	OmsJson		json;

	oms_run_guarded(&statements[ST_EXPIRED], values, NULL);
	oms_json_begin(&json);
	oms_json_add_timestamp(&json, "deadline", deadline);
	oms_event_of_order(head->merchant, head->order_id, "order.expired", NULL, NULL, oms_json_end(&json));
	oms_order_cancel(head, "oms", "the order expired unpaid");
}

void
oms_order_expire_if_overdue(OmsOrderHead *head)
{
	TimestampTz deadline;

	if (!overdue(head, &deadline))
		return;
	expire(head, deadline);
	oms_order_lock(head->merchant, head->order_id, head);
}

/* SQL: expire_orders(merchant, max_orders, look_back) */
Datum
oms_expire_orders(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	int32		most = oms_arg_int32(fcinfo, 1, "max_orders");
	Datum		values[4] = {Int32GetDatum(merchant), TimestampTzGetDatum(oms_now()), (Datum) 0, Int32GetDatum(most)};
	int64	   *orders;
	uint64		rows;
	uint64		i;

	oms_arg_require(fcinfo, 2, "look_back");
	values[2] = PG_GETARG_DATUM(2);
	if (most <= 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"max_orders\" is out of range"),
				 errdetail("%d was given; at least 1 order is looked at.", most)));
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	oms_command(oms_calling_role(), "the order expired unpaid", NULL);
	rows = is_used() ? oms_run(&statements[ST_CANDIDATES], values, NULL) : 0;
	orders = palloc((rows + 1) * sizeof(int64));
	for (i = 0; i < rows; i++)
		orders[i] = oms_get_int64(i, 1);
	for (i = 0; i < rows; i++)
	{
		bool		nulls[2] = {false};
		Datum		row[2] = {Int64GetDatum(orders[i])};
		OmsOrderHead head;
		TimestampTz deadline;

		CHECK_FOR_INTERRUPTS();
		values[1] = row[0];
		if (oms_run(&statements[ST_TRY_LOCK], values, NULL) == 0)
			continue;
		oms_order_lock(merchant, orders[i], &head);
		/* It may have been paid until it was locked. */
		if (!overdue(&head, &deadline))
			continue;
		expire(&head, deadline);
		row[1] = TimestampTzGetDatum(deadline);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	oms_end();
	return (Datum) 0;
}

/* SQL: set_payment_deadline(merchant, order_id, deadline, request_key, actor, reason) */
Datum
oms_set_payment_deadline(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	bool		never = PG_ARGISNULL(2);
	OmsCall		call;
	OmsOrderHead head;
	int64		result;

	if (!never && TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(2)))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"deadline\" is out of range"),
				 errdetail("It is infinite."),
				 errhint("Null is no deadline.")));
	if (!oms_call_repeated(fcinfo, "set_payment_deadline", 3, &call, &result))
	{
		Datum		values[3] = {Int32GetDatum(call.merchant), Int64GetDatum(order_id), never ? (Datum) 0 : PG_GETARG_DATUM(2)};
		OmsJson		json;

		oms_order_lock(call.merchant, order_id, &head);
		if (strcmp(head.lifecycle, "cancelled") == 0 || strcmp(head.lifecycle, "completed") == 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("order " INT64_FORMAT " is %s", order_id, head.lifecycle),
					 errhint("It needs no deadline any more.")));
		oms_order_require_unexpired(&head, "a deadline");
		if (oms_run(&statements[ST_HAS_POLICY], values, NULL) == 0)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("orders of channel %d do not expire", head.channel),
					 errdetail("No row of oms.unpaid_policy was in force when order " INT64_FORMAT " was placed.", order_id),
					 errhint("Insert one; its minutes may be null.")));
		oms_run_guarded(&statements[ST_SET_DEADLINE], values, never ? "  n" : NULL);
		oms_json_begin(&json);
		if (!never)
			oms_json_add_timestamp(&json, "deadline", PG_GETARG_TIMESTAMPTZ(2));
		oms_event_of_order(call.merchant, order_id, "order.deadline_set", NULL, NULL, oms_json_end(&json));
		result = order_id;
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
