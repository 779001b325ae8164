/*-------------------------------------------------------------------------
 * import.h
 *	  Orders of other systems: what a payload says, found by the rows of
 *	  import_field.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_IMPORT_H
#define OMS_IMPORT_H

#include "utils/jsonb.h"

/* A source's fields, read once a call. */
typedef struct OmsImportMap OmsImportMap;

/* Reads the mapping of a source; OM002 when there is no such source. */
extern OmsImportMap *oms_import_map(const char *source);

/* The order within the payload, an X12 string read into an object first; OM003 when there is none. */
extern Datum oms_import_root(const OmsImportMap *map, Datum payload);

/* The elements of a list: lines, charges.shipping, payments, refunds.  Each is a jsonb. */
extern Datum *oms_import_elements(const OmsImportMap *map, Datum target, const char *field, int *n);

/* A text, parts joined by a blank; null when the payload has none. */
extern char *oms_import_text(const OmsImportMap *map, Datum target, const char *field);

/* A number scaled by 10^OMS_PRICE_SCALE, all values added; false when the payload has none; OM003 when it is no number. */
extern bool oms_import_number(const OmsImportMap *map, Datum target, const char *field, int64 *number);

/* What the field's word means by import_value; null when nothing. */
extern const char *oms_import_meaning(const OmsImportMap *map, Datum target, const char *field);

/* import_x12.c: the transactions of a text of interchanges, each an object; OM003. */
extern Datum *oms_x12_transactions(const char *text, int *n);

#endif							/* OMS_IMPORT_H */
