-- What allowed_actions() says of an order is what the commands do: every scenario x every action, tried and undone.
BEGIN;
SELECT plan(5);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening') \g /dev/null

CREATE FUNCTION pg_temp.make(scenario text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	o bigint := oms.place_order(1, jsonb_build_object('confirm', scenario NOT LIKE 'placed%', 'shipping', 5) || CASE WHEN scenario LIKE '%charges%' THEN '{}'
		ELSE '{"lines": [{"sku": "A", "quantity": 2, "unit_price": "1"}]}'::jsonb END);
	f bigint;
BEGIN
	IF scenario ~ 'planned|picked|packed|shipped' THEN
		SELECT fulfilment_id INTO f FROM oms.plan_fulfilment(1, o);
	END IF;
	IF scenario ~ 'picked|packed|shipped' THEN
		PERFORM oms.confirm_pick(1, f, CASE WHEN scenario LIKE '%partly%' THEN '[{"line": 1, "quantity": 1}]'::jsonb END);
	END IF;
	IF scenario ~ 'packed|shipped' THEN PERFORM oms.pack(1, f); END IF;
	IF scenario ~ 'shipped' THEN PERFORM oms.ship(1, f); END IF;
	IF scenario LIKE '%returned' THEN PERFORM oms.request_return(1, o, '[{"line": 1, "quantity": 2}]', 'wrong'); END IF;
	IF scenario LIKE '%cancelled' THEN PERFORM oms.cancel_order(1, o); END IF;
	IF scenario LIKE '%one less' THEN PERFORM oms.cancel_line(1, o, 1, 1); END IF;
	IF scenario LIKE '%edited%' THEN PERFORM oms.edit_order(1, o, '[{"action": "notes", "gift_note": "x"}]'); END IF;
	IF scenario LIKE '%held%' THEN PERFORM oms.hold(1, o, 'h', 'because', string_to_array(split_part(scenario, 'held ', 2), ' ')); END IF;
	RETURN o;
END $$;

CREATE TEMPORARY TABLE attempt (scenario text, action text, said boolean, reason text, code text, message text);
CREATE FUNCTION pg_temp.try(scenario text, tried text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE o bigint := pg_temp.make(scenario); said boolean; why text; c text := 'done'; m text; n bigint;
	f bigint := (SELECT max(fulfilment_id) FROM oms.fulfilment WHERE order_id = o);
BEGIN
	SELECT a.allowed, a.reason INTO said, why FROM oms.allowed_actions(1, o) a WHERE a.action = tried;
	BEGIN
		CASE tried
			WHEN 'confirm' THEN PERFORM oms.transition(1, o, 'confirmed');
			WHEN 'hold' THEN PERFORM oms.hold(1, o, 'another');
			WHEN 'release_hold' THEN IF NOT oms.release_hold(1, o, 'h') THEN RAISE 'none'; END IF;
			WHEN 'cancel_line' THEN IF oms.cancel_line(1, o, 1) = 0 THEN RAISE 'none'; END IF;
			WHEN 'cancel_order' THEN IF (SELECT lifecycle FROM oms.sales_order WHERE order_id = o) = 'cancelled' THEN RAISE 'none'; END IF; PERFORM oms.cancel_order(1, o);
			WHEN 'edit_order' THEN PERFORM oms.edit_order(1, o, '[{"action": "notes", "gift_note": "y"}]');
			WHEN 'confirm_edit' THEN PERFORM oms.confirm_edit(1, o);
			WHEN 'decline_edit' THEN PERFORM oms.decline_edit(1, o);
			WHEN 'plan_fulfilment' THEN SELECT count(*) INTO n FROM oms.plan_fulfilment(1, o); IF n = 0 THEN RAISE 'none'; END IF;
			WHEN 'request_return' THEN PERFORM oms.request_return(1, o, '[{"line": 1, "quantity": 1}]', 'wrong');
		END CASE;
	EXCEPTION WHEN OTHERS THEN
		c := SQLSTATE; m := SQLERRM;
	END;
	-- "confirm" is no row where the state machine has no such way
	INSERT INTO attempt VALUES (scenario, tried, coalesce(said, false), why, c, m);
END $$;
SELECT pg_temp.try(s, a) FROM unnest('{placed,placed charges,placed held confirm,placed held pick,placed held cancel,placed cancelled,charges,placed charges cancelled,confirmed,confirmed one less,confirmed cancelled,confirmed held pick,
	confirmed held pick ship cancel,confirmed held refund,planned,planned one less,partly picked,picked,packed,partly shipped,shipped,shipped held refund,shipped returned,placed edited,confirmed edited,confirmed edited held edit,confirmed held edit}'::text[]) s,
	unnest('{confirm,hold,release_hold,cancel_line,cancel_order,plan_fulfilment,request_return,edit_order,confirm_edit,decline_edit}'::text[]) a \g /dev/null
SELECT is((SELECT count(*)::int FROM attempt), 270, '27 scenarios, 10 actions');
SELECT is_empty($$ SELECT scenario, action, code, message FROM attempt WHERE said AND code <> 'done' $$, 'what is said to be possible is done');
SELECT is_empty($$ SELECT scenario, action, reason FROM attempt WHERE NOT said AND code = 'done' AND NOT (action = 'confirm' AND scenario !~ 'placed') $$, 'what is said to be impossible is refused');
SELECT is_empty($$ SELECT scenario, action FROM attempt WHERE NOT said AND action <> 'confirm' AND reason IS NULL $$, 'with a reason');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
