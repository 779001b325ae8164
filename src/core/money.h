/*-------------------------------------------------------------------------
 * money.h
 *	  Amounts as int64 of a currency's smallest unit, in and out of numeric.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_MONEY_H
#define OMS_MONEY_H

#include "core/money_core.h"

/* Unit prices and rates are held with this many decimals. */
#define OMS_PRICE_SCALE		8
#define OMS_PRICE_ONE		INT64CONST(100000000)

/* Exponent of an ISO 4217 currency; OM012 when there is no such code. */
extern int	oms_currency_exponent(const char *code);

/* numeric <-> scaled integer; OM017 naming "what" when it does not fit. */
extern int64 oms_numeric_to_scaled(Datum value, int scale, const char *what);
extern Datum oms_scaled_to_numeric(int64 value, int scale);
extern Datum oms_price_to_numeric(int64 value, int decimals);
/* An amount in minor units as people read it; a numeric column in minor units, null is 0. */
extern char *oms_money_text(int64 amount, int exponent);
/* A price or rate as people read it, without the zeros that its scale adds. */
extern char *oms_price_text(int64 price);
extern int64 oms_get_money(uint64 row, int column, int exponent);
/* decimal text -> scaled integer; false when it is not a plain number or does not fit */
extern bool oms_text_to_scaled(const char *text, int scale, int64 *result);

/* quantity * unit_price (scaled) in minor units, rounded once. */
extern int64 oms_money_amount(int64 unit_price, int64 quantity, int exponent, OmsRounding mode);
/* amount * rate (scaled): tax to add. */
extern int64 oms_money_share(int64 amount, int64 rate, OmsRounding mode);
/* gross * rate / (1 + rate): tax contained. */
extern int64 oms_money_tax_inside(int64 gross, int64 rate, OmsRounding mode);
/* Checked sum; OM017. */
extern int64 oms_money_add(int64 a, int64 b);

#endif							/* OMS_MONEY_H */
