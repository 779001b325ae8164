/*-------------------------------------------------------------------------
 * document.c
 *	  Reads the document of place_order() into a draft.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/numeric.h"

#include "core/json.h"
#include "core/money.h"
#include "order/draft.h"

static const char *const order_fields[] = {
	"channel", "external_ref", "customer", "email", "phone", "language", "currency", "ship_to", "bill_to",
	"placed_at", "origin", "instructions", "gift_note", "tax_included", "location", "allocation", "confirm",
	"lines", "discount", "shipping", "shipping_tax_rate", "charges", "holds", "coupons", "promotions", "ship_at", NULL
};
static const char *const line_fields[] = {
	"sku", "item", "quantity", "unit_price", "price_reason", "discount", "tax_rate", "tax", "title", "instructions", "unit", NULL
};
static const char *const charge_fields[] = {"kind", "description", "amount", "tax_rate", "tax", NULL};
static const char *const customer_fields[] = {"email", "name", "external_ref", NULL};
static const char *const address_fields[] = {
	"name", "company", "street", "street2", "city", "region", "postcode", "country", "phone", "email", NULL
};
static const char *const charge_kinds[] = {"shipping", "handling", "gift_wrap", "adjustment", "fee", NULL};

/* An amount in the currency's units: minor units; false when absent. */
static bool
read_amount(OmsDraft *draft, JsonbContainer *object, const OmsPath *path, const char *key,
			bool may_be_negative, int64 *amount)
{
	if (!oms_json_scaled(object, path, key, draft->exponent, amount))
		return false;
	if (*amount < 0 && !may_be_negative)
		oms_error_document(path, key, "an amount of zero or more");
	return true;
}

/* A tax rate as a fraction; false when absent. */
static bool
read_rate(JsonbContainer *object, const OmsPath *path, const char *key, int64 *rate)
{
	if (!oms_json_scaled(object, path, key, OMS_PRICE_SCALE, rate))
		return false;
	if (*rate < 0 || *rate > 10 * OMS_PRICE_ONE)
		oms_error_document(path, key, "a rate from 0 to 10 (0.2 is 20 %)");
	return true;
}

/* Refuses what is no address; key is where the document has it. */
static void
check_address(JsonbContainer *object, const char *key)
{
	OmsPath		path = {NULL, key, 0};
	const char *const *field;
	char	   *country;

	oms_json_only(object, &path, address_fields);
	for (field = address_fields; *field != NULL; field++)
		(void) oms_json_text(object, &path, *field, 400, false);
	country = oms_json_text(object, &path, "country", 400, false);
	if (country != NULL && (strlen(country) != 2 || strspn(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2))
		oms_error_document(&path, "country", "an ISO 3166 alpha-2 code such as GB");
}

/* An address, checked and kept as jsonb. */
static Datum
read_address(JsonbContainer *document, const char *key)
{
	JsonbContainer *object = oms_json_container(document, NULL, key, false, false);

	if (object == NULL)
		return (Datum) 0;
	check_address(object, key);
	return JsonbPGetDatum(JsonbValueToJsonb(oms_json_find(document, key)));
}

/* An address given by itself, as argument key. */
void
oms_draft_check_address(Datum address, const char *key)
{
	check_address(&DatumGetJsonbP(address)->root, key);
}

/* A line, but for fields that are not one's. */
void
oms_draft_read_line(OmsDraft *draft, OmsDraftLine *line, JsonbContainer *object, const OmsPath *path)
{
	int64		quantity = 0;

	(void) oms_json_int64(object, path, "item", 1, PG_INT64_MAX, &line->item);
	line->sku = oms_json_text(object, path, "sku", OMS_KEY_LENGTH, line->item == 0);
	line->title = oms_json_text(object, path, "title", 1000, false);
	line->instructions = oms_json_text(object, path, "instructions", OMS_TEXT_LENGTH, false);
	line->unit = oms_json_text(object, path, "unit", OMS_KEY_LENGTH, false);
	if (line->unit != NULL)
	{
		draft->units = true;
		if (!oms_json_scaled(object, path, "quantity", OMS_PRICE_SCALE, &line->asked_quantity) || line->asked_quantity <= 0)
			oms_error_document(path, "quantity", "a number above 0");
	}
	else if (!oms_json_int64(object, path, "quantity", 1, OMS_MAX_QUANTITY, &quantity))
		oms_error_document(path, "quantity", "a whole number of 1 or more");
	line->quantity = (int32) quantity;
	line->has_price = oms_json_scaled(object, path, "unit_price", OMS_PRICE_SCALE, &line->unit_price);
	if (line->unit_price < 0)
		oms_error_document(path, "unit_price", "a price of zero or more");
	line->price_reason = oms_json_text(object, path, "price_reason", OMS_TEXT_LENGTH, false);
	(void) read_amount(draft, object, path, "discount", false, &line->own_discount);
	line->has_tax_rate = read_rate(object, path, "tax_rate", &line->tax_rate);
	line->has_tax = read_amount(draft, object, path, "tax", false, &line->tax);
}

static void
read_lines(OmsDraft *draft, JsonbContainer *document)
{
	JsonbContainer *array = oms_json_container(document, NULL, "lines", true, false);
	OmsPath		path = {NULL, "lines", 0};
	int			i;

	draft->nlines = array == NULL ? 0 : JsonContainerSize(array);
	if (draft->nlines > OMS_MAX_LINES)
		oms_error_document(&path, NULL, psprintf("at most %d lines", OMS_MAX_LINES));
	draft->lines = palloc0((draft->nlines + 1) * sizeof(OmsDraftLine));
	for (i = 0; i < draft->nlines; i++)
	{
		OmsPath		element = {&path, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&element, NULL, "an object");
		oms_json_only(value->val.binary.data, &element, line_fields);
		oms_draft_read_line(draft, &draft->lines[i], value->val.binary.data, &element);
	}
}

/* A charge, but for fields that are not one's. */
void
oms_draft_read_charge(OmsDraft *draft, OmsDraftCharge *charge, JsonbContainer *object, const OmsPath *path)
{
	const char *kind;
	const char *const *known;

	kind = oms_json_text(object, path, "kind", OMS_KEY_LENGTH, true);
	for (known = charge_kinds; *known != NULL; known++)
		if (strcmp(kind, *known) == 0)
			break;
	if (*known == NULL)
		oms_error_document(path, "kind", "shipping, handling, gift_wrap, adjustment or fee");
	charge->kind = *known;
	charge->description = oms_json_text(object, path, "description", 1000, false);
	if (!read_amount(draft, object, path, "amount", strcmp(kind, "adjustment") == 0, &charge->amount))
		oms_error_document(path, "amount", "an amount");
	charge->has_tax_rate = read_rate(object, path, "tax_rate", &charge->tax_rate);
	charge->has_tax = read_amount(draft, object, path, "tax", charge->amount < 0, &charge->tax);
}

/* The shipping charge, and the list of others. */
static void
read_charges(OmsDraft *draft, JsonbContainer *document)
{
	JsonbContainer *array = oms_json_container(document, NULL, "charges", true, false);
	OmsPath		path = {NULL, "charges", 0};
	int			n = array == NULL ? 0 : JsonContainerSize(array);
	OmsDraftCharge *charge;
	int			i;

	if (n > 1000)
		oms_error_document(&path, NULL, "at most 1000 charges");
	draft->charges = palloc0((n + 1) * sizeof(OmsDraftCharge));
	charge = &draft->charges[0];
	charge->kind = "shipping";
	charge->has_tax_rate = read_rate(document, NULL, "shipping_tax_rate", &charge->tax_rate);
	if (read_amount(draft, document, NULL, "shipping", false, &charge->amount) && charge->amount > 0)
		draft->ncharges++;
	else
		memset(charge, 0, sizeof(*charge));
	for (i = 0; i < n; i++)
	{
		OmsPath		element = {&path, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&element, NULL, "an object");
		oms_json_only(value->val.binary.data, &element, charge_fields);
		oms_draft_read_charge(draft, &draft->charges[draft->ncharges++], value->val.binary.data, &element);
	}
}

/* The ids of stock holds that become the order's promises. */
static void
read_holds(OmsDraft *draft, JsonbContainer *document)
{
	JsonbContainer *array = oms_json_container(document, NULL, "holds", true, false);
	OmsPath		path = {NULL, "holds", 0};
	int			n = array == NULL ? 0 : JsonContainerSize(array);
	int			i;

	if (n > OMS_MAX_LINES)
		oms_error_document(&path, NULL, psprintf("at most %d holds", OMS_MAX_LINES));
	if (n > 0 && draft->allocation == OMS_ALLOCATE_NONE)
		oms_error_document(NULL, "holds", "no holds, where allocation is none");
	draft->holds = palloc((n + 1) * sizeof(int64));
	for (i = 0; i < n; i++)
	{
		OmsPath		element = {&path, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);
		int64		id;

		if (value->type != jbvNumeric ||
			!oms_text_to_scaled(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))), 0, &id) ||
			id == 0)
			oms_error_document(&element, NULL, "the id of a hold");
		draft->holds[draft->nholds++] = id;
	}
}

/* Codes of coupons; promotions false: the discounts given are all there are. */
static void
read_coupons(OmsDraft *draft, JsonbContainer *document)
{
	JsonbContainer *array = oms_json_container(document, NULL, "coupons", true, false);
	OmsPath		path = {NULL, "coupons", 0};
	int			n = array == NULL ? 0 : JsonContainerSize(array);
	int			i;

	draft->no_promotions = !oms_json_bool(document, NULL, "promotions", true);
	if (n > 100)
		oms_error_document(&path, NULL, "at most 100 coupons");
	if (n > 0 && draft->no_promotions)
		oms_error_document(NULL, "coupons", "no coupons, where promotions is false");
	draft->coupons = palloc((n + 1) * sizeof(char *));
	for (i = 0; i < n; i++)
	{
		OmsPath		element = {&path, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvString || value->val.string.len == 0 || value->val.string.len > OMS_KEY_LENGTH)
			oms_error_document(&element, NULL, "the code of a coupon");
		draft->coupons[draft->ncoupons++] = pnstrdup(value->val.string.val, value->val.string.len);
	}
}

/* An id, or an object that describes a guest, or a customer by his reference. */
static void
read_customer(OmsDraft *draft, JsonbContainer *document)
{
	JsonbValue *value = oms_json_find(document, "customer");
	OmsPath		path = {NULL, "customer", 0};
	JsonbContainer *object;

	if (value == NULL)
		return;
	if (value->type != jbvBinary)
	{
		(void) oms_json_int64(document, NULL, "customer", 1, PG_INT64_MAX, &draft->customer_id);
		return;
	}
	object = oms_json_container(document, NULL, "customer", false, true);
	oms_json_only(object, &path, customer_fields);
	draft->customer_ref = oms_json_text(object, &path, "external_ref", OMS_KEY_LENGTH, false);
	if (draft->email == NULL)
		draft->email = oms_json_text(object, &path, "email", 320, false);
	if (draft->ship_to == (Datum) 0 && oms_json_find(object, "name") != NULL)
	{
		OmsJson		json;

		oms_json_begin(&json);
		oms_json_add_text(&json, "name", oms_json_text(object, &path, "name", 400, true));
		draft->ship_to = oms_json_end(&json);
	}
}

static OmsDraft *
new_draft(int32 merchant, JsonbContainer *document, const char *actor)
{
	JsonbValue *value = oms_json_find(document, "channel");
	int64		channel = 0;

	if (value != NULL && value->type == jbvString)
		return oms_draft_for_code(merchant, oms_json_text(document, NULL, "channel", OMS_KEY_LENGTH, true), actor);
	(void) oms_json_int64(document, NULL, "channel", 1, PG_INT32_MAX, &channel);
	return oms_draft_new(merchant, (int32) channel, actor);
}

static void
read_allocation(OmsDraft *draft, JsonbContainer *document)
{
	char	   *allocation = oms_json_text(document, NULL, "allocation", 20, false);

	if (allocation == NULL)
		return;
	if (strcmp(allocation, "strict") == 0)
		draft->allocation = OMS_ALLOCATE_STRICT;
	else if (strcmp(allocation, "backorder") == 0)
		draft->allocation = OMS_ALLOCATE_BACKORDER;
	else if (strcmp(allocation, "none") == 0)
		draft->allocation = OMS_ALLOCATE_NONE;
	else
		oms_error_document(NULL, "allocation", "strict, backorder or none");
}

OmsDraft *
oms_draft_from_document(int32 merchant, Datum datum, const char *actor)
{
	JsonbContainer *document = &DatumGetJsonbP(datum)->root;
	OmsDraft   *draft;
	char	   *currency;
	char	   *location;

	if (!JsonContainerIsObject(document))
		oms_error_document(NULL, NULL, "an object");
	oms_json_only(document, NULL, order_fields);
	draft = new_draft(merchant, document, actor);
	currency = oms_json_text(document, NULL, "currency", 3, false);
	if (currency != NULL && strcmp(currency, draft->currency) != 0)
		ereport(ERROR,
				(errcode(OMS_CURRENCY),
				 errmsg("the order is in %s, its channel in %s", currency, draft->currency),
				 errhint("Use a channel of that currency.")));
	draft->external_ref = oms_json_text(document, NULL, "external_ref", OMS_KEY_LENGTH, false);
	draft->email = oms_json_text(document, NULL, "email", 320, false);
	draft->phone = oms_json_text(document, NULL, "phone", 100, false);
	draft->language = oms_json_text(document, NULL, "language", 35, false);
	draft->instructions = oms_json_text(document, NULL, "instructions", OMS_TEXT_LENGTH, false);
	draft->gift_note = oms_json_text(document, NULL, "gift_note", OMS_TEXT_LENGTH, false);
	draft->origin = oms_json_text(document, NULL, "origin", OMS_KEY_LENGTH, false);
	draft->ship_to = read_address(document, "ship_to");
	draft->bill_to = read_address(document, "bill_to");
	draft->placed_at_given = oms_json_timestamp(document, NULL, "placed_at", &draft->placed_at);
	(void) oms_json_timestamp(document, NULL, "ship_at", &draft->ship_at);
	draft->tax_included = oms_json_bool(document, NULL, "tax_included", draft->tax_included);
	draft->confirm = oms_json_bool(document, NULL, "confirm", draft->confirm);
	location = oms_json_text(document, NULL, "location", OMS_KEY_LENGTH, false);
	if (location != NULL)
	{
		draft->locations = palloc(sizeof(int32));
		draft->locations[0] = oms_location_id(merchant, location);
		draft->nlocations = 1;
		draft->located = true;
	}
	read_allocation(draft, document);
	read_holds(draft, document);
	read_coupons(draft, document);
	read_customer(draft, document);
	read_lines(draft, document);
	read_charges(draft, document);
	(void) read_amount(draft, document, NULL, "discount", false, &draft->order_discount);
	if (draft->nlines == 0 && draft->ncharges == 0)
		oms_error_document(NULL, "lines", "at least one line or charge");
	return draft;
}
