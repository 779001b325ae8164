/*-------------------------------------------------------------------------
 * split.c
 *	  Splitting and merging orders: lines, charges, promises and payments go
 *	  from one order to another, and every sum stays.
 *
 *	  Units leave a line from just below its cancelled ones, and take what
 *	  exactly these units are worth.  So the units that stay keep their value,
 *	  and so do the cancelled ones.
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "order/expire.h"
#include "order/hold_rule.h"
#include "order/link.h"
#include "order/order.h"
#include "order/sale_limit.h"
#include "payment/payment.h"

PG_FUNCTION_INFO_V1(oms_split_order);
PG_FUNCTION_INFO_V1(oms_merge_orders);

enum
{
	ST_OBSTACLE,
	ST_NEW_ORDER,
	ST_SHARE_DEPOSIT,
	ST_COPY_TERMS,
	ST_LINES,
	ST_PROMISES,
	ST_SHRINK,
	ST_ADD_LINES,
	ST_BACKORDERED,
	ST_COPY_PARTS,
	ST_COPY_ASKED,
	ST_COPY_DATES,
	ST_MOVE_PROMISES,
	ST_GIVE_PROMISE,
	ST_CUT_PROMISE,
	ST_ADD_PROMISE,
	ST_DROP_PARTS,
	ST_DROP_ASKED,
	ST_DROP_DATES,
	ST_DROP_LINES,
	ST_CHARGES,
	ST_SET_CHARGE,
	ST_ADD_CHARGE,
	ST_MOVE_CHARGES,
	ST_SUMS,
	ST_SHARE_BASE,
	ST_LINK,
	ST_SAME,
	ST_LAST_LINE,
	ST_EMPTIED
};

/* The lines that move: $4 their numbers, $5 their new ones, $6 whether whole. */
#define MOVED "unnest($4, $5, $6) AS m(line, to_line, whole)"
#define OF_MOVED(table) "FROM oms." table " t JOIN " MOVED " ON m.line = t.line_no WHERE t.merchant_id = $1 AND t.order_id = $2"

static OmsStatement statements[] = {
	/* Why units of an order cannot go to another one. */
	[ST_OBSTACLE] = {
		"SELECT format('fulfilment %s has its lines', fulfilment_id) FROM oms.fulfilment WHERE merchant_id = $1 AND order_id = $2 "
		"UNION ALL SELECT format('line %s has picked or shipped units', line_no) FROM oms.order_line "
		"WHERE merchant_id = $1 AND order_id = $2 AND picked > 0 "
		"UNION ALL SELECT format('refund %s was granted', refund_id) FROM oms.refund WHERE merchant_id = $1 AND order_id = $2 "
		"UNION ALL SELECT format('return %s was asked for', return_id) FROM oms.return_order WHERE merchant_id = $1 AND order_id = $2 "
		"UNION ALL SELECT format('%s %s was issued', kind, number) FROM oms.invoice WHERE merchant_id = $1 AND order_id = $2 "
		"UNION ALL SELECT format('edit %s is open', edit_id) FROM oms.order_edit "
		"WHERE merchant_id = $1 AND order_id = $2 AND state = 'open' AND expires_at > $3 "
		"UNION ALL SELECT format('%s %s of payments are not answered', pending, currency) FROM oms.payment_order "
		"WHERE merchant_id = $1 AND order_id = $2 AND pending > 0 "
		"UNION ALL SELECT format('%s %s are charged back', charged_back, currency) FROM oms.payment_order "
		"WHERE merchant_id = $1 AND order_id = $2 AND charged_back > 0 "
		"UNION ALL SELECT format('line %s has preordered units', line_no) FROM oms.preorder_line WHERE merchant_id = $1 AND order_id = $2 "
		"LIMIT 1",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_NEW_ORDER] = {
		"INSERT INTO oms.sales_order (merchant_id, channel_id, order_id, customer_id, company_id, placed_at, tax_included, currency, "
		"lifecycle, subtotal, tax, total, ship_to, bill_to, email, phone, language, instructions, gift_note, origin, actor) "
		"SELECT merchant_id, channel_id, $3, customer_id, company_id, placed_at, tax_included, currency, "
		"lifecycle, 0, 0, 0, ship_to, bill_to, email, phone, language, instructions, gift_note, 'split', $4 "
		"FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2",
		4, {INT4OID, INT8OID, INT8OID, TEXTOID}
	},
	/* A fixed deposit becomes its share of what is owed, so that each part asks for its own. */
	[ST_SHARE_DEPOSIT] = {
		"UPDATE oms.order_term_part t SET amount = NULL, share = greatest(CASE WHEN t.amount IS NULL "
		"THEN round((d.owed - d.fixed) * t.share / d.shares, 8) ELSE d.fixed END, 0.00000001) "
		"FROM (SELECT min(b.owed) AS owed, least(max(x.amount), min(b.owed)) AS fixed, sum(x.share) FILTER (WHERE x.amount IS NULL) AS shares, "
		"  count(x.amount) AS fixed_parts FROM oms.order_term_part x "
		" JOIN oms.payment_balance b ON b.merchant_id = x.merchant_id AND b.order_id = x.order_id "
		" WHERE x.merchant_id = $1 AND x.order_id = $2) d "
		"WHERE t.merchant_id = $1 AND t.order_id = $2 AND d.fixed_parts > 0",
		2, {INT4OID, INT8OID}
	},
	/* What was agreed for the whole order holds for its part. */
	[ST_COPY_TERMS] = {
		"WITH u AS (INSERT INTO oms.order_urgency (merchant_id, order_id, priority, promised_at, original_promised_at) "
		"SELECT merchant_id, $3, priority, promised_at, original_promised_at FROM oms.order_urgency WHERE merchant_id = $1 AND order_id = $2), "
		"s AS (INSERT INTO oms.order_schedule (merchant_id, order_id, ship_at, reserve, days_before, allocation, due_at, reserved_at) "
		"SELECT merchant_id, $3, ship_at, reserve, days_before, allocation, due_at, reserved_at FROM oms.order_schedule "
		"WHERE merchant_id = $1 AND order_id = $2), "
		"e AS (INSERT INTO oms.order_exemption (merchant_id, order_id, certificate) SELECT merchant_id, $3, certificate "
		"FROM oms.order_exemption WHERE merchant_id = $1 AND order_id = $2), "
		"t AS (INSERT INTO oms.order_term_part (merchant_id, part_no, order_id, days, discount_days, month_end, event, share, discount_percent, amount, required_before, code) "
		"SELECT merchant_id, part_no, $3, days, discount_days, month_end, event, share, discount_percent, amount, required_before, code FROM oms.order_term_part "
		"WHERE merchant_id = $1 AND order_id = $2), "
		"d AS (INSERT INTO oms.order_deadline (merchant_id, order_id, deadline) SELECT merchant_id, $3, deadline "
		"FROM oms.order_deadline WHERE merchant_id = $1 AND order_id = $2) "
		"INSERT INTO oms.order_shipment_policy (merchant_id, order_id, policy, complete_by, set_by, set_at) "
		"SELECT merchant_id, $3, policy, complete_by, set_by, set_at FROM oms.order_shipment_policy WHERE merchant_id = $1 AND order_id = $2",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_LINES] = {
		"SELECT line_no, ordered, cancelled, allocated, backordered, discount, tax, total FROM oms.order_line "
		"WHERE merchant_id = $1 AND order_id = $2 ORDER BY line_no",
		2, {INT4OID, INT8OID}
	},
	[ST_PROMISES] = {
		"SELECT r.reservation_id, r.line_no, r.item_id, r.location_id, r.quantity, coalesce(c.per_unit, 1) FROM oms.reservation r "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = r.merchant_id AND c.order_id = r.order_id "
		"AND c.line_no = r.line_no AND c.item_id = r.item_id "
		"WHERE r.merchant_id = $1 AND r.order_id = $2 ORDER BY r.line_no, r.item_id, r.location_id, r.reservation_id",
		2, {INT4OID, INT8OID}
	},
	[ST_SHRINK] = {
		"UPDATE oms.order_line l SET ordered = l.ordered - CASE WHEN m.whole THEN 0 ELSE m.ordered END, "
		"allocated = l.allocated - m.allocated, backordered = l.backordered - m.backordered, "
		"discount = l.discount - round(m.discount / 10::numeric ^ $10, $10), tax = l.tax - round(m.tax / 10::numeric ^ $10, $10), "
		"total = l.total - round(m.total / 10::numeric ^ $10, $10) "
		"FROM unnest($3, $4, $5, $6, $7, $8, $9, $11) AS m(line, whole, ordered, allocated, backordered, discount, tax, total) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = m.line",
		11, {INT4OID, INT8OID, INT4ARRAYOID, BOOLARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
		INT4OID, INT8ARRAYOID}
	},
	[ST_ADD_LINES] = {
		"INSERT INTO oms.order_line (merchant_id, line_no, order_id, item_id, ordered, cancelled, allocated, unit_price, discount, "
		"tax_rate, tax, total, sku, title, instructions) "
		"SELECT $1, m.to_line, $3, l.item_id, m.ordered, m.cancelled, m.allocated, l.unit_price, round(m.discount / 10::numeric ^ $9, $9), "
		"l.tax_rate, round(m.tax / 10::numeric ^ $9, $9), round(m.total / 10::numeric ^ $9, $9), l.sku, l.title, l.instructions "
		"FROM unnest($4, $5, $6, $7, $8, $10, $11, $12) AS m(line, to_line, ordered, cancelled, allocated, discount, tax, total) "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = m.line",
		12, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4OID,
		INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
	},
	/* After the lines that gave them have fewer, so that no limit is passed between. */
	[ST_BACKORDERED] = {
		"UPDATE oms.order_line l SET backordered = m.backordered FROM unnest($3, $4) AS m(line, backordered) "
		"WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = m.line AND m.backordered > 0",
		4, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_COPY_PARTS] = {
		"INSERT INTO oms.order_line_component (merchant_id, order_id, line_no, item_id, per_unit) "
		"SELECT $1, $3, m.to_line, t.item_id, t.per_unit " OF_MOVED("order_line_component"),
		6, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, BOOLARRAYOID}
	},
	[ST_COPY_ASKED] = {
		"INSERT INTO oms.order_line_asked (merchant_id, line_no, order_id, asked, numerator, denominator, quantity, unit_price, unit) "
		"SELECT $1, m.to_line, $3, t.asked, t.numerator, t.denominator, t.quantity, t.unit_price, t.unit "
		OF_MOVED("order_line_asked") " AND m.whole",
		6, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, BOOLARRAYOID}
	},
	[ST_COPY_DATES] = {
		"INSERT INTO oms.line_promise (merchant_id, order_id, line_no, original_at, promised_at) "
		"SELECT $1, $3, m.to_line, t.original_at, t.promised_at " OF_MOVED("line_promise"),
		6, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, BOOLARRAYOID}
	},
	[ST_MOVE_PROMISES] = {
		"UPDATE oms.reservation r SET order_id = $3, line_no = m.to_line FROM " MOVED
		" WHERE r.merchant_id = $1 AND r.order_id = $2 AND r.line_no = m.line AND m.whole",
		6, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, BOOLARRAYOID}
	},
	[ST_GIVE_PROMISE] = {
		"UPDATE oms.reservation SET order_id = $5, line_no = $6 "
		"WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 AND reservation_id = $4",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT8OID, INT4OID}
	},
	[ST_CUT_PROMISE] = {
		"UPDATE oms.reservation SET quantity = quantity - $5 "
		"WHERE merchant_id = $1 AND item_id = $2 AND location_id = $3 AND reservation_id = $4",
		5, {INT4OID, INT8OID, INT4OID, INT8OID, INT8OID}
	},
	[ST_ADD_PROMISE] = {
		"INSERT INTO oms.reservation (merchant_id, item_id, location_id, order_id, line_no, quantity) VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT4OID, INT8OID, INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_DROP_PARTS] = {
		"DELETE FROM oms.order_line_component WHERE merchant_id = $1 AND order_id = $2 AND line_no = ANY ($3)",
		3, {INT4OID, INT8OID, INT4ARRAYOID}
	},
	/* Of a line that has become less than was asked, what was asked is not said any more. */
	[ST_DROP_ASKED] = {
		"DELETE FROM oms.order_line_asked a WHERE a.merchant_id = $1 AND a.order_id = $2 AND (a.line_no = ANY ($3) "
		"OR a.asked > (SELECT l.ordered FROM oms.order_line l WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = a.line_no))",
		3, {INT4OID, INT8OID, INT4ARRAYOID}
	},
	[ST_DROP_DATES] = {
		"DELETE FROM oms.line_promise WHERE merchant_id = $1 AND order_id = $2 AND line_no = ANY ($3)",
		3, {INT4OID, INT8OID, INT4ARRAYOID}
	},
	[ST_DROP_LINES] = {
		"DELETE FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2 AND line_no = ANY ($3)",
		3, {INT4OID, INT8OID, INT4ARRAYOID}
	},
	[ST_CHARGES] = {
		"SELECT charge_no, tax, total FROM oms.order_charge WHERE merchant_id = $1 AND order_id = $2 ORDER BY charge_no",
		2, {INT4OID, INT8OID}
	},
	[ST_ADD_CHARGE] = {
		"INSERT INTO oms.order_charge (merchant_id, order_id, charge_no, kind, description, amount, tax_rate, tax, total) "
		"SELECT c.merchant_id, $4, c.charge_no, c.kind, c.description, CASE WHEN $5 THEN $7 ELSE $7 - $6 END, c.tax_rate, $6, $7 "
		"FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.charge_no = $3",
		7, {INT4OID, INT8OID, INT4OID, INT8OID, BOOLOID, NUMERICOID, NUMERICOID}
	},
	[ST_SET_CHARGE] = {
		"UPDATE oms.order_charge SET amount = amount - CASE WHEN $5 THEN $7 ELSE $7 - $6 END, tax = tax - $6, total = total - $7 "
		"WHERE merchant_id = $1 AND order_id = $2 AND charge_no = $3 AND $4 IS NOT NULL",
		7, {INT4OID, INT8OID, INT4OID, INT8OID, BOOLOID, NUMERICOID, NUMERICOID}
	},
	[ST_MOVE_CHARGES] = {
		"UPDATE oms.order_charge SET order_id = $3, charge_no = charge_no + (SELECT coalesce(max(c.charge_no), 0) "
		"FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $3) WHERE merchant_id = $1 AND order_id = $2",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_SUMS] = {
		"UPDATE oms.sales_order o SET discount = l.discount, tax = l.tax + c.tax, shipping = c.shipping, charges = c.charges, "
		"total = l.total + c.total, subtotal = l.total + c.total + l.discount - c.shipping - c.charges "
		"- CASE WHEN o.tax_included THEN 0 ELSE l.tax + c.tax END "
		"FROM (SELECT round(coalesce(sum(discount), 0), $3) AS discount, round(coalesce(sum(tax), 0), $3) AS tax, round(coalesce(sum(total), 0), $3) AS total "
		"FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2) l, "
		"(SELECT round(coalesce(sum(tax), 0), $3) AS tax, round(coalesce(sum(total), 0), $3) AS total, "
		"round(coalesce(sum(amount) FILTER (WHERE kind = 'shipping'), 0), $3) AS shipping, "
		"round(coalesce(sum(amount) FILTER (WHERE kind <> 'shipping'), 0), $3) AS charges "
		"FROM oms.order_charge WHERE merchant_id = $1 AND order_id = $2) c "
		"WHERE o.merchant_id = $1 AND o.order_id = $2",
		3, {INT4OID, INT8OID, INT4OID}
	},
	/* The amounts in the merchant's currency follow; both together stay what they were. */
	[ST_SHARE_BASE] = {
		"WITH b AS (SELECT b.base_currency, b.rate, CASE WHEN s.total = 0 THEN b.base_total ELSE round(t.total * b.rate, c.exponent) END AS total, "
		"CASE WHEN s.total = 0 THEN b.base_tax ELSE round(t.tax * b.rate, c.exponent) END AS tax "
		"FROM oms.order_base b JOIN oms.currency c ON c.code = b.base_currency "
		"JOIN oms.sales_order s ON s.merchant_id = $1 AND s.order_id = $2 JOIN oms.sales_order t ON t.merchant_id = $1 AND t.order_id = $3 "
		"WHERE b.merchant_id = $1 AND b.order_id = $2), "
		"less AS (UPDATE oms.order_base o SET base_total = base_total - b.total, base_tax = base_tax - b.tax FROM b "
		"WHERE o.merchant_id = $1 AND o.order_id = $2) "
		"INSERT INTO oms.order_base AS o (merchant_id, order_id, base_currency, rate, base_total, base_tax) "
		"SELECT $1, $3, base_currency, rate, total, tax FROM b ON CONFLICT (merchant_id, order_id) "
		"DO UPDATE SET base_total = o.base_total + excluded.base_total, base_tax = o.base_tax + excluded.base_tax",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_LINK] = {
		"INSERT INTO oms.order_link (merchant_id, source_id, target_id, linked_at, kind, actor, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		7, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID}
	},
	/* In what the orders differ that must be one; null: in nothing. */
	[ST_SAME] = {
		"SELECT CASE WHEN s.currency <> t.currency THEN 'currency' WHEN s.channel_id <> t.channel_id THEN 'channel' "
		"WHEN s.customer_id IS DISTINCT FROM t.customer_id THEN 'customer' "
		"WHEN s.customer_id IS NULL AND (s.email IS NULL OR lower(s.email) IS DISTINCT FROM lower(t.email)) THEN 'customer' "
		"WHEN s.tax_included <> t.tax_included THEN 'tax_included' WHEN s.ship_to IS DISTINCT FROM t.ship_to THEN 'delivery address' "
		"WHEN s.lifecycle <> t.lifecycle THEN 'lifecycle' "
		"WHEN (SELECT base_currency FROM oms.order_base WHERE merchant_id = $1 AND order_id = $2) IS DISTINCT FROM "
		"(SELECT base_currency FROM oms.order_base WHERE merchant_id = $1 AND order_id = $3) THEN 'base currency' "
		"WHEN (SELECT array_agg(ROW(part_no, days, discount_days, month_end, event, share, discount_percent, amount, required_before) ORDER BY part_no) "
		"FROM oms.order_term_part WHERE merchant_id = $1 AND order_id = $2) IS DISTINCT FROM "
		"(SELECT array_agg(ROW(part_no, days, discount_days, month_end, event, share, discount_percent, amount, required_before) ORDER BY part_no) "
		"FROM oms.order_term_part WHERE merchant_id = $1 AND order_id = $3) THEN 'payment terms' END "
		"FROM oms.sales_order s, oms.sales_order t "
		"WHERE s.merchant_id = $1 AND s.order_id = $2 AND t.merchant_id = $1 AND t.order_id = $3",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_LAST_LINE] = {
		"SELECT coalesce(max(line_no), 0) FROM oms.order_line WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
	[ST_EMPTIED] = {
		"UPDATE oms.sales_order SET lifecycle = 'cancelled' WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}
	},
};

/* A line, and what of it moves; amounts in minor units. */
typedef struct Line
{
	int32		line_no;
	int32		to_line;
	bool		whole;			/* nothing of it stays */
	int32		ordered;
	int32		cancelled;
	int32		allocated;
	int32		backordered;
	int64		discount;
	int64		tax;
	int64		total;
} Line;

static Line *
read_lines(const OmsOrderHead *head, int *n)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	Line	   *lines;
	int			i;

	*n = (int) oms_run(&statements[ST_LINES], values, NULL);
	lines = palloc0((*n + 1) * sizeof(Line));
	for (i = 0; i < *n; i++)
	{
		lines[i].line_no = oms_get_int32(i, 1);
		lines[i].whole = true;
		lines[i].ordered = oms_get_int32(i, 2);
		lines[i].cancelled = oms_get_int32(i, 3);
		lines[i].allocated = oms_get_int32(i, 4);
		lines[i].backordered = oms_get_int32(i, 5);
		lines[i].discount = oms_get_money(i, 6, head->exponent);
		lines[i].tax = oms_get_money(i, 7, head->exponent);
		lines[i].total = oms_get_money(i, 8, head->exponent);
	}
	return lines;
}

/* Value of the units of a line that are not cancelled. */
static int64
live_value(const Line *line)
{
	return oms_units_share(line->total, line->ordered, 0, line->ordered - line->cancelled);
}

static Datum
int32s(const Line *lines, int n, size_t offset)
{
	int32	   *values = palloc((n + 1) * sizeof(int32));
	int			i;

	for (i = 0; i < n; i++)
		values[i] = *(const int32 *) ((const char *) &lines[i] + offset);
	return oms_int4_array(values, n);
}

static Datum
int64s(const Line *lines, int n, size_t offset)
{
	int64	   *values = palloc((n + 1) * sizeof(int64));
	int			i;

	for (i = 0; i < n; i++)
		values[i] = *(const int64 *) ((const char *) &lines[i] + offset);
	return oms_int8_array(values, n);
}

#define INT32S(member) int32s(lines, n, offsetof(Line, member))
#define INT64S(member) int64s(lines, n, offsetof(Line, member))

static Datum
wholes(const Line *lines, int n)
{
	Datum	   *values = palloc((n + 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < n; i++)
		values[i] = BoolGetDatum(lines[i].whole);
	return PointerGetDatum(construct_array(values, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR));
}

/*
 * Hands over the promises of lines that stay in part: of each part of a kit as
 * much as the units need, by location, so that a kit's parts stay together.
 */
static void
move_some_promises(const OmsOrderHead *from, int64 to, const Line *lines, int n)
{
	Datum		key[2] = {Int32GetDatum(from->merchant), Int64GetDatum(from->order_id)};
	int			rows = (int) oms_run(&statements[ST_PROMISES], key, NULL);
	int64	  (*promises)[6] = palloc((rows + 1) * sizeof(*promises));
	int64		left = 0;
	int			i;
	int			j;

	for (i = 0; i < rows; i++)
	{
		promises[i][0] = oms_get_int64(i, 1);
		promises[i][1] = oms_get_int32(i, 2);
		promises[i][2] = oms_get_int64(i, 3);
		promises[i][3] = oms_get_int32(i, 4);
		promises[i][4] = oms_get_int64(i, 5);
		promises[i][5] = oms_get_int32(i, 6);
	}
	for (i = 0; i < rows; i++)
	{
		Datum		values[6] = {
			key[0], Int64GetDatum(promises[i][2]), Int32GetDatum((int32) promises[i][3]), Int64GetDatum(promises[i][0])
		};
		int64		part;

		for (j = 0; j < n && lines[j].line_no != promises[i][1]; j++)
			;
		if (j == n || lines[j].whole)
			continue;
		if (i == 0 || promises[i - 1][1] != promises[i][1] || promises[i - 1][2] != promises[i][2])
			left = lines[j].allocated * promises[i][5];
		part = Min(left, promises[i][4]);
		left -= part;
		if (part == 0)
			continue;
		if (part == promises[i][4])
		{
			values[4] = Int64GetDatum(to);
			values[5] = Int32GetDatum(lines[j].to_line);
			oms_run_guarded(&statements[ST_GIVE_PROMISE], values, NULL);
			continue;
		}
		values[4] = Int64GetDatum(part);
		oms_run_guarded(&statements[ST_CUT_PROMISE], values, NULL);
		values[3] = Int64GetDatum(to);
		values[4] = Int32GetDatum(lines[j].to_line);
		values[5] = Int64GetDatum(part);
		oms_run_guarded(&statements[ST_ADD_PROMISE], values, NULL);
	}
}

/* Moves lines, or units of them, with all that hangs on them.  Both orders are locked. */
static void
move_lines(const OmsOrderHead *from, int64 to, const Line *lines, int n)
{
	Datum		exponent = Int32GetDatum(from->exponent);
	Datum		shrink[11] = {
		Int32GetDatum(from->merchant), Int64GetDatum(from->order_id), INT32S(line_no), wholes(lines, n), INT32S(ordered),
		INT32S(allocated), INT32S(backordered), INT64S(discount), INT64S(tax), exponent, INT64S(total)
	};
	Datum		add[12] = {
		shrink[0], shrink[1], Int64GetDatum(to), shrink[2], INT32S(to_line), INT32S(ordered), INT32S(cancelled), INT32S(allocated),
		exponent, INT64S(discount), INT64S(tax), INT64S(total)
	};
	Datum		moved[6] = {shrink[0], shrink[1], add[2], shrink[2], add[4], shrink[3]};
	Datum		backordered[4] = {shrink[0], add[2], add[4], shrink[6]};
	Datum		drop[3] = {shrink[0], shrink[1]};
	int32	   *gone = palloc((n + 1) * sizeof(int32));
	int			ngone = 0;
	int			i;

	for (i = 0; i < n; i++)
		if (lines[i].whole)
			gone[ngone++] = lines[i].line_no;
	drop[2] = oms_int4_array(gone, ngone);
	oms_run_guarded(&statements[ST_ADD_LINES], add, NULL);
	oms_sale_limit_moved(DatumGetInt32(add[0]), DatumGetInt64(add[2]), add[4]);
	oms_run_guarded(&statements[ST_COPY_PARTS], moved, NULL);
	oms_run_guarded(&statements[ST_COPY_ASKED], moved, NULL);
	oms_run_guarded(&statements[ST_COPY_DATES], moved, NULL);
	oms_run_guarded(&statements[ST_MOVE_PROMISES], moved, NULL);
	move_some_promises(from, to, lines, n);
	oms_run_guarded(&statements[ST_SHRINK], shrink, NULL);
	oms_run_guarded(&statements[ST_BACKORDERED], backordered, NULL);
	oms_run_guarded(&statements[ST_DROP_PARTS], drop, NULL);
	oms_run_guarded(&statements[ST_DROP_ASKED], drop, NULL);
	oms_run_guarded(&statements[ST_DROP_DATES], drop, NULL);
	oms_run_guarded(&statements[ST_DROP_LINES], drop, NULL);
}

/* Shares the charges by what the lines are worth. */
static void
share_charges(const OmsOrderHead *from, int64 to, int64 keeps, int64 gets)
{
	Datum		values[7] = {Int32GetDatum(from->merchant), Int64GetDatum(from->order_id)};
	int			n = (int) oms_run(&statements[ST_CHARGES], values, NULL);
	int64	  (*charges)[3] = palloc((n + 1) * sizeof(*charges));
	int64		weights[2] = {keeps, gets};
	int			i;

	for (i = 0; i < n; i++)
	{
		charges[i][0] = oms_get_int32(i, 1);
		charges[i][1] = oms_get_money(i, 2, from->exponent);
		charges[i][2] = oms_get_money(i, 3, from->exponent);
	}
	values[3] = Int64GetDatum(to);
	values[4] = BoolGetDatum(from->tax_included);
	for (i = 0; i < n; i++)
	{
		int64		tax[2];
		int64		total[2];

		if (!oms_prorate(charges[i][1], weights, 2, tax) || !oms_prorate(charges[i][2], weights, 2, total) ||
			(tax[1] == 0 && total[1] == 0))
			continue;
		values[2] = Int32GetDatum((int32) charges[i][0]);
		values[5] = oms_scaled_to_numeric(tax[1], from->exponent);
		values[6] = oms_scaled_to_numeric(total[1], from->exponent);
		oms_run_guarded(&statements[ST_ADD_CHARGE], values, NULL);
		oms_run_guarded(&statements[ST_SET_CHARGE], values, NULL);
	}
}

/* Brings the sums of an order in line with its lines and charges. */
static void
sum_up(const OmsOrderHead *head, int64 order_id)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(order_id), Int32GetDatum(head->exponent)};

	oms_run_guarded(&statements[ST_SUMS], values, NULL);
}

void
oms_order_link(int32 merchant, int64 source, int64 target, const char *kind, const char *actor, const char *reason)
{
	Datum		values[7] = {
		Int32GetDatum(merchant), Int64GetDatum(source), Int64GetDatum(target), TimestampTzGetDatum(oms_now()),
		CStringGetTextDatum(kind), CStringGetTextDatum(actor), reason != NULL ? CStringGetTextDatum(reason) : (Datum) 0
	};

	oms_run_guarded(&statements[ST_LINK], values, reason != NULL ? NULL : "      n");
}

/* Says of both orders what went from one to the other. */
static void
announce(const OmsOrderHead *from, int64 to, const char *type, const char *back, const Line *lines, int n)
{
	Datum	   *elements = palloc((n + 1) * sizeof(Datum));
	OmsJson		json;
	int			i;

	for (i = 0; i < n; i++)
	{
		oms_json_begin(&json);
		oms_json_add_int(&json, "line", lines[i].line_no);
		oms_json_add_int(&json, "to_line", lines[i].to_line);
		oms_json_add_int(&json, "quantity", lines[i].ordered - lines[i].cancelled);
		elements[i] = oms_json_end(&json);
	}
	for (i = 0; i < 2; i++)
	{
		oms_json_begin(&json);
		oms_json_add_int(&json, i == 0 ? "into" : "from", i == 0 ? to : from->order_id);
		oms_json_add_array(&json, "lines", elements, n);
		oms_event_of_order(from->merchant, i == 0 ? from->order_id : to, i == 0 ? type : back, NULL, NULL, oms_json_end(&json));
	}
}

/* Refuses (OM005, OM008) an order that cannot be split or merged, saying why. */
static void
require_movable(const OmsOrderHead *head, const char *doing)
{
	Datum		values[3] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id), TimestampTzGetDatum(oms_now())};

	if (strcmp(head->lifecycle, "cancelled") == 0 || strcmp(head->lifecycle, "completed") == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " is %s", head->order_id, head->lifecycle),
				 errdetail("%s needs an open order.", doing)));
	if (head->on_hold)
		ereport(ERROR,
				(errcode(OMS_ON_HOLD),
				 errmsg("order " INT64_FORMAT " is on hold", head->order_id),
				 errdetail("%s would take units out of what is held.", doing),
				 errhint("Release its holds with release_hold() first.")));
	oms_order_require_unexpired(head, doing);
	if (oms_run(&statements[ST_OBSTACLE], values, NULL) > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("order " INT64_FORMAT " cannot be split or merged", head->order_id),
				 errdetail("Its %s.", oms_get_text(0, 1)),
				 errhint("It is for orders that nothing was done for yet.")));
}

/* Takes out of all lines those that move, with their share; returns how many. OM002, OM007. */
static int
choose_lines(const OmsOrderHead *head, const Line *all, int nall, const OmsUnits *units, int nunits, Line *moved)
{
	int			i;
	int			j;

	for (i = 0; i < nunits; i++)
	{
		const Line *line;
		int32		quantity = units[i].quantity;
		int32		top;

		for (j = 0; j < nall && all[j].line_no != units[i].line_no; j++)
			;
		if (j == nall)
			ereport(ERROR,
					(errcode(OMS_UNKNOWN),
					 errmsg("order " INT64_FORMAT " has no line %d", head->order_id, units[i].line_no)));
		line = &all[j];
		top = line->ordered - line->cancelled;
		if (quantity > top)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("line %d of order " INT64_FORMAT " has no %d units to move", line->line_no, head->order_id, quantity),
					 errdetail("%d ordered, %d cancelled.", line->ordered, line->cancelled)));
		moved[i] = *line;
		moved[i].to_line = i + 1;
		moved[i].whole = quantity == line->ordered;
		moved[i].ordered = quantity;
		moved[i].cancelled = 0;
		moved[i].allocated = Min(line->allocated, quantity);
		moved[i].backordered = Min(line->backordered, quantity - moved[i].allocated);
		moved[i].discount = oms_units_share(line->discount, line->ordered, top - quantity, top);
		moved[i].tax = oms_units_share(line->tax, line->ordered, top - quantity, top);
		moved[i].total = oms_units_share(line->total, line->ordered, top - quantity, top);
	}
	return nunits;
}

/* What the order has become may want a hold or an approval; its total changed more than once on the way. */
static void
judge(int32 merchant, int64 order_id, const char *actor)
{
	if (oms_orders_are_judged(merchant))
		(void) oms_order_judge(merchant, order_id, actor);
}

/* SQL: split_order(merchant, order_id, lines, request_key, actor, reason) */
Datum
oms_split_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsOrderHead part;
	OmsUnits   *units;
	int64		result;
	int			nunits;

	oms_arg_require(fcinfo, 2, "lines");
	units = oms_units_document(PG_GETARG_JSONB_P(2), &nunits);
	if (!oms_call_repeated(fcinfo, "split_order", 3, &call, &result))
	{
		Datum		values[4] = {Int32GetDatum(call.merchant), Int64GetDatum(order_id)};
		Line	   *moved = palloc(nunits * sizeof(Line));
		Line	   *all;
		int64		units_left = 0;
		int64		live = 0;
		int64		gets = 0;
		int			nall;
		int			i;

		oms_order_lock(call.merchant, order_id, &head);
		require_movable(&head, "splitting");
		all = read_lines(&head, &nall);
		choose_lines(&head, all, nall, units, nunits, moved);
		for (i = 0; i < nall; i++)
		{
			live = oms_money_add(live, live_value(&all[i]));
			units_left += all[i].ordered - all[i].cancelled;
		}
		for (i = 0; i < nunits; i++)
		{
			gets = oms_money_add(gets, moved[i].total);
			units_left -= moved[i].ordered;
		}
		if (units_left == 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("splitting would leave nothing of order " INT64_FORMAT, order_id),
					 errhint("Leave a unit behind.")));
		result = oms_next_order_id();
		values[2] = Int64GetDatum(result);
		values[3] = CStringGetTextDatum(call.actor);
		oms_run_guarded(&statements[ST_NEW_ORDER], values, NULL);
		oms_run_guarded(&statements[ST_SHARE_DEPOSIT], values, NULL);
		oms_run_guarded(&statements[ST_COPY_TERMS], values, NULL);
		oms_order_link(call.merchant, order_id, result, "split", call.actor, call.reason);
		move_lines(&head, result, moved, nunits);
		share_charges(&head, result, live - gets, gets);
		announce(&head, result, "order.split", "order.split_off", moved, nunits);
		sum_up(&head, order_id);
		sum_up(&head, result);
		oms_order_refresh(call.merchant, order_id);
		oms_order_refresh(call.merchant, result);
		oms_run_guarded(&statements[ST_SHARE_BASE], values, NULL);
		oms_order_lock(call.merchant, order_id, &head);
		oms_order_lock(call.merchant, result, &part);
		oms_payment_move_share(&head, &part, head.total - head.cancelled_total, part.total, call.actor);
		judge(call.merchant, order_id, call.actor);
		judge(call.merchant, result, call.actor);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* Moves all of one order into another. */
static void
merge(const OmsOrderHead *from, const OmsOrderHead *into, const OmsCall *call)
{
	Datum		values[3] = {Int32GetDatum(from->merchant), Int64GetDatum(from->order_id), Int64GetDatum(into->order_id)};
	Datum		key[2] = {values[0], values[2]};
	Line	   *lines;
	int32		last;
	int			n;
	int			i;

	oms_run(&statements[ST_SAME], values, NULL);
	if (!oms_is_null(0, 1))
	{
		char	   *what = oms_get_text(0, 1);

		ereport(ERROR,
				(errcode(strcmp(what, "currency") == 0 ? OMS_CURRENCY : OMS_STATE),
				 errmsg("orders " INT64_FORMAT " and " INT64_FORMAT " cannot be merged", from->order_id, into->order_id),
				 errdetail("They differ in %s.", what)));
	}
	oms_run(&statements[ST_LAST_LINE], key, NULL);
	last = oms_get_int32(0, 1);
	lines = read_lines(from, &n);
	for (i = 0; i < n; i++)
		lines[i].to_line = last + i + 1;
	oms_order_link(from->merchant, from->order_id, into->order_id, "merge", call->actor, call->reason);
	move_lines(from, into->order_id, lines, n);
	oms_run_guarded(&statements[ST_MOVE_CHARGES], values, NULL);
	announce(from, into->order_id, "order.merged", "order.merged_in", lines, n);
	oms_payment_move_all(from, into);
	sum_up(from, from->order_id);
	sum_up(from, into->order_id);
	oms_run_guarded(&statements[ST_EMPTIED], values, NULL);
	oms_order_refresh(into->merchant, into->order_id);
	oms_run_guarded(&statements[ST_SHARE_BASE], values, NULL);
}

/* SQL: merge_orders(merchant, into_order, orders, request_key, actor, reason) */
Datum
oms_merge_orders(PG_FUNCTION_ARGS)
{
	int64		into_id = oms_arg_int64(fcinfo, 1, "into_order");
	ArrayType  *array;
	OmsCall		call;
	int64		result;

	oms_arg_require(fcinfo, 2, "orders");
	array = PG_GETARG_ARRAYTYPE_P(2);
	if (ARR_NDIM(array) != 1 || ARR_HASNULL(array) || ARR_DIMS(array)[0] > 1000)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"orders\" is out of range"),
				 errdetail("It has one dimension, 1 to 1000 orders and no nulls.")));
	if (!oms_call_repeated(fcinfo, "merge_orders", 3, &call, &result))
	{
		int			n = ARR_DIMS(array)[0] + 1;
		int64	   *ids = palloc(n * sizeof(int64));
		OmsOrderHead *heads = palloc(n * sizeof(OmsOrderHead));
		int			into = 0;
		int			i;

		memcpy(ids, ARR_DATA_PTR(array), (n - 1) * sizeof(int64));
		ids[n - 1] = into_id;
		/* All locks first, in one order whoever merges. */
		qsort(ids, n, sizeof(int64), compare_ids);
		for (i = 0; i < n; i++)
		{
			if (i > 0 && ids[i] == ids[i - 1])
				ereport(ERROR,
						(errcode(OMS_ARGUMENT),
						 errmsg("order " INT64_FORMAT " is named twice", ids[i]),
						 errhint("Name the order to merge into, and each other order once.")));
			oms_order_lock(call.merchant, ids[i], &heads[i]);
			require_movable(&heads[i], "merging");
			if (ids[i] == into_id)
				into = i;
		}
		for (i = 0; i < n; i++)
			if (i != into)
				merge(&heads[i], &heads[into], &call);
		judge(call.merchant, into_id, call.actor);
		result = into_id;
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
