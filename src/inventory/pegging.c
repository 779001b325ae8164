/*-------------------------------------------------------------------------
 * pegging.c
 *	  Who waits is pegged to what will serve them: in the order in which
 *	  receipts are given out, each to the earliest units that none before has.
 *
 *	  Pegs are computed from the rows, never stored: so at every snapshot no
 *	  unit that comes is pegged twice, and none that does not come.  What is
 *	  left over is available to promise.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/datetime.h"

#include "config/catalogue.h"
#include "core/config.h"
#include "inventory/supply.h"

PG_FUNCTION_INFO_V1(oms_available_to_promise);
PG_FUNCTION_INFO_V1(oms_promise_profile);
PG_FUNCTION_INFO_V1(oms_pegs);

enum
{
	ST_SHELF,
	ST_SUPPLY,
	ST_WAITING,
	ST_IS_LAST,
	ST_AHEAD,
	ST_OWN
};

static OmsStatement statements[] = {
	[ST_SHELF] = {
		"SELECT location_id, oms.available($1, $2, location_id) FROM oms.stock "
		"WHERE merchant_id = $1 AND item_id = $2 ORDER BY location_id",
		2, {INT4OID, INT8OID}
	},
	[ST_SUPPLY] = {
		"SELECT supply_id, line_no, location_id, ordered - received - closed, CASE WHEN expected_at > $3 THEN expected_at END "
		"FROM oms.supply_line WHERE merchant_id = $1 AND item_id = $2 AND received + closed < ordered ORDER BY 5 NULLS LAST, 1, 2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	/* In the order of backorder_fill, as in backorder.c. */
	[ST_WAITING] = {
		"WITH RECURSIVE k AS (SELECT $2 AS item_id UNION "
		"SELECT c.kit_id FROM k JOIN oms.kit_component c ON c.merchant_id = $1 AND c.item_id = k.item_id) "
		"SELECT l.order_id, l.line_no, o.channel_id, l.backordered::bigint * coalesce(c.per_unit, 1), c.item_id IS NOT NULL, "
		"p.order_id IS NOT NULL, coalesce(p.promised_at, 'infinity'), coalesce(p.original_at, 'infinity'), coalesce(r.available_at, 'infinity'), o.placed_at "
		"FROM oms.order_line l "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = l.order_id "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = l.order_id AND c.line_no = l.line_no AND c.item_id = $2 "
		"LEFT JOIN oms.order_urgency u ON u.merchant_id = $1 AND u.order_id = l.order_id "
		"LEFT JOIN oms.line_promise p ON p.merchant_id = $1 AND p.order_id = l.order_id AND p.line_no = l.line_no "
		"LEFT JOIN oms.preorder_line q ON q.merchant_id = $1 AND q.order_id = l.order_id AND q.line_no = l.line_no "
		"LEFT JOIN oms.preorder r ON r.merchant_id = $1 AND r.preorder_id = q.preorder_id "
		"WHERE l.merchant_id = $1 AND l.backordered > 0 AND l.item_id = ANY (ARRAY(SELECT item_id FROM k)) "
		"AND (c.item_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM oms.order_line_component x "
		"WHERE x.merchant_id = $1 AND x.order_id = l.order_id AND x.line_no = l.line_no)) "
		"ORDER BY CASE WHEN $3 = 'priority' THEN -coalesce(u.priority, 0)::bigint ELSE 0 END, "
		"CASE WHEN $3 = 'promise' THEN coalesce(u.promised_at, p.original_at, 'infinity') END, o.placed_at, l.order_id, l.line_no",
		3, {INT4OID, INT8OID, TEXTOID}
	},
	/* Placed now, after the latest of those who were told, and nobody with a later number is there. */
	[ST_IS_LAST] = {
		"SELECT coalesce(s.last_placed_at <= o.placed_at, false) AND o.placed_at >= $4 AND NOT EXISTS (SELECT FROM oms.order_line l "
		"WHERE l.merchant_id = $1 AND l.item_id = $2 AND l.backordered > 0 AND l.order_id > $3) "
		"AND NOT EXISTS (SELECT FROM oms.kit_component WHERE merchant_id = $1 AND item_id = $2) "
		"AND NOT EXISTS (SELECT FROM (SELECT location_id FROM oms.stock WHERE merchant_id = $1 AND item_id = $2 UNION "
		"SELECT location_id FROM oms.supply_line WHERE merchant_id = $1 AND item_id = $2 AND received + closed < ordered) p "
		"CROSS JOIN oms.channel c WHERE c.merchant_id = $1 AND NOT EXISTS (SELECT FROM oms.channel_location x "
		"WHERE x.merchant_id = $1 AND x.channel_id = c.channel_id AND x.location_id = p.location_id)) "
		"FROM oms.supply_item s, oms.sales_order o WHERE s.merchant_id = $1 AND s.item_id = $2 AND o.merchant_id = $1 AND o.order_id = $3",
		4, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_AHEAD] = {
		"SELECT coalesce(sum(backordered), 0)::bigint FROM oms.order_line WHERE merchant_id = $1 AND item_id = $2 AND backordered > 0 AND order_id <> $3",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_OWN] = {
		"SELECT l.order_id, l.line_no, o.channel_id, l.backordered::bigint, false, p.order_id IS NOT NULL, coalesce(p.promised_at, 'infinity'), "
		"coalesce(p.original_at, 'infinity'), coalesce(r.available_at, 'infinity'), o.placed_at FROM oms.order_line l "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = $3 "
		"LEFT JOIN oms.line_promise p ON p.merchant_id = $1 AND p.order_id = $3 AND p.line_no = l.line_no "
		"LEFT JOIN oms.preorder_line q ON q.merchant_id = $1 AND q.order_id = $3 AND q.line_no = l.line_no "
		"LEFT JOIN oms.preorder r ON r.merchant_id = $1 AND r.preorder_id = q.preorder_id "
		"WHERE l.merchant_id = $1 AND l.order_id = $3 AND l.item_id = $2 AND l.backordered > 0 ORDER BY l.line_no",
		3, {INT4OID, INT8OID, INT8OID}
	},
};

static uint64
run(bool read_only, int statement, Datum *values)
{
	return read_only ? oms_run_read_only(&statements[statement], values, NULL) : oms_run(&statements[statement], values, NULL);
}

/* What is on shelves, then what comes by date. */
static void
read_supplies(OmsPegging *pegging, int32 merchant, int64 item, bool read_only)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(item), TimestampTzGetDatum(oms_now())};
	uint64		shelves = run(read_only, ST_SHELF, values);
	uint64		lines;
	uint64		i;

	pegging->supplies = palloc0((shelves + 1) * sizeof(OmsSupply));
	for (i = 0; i < shelves; i++)
	{
		OmsSupply  *supply = &pegging->supplies[pegging->nsupplies++];

		supply->location = oms_get_int32(i, 1);
		supply->units = supply->left = oms_get_int64(i, 2);
		TIMESTAMP_NOBEGIN(supply->at);
	}
	lines = run(read_only, ST_SUPPLY, values);
	pegging->supplies = repalloc(pegging->supplies, (shelves + lines + 1) * sizeof(OmsSupply));
	for (i = 0; i < lines; i++)
	{
		OmsSupply  *supply = &pegging->supplies[pegging->nsupplies++];

		supply->supply_id = oms_get_int64(i, 1);
		supply->line_no = oms_get_int32(i, 2);
		supply->location = oms_get_int32(i, 3);
		supply->units = supply->left = oms_get_int64(i, 4);
		if (oms_is_null(i, 5))
			TIMESTAMP_NOEND(supply->at);
		else
			supply->at = oms_get_int64(i, 5);
	}
}

static void
read_waiting(OmsPegging *pegging, int statement, Datum *values, bool read_only)
{
	uint64		i;

	pegging->nwaiting = (int) run(read_only, statement, values);
	pegging->waiting = palloc_extended((pegging->nwaiting + 1) * sizeof(OmsWaiting), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (i = 0; i < pegging->nwaiting; i++)
	{
		OmsWaiting *waiting = &pegging->waiting[i];

		waiting->order_id = oms_get_int64(i, 1);
		waiting->line_no = oms_get_int32(i, 2);
		waiting->channel = oms_get_int32(i, 3);
		waiting->units = oms_get_int64(i, 4);
		waiting->part = oms_get_bool(i, 5);
		waiting->has_promise = oms_get_bool(i, 6);
		waiting->promised_at = oms_get_int64(i, 7);
		waiting->original_at = oms_get_int64(i, 8);
		waiting->available_at = oms_get_int64(i, 9);
		waiting->placed_at = oms_get_int64(i, 10);
	}
}

/* Units promised beyond what is on a shelf are the first to be served there. */
static void
serve_deficits(OmsPegging *pegging)
{
	int			i;
	int			j;

	for (i = 0; i < pegging->nsupplies; i++)
	{
		OmsSupply  *shelf = &pegging->supplies[i];

		for (j = i + 1; j < pegging->nsupplies && shelf->left < 0; j++)
			if (pegging->supplies[j].location == shelf->location)
			{
				int64		units = Min(-shelf->left, pegging->supplies[j].left);

				shelf->left += units;
				pegging->supplies[j].left -= units;
			}
		shelf->left = Max(shelf->left, 0);
	}
}

/* Whether the channel's lines are filled at the location. */
static bool
serves(const OmsChannel *channel, int32 location)
{
	int			i;

	for (i = 0; channel != NULL && i < channel->nlocations; i++)
		if (channel->locations[i] == location)
			return true;
	return false;
}

/* Gives each line, in their order, the earliest units that none before has. */
static void
peg(OmsPegging *pegging, int32 merchant)
{
	int			first = 0;
	int			maxpegs;
	int			i;
	int			j;

	/* Each peg ends a line or a supply, unless locations stand between. */
	maxpegs = pegging->nwaiting + pegging->nsupplies + 1;
	pegging->pegs = palloc_extended(maxpegs * sizeof(OmsPeg), MCXT_ALLOC_HUGE);
	for (i = 0; i < pegging->nwaiting; i++)
	{
		OmsWaiting *waiting = &pegging->waiting[i];
		const OmsChannel *channel = oms_channel(merchant, waiting->channel);
		int64		open = waiting->units;

		TIMESTAMP_NOBEGIN(waiting->ready);
		while (first < pegging->nsupplies && pegging->supplies[first].left == 0)
			first++;
		for (j = first; j < pegging->nsupplies && open > 0; j++)
		{
			OmsSupply  *supply = &pegging->supplies[j];
			int64		units = Min(open, supply->left);

			if (units == 0 || !serves(channel, supply->location))
				continue;
			if (pegging->npegs == maxpegs)
			{
				maxpegs *= 2;
				pegging->pegs = repalloc_huge(pegging->pegs, maxpegs * sizeof(OmsPeg));
			}
			pegging->pegs[pegging->npegs++] = (OmsPeg) {i, j, units};
			supply->left -= units;
			open -= units;
			waiting->ready = supply->at;
		}
		if (open > 0)
			TIMESTAMP_NOEND(waiting->ready);
	}
}

OmsPegging *
oms_pegging(int32 merchant, int64 item, bool read_only)
{
	OmsPegging *pegging = palloc0(sizeof(OmsPegging));
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(item)};

	read_supplies(pegging, merchant, item, read_only);
	values[2] = CStringGetTextDatum(oms_setting(merchant, 0, "backorder_fill"));
	read_waiting(pegging, ST_WAITING, values, read_only);
	serve_deficits(pegging);
	peg(pegging, merchant);
	return pegging;
}

OmsPegging *
oms_pegging_last(int32 merchant, int64 item, int64 order_id)
{
	OmsPegging *pegging;
	Datum		values[4] = {Int32GetDatum(merchant), Int64GetDatum(item), Int64GetDatum(order_id), TimestampTzGetDatum(oms_now())};
	int64		ahead;
	int			i;

	if (strcmp(oms_setting(merchant, 0, "backorder_fill"), "oldest") != 0)
		return NULL;
	if (oms_run(&statements[ST_IS_LAST], values, NULL) == 0 || !oms_get_bool(0, 1))
		return NULL;
	pegging = palloc0(sizeof(OmsPegging));
	read_supplies(pegging, merchant, item, false);
	oms_run(&statements[ST_AHEAD], values, NULL);
	ahead = oms_get_int64(0, 1);
	read_waiting(pegging, ST_OWN, values, false);
	serve_deficits(pegging);
	for (i = 0; i < pegging->nsupplies; i++)
	{
		int64		units = Min(ahead, pegging->supplies[i].left);

		pegging->supplies[i].left -= units;
		ahead -= units;
	}
	peg(pegging, merchant);
	return pegging;
}

/* Units that nobody has, at the location (0: anywhere), by an instant. */
static int64
free_by(const OmsPegging *pegging, int32 location, TimestampTz at)
{
	int64		units = 0;
	int			i;

	for (i = 0; i < pegging->nsupplies; i++)
		if (pegging->supplies[i].at <= at && !TIMESTAMP_IS_NOEND(pegging->supplies[i].at) &&
			(location == 0 || pegging->supplies[i].location == location))
			units += pegging->supplies[i].left;
	return units;
}

/* How many kits their parts make at the location (0: at each, together). */
static int64
kits_by(OmsPegging **parts, const OmsComponent *components, int n, int32 location, TimestampTz at)
{
	int64		kits = 0;
	int			i;

	if (location == 0)
	{
		int			last = 0;

		/* A location without the first part makes none; shelves and lines may name one several times. */
		for (;;)
		{
			int			next = 0;

			for (i = 0; i < parts[0]->nsupplies; i++)
				if (parts[0]->supplies[i].location > last && (next == 0 || parts[0]->supplies[i].location < next))
					next = parts[0]->supplies[i].location;
			if (next == 0)
				return kits;
			kits += kits_by(parts, components, n, next, at);
			last = next;
		}
	}
	for (i = 0; i < n; i++)
	{
		int64		units = free_by(parts[i], location, at) / components[i].per_unit;

		kits = i == 0 ? units : Min(kits, units);
	}
	return kits;
}

/* SQL: available_to_promise(merchant, item, location, at) */
Datum
oms_available_to_promise(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	TimestampTz at = PG_ARGISNULL(3) ? oms_now() : PG_GETARG_TIMESTAMPTZ(3);
	const OmsItem *found;
	OmsComponent *components;
	OmsPegging **parts;
	OmsItemKind kind;
	int64		units = 0;
	int			n;
	int			i;

	if (at < oms_now())
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"at\" is out of range"),
				 errdetail("It is past."),
				 errhint("Give an instant in the future, or none for now.")));
	oms_begin();
	oms_catalogue_load(merchant, 0, &item, 1, NULL, 0);
	found = oms_catalogue_item(merchant, item);
	if (found == NULL)
		oms_error_unknown("item", merchant, item);
	kind = found->kind;
	n = found->ncomponents;
	components = palloc((n + 1) * sizeof(OmsComponent));
	parts = palloc((n + 1) * sizeof(OmsPegging *));
	if (n > 0)
		memcpy(components, found->components, n * sizeof(OmsComponent));
	for (i = 0; i < n; i++)
		parts[i] = oms_pegging(merchant, components[i].item, true);
	if (kind == OMS_STOCKED)
		units = free_by(oms_pegging(merchant, item, true), location, at);
	else if (n > 0)
		units = kits_by(parts, components, n, location, at);
	oms_end();
	PG_RETURN_INT64(units);
}

/* SQL: promise_profile(merchant, item, location) */
Datum
oms_promise_profile(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	OmsPegging *pegging;
	int64		sum = 0;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	pegging = oms_pegging(merchant, item, true);
	for (i = 0; i < pegging->nsupplies;)
	{
		TimestampTz at = pegging->supplies[i].at;
		int64		units = 0;
		int64		left = 0;
		bool		any = false;
		Datum		values[5];
		bool		nulls[5] = {false};

		for (; i < pegging->nsupplies && pegging->supplies[i].at == at; i++)
			if (location == 0 || pegging->supplies[i].location == location)
			{
				any = true;
				units += pegging->supplies[i].units;
				left += pegging->supplies[i].left;
			}
		if (!any)
			continue;
		sum += left;
		nulls[0] = nulls[4] = TIMESTAMP_IS_NOEND(at);
		values[0] = TimestampTzGetDatum(at);
		values[1] = Int64GetDatum(units);
		values[2] = Int64GetDatum(units - left);
		values[3] = Int64GetDatum(left);
		values[4] = Int64GetDatum(sum);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	oms_end();
	return (Datum) 0;
}

/* SQL: pegs(merchant, item) */
Datum
oms_pegs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	OmsPegging *pegging;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	pegging = oms_pegging(merchant, item, true);
	for (i = 0; i < pegging->npegs; i++)
	{
		const OmsWaiting *waiting = &pegging->waiting[pegging->pegs[i].waiting];
		const OmsSupply *supply = &pegging->supplies[pegging->pegs[i].supply];
		Datum		values[7];
		bool		nulls[7] = {false};

		values[0] = Int64GetDatum(waiting->order_id);
		values[1] = Int32GetDatum(waiting->line_no);
		values[2] = Int64GetDatum(supply->supply_id);
		values[3] = Int32GetDatum(supply->line_no);
		nulls[2] = nulls[3] = supply->supply_id == 0;
		values[4] = Int32GetDatum(supply->location);
		values[5] = Int64GetDatum(pegging->pegs[i].units);
		values[6] = TimestampTzGetDatum(supply->at);
		nulls[6] = TIMESTAMP_IS_NOEND(supply->at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	oms_end();
	return (Datum) 0;
}
