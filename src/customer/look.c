/*-------------------------------------------------------------------------
 * look.c
 *	  Looking at one order: its document, and what its customer may see.  Each
 *	  is one query; here its plan is kept, which a function in SQL would make
 *	  anew for every call.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

PG_FUNCTION_INFO_V1(oms_order_document);
PG_FUNCTION_INFO_V1(oms_track);

enum
{
	ST_DOCUMENT,
	ST_TRACK
};

static OmsStatement statements[] = {
	[ST_DOCUMENT] = {
		"SELECT to_jsonb(o) - 'merchant_id' || jsonb_build_object( "
		" 'channel', o.channel, "
		" 'lines', (SELECT coalesce(jsonb_agg(to_jsonb(l) - '{merchant_id,order_id}'::text[] "
		"   || jsonb_build_object('promised_at', p.promised_at, 'original_promised_at', p.original_at, 'preordered', coalesce(q.quantity, 0)) "
		"   ORDER BY l.line_no), '[]') "
		"  FROM oms.order_line l "
		"  LEFT JOIN oms.line_promise p ON p.merchant_id = l.merchant_id AND p.order_id = l.order_id AND p.line_no = l.line_no "
		"  LEFT JOIN oms.preorder_line q ON q.merchant_id = l.merchant_id AND q.order_id = l.order_id AND q.line_no = l.line_no "
		"  WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id), "
		" 'charges', (SELECT coalesce(jsonb_agg(to_jsonb(c) - '{merchant_id,order_id}'::text[] ORDER BY c.charge_no), '[]') "
		"  FROM oms.order_charge c WHERE c.merchant_id = o.merchant_id AND c.order_id = o.order_id), "
		" 'holds', (SELECT coalesce(jsonb_agg(to_jsonb(h) - '{merchant_id,order_id}'::text[] ORDER BY h.hold_id), '[]') "
		"  FROM oms.order_hold h WHERE h.merchant_id = o.merchant_id AND h.order_id = o.order_id), "
		" 'payments', (SELECT coalesce(jsonb_agg(to_jsonb(p) - '{merchant_id,order_id}'::text[] ORDER BY p.payment_id), '[]') "
		"  FROM oms.payment p WHERE p.merchant_id = o.merchant_id AND p.order_id = o.order_id), "
		" 'fulfilments', (SELECT coalesce(jsonb_agg(to_jsonb(f) - '{merchant_id,order_id}'::text[] || jsonb_build_object( "
		"   'lines', (SELECT coalesce(jsonb_agg(to_jsonb(fl) - '{merchant_id,order_id,fulfilment_id}'::text[] ORDER BY fl.line_no), '[]') "
		"    FROM oms.fulfilment_line fl WHERE fl.merchant_id = f.merchant_id AND fl.fulfilment_id = f.fulfilment_id)) "
		"   ORDER BY f.fulfilment_id), '[]') "
		"  FROM oms.fulfilment f WHERE f.merchant_id = o.merchant_id AND f.order_id = o.order_id), "
		" 'shipments', (SELECT coalesce(jsonb_agg(to_jsonb(s) - '{merchant_id,order_id,order_number,channel_id}'::text[] || jsonb_build_object( "
		"   'tracking', (SELECT coalesce(jsonb_agg(to_jsonb(t) - '{merchant_id,shipment_id}'::text[] ORDER BY t.occurred_at), '[]') "
		"    FROM oms.tracking_event t WHERE t.merchant_id = s.merchant_id AND t.shipment_id = s.shipment_id)) "
		"   ORDER BY s.shipment_id), '[]') "
		"  FROM oms.shipments s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id), "
		" 'returns', (SELECT coalesce(jsonb_agg(to_jsonb(r) - '{merchant_id,order_id}'::text[] || jsonb_build_object( "
		"   'lines', (SELECT coalesce(jsonb_agg(to_jsonb(rl) - '{merchant_id,order_id,return_id}'::text[] ORDER BY rl.line_no), '[]') "
		"    FROM oms.return_line rl WHERE rl.merchant_id = r.merchant_id AND rl.return_id = r.return_id)) "
		"   ORDER BY r.return_id), '[]') "
		"  FROM oms.return_order r WHERE r.merchant_id = o.merchant_id AND r.order_id = o.order_id), "
		" 'refunds', (SELECT coalesce(jsonb_agg(to_jsonb(r) - '{merchant_id,order_id}'::text[] || jsonb_build_object( "
		"   'lines', (SELECT coalesce(jsonb_agg(to_jsonb(rl) - '{merchant_id,order_id,refund_id}'::text[] ORDER BY rl.line_no), '[]') "
		"    FROM oms.refund_line rl WHERE rl.merchant_id = r.merchant_id AND rl.refund_id = r.refund_id)) "
		"   ORDER BY r.refund_id), '[]') "
		"  FROM oms.refund r WHERE r.merchant_id = o.merchant_id AND r.order_id = o.order_id), "
		" 'messages', (SELECT coalesce(jsonb_agg(to_jsonb(m) - '{merchant_id,order_id,data}'::text[] ORDER BY m.message_id), '[]') "
		"  FROM oms.message m WHERE m.merchant_id = o.merchant_id AND m.order_id = o.order_id)) "
		"FROM oms.orders o "
		"WHERE o.merchant_id = $1 AND o.order_id = $2 ",
		2, {INT4OID, INT8OID}
	},
	/* Digests are compared, so that the time it takes says nothing about the secret. */
	[ST_TRACK] = {
		"SELECT jsonb_build_object( "
		" 'number', $2, "
		" 'placed_at', o.placed_at, "
		" 'stage', CASE "
		"  WHEN o.lifecycle = 'cancelled' THEN 'cancelled' "
		"  WHEN o.fulfilment_state = 'delivered' THEN 'delivered' "
		"  WHEN o.fulfilment_state = 'fulfilled' THEN 'on its way' "
		"  WHEN o.fulfilment_state = 'partial' THEN 'partly on its way' "
		"  WHEN EXISTS (SELECT FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.picked > l.shipped) THEN 'being packed' "
		"  WHEN o.on_hold THEN 'being checked' "
		"  WHEN EXISTS (SELECT FROM oms.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.backordered > 0) THEN 'waiting for goods' "
		"  WHEN o.lifecycle = 'placed' THEN 'received' "
		"  ELSE 'being prepared' END, "
		" 'total', o.total - o.cancelled_total, "
		" 'currency', o.currency, "
		" 'payment', o.payment_state, "
		" 'returns', o.return_state, "
		" 'lines', (SELECT jsonb_agg(jsonb_build_object('sku', l.sku, 'title', l.title, 'ordered', l.ordered, 'cancelled', l.cancelled, "
		"   'waiting', l.backordered, 'expected_at', p.promised_at, 'shipped', l.shipped, 'delivered', l.delivered, 'returned', l.returned) ORDER BY l.line_no) "
		"  FROM oms.order_line l "
		"  LEFT JOIN oms.line_promise p ON p.merchant_id = l.merchant_id AND p.order_id = l.order_id AND p.line_no = l.line_no AND l.backordered > 0 "
		"  WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id), "
		" 'parcels', (SELECT coalesce(jsonb_agg(jsonb_build_object('carrier', s.carrier, 'service', s.service, 'tracking_number', s.tracking_number, "
		"   'status', s.status, 'tracking_url', s.tracking_url, 'shipped_at', s.shipped_at, 'delivered_at', s.delivered_at, "
		"   'events', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', t.occurred_at, 'status', t.status, 'place', t.place, 'text', t.description) ORDER BY t.occurred_at), '[]') "
		"    FROM oms.tracking_event t WHERE t.merchant_id = s.merchant_id AND t.shipment_id = s.shipment_id)) ORDER BY s.shipment_id), '[]') "
		"  FROM oms.shipments s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id AND s.kind <> 'service')) "
		"FROM (SELECT x.* FROM oms.sales_order x WHERE x.merchant_id = $1 AND x.number = $2 "
		" UNION ALL "
		" SELECT x.* FROM oms.channel c "
		" JOIN oms.sales_order x ON x.merchant_id = c.merchant_id AND x.channel_id = c.channel_id AND x.number IS NULL "
		"  AND x.order_id = CASE WHEN starts_with($2, c.number_prefix) AND substr($2, length(c.number_prefix) + 1) ~ '^[1-9][0-9]{0,17}$' "
		"   THEN substr($2, length(c.number_prefix) + 1)::bigint END "
		" WHERE c.merchant_id = $1) o "
		"LEFT JOIN oms.customer u ON u.merchant_id = o.merchant_id AND u.customer_id = o.customer_id "
		"LEFT JOIN oms.track_secret s ON s.merchant_id = o.merchant_id "
		"WHERE sha256(convert_to(lower(btrim($3)), 'UTF8')) IN ( "
		" sha256(convert_to(lower(o.email), 'UTF8')), "
		" sha256(convert_to(lower(u.email), 'UTF8')), "
		" sha256(convert_to(encode(sha256(convert_to(s.secret, 'UTF8') || sha256(convert_to(s.secret || ':' || o.merchant_id || ':' || o.order_id, 'UTF8'))), 'hex'), 'UTF8'))) ",
		3, {INT4OID, TEXTOID, TEXTOID}
	},
};

/* The jsonb that the statement gives, outside of SPI; null when there is no row. */
static Datum
one_document(FunctionCallInfo fcinfo, OmsStatement *statement, Datum *values)
{
	Datum		result = (Datum) 0;
	bool		isnull = true;

	oms_begin();
	if (oms_run(statement, values, NULL) > 0)
		result = oms_get(0, 1, &isnull);
	if (!isnull)
		result = oms_copy_out(result, false, -1);
	oms_end();
	if (isnull)
		PG_RETURN_NULL();
	return result;
}

/* SQL: order_document(merchant, order_id) -> jsonb, null when the merchant has no such order. */
Datum
oms_order_document(PG_FUNCTION_ARGS)
{
	Datum		values[2];

	values[0] = Int32GetDatum(oms_arg_merchant(fcinfo));
	values[1] = Int64GetDatum(oms_arg_int64(fcinfo, 1, "order_id"));
	return one_document(fcinfo, &statements[ST_DOCUMENT], values);
}

/* SQL: track(merchant, number, secret) -> jsonb, null for a wrong pair, a missing part included. */
Datum
oms_track(PG_FUNCTION_ARGS)
{
	Datum		values[3];

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);
	return one_document(fcinfo, &statements[ST_TRACK], values);
}
