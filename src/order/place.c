/*-------------------------------------------------------------------------
 * place.c
 *	  place_order() and what belongs to it: one order a call.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "storage/proc.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"

#include "core/json.h"
#include "core/request.h"
#include "order/draft.h"
#include "order/order.h"
#include "order/place.h"

PG_FUNCTION_INFO_V1(oms_place_order_document);
PG_FUNCTION_INFO_V1(oms_place_order_arrays);

/* How many references one transaction locks: the table of locks is everybody's, and small. */
#define MAX_REFERENCE_LOCKS 32

enum
{
	ST_BY_REFERENCE
};

static OmsStatement statements[] = {
	[ST_BY_REFERENCE] = {
		"SELECT order_id, NULL::bigint FROM oms.sales_order WHERE merchant_id = $1 AND channel_id = $2 AND external_ref = $3 "
		"UNION ALL SELECT NULL, hold_id FROM oms.stock_hold WHERE merchant_id = $1 AND channel_id = $2 AND external_ref = $3",
		3, {INT4OID, INT4OID, TEXTOID}
	},
};

int64
oms_draft_existing(OmsDraft *draft)
{
	Datum		values[3];
	uint64		rows;
	uint64		row;
	int64	   *holds;

	if (draft->external_ref == NULL)
		return 0;
	values[0] = Int32GetDatum(draft->merchant);
	values[1] = Int32GetDatum(draft->channel);
	values[2] = CStringGetTextDatum(draft->external_ref);
	rows = oms_run(&statements[ST_BY_REFERENCE], values, NULL);
	for (row = 0; row < rows; row++)
		if (!oms_is_null(row, 1))
			return oms_get_int64(row, 1);
	if (rows == 0)
		return 0;
	holds = palloc((draft->nholds + rows) * sizeof(int64));
	if (draft->nholds > 0)
		memcpy(holds, draft->holds, draft->nholds * sizeof(int64));
	for (row = 0; row < rows; row++)
		holds[draft->nholds++] = oms_get_int64(row, 2);
	draft->holds = holds;
	return 0;
}

/*
 * Claims the request key with the id that the order will have, drawn first so
 * that the key's row need not be written twice.  True when the key was used
 * before: *order_id is then the first call's.
 */
static bool
is_repeated(FunctionCallInfo fcinfo, int key_argument, int32 merchant, const char *key, int64 *order_id)
{
	*order_id = 0;
	if (key == NULL)
		return false;
	*order_id = oms_next_order_id();
	return oms_request_claim(merchant, key, "place_order", oms_hash_arguments(fcinfo, key_argument), order_id);
}

/*
 * Waits for another session that is placing the same external reference, so
 * that its order is seen here before stock is asked for again.  The unique
 * index decides; this only spares a refusal for want of the units that the
 * very same order has just taken.  So a transaction of many orders does it for
 * the first ones alone.
 */
static void
wait_for_reference(const OmsDraft *draft)
{
	static LocalTransactionId transaction = InvalidLocalTransactionId;
	static int	locks = 0;
	uint64		hash = oms_hash_text(oms_hash_int64(oms_hash_int64(0, draft->merchant), draft->channel), draft->external_ref);

	if (transaction != OMS_LOCAL_TRANSACTION)
	{
		transaction = OMS_LOCAL_TRANSACTION;
		locks = 0;
	}
	if (locks++ >= MAX_REFERENCE_LOCKS)
		return;
	(void) DirectFunctionCall1(pg_advisory_xact_lock_int8, Int64GetDatum((int64) hash));
}

/*
 * Places one draft under the id that its request key claimed (0: none);
 * returns the order's id, which is the first one's when the external reference
 * was there before.
 */
int64
oms_draft_place(OmsDraft *draft, const char *key, int64 claimed)
{
	int64		order_id;

	draft->order_id = claimed;
	if (draft->external_ref != NULL)
		wait_for_reference(draft);
	order_id = oms_draft_existing(draft);
	if (order_id == 0)
	{
		oms_draft_resolve(draft);
		oms_draft_admit(draft);
		oms_draft_write(&draft, 1);
		if (!draft->repeated)
			return draft->order_id;
		order_id = oms_draft_existing(draft);
	}
	if (key != NULL)
		oms_request_done(draft->merchant, key, order_id);
	return order_id;
}

/* SQL: place_order(merchant, document, request_key, actor) */
Datum
oms_place_order_document(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *key = oms_arg_text_or_null(fcinfo, 2, "request_key", OMS_KEY_LENGTH);
	const char *actor = oms_actor(fcinfo, 3);
	int64		order_id;

	oms_arg_require(fcinfo, 1, "document");
	oms_begin();
	oms_command(actor, NULL, key);
	if (!is_repeated(fcinfo, 2, merchant, key, &order_id))
		order_id = oms_draft_place(oms_draft_from_document(merchant, PG_GETARG_DATUM(1), actor), key, order_id);
	oms_end();
	PG_RETURN_INT64(order_id);
}

/* The arrays side by side into lines; OM011 when they do not fit. */
static void
read_arrays(OmsDraft *draft, ArrayType *items, ArrayType *quantities)
{
	int			n = ArrayGetNItems(ARR_NDIM(items), ARR_DIMS(items));
	int64	   *item = (int64 *) ARR_DATA_PTR(items);
	int32	   *quantity = (int32 *) ARR_DATA_PTR(quantities);
	int			i;

	if (ARR_NDIM(items) != 1 || ARR_NDIM(quantities) != 1 || ARR_HASNULL(items) || ARR_HASNULL(quantities) ||
		n != ArrayGetNItems(1, ARR_DIMS(quantities)) || n > OMS_MAX_LINES)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("arguments \"items\" and \"quantities\" do not fit together"),
				 errdetail("They are arrays of one dimension, of the same length from 1 to %d, without nulls.", OMS_MAX_LINES)));
	draft->nlines = n;
	draft->lines = palloc0(n * sizeof(OmsDraftLine));
	for (i = 0; i < n; i++)
	{
		if (item[i] <= 0 || quantity[i] <= 0 || quantity[i] > OMS_MAX_QUANTITY)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("line %d is out of range", i + 1),
					 errdetail("Item " INT64_FORMAT ", quantity %d; quantities go from 1 to %d.",
							   item[i], quantity[i], OMS_MAX_QUANTITY)));
		draft->lines[i].item = item[i];
		draft->lines[i].quantity = quantity[i];
	}
}

/* SQL: place_order(merchant, channel, customer, items, quantities, request_key, ship_to, external_ref) */
Datum
oms_place_order_arrays(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int32		channel = oms_arg_int32(fcinfo, 1, "channel");
	char	   *key = oms_arg_text_or_null(fcinfo, 5, "request_key", OMS_KEY_LENGTH);
	OmsDraft   *draft;
	int64		order_id;

	oms_arg_require(fcinfo, 3, "items");
	oms_arg_require(fcinfo, 4, "quantities");
	oms_begin();
	oms_command(oms_calling_role(), NULL, key);
	if (!is_repeated(fcinfo, 5, merchant, key, &order_id))
	{
		draft = oms_draft_new(merchant, channel, oms_calling_role());
		draft->external_ref = oms_arg_text_or_null(fcinfo, 7, "external_ref", OMS_KEY_LENGTH);
		draft->customer_id = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
		if (!PG_ARGISNULL(6))
		{
			oms_draft_check_address(PG_GETARG_DATUM(6), "ship_to");
			draft->ship_to = PG_GETARG_DATUM(6);
		}
		read_arrays(draft, PG_GETARG_ARRAYTYPE_P(3), PG_GETARG_ARRAYTYPE_P(4));
		order_id = oms_draft_place(draft, key, order_id);
	}
	oms_end();
	PG_RETURN_INT64(order_id);
}
