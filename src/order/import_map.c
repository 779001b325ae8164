/*-------------------------------------------------------------------------
 * import_map.c
 *	  Finds the fields of an order in another system's payload.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "core/json.h"
#include "core/money.h"
#include "order/import.h"

typedef struct Field
{
	char	   *name;
	int			alternative;
	int			factor;
	Datum		path;
} Field;

typedef struct Word
{
	char	   *field;
	char	   *value;
	char	   *meaning;
} Word;

struct OmsImportMap
{
	const char *source;
	bool		x12;
	int			nfields;		/* by name, alternative, part */
	Field	   *fields;
	int			nwords;
	Word	   *words;
};

enum
{
	ST_SOURCE,
	ST_FIELDS,
	ST_WORDS
};

static OmsStatement statements[] = {
	[ST_SOURCE] = {"SELECT format = 'x12' FROM oms.import_source WHERE source = $1", 1, {TEXTOID}},
	[ST_FIELDS] = {
		"SELECT field, alternative, factor, path FROM oms.import_field WHERE source = $1 ORDER BY field, alternative, part",
		1, {TEXTOID}
	},
	[ST_WORDS] = {"SELECT field, value, meaning FROM oms.import_value WHERE source = $1", 1, {TEXTOID}},
};

OmsImportMap *
oms_import_map(const char *source)
{
	OmsImportMap *map = palloc0(sizeof(OmsImportMap));
	Datum		values[1] = {CStringGetTextDatum(source)};
	bool		isnull;
	int			i;

	if (oms_run(&statements[ST_SOURCE], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("there is no source \"%s\" of orders", source),
				 errhint("See oms.import_source; insert it and its fields to have a new one.")));
	map->source = source;
	map->x12 = oms_get_bool(0, 1);
	map->nfields = (int) oms_run(&statements[ST_FIELDS], values, NULL);
	map->fields = palloc((map->nfields + 1) * sizeof(Field));
	for (i = 0; i < map->nfields; i++)
	{
		map->fields[i].name = oms_get_text(i, 1);
		map->fields[i].alternative = oms_get_int32(i, 2);
		map->fields[i].factor = oms_get_int32(i, 3);
		map->fields[i].path = datumCopy(oms_get(i, 4, &isnull), false, -1);
	}
	map->nwords = (int) oms_run(&statements[ST_WORDS], values, NULL);
	map->words = palloc((map->nwords + 1) * sizeof(Word));
	for (i = 0; i < map->nwords; i++)
	{
		map->words[i].field = oms_get_text(i, 1);
		map->words[i].value = oms_get_text(i, 2);
		map->words[i].meaning = oms_get_text(i, 3);
	}
	return map;
}

/* The first row of a field; nfields when it has none. */
static int
first_row(const OmsImportMap *map, const char *field)
{
	int			i = 0;

	while (i < map->nfields && strcmp(map->fields[i].name, field) != 0)
		i++;
	return i;
}

static bool
same_field(const OmsImportMap *map, int row, int first)
{
	return row < map->nfields && strcmp(map->fields[row].name, map->fields[first].name) == 0;
}

/* What a path finds: an array.  Members that are not there, or of another type, find nothing. */
static JsonbContainer *
query(Datum target, Datum path)
{
	Datum		vars = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));

	return &DatumGetJsonbP(DirectFunctionCall4(jsonb_path_query_array, target, path, vars, BoolGetDatum(true)))->root;
}

/* A scalar as text; null for null, the empty string and what is no scalar. */
static char *
scalar_text(const JsonbValue *value)
{
	char	   *text;

	switch (value->type)
	{
		case jbvString:
			text = pnstrdup(value->val.string.val, value->val.string.len);
			return text[strspn(text, " \t\r\n")] == '\0' ? NULL : text;
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

Datum *
oms_import_elements(const OmsImportMap *map, Datum target, const char *field, int *n)
{
	int			first = first_row(map, field);
	int			row;
	Datum	   *elements = NULL;

	*n = 0;
	for (row = first; *n == 0 && same_field(map, row, first); row++)
	{
		JsonbContainer *found = query(target, map->fields[row].path);
		int			size = JsonContainerSize(found);
		int			i;

		elements = palloc((size + 1) * sizeof(Datum));
		for (i = 0; i < size; i++)
		{
			JsonbValue *value = getIthJsonbValueFromContainer(found, i);

			if (value->type == jbvBinary)
				elements[(*n)++] = JsonbPGetDatum(JsonbValueToJsonb(value));
		}
	}
	return elements;
}

char *
oms_import_text(const OmsImportMap *map, Datum target, const char *field)
{
	int			first = first_row(map, field);
	char	   *text = NULL;
	int			row;

	for (row = first; same_field(map, row, first); row++)
	{
		JsonbContainer *found;
		char	   *part = NULL;
		int			i;

		if (text != NULL && map->fields[row].alternative != map->fields[row - 1].alternative)
			break;
		found = query(target, map->fields[row].path);
		for (i = 0; part == NULL && i < JsonContainerSize(found); i++)
			part = scalar_text(getIthJsonbValueFromContainer(found, i));
		if (part != NULL)
			text = text == NULL ? part : psprintf("%s %s", text, part);
	}
	return text;
}

bool
oms_import_number(const OmsImportMap *map, Datum target, const char *field, int64 *number)
{
	int			first = first_row(map, field);
	bool		any = false;
	int			row;

	*number = 0;
	for (row = first; same_field(map, row, first); row++)
	{
		JsonbContainer *found;
		int			i;

		if (any && map->fields[row].alternative != map->fields[row - 1].alternative)
			break;
		found = query(target, map->fields[row].path);
		for (i = 0; i < JsonContainerSize(found); i++)
		{
			char	   *text = scalar_text(getIthJsonbValueFromContainer(found, i));
			int64		value;

			if (text == NULL)
				continue;
			if (!oms_text_to_scaled(text, OMS_PRICE_SCALE, &value))
				ereport(ERROR,
						(errcode(OMS_MALFORMED),
						 errmsg("the payload's %s is not a number", field),
						 errdetail("It is \"%.64s\", found by %s of source \"%s\".", text,
								   DatumGetCString(DirectFunctionCall1(jsonpath_out, map->fields[row].path)), map->source),
						 errhint("Numbers have at most %d decimals and about ten digits before them.", OMS_PRICE_SCALE)));
			*number = oms_money_add(*number, map->fields[row].factor * value);
			any = true;
		}
	}
	return any;
}

const char *
oms_import_meaning(const OmsImportMap *map, Datum target, const char *field)
{
	int			first = first_row(map, field);
	int			row;
	int			i;

	/* Each alternative is asked in turn: a word without meaning leaves it to the next. */
	for (row = first; same_field(map, row, first); row++)
	{
		JsonbContainer *found = query(target, map->fields[row].path);
		char	   *word = JsonContainerSize(found) == 0 ? NULL : scalar_text(getIthJsonbValueFromContainer(found, 0));

		for (i = 0; word != NULL && i < map->nwords; i++)
			if (strcmp(map->words[i].field, field) == 0 && strcmp(map->words[i].value, word) == 0)
				return map->words[i].meaning;
	}
	return NULL;
}

Datum
oms_import_root(const OmsImportMap *map, Datum payload)
{
	Jsonb	   *jsonb = DatumGetJsonbP(payload);
	Datum	   *found;
	int			n;

	if (map->x12 && JB_ROOT_IS_SCALAR(jsonb))
	{
		JsonbValue	text;

		if (!JsonbExtractScalar(&jsonb->root, &text) || text.type != jbvString)
			ereport(ERROR,
					(errcode(OMS_MALFORMED),
					 errmsg("the payload is no interchange"),
					 errhint("Give it as a JSON string: to_jsonb(text).")));
		found = oms_x12_transactions(pnstrdup(text.val.string.val, text.val.string.len), &n);
		if (n != 1)
			ereport(ERROR,
					(errcode(OMS_MALFORMED),
					 errmsg("the payload holds %d transaction sets instead of one", n),
					 errhint("Give them one by one: SELECT oms.import_order(merchant, source, t) FROM oms.x12_transactions(text) t.")));
		payload = found[0];
	}
	found = oms_import_elements(map, payload, "root", &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(OMS_MALFORMED),
				 errmsg("the payload holds no order of source \"%s\"", map->source),
				 errhint("See field root of that source in oms.import_field.")));
	return found[0];
}
