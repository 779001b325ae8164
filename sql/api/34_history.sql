-- Stock as of an instant.

CREATE FUNCTION oms.stock_as_of(merchant int, at timestamptz, item bigint DEFAULT NULL, location int DEFAULT NULL)
	RETURNS TABLE (item_id bigint, location_id int, on_hand bigint, damaged bigint, quality_control bigint, quarantine bigint)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH place AS (
		SELECT s.* FROM oms.stock s WHERE s.merchant_id = $1 AND s.item_id = $3 AND (s.location_id = $4 OR $4 IS NULL)
		UNION ALL
		SELECT s.* FROM oms.stock s WHERE $3 IS NULL AND s.merchant_id = $1 AND (s.location_id = $4 OR $4 IS NULL))
	SELECT s.item_id, s.location_id, s.on_hand - m.quantity, s.damaged - m.damaged, s.quality_control - m.quality_control, s.quarantine - m.quarantine
	FROM place s CROSS JOIN LATERAL (
		SELECT coalesce(sum(m.quantity), 0)::bigint AS quantity, coalesce(sum(m.damaged), 0)::bigint AS damaged,
			coalesce(sum(m.quality_control), 0)::bigint AS quality_control, coalesce(sum(m.quarantine), 0)::bigint AS quarantine
		FROM oms.stock_movement m
		WHERE m.merchant_id = $1 AND m.item_id = s.item_id AND m.location_id = s.location_id AND m.at > $2) m $$;
COMMENT ON FUNCTION oms.stock_as_of(int, timestamptz, bigint, int) IS 'Levels as they were at an instant, of an item or (null) all, at a location or (null) all: the level now less what the ledger says moved since, read by index. A movement counts from its column at on (the start of its transaction, unless typed otherwise). Before its first movement a level is 0. Units, as in oms.stock; promises are not of the ledger. Runs on a standby';
