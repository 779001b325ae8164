/*
 * Splitting by largest remainder, a million random cases: totals of either
 * sign as they are in currencies of 0, 2 and 3 decimals, weights of every
 * size.  Each share is compared with a second method that searches for the
 * next unit's owner one by one.
 */
#include "core/money_core.c"

#include <stdio.h>
#include <string.h>

#define CASES		1000000
#define MAX_WEIGHTS 20

static uint64_t state = 20261124;

static uint64_t
next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* A number of up to so many bits, small ones as likely as large ones. */
static int64_t
number(int bits)
{
	return (int64_t) (next() >> (64 - 1 - next() % (uint64_t) bits));
}

/* The same by hand: whole units first, then one unit at a time to who is owed most, the earlier of equals. */
static void
by_hand(int64_t total, const int64_t *weights, int n, int64_t *shares)
{
	__int128	sum = 0;
	__int128	rest[MAX_WEIGHTS];
	int64_t		left = total < 0 ? -total : total;
	int64_t		size = left;
	int			i;

	for (i = 0; i < n; i++)
		sum += weights[i];
	for (i = 0; i < n; i++)
	{
		__int128	weight = sum == 0 ? 1 : weights[i];
		__int128	owed = weight * size;
		__int128	all = sum == 0 ? n : sum;

		shares[i] = (int64_t) (owed / all);
		rest[i] = owed - all * shares[i];
		left -= shares[i];
	}
	while (left-- > 0)
	{
		int			most = 0;

		for (i = 1; i < n; i++)
			if (rest[i] > rest[most])
				most = i;
		shares[most]++;
		rest[most] = -1;
	}
	for (i = 0; total < 0 && i < n; i++)
		shares[i] = -shares[i];
}

int
main(void)
{
	static const int bits[] = {12, 30, 62};
	static const char *const size[] = {"small totals", "totals of millions", "the largest totals"};
	int			test = 0;
	int			s;

	printf("1..3\n");
	for (s = 0; s < 3; s++)
	{
		int			wrong = 0;
		int			c;

		for (c = 0; c < CASES; c++)
		{
			int64_t		weights[MAX_WEIGHTS];
			int64_t		shares[MAX_WEIGHTS];
			int64_t		expected[MAX_WEIGHTS];
			int64_t		total = number(bits[s]) * (next() % 2 == 0 ? 1 : -1);
			int64_t		sum = 0;
			int			n = 1 + (int) (next() % MAX_WEIGHTS);
			int			i;

			for (i = 0; i < n; i++)
				weights[i] = next() % 8 == 0 ? 0 : number(58);
			by_hand(total, weights, n, expected);
			if (!oms_prorate(total, weights, n, shares) || memcmp(shares, expected, (size_t) n * sizeof(int64_t)) != 0)
				wrong++;
			for (i = 0; i < n; i++)
				sum += shares[i];
			if (sum != total)
				wrong++;
		}
		printf("%sok %d - prorate: %d random cases of %s\n", wrong == 0 ? "" : "not ", ++test, CASES, size[s]);
	}
	return 0;
}
