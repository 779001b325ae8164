-- Retention of tasks, messages and what was received: what is done goes, what waits stays.
BEGIN;
SELECT plan(13);
SET LOCAL oms.test_clock = '2026-03-01 12:00+00';
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Advice', 'service');
INSERT INTO oms.message_template (merchant_id, kind, subject, body) VALUES (1, 'confirmation', 'Order {{number}}', 'Thanks');
CREATE FUNCTION pg_temp.place() RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, '{"channel":1,"email":"a@example.com","lines":[{"item":1,"quantity":1,"unit_price":"5"}]}') $$;
CREATE FUNCTION pg_temp.work(kind text, n int) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(oms.complete_task(1, task_id, lease)) FROM oms.claim_tasks(1, kind, n) $$;
SELECT pg_temp.place() AS closed \gset
SELECT pg_temp.place() AS open \gset
SELECT pg_temp.work('send_message', 2) \g /dev/null
SELECT pg_temp.place() AS unsent \gset
SELECT oms.complete_services(1, :closed), oms.complete_services(1, :unsent) \g /dev/null
SELECT oms.add_task(1, 'x', dedup_key => 'done') \g /dev/null
SELECT pg_temp.work('x', 1) \g /dev/null
SELECT oms.add_task(1, 'x', dedup_key => 'ready') \g /dev/null
SELECT oms.receive_message(1, 'shop', 'm1', '{}'), oms.receive_message(1, 'shop', 'm2', '{}'), oms.receive_message(1, 'shop', 'm2', '{"other": 1}') \g /dev/null
UPDATE oms.task SET done_at = '2026-03-01 12:00+00' WHERE state = 'done';

SELECT is((SELECT p::text FROM oms.purge_work(1, '2026-03-01 12:00+00') p), '(0,0,0)', 'of that very instant nothing goes');
SELECT throws_ok($$SELECT oms.purge_work(1, '2026-03-02')$$, 'OM011', NULL, 'nor what is to come');
SELECT throws_ok($$SELECT oms.purge_work(1, NULL)$$, 'OM011', NULL, 'an instant is needed');
SELECT throws_ok($$SELECT oms.purge_work(99, '2026-01-01')$$, 'OM002', NULL, 'and a merchant');
SET LOCAL oms.test_clock = '2027-03-01 12:00+00';
CREATE TEMP TABLE first AS SELECT * FROM oms.purge_work(1, '2027-01-01');
SELECT is((SELECT tasks FROM first), 2::bigint, 'a task of ours, and the sending of one message');
SELECT is((SELECT string_agg(order_id::text, ' ' ORDER BY order_id) FROM oms.message), format('%s %s', :open, :unsent), 'messages of open orders, and those not sent, stay');
SELECT is((SELECT state FROM oms.messages WHERE order_id = :open), 'done', 'with the task that sent them');
SELECT is((SELECT string_agg(state, ' ') FROM oms.task WHERE kind = 'x'), 'ready', 'work that waits stays');
SELECT is((SELECT string_agg(id, ' ') FROM oms.inbound_message), 'm2', 'a conflict waits to be settled');
SELECT is((SELECT messages || ' ' || inbound FROM first), '1 1', 'as it said');
SELECT is((SELECT p::text FROM oms.purge_work(1, '2027-01-01') p), '(0,0,0)', 'then nothing is left to go');
SELECT is(oms.receive_message(1, 'shop', 'm1', '{}'), 'new', 'what is forgotten is new');
SELECT is((SELECT string_agg(rule || ' ' || object, '; ') FROM oms.verify(1)), NULL, 'and everything is sound');
SELECT * FROM finish();
ROLLBACK;
