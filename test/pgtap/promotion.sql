-- Prices of groups, promotions, coupons with limits, exemptions in force, amounts in the merchant's currency.
BEGIN;
SELECT plan(63);

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'MUG', 'Mug'), (1, 2, 'JAR', 'Jar'), (1, 3, 'CUP', 'Cup');
SELECT oms.receive_stock(1, i, 1, 1000, 'delivery') FROM generate_series(1, 3) i;
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 2, 'us', 'US shop', 'USD'), (1, 3, 'b2b', 'Wholesale', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 2, 1), (1, 3, 1);
INSERT INTO oms.customer_group (merchant_id, group_id, code, name) VALUES (1, 1, 'trade', 'Trade');
INSERT INTO oms.customer (merchant_id, customer_id, name, group_id) VALUES (1, 1, 'Ann', NULL), (1, 2, 'Bob Ltd', 1);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 10), (1, 2, 'EUR', 4), (1, 3, 'EUR', 3.33), (1, 1, 'USD', 12);

CREATE FUNCTION pg_temp.place(document jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE o bigint := oms.place_order(1, jsonb_build_object('channel', 'web') || document);
BEGIN
	RETURN (SELECT format('%s - %s + %s = %s', subtotal, discount, shipping, total) FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o);
END $$;
CREATE FUNCTION pg_temp.given() RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(format('%s %s%s %s', p.name, 'line ' || d.line_no, 'charge ' || d.charge_no, d.amount) ORDER BY allocation_no)
	FROM oms.discount_allocation d JOIN oms.promotion p USING (merchant_id, promotion_id) WHERE d.merchant_id = 1 AND order_id = (SELECT max(order_id) FROM oms.sales_order WHERE merchant_id = 1) $$;
CREATE FUNCTION pg_temp.only(name text, kind text, value numeric, more jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE oms.promotion SET active = false;
	INSERT INTO oms.promotion (merchant_id, name, kind, value, code, currency, channel_id, group_id, items, min_amount, min_quantity, buy_quantity, get_quantity, priority, exclusive, usage_limit, customer_limit, valid_from, valid_to)
	SELECT 1, $1, $2, $3, r.code, r.currency, r.channel_id, r.group_id, r.items, coalesce(r.min_amount, 0), coalesce(r.min_quantity, 0), r.buy_quantity, r.get_quantity,
		coalesce(r.priority, 100), coalesce(r.exclusive, false), r.usage_limit, r.customer_limit, coalesce(r.valid_from, '-infinity'), coalesce(r.valid_to, 'infinity')
	FROM jsonb_populate_record(NULL::oms.promotion, $4) r;
END $$;
\set mug3 '{"lines": [{"sku": "MUG", "quantity": 3}]}'
\set basket '{"lines": [{"sku": "MUG", "quantity": 1}, {"sku": "JAR", "quantity": 3}, {"sku": "CUP", "quantity": 1}], "shipping": "5.00"}'

-- Price lists: group, channel, quantity, date.
SELECT is(pg_temp.place(:'mug3'), '30.00 - 0.00 + 0.00 = 30.00', 'the price of all');
INSERT INTO oms.price (merchant_id, item_id, currency, group_id, amount) VALUES (1, 1, 'EUR', 1, 8);
SELECT is(pg_temp.place(:'mug3'), '30.00 - 0.00 + 0.00 = 30.00', 'a guest has no group');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 1}'), '30.00 - 0.00 + 0.00 = 30.00', 'nor has Ann');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 2}'), '24.00 - 0.00 + 0.00 = 24.00', 'the group has its price');
INSERT INTO oms.price (merchant_id, item_id, currency, channel_id, amount) VALUES (1, 1, 'EUR', 3, 9);
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 2, "channel": "b2b"}'), '24.00 - 0.00 + 0.00 = 24.00', 'also where the channel has one');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 1, "channel": "b2b"}'), '27.00 - 0.00 + 0.00 = 27.00', 'others have the channel''s');
INSERT INTO oms.price (merchant_id, item_id, currency, group_id, min_quantity, amount) VALUES (1, 1, 'EUR', 1, 3, 7);
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 2}'), '21.00 - 0.00 + 0.00 = 21.00', 'from three on it is less');
INSERT INTO oms.price (merchant_id, item_id, currency, group_id, min_quantity, valid_from, amount) VALUES (1, 1, 'EUR', 1, 3, '2026-01-01', 6);
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 2}'), '18.00 - 0.00 + 0.00 = 18.00', 'and less from a day on');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 2, "placed_at": "2025-12-31T23:59:59Z"}'), '21.00 - 0.00 + 0.00 = 21.00', 'not the day before');

-- Percent
SELECT pg_temp.only('ten', 'percent', 10);
SELECT is(pg_temp.place(:'basket'), '25.33 - 2.53 + 5.00 = 27.80', 'ten percent');
SELECT is(pg_temp.given(), '{ten line 1 1.00,ten line 2 1.20,ten line 3 0.33}', 'a row for each line');
SELECT is(pg_temp.place(:'basket'::jsonb || '{"promotions": false}'), '25.33 - 0.00 + 5.00 = 30.33', 'not where the document says so');
SELECT is(pg_temp.given(), NULL, 'and no row');
SELECT is(pg_temp.place('{"lines": [{"sku": "MUG", "quantity": 1, "discount": "5"}], "discount": "0.50"}'), '10.00 - 6.00 + 0.00 = 4.00', 'of what the own discount left, before the order''s');
SELECT pg_temp.only('jars', 'percent', 50, '{"items": [2]}');
SELECT is(pg_temp.place(:'basket'), '25.33 - 6.00 + 5.00 = 24.33', 'its items only');
SELECT pg_temp.only('free', 'percent', 100);
SELECT is(pg_temp.place(:'basket'), '25.33 - 25.33 + 5.00 = 5.00', 'no line below zero');

-- Amount
SELECT pg_temp.only('five', 'amount', 5, '{"currency": "EUR", "min_amount": 20}');
SELECT is(pg_temp.place(:'basket'), '25.33 - 5.00 + 5.00 = 25.33', 'five off from twenty');
SELECT is(pg_temp.given(), '{five line 1 1.97,five line 2 2.37,five line 3 0.66}', 'spread to the cent');
SELECT is(pg_temp.place('{"lines": [{"sku": "JAR", "quantity": 4}]}'), '16.00 - 0.00 + 0.00 = 16.00', 'not below twenty');
SELECT is(pg_temp.place('{"channel": "us", "lines": [{"sku": "MUG", "quantity": 4}]}'), '48.00 - 0.00 + 0.00 = 48.00', 'not in another currency');
SELECT pg_temp.only('much', 'amount', 500, '{"currency": "EUR"}');
SELECT is(pg_temp.place(:'mug3'), '30.00 - 30.00 + 0.00 = 0.00', 'never more than there is');

-- Buy two, get one
SELECT pg_temp.only('3 for 2', 'buy_get', 100, '{"buy_quantity": 2, "get_quantity": 1}');
SELECT is(pg_temp.place(:'mug3'), '30.00 - 10.00 + 0.00 = 20.00', 'three for two');
SELECT is(pg_temp.place('{"lines": [{"sku": "MUG", "quantity": 2}]}'), '20.00 - 0.00 + 0.00 = 20.00', 'two are two');
SELECT is(pg_temp.place('{"lines": [{"sku": "MUG", "quantity": 4}, {"sku": "CUP", "quantity": 1}, {"sku": "JAR", "quantity": 2}]}'), '51.33 - 7.33 + 0.00 = 44.00', 'the cheapest of all are free');
SELECT is(pg_temp.given(), '{"3 for 2 line 2 3.33","3 for 2 line 3 4.00"}', 'those');
SELECT pg_temp.only('half', 'buy_get', 50, '{"buy_quantity": 1, "get_quantity": 1, "items": [1]}');
SELECT is(pg_temp.place('{"lines": [{"sku": "MUG", "quantity": 5}, {"sku": "JAR", "quantity": 5}]}'), '70.00 - 10.00 + 0.00 = 60.00', 'each second at half its price');

-- Shipping
SELECT pg_temp.only('parcel', 'free_shipping', 100, '{"currency": "EUR", "min_amount": 25}');
SELECT is(pg_temp.place(:'basket'), '25.33 - 0.00 + 0.00 = 25.33', 'free shipping');
SELECT is(pg_temp.given(), '{"parcel charge 1 5.00"}', 'taken off the charge');
SELECT is(pg_temp.place('{"lines": [{"sku": "JAR", "quantity": 1}], "shipping": "5.00"}'), '4.00 - 0.00 + 5.00 = 9.00', 'not below 25');

-- Conditions and order
SELECT pg_temp.only('trade', 'percent', 10, '{"group_id": 1, "min_quantity": 3}');
SELECT is(pg_temp.place('{"lines": [{"sku": "JAR", "quantity": 3}]}'), '12.00 - 0.00 + 0.00 = 12.00', 'not for a guest');
SELECT is(pg_temp.place('{"customer": 2, "lines": [{"sku": "JAR", "quantity": 3}]}'), '12.00 - 1.20 + 0.00 = 10.80', 'for its group');
SELECT is(pg_temp.place('{"customer": 2, "lines": [{"sku": "JAR", "quantity": 2}]}'), '8.00 - 0.00 + 0.00 = 8.00', 'from three units on');
SELECT pg_temp.only('then', 'percent', 50, '{"valid_from": "2026-01-01", "valid_to": "2026-02-01"}');
SELECT is(pg_temp.place(:'mug3'::jsonb || jsonb_build_object('placed_at', t)), r, t) FROM (VALUES
	('2025-12-31T23:59:59Z', '30.00 - 0.00 + 0.00 = 30.00'), ('2026-01-01T00:00:00Z', '30.00 - 15.00 + 0.00 = 15.00'), ('2026-02-01T00:00:00Z', '30.00 - 0.00 + 0.00 = 30.00')) v (t, r);
SELECT pg_temp.only('first', 'percent', 50, '{"priority": 2}');
INSERT INTO oms.promotion (merchant_id, name, kind, value, currency, priority) VALUES (1, 'second', 'amount', 10, 'EUR', 3), (1, 'alone', 'percent', 90, NULL, 4);
UPDATE oms.promotion SET exclusive = true WHERE name = 'alone';
SELECT is(pg_temp.place(:'mug3'), '30.00 - 25.00 + 0.00 = 5.00', 'one after the other; what is exclusive comes too late');
UPDATE oms.promotion SET priority = 1 WHERE name = 'alone';
SELECT is(pg_temp.place(:'mug3'), '30.00 - 27.00 + 0.00 = 3.00', 'or first, and then nothing else');

-- Coupons
SELECT pg_temp.only('coupon', 'amount', 3, '{"code": "THREE", "currency": "EUR", "usage_limit": 2}');
SELECT is(pg_temp.place(:'mug3'), '30.00 - 0.00 + 0.00 = 30.00', 'not by itself');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"coupons": ["THREE"]}'), '30.00 - 3.00 + 0.00 = 27.00', 'by its code');
SELECT throws_ok(format($$ SELECT pg_temp.place('{"lines": [{"sku": "MUG", "quantity": 1}], "coupons": %s}') $$, c), e, NULL, c || ': ' || e) FROM (VALUES
	('["three"]', 'OM002'), ('["THREE", "FOUR"]', 'OM002'), ('[3]', 'OM003'), ('"THREE"', 'OM003'), ('[""]', 'OM003'),
	('["THREE"], "promotions": false', 'OM003')) v (c, e);
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"coupons": ["THREE"]}'), '30.00 - 3.00 + 0.00 = 27.00', 'once more');
SELECT throws_ok(format('SELECT pg_temp.place(%L)', :'mug3'::jsonb || '{"coupons": ["THREE"]}'), 'OM008', NULL, 'then it is used up');
SELECT is((SELECT used FROM oms.promotion_counter), 2::bigint, 'twice in all');
SELECT pg_temp.only('once', 'percent', 20, '{"customer_limit": 1}');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 1}'), '30.00 - 6.00 + 0.00 = 24.00', 'once for each customer');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 1}'), '30.00 - 0.00 + 0.00 = 30.00', 'not again');
SELECT is(pg_temp.place(:'mug3'), '30.00 - 0.00 + 0.00 = 30.00', 'not for guests');
SELECT throws_ok('UPDATE oms.discount_allocation SET amount = 1', 'OM009', NULL, 'what was given stays');
SELECT throws_ok('UPDATE oms.promotion_counter SET used = 0', 'OM009', NULL, 'and what was counted');

-- Exemption
UPDATE oms.promotion SET active = false;
INSERT INTO oms.tax_rule (merchant_id, tax_class, rate) VALUES (1, 'standard', 0.2);
UPDATE oms.customer SET tax_exempt_certificate = 'DIPLOMAT-7', tax_exempt_until = '2026-06-01' WHERE customer_id = 1;
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 1, "placed_at": "2026-05-31T23:59:59Z", "tax_included": false}'), '30.00 - 0.00 + 0.00 = 30.00', 'exempt while it is in force');
SELECT is((SELECT certificate FROM oms.order_amounts ORDER BY order_id DESC LIMIT 1), 'DIPLOMAT-7', 'which the order names');
SELECT is(pg_temp.place(:'mug3'::jsonb || '{"customer": 1, "placed_at": "2026-06-01T00:00:00Z", "tax_included": false}'), '30.00 - 0.00 + 0.00 = 36.00', 'no longer from its end on');

-- The merchant's currency
INSERT INTO oms.exchange_rate (merchant_id, currency, valid_from, rate) VALUES (1, 'USD', '2026-01-01', 0.90), (1, 'USD', '2026-02-01', 0.8765);
SELECT pg_temp.place('{"channel": "us", "placed_at": "2026-01-31T23:59:59Z", "tax_included": true, "lines": [{"sku": "MUG", "quantity": 1}]}');
SELECT pg_temp.place('{"channel": "us", "placed_at": "2026-02-01T00:00:00Z", "tax_included": true, "lines": [{"sku": "MUG", "quantity": 1}]}');
UPDATE oms.exchange_rate SET rate = 2;
SELECT results_eq('SELECT total, base_currency, rate, base_total, base_tax FROM oms.order_amounts WHERE currency = ''USD'' AND placed_at >= ''2026-01-31'' AND placed_at < ''2026-02-02'' ORDER BY order_id',
	$$ VALUES (12.00, 'EUR', 0.90, 10.80, 1.80), (12.00, 'EUR', 0.8765, 10.52, 1.75) $$, 'by the rate of the order, whatever comes later');
SELECT is((SELECT count(*) FROM oms.order_amounts WHERE currency = 'EUR' AND (rate <> 1 OR base_total <> total OR base_total IS NULL)), 0::bigint, 'in the own currency the rate is one');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Each fault is found.
ALTER TABLE oms.promotion_counter DISABLE TRIGGER promotion_counter_guard;
ALTER TABLE oms.discount_allocation DISABLE TRIGGER discount_allocation_guard;
ALTER TABLE oms.order_base DISABLE TRIGGER order_base_guard;
UPDATE oms.promotion_counter SET used = used + 5;
UPDATE oms.discount_allocation SET amount = 1000 WHERE order_id = (SELECT max(order_id) FROM oms.discount_allocation WHERE line_no = 1) AND line_no = 1;
UPDATE oms.order_base SET base_total = base_total + 0.01 WHERE order_id = (SELECT max(order_id) FROM oms.order_base);
SELECT is((SELECT array_agg(DISTINCT rule::text ORDER BY rule::text) FROM oms.verify(1) WHERE rule <> 'trigger_state'), '{base_by_rate,given_is_discount,promotion_limit,promotion_used}', 'verify() names each fault');

-- An edit gives nothing that is neither counted nor kept: what promotions gave at placement stays as it is.
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 9901, 'EDITED', 'Edited', 'service');
INSERT INTO oms.promotion (merchant_id, name, kind, value, usage_limit, items) VALUES (1, 'Once', 'percent', 10, 1, '{9901}');
SELECT oms.place_order(1, '{"channel": 1, "lines": [{"sku": "EDITED", "quantity": 1, "unit_price": "10"}]}') AS e1, oms.place_order(1, '{"channel": 1, "promotions": false, "lines": [{"sku": "EDITED", "quantity": 1, "unit_price": "10"}]}') AS e2 \gset
SELECT oms.edit_order(1, o, '[{"action": "add", "sku": "EDITED", "quantity": 1, "unit_price": "10"}]'), oms.confirm_edit(1, o) FROM unnest(ARRAY[:e1, :e2]::bigint[]) o \g /dev/null
SELECT is((SELECT string_agg(discount::text, ' ' ORDER BY line_no) FROM oms.order_line WHERE order_id = :e1), '1.00 0.00', 'a line that an edit adds gets none of it');
SELECT is((SELECT string_agg(discount::text, ' ' ORDER BY line_no) FROM oms.order_line WHERE order_id = :e2), '0.00 0.00', 'nor does an order that wanted no promotions');
SELECT is((SELECT sum(amount) FROM oms.discount_allocation WHERE order_id IN (:e1, :e2)), 1.00, 'all that was given is kept');

SELECT * FROM finish();
ROLLBACK;
