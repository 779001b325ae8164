-- Gift cards and store credit: spending under guard, giving back to the same account, expiry, liability, split payments.
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 81, 'pay-eur', 'Euro', 'EUR'), (1, 82, 'pay-jpy', 'Yen', 'JPY');
INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 801, 'Ann'), (1, 802, 'Bob');
INSERT INTO oms.item (merchant_id, sku, title) VALUES (1, 'PAY-1', 'Thing');
SELECT oms.receive_stock(1, item_id, 1, 100, 'opening stock') FROM oms.item WHERE merchant_id = 1 AND sku = 'PAY-1';
CREATE FUNCTION pg_temp.new_order(total numeric, units int DEFAULT 1, channel text DEFAULT 'pay-eur', customer bigint DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_strip_nulls(jsonb_build_object('channel', channel, 'allocation', 'none', 'tax_included', true, 'email', 'pay@example.test', 'customer', customer,
		'ship_to', '{"name": "Pay Er", "street": "1 High Street", "city": "Town", "postcode": "1", "country": "DE"}'::jsonb,
		'lines', jsonb_build_array(jsonb_build_object('sku', 'PAY-1', 'quantity', units, 'unit_price', (total / units)::text))))) $$;
CREATE FUNCTION pg_temp.balance(a bigint) RETURNS numeric LANGUAGE sql AS $$ SELECT balance FROM oms.credit_account WHERE merchant_id = 1 AND account_id = a $$;
CREATE FUNCTION pg_temp.sound() RETURNS boolean LANGUAGE sql AS $$
	SELECT (SELECT sum(liability) FROM oms.credit_liability WHERE merchant_id = 1)
		= (SELECT sum(balance) FROM oms.credit_account WHERE merchant_id = 1)
			+ (SELECT coalesce(sum(authorized - voided - expired - captured), 0) FROM oms.payment WHERE merchant_id = 1 AND account_id IS NOT NULL)
		AND NOT EXISTS (SELECT FROM oms.verify(1)) $$;

-- 1. Codes are kept as hashes alone.
SELECT oms.new_code() AS code \gset
SELECT matches(:'code'::text, '^[A-HJ-NP-Z2-9]{24}$', 'a code has 24 letters and digits that do not look alike');
SELECT isnt(oms.new_code(), :'code'::text, 'and is another each time');
SELECT oms.issue_gift_card(1, :'code', 100, 'EUR', request_key => 'card 1') AS card \gset
SELECT is(oms.issue_gift_card(1, :'code', 100, 'EUR', request_key => 'card 1'), :card::bigint, 'the same key: one card');
SELECT throws_ok(format('SELECT oms.issue_gift_card(1, %L, 100, %L)', :'code', 'EUR'), 'OM008', NULL, 'a code names one card');
SELECT throws_ok($$SELECT oms.issue_gift_card(1, 'SHORT', 100, 'EUR')$$, 'OM011', NULL, 'a short code is refused');
SELECT throws_ok($$SELECT oms.issue_gift_card(1, oms.new_code(), 0, 'EUR')$$, 'OM011', NULL, 'a card over nothing too');
SELECT throws_ok($$SELECT oms.issue_gift_card(1, oms.new_code(), 1, 'QQQ')$$, 'OM012', NULL, 'or in no currency');
SELECT throws_ok($$SELECT oms.issue_gift_card(1, oms.new_code(), 1, 'EUR', now() - interval '1 day')$$, 'OM011', NULL, 'or past its end');
SELECT is_empty(format('SELECT c.relname FROM pg_class c, query_to_xml(format(%L, c.relname), true, false, %L) x WHERE c.relnamespace = %L::regnamespace AND c.relkind = %L AND x::text LIKE %L',
	'SELECT * FROM oms.%I', '', 'oms', 'r', '%' || :'code' || '%'), 'no table has the code');
SELECT is((SELECT (b.account_id, b.balance, b.state) FROM oms.credit_balance(1, lower(:'code')) b), (:card::bigint, 100.00, 'usable'::text), 'who knows the code sees what is on it');
SELECT is_empty($$SELECT * FROM oms.credit_balance(1, 'ABCDEFGHJKLMNPQR')$$, 'who does not sees nothing');

-- 2. Spent, captured on shipment, refunded to the same card.
SELECT pg_temp.new_order(80, 4) AS o \gset
SELECT oms.pay_with_credit(1, :o, :'code', request_key => 'pay 1') AS p \gset
SELECT is(oms.pay_with_credit(1, :o, :'code', request_key => 'pay 1'), :p::bigint, 'the same key: spent once');
SELECT is(pg_temp.balance(:card), 20.00, 'what the order owes is gone from the card at once');
SELECT is((SELECT payment_state FROM oms.sales_order WHERE order_id = :o), 'authorized', 'and the order is authorized');
SELECT is((SELECT (held, state) FROM oms.credit_accounts WHERE account_id = :card), (80.00, 'usable'::text), 'held until it is captured');
SELECT is((SELECT count(*) FROM oms.task WHERE subject_type = 'payment' AND subject_id = :p), 0::bigint, 'nobody outside is asked');
SELECT oms.capture(1, :p, 60);
SELECT is((SELECT (captured, capture_pending) FROM oms.payment WHERE payment_id = :p), (60.00, 0.00), 'a capture is answered at once');
SELECT oms.refund(1, :p, 25) AS r \gset
SELECT is((SELECT (state, moved) FROM oms.refund WHERE refund_id = :r), ('done'::text, 25.00), 'a refund too');
SELECT is(pg_temp.balance(:card), 45.00, 'and comes back to the card');
SELECT throws_ok(format('SELECT oms.refund(1, %s, 35.01)', :p), 'OM007', NULL, 'never more than was captured');
SELECT oms.void(1, :p);
SELECT is(pg_temp.balance(:card), 65.00, 'a void gives back what was held');
SELECT ok(pg_temp.sound(), 'the liability is the sum of the balances and of what is held');
SELECT throws_ok(format('SELECT oms.record_payment_event(1, %s, %L, 100, %L)', :p, 'captured', 'x'), 'OM007', NULL, 'there is no gateway that could go beyond');
SELECT throws_ok(format('SELECT oms.record_payment_event(1, %s, %L, 10, %L)', :p, 'charged_back', 'x'), 'OM007', NULL, 'nor charge back');
SELECT throws_ok(format('SELECT oms.reauthorize(1, %s)', :p), 'OM008', NULL, 'nor lapse');
SELECT pg_temp.new_order(60, 2) AS o \gset
SELECT oms.pay_with_credit(1, :o, :'code') AS p \gset
SELECT oms.cancel_order(1, :o);
SELECT is(pg_temp.balance(:card), 65.00, 'a cancelled order gives all back');

-- Capture on shipment, by rank: the card pays first, and is taken from at once.
INSERT INTO oms.payment_method (merchant_id, method, charge_rank) VALUES (1, 'gift_card', 1);
SELECT oms.place_order(1, '{"channel": 1, "tax_included": true, "email": "pay@example.test", "ship_to": {"name": "Pay Er", "street": "1 High Street", "city": "Town", "postcode": "1", "country": "DE"},
	"lines": [{"sku": "PAY-1", "quantity": 2, "unit_price": "40"}]}') AS o \gset
SELECT oms.split_payment(1, :o, jsonb_build_array(jsonb_build_object('method', 'card', 'amount', '20'), jsonb_build_object('code', :'code', 'amount', '60')));
SELECT oms.record_payment_event(1, payment_id, 'authorized', 20, 'a') FROM oms.payment WHERE order_id = :o AND method = 'card';
SELECT oms.ship_order(1, :o);
SELECT results_eq(format('SELECT method, captured, capture_pending FROM oms.payment WHERE order_id = %s ORDER BY method', :o),
	$$VALUES ('card', 0.00, 20.00), ('gift_card', 60.00, 0.00)$$, 'shipped: the card''s share is captured, the gateway is asked for the rest');
SELECT oms.refund(1, payment_id, 60) FROM oms.payment WHERE order_id = :o AND method = 'gift_card';
SELECT is(pg_temp.balance(:card), 65.00, 'and it has it all again');
DELETE FROM oms.payment_method WHERE merchant_id = 1;

-- 3. Limits.
SELECT pg_temp.new_order(100) AS o \gset
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, %L, amount => 65.01)', :o, :'code'), 'OM007', NULL, 'not more than the balance');
SELECT oms.pay_with_credit(1, :o, :'code') AS p \gset
SELECT is((SELECT (authorized, pg_temp.balance(:card)) FROM oms.payment WHERE payment_id = :p), (65.00, 0.00), 'without an amount: what is on it');
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, %L)', :o, :'code'), 'OM007', NULL, 'an empty card pays nothing');
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, %L)', :o, 'NOSUCHCODEATALL'), 'OM002', NULL, 'an unknown code');
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, account_id => %s)', :o, :card), 'OM008', NULL, 'a card is not spent without its code');
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s)', :o), 'OM011', NULL, 'nor nothing at all');
SELECT oms.adjust_credit(1, :card, 50, reason => 'promised on the phone');
SELECT throws_ok(format('SELECT oms.adjust_credit(1, %s, -50.01)', :card), 'OM007', NULL, 'an adjustment does not go below nothing');
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, %L)', pg_temp.new_order(100, 1, 'pay-jpy'), :'code'), 'OM012', NULL, 'another currency');
SELECT oms.block_credit(1, :card);
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, %L, amount => 1)', :o, :'code'), 'OM008', NULL, 'a blocked card is not spent');
SELECT oms.void(1, :p);
SELECT is(pg_temp.balance(:card), 115.00, 'but gets back what was taken');
SELECT oms.block_credit(1, :card, false);
SELECT throws_ok(format('UPDATE oms.credit_account SET balance = 1000 WHERE account_id = %s', :card), 'OM009', NULL, 'no balance is typed');
SELECT throws_ok(format('INSERT INTO oms.credit_entry (merchant_id, account_id, at, amount, balance, kind, actor) VALUES (1, %s, now(), 1, 1, %L, %L)', :card, 'adjust', 'me'), 'OM009', NULL, 'nor an entry');

-- 4. Store credit belongs to a customer; expiry.
SELECT oms.issue_store_credit(1, 801, 30, 'EUR', oms.clock() + interval '30 days') AS credit \gset
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, account_id => %s)', pg_temp.new_order(10, 1, 'pay-eur', 802), :credit), 'OM008', NULL, 'another customer''s order');
SELECT throws_ok($$SELECT oms.issue_store_credit(1, 899, 30, 'EUR')$$, 'OM002', NULL, 'a customer that is not there');
SELECT pg_temp.new_order(10, 1, 'pay-eur', 801) AS o \gset
SELECT oms.pay_with_credit(1, :o, account_id => :credit) AS p \gset
SELECT is(pg_temp.balance(:credit), 20.00, 'his own');
SET LOCAL oms.test_clock = '2100-01-01 00:00Z';
SELECT throws_ok(format('SELECT oms.pay_with_credit(1, %s, account_id => %s)', pg_temp.new_order(10, 1, 'pay-eur', 801), :credit), 'OM008', NULL, 'past its end it is not spent');
SELECT is((SELECT expired FROM oms.credit_liability WHERE merchant_id = 1 AND kind = 'store_credit'), 20.00, 'the report tells what is to be written off');
SELECT is(oms.expire_credit(1), 1::bigint, 'written off');
SELECT is(oms.expire_credit(1), 0::bigint, 'once');
SELECT is(pg_temp.balance(:credit), 0.00, 'nothing is left');
SELECT oms.void(1, :p);
SELECT is(pg_temp.balance(:credit), 10.00, 'what an order gives back comes to the same account still');
SELECT oms.extend_credit(1, :credit, oms.clock() + interval '1 year');
SELECT is((SELECT state FROM oms.credit_accounts WHERE account_id = :credit), 'usable', 'another end');
RESET oms.test_clock;
SELECT ok(pg_temp.sound(), 'sound');

-- 5. Several means at once, exactly.
SELECT pg_temp.new_order(200) AS o \gset
SELECT throws_ok(format('SELECT oms.split_payment(1, %s, %L)', :o, '[{"method": "card", "amount": "100"}, {"method": "cash", "amount": "99.99"}]'), 'OM007', NULL, 'a cent is missing');
SELECT throws_ok(format('SELECT oms.split_payment(1, %s, %L)', :o, '[{"method": "card"}, {"method": "cash"}]'), 'OM003', NULL, 'one pays the rest, not two');
SELECT throws_ok(format('SELECT oms.split_payment(1, %s, %L)', :o, '{"method": "card"}'), 'OM003', NULL, 'a list is asked for');
SELECT throws_ok(format('SELECT oms.split_payment(1, %s, %L)', :o, jsonb_build_array(jsonb_build_object('code', :'code'))), 'OM007', NULL, 'the card alone has not enough');
SELECT is(pg_temp.balance(:card), 115.00, 'and nothing of it is taken');
SELECT is(oms.split_payment(1, :o, jsonb_build_array(jsonb_build_object('method', 'card', 'gateway', 'stripe'), jsonb_build_object('code', :'code'), '{"method": "cash", "amount": "15.50"}'::jsonb), 'split'), 3::bigint, 'three means');
SELECT results_eq(format('SELECT method, amount FROM oms.payment WHERE order_id = %s ORDER BY amount', :o), $$VALUES ('cash', 15.50), ('card', 69.50), ('gift_card', 115.00)$$, 'sum to the order''s total');
SELECT is((SELECT sum(authorized + authorize_pending) FROM oms.payment WHERE order_id = :o), 200.00, 'exactly');
SELECT is(oms.split_payment(1, :o, jsonb_build_array(jsonb_build_object('method', 'card', 'gateway', 'stripe'), jsonb_build_object('code', :'code'), '{"method": "cash", "amount": "15.50"}'::jsonb), 'split'), 3::bigint, 'the same key: nothing more');
SELECT ok(pg_temp.sound(), 'sound again');

-- 6. Any sequence of orders, captures, voids, refunds and cancellations leaves liability and fold in step.
CREATE FUNCTION pg_temp.run(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE done int := 0; p bigint; code text := oms.new_code();
BEGIN
	PERFORM setseed(0.7);
	PERFORM oms.issue_gift_card(1, code, 500, 'EUR');
	FOR i IN 1 .. n LOOP
		SELECT payment_id INTO p FROM oms.payment WHERE merchant_id = 1 AND account_id IS NOT NULL ORDER BY random() LIMIT 1;
		BEGIN
			CASE (random() * 5)::int
				WHEN 0, 5 THEN PERFORM oms.pay_with_credit(1, pg_temp.new_order((1 + random() * 100)::numeric(9,2)), code);
				WHEN 1 THEN PERFORM oms.capture(1, p, (0.01 + random() * 60)::numeric(9,2), rest => (ARRAY['keep', 'release', 'expire'])[1 + (random() * 2)::int]);
				WHEN 2 THEN PERFORM oms.void(1, p, (0.01 + random() * 60)::numeric(9,2));
				WHEN 3 THEN PERFORM oms.refund(1, p, (0.01 + random() * 60)::numeric(9,2));
				ELSE PERFORM oms.cancel_order(1, (SELECT order_id FROM oms.payment WHERE payment_id = p));
			END CASE;
			done := done + 1;
		EXCEPTION WHEN SQLSTATE 'OM007' OR SQLSTATE 'OM008' OR SQLSTATE 'OM004' THEN NULL;
		END;
	END LOOP;
	RETURN done;
END $$;
SELECT cmp_ok(pg_temp.run(200), '>', 50, 'random steps, most of them done');
SELECT ok(pg_temp.sound(), 'balances, entries and folds agree');

-- 7. Each invariant is found when broken.
CREATE FUNCTION pg_temp.said(statement text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE found text[];
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE statement;
	SET LOCAL session_replication_role = origin;
	SELECT array_agg(DISTINCT rule) INTO found FROM oms.verify(1) WHERE rule LIKE 'credit%';
	RAISE EXCEPTION USING errcode = 'XX999', message = found::text;
EXCEPTION WHEN SQLSTATE 'XX999' THEN RETURN SQLERRM::text[];
END $$;
SELECT is(pg_temp.said(format('UPDATE oms.credit_account SET balance = balance + 1 WHERE account_id = %s', :card)), '{credit_balance}', 'a balance that is not the sum of its entries');
SELECT is(pg_temp.said(format('UPDATE oms.credit_entry SET amount = amount - 1 WHERE payment_id = %s AND kind = %L', :p, 'spend')), '{credit_balance,credit_payment}', 'an entry that is not what its payment took');
SELECT is(pg_temp.said(format('UPDATE oms.credit_account SET currency = %L WHERE account_id = %s', 'USD', :card)), '{credit_currency}', 'a payment in another currency than its account');

SELECT * FROM finish();
ROLLBACK;
