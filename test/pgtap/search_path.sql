-- A caller whose search_path begins with functions, operators, a domain and temporary tables that bear the names of what
-- oms uses: none of them is met, in commands, triggers on typed rows, views and functions in SQL.
BEGIN;
SELECT plan(19);

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 2);

CREATE SCHEMA evil;
CREATE FUNCTION evil.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION evil.eq(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT evil.trap()';
CREATE FUNCTION evil.eq(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT evil.trap()';
CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.trap()';
CREATE FUNCTION evil.minus(numeric, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT evil.trap()::int::numeric';
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
CREATE OPERATOR evil.- (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.minus);
CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT evil.trap()::text';
CREATE FUNCTION evil.array_to_string(text[], text) RETURNS text LANGUAGE sql AS 'SELECT evil.trap()::text';
CREATE FUNCTION evil.min(int) RETURNS int LANGUAGE sql AS 'SELECT evil.trap()::int';
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now() WHERE evil.trap()';
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (false);
CREATE TABLE evil.changed (x int);
CREATE TEMPORARY TABLE changed (x int);
CREATE TEMPORARY TABLE stock (x int);
CREATE TEMPORARY TABLE pg_class (x int);
CREATE TEMPORARY TABLE attempt (n int GENERATED ALWAYS AS IDENTITY, statement text, said text);
CREATE FUNCTION pg_temp.try(statement pg_catalog.text) RETURNS void LANGUAGE plpgsql SET search_path = evil, pg_temp, pg_catalog, oms AS $$
DECLARE said pg_catalog.text;
BEGIN
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS said = MESSAGE_TEXT;
	END;
	INSERT INTO pg_temp.attempt (statement, said) VALUES (statement, said);
END $$;
CREATE FUNCTION pg_temp.o() RETURNS bigint LANGUAGE sql SET search_path = pg_catalog AS 'SELECT max(order_id) FROM oms.sales_order';
SELECT pg_temp.try(statement) FROM (VALUES
	('SELECT 1 WHERE 1 = 1'::pg_catalog.text),
	('SELECT oms.receive_stock(1, 1, 1, 50, ''x''::pg_catalog.text)'),
	('SELECT oms.place_order(1, ''{"lines": [{"sku": "A", "quantity": 5, "discount": 1}, {"sku": "NEW", "quantity": 2, "unit_price": 1}], "discount": 1, "shipping": 3}'', ''key'')'),
	('SELECT oms.cancel_line(1, pg_temp.o(), 1, 2)'),
	('INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 2, ''NEW'', ''New'')'),
	('UPDATE oms.sales_order SET gift_note = ''wrapped'''),
	('INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 1, 2, ''receipt'', 50, ''x'')'),
	('SELECT oms.set_setting(1, ''rounding'', ''half-up'')'),
	('SELECT oms.hold(1, pg_temp.o())'),
	('SELECT oms.release_hold(1, pg_temp.o(), ''manual'')'),
	('SELECT oms.ship_order(1, pg_temp.o())'),
	('SELECT oms.cancel_order(1, oms.place_order(1, 1, NULL, ''{1}'', ''{3}''))'),
	('INSERT INTO oms.staged_order (merchant_id, source, position, document) VALUES (1, ''s'', 1, ''{"external_ref": "S", "lines": [{"sku": "A", "quantity": 1}]}'')'),
	('SELECT * FROM oms.place_orders(1)'),
	('SELECT * FROM oms.order_differences(1, ''{"external_ref": "S", "lines": [{"sku": "A", "quantity": 1}]}'')'),
	('SELECT oms.units_share(10, 3, 0, 1, ''EUR''), oms.prorate(10.00, 1, ''EUR''), oms.available(1, 1)'),
	('SELECT * FROM oms.orders, oms.stock_level, oms.open_work'),
	('CALL oms.install()')) v (statement) \g /dev/null
SELECT is(said, 'trapped', 'the trap works') FROM attempt WHERE n = 1;
SELECT is(said, NULL, statement) FROM attempt WHERE n > 1 ORDER BY n;
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
