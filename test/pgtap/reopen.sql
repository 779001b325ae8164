-- Closed orders that go on: which units come back, with which promises and money, and who may.
BEGIN;
SELECT plan(65);

INSERT INTO oms.customer (merchant_id, customer_id, name, email) VALUES (1, 1, 'Ann', 'ann@example.com');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 2, 2);
SELECT oms.receive_stock(1, 1, 1, 10, 'opening'), oms.receive_stock(1, 2, 1, 10, 'opening') \g /dev/null
INSERT INTO oms.message_template (merchant_id, kind, subject, body) VALUES (1, 'cancellation', 'Cancelled', 'Sorry');
CREATE FUNCTION pg_temp.place(more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, '{"channel": 1, "customer": 1, "discount": "1.01", "shipping": "4.90", "shipping_tax_rate": "0.19",
		"lines": [{"sku": "A", "quantity": 3, "unit_price": "9.99", "tax_rate": "0.19"}, {"sku": "K", "quantity": 2, "unit_price": "5", "tax_rate": "0.07"}]}'::jsonb || more) $$;
CREATE FUNCTION pg_temp.state(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', lifecycle, payment_state, fulfilment_state, total - cancelled_total) FROM oms.sales_order WHERE order_id = o $$;
CREATE FUNCTION pg_temp.lines(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(line_no || ':' || ordered || '-' || cancelled || '/' || allocated || '+' || backordered || '>' || shipped, ' ' ORDER BY line_no) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.free() RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', oms.available(1, 1), oms.available(1, 2)) $$;
CREATE FUNCTION pg_temp.said(o bigint) RETURNS text LANGUAGE sql AS $$ SELECT coalesce(reason, 'allowed') FROM oms.allowed_actions(1, o) WHERE action = 'reopen_order' $$;

-- A cancelled order
SELECT pg_temp.place() AS o \gset
SELECT oms.cancel_line(1, :o, 1, 1, reason => 'two will do') \g /dev/null
SELECT pg_temp.state(:o) AS state, pg_temp.lines(:o) AS lines, pg_temp.free() AS free \gset
SELECT is(pg_temp.said(:o), 'the order is confirmed', 'an open order is not reopened');
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, reason => ''x'')', :o), 'OM008', NULL, 'nor by the command');
SELECT oms.cancel_order(1, :o, reason => 'changed her mind') \g /dev/null
SELECT is(pg_temp.free(), '10 10', 'its stock is free');
SELECT is((SELECT lines::text || quantities::text FROM oms.order_cancellation WHERE order_id = :o AND line_no IS NULL), '{1,2}{2,2}', 'the cancellation says what it took');
SELECT is(pg_temp.said(:o), 'allowed', 'it may be reopened');
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s)', :o), 'OM011', NULL, 'with a reason');
SELECT throws_ok(format('UPDATE oms.sales_order SET lifecycle = ''placed'' WHERE order_id = %s', :o), 'OM004', NULL, 'not by hand');
SELECT throws_ok(format('SELECT oms.transition(1, %s, ''placed'')', :o), 'OM004', NULL, 'nor by transition()');
SELECT is(oms.reopen_order(1, :o, request_key => 'again', actor => 'Cal', reason => 'wants it after all'), :o::bigint, 'reopened');
SELECT is(oms.reopen_order(1, :o, request_key => 'again', actor => 'Cal', reason => 'wants it after all'), :o::bigint, 'twice is once');
SELECT is(pg_temp.state(:o), :'state', 'all is as before');
SELECT is(pg_temp.lines(:o), :'lines', 'but for the unit that was cancelled before, which stays so');
SELECT is(pg_temp.free(), :'free', 'with promises, of kits too');
SELECT is((SELECT string_agg(concat_ws(' ', type, data ->> 'from', data ->> 'to', actor, reason), ', ' ORDER BY event_id) FROM oms.event WHERE order_id = :o AND type = 'order.reopened'),
	'order.reopened cancelled placed Cal wants it after all', 'an event says who and why');
SELECT is((SELECT concat_ws(' ', lifecycle_before, lines, quantities, amount, actor, reason) FROM oms.order_reopening WHERE order_id = :o),
	'cancelled {1,2} {2,2} ' || split_part(:'state', ' ', 4) || ' Cal wants it after all', 'and a row what it is worth');
SELECT is((SELECT count(*) FROM oms.message WHERE order_id = :o AND kind = 'cancellation'), 1::bigint, 'the customer was told of the cancellation');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT is((SELECT count(*) FROM oms.message WHERE order_id = :o AND kind = 'cancellation'), 2::bigint, 'and is told of the next');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Stock that has gone: refused whole, or waited for
SELECT pg_temp.place('{"lines": [{"sku": "A", "quantity": 8, "unit_price": "1"}]}') AS other \gset
SELECT pg_temp.lines(:o) AS lines \gset
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, ''[{"line": 1, "quantity": 3}]'', reason => ''x'')', :o), 'OM001', NULL, 'not enough for all: refused');
SELECT is(pg_temp.lines(:o) || ' ' || pg_temp.state(:o), :'lines' || ' cancelled none unfulfilled 0.00', 'whole');
SELECT lives_ok(format('SELECT oms.reopen_order(1, %s, ''[{"line": 1, "quantity": 3}]'', ''backorder'', reason => ''x'')', :o), 'unless it may wait');
SELECT is(pg_temp.lines(:o), '1:3-0/2+1>0 2:2-2/0+0>0', 'two promised, one backordered, the other line stays cancelled');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT lives_ok(format('SELECT oms.reopen_order(1, %s, allocation => ''none'', reason => ''x'')', :o), 'or is to have no stock now');
SELECT is(pg_temp.lines(:o), '1:3-0/0+0>0 2:2-2/0+0>0', 'none then');
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, allocation => ''some'', reason => ''x'')', :o), 'OM011', NULL, 'nothing else');
SELECT oms.cancel_order(1, :other), oms.cancel_order(1, :o) \g /dev/null
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, ''[{"line": 1, "quantity": 4}]'', reason => ''x'')', :o), 'OM008', NULL, 'no more units than are cancelled');
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, ''[{"line": 7, "quantity": 1}]'', reason => ''x'')', :o), 'OM008', NULL, 'nor of a line that is not there');
SELECT throws_ok('SELECT oms.reopen_order(1, 987654321, reason => ''x'')', 'OM002', NULL, 'nor of an order');

-- Money: what was voided or refunded is due again, and is given back again with its tax
SELECT pg_temp.place() AS o \gset
SELECT total AS total, tax AS tax FROM oms.sales_order WHERE order_id = :o \gset
SELECT oms.record_payment_event(1, NULL, 'captured', :total, 'c1', gateway => 'g', gateway_reference => 'P1', order_id => :o) AS p \gset
SELECT is(pg_temp.state(:o), 'confirmed paid unfulfilled ' || :'total', 'paid');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT oms.record_payment_event(1, :p, 'refunded', :total, 'r1') \g /dev/null
SELECT oms.reopen_order(1, :o, reason => 'x') \g /dev/null
SELECT is((SELECT due FROM oms.payment_balance WHERE order_id = :o), :total, 'after its refund all is due again');
SELECT is((SELECT payment_state FROM oms.sales_order WHERE order_id = :o), 'refunded', 'and what was paid is said to be refunded');
SELECT oms.record_payment_event(1, NULL, 'captured', :total, 'c2', gateway => 'g', gateway_reference => 'P2', order_id => :o) \g /dev/null
SELECT is((SELECT due FROM oms.payment_balance WHERE order_id = :o), 0.00, 'paid again');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT results_eq(format('SELECT amount, tax FROM oms.refund WHERE order_id = %s', :o), format('VALUES (%s, %s), (%1$s, %2$s)', :total, :tax), 'each refund has the whole tax');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT pg_temp.place() AS o \gset
SELECT oms.record_payment_event(1, NULL, 'authorized', :total, 'a1', gateway => 'g', gateway_reference => 'P3', order_id => :o) \g /dev/null
SELECT oms.cancel_order(1, :o), oms.reopen_order(1, :o, reason => 'x') \g /dev/null
SELECT is((SELECT capturable || ' ' || due FROM oms.payment_balance WHERE order_id = :o), '0.00 ' || :'total', 'an authorization that is being voided covers nothing');
SELECT is((SELECT count(*) FROM oms.task WHERE kind = 'void' AND order_id = :o), 1::bigint, 'and is voided');

-- A completed order: the units that were given up
SELECT pg_temp.place('{"allocation": "backorder", "lines": [{"sku": "A", "quantity": 12, "unit_price": "1"}]}') AS o \gset
SELECT allocated AS there FROM oms.order_line WHERE order_id = :o \gset
SELECT count(oms.ship_order(1, :o)) FROM generate_series(1, 1) \g /dev/null
SELECT is(pg_temp.said(:o), 'the order is confirmed', 'the rest is waited for');
SELECT oms.cancel_line(1, :o, 1, reason => 'never mind') \g /dev/null
SELECT is(split_part(pg_temp.state(:o), ' ', 1), 'completed', 'given up, the order is completed');
SELECT is(pg_temp.said(:o), 'allowed', 'it may be reopened');
SELECT oms.reopen_order(1, :o, allocation => 'backorder', reason => 'the next delivery is here') \g /dev/null
SELECT is(pg_temp.state(:o), 'confirmed none partial 15.89', 'it is confirmed, and shipped in part');
SELECT is((SELECT backordered FROM oms.order_line WHERE order_id = :o), 12 - :there, 'its rest is backordered');
SELECT oms.receive_stock(1, 2, 1, 100, 'delivery'), oms.receive_stock(1, 1, 1, 50, 'delivery'), oms.allocate_backorders(1) \g /dev/null
SELECT count(oms.ship_order(1, :o)) FROM generate_series(1, 1) \g /dev/null
SELECT is(pg_temp.state(:o), 'completed none fulfilled 15.89', 'and ships');
SELECT is(pg_temp.said(:o), format('of line 1 0 units are cancelled, not %s', 12 - :there), 'once more there is nothing to bring back');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What is in the way
SELECT pg_temp.place() AS o \gset
SELECT oms.cancel_line(1, :o, 1, 1, discount_policy => 'keep'), oms.cancel_line(1, :o, 1, 2), oms.cancel_line(1, :o, 2, 2) \g /dev/null
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, ''[{"line": 1, "quantity": 2}]'', reason => ''x'')', :o), 'OM008', NULL, 'units whose discount others have');
SELECT lives_ok(format('SELECT oms.reopen_order(1, %s, ''[{"line": 2, "quantity": 2}]'', reason => ''x'')', :o), 'others may');
SELECT pg_temp.place() AS a, pg_temp.place() AS b \gset
SELECT oms.merge_orders(1, :a, ARRAY[:b]) \g /dev/null
SELECT is(pg_temp.said(:b), format('it was merged into order %s', :a), 'an order that lives on in another');
SELECT oms.hold(1, :a, 'stop', blocks => '{edit}'), oms.cancel_order(1, :a) \g /dev/null
SELECT is(pg_temp.said(:a), 'held by stop', 'a hold that blocks edits');
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, reason => ''x'')', :a), 'OM005', NULL, 'is met');
SELECT pg_temp.place() AS i \gset
SELECT oms.issue_invoice(1, :i) AS invoice \gset
SELECT oms.record_payment_event(1, NULL, 'captured', :total, 'c4', gateway => 'g', gateway_reference => 'P4', order_id => :i) \g /dev/null
SELECT oms.cancel_order(1, :i) \g /dev/null
SELECT is(pg_temp.said(:i), 'allowed', 'an invoice that stands covers the units when they come back');
SELECT oms.issue_credit_note(1, :i) \g /dev/null
SELECT matches(pg_temp.said(:i), 'was invoiced and credited', 'one that was credited does not');

-- Who may, and whether at all
SELECT pg_temp.place() AS o \gset
SELECT oms.cancel_order(1, :o) \g /dev/null
CREATE ROLE oms_t_chief;
CREATE ROLE oms_t_clerk;
SELECT oms.grant_role('oms_t_chief', 'clerk'), oms.grant_role('oms_t_clerk', 'clerk'), oms.set_setting(1, 'reopen_role', 'oms_t_chief') \g /dev/null
SET LOCAL ROLE oms_t_clerk;
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, reason => ''x'')', :o), '42501', NULL, 'who is not of the role may not');
SET LOCAL ROLE oms_t_chief;
SELECT lives_ok(format('SELECT oms.reopen_order(1, %s, reason => ''x'')', :o), 'who is may');
RESET ROLE;
SELECT oms.set_setting(1, 'reopen_role', ''), oms.cancel_order(1, :o) \g /dev/null
DELETE FROM oms.transition WHERE merchant_id = 1 AND action = 'reopen';
SELECT is(pg_temp.said(:o), 'oms.transition has no way from cancelled', 'without the transition none may');
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, reason => ''x'')', :o), 'OM004', NULL, 'as it is said');
INSERT INTO oms.transition SELECT 1, * FROM oms.core_transition WHERE action = 'reopen';

-- An expired order has as long again
INSERT INTO oms.unpaid_policy (merchant_id, valid_from, minutes) VALUES (1, '2020-01-01', 30);
SELECT pg_temp.place('{"placed_at": "2021-01-01T00:00:00Z"}') AS o \gset
SELECT count(*) FROM oms.expire_orders(1, 10, '100 years') \g /dev/null
SELECT is(split_part(pg_temp.state(:o), ' ', 1), 'cancelled', 'expired unpaid');
SELECT oms.reopen_order(1, :o, reason => 'pays tomorrow') \g /dev/null
SELECT is((SELECT deadline FROM oms.unpaid_order WHERE order_id = :o), oms.clock() + interval '30 minutes', 'it is to be paid by a new instant');
DELETE FROM oms.unpaid_policy;

-- Judged like a new one
SELECT oms.cancel_order(1, :o) \g /dev/null
INSERT INTO oms.approval_level (merchant_id, level, name, condition) VALUES (1, 1, 'Lead', '$.total > 10');
SELECT oms.reopen_order(1, :o, reason => 'x') \g /dev/null
SELECT is((SELECT lifecycle || ' ' || on_hold FROM oms.sales_order WHERE order_id = :o), 'placed true', 'a level that is there by now is asked for');
UPDATE oms.approval_level SET active = false;

-- With a workflow of the merchant's
SELECT oms.define_workflow(1, '{"name": "w", "states": [{"state": "new", "core": "placed"}, {"state": "ready", "core": "confirmed"}, {"state": "sent", "core": "completed"}, {"state": "off", "core": "cancelled"}, {"state": "dead", "core": "cancelled"}],
	"transitions": [{"from": "new", "to": "ready", "action": "confirm"}, {"from": "ready", "to": "sent", "action": "complete"}, {"from": "ready", "to": "off", "action": "cancel"}, {"from": "new", "to": "dead", "action": "cancel"},
		{"from": "off", "to": "new", "action": "revive"}]}') AS w \gset
SELECT oms.activate_workflow(1, :w) \g /dev/null
SELECT pg_temp.place() AS o, pg_temp.place('{"confirm": false}') AS d \gset
SELECT oms.cancel_order(1, :o), oms.cancel_order(1, :d) \g /dev/null
SELECT results_eq(format('SELECT action, allowed FROM oms.allowed_actions(1, %s) WHERE action IN (''revive'', ''reopen_order'') ORDER BY 1', :o), $$ VALUES ('reopen_order', true), ('revive', false) $$, 'its transition is taken by reopen_order() alone');
SELECT throws_ok(format('SELECT oms.perform_action(1, %s, ''revive'')', :o), 'OM004', NULL, 'not by itself');
SELECT oms.reopen_order(1, :o, reason => 'x') \g /dev/null
SELECT is((SELECT state || ' ' || lifecycle FROM oms.sales_order WHERE order_id = :o), 'ready confirmed', 'along it, and confirmed');
SELECT isnt(pg_temp.said(:d), 'allowed', 'a state without a way back is final');
SELECT throws_ok(format('SELECT oms.reopen_order(1, %s, reason => ''x'')', :d), 'OM004', NULL, 'as it is said');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Written by the command alone
SELECT throws_ok('DELETE FROM oms.order_reopening', 'OM009', NULL, 'reopenings are kept');
SELECT * FROM finish();
ROLLBACK;
