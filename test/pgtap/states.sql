-- Every state an order can reach: from a placed order, each step that is possible is taken, and from where it leads the
-- same again, until nothing new comes (lifecycle x payment x fulfilment x return x hold, and the counters behind them).
-- In each state every command of allowed_actions() and fulfilment_actions() is tried, every lifecycle is asked for by
-- transition() and typed by hand, and every derived or counting column is typed: what happens is what is said, by
-- oms.transition and by the answers; all else is refused.
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT plan(17);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 1000000, 'opening') \g /dev/null

-- One step of the walk, or one attempt. What does nothing, or has no object, raises.
CREATE FUNCTION pg_temp.step(o bigint, what text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	f bigint := (SELECT max(fulfilment_id) FROM oms.fulfilment WHERE merchant_id = 1 AND order_id = o);
	p bigint;
	r bigint := (SELECT max(return_id) FROM oms.return_order WHERE merchant_id = 1 AND order_id = o);
	n bigint := 1;
BEGIN
	IF what IN ('capture', 'void', 'refund') THEN
		SELECT payment_id INTO p FROM oms.payment_detail WHERE merchant_id = 1 AND order_id = o
		ORDER BY CASE what WHEN 'refund' THEN refundable ELSE capturable END DESC, payment_id LIMIT 1;
	ELSIF what IN ('confirm_pick', 'pack', 'ship') THEN
		SELECT x.fulfilment_id INTO f FROM oms.fulfilment_line x WHERE merchant_id = 1 AND order_id = o
		ORDER BY CASE what WHEN 'confirm_pick' THEN quantity - picked WHEN 'pack' THEN picked - packed ELSE packed - shipped END DESC, x.fulfilment_id LIMIT 1;
	END IF;
	CASE what
		WHEN 'confirm', 'complete' THEN
			n := (SELECT (lifecycle <> what || 'ed' AND lifecycle <> what || 'd')::int FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o);
			PERFORM oms.transition(1, o, CASE what WHEN 'confirm' THEN 'confirmed' ELSE 'completed' END);
		WHEN 'hold' THEN PERFORM oms.hold(1, o, 'another');
		WHEN 'hold all' THEN PERFORM oms.hold(1, o, 'h', 'because', '{confirm,pick,ship,capture,refund,cancel,edit}');
		WHEN 'release_hold' THEN n := oms.release_hold(1, o, 'h')::int;
		WHEN 'cancel_line' THEN n := oms.cancel_line(1, o, 1, 1);
		WHEN 'cancel_order' THEN n := (SELECT (lifecycle <> 'cancelled')::int FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o); PERFORM oms.cancel_order(1, o);
		WHEN 'reopen_order' THEN PERFORM oms.reopen_order(1, o, reason => 'wanted after all');
		WHEN 'plan_fulfilment' THEN SELECT count(*) INTO n FROM oms.plan_fulfilment(1, o);
		WHEN 'pick one' THEN PERFORM oms.confirm_pick(1, f, '[{"line": 1, "quantity": 1}]');
		WHEN 'confirm_pick' THEN PERFORM oms.confirm_pick(1, f);
		WHEN 'pack' THEN PERFORM oms.pack(1, f);
		WHEN 'ship' THEN PERFORM oms.ship(1, f);
		WHEN 'ship_order' THEN PERFORM oms.ship_order(1, o);
		WHEN 'complete_services' THEN PERFORM oms.complete_services(1, o);
		WHEN 'cancel_fulfilment' THEN PERFORM oms.cancel_fulfilment(1, f);
		WHEN 'edit_order' THEN PERFORM oms.edit_order(1, o, '[{"action": "notes", "gift_note": "y"}]');
		WHEN 'confirm_edit' THEN PERFORM oms.confirm_edit(1, o);
		WHEN 'decline_edit' THEN PERFORM oms.decline_edit(1, o);
		WHEN 'deliver' THEN PERFORM oms.record_tracking(1, (SELECT min(shipment_id) FROM oms.shipment WHERE merchant_id = 1 AND order_id = o AND delivered_at IS NULL), 'delivered');
		WHEN 'request_return' THEN PERFORM oms.request_return(1, o, '[{"line": 1, "quantity": 1}]', 'wrong');
		WHEN 'receive_return' THEN PERFORM oms.decide_return(1, r, 'approve'), oms.receive_return(1, r);
		WHEN 'authorize' THEN PERFORM oms.authorize(1, o, 'card');
		WHEN 'capture' THEN PERFORM oms.capture(1, p);
		WHEN 'void' THEN PERFORM oms.void(1, p);
		-- of one payment no more than is left of all, where another one gave back more than it had
		WHEN 'refund' THEN PERFORM oms.refund(1, p, (SELECT least(d.refundable, nullif(greatest(b.captured - b.charged_back - b.refunded - b.refund_pending, 0), 0))
			FROM oms.payment_detail d JOIN oms.payment_balance b USING (merchant_id, order_id) WHERE d.merchant_id = 1 AND d.payment_id = p));
		-- what others do unasked: a part of the money comes or goes, or more than is owed
		WHEN 'some captured', 'more captured', 'some refunded' THEN
			SELECT max(payment_id) INTO p FROM oms.payment WHERE merchant_id = 1 AND order_id = o;
			PERFORM oms.record_payment_event(1, p, split_part(what, ' ', 2), CASE split_part(what, ' ', 1) WHEN 'more' THEN 25 ELSE 3 END, what || clock_timestamp());
		-- the gateway does all that it was asked for
		WHEN 'gateway' THEN
			SELECT count(oms.record_payment_event(1, payment_id, v.kind, v.amount, v.kind || clock_timestamp())) INTO n FROM oms.payment,
				LATERAL (VALUES ('authorized', authorize_pending), ('captured', capture_pending), ('voided', void_pending), ('refunded', refund_pending)) v (kind, amount)
			WHERE merchant_id = 1 AND order_id = o AND v.amount > 0;
	END CASE;
	IF n = 0 THEN RAISE 'nothing was done'; END IF;
END $$;

-- What tells two states apart. Amounts by their sign: how much does not matter to what is possible.
CREATE FUNCTION pg_temp.state(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws('|', x.lifecycle, x.payment_state, x.fulfilment_state, x.return_state, x.on_hold,
		(SELECT value FROM oms.effective_setting(1, 'shipment_policy')), concat_ws(' ', l.ordered, l.cancelled, l.allocated, l.backordered, l.picked, l.packed, l.shipped, l.delivered, l.return_requested, l.returned),
		(SELECT string_agg(f.state, ' ' ORDER BY f.state) FROM oms.fulfilment f WHERE f.merchant_id = 1 AND f.order_id = o AND f.state NOT IN ('cancelled', 'shipped')),
		(SELECT concat_ws(' ', sign(b.due), sign(b.capturable), sign(b.captured - b.refunded), sign(b.authorize_pending + b.capture_pending + b.refund_pending))
			FROM oms.payment_balance b WHERE b.merchant_id = 1 AND b.order_id = o),
		(SELECT count(*) FROM oms.order_edits e WHERE e.merchant_id = 1 AND e.order_id = o AND e.state = 'open'), current_setting('walk.name', true))
	FROM oms.sales_order x JOIN oms.order_line l USING (merchant_id, order_id) WHERE x.merchant_id = 1 AND x.order_id = o $$;

CREATE TEMPORARY TABLE node (no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text UNIQUE, path text[]);
CREATE TEMPORARY TABLE attempt (node int, kind text, what text, said boolean, reason text, code text, message text);
-- A statement tried and undone: its SQLSTATE, 00000 when it was done.
CREATE FUNCTION pg_temp.try(statement text, OUT code text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION USING errcode = 'XX999';
EXCEPTION WHEN OTHERS THEN
	code := CASE SQLSTATE WHEN 'XX999' THEN '00000' ELSE SQLSTATE END;
	message := SQLERRM;
END $$;
-- A step tried and undone: the state it led to, null when it was refused.
CREATE FUNCTION pg_temp.lead(o bigint, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE landed text;
BEGIN
	PERFORM pg_temp.step(o, what);
	landed := pg_temp.state(o);
	RAISE EXCEPTION USING errcode = 'XX999';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE SQLSTATE WHEN 'XX999' THEN landed END;
END $$;
CREATE FUNCTION pg_temp.walk(units int, steps text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n node; done int := 0; o bigint; what text; landed text;
BEGIN
	INSERT INTO node (state, path) VALUES ('', '{}') RETURNING no - 1 INTO done;
	LOOP
		SELECT * INTO n FROM node WHERE no > done ORDER BY no LIMIT 1;
		EXIT WHEN NOT FOUND;
		done := n.no;
		o := oms.place_order(1, jsonb_build_object('confirm', false, 'lines', jsonb_build_array(jsonb_build_object('sku', 'A', 'quantity', units, 'unit_price', '10'))));
		FOREACH what IN ARRAY n.path LOOP PERFORM pg_temp.step(o, what); END LOOP;
		UPDATE node SET state = pg_temp.state(o) WHERE no = n.no AND state = '';

		INSERT INTO attempt SELECT n.no, 'order', a.action, a.allowed, a.reason, t.*
		FROM oms.allowed_actions(1, o) a, LATERAL pg_temp.try(format('SELECT pg_temp.step(%s, %L)', o, a.action)) t;
		INSERT INTO attempt SELECT n.no, 'no action', v, false, NULL, t.*
		FROM unnest('{confirm,complete}'::text[]) v, LATERAL pg_temp.try(format('SELECT pg_temp.step(%s, %L)', o, v)) t
		WHERE v NOT IN (SELECT a.action FROM oms.allowed_actions(1, o) a);
		INSERT INTO attempt SELECT n.no, 'fulfilment', a.action, a.allowed, a.reason, t.*
		FROM oms.fulfilment f, oms.fulfilment_actions(1, f.fulfilment_id) a, LATERAL pg_temp.try(format(CASE a.action WHEN 'short_pick' THEN 'SELECT oms.short_pick(1, %2$s, 1, 1)'
			WHEN 'unpack' THEN 'SELECT oms.unpack(1, (SELECT min(carton_id) FROM oms.carton WHERE merchant_id = 1 AND fulfilment_id = %2$s AND state = ''open''))'
			ELSE 'SELECT oms.%1$I(1, %2$s)' END, a.action, f.fulfilment_id)) t
		WHERE f.merchant_id = 1 AND f.order_id = o;
		-- the lifecycle, both ways; what is to be comes from the table, the holds and the units
		INSERT INTO attempt SELECT n.no, w.way, s.to_state, s.to_state = x.lifecycle OR EXISTS (SELECT FROM oms.transition r
				WHERE r.merchant_id = 1 AND r.from_state = x.lifecycle AND r.to_state = s.to_state AND r.action <> 'reopen')
			AND NOT (s.to_state = 'confirmed' AND x.on_hold)
			AND NOT (s.to_state IN ('completed', 'cancelled') AND (SELECT sum(ordered - cancelled - shipped) > 0 FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o)), NULL, t.*
		FROM oms.sales_order x, unnest('{placed,confirmed,completed,cancelled,lost}'::text[]) s (to_state),
			(VALUES ('transition', 'SELECT oms.transition(1, %s, %L)'), ('hand', 'UPDATE oms.sales_order SET lifecycle = %2$L WHERE merchant_id = 1 AND order_id = %1$s')) w (way, statement),
			LATERAL pg_temp.try(format(w.statement, o, s.to_state)) t
		WHERE x.merchant_id = 1 AND x.order_id = o;
		-- what commands count and derive
		INSERT INTO attempt SELECT n.no, 'column', c.tab || '.' || c.col, false, NULL, t.*
		FROM (SELECT 'sales_order', unnest('{payment_state,fulfilment_state,return_state,on_hold,cancelled_total}'::text[]), unnest('{''none''||now(),''x'',''x'',NOT on_hold,cancelled_total+1}'::text[])
			UNION ALL SELECT 'order_line', u, u || ' + 1' FROM unnest('{ordered,cancelled,allocated,backordered,picked,packed,shipped,delivered,return_requested,returned}'::text[]) u
			UNION ALL SELECT 'order_line', u, u || ' - 1' FROM unnest('{ordered,cancelled,allocated,backordered,picked,packed,shipped,delivered,return_requested,returned}'::text[]) u) c (tab, col, value),
			LATERAL pg_temp.try(format('UPDATE oms.%I SET %I = %s WHERE merchant_id = 1 AND order_id = %s', c.tab, c.col, c.value, o)) t;

		FOREACH what IN ARRAY steps LOOP
			landed := pg_temp.lead(o, what);
			INSERT INTO node (state, path) SELECT landed, n.path || what WHERE landed IS NOT NULL ON CONFLICT DO NOTHING;
		END LOOP;
	END LOOP;
END $$;

-- Money does not look at how many units there are, so its product with the rest is walked with one unit.
SELECT pg_temp.walk(2, '{confirm,hold all,release_hold,cancel_line,cancel_order,reopen_order,plan_fulfilment,pick one,confirm_pick,pack,ship,cancel_fulfilment,deliver,request_return,receive_return}') \g /dev/null
SELECT pg_temp.walk(1, '{confirm,hold all,release_hold,cancel_order,reopen_order,plan_fulfilment,confirm_pick,pack,ship,deliver,request_return,receive_return,authorize,capture,void,refund,gateway}') \g /dev/null
SELECT set_config('walk.name', 'money unasked', true), pg_temp.walk(1, '{confirm,ship_order,request_return,receive_return,authorize,gateway,some captured,more captured,some refunded}') \g /dev/null
SELECT set_config('walk.name', '', true) \g /dev/null
SELECT oms.set_setting(1, 'shipment_policy', p), pg_temp.walk(2, '{confirm,cancel_line,plan_fulfilment,pick one,confirm_pick,pack,ship,edit_order,confirm_edit,decline_edit}') FROM unnest('{line_complete,order_complete}'::text[]) p \g /dev/null

SELECT cmp_ok((SELECT count(*)::int FROM node), '>', 300, 'hundreds of states were reached');
SELECT set_eq($$ SELECT DISTINCT split_part(state, '|', 1) FROM node $$, '{placed,confirmed,completed,cancelled}'::text[], 'every lifecycle');
SELECT set_eq($$ SELECT DISTINCT split_part(state, '|', 2) FROM node $$, '{none,pending,authorized,partial,paid,partially_refunded,refunded,overpaid}'::text[], 'every state of payment');
SELECT set_eq($$ SELECT DISTINCT split_part(state, '|', 3) FROM node $$, '{unfulfilled,partial,fulfilled,delivered}'::text[], 'every state of fulfilment');
SELECT set_eq($$ SELECT DISTINCT split_part(state, '|', 4) FROM node $$, '{none,requested,partial,returned}'::text[], 'every state of returns');
SELECT cmp_ok((SELECT count(DISTINCT (split_part(state, '|', 2), split_part(state, '|', 4)))::int FROM node WHERE split_part(state, '|', 2) IN ('partial', 'overpaid', 'partially_refunded')), '>=', 9, 'money in part or too much, each with returns at several stages');
SELECT set_eq($$ SELECT DISTINCT split_part(state, '|', 5) FROM node $$, '{t,f}'::text[], 'held and not');
CREATE FUNCTION pg_temp.wrong(which text) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT n.state, a.what, a.said, a.reason, a.code, a.message FROM attempt a JOIN node n ON n.no = a.node WHERE a.kind = %L AND a.said <> (a.code = ''00000'')', which) $$;
SELECT is_empty(pg_temp.wrong('order'), 'allowed_actions() is what succeeds, neither more nor less');
SELECT is_empty(pg_temp.wrong('no action'), 'and the lifecycle goes no way that is not among them');
SELECT is_empty(pg_temp.wrong('fulfilment'), 'so is fulfilment_actions()');
SELECT is_empty(pg_temp.wrong('transition'), 'transition() does what is in oms.transition and the units and holds allow');
SELECT is_empty(pg_temp.wrong('hand'), 'an UPDATE by hand the same');
SELECT is_empty($$ SELECT node, what FROM attempt WHERE kind IN ('transition', 'hand') GROUP BY 1, 2 HAVING count(DISTINCT code) > 1 $$, 'with the same code');
SELECT is_empty(pg_temp.wrong('column'), 'no counter and no derived column is typed');
SELECT is_empty($$ SELECT kind, what, code, message FROM attempt WHERE code !~ '^OM' AND code <> '00000' AND message NOT IN ('nothing was done', 'argument "payment_id" is missing', 'argument "fulfilment" is missing') $$,
	'each refusal is one of oms');
SELECT is_empty($$ SELECT what, said, reason FROM attempt WHERE kind IN ('order', 'fulfilment') AND said <> (reason IS NULL) $$, 'and what is not allowed says why');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all orders of the walk are sound');
SELECT * FROM finish();
ROLLBACK;
