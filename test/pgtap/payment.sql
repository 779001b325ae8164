-- Payments: amounts as a fold, limits, repeated and contradicting facts, bad input, cancellation, verify.
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 81, 'pay-eur', 'Euro', 'EUR'), (1, 82, 'pay-jpy', 'Yen', 'JPY'), (1, 83, 'pay-kwd', 'Dinar', 'KWD');
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (2, 'Another', 'EUR');
INSERT INTO oms.item (merchant_id, sku, title) VALUES (1, 'PAY-1', 'Thing'), (1, 'PAY-2', 'Other');

-- An order over so much: one unit each of two lines, no stock asked for.
CREATE FUNCTION pg_temp.new_order(total numeric, channel text DEFAULT 'pay-eur', units int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', channel, 'allocation', 'none', 'tax_included', true, 'email', 'pay@example.test',
		'ship_to', '{"name": "Pay Er", "street": "1 High Street", "city": "Town", "postcode": "1", "country": "DE"}'::jsonb,
		'lines', jsonb_build_array(jsonb_build_object('sku', 'PAY-1', 'quantity', units, 'unit_price', (total / units)::text, 'tax_rate', '0.19')))) $$;
CREATE FUNCTION pg_temp.paid(o bigint, total numeric) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.record_payment_event(1, NULL, 'captured', total, 'ch', gateway => 'shop', gateway_reference => 'order ' || o, order_id => o) $$;
CREATE FUNCTION pg_temp.amounts(p bigint) RETURNS text LANGUAGE sql AS $$
	SELECT format('authorized %s captured %s voided %s expired %s refunded %s charged_back %s pending %s %s %s %s',
		authorized, captured, voided, expired, refunded, charged_back, authorize_pending, capture_pending, void_pending, refund_pending)
	FROM oms.payment WHERE merchant_id = 1 AND payment_id = p $$;
CREATE FUNCTION pg_temp.state(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT payment_state FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o $$;

-- 1. Any order and any duplication of one event set gives the same amounts (Y01, rule 16).
-- Two payments with the same intents are told the same random facts, each in its own order, some of them several times,
-- one by the command, the other by the command or by hand.
CREATE FUNCTION pg_temp.with_intents(OUT p bigint, OUT i bigint[]) LANGUAGE plpgsql AS $$
DECLARE
	o bigint := pg_temp.new_order(5000);
BEGIN
	p := oms.authorize(1, o, 'card', 2000);
	PERFORM oms.record_payment_event(1, p, 'authorized', 2000, 'auth', '2026-01-01 00:00:00Z');
	PERFORM oms.record_payment_event(1, p, 'captured', 900, 'before', '2026-01-01 00:00:01Z');
	PERFORM oms.capture(1, p, 100), oms.capture(1, p, 200), oms.capture(1, p, 100);
	PERFORM oms.void(1, p, 100), oms.void(1, p, 200);
	PERFORM oms.refund(1, p, 100), oms.refund(1, p, 100), oms.refund(1, p, 200);
	i := ARRAY(SELECT event_id FROM oms.payment_event WHERE merchant_id = 1 AND payment_id = p
		AND kind IN ('capture_requested', 'void_requested', 'refund_requested') ORDER BY event_id);
END $$;

CREATE TEMP TABLE permuted (a bigint, b bigint, facts int, told int);
CREATE FUNCTION pg_temp.permute(cases int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	a record; b record; told int; f record; side int; p bigint; i bigint[];
BEGIN
	PERFORM setseed(0.42);
	CREATE TEMP TABLE fact (kind text, reference text, amount numeric, at timestamptz, answers int, UNIQUE (kind, reference));
	FOR n IN 1 .. cases LOOP
		a := pg_temp.with_intents();
		b := pg_temp.with_intents();
		DELETE FROM fact;
		INSERT INTO fact
		SELECT k.kind, 'ref ' || (random() * 3)::int,
			   CASE WHEN k.kind = 'authorization_expired' OR (k.nullable AND random() < 0.4) THEN NULL ELSE 100 * (1 + (random() * 2)::int) END,
			   timestamptz '2026-01-02 00:00:00Z' + (random() * 4)::int * interval '1 s',
			   CASE WHEN random() < 0.25 THEN k.answers[1 + (random() * (cardinality(k.answers) - 1))::int] END
		FROM generate_series(1, 1 + (random() * 14)::int),
			 LATERAL (SELECT * FROM (VALUES
				('authorized', false, NULL::int[]), ('authorization_failed', true, NULL), ('authorization_expired', true, NULL),
				('captured', false, '{1,2,3}'), ('captured', false, '{1,2,3}'), ('capture_failed', true, '{1,2,3}'),
				('voided', true, '{4,5}'), ('void_failed', true, '{4,5}'),
				('refunded', false, '{6,7,8}'), ('refunded', false, '{6,7,8}'), ('refund_failed', true, '{6,7,8}'),
				('charged_back', false, NULL), ('chargeback_reversed', true, NULL)) v(kind, nullable, answers)
				WHERE generate_series > 0 ORDER BY random() LIMIT 1) k
		ON CONFLICT DO NOTHING;
		told := 0;
		FOR side IN 1 .. 2 LOOP
			p := CASE side WHEN 1 THEN a.p ELSE b.p END;
			i := CASE side WHEN 1 THEN a.i ELSE b.i END;
			FOR f IN SELECT fact.* FROM fact, generate_series(1, 1 + (random() * 2)::int) ORDER BY random() LOOP
				told := told + 1;
				IF side = 2 AND random() < 0.3 THEN
					INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount, occurred_at, intent_id)
					VALUES (1, p, f.kind, f.reference, f.amount, f.at, i[f.answers]) ON CONFLICT DO NOTHING;
				ELSE
					PERFORM oms.record_payment_event(1, p, f.kind, f.amount, f.reference, f.at, intent => i[f.answers]);
				END IF;
			END LOOP;
		END LOOP;
		INSERT INTO permuted VALUES (a.p, b.p, (SELECT count(*) FROM fact), told);
	END LOOP;
END $$;
SELECT pg_temp.permute(200);
SELECT is((SELECT count(*) FROM permuted), 200::bigint, '200 random sets of facts');
SELECT cmp_ok((SELECT sum(told) FROM permuted), '>', (SELECT 3 * sum(facts) FROM permuted), 'told in two orders, some of them several times');
SELECT is_empty($$SELECT pg_temp.amounts(a), pg_temp.amounts(b) FROM permuted WHERE pg_temp.amounts(a) <> pg_temp.amounts(b)$$,
	'the same amounts, whatever the order and however often');
SELECT is_empty($$SELECT * FROM oms.verify_payment$$, 'and the fold in SQL says the same of each');
SELECT is_empty($$SELECT (SELECT count(*) FROM oms.payment_event WHERE payment_id = a) - (SELECT count(*) FROM oms.payment_event WHERE payment_id = b) FROM permuted
	WHERE (SELECT count(*) FROM oms.payment_event WHERE payment_id = a) <> (SELECT count(*) FROM oms.payment_event WHERE payment_id = b)$$,
	'each fact is kept once');

-- 2. One operation: the newest word counts.
SELECT pg_temp.new_order(100) AS o \gset
SELECT oms.authorize(1, :o, 'card', gateway => 'stripe') AS p \gset
SELECT is(pg_temp.state(:o), 'pending', 'asked to authorize: pending');
SELECT oms.record_payment_event(1, :p, 'authorization_failed', 100, 'auth', '2026-01-01 10:00Z');
SELECT is(pg_temp.amounts(:p), 'authorized 0.00 captured 0.00 voided 0.00 expired 0.00 refunded 0.00 charged_back 0.00 pending 0.00 0.00 0.00 0.00', 'a refusal gives back what was pending');
SELECT is(pg_temp.state(:o), 'none', 'refused: none');
SELECT oms.record_payment_event(1, :p, 'authorized', 100, 'auth', '2026-01-01 10:05Z', expires_at => '2026-01-08 10:05Z');
SELECT is((SELECT (authorized, authorization_expires_at) FROM oms.payment WHERE payment_id = :p), (100.00, timestamptz '2026-01-08 10:05Z'), 'a newer success of the same operation counts');
SELECT is(pg_temp.state(:o), 'authorized', 'authorized in full');
SELECT throws_ok(format('SELECT oms.record_payment_event(1, %s, %L, 90, %L, %L)', :p, 'authorized', 'auth', '2026-01-01 10:05Z'), 'OM010', NULL, 'same reference, other amount: refused');
SELECT throws_ok(format('SELECT oms.record_payment_event(1, %s, %L, 100, %L, %L)', :p, 'authorized', 'auth', '2026-01-01 10:06Z'), 'OM010', NULL, 'same reference, other time: refused');
SELECT throws_ok(format('SELECT oms.record_payment_event(1, %s, %L, 100, %L, data => %L)', :p, 'authorized', 'auth', '{"a": 1}'), 'OM010', NULL, 'same reference, other data: refused');
SELECT is(oms.record_payment_event(1, :p, 'authorized', 100.00, 'auth', '2026-01-01 10:05Z'), :p::bigint, 'same reference, same content: no effect');

-- 3. Limits of payment and order, pending counted (Y04, rule 17).
SELECT throws_ok(format('SELECT oms.capture(1, %s, 100.01)', :p), 'OM007', NULL, 'more than is authorized');
SELECT oms.capture(1, :p, 60, request_key => 'pay capture') AS i \gset
SELECT is(oms.capture(1, :p, 60, request_key => 'pay capture'), :i::bigint, 'the same request key answers the first intent (Y02)');
SELECT is((SELECT count(*) FROM oms.payment_event WHERE payment_id = :p AND kind = 'capture_requested'), 1::bigint, 'and has no second effect');
SELECT throws_ok(format('SELECT oms.capture(1, %s, 61, request_key => %L)', :p, 'pay capture'), 'OM010', NULL, 'the same key with other content is refused');
SELECT throws_ok(format('SELECT oms.capture(1, %s, 40.01)', :p), 'OM007', NULL, 'what is asked for counts against the authorization');
SELECT throws_ok(format('SELECT oms.void(1, %s, 40.01)', :p), 'OM007', NULL, 'and against a void');
SELECT throws_ok(format('SELECT oms.refund(1, %s, 1)', :p), 'OM007', NULL, 'nothing captured, nothing to refund');
SELECT oms.record_payment_event(1, :p, 'capture_failed', NULL, 'ch1', intent => :i);
SELECT is((SELECT capturable FROM oms.payment_detail WHERE payment_id = :p), 100.00, 'a refusal gives the amount back');
SELECT oms.capture(1, :p) AS i \gset
SELECT oms.record_payment_event(1, :p, 'captured', 100, 'ch2');
SELECT is(pg_temp.state(:o), 'paid', 'captured in full: paid');
SELECT throws_ok(format('SELECT oms.authorize(1, %s, %L)', :o, 'card'), 'OM007', NULL, 'a paid order owes nothing more');
SELECT throws_ok(format('SELECT oms.authorize(1, %s, %L, 0.01)', :o, 'card'), 'OM007', NULL, 'not a cent');
SELECT throws_ok(format('SELECT oms.refund(1, %s, 100.01)', :p), 'OM007', NULL, 'more than was captured');
SELECT oms.refund(1, :p, 70, request_key => 'pay refund') AS r \gset
SELECT is(oms.refund(1, :p, 70, request_key => 'pay refund'), :r::bigint, 'refund: same key, same refund');
SELECT throws_ok(format('SELECT oms.refund(1, %s, 30.01)', :p), 'OM007', NULL, 'a pending refund counts');
SELECT is((SELECT state FROM oms.refund WHERE refund_id = :r), 'requested', 'asked for');
SELECT oms.record_payment_event(1, :p, 'refund_failed', 70, 're1');
SELECT is((SELECT (state, pending, moved) FROM oms.refund WHERE refund_id = :r), ('failed'::text, 0.00, 0.00), 'refused by the gateway: failed');
SELECT is((SELECT refundable FROM oms.payment_detail WHERE payment_id = :p), 100.00, 'and given back');
SELECT is(oms.request_refund(1, :r), :r::bigint, 'asked for again');
SELECT oms.record_payment_event(1, :p, 'refunded', 70, 're2');
SELECT is((SELECT (state, pending, moved) FROM oms.refund WHERE refund_id = :r), ('done'::text, 0.00, 70.00), 'done');
SELECT is(pg_temp.state(:o), 'partially_refunded', 'partially refunded');
SELECT throws_ok(format('SELECT oms.request_refund(1, %s)', :r), 'OM008', NULL, 'nothing to ask for again');
SELECT oms.refund(1, :p);
SELECT oms.record_payment_event(1, :p, 'refunded', 30, 're3');
SELECT is(pg_temp.state(:o), 'refunded', 'refunded in full');
SELECT is((SELECT sum(tax) FROM oms.refund WHERE order_id = :o), (SELECT tax FROM oms.sales_order WHERE order_id = :o), 'refunds of the whole order sum to its tax');

-- A double refund at the gateway of one payment leaves less for the other (order level).
SELECT pg_temp.new_order(200) AS o \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 100, 'c', gateway_reference => 'two-a', order_id => :o) AS a \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 100, 'c', gateway_reference => 'two-b', order_id => :o, method => 'transfer') AS b \gset
SELECT is(pg_temp.state(:o), 'paid', 'paid by two payments taken elsewhere');
SELECT is((SELECT array_agg(method ORDER BY payment_id) FROM oms.payment WHERE order_id = :o), '{external,transfer}', 'with their methods');
SELECT oms.refund(1, :a, 90) AS r2 \gset
SELECT throws_like(format('SELECT oms.refund(1, %s, 10.01)', :a), 'payment % cannot refund 10.01 EUR', 'what is asked of one payment counts for it, though the order has more');
SELECT is((SELECT refundable FROM oms.payment_detail WHERE payment_id = :a), 10.00, 'as its view says');
SELECT oms.record_payment_event(1, :a, 'refund_failed', 90, 'r0');
SELECT oms.record_payment_event(1, :a, 'refunded', 80, 'r1');
SELECT oms.record_payment_event(1, :a, 'refunded', 80, 'r2');
SELECT is((SELECT refunded FROM oms.payment WHERE payment_id = :a), 160.00, 'a fact beyond the limit is kept');
SELECT is((SELECT anomaly || ' ' || allowed || ' ' || found FROM oms.payment_anomaly WHERE payment_id = :a), 'over_refund 100.00 160.00', 'and seen');
SELECT throws_ok(format('SELECT oms.refund(1, %s, 40.01)', :b), 'OM007', NULL, 'the other payment gives no more than the order has');
SELECT lives_ok(format('SELECT oms.refund(1, %s, 40)', :b), 'but that much');

-- Over-capture, overpayment.
SELECT pg_temp.new_order(50) AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 50, 'a');
SELECT oms.record_payment_event(1, :p, 'captured', 55, 'c');
SELECT set_eq(format('SELECT anomaly FROM oms.payment_anomaly WHERE order_id = %s', :o), '{over_capture,overpaid}'::text[], 'over-capture and overpayment are seen');
SELECT is(pg_temp.state(:o), 'overpaid', 'state overpaid');
SELECT oms.refund(1, :p, 5, reason => 'too much');
SELECT is(pg_temp.state(:o), 'paid', 'no more once the rest is on its way back');

-- Void before capture; expiry; chargeback.
SELECT pg_temp.new_order(80) AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 80, 'a');
SELECT oms.void(1, :p, 30);
SELECT oms.record_payment_event(1, :p, 'voided', 30, 'v');
SELECT is((SELECT capturable FROM oms.payment_detail WHERE payment_id = :p), 50.00, 'a void in part');
SELECT is(pg_temp.state(:o), 'pending', 'a part is authorized: pending');
SELECT oms.record_payment_event(1, :p, 'authorization_expired', NULL, 'a', now() - interval '1 minute');
SELECT is((SELECT (expired, capturable) FROM oms.payment_detail WHERE payment_id = :p), (0.00, 50.00), 'an expiry before the authorization takes nothing of it');
SELECT oms.record_payment_event(1, :p, 'authorization_expired', NULL, 'later');
SELECT is((SELECT (expired, capturable) FROM oms.payment_detail WHERE payment_id = :p), (50.00, 0.00), 'an expiry takes the rest');
SELECT throws_ok(format('SELECT oms.capture(1, %s)', :p), 'OM007', NULL, 'nothing left to capture');
SELECT oms.authorize(1, :o, 'card') AS p2 \gset
SELECT is((SELECT amount FROM oms.payment WHERE payment_id = :p2), 80.00, 'authorize asks for what is due');
SELECT oms.record_payment_event(1, :p2, 'captured', 80, 'c');
SELECT oms.record_payment_event(1, :p2, 'charged_back', 80, 'd', now() - interval '1 hour');
SELECT is(pg_temp.state(:o), 'none', 'charged back: nothing is paid');
SELECT oms.release_hold(1, :o, 'chargeback');
SELECT throws_ok(format('SELECT oms.refund(1, %s, 1)', :p2), 'OM007', NULL, 'what was charged back is not refunded');
SELECT oms.record_payment_event(1, :p2, 'chargeback_reversed', NULL, 'd');
SELECT is(pg_temp.state(:o), 'paid', 'reversed: paid');

-- 4. Cancelling: void before capture, refund after; twice is once; expiry and late answers (rule 14).
SELECT pg_temp.new_order(90, units => 3) AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 90, 'a');
SELECT oms.capture(1, :p, 50);
SELECT oms.record_payment_event(1, :p, 'captured', 50, 'c');
SELECT oms.cancel_line(1, :o, 1, 1);
SELECT is((SELECT (void_pending, refund_pending) FROM oms.payment WHERE payment_id = :p), (30.00, 0.00), 'a third cancelled: voided, not refunded');
SELECT oms.cancel_order(1, :o);
SELECT is((SELECT (void_pending, refund_pending) FROM oms.payment WHERE payment_id = :p), (40.00, 50.00), 'all cancelled: the rest voided, the captured refunded');
SELECT oms.cancel_order(1, :o);
SELECT is((SELECT (void_pending, refund_pending) FROM oms.payment WHERE payment_id = :p), (40.00, 50.00), 'twice is once');
SELECT is((SELECT string_agg(cause || ' ' || amount || ' ' || state, ', ') FROM oms.refund WHERE order_id = :o), 'cancel 50.00 requested', 'one refund');
SELECT throws_ok(format('SELECT oms.authorize(1, %s, %L)', :o, 'card'), 'OM008', NULL, 'a cancelled order is not paid');
SELECT throws_ok(format('SELECT oms.capture(1, %s)', :p), 'OM008', NULL, 'nor captured for');

SELECT pg_temp.new_order(60) AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.cancel_order(1, :o);
SELECT oms.record_payment_event(1, :p, 'authorized', 60, 'a');
SELECT is((SELECT void_pending FROM oms.payment WHERE payment_id = :p), 60.00, 'an authorization that arrives after the cancellation is voided');

SELECT pg_temp.new_order(60) AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 60, 'a');
SELECT oms.capture(1, :p);
SELECT oms.cancel_order(1, :o);
SELECT is((SELECT state || ' ' || amount FROM oms.refund WHERE order_id = :o), 'granted 60.00', 'cancelled while the capture is under way: a refund is granted, nothing to take it from yet');
SELECT oms.record_payment_event(1, :p, 'captured', 60, 'c');
SELECT is((SELECT state || ' ' || pending FROM oms.refund WHERE order_id = :o), 'requested 60.00', 'once captured it goes back');

-- An order that was paid in part is not given more than it does not owe.
SELECT pg_temp.new_order(90, units => 3) AS o \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 70, 'c', gateway_reference => 'part', order_id => :o) AS p \gset
SELECT is(pg_temp.state(:o), 'partial', 'a part is paid');
SELECT oms.cancel_line(1, :o, 1, 1);
SELECT is((SELECT refund_pending FROM oms.payment WHERE payment_id = :p), 10.00, 'of 70 paid, 60 are still owed');
SELECT is((SELECT tax FROM oms.refund WHERE order_id = :o), 1.60, 'with the tax of what was cancelled, in proportion');

-- Split over two payments: captured money goes back newest payment first, each up to what it has.
SELECT pg_temp.new_order(90, units => 3) AS o \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 50, 'c', gateway_reference => 'split-a', order_id => :o) AS a \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 40, 'c', gateway_reference => 'split-b', order_id => :o) AS b \gset
SELECT oms.cancel_line(1, :o, 1, 2);
SELECT is((SELECT array_agg(refund_pending ORDER BY payment_id) FROM oms.payment WHERE order_id = :o), '{20.00,40.00}', 'the newest payment first');
SELECT oms.record_payment_event(1, :a, 'refunded', 20, 'r');
SELECT is((SELECT state || ' ' || moved FROM oms.refund WHERE order_id = :o), 'requested 20.00', 'a refund over two payments is done when both are');
SELECT oms.record_payment_event(1, :b, 'refunded', 40, 'r');
SELECT is((SELECT state || ' ' || moved FROM oms.refund WHERE order_id = :o), 'done 60.00', 'done');

-- Holds.
SELECT pg_temp.new_order(90) AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 90, 'a');
SELECT oms.hold(1, :o, 'fraud', 'looks odd', '{capture,refund}');
SELECT throws_ok(format('SELECT oms.capture(1, %s)', :p), 'OM005', NULL, 'a hold blocks capture');
SELECT oms.record_payment_event(1, :p, 'captured', 90, 'c');
SELECT throws_ok(format('SELECT oms.refund(1, %s)', :p), 'OM005', NULL, 'and refund');
SELECT oms.cancel_order(1, :o);
SELECT is((SELECT state FROM oms.refund WHERE order_id = :o), 'granted', 'a refund is granted but does not move while a hold blocks it');
SELECT throws_ok(format('SELECT oms.request_refund(1, %s)', (SELECT refund_id FROM oms.refund WHERE order_id = :o)), 'OM005', NULL, 'not even asked');
SELECT oms.release_hold(1, :o, 'fraud');
SELECT oms.request_refund(1, (SELECT refund_id FROM oms.refund WHERE order_id = :o));
SELECT is((SELECT state FROM oms.refund WHERE order_id = :o), 'requested', 'it moves once the hold is gone');

-- 5. Capture on ship: exact shares, the last shipment takes the remainder, also of what failed before (Y12, rule 19).
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 81, 1), (1, 82, 1), (1, 83, 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause)
	SELECT 1, 1, item_id, 'opening', 100000, 'opening' FROM oms.item WHERE merchant_id = 1 AND sku IN ('PAY-1', 'PAY-2');
CREATE TEMP TABLE shipping (o bigint, shipments int, failed int, cancelled int);
CREATE FUNCTION pg_temp.ship_at_random(cases int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o bigint; p bigint; f bigint; i record; channel text; n int; shipments int; failed int; cancelled int; doc jsonb; done int := 0;
BEGIN
	PERFORM setseed(0.3);
	FOR n IN 1 .. cases LOOP
		channel := (ARRAY['pay-eur', 'pay-jpy', 'pay-kwd'])[1 + (random() * 2)::int];
		o := oms.place_order(1, jsonb_build_object('channel', channel, 'tax_included', random() < 0.5, 'email', 'pay@example.test',
			'shipping', (random() * 9)::int::text, 'shipping_tax_rate', '0.19', 'discount', (random() * 2)::int::text,
			'lines', (SELECT jsonb_agg(jsonb_build_object('sku', (ARRAY['PAY-1', 'PAY-2'])[1 + random()::int], 'quantity', 1 + (random() * 6)::int,
				'tax_rate', (ARRAY['0', '0.07', '0.19'])[1 + (random() * 2)::int],
				'unit_price', round((random() * 40 + 3)::numeric, CASE channel WHEN 'pay-jpy' THEN 0 ELSE 3 END)::text)) FROM generate_series(1, 1 + (random() * 2)::int))));
		p := oms.authorize(1, o, 'card');
		PERFORM oms.record_payment_event(1, p, 'authorized', (SELECT total FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o), 'auth');
		shipments := 0; failed := 0; cancelled := 0;
		f := (SELECT min(fulfilment_id) FROM oms.plan_fulfilment(1, o));
		LOOP
			-- some units of a line leave
			SELECT jsonb_build_array(jsonb_build_object('line', line_no, 'quantity', 1 + (random() * (ordered - l.cancelled - shipped - 1))::int)) INTO doc
			FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o AND ordered - l.cancelled > shipped ORDER BY random() LIMIT 1;
			EXIT WHEN doc IS NULL;
			PERFORM oms.confirm_pick(1, f, doc);
			PERFORM oms.pack(1, f);
			PERFORM oms.ship(1, f);
			shipments := shipments + 1;
			-- the gateway takes it, takes it and says so twice, refuses, or says nothing yet
			FOR i IN SELECT r.event_id, r.amount, random() AS dice FROM oms.payment_event r
				WHERE r.merchant_id = 1 AND r.payment_id = p AND r.kind = 'capture_requested'
				  AND NOT EXISTS (SELECT FROM oms.payment_event a WHERE a.merchant_id = 1 AND a.payment_id = p AND a.intent_id = r.event_id)
			LOOP
				IF i.dice < 0.3 AND EXISTS (SELECT FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o AND ordered - l.cancelled > shipped) THEN
					PERFORM oms.record_payment_event(1, p, 'capture_failed', NULL, 'c' || i.event_id, intent => i.event_id);
					failed := failed + 1;
				ELSIF i.dice < 0.8 THEN
					PERFORM oms.record_payment_event(1, p, 'captured', i.amount, 'c' || i.event_id, intent => i.event_id);
					PERFORM oms.record_payment_event(1, p, 'captured', i.amount, 'c' || i.event_id);
				END IF;
			END LOOP;
			-- sometimes a unit is cancelled before it leaves, but not the last open one: nothing would leave after it
			IF random() < 0.3 AND (SELECT sum(ordered - l.cancelled - picked) FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o) > 1 THEN
				cancelled := cancelled + oms.cancel_line(1, o, (SELECT line_no FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o AND ordered - l.cancelled > picked ORDER BY random() LIMIT 1), 1);
			END IF;
		END LOOP;
		INSERT INTO shipping VALUES (o, shipments, failed, cancelled);
	END LOOP;
END $$;
SELECT pg_temp.ship_at_random(60);
SELECT ok((SELECT sum(shipments) > 150 AND sum(failed) > 20 AND sum(cancelled) > 20 FROM shipping), 'some hundred random shipments, with failures and cancellations between');
SELECT is_empty($$
	SELECT x.o, s.total - s.cancelled_total AS owed, p.captured + p.capture_pending AS captured, p.voided + p.void_pending AS voided, s.cancelled_total
	FROM shipping x JOIN oms.sales_order s ON s.merchant_id = 1 AND s.order_id = x.o JOIN oms.payment p ON p.merchant_id = 1 AND p.order_id = x.o
	WHERE s.total - s.cancelled_total <> p.captured + p.capture_pending OR s.cancelled_total <> p.voided + p.void_pending OR p.refund_pending <> 0$$,
	'what is captured and voided is exactly what left and what was cancelled');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'verify finds nothing');

-- What the gateway refused is asked for again with the last shipment, though that be worth nothing.
SELECT oms.place_order(1, '{"channel": "pay-eur", "lines": [{"sku": "PAY-1", "quantity": 1, "unit_price": "20"}, {"sku": "PAY-2", "quantity": 1, "unit_price": "0"}]}') AS o \gset
SELECT oms.release_hold(1, :o, kind) FROM oms.order_hold WHERE merchant_id = 1 AND order_id = :o AND released_at IS NULL;
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 20, 'a');
SELECT min(fulfilment_id) AS f FROM oms.plan_fulfilment(1, :o) \gset
SELECT oms.confirm_pick(1, :f, '[{"line": 1, "quantity": 1}]'), oms.pack(1, :f), oms.ship(1, :f);
SELECT oms.record_payment_event(1, :p, 'capture_failed', 20, 'c');
SELECT is((SELECT capture_pending FROM oms.payment WHERE payment_id = :p), 0.00, 'refused');
SELECT oms.confirm_pick(1, :f), oms.pack(1, :f), oms.ship(1, :f);
SELECT is((SELECT capture_pending FROM oms.payment WHERE payment_id = :p), 20.00, 'asked for again with the gift that left last');

-- 6. Currencies of 0 and 3 decimals.
SELECT pg_temp.new_order(999, 'pay-jpy', 3) AS o \gset
SELECT throws_ok(format('SELECT oms.authorize(1, %s, %L, 99.5)', :o, 'card'), 'OM017', NULL, 'half a yen');
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'captured', (SELECT total FROM oms.sales_order WHERE order_id = :o), 'c');
SELECT is(pg_temp.state(:o), 'paid', 'yen');
SELECT throws_ok(format('SELECT oms.record_payment_event(1, %s, %L, 1, %L, currency => %L)', :p, 'refunded', 'r', 'EUR'), 'OM012', NULL, 'other currency than the order');
SELECT lives_ok(format('SELECT oms.record_payment_event(1, %s, %L, 1, %L, currency => %L)', :p, 'refunded', 'r', 'JPY'), 'the order''s currency');
SELECT pg_temp.new_order(1.234, 'pay-kwd') AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT throws_ok(format('SELECT oms.record_payment_event(1, %s, %L, 1.2345, %L)', :p, 'authorized', 'a'), 'OM017', NULL, 'a tenth of a fils');
SELECT oms.record_payment_event(1, :p, 'authorized', 1.234, 'a');
SELECT is(pg_temp.state(:o), 'authorized', 'fils');

-- 7. Bad input, each a named error.
SELECT pg_temp.new_order(10) AS o \gset
SELECT oms.authorize(1, :o, 'card', gateway_reference => 'bad-1') AS p \gset
SELECT throws_ok(q, 'OM011', NULL, q) FROM (VALUES
	('SELECT oms.authorize(NULL, 1, ''card'')'), ('SELECT oms.authorize(1, NULL, ''card'')'), (format('SELECT oms.authorize(1, %s, NULL)', :o)),
	(format('SELECT oms.authorize(1, %s, '''')', :o)), (format('SELECT oms.authorize(1, %s, ''card'', 0)', :o)), (format('SELECT oms.authorize(1, %s, ''card'', -1)', :o)),
	(format('SELECT oms.authorize(1, %s, repeat(''x'', 1000000))', :o)), (format('SELECT oms.authorize(1, %s, ''card'', gateway => NULL)', :o)),
	('SELECT oms.authorize(0, 1, ''card'')'), ('SELECT oms.authorize(-1, 1, ''card'')'),
	('SELECT oms.capture(NULL, 1)'), ('SELECT oms.capture(1, NULL)'), (format('SELECT oms.capture(1, %s, 0)', :p)), (format('SELECT oms.capture(1, %s, -5)', :p)),
	(format('SELECT oms.capture(1, %s, request_key => '''')', :p)), (format('SELECT oms.capture(1, %s, request_key => repeat(''x'', 1000000))', :p)),
	('SELECT oms.void(NULL, 1)'), ('SELECT oms.void(1, NULL)'), (format('SELECT oms.void(1, %s, -5)', :p)),
	('SELECT oms.refund(NULL, 1)'), ('SELECT oms.refund(1, NULL)'), (format('SELECT oms.refund(1, %s, 0)', :p)),
	('SELECT oms.request_refund(NULL, 1)'), ('SELECT oms.request_refund(1, NULL)'),
	('SELECT oms.record_payment_event(NULL, 1, ''captured'', 1, ''x'')'), ('SELECT oms.record_payment_event(1, NULL, ''captured'', 1, ''x'')'),
	(format('SELECT oms.record_payment_event(1, %s, NULL, 1, ''x'')', :p)), (format('SELECT oms.record_payment_event(1, %s, ''paid'', 1, ''x'')', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''capture_requested'', 1, ''x'')', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', NULL, ''x'')', :p)), (format('SELECT oms.record_payment_event(1, %s, ''captured'', 0, ''x'')', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', -1, ''x'')', :p)), (format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, NULL)', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, '''')', :p)), (format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, repeat(''x'', 1000000))', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', ''infinity'')', :p)), (format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', now() + interval ''3 days'')', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', data => ''[1]'')', :p)), (format('SELECT oms.record_payment_event(1, %s, ''authorization_expired'', 1, ''x'')', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', expires_at => now())', :p)), (format('SELECT oms.record_payment_event(1, %s, ''charged_back'', 1, ''x'', intent => 1)', :p))) v(q);
SELECT throws_ok(q, 'OM017', NULL, q) FROM (VALUES
	(format('SELECT oms.authorize(1, %s, ''card'', ''NaN'')', :o)), (format('SELECT oms.authorize(1, %s, ''card'', ''infinity'')', :o)), (format('SELECT oms.authorize(1, %s, ''card'', 1e30)', :o)),
	(format('SELECT oms.authorize(1, %s, ''card'', 0.001)', :o)), (format('SELECT oms.capture(1, %s, ''NaN'')', :p)), (format('SELECT oms.refund(1, %s, ''-infinity'')', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', ''NaN'', ''x'')', :p)), (format('SELECT oms.record_payment_event(1, %s, ''captured'', 1e16, ''x'')', :p))) v(q);
SELECT throws_ok(q, 'OM002', NULL, q) FROM (VALUES
	('SELECT oms.authorize(1, 999999999, ''card'')'), (format('SELECT oms.authorize(2, %s, ''card'')', :o)), (format('SELECT oms.authorize(99, %s, ''card'')', :o)),
	('SELECT oms.capture(1, 999999999)'), (format('SELECT oms.capture(2, %s)', :p)), ('SELECT oms.void(1, -1)'), (format('SELECT oms.refund(2, %s)', :p)),
	('SELECT oms.request_refund(1, 999999999)'), ('SELECT oms.record_payment_event(1, 999999999, ''captured'', 1, ''x'')'), (format('SELECT oms.record_payment_event(2, %s, ''captured'', 1, ''x'')', :p)),
	('SELECT oms.record_payment_event(1, NULL, ''captured'', 1, ''x'', gateway_reference => ''nobody knows'')'),
	('SELECT oms.record_payment_event(1, NULL, ''captured'', 1, ''x'', gateway_reference => ''new'', order_id => 999999999)'),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', intent => 999999999)', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', intent => %s)', :p, (SELECT event_id FROM oms.payment_event WHERE payment_id = :p)))) v(q);
SELECT throws_ok(q, 'OM008', NULL, q) FROM (VALUES
	(format('SELECT oms.authorize(1, %s, ''card'', 1, gateway_reference => ''bad-1'')', pg_temp.new_order(5))),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', gateway_reference => ''bad-2'')', :p)),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', gateway => ''other'')', :p)),
	(format('SELECT oms.record_payment_event(1, NULL, ''captured'', 1, ''x'', gateway_reference => ''bad-1'', order_id => %s)', pg_temp.new_order(5))),
	(format('SELECT oms.record_payment_event(1, %s, ''captured'', 1, ''x'', order_id => %s)', :p, pg_temp.new_order(5)))) v(q);

-- Each command answers the same key with its first answer, and other content with a refusal (Y02).
SELECT pg_temp.new_order(100) AS ko \gset
SELECT oms.authorize(1, :ko, 'card', 60, request_key => 'same a') AS kp \gset
SELECT oms.record_payment_event(1, :kp, 'authorized', 60, 'a');
SELECT oms.record_payment_event(1, :kp, 'captured', 30, 'c');
CREATE FUNCTION pg_temp.twice(command text, other text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	first bigint; second bigint; before bigint; state text := 'no error';
BEGIN
	EXECUTE command INTO first;
	before := (SELECT count(*) FROM oms.event);
	EXECUTE command INTO second;
	BEGIN
		EXECUTE other;
	EXCEPTION WHEN OTHERS THEN
		state := SQLSTATE;
	END;
	RETURN format('%s, %s new events, other content: %s', CASE WHEN first = second THEN 'same answer' ELSE 'other answer' END, (SELECT count(*) FROM oms.event) - before, state);
END $$;
SELECT is(pg_temp.twice(command, other), 'same answer, 0 new events, other content: OM010', command) FROM (VALUES
	(format('SELECT oms.authorize(1, %s, ''card'', 10, request_key => ''same 1'')', :ko), format('SELECT oms.authorize(1, %s, ''card'', 11, request_key => ''same 1'')', :ko)),
	(format('SELECT oms.capture(1, %s, 10, ''same 2'')', :kp), format('SELECT oms.capture(1, %s, 11, ''same 2'')', :kp)),
	(format('SELECT oms.void(1, %s, 10, ''same 3'')', :kp), format('SELECT oms.capture(1, %s, 10, ''same 3'')', :kp)),
	(format('SELECT oms.refund(1, %s, 10, ''same 4'')', :kp), format('SELECT oms.refund(1, %s, 10, ''same 4'', reason => ''another'')', :kp))) v(command, other);
SELECT oms.record_payment_event(1, :kp, 'refund_failed', 10, 'rf');
SELECT refund_id AS kr FROM oms.refund WHERE order_id = :ko \gset
SELECT is(pg_temp.twice(format('SELECT oms.request_refund(1, %s, ''same 5'')', :kr), format('SELECT oms.request_refund(1, %s, ''same 5'', ''me'')', :kr)),
	'same answer, 0 new events, other content: OM010', 'request_refund');

-- 8. Hand-typed statements meet the same rules.
SELECT throws_ok(format('UPDATE oms.payment SET captured = 10 WHERE payment_id = %s', :p), 'OM009', NULL, 'amounts are not hand-writable');
SELECT throws_ok(format('INSERT INTO oms.payment (merchant_id, order_id, created_at, amount, currency, method, actor) VALUES (1, %s, now(), 0, ''EUR'', ''card'', ''me'')', :o), 'OM009', NULL, 'nor payments');
SELECT throws_ok(format('DELETE FROM oms.payment WHERE payment_id = %s', :p), 'OM009', NULL, 'nor removable');
SELECT throws_ok('TRUNCATE oms.payment CASCADE', 'OM009', NULL, 'nor all of them');
SELECT throws_ok(format('UPDATE oms.payment_event SET amount = 1 WHERE payment_id = %s', :p), 'OM009', NULL, 'facts stay');
SELECT throws_ok(format('DELETE FROM oms.payment_event WHERE payment_id = %s', :p), 'OM009', NULL, 'all of them');
SELECT throws_ok('TRUNCATE oms.payment_event', 'OM009', NULL, 'at once too');
SELECT throws_ok('UPDATE oms.refund SET state = ''done''', 'OM009', NULL, 'refunds are not hand-writable');
SELECT throws_ok('DELETE FROM oms.refund_line; INSERT INTO oms.refund_line VALUES (1, 1, 1, 1, 0, 1, 1, 0)', 'OM009', NULL, 'nor their lines');
SELECT throws_ok(format('INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount) VALUES (1, %s, ''capture_requested'', ''mine'', 11)', :p), 'OM007', NULL, 'a hand-typed intent meets the limit');
SELECT throws_ok(format('INSERT INTO oms.payment_event (merchant_id, payment_id, %s, event_reference) VALUES (1, %s, %s, ''mine'')', c, :p, v), e, NULL, 'hand-typed: ' || v) FROM (VALUES
	('kind, amount', '''captured'', ''NaN''', 'OM017'), ('kind, amount', '''captured'', ''infinity''', 'OM017'), ('kind, amount', '''captured'', 0.001', 'OM017'),
	('kind, amount', '''captured'', 0', 'OM011'), ('kind, amount', '''captured'', -0.01', 'OM011'), ('kind, amount', '''captured'', NULL', 'OM011'), ('kind, amount', '''captured'', 1e15', 'OM011'),
	('kind, amount', '''voided'', -0.01', 'OM011'), ('kind, amount', '''voided'', 0', 'OM011'), ('kind, amount', '''authorization_expired'', 1', 'OM011'), ('kind, amount', '''paid'', 1', 'OM011'),
	('kind, amount, occurred_at', '''captured'', 1, ''infinity''', 'OM011'), ('kind, amount, expires_at', '''captured'', 1, now()', 'OM011'), ('kind, amount, refund_id', '''captured'', 1, 1', 'OM011'),
	('kind, amount, intent_id', '''charged_back'', 1, 1', 'OM011'), ('kind, amount, intent_id', '''captured'', 1, 1', 'OM002'), ('kind, amount, refund_id', '''refund_requested'', 1, 999999999', 'OM002')) x(c, v, e);
SELECT throws_ok(format('INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount) VALUES (1, %s, ''captured'', '''', 1)', :p), 'OM011', NULL, 'hand-typed: no reference');
SELECT throws_ok('INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount) VALUES (1, 999999999, ''captured'', ''x'', 1)', NULL, NULL, 'hand-typed: no such payment');
INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount) VALUES (1, :p, 'authorized', 'a', 10), (1, :p, 'capture_requested', 'mine', 4), (1, :p, 'capture_requested', 'mine too', 6);
SELECT is((SELECT (authorized, capture_pending) FROM oms.payment WHERE payment_id = :p), (10.00, 10.00), 'a hand-typed statement of several rows is folded');
SELECT throws_ok(format('INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount) VALUES (1, %s, ''capture_requested'', ''x'', 1), (1, %s, ''capture_requested'', ''y'', 0.01)', :p, :p), 'OM007', NULL, 'and refused as a whole');
SELECT is((SELECT count(*) FROM oms.task WHERE subject_type = 'payment' AND subject_id = :p AND kind = 'capture'), 2::bigint, 'each intent is a task');
SELECT is((SELECT payload - 'intent' FROM oms.task WHERE subject_id = :p AND kind = 'capture' AND dedup_key = 'mine'),
	jsonb_build_object('payment', :p, 'order', :o, 'reference', 'mine', 'method', 'card', 'gateway', 'manual', 'gateway_reference', 'bad-1', 'amount', 4.00, 'currency', 'EUR'), 'with all that a worker needs');

-- 9. verify sees each seeded fault.
SELECT is_empty('SELECT * FROM oms.verify_payment', 'sound so far');
SET LOCAL session_replication_role = replica;
UPDATE oms.payment SET captured = captured + 1 WHERE payment_id = :p;
SELECT is((SELECT rule || ': ' || object FROM oms.verify_payment), format('payment_fold: payment %s captured', :p), 'an amount off by one');
UPDATE oms.payment SET captured = captured - 1, refund_pending = 3 WHERE payment_id = :p;
SELECT is((SELECT rule || ': ' || object || ', ' || expected || ', ' || found FROM oms.verify_payment), format('payment_fold: payment %s refund_pending, 0, 3', :p), 'a pending amount');
UPDATE oms.payment SET refund_pending = 0, currency = 'USD' WHERE payment_id = :p;
SELECT is((SELECT rule FROM oms.verify_payment), 'payment_currency', 'a currency');
UPDATE oms.payment SET currency = 'EUR' WHERE payment_id = :p;
UPDATE oms.refund SET lines_amount = 5 WHERE refund_id = :r;
SELECT is((SELECT rule FROM oms.verify_payment), 'refund_lines', 'a refund whose lines do not sum');
UPDATE oms.refund SET lines_amount = 0, shipping = 5 WHERE refund_id = :r;
SELECT is((SELECT rule FROM oms.verify_payment), 'refund_shipping', 'shipping refunded beyond what was charged');
UPDATE oms.refund SET shipping = 0, pending = 1 WHERE refund_id = :r;
SELECT is((SELECT rule || ': ' || object || ', ' || expected || ', ' || found FROM oms.verify_payment),
	format('refund_pending: order %s pending, at most 0.00, 1.00', (SELECT order_id FROM oms.refund WHERE refund_id = :r)), 'a refund that says more is asked than is');
UPDATE oms.refund SET pending = 0, moved = 71 WHERE refund_id = :r;
SELECT is((SELECT rule || ': ' || object || ', ' || expected || ', ' || found FROM oms.verify_payment),
	format('refund_pending: order %s moved, at most 100.00, 101.00', (SELECT order_id FROM oms.refund WHERE refund_id = :r)), 'or more has moved');
SELECT is((SELECT anomaly FROM oms.payment_anomaly WHERE order_id = (SELECT order_id FROM oms.refund WHERE refund_id = :r)), 'refund_moved_twice', 'which is an anomaly besides');
UPDATE oms.refund SET moved = 70 WHERE refund_id = :r;
SET LOCAL session_replication_role = origin;
SELECT is_empty('SELECT * FROM oms.verify_payment', 'sound again');

SELECT * FROM finish();
ROLLBACK;
