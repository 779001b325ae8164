-- Approvals in levels: asked by amount, margin and company, decided in order by right, asked again past the limit.
BEGIN;
SELECT plan(60);

CREATE ROLE oms_t_lead;
CREATE ROLE oms_t_board;
SELECT oms.grant_role('oms_t_lead', 'clerk'), oms.grant_role('oms_t_board', 'finance') \g /dev/null
INSERT INTO oms.company (merchant_id, company_id, name) VALUES (1, 7, 'Acme');
INSERT INTO oms.customer (merchant_id, customer_id, company_id, name) VALUES (1, 7, 7, 'Ann');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 100000, 'opening') \g /dev/null
INSERT INTO oms.approval_level (merchant_id, level, name, condition, role_name) VALUES
	(1, 1, 'Lead', '$.total > 100', 'oms_t_lead'), (1, 2, 'Board', '$.total > 1000', 'oms_t_board'), (1, 3, 'Anybody', '$.company == 7', NULL);
SELECT throws_ok($$ INSERT INTO oms.approval_level (merchant_id, level, name, condition) VALUES (1, 9, 'x', '$.totl > 1') $$, 'OM011', NULL, 'conditions are checked');

CREATE FUNCTION pg_temp.place(price numeric, more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('lines', jsonb_build_array(jsonb_build_object('sku', 'A', 'quantity', 1, 'unit_price', price))) || more) $$;
CREATE FUNCTION pg_temp.states(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(level || ' ' || state || ' ' || round(total), ', ' ORDER BY approval_id) FROM oms.order_approval WHERE order_id = $1 $$;
CREATE FUNCTION pg_temp.life(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT lifecycle || CASE WHEN on_hold THEN ' held' ELSE '' END FROM oms.sales_order WHERE order_id = $1 $$;
SELECT pg_temp.place(100) AS small, pg_temp.place(500) AS mid, pg_temp.place(5000) AS large, pg_temp.place(5, '{"customer": 7}') AS acme \gset

-- Asked
SELECT is(pg_temp.life(:small), 'confirmed', 'below the limit nobody is asked');
SELECT is(pg_temp.life(:mid), 'placed held', 'above it the order waits');
SELECT is(pg_temp.states(:mid), '1 open 500', 'for one level');
SELECT is(pg_temp.states(:large), '1 open 5000, 2 open 5000', 'a large one for two');
SELECT is(pg_temp.states(:acme), '3 open 5', 'a company by itself');
SELECT results_eq($$ SELECT level, name, is_next FROM oms.approval_queue WHERE order_id = $$ || :large || ' ORDER BY level', $$ VALUES (1, 'Lead', true), (2, 'Board', false) $$, 'the queue says whose turn it is');
SELECT is((SELECT allocated FROM oms.order_line WHERE order_id = :large), 1, 'it has its stock meanwhile');

-- Decided by right and in order
SET LOCAL ROLE oms_t_board;
SELECT throws_ok(format('SELECT oms.approve_order(1, %s)', :large), '42501', NULL, 'the board may not decide for the lead');
SELECT throws_ok(format('SELECT oms.approve_order(1, %s, 2)', :large), 'OM008', NULL, 'nor before the lead');
SELECT throws_ok(format('SELECT oms.release_hold(1, %s, ''approval'')', :large), 'OM008', NULL, 'nor release the hold');
SET LOCAL ROLE oms_t_lead;
SELECT is(oms.approve_order(1, :large, 1, 'key', 'Leo', 'good customer'), 1, 'the lead approves, one level waits');
SELECT is(oms.approve_order(1, :large, 1, 'key', 'Leo', 'good customer'), 1, 'twice is once');
SELECT throws_ok(format('SELECT oms.approve_order(1, %s)', :large), '42501', NULL, 'the lead may not decide for the board');
SET LOCAL ROLE oms_t_board;
SELECT is(oms.approve_order(1, :large, actor => 'Bea'), 0, 'the board approves, none waits');
RESET ROLE;
SELECT is(pg_temp.life(:large), 'confirmed', 'the order goes on');
SELECT results_eq($$ SELECT level, state, decided_by, decided_role, reason FROM oms.order_approval WHERE order_id = $$ || :large || ' ORDER BY level',
	$$ VALUES (1, 'approved', 'Leo', 'oms_t_lead', 'good customer'), (2, 'approved', 'Bea', 'oms_t_board', NULL) $$, 'who approved, as what and why');
SELECT is((SELECT count(*) FROM oms.event WHERE order_id = :large AND type = 'order.approved'), 2::bigint, 'each is an event');
SELECT throws_ok(format('SELECT oms.approve_order(1, %s)', :large), 'OM008', NULL, 'nothing is left to approve');
SELECT throws_ok('SELECT oms.approve_order(1, 987654)', 'OM002', NULL, 'nor of an unknown order');

-- Rejected: held until edited
SELECT throws_ok(format('SELECT oms.reject_order(1, %s)', :mid), 'OM011', NULL, 'a rejection needs a reason');
SELECT is(oms.reject_order(1, :mid, reason => 'too dear'), 1, 'rejected');
SELECT is(pg_temp.states(:mid), '1 rejected 500', 'it is kept');
SELECT throws_ok(format('SELECT oms.approve_order(1, %s)', :mid), 'OM008', NULL, 'and is not approved after all');
SELECT throws_ok(format('SELECT oms.release_hold(1, %s, ''approval'')', :mid), 'OM008', NULL, 'nor released');
SELECT oms.edit_order(1, :mid, '[{"action": "price", "line": 1, "unit_price": "400"}]') \g /dev/null
SELECT oms.confirm_edit(1, :mid) \g /dev/null
SELECT is(pg_temp.states(:mid), '1 withdrawn 500, 1 open 400', 'an edit asks anew');
SELECT is(oms.approve_order(1, :mid), 0, 'and is approved');
SELECT is(pg_temp.life(:mid), 'confirmed', 'so that it goes on');

-- An edit past what was approved asks again; one below does not
SELECT oms.edit_order(1, :mid, '[{"action": "price", "line": 1, "unit_price": "300"}]'), oms.confirm_edit(1, :mid) \g /dev/null
SELECT is(pg_temp.life(:mid), 'confirmed', 'cheaper is covered');
SELECT oms.edit_order(1, :mid, '[{"action": "price", "line": 1, "unit_price": "400"}]'), oms.confirm_edit(1, :mid) \g /dev/null
SELECT is(pg_temp.life(:mid), 'confirmed', 'as much as approved is covered');
SELECT oms.edit_order(1, :mid, '[{"action": "price", "line": 1, "unit_price": "401"}]'), oms.confirm_edit(1, :mid) \g /dev/null
SELECT is(pg_temp.life(:mid), 'confirmed held', 'more is held');
SELECT is(pg_temp.states(:mid), '1 withdrawn 500, 1 approved 400, 1 open 401', 'and asked for');
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', :mid), 'OM005', NULL, 'it does not ship');
SELECT oms.edit_order(1, :mid, '[{"action": "price", "line": 1, "unit_price": "90"}]'), oms.confirm_edit(1, :mid) \g /dev/null
SELECT is(pg_temp.life(:mid), 'confirmed', 'back below the limit it is free');
SELECT oms.edit_order(1, :small, '[{"action": "price", "line": 1, "unit_price": "100.01"}]'), oms.confirm_edit(1, :small) \g /dev/null
SELECT is(pg_temp.states(:small), '1 open 100', 'an order that never needed it needs it now');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Split into parts an order is as large as it was: no part falls below a limit, and what was approved covers them
UPDATE oms.approval_level SET active = level = 1;
SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 2, "unit_price": "45"}]}') AS o \gset
SELECT oms.split_order(1, :o, '[{"line": 1, "quantity": 1}]') AS part \gset
SELECT is(pg_temp.life(:o) || ', ' || pg_temp.life(:part), 'confirmed, confirmed', 'below the limit, whole or in parts');
SELECT oms.edit_order(1, :o, '[{"action": "price", "line": 1, "unit_price": "54"}]'), oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.life(:o), 'confirmed', 'both parts together do not pass it');
SELECT oms.edit_order(1, :part, '[{"action": "price", "line": 1, "unit_price": "47"}]'), oms.confirm_edit(1, :part) \g /dev/null
SELECT is(pg_temp.life(:part), 'confirmed held', 'now they do, though neither does by itself');
SELECT is(pg_temp.states(:part), '1 open 101', 'asked for what they come to');
SELECT is(oms.approve_order(1, :part), 0, 'and approved');
SELECT oms.edit_order(1, :o, '[{"action": "price", "line": 1, "unit_price": "53"}]'), oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.life(:o), 'confirmed', 'for all parts');
SELECT oms.cancel_order(1, :part), oms.edit_order(1, :o, '[{"action": "price", "line": 1, "unit_price": "100"}]'), oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.life(:o), 'confirmed', 'a cancelled part counts no more');
SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 4, "unit_price": "100"}]}') AS o \gset
SELECT is(oms.approve_order(1, :o), 0, 'a large order is approved');
SELECT oms.split_order(1, :o, '[{"line": 1, "quantity": 2}]') AS part \gset
SELECT oms.split_order(1, :part, '[{"line": 1, "quantity": 1}]') AS part2 \gset
SELECT is(concat_ws(', ', pg_temp.life(:o), pg_temp.life(:part), pg_temp.life(:part2)), 'confirmed, confirmed, confirmed', 'and its parts with it');
SELECT oms.edit_order(1, :part2, '[{"action": "price", "line": 1, "unit_price": "101"}]'), oms.confirm_edit(1, :part2) \g /dev/null
SELECT is(pg_temp.states(:part2), '1 open 401', 'a part that makes the whole more than that is asked for');
SELECT oms.place_order(1, '{"customer": 7, "lines": [{"sku": "A", "quantity": 1, "unit_price": "60"}]}') AS a, oms.place_order(1, '{"customer": 7, "lines": [{"sku": "A", "quantity": 1, "unit_price": "30"}]}') AS b,
	oms.place_order(1, '{"customer": 7, "lines": [{"sku": "A", "quantity": 1, "unit_price": "20"}]}') AS c \gset
SELECT oms.merge_orders(1, :a, ARRAY[:b, :c]) \g /dev/null
SELECT is(pg_temp.life(:a) || ' ' || pg_temp.states(:a), 'confirmed held 1 open 110', 'orders merged past the limit are asked for, for what they come to');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- By margin
UPDATE oms.approval_level SET active = false;
INSERT INTO oms.approval_level (merchant_id, level, name, condition) VALUES (1, 4, 'Margin', '$.margin < 0.2');
INSERT INTO oms.item_costing VALUES (1, 2, 'average');
SELECT oms.receive_stock(1, 2, 1, 100, 'receipt', unit_cost => 8) \g /dev/null
SELECT oms.place_order(1, '{"lines": [{"sku": "B", "quantity": 1, "unit_price": "10"}]}') AS good, oms.place_order(1, '{"lines": [{"sku": "B", "quantity": 1, "unit_price": "9.99"}]}') AS poor \gset
SELECT is(pg_temp.states(:good), NULL, 'a margin that reaches it');
SELECT is(pg_temp.states(:poor), '4 open 10', 'and one that does not');
SELECT is((SELECT margin FROM oms.order_approval WHERE order_id = :poor), 0.1992, 'the margin is kept');

-- Automatic
UPDATE oms.approval_level SET active = false;
INSERT INTO oms.approval_level (merchant_id, level, name, condition, automatic) VALUES (1, 5, 'Paid', '$.total > 50', true);
SELECT pg_temp.place(60) AS a, pg_temp.place(60) AS b \gset
SELECT oms.hold(1, :b, 'manual', 'look') \g /dev/null
SELECT is(pg_temp.life(:a), 'placed held', 'it waits for its money');
SELECT oms.authorize(1, :a, 'card') AS p, oms.authorize(1, :b, 'card') AS q \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 60, 'ra'), oms.record_payment_event(1, :q, 'authorized', 60, 'rb') \g /dev/null
SELECT is(pg_temp.life(:a), 'confirmed', 'funds that cover it approve it in the same transaction');
SELECT is((SELECT decided_by || ' ' || state FROM oms.order_approval WHERE order_id = :a), 'automatic approved', 'by itself');
SELECT is(pg_temp.life(:b), 'placed held', 'not while another hold is open');
SELECT oms.release_hold(1, :b, 'manual') \g /dev/null
SELECT is(pg_temp.life(:b), 'confirmed', 'but with its release');
SELECT oms.edit_order(1, :a, '[{"action": "price", "line": 1, "unit_price": "61"}]'), oms.confirm_edit(1, :a) \g /dev/null
SELECT is(pg_temp.life(:a), 'confirmed held', 'what was approved once is approved by people then');
SELECT throws_ok('DELETE FROM oms.order_approval', 'OM009', NULL, 'no row goes by hand');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- A fault is named
SET LOCAL session_replication_role = replica;
UPDATE oms.order_hold SET released_at = now(), released_by = 'x' WHERE order_id = :a AND kind = 'approval' AND released_at IS NULL;
SET LOCAL session_replication_role = origin;
SELECT ok(EXISTS (SELECT 1 FROM oms.verify(1) WHERE rule = 'approval_is_held' AND object = format('order %s', :a)), 'verify names an approval without hold');
SELECT * FROM finish();
ROLLBACK;
