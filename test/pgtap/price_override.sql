-- Prices that are given and are not the listed ones: what the channel asks for, and what is kept.
BEGIN;
SELECT plan(34);

INSERT INTO oms.customer_group (merchant_id, group_id, code, name) VALUES (1, 1, 'T', 'Trade');
INSERT INTO oms.customer (merchant_id, customer_id, name, group_id) VALUES (1, 1, 'Ann', NULL), (1, 2, 'Trader', 1);
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple'), (1, 2, 'B', 'Box');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 7.50);
INSERT INTO oms.price (merchant_id, item_id, currency, group_id, min_quantity, amount) VALUES (1, 1, 'EUR', 1, 1, 6);
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening'), oms.receive_stock(1, 2, 1, 1000, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.place(price text, more jsonb DEFAULT '{}', line jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT oms.place_order(1, jsonb_build_object('customer', 1, 'lines', jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('sku', 'A', 'quantity', 2, 'unit_price', price)) || line)) || more, NULL, 'Cal') $$;
CREATE FUNCTION pg_temp.kept(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', line_no, coalesce(listed_price::text, 'none'), given_price, difference, cause, reason, actor, in_force), ', ' ORDER BY override_id) FROM oms.price_overrides WHERE order_id = o $$;

-- Not asked
SELECT is(pg_temp.kept(pg_temp.place('5')), NULL, 'a channel that does not ask keeps nothing');
SELECT is(pg_temp.kept(pg_temp.place('5', '{}', '{"price_reason": "last one"}')), NULL, 'also where a reason is told');

-- Kept
SELECT oms.set_setting(1, 'price_override', 'keep') \g /dev/null
SELECT is(pg_temp.kept(pg_temp.place('5')), '1 7.50 5.00 -2.50 order Cal t', 'a price that differs is kept');
SELECT is(pg_temp.kept(pg_temp.place('7.5')), NULL, 'the listed one is none');
SELECT is(pg_temp.kept(pg_temp.place(NULL)), NULL, 'nor one that is looked up');
SELECT is(pg_temp.kept(pg_temp.place('6', '{"customer": 2}')), NULL, 'a group''s price is its listed one');
SELECT is(pg_temp.kept(pg_temp.place('7.5', '{"customer": 2}')), '1 6.00 7.50 1.50 order Cal t', 'more is an override as well');
SELECT is(pg_temp.kept(pg_temp.place('3', '{}', '{"sku": "B"}')), '1 none 3.00 order Cal t', 'an item without a price has none');
SELECT is(pg_temp.kept(pg_temp.place('3', '{}', '{"sku": "WHAT"}')), NULL, 'an unknown SKU is no item');

-- With a reason
SELECT oms.set_setting(1, 'price_override', 'reason') \g /dev/null
SELECT throws_ok($$ SELECT pg_temp.place('5') $$, 'OM011', 'the price of item "A" needs a reason', 'none: refused');
SELECT is(pg_temp.kept(pg_temp.place('5', '{}', '{"price_reason": "last one"}')), '1 7.50 5.00 -2.50 order last one Cal t', 'one: kept');
SELECT lives_ok($$ SELECT pg_temp.place('7.5') $$, 'the listed price needs none');
INSERT INTO oms.staged_order (merchant_id, source, position, document) VALUES
	(1, 's', 1, '{"customer": 1, "external_ref": "S1", "lines": [{"sku": "A", "quantity": 1, "unit_price": "5"}]}'), (1, 's', 2, '{"customer": 1, "external_ref": "S2", "lines": [{"sku": "A", "quantity": 1, "unit_price": "4", "price_reason": "batch"}]}');
SELECT results_eq('SELECT accepted, refused FROM oms.place_orders(1, ''s'')', 'VALUES (1::bigint, 1::bigint)', 'many at once the same');
SELECT is(pg_temp.kept((SELECT order_id FROM oms.sales_order WHERE external_ref = 'S2')), '1 7.50 4.00 -3.50 order batch ' || current_user || ' t', 'and kept');

-- With a right
CREATE ROLE oms_t_chief;
CREATE ROLE oms_t_clerk;
SELECT oms.grant_role('oms_t_chief', 'clerk'), oms.grant_role('oms_t_clerk', 'clerk'), oms.set_setting(1, 'price_override_role', 'oms_t_chief') \g /dev/null
SET LOCAL ROLE oms_t_clerk;
SELECT throws_ok($$ SELECT oms.place_order(1, '{"customer": 1, "lines": [{"sku": "A", "quantity": 1, "unit_price": "5", "price_reason": "x"}]}') $$, '42501', NULL, 'who has not the role may not');
SELECT lives_ok($$ SELECT oms.place_order(1, '{"customer": 1, "lines": [{"sku": "A", "quantity": 1}]}') $$, 'but order at list prices');
SET LOCAL ROLE oms_t_chief;
SELECT lives_ok($$ SELECT oms.place_order(1, '{"customer": 1, "lines": [{"sku": "A", "quantity": 1, "unit_price": "5", "price_reason": "x"}]}') $$, 'who has may');
RESET ROLE;
SELECT is((SELECT role_name FROM oms.price_override ORDER BY overridden_at DESC, override_id DESC LIMIT 1), 'oms_t_chief', 'and is named');
SELECT oms.set_setting(1, 'price_override_role', '') \g /dev/null

-- Edits
SELECT pg_temp.place(NULL) AS o \gset
SELECT throws_ok(format('SELECT oms.edit_order(1, %s, ''[{"action": "price", "line": 1, "unit_price": "5"}]'')', :o), 'OM011', NULL, 'a price that an edit gives needs a reason');
SELECT throws_ok(format('SELECT oms.edit_order(1, %s, ''[{"action": "add", "sku": "A", "quantity": 1, "unit_price": "5"}]'')', :o), 'OM011', NULL, 'so does that of a line it adds');
SELECT oms.edit_order(1, :o, '[{"action": "price", "line": 1, "unit_price": "5", "price_reason": "damaged box"}, {"action": "add", "sku": "A", "quantity": 1, "unit_price": "4"}]', reason => 'complaint', actor => 'Eve') \g /dev/null
SELECT is(pg_temp.kept(:o), NULL, 'nothing is kept before it is confirmed');
SELECT oms.confirm_edit(1, :o, actor => 'Eve') \g /dev/null
SELECT is(pg_temp.kept(:o), '2 7.50 4.00 -3.50 edit complaint Eve t, 1 7.50 5.00 -2.50 edit damaged box Eve t', 'then its own reason, else the edit''s');
SELECT oms.edit_order(1, :o, '[{"action": "price", "line": 1, "unit_price": "7.50"}]'), oms.confirm_edit(1, :o) \g /dev/null
SELECT is(pg_temp.kept(:o), '2 7.50 4.00 -3.50 edit complaint Eve t, 1 7.50 5.00 -2.50 edit damaged box Eve f', 'back at the listed price it is not in force');
SELECT lives_ok(format('SELECT oms.edit_order(1, %s, ''[{"action": "quantity", "line": 2, "quantity": 2}]'')', :o), 'more units at an agreed price need no reason');
SELECT oms.confirm_edit(1, :o) \g /dev/null

-- Agreed before
SELECT oms.quote_order(1, '{"customer": 1, "lines": [{"sku": "A", "quantity": 2, "unit_price": "5"}]}', oms.clock() + interval '1 day') AS q \gset
SELECT oms.accept_quote(1, :q) AS o \gset
SELECT is(pg_temp.kept(:o), format('1 7.50 5.00 -2.50 quote %s %s t', :q, current_user), 'a quote''s price needs no reason: the quote is the cause');
SELECT oms.blanket_order(1, '{"customer": 1, "lines": [{"sku": "A", "quantity": 20, "unit_price": "5"}]}', oms.clock() + interval '1 day') AS b \gset
SELECT oms.call_off(1, :b, '[{"line": 1, "quantity": 2}]') AS o \gset
SELECT is(pg_temp.kept(:o), format('1 7.50 5.00 -2.50 blanket %s %s t', :b, current_user), 'so is a blanket order');
SELECT is(pg_temp.kept(oms.clone_order(1, :o)), NULL, 'a clone is at the prices of the day');
SELECT oms.place_order(1, '{"customer": 1, "lines": [{"sku": "A", "quantity": 1, "unit_price": "5", "price_reason": "x"}]}') AS o \gset
SELECT is((SELECT count(*)::int FROM oms.order_differences(1, '{"customer": 1, "external_ref": "S2", "lines": [{"sku": "A", "quantity": 1, "unit_price": "4"}]}')), 0, 'comparing asks for nothing');
SELECT oms.preview(1, 'place_order', '{"document": {"customer": 1, "lines": [{"sku": "A", "quantity": 1, "unit_price": "5", "price_reason": "x"}]}}') \g /dev/null
SELECT is((SELECT count(*)::int FROM oms.preview(1, 'place_order', '{"document": {"customer": 1, "lines": [{"sku": "A", "quantity": 1, "unit_price": "5", "price_reason": "x"}]}}') WHERE table_name = 'price_override' AND column_name = 'given_price'), 1, 'a preview shows it');
SELECT oms.split_order(1, pg_temp.place('5', '{}', '{"price_reason": "y"}'), '[{"line": 1, "quantity": 1}]') AS part \gset
SELECT is(pg_temp.kept(:part), NULL, 'a part asks for nothing');

-- Channel by channel, and kept
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 9, 'm', 'Market', 'EUR');
SELECT oms.set_setting(1, 'price_override', 'free', 9) \g /dev/null
SELECT is(pg_temp.kept(pg_temp.place('5', '{"channel": 9, "allocation": "none"}')), NULL, 'each channel has its own rule');
SELECT throws_ok('DELETE FROM oms.price_override', 'OM009', NULL, 'overrides stay');
SELECT throws_ok('UPDATE oms.price_override SET reason = ''better''', 'OM009', NULL, 'as they are');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
