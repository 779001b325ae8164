-- What commands write nobody types, a superuser neither: every guarded table, column by column, from the catalog.
BEGIN;
SELECT plan(26);

-- One row at least in each table of core, catalogue, inventory and orders.
INSERT INTO oms.company (merchant_id, company_id, name) VALUES (1, 1, 'Acme');
INSERT INTO oms.customer (merchant_id, customer_id, company_id, name) VALUES (1, 1, 1, 'Ann');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'K', 'Kit', 'kit'), (1, 3, 'B', 'Box', 'stocked');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 2, 1, 2);
SELECT oms.receive_stock(1, 1, 1, 100, 'opening', request_key => 'r');
SELECT oms.place_order(1, '{"customer": 1, "external_ref": "X", "email": "a@example.com", "ship_to": {"name": "Ann"}, "shipping": "5",
	"lines": [{"sku": "A", "quantity": 3, "unit_price": "1", "instructions": "wrap"}, {"sku": "K", "quantity": 1, "unit_price": "2"}]}') AS o \gset
SELECT oms.hold(1, :o, 'fraud', 'look at it');

-- Of the type of a column, another value than the one it has.
CREATE FUNCTION pg_temp.other(type regtype, name text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN $1 IN ('int'::regtype, 'bigint'::regtype, 'smallint'::regtype) THEN format('coalesce(%I, 0) + 7', $2)
		WHEN $1 = 'numeric'::regtype THEN format('coalesce(%I, 0) + 0.01', $2)
		WHEN $1 = 'boolean'::regtype THEN format('NOT coalesce(%I, false)', $2)
		WHEN $1 = 'jsonb'::regtype THEN '''{"name": "Eve"}'''
		WHEN $1 = 'timestamptz'::regtype THEN format('coalesce(%I, now()) + interval ''1 day''', $2)
		WHEN $1 = 'text[]'::regtype THEN '''{pick}'''
		ELSE format('coalesce(%I, '''') || ''x''', $2) END $$;

-- What was tried by hand, and what came of it.
CREATE TEMPORARY TABLE attempt (what text, code text, message text);
CREATE FUNCTION pg_temp.try(what text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE statement;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE EXCEPTION USING errcode = 'XX999', message = n || ' rows';
EXCEPTION WHEN OTHERS THEN
	INSERT INTO attempt VALUES (what, CASE SQLSTATE WHEN 'XX999' THEN 'done' ELSE SQLSTATE END, SQLERRM);
END $$;

-- Tables that commands alone write, with the columns that may be typed.
CREATE TEMPORARY TABLE guarded (name text PRIMARY KEY, free text[]);
INSERT INTO guarded VALUES
	('sales_order', '{ship_to,bill_to,email,phone,language,instructions,gift_note,revision,lifecycle}'),
	('order_line', '{instructions}'), ('order_line_component', '{}'), ('order_charge', '{}'), ('order_hold', '{}'),
	('stock', '{safety}'), ('stock_movement', '{}');

SELECT pg_temp.try(format('UPDATE %s.%s', g.name, a.attname),
	format('UPDATE oms.%I SET %I = %s WHERE merchant_id = 1', g.name, a.attname, pg_temp.other(a.atttypid, a.attname)))
FROM guarded g JOIN pg_attribute a ON a.attrelid = ('oms.' || g.name)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
SELECT pg_temp.try('DELETE ' || name, format('DELETE FROM oms.%I WHERE merchant_id = 1', name)) FROM guarded;
SELECT pg_temp.try('TRUNCATE ' || name, format('TRUNCATE oms.%I CASCADE', name)) FROM guarded;
-- A copy of each row under another key.
SELECT pg_temp.try('INSERT ' || name, format('INSERT INTO oms.%I SELECT (jsonb_populate_record(t, %L)).* FROM oms.%I t', name, changed, name))
FROM guarded JOIN (VALUES ('sales_order', '{"order_id": 999, "external_ref": "Y"}'), ('order_line', '{"line_no": 99}'), ('order_charge', '{"charge_no": 99}'),
	('order_line_component', '{"item_id": 3}'), ('stock', '{"item_id": 3}')) v (name, changed) USING (name);

SELECT is_empty($$ SELECT name FROM guarded WHERE name <> ALL (SELECT split_part(substr(what, 8), '.', 1) FROM attempt WHERE what LIKE 'UPDATE %') $$, 'each table was tried');
SELECT is_empty($$ SELECT a.what, a.code, a.message FROM attempt a JOIN guarded g ON split_part(substr(a.what, 8), '.', 1) = g.name
	WHERE a.what LIKE 'UPDATE %' AND split_part(a.what, '.', 2) <> ALL (g.free) AND a.code NOT IN ('OM009', '428C9') $$, 'no column may be typed');
SELECT is_empty($$ SELECT a.what, a.code, a.message FROM attempt a JOIN guarded g ON split_part(substr(a.what, 8), '.', 1) = g.name
	WHERE a.what LIKE 'UPDATE %' AND split_part(a.what, '.', 2) = ANY (g.free) AND a.what <> 'UPDATE sales_order.lifecycle' AND a.code <> 'done' $$, 'but those that are free');
SELECT is((SELECT code FROM attempt WHERE what = 'UPDATE sales_order.lifecycle'), 'OM004', 'the lifecycle goes by its own rules');
SELECT is_empty($$ SELECT what, code, message FROM attempt WHERE what LIKE 'DELETE %' AND code <> 'OM009' $$, 'no row is deleted');
SELECT is_empty($$ SELECT what, code, message FROM attempt WHERE what LIKE 'TRUNCATE %' AND code NOT IN ('OM009', 'OM014') $$, 'no table is emptied');
SELECT is((SELECT count(*)::int FROM attempt WHERE what LIKE 'INSERT %'), 5, 'inserts were tried');
SELECT is_empty($$ SELECT what, code, message FROM attempt WHERE what LIKE 'INSERT %' AND code <> 'OM009' $$, 'no row is added by hand');

-- ON CONFLICT and MERGE are no way round.
SELECT throws_ok($$ INSERT INTO oms.stock (merchant_id, location_id, item_id, on_hand) VALUES (1, 1, 1, 5)
	ON CONFLICT (merchant_id, item_id, location_id) DO UPDATE SET on_hand = 5 $$, 'OM009', NULL, 'INSERT ON CONFLICT');
SELECT throws_ok($$ MERGE INTO oms.order_line l USING (SELECT 1) x ON l.line_no = 1 WHEN MATCHED THEN UPDATE SET shipped = 3 $$, 'OM009', NULL, 'MERGE');

-- A promise may be typed, for it passes the gate; but it is of a line and of that line's item.
SELECT oms.receive_stock(1, 3, 1, 10, 'opening') \g /dev/null
SELECT throws_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, %s)', v), 'OM002', NULL, 'a promise of ' || what)
	FROM (VALUES (format('3, %s, 1, 1', :o), 'another item'), (format('3, %s, 2, 1', :o), 'what is no part of the kit'), (format('1, %s, 9, 1', :o), 'no line'), ('1, 987654, 1, 1', 'no order')) v (v, what);
SELECT throws_ok(format('UPDATE oms.reservation SET item_id = 3 WHERE order_id = %s AND line_no = 1', :o), 'OM002', NULL, 'or one made over to another item');

-- Parents keep their key and stay.
CREATE TEMPORARY TABLE parent AS SELECT unnest('{item,customer,channel,location,company,merchant}'::text[]) AS name;
DELETE FROM attempt;
SELECT pg_temp.try(format('UPDATE %s.%s', p.name, a.attname), format('UPDATE oms.%I SET %I = %s', p.name, a.attname, pg_temp.other(a.atttypid, a.attname)))
FROM parent p JOIN pg_index i ON i.indrelid = ('oms.' || p.name)::regclass AND i.indisprimary
	JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey);
SELECT pg_temp.try('DELETE ' || name, format('DELETE FROM oms.%I', name)) FROM parent;
SELECT pg_temp.try('TRUNCATE ' || name, format('TRUNCATE oms.%I CASCADE', name)) FROM parent;
SELECT is((SELECT count(*)::int FROM attempt), 23, 'keys, deletion and truncation of six parents were tried');
SELECT is_empty($$ SELECT what, code, message FROM attempt WHERE code NOT IN ('OM014', 'OM009') $$, 'each is refused');
SELECT lives_ok(format('UPDATE oms.%I SET merchant_id = merchant_id', name), 'but a key may be written as it is: ' || name) FROM parent;
SELECT lives_ok($$ UPDATE oms.item SET title = 'Pear', active = false WHERE item_id = 3 $$, 'and the rest may be changed');

-- Whatever the catalog has of tables with a guard, TRUNCATE is refused by each.
SELECT is_empty($$
	SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind = 'r'
		AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid IN ('oms.guard_append_only'::regproc, 'oms.guard_command_only'::regproc,
			'oms.guard_parent'::regproc, 'oms.sales_order_guard'::regproc, 'oms.order_line_guard'::regproc, 'oms.stock_guard'::regproc, 'oms.reservation_gate'::regproc))
		AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 32 > 0 AND t.tgtype & 2 > 0)
		AND c.relname <> 'merchant' $$, 'every guarded table has its trigger for TRUNCATE');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'nothing came of it');
SELECT * FROM finish();
ROLLBACK;
