-- Orders as of an instant, and the replay of their history.

CREATE FUNCTION oms.order_history() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_order_history';
COMMENT ON FUNCTION oms.order_history() IS 'Trigger: logs a change of a row of an order in order_change';
CREATE FUNCTION oms.order_part_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_order_part_guard';
COMMENT ON FUNCTION oms.order_part_guard() IS 'Trigger: commands alone write the table, and what they add after placement is logged in order_change. Raises OM009';

CREATE FUNCTION oms.order_rows_as_of(merchant int, order_id bigint, at timestamptz) RETURNS TABLE (table_name text, key jsonb, "row" jsonb)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
	WITH later AS (
		SELECT c.* FROM (SELECT c.change_id, c.table_name, c.key, c.operation, c.old, max(c.at) OVER (ORDER BY c.change_id) AS counts_from
			FROM oms.order_change c WHERE c.merchant_id = $1 AND c.order_id = $2) c
		WHERE c.counts_from > $3),
	-- Before the first of these the row is another one, or none.
	bound AS (SELECT l.table_name, l.key, min(l.change_id) AS change_id FROM later l WHERE l.operation <> 'update' GROUP BY l.table_name, l.key),
	undo AS (
		SELECT l.table_name, l.key, bool_or(l.operation = 'insert') AS absent, bool_or(b.change_id IS NOT NULL) AS replaced,
			jsonb_object_agg(v.name, v.value ORDER BY l.change_id DESC) FILTER (WHERE v.name IS NOT NULL) AS old
		FROM later l LEFT JOIN bound b ON b.table_name = l.table_name AND b.key = l.key LEFT JOIN LATERAL jsonb_each(l.old) v (name, value) ON true
		WHERE b.change_id IS NULL OR l.change_id <= b.change_id
		GROUP BY l.table_name, l.key),
	present AS (SELECT r.table_name, r.key, r."row" FROM oms.order_row r WHERE r.merchant_id = $1 AND r.order_id = $2)
	SELECT table_name, key, CASE WHEN u.replaced THEN u.old ELSE r."row" || coalesce(u.old, '{}') END
	FROM present r FULL JOIN undo u USING (table_name, key)
	WHERE u.absent IS NOT TRUE AND $3 IS NOT NULL
		AND $3 >= (SELECT coalesce(min(e.at), (SELECT o.placed_at FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2))
			FROM oms.event e WHERE e.merchant_id = $1 AND e.order_id = $2 AND e.type = 'order.placed')
		AND NOT EXISTS (SELECT 1 FROM oms.history_horizon h WHERE h.merchant_id = $1 AND h.since > $3)
	ORDER BY table_name <> 'sales_order', table_name, key $$;
COMMENT ON FUNCTION oms.order_rows_as_of(int, bigint, timestamptz) IS 'The rows of an order at an instant: header, lines with their counters, parts of kits, charges, holds, each as a document of its columns (jsonb_populate_record(null::oms.order_line, row) makes a row of it). A transaction counts from its start; of one that started earlier but changed the order later, from the change before it. No rows before the order was entered (event order.placed, else placed_at), or before purge_history() left off';

CREATE FUNCTION oms.order_as_of(merchant int, order_id bigint, at timestamptz) RETURNS jsonb
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN count(*) > 0 THEN jsonb_build_object('at', $3, 'order', (jsonb_agg(r."row") FILTER (WHERE r.table_name = 'sales_order')) -> 0,
		'lines', coalesce(jsonb_agg(r."row" ORDER BY r.key) FILTER (WHERE r.table_name = 'order_line'), '[]'),
		'parts', coalesce(jsonb_agg(r."row" ORDER BY r.key) FILTER (WHERE r.table_name = 'order_line_component'), '[]'),
		'charges', coalesce(jsonb_agg(r."row" ORDER BY r.key) FILTER (WHERE r.table_name = 'order_charge'), '[]'),
		'holds', coalesce(jsonb_agg(r."row" ORDER BY r.key) FILTER (WHERE r.table_name = 'order_hold'), '[]')) END
	FROM oms.order_rows_as_of($1, $2, $3) r $$;
COMMENT ON FUNCTION oms.order_as_of(int, bigint, timestamptz) IS 'The order at an instant as one document: order, lines, parts, charges, holds, each with the columns of its table. Null where order_rows_as_of() has no rows';

CREATE FUNCTION oms.replay_order(merchant int, order_id bigint) RETURNS TABLE (table_name text, key jsonb, "row" jsonb)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
	WITH change AS (
		SELECT c.change_id, c.table_name, c.key, c.operation, c.new, c.old FROM oms.order_change c WHERE c.merchant_id = $1 AND c.order_id = $2),
	-- The first image: for each column what its first change found, else what it is.
	first AS (
		SELECT r.table_name, r.key, 0::bigint AS change_id, v.name, v.value
		FROM oms.order_row r CROSS JOIN LATERAL jsonb_each(r."row") v (name, value)
		WHERE r.merchant_id = $1 AND r.order_id = $2
			AND NOT EXISTS (SELECT 1 FROM change c WHERE c.table_name = r.table_name AND c.key = r.key AND (c.operation <> 'update' OR c.old ? v.name))
		UNION ALL
		(SELECT DISTINCT ON (c.table_name, c.key, v.name) c.table_name, c.key, 0, v.name, v.value
		FROM change c CROSS JOIN LATERAL jsonb_each(c.old) v (name, value) ORDER BY c.table_name, c.key, v.name, c.change_id)),
	-- A row begins anew with its last insert, and ends with its last delete.
	bound AS (SELECT DISTINCT ON (c.table_name, c.key) c.table_name, c.key, c.change_id, c.operation
		FROM change c WHERE c.operation <> 'update' ORDER BY c.table_name, c.key, c.change_id DESC),
	step AS (
		SELECT f.table_name, f.key, f.change_id, f.name, f.value FROM first f
		UNION ALL
		SELECT c.table_name, c.key, c.change_id, v.name, v.value FROM change c CROSS JOIN LATERAL jsonb_each(c.new) v (name, value))
	SELECT s.table_name, s.key, jsonb_object_agg(s.name, s.value ORDER BY s.change_id)
	FROM step s LEFT JOIN bound b ON b.table_name = s.table_name AND b.key = s.key
	WHERE b.change_id IS NULL OR (b.operation = 'insert' AND s.change_id >= b.change_id)
	GROUP BY s.table_name, s.key
	ORDER BY s.table_name <> 'sales_order', s.table_name, s.key $$;
COMMENT ON FUNCTION oms.replay_order(int, bigint) IS 'The rows of an order rebuilt from their first images by the changes logged since, in their order: what order_change says of them. It equals the rows; verify() compares, step by step (rule replay_equals_order)';

CREATE FUNCTION oms.purge_history(merchant int, before timestamptz) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_purge_history';
COMMENT ON FUNCTION oms.purge_history(int, timestamptz) IS 'Removes changes of orders that count from before that instant, and returns how many. From then on the history tells every instant as before, and none earlier. For the owner of oms alone. Raises OM002, OM011';
