-- :n orders of three lines for each of the commands that are compared with their twins, and who pays them.
SET client_min_messages = warning;
INSERT INTO oms.staged_order (merchant_id, source, position, document)
SELECT 1, 'twin', g, jsonb_build_object('channel', 1, 'customer', 1 + g % 10000, 'confirm', g > :n,
	'lines', jsonb_build_array(
		jsonb_build_object('item', 1 + (g * 31) % 1000, 'quantity', 2),
		jsonb_build_object('item', 1 + (g * 31 + 333) % 1000, 'quantity', 1),
		jsonb_build_object('item', 1 + (g * 31 + 777) % 1000, 'quantity', 1)))
FROM generate_series(1, 4 * :n) g;
SELECT * FROM oms.place_orders(1, 'twin');
CREATE TABLE bench.work AS
SELECT (ARRAY['transition', 'cancel', 'capture', 'edit'])[1 + (position - 1) / :n] AS op, 1 + (position - 1) % :n AS n, order_id, NULL::bigint AS payment_id
FROM oms.staged_order WHERE merchant_id = 1 AND source = 'twin';
UPDATE bench.work SET payment_id = oms.authorize(1, order_id, 'card') WHERE op IN ('cancel', 'capture');
SELECT count(oms.record_payment_event(1, w.payment_id, 'authorized', p.amount, 'auth')) FROM bench.work w JOIN oms.payment p ON p.merchant_id = 1 AND p.payment_id = w.payment_id;
ALTER TABLE bench.work ADD PRIMARY KEY (op, n);
CREATE SEQUENCE bench.transition_ours; CREATE SEQUENCE bench.transition_theirs;
CREATE SEQUENCE bench.cancel_ours; CREATE SEQUENCE bench.cancel_theirs;
CREATE SEQUENCE bench.capture_ours; CREATE SEQUENCE bench.capture_theirs;
CREATE SEQUENCE bench.edit_ours; CREATE SEQUENCE bench.edit_theirs;
VACUUM ANALYZE;
