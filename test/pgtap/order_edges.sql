-- Orders at the edges: charges alone, lines that wait for their SKU and are cancelled, a batch with one that cannot be written.
BEGIN;
SELECT plan(43);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 100, 'opening') \g /dev/null

-- Charges alone.
SELECT oms.place_order(1, '{"shipping": "5", "confirm": false}') AS c \gset
SELECT oms.place_order(1, '{"shipping": "5"}') AS d \gset
SELECT is(lifecycle, 'placed', 'an order of charges alone, not confirmed') FROM oms.sales_order WHERE order_id = :c;
SELECT is(oms.cancel_order(1, :c), :c::bigint, 'can be cancelled');
SELECT is((lifecycle, cancelled_total, payment_state)::text, '(cancelled,5.00,none)', 'it is, with all its charges') FROM oms.sales_order WHERE order_id = :c;
SELECT is(oms.cancel_order(1, :c), :c::bigint, 'cancelling twice is cancelling once');
SELECT throws_ok(format('SELECT oms.cancel_order(1, %s)', :d), 'OM008', NULL, 'a completed one is not cancelled in silence');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Two unknown SKUs, the one cancelled, the other made known.
SELECT oms.place_order(1, '{"lines": [{"sku": "U1", "quantity": 2, "unit_price": "1"}, {"sku": "U2", "quantity": 2, "unit_price": "1"}, {"sku": "A", "quantity": 2, "unit_price": "1"}]}') AS u \gset
SELECT is(oms.cancel_line(1, :u, 1), 2, 'the first is cancelled');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 2, 'U2', 'Known');
SELECT is((lifecycle, on_hold)::text, '(confirmed,f)', 'the other made known: nothing holds the order') FROM oms.sales_order WHERE order_id = :u;
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 3, 'U1', 'Too late');
SELECT is(item_id, NULL, 'a cancelled line is not mapped') FROM oms.order_line WHERE order_id = :u AND line_no = 1;
SELECT is((SELECT count(*)::int FROM oms.event WHERE order_id = :u AND type = 'order.line_mapped'), 1, 'nor told of');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- A SKU that is corrected maps as a new one does.
SELECT oms.place_order(1, '{"lines": [{"sku": "U9", "quantity": 1, "unit_price": "1"}]}') AS w \gset
UPDATE oms.item SET sku = 'U9' WHERE item_id = 3;
SELECT is((lifecycle, on_hold, item_id, backordered)::text, '(confirmed,f,3,1)', 'a corrected SKU maps the line that waited for it') FROM oms.sales_order JOIN oms.order_line USING (merchant_id, order_id) WHERE order_id = :w;

-- A trigger of the user's refuses an order while the batch is written: the next of the same reference is placed.
CREATE FUNCTION pg_temp.no_bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.email = 'bad' THEN RAISE 'not this one'; END IF; RETURN new; END $$;
CREATE TRIGGER no_bad BEFORE INSERT ON oms.sales_order FOR EACH ROW EXECUTE FUNCTION pg_temp.no_bad();
INSERT INTO oms.staged_order (merchant_id, source, position, document)
	SELECT 1, 's', n, jsonb_build_object('external_ref', ref, 'email', email, 'lines', '[{"sku": "A", "quantity": 1, "unit_price": "1"}]'::jsonb)
	FROM (VALUES (1, 'R1', 'bad'), (2, 'R1', 'good'), (3, 'R1', 'late'), (4, 'R2', 'good'), (5, 'R2', 'bad'), (6, 'R3', 'bad'), (7, 'R3', 'bad')) v (n, ref, email);
SELECT is((p.orders, p.accepted, p.repeated, p.refused, p.lines)::text, '(7,2,2,3,2)', 'two orders, two repetitions, three refusals') FROM oms.place_orders(1, 's') p;
SELECT is_empty($$ SELECT position FROM oms.staged_order s WHERE source = 's' AND order_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM oms.sales_order o WHERE o.order_id = s.order_id) $$, 'no row names an order that is not there');
SELECT results_eq($$ SELECT position, order_id IS NOT NULL, error_code FROM oms.staged_order WHERE source = 's' ORDER BY 1 $$,
	$$ VALUES (1::bigint, false, 'P0001'), (2, true, NULL), (3, true, NULL), (4, true, NULL), (5, true, NULL), (6, false, 'P0001'), (7, false, 'P0001') $$, 'as one by one');
SELECT is((SELECT email FROM oms.sales_order WHERE external_ref = 'R1'), 'good', 'the first that can be placed is');
SELECT is((SELECT count(DISTINCT order_id)::int FROM oms.staged_order WHERE source = 's' AND position IN (2, 3)), 1, 'and the next repeats it');
SELECT is(oms.available(1, 1), 96::bigint, 'units of what was refused are free');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Many orders with references in one transaction leave the table of locks to others.
SELECT count(oms.place_order(1, jsonb_build_object('external_ref', 'L' || n, 'shipping', 1))) FROM generate_series(1, 200) n \g /dev/null
SELECT cmp_ok((SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), '<', 50, 'locks of a transaction do not grow with its orders');

-- Lines that wait for a SKU do not keep the catalogue from being written: what cannot be ordered yet leaves them waiting.
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 8, 'closed', 'To be closed', 'EUR'), (1, 9, 'bare', 'No location', 'EUR');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 8, 1);
CREATE FUNCTION pg_temp.wait(channel text, sku text) RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('channel', $1, 'lines', jsonb_build_array(jsonb_build_object('sku', $2, 'quantity', 2, 'unit_price', '1')))) $$;
CREATE FUNCTION pg_temp.waits(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT (lifecycle, on_hold, item_id, allocated, backordered)::text FROM oms.sales_order JOIN oms.order_line USING (merchant_id, order_id) WHERE merchant_id = 1 AND order_id = $1 $$;
SELECT pg_temp.wait('web', 'LATEKIT') AS kit, pg_temp.wait('web', 'LATER') AS later, pg_temp.wait('closed', 'LAST') AS closed, pg_temp.wait('bare', 'LAST') AS bare \gset
SELECT lives_ok($$ INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 30, 'LATEKIT', 'Its parts come next', 'kit') $$, 'a kit can be made ahead of its parts');
SELECT is(pg_temp.waits(:kit), '(placed,t,,0,0)', 'its line waits on');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 30, 1, 3);
SELECT results_eq('SELECT rule, object, found FROM oms.verify(1)', format($$ VALUES ('unmapped_is_unknown', 'order %s line 1', 'unmapped') $$, :kit), 'verify() tells when it has them');
UPDATE oms.item SET sku = sku WHERE item_id = 30;
SELECT is(pg_temp.waits(:kit), '(confirmed,f,30,2,0)', 'writing its SKU again maps');
SELECT is((SELECT sum(quantity)::int FROM oms.reservation WHERE order_id = :kit), 6, 'and promises its parts');
SELECT lives_ok($$ INSERT INTO oms.item (merchant_id, item_id, sku, title, active) VALUES (1, 31, 'LATER', 'Not yet', false) $$, 'an item can be made inactive');
SELECT is(pg_temp.waits(:later), '(placed,t,,0,0)', 'its line waits on');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'which is no fault');
UPDATE oms.item SET active = true WHERE item_id = 31;
SELECT is(pg_temp.waits(:later), '(confirmed,f,31,0,2)', 'made active, it maps');
UPDATE oms.channel SET active = false WHERE channel_id = 8;
SELECT lives_ok($$ INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 32, 'LAST', 'For orders of long ago') $$, 'lines of a closed channel, or of one without locations, do not keep an item out');
SELECT is(pg_temp.waits(:closed), '(confirmed,f,32,0,2)', 'the closed channel''s order goes on');
SELECT is(pg_temp.waits(:bare), '(confirmed,f,32,0,2)', 'the other''s is backordered');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- When an order was placed does not depend on the session's settings.
CREATE FUNCTION pg_temp.placed(at text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE o bigint := oms.place_order(1, jsonb_build_object('channel', 'web', 'placed_at', at, 'shipping', 1));
BEGIN
	RETURN (SELECT to_char(placed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') FROM oms.sales_order WHERE merchant_id = 1 AND order_id = o);
END $$;
CREATE TEMPORARY TABLE instant (given text, meant text);
INSERT INTO instant VALUES ('2026-01-31T10:00:00Z', '2026-01-31 10:00:00.000'), ('2026-01-31T10:00:00', '2026-01-31 10:00:00.000'), ('2026-01-31 10:00', '2026-01-31 10:00:00.000'),
	('2026-01-31T10:00:00.125+05:30', '2026-01-31 04:30:00.125'), ('2026-01-31T10:00-0800', '2026-01-31 18:00:00.000'), ('2026-02-01T00:30+14', '2026-01-31 10:30:00.000'),
	('2026-01-02', '2026-01-02 00:00:00.000'), ('1899-12-31T00:00:00+00:53:28', '1899-12-30 23:06:32.000');
SELECT is_empty('SELECT given, pg_temp.placed(given) FROM instant WHERE pg_temp.placed(given) <> meant', 'instants of ISO 8601, as the server is set');
SET LOCAL TimeZone = 'Asia/Tokyo';
SET LOCAL DateStyle = 'German, DMY';
SELECT is_empty('SELECT given, pg_temp.placed(given) FROM instant WHERE pg_temp.placed(given) <> meant', 'and as another session is');
RESET TimeZone;
RESET DateStyle;
-- A number of a hundred thousand digits is refused in a message of one line.
CREATE FUNCTION pg_temp.says(document jsonb) RETURNS int LANGUAGE plpgsql AS $$
DECLARE m text; d text;
BEGIN
	PERFORM oms.place_order(1, document);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL;
	RETURN length(m) + length(d);
END $$;
SELECT cmp_ok(max(pg_temp.says(d)), '<', 250, 'however long the number, the message is short')
	FROM unnest(ARRAY['{"channel": "web", "lines": [{"sku": "A", "quantity": 1e100000}]}', '{"channel": "web", "shipping": 1e100000}', '{"channel": 1e100000, "shipping": 1}']::jsonb[]) d;

-- A customer by the reference that the channel has for him.
INSERT INTO oms.customer (merchant_id, customer_id, name, ship_to, external_ref) VALUES (1, 5, 'Known', '{"name": "Known", "country": "DE"}', 'C-5');
SELECT oms.place_order(1, '{"channel": "web", "customer": {"external_ref": "C-5"}, "shipping": 1}') AS c \gset
SELECT is((customer_id, ship_to->>'name')::text, '(5,Known)', 'whom the reference names') FROM oms.sales_order WHERE order_id = :c;
SELECT oms.place_order(1, '{"channel": "web", "customer": {"external_ref": "C-6", "email": "new@example.com"}, "shipping": 1}') AS c \gset
SELECT is((customer_id, email)::text, '(,new@example.com)', 'one that is not known yet is a guest') FROM oms.sales_order WHERE order_id = :c;

-- A repeated document is compared with what it would have been then, not with today's prices.
SET LOCAL oms.test_clock = '2026-03-01 12:00Z';
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 40, 'THEN', 'Then and now');
INSERT INTO oms.price (merchant_id, item_id, currency, valid_to, amount) VALUES (1, 40, 'EUR', '2026-04-01Z', 5);
INSERT INTO oms.price (merchant_id, item_id, currency, valid_from, amount) VALUES (1, 40, 'EUR', '2026-04-01Z', 6);
SELECT oms.receive_stock(1, 40, 1, 10, 'opening') \g /dev/null
SELECT oms.place_order(1, '{"channel": "web", "external_ref": "THEN", "lines": [{"sku": "THEN", "quantity": 1}]}') AS t \gset
SET LOCAL oms.test_clock = '2026-05-01 12:00Z';
SELECT is_empty($$ SELECT * FROM oms.order_differences(1, '{"channel": "web", "external_ref": "THEN", "lines": [{"sku": "THEN", "quantity": 1}]}') $$, 'the same document does not differ when prices have');
SELECT results_eq($$ SELECT field, stored, given FROM oms.order_differences(1, '{"channel": "web", "external_ref": "THEN", "placed_at": "2026-05-01", "lines": [{"sku": "THEN", "quantity": 1}]}') WHERE field LIKE '%unit_price' $$,
	$$ VALUES ('lines[0].unit_price', '5', '6') $$, 'one of another day does');
UPDATE oms.item SET active = false WHERE item_id = 40;
SELECT is(oms.place_order(1, '{"channel": "web", "external_ref": "THEN", "lines": [{"sku": "THEN", "quantity": 2}]}'), :t::bigint, 'an item no longer sold: the reference is still its order');
SELECT results_eq($$ SELECT field, stored, given FROM oms.order_differences(1, '{"channel": "web", "external_ref": "THEN", "lines": [{"sku": "THEN", "quantity": 2}]}') WHERE field LIKE '%quantity' $$,
	$$ VALUES ('lines[0].quantity', '1', '2') $$, 'and is compared');
SELECT throws_ok($$ SELECT oms.place_order(1, '{"channel": "web", "lines": [{"sku": "THEN", "quantity": 1}]}') $$, 'OM008', NULL, 'but it is not ordered anew');
RESET oms.test_clock;
SELECT * FROM finish();
ROLLBACK;
