\pset footer off
\pset null ''
\echo '# 3  Money and parcels'
\echo '> authorize() writes down what the gateway is to do, as a task for the worker that talks to it.'
SELECT order_id FROM oms.sales_order WHERE merchant_id = 1 AND external_ref = 'SHOP-1001' \gset
\set ECHO queries
SELECT oms.authorize(1, :order_id, 'card', gateway => 'paywell', request_key => 'anna-pay') AS payment_id;
SELECT task_id, kind, payload->>'amount' AS amount, payload->>'currency' AS currency, leased_until IS NOT NULL AS leased
FROM oms.claim_tasks(1, 'authorize', worker => 'demo');
\set ECHO none
SELECT payment_id FROM oms.payment WHERE merchant_id = 1 AND order_id = :order_id \gset
\echo '> The worker reports what the gateway said. Gateways repeat themselves; it counts once.'
\set ECHO queries
SELECT oms.record_payment_event(1, :payment_id, 'authorized', 175.43, 'auth-77') FROM generate_series(1, 2);
SELECT authorized, captured, capturable FROM oms.payment_detail WHERE merchant_id = 1 AND payment_id = :payment_id;
\set ECHO none
\echo '> The warehouse plans, and finds the grinder first: it goes ahead in a carton of its own.'
\set ECHO queries
SELECT * FROM oms.plan_fulfilment(1, :order_id);
\set ECHO none
SELECT fulfilment_id FROM oms.fulfilment WHERE merchant_id = 1 AND order_id = :order_id \gset
\set ECHO queries
SELECT oms.confirm_pick(1, :fulfilment_id, '[{"line": 1, "quantity": 1}]');
SELECT oms.pack(1, :fulfilment_id, '[{"line": 1, "quantity": 1}]',
	weight_g => 830, length_mm => 220, width_mm => 120, height_mm => 120) AS carton_id;
\set ECHO none
\echo '> What it costs with whom: tariffs are rows, and who refuses says why.'
\set ECHO queries
SELECT r.rank, r.carrier, r.service, r.price, r.currency, r.zone, r.base, r.fuel, r.transit_days AS days, r.refusal
FROM oms.sales_order o, oms.rate_shop(1, 1, o.ship_to,
	'[{"weight_g": 830, "length_mm": 220, "width_mm": 120, "height_mm": 120}]') AS r
WHERE o.merchant_id = 1 AND o.order_id = :order_id;
SELECT oms.ship(1, :fulfilment_id, 'NP', 'PARCEL', 'NP000001', cost => 3.90) AS shipment_id;
\set ECHO none
\echo '> Exactly the share of what left is asked of the gateway. The rest follows in one call.'
\set ECHO queries
SELECT oms.ship_order(1, :order_id, 'NP', 'PARCEL', 'NP000002', cost => 5.80) AS shipment_id;
SELECT kind, amount FROM oms.payment_event WHERE merchant_id = 1 AND payment_id = :payment_id ORDER BY event_id;
SELECT line_no, sku, ordered, allocated, picked, packed, shipped, delivered
FROM oms.order_line WHERE merchant_id = 1 AND order_id = :order_id ORDER BY line_no;
\set ECHO none
\echo '> The gateway confirms, the carrier delivers.'
\set ECHO queries
SELECT count(oms.record_payment_event(1, payment_id, 'captured', amount, 'cap-' || event_id, intent => event_id)) AS captures
FROM oms.payment_event WHERE merchant_id = 1 AND payment_id = :payment_id AND kind = 'capture_requested';
SELECT tracking_number, oms.record_tracking(1, shipment_id, 'delivered') AS status
FROM oms.shipment WHERE merchant_id = 1 AND order_id = :order_id ORDER BY shipment_id;
SELECT lifecycle, payment_state, fulfilment_state FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :order_id;
\set ECHO none
