-- Statement of account: what was owed at the end of a day, told the same ever after.
BEGIN;
SELECT plan(9);
SET LOCAL oms.test_clock = '2026-03-01 12:00+00';
UPDATE oms.legal_entity SET time_zone = 'America/New_York' WHERE merchant_id = 1;
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
INSERT INTO oms.company (merchant_id, company_id, name) VALUES (1, 1, 'ACME');
INSERT INTO oms.customer (merchant_id, customer_id, name, company_id) VALUES (1, 1, 'Ann', 1), (1, 2, 'Bob', 1), (1, 3, 'Cid', NULL);
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(customer int) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"customer":' || customer || ',"lines":[{"item":1,"quantity":2,"unit_price":"50"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.told(customer bigint, company bigint, as_of date) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s %s', to_char(day, 'MM-DD'), kind, balance), ', ' ORDER BY n)
	FROM ROWS FROM (oms.account_statement(1, customer, company, as_of)) WITH ORDINALITY s (day, kind, document, order_id, amount, balance, currency, n) $$;
SELECT pg_temp.place(1) AS o \gset
SELECT oms.issue_invoice(1, :o) \g /dev/null
SELECT is(pg_temp.told(1, NULL, NULL), '03-01 invoice 100.00', 'an invoice is owed');
SET LOCAL oms.test_clock = '2026-03-11 12:00+00';
SELECT oms.record_payment_event(1, NULL, 'captured', 60, 'c1', '2026-03-06 04:59+00', gateway => 'g', gateway_reference => 'p1', order_id => :o) AS p \gset
SELECT pg_temp.place(2) AS o2 \gset
SELECT oms.issue_invoice(1, :o2) AS i2 \gset
SELECT is(pg_temp.told(NULL, 1, NULL), '03-01 invoice 100.00, 03-05 payment 40.00, 03-11 invoice 140.00', 'a company''s, by the day in New York');
SELECT is(pg_temp.told(NULL, 1, '2026-03-04'), '03-01 invoice 100.00', 'as of a day before the money came');
SELECT is(pg_temp.told(1, 1, NULL), '03-01 invoice 100.00, 03-05 payment 40.00', 'of one customer of it');
SELECT oms.record_payment_event(1, :p, 'charged_back', 60, 'd1', '2026-03-07 12:00+00') \g /dev/null
SELECT oms.record_payment_event(1, :p, 'chargeback_reversed', NULL, 'd1', '2026-03-09 12:00+00') \g /dev/null
SELECT is(pg_temp.told(1, NULL, '2026-03-08'), '03-01 invoice 100.00, 03-05 payment 40.00, 03-07 chargeback 100.00', 'a dispute, while it lasted');
SELECT is(pg_temp.told(1, NULL, '2026-03-09'), '03-01 invoice 100.00, 03-05 payment 40.00', 'and once it was won');
SELECT oms.void_invoice(1, :i2) \g /dev/null
SELECT is((SELECT balance || ' ' || amount FROM oms.account_statement(1, 2) WHERE kind = 'credit_note'), '0.00 -100.00', 'a credit note takes its invoice back');
SELECT is(pg_temp.told(3, NULL, NULL), NULL, 'others owe nothing');
SELECT is((SELECT count(*) FROM oms.account_statement(1)), 0::bigint, 'and nobody is not everybody');
SELECT * FROM finish();
ROLLBACK;
