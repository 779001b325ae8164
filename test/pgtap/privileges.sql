-- Who may do what, walked from the catalog: nothing to PUBLIC, and to each
-- profile exactly its list.
BEGIN;
SELECT plan(27);

CREATE ROLE oms_t_nobody;
CREATE ROLE oms_t_app;
CREATE ROLE oms_t_clerk;
CREATE ROLE oms_t_warehouse;
CREATE ROLE oms_t_finance;
CREATE ROLE oms_t_analyst;
CREATE ROLE oms_t_connector;

CREATE TEMPORARY VIEW routines AS
	SELECT p.oid, p.proname::text AS name, p.oid::regprocedure::text AS signature FROM pg_proc p WHERE p.pronamespace = 'oms'::regnamespace;
CREATE TEMPORARY VIEW relations AS
	SELECT c.oid, c.relname::text AS name, c.relkind FROM pg_class c
	WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f');

-- The list is complete
SELECT is_empty($$ SELECT signature FROM routines WHERE name NOT IN (SELECT name FROM oms.privilege WHERE kind = 'function') $$,
	'every function is in oms.privilege');
SELECT is_empty($$ SELECT name FROM relations WHERE relkind = 'v' AND name NOT IN (SELECT name FROM oms.privilege WHERE kind = 'view') $$,
	'every view is in oms.privilege');
SELECT is_empty($$ SELECT kind, name FROM oms.privilege
		WHERE name NOT IN (SELECT name FROM routines WHERE kind = 'function' UNION SELECT name FROM relations WHERE kind = 'view' AND relkind = 'v') $$,
	'it names nothing that does not exist');
SELECT is_empty($$ SELECT name, p FROM oms.privilege, unnest(profiles) p WHERE p NOT IN (SELECT profile FROM oms.profile) $$,
	'nor a profile that does not exist');

-- PUBLIC
SELECT is_empty($$ SELECT signature FROM routines WHERE has_function_privilege('oms_t_nobody', oid, 'EXECUTE') $$, 'PUBLIC may call nothing');
SELECT is_empty($$ SELECT name FROM relations WHERE has_table_privilege('oms_t_nobody', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
		OR has_any_column_privilege('oms_t_nobody', oid, 'SELECT, INSERT, UPDATE, REFERENCES') $$, 'PUBLIC may read and write nothing');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'oms'::regnamespace
		AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('oms_t_nobody', c.oid, 'USAGE, SELECT, UPDATE') END $$, 'PUBLIC may use no sequence');
SELECT ok(has_schema_privilege('oms_t_nobody', 'oms', 'USAGE'), 'PUBLIC may name what is in the schema');
SELECT ok(NOT has_schema_privilege('oms_t_nobody', 'oms', 'CREATE'), 'PUBLIC may create nothing there');

-- Profiles
SELECT is(oms.grant_role('oms_t_' || profile, profile) > 0, true, profile || ' gets something') FROM oms.profile ORDER BY profile;

SELECT is_empty($$ SELECT f.profile, r.signature, 'should be ' || (f.profile = ANY (v.profiles))
		FROM oms.profile f, routines r JOIN oms.privilege v ON v.kind = 'function' AND v.name = r.name
		WHERE has_function_privilege('oms_t_' || f.profile, r.oid, 'EXECUTE') <> (f.profile = ANY (v.profiles)) $$,
	'each profile may call exactly its functions');
SELECT is_empty($$ SELECT f.profile, r.name
		FROM oms.profile f, relations r LEFT JOIN oms.privilege v ON v.kind = 'view' AND v.name = r.name
		WHERE has_table_privilege('oms_t_' || f.profile, r.oid, 'SELECT') <> (r.relkind = 'v' AND f.profile = ANY (v.profiles)) $$,
	'each profile may read exactly its views');
SELECT is_empty($$ SELECT f.profile, r.name FROM oms.profile f, relations r
		WHERE has_table_privilege('oms_t_' || f.profile, r.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
			OR has_any_column_privilege('oms_t_' || f.profile, r.oid, 'INSERT, UPDATE, REFERENCES') $$,
	'no profile writes a table');
SELECT is_empty($$ SELECT r.signature FROM routines r JOIN pg_proc p USING (oid) WHERE p.prorettype = 'trigger'::regtype
		AND EXISTS (SELECT FROM oms.privilege v WHERE v.kind = 'function' AND v.name = r.name AND v.profiles <> '{}') $$,
	'trigger functions are internal');

-- Reading a view needs no right beyond the view (or one that the profile has)
CREATE TEMPORARY VIEW readable AS SELECT v.name, v.profiles FROM oms.privilege v WHERE v.kind = 'view';
GRANT SELECT ON readable TO PUBLIC;
SET LOCAL ROLE oms_t_app;
SELECT count(*) AS n, count(query_to_xml(format('SELECT count(*) FROM oms.%I', name), false, false, '')) AS app_reads FROM readable WHERE 'app' = ANY (profiles) \gset
RESET ROLE;
SELECT is(:n > 0, true, format('app reads its %s views', :app_reads));
SET LOCAL ROLE oms_t_clerk;
SELECT count(*) AS n, count(query_to_xml(format('SELECT count(*) FROM oms.%I', name), false, false, '')) AS clerk_reads FROM readable WHERE 'clerk' = ANY (profiles) \gset
RESET ROLE;
SELECT is(:n > 0, true, format('clerk reads its %s views', :clerk_reads));
SET LOCAL ROLE oms_t_warehouse;
SELECT count(*) AS n, count(query_to_xml(format('SELECT count(*) FROM oms.%I', name), false, false, '')) AS warehouse_reads FROM readable WHERE 'warehouse' = ANY (profiles) \gset
RESET ROLE;
SELECT is(:n > 0, true, format('warehouse reads its %s views', :warehouse_reads));
SET LOCAL ROLE oms_t_finance;
SELECT count(*) AS n, count(query_to_xml(format('SELECT count(*) FROM oms.%I', name), false, false, '')) AS finance_reads FROM readable WHERE 'finance' = ANY (profiles) \gset
RESET ROLE;
SELECT is(:n > 0, true, format('finance reads its %s views', :finance_reads));
SET LOCAL ROLE oms_t_analyst;
SELECT count(*) AS n, count(query_to_xml(format('SELECT count(*) FROM oms.%I', name), false, false, '')) AS analyst_reads FROM readable WHERE 'analyst' = ANY (profiles) \gset
RESET ROLE;
SELECT is(:n > 0, true, format('analyst reads its %s views', :analyst_reads));
SET LOCAL ROLE oms_t_connector;
SELECT count(*) AS n, count(query_to_xml(format('SELECT count(*) FROM oms.%I', name), false, false, '')) AS connector_reads FROM readable WHERE 'connector' = ANY (profiles) \gset
RESET ROLE;
SELECT is(:n > 0, true, format('connector reads its %s views', :connector_reads));

-- Another profile takes the first away
SELECT lives_ok($$ SELECT oms.grant_role('oms_t_clerk', 'warehouse') $$, 'a role can change its profile');
SELECT is_empty($$ SELECT r.signature FROM routines r JOIN oms.privilege v ON v.kind = 'function' AND v.name = r.name
		WHERE has_function_privilege('oms_t_clerk', r.oid, 'EXECUTE') <> ('warehouse' = ANY (v.profiles)) $$, 'and has the second one only');

SELECT * FROM finish();
ROLLBACK;
