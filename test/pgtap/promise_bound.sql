-- Bounds on live promises: by channel, by location, by both, whoever writes the promise.
BEGIN;
SELECT plan(36);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 5, 'amazon', 'Amazon', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2), (1, 5, 1, 1), (1, 5, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
SELECT oms.receive_stock(1, i, l, 100, 'opening') > 0 AS received FROM generate_series(1, 2) i, generate_series(1, 2) l \g /dev/null

CREATE FUNCTION pg_temp.place(channel int, quantity int, sku text DEFAULT 'A', allocation text DEFAULT 'strict') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":' || channel || ',"allocation":"' || allocation || '","lines":[{"sku":"' || sku || '","quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.bound(channel int, location int, quantity int, item int DEFAULT 1) RETURNS int LANGUAGE sql AS $$
	INSERT INTO oms.promise_bound (merchant_id, item_id, channel_id, location_id, quantity) VALUES (1, item, channel, location, quantity) RETURNING bound_id $$;
CREATE FUNCTION pg_temp.promised(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item_id || '@' || location_id || '=' || quantity, ' ' ORDER BY item_id, location_id) FROM oms.reservation WHERE merchant_id = 1 AND order_id = o $$;
-- What the counter may give beside what the rows leave, both as this transaction has them.
CREATE FUNCTION pg_temp.left_over(b int) RETURNS bigint LANGUAGE sql AS $$
	SELECT quantity - promised FROM oms.promise_bounds WHERE merchant_id = 1 AND bound_id = b $$;

-- A channel's
SELECT pg_temp.place(5, 3) AS before \gset
SELECT pg_temp.bound(5, NULL, 10) AS b \gset
SELECT is(pg_temp.left_over(:b), 7::bigint, 'promises from before it count');
SELECT throws_ok('SELECT pg_temp.place(5, 8)', 'OM007', 'promises of item 1 have reached a bound', 'one more than the channel may have');
SELECT pg_temp.place(5, 7) AS o \gset
SELECT is(pg_temp.promised(:o), '1@1=7', 'exactly as many');
SELECT throws_ok('SELECT pg_temp.place(5, 1)', 'OM007', NULL, 'it is used up');
SELECT is(pg_temp.promised(pg_temp.place(1, 20)), '1@1=20', 'another channel does not meet it');
SELECT throws_ok('SELECT oms.place_order(1, 5, NULL, ARRAY[1]::bigint[], ARRAY[1])', 'OM016', NULL, 'no price comes first');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 1);
SELECT throws_ok('SELECT oms.place_order(1, 5, NULL, ARRAY[1]::bigint[], ARRAY[1])', 'OM007', NULL, 'the array form meets it');
SELECT throws_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 2, 1, %s, 1, 1)', :o), 'OM007', NULL, 'a row typed by hand too');
SELECT throws_ok(format('UPDATE oms.reservation SET quantity = quantity + 1 WHERE order_id = %s', :o), 'OM007', NULL, 'and one made larger');
SELECT oms.cancel_line(1, :o, 1, 2) \g /dev/null
SELECT is(pg_temp.promised(pg_temp.place(5, 2)), '1@1=2', 'what is cancelled comes free');
SELECT oms.ship_order(1, :o) \g /dev/null
SELECT is(pg_temp.promised(pg_temp.place(5, 5)), '1@1=5', 'and what is shipped');

-- Savepoints give back
SAVEPOINT s;
SELECT oms.cancel_order(1, :before) \g /dev/null
ROLLBACK TO s;
SELECT throws_ok('SELECT pg_temp.place(5, 1)', 'OM007', NULL, 'a release that was rolled back is none');
SAVEPOINT s;
SELECT oms.cancel_order(1, :before) \g /dev/null
SELECT pg_temp.place(5, 3) AS o \gset
ROLLBACK TO s;
SELECT oms.cancel_order(1, :before) \g /dev/null
SELECT is(pg_temp.promised(pg_temp.place(5, 3)), '1@1=3', 'a promise that was rolled back neither');

-- Changed, and gone
UPDATE oms.promise_bound SET quantity = 12 WHERE bound_id = :b;
SELECT is(pg_temp.promised(pg_temp.place(5, 2)), '1@1=2', 'raised');
UPDATE oms.promise_bound SET quantity = 4 WHERE bound_id = :b;
SELECT throws_ok('SELECT pg_temp.place(5, 1)', 'OM007', NULL, 'lowered below what is promised');
SELECT is(ceiling, 12::bigint, 'the ceiling remembers') FROM oms.promise_bound WHERE bound_id = :b;
SELECT is_empty('SELECT * FROM oms.verify(1)', 'which is no fault');
SELECT throws_ok(format('UPDATE oms.promise_bound SET location_id = 1 WHERE bound_id = %s', :b), 'OM009', NULL, 'what is bounded stays');
DELETE FROM oms.promise_bound WHERE bound_id = :b;
SELECT is(pg_temp.promised(pg_temp.place(5, 20)), '1@1=20', 'without a bound');
SELECT count(oms.cancel_order(1, order_id)) FROM (SELECT DISTINCT order_id FROM oms.reservation WHERE merchant_id = 1) x \g /dev/null

-- A location's: the next location is asked
SELECT pg_temp.bound(NULL, 1, 5) AS b \gset
SELECT is(pg_temp.promised(pg_temp.place(1, 6)), '1@2=6', 'whole from where it is allowed');
SELECT is(pg_temp.promised(pg_temp.place(5, 97)), '1@1=5 1@2=92', 'split as far as it is');
SELECT is(pg_temp.promised(pg_temp.place(1, 2)), '1@2=2', 'the other location has no bound');
SELECT throws_ok('SELECT pg_temp.place(1, 1)', 'OM007', NULL, 'then none');
SELECT count(oms.cancel_order(1, order_id)) FROM (SELECT DISTINCT order_id FROM oms.reservation WHERE merchant_id = 1) x \g /dev/null

-- Both, and kits by their parts
SELECT pg_temp.bound(5, 1, 4) AS c \gset
SELECT pg_temp.bound(5, 2, 0) AS d \gset
SELECT is(pg_temp.promised(pg_temp.place(5, 2, 'K')), '1@1=4 2@1=2', 'two kits have four parts');
SELECT throws_ok($$ SELECT pg_temp.place(5, 1, 'K') $$, 'OM007', NULL, 'three have not');
SELECT is(pg_temp.promised(pg_temp.place(1, 1)), '1@1=1', 'the location has one for others');
SELECT throws_ok('SELECT pg_temp.bound(5, 1, 4, 3)', 'OM008', NULL, 'a kit itself is not promised');
SELECT throws_ok('SELECT pg_temp.bound(5, 1, 4, 99)', 'OM002', NULL, 'an unknown item');
SELECT throws_ok('SELECT pg_temp.bound(NULL, NULL, 4)', '23514', NULL, 'a bound of nothing');
SELECT throws_ok('INSERT INTO oms.promise_bound (merchant_id, item_id, channel_id) VALUES (1, 1, 1)', '23502', NULL, 'no quantity');

-- Backorders wait for the bound too, and a receipt fills as far as it goes
SELECT count(oms.cancel_order(1, order_id)) FROM (SELECT DISTINCT order_id FROM oms.reservation WHERE merchant_id = 1) x \g /dev/null
SELECT pg_temp.place(5, 6, 'A', 'backorder') AS o \gset
SELECT is((SELECT allocated || ' ' || backordered FROM oms.order_line WHERE order_id = :o), '4 2', 'what the bounds allow, the rest waits');
SELECT lives_ok($$ SELECT oms.receive_stock(1, 1, 1, 10, 'more') $$, 'a receipt does not fail by a bound');
SELECT is((SELECT allocated || ' ' || backordered FROM oms.order_line WHERE order_id = :o), '4 2', 'and passes none');
UPDATE oms.promise_bound SET quantity = 5 WHERE bound_id = :c;
SELECT is(oms.allocate_backorders(1), 1::bigint, 'one more is allowed, one more is filled');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SET LOCAL session_replication_role = replica;
UPDATE oms.reservation SET quantity = 50 WHERE order_id = :o;
SET LOCAL session_replication_role = origin;
SELECT is((SELECT string_agg(DISTINCT rule, ' ') FROM oms.verify(1) WHERE rule = 'promise_bound'), 'promise_bound', 'verify() finds what was seeded');
SELECT * FROM finish();
ROLLBACK;
