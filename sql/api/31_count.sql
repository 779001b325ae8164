-- Counts: what was found on a shelf against what the books say.

CREATE FUNCTION oms.count_shortfall(merchant int, item bigint, location int, counted bigint)
	RETURNS TABLE (order_id bigint, line_no int, promised bigint, short bigint, backorder int)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH promise AS (
		SELECT r.order_id, r.line_no, sum(r.quantity)::bigint AS promised,
			coalesce((SELECT c.per_unit FROM oms.order_line_component c WHERE c.merchant_id = $1 AND c.order_id = r.order_id
				AND c.line_no = r.line_no AND c.item_id = $2), 1) AS per_unit,
			coalesce((SELECT sum(fl.picked - fl.shipped) FROM oms.fulfilment f
				JOIN oms.fulfilment_line fl ON fl.merchant_id = $1 AND fl.order_id = f.order_id AND fl.fulfilment_id = f.fulfilment_id
				WHERE f.merchant_id = $1 AND f.order_id = r.order_id AND f.location_id = $3 AND fl.line_no = r.line_no), 0) AS picked
		FROM oms.reservation r WHERE r.merchant_id = $1 AND r.item_id = $2 AND r.location_id = $3 GROUP BY 1, 2),
	slice AS (
		SELECT p.order_id, p.line_no, 0 AS tier, least(p.promised, p.picked * p.per_unit) AS units FROM promise p
		UNION ALL SELECT p.order_id, p.line_no, 1, p.promised - least(p.promised, p.picked * p.per_unit) FROM promise p),
	covered AS (
		SELECT s.order_id, s.line_no, s.tier, o.placed_at, least(s.units, sum(s.units) OVER (ORDER BY s.tier,
				coalesce(u.priority, 0) DESC, o.placed_at, s.order_id, s.line_no) - greatest($4 - coalesce((
				SELECT k.damaged + k.quality_control + k.quarantine FROM oms.stock k
				WHERE k.merchant_id = $1 AND k.item_id = $2 AND k.location_id = $3), 0) - coalesce((
				SELECT sum(l.on_hand - l.damaged - l.quality_control - l.quarantine) FROM oms.lot_stock l
				WHERE l.merchant_id = $1 AND l.item_id = $2 AND l.location_id = $3 AND (l.stopped OR l.sell_by <= oms.clock())), 0), 0)) AS short
		FROM slice s
		JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = s.order_id
		LEFT JOIN oms.order_urgency u ON u.merchant_id = $1 AND u.order_id = s.order_id)
	SELECT p.order_id, p.line_no, p.promised, sum(c.short)::bigint,
		ceil(coalesce(sum(c.short) FILTER (WHERE c.tier = 1), 0) / p.per_unit)::int
	FROM covered c JOIN promise p ON p.order_id = c.order_id AND p.line_no = c.line_no
	WHERE c.short > 0 GROUP BY 1, 2, 3, c.placed_at, p.per_unit ORDER BY c.placed_at DESC, 1 DESC, 2 DESC $$;
COMMENT ON FUNCTION oms.count_shortfall(int, bigint, int, bigint) IS 'The order lines that a count of an item at a location would hit, youngest first: promised (units of the item promised there), short (of them, what the shelf would not cover), backorder (units of the line that count_stock(..., shortfall => ''backorder'') would make wait; a kit waits whole). Covered first are picked units, then higher priorities (set_urgency), then older orders. Empty: the shelf covers what is promised to orders';

CREATE FUNCTION oms.count_stock(merchant int, item bigint, location int, counted bigint, expected bigint,
	shortfall text DEFAULT 'refuse', request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL, lot text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_count_stock';
COMMENT ON FUNCTION oms.count_stock(int, bigint, int, bigint, bigint, text, text, text, text, text) IS 'Sets the units on hand of an item at a location to what was counted (damaged and locked ones included), if the books still say what was expected: compare and set. Of a tracked item each lot is counted by itself: lot says which, counted and expected are of the lot. A difference needs a reason and becomes one movement of kind count; none writes no movement. Fewer than are promised or held: shortfall refuse raises OM001 with the orders hit; keep lets the promises stand although the shelf does not cover them; backorder makes the youngest unpicked promises wait again. Returns the count (stock_count). Raises OM001, OM002, OM008 (stale expectation; kit or service; fewer than are unavailable), OM010, OM011, OM015';

CREATE FUNCTION oms.open_count(merchant int, location int, items bigint[] DEFAULT NULL, due boolean DEFAULT false,
	request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_open_count';
COMMENT ON FUNCTION oms.open_count(int, int, bigint[], boolean, text, text) IS 'Opens a session of counting at a location: of these items, or of those whose cycle count is due (count_due), or (neither) of all that ever lay there. Nothing is locked meanwhile. Returns the session. Raises OM002, OM008 where there is nothing to count, or for a kit or service, OM010, OM011';

CREATE FUNCTION oms.record_count(merchant int, session bigint, item bigint, counted bigint,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL, lot text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_record_count';
COMMENT ON FUNCTION oms.record_count(int, bigint, bigint, bigint, text, text, text, text) IS 'Writes down what was counted of an item (damaged and locked ones included) beside what the books say at this moment; again until the session is posted. Of a tracked item, lot says which one. An item or lot that is not on the list is added to it. Returns the variance: too many, or (negative) too few. Raises OM002, OM008, OM010, OM011';

CREATE FUNCTION oms.post_count(merchant int, session bigint, shortfall text DEFAULT 'refuse',
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_post_count';
COMMENT ON FUNCTION oms.post_count(int, bigint, text, text, text, text) IS 'Posts a session: each variance becomes a movement of kind count, on top of what moved since it was counted; all of them or none. Items that nobody counted stay as they are. A variance needs a reason, its line''s own or this one. Fewer than are promised or held: as in count_stock(). Returns how many lines were counted. Raises OM001, OM002, OM008 (not open; nothing counted; counted again since), OM010, OM011, OM015';

CREATE FUNCTION oms.cancel_count(merchant int, session bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_cancel_count';
COMMENT ON FUNCTION oms.cancel_count(int, bigint, text, text) IS 'Ends a session of counting without posting it. Returns the session. Raises OM002, OM008 once it is posted, OM010, OM011';
