/*-------------------------------------------------------------------------
 * json.c
 *	  Reading documents with the path in each error (OM003), and building
 *	  jsonb.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "core/json.h"
#include "core/money.h"

static void
append_path(StringInfo buf, const OmsPath *path)
{
	if (path == NULL)
	{
		appendStringInfoChar(buf, '$');
		return;
	}
	append_path(buf, path->parent);
	if (path->key != NULL)
		appendStringInfo(buf, ".%s", path->key);
	else
		appendStringInfo(buf, "[%d]", path->index);
}

/* The path as SQL/JSON path text, such as $.lines[2].quantity. */
char *
oms_path_string(const OmsPath *path, const char *key)
{
	StringInfoData buf;

	initStringInfo(&buf);
	append_path(&buf, path);
	if (key != NULL)
		appendStringInfo(&buf, ".%s", key);
	return buf.data;
}

void
oms_error_document(const OmsPath *path, const char *key, const char *expected)
{
	ereport(ERROR,
			(errcode(OMS_MALFORMED),
			 errmsg("the document is malformed at %s", oms_path_string(path, key)),
			 errdetail("Expected %s.", expected),
			 errhint("The fields of each document are listed in the COMMENT of the function.")));
}

/* Refuses members that nobody will read: a misspelt field must not be lost silently. */
void
oms_json_only(JsonbContainer *object, const OmsPath *path, const char *const *allowed)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	value;
	JsonbIteratorToken token;

	if (!JsonContainerIsObject(object))
		oms_error_document(path, NULL, "an object");
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		const char *const *name;

		if (token != WJB_KEY)
			continue;
		for (name = allowed; *name != NULL; name++)
			if (strlen(*name) == value.val.string.len &&
				memcmp(*name, value.val.string.val, value.val.string.len) == 0)
				break;
		if (*name == NULL)
			ereport(ERROR,
					(errcode(OMS_MALFORMED),
					 errmsg("the document has an unknown field at %s",
							oms_path_string(path, pnstrdup(value.val.string.val,
														   pg_mbcliplen(value.val.string.val, value.val.string.len, 64)))),
					 errhint("Remove it, or correct its spelling: unknown fields are refused so that none is lost.")));
	}
}

JsonbValue *
oms_json_find(JsonbContainer *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	if (value != NULL && value->type == jbvNull)
		return NULL;
	return value;
}

/* A string of 1 to maxlen characters; null when absent and not required. */
char *
oms_json_text(JsonbContainer *object, const OmsPath *path, const char *key, int maxlen, bool required)
{
	JsonbValue *value = oms_json_find(object, key);
	int			length;

	if (value == NULL)
	{
		if (required)
			oms_error_document(path, key, "a string");
		return NULL;
	}
	if (value->type == jbvNumeric)
	{
		char	   *number = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));

		length = (int) strlen(number);
		if (length > maxlen)
			oms_error_document(path, key, psprintf("a string of 1 to %d characters, not %d", maxlen, length));
		return number;
	}
	if (value->type != jbvString)
		oms_error_document(path, key, "a string");
	length = pg_mbstrlen_with_len(value->val.string.val, value->val.string.len);
	if (length == 0 && !required)
		return NULL;
	if (length == 0 || length > maxlen)
		oms_error_document(path, key, psprintf("a string of 1 to %d characters, not %d", maxlen, length));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

bool
oms_json_bool(JsonbContainer *object, const OmsPath *path, const char *key, bool missing)
{
	JsonbValue *value = oms_json_find(object, key);

	if (value == NULL)
		return missing;
	if (value->type != jbvBool)
		oms_error_document(path, key, "true or false");
	return value->val.boolean;
}

/* The number at key as text: a JSON number, or a string that holds one. */
static char *
number_text(JsonbContainer *object, const OmsPath *path, const char *key, const char *expected)
{
	JsonbValue *value = oms_json_find(object, key);

	if (value == NULL)
		return NULL;
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	if (value->type != jbvString || value->val.string.len > 64)
		oms_error_document(path, key, expected);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* What a message says of a number: a JSON number may have a hundred thousand digits. */
static const char *
clipped(const char *number)
{
	return strlen(number) <= 64 ? number : psprintf("%.61s...", number);
}

/* A whole number within bounds; false when absent. */
bool
oms_json_int64(JsonbContainer *object, const OmsPath *path, const char *key, int64 min, int64 max, int64 *result)
{
	char	   *text = number_text(object, path, key, "a whole number");

	if (text == NULL)
		return false;
	if (!oms_text_to_scaled(text, 0, result) || *result < min || *result > max)
		oms_error_document(path, key, psprintf("a whole number from " INT64_FORMAT " to " INT64_FORMAT ", not %s",
											   min, max, clipped(text)));
	return true;
}

/* A decimal number, scaled; false when absent. */
bool
oms_json_scaled(JsonbContainer *object, const OmsPath *path, const char *key, int scale, int64 *result)
{
	char	   *text = number_text(object, path, key, "a number");

	if (text == NULL)
		return false;
	if (!oms_text_to_scaled(text, scale, result))
		oms_error_document(path, key, psprintf("a number with at most %d decimals, not %s", scale, clipped(text)));
	return true;
}

JsonbContainer *
oms_json_container(JsonbContainer *object, const OmsPath *path, const char *key, bool array, bool required)
{
	JsonbValue *value = oms_json_find(object, key);

	if (value == NULL && !required)
		return NULL;
	if (value == NULL || value->type != jbvBinary ||
		(array ? !JsonContainerIsArray(value->val.binary.data) : !JsonContainerIsObject(value->val.binary.data)))
		oms_error_document(path, key, array ? "an array" : "an object");
	return value->val.binary.data;
}

/* So many digits, and where they end; null when there are others. */
static const char *
digits(const char *p, int least, int most)
{
	int			n = (int) strspn(p, "0123456789");

	return n < least || n > most ? NULL : p + n;
}

/*
 * An ISO 8601 date with or without time and offset, and nothing that depends on
 * the session's DateStyle or TimeZone: without an offset it is UTC.  Returns
 * the text with an offset, or null.
 */
static const char *
iso_instant(const char *text)
{
	const char *p = digits(text, 4, 6);

	if (p == NULL || *p++ != '-' || (p = digits(p, 2, 2)) == NULL || *p++ != '-' || (p = digits(p, 2, 2)) == NULL)
		return NULL;
	if (*p == '\0')
		return psprintf("%s 00:00Z", text);
	if ((*p != 'T' && *p != ' ') || (p = digits(p + 1, 2, 2)) == NULL || *p++ != ':' || (p = digits(p, 2, 2)) == NULL)
		return NULL;
	if (*p == ':' && (p = digits(p + 1, 2, 2)) == NULL)
		return NULL;
	if (*p == '.' && (p = digits(p + 1, 1, 12)) == NULL)
		return NULL;
	if (*p == '\0')
		return psprintf("%sZ", text);
	if (strcmp(p, "Z") == 0)
		return text;
	if ((*p != '+' && *p != '-') || (p = digits(p + 1, 2, 4)) == NULL)
		return NULL;
	/* Offsets of long ago have seconds too. */
	while (*p == ':')
		if ((p = digits(p + 1, 2, 2)) == NULL)
			return NULL;
	return *p == '\0' ? text : NULL;
}

/* An ISO 8601 instant; false when absent. */
bool
oms_json_timestamp(JsonbContainer *object, const OmsPath *path, const char *key, TimestampTz *result)
{
	const char *text = oms_json_text(object, path, key, 64, false);
	char		buf[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nf,
				dtype,
				tz;
	fsec_t		fsec;
	struct pg_tm tm;

	if (text == NULL)
		return false;
	text = iso_instant(text);
	if (text == NULL || strlen(text) > MAXDATELEN ||
		ParseDateTime(text, buf, sizeof(buf), field, ftype, MAXDATEFIELDS, &nf) != 0 ||
		OMS_DECODE_DATETIME(field, ftype, nf, &dtype, &tm, &fsec, &tz) != 0 ||
		dtype != DTK_DATE ||
		tm2timestamp(&tm, fsec, &tz, result) != 0)
		oms_error_document(path, key, "an ISO 8601 instant such as 2026-01-31T10:00:00Z");
	return true;
}

void
oms_json_begin(OmsJson *json)
{
	json->state = NULL;
	(void) pushJsonbValue(&json->state, WJB_BEGIN_OBJECT, NULL);
}

static void
add(OmsJson *json, const char *key, JsonbValue *value)
{
	JsonbValue	name;

	name.type = jbvString;
	name.val.string.val = unconstify(char *, key);
	name.val.string.len = strlen(key);
	(void) pushJsonbValue(&json->state, WJB_KEY, &name);
	(void) pushJsonbValue(&json->state, WJB_VALUE, value);
}

void
oms_json_add_null(OmsJson *json, const char *key)
{
	JsonbValue	value;

	value.type = jbvNull;
	add(json, key, &value);
}

/* Null values are left out. */
void
oms_json_add_text(OmsJson *json, const char *key, const char *text)
{
	JsonbValue	value;

	if (text == NULL)
		return;
	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	add(json, key, &value);
}

void
oms_json_add_int(OmsJson *json, const char *key, int64 number)
{
	oms_json_add_scaled(json, key, number, 0);
}

/* Amounts: a JSON number with the currency's decimals. */
void
oms_json_add_scaled(OmsJson *json, const char *key, int64 number, int scale)
{
	JsonbValue	value;

	value.type = jbvNumeric;
	value.val.numeric = DatumGetNumeric(oms_scaled_to_numeric(number, scale));
	add(json, key, &value);
}

void
oms_json_add_bool(OmsJson *json, const char *key, bool boolean)
{
	JsonbValue	value;

	value.type = jbvBool;
	value.val.boolean = boolean;
	add(json, key, &value);
}

/* An instant, as ISO 8601 in UTC whatever the session's zone and style. */
void
oms_json_add_timestamp(OmsJson *json, const char *key, TimestampTz instant)
{
	char		buf[MAXDATELEN + 1];
	int			utc = 0;

	oms_json_add_text(json, key, pstrdup(JsonEncodeDateTime(buf, TimestampTzGetDatum(instant), TIMESTAMPTZOID, &utc)));
}

/* A whole jsonb value as member. */
void
oms_json_add_jsonb(OmsJson *json, const char *key, Datum jsonb)
{
	Jsonb	   *source = DatumGetJsonbP(jsonb);
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(source))
		(void) JsonbExtractScalar(&source->root, &value);
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &source->root;
		value.val.binary.len = VARSIZE_ANY_EXHDR(source);
	}
	add(json, key, &value);
}

/* An array of objects; left out when empty. */
void
oms_json_add_array(OmsJson *json, const char *key, const Datum *elements, int n)
{
	JsonbValue	value;
	int			i;

	if (n == 0)
		return;
	value.type = jbvString;
	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	(void) pushJsonbValue(&json->state, WJB_KEY, &value);
	(void) pushJsonbValue(&json->state, WJB_BEGIN_ARRAY, NULL);
	for (i = 0; i < n; i++)
	{
		Jsonb	   *source = DatumGetJsonbP(elements[i]);

		value.type = jbvBinary;
		value.val.binary.data = &source->root;
		value.val.binary.len = VARSIZE_ANY_EXHDR(source);
		(void) pushJsonbValue(&json->state, WJB_ELEM, &value);
	}
	(void) pushJsonbValue(&json->state, WJB_END_ARRAY, NULL);
}

Datum
oms_json_end(OmsJson *json)
{
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&json->state, WJB_END_OBJECT, NULL)));
}

Datum
oms_to_jsonb(Oid type, Datum value)
{
	Param	   *argument = makeNode(Param);
	FmgrInfo	function;

	argument->paramkind = PARAM_EXTERN;
	argument->paramtype = type;
	argument->paramtypmod = -1;
	fmgr_info(F_TO_JSONB, &function);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &function);
	return FunctionCall1(&function, value);
}
