/*-------------------------------------------------------------------------
 * sourcing.c
 *	  Sourcing an order: which rule decides, which locations may, what the
 *	  gate says to the choice, and the record of it.
 *
 *	  The choice is made from what the counters showed; the gate has the last
 *	  word.  What it refuses, others have taken meanwhile, or a bound forbids:
 *	  the units taken so far are put back into the transaction's own hands,
 *	  where nobody else gets them, what there is is read again, and the choice
 *	  is made anew.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"
#include "utils/date.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/rows.h"
#include "inventory/inventory.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_preview_sourcing);

/* Choices that others may spoil, beside one per location and item, before the order is told to come again. */
#define MAX_LOST 20

/* Columns in the order of sql/schema/42_sourcing.sql. */
enum
{
	S_MERCHANT = 1, S_ORDER, S_NUMBER, S_AT, S_RULE, S_RULE_NAME, S_STRATEGY, S_MAX_SHIPMENTS, S_SHIPMENTS, S_OPENED,
	S_WANTED, S_PROMISED
};
enum
{
	L_MERCHANT = 1, L_ORDER, L_NUMBER, L_LOCATION, L_RANK, L_VALUE, L_UNITS, L_LOST, L_REASON, L_DETAIL, L_DAY
};

enum
{
	ST_LOCK_CAPACITY,
	ST_LOAD_OF_DAY,
	ST_WRITE
};

static OmsStatement statements[] = {
	/* Not the config that was read: the capacity as it is once the row is locked. */
	[ST_LOCK_CAPACITY] = {
		"SELECT location_id, capacity FROM oms.location_sourcing WHERE merchant_id = $1 AND (location_id = ANY ($2) OR $3) "
		"AND capacity IS NOT NULL ORDER BY location_id FOR NO KEY UPDATE",
		3, {INT4OID, INT4ARRAYOID, BOOLOID}
	},
	[ST_LOAD_OF_DAY] = {
		"SELECT location_id, count(DISTINCT order_id) FROM oms.sourcing_location WHERE merchant_id = $1 AND location_id = ANY ($2) "
		"AND day = $3 AND units > 0 AND order_id <> $4 GROUP BY 1",
		4, {INT4OID, INT4ARRAYOID, DATEOID, INT8OID}
	},
	[ST_WRITE] = {
		"WITH s AS (INSERT INTO oms.sourcing (merchant_id, order_id, sourcing_id, at, rule_id, rule_name, strategy, max_shipments, "
		"shipments, opened, wanted, promised) SELECT merchant_id, order_id, sourcing_id, at, rule_id, rule_name, strategy, "
		"max_shipments, shipments, opened, wanted, promised FROM unnest($1)) "
		"INSERT INTO oms.sourcing_location (merchant_id, order_id, sourcing_id, location_id, rank, value, units, lost, reason, detail, day) "
		"SELECT merchant_id, order_id, sourcing_id, location_id, rank, value, units, lost, reason, detail, day FROM unnest($2)",
		2, {0}
	},
};

static const char *const strategies[] = {"priority", "distance", "stock", "cost", "function"};

/* An order on its way to its locations. */
typedef struct Work
{
	OmsDraft   *draft;
	OmsSourcing *sourcing;
	int			nitems;
	int64	   *items;
	int64	   *wanted;			/* per item, over all lines */
	int			nwants;
	OmsWant    *wants;
	int		   *lines;			/* line of each want */
	int			nexclusions;	/* of the merchant, copied */
	OmsExclusion *exclusions;
	int			neligible;		/* first of the candidates, by rank */
	int			nused;			/* locations that the order uses */
	int32	   *used;
} Work;

static char *
draft_country(const OmsDraft *draft)
{
	JsonbContainer *address;

	if (draft->ship_to == (Datum) 0)
		return NULL;
	address = &DatumGetJsonbP(draft->ship_to)->root;
	return JsonContainerIsObject(address) ? oms_json_text(address, NULL, "country", 400, false) : NULL;
}

static bool
has_item(const OmsDraft *draft, int64 item)
{
	int			i;

	for (i = 0; i < draft->nlines; i++)
		if (draft->lines[i].item == item)
			return true;
	return false;
}

/* The rule that the order meets, copied; without one that of the channel's priority. */
static void
find_rule(Work *work)
{
	const OmsDraft *draft = work->draft;
	const OmsSourcingConfig *config = oms_sourcing_config_always(draft->merchant);
	OmsSourcingRule *rules = palloc((config->nrules + 1) * sizeof(OmsSourcingRule));
	OmsSourcingRule *chosen = &work->sourcing->rule;
	char	   *country = draft_country(draft);
	TimestampTz now = oms_now();
	int64		weight = -1;
	int			n = config->nrules;
	int			i;

	/* Weighing runs SQL, which may drop the configuration. */
	for (i = 0; i < n; i++)
	{
		rules[i] = config->rules[i];
		rules[i].name = pstrdup(rules[i].name);
		rules[i].function = rules[i].function ? pstrdup(rules[i].function) : NULL;
	}
	for (i = 0; i < n; i++)
	{
		const OmsSourcingRule *rule = &rules[i];

		if ((rule->channel != 0 && rule->channel != draft->channel) || rule->valid_from > now || rule->valid_to <= now ||
			(rule->country[0] != '\0' && (country == NULL || strcmp(rule->country, country) != 0)) ||
			(rule->item != 0 && !has_item(draft, rule->item)))
			continue;
		if (rule->min_weight_g >= 0 || rule->max_weight_g >= 0)
		{
			if (weight < 0)
				weight = oms_sourcing_weight(draft);
			if (weight < rule->min_weight_g || (rule->max_weight_g >= 0 && weight > rule->max_weight_g))
				continue;
		}
		*chosen = *rule;
		return;
	}
	chosen->name = "none";
	chosen->strategy = OMS_BY_PRIORITY;
	chosen->split_lines = true;
}

/* The exclusions in force, copied. */
static void
keep_exclusions(Work *work)
{
	const OmsSourcingConfig *config = oms_sourcing_config_always(work->draft->merchant);
	TimestampTz now = oms_now();
	int			i;

	work->exclusions = palloc((config->nexclusions + 1) * sizeof(OmsExclusion));
	for (i = 0; i < config->nexclusions; i++)
		if (config->exclusions[i].until > now)
		{
			OmsExclusion *exclusion = &work->exclusions[work->nexclusions++];

			*exclusion = config->exclusions[i];
			exclusion->reason = pstrdup(exclusion->reason);
		}
}

/* The channel's locations, and those of the draft's stock holds, copied. */
static void
keep_candidates(Work *work)
{
	const OmsDraft *draft = work->draft;
	const OmsSourcingConfig *config = oms_sourcing_config_always(draft->merchant);
	OmsSourcing *sourcing = work->sourcing;
	int			i;
	int			j;

	sourcing->candidates = palloc0((config->nplaces + draft->nheld + 1) * sizeof(OmsCandidate));
	for (i = 0; i < config->nplaces; i++)
		if (config->places[i].channel == draft->channel)
		{
			OmsPlace   *place = &sourcing->candidates[sourcing->n++].place;

			*place = config->places[i];
			if (place->ncountries > 0)
			{
				place->countries = palloc(place->ncountries * sizeof(*place->countries));
				memcpy(place->countries, config->places[i].countries, place->ncountries * sizeof(*place->countries));
			}
			if (place->address != NULL)
			{
				place->address = palloc(VARSIZE(config->places[i].address));
				memcpy(place->address, config->places[i].address, VARSIZE(config->places[i].address));
			}
		}
	for (i = 0; i < draft->nheld; i++)
	{
		for (j = 0; j < sourcing->n && sourcing->candidates[j].place.location != draft->locations[i]; j++)
			;
		if (j == sourcing->n)
		{
			OmsPlace   *place = &sourcing->candidates[sourcing->n++].place;

			place->location = draft->locations[i];
			place->active = true;
			place->capacity = place->ncountries = -1;
		}
		sourcing->candidates[j].held = true;
	}
}

static int
item_number(Work *work, int64 item)
{
	int			i;

	for (i = 0; i < work->nitems && work->items[i] != item; i++)
		;
	if (i == work->nitems)
	{
		work->items[work->nitems++] = item;
		work->wanted[i] = 0;
	}
	return i;
}

/* What the lines want: whole kits by their parts. */
static void
keep_wants(Work *work)
{
	const OmsDraft *draft = work->draft;
	int			n = 0;
	int			i;
	int			j;

	for (i = 0; i < draft->nlines; i++)
		n += Max(1, draft->lines[i].ncomponents);
	work->items = palloc((n + 1) * sizeof(int64));
	work->wanted = palloc((n + 1) * sizeof(int64));
	work->wants = palloc0((draft->nlines + 1) * sizeof(OmsWant));
	work->lines = palloc((draft->nlines + 1) * sizeof(int));
	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];
		OmsComponent single = {line->item, 1};
		const OmsComponent *parts = line->kind == OMS_KIT ? line->components : &single;
		OmsWant    *want = &work->wants[work->nwants];

		if (line->item == 0 || line->kind == OMS_SERVICE || line->quantity == 0)
			continue;
		want->units = line->quantity;
		want->nneeds = line->kind == OMS_KIT ? line->ncomponents : 1;
		want->needs = palloc(want->nneeds * sizeof(OmsNeed));
		for (j = 0; j < want->nneeds; j++)
		{
			want->needs[j].item = item_number(work, parts[j].item);
			want->needs[j].per_unit = parts[j].per_unit;
			work->wanted[want->needs[j].item] += want->units * parts[j].per_unit;
		}
		work->lines[work->nwants++] = i;
		work->sourcing->wanted += want->units;
	}
}

/* Locations that the order uses already. */
static void
keep_used(Work *work)
{
	const OmsDraft *draft = work->draft;
	int			i;
	int			j;

	work->used = palloc((draft->nused + 1) * sizeof(int32));
	for (i = 0; i < draft->nused; i++)
	{
		for (j = 0; j < work->nused && work->used[j] != draft->used[i].location; j++)
			;
		if (j == work->nused)
			work->used[work->nused++] = draft->used[i].location;
		for (j = 0; j < work->sourcing->n; j++)
			if (work->sourcing->candidates[j].place.location == draft->used[i].location)
				work->sourcing->candidates[j].used = true;
	}
}

static DateADT
today(void)
{
	TimestampTz now = oms_now();

	return (DateADT) (now / USECS_PER_DAY - (now % USECS_PER_DAY < 0 ? 1 : 0));
}

static bool
ships_to(const OmsPlace *place, const char *country)
{
	int			i;

	if (place->ncountries < 0)
		return true;
	for (i = 0; country != NULL && i < place->ncountries; i++)
		if (strcmp(place->countries[i], country) == 0)
			return true;
	return false;
}

/* The exclusion of the location for the item (0: for any); null: none. */
static const OmsExclusion *
exclusion_of(const Work *work, int32 location, int64 item)
{
	int			i;

	for (i = 0; i < work->nexclusions; i++)
		if (work->exclusions[i].location == location &&
			(work->exclusions[i].item == 0 || work->exclusions[i].item == item))
			return &work->exclusions[i];
	return NULL;
}

/* Whether the day's orders at the location matter: it may be chosen, and would be opened. */
static bool
is_limited(const OmsCandidate *candidate)
{
	return candidate->reason == NULL && candidate->place.capacity >= 0 && !candidate->used;
}

/*
 * Locks the locations that have a capacity, so that orders which may be given
 * to one of them pass one by one until they are committed; in the order of
 * their ids, all of the merchant where other orders follow in the transaction.
 */
static void
lock_capacities(Work *work, Datum ids)
{
	OmsSourcing *sourcing = work->sourcing;
	Datum		values[3] = {Int32GetDatum(work->draft->merchant), ids, BoolGetDatum(work->draft->of_batch)};
	uint64		rows = oms_run(&statements[ST_LOCK_CAPACITY], values, NULL);
	uint64		row;
	int			i;

	for (i = 0; i < sourcing->n; i++)
	{
		OmsPlace   *place = &sourcing->candidates[i].place;

		if (!is_limited(&sourcing->candidates[i]))
			continue;
		for (row = 0; row < rows && oms_get_int32(row, 1) != place->location; row++)
			;
		place->capacity = row < rows ? oms_get_int32(row, 2) : -1;
	}
}

/*
 * Rejects locations that have had their orders of the day.  Unless dry, nobody
 * else gives them one until this transaction has ended; what others have
 * committed until now is counted, whatever the transaction's snapshot.
 */
static void
reject_full(Work *work, bool dry)
{
	OmsSourcing *sourcing = work->sourcing;
	Datum	   *ids = palloc((sourcing->n + 1) * sizeof(Datum));
	Datum		values[4];
	uint64		rows;
	uint64		row;
	int			n = 0;
	int			i;

	for (i = 0; i < sourcing->n; i++)
		if (is_limited(&sourcing->candidates[i]))
			ids[n++] = Int32GetDatum(sourcing->candidates[i].place.location);
	if (n == 0)
		return;
	values[0] = Int32GetDatum(work->draft->merchant);
	values[1] = PointerGetDatum(construct_array(ids, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[2] = DateADTGetDatum(today());
	values[3] = Int64GetDatum(work->draft->order_id);
	oms_begin();
	if (!dry)
		lock_capacities(work, values[1]);
	rows = oms_run_latest(&statements[ST_LOAD_OF_DAY], values, NULL);
	for (i = 0; i < sourcing->n; i++)
	{
		OmsCandidate *candidate = &sourcing->candidates[i];

		if (!is_limited(candidate))
			continue;
		for (row = 0; row < rows && oms_get_int32(row, 1) != candidate->place.location; row++)
			;
		if ((row < rows ? oms_get_int64(row, 2) : 0) >= candidate->place.capacity)
			candidate->reason = "over_capacity";
	}
	oms_end();
	for (i = 0; i < sourcing->n; i++)
		if (sourcing->candidates[i].reason != NULL && strcmp(sourcing->candidates[i].reason, "over_capacity") == 0)
			sourcing->candidates[i].detail = psprintf("%d orders a day", sourcing->candidates[i].place.capacity);
}

/* Rejects what may not be chosen whatever it has. */
static void
reject(Work *work, bool dry)
{
	OmsSourcing *sourcing = work->sourcing;
	char	   *country = draft_country(work->draft);
	int			i;

	for (i = 0; i < sourcing->n; i++)
	{
		OmsCandidate *candidate = &sourcing->candidates[i];
		const OmsExclusion *exclusion = exclusion_of(work, candidate->place.location, 0);

		if (!candidate->place.active)
			candidate->reason = "inactive";
		else if (!ships_to(&candidate->place, country))
		{
			candidate->reason = "country";
			candidate->detail = country ? psprintf("does not ship to %s", country) : "the order has no country";
		}
		else if (exclusion != NULL && exclusion->item == 0)
		{
			candidate->reason = "excluded";
			candidate->detail = exclusion->reason;
		}
	}
	reject_full(work, dry);
}

/* Reads what the candidates have. */
static void
read_stock(Work *work)
{
	OmsSourcing *sourcing = work->sourcing;
	int			i;
	int			j;

	for (i = 0; i < sourcing->n; i++)
	{
		OmsCandidate *candidate = &sourcing->candidates[i];

		if (candidate->available == NULL)
		{
			candidate->available = palloc0((work->nitems + 1) * sizeof(int64));
			candidate->ceiling = palloc((work->nitems + 1) * sizeof(int64));
			for (j = 0; j < work->nitems; j++)
				candidate->ceiling[j] = PG_INT64_MAX;
		}
		for (j = 0; j < work->nitems && candidate->reason == NULL; j++)
		{
			OmsGateKey	key = {work->draft->merchant, candidate->place.location, work->items[j]};
			/* More than is wanted matters to the ranking by stock alone. */
			int64		most = sourcing->rule.strategy == OMS_BY_STOCK ? OMS_MAX_STOCK : work->wanted[j];

			candidate->available[j] = exclusion_of(work, key.location, key.item) != NULL ? 0 :
				Min(oms_promise_available(&key, work->draft->channel, most), candidate->ceiling[j]);
		}
	}
}

/* The candidates without a reason first, and the problem that they are. */
static void
make_problem(Work *work, OmsProblem *problem)
{
	OmsSourcing *sourcing = work->sourcing;
	const OmsSourcingRule *rule = &sourcing->rule;
	int			n = 0;
	int			i;
	int			j;

	for (i = 0; i < sourcing->n; i++)
		if (sourcing->candidates[i].reason == NULL)
		{
			OmsCandidate swap = sourcing->candidates[i];

			memmove(&sourcing->candidates[n + 1], &sourcing->candidates[n], (i - n) * sizeof(OmsCandidate));
			sourcing->candidates[n++] = swap;
		}
	work->neligible = n;
	memset(problem, 0, sizeof(*problem));
	problem->nlocations = n;
	problem->nitems = work->nitems;
	problem->nwants = work->nwants;
	problem->wants = work->wants;
	problem->available = palloc((n * work->nitems + 1) * sizeof(int64));
	problem->used = palloc((n + 1) * sizeof(bool));
	for (i = 0; i < n; i++)
	{
		memcpy(&problem->available[i * work->nitems], sourcing->candidates[i].available, work->nitems * sizeof(int64));
		problem->used[i] = sourcing->candidates[i].used;
	}
	problem->limit = rule->max_shipments == 0 ? -1 : Max(rule->max_shipments - work->nused, 0);
	problem->split_lines = rule->split_lines;
	problem->fewest = rule->fewest;
	problem->whole = work->draft->whole;
	for (i = 0; i < work->nwants; i++)
	{
		int32		line_no = work->draft->lines[work->lines[i]].line_no;

		work->wants[i].bound = NULL;
		for (j = 0; j < work->draft->nused; j++)
			if (work->draft->used[j].line_no == line_no)
			{
				int			k;

				if (work->wants[i].bound == NULL)
					work->wants[i].bound = palloc0((n + 1) * sizeof(bool));
				for (k = 0; k < n; k++)
					if (sourcing->candidates[k].place.location == work->draft->used[j].location)
						work->wants[i].bound[k] = true;
			}
	}
}

/*
 * The candidate did not have all of the want: others have taken of it, or a
 * bound holds for several locations together.  It has, from now on, what the
 * draft has of it and what there is beside.
 */
static void
lower_ceiling(Work *work, OmsCandidate *candidate, const OmsWant *want, int64 units)
{
	const OmsDraft *draft = work->draft;
	bool		lost = false;
	int			i;
	int			j;

	for (i = 0; i < want->nneeds; i++)
	{
		int			item = want->needs[i].item;
		int64		needed = units * want->needs[i].per_unit;
		OmsGateKey	key = {draft->merchant, candidate->place.location, work->items[item]};
		int64		has = oms_promise_available(&key, draft->channel, needed);

		if (has >= needed)
			continue;
		lost = lost || oms_stock_available(&key, needed) < needed;
		for (j = 0; j < draft->npromises; j++)
			if (draft->promises[j].key.item == key.item && draft->promises[j].key.location == key.location)
				has += draft->promises[j].quantity;
		candidate->ceiling[item] = Min(candidate->ceiling[item], has);
	}
	candidate->lost += lost ? 1 : 0;
}

/* Takes from the gate what was chosen; false when it is not there any more. */
static bool
take_chosen(Work *work, const OmsProblem *problem)
{
	int			i;
	int			j;

	for (i = 0; i < work->nwants; i++)
		for (j = 0; j < work->neligible; j++)
		{
			int64		units = problem->units[i * problem->nlocations + j];

			if (units == 0 || oms_draft_promise(work->draft, work->lines[i], work->sourcing->candidates[j].place.location, units))
				continue;
			lower_ceiling(work, &work->sourcing->candidates[j], &work->wants[i], units);
			oms_draft_give_back(work->draft);
			return false;
		}
	return true;
}

/*
 * Takes what is missing from what is reserved for the customer or the channel,
 * where the choice may be added to: at locations that it uses, or any when
 * nothing limits it.
 */
static void
draw_reserved(Work *work, OmsProblem *problem)
{
	OmsDraft   *draft = work->draft;
	int			i;
	int			j;
	int			k;

	for (i = 0; i < work->nwants && problem->whole == OMS_WHOLE_NO; i++)
	{
		int64	   *units = &problem->units[i * problem->nlocations];
		int64		missing = work->wants[i].units;

		for (j = 0; j < work->neligible; j++)
			missing -= units[j];
		for (j = 0; j < work->neligible && missing > 0 && draft->lines[work->lines[i]].kind != OMS_KIT; j++)
		{
			OmsGateKey	key = {draft->merchant, work->sourcing->candidates[j].place.location, draft->lines[work->lines[i]].item};
			bool		open = problem->limit < 0 || problem->used[j];
			int64		drawn = oms_bound_left(&key, draft->channel, missing);

			for (k = 0; k < work->nwants && !open; k++)
				open = problem->units[k * problem->nlocations + j] > 0;
			if (!problem->split_lines)
				open = open && missing == work->wants[i].units - units[j] &&
					(work->wants[i].bound == NULL || work->wants[i].bound[j]);
			if (!open || drawn == 0 || !oms_hold_draw(&key, draft->customer_id, draft->channel, drawn))
				continue;
			drawn = Min(missing, oms_promise_available(&key, draft->channel, missing));
			if (drawn <= 0 || !oms_draft_promise(draft, work->lines[i], key.location, drawn))
				continue;
			units[j] += drawn;
			missing -= drawn;
			problem->total += drawn;
		}
	}
}

/* Why a location that might have been chosen was not. */
static void
explain(const Work *work, const OmsProblem *problem, OmsCandidate *candidate)
{
	const OmsExclusion *exclusion = NULL;
	bool		stock = false;
	int			i;

	for (i = 0; i < work->nwants; i++)
		stock = stock || oms_sourcing_units(problem, candidate->available, &work->wants[i], 0, 1) > 0;
	for (i = 0; i < work->nitems && exclusion == NULL; i++)
		exclusion = exclusion_of(work, candidate->place.location, work->items[i]);
	if (candidate->lost > 0)
		candidate->reason = "lost_race";
	else if (!stock && exclusion != NULL)
	{
		candidate->reason = "excluded";
		candidate->detail = exclusion->reason;
	}
	else if (!stock)
		candidate->reason = "no_stock";
	else if (work->sourcing->promised == work->sourcing->wanted)
		candidate->reason = "not_needed";
	else if (problem->limit >= 0 || !problem->split_lines)
		candidate->reason = "split_limit";
	else
		candidate->reason = problem->whole != OMS_WHOLE_NO ? "not_whole" : "not_needed";
}

/* Notes what was chosen, in the lines and the candidates. */
static void
keep_choice(Work *work, const OmsProblem *problem, bool dry)
{
	OmsSourcing *sourcing = work->sourcing;
	int			i;
	int			j;

	sourcing->promised = problem->total;
	sourcing->shipments = work->nused;
	for (i = 0; i < work->nwants; i++)
		for (j = 0; j < work->neligible; j++)
		{
			int64		units = problem->units[i * problem->nlocations + j];

			sourcing->candidates[j].units += units;
			if (!dry)
				work->draft->lines[work->lines[i]].allocated += (int32) units;
		}
	for (j = 0; j < work->neligible; j++)
	{
		OmsCandidate *candidate = &sourcing->candidates[j];

		if (candidate->units == 0)
			explain(work, problem, candidate);
		else
		{
			candidate->reason = "chosen";
			if (!candidate->used)
				sourcing->opened++;
		}
	}
	sourcing->shipments += sourcing->opened;
}

/* Whether a location of the channel (0: of any) has a capacity. */
static bool
has_capacity(int32 merchant, int32 channel)
{
	const OmsSourcingConfig *config = oms_sourcing_config_always(merchant);
	int			i;

	for (i = 0; i < config->nplaces && config->limited; i++)
		if (config->places[i].capacity >= 0 && (channel == 0 || config->places[i].channel == channel))
			return true;
	return false;
}

/*
 * Decides, and (not dry) takes.  Null: no rule, no exclusion, no capacity and
 * no all-or-nothing, unless always.  Raises OM015 when others are faster for
 * ever, OM016 for the user's function.
 */
static OmsSourcing *
decide(OmsDraft *draft, bool dry, bool always)
{
	Work		work = {draft};
	OmsProblem	problem;
	int			lost = 0;

	work.sourcing = palloc0(sizeof(OmsSourcing));
	work.sourcing->number = 1;
	keep_exclusions(&work);
	find_rule(&work);
	if (work.sourcing->rule.rule_id == 0 && work.nexclusions == 0 && draft->whole == OMS_WHOLE_NO && !always &&
		!has_capacity(draft->merchant, draft->channel))
		return NULL;
	keep_candidates(&work);
	keep_wants(&work);
	if (work.nwants == 0)
		return NULL;
	keep_used(&work);
	reject(&work, dry);
	read_stock(&work);
	make_problem(&work, &problem);
	oms_sourcing_rank(draft, &work.sourcing->rule, &problem, work.sourcing->candidates, work.neligible);
	for (;;)
	{
		make_problem(&work, &problem);
		oms_sourcing_solve(&problem);
		if (dry || take_chosen(&work, &problem))
			break;
		if (++lost >= MAX_LOST + work.neligible * work.nitems)
			ereport(ERROR,
					(errcode(OMS_BUSY),
					 errmsg("others were faster %d times in a row", lost),
					 errdetail("What the order was to be promised from was taken before it could."),
					 errhint("Place it again.")));
		read_stock(&work);
	}
	if (!dry)
		draw_reserved(&work, &problem);
	keep_choice(&work, &problem, dry);
	return work.sourcing;
}

bool
oms_sourcing_admit(OmsDraft *draft)
{
	if (draft->whole == OMS_WHOLE_NO && oms_sourcing_config(draft->merchant) == NULL)
		return false;
	draft->sourcing = decide(draft, false, false);
	return draft->sourcing != NULL;
}

bool
oms_sourcing_applies(int32 merchant, int32 channel)
{
	const OmsChannel *found = oms_channel(merchant, channel);

	return (found != NULL && found->whole != OMS_WHOLE_NO) || oms_sourcing_config(merchant) != NULL;
}

bool
oms_sourcing_counts(int32 merchant)
{
	return has_capacity(merchant, 0);
}

/* What a candidate was ranked by, as people write it. */
static Datum
shown_value(const OmsDraft *draft, const OmsSourcing *sourcing, const OmsCandidate *candidate)
{
	return oms_scaled_to_numeric(candidate->value, sourcing->rule.strategy == OMS_BY_DISTANCE ? 3 :
								 sourcing->rule.strategy == OMS_BY_COST ? draft->exponent : 0);
}

static void
add_decision(OmsRows **sets, const OmsDraft *draft)
{
	const OmsSourcing *sourcing = draft->sourcing;
	int			i;

	oms_rows_set(sets[0], S_MERCHANT, Int32GetDatum(draft->merchant));
	oms_rows_set(sets[0], S_ORDER, Int64GetDatum(draft->order_id));
	oms_rows_set(sets[0], S_NUMBER, Int32GetDatum(sourcing->number));
	oms_rows_set(sets[0], S_AT, TimestampTzGetDatum(oms_now()));
	if (sourcing->rule.rule_id != 0)
		oms_rows_set(sets[0], S_RULE, Int32GetDatum(sourcing->rule.rule_id));
	oms_rows_set_text(sets[0], S_RULE_NAME, sourcing->rule.name);
	oms_rows_set_text(sets[0], S_STRATEGY, strategies[sourcing->rule.strategy]);
	if (sourcing->rule.max_shipments != 0)
		oms_rows_set(sets[0], S_MAX_SHIPMENTS, Int32GetDatum(sourcing->rule.max_shipments));
	oms_rows_set(sets[0], S_SHIPMENTS, Int32GetDatum(sourcing->shipments));
	oms_rows_set(sets[0], S_OPENED, Int32GetDatum(sourcing->opened));
	oms_rows_set(sets[0], S_WANTED, Int64GetDatum(sourcing->wanted));
	oms_rows_set(sets[0], S_PROMISED, Int64GetDatum(sourcing->promised));
	oms_rows_add(sets[0]);
	for (i = 0; i < sourcing->n; i++)
	{
		const OmsCandidate *candidate = &sourcing->candidates[i];

		oms_rows_set(sets[1], L_MERCHANT, Int32GetDatum(draft->merchant));
		oms_rows_set(sets[1], L_ORDER, Int64GetDatum(draft->order_id));
		oms_rows_set(sets[1], L_NUMBER, Int32GetDatum(sourcing->number));
		oms_rows_set(sets[1], L_LOCATION, Int32GetDatum(candidate->place.location));
		if (candidate->rank > 0)
			oms_rows_set(sets[1], L_RANK, Int32GetDatum(candidate->rank));
		if (candidate->rank > 0 && candidate->known)
			oms_rows_set(sets[1], L_VALUE, shown_value(draft, sourcing, candidate));
		oms_rows_set(sets[1], L_UNITS, Int64GetDatum(candidate->units));
		oms_rows_set(sets[1], L_LOST, Int32GetDatum(candidate->lost));
		oms_rows_set_text(sets[1], L_REASON, candidate->reason);
		oms_rows_set_text(sets[1], L_DETAIL, candidate->detail);
		oms_rows_set(sets[1], L_DAY, DateADTGetDatum(today()));
		oms_rows_add(sets[1]);
	}
}

void
oms_sourcing_write(OmsDraft **drafts, int n)
{
	OmsRows    *sets[2];
	int			i;

	sets[0] = oms_rows_begin("sourcing");
	sets[1] = oms_rows_begin("sourcing_location");
	for (i = 0; i < n; i++)
		if (drafts[i]->sourcing != NULL && !drafts[i]->repeated)
			add_decision(sets, drafts[i]);
	if (sets[0]->n > 0)
		oms_rows_run(&statements[ST_WRITE], sets, 2);
}

/* SQL: preview_sourcing(merchant, document) */
Datum
oms_preview_sourcing(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	OmsDraft   *draft;
	OmsSourcing *sourcing;
	int			i;

	oms_arg_require(fcinfo, 1, "document");
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	draft = oms_draft_from_document(merchant, PG_GETARG_DATUM(1), oms_calling_role());
	oms_draft_resolve(draft);
	sourcing = decide(draft, true, true);
	for (i = 0; sourcing != NULL && i < sourcing->n; i++)
	{
		const OmsCandidate *candidate = &sourcing->candidates[i];
		bool		ranked = candidate->rank > 0;
		Datum		values[8];
		bool		nulls[8] = {false, !ranked, !ranked || !candidate->known, false, false, candidate->detail == NULL,
		sourcing->rule.rule_id == 0, false};

		values[0] = Int32GetDatum(candidate->place.location);
		values[1] = Int32GetDatum(candidate->rank);
		values[2] = shown_value(draft, sourcing, candidate);
		values[3] = Int64GetDatum(candidate->units);
		values[4] = CStringGetTextDatum(candidate->reason);
		values[5] = candidate->detail ? CStringGetTextDatum(candidate->detail) : (Datum) 0;
		values[6] = Int32GetDatum(sourcing->rule.rule_id);
		values[7] = CStringGetTextDatum(strategies[sourcing->rule.strategy]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	oms_end();
	return (Datum) 0;
}
