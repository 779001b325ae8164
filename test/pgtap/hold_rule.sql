-- Holds on orders: types with their steps and the right to release, several at once, and what is blocked by which.
BEGIN;
SELECT plan(55);

CREATE ROLE oms_t_clerk;
CREATE ROLE oms_t_fraud;
CREATE ROLE oms_t_fraud_clerk IN ROLE oms_t_fraud;
SELECT oms.grant_role('oms_t_clerk', 'clerk'), oms.grant_role('oms_t_fraud', 'clerk') \g /dev/null
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 100000, 'opening') \g /dev/null
INSERT INTO oms.hold_type (merchant_id, kind, blocks, release_role, reason_required, description) VALUES
	(1, 'fraud', '{ship,capture}', 'oms_t_fraud', true, 'Looks like fraud'),
	(1, 'address', '{pick}', NULL, false, 'The address is in doubt');

CREATE FUNCTION pg_temp.place(total numeric DEFAULT 10) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('lines', jsonb_build_array(jsonb_build_object('sku', 'A', 'quantity', 1, 'unit_price', total)))) $$;
SELECT pg_temp.place() AS o \gset

-- Each blocks what its type names, and nothing else
SELECT oms.hold(1, :o, 'fraud', 'score 92') AS fraud, oms.hold(1, :o, 'address') AS address, oms.hold(1, :o, 'manual', 'wait', '{edit}') AS manual \gset
SELECT results_eq($$ SELECT step, kind, release_role, may_release FROM oms.blocked_by(1, $$ || :o || $$) $$,
	$$ VALUES ('edit', 'manual', NULL::text, true), ('pick', 'address', NULL, true), ('ship', 'fraud', 'oms_t_fraud', true), ('capture', 'fraud', 'oms_t_fraud', true) $$,
	'three holds at once, each with its own steps');
SELECT results_eq($$ SELECT kind, reason FROM oms.blocked_by(1, $$ || :o || $$, 'ship') $$, $$ VALUES ('fraud', 'score 92') $$, 'what blocks one step');
SELECT is_empty($$ SELECT * FROM oms.blocked_by(1, $$ || :o || $$, 'cancel') $$, 'nothing blocks the rest');
SELECT is((SELECT count(*) FROM oms.order_blocked WHERE order_id = :o), 4::bigint, 'the list says the same');
SELECT oms.hold(1, :o, 'other', blocks => NULL) \g /dev/null
SELECT is((SELECT blocks FROM oms.order_hold WHERE order_id = :o AND kind = 'other'), '{confirm,pick,ship,capture}', 'a kind without type blocks what it always did');
SELECT oms.release_hold(1, :o, 'other') \g /dev/null
SELECT throws_ok(format('SELECT oms.plan_fulfilment(1, %s)', :o), 'OM005', NULL, 'planning is part of picking');
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', :o), 'OM005', NULL, 'shipping is refused');

-- Who may release
SET LOCAL ROLE oms_t_clerk;
SELECT results_eq($$ SELECT DISTINCT kind, may_release FROM oms.blocked_by(1, $$ || :o || $$) ORDER BY 1 $$,
	$$ VALUES ('address', true), ('fraud', false), ('manual', true) $$, 'a clerk sees what he may release');
SELECT throws_ok(format('SELECT oms.release_hold(1, %s, ''fraud'', reason => ''fine'')', :o), '42501', 'role "oms_t_clerk" may not release holds of kind "fraud"', 'he may not release fraud holds');
SELECT throws_ok(format('SELECT oms.release_hold(1, %s, ''fraud'', ''oms_t_fraud'', ''fine'')', :o), '42501', NULL, 'nor by naming another actor');
SELECT ok(oms.release_hold(1, :o, 'address'), 'but others');
RESET ROLE;
SET LOCAL ROLE oms_t_fraud_clerk;
SELECT throws_ok(format('SELECT oms.release_hold(1, %s, ''fraud'')', :o), 'OM011', 'releasing a hold of kind "fraud" needs a reason', 'a member of the role may, with a reason');
SELECT ok(oms.release_hold(1, :o, 'fraud', 'Ann', 'called back'), 'as here');
RESET ROLE;
SELECT results_eq($$ SELECT released_by, released_role, release_reason FROM oms.order_hold WHERE hold_id = $$ || :fraud,
	$$ VALUES ('Ann', 'oms_t_fraud_clerk', 'called back') $$, 'the row says who, as which role, and why');
SELECT results_eq($$ SELECT actor, reason, data ->> 'role' FROM oms.event WHERE type = 'order.released' AND order_id = $$ || :o || $$ AND data ->> 'kind' = 'fraud' $$,
	$$ VALUES ('Ann', 'called back', 'oms_t_fraud_clerk') $$, 'and so does its event');
UPDATE oms.hold_type SET release_role = 'oms_t_nobody_at_all' WHERE kind = 'fraud';
SELECT oms.hold(1, :o, 'fraud') \g /dev/null
SET LOCAL ROLE oms_t_fraud_clerk;
SELECT throws_ok(format('SELECT oms.release_hold(1, %s, ''fraud'', reason => ''x'')', :o), '42501', NULL, 'a role that is gone gives nobody the right');
RESET ROLE;
SELECT ok(oms.release_hold(1, :o, 'fraud', reason => 'x'), 'but the superuser');
SELECT throws_ok($$ INSERT INTO oms.hold_type (merchant_id, kind, blocks) VALUES (1, 'x', '{fly}') $$, '23514', NULL, 'steps are known ones');
SELECT throws_ok(format('UPDATE oms.order_hold SET released_at = now(), released_by = ''me'' WHERE order_id = %s', :o), 'OM009', NULL, 'no release by hand');

-- Conditions are checked when they are written
SELECT throws_ok(format('INSERT INTO oms.hold_rule (merchant_id, name, kind, condition) VALUES (1, ''bad'', ''x'', %L)', c), code, NULL, 'no condition: ' || c)
FROM (VALUES ('$.totl > 5', 'OM011'), ('$.total', 'OM011'), ('$.lines[*] ? (@.color == "red")', 'OM011'), ('exists($.lines[*] ? (@.sku == "A" && @.colour > 1))', 'OM011'),
	('$.total > $limit', 'OM011'), ('$.total >', '42601'), ('!($.ship_to.cuntry == "DE")', 'OM011'), ('$.emial like_regex "x"', 'OM011'), ('$.total + $.fee > 5', 'OM011')) v (c, code);
SELECT throws_ok('SELECT oms.check_condition(NULL)', 'OM011', 'argument "condition" is missing', 'nor is nothing');

-- By amount, by what is in it, by where it goes
CREATE FUNCTION pg_temp.holds(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(kind || ': ' || reason, ', ' ORDER BY hold_id) FROM oms.order_hold WHERE order_id = $1 AND released_at IS NULL $$;
CREATE FUNCTION pg_temp.order(document jsonb) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 1, "unit_price": 10}]}'::jsonb || $1) $$;
INSERT INTO oms.hold_rule (merchant_id, name, kind, condition, reason) VALUES
	(1, 'large', 'amount', '$.total > 500 && $.currency == "EUR"', 'more than 500'), (1, 'many', 'amount', 'exists($.lines[*] ? (@.quantity >= 100))', NULL),
	(1, 'guests abroad', 'address', '$.guest == true && $.ship_to.country != "DE"', NULL), (1, 'off', 'amount', '$.total > 0', NULL);
UPDATE oms.hold_rule SET active = false WHERE name = 'off';
INSERT INTO oms.hold_type (merchant_id, kind, blocks) VALUES (1, 'amount', '{confirm,ship}');
SELECT pg_temp.place(500) AS small, pg_temp.place(501) AS large, oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 100, "unit_price": "10"}]}') AS both,
	pg_temp.order('{"ship_to": {"name": "A", "country": "FR"}}') AS abroad, pg_temp.order('{"ship_to": {"name": "A", "country": "DE"}}') AS home \gset
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE order_id = :small), 'confirmed', 'what no rule meets is confirmed as ever');
SELECT is(pg_temp.holds(:large), 'amount: more than 500', 'a large order is held');
SELECT is((SELECT lifecycle || on_hold FROM oms.sales_order WHERE order_id = :large), 'placedtrue', 'and not confirmed');
SELECT is((SELECT allocated FROM oms.order_line WHERE order_id = :large), 1, 'but has its stock');
SELECT is((SELECT count(*) FROM oms.order_finding WHERE order_id = :both), 2::bigint, 'two rules of one kind are two findings');
SELECT is((SELECT count(*) FROM oms.order_hold WHERE order_id = :both), 1::bigint, 'and one hold');
SELECT is(pg_temp.holds(:abroad), 'address: guests abroad', 'an address holds');
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE order_id = :abroad), 'confirmed', 'and blocks picking alone, as its type says');
SELECT is(pg_temp.holds(:home), NULL, 'another does not');
SELECT results_eq($$ SELECT order_id FROM oms.dry_run_condition(1, '$.total > 500') $$, $$ VALUES ($$ || :large || '::bigint), (' || :both || ')', 'a condition may be tried first');

-- An override is one: not found again, unless the order changes
SELECT ok(oms.release_hold(1, :large, 'amount', 'Eve', 'she is known'), 'overridden');
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE order_id = :large), 'confirmed', 'the order goes on');
SELECT results_eq($$ SELECT kind, cause LIKE 'rule %', released_by, release_reason FROM oms.hold_override WHERE order_id = $$ || :large,
	$$ VALUES ('amount', true, 'Eve', 'she is known') $$, 'the override is audited');
SELECT is(oms.judge_order(1, :large), 0::bigint, 'the same is not found again');
UPDATE oms.sales_order SET email = 'new@example.org' WHERE order_id = :large;
SELECT is(pg_temp.holds(:large), 'amount: more than 500', 'an order that is changed is judged anew');

-- Lists
INSERT INTO oms.block_list (merchant_id, kind, value, reason) VALUES (1, 'email', ' Bad@Example.org ', 'chargebacks'), (1, 'phone', '+49 (40) 123-4', NULL),
	(1, 'address', '{"street": "Linden-Allee 4", "postcode": "20 259", "country": "DE"}', 'drop point'), (1, 'token', 'tok_1', 'stolen');
INSERT INTO oms.block_list (merchant_id, kind, value, listed_until) VALUES (1, 'email', 'past@example.org', now() - interval '1 s');
SELECT set_eq('SELECT kind, value FROM oms.block_list WHERE listed_until IS NULL', $$ VALUES ('email', 'bad@example.org'), ('phone', '49401234'), ('address', 'linden allee 4|20259|de'), ('token', 'tok_1') $$,
	'values are kept as they are compared');
SELECT throws_ok($$ INSERT INTO oms.block_list (merchant_id, kind, value) VALUES (1, 'address', '{"country": "DE"}') $$, 'OM011', NULL, 'a country is no address');
SELECT is(pg_temp.holds(pg_temp.order('{"email": "BAD@example.org"}')), 'fraud: chargebacks', 'a listed e-mail is a hold');
SELECT is(pg_temp.holds(pg_temp.order('{"phone": "0049 40 1234"}')), 'fraud: phone is on the block list', 'a listed phone');
SELECT is(pg_temp.holds(pg_temp.order('{"ship_to": {"name": "X", "country": "DE"}, "bill_to": {"name": "Y", "street": "LINDEN ALLEE", "street2": "4", "postcode": "20259", "country": "DE"}}')),
	'fraud: drop point', 'a listed address, also where the bill goes');
SELECT is(pg_temp.holds(pg_temp.order('{"email": "past@example.org"}')), NULL, 'what is listed no more is not');
UPDATE oms.sales_order SET ship_to = '{"street": "Linden Allee 4", "postcode": "20259", "country": "DE"}' WHERE order_id = :small;
SELECT is(pg_temp.holds(:small), 'fraud: drop point', 'an address typed later is judged too');
SELECT oms.authorize(1, :home, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 10, 'ref', data => '{"token": "tok_1"}') \g /dev/null
SELECT is(pg_temp.holds(:home), 'fraud: stolen', 'a listed token');
DELETE FROM oms.hold_rule;
DELETE FROM oms.block_list;
SELECT pg_temp.place(1000) AS free \gset
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE order_id = :free), 'confirmed', 'without rules nothing is held');
SELECT throws_ok('DELETE FROM oms.order_finding', 'OM009', NULL, 'what was found stays');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
