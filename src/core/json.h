/*-------------------------------------------------------------------------
 * json.h
 *	  Reading documents with the path in each error, and building small
 *	  jsonb values in the order PostgreSQL stores them.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_JSON_H
#define OMS_JSON_H

#include "utils/jsonb.h"

/* Where in a document we are, for error messages: a chain kept on the stack. */
typedef struct OmsPath
{
	const struct OmsPath *parent;
	const char *key;			/* null: an array element */
	int			index;
} OmsPath;

extern char *oms_path_string(const OmsPath *path, const char *key);
pg_noreturn extern void oms_error_document(const OmsPath *path, const char *key, const char *expected);
/* Refuses members of the object that are not in the null-terminated list. */
extern void oms_json_only(JsonbContainer *object, const OmsPath *path, const char *const *allowed);
extern JsonbValue *oms_json_find(JsonbContainer *object, const char *key);
extern char *oms_json_text(JsonbContainer *object, const OmsPath *path, const char *key, int maxlen, bool required);
extern bool oms_json_bool(JsonbContainer *object, const OmsPath *path, const char *key, bool missing);
/* False when absent or null. */
extern bool oms_json_int64(JsonbContainer *object, const OmsPath *path, const char *key, int64 min, int64 max, int64 *result);
/* A number or numeric string, scaled by 10^scale. */
extern bool oms_json_scaled(JsonbContainer *object, const OmsPath *path, const char *key, int scale, int64 *result);
extern JsonbContainer *oms_json_container(JsonbContainer *object, const OmsPath *path, const char *key, bool array, bool required);
extern bool oms_json_timestamp(JsonbContainer *object, const OmsPath *path, const char *key, TimestampTz *result);

/* Building. */
typedef struct OmsJson
{
	JsonbParseState *state;
} OmsJson;

extern void oms_json_begin(OmsJson *json);
extern void oms_json_add_null(OmsJson *json, const char *key);
extern void oms_json_add_text(OmsJson *json, const char *key, const char *value);
extern void oms_json_add_int(OmsJson *json, const char *key, int64 value);
extern void oms_json_add_scaled(OmsJson *json, const char *key, int64 value, int scale);
extern void oms_json_add_bool(OmsJson *json, const char *key, bool value);
extern void oms_json_add_timestamp(OmsJson *json, const char *key, TimestampTz instant);
extern void oms_json_add_jsonb(OmsJson *json, const char *key, Datum value);
extern void oms_json_add_array(OmsJson *json, const char *key, const Datum *elements, int n);
extern Datum oms_json_end(OmsJson *json);

/* What SQL's to_jsonb() makes of a value of a type. */
extern Datum oms_to_jsonb(Oid type, Datum value);

#endif							/* OMS_JSON_H */
