/*-------------------------------------------------------------------------
 * quote.c
 *	  Quotes: an order computed, kept in revisions, and placed once.
 *
 *	  A revision keeps two documents: what was asked, and the same with all
 *	  amounts filled in.  The second one is what is placed.
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "event/event.h"
#include "order/draft.h"
#include "order/place.h"

PG_FUNCTION_INFO_V1(oms_quote_order);
PG_FUNCTION_INFO_V1(oms_revise_quote);
PG_FUNCTION_INFO_V1(oms_accept_quote);

enum
{
	ST_ADD,
	ST_ADD_REVISION,
	ST_LOCK,
	ST_REVISE,
	ST_DOCUMENT,
	ST_ACCEPT
};

static OmsStatement statements[] = {
	[ST_ADD] = {
		"INSERT INTO oms.quote (merchant_id, channel_id, customer_id, quoted_at, expires_at) VALUES ($1, $2, nullif($3, 0), $4, $5) "
		"RETURNING quote_id",
		5, {INT4OID, INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[ST_ADD_REVISION] = {
		"INSERT INTO oms.quote_revision (merchant_id, quote_id, revision, made_at, expires_at, subtotal, discount, tax, total, currency, "
		"asked, document, actor, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
		"$11 - '{channel,lines,charges,discount,shipping,shipping_tax_rate,coupons,placed_at}'::text[] || $12, $13, $14)",
		14, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, TEXTOID,
		JSONBOID, JSONBOID, TEXTOID, TEXTOID}
	},
	[ST_LOCK] = {
		"SELECT revision, expires_at, order_id FROM oms.quote WHERE merchant_id = $1 AND quote_id = $2 FOR NO KEY UPDATE",
		2, {INT4OID, INT8OID}
	},
	[ST_REVISE] = {
		"UPDATE oms.quote SET revision = revision + 1, expires_at = $3, channel_id = $4, customer_id = nullif($5, 0) "
		"WHERE merchant_id = $1 AND quote_id = $2",
		5, {INT4OID, INT8OID, TIMESTAMPTZOID, INT4OID, INT8OID}
	},
	[ST_DOCUMENT] = {
		"SELECT document FROM oms.quote_revision WHERE merchant_id = $1 AND quote_id = $2 AND revision = $3",
		3, {INT4OID, INT8OID, INT4OID}
	},
	[ST_ACCEPT] = {
		"UPDATE oms.quote SET order_id = $3, accepted_at = $4 WHERE merchant_id = $1 AND quote_id = $2",
		4, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID}
	},
};

/* A line with all that was looked up and computed, as a document has it. */
static Datum
frozen_line(const OmsDraft *draft, const OmsDraftLine *line)
{
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "item", line->item);
	oms_json_add_text(&json, "sku", line->sku);
	oms_json_add_int(&json, "quantity", line->quantity);
	oms_json_add_scaled(&json, "unit_price", line->unit_price, OMS_PRICE_SCALE);
	oms_json_add_scaled(&json, "discount", line->discount, draft->exponent);
	oms_json_add_scaled(&json, "tax_rate", line->tax_rate, OMS_PRICE_SCALE);
	oms_json_add_scaled(&json, "tax", line->tax, draft->exponent);
	oms_json_add_text(&json, "title", line->title);
	oms_json_add_text(&json, "instructions", line->instructions);
	return oms_json_end(&json);
}

static Datum
frozen_charge(const OmsDraft *draft, const OmsDraftCharge *charge)
{
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_text(&json, "kind", charge->kind);
	oms_json_add_text(&json, "description", charge->description);
	oms_json_add_scaled(&json, "amount", charge->amount, draft->exponent);
	oms_json_add_scaled(&json, "tax_rate", charge->tax_rate, OMS_PRICE_SCALE);
	oms_json_add_scaled(&json, "tax", charge->tax, draft->exponent);
	return oms_json_end(&json);
}

/* What of a document a resolved draft makes definite. */
static Datum
frozen(const OmsDraft *draft)
{
	Datum	   *lines = palloc((draft->nlines + 1) * sizeof(Datum));
	Datum	   *charges = palloc((draft->ncharges + 1) * sizeof(Datum));
	OmsJson		json;
	int			i;

	for (i = 0; i < draft->nlines; i++)
		lines[i] = frozen_line(draft, &draft->lines[i]);
	for (i = 0; i < draft->ncharges; i++)
		charges[i] = frozen_charge(draft, &draft->charges[i]);
	oms_json_begin(&json);
	oms_json_add_int(&json, "channel", draft->channel);
	oms_json_add_bool(&json, "tax_included", draft->tax_included);
	oms_json_add_bool(&json, "promotions", false);
	oms_json_add_array(&json, "lines", lines, draft->nlines);
	oms_json_add_array(&json, "charges", charges, draft->ncharges);
	return oms_json_end(&json);
}

/* Reads, prices and checks what is to be quoted. */
static OmsDraft *
compute(int32 merchant, Datum document, const char *actor)
{
	OmsDraft   *draft = oms_draft_from_document(merchant, document, actor);
	int			i;

	draft->price_agreed = true;
	oms_draft_resolve(draft);
	for (i = 0; i < draft->nlines; i++)
		if (draft->lines[i].item == 0)
			ereport(ERROR,
					(errcode(OMS_UNKNOWN),
					 errmsg("no item has SKU \"%s\"", draft->lines[i].sku),
					 errhint("A quote is of known items.")));
	return draft;
}

/* Refuses (OM011) an instant that does not come. */
static void
check_expiry(TimestampTz expires_at)
{
	if (expires_at <= oms_now() || TIMESTAMP_NOT_FINITE(expires_at))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"expires_at\" is out of range"),
				 errdetail("%s was given; a quote ends in the future.", timestamptz_to_str(expires_at))));
}

static void
write_event(const OmsCall *call, int64 quote, int64 order_id, int32 revision, const char *type)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_int(&json, "quote", quote);
	oms_json_add_int(&json, "revision", revision);
	event.merchant = call->merchant;
	event.subject_type = "quote";
	event.subject_id = quote;
	event.order_id = order_id;
	event.type = type;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

static void
add_revision(const OmsCall *call, int64 quote, int32 revision, TimestampTz expires_at, const OmsDraft *draft, Datum asked)
{
	Datum		values[14] = {
		Int32GetDatum(call->merchant), Int64GetDatum(quote), Int32GetDatum(revision), TimestampTzGetDatum(oms_now()),
		TimestampTzGetDatum(expires_at), oms_scaled_to_numeric(draft->subtotal, draft->exponent),
		oms_scaled_to_numeric(draft->discount, draft->exponent), oms_scaled_to_numeric(draft->tax, draft->exponent),
		oms_scaled_to_numeric(draft->total, draft->exponent), CStringGetTextDatum(draft->currency), asked, frozen(draft),
		CStringGetTextDatum(call->actor), call->reason != NULL ? CStringGetTextDatum(call->reason) : (Datum) 0
	};

	oms_run_guarded(&statements[ST_ADD_REVISION], values, call->reason != NULL ? NULL : "             n");
	write_event(call, quote, 0, revision, revision == 1 ? "quote.made" : "quote.revised");
}

/* SQL: quote_order(merchant, document, expires_at, request_key, actor, reason) */
Datum
oms_quote_order(PG_FUNCTION_ARGS)
{
	OmsCall		call;
	OmsDraft   *draft;
	int64		result;

	oms_arg_require(fcinfo, 1, "document");
	oms_arg_require(fcinfo, 2, "expires_at");
	check_expiry(PG_GETARG_TIMESTAMPTZ(2));
	if (!oms_call_repeated(fcinfo, "quote_order", 3, &call, &result))
	{
		Datum		values[5];

		draft = compute(call.merchant, PG_GETARG_DATUM(1), call.actor);
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int32GetDatum(draft->channel);
		values[2] = Int64GetDatum(draft->customer_id);
		values[3] = TimestampTzGetDatum(oms_now());
		values[4] = PG_GETARG_DATUM(2);
		oms_run_guarded(&statements[ST_ADD], values, NULL);
		result = oms_get_int64(0, 1);
		add_revision(&call, result, 1, PG_GETARG_TIMESTAMPTZ(2), draft, PG_GETARG_DATUM(1));
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/* Locks a quote; OM002. Returns the order it became, 0: none. */
static int64
lock_quote(int32 merchant, int64 quote, int32 *revision, TimestampTz *expires_at)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(quote)};

	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("quote", merchant, quote);
	*revision = oms_get_int32(0, 1);
	*expires_at = oms_get_int64(0, 2);
	return oms_get_int64(0, 3);
}

static void
require_unexpired(int64 quote, TimestampTz expires_at)
{
	if (expires_at <= oms_now())
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("quote " INT64_FORMAT " has expired", quote),
				 errdetail("It ended at %s.", timestamptz_to_str(expires_at)),
				 errhint("Revise it with a new expires_at.")));
}

/* SQL: revise_quote(merchant, quote, document, expires_at, request_key, actor, reason) */
Datum
oms_revise_quote(PG_FUNCTION_ARGS)
{
	int64		quote = oms_arg_int64(fcinfo, 1, "quote");
	OmsCall		call;
	int64		result;

	oms_arg_require(fcinfo, 2, "document");
	if (!PG_ARGISNULL(3))
		check_expiry(PG_GETARG_TIMESTAMPTZ(3));
	if (!oms_call_repeated(fcinfo, "revise_quote", 4, &call, &result))
	{
		TimestampTz expires_at;
		int32		revision;
		int64		order_id = lock_quote(call.merchant, quote, &revision, &expires_at);
		OmsDraft   *draft;
		Datum		values[5];

		if (order_id != 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("quote " INT64_FORMAT " is accepted", quote),
					 errdetail("It is order " INT64_FORMAT ".", order_id),
					 errhint("Edit the order with edit_order().")));
		if (PG_ARGISNULL(3))
			require_unexpired(quote, expires_at);
		else
			expires_at = PG_GETARG_TIMESTAMPTZ(3);
		draft = compute(call.merchant, PG_GETARG_DATUM(2), call.actor);
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int64GetDatum(quote);
		values[2] = TimestampTzGetDatum(expires_at);
		values[3] = Int32GetDatum(draft->channel);
		values[4] = Int64GetDatum(draft->customer_id);
		oms_run_guarded(&statements[ST_REVISE], values, NULL);
		result = revision + 1;
		add_revision(&call, quote, (int32) result, expires_at, draft, PG_GETARG_DATUM(2));
		oms_call_done(&call, result);
	}
	PG_RETURN_INT32((int32) result);
}

/* SQL: accept_quote(merchant, quote, revision, request_key, actor, reason) */
Datum
oms_accept_quote(PG_FUNCTION_ARGS)
{
	int64		quote = oms_arg_int64(fcinfo, 1, "quote");
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "accept_quote", 3, &call, &result))
	{
		TimestampTz expires_at;
		int32		revision;
		bool		isnull;

		result = lock_quote(call.merchant, quote, &revision, &expires_at);
		if (result == 0)
		{
			Datum		values[4] = {Int32GetDatum(call.merchant), Int64GetDatum(quote), Int32GetDatum(revision)};
			Datum		document;
			OmsDraft   *draft;

			require_unexpired(quote, expires_at);
			if (!PG_ARGISNULL(2) && PG_GETARG_INT32(2) != revision)
				ereport(ERROR,
						(errcode(OMS_STATE),
						 errmsg("revision %d of quote " INT64_FORMAT " cannot be accepted", PG_GETARG_INT32(2), quote),
						 errdetail("Its newest revision is %d.", revision)));
			oms_run(&statements[ST_DOCUMENT], values, NULL);
			document = PointerGetDatum(DatumGetJsonbPCopy(oms_get(0, 1, &isnull)));
			draft = oms_draft_from_document(call.merchant, document, call.actor);
			draft->price_agreed = true;
			draft->price_cause = psprintf("quote " INT64_FORMAT, quote);
			result = oms_draft_place(draft, NULL, 0);
			values[2] = Int64GetDatum(result);
			values[3] = TimestampTzGetDatum(oms_now());
			oms_run_guarded(&statements[ST_ACCEPT], values, NULL);
			write_event(&call, quote, result, revision, "quote.accepted");
		}
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
