/*-------------------------------------------------------------------------
 * calendar.c
 *	  Working time: what lies between two instants and where so much of it
 *	  ends, by calendars that each backend compiles.
 *
 *	  Hours are local times of days.  Each is turned into an instant by the
 *	  calendar's time zone on its own day, so that a day of 23 or 25 hours has
 *	  the working time that its clocks show.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/multirangetypes.h"
#include "utils/rangetypes.h"

#include "core/cache.h"

PG_FUNCTION_INFO_V1(oms_business_minutes);
PG_FUNCTION_INFO_V1(oms_business_due);

enum
{
	ST_CALENDARS,
	ST_HOURS,
	ST_DAYS
};

static OmsStatement statements[] = {
	[ST_CALENDARS] = {"SELECT calendar, time_zone FROM oms.calendar WHERE merchant_id = $1", 1, {INT4OID}},
	[ST_HOURS] = {
		"SELECT weekday, opens, closes FROM oms.calendar_hours WHERE merchant_id = $1 AND calendar = $2 ORDER BY weekday, opens",
		2, {INT4OID, TEXTOID}
	},
	[ST_DAYS] = {
		"SELECT day, opens, closes FROM oms.calendar_day WHERE merchant_id = $1 AND calendar = $2 ORDER BY day, opens",
		2, {INT4OID, TEXTOID}
	},
};

/* How far a deadline is looked for: ten years. */
#define MAX_DAYS 3660

/* Hours of a weekday (1: Monday) or of a date of its own. */
typedef struct Hours
{
	int32		day;
	TimeADT		opens;
	TimeADT		closes;			/* not after opens: closed */
} Hours;

typedef struct Calendar
{
	char	   *name;
	Datum		time_zone;
	int			nhours;
	Hours	   *hours;
	int			ndays;
	Hours	   *days;			/* by date */
} Calendar;

typedef struct MerchantCalendars
{
	int32		merchant;		/* hash key */
	bool		loaded;
	int			n;
	Calendar   *calendars;
} MerchantCalendars;

static OmsCache cache = {
	.name = "calendars",
	.tables = {"calendar", "calendar_hours", "calendar_day"},
};

/* Times that do not count, in their order. */
typedef struct Pauses
{
	int			n;
	TimestampTz *from;
	TimestampTz *until;
} Pauses;

static Hours *
load_hours(OmsStatement *statement, Datum *values, int *n)
{
	uint64		rows = oms_run(statement, values, NULL);
	Hours	   *hours = MemoryContextAlloc(cache.context, (rows + 1) * sizeof(Hours));
	bool		isnull;

	for (uint64 row = 0; row < rows; row++)
		hours[row] = (Hours) {oms_get_int32(row, 1), DatumGetTimeADT(oms_get(row, 2, &isnull)), DatumGetTimeADT(oms_get(row, 3, &isnull))};
	*n = (int) rows;
	return hours;
}

/* A calendar of the merchant; OM002 where there is none. */
static const Calendar *
find_calendar(int32 merchant, const char *name)
{
	MerchantCalendars *found = oms_cache_of_merchant(&cache, merchant, sizeof(MerchantCalendars));

	if (!found->loaded)
	{
		Datum		values[2] = {Int32GetDatum(merchant)};
		MemoryContext before;

		oms_begin();
		found->n = (int) oms_run(&statements[ST_CALENDARS], values, NULL);
		before = MemoryContextSwitchTo(cache.context);
		found->calendars = palloc0((found->n + 1) * sizeof(Calendar));
		for (int i = 0; i < found->n; i++)
		{
			found->calendars[i].name = pstrdup(oms_get_text(i, 1));
			found->calendars[i].time_zone = CStringGetTextDatum(oms_get_text(i, 2));
		}
		MemoryContextSwitchTo(before);
		for (int i = 0; i < found->n; i++)
		{
			Calendar   *calendar = &found->calendars[i];

			values[1] = CStringGetTextDatum(calendar->name);
			calendar->hours = load_hours(&statements[ST_HOURS], values, &calendar->nhours);
			calendar->days = load_hours(&statements[ST_DAYS], values, &calendar->ndays);
		}
		oms_end();
		found->loaded = true;
	}
	for (int i = 0; i < found->n; i++)
		if (strcmp(found->calendars[i].name, name) == 0)
			return &found->calendars[i];
	ereport(ERROR,
			(errcode(OMS_UNKNOWN),
			 errmsg("merchant %d has no calendar \"%s\"", merchant, name),
			 errhint("Calendars are rows of oms.calendar.")));
	return NULL;
}

static Timestamp
local_time(const Calendar *calendar, TimestampTz at)
{
	return DatumGetTimestamp(DirectFunctionCall2(timestamptz_zone, calendar->time_zone, TimestampTzGetDatum(at)));
}

static TimestampTz
instant(const Calendar *calendar, DateADT day, TimeADT time)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamp_zone, calendar->time_zone, TimestampGetDatum(day * USECS_PER_DAY + time)));
}

/* The date and the time of day that a calendar shows at an instant. */
static DateADT
local_date(const Calendar *calendar, TimestampTz at, TimeADT *time)
{
	Timestamp	local = local_time(calendar, at);
	DateADT		day = (DateADT) (local / USECS_PER_DAY);

	if (local < 0 && local % USECS_PER_DAY != 0)
		day--;
	if (time != NULL)
		*time = local - day * USECS_PER_DAY;
	return day;
}

/* The hours of a date, those of its weekday unless it has its own. */
static const Hours *
hours_of(const Calendar *calendar, DateADT day, int *n)
{
	const Hours *all = calendar->days;
	int			total = calendar->ndays;
	int			low = 0;
	int			high = total;
	int32		key = day;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (all[middle].day < day)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == total || all[low].day != day)
	{
		all = calendar->hours;
		total = calendar->nhours;
		key = j2day(day + POSTGRES_EPOCH_JDATE);
		key = key == 0 ? 7 : key;
		low = 0;
		while (low < total && all[low].day < key)
			low++;
	}
	*n = 0;
	while (low + *n < total && all[low + *n].day == key)
		(*n)++;
	return &all[low];
}

/* Working time in [from, until) without the pauses. Stops once it has found enough, and then says where. */
static int64
count_within(TimestampTz from, TimestampTz until, const Pauses *pauses, int64 enough, TimestampTz *reached)
{
	int64		counted = 0;

	for (int i = 0; from < until; i++)
	{
		TimestampTz end = i < pauses->n ? Min(until, pauses->from[i]) : until;

		if (end > from)
		{
			if (counted + (end - from) >= enough)
			{
				*reached = from + (enough - counted);
				return enough;
			}
			counted += end - from;
		}
		if (i >= pauses->n)
			break;
		from = Max(from, pauses->until[i]);
	}
	return counted;
}

/*
 * Working time of a date within [from, until) without the pauses, up to
 * enough of it; reached is where that is found.  A time that the clock jumps
 * over, or that an hour before it covers already, counts once.
 */
static int64
count_day(const Calendar *calendar, DateADT day, TimestampTz from, TimestampTz until, const Pauses *pauses, int64 enough, TimestampTz *reached)
{
	int			n;
	const Hours *hours = hours_of(calendar, day, &n);
	int64		counted = 0;

	for (int i = 0; i < n && counted < enough; i++)
	{
		TimestampTz opens;
		TimestampTz closes;

		if (hours[i].closes <= hours[i].opens)
			continue;
		opens = Max(from, instant(calendar, day, hours[i].opens));
		closes = Min(until, instant(calendar, day, hours[i].closes));
		if (closes > opens)
		{
			counted += count_within(opens, closes, pauses, enough - counted, reached);
			from = closes;
		}
	}
	return counted;
}

static const Pauses no_pauses = {0};

/* Working time between two instants, from not after until. */
static int64
working_time(const Calendar *calendar, TimestampTz from, TimestampTz until, const Pauses *pauses)
{
	DateADT		last = local_date(calendar, until, NULL);
	int64		counted = 0;
	TimestampTz reached;

	for (DateADT day = local_date(calendar, from, NULL); day <= last; day++)
	{
		CHECK_FOR_INTERRUPTS();
		counted += count_day(calendar, day, from, until, pauses, PG_INT64_MAX, &reached);
	}
	return counted;
}

/* Argument n, an instant that is one. */
static TimestampTz
arg_instant(FunctionCallInfo fcinfo, int n, const char *name)
{
	TimestampTz at;

	oms_arg_require(fcinfo, n, name);
	at = PG_GETARG_TIMESTAMPTZ(n);
	/* Years 1 to 9999: what people have calendars for, and no day of them is out of range anywhere. */
	if (at < INT64CONST(-63082281600) * USECS_PER_SEC || at >= INT64CONST(252455616000) * USECS_PER_SEC)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("Calendars are for the years 1 to 9999.")));
	return at;
}

/* Argument n, ranges of instants; null: none. */
static Pauses
arg_pauses(FunctionCallInfo fcinfo, int n)
{
	Pauses		pauses = {0};
	MultirangeType *ranges;
	TypeCacheEntry *type;
	RangeType **elements;
	int32		count;

	if (PG_ARGISNULL(n))
		return pauses;
	ranges = PG_GETARG_MULTIRANGE_P(n);
	type = multirange_get_typcache(fcinfo, MultirangeTypeGetOid(ranges));
	multirange_deserialize(type->rngtype, ranges, &count, &elements);
	pauses.from = palloc((count + 1) * sizeof(TimestampTz));
	pauses.until = palloc((count + 1) * sizeof(TimestampTz));
	for (int i = 0; i < count; i++)
	{
		RangeBound	lower;
		RangeBound	upper;
		bool		empty;

		range_deserialize(type->rngtype, elements[i], &lower, &upper, &empty);
		pauses.from[i] = lower.infinite ? DT_NOBEGIN : DatumGetTimestampTz(lower.val);
		pauses.until[i] = upper.infinite ? DT_NOEND : DatumGetTimestampTz(upper.val);
	}
	pauses.n = count;
	return pauses;
}

/* SQL: business_minutes(merchant, calendar, from, until, pauses) -> minutes, below zero when until is before from. */
Datum
oms_business_minutes(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "calendar", OMS_KEY_LENGTH);
	TimestampTz from = arg_instant(fcinfo, 2, "from_at");
	TimestampTz until = arg_instant(fcinfo, 3, "until_at");
	Pauses		pauses = arg_pauses(fcinfo, 4);
	const Calendar *calendar = find_calendar(merchant, name);

	if (until < from)
		PG_RETURN_INT64(-(working_time(calendar, until, from, &pauses) / USECS_PER_MINUTE));
	PG_RETURN_INT64(working_time(calendar, from, until, &pauses) / USECS_PER_MINUTE);
}

/*
 * SQL: business_due(merchant, calendar, start, minutes, days, cut_off, pauses) -> instant, or null when ten years have not enough.
 * Days are turned into the working time until the last of them closes; pauses then move that on.
 */
Datum
oms_business_due(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *name = oms_arg_text(fcinfo, 1, "calendar", OMS_KEY_LENGTH);
	TimestampTz start = arg_instant(fcinfo, 2, "start");
	Pauses		pauses = arg_pauses(fcinfo, 6);
	int32		left = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT32(4);
	int64		enough = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3) * USECS_PER_MINUTE;
	const Calendar *calendar;
	TimeADT		time;
	DateADT		first;
	DateADT		day;
	TimestampTz reached = start;

	if (PG_ARGISNULL(3) == PG_ARGISNULL(4) || left < 0 || enough < 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"minutes\" or \"days\" is missing or out of range"),
				 errdetail("One of them is given, from 0 on.")));
	calendar = find_calendar(merchant, name);
	first = local_date(calendar, start, &time);
	if (!PG_ARGISNULL(5) && time >= PG_GETARG_TIMEADT(5))
		start = instant(calendar, ++first, 0);

	if (!PG_ARGISNULL(4))
	{
		/* Day 0 is the first that has working time left. */
		for (day = first; left >= 0 && day - first < MAX_DAYS; day++)
		{
			int64		counted = count_day(calendar, day, start, DT_NOEND, &no_pauses, PG_INT64_MAX, &reached);

			enough += counted;
			left -= counted > 0;
		}
		if (left >= 0)
			PG_RETURN_NULL();
	}
	else if (enough == 0)
		PG_RETURN_TIMESTAMPTZ(start);

	for (day = first; day - first < MAX_DAYS; day++)
	{
		CHECK_FOR_INTERRUPTS();
		enough -= count_day(calendar, day, start, DT_NOEND, &pauses, enough, &reached);
		if (enough <= 0)
			PG_RETURN_TIMESTAMPTZ(reached);
	}
	PG_RETURN_NULL();
}
