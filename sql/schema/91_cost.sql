-- Cost of goods sold: shipment lines beside the ledger of cost.

CREATE OR REPLACE VIEW oms.cost_of_goods AS
WITH part AS (
	SELECT s.merchant_id, s.shipment_id, s.order_id, s.line_no, s.quantity, s.from_unit, p.item_id, (s.quantity::bigint * p.per_unit) AS units,
		sum(s.quantity::bigint * p.per_unit) OVER (PARTITION BY s.merchant_id, s.shipment_id, p.item_id) AS all_units,
		sum(s.quantity::bigint * p.per_unit) OVER (PARTITION BY s.merchant_id, s.shipment_id, p.item_id ORDER BY s.line_no) AS upto
	FROM oms.shipment_line s
	JOIN oms.return_part p ON p.merchant_id = s.merchant_id AND p.order_id = s.order_id AND p.line_no = s.line_no),
cost AS (
	SELECT e.merchant_id, e.source_id AS shipment_id, e.item_id, -sum(e.value) AS cost, min(c.currency) AS currency
	FROM oms.stock_cost e
	JOIN oms.item_cost c ON c.merchant_id = e.merchant_id AND c.item_id = e.item_id AND c.location_id = e.location_id
	WHERE e.source_kind = 'shipment' GROUP BY 1, 2, 3)
SELECT p.merchant_id, p.order_id, p.line_no, p.shipment_id, p.item_id, p.quantity, p.from_unit, p.units,
	oms.units_share(c.cost, p.all_units::bigint, (p.upto - p.units)::bigint, p.upto::bigint, c.currency) AS cost, c.currency
FROM part p JOIN cost c USING (merchant_id, shipment_id, item_id);
COMMENT ON VIEW oms.cost_of_goods IS 'Cost of goods sold per shipment line and item, later corrections included; a kit has a row per part. Lines of one shipment that share an item share its cost by units. What came back is not taken out: see movement_cost, kind return';
COMMENT ON COLUMN oms.cost_of_goods.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.cost_of_goods.order_id IS 'Order';
COMMENT ON COLUMN oms.cost_of_goods.line_no IS 'Line';
COMMENT ON COLUMN oms.cost_of_goods.shipment_id IS 'Shipment';
COMMENT ON COLUMN oms.cost_of_goods.item_id IS 'Item that left the shelf; a part, where the line is a kit';
COMMENT ON COLUMN oms.cost_of_goods.quantity IS 'Units of the line';
COMMENT ON COLUMN oms.cost_of_goods.from_unit IS 'Units of the line shipped before, see shipment_line';
COMMENT ON COLUMN oms.cost_of_goods.units IS 'Units of the item';
COMMENT ON COLUMN oms.cost_of_goods.cost IS 'What they cost';
COMMENT ON COLUMN oms.cost_of_goods.currency IS 'ISO 4217 currency';
