-- Random edits between cancellations, picks, shipments, returns, payments and refunds, in a fixed random order: done, or
-- refused with a code of class OM; what a preview said is what came; and every sum agrees afterwards.
BEGIN;
SELECT plan(9);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'), (1, 4, 'S', 'Service', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, i, 'EUR', i * 3.33 FROM generate_series(1, 4) i;
INSERT INTO oms.tax_rule (merchant_id, tax_class, rate) VALUES (1, 'standard', 0.19), (1, 'shipping', 0.07);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES
	(1, 1, 1, 'opening', 600, 'o'), (1, 1, 2, 'opening', 200, 'o'), (1, 2, 1, 'opening', 200, 'o'), (1, 2, 2, 'opening', 120, 'o');

CREATE TEMPORARY TABLE attempt (n int, what text, outcome text);
CREATE TEMPORARY TABLE previewed (n int, order_id bigint, object text, field text, after text, found text);
CREATE FUNCTION pg_temp.pick(most int) RETURNS int LANGUAGE sql AS 'SELECT 1 + floor(random() * most)::int';
CREATE FUNCTION pg_temp.one(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS 'SELECT choices[1 + floor(random() * cardinality(choices))::int]';
CREATE FUNCTION pg_temp.money(most int) RETURNS text LANGUAGE sql AS 'SELECT (random() * most)::numeric(10, 2)::text';

CREATE FUNCTION pg_temp.action() RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE pg_temp.pick(11)
		WHEN 1 THEN jsonb_build_object('action', 'remove', 'line', pg_temp.pick(4))
		WHEN 2 THEN jsonb_build_object('action', 'price', 'line', pg_temp.pick(4), 'unit_price', (random() * 20)::numeric(10, 3)::text)
		WHEN 3 THEN jsonb_build_object('action', 'discount', 'line', pg_temp.pick(4), 'discount', pg_temp.money(4))
		WHEN 4 THEN jsonb_build_object('action', 'discount', 'discount', pg_temp.money(5))
		WHEN 5 THEN jsonb_build_object('action', 'add', 'sku', pg_temp.one('A', 'B', 'K', 'S'), 'quantity', pg_temp.pick(3), 'tax_rate', pg_temp.one('0.19', '0.07', '0'))
		WHEN 6 THEN jsonb_build_object('action', 'shipping', 'amount', pg_temp.money(9))
		WHEN 7 THEN jsonb_build_object('action', 'charge', 'kind', 'fee', 'amount', pg_temp.money(3))
		WHEN 8 THEN jsonb_build_object('action', 'notes', 'gift_note', pg_temp.money(3))
		ELSE jsonb_build_object('action', 'quantity', 'line', pg_temp.pick(4), 'quantity', pg_temp.pick(8) - 1) END $$;

CREATE FUNCTION pg_temp.found(o bigint, an_object text, a_field text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN an_object = 'order' THEN (SELECT to_jsonb(x) ->> a_field FROM oms.sales_order x WHERE x.order_id = o)
		WHEN an_object LIKE 'line %' THEN (SELECT to_jsonb(x) ->> CASE a_field WHEN 'item' THEN 'item_id' ELSE a_field END FROM oms.order_line x WHERE x.order_id = o AND x.line_no = split_part(an_object, ' ', 2)::int)
		ELSE (SELECT to_jsonb(x) ->> a_field FROM oms.order_charge x WHERE x.order_id = o AND x.charge_no = split_part(an_object, ' ', 2)::int) END $$;

CREATE FUNCTION pg_temp.try(attempt_no int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o bigint; f bigint; p bigint; what text; done bigint := 1; code text := 'done'; e record;
	calls text[] := '{place,place,place,edit,edit,edit,edit,edit,edit,confirm,confirm,confirm,confirm,confirm,confirm,decline,plan,pick,ship,cancel line,cancel line,cancel order,authorize,told,told,told,return,refund}';
BEGIN
	SELECT order_id INTO o FROM oms.sales_order WHERE merchant_id = 1 ORDER BY lifecycle IN ('cancelled', 'completed') AND random() < 0.8, random() LIMIT 1;
	SELECT fulfilment_id INTO f FROM oms.fulfilment WHERE merchant_id = 1 ORDER BY state IN ('shipped', 'cancelled'), random() LIMIT 1;
	what := calls[pg_temp.pick(cardinality(calls))];
	IF what IN ('confirm', 'decline') THEN SELECT order_id INTO o FROM oms.order_edit WHERE state = 'open' ORDER BY random() LIMIT 1; END IF;
	BEGIN
		CASE what
			WHEN 'place' THEN o := oms.place_order(1, jsonb_build_object('channel', 1, 'allocation', pg_temp.one('strict', 'backorder'), 'tax_included', random() < 0.5,
				'shipping', pg_temp.money(6), 'discount', pg_temp.money(3),
				'lines', (SELECT jsonb_agg(jsonb_build_object('sku', (ARRAY['A', 'B', 'K', 'S'])[i], 'quantity', pg_temp.pick(4), 'unit_price', (random() * 20)::numeric(10, 3)::text, 'tax_rate', '0.19')
					|| CASE WHEN random() < 0.2 THEN '{"tax": "0.05"}' ELSE '{}' END::jsonb) FROM generate_series(1, 1 + pg_temp.pick(3)) i)));
			WHEN 'edit' THEN done := oms.edit_order(1, o, (SELECT jsonb_agg(pg_temp.action()) FROM generate_series(1, pg_temp.pick(3))), pg_temp.one('keep', 'rate'));
			WHEN 'confirm' THEN
				INSERT INTO previewed SELECT attempt_no, o, v.object, v.field, v.after FROM oms.preview_edit(1, o) v;
				done := oms.confirm_edit(1, o);
				UPDATE previewed w SET found = pg_temp.found(o, w.object, w.field) WHERE w.n = attempt_no;
			WHEN 'decline' THEN done := oms.decline_edit(1, o);
			WHEN 'plan' THEN done := count(*) FROM oms.plan_fulfilment(1, o);
			WHEN 'pick' THEN done := oms.confirm_pick(1, f, CASE WHEN random() < 0.5 THEN jsonb_build_array(jsonb_build_object('line', pg_temp.pick(4), 'quantity', 1)) END);
			WHEN 'ship' THEN done := oms.pack(1, f); done := oms.ship(1, f);
			WHEN 'cancel line' THEN done := oms.cancel_line(1, o, pg_temp.pick(4), CASE WHEN random() < 0.7 THEN pg_temp.pick(2) END, discount_policy => pg_temp.one('share', 'keep'));
			WHEN 'cancel order' THEN IF random() < 0.3 THEN done := oms.cancel_order(1, o); END IF;
			WHEN 'authorize' THEN done := oms.authorize(1, o, 'card');
			WHEN 'told' THEN
				FOR e IN SELECT x.event_id, x.payment_id, x.kind, x.amount FROM oms.payment_event x WHERE x.kind LIKE '%\_requested' AND NOT EXISTS (SELECT FROM oms.payment_event y
					WHERE y.payment_id = x.payment_id AND y.intent_id = x.event_id) ORDER BY random() LIMIT 3 LOOP
					PERFORM oms.record_payment_event(1, e.payment_id, (ARRAY['authorized', 'captured', 'voided', 'refunded'])[array_position('{authorize_requested,capture_requested,void_requested,refund_requested}', e.kind)],
						e.amount, 'r' || e.event_id, intent => e.event_id);
				END LOOP;
			WHEN 'return' THEN
				done := oms.request_return(1, o, jsonb_build_array(jsonb_build_object('line', pg_temp.pick(3), 'quantity', 1, 'reason', 'wrong')));
				PERFORM oms.decide_return(1, done, 'approve');
				PERFORM oms.receive_return(1, done);
				PERFORM oms.inspect_return(1, done, (SELECT jsonb_agg(jsonb_build_object('line', line_no, 'sellable', 1)) FROM oms.return_line WHERE return_id = done));
			WHEN 'refund' THEN
				SELECT payment_id INTO p FROM oms.payment WHERE captured > refunded ORDER BY random() LIMIT 1;
				done := oms.refund(1, p, 0.05);
		END CASE;
	EXCEPTION WHEN OTHERS THEN
		code := SQLSTATE || CASE WHEN SQLSTATE LIKE 'OM%' THEN '' ELSE ' ' || SQLERRM END;
	END;
	INSERT INTO attempt VALUES (attempt_no, what, code);
END $$;

\o /dev/null
SELECT setseed(0.43);
SELECT pg_temp.try(n) FROM generate_series(1, 2500) n;
\o
SELECT is_empty($$ SELECT what, outcome, count(*) FROM attempt WHERE outcome <> 'done' AND outcome !~ '^OM0(01|02|04|05|07|08|11)$' AND (what, outcome) <> ('return', 'OM003') GROUP BY 1, 2 $$, '2,500 attempts were done, or refused for a stated reason');
SELECT is_empty($$ SELECT DISTINCT what FROM attempt EXCEPT SELECT what FROM attempt WHERE outcome = 'done' $$, 'each kind of work was done');
SELECT cmp_ok((SELECT count(*) FROM oms.order_edit WHERE state = 'confirmed'), '>', 200::bigint, 'with many edits');
SELECT cmp_ok((SELECT count(*) FROM attempt WHERE what = 'confirm' AND outcome LIKE 'OM%'), '>', 20::bigint, 'and many that could not be confirmed');
SELECT is_empty($$ SELECT n, object, field, after, found FROM previewed WHERE found IS DISTINCT FROM after
	AND NOT coalesce(found ~ '^-?[0-9.]+$' AND after ~ '^-?[0-9.]+$' AND found::numeric = after::numeric, false) $$, 'each did what its preview said, field by field');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all is sound');
SELECT is_empty($$ SELECT e.order_id, e.edit_id FROM oms.order_edit e WHERE e.state = 'confirmed' AND e.given_back > greatest(e.total_before - e.total_after, 0) $$, 'no edit gives back more than the order became cheaper');
SELECT is_empty($$ SELECT order_id, owed, due, refund_due, captured FROM oms.payment_balance WHERE due < 0 AND -due > refund_due
	AND order_id NOT IN (SELECT order_id FROM oms.refund WHERE cause IN ('manual', 'return')) $$, 'nobody has paid more than he owes for want of a refund');
SELECT is_empty($$ SELECT item_id, location_id FROM oms.stock WHERE merchant_id = 1 AND on_hand < 0 $$, 'no shelf is below nothing');
SELECT * FROM finish();
ROLLBACK;
