-- Levels as of any instant equal the levels then, in every state, whatever moved.
BEGIN;
SELECT plan(10);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'A' || n, 'Item ' || n FROM generate_series(1, 4) n;

-- A copy of the levels at each hour of a day of work.
CREATE TEMPORARY TABLE seen (at timestamptz, item_id bigint, location_id int, on_hand bigint, damaged bigint, quality_control bigint, quarantine bigint);
CREATE FUNCTION pg_temp.hour(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	i bigint := 1 + n % 4; l int := 1 + n % 2; t bigint;
BEGIN
	PERFORM set_config('oms.test_clock', ('2026-03-01 00:00+00'::timestamptz + make_interval(hours => n))::text, true);
	CASE n % 6
		WHEN 0 THEN PERFORM oms.receive_stock(1, i, l, 10 + n, 'delivery'), oms.receive_stock(1, 1 + (n + 2) % 4, 1, 20, 'delivery');
		WHEN 1 THEN INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, quality_control, quarantine, cause, at)
			VALUES (1, 1, i, 'return', 6, 2, 1, 3, 'came back', oms.clock());
		WHEN 2 THEN PERFORM oms.adjust_stock(1, i, 1, -2, 'lost', forced => true);
		WHEN 3 THEN t := oms.transfer_stock(1, 1, 2, jsonb_build_array(jsonb_build_object('item', (SELECT item_id FROM oms.stock WHERE location_id = 1 ORDER BY on_hand DESC LIMIT 1), 'quantity', 3)));
		WHEN 4 THEN PERFORM oms.receive_transfer(1, max(transfer_id)) FROM oms.stock_transfer WHERE state = 'shipped';
		WHEN 5 THEN PERFORM oms.count_stock(1, s.item_id, s.location_id, s.on_hand + 1, s.on_hand, reason => 'found') FROM oms.stock s WHERE s.item_id = i AND s.location_id = 1 AND s.on_hand > 0;
	END CASE;
	INSERT INTO seen SELECT oms.clock(), s.item_id, s.location_id, s.on_hand, s.damaged, s.quality_control, s.quarantine FROM oms.stock s WHERE merchant_id = 1;
END $$;
SELECT pg_temp.hour(n) FROM generate_series(0, 47) n \g /dev/null
RESET oms.test_clock;

SELECT cmp_ok((SELECT count(*)::int FROM seen), '>', 200, 'two days of levels were noted');
SELECT cmp_ok((SELECT count(DISTINCT kind)::int FROM oms.stock_movement WHERE merchant_id = 1), '>=', 5, 'moved by five kinds of movement');
SELECT is_empty($$ SELECT s.at, s.item_id, s.location_id, s.on_hand, s.damaged, s.quality_control, s.quarantine FROM seen s
	EXCEPT SELECT t.at, a.* FROM (SELECT DISTINCT at FROM seen) t, oms.stock_as_of(1, t.at) a $$, 'each is the same by the ledger');
SELECT is_empty($$ SELECT t.at, a.* FROM (SELECT DISTINCT at FROM seen) t, oms.stock_as_of(1, t.at) a
	WHERE (a.on_hand, a.damaged, a.quality_control, a.quarantine) <> (0, 0, 0, 0)
	EXCEPT SELECT s.at, s.item_id, s.location_id, s.on_hand, s.damaged, s.quality_control, s.quarantine FROM seen s $$, 'and nothing was there that was not noted');
SELECT results_eq($$ SELECT a.* FROM oms.stock_as_of(1, '2026-03-01 12:59:59+00') a ORDER BY 1, 2 $$, $$ SELECT a.* FROM oms.stock_as_of(1, '2026-03-01 12:00+00') a ORDER BY 1, 2 $$,
	'between two movements it is as after the first');
SELECT is((SELECT sum(on_hand + damaged + quality_control + quarantine) FROM oms.stock_as_of(1, '2026-02-28 23:59:59+00')), 0::numeric, 'before the first there was nothing');
SELECT results_eq($$ SELECT item_id, location_id, on_hand FROM oms.stock_as_of(1, now(), 2, 1) $$, $$ SELECT item_id, location_id, on_hand FROM oms.stock WHERE item_id = 2 AND location_id = 1 $$,
	'one item at one location, now');
SELECT results_eq($$ SELECT item_id, location_id, on_hand FROM oms.stock_as_of(1, 'infinity', location => 2) ORDER BY 1 $$, $$ SELECT item_id, location_id, on_hand FROM oms.stock WHERE location_id = 2 ORDER BY 1 $$,
	'all items of a location');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = 'oms.stock_movement'::regclass AND pg_get_indexdef(indexrelid) LIKE '%(merchant_id, item_id, location_id, at)%'), 1::bigint,
	'one index by time serves history and rates of sales');

SELECT * FROM finish();
ROLLBACK;
