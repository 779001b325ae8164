/*-------------------------------------------------------------------------
 * landed.c
 *	  Costs that come later: freight and duty added to receipts, of which a
 *	  part may have left again, and another value given to stock.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "common/int.h"
#include "utils/array.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "inventory/cost.h"

PG_FUNCTION_INFO_V1(oms_add_landed_cost);
PG_FUNCTION_INFO_V1(oms_revalue_stock);

enum
{
	ST_LOCK_ITEMS,
	ST_LOCK,
	ST_RECEIPTS,
	ST_LANDED,
	ST_LANDED_RECEIPT,
	ST_USED,
	ST_CONSUMERS,
	ST_UNDER_WAY,
	ST_ADD_UNDER_WAY,
	ST_ARRIVALS,
	ST_RETURNS,
	ST_STILL_OUT,
	ST_SHARES
};

static OmsStatement statements[] = {
	/* all that the cost may reach, in the order in which shipments lock it; a shelf made meanwhile follows by ST_LOCK */
	[ST_LOCK_ITEMS] = {
		"SELECT FROM oms.stock WHERE merchant_id = $1 AND item_id IN (SELECT item_id FROM oms.stock_cost "
		"WHERE merchant_id = $1 AND movement_id = ANY ($2)) ORDER BY item_id, location_id FOR UPDATE",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_LOCK] = {
		"SELECT FROM oms.stock WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 FOR UPDATE",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_RECEIPTS] = {
		"SELECT e.location_id, e.item_id, e.movement_id, e.entry_id, coalesce(e.layer_id, e.entry_id), e.quantity, e.value, "
		"i.weight_g, c.currency FROM oms.stock_cost e "
		"JOIN oms.stock_movement m ON m.merchant_id = e.merchant_id AND m.item_id = e.item_id AND m.location_id = e.location_id "
		"AND m.movement_id = e.movement_id AND m.quantity > 0 AND m.kind IN ('receipt', 'opening', 'adjustment', 'count') "
		"JOIN oms.item i ON i.merchant_id = e.merchant_id AND i.item_id = e.item_id "
		"JOIN oms.item_cost c ON c.merchant_id = e.merchant_id AND c.item_id = e.item_id AND c.location_id = e.location_id "
		"WHERE e.merchant_id = $1 AND e.movement_id = ANY ($2) AND e.kind = 'movement' ORDER BY e.movement_id",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_LANDED] = {
		"INSERT INTO oms.landed_cost (merchant_id, amount, currency, basis, cause, actor, at) VALUES ($1, $2, $3, $4, $5, $6, $7) "
		"RETURNING landed_cost_id",
		7, {INT4OID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	},
	[ST_LANDED_RECEIPT] = {
		"INSERT INTO oms.landed_cost_receipt (merchant_id, landed_cost_id, movement_id, amount) VALUES ($1, $2, $3, $4)",
		4, {INT4OID, INT8OID, INT8OID, NUMERICOID}
	},
	/* what of a layer is left, what left it since the entry, and what came since at all */
	[ST_USED] = {
		"SELECT coalesce((SELECT l.quantity FROM oms.cost_layer l WHERE l.merchant_id = $1 AND l.item_id = $3 AND l.location_id = $2 "
		"AND l.layer_id = $4), 0), coalesce((SELECT -sum(e.quantity) FROM oms.stock_cost e WHERE e.merchant_id = $1 AND e.item_id = $3 "
		"AND e.location_id = $2 AND e.entry_id > $5 AND e.layer_id = $4 AND e.quantity < 0), 0)::bigint, "
		"coalesce((SELECT sum(e.quantity) FROM oms.stock_cost e WHERE e.merchant_id = $1 AND e.item_id = $3 "
		"AND e.location_id = $2 AND e.entry_id > $5 AND e.quantity > 0 AND e.kind <> 'settlement'), 0)::bigint",
		5, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID}
	},
	/*
	 * who took units since the entry, of a layer or (null) at all; what was owed then counts once, when it left.  A
	 * movement is found in the order of its key: the planner must not take the index by date, which it knows to be no worse
	 * while it knows nothing of the tables.
	 */
	[ST_CONSUMERS] = {
		"SELECT c.*, (SELECT m.kind FROM oms.stock_movement m WHERE m.merchant_id = $1 AND m.item_id = $3 AND m.location_id = $2 "
		"AND m.movement_id BETWEEN c.movement_id AND c.movement_id ORDER BY m.movement_id LIMIT 1) FROM ("
		"SELECT e.movement_id, -sum(e.quantity)::bigint, min(e.entry_id) AS first, max(e.source_kind), max(e.source_id) FROM oms.stock_cost e "
		"WHERE e.merchant_id = $1 AND e.item_id = $3 AND e.location_id = $2 AND e.entry_id > $5 "
		"AND (e.layer_id = $4 OR $4 IS NULL) AND e.quantity < 0 AND ($4 IS NOT NULL OR e.kind <> 'settlement' OR NOT EXISTS ("
		"SELECT FROM oms.stock_cost o WHERE o.merchant_id = $1 AND o.movement_id = e.movement_id AND o.kind = 'movement' AND o.entry_id > $5)) "
		"GROUP BY 1) c ORDER BY c.first",
		5, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID}
	},
	[ST_UNDER_WAY] = {
		"SELECT quantity FROM oms.cost_transit WHERE merchant_id = $1 AND item_id = $2 AND source_kind = $3 AND source_id = $4 FOR UPDATE",
		4, {INT4OID, INT8OID, TEXTOID, INT8OID}
	},
	[ST_ADD_UNDER_WAY] = {
		"UPDATE oms.cost_transit SET value = value + $5 WHERE merchant_id = $1 AND item_id = $2 AND source_kind = $3 AND source_id = $4",
		5, {INT4OID, INT8OID, TEXTOID, INT8OID, NUMERICOID}
	},
	[ST_ARRIVALS] = {
		"SELECT e.location_id, e.item_id, e.movement_id, e.entry_id, coalesce(e.layer_id, e.entry_id), e.quantity FROM oms.stock_cost e "
		"WHERE e.merchant_id = $1 AND e.item_id = $2 AND e.source_kind = $3 AND e.source_id = $4 AND e.kind = 'movement' "
		"AND e.quantity > 0 AND e.entry_id > $5 ORDER BY e.entry_id",
		5, {INT4OID, INT8OID, TEXTOID, INT8OID, INT8OID}
	},
	/* What came back of shipments since they left.  By source, however many rows the item has: + 0 keeps the plan to that index. */
	[ST_RETURNS] = {
		"SELECT e.location_id, e.item_id, e.movement_id, e.entry_id, coalesce(e.layer_id, e.entry_id), e.quantity, c.n::int, s.order_id "
		"FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY c (shipment_id, entry_id, n) "
		"JOIN oms.shipment s ON s.merchant_id = $1 AND s.shipment_id = c.shipment_id "
		"JOIN oms.return_order r ON r.merchant_id = $1 AND r.order_id = s.order_id "
		"JOIN oms.stock_cost e ON e.merchant_id = $1 AND e.source_id = r.return_id AND e.source_kind = 'return' AND e.kind = 'movement' "
		"AND e.quantity > 0 AND e.item_id + 0 = $2 AND e.entry_id + 0 > c.entry_id ORDER BY c.n, e.entry_id",
		4, {INT4OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_STILL_OUT] = {
		"SELECT coalesce(-sum(e.quantity), 0)::bigint FROM (SELECT 'shipment' AS kind, shipment_id AS id FROM oms.shipment "
		"WHERE merchant_id = $1 AND order_id = $3 UNION ALL SELECT 'return', return_id FROM oms.return_order "
		"WHERE merchant_id = $1 AND order_id = $3) x "
		"JOIN oms.stock_cost e ON e.merchant_id = $1 AND e.source_id = x.id AND e.source_kind = x.kind AND e.item_id + 0 = $2",
		3, {INT4OID, INT8OID, INT8OID}
	},
	/* The shares of those who took units: one row each, as oms_cost_entry() writes it. */
	[ST_SHARES] = {
		"INSERT INTO oms.stock_cost (merchant_id, location_id, item_id, movement_id, layer_id, quantity, source_id, landed_cost_id, at, value, "
		"kind, source_kind) SELECT $1, $2, $3, nullif(c.movement_id, 0), $4, 0, nullif(c.source_id, 0), $5, $6, -c.share * $7, 'landed', "
		"nullif(c.source_kind, '') "
		"FROM unnest($8::bigint[], $9::bigint[], $10::bigint[], $11::text[]) WITH ORDINALITY c (movement_id, share, source_id, source_kind, n) "
		"ORDER BY c.n",
		11, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, NUMERICOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID}
	},
};

/* Units that came: of a receipt, or that arrived or came back. */
typedef struct Receipt
{
	int32		location;
	int64		item;
	int64		movement;
	int64		entry;
	int64		layer;
	int64		quantity;
} Receipt;

/* A movement that took units, and its share. */
typedef struct Consumer
{
	int64		movement;
	int64		entry;
	char	   *kind;			/* null: no movement */
	char	   *source_kind;	/* empty: none */
	int64		source_id;
	int64		share;
} Consumer;

static void
read_receipt(uint64 row, Receipt *receipt)
{
	receipt->location = oms_get_int32(row, 1);
	receipt->item = oms_get_int64(row, 2);
	receipt->movement = oms_get_int64(row, 3);
	receipt->entry = oms_get_int64(row, 4);
	receipt->layer = oms_get_int64(row, 5);
	receipt->quantity = oms_get_int64(row, 6);
}

static void land(int32 merchant, const Receipt *receipt, int64 amount, int64 landed);

/* Gives a share to units that arrived or came back, and to those that did not (stay), by units; returns the part of these. */
static int64
land_arrivals(int32 merchant, const Receipt *arrivals, int n, int64 stay, int64 share, int64 landed)
{
	int64	   *weights = palloc((n + 1) * sizeof(int64));
	int64	   *shares = palloc((n + 1) * sizeof(int64));
	int			i;

	for (i = 0; i < n; i++)
		weights[i] = arrivals[i].quantity;
	weights[n] = stay;
	(void) oms_prorate(share, weights, n + 1, shares);
	for (i = 0; i < n; i++)
		land(merchant, &arrivals[i], shares[i], landed);
	return shares[n];
}

/* Units that left by a transfer are under way or arrived by now: they take their part along. */
static void
follow_transfer(const OmsCost *cost, const Consumer *consumer, int64 landed)
{
	Datum		values[5];
	Receipt    *arrivals;
	uint64		rows;
	uint64		i;
	int64		stay = 0;
	int64		share;

	values[0] = Int32GetDatum(cost->merchant);
	values[1] = Int64GetDatum(cost->item);
	values[2] = CStringGetTextDatum(consumer->source_kind);
	values[3] = Int64GetDatum(consumer->source_id);
	if (oms_run_guarded(&statements[ST_UNDER_WAY], values, NULL) > 0)
		stay = oms_get_int64(0, 1);
	values[4] = Int64GetDatum(consumer->entry);
	rows = oms_run(&statements[ST_ARRIVALS], values, NULL);
	arrivals = palloc((rows + 1) * sizeof(Receipt));
	for (i = 0; i < rows; i++)
		read_receipt(i, &arrivals[i]);
	share = land_arrivals(cost->merchant, arrivals, (int) rows, stay, consumer->share, landed);
	if (stay > 0)
	{
		values[4] = oms_scaled_to_numeric(share, cost->exponent);
		oms_run_guarded(&statements[ST_ADD_UNDER_WAY], values, NULL);
	}
}

/* Units that were shipped and came back from their order take their part along. */
static void
follow_shipments(const OmsCost *cost, const Consumer *consumers, int n, int64 landed)
{
	int64	   *shipments = palloc((n + 1) * sizeof(int64));
	int64	   *entries = palloc((n + 1) * sizeof(int64));
	int64	   *shares = palloc((n + 1) * sizeof(int64));
	Datum		values[4] = {Int32GetDatum(cost->merchant), Int64GetDatum(cost->item)};
	Receipt    *arrivals;
	int64	   *orders;
	int32	   *of;
	int			nshipments = 0;
	int			rows;
	int			next;
	int			i;

	for (i = 0; i < n; i++)
		if (consumers[i].share != 0 && consumers[i].kind != NULL && strcmp(consumers[i].source_kind, "shipment") == 0)
		{
			shipments[nshipments] = consumers[i].source_id;
			entries[nshipments] = consumers[i].entry;
			shares[nshipments++] = consumers[i].share;
		}
	if (nshipments == 0)
		return;
	values[2] = oms_int8_array(shipments, nshipments);
	values[3] = oms_int8_array(entries, nshipments);
	rows = (int) oms_run(&statements[ST_RETURNS], values, NULL);
	arrivals = palloc((rows + 1) * sizeof(Receipt));
	orders = palloc((rows + 1) * sizeof(int64));
	of = palloc((rows + 1) * sizeof(int32));
	for (i = 0; i < rows; i++)
	{
		read_receipt(i, &arrivals[i]);
		of[i] = oms_get_int32(i, 7);
		orders[i] = oms_get_int64(i, 8);
	}
	for (i = 0; i < rows; i = next)
	{
		for (next = i; next < rows && of[next] == of[i]; next++)
			;
		values[2] = Int64GetDatum(orders[i]);
		oms_run(&statements[ST_STILL_OUT], values, NULL);
		(void) land_arrivals(cost->merchant, &arrivals[i], next - i, Max(oms_get_int64(0, 1), 0), shares[of[i] - 1], landed);
	}
}

/* Writes what those who took units have to bear. */
static void
write_shares(OmsCost *cost, const Receipt *receipt, const Consumer *consumers, int n, int64 landed)
{
	int64	   *movements = palloc((n + 1) * sizeof(int64));
	int64	   *shares = palloc((n + 1) * sizeof(int64));
	int64	   *sources = palloc((n + 1) * sizeof(int64));
	Datum	   *kinds = palloc((n + 1) * sizeof(Datum));
	int			nshares = 0;
	Datum		values[11];
	int			i;

	for (i = 0; i < n; i++)
		if (consumers[i].share != 0)
		{
			movements[nshares] = consumers[i].movement;
			sources[nshares] = consumers[i].source_id;
			kinds[nshares] = CStringGetTextDatum(consumers[i].source_kind);
			shares[nshares++] = consumers[i].share;
			cost->value = oms_money_add(cost->value, -consumers[i].share);
		}
	if (nshares == 0)
		return;
	values[0] = Int32GetDatum(cost->merchant);
	values[1] = Int32GetDatum(cost->location);
	values[2] = Int64GetDatum(cost->item);
	values[3] = Int64GetDatum(receipt->layer);
	values[4] = Int64GetDatum(landed);
	values[5] = TimestampTzGetDatum(oms_now());
	values[6] = oms_scaled_to_numeric(1, cost->exponent);
	values[7] = oms_int8_array(movements, nshares);
	values[8] = oms_int8_array(shares, nshares);
	values[9] = oms_int8_array(sources, nshares);
	values[10] = PointerGetDatum(construct_array(kinds, nshares, TEXTOID, -1, false, TYPALIGN_INT));
	oms_run_guarded(&statements[ST_SHARES], values, NULL);
}

/*
 * Who took units of the receipt, and what of the amount each has to bear.  In
 * a pool, where units are not told apart, those that were there before are
 * taken to have left before; later: units that came since.
 */
static Consumer *
read_consumers(const OmsCost *cost, const Receipt *receipt, bool by_layer, int64 later, int64 amount, int *n)
{
	Datum		values[5];
	char		nulls[5] = {' ', ' ', ' ', by_layer ? ' ' : 'n', ' '};
	Consumer   *consumers;
	int64	   *weights;
	int64	   *shares;
	int64		before = by_layer ? 0 : cost->quantity - later - receipt->quantity;
	int64		left = receipt->quantity;
	int			i;

	values[0] = Int32GetDatum(cost->merchant);
	values[1] = Int32GetDatum(cost->location);
	values[2] = Int64GetDatum(cost->item);
	values[3] = Int64GetDatum(receipt->layer);
	values[4] = Int64GetDatum(receipt->entry);
	*n = (int) oms_run(&statements[ST_CONSUMERS], values, nulls);
	consumers = palloc((*n + 1) * sizeof(Consumer));
	weights = palloc((*n + 1) * sizeof(int64));
	shares = palloc((*n + 1) * sizeof(int64));
	for (i = 0; i < *n; i++)
	{
		consumers[i].movement = oms_get_int64(i, 1);
		weights[i] = oms_get_int64(i, 2);
		consumers[i].entry = oms_get_int64(i, 3);
		consumers[i].source_kind = oms_is_null(i, 4) ? "" : oms_get_text(i, 4);
		consumers[i].source_id = oms_get_int64(i, 5);
		consumers[i].kind = oms_get_text(i, 6);
		before += by_layer ? 0 : weights[i];
	}
	for (i = 0; i < *n && !by_layer; i++)
	{
		int64		older = Min(Max(before, 0), weights[i]);

		before -= older;
		weights[i] = Min(weights[i] - older, left);
		left -= weights[i];
	}
	(void) oms_prorate(amount, weights, *n, shares);
	for (i = 0; i < *n; i++)
		consumers[i].share = shares[i];
	return consumers;
}

/*
 * Adds an amount to units that came.  Those that are still there make stock
 * dearer; those that left, what they left with.
 */
static void
land(int32 merchant, const Receipt *receipt, int64 amount, int64 landed)
{
	OmsCost		cost;
	OmsCostLayer layer = {0};
	Consumer   *consumers;
	Datum		values[5];
	int64		here;
	int64		later;
	int64		stays;
	bool		by_layer;
	int			n = 0;
	int			i;

	check_stack_depth();
	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(receipt->item);
	values[2] = Int32GetDatum(receipt->location);
	oms_run(&statements[ST_LOCK], values, NULL);
	oms_cost_load(&cost, merchant, receipt->location, receipt->item, 0);
	values[1] = Int32GetDatum(receipt->location);
	values[2] = Int64GetDatum(receipt->item);
	values[3] = Int64GetDatum(receipt->layer);
	values[4] = Int64GetDatum(receipt->entry);
	oms_run(&statements[ST_USED], values, NULL);
	here = Max(oms_get_int64(0, 1), 0);
	later = oms_get_int64(0, 3);
	/* A layer that was pooled since is no longer told apart. */
	by_layer = !cost.pooled && here + oms_get_int64(0, 2) >= receipt->quantity;
	if (!by_layer)
		here = Max(cost.quantity - later, 0);
	here = Min(here, receipt->quantity);
	stays = oms_cost_share(&cost, amount, here, receipt->quantity);
	if (here > 0)
		(void) oms_cost_layers(&cost, by_layer ? receipt->layer - 1 : 0, &layer, 1);
	(void) oms_cost_entry(&cost, "landed", receipt->movement, receipt->layer, 0, amount, landed);
	consumers = read_consumers(&cost, receipt, by_layer, later, amount - stays, &n);
	write_shares(&cost, receipt, consumers, n, landed);
	if (stays != 0)
	{
		if (layer.value + stays < 0)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("item " INT64_FORMAT " at location %d would be worth less than nothing", cost.item, cost.location),
					 errdetail("Its receipt by movement " INT64_FORMAT " would lose more than it cost.", receipt->movement),
					 errhint("Add a smaller rebate.")));
		oms_cost_layer_change(&cost, &layer, layer.quantity, layer.value + stays);
	}
	oms_cost_save(&cost);
	for (i = 0; i < n; i++)
		if (consumers[i].share != 0 && consumers[i].kind != NULL && strcmp(consumers[i].kind, "transfer") == 0)
			follow_transfer(&cost, &consumers[i], landed);
	follow_shipments(&cost, consumers, n, landed);
}

/* The receipts that a landed cost is spread over, and what weighs each.  OM002, OM012, OM016, OM017. */
static Receipt *
read_receipts(int32 merchant, Datum movements, const char *basis, int64 **weights, char *currency, int *n)
{
	Datum		values[2] = {Int32GetDatum(merchant), movements};
	ArrayType  *array = DatumGetArrayTypeP(movements);
	Receipt    *receipts;
	Datum	   *wanted;
	bool	   *nulls;
	int			nwanted;
	int			i;
	int			j;

	oms_run(&statements[ST_LOCK_ITEMS], values, NULL);
	*n = (int) oms_run(&statements[ST_RECEIPTS], values, NULL);
	receipts = palloc((*n + 1) * sizeof(Receipt));
	*weights = palloc((*n + 1) * sizeof(int64));
	deconstruct_array(array, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &wanted, &nulls, &nwanted);
	for (i = 0; i < nwanted; i++)
	{
		for (j = 0; j < *n && !nulls[i] && oms_get_int64(j, 3) != DatumGetInt64(wanted[i]); j++)
			;
		if (nulls[i] || j == *n)
			oms_error_unknown("costed receipt by movement", merchant, nulls[i] ? 0 : DatumGetInt64(wanted[i]));
	}
	if (*n == 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"movements\" is empty"),
				 errdetail("A cost is added to one receipt or more.")));
	strlcpy(currency, oms_get_text(0, 9), 4);
	for (i = 0; i < *n; i++)
	{
		bool		isnull;
		bool		fits = true;

		read_receipt(i, &receipts[i]);
		if (strcmp(oms_get_text(i, 9), currency) != 0)
			ereport(ERROR,
					(errcode(OMS_CURRENCY),
					 errmsg("receipts in %s and %s cannot share a cost", currency, oms_get_text(i, 9)),
					 errhint("Add the costs apart.")));
		if (strcmp(basis, "quantity") == 0)
			(*weights)[i] = receipts[i].quantity;
		else if (strcmp(basis, "value") == 0)
			(*weights)[i] = oms_numeric_to_scaled(oms_get(i, 7, &isnull), 4, "value");
		else if (oms_is_null(i, 8))
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("item " INT64_FORMAT " has no weight", receipts[i].item),
					 errdetail("A cost is to be spread by weight."),
					 errhint("Set weight_g of the item, or spread by value or quantity.")));
		else
			fits = !pg_mul_s64_overflow(oms_get_int32(i, 8), receipts[i].quantity, &(*weights)[i]);
		if (!fits)
			ereport(ERROR,
					(errcode(OMS_MONEY_RANGE),
					 errmsg("movement " INT64_FORMAT " is too heavy", receipts[i].movement),
					 errhint("Check weight_g of item " INT64_FORMAT ", or spread by quantity.", receipts[i].item)));
	}
	return receipts;
}

static void
announce(int32 merchant, const char *type, const char *subject, int64 id, OmsJson *json)
{
	OmsEvent	event = {0};

	event.merchant = merchant;
	event.subject_type = subject;
	event.subject_id = id;
	event.type = type;
	event.data = oms_json_end(json);
	oms_event_write(&event);
}

/*
 * add_landed_cost(merchant, movements, amount, cause, basis, request_key,
 * actor, reason).  Locks the stock of the items at all locations.  Raises
 * OM002, OM007, OM008, OM010, OM011, OM012, OM016, OM017.
 */
Datum
oms_add_landed_cost(PG_FUNCTION_ARGS)
{
	char	   *cause;
	char	   *basis;
	char		currency[4];
	OmsCall		call;
	OmsJson		json;
	Receipt    *receipts;
	Datum		values[7];
	int64	   *weights;
	int64	   *shares;
	int64		amount;
	int64		landed;
	int			exponent;
	int			n;
	int			i;

	oms_arg_require(fcinfo, 1, "movements");
	oms_arg_require(fcinfo, 2, "amount");
	cause = oms_arg_text(fcinfo, 3, "cause", OMS_TEXT_LENGTH);
	basis = oms_arg_text(fcinfo, 4, "basis", OMS_KEY_LENGTH);
	if (strcmp(basis, "value") != 0 && strcmp(basis, "quantity") != 0 && strcmp(basis, "weight") != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"basis\" cannot be \"%s\"", basis),
				 errdetail("Allowed: value, quantity, weight.")));
	if (oms_call_repeated(fcinfo, "add_landed_cost", 5, &call, &landed))
		PG_RETURN_INT64(landed);
	receipts = read_receipts(call.merchant, PG_GETARG_DATUM(1), basis, &weights, currency, &n);
	exponent = oms_currency_exponent(currency);
	amount = oms_numeric_to_scaled(PG_GETARG_DATUM(2), exponent, "argument \"amount\"");
	if (amount == 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"amount\" is 0"),
				 errdetail("A cost is above 0, a rebate below.")));
	values[0] = Int32GetDatum(call.merchant);
	values[1] = oms_scaled_to_numeric(amount, exponent);
	values[2] = CStringGetTextDatum(currency);
	values[3] = CStringGetTextDatum(basis);
	values[4] = CStringGetTextDatum(cause);
	values[5] = CStringGetTextDatum(call.actor);
	values[6] = TimestampTzGetDatum(oms_now());
	oms_run_guarded(&statements[ST_LANDED], values, NULL);
	landed = oms_get_int64(0, 1);
	shares = palloc(n * sizeof(int64));
	(void) oms_prorate(amount, weights, n, shares);
	for (i = 0; i < n; i++)
	{
		values[1] = Int64GetDatum(landed);
		values[2] = Int64GetDatum(receipts[i].movement);
		values[3] = oms_scaled_to_numeric(shares[i], exponent);
		oms_run_guarded(&statements[ST_LANDED_RECEIPT], values, NULL);
		if (shares[i] != 0)
			land(call.merchant, &receipts[i], shares[i], landed);
	}
	oms_json_begin(&json);
	oms_json_add_text(&json, "basis", basis);
	oms_json_add_text(&json, "cause", cause);
	oms_json_add_scaled(&json, "amount", amount, exponent);
	oms_json_add_text(&json, "currency", currency);
	announce(call.merchant, "cost.landed", "landed_cost", landed, &json);
	oms_call_done(&call, landed);
	PG_RETURN_INT64(landed);
}

/* Gives the layers the new value, by units: each boundary is rounded once, so that they sum to it. */
static void
revalue_layers(const OmsCost *cost, int64 value)
{
	OmsCostLayer layers[16];
	int64		after = 0;
	int64		units = 0;
	int64		given = 0;
	int			n;
	int			i;

	do
	{
		n = oms_cost_layers(cost, after, layers, lengthof(layers));
		for (i = 0; i < n; i++)
		{
			int64		upto;

			units += layers[i].quantity;
			upto = oms_cost_share(cost, value, units, cost->quantity);
			oms_cost_layer_change(cost, &layers[i], layers[i].quantity, upto - given);
			given = upto;
			after = layers[i].id;
		}
	} while (n == lengthof(layers));
}

/*
 * revalue_stock(merchant, item, location, unit_cost, request_key, actor,
 * reason).  Locks the row of stock.  Returns the change of value.  Raises
 * OM002, OM008, OM010, OM011, OM017.
 */
Datum
oms_revalue_stock(PG_FUNCTION_ARGS)
{
	int64		item = oms_arg_int64(fcinfo, 1, "item");
	int32		location = oms_arg_int32(fcinfo, 2, "location");
	OmsCall		call;
	OmsCost		cost;
	OmsJson		json;
	Datum		values[3];
	int64		unit_cost;
	int64		before;
	int64		entry;
	int64		value;

	oms_arg_require(fcinfo, 3, "unit_cost");
	unit_cost = oms_numeric_to_scaled(oms_arg_unit_cost(fcinfo, 3), OMS_PRICE_SCALE, "unit cost");
	if (oms_call_repeated(fcinfo, "revalue_stock", 4, &call, &entry))
		PG_RETURN_INT64(entry);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(item);
	values[2] = Int32GetDatum(location);
	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("stock of item", call.merchant, item);
	oms_cost_load(&cost, call.merchant, location, item, 0);
	if (cost.quantity <= 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item " INT64_FORMAT " has nothing on hand at location %d", item, location),
				 errdetail("On hand: " INT64_FORMAT ".", cost.quantity),
				 errhint("What is not there has no value; the next receipt brings its own.")));
	value = oms_money_amount(unit_cost, cost.quantity, cost.exponent, cost.rounding);
	before = cost.value;
	revalue_layers(&cost, value);
	entry = oms_cost_entry(&cost, "revaluation", 0, 0, 0, value - before, 0);
	cost.unit_cost = unit_cost;
	oms_cost_save(&cost);
	oms_json_begin(&json);
	oms_json_add_scaled(&json, "to", value, cost.exponent);
	oms_json_add_scaled(&json, "from", before, cost.exponent);
	oms_json_add_text(&json, "currency", cost.currency);
	oms_json_add_int(&json, "location", location);
	oms_json_add_int(&json, "quantity", cost.quantity);
	announce(call.merchant, "stock.revalued", "item", item, &json);
	oms_call_done(&call, entry);
	PG_RETURN_INT64(entry);
}
