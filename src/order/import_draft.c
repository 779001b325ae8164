/*-------------------------------------------------------------------------
 * import_draft.c
 *	  Makes the document of place_order() of another system's order.  What the
 *	  payload states of prices, discounts and taxes is given as it is; what is
 *	  stated for the order alone is spread over its lines.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "mb/pg_wchar.h"

#include "core/json.h"
#include "core/money.h"
#include "order/import_draft.h"

typedef struct Line
{
	char	   *sku;
	char	   *title;
	char	   *instructions;
	int64		quantity;
	int64		unit_price;		/* scaled by 10^OMS_PRICE_SCALE */
	int64		discount;
	int64		net;			/* quantity * unit_price - discount */
	bool		has_tax;
	int64		tax;
	bool		has_rate;
	int64		rate;			/* scaled by 10^OMS_PRICE_SCALE */
} Line;

static const char *const address_fields[] = {
	"name", "company", "street", "street2", "city", "region", "postcode", "phone", "email"
};

void
oms_import_remark(OmsImport *import, const char *format,...)
{
	if (import->remarks.len > 0)
		appendStringInfoString(&import->remarks, "; ");
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&import->remarks, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&import->remarks, needed);
	}
}

/* A text of at most so many characters; what is longer is cut, with a remark. */
static char *
take_text(OmsImport *import, Datum target, const char *field, int most)
{
	char	   *text = oms_import_text(import->map, target, field);
	int			length;

	if (text == NULL)
		return NULL;
	length = (int) strlen(text);
	if (pg_mbstrlen_with_len(text, length) > most)
	{
		text[pg_mbcharcliplen(text, length, most)] = '\0';
		oms_import_remark(import, "%s was cut to %d characters", field, most);
	}
	return text;
}

bool
oms_import_amount(OmsImport *import, Datum target, const char *field, int64 *amount)
{
	int64		number;
	int64		unit = 1;
	int			i;

	*amount = 0;
	if (!oms_import_number(import->map, target, field, &number))
		return false;
	for (i = import->channel->exponent; i < OMS_PRICE_SCALE; i++)
		unit *= 10;
	(void) oms_mul_div(number, 1, unit, import->channel->rounding, amount);
	if (number % unit != 0)
		oms_import_remark(import, "%s is finer than the currency's smallest unit", field);
	return true;
}

/* A date without time has dashes in ISO 8601. */
static char *
take_date(OmsImport *import, Datum target, const char *field)
{
	char	   *text = oms_import_text(import->map, target, field);

	if (text != NULL && strlen(text) == 8 && strspn(text, "0123456789") == 8)
		return psprintf("%.4s-%.2s-%.2s", text, text + 4, text + 6);
	return text;
}

static void
add_address(OmsImport *import, OmsJson *document, const char *key)
{
	int			n;
	Datum	   *found = oms_import_elements(import->map, import->root, key, &n);
	OmsJson		address;
	char	   *country;
	int			i;

	if (n == 0)
		return;
	oms_json_begin(&address);
	for (i = 0; i < lengthof(address_fields); i++)
		oms_json_add_text(&address, address_fields[i],
						  take_text(import, found[0], psprintf("address.%s", address_fields[i]), 400));
	country = oms_import_text(import->map, found[0], "address.country");
	if (country != NULL && (strlen(country) != 2 || strspn(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2))
	{
		oms_import_remark(import, "country \"%.60s\" of %s is no ISO 3166 code and was left out", country, key);
		country = NULL;
	}
	oms_json_add_text(&address, "country", country);
	oms_json_add_jsonb(document, key, oms_json_end(&address));
}

/* Price of a unit: as stated, or what was stated for all units together. */
static int64
unit_price(OmsImport *import, Datum element, int64 quantity, int64 *discount)
{
	int64		price;

	if (oms_import_number(import->map, element, "line.amount", &price))
	{
		/* A line that costs more than before its discount. */
		if (*discount < 0)
			price = oms_money_add(price, -*discount * (OMS_PRICE_ONE / 100));
		(void) oms_mul_div(price, 1, quantity, OMS_HALF_EVEN, &price);
	}
	else
		(void) oms_import_number(import->map, element, "line.unit_price", &price);
	*discount = Max(*discount, 0);
	return price;
}

/* False for a line of no units. */
static bool
read_line(OmsImport *import, Datum element, int number, Line *line)
{
	int64		quantity;

	memset(line, 0, sizeof(Line));
	line->sku = take_text(import, element, "line.sku", OMS_KEY_LENGTH);
	line->title = take_text(import, element, "line.title", 1000);
	line->instructions = take_text(import, element, "line.instructions", OMS_TEXT_LENGTH);
	if (!oms_import_number(import->map, element, "line.quantity", &quantity))
		quantity = 0;
	line->quantity = quantity / OMS_PRICE_ONE;
	if (quantity % OMS_PRICE_ONE != 0 || line->quantity <= 0)
	{
		oms_import_remark(import, "line %d has no whole quantity above zero and was left out", number);
		return false;
	}
	if (line->sku == NULL)
		line->sku = psprintf("line %d", number);
	(void) oms_import_amount(import, element, "line.discount", &line->discount);
	line->unit_price = unit_price(import, element, line->quantity, &line->discount);
	line->net = oms_money_amount(line->unit_price, line->quantity, import->channel->exponent, import->channel->rounding) - line->discount;
	line->has_tax = oms_import_amount(import, element, "line.tax", &line->tax);
	line->has_rate = oms_import_number(import->map, element, "line.tax_rate", &line->rate);
	return true;
}

/*
 * The line that stands for those the payload does not have, so that the order
 * is kept: what it costs is what the figures stated leave for it.
 */
static void
stand_in(OmsImport *import, Line *line, bool included)
{
	int64		number;

	memset(line, 0, sizeof(Line));
	line->sku = "(lines not given)";
	line->quantity = 1;
	(void) oms_import_number(import->map, import->root, "stated.total", &line->unit_price);
	(void) oms_import_number(import->map, import->root, "discount", &number);
	line->unit_price += Max(number, 0);
	(void) oms_import_number(import->map, import->root, "stated.shipping", &number);
	line->unit_price -= number;
	(void) oms_import_number(import->map, import->root, "stated.tax", &number);
	if (!included)
		line->unit_price -= number;
	line->unit_price = Max(line->unit_price, 0);
	line->net = 1;
	oms_import_remark(import, "the payload has no lines: one line stands for them");
}

static int
read_lines(OmsImport *import, Line **lines, bool included)
{
	int			n;
	Datum	   *elements = oms_import_elements(import->map, import->root, "lines", &n);
	int			count = 0;
	int			i;

	*lines = palloc((n + 1) * sizeof(Line));
	for (i = 0; i < n; i++)
		if (read_line(import, elements[i], i + 1, &(*lines)[count]))
			count++;
	if (count == 0)
		stand_in(import, &(*lines)[count++], included);
	return count;
}

/* What is stated of taxes for the order alone is spread over the lines by what they cost. */
static void
spread_tax(OmsImport *import, Line *lines, int n)
{
	int64	   *weights = palloc(n * sizeof(int64));
	int64	   *shares = palloc0(n * sizeof(int64));
	int64		tax;
	int			i;

	for (i = 0; i < n; i++)
		if (lines[i].has_tax)
			return;
	if (!oms_import_amount(import, import->root, "stated.tax", &tax))
		return;
	for (i = 0; i < n; i++)
		weights[i] = Max(lines[i].net, 0);
	(void) oms_prorate(tax, weights, n, shares);
	for (i = 0; i < n; i++)
	{
		lines[i].has_tax = true;
		lines[i].tax = shares[i];
	}
}

/* The rate that the tax amounts to, where the payload names none. */
static int64
rate_of(int64 net, int64 tax, bool included)
{
	int64		base = included ? net - tax : net;
	int64		rate = 0;

	if (base > 0 && tax > 0)
		(void) oms_mul_div(tax, 1000000, base, OMS_HALF_EVEN, &rate);
	return Min(rate * (OMS_PRICE_ONE / 1000000), 10 * OMS_PRICE_ONE);
}

/* A price or rate without the zeros that its scale adds. */
static void
add_price(OmsJson *json, const char *key, int64 value)
{
	int			scale = OMS_PRICE_SCALE;

	for (; scale > 0 && value % 10 == 0; scale--)
		value /= 10;
	oms_json_add_scaled(json, key, value, scale);
}

static void
add_lines(OmsImport *import, OmsJson *document, const Line *lines, int n, bool included)
{
	Datum	   *elements = palloc(n * sizeof(Datum));
	int			exponent = import->channel->exponent;
	int			i;

	for (i = 0; i < n; i++)
	{
		const Line *line = &lines[i];
		OmsJson		json;

		oms_json_begin(&json);
		oms_json_add_text(&json, "sku", line->sku);
		oms_json_add_text(&json, "title", line->title);
		oms_json_add_text(&json, "instructions", line->instructions);
		oms_json_add_int(&json, "quantity", line->quantity);
		add_price(&json, "unit_price", line->unit_price);
		if (line->discount > 0)
			oms_json_add_scaled(&json, "discount", line->discount, exponent);
		if (line->has_tax)
			oms_json_add_scaled(&json, "tax", line->tax, exponent);
		if (line->has_rate || line->has_tax)
			add_price(&json, "tax_rate", line->has_rate ? line->rate : rate_of(line->net, line->tax, included));
		elements[i] = oms_json_end(&json);
	}
	oms_json_add_array(document, "lines", elements, n);
}

static void
add_charges(OmsImport *import, OmsJson *document, bool included)
{
	static const char *const kinds[] = {"shipping", "handling", "gift_wrap", "fee", "adjustment"};
	Datum	   *charges = NULL;
	int			exponent = import->channel->exponent;
	int			count = 0;
	int			i;
	int			k;

	for (k = 0; k < lengthof(kinds); k++)
	{
		int			n;
		Datum	   *elements = oms_import_elements(import->map, import->root, psprintf("charges.%s", kinds[k]), &n);

		charges = charges == NULL ? palloc((n + 1) * sizeof(Datum)) : repalloc(charges, (count + n + 1) * sizeof(Datum));
		for (i = 0; i < n; i++)
		{
			int64		amount;
			int64		tax;
			OmsJson		json;

			(void) oms_import_amount(import, elements[i], "charge.amount", &amount);
			(void) oms_import_amount(import, elements[i], "charge.tax", &tax);
			if (amount == 0 && tax == 0)
				continue;
			oms_json_begin(&json);
			oms_json_add_text(&json, "kind", amount < 0 ? "adjustment" : kinds[k]);
			oms_json_add_text(&json, "description", take_text(import, elements[i], "charge.description", 1000));
			oms_json_add_scaled(&json, "amount", amount, exponent);
			oms_json_add_scaled(&json, "tax", tax, exponent);
			add_price(&json, "tax_rate", rate_of(amount, tax, included));
			charges[count++] = oms_json_end(&json);
		}
	}
	oms_json_add_array(document, "charges", charges, count);
}

static void
add_customer(OmsImport *import, OmsJson *document)
{
	char	   *reference = take_text(import, import->root, "customer", OMS_KEY_LENGTH);
	OmsJson		customer;

	if (reference == NULL)
		return;
	oms_json_begin(&customer);
	oms_json_add_text(&customer, "external_ref", reference);
	oms_json_add_jsonb(document, "customer", oms_json_end(&customer));
}

static Datum
write_document(OmsImport *import, const char *channel, const char *allocation)
{
	char	   *word = oms_import_text(import->map, import->root, "tax_included");
	bool		included = word == NULL ? import->channel->tax_included : strcmp(word, "true") == 0;
	OmsJson		document;
	Line	   *lines;
	int			n = read_lines(import, &lines, included);
	int64		discount;

	spread_tax(import, lines, n);
	oms_json_begin(&document);
	oms_json_add_text(&document, "channel", channel);
	oms_json_add_text(&document, "external_ref", import->channel->external_ref);
	oms_json_add_text(&document, "placed_at", take_date(import, import->root, "placed_at"));
	oms_json_add_text(&document, "currency", oms_import_text(import->map, import->root, "currency"));
	oms_json_add_text(&document, "email", take_text(import, import->root, "email", 320));
	oms_json_add_text(&document, "phone", take_text(import, import->root, "phone", 100));
	oms_json_add_text(&document, "language", take_text(import, import->root, "language", 35));
	oms_json_add_text(&document, "instructions", take_text(import, import->root, "instructions", OMS_TEXT_LENGTH));
	oms_json_add_text(&document, "gift_note", take_text(import, import->root, "gift_note", OMS_TEXT_LENGTH));
	oms_json_add_text(&document, "origin", take_text(import, import->root, "origin", OMS_KEY_LENGTH));
	oms_json_add_text(&document, "allocation", allocation);
	oms_json_add_bool(&document, "tax_included", included);
	oms_json_add_bool(&document, "promotions", false);
	add_customer(import, &document);
	add_address(import, &document, "ship_to");
	add_address(import, &document, "bill_to");
	add_lines(import, &document, lines, n, included);
	add_charges(import, &document, included);
	(void) oms_import_amount(import, import->root, "discount", &discount);
	if (discount > 0)
		oms_json_add_scaled(&document, "discount", discount, import->channel->exponent);
	else if (discount < 0)
		oms_import_remark(import, "the discounts of its lines are more than the discount stated");
	return oms_json_end(&document);
}

OmsImport *
oms_import_read(int32 merchant, const char *source, Datum payload, const char *channel, const char *allocation, const char *actor)
{
	OmsImport  *import = palloc0(sizeof(OmsImport));

	initStringInfo(&import->remarks);
	import->map = oms_import_map(source);
	import->root = oms_import_root(import->map, payload);
	import->channel = channel == NULL ? oms_draft_new(merchant, 0, actor) : oms_draft_for_code(merchant, channel, actor);
	import->channel->external_ref = take_text(import, import->root, "external_ref", OMS_KEY_LENGTH);
	if (import->channel->external_ref == NULL)
		ereport(ERROR,
				(errcode(OMS_MALFORMED),
				 errmsg("the payload's order has no reference"),
				 errdetail("Field external_ref of source \"%s\" found nothing.", source),
				 errhint("Is it an order of that source? Without a reference the same order would become two.")));
	import->document = write_document(import, channel, allocation);
	return import;
}
