-- Arithmetic of amounts: shares that sum exactly, units of a line, rounding, currencies and ranges.
BEGIN;
SELECT plan(41);
SELECT setseed(0.42);

-- Random totals of either sign and weights, for currencies of 0, 2 and 3 decimals.
CREATE TEMPORARY TABLE cases AS
SELECT n, code, exponent, round(((random() - 0.5) * (ARRAY[10, 1000, 1000000, 1000000000])[1 + n % 4])::numeric, exponent) AS total
FROM generate_series(1, 30000) n, LATERAL (SELECT code, exponent FROM oms.currency WHERE code = (ARRAY['JPY', 'EUR', 'KWD'])[1 + n % 3]) c;
ALTER TABLE cases ADD PRIMARY KEY (n);
CREATE TEMPORARY TABLE weights AS
SELECT n, i, CASE WHEN random() < 0.15 THEN 0 WHEN random() < 0.3 THEN 1 ELSE round((random() * 1000)::numeric, (random() * 8)::int) END AS weight
FROM cases, LATERAL generate_series(1, 1 + n % 23) i;
CREATE TEMPORARY TABLE shares AS
SELECT c.n, c.code, c.exponent, c.total, s.shares, s.weights
FROM cases c JOIN (SELECT c.n, oms.prorate(c.total, w.weight, c.code ORDER BY w.i) AS shares, array_agg(w.weight ORDER BY w.i) AS weights
	FROM cases c JOIN weights w USING (n) GROUP BY c.n) s USING (n);
CREATE TEMPORARY TABLE share AS
SELECT s.n, u.i, s.exponent, s.total, u.share, u.weight,
	-- the exact share; all weights zero count as equal
	CASE WHEN sum(u.weight) OVER o = 0 THEN s.total / cardinality(s.shares) ELSE s.total * u.weight / sum(u.weight) OVER o END AS exact
FROM shares s, LATERAL unnest(s.shares, s.weights) WITH ORDINALITY u (share, weight, i)
WINDOW o AS (PARTITION BY s.n);

SELECT is((SELECT count(*)::int FROM shares), 30000, 'prorate: 30,000 random cases');
SELECT is_empty('SELECT n, total, shares FROM shares WHERE total <> (SELECT sum(x) FROM unnest(shares) x)', 'the shares sum to the total');
SELECT is_empty('SELECT n FROM shares WHERE cardinality(shares) <> cardinality(weights)', 'each weight has its share');
SELECT is_empty('SELECT n, i, share FROM share WHERE share <> round(share, exponent)', 'shares are whole smallest units');
SELECT is_empty('SELECT n, i, share, exact FROM share WHERE abs(share - exact) >= power(10::numeric, -exponent)', 'none is off by a smallest unit or more');
SELECT is_empty('SELECT n, i, share FROM share WHERE share * total < 0', 'no share has the other sign');
SELECT is_empty('SELECT n, i, share FROM share s WHERE weight = 0 AND share <> 0 AND EXISTS (SELECT 1 FROM weights w WHERE w.n = s.n AND w.weight > 0)',
	'no weight, no share');
SELECT is_empty($$
	SELECT n FROM share a JOIN share b USING (n) WHERE abs(a.exact - trunc(a.exact, a.exponent)) > abs(b.exact - trunc(b.exact, b.exponent))
		AND abs(a.share) = abs(trunc(a.exact, a.exponent)) AND abs(b.share) > abs(trunc(b.exact, b.exponent))
		AND abs(a.exact - trunc(a.exact, a.exponent) - (b.exact - trunc(b.exact, b.exponent))) > 1e-12 $$,
	'the larger remainder gets the unit first');
SELECT is_empty('SELECT n FROM share a JOIN share b USING (n) WHERE a.weight = b.weight AND a.i < b.i AND abs(a.share) < abs(b.share)',
	'of equal weights the earlier gets it');
SELECT results_eq($$ SELECT oms.prorate(x.total, w, 'EUR' ORDER BY o) FROM (VALUES (0.05), (-0.05)) x (total), (VALUES (1, 1), (2, 1), (3, 1)) v (o, w) GROUP BY x.total ORDER BY x.total DESC $$,
	$$ VALUES ('{0.02,0.02,0.01}'::numeric[]), ('{-0.02,-0.02,-0.01}') $$, 'ties by order, of either sign');
SELECT is(oms.prorate(0.05, w, 'EUR' ORDER BY o DESC), '{0.02,0.02,0.01}', 'whatever the order is') FROM (VALUES (1, 1), (2, 1), (3, 1)) v (o, w);
SELECT is(oms.prorate(10, 0, 'JPY' ORDER BY o), '{4,3,3}', 'no weight at all: equal shares') FROM generate_series(1, 3) o;
SELECT is(oms.prorate(0, 5, 'EUR'), '{0.00}', 'nothing to split');
SELECT is((SELECT oms.prorate(1, 1, 'EUR') WHERE false), NULL, 'no rows, no shares');
SELECT is(oms.prorate(92233720368547758.07, w, 'EUR' ORDER BY o), '{46116860184273879.04,46116860184273879.03}', 'the largest amount there is')
	FROM (VALUES (1, 92233720368.54775807), (2, 92233720368.54775807)) v (o, w);

-- Units of a line: any cut into ranges.
SELECT is_empty($$
	SELECT n FROM (SELECT n, total, code, 1 + n % 37 AS units FROM cases) c,
		LATERAL (SELECT sum(oms.units_share(total, units, k - 1, k, code)) AS by_one FROM generate_series(1, units) k) a,
		LATERAL (SELECT oms.units_share(total, units, 0, units / 3, code) + oms.units_share(total, units, units / 3, units - units / 4, code)
			+ oms.units_share(total, units, units - units / 4, units, code) AS by_three) b
	WHERE a.by_one <> total OR b.by_three <> total $$, 'units_share: 30,000 totals cut one by one and in three');
SELECT is_empty($$
	SELECT n FROM (SELECT n, total, code, exponent, 1 + n % 37 AS units FROM cases) c
	WHERE oms.units_share(total, units, 0, 1, code) - oms.units_share(total, units, units - 1, units, code) NOT IN (0, sign(total) * power(10::numeric, -exponent)) $$,
	'units differ by one smallest unit at most, the first have it');
SELECT is(oms.units_share(0.10, 3, 0, 1, 'EUR'), 0.04, 'the first unit of 0.10 in 3');
SELECT is(oms.units_share(-0.10, 3, 0, 1, 'EUR'), -0.04, 'and of -0.10');
SELECT is(oms.units_share(5, 3, 2, 2, 'EUR'), 0.00, 'no unit, no amount');
SELECT is(oms.units_share(92233720368547758.07, 2147483647, 0, 2147483647, 'EUR'), 92233720368547758.07, 'as many units as there can be');
SELECT is(oms.units_share(NULL, 3, 0, 1, 'EUR'), NULL, 'null in, null out');

-- What is refused.
SELECT throws_ok(format('SELECT %s', call), code, NULL, call || ': ' || code) FROM (VALUES
	('oms.units_share(1, 3, 0, 4, ''EUR'')', 'OM011'),
	('oms.units_share(1, 3, -1, 1, ''EUR'')', 'OM011'),
	('oms.units_share(1, 0, 0, 0, ''EUR'')', 'OM011'),
	('oms.units_share(1, 1, 0, 1, ''eur'')', 'OM012'),
	('oms.units_share(0.001, 1, 0, 1, ''EUR'')', 'OM017'),
	('oms.units_share(''NaN'', 1, 0, 1, ''EUR'')', 'OM017'),
	('oms.units_share(1e30, 1, 0, 1, ''EUR'')', 'OM017'),
	('oms.prorate(1, -1, ''EUR'')', 'OM011'),
	('oms.prorate(1, NULL, ''EUR'')', 'OM011'),
	('oms.prorate(1, 1, ''ZZZ'')', 'OM012'),
	('oms.prorate(0.5, 1, ''JPY'')', 'OM017'),
	('oms.prorate(''Infinity'', 1, ''EUR'')', 'OM017'),
	('oms.prorate(1, 0.000000001, ''EUR'')', 'OM017'),
	('oms.prorate(n, 1, ''EUR'') FROM generate_series(1, 2) n', 'OM011'),
	('oms.prorate(1, 1, c) FROM unnest(''{EUR,USD}''::text[]) c', 'OM011')) v (call, code);

-- Rounding at ties, as placing does it, in three currencies.
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'jp', 'Japan', 'JPY'), (1, 3, 'kw', 'Kuwait', 'KWD');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Advice', 'service');
CREATE FUNCTION pg_temp.amount(channel int, price text, quantity int, tax_rate text DEFAULT '0', included boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE o bigint := oms.place_order(1, jsonb_build_object('channel', $1, 'tax_included', $5,
	'lines', jsonb_build_array(jsonb_build_object('sku', 'A', 'quantity', $3, 'unit_price', $2, 'tax_rate', $4))));
BEGIN
	RETURN (SELECT subtotal || ' ' || tax || ' ' || total FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o);
END $$;
CREATE FUNCTION pg_temp.amounts() RETURNS text[] LANGUAGE sql AS $$
	SELECT ARRAY[pg_temp.amount(1, '0.005', 1), pg_temp.amount(1, '0.015', 1), pg_temp.amount(1, '0.005', 5), pg_temp.amount(1, '0.00499999', 1),
		pg_temp.amount(1, '0.50', 1, '0.05', false), pg_temp.amount(1, '0.30', 1, '0.05', false), pg_temp.amount(1, '0.03', 1, '1', true),
		pg_temp.amount(2, '0.5', 1), pg_temp.amount(2, '2.5', 1), pg_temp.amount(3, '0.0005', 1), pg_temp.amount(3, '0.0015', 1)] $$;
CREATE TEMPORARY TABLE got (mode text, amounts text[]);
INSERT INTO got SELECT 'half-even', pg_temp.amounts();
SELECT oms.set_setting(1, 'rounding', 'half-up');
INSERT INTO got SELECT 'half-up', pg_temp.amounts();
SELECT is(amounts, '{0.00 0.00 0.00,0.02 0.00 0.02,0.02 0.00 0.02,0.00 0.00 0.00,0.50 0.02 0.52,0.30 0.02 0.32,0.03 0.02 0.03,0 0 0,2 0 2,0.000 0.000 0.000,0.002 0.000 0.002}'::text[],
	'half-even, the default') FROM got WHERE mode = 'half-even';
SELECT is(amounts, '{0.01 0.00 0.01,0.02 0.00 0.02,0.03 0.00 0.03,0.00 0.00 0.00,0.50 0.03 0.53,0.30 0.02 0.32,0.03 0.02 0.03,1 0 1,3 0 3,0.001 0.000 0.001,0.002 0.000 0.002}'::text[],
	'half-up by setting') FROM got WHERE mode = 'half-up';
SELECT throws_ok($$ SELECT pg_temp.amount(1, '92233720368', 100000000) $$, 'OM017', NULL, 'an amount beyond 18 digits');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
