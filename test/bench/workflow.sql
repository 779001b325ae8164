-- What a compiled workflow costs a transition on top of its rows: orders that go to another state and back, half of them along a
-- workflow of thirty transitions, half by oms.transition. The guard of sales_order, which decides and writes nothing, is timed by
-- EXPLAIN ANALYZE. Alternating rounds; answers the middle one of each, in microseconds a transition: with, without.
\set QUIET on
\set ON_ERROR_STOP on
BEGIN;
SELECT 'workflow_' || (SELECT count(*) FROM oms.merchant) AS name, 1 + max(merchant_id) AS m FROM oms.merchant \gset
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (:m, :'name', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (:m, 1, 'MAIN', 'Main');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, tax_included) VALUES (:m, 1, 'web', 'Web', 'EUR', true);
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (:m, 1, 1);
INSERT INTO oms.transition VALUES (:m, 'placed', 's2', 'to s2'), (:m, 's2', 'placed', 'to s1');
CREATE TEMPORARY TABLE bench_order AS SELECT false AS along, oms.place_order(:m, '{"confirm": false, "shipping": 5}') AS order_id FROM generate_series(1, 1000);
SELECT oms.define_workflow(:m, jsonb_build_object('name', 'thirty',
	'states', (SELECT jsonb_agg(jsonb_build_object('state', 's' || i, 'core', CASE WHEN i < 6 THEN 'placed' ELSE 'cancelled' END) ORDER BY i) FROM generate_series(1, 8) i),
	'transitions', (SELECT jsonb_agg(jsonb_build_object('from', 's' || f, 'to', 's' || t, 'action', 'to s' || t) ORDER BY f DESC, t DESC) FROM generate_series(1, 5) f, generate_series(1, 7) t WHERE f <> t)
		|| '[{"from": "s1", "to": "s8", "action": "to s8"}]')) AS w \gset
SELECT oms.activate_workflow(:m, :w) \g /dev/null
INSERT INTO bench_order SELECT true, oms.place_order(:m, '{"confirm": false, "shipping": 5}') FROM generate_series(1, 1000);
COMMIT;
CREATE TEMPORARY TABLE bench_round (along boolean, us numeric);
CREATE FUNCTION pg_temp.round(m int, along boolean, there boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE explained json;
BEGIN
	EXECUTE format('EXPLAIN (ANALYZE, FORMAT JSON) UPDATE oms.sales_order o SET %s FROM bench_order b WHERE o.merchant_id = %s AND o.order_id = b.order_id AND b.along = %L',
		CASE WHEN along THEN format('state = %L', CASE WHEN there THEN 's2' ELSE 's1' END) ELSE format('lifecycle = %L', CASE WHEN there THEN 's2' ELSE 'placed' END) END, m, along) INTO explained;
	INSERT INTO bench_round SELECT along, (t ->> 'Time')::numeric * 1000 / (t ->> 'Calls')::int FROM json_array_elements(explained -> 0 -> 'Triggers') t WHERE t ->> 'Trigger Name' = 'sales_order_guard';
END $$;
SELECT format('DO $do$ BEGIN PERFORM pg_temp.round(%s, %L, %L); END $do$', :m, along, round % 2 = 1) FROM generate_series(1, 40) round, unnest('{t,f}'::boolean[]) along
ORDER BY round, along <> (round % 4 < 2) \gexec
SELECT round((percentile_cont(0.5) WITHIN GROUP (ORDER BY us) FILTER (WHERE along))::numeric, 2),
	round((percentile_cont(0.5) WITHIN GROUP (ORDER BY us) FILTER (WHERE NOT along))::numeric, 2) FROM bench_round;
