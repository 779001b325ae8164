-- Orders of other systems: figures to the cent, facts, repetition, what is kept under a hold and what is refused.
BEGIN;
SELECT plan(54);
-- The channel's own prices need no reason, wherever one is asked for
SELECT oms.set_setting(1, 'price_override', 'reason') \g /dev/null

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'MUG', 'Mug'), (1, 2, 'JAR', 'Jar');
SELECT oms.receive_stock(1, i, 1, 100, 'delivery') FROM generate_series(1, 2) i;
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'us', 'US shop', 'USD');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 2, 1);

CREATE FUNCTION pg_temp.figures(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s - %s + %s + %s, tax %s = %s', subtotal, discount, shipping, charges, tax, total) FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.held(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT reason FROM oms.order_hold WHERE merchant_id = 1 AND order_id = o AND kind = 'import' $$;
CREATE FUNCTION pg_temp.paid(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT format('authorized %s, captured %s, refunded %s, due %s', authorized, captured, refunded, due) FROM oms.payment_balance WHERE merchant_id = 1 AND order_id = o $$;

-- Shopify: prices with tax, a discount of the order in cents that do not divide, one on shipping, a tip, capture and refund.
CREATE TEMPORARY TABLE shopify (payload jsonb);
INSERT INTO shopify VALUES ('{"order": {"id": 5001, "created_at": "2026-03-01T10:00:00+01:00", "currency": "EUR", "email": "ann@example.org", "taxes_included": true,
	"total_line_items_price": "40.00", "total_discounts": "11.00", "total_tax": "5.35", "total_price": "35.50", "total_tip_received": "1.50", "financial_status": "partially_refunded",
	"gateway": "cards", "customer": {"id": 77},
	"line_items": [
		{"id": 1, "sku": "MUG", "name": "Mug, blue", "quantity": 3, "price": "10.00", "discount_allocations": [{"amount": "5.00"}, {"amount": "2.51"}], "tax_lines": [{"price": "3.59", "rate": 0.19}], "properties": [{"name": "engraving", "value": "Ann"}]},
		{"id": 2, "sku": "JAR", "name": "Jar", "quantity": 1, "price": "10.00", "discount_allocations": [{"amount": "2.49"}], "tax_lines": [{"price": "1.12", "rate": 0.14}, {"price": "0.08", "rate": 0.01}]}],
	"shipping_lines": [{"title": "Parcel", "price": "5.00", "discount_allocations": [{"amount": "1.00"}], "tax_lines": [{"price": "0.56", "rate": 0.19}]}],
	"shipping_address": {"first_name": "Ann", "last_name": "Smith", "address1": "Main Street 1", "city": "Berlin", "zip": "10115", "country_code": "DE"},
	"transactions": [{"id": 9001, "kind": "authorization", "status": "success", "amount": "35.50", "created_at": "2026-03-01T10:00:00Z"}, {"id": 9002, "kind": "capture", "status": "failure", "amount": "35.50"},
		{"id": 9003, "kind": "capture", "status": "success", "amount": "35.50", "created_at": "2026-03-02T10:00:00Z"}],
	"refunds": [{"id": 31, "created_at": "2026-03-05T10:00:00Z", "note": "one broke", "transactions": [{"kind": "refund", "status": "success", "amount": "9.17"}, {"kind": "refund", "status": "failure", "amount": "9.17"}]}]}}');
SELECT oms.import_order(1, 'shopify', payload, 'web', actor => 'connector') AS o FROM shopify \gset
SELECT is(pg_temp.figures(:o), '40.00 - 10.00 + 4.00 + 1.50, tax 5.35 = 35.50', 'shopify: every figure');
SELECT is(pg_temp.held(:o), NULL, 'and nothing to say');
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE order_id = :o), 'confirmed', 'confirmed as any order');
SELECT results_eq('SELECT sku COLLATE "default", title, ordered, unit_price, discount, tax_rate, tax, total, allocated, instructions FROM oms.order_line WHERE order_id = ' || :o || ' ORDER BY line_no',
	$$ VALUES ('MUG', 'Mug, blue', 3, 10::numeric, 7.51, 0.19, 3.59, 22.49, 3, 'Ann'), ('JAR', 'Jar', 1, 10, 2.49, 0.15, 1.20, 7.51, 1, NULL) $$, 'lines with their discounts and taxes, promised');
SELECT results_eq('SELECT kind, description, amount, tax FROM oms.order_charge WHERE order_id = ' || :o || ' ORDER BY charge_no',
	$$ VALUES ('shipping', 'Parcel', 4.00, 0.56), ('fee', NULL, 1.50, 0.00) $$, 'charges');
SELECT is(pg_temp.paid(:o), 'authorized 35.50, captured 35.50, refunded 9.17, due 0.00', 'paid, and a refund that is granted and moved');
SELECT results_eq('SELECT amount, state, reason FROM oms.refund WHERE order_id = ' || :o, $$ VALUES (9.17, 'done', 'one broke') $$, 'the refund with its reason');
SELECT is((SELECT count(*) FROM oms.task WHERE order_id = :o AND state = 'ready' AND kind IN ('refund', 'capture', 'void')), 0::bigint, 'no gateway is asked for anything');
SELECT is((SELECT ship_to ->> 'name' FROM oms.sales_order WHERE order_id = :o), 'Ann Smith', 'parts of a name joined');
SELECT is((SELECT placed_at FROM oms.sales_order WHERE order_id = :o), '2026-03-01 09:00:00+00', 'placed when it was placed there');

-- The same again is the same.
SELECT is((SELECT oms.import_order(1, 'shopify', payload, 'web') FROM shopify), :o::bigint, 'again: the same order');
SELECT is(pg_temp.paid(:o), 'authorized 35.50, captured 35.50, refunded 9.17, due 0.00', 'no fact twice');
SELECT is_empty('SELECT d.* FROM shopify, oms.import_differences(1, ''shopify'', payload, ''web'') d', 'no difference');
SELECT results_eq($$ SELECT d.* FROM shopify, oms.import_differences(1, 'shopify', jsonb_set(payload, '{order,line_items,1,quantity}', '2'), 'web') d WHERE field ~ 'quantity' $$,
	$$ VALUES ('lines[1].quantity', '1', '2') $$, 'a changed quantity is a difference');
SELECT oms.import_order(1, 'shopify', jsonb_insert(payload, '{order,refunds,0}', '{"id": 32, "transactions": [{"kind": "refund", "status": "success", "amount": "1.00"}]}'), 'web') FROM shopify;
SELECT is(pg_temp.paid(:o), 'authorized 35.50, captured 35.50, refunded 10.17, due 0.00', 'a refund that came later is added');
SELECT throws_ok($$ SELECT d.* FROM shopify, oms.import_differences(1, 'shopify', payload, 'us') d $$, 'OM012', NULL, 'another channel has another currency');
SELECT throws_ok($$ SELECT d.* FROM shopify, oms.import_differences(1, 'shopify', jsonb_set(payload, '{order,id}', '5002'), 'web') d $$, 'OM002', NULL, 'no order yet, no differences');

-- Tax stated for the order alone is spread; authorized only; paid later; cancelled later.
CREATE TEMPORARY TABLE plain AS SELECT '{"id": 5003, "currency": "EUR", "taxes_included": false, "total_price": "33.33", "total_tax": "3.33", "financial_status": "authorized",
	"line_items": [{"id": 1, "sku": "MUG", "quantity": 1, "price": "10.00"}, {"id": 2, "sku": "MUG", "quantity": 1, "price": "10.00"}, {"id": 3, "sku": "JAR", "quantity": 1, "price": "10.00"}]}'::jsonb AS payload;
SELECT oms.import_order(1, 'shopify', payload, 'web') AS o FROM plain \gset
SELECT is((SELECT array_agg(tax ORDER BY line_no) FROM oms.order_line WHERE order_id = :o), '{1.11,1.11,1.11}', 'tax spread over the lines');
SELECT is(pg_temp.paid(:o), 'authorized 33.33, captured 0.00, refunded 0.00, due 33.33', 'authorized');
SELECT oms.import_order(1, 'shopify', payload || '{"financial_status": "paid"}', 'web') FROM plain;
SELECT is(pg_temp.paid(:o), 'authorized 33.33, captured 33.33, refunded 0.00, due 0.00', 'and paid later');
SELECT oms.import_order(1, 'shopify', payload || '{"financial_status": "refunded", "cancelled_at": "2026-03-03T00:00:00Z", "cancel_reason": "customer",
	"refunds": [{"id": 40, "transactions": [{"kind": "refund", "status": "success", "amount": "33.33"}]}]}', 'web') FROM plain;
SELECT is((SELECT lifecycle || ' ' || payment_state FROM oms.sales_order WHERE order_id = :o), 'cancelled refunded', 'refunded and cancelled later');
SELECT is((SELECT count(*) FROM oms.task WHERE order_id = :o AND state = 'ready' AND kind IN ('refund', 'capture', 'void')), 0::bigint, 'the gateway paid already');

-- WooCommerce: amounts of whole lines, coupon, a fee below zero, paid and completed.
SELECT oms.import_order(1, 'woocommerce', '{"id": 800, "status": "completed", "currency": "EUR", "created_via": "checkout", "date_created_gmt": "2026-03-01T10:00:00", "date_paid": "2026-03-01T11:00:00", "date_paid_gmt": "2026-03-01T10:00:00",
	"prices_include_tax": true, "payment_method": "bacs", "total": "25.09", "total_tax": "4.01", "discount_total": "2.00", "shipping_total": "4.20", "customer_id": 0,
	"billing": {"first_name": "Bob", "last_name": "Jones", "address_1": "High Street 2", "city": "Vienna", "postcode": "1010", "country": "AT", "email": "bob@example.org"},
	"shipping": {"first_name": "", "last_name": "", "address_1": ""},
	"line_items": [{"id": 1, "sku": "MUG", "name": "Mug", "quantity": 3, "subtotal": "20.00", "total": "18.00", "total_tax": "3.42"}],
	"shipping_lines": [{"method_title": "Post", "total": "4.20", "total_tax": "0.80"}],
	"fee_lines": [{"name": "Friends", "total": "-1.12", "total_tax": "-0.21"}], "refunds": []}', 'web') AS o \gset
SELECT is(pg_temp.figures(:o), '20.00 - 2.00 + 4.20 + -1.12, tax 4.01 = 25.09', 'woocommerce: every figure, twenty for three too');
SELECT is(pg_temp.held(:o), NULL, 'and nothing to say');
SELECT is((SELECT ship_to ->> 'city' FROM oms.sales_order WHERE order_id = :o), 'Vienna', 'without a shipping address the billing address');
SELECT is((SELECT format('%s %s %s', lifecycle, payment_state, fulfilment_state) FROM oms.sales_order WHERE order_id = :o), 'completed paid fulfilled', 'completed there: shipped here');
SELECT is(oms.available(1, 1), 100::bigint - 3 - 3, 'its units have left');
SELECT oms.import_order(1, 'woocommerce', '{"id": 801, "status": "cancelled", "currency": "EUR", "total": "5.00", "total_tax": "0.00", "line_items": [{"id": 1, "sku": "MUG", "quantity": 1, "subtotal": "5.00", "total": "5.00"}]}', 'web') AS o \gset
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE order_id = :o), 'cancelled', 'cancelled there, cancelled here');

-- Amazon: amounts of whole lines, promotion, gift wrap.
SELECT oms.import_order(1, 'amazon', '{"AmazonOrderId": "111-1", "PurchaseDate": "2026-03-01T10:00:00Z", "OrderStatus": "Unshipped", "OrderTotal": {"CurrencyCode": "USD", "Amount": "27.40"}, "SalesChannel": "Amazon.com",
	"OrderItems": [{"OrderItemId": "1", "SellerSKU": "JAR", "Title": "Jar", "QuantityOrdered": 2, "ItemPrice": {"CurrencyCode": "USD", "Amount": "20.00"}, "ItemTax": {"CurrencyCode": "USD", "Amount": "1.90"}, "PromotionDiscount": {"CurrencyCode": "USD", "Amount": "1.00"},
		"ShippingPrice": {"CurrencyCode": "USD", "Amount": "4.00"}, "ShippingTax": {"CurrencyCode": "USD", "Amount": "0.40"}, "BuyerInfo": {"GiftMessageText": "Enjoy", "GiftWrapPrice": {"CurrencyCode": "USD", "Amount": "2.00"}, "GiftWrapTax": {"CurrencyCode": "USD", "Amount": "0.10"}}}]}', 'us') AS o \gset
SELECT is(pg_temp.figures(:o), '20.00 - 1.00 + 4.00 + 2.00, tax 2.40 = 27.40', 'amazon: every figure');
SELECT is((SELECT gift_note FROM oms.sales_order WHERE order_id = :o), 'Enjoy', 'and the message');

-- X12
\set interchange 'ISA*00*          *00*          *ZZ*BUYER          *ZZ*SELLER         *260301*1000*U*00401*000000007*0*P*>~GS*PO*BUYER*SELLER*20260301*1000*7*X*004010~ST*850*0001~BEG*00*SA*PO-77**20260301~CUR*BY*USD~N1*BT*Head Office*92*1~N3*Tower 1~N4*Boston*MA*02110*US~N1*ST*Store 12*92*12~N3*Mall 3*Gate B~N4*Austin*TX*78701*US~PO1*1*10*EA*2.5*TE*CB*999*VN*MUG~PID*F****MUG BLUE~PO1*2*3*EA*4.25*TE*VN*GHOST~PID*F****NOT OURS~CTT*2~AMT*TT*37.75~SE*16*0001~GE*1*7~IEA*1*000000007~'
SELECT oms.import_order(1, 'x12_850', to_jsonb(:'interchange'::text), 'us') AS o \gset
SELECT is(pg_temp.figures(:o), '37.75 - 0.00 + 0.00 + 0.00, tax 0.00 = 37.75', 'x12: every figure');
SELECT is((SELECT format('%s, %s, %s, %s %s', s ->> 'name', s ->> 'street', s ->> 'street2', s ->> 'postcode', s ->> 'country') FROM (SELECT ship_to FROM oms.sales_order WHERE order_id = :o) x (s)),
	'Store 12, Mall 3, Gate B, 78701 US', 'the party it goes to');
SELECT is((SELECT array_agg(kind ORDER BY kind) FROM oms.order_hold WHERE order_id = :o), '{unmapped}', 'an unknown item: kept, and held for it alone');
SELECT is((SELECT count(*) FROM oms.x12_transactions(:'interchange' || E'\n' || :'interchange')), 2::bigint, 'several interchanges in one text');
SELECT throws_ok(format('SELECT oms.import_order(1, ''x12_850'', to_jsonb(%L::text), ''us'')', :'interchange' || :'interchange'), 'OM003', NULL, 'but one order a call');
SELECT throws_ok(format('SELECT * FROM oms.x12_transactions(%L)', t), 'OM003', NULL, 'x12: ' || n) FROM (VALUES
	('no interchange', 'hello'), ('cut off', left(:'interchange', 300)), ('a segment missing', replace(:'interchange', 'CTT*2~', '')),
	('other control number', replace(:'interchange', 'IEA*1*000000007', 'IEA*1*000000008')), ('other set number', replace(:'interchange', 'SE*16*0001', 'SE*16*0002')),
	('another set', replace(:'interchange', 'ST*850', 'ST*856'))) v (n, t);

-- What does not fit is said.
SELECT oms.import_order(1, 'shopify', '{"id": 5010, "currency": "EUR", "total_price": "99.00", "shipping_address": {"name": "X", "country_code": "Germany"}, "line_items": [{"id": 1, "sku": "MUG", "quantity": 1, "price": "10.005"}, {"id": 2, "sku": "MUG", "quantity": 0, "price": "1"}]}', 'web') AS o \gset
SELECT is(pg_temp.held(:o), 'line 2 has no whole quantity above zero and was left out; country "Germany" of ship_to is no ISO 3166 code and was left out; total is stated as 99.00, its parts make 10.00', 'each thing that does not fit');
SELECT is((SELECT on_hold FROM oms.sales_order WHERE order_id = :o), true, 'and the order waits');
SELECT oms.import_order(1, 'shopify', '{"id": 5011, "currency": "EUR", "total_price": "12.00"}', 'web') AS o \gset
SELECT is(pg_temp.held(:o), 'the payload has no lines: one line stands for them', 'an order without lines is not lost');

-- A source of one's own.
INSERT INTO oms.import_source (source, description) VALUES ('till', 'The till in the shop');
INSERT INTO oms.import_field (source, field, path) VALUES ('till', 'root', '$'), ('till', 'external_ref', '$.receipt'), ('till', 'lines', '$.goods[*]'), ('till', 'line.sku', '$[0]'), ('till', 'line.quantity', '$[1]'), ('till', 'line.unit_price', '$[2]');
SELECT oms.import_order(1, 'till', '{"receipt": "R-1", "goods": [["MUG", 2, 5.5], ["JAR", 1, "3"]]}', 'web') AS o \gset
SELECT is(pg_temp.figures(:o), '14.00 - 0.00 + 0.00 + 0.00, tax 0.00 = 14.00', 'a source by rows alone');

-- What is refused leaves nothing.
SELECT throws_ok(format('SELECT oms.import_order(1, %L, %L::jsonb, ''web'')', s, p), c, NULL, format('%s: %s', p, c)) FROM (VALUES
	('nobody', '{}', 'OM002'), ('shopify', '{}', 'OM003'), ('shopify', '[]', 'OM003'), ('shopify', '"x"', 'OM003'),
	('shopify', '{"id": 1, "line_items": [{"sku": "MUG", "quantity": 1, "price": "ten"}]}', 'OM003'),
	('shopify', '{"id": 1, "currency": "USD", "line_items": []}', 'OM012'),
	('x12_850', '7', 'OM003')) v (s, p, c);
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT ok(EXISTS (SELECT FROM oms.price_override WHERE cause LIKE 'import %' AND reason IS NULL), 'prices of imported orders are kept as such');
SELECT * FROM finish();
ROLLBACK;
