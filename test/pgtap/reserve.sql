-- Pending orders and reserves: stock that is kept for an order, a customer or a channel, in its period. (The instant of a start: test/isolation/reserve_start.)
BEGIN;
SELECT plan(41);
SET LOCAL oms.test_clock = '2026-05-01 12:00+00';

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 5, 'amazon', 'Amazon', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2), (1, 5, 1, 1), (1, 5, 2, 2);
INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 7, 'Seven'), (1, 8, 'Eight');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
SELECT oms.receive_stock(1, 1, 1, 10, 'opening') \g /dev/null

CREATE FUNCTION pg_temp.place(quantity int, channel int DEFAULT 1, more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', channel, 'lines', jsonb_build_array(jsonb_build_object('sku', 'A', 'quantity', quantity, 'unit_price', '1'))) || more) $$;
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(location_id || '=' || quantity, ' ' ORDER BY location_id) FROM oms.reservation WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.held() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(quantity::text, ' ' ORDER BY hold_id) FROM oms.stock_hold WHERE merchant_id = 1 $$;
CREATE FUNCTION pg_temp.hold(quantity int, purpose text DEFAULT 'reserve', customer bigint DEFAULT NULL, channel int DEFAULT NULL, external_ref text DEFAULT NULL, starts_at timestamptz DEFAULT NULL, location int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.hold_stock(1, 1, location, quantity, expires_at => '2026-06-01', purpose => purpose, customer => customer, channel => channel, external_ref => external_ref, starts_at => starts_at) $$;

-- An order that is pending at the marketplace
SELECT pg_temp.hold(6, 'pending order', channel => 5, external_ref => 'M-1') \g /dev/null
SELECT is(oms.available(1, 1), 4::bigint, 'it holds its stock before it is imported');
SELECT throws_ok('SELECT pg_temp.place(5)', 'OM001', NULL, 'from others');
SELECT throws_ok('SELECT pg_temp.place(5, 5)', 'OM001', NULL, 'of its channel too');
SELECT throws_ok($$ SELECT pg_temp.place(5, 1, '{"external_ref":"M-1"}') $$, 'OM001', NULL, 'and from the same reference of another channel');
SELECT pg_temp.place(5, 5, '{"external_ref":"M-1"}') AS o \gset
SELECT is(pg_temp.promised(:o), '1=5', 'imported it has them');
SELECT is(pg_temp.held(), NULL, 'the hold is over');
SELECT is(oms.available(1, 1), 5::bigint, 'what it did not need is free');
SELECT pg_temp.hold(4, 'pending order', channel => 5, external_ref => 'M-2'), pg_temp.hold(1, 'pending order', channel => 5, external_ref => 'M-3') \g /dev/null
INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 1, 's', n, jsonb_build_object('channel', 5, 'external_ref', 'M-' || n, 'lines', '[{"sku":"A","quantity":4,"unit_price":"1"}]'::jsonb) FROM generate_series(1, 3) n;
SELECT is((SELECT (accepted, refused)::text FROM oms.place_orders(1, 's')), '(1,1)', 'many at once: one is there, one has its stock, one has not enough');
SELECT is(pg_temp.held(), '1', 'whose hold stays');
SELECT is(oms.release_pending(1, 5, 'M-3'), 1::bigint, 'until it is known not to come');
SELECT is(oms.release_pending(1, 5, 'M-3'), 0::bigint, 'once');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, external_ref => 'M-4') $$, 'OM011', NULL, 'a reference is of a channel');
SELECT throws_ok($$ SELECT pg_temp.hold(1, 'pending order', NULL, 5, 'M-4', '2026-05-10') $$, 'OM011', NULL, 'and holds from now on');
SELECT pg_temp.hold(1, 'pending order', customer => 7, channel => 5, external_ref => 'M-5') \g /dev/null
SELECT throws_ok($$ SELECT pg_temp.place(1, 5, '{"external_ref":"M-5"}') $$, 'OM008', NULL, 'kept for a customer, it is not another''s');
SELECT is(pg_temp.promised(pg_temp.place(1, 5, '{"external_ref":"M-5","customer":7}')), '1=1', 'but his');

-- Reserves
SELECT oms.receive_stock(1, 1, 1, 10 - oms.available(1, 1), 'more') \g /dev/null
SELECT pg_temp.hold(4, channel => 5) \g /dev/null
SELECT throws_ok('SELECT pg_temp.place(7)', 'OM001', NULL, 'kept from other channels');
SELECT is(pg_temp.promised(pg_temp.place(5, 5)), '1=5', 'its channel takes what is free first');
SELECT is(pg_temp.held(), '4', 'and leaves the reserve');
SELECT pg_temp.place(3, 5) AS o \gset
SELECT is((SELECT sum(quantity) FROM oms.reservation WHERE order_id = :o), 3::numeric, 'what is then missing comes from it');
SELECT is(pg_temp.held(), '2', 'of which the rest stays');
SELECT throws_ok('SELECT pg_temp.place(3, 5)', 'OM001', NULL, 'no more than it has');
SELECT is(pg_temp.held(), '2', 'what a refused order drew is back');
SELECT is(pg_temp.promised(pg_temp.place(2, 5)), '1=2', 'all of it');
SELECT is(pg_temp.held(), NULL, 'then it is gone');
SELECT oms.receive_stock(1, 1, 1, 10, 'more') \g /dev/null
SELECT pg_temp.hold(4, customer => 7), pg_temp.hold(5, customer => 7, channel => 5) \g /dev/null
SELECT throws_ok($$ SELECT pg_temp.place(2, 1, '{"customer":8}') $$, 'OM001', NULL, 'a customer''s reserve is not another''s');
SELECT throws_ok('SELECT pg_temp.place(2)', 'OM001', NULL, 'nor a guest''s');
SELECT throws_ok($$ SELECT pg_temp.place(6, 1, '{"customer":7}') $$, 'OM001', NULL, 'nor his in another channel, where it is of one');
SELECT pg_temp.place(10, 5, '{"customer":7}') AS o \gset
SELECT is((SELECT sum(quantity) FROM oms.reservation WHERE order_id = :o), 10::numeric, 'from both in their channel');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT pg_temp.hold(4, 'checkout', customer => 7) \g /dev/null
SELECT throws_ok($$ SELECT pg_temp.place(7, 1, '{"customer":7}') $$, 'OM001', NULL, 'a checkout is used when it is named');
DELETE FROM oms.stock_hold;
SELECT pg_temp.hold(3, channel => 5), oms.receive_stock(1, 1, 2, 5, 'west') \g /dev/null
SELECT pg_temp.hold(5, channel => 5, location => 2) \g /dev/null
INSERT INTO oms.promise_bound (merchant_id, item_id, channel_id, location_id, quantity) VALUES (1, 1, 5, 2, 1);
SELECT pg_temp.place(11, 5) AS o \gset
SELECT is((SELECT string_agg(location_id || '=' || q, ' ' ORDER BY location_id) FROM (SELECT location_id, sum(quantity) q FROM oms.reservation WHERE order_id = :o GROUP BY 1) x), '1=10 2=1', 'reserves of several locations, as far as a bound allows');
SELECT is(pg_temp.held(), '4', 'no more is drawn than that');
SELECT oms.cancel_order(1, :o) \g /dev/null
DELETE FROM oms.stock_hold;

-- Not before its start
SELECT pg_temp.hold(8, channel => 5, starts_at => '2026-05-10') AS h \gset
SELECT is(oms.available(1, 1, 1), 10::bigint, 'takes nothing before');
SELECT is(live, false, 'and is not live') FROM oms.stock_holds WHERE hold_id = :h;
SELECT throws_ok(format($$ SELECT pg_temp.place(1, 5, '{"holds":[%s]}') $$, :h), 'OM008', format('hold %s has not started', :h), 'nor to be used');
SELECT is(pg_temp.promised(pg_temp.place(10)), '1=10', 'others have all of it');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SET LOCAL oms.test_clock = '2026-05-10 00:00+00';
SELECT is(oms.available(1, 1, 1), -8::bigint, 'from its start on it counts');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'which is no oversell');
SET LOCAL oms.test_clock = '2026-05-01 12:00+00';
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, starts_at => '2026-05-10', expires_at => '2026-05-09') $$, 'OM011', NULL, 'an end before the start');
SELECT throws_ok($$ SELECT oms.hold_stock(1, 1, 1, 1, starts_at => '2026-05-10', scope => 'session') $$, 'OM011', NULL, 'a session''s hold has none');
SELECT oms.hold_stock(1, 1, 2, 1, '2 days', starts_at => '2026-05-10 00:00+00') AS h \gset
SELECT is((SELECT expires_at FROM oms.stock_hold WHERE hold_id = :h), '2026-05-12 00:00+00', 'a duration counts from the start');
SELECT * FROM finish();
ROLLBACK;
