-- Low stock: three levels, one alert a crossing, and what to reorder.
BEGIN;
SELECT plan(41);
SET LOCAL oms.test_clock = '2026-03-01 12:00+00';

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple'), (1, 2, 'B', 'Box'), (1, 3, 'C', 'Cup');
SELECT oms.receive_stock(1, i, 1, 100, 'opening') FROM generate_series(1, 3) i \g /dev/null

CREATE FUNCTION pg_temp.place(quantity int, allocation text DEFAULT 'strict', item int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"allocation":"' || allocation || '","lines":[{"item":' || item || ',"quantity":' || quantity || ',"unit_price":"1"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.sold(quantity int, at timestamptz, item int DEFAULT 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, at) VALUES (1, 1, item, 'shipment', -quantity, 'sold', at) $$;
CREATE FUNCTION pg_temp.level(item int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT level FROM oms.stock_watch WHERE merchant_id = 1 AND item_id = item AND location_id = 1 $$;
CREATE FUNCTION pg_temp.alert() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item_id || '@' || location_id || ' ' || previous || '>' || level || ' ' || available, ', ') FROM oms.alert_low_stock(1) $$;
CREATE FUNCTION pg_temp.alerts() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM oms.event WHERE merchant_id = 1 AND type = 'stock.low' $$;
CREATE FUNCTION pg_temp.suggested(item int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT suggested FROM oms.stock_watch WHERE merchant_id = 1 AND item_id = item AND location_id = 1 $$;

SELECT is_empty('SELECT * FROM oms.alert_low_stock(1)', 'nothing is watched');
INSERT INTO oms.reorder_rule (merchant_id, item_id, location_id, minimum, approaching) VALUES (1, 1, 1, 20, 50);
SELECT is(pg_temp.level(), 'ok', 'enough');
SELECT is_empty('SELECT * FROM oms.low_stock', 'nothing is low');

-- One alert a crossing
SELECT pg_temp.place(50) AS o \gset
SELECT is(pg_temp.level(), 'ok', 'at the level is not below it');
SELECT count(pg_temp.place(1)) FROM generate_series(1, 10) \g /dev/null
SELECT is(pg_temp.alert(), '1@1 ok>approaching 40', 'ten orders crossed it: one alert');
SELECT is(pg_temp.alert(), NULL, 'not a second one');
SELECT count(pg_temp.place(1)) FROM generate_series(1, 10) \g /dev/null
SELECT is(pg_temp.alert(), NULL, 'nor for more orders');
SELECT is(pg_temp.alerts(), 1::bigint, 'one event');
SELECT is((SELECT data - 'suggested' FROM oms.event WHERE type = 'stock.low'), '{"level": "approaching", "location": 1, "previous": "ok", "available": 40}', 'which says what');
SELECT is((SELECT subject_type || subject_id FROM oms.event WHERE type = 'stock.low'), 'stock1', 'and of which item');
SELECT pg_temp.place(11) \g /dev/null
SELECT is(pg_temp.alert(), '1@1 approaching>below_minimum 19', 'the next level is another crossing');
SELECT oms.receive_stock(1, 1, 1, 2, 'two') \g /dev/null
SELECT is(pg_temp.alert(), NULL, 'better is no alert');
SELECT is((SELECT level FROM oms.reorder_rule), 'approaching', 'but noted');
SELECT pg_temp.place(2) \g /dev/null
SELECT is(pg_temp.alert(), '1@1 approaching>below_minimum 19', 'crossed again, alerted again');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT is(pg_temp.alert(), NULL, 'all is well');
SELECT pg_temp.place(55) AS o \gset
SELECT is(pg_temp.alert(), '1@1 ok>below_minimum 14', 'two levels at once are one alert, of the worse');
SELECT is((SELECT sku || ' ' || level || ' ' || available FROM oms.low_stock WHERE merchant_id = 1), 'A below_minimum 14', 'the view');
SAVEPOINT s;
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT pg_temp.alert() \g /dev/null
ROLLBACK TO s;
SELECT is(pg_temp.alert(), NULL, 'what was rolled back was not seen');

-- Each place by itself
INSERT INTO oms.reorder_rule (merchant_id, item_id, location_id, minimum) VALUES (1, 1, 2, 1);
SELECT is(pg_temp.alert(), '1@2 ok>below_minimum 0', 'a location without stock is low too');

-- Levels are not typed
SELECT throws_ok($$ UPDATE oms.reorder_rule SET level = 'ok' $$, 'OM009', NULL, 'not changed by hand');
SELECT throws_ok($$ INSERT INTO oms.reorder_rule (merchant_id, item_id, location_id, level) VALUES (1, 2, 1, 'approaching') $$, 'OM009', NULL, 'nor inserted');
SELECT lives_ok($$ UPDATE oms.reorder_rule SET minimum = minimum $$, 'rules are');
SELECT throws_ok('SELECT * FROM oms.alert_low_stock(NULL)', 'OM011', NULL, 'no merchant');

-- What sells before the next delivery
SELECT pg_temp.sold(30, '2026-02-20 12:00+00', 2), pg_temp.sold(60, '2026-01-01', 2) \g /dev/null
SELECT oms.receive_stock(1, 2, 1, 90, 'more') \g /dev/null
INSERT INTO oms.reorder_rule (merchant_id, item_id, location_id, lead_time_days, cover_days) VALUES (1, 2, 1, 99, 10);
SELECT is((SELECT daily_sales FROM oms.stock_watch WHERE item_id = 2), 1.0, '30 in 30 days, older sales do not count');
SELECT is(pg_temp.level(2), 'ok', '100 last for 99 days');
UPDATE oms.reorder_rule SET lead_time_days = 101 WHERE item_id = 2;
SELECT is(pg_temp.level(2), 'before_delivery', 'but not for 101');
SELECT is(pg_temp.alert(), '2@1 ok>before_delivery 100', 'an alert');
INSERT INTO oms.supply_order (merchant_id, supply_id) VALUES (1, 7);
INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered, expected_at) VALUES (1, 7, 1, 2, 1, 5, '2026-03-11 12:00+00');
SELECT is(pg_temp.level(2), 'ok', 'a delivery in ten days');
SET LOCAL oms.test_clock = '2026-03-12 12:00+00';
SELECT is(pg_temp.level(2), 'before_delivery', 'a date that is past says nothing');
SET LOCAL oms.test_clock = '2026-03-01 12:00+00';
SELECT pg_temp.sold(10, '2026-02-27 12:00+00', 3) \g /dev/null
INSERT INTO oms.reorder_rule (merchant_id, item_id, location_id) VALUES (1, 3, 1);
SELECT is((SELECT daily_sales || ' ' || lasts_days FROM oms.stock_watch WHERE item_id = 3), '5.0000 18.0', 'sold for two days only');

-- How many to reorder: one a day, 100 available and 5 incoming
SELECT is(pg_temp.suggested(2), 0::bigint, 'nothing above the reorder point: 105 for 101 days');
UPDATE oms.reorder_rule SET lead_time_days = 110 WHERE item_id = 2;
SELECT is(pg_temp.suggested(2), 15::bigint, 'lead time and cover less what is there and coming: 120 - 105');
UPDATE oms.reorder_rule SET pack_size = 12 WHERE item_id = 2;
SELECT is(pg_temp.suggested(2), 24::bigint, 'whole packs');
UPDATE oms.reorder_rule SET minimum_order = 100 WHERE item_id = 2;
SELECT is(pg_temp.suggested(2), 108::bigint, 'at least what the supplier delivers, in whole packs');
UPDATE oms.reorder_rule SET minimum_order = 1, minimum = 7 WHERE item_id = 2;
SELECT is(pg_temp.suggested(2), 24::bigint, 'the minimum stays there: 127 - 105');
SELECT pg_temp.place(103, 'backorder', 2) AS o \gset
SELECT is((SELECT available || ' ' || backordered FROM oms.stock_watch WHERE item_id = 2), '0 3', 'who waits');
SELECT is(pg_temp.suggested(2), 132::bigint, 'is served too: 127 - 0 - 5 + 3 = 125');
SELECT oms.cancel_order(1, :o) \g /dev/null
UPDATE oms.supply_line SET ordered = 50 WHERE supply_id = 7;
SELECT is(pg_temp.suggested(2), 0::bigint, 'what is coming need not be ordered');
SELECT is((SELECT reorder_point FROM oms.stock_watch WHERE item_id = 2), 117::bigint, 'the reorder point');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SELECT is((SELECT string_agg(level, ' ' ORDER BY item_id, location_id) FROM oms.reorder_rule WHERE merchant_id = 1 AND level_since = '2026-03-01 12:00+00'), 'below_minimum below_minimum before_delivery', 'since when');
SELECT * FROM finish();
ROLLBACK;
