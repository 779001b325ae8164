-- A refund granted while captures were on their way is asked for as each of them arrives, to the last cent.
BEGIN;
SELECT plan(6);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Advice', 'service');
SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 4, "unit_price": 10}]}') AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 40, 'a');
SELECT oms.capture(1, :p, 15);
SELECT oms.capture(1, :p, 20);
SELECT oms.cancel_order(1, :o);
SELECT results_eq('SELECT amount, pending, state FROM oms.refund', $$ VALUES (35.00, 0.00, 'granted') $$, 'granted, nothing to take it from yet');
SELECT oms.record_payment_event(1, :p, 'captured', 15, 'c1');
SELECT results_eq('SELECT amount, pending, state FROM oms.refund', $$ VALUES (35.00, 15.00, 'requested') $$, 'the first capture goes back');
SELECT oms.record_payment_event(1, :p, 'captured', 20, 'c2');
SELECT results_eq('SELECT amount, pending, state FROM oms.refund', $$ VALUES (35.00, 35.00, 'requested') $$, 'and the second');
SELECT is((SELECT refund_due FROM oms.payment_balance WHERE order_id = :o), 0.00, 'none waits');
SELECT is((SELECT count(*) FROM oms.task WHERE kind = 'refund'), 2::bigint, 'a task for each');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
