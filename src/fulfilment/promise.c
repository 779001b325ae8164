/*-------------------------------------------------------------------------
 * promise.c
 *	  Ending the promises that stock holds for the lines of an order.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "fulfilment/fulfilment.h"

enum
{
	ST_RELEASE,
	ST_RELEASE_SPARE
};

static OmsStatement statements[] = {
	/*
	 * Takes the oldest promises first: whole rows go, the last one may shrink.
	 * Answers what was needed and what was found.
	 */
	[ST_RELEASE] = {
		"WITH need AS (SELECT v.line_no, v.location_id, coalesce(c.item_id, l.item_id) AS item_id, "
		"sum(v.units::bigint * coalesce(c.per_unit, 1))::bigint AS quantity "
		"FROM unnest($3::int[], $4::int[], $5::int[]) v(line_no, location_id, units) "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = v.line_no "
		"GROUP BY 1, 2, 3), "
		"held AS (SELECT r.line_no, r.location_id, r.item_id, r.reservation_id, r.quantity, "
		"least(r.quantity, greatest(0, n.quantity - (sum(r.quantity) OVER "
		"(PARTITION BY r.line_no, r.location_id, r.item_id ORDER BY r.reservation_id) - r.quantity)))::bigint AS take "
		"FROM oms.reservation r JOIN need n ON n.line_no = r.line_no AND n.location_id = r.location_id AND n.item_id = r.item_id "
		"WHERE r.merchant_id = $1 AND r.order_id = $2), "
		"gone AS (DELETE FROM oms.reservation r USING held h WHERE r.merchant_id = $1 AND r.order_id = $2 AND r.item_id = h.item_id "
		"AND r.location_id = h.location_id AND r.reservation_id = h.reservation_id AND h.take = h.quantity), "
		"less AS (UPDATE oms.reservation r SET quantity = r.quantity - h.take FROM held h WHERE r.merchant_id = $1 "
		"AND r.order_id = $2 AND r.item_id = h.item_id AND r.location_id = h.location_id AND r.reservation_id = h.reservation_id "
		"AND h.take > 0 AND h.take < h.quantity) "
		"SELECT n.line_no, n.location_id, n.item_id, n.quantity, coalesce((SELECT sum(h.take) FROM held h "
		"WHERE h.line_no = n.line_no AND h.location_id = n.location_id AND h.item_id = n.item_id), 0)::bigint FROM need n",
		5, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}
	},

	/*
	 * The same for $4 units of line $3 wherever they are promised, but never
	 * what is picked: first what no fulfilment has, then what is planned, each
	 * time the youngest promise first.
	 */
	[ST_RELEASE_SPARE] = {
		"WITH part AS (SELECT c.item_id, c.per_unit FROM oms.order_line_component c "
		"WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3 UNION ALL "
		"SELECT l.item_id, 1 FROM oms.order_line l WHERE l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = $3 "
		"AND NOT EXISTS (SELECT FROM oms.order_line_component c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = $3)), "
		"held AS (SELECT r.location_id, r.item_id, r.reservation_id, r.quantity, sum(r.quantity) OVER "
		"(PARTITION BY r.location_id, r.item_id ORDER BY r.reservation_id DESC) AS running FROM oms.reservation r "
		"WHERE r.merchant_id = $1 AND r.order_id = $2 AND r.line_no = $3), "
		"work AS (SELECT f.location_id, sum(fl.quantity - fl.shipped) AS open, sum(fl.picked - fl.shipped) AS busy "
		"FROM oms.fulfilment_line fl JOIN oms.fulfilment f ON f.merchant_id = $1 AND f.order_id = $2 AND f.fulfilment_id = fl.fulfilment_id "
		"WHERE fl.merchant_id = $1 AND fl.order_id = $2 AND fl.line_no = $3 GROUP BY 1), "
		"level AS (SELECT h.location_id, h.item_id, p.per_unit, sum(h.quantity) AS promised, max(h.reservation_id) AS youngest, "
		"coalesce(max(w.open), 0) * p.per_unit AS open, coalesce(max(w.busy), 0) * p.per_unit AS busy FROM held h "
		"JOIN part p ON p.item_id = h.item_id LEFT JOIN work w ON w.location_id = h.location_id GROUP BY 1, 2, 3), "
		"slice AS (SELECT location_id, item_id, per_unit, youngest, 1 AS tier, greatest(promised - open, 0) AS units FROM level "
		"UNION ALL SELECT location_id, item_id, per_unit, youngest, 2, greatest(least(promised, open) - busy, 0) FROM level), "
		"taken AS (SELECT location_id, item_id, least(units, greatest(0, $4::bigint * per_unit - (sum(units) OVER "
		"(PARTITION BY item_id ORDER BY tier, youngest DESC) - units))) AS take FROM slice), "
		"amount AS (SELECT location_id, item_id, sum(take)::bigint AS take FROM taken GROUP BY 1, 2), "
		"gone AS (DELETE FROM oms.reservation r USING held h, amount a WHERE a.location_id = h.location_id AND a.item_id = h.item_id "
		"AND h.running <= a.take AND r.merchant_id = $1 AND r.order_id = $2 AND r.item_id = h.item_id AND r.location_id = h.location_id "
		"AND r.reservation_id = h.reservation_id), "
		"less AS (UPDATE oms.reservation r SET quantity = r.quantity - (a.take - (h.running - h.quantity)) FROM held h, amount a "
		"WHERE a.location_id = h.location_id AND a.item_id = h.item_id AND h.running > a.take AND h.running - h.quantity < a.take "
		"AND r.merchant_id = $1 AND r.order_id = $2 AND r.item_id = h.item_id AND r.location_id = h.location_id "
		"AND r.reservation_id = h.reservation_id) "
		"SELECT p.item_id, $4::bigint * p.per_unit, coalesce(sum(a.take) OVER (PARTITION BY p.item_id), 0)::bigint, a.location_id "
		"FROM part p LEFT JOIN amount a ON a.item_id = p.item_id AND a.take > 0",
		4, {INT4OID, INT8OID, INT4OID, INT4OID}
	},
};

void
oms_promise_release(const OmsOrderHead *head, const int32 *lines, const int32 *locations, const int32 *units, int n)
{
	Datum		values[5];
	uint64		rows;
	uint64		i;

	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = oms_int4_array(lines, n);
	values[3] = oms_int4_array(locations, n);
	values[4] = oms_int4_array(units, n);
	rows = oms_run_guarded(&statements[ST_RELEASE], values, NULL);
	for (i = 0; i < rows; i++)
		if (oms_get_int64(i, 4) != oms_get_int64(i, 5))
			ereport(ERROR,
					(errcode(OMS_COUNTERS),
					 errmsg("order " INT64_FORMAT " line %d has no such promise at location %d", head->order_id,
							oms_get_int32(i, 1), oms_get_int32(i, 2)),
					 errdetail(INT64_FORMAT " of item " INT64_FORMAT " are to leave, " INT64_FORMAT " are promised there.",
							   oms_get_int64(i, 4), oms_get_int64(i, 3), oms_get_int64(i, 5)),
					 errhint("Cancel the fulfilment and plan again.")));
}

void
oms_promise_release_spare(int32 merchant, int64 order_id, int32 line_no, int32 units, OmsFreed *freed)
{
	Datum		values[4] = {Int32GetDatum(merchant), Int64GetDatum(order_id), Int32GetDatum(line_no), Int32GetDatum(units)};
	uint64		rows = oms_run_guarded(&statements[ST_RELEASE_SPARE], values, NULL);
	uint64		i;

	for (i = 0; i < rows; i++)
	{
		if (oms_get_int64(i, 2) != oms_get_int64(i, 3))
			ereport(ERROR,
					(errcode(OMS_COUNTERS),
					 errmsg("order " INT64_FORMAT " line %d has no %d promised units that are not picked", order_id, line_no, units),
					 errdetail(INT64_FORMAT " of item " INT64_FORMAT " are to be released, " INT64_FORMAT " are free.",
							   oms_get_int64(i, 2), oms_get_int64(i, 1), oms_get_int64(i, 3)),
					 errhint("Put picked units back with cancel_fulfilment() first.")));
		if (!oms_is_null(i, 4))
			oms_freed_add(freed, (OmsGateKey) {merchant, oms_get_int32(i, 4), oms_get_int64(i, 1)});
	}
}
