/*-------------------------------------------------------------------------
 * errors.h
 *	  The error class OM.  Each code has one meaning and one way out; the
 *	  table in docs/errors.md is checked against this file.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_ERRORS_H
#define OMS_ERRORS_H

#include "utils/errcodes.h"

#define OMS_SQLSTATE(a, b, c)	MAKE_SQLSTATE('O', 'M', a, b, c)

#define OMS_SHORTAGE			OMS_SQLSTATE('0', '0', '1') /* not enough stock available */
#define OMS_UNKNOWN				OMS_SQLSTATE('0', '0', '2') /* no such object for this merchant */
#define OMS_MALFORMED			OMS_SQLSTATE('0', '0', '3') /* document malformed, path in the detail */
#define OMS_TRANSITION			OMS_SQLSTATE('0', '0', '4') /* state machine has no such transition */
#define OMS_ON_HOLD				OMS_SQLSTATE('0', '0', '5') /* a hold blocks this step */
#define OMS_COUNTERS			OMS_SQLSTATE('0', '0', '6') /* line counters would contradict each other */
#define OMS_LIMIT				OMS_SQLSTATE('0', '0', '7') /* more than authorized, captured, shipped, paid ... */
#define OMS_STATE				OMS_SQLSTATE('0', '0', '8') /* not possible in the object's present state */
#define OMS_GUARDED				OMS_SQLSTATE('0', '0', '9') /* rows that only a named command may write */
#define OMS_REQUEST_REUSED		OMS_SQLSTATE('0', '1', '0') /* request key used before with other content */
#define OMS_ARGUMENT			OMS_SQLSTATE('0', '1', '1') /* argument missing or out of range */
#define OMS_CURRENCY			OMS_SQLSTATE('0', '1', '2') /* two currencies, or an unknown one */
#define OMS_NOT_INSTALLED		OMS_SQLSTATE('0', '1', '3') /* tables missing or of an older layout */
#define OMS_REFERENCED			OMS_SQLSTATE('0', '1', '4') /* row may not be deleted or re-keyed */
#define OMS_BUSY				OMS_SQLSTATE('0', '1', '5') /* waited too long for a lock: retry */
#define OMS_CONFIGURATION		OMS_SQLSTATE('0', '1', '6') /* set-up incomplete: no price, location, tariff ... */
#define OMS_MONEY_RANGE			OMS_SQLSTATE('0', '1', '7') /* amount beyond the currency's precision or range */

/* "no such customer": one wording for every unknown id. */
pg_noreturn extern void oms_error_unknown(const char *what, int32 merchant, int64 id);
pg_noreturn extern void oms_error_unknown_code(const char *what, int32 merchant, const char *code);

/* At most so many bytes of a text from outside, whole characters, for a message. */
extern char *oms_clip(const char *text, int bytes);

#endif							/* OMS_ERRORS_H */
