-- The lifecycle: every state x every target, by transition() and by hand. What oms.transition has, and the units and
-- holds allow, is done; all else is refused.
BEGIN;
SELECT plan(15);

INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 100000, 'opening') \g /dev/null
-- A state of the merchant's own, with ways in and out of it.
INSERT INTO oms.transition VALUES (1, 'placed', 'checking', 'check'), (1, 'checking', 'confirmed', 'confirm'), (1, 'checking', 'cancelled', 'cancel'), (1, 'confirmed', 'checking', 'check');

-- An order in each state, with units open, shipped or cancelled as the state has them.
CREATE FUNCTION pg_temp.make(state text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE o bigint := oms.place_order(1, jsonb_build_object('confirm', state NOT IN ('placed', 'checking'), 'lines', '[{"sku": "A", "quantity": 2, "unit_price": "1"}]'::jsonb));
BEGIN
	CASE state
		WHEN 'checking' THEN PERFORM oms.transition(1, o, 'checking');
		WHEN 'completed' THEN PERFORM oms.ship_order(1, o);
		WHEN 'cancelled' THEN PERFORM oms.cancel_order(1, o);
		WHEN 'partly shipped' THEN PERFORM oms.confirm_pick(1, f.fulfilment_id, '[{"line": 1, "quantity": 1}]') FROM oms.plan_fulfilment(1, o) f;
		ELSE NULL;
	END CASE;
	RETURN o;
END $$;

CREATE TEMPORARY TABLE attempt (way text, from_state text, to_state text, code text, landed text, events bigint);
CREATE FUNCTION pg_temp.try(way text, from_state text, to_state text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE o bigint := pg_temp.make(from_state); code text := 'done'; before bigint;
BEGIN
	IF (SELECT lifecycle FROM oms.sales_order WHERE order_id = o) <> from_state THEN
		RAISE 'order % is not %', o, from_state;
	END IF;
	SELECT count(*) INTO before FROM oms.event WHERE order_id = o;
	BEGIN
		IF way = 'command' THEN
			PERFORM oms.transition(1, o, to_state);
		ELSE
			UPDATE oms.sales_order SET lifecycle = to_state WHERE merchant_id = 1 AND order_id = o;
		END IF;
	EXCEPTION WHEN OTHERS THEN
		code := SQLSTATE;
	END;
	INSERT INTO attempt SELECT way, from_state, to_state, code, lifecycle, (SELECT count(*) FROM oms.event WHERE order_id = o) - before
	FROM oms.sales_order WHERE order_id = o;
END $$;

SELECT pg_temp.try(way, f, t) FROM unnest('{command,hand}'::text[]) way, unnest('{placed,checking,confirmed,completed,cancelled}'::text[]) f,
	unnest('{placed,checking,confirmed,completed,cancelled,lost}'::text[]) t \g /dev/null

SELECT is((SELECT count(*)::int FROM attempt), 60, 'five states, six targets, two ways');
SELECT is_empty($$ SELECT * FROM attempt a WHERE from_state <> to_state AND code <> 'done'
	AND EXISTS (SELECT 1 FROM oms.transition t WHERE t.merchant_id = 1 AND t.from_state = a.from_state AND t.to_state = a.to_state AND t.action <> 'reopen') AND to_state NOT IN ('completed', 'cancelled') $$,
	'what is in oms.transition is done');
SELECT is_empty($$ SELECT * FROM attempt a WHERE to_state IN ('completed', 'cancelled') AND from_state <> to_state AND code <> 'OM008'
	AND EXISTS (SELECT 1 FROM oms.transition t WHERE t.merchant_id = 1 AND t.from_state = a.from_state AND t.to_state = a.to_state) $$,
	'but no order is closed that has open units (OM008)');
SELECT is_empty($$ SELECT * FROM attempt a WHERE from_state <> to_state AND code <> 'OM004'
	AND NOT EXISTS (SELECT 1 FROM oms.transition t WHERE t.merchant_id = 1 AND t.from_state = a.from_state AND t.to_state = a.to_state) $$,
	'what is not there is refused (OM004)');
SELECT is_empty($$ SELECT * FROM attempt WHERE from_state = to_state AND (code <> 'done' OR events <> 0) $$, 'to the same state is nothing');
SELECT is_empty($$ SELECT * FROM attempt WHERE landed <> CASE code WHEN 'done' THEN to_state ELSE from_state END $$, 'each order is where it should be');
SELECT is_empty($$ SELECT * FROM attempt WHERE events <> (code = 'done' AND from_state <> to_state)::int $$, 'one event for each that was done, none for others');
SELECT is_empty($$ SELECT from_state, to_state FROM attempt GROUP BY 1, 2 HAVING count(DISTINCT code) > 1 $$, 'by hand or by command is the same');

-- An action of the views is one that is done.
SELECT is_empty($$
	SELECT o.lifecycle, a.action, t.to_state FROM (SELECT DISTINCT ON (lifecycle) lifecycle, order_id FROM oms.sales_order WHERE merchant_id = 1) o,
		LATERAL oms.allowed_actions(1, o.order_id) a JOIN oms.transition t ON t.merchant_id = 1 AND t.action = a.action AND a.allowed
	WHERE t.from_state <> o.lifecycle AND NOT EXISTS (SELECT 1 FROM oms.transition x WHERE x.merchant_id = 1 AND x.action = a.action AND x.from_state = o.lifecycle) $$,
	'allowed_actions() allows no transition that is not there');

-- Holds block the steps they name and no other.
CREATE TEMPORARY TABLE step (blocked text, tried text, code text);
CREATE FUNCTION pg_temp.blocked(blocked text, tried text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE o bigint := pg_temp.make(CASE tried WHEN 'confirm' THEN 'placed' ELSE 'confirmed' END); f bigint; code text := 'done';
BEGIN
	IF tried IN ('pick', 'ship') THEN
		SELECT fulfilment_id INTO f FROM oms.plan_fulfilment(1, o);
	END IF;
	IF tried = 'ship' THEN
		PERFORM oms.confirm_pick(1, f), oms.pack(1, f);
	END IF;
	PERFORM oms.hold(1, o, 'h', 'because', ARRAY[blocked]);
	BEGIN
		CASE tried
			WHEN 'confirm' THEN PERFORM oms.transition(1, o, 'confirmed');
			WHEN 'confirm by hand' THEN UPDATE oms.sales_order SET lifecycle = 'checking' WHERE order_id = o; UPDATE oms.sales_order SET lifecycle = 'confirmed' WHERE order_id = o;
			WHEN 'pick' THEN PERFORM oms.confirm_pick(1, f);
			WHEN 'ship' THEN PERFORM oms.ship(1, f);
			WHEN 'cancel' THEN PERFORM oms.cancel_order(1, o);
			WHEN 'cancel line' THEN PERFORM oms.cancel_line(1, o, 1, 1);
		END CASE;
	EXCEPTION WHEN OTHERS THEN
		code := SQLSTATE;
	END;
	INSERT INTO step VALUES (blocked, tried, code);
END $$;
SELECT pg_temp.blocked(b, t) FROM unnest('{confirm,pick,ship,capture,refund,cancel,edit}'::text[]) b, unnest('{confirm,confirm by hand,pick,ship,cancel,cancel line}'::text[]) t \g /dev/null
SELECT is((SELECT count(*)::int FROM step), 42, 'seven steps blocked, six tried');
SELECT is_empty($$ SELECT * FROM step WHERE code <> CASE WHEN tried LIKE blocked || '%' THEN 'OM005' ELSE 'done' END $$, 'a hold blocks the step it names, and no other');

-- A merchant's machine is its own, and so is what it takes out.
DELETE FROM oms.transition WHERE merchant_id = 1 AND from_state = 'placed' AND to_state = 'confirmed';
SELECT throws_ok($$ SELECT oms.transition(1, pg_temp.make('placed'), 'confirmed') $$, 'OM004', NULL, 'a way that was taken out is closed at once');
INSERT INTO oms.transition VALUES (1, 'placed', 'confirmed', 'confirm');
SELECT lives_ok($$ SELECT oms.transition(1, pg_temp.make('placed'), 'confirmed') $$, 'and open again');
INSERT INTO oms.merchant VALUES (2, 'Second', 'EUR', 'UTC');
SELECT set_eq('SELECT from_state, to_state, action FROM oms.transition WHERE merchant_id = 2', 'SELECT * FROM oms.core_transition', 'a new merchant has the core lifecycle alone');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
