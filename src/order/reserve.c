/*-------------------------------------------------------------------------
 * reserve.c
 *	  Stock for orders that are there: asked for when they are confirmed, by
 *	  hand, when their ship date comes near, or again after a short pick.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "core/rows.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "inventory/supply.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_reserve);
PG_FUNCTION_INFO_V1(oms_reserve_due);
PG_FUNCTION_INFO_V1(oms_set_ship_date);

/* Columns in the order of sql/schema/30_inventory.sql and 42_sourcing.sql. */
enum
{
	RES_MERCHANT = 1, RES_LOCATION, RES_ITEM, RES_ID, RES_ORDER, RES_LINE, RES_QUANTITY
};
enum
{
	S_MERCHANT = 1, S_ORDER, S_SHIP_AT, S_RESERVE, S_DAYS, S_ALLOCATION, S_DUE_AT, S_RESERVED_AT
};

enum
{
	ST_SHIP_TO,
	ST_LINES,
	ST_PARTS,
	ST_USED,
	ST_NUMBER,
	ST_PROMISE,
	ST_COUNT,
	ST_SCHEDULE,
	ST_WAITS,
	ST_RESERVED,
	ST_SET_SHIP_DATE,
	ST_DROP_CLOSED,
	ST_DUE,
	ST_ASKED,
	ST_EXCLUDE
};

static OmsStatement statements[] = {
	[ST_SHIP_TO] = {"SELECT ship_to FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}},
	[ST_LINES] = {
		"SELECT l.line_no, l.item_id, l.sku, i.kind, l.ordered - l.cancelled, l.ordered - l.cancelled - l.shipped - l.allocated, "
		"l.backordered FROM oms.order_line l JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = l.item_id "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 ORDER BY l.line_no",
		2, {INT4OID, INT8OID}
	},
	[ST_PARTS] = {
		"SELECT line_no, item_id, per_unit FROM oms.order_line_component WHERE merchant_id = $1 AND order_id = $2 ORDER BY 1, 2",
		2, {INT4OID, INT8OID}
	},
	[ST_USED] = {
		"SELECT line_no, location_id FROM oms.reservation WHERE merchant_id = $1 AND order_id = $2 UNION "
		"SELECT fl.line_no, f.location_id FROM oms.fulfilment f JOIN oms.fulfilment_line fl ON fl.merchant_id = $1 "
		"AND fl.order_id = $2 AND fl.fulfilment_id = f.fulfilment_id WHERE f.merchant_id = $1 AND f.order_id = $2 AND fl.shipped > 0 "
		"ORDER BY 1, 2",
		2, {INT4OID, INT8OID}
	},
	[ST_NUMBER] = {
		"SELECT coalesce(max(sourcing_id), 0) + 1 FROM oms.sourcing WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_PROMISE] = {
		"INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) "
		"SELECT merchant_id, location_id, item_id, order_id, line_no, quantity FROM unnest($1)",
		1, {0}
	},
	[ST_COUNT] = {
		"UPDATE oms.order_line l SET allocated = l.allocated + v.allocated, backordered = v.backordered "
		"FROM unnest($3::int[], $4::int[], $5::int[]) v(line_no, allocated, backordered) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no",
		5, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_SCHEDULE] = {
		"INSERT INTO oms.order_schedule (merchant_id, order_id, ship_at, reserve, days_before, allocation, due_at, reserved_at) "
		"SELECT merchant_id, order_id, ship_at, reserve, days_before, allocation, due_at, reserved_at FROM unnest($1)",
		1, {0}
	},
	[ST_WAITS] = {
		"SELECT reserve, allocation FROM oms.order_schedule WHERE merchant_id = $1 AND order_id = $2 AND reserved_at IS NULL",
		2, {INT4OID, INT8OID}
	},
	[ST_RESERVED] = {
		"UPDATE oms.order_schedule SET reserved_at = $3 WHERE merchant_id = $1 AND order_id = $2 AND reserved_at IS NULL",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_SET_SHIP_DATE] = {
		"INSERT INTO oms.order_schedule AS s (merchant_id, order_id, ship_at, reserve, days_before, allocation, reserved_at) "
		"VALUES ($1, $2, $3, 'placement', 0, 'none', $4) ON CONFLICT (merchant_id, order_id) DO UPDATE SET ship_at = excluded.ship_at, "
		"due_at = CASE WHEN s.reserve = 'ship_date' THEN excluded.ship_at - s.days_before * interval '24 hours' END "
		"RETURNING CASE WHEN reserved_at IS NULL THEN due_at END",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	/* Orders that ended while they waited. */
	[ST_DROP_CLOSED] = {
		"DELETE FROM oms.order_schedule s USING oms.sales_order o WHERE s.merchant_id = $1 AND s.reserved_at IS NULL AND s.due_at <= $2 "
		"AND o.merchant_id = $1 AND o.order_id = s.order_id AND o.lifecycle NOT IN ('placed', 'confirmed')",
		2, {INT4OID, TIMESTAMPTZOID}
	},
	/* Who was short goes behind who was not asked for yet; of those looked at, the earliest is served first. */
	[ST_DUE] = {
		"SELECT order_id FROM (SELECT o.order_id, s.due_at FROM oms.order_schedule s "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = s.order_id "
		"WHERE s.merchant_id = $1 AND s.reserved_at IS NULL AND s.due_at <= $2 AND o.lifecycle IN ('placed', 'confirmed') "
		"ORDER BY s.asked_at NULLS FIRST, s.due_at, s.order_id LIMIT $3 FOR NO KEY UPDATE OF o SKIP LOCKED) d ORDER BY due_at, order_id",
		3, {INT4OID, TIMESTAMPTZOID, INT4OID}
	},
	[ST_ASKED] = {
		"UPDATE oms.order_schedule SET asked_at = $3 WHERE merchant_id = $1 AND order_id = $2 AND reserved_at IS NULL",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_EXCLUDE] = {
		"INSERT INTO oms.sourcing_exclusion AS e (merchant_id, location_id, item_id, excluded_until, reason) VALUES ($1, $2, $3, $4, 'short pick') "
		"ON CONFLICT (merchant_id, location_id, item_id) DO UPDATE SET excluded_until = greatest(e.excluded_until, excluded.excluded_until), "
		"reason = excluded.reason",
		4, {INT4OID, INT4OID, INT8OID, TIMESTAMPTZOID}
	},
};

/* Lines that have begun to wait; promised a date last of all, for that takes the last locks. */
typedef struct WaitingLines
{
	int			n;
	int			size;
	OmsWaitingLine *lines;
} WaitingLines;

/* What becomes of units that there is no stock for. */
typedef enum Rest
{
	REST_STAYS,					/* as it is */
	REST_PREORDERED,			/* those of items in preorder wait, as when a strict order is placed */
	REST_BACKORDERED			/* all wait */
} Rest;

static const char *const reserve_names[] = {"placement", "confirmation", "manual", "ship_date"};
static const char *const allocation_names[] = {"strict", "backorder", "none"};

/* The parts of kit lines as they were at placement. */
static void
load_parts(OmsDraft *draft, uint64 rows)
{
	uint64		row = 0;
	int			i;

	for (i = 0; i < draft->nlines; i++)
	{
		OmsDraftLine *line = &draft->lines[i];

		while (row < rows && oms_get_int32(row, 1) < line->line_no)
			row++;
		line->components = palloc((rows + 1) * sizeof(OmsComponent));
		for (; row < rows && oms_get_int32(row, 1) == line->line_no; row++)
			line->components[line->ncomponents++] = (OmsComponent) {oms_get_int64(row, 2), oms_get_int32(row, 3)};
	}
}

/*
 * The order as a draft whose lines want what has no stock (of line_no alone,
 * unless 0); backordered is what each has backordered now.
 */
static OmsDraft *
load_order(const OmsOrderHead *head, int32 line_no)
{
	OmsDraft   *draft = oms_draft_of_order(head->merchant, head->channel);
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	bool		isnull;
	Datum		address;
	uint64		rows;
	uint64		i;

	draft->order_id = head->order_id;
	draft->customer_id = head->customer_id;
	draft->allocation = OMS_ALLOCATE_BACKORDER;
	oms_run(&statements[ST_SHIP_TO], values, NULL);
	address = oms_get(0, 1, &isnull);
	if (!isnull)
		draft->ship_to = PointerGetDatum(DatumGetJsonbPCopy(address));
	rows = oms_run(&statements[ST_LINES], values, NULL);
	draft->lines = palloc0((rows + 1) * sizeof(OmsDraftLine));
	for (i = 0; i < rows; i++)
	{
		OmsDraftLine *line = &draft->lines[draft->nlines++];
		const char *kind = oms_get_text(i, 4);

		line->line_no = oms_get_int32(i, 1);
		line->item = oms_get_int64(i, 2);
		line->sku = oms_get_text(i, 3);
		line->kind = strcmp(kind, "stocked") == 0 ? OMS_STOCKED : strcmp(kind, "kit") == 0 ? OMS_KIT : OMS_SERVICE;
		line->ordered = oms_get_int32(i, 5);
		if (line->kind != OMS_SERVICE && (line_no == 0 || line_no == line->line_no))
			line->quantity = oms_get_int32(i, 6);
		line->backordered = oms_get_int32(i, 7);
	}
	load_parts(draft, oms_run(&statements[ST_PARTS], values, NULL));
	rows = oms_run(&statements[ST_USED], values, NULL);
	draft->used = palloc((rows + 1) * sizeof(OmsUsed));
	for (i = 0; i < rows; i++)
		draft->used[draft->nused++] = (OmsUsed) {oms_get_int32(i, 1), oms_get_int32(i, 2)};
	return draft;
}

/* Writes the promises of the draft, which is an order that is there. */
static void
write_promises(const OmsDraft *draft)
{
	OmsRows    *rows = oms_rows_begin("reservation");
	int			i;

	for (i = 0; i < draft->npromises; i++)
	{
		const OmsPromise *promise = &draft->promises[i];

		oms_rows_set(rows, RES_MERCHANT, Int32GetDatum(promise->key.merchant));
		oms_rows_set(rows, RES_LOCATION, Int32GetDatum(promise->key.location));
		oms_rows_set(rows, RES_ITEM, Int64GetDatum(promise->key.item));
		oms_rows_set(rows, RES_ORDER, Int64GetDatum(draft->order_id));
		oms_rows_set(rows, RES_LINE, Int32GetDatum(draft->lines[promise->line].line_no));
		oms_rows_set(rows, RES_QUANTITY, Int64GetDatum(promise->quantity));
		oms_rows_add(rows);
		/* The row's trigger takes it from the transaction's books. */
		oms_promise_give(&promise->key, promise->quantity, &promise->bounds);
	}
	if (rows->n > 0)
		oms_rows_run(&statements[ST_PROMISE], &rows, 1);
}

static void
announce(const OmsOrderHead *head, int32 line_no, int32 promised, int32 missing)
{
	OmsJson		json;

	oms_json_begin(&json);
	if (line_no != 0)
		oms_json_add_int(&json, "line", line_no);
	oms_json_add_int(&json, "quantity", promised);
	oms_json_add_int(&json, "missing", missing);
	oms_event_of_order(head->merchant, head->order_id, "order.reserved", NULL, NULL, oms_json_end(&json));
}

static void
add_waiting(WaitingLines *waiting, const OmsDraft *draft, const OmsDraftLine *line, int32 units)
{
	if (waiting->n == waiting->size)
	{
		waiting->size = Max(16, waiting->size * 2);
		waiting->lines = waiting->lines == NULL ? palloc(waiting->size * sizeof(OmsWaitingLine)) :
			repalloc(waiting->lines, waiting->size * sizeof(OmsWaitingLine));
	}
	waiting->lines[waiting->n++] = (OmsWaitingLine) {draft->order_id, line->line_no, draft->channel, line->preorder, units};
}

static void
promise_waiting(int32 merchant, const WaitingLines *waiting, bool strict)
{
	if (waiting->n > 0)
		oms_promise_waiting(merchant, waiting->lines, waiting->n, strict);
}

/*
 * As oms_reserve_units(), but for what it does last: lines that begin to wait
 * are added to waiting.  Of the units missing, *open neither have stock nor
 * wait for any.
 */
static int32
reserve_units(const OmsOrderHead *head, int32 line_no, Rest rest, int32 *missing, int32 *open, WaitingLines *waiting)
{
	OmsDraft   *draft = load_order(head, line_no);
	int32	   *was = palloc((draft->nlines + 1) * sizeof(int32));
	int32	   *lines = palloc((draft->nlines + 1) * sizeof(int32));
	int32	   *allocated = palloc((draft->nlines + 1) * sizeof(int32));
	int32	   *backordered = palloc((draft->nlines + 1) * sizeof(int32));
	Datum		values[5] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int32		promised = 0;
	int			began = waiting->n;
	int			n = 0;
	int			i;

	for (i = 0; i < draft->nlines; i++)
		was[i] = draft->lines[i].backordered;
	if (draft->nlocations > 0)
		oms_draft_admit(draft);
	*missing = *open = 0;
	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];
		int32		left = line->quantity - line->allocated;

		if (line->quantity == 0)
			continue;
		promised += line->allocated;
		*missing += left;
		lines[n] = line->line_no;
		allocated[n] = line->allocated;
		if (rest == REST_BACKORDERED || (rest == REST_PREORDERED && line->preorder != 0))
			backordered[n] = left;
		else
			backordered[n] = was[i] - Min(was[i], line->allocated);
		*open += left - backordered[n];
		if (backordered[n] > was[i])
			add_waiting(waiting, draft, line, backordered[n] - was[i]);
		if (allocated[n] > 0 || backordered[n] != was[i])
			n++;
	}
	write_promises(draft);
	if (n > 0)
	{
		values[2] = oms_int4_array(lines, n);
		values[3] = oms_int4_array(allocated, n);
		values[4] = oms_int4_array(backordered, n);
		oms_run_guarded(&statements[ST_COUNT], values, NULL);
	}
	/* A line that asks again and again in vain leaves no trail. */
	if (draft->sourcing != NULL && (promised > 0 || rest == REST_BACKORDERED || waiting->n > began))
	{
		oms_run(&statements[ST_NUMBER], values, NULL);
		draft->sourcing->number = oms_get_int32(0, 1);
		oms_sourcing_write(&draft, 1);
	}
	if (promised > 0)
		announce(head, line_no, promised, *missing);
	return promised;
}

int32
oms_reserve_units(const OmsOrderHead *head, int32 line_no, bool backorder, int32 *missing)
{
	WaitingLines waiting = {0};
	int32		open;
	int32		promised = reserve_units(head, line_no, backorder ? REST_BACKORDERED : REST_STAYS, missing, &open, &waiting);

	promise_waiting(head->merchant, &waiting, false);
	return promised;
}

/* How the order, locked, waits for its stock: copied out of its schedule; null when it does not. */
static char *
waits(int32 merchant, int64 order_id, bool *backorder)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};

	if (oms_run(&statements[ST_WAITS], values, NULL) == 0)
		return NULL;
	*backorder = strcmp(oms_get_text(0, 2), "backorder") == 0;
	return oms_get_text(0, 1);
}

bool
oms_reserve_waits(int32 merchant, int64 order_id)
{
	bool		backorder;

	return waits(merchant, order_id, &backorder) != NULL;
}

/* Asks for the stock of a whole order that waits; it waits no longer when nothing is open: it has stock, or is backordered. */
static int32
reserve_waiting(const OmsOrderHead *head, bool backorder, int32 *missing, int32 *open, WaitingLines *waiting)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), TimestampTzGetDatum(oms_now())};
	int32		promised = reserve_units(head, 0, backorder ? REST_BACKORDERED : REST_PREORDERED, missing, open, waiting);

	oms_run_guarded(&statements[*open == 0 ? ST_RESERVED : ST_ASKED], values, NULL);
	return promised;
}

void
oms_reserve_confirmed(int32 merchant, int64 order_id)
{
	bool		backorder;
	char	   *how = waits(merchant, order_id, &backorder);
	WaitingLines waiting = {0};
	OmsOrderHead head;
	int32		missing;
	int32		open;

	if (how == NULL || strcmp(how, "confirmation") != 0)
		return;
	oms_order_lock(merchant, order_id, &head);
	(void) reserve_waiting(&head, backorder, &missing, &open, &waiting);
	if (open > 0)
		ereport(ERROR,
				(errcode(OMS_SHORTAGE),
				 errmsg("not enough stock to confirm order " INT64_FORMAT, order_id),
				 errdetail("%d units are missing.", open),
				 errhint("Cancel what is missing, wait for a receipt, or place such orders with \"allocation\": \"backorder\".")));
	promise_waiting(merchant, &waiting, true);
}

bool
oms_reserve_later(OmsDraft *draft)
{
	if (draft->allocation == OMS_ALLOCATE_NONE || draft->nholds > 0)
		draft->reserve = OMS_RESERVE_PLACEMENT;
	switch (draft->reserve)
	{
		case OMS_RESERVE_PLACEMENT:
			break;
		case OMS_RESERVE_CONFIRMATION:
			draft->later = !draft->confirm || draft->unmapped;
			break;
		case OMS_RESERVE_MANUAL:
			draft->later = true;
			break;
		case OMS_RESERVE_SHIP_DATE:
			if (draft->ship_at == 0)
				draft->reserve = OMS_RESERVE_PLACEMENT;
			else
			{
				draft->due_at = draft->ship_at - draft->reserve_days * USECS_PER_DAY;
				draft->later = draft->due_at > oms_now();
			}
			break;
	}
	draft->scheduled = draft->later || draft->ship_at != 0;
	return draft->later;
}

void
oms_schedule_write(OmsDraft **drafts, int n)
{
	OmsRows    *rows = oms_rows_begin("order_schedule");
	int			i;

	for (i = 0; i < n; i++)
	{
		const OmsDraft *draft = drafts[i];

		if (!draft->scheduled || draft->repeated)
			continue;
		oms_rows_set(rows, S_MERCHANT, Int32GetDatum(draft->merchant));
		oms_rows_set(rows, S_ORDER, Int64GetDatum(draft->order_id));
		if (draft->ship_at != 0)
			oms_rows_set(rows, S_SHIP_AT, TimestampTzGetDatum(draft->ship_at));
		oms_rows_set_text(rows, S_RESERVE, reserve_names[draft->reserve]);
		oms_rows_set(rows, S_DAYS, Int32GetDatum(draft->reserve_days));
		oms_rows_set_text(rows, S_ALLOCATION, allocation_names[draft->allocation]);
		if (draft->due_at != 0)
			oms_rows_set(rows, S_DUE_AT, TimestampTzGetDatum(draft->due_at));
		if (!draft->later)
			oms_rows_set(rows, S_RESERVED_AT, TimestampTzGetDatum(oms_now()));
		oms_rows_add(rows);
	}
	if (rows->n > 0)
		oms_rows_run(&statements[ST_SCHEDULE], &rows, 1);
}

/* Refuses (OM008) an order that is closed. */
static void
require_open(const OmsOrderHead *head)
{
	if (strcmp(head->lifecycle, "cancelled") == 0 || strcmp(head->lifecycle, "completed") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is %s", head->order_id, head->lifecycle),
				 errhint("It needs no stock any more.")));
}

/* SQL: reserve(merchant, order_id, line_no, request_key, actor, reason) */
Datum
oms_reserve(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	int32		line_no = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	OmsCall		call;
	OmsOrderHead head;
	int64		result;

	if (!PG_ARGISNULL(2) && line_no <= 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"line_no\" is out of range"),
				 errdetail("%d was given; lines count from 1.", line_no)));
	if (!oms_call_repeated(fcinfo, "reserve", 3, &call, &result))
	{
		WaitingLines waiting = {0};
		bool		backorder = false;
		int32		missing;
		int32		open;

		oms_order_lock(call.merchant, order_id, &head);
		require_open(&head);
		if (line_no == 0 && waits(call.merchant, order_id, &backorder) != NULL)
			result = reserve_waiting(&head, backorder, &missing, &open, &waiting);
		else
			result = reserve_units(&head, line_no, REST_STAYS, &missing, &open, &waiting);
		promise_waiting(call.merchant, &waiting, true);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT32((int32) result);
}

/* SQL: reserve_due(merchant, until, max_orders) */
Datum
oms_reserve_due(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	int32		most = oms_arg_int32(fcinfo, 2, "max_orders");
	TimestampTz until = PG_ARGISNULL(1) ? oms_now() : PG_GETARG_TIMESTAMPTZ(1);
	Datum		values[3] = {Int32GetDatum(merchant), TimestampTzGetDatum(until), Int32GetDatum(most)};
	WaitingLines waiting = {0};
	int64	   *orders;
	uint64		rows;
	uint64		i;

	if (most <= 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"max_orders\" is out of range"),
				 errdetail("%d was given; at least 1 order is looked at.", most)));
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	oms_command(oms_calling_role(), NULL, NULL);
	oms_run_guarded(&statements[ST_DROP_CLOSED], values, NULL);
	rows = oms_run(&statements[ST_DUE], values, NULL);
	orders = palloc((rows + 1) * sizeof(int64));
	for (i = 0; i < rows; i++)
		orders[i] = oms_get_int64(i, 1);
	for (i = 0; i < rows; i++)
	{
		bool		nulls[3] = {false};
		Datum		row[3];
		OmsOrderHead head;
		bool		backorder;
		int32		promised;
		int32		missing;
		int32		open;

		CHECK_FOR_INTERRUPTS();
		oms_order_lock(merchant, orders[i], &head);
		/* Another call may have been faster until the order was locked. */
		if (waits(merchant, orders[i], &backorder) == NULL)
			continue;
		promised = reserve_waiting(&head, backorder, &missing, &open, &waiting);
		row[0] = Int64GetDatum(orders[i]);
		row[1] = Int32GetDatum(promised);
		row[2] = Int32GetDatum(missing);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	/* One order of many does not fail the others: what was accepted counts against caps, and may pass them. */
	promise_waiting(merchant, &waiting, false);
	oms_end();
	return (Datum) 0;
}

/* SQL: set_ship_date(merchant, order_id, ship_at, request_key, actor, reason) */
Datum
oms_set_ship_date(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsJson		json;
	Datum		values[4];
	bool		isnull;
	int64		result;

	oms_arg_require(fcinfo, 2, "ship_at");
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(2)))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"ship_at\" is out of range"),
				 errdetail("It is infinite.")));
	if (!oms_call_repeated(fcinfo, "set_ship_date", 3, &call, &result))
	{
		oms_order_lock(call.merchant, order_id, &head);
		require_open(&head);
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int64GetDatum(order_id);
		values[2] = PG_GETARG_DATUM(2);
		values[3] = TimestampTzGetDatum(oms_now());
		oms_run_guarded(&statements[ST_SET_SHIP_DATE], values, NULL);
		result = DatumGetInt64(oms_get(0, 1, &isnull));
		/* Kept for repetitions as a number; no order is due at the beginning of time. */
		if (isnull)
			result = PG_INT64_MIN;
		oms_json_begin(&json);
		oms_json_add_text(&json, "ship_at", timestamptz_to_str(PG_GETARG_TIMESTAMPTZ(2)));
		oms_event_of_order(call.merchant, order_id, "order.ship_date_set", NULL, NULL, oms_json_end(&json));
		oms_call_done(&call, result);
	}
	if (result == PG_INT64_MIN)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(result);
}

void
oms_reserve_after_short_pick(const OmsOrderHead *head, int32 line_no, int64 item, int32 location)
{
	int32		days = pg_strtoint32(oms_setting(head->merchant, head->channel, "short_pick_exclusion_days"));
	Datum		values[4] = {Int32GetDatum(head->merchant), Int32GetDatum(location), Int64GetDatum(item)};
	int32		missing;

	if (days > 0 && item != 0)
	{
		values[3] = TimestampTzGetDatum(oms_now() + days * USECS_PER_DAY);
		oms_run(&statements[ST_EXCLUDE], values, NULL);
	}
	if (strcmp(oms_setting(head->merchant, head->channel, "after_short_pick"), "reserve") == 0)
		(void) oms_reserve_units(head, line_no, false, &missing);
}
