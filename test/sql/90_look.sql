-- Looking: what staff, customers and BI tools see of an order as it goes through the house.
-- Ids and instants vary, so this story shows neither.
\set VERBOSITY terse

INSERT INTO oms.location (merchant_id, location_id, code, name, time_zone) VALUES (1, 90, 'LOOK', 'Warehouse', 'Europe/Berlin');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, time_zone, number_prefix)
	VALUES (1, 90, 'look', 'Look shop', 'EUR', 'Pacific/Auckland', 'LK-');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 90, 90);
INSERT INTO oms.item (merchant_id, sku, title) VALUES (1, 'LK-TEA', 'Tea pot'), (1, 'LK-CUP', 'Cup');
SELECT oms.receive_stock(1, item_id, 90, 10, 'opening stock') IS NOT NULL AS received FROM oms.item WHERE sku LIKE 'LK-%';
INSERT INTO oms.customer (merchant_id, name, email) VALUES (1, 'Grace Hopper', 'grace@example.com');
SELECT customer_id AS grace FROM oms.customer WHERE email = 'grace@example.com' \gset

-- Placed just before midnight UTC: in Auckland it is the next day already.
SELECT oms.place_order(1, jsonb_build_object('channel', 'look', 'external_ref', 'LK-REF-1', 'customer', :grace, 'email', 'grace@example.com',
	'placed_at', '2026-03-01T23:30:00Z', 'ship_to', '{"name": "Grace Hopper", "city": "Arlington", "country": "US"}'::jsonb,
	'lines', '[{"sku": "LK-TEA", "quantity": 1, "unit_price": "30.00", "tax_rate": "0.2"}, {"sku": "LK-CUP", "quantity": 4, "unit_price": "5.00", "tax_rate": "0.2"}]'::jsonb,
	'discount', '5.00', 'shipping', '4.90'), actor => 'shop') AS o \gset
SELECT oms.place_order(1, '{"channel": "look", "external_ref": "LK-REF-2", "email": "guest@example.com", "placed_at": "2026-03-02T12:00:00Z",
	"ship_to": {"name": "Guest Person", "country": "NZ"}, "lines": [{"sku": "LK-CUP", "quantity": 1, "unit_price": "5.00"}]}') AS guest \gset

-- Found by number, reference, the beginning of an address or a name; never by accident.
SELECT external_ref, found_by FROM oms.find_orders(1, 'LK-' || :o);
SELECT external_ref, found_by FROM oms.find_orders(1, 'LK-REF-2');
SELECT external_ref, found_by FROM oms.find_orders(1, 'grace');
SELECT external_ref, found_by FROM oms.find_orders(1, 'GUEST@EXAMPLE.COM');
SELECT external_ref, found_by FROM oms.find_orders(1, 'gu');
SELECT external_ref, found_by FROM oms.find_orders(1, '%');
-- The next page begins below the last order of this one.
SELECT external_ref FROM oms.find_orders(1, 'LK-REF-2', max_rows => 1);
SELECT count(*) FROM oms.find_orders(1, 'LK-REF-2', before => :guest);

-- What can be done now, and why not the rest.
SELECT action, allowed, reason FROM oms.allowed_actions(1, :o);
SELECT oms.hold(1, :o, 'fraud', 'address looks odd') IS NOT NULL AS held;
SELECT action, allowed, reason FROM oms.allowed_actions(1, :o) WHERE reason LIKE 'held%';
SELECT work, subject_type, detail FROM oms.open_work WHERE order_id = :o ORDER BY 1;
SELECT oms.release_hold(1, :o, 'fraud', reason => 'called the customer');

-- Through the house.
SELECT oms.authorize(1, :o, 'card', gateway => 'stripe') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 49.90, 'auth-1') IS NOT NULL AS recorded;
SELECT fulfilment_id AS f, location, units FROM oms.plan_fulfilment(1, :o) \gset
SELECT oms.confirm_pick(1, :f), oms.pack(1, :f, '[{"line": 1, "quantity": 1}, {"line": 2, "quantity": 3}]') IS NOT NULL AS packed;
SELECT work, subject_type, detail FROM oms.open_work WHERE order_id = :o ORDER BY 1;
SELECT oms.ship(1, :f, tracking_number => 'TRACK-90-1') AS s \gset
SELECT oms.record_tracking(1, :s, 'in_transit', now() - interval '1 hour', place => 'Leipzig', description => 'On the road');

-- The customer asks: number and e-mail address, or number and token of a link.
SELECT t ->> 'stage' AS stage, t ->> 'total' AS total, jsonb_path_query_array(t, '$.lines[*].shipped') AS shipped,
	t #>> '{parcels,0,tracking_number}' AS tracking, t #> '{parcels,0,events,0,text}' AS said
FROM oms.track(1, 'LK-' || :o, 'Grace@Example.com') t;
SELECT oms.track_token(1, :o) AS token \gset
SELECT length(:'token') AS length, oms.track(1, 'LK-' || :o, :'token') = oms.track(1, 'LK-' || :o, 'grace@example.com') AS same;
-- A wrong pair tells nothing, whether the order exists or not.
SELECT oms.track(1, 'LK-' || :o, 'eve@example.com') AS wrong_address, oms.track(1, 'LK-' || :guest, :'token') AS wrong_token,
	oms.track(1, 'LK-0', 'grace@example.com') AS no_order, oms.track(1, :'o', 'grace@example.com') AS without_prefix;
SELECT external_ref, found_by FROM oms.find_orders(1, 'TRACK-90-1');

-- Delivered, and a cup comes back.
SELECT oms.record_tracking(1, :s, 'delivered');
SELECT oms.request_return(1, :o, '[{"line": 2, "quantity": 1}]', 'chipped') IS NOT NULL AS requested;
SELECT work, subject_type, detail FROM oms.open_work WHERE order_id = :o ORDER BY 1;

-- All of it in one document; a BI tool reads views instead.
SELECT jsonb_object_keys(oms.order_document(1, :o)) AS key;
SELECT d #>> '{lines,1,sku}' AS sku, d #>> '{lines,1,shipped}' AS shipped, d #>> '{lines,1,return_requested}' AS returning, d #>> '{payments,0,method}' AS method,
	d #>> '{shipments,0,tracking,0,place}' AS place, d #>> '{returns,0,state}' AS return_state, d #>> '{charges,0,total}' AS shipping
FROM oms.order_document(1, :o) d;
SELECT oms.order_document(1, 0), (SELECT count(*) FROM oms.order_timeline(1, 0)) AS events, (SELECT count(*) FROM oms.allowed_actions(1, 0)) AS actions;
SELECT type, actor, reason FROM oms.order_timeline(1, :o) ORDER BY tx, event_id;

SELECT channel, placed_on, lifecycle, payment_state, fulfilment_state, return_state, on_hold, total, currency, name FROM oms.orders WHERE channel = 'look' ORDER BY order_id;
SELECT line_no, sku, ordered, allocated, shipped, delivered, return_requested, open, discount, tax, total FROM oms.order_lines WHERE order_id = :o ORDER BY line_no;
SELECT sku, location, on_hand, unavailable, allocated, safety, available FROM oms.stock_level WHERE location = 'LOOK' ORDER BY sku;
SELECT method, gateway, amount, authorized, captured, capture_pending FROM oms.payments WHERE order_id = :o;
SELECT channel, day, orders, units, gross, discount, shipping, tax, total, cancelled, returns, net FROM oms.sales_by_day WHERE channel = 'look' ORDER BY day;
SELECT name, orders, first_order_at FROM oms.customers WHERE customer_id = :grace;
SELECT currency, orders, total, net FROM oms.customer_value WHERE customer_id = :grace;

SELECT oms.find_orders(1, '');
SELECT oms.find_orders(1, 'x', max_rows => 0);
SELECT * FROM oms.verify(1);
