-- Payments: a card is authorized, captured as the parcels leave, refunded; what gateways repeat, mix up and overdo.

-- Numbers of this story, whatever ran before it.
\o /dev/null
SELECT setval('oms.order_id_seq', 60000), setval('oms.payment_payment_id_seq', 60000), setval('oms.payment_event_event_id_seq', 60000),
	setval('oms.refund_refund_id_seq', 60000), setval('oms.shipment_shipment_id_seq', 60000), setval('oms.fulfilment_fulfilment_id_seq', 60000);
\o
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (60, 'Lamp shop', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (60, 1, 'MAIN', 'Main');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (60, 1, 'web', 'Web shop', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (60, 1, 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (60, 601, 'LAMP', 'Lamp'), (60, 602, 'BULB', 'Bulb');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (60, 1, 601, 'opening', 100, 'opening'), (60, 1, 602, 'opening', 100, 'opening');

-- Three lamps and three bulbs; the discount makes the shares uneven.
SELECT oms.place_order(60, '{"channel": "web", "email": "ann@example.com", "shipping": "4.90", "shipping_tax_rate": "0.19", "discount": "1.00",
	"ship_to": {"name": "Ann", "street": "Marienplatz 1", "city": "Munich", "postcode": "80331", "country": "DE"},
	"lines": [{"sku": "LAMP", "quantity": 3, "unit_price": "33.33", "tax_rate": "0.19"}, {"sku": "BULB", "quantity": 3, "unit_price": "2.50", "tax_rate": "0.19"}]}') AS o \gset
SELECT line_no, sku, total, tax FROM oms.order_line WHERE merchant_id = 60 AND order_id = :o ORDER BY line_no;
\set balance 'SELECT owed, authorized, captured, refunded, capture_pending, refund_pending, due, refund_due, payment_state FROM oms.payment_balance WHERE merchant_id = 60 AND order_id = :o'
\set amounts 'SELECT payment_id AS payment, authorized, captured, refunded, capturable, refundable FROM oms.payment_detail WHERE merchant_id = 60 AND order_id = :o ORDER BY 1'
:balance;

-- Ask the gateway to authorize what is owed. Nothing is sent: a worker outside finds the task.
SELECT oms.authorize(60, :o, 'card', gateway => 'stripe', request_key => 'pay 1') AS p \gset
SELECT oms.authorize(60, :o, 'card', gateway => 'stripe', request_key => 'pay 1') = :p AS same_payment;
SELECT oms.authorize(60, :o, 'card', 50, gateway => 'stripe', request_key => 'pay 1');
SELECT kind, payload FROM oms.task WHERE merchant_id = 60 AND subject_type = 'payment' ORDER BY task_id;
SELECT payment_state FROM oms.sales_order WHERE merchant_id = 60 AND order_id = :o;

-- Too early, too much.
SELECT oms.capture(60, :p, 10);
SELECT oms.authorize(60, :o, 'card');

-- The gateway answers, twice; and a third time with another amount.
SELECT oms.record_payment_event(60, :p, 'authorized', 111.39, 'auth_1', '2026-01-31 10:00Z', gateway_reference => 'pi_1', expires_at => '2026-02-07 10:00Z') = :p AS recorded;
SELECT oms.record_payment_event(60, NULL, 'authorized', 111.39, 'auth_1', '2026-01-31 10:00Z', gateway => 'stripe', gateway_reference => 'pi_1') = :p AS recorded;
SELECT oms.record_payment_event(60, :p, 'authorized', 111.93, 'auth_1', '2026-01-31 10:00Z');
:balance;

-- Capture on ship: one lamp and the shipping leave first. The shares of all shipments sum to the total.
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(60, :o) \gset
SELECT oms.confirm_pick(60, :f, '[{"line": 1, "quantity": 1}]');
SELECT oms.pack(60, :f) IS NOT NULL AS packed;
SELECT oms.ship(60, :f) IS NOT NULL AS shipped;
SELECT oms.confirm_pick(60, :f, '[{"line": 1, "quantity": 1}, {"line": 2, "quantity": 2}]');
SELECT oms.pack(60, :f) IS NOT NULL AS packed;
SELECT oms.ship(60, :f) IS NOT NULL AS shipped;
SELECT kind, amount, data ->> 'cause_kind' AS cause FROM oms.payment_event WHERE merchant_id = 60 AND payment_id = :p ORDER BY event_id;
:balance;

-- The answers come in the wrong order, one of them is a failure that a success overtook, all of them twice.
SELECT count(oms.record_payment_event(60, :p, kind, amount, reference, at))
FROM (VALUES ('captured', 37.92, 'ch_1', timestamptz '2026-01-31 12:00:05Z'), ('capture_failed', 37.92, 'ch_1', '2026-01-31 12:00:01Z'), ('captured', 37.98, 'ch_2', '2026-01-31 12:00:00Z')) v(kind, amount, reference, at),
	generate_series(1, 2);
:balance;

-- A bulb is cancelled: its share of the authorization is given back, not refunded.
SELECT oms.cancel_line(60, :o, 2, 1, reason => 'out of glass');
SELECT kind, amount, reason FROM oms.payment_event WHERE merchant_id = 60 AND payment_id = :p AND kind = 'void_requested';
SELECT oms.ship_order(60, :o) IS NOT NULL AS shipped;
-- The last shipment takes the remainder.
SELECT amount, 111.39 - 2.47 - 37.92 - 37.98 AS remainder FROM oms.payment_event WHERE merchant_id = 60 AND payment_id = :p AND kind = 'capture_requested' ORDER BY event_id DESC LIMIT 1;
SELECT oms.record_payment_event(60, :p, 'voided', 2.47, 'vo_1'), oms.record_payment_event(60, :p, 'captured', 33.02, 'ch_3') \g /dev/null
:balance;

-- Goodwill: granted, asked for, refused, asked for again, moved.
SELECT oms.refund(60, :p, 500);
SELECT oms.refund(60, :p, 5, request_key => 'sorry', reason => 'late') AS r \gset
SELECT state, amount, tax, pending, moved FROM oms.refund WHERE merchant_id = 60 AND refund_id = :r;
SELECT oms.record_payment_event(60, :p, 'refund_failed', 5, 're_1') \g /dev/null
SELECT refund_id, state, amount, open, reason FROM oms.refund_not_moved WHERE merchant_id = 60;
SELECT oms.request_refund(60, :r) = :r AS asked_again;
SELECT oms.record_payment_event(60, :p, 'refunded', 5, 're_2') \g /dev/null
SELECT oms.request_refund(60, :r);
SELECT state, amount, pending, moved FROM oms.refund WHERE merchant_id = 60 AND refund_id = :r;
:balance;

-- The gateway refunds once more than it was asked: a fact is kept, and seen.
SELECT oms.record_payment_event(60, :p, 'refunded', 120, 're_3') \g /dev/null
SELECT anomaly, allowed, found FROM oms.payment_anomaly WHERE merchant_id = 60;
SELECT oms.refund(60, :p);
SELECT oms.record_payment_event(60, :p, 'refund_failed', 120, 're_3', now() + interval '1 minute') \g /dev/null
SELECT anomaly, allowed, found FROM oms.payment_anomaly WHERE merchant_id = 60;

-- Money taken elsewhere: the payment is made by the first fact heard of it. Two payments, one order; it was paid too much.
SELECT oms.place_order(60, '{"channel": "web", "email": "bob@example.com", "lines": [{"sku": "LAMP", "quantity": 2, "unit_price": "30", "tax_rate": "0.19"}]}') AS o \gset
SELECT oms.record_payment_event(60, NULL, 'captured', 20, 'T-1', gateway => 'bank', gateway_reference => 'transfer 1', order_id => :o, method => 'transfer', currency => 'USD');
SELECT oms.record_payment_event(60, NULL, 'captured', 20, 'T-1', gateway => 'bank', gateway_reference => 'transfer 1', order_id => :o, method => 'transfer', currency => 'EUR') AS a \gset
SELECT oms.record_payment_event(60, NULL, 'captured', 45, 'P-1', gateway => 'paypal', gateway_reference => 'sale 1', order_id => :o, method => 'paypal') AS b \gset
:amounts;
SELECT anomaly, allowed, found FROM oms.payment_anomaly WHERE merchant_id = 60;
-- Cancelled: captured money goes back, newest payment first, but for the 5 that nobody owed.
SELECT oms.cancel_order(60, :o) IS NOT NULL AS cancelled;
SELECT payment_id - :a AS payment, amount FROM oms.payment_event WHERE merchant_id = 60 AND payment_id IN (:a, :b) AND kind = 'refund_requested' ORDER BY event_id;
SELECT cause, amount, tax, state FROM oms.refund WHERE merchant_id = 60 AND order_id = :o;
:balance;

-- Nothing is written by hand but facts, and those meet the same rules.
UPDATE oms.payment SET captured = 0 WHERE merchant_id = 60;
DELETE FROM oms.payment_event WHERE merchant_id = 60;
INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount) VALUES (60, :a, 'refund_requested', 'mine', 20);
INSERT INTO oms.payment_event (merchant_id, payment_id, kind, event_reference, amount) VALUES (60, :b, 'charged_back', 'dispute 1', 45);
:amounts;

-- What happened, in the order's timeline.
SELECT type, data ->> 'kind' AS kind, data ->> 'amount' AS amount FROM oms.event WHERE merchant_id = 60 AND order_id = :o AND subject_type IN ('payment', 'refund') ORDER BY event_id;
SELECT * FROM oms.verify(60);
