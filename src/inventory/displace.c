/*-------------------------------------------------------------------------
 * displace.c
 *	  An urgent order takes the unpicked units of less urgent ones.
 *
 *	  What a loser gives up goes into the hands of the running transaction and
 *	  from there to the winner: nobody else sees it free.  The winner is
 *	  promised by the rules of sourcing, so each location is tried in a
 *	  savepoint: what those rules do not let it have, nobody loses.  Losers that
 *	  somebody is working on are passed over; nothing here waits for one.  At
 *	  the end, for that takes the last locks, they are promised a date by what
 *	  is to come (promise.c).
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/resowner.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/promise.h"
#include "inventory/inventory.h"
#include "inventory/supply.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_displace);

/* Losers of one line at one location. */
#define MAX_LOSERS 1000

enum
{
	ST_PRIORITY,
	ST_SHORT,
	ST_PLACES,
	ST_LOSERS,
	ST_SPARE,
	ST_BACKORDER,
	ST_PROMISED_FOR
};

/* Units of the loser's line $2, $3 that fulfilments at location $4 have and that have not left. */
#define PLANNED(order, line, location) \
	"coalesce((SELECT sum(fl.quantity - fl.shipped) FROM oms.fulfilment_line fl JOIN oms.fulfilment f ON f.merchant_id = $1 " \
	"AND f.order_id = " order " AND f.fulfilment_id = fl.fulfilment_id AND f.location_id = " location " " \
	"WHERE fl.merchant_id = $1 AND fl.order_id = " order " AND fl.line_no = " line "), 0)"

static OmsStatement statements[] = {
	[ST_PRIORITY] = {
		"SELECT coalesce((SELECT priority FROM oms.order_urgency WHERE merchant_id = $1 AND order_id = $2), 0)", 2, {INT4OID, INT8OID}
	},
	[ST_SHORT] = {
		"SELECT l.line_no, l.ordered - l.cancelled - l.shipped - l.allocated, coalesce(c.item_id, l.item_id), coalesce(c.per_unit, 1) "
		"FROM oms.order_line l JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = l.item_id AND i.kind <> 'service' "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = l.line_no "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND ($3 = 0 OR l.line_no = $3) "
		"AND l.ordered - l.cancelled - l.shipped - l.allocated > 0 ORDER BY 1, 3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_PLACES] = {
		"SELECT c.location_id FROM oms.channel_location c JOIN oms.location l ON l.merchant_id = $1 AND l.location_id = c.location_id "
		"WHERE c.merchant_id = $1 AND c.channel_id = $2 AND l.active ORDER BY c.priority, c.location_id",
		2, {INT4OID, INT4OID}
	},
	/* The lowest priority first, then the youngest order. */
	[ST_LOSERS] = {
		"SELECT o.order_id, x.line_no, o.channel_id FROM (SELECT r.order_id, r.line_no, sum(r.quantity) AS quantity FROM oms.reservation r "
		"WHERE r.merchant_id = $1 AND r.item_id = $2 AND r.location_id = $3 GROUP BY 1, 2) x "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = x.order_id "
		"LEFT JOIN oms.order_urgency u ON u.merchant_id = $1 AND u.order_id = x.order_id "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = x.order_id AND c.line_no = x.line_no AND c.item_id = $2 "
		"WHERE x.order_id <> $4 AND coalesce(u.priority, 0) < $5 AND o.lifecycle IN ('placed', 'confirmed') "
		"AND x.quantity > coalesce(c.per_unit, 1) * " PLANNED("x.order_id", "x.line_no", "$3") " "
		"ORDER BY coalesce(u.priority, 0), o.placed_at DESC, o.order_id DESC, x.line_no DESC LIMIT $6 FOR NO KEY UPDATE OF o SKIP LOCKED",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID, INT4OID}
	},
	/* Of a locked loser: units of its line at the location that nobody has planned, and what a unit has of the item. */
	[ST_SPARE] = {
		"SELECT coalesce(min(coalesce((SELECT sum(r.quantity) FROM oms.reservation r WHERE r.merchant_id = $1 AND r.order_id = $2 "
		"AND r.line_no = $3 AND r.location_id = $4 AND r.item_id = p.item_id), 0)::bigint / p.per_unit), 0) "
		"- " PLANNED("$2", "$3", "$4") "::bigint, coalesce(max(p.per_unit) FILTER (WHERE p.item_id = $5), 1) "
		"FROM (SELECT item_id, per_unit FROM oms.order_line_component WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3 "
		"UNION ALL SELECT l.item_id, 1 FROM oms.order_line l WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = $3 "
		"AND NOT EXISTS (SELECT 1 FROM oms.order_line_component c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3)) p",
		5, {INT4OID, INT8OID, INT4OID, INT4OID, INT8OID}
	},
	[ST_BACKORDER] = {
		"UPDATE oms.order_line SET allocated = allocated - $4, backordered = backordered + $4 "
		"WHERE merchant_id = $1 AND order_id = $2 AND line_no = $3",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
	/* As set_urgency() does it, but for the priority. */
	[ST_PROMISED_FOR] = {
		"INSERT INTO oms.order_urgency AS u (merchant_id, order_id, promised_at, original_promised_at) VALUES ($1, $2, $3, $3) "
		"ON CONFLICT (merchant_id, order_id) DO UPDATE SET promised_at = excluded.promised_at, "
		"original_promised_at = coalesce(u.original_promised_at, excluded.original_promised_at)",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
};

/* What one unit of the winner's line takes. */
typedef struct Part
{
	int64		item;
	int64		per_unit;
} Part;

typedef struct Short
{
	int32		line_no;
	int64		units;
	int			nparts;
	Part	   *parts;
} Short;

typedef struct Displacement
{
	const OmsOrderHead *head;
	int32		priority;
	int			nlosers;
	int			maxlosers;
	OmsWaitingLine *losers;		/* that have lost units, to be promised a date at the end */
} Displacement;

/* Takes units of a loser's line into the transaction's hands, and tells him. */
static void
take_from(Displacement *displacement, const OmsWaitingLine *loser, int32 location, int32 units)
{
	OmsOrderHead head = {displacement->head->merchant, loser->order_id};
	Datum		values[4] = {Int32GetDatum(head.merchant), Int64GetDatum(loser->order_id), Int32GetDatum(loser->line_no), Int32GetDatum(units)};
	OmsJson		json;

	oms_promise_release(&head, &loser->line_no, &location, &units, 1);
	oms_run_guarded(&statements[ST_BACKORDER], values, NULL);

	oms_json_begin(&json);
	oms_json_add_int(&json, "by", displacement->head->order_id);
	oms_json_add_int(&json, "line", loser->line_no);
	oms_json_add_int(&json, "location", location);
	oms_json_add_int(&json, "quantity", units);
	oms_event_of_order(head.merchant, loser->order_id, "order.displaced", NULL, NULL, oms_json_end(&json));

	if (displacement->nlosers == displacement->maxlosers)
	{
		displacement->maxlosers *= 2;
		displacement->losers = repalloc(displacement->losers, displacement->maxlosers * sizeof(OmsWaitingLine));
	}
	displacement->losers[displacement->nlosers] = *loser;
	displacement->losers[displacement->nlosers++].units = units;
}

/*
 * Frees so many units of an item at a location for this transaction, of less
 * urgent orders; what is free already counts.  Where more is promised than
 * there is (a lot was recalled), that comes first: a unit that somebody else
 * was promised as well is no use to an urgent order.
 */
static bool
free_item(Displacement *displacement, int64 item, int32 location, int64 quantity)
{
	OmsGateKey	key = {displacement->head->merchant, location, item};
	int64		need = quantity - oms_stock_available(&key, quantity);
	Datum		values[6];
	OmsWaitingLine *losers;
	uint64		rows;
	uint64		i;

	if (need <= 0)
		return true;
	values[0] = Int32GetDatum(key.merchant);
	values[1] = Int64GetDatum(item);
	values[2] = Int32GetDatum(location);
	values[3] = Int64GetDatum(displacement->head->order_id);
	values[4] = Int32GetDatum(displacement->priority);
	values[5] = Int32GetDatum((int32) Min(need, MAX_LOSERS));
	rows = oms_run(&statements[ST_LOSERS], values, NULL);
	losers = palloc((rows + 1) * sizeof(OmsWaitingLine));
	for (i = 0; i < rows; i++)
		losers[i] = (OmsWaitingLine) {oms_get_int64(i, 1), oms_get_int32(i, 2), oms_get_int32(i, 3)};
	for (i = 0; i < rows && need > 0; i++)
	{
		int64		spare;
		int64		per_unit;
		int64		units;

		values[1] = Int64GetDatum(losers[i].order_id);
		values[2] = Int32GetDatum(losers[i].line_no);
		values[3] = Int32GetDatum(location);
		values[4] = Int64GetDatum(item);
		oms_run(&statements[ST_SPARE], values, NULL);
		spare = oms_get_int64(0, 1);
		per_unit = oms_get_int32(0, 2);
		units = Min(spare, (need + per_unit - 1) / per_unit);
		if (units <= 0)
			continue;
		take_from(displacement, &losers[i], location, (int32) units);
		need -= units * per_unit;
	}
	return need <= 0;
}

/*
 * Tries, in a savepoint, to get so many units of the line at the location.
 * True: the winner has them (*got, more where others came free meanwhile).
 * Else all is as it was, and *got is how many the rules of sourcing, or the
 * losers, would have let him have.
 */
static bool
try_location(Displacement *displacement, const Short *line, int32 location, int64 units, int64 *got)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			nlosers = displacement->nlosers;
	int32		missing;
	int			i;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	*got = 0;
	for (i = 0; i < line->nparts; i++)
		if (!free_item(displacement, line->parts[i].item, location, units * line->parts[i].per_unit))
			break;
	/* Of a part that is short, a kit has as many units as that part makes. */
	if (i == line->nparts)
		*got = oms_reserve_units(displacement->head, line->line_no, false, &missing);
	else
	{
		OmsGateKey	key = {displacement->head->merchant, location, line->parts[i].item};

		*got = Max(oms_stock_available(&key, 1), 0) / line->parts[i].per_unit;
	}
	if (i == line->nparts && *got >= units)
		ReleaseCurrentSubTransaction();
	else
	{
		RollbackAndReleaseCurrentSubTransaction();
		displacement->nlosers = nlosers;
	}
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return i == line->nparts && *got >= units;
}

/* Gets what the line lacks, location by location; returns the units. */
static int64
displace_line(Displacement *displacement, const Short *line, const int32 *locations, int n)
{
	int64		total = 0;
	int			i;

	for (i = 0; i < n && total < line->units; i++)
	{
		int64		units = line->units - total;
		int64		got = 0;

		CHECK_FOR_INTERRUPTS();
		/* Fewer at each attempt, until none. */
		while (units > 0 && !try_location(displacement, line, locations[i], units, &got))
			units = got = Min(got, units - 1);
		total += got;
	}
	return total;
}

/* The lines that lack units, with their parts. */
static Short *
find_short(const OmsOrderHead *head, int32 line_no, int *n)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), Int32GetDatum(line_no)};
	uint64		rows = oms_run(&statements[ST_SHORT], values, NULL);
	Short	   *lines = palloc((rows + 1) * sizeof(Short));
	Part	   *parts = palloc((rows + 1) * sizeof(Part));
	uint64		i;

	*n = 0;
	for (i = 0; i < rows; i++)
	{
		if (*n == 0 || lines[*n - 1].line_no != oms_get_int32(i, 1))
			lines[(*n)++] = (Short) {oms_get_int32(i, 1), oms_get_int32(i, 2), 0, &parts[i]};
		parts[i] = (Part) {oms_get_int64(i, 3), oms_get_int32(i, 4)};
		lines[*n - 1].nparts++;
	}
	return lines;
}

/* SQL: displace(merchant, order_id, line_no, promised_at, request_key, actor, reason) */
Datum
oms_displace(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	int32		line_no = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	OmsCall		call;
	OmsOrderHead head;
	Displacement displacement = {&head};
	Datum		values[3];
	Short	   *lines;
	int32	   *locations;
	int32		missing;
	int64		result;
	int			nlocations;
	int			n;
	int			i;

	if (!PG_ARGISNULL(2) && line_no <= 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"line_no\" is out of range"),
				 errdetail("%d was given; lines count from 1.", line_no)));
	if (!PG_ARGISNULL(3) && TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(3)))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"promised_at\" is out of range"),
				 errdetail("It is infinite.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("orders are displaced in a READ COMMITTED transaction"),
				 errdetail("What others have planned until now must be seen.")));
	if (oms_call_repeated(fcinfo, "displace", 4, &call, &result))
		PG_RETURN_INT32((int32) result);
	oms_order_lock(call.merchant, order_id, &head);
	if (strcmp(head.lifecycle, "cancelled") == 0 || strcmp(head.lifecycle, "completed") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is %s", order_id, head.lifecycle),
				 errhint("It needs no stock any more.")));
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(order_id);
	oms_run(&statements[ST_PRIORITY], values, NULL);
	displacement.priority = oms_get_int32(0, 1);
	displacement.maxlosers = 16;
	displacement.losers = palloc(displacement.maxlosers * sizeof(OmsWaitingLine));

	result = oms_reserve_units(&head, line_no, false, &missing);
	values[1] = Int32GetDatum(head.channel);
	nlocations = missing > 0 ? (int) oms_run(&statements[ST_PLACES], values, NULL) : 0;
	locations = palloc((nlocations + 1) * sizeof(int32));
	for (i = 0; i < nlocations; i++)
		locations[i] = oms_get_int32(i, 1);
	lines = find_short(&head, line_no, &n);
	for (i = 0; i < n; i++)
		result += displace_line(&displacement, &lines[i], locations, nlocations);
	for (i = 0; i < displacement.nlosers && !PG_ARGISNULL(3); i++)
	{
		values[1] = Int64GetDatum(displacement.losers[i].order_id);
		values[2] = PG_GETARG_DATUM(3);
		oms_run(&statements[ST_PROMISED_FOR], values, NULL);
	}
	if (displacement.nlosers > 0)
		oms_promise_waiting(call.merchant, displacement.losers, displacement.nlosers, false);
	oms_call_done(&call, result);
	PG_RETURN_INT32((int32) result);
}
