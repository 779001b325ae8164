-- Low stock: what is watched, how low it is, and what to reorder.

CREATE TABLE IF NOT EXISTS oms.reorder_rule (
	merchant_id		int NOT NULL,
	item_id			bigint NOT NULL,
	location_id		int NOT NULL,
	minimum			bigint NOT NULL DEFAULT 0 CHECK (minimum BETWEEN 0 AND 1000000000000),
	approaching		bigint CHECK (approaching BETWEEN 0 AND 1000000000000),
	lead_time_days	int NOT NULL DEFAULT 0 CHECK (lead_time_days BETWEEN 0 AND 3650),
	cover_days		int NOT NULL DEFAULT 30 CHECK (cover_days BETWEEN 0 AND 3650),
	sales_days		int NOT NULL DEFAULT 30 CHECK (sales_days BETWEEN 1 AND 3650),
	pack_size		bigint NOT NULL DEFAULT 1 CHECK (pack_size BETWEEN 1 AND 1000000000),
	minimum_order	bigint NOT NULL DEFAULT 1 CHECK (minimum_order BETWEEN 1 AND 1000000000000),
	supplier		text,
	level			text NOT NULL DEFAULT 'ok' CHECK (level IN ('ok', 'approaching', 'before_delivery', 'below_minimum')),
	level_since		timestamptz,
	PRIMARY KEY (merchant_id, item_id, location_id),
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item,
	FOREIGN KEY (merchant_id, location_id) REFERENCES oms.location
) WITH (fillfactor = 80);
COMMENT ON TABLE oms.reorder_rule IS 'Items whose stock at a location is watched, and how they are reordered. Plain INSERT, UPDATE, DELETE. Nothing of it is touched when stock is promised; alert_low_stock() compares';
COMMENT ON COLUMN oms.reorder_rule.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.reorder_rule.item_id IS 'Item; of a kit watch the parts';
COMMENT ON COLUMN oms.reorder_rule.location_id IS 'Location';
COMMENT ON COLUMN oms.reorder_rule.minimum IS 'Units that should always be available; fewer is the level below_minimum';
COMMENT ON COLUMN oms.reorder_rule.approaching IS 'Fewer units than these is the level approaching; null: no such level';
COMMENT ON COLUMN oms.reorder_rule.lead_time_days IS 'Days from ordering to receipt';
COMMENT ON COLUMN oms.reorder_rule.cover_days IS 'Days of sales that an order should last beyond the lead time';
COMMENT ON COLUMN oms.reorder_rule.sales_days IS 'Days to look back for the rate of sales';
COMMENT ON COLUMN oms.reorder_rule.pack_size IS 'Units in a pack: orders are whole packs';
COMMENT ON COLUMN oms.reorder_rule.minimum_order IS 'Units that the supplier delivers at least';
COMMENT ON COLUMN oms.reorder_rule.supplier IS 'Who delivers';
COMMENT ON COLUMN oms.reorder_rule.level IS 'Derived: the level that alert_low_stock() saw last: ok, approaching, before_delivery, below_minimum';
COMMENT ON COLUMN oms.reorder_rule.level_since IS 'Derived: when it saw it first (UTC instant)';

CREATE OR REPLACE TRIGGER reorder_rule_guard BEFORE INSERT OR UPDATE ON oms.reorder_rule
	FOR EACH ROW EXECUTE FUNCTION oms.reorder_rule_guard();

INSERT INTO oms.table_class VALUES ('reorder_rule', 'merchant', 'inventory') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.stock_watch AS
SELECT w.merchant_id, w.item_id, w.location_id, i.sku, i.title, p.code AS location, w.supplier, w.available, w.incoming, w.backordered,
	w.daily_sales, CASE WHEN w.daily_sales > 0 THEN round(greatest(w.available, 0) / w.daily_sales, 1) END AS lasts_days,
	w.next_delivery_at, w.minimum, w.approaching,
	CASE WHEN w.available < w.minimum THEN 'below_minimum'
		WHEN w.available < w.daily_sales * w.delivery_days THEN 'before_delivery'
		WHEN w.available < w.approaching THEN 'approaching'
		ELSE 'ok' END AS level,
	w.minimum + ceil(w.daily_sales * w.lead_time_days)::bigint AS reorder_point,
	CASE WHEN w.available + w.incoming - w.backordered < w.minimum + ceil(w.daily_sales * w.lead_time_days)
		THEN ceil(greatest(w.minimum + ceil(w.daily_sales * (w.lead_time_days + w.cover_days)) - (w.available + w.incoming - w.backordered),
			w.minimum_order) / w.pack_size)::bigint * w.pack_size
		ELSE 0 END AS suggested,
	w.level AS alerted_level, w.level_since
FROM (
	SELECT r.*, oms.available(r.merchant_id, r.item_id, r.location_id) AS available, s.incoming, s.next_delivery_at, b.backordered,
		coalesce(extract(epoch FROM s.next_delivery_at - oms.clock()) / 86400, r.lead_time_days) AS delivery_days,
		round(coalesce(d.sold / greatest(least(r.sales_days, extract(epoch FROM oms.clock() - d.first_at) / 86400), 1), 0), 4) AS daily_sales
	FROM oms.reorder_rule r
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(l.ordered - l.received - l.closed), 0)::bigint AS incoming,
			min(l.expected_at) FILTER (WHERE l.expected_at > oms.clock()) AS next_delivery_at
		FROM oms.supply_line l WHERE l.merchant_id = r.merchant_id AND l.item_id = r.item_id AND l.location_id = r.location_id
			AND l.received + l.closed < l.ordered) s
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(l.backordered), 0)::bigint AS backordered
		FROM oms.order_line l JOIN oms.sales_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
		WHERE l.merchant_id = r.merchant_id AND l.item_id = r.item_id AND l.backordered > 0
			AND r.location_id = (SELECT c.location_id FROM oms.channel_location c
				WHERE c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id ORDER BY c.priority, c.location_id LIMIT 1)) b
	CROSS JOIN LATERAL (
		SELECT (SELECT -sum(m.quantity) FROM oms.stock_movement m WHERE m.merchant_id = r.merchant_id AND m.item_id = r.item_id
				AND m.location_id = r.location_id AND m.kind = 'shipment' AND m.at > oms.clock() - make_interval(days => r.sales_days)) AS sold,
			(SELECT min(m.at) FROM oms.stock_movement m WHERE m.merchant_id = r.merchant_id AND m.item_id = r.item_id
				AND m.location_id = r.location_id AND m.kind = 'shipment') AS first_at) d) w
JOIN oms.item i ON i.merchant_id = w.merchant_id AND i.item_id = w.item_id
JOIN oms.location p ON p.merchant_id = w.merchant_id AND p.location_id = w.location_id;
COMMENT ON VIEW oms.stock_watch IS 'Watched items (reorder_rule): how low they are now, and how many to reorder. Quantities in units';
COMMENT ON COLUMN oms.stock_watch.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.stock_watch.item_id IS 'Item';
COMMENT ON COLUMN oms.stock_watch.location_id IS 'Location';
COMMENT ON COLUMN oms.stock_watch.sku IS 'SKU';
COMMENT ON COLUMN oms.stock_watch.title IS 'Title';
COMMENT ON COLUMN oms.stock_watch.location IS 'Code of the location';
COMMENT ON COLUMN oms.stock_watch.supplier IS 'Who delivers';
COMMENT ON COLUMN oms.stock_watch.available IS 'Units that may still be promised';
COMMENT ON COLUMN oms.stock_watch.incoming IS 'Units of open supply lines';
COMMENT ON COLUMN oms.stock_watch.backordered IS 'Units that orders wait for, of channels whose first location this is';
COMMENT ON COLUMN oms.stock_watch.daily_sales IS 'Units shipped a day: those of the last sales_days, divided by these days, or by the days since the first shipment when that is later (at least 1)';
COMMENT ON COLUMN oms.stock_watch.lasts_days IS 'available / daily_sales; null: nothing sells';
COMMENT ON COLUMN oms.stock_watch.next_delivery_at IS 'Earliest date of an open supply line that is not past (UTC instant); null: none, then lead_time_days from now is taken';
COMMENT ON COLUMN oms.stock_watch.minimum IS 'See reorder_rule';
COMMENT ON COLUMN oms.stock_watch.approaching IS 'See reorder_rule';
COMMENT ON COLUMN oms.stock_watch.level IS 'below_minimum: available < minimum; else before_delivery: available < daily_sales * days until the next delivery; else approaching: available < approaching; else ok';
COMMENT ON COLUMN oms.stock_watch.reorder_point IS 'minimum + daily_sales * lead_time_days, rounded up';
COMMENT ON COLUMN oms.stock_watch.suggested IS 'Units to order now: when available + incoming - backordered is below reorder_point, what is missing to minimum + daily_sales * (lead_time_days + cover_days), at least minimum_order, in whole packs; else 0';
COMMENT ON COLUMN oms.stock_watch.alerted_level IS 'Level at the last alert_low_stock()';
COMMENT ON COLUMN oms.stock_watch.level_since IS 'Since when it is known (UTC instant)';

CREATE OR REPLACE VIEW oms.low_stock AS
SELECT merchant_id, item_id, location_id, sku, title, location, supplier, level, available, incoming, backordered, daily_sales, lasts_days,
	next_delivery_at, minimum, reorder_point, suggested
FROM oms.stock_watch WHERE level <> 'ok';
COMMENT ON VIEW oms.low_stock IS 'Watched items that are low, or will sell out before the next delivery. Columns as in stock_watch';
COMMENT ON COLUMN oms.low_stock.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.low_stock.item_id IS 'Item';
COMMENT ON COLUMN oms.low_stock.location_id IS 'Location';
COMMENT ON COLUMN oms.low_stock.sku IS 'SKU';
COMMENT ON COLUMN oms.low_stock.title IS 'Title';
COMMENT ON COLUMN oms.low_stock.location IS 'Code of the location';
COMMENT ON COLUMN oms.low_stock.supplier IS 'Who delivers';
COMMENT ON COLUMN oms.low_stock.level IS 'below_minimum: available < minimum; else before_delivery: available < daily_sales * days until the next delivery; else approaching: available < approaching; else ok';
COMMENT ON COLUMN oms.low_stock.available IS 'Units that may still be promised';
COMMENT ON COLUMN oms.low_stock.incoming IS 'Units of open supply lines';
COMMENT ON COLUMN oms.low_stock.backordered IS 'Units that orders wait for, of channels whose first location this is';
COMMENT ON COLUMN oms.low_stock.daily_sales IS 'Units shipped a day: those of the last sales_days, divided by these days, or by the days since the first shipment when that is later (at least 1)';
COMMENT ON COLUMN oms.low_stock.lasts_days IS 'available / daily_sales; null: nothing sells';
COMMENT ON COLUMN oms.low_stock.next_delivery_at IS 'Earliest date of an open supply line that is not past (UTC instant); null: none, then lead_time_days from now is taken';
COMMENT ON COLUMN oms.low_stock.minimum IS 'See reorder_rule';
COMMENT ON COLUMN oms.low_stock.reorder_point IS 'minimum + daily_sales * lead_time_days, rounded up';
COMMENT ON COLUMN oms.low_stock.suggested IS 'Units to order now: when available + incoming - backordered is below reorder_point, what is missing to minimum + daily_sales * (lead_time_days + cover_days), at least minimum_order, in whole packs; else 0';
