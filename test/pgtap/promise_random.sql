-- Random supply, orders, receipts and cancellations against a model written separately: units laid out on a line, one by one.
BEGIN;
SELECT plan(6);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'I' || n, 'Item' FROM generate_series(1, 4) n;
INSERT INTO oms.supply_order (merchant_id, supply_id) VALUES (1, 1);

-- One random step.
CREATE FUNCTION pg_temp.step(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	thing bigint := 1 + floor(random() * 4);
	line record;
BEGIN
	CASE floor(random() * 10)::int
	WHEN 0, 1, 2, 3 THEN
		PERFORM oms.place_order(1, jsonb_build_object('channel', 1, 'allocation', 'backorder', 'placed_at', to_char('2026-01-01'::date + n, 'YYYY-MM-DD"T00:00:00Z"'),
			'lines', jsonb_build_array(jsonb_build_object('item', thing, 'quantity', 1 + floor(random() * 19)::int, 'unit_price', 1))));
		RETURN 'place';
	WHEN 4, 6 THEN
		INSERT INTO oms.supply_line (merchant_id, supply_id, line_no, item_id, location_id, ordered, expected_at)
		VALUES (1, 1, n, thing, 1 + floor(random() * 2)::int, 1 + floor(random() * 30)::int, CASE WHEN random() < 0.9 THEN '2031-01-01Z'::timestamptz + floor(random() * 50) * interval '1 day' END);
		RETURN 'order';
	WHEN 5 THEN
		SELECT * INTO line FROM oms.supply_line WHERE ordered > received + closed ORDER BY random() LIMIT 1;
		PERFORM oms.receive_supply(1, 1, line.line_no, 1 + floor(random() * (line.ordered - line.received - line.closed) / 3)::int) WHERE line.line_no IS NOT NULL;
		RETURN 'receive';
	WHEN 7 THEN
		SELECT * INTO line FROM oms.supply_line WHERE ordered > received + closed ORDER BY random() LIMIT 1;
		PERFORM oms.revise_supply(1, 1, line.line_no, '2031-01-01Z'::timestamptz + floor(random() * 50) * interval '1 day') WHERE line.line_no IS NOT NULL;
		RETURN 'revise';
	WHEN 8 THEN
		SELECT * INTO line FROM oms.supply_line WHERE ordered > received + closed ORDER BY random() LIMIT 1;
		PERFORM oms.close_supply(1, 1, line.line_no, reason => 'lost') WHERE line.line_no IS NOT NULL AND random() < 0.3;
		RETURN 'close';
	ELSE
		SELECT * INTO line FROM oms.order_line WHERE ordered > cancelled AND item_id = thing ORDER BY random() LIMIT 1;
		PERFORM oms.cancel_line(1, line.order_id, 1, 1) WHERE line.order_id IS NOT NULL;
		RETURN 'cancel';
	END CASE;
END $$;
SELECT setseed(0.4711) \g /dev/null
SELECT is((SELECT count(*) FROM (SELECT pg_temp.step(n) FROM generate_series(1, 400) n) x), 400::bigint, 'four hundred random steps');
SELECT oms.allocate_backorders(1), oms.renew_promises(1) \g /dev/null

-- The model: units that come, numbered by date; units that wait, numbered by age; the same number is the same unit.
CREATE TEMPORARY TABLE comes AS
	SELECT item_id, supply_id, line_no, expected_at, row_number() OVER (PARTITION BY item_id ORDER BY expected_at NULLS LAST, supply_id, line_no) AS n
	FROM oms.supply_line, generate_series(1, ordered - received - closed) WHERE ordered > received + closed;
CREATE TEMPORARY TABLE waits AS
	SELECT l.item_id, l.order_id, row_number() OVER (PARTITION BY l.item_id ORDER BY o.placed_at, l.order_id) AS n
	FROM oms.order_line l JOIN oms.sales_order o USING (merchant_id, order_id), generate_series(1, l.backordered) WHERE l.merchant_id = 1;
SELECT cmp_ok((SELECT count(*)::int FROM comes JOIN waits USING (item_id, n)), '>', 50, 'some wait for what is to come');
SELECT set_eq($$ SELECT item_id, order_id, supply_id, supply_line, quantity FROM oms.peg WHERE merchant_id = 1 $$,
	$$ SELECT item_id, order_id, supply_id, line_no, count(*) FROM waits JOIN comes USING (item_id, n) GROUP BY 1, 2, 3, 4 $$, 'pegs are those of the model');
SELECT set_eq($$ SELECT l.item_id, l.order_id, p.promised_at FROM oms.order_line l LEFT JOIN oms.line_promise p USING (merchant_id, order_id, line_no) WHERE l.merchant_id = 1 AND l.backordered > 0 $$,
	$$ SELECT item_id, order_id, CASE WHEN count(*) = count(expected_at) THEN max(expected_at) END FROM waits LEFT JOIN comes USING (item_id, n) GROUP BY 1, 2 $$, 'lines were told what it says');
SELECT is_empty($$ SELECT i.item_id, d.at FROM oms.item i, generate_series('2031-01-01Z'::timestamptz, '2031-02-25Z', interval '1 day') d (at)
	WHERE oms.available_to_promise(1, i.item_id, NULL, d.at) <> greatest(0, oms.available(1, i.item_id)
		+ (SELECT count(*) FROM comes c WHERE c.item_id = i.item_id AND c.expected_at <= d.at) - (SELECT count(*) FROM waits w WHERE w.item_id = i.item_id)) $$,
	'available to promise = stock + supply by then - demand, on each of 56 days');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'all agrees');
SELECT * FROM finish();
ROLLBACK;
