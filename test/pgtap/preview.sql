-- A preview is what the command does: every row of every table is read before and after the real one, in the same
-- transaction and with the same ids, and compared; and the preview itself leaves nothing behind.
BEGIN;
SELECT plan(32);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.customer (merchant_id, customer_id, name, email) VALUES (1, 1, 'Ann', 'ann@example.com');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, min_quantity, amount) VALUES (1, 1, 'EUR', 1, 7.50), (1, 2, 'EUR', 1, 4);
INSERT INTO oms.message_template (merchant_id, channel_id, kind, language, subject, body)
	SELECT 1, channel_id, kind, 'en', 'Order', 'Hello' FROM oms.channel, unnest('{confirmation,cancellation}'::text[]) kind WHERE merchant_id = 1;

-- Every row there is.
CREATE FUNCTION pg_temp.rows() RETURNS TABLE (t text, r jsonb) LANGUAGE plpgsql AS $$
DECLARE n text;
BEGIN
	FOR n IN SELECT relname FROM pg_class WHERE relnamespace = 'oms'::regnamespace AND relkind = 'r' LOOP
		RETURN QUERY EXECUTE format('SELECT %L::text, to_jsonb(x) FROM oms.%I x', n, n);
	END LOOP;
END $$;
CREATE TEMPORARY TABLE primary_key AS SELECT c.relname::text AS t, array_agg(a.attname::text) AS columns
	FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
	WHERE c.relnamespace = 'oms'::regnamespace GROUP BY 1;
CREATE TEMPORARY TABLE was (t text, r jsonb);
CREATE TEMPORARY TABLE previewed (operation text, table_name text, key jsonb, column_name text, before jsonb, after jsonb);
CREATE FUNCTION pg_temp.note() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM was; INSERT INTO was SELECT * FROM pg_temp.rows(); END $$;

-- The difference that there is, in the form of a preview.
CREATE FUNCTION pg_temp.difference() RETURNS TABLE (operation text, table_name text, key jsonb, column_name text, before jsonb, after jsonb) LANGUAGE sql AS $$
	WITH old AS MATERIALIZED (SELECT t, r FROM was EXCEPT ALL SELECT * FROM pg_temp.rows()), new AS MATERIALIZED (SELECT * FROM pg_temp.rows() EXCEPT ALL SELECT t, r FROM was),
	o AS (SELECT t, r, (SELECT jsonb_object_agg(c, r -> c) FROM unnest(k.columns) c) AS key FROM old JOIN primary_key k USING (t)),
	n AS (SELECT t, r, (SELECT jsonb_object_agg(c, r -> c) FROM unnest(k.columns) c) AS key FROM new JOIN primary_key k USING (t))
	SELECT CASE WHEN o.r IS NULL THEN 'insert' WHEN n.r IS NULL THEN 'delete' ELSE 'update' END, t, key, c, nullif(o.r -> c, 'null'), nullif(n.r -> c, 'null')
	FROM o FULL JOIN n USING (t, key) CROSS JOIN LATERAL jsonb_object_keys(coalesce(o.r, n.r)) c
	WHERE nullif(o.r -> c, 'null') IS DISTINCT FROM nullif(n.r -> c, 'null') $$;

-- The sequences, so that the real one draws the ids that the preview drew.
CREATE FUNCTION pg_temp.sequences(base bigint) RETURNS void LANGUAGE sql AS $$ SELECT setval(c.oid, base) FROM pg_class c WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind = 'S' $$;

CREATE FUNCTION pg_temp.statement(command text, arguments jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT to_jsonb(r) FROM oms.%I(merchant => 1%s) r', command, (SELECT string_agg(format(', %I => %s', k, CASE WHEN v = 'null' THEN 'NULL'
		WHEN jsonb_typeof(v) = 'array' AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.proname = command AND p.pronamespace = 'oms'::regnamespace
			AND p.proargtypes[array_position(p.proargnames, k) - 1] = 'jsonb'::regtype) THEN quote_literal(translate(v::text, '[]', '{}'))
		ELSE quote_literal(v #>> '{}') END), '') FROM jsonb_each(arguments) e (k, v))) $$;

CREATE TEMPORARY TABLE run (n int, command text, rows int, trace bigint, stock bigint, differs bigint, results boolean);
CREATE FUNCTION pg_temp.try(command text, arguments jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	base bigint := 1000 * (1 + (SELECT count(*) FROM run));
	trace bigint; stock bigint; differs bigint; levels bigint[]; results jsonb; answer jsonb; n int;
BEGIN

	DELETE FROM previewed;
	PERFORM pg_temp.note();
	levels := (SELECT array_agg(oms.available(1, i, l) ORDER BY i, l) FROM generate_series(1, 3) i, generate_series(1, 2) l);
	PERFORM pg_temp.sequences(base);
	INSERT INTO previewed SELECT * FROM oms.preview(1, command, arguments);
	SELECT count(*) INTO trace FROM pg_temp.difference();
	stock := (levels IS DISTINCT FROM (SELECT array_agg(oms.available(1, i, l) ORDER BY i, l) FROM generate_series(1, 3) i, generate_series(1, 2) l))::int;
	PERFORM pg_temp.sequences(base);
	EXECUTE pg_temp.statement(command, arguments) INTO answer;
	SELECT count(*) INTO differs FROM ((SELECT * FROM previewed WHERE operation <> 'result' EXCEPT ALL SELECT * FROM pg_temp.difference())
		UNION ALL (SELECT * FROM pg_temp.difference() EXCEPT ALL SELECT * FROM previewed WHERE operation <> 'result')) x;
	SELECT after INTO results FROM previewed WHERE operation = 'result';
	INSERT INTO run SELECT base / 1000, command, (SELECT count(*) FROM previewed), trace, stock, differs, results IS NOT DISTINCT FROM answer;
	RETURN answer;
END $$;

SELECT pg_temp.try('receive_stock', '{"item": 1, "location": 1, "quantity": 50, "cause": "opening", "request_key": "r1"}'),
	pg_temp.try('receive_stock', '{"item": 2, "location": 1, "quantity": 20, "cause": "opening"}') \g /dev/null
SELECT pg_temp.try('place_order', '{"document": {"customer": 1, "external_ref": "X-1", "shipping": "5", "lines": [{"sku": "A", "quantity": 3}, {"sku": "K", "quantity": 2, "unit_price": "20"}]}, "request_key": "p1"}') AS o \gset
SELECT pg_temp.try('place_order', '{"channel": 1, "customer": null, "items": [1, 2], "quantities": [2, 1]}') AS p \gset
SELECT pg_temp.try('place_order', '{"document": {"lines": [{"sku": "WHAT", "quantity": 1, "unit_price": "1"}]}}') AS u \gset
SELECT pg_temp.try('place_order', '{"document": {"allocation": "backorder", "lines": [{"sku": "A", "quantity": 60}]}}') AS b \gset
SELECT pg_temp.try('hold', jsonb_build_object('order_id', :o, 'kind', 'fraud', 'blocks', '["ship", "capture"]'::jsonb)),
	pg_temp.try('release_hold', jsonb_build_object('order_id', :o, 'kind', 'fraud', 'reason', 'called back')) \g /dev/null
SELECT pg_temp.try('cancel_line', jsonb_build_object('order_id', :o, 'line_no', 1, 'quantity', 1)) \g /dev/null
SELECT pg_temp.try('authorize', jsonb_build_object('order_id', :o, 'method', 'card', 'gateway', 'stripe', 'request_key', 'a1')) AS pay \gset
SELECT pg_temp.try('record_payment_event', jsonb_build_object('payment_id', :pay, 'kind', 'authorized', 'amount', 60, 'event_reference', 'au')) \g /dev/null
SELECT (pg_temp.try('plan_fulfilment', jsonb_build_object('order_id', :o)) ->> 'fulfilment_id') AS f \gset
SELECT pg_temp.try('confirm_pick', jsonb_build_object('fulfilment', :f)), pg_temp.try('pack', jsonb_build_object('fulfilment', :f, 'weight_g', 900)) \g /dev/null
SELECT pg_temp.try('ship', jsonb_build_object('fulfilment', :f, 'tracking_number', 'T1')) AS s \gset
SELECT pg_temp.try('record_tracking', jsonb_build_object('shipment', :s, 'status', 'delivered')) \g /dev/null
SELECT pg_temp.try('record_payment_event', jsonb_build_object('payment_id', :pay, 'kind', 'captured', 'amount', 57.5, 'event_reference', 'ca')) \g /dev/null
SELECT pg_temp.try('request_return', jsonb_build_object('order_id', :o, 'lines', '[{"line": 1, "quantity": 1, "reason": "changed_mind"}]'::jsonb)) AS ret \gset
SELECT pg_temp.try('cancel_order', jsonb_build_object('order_id', :p, 'reason', 'changed her mind')) \g /dev/null
SELECT pg_temp.try('receive_stock', '{"item": 1, "location": 1, "quantity": 40, "cause": "delivery"}') \g /dev/null
SELECT pg_temp.try('reopen_order', jsonb_build_object('order_id', :p, 'allocation', 'backorder', 'reason', 'wants it after all')), pg_temp.try('cancel_order', jsonb_build_object('order_id', :p)) \g /dev/null
SELECT pg_temp.try('add_task', '{"kind": "call", "payload": {"a": 1}}') \g /dev/null
SELECT pg_temp.try('hold_stock', '{"item": 2, "location": 1, "quantity": 2, "duration": "10 min"}') AS h \gset
SELECT pg_temp.try('hold_stock', '{"item": 2, "location": 1, "quantity": 1, "scope": "session"}') \g /dev/null
SELECT pg_temp.try('transfer_stock', '{"from_location": 1, "to_location": 2, "lines": [{"item": 2, "quantity": 3}]}') AS x \gset
SELECT pg_temp.try('receive_transfer', jsonb_build_object('transfer', :x)) \g /dev/null
SELECT pg_temp.try('set_urgency', jsonb_build_object('order_id', :b, 'priority', 5)), pg_temp.try('set_setting', '{"name": "rounding", "value": "half-up"}') \g /dev/null
-- Refusals within the command are savepoints that it rolls back.
INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 1, 's', n,
	format('{"external_ref": "S-%s", "lines": [{"sku": "A", "quantity": %s, "unit_price": "1"}]}', n, CASE WHEN n % 2 = 0 THEN 9999 ELSE 1 END)::jsonb FROM generate_series(1, 8) n;
SELECT pg_temp.try('place_orders', '{"source": "s"}') \g /dev/null
-- A row changed twice, and one made and gone again.
SELECT pg_temp.try('cancel_order', jsonb_build_object('order_id', :u)) \g /dev/null

-- Numbers without gaps: a preview shows the next one and draws none
SELECT pg_temp.try('place_order', '{"document": {"lines": [{"sku": "B", "quantity": 3}]}}') AS v \gset
SELECT pg_temp.try('issue_invoice', jsonb_build_object('order_id', :v)) AS inv \gset
SELECT pg_temp.try('void_invoice', jsonb_build_object('invoice_id', :inv)), pg_temp.try('issue_invoice', jsonb_build_object('order_id', :v)) \g /dev/null
SELECT pg_temp.try('cancel_line', jsonb_build_object('order_id', :v, 'line_no', 1, 'quantity', 1)), pg_temp.try('issue_credit_note', jsonb_build_object('order_id', :v)) \g /dev/null
SELECT results_eq($$ SELECT kind, string_agg(series_number::text, ' ' ORDER BY invoice_id) FROM oms.invoice GROUP BY 1 ORDER BY 1 $$, $$ VALUES ('credit_note', '1 2'), ('invoice', '1 2') $$,
	'numbers of invoices and credit notes go on without a gap, however often they were previewed');

SELECT is((SELECT count(*)::int FROM run), 37, 'thirty-seven commands were previewed');
SELECT is_empty('SELECT n, command, differs FROM run WHERE differs > 0', 'each preview is the difference that the command then made, no row more or less');
SELECT is_empty($$ SELECT n, command FROM run WHERE NOT results AND command <> 'hold_stock' $$, 'and tells what it then answered (session holds are numbered in memory)');
SELECT is_empty('SELECT n, command, trace FROM run WHERE trace > 0', 'no row of any table tells that there was a preview');
SELECT is_empty('SELECT n, command FROM run WHERE stock > 0', 'nor does the gate');
SELECT is_empty($$ SELECT n, command FROM run WHERE rows < 2 AND command <> 'hold_stock' $$, 'each has something to show (a session hold is in no table)');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Placement (E11): totals, promises, holds
SELECT results_eq($$ SELECT column_name, after #>> '{}' FROM oms.preview(1, 'place_order', '{"document": {"shipping": "5", "lines": [{"sku": "A", "quantity": 2}, {"sku": "NEW", "quantity": 1, "unit_price": "3"}]}}')
	WHERE (table_name, column_name) IN (('sales_order', 'total'), ('reservation', 'quantity'), ('order_hold', 'kind')) ORDER BY 1 $$,
	$$ VALUES ('kind', 'unmapped'), ('quantity', '2'), ('total', '23.00') $$, 'what a placement would come to, what it would be promised, and what would hold it');

-- Sequences of commands
SELECT results_eq($$ SELECT operation, table_name, key, after ->> 'x' FROM oms.preview_all(1, '[{"command": "place_order", "arguments": {"document": {"lines": [{"sku": "A", "quantity": 1}]}}},
	{"command": "hold", "arguments": {"order_id": {"result": 1}, "kind": "fraud"}}, {"command": "release_hold", "arguments": {"order_id": {"result": 1}, "kind": "fraud"}}]') WHERE operation = 'result' $$,
	$$ VALUES ('result', 'place_order', '{"step": 1}'::jsonb, NULL::text), ('result', 'hold', '{"step": 2}', NULL), ('result', 'release_hold', '{"step": 3}', NULL) $$, 'steps may use what earlier ones answered');
SELECT is_empty(format($$ SELECT * FROM oms.preview_all(1, '[{"command": "set_setting", "arguments": {"name": "rounding", "value": "half-even"}},
	{"command": "set_setting", "arguments": {"name": "rounding", "value": "half-up"}}]') WHERE operation <> 'result' $$), 'what is as before in the end is no difference');
SELECT is_empty($$ SELECT * FROM oms.preview_all(1, '[]') $$, 'nothing changes nothing');
SELECT is((SELECT value FROM oms.setting WHERE merchant_id = 1 AND name = 'rounding'), 'half-up', 'the setting is what it was');
SELECT is((SELECT value FROM oms.effective_setting(1, 'rounding')), 'half-up', 'for the compiled configuration too');

-- Refusals are the command's own
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'place_order', '{"document": {"lines": [{"sku": "A", "quantity": 100000}]}}') $$, 'OM001', NULL, 'a shortage');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'cancel_order', '{"order_id": 424242}') $$, 'OM002', NULL, 'an unknown order');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'nonesuch', '{}') $$, 'OM002', NULL, 'an unknown command');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'order_document', '{"order_id": 1}') $$, 'OM002', NULL, 'a function that writes nothing');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'preview_all', '{"commands": []}') $$, 'OM002', NULL, 'a preview of a preview');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'cancel_order', '{"order": 1}') $$, 'OM011', NULL, 'a misspelt argument');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'cancel_order', '{"order_id": [1]}') $$, 'OM011', NULL, 'an array that is none');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'cancel_order', '{"order_id": {"result": 1}}') $$, 'OM011', NULL, 'a result that is not there yet');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, NULL, '{}') $$, 'OM003', NULL, 'no command');
SELECT throws_ok($$ SELECT * FROM oms.preview_all(1, '{}') $$, 'OM003', NULL, 'no array');
SELECT throws_ok($$ SELECT * FROM oms.preview_all(NULL, '[]') $$, 'OM011', NULL, 'no merchant');
SELECT throws_ok($$ SELECT * FROM oms.preview_all(1, NULL) $$, 'OM011', NULL, 'no commands');
SELECT lives_ok($$ SELECT * FROM oms.preview(1, 'place_order', '{"document": {"lines": [{"sku": "A", "quantity": 1}]}}') $$, 'after a refusal the next one works');

-- Rights: those of the command, no more and no less
CREATE ROLE oms_t_preview;
SELECT oms.grant_role('oms_t_preview', 'warehouse') \g /dev/null
SET LOCAL ROLE oms_t_preview;
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'place_order', '{"document": {"lines": [{"sku": "A", "quantity": 1}]}}') $$, '42501', NULL, 'who may not place an order may not preview it');
SELECT lives_ok($$ SELECT * FROM oms.preview(1, 'receive_stock', '{"item": 1, "location": 1, "quantity": 5, "cause": "delivery"}') $$, 'who may receive stock may');
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'set_setting', '{"name": "rounding", "value": "half-even"}') $$, '42501', NULL, 'what is the owner''s is the owner''s');
RESET ROLE;

-- Another's table is shown with its schema; a partitioned one cannot be watched and is refused
CREATE SCHEMA shop;
CREATE TABLE shop.seen (order_id bigint);
CREATE FUNCTION shop.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO shop.seen VALUES (new.order_id); RETURN NULL; END $$;
CREATE TRIGGER see AFTER INSERT ON oms.sales_order FOR EACH ROW EXECUTE FUNCTION shop.see();
SELECT is((SELECT count(*)::int FROM oms.preview(1, 'place_order', '{"document": {"lines": [{"sku": "A", "quantity": 1}]}}') WHERE table_name = 'shop.seen' AND operation = 'insert'), 1, 'a shop''s own trigger and table');
DROP TABLE shop.seen;
CREATE TABLE shop.seen (order_id bigint) PARTITION BY LIST (order_id);
CREATE TABLE shop.seen_all PARTITION OF shop.seen DEFAULT;
SELECT throws_ok($$ SELECT * FROM oms.preview(1, 'place_order', '{"document": {"lines": [{"sku": "A", "quantity": 1}]}}') $$, '0A000', NULL, 'partitions');

SELECT * FROM finish();
ROLLBACK;
