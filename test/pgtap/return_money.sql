-- One command that voids or refunds whatever is right, and what we owe where nothing was paid.
BEGIN;
SELECT plan(19);
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(rest text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"lines":[{"item":1,"quantity":2,"unit_price":"50","tax_rate":"0.25"}]' || rest || '}')::jsonb) $$;
CREATE FUNCTION pg_temp.money(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('auth %s cap %s void %s refund %s', trim_scale(authorized), trim_scale(captured), trim_scale(void_pending), trim_scale(refund_pending)), '; ' ORDER BY payment_id)
	FROM oms.payment WHERE order_id = o $$;
CREATE FUNCTION pg_temp.refunds(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s tax %s %s', cause, trim_scale(amount), trim_scale(tax), state), '; ' ORDER BY refund_id) FROM oms.refund WHERE order_id = o $$;

-- Two authorizations, one too many; then captured money
SELECT pg_temp.place() AS o \gset
SELECT oms.record_payment_event(1, NULL, 'authorized', 100, 'a1', gateway => 'g', gateway_reference => 'a1', order_id => :o) \g /dev/null
SELECT oms.record_payment_event(1, NULL, 'authorized', 40, 'a2', gateway => 'g', gateway_reference => 'a2', order_id => :o) \g /dev/null
SELECT is(oms.return_money(1, :o, 15, request_key => 'k'), 15.00, 'what is only authorized is voided');
SELECT is(oms.return_money(1, :o, 15, request_key => 'k'), 15.00, 'once');
SELECT throws_ok(format('SELECT oms.return_money(1, %s, 16, request_key => ''k'')', :o), 'OM010', NULL, 'for that alone');
SELECT is(pg_temp.money(:o), 'auth 100 cap 0 void 0 refund 0; auth 40 cap 0 void 15 refund 0', 'the newest first');
SELECT throws_ok(format('SELECT oms.return_money(1, %s, 26)', :o), 'OM007', NULL, 'what it owes and is not captured is not given up');
SELECT is(pg_temp.money(:o), 'auth 100 cap 0 void 0 refund 0; auth 40 cap 0 void 15 refund 0', 'all or nothing');
SELECT is(oms.return_money(1, :o), 25.00, 'without an amount all that is too much');
SELECT throws_ok(format('SELECT oms.return_money(1, %s)', :o), 'OM007', NULL, 'then nothing is');

-- Captured: overpaid first, then goodwill
SELECT pg_temp.place() AS o2 \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 130, 'c1', gateway => 'g', gateway_reference => 'p1', order_id => :o2) AS p3 \gset
SELECT is(oms.return_money(1, :o2, 50, reason => 'scratch'), 0.00, 'nothing to void');
SELECT is(pg_temp.refunds(:o2), 'cancel 30 tax 0 requested; manual 20 tax 4 requested', 'what was paid too much has no tax in it, goodwill has');
SELECT is((SELECT owed || ' ' || due FROM oms.payment_balance WHERE order_id = :o2), '80.00 0.00', 'the order is even');
SELECT throws_ok(format('SELECT oms.return_money(1, %s, 80.01)', :o2), 'OM007', NULL, 'no more than is captured');
SELECT is(oms.return_money(1, :o2, 80), 0.00, 'all of it');
SELECT oms.hold(1, :o2, 'manual', 'wait', '{refund}') \g /dev/null
SELECT throws_ok(format('SELECT oms.return_money(1, %s, 1)', :o2), 'OM005', NULL, 'not while a hold blocks it');
SELECT throws_ok(format('SELECT oms.return_money(1, %s, -1)', :o), 'OM011', NULL, 'a positive amount');
SELECT throws_ok('SELECT oms.return_money(1, 4711, 1)', 'OM002', NULL, 'of an order');

-- Credits beyond the price
SELECT pg_temp.place(',"charges":[{"kind":"adjustment","amount":"-120"}]') AS o3 \gset
SELECT is((SELECT total FROM oms.sales_order WHERE order_id = :o3) < 0, true, 'an order over less than nothing');
SELECT is((SELECT owed_to_customer = -total AND owed = 0 FROM oms.payment_balance WHERE order_id = :o3), true, 'is what we owe');
SELECT is((SELECT string_agg(rule || ' ' || object || ' ' || expected || ' ' || found, '; ') FROM oms.verify(1)), NULL, 'and everything is sound');
SELECT * FROM finish();
ROLLBACK;
