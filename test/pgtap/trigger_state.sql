-- verify() names every trigger of every table that is missing, disabled or downgraded, and install() brings each back.
BEGIN;
SELECT plan(11);

SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound to begin with');
SELECT set_eq($$ SELECT table_name, trigger_name FROM oms.installed_trigger $$,
	$$ SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'oms'::regnamespace AND NOT t.tgisinternal $$,
	'every trigger is known: none is made after they were noted');

-- As pg_restore --disable-triggers does it.
DO $$
DECLARE name text;
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'oms'::regnamespace AND relkind = 'r' LOOP
		EXECUTE format('ALTER TABLE oms.%I DISABLE TRIGGER ALL', name);
	END LOOP;
END $$;
SELECT is((SELECT count(*) FROM oms.verify(1) WHERE rule = 'trigger_state' AND found = 'disabled' AND object LIKE 'trigger%'), (SELECT count(*) FROM oms.installed_trigger), 'each one that is disabled is named');
SELECT is((SELECT count(*) FROM oms.verify(1) WHERE rule = 'trigger_state' AND object LIKE 'foreign key%'),
	(SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'oms'::regnamespace), 'and each foreign key');
DO $$
DECLARE name text;
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'oms'::regnamespace AND relkind = 'r' LOOP
		EXECUTE format('ALTER TABLE oms.%I ENABLE TRIGGER ALL', name);
	END LOOP;
END $$;
SELECT results_eq($$ SELECT object, expected, found FROM oms.verify(1) WHERE rule = 'trigger_state' ORDER BY 1 $$,
	$$ SELECT format('trigger %s on %s', trigger_name, table_name), 'fires: always', 'fires: origin' FROM oms.installed_trigger WHERE fires = 'always' ORDER BY 1 $$,
	'ENABLE TRIGGER ALL downgrades those of the gate, and they are named');
SELECT cmp_ok((SELECT count(*) FROM oms.installed_trigger WHERE fires = 'always'), '>=', 6::bigint, 'gate and TRUNCATE of three tables');

CALL oms.install();
SELECT is_empty('SELECT * FROM oms.verify(1)', 'install() makes them what they were');

DROP TRIGGER reservation_gate ON oms.reservation;
DROP TRIGGER order_line_guard ON oms.order_line;
ALTER TABLE oms.sales_order ENABLE REPLICA TRIGGER sales_order_guard;
SELECT results_eq('SELECT object, found FROM oms.verify(1) ORDER BY object',
	$$ VALUES ('trigger order_line_guard on order_line', 'missing'), ('trigger reservation_gate on reservation', 'missing'), ('trigger sales_order_guard on sales_order', 'fires: replica') $$,
	'dropped and changed ones are named');
ALTER TABLE oms.sales_order ENABLE ALWAYS TRIGGER sales_order_guard;
SELECT is_empty($$ SELECT * FROM oms.verify(1) WHERE object LIKE '%sales_order_guard%' $$, 'one that fires more often than it must is no fault');
CALL oms.install();
SELECT is_empty('SELECT * FROM oms.verify(1)', 'and back again');
CREATE TRIGGER mine AFTER INSERT ON oms.item FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE oms.item DISABLE TRIGGER mine;
SELECT is_empty('SELECT * FROM oms.verify(1)', 'own triggers are one''s own affair');

SELECT * FROM finish();
ROLLBACK;
