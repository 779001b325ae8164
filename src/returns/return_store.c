/*-------------------------------------------------------------------------
 * return_store.c
 *	  Reading and writing returns: the statements that its commands share.
 *	  All expect the order to be locked.
 *-------------------------------------------------------------------------
 */
#include "returns/return_internal.h"

#include "core/guard.h"
#include "event/event.h"
#include "utils/array.h"

enum
{
	ST_ORDER_OF,
	ST_HEAD,
	ST_LINES,
	ST_STORE_LINES,
	ST_COUNTERS,
	ST_STATE,
	ST_EXPIRED
};

static OmsStatement statements[] = {
	[ST_ORDER_OF] = {
		"SELECT order_id FROM oms.return_order WHERE merchant_id = $1 AND return_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_HEAD] = {
		"SELECT r.order_id, r.state, r.location_id, r.expires_at, r.restocking_fee, r.restocking_percent, r.refund_shipping, "
		"coalesce((SELECT sum(f.fixed_fee) FROM oms.refund f WHERE f.merchant_id = r.merchant_id AND f.return_id = r.return_id), 0), "
		"coalesce((SELECT sum(f.shipping) FROM oms.refund f WHERE f.merchant_id = r.merchant_id AND f.return_id = r.return_id), 0) "
		"FROM oms.return_order r WHERE r.merchant_id = $1 AND r.return_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_LINES] = {
		"SELECT l.line_no, l.ordered, l.shipped, l.return_requested, l.returned, l.total, l.tax, "
		"coalesce((SELECT sum(f.quantity) FROM oms.refund_line f "
		"WHERE f.merchant_id = l.merchant_id AND f.order_id = l.order_id AND f.line_no = l.line_no), 0)::int, "
		"r.line_no IS NOT NULL, r.requested, r.approved, r.expected, r.received, r.sellable, r.damaged, r.quarantine, r.scrap, "
		"r.vendor_return, r.refunded, r.reason "
		"FROM oms.order_line l "
		"LEFT JOIN oms.return_line r ON r.merchant_id = l.merchant_id AND r.return_id = $3 AND r.line_no = l.line_no "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 ORDER BY l.line_no",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_STORE_LINES] = {
		"INSERT INTO oms.return_line AS x (merchant_id, return_id, order_id, line_no, requested, approved, expected, received, "
		"sellable, damaged, quarantine, scrap, vendor_return, refunded, reason) "
		"SELECT $1, $2, $3, u.* FROM unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) u "
		"ON CONFLICT (merchant_id, return_id, line_no) DO UPDATE SET requested = excluded.requested, approved = excluded.approved, "
		"expected = excluded.expected, received = excluded.received, sellable = excluded.sellable, damaged = excluded.damaged, "
		"quarantine = excluded.quarantine, scrap = excluded.scrap, vendor_return = excluded.vendor_return, refunded = excluded.refunded",
		15, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
		INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TEXTARRAYOID}
	},
	[ST_COUNTERS] = {
		"UPDATE oms.order_line l SET return_requested = l.return_requested + u.requested, returned = l.returned + u.returned "
		"FROM unnest($3, $4, $5) u(line_no, requested, returned) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = u.line_no AND (u.requested <> 0 OR u.returned <> 0)",
		5, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_STATE] = {
		"UPDATE oms.return_order SET state = $3, closed_at = $4 WHERE merchant_id = $1 AND return_id = $2",
		4, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID}
	},
	[ST_EXPIRED] = {
		"SELECT return_id FROM oms.return_order WHERE merchant_id = $1 AND order_id = $2 "
		"AND state IN ('requested', 'approved', 'received') AND expires_at <= $3 ORDER BY return_id",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
};

/* The order of a return; OM002 when there is no such return. */
int64
oms_return_order_of(int32 merchant, int64 return_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(return_id)};

	if (oms_run(&statements[ST_ORDER_OF], values, NULL) == 0)
		oms_error_unknown("return", merchant, return_id);
	return oms_get_int64(0, 1);
}

/*
 * Reads a return with all lines of its order; return_id 0 reads the order's
 * lines for a return that is to be made.
 */
void
oms_return_load(const OmsOrderHead *head, int64 return_id, OmsReturn *ret)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(return_id), (Datum) 0};
	bool		isnull;

	memset(ret, 0, sizeof(*ret));
	ret->return_id = return_id;
	ret->order_id = head->order_id;
	if (return_id != 0)
	{
		if (oms_run(&statements[ST_HEAD], values, NULL) == 0)
			oms_error_unknown("return", head->merchant, return_id);
		strlcpy(ret->state, oms_get_text(0, 2), sizeof(ret->state));
		ret->location = oms_get_int32(0, 3);
		ret->expires_at = oms_get_int64(0, 4);
		ret->fee = oms_get_money(0, 5, head->exponent);
		ret->percent = oms_numeric_to_scaled(oms_get(0, 6, &isnull), OMS_PRICE_SCALE, "restocking_percent");
		ret->shipping = oms_get_money(0, 7, head->exponent);
		ret->fee_before = oms_get_money(0, 8, head->exponent);
		ret->shipping_before = oms_get_money(0, 9, head->exponent);
	}

	values[1] = Int64GetDatum(head->order_id);
	values[2] = Int64GetDatum(return_id);
	ret->nlines = (int) oms_run(&statements[ST_LINES], values, NULL);
	ret->lines = palloc0(sizeof(OmsReturnLine) * Max(ret->nlines, 1));
	for (int i = 0; i < ret->nlines; i++)
	{
		OmsReturnLine *line = &ret->lines[i];

		line->line_no = oms_get_int32(i, 1);
		line->ordered = oms_get_int32(i, 2);
		line->shipped = oms_get_int32(i, 3);
		line->return_requested = oms_get_int32(i, 4);
		line->returned = oms_get_int32(i, 5);
		line->total = oms_get_money(i, 6, head->exponent);
		line->tax = oms_get_money(i, 7, head->exponent);
		line->refunded_before = oms_get_int32(i, 8);
		line->known = oms_get_bool(i, 9);
		line->requested = oms_get_int32(i, 10);
		line->approved = oms_get_int32(i, 11);
		line->expected = oms_get_int32(i, 12);
		line->received = oms_get_int32(i, 13);
		for (int d = 0; d < OMS_DISPOSITIONS; d++)
			line->put[d] = oms_get_int32(i, 14 + d);
		line->refunded = oms_get_int32(i, 14 + OMS_DISPOSITIONS);
		line->reason = oms_get_text(i, 15 + OMS_DISPOSITIONS);
	}
}

/* Units of the line that may be asked to come back, or may come unasked. */
int32
oms_return_returnable(const OmsReturnLine *line)
{
	return line->shipped - line->return_requested - line->returned;
}

/* Whether anything is expected or not inspected. */
bool
oms_return_waits(const OmsReturn *ret)
{
	for (int i = 0; i < ret->nlines; i++)
	{
		const OmsReturnLine *line = &ret->lines[i];
		int32		inspected = 0;

		for (int d = 0; d < OMS_DISPOSITIONS; d++)
			inspected += line->put[d];
		if (line->expected > 0 || inspected < line->received)
			return true;
	}
	return false;
}

static Datum
int_array(Datum *elements, int n)
{
	return PointerGetDatum(construct_array(elements, n, INT4OID, 4, true, TYPALIGN_INT));
}

/*
 * Writes the changed lines, and moves the counters of the order's lines by
 * what changed; the CHECK on order_line is the last word on what is
 * returnable.
 */
void
oms_return_store(const OmsOrderHead *head, OmsReturn *ret)
{
	enum
	{
		LINE, REQUESTED, APPROVED, EXPECTED, RECEIVED, PUT, REFUNDED = PUT + OMS_DISPOSITIONS, COLUMNS
	};
	Datum	   *column[COLUMNS];
	Datum	   *reason;
	bool	   *reason_null;
	Datum	   *d_requested;
	Datum	   *d_returned;
	Datum		values[15];
	int			n = 0;
	int			dims[1];
	int			lower[1] = {1};

	for (int c = 0; c < COLUMNS; c++)
		column[c] = palloc(sizeof(Datum) * Max(ret->nlines, 1));
	reason = palloc0(sizeof(Datum) * Max(ret->nlines, 1));
	reason_null = palloc0(sizeof(bool) * Max(ret->nlines, 1));
	d_requested = palloc(sizeof(Datum) * Max(ret->nlines, 1));
	d_returned = palloc(sizeof(Datum) * Max(ret->nlines, 1));

	for (int i = 0; i < ret->nlines; i++)
	{
		OmsReturnLine *line = &ret->lines[i];

		if (!line->changed)
			continue;
		column[LINE][n] = Int32GetDatum(line->line_no);
		column[REQUESTED][n] = Int32GetDatum(line->requested);
		column[APPROVED][n] = Int32GetDatum(line->approved);
		column[EXPECTED][n] = Int32GetDatum(line->expected);
		column[RECEIVED][n] = Int32GetDatum(line->received);
		for (int d = 0; d < OMS_DISPOSITIONS; d++)
			column[PUT + d][n] = Int32GetDatum(line->put[d]);
		column[REFUNDED][n] = Int32GetDatum(line->refunded);
		reason_null[n] = line->reason == NULL;
		if (line->reason != NULL)
			reason[n] = CStringGetTextDatum(line->reason);
		d_requested[n] = Int32GetDatum(line->d_requested);
		d_returned[n] = Int32GetDatum(line->d_returned);
		n++;
	}
	if (n == 0)
		return;

	dims[0] = n;
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(ret->return_id);
	values[2] = Int64GetDatum(head->order_id);
	for (int c = 0; c < COLUMNS; c++)
		values[3 + c] = int_array(column[c], n);
	values[14] = PointerGetDatum(construct_md_array(reason, reason_null, 1, dims, lower, TEXTOID, -1, false, TYPALIGN_INT));
	oms_run_guarded(&statements[ST_STORE_LINES], values, NULL);

	values[1] = Int64GetDatum(head->order_id);
	values[2] = values[3];
	values[3] = int_array(d_requested, n);
	values[4] = int_array(d_returned, n);
	oms_run_guarded(&statements[ST_COUNTERS], values, NULL);
}

/* Sets the state; a state that ends the return carries the time. */
void
oms_return_set_state(const OmsOrderHead *head, OmsReturn *ret, const char *state, bool ends)
{
	Datum		values[4] = {
		Int32GetDatum(head->merchant), Int64GetDatum(ret->return_id), CStringGetTextDatum(state),
		TimestampTzGetDatum(oms_now())
	};

	oms_run_guarded(&statements[ST_STATE], values, ends ? NULL : "   n");
	strlcpy(ret->state, state, sizeof(ret->state));
}

/* Writes an event of the return with its units as they are. */
void
oms_return_event(const OmsOrderHead *head, const OmsReturn *ret, const char *type, const char *actor, const char *reason)
{
	OmsEvent	event = {0};
	OmsJson		data;
	int64		requested = 0;
	int64		expected = 0;
	int64		received = 0;
	int64		put[OMS_DISPOSITIONS] = {0};

	for (int i = 0; i < ret->nlines; i++)
	{
		requested += ret->lines[i].requested;
		expected += ret->lines[i].expected;
		received += ret->lines[i].received;
		for (int d = 0; d < OMS_DISPOSITIONS; d++)
			put[d] += ret->lines[i].put[d];
	}
	oms_json_begin(&data);
	oms_json_add_int(&data, "return", ret->return_id);
	oms_json_add_text(&data, "state", ret->state);
	oms_json_add_int(&data, "requested", requested);
	oms_json_add_int(&data, "expected", expected);
	oms_json_add_int(&data, "received", received);
	oms_json_add_int(&data, "sellable", put[OMS_SELLABLE]);
	oms_json_add_int(&data, "damaged", put[OMS_DAMAGED]);
	oms_json_add_int(&data, "quarantine", put[OMS_QUARANTINE]);
	oms_json_add_int(&data, "scrap", put[OMS_SCRAP]);
	oms_json_add_int(&data, "vendor_return", put[OMS_VENDOR_RETURN]);
	event.merchant = head->merchant;
	event.subject_type = "return";
	event.subject_id = ret->return_id;
	event.order_id = head->order_id;
	event.type = type;
	event.actor = actor;
	event.reason = reason;
	event.data = oms_json_end(&data);
	oms_event_write(&event);
}

/*
 * Lets go of what expired returns of the order still expect: it is free from
 * the instant of expiry on, this only says so in the rows.  "keep", if given,
 * is a loaded return of the order that is brought up to date.
 */
void
oms_return_expire(const OmsOrderHead *head, OmsReturn *keep)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), TimestampTzGetDatum(oms_now())};
	int			n = (int) oms_run(&statements[ST_EXPIRED], values, NULL);
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));

	for (int i = 0; i < n; i++)
		ids[i] = oms_get_int64(i, 1);
	for (int i = 0; i < n; i++)
	{
		OmsReturn	ret;
		int64		expected = 0;
		int64		received = 0;

		oms_return_load(head, ids[i], &ret);
		for (int j = 0; j < ret.nlines; j++)
		{
			OmsReturnLine *line = &ret.lines[j];

			expected += line->expected;
			received += line->received;
			if (line->expected == 0)
				continue;
			line->d_requested = -line->expected;
			line->expected = 0;
			line->changed = true;
		}
		if (expected == 0 && received > 0)
			continue;			/* came in time, waits for inspection */
		oms_return_store(head, &ret);
		if (received == 0)
			oms_return_set_state(head, &ret, "expired", true);
		else if (!oms_return_waits(&ret))
			oms_return_set_state(head, &ret, "closed", true);
		oms_return_event(head, &ret, "return.closed", "oms", "expired");
	}
	if (keep != NULL && n > 0)
		oms_return_load(head, keep->return_id, keep);
}
