-- Splitting and merging orders: every sum stays, promises are never free between, and what forbids it.
BEGIN;
SELECT plan(70);

INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann'), (1, 2, 'Bob');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit'), (1, 4, 'S', 'Service', 'service');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 3, 1, 2), (1, 3, 2, 1);
SELECT oms.receive_stock(1, 1, 1, 8, 'opening'), oms.receive_stock(1, 1, 2, 20, 'opening'), oms.receive_stock(1, 2, 1, 5, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(more jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, '{"channel": 1, "customer": 1, "lines": [{"sku": "A", "quantity": 3, "unit_price": "9.99", "tax_rate": "0.19"}, {"sku": "S", "quantity": 1, "unit_price": "5"}], "shipping": "4.90", "shipping_tax_rate": "0.19"}'::jsonb || more) $$;
CREATE FUNCTION pg_temp.split(o bigint, lines text) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.split_order(1, o, (SELECT jsonb_agg(jsonb_build_object('line', split_part(l, '=', 1)::int, 'quantity', split_part(l, '=', 2)::int)) FROM unnest(string_to_array(lines, ' ')) l)) $$;
CREATE FUNCTION pg_temp.sums(VARIADIC o bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', sum(subtotal), sum(discount), sum(shipping), sum(charges), sum(tax), sum(total), sum(cancelled_total)) FROM oms.sales_order WHERE merchant_id = 1 AND order_id = ANY (o) $$;
CREATE FUNCTION pg_temp.money(VARIADIC o bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', sum(authorized), sum(captured), sum(voided), sum(refunded)) FROM oms.payment WHERE merchant_id = 1 AND order_id = ANY (o) $$;
CREATE FUNCTION pg_temp.lines(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(line_no || ':' || sku || '=' || ordered || '-' || cancelled || '/' || allocated || '+' || backordered, ' ' ORDER BY line_no) FROM oms.order_line WHERE merchant_id = 1 AND order_id = o $$;
CREATE FUNCTION pg_temp.promised(VARIADIC o bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item_id || '@' || location_id || '=' || q, ' ' ORDER BY item_id, location_id) FROM
	(SELECT item_id, location_id, sum(quantity) q FROM oms.reservation WHERE merchant_id = 1 AND order_id = ANY (o) GROUP BY 1, 2) x $$;
CREATE FUNCTION pg_temp.free() RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', oms.available(1, 1, 1), oms.available(1, 1, 2), oms.available(1, 2, 1)) $$;

-- Units of a taxed, discounted order with a charge, paid in full
SELECT oms.place_order(1, '{"channel": 1, "customer": 1, "external_ref": "X-1", "allocation": "backorder", "discount": "3.33", "shipping": "4.90", "shipping_tax_rate": "0.19", "instructions": "ring",
	"charges": [{"kind": "adjustment", "amount": "-0.07"}],
	"lines": [{"sku": "A", "quantity": 10, "unit_price": "3.333", "tax_rate": "0.19"}, {"sku": "K", "quantity": 3, "unit_price": "7.77", "tax_rate": "0.07"}, {"sku": "B", "quantity": 7, "unit_price": "1.01", "tax_rate": "0.19"}, {"sku": "S", "quantity": 1, "unit_price": "5"}]}') AS o \gset
SELECT oms.cancel_line(1, :o, 1, 1) \g /dev/null
SELECT oms.record_payment_event(1, NULL, 'authorized', (SELECT total - cancelled_total FROM oms.sales_order WHERE order_id = :o), 'a1', gateway => 'card', gateway_reference => 'P1', order_id => :o) AS p \gset
SELECT oms.record_payment_event(1, :p, 'captured', 20.01, 'c1') \g /dev/null
SELECT pg_temp.sums(:o) AS sums, pg_temp.money(:o) AS money, pg_temp.promised(:o) AS promised, pg_temp.free() AS free, pg_temp.lines(:o) AS lines \gset
SELECT pg_temp.split(:o, '1=4 2=2 4=1') AS part \gset
SELECT is(pg_temp.sums(:o, :part), :'sums', 'totals, taxes, discounts, charges and what is cancelled sum to what they were');
SELECT is(pg_temp.money(:o, :part), :'money', 'so do payments');
SELECT is(pg_temp.promised(:o, :part), :'promised', 'so do promises');
SELECT is(pg_temp.free(), :'free', 'nothing has become free');
SELECT is(pg_temp.lines(:o) || ' | ' || pg_temp.lines(:part), '1:A=6-1/5+0 2:K=1-0/1+0 3:B=7-0/2+5 | 1:A=4-0/4+0 2:K=2-0/2+0 3:S=1-0/0+0', 'the part has its units, promised ones first');
SELECT is((SELECT string_agg(payment_state, ' ' ORDER BY order_id = :part) FROM oms.sales_order WHERE order_id IN (:o, :part)), 'partial partial', 'both are paid for in part');
SELECT is((SELECT sum(capturable + captured) FROM oms.payment_balance WHERE order_id = :part), (SELECT total FROM oms.sales_order WHERE order_id = :part), 'authorized and captured money covers the part to the cent');
SELECT is((SELECT sum(capturable + captured) FROM oms.payment_balance WHERE order_id = :o), (SELECT total - cancelled_total FROM oms.sales_order WHERE order_id = :o), 'and what stays');
SELECT is((SELECT gateway_reference FROM oms.payment WHERE order_id = :part), format('P1#%s', :part), 'its payment names the one it is of');
SELECT is((SELECT customer_id || ' ' || instructions || ' ' || lifecycle || ' ' || origin || ' ' || coalesce(external_ref, '-') FROM oms.sales_order WHERE order_id = :part), '1 ring confirmed split -', 'it is an order of the same customer');
SELECT is((SELECT placed_at FROM oms.sales_order WHERE order_id = :part), (SELECT placed_at FROM oms.sales_order WHERE order_id = :o), 'placed when the other was');
SELECT is((SELECT concat_ws(' ', direction, kind, other_id, other_external_ref) FROM oms.order_relation WHERE order_id = :part), format('from split %s X-1', :o), 'it refers to where it came from');
SELECT results_eq(format('SELECT direction, kind, other_id FROM oms.order_relation WHERE order_id = %s', :o), format($$ VALUES ('into', 'split', %s::bigint) $$, :part), 'and is referred to');
SELECT is((SELECT string_agg(type, ' ' ORDER BY event_id) FROM oms.event WHERE order_id IN (:o, :part) AND type LIKE 'order.split%'), 'order.split order.split_off', 'two events');
SELECT is((SELECT count(*) FROM oms.order_line_component WHERE order_id = :part), 2::bigint, 'the kit has its parts');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT is(oms.record_payment_event(1, (SELECT payment_id FROM oms.payment WHERE order_id = :part), 'captured', (SELECT capturable FROM oms.payment_balance WHERE order_id = :part), 'c2'), (SELECT payment_id FROM oms.payment WHERE order_id = :part), 'the part is captured by itself');
SELECT is((SELECT payment_state FROM oms.sales_order WHERE order_id = :part), 'paid', 'and paid');
SELECT is(oms.cancel_order(1, :part), :part::bigint, 'it can be cancelled by itself');
SELECT is((SELECT refund_pending FROM oms.payment WHERE order_id = :part), (SELECT total FROM oms.sales_order WHERE order_id = :part), 'and gives all its money back');
SELECT isnt(pg_temp.split(:o, '1=1'), :part::bigint, 'what stays is split again');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'still sound');

-- A whole line
SELECT pg_temp.place() AS o \gset
SELECT pg_temp.sums(:o) AS sums \gset
SELECT pg_temp.split(:o, '2=1') AS part \gset
SELECT is(pg_temp.lines(:o) || ' | ' || pg_temp.lines(:part), '1:A=3-0/3+0 | 1:S=1-0/0+0', 'a whole line leaves none behind');
SELECT is(pg_temp.sums(:o, :part), :'sums', 'sums stay');
SELECT is(oms.merge_orders(1, :o, ARRAY[:part]), :o::bigint, 'and back');
SELECT is(pg_temp.sums(:o), :'sums', 'to what it was');
SELECT is(pg_temp.sums(:o, :part), :'sums', 'the emptied order has nothing');
SELECT is((SELECT lifecycle FROM oms.sales_order WHERE order_id = :part), 'cancelled', 'and is closed');
SELECT is((SELECT count(*) FROM oms.message WHERE order_id = :part), 0::bigint, 'without telling the customer of a cancellation');

-- Once, by key
SELECT pg_temp.place() AS o \gset
SELECT oms.split_order(1, :o, '[{"line": 1, "quantity": 1}]', 'key') AS part \gset
SELECT is(oms.split_order(1, :o, '[{"line": 1, "quantity": 1}]', 'key'), :part::bigint, 'the same key is the same part');
SELECT throws_ok(format($$ SELECT oms.split_order(1, %s, '[{"line": 1, "quantity": 2}]', 'key') $$, :o), 'OM010', NULL, 'with other lines it is refused');

SELECT oms.receive_stock(1, 1, 1, 100, 'opening') \g /dev/null
-- Merging: two references, promises, payments
SELECT pg_temp.place('{"external_ref": "M-1"}') AS a, pg_temp.place('{"external_ref": "M-2"}') AS b, pg_temp.place('{"external_ref": "M-3"}') AS c \gset
SELECT oms.record_payment_event(1, NULL, 'captured', 10, 'm1', gateway => 'card', gateway_reference => 'M1', order_id => :a), oms.record_payment_event(1, NULL, 'authorized', 20, 'm2', gateway => 'card', gateway_reference => 'M2', order_id => :b) \g /dev/null
SELECT pg_temp.sums(:a, :b, :c) AS sums, pg_temp.money(:a, :b, :c) AS money, pg_temp.promised(:a, :b, :c) AS promised, pg_temp.free() AS free \gset
SELECT is(oms.merge_orders(1, :b, ARRAY[:c, :a], reason => 'one parcel'), :b::bigint, 'three become one');
SELECT is(pg_temp.sums(:b), :'sums', 'its sums are those of all');
SELECT is(pg_temp.money(:b), :'money', 'so are its payments');
SELECT is(pg_temp.promised(:b), :'promised', 'and promises');
SELECT is(pg_temp.free(), :'free', 'nothing has become free');
SELECT is(pg_temp.lines(:b), '1:A=3-0/3+0 2:S=1-0/0+0 3:A=3-0/3+0 4:S=1-0/0+0 5:A=3-0/3+0 6:S=1-0/0+0', 'with all lines');
SELECT is((SELECT string_agg(other_external_ref, ' ' ORDER BY other_external_ref) FROM oms.order_relation WHERE order_id = :b), 'M-1 M-3', 'and all references');
SELECT is((SELECT external_ref || ' ' || lifecycle || ' ' || total::int FROM oms.sales_order WHERE order_id = :a), 'M-1 cancelled 0', 'the others keep theirs');
SELECT is(pg_temp.place('{"external_ref": "M-1"}'), :a::bigint, 'told twice, it is no new order');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What forbids it
SELECT pg_temp.place() AS o, pg_temp.place('{"customer": 2}') AS other, pg_temp.place('{"confirm": false}') AS placed, pg_temp.place('{"ship_to": {"city": "Rome"}}') AS elsewhere,
	pg_temp.place('{"customer": {"email": "x@example.test"}}') AS guest, pg_temp.place('{"customer": {"email": "y@example.test"}}') AS guest2, pg_temp.place('{"customer": {"email": "X@example.test"}}') AS guest3 \gset
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '1=4'), 'OM007', NULL, 'more units than there are');
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '9=1'), 'OM002', NULL, 'a line that is not there');
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '1=3 2=1'), 'OM008', NULL, 'all of it');
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '1=1 1=1'), 'OM003', NULL, 'a line twice');
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s, %1$s])', :o, :other), 'OM011', NULL, 'an order twice');
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :o, :other), 'OM008', NULL, 'another customer');
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :o, :placed), 'OM008', NULL, 'another lifecycle');
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :o, :elsewhere), 'OM008', NULL, 'another address');
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :guest, :guest2), 'OM008', NULL, 'another guest');
SELECT lives_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :guest, :guest3), 'the same guest');
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :guest, :guest3), 'OM008', NULL, 'merged already');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 9, 'us', 'US', 'USD');
SELECT oms.place_order(1, '{"channel": 9, "customer": 1, "lines": [{"sku": "S", "quantity": 1, "unit_price": "5"}]}') AS dollars \gset
SELECT throws_ok(format('SELECT oms.merge_orders(1, %s, ARRAY[%s])', :o, :dollars), 'OM012', NULL, 'another currency');
SELECT oms.hold(1, :o, 'fraud', 'score') \g /dev/null
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '1=1'), 'OM005', NULL, 'a held order is not split');
SELECT oms.release_hold(1, :o, 'fraud') \g /dev/null
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '1=1'), 'OM008', NULL, 'nor one whose payment is asked for');
SELECT oms.record_payment_event(1, :p, 'authorization_failed', event_reference => 'f1') \g /dev/null
SELECT oms.plan_fulfilment(1, :o) \g /dev/null
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '1=1'), 'OM008', format('order %s cannot be split or merged', :o), 'nor one that is worked on');
SELECT oms.cancel_order(1, :o) \g /dev/null
SELECT throws_ok(format('SELECT pg_temp.split(%s, %L)', :o, '1=1'), 'OM008', NULL, 'nor a cancelled one');
SELECT throws_ok('SELECT pg_temp.split(987654321, ''1=1'')', 'OM002', NULL, 'nor none');
SELECT throws_ok('INSERT INTO oms.order_link VALUES (1, 1, 2, now(), ''split'', ''me'', NULL)', 'OM009', NULL, 'links are not typed');
SELECT throws_ok('DELETE FROM oms.order_line', 'OM009', NULL, 'nor are lines deleted');

-- At random: nothing is lost, wherever orders are cut and put together again
CREATE TEMPORARY TABLE sum_of (what text, before text, after text);
DO $$
DECLARE o bigint; part bigint; parts bigint[]; doc jsonb; before text; paid text; n int;
BEGIN
	PERFORM setseed(0.4);
	UPDATE oms.channel SET tax_included = NOT tax_included WHERE merchant_id = 1 AND channel_id = 1;
	FOR i IN 1..40 LOOP
		SELECT jsonb_build_object('channel', 1, 'customer', 1, 'allocation', 'backorder', 'discount', round((random() * 3)::numeric, 2), 'shipping', round((random() * 9)::numeric, 2), 'shipping_tax_rate', '0.19', 'lines',
			jsonb_agg(jsonb_build_object('sku', (ARRAY['A', 'B', 'K', 'S'])[1 + (random() * 3)::int], 'quantity', 1 + (random() * 6)::int, 'unit_price', round((1 + random() * 9)::numeric, 3), 'tax_rate', (ARRAY['0', '0.07', '0.19'])[1 + (random() * 2)::int])))
			INTO doc FROM generate_series(1, 3);
		o := oms.place_order(1, doc);
		IF i % 2 = 0 THEN
			PERFORM oms.cancel_line(1, o, 1, 1) WHERE (SELECT ordered > 1 FROM oms.order_line WHERE merchant_id = 1 AND order_id = o AND line_no = 1);
		END IF;
		PERFORM oms.record_payment_event(1, NULL, 'authorized', round(((SELECT total - cancelled_total FROM oms.sales_order WHERE order_id = o) * (random() * 0.9 + 0.1)::numeric), 2), 'a', gateway => 'g', gateway_reference => 'R' || o, order_id => o) WHERE i % 3 <> 0;
		before := pg_temp.sums(o) || ' ' || coalesce(pg_temp.promised(o), '');
		paid := pg_temp.money(o);
		parts := ARRAY[o];
		FOR j IN 1..3 LOOP
			part := parts[1 + (random() * (cardinality(parts) - 1))::int];
			SELECT jsonb_agg(jsonb_build_object('line', line_no, 'quantity', q)), sum(left_over) INTO doc, n FROM (SELECT line_no, ordered - cancelled AS left_over, 1 + floor(random() * (ordered - cancelled))::int AS q FROM oms.order_line
				WHERE merchant_id = 1 AND order_id = part AND ordered > cancelled ORDER BY random() LIMIT 2) x;
			CONTINUE WHEN (SELECT sum(ordered - cancelled) FROM oms.order_line WHERE merchant_id = 1 AND order_id = part) <= (SELECT sum((e ->> 'quantity')::int) FROM jsonb_array_elements(doc) e);
			parts := parts || oms.split_order(1, part, doc);
		END LOOP;
		INSERT INTO sum_of SELECT 'split', before || paid, pg_temp.sums(VARIADIC parts) || ' ' || coalesce(pg_temp.promised(VARIADIC parts), '') || pg_temp.money(VARIADIC parts);
		IF i % 2 = 1 AND cardinality(parts) > 1 THEN
			PERFORM oms.merge_orders(1, parts[2], parts[1:1] || parts[3:]);
			INSERT INTO sum_of SELECT 'merge', before || paid, pg_temp.sums(parts[2]) || ' ' || coalesce(pg_temp.promised(parts[2]), '') || pg_temp.money(parts[2]);
		END IF;
	END LOOP;
END $$;
SELECT is_empty('SELECT * FROM sum_of WHERE before <> after', 'sums, promises and money of all parts are those of the order');
SELECT ok((SELECT count(*) FILTER (WHERE what = 'split') = 40 AND count(*) FILTER (WHERE what = 'merge') > 10 FROM sum_of), 'split and merged often enough');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- With a workflow of the merchant's: a part starts where its lifecycle starts in the workflow in force, the rest stays where it is
SELECT oms.define_workflow(1, '{"name": "w", "states": [{"state": "new", "core": "placed"}, {"state": "ready", "core": "confirmed"}, {"state": "packing", "core": "confirmed"}, {"state": "sent", "core": "completed"}, {"state": "off", "core": "cancelled"}],
	"transitions": [{"from": "new", "to": "ready", "action": "confirm"}, {"from": "ready", "to": "packing", "action": "start"}, {"from": "ready", "to": "sent", "action": "complete"}, {"from": "packing", "to": "sent", "action": "complete"},
		{"from": "new", "to": "off", "action": "cancel"}, {"from": "ready", "to": "off", "action": "cancel"}, {"from": "packing", "to": "off", "action": "cancel"}]}') AS w \gset
SELECT pg_temp.place('{"allocation": "none"}') AS before \gset
SELECT oms.activate_workflow(1, :w) \g /dev/null
CREATE FUNCTION pg_temp.at(o bigint) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', coalesce(workflow_id::text, '-'), state, lifecycle) FROM oms.sales_order WHERE order_id = o $$;
SELECT pg_temp.place('{"allocation": "none"}') AS o \gset
SELECT oms.perform_action(1, :o, 'start') \g /dev/null
SELECT pg_temp.split(:o, '1=1') AS part \gset
SELECT is(pg_temp.at(:o) || ', ' || pg_temp.at(:part), format('%s packing confirmed, %1$s ready confirmed', :w), 'the part is at the first confirmed state');
SELECT is(oms.perform_action(1, :part, 'start'), 'packing', 'and goes its own way');
SELECT is(pg_temp.at(pg_temp.split(:before, '1=1')), format('%s ready confirmed', :w), 'a part of an order without a workflow gets the one in force');
SELECT oms.merge_orders(1, :o, ARRAY[:part]) \g /dev/null
SELECT is(pg_temp.at(:part), format('%s off cancelled', :w), 'an emptied order ends along its workflow');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- What verify() sees
SELECT pg_temp.place('{"allocation": "none"}') AS o, pg_temp.place('{"allocation": "none"}') AS b \gset
SELECT oms.merge_orders(1, :o, ARRAY[:b]) \g /dev/null
SET session_replication_role = replica;
UPDATE oms.sales_order SET total = 1 WHERE order_id = :b;
SELECT is((SELECT count(*) FROM oms.verify(1) WHERE rule = 'merged_is_empty'), 1::bigint, 'a merged order that is not empty');
UPDATE oms.sales_order SET total = 0 WHERE order_id = :b;
UPDATE oms.sales_order SET customer_id = 2 WHERE order_id = :b;
SELECT is((SELECT count(*) FROM oms.verify(1) WHERE rule = 'part_is_alike'), 1::bigint, 'parts of two customers');
SELECT * FROM finish();
ROLLBACK;
