/*-------------------------------------------------------------------------
 * clock.c
 *	  The one source of time.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/guc.h"

#include "core/module.h"

PG_FUNCTION_INFO_V1(oms_clock);

/* oms.test_clock: a timestamp that replaces the transaction's start, for tests; superusers only. */
static char *test_clock = NULL;
static bool test_clock_set = false;
static TimestampTz test_clock_value;

static bool
check_test_clock(char **newval, void **extra, GucSource source)
{
	TimestampTz *value;

	if (*newval == NULL || **newval == '\0')
		return true;
	/* Settings are read before the time zone files are: only a session may set it. */
	if (!IsTransactionState())
		return false;
	value = guc_malloc(LOG, sizeof(TimestampTz));
	if (value == NULL)
		return false;
	*value = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(*newval),
													 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	*extra = value;
	return true;
}

static void
assign_test_clock(const char *newval, void *extra)
{
	test_clock_set = extra != NULL;
	if (extra != NULL)
		test_clock_value = *(TimestampTz *) extra;
}

void
oms_clock_init(void)
{
	DefineCustomStringVariable("oms.test_clock",
							   "The time oms believes in, for tests; empty: the transaction's start.",
							   NULL, &test_clock, "", PGC_SUSET, 0,
							   check_test_clock, assign_test_clock, NULL);
}

TimestampTz
oms_now(void)
{
	return test_clock_set ? test_clock_value : GetCurrentTransactionStartTimestamp();
}

/* SQL: oms.clock(), the same time for views and queries. */
Datum
oms_clock(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(oms_now());
}
