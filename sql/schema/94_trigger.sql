-- The triggers that hold the rules: noted as they were made, so that verify() can name those that somebody took away.
-- No later script makes one.

CREATE TABLE IF NOT EXISTS oms.installed_trigger (
	table_name		text NOT NULL,
	trigger_name	text NOT NULL,
	fires			text NOT NULL CHECK (fires IN ('always', 'origin')),
	PRIMARY KEY (table_name, trigger_name)
);
COMMENT ON TABLE oms.installed_trigger IS 'Triggers of oms as install() made them; verify() compares. Written by install()';
COMMENT ON COLUMN oms.installed_trigger.table_name IS 'Table, in schema oms';
COMMENT ON COLUMN oms.installed_trigger.trigger_name IS 'Trigger';
COMMENT ON COLUMN oms.installed_trigger.fires IS 'always: for replicated rows too; origin: for all others';

INSERT INTO oms.table_class VALUES ('installed_trigger', 'local', 'core') ON CONFLICT (table_name) DO NOTHING;

DELETE FROM oms.installed_trigger;
INSERT INTO oms.installed_trigger
SELECT c.relname, t.tgname, CASE t.tgenabled WHEN 'A' THEN 'always' ELSE 'origin' END
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE c.relnamespace = 'oms'::regnamespace AND p.pronamespace = 'oms'::regnamespace AND NOT t.tgisinternal AND t.tgenabled IN ('A', 'O');

CREATE OR REPLACE VIEW oms.verify_trigger AS
SELECT m.merchant_id, 'trigger_state' AS rule, t.object, t.expected, t.found
FROM oms.merchant m CROSS JOIN (
	SELECT format('trigger %s on %s', i.trigger_name, i.table_name) AS object, format('fires: %s', i.fires) AS expected,
		CASE t.tgenabled WHEN 'O' THEN 'fires: origin' WHEN 'R' THEN 'fires: replica' WHEN 'D' THEN 'disabled' ELSE 'missing' END AS found
	FROM oms.installed_trigger i
	LEFT JOIN pg_class c ON c.relname = i.table_name AND c.relnamespace = 'oms'::regnamespace
	LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = i.trigger_name
	WHERE t.tgenabled IS NULL OR (t.tgenabled <> 'A' AND (t.tgenabled <> 'O' OR i.fires <> 'origin'))
	UNION ALL
	SELECT DISTINCT format('foreign key %s on %s', k.conname, c.relname), 'checked', 'disabled'
	FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint JOIN pg_class c ON c.oid = k.conrelid
	WHERE c.relnamespace = 'oms'::regnamespace AND t.tgisinternal AND t.tgenabled = 'D') t;
COMMENT ON VIEW oms.verify_trigger IS 'Triggers that hold the rules and are missing, disabled, or do not fire for replicated rows as they should (ENABLE TRIGGER ALL does that); CALL oms.install() brings them back. They are the same for every merchant; see verify()';
COMMENT ON COLUMN oms.verify_trigger.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_trigger.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_trigger.object IS 'Where';
COMMENT ON COLUMN oms.verify_trigger.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_trigger.found IS 'What is';
