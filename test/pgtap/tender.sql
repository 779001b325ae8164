-- What becomes of the rest of an authorization, authorizations that die, ranks of means of payment, failures without a name.
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 81, 'pay-eur', 'Euro', 'EUR');
INSERT INTO oms.item (merchant_id, sku, title) VALUES (1, 'PAY-1', 'Thing');
CREATE FUNCTION pg_temp.new_order(total numeric, units int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', 'pay-eur', 'allocation', 'none', 'tax_included', true, 'email', 'pay@example.test',
		'ship_to', '{"name": "Pay Er", "street": "1 High Street", "city": "Town", "postcode": "1", "country": "DE"}'::jsonb,
		'lines', jsonb_build_array(jsonb_build_object('sku', 'PAY-1', 'quantity', units, 'unit_price', (total / units)::text)))) $$;
CREATE FUNCTION pg_temp.amounts(p bigint) RETURNS text LANGUAGE sql AS $$
	SELECT format('authorized %s captured %s voided %s expired %s pending %s %s %s %s',
		authorized, captured, voided, expired, authorize_pending, capture_pending, void_pending, refund_pending)
	FROM oms.payment WHERE merchant_id = 1 AND payment_id = p $$;
CREATE FUNCTION pg_temp.authorized(o bigint, method text, amount numeric, expires_at timestamptz DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.record_payment_event(1, oms.authorize(1, o, method, amount), 'authorized', amount, 'auth', oms.clock() - interval '2 hours', expires_at => expires_at) $$;

-- 1. Partial capture: the rest is kept, released or expired, and it is said which (Y03).
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.authorized(:o, 'card', 100) AS p \gset
SELECT oms.capture(1, :p, 30) AS i \gset
SELECT is((SELECT data ->> 'rest' FROM oms.payment_event WHERE payment_id = :p AND event_id = :i), 'keep', 'by default the rest is kept, and the intent says so');
SELECT oms.record_payment_event(1, :p, 'captured', 30, 'c1', intent => :i);
SELECT is(pg_temp.amounts(:p), 'authorized 100.00 captured 30.00 voided 0.00 expired 0.00 pending 0.00 0.00 0.00 0.00', 'kept');
SELECT oms.capture(1, :p, 20, rest => 'release') AS i \gset
SELECT is((SELECT payload ->> 'rest' FROM oms.task WHERE subject_id = :p AND kind = 'capture' AND (payload ->> 'intent')::bigint = :i), 'release', 'the worker is told');
SELECT is(pg_temp.amounts(:p), 'authorized 100.00 captured 30.00 voided 0.00 expired 0.00 pending 0.00 20.00 0.00 0.00', 'nothing is given up before the capture is there');
SELECT oms.record_payment_event(1, :p, 'capture_failed', NULL, 'c2', '2026-01-01 10:00Z', intent => :i);
SELECT is(pg_temp.amounts(:p), 'authorized 100.00 captured 30.00 voided 0.00 expired 0.00 pending 0.00 0.00 0.00 0.00', 'nor when it failed');
SELECT oms.record_payment_event(1, :p, 'captured', 20, 'c2', '2026-01-01 10:01Z', intent => :i);
SELECT is(pg_temp.amounts(:p), 'authorized 100.00 captured 50.00 voided 0.00 expired 0.00 pending 0.00 0.00 50.00 0.00', 'released: a void of the rest is asked for');
SELECT oms.record_payment_event(1, :p, 'voided', 50, 'v1');
SELECT is((SELECT capturable FROM oms.payment_detail WHERE payment_id = :p), 0.00, 'nothing is left');
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.authorized(:o, 'card', 100) AS p \gset
SELECT oms.capture(1, :p, 30, rest => 'expire') AS i \gset
SELECT oms.record_payment_event(1, :p, 'captured', 30, 'c1');
SELECT is(pg_temp.amounts(:p), 'authorized 100.00 captured 30.00 voided 0.00 expired 70.00 pending 0.00 0.00 0.00 0.00', 'expired: the gateway lets go by itself, and that is recorded');
SELECT is((SELECT count(*) FROM oms.task WHERE subject_id = :p AND kind = 'void'), 0::bigint, 'and nobody is asked to void');
SELECT throws_ok(format('SELECT oms.capture(1, %s, 1, rest => %L)', :p, 'burn'), 'OM011', NULL, 'there is nothing else');
INSERT INTO oms.payment_method (merchant_id, method, rest) VALUES (1, 'one-shot', 'release');
SELECT pg_temp.new_order(100, 4) AS o \gset
SELECT pg_temp.authorized(:o, 'one-shot', 100) AS p \gset
SELECT oms.capture(1, :p, 25);
SELECT oms.record_payment_event(1, :p, 'captured', 25, 'c1');
SELECT is((SELECT void_pending FROM oms.payment WHERE payment_id = :p), 75.00, 'the rule of the method counts where the call says nothing');

-- 2. Ranks (Y06): charged and refunded in the order of the rules, the sum exact.
INSERT INTO oms.payment_method (merchant_id, method, charge_rank, refund_rank) VALUES (1, 'voucher', 1, 200), (1, 'points', 2, 1);
SELECT pg_temp.new_order(100, 4) AS o \gset
SELECT pg_temp.authorized(:o, 'card', 55.55) AS card, pg_temp.authorized(:o, 'points', 14.45) AS points, pg_temp.authorized(:o, 'voucher', 30) AS voucher \gset
SELECT oms.cancel_line(1, :o, 1, 1);
SELECT results_eq(format('SELECT payment_id, void_pending FROM oms.payment WHERE order_id = %s ORDER BY 1', :o),
	format('VALUES (%s::bigint, 10.55), (%s, 14.45), (%s, 0.00)', :card, :points, :voucher), 'what is given back: points first, then the card, the voucher last');
SELECT results_eq(format('SELECT payment_id, amount FROM oms.payment_event WHERE payment_id IN (%s, %s, %s) AND kind = %L ORDER BY event_id', :card, :points, :voucher, 'void_requested'),
	format('VALUES (%s::bigint, 14.45), (%s, 10.55)', :points, :card), 'in this order');
SELECT oms.record_payment_event(1, :points, 'voided', 14.45, 'v'), oms.record_payment_event(1, :card, 'voided', 10.55, 'v');
SELECT pg_temp.new_order(100, 4) AS o \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 55.55, 'c', gateway => 'a', gateway_reference => 'card ' || :o, order_id => :o, method => 'card') AS card,
	oms.record_payment_event(1, NULL, 'captured', 14.45, 'c', gateway => 'a', gateway_reference => 'points ' || :o, order_id => :o, method => 'points') AS points,
	oms.record_payment_event(1, NULL, 'captured', 30, 'c', gateway => 'a', gateway_reference => 'voucher ' || :o, order_id => :o, method => 'voucher') AS voucher \gset
SELECT oms.cancel_line(1, :o, 1, 3);
SELECT results_eq(format('SELECT payment_id, refund_pending FROM oms.payment WHERE order_id = %s ORDER BY 1', :o),
	format('VALUES (%s::bigint, 55.55), (%s, 14.45), (%s, 5.00)', :card, :points, :voucher), 'refunds by rank too, and together exactly what is due');

-- 3. Authorizations that die (Y05).
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.authorized(:o, 'card', 100, oms.clock() + interval '5 days') AS p \gset
SELECT is((SELECT state FROM oms.authorization_expiry WHERE payment_id = :p), 'lasts', 'nothing says that the order must wait');
SELECT oms.set_ship_date(1, :o, oms.clock() + interval '9 days');
SELECT is((SELECT state FROM oms.authorization_expiry WHERE payment_id = :p), 'dies_first', 'it ends before the order is to be shipped');
SELECT oms.reauthorize(1, :p, request_key => 'anew') AS q \gset
SELECT is(oms.reauthorize(1, :p, request_key => 'anew'), :q::bigint, 'the same key: one effect');
SELECT throws_ok(format('SELECT oms.reauthorize(1, %s)', :p), 'OM008', NULL, 'it is replaced once');
SELECT is((SELECT (replaces_id, method, authorize_pending) FROM oms.payment WHERE payment_id = :q), (:p::bigint, 'card'::text, 100.00), 'a payment in its place is asked for');
SELECT is((SELECT capturable FROM oms.payment_balance WHERE order_id = :o), 100.00, 'until it is there the old one counts');
SELECT oms.record_payment_event(1, :q, 'authorized', 100, 'auth', expires_at => oms.clock() + interval '12 days');
SELECT is((SELECT capturable FROM oms.payment_balance WHERE order_id = :o), 100.00, 'then the new one alone: it replaces, it does not add');
SELECT is((SELECT void_pending FROM oms.payment WHERE payment_id = :p), 100.00, 'the old one is given up');
SELECT is((SELECT payment_state FROM oms.sales_order WHERE order_id = :o), 'authorized', 'the order is authorized throughout');
SELECT results_eq(format('SELECT payment_id, state FROM oms.authorization_expiry WHERE order_id = %s', :o), format('VALUES (%s::bigint, %L)', :q, 'lasts'), 'and nothing dies before its ship date');
SELECT oms.record_payment_event(1, :q, 'authorized', 100, 'auth', expires_at => oms.clock() + interval '12 days');
SELECT is((SELECT capturable FROM oms.payment_balance WHERE order_id = :o), 100.00, 'told again: no effect');

SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.authorized(:o, 'card', 60, oms.clock() - interval '1 hour') AS p, pg_temp.authorized(:o, 'card', 40, oms.clock() - interval '1 hour') AS busy \gset
SELECT oms.capture(1, :busy, 10) AS i \gset
SELECT is((SELECT state FROM oms.authorization_expiry WHERE payment_id = :p), 'lapsed', 'past its end');
SELECT is(oms.expire_authorizations(1, interval '2 hours'), 0::bigint, 'not past its end for long enough');
SELECT is(oms.expire_authorizations(1), 1::bigint, 'what is past its end is written off');
SELECT is(oms.expire_authorizations(1), 0::bigint, 'once');
SELECT is((SELECT (expired, capturable) FROM oms.payment_detail WHERE payment_id = :p), (60.00, 0.00), 'nothing of it is left');
SELECT is((SELECT expired FROM oms.payment WHERE payment_id = :busy), 0.00, 'one with a capture under way is left: its answer tells');
SELECT oms.reauthorize(1, :p) AS q \gset
SELECT is((SELECT authorize_pending FROM oms.payment WHERE payment_id = :q), 60.00, 'a lapsed one is authorized anew in full');
SELECT oms.record_payment_event(1, :q, 'authorized', 60, 'auth');
SELECT is((SELECT (capturable, capture_pending) FROM oms.payment_balance WHERE order_id = :o), (90.00, 10.00), 'and counts once');
INSERT INTO oms.payment_method (merchant_id, method, lasts) VALUES (1, 'seven', interval '7 days');
SELECT pg_temp.new_order(100) AS o \gset
SELECT oms.record_payment_event(1, oms.authorize(1, :o, 'seven'), 'authorized', 100, 'auth', '2026-01-01 00:00Z') AS p \gset
SELECT is((SELECT expires_at FROM oms.authorization_expiry WHERE payment_id = :p), timestamptz '2026-01-08 00:00Z', 'where the gateway names no end, the method''s rule does');

-- 4. Delayed authorization.
SELECT pg_temp.new_order(100) AS o \gset
SELECT oms.authorize(1, :o, 'card', not_before => oms.clock() + interval '3 days') AS p \gset
SELECT is((SELECT run_at - created_at FROM oms.task WHERE subject_id = :p AND kind = 'authorize'), interval '3 days', 'the worker gets the task on the day');
SELECT is((SELECT count(*) FROM oms.claim_tasks(1, 'authorize', 100) t WHERE t.payload ->> 'payment' = :'p'), 0::bigint, 'and not before');
SELECT throws_ok(format('SELECT oms.authorize(1, %s, %L, not_before => oms.clock() - interval %L)', :o, 'card', '1 s'), 'OM011', NULL, 'not in the past');

-- 5. A failure that names neither amount nor intent answers what is still open.
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.authorized(:o, 'card', 100) AS p \gset
SELECT oms.capture(1, :p, 20), oms.capture(1, :p, 30);
SELECT oms.record_payment_event(1, :p, 'capture_failed', NULL, 'f1');
SELECT is((SELECT capture_pending FROM oms.payment WHERE payment_id = :p), 20.00, 'the newest that is open');
SELECT oms.record_payment_event(1, :p, 'captured', 30, 'c1');
SELECT is((SELECT (captured, capture_pending) FROM oms.payment WHERE payment_id = :p), (30.00, 0.00), 'what is said by amount goes before: then it was the other');
SELECT oms.authorize(1, pg_temp.new_order(10), 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorization_failed', NULL, 'f1');
SELECT is((SELECT authorize_pending FROM oms.payment WHERE payment_id = :p), 0.00, 'a refused authorization does not stay pending');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
