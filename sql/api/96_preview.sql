-- One preview for every command.

CREATE FUNCTION oms.preview_capture() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_preview_capture';
COMMENT ON FUNCTION oms.preview_capture() IS 'Trigger that notes what a previewed command writes; no table has it but in memory, while a preview runs';

CREATE FUNCTION oms.preview_images(merchant int, commands jsonb)
	RETURNS TABLE (step int, side text, table_name text, key_columns text[], image jsonb)
	LANGUAGE C VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_preview_images';
COMMENT ON FUNCTION oms.preview_images(int, jsonb) IS 'What preview_all() is made of: runs the commands, rolls them back, and gives each row that they would change as it was (side before) and as it would be (after), and each result (side result, table_name is the command). key_columns: primary key of the table, null for none. Raises what the commands raise, OM002 (command), OM003, OM008 (within a preview), OM011';

CREATE FUNCTION oms.preview_all(merchant int, commands jsonb)
	RETURNS TABLE (operation text, table_name text, key jsonb, column_name text, before jsonb, after jsonb)
	LANGUAGE sql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
	WITH image AS MATERIALIZED (
		SELECT i.step, i.side, i.table_name, i.image, CASE WHEN i.key_columns IS NULL THEN i.image
			ELSE (SELECT jsonb_object_agg(k, i.image -> k) FROM unnest(i.key_columns) k) END AS key
		FROM oms.preview_images($1, $2) i),
	changed AS (
		SELECT table_name, key, b.image AS was, a.image AS is_now
		FROM (SELECT * FROM image WHERE side = 'before') b
		FULL JOIN (SELECT * FROM image WHERE side = 'after') a USING (table_name, key)),
	difference AS (
		SELECT 'result' AS operation, i.table_name, jsonb_build_object('step', i.step) AS key, NULL AS column_name, NULL::jsonb AS before, i.image AS after
		FROM image i WHERE i.side = 'result'
		UNION ALL
		SELECT CASE WHEN c.was IS NULL THEN 'insert' WHEN c.is_now IS NULL THEN 'delete' ELSE 'update' END, c.table_name, c.key, v.name, v.was, v.is_now
		FROM changed c CROSS JOIN LATERAL (
			SELECT name, nullif(b.value, 'null') AS was, nullif(a.value, 'null') AS is_now
			FROM jsonb_each(c.was) b (name, value) FULL JOIN jsonb_each(c.is_now) a (name, value) USING (name)) v
		WHERE v.was IS DISTINCT FROM v.is_now)
	SELECT d.operation, d.table_name, d.key, d.column_name, d.before, d.after FROM difference d
	ORDER BY d.operation <> 'result', CASE d.operation WHEN 'result' THEN d.key END, d.table_name, d.key, d.column_name $$;
COMMENT ON FUNCTION oms.preview_all(int, jsonb) IS 'What commands would do, one after the other: an array of {"command", "arguments"}. Runs the real ones and rolls them back. First a row for each result (operation result, table_name the command, key its step, after the answer), then a row for each column of each row that would differ at the end: insert, update or delete, the table, its primary key, the value before and after (null: SQL null). An argument {"result": n} is what step n answered. New ids are drawn from sequences and stay drawn: the real call gets the next. Needs the right to the commands. Raises what they raise, with the step as context, OM002 (command), OM003, OM008 (a preview within a preview), OM011';

CREATE FUNCTION oms.preview(merchant int, command text, arguments jsonb DEFAULT '{}')
	RETURNS TABLE (operation text, table_name text, key jsonb, column_name text, before jsonb, after jsonb)
	LANGUAGE sql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.operation, p.table_name, p.key, p.column_name, p.before, p.after
	FROM oms.preview_all($1, jsonb_build_array(jsonb_build_object('command', $2, 'arguments', $3))) p $$;
COMMENT ON FUNCTION oms.preview(int, text, jsonb) IS 'What one command would do, its arguments by name (without the merchant): see preview_all()';
