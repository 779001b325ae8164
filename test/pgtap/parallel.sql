-- Parallel plans, forced wherever PostgreSQL allows one: what functions answer is the same, a promise is a promise, and what
-- writes is never run in a worker.
BEGIN;
SELECT plan(23);

INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) SELECT 1, n, 'P' || n, 'Item', 'stocked' FROM generate_series(1, 40) n;
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 50, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 50, 1, 2), (1, 50, 2, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, n, 'EUR', 9.99 FROM generate_series(1, 40) n;
SELECT count(oms.receive_stock(1, n, 1, 5, 'opening')) FROM generate_series(1, 40) n \g /dev/null
SELECT oms.order_supply(1, '{"supplier": "S", "external_ref": "PO", "location": "MAIN", "currency": "EUR", "expected_at": "2031-05-01T00:00:00Z", "lines": [{"sku": "P1", "quantity": 10}]}') \g /dev/null
SELECT oms.place_order(1, '{"channel": 1, "allocation": "backorder", "lines": [{"sku": "P1", "quantity": 9}, {"sku": "P3", "quantity": 1}]}') AS o \gset
SELECT oms.ship_order(1, oms.place_order(1, '{"channel": 1, "lines": [{"sku": "P2", "quantity": 2}]}')) AS s \gset

-- A call of each function that only reads, with arguments by name and type
CREATE TABLE call AS
SELECT p.oid, p.proname, p.proparallel, p.provolatile, format('oms.%I(%s)', p.proname, (SELECT string_agg(
	CASE WHEN a.name = 'merchant' THEN '1' WHEN a.name = 'order_id' THEN :'o' || '::bigint' WHEN a.name = 'location' THEN '1' WHEN a.name = 'currency' THEN '''EUR'''
		WHEN a.name = 'time_zone' THEN '''UTC''' WHEN a.name = 'period' THEN '''month''' WHEN a.name = 'search' THEN '''P1'''
		WHEN t.typname = '_int8' THEN 'ARRAY[1, 2, 3, 50]::bigint[]' WHEN t.typname IN ('int4', 'int8', 'numeric') THEN '1::' || t.typname WHEN t.typname = 'text' THEN '''x'''
		WHEN t.typname = 'jsonb' THEN '''{}''::jsonb' WHEN t.typname = 'jsonpath' THEN '''$.total > 1''::jsonpath' WHEN t.typname = 'money' THEN '''7 EUR''::oms.money'
		WHEN t.typname = 'timestamptz' THEN '''2030-01-01Z''::timestamptz' WHEN t.typname = 'date' THEN '''2030-01-01''::date' WHEN t.typname = 'time' THEN '''09:00''::time'
		WHEN t.typname = 'cstring' THEN '''7 EUR''::cstring' END, ', ' ORDER BY a.n)
	FROM ROWS FROM (unnest(p.proargtypes::oid[]), unnest(coalesce(p.proargnames, '{}')::text[])) WITH ORDINALITY a (type, name, n)
	JOIN pg_type t ON t.oid = a.type)) AS text
FROM pg_proc p WHERE p.pronamespace = 'oms'::regnamespace AND p.provolatile <> 'v' AND p.prokind = 'f' AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[]);
ALTER TABLE call ADD COLUMN one text, ADD COLUMN many text;

CREATE FUNCTION answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text; BEGIN EXECUTE query INTO said; RETURN coalesce(said, 'nothing'); EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
CREATE FUNCTION parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE line text; BEGIN FOR line IN EXECUTE 'EXPLAIN ' || query LOOP IF line ~ 'Gather' THEN RETURN true; END IF; END LOOP; RETURN false;
	EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;	-- refused while it was planned: immutable
-- Once, and for each row of a scan that is worth two workers.
CREATE FUNCTION alone(call text) RETURNS text LANGUAGE sql AS $$ SELECT 'SELECT string_agg(x::text, ''|'') FROM (SELECT ' || call || ') x' $$;
CREATE FUNCTION scanned(call text) RETURNS text LANGUAGE sql AS $$ SELECT 'SELECT string_agg(x::text, ''|'' ORDER BY x::text) FROM (SELECT i.item_id, ' || call || ' FROM oms.item i WHERE i.item_id < 5) x' $$;

SELECT is((SELECT string_agg(proname, ' ') FROM call WHERE text IS NULL AND proname NOT IN ('clock', 'event_horizon', 'version')), NULL, 'each function has a call');
UPDATE call SET text = format('oms.%I()', proname) WHERE text IS NULL OR text LIKE '%()';
SELECT is(parallel('SELECT count(*) FROM oms.item'), false, 'no parallel plan by itself');
-- event_horizon() is of the whole server, whose other databases go on.
UPDATE call SET one = answer(alone(text)), many = answer(scanned(text)) WHERE proname <> 'event_horizon';
SELECT cmp_ok((SELECT count(*) FROM call WHERE one !~ '^[0-9A-Z]{5}$'), '>', 50::bigint, 'most calls answer something');

-- Forced: the setting has another name from PostgreSQL 16 on
SELECT count(set_config(name, 'on', true)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \g /dev/null
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SELECT is(parallel('SELECT count(*) FROM oms.item'), true, 'now there is');
SELECT is(parallel('SELECT 1'), true, 'for the smallest statement');

-- Labels, and that behaviour agrees with them
SELECT is_empty($$ SELECT proname FROM pg_proc WHERE pronamespace = 'oms'::regnamespace AND provolatile = 'v' AND proparallel <> 'u' $$, 'whatever may write is PARALLEL UNSAFE');
SELECT is_empty($$ SELECT proname FROM pg_proc WHERE pronamespace = 'oms'::regnamespace AND proparallel = 'r' $$, 'nothing is RESTRICTED');
SELECT is_empty($$ SELECT text FROM call WHERE (proparallel = 's') <> parallel('SELECT ' || text) $$, 'safe ones run in a worker, the others never do');
SELECT is_empty($$ SELECT text, one, answer(alone(text)) FROM call WHERE one IS NOT NULL AND one IS DISTINCT FROM answer(alone(text)) $$, 'each answers what it answered without');
SELECT is_empty($$ SELECT text, many, answer(scanned(text)) FROM call WHERE many IS NOT NULL AND many IS DISTINCT FROM answer(scanned(text)) $$, 'and in a scan');
SELECT is((SELECT oms.sum(m)::text FROM (SELECT oms.money(item_id, 'EUR') FROM oms.item) x (m)), (SELECT sum(item_id) || '.00 EUR' FROM oms.item), 'sums of money, by two workers');
SELECT is(parallel($$ SELECT oms.sum(oms.money(item_id, 'EUR')) FROM oms.item $$), true, 'which it is');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'verify() agrees');

-- What is for sale
SELECT is((SELECT string_agg(oms.available(1, item_id, 1)::text, ' ' ORDER BY item_id) FROM oms.item WHERE item_id < 5), '0 3 4 5', 'one by one');

-- Promises: by command, by the scan of a table, by hand
SELECT is((SELECT count(oms.place_order(1, jsonb_build_object('channel', 1, 'lines', jsonb_build_array(jsonb_build_object('item', item_id, 'quantity', 5))))) FROM oms.item WHERE item_id BETWEEN 10 AND 14), 5::bigint, 'orders placed in a scan');
SELECT is((SELECT sum(oms.available(1, item_id))::int FROM oms.item WHERE item_id BETWEEN 10 AND 15), 5, 'take what they promise');
SELECT throws_ok($$ SELECT oms.place_order(1, jsonb_build_object('channel', 1, 'lines', jsonb_build_array(jsonb_build_object('item', item_id, 'quantity', 1)))) FROM oms.item WHERE item_id BETWEEN 10 AND 14 $$, 'OM001', NULL, 'and nothing is sold twice');
SELECT lives_ok($$ INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity) SELECT 1, 1, i.item_id, 3 FROM oms.item i JOIN oms.stock s USING (merchant_id, item_id) WHERE item_id BETWEEN 20 AND 29 $$, 'holds typed by hand');
SELECT throws_ok($$ INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity) SELECT 1, 1, item_id, 3 FROM oms.item WHERE item_id BETWEEN 20 AND 29 $$, 'OM001', NULL, 'pass the gate');
DELETE FROM oms.stock_hold USING oms.item i WHERE i.item_id = stock_hold.item_id;
SELECT is((SELECT sum(oms.available(1, item_id))::int FROM oms.item WHERE item_id BETWEEN 20 AND 29), 50, 'and come back');

-- Somebody else's function with a wrong label
CREATE FUNCTION wrong(item bigint) RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN RETURN oms.place_order(1, jsonb_build_object('channel', 1, 'lines', jsonb_build_array(jsonb_build_object('item', item, 'quantity', 1)))); END $$;
SELECT concat_ws(' ', counter, recomputed, pins) AS gate FROM oms.stock_gate WHERE item_id = 30 \gset
SELECT is(answer('SELECT wrong(item_id) FROM oms.item WHERE item_id = 30'), '25000', 'a command in a worker is refused');
SELECT is((SELECT concat_ws(' ', counter, recomputed, pins) FROM oms.stock_gate WHERE item_id = 30), :'gate', 'and neither takes from the gate nor pins a counter');
SELECT is_empty('SELECT * FROM oms.stock_gate WHERE doubtful', 'no counter is in doubt');
SELECT * FROM finish();
ROLLBACK;
