/*-------------------------------------------------------------------------
 * import.c
 *	  import_order(): an order of another system becomes an order here, with
 *	  what happened to it there.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "order/import_draft.h"
#include "order/order.h"
#include "order/place.h"
#include "payment/refund.h"

PG_FUNCTION_INFO_V1(oms_import_document);
PG_FUNCTION_INFO_V1(oms_import_order);

enum
{
	ST_FIGURES,
	ST_CANCEL,
	ST_SHIPPABLE,
	ST_SHIP,
	ST_KNOWN_FACT,
	ST_FACT,
	ST_REFUNDABLE,
	ST_TASKS_DONE
};

static OmsStatement statements[] = {
	[ST_FIGURES] = {
		"SELECT subtotal, discount, shipping, tax, total FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CANCEL] = {"SELECT oms.cancel_order($1, $2, NULL, $3, $4)", 4, {INT4OID, INT8OID, TEXTOID, TEXTOID}},
	[ST_SHIPPABLE] = {
		"SELECT bool_and(item_id IS NOT NULL AND allocated = ordered), oms.awaits_payment($1, $2, 'ship') "
		"FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_SHIP] = {"SELECT oms.ship_order($1, $2, actor => $3)", 3, {INT4OID, INT8OID, TEXTOID}},
	[ST_KNOWN_FACT] = {
		"SELECT 1 FROM oms.payment p JOIN oms.payment_event e ON e.merchant_id = p.merchant_id AND e.payment_id = p.payment_id "
		"WHERE p.merchant_id = $1 AND p.order_id = $2 AND e.kind = $3 AND e.event_reference = $4 LIMIT 1",
		4, {INT4OID, INT8OID, TEXTOID, TEXTOID}
	},
	[ST_FACT] = {
		"SELECT oms.record_payment_event($1, NULL, $3, $4, $5, $6::timestamptz, NULL, $7, $8, $2, NULL, NULL, NULL, NULL, $9)",
		9, {INT4OID, INT8OID, TEXTOID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	},
	[ST_REFUNDABLE] = {
		"SELECT coalesce(captured - charged_back - refunded - refund_pending, 0) FROM oms.payment_balance "
		"WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_TASKS_DONE] = {
		"UPDATE oms.task SET state = 'done', done_at = $4, leased_until = NULL, leased_by = NULL "
		"WHERE merchant_id = $1 AND order_id = $2 AND kind = 'refund' AND state = 'ready' AND payload ->> 'refund' = $3::text",
		4, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID}
	},
};

/* An order in the hands of its import. */
typedef struct Order
{
	OmsImport  *import;
	int32		merchant;
	int64		order_id;
	OmsOrderHead head;
	const char *source;
	const char *actor;
} Order;

/* Remembers where a figure of the order is not what the payload states. */
static void
compare(Order *order, const char *name, int column)
{
	int			exponent = order->import->channel->exponent;
	int64		stated;
	int64		here = oms_get_money(0, column, exponent);

	if (oms_import_amount(order->import, order->import->root, psprintf("stated.%s", name), &stated) && stated != here)
		oms_import_remark(order->import, "%s is stated as %s, its parts make %s", name,
						  oms_money_text(stated, exponent), oms_money_text(here, exponent));
}

static void
compare_figures(Order *order)
{
	Datum		values[2] = {Int32GetDatum(order->merchant), Int64GetDatum(order->order_id)};

	oms_run(&statements[ST_FIGURES], values, NULL);
	compare(order, "subtotal", 1);
	compare(order, "discount", 2);
	compare(order, "shipping", 3);
	compare(order, "tax", 4);
	compare(order, "total", 5);
}

/* Records a fact of payment, unless the order has it. */
static void
record(Order *order, const char *kind, int64 amount, const char *reference, const char *at)
{
	char	   *gateway = oms_import_text(order->import->map, order->import->root, "payment.gateway");
	Datum		values[9];
	char		nulls[10] = "         ";

	values[0] = Int32GetDatum(order->merchant);
	values[1] = Int64GetDatum(order->order_id);
	values[2] = CStringGetTextDatum(kind);
	values[3] = CStringGetTextDatum(reference);
	if (amount <= 0 || oms_run(&statements[ST_KNOWN_FACT], values, NULL) > 0)
		return;
	values[3] = oms_scaled_to_numeric(amount, order->head.exponent);
	values[4] = CStringGetTextDatum(reference);
	values[5] = at == NULL ? (Datum) 0 : CStringGetTextDatum(at);
	nulls[5] = at == NULL ? 'n' : ' ';
	values[6] = CStringGetTextDatum(gateway == NULL ? order->source : gateway);
	values[7] = CStringGetTextDatum(psprintf("%d/%s", order->head.channel, order->import->channel->external_ref));
	values[8] = CStringGetTextDatum(order->actor);
	oms_run(&statements[ST_FACT], values, nulls);
}

/* An instant of the payload, in UTC where it names no offset; null when it is none. */
static char *
instant(Order *order, Datum target, const char *field)
{
	char	   *text = oms_import_text(order->import->map, target, field);
	OmsJson		json;
	TimestampTz at;

	if (text == NULL)
		return NULL;
	oms_json_begin(&json);
	oms_json_add_text(&json, field, text);
	(void) oms_json_timestamp(&DatumGetJsonbP(oms_json_end(&json))->root, NULL, field, &at);
	return pstrdup(timestamptz_to_str(at));
}

/* What was paid: fact by fact where the payload has them, else what its state of payment says. */
static void
record_payments(Order *order)
{
	const OmsImportMap *map = order->import->map;
	Datum		root = order->import->root;
	int			n;
	Datum	   *facts = oms_import_elements(map, root, "payments", &n);
	const char *kind;
	char	   *reference;
	char	   *at;
	int64		amount;
	int			i;

	for (i = 0; i < n; i++)
	{
		kind = oms_import_meaning(map, facts[i], "payment.kind");
		reference = oms_import_text(map, facts[i], "payment.reference");
		if (kind != NULL && reference != NULL && oms_import_amount(order->import, facts[i], "payment.amount", &amount))
			record(order, kind, amount, reference, instant(order, facts[i], "payment.at"));
	}
	kind = oms_import_meaning(map, root, "payment.state");
	if (n > 0 || kind == NULL)
		return;
	reference = oms_import_text(map, root, "payment.reference");
	if (reference == NULL)
		reference = psprintf("%s %s", order->source, order->import->channel->external_ref);
	at = instant(order, root, "payment.at");
	if (!oms_import_amount(order->import, root, "stated.total", &amount))
		amount = order->head.total;
	if (strcmp(kind, "captured") != 0)
		record(order, "authorized", amount, reference, at);
	if (strcmp(kind, "authorized") != 0)
		record(order, kind, amount, reference, at);
}

/* A refund that was paid there: granted and moved here, and nothing left to do for a gateway. */
static void
refund(Order *order, Datum element, int64 amount, const char *reference)
{
	OmsRefund	grant = {0};
	Datum		values[4];
	int64		refund_id;

	values[0] = Int32GetDatum(order->merchant);
	values[1] = Int64GetDatum(order->order_id);
	values[2] = CStringGetTextDatum("refunded");
	values[3] = CStringGetTextDatum(reference);
	if (oms_run(&statements[ST_KNOWN_FACT], values, NULL) > 0)
		return;
	if (oms_run(&statements[ST_REFUNDABLE], values, NULL) == 0 || oms_get_money(0, 1, order->head.exponent) < amount)
	{
		oms_import_remark(order->import, "refund %.60s of %s is more than what is known to be captured", reference,
						  oms_money_text(amount, order->head.exponent));
		return;
	}
	grant.cause = "manual";
	grant.amount = amount;
	grant.actor = order->actor;
	grant.reason = oms_import_text(order->import->map, element, "refund.reason");
	refund_id = oms_refund_grant(&order->head, &grant);
	(void) oms_refund_move(&order->head, refund_id, amount, order->actor);
	record(order, "refunded", amount, reference, instant(order, element, "refund.at"));
	values[2] = Int64GetDatum(refund_id);
	values[3] = TimestampTzGetDatum(oms_now());
	oms_run_guarded(&statements[ST_TASKS_DONE], values, NULL);
}

static void
record_refunds(Order *order)
{
	int			n;
	Datum	   *elements = oms_import_elements(order->import->map, order->import->root, "refunds", &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		char	   *reference = oms_import_text(order->import->map, elements[i], "refund.reference");
		int64		amount;

		if (reference != NULL && oms_import_amount(order->import, elements[i], "refund.amount", &amount) && amount > 0)
			refund(order, elements[i], amount, reference);
	}
}

static void
cancel(Order *order)
{
	char	   *reason = oms_import_text(order->import->map, order->import->root, "reason");
	Datum		values[4];

	values[0] = Int32GetDatum(order->merchant);
	values[1] = Int64GetDatum(order->order_id);
	values[2] = CStringGetTextDatum(order->actor);
	values[3] = CStringGetTextDatum(reason == NULL ? "cancelled by the channel" : reason);
	oms_run(&statements[ST_CANCEL], values, NULL);
}

/* What was shipped there: shipped here where all its units are, else it is said. */
static void
ship(Order *order)
{
	Datum		values[3];

	values[0] = Int32GetDatum(order->merchant);
	values[1] = Int64GetDatum(order->order_id);
	values[2] = CStringGetTextDatum(order->actor);
	oms_run(&statements[ST_SHIPPABLE], values, NULL);
	if (oms_get_bool(0, 2))
		oms_import_remark(order->import, "it was shipped by the channel, and waits for payment here");
	else if (oms_get_bool(0, 1) && !order->head.on_hold && strcmp(order->head.lifecycle, "confirmed") == 0)
		oms_run(&statements[ST_SHIP], values, NULL);
	else
		oms_import_remark(order->import, "it was shipped by the channel, and its units were not promised here");
}

/* SQL: import_document(merchant, source, payload, channel) */
Datum
oms_import_document(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *source = oms_arg_text(fcinfo, 1, "source", OMS_KEY_LENGTH);
	char	   *channel = oms_arg_text_or_null(fcinfo, 3, "channel", OMS_KEY_LENGTH);
	Datum		document;

	oms_arg_require(fcinfo, 2, "payload");
	oms_begin();
	document = oms_import_read(merchant, source, PG_GETARG_DATUM(2), channel, NULL, oms_calling_role())->document;
	document = oms_copy_out(document, false, -1);
	oms_end();
	return document;
}

/*
 * SQL: import_order(merchant, source, payload, channel, allocation, actor).
 * An order that came before keeps its lines; facts that are new are added.
 */
Datum
oms_import_order(PG_FUNCTION_ARGS)
{
	Order		order = {0};
	char	   *channel = oms_arg_text_or_null(fcinfo, 3, "channel", OMS_KEY_LENGTH);
	char	   *allocation = oms_arg_text_or_null(fcinfo, 4, "allocation", 20);
	const char *state;
	OmsDraft   *draft;
	bool		is_new;

	order.merchant = oms_arg_merchant(fcinfo);
	order.source = oms_arg_text(fcinfo, 1, "source", OMS_KEY_LENGTH);
	order.actor = oms_actor(fcinfo, 5);
	oms_arg_require(fcinfo, 2, "payload");
	oms_begin();
	oms_command(order.actor, NULL, NULL);
	order.import = oms_import_read(order.merchant, order.source, PG_GETARG_DATUM(2), channel, allocation, order.actor);
	state = oms_import_meaning(order.import->map, order.import->root, "state");
	is_new = oms_draft_existing(order.import->channel) == 0;

	draft = oms_draft_from_document(order.merchant, order.import->document, order.actor);
	draft->price_agreed = true;
	draft->price_cause = psprintf("import %s", order.source);
	order.order_id = oms_draft_place(draft, NULL, 0);
	oms_order_lock(order.merchant, order.order_id, &order.head);
	/* A new order that is cancelled has nothing paid here that would have to go back. */
	if (is_new && state != NULL && strcmp(state, "cancelled") == 0)
		cancel(&order);
	record_payments(&order);
	record_refunds(&order);
	if (!is_new && state != NULL && strcmp(state, "cancelled") == 0)
		cancel(&order);
	if (is_new)
	{
		if (state != NULL && strcmp(state, "shipped") == 0)
			ship(&order);
		compare_figures(&order);
		if (order.import->remarks.len > 0)
			(void) oms_order_hold(&order.head, "import", order.import->remarks.data, order.actor);
	}
	oms_end();
	PG_RETURN_INT64(order.order_id);
}
