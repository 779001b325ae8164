/*-------------------------------------------------------------------------
 * payment_store.c
 *	  Reading and locking payments, and writing an intent: the statements that
 *	  commands, triggers and money flows share.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"


#include "core/cache.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/rows.h"
#include "utils/snapmgr.h"
#include "utils/numeric.h"

enum
{
	ST_CREATE,
	ST_FIND,
	ST_ORDER_OF,
	ST_LOCK,
	ST_LOCK_ALL,
	ST_BALANCE,
	ST_REFUNDS,
	ST_REQUEST,
	ST_RECORD
};

#define PAYMENT_COLUMNS \
	"p.payment_id, p.order_id, p.gateway, p.gateway_reference, p.method, p.currency, p.authorized, p.captured, p.voided, p.expired, " \
	"p.refunded, p.charged_back, p.authorize_pending, p.capture_pending, p.void_pending, p.refund_pending, p.replaces_id, p.account_id, " \
	"coalesce(m.charge_rank, 100), coalesce(m.refund_rank, 100), coalesce(m.rest, 'keep') " \
	"FROM oms.payment p LEFT JOIN oms.payment_method m ON m.merchant_id = p.merchant_id AND m.method = p.method "

/* Columns of payment_event in the order of sql/schema/60_payment.sql, and those of an intent. */
enum
{
	E_MERCHANT = 1, E_PAYMENT, E_EVENT, E_REFUND = 5, E_OCCURRED_AT, E_RECORDED_AT, E_AMOUNT = 9, E_KIND, E_REFERENCE, E_ACTOR,
	E_REASON, E_DATA
};
#define REQUEST_COLUMNS \
	"merchant_id, payment_id, event_id, refund_id, occurred_at, recorded_at, amount, kind, event_reference, actor, reason, data"

static OmsTarget request_target = {"payment_event", REQUEST_COLUMNS};

static OmsStatement statements[] = {
	[ST_CREATE] = {
		"INSERT INTO oms.payment (merchant_id, order_id, created_at, amount, currency, method, gateway, gateway_reference, actor, "
		"replaces_id, account_id, tolerance_under, tolerance_over) "
		"SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce(t.under, 0), coalesce(t.over, 0) "
		"FROM (VALUES (1)) v LEFT JOIN oms.payment_tolerance t ON t.merchant_id = $1 AND t.channel_id = $12 "
		"ON CONFLICT (merchant_id, gateway, gateway_reference) WHERE gateway_reference IS NOT NULL DO NOTHING RETURNING payment_id",
		12, {INT4OID, INT8OID, TIMESTAMPTZOID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT4OID}
	},
	[ST_FIND] = {
		"SELECT payment_id, order_id FROM oms.payment WHERE merchant_id = $1 AND gateway = $2 AND gateway_reference = $3",
		3, {INT4OID, TEXTOID, TEXTOID}
	},
	[ST_ORDER_OF] = {
		"SELECT order_id FROM oms.payment WHERE merchant_id = $1 AND payment_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_LOCK] = {
		"SELECT " PAYMENT_COLUMNS
		"WHERE p.merchant_id = $1 AND p.payment_id = $2 FOR NO KEY UPDATE OF p",
		2, {INT4OID, INT8OID}
	},
	[ST_LOCK_ALL] = {
		"SELECT " PAYMENT_COLUMNS
		"WHERE p.merchant_id = $1 AND p.order_id = $2 ORDER BY p.payment_id FOR NO KEY UPDATE OF p",
		2, {INT4OID, INT8OID}
	},
	/* View payment_balance, added up here. */
	[ST_BALANCE] = {
		"SELECT o.total, o.cancelled_total, p.authorized, p.voided, p.void_pending, p.expired, p.captured, p.capture_pending, "
		"p.charged_back, p.refunded, p.refund_pending, p.authorize_pending "
		"FROM oms.sales_order o LEFT JOIN oms.payment p ON p.merchant_id = $1 AND p.order_id = $2 "
		"WHERE o.merchant_id = $1 AND o.order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_REFUNDS] = {
		"SELECT amount, moved, pending, cause IN ('cancel', 'edit') FROM oms.refund "
		"WHERE merchant_id = $1 AND order_id = $2 AND NOT (cause = 'manual' AND state = 'failed')",
		2, {INT4OID, INT8OID}
	},
	[ST_REQUEST] = {
		"INSERT INTO oms.payment_event (" REQUEST_COLUMNS ") SELECT " REQUEST_COLUMNS " FROM unnest($1)", 1, {0}
	},
	[ST_RECORD] = {
		"INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount, occurred_at, recorded_at, actor) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
		8, {INT4OID, INT8OID, TEXTOID, TEXTOID, NUMERICOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}
	},
};

/* Amounts stay below this, so that sums of many fit into 64 bits. */
#define MAX_AMOUNT INT64CONST(1000000000000000)

/* Whether an amount in minor units is beyond what payments deal with. */
bool
oms_amount_is_large(int64 amount, int exponent)
{
	int64		scale = 1;

	while (exponent-- > 0)
		scale *= 10;
	return amount / MAX_AMOUNT >= scale;
}

/*
 * An amount argument in minor units, or -1 when null.  Raises OM011 unless it
 * is positive, OM017 when it has more decimals than the currency or is 10^15 or
 * more (sums of many such amounts still fit into 64 bits).
 */
int64
oms_arg_amount(FunctionCallInfo fcinfo, int n, const char *name, int exponent)
{
	int64		amount;

	if (PG_ARGISNULL(n))
		return -1;
	amount = oms_numeric_to_scaled(PG_GETARG_DATUM(n), exponent, name);
	if (amount <= 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("%s was given; amounts are positive.", oms_money_text(amount, exponent)),
				 errhint("Give a positive amount, or null for the default.")));
	if (oms_amount_is_large(amount, exponent))
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("argument \"%s\" is too large", name),
				 errdetail("%s was given; less than " INT64_FORMAT " is allowed.", oms_money_text(amount, exponent), MAX_AMOUNT)));
	return amount;
}

/* Finds the payment a gateway knows by this reference. */
bool
oms_payment_find(int32 merchant, const char *gateway, const char *reference, int64 *payment_id, int64 *order_id)
{
	Datum		values[3] = {Int32GetDatum(merchant), CStringGetTextDatum(gateway), CStringGetTextDatum(reference)};

	if (oms_run(&statements[ST_FIND], values, NULL) == 0)
		return false;
	*payment_id = oms_get_int64(0, 1);
	*order_id = oms_get_int64(0, 2);
	return true;
}

/*
 * Makes the row of a payment of which method, gateway, its reference and what it
 * replaces are given, amounts zero, and fills in the rest.  OM008 when the
 * gateway's reference is another payment's.
 */
void
oms_payment_create(const OmsOrderHead *head, OmsPayment *payment, int64 amount, const char *actor)
{
	const char *reference = payment->gateway_reference;
	Datum		values[12];
	char		nulls[13] = "            ";

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = TimestampTzGetDatum(oms_now());
	values[3] = oms_scaled_to_numeric(amount, head->exponent);
	values[4] = CStringGetTextDatum(head->currency);
	values[5] = CStringGetTextDatum(payment->method);
	values[6] = CStringGetTextDatum(payment->gateway);
	values[7] = reference != NULL ? CStringGetTextDatum(reference) : (Datum) 0;
	values[8] = CStringGetTextDatum(actor);
	values[9] = Int64GetDatum(payment->replaces_id);
	if (reference == NULL)
		nulls[7] = 'n';
	if (payment->replaces_id == 0)
		nulls[9] = 'n';
	values[10] = Int64GetDatum(payment->account_id);
	if (payment->account_id == 0)
		nulls[10] = 'n';
	values[11] = Int32GetDatum(head->channel);
	if (oms_run_guarded(&statements[ST_CREATE], values, nulls) == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("gateway \"%s\" uses reference \"%s\" for another payment", payment->gateway, reference),
				 errdetail("A gateway's reference names one payment of a merchant."),
				 errhint("Find it in oms.payment by gateway_reference.")));
	payment->merchant = head->merchant;
	payment->payment_id = oms_get_int64(0, 1);
	payment->order_id = head->order_id;
	payment->exponent = head->exponent;
	strlcpy(payment->currency, head->currency, sizeof(payment->currency));
}

/* The order a payment belongs to; OM002 when there is no such payment. */
int64
oms_payment_order_of(int32 merchant, int64 payment_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(payment_id)};

	if (oms_run(&statements[ST_ORDER_OF], values, NULL) == 0)
		oms_error_unknown("payment", merchant, payment_id);
	return oms_get_int64(0, 1);
}

/* Reads the payment of a row of PAYMENT_COLUMNS. */
static void
read_payment(const OmsOrderHead *head, uint64 row, OmsPayment *payment)
{
	OmsPaymentAmounts *amounts = &payment->amounts;

	payment->merchant = head->merchant;
	payment->payment_id = oms_get_int64(row, 1);
	payment->order_id = oms_get_int64(row, 2);
	payment->gateway = oms_get_text(row, 3);
	payment->gateway_reference = oms_get_text(row, 4);
	payment->method = oms_get_text(row, 5);
	strlcpy(payment->currency, oms_get_text(row, 6), sizeof(payment->currency));
	payment->exponent = head->exponent;
	amounts->authorized = oms_get_money(row, 7, head->exponent);
	amounts->captured = oms_get_money(row, 8, head->exponent);
	amounts->voided = oms_get_money(row, 9, head->exponent);
	amounts->expired = oms_get_money(row, 10, head->exponent);
	amounts->refunded = oms_get_money(row, 11, head->exponent);
	amounts->charged_back = oms_get_money(row, 12, head->exponent);
	amounts->authorize_pending = oms_get_money(row, 13, head->exponent);
	amounts->capture_pending = oms_get_money(row, 14, head->exponent);
	amounts->void_pending = oms_get_money(row, 15, head->exponent);
	amounts->refund_pending = oms_get_money(row, 16, head->exponent);
	amounts->expires_at = 0;
	payment->replaces_id = oms_get_int64(row, 17);
	payment->account_id = oms_get_int64(row, 18);
	payment->charge_rank = oms_get_int32(row, 19);
	payment->refund_rank = oms_get_int32(row, 20);
	payment->rest = oms_get_text(row, 21);
}

/* Locks and reads a payment of the locked order; OM002 when there is none. */
void
oms_payment_lock(const OmsOrderHead *head, int64 payment_id, OmsPayment *payment)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(payment_id)};

	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("payment", head->merchant, payment_id);
	read_payment(head, 0, payment);
}

/* Locks and reads all payments of the locked order, in the order of their ids. */
int
oms_payment_lock_all(const OmsOrderHead *head, OmsPayment **payments)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int			n = (int) oms_run(&statements[ST_LOCK_ALL], values, NULL);

	*payments = palloc(sizeof(OmsPayment) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_payment(head, i, &(*payments)[i]);
	return n;
}

static int
compare_charge(const void *a, const void *b)
{
	const OmsPayment *x = a;
	const OmsPayment *y = b;

	if (x->charge_rank != y->charge_rank)
		return x->charge_rank < y->charge_rank ? -1 : 1;
	return x->payment_id < y->payment_id ? -1 : 1;
}

static int
compare_refund(const void *a, const void *b)
{
	const OmsPayment *x = a;
	const OmsPayment *y = b;

	if (x->refund_rank != y->refund_rank)
		return x->refund_rank < y->refund_rank ? -1 : 1;
	return x->payment_id > y->payment_id ? -1 : 1;
}

/* In the order in which money is taken: by charge rank of the method, the oldest first. */
void
oms_payment_sort_charge(OmsPayment *payments, int n)
{
	qsort(payments, n, sizeof(OmsPayment), compare_charge);
}

/* In the order in which money is given back: by refund rank of the method, the newest first. */
void
oms_payment_sort_refund(OmsPayment *payments, int n)
{
	qsort(payments, n, sizeof(OmsPayment), compare_refund);
}

/* What may still be asked to capture; negative when facts went beyond the authorization. */
int64
oms_payment_capturable(const OmsPayment *payment)
{
	const OmsPaymentAmounts *a = &payment->amounts;

	return a->authorized - a->voided - a->void_pending - a->expired - a->captured - a->capture_pending;
}

/* What may still be asked to refund; negative when facts went beyond. */
int64
oms_payment_refundable(const OmsPayment *payment)
{
	const OmsPaymentAmounts *a = &payment->amounts;

	return a->captured - a->charged_back - a->refunded - a->refund_pending;
}

/*
 * The balance of the locked order, as of now: also a transaction that is to
 * see an old snapshot must not decide by it, since what others did to other
 * payments of the order changes no row that this one locks.
 */
void
oms_payment_balance(const OmsOrderHead *head, OmsPaymentBalance *balance)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int			e = head->exponent;
	int64		granted = 0;
	Snapshot	snapshot;
	uint64		rows;
	uint64		i;

	CommandCounterIncrement();	/* what this transaction wrote counts */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	memset(balance, 0, sizeof(*balance));
	rows = oms_run_snapshot(&statements[ST_BALANCE], values, NULL, snapshot);
	if (rows == 0)
		oms_error_unknown("order", head->merchant, head->order_id);
	balance->total = oms_get_money(0, 1, e);
	balance->cancelled = oms_get_money(0, 2, e);
	for (i = 0; i < rows && !oms_is_null(i, 3); i++)
	{
		int64		captured = oms_get_money(i, 7, e);
		int64		pending = oms_get_money(i, 8, e);

		balance->capturable += Max(oms_get_money(i, 3, e) - oms_get_money(i, 4, e) - oms_get_money(i, 5, e) -
								   oms_get_money(i, 6, e) - captured - pending, 0);
		balance->captured += captured;
		balance->capture_pending += pending;
		balance->charged_back += oms_get_money(i, 9, e);
		balance->refunded += oms_get_money(i, 10, e);
		balance->refund_pending += oms_get_money(i, 11, e);
		balance->authorize_pending += oms_get_money(i, 12, e);
	}
	rows = oms_run_snapshot(&statements[ST_REFUNDS], values, NULL, snapshot);
	for (i = 0; i < rows; i++)
	{
		int64		amount = oms_get_money(i, 1, e);

		balance->refund_due += Max(amount - oms_get_money(i, 2, e) - oms_get_money(i, 3, e), 0);
		if (!oms_get_bool(i, 4))
			granted += amount;
	}
	UnregisterSnapshot(snapshot);
	balance->owed = Max(balance->total - balance->cancelled - granted, 0);
	balance->due = balance->owed - (balance->captured - balance->charged_back - balance->refunded - balance->refund_pending +
									balance->capture_pending);
}

static int64
next_event_id(void)
{
	static OmsCache cache = {
		.name = "payment event numbers",
		.tables = {"payment_event_event_id_seq"},
	};

	return oms_cache_nextval(&cache);
}

/*
 * Writes an intent (kind: authorize, capture, void, refund).  The trigger on
 * payment_event checks the limits (OM007), folds the amounts and makes the
 * task.  Returns the number of the intent.
 */
int64
oms_payment_request(const OmsPayment *payment, const char *kind, int64 amount, int64 refund_id,
					const OmsPaymentCause *cause)
{
	OmsRows    *rows = oms_rows_for(&request_target);
	int64		event_id = next_event_id();
	OmsJson		data;

	oms_json_begin(&data);
	if (cause->kind != NULL)
	{
		oms_json_add_text(&data, "cause_kind", cause->kind);
		oms_json_add_int(&data, "cause_id", cause->id);
	}
	if (strcmp(kind, "capture") == 0)
		oms_json_add_text(&data, "rest", cause->rest != NULL ? cause->rest : payment->rest);

	oms_rows_set(rows, E_MERCHANT, Int32GetDatum(payment->merchant));
	oms_rows_set(rows, E_PAYMENT, Int64GetDatum(payment->payment_id));
	oms_rows_set(rows, E_EVENT, Int64GetDatum(event_id));
	if (refund_id != 0)
		oms_rows_set(rows, E_REFUND, Int64GetDatum(refund_id));
	oms_rows_set(rows, E_OCCURRED_AT, TimestampTzGetDatum(cause->not_before != 0 ? cause->not_before : oms_now()));
	oms_rows_set(rows, E_RECORDED_AT, TimestampTzGetDatum(oms_now()));
	oms_rows_set(rows, E_AMOUNT, oms_scaled_to_numeric(amount, payment->exponent));
	oms_rows_set_text(rows, E_KIND, psprintf("%s_requested", kind));
	oms_rows_set_text(rows, E_REFERENCE, psprintf("oms-%d-%s-" INT64_FORMAT, payment->merchant, kind, event_id));
	oms_rows_set_text(rows, E_ACTOR, cause->actor);
	oms_rows_set_text(rows, E_REASON, cause->reason);
	oms_rows_set(rows, E_DATA, oms_json_end(&data));
	oms_rows_add(rows);
	oms_rows_insert(&statements[ST_REQUEST], &rows, 1);
	return event_id;
}

/*
 * Writes a fact that follows from what oms knows itself, amount -1: none.  Told
 * before under this reference: nothing.
 */
void
oms_payment_record(const OmsPayment *payment, const char *kind, const char *reference, int64 amount,
				   TimestampTz occurred_at, const char *actor)
{
	Datum		values[8] = {
		Int32GetDatum(payment->merchant), Int64GetDatum(payment->payment_id), CStringGetTextDatum(kind),
		CStringGetTextDatum(reference), oms_scaled_to_numeric(amount, payment->exponent), TimestampTzGetDatum(occurred_at),
		TimestampTzGetDatum(oms_now()), CStringGetTextDatum(actor)
	};

	oms_run(&statements[ST_RECORD], values, amount < 0 ? "    n   " : NULL);
}
