/*-------------------------------------------------------------------------
 * sourcing_plan.c
 *	  Which of the ranked locations give which units: plain C, no SQL.
 *
 *	  The choice is written down once, here.  Among the sets of locations that
 *	  the limit allows, the one that promises most units wins; of these, where
 *	  the rule wants few shipments, the smallest; of these the one whose best
 *	  location ranks first, then its second, and so on.  Within the set each
 *	  line, in the order of the lines, is taken whole from the first location
 *	  that has it, else piece by piece from the first on.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "order/sourcing.h"

/* Sets looked at; with more possible ones, the location that adds most is taken next. */
#define MAX_SETS 20000

typedef struct Search
{
	OmsProblem *problem;
	bool	   *in;				/* the set */
	int64	   *available;		/* what is left while a set is tried */
	int64	   *units;			/* of the set tried */
	bool	   *best;
	int64		best_total;
	int64		bound;			/* of all locations: none promises more */
	int			nfree;			/* locations that the limit counts, by rank */
	int		   *free;
} Search;

int64
oms_sourcing_units(const OmsProblem *problem, const int64 *available, const OmsWant *want, int location, int64 most)
{
	int			i;

	for (i = 0; i < want->nneeds; i++)
		most = Min(most, Max(available[location * problem->nitems + want->needs[i].item], 0) / want->needs[i].per_unit);
	return most;
}

static void
take(Search *search, const OmsWant *want, int line, int location, int64 units)
{
	OmsProblem *problem = search->problem;
	int			i;

	for (i = 0; i < want->nneeds; i++)
		search->available[location * problem->nitems + want->needs[i].item] -= units * want->needs[i].per_unit;
	search->units[line * problem->nlocations + location] += units;
}

/* Whether the line may have units of the location in the set. */
static bool
is_open(const Search *search, const OmsWant *want, int location)
{
	return search->in[location] && (search->problem->split_lines || want->bound == NULL || want->bound[location]);
}

/* Takes a line from the set; returns its units. */
static int64
take_line(Search *search, int line)
{
	OmsProblem *problem = search->problem;
	const OmsWant *want = &problem->wants[line];
	int			largest = -1;
	int64		most = 0;
	int64		sum = 0;
	int			i;

	for (i = 0; i < problem->nlocations; i++)
	{
		int64		here = is_open(search, want, i) ?
			oms_sourcing_units(problem, search->available, want, i, want->units) : 0;

		if (here == want->units)
		{
			take(search, want, line, i, here);
			return here;
		}
		sum += here;
		if (here > most)
		{
			most = here;
			largest = i;
		}
	}
	if (largest < 0 || (problem->whole != OMS_WHOLE_NO && (!problem->split_lines || sum < want->units)))
		return 0;
	if (!problem->split_lines)
	{
		take(search, want, line, largest, most);
		return most;
	}
	for (sum = i = 0; i < problem->nlocations && sum < want->units; i++)
	{
		int64		here = is_open(search, want, i) ?
			oms_sourcing_units(problem, search->available, want, i, want->units - sum) : 0;

		if (here > 0)
			take(search, want, line, i, here);
		sum += here;
	}
	return sum;
}

/* The units that the set promises. */
static int64
evaluate(Search *search)
{
	OmsProblem *problem = search->problem;
	int64		wanted = 0;
	int64		total = 0;
	int			i;

	memcpy(search->available, problem->available, problem->nlocations * problem->nitems * sizeof(int64));
	memset(search->units, 0, problem->nwants * problem->nlocations * sizeof(int64));
	for (i = 0; i < problem->nwants; i++)
	{
		wanted += problem->wants[i].units;
		total += take_line(search, i);
	}
	if (problem->whole != OMS_WHOLE_ORDER || total == wanted)
		return total;
	memset(search->units, 0, problem->nwants * problem->nlocations * sizeof(int64));
	return 0;
}

/* Whether each location that the limit counts gives something. */
static bool
is_used_up(const Search *search)
{
	const OmsProblem *problem = search->problem;
	int			i;
	int			j;

	for (i = 0; i < search->nfree; i++)
	{
		int			location = search->free[i];

		for (j = 0; search->in[location] && j < problem->nwants && search->units[j * problem->nlocations + location] == 0; j++)
			;
		if (search->in[location] && j == problem->nwants)
			return false;
	}
	return true;
}

/* Tries the set; true when none can be better.  One with an idle location is the same as without it. */
static bool
try_set(Search *search)
{
	int64		total = evaluate(search);

	if (total > search->best_total && is_used_up(search))
	{
		search->best_total = total;
		memcpy(search->best, search->in, search->problem->nlocations * sizeof(bool));
	}
	return search->best_total >= search->bound;
}

/*
 * Adds locations from the given rank on, the first ones first; exactly so
 * many more, or (upto) at most so many.  True when none can be better.
 */
static bool
try_more(Search *search, int from, int more, bool upto)
{
	int			i;

	CHECK_FOR_INTERRUPTS();
	if ((more == 0 || upto) && try_set(search))
		return true;
	if (more == 0)
		return false;
	for (i = from; i < search->nfree; i++)
	{
		bool		done;

		search->in[search->free[i]] = true;
		done = try_more(search, i + 1, more - 1, upto);
		search->in[search->free[i]] = false;
		if (done)
			return true;
	}
	return false;
}

/* The location that adds most is taken next, until nothing adds or the limit is met. */
static void
try_greedily(Search *search, int limit)
{
	while (limit-- > 0)
	{
		int64		most = search->best_total;
		int			which = -1;
		int			i;

		CHECK_FOR_INTERRUPTS();
		for (i = 0; i < search->nfree; i++)
		{
			int64		total;

			if (search->in[search->free[i]])
				continue;
			search->in[search->free[i]] = true;
			total = evaluate(search);
			search->in[search->free[i]] = false;
			if (total > most)
			{
				most = total;
				which = search->free[i];
			}
		}
		if (which < 0)
			return;
		search->in[which] = true;
		if (try_set(search))
			return;
	}
}

/* How many sets of at most limit of n there are, at most MAX_SETS + 1. */
static int64
count_sets(int n, int limit)
{
	int64		combinations = 1;
	int64		sum = 1;
	int			k;

	for (k = 1; k <= limit && sum <= MAX_SETS; k++)
	{
		combinations = combinations * (n - k + 1) / k;
		sum += combinations;
	}
	return Min(sum, MAX_SETS + 1);
}

/* Whether the location has a unit of anything. */
static bool
has_something(const OmsProblem *problem, int location)
{
	int			i;

	for (i = 0; i < problem->nwants; i++)
		if (oms_sourcing_units(problem, problem->available, &problem->wants[i], location, 1) > 0)
			return true;
	return false;
}

void
oms_sourcing_solve(OmsProblem *problem)
{
	int			n = problem->nlocations;
	Search		search = {0};
	int			limit;
	int			i;

	search.problem = problem;
	search.in = palloc0((n + 1) * sizeof(bool));
	search.best = palloc0((n + 1) * sizeof(bool));
	search.free = palloc((n + 1) * sizeof(int));
	search.available = palloc((n * problem->nitems + 1) * sizeof(int64));
	search.units = problem->units = palloc0((n * problem->nwants + 1) * sizeof(int64));
	for (i = 0; i < n; i++)
		search.in[i] = true;
	search.bound = evaluate(&search);
	search.best_total = -1;
	if (problem->limit < 0 && !problem->fewest)
	{
		problem->total = search.bound;
		return;
	}
	for (i = 0; i < n; i++)
	{
		search.in[i] = problem->used[i];
		if (!problem->used[i] && has_something(problem, i))
			search.free[search.nfree++] = i;
	}
	limit = problem->limit < 0 ? search.nfree : Min(problem->limit, search.nfree);
	if (count_sets(search.nfree, limit) > MAX_SETS)
	{
		(void) try_set(&search);
		try_greedily(&search, limit);
	}
	else if (problem->fewest)
	{
		for (i = 0; i <= limit && !try_more(&search, 0, i, false); i++)
			;
	}
	else
		(void) try_more(&search, 0, limit, true);
	memcpy(search.in, search.best, n * sizeof(bool));
	problem->total = evaluate(&search);
}
