/*-------------------------------------------------------------------------
 * rate_shop.c
 *	  What a shipment costs with each service, or why a service refuses it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/json.h"

#include "core/json.h"
#include "core/money.h"
#include "shipping/tariff.h"

PG_FUNCTION_INFO_V1(oms_rate_shop);

enum
{
	ST_LOCATION,
	ST_MERCHANT
};

static OmsStatement statements[] = {
	[ST_LOCATION] = {
		"SELECT code, address FROM oms.location WHERE merchant_id = $1 AND location_id = $2", 2, {INT4OID, INT4OID}
	},
	[ST_MERCHANT] = {"SELECT 1 FROM oms.merchant WHERE merchant_id = $1", 1, {INT4OID}},
};

/* An address as far as prices depend on it. */
typedef struct Place
{
	OmsRatePlace place;
	char	   *region;			/* upper case, or null */
	bool		residential;
} Place;

typedef struct Request
{
	Place		from;
	Place		to;
	int			nparcels;
	OmsRateParcel *parcels;
	TimestampTz at;
} Request;

/* One row of the answer. */
typedef struct Answer
{
	OmsService *service;
	OmsTariff  *tariff;			/* null: none */
	const char *refusal;		/* null: priced */
	OmsRateQuote quote;
	OmsRateParcelResult *parcels;
	int32		transit_days;	/* -1: not known */
} Answer;

/* Two letters of the country, else OM003. */
static void
read_country(JsonbContainer *address, const OmsPath *path, Place *place)
{
	char	   *country = oms_json_text(address, path, "country", 10, true);

	place->place.country = oms_rate_country(country);
	if (place->place.country == 0)
		oms_error_document(path, "country", "two letters of ISO 3166");
}

/*
 * Country, region and postal code of an address.  It is residential when it
 * says so, and where it does not say when it has no company.
 */
static void
read_address(JsonbContainer *address, const OmsPath *path, Place *place)
{
	char	   *region;
	char	   *postcode;

	memset(place, 0, sizeof(*place));
	if (!JsonContainerIsObject(address))
		oms_error_document(path, NULL, "an address object");
	read_country(address, path, place);
	region = oms_json_text(address, path, "region", OMS_KEY_LENGTH, false);
	postcode = oms_json_text(address, path, "postcode", OMS_KEY_LENGTH, false);
	if (region != NULL)
		place->region = oms_tariff_region_key(region);
	place->place.has_postal = oms_rate_postal(postcode, &place->place.postal);
	place->residential = oms_json_bool(address, path, "residential",
									   oms_json_text(address, path, "company", OMS_TEXT_LENGTH, false) == NULL);
}

static void
read_parcels(Jsonb *document, Request *request)
{
	static const char *const allowed[] = {"weight_g", "length_mm", "width_mm", "height_mm", NULL};
	OmsPath		root = {NULL, "parcels", 0};
	JsonbContainer *array = &document->root;
	int			n;
	int			i;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array))
		oms_error_document(&root, NULL, "an array of parcels");
	n = JsonContainerSize(array);
	if (n < 1 || n > OMS_RATE_MAX_PARCELS)
		oms_error_document(&root, NULL, psprintf("1 to %d parcels", OMS_RATE_MAX_PARCELS));
	request->nparcels = n;
	request->parcels = palloc0(n * sizeof(OmsRateParcel));
	for (i = 0; i < n; i++)
	{
		OmsPath		path = {&root, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);
		OmsRateParcel *parcel = &request->parcels[i];
		JsonbContainer *object;

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&path, NULL, "a parcel object");
		object = value->val.binary.data;
		oms_json_only(object, &path, allowed);
		if (!oms_json_int64(object, &path, "weight_g", 0, OMS_RATE_MAX_WEIGHT_G, &parcel->weight_g))
			oms_error_document(&path, "weight_g", "the weight in grams");
		oms_json_int64(object, &path, "length_mm", 0, OMS_RATE_MAX_SIDE_MM, &parcel->length_mm);
		oms_json_int64(object, &path, "width_mm", 0, OMS_RATE_MAX_SIDE_MM, &parcel->width_mm);
		oms_json_int64(object, &path, "height_mm", 0, OMS_RATE_MAX_SIDE_MM, &parcel->height_mm);
	}
}

/* The address of a location; OM002 when there is no such, OM016 when it has none. */
static void
read_location(int32 merchant, int32 location, Place *place)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int32GetDatum(location)};
	OmsPath		path = {NULL, "address", 0};
	bool		isnull;
	Datum		address;
	Jsonb	   *copy;

	oms_begin();
	if (oms_run(&statements[ST_LOCATION], values, NULL) == 0)
		oms_error_unknown("location", merchant, location);
	address = oms_get(0, 2, &isnull);
	if (isnull)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("location \"%s\" has no address", oms_get_text(0, 1)),
				 errhint("Set location.address, or give from_address.")));
	copy = DatumGetJsonbP(oms_copy_out(address, false, -1));
	oms_end();
	read_address(&copy->root, &path, place);
}

/* OM002 for a merchant that does not exist; asked only where there is nothing to quote. */
static void
require_merchant(int32 merchant)
{
	Datum		values[1] = {Int32GetDatum(merchant)};

	oms_begin();
	if (oms_run(&statements[ST_MERCHANT], values, NULL) == 0)
		oms_error_unknown("merchant", merchant, merchant);
	oms_end();
}

static const char *
refusal_code(OmsRateStatus status)
{
	switch (status)
	{
		case OMS_RATE_NO_ZONE:
			return "no_zone";
		case OMS_RATE_OVER_WEIGHT:
			return "over_weight";
		case OMS_RATE_OVER_SIDE:
			return "over_side";
		case OMS_RATE_OVER_GIRTH:
			return "over_girth";
		case OMS_RATE_NO_RATE:
			return "no_rate";
		default:
			return "bad_input";
	}
}

/* Thousandths as people write them: 12.5, 13. */
static char *
show_milli(int64 value)
{
	char	   *text = psprintf("%lld.%03d", (long long) (value / 1000), (int) (value % 1000));
	char	   *end = text + strlen(text) - 1;

	while (*end == '0')
		*end-- = '\0';
	if (*end == '.')
		*end = '\0';
	return text;
}

/* The reason of a refusal in words, with rule and value. */
static char *
refusal_text(const Answer *answer)
{
	const OmsRateQuote *q = &answer->quote;
	const OmsTariff *t = answer->tariff;

	if (t == NULL)
		return pstrdup("no active tariff at that time");
	switch (q->status)
	{
		case OMS_RATE_NO_ZONE:
			return pstrdup("no zone of the tariff holds the destination");
		case OMS_RATE_OVER_WEIGHT:
			return psprintf("parcel %d weighs %s %s, the limit is %s", q->parcel + 1, show_milli(q->value), t->weight_unit,
							show_milli(q->limit));
		case OMS_RATE_OVER_SIDE:
			return psprintf("the longest side of parcel %d is %s %s, the limit is %s", q->parcel + 1, show_milli(q->value),
							t->length_unit, show_milli(q->limit));
		case OMS_RATE_OVER_GIRTH:
			return psprintf("length plus girth of parcel %d is %s %s, the limit is %s", q->parcel + 1, show_milli(q->value),
							t->length_unit, show_milli(q->limit));
		case OMS_RATE_NO_RATE:
			return psprintf("zone %s has no price for %s %s (parcel %d)", t->zone_names[q->zone], show_milli(q->value),
							t->weight_unit, q->parcel + 1);
		default:
			return pstrdup("the shipment is out of range");
	}
}

/* What one service says to the request. */
static void
ask(int32 merchant, OmsService *service, const Request *request, Answer *answer)
{
	OmsRatePlace from = request->from.place;
	OmsRatePlace to = request->to.place;

	memset(answer, 0, sizeof(*answer));
	answer->service = service;
	answer->transit_days = service->transit_days;
	answer->tariff = oms_tariff_at(service, request->at);
	if (answer->tariff == NULL)
	{
		answer->refusal = "no_tariff";
		return;
	}
	oms_tariff_compile(merchant, answer->tariff);
	to.region = request->to.region ? oms_tariff_region(answer->tariff, request->to.region) : 0;
	answer->parcels = palloc0(request->nparcels * sizeof(OmsRateParcelResult));
	oms_rate_quote(&answer->tariff->rate, &from, &to, request->to.residential, request->parcels, request->nparcels,
				   answer->parcels, &answer->quote);
	if (answer->quote.status != OMS_RATE_OK)
		answer->refusal = refusal_code(answer->quote.status);
	if (answer->quote.transit_days >= 0)
		answer->transit_days = answer->quote.transit_days;
}

/*
 * Priced before refused; by currency, price, transit days (unknown last),
 * preference, carrier, service: equal on every run.
 */
static int
compare_answers(const void *va, const void *vb)
{
	const Answer *a = va;
	const Answer *b = vb;
	int			c;

	if ((a->refusal == NULL) != (b->refusal == NULL))
		return a->refusal == NULL ? -1 : 1;
	if (a->refusal == NULL)
	{
		if ((c = strcmp(a->tariff->currency, b->tariff->currency)) != 0)
			return c;
		if (a->quote.total != b->quote.total)
			return a->quote.total < b->quote.total ? -1 : 1;
		if (a->transit_days != b->transit_days)
			return (uint32) a->transit_days < (uint32) b->transit_days ? -1 : 1;
	}
	if (a->service->preference != b->service->preference)
		return a->service->preference < b->service->preference ? -1 : 1;
	if ((c = strcmp(a->service->carrier, b->service->carrier)) != 0)
		return c;
	return strcmp(a->service->service, b->service->service);
}

/* Whether the address has a country that prices can be looked up for. */
static bool
has_country(Jsonb *address)
{
	JsonbValue *country = address != NULL && JsonContainerIsObject(&address->root) ?
		oms_json_find(&address->root, "country") : NULL;

	return country != NULL && country->type == jbvString && country->val.string.len == 2 &&
		oms_rate_country(pnstrdup(country->val.string.val, 2)) != 0;
}

bool
oms_rate_cheapest(int32 merchant, Jsonb *from, Jsonb *to, int64 weight_g, TimestampTz at,
				  const char *currency, int64 *price)
{
	OmsPath		path = {NULL, "address", 0};
	OmsRateParcel parcel = {0};
	Request		request = {0};
	OmsService *services;
	bool		found = false;
	int			nservices;
	int			i;

	if (!has_country(from) || !has_country(to) || weight_g > OMS_RATE_MAX_WEIGHT_G)
		return false;
	read_address(&from->root, &path, &request.from);
	read_address(&to->root, &path, &request.to);
	parcel.weight_g = weight_g;
	request.parcels = &parcel;
	request.nparcels = 1;
	request.at = at;
	services = oms_services(merchant, &nservices);
	for (i = 0; i < nservices; i++)
	{
		Answer		answer;

		if (!services[i].active)
			continue;
		ask(merchant, &services[i], &request, &answer);
		if (answer.refusal != NULL || strcmp(answer.tariff->currency, currency) != 0 ||
			(found && answer.quote.total >= *price))
			continue;
		*price = answer.quote.total;
		found = true;
	}
	return found;
}

/* Per parcel: billable weight, what decided it, base price, surcharges. */
static Datum
parcels_json(const Answer *answer, int nparcels)
{
	const OmsTariff *t = answer->tariff;
	StringInfoData text;
	int			i;
	int			j;

	initStringInfo(&text);
	appendStringInfoChar(&text, '[');
	for (i = 0; i < nparcels; i++)
	{
		const OmsRateParcelResult *p = &answer->parcels[i];
		bool		first = true;

		appendStringInfo(&text, "%s{\"billable_weight\":%s,\"dimensional\":%s,\"base\":%s,\"surcharges\":{", i ? "," : "",
						 show_milli(p->billable), p->dimensional ? "true" : "false",
						 DatumGetCString(DirectFunctionCall1(numeric_out, oms_scaled_to_numeric(p->base, 4))));
		for (j = 0; j < t->rate.nsurcharges; j++)
			if ((p->surcharges >> j & 1) != 0)
			{
				appendStringInfoString(&text, first ? "" : ",");
				first = false;
				escape_json(&text, t->surcharge_codes[j]);
				appendStringInfo(&text, ":%s", DatumGetCString(DirectFunctionCall1(numeric_out,
								 oms_scaled_to_numeric(t->rate.surcharges[j].amount, 4))));
			}
		appendStringInfoString(&text, "}}");
	}
	appendStringInfoChar(&text, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

enum
{
	A_RANK, A_CARRIER, A_SERVICE, A_CURRENCY, A_PRICE, A_TRANSIT_DAYS, A_REFUSAL, A_DETAIL, A_ZONE, A_BASE, A_DISCOUNT,
	A_ACCESSORIALS, A_FUEL, A_HANDLING, A_TAX, A_TARIFF_ID, A_TARIFF, A_WEIGHT_UNIT, A_PARCELS, A_COLUMNS
};

static void
put_answer(ReturnSetInfo *rsinfo, const Answer *answer, int rank, int nparcels)
{
	Datum		values[A_COLUMNS] = {0};
	bool		nulls[A_COLUMNS];
	const OmsTariff *t = answer->tariff;
	const OmsRateQuote *q = &answer->quote;

	memset(nulls, true, sizeof(nulls));
#define PUT(column, datum) (values[column] = (datum), nulls[column] = false)
#define PUT_MONEY(column, minor) PUT(column, oms_scaled_to_numeric(minor, t->rate.exponent))
	PUT(A_CARRIER, CStringGetTextDatum(answer->service->carrier));
	PUT(A_SERVICE, CStringGetTextDatum(answer->service->service));
	if (answer->transit_days >= 0)
		PUT(A_TRANSIT_DAYS, Int32GetDatum(answer->transit_days));
	if (t != NULL)
	{
		PUT(A_CURRENCY, CStringGetTextDatum(t->currency));
		PUT(A_TARIFF_ID, Int64GetDatum(t->tariff_id));
		PUT(A_TARIFF, CStringGetTextDatum(t->name));
		PUT(A_WEIGHT_UNIT, CStringGetTextDatum(t->weight_unit));
		if (q->zone >= 0)
			PUT(A_ZONE, CStringGetTextDatum(t->zone_names[q->zone]));
	}
	if (answer->refusal != NULL)
	{
		PUT(A_REFUSAL, CStringGetTextDatum(answer->refusal));
		PUT(A_DETAIL, CStringGetTextDatum(refusal_text(answer)));
	}
	else
	{
		PUT(A_RANK, Int32GetDatum(rank));
		PUT_MONEY(A_PRICE, q->total);
		PUT_MONEY(A_BASE, q->base);
		PUT_MONEY(A_DISCOUNT, q->discount);
		PUT_MONEY(A_ACCESSORIALS, q->accessorials);
		PUT_MONEY(A_FUEL, q->fuel);
		PUT_MONEY(A_HANDLING, q->handling);
		PUT_MONEY(A_TAX, q->tax);
		PUT(A_PARCELS, parcels_json(answer, nparcels));
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * rate_shop(merchant, from_location, to_address, parcels, at, from_address):
 * one row per active service.  Raises OM002, OM003, OM011, OM016.
 */
Datum
oms_rate_shop(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	OmsPath		to_path = {NULL, "to_address", 0};
	OmsPath		from_path = {NULL, "from_address", 0};
	Request		request = {0};
	OmsService *services;
	Answer	   *answers;
	int			nservices;
	int			n = 0;
	int			i;

	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is missing", PG_ARGISNULL(2) ? "to_address" : "parcels"),
				 errdetail("It may not be null.")));
	if (PG_ARGISNULL(1) == PG_ARGISNULL(5))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("give either argument \"from_location\" or argument \"from_address\""),
				 errdetail("%s.", PG_ARGISNULL(1) ? "Both are null" : "Both were given")));

	InitMaterializedSRF(fcinfo, 0);
	read_address(&PG_GETARG_JSONB_P(2)->root, &to_path, &request.to);
	if (PG_ARGISNULL(1))
		read_address(&PG_GETARG_JSONB_P(5)->root, &from_path, &request.from);
	else
		read_location(merchant, PG_GETARG_INT32(1), &request.from);
	read_parcels(PG_GETARG_JSONB_P(3), &request);
	request.at = PG_ARGISNULL(4) ? oms_now() : PG_GETARG_TIMESTAMPTZ(4);
	if (TIMESTAMP_NOT_FINITE(request.at))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"at\" is out of range"),
				 errdetail("It is infinite.")));

	services = oms_services(merchant, &nservices);
	if (nservices == 0)
		require_merchant(merchant);
	answers = palloc((nservices + 1) * sizeof(Answer));
	for (i = 0; i < nservices; i++)
		if (services[i].active)
			ask(merchant, &services[i], &request, &answers[n++]);
	qsort(answers, n, sizeof(Answer), compare_answers);
	for (i = 0; i < n; i++)
		put_answer(rsinfo, &answers[i], i + 1, request.nparcels);
	return (Datum) 0;
}
