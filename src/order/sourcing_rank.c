/*-------------------------------------------------------------------------
 * sourcing_rank.c
 *	  What locations are ranked by, and the ranking itself.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "core/json.h"
#include "core/money.h"
#include "order/sourcing.h"
#include "shipping/tariff.h"

/* Mean radius of the earth in metres (IUGG). */
#define EARTH_RADIUS 6371008.8

enum
{
	ST_POSTCODE,
	ST_WEIGHTS
};

static OmsStatement statements[] = {
	[ST_POSTCODE] = {
		"SELECT latitude, longitude FROM oms.postcode WHERE country = $1 AND postcode = ANY ($2) ORDER BY length(postcode) DESC LIMIT 1",
		2, {TEXTOID, TEXTARRAYOID}
	},
	[ST_WEIGHTS] = {
		"SELECT item_id, coalesce(weight_g, -1) FROM oms.item WHERE merchant_id = $1 AND item_id = ANY ($2)",
		2, {INT4OID, INT8ARRAYOID}
	},
};

/* The item's grams of the last query; -1: not known. */
static int64
weight_of(uint64 rows, int64 item)
{
	uint64		i;

	for (i = 0; i < rows; i++)
		if (oms_get_int64(i, 1) == item)
			return oms_get_int32(i, 2);
	return -1;
}

int64
oms_sourcing_weight(const OmsDraft *draft)
{
	Datum		values[2] = {Int32GetDatum(draft->merchant)};
	Datum	   *ids;
	uint64		rows;
	int64		weight = 0;
	int			n = 0;
	int			i;
	int			j;

	for (i = 0; i < draft->nlines; i++)
		n += 1 + draft->lines[i].ncomponents;
	ids = palloc((n + 1) * sizeof(Datum));
	for (n = i = 0; i < draft->nlines; i++)
	{
		ids[n++] = Int64GetDatum(draft->lines[i].item);
		for (j = 0; j < draft->lines[i].ncomponents; j++)
			ids[n++] = Int64GetDatum(draft->lines[i].components[j].item);
	}
	values[1] = PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	oms_begin();
	rows = oms_run(&statements[ST_WEIGHTS], values, NULL);
	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];
		int64		unit = weight_of(rows, line->item);

		for (j = 0; j < line->ncomponents && weight_of(rows, line->item) < 0; j++)
			unit = Max(unit, 0) + Max(weight_of(rows, line->components[j].item), 0) * line->components[j].per_unit;
		weight += Max(unit, 0) * Max(line->ordered, line->quantity);
	}
	oms_end();
	return weight;
}

/* A text member of the delivery address; null when absent. */
static char *
address_text(const OmsDraft *draft, const char *key)
{
	JsonbContainer *address;

	if (draft->ship_to == (Datum) 0)
		return NULL;
	address = &DatumGetJsonbP(draft->ship_to)->root;
	return JsonContainerIsObject(address) ? oms_json_text(address, NULL, key, 400, false) : NULL;
}

/* The place of the delivery by the longest beginning of its postal code that is known; false: not known. */
static bool
find_destination(const OmsDraft *draft, double *latitude, double *longitude)
{
	char	   *country = address_text(draft, "country");
	char	   *given = address_text(draft, "postcode");
	char		code[17];
	Datum		prefixes[17];
	Datum		values[2];
	bool		found;
	bool		isnull;
	int			length = 0;
	int			i;

	if (country == NULL)
		return false;
	for (; given != NULL && *given != '\0' && length < 16; given++)
		if (*given != ' ')
			code[length++] = pg_ascii_toupper((unsigned char) *given);
	for (i = 0; i <= length; i++)
		prefixes[i] = PointerGetDatum(cstring_to_text_with_len(code, i));
	values[0] = CStringGetTextDatum(country);
	values[1] = PointerGetDatum(construct_array(prefixes, length + 1, TEXTOID, -1, false, TYPALIGN_INT));
	oms_begin();
	found = oms_run(&statements[ST_POSTCODE], values, NULL) > 0;
	if (found)
	{
		*latitude = DatumGetFloat8(oms_get(0, 1, &isnull));
		*longitude = DatumGetFloat8(oms_get(0, 2, &isnull));
	}
	oms_end();
	return found;
}

/* Great-circle distance in whole metres (haversine formula). */
static int64
great_circle(double lat1, double lon1, double lat2, double lon2)
{
	double		rad = M_PI / 180;
	double		a = sin((lat2 - lat1) * rad / 2);
	double		b = sin((lon2 - lon1) * rad / 2);
	double		h = a * a + cos(lat1 * rad) * cos(lat2 * rad) * b * b;

	return (int64) rint(2 * EARTH_RADIUS * asin(sqrt(Min(h, 1.0))));
}

static void
rank_by_distance(const OmsDraft *draft, OmsCandidate *candidates, int n)
{
	double		latitude;
	double		longitude;
	int			i;

	if (!find_destination(draft, &latitude, &longitude))
	{
		for (i = 0; i < n; i++)
			candidates[i].detail = "the place of the delivery is not known";
		return;
	}
	for (i = 0; i < n; i++)
	{
		const OmsPlace *place = &candidates[i].place;

		candidates[i].known = place->has_position;
		if (place->has_position)
			candidates[i].value = great_circle(place->latitude, place->longitude, latitude, longitude);
		else
			candidates[i].detail = "the place of the location is not known";
	}
}

/* The cheapest shipment of the whole order by the tariffs, else the location's own cost. */
static void
rank_by_cost(const OmsDraft *draft, OmsCandidate *candidates, int n)
{
	Jsonb	   *to = draft->ship_to != (Datum) 0 ? DatumGetJsonbP(draft->ship_to) : NULL;
	int64		weight = oms_sourcing_weight(draft);
	TimestampTz at = oms_now();
	int			i;

	for (i = 0; i < n; i++)
	{
		OmsCandidate *candidate = &candidates[i];
		const OmsPlace *place = &candidate->place;

		candidate->known = oms_rate_cheapest(draft->merchant, place->address, to, weight, at, draft->currency, &candidate->value);
		if (candidate->known)
			continue;
		candidate->known = place->has_cost && strcmp(place->currency, draft->currency) == 0;
		if (candidate->known)
			candidate->value = oms_money_amount(place->cost, 1, draft->exponent, draft->rounding);
		else
			candidate->detail = psprintf("no price in %s", draft->currency);
	}
}

/* Units of the order's items there, whole kits for kits; not only those wanted. */
static void
rank_by_stock(const OmsProblem *problem, OmsCandidate *candidates, int n)
{
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		candidates[i].known = true;
		candidates[i].value = 0;
		for (j = 0; j < problem->nwants; j++)
			candidates[i].value += oms_sourcing_units(problem, problem->available, &problem->wants[j], i, PG_INT32_MAX);
	}
}

/* What the user's function is told. */
static Datum
request_document(const OmsDraft *draft, const OmsProblem *problem, const OmsCandidate *candidates, int n)
{
	StringInfoData text;
	int			i;
	int			j;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"channel\":%d,\"currency\":\"%s\",\"order\":", draft->channel, draft->currency);
	if (draft->nused > 0 || draft->order_id != 0)
		appendStringInfo(&text, INT64_FORMAT, draft->order_id);
	else
		appendStringInfoString(&text, "null");
	appendStringInfoString(&text, ",\"ship_to\":");
	if (draft->ship_to != (Datum) 0)
	{
		Jsonb	   *address = DatumGetJsonbP(draft->ship_to);

		appendStringInfoString(&text, JsonbToCString(NULL, &address->root, VARSIZE(address)));
	}
	else
		appendStringInfoString(&text, "null");
	appendStringInfoString(&text, ",\"lines\":[");
	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];

		appendStringInfo(&text, "%s{\"item\":" INT64_FORMAT ",\"sku\":", i ? "," : "", line->item);
		escape_json(&text, line->sku);
		appendStringInfo(&text, ",\"quantity\":%d}", line->quantity);
	}
	appendStringInfoString(&text, "],\"locations\":[");
	for (i = 0; i < n; i++)
	{
		int64		units = 0;

		for (j = 0; j < problem->nwants; j++)
			units += oms_sourcing_units(problem, problem->available, &problem->wants[j], i, problem->wants[j].units);
		appendStringInfo(&text, "%s{\"location\":%d,\"priority\":%d,\"units\":" INT64_FORMAT "}", i ? "," : "",
						 candidates[i].place.location, candidates[i].place.priority, units);
	}
	appendStringInfoString(&text, "]}");
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

/*
 * Calls the function with the rights of its owner, so that nobody gets the
 * rights of oms by writing one; search_path is pinned as everywhere.  What
 * fails in it is OM016 with its name, but a cancel, a deadlock or a failed
 * serialization stays what it is.
 */
static ArrayType *
call_function(const char *name, int32 merchant, Datum request)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			function = oms_sourcing_function(name);
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;
	Oid			userid;
	int			sec_context;
	Datum		result = (Datum) 0;
	FmgrInfo	flinfo;
	LOCAL_FCINFO(call, 2);

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("sourcing function %s is gone", name)));
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	oms_begin();
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(owner, sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 2, InvalidOid, NULL, NULL);
	call->args[0].value = Int32GetDatum(merchant);
	call->args[0].isnull = false;
	call->args[1].value = request;
	call->args[1].isnull = false;
	PG_TRY();
	{
		result = FunctionCallInvoke(call);
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category == ERRCODE_TO_CATEGORY(ERRCODE_QUERY_CANCELED) ||
			category == ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE) ||
			category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES))
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("sourcing function %s failed", name),
				 errdetail("%s (SQLSTATE %s)", error->message, unpack_sql_state(error->sqlerrcode)),
				 errhint("Correct the function, or the sourcing rule that names it.")));
	}
	PG_END_TRY();
	if (call->isnull || ARR_NDIM(DatumGetArrayTypeP(result)) > 1)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("sourcing function %s failed", name),
				 errdetail("It returned %s.", call->isnull ? "null" : "an array of several dimensions"),
				 errhint("It returns location ids, best first; an empty array for none.")));
	result = oms_copy_out(PointerGetDatum(DatumGetArrayTypeP(result)), false, -1);
	PopActiveSnapshot();
	SetUserIdAndSecContext(userid, sec_context);
	oms_end();
	return DatumGetArrayTypeP(result);
}

/* By the position in the function's answer; what it leaves out is rejected. */
static void
rank_by_function(const OmsDraft *draft, const char *name, const OmsProblem *problem, OmsCandidate *candidates, int n)
{
	ArrayType  *array = call_function(name, draft->merchant, request_document(draft, problem, candidates, n));
	Datum	   *ids;
	bool	   *nulls;
	int			nids;
	int			i;
	int			j;

	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &ids, &nulls, &nids);
	for (i = 0; i < n; i++)
	{
		for (j = 0; j < nids && (nulls[j] || DatumGetInt32(ids[j]) != candidates[i].place.location); j++)
			;
		candidates[i].known = j < nids;
		candidates[i].value = j + 1;
		if (j == nids)
			candidates[i].reason = "not_ranked";
	}
}

static bool descending;			/* of compare_candidates */

/* Eligible ones, held ones, known ones first; then by value, priority, location: equal on every run. */
static int
compare_candidates(const void *va, const void *vb)
{
	const OmsCandidate *a = va;
	const OmsCandidate *b = vb;

	if ((a->reason == NULL) != (b->reason == NULL))
		return a->reason == NULL ? -1 : 1;
	if (a->held != b->held)
		return a->held ? -1 : 1;
	if (a->known != b->known)
		return a->known ? -1 : 1;
	if (a->known && a->value != b->value)
		return (a->value < b->value) != descending ? -1 : 1;
	if (a->place.priority != b->place.priority)
		return a->place.priority < b->place.priority ? -1 : 1;
	return a->place.location < b->place.location ? -1 : a->place.location > b->place.location;
}

void
oms_sourcing_rank(const OmsDraft *draft, const OmsSourcingRule *rule, const OmsProblem *problem,
				  OmsCandidate *candidates, int n)
{
	int			i;

	switch (rule->strategy)
	{
		case OMS_BY_DISTANCE:
			rank_by_distance(draft, candidates, n);
			break;
		case OMS_BY_COST:
			rank_by_cost(draft, candidates, n);
			break;
		case OMS_BY_STOCK:
			rank_by_stock(problem, candidates, n);
			break;
		case OMS_BY_FUNCTION:
			rank_by_function(draft, rule->function, problem, candidates, n);
			break;
		case OMS_BY_PRIORITY:
			for (i = 0; i < n; i++)
			{
				candidates[i].known = true;
				candidates[i].value = candidates[i].place.priority;
			}
			break;
	}
	descending = rule->strategy == OMS_BY_STOCK;
	qsort(candidates, n, sizeof(OmsCandidate), compare_candidates);
	for (i = 0; i < n; i++)
		candidates[i].rank = candidates[i].reason == NULL ? i + 1 : 0;
}
