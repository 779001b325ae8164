/*-------------------------------------------------------------------------
 * template.c
 *	  Message templates: checked when they are defined, compiled when a merchant's
 *	  are first needed.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/cache.h"
#include "core/guard.h"
#include "event/template.h"

PG_FUNCTION_INFO_V1(oms_message_template_guard);

#define MAX_FIELD	63

/* Literal text, then a field (null behind the last literal). */
typedef struct Segment
{
	char	   *literal;
	char	   *field;
} Segment;

struct OmsTemplateText
{
	int			nsegments;
	Segment    *segments;
};

/* Templates of one merchant; it may have none. */
typedef struct MerchantTemplates
{
	int32		merchant;			/* hash key */
	bool		loaded;
	int			count;
	OmsTemplate *templates;
} MerchantTemplates;

enum
{
	ST_LOAD,
	ST_FIELDS
};

static OmsStatement statements[] = {
	[ST_LOAD] = {"SELECT t.channel_id, t.language, t.kind, t.version, t.subject, t.body "
		"FROM oms.message_template t WHERE t.merchant_id = $1 ORDER BY t.kind, t.channel_id, t.language",
	1, {INT4OID}},
	[ST_FIELDS] = {"SELECT k.fields FROM oms.message_kind k WHERE k.kind = $1", 1, {TEXTOID}},
};

static OmsCache cache = {
	.name = "message templates",
	.tables = {"message_template"},
};

/* The hash of merchants read so far. */
static HTAB *
merchants(void)
{
	if (!oms_cache_fresh(&cache) || cache.data == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(int32);
		ctl.entrysize = sizeof(MerchantTemplates);
		ctl.hcxt = cache.context;
		cache.data = hash_create("oms message templates", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return cache.data;
}

/* The next placeholder at or behind p: false when there is none; *name is null when its braces hold no name. */
static bool
next_field(const char *p, const char **open, const char **close, char **name)
{
	const char *start = strstr(p, "{{"),
			   *end,
			   *from,
			   *to;

	if (start == NULL)
		return false;
	*open = start;
	*name = NULL;
	end = strstr(start, "}}");
	if (end == NULL)
		return true;
	from = start + 2;
	to = end;
	while (from < to && *from == ' ')
		from++;
	while (to > from && to[-1] == ' ')
		to--;
	*close = end + 2;
	if (to > from && to - from <= MAX_FIELD)
		*name = pnstrdup(from, to - from);
	return true;
}

/* Compiles a text that the guard has checked, in the current memory context. */
static OmsTemplateText *
compile(const char *source)
{
	OmsTemplateText *text = palloc(sizeof(OmsTemplateText));
	const char *p = source,
			   *open,
			   *close;
	char	   *field;
	int			n = 1;

	for (const char *s = source; (s = strstr(s, "{{")) != NULL; s += 2)
		n++;
	text->segments = palloc(sizeof(Segment) * n);
	text->nsegments = 0;
	while (text->nsegments < n - 1 && next_field(p, &open, &close, &field) && field != NULL)
	{
		text->segments[text->nsegments].literal = pnstrdup(p, open - p);
		text->segments[text->nsegments].field = field;
		text->nsegments++;
		p = close;
	}
	text->segments[text->nsegments].literal = pstrdup(p);
	text->segments[text->nsegments].field = NULL;
	text->nsegments++;
	return text;
}

/*
 * The merchant's templates, read under a snapshot of now: one taken before a
 * change that was already announced would keep the old text for good.
 */
static MerchantTemplates *
load(int32 merchant)
{
	MerchantTemplates *entry;
	bool		found;
	uint64		rows;
	MemoryContext caller;
	Datum		values[1] = {Int32GetDatum(merchant)};

	entry = hash_search(merchants(), &merchant, HASH_ENTER, &found);
	if (found && entry->loaded)
		return entry;
	entry->loaded = false;
	entry->count = 0;
	entry->templates = NULL;

	PushActiveSnapshot(GetLatestSnapshot());
	rows = oms_run_read_only(&statements[ST_LOAD], values, NULL);
	PopActiveSnapshot();
	if (rows > 0)
	{
		OmsTemplate *templates;

		caller = MemoryContextSwitchTo(cache.context);
		templates = palloc(sizeof(OmsTemplate) * rows);
		for (uint64 row = 0; row < rows; row++)
		{
			OmsTemplate *template = &templates[row];
			char	   *subject,
					   *body;

			template->channel = oms_get_int32(row, 1);
			template->language = oms_get_text(row, 2);
			template->kind = oms_get_text(row, 3);
			template->version = oms_get_int32(row, 4);
			subject = oms_get_text(row, 5);
			body = oms_get_text(row, 6);
			template->subject = compile(subject);
			template->body = compile(body);
			pfree(subject);
			pfree(body);
		}
		entry->templates = templates;
		entry->count = (int) rows;
		MemoryContextSwitchTo(caller);
	}
	entry->loaded = true;
	return entry;
}

bool
oms_template_exists(int32 merchant, const char *kind)
{
	MerchantTemplates *entry = load(merchant);

	for (int i = 0; i < entry->count; i++)
		if (strcmp(entry->templates[i].kind, kind) == 0)
			return true;
	return false;
}

const OmsTemplate *
oms_template_find(int32 merchant, int32 channel, const char *language, const char *kind)
{
	MerchantTemplates *entry = load(merchant);
	const OmsTemplate *best = NULL;
	int			best_rank = 0;

	for (int i = 0; i < entry->count; i++)
	{
		const OmsTemplate *template = &entry->templates[i];
		int			rank;

		if (strcmp(template->kind, kind) != 0 || (template->channel != channel && template->channel != 0))
			continue;
		if (strcmp(template->language, language) == 0)
			rank = 2;
		else if (strcmp(template->language, "en") == 0)
			rank = 1;
		else
			continue;
		if (template->channel != 0)
			rank += 2;
		if (rank > best_rank)
		{
			best = template;
			best_rank = rank;
		}
	}
	return best;
}

static bool
text_names(const OmsTemplateText *text, const char *field)
{
	for (int i = 0; i < text->nsegments; i++)
		if (text->segments[i].field != NULL && strcmp(text->segments[i].field, field) == 0)
			return true;
	return false;
}

bool
oms_template_names(const OmsTemplate *template, const char *field)
{
	return text_names(template->subject, field) || text_names(template->body, field);
}

char *
oms_template_render(const OmsTemplateText *text, Jsonb *data)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < text->nsegments; i++)
	{
		JsonbValue *value;
		const char *field = text->segments[i].field;

		appendStringInfoString(&out, text->segments[i].literal);
		if (field == NULL || !JB_ROOT_IS_OBJECT(data))
			continue;
		value = getKeyJsonValueFromContainer(&data->root, field, strlen(field), NULL);
		if (value == NULL)
			continue;
		switch (value->type)
		{
			case jbvString:
				appendBinaryStringInfo(&out, value->val.string.val, value->val.string.len);
				break;
			case jbvNumeric:
				appendStringInfoString(&out, DatumGetCString(DirectFunctionCall1(numeric_out,
																				 NumericGetDatum(value->val.numeric))));
				break;
			case jbvBool:
				appendStringInfoString(&out, value->val.boolean ? "yes" : "no");
				break;
			case jbvBinary:
				(void) JsonbToCString(&out, value->val.binary.data, value->val.binary.len);
				break;
			default:
				break;
		}
	}
	return out.data;
}

/* Refuses (OM016) a text with a placeholder that the kind does not have. */
static void
check_text(const char *column, const char *source, const char *kind, Datum *fields, int nfields)
{
	const char *p = source,
			   *open,
			   *close;
	char	   *field;

	while (next_field(p, &open, &close, &field))
	{
		bool		known = false;
		StringInfoData list;

		if (field == NULL)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("%s of the template has an unfinished placeholder", column),
					 errdetail("At \"%s\".", oms_clip(open, 40)),
					 errhint("A placeholder is a field's name between {{ and }}.")));
		initStringInfo(&list);
		for (int i = 0; i < nfields; i++)
		{
			char	   *name = TextDatumGetCString(fields[i]);

			known |= strcmp(name, field) == 0;
			appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", name);
		}
		if (!known)
			ereport(ERROR,
					(errcode(OMS_CONFIGURATION),
					 errmsg("%s of the template names a field \"%s\" that does not exist", column, field),
					 errdetail("Messages of kind \"%s\" have: %s.", kind, list.data),
					 errhint("See table oms.message_kind.")));
		p = close;
	}
}

/* A text column of the new row by name. */
static char *
column_text(TriggerData *trigdata, HeapTuple tuple, const char *name)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, SPI_fnumber(RelationGetDescr(trigdata->tg_relation), name),
									 RelationGetDescr(trigdata->tg_relation), &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * BEFORE INSERT OR UPDATE row on message_template: checks the placeholders
 * (OM016) and counts the version up.
 */
Datum
oms_message_template_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	row = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	char	   *kind,
			   *subject,
			   *body;

	kind = column_text(trigdata, row, "kind");
	subject = column_text(trigdata, row, "subject");
	body = column_text(trigdata, row, "body");
	/* A missing one is for NOT NULL and the foreign key to refuse. */
	if (kind != NULL && subject != NULL && body != NULL)
	{
		Datum		values[1] = {CStringGetTextDatum(kind)};

		oms_begin_trigger(trigdata);
		if (oms_run(&statements[ST_FIELDS], values, NULL) > 0)
		{
			bool		isnull;
			ArrayType  *array = DatumGetArrayTypeP(oms_get(0, 1, &isnull));
			Datum	   *fields;
			int			nfields;

			deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &fields, NULL, &nfields);
			check_text("subject", subject, kind, fields, nfields);
			check_text("body", body, kind, fields, nfields);
		}
		oms_end();
	}
	if (update)
	{
		int			column = SPI_fnumber(RelationGetDescr(trigdata->tg_relation), "version");
		bool		isnull;
		Datum		version = heap_getattr(trigdata->tg_trigtuple, column, RelationGetDescr(trigdata->tg_relation), &isnull);

		version = Int32GetDatum(DatumGetInt32(version) + 1);
		row = heap_modify_tuple_by_cols(row, RelationGetDescr(trigdata->tg_relation), 1, &column, &version, &isnull);
	}
	return PointerGetDatum(row);
}
