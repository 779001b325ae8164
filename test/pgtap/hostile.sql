-- Bad input of every function of core, inventory and orders: each call is refused with the code it ought to have, the
-- message names what is wrong, and no row is written.
BEGIN;
SELECT plan(14);

INSERT INTO oms.merchant VALUES (2, 'Other', 'EUR', 'UTC');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, active) VALUES (1, 2, 'old', 'Old', 'EUR', false), (1, 3, 'bare', 'No location', 'EUR', true);
INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann'), (2, 2, 'Bob');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind, active) VALUES (1, 1, 'A', 'Apple', 'stocked', true), (1, 2, 'K', 'Kit without parts', 'kit', true),
	(1, 3, 'OLD', 'Old', 'stocked', false), (1, 4, 'FREE', 'No price', 'stocked', true), (2, 5, 'B', 'Of another', 'stocked', true);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 1);
SELECT oms.receive_stock(1, 1, 1, 100, 'opening', request_key => 'receipt');
SELECT oms.place_order(1, '{"channel": "web", "external_ref": "X", "lines": [{"sku": "A", "quantity": 3}]}', 'placed') AS o \gset

-- Rows of all tables, for nothing may be added or changed by what is refused.
CREATE FUNCTION pg_temp.all_rows() RETURNS text LANGUAGE plpgsql AS $$
DECLARE t text; one text; result text := '';
BEGIN
	FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'oms'::regnamespace AND relkind = 'r' AND relname NOT IN ('currency', 'table_class', 'setting_definition') ORDER BY 1 LOOP
		EXECUTE format('SELECT count(*) || '' '' || coalesce(sum(xmin::text::bigint), 0) FROM oms.%I', t) INTO one;
		result := result || t || ' ' || one || E'\n';
	END LOOP;
	RETURN result;
END $$;
CREATE TEMPORARY TABLE attempt (n int GENERATED ALWAYS AS IDENTITY, call text, wanted text, says text, code text, message text, detail text);
CREATE TEMPORARY TABLE before AS SELECT pg_temp.all_rows() AS rows;
CREATE FUNCTION pg_temp.try(call text, wanted text, says text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
DECLARE c text := 'done'; m text; d text;
BEGIN
	BEGIN
		EXECUTE 'SELECT ' || call;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS c = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL;
	END;
	INSERT INTO attempt (call, wanted, says, code, message, detail) VALUES (left(call, 200), wanted, says, c, left(m, 2000), left(d, 2000));
END $$;

\o /dev/null
-- Documents: one field of a good one replaced by a wrong value; the path must be in the message.
CREATE FUNCTION pg_temp.document(path text[], value jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_set('{"channel": "web", "customer": {"email": "e@example.com", "name": "Eve"}, "ship_to": {"name": "Eve", "country": "DE"}, "bill_to": {"name": "Eve"},
		"lines": [{"sku": "A", "quantity": 1, "unit_price": "1"}, {"sku": "A", "quantity": 1}],
		"charges": [{"kind": "fee", "amount": "1"}]}', $1, $2) $$;
SELECT pg_temp.try(format('oms.place_order(1, %L::jsonb)', pg_temp.document(path, value)), 'OM003', '$.' || replace(replace(array_to_string(path, '.'), '.0', '[0]'), '.1', '[1]'))
FROM (VALUES
	('{external_ref}'::text[], '[]'::jsonb), ('{external_ref}', '{}'), ('{external_ref}', 'true'), ('{external_ref}', to_jsonb(repeat('x', 201))), ('{external_ref}', '1e400'),
	('{channel}', '0'), ('{channel}', '-1'), ('{channel}', '1.5'), ('{channel}', '2147483648'), ('{channel}', '[1]'), ('{channel}', '{}'), ('{channel}', 'true'), ('{channel}', to_jsonb(repeat('x', 1000000))),
	('{customer}', '0'), ('{customer}', '-5'), ('{customer}', '"x"'), ('{customer}', '[]'), ('{customer}', '1e30'), ('{customer}', 'false'),
	('{customer,email}', '{}'), ('{customer,email}', to_jsonb(repeat('x', 321))), ('{customer,age}', '5'),
	('{email}', '[1]'), ('{email}', to_jsonb(repeat('x', 1000000))), ('{phone}', to_jsonb(repeat('1', 101))), ('{language}', to_jsonb(repeat('e', 36))), ('{language}', 'false'),
	('{currency}', '[]'), ('{currency}', '"EURO"'), ('{origin}', '{}'), ('{origin}', to_jsonb(repeat('x', 201))), ('{instructions}', to_jsonb(repeat('x', 4001))), ('{gift_note}', to_jsonb(repeat('x', 1000000))),
	('{ship_to}', '"here"'), ('{ship_to}', '[]'), ('{ship_to}', '5'), ('{ship_to,street}', '[]'), ('{ship_to,street}', to_jsonb(repeat('x', 401))), ('{ship_to,planet}', '"Mars"'),
	('{ship_to,country}', '"Germany"'), ('{ship_to,country}', '"de"'), ('{ship_to,country}', '12'), ('{bill_to}', 'true'), ('{bill_to,country}', '"D"'), ('{bill_to,email}', '{}'),
	('{placed_at}', '"yesterday noon or so"'), ('{placed_at}', '"2026-02-30"'), ('{placed_at}', '"infinity"'), ('{placed_at}', '"-infinity"'), ('{placed_at}', '5'), ('{placed_at}', '[]'), ('{placed_at}', to_jsonb(repeat('9', 1000000))),
	('{placed_at}', '"999999-01-01"'), ('{placed_at}', '"now"'), ('{placed_at}', '"today"'), ('{placed_at}', '"tomorrow"'), ('{placed_at}', '"epoch"'), ('{placed_at}', '"01/02/2026"'), ('{placed_at}', '20260131'),
	('{placed_at}', '"2026-01-31 10"'), ('{placed_at}', '"2026-01-31T10:00:00 Europe/Berlin"'), ('{placed_at}', '"2026-01-31T10:00:00+"'), ('{placed_at}', '"2026-01-31T25:00Z"'), ('{placed_at}', '"Jan 31 2026"'),
	('{tax_included}', '"yes"'), ('{tax_included}', '1'), ('{confirm}', '"true"'), ('{allocation}', '"some"'), ('{allocation}', '1'), ('{location}', '[]'),
	('{lines}', '{}'), ('{lines}', '"A"'), ('{lines}', '5'), ('{lines,0}', '"A"'), ('{lines,1}', '5'), ('{lines,1}', '[]'), ('{lines,1,colour}', '"red"'),
	('{lines,0,sku}', '{}'), ('{lines,0,sku}', '""'), ('{lines,0,sku}', 'null'), ('{lines,0,sku}', to_jsonb(repeat('x', 201))), ('{lines,0,sku}', to_jsonb(repeat('x', 1000000))), ('{lines,0,sku}', '1e1000'),
	('{lines,0,item}', '0'), ('{lines,0,item}', '-1'), ('{lines,0,item}', '1.5'), ('{lines,0,item}', '9223372036854775808'), ('{lines,0,item}', '"A"'),
	('{lines,1,quantity}', '0'), ('{lines,1,quantity}', '-1'), ('{lines,1,quantity}', '1.5'), ('{lines,1,quantity}', '100000001'), ('{lines,1,quantity}', '"NaN"'), ('{lines,1,quantity}', '"Infinity"'),
	('{lines,1,quantity}', '""'), ('{lines,1,quantity}', '"1 "'), ('{lines,1,quantity}', '1e100'), ('{lines,1,quantity}', 'null'), ('{lines,1,quantity}', 'true'), ('{lines,1,quantity}', to_jsonb(repeat('1', 1000000))),
	('{lines,0,unit_price}', '-0.01'), ('{lines,0,unit_price}', '"NaN"'), ('{lines,0,unit_price}', '"Infinity"'), ('{lines,0,unit_price}', '1e30'), ('{lines,0,unit_price}', '0.000000001'), ('{lines,0,unit_price}', '"1,50"'), ('{lines,0,unit_price}', '[]'),
	('{lines,0,discount}', '-1'), ('{lines,0,discount}', '"2"'), ('{lines,0,discount}', '0.001'), ('{lines,0,discount}', '"x"'), ('{lines,0,discount}', '1e30'),
	('{lines,0,tax_rate}', '-0.1'), ('{lines,0,tax_rate}', '11'), ('{lines,0,tax_rate}', '"NaN"'), ('{lines,0,tax_rate}', '"20%"'),
	('{lines,0,title}', '[]'), ('{lines,0,title}', to_jsonb(repeat('x', 1001))), ('{lines,0,instructions}', to_jsonb(repeat('x', 4001))),
	('{discount}', '-1'), ('{discount}', '1000'), ('{discount}', '"NaN"'), ('{discount}', '0.005'), ('{discount}', '{}'),
	('{shipping}', '-1'), ('{shipping}', '"free"'), ('{shipping}', '0.001'), ('{shipping}', 'true'), ('{shipping_tax_rate}', '"x"'), ('{shipping_tax_rate}', '-1'),
	('{charges}', '{}'), ('{charges}', '1'), ('{charges,0}', '1'), ('{charges,0,kind}', '"bribe"'), ('{charges,0,kind}', 'null'), ('{charges,0,amount}', '-1'), ('{charges,0,amount}', 'null'), ('{charges,0,amount}', '"NaN"'),
	('{charges,0,tax_rate}', '-1'), ('{charges,0,description}', '[]'), ('{charges,0,colour}', '1'),
	('{colour}', '"red"'), (ARRAY[repeat('x', 50)], '1')) v (path, value);
SELECT pg_temp.try(format('oms.place_order(1, %L::jsonb)', document), 'OM003', says)
FROM (VALUES ('5', '$'), ('"x"', '$'), ('[]', '$'), ('[{}]', '$'), ('null', '$'), ('{}', '$.channel'), ('{"channel": "web"}', '$.lines'), ('{"channel": "web", "lines": []}', '$.lines'), ('{"channel": "web", "lines": null}', '$.lines'),
	(jsonb_build_object('channel', 'web', repeat('y', 1000000), 1)::text, '$.yyy'),
	((SELECT jsonb_build_object('channel', 'web', 'lines', jsonb_agg('{"sku": "A", "quantity": 1}'::jsonb))::text FROM generate_series(1, 10001)), '$.lines')) v (document, says);
SELECT pg_temp.try(format('oms.order_differences(1, %L::jsonb)', document), wanted, says)
FROM (VALUES ('5', 'OM003', '$'), ('{"channel": "web", "lines": [{"sku": "A", "quantity": 0}]}', 'OM003', '$.lines[0].quantity'),
	('{"channel": "web", "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', ''), ('{"channel": "web", "external_ref": "none", "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', '')) v (document, wanted, says);
-- Documents that are well formed, but mean what is not there.
SELECT pg_temp.try(format('oms.place_order(%s, %L::jsonb)', merchant, document), wanted, says)
FROM (VALUES
	(1, '{"channel": "nowhere", "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', 'nowhere'), (1, '{"channel": 99, "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', 'channel'),
	(2, '{"channel": "web", "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', 'channel'), (3, '{"channel": "web", "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', 'channel'),
	(1, '{"channel": "old", "lines": [{"sku": "A", "quantity": 1}]}', 'OM008', 'old'), (1, '{"channel": "bare", "lines": [{"sku": "A", "quantity": 1}]}', 'OM016', 'location'),
	(1, '{"channel": "web", "customer": 99, "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', 'customer'), (1, '{"channel": "web", "customer": 2, "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', 'customer'),
	(1, '{"channel": "web", "currency": "USD", "lines": [{"sku": "A", "quantity": 1}]}', 'OM012', 'USD'), (1, '{"channel": "web", "location": "MOON", "lines": [{"sku": "A", "quantity": 1}]}', 'OM002', 'MOON'),
	(1, '{"channel": "web", "lines": [{"item": 5, "quantity": 1}]}', 'OM002', 'item'), (1, '{"channel": "web", "lines": [{"item": 99, "quantity": 1}]}', 'OM002', 'item'),
	(1, '{"channel": "web", "lines": [{"sku": "OLD", "quantity": 1}]}', 'OM008', 'OLD'), (1, '{"channel": "web", "lines": [{"sku": "FREE", "quantity": 1}]}', 'OM016', 'FREE'), (1, '{"channel": "web", "lines": [{"sku": "K", "quantity": 1, "unit_price": 1}]}', 'OM016', 'K'),
	(1, '{"channel": "web", "lines": [{"sku": "A", "quantity": 98}]}', 'OM001', 'A'), (1, '{"channel": "web", "lines": [{"sku": "A", "quantity": 60}, {"sku": "A", "quantity": 60}]}', 'OM001', 'A'),
	(1, '{"channel": "web", "allocation": "none", "lines": [{"sku": "A", "quantity": 100000000, "unit_price": "90000000000"}]}', 'OM017', ''),
	(1, '{"channel": "web", "lines": [{"sku": "A", "quantity": 1, "unit_price": "90000000000"}], "shipping": "92233720368547758.07"}', 'OM017', '')) v (merchant, document, wanted, says);

-- Plain arrays.
SELECT pg_temp.try(format('oms.place_order(1, 1, NULL, %s, %s)', items, quantities), wanted, says)
FROM (VALUES ('NULL', '''{1}''', 'OM011', 'items'), ('''{1}''', 'NULL', 'OM011', 'quantities'), ('''{}''', '''{}''', 'OM011', 'items'), ('''{1}''', '''{}''', 'OM011', 'items'), ('''{1,1}''', '''{1}''', 'OM011', 'items'),
	('''{{1},{1}}''', '''{{1},{1}}''', 'OM011', 'items'), ('''{1,1}''', '''{{1},{1}}''', 'OM011', 'items'), ('''{NULL}''', '''{1}''', 'OM011', 'items'), ('''{1}''', '''{NULL}''', 'OM011', 'items'),
	('''{0}''', '''{1}''', 'OM011', 'line 1'), ('''{-1}''', '''{1}''', 'OM011', 'line 1'), ('''{1,1}''', '''{1,0}''', 'OM011', 'line 2'), ('''{1}''', '''{-5}''', 'OM011', 'line 1'), ('''{1}''', '''{2147483647}''', 'OM011', 'line 1'),
	('''{99}''', '''{1}''', 'OM002', 'item'), ('''{5}''', '''{1}''', 'OM002', 'item'), ('''{9223372036854775807}''', '''{1}''', 'OM002', 'item'), ('''{1}''', '''{98}''', 'OM001', 'A'), ('''[5:6]={1,1}''', '''[7:8]={50,48}''', 'OM001', 'A'),
	('array_fill(1::bigint, ''{10001}'')', 'array_fill(1, ''{10001}'')', 'OM011', 'items')) v (items, quantities, wanted, says);
SELECT pg_temp.try(call, wanted, says) FROM (VALUES
	('oms.place_order(NULL, 1, NULL, ''{1}'', ''{1}'')', 'OM011', 'merchant'), ('oms.place_order(0, 1, NULL, ''{1}'', ''{1}'')', 'OM011', 'merchant'), ('oms.place_order(1, NULL, NULL, ''{1}'', ''{1}'')', 'OM011', 'channel'),
	('oms.place_order(1, 99, NULL, ''{1}'', ''{1}'')', 'OM002', 'channel'), ('oms.place_order(1, -1, NULL, ''{1}'', ''{1}'')', 'OM002', 'channel'), ('oms.place_order(1, 1, 99, ''{1}'', ''{1}'')', 'OM002', 'customer'), ('oms.place_order(1, 1, -1, ''{1}'', ''{1}'')', 'OM002', 'customer'),
	('oms.place_order(1, 1, 2, ''{1}'', ''{1}'')', 'OM002', 'customer'),
	('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', ship_to => ''5'')', 'OM003', '$.ship_to'), ('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', ship_to => ''[]'')', 'OM003', '$.ship_to'), ('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', ship_to => ''{"country": "Germany"}'')', 'OM003', '$.ship_to.country'),
	('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', ship_to => ''{"planet": "Mars"}'')', 'OM003', '$.ship_to.planet'),
	('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', external_ref => '''')', 'OM011', 'external_ref'), ('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', external_ref => repeat(''x'', 201))', 'OM011', 'external_ref'),
	('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', ''placed'')', 'OM010', 'placed'), ('oms.place_order(1, 1, NULL, ''{1}'', ''{1}'', '''')', 'OM011', 'request_key'),
	-- documents and their batch
	('oms.place_order(NULL, ''{}'')', 'OM011', 'merchant'), ('oms.place_order(-1, ''{}'')', 'OM011', 'merchant'), ('oms.place_order(1, NULL::jsonb)', 'OM011', 'document'),
	('oms.place_order(1, ''{"channel": "web", "lines": [{"sku": "A", "quantity": 4}]}'', ''placed'')', 'OM010', 'placed'), ('oms.place_order(1, ''{"channel": "web", "lines": [{"sku": "A", "quantity": 4}]}'', ''receipt'')', 'OM010', 'receipt'),
	('oms.place_order(1, ''{"channel": "web", "lines": [{"sku": "A", "quantity": 4}]}'', repeat(''x'', 201))', 'OM011', 'request_key'), ('oms.place_order(1, ''{"channel": "web", "lines": [{"sku": "A", "quantity": 4}]}'', NULL, repeat(''x'', 1000000))', 'OM011', 'actor'),
	('oms.order_differences(NULL, ''{}'')', 'OM011', 'merchant'), ('oms.order_differences(1, NULL)', 'OM011', 'document'),
	('oms.place_orders(NULL)', 'OM011', 'merchant'), ('oms.place_orders(0)', 'OM011', 'merchant'), ('oms.place_orders(1, NULL, 0)', 'OM011', 'max_orders'), ('oms.place_orders(1, ''x'', -1)', 'OM011', 'max_orders'),
	-- stock
	('oms.receive_stock(NULL, 1, 1, 1, ''c'')', 'OM011', 'merchant'), ('oms.receive_stock(0, 1, 1, 1, ''c'')', 'OM011', 'merchant'), ('oms.receive_stock(1, NULL, 1, 1, ''c'')', 'OM011', 'item'), ('oms.receive_stock(1, 1, NULL, 1, ''c'')', 'OM011', 'location'),
	('oms.receive_stock(1, 1, 1, NULL, ''c'')', 'OM011', 'quantity'), ('oms.receive_stock(1, 1, 1, 0, ''c'')', 'OM011', 'quantity'), ('oms.receive_stock(1, 1, 1, -1, ''c'')', 'OM011', 'quantity'), ('oms.receive_stock(1, 1, 1, 9223372036854775807, ''c'')', 'OM011', 'quantity'),
	('oms.receive_stock(1, 1, 1, 1000000000001, ''c'')', 'OM011', 'quantity'),
	('oms.receive_stock(1, 1, 1, 1, NULL)', 'OM011', 'cause'), ('oms.receive_stock(1, 1, 1, 1, '''')', 'OM011', 'cause'), ('oms.receive_stock(1, 1, 1, 1, repeat(''x'', 1000000))', 'OM011', 'cause'), ('oms.receive_stock(1, 1, 1, 1, ''c'', actor => '''')', 'OM011', 'actor'),
	('oms.receive_stock(1, 99, 1, 1, ''c'')', 'OM002', 'item 99'), ('oms.receive_stock(1, 1, 99, 1, ''c'')', '23503', ''), ('oms.receive_stock(2, 1, 1, 1, ''c'')', 'OM002', 'item 1'), ('oms.receive_stock(1, 5, 1, 1, ''c'')', 'OM002', 'item 5'),
	('oms.receive_stock(1, 1, 1, 99, ''opening'', request_key => ''receipt'')', 'OM010', 'receipt'), ('oms.receive_stock(1, 1, 1, 1, ''c'', '''')', 'OM011', 'request_key'),
	('oms.adjust_stock(NULL, 1, 1, 1, ''c'')', 'OM011', 'merchant'), ('oms.adjust_stock(1, NULL, 1, 1, ''c'')', 'OM011', 'item'), ('oms.adjust_stock(1, 1, NULL, 1, ''c'')', 'OM011', 'location'), ('oms.adjust_stock(1, 1, 1, NULL, ''c'')', 'OM011', 'quantity'),
	('oms.adjust_stock(1, 1, 1, 0, ''c'')', 'OM011', 'quantity'), ('oms.adjust_stock(1, 1, 1, -9223372036854775808, ''c'')', 'OM011', 'quantity'), ('oms.adjust_stock(1, 1, 1, 1, '''')', 'OM011', 'cause'), ('oms.adjust_stock(1, 1, 1, -98, ''c'')', 'OM001', 'item 1'),
	('oms.adjust_stock(1, 1, 1, -101, ''c'')', 'OM001', 'item 1'), ('oms.adjust_stock(1, 4, 1, -1, ''c'')', 'OM001', 'item 4'), ('oms.adjust_stock(1, 1, 1, 5, ''c'', request_key => ''placed'')', 'OM010', 'placed'),
	-- orders
	('oms.cancel_line(NULL, 1, 1)', 'OM011', 'merchant'), ('oms.cancel_line(1, NULL, 1)', 'OM011', 'order_id'), ('oms.cancel_line(1, 1, NULL)', 'OM011', 'line_no'), ('oms.cancel_line(1, -1, 1)', 'OM002', 'order'), ('oms.cancel_line(1, 9223372036854775807, 1)', 'OM002', 'order'),
	(format('oms.cancel_line(2, %s, 1)', :o), 'OM002', 'order'), (format('oms.cancel_line(1, %s, 2)', :o), 'OM002', 'line 2'), (format('oms.cancel_line(1, %s, -1)', :o), 'OM002', 'line -1'), (format('oms.cancel_line(1, %s, 1, 0)', :o), 'OM011', 'quantity'),
	(format('oms.cancel_line(1, %s, 1, -1)', :o), 'OM011', 'quantity'), (format('oms.cancel_line(1, %s, 1, 4)', :o), 'OM007', 'line 1'), (format('oms.cancel_line(1, %s, 1, 2147483647)', :o), 'OM007', 'line 1'), (format('oms.cancel_line(1, %s, 1, 1, ''placed'')', :o), 'OM010', 'placed'),
	(format('oms.cancel_line(1, %s, 1, 1, NULL, '''')', :o), 'OM011', 'actor'), (format('oms.cancel_line(1, %s, 1, 1, NULL, NULL, repeat(''x'', 4001))', :o), 'OM011', 'reason'),
	('oms.cancel_order(NULL, 1)', 'OM011', 'merchant'), ('oms.cancel_order(1, NULL)', 'OM011', 'order_id'), ('oms.cancel_order(1, 0)', 'OM002', 'order'), (format('oms.cancel_order(2, %s)', :o), 'OM002', 'order'), (format('oms.cancel_order(1, %s, ''placed'')', :o), 'OM010', 'placed'),
	(format('oms.cancel_order(1, %s, '''')', :o), 'OM011', 'request_key'), (format('oms.cancel_order(1, %s, NULL, NULL, repeat(''x'', 1000000))', :o), 'OM011', 'reason'),
	('oms.hold(NULL, 1)', 'OM011', 'merchant'), ('oms.hold(1, NULL)', 'OM011', 'order_id'), ('oms.hold(1, -7)', 'OM002', 'order'), (format('oms.hold(2, %s)', :o), 'OM002', 'order'), (format('oms.hold(1, %s, NULL)', :o), 'OM011', 'kind'), (format('oms.hold(1, %s, '''')', :o), 'OM011', 'kind'),
	(format('oms.hold(1, %s, repeat(''x'', 1000000))', :o), 'OM011', 'kind'), (format('oms.hold(1, %s, ''k'', repeat(''x'', 4001))', :o), 'OM011', 'reason'), (format('oms.hold(1, %s, ''k'', NULL, ''{}'')', :o), 'OM011', 'blocks'), (format('oms.hold(1, %s, ''k'', NULL, ''{fly}'')', :o), 'OM011', 'blocks'),
	(format('oms.hold(1, %s, ''k'', NULL, ''{pick,NULL}'')', :o), 'OM011', 'blocks'), (format('oms.hold(1, %s, ''k'', NULL, ''{{pick},{ship}}'')', :o), 'OM011', 'blocks'), (format('oms.hold(1, %s, ''k'', NULL, ''{pick}'', '''')', :o), 'OM011', 'actor'),
	('oms.release_hold(NULL, 1, ''k'')', 'OM011', 'merchant'), ('oms.release_hold(1, NULL, ''k'')', 'OM011', 'order_id'), ('oms.release_hold(1, 0, ''k'')', 'OM002', 'order'), (format('oms.release_hold(1, %s, NULL)', :o), 'OM011', 'kind'), (format('oms.release_hold(1, %s, '''')', :o), 'OM011', 'kind'),
	('oms.transition(NULL, 1, ''confirmed'')', 'OM011', 'merchant'), ('oms.transition(1, NULL, ''confirmed'')', 'OM011', 'order_id'), ('oms.transition(1, 0, ''confirmed'')', 'OM002', 'order'), (format('oms.transition(1, %s, NULL)', :o), 'OM011', 'to_state'), (format('oms.transition(1, %s, '''')', :o), 'OM011', 'to_state'),
	(format('oms.transition(1, %s, ''lost'')', :o), 'OM004', 'lost'), (format('oms.transition(1, %s, repeat(''x'', 1000000))', :o), 'OM011', 'to_state'), (format('oms.transition(1, %s, ''cancelled'')', :o), 'OM008', 'order'), (format('oms.transition(1, %s, ''confirmed'', ''placed'')', :o), 'OM010', 'placed'),
	-- core
	('oms.set_setting(1, ''rounding'', ''up'')', 'OM011', 'rounding'), ('oms.set_setting(1, ''rounding'', NULL)', '%', ''), ('oms.set_setting(NULL, ''rounding'', ''half-up'')', '%', ''), ('oms.set_setting(1, ''colour'', ''red'')', '%', ''), ('oms.set_setting(99, ''rounding'', ''half-up'')', '%', '')
	) v (call, wanted, says);
\o

SELECT cmp_ok((SELECT count(*) FROM attempt), '>', 290::bigint, 'many calls were tried');
SELECT is_empty('SELECT call, wanted, code, message FROM attempt WHERE code NOT LIKE wanted OR code = $$done$$', 'each was refused with its code');
SELECT is_empty($$ SELECT call, says, message FROM attempt WHERE strpos(message, says) = 0 AND code LIKE 'OM%' $$, 'the message names what is wrong');
SELECT is_empty($$ SELECT call, code, message FROM attempt WHERE length(message) + coalesce(length(detail), 0) > 1500 $$, 'and is not as long as what was given');
SELECT is(pg_temp.all_rows(), (SELECT rows FROM before), 'no row was written');

-- What is odd, but no mistake.
SELECT lives_ok($$ SELECT oms.place_order(1, 1, NULL, '[5:6]={1,1}', '[-3:-2]={1,2}') $$, 'arrays that start elsewhere');
SELECT lives_ok($$ SELECT oms.place_order(1, '{"channel": 1.0, "lines": [{"sku": "A", "quantity": "1", "unit_price": 1e0}, {"item": 1, "quantity": 1.0}]}') $$, 'numbers as text, with zeros, with exponents');
SELECT lives_ok($$ SELECT oms.place_order(1, '{"channel": "web", "lines": [{"sku": "A", "quantity": 1, "title": null, "discount": null}], "discount": null, "ship_to": null, "placed_at": ""}') $$, 'nulls and empty texts are what is not given');
SELECT is((SELECT (p.orders, p.accepted, p.refused)::text FROM oms.place_orders(1, 'none') p), '(0,0,0)', 'a source that is not there has no orders');
SELECT is(oms.release_hold(1, :o, 'none'), false, 'no such hold to release');
SELECT is(oms.place_order(1, '{"channel": "web", "external_ref": "X", "lines": [{"sku": "A", "quantity": 3}]}', 'placed'), :o::bigint, 'the same request again is the first one');
SELECT is(oms.place_order(1, '{"channel": "web", "external_ref": "X", "lines": [{"sku": "A", "quantity": 9}]}'), :o::bigint, 'and so is the same reference');
SELECT is(oms.available(1, 99), 0::bigint, 'nothing is available of what is not there');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
