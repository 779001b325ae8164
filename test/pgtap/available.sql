-- available() of a list: by the counters where there are, by the rows where not, and the same figures.
BEGIN;
SELECT plan(13);
CREATE FUNCTION pg_temp.list(items bigint[], location int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item_id || ':' || available, ' ') FROM oms.available(1, items, location) $$;
CREATE FUNCTION pg_temp.loaded() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM oms.stock_gate_entries() WHERE merchant_id = 1 AND item_id BETWEEN 901 AND 909 $$;
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 902, 'SECOND', 'Second');
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, 900 + n, 'AV' || n, 'Item' FROM generate_series(1, 4) n;
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, 900 + n, 'EUR', 1 FROM generate_series(1, 4) n;

SELECT is(pg_temp.list('{901,902}'), '901:0 902:0', 'nothing of nothing');
SELECT is(pg_temp.loaded(), 0::bigint, 'looking loads no counter');
SELECT oms.receive_stock(1, 901, 1, 10, 'test'), oms.receive_stock(1, 902, 1, 20, 'test'), oms.receive_stock(1, 901, 902, 5, 'test') \g /dev/null
SELECT is(pg_temp.list('{901,902}'), '901:0 902:0', 'what this transaction has received is not there for others yet');
SELECT is(pg_temp.list('{901,902}', NULL), '901:15 902:20', 'all locations, from the rows');
SELECT is(pg_temp.list('{902,901,902,999}', 902), '902:0 901:0 902:0 999:0', 'in the order asked, repeated and unknown ones too');
SELECT is(pg_temp.list('{}'), NULL, 'an empty list');
SELECT throws_ok('SELECT oms.available(1, ''{1,NULL}''::bigint[], 1)', 'OM011', NULL, 'a null is no item');
SELECT throws_ok('SELECT oms.available(1, NULL::bigint[], 1)', 'OM011', NULL, 'no list');
SELECT throws_ok('SELECT oms.available(NULL, ''{1}''::bigint[], 1)', 'OM011', NULL, 'no merchant');
COMMIT;

SELECT is(pg_temp.list('{901,902,903}'), '901:10 902:20 903:0', 'received and committed');
SELECT oms.place_order(1, 1, NULL, '{901,902}', '{3,4}') \g /dev/null
SELECT is(pg_temp.list('{902,901}'), '902:16 901:7', 'promised');
SELECT oms.hold_stock(1, 901, 1, 2, duration => '1 hour') \g /dev/null
SELECT is(pg_temp.list('{901}'), '901:5', 'held');
SET oms.test_clock = '2100-01-01';
SELECT is(pg_temp.list('{901,902}'), '901:7 902:16', 'a hold that has expired is free, though no row says so yet');
RESET oms.test_clock;
SELECT * FROM finish();
