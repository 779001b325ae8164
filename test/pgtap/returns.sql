-- Returns: what may come back, exact refunds, one restock, in any order and number; bad input; verify.
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();

INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 81, 'ret-eur', 'Euro', 'EUR'), (1, 82, 'ret-jpy', 'Yen', 'JPY'), (1, 83, 'ret-kwd', 'Dinar', 'KWD');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 81, 1), (1, 82, 1), (1, 83, 1);
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (2, 'Another', 'EUR');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 80, 'RET', 'Returns');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 8001, 'RET-1', 'Thing', 'stocked'), (1, 8002, 'RET-2', 'Other', 'stocked'),
	(1, 8003, 'RET-KIT', 'Both', 'kit'), (1, 8004, 'RET-SERVICE', 'Engraving', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 8003, 8001, 2), (1, 8003, 8002, 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES (1, 1, 8001, 'opening', 100000, 'opening'), (1, 1, 8002, 'opening', 100000, 'opening');

CREATE FUNCTION pg_temp.place(lines jsonb, more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', 'ret-eur', 'tax_included', true, 'email', 'ret@example.test', 'lines', lines,
		'ship_to', '{"name": "Re Turner", "street": "1 High Street", "city": "Town", "postcode": "1", "country": "DE"}'::jsonb) || more) $$;
-- Paid elsewhere in full, so that refunds have something to be taken from.
CREATE FUNCTION pg_temp.pay(o bigint) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.record_payment_event(1, NULL, 'captured', total, 'ch', gateway => 'shop', gateway_reference => 'order ' || o, order_id => o)
	FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o AND total > 0 $$;
-- An order of so many RET-1 at 10 each, paid and shipped.
CREATE FUNCTION pg_temp.shipped(units int, more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	o bigint := pg_temp.place(jsonb_build_array(jsonb_build_object('sku', 'RET-1', 'quantity', units, 'unit_price', '10', 'tax_rate', '0.19')), more);
BEGIN
	PERFORM pg_temp.pay(o);
	PERFORM oms.ship_order(1, o);
	RETURN o;
END $$;
CREATE FUNCTION pg_temp.returnable(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s: %s of %s', line_no, returnable, shipped), ', ') FROM oms.returnable(1, o) $$;
CREATE FUNCTION pg_temp.stock(item bigint, location int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s damaged %s quarantine %s', on_hand, damaged, quarantine) FROM oms.stock WHERE merchant_id = 1 AND item_id = item AND location_id = location $$;

-- 1. For random lines and any order of returns the refunds sum to what was paid, tax too (R06, rule 19); suggested = real (R05).
CREATE TEMP TABLE wrong (what text, o bigint, a text, b text);
CREATE TEMP TABLE done (o bigint, returns int, units int);
CREATE FUNCTION pg_temp.exact(cases int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o bigint; r bigint; f bigint; n int; k int; doc jsonb; channel text; suggested numeric; put jsonb;
BEGIN
	PERFORM setseed(0.11);
	FOR n IN 1 .. cases LOOP
		channel := (ARRAY['ret-eur', 'ret-jpy', 'ret-kwd'])[1 + (random() * 2)::int];
		o := pg_temp.place((SELECT jsonb_agg(jsonb_build_object('sku', (ARRAY['RET-1', 'RET-2', 'RET-KIT', 'RET-SERVICE'])[1 + (random() * 3)::int],
				'quantity', 1 + (random() * 6)::int, 'tax_rate', (ARRAY['0', '0.07', '0.19', '0.2'])[1 + (random() * 3)::int],
				'unit_price', round((random() * 40)::numeric, CASE channel WHEN 'ret-jpy' THEN 0 ELSE 3 END)::text, 'title', 'line ' || g))
			FROM generate_series(1, 1 + (random() * 3)::int) g),
			jsonb_build_object('channel', channel, 'tax_included', random() < 0.5, 'shipping', '6', 'shipping_tax_rate', '0.19'));
		PERFORM pg_temp.pay(o);
		PERFORM oms.ship_order(1, o);
		k := 0;
		LOOP
			SELECT jsonb_agg(jsonb_build_object('line', line_no, 'quantity', q)) INTO doc
			FROM (SELECT line_no, 1 + (random() * (returnable - 1))::int AS q FROM oms.returnable(1, o) WHERE returnable > 0 ORDER BY random()
				LIMIT 1 + (random() * 2)::int) x;
			EXIT WHEN doc IS NULL;
			k := k + 1;
			r := oms.request_return(1, o, doc);
			PERFORM oms.decide_return(1, r, 'approve', refund_shipping => CASE k WHEN 1 THEN 3 WHEN 2 THEN (SELECT total - 3 FROM oms.order_charge WHERE merchant_id = 1 AND order_id = o) END);
			IF random() < 0.5 THEN
				SELECT amount INTO suggested FROM oms.suggested_refund(1, r) WHERE part = 'total';
				PERFORM oms.receive_return(1, r);
			ELSE
				PERFORM oms.receive_return(1, r);
				SELECT amount INTO suggested FROM oms.suggested_refund(1, r) WHERE part = 'total';
			END IF;
			SELECT jsonb_agg(jsonb_build_object('line', line_no, (ARRAY['sellable', 'damaged', 'quarantine', 'scrap', 'vendor_return'])[1 + (random() * 4)::int], received))
				INTO put FROM oms.return_line WHERE merchant_id = 1 AND return_id = r;
			f := oms.inspect_return(1, r, put);
			IF suggested IS DISTINCT FROM (SELECT amount FROM oms.refund WHERE refund_id = f) THEN
				INSERT INTO wrong VALUES ('suggested', o, suggested, (SELECT amount FROM oms.refund WHERE refund_id = f));
			END IF;
		END LOOP;
		INSERT INTO done SELECT o, k, sum(returned) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o;
		INSERT INTO wrong
		SELECT 'lines', o, sum(l.total)::text, (SELECT sum(lines_amount)::text FROM oms.refund x WHERE x.order_id = o)
		FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = o
		HAVING sum(l.total) <> (SELECT sum(lines_amount) FROM oms.refund x WHERE x.order_id = o)
		UNION ALL
		SELECT 'all', o, s.total::text || ' ' || s.tax, x.amount || ' ' || x.tax
		FROM oms.sales_order s, (SELECT sum(amount) AS amount, sum(tax) AS tax, count(*) AS n FROM oms.refund WHERE order_id = o) x
		WHERE s.merchant_id = 1 AND s.order_id = o AND x.n > 1 AND (s.total, s.tax) <> (x.amount, x.tax)
		UNION ALL
		SELECT 'state', o, 'returned', return_state FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o AND return_state <> 'returned';
	END LOOP;
END $$;
SELECT pg_temp.exact(60);
SELECT cmp_ok((SELECT sum(returns) FROM done), '>', 150::bigint, 'some hundred random returns of 60 random orders');
SELECT is_empty('SELECT * FROM wrong', 'each order refunded exactly what was paid, tax and shipping too, and each refund was the suggested one');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'verify finds nothing');
SELECT results_eq($$SELECT sum(f.amount) FROM oms.refund f$$, $$SELECT sum(refund_pending) FROM oms.payment$$, 'all of it is asked of the gateways');

-- 2. Refund, cancel, return in any order and number add each unit at most once (R09, R12, rule 21).
CREATE FUNCTION pg_temp.anything(cases int, steps int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	o bigint; p bigint; f bigint; r bigint; line int; q int; refused int := 0; what int;
BEGIN
	PERFORM setseed(0.77);
	FOR n IN 1 .. cases LOOP
		o := pg_temp.place('[{"sku": "RET-1", "quantity": 5, "unit_price": "3.33", "tax_rate": "0.19"}, {"sku": "RET-KIT", "quantity": 4, "unit_price": "7.01", "tax_rate": "0.07"}]',
			'{"shipping": "2.50", "tax_included": false, "discount": "1.11"}');
		p := pg_temp.pay(o);
		FOR s IN 1 .. steps LOOP
			line := 1 + (random())::int;
			q := 1 + (random() * 3)::int;
			what := (random() * 11)::int;
			r := (SELECT return_id FROM oms.return_order WHERE merchant_id = 1 AND order_id = o ORDER BY random() LIMIT 1);
			BEGIN
				CASE what
					WHEN 0 THEN PERFORM oms.cancel_line(1, o, line, q);
					WHEN 1, 2 THEN
						f := (SELECT min(fulfilment_id) FROM oms.fulfilment WHERE merchant_id = 1 AND order_id = o AND state NOT IN ('shipped', 'cancelled'));
						IF f IS NULL THEN
							f := (SELECT min(fulfilment_id) FROM oms.plan_fulfilment(1, o));
						END IF;
						PERFORM oms.confirm_pick(1, f, jsonb_build_array(jsonb_build_object('line', line, 'quantity', q)));
						PERFORM oms.pack(1, f);
						PERFORM oms.ship(1, f);
					WHEN 3 THEN PERFORM oms.request_return(1, o, jsonb_build_array(jsonb_build_object('line', line, 'quantity', q)));
					WHEN 4 THEN PERFORM oms.request_return(1, o);
					WHEN 5 THEN PERFORM oms.decide_return(1, r, CASE WHEN random() < 0.9 THEN 'approve' ELSE 'reject' END, restocking_percent => (random() * 10)::int, refund_shipping => (random() * 2)::int);
					WHEN 6, 7 THEN PERFORM oms.receive_return(1, r, CASE WHEN random() < 0.7 THEN jsonb_build_array(jsonb_build_object('line', line, 'quantity', q)) END);
					WHEN 8 THEN PERFORM oms.inspect_return(1, r, jsonb_build_array(jsonb_build_object('line', line, (ARRAY['sellable', 'damaged', 'scrap'])[1 + (random() * 2)::int], q, 'refund', q - (random() * q)::int)));
					WHEN 9 THEN PERFORM oms.inspect_return(1, r);
					WHEN 10 THEN PERFORM oms.refund(1, p, round((random() * 9)::numeric, 2) + 0.01);
					ELSE
						IF random() < 0.5 THEN
							PERFORM oms.close_return(1, r);
						ELSIF random() < 0.5 THEN
							PERFORM oms.cancel_return(1, r);
						ELSE
							PERFORM oms.cancel_order(1, o);
						END IF;
				END CASE;
			EXCEPTION WHEN SQLSTATE 'OM007' OR SQLSTATE 'OM008' OR SQLSTATE 'OM011' THEN
				refused := refused + 1;
			END;
		END LOOP;
	END LOOP;
	RETURN refused;
END $$;
SELECT cmp_ok(pg_temp.anything(40, 40), '>', 200, '1600 random commands on 40 orders; many are refused');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'and nothing is broken');
SELECT is_empty($$SELECT order_id, line_no FROM oms.order_line WHERE returned + return_requested > shipped OR shipped + cancelled > ordered$$, 'never more back than went out');
SELECT is_empty($$
	SELECT m.item_id, m.source_id, m.back, l.received
	FROM (SELECT source_id, item_id, sum(quantity) AS back FROM oms.stock_movement WHERE merchant_id = 1 AND kind = 'return' GROUP BY source_id, item_id) m,
		LATERAL (SELECT sum(l.received * p.per_unit) AS received FROM oms.return_line l JOIN oms.return_part p USING (merchant_id, order_id, line_no)
			WHERE l.return_id = m.source_id AND p.item_id = m.item_id) l
	WHERE m.back > l.received$$, 'each unit that came back entered stock at most once');
SELECT is_empty($$
	SELECT s.order_id, s.total, f.amount, p.refunded
	FROM oms.sales_order s,
		LATERAL (SELECT sum(amount) AS amount FROM oms.refund f WHERE f.order_id = s.order_id) f,
		LATERAL (SELECT sum(refund_pending + refunded) AS refunded FROM oms.payment p WHERE p.order_id = s.order_id) p
	WHERE s.merchant_id = 1 AND (f.amount > s.total OR p.refunded > s.total)$$, 'no order gave back more than was paid');
SELECT is_empty($$SELECT * FROM oms.payment_anomaly$$, 'no anomaly');

-- 3. Returnable = shipped - live returns (R04); states; expiry frees (R01).
SELECT pg_temp.shipped(3) AS o \gset
SELECT is(pg_temp.returnable(:o), '1: 3 of 3', 'all that is shipped is returnable');
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 2, "reason": "too blue"}]', 'does not fit', request_key => 'ret 1') AS r \gset
SELECT is(oms.request_return(1, :o, '[{"line": 1, "quantity": 2, "reason": "too blue"}]', 'does not fit', request_key => 'ret 1'), :r::bigint, 'same key, same return');
SELECT throws_ok(format('SELECT oms.request_return(1, %s, %L, request_key => %L)', :o, '[{"line": 1, "quantity": 1}]', 'ret 1'), 'OM010', NULL, 'same key, other content: refused');
SELECT is(pg_temp.returnable(:o), '1: 1 of 3', 'less what is in a live return');
SELECT is((SELECT return_state FROM oms.sales_order WHERE order_id = :o), 'requested', 'the order''s axis follows');
SELECT throws_ok(format('SELECT oms.request_return(1, %s, %L)', :o, '[{"line": 1, "quantity": 2}]'), 'OM007', NULL, 'more than is left');
SELECT throws_ok(format('SELECT oms.receive_return(1, %s)', :r), 'OM008', NULL, 'not received before it is decided');
SELECT throws_ok(format('SELECT oms.inspect_return(1, %s)', :r), 'OM008', NULL, 'nor inspected');
SELECT oms.decide_return(1, :r, 'reject', reason => 'worn');
SELECT is(pg_temp.returnable(:o), '1: 3 of 3', 'rejected: free again');
SELECT throws_ok(format('SELECT oms.decide_return(1, %s, %L)', :r, 'approve'), 'OM008', NULL, 'decided once');
SELECT oms.request_return(1, :o) AS r \gset
SELECT is(pg_temp.returnable(:o), '1: 0 of 3', 'no lines: all that is returnable');
SELECT throws_ok(format('SELECT oms.request_return(1, %s)', :o), 'OM007', NULL, 'nothing left');
SELECT oms.cancel_return(1, :r);
SELECT is(pg_temp.returnable(:o), '1: 3 of 3', 'cancelled: free again');
SELECT throws_ok(format('SELECT oms.cancel_return(1, %s)', :r), 'OM008', NULL, 'cancelled once');

SELECT oms.request_return(1, :o, expires_at => oms.clock() + interval '1 day') AS r \gset
SELECT oms.decide_return(1, :r, 'approve');
SET LOCAL oms.test_clock = '2099-01-01 00:00Z';
SELECT is(pg_temp.returnable(:o), '1: 3 of 3', 'expired: free at that instant, whether anything ran or not');
SELECT is((SELECT expired FROM oms.return_open WHERE return_id = :r), true, 'seen in return_open');
SELECT throws_ok(format('SELECT oms.receive_return(1, %s)', :r), 'OM008', NULL, 'an expired return takes nothing back');
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 3}]') AS r2 \gset
SELECT is((SELECT state FROM oms.return_order WHERE return_id = :r), 'expired', 'the next request says so in the row');
SELECT is((SELECT return_requested FROM oms.order_line WHERE order_id = :o), 3, 'and takes the units');
SELECT oms.cancel_return(1, :r2);
SELECT oms.request_return(1, :o) AS r \gset
SET LOCAL oms.test_clock = '2199-01-01 00:00Z';
SELECT is(oms.expire_returns(1) >= 1, true, 'expire_returns tidies up');
SELECT is((SELECT state FROM oms.return_order WHERE return_id = :r), 'expired', 'expired');
SELECT is(oms.expire_returns(1), 0::bigint, 'once');
RESET oms.test_clock;

-- 4. What comes may differ from what was asked.
SELECT pg_temp.place('[{"sku": "RET-1", "quantity": 3, "unit_price": "10"}, {"sku": "RET-2", "quantity": 2, "unit_price": "5"}]') AS o \gset
SELECT pg_temp.pay(:o);
SELECT oms.ship_order(1, :o);
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 2}]') AS r \gset
SELECT throws_ok(format('SELECT oms.decide_return(1, %s, %L, %L)', :r, 'approve', '[{"line": 1, "quantity": 3}]'), 'OM003', NULL, 'not more approved than asked for');
SELECT oms.decide_return(1, :r, 'approve');
SELECT oms.receive_return(1, :r, '[{"line": 1, "quantity": 1}]');
SELECT is(pg_temp.returnable(:o), '1: 1 of 3, 2: 2 of 2', 'fewer: the rest is still expected');
SELECT oms.receive_return(1, :r, '[{"line": 1, "quantity": 2}, {"line": 2, "quantity": 1}]');
SELECT is(pg_temp.returnable(:o), '1: 0 of 3, 2: 1 of 2', 'more, and another line of the order');
SELECT is((SELECT string_agg(format('%s: %s/%s/%s', line_no, requested, expected, received), ', ' ORDER BY line_no) FROM oms.return_line WHERE return_id = :r), '1: 2/0/3, 2: 0/0/1', 'asked, expected, received');
SELECT throws_ok(format('SELECT oms.receive_return(1, %s, %L)', :r, '[{"line": 2, "quantity": 2}]'), 'OM007', NULL, 'but not more than went out');
SELECT throws_ok(format('SELECT oms.receive_return(1, %s)', :r), 'OM007', NULL, 'nothing more is expected');
SELECT throws_ok(format('SELECT oms.receive_return(1, %s, %L, 80)', :r, '[{"line": 2, "quantity": 1}]'), 'OM008', NULL, 'one return, one location');
SELECT throws_ok(format('SELECT oms.cancel_return(1, %s)', :r), 'OM008', NULL, 'what came cannot be cancelled');
SELECT throws_ok(format('SELECT oms.close_return(1, %s)', :r), 'OM008', NULL, 'nor closed before inspection');
SELECT is((SELECT state FROM oms.return_order WHERE return_id = :r), 'received', 'received');

-- 5. Disposition: only sellable becomes available; damaged, quarantine, vendor return enter apart; scrap never (R08).
SELECT pg_temp.stock(8001) AS before \gset
SELECT split_part(:'before', ' ', 1)::bigint AS on_hand, split_part(:'before', ' ', 3)::bigint AS damaged, split_part(:'before', ' ', 5)::bigint AS quarantine \gset
SELECT throws_ok(format('SELECT oms.inspect_return(1, %s, %L)', :r, '[{"line": 1, "sellable": 4}]'), 'OM007', NULL, 'not more than was received');
SELECT is(oms.inspect_return(1, :r, '[{"line": 1, "damaged": 1, "refund": 0}]'), NULL, 'nothing paid back: no refund (restock without refund)');
SELECT is(pg_temp.stock(8001), format('%s damaged %s quarantine %s', :on_hand + 1, :damaged + 1, :quarantine), 'damaged: on hand, not available');
SELECT oms.inspect_return(1, :r, '[{"line": 1, "vendor_return": 1, "scrap": 1, "refund": 2}]', request_key => 'ret inspect') AS f \gset
SELECT is(pg_temp.stock(8001), format('%s damaged %s quarantine %s', :on_hand + 2, :damaged + 1, :quarantine + 1), 'vendor return: quarantine; scrap: nowhere');
SELECT is(oms.inspect_return(1, :r, '[{"line": 1, "vendor_return": 1, "scrap": 1, "refund": 2}]', request_key => 'ret inspect'), :f::bigint, 'same key: same refund');
SELECT is(pg_temp.stock(8001), format('%s damaged %s quarantine %s', :on_hand + 2, :damaged + 1, :quarantine + 1), 'and no second restock');
SELECT is((SELECT amount FROM oms.refund WHERE refund_id = :f), 20.00, 'refund without restock is legal');
SELECT is((SELECT state FROM oms.return_order WHERE return_id = :r), 'received', 'something is left to inspect');
SELECT oms.inspect_return(1, :r) AS f \gset
SELECT is((SELECT amount FROM oms.refund WHERE refund_id = :f), 5.00, 'the rest');
SELECT is((SELECT state FROM oms.return_order WHERE return_id = :r), 'closed', 'closed by itself');
SELECT throws_ok(format('SELECT oms.inspect_return(1, %s)', :r), 'OM008', NULL, 'inspected once');
SELECT is((SELECT count(*) FROM oms.event WHERE subject_type = 'return' AND subject_id = :r AND type = 'return.closed'), 1::bigint, 'one event says so');

-- Back to another location than it came from; kits by their parts; nothing of a service.
SELECT pg_temp.place('[{"sku": "RET-KIT", "quantity": 2, "unit_price": "10"}, {"sku": "RET-SERVICE", "quantity": 1, "unit_price": "5"}]') AS o \gset
SELECT pg_temp.pay(:o);
SELECT oms.ship_order(1, :o);
SELECT oms.request_return(1, :o) AS r \gset
SELECT oms.decide_return(1, :r, 'approve');
SELECT oms.receive_return(1, :r, location => 80);
SELECT oms.inspect_return(1, :r, '[{"line": 1, "sellable": 1, "damaged": 1}, {"line": 2, "scrap": 1}]');
SELECT is(pg_temp.stock(8001, 80) || ', ' || pg_temp.stock(8002, 80), '4 damaged 2 quarantine 0, 2 damaged 1 quarantine 0', 'a kit comes back as its parts');

-- 6. Fee, shipping at most once, money given back before (R05, R07, R12).
SELECT pg_temp.shipped(4, '{"shipping": "5.00", "shipping_tax_rate": "0.19"}') AS o \gset
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 1}]') AS r \gset
SELECT throws_ok(format('SELECT oms.decide_return(1, %s, %L, refund_shipping => 5.01)', :r, 'approve'), 'OM007', NULL, 'not more shipping than was charged');
SELECT oms.decide_return(1, :r, 'approve', restocking_fee => 1.5, restocking_percent => 10, refund_shipping => 3);
SELECT results_eq(format('SELECT part, quantity, amount, tax FROM oms.suggested_refund(1, %s)', :r),
	$$VALUES ('line', 1, 10.00, 1.60), ('shipping', NULL, 3.00, 0.48), ('fee', NULL, -2.50, 0.00), ('total', NULL, 10.50, 2.08)$$, 'suggested: line, shipping, fee, total');
SELECT oms.receive_return(1, :r);
SELECT oms.inspect_return(1, :r) AS f \gset
SELECT is((SELECT (amount, tax, lines_amount, shipping, shipping_tax, fee) FROM oms.refund WHERE refund_id = :f), (10.50, 2.08, 10.00, 3.00, 0.48, 2.50), 'granted as suggested');
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 1}]') AS r \gset
SELECT throws_ok(format('SELECT oms.decide_return(1, %s, %L, refund_shipping => 2.01)', :r, 'approve'), 'OM007', NULL, 'shipping at most once in total');
SELECT oms.decide_return(1, :r, 'approve', refund_shipping => 2);
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 1}]') AS r2 \gset
SELECT oms.decide_return(1, :r2, 'approve', refund_shipping => 2);
SELECT oms.receive_return(1, :r), oms.receive_return(1, :r2);
SELECT oms.inspect_return(1, :r), oms.inspect_return(1, :r2);
SELECT is((SELECT (sum(shipping), sum(shipping_tax)) FROM oms.refund WHERE order_id = :o), (5.00, 0.80), 'also when two returns were promised the same rest');
SELECT oms.refund(1, (SELECT payment_id FROM oms.payment WHERE order_id = :o), 8, reason => 'sorry');
SELECT oms.request_return(1, :o) AS r \gset
SELECT oms.decide_return(1, :r, 'approve');
SELECT is((SELECT string_agg(part || ' ' || amount, ', ') FROM oms.suggested_refund(1, :r)), 'line 10.00, limit -5.50, total 4.50', 'goodwill given before limits the last one: fee kept 2.50, given 8');
SELECT oms.receive_return(1, :r);
SELECT oms.inspect_return(1, :r);
SELECT is((SELECT sum(amount) FROM oms.refund WHERE order_id = :o), 45.00, 'all that was paid is given back, and no cent more');
SELECT is((SELECT payment_state FROM oms.sales_order WHERE order_id = :o), 'paid', 'the money is on its way');
SELECT is((SELECT return_state FROM oms.sales_order WHERE order_id = :o), 'returned', 'all returned');

-- 7. Granted apart from moved (R13): nothing captured, nothing to take it from.
SELECT pg_temp.place('[{"sku": "RET-1", "quantity": 2, "unit_price": "10"}]') AS o \gset
SELECT oms.authorize(1, :o, 'invoice') AS p \gset
SELECT oms.ship_order(1, :o);
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 1}]') AS r \gset
SELECT oms.decide_return(1, :r, 'approve');
SELECT oms.receive_return(1, :r);
SELECT oms.inspect_return(1, :r) AS f \gset
SELECT is((SELECT state FROM oms.refund WHERE refund_id = :f), 'granted', 'granted, not asked for');
SELECT is((SELECT open FROM oms.refund_not_moved WHERE refund_id = :f), 10.00, 'and listed');
SELECT throws_ok(format('SELECT oms.request_refund(1, %s)', :f), 'OM007', NULL, 'nothing captured to take it from');
SELECT is((SELECT due FROM oms.payment_balance WHERE order_id = :o), 10.00, 'the customer owes that much less');
SELECT oms.record_payment_event(1, :p, 'captured', 10, 'c1');
SELECT is((SELECT state FROM oms.refund WHERE refund_id = :f), 'granted', 'paying what is owed moves nothing');
SELECT oms.record_payment_event(1, :p, 'captured', 10, 'c2');
SELECT is((SELECT state || ' ' || pending FROM oms.refund WHERE refund_id = :f), 'requested 10.00', 'paying all of it sends the refund back');

-- One note per refund.
INSERT INTO oms.message_template (merchant_id, kind, subject, body) VALUES (1, 'refund_note', 'Refund {{amount}} {{currency}}', '{{reason}}');
SELECT pg_temp.shipped(2) AS o \gset
SELECT oms.request_return(1, :o) AS r \gset
SELECT oms.decide_return(1, :r, 'approve');
SELECT oms.receive_return(1, :r);
SELECT oms.inspect_return(1, :r, '[{"line": 1, "sellable": 1}]', reason => 'first');
SELECT oms.inspect_return(1, :r, reason => 'second');
SELECT results_eq(format('SELECT subject, body FROM oms.message WHERE order_id = %s AND kind = ''refund_note'' ORDER BY message_id', :o),
	$$VALUES ('Refund 10.00 EUR', 'first'), ('Refund 10.00 EUR', 'second')$$, 'one note per refund');

-- Each command answers the same key with its first answer, and other content with a refusal.
CREATE FUNCTION pg_temp.twice(command text, other text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	first bigint; second bigint; before bigint; state text := 'no error';
BEGIN
	EXECUTE command INTO first;
	before := (SELECT count(*) FROM oms.event);
	EXECUTE command INTO second;
	BEGIN
		EXECUTE other;
	EXCEPTION WHEN OTHERS THEN
		state := SQLSTATE;
	END;
	RETURN format('%s, %s new events, other content: %s', CASE WHEN first = second THEN 'same answer' ELSE 'other answer' END, (SELECT count(*) FROM oms.event) - before, state);
END $$;
SELECT pg_temp.shipped(3) AS o \gset
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 1}]') AS r1 \gset
SELECT oms.request_return(1, :o) AS r2 \gset
SELECT is(pg_temp.twice(command, other), 'same answer, 0 new events, other content: OM010', command) FROM (VALUES
	(format('SELECT oms.cancel_return(1, %s, ''ret same 1'')', :r1), format('SELECT oms.cancel_return(1, %s, ''ret same 1'')', :r2)),
	(format('SELECT oms.decide_return(1, %s, ''approve'', request_key => ''ret same 2'')', :r2), format('SELECT oms.decide_return(1, %s, ''reject'', request_key => ''ret same 2'')', :r2)),
	(format('SELECT oms.receive_return(1, %s, ''[{"line": 1, "quantity": 1}]'', request_key => ''ret same 3'')', :r2), format('SELECT oms.receive_return(1, %s, request_key => ''ret same 3'')', :r2)),
	(format('SELECT oms.inspect_return(1, %s, request_key => ''ret same 4'')', :r2), format('SELECT oms.inspect_return(1, %s, reason => ''x'', request_key => ''ret same 4'')', :r2)),
	(format('SELECT oms.close_return(1, %s, ''ret same 5'')', :r2), format('SELECT oms.close_return(1, %s, ''ret same 5'', ''me'')', :r2))) v(command, other);

-- The fee is rounded as the setting says.
SELECT pg_temp.place('[{"sku": "RET-1", "quantity": 1, "unit_price": "0.50"}]') AS o \gset
SELECT oms.ship_order(1, :o);
SELECT oms.request_return(1, :o) AS r \gset
SELECT oms.decide_return(1, :r, 'approve', restocking_percent => 5);
SELECT is((SELECT amount FROM oms.suggested_refund(1, :r) WHERE part = 'fee'), -0.02, '5 % of 0.50, half even');
SELECT oms.set_setting(1, 'rounding', 'half-up', 81);
SELECT is((SELECT amount FROM oms.suggested_refund(1, :r) WHERE part = 'fee'), -0.03, 'half up');

-- 8. Bad input, each a named error.
SELECT pg_temp.shipped(2) AS o \gset
SELECT oms.request_return(1, :o, '[{"line": 1, "quantity": 1}]') AS r \gset
SELECT throws_ok(q, 'OM011', NULL, q) FROM (VALUES
	('SELECT oms.request_return(NULL, 1)'), ('SELECT oms.request_return(1, NULL)'), ('SELECT oms.request_return(0, 1)'),
	(format('SELECT oms.request_return(1, %s, ''[]'')', :o)), (format('SELECT oms.request_return(1, %s, reason => '''')', :o)), (format('SELECT oms.request_return(1, %s, reason => repeat(''x'', 1000000))', :o)),
	(format('SELECT oms.request_return(1, %s, expires_at => ''infinity'')', :o)), (format('SELECT oms.request_return(1, %s, expires_at => now() - interval ''1 s'')', :o)),
	('SELECT oms.decide_return(NULL, 1, ''approve'')'), ('SELECT oms.decide_return(1, NULL, ''approve'')'), (format('SELECT oms.decide_return(1, %s, NULL)', :r)), (format('SELECT oms.decide_return(1, %s, ''maybe'')', :r)),
	(format('SELECT oms.decide_return(1, %s, ''approve'', restocking_fee => -1)', :r)), (format('SELECT oms.decide_return(1, %s, ''approve'', restocking_percent => 101)', :r)),
	(format('SELECT oms.decide_return(1, %s, ''approve'', restocking_percent => -1)', :r)), (format('SELECT oms.decide_return(1, %s, ''approve'', refund_shipping => -1)', :r)),
	('SELECT oms.receive_return(NULL, 1)'), ('SELECT oms.receive_return(1, NULL)'), ('SELECT oms.inspect_return(NULL, 1)'), ('SELECT oms.inspect_return(1, NULL)'),
	('SELECT oms.close_return(1, NULL)'), ('SELECT oms.cancel_return(NULL, 1)'), ('SELECT oms.expire_returns(NULL)'), ('SELECT * FROM oms.suggested_refund(1, NULL)'), ('SELECT * FROM oms.suggested_refund(NULL, 1)')) v(q);
SELECT throws_ok(q, 'OM017', NULL, q) FROM (VALUES
	(format('SELECT oms.decide_return(1, %s, ''approve'', restocking_fee => 0.001)', :r)), (format('SELECT oms.decide_return(1, %s, ''approve'', restocking_fee => ''NaN'')', :r)),
	(format('SELECT oms.decide_return(1, %s, ''approve'', restocking_percent => ''NaN'')', :r)), (format('SELECT oms.decide_return(1, %s, ''approve'', refund_shipping => ''infinity'')', :r)),
	(format('SELECT oms.decide_return(1, %s, ''approve'', refund_shipping => 1e30)', :r))) v(q);
SELECT throws_ok(q, 'OM002', NULL, q) FROM (VALUES
	('SELECT oms.request_return(1, 999999999)'), (format('SELECT oms.request_return(2, %s)', :o)), ('SELECT oms.decide_return(1, 999999999, ''approve'')'), (format('SELECT oms.decide_return(2, %s, ''approve'')', :r)),
	('SELECT oms.receive_return(1, -1)'), (format('SELECT oms.inspect_return(2, %s)', :r)), ('SELECT oms.close_return(1, 999999999)'), (format('SELECT oms.cancel_return(2, %s)', :r)), (format('SELECT * FROM oms.suggested_refund(2, %s)', :r))) v(q);
SELECT throws_ok(format('SELECT oms.request_return(1, %s, %L)', :o, d), 'OM003', NULL, 'malformed: ' || d) FROM (VALUES
	('{}'), ('1'), ('"x"'), ('null'), ('[1]'), ('[null]'), ('[[]]'), ('[{}]'), ('[{"line": 1}]'), ('[{"quantity": 1}]'), ('[{"line": 1, "quantity": 0}]'), ('[{"line": 1, "quantity": -1}]'),
	('[{"line": 1, "quantity": 1.5}]'), ('[{"line": 1, "quantity": 99999999999}]'), ('[{"line": 1, "quantity": "NaN"}]'), ('[{"line": 2, "quantity": 1}]'), ('[{"line": 0, "quantity": 1}]'), ('[{"line": "a", "quantity": 1}]'),
	('[{"line": 1, "quantity": 1}, {"line": 1, "quantity": 1}]'), ('[{"line": 1, "quantity": 1, "qty": 1}]'), ('[{"line": 1, "quantity": 1, "reason": 5, "x": {}}]')) v(d);
SELECT throws_like(format('SELECT oms.request_return(1, %s, %L)', :o, '[{"line": 1, "quantity": 1}, {"line": 1, "quantity": 1}]'), '%$.lines[1].line%', 'the path is in the message');
SELECT oms.decide_return(1, :r, 'approve');
SELECT throws_ok(format('SELECT oms.receive_return(1, %s, location => 999)', :r), 'OM002', NULL, 'no such location');
SELECT oms.receive_return(1, :r);
SELECT throws_ok(format('SELECT oms.inspect_return(1, %s, %L)', :r, d), 'OM003', NULL, 'malformed: ' || d) FROM (VALUES
	('[{"line": 1}]'), ('[{"line": 1, "sellable": 0}]'), ('[{"line": 1, "sellable": -1}]'), ('[{"line": 1, "sellable": 1, "refund": 2}]'), ('[{"line": 1, "sellable": 1, "refund": -1}]'), ('[{"line": 1, "lost": 1}]')) v(d);

-- 9. Hand-typed statements, and verify sees each seeded fault.
SELECT throws_ok('UPDATE oms.return_order SET state = ''closed''', 'OM009', NULL, 'returns are not hand-writable');
SELECT throws_ok('DELETE FROM oms.return_line', 'OM009', NULL, 'nor their lines');
SELECT throws_ok(format('INSERT INTO oms.return_line (merchant_id, return_id, order_id, line_no, requested) VALUES (1, %s, %s, 2, 1)', :r, :o), 'OM009', NULL, 'nor new ones');
SELECT throws_ok('TRUNCATE oms.return_line', 'OM009', NULL, 'nor all of them');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound so far');
SET LOCAL session_replication_role = replica;
UPDATE oms.return_line SET expected = 1 WHERE return_id = :r;
SELECT is((SELECT string_agg(rule, ', ' ORDER BY rule) FROM oms.verify_returns), 'return_requested', 'expected units that the order does not know');
UPDATE oms.return_line SET expected = 0, received = received + 1 WHERE return_id = :r;
SELECT is((SELECT string_agg(rule, ', ' ORDER BY rule) FROM oms.verify_returns), 'returned', 'received units that the order does not know');
UPDATE oms.return_line SET received = received - 1, sellable = 1 WHERE return_id = :r;
SELECT is((SELECT string_agg(rule, ', ' ORDER BY rule) FROM oms.verify_returns), 'return_restocked', 'a unit that never reached the shelf');
UPDATE oms.return_line SET sellable = 0, scrap = 1, refunded = 1 WHERE return_id = :r;
SELECT is((SELECT string_agg(rule, ', ' ORDER BY rule) FROM oms.verify_returns), 'return_refunded', 'a unit said to be refunded that is not');
UPDATE oms.return_line SET scrap = 0, refunded = 0, expected = 1 WHERE return_id = :r;
UPDATE oms.order_line SET return_requested = 1, returned = 1 WHERE order_id = :o;
UPDATE oms.return_order SET state = 'closed' WHERE return_id = :r;
SELECT is((SELECT string_agg(rule, ', ' ORDER BY rule) FROM oms.verify_returns), 'return_expected', 'a closed return that expects something');
UPDATE oms.return_order SET state = 'received' WHERE return_id = :r;
UPDATE oms.return_line SET expected = 0 WHERE return_id = :r;
UPDATE oms.order_line SET return_requested = 0 WHERE order_id = :o;
SELECT (SELECT min(refund_id) FROM oms.refund_line) AS f \gset
UPDATE oms.refund_line SET amount = amount + 1 WHERE refund_id = :f;
UPDATE oms.refund SET lines_amount = (SELECT sum(amount) FROM oms.refund_line WHERE refund_id = :f) WHERE refund_id = :f;
SELECT is((SELECT string_agg(DISTINCT rule, ', ' ORDER BY rule) FROM oms.verify_payment), 'refund_line_share', 'a line refunded at another value than was paid');
UPDATE oms.refund_line SET amount = amount - 1, from_unit = from_unit + 1000 WHERE refund_id = :f;
SELECT ok((SELECT bool_or(rule = 'refund_line_units') FROM oms.verify_payment), 'units refunded that never were');
SET LOCAL session_replication_role = origin;

SELECT * FROM finish();
ROLLBACK;
