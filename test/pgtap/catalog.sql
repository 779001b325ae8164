-- The rules of the design that only the catalog can show.
BEGIN;
SELECT plan(21);

CREATE TEMPORARY VIEW tables AS
	SELECT c.oid, c.relname::text AS name, t.class, c.relpersistence
	FROM pg_class c LEFT JOIN oms.table_class t ON t.table_name = c.relname
	WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind IN ('r', 'p');
CREATE TEMPORARY VIEW routines AS
	SELECT p.*, p.oid::regprocedure::text AS name, p.prorettype = 'trigger'::regtype AS is_trigger, l.lanname
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE p.pronamespace = 'oms'::regnamespace;
CREATE TEMPORARY VIEW keys AS
	SELECT c.conrelid::regclass::text AS name, c.conname::text, c.contype, t.class,
		(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = c.conkey[1]) AS first_column,
		(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.confrelid AND a.attnum = c.confkey[1]) AS first_referenced,
		r.class AS referenced_class, c.confupdtype, c.confdeltype, c.condeferrable
	FROM pg_constraint c JOIN tables t ON t.oid = c.conrelid LEFT JOIN tables r ON r.oid = c.confrelid;

-- Classes
SELECT is_empty($$ SELECT name FROM tables WHERE class IS NULL $$, 'every table has a class');
SELECT is_empty($$ SELECT table_name FROM oms.table_class WHERE table_name NOT IN (SELECT name FROM tables) $$,
	'every class belongs to a table');
SELECT is_empty($$ SELECT name FROM tables t WHERE class = 'merchant' AND NOT EXISTS (SELECT FROM pg_attribute a
		WHERE a.attrelid = t.oid AND a.attname = 'merchant_id' AND a.atttypid = 'int4'::regtype AND a.attnotnull) $$,
	'merchant tables have merchant_id int NOT NULL');
SELECT is_empty($$ SELECT name FROM tables t WHERE class <> 'merchant' AND EXISTS (SELECT FROM pg_attribute a
		WHERE a.attrelid = t.oid AND a.attname = 'merchant_id' AND NOT a.attisdropped) $$,
	'other tables have none');
SELECT is_empty($$ SELECT name FROM tables t WHERE NOT EXISTS (SELECT FROM keys k WHERE k.name::regclass = t.oid AND k.contype = 'p') $$,
	'every table has a primary key');
SELECT is_empty($$ SELECT name, conname FROM keys WHERE class = 'merchant' AND contype IN ('p', 'u', 'x') AND first_column <> 'merchant_id' $$,
	'merchant_id is first in every primary key, unique and exclusion constraint of merchant tables');
SELECT is_empty($$ SELECT t.name, i.indexrelid::regclass FROM tables t JOIN pg_index i ON i.indrelid = t.oid
		LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
		WHERE t.class = 'merchant' AND i.indisunique AND a.attname IS DISTINCT FROM 'merchant_id' $$,
	'and in every unique index');
SELECT is_empty($$ SELECT name, conname FROM keys WHERE contype = 'f'
		AND CASE WHEN referenced_class = 'merchant' THEN class <> 'merchant' OR first_column <> 'merchant_id' OR first_referenced <> 'merchant_id'
			ELSE referenced_class IS DISTINCT FROM 'reference' END $$,
	'foreign keys stay inside the merchant or point at a reference table');
SELECT is_empty($$ SELECT name, conname FROM keys WHERE contype = 'f' AND (confupdtype <> 'a' OR confdeltype <> 'a') $$,
	'foreign keys have no actions');
SELECT is_empty($$ SELECT name, conname FROM keys WHERE condeferrable $$, 'no constraint is deferrable');
SELECT is_empty($$ SELECT name FROM tables WHERE relpersistence <> 'p' $$, 'no table is unlogged');

-- Code is the extension, data is not
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
		WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind <> 'c' $$,
	'no table, view, index or sequence belongs to the extension');
SELECT is_empty($$ SELECT t.name, a.attname, a.atttypid::regtype FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_type e ON e.oid = a.atttypid LEFT JOIN pg_type elem ON elem.oid = e.typelem
		WHERE e.typnamespace <> 'pg_catalog'::regnamespace OR elem.typnamespace <> 'pg_catalog'::regnamespace
			OR e.typname ~ '^(oid|reg.*|_reg.*|_oid|xid|cid|tid|money)$' $$,
	'columns have plain types that survive dump, upgrade and DROP EXTENSION');
SELECT is_empty($$ SELECT d.classid::regclass, d.objid, d.refobjid::regprocedure FROM pg_depend d
		WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM routines)
			AND d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass)
		UNION ALL
		SELECT d.classid::regclass, d.objid, d.refobjid::regprocedure FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid
		WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM routines) $$,
	'no default, check or index calls oms, for DROP EXTENSION ... CASCADE would take it');

-- Functions
SELECT is_empty($$ SELECT name FROM routines WHERE lanname NOT IN ('c', 'sql', 'internal') $$, 'functions are C or SQL');
SELECT is_empty($$ SELECT name FROM routines WHERE (prosecdef OR lanname = 'sql')
		AND NOT coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}' $$,
	'functions with the owner''s rights, and those in SQL, pin search_path');
SELECT is_empty($$ SELECT r.name FROM routines r, pg_class c WHERE c.oid = 'oms.sales_order'::regclass AND r.prosecdef AND r.proowner <> c.relowner $$,
	'functions and tables have one owner');

-- Comments
SELECT is_empty($$ SELECT name FROM routines WHERE coalesce(obj_description(oid, 'pg_proc'), '') = '' $$, 'every function has a comment');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind IN ('r', 'p', 'v')
		AND coalesce(obj_description(c.oid, 'pg_class'), '') = '' $$, 'every table and view has a comment');
SELECT is_empty($$ SELECT c.oid::regclass, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind IN ('r', 'p', 'v')
			AND coalesce(col_description(c.oid, a.attnum), '') = '' $$, 'every column of a table or view has a comment');
SELECT is_empty($$ SELECT t.name, a.attname FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE a.atttypid = 'timestamp'::regtype $$, 'instants have a time zone');

SELECT * FROM finish();
ROLLBACK;
