/*-------------------------------------------------------------------------
 * invoice.c
 *	  Invoices and credit notes: gapless series, exact shares of orders.
 *
 *	  The last lock a command takes is that of the series: after the order.
 *	  Each document is one statement, which writes its head from the sums of
 *	  its own lines.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "event/event.h"
#include "order/order.h"

PG_FUNCTION_INFO_V1(oms_issue_invoice);
PG_FUNCTION_INFO_V1(oms_issue_credit_note);
PG_FUNCTION_INFO_V1(oms_void_invoice);

enum
{
	ST_ENTITY,
	ST_ENTITY_OF,
	ST_DRAW,
	ST_SHIPMENT,
	ST_REFUND,
	ST_REFUND_LIVE,
	ST_INVOICE,
	ST_CORRECTED,
	ST_WRITE_INVOICE,
	ST_WRITE_RETURN,
	ST_WRITE_VALUE,
	ST_WRITE_CANCELLED,
	ST_WRITE_VOID
};

#define ENTITY_COLUMNS \
	"SELECT entity_id, extract(year FROM d)::int, d, CASE $4 WHEN 'invoice' THEN invoice_prefix ELSE credit_note_prefix END, digits " \
	"FROM (SELECT e.*, ($3 AT TIME ZONE e.time_zone)::date AS d FROM oms.legal_entity e WHERE e.merchant_id = $1 AND "

/*
 * The head and the lines of a document, from a query "line" of its lines.
 * Nothing is written when there are none.
 */
#define LINE_COLUMNS \
	"line_no, charge_no, from_unit, quantity, unit_price, tax_rate, tax, total, sku, description, credited_invoice_id, credited_position"
#define WRITE_DOCUMENT \
	", head AS (INSERT INTO oms.invoice (merchant_id, entity_id, order_id, kind, year, series_number, number, issued_at, invoice_date, " \
	"shipment_id, refund_id, voids_invoice_id, customer_id, company_id, currency, net, tax, total, seller, buyer, actor, reason) " \
	"SELECT $1, $3, $2, $4, $5, $6, $7, $8, $9, $10, $11, $12, s.customer_id, s.company_id, s.currency, v.total - v.tax, v.tax, v.total, " \
	"jsonb_strip_nulls(jsonb_build_object('code', e.code, 'name', e.name, 'tax_number', e.tax_number, 'address', e.address)), " \
	"jsonb_strip_nulls(jsonb_build_object('customer', c.name, 'company', b.name, 'tax_number', b.tax_number, 'email', coalesce(s.email, c.email), " \
	"'bill_to', coalesce(s.bill_to, s.ship_to), 'ship_to', s.ship_to)), $13, $14 " \
	"FROM (SELECT sum(total) AS total, sum(tax) AS tax FROM line HAVING count(*) > 0) v " \
	"CROSS JOIN oms.sales_order s " \
	"JOIN oms.legal_entity e ON e.merchant_id = $1 AND e.entity_id = $3 " \
	"LEFT JOIN oms.customer c ON c.merchant_id = $1 AND c.customer_id = s.customer_id " \
	"LEFT JOIN oms.company b ON b.merchant_id = $1 AND b.company_id = s.company_id " \
	"WHERE s.merchant_id = $1 AND s.order_id = $2 RETURNING invoice_id, total, tax), " \
	"written AS (INSERT INTO oms.invoice_line (merchant_id, position, invoice_id, order_id, net, " LINE_COLUMNS ") " \
	"SELECT $1, row_number() OVER (ORDER BY charge_no NULLS FIRST, line_no, from_unit, credited_invoice_id, credited_position), " \
	"head.invoice_id, $2, line.total - line.tax, line.line_no, line.charge_no, line.from_unit, line.quantity, line.unit_price, line.tax_rate, " \
	"line.tax, line.total, line.sku, line.description, line.credited_invoice_id, line.credited_position FROM line, head) " \
	"SELECT invoice_id, total, tax FROM head"
#define WRITE_ARGUMENTS \
	14, {INT4OID, INT8OID, INT4OID, TEXTOID, INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, DATEOID, INT8OID, INT8OID, INT8OID, TEXTOID, TEXTOID}

/* Units of order lines on invoices that stand: the common part of two ranges of units. */
#define COMMON_FROM "greatest(i.from_unit, w.from_unit)"
#define COMMON_TO "least(i.from_unit + i.quantity, w.from_unit + w.quantity)"

static OmsStatement statements[] = {
	[ST_ENTITY] = {ENTITY_COLUMNS "e.code = $2) e", 4, {INT4OID, TEXTOID, TIMESTAMPTZOID, TEXTOID}},
	[ST_ENTITY_OF] = {
		ENTITY_COLUMNS "e.entity_id = (SELECT i.entity_id FROM oms.invoice i WHERE i.merchant_id = $1 AND i.invoice_id = $2)) e",
		4, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_DRAW] = {
		"INSERT INTO oms.invoice_series AS s (merchant_id, entity_id, kind, year, last_number, last_date) VALUES ($1, $2, $3, $4, 1, $5) "
		"ON CONFLICT (merchant_id, entity_id, kind, year) DO UPDATE SET last_number = s.last_number + 1, "
		"last_date = greatest(s.last_date, excluded.last_date) RETURNING last_number, last_date",
		5, {INT4OID, INT4OID, TEXTOID, INT4OID, DATEOID}
	},
	[ST_SHIPMENT] = {
		"SELECT FROM oms.shipment WHERE merchant_id = $1 AND order_id = $2 AND shipment_id = $3", 3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_REFUND] = {
		"SELECT f.cause, f.state, (SELECT i.number FROM oms.invoice i WHERE i.merchant_id = $1 AND i.refund_id = $3) "
		"FROM oms.refund f WHERE f.merchant_id = $1 AND f.order_id = $2 AND f.refund_id = $3",
		3, {INT4OID, INT8OID, INT8OID}
	},
	/* The refund against the note just written. */
	[ST_REFUND_LIVE] = {
		"SELECT f.amount = i.total AND f.tax = i.tax, f.amount, i.total FROM oms.refund f "
		"JOIN oms.invoice i ON i.merchant_id = f.merchant_id AND i.refund_id = f.refund_id WHERE f.merchant_id = $1 AND f.refund_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_INVOICE] = {
		"SELECT i.order_id, i.kind, i.number FROM oms.invoice i WHERE i.merchant_id = $1 AND i.invoice_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_CORRECTED] = {
		"SELECT n.number, n.voids_invoice_id IS NOT NULL FROM oms.invoice_line l "
		"JOIN oms.invoice n ON n.merchant_id = l.merchant_id AND n.invoice_id = l.invoice_id "
		"WHERE l.merchant_id = $1 AND l.credited_invoice_id = $2 ORDER BY n.invoice_id LIMIT 1",
		2, {INT4OID, INT8OID}
	},
	[ST_WRITE_INVOICE] = {
		"WITH part AS ("
		"SELECT l.*, o.currency, r.u FROM oms.order_line l JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = $2 "
		"LEFT JOIN LATERAL (SELECT range_agg(int4range(i.from_unit, i.from_unit + i.quantity)) AS units FROM oms.invoiced i "
		"WHERE i.merchant_id = $1 AND i.order_id = $2 AND i.line_no = l.line_no) t ON true "
		"LEFT JOIN oms.shipment_line x ON x.merchant_id = $1 AND x.shipment_id = $10 AND x.line_no = l.line_no "
		"CROSS JOIN LATERAL unnest(int4multirange(CASE WHEN $10 IS NULL THEN int4range(0, l.ordered - l.cancelled) "
		"ELSE int4range(x.from_unit, x.from_unit + x.quantity) END) - coalesce(t.units, '{}')) r (u) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND ($10 IS NULL OR x.quantity > 0)), "
		"line AS ("
		"SELECT line_no, NULL::int AS charge_no, lower(u) AS from_unit, upper(u) - lower(u) AS quantity, unit_price, tax_rate, "
		"oms.units_share(tax, ordered, lower(u), upper(u), currency) AS tax, oms.units_share(total, ordered, lower(u), upper(u), currency) AS total, "
		"sku, title AS description, NULL::bigint AS credited_invoice_id, NULL::int AS credited_position FROM part "
		"UNION ALL SELECT NULL, c.charge_no, NULL, NULL, NULL, c.tax_rate, c.tax, c.total, NULL, coalesce(c.description, c.kind), NULL, NULL "
		"FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $2 AND ($10 IS NULL OR EXISTS (SELECT FROM part)) "
		"AND NOT EXISTS (SELECT FROM oms.invoiced i WHERE i.merchant_id = $1 AND i.order_id = $2 AND i.charge_no = c.charge_no))"
		WRITE_DOCUMENT,
		WRITE_ARGUMENTS
	},
	/* Units as they were returned; shipping over the charges for it; what was given back before over the units; the fee. */
	[ST_WRITE_RETURN] = {
		"WITH f AS (SELECT * FROM oms.refund WHERE merchant_id = $1 AND refund_id = $11), "
		"units AS ("
		"SELECT i.*, " COMMON_FROM " AS unit, " COMMON_TO " - " COMMON_FROM " AS units, "
		"oms.units_share(l.total, l.ordered, " COMMON_FROM ", " COMMON_TO ", f.currency) AS amount, "
		"oms.units_share(l.tax, l.ordered, " COMMON_FROM ", " COMMON_TO ", f.currency) AS amount_tax, "
		"row_number() OVER (ORDER BY i.invoice_id, i.position) AS n "
		"FROM f JOIN oms.refund_line w ON w.merchant_id = $1 AND w.refund_id = $11 "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = w.line_no "
		"JOIN oms.invoiced i ON i.merchant_id = $1 AND i.order_id = $2 AND i.line_no = w.line_no AND " COMMON_FROM " < " COMMON_TO "), "
		"charge AS (SELECT i.*, row_number() OVER (ORDER BY i.invoice_id, i.position) AS n FROM oms.invoiced i "
		"JOIN oms.order_charge c ON c.merchant_id = $1 AND c.order_id = $2 AND c.charge_no = i.charge_no AND c.kind = 'shipping' "
		"WHERE i.merchant_id = $1 AND i.order_id = $2), "
		"charge_share AS (SELECT oms.prorate(f.shipping, greatest(charge.total - charge.credited, 0), f.currency ORDER BY charge.n) AS total, "
		"oms.prorate(f.shipping_tax, greatest(charge.tax - charge.credited_tax, 0), f.currency ORDER BY charge.n) AS tax "
		"FROM f, charge WHERE f.shipping > 0), "
		"cut AS (SELECT oms.prorate(f.amount - f.lines_amount - f.shipping + f.fee, units.amount, f.currency ORDER BY units.n) AS total, "
		"oms.prorate(f.tax - f.shipping_tax - v.tax, units.amount_tax, f.currency ORDER BY units.n) AS tax "
		"FROM f, units, (SELECT sum(amount_tax) AS tax FROM units) v), "
		"line AS ("
		"SELECT line_no, NULL::int AS charge_no, unit AS from_unit, units AS quantity, unit_price, tax_rate, amount_tax AS tax, amount AS total, "
		"sku, description, invoice_id AS credited_invoice_id, position AS credited_position FROM units "
		"UNION ALL SELECT NULL, c.charge_no, NULL, NULL, NULL, c.tax_rate, s.tax[c.n], s.total[c.n], NULL, c.description, c.invoice_id, c.position "
		"FROM charge c, charge_share s WHERE s.total[c.n] <> 0 OR s.tax[c.n] <> 0 "
		"UNION ALL SELECT u.line_no, NULL, NULL, NULL, NULL, u.tax_rate, s.tax[u.n], s.total[u.n], u.sku, 'Given back before', u.invoice_id, u.position "
		"FROM units u, cut s WHERE s.total[u.n] <> 0 OR s.tax[u.n] <> 0 "
		"UNION ALL SELECT u.line_no, NULL, NULL, NULL, NULL, 0, 0, -f.fee, NULL, 'Restocking fee', u.invoice_id, u.position "
		"FROM f, units u WHERE u.n = 1 AND f.fee > 0)"
		WRITE_DOCUMENT,
		WRITE_ARGUMENTS
	},
	/* An amount over everything that stands invoiced. */
	[ST_WRITE_VALUE] = {
		"WITH f AS (SELECT * FROM oms.refund WHERE merchant_id = $1 AND refund_id = $11), "
		"rest AS (SELECT i.*, row_number() OVER (ORDER BY i.invoice_id, i.position) AS n FROM oms.invoiced i "
		"WHERE i.merchant_id = $1 AND i.order_id = $2 AND i.total > i.credited), "
		"share AS (SELECT oms.prorate(f.amount, rest.total - rest.credited, f.currency ORDER BY rest.n) AS total, "
		"oms.prorate(f.tax, greatest(rest.tax - rest.credited_tax, 0), f.currency ORDER BY rest.n) AS tax FROM f, rest "
		"HAVING sum(rest.total - rest.credited) >= min(f.amount)), "
		"line AS ("
		"SELECT r.line_no, r.charge_no, NULL::int AS from_unit, NULL::int AS quantity, NULL::numeric AS unit_price, r.tax_rate, "
		"s.tax[r.n] AS tax, s.total[r.n] AS total, r.sku, r.description, r.invoice_id AS credited_invoice_id, r.position AS credited_position "
		"FROM rest r, share s WHERE s.total[r.n] <> 0 OR s.tax[r.n] <> 0)"
		WRITE_DOCUMENT,
		WRITE_ARGUMENTS
	},
	/* Units cancelled after they were invoiced, unless they are credited; charges once all is cancelled. What was given back
	 * before is not credited again. */
	[ST_WRITE_CANCELLED] = {
		"WITH part AS ("
		"SELECT i.line_no, NULL::int AS charge_no, lower(r.u) AS from_unit, upper(r.u) - lower(r.u) AS quantity, i.unit_price, i.tax_rate, "
		"oms.units_share(l.tax, l.ordered, lower(r.u), upper(r.u), o.currency) AS tax, "
		"oms.units_share(l.total, l.ordered, lower(r.u), upper(r.u), o.currency) AS total, "
		"i.sku, i.description, i.invoice_id AS credited_invoice_id, i.position AS credited_position, o.currency "
		"FROM oms.invoiced i JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = $2 "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = i.line_no "
		"CROSS JOIN LATERAL unnest(int4multirange(int4range(i.from_unit, i.from_unit + i.quantity)) "
		"* int4multirange(int4range(l.ordered - l.cancelled, l.ordered)) - i.credited_units) r (u) "
		"WHERE i.merchant_id = $1 AND i.order_id = $2 "
		"UNION ALL SELECT NULL, i.charge_no, NULL, NULL, NULL, i.tax_rate, i.tax - i.credited_tax, i.total - i.credited, NULL, i.description, "
		"i.invoice_id, i.position, o.currency "
		"FROM oms.invoiced i JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = $2 AND o.lifecycle = 'cancelled' "
		"WHERE i.merchant_id = $1 AND i.order_id = $2 AND i.charge_no IS NOT NULL AND (i.total, i.tax) <> (i.credited, i.credited_tax)), "
		"numbered AS (SELECT *, row_number() OVER (ORDER BY charge_no NULLS FIRST, line_no, from_unit, credited_invoice_id, credited_position) AS n FROM part), "
		"over AS (SELECT sum(p.total) FILTER (WHERE p.total > 0) - r.total AS total, sum(p.tax) FILTER (WHERE p.tax > 0) - r.tax AS tax FROM part p, "
		"(SELECT sum(total - credited) FILTER (WHERE total > 0) AS total, sum(tax - credited_tax) FILTER (WHERE tax > 0) AS tax "
		"FROM oms.invoiced WHERE merchant_id = $1 AND order_id = $2) r GROUP BY r.total, r.tax), "
		"cut AS (SELECT oms.prorate(-greatest(over.total, 0), greatest(p.total, 0), p.currency ORDER BY p.n) AS total, "
		"oms.prorate(-greatest(over.tax, 0), greatest(p.tax, 0), p.currency ORDER BY p.n) AS tax FROM numbered p, over "
		"HAVING max(over.total) > 0 OR max(over.tax) > 0), "
		"line AS ("
		"SELECT line_no, charge_no, from_unit, quantity, unit_price, tax_rate, tax, total, sku, description, credited_invoice_id, credited_position FROM part "
		"UNION ALL SELECT p.line_no, p.charge_no, NULL, NULL, NULL, p.tax_rate, s.tax[p.n], s.total[p.n], p.sku, 'Given back before', "
		"p.credited_invoice_id, p.credited_position FROM numbered p, cut s WHERE s.total[p.n] <> 0 OR s.tax[p.n] <> 0)"
		WRITE_DOCUMENT,
		WRITE_ARGUMENTS
	},
	[ST_WRITE_VOID] = {
		"WITH line AS ("
		"SELECT line_no, charge_no, from_unit, quantity, unit_price, tax_rate, tax, total, sku, description, "
		"invoice_id AS credited_invoice_id, position AS credited_position FROM oms.invoice_line WHERE merchant_id = $1 AND invoice_id = $12)"
		WRITE_DOCUMENT,
		WRITE_ARGUMENTS
	},
};

/* A document about to be issued. */
typedef struct Document
{
	const OmsOrderHead *head;
	const OmsCall *call;
	const char *kind;
	int64		shipment_id;	/* these three: 0: none */
	int64		refund_id;
	int64		voids;
} Document;

static void
write_event(const Document *document, int64 invoice_id, const char *number, int64 total, int64 tax)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_text(&json, "number", number);
	oms_json_add_scaled(&json, "total", total, document->head->exponent);
	oms_json_add_scaled(&json, "tax", tax, document->head->exponent);
	oms_json_add_text(&json, "currency", document->head->currency);
	if (document->shipment_id != 0)
		oms_json_add_int(&json, "shipment", document->shipment_id);
	if (document->refund_id != 0)
		oms_json_add_int(&json, "refund", document->refund_id);
	if (document->voids != 0)
		oms_json_add_int(&json, "voids", document->voids);
	event.merchant = document->head->merchant;
	event.subject_type = document->kind;
	event.subject_id = invoice_id;
	event.order_id = document->head->order_id;
	event.type = strcmp(document->kind, "invoice") == 0 ? "invoice.issued" : "credit_note.issued";
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

/*
 * Issues the document whose lines the statement selects; 0 when there are
 * none: the caller refuses, which gives the number back.  The order is locked;
 * locks the series.  Raises OM015, OM016.
 */
static int64
issue(const Document *document, OmsStatement *lines)
{
	const OmsOrderHead *head = document->head;
	const char *code = oms_setting(head->merchant, head->channel, "legal_entity");
	Datum		values[14] = {Int32GetDatum(head->merchant)};
	char		nulls[15] = "              ";
	Datum		series[5];
	char	   *prefix;
	char	   *number;
	int			digits;
	bool		isnull;
	int64		invoice_id;

	values[1] = document->voids != 0 ? Int64GetDatum(document->voids) : CStringGetTextDatum(code);
	values[2] = TimestampTzGetDatum(oms_now());
	values[3] = CStringGetTextDatum(document->kind);
	if (oms_run(&statements[document->voids != 0 ? ST_ENTITY_OF : ST_ENTITY], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("merchant %d has no legal entity \"%s\"", head->merchant, code),
				 errdetail("The setting legal_entity of channel %d names it.", head->channel),
				 errhint("Add it to oms.legal_entity, or change the setting.")));
	series[0] = values[0];
	series[1] = Int32GetDatum(oms_get_int32(0, 1));
	series[2] = values[3];
	series[3] = Int32GetDatum(oms_get_int32(0, 2));
	series[4] = oms_get(0, 3, &isnull);
	prefix = oms_get_text(0, 4);
	digits = oms_get_int32(0, 5);
	oms_run_guarded(&statements[ST_DRAW], series, NULL);

	number = psprintf("%s%d-%0*lld", prefix, DatumGetInt32(series[3]), digits, (long long) oms_get_int64(0, 1));
	values[1] = Int64GetDatum(head->order_id);
	values[2] = series[1];
	values[4] = series[3];
	values[5] = Int64GetDatum(oms_get_int64(0, 1));
	values[6] = CStringGetTextDatum(number);
	values[7] = TimestampTzGetDatum(oms_now());
	values[8] = oms_get(0, 2, &isnull);
	values[9] = Int64GetDatum(document->shipment_id);
	nulls[9] = document->shipment_id == 0 ? 'n' : ' ';
	values[10] = Int64GetDatum(document->refund_id);
	nulls[10] = document->refund_id == 0 ? 'n' : ' ';
	values[11] = Int64GetDatum(document->voids);
	nulls[11] = document->voids == 0 ? 'n' : ' ';
	values[12] = CStringGetTextDatum(document->call->actor);
	if (document->call->reason != NULL)
		values[13] = CStringGetTextDatum(document->call->reason);
	else
		nulls[13] = 'n';
	if (oms_run_guarded(lines, values, nulls) == 0)
		return 0;
	invoice_id = oms_get_int64(0, 1);
	write_event(document, invoice_id, number, oms_get_money(0, 2, head->exponent), oms_get_money(0, 3, head->exponent));
	return invoice_id;
}

/* SQL: issue_invoice(merchant, order_id, shipment_id, request_key, actor, reason) */
Datum
oms_issue_invoice(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	Document	document = {&head, &call, "invoice"};
	int64		result;

	if (oms_call_repeated(fcinfo, "issue_invoice", 3, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_id, &head);
	oms_order_require_live(&head, "Invoicing");
	if (!PG_ARGISNULL(2))
	{
		Datum		values[3] = {Int32GetDatum(call.merchant), Int64GetDatum(order_id), PG_GETARG_DATUM(2)};

		document.shipment_id = PG_GETARG_INT64(2);
		if (oms_run(&statements[ST_SHIPMENT], values, NULL) == 0)
			oms_error_unknown("shipment of the order", call.merchant, document.shipment_id);
	}
	result = issue(&document, &statements[ST_WRITE_INVOICE]);
	if (result == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 document.shipment_id != 0 ?
				 errmsg("shipment " INT64_FORMAT " of order " INT64_FORMAT " has nothing left to invoice", document.shipment_id, order_id) :
				 errmsg("order " INT64_FORMAT " has nothing left to invoice", order_id),
				 errdetail("All of it stands on invoices."),
				 errhint("See views oms.invoices and oms.to_invoice.")));
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}

/* Refuses a refund that gets no credit note of its own; returns the statement for one that does. */
static OmsStatement *
refund_statement(const Document *document)
{
	Datum		values[3] = {Int32GetDatum(document->head->merchant), Int64GetDatum(document->head->order_id), Int64GetDatum(document->refund_id)};
	char	   *cause;

	if (oms_run(&statements[ST_REFUND], values, NULL) == 0)
		oms_error_unknown("refund of the order", document->head->merchant, document->refund_id);
	cause = oms_get_text(0, 1);
	if (!oms_is_null(0, 3))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("refund " INT64_FORMAT " has a credit note already", document->refund_id),
				 errdetail("It is %s.", oms_get_text(0, 3))));
	if (strcmp(cause, "cancel") == 0 || strcmp(oms_get_text(0, 2), "failed") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("refund " INT64_FORMAT " gets no credit note", document->refund_id),
				 strcmp(cause, "cancel") == 0 ? errdetail("It pays back cancelled units.") : errdetail("It failed."),
				 strcmp(cause, "cancel") == 0 ? errhint("Units cancelled after they were invoiced are credited without a refund.") :
				 errhint("Ask again with request_refund() first.")));
	return &statements[strcmp(cause, "return") == 0 ? ST_WRITE_RETURN : ST_WRITE_VALUE];
}

/* SQL: issue_credit_note(merchant, order_id, refund_id, request_key, actor, reason) */
Datum
oms_issue_credit_note(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	Document	document = {&head, &call, "credit_note"};
	bool		whole;
	int64		result;

	if (oms_call_repeated(fcinfo, "issue_credit_note", 3, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_id, &head);
	if (PG_ARGISNULL(2))
	{
		result = issue(&document, &statements[ST_WRITE_CANCELLED]);
		if (result == 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("order " INT64_FORMAT " has nothing to credit", order_id),
					 errdetail("No unit on its invoices is cancelled and not credited."),
					 errhint("Returned units are credited by their refund: give its id.")));
	}
	else
	{
		document.refund_id = PG_GETARG_INT64(2);
		result = issue(&document, refund_statement(&document));
		whole = result != 0;
		if (whole)
		{
			Datum		values[2] = {Int32GetDatum(call.merchant), Int64GetDatum(document.refund_id)};

			oms_run(&statements[ST_REFUND_LIVE], values, NULL);
			whole = oms_get_bool(0, 1);
		}
		if (!whole)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("refund " INT64_FORMAT " is for more than stands on invoices of order " INT64_FORMAT, document.refund_id, order_id),
					 errhint("Issue the invoices first: see view oms.to_invoice.")));
	}
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}

/* Answers the invoice's order; refuses a document that cannot be voided. */
static int64
order_of(int32 merchant, int64 invoice_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(invoice_id)};

	if (oms_run(&statements[ST_INVOICE], values, NULL) == 0)
		oms_error_unknown("invoice", merchant, invoice_id);
	if (strcmp(oms_get_text(0, 2), "invoice") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("document %s is a credit note", oms_get_text(0, 3)),
				 errhint("Issue an invoice for what it took back.")));
	return oms_get_int64(0, 1);
}

/* SQL: void_invoice(merchant, invoice_id, request_key, actor, reason) */
Datum
oms_void_invoice(PG_FUNCTION_ARGS)
{
	int64		invoice_id = oms_arg_int64(fcinfo, 1, "invoice_id");
	OmsCall		call;
	OmsOrderHead head;
	Document	document = {&head, &call, "credit_note"};
	Datum		values[2];
	int64		result;

	if (oms_call_repeated(fcinfo, "void_invoice", 2, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_of(call.merchant, invoice_id), &head);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(invoice_id);
	if (oms_run(&statements[ST_CORRECTED], values, NULL) > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 oms_get_bool(0, 2) ? errmsg("invoice " INT64_FORMAT " is void already", invoice_id) :
				 errmsg("invoice " INT64_FORMAT " is corrected by credit notes", invoice_id),
				 errdetail("See credit note %s.", oms_get_text(0, 1)),
				 errhint("What is left of it is credited by refunds and cancellations.")));
	document.voids = invoice_id;
	result = issue(&document, &statements[ST_WRITE_VOID]);
	oms_call_done(&call, result);
	PG_RETURN_INT64(result);
}
