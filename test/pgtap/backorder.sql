-- Backorders: limits, who is served first, and that one unit fills one unit.
BEGIN;
SELECT plan(47);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (1, 3, 'FAR', 'Of no channel');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);

CREATE FUNCTION pg_temp.place(quantity int, sku text DEFAULT 'A', placed text DEFAULT '2026-01-01', allocation text DEFAULT 'backorder') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"placed_at":"' || placed || 'T00:00:00Z","allocation":"' || allocation || '","lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.line(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', allocated, backordered) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item_id || '@' || location_id || '=' || q, ' ' ORDER BY item_id, location_id) FROM
	(SELECT item_id, location_id, sum(quantity) q FROM oms.reservation WHERE merchant_id = 1 AND order_id = o GROUP BY 1, 2) x $$;

-- Oldest first
SELECT pg_temp.place(3, placed => '2026-01-02') AS o2 \gset
SELECT pg_temp.place(3, placed => '2026-01-01') AS o1 \gset
SELECT is(pg_temp.line(:o1), '0 3', 'accepted without stock');
SELECT is((SELECT string_agg(order_id::text, ' ' ORDER BY placed_at) FROM oms.backorder WHERE merchant_id = 1), :o1 || ' ' || :o2, 'the view lists who waits');
SELECT oms.receive_stock(1, 1, 1, 4, 'four') > 0 AS received \gset
SELECT is(pg_temp.line(:o1), '3 0', 'the older order is filled');
SELECT is(pg_temp.line(:o2), '1 2', 'the younger gets what is left');
SELECT is(pg_temp.promised(:o2), '1@1=1', 'with a promise');
SELECT is(oms.available(1, 1), 0::bigint, 'one unit fills one unit');
SELECT is((SELECT data::text FROM oms.event WHERE merchant_id = 1 AND order_id = :o2 AND type = 'order.backorder_filled'), '{"line": 1, "location": 1, "quantity": 1}', 'its timeline says so');
SELECT oms.receive_stock(1, 1, 3, 5, 'elsewhere') > 0 AS received \gset
SELECT is(pg_temp.line(:o2), '1 2', 'a location of another channel does not count');
SELECT oms.receive_stock(1, 1, 2, 5, 'west') > 0 AS received \gset
SELECT is(pg_temp.promised(:o2), '1@1=1 1@2=2', 'filled at another location of its channel');
SELECT is(oms.available(1, 1, 2), 3::bigint, 'no more than it wanted');

-- What kinds of movement bring stock
SELECT pg_temp.place(10) AS o \gset
SELECT is(pg_temp.line(:o), '3 7', 'the rest waits');
SELECT oms.adjust_stock(1, 1, 1, 1, 'found') > 0 AS moved \gset
SELECT is(pg_temp.line(:o), '4 6', 'an adjustment');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 1, 1, 'return', 1, 'typed');
SELECT is(pg_temp.line(:o), '5 5', 'a return typed by hand');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, cause) VALUES (1, 1, 1, 'return', 2, 2, 'broken');
SELECT is(pg_temp.line(:o), '5 5', 'damaged goods fill nothing');
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, cause) VALUES (1, 1, 1, 'state', 0, -2, 'repaired');
SELECT is(pg_temp.line(:o), '7 3', 'repaired they do');
SELECT is(oms.cancel_line(1, :o, 1, 2), 2, 'cancelled');
SELECT is(pg_temp.line(:o), '7 1', 'what waited goes first');
SELECT oms.receive_stock(1, 1, 1, 5, 'five') > 0 AS received \gset
SELECT is(pg_temp.line(:o), '8 0', 'and gets no stock any more');
SELECT is(oms.available(1, 1, 1), 4::bigint, 'the rest is free');

-- Stock that came free otherwise
SELECT pg_temp.place(6) AS o1 \gset
SELECT is(pg_temp.line(:o1), '4 2', 'two wait');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 3, 3);
SELECT is(pg_temp.line(:o1), '4 2', 'another location of the channel is no movement');
SELECT is(oms.allocate_backorders(1, 1, request_key => 'r'), 2::bigint, 'asked for');
SELECT is(oms.allocate_backorders(1, 1, request_key => 'r'), 2::bigint, 'asked again');
SELECT is(oms.allocate_backorders(1), 0::bigint, 'nothing waits');
SELECT is(oms.cancel_order(1, :o), :o ::bigint, 'another order goes');
DELETE FROM oms.channel_location WHERE merchant_id = 1 AND channel_id = 1 AND location_id = 3;

-- Kits need all their parts
SELECT count(oms.adjust_stock(1, 1, l, -oms.available(1, 1, l), 'gone')) AS moved FROM generate_series(1, 2) l WHERE oms.available(1, 1, l) > 0 \gset
SELECT pg_temp.place(2, 'K') AS k \gset
SELECT oms.receive_stock(1, 1, 1, 4, 'apples') > 0 AS received \gset
SELECT is(pg_temp.line(:k), '0 2', 'apples without boxes make no kit');
SELECT oms.receive_stock(1, 2, 1, 1, 'a box') > 0 AS received \gset
SELECT is(pg_temp.line(:k) || ' ' || pg_temp.promised(:k), '1 1 1@1=2 2@1=1', 'one of each makes one');
SELECT oms.adjust_stock(1, 1, 1, -2, 'gone') > 0 AS moved \gset
SELECT is(oms.cancel_order(1, :k), :k ::bigint, 'cancelled');

-- By priority, by promise
SELECT oms.adjust_stock(1, 1, 1, -oms.available(1, 1, 1), 'gone') > 0 AS moved \gset
SELECT pg_temp.place(1, placed => '2026-02-01') AS o1 \gset
SELECT pg_temp.place(1, placed => '2026-02-02') AS o2 \gset
SELECT pg_temp.place(1, placed => '2026-02-03') AS o3 \gset
SELECT oms.set_urgency(1, :o3, priority => 5), oms.set_urgency(1, :o2, promised_at => '2026-03-01') \gset
SELECT oms.set_setting(1, 'backorder_fill', 'priority') \gset
SELECT oms.receive_stock(1, 1, 1, 1, 'one') > 0 AS received \gset
SELECT is(concat_ws('/', pg_temp.line(:o1), pg_temp.line(:o2), pg_temp.line(:o3)), '0 1/0 1/1 0', 'the highest priority');
SELECT oms.set_setting(1, 'backorder_fill', 'promise') \gset
SELECT oms.receive_stock(1, 1, 1, 1, 'one') > 0 AS received \gset
SELECT is(concat_ws('/', pg_temp.line(:o1), pg_temp.line(:o2), pg_temp.line(:o3)), '0 1/1 0/1 0', 'the earliest promise');
SELECT throws_ok($$ SELECT oms.set_urgency(1, 999999) $$, 'OM002', NULL, 'an unknown order');

-- Limits
SELECT is(oms.set_backorder_limit(1, 1, 5), 1::bigint, 'one waits when the limit is set');
SELECT pg_temp.place(4) AS o \gset
SELECT throws_ok($$ SELECT pg_temp.place(1) $$, 'OM007', NULL, 'the limit is reached');
SELECT is(oms.cancel_line(1, :o, 1, 1), 1, 'one goes');
SELECT lives_ok($$ SELECT pg_temp.place(1) $$, 'one comes');
SELECT oms.receive_stock(1, 1, 1, 2, 'two') > 0 AS received \gset
SELECT is((SELECT used FROM oms.backorder_limit WHERE merchant_id = 1 AND item_id = 1), 3::bigint, 'filled ones no longer count');
INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 1, 's', n, '{"channel":1,"allocation":"backorder","lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}' FROM generate_series(1, 4) n;
SELECT is((SELECT (accepted, refused)::text FROM oms.place_orders(1, 's')), '(2,2)', 'nor do many at once pass it');
SELECT throws_ok($$ UPDATE oms.backorder_limit SET used = 0 $$, 'OM009', NULL, 'the count is not typed by hand');
SELECT throws_ok($$ SELECT oms.set_backorder_limit(1, 1, -1) $$, 'OM011', NULL, 'no negative limit');
SELECT throws_ok($$ SELECT oms.set_backorder_limit(1, 99, 1) $$, 'OM002', NULL, 'an unknown item');

-- From waiting to the door, with a short pick between
SELECT oms.set_backorder_limit(1, 1, NULL) IS NOT NULL AS ended \gset
SELECT count(oms.cancel_order(1, order_id)) AS cancelled FROM (SELECT DISTINCT order_id FROM oms.backorder WHERE merchant_id = 1) x \gset
SELECT count(oms.adjust_stock(1, 1, l, -oms.available(1, 1, l), 'gone')) AS moved FROM generate_series(1, 2) l WHERE oms.available(1, 1, l) > 0 \gset
SELECT pg_temp.place(2) AS o \gset
SELECT oms.receive_stock(1, 1, 1, 2, 'two') > 0 AS received \gset
SELECT max(fulfilment_id) AS f FROM oms.plan_fulfilment(1, :o) \gset
SELECT is(oms.short_pick(1, :f, 1, 1), 1::bigint, 'one is not on the shelf');
SELECT is(pg_temp.line(:o), '1 1', 'it waits again, and its own variance fills nothing');
SELECT oms.receive_stock(1, 1, 1, 1, 'another') > 0 AS received \gset
SELECT is(pg_temp.line(:o), '2 0', 'until one comes');
SELECT is(oms.ship_order(1, :o) IS NOT NULL, true, 'shipped') AS shipped;
SELECT is(pg_temp.line(:o), '0 0', 'nothing waits');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SELECT oms.set_backorder_limit(1, 1, 9) IS NOT NULL AS limited \gset
ALTER TABLE oms.backorder_limit DISABLE TRIGGER USER;
UPDATE oms.backorder_limit SET used = used + 1;
SELECT is((SELECT string_agg(rule, ' ') FROM oms.verify(1) WHERE rule <> 'trigger_state'), 'backorder_limit_used', 'verify() finds what was seeded');
SELECT * FROM finish();
ROLLBACK;
