/*-------------------------------------------------------------------------
 * money_core.h
 *	  Exact arithmetic on amounts; nothing of PostgreSQL in it, so that it is
 *	  tested and fuzzed alone.  All functions return false on overflow.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_MONEY_CORE_H
#define OMS_MONEY_CORE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum OmsRounding
{
	OMS_HALF_EVEN,
	OMS_HALF_UP					/* away from zero */
} OmsRounding;

extern bool oms_mul_div(int64_t a, int64_t b, int64_t divisor, OmsRounding mode, int64_t *result);
extern bool oms_prorate(int64_t total, const int64_t *weights, int n, int64_t *shares);
extern int64_t oms_units_share(int64_t total, int64_t units, int64_t from, int64_t to);

#endif							/* OMS_MONEY_CORE_H */
