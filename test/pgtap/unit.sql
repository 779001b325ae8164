-- Units of measure: exact both ways or refused; quantities an item is sold in; and orders in units.
BEGIN;
SELECT plan(59);

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'b2b', 'Wholesale', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 2, 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple'), (1, 2, 'B', 'Box'), (1, 3, 'C', 'Cloth, in centimetres');
INSERT INTO oms.price (merchant_id, item_id, currency, amount, min_quantity) VALUES (1, 1, 'EUR', 1, 1), (1, 1, 'EUR', 0.5, 24), (1, 2, 'EUR', 1, 1), (1, 3, 'EUR', 0.1, 1);

CREATE FUNCTION pg_temp.place(lines text, channel int DEFAULT 1, ref text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_strip_nulls(jsonb_build_object('channel', channel, 'external_ref', ref, 'allocation', 'none', 'lines', lines::jsonb))) $$;
CREATE FUNCTION pg_temp.line(o bigint, n int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT ordered || ' x ' || trim_scale(unit_price) || ' = ' || total FROM oms.order_line WHERE merchant_id = 1 AND order_id = o AND line_no = n $$;

-- Nobody has units
SELECT is(oms.base_quantity(1, 1, 5), 5::bigint, 'the base unit is itself');
SELECT is(oms.unit_quantity(1, 1, 5), 5::numeric, 'and back');
SELECT throws_ok($$ SELECT oms.base_quantity(1, 1, 5, 'case') $$, 'OM002', NULL, 'an unknown unit');
SELECT throws_ok($$ SELECT pg_temp.place('[{"sku":"A","quantity":1,"unit":"case"}]') $$, 'OM002', NULL, 'in an order too');
SELECT is(pg_temp.line(pg_temp.place('[{"sku":"A","quantity":2}]')), '2 x 1 = 2.00', 'orders are as ever');

INSERT INTO oms.item_unit VALUES (1, 1, 'case', 12, 1), (1, 1, 'sachet', 2, 3), (1, 1, 'pallet', 480, 1), (1, 3, 'metre', 100, 1), (1, 3, 'inch', 127, 50), (1, 2, 'big', 1000000000, 1), (1, 2, 'tiny', 1, 1000000000);

-- Exact, or refused
SELECT is(oms.base_quantity(1, 1, 3, 'case'), 36::bigint, 'cases');
SELECT is(oms.base_quantity(1, 1, 1.5, 'case'), 18::bigint, 'half a case');
SELECT is(oms.base_quantity(1, 1, -2, 'case'), -24::bigint, 'of either sign');
SELECT is(oms.base_quantity(1, 1, 3, 'sachet'), 2::bigint, 'three at two thirds');
SELECT throws_ok($$ SELECT oms.base_quantity(1, 1, 1, 'sachet') $$, 'OM011', NULL, 'one is no whole base unit');
SELECT throws_ok($$ SELECT oms.base_quantity(1, 1, 0.1, 'case') $$, 'OM011', NULL, 'nor a tenth of a case');
SELECT throws_ok($$ SELECT oms.base_quantity(1, 1, 0.333333333, 'case') $$, 'OM017', NULL, 'nine decimals');
SELECT throws_ok($$ SELECT oms.base_quantity(1, 1, 'NaN', 'case') $$, 'OM017', NULL, 'no number');
SELECT throws_ok($$ SELECT oms.base_quantity(1, 2, 92233720368, 'big') $$, 'OM011', NULL, 'too many');
SELECT is(oms.unit_quantity(1, 1, 18, 'case'), 1.5, '18 are one case and a half');
SELECT is(oms.unit_quantity(1, 1, 4, 'sachet'), 6::numeric, '4 are six sachets');
SELECT throws_ok($$ SELECT oms.unit_quantity(1, 1, 7, 'case') $$, 'OM011', NULL, '7 / 12 has no end');
SELECT is(oms.base_quantity(1, 3, 50, 'inch'), 127::bigint, '50 inches are 127 cm, to the point');
SELECT is(oms.base_price(1, 1, 18, 'case'), 1.5, 'a price per case');
SELECT throws_ok($$ SELECT oms.base_price(1, 1, 10, 'case') $$, 'OM011', NULL, 'that has an end');
SELECT throws_ok($$ SELECT oms.base_quantity(1, 1, NULL, 'case') $$, 'OM011', NULL, 'no quantity');
SELECT throws_ok($$ INSERT INTO oms.item_unit VALUES (1, 1, 'none', 0) $$, '23514', NULL, 'a unit of nothing');
-- Every ratio, every quantity: back is where it came from, or refused
CREATE FUNCTION pg_temp.round_trip() RETURNS text LANGUAGE plpgsql AS $$
DECLARE n int; d int; q bigint; u numeric; exact int := 0; refused int := 0; wrong int := 0;
BEGIN
	FOR n, d IN SELECT a, b FROM generate_series(1, 12) a, generate_series(1, 12) b LOOP
		DELETE FROM oms.item_unit WHERE merchant_id = 1 AND item_id = 2 AND unit = 'x';
		INSERT INTO oms.item_unit VALUES (1, 2, 'x', n, d);
		FOR q IN SELECT generate_series(-7, 7) LOOP
			BEGIN
				u := oms.unit_quantity(1, 2, q, 'x');
				exact := exact + 1;
				IF oms.base_quantity(1, 2, u, 'x') <> q OR u * n <> q * d THEN wrong := wrong + 1; END IF;
			EXCEPTION WHEN SQLSTATE 'OM011' THEN
				refused := refused + 1;
				IF trunc(q * d::numeric / n, 8) * n = q * d THEN wrong := wrong + 1; END IF;
			END;
		END LOOP;
	END LOOP;
	RETURN (exact > 1000) || ' ' || (refused > 100) || ' ' || wrong;
END $$;
SELECT is(pg_temp.round_trip(), 'true true 0', 'round trips leave the same quantity');

-- Stock by conversion
SELECT oms.receive_stock(1, 1, 1, oms.base_quantity(1, 1, 10, 'case'), 'ten cases') \gset
SELECT is(oms.available(1, 1), 120::bigint, 'received in cases');

-- Orders in units
SELECT pg_temp.place('[{"sku":"A","quantity":2,"unit":"case"}]') AS o \gset
SELECT is(pg_temp.line(:o), '24 x 0.5 = 12.00', 'two cases, at the price from 24 on');
SELECT is((SELECT (asked, numerator, denominator, quantity, unit_price, unit)::text FROM oms.order_line_asked WHERE order_id = :o), '(24,12,1,2,,case)', 'and what was asked for');
SELECT is(pg_temp.line(pg_temp.place('[{"item":1,"quantity":"1.5","unit":"case","unit_price":"18.00"}]')), '18 x 1.5 = 27.00', 'a price per case');
SELECT is(pg_temp.line(pg_temp.place('[{"item":1,"quantity":1,"unit":"case","unit_price":"10.00"}]')), '12 x 0.83333333 = 10.00', 'one that is not exact, where the amount is');
SELECT throws_ok($$ SELECT pg_temp.place('[{"item":1,"quantity":83333,"unit":"pallet","unit_price":"100.01"}]') $$, 'OM003', NULL, 'and where it is not, it is refused');
SELECT throws_ok($$ SELECT pg_temp.place('[{"sku":"A","quantity":1,"unit":"sachet"}]') $$, 'OM003', 'the document is malformed at $.lines[0].quantity', 'no whole base unit');
SELECT throws_ok($$ SELECT pg_temp.place('[{"sku":"A","quantity":0,"unit":"case"}]') $$, 'OM003', NULL, 'no case at all');
SELECT throws_ok($$ SELECT pg_temp.place('[{"sku":"A","quantity":1e8,"unit":"case"}]') $$, 'OM003', NULL, 'too many cases');
SELECT pg_temp.place('[{"sku":"NEW","quantity":2,"unit":"case","unit_price":"18.00"},{"sku":"NEW","quantity":"1.5","unit":"case","unit_price":"18.00"},{"sku":"NEW","quantity":1,"unit":"bag","unit_price":"5"}]') AS w \gset
SELECT is((SELECT string_agg(concat_ws(' ', coalesce(l.item_id, 0), ordered, l.unit_price::numeric(12,2), total, coalesce(numerator, 0)), '/' ORDER BY line_no) FROM oms.order_line l JOIN oms.order_line_asked USING (merchant_id, order_id, line_no) WHERE order_id = :w),
	'0 2 18.00 36.00 0/0 1 27.00 27.00 0/0 1 5.00 5.00 0', 'cases of who knows what wait in cases');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound while they wait');
SELECT oms.cancel_line(1, :w, 3, 1) \gset
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 77, 'NEW', 'New');
SELECT is((SELECT count(*) FROM oms.order_line WHERE order_id = :w AND item_id IS NULL), 3::bigint, 'an item without that unit is not enough');
INSERT INTO oms.item_unit (merchant_id, item_id, unit, numerator, denominator) VALUES (1, 77, 'case', 1, 7);
SELECT is((SELECT count(*) FROM oms.order_line WHERE order_id = :w AND item_id IS NULL), 3::bigint, 'nor is one that gives no whole units');
UPDATE oms.item_unit SET numerator = 12, denominator = 1 WHERE item_id = 77;
SELECT is((SELECT string_agg(concat_ws(' ', coalesce(l.item_id, 0), ordered, l.unit_price::numeric(12,2), total, asked, coalesce(numerator, 0)), '/' ORDER BY line_no) FROM oms.order_line l JOIN oms.order_line_asked USING (merchant_id, order_id, line_no) WHERE order_id = :w),
	'77 24 1.50 36.00 24 12/77 18 1.50 27.00 18 12/0 1 5.00 5.00 1 0', 'then they are base units, at the same amount');
SELECT is((SELECT on_hold FROM oms.sales_order WHERE order_id = :w), false, 'and the order is free');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT throws_ok($$ SELECT pg_temp.place('[{"sku":"A","quantity":1.5}]') $$, 'OM003', NULL, 'base units are whole');
SELECT lives_ok($$ SELECT pg_temp.place('[{"sku":"WHO","quantity":1,"unit_price":1}]') $$, 'an unknown SKU without a unit waits as ever');
UPDATE oms.item_unit SET numerator = 10 WHERE item_id = 1 AND unit = 'case';
SELECT is(pg_temp.line(pg_temp.place('[{"sku":"A","quantity":1,"unit":"case"}]')), '10 x 1 = 10.00', 'a case may change');
SELECT is((SELECT asked || '=' || quantity || '*' || numerator FROM oms.order_line_asked WHERE order_id = :o), '24=2*12', 'placed orders do not');

-- Rules
INSERT INTO oms.quantity_rule (merchant_id, item_id, minimum, multiple, mode) VALUES (1, 2, 5, 4, 'refuse'), (1, 3, 50, 1, 'round');
INSERT INTO oms.quantity_rule (merchant_id, item_id, channel_id, minimum, unit, mode) VALUES (1, 1, 2, 15, 'case', 'round');
SELECT is((SELECT string_agg(q || ':' || (oms.sold_quantity(1, 2, q)).quantity, ' ') FROM unnest('{1,5,8,9,12}'::bigint[]) q), '1:8 5:8 8:8 9:12 12:12', 'what would be sold');
SELECT is((SELECT (s.minimum, s.step, s.mode)::text FROM oms.sold_quantity(1, 1, 1, 2) s), '(15,10,round)', 'whole cases in one channel');
SELECT is((SELECT (s.minimum, s.step, s.mode)::text FROM oms.sold_quantity(1, 1, 1) s), '(1,1,)', 'and anything in the others');
SELECT throws_ok($$ SELECT pg_temp.place('[{"sku":"B","quantity":4}]') $$, 'OM007', 'item 2 is not sold in this quantity', 'below the least');
SELECT throws_ok($$ SELECT pg_temp.place('[{"sku":"B","quantity":9}]') $$, 'OM007', NULL, 'no multiple');
SELECT is(pg_temp.line(pg_temp.place('[{"sku":"B","quantity":8}]')), '8 x 1 = 8.00', 'as it is sold');
SELECT pg_temp.place('[{"sku":"A","quantity":11},{"sku":"A","quantity":20},{"sku":"C","quantity":"0.2","unit":"metre"}]', 2, 'R') AS o \gset
SELECT is(concat_ws(' ', pg_temp.line(:o), pg_temp.line(:o, 2), pg_temp.line(:o, 3)), '20 x 1 = 20.00 20 x 1 = 20.00 50 x 0.1 = 5.00', 'rounded up');
SELECT is((SELECT string_agg(line_no || ':' || asked, ' ' ORDER BY line_no) FROM oms.order_line_asked WHERE order_id = :o), '1:11 3:20', 'which the order says');
SELECT is((SELECT string_agg(data::text, ' ' ORDER BY event_id) FROM oms.event WHERE order_id = :o AND type = 'order.quantity_rounded'), '{"line": 1, "asked": 11, "ordered": 20} {"line": 3, "asked": 20, "ordered": 50}', 'and its timeline');
SELECT is_empty(format('SELECT * FROM oms.order_differences(1, %L)', '{"channel":2,"external_ref":"R","lines":[{"sku":"A","quantity":11},{"sku":"A","quantity":20},{"sku":"C","quantity":"0.2","unit":"metre"}]}'), 'the same document is the same order');
SELECT oms.place_order(1, 2, NULL, '{1}', '{3}') AS o \gset
SELECT is(pg_temp.line(:o), '20 x 1 = 20.00', 'plain arrays meet the rule too');
UPDATE oms.quantity_rule SET minimum = 1, multiple = 3;
SELECT is((SELECT (s.minimum, s.step)::text FROM oms.sold_quantity(1, 1, 1, 2) s), '(1,30)', 'three cases');
SELECT throws_ok($$ DELETE FROM oms.item_unit WHERE unit = 'case' $$, '23503', NULL, 'a unit that a rule names stays');

SELECT throws_ok('UPDATE oms.order_line_asked SET asked = 1', 'OM009', NULL, 'what was asked stays');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SET LOCAL session_replication_role = replica;
UPDATE oms.order_line_asked SET asked = 1000;
SET LOCAL session_replication_role = origin;
SELECT is((SELECT string_agg(DISTINCT rule, ' ' ORDER BY rule) FROM oms.verify(1)), 'asked_is_base asked_is_ordered', 'verify() finds what was seeded');
SELECT * FROM finish();
ROLLBACK;
