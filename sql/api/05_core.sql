-- Core: life of the tables, guards, money.

-- The tables that functions below read come later, by oms.install().
SET LOCAL check_function_bodies = off;

CREATE PROCEDURE oms.install() LANGUAGE C AS 'MODULE_PATHNAME', 'oms_install';
COMMENT ON PROCEDURE oms.install() IS 'Makes the tables, views and triggers of oms as ordinary objects of schema oms, and the first merchant. May be run again at any time: it brings back what DROP EXTENSION ... CASCADE took and loses nothing. Needs the rights of the extension''s owner';

CREATE FUNCTION oms.version() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'oms');
COMMENT ON FUNCTION oms.version() IS 'Version of the installed extension';

CREATE FUNCTION oms.clock() RETURNS timestamptz LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'oms_clock';
COMMENT ON FUNCTION oms.clock() IS 'The time oms goes by: the transaction''s start, unless a superuser''s setting oms.test_clock replaces it';

CREATE FUNCTION oms.guard_append_only() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_guard_append_only';
COMMENT ON FUNCTION oms.guard_append_only() IS 'Trigger: rows are added, never changed or removed (OM009)';
CREATE FUNCTION oms.guard_command_only() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_guard_command_only';
COMMENT ON FUNCTION oms.guard_command_only() IS 'Trigger: rows are written by commands alone (OM009); its argument is the hint';
CREATE FUNCTION oms.guard_parent() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_guard_parent';
COMMENT ON FUNCTION oms.guard_parent() IS 'Trigger: rows keep their key and are never deleted (OM014), so that others may point at them without a lock; its argument is the hint';
CREATE FUNCTION oms.config_changed() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_config_changed';
COMMENT ON FUNCTION oms.config_changed() IS 'Trigger: tells every backend to drop what it compiled from the table';
CREATE FUNCTION oms.setting_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_setting_guard';
COMMENT ON FUNCTION oms.setting_guard() IS 'Trigger: a setting and its channel exist (OM002), and it has one of its allowed values (OM011)';

CREATE FUNCTION oms.set_setting(merchant int, name text, value text, channel int DEFAULT 0) RETURNS text
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO oms.setting (merchant_id, channel_id, name, value) VALUES ($1, coalesce($4, 0), $2, $3)
	ON CONFLICT (merchant_id, channel_id, name) DO UPDATE SET value = excluded.value RETURNING value $$;
COMMENT ON FUNCTION oms.set_setting(int, text, text, int) IS 'Sets a setting for a merchant, or for one of its channels; returns the value. Raises OM002 for a setting or channel that does not exist, OM011 for a value that is not allowed';

CREATE FUNCTION oms.effective_setting(merchant int, name text, channel int DEFAULT 0) RETURNS TABLE (value text, level text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT v.value, v.level FROM (
		SELECT s.value, CASE WHEN s.channel_id = 0 THEN 'merchant' ELSE 'channel' END, s.channel_id
		FROM oms.setting s WHERE s.merchant_id = $1 AND s.name = $2 AND s.channel_id IN (0, $3)
		UNION ALL
		SELECT d.default_value, 'default', -1 FROM oms.setting_definition d WHERE d.name = $2) v (value, level, rank)
	ORDER BY v.rank DESC LIMIT 1 $$;
COMMENT ON FUNCTION oms.effective_setting(int, text, int) IS 'The value of a setting in force, and the level that decided: channel, merchant or default';

CREATE FUNCTION oms.units_share(total numeric, units bigint, from_unit bigint, to_unit bigint, currency text) RETURNS numeric
	LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_units_share_sql';
COMMENT ON FUNCTION oms.units_share(numeric, bigint, bigint, bigint, text) IS 'Value of units from_unit + 1 to to_unit of a total spread over units: any cut into ranges sums to the total exactly. Unit k gets total div units in the currency''s smallest unit, the first (total mod units) get one more. Raises OM011, OM012, OM017';

CREATE FUNCTION oms.prorate_step(internal, numeric, numeric, text) RETURNS internal
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_prorate_step';
COMMENT ON FUNCTION oms.prorate_step(internal, numeric, numeric, text) IS 'Step of aggregate prorate';
CREATE FUNCTION oms.prorate_final(internal) RETURNS numeric[]
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_prorate_final';
COMMENT ON FUNCTION oms.prorate_final(internal) IS 'Result of aggregate prorate';
CREATE AGGREGATE oms.prorate(total numeric, weight numeric, currency text) (
	SFUNC = oms.prorate_step, STYPE = internal, FINALFUNC = oms.prorate_final);
COMMENT ON AGGREGATE oms.prorate(numeric, numeric, text) IS 'Splits total by the weights into shares that sum to it exactly (largest remainder, ties to the earlier row), in the currency''s smallest unit: prorate(total, weight, currency ORDER BY ...) gives the shares as array in that order. Weights are not negative, of at most 8 decimals; all zero count as equal. Raises OM011, OM012, OM017';

CREATE FUNCTION oms.verify(merchant int) RETURNS TABLE (rule text, object text, expected text, found text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT v.rule, v.object, v.expected, v.found FROM oms.verify_all v WHERE v.merchant_id = $1 $$;
COMMENT ON FUNCTION oms.verify(int) IS 'Every broken invariant of a merchant as a row: rule, object, what it should be, what was found. Empty means sound. Reads only, so it runs on a standby';

CREATE FUNCTION oms.purge_requests(merchant int, before timestamptz) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH gone AS (DELETE FROM oms.request r WHERE r.merchant_id = $1 AND r.at < $2 RETURNING 1)
	SELECT count(*) FROM gone $$;
COMMENT ON FUNCTION oms.purge_requests(int, timestamptz) IS 'Forgets request keys used before an instant; returns how many. A forgotten key may be used again';
