-- Pay links: a token with an end and an amount; reuse and a stale amount are refused.
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 81, 'pay-eur', 'Euro', 'EUR');
INSERT INTO oms.item (merchant_id, sku, title) VALUES (1, 'PAY-1', 'Thing');
CREATE FUNCTION pg_temp.new_order(total numeric, units int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', 'pay-eur', 'allocation', 'none', 'tax_included', true, 'email', 'pay@example.test',
		'ship_to', '{"name": "Pay Er", "street": "1 High Street", "city": "Town", "postcode": "1", "country": "DE"}'::jsonb,
		'lines', jsonb_build_array(jsonb_build_object('sku', 'PAY-1', 'quantity', units, 'unit_price', (total / units)::text)))) $$;
CREATE FUNCTION pg_temp.link(o bigint, token text, amount numeric DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.create_pay_link(1, o, token, oms.clock() + interval '2 days', amount) $$;
CREATE FUNCTION pg_temp.state(l bigint) RETURNS text LANGUAGE sql AS $$ SELECT state FROM oms.pay_links WHERE merchant_id = 1 AND link_id = l $$;

SELECT oms.new_code() AS token, pg_temp.new_order(100, 4) AS o \gset
SELECT oms.create_pay_link(1, :o, :'token', oms.clock() + interval '2 days', request_key => 'link') AS l \gset
SELECT is(oms.create_pay_link(1, :o, :'token', oms.clock() + interval '2 days', request_key => 'link'), :l::bigint, 'the same key: one link');
SELECT throws_ok(format('SELECT pg_temp.link(%s, %L)', :o, :'token'), 'OM008', NULL, 'a token names one link');
SELECT throws_ok(format('SELECT pg_temp.link(%s, %L)', :o, 'guess me'), 'OM011', NULL, 'a short token is refused');
SELECT throws_ok(format('SELECT pg_temp.link(%s, oms.new_code(), 100.01)', :o), 'OM007', NULL, 'nor is it over more than is owed');
SELECT is((SELECT (amount, currency, state) FROM oms.pay_link(1, :'token')), (100.00, 'EUR'::text, 'open'::text), 'who has the token sees what it is over');
SELECT is_empty(format('SELECT FROM oms.pay_link(1, %L)', 'x' || :'token'), 'who has another sees nothing');
SELECT throws_ok(format('SELECT oms.use_pay_link(1, %L, %L)', 'x' || :'token', 'card'), 'OM002', NULL, 'and pays nothing');

-- used once; a refusal opens it again
SELECT oms.use_pay_link(1, :'token', 'card', 'stripe', request_key => 'click') AS p \gset
SELECT is(oms.use_pay_link(1, :'token', 'card', 'stripe', request_key => 'click'), :p::bigint, 'a click repeated: one payment');
SELECT is((SELECT (amount, authorize_pending) FROM oms.payment WHERE payment_id = :p), (100.00, 100.00), 'over the amount of the link');
SELECT throws_ok(format('SELECT oms.use_pay_link(1, %L, %L)', :'token', 'card'), 'OM008', NULL, 'a second click is refused');
SELECT throws_ok(format('SELECT oms.cancel_pay_link(1, %s)', :l), 'OM008', NULL, 'and it is too late to cancel it');
SELECT oms.record_payment_event(1, :p, 'authorization_failed', NULL, 'a1');
SELECT is(pg_temp.state(:l), 'open', 'the card was refused: it can be used again');
SELECT oms.use_pay_link(1, :'token', 'card', 'stripe') AS p \gset
SELECT oms.record_payment_event(1, :p, 'captured', 100, 'c1');
SELECT is(pg_temp.state(:l), 'used', 'paid');
SELECT throws_ok(format('SELECT oms.use_pay_link(1, %L, %L)', :'token', 'card'), 'OM008', NULL, 'once and for all');

-- stale
SELECT oms.new_code() AS whole, oms.new_code() AS part, pg_temp.new_order(100, 4) AS o \gset
SELECT pg_temp.link(:o, :'whole') AS w, pg_temp.link(:o, :'part', 60) AS l \gset
SELECT oms.cancel_line(1, :o, 1, 1);
SELECT is((SELECT (pg_temp.state(:w), pg_temp.state(:l))), ('stale'::text, 'open'::text), 'the order owes less: a link over the whole is stale, one over a part it still owes is not');
SELECT throws_ok(format('SELECT oms.use_pay_link(1, %L, %L)', :'whole', 'card'), 'OM007', NULL, 'a stale amount is refused');
SELECT oms.cancel_line(1, :o, 1, 1);
SELECT throws_ok(format('SELECT oms.use_pay_link(1, %L, %L)', :'part', 'card'), 'OM007', NULL, 'the part too once less is owed');
SELECT oms.cancel_order(1, :o);
SELECT is(pg_temp.state(:l), 'stale', 'a cancelled order owes nothing');
SELECT throws_ok(format('SELECT pg_temp.link(%s, oms.new_code())', :o), 'OM008', NULL, 'and gets no link');

-- end and cancellation
SELECT oms.new_code() AS token, oms.new_code() AS other, pg_temp.new_order(100) AS o \gset
SELECT pg_temp.link(:o, :'token') AS l, pg_temp.link(:o, :'other') AS m \gset
SELECT oms.cancel_pay_link(1, :m);
SELECT throws_ok(format('SELECT oms.use_pay_link(1, %L, %L)', :'other', 'card'), 'OM008', NULL, 'a cancelled link');
SET LOCAL oms.test_clock = '2100-01-01 00:00Z';
SELECT throws_ok(format('SELECT oms.use_pay_link(1, %L, %L)', :'token', 'card'), 'OM008', NULL, 'one past its end');
RESET oms.test_clock;
SELECT throws_ok(format('UPDATE oms.pay_link SET amount = 1 WHERE link_id = %s', :l), 'OM009', NULL, 'no link is typed');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
