/*-------------------------------------------------------------------------
 * message.c
 *	  Messages to customers: one per order, kind and fact, in the text of the
 *	  moment; and the inbox of what others send us.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/jsonb.h"

#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"
#include "event/lookup.h"
#include "event/template.h"

PG_FUNCTION_INFO_V1(oms_send_message);
PG_FUNCTION_INFO_V1(oms_render_message);
PG_FUNCTION_INFO_V1(oms_receive_message);

enum
{
	ST_ORDER,
	ST_TOKEN,
	ST_KIND,
	ST_ADD,
	ST_FIND,
	ST_INBOX_ADD,
	ST_INBOX_LOCK,
	ST_INBOX_REPEATED,
	ST_INBOX_CONFLICT
};

static OmsStatement statements[] = {
	/* Fields of the fact win over the order's, but for lines that are no text. */
	[ST_ORDER] = {"SELECT o.channel_id, coalesce(o.language, u.language, c.language), coalesce(o.email, u.email), "
		"jsonb_build_object("
		" 'number', coalesce(o.number, c.number_prefix || o.order_id), "
		" 'name', coalesce(o.ship_to ->> 'name', u.name, ''), 'email', coalesce(o.email, u.email), 'currency', o.currency, "
		" 'total', o.total::text, 'subtotal', o.subtotal::text, 'discount', o.discount::text, "
		" 'shipping', o.shipping::text, 'tax', o.tax::text, "
		" 'placed_at', to_char(o.placed_at AT TIME ZONE c.time_zone, 'YYYY-MM-DD HH24:MI'), "
		" 'ship_to', concat_ws(E'\\n', o.ship_to ->> 'name', o.ship_to ->> 'company', o.ship_to ->> 'street', o.ship_to ->> 'street2', "
		"  nullif(concat_ws(' ', o.ship_to ->> 'postcode', o.ship_to ->> 'city'), ''), o.ship_to ->> 'region', o.ship_to ->> 'country'), "
		" 'lines', (SELECT string_agg(l.ordered || ' x ' || l.sku || ' ' || l.title || '  ' || l.total, E'\\n' ORDER BY l.line_no) "
		"  FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id)) "
		"|| coalesce(CASE WHEN jsonb_typeof($3 -> 'lines') <> 'string' THEN $3 - 'lines' ELSE $3 END, '{}') "
		"FROM oms.sales_order o "
		"JOIN oms.channel c ON c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id "
		"LEFT JOIN oms.customer u ON u.merchant_id = o.merchant_id AND u.customer_id = o.customer_id "
	"WHERE o.merchant_id = $1 AND o.order_id = $2", 3, {INT4OID, INT8OID, JSONBOID}},
	/* The link's token goes into the text alone, not into what is kept beside it. */
	[ST_TOKEN] = {"SELECT $3 || jsonb_build_object('track_token', oms.track_token($1, $2))", 3, {INT4OID, INT8OID, JSONBOID}},
	[ST_KIND] = {"SELECT 1 FROM oms.message_kind WHERE kind = $1", 1, {TEXTOID}},
	[ST_ADD] = {"INSERT INTO oms.message (merchant_id, order_id, kind, fact, template_channel_id, template_version, "
		"recipient, language, subject, body, data, created_at) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
		"ON CONFLICT (merchant_id, order_id, kind, fact) DO NOTHING RETURNING message_id",
		12, {INT4OID, INT8OID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID,
	TIMESTAMPTZOID}},
	[ST_FIND] = {"SELECT message_id FROM oms.message WHERE merchant_id = $1 AND order_id = $2 AND kind = $3 AND fact = $4",
	4, {INT4OID, INT8OID, TEXTOID, TEXTOID}},
	[ST_INBOX_ADD] = {"INSERT INTO oms.inbound_message (merchant_id, source, id, payload, received_at, last_at) "
		"VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (merchant_id, source, id) DO NOTHING RETURNING 1",
	5, {INT4OID, TEXTOID, TEXTOID, JSONBOID, TIMESTAMPTZOID}},
	[ST_INBOX_LOCK] = {"SELECT payload = $4 FROM oms.inbound_message "
		"WHERE merchant_id = $1 AND source = $2 AND id = $3 FOR NO KEY UPDATE",
	4, {INT4OID, TEXTOID, TEXTOID, JSONBOID}},
	[ST_INBOX_REPEATED] = {"UPDATE oms.inbound_message SET repeated = repeated + 1, last_at = $4 "
		"WHERE merchant_id = $1 AND source = $2 AND id = $3", 4, {INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID}},
	[ST_INBOX_CONFLICT] = {"UPDATE oms.inbound_message SET conflicts = conflicts + 1, last_at = $4, conflict_payload = $5 "
		"WHERE merchant_id = $1 AND source = $2 AND id = $3", 5, {INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, JSONBOID}},
};

/* What a message is made of; valid until oms_end(). */
typedef struct Rendered
{
	char	   *recipient;
	char	   *language;
	int32		template_channel;
	int32		template_version;
	char	   *subject;
	char	   *body;
	Datum		data;
} Rendered;

/*
 * Renders a message of the order with the template for its channel and
 * language; false when there is no template.  OM002 when there is no order.
 */
static bool
render(int32 merchant, int64 order_id, const char *kind, const char *language, Datum data, Rendered *out)
{
	const OmsTemplate *template;
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(order_id), data};
	char		nulls[4] = "   ";
	int32		channel;
	bool		isnull;
	Jsonb	   *fields;

	if (data == (Datum) 0)
		nulls[2] = 'n';
	if (oms_run(&statements[ST_ORDER], values, nulls) == 0)
		oms_error_unknown("order", merchant, order_id);
	channel = oms_get_int32(0, 1);
	out->language = language != NULL ? pstrdup(language) : oms_get_text(0, 2);
	out->recipient = oms_get_text(0, 3);
	fields = DatumGetJsonbPCopy(oms_get(0, 4, &isnull));
	template = oms_template_find(merchant, channel, out->language, kind);
	if (template == NULL)
		return false;
	out->language = pstrdup(template->language);
	out->template_channel = template->channel;
	out->template_version = template->version;
	out->data = JsonbPGetDatum(fields);
	if (oms_template_names(template, "track_token"))
	{
		values[2] = out->data;
		(void) oms_run(&statements[ST_TOKEN], values, NULL);
		fields = DatumGetJsonbPCopy(oms_get(0, 1, &isnull));
		/* The query may have let the cache be read anew. */
		template = oms_template_find(merchant, channel, out->language, kind);
		if (template == NULL)
			return false;
	}
	out->subject = oms_template_render(template->subject, fields);
	out->body = oms_template_render(template->body, fields);
	return true;
}

/*
 * Writes the message and its send_message task; returns its id, the one of the
 * message that told the fact before, or 0 when there is no template.
 */
static int64
add_message(int32 merchant, int64 order_id, const char *kind, const char *fact, Datum data)
{
	Rendered	rendered;
	Datum		values[12];
	char		nulls[13] = "            ";
	OmsJson		json;
	int64		message_id;

	if (!oms_template_exists(merchant, kind) ||
		!render(merchant, order_id, kind, NULL, data, &rendered))
		return 0;
	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(order_id);
	values[2] = CStringGetTextDatum(kind);
	values[3] = CStringGetTextDatum(fact);
	values[4] = Int32GetDatum(rendered.template_channel);
	values[5] = Int32GetDatum(rendered.template_version);
	values[6] = rendered.recipient != NULL ? CStringGetTextDatum(rendered.recipient) : (Datum) 0;
	values[7] = CStringGetTextDatum(rendered.language);
	values[8] = CStringGetTextDatum(rendered.subject);
	values[9] = CStringGetTextDatum(rendered.body);
	values[10] = rendered.data;
	values[11] = TimestampTzGetDatum(oms_now());
	if (rendered.recipient == NULL)
		nulls[6] = 'n';
	if (oms_run_guarded(&statements[ST_ADD], values, nulls) == 0)
		return oms_run(&statements[ST_FIND], values, NULL) > 0 ? oms_get_int64(0, 1) : 0;
	message_id = oms_get_int64(0, 1);

	oms_json_begin(&json);
	oms_json_add_int(&json, "message_id", message_id);
	oms_json_add_text(&json, "kind", kind);
	oms_json_add_text(&json, "recipient", rendered.recipient);
	oms_json_add_text(&json, "subject", rendered.subject);
	oms_json_add_text(&json, "body", rendered.body);
	(void) oms_task_add(merchant, "send_message", order_id, "message", message_id, NULL, oms_json_end(&json));
	return message_id;
}

/*
 * Inside oms_begin().  Without a template for the kind it runs no query, so
 * commands call it always.
 */
void
oms_message_add(int32 merchant, int64 order_id, const char *kind, const char *fact, Datum data)
{
	const OmsCommand *command = oms_current_command();

	if (command == NULL || !command->quiet)
		(void) add_message(merchant, order_id, kind, fact, data);
}

/* A jsonb argument that must be an object; null: 0. */
static Datum
arg_object(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		return (Datum) 0;
	if (!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(n)))
		ereport(ERROR,
				(errcode(OMS_MALFORMED),
				 errmsg("argument \"%s\" is not an object", name),
				 errdetail("At $: an object was expected."),
				 errhint("Give fields by name, as {\"reason\": \"...\"}.")));
	return PG_GETARG_DATUM(n);
}

static void
require_kind(const char *kind)
{
	Datum		values[1] = {CStringGetTextDatum(kind)};

	if (oms_run(&statements[ST_KIND], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("message kind \"%s\" does not exist", kind),
				 errhint("See table oms.message_kind.")));
}

/* SQL: send_message(merchant, order_id, kind, fact, data) -> message id, null without a template. */
Datum
oms_send_message(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *kind = oms_arg_text(fcinfo, 2, "kind", OMS_KEY_LENGTH);
	char	   *fact = oms_arg_text(fcinfo, 3, "fact", OMS_KEY_LENGTH);
	Datum		data = arg_object(fcinfo, 4, "data");
	int64		message_id;

	oms_begin();
	require_kind(kind);
	oms_event_require_order(merchant, order_id);
	message_id = add_message(merchant, order_id, kind, fact, data);
	oms_end();
	if (message_id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(message_id);
}

/*
 * SQL: render_message(merchant, order_id, kind, data, language) -> recipient,
 * language, subject, body: what a message would say now; writes nothing.
 * No row without a template.
 */
Datum
oms_render_message(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *kind = oms_arg_text(fcinfo, 2, "kind", OMS_KEY_LENGTH);
	Datum		data = arg_object(fcinfo, 3, "data");
	char	   *language = oms_arg_text_or_null(fcinfo, 4, "language", OMS_KEY_LENGTH);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Rendered	rendered;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	require_kind(kind);
	if (render(merchant, order_id, kind, language, data, &rendered))
	{
		Datum		values[4];
		bool		nulls[4] = {rendered.recipient == NULL, false, false, false};

		values[0] = rendered.recipient != NULL ? CStringGetTextDatum(rendered.recipient) : (Datum) 0;
		values[1] = CStringGetTextDatum(rendered.language);
		values[2] = CStringGetTextDatum(rendered.subject);
		values[3] = CStringGetTextDatum(rendered.body);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	oms_end();
	return (Datum) 0;
}

/*
 * SQL: receive_message(merchant, source, id, payload) -> new, repeated or conflict.
 * Takes the row lock of (source, id): of two at once the second waits and is
 * told what the first one was.
 */
Datum
oms_receive_message(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	Datum		values[5];
	const char *answer = "new";

	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(oms_arg_text(fcinfo, 1, "source", OMS_KEY_LENGTH));
	values[2] = CStringGetTextDatum(oms_arg_text(fcinfo, 2, "id", OMS_KEY_LENGTH));
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is missing", "payload"),
				 errdetail("It may not be null.")));
	values[3] = PG_GETARG_DATUM(3);
	values[4] = TimestampTzGetDatum(oms_now());
	oms_begin();
	oms_event_require_merchant(merchant);
	if (oms_run_guarded(&statements[ST_INBOX_ADD], values, NULL) == 0)
	{
		bool		same;

		if (oms_run(&statements[ST_INBOX_LOCK], values, NULL) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("the message was received by a transaction this one cannot see"),
					 errhint("Run the transaction again.")));
		same = oms_get_bool(0, 1);
		answer = same ? "repeated" : "conflict";
		values[4] = values[3];
		values[3] = TimestampTzGetDatum(oms_now());
		(void) oms_run_guarded(&statements[same ? ST_INBOX_REPEATED : ST_INBOX_CONFLICT], values, NULL);
	}
	oms_end();
	PG_RETURN_TEXT_P(cstring_to_text(answer));
}
