/*-------------------------------------------------------------------------
 * money_type.c
 *	  Type oms.money: an amount that knows its currency, for views, functions
 *	  and reports.  Adding two currencies is an error in any SQL.
 *
 *	  Tables hold numeric and a currency beside it (a column of an extension's
 *	  type would go with DROP EXTENSION); money(amount, currency) joins them.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "common/hashfn.h"
#include "common/int.h"
#include "libpq/pqformat.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "core/money.h"

/* As it stands in a value of the type: 16 bytes, no padding; compared and hashed field by field. */
typedef struct OmsMoney
{
	int64		minor;			/* of the currency's smallest unit */
	char		currency[4];	/* ISO 4217, ended by a zero */
	int32		exponent;		/* decimals of the smallest unit */
} OmsMoney;

#define PG_GETARG_MONEY(n)	((const OmsMoney *) PG_GETARG_POINTER(n))
#define PG_RETURN_MONEY(minor, like) PG_RETURN_POINTER(make_money((minor), (like)->currency, (like)->exponent))

PG_FUNCTION_INFO_V1(oms_money_in);
PG_FUNCTION_INFO_V1(oms_money_out);
PG_FUNCTION_INFO_V1(oms_money_recv);
PG_FUNCTION_INFO_V1(oms_money_send);
PG_FUNCTION_INFO_V1(oms_money_make);
PG_FUNCTION_INFO_V1(oms_money_amount_of);
PG_FUNCTION_INFO_V1(oms_money_currency_of);
PG_FUNCTION_INFO_V1(oms_money_plus);
PG_FUNCTION_INFO_V1(oms_money_minus);
PG_FUNCTION_INFO_V1(oms_money_negative);
PG_FUNCTION_INFO_V1(oms_money_absolute);
PG_FUNCTION_INFO_V1(oms_money_times);
PG_FUNCTION_INFO_V1(oms_number_times_money);
PG_FUNCTION_INFO_V1(oms_money_over_number);
PG_FUNCTION_INFO_V1(oms_money_ratio);
PG_FUNCTION_INFO_V1(oms_money_smaller);
PG_FUNCTION_INFO_V1(oms_money_larger);
PG_FUNCTION_INFO_V1(oms_money_cmp);
PG_FUNCTION_INFO_V1(oms_money_eq);
PG_FUNCTION_INFO_V1(oms_money_ne);
PG_FUNCTION_INFO_V1(oms_money_lt);
PG_FUNCTION_INFO_V1(oms_money_le);
PG_FUNCTION_INFO_V1(oms_money_gt);
PG_FUNCTION_INFO_V1(oms_money_ge);
PG_FUNCTION_INFO_V1(oms_money_hash);
PG_FUNCTION_INFO_V1(oms_money_hash_extended);

static OmsMoney *
make_money(int64 minor, const char *currency, int exponent)
{
	OmsMoney   *money = palloc0(sizeof(OmsMoney));

	money->minor = minor;
	strlcpy(money->currency, currency, sizeof(money->currency));
	money->exponent = exponent;
	return money;
}

static void
error_overflow(const char *currency)
{
	ereport(ERROR,
			(errcode(OMS_MONEY_RANGE),
			 errmsg("an amount in %s is out of range", currency),
			 errdetail("It does not fit 18 digits of the currency's smallest unit."),
			 errhint("Cast to numeric by amount() where larger sums are needed.")));
}

/* OM012 unless both are of one currency. */
static void
require_same(const OmsMoney *a, const OmsMoney *b)
{
	if (memcmp(a->currency, b->currency, sizeof(a->currency)) != 0)
		ereport(ERROR,
				(errcode(OMS_CURRENCY),
				 errmsg("%s and %s cannot be added or compared as amounts", a->currency, b->currency),
				 errdetail("An amount has one currency; these are two."),
				 errhint("Group by currency(), or convert with the rate stored with the order.")));
}

static void
error_text(const char *text)
{
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("\"%.64s%s\" is not an amount of money", text, strlen(text) > 64 ? "..." : ""),
			 errhint("Write amount and currency, as in 12.34 EUR.")));
}

/* '12.34 EUR' or 'EUR 12.34'. */
Datum
oms_money_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	char	   *copy = pstrdup(text);
	char	   *words[3];
	char	   *rest = NULL;
	char	   *word;
	int			nwords = 0;
	int			exponent;
	int64		minor;

	for (word = strtok_r(copy, " \t\n", &rest); word != NULL; word = strtok_r(NULL, " \t\n", &rest))
	{
		if (nwords == 2)
			error_text(text);
		words[nwords++] = word;
	}
	if (nwords != 2)
		error_text(text);
	/* The currency first: the other one is the number. */
	if (strspn(words[1], "+-.0123456789") > 0)
	{
		word = words[0];
		words[0] = words[1];
		words[1] = word;
	}
	exponent = oms_currency_exponent(words[1]);
	if (!oms_text_to_scaled(words[0], exponent, &minor))
	{
		/* Too many decimals, or no number at all: numeric_in says which. */
		Datum		number = DirectFunctionCall3(numeric_in, CStringGetDatum(words[0]),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

		minor = oms_numeric_to_scaled(number, exponent, "amount");
	}
	PG_RETURN_POINTER(make_money(minor, words[1], exponent));
}

Datum
oms_money_out(PG_FUNCTION_ARGS)
{
	const OmsMoney *money = PG_GETARG_MONEY(0);
	char	   *number = DatumGetCString(DirectFunctionCall1(numeric_out, oms_scaled_to_numeric(money->minor, money->exponent)));

	PG_RETURN_CSTRING(psprintf("%s %s", number, money->currency));
}

/* Binary: smallest units, then the currency's three letters. */
Datum
oms_money_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int64		minor = pq_getmsgint64(buffer);
	char		currency[4] = {0};

	pq_copymsgbytes(buffer, currency, 3);
	PG_RETURN_POINTER(make_money(minor, currency, oms_currency_exponent(currency)));
}

Datum
oms_money_send(PG_FUNCTION_ARGS)
{
	const OmsMoney *money = PG_GETARG_MONEY(0);
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendint64(&buffer, money->minor);
	pq_sendbytes(&buffer, money->currency, 3);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* money(amount, currency): never rounds; OM017 for more decimals than the currency has. */
Datum
oms_money_make(PG_FUNCTION_ARGS)
{
	char	   *currency = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int			exponent = oms_currency_exponent(currency);

	PG_RETURN_POINTER(make_money(oms_numeric_to_scaled(PG_GETARG_DATUM(0), exponent, "amount"), currency, exponent));
}

Datum
oms_money_amount_of(PG_FUNCTION_ARGS)
{
	const OmsMoney *money = PG_GETARG_MONEY(0);

	return oms_scaled_to_numeric(money->minor, money->exponent);
}

Datum
oms_money_currency_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(PG_GETARG_MONEY(0)->currency));
}

Datum
oms_money_plus(PG_FUNCTION_ARGS)
{
	const OmsMoney *a = PG_GETARG_MONEY(0);
	const OmsMoney *b = PG_GETARG_MONEY(1);
	int64		sum;

	require_same(a, b);
	if (pg_add_s64_overflow(a->minor, b->minor, &sum))
		error_overflow(a->currency);
	PG_RETURN_MONEY(sum, a);
}

Datum
oms_money_minus(PG_FUNCTION_ARGS)
{
	const OmsMoney *a = PG_GETARG_MONEY(0);
	const OmsMoney *b = PG_GETARG_MONEY(1);
	int64		difference;

	require_same(a, b);
	if (pg_sub_s64_overflow(a->minor, b->minor, &difference))
		error_overflow(a->currency);
	PG_RETURN_MONEY(difference, a);
}

static Datum
negated(const OmsMoney *money)
{
	if (money->minor == PG_INT64_MIN)
		error_overflow(money->currency);
	PG_RETURN_MONEY(-money->minor, money);
}

Datum
oms_money_negative(PG_FUNCTION_ARGS)
{
	return negated(PG_GETARG_MONEY(0));
}

Datum
oms_money_absolute(PG_FUNCTION_ARGS)
{
	const OmsMoney *money = PG_GETARG_MONEY(0);

	if (money->minor < 0)
		return negated(money);
	PG_RETURN_MONEY(money->minor, money);
}

/* A numeric of smallest units, rounded half to even, as money like the given one. */
static Datum
rounded(Datum exact, const OmsMoney *like)
{
	Datum		whole = DirectFunctionCall2(numeric_trunc, exact, Int32GetDatum(0));
	Datum		half = DirectFunctionCall2(numeric_mul, DirectFunctionCall2(numeric_sub, exact, whole),
										   DirectFunctionCall1(int4_numeric, Int32GetDatum(2)));
	Datum		one = DirectFunctionCall1(int4_numeric, Int32GetDatum(1));
	int			size = DatumGetInt32(DirectFunctionCall2(numeric_cmp, DirectFunctionCall1(numeric_abs, half), one));
	bool		negative = DatumGetBool(DirectFunctionCall2(numeric_lt, half, DirectFunctionCall1(int4_numeric, Int32GetDatum(0))));
	int64		minor;

	if (numeric_is_nan(DatumGetNumeric(exact)) || numeric_is_inf(DatumGetNumeric(exact)))
		error_overflow(like->currency);
	if (!oms_text_to_scaled(DatumGetCString(DirectFunctionCall1(numeric_out, whole)), 0, &minor))
		error_overflow(like->currency);
	if ((size > 0 || (size == 0 && minor % 2 != 0)) && pg_add_s64_overflow(minor, negative ? -1 : 1, &minor))
		error_overflow(like->currency);
	PG_RETURN_MONEY(minor, like);
}

static Datum
times(const OmsMoney *money, Datum factor)
{
	return rounded(DirectFunctionCall2(numeric_mul, oms_scaled_to_numeric(money->minor, 0), factor), money);
}

Datum
oms_money_times(PG_FUNCTION_ARGS)
{
	return times(PG_GETARG_MONEY(0), PG_GETARG_DATUM(1));
}

Datum
oms_number_times_money(PG_FUNCTION_ARGS)
{
	return times(PG_GETARG_MONEY(1), PG_GETARG_DATUM(0));
}

Datum
oms_money_over_number(PG_FUNCTION_ARGS)
{
	const OmsMoney *money = PG_GETARG_MONEY(0);

	return rounded(DirectFunctionCall2(numeric_div, oms_scaled_to_numeric(money->minor, 0), PG_GETARG_DATUM(1)), money);
}

Datum
oms_money_ratio(PG_FUNCTION_ARGS)
{
	const OmsMoney *a = PG_GETARG_MONEY(0);
	const OmsMoney *b = PG_GETARG_MONEY(1);

	require_same(a, b);
	return DirectFunctionCall2(numeric_div, oms_scaled_to_numeric(a->minor, 0), oms_scaled_to_numeric(b->minor, 0));
}

/* For min() and max(): of one currency only. */
Datum
oms_money_smaller(PG_FUNCTION_ARGS)
{
	const OmsMoney *a = PG_GETARG_MONEY(0);
	const OmsMoney *b = PG_GETARG_MONEY(1);

	require_same(a, b);
	PG_RETURN_POINTER(a->minor <= b->minor ? a : b);
}

Datum
oms_money_larger(PG_FUNCTION_ARGS)
{
	const OmsMoney *a = PG_GETARG_MONEY(0);
	const OmsMoney *b = PG_GETARG_MONEY(1);

	require_same(a, b);
	PG_RETURN_POINTER(a->minor >= b->minor ? a : b);
}

/* The order that sorting and indexes need to be total: by currency, then by amount. */
static int
compare(FunctionCallInfo fcinfo)
{
	const OmsMoney *a = PG_GETARG_MONEY(0);
	const OmsMoney *b = PG_GETARG_MONEY(1);
	int			currencies = memcmp(a->currency, b->currency, sizeof(a->currency));

	if (currencies != 0)
		return currencies < 0 ? -1 : 1;
	return a->minor < b->minor ? -1 : a->minor > b->minor;
}

Datum
oms_money_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

Datum
oms_money_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
oms_money_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
oms_money_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
oms_money_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
oms_money_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
oms_money_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
oms_money_hash(PG_FUNCTION_ARGS)
{
	return hash_any((const unsigned char *) PG_GETARG_MONEY(0), offsetof(OmsMoney, exponent));
}

Datum
oms_money_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended((const unsigned char *) PG_GETARG_MONEY(0), offsetof(OmsMoney, exponent), PG_GETARG_INT64(1));
}
