-- Expiry of unpaid orders: by the instant, with and without a job, racing nothing but the clock; see expiry_race for sessions.
BEGIN;
SELECT plan(43);

INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 100, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, '{"channel": 1, "lines": [{"sku": "A", "quantity": 2, "unit_price": "50"}]}'::jsonb || more) $$;
CREATE FUNCTION pg_temp.state(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT lifecycle || ' ' || payment_state FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.events(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE merchant_id = 1 AND order_id = o $$;

-- Without a policy nothing expires
SET oms.test_clock = '2026-03-01 10:00:00+00';
SELECT pg_temp.place() AS old \gset
INSERT INTO oms.unpaid_policy (merchant_id, channel_id, valid_from, minutes) VALUES (1, 0, '2026-03-01 11:00:00+00', 30), (1, 1, '2026-03-01 12:00:00+00', 60);
SET oms.test_clock = '2026-03-01 11:30:00+00';
SELECT pg_temp.place() AS o \gset
SELECT results_eq('SELECT order_id, deadline FROM oms.unpaid_order', format($$ VALUES (%s::bigint, '2026-03-01 12:00:00+00'::timestamptz) $$, :o), 'the policy in force at placement, and none before');
SELECT is_empty('SELECT * FROM oms.expire_orders(1)', 'not yet');
SELECT throws_ok(format('SELECT oms.set_payment_deadline(1, %s, %L)', :old, '2026-03-02'), 'OM016', NULL, 'a channel without policy has no deadlines');

-- At the instant, with no job run
SET oms.test_clock = '2026-03-01 11:59:59.999999+00';
SELECT lives_ok(format('SELECT oms.set_payment_deadline(1, %s, %L)', :o, '2026-03-01 12:00:00+00'), 'a microsecond before it lives');
SET oms.test_clock = '2026-03-01 12:00:00+00';
SELECT throws_ok(format('SELECT oms.plan_fulfilment(1, %s)', :o), 'OM008', format('order %s has expired unpaid', :o), 'expired: not planned');
SELECT throws_ok(format('SELECT oms.set_payment_deadline(1, %s, NULL)', :o), 'OM008', NULL, 'nor revived');
SELECT throws_ok(format('SELECT oms.authorize(1, %s, %L)', :o, 'card'), 'OM007', NULL, 'nor paid: it owes nothing');
SELECT is(pg_temp.state(:o), 'confirmed none', 'a refused command leaves no trace');
SELECT results_eq('SELECT * FROM oms.expire_orders(1)', format($$ VALUES (%s::bigint, '2026-03-01 12:00:00+00'::timestamptz) $$, :o), 'the job cancels it');
SELECT is(pg_temp.state(:o), 'cancelled none', 'cancelled');
SELECT is(oms.available(1, 1, 1), 98::bigint, 'its stock is free');
SELECT is(pg_temp.events(:o), 'order.placed order.deadline_set order.expired order.cancelled', 'its timeline says so');
SELECT is_empty('SELECT * FROM oms.expire_orders(1)', 'once');

-- A payment that comes later is marked for return
SELECT oms.record_payment_event(1, NULL, 'captured', 100, 'late', gateway => 'bank', gateway_reference => 'T1', order_id => :o) AS p \gset
SELECT is((SELECT amount || ' ' || state FROM oms.refund WHERE order_id = :o), '100.00 requested', 'captured late: a refund is granted and asked for');
SELECT is((SELECT refund_pending FROM oms.payment WHERE payment_id = :p), 100.00, 'of that payment');
SELECT is(pg_temp.state(:o), 'cancelled paid', 'the order stays expired');
SELECT is(oms.record_payment_event(1, NULL, 'captured', 100, 'late', gateway => 'bank', gateway_reference => 'T1', order_id => :o), :p::bigint, 'told twice');
SELECT is((SELECT count(*) FROM oms.refund WHERE order_id = :o), 1::bigint, 'returned once');

-- The same where no job has run before
SET oms.test_clock = '2026-03-01 13:00:00+00';
SELECT pg_temp.place() AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SET oms.test_clock = '2026-03-01 14:00:00+00';
SELECT oms.record_payment_event(1, :p, 'authorized', 100, 'a1') \g /dev/null
SELECT is(pg_temp.state(:o), 'cancelled none', 'the payment finds the order expired, and cancels it');
SELECT is((SELECT void_pending FROM oms.payment WHERE payment_id = :p), 100.00, 'the authorization is given back');
SELECT is((SELECT expired_at FROM oms.order_deadline WHERE order_id = :o), '2026-03-01 14:00:00+00'::timestamptz, 'kept');
SET oms.test_clock = '2026-03-01 13:00:00+00';
SELECT pg_temp.place() AS o \gset
SET oms.test_clock = '2026-03-01 15:00:00+00';
SELECT oms.record_payment_event(1, NULL, 'captured', 100, 'c1', gateway => 'bank', gateway_reference => 'T2', order_id => :o) \g /dev/null
SELECT is(pg_temp.state(:o) || ' ' || (SELECT state FROM oms.refund WHERE order_id = :o), 'cancelled paid requested', 'so does captured money');

-- Who pays in time lives
SET oms.test_clock = '2026-03-01 13:00:00+00';
SELECT pg_temp.place() AS paid, pg_temp.place() AS part, pg_temp.place() AS held, pg_temp.place() AS longer, pg_temp.place() AS never, pg_temp.place() AS picked,
	pg_temp.place('{"confirm": false}') AS placed, pg_temp.place('{"lines": [{"sku": "A", "quantity": 1, "unit_price": "0"}]}') AS free \gset
SET oms.test_clock = '2026-03-01 13:59:00+00';
SELECT oms.record_payment_event(1, NULL, 'authorized', 100, 'x', gateway => 'card', gateway_reference => 'P1', order_id => :paid) AS paid_p,
	oms.record_payment_event(1, NULL, 'captured', 30, 'x', gateway => 'card', gateway_reference => 'P2', order_id => :part) AS part_p,
	oms.record_payment_event(1, NULL, 'authorized', 20, 'x', gateway => 'card', gateway_reference => 'P3', order_id => :part) AS part_q,
	oms.hold(1, :held, 'fraud', 'looked at', '{cancel}'), oms.set_payment_deadline(1, :longer, '2026-03-02 00:00:00+00'),
	oms.set_payment_deadline(1, :never, NULL) \gset
SELECT f AS f FROM oms.plan_fulfilment(1, :picked) f \gset
SELECT oms.confirm_pick(1, (SELECT fulfilment_id FROM oms.fulfilment WHERE order_id = :picked)) \g /dev/null
SET oms.test_clock = '2026-03-01 14:30:00+00';
SELECT throws_ok(format('SELECT oms.transition(1, %s, %L)', :placed, 'confirmed'), 'OM008', NULL, 'an expired order is not confirmed');
SELECT throws_ok(format('UPDATE oms.sales_order SET lifecycle = %L WHERE order_id = %s', 'confirmed', :placed), 'OM008', NULL, 'by no hand');
SELECT bag_eq('SELECT order_id FROM oms.expire_orders(1)', format('VALUES (%s::bigint), (%s::bigint)', :part, :placed), 'only who is not paid in full expires');
SELECT is(pg_temp.state(:paid), 'confirmed authorized', 'paid');
SELECT is(pg_temp.state(:held), 'confirmed none', 'held');
SELECT is(pg_temp.state(:free), 'confirmed paid', 'nothing to pay');
SELECT is(pg_temp.state(:picked), 'confirmed none', 'picked already');
SELECT is((SELECT void_pending FROM oms.payment WHERE payment_id = :part_q), 20.00, 'a part payment is voided');
SELECT is((SELECT refund_pending FROM oms.payment WHERE payment_id = :part_p), 30.00, 'or refunded');
SELECT oms.release_hold(1, :held, 'fraud') \g /dev/null
SELECT results_eq('SELECT order_id FROM oms.expire_orders(1)', format('VALUES (%s::bigint)', :held), 'once its hold is gone it expires');
SET oms.test_clock = '2026-03-02 00:00:00+00';
SELECT results_eq('SELECT order_id FROM oms.expire_orders(1)', format('VALUES (%s::bigint)', :longer), 'a deadline of its own');
SET oms.test_clock = '2026-06-01 00:00:00+00';
SELECT is_empty('SELECT order_id FROM oms.expire_orders(1, look_back => ''1 year'')', 'null is none');

-- How many, and how far back
SET oms.test_clock = '2026-07-01 00:00:00+00';
SELECT pg_temp.place() AS a, pg_temp.place() AS b \gset
SET oms.test_clock = '2026-07-20 00:00:00+00';
SELECT is_empty('SELECT order_id FROM oms.expire_orders(1)', 'orders older than look_back are not looked for');
SELECT results_eq('SELECT order_id FROM oms.expire_orders(1, 1, ''1 month'')', format('VALUES (%s::bigint)', :a), 'one at a time');
SELECT results_eq('SELECT order_id FROM oms.expire_orders(1, 1, ''1 month'')', format('VALUES (%s::bigint)', :b), 'earliest first');
SELECT throws_ok('SELECT oms.expire_orders(1, 0)', 'OM011', NULL, 'none at a time is refused');
SELECT throws_ok('INSERT INTO oms.order_deadline VALUES (1, 1, NULL, NULL)', 'OM009', NULL, 'deadlines are not typed');
SELECT throws_ok('INSERT INTO oms.unpaid_policy VALUES (1, 1, ''2027-01-01'', 0)', '23514', NULL, 'no time at all is refused');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What verify() sees
SET session_replication_role = replica;
UPDATE oms.sales_order SET lifecycle = 'confirmed' WHERE order_id = :b;
SELECT is((SELECT count(*) FROM oms.verify(1) WHERE rule = 'expired_is_cancelled' AND object = format('order %s', :b)), 1::bigint, 'an expired order that lives');
UPDATE oms.sales_order SET lifecycle = 'cancelled' WHERE order_id = :b;
UPDATE oms.payment SET refund_pending = 0 WHERE payment_id = :part_p;
SELECT is((SELECT count(*) FROM oms.verify(1) WHERE rule = 'expired_returns_money' AND object = format('order %s', :part)), 1::bigint, 'an expired order that keeps money');
SELECT * FROM finish();
ROLLBACK;
