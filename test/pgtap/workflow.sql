-- Workflows as data: what is not in an order's version is refused, by command and by hand; guards, hooks and rights
-- decide; versions begin by time alone and orders keep theirs; lints refuse what cannot work, with the way to it.
BEGIN;
SELECT plan(74);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 100000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.placed(confirm boolean DEFAULT false, channel text DEFAULT 'web') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('confirm', confirm, 'channel', channel, 'lines', '[{"sku": "A", "quantity": 2, "unit_price": "10"}]'::jsonb)) $$;
CREATE FUNCTION pg_temp.at(o bigint) RETURNS text LANGUAGE sql AS $$ SELECT state || '/' || lifecycle FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o $$;
SELECT pg_temp.placed() AS old \gset

-- Guards and hooks of the merchant's.
CREATE SCHEMA shop;
CREATE TABLE shop.note (order_id bigint, what text, by_role text, path text);
CREATE FUNCTION shop.is_big(merchant int, order_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT total >= 20 AND instructions = 'big' FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2 $$;
CREATE FUNCTION shop.is_checked(merchant int, order_id bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN (SELECT gift_note = 'checked' FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2); END $$;
CREATE FUNCTION shop.before(merchant int, order_id bigint, from_state text, to_state text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.note VALUES ($2, 'before ' || $3 || ' ' || $4, current_user, current_setting('search_path'));
	RETURN (SELECT 'phone is missing' FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2 AND phone IS NULL);
END $$;
CREATE FUNCTION shop.after(merchant int, order_id bigint, from_state text, to_state text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.note VALUES ($2, 'after ' || (SELECT state FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2), current_user, NULL);
	RETURN (SELECT 'not in this language' FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2 AND language = 'xx');
END $$;
CREATE ROLE flow_hooks;
CREATE ROLE flow_boss;
CREATE ROLE flow_clerk;
GRANT USAGE ON SCHEMA shop, oms TO flow_hooks;
GRANT INSERT ON shop.note TO flow_hooks;
GRANT SELECT ON oms.sales_order TO flow_hooks;
ALTER FUNCTION shop.before(int, bigint, text, text) OWNER TO flow_hooks;
SELECT oms.grant_role('flow_clerk', 'clerk'), oms.grant_role('flow_boss', 'clerk') \g /dev/null
-- What a statement answers, or its SQLSTATE, when a role runs it.
CREATE FUNCTION pg_temp.by(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
	PERFORM set_config('role', role, true);
	EXECUTE statement INTO answer;
	PERFORM set_config('role', 'none', true);
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

SELECT oms.define_workflow(1, '{"name": "shop", "states": [
	{"state": "new", "core": "placed"}, {"state": "checking", "core": "placed"}, {"state": "ready", "core": "confirmed"}, {"state": "vip", "core": "confirmed"},
	{"state": "packing", "core": "confirmed"}, {"state": "sent", "core": "completed"}, {"state": "filed", "core": "completed"}, {"state": "off", "core": "cancelled"}],
	"transitions": [
	{"from": "new", "to": "ready", "action": "confirm"}, {"from": "new", "to": "vip", "action": "confirm", "guard": "shop.is_big"},
	{"from": "new", "to": "checking", "action": "check"}, {"from": "checking", "to": "ready", "action": "confirm", "guard": "shop.is_checked"},
	{"from": "ready", "to": "packing", "action": "start", "before": "shop.before", "after": "shop.after"}, {"from": "packing", "to": "ready", "action": "stop"},
	{"from": "vip", "to": "packing", "action": "start"},
	{"from": "packing", "to": "sent", "action": "complete"}, {"from": "sent", "to": "filed", "action": "file", "roles": ["flow_boss"]},
	{"from": "new", "to": "off", "action": "cancel"}, {"from": "checking", "to": "off", "action": "cancel", "roles": ["flow_boss"]}, {"from": "ready", "to": "off", "action": "cancel"}]}') AS w \gset
SELECT is(:w, 1, 'the first version');
SELECT is_empty('SELECT * FROM oms.workflow_findings(1, 1)', 'has no fault');
SELECT is(pg_temp.at(pg_temp.placed()), NULL, 'and does nothing before it is activated');
SELECT throws_ok($$ SELECT oms.activate_workflow(1, 1, now() - interval '1 second') $$, 'OM011', NULL, 'never for the past');
SELECT isnt(oms.activate_workflow(1, 1, request_key => 'on'), NULL, 'activated');
SELECT is(oms.activate_workflow(1, 1, request_key => 'on'), now(), 'the same key is the same call');
SELECT throws_ok('SELECT oms.activate_workflow(1, 1)', 'OM008', NULL, 'but once only');
SELECT throws_ok('UPDATE oms.workflow_transition SET action = ''x''', 'OM009', NULL, 'and nobody types into it');
SELECT throws_ok('DELETE FROM oms.workflow_state', 'OM009', NULL, 'or takes out of it');

-- Orders begin in it; those before have none.
SELECT is(pg_temp.at(pg_temp.placed()), 'new/placed', 'an order starts in the first state');
SELECT is(pg_temp.at(pg_temp.placed(true)), 'ready/confirmed', 'and is confirmed along the workflow');
SELECT is((SELECT workflow_id FROM oms.sales_order WHERE order_id = :old), NULL, 'an order that was there has none');
SELECT is(oms.transition(1, :old, 'confirmed'), 'confirmed', 'and goes by oms.transition');
SELECT throws_ok(format('UPDATE oms.sales_order SET state = ''ready'' WHERE order_id = %s', :old), 'OM009', NULL, 'a state is not typed into it');
SELECT throws_ok(format('UPDATE oms.sales_order SET workflow_id = NULL WHERE order_id = %s', pg_temp.placed()), 'OM009', NULL, 'nor a workflow taken away');

-- Every state x every target, by command and by hand: what the version has is done, all else refused with OM004.
CREATE FUNCTION pg_temp.make(want text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE o bigint := pg_temp.placed();
BEGIN
	UPDATE oms.sales_order SET phone = '1', gift_note = 'checked' WHERE merchant_id = 1 AND order_id = o;
	CASE want
		WHEN 'new' THEN NULL;
		WHEN 'checking' THEN PERFORM oms.perform_action(1, o, 'check');
		WHEN 'vip' THEN UPDATE oms.sales_order SET instructions = 'big' WHERE order_id = o; PERFORM oms.perform_action(1, o, 'confirm');
		WHEN 'off' THEN PERFORM oms.cancel_order(1, o);
		ELSE
			PERFORM oms.perform_action(1, o, 'confirm');
			IF want <> 'ready' THEN PERFORM oms.perform_action(1, o, 'start'); END IF;
			IF want IN ('sent', 'filed') THEN PERFORM oms.ship_order(1, o); END IF;
			IF want = 'filed' THEN PERFORM oms.perform_action(1, o, 'file'); END IF;
	END CASE;
	RETURN o;
END $$;
CREATE TEMPORARY TABLE attempt (way text, from_state text, to_state text, code text, landed text, said boolean);
CREATE FUNCTION pg_temp.try(way text, from_state text, target text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE o bigint := pg_temp.make(from_state); code text := 'done'; said boolean; doing text;
BEGIN
	IF (SELECT state FROM oms.sales_order WHERE order_id = o) <> from_state THEN RAISE 'order % is %', o, pg_temp.at(o); END IF;
	SELECT action INTO doing FROM oms.workflow_transition t WHERE t.merchant_id = 1 AND t.workflow_id = 1 AND t.from_state = $2 AND t.to_state = target;
	SELECT allowed INTO said FROM oms.allowed_actions(1, o) a WHERE a.action = doing;
	BEGIN
		CASE way WHEN 'command' THEN PERFORM oms.transition(1, o, target);
			WHEN 'hand' THEN UPDATE oms.sales_order SET state = target WHERE merchant_id = 1 AND order_id = o;
			ELSE PERFORM oms.perform_action(1, o, doing); END CASE;
	EXCEPTION WHEN OTHERS THEN code := SQLSTATE; END;
	INSERT INTO attempt SELECT way, from_state, target, code, state, coalesce(said, false) FROM oms.sales_order WHERE order_id = o;
END $$;
SELECT pg_temp.try(way, f, t) FROM unnest('{command,hand}'::text[]) way, unnest('{new,checking,ready,vip,packing,sent,filed,off}'::text[]) f,
	unnest('{new,checking,ready,vip,packing,sent,filed,off,lost}'::text[]) t WHERE f <> t \g /dev/null
SELECT pg_temp.try('action', from_state, to_state) FROM oms.workflow_transition WHERE merchant_id = 1 \g /dev/null
CREATE TEMPORARY VIEW has AS SELECT a.*, t.action FROM attempt a LEFT JOIN oms.workflow_transition t ON t.merchant_id = 1 AND t.from_state = a.from_state AND t.to_state = a.to_state;
SELECT is((SELECT count(*)::int FROM attempt), 140, 'eight states, nine targets, two ways; twelve actions');
SELECT is_empty($$ SELECT * FROM has WHERE action IS NULL AND code <> 'OM004' $$, 'what is not in the version is refused (OM004)');
SELECT is_empty($$ SELECT * FROM has WHERE way <> 'action' AND action IS NOT NULL AND code <> 'done' AND NOT (to_state IN ('off', 'sent') AND code = 'OM008') AND NOT (to_state = 'vip' AND code = 'OM008') $$,
	'what is there is done, but for what the units or a guard keep');
SELECT is_empty($$ SELECT * FROM attempt WHERE landed <> CASE WHEN code = 'done' THEN to_state ELSE from_state END AND NOT (way = 'action' AND to_state = 'vip') $$, 'each is where it should be');
SELECT is_empty($$ SELECT * FROM has WHERE way = 'action' AND said <> (code = 'done') $$, 'allowed_actions() is what perform_action() does');
SELECT is_empty($$ SELECT from_state, to_state FROM attempt WHERE way <> 'action' GROUP BY 1, 2 HAVING count(DISTINCT code) > 1 $$, 'by hand or by command is the same');
SELECT is_empty($$ SELECT s.order_id FROM oms.sales_order s JOIN oms.workflow_state w USING (merchant_id, workflow_id, state) WHERE w.core_state <> s.lifecycle $$, 'the lifecycle is the core state');

-- By the lifecycle: callers that know nothing of the workflow.
SELECT pg_temp.placed() AS o \gset
SELECT is(oms.transition(1, :o, 'confirmed'), 'confirmed', 'a lifecycle may be asked for');
SELECT is(pg_temp.at(:o), 'ready/confirmed', 'the first way that fits is taken');
SELECT pg_temp.placed() AS o \gset
UPDATE oms.sales_order SET instructions = 'big' WHERE order_id = :o;
UPDATE oms.sales_order SET lifecycle = 'confirmed' WHERE order_id = :o;
SELECT is(pg_temp.at(:o), 'vip/confirmed', 'also by hand, where a guard that holds comes before none');
SELECT throws_ok(format('UPDATE oms.sales_order SET lifecycle = ''confirmed'', state = ''off'' WHERE order_id = %s', pg_temp.placed()), 'OM004', NULL, 'a lifecycle and a state that do not fit');

-- What commands derive goes by the version too.
SELECT pg_temp.make('packing') AS p \gset
SELECT oms.ship_order(1, :p) \g /dev/null
SELECT is(pg_temp.at(:p), 'sent/completed', 'the last unit shipped: the state of that lifecycle');
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', pg_temp.make('ready')), 'OM004', NULL, 'no way from ready to completed');
SELECT throws_ok(format('SELECT oms.cancel_order(1, %s)', pg_temp.make('packing')), 'OM004', NULL, 'nor from packing to cancelled');
SELECT pg_temp.make('packing') AS p \gset
SELECT is((SELECT allowed FROM oms.allowed_actions(1, :p) WHERE action = 'cancel_order'), false, 'and allowed_actions() says so');
CREATE FUNCTION pg_temp.said(o bigint, what text) RETURNS text LANGUAGE sql AS $$ SELECT allowed || coalesce(' ' || reason, '') FROM oms.allowed_actions(1, $1) WHERE action = $2 $$;
SELECT is(pg_temp.said(:p, 'ship_order'), 'true', 'nor is it foreseen where there is a way');
SELECT pg_temp.make('ready') AS p \gset
SELECT is(pg_temp.said(:p, 'ship_order'), 'false the workflow has no such way', 'the last unit is not shipped from where no way leads to completed, and that is foreseen');
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :p) LIMIT 1 \gset
SELECT oms.confirm_pick(1, :f), oms.pack(1, :f) \g /dev/null
SELECT is(pg_temp.said(:p, 'ship'), 'false the workflow has no such way', 'of what is packed too');
SELECT is((SELECT allowed || ' ' || reason FROM oms.fulfilment_actions(1, :f) WHERE action = 'ship'), 'false the workflow has no such way', 'and of the fulfilment');
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM004', NULL, 'as it is');
SELECT pg_temp.make('packing') AS p \gset
SELECT is(pg_temp.said(:p, 'cancel_line'), 'true', 'one of two units is cancelled');
SELECT oms.cancel_line(1, :p, 1, 1) \g /dev/null
SELECT is(pg_temp.said(:p, 'cancel_line'), 'false the workflow has no such way', 'the last one would cancel the order');
SELECT throws_ok(format('SELECT oms.cancel_line(1, %s, 1, 1)', :p), 'OM004', NULL, 'which it is not');

-- Guards, hooks.
SELECT pg_temp.make('checking') AS c \gset
UPDATE oms.sales_order SET gift_note = NULL WHERE order_id = :c;
SELECT throws_ok(format('SELECT oms.perform_action(1, %s, ''confirm'')', :c), 'OM008', format('order %s cannot go from checking to confirm now', :c), 'a guard that says null says no');
SELECT is((SELECT reason FROM oms.allowed_actions(1, :c) WHERE action = 'confirm'), 'shop.is_checked says no', 'and allowed_actions() names it');
DELETE FROM shop.note;
SELECT pg_temp.placed(true) AS r \gset
SELECT throws_ok(format('SELECT oms.perform_action(1, %s, ''start'')', :r), 'OM008', format('order %s may not go from ready to packing: phone is missing', :r), 'a hook vetoes, its reason reaches the caller');
SELECT is(pg_temp.at(:r), 'ready/confirmed', 'nothing is changed');
SELECT throws_ok(format('UPDATE oms.sales_order SET state = ''packing'' WHERE order_id = %s', :r), 'OM008', NULL, 'by hand as well');
UPDATE oms.sales_order SET phone = '1', language = 'xx' WHERE order_id = :r;
SELECT throws_ok(format('SELECT oms.perform_action(1, %s, ''start'')', :r), 'OM008', format('order %s may not go from ready to packing: not in this language', :r), 'so may the hook after');
SELECT is(pg_temp.at(:r), 'ready/confirmed', 'and all is undone');
SELECT is((SELECT count(*) FROM shop.note), 0::bigint, 'what hooks wrote too');
UPDATE oms.sales_order SET language = 'en' WHERE order_id = :r;
SELECT is(pg_temp.by('flow_clerk', format('SELECT oms.perform_action(1, %s, ''start'', ''key 7'', ''ann'', ''van is here'')', :r)), 'packing', 'when hooks have nothing against it, it is done');
SELECT is((SELECT string_agg(concat_ws(' by ', what, by_role, path), '; ' ORDER BY what) FROM shop.note), format('after packing by %s; before ready packing by flow_hooks by pg_catalog, pg_temp', session_user),
	'hooks run with their owner''s rights, search_path pinned, the second after the change');
SELECT is(oms.perform_action(1, :r, 'start', 'key 7', 'ann', 'van is here'), 'packing', 'the same key is the same call');
SELECT is((SELECT string_agg(concat_ws(', ', actor, reason, correlation_id, at = now(), data ->> 'from', data ->> 'to', data ->> 'state_from', data ->> 'state_to', data ->> 'action'), '; ')
	FROM oms.event WHERE order_id = :r AND type = 'order.transitioned'), 'ann, van is here, key 7, t, confirmed, confirmed, ready, packing, start', 'one event: who, when, why, from, to, under which key');
ALTER FUNCTION shop.is_checked(int, bigint) RENAME TO gone;
SELECT throws_ok(format('SELECT oms.perform_action(1, %s, ''confirm'')', :c), 'OM016', 'workflow function shop.is_checked does not exist', 'a guard that is gone refuses');
ALTER FUNCTION shop.gone(int, bigint) RENAME TO is_checked;

-- Rights: of the caller, not of the definer.
SELECT pg_temp.make('sent') AS s \gset
SELECT pg_temp.make('checking') AS c \gset
SELECT is(pg_temp.by('flow_clerk', format('SELECT oms.perform_action(1, %s, ''file'')', :s)), '42501', 'without the role refused');
SELECT is(pg_temp.by('flow_clerk', format('SELECT oms.cancel_order(1, %s)', :c)), '42501', 'also through a command that derives it');
SELECT is(pg_temp.by('flow_clerk', format('SELECT reason FROM oms.allowed_actions(1, %s) WHERE action = ''file''', :s)), 'the caller has no right to it', 'allowed_actions() is the caller''s');
SELECT is(pg_temp.by('flow_boss', format('SELECT oms.perform_action(1, %s, ''file'')', :s)), 'filed', 'with it done');

-- Versions: by channel and by time alone; orders keep theirs.
SELECT pg_temp.placed() AS before \gset
SELECT oms.define_workflow(1, '{"name": "short", "channel": "web", "states": [{"state": "in", "core": "placed"}, {"state": "go", "core": "confirmed"}, {"state": "done", "core": "completed"}, {"state": "no", "core": "cancelled"}],
	"transitions": [{"from": "in", "to": "go", "action": "confirm"}, {"from": "go", "to": "done", "action": "complete"}, {"from": "in", "to": "no", "action": "cancel"}]}') AS w \gset
SELECT oms.activate_workflow(1, :w, now() + interval '1 day') \g /dev/null
SELECT is(pg_temp.at(pg_temp.placed()), 'new/placed', 'not valid yet');
SELECT set_config('oms.test_clock', (now() + interval '1 day')::text, true) \g /dev/null
SELECT is(pg_temp.at(pg_temp.placed()), 'in/placed', 'from its instant on it is, without a job');
SELECT is(oms.perform_action(1, :before, 'check'), 'checking', 'an order placed before keeps its version');
SELECT set_config('oms.test_clock', '', true) \g /dev/null

-- A hook is no way round the guards of tables, also inside a command that may write them.
CREATE FUNCTION shop.cheat(merchant int, order_id bigint, from_state text, to_state text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE oms.order_line l SET delivered = shipped WHERE l.merchant_id = $1 AND l.order_id = $2;
	RETURN NULL;
END $$;
SELECT oms.define_workflow(1, '{"name": "cheat", "states": [{"state": "in", "core": "placed"}, {"state": "go", "core": "confirmed"}, {"state": "done", "core": "completed"}],
	"transitions": [{"from": "in", "to": "go", "action": "confirm"}, {"from": "go", "to": "done", "action": "complete", "before": "shop.cheat"}]}') AS w \gset
SELECT oms.activate_workflow(1, :w) \g /dev/null
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', pg_temp.placed(true)), 'OM009', NULL, 'a hook inside a command writes no guarded table');

-- What a hook will say is foreseen where calling it has no effects.
SELECT is(pg_temp.said(pg_temp.placed(true), 'ship_order'), 'true', 'a volatile hook is not called to find out');
CREATE FUNCTION shop.wrapped(merchant int, order_id bigint, from_state text, to_state text) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT 'no paper to go ' || $4 FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.order_id = $2 AND o.gift_note = 'wrap' $$;
SELECT oms.define_workflow(1, '{"name": "foreseen", "states": [{"state": "in", "core": "placed"}, {"state": "go", "core": "confirmed"}, {"state": "done", "core": "completed"}],
	"transitions": [{"from": "in", "to": "go", "action": "confirm", "before": "shop.wrapped"}, {"from": "go", "to": "done", "action": "complete", "before": "shop.wrapped"}]}') AS w \gset
SELECT oms.activate_workflow(1, :w) \g /dev/null
SELECT pg_temp.placed() AS o \gset
SELECT is(pg_temp.said(:o, 'confirm'), 'true', 'a stable hook is asked');
UPDATE oms.sales_order SET gift_note = 'wrap' WHERE order_id = :o;
SELECT is(pg_temp.said(:o, 'confirm'), 'false no paper to go go', 'and its reason given');
UPDATE oms.sales_order SET gift_note = NULL WHERE order_id = :o;
SELECT oms.perform_action(1, :o, 'confirm') \g /dev/null
SELECT is(pg_temp.said(:o, 'ship_order'), 'true', 'also of what shipping leads to');
UPDATE oms.sales_order SET gift_note = 'wrap' WHERE order_id = :o;
SELECT is(pg_temp.said(:o, 'ship_order'), 'false no paper to go done', 'which it refuses');
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', :o), 'OM008', format('order %s may not go from go to done: no paper to go done', :o), 'as it does then');

-- Lints.
CREATE FUNCTION pg_temp.lint(transitions jsonb, more jsonb DEFAULT '[]') RETURNS int LANGUAGE sql AS $$
	SELECT oms.define_workflow(1, jsonb_build_object('name', 'bad', 'states', '[{"state": "a", "core": "placed"}, {"state": "b", "core": "placed"}, {"state": "c", "core": "confirmed"}, {"state": "z", "core": "completed"}]'::jsonb || more, 'transitions', transitions)) $$;
SELECT pg_temp.lint('[{"from": "a", "to": "b", "action": "x"}, {"from": "a", "to": "c", "action": "y"}, {"from": "c", "to": "z", "action": "y"}]') AS w \gset
SELECT set_eq('SELECT * FROM oms.workflow_findings(1, ' || :w || ')', $$ VALUES ('trapped', 'b', 'a -> b', 'no way leads on to a completed or cancelled state') $$, 'trapped');
SELECT throws_ok('SELECT oms.activate_workflow(1, ' || :w || ')', 'OM016', format('workflow %s cannot be activated: trapped b', :w), 'is not activated');
SELECT pg_temp.lint('[{"from": "a", "to": "c", "action": "y"}, {"from": "c", "to": "z", "action": "y"}, {"from": "b", "to": "d", "action": "y"}, {"from": "d", "to": "z", "action": "y"}]', '[{"state": "d", "core": "confirmed"}]') AS w \gset
SELECT bag_eq('SELECT finding, state, path FROM oms.workflow_findings(1, ' || :w || ')', $$ VALUES ('unreachable', 'b', 'b'), ('unreachable', 'd', 'b -> d') $$, 'unreachable');
SELECT pg_temp.lint('[{"from": "a", "to": "b", "action": "x"}, {"from": "b", "to": "c", "action": "y"}, {"from": "b", "to": "d", "action": "y"}, {"from": "c", "to": "z", "action": "y"}, {"from": "d", "to": "z", "action": "y"}]', '[{"state": "d", "core": "confirmed"}]') AS w \gset
SELECT set_eq('SELECT * FROM oms.workflow_findings(1, ' || :w || ')', $$ VALUES ('ambiguous', 'b', 'a -> b', 'action y leads to c and to d, both without a guard') $$, 'ambiguous');
SELECT pg_temp.lint('[{"from": "a", "to": "b", "action": "x"}, {"from": "b", "to": "z", "action": "y", "guard": "shop.nothing", "before": "shop.is_big", "roles": ["nobody_at_all"]}, {"from": "a", "to": "c", "action": "y"}, {"from": "c", "to": "a", "action": "y"}, {"from": "c", "to": "z", "action": "z"}]') AS w \gset
SELECT bag_eq('SELECT finding, path FROM oms.workflow_findings(1, ' || :w || ') ORDER BY 1, 2', $$ VALUES ('core', 'a -> b -> z'), ('core', 'a -> c -> a'), ('function', 'a -> b -> z'), ('function', 'a -> b -> z'), ('role', 'a -> b -> z') $$,
	'steps no lifecycle has, functions and roles that are not there');
SELECT throws_ok($$ SELECT oms.define_workflow(1, '{"name": "x", "states": [{"state": "a", "core": "odd"}], "transitions": []}') $$, 'OM003', NULL, 'a document has its path in the error');
SELECT throws_ok('SELECT oms.workflow_findings(1, 99)', 'OM002', NULL, 'no such version');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SET LOCAL session_replication_role = replica;
UPDATE oms.sales_order SET lifecycle = 'placed' WHERE order_id = :before;
UPDATE oms.sales_order SET state = 'vip' WHERE order_id = :before;
SET LOCAL session_replication_role = origin;
SELECT ok(EXISTS (SELECT FROM oms.verify(1) WHERE rule = 'state_is_core' AND object = 'order ' || :before), 'verify() sees a state that is not of the lifecycle');
SELECT * FROM finish();
ROLLBACK;
