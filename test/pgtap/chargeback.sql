-- Chargebacks hold the order and are no refund; over- and underpayment within the tolerance of the channel.
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 81, 'pay-eur', 'Euro', 'EUR');
INSERT INTO oms.item (merchant_id, sku, title) VALUES (1, 'PAY-1', 'Thing');
CREATE FUNCTION pg_temp.new_order(total numeric, units int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', 'pay-eur', 'allocation', 'none', 'tax_included', true, 'email', 'pay@example.test',
		'ship_to', '{"name": "Pay Er", "street": "1 High Street", "city": "Town", "postcode": "1", "country": "DE"}'::jsonb,
		'lines', jsonb_build_array(jsonb_build_object('sku', 'PAY-1', 'quantity', units, 'unit_price', (total / units)::text)))) $$;
CREATE FUNCTION pg_temp.paid(o bigint, total numeric, method text DEFAULT 'transfer') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.record_payment_event(1, NULL, 'captured', total, 'ch', '2026-01-01 00:00Z', gateway => 'bank', gateway_reference => method || o, order_id => o, method => method) $$;
CREATE FUNCTION pg_temp.state(o bigint) RETURNS text LANGUAGE sql AS $$ SELECT payment_state FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.held(o bigint) RETURNS boolean LANGUAGE sql AS $$
	SELECT EXISTS (SELECT FROM oms.order_hold WHERE merchant_id = 1 AND order_id = o AND kind = 'chargeback' AND released_at IS NULL) $$;

-- 1. A chargeback lowers what is paid, holds the order, and is no refund; won, all is as before.
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.paid(:o, 100) AS p \gset
SELECT oms.record_payment_event(1, :p, 'charged_back', 40, 'd1', '2026-01-02 00:00Z');
SELECT is(pg_temp.state(:o), 'partial', 'less is paid');
SELECT is((SELECT (charged_back, refunded) FROM oms.payment WHERE payment_id = :p), (40.00, 0.00), 'and nothing refunded');
SELECT is((SELECT count(*) FROM oms.refund WHERE order_id = :o), 0::bigint, 'no refund is granted');
SELECT is((SELECT blocks FROM oms.order_hold WHERE order_id = :o AND kind = 'chargeback'), '{confirm,pick,ship,capture,refund}', 'the order is held: nothing goes after the money');
SELECT throws_ok(format('SELECT oms.refund(1, %s, 10)', :p), 'OM005', NULL, 'a refund would pay twice');
SELECT is((SELECT (amount, lost, state) FROM oms.chargebacks WHERE order_id = :o), (40.00, 40.00, 'taken'::text), 'listed');
SELECT oms.record_payment_event(1, :p, 'charged_back', 60, 'd2', '2026-01-03 00:00Z');
SELECT oms.record_payment_event(1, :p, 'chargeback_reversed', NULL, 'd1', '2026-01-04 00:00Z');
SELECT ok(pg_temp.held(:o), 'one of two is won: held still');
SELECT oms.record_payment_event(1, :p, 'chargeback_reversed', 60, 'd2', '2026-01-04 00:00Z');
SELECT ok(NOT pg_temp.held(:o), 'both are won: released');
SELECT is(pg_temp.state(:o), 'paid', 'and paid again');
SELECT results_eq(format('SELECT reference, lost, state FROM oms.chargebacks WHERE order_id = %s ORDER BY 1', :o), $$VALUES ('d1', 0.00, 'won'), ('d2', 0.00, 'won')$$, 'nothing is lost');
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.paid(:o, 100) AS p \gset
SELECT oms.record_payment_event(1, :p, 'chargeback_reversed', NULL, 'd1', '2026-01-04 00:00Z');
SELECT oms.record_payment_event(1, :p, 'charged_back', 40, 'd1', '2026-01-02 00:00Z');
SELECT is((SELECT (pg_temp.held(:o), pg_temp.state(:o))), (false, 'paid'::text), 'told in the other order: the same');
SELECT oms.record_payment_event(1, :p, 'charged_back', 10, 'd2', '2026-01-05 00:00Z');
SELECT oms.record_payment_event(1, :p, 'chargeback_reversed', 4, 'd2', '2026-01-06 00:00Z');
SELECT is((SELECT (lost, state) FROM oms.chargebacks WHERE order_id = :o AND reference = 'd2'), (6.00, 'won_in_part'::text), 'won in part');
SELECT oms.release_hold(1, :o, 'chargeback');
SELECT oms.record_payment_event(1, :p, 'charged_back', 10, 'd2', '2026-01-05 00:00Z');
SELECT ok(NOT pg_temp.held(:o), 'released by hand, it is not held for what was known');
SELECT oms.record_payment_event(1, :p, 'charged_back', 1, 'd3', '2026-01-07 00:00Z');
SELECT ok(pg_temp.held(:o), 'but for more');

-- The same random disputes in two orders, some of them told several times: the same amounts, and held exactly while money is gone.
CREATE TEMP TABLE dispute (a bigint, b bigint, oa bigint, ob bigint);
CREATE FUNCTION pg_temp.disputes(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE oa bigint; ob bigint; a bigint; b bigint; side int; f record;
BEGIN
	PERFORM setseed(0.1);
	CREATE TEMP TABLE fact (kind text, reference text, amount numeric, at timestamptz, UNIQUE (kind, reference));
	FOR i IN 1 .. n LOOP
		oa := pg_temp.new_order(1000); ob := pg_temp.new_order(1000);
		a := pg_temp.paid(oa, 1000); b := pg_temp.paid(ob, 1000);
		INSERT INTO dispute VALUES (a, b, oa, ob);
		DELETE FROM fact;
		INSERT INTO fact SELECT CASE WHEN random() < 0.5 THEN 'charged_back' ELSE 'chargeback_reversed' END, 'd' || (random() * 2)::int,
			100 * (1 + (random() * 2)::int), timestamptz '2026-01-02 00:00Z' + (random() * 3)::int * interval '1 s'
		FROM generate_series(1, 6) ON CONFLICT DO NOTHING;
		FOR side IN 1 .. 2 LOOP
			FOR f IN SELECT fact.* FROM fact, generate_series(1, 1 + (random() * 2)::int) ORDER BY random() LOOP
				PERFORM oms.record_payment_event(1, CASE side WHEN 1 THEN a ELSE b END, f.kind, f.amount, f.reference, f.at);
			END LOOP;
		END LOOP;
	END LOOP;
END $$;
SELECT pg_temp.disputes(60);
SELECT is_empty($$SELECT a, b FROM dispute WHERE (SELECT (charged_back, captured, refunded) FROM oms.payment WHERE payment_id = a)
	IS DISTINCT FROM (SELECT (charged_back, captured, refunded) FROM oms.payment WHERE payment_id = b)$$, 'the same amounts whatever the order');
SELECT is_empty($$SELECT o, p FROM dispute, LATERAL (VALUES (oa, a), (ob, b)) v(o, p)
	WHERE pg_temp.held(o) <> ((SELECT charged_back FROM oms.payment WHERE payment_id = p) > 0)$$, 'held exactly while money is gone');

-- 2. Tolerance per channel; the difference is never spent by itself.
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 82, 'strict', 'No tolerance', 'EUR');
INSERT INTO oms.payment_tolerance (merchant_id, channel_id, under, over) VALUES (1, 81, 0.50, 1);
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.paid(:o, 99.50) \g /dev/null
SELECT is(pg_temp.state(:o), 'paid', 'as little less as the channel tolerates');
SELECT is((SELECT (difference, verdict) FROM oms.payment_difference WHERE order_id = :o), (-0.50, 'within'::text), 'but the difference is to be seen');
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.paid(:o, 99.49) \g /dev/null
SELECT is((SELECT (pg_temp.state(:o), verdict) FROM oms.payment_difference WHERE order_id = :o), ('partial'::text, 'under'::text), 'a cent less');
SELECT pg_temp.new_order(100) AS o \gset
SELECT pg_temp.paid(:o, 101) AS p \gset
SELECT is((SELECT (pg_temp.state(:o), difference, verdict) FROM oms.payment_difference WHERE order_id = :o), ('paid'::text, 1.00, 'within'::text), 'as much more');
SELECT is_empty(format('SELECT * FROM oms.payment_anomaly WHERE order_id = %s', :o), 'is no anomaly');
SELECT pg_temp.new_order(100) AS over \gset
SELECT pg_temp.paid(:over, 110) AS p \gset
SELECT is((SELECT (pg_temp.state(:over), difference, verdict) FROM oms.payment_difference WHERE order_id = :over), ('overpaid'::text, 10.00, 'over'::text), 'more than that is overpaid');
SELECT is((SELECT count(*) FROM oms.payment_anomaly WHERE order_id = :over AND anomaly = 'overpaid'), 1::bigint, 'and an anomaly');
SELECT pg_temp.new_order(100) AS o \gset
SELECT oms.cancel_order(1, :o);
SELECT is((SELECT (captured, refunded, refund_pending) FROM oms.payment WHERE payment_id = :p), (110.00, 0.00, 0.00), 'what was paid too much is neither refunded nor spent by itself');
SELECT is((SELECT payment_state FROM oms.sales_order WHERE order_id = :o), 'none', 'not for another order either');
UPDATE oms.payment_tolerance SET over = 50 WHERE merchant_id = 1 AND channel_id = 81;
SELECT is_empty('SELECT * FROM oms.verify(1)', 'a payment keeps the tolerance it was made with');
SELECT is(oms.refund(1, :p, 10) > 0, true, 'it is given back by hand');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
