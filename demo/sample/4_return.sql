\pset footer off
\pset null ''
\echo '# 4  Something comes back'
SELECT order_id FROM oms.sales_order WHERE merchant_id = 1 AND external_ref = 'SHOP-1001' \gset
\echo '> Two packs of coffee. One is fit for the shelf, one is not; what was paid for both is refunded, with its tax.'
\set ECHO queries
SELECT oms.request_return(1, :order_id, '[{"line": 3, "quantity": 2, "reason": "too many"}]') AS return_id;
\set ECHO none
SELECT return_id FROM oms.return_order WHERE merchant_id = 1 AND order_id = :order_id \gset
\set ECHO queries
SELECT oms.decide_return(1, :return_id, 'approve', refund_shipping => 0);
SELECT oms.receive_return(1, :return_id);
SELECT oms.inspect_return(1, :return_id, '[{"line": 3, "sellable": 1, "damaged": 1}]') AS refund_id;
SELECT amount, tax, currency, state FROM oms.refund WHERE merchant_id = 1 AND order_id = :order_id;
SELECT kind, quantity, damaged, cause FROM oms.stock_movement WHERE merchant_id = 1 AND kind = 'return';
\set ECHO none
\echo '# 5  An order is cancelled'
\echo '> The promise is gone at once, and the kettles can be sold again.'
\set ECHO queries
SELECT oms.place_order(1, '{"channel": "uk", "external_ref": "SHOP-1002",
	"email": "ben.cooper@example.org", "lines": [{"sku": "KT-GSN-09", "quantity": 2}]}') AS order_id;
\set ECHO none
SELECT order_id FROM oms.sales_order WHERE merchant_id = 1 AND external_ref = 'SHOP-1002' \gset
\set ECHO queries
SELECT oms.available(1, item_id, 2) AS kettles FROM oms.item WHERE merchant_id = 1 AND sku = 'KT-GSN-09';
SELECT oms.cancel_order(1, :order_id, reason => 'ordered by mistake');
SELECT oms.available(1, item_id, 2) AS kettles FROM oms.item WHERE merchant_id = 1 AND sku = 'KT-GSN-09';
SELECT lifecycle, total, cancelled_total FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :order_id;
\set ECHO none
