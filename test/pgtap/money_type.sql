-- Type oms.money: in, out, arithmetic, order, indexes, aggregates; two currencies never mix.
BEGIN;
SET LOCAL search_path = pg_catalog, public, oms, pg_temp;
SELECT plan(70);

SELECT is(t::oms.money::text, w, format('%L reads as %s', t, w)) FROM (VALUES
	('12.34 EUR', '12.34 EUR'), ('EUR 12.34', '12.34 EUR'), (' -5 JPY ', '-5 JPY'), ('1.5 KWD', '1.500 KWD'), ('0 EUR', '0.00 EUR'),
	('.5 USD', '0.50 USD'), ('1.2300 EUR', '1.23 EUR'), ('1e3 EUR', '1000.00 EUR'),
	('92233720368547758.07 EUR', '92233720368547758.07 EUR'), ('-92233720368547758.07 EUR', '-92233720368547758.07 EUR')) v (t, w);
SELECT throws_ok(format('SELECT %L::oms.money', t), c, NULL, format('%L: %s', t, c)) FROM (VALUES
	('', 'OM011'), ('12.34', 'OM011'), ('EUR', 'OM011'), ('12.34 EUR EUR', 'OM011'), ('12.34 ZZZ', 'OM012'), ('12.34 eur', 'OM012'),
	('1 EURO', 'OM012'), ('12.345 EUR', 'OM017'), ('0.5 JPY', 'OM017'), ('NaN EUR', 'OM017'), ('Infinity EUR', 'OM017'), ('1e30 EUR', 'OM017'),
	('92233720368547758.08 EUR', 'OM017'), ('abc EUR', '22P02')) v (t, c);
SELECT throws_ok(format('SELECT %L::oms.money', repeat('9', 100000) || ' EUR'), 'OM017', NULL, 'a hundred thousand digits');
SELECT is(oms.money(12.3, 'EUR')::text, '12.30 EUR', 'from amount and currency');
SELECT is(oms.money(NULL, 'EUR'), NULL, 'null in, null out');
SELECT throws_ok($$ SELECT oms.money(0.001, 'EUR') $$, 'OM017', NULL, 'never rounded on the way in');
SELECT is(amount('12.3 EUR'::oms.money) || ' ' || currency('12.3 EUR'::oms.money), '12.30 EUR', 'and back');

-- Arithmetic
SELECT is(('1.10 EUR'::oms.money + '2.25 EUR')::text, '3.35 EUR', '+');
SELECT is(('1.10 EUR'::oms.money - '2.25 EUR')::text, '-1.15 EUR', '-');
SELECT is((- '1.10 EUR'::oms.money)::text, '-1.10 EUR', 'minus');
SELECT is(abs('-1.10 EUR'::oms.money)::text, '1.10 EUR', 'abs');
SELECT is(('1.10 EUR'::oms.money * 3)::text, '3.30 EUR', 'times a number');
SELECT is((3 * '1.10 EUR'::oms.money)::text, '3.30 EUR', 'a number times it');
SELECT is(('10 EUR'::oms.money / 3)::text, '3.33 EUR', 'divided by a number');
SELECT is(('10 EUR'::oms.money / '4 EUR'), 2.5, 'ratio');
SELECT results_eq($$ SELECT (m * f)::text FROM (VALUES ('0.01 EUR'::oms.money, 0.5), ('0.03 EUR', 0.5), ('0.05 EUR', 0.5), ('-0.01 EUR', 0.5), ('-0.03 EUR', 0.5),
		('0.01 EUR', 0.500000000000000000001), ('-0.01 EUR', 0.500000000000000000001), ('3 JPY', 0.5), ('5 JPY', 0.5)) v (m, f) $$,
	$$ VALUES ('0.00 EUR'), ('0.02 EUR'), ('0.02 EUR'), ('0.00 EUR'), ('-0.02 EUR'), ('0.01 EUR'), ('-0.01 EUR'), ('2 JPY'), ('2 JPY') $$,
	'products round half to even, of either sign');
SELECT throws_ok(format('SELECT %s', e), c, NULL, e || ': ' || c) FROM (VALUES
	('''1 EUR''::oms.money + ''1 USD''', 'OM012'), ('''1 EUR''::oms.money - ''1 USD''', 'OM012'), ('''1 EUR''::oms.money / ''1 USD''::oms.money', 'OM012'),
	('''92233720368547758.07 EUR''::oms.money + ''0.01 EUR''', 'OM017'), ('''-92233720368547758.07 EUR''::oms.money - ''0.02 EUR''', 'OM017'),
	('''92233720368547758.07 EUR''::oms.money * 1.5', 'OM017'), ('''1 EUR''::oms.money * ''NaN''', 'OM017'), ('''1 EUR''::oms.money * ''Infinity''', 'OM017'),
	('''1 EUR''::oms.money / 0', '22012'), ('''1 EUR''::oms.money / ''0 EUR''::oms.money', '22012')) v (e, c);

-- Sums
SELECT is(sum(m)::text, '6.06 EUR', 'sum') FROM unnest('{1.01 EUR,2.02 EUR,NULL,3.03 EUR}'::oms.money[]) m;
SELECT is((SELECT sum(m) FROM unnest('{}'::oms.money[]) m), NULL, 'a sum of nothing is null');
SELECT is(min(m)::text || ' ' || max(m), '1.01 EUR 3.03 EUR', 'min and max') FROM unnest('{2.02 EUR,1.01 EUR,3.03 EUR}'::oms.money[]) m;
SELECT throws_ok(format('SELECT %s(m) FROM unnest(''{1 EUR,1 USD}''::oms.money[]) m', f), 'OM012', NULL, f || ' over two currencies')
	FROM unnest('{sum,min,max}'::text[]) f;
CREATE TEMPORARY TABLE amounts AS SELECT n, oms.money(n::numeric / 100, (ARRAY['EUR', 'JPY', 'USD'])[1 + n % 3]) AS m
	FROM generate_series(1, 30000) n WHERE n % 3 <> 1 OR n % 100 = 0;
SELECT results_eq($$ SELECT currency(m), amount(sum(m)) FROM amounts GROUP BY 1 ORDER BY 1 $$,
	$$ SELECT currency(m), sum(amount(m)) FROM amounts GROUP BY 1 ORDER BY 1 $$, 'sums by currency');
SELECT throws_ok('SELECT sum(m) FROM amounts', 'OM012', NULL, 'a sum over all is refused');
SELECT is((SELECT aggcombinefn::text FROM pg_aggregate WHERE aggfnoid = 'oms.sum(oms.money)'::regprocedure), 'money_plus', 'sums may run in parallel');

-- Order, index, hash
SELECT is(array_agg(m::text ORDER BY m), '{1.00 EUR,2.00 EUR,10.00 EUR,5 JPY,1.00 USD}', 'sorted by currency, then by amount')
	FROM unnest('{5 JPY,10 EUR,1 USD,2 EUR,1 EUR}'::oms.money[]) m;
SELECT ok('1 EUR'::oms.money < '2 EUR' AND '1 EUR'::oms.money <= '1 EUR' AND '2 EUR'::oms.money > '1 EUR' AND '1 EUR'::oms.money >= '1 EUR'
	AND '1 EUR'::oms.money = '1.00 EUR' AND '1 EUR'::oms.money <> '1 USD' AND NOT '1 EUR'::oms.money = '1 USD', 'comparison');
CREATE INDEX ON amounts (m);
ANALYZE amounts;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT is((SELECT count(*) FROM amounts WHERE m >= '100 EUR' AND m < '200 EUR'),
	(SELECT count(*) FROM amounts WHERE currency(m) = 'EUR' AND amount(m) >= 100 AND amount(m) < 200), 'an index range is right');
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;
SELECT ok(EXISTS (SELECT FROM pg_temp.plan($$ SELECT * FROM amounts WHERE m = '100 EUR' $$) l WHERE l ~ 'Index'), 'the index is used');
SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = off; SET LOCAL enable_nestloop = off;
SELECT is((SELECT count(*) FROM amounts a JOIN amounts b USING (m)), (SELECT count(*) FROM amounts), 'a hash join');
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = on;
SELECT is((SELECT count(*) FROM amounts a JOIN amounts b USING (m)), (SELECT count(*) FROM amounts), 'a merge join');
SELECT is((SELECT count(DISTINCT m) FROM amounts), (SELECT count(*) FROM amounts), 'distinct');
SELECT is_empty('SELECT m FROM amounts WHERE oms.money_hash(m) <> oms.money_hash(oms.money(amount(m), currency(m)))', 'equal amounts have equal hashes');

-- Binary form, as a driver would use it
SELECT is(oms.money_send('-12.34 EUR'), '\xfffffffffffffb2e455552', 'binary: int64 and three letters');

-- Views
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'jp', 'Japan', 'JPY');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Advice', 'service');
SELECT oms.place_order(1, '{"channel": 1, "lines": [{"sku": "A", "quantity": 2, "unit_price": "9.99"}]}');
SELECT oms.place_order(1, '{"channel": 2, "lines": [{"sku": "A", "quantity": 1, "unit_price": "500"}]}');
SELECT results_eq('SELECT total::text, due::text FROM oms.order_money WHERE merchant_id = 1 ORDER BY order_id', $$ VALUES ('19.98 EUR', '19.98 EUR'), ('500 JPY', '500 JPY') $$,
	'order_money shows amounts with their currency');
SELECT throws_ok('SELECT sum(total) FROM oms.order_money WHERE merchant_id = 1', 'OM012', NULL, 'a report over two currencies is refused');
SELECT throws_ok($$ UPDATE oms.currency SET exponent = 2 WHERE code = 'JPY' $$, 'OM009', NULL, 'a currency keeps its smallest unit');
SELECT lives_ok($$ UPDATE oms.currency SET name = 'Yen' WHERE code = 'JPY' $$, 'its name may change');

SELECT * FROM finish();
ROLLBACK;
