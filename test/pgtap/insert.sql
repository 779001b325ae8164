-- Rows that are written without a statement are the rows that INSERT would have written: with what others
-- added to the tables (columns, defaults, triggers, constraints, indexes) and what only SQL can do (statement
-- triggers, generated columns, domains).
BEGIN;
SELECT plan(29);

CREATE FUNCTION pg_temp.place(OUT id bigint) LANGUAGE sql AS
	$$ SELECT oms.place_order(1, 1, NULL, '{1,2}', '{1,2}') $$;
CREATE FUNCTION pg_temp.lines(bigint) RETURNS bigint LANGUAGE sql AS
	$$ SELECT count(*) FROM oms.order_line WHERE merchant_id = 1 AND order_id = $1 $$;
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'ONE', 'One'), (1, 2, 'TWO', 'Two');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 10), (1, 2, 'EUR', 3);
INSERT INTO oms.customer (merchant_id, customer_id, name, ship_to) VALUES (1, 7, 'Ann', '{"name": "Ann", "country": "DE"}');
SELECT oms.receive_stock(1, i, 1, 1000, 'test') FROM generate_series(1, 2) i;

SELECT pg_temp.place() AS o \gset
SELECT is(pg_temp.lines(:o), 2::bigint, 'two lines');
SELECT is((SELECT count(DISTINCT reservation_id) FROM oms.reservation WHERE order_id = :o), 2::bigint, 'ids by default');

-- What others add.
CREATE SEQUENCE public.own_ids;
ALTER TABLE oms.sales_order ADD COLUMN own_note text DEFAULT 'noted', ADD COLUMN own_id bigint DEFAULT nextval('public.own_ids'),
	ALTER COLUMN phone SET DEFAULT '112';
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT own_note FROM oms.sales_order WHERE order_id = :o), 'noted', 'default of a column of others');
SELECT is((SELECT own_id FROM oms.sales_order WHERE order_id = :o), (SELECT last_value FROM public.own_ids), 'by their sequence');
SELECT is((SELECT phone FROM oms.sales_order WHERE order_id = :o), NULL, 'what is given is given, also when null');
CREATE FUNCTION public.own_default() RETURNS text LANGUAGE sql AS $$ SELECT 'first'::text $$;
ALTER TABLE oms.order_line ADD COLUMN own_text text DEFAULT public.own_default();
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT min(own_text) FROM oms.order_line WHERE order_id = :o), 'first', 'default by a function');
CREATE OR REPLACE FUNCTION public.own_default() RETURNS text LANGUAGE sql AS $$ SELECT 'second'::text $$;
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT min(own_text) FROM oms.order_line WHERE order_id = :o), 'second', 'which may be replaced');
ALTER TABLE oms.order_line DROP COLUMN own_text;

CREATE FUNCTION public.own_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.own_note := 'trigger of ' || (SELECT count(*) FROM oms.sales_order WHERE order_id = NEW.order_id);
	RETURN NEW;
END $$;
CREATE TRIGGER own BEFORE INSERT ON oms.sales_order FOR EACH ROW EXECUTE FUNCTION public.own_trigger();
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT own_note FROM oms.sales_order WHERE order_id = :o), 'trigger of 0', 'BEFORE trigger of others');
CREATE OR REPLACE FUNCTION public.own_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.email := 'replaced@example.test';
	NEW.number := 'OWN-1';
	RETURN NEW;
END $$;
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT email FROM oms.sales_order WHERE order_id = :o), 'replaced@example.test', 'whose function may be replaced');
SELECT is((SELECT order_id FROM oms.find_orders(1, 'replaced@')), :o::bigint, 'a partial index has what a trigger made belong to it');
SELECT is((SELECT order_id FROM oms.find_orders(1, 'OWN-1')), :o::bigint, 'another one too');
ALTER TABLE oms.sales_order DISABLE TRIGGER own;
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT email FROM oms.sales_order WHERE order_id = :o), NULL, 'a trigger that is off');
DROP TRIGGER own ON oms.sales_order;
CREATE TABLE public.own_log (order_id bigint, lines bigint);
CREATE FUNCTION public.own_after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.own_log SELECT NEW.order_id, count(*) FROM oms.order_line WHERE order_id = NEW.order_id;
	RETURN NULL;
END $$;
CREATE TRIGGER own AFTER INSERT ON oms.sales_order FOR EACH ROW WHEN (NEW.total > 0) EXECUTE FUNCTION public.own_after();
SELECT pg_temp.place() AS o \gset
SELECT results_eq(format('SELECT lines FROM public.own_log WHERE order_id = %s', :o), '{2}'::bigint[], 'AFTER trigger sees the whole order');
DROP TRIGGER own ON oms.sales_order;
CREATE CONSTRAINT TRIGGER own AFTER INSERT ON oms.sales_order DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.own_after();
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT count(*) FROM public.own_log WHERE order_id = :o), 0::bigint, 'deferred trigger waits');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is((SELECT count(*) FROM public.own_log WHERE order_id = :o), 1::bigint, 'for its time');
DROP TRIGGER own ON oms.sales_order;
CREATE FUNCTION public.own_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.own_log SELECT min(order_id), count(*) FROM own_rows;
	RETURN NULL;
END $$;
CREATE TRIGGER own AFTER INSERT ON oms.order_line REFERENCING NEW TABLE AS own_rows FOR EACH STATEMENT EXECUTE FUNCTION public.own_statement();
SELECT pg_temp.place() AS o \gset
SELECT results_eq(format('SELECT lines FROM public.own_log WHERE order_id = %s', :o), '{2}'::bigint[], 'statement trigger with its rows');
DROP TRIGGER own ON oms.order_line;

ALTER TABLE oms.sales_order ADD CONSTRAINT own_check CHECK (total < 100) NOT VALID;
SELECT throws_ok('SELECT oms.place_order(1, 1, NULL, ''{1}'', ''{50}'')', '23514', NULL, 'CHECK of others');
SELECT lives_ok('SELECT pg_temp.place()', 'which lets others through');
ALTER TABLE oms.sales_order DROP CONSTRAINT own_check;
ALTER TABLE oms.sales_order ADD COLUMN own_must text NOT NULL DEFAULT 'x';
ALTER TABLE oms.sales_order ALTER COLUMN own_must DROP DEFAULT;
SELECT throws_ok('SELECT pg_temp.place()', '23502', NULL, 'NOT NULL of others');
ALTER TABLE oms.sales_order DROP COLUMN own_must;
CREATE FUNCTION public.own_key(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT left($1, 0) $$;
CREATE UNIQUE INDEX own_unique ON oms.order_line (merchant_id, order_id, public.own_key(sku)) WHERE line_no < 3 AND order_id > 1000000;
SELECT lives_ok('SELECT pg_temp.place()', 'partial index of others, not meant');
SELECT setval('oms.order_id_seq', 2000000) \g /dev/null
SELECT throws_ok('SELECT count(pg_temp.place()) FROM generate_series(1, 40)', '23505', NULL, 'meant: unique by their function');
DROP INDEX oms.own_unique;

-- What only SQL can do.
ALTER TABLE oms.order_line ADD COLUMN own_total numeric GENERATED ALWAYS AS (unit_price * ordered) STORED;
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT sum(own_total) FROM oms.order_line WHERE order_id = :o), 16::numeric, 'generated column');
ALTER TABLE oms.order_line DROP COLUMN own_total;
CREATE DOMAIN public.own_domain AS text DEFAULT 'of the domain' CHECK (VALUE <> '');
ALTER TABLE oms.order_line ADD COLUMN own_text public.own_domain;
SELECT pg_temp.place() AS o \gset
SELECT is((SELECT min(own_text) FROM oms.order_line WHERE order_id = :o), 'of the domain', 'domain with a default');
ALTER TABLE oms.order_line DROP COLUMN own_text;
CREATE FUNCTION pg_temp.read_only() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('transaction_read_only', 'on', true);
	PERFORM pg_temp.place();
	RETURN 'placed';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT is(pg_temp.read_only(), '25006', 'nothing is written by a read-only transaction');

-- Keys and customers without a statement.
SELECT is(oms.place_order(1, 1, 7, '{1}', '{1}', 'k1'), oms.place_order(1, 1, 7, '{1}', '{1}', 'k1'), 'a repeated key is one order');
SELECT throws_ok($$ SELECT oms.place_order(1, 1, 7, '{1}', '{2}', 'k1') $$, 'OM010', NULL, 'of the same content');
UPDATE oms.customer SET ship_to = '{"name": "Ann at work", "country": "DE"}' WHERE customer_id = 7;
SELECT is((SELECT ship_to ->> 'name' FROM oms.sales_order WHERE order_id = oms.place_order(1, 1, 7, '{1}', '{1}', 'k1')), 'Ann', 'the first one');
SELECT oms.place_order(1, 1, 7, '{1}', '{1}') AS o \gset
SELECT is((SELECT ship_to ->> 'name' FROM oms.sales_order WHERE order_id = :o), 'Ann at work', 'a customer as this transaction has left him');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
