-- Payment terms: what falls due when; by the day alone, over changes of the clock and of the year.
BEGIN;
SELECT plan(48);
SET LOCAL oms.test_clock = '2026-03-01 12:00+00';

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
INSERT INTO oms.company (merchant_id, company_id, name) VALUES (1, 1, 'ACME');
INSERT INTO oms.customer (merchant_id, customer_id, name, company_id) VALUES (1, 1, 'Ann', 1), (1, 2, 'Bob', NULL);
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening') \g /dev/null
UPDATE oms.legal_entity SET time_zone = 'America/New_York' WHERE merchant_id = 1;
INSERT INTO oms.payment_term VALUES (1, 'thirds', 'Three parts'), (1, 'net30', '2/10 net 30'), (1, 'eom', 'Ten days, end of month'), (1, 'empty', NULL), (1, 'day', 'Next day');
INSERT INTO oms.payment_term_part (merchant_id, code, part_no, event, share, days, month_end, discount_percent, discount_days) VALUES
	(1, 'thirds', 1, 'placed', 1, 0, false, NULL, NULL), (1, 'thirds', 2, 'shipped', 1, 14, false, NULL, NULL), (1, 'thirds', 3, 'invoiced', 1, 30, false, NULL, NULL),
	(1, 'net30', 1, 'invoiced', 100, 30, false, 2, 10), (1, 'eom', 1, 'placed', 1, 10, true, NULL, NULL), (1, 'day', 1, 'placed', 1, 1, false, NULL, NULL);
INSERT INTO oms.buyer_account (merchant_id, company_id, currency, terms) VALUES (1, 1, 'EUR', 'thirds');
CREATE FUNCTION pg_temp.place(customer int, price text DEFAULT '33.34', quantity int DEFAULT 3) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"customer":' || customer || ',"lines":[{"item":1,"quantity":' || quantity || ',"unit_price":"' || price || '"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.dues(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(part_no || ' ' || event || ' ' || amount || coalesce(' by ' || due_on, '') || ' ' || state, ', ' ORDER BY due_on NULLS LAST, part_no) FROM oms.payment_due WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.pay(o bigint, amount numeric, at timestamptz DEFAULT oms.clock()) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.record_payment_event(1, NULL, 'captured', amount, 'c' || o || amount, at, gateway => 'g', gateway_reference => 'p' || o || amount, order_id => o) $$;
CREATE FUNCTION pg_temp.sum_is_owed(o bigint) RETURNS boolean LANGUAGE sql AS $$
	SELECT sum(d.amount) = min(b.owed) FROM oms.payment_due d JOIN oms.payment_balance b USING (merchant_id, order_id) WHERE order_id = o $$;

-- A deposit, a part with each shipment, a part with each invoice
SELECT pg_temp.place(2) AS o0 \gset
SELECT is(pg_temp.dues(:o0), NULL, 'no terms, no parts');
SELECT pg_temp.place(1) AS o \gset
SELECT is(pg_temp.dues(:o), '1 placed 33.34 by 2026-03-01 due, 2 shipped 33.34 waiting, 3 invoiced 33.34 waiting', 'an account''s order has its terms');
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :o) \gset
SELECT oms.confirm_pick(1, :f, '[{"line": 1, "quantity": 1}]') \g /dev/null
SELECT oms.pack(1, :f) \g /dev/null
SELECT oms.ship(1, :f) AS s \gset
SELECT is(pg_temp.dues(:o), '1 placed 33.34 by 2026-03-01 due, 2 shipped 11.11 by 2026-03-15 not due, 2 shipped 22.23 waiting, 3 invoiced 33.34 waiting', 'a unit went: its share');
SELECT oms.issue_invoice(1, :o, :s) AS i \gset
SELECT ok(pg_temp.sum_is_owed(:o), 'they sum to what is owed');
SELECT is((SELECT cause_id FROM oms.payment_due WHERE order_id = :o AND event = 'invoiced' AND due_on = '2026-03-31'), :i::bigint, 'the invoice''s part');
SELECT oms.cancel_line(1, :o, 1, 1) \g /dev/null
SELECT ok(pg_temp.sum_is_owed(:o), 'a unit is cancelled: still');
SELECT is((SELECT sum(amount) FROM oms.payment_due WHERE order_id = :o), 66.68, 'of what is left');
SELECT oms.ship_order(1, :o) \g /dev/null
SELECT oms.issue_invoice(1, :o) \g /dev/null
SELECT is((SELECT count(*) FROM oms.payment_due WHERE order_id = :o AND due_on IS NULL), 0::bigint, 'all has its day');
SELECT ok(pg_temp.sum_is_owed(:o), 'and sums');
SELECT pg_temp.pay(:o, 30) \g /dev/null
SELECT is((SELECT string_agg(paid::text, ' ' ORDER BY due_on, part_no, cause_id) FROM oms.payment_due WHERE order_id = :o), '22.23 7.77 0 0 0', 'money goes to the oldest part first');
UPDATE oms.payment_term_part SET days = 99 WHERE code = 'thirds';
SELECT is((SELECT max(due_on) FROM oms.payment_due WHERE order_id = :o), '2026-03-31'::date, 'terms changed later are for later orders');
SELECT throws_ok(format('UPDATE oms.order_term_part SET days = 99 WHERE order_id = %s', :o), 'OM009', NULL, 'by hand an order''s are not changed');

-- Overdue by the day, with no job
SET LOCAL oms.test_clock = '2026-03-16 03:59:59+00';
SELECT is((SELECT string_agg(DISTINCT state, ' ') FROM oms.payment_due WHERE order_id = :o AND due_on = '2026-03-15'), 'due', 'the last second of the day in New York, which is in summer time since');
SET LOCAL oms.test_clock = '2026-03-16 04:00:00+00';
SELECT is((SELECT string_agg(DISTINCT state || ' ' || days_overdue, ' ') FROM oms.payment_due WHERE order_id = :o AND due_on = '2026-03-15' AND open > 0), 'overdue 1', 'a second later it is overdue');

-- Early discount
SELECT pg_temp.place(2, '50', 2) AS d \gset
SELECT is(oms.set_terms(1, :d, 'net30'), 1::bigint, 'terms by hand');
SELECT oms.issue_invoice(1, :d) \g /dev/null
SELECT is((SELECT due_on || ' ' || discount || ' ' || discount_until FROM oms.payment_due WHERE order_id = :d), '2026-04-15 2.00 2026-03-26', 'two percent within ten days');
SET LOCAL oms.test_clock = '2026-03-27 04:00:00+00';
SELECT pg_temp.pay(:d, 97.99, '2026-03-20 12:00+00') \g /dev/null
SELECT is((SELECT discount_taken || ' ' || open FROM oms.payment_due WHERE order_id = :d), 'false 2.01', 'a cent too little');
SELECT pg_temp.pay(:d, 0.01, '2026-03-27 03:59:59+00') \g /dev/null
SELECT is((SELECT discount_taken || ' ' || open || ' ' || state FROM oms.payment_due WHERE order_id = :d), 'true 0.00 paid', 'the cent on the last evening there');
SET LOCAL oms.test_clock = '2026-03-16 04:00:00+00';
SELECT pg_temp.place(2, '50', 2) AS d2 \gset
SELECT oms.set_terms(1, :d2, 'net30') \g /dev/null
SELECT oms.issue_invoice(1, :d2) \g /dev/null
SET LOCAL oms.test_clock = '2026-03-27 04:00:00+00';
SELECT pg_temp.pay(:d2, 98, '2026-03-27 04:00:00+00') \g /dev/null
SELECT is((SELECT discount_taken || ' ' || open FROM oms.payment_due WHERE order_id = :d2), 'false 2.00', 'after midnight it is too late');

-- The calendar: ends of months and years, and days of 23 and 25 hours
CREATE FUNCTION pg_temp.due(terms text, at text) RETURNS date LANGUAGE plpgsql AS $$
DECLARE o bigint;
BEGIN
	PERFORM set_config('oms.test_clock', at, true);
	o := pg_temp.place(2, '1', 1);
	PERFORM oms.set_terms(1, o, terms);
	RETURN (SELECT due_on FROM oms.payment_due WHERE order_id = o);
END $$;
SELECT is(pg_temp.due('eom', '2026-03-21 12:00+00'), '2026-03-31'::date, 'the end of the month');
SELECT is(pg_temp.due('eom', '2026-03-22 12:00+00'), '2026-04-30'::date, 'of the day, not of the order');
SELECT is(pg_temp.due('eom', '2028-02-10 12:00+00'), '2028-02-29'::date, 'of a leap year');
SELECT is(pg_temp.due('eom', '2026-12-25 12:00+00'), '2027-01-31'::date, 'over the end of the year');
SELECT is(pg_temp.due('day', '2026-03-08 04:30+00'), '2026-03-08'::date, 'the evening before the clocks go forward');
SELECT is(pg_temp.due('day', '2026-03-08 05:30+00'), '2026-03-09'::date, 'the day of 23 hours');
SELECT is(pg_temp.due('day', '2026-03-09 03:30+00'), '2026-03-09'::date, 'and its last hour');
SELECT is(pg_temp.due('day', '2026-11-01 04:30+00'), '2026-11-02'::date, 'the day of 25 hours');
SELECT is(pg_temp.due('day', '2026-11-02 04:30+00'), '2026-11-02'::date, 'and its last hour');
SELECT is(pg_temp.due('day', '2027-01-01 04:59:59+00'), '2027-01-01'::date, 'the last second of the year there');
SELECT is(pg_temp.due('day', '2027-01-01 05:00:00+00'), '2027-01-02'::date, 'the first of the new one');

-- Receivables and their age
SET LOCAL oms.test_clock = '2026-04-16 12:00+00';
SELECT oms.issue_invoice(1, :o0) AS i0 \gset
SELECT is((SELECT due_on || ' ' || open FROM oms.receivable WHERE order_id = :o0), '2026-04-16 100.02', 'without terms an invoice is due on its day');
SELECT is((SELECT sum(open) FROM oms.receivable WHERE order_id = :o), (SELECT due FROM oms.payment_balance WHERE order_id = :o), 'with terms its open parts');
SELECT ok((SELECT bool_and(open = not_overdue + days_1_30 + days_31_60 + days_61_90 + days_over_90) FROM oms.receivable_ageing), 'ages sum to what is open');
SET LOCAL oms.test_clock = '2026-07-15 12:00+00';
SELECT is((SELECT days_overdue FROM oms.receivable WHERE order_id = :o0), 90, 'ninety days later');

-- Parts of an order keep its terms, and sum to what they were
SELECT pg_temp.place(1, '33.33', 3) AS o \gset
SELECT oms.split_order(1, :o, '[{"line": 1, "quantity": 1}]') AS part \gset
SELECT ok(pg_temp.sum_is_owed(:o) AND pg_temp.sum_is_owed(:part), 'each part sums to what it owes');
SELECT is((SELECT sum(amount) || ' ' || count(*) FROM oms.payment_due WHERE order_id IN (:o, :part)), '99.99 6', 'both to what it was, each in the three parts of the terms');
SELECT oms.set_terms(1, :part, 'day') \g /dev/null
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :o, :part), 'OM008', NULL, 'orders of two terms are not merged');
SELECT oms.set_terms(1, :part, 'thirds'), oms.merge_orders(1, :o, ARRAY[:part]) \g /dev/null
SELECT ok(pg_temp.sum_is_owed(:o) AND pg_temp.sum_is_owed(:part), 'of one they are');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Refused, and the rest of it
SELECT throws_ok(format('SELECT oms.set_terms(1, %s, ''nonesuch'')', :d), 'OM002', NULL, 'no such terms');
SELECT throws_ok(format('SELECT oms.set_terms(1, %s, ''empty'')', :d), 'OM016', NULL, 'terms without parts');
SELECT is(oms.set_terms(1, :d2, NULL), 0::bigint, 'terms taken away');
SELECT is(pg_temp.dues(:d2), NULL, 'no parts');
SELECT pg_temp.place(1, '0.01', 1) AS c \gset
SELECT ok(pg_temp.sum_is_owed(:c), 'a cent in three parts');
SELECT oms.cancel_order(1, :c) \g /dev/null
SELECT ok(pg_temp.sum_is_owed(:c), 'and nothing');
SELECT throws_ok(format('SELECT oms.set_terms(1, %s, ''net30'')', :c), 'OM008', NULL, 'a cancelled order');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SAVEPOINT s;
SET LOCAL session_replication_role = replica;
UPDATE oms.order_term_part SET event = 'never' WHERE order_id = :o AND part_no = 1;
SET LOCAL session_replication_role = origin;
SELECT string_agg(DISTINCT rule, ' ') AS rules FROM oms.verify(1) \gset
ROLLBACK TO s;
SELECT is(:'rules'::text, 'terms_order', 'a fault is found');

SELECT * FROM finish();
ROLLBACK;
