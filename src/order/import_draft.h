/*-------------------------------------------------------------------------
 * import_draft.h
 *	  Another system's order as a document of place_order().
 *-------------------------------------------------------------------------
 */
#ifndef OMS_IMPORT_DRAFT_H
#define OMS_IMPORT_DRAFT_H

#include "lib/stringinfo.h"

#include "order/draft.h"
#include "order/import.h"

typedef struct OmsImport
{
	OmsImportMap *map;
	Datum		root;			/* the order within the payload */
	OmsDraft   *channel;		/* an empty draft: currency, rounding, external reference */
	Datum		document;
	StringInfoData remarks;		/* what has no place here, for the hold */
} OmsImport;

/* Reads a payload; OM002, OM003, OM012, OM017.  Expects oms_begin(). */
extern OmsImport *oms_import_read(int32 merchant, const char *source, Datum payload, const char *channel,
								  const char *allocation, const char *actor);

/* A number of the payload in minor units, rounded with a remark where it is finer; false when there is none. */
extern bool oms_import_amount(OmsImport *import, Datum target, const char *field, int64 *amount);

/* One more thing for the hold. */
extern void oms_import_remark(OmsImport *import, const char *format,...) pg_attribute_printf(2, 3);

#endif							/* OMS_IMPORT_DRAFT_H */
