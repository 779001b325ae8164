-- Orders as of any instant equal the orders then, and the log replayed equals the orders now, whatever was done to them.
BEGIN;
SELECT plan(30);

INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, min_quantity, amount) VALUES (1, 1, 'EUR', 1, 7.50), (1, 2, 'EUR', 1, 4), (1, 3, 'EUR', 1, 20);
INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann');
SELECT oms.receive_stock(1, 1, 1, 60, 'opening'), oms.receive_stock(1, 2, 1, 200, 'opening') \g /dev/null

-- Placing logs nothing
SET LOCAL oms.test_clock = '2026-03-01 00:00+00';
SELECT oms.place_order(1, '{"shipping": "5", "lines": [{"sku": "A", "quantity": 3}, {"sku": "K", "quantity": 2}, {"sku": "LATER", "quantity": 1, "unit_price": "2"}]}') AS o \gset
SELECT is((SELECT count(*)::int FROM oms.order_change), 0, 'placing an order with charges, parts and a hold logs nothing');
SELECT is(oms.order_as_of(1, :o, '2026-02-28 23:59:59+00'), NULL, 'before it there is no order');
SELECT is(oms.order_as_of(1, :o, '2026-03-01 00:00+00') -> 'order', (SELECT to_jsonb(s) FROM oms.sales_order s WHERE order_id = :o), 'from then on there is');

-- Two changes in one transaction, by hand and by command
SET LOCAL oms.test_clock = '2026-03-01 01:00+00';
UPDATE oms.sales_order SET ship_to = '{"name": "Ann"}' WHERE order_id = :o;
UPDATE oms.sales_order SET ship_to = '{"name": "Anna"}', gift_note = 'For you' WHERE order_id = :o;
SELECT oms.cancel_line(1, :o, 1, 1, actor => 'clerk', reason => 'one is enough') \g /dev/null
SELECT is(oms.order_as_of(1, :o, '2026-03-01 00:59:59+00') -> 'order' -> 'ship_to', 'null', 'the moment before there was no address');
SELECT is(oms.order_as_of(1, :o, '2026-03-01 01:00+00') #>> '{order,ship_to,name}', 'Anna', 'the last of the transaction''s is what it left');
SELECT results_eq($$ SELECT column_name, before #>> '{}', after #>> '{}', actor, reason FROM oms.order_history WHERE table_name = 'order_line' AND column_name = 'cancelled' $$,
	$$ VALUES ('cancelled', '0', '1', 'clerk', 'one is enough') $$, 'who and why are told');
UPDATE oms.sales_order SET gift_note = gift_note WHERE order_id = :o;
UPDATE oms.order_line SET instructions = instructions WHERE order_id = :o;
SELECT is((SELECT count(*)::int FROM oms.order_change WHERE table_name = 'order_line'), 1, 'an UPDATE that changes nothing is no change');

-- A transaction that began earlier, but came later
SET LOCAL oms.test_clock = '2026-03-01 00:30+00';
UPDATE oms.sales_order SET gift_note = 'Late' WHERE order_id = :o;
SELECT is(oms.order_as_of(1, :o, '2026-03-01 00:45+00') #>> '{order,gift_note}', NULL, 'it does not show before what it found');
SELECT is(oms.order_as_of(1, :o, '2026-03-01 01:00+00') #>> '{order,gift_note}', 'Late', 'but from then on');

-- What nobody writes by hand
SELECT throws_ok($$ INSERT INTO oms.order_change (merchant_id, order_id, at, tx, table_name, operation, key, old, new, actor) VALUES (1, 1, now(), 1, 'x', 'update', '{}', '{}', '{}', 'x') $$, 'OM009', NULL, 'nothing is added to the log');
SELECT throws_ok($$ UPDATE oms.order_change SET old = '{}' $$, 'OM009', NULL, 'nor changed');
SELECT throws_ok($$ DELETE FROM oms.order_change $$, 'OM009', NULL, 'nor removed');
SELECT throws_ok($$ TRUNCATE oms.order_change $$, 'OM009', NULL, 'nor emptied');
SELECT throws_ok($$ INSERT INTO oms.history_horizon VALUES (1, now()) $$, 'OM009', NULL, 'nor is its beginning moved');

-- Random life of ten orders; after each step their rows are noted.
CREATE TEMPORARY TABLE seen (at timestamptz, order_id bigint, table_name text, key jsonb, "row" jsonb);
CREATE TEMPORARY TABLE done (what text, code text);
CREATE FUNCTION pg_temp.step(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o bigint := (SELECT order_id FROM oms.sales_order WHERE merchant_id = 1 ORDER BY random() LIMIT 1);
	p bigint := (SELECT payment_id FROM oms.payment WHERE order_id = o LIMIT 1);
	what text := (ARRAY['hold', 'release', 'cancel_line', 'edit', 'authorize', 'paid', 'plan', 'pick', 'pack', 'ship', 'deliver', 'stock', 'address', 'cancel', 'return', 'map', 'split', 'merge', 'nothing', 'reopen'])[1 + n % 20];
BEGIN
	PERFORM set_config('oms.test_clock', ('2026-03-02 00:00+00'::timestamptz + make_interval(mins => n / 2))::text, true);
	BEGIN
		CASE what
			WHEN 'hold' THEN PERFORM oms.hold(1, o, (ARRAY['fraud', 'manual'])[1 + n % 2], 'look', '{ship}');
			WHEN 'release' THEN PERFORM oms.release_hold(1, o, (ARRAY['fraud', 'manual'])[1 + n % 2]);
			WHEN 'cancel_line' THEN PERFORM oms.cancel_line(1, o, 1 + n % 3, 1);
			WHEN 'edit' THEN PERFORM oms.edit_order(1, o, (ARRAY['[{"action": "add", "sku": "A", "quantity": 1}]', '[{"action": "add", "sku": "K", "quantity": 1}]',
				'[{"action": "quantity", "line": 1, "quantity": 2}]'])[1 + n % 3]::jsonb); PERFORM oms.confirm_edit(1, o);
			WHEN 'authorize' THEN PERFORM oms.authorize(1, o, 'card');
			WHEN 'paid' THEN PERFORM oms.record_payment_event(1, p, 'captured', 10, 'c' || n);
			WHEN 'plan' THEN PERFORM oms.plan_fulfilment(1, o);
			WHEN 'pick' THEN PERFORM oms.confirm_pick(1, fulfilment_id) FROM oms.fulfilment WHERE state = 'planned' ORDER BY random() LIMIT 1;
			WHEN 'pack' THEN PERFORM oms.pack(1, fulfilment_id) FROM oms.fulfilment WHERE state = 'picked' ORDER BY random() LIMIT 1;
			WHEN 'ship' THEN PERFORM oms.ship(1, fulfilment_id) FROM oms.fulfilment WHERE state = 'packed' ORDER BY random() LIMIT 1;
			WHEN 'deliver' THEN PERFORM oms.record_tracking(1, shipment_id, 'delivered') FROM oms.shipment ORDER BY random() LIMIT 1;
			WHEN 'stock' THEN PERFORM oms.receive_stock(1, 1, 1, 5, 'delivery');
			WHEN 'address' THEN UPDATE oms.sales_order SET ship_to = jsonb_build_object('name', 'Ann ' || n), phone = nullif(n % 3, 0)::text WHERE order_id = o;
				UPDATE oms.order_line SET instructions = 'Wrap ' || n WHERE order_id = o AND line_no = 1;
			WHEN 'cancel' THEN IF (n / 20) % 4 = 1 THEN PERFORM oms.cancel_order(1, o); END IF;
			WHEN 'return' THEN PERFORM oms.request_return(1, order_id) FROM oms.sales_order WHERE fulfilment_state <> 'unfulfilled' AND return_state = 'none' LIMIT 1;
			WHEN 'map' THEN INSERT INTO oms.item_alias VALUES (1, 1, 'NEW' || (n % 10), 1);
			WHEN 'reopen' THEN PERFORM oms.reopen_order(1, order_id, allocation => 'backorder', reason => 'after all') FROM oms.sales_order WHERE lifecycle IN ('cancelled', 'completed') ORDER BY random() LIMIT 1;
			WHEN 'split' THEN PERFORM oms.split_order(1, o, '[{"line": 1, "quantity": 1}]');
			WHEN 'merge' THEN PERFORM oms.merge_orders(1, oms.place_order(1, '{"customer": 1, "shipping": "2", "lines": [{"sku": "B", "quantity": 1}]}'),
				ARRAY[oms.place_order(1, '{"customer": 1, "shipping": "3", "lines": [{"sku": "B", "quantity": 1}]}')]);
			ELSE NULL;
		END CASE;
		-- Half of what went well is taken back.
		IF n % 3 = 0 THEN RAISE EXCEPTION USING errcode = 'XX999'; END IF;
		INSERT INTO done VALUES (what, '');
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO done VALUES (what, SQLSTATE);
	END;
	DELETE FROM seen WHERE at = oms.clock();
	INSERT INTO seen SELECT oms.clock(), r.order_id, r.table_name, r.key, r."row" FROM oms.order_row r WHERE r.merchant_id = 1;
END $$;
SET LOCAL oms.test_clock = '2026-03-01 23:00+00';
SELECT oms.place_order(1, format('{"external_ref": "R-%s", "allocation": "backorder", "shipping": "5", "lines": [{"sku": "A", "quantity": %s}, {"sku": "K", "quantity": 2}%s]}', n, 2 + n,
	CASE WHEN n % 3 = 0 THEN format(', {"sku": "NEW%s", "quantity": 1, "unit_price": "3"}', n) ELSE '' END)::jsonb) FROM generate_series(1, 9) n \g /dev/null
SELECT setseed(0.42) \g /dev/null
SELECT pg_temp.step(n) FROM generate_series(0, 499) n \g /dev/null
RESET oms.test_clock;

SELECT cmp_ok((SELECT count(DISTINCT what)::int FROM done WHERE code = ''), '>=', 17, 'seventeen kinds of change went well');
SELECT is_empty($$ SELECT v FROM unnest('{edit,split,merge,ship,return,map,cancel,reopen}'::text[]) v EXCEPT SELECT what FROM done WHERE code = '' $$, 'edits, splits and merges among them');
SELECT cmp_ok((SELECT count(DISTINCT table_name)::int FROM oms.order_change WHERE operation = 'insert'), '>=', 3, 'lines, parts and holds were added');
SELECT is_empty($$ SELECT s.* FROM seen s EXCEPT
	SELECT t.at, t.order_id, r.* FROM (SELECT DISTINCT at, order_id FROM seen) t CROSS JOIN LATERAL oms.order_rows_as_of(1, t.order_id, t.at) r $$, 'each row that was seen is the same by the history');
SELECT is_empty($$ SELECT t.at, t.order_id, r.* FROM (SELECT DISTINCT at, order_id FROM seen) t CROSS JOIN LATERAL oms.order_rows_as_of(1, t.order_id, t.at) r
	EXCEPT SELECT s.* FROM seen s $$, 'and no row was there that was not seen');
SELECT is_empty($$ SELECT t.at, o.order_id, r.* FROM (SELECT DISTINCT at FROM seen) t, oms.sales_order o CROSS JOIN LATERAL oms.order_rows_as_of(1, o.order_id, t.at) r WHERE o.origin = 'split'
	EXCEPT SELECT s.* FROM seen s $$, 'what was split off was not there before, though placed as early as what it comes from');
SELECT is_empty($$ (SELECT o.order_id, r.* FROM oms.sales_order o CROSS JOIN LATERAL oms.replay_order(1, o.order_id) r
		EXCEPT SELECT order_id, table_name, key, "row" FROM oms.order_row)
	UNION ALL (SELECT order_id, table_name, key, "row" FROM oms.order_row EXCEPT SELECT o.order_id, r.* FROM oms.sales_order o CROSS JOIN LATERAL oms.replay_order(1, o.order_id) r) $$, 'the log replayed is the orders, row for row');
SELECT is_empty($$ SELECT (jsonb_populate_record(NULL::oms.order_line, r."row")).* FROM oms.sales_order o CROSS JOIN LATERAL oms.replay_order(1, o.order_id) r WHERE r.table_name = 'order_line'
	EXCEPT SELECT * FROM oms.order_line $$, 'as rows of the table, too');
SELECT is_empty($$ SELECT order_id, oms.order_as_of(1, order_id, 'infinity') -> 'order' FROM oms.sales_order EXCEPT SELECT order_id, to_jsonb(o) FROM oms.sales_order o $$, 'as of now is now');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- A row that is gone, and each fault that the log or the rows may have
ALTER TABLE oms.order_charge DISABLE TRIGGER order_charge_guard;
SELECT "row" AS charge FROM oms.order_row WHERE order_id = :o AND table_name = 'order_charge' \gset
SET LOCAL oms.test_clock = '2026-04-01 00:00+00';
DELETE FROM oms.order_charge WHERE order_id = :o;
SELECT is(oms.order_as_of(1, :o, '2026-03-31 23:59+00') -> 'charges', jsonb_build_array(:'charge'::jsonb), 'a charge that was deleted was there');
SELECT is(oms.order_as_of(1, :o, '2026-04-01 00:00+00') -> 'charges', '[]', 'and is not any more');
SELECT is((SELECT count(*)::int FROM oms.replay_order(1, :o) WHERE table_name = 'order_charge'), 0, 'nor when the log is replayed');

CREATE TEMPORARY TABLE fault (statement text, rules text[]);
CREATE FUNCTION pg_temp.fault(statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE r text[];
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE statement;
	r := (SELECT array_agg(DISTINCT rule ORDER BY rule) FROM oms.verify_history);
	RAISE EXCEPTION USING errcode = 'XX999', message = r::text;
EXCEPTION WHEN OTHERS THEN
	INSERT INTO fault VALUES (statement, CASE SQLSTATE WHEN 'XX999' THEN nullif(SQLERRM, '')::text[] ELSE ARRAY[SQLERRM] END);
END $$;
SELECT pg_temp.fault(s) FROM unnest(ARRAY[
	format('UPDATE oms.sales_order SET gift_note = ''bypassed'' WHERE order_id = %s', :o),
	format('UPDATE oms.order_change SET new = new || ''{"gift_note": "forged"}'' WHERE order_id = %s AND new ? ''gift_note''', :o),
	format('DELETE FROM oms.order_change WHERE change_id = (SELECT max(change_id) FROM oms.order_change WHERE order_id = %s AND new ? ''gift_note'')', :o),
	format('DELETE FROM oms.order_change WHERE change_id = (SELECT change_id FROM oms.order_change WHERE new ? ''revision'' ORDER BY order_id, change_id OFFSET 2 LIMIT 1)'),
	'DELETE FROM oms.order_line l USING oms.order_change c WHERE c.operation = ''insert'' AND c.table_name = ''order_line'' AND l.order_id = c.order_id AND l.line_no = (c.key ->> ''line_no'')::int']) s \g /dev/null
SELECT is_empty($$ SELECT * FROM fault WHERE NOT coalesce(rules, '{}') @> '{replay_equals_order}' $$, 'what bypasses the log, and what is forged or missing in it, is found');
SELECT pg_temp.fault(format('UPDATE oms.sales_order SET lifecycle = ''completed'' WHERE order_id = %s', :o)) \g /dev/null
SELECT is((SELECT rules @> '{timeline_reproduces_lifecycle}' FROM fault WHERE statement LIKE '%lifecycle%'), true, 'a lifecycle that the timeline does not lead to is, too');

-- What is purged is not told, and the rest as before
CREATE TEMPORARY TABLE half AS SELECT min(at) + (max(at) - min(at)) / 2 AS at FROM seen;
SELECT oms.purge_history(1, at) > 0 AS purged FROM half \gset
SELECT is_empty($$ (SELECT s.* FROM seen s, half h WHERE s.at >= h.at EXCEPT
		SELECT t.at, t.order_id, r.* FROM (SELECT DISTINCT s.at, s.order_id FROM seen s) t CROSS JOIN LATERAL oms.order_rows_as_of(1, t.order_id, t.at) r)
	UNION ALL SELECT h.at, 0, r.* FROM half h CROSS JOIN LATERAL oms.order_rows_as_of(1, (SELECT min(order_id) FROM oms.sales_order), h.at - interval '1 second') r $$, 'a purged history');

SELECT * FROM finish();
ROLLBACK;
