-- Returns: some of it comes back, not quite as announced; it is inspected, restocked once, and refunded exactly.

-- Numbers of this story, whatever ran before it.
\o /dev/null
SELECT setval('oms.order_id_seq', 80000), setval('oms.payment_payment_id_seq', 80000), setval('oms.payment_event_event_id_seq', 80000),
	setval('oms.refund_refund_id_seq', 80000), setval('oms.return_order_return_id_seq', 80000);
\o
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (80, 'Shoe shop', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (80, 1, 'MAIN', 'Main'), (80, 2, 'RETURNS', 'Returns desk');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (80, 1, 'web', 'Web shop', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (80, 1, 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (80, 801, 'SHOE', 'Pair of shoes', 'stocked'), (80, 802, 'POLISH', 'Shoe polish', 'stocked'), (80, 803, 'CARE', 'Care set', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (80, 803, 802, 2);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (80, 1, 801, 'opening', 10, 'opening'), (80, 1, 802, 'opening', 10, 'opening');
INSERT INTO oms.message_template (merchant_id, kind, subject, body) VALUES (80, 'refund_note', 'Your refund of {{amount}} {{currency}}', 'It contains {{tax}} of tax.');

-- Three pairs for 100.00: a third cannot be paid in cents. And a care set.
SELECT oms.place_order(80, '{"channel": "web", "email": "ann@example.com", "shipping": "5.00", "shipping_tax_rate": "0.19",
	"lines": [{"sku": "SHOE", "quantity": 3, "unit_price": "33.34", "discount": "0.02", "tax_rate": "0.19"}, {"sku": "CARE", "quantity": 1, "unit_price": "12", "tax_rate": "0.19"}]}') AS o \gset
SELECT oms.record_payment_event(80, NULL, 'captured', 117, 'ch_1', gateway => 'stripe', gateway_reference => 'pi_80', order_id => :o, method => 'card') AS p \gset
\set lines 'SELECT line_no, sku, shipped, returned, in_returns, returnable, value FROM oms.returnable(80, :o)'
\set stock 'SELECT l.code, i.sku, s.on_hand, s.damaged, s.quarantine FROM oms.stock s JOIN oms.item i USING (merchant_id, item_id) JOIN oms.location l USING (merchant_id, location_id) WHERE merchant_id = 80 ORDER BY 1, 2'
\set suggested 'SELECT part, line_no, quantity, amount, tax FROM oms.suggested_refund(80, :r)'

-- Nothing is returnable before it is shipped.
SELECT oms.request_return(80, :o);
SELECT oms.ship_order(80, :o) IS NOT NULL AS shipped;
:lines;
:stock;

-- Ann asks to send two pairs back.
SELECT oms.request_return(80, :o, '[{"line": 1, "quantity": 4}]');
SELECT oms.request_return(80, :o, '[{"line": 1, "qty": 2}]');
SELECT oms.request_return(80, :o, '[{"line": 1, "quantity": 2, "reason": "too small"}]', 'does not fit', '2099-01-01 00:00Z', request_key => 'rma 1') AS r \gset
SELECT oms.request_return(80, :o, '[{"line": 1, "quantity": 2, "reason": "too small"}]', 'does not fit', '2099-01-01 00:00Z', request_key => 'rma 1') = :r AS same_return;
:lines;
SELECT oms.request_return(80, :o, '[{"line": 1, "quantity": 2}]');
SELECT oms.receive_return(80, :r);

-- Approved, 10 % are kept back, half of the shipping is given back. What will the refund be?
SELECT oms.decide_return(80, :r, 'approve', restocking_percent => 10, refund_shipping => 2.50) = :r AS decided;
:suggested;

-- One pair comes, at the returns desk, and the care set, of which nobody spoke.
SELECT oms.receive_return(80, :r, '[{"line": 1, "quantity": 1}, {"line": 2, "quantity": 1}]', 2) = :r AS received;
SELECT line_no, requested, approved, expected, received FROM oms.return_line WHERE merchant_id = 80 AND return_id = :r ORDER BY line_no;
SELECT return_state FROM oms.sales_order WHERE merchant_id = 80 AND order_id = :o;
:suggested;
:stock;

-- Inspected: the shoes are as new, the set's parts are damaged. Once.
SELECT oms.inspect_return(80, :r, '[{"line": 1, "sellable": 2}]');
SELECT oms.inspect_return(80, :r, '[{"line": 1, "sellable": 1}, {"line": 2, "damaged": 1}]', request_key => 'inspect 1') AS f \gset
SELECT oms.inspect_return(80, :r, '[{"line": 1, "sellable": 1}, {"line": 2, "damaged": 1}]', request_key => 'inspect 1') = :f AS same_refund;
SELECT oms.inspect_return(80, :r);
:stock;
SELECT state, amount, tax, lines_amount, shipping, shipping_tax, fee FROM oms.refund WHERE merchant_id = 80 AND refund_id = :f;
SELECT kind, payload ->> 'amount' AS amount, payload ->> 'gateway_reference' AS payment FROM oms.task WHERE merchant_id = 80 AND kind = 'refund';

-- The other pair comes later; it is worn and not paid back: no refund, no restock.
SELECT state, expired, expected, to_inspect FROM oms.return_open WHERE merchant_id = 80;
SELECT oms.receive_return(80, :r, '[{"line": 1, "quantity": 1}]', 1);
SELECT oms.receive_return(80, :r) = :r AS received;
SELECT oms.inspect_return(80, :r, '[{"line": 1, "scrap": 1, "refund": 0}]') IS NULL AS nothing_paid_back;
SELECT state FROM oms.return_order WHERE merchant_id = 80 AND return_id = :r;
:lines;

-- The third pair: what is left of the line's 100.00 goes with the units, whatever came first.
SELECT oms.request_return(80, :o) AS r \gset
SELECT oms.decide_return(80, :r, 'approve', refund_shipping => 2.51);
SELECT oms.decide_return(80, :r, 'approve', refund_shipping => 2.50) = :r AS decided;
SELECT oms.receive_return(80, :r) = :r AS received;
:suggested;
SELECT oms.inspect_return(80, :r) AS f2 \gset
SELECT refund_id - :f AS refund, line_no, from_unit, quantity, amount, tax FROM oms.refund_line WHERE merchant_id = 80 AND order_id = :o ORDER BY 1, 2;
SELECT sum(shipping) AS shipping, sum(shipping_tax) AS tax FROM oms.refund WHERE merchant_id = 80 AND order_id = :o;

-- The gateway moves the first and refuses the second.
SELECT oms.record_payment_event(80, :p, 'refunded', (SELECT amount FROM oms.refund WHERE merchant_id = 80 AND refund_id = :f), 're_1') \g /dev/null
SELECT oms.record_payment_event(80, :p, 'refund_failed', (SELECT amount FROM oms.refund WHERE merchant_id = 80 AND refund_id = :f2), 're_2') \g /dev/null
SELECT refund_id - :f AS refund, state, amount, moved FROM oms.refund WHERE merchant_id = 80 AND order_id = :o ORDER BY 1;
SELECT lifecycle, payment_state, fulfilment_state, return_state FROM oms.sales_order WHERE merchant_id = 80 AND order_id = :o;
SELECT subject, body FROM oms.message WHERE merchant_id = 80 ORDER BY message_id;

-- A return that nobody sends: expired, its units are free at that instant.
SELECT oms.place_order(80, '{"channel": "web", "email": "bob@example.com", "lines": [{"sku": "SHOE", "quantity": 1, "unit_price": "50"}]}') AS o \gset
SELECT oms.ship_order(80, :o) IS NOT NULL AS shipped;
SELECT oms.request_return(80, :o, expires_at => '2090-01-01 00:00Z') AS r \gset
:lines;
SET oms.test_clock = '2090-01-01 00:00Z';
:lines;
SELECT oms.decide_return(80, :r, 'approve');
SELECT oms.expire_returns(80);
SELECT state, closed_at = '2090-01-01 00:00Z' AS at_that_instant FROM oms.return_order WHERE merchant_id = 80 AND return_id = :r;
RESET oms.test_clock;

-- Nothing is written by hand.
UPDATE oms.return_line SET sellable = 0 WHERE merchant_id = 80;
UPDATE oms.refund SET amount = 0 WHERE merchant_id = 80;
SELECT * FROM oms.verify(80);
