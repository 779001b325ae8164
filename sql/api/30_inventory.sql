-- Inventory: the gate's triggers, movements, availability.

CREATE FUNCTION oms.stock_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_stock_guard';
COMMENT ON FUNCTION oms.stock_guard() IS 'Trigger: levels change by movements alone (OM009)';
CREATE FUNCTION oms.stock_gate() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_stock_gate';
COMMENT ON FUNCTION oms.stock_gate() IS 'Trigger: moves the gate by what a level offers more or less; promised units stay (OM001)';
CREATE FUNCTION oms.stock_movement_apply() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_stock_movement_apply';
COMMENT ON FUNCTION oms.stock_movement_apply() IS 'Trigger: changes the level that a movement names';
CREATE FUNCTION oms.reservation_gate() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_reservation_gate';
COMMENT ON FUNCTION oms.reservation_gate() IS 'Trigger: every promise passes the gate, whoever writes it (OM001)';
CREATE FUNCTION oms.gate_truncate() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_gate_truncate';
COMMENT ON FUNCTION oms.gate_truncate() IS 'Trigger: promises are not truncated away, in replica role neither (OM014); a table without rows may be';

CREATE FUNCTION oms.receive_stock(merchant int, item bigint, location int, quantity bigint, cause text,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL, unit_cost numeric DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_receive_stock';
COMMENT ON FUNCTION oms.receive_stock(int, bigint, int, bigint, text, text, text, text, numeric) IS 'Receives units of an item at a location: one movement of kind receipt with its cause. unit_cost: what one unit cost, in the merchant''s base currency, up to 8 decimals. Returns the movement. Raises OM002 unknown item, OM008 for a kit or service, OM010, OM011, OM017, 23503 for an unknown location';

CREATE FUNCTION oms.adjust_stock(merchant int, item bigint, location int, quantity bigint, cause text,
	forced boolean DEFAULT false, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_adjust_stock';
COMMENT ON FUNCTION oms.adjust_stock(int, bigint, int, bigint, text, boolean, text, text) IS 'Corrects a level by a quantity of either sign, with its cause. Promised units may be taken away only when forced. Returns the movement. Raises OM001, OM002, OM008, OM010, OM011';

CREATE FUNCTION oms.available(merchant int, item bigint, location int DEFAULT NULL) RETURNS bigint
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT sum(s.on_hand - s.damaged - s.quality_control - s.quarantine - s.safety)
			FROM oms.stock s WHERE s.merchant_id = $1 AND s.item_id = $2 AND (s.location_id = $3 OR $3 IS NULL)), 0)::bigint
		- coalesce((SELECT sum(r.quantity)
			FROM oms.reservation r WHERE r.merchant_id = $1 AND r.item_id = $2 AND (r.location_id = $3 OR $3 IS NULL)), 0)::bigint
		- coalesce((SELECT sum(h.quantity)
			FROM oms.stock_hold h WHERE h.merchant_id = $1 AND h.item_id = $2 AND (h.location_id = $3 OR $3 IS NULL)
			AND h.counted AND (h.starts_at IS NULL OR h.starts_at <= oms.clock()) AND (h.expires_at IS NULL OR h.expires_at > oms.clock())), 0)::bigint
		- coalesce((SELECT sum(l.on_hand - l.damaged - l.quality_control - l.quarantine)
			FROM oms.lot_stock l WHERE l.merchant_id = $1 AND l.item_id = $2 AND (l.location_id = $3 OR $3 IS NULL)
			AND l.on_hand <> 0 AND (l.stopped OR l.sell_by <= oms.clock())), 0)::bigint $$;
COMMENT ON FUNCTION oms.available(int, bigint, int) IS 'Units of an item that may still be promised, at a location or (null) at all: on hand - unavailable - safety - promised - held - units of lots that are expired or stopped. From the rows, so it runs on a standby';

CREATE FUNCTION oms.available(merchant int, items bigint[], location int DEFAULT NULL) RETURNS TABLE (item_id bigint, available bigint)
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_available_list';
COMMENT ON FUNCTION oms.available(int, bigint[], int) IS 'The same for a list of items, in its order, in one pass over the counters of the gate, for shop pages: what any other session could be promised at the location at this moment, so what open transactions have taken is gone and what this one gives back is not there yet; at rest the same figure. Items without a usable counter, and a null location, are answered from the rows; so is everything on a standby. Raises OM011';

CREATE FUNCTION oms.stock_gate_entries() RETURNS TABLE (merchant_id int, item_id bigint, location_id int,
		counter bigint, pins int, hits bigint, doubtful boolean)
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_stock_gate_entries';
COMMENT ON FUNCTION oms.stock_gate_entries() IS 'The counters of the gate that are in memory, of this database: units that may still be promised, transactions using the counter now, touches since it was made, and whether it will be read from the rows again at the next quiet moment. See view stock_gate';
