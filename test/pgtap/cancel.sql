-- Cancellations: discount policy, restocking, refund and message, each stated on the row.
BEGIN;
SELECT plan(37);
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple'), (1, 2, 'B', 'Box');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 10), (1, 2, 'EUR', 3.33);
INSERT INTO oms.message_template (merchant_id, language, kind, subject, body) VALUES (1, 'en', 'cancellation', 'Cancelled', 'Sorry'), (1, 'en', 'refund_note', 'Refund', 'Soon');
SELECT oms.receive_stock(1, i, 1, 100, 'opening') FROM generate_series(1, 2) i \g /dev/null
CREATE FUNCTION pg_temp.place(lines text, paid numeric DEFAULT 0, included boolean DEFAULT true) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE o bigint := oms.place_order(1, jsonb_build_object('channel', 1, 'tax_included', included, 'email', 'x@example.org', 'language', 'en', 'lines', lines::jsonb));
BEGIN
	IF paid > 0 THEN PERFORM oms.record_payment_event(1, NULL, 'captured', paid, 'c', gateway => 'g', gateway_reference => 'p' || o, order_id => o); END IF;
	RETURN o;
END $$;
CREATE FUNCTION pg_temp.owes(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s - %s, discount %s, tax %s', total, cancelled_total, discount, tax) FROM oms.sales_order WHERE order_id = o $$;
CREATE FUNCTION pg_temp.row(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s x %s %s %s %s %s%s%s %s', coalesce(line_no::text, 'all'), quantity, discount_policy, amount, given_back, restock, refund, notify, reason), ', ' ORDER BY cancellation_id)
	FROM oms.order_cancellation WHERE order_id = o $$;

-- The discount goes with its units
SELECT pg_temp.place('[{"sku": "A", "quantity": 5, "discount": "5.00", "tax_rate": "0.25"}]', 45) AS s \gset
SELECT is(oms.cancel_line(1, :s, 1, 2, reason => 'two less'), 2, 'cancelled');
SELECT is(pg_temp.owes(:s), '45.00 - 18.00, discount 5.00, tax 9.00', 'share: units take theirs along');
SELECT is(pg_temp.row(:s), '1 x 2 share 18.00 18.00 ttt two less', 'as the row says');
SELECT is((SELECT (cause, amount, tax)::text FROM oms.refund WHERE order_id = :s), '(cancel,18.00,3.60)', 'and the refund');
-- or stays
SELECT pg_temp.place('[{"sku": "A", "quantity": 5, "discount": "5.00", "tax_rate": "0.25"}]', 45) AS k \gset
SELECT is(oms.cancel_line(1, :k, 1, 2, reason => 'two less', discount_policy => 'keep'), 2, 'cancelled');
SELECT is((SELECT total - cancelled_total FROM oms.sales_order WHERE order_id = :k), 25.00, 'keep: three at 10, less all of the 5');
SELECT is(pg_temp.row(:k), '1 x 2 keep 20.00 20.00 ttt two less', 'as the row says');
SELECT is((SELECT (cause, amount, tax)::text FROM oms.refund WHERE order_id = :k), '(edit,20.00,4.00)', 'the refund has the tax of what is owed less');
SELECT is((SELECT (due, owed)::text FROM oms.payment_balance WHERE order_id = :k), '(0.00,25.00)', 'the balance is even');
SELECT is(oms.cancel_line(1, :k, 1, 2, discount_policy => 'keep'), 2, 'again');
SELECT is((SELECT total - cancelled_total FROM oms.sales_order WHERE order_id = :k), 5.00, 'one at 10, less 5');
SELECT is((SELECT sum(amount)::text || ' ' || sum(tax)::text FROM oms.refund WHERE order_id = :k), '40.00 8.00', 'refunds sum to what was cancelled');
SELECT pg_temp.place('[{"sku": "A", "quantity": 3, "discount": "25.00"}]') AS m \gset
SELECT is(oms.cancel_line(1, :m, 1, 2, discount_policy => 'keep'), 2, 'a discount beyond what stays');
SELECT is((SELECT total - cancelled_total FROM oms.sales_order WHERE order_id = :m), 0.00, 'leaves nothing to pay');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- For any numbers: what stays is its amount less the whole discount, to the cent
CREATE FUNCTION pg_temp.wrong(trials int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE o bigint; n int; c int; d numeric; p numeric; kept numeric; wrong int := 0;
BEGIN
	FOR i IN 1 .. trials LOOP
		n := 2 + floor(random() * 6); p := (1 + random() * 20)::numeric(10, 2); d := (random() * p)::numeric(10, 2); c := 1 + floor(random() * (n - 1));
		o := pg_temp.place(jsonb_build_array(jsonb_build_object('item', 1, 'quantity', n, 'unit_price', p::text, 'discount', d::text, 'tax_rate', '0.19'))::text);
		PERFORM oms.cancel_line(1, o, 1, c, discount_policy => 'keep');
		SELECT total - cancelled_total INTO kept FROM oms.sales_order WHERE order_id = o;
		IF kept <> (n - c) * p - d THEN wrong := wrong + 1; END IF;
		PERFORM oms.cancel_order(1, o);
	END LOOP;
	RETURN wrong;
END $$;
SELECT setseed(0.7);
SELECT is(pg_temp.wrong(150), 0, '150 random lines');
SELECT pg_temp.place('[{"sku": "B", "quantity": 7, "discount": "1.00", "tax_rate": "0.19"}]', 0, false) AS x \gset
SELECT is(oms.cancel_line(1, :x, 1, 3, discount_policy => 'keep'), 3, 'tax added');
SELECT is((SELECT total - cancelled_total FROM oms.sales_order WHERE order_id = :x), 14.66, '4 x 3.33 - 1.00, and 19 %, to the cent');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT throws_ok(format('SELECT oms.cancel_line(1, %s, 1, 1, discount_policy => ''lose'')', :x), 'OM011', NULL, 'an unknown policy');
SELECT throws_ok(format('UPDATE oms.order_cancellation SET reason = ''other'' WHERE order_id = %s', :x), 'OM009', NULL, 'rows stay');

-- The whole order
SELECT oms.available(1, 1) AS before \gset
SELECT pg_temp.place('[{"sku": "A", "quantity": 4}]', 40) AS w \gset
SELECT is(oms.cancel_order(1, :w, reason => 'changed his mind'), :w::bigint, 'cancelled');
SELECT is(oms.cancel_order(1, :w, reason => 'again'), :w::bigint, 'twice');
SELECT is(pg_temp.row(:w), 'all x 0 share 40.00 40.00 ttt changed his mind', 'is once');
SELECT is(oms.available(1, 1), :before::bigint, 'its stock is for sale again');
SELECT is((SELECT count(*) FROM oms.message WHERE order_id = :w AND kind IN ('cancellation', 'refund_note')), 2::bigint, 'the customer is told');
SELECT pg_temp.place('[{"sku": "A", "quantity": 4}]', 40) AS v \gset
SELECT is(oms.cancel_order(1, :v, reason => 'smells', restock => false, refund => false, notify => false), :v::bigint, 'with all flags off');
SELECT is(pg_temp.row(:v), 'all x 0 share 40.00 0.00 fff smells', 'as the row says');
SELECT is(oms.available(1, 1) - :before, -4::bigint, 'its units are not for sale');
SELECT is((SELECT quality_control FROM oms.stock WHERE item_id = 1), 4::bigint, 'they wait for inspection');
SELECT is((SELECT count(*) FROM oms.refund WHERE order_id = :v), 0::bigint, 'no refund');
SELECT is((SELECT payment_state FROM oms.sales_order WHERE order_id = :v), 'overpaid', 'the money is seen');
SELECT is((SELECT count(*) FROM oms.message WHERE order_id = :v AND kind IN ('cancellation', 'refund_note')), 0::bigint, 'no message');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What is settled stays
SELECT pg_temp.place('[{"sku": "A", "quantity": 4, "discount": "1.00"}]') AS y \gset
SELECT oms.confirm_pick(1, fulfilment_id, '[{"line": 1, "quantity": 2}]'), oms.pack(1, fulfilment_id), oms.ship(1, fulfilment_id) FROM oms.plan_fulfilment(1, :y) \g /dev/null
SELECT throws_ok(format('SELECT oms.cancel_line(1, %s, 1, 1, discount_policy => ''keep'')', :y), 'OM008', NULL, 'shipped units keep their discount');
SELECT is(oms.cancel_line(1, :y, 1, 1), 1, 'the others take theirs along');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
