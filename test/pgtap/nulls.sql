-- Nulls where none belong, in every column of every table, typed by the owner himself: a BEFORE trigger meets the row
-- ahead of NOT NULL, and must leave the refusal to it (a trigger in C that reads a null text ends the whole server).
-- And configuration that is gone: named, not followed into the void.
BEGIN;
SELECT plan(13);

INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 2, 1, 2);
INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann');
SELECT oms.receive_stock(1, 1, 1, 100, 'opening', request_key => 'r') \g /dev/null
SELECT oms.set_setting(1, 'allocation', 'strict') \g /dev/null
SELECT oms.place_order(1, '{"customer": 1, "shipping": "5", "lines": [{"sku": "A", "quantity": 3, "unit_price": "1"}, {"sku": "K", "quantity": 1, "unit_price": "2"},
	{"sku": "UNKNOWN", "quantity": 1, "unit_price": "2"}]}') AS o \gset

CREATE TEMPORARY TABLE attempt (statement text, code text);
CREATE FUNCTION pg_temp.try(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE statement;
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO attempt VALUES (statement, SQLSTATE);
	END;
END $$;

CREATE TEMPORARY TABLE col AS
	SELECT c.relname AS t, a.attname AS c, a.attnum AS n, CASE WHEN a.atttypid = 'jsonb'::regtype THEN '''{}''' WHEN a.atttypid = 'timestamptz'::regtype THEN 'now()'
		WHEN a.atttypid = 'date'::regtype THEN 'current_date' WHEN a.atttypid = 'bool'::regtype THEN 'true' WHEN a.atttypid::regtype::text LIKE '%[]' THEN '''{}'''
		WHEN a.atttypid = 'bytea'::regtype THEN '''\x00''' WHEN a.atttypid = 'uuid'::regtype THEN 'gen_random_uuid()' ELSE '''1''' END AS v
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
	WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind = 'r';
SELECT pg_temp.try(format('UPDATE oms.%I SET %I = NULL', t, c)) FROM col \g /dev/null
SELECT pg_temp.try(format('INSERT INTO oms.%I (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', t, string_agg(quote_ident(c), ', ' ORDER BY n), string_agg('NULL', ', '))) FROM col GROUP BY t \g /dev/null
-- each column null by itself
SELECT pg_temp.try(format('INSERT INTO oms.%I (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', a.t, string_agg(quote_ident(a.c), ', ' ORDER BY a.n),
	string_agg(CASE WHEN a.c = b.c THEN 'NULL' ELSE a.v END, ', ' ORDER BY a.n))) FROM col a JOIN col b USING (t) GROUP BY a.t, b.c \g /dev/null
SELECT cmp_ok((SELECT count(*)::int FROM attempt), '>', 1000, 'a thousand nulls and more were typed, and the server is there');
SELECT is_empty($$ SELECT * FROM attempt WHERE code LIKE 'XX%' AND code <> 'XX999' $$, 'no internal error came of it');
SELECT is((SELECT code FROM attempt WHERE statement = 'UPDATE oms.sales_order SET lifecycle = NULL'), '23502', 'an order without a state');
SELECT throws_ok($$ INSERT INTO oms.setting (merchant_id, name, value) VALUES (1, NULL, 'x') $$, '23502', NULL, 'a setting without a name');
SELECT throws_ok($$ SELECT oms.set_setting(1, NULL, 'x') $$, '23502', NULL, 'nor by its command');
SELECT throws_ok($$ SELECT oms.set_setting(1, 'allocation', NULL) $$, '23502', NULL, 'a setting without a value');
SELECT throws_ok($$ SELECT oms.set_setting(1, 'nonesuch', 'x') $$, 'OM002', NULL, 'a setting that does not exist');
SELECT throws_ok($$ SELECT oms.set_setting(1, 'allocation', 'none', 99) $$, 'OM002', NULL, 'or of a channel that does not');
SELECT lives_ok($$ SELECT oms.set_setting(1, 'allocation', 'strict', 1) $$, 'and of one that does');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- A default that somebody has deleted.
SELECT lives_ok($$ DELETE FROM oms.setting_definition WHERE name IN ('confirmation', 'rounding') $$, 'defaults of settings are deleted');
SELECT throws_ok($$ SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 1, "unit_price": "1"}]}') $$, 'OM016', NULL, 'placing says which is missing');
CALL oms.install();
SELECT lives_ok($$ SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 1, "unit_price": "1"}]}') $$, 'install() brings them back');

SELECT * FROM finish();
ROLLBACK;
