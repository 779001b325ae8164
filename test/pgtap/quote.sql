-- Quotes: prices that stay, revisions that are kept, an end by the clock, one order.
BEGIN;
SELECT plan(30);

INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, tax_class) VALUES (1, 1, 'A', 'Apple', 'stocked', 'standard');
INSERT INTO oms.tax_rule (merchant_id, tax_class, country, region, rate) VALUES (1, 'standard', 'DE', '', 0.19);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 9.99);
SELECT oms.receive_stock(1, 1, 1, 5, 'opening') \g /dev/null
SET oms.test_clock = '2026-03-01 10:00:00+00';
\set doc '{"channel": 1, "customer": 1, "ship_to": {"country": "DE"}, "external_ref": "Q-1", "discount": "1.01", "shipping": "4.90", "charges": [{"kind": "adjustment", "amount": "-0.50"}], "lines": [{"sku": "A", "quantity": 3}]}'
SELECT oms.quote_order(1, :'doc', '2026-03-08 10:00:00+00', 'key') AS q \gset
SELECT is(oms.quote_order(1, :'doc', '2026-03-08 10:00:00+00', 'key'), :q::bigint, 'the same key is the same quote');
SELECT is((SELECT concat_ws(' ', state, revision, subtotal, discount, total) FROM oms.quotes WHERE quote_id = :q), 'open 1 29.97 1.01 33.36', 'computed');
SELECT is((SELECT count(*) FROM oms.sales_order), 0::bigint, 'no order yet');
SELECT is(oms.available(1, 1, 1), 5::bigint, 'no stock is taken');
SELECT is((SELECT asked FROM oms.quote_revision WHERE quote_id = :q), :'doc'::jsonb, 'what was asked is kept');

-- Prices, taxes and titles change; the quote does not
UPDATE oms.price SET amount = 99 WHERE item_id = 1;
UPDATE oms.tax_rule SET rate = 0.5 WHERE tax_class = 'standard';
UPDATE oms.item SET title = 'Pear' WHERE item_id = 1;
SELECT concat_ws(' ', subtotal, discount, tax, total) AS amounts FROM oms.quotes WHERE quote_id = :q \gset
SELECT oms.accept_quote(1, :q, 1) AS o \gset
SELECT is((SELECT concat_ws(' ', subtotal, discount, tax, total) FROM oms.sales_order WHERE order_id = :o), :'amounts', 'the order costs what was quoted');
SELECT is((SELECT title || ' ' || unit_price || ' ' || ordered FROM oms.order_line WHERE order_id = :o), 'Apple 9.99 3', 'line by line');
SELECT is((SELECT external_ref || ' ' || customer_id || ' ' || placed_at FROM oms.sales_order WHERE order_id = :o), 'Q-1 1 ' || '2026-03-01 10:00:00+00'::timestamptz, 'placed when it was accepted');
SELECT is(oms.available(1, 1, 1), 2::bigint, 'now stock is taken');
SELECT is(oms.accept_quote(1, :q), :o::bigint, 'accepted again it is the same order');
SELECT is((SELECT count(*) FROM oms.sales_order), 1::bigint, 'and no other');
SELECT throws_ok(format('SELECT oms.revise_quote(1, %s, %L)', :q, :'doc'), 'OM008', format('quote %s is accepted', :q), 'an accepted quote is not revised');
SELECT is((SELECT state || ' ' || order_id FROM oms.quotes WHERE quote_id = :q), format('accepted %s', :o), 'accepted');

-- Revisions
SELECT oms.quote_order(1, '{"channel": 1, "lines": [{"sku": "A", "quantity": 1, "unit_price": "7"}]}', '2026-03-08 10:00:00+00') AS q \gset
SELECT is(oms.revise_quote(1, :q, '{"channel": 1, "lines": [{"sku": "A", "quantity": 2, "unit_price": "6"}]}', reason => 'she wants two'), 2, 'revised');
SELECT is((SELECT string_agg(revision || ':' || total, ' ' ORDER BY revision) FROM oms.quote_revision WHERE quote_id = :q), '1:7.00 2:12.00', 'both are kept');
SELECT throws_ok(format('SELECT oms.accept_quote(1, %s, 1)', :q), 'OM008', NULL, 'an older revision is not accepted');
SELECT throws_ok('UPDATE oms.quote_revision SET total = 1', 'OM009', NULL, 'nor changed');
SELECT throws_ok('UPDATE oms.quote SET revision = 1', 'OM009', NULL, 'by no hand');

-- The end
SET oms.test_clock = '2026-03-08 09:59:59.999999+00';
SELECT is((SELECT state FROM oms.quotes WHERE quote_id = :q), 'open', 'a microsecond before its end it is open');
SET oms.test_clock = '2026-03-08 10:00:00+00';
SELECT is((SELECT state FROM oms.quotes WHERE quote_id = :q), 'expired', 'then it has expired');
SELECT throws_ok(format('SELECT oms.accept_quote(1, %s)', :q), 'OM008', format('quote %s has expired', :q), 'and is not accepted');
SELECT throws_ok(format('SELECT oms.revise_quote(1, %s, %L)', :q, '{"channel": 1, "lines": [{"sku": "A", "quantity": 1}]}'), 'OM008', NULL, 'nor revised without a new end');
SELECT is(oms.revise_quote(1, :q, '{"channel": 1, "lines": [{"sku": "A", "quantity": 4, "unit_price": "6"}]}', '2026-04-01 00:00:00+00'), 3, 'with one it lives again');
SELECT throws_ok(format('SELECT oms.accept_quote(1, %s)', :q), 'OM001', NULL, 'more than there is');
SELECT is((SELECT state FROM oms.quotes WHERE quote_id = :q), 'open', 'leaves the quote open');

-- What is refused
SELECT throws_ok('SELECT oms.quote_order(1, ''{"channel": 1, "lines": [{"sku": "NO", "quantity": 1}]}'', ''2027-01-01'')', 'OM002', NULL, 'an unknown SKU');
SELECT throws_ok(format('SELECT oms.quote_order(1, %L, ''2020-01-01'')', :'doc'), 'OM011', NULL, 'an end that is past');
SELECT throws_ok('SELECT oms.accept_quote(1, 987654)', 'OM002', NULL, 'no quote');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SET session_replication_role = replica;
DELETE FROM oms.quote_revision WHERE quote_id = :q AND revision = 2;
UPDATE oms.quote SET expires_at = '2026-01-01' WHERE order_id IS NOT NULL;
SELECT bag_eq('SELECT rule FROM oms.verify(1)', $$ VALUES ('quote_has_revisions'), ('accepted_in_time') $$, 'what verify() sees');
SELECT * FROM finish();
ROLLBACK;
