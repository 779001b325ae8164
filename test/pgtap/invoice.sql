-- Invoices and credit notes: gapless, exact, never changed.
BEGIN;
SELECT plan(79);
SET LOCAL oms.test_clock = '2026-03-01 12:00+00';

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple'), (1, 2, 'B', 'Book');
INSERT INTO oms.company (merchant_id, company_id, name, tax_number) VALUES (1, 1, 'ACME', 'DE1');
INSERT INTO oms.customer (merchant_id, customer_id, name, company_id) VALUES (1, 1, 'Ann', 1);
UPDATE oms.legal_entity SET name = 'Shop Ltd', tax_number = 'DE9' WHERE merchant_id = 1;
SELECT oms.receive_stock(1, i, 1, 100, 'opening') FROM generate_series(1, 2) i \g /dev/null

CREATE FUNCTION pg_temp.place(discount text DEFAULT '0') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"customer":1,"discount":"' || discount || '","shipping":"4.99","shipping_tax_rate":"0.19","ship_to":{"name":"Ann","country":"DE"},
		"lines":[{"item":1,"quantity":3,"unit_price":"33.33","tax_rate":"0.19"},{"item":2,"quantity":4,"unit_price":"9.99","tax_rate":"0.07"}]}')::jsonb) $$;
CREATE FUNCTION pg_temp.number(id bigint) RETURNS text LANGUAGE sql AS $$ SELECT number FROM oms.invoices WHERE merchant_id = 1 AND invoice_id = id $$;
CREATE FUNCTION pg_temp.total(id bigint) RETURNS numeric LANGUAGE sql AS $$ SELECT total FROM oms.invoices WHERE merchant_id = 1 AND invoice_id = id $$;

-- A whole order
SELECT pg_temp.place('10.01') AS o \gset
SELECT oms.issue_invoice(1, :o, reason => 'first') AS i \gset
SELECT is(pg_temp.number(:i), 'INV-2026-000001', 'the first number');
SELECT results_eq(format('SELECT net, tax, total FROM oms.invoices WHERE invoice_id = %s', :i), format('SELECT total - tax, tax, total FROM oms.sales_order WHERE order_id = %s', :o), 'its sums are the order''s');
SELECT results_eq(format('SELECT tax_rate, tax, total FROM oms.invoice_tax WHERE invoice_id = %s ORDER BY 1', :i),
	format('SELECT tax_rate, sum(tax), sum(total) FROM (SELECT tax_rate, tax, total FROM oms.order_line WHERE order_id = %1$s UNION ALL SELECT tax_rate, tax, total FROM oms.order_charge WHERE order_id = %1$s) x GROUP BY 1 ORDER BY 1', :o), 'per rate too');
SELECT is((SELECT count(*) FROM oms.invoice_lines WHERE invoice_id = :i), 3::bigint, 'two lines and the shipping');
SELECT is((SELECT seller FROM oms.invoices WHERE invoice_id = :i), '{"code": "main", "name": "Shop Ltd", "tax_number": "DE9"}', 'in whose name');
SELECT is((SELECT buyer - 'ship_to' - 'bill_to' FROM oms.invoices WHERE invoice_id = :i), '{"company": "ACME", "customer": "Ann", "tax_number": "DE1"}', 'to whom');
SELECT is((SELECT data ->> 'number' FROM oms.event WHERE type = 'invoice.issued'), 'INV-2026-000001', 'an event');
SELECT throws_ok(format('SELECT oms.issue_invoice(1, %s)', :o), 'OM008', NULL, 'nothing is left');
SELECT is((SELECT last_number FROM oms.invoice_series), 1::bigint, 'and no number is lost');

-- Never changed
SELECT throws_ok(format('UPDATE oms.invoice SET total = 1 WHERE invoice_id = %s', :i), 'OM009', NULL, 'by hand an invoice is not changed');
SELECT throws_ok(format('DELETE FROM oms.invoice WHERE invoice_id = %s', :i), 'OM009', NULL, 'nor deleted');
SELECT throws_ok(format('UPDATE oms.invoice_line SET description = ''x'' WHERE invoice_id = %s', :i), 'OM009', NULL, 'nor its lines');
SELECT throws_ok('TRUNCATE oms.invoice CASCADE', 'OM009', NULL, 'nor all');
SELECT throws_ok('UPDATE oms.invoice_series SET last_number = 9', 'OM009', NULL, 'nor the series');
SELECT throws_ok($$ INSERT INTO oms.invoice_series VALUES (1, 1, 2027, 5, '2027-01-01', 'invoice') $$, 'OM009', NULL, 'nor a new one');
SELECT throws_ok('DELETE FROM oms.legal_entity', 'OM014', NULL, 'the entity stays');
UPDATE oms.legal_entity SET name = 'Renamed' WHERE merchant_id = 1;
SELECT is((SELECT seller ->> 'name' FROM oms.invoices WHERE invoice_id = :i), 'Shop Ltd', 'a later name is not on it');

-- What is rolled back, previewed or refused leaves no gap
SAVEPOINT s;
SELECT oms.issue_invoice(1, pg_temp.place()) \g /dev/null
SELECT oms.issue_invoice(1, pg_temp.place()) \g /dev/null
ROLLBACK TO s;
SELECT pg_temp.place() AS o2 \gset
SELECT oms.issue_invoice(1, :o2, request_key => 'k') AS i2 \gset
SELECT is(pg_temp.number(:i2), 'INV-2026-000002', 'two numbers rolled back are drawn again');
SELECT is(oms.issue_invoice(1, :o2, request_key => 'k'), :i2::bigint, 'the same key, the same invoice');
SELECT throws_ok(format('SELECT oms.issue_invoice(1, %s, request_key => ''k'')', :o), 'OM010', NULL, 'another order, refused');
SELECT is((SELECT last_number FROM oms.invoice_series), 2::bigint, 'no number for a repetition');

-- Per shipment: every cent is on one of them
SELECT pg_temp.place('0.05') AS o3 \gset
SELECT throws_ok(format('SELECT oms.issue_invoice(1, %s, 999999)', :o3), 'OM002', NULL, 'no such shipment');
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :o3) \gset
SELECT oms.confirm_pick(1, :f) \g /dev/null
SELECT oms.pack(1, :f, '[{"line": 1, "quantity": 1}, {"line": 2, "quantity": 3}]') AS c1 \gset
SELECT oms.pack(1, :f, '[{"line": 1, "quantity": 1}]') AS c2 \gset
SELECT oms.ship(1, cartons => ARRAY[:c1 ::bigint]) AS s1 \gset
SELECT oms.ship(1, cartons => ARRAY[:c2 ::bigint]) AS s2 \gset
SELECT is((SELECT string_agg(units::text, ',' ORDER BY shipment_id) FROM oms.to_invoice WHERE order_id = :o3), '4,1', 'shipped and to be invoiced');
SELECT oms.issue_invoice(1, :o3, :s2) AS i3 \gset
SELECT is((SELECT string_agg(line_no || ':' || from_unit || '+' || quantity, ' ') FROM oms.invoice_lines WHERE invoice_id = :i3 AND line_no > 0), '1:1+1', 'the second shipment first: its unit');
SELECT is((SELECT count(*) FROM oms.invoice_lines WHERE invoice_id = :i3 AND charge_no = 1), 1::bigint, 'and the shipping');
SELECT oms.issue_invoice(1, :o3, :s1) AS i4 \gset
SELECT is_empty(format('SELECT FROM oms.to_invoice WHERE order_id = %s', :o3), 'nothing shipped is left');
SELECT throws_ok(format('SELECT oms.issue_invoice(1, %s, %s)', :o3, :s1), 'OM008', NULL, 'a shipment is invoiced once');
SELECT oms.issue_invoice(1, :o3) AS i5 \gset
SELECT is((SELECT sum(total)::text || ' ' || sum(tax) FROM oms.invoices WHERE order_id = :o3), (SELECT total || ' ' || tax FROM oms.sales_order WHERE order_id = :o3), 'the rest before it is shipped: three invoices are the order to the cent');
SELECT results_eq(format('SELECT tax_rate, sum(tax) FROM oms.invoice_lines WHERE order_id = %s GROUP BY 1 ORDER BY 1', :o3),
	format('SELECT tax_rate, sum(tax) FROM (SELECT tax_rate, tax FROM oms.order_line WHERE order_id = %1$s UNION ALL SELECT tax_rate, tax FROM oms.order_charge WHERE order_id = %1$s) x GROUP BY 1 ORDER BY 1', :o3), 'per rate too');

-- Void, and invoice anew
SELECT oms.void_invoice(1, :i4, reason => 'wrong address') AS v \gset
SELECT is(pg_temp.number(:v), 'CN-2026-000001', 'a credit note has a series of its own');
SELECT is((SELECT voided_by FROM oms.invoices WHERE invoice_id = :i4), :v::bigint, 'it voids');
SELECT is(pg_temp.total(:v), pg_temp.total(:i4), 'the whole');
SELECT throws_ok(format('SELECT oms.void_invoice(1, %s)', :i4), 'OM008', NULL, 'once');
SELECT throws_ok(format('SELECT oms.void_invoice(1, %s)', :v), 'OM008', NULL, 'and no credit note');
SELECT throws_ok('SELECT oms.void_invoice(1, 999999)', 'OM002', NULL, 'no such invoice');
SELECT is((SELECT string_agg(units::text, ',') FROM oms.to_invoice WHERE order_id = :o3), '4', 'its units are to be invoiced');
SELECT oms.issue_invoice(1, :o3, :s1) AS i6 \gset
SELECT is(pg_temp.total(:i6), pg_temp.total(:i4), 'anew');

-- Returns
SELECT oms.ship_order(1, :o3) \g /dev/null
SELECT oms.record_payment_event(1, NULL, 'captured', (SELECT total FROM oms.sales_order WHERE order_id = :o3), 'c3', gateway => 'g', gateway_reference => 'p3', order_id => :o3) AS p3 \gset
SELECT is((SELECT string_agg(state, ' ') FROM oms.invoice_balance WHERE order_id = :o3), 'settled settled settled', 'paid in full: each invoice is');
CREATE FUNCTION pg_temp.send_back(o bigint, lines jsonb, fee numeric DEFAULT 0, shipping numeric DEFAULT 0) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE r bigint := oms.request_return(1, o, lines);
BEGIN
	PERFORM oms.decide_return(1, r, 'approve', restocking_fee => fee, refund_shipping => shipping), oms.receive_return(1, r);
	RETURN oms.inspect_return(1, r);
END $$;
SELECT pg_temp.send_back(:o3, '[{"line": 1, "quantity": 2}, {"line": 2, "quantity": 4}]', 3, 2.50) AS f1 \gset
SELECT oms.issue_credit_note(1, :o3, :f1) AS n1 \gset
SELECT results_eq(format('SELECT total, tax FROM oms.invoices WHERE invoice_id = %s', :n1), format('SELECT amount, tax FROM oms.refund WHERE refund_id = %s', :f1), 'a return''s credit note is its refund');
SELECT is((SELECT string_agg(DISTINCT credited_invoice_id::text, ' ') FROM oms.invoice_lines WHERE invoice_id = :n1), format('%s %s %s', :i3, :i5, :i6), 'over three invoices, each line naming its own');
SELECT is((SELECT total || ' ' || tax FROM oms.invoice_lines WHERE invoice_id = :n1 AND description = 'Restocking fee'), '-3.00 0', 'the fee is a line');
SELECT is((SELECT total FROM oms.invoice_lines WHERE invoice_id = :n1 AND charge_no = 1), 2.50, 'so is the shipping');
SELECT throws_ok(format('SELECT oms.issue_credit_note(1, %s, %s)', :o3, :f1), 'OM008', NULL, 'once');
SELECT throws_ok(format('SELECT oms.void_invoice(1, %s)', :i6), 'OM008', NULL, 'a corrected invoice is not voided');
SELECT throws_ok(format('SELECT oms.issue_credit_note(1, %s, %s)', :o, :f1), 'OM002', NULL, 'another order''s refund');

-- Goodwill, then the rest comes back: what was given before is taken off
SELECT oms.refund(1, :p3, 5) AS f2 \gset
SELECT oms.issue_credit_note(1, :o3, :f2) AS n2 \gset
SELECT results_eq(format('SELECT total, tax FROM oms.invoices WHERE invoice_id = %s', :n2), format('SELECT amount, tax FROM oms.refund WHERE refund_id = %s', :f2), 'goodwill is spread over what stands');
SELECT pg_temp.send_back(:o3, '[{"line": 1, "quantity": 1}]', 0, 2.49) AS f3 \gset
SELECT oms.issue_credit_note(1, :o3, :f3) AS n3 \gset
SELECT results_eq(format('SELECT total, tax FROM oms.invoices WHERE invoice_id = %s', :n3), format('SELECT amount, tax FROM oms.refund WHERE refund_id = %s', :f3), 'the last return''s too');
SELECT is((SELECT sum(CASE kind WHEN 'invoice' THEN total ELSE -total END) FROM oms.invoices WHERE order_id = :o3),
	(SELECT o.total - sum(f.amount) FROM oms.sales_order o JOIN oms.refund f USING (merchant_id, order_id) WHERE o.order_id = :o3 GROUP BY o.total), 'invoices less credit notes are the order less its refunds');

-- Cancelled after it was invoiced
SELECT pg_temp.place() AS o4 \gset
SELECT throws_ok(format('SELECT oms.issue_credit_note(1, %s)', :o4), 'OM008', NULL, 'nothing to credit');
SELECT oms.issue_invoice(1, :o4) AS i7 \gset
SELECT oms.cancel_line(1, :o4, 1, 1) \g /dev/null
SELECT oms.issue_credit_note(1, :o4) AS n4 \gset
SELECT is(pg_temp.total(:n4), (SELECT cancelled_total FROM oms.sales_order WHERE order_id = :o4), 'units cancelled since are credited without a refund');
SELECT throws_ok(format('SELECT oms.issue_credit_note(1, %s)', :o4), 'OM008', NULL, 'once');
SELECT oms.cancel_order(1, :o4) \g /dev/null
SELECT oms.issue_credit_note(1, :o4) AS n5 \gset
SELECT is(pg_temp.total(:n4) + pg_temp.total(:n5), pg_temp.total(:i7), 'then all of it, the shipping too');
SELECT is((SELECT open || ' ' || state FROM oms.invoice_balance WHERE invoice_id = :i7), '0.00 settled', 'nothing is owed by it');
SELECT throws_ok(format('SELECT oms.issue_invoice(1, %s)', :o4), 'OM008', NULL, 'a cancelled order is not invoiced');

-- What was given back before is not credited again when the units are cancelled.
SELECT pg_temp.place() AS o20 \gset
SELECT oms.record_payment_event(1, NULL, 'captured', total, 'c20', gateway => 'g', gateway_reference => 'p20', order_id => order_id) AS p20 FROM oms.sales_order WHERE order_id = :o20 \gset
SELECT oms.issue_invoice(1, :o20) AS i20 \gset
SELECT oms.refund(1, payment_id, 20) AS f20 FROM oms.payment WHERE order_id = :o20 \gset
SELECT oms.issue_credit_note(1, :o20, :f20) AS n20 \gset
SELECT oms.cancel_line(1, :o20, 2, 1) \g /dev/null
SELECT oms.issue_credit_note(1, :o20) AS n21 \gset
SELECT is(pg_temp.total(:n21), 9.99, 'a unit cancelled after a part was given back is credited as a whole while the invoice has it');
SELECT oms.cancel_order(1, :o20) \g /dev/null
SELECT oms.issue_credit_note(1, :o20) AS n22 \gset
SELECT is(pg_temp.total(:n20) + pg_temp.total(:n21) + pg_temp.total(:n22), pg_temp.total(:i20), 'all credit notes are the invoice');
SELECT is((SELECT sum(tax) FROM oms.invoice WHERE invoice_id IN (:n20, :n21, :n22)), (SELECT tax FROM oms.invoice WHERE invoice_id = :i20), 'tax too');
SELECT is((SELECT sum(total) FROM oms.invoice_lines WHERE invoice_id = :n22 AND description = 'Given back before'), -19.31, 'in lines of their own, the shipping less its share');

-- An order that is worth less than nothing.
SELECT oms.place_order(1, '{"channel": 1, "lines": [{"item": 1, "quantity": 1, "unit_price": "1"}], "charges": [{"kind": "adjustment", "amount": "-5"}]}') AS o21 \gset
SELECT oms.issue_invoice(1, :o21) AS i21 \gset
SELECT is(pg_temp.total(:i21), -4.00, 'an invoice of less than nothing');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound, credited or not');
SELECT oms.cancel_line(1, :o21, 1) \g /dev/null
SELECT oms.issue_credit_note(1, :o21) \g /dev/null

-- Under- and overpayment against invoices
SELECT pg_temp.place() AS o5 \gset
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :o5) \gset
SELECT oms.confirm_pick(1, :f) \g /dev/null
SELECT oms.pack(1, :f, '[{"line": 1, "quantity": 3}]') \g /dev/null
SELECT oms.ship(1, :f) AS s5 \gset
SELECT oms.issue_invoice(1, :o5, :s5) AS i8 \gset
SELECT oms.issue_invoice(1, :o5) AS i9 \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 110, 'c5', gateway => 'g', gateway_reference => 'p5', order_id => :o5) AS p5 \gset
SELECT is((SELECT string_agg(paid || ' ' || state, ', ' ORDER BY invoice_id) FROM oms.invoice_balance WHERE order_id = :o5), '104.98 settled, 5.02 partial', 'money pays the oldest invoice first');
SELECT oms.record_payment_event(1, :p5, 'captured', 40, 'c6') \g /dev/null
SELECT is((SELECT string_agg(open || ' ' || state, ', ' ORDER BY invoice_id) FROM oms.invoice_balance WHERE order_id = :o5), '0.00 settled, -5.06 overpaid', 'what is over stays on the last');

-- Year ends in the entity's time zone
INSERT INTO oms.legal_entity (merchant_id, entity_id, code, name, time_zone, invoice_prefix) VALUES (1, 2, 'nz', 'Kiwi Ltd', 'Pacific/Auckland', 'NZ'), (1, 3, 'us', 'Yank Inc', 'America/Los_Angeles', 'US');
SELECT oms.set_setting(1, 'legal_entity', 'nz', 1) \g /dev/null
SET LOCAL oms.test_clock = '2026-12-31 10:59:59+00';
SELECT is(pg_temp.number(oms.issue_invoice(1, pg_temp.place())), 'NZ2026-000001', 'a second before midnight in Auckland');
SET LOCAL oms.test_clock = '2026-12-31 11:00:00+00';
SELECT is(pg_temp.number(oms.issue_invoice(1, pg_temp.place())), 'NZ2027-000001', 'midnight there: a new year, a new series');
SELECT oms.set_setting(1, 'legal_entity', 'us', 1) \g /dev/null
SET LOCAL oms.test_clock = '2027-01-01 07:59:59+00';
SELECT is(pg_temp.number(oms.issue_invoice(1, pg_temp.place())), 'US2026-000001', 'still the old year in Los Angeles');
SET LOCAL oms.test_clock = '2027-01-01 08:00:00+00';
SELECT oms.issue_invoice(1, pg_temp.place()) AS i10 \gset
SELECT is(pg_temp.number(:i10) || ' ' || (SELECT invoice_date FROM oms.invoices WHERE invoice_id = :i10), 'US2027-000001 2027-01-01', 'and the new');
SET LOCAL oms.test_clock = '2027-03-14 23:30:00-08';
SELECT oms.issue_invoice(1, pg_temp.place()) \g /dev/null
SET LOCAL oms.test_clock = '2027-03-14 06:30:00+00';
SELECT oms.issue_invoice(1, pg_temp.place()) AS i11 \gset
SELECT is((SELECT invoice_date FROM oms.invoices WHERE invoice_id = :i11), '2027-03-15'::date, 'a transaction that began earlier gets no earlier date than the number before it');
SELECT is(pg_temp.number(oms.void_invoice(1, :i10)), 'CN-2027-000001', 'credit notes are the entity''s too');
SELECT oms.set_setting(1, 'legal_entity', 'nonesuch', 1) \g /dev/null
SELECT throws_ok('SELECT oms.issue_invoice(1, pg_temp.place())', 'OM016', NULL, 'no such entity');

SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- A fault in each rule
CREATE FUNCTION pg_temp.fault(statement text, OUT rules text) LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE statement;
	SET LOCAL session_replication_role = origin;
	SELECT string_agg(DISTINCT rule, ' ') INTO rules FROM oms.verify(1);
	RAISE EXCEPTION USING errcode = 'P9999', message = coalesce(rules, 'nothing');
EXCEPTION WHEN SQLSTATE 'P9999' THEN rules := SQLERRM;
END $$;
SELECT is(pg_temp.fault('UPDATE oms.invoice_series SET last_number = last_number + 1 WHERE entity_id = 2'), 'invoice_series', 'a gap is found');
SELECT is(pg_temp.fault(format('UPDATE oms.invoice SET invoice_date = ''2027-03-01'' WHERE invoice_id = %s', :i11)), 'invoice_dates', 'a date out of order');
SELECT is(pg_temp.fault(format('UPDATE oms.invoice SET total = total + 1, net = net + 1 WHERE invoice_id = %s', :i11)), 'invoice_sum', 'a sum');
SELECT is(pg_temp.fault(format('UPDATE oms.invoice_line SET from_unit = 0 WHERE invoice_id = %s AND line_no = 1', :i3)), 'invoiced_once', 'units invoiced twice');
SELECT is(pg_temp.fault(format('UPDATE oms.invoice_line SET line_no = NULL, quantity = NULL, from_unit = NULL, charge_no = 1 WHERE invoice_id = %s AND line_no = 2', :i9)), 'charge_invoiced_once', 'a charge invoiced twice');
SELECT matches(pg_temp.fault(format('UPDATE oms.order_charge SET total = total + 1 WHERE order_id = %1$s; UPDATE oms.sales_order SET total = total + 1, shipping = shipping + 1 WHERE order_id = %1$s', :o2)), 'invoice_order', 'an invoice that is not the order');
SELECT is(pg_temp.fault(format('UPDATE oms.refund SET tax = tax + 0.01 WHERE refund_id = %s', :f2)), 'credit_note_refund', 'a credit note that is not the refund');
SELECT matches(pg_temp.fault(format('UPDATE oms.invoice_line SET total = total + 1000, net = net + 1000 WHERE invoice_id = %s AND position = 1', :n4)), 'credited_limit', 'more credited than invoiced');
SELECT matches(pg_temp.fault(format('UPDATE oms.invoice SET total = total + 1, net = net + 1 WHERE invoice_id = %s', :v)), 'void_is_whole', 'a void that is not the whole');

SELECT * FROM finish();
ROLLBACK;
