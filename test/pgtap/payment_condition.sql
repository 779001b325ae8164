-- Shipped only when paid: the chain exempt, terms, deposit, channel, told as rows; deposits; and no way around it.
BEGIN;
SELECT plan(62);
SET LOCAL oms.test_clock = '2026-03-01 12:00+00';

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
INSERT INTO oms.company (merchant_id, company_id, name) VALUES (1, 1, 'ACME');
INSERT INTO oms.customer (merchant_id, customer_id, name, company_id) VALUES (1, 1, 'Ann', NULL), (1, 2, 'Bob', 1), (1, 3, 'Cid', NULL);
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(customer int DEFAULT NULL, price text DEFAULT '50', quantity int DEFAULT 2) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_strip_nulls(jsonb_build_object('channel', 1, 'customer', customer,
		'lines', jsonb_build_array(jsonb_build_object('item', 1, 'quantity', quantity, 'unit_price', price))))) $$;
CREATE FUNCTION pg_temp.pay(o bigint, amount numeric) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.record_payment_event(1, NULL, 'captured', amount, 'c' || o || amount, gateway => 'g', gateway_reference => 'p' || o || amount, order_id => o) $$;
CREATE FUNCTION pg_temp.chain(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(step || ' ' || verdict || CASE WHEN decides THEN '!' ELSE '' END, ', ') FROM oms.explain_payment(1, o) $$;
CREATE FUNCTION pg_temp.why(o bigint) RETURNS text LANGUAGE sql AS $$ SELECT reason FROM oms.explain_payment(1, o) WHERE decides $$;
CREATE FUNCTION pg_temp.waits(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(step, ' ' ORDER BY step), 'nothing') FROM oms.blocked_by(1, o) WHERE kind = 'payment' $$;
CREATE FUNCTION pg_temp.allowed(o bigint, what text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(reason, 'yes') FROM oms.allowed_actions(1, o) WHERE action = what $$;

-- No rules: nothing waits
SELECT pg_temp.place() AS o0 \gset
SELECT is(pg_temp.chain(:o0), 'exempt passes, terms passes, deposit passes, channel allows!', 'without rules the channel asks for nothing');
SELECT is(oms.awaits_payment(1, :o0, 'ship'), false, 'and nothing waits');
SELECT is(count(*), 0::bigint, 'of an order that is not there no rows') FROM oms.explain_payment(1, 4711);

-- The channel's rule
INSERT INTO oms.payment_condition (merchant_id, channel_id) VALUES (1, 1);
SELECT is(pg_temp.chain(:o0), 'exempt passes, terms passes, deposit passes, channel refuses!', 'a rule is in force at once');
SELECT is(pg_temp.why(:o0), '0 of 100.00 EUR are paid', 'with the amounts');
SELECT is(pg_temp.waits(:o0), 'ship', 'what is blocked is shown as a hold');
SELECT is((SELECT reason FROM oms.awaiting_payment WHERE merchant_id = 1 AND order_id = :o0), '0 of 100.00 EUR are paid', 'and listed');
SELECT is((SELECT on_hold FROM oms.sales_order WHERE order_id = :o0), false, 'though no row holds it');
SELECT is(pg_temp.allowed(:o0, 'ship_order'), 'held by payment', 'allowed_actions knows');
SELECT is(pg_temp.allowed(:o0, 'plan_fulfilment'), 'yes', 'picking may begin');
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', :o0), 'OM005', format('step "ship" of order %s waits for payment', :o0), 'it does not ship');
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :o0) \gset
SELECT oms.confirm_pick(1, :f), oms.pack(1, :f) \g /dev/null
SELECT is((SELECT allowed FROM oms.fulfilment_actions(1, :f) WHERE action = 'ship'), false, 'fulfilment_actions knows');
SELECT is((SELECT count(*) FROM oms.ready_to_ship WHERE order_id = :o0), 0::bigint, 'nobody is sent to ship it');
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM005', NULL, 'packed, it stays');
SELECT pg_temp.pay(:o0, 99.99) AS p0 \gset
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM005', NULL, 'a cent is missing');
SELECT pg_temp.pay(:o0, 0.01) \g /dev/null
SELECT is(pg_temp.waits(:o0), 'nothing', 'the cent comes: it goes on by itself');
SELECT is((SELECT count(*) FROM oms.ready_to_ship WHERE order_id = :o0), 1::bigint, 'and is work');
SELECT lives_ok(format('SELECT oms.ship(1, %s)', :f), 'it ships');

-- No way around: the guard on the lines, whoever writes
SELECT pg_temp.place() AS o1 \gset
SELECT throws_ok(format('UPDATE oms.order_line SET picked = 2, packed = 2, shipped = 2, allocated = 0 WHERE order_id = %s', :o1), 'OM009', NULL, 'hand-typed counters are refused');
SELECT throws_ok(format('SELECT oms.complete_services(1, %s)', :o1), 'OM005', NULL, 'services are shipped as well');
SELECT throws_ok(format('INSERT INTO oms.payment_waiver VALUES (1, %s, now(), ''me'', ''me'', NULL)', :o1), 'OM009', NULL, 'nobody types a waiver');

-- Authorized is enough, where it is
UPDATE oms.payment_condition SET needs = 'authorized', before = 'pick' WHERE merchant_id = 1;
SELECT is(pg_temp.waits(:o1), 'pick ship', 'picking waits too');
SELECT is((SELECT count(*) FROM oms.ready_to_plan WHERE order_id = :o1), 0::bigint, 'nobody is sent to plan it');
SELECT throws_ok(format('SELECT oms.plan_fulfilment(1, %s)', :o1), 'OM005', NULL, 'nor is it planned');
SELECT oms.authorize(1, :o1, 'card', gateway => 'g') AS p1 \gset
SELECT is(pg_temp.waits(:o1), 'pick ship', 'asked for is not authorized');
SELECT oms.record_payment_event(1, :p1, 'authorized', 100, 'a1') \g /dev/null
SELECT is(pg_temp.waits(:o1), 'nothing', 'authorized is');
SELECT is(pg_temp.why(:o1), '100.00 of 100.00 EUR are paid or authorized', 'and it says so');
SELECT fulfilment_id AS f1 FROM oms.plan_fulfilment(1, :o1) \gset
SELECT oms.void(1, :p1) \g /dev/null
SELECT throws_ok(format('SELECT oms.confirm_pick(1, %s)', :f1), 'OM005', NULL, 'given up: it waits again');
SELECT is((SELECT state FROM oms.fulfilment WHERE fulfilment_id = :f1), 'planned', 'but nothing that was done is undone');
SELECT is(pg_temp.allowed(:o1, 'release_hold'), 'yes', 'it may be let through');

-- Let through by hand, by who has the right
CREATE ROLE oms_test_cashier;
INSERT INTO oms.hold_type (merchant_id, kind, release_role, reason_required) VALUES (1, 'payment', 'oms_test_cashier', true);
SELECT throws_ok(format('SELECT oms.release_hold(1, %s, ''payment'')', :o1), 'OM011', NULL, 'a reason is needed');
SELECT is(oms.release_hold(1, :o1, 'payment', 'Ann', 'a friend'), true, 'released');
SELECT is(pg_temp.chain(:o1), 'exempt allows!, terms passes, deposit passes, channel refuses', 'the order is exempt');
SELECT is(pg_temp.why(:o1), 'waived by Ann: a friend', 'by whom and why');
SELECT is((SELECT data ->> 'kind' || ' ' || actor || ' ' || reason FROM oms.event WHERE order_id = :o1 AND type = 'order.released'), 'payment Ann a friend', 'and its timeline tells');
SELECT is(oms.release_hold(1, :o1, 'payment', 'Ann', 'once more'), false, 'once');
SELECT lives_ok(format('SELECT oms.ship_order(1, %s)', :o1), 'it ships unpaid');
DELETE FROM oms.hold_type WHERE merchant_id = 1;

-- Exempt customers and companies
INSERT INTO oms.payment_exemption (merchant_id, customer_id, valid_until, reason) VALUES (1, 1, '2026-03-02 00:00+00', 'staff');
INSERT INTO oms.payment_exemption (merchant_id, company_id) VALUES (1, 1);
SELECT pg_temp.place(1) AS o2 \gset
SELECT is(pg_temp.why(:o2), 'its customer is exempt: staff', 'an exempt customer');
SELECT is(pg_temp.why(pg_temp.place(2)), 'its company is exempt', 'an exempt company');
SELECT is(pg_temp.waits(pg_temp.place(3)), 'pick ship', 'others are not');
SET LOCAL oms.test_clock = '2026-03-02 00:00+00';
SELECT is(pg_temp.waits(:o2), 'pick ship', 'until the last instant');
DELETE FROM oms.payment_exemption;

-- Credit, and terms
INSERT INTO oms.buyer_account (merchant_id, customer_id, credit_limit, currency) VALUES (1, 3, 1000, 'EUR');
SELECT pg_temp.place(3) AS o3 \gset
SELECT is(pg_temp.chain(:o3), 'exempt passes, terms allows!, deposit passes, channel refuses', 'within its credit');
INSERT INTO oms.payment_term VALUES (1, 'net30', 'Net 30'), (1, 'deposit', '30 in advance, the rest a month later'), (1, 'third', 'A third in advance'), (1, 'all', 'All of it, fixed');
INSERT INTO oms.payment_term_part (merchant_id, code, part_no, event, share, days, amount, required_before) VALUES
	(1, 'net30', 1, 'placed', 1, 30, NULL, NULL), (1, 'deposit', 1, 'placed', 1, 0, 30, 'ship'), (1, 'deposit', 2, 'placed', 1, 30, NULL, NULL),
	(1, 'third', 1, 'placed', 1, 0, NULL, 'ship'), (1, 'third', 2, 'invoiced', 2, 30, NULL, NULL), (1, 'all', 1, 'placed', 1, 0, 30, NULL);
SELECT throws_ok($$INSERT INTO oms.payment_term_part (merchant_id, code, part_no, event, share, required_before) VALUES (1, 'net30', 2, 'invoiced', 1, 'ship')$$, '23514', NULL, 'a deposit is due at once');
SELECT pg_temp.place() AS o4 \gset
SELECT oms.set_terms(1, :o4, 'net30') \g /dev/null
SELECT is(pg_temp.chain(:o4), 'exempt passes, terms allows!, deposit passes, channel refuses', 'terms give credit');
SET LOCAL oms.test_clock = '2026-05-01 00:00+00';
SELECT is(pg_temp.why(:o4), '0 of 100.00 EUR are paid or authorized', 'until something is overdue');
SET LOCAL oms.test_clock = '2026-03-02 00:00+00';

-- A deposit stops the order until it is received; the rest falls due later
SELECT pg_temp.place() AS o5 \gset
SELECT oms.set_terms(1, :o5, 'deposit') \g /dev/null
SELECT is((SELECT string_agg(part_no || ' ' || amount || ' by ' || due_on, ', ' ORDER BY part_no) FROM oms.payment_due WHERE order_id = :o5), '1 30.00 by 2026-03-02, 2 70.00 by 2026-04-01', 'a fixed amount, and the rest');
SELECT is(pg_temp.chain(:o5), 'exempt passes, terms passes, deposit refuses!, channel refuses', 'it waits for the deposit');
SELECT is(pg_temp.waits(:o5), 'ship', 'as its terms say');
SELECT pg_temp.pay(:o5, 29.98) \g /dev/null
SELECT is(pg_temp.why(:o5), '29.98 of a deposit of 30.00 EUR are received', 'two cents are missing');
SELECT pg_temp.pay(:o5, 0.02) \g /dev/null
SELECT is(pg_temp.chain(:o5), 'exempt passes, terms passes, deposit allows!, channel refuses', 'received');
SELECT lives_ok(format('SELECT oms.ship_order(1, %s)', :o5), 'it ships');
SELECT is((SELECT open FROM oms.payment_due WHERE order_id = :o5 AND part_no = 2), 70.00, 'the rest is open');
SELECT pg_temp.place(NULL, '10') AS o6 \gset
SELECT oms.set_terms(1, :o6, 'deposit') \g /dev/null
SELECT is((SELECT string_agg(amount::text, ' ' ORDER BY part_no) FROM oms.payment_due WHERE order_id = :o6), '20.00 0.00', 'never more than is owed');
SELECT pg_temp.place() AS o7 \gset
SELECT oms.set_terms(1, :o7, 'all') \g /dev/null
SELECT is((SELECT sum(amount) FROM oms.payment_due WHERE order_id = :o7), 100.00, 'a fixed part alone is all');

-- Without rules of a channel, terms alone ask for their deposit; changed terms are for later orders
DELETE FROM oms.payment_condition;
SELECT pg_temp.place(NULL, '33.33', 3) AS o8 \gset
SELECT oms.set_terms(1, :o8, 'third') \g /dev/null
UPDATE oms.payment_term_part SET required_before = NULL WHERE code = 'third';
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', :o8), 'OM005', NULL, 'its deposit stays as it was agreed');
SELECT pg_temp.pay(:o8, 33.33) \g /dev/null
SELECT is(pg_temp.waits(:o8), 'nothing', 'a third of it');

-- Split: each part asks for its share, and has it
SELECT pg_temp.place(NULL, '33.34', 3) AS o9 \gset
SELECT oms.set_terms(1, :o9, 'deposit') \g /dev/null
SELECT pg_temp.pay(:o9, 30) \g /dev/null
SELECT oms.split_order(1, :o9, '[{"line": 1, "quantity": 1}]') AS o10 \gset
SELECT is(pg_temp.waits(:o9) || ', ' || pg_temp.waits(:o10), 'nothing, nothing', 'a deposit that was paid stays paid');
SELECT is((SELECT sum(amount) FROM oms.payment_due WHERE order_id IN (:o9, :o10) AND part_no = 1), 30.00, 'both sum to it');
SELECT pg_temp.place(NULL, '33.34', 3) AS o11 \gset
SELECT oms.set_terms(1, :o11, 'deposit') \g /dev/null
SELECT oms.split_order(1, :o11, '[{"line": 1, "quantity": 1}]') AS o12 \gset
SELECT is(pg_temp.waits(:o11) || ', ' || pg_temp.waits(:o12), 'ship, ship', 'splitting evades no deposit');

-- Deposits of a channel
INSERT INTO oms.payment_condition (merchant_id, channel_id, deposit_percent) VALUES (1, 1, 12.5);
SELECT pg_temp.place() AS o13 \gset
SELECT is(pg_temp.why(:o13), '0 of a deposit of 12.50 EUR are received', 'in percent');
UPDATE oms.payment_condition SET deposit_percent = NULL, deposit_amount = 500;
SELECT is(pg_temp.why(:o13), '0 of a deposit of 100.00 EUR are received', 'or an amount, at most what is owed');
SELECT is((SELECT string_agg(rule || ' ' || object || ' ' || expected || ' ' || found, '; ') FROM oms.verify(1)), NULL, 'and everything is sound');
SELECT * FROM finish();
ROLLBACK;
