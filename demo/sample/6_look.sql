\pset footer off
\pset null ''
SELECT order_id FROM oms.sales_order WHERE merchant_id = 1 AND external_ref = 'SHOP-1001' \gset
\echo '# 7  Looking'
\echo '> By number, reference, name, e-mail or tracking number:'
\set ECHO queries
SELECT number, external_ref, name, total, currency, payment_state, fulfilment_state, found_by
FROM oms.find_orders(1, 'anna pet', 3);
SELECT number, total, currency, found_by FROM oms.find_orders(1, 'NP000002');
\set ECHO none
\echo '> What happened to an order:'
\set ECHO queries
SELECT to_char(at, 'HH24:MI:SS') AS at, type, subject_type || ' ' || subject_id AS subject, data->>'amount' AS amount, reason
FROM oms.order_timeline(1, :order_id);
\set ECHO none
\echo '> What may be done with it now, and why not:'
\set ECHO queries
SELECT * FROM oms.allowed_actions(1, :order_id) WHERE action IN ('refund', 'ship', 'request_return', 'cancel_order');
\set ECHO none
\echo '> Its customer was told:'
\set ECHO queries
SELECT kind, recipient, language, subject, state FROM oms.messages WHERE merchant_id = 1 AND order_id = :order_id ORDER BY message_id;
\set ECHO none
\echo '> Sales by day and channel, and the work that waits:'
\set ECHO queries
SELECT day, channel, orders, units, total, cancelled, returns, net, currency
FROM oms.sales_by_day WHERE merchant_id = 1 AND day < current_date ORDER BY day DESC, channel LIMIT 6;
SELECT work, count(*), min(since)::date AS oldest FROM oms.open_work WHERE merchant_id = 1 GROUP BY work ORDER BY 2 DESC;
\set ECHO none
\echo '# 8  Is it all true?'
\echo '> Every level, counter and amount, computed again from what it follows from. No row: nothing contradicts.'
\set ECHO queries
\pset footer on
SELECT * FROM oms.verify(1);
\set ECHO none
