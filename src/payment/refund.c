/*-------------------------------------------------------------------------
 * refund.c
 *	  Granting refunds and moving them.
 *-------------------------------------------------------------------------
 */
#include "payment/payment_internal.h"

#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"
#include "payment/refund.h"
#include "utils/array.h"

enum
{
	ST_GRANT,
	ST_GRANT_LINES,
	ST_OPEN
};

static OmsStatement statements[] = {
	[ST_GRANT] = {
		"INSERT INTO oms.refund (merchant_id, order_id, return_id, cause, cause_id, granted_at, amount, tax, lines_amount, "
		"shipping, shipping_tax, fee, currency, state, actor, reason, fixed_fee) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) RETURNING refund_id",
		17, {INT4OID, INT8OID, INT8OID, TEXTOID, INT8OID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, NUMERICOID,
		NUMERICOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID}
	},
	[ST_GRANT_LINES] = {
		"INSERT INTO oms.refund_line (merchant_id, refund_id, order_id, line_no, from_unit, quantity, amount, tax) "
		"SELECT $1, $2, $3, u.line_no, u.from_unit, u.quantity, u.amount, u.tax "
		"FROM unnest($4, $5, $6, $7, $8) u(line_no, from_unit, quantity, amount, tax)",
		8, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID}
	},
	[ST_OPEN] = {
		"SELECT amount - moved - pending, cause, cause_id, reason FROM oms.refund "
		"WHERE merchant_id = $1 AND order_id = $2 AND refund_id = $3",
		3, {INT4OID, INT8OID, INT8OID}
	},
};

/* Writes the refund's lines in one statement. */
static void
grant_lines(const OmsOrderHead *head, int64 refund_id, const OmsRefund *refund)
{
	int			n = refund->nlines;
	Datum	   *line_no = palloc(sizeof(Datum) * n);
	Datum	   *from_unit = palloc(sizeof(Datum) * n);
	Datum	   *quantity = palloc(sizeof(Datum) * n);
	Datum	   *amount = palloc(sizeof(Datum) * n);
	Datum	   *tax = palloc(sizeof(Datum) * n);
	Datum		values[8];

	for (int i = 0; i < n; i++)
	{
		line_no[i] = Int32GetDatum(refund->lines[i].line_no);
		from_unit[i] = Int32GetDatum(refund->lines[i].from_unit);
		quantity[i] = Int32GetDatum(refund->lines[i].quantity);
		amount[i] = oms_scaled_to_numeric(refund->lines[i].amount, head->exponent);
		tax[i] = oms_scaled_to_numeric(refund->lines[i].tax, head->exponent);
	}
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(refund_id);
	values[2] = Int64GetDatum(head->order_id);
	values[3] = PointerGetDatum(construct_array(line_no, n, INT4OID, 4, true, TYPALIGN_INT));
	values[4] = PointerGetDatum(construct_array(from_unit, n, INT4OID, 4, true, TYPALIGN_INT));
	values[5] = PointerGetDatum(construct_array(quantity, n, INT4OID, 4, true, TYPALIGN_INT));
	values[6] = PointerGetDatum(construct_array(amount, n, NUMERICOID, -1, false, TYPALIGN_INT));
	values[7] = PointerGetDatum(construct_array(tax, n, NUMERICOID, -1, false, TYPALIGN_INT));
	oms_run_guarded(&statements[ST_GRANT_LINES], values, NULL);
}

/*
 * Writes a refund with its lines, the event refund.granted and the customer's
 * note.  Expects the order to be locked.  Moves nothing.
 */
int64
oms_refund_grant(const OmsOrderHead *head, const OmsRefund *refund)
{
	int			e = head->exponent;
	int64		refund_id;
	OmsEvent	event = {0};
	OmsJson		data;
	Datum		values[17];
	char		nulls[18] = "                 ";

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = Int64GetDatum(refund->return_id);
	if (refund->return_id == 0)
		nulls[2] = 'n';
	values[3] = CStringGetTextDatum(refund->cause);
	values[4] = Int64GetDatum(refund->cause_id);
	if (refund->cause_id == 0)
		nulls[4] = 'n';
	values[5] = TimestampTzGetDatum(oms_now());
	values[6] = oms_scaled_to_numeric(refund->amount, e);
	values[7] = oms_scaled_to_numeric(refund->tax, e);
	values[8] = oms_scaled_to_numeric(refund->lines_amount, e);
	values[9] = oms_scaled_to_numeric(refund->shipping, e);
	values[10] = oms_scaled_to_numeric(refund->shipping_tax, e);
	values[11] = oms_scaled_to_numeric(refund->fee, e);
	values[12] = CStringGetTextDatum(head->currency);
	values[13] = CStringGetTextDatum(refund->amount == 0 ? "done" : "granted");
	values[14] = CStringGetTextDatum(refund->actor);
	values[15] = (Datum) 0;
	if (refund->reason != NULL)
		values[15] = CStringGetTextDatum(refund->reason);
	else
		nulls[15] = 'n';
	values[16] = oms_scaled_to_numeric(refund->fixed_fee, e);
	oms_run_guarded(&statements[ST_GRANT], values, nulls);
	refund_id = oms_get_int64(0, 1);
	if (refund->nlines > 0)
		grant_lines(head, refund_id, refund);

	oms_json_begin(&data);
	oms_json_add_int(&data, "refund", refund_id);
	oms_json_add_text(&data, "cause", refund->cause);
	if (refund->return_id != 0)
		oms_json_add_int(&data, "return", refund->return_id);
	oms_json_add_scaled(&data, "amount", refund->amount, e);
	oms_json_add_scaled(&data, "tax", refund->tax, e);
	oms_json_add_scaled(&data, "shipping", refund->shipping, e);
	oms_json_add_scaled(&data, "fee", refund->fee, e);
	oms_json_add_text(&data, "currency", head->currency);
	event.merchant = head->merchant;
	event.subject_type = "refund";
	event.subject_id = refund_id;
	event.order_id = head->order_id;
	event.type = "refund.granted";
	event.actor = refund->actor;
	event.reason = refund->reason;
	event.data = oms_json_end(&data);
	oms_event_write(&event);

	oms_json_begin(&data);
	oms_json_add_int(&data, "refund_id", refund_id);
	oms_json_add_scaled(&data, "amount", refund->amount, e);
	oms_json_add_scaled(&data, "tax", refund->tax, e);
	if (refund->reason != NULL)
		oms_json_add_text(&data, "reason", refund->reason);
	oms_message_add(head->merchant, head->order_id, "refund_note", psprintf("refund " INT64_FORMAT, refund_id),
					oms_json_end(&data));
	return refund_id;
}

/*
 * Asks the order's payments, by refund rank, then newest first, for at most so much of what the
 * refund has neither moved nor asked for.  Asks nothing while a hold blocks
 * refunds.  Expects the order to be locked; locks its payments.  Returns what
 * was asked; OM002 when the order has no such refund.
 */
int64
oms_refund_move(const OmsOrderHead *head, int64 refund_id, int64 at_most, const char *actor)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), Int64GetDatum(refund_id)};
	OmsPaymentBalance balance;
	OmsPayment *payments;
	OmsPaymentCause cause;
	int64		want;
	int64		asked = 0;
	int			n;

	if (oms_run(&statements[ST_OPEN], values, NULL) == 0)
		oms_error_unknown("refund", head->merchant, refund_id);
	want = Min(oms_get_money(0, 1, head->exponent), at_most);
	cause.kind = oms_get_text(0, 2);
	cause.id = oms_get_int64(0, 3);
	cause.reason = oms_get_text(0, 4);
	cause.actor = actor;
	if (want <= 0 || oms_order_is_held(head, "refund"))
		return 0;

	n = oms_payment_lock_all(head, &payments);
	oms_payment_balance(head, &balance);
	want = Min(want, balance.captured - balance.charged_back - balance.refunded - balance.refund_pending);
	oms_payment_sort_refund(payments, n);
	for (int i = 0; i < n && want > 0; i++)
	{
		int64		part = Min(want, oms_payment_refundable(&payments[i]));

		if (part <= 0)
			continue;
		oms_payment_request(&payments[i], "refund", part, refund_id, &cause);
		want -= part;
		asked += part;
	}
	return asked;
}
