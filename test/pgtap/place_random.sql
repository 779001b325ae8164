-- Random orders, the same on every run: sums hold, no promise beyond the shelf, and place_orders() gives the very orders
-- and refusals that placing one by one gives.
BEGIN;
SELECT plan(18);
SELECT setseed(0.7) \g /dev/null

-- Two merchants alike, but for their number.
INSERT INTO oms.merchant VALUES (2, 'Second', 'EUR', 'UTC');
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (2, 1, 'MAIN', 'Main'), (2, 2, 'WEST', 'West');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (2, 1, 'web', 'Web', 'EUR');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, tax_included) SELECT m, 2, 'b2b', 'Trade', 'EUR', false FROM generate_series(1, 2) m;
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) SELECT m, 3, 'jp', 'Japan', 'JPY' FROM generate_series(1, 2) m;
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (2, 1, 1, 1);
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) SELECT m, 1, 2, 2 FROM generate_series(1, 2) m UNION ALL SELECT m, c, 1, 1 FROM generate_series(1, 2) m, generate_series(2, 3) c;
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) SELECT m, n, 'SKU' || n, 'Item ' || n, 'stocked' FROM generate_series(1, 2) m, generate_series(1, 12) n;
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) SELECT m, k, s, s, t FROM generate_series(1, 2) m, (VALUES (20, 'KIT', 'kit'), (21, 'BIGKIT', 'kit'), (22, 'ADVICE', 'service')) v (k, s, t);
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) SELECT m, k, i, q FROM generate_series(1, 2) m, (VALUES (20, 1, 2), (20, 2, 1), (21, 20, 2), (21, 3, 1)) v (k, i, q);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT i.merchant_id, i.item_id, c, CASE c WHEN 'EUR' THEN i.item_id + 0.995 ELSE 100 + i.item_id END
	FROM oms.item i, unnest('{EUR,JPY}'::text[]) c WHERE i.item_id <> 12;
INSERT INTO oms.tax_rule (merchant_id, tax_class, country, rate) SELECT m, c, k, r FROM generate_series(1, 2) m, (VALUES ('standard', '', 0.19), ('standard', 'FR', 0.2), ('shipping', '', 0.07)) v (c, k, r);
INSERT INTO oms.customer (merchant_id, customer_id, name, ship_to, tax_exempt_certificate) SELECT m, c, 'Customer ' || c, '{"name": "C", "country": "FR"}', CASE c WHEN 2 THEN 'X-1' END
	FROM generate_series(1, 2) m, generate_series(1, 3) c;
-- Shelves that some orders will find empty.
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) SELECT m, l, n, 'opening', 40 + 20 * n * l, 'opening'
	FROM generate_series(1, 2) m, generate_series(1, 2) l, generate_series(1, 12) n;
UPDATE oms.stock SET safety = 5 WHERE item_id = 4;

CREATE FUNCTION pg_temp.pick(most int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 + floor(random() * most)::int';
CREATE FUNCTION pg_temp.amount(most numeric, decimals int) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT round(random()::numeric * most, decimals)::text';
-- An order of 1 to 7 lines: discounts, kits, services, one item several times, now and then a mistake.
CREATE FUNCTION pg_temp.document(n int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	channel text := (ARRAY['web', 'web', 'b2b', 'jp'])[pg_temp.pick(4)];
	decimals int := CASE channel WHEN 'jp' THEN 0 ELSE 2 END;
	scale numeric := CASE channel WHEN 'jp' THEN 100 ELSE 1 END;
	lines jsonb := '[]';
	document jsonb;
BEGIN
	FOR i IN 1 .. pg_temp.pick(7) LOOP
		lines := lines || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
			'sku', CASE WHEN random() < 0.08 THEN (ARRAY['KIT', 'BIGKIT', 'ADVICE'])[pg_temp.pick(3)] WHEN random() < 0.01 THEN 'NOBODY-KNOWS' || pg_temp.pick(2) ELSE 'SKU' || pg_temp.pick(12) END,
			'quantity', CASE WHEN random() < 0.02 THEN 500 WHEN random() < 0.005 THEN 0 ELSE pg_temp.pick(4) END,
			'unit_price', CASE WHEN random() < 0.5 THEN pg_temp.amount(5 * scale + 2, 4) END,
			'discount', CASE WHEN random() < 0.2 THEN pg_temp.amount(scale, decimals) END,
			'tax_rate', CASE WHEN random() < 0.3 THEN (ARRAY['0', '0.055', '0.2', '0.21'])[pg_temp.pick(4)] END)));
	END LOOP;
	RETURN jsonb_strip_nulls(jsonb_build_object('channel', channel, 'lines', lines, 'placed_at', '2026-01-01T00:00:00Z',
		'external_ref', CASE WHEN random() < 0.9 THEN 'R' || CASE WHEN random() < 0.05 THEN pg_temp.pick(n) ELSE n END END,
		'customer', CASE WHEN random() < 0.4 THEN pg_temp.pick(3) WHEN random() < 0.02 THEN 77 END,
		'ship_to', CASE WHEN random() < 0.5 THEN jsonb_build_object('name', 'N', 'country', (ARRAY['DE', 'FR'])[pg_temp.pick(2)]) END,
		'tax_included', CASE WHEN random() < 0.3 THEN random() < 0.5 END,
		'allocation', CASE WHEN random() < 0.5 THEN (ARRAY['strict', 'backorder', 'none'])[pg_temp.pick(3)] END,
		'location', CASE WHEN random() < 0.1 THEN (ARRAY['MAIN', 'WEST', 'MOON'])[CASE WHEN random() < 0.05 THEN 3 ELSE pg_temp.pick(2) END] END,
		'confirm', CASE WHEN random() < 0.2 THEN random() < 0.5 END,
		'discount', CASE WHEN random() < 0.3 THEN pg_temp.amount(3 * scale, decimals) END,
		'shipping', CASE WHEN random() < 0.5 THEN pg_temp.amount(9 * scale, decimals) END,
		'charges', CASE WHEN random() < 0.2 THEN jsonb_build_array(jsonb_build_object('kind', 'gift_wrap', 'amount', pg_temp.amount(2 * scale, decimals)),
			jsonb_build_object('kind', 'adjustment', 'amount', '-' || pg_temp.amount(scale, decimals))) END));
END $$;
CREATE TEMPORARY TABLE document AS SELECT n, pg_temp.document(n) AS document FROM generate_series(1, 2200) n;

-- One by one in the first merchant.
CREATE TEMPORARY TABLE outcome (n int, order_id bigint, code text, message text, detail text);
CREATE FUNCTION pg_temp.place(n int, document jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE o bigint; c text; m text; d text;
BEGIN
	BEGIN
		o := oms.place_order(1, document);
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS c = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL;
	END;
	INSERT INTO outcome VALUES (n, o, c, m, nullif(d, ''));
END $$;
SELECT pg_temp.place(n, document) FROM (SELECT * FROM document ORDER BY n) d \g /dev/null
-- In one statement in the second.
INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 2, 'batch', n, document FROM document;
CREATE TEMPORARY TABLE counted AS SELECT * FROM oms.place_orders(2, 'batch');

SELECT is(c.orders, 2200::bigint, 'all were read') FROM counted c;
SELECT is(c.accepted + c.repeated + c.refused, 2200::bigint, 'each was accepted, repeated or refused') FROM counted c;
SELECT is(c.accepted, (SELECT count(*) FROM oms.sales_order WHERE merchant_id = 2), 'as many orders as were accepted') FROM counted c;
SELECT is(c.lines, (SELECT count(*) FROM oms.order_line WHERE merchant_id = 2), 'as many lines') FROM counted c;
SELECT is_empty('SELECT position FROM oms.staged_order WHERE merchant_id = 2 AND (order_id IS NULL) = (error_code IS NULL)', 'each has an order or an error');

-- Which order of the one is which of the other.
CREATE TEMPORARY TABLE pair AS SELECT DISTINCT o.order_id AS one, s.order_id AS two FROM outcome o JOIN oms.staged_order s ON s.merchant_id = 2 AND s.position = o.n AND o.order_id IS NOT NULL AND s.order_id IS NOT NULL;
SELECT is((SELECT count(*) FROM pair), (SELECT count(DISTINCT order_id) FROM outcome), 'one order for one');
SELECT is((SELECT count(*) FROM pair), (SELECT count(DISTINCT two) FROM pair), 'and the other way round');
SELECT is_empty($$ SELECT o.n, o.code, s.error_code, o.message, s.error_message, o.detail, s.error_detail FROM outcome o JOIN oms.staged_order s ON s.merchant_id = 2 AND s.position = o.n
	WHERE (o.code, replace(o.message, 'merchant 1', 'merchant 2'), replace(o.detail, 'erchant 1', 'erchant 2')) IS DISTINCT FROM (s.error_code, s.error_message, s.error_detail) $$, 'the same are refused, for the same reason');
SELECT cmp_ok((SELECT count(DISTINCT code)::int FROM outcome), '>=', 4, 'of which there are several');
SELECT cmp_ok((SELECT count(*)::int FROM outcome WHERE code IS NULL), '>', 700, 'many orders were placed');
SELECT cmp_ok((SELECT count(*)::int FROM outcome WHERE code = 'OM001'), '>', 50, 'many found the shelf empty');
SELECT is_empty($$ SELECT to_jsonb(a) - '{merchant_id,order_id}'::text[], to_jsonb(b) - '{merchant_id,order_id}'::text[] FROM pair p JOIN oms.sales_order a ON a.merchant_id = 1 AND a.order_id = one JOIN oms.sales_order b ON b.merchant_id = 2 AND b.order_id = two
	WHERE to_jsonb(a) - '{merchant_id,order_id}'::text[] <> to_jsonb(b) - '{merchant_id,order_id}'::text[] $$, 'the orders are alike');
CREATE FUNCTION pg_temp.alike(name text) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT coalesce(two, x.order_id) AS o, to_jsonb(x) - ''{merchant_id,order_id,reservation_id,hold_id}''::text[] FROM oms.%1$I x JOIN pair ON one = x.order_id WHERE x.merchant_id = 1', name) $$;
SELECT bag_eq(pg_temp.alike(name), format('SELECT x.order_id, to_jsonb(x) - ''{merchant_id,order_id,reservation_id,hold_id}''::text[] FROM oms.%I x WHERE x.merchant_id = 2', name), 'so are the rows of ' || name)
	FROM unnest('{order_line,order_line_component,order_charge,reservation}'::text[]) name;
SELECT is_empty('SELECT * FROM oms.verify_all', 'sums hold, and no promise is beyond the shelf');
SELECT is_empty($$ SELECT l.order_id, l.line_no FROM oms.order_line l JOIN oms.sales_order o USING (merchant_id, order_id)
	WHERE l.item_id IS NOT NULL AND l.sku NOT IN ('ADVICE') AND l.allocated + l.backordered NOT IN (0, l.ordered) $$, 'what is not promised is backordered');

SELECT * FROM finish();
ROLLBACK;
