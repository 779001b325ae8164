/*-------------------------------------------------------------------------
 * money_core.c
 *	  Exact arithmetic on amounts: rounding, largest remainder, shares of
 *	  units.
 *-------------------------------------------------------------------------
 */
#include "core/money_core.h"

#include <stddef.h>
#include <stdlib.h>

/* a * b / divisor with one rounding; the divisor is positive. */
bool
oms_mul_div(int64_t a, int64_t b, int64_t divisor, OmsRounding mode, int64_t *result)
{
	__int128	product = (__int128) a * b;
	__int128	quotient = product / divisor;
	__int128	rest = product % divisor;
	__int128	twice = (rest < 0 ? -rest : rest) * 2;

	if (twice > divisor || (twice == divisor && (mode == OMS_HALF_UP || quotient % 2 != 0)))
		quotient += product < 0 ? -1 : 1;
	if (quotient > INT64_MAX || quotient < INT64_MIN)
		return false;
	*result = (int64_t) quotient;
	return true;
}

/* A share's remainder, and where it stands. */
typedef struct Remainder
{
	__int128	rest;
	int			index;
} Remainder;

/* Larger remainder first; equal ones in the order given. */
static int
compare_remainders(const void *a, const void *b)
{
	const Remainder *x = a;
	const Remainder *y = b;

	if (x->rest != y->rest)
		return x->rest > y->rest ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/*
 * Splits total by the weights so that the shares sum to it exactly: each gets
 * its share rounded towards zero, and what is left goes one unit each to the
 * largest remainders, ties to the earlier (method of Hamilton, also called
 * largest remainder).  Weights may not be negative; when all are zero they
 * count as equal.  Total may be of either sign.
 */
bool
oms_prorate(int64_t total, const int64_t *weights, int n, int64_t *shares)
{
	__int128	sum = 0;
	__int128	magnitude = total < 0 ? -(__int128) total : total;
	__int128	left = magnitude;
	Remainder	few[16];
	Remainder  *remainders = few;
	int			i;

	if (n <= 0)
		return total == 0;
	for (i = 0; i < n; i++)
	{
		if (weights[i] < 0)
			return false;
		sum += weights[i];
	}
	if (n > 16)
	{
		remainders = malloc((size_t) n * sizeof(Remainder));
		if (remainders == NULL)
			return false;
	}
	for (i = 0; i < n; i++)
	{
		__int128	weight = sum == 0 ? 1 : weights[i];
		__int128	divisor = sum == 0 ? n : sum;
		__int128	share = magnitude * weight / divisor;

		remainders[i].rest = magnitude * weight % divisor;
		remainders[i].index = i;
		left -= share;
		shares[i] = (int64_t) (total < 0 ? -share : share);
	}
	if (left > 0)
	{
		qsort(remainders, (size_t) n, sizeof(Remainder), compare_remainders);
		for (i = 0; left > 0; i++, left--)
			shares[remainders[i].index] += total < 0 ? -1 : 1;
	}
	if (remainders != few)
		free(remainders);
	return true;
}

/* Value of units 1..k of a total spread over so many units. */
static int64_t
first_units(int64_t total, int64_t units, int64_t k)
{
	int64_t		each = total / units;
	int64_t		rest = total % units;
	int64_t		extra = rest < 0 ? -rest : rest;

	return k * each + (k < extra ? k : extra) * (rest < 0 ? -1 : 1);
}

/*
 * The value of units from+1 .. to of a total spread over units: any cut of
 * 1..units into ranges sums to the total exactly.  Expects
 * 0 <= from <= to <= units; none of the intermediate values passes total.
 */
int64_t
oms_units_share(int64_t total, int64_t units, int64_t from, int64_t to)
{
	if (units <= 0)
		return 0;
	return first_units(total, units, to) - first_units(total, units, from);
}
