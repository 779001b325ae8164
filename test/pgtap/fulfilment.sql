-- Plan, pick, pack, ship, track: counters, promises, ledger and money agree at every step; what is refused; what verify() finds.
BEGIN;
SELECT plan(314);

INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (2, 'Other', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (1, 3, 'NORTH', 'North');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2), (1, 1, 3, 3);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, weight_g) VALUES (1, 1, 'A', 'Apple', 'stocked', 150), (1, 2, 'B', 'Box', 'stocked', 500),
	(1, 3, 'K', 'Kit', 'kit', NULL), (1, 4, 'S', 'Service', 'service', NULL), (1, 5, 'N', 'No weight', 'stocked', NULL);
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) SELECT 1, l, i, 'opening', 1000, 'opening' FROM generate_series(1, 2) l, unnest('{1,2,5}'::int[]) i;
INSERT INTO oms.carrier (merchant_id, carrier_id, code, name, active) VALUES (1, 1, 'c', 'C', true), (1, 2, 'old', 'Old', false), (2, 1, 'foreign', 'F', true);
INSERT INTO oms.carrier_service (merchant_id, service_id, carrier_id, code, name, active) VALUES (1, 1, 1, 's', 'S', true), (1, 2, 1, 'gone', 'Gone', false);
INSERT INTO oms.message_template (merchant_id, channel_id, language, kind, subject, body) VALUES
	(1, 0, 'en', 'shipping_notice', 'Shipped {{number}}', '{{carrier}} {{tracking_number}}: {{lines}}'), (1, 0, 'en', 'delivered', 'Arrived', '{{lines}}');

CREATE FUNCTION pg_temp.place(lines text, more text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"email":"a@example.com","ship_to":{"name":"A","country":"DE"},"lines":[' || lines || ']' || more || '}')::jsonb) $$;
CREATE FUNCTION pg_temp.line(o bigint, l int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', allocated, backordered, picked, packed, shipped, delivered) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o AND line_no = l $$;
CREATE FUNCTION pg_temp.plan(o bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT max(fulfilment_id) FROM oms.plan_fulfilment(1, o) $$;
CREATE FUNCTION pg_temp.state(f bigint) RETURNS text LANGUAGE sql AS $$ SELECT state FROM oms.fulfilment WHERE merchant_id = 1 AND fulfilment_id = f $$;
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(line_no || ':' || item_id || '@' || location_id || '=' || q, ' ' ORDER BY line_no, item_id, location_id) FROM
	(SELECT line_no, item_id, location_id, sum(quantity) q FROM oms.reservation WHERE merchant_id = 1 AND order_id = o GROUP BY 1, 2, 3) x $$;

-- One line through all its states: allocated, backordered, picked, packed, shipped, delivered.
SELECT pg_temp.place('{"sku":"A","quantity":5,"unit_price":"1.01","tax_rate":"0.19"}') AS o \gset
SELECT is(pg_temp.line(:o), '5 0 0 0 0 0', 'placed');
SELECT pg_temp.plan(:o) AS f \gset
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '5 0 0 0 0 0planned', 'a plan moves no counter');
SELECT is(oms.confirm_pick(1, :f, '[{"line":1,"quantity":2}]'), 2::bigint, 'two are picked');
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '5 0 2 0 0 0picking', 'picking');
SELECT is(oms.confirm_pick(1, :f), 3::bigint, 'the rest is picked');
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '5 0 5 0 0 0picked', 'picked');
SELECT oms.pack(1, :f, '[{"line":1,"quantity":3}]') AS c \gset
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '5 0 5 3 0 0picked', 'not all is packed');
SELECT is((SELECT weight_g FROM oms.carton WHERE merchant_id = 1 AND carton_id = :c), 450, 'the weight is that of the contents');
SELECT is(oms.pack(1, :f, '[{"line":1,"quantity":1}]', :c), :c ::bigint, 'one more into the same carton');
SELECT is((SELECT weight_g FROM oms.carton WHERE merchant_id = 1 AND carton_id = :c), 600, 'which weighs more now');
SELECT is(oms.pack(1, :f, carton => :c, weight_g => 700), :c ::bigint, 'the last one, and weighed');
SELECT is((SELECT weight_g FROM oms.carton WHERE merchant_id = 1 AND carton_id = :c), 700, 'as weighed');
SELECT is(oms.pack(1, :f, carton => :c, length_mm => 100, width_mm => 90, height_mm => 80), :c ::bigint, 'a full carton may be measured');
SELECT is((SELECT (weight_g, length_mm, width_mm, height_mm)::text FROM oms.carton WHERE merchant_id = 1 AND carton_id = :c), '(700,100,90,80)', 'and keeps its weight');
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '5 0 5 5 0 0packed', 'packed');
SELECT is(oms.unpack(1, :c), 5::bigint, 'unpacked');
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '5 0 5 0 0 0picked', 'picked again');
SELECT throws_ok(format('SELECT oms.pack(1, %s, carton => %s)', :f, :c), 'OM008', NULL, 'a void carton stays void');
SELECT throws_ok(format('SELECT oms.unpack(1, %s)', :c), 'OM008', NULL, 'and is not unpacked twice');
SELECT oms.pack(1, :f, '[{"line":1,"quantity":2}]') AS c1 \gset
SELECT oms.pack(1, :f) AS c2 \gset
SELECT is(pg_temp.promised(:o), '1:1@1=5', 'the promise stands until goods leave');
SELECT is((SELECT on_hand FROM oms.stock WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1), 1000::bigint, 'and so do the goods');
SELECT oms.ship(1, cartons => ARRAY[:c1 ::bigint], carrier => 'c', tracking_number => 'T1') AS s1 \gset
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '3 0 5 5 2 0packed', 'shipped in part');
SELECT is(pg_temp.promised(:o), '1:1@1=3', 'promise and ...');
SELECT is((SELECT on_hand FROM oms.stock WHERE merchant_id = 1 AND item_id = 1 AND location_id = 1), 998::bigint, '... goods fall together');
SELECT is((SELECT fulfilment_state FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :o), 'partial', 'the order is partly shipped');
SELECT oms.ship(1, :f, 'c', 's', 'T2') AS s2 \gset
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '0 0 5 5 5 0shipped', 'shipped');
SELECT is(pg_temp.promised(:o), NULL, 'no promise is left');
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :o), 'completed', 'the order is complete');
SELECT is(oms.record_tracking(1, :s1, 'delivered'), 'delivered', 'the first parcel arrives');
SELECT is(pg_temp.line(:o), '0 0 5 5 5 2', 'two are delivered');
SELECT is(oms.record_tracking(1, :s2, 'delivered'), 'delivered', 'the second too');
SELECT is(pg_temp.line(:o), '0 0 5 5 5 5', 'all are');
SELECT is((SELECT fulfilment_state FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :o), 'delivered', 'so the order is');
SELECT is((SELECT string_agg(kind || ' ' || fact, ', ' ORDER BY kind, fact) FROM oms.message WHERE merchant_id = 1 AND order_id = :o),
	format('delivered shipment %s, delivered shipment %s, shipping_notice shipment %s, shipping_notice shipment %s', :s1, :s2, :s1, :s2), 'one notice per shipment, one message per arrival');

-- Money: shares of any cut sum to the order, charges go first, and that is what is captured.
SELECT pg_temp.place('{"sku":"A","quantity":7,"unit_price":"0.99","discount":"0.10","tax_rate":"0.07"},{"sku":"B","quantity":3,"unit_price":"3.33","tax_rate":"0.19"},{"sku":"S","quantity":1,"unit_price":"1.11"}',
	',"shipping":"4.99","shipping_tax_rate":"0.19","discount":"1.00"') AS o \gset
SELECT total AS total FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT is(oms.record_payment_event(1, :p, 'authorized', :total, 'auth'), :p ::bigint, 'authorized') AS authorized;
SELECT pg_temp.plan(:o) AS f \gset
SELECT is(oms.confirm_pick(1, :f), 10::bigint, 'picked');
SELECT is(count(oms.pack(1, :f, jsonb_build_array(jsonb_build_object('line', l, 'quantity', 1)))), CASE l WHEN 1 THEN 7 ELSE 3 END::bigint, 'a carton for each unit of line ' || l)
	FROM (SELECT 1 AS l FROM generate_series(1, 7) UNION ALL SELECT 2 FROM generate_series(1, 3)) x GROUP BY l ORDER BY l;
CREATE TEMPORARY TABLE shipped AS SELECT oms.ship(1, cartons => ARRAY[carton_id]) AS shipment_id FROM (SELECT carton_id FROM oms.carton WHERE merchant_id = 1 AND fulfilment_id = :f ORDER BY carton_id * 7 % 11) c;
SELECT is((SELECT count(*) FROM shipped), 10::bigint, 'ten shipments in some order');
SELECT is((SELECT sum(charge) FROM oms.shipment WHERE merchant_id = 1 AND order_id = :o), :total, 'charges sum to the total');
SELECT is((SELECT sum(captured) FROM oms.shipment WHERE merchant_id = 1 AND order_id = :o), :total, 'and all was asked for');
SELECT is_empty(format('SELECT charge, captured FROM oms.shipment WHERE merchant_id = 1 AND order_id = %s AND charge <> captured', :o), 'each time exactly the share');
SELECT results_eq(format($$ SELECT l.line_no, l.total, l.tax FROM oms.order_line l WHERE merchant_id = 1 AND order_id = %s ORDER BY 1 $$, :o),
	format($$ SELECT line_no, sum(total), sum(tax) FROM oms.shipment_line WHERE merchant_id = 1 AND order_id = %s GROUP BY 1 ORDER BY 1 $$, :o), 'line by line, tax too');
SELECT is((SELECT charge - (SELECT sum(total) FROM oms.shipment_line sl WHERE sl.merchant_id = 1 AND sl.shipment_id = s.shipment_id) FROM oms.shipment s WHERE merchant_id = 1 AND order_id = :o ORDER BY shipment_id LIMIT 1),
	4.99, 'the shipping charge goes with the first');

-- Nothing authorized: it ships all the same.
SELECT pg_temp.place('{"sku":"A","quantity":1,"unit_price":"5"}') AS o \gset
SELECT oms.ship_order(1, :o) AS s \gset
SELECT is((SELECT (charge, captured)::text FROM oms.shipment WHERE merchant_id = 1 AND shipment_id = :s), '(5.00,0)', 'unpaid goods are not kept back by shipping');

-- Kits: parts leave stock, units are counted.
SELECT pg_temp.place('{"sku":"K","quantity":3,"unit_price":"10"},{"sku":"A","quantity":1,"unit_price":"1"}') AS o \gset
SELECT is(pg_temp.promised(:o), '1:1@1=6 1:2@1=3 2:1@1=1', 'a kit promises its parts');
SELECT pg_temp.plan(:o) AS f \gset
SELECT is(oms.confirm_pick(1, :f, '[{"line":1,"quantity":2}]'), 2::bigint, 'two kits');
SELECT oms.pack(1, :f) AS c \gset
SELECT oms.ship(1, :f) AS s \gset
SELECT is(pg_temp.promised(:o), '1:1@1=2 1:2@1=1 2:1@1=1', 'one kit is left promised');
SELECT results_eq(format('SELECT item_id, quantity FROM oms.stock_movement WHERE merchant_id = 1 AND source_kind = ''shipment'' AND source_id = %s ORDER BY 1', :s),
	'VALUES (1::bigint, -4::bigint), (2, -2)', 'the ledger has the parts');
SELECT throws_ok(format('SELECT oms.short_pick(1, %s, 1, 1)', :f), 'OM011', NULL, 'of a kit the missing part is named');
SELECT throws_ok(format('SELECT oms.short_pick(1, %s, 1, 1, 5)', :f), 'OM002', NULL, 'and is one of its parts');
SELECT is(oms.short_pick(1, :f, 1, 1, 2), 1::bigint, 'a box is missing');
SELECT is(pg_temp.promised(:o), '2:1@1=1', 'the kit''s other parts are free again');
SELECT is(pg_temp.line(:o), '0 1 2 2 2 0', 'the kit is backordered');
SELECT is((SELECT sum(quantity) FROM oms.stock_movement WHERE merchant_id = 1 AND cause = 'short pick' AND item_id = 2), -1::numeric, 'the ledger lost the box');
SELECT is(oms.short_pick(1, :f, 2, 1, adjust => false), 1::bigint, 'short without saying that it is gone');
SELECT is(pg_temp.state(:f), 'shipped', 'nothing is left of the fulfilment but what was shipped');

-- Two locations; cancelling units spares what is picked, wherever it is.
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 3, 5, 'opening', 3, 'opening');
SELECT pg_temp.place('{"sku":"N","quantity":4,"unit_price":"1"}') AS o \gset
-- the order's promise moves to two locations by hand
DELETE FROM oms.reservation WHERE merchant_id = 1 AND order_id = :o;
INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 2, 5, :o, 1, 2), (1, 3, 5, :o, 1, 2);
SELECT is(pg_temp.line(:o), '4 0 0 0 0 0', 'promised in two places');
SELECT is((SELECT string_agg(location || '=' || units, ' ' ORDER BY location) FROM oms.plan_fulfilment(1, :o)), 'NORTH=2 WEST=2', 'planned in both');
SELECT max(fulfilment_id) FILTER (WHERE location_id = 2) AS west, max(fulfilment_id) FILTER (WHERE location_id = 3) AS north FROM oms.fulfilment WHERE merchant_id = 1 AND order_id = :o \gset
SELECT is(oms.confirm_pick(1, :north), 2::bigint, 'picked in the north');
SELECT is(oms.cancel_line(1, :o, 1, 1), 1, 'one unit is cancelled');
SELECT is(pg_temp.promised(:o), '1:5@2=1 1:5@3=2', 'the west gives it up');
SELECT is((SELECT quantity FROM oms.fulfilment_line WHERE merchant_id = 1 AND fulfilment_id = :west), 1, 'and has one less to do');
SELECT throws_ok(format('SELECT oms.cancel_line(1, %s, 1, 2)', :o), 'OM007', NULL, 'picked units are not cancelled');
SELECT is(oms.cancel_line(1, :o, 1), 1, 'the other one is');
SELECT is(pg_temp.state(:west), 'cancelled', 'which leaves nothing to do in the west');
SELECT is(oms.pack(1, :north) > 0, true, 'no weight known');
SELECT is((SELECT weight_g FROM oms.carton WHERE merchant_id = 1 AND fulfilment_id = :north), NULL, 'so none is told');
SELECT is(oms.cancel_order(1, :o), :o ::bigint, 'the whole order is cancelled though packed');
SELECT is(pg_temp.line(:o) || pg_temp.state(:north), '0 0 0 0 0 0cancelled', 'work ends');
SELECT is((SELECT string_agg(state, ' ') FROM oms.carton WHERE merchant_id = 1 AND order_id = :o), 'void', 'the carton is void');
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE merchant_id = 1 AND order_id = :o), 'cancelled', 'and the order is cancelled');

-- A promise deleted by hand takes planned units along, but not picked ones.
SELECT pg_temp.place('{"sku":"A","quantity":3,"unit_price":"1"}') AS o \gset
SELECT pg_temp.plan(:o) AS f \gset
SELECT is(oms.confirm_pick(1, :f, '[{"line":1,"quantity":1}]'), 1::bigint, 'one is picked');
UPDATE oms.reservation SET quantity = 2 WHERE merchant_id = 1 AND order_id = :o;
SELECT is((SELECT quantity FROM oms.fulfilment_line WHERE merchant_id = 1 AND fulfilment_id = :f), 2, 'the plan follows the promise');
SELECT throws_ok(format('DELETE FROM oms.reservation WHERE merchant_id = 1 AND order_id = %s', :o), NULL, NULL, 'the promise of a picked unit cannot be taken');
SELECT is(oms.cancel_fulfilment(1, :f), 2::bigint, 'put back');
SELECT is(pg_temp.line(:o), '2 0 0 0 0 0', 'as promised as before');
SELECT is((SELECT units FROM oms.plan_fulfilment(1, :o)), 2, 'and planned again');

-- Cancelling what is left of a fulfilment that shipped in part.
SELECT pg_temp.place('{"sku":"A","quantity":3,"unit_price":"1"}') AS o \gset
SELECT pg_temp.plan(:o) AS f \gset
SELECT is(oms.confirm_pick(1, :f, '[{"line":1,"quantity":2}]') + oms.pack(1, :f, '[{"line":1,"quantity":1}]') * 0, 2::bigint, 'two picked, one packed');
SELECT oms.ship(1, :f) AS s \gset
SELECT is(oms.cancel_fulfilment(1, :f), 2::bigint, 'two go back');
SELECT is(pg_temp.line(:o) || pg_temp.state(:f), '2 0 1 1 1 0shipped', 'the shipped one stays');
SELECT throws_ok(format('SELECT oms.cancel_fulfilment(1, %s)', :f), 'OM008', NULL, 'and is a return if it comes back');

-- Policies.
SELECT is(oms.set_setting(1, 'shipment_policy', 'order_complete'), 'order_complete', 'the merchant ships complete');
SELECT pg_temp.place('{"sku":"A","quantity":2,"unit_price":"1"},{"sku":"B","quantity":2,"unit_price":"1"},{"sku":"S","quantity":1,"unit_price":"1"}') AS o \gset
SELECT pg_temp.plan(:o) AS f \gset
SELECT is(oms.confirm_pick(1, :f), 4::bigint, 'all is picked');
SELECT oms.pack(1, :f, '[{"line":1,"quantity":2}]') AS c \gset
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM008', format('order %s is shipped complete only', :o), 'a packed line waits for the other');
SELECT is(oms.set_shipment_policy(1, :o, 'line_complete'), :o ::bigint, 'this order by line');
SELECT lives_ok(format('SELECT oms.ship(1, %s)', :f), 'then it goes');
SELECT is(oms.pack(1, :f, '[{"line":2,"quantity":1}]') > 0, true, 'half a line is packed');
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM008', format('line 2 of order %s is shipped complete only', :o), 'half a line waits');
SELECT is(oms.set_shipment_policy(1, :o, 'complete_by', now() + interval '1 day'), :o ::bigint, 'complete until tomorrow');
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM008', NULL, 'not today');
SELECT is(oms.set_shipment_policy(1, :o, 'complete_by', now()), :o ::bigint, 'complete until now');
SELECT lives_ok(format('SELECT oms.ship(1, %s)', :f), 'from the instant on as available');
SELECT is(oms.set_shipment_policy(1, :o, 'order_complete'), :o ::bigint, 'complete');
SELECT is(oms.pack(1, :f) > 0, true, 'the rest');
SELECT lives_ok(format('SELECT oms.ship(1, %s)', :f), 'what is packed to the last unit goes');
SELECT is(oms.set_setting(1, 'shipment_policy', 'as_available'), 'as_available', 'back to normal');
SELECT throws_ok($$ SELECT oms.set_setting(1, 'shipment_policy', 'never') $$, 'OM011', NULL, 'no such policy');

-- Holds block their steps only.
SELECT pg_temp.place('{"sku":"A","quantity":2,"unit_price":"1"}') AS o \gset
SELECT is(oms.hold(1, :o, 'no pick', NULL, '{pick}') > 0, true, 'pick is blocked');
SELECT throws_ok(format('SELECT oms.plan_fulfilment(1, %s)', :o), 'OM005', NULL, 'no plan');
SELECT is_empty(format('SELECT FROM oms.ready_to_plan WHERE order_id = %s', :o), 'and not in the list of work');
SELECT is(oms.release_hold(1, :o, 'no pick'), true, 'released');
SELECT pg_temp.plan(:o) AS f \gset
SELECT is(oms.hold(1, :o, 'no ship', NULL, '{ship}') > 0, true, 'shipping is blocked');
SELECT is(oms.confirm_pick(1, :f), 2::bigint, 'picking is not');
SELECT is(oms.pack(1, :f) > 0, true, 'nor packing');
SELECT throws_ok(format('SELECT oms.ship(1, %s)', :f), 'OM005', NULL, 'no shipping');
SELECT throws_ok(format('SELECT oms.ship_order(1, %s)', :o), 'OM005', NULL, 'not the quick way either');
SELECT is_empty(format('SELECT FROM oms.ready_to_ship WHERE order_id = %s', :o), 'and not in the list of work');
SELECT is(oms.release_hold(1, :o, 'no ship'), true, 'released');
SELECT lives_ok(format('SELECT oms.ship(1, %s)', :f), 'shipped');

-- Services.
SELECT pg_temp.place('{"sku":"S","quantity":3,"unit_price":"1"}') AS o \gset
SELECT lives_ok(format('SELECT oms.ship_order(1, %s)', :o), 'a service needs no carton');
SELECT is(pg_temp.line(:o), '0 0 3 3 3 3', 'it is done at once');
SELECT is((SELECT kind || ' ' || status FROM oms.shipment WHERE merchant_id = 1 AND order_id = :o), 'service delivered', 'and on record');
SELECT is_empty(format('SELECT FROM oms.message WHERE order_id = %s', :o), 'without a shipping notice');
SELECT throws_ok(format('SELECT oms.complete_services(1, %s)', :o), 'OM008', NULL, 'once');
SELECT throws_ok(format('SELECT oms.record_tracking(1, (SELECT shipment_id FROM oms.shipment WHERE order_id = %s), ''delivered'')', :o), 'OM008', NULL, 'services are not tracked');

-- Tracking: every order of arrival, with repeats, ends the same.
CREATE TEMPORARY TABLE said (n int, status text, occurred_at timestamptz, reference text);
INSERT INTO said VALUES (1, 'in_transit', '2026-01-01 10:00+00', 'r1'), (2, 'out_for_delivery', '2026-01-02 08:00+00', 'r2'),
	(3, 'delivered', '2026-01-02 10:00+00', 'r3'), (4, 'delivered', '2026-01-02 09:00+00', 'r4');
CREATE TEMPORARY TABLE tried AS
	SELECT row_number() OVER () AS t, ARRAY[a.n, b.n, c.n, d.n] AS turn, pg_temp.place('{"sku":"A","quantity":2,"unit_price":"1"}') AS o
	FROM said a, said b, said c, said d WHERE cardinality(ARRAY(SELECT DISTINCT unnest(ARRAY[a.n, b.n, c.n, d.n]))) = 4;
ALTER TABLE tried ADD s bigint;
UPDATE tried SET s = oms.ship_order(1, o);
SELECT is((SELECT count(*) FROM tried), 24::bigint, 'every order of four events');
SELECT lives_ok($$ SELECT oms.record_tracking(1, t.s, said.status, said.occurred_at, said.reference) FROM (SELECT t, s, turn, u, i FROM tried, unnest(turn || turn[1:2]) WITH ORDINALITY x (u, i) ORDER BY t, i) t
	JOIN LATERAL (SELECT * FROM said WHERE n = t.u OFFSET 0) said ON true $$, 'with two repeats each');
SELECT is((SELECT string_agg(DISTINCT status || ' ' || delivered_at, ',') FROM oms.shipment JOIN tried ON s = shipment_id AND merchant_id = 1), 'delivered ' || '2026-01-02 09:00+00'::timestamptz, 'one outcome');
SELECT is((SELECT string_agg(DISTINCT c.delivered_at::text, ',') FROM oms.carton c JOIN tried ON c.order_id = o WHERE c.merchant_id = 1), '2026-01-02 09:00+00'::timestamptz::text, 'of the cartons too');
SELECT is((SELECT string_agg(DISTINCT pg_temp.line(o), ',') FROM tried), '0 0 2 2 2 2', 'delivered once');
SELECT is((SELECT count(*) FROM oms.message JOIN tried ON order_id = o WHERE merchant_id = 1 AND kind = 'delivered'), 24::bigint, 'told once');
SELECT is((SELECT count(*) FROM oms.event JOIN tried ON order_id = o WHERE merchant_id = 1 AND type = 'shipment.delivered'), 24::bigint, 'logged once');
SELECT s AS s FROM tried WHERE t = 1 \gset
SELECT is(oms.record_tracking(1, :s, 'return_to_sender'), 'delivered', 'delivered is final');
SELECT throws_ok(format('SELECT oms.record_tracking(1, %s, ''failure'', ''2026-01-01 10:00+00'', ''r1'')', :s), 'OM010', NULL, 'another fact under the same reference is refused');

-- Legs: cartons to shipments many to many.
SELECT pg_temp.place('{"sku":"A","quantity":2,"unit_price":"1"}') AS o \gset
SELECT pg_temp.plan(:o) AS f \gset
SELECT oms.confirm_pick(1, :f) AS n \gset
SELECT oms.pack(1, :f, '[{"line":1,"quantity":1}]') AS c1 \gset
SELECT oms.pack(1, :f) AS c2 \gset
SELECT throws_ok(format('SELECT oms.forward(1, ARRAY[%s::bigint])', :c1), 'OM008', NULL, 'what has not left is not forwarded');
SELECT oms.ship(1, :f, 'c', 's', 'L1') AS l1 \gset
SELECT oms.forward(1, ARRAY[:c1 ::bigint], 'c', 's', 'L2') AS l2 \gset
SELECT is(oms.record_tracking(1, NULL, 'delivered', tracking_number => 'L1'), 'delivered', 'the first leg arrives');
SELECT is(pg_temp.line(:o), '0 0 2 2 2 1', 'with the carton that went no further');
SELECT throws_ok(format('SELECT oms.forward(1, ARRAY[%s::bigint])', :c2), 'OM008', NULL, 'which is not forwarded any more');
SELECT is(oms.record_tracking(1, :l2, 'delivered'), 'delivered', 'the second leg arrives');
SELECT is(pg_temp.line(:o), '0 0 2 2 2 2', 'with the other one');
SELECT is((SELECT count(*) FROM oms.stock_movement WHERE source_kind = 'shipment' AND source_id = :l2 AND merchant_id = 1), 0::bigint, 'no goods left twice');

-- A shipment is of one order; the same key says the same.
SELECT pg_temp.place('{"sku":"A","quantity":2,"unit_price":"1"}') AS o \gset
SELECT pg_temp.place('{"sku":"A","quantity":2,"unit_price":"1"}') AS other \gset
SELECT pg_temp.plan(:o) AS f \gset
SELECT pg_temp.plan(:other) AS g \gset
SELECT is(oms.confirm_pick(1, :f, request_key => 'k1') + oms.confirm_pick(1, :f, request_key => 'k1'), 4::bigint, 'a repeated pick answers the same');
SELECT is(oms.confirm_pick(1, :g), 2::bigint, 'the other order');
SELECT is(oms.pack(1, :f, request_key => 'k2'), oms.pack(1, :f, request_key => 'k2'), 'a repeated pack');
SELECT carton_id AS c FROM oms.carton WHERE merchant_id = 1 AND fulfilment_id = :f \gset
SELECT oms.pack(1, :g) AS d \gset
SELECT throws_ok(format('SELECT oms.ship(1, cartons => ARRAY[%s, %s]::bigint[])', :c, :d), 'OM008', NULL, 'cartons of two orders');
SELECT throws_ok(format('SELECT oms.ship(1, %s, cartons => ARRAY[%s]::bigint[])', :f, :d), 'OM008', NULL, 'carton of another fulfilment');
SELECT throws_ok(format('SELECT oms.pack(1, %s, carton => %s)', :f, :d), 'OM008', NULL, 'nor packed into');
SELECT is(oms.ship(1, :f, 'c', 's', 'TT', cost => 1.5, request_key => 'k3'), oms.ship(1, :f, 'c', 's', 'TT', cost => 1.5, request_key => 'k3'), 'a repeated ship');
SELECT throws_ok(format('SELECT oms.ship(1, %s, ''c'', ''s'', ''TT'', cost => 1.6, request_key => ''k3'')', :f), 'OM010', NULL, 'the key with other content');
SELECT throws_ok(format('SELECT oms.ship(1, %s, ''c'', ''s'', ''TT'')', :f), 'OM008', NULL, 'shipped is shipped');
SELECT throws_ok(format('SELECT oms.confirm_pick(1, %s)', :f), 'OM008', NULL, 'nothing to pick there');
SELECT is((SELECT count(*) FROM oms.shipments WHERE merchant_id = 1 AND order_id = :o AND carrier = 'c' AND service = 's' AND cost = 1.5 AND cost_currency = 'EUR'), 1::bigint, 'the view tells it');

-- Placed but not confirmed, or cancelled: no work.
SELECT is(oms.set_setting(1, 'confirmation', 'manual'), 'manual', 'orders wait for confirmation');
SELECT pg_temp.place('{"sku":"A","quantity":1,"unit_price":"1"}') AS waiting \gset
SELECT is(oms.set_setting(1, 'confirmation', 'auto'), 'auto', 'again not');
SELECT throws_ok(format('SELECT oms.plan_fulfilment(1, %s)', :waiting), 'OM008', NULL, 'not confirmed');
SELECT is_empty(format('SELECT FROM oms.ready_to_plan WHERE order_id = %s', :waiting), 'and not in the list');

-- Bad input of every function.

SELECT throws_ok(format('SELECT oms.%s', call), code, NULL, code || ': ' || left(call, 90)) FROM (VALUES
	('plan_fulfilment(NULL, 1)', 'OM011'), ('plan_fulfilment(0, 1)', 'OM011'), ('plan_fulfilment(1, NULL)', 'OM011'), ('plan_fulfilment(1, -1)', 'OM002'),
	('plan_fulfilment(1, 9223372036854775807)', 'OM002'), (format('plan_fulfilment(2, %s)', :o), 'OM002'), ('plan_fulfilment(1, 1, '''')', 'OM011'), ('plan_fulfilment(1, 1, repeat(''x'', 1000000))', 'OM011'),
	('cancel_fulfilment(NULL, 1)', 'OM011'), ('cancel_fulfilment(1, NULL)', 'OM011'), ('cancel_fulfilment(1, 0)', 'OM002'), (format('cancel_fulfilment(2, %s)', :g), 'OM002'),
	('confirm_pick(NULL, 1)', 'OM011'), ('confirm_pick(1, NULL)', 'OM011'), ('confirm_pick(1, -5)', 'OM002'), (format('confirm_pick(2, %s)', :g), 'OM002'),
	(format('confirm_pick(1, %s, ''{}'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''"x"'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''null'')', :g), 'OM003'),
	(format('confirm_pick(1, %s, ''[1]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{}]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{"line":1}]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{"line":1,"quantity":0}]'')', :g), 'OM003'),
	(format('confirm_pick(1, %s, ''[{"line":1,"quantity":-1}]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{"line":1,"quantity":1.5}]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{"line":1,"quantity":1e30}]'')', :g), 'OM003'),
	(format('confirm_pick(1, %s, ''[{"line":1,"quantity":"NaN"}]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{"line":1,"quantity":1,"x":1}]'')', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{"line":1,"quantity":1},{"line":1,"quantity":1}]'')', :g), 'OM003'),
	(format('confirm_pick(1, %s, jsonb_build_array(jsonb_build_object(''line'', repeat(''1'', 1000000))))', :g), 'OM003'), (format('confirm_pick(1, %s, ''[{"line":9,"quantity":1}]'')', :g), 'OM002'), (format('confirm_pick(1, %s, ''[{"line":1,"quantity":1}]'')', :g), 'OM007'),
	('short_pick(NULL, 1, 1, 1)', 'OM011'), ('short_pick(1, NULL, 1, 1)', 'OM011'), ('short_pick(1, 1, NULL, 1)', 'OM011'), ('short_pick(1, 1, 1, NULL)', 'OM011'), ('short_pick(1, 1, 1, 0)', 'OM011'), ('short_pick(1, 1, 1, -1)', 'OM011'),
	('short_pick(1, -1, 1, 1)', 'OM002'), (format('short_pick(1, %s, 9, 1)', :g), 'OM002'), (format('short_pick(1, %s, 1, 1)', :g), 'OM007'),
	('pack(NULL, 1)', 'OM011'), ('pack(1, NULL)', 'OM011'), ('pack(1, -1)', 'OM002'), (format('pack(2, %s)', :g), 'OM002'), (format('pack(1, %s)', :g), 'OM008'), (format('pack(1, %s, ''[{"line":1,"quantity":1}]'')', :g), 'OM007'), (format('pack(1, %s, ''[{"line":7,"quantity":1}]'')', :g), 'OM002'),
	(format('pack(1, %s, carton => -1)', :g), 'OM002'), (format('pack(1, %s, carton => 999999)', :g), 'OM002'), (format('pack(1, %s, weight_g => 0)', :g), 'OM011'), (format('pack(1, %s, weight_g => -1)', :g), 'OM011'), (format('pack(1, %s, length_mm => 0)', :g), 'OM011'),
	(format('pack(1, %s, width_mm => 100001)', :g), 'OM011'), (format('pack(1, %s, height_mm => -2147483648)', :g), 'OM011'), (format('pack(1, %s, sscc => ''123'')', :g), 'OM011'), (format('pack(1, %s, sscc => ''340123450000000001'')', :g), 'OM011'), (format('pack(1, %s, sscc => '''')', :g), 'OM011'),
	('unpack(NULL, 1)', 'OM011'), ('unpack(1, NULL)', 'OM011'), ('unpack(1, -1)', 'OM002'), (format('unpack(2, %s)', :d), 'OM002'),
	('ship(NULL, 1)', 'OM011'), ('ship(1)', 'OM011'), ('ship(1, -1)', 'OM002'), (format('ship(2, %s)', :g), 'OM002'), (format('ship(1, %s, ''nobody'')', :g), 'OM002'), (format('ship(1, %s, ''foreign'')', :g), 'OM002'), (format('ship(1, %s, ''c'', ''none'')', :g), 'OM002'),
	(format('ship(1, %s, service => ''s'')', :g), 'OM011'), (format('ship(1, %s, ''old'')', :g), 'OM008'), (format('ship(1, %s, ''c'', ''gone'')', :g), 'OM008'), (format('ship(1, %s, '''')', :g), 'OM011'), (format('ship(1, %s, tracking_number => repeat(''x'', 1000000))', :g), 'OM011'),
	('ship(1, cartons => ''{}'')', 'OM011'), ('ship(1, cartons => ''{NULL}'')', 'OM011'), (format('ship(1, cartons => ''{%s,%1$s}'')', :d), 'OM011'), ('ship(1, cartons => ''{-1}'')', 'OM002'), (format('ship(2, cartons => ''{%s}'')', :d), 'OM002'),
	(format('ship(1, %s, cost => -1)', :g), 'OM011'), (format('ship(1, %s, cost => ''NaN'')', :g), 'OM017'), (format('ship(1, %s, cost => ''Infinity'')', :g), 'OM017'), (format('ship(1, %s, cost => 1e30)', :g), 'OM017'), (format('ship(1, %s, cost => 1.234)', :g), 'OM017'),
	(format('ship(1, %s, cost => 1, cost_currency => ''XYZ'')', :g), 'OM012'), (format('ship(1, %s, cost_currency => ''EUR'')', :g), 'OM011'), (format('ship(1, %s, cost => 1.5, cost_currency => ''JPY'')', :g), 'OM017'),
	('ship_order(NULL, 1)', 'OM011'), ('ship_order(1, NULL)', 'OM011'), ('ship_order(1, -1)', 'OM002'), (format('ship_order(2, %s)', :o), 'OM002'), (format('ship_order(1, %s)', :o), 'OM008'), (format('ship_order(1, %s)', :waiting), 'OM008'),
	('complete_services(NULL, 1)', 'OM011'), ('complete_services(1, NULL)', 'OM011'), ('complete_services(1, -1)', 'OM002'), (format('complete_services(1, %s)', :o), 'OM008'),
	('forward(NULL, ''{1}'')', 'OM011'), ('forward(1, NULL)', 'OM011'), ('forward(1, ''{}'')', 'OM011'), ('forward(1, ''{-1}'')', 'OM002'), (format('forward(2, ''{%s}'')', :d), 'OM002'), (format('forward(1, ''{%s}'')', :d), 'OM008'),
	('record_tracking(NULL, 1, ''delivered'')', 'OM011'), ('record_tracking(1, NULL, ''delivered'')', 'OM011'), ('record_tracking(1, 1, NULL)', 'OM011'), ('record_tracking(1, -1, ''delivered'')', 'OM002'), (format('record_tracking(2, %s, ''delivered'')', :s), 'OM002'),
	(format('record_tracking(1, %s, ''lost'')', :s), 'OM011'), (format('record_tracking(1, %s, '''')', :s), 'OM011'), (format('record_tracking(1, %s, ''delivered'', ''infinity'')', :s), 'OM011'), (format('record_tracking(1, %s, ''delivered'', ''-infinity'')', :s), 'OM011'),
	(format('record_tracking(1, %s, ''delivered'', now() + interval ''2 days'')', :s), 'OM011'), (format('record_tracking(1, %s, ''delivered'', tracking_number => ''T1'')', :s), 'OM011'), ('record_tracking(1, NULL, ''delivered'', tracking_number => ''nowhere'')', 'OM002'),
	(format('record_tracking(1, %s, ''delivered'', description => repeat(''x'', 1000000))', :s), 'OM011'), (format('record_tracking(1, %s, ''delivered'', event_reference => '''')', :s), 'OM011'),
	('set_shipment_policy(NULL, 1, ''as_available'')', 'OM011'), ('set_shipment_policy(1, NULL, ''as_available'')', 'OM011'), ('set_shipment_policy(1, 1, NULL)', 'OM011'), ('set_shipment_policy(1, -1, ''as_available'')', 'OM002'), ('set_shipment_policy(1, 1, ''x'')', 'OM011'),
	('set_shipment_policy(1, 1, ''complete_by'')', 'OM011'), ('set_shipment_policy(1, 1, ''as_available'', now())', 'OM011'), ('set_shipment_policy(1, 1, ''complete_by'', ''infinity'')', 'OM011'), (format('set_shipment_policy(2, %s, ''as_available'')', :o), 'OM002'),
	('packing_slip(NULL, 1)', 'OM011'), ('packing_slip(1, NULL)', 'OM011'), ('packing_slip(1, -1)', 'OM002'), (format('packing_slip(2, %s)', :g), 'OM002')) v (call, code);

-- Guards: nobody writes these by hand.
SELECT throws_ok(statement, 'OM009', NULL, statement) FROM unnest(ARRAY['fulfilment', 'fulfilment_line', 'carton', 'carton_line', 'shipment', 'shipment_line', 'shipment_carton', 'tracking_event']) t,
	LATERAL (VALUES ('UPDATE oms.' || t || ' SET merchant_id = merchant_id'), ('DELETE FROM oms.' || t)) v (statement);
SET LOCAL client_min_messages = warning;
SELECT throws_ok('TRUNCATE oms.' || t || ' CASCADE', NULL, NULL, 'no TRUNCATE of ' || t) FROM unnest(ARRAY['fulfilment', 'fulfilment_line', 'carton', 'carton_line', 'shipment', 'shipment_line', 'shipment_carton', 'tracking_event']) t;

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all is sound');

-- Each fault that a disabled trigger lets in is found.
CREATE FUNCTION pg_temp.found(fault text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE rules text;
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE fault;
	SELECT string_agg(DISTINCT rule, ' ' ORDER BY rule) INTO rules FROM oms.verify_fulfilment WHERE merchant_id = 1;
	RAISE EXCEPTION USING ERRCODE = 'P0001', MESSAGE = coalesce(rules, 'nothing');
EXCEPTION WHEN raise_exception THEN
	RETURN SQLERRM;
END $$;
SELECT order_id AS o, shipment_id AS s FROM oms.shipment WHERE merchant_id = 1 AND tracking_number = 'T2' \gset
SELECT is(pg_temp.found(format(fault, :o)), rule, rule || ' is found') FROM (VALUES
	('carton_contents contents_picked fulfilment_state packed picked planned_promised shipped_planned', 'UPDATE oms.fulfilment_line SET picked = 1, packed = 1, shipped = 1 WHERE order_id = %s'),
	('carton_contents contents_picked delivered shipment_ledger', 'UPDATE oms.carton_line SET quantity = quantity + 1 WHERE carton_id IN (SELECT carton_id FROM oms.carton WHERE order_id = %s)'),
	('delivered', 'UPDATE oms.order_line SET delivered = 1 WHERE order_id = %s'),
	('delivered packed picked shipped shipped_planned shipped_value', 'UPDATE oms.order_line SET picked = 4, packed = 4, shipped = 4, delivered = 4 WHERE order_id = %s'),
	('shipment_ledger', 'UPDATE oms.stock_movement SET quantity = quantity - 1 WHERE source_kind = ''shipment'' AND source_id IN (SELECT shipment_id FROM oms.shipment WHERE order_id = %s)'),
	('shipment_ledger', 'DELETE FROM oms.stock_movement WHERE source_kind = ''shipment'' AND source_id IN (SELECT shipment_id FROM oms.shipment WHERE order_id = %s)'),
	('shipped_value', 'UPDATE oms.shipment_line SET total = total + 0.01 WHERE order_id = %s'),
	('shipment_status', 'UPDATE oms.shipment SET status = ''in_transit'', delivered_at = NULL WHERE order_id = %s'),
	('fulfilment_state', 'UPDATE oms.fulfilment SET state = ''planned'' WHERE order_id = %s')) v (rule, fault);
SELECT is(pg_temp.found(format('DELETE FROM oms.reservation WHERE order_id = %s', :other)), 'planned_promised', 'planned_promised is found');
SELECT is(pg_temp.found('UPDATE oms.order_line SET delivered = 0 WHERE item_id = 4 AND shipped > 0'), 'service_at_once', 'service_at_once is found');

SELECT * FROM finish();
ROLLBACK;
