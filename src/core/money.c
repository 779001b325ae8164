/*-------------------------------------------------------------------------
 * money.c
 *	  Between numeric, text and int64 of the smallest unit; the SQL functions
 *	  for shares.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "core/config.h"
#include "core/money.h"

PG_FUNCTION_INFO_V1(oms_units_share_sql);
PG_FUNCTION_INFO_V1(oms_prorate_step);
PG_FUNCTION_INFO_V1(oms_prorate_final);

static void
error_range(const char *what, const char *value, int scale)
{
	ereport(ERROR,
			(errcode(OMS_MONEY_RANGE),
			 errmsg("%s is out of range", what),
			 errdetail("%.64s%s was given; at most %d decimals and about 18 digits in all are held.",
					   value, strlen(value) > 64 ? "..." : "", scale),
			 errhint("Round the value to the currency's smallest unit first.")));
}

/*
 * Reads decimal digits, sign and point into an integer scaled by 10^scale.
 * Zeros beyond the scale are let through, other digits are not.
 */
bool
oms_text_to_scaled(const char *text, int scale, int64 *result)
{
	const char *p = text;
	bool		negative = false;
	bool		any = false;
	int			decimals = -1;
	int64		value = 0;

	if (*p == '-' || *p == '+')
		negative = *p++ == '-';
	for (; *p != '\0'; p++)
	{
		if (*p == '.' && decimals < 0)
		{
			decimals = 0;
			continue;
		}
		if (*p < '0' || *p > '9')
			return false;
		any = true;
		if (decimals >= scale)
		{
			if (*p != '0')
				return false;
			continue;
		}
		if (decimals >= 0)
			decimals++;
		if (pg_mul_s64_overflow(value, 10, &value) || pg_add_s64_overflow(value, *p - '0', &value))
			return false;
	}
	if (!any)
		return false;
	for (decimals = Max(decimals, 0); decimals < scale; decimals++)
		if (pg_mul_s64_overflow(value, 10, &value))
			return false;
	*result = negative ? -value : value;
	return true;
}

int64
oms_numeric_to_scaled(Datum value, int scale, const char *what)
{
	int64		result;
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

	if (!oms_text_to_scaled(text, scale, &result))
		error_range(what, text, scale);
	pfree(text);
	return result;
}

Datum
oms_scaled_to_numeric(int64 value, int scale)
{
	return NumericGetDatum(int64_div_fast_to_numeric(value, scale));
}

/* An amount in minor units as people read it. */
char *
oms_money_text(int64 amount, int exponent)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, oms_scaled_to_numeric(amount, exponent)));
}

/* A numeric column in minor units; null reads as 0. */
int64
oms_get_money(uint64 row, int column, int exponent)
{
	bool		isnull;
	Datum		value = oms_get(row, column, &isnull);

	return isnull ? 0 : oms_numeric_to_scaled(value, exponent, "amount");
}

/* A price or rate without the zeros that its scale adds, but with so many decimals at least. */
Datum
oms_price_to_numeric(int64 value, int decimals)
{
	int			scale = OMS_PRICE_SCALE;

	while (scale > decimals && value % 10 == 0)
	{
		value /= 10;
		scale--;
	}
	return oms_scaled_to_numeric(value, scale);
}

char *
oms_price_text(int64 price)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, oms_price_to_numeric(price, 0)));
}

static int64
checked(bool fits, int64 value)
{
	if (!fits)
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("an amount is out of range"),
				 errdetail("It does not fit 18 digits of the currency's smallest unit."),
				 errhint("Check quantities and prices.")));
	return value;
}

int64
oms_money_amount(int64 unit_price, int64 quantity, int exponent, OmsRounding mode)
{
	static const int64 divisors[] = {100000000, 10000000, 1000000, 100000, 10000};
	int64		result = 0;
	bool		fits = oms_mul_div(unit_price, quantity, divisors[exponent], mode, &result);

	return checked(fits, result);
}

int64
oms_money_share(int64 amount, int64 rate, OmsRounding mode)
{
	int64		result = 0;
	bool		fits = oms_mul_div(amount, rate, OMS_PRICE_ONE, mode, &result);

	return checked(fits, result);
}

int64
oms_money_tax_inside(int64 gross, int64 rate, OmsRounding mode)
{
	int64		result = 0;
	bool		fits = oms_mul_div(gross, rate, OMS_PRICE_ONE + rate, mode, &result);

	return checked(fits, result);
}

int64
oms_money_add(int64 a, int64 b)
{
	int64		result = 0;
	bool		fits = !pg_add_s64_overflow(a, b, &result);

	return checked(fits, result);
}

/* SQL: units_share(total, units, from_unit, to_unit, currency); null in, null out. */
Datum
oms_units_share_sql(PG_FUNCTION_ARGS)
{
	int			exponent = oms_currency_exponent(text_to_cstring(PG_GETARG_TEXT_PP(4)));
	int64		total = oms_numeric_to_scaled(PG_GETARG_DATUM(0), exponent, "total");
	int64		units = PG_GETARG_INT64(1);
	int64		from = PG_GETARG_INT64(2);
	int64		to = PG_GETARG_INT64(3);

	if (units <= 0 || from < 0 || to < from || to > units)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("units " INT64_FORMAT " to " INT64_FORMAT " of " INT64_FORMAT " do not exist", from, to, units),
				 errhint("Units are numbered 1 to their count; from_unit is exclusive, to_unit inclusive.")));
	return oms_scaled_to_numeric(oms_units_share(total, units, from, to), exponent);
}

/* State of the aggregate prorate: what to split, and the weights in order. */
typedef struct ProrateState
{
	int64		total;
	Datum		given;			/* total and currency as the first row has them */
	char	   *currency;
	int			exponent;
	int			n;
	int			size;
	int64	   *weights;
} ProrateState;

/* SQL aggregate prorate(total, weight, currency): collects the weights. */
Datum
oms_prorate_step(PG_FUNCTION_ARGS)
{
	MemoryContext context,
				old;
	ProrateState *state;
	text	   *currency;
	int64		weight;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("prorate_step may only be called as aggregate prorate")));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("prorate needs a total, a weight and a currency in each row"),
				 errdetail("One of them is null."),
				 errhint("Use coalesce(weight, 0) where no weight means no share.")));
	currency = PG_GETARG_TEXT_PP(3);
	if (PG_ARGISNULL(0))
	{
		old = MemoryContextSwitchTo(context);
		state = palloc0(sizeof(ProrateState));
		state->exponent = oms_currency_exponent(text_to_cstring(currency));
		state->total = oms_numeric_to_scaled(PG_GETARG_DATUM(1), state->exponent, "total");
		state->given = datumCopy(PointerGetDatum(PG_GETARG_NUMERIC(1)), false, -1);
		state->currency = text_to_cstring(currency);
		state->size = 8;
		state->weights = palloc(state->size * sizeof(int64));
		MemoryContextSwitchTo(old);
	}
	else
		state = (ProrateState *) PG_GETARG_POINTER(0);
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, state->given, PG_GETARG_DATUM(1))) ||
		strlen(state->currency) != VARSIZE_ANY_EXHDR(currency) ||
		memcmp(state->currency, VARDATA_ANY(currency), VARSIZE_ANY_EXHDR(currency)) != 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("prorate splits one total in one currency"),
				 errdetail("Total or currency is not that of the first row."),
				 errhint("Group by what each total belongs to.")));
	weight = oms_numeric_to_scaled(PG_GETARG_DATUM(2), OMS_PRICE_SCALE, "weight");
	if (weight < 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("a weight of prorate is negative")));
	if (state->n == state->size)
	{
		state->size *= 2;
		state->weights = repalloc(state->weights, state->size * sizeof(int64));
	}
	state->weights[state->n++] = weight;
	PG_RETURN_POINTER(state);
}

/* The shares as numeric[], in the order of the rows. */
Datum
oms_prorate_final(PG_FUNCTION_ARGS)
{
	ProrateState *state;
	int64	   *shares;
	Datum	   *values;
	int			i;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (ProrateState *) PG_GETARG_POINTER(0);
	shares = palloc(state->n * sizeof(int64));
	values = palloc(state->n * sizeof(Datum));
	(void) checked(oms_prorate(state->total, state->weights, state->n, shares), 0);
	for (i = 0; i < state->n; i++)
		values[i] = oms_scaled_to_numeric(shares[i], state->exponent);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, state->n, NUMERICOID, -1, false, TYPALIGN_INT));
}
