/*-------------------------------------------------------------------------
 * condition.c
 *	  Shipped only when paid: the money of an order lets it be picked and
 *	  shipped, or not.  View payment_standing decides anew at each step, so
 *	  that what waits goes on the moment money is there, and nothing drifts.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/xact.h"

#include "core/cache.h"
#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"
#include "payment/condition.h"

PG_FUNCTION_INFO_V1(oms_awaits_payment);

enum
{
	ST_MERCHANTS,
	ST_WAITS,
	ST_WAIVE
};

static OmsStatement statements[] = {
	[ST_MERCHANTS] = {
		"SELECT m.merchant_id FROM oms.merchant m "
		"WHERE EXISTS (SELECT FROM oms.payment_condition c WHERE c.merchant_id = m.merchant_id) "
		"OR EXISTS (SELECT FROM oms.payment_term_part t WHERE t.merchant_id = m.merchant_id AND t.required_before IS NOT NULL) "
		"OR EXISTS (SELECT FROM oms.order_term_part t WHERE t.merchant_id = m.merchant_id AND t.required_before IS NOT NULL)",
		0, {0}
	},
	[ST_WAITS] = {
		"SELECT reason FROM oms.payment_standing WHERE merchant_id = $1 AND order_id = $2 AND blocks @> ARRAY[$3]",
		3, {INT4OID, INT8OID, TEXTOID}
	},
	[ST_WAIVE] = {
		"INSERT INTO oms.payment_waiver (merchant_id, order_id, waived_at, waived_by, waived_role, reason) VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID}
	},
};

/* The merchants that have rules; data is null when none has. */
typedef struct Merchants
{
	int			n;
	int32		merchants[FLEXIBLE_ARRAY_MEMBER];
} Merchants;

static OmsCache cache = {
	.name = "payment conditions",
	.tables = {"payment_condition", "payment_term_part"},
};

bool
oms_payment_has_conditions(int32 merchant)
{
	const Merchants *known;
	int			i;

	if (unlikely(!oms_cache_fresh(&cache)))
	{
		uint64		rows;
		Merchants  *loaded = NULL;

		oms_begin();
		rows = oms_run(&statements[ST_MERCHANTS], NULL, NULL);
		if (rows > 0)
		{
			loaded = MemoryContextAlloc(cache.context, offsetof(Merchants, merchants) + rows * sizeof(int32));
			for (loaded->n = 0; loaded->n < (int) rows; loaded->n++)
				loaded->merchants[loaded->n] = oms_get_int32(loaded->n, 1);
		}
		oms_end();
		cache.data = loaded;
	}
	known = cache.data;
	if (likely(known == NULL))
		return false;
	for (i = 0; i < known->n; i++)
		if (known->merchants[i] == merchant)
			return true;
	return false;
}

/*
 * Whether the step waits, as of now: what others did to the order's payments
 * before the order was locked counts, whatever this transaction may see.
 */
static bool
waits(int32 merchant, int64 order_id, const char *step)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(order_id), CStringGetTextDatum(step)};

	return oms_run_latest(&statements[ST_WAITS], values, NULL) > 0;
}

void
oms_payment_require(int32 merchant, int64 order_id, const char *step)
{
	if (oms_payment_has_conditions(merchant) && waits(merchant, order_id, step))
		ereport(ERROR,
				(errcode(OMS_ON_HOLD),
				 errmsg("step \"%s\" of order " INT64_FORMAT " waits for payment", step, order_id),
				 errdetail("%s.", oms_get_text(0, 1)),
				 errhint("It goes on by itself once the money is there: see explain_payment(). release_hold() with kind \"%s\" lets it through.",
						 OMS_PAYMENT_HOLD)));
}

bool
oms_payment_waive(const OmsOrderHead *head, const char *actor, const char *reason)
{
	Datum		values[6];
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};
	OmsJson		json;

	if (!oms_payment_has_conditions(head->merchant) || !waits(head->merchant, head->order_id, "ship"))
		return false;
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = TimestampTzGetDatum(oms_now());
	values[3] = CStringGetTextDatum(actor);
	values[4] = CStringGetTextDatum(oms_calling_role());
	if (reason != NULL)
		values[5] = CStringGetTextDatum(reason);
	else
		nulls[5] = 'n';
	oms_run_guarded(&statements[ST_WAIVE], values, nulls);
	oms_json_begin(&json);
	oms_json_add_text(&json, "kind", OMS_PAYMENT_HOLD);
	oms_json_add_text(&json, "role", oms_calling_role());
	oms_event_of_order(head->merchant, head->order_id, "order.released", actor, reason, oms_json_end(&json));
	return true;
}

/* SQL: awaits_payment(merchant, order_id, step) */
Datum
oms_awaits_payment(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *step = oms_arg_text(fcinfo, 2, "step", OMS_KEY_LENGTH);
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(order_id), CStringGetTextDatum(step)};
	bool		result;

	if (!oms_payment_has_conditions(merchant))
		PG_RETURN_BOOL(false);
	oms_begin();
	result = oms_run(&statements[ST_WAITS], values, NULL) > 0;
	oms_end();
	PG_RETURN_BOOL(result);
}
