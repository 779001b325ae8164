-- Lots: what lies where, what went where, promises that expired lots cannot keep, and verify.

CREATE OR REPLACE VIEW oms.lot_level AS
SELECT s.merchant_id, s.item_id, i.sku, s.lot_id, t.lot, s.location_id, s.bin, t.status, t.expires_at, s.sell_by, s.received_at,
	s.on_hand, s.damaged + s.quality_control + s.quarantine AS unavailable, s.picked,
	CASE WHEN s.stopped OR s.sell_by <= oms.clock() THEN 0
		ELSE s.on_hand - s.damaged - s.quality_control - s.quarantine - s.picked END AS free
FROM oms.lot_stock s
JOIN oms.lot t ON t.merchant_id = s.merchant_id AND t.item_id = s.item_id AND t.lot_id = s.lot_id
JOIN oms.item i ON i.merchant_id = s.merchant_id AND i.item_id = s.item_id
WHERE s.on_hand <> 0;
COMMENT ON VIEW oms.lot_level IS 'Lots and serial numbers that are in stock, and where';
COMMENT ON COLUMN oms.lot_level.unavailable IS 'Damaged, in quality control or quarantined';
COMMENT ON COLUMN oms.lot_level.picked IS 'Picked for orders and not shipped yet';
COMMENT ON COLUMN oms.lot_level.sell_by IS 'From this instant on nothing of it is sold (UTC); infinity: never';
COMMENT ON COLUMN oms.lot_level.free IS 'Units that can be picked; 0 where the lot is past its sell_by, blocked or recalled';

CREATE OR REPLACE VIEW oms.lot_trace AS
SELECT m.merchant_id, m.item_id, i.sku, m.lot_id, t.lot, t.origin, m.at, m.kind AS what, m.location_id, m.quantity,
	r.order_id, NULL::int AS line_no, NULL::bigint AS carton_id, NULL::bigint AS shipment_id, r.return_id, m.cause, m.actor
FROM oms.stock_movement m
JOIN oms.lot t ON t.merchant_id = m.merchant_id AND t.item_id = m.item_id AND t.lot_id = m.lot_id
JOIN oms.item i ON i.merchant_id = m.merchant_id AND i.item_id = m.item_id
LEFT JOIN oms.return_order r ON m.source_kind = 'return' AND r.merchant_id = m.merchant_id AND r.return_id = m.source_id
WHERE m.lot_id IS NOT NULL AND NOT (m.kind = 'shipment' AND m.source_kind IS NOT DISTINCT FROM 'shipment')
UNION ALL
SELECT p.merchant_id, p.item_id, i.sku, p.lot_id, t.lot, t.origin, coalesce(s.shipped_at, p.picked_at),
	CASE WHEN p.shipment_id IS NOT NULL THEN 'shipment' WHEN p.carton_id IS NOT NULL THEN 'packed' ELSE 'picked' END,
	p.location_id, -p.quantity, p.order_id, p.line_no, p.carton_id, p.shipment_id, NULL, 'order', p.actor
FROM oms.lot_pick p
JOIN oms.lot t ON t.merchant_id = p.merchant_id AND t.item_id = p.item_id AND t.lot_id = p.lot_id
JOIN oms.item i ON i.merchant_id = p.merchant_id AND i.item_id = p.item_id
LEFT JOIN oms.shipment s ON s.merchant_id = p.merchant_id AND s.shipment_id = p.shipment_id;
COMMENT ON VIEW oms.lot_trace IS 'The way of each lot and serial number, both ways: from a lot to where it came from and the orders and shipments that got it, from an order to its lots. One row per movement, and per part of an order line';
COMMENT ON COLUMN oms.lot_trace.origin IS 'Where the lot came from';
COMMENT ON COLUMN oms.lot_trace.at IS 'When (UTC instant)';
COMMENT ON COLUMN oms.lot_trace.what IS 'receipt, shipment, return, transfer, ... (kinds of stock_movement), or picked, packed: for an order, and not gone yet';
COMMENT ON COLUMN oms.lot_trace.quantity IS 'Change of the level in units; of what is picked or packed, the change to come';
COMMENT ON COLUMN oms.lot_trace.order_id IS 'Order that got it, or that it came back from';
COMMENT ON COLUMN oms.lot_trace.return_id IS 'Return it came back with';

CREATE OR REPLACE VIEW oms.lot_shortage AS
SELECT l.merchant_id, l.item_id, l.sku, l.location_id, l.location, l.allocated + l.held AS promised, l.stopped, -l.available AS missing,
	(SELECT array_agg(DISTINCT r.order_id) FROM oms.reservation r WHERE r.merchant_id = l.merchant_id AND r.item_id = l.item_id
		AND r.location_id = l.location_id) AS orders
FROM oms.stock_level l
WHERE l.stopped > 0 AND l.available < 0;
COMMENT ON VIEW oms.lot_shortage IS 'Promises that cannot be kept since lots expired or were stopped: receive other units, or short_pick() with adjust => false, which backorders';
COMMENT ON COLUMN oms.lot_shortage.promised IS 'Units promised to orders or held, at this location';
COMMENT ON COLUMN oms.lot_shortage.stopped IS 'Units of lots that are past their sell_by, blocked or recalled';
COMMENT ON COLUMN oms.lot_shortage.missing IS 'Units promised and not there';
COMMENT ON COLUMN oms.lot_shortage.orders IS 'Orders with promises of the item there';

CREATE OR REPLACE VIEW oms.verify_lot AS
WITH ledger AS (
	SELECT merchant_id, item_id, location_id, lot_id, sum(quantity) AS quantity, sum(damaged) AS damaged,
		sum(quality_control) AS quality_control, sum(quarantine) AS quarantine
	FROM oms.stock_movement WHERE lot_id IS NOT NULL GROUP BY 1, 2, 3, 4
), part AS (
	SELECT l.merchant_id, l.order_id, l.line_no, l.item_id, 1 AS per_unit FROM oms.order_line l
	UNION ALL SELECT merchant_id, order_id, line_no, item_id, per_unit FROM oms.order_line_component
)
SELECT coalesce(s.merchant_id, m.merchant_id) AS merchant_id, 'lot_is_ledger' AS rule,
	format('lot %s of item %s at location %s', coalesce(s.lot_id, m.lot_id), coalesce(s.item_id, m.item_id), coalesce(s.location_id, m.location_id)) AS object,
	format('on hand %s, damaged %s, quality control %s, quarantine %s (sum of movements)',
		coalesce(m.quantity, 0), coalesce(m.damaged, 0), coalesce(m.quality_control, 0), coalesce(m.quarantine, 0)) AS expected,
	format('on hand %s, damaged %s, quality control %s, quarantine %s', s.on_hand, s.damaged, s.quality_control, s.quarantine) AS found
FROM oms.lot_stock s FULL JOIN ledger m USING (merchant_id, item_id, location_id, lot_id)
WHERE (s.on_hand, s.damaged, s.quality_control, s.quarantine) IS DISTINCT FROM
	(coalesce(m.quantity, 0), coalesce(m.damaged, 0), coalesce(m.quality_control, 0), coalesce(m.quarantine, 0))
UNION ALL
SELECT s.merchant_id, 'lots_are_stock', format('item %s at location %s', s.item_id, s.location_id),
	format('on hand %s, unavailable %s', s.on_hand, s.damaged + s.quality_control + s.quarantine),
	format('in lots %s, unavailable %s', coalesce(x.on_hand, 0), coalesce(x.unavailable, 0))
FROM oms.stock s JOIN oms.item i USING (merchant_id, item_id)
LEFT JOIN (SELECT merchant_id, item_id, location_id, sum(on_hand) AS on_hand, sum(damaged + quality_control + quarantine) AS unavailable
	FROM oms.lot_stock GROUP BY 1, 2, 3) x USING (merchant_id, item_id, location_id)
WHERE (i.tracking <> 'none' OR x.on_hand IS NOT NULL)
	AND (s.on_hand, s.damaged + s.quality_control + s.quarantine) IS DISTINCT FROM (coalesce(x.on_hand, 0), coalesce(x.unavailable, 0))
UNION ALL
SELECT s.merchant_id, 'lot_level_follows', format('lot %s of item %s at location %s', s.lot_id, s.item_id, s.location_id),
	format('sell_by %s, %s, %s', t.sell_by, t.status, i.tracking), format('sell_by %s, stopped %s, serial %s', s.sell_by, s.stopped, s.serial)
FROM oms.lot_stock s JOIN oms.item i USING (merchant_id, item_id) JOIN oms.lot t USING (merchant_id, item_id, lot_id)
WHERE (s.sell_by, s.stopped, s.serial) IS DISTINCT FROM (t.sell_by, t.status <> 'released', i.tracking = 'serial')
UNION ALL
SELECT s.merchant_id, 'lot_picked', format('lot %s of item %s at location %s', s.lot_id, s.item_id, s.location_id),
	coalesce(p.quantity, 0) || ' as picked for orders', s.picked::text
FROM oms.lot_stock s LEFT JOIN (SELECT merchant_id, item_id, location_id, lot_id, sum(quantity) AS quantity FROM oms.lot_pick
	WHERE shipment_id IS NULL GROUP BY 1, 2, 3, 4) p USING (merchant_id, item_id, location_id, lot_id)
WHERE s.picked <> coalesce(p.quantity, 0)
UNION ALL
SELECT f.merchant_id, 'picked_from_lots', format('fulfilment %s line %s item %s', f.fulfilment_id, f.line_no, i.item_id),
	format('%s picked, %s packed, %s shipped', f.picked * p.per_unit, f.packed * p.per_unit, f.shipped * p.per_unit),
	format('%s picked, %s packed, %s shipped', coalesce(x.picked, 0), coalesce(x.packed, 0), coalesce(x.shipped, 0))
FROM oms.item i
JOIN part p ON p.merchant_id = i.merchant_id AND p.item_id = i.item_id
JOIN oms.fulfilment_line f ON f.merchant_id = p.merchant_id AND f.order_id = p.order_id AND f.line_no = p.line_no
LEFT JOIN (SELECT merchant_id, fulfilment_id, line_no, item_id, sum(quantity) AS picked,
		sum(quantity) FILTER (WHERE carton_id IS NOT NULL) AS packed, sum(quantity) FILTER (WHERE shipment_id IS NOT NULL) AS shipped
	FROM oms.lot_pick GROUP BY 1, 2, 3, 4) x
	ON x.merchant_id = f.merchant_id AND x.fulfilment_id = f.fulfilment_id AND x.line_no = f.line_no AND x.item_id = i.item_id
WHERE i.tracking <> 'none' AND (f.picked * p.per_unit, f.packed * p.per_unit, f.shipped * p.per_unit) IS DISTINCT FROM
	(coalesce(x.picked, 0), coalesce(x.packed, 0), coalesce(x.shipped, 0))
UNION ALL
SELECT coalesce(p.merchant_id, m.merchant_id), 'lot_shipped', format('shipment %s lot %s', coalesce(p.shipment_id, m.shipment_id), coalesce(p.lot_id, m.lot_id)),
	coalesce(p.quantity, 0)::text, coalesce(-m.quantity, 0)::text
FROM (SELECT merchant_id, shipment_id, item_id, lot_id, sum(quantity) AS quantity FROM oms.lot_pick
		WHERE shipment_id IS NOT NULL GROUP BY 1, 2, 3, 4) p
FULL JOIN (SELECT merchant_id, source_id AS shipment_id, item_id, lot_id, sum(quantity) AS quantity FROM oms.stock_movement
		WHERE kind = 'shipment' AND source_kind = 'shipment' AND lot_id IS NOT NULL GROUP BY 1, 2, 3, 4) m
	USING (merchant_id, shipment_id, item_id, lot_id)
WHERE coalesce(p.quantity, 0) <> coalesce(-m.quantity, 0);
COMMENT ON VIEW oms.verify_lot IS 'Broken invariants of lots and serial numbers; see verify()';
COMMENT ON COLUMN oms.verify_lot.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_lot.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_lot.object IS 'Where';
COMMENT ON COLUMN oms.verify_lot.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_lot.found IS 'What is';
