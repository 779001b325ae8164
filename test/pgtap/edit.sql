-- Edits: change sets on placed orders.
BEGIN;
SELECT plan(111);

INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple'), (1, 2, 'B', 'Box'), (1, 3, 'C', 'Cloth');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 4, 'K', 'Kit', 'kit'), (1, 5, 'S', 'Service', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 4, 1, 2), (1, 4, 2, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 10), (1, 2, 'EUR', 3.33), (1, 3, 'EUR', 7), (1, 4, 'EUR', 20), (1, 5, 'EUR', 5);
INSERT INTO oms.tax_rule (merchant_id, tax_class, rate) VALUES (1, 'standard', 0.19), (1, 'shipping', 0.19);
SELECT oms.receive_stock(1, i, 1, 100, 'opening') FROM generate_series(1, 2) i \g /dev/null

CREATE FUNCTION pg_temp.place(document jsonb) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, '{"channel": 1, "tax_included": true}' || document) $$;
CREATE FUNCTION pg_temp.edit(o bigint, changes text, policy text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.edit_order(1, o, changes::jsonb, policy) $$;
CREATE FUNCTION pg_temp.line(o bigint, n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s-%s x %s - %s = %s (%s)', ordered, cancelled, trim_scale(unit_price), discount, total, tax) FROM oms.order_line WHERE order_id = o AND line_no = n $$;
CREATE FUNCTION pg_temp.counts(o bigint, n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s allocated, %s backordered, %s promised', allocated, backordered, (SELECT coalesce(sum(quantity), 0) FROM oms.reservation r WHERE r.order_id = o AND r.line_no = n))
	FROM oms.order_line WHERE order_id = o AND line_no = n $$;
CREATE FUNCTION pg_temp.net(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s %s %s %s', subtotal, discount, tax, total - cancelled_total) FROM oms.sales_order WHERE order_id = o $$;
CREATE TEMPORARY TABLE previewed (object text, field text, before text, after text);
-- What of the present differs from what preview_edit() said; compared field by field.
CREATE FUNCTION pg_temp.differs(o bigint) RETURNS TABLE (object text, field text, said text, found text) LANGUAGE sql AS $$
	SELECT p.object, p.field, p.after, f.value FROM previewed p LEFT JOIN (
		SELECT 'order', k, v FROM oms.sales_order x, jsonb_each_text(to_jsonb(x)) j(k, v) WHERE x.order_id = o
		UNION ALL SELECT 'line ' || x.line_no, CASE k WHEN 'item_id' THEN 'item' ELSE k END, v FROM oms.order_line x, jsonb_each_text(to_jsonb(x)) j(k, v) WHERE x.order_id = o
		UNION ALL SELECT 'charge ' || x.charge_no, k, v FROM oms.order_charge x, jsonb_each_text(to_jsonb(x)) j(k, v) WHERE x.order_id = o) f(object, field, value)
		USING (object, field)
	WHERE f.value IS DISTINCT FROM p.after AND NOT coalesce(f.value::text ~ '^[0-9.]+$' AND f.value::numeric = p.after::numeric, false) $$;

-- One open set an order, which changes nothing yet
SELECT pg_temp.place('{"lines": [{"sku": "A", "quantity": 5, "discount": "1.00"}, {"sku": "B", "quantity": 3}], "shipping": "4.90"}') AS o \gset
CREATE TEMPORARY TABLE before AS SELECT * FROM oms.sales_order WHERE order_id = :o;
SELECT pg_temp.edit(:o, '[{"action": "quantity", "line": 1, "quantity": 7}, {"action": "remove", "line": 2}, {"action": "add", "sku": "K", "quantity": 2}]') AS e \gset
SELECT ok(:e > 0, 'an edit is opened');
SELECT results_eq(format('SELECT * FROM oms.sales_order WHERE order_id = %s', :o), 'SELECT * FROM before', 'which changes nothing of the order');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "remove", "line": 1}]'')', :o), 'OM008', format('order %s has an open edit', :o), 'there is one at a time');
SELECT throws_ok(format('INSERT INTO oms.order_edit (merchant_id, order_id, state, discount_policy, changes, opened_at, expires_at, opened_by) VALUES (1, %s, ''open'', ''keep'', ''[]'', now(), now(), ''me'')', :o), 'OM009', NULL, 'not typed by hand either');
SELECT oms.available(1, 1) AS a1, oms.available(1, 2) AS b1 \gset
INSERT INTO previewed SELECT * FROM oms.preview_edit(1, :o);
SELECT is(oms.available(1, 1) || ' ' || oms.available(1, 2), :a1 || ' ' || :b1, 'a preview gives its stock back');
SELECT results_eq(format('SELECT * FROM oms.preview_edit(1, %s)', :o), 'SELECT * FROM previewed', 'and is the same again');
SELECT is((SELECT string_agg(format('%s %s %s>%s', object, field, before, after), ', ') FROM previewed WHERE object IN ('order', 'line 1', 'line 2')),
	'order subtotal 59.99>119.99, order tax 10.20>19.79, order total 63.89>123.89, order cancelled_total 0.00>9.99, '
	'line 1 ordered 5>7, line 1 allocated 5>7, line 1 tax 7.82>11.02, line 1 total 49.00>69.00, line 2 cancelled 0>3, line 2 allocated 3>0', 'the changes of the order and its lines');
SELECT is((SELECT string_agg(field || ' ' || after, ', ') FROM previewed WHERE object = 'line 3' AND before IS NULL),
	'item 4, sku K, title Kit, ordered 2, cancelled 0, allocated 2, backordered 0, unit_price 20, discount 0.00, tax_rate 0.19, tax 6.39, total 40.00', 'and a new line');
SELECT is(oms.confirm_edit(1, :o, reason => 'she called'), :e::bigint, 'confirmed');
SELECT is_empty(format('SELECT * FROM pg_temp.differs(%s)', :o), 'what was previewed is what is there');
SELECT is(pg_temp.line(:o, 1), '7-0 x 10 - 1.00 = 69.00 (11.02)', 'more units, the discount kept');
SELECT is(pg_temp.counts(:o, 1), '7 allocated, 0 backordered, 7 promised', 'with a promise');
SELECT is(pg_temp.line(:o, 2), '3-3 x 3.33 - 0.00 = 9.99 (1.60)', 'what is removed is cancelled');
SELECT is(pg_temp.counts(:o, 2), '0 allocated, 0 backordered, 0 promised', 'and its promise released');
SELECT is((SELECT string_agg(item_id || 'x' || quantity, ' ' ORDER BY item_id) FROM oms.reservation WHERE order_id = :o AND line_no = 3), '1x4 2x2', 'a kit is promised by its parts');
SELECT is(oms.available(1, 1) || ' ' || oms.available(1, 2), '89 98', 'the stock is what the lines say');
SELECT is((SELECT o.revision - b.revision FROM oms.sales_order o, before b WHERE o.order_id = :o) > 0, true, 'the revision rises');
SELECT is((SELECT (state, discount_policy, total_before, total_after, given_back, to_pay, closed_by = opened_by, close_reason)::text FROM oms.order_edits WHERE edit_id = :e), '(confirmed,keep,63.89,113.90,0.00,113.90,t,"she called")', 'the set says what it did, and what is owed');
SELECT is((SELECT count(*) FROM oms.payment WHERE order_id = :o), 0::bigint, 'nobody is charged');
SELECT is((SELECT jsonb_array_length(data -> 'changes') FROM oms.event WHERE order_id = :o AND type = 'order.edited'), (SELECT count(*)::int FROM previewed), 'the event has every change');
SELECT throws_ok(format('SELECT oms.confirm_edit(1, %s)', :o), 'OM002', format('order %s has no open edit', :o), 'a set is confirmed once');
SELECT throws_ok(format('SELECT oms.preview_edit(1, %s)', :o), 'OM002', NULL, 'and not previewed any more');
SELECT throws_ok(format('UPDATE oms.order_line SET unit_price = 1 WHERE order_id = %s', :o), 'OM009', NULL, 'lines are frozen otherwise');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Prices and discounts write nothing of stock
CREATE FUNCTION pg_temp.stock_rows() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(t, ' ' ORDER BY t)) FROM (SELECT 's' || ctid || xmin || s FROM oms.stock s UNION ALL SELECT 'm' || ctid || xmin || movement_id FROM oms.stock_movement
		UNION ALL SELECT 'r' || ctid || xmin || r FROM oms.reservation r) x(t) $$;
SELECT pg_temp.stock_rows() AS rows \gset
SELECT pg_temp.edit(:o, '[{"action": "price", "line": 1, "unit_price": "9.125"}, {"action": "discount", "line": 3, "discount": "2.00"}]') \g /dev/null
SELECT oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.stock_rows(), :'rows', 'a price or discount leaves every row of stock and promises as it is');
SELECT is(pg_temp.line(:o, 1), '7-0 x 9.125 - 1.00 = 62.88 (10.04)', 'the price, to the digit, and the amount rounded once');
SELECT is(pg_temp.line(:o, 3), '2-0 x 20 - 2.00 = 38.00 (6.07)', 'the discount');
SELECT pg_temp.edit(:o, '[{"action": "discount", "discount": "5.00"}]') \g /dev/null
SELECT oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.line(:o, 1) || ' ' || pg_temp.line(:o, 3), '7-0 x 9.125 - 4.12 = 59.76 (9.54) 2-0 x 20 - 3.88 = 36.12 (5.77)', 'one more discount, spread to the cent');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "discount", "discount": "500"}]'')', :o), 'OM007', NULL, 'not more than there is');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "price", "line": 1, "unit_price": "0.5"}]'')', :o), 'OM007', format('the discount of line 1 of order %s exceeds its amount', :o), 'a kept discount may not exceed the line');
SELECT pg_temp.edit(:o, '[{"action": "price", "line": 1, "unit_price": "4.5625"}]', 'rate') \g /dev/null
SELECT oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.line(:o, 1), '7-0 x 4.5625 - 2.06 = 29.88 (4.77)', 'by rate it follows');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Quantities
SELECT pg_temp.edit(:o, '[{"action": "quantity", "line": 1, "quantity": 4}]') \g /dev/null
SELECT oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.line(:o, 1) || ' ' || pg_temp.counts(:o, 1), '7-3 x 4.5625 - 2.06 = 29.88 (4.77) 4 allocated, 0 backordered, 4 promised', 'units taken off are cancelled');
SELECT pg_temp.edit(:o, '[{"action": "quantity", "line": 1, "quantity": 6}]', 'rate') \g /dev/null
SELECT oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.line(:o, 1) || ' ' || pg_temp.counts(:o, 1), '9-3 x 4.5625 - 2.65 = 38.41 (6.13) 6 allocated, 0 backordered, 6 promised', 'and others come to it');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "remove", "line": 1}, {"action": "remove", "line": 3}]'')', :o), 'OM008', format('the edit leaves nothing of order %s', :o), 'something stays');
SELECT pg_temp.edit(:o, '[{"action": "quantity", "line": 1, "quantity": 500}, {"action": "remove", "line": 3}, {"action": "shipping", "amount": 0}]') AS e \gset
DELETE FROM before;
INSERT INTO before SELECT * FROM oms.sales_order WHERE order_id = :o;
SELECT throws_ok(format('SELECT oms.preview_edit(1, %s)', :o), 'OM001', NULL, 'the gate is asked by the preview');
SELECT throws_ok(format('SELECT oms.confirm_edit(1, %s)', :o), 'OM001', 'not enough stock of item "A"', 'and by the edit');
SELECT results_eq(format('SELECT * FROM oms.sales_order WHERE order_id = %s', :o), 'SELECT * FROM before', 'a failed one leaves nothing');
SELECT is(pg_temp.counts(:o, 3) || ' ' || oms.available(1, 1) || ' ' || (SELECT state FROM oms.order_edits WHERE edit_id = :e), '2 allocated, 0 backordered, 6 promised 90 open', 'not even of what was possible');
SELECT is(oms.decline_edit(1, :o, reason => 'too many'), :e::bigint, 'declined');
SELECT is((SELECT state || ' ' || close_reason FROM oms.order_edits WHERE edit_id = :e), 'declined too many', 'with a reason');
SELECT throws_ok(format('SELECT oms.decline_edit(1, %s)', :o), 'OM002', NULL, 'once');

-- Backorders, limits
INSERT INTO oms.setting (merchant_id, channel_id, name, value) VALUES (1, 0, 'allocation', 'backorder');
SELECT pg_temp.place('{"lines": [{"sku": "C", "quantity": 2}, {"sku": "S", "quantity": 1}]}') AS p \gset
SELECT pg_temp.edit(:p, '[{"action": "quantity", "line": 1, "quantity": 5}, {"action": "quantity", "line": 2, "quantity": 3}]') \g /dev/null
SELECT oms.confirm_edit(1, :p) \g /dev/null
SELECT is(pg_temp.counts(:p, 1) || ' ' || pg_temp.line(:p, 2), '0 allocated, 5 backordered, 0 promised 3-0 x 5 - 0.00 = 15.00 (2.39)', 'backordered, and a service');
SELECT oms.set_backorder_limit(1, 3, 6) \g /dev/null
SELECT pg_temp.edit(:p, '[{"action": "quantity", "line": 1, "quantity": 7}]') \g /dev/null
SELECT throws_ok(format('SELECT oms.confirm_edit(1, %s)', :p), 'OM007', NULL, 'no more than the limit of backorders');
SELECT oms.decline_edit(1, :p) \g /dev/null
SELECT pg_temp.edit(:p, '[{"action": "quantity", "line": 1, "quantity": 1}]') \g /dev/null
SELECT oms.confirm_edit(1, :p) \g /dev/null
SELECT is(pg_temp.counts(:p, 1), '0 allocated, 1 backordered, 0 promised', 'fewer wait');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Picked and shipped
SELECT pg_temp.place('{"lines": [{"sku": "A", "quantity": 5}, {"sku": "B", "quantity": 2}]}') AS q \gset
SELECT fulfilment_id AS f FROM oms.plan_fulfilment(1, :q) \gset
SELECT oms.confirm_pick(1, :f, '[{"line": 1, "quantity": 3}]') \g /dev/null
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "quantity", "line": 1, "quantity": 2}]'')', :q), 'OM007', format('line 1 of order %s has more than 2 units picked', :q), 'not below what is picked');
SELECT oms.pack(1, :f) \g /dev/null
SELECT oms.ship(1, :f) \g /dev/null
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "price", "line": 1, "unit_price": 1}]'')', :q), 'OM008', format('line 1 of order %s has shipped units', :q), 'no price of what was shipped');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "quantity", "line": 1, "quantity": 6}]'')', :q), 'OM008', NULL, 'nor more units');
SELECT pg_temp.edit(:q, '[{"action": "quantity", "line": 1, "quantity": 4}, {"action": "price", "line": 2, "unit_price": 3}]') \g /dev/null
SELECT oms.confirm_edit(1, :q) \g /dev/null
SELECT is(pg_temp.line(:q, 1) || ' ' || pg_temp.line(:q, 2), '5-1 x 10 - 0.00 = 50.00 (7.98) 2-0 x 3 - 0.00 = 6.00 (0.96)', 'but fewer, and the price of another line');
-- A set that was opened before the units were picked
SELECT pg_temp.edit(:q, '[{"action": "remove", "line": 2}, {"action": "add", "sku": "A", "quantity": 1}]') \g /dev/null
SELECT oms.confirm_pick(1, :f) \g /dev/null
SELECT throws_ok(format('SELECT oms.confirm_edit(1, %s)', :q), 'OM007', NULL, 'is held against the order as it is');
SELECT oms.decline_edit(1, :q) \g /dev/null
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Addresses, texts, charges
SELECT pg_temp.place('{"lines": [{"sku": "A", "quantity": 1}], "shipping": "5.00", "ship_to": {"name": "Ann", "country": "DE"}, "instructions": "ring"}') AS r \gset
SELECT pg_temp.edit(:r, '[{"action": "address", "ship_to": {"name": "Bob", "country": "FR"}}, {"action": "notes", "instructions": "", "gift_note": "Dear Bob"}, {"action": "shipping", "amount": "7.00"}, {"action": "charge", "kind": "gift_wrap", "amount": "2.00", "tax_rate": 0.19}]') \g /dev/null
DELETE FROM previewed;
INSERT INTO previewed SELECT * FROM oms.preview_edit(1, :r);
SELECT oms.confirm_edit(1, :r) \g /dev/null
SELECT is_empty(format('SELECT * FROM pg_temp.differs(%s)', :r), 'as previewed');
SELECT is((SELECT (ship_to ->> 'name', instructions, gift_note, shipping, charges, tax, total)::text FROM oms.sales_order WHERE order_id = :r), '(Bob,,"Dear Bob",7.00,2.00,3.04,19.00)', 'address, texts, shipping and a charge');
SELECT is((SELECT string_agg(format('%s %s %s', kind, amount, tax), ', ' ORDER BY charge_no) FROM oms.order_charge WHERE order_id = :r), 'shipping 7.00 1.12, gift_wrap 2.00 0.32', 'the charges');
SELECT pg_temp.edit(:r, '[{"action": "charge", "charge": 2, "amount": 0}]') \g /dev/null
SELECT oms.confirm_edit(1, :r) \g /dev/null
SELECT is((SELECT total FROM oms.sales_order WHERE order_id = :r), 17.00, 'a charge goes');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "charge", "charge": 3, "amount": 0}]'')', :r), 'OM002', NULL, 'an unknown charge');

-- Tax that was stated, and tax that is added
SELECT oms.place_order(1, '{"channel": 1, "tax_included": false, "lines": [{"sku": "A", "quantity": 2, "tax": "3.00"}, {"sku": "A", "quantity": 1}]}') AS t \gset
SELECT pg_temp.edit(:t, '[{"action": "quantity", "line": 1, "quantity": 4}, {"action": "quantity", "line": 2, "quantity": 2}]') \g /dev/null
UPDATE oms.tax_rule SET rate = 0.5 WHERE tax_class = 'standard';
SELECT oms.confirm_edit(1, :t) \g /dev/null
SELECT is(pg_temp.line(:t, 1) || ' ' || pg_temp.line(:t, 2), '4-0 x 10 - 0.00 = 46.00 (6.00) 2-0 x 10 - 0.00 = 23.80 (3.80)', 'by the rates of the lines, whatever the rules say now');
SELECT is((SELECT (subtotal, tax, total)::text FROM oms.sales_order WHERE order_id = :t), '(60.00,9.80,69.80)', 'and the order has their sum');

-- Money: what becomes cheaper is given back, what becomes dearer is said
CREATE FUNCTION pg_temp.paid(amount numeric, captured numeric, document jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE o bigint := pg_temp.place(document); p bigint := oms.authorize(1, o, 'card', amount, 'g');
BEGIN
	PERFORM oms.record_payment_event(1, p, 'authorized', amount, 'a' || p);
	IF captured > 0 THEN PERFORM oms.record_payment_event(1, p, 'captured', captured, 'c' || p); END IF;
	RETURN o;
END $$;
SELECT pg_temp.paid(50, 0, '{"lines": [{"sku": "A", "quantity": 5}]}') AS m \gset
SELECT pg_temp.edit(:m, '[{"action": "price", "line": 1, "unit_price": "8"}]') \g /dev/null
SELECT oms.confirm_edit(1, :m) \g /dev/null
SELECT is((SELECT (given_back, to_pay)::text FROM oms.order_edits WHERE order_id = :m), '(10.00,0.00)', 'an authorization that is not needed is given up');
SELECT is((SELECT string_agg(e.kind || ' ' || e.amount, ', ' ORDER BY e.event_id) FROM oms.payment_event e JOIN oms.payment p USING (merchant_id, payment_id) WHERE p.order_id = :m AND kind LIKE '%requested' AND kind <> 'authorize_requested'), 'void_requested 10.00', 'by a void');
SELECT pg_temp.edit(:m, '[{"action": "quantity", "line": 1, "quantity": 7}]') \g /dev/null
SELECT oms.confirm_edit(1, :m) \g /dev/null
SELECT is((SELECT (given_back, to_pay)::text FROM oms.order_edits WHERE order_id = :m ORDER BY edit_id DESC LIMIT 1), '(0.00,16.00)', 'what is owed beyond the authorization is said');
SELECT is((SELECT data ->> 'to_pay' FROM oms.event WHERE order_id = :m AND type = 'order.edited' ORDER BY event_id DESC LIMIT 1), '16.00', 'by the event too');
SELECT pg_temp.paid(50, 50, '{"lines": [{"sku": "A", "quantity": 5}]}') AS n \gset
SELECT pg_temp.edit(:n, '[{"action": "price", "line": 1, "unit_price": "8"}, {"action": "quantity", "line": 1, "quantity": 4}]') \g /dev/null
SELECT oms.confirm_edit(1, :n) \g /dev/null
SELECT is((SELECT (cause, amount, tax, state)::text FROM oms.refund WHERE order_id = :n), '(edit,18.00,6.00,requested)', 'captured money is refunded with its tax');
SELECT is((SELECT (owed, due, granted)::text FROM oms.payment_balance WHERE order_id = :n), '(32.00,0.00,0)', 'and the balance is even');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Twice is once
SELECT oms.edit_order(1, :n, '[{"action": "notes", "gift_note": "x"}]', request_key => 'open') AS e \gset
SELECT is(oms.edit_order(1, :n, '[{"action": "notes", "gift_note": "x"}]', request_key => 'open'), :e::bigint, 'the same key is the same edit');
SELECT is(oms.confirm_edit(1, :n, 'yes'), :e::bigint, 'confirmed');
SELECT is(oms.confirm_edit(1, :n, 'yes'), :e::bigint, 'once');
SELECT is((SELECT count(*) FROM oms.event WHERE order_id = :n AND type = 'order.edited'), 2::bigint, 'with one event');

-- A hold while it is open, and time
INSERT INTO oms.setting (merchant_id, channel_id, name, value) VALUES (1, 0, 'edit_hold', 'on'), (1, 0, 'edit_expiry', '1 hour');
SELECT pg_temp.edit(:n, '[{"action": "notes", "gift_note": "y"}]') AS e \gset
SELECT is((SELECT expires_at - opened_at FROM oms.order_edits WHERE edit_id = :e), interval '1 hour', 'it expires by the setting');
SELECT throws_ok(format('SELECT oms.plan_fulfilment(1, %s)', :n), 'OM005', NULL, 'nothing is picked meanwhile');
SELECT is((SELECT string_agg(step, ' ') FROM oms.blocked_by(1, :n)), 'confirm pick ship capture', 'as blocked_by() says');
SET LOCAL oms.test_clock = '2100-01-01';
SELECT throws_ok(format('SELECT oms.confirm_edit(1, %s)', :n), 'OM008', format('edit %s of order %s has expired', :e, :n), 'too late');
SELECT is((SELECT state FROM oms.order_edits WHERE edit_id = :e), 'expired', 'seen without anybody writing it');
SELECT is_empty(format('SELECT * FROM oms.blocked_by(1, %s)', :n), 'it blocks nothing any more');
SELECT lives_ok(format('SELECT oms.plan_fulfilment(1, %s)', :n), 'and its hold is over');
SELECT pg_temp.edit(:n, '[{"action": "notes", "gift_note": "z"}]') \g /dev/null
SELECT is((SELECT string_agg(state, ' ' ORDER BY edit_id) FROM oms.order_edit WHERE order_id = :n AND edit_id >= :e), 'expired open', 'another one opens');
SELECT is((SELECT on_hold FROM oms.sales_order WHERE order_id = :n), true, 'with a hold');
SET LOCAL oms.test_clock = '2100-02-01';
SELECT oms.decline_edit(1, :n) \g /dev/null
SELECT is((SELECT string_agg(state, ' ' ORDER BY edit_id) FROM oms.order_edit WHERE order_id = :n AND edit_id >= :e), 'expired expired', 'declining one that is over closes it as what it is');
SELECT is((SELECT on_hold FROM oms.sales_order WHERE order_id = :n), false, 'and the hold is released');
SELECT oms.hold(1, :n, 'fraud', 'look', '{edit}') \g /dev/null
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "notes", "gift_note": "q"}]'')', :n), 'OM005', NULL, 'a hold may block edits');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What is refused
SELECT throws_ok(format('SELECT pg_temp.edit(%s, %L)', :r, c), code, NULL, c) FROM (VALUES
	('{}', 'OM003'), ('[]', 'OM003'), ('1', 'OM003'), ('[1]', 'OM003'), ('[{}]', 'OM003'), ('[{"action": "shrink"}]', 'OM003'),
	('[{"action": "price", "line": 1, "unit_price": -1}]', 'OM003'), ('[{"action": "quantity", "line": 1, "quantity": 1, "what": 1}]', 'OM003'),
	('[{"action": "quantity", "line": 9, "quantity": 1}]', 'OM002'), ('[{"action": "add", "sku": "NOBODY", "quantity": 1, "unit_price": 1}]', 'OM002'),
	('[{"action": "address", "ship_to": {"country": "Germany"}}]', 'OM003')) v(c, code);
SELECT throws_ok(format('SELECT oms.edit_order(1, %s, ''[{"action": "remove", "line": 1}]'', expires_at => oms.clock())', :q), 'OM011', NULL, 'an expiry that is no future');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "price", "line": 2, "unit_price": "90000000000"}, {"action": "quantity", "line": 2, "quantity": 100000000}]'')', :p), 'OM017', NULL, 'amounts beyond all measure');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "quantity", "line": 2, "quantity": 100000001}]'')', :p), 'OM003', NULL, 'quantities too');
SELECT oms.cancel_order(1, :r) \g /dev/null
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "notes", "gift_note": "q"}]'')', :r), 'OM008', format('order %s is cancelled', :r), 'nothing of a cancelled order');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "notes", "gift_note": "q"}]'', ''maybe'')', :q), 'OM011', NULL, 'an unknown policy');

-- Stock that is asked for later, by rules, and by the parts of a kit as it was sold
DELETE FROM oms.setting WHERE merchant_id = 1;
SELECT pg_temp.place('{"lines": [{"sku": "K", "quantity": 1}, {"sku": "B", "quantity": 1}]}') AS k \gset
UPDATE oms.kit_component SET quantity = 5 WHERE merchant_id = 1 AND kit_id = 4 AND item_id = 1;
SELECT pg_temp.edit(:k, '[{"action": "quantity", "line": 1, "quantity": 3}]') \g /dev/null
SELECT oms.confirm_edit(1, :k) \g /dev/null
SELECT is((SELECT string_agg(item_id || 'x' || q, ' ' ORDER BY item_id) FROM (SELECT item_id, sum(quantity) AS q FROM oms.reservation WHERE order_id = :k AND line_no = 1 GROUP BY 1) x), '1x6 2x3', 'more of a kit has the parts it was sold with');
SELECT oms.set_setting(1, 'reserve', 'manual') \g /dev/null
SELECT pg_temp.place('{"lines": [{"sku": "A", "quantity": 2}]}') AS l \gset
SELECT pg_temp.edit(:l, '[{"action": "quantity", "line": 1, "quantity": 3}, {"action": "add", "sku": "B", "quantity": 1}]') \g /dev/null
SELECT oms.confirm_edit(1, :l) \g /dev/null
SELECT is(pg_temp.counts(:l, 1) || ', ' || pg_temp.counts(:l, 2), '0 allocated, 0 backordered, 0 promised, 0 allocated, 0 backordered, 0 promised', 'an order that waits for its stock waits on');
SELECT oms.reserve(1, :l) \g /dev/null
SELECT is(pg_temp.counts(:l, 1) || ', ' || pg_temp.counts(:l, 2), '3 allocated, 0 backordered, 3 promised, 1 allocated, 0 backordered, 1 promised', 'for all of it');
SELECT oms.set_setting(1, 'reserve', 'placement') \g /dev/null
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
SELECT oms.receive_stock(1, 1, 2, 50, 'opening') \g /dev/null
INSERT INTO oms.sourcing_rule (merchant_id, rule_id, name, max_shipments) VALUES (1, 1, 'one', 1);
SELECT pg_temp.place('{"lines": [{"sku": "B", "quantity": 1}]}') AS j \gset
SELECT pg_temp.edit(:j, '[{"action": "add", "sku": "A", "quantity": 2}, {"action": "quantity", "line": 1, "quantity": 2}]') \g /dev/null
SELECT oms.confirm_edit(1, :j) \g /dev/null
SELECT is((SELECT string_agg(DISTINCT location_id::text, ' ') || ' ' || sum(quantity) FROM oms.reservation WHERE order_id = :j), '1 4', 'one parcel stays one');
SELECT is((SELECT count(*) FROM oms.sourcing WHERE order_id = :j), 2::bigint, 'and the decision is kept');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What stands on an invoice
SELECT pg_temp.place('{"lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}], "shipping": "5.00"}') AS i \gset
SELECT oms.issue_invoice(1, :i) AS invoice \gset
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "price", "line": 1, "unit_price": 1}]'')', :i), 'OM008', format('line 1 of order %s is invoiced', :i), 'keeps its price');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "shipping", "amount": 1}]'')', :i), 'OM008', format('charge 1 of order %s is invoiced', :i), 'charges too');
SELECT throws_ok(format('SELECT pg_temp.edit(%s, ''[{"action": "discount", "discount": 1}]'')', :i), 'OM007', NULL, 'and takes no share of a discount');
SELECT pg_temp.edit(:i, '[{"action": "add", "sku": "B", "quantity": 1}, {"action": "quantity", "line": 1, "quantity": 1}]') \g /dev/null
SELECT oms.confirm_edit(1, :i) \g /dev/null
SELECT is_empty('SELECT * FROM oms.verify(1)', 'others come to it');

-- verify() names what is wrong
SAVEPOINT fault;
SET LOCAL session_replication_role = replica;
UPDATE oms.order_edit SET state = 'declined', to_pay = NULL WHERE order_id = :n AND edit_id = (SELECT max(edit_id) FROM oms.order_edit WHERE order_id = :n AND state = 'confirmed');
UPDATE oms.order_edit SET to_pay = NULL WHERE edit_id = (SELECT min(edit_id) FROM oms.order_edit WHERE state = 'confirmed');
UPDATE oms.order_edit SET revision = 1000 WHERE order_id = :m AND edit_id = (SELECT max(edit_id) FROM oms.order_edit WHERE order_id = :m);
SELECT is((SELECT string_agg(rule || ' ' || regexp_replace(found, ', .*', ''), ', ' ORDER BY rule) FROM oms.verify(1)), 'edit_revision 1000, edit_state confirmed, edited_is_confirmed declined', 'each rule');
ROLLBACK TO fault;
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound again');
SELECT * FROM finish();
ROLLBACK;
