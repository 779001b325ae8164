-- Credit limits: what is owed for all orders of an account, and one more.
BEGIN;
SELECT plan(31);

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
INSERT INTO oms.company (merchant_id, company_id, name) VALUES (1, 1, 'ACME');
INSERT INTO oms.customer (merchant_id, customer_id, name, company_id) VALUES (1, 1, 'Ann', NULL), (1, 2, 'Bob', 1), (1, 3, 'Cid', 1), (1, 4, 'Dan', NULL);
SELECT oms.receive_stock(1, 1, 1, 100000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(customer int, price text, rest text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, ('{"channel":1,"customer":' || customer || ',"lines":[{"item":1,"quantity":2,"unit_price":"' || price || '"}]' || rest || '}')::jsonb) $$;
CREATE FUNCTION pg_temp.state(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT s.lifecycle || coalesce((SELECT ', held: ' || string_agg(h.kind, ' ') FROM oms.order_hold h WHERE h.order_id = o AND h.released_at IS NULL), '')
	FROM oms.sales_order s WHERE s.merchant_id = 1 AND s.order_id = o AND s.on_hold = EXISTS (SELECT FROM oms.order_hold h WHERE h.order_id = o AND h.released_at IS NULL) $$;
CREATE FUNCTION pg_temp.exposure(account int) RETURNS text LANGUAGE sql AS $$
	SELECT exposure || ' of ' || credit_limit || ', held ' || held FROM oms.credit_exposure WHERE merchant_id = 1 AND account_id = account $$;

SELECT pg_temp.place(1, '40') AS o0 \gset
SELECT is(pg_temp.state(:o0), 'confirmed', 'no account, no limit');
SELECT ok(oms.check_credit(1, :o0), 'nor when it is checked');
INSERT INTO oms.buyer_account (merchant_id, account_id, customer_id, credit_limit, currency) VALUES (1, 1, 1, 200, 'EUR');
INSERT INTO oms.buyer_account (merchant_id, account_id, company_id, credit_limit, currency) VALUES (1, 2, 1, 100, 'EUR');
SELECT is(pg_temp.exposure(1), '80.00 of 200, held 0', 'orders that were there count');
SELECT pg_temp.place(1, '60') AS o1 \gset
SELECT is(pg_temp.state(:o1), 'confirmed', 'the last cent of credit');
SELECT pg_temp.place(1, '0.01') AS o2 \gset
SELECT is(pg_temp.state(:o2), 'placed, held: credit', 'a cent more waits');
SELECT is((SELECT reason FROM oms.order_hold WHERE order_id = :o2), '200.00 are owed, the order adds 0.02, the limit is 200.00', 'and says why');
SELECT is((SELECT data ->> 'lifecycle' FROM oms.event WHERE order_id = :o2 AND type = 'order.placed'), 'placed', 'its event says so too');
SELECT is((SELECT count(*) FROM oms.event WHERE order_id = :o2 AND type = 'order.held'), 1::bigint, 'and that it is held');
SELECT is(pg_temp.exposure(1), '200.00 of 200, held 0.02', 'what waits does not count');
SELECT is(pg_temp.state(pg_temp.place(4, '9999')), 'confirmed', 'others have no limit');
SELECT is(pg_temp.state(oms.place_order(1, '{"channel":1,"lines":[{"item":1,"quantity":2,"unit_price":"9999"}]}')), 'confirmed', 'nor have guests');
SELECT throws_ok(format('SELECT oms.plan_fulfilment(1, %s)', :o2), 'OM008', NULL, 'nothing is sent on credit that is not there');

-- Money frees credit; invoices change nothing
SELECT oms.issue_invoice(1, :o1) \g /dev/null
SELECT is(pg_temp.exposure(1), '200.00 of 200, held 0.02', 'invoiced or not, it is owed');
SELECT is(oms.check_credit(1, :o2), false, 'still over');
SELECT oms.record_payment_event(1, NULL, 'captured', 0.02, 'c1', gateway => 'g', gateway_reference => 'p1', order_id => :o1) AS p \gset
SELECT is(oms.check_credit(1, :o2), true, 'two cents came');
SELECT is(pg_temp.state(:o2), 'confirmed', 'the order goes on');
SELECT is(pg_temp.exposure(1), '200.00 of 200, held 0', 'and counts');
SELECT oms.cancel_order(1, :o0) \g /dev/null
SELECT is(pg_temp.exposure(1), '120.00 of 200, held 0', 'cancelled orders owe nothing');

-- A company for all its customers
SELECT is(pg_temp.state(pg_temp.place(2, '30')), 'confirmed', 'Bob buys for 60');
SELECT pg_temp.place(3, '30') AS o3 \gset
SELECT is(pg_temp.state(:o3), 'placed, held: credit', 'Cid is over the company''s limit');
SELECT is(pg_temp.state(pg_temp.place(3, '20')), 'confirmed', 'a smaller one is not');
UPDATE oms.buyer_account SET credit_limit = 160 WHERE account_id = 2;
SELECT is(oms.check_credit(1, :o3), true, 'a raised limit');
SELECT is(pg_temp.exposure(2), '160.00 of 160, held 0', 'is used');
INSERT INTO oms.buyer_account (merchant_id, account_id, customer_id, credit_limit, currency) VALUES (1, 3, 3, 0, 'EUR');
SELECT is(pg_temp.exposure(3), '0 of 0, held 0', 'orders for a company with credit count there alone');
SELECT pg_temp.place(3, '1') AS o4 \gset
SELECT oms.release_hold(1, :o4, 'credit', reason => 'trusted') \g /dev/null
SELECT is(pg_temp.state(:o4) || ', ' || pg_temp.exposure(2), 'confirmed, 162.00 of 160, held 0', 'released by hand it counts');

-- Batches, edits, currencies
INSERT INTO oms.staged_order (merchant_id, source, position, document)
	SELECT 1, 'b', n, ('{"channel":1,"customer":1,"lines":[{"item":1,"quantity":1,"unit_price":"30"}]}')::jsonb FROM generate_series(1, 4) n;
SELECT oms.place_orders(1, 'b') \g /dev/null
SELECT is((SELECT string_agg(pg_temp.state(order_id), '; ' ORDER BY position) FROM oms.staged_order WHERE source = 'b'),
	'confirmed; confirmed; placed, held: credit; placed, held: credit', 'a batch uses it up in its order');
SELECT oms.edit_order(1, :o2, '[{"action": "quantity", "line": 1, "quantity": 12100}]') \g /dev/null
SELECT oms.confirm_edit(1, :o2) \g /dev/null
SELECT is(pg_temp.state(:o2), 'confirmed, held: credit', 'an edit past the limit meets it');
UPDATE oms.buyer_account SET credit_limit = NULL WHERE account_id = 1;
SELECT is(oms.check_credit(1, :o2), true, 'no limit');
SELECT is(pg_temp.state(:o2), 'confirmed', 'releases');
UPDATE oms.buyer_account SET credit_limit = 100000, currency = 'USD' WHERE account_id = 1;
SELECT is(pg_temp.state(pg_temp.place(1, '1')), 'placed, held: credit', 'currencies are not added');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
