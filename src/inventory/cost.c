/*-------------------------------------------------------------------------
 * cost.c
 *	  The cost of movements: moving average and first in, first out, in whole
 *	  minor units.  Both keep layers of (units, value); the average has one.
 *	  What leaves a layer takes its share, rounded once, and the last unit all
 *	  the rest, so that no units are worth exactly nothing.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "core/cache.h"
#include "core/config.h"
#include "core/guard.h"
#include "core/money.h"
#include "inventory/cost.h"

enum
{
	ST_METHODS,
	ST_STATE,
	ST_MOVEMENT,
	ST_ENTRY,
	ST_SAVE,
	ST_LAYERS,
	ST_LAYER_NEW,
	ST_LAYER_CHANGE,
	ST_LAYER_DROP,
	ST_POOL,
	ST_DEPARTED,
	ST_TRANSIT,
	ST_ARRIVED,
	ST_SHIPPED
};

static OmsStatement statements[] = {
	[ST_METHODS] = {"SELECT merchant_id, item_id, method FROM oms.item_costing", 0, {0}},
	/* an item new at a location is worth what it is where most of it lies */
	[ST_STATE] = {
		"SELECT coalesce(s.on_hand, 0), c.quantity, c.value, coalesce(c.unit_cost, (SELECT o.unit_cost FROM oms.item_cost o "
		"WHERE o.merchant_id = $1 AND o.item_id = $3 ORDER BY o.quantity DESC, o.location_id LIMIT 1), 0), "
		"coalesce(c.currency, m.currency) FROM oms.merchant m "
		"LEFT JOIN oms.stock s ON s.merchant_id = $1 AND s.item_id = $3 AND s.location_id = $2 "
		"LEFT JOIN oms.item_cost c ON c.merchant_id = $1 AND c.item_id = $3 AND c.location_id = $2 WHERE m.merchant_id = $1",
		3, {INT4OID, INT4OID, INT8OID}
	},
	[ST_MOVEMENT] = {
		"SELECT kind, unit_cost, source_kind, source_id FROM oms.stock_movement "
		"WHERE merchant_id = $1 AND item_id = $3 AND location_id = $2 AND movement_id = $4",
		4, {INT4OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_ENTRY] = {
		"INSERT INTO oms.stock_cost (merchant_id, location_id, item_id, movement_id, layer_id, quantity, source_id, landed_cost_id, "
		"at, value, kind, source_kind) SELECT $1, $2, $3, $4, $5, $6, m.source_id, $7, "
		"CASE WHEN $10 = 'movement' THEN m.at ELSE $8 END, $9, $10, m.source_kind FROM (SELECT) one "
		"LEFT JOIN oms.stock_movement m ON m.merchant_id = $1 AND m.item_id = $3 AND m.location_id = $2 AND m.movement_id = $4 "
		"RETURNING entry_id",
		10, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, NUMERICOID, TEXTOID}
	},
	[ST_SAVE] = {
		"INSERT INTO oms.item_cost (merchant_id, location_id, item_id, quantity, value, unit_cost, currency) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (merchant_id, item_id, location_id) DO UPDATE "
		"SET quantity = excluded.quantity, value = excluded.value, unit_cost = excluded.unit_cost",
		7, {INT4OID, INT4OID, INT8OID, INT8OID, NUMERICOID, NUMERICOID, TEXTOID}
	},
	[ST_LAYERS] = {
		"SELECT layer_id, movement_id, quantity, value FROM oms.cost_layer "
		"WHERE merchant_id = $1 AND item_id = $3 AND location_id = $2 AND layer_id > $4 ORDER BY layer_id",
		4, {INT4OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_LAYER_NEW] = {
		"INSERT INTO oms.cost_layer (merchant_id, location_id, item_id, layer_id, movement_id, quantity, value) "
		"VALUES ($1, $2, $3, $4, nullif($5, 0), $6, $7)",
		7, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, NUMERICOID}
	},
	[ST_LAYER_CHANGE] = {
		"UPDATE oms.cost_layer SET quantity = $5, value = $6 "
		"WHERE merchant_id = $1 AND item_id = $3 AND location_id = $2 AND layer_id = $4",
		6, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, NUMERICOID}
	},
	[ST_LAYER_DROP] = {
		"DELETE FROM oms.cost_layer WHERE merchant_id = $1 AND item_id = $3 AND location_id = $2 AND layer_id = $4",
		4, {INT4OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_POOL] = {
		"DELETE FROM oms.cost_layer WHERE merchant_id = $1 AND item_id = $3 AND location_id = $2 AND layer_id > $4",
		4, {INT4OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_DEPARTED] = {
		"INSERT INTO oms.cost_transit AS t (merchant_id, item_id, source_kind, source_id, quantity, value, currency) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (merchant_id, item_id, source_kind, source_id) DO UPDATE "
		"SET quantity = t.quantity + excluded.quantity, value = t.value + excluded.value",
		7, {INT4OID, INT8OID, TEXTOID, INT8OID, INT8OID, NUMERICOID, TEXTOID}
	},
	[ST_TRANSIT] = {
		"SELECT quantity, value, currency FROM oms.cost_transit "
		"WHERE merchant_id = $1 AND item_id = $2 AND source_kind = $3 AND source_id = $4 FOR UPDATE",
		4, {INT4OID, INT8OID, TEXTOID, INT8OID}
	},
	[ST_ARRIVED] = {
		"UPDATE oms.cost_transit SET quantity = quantity - $5, value = value - $6 "
		"WHERE merchant_id = $1 AND item_id = $2 AND source_kind = $3 AND source_id = $4",
		6, {INT4OID, INT8OID, TEXTOID, INT8OID, INT8OID, NUMERICOID}
	},
	/* of the order that a return or shipment belongs to: what of the item is still out, and what it cost */
	[ST_SHIPPED] = {
		"SELECT coalesce(-sum(e.quantity), 0)::bigint, -sum(e.value) FROM oms.stock_cost e "
		"WHERE e.merchant_id = $1 AND e.item_id = $2 AND ("
		"(e.source_kind = 'shipment' AND e.source_id = ANY (ARRAY(SELECT s.shipment_id FROM oms.shipment s "
		"WHERE s.merchant_id = $1 AND s.order_id = $3))) OR "
		"(e.source_kind = 'return' AND e.source_id = ANY (ARRAY(SELECT r.return_id FROM oms.return_order r "
		"WHERE r.merchant_id = $1 AND r.order_id = $3))))",
		3, {INT4OID, INT8OID, INT8OID}
	},
};

/* Of the movement at work. */
typedef struct Movement
{
	int64		id;
	int64		quantity;
	char	   *kind;
	bool		has_cost;
	int64		unit_cost;		/* scaled */
	char	   *source_kind;	/* empty: none */
	int64		source_id;
} Movement;

typedef struct MethodKey
{
	int64		item;
	int64		merchant;		/* as wide as item: the key has no padding */
} MethodKey;

typedef struct Method
{
	MethodKey	key;
	char		method;			/* first letter */
} Method;

/* Items with a method of their own; data is null where there are none. */
static OmsCache cache = {
	.name = "costing",
	.tables = {"item_costing"},
};

static void
load_methods(void)
{
	HASHCTL		ctl = {0};
	uint64		rows;
	uint64		i;

	PG_TRY();
	{
		oms_begin();
		rows = oms_run(&statements[ST_METHODS], NULL, NULL);
		if (rows > 0)
		{
			ctl.keysize = sizeof(MethodKey);
			ctl.entrysize = sizeof(Method);
			ctl.hcxt = cache.context;
			cache.data = hash_create("oms costing", (long) rows, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		for (i = 0; i < rows; i++)
		{
			MethodKey	key = {oms_get_int64(i, 2), oms_get_int32(i, 1)};
			Method	   *method = hash_search(cache.data, &key, HASH_ENTER, NULL);

			method->method = oms_get_text(i, 3)[0];
		}
		oms_end();
	}
	PG_CATCH();
	{
		cache.valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* n(one), a(verage) or f(ifo). */
static char
costing_method(int32 merchant, int64 item)
{
	MethodKey	key = {item, merchant};
	Method	   *method = NULL;

	if (!oms_cache_fresh(&cache))
		load_methods();
	if (cache.data != NULL)
		method = hash_search(cache.data, &key, HASH_FIND, NULL);
	return method != NULL ? method->method : oms_setting(merchant, 0, "costing")[0];
}

int64
oms_cost_share(const OmsCost *cost, int64 value, int64 part, int64 whole)
{
	int64		share = value;

	if (part != whole)
		(void) oms_mul_div(value, part, whole, cost->rounding, &share);
	return share;
}

/* The first arguments of most statements: which item where. */
static void
place(const OmsCost *cost, Datum *values)
{
	values[0] = Int32GetDatum(cost->merchant);
	values[1] = Int32GetDatum(cost->location);
	values[2] = Int64GetDatum(cost->item);
}

int64
oms_cost_entry(OmsCost *cost, const char *kind, int64 movement, int64 layer, int64 quantity, int64 value, int64 landed)
{
	Datum		values[10];
	char		nulls[10];

	memset(nulls, ' ', sizeof(nulls));
	place(cost, values);
	values[3] = Int64GetDatum(movement);
	nulls[3] = movement == 0 ? 'n' : ' ';
	values[4] = Int64GetDatum(layer);
	nulls[4] = layer == 0 ? 'n' : ' ';
	values[5] = Int64GetDatum(quantity);
	values[6] = Int64GetDatum(landed);
	nulls[6] = landed == 0 ? 'n' : ' ';
	values[7] = TimestampTzGetDatum(oms_now());
	values[8] = oms_scaled_to_numeric(value, cost->exponent);
	values[9] = CStringGetTextDatum(kind);
	oms_run_guarded(&statements[ST_ENTRY], values, nulls);
	cost->quantity += quantity;
	cost->value = oms_money_add(cost->value, value);
	return oms_get_int64(0, 1);
}

static void
new_layer(const OmsCost *cost, int64 id, int64 movement, int64 quantity, int64 value)
{
	Datum		values[7];

	place(cost, values);
	values[3] = Int64GetDatum(id);
	values[4] = Int64GetDatum(movement);
	values[5] = Int64GetDatum(quantity);
	values[6] = oms_scaled_to_numeric(value, cost->exponent);
	oms_run_guarded(&statements[ST_LAYER_NEW], values, NULL);
}

/* Gives a layer another content; one without units goes. */
void
oms_cost_layer_change(const OmsCost *cost, const OmsCostLayer *layer, int64 quantity, int64 value)
{
	Datum		values[6];

	place(cost, values);
	values[3] = Int64GetDatum(layer->id);
	values[4] = Int64GetDatum(quantity);
	values[5] = oms_scaled_to_numeric(value, cost->exponent);
	oms_run_guarded(&statements[quantity == 0 ? ST_LAYER_DROP : ST_LAYER_CHANGE], values, NULL);
}

int
oms_cost_layers(const OmsCost *cost, int64 after, OmsCostLayer *layers, int n)
{
	Datum		values[4];
	int			rows;
	int			i;
	bool		isnull;

	place(cost, values);
	values[3] = Int64GetDatum(after);
	rows = (int) oms_run_limit(&statements[ST_LAYERS], values, NULL, n);
	for (i = 0; i < rows; i++)
	{
		layers[i].id = oms_get_int64(i, 1);
		layers[i].movement = oms_get_int64(i, 2);
		layers[i].quantity = oms_get_int64(i, 3);
		layers[i].value = oms_numeric_to_scaled(oms_get(i, 4, &isnull), cost->exponent, "value");
	}
	/* It was first in, first out until now. */
	if (cost->pooled && rows > 0 && after == 0 && layers[0].quantity > 0 && layers[0].quantity != cost->quantity)
	{
		values[3] = Int64GetDatum(layers[0].id);
		oms_run_guarded(&statements[ST_POOL], values, NULL);
		layers[0].quantity = cost->quantity;
		layers[0].value = cost->value;
		oms_cost_layer_change(cost, &layers[0], cost->quantity, cost->value);
		return 1;
	}
	return rows;
}

#define LAYERS 16

/* Units leave: of the layers in their order; those that are not there at the unit cost, until a receipt covers them. */
static void
issue(OmsCost *cost, const char *kind, int64 movement, int64 units)
{
	OmsCostLayer layers[LAYERS];
	int64		after = 0;
	int64		value;
	int			n;
	int			i;

	while (units > 0 && cost->quantity > 0)
	{
		n = oms_cost_layers(cost, after, layers, LAYERS);
		for (i = 0; i < n && units > 0; i++)
		{
			int64		take = Min(units, layers[i].quantity);

			value = oms_cost_share(cost, layers[i].value, take, layers[i].quantity);
			(void) oms_cost_entry(cost, kind, movement, layers[i].id, -take, -value, 0);
			oms_cost_layer_change(cost, &layers[i], layers[i].quantity - take, layers[i].value - value);
			after = layers[i].id;
			units -= take;
		}
		if (n == 0)
			break;
	}
	if (units > 0)
	{
		value = oms_money_amount(cost->unit_cost, units, cost->exponent, cost->rounding);
		new_layer(cost, oms_cost_entry(cost, kind, movement, 0, -units, -value, 0), movement, -units, -value);
	}
}

/*
 * Units that left a shelf below zero get the cost of those that have come now:
 * the provisional cost goes, the true one comes.
 */
static void
settle(OmsCost *cost, int64 layer, int64 *units, int64 *value)
{
	OmsCostLayer owed[LAYERS];
	int64		after = 0;
	int			n;
	int			i;

	do
	{
		n = oms_cost_layers(cost, after, owed, LAYERS);
		for (i = 0; i < n && *units > 0 && owed[i].quantity < 0; i++)
		{
			int64		take = Min(*units, -owed[i].quantity);
			int64		provisional = oms_cost_share(cost, -owed[i].value, take, -owed[i].quantity);
			int64		actual = oms_cost_share(cost, *value, take, *units);

			(void) oms_cost_entry(cost, "settlement", owed[i].movement, owed[i].id, take, provisional, 0);
			(void) oms_cost_entry(cost, "settlement", owed[i].movement, layer, -take, -actual, 0);
			oms_cost_layer_change(cost, &owed[i], owed[i].quantity + take, owed[i].value + provisional);
			after = owed[i].id;
			*units -= take;
			*value -= actual;
		}
	} while (n == LAYERS && i == n && *units > 0);
}

/* value / units, scaled; where that does not fit it stays as it was. */
static void
set_unit_cost(OmsCost *cost, int64 value, int64 units)
{
	static const int64 scale[] = {100000000, 10000000, 1000000, 100000, 10000};

	(void) oms_mul_div(value, scale[cost->exponent], units, cost->rounding, &cost->unit_cost);
}

/* Units come, with their value. */
static void
receive(OmsCost *cost, const char *kind, int64 movement, int64 units, int64 value)
{
	OmsCostLayer pool = {0};
	bool		below = cost->quantity < 0;
	bool		pooled = cost->pooled && cost->quantity > 0 && oms_cost_layers(cost, 0, &pool, 1) > 0;
	int64		layer = oms_cost_entry(cost, kind, movement, pool.id, units, value, 0);

	if (!cost->pooled)
		set_unit_cost(cost, value, units);
	if (below)
		settle(cost, layer, &units, &value);
	if (pooled)
		oms_cost_layer_change(cost, &pool, pool.quantity + units, pool.value + value);
	else if (units > 0)
		new_layer(cost, layer, movement, units, value);
}

void
oms_cost_save(OmsCost *cost)
{
	Datum		values[7];

	if (cost->pooled && cost->quantity > 0)
		set_unit_cost(cost, cost->value, cost->quantity);
	place(cost, values);
	values[3] = Int64GetDatum(cost->quantity);
	values[4] = oms_scaled_to_numeric(cost->value, cost->exponent);
	values[5] = oms_price_to_numeric(cost->unit_cost, cost->exponent);
	values[6] = CStringGetTextDatum(cost->currency);
	oms_run_guarded(&statements[ST_SAVE], values, NULL);
}

void
oms_cost_load(OmsCost *cost, int32 merchant, int32 location, int64 item, int64 moved)
{
	char		method = costing_method(merchant, item);
	Datum		values[3];
	Datum		value;
	int64		unseen;
	bool		isnull;

	if (method == 'n')
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item " INT64_FORMAT " is not costed", item),
				 errdetail("Its costing is \"none\"."),
				 errhint("Set \"costing\" to average or fifo for the merchant, or for the item in oms.item_costing.")));
	memset(cost, 0, sizeof(*cost));
	cost->merchant = merchant;
	cost->location = location;
	cost->item = item;
	cost->pooled = method == 'a';
	cost->rounding = strcmp(oms_setting(merchant, 0, "rounding"), "half-up") == 0 ? OMS_HALF_UP : OMS_HALF_EVEN;
	place(cost, values);
	if (oms_run(&statements[ST_STATE], values, NULL) == 0)
		oms_error_unknown("merchant", merchant, merchant);
	strlcpy(cost->currency, oms_get_text(0, 5), sizeof(cost->currency));
	cost->on_hand = oms_get_int64(0, 1);
	cost->quantity = oms_get_int64(0, 2);
	cost->unit_cost = oms_numeric_to_scaled(oms_get(0, 4, &isnull), OMS_PRICE_SCALE, "unit cost");
	value = oms_get(0, 3, &isnull);
	/* Before the currency's decimals, which may have to be read. */
	if (!isnull)
		value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	cost->exponent = oms_currency_exponent(cost->currency);
	if (!isnull)
		cost->value = oms_numeric_to_scaled(value, cost->exponent, "value");
	unseen = cost->on_hand - moved - cost->quantity;
	if (unseen > 0)
		receive(cost, "opening", 0, unseen, oms_money_amount(cost->unit_cost, unseen, cost->exponent, cost->rounding));
	else if (unseen < 0)
		issue(cost, "opening", 0, -unseen);
}

/* The key of what is under way by the movement's transfer. */
static void
transit_key(const OmsCost *cost, const Movement *movement, Datum *values)
{
	values[0] = Int32GetDatum(cost->merchant);
	values[1] = Int64GetDatum(cost->item);
	values[2] = CStringGetTextDatum(movement->source_kind);
	values[3] = Int64GetDatum(movement->source_id);
}

/* A departure's cost goes along with it. */
static void
depart(const OmsCost *cost, const Movement *movement, int64 value)
{
	Datum		values[7];

	transit_key(cost, movement, values);
	values[4] = Int64GetDatum(-movement->quantity);
	values[5] = oms_scaled_to_numeric(value, cost->exponent);
	values[6] = CStringGetTextDatum(cost->currency);
	oms_run_guarded(&statements[ST_DEPARTED], values, NULL);
}

/* Takes the cost of so many units, at most, from what is under way; returns how many. */
static int64
arrive(const OmsCost *cost, const Movement *movement, int64 units, int64 *value)
{
	Datum		values[6];
	int64		under_way;
	bool		isnull;

	transit_key(cost, movement, values);
	if (oms_run_guarded(&statements[ST_TRANSIT], values, NULL) == 0 || oms_get_int64(0, 1) == 0)
		return 0;
	if (strcmp(oms_get_text(0, 3), cost->currency) != 0)
		ereport(ERROR,
				(errcode(OMS_CURRENCY),
				 errmsg("item " INT64_FORMAT " is costed in two currencies", cost->item),
				 errdetail("It left in %s and arrives in %s.", oms_get_text(0, 3), cost->currency)));
	under_way = oms_get_int64(0, 1);
	*value = oms_numeric_to_scaled(oms_get(0, 2, &isnull), cost->exponent, "value");
	units = Min(units, under_way);
	*value = oms_cost_share(cost, *value, units, under_way);
	values[4] = Int64GetDatum(units);
	values[5] = oms_scaled_to_numeric(*value, cost->exponent);
	oms_run_guarded(&statements[ST_ARRIVED], values, NULL);
	return units;
}

/* The cost of so many units, at most, that the order of a return or shipment still has; returns how many. */
static int64
come_back(const OmsCost *cost, const Movement *movement, int64 units, int64 *value)
{
	static OmsStatement of_return = {
		"SELECT order_id FROM oms.return_order WHERE merchant_id = $1 AND return_id = $2", 2, {INT4OID, INT8OID}
	};
	static OmsStatement of_shipment = {
		"SELECT order_id FROM oms.shipment WHERE merchant_id = $1 AND shipment_id = $2", 2, {INT4OID, INT8OID}
	};
	Datum		values[3] = {Int32GetDatum(cost->merchant), Int64GetDatum(movement->source_id)};
	int64		out;
	bool		isnull;

	if (oms_run(strcmp(movement->source_kind, "return") == 0 ? &of_return : &of_shipment, values, NULL) == 0)
		return 0;
	values[1] = Int64GetDatum(cost->item);
	values[2] = Int64GetDatum(oms_get_int64(0, 1));
	oms_run(&statements[ST_SHIPPED], values, NULL);
	out = oms_get_int64(0, 1);
	if (out <= 0)
		return 0;
	*value = oms_numeric_to_scaled(oms_get(0, 2, &isnull), cost->exponent, "value");
	units = Min(units, out);
	*value = oms_cost_share(cost, *value, units, out);
	return units;
}

/*
 * What the units that come are worth: what was said; what they left with, when
 * they arrive by a transfer or come back from an order; else the unit cost.
 */
static int64
incoming_value(const OmsCost *cost, const Movement *movement)
{
	int64		units = 0;
	int64		value = 0;

	if (strcmp(movement->kind, "transfer") == 0)
		units = arrive(cost, movement, movement->quantity, &value);
	else if (movement->has_cost)
		return oms_money_amount(movement->unit_cost, movement->quantity, cost->exponent, cost->rounding);
	else if (strcmp(movement->source_kind, "return") == 0 || strcmp(movement->source_kind, "shipment") == 0)
		units = come_back(cost, movement, movement->quantity, &value);
	if (units < movement->quantity)
		value = oms_money_add(value, oms_money_amount(movement->has_cost ? movement->unit_cost : cost->unit_cost,
													  movement->quantity - units, cost->exponent, cost->rounding));
	return value;
}

static void
read_movement(const OmsCost *cost, Movement *movement)
{
	Datum		values[4];
	Datum		unit_cost;
	bool		isnull;

	place(cost, values);
	values[3] = Int64GetDatum(movement->id);
	if (oms_run(&statements[ST_MOVEMENT], values, NULL) == 0)
		oms_error_unknown("movement", cost->merchant, movement->id);
	movement->kind = oms_get_text(0, 1);
	unit_cost = oms_get(0, 2, &isnull);
	movement->has_cost = !isnull;
	if (!isnull)
		movement->unit_cost = oms_numeric_to_scaled(unit_cost, OMS_PRICE_SCALE, "unit cost");
	movement->source_kind = oms_is_null(0, 3) ? "" : oms_get_text(0, 3);
	movement->source_id = oms_get_int64(0, 4);
}

void
oms_cost_movement(int32 merchant, int32 location, int64 item, int64 id, int64 quantity)
{
	Movement	movement = {id, quantity};
	OmsCost		cost;
	int64		before;

	if (costing_method(merchant, item) == 'n')
		return;
	oms_cost_load(&cost, merchant, location, item, quantity);
	read_movement(&cost, &movement);
	before = cost.value;
	if (quantity > 0)
		receive(&cost, "movement", id, quantity, incoming_value(&cost, &movement));
	else
		issue(&cost, "movement", id, -quantity);
	if (quantity < 0 && strcmp(movement.kind, "transfer") == 0)
		depart(&cost, &movement, before - cost.value);
	oms_cost_save(&cost);
}

Datum
oms_arg_unit_cost(FunctionCallInfo fcinfo, int n)
{
	int64		cost = oms_numeric_to_scaled(PG_GETARG_DATUM(n), OMS_PRICE_SCALE, "argument \"unit_cost\"");

	if (cost < 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"unit_cost\" is out of range"),
				 errdetail("A cost is 0 or more.")));
	return oms_price_to_numeric(cost, 0);
}
