-- Holds on orders: types with their steps and the right to release, several at once, and what is blocked by which.
BEGIN;
SELECT plan(20);

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
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
