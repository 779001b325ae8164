/*-------------------------------------------------------------------------
 * import_x12.c
 *	  Reads ANSI ASC X12 interchanges into objects, one per transaction set.
 *
 *	  A segment becomes an object of its elements, {"e01": ..., "e02": ...}
 *	  without the empty ones; the segments of one name are an array.  Parties
 *	  (N1) and lines (PO1) begin a loop: the segments after them lie within
 *	  them.  Elements of a line that come in pairs of qualifier and value are
 *	  also {"ids": {"VN": "AB3542"}}.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include <ctype.h>

#include "utils/json.h"

#include "core/json.h"
#include "order/import.h"

PG_FUNCTION_INFO_V1(oms_x12_transactions_sql);

#define MAX_ELEMENTS	40
#define ISA_LENGTH		106

typedef struct Segment
{
	char	   *id;
	int			nelements;
	char	   *elements[MAX_ELEMENTS];	/* without the id */
} Segment;

/* Segments of one name that stand side by side. */
typedef struct SegmentGroup
{
	const char *id;
	StringInfoData members;
} SegmentGroup;

/* An object being written: its own fields, then its groups of segments. */
typedef struct Object
{
	StringInfoData own;
	int			ngroups;
	SegmentGroup groups[64];
} Object;

static void
error_x12(const char *what, const char *detail)
{
	ereport(ERROR,
			(errcode(OMS_MALFORMED),
			 errmsg("the interchange is malformed: %s", what),
			 detail == NULL ? 0 : errdetail("%s", detail),
			 errhint("Ask the sender to send it again; nothing of it was taken.")));
}

static const char *
element(const Segment *segment, int number)
{
	return number <= segment->nelements ? segment->elements[number - 1] : "";
}

static bool
is(const Segment *segment, const char *id)
{
	return strcmp(segment->id, id) == 0;
}

static void
put(StringInfo out, const char *key, const char *value)
{
	if (out->len > 0)
		appendStringInfoString(out, ", ");
	escape_json(out, key);
	appendStringInfoString(out, ": ");
	escape_json(out, value);
}

/* The elements of a segment as fields; of a line also the pairs that identify the item. */
static void
put_elements(StringInfo out, const Segment *segment)
{
	StringInfoData ids;
	int			i;

	for (i = 1; i <= segment->nelements; i++)
		if (element(segment, i)[0] != '\0')
			put(out, psprintf("e%02d", i), element(segment, i));
	if (!is(segment, "PO1"))
		return;
	initStringInfo(&ids);
	for (i = 6; i < segment->nelements; i += 2)
		if (element(segment, i)[0] != '\0' && element(segment, i + 1)[0] != '\0')
			put(&ids, element(segment, i), element(segment, i + 1));
	appendStringInfo(out, "%s\"ids\": {%s}", out->len > 0 ? ", " : "", ids.data);
}

static Object *
new_object(const Segment *segment)
{
	Object	   *object = palloc0(sizeof(Object));

	initStringInfo(&object->own);
	if (segment != NULL)
		put_elements(&object->own, segment);
	return object;
}

/* Adds a member to the object's array of that name. */
static void
add_member(Object *object, const char *id, const char *member)
{
	int			i = 0;

	while (i < object->ngroups && strcmp(object->groups[i].id, id) != 0)
		i++;
	if (i == object->ngroups)
	{
		if (i == lengthof(object->groups))
			error_x12("too many kinds of segments", NULL);
		object->groups[i].id = id;
		initStringInfo(&object->groups[i].members);
		object->ngroups++;
	}
	if (object->groups[i].members.len > 0)
		appendStringInfoString(&object->groups[i].members, ", ");
	appendStringInfoString(&object->groups[i].members, member);
}

static char *
written(Object *object)
{
	StringInfoData out;
	int			i;

	initStringInfo(&out);
	appendStringInfo(&out, "{%s", object->own.data);
	for (i = 0; i < object->ngroups; i++)
	{
		if (out.len > 1)
			appendStringInfoString(&out, ", ");
		escape_json(&out, object->groups[i].id);
		appendStringInfo(&out, ": [%s]", object->groups[i].members.data);
	}
	appendStringInfoChar(&out, '}');
	return out.data;
}

/* Closes a loop: what was written of it goes into what is around it. */
static void
close_loop(Object **loop, const char *id, Object *around)
{
	if (*loop == NULL)
		return;
	add_member(around, id, written(*loop));
	*loop = NULL;
}

/* One transaction set, its segments between ST and SE. */
static Datum
transaction(const Segment *segments, int n)
{
	Object	   *set = new_object(NULL);
	Object	   *line = NULL;
	Object	   *party = NULL;
	int			i;

	for (i = 0; i < n; i++)
	{
		const Segment *segment = &segments[i];

		if (is(segment, "PO1") || is(segment, "CTT"))
		{
			close_loop(&party, "N1", line != NULL ? line : set);
			close_loop(&line, "PO1", set);
			if (is(segment, "PO1"))
			{
				line = new_object(segment);
				continue;
			}
		}
		else if (is(segment, "N1"))
		{
			close_loop(&party, "N1", line != NULL ? line : set);
			party = new_object(segment);
			continue;
		}
		add_member(party != NULL ? party : line != NULL ? line : set, segment->id, written(new_object(segment)));
	}
	close_loop(&party, "N1", line != NULL ? line : set);
	close_loop(&line, "PO1", set);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(written(set)));
}

/* Cuts the text in place, by the separators that the interchange header names. */
static char *
next_segment(char *p, char separator, char terminator, Segment *segment)
{
	char	   *end;
	char	   *next;
	char	   *cut;

	p += strspn(p, " \t\r\n");
	if (*p == '\0')
		return NULL;
	end = strchr(p, terminator);
	if (end == NULL && terminator != '\n')
		error_x12("a segment does not end", oms_clip(p, 40));
	if (end == NULL)
		next = end = p + strlen(p);	/* where lines are segments the last one needs no line's end */
	else
		next = end + 1;
	*end = '\0';
	if (end > p && end[-1] == '\r')
		end[-1] = '\0';
	segment->id = p;
	segment->nelements = 0;
	while ((cut = strchr(p, separator)) != NULL)
	{
		*cut = '\0';
		p = cut + 1;
		if (segment->nelements == MAX_ELEMENTS)
			error_x12("a segment has too many elements", segment->id);
		segment->elements[segment->nelements++] = p;
	}
	return next;
}

static void
require_same(const char *what, const char *head, const char *trail)
{
	if (strcmp(head, trail) != 0)
		error_x12(psprintf("%s does not end as it began", what), psprintf("It began with %.40s and ended with %.40s.", head, trail));
}

Datum *
oms_x12_transactions(const char *text, int *n)
{
	char	   *p = pstrdup(text);
	int			size = 8;
	int			capacity = 64;
	int			count = 0;
	bool		open = false;
	Datum	   *found = palloc(size * sizeof(Datum));
	Segment    *segments = palloc(capacity * sizeof(Segment));
	const char *interchange = NULL;
	const char *set = NULL;
	char		separator = '*';
	char		terminator = '\n';
	Segment		segment;

	*n = 0;
	for (;;)
	{
		p += strspn(p, " \t\r\n");
		if (interchange == NULL)
		{
			if (*p == '\0')
				break;
			if (strncmp(p, "ISA", 3) != 0 || strlen(p) < ISA_LENGTH)
				error_x12("it does not begin with an ISA segment", NULL);
			separator = p[3];
			terminator = p[ISA_LENGTH - 1];
			if (separator == terminator || isalnum((unsigned char) separator) || isalnum((unsigned char) terminator))
				error_x12("its ISA segment is not 105 characters and a terminator", NULL);
		}
		CHECK_FOR_INTERRUPTS();
		p = next_segment(p, separator, terminator, &segment);
		if (p == NULL)
			error_x12("it has no IEA segment", NULL);
		if (is(&segment, "ISA"))
			interchange = element(&segment, 13);
		else if (is(&segment, "IEA"))
		{
			require_same("the interchange", interchange, element(&segment, 2));
			interchange = NULL;
		}
		else if (is(&segment, "ST"))
		{
			if (open)
				error_x12("a transaction set begins within another", NULL);
			if (strcmp(element(&segment, 1), "850") != 0)
				error_x12("it holds another transaction set than 850", psprintf("It is %.40s.", element(&segment, 1)));
			open = true;
			set = element(&segment, 2);
			count = 0;
		}
		else if (is(&segment, "SE"))
		{
			if (!open)
				error_x12("a transaction set ends that did not begin", NULL);
			require_same("a transaction set", set, element(&segment, 2));
			if (atoi(element(&segment, 1)) != count + 2)
				error_x12("a transaction set has not all its segments",
						  psprintf("SE states %.40s, there are %d.", element(&segment, 1), count + 2));
			if (*n == size)
				found = repalloc(found, (size *= 2) * sizeof(Datum));
			found[(*n)++] = transaction(segments, count);
			open = false;
		}
		else if (open)
		{
			if (count == capacity)
				segments = repalloc(segments, (capacity *= 2) * sizeof(Segment));
			segments[count++] = segment;
		}
	}
	if (open)
		error_x12("a transaction set does not end", NULL);
	return found;
}

/* SQL: x12_transactions(text) -> jsonb, one row per transaction set */
Datum
oms_x12_transactions_sql(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum	   *found;
	bool		isnull = false;
	int			n;
	int			i;

	oms_arg_require(fcinfo, 0, "interchanges");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	found = oms_x12_transactions(text_to_cstring(PG_GETARG_TEXT_PP(0)), &n);
	for (i = 0; i < n; i++)
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &found[i], &isnull);
	return (Datum) 0;
}
