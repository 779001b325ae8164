\pset footer off
\pset null ''
\echo '# 2  One order'
\echo '> A document goes in, an id comes out. Prices and taxes are looked up, stock is promised, all in one statement.'
\set ECHO queries
SELECT oms.place_order(1, '{
	"channel": "web", "external_ref": "SHOP-1001",
	"customer": {"name": "Anna Petersen"}, "email": "anna.petersen@example.org",
	"ship_to": {"name": "Anna Petersen", "street": "Lindenallee 4", "city": "Hamburg",
				"postcode": "20259", "country": "DE"},
	"lines": [{"sku": "GR-HND-01", "quantity": 1},
			  {"sku": "GF-BOX-02", "quantity": 2},
			  {"sku": "CF-ETH-250", "quantity": 3, "discount": "2.97"}],
	"shipping": "4.90", "gift_note": "Happy birthday!"
}', request_key => 'anna-1') AS order_id;
\set ECHO none
SELECT order_id FROM oms.sales_order WHERE merchant_id = 1 AND external_ref = 'SHOP-1001' \gset
\echo '> Its lines. The gift box is a kit: its parts are promised, not the box.'
\set ECHO queries
SELECT line_no, sku, ordered, allocated, unit_price, discount, tax, total
FROM oms.order_line WHERE merchant_id = 1 AND order_id = :order_id ORDER BY line_no;
SELECT r.line_no, i.sku, r.quantity
FROM oms.reservation r JOIN oms.item i USING (merchant_id, item_id)
WHERE r.merchant_id = 1 AND r.order_id = :order_id ORDER BY 1, 2;
SELECT subtotal, discount, shipping, tax, total, lifecycle, payment_state, fulfilment_state
FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :order_id;
\set ECHO none
\echo '> The network failed and the shop asks again: same answer, no second order.'
\set ECHO queries
SELECT oms.place_order(1, '{"channel": "web", "external_ref": "SHOP-1001",
	"lines": [{"sku": "GR-HND-01", "quantity": 1}]}') AS same_order;
\set ECHO none
\echo '> More than is there: refused as a whole, with the figures.'
\set ECHO queries
\set ON_ERROR_STOP 0
SELECT oms.place_order(1, '{"channel": "web",
	"lines": [{"sku": "CF-BRA-250", "quantity": 2}, {"sku": "GR-ELC-01", "quantity": 100}]}');
\set ECHO none
\echo '> The rules hold for every writer, also for statements typed by hand:'
\set ECHO queries
UPDATE oms.order_line SET shipped = 5 WHERE merchant_id = 1 AND order_id = :order_id AND line_no = 1;
UPDATE oms.sales_order SET lifecycle = 'completed' WHERE merchant_id = 1 AND order_id = :order_id;
DELETE FROM oms.event WHERE merchant_id = 1;
\set ON_ERROR_STOP 1
\set ECHO none
