\pset footer off
\pset null ''
\echo '# 6  Twelve weeks of orders at once'
\echo '> 320 orders, and a few that are no good, wait in a table, each as a document. One statement places them all.'
\ir orders.sql
\set ECHO queries
SELECT * FROM oms.place_orders(1, 'sample');
SELECT document->>'external_ref' AS ref, error_code AS code, error_message AS message, error_detail AS detail
FROM oms.staged_order WHERE merchant_id = 1 AND error_code IS NOT NULL ORDER BY position;
\set ECHO none
\echo '> An article that nobody knows loses no order: it waits under a hold until the article is there.'
\set ECHO queries
SELECT o.external_ref, h.kind, h.reason
FROM oms.order_hold h JOIN oms.sales_order o USING (merchant_id, order_id)
WHERE h.merchant_id = 1 AND h.released_at IS NULL;
INSERT INTO oms.item (merchant_id, sku, title, tax_class) VALUES (1, 'CF-NEW-250', 'Coffee Peru, 250 g', 'food');
SELECT o.external_ref, o.on_hold, l.item_id IS NOT NULL AS mapped, l.ordered, l.allocated, l.backordered
FROM oms.order_line l JOIN oms.sales_order o USING (merchant_id, order_id)
WHERE l.merchant_id = 1 AND l.sku = 'CF-NEW-250';
\set ECHO none
\o /dev/null
\ir life.sql
\o
\echo '> Since then they were paid, shipped, delivered, some returned or cancelled: the same commands over whole sets.'
\set ECHO queries
SELECT lifecycle, payment_state, fulfilment_state, return_state, count(*)
FROM oms.sales_order WHERE merchant_id = 1 GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT 8;
\set ECHO none
