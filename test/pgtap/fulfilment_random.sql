-- Random work on orders in a fixed random order: whatever is tried in whatever state, it is done or refused with a
-- code of class OM, and everything agrees afterwards.
BEGIN;
SELECT plan(7);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, weight_g) VALUES (1, 1, 'A', 'Apple', 'stocked', 150), (1, 2, 'B', 'Box', 'stocked', 500),
	(1, 3, 'K', 'Kit', 'kit', NULL), (1, 4, 'S', 'Service', 'service', NULL);
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES
	(1, 1, 1, 'opening', 900, 'o'), (1, 1, 2, 'opening', 300, 'o'), (1, 2, 1, 'opening', 200, 'o'), (1, 2, 2, 'opening', 120, 'o');

CREATE TEMPORARY TABLE attempt (n int, what text, outcome text);

-- A number from 1 to most; the same on every run.
CREATE FUNCTION pg_temp.pick(most int) RETURNS int LANGUAGE sql AS 'SELECT 1 + floor(random() * most)::int';

CREATE FUNCTION pg_temp.try(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o bigint; f bigint; c bigint; s bigint; l int := pg_temp.pick(4); q int := pg_temp.pick(3);
	what text; done bigint; code text := 'done';
	calls text[] := '{place,place,plan,plan,pick,pick,pick line,short,pack,pack,pack line,unpack,ship,ship,ship carton,ship order,forward,track,track,cancel line,cancel order,cancel fulfilment,policy,services,hold}';
BEGIN
	SELECT order_id INTO o FROM oms.sales_order WHERE merchant_id = 1 ORDER BY random() LIMIT 1;
	SELECT fulfilment_id INTO f FROM oms.fulfilment WHERE merchant_id = 1 ORDER BY state IN ('shipped', 'cancelled'), random() LIMIT 1;
	SELECT carton_id INTO c FROM oms.carton WHERE merchant_id = 1 ORDER BY state = 'open' AND random() < 0.9 DESC, random() LIMIT 1;
	SELECT shipment_id INTO s FROM oms.shipment WHERE merchant_id = 1 ORDER BY random() LIMIT 1;
	what := calls[pg_temp.pick(cardinality(calls))];
	BEGIN
		CASE what
			WHEN 'place' THEN done := oms.place_order(1, jsonb_build_object('channel', 1, 'allocation', (ARRAY['strict', 'backorder'])[pg_temp.pick(2)], 'shipping', '4.99',
				'lines', (SELECT jsonb_agg(jsonb_build_object('sku', (ARRAY['A', 'B', 'K', 'S'])[i], 'quantity', pg_temp.pick(4), 'unit_price', (random() * 20)::numeric(8, 2)::text, 'tax_rate', '0.19')) FROM generate_series(1, 4) i)));
			WHEN 'plan' THEN done := count(*) FROM oms.plan_fulfilment(1, o);
			WHEN 'pick' THEN done := oms.confirm_pick(1, f);
			WHEN 'pick line' THEN done := oms.confirm_pick(1, f, jsonb_build_array(jsonb_build_object('line', l, 'quantity', q)));
			WHEN 'short' THEN done := oms.short_pick(1, f, l, 1, CASE WHEN l = 3 THEN pg_temp.pick(2) END, random() < 0.8);
			WHEN 'pack' THEN done := oms.pack(1, f);
			WHEN 'pack line' THEN done := oms.pack(1, f, jsonb_build_array(jsonb_build_object('line', l, 'quantity', q)), CASE WHEN random() < 0.3 THEN c END);
			WHEN 'unpack' THEN done := oms.unpack(1, c);
			WHEN 'ship' THEN done := oms.ship(1, f);
			WHEN 'ship carton' THEN done := oms.ship(1, cartons => ARRAY[c]);
			WHEN 'ship order' THEN done := oms.ship_order(1, o);
			WHEN 'forward' THEN done := oms.forward(1, ARRAY[c]);
			WHEN 'track' THEN done := (oms.record_tracking(1, s, (ARRAY['in_transit', 'delivered', 'failure', 'return_to_sender'])[pg_temp.pick(4)], '2026-01-01'::timestamptz + random() * interval '5 days') IS NOT NULL)::int;
			WHEN 'cancel line' THEN done := oms.cancel_line(1, o, l, CASE WHEN random() < 0.5 THEN q END);
			WHEN 'cancel order' THEN done := oms.cancel_order(1, o);
			WHEN 'cancel fulfilment' THEN done := oms.cancel_fulfilment(1, f);
			WHEN 'policy' THEN done := oms.set_shipment_policy(1, o, (ARRAY['as_available', 'line_complete', 'order_complete'])[pg_temp.pick(3)]);
			WHEN 'services' THEN done := oms.complete_services(1, o);
			WHEN 'hold' THEN
				IF random() < 0.5 THEN done := oms.hold(1, o, 'h', NULL, (ARRAY['{pick}', '{ship}'])[pg_temp.pick(2)]::text[]);
				ELSE done := oms.release_hold(1, o, 'h')::int; END IF;
		END CASE;
	EXCEPTION WHEN OTHERS THEN
		code := SQLSTATE || CASE WHEN SQLSTATE LIKE 'OM%' THEN '' ELSE ' ' || SQLERRM END;
	END;
	INSERT INTO attempt VALUES (n, what, code);
END $$;

\o /dev/null
SELECT setseed(0.20251124);
SELECT pg_temp.try(n) FROM generate_series(1, 4000) n;
\o
SELECT is_empty($$ SELECT what, outcome, count(*) FROM attempt WHERE outcome NOT IN ('done') AND outcome !~ '^OM0(01|02|05|07|08|11)$' GROUP BY 1, 2 $$,
	'4,000 attempts were done, or refused for a stated reason');
SELECT is_empty($$ SELECT DISTINCT what FROM attempt EXCEPT SELECT what FROM attempt WHERE outcome = 'done' $$, 'each kind of work was done');
SELECT is_empty($$ SELECT DISTINCT what FROM attempt WHERE what NOT IN ('place', 'policy', 'hold', 'track') EXCEPT SELECT what FROM attempt WHERE outcome <> 'done' $$, 'and refused');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'and all is sound');
SELECT is_empty($$ SELECT o.order_id, o.total - o.cancelled_total, s.charge FROM oms.sales_order o
	JOIN (SELECT merchant_id, order_id, sum(charge) AS charge FROM oms.shipment GROUP BY 1, 2) s USING (merchant_id, order_id)
	WHERE o.lifecycle = 'completed' AND s.charge <> o.total - o.cancelled_total $$, 'the charges of completed orders sum to what they owe');
SELECT cmp_ok((SELECT count(*) FROM oms.sales_order WHERE lifecycle = 'completed'), '>', 50::bigint, 'of which there are many');
SELECT is_empty($$ SELECT item_id, location_id FROM oms.stock WHERE merchant_id = 1 AND on_hand < 0 $$, 'no shelf is below nothing');

SELECT * FROM finish();
ROLLBACK;
