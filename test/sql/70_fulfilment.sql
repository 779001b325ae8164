-- Fulfilment: an order is planned, picked, packed, shipped in parts, and arrives.

-- Numbers of this story, whatever ran before it.
\o /dev/null
SELECT setval('oms.order_id_seq', 70000), setval('oms.fulfilment_fulfilment_id_seq', 70000),
	setval('oms.carton_carton_id_seq', 70000), setval('oms.shipment_shipment_id_seq', 70000);
\o

INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (70, 'Tea house', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name, address) VALUES
	(70, 1, 'EAST', 'East', '{"city":"Berlin","postcode":"10115","country":"DE"}'),
	(70, 2, 'WEST', 'West', '{"city":"Cologne","postcode":"50667","country":"DE"}');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, number_prefix) VALUES (70, 1, 'web', 'Web shop', 'EUR', 'W-');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (70, 1, 1, 1), (70, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, weight_g) VALUES
	(70, 701, 'TEA', 'Green tea', 'stocked', 250),
	(70, 702, 'CUP', 'Cup', 'stocked', 400),
	(70, 703, 'SET', 'Tea set', 'kit', NULL),
	(70, 704, 'WRAP', 'Gift wrapping', 'service', NULL);
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (70, 703, 701, 1), (70, 703, 702, 2);
INSERT INTO oms.carrier (merchant_id, carrier_id, code, name, tracking_url) VALUES (70, 701, 'post', 'The Post', 'https://post.example/{tracking_number}');
INSERT INTO oms.carrier_service (merchant_id, service_id, carrier_id, code, name) VALUES (70, 701, 701, 'parcel', 'Parcel');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES
	(70, 1, 701, 'opening', 10, 'opening'), (70, 1, 702, 'opening', 4, 'opening'), (70, 2, 702, 'opening', 10, 'opening');

-- Three teas, two sets, five cups, wrapped; the cups are only in the west.
SELECT oms.place_order(70, '{"channel":"web","external_ref":"T-1","email":"ann@example.com","shipping":"4.90","shipping_tax_rate":"0.19",
	"ship_to":{"name":"Ann","street":"Marienplatz 1","city":"Munich","postcode":"80331","country":"DE"},
	"lines":[{"sku":"TEA","quantity":3,"unit_price":"3.33","tax_rate":"0.07"},{"sku":"SET","quantity":2,"unit_price":"20.00","tax_rate":"0.19"},
		{"sku":"CUP","quantity":5,"unit_price":"7.77","tax_rate":"0.19"},{"sku":"WRAP","quantity":1,"unit_price":"2.50","tax_rate":"0.19"}]}') AS o \gset
\set line 'SELECT line_no, sku, ordered, allocated, picked, packed, shipped, delivered FROM oms.order_line WHERE merchant_id = 70 AND order_id = :o ORDER BY line_no'
\set axes 'SELECT lifecycle, fulfilment_state, total FROM oms.sales_order WHERE merchant_id = 70 AND order_id = :o'
:line;

-- Nothing is written by hand.
INSERT INTO oms.fulfilment (merchant_id, location_id, order_id, planned_at, planned_by) VALUES (70, 1, :o, now(), 'me');
INSERT INTO oms.shipment (merchant_id, order_id, shipped_at, kind, currency, charge, shipped_by) VALUES (70, :o, now(), 'dispatch', 'EUR', 0, 'me');

-- Each location is told its part.
SELECT line_no, sku, quantity FROM oms.ready_to_plan WHERE merchant_id = 70 ORDER BY line_no;
SELECT location, units FROM oms.plan_fulfilment(70, :o, 'plan 1');
SELECT location, units FROM oms.plan_fulfilment(70, :o, 'plan 1');
SELECT location, units FROM oms.plan_fulfilment(70, :o);
SELECT max(fulfilment_id) FILTER (WHERE location_id = 1) AS east, max(fulfilment_id) FILTER (WHERE location_id = 2) AS west
	FROM oms.fulfilment WHERE merchant_id = 70 \gset
SELECT location_id, line_no, sku, quantity FROM oms.ready_to_pick WHERE merchant_id = 70 ORDER BY location_id, line_no;

-- Pick: in part, not too much, then the rest.
SELECT oms.confirm_pick(70, :east, '[{"line":1,"quantity":2}]', 'pick 1');
SELECT oms.confirm_pick(70, :east, '[{"line":1,"quantity":2}]', 'pick 1');
SELECT oms.confirm_pick(70, :east, '[{"line":1,"quantity":3}]', 'pick 1');
SELECT oms.confirm_pick(70, :east, '[{"line":1,"quantity":2}]');
SELECT oms.confirm_pick(70, :east, '[{"line":1,"quantity":1},{"line":1,"quantity":1}]');
SELECT oms.confirm_pick(70, :east, '[{"line":3,"quantity":1}]');
SELECT oms.confirm_pick(70, :east);

-- Pack: two cartons; never more than is picked.
SELECT oms.pack(70, :east, '[{"line":1,"quantity":2}]') AS box1 \gset
SELECT oms.pack(70, :east, '[{"line":1,"quantity":2}]');
SELECT oms.pack(70, :east, weight_g => 2400, length_mm => 400, width_mm => 300, height_mm => 200, sscc => '340123450000000001') AS bad;
SELECT oms.pack(70, :east, weight_g => 2400, length_mm => 400, width_mm => 300, height_mm => 200, sscc => '340123450000000000') AS box2 \gset
SELECT line_no, quantity, weight_g, sscc FROM oms.carton JOIN oms.carton_line USING (merchant_id, carton_id) WHERE merchant_id = 70 ORDER BY carton_id, line_no;
SELECT units, weight_g FROM oms.ready_to_ship WHERE merchant_id = 70 ORDER BY carton_id;
:line;

-- What a parcel of this would cost is asked of the tariffs (50_shipping); then it leaves. First the small box.
SELECT oms.ship(70, :east, 'post', 'parcel', 'RR1', cartons => ARRAY[:box1 ::bigint], cost => 3.10, request_key => 'ship 1') AS s1 \gset
SELECT oms.ship(70, :east, 'post', 'parcel', 'RR1', cartons => ARRAY[:box1 ::bigint], cost => 3.10, request_key => 'ship 1') = :s1 AS same;
SELECT oms.ship(70, :east, 'post', 'parcel', 'RR1', cartons => ARRAY[:box1 ::bigint]);
UPDATE oms.carton_line SET quantity = 1 WHERE merchant_id = 70 AND carton_id = :box1;
DELETE FROM oms.carton_line WHERE merchant_id = 70 AND carton_id = :box1;
:line;
:axes;
-- The charge: two of three teas (6.66), the wrapping and the shipping charge.
SELECT order_number LIKE 'W-%' AS numbered, kind, carrier, service, tracking_url, cartons, units, charge, cost, cost_currency FROM oms.shipments WHERE merchant_id = 70;
SELECT location_id, item_id, quantity, cause FROM oms.stock_movement WHERE merchant_id = 70 AND kind = 'shipment';
SELECT item_id, location_id, quantity FROM oms.reservation WHERE merchant_id = 70 ORDER BY line_no, item_id;

-- A cup is missing in the west; the rest goes back to the shelf and is planned again.
SELECT oms.confirm_pick(70, :west, '[{"line":3,"quantity":4}]');
SELECT oms.short_pick(70, :west, 3, 1, reason => 'broken');
SELECT oms.pack(70, :west) AS box3 \gset
SELECT oms.cancel_fulfilment(70, :west, reason => 'wrong shelf');
SELECT oms.cancel_fulfilment(70, :west);
SELECT line_no, allocated, backordered, picked, packed FROM oms.order_line WHERE merchant_id = 70 AND order_id = :o AND line_no = 3;
SELECT on_hand FROM oms.stock WHERE merchant_id = 70 AND location_id = 2 AND item_id = 702;
SELECT oms.cancel_line(70, :o, 3, 1);

-- The quick way for the rest: planned, picked, packed and shipped at once, from both locations.
SELECT oms.ship_order(70, :o, 'post', 'parcel', 'RR2', request_key => 'ship 2') AS s2 \gset
:line;
:axes;
SELECT shipment_id = :s1 AS first, cartons, units, charge FROM oms.shipments WHERE merchant_id = 70 ORDER BY shipment_id;
SELECT sum(s.charge) = max(o.total - o.cancelled_total) AS "charges sum to the order"
	FROM oms.shipment s JOIN oms.sales_order o USING (merchant_id, order_id) WHERE merchant_id = 70;
SELECT location_id, item_id, quantity FROM oms.stock_movement WHERE merchant_id = 70 AND kind = 'shipment' ORDER BY movement_id;
SELECT oms.cancel_fulfilment(70, :east);

-- The carrier reports, late, twice and out of order.
SELECT oms.record_tracking(70, :s1, 'in_transit', '2026-01-02 10:00+00', 'e1');
SELECT oms.record_tracking(70, :s1, 'in_transit', '2026-01-02 10:00+00', 'e1');
SELECT oms.record_tracking(70, :s1, 'failure', '2026-01-02 10:00+00', 'e1');
SELECT oms.record_tracking(70, NULL, 'delivered', '2026-01-02 12:00+00', 'e3', tracking_number => 'RR1');
SELECT oms.record_tracking(70, :s1, 'out_for_delivery', '2026-01-02 11:00+00', 'e2');
SELECT oms.record_tracking(70, :s1, 'failure', now(), 'e4');
SELECT line_no, shipped, delivered FROM oms.order_line WHERE merchant_id = 70 AND order_id = :o ORDER BY line_no;
SELECT oms.record_tracking(70, :s2, 'delivered');
:axes;
SELECT type, count(*) FROM oms.event WHERE merchant_id = 70 AND order_id = :o GROUP BY type ORDER BY type;

-- Gifts: the slip has the note, and no prices.
SELECT oms.place_order(70, '{"channel":"web","external_ref":"T-2","gift_note":"Happy birthday","ship_to":{"name":"Bob","country":"DE"},
	"lines":[{"sku":"TEA","quantity":1,"unit_price":"3.33"}]}') AS o \gset
SELECT fulfilment_id AS gift FROM oms.plan_fulfilment(70, :o) \gset
SELECT slip -> 'gift_note' AS note, slip -> 'lines' AS lines, slip ? 'currency' AS priced FROM oms.packing_slip(70, :gift) AS slip;

-- Services need neither stock nor carton.
SELECT oms.place_order(70, '{"channel":"web","external_ref":"T-3","lines":[{"sku":"WRAP","quantity":2,"unit_price":"2.50"}]}') AS o \gset
SELECT * FROM oms.plan_fulfilment(70, :o);
SELECT oms.complete_services(70, :o) > 0 AS done;
:axes;

-- Policy: this order leaves complete, or not before.
SELECT oms.place_order(70, '{"channel":"web","external_ref":"T-4","allocation":"backorder","ship_to":{"name":"Cid","country":"DE"},
	"lines":[{"sku":"TEA","quantity":2,"unit_price":"3.33"},{"sku":"CUP","quantity":9,"unit_price":"7.77"}]}') AS o \gset
SELECT line_no, allocated, backordered FROM oms.order_line WHERE merchant_id = 70 AND order_id = :o ORDER BY line_no;
SELECT oms.set_shipment_policy(70, :o, 'order_complete') = :o AS set;
SELECT * FROM oms.plan_fulfilment(70, :o);
SELECT oms.set_shipment_policy(70, :o, 'line_complete') = :o AS set;
SELECT units FROM oms.plan_fulfilment(70, :o);
SELECT oms.set_shipment_policy(70, :o, 'complete_by', now() - interval '1 second') = :o AS set;
SELECT units FROM oms.plan_fulfilment(70, :o);
SELECT oms.set_shipment_policy(70, :o, 'complete_by');
SELECT oms.set_shipment_policy(70, :o, 'some day');

SELECT * FROM oms.verify(70);
