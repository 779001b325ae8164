-- Transfers: in transit counts nowhere, what differs needs a reason, and no unit is lost silently.
BEGIN;
SELECT plan(52);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (1, 3, 'EAST', 'East');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'B', 'Box', 'stocked'), (1, 3, 'K', 'Kit', 'kit');
SELECT oms.receive_stock(1, 1, 1, 10, 'opening'), oms.receive_stock(1, 2, 1, 5, 'opening') \gset

CREATE FUNCTION pg_temp.levels(item bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT string_agg(location_id || ':' || on_hand, ' ' ORDER BY location_id) FROM oms.stock WHERE merchant_id = 1 AND item_id = item AND on_hand <> 0),
		(SELECT 'way:' || sum(quantity) FROM oms.stock_in_transit WHERE merchant_id = 1 AND item_id = item)) $$;
-- What the company has: on shelves, on the way, declared missing, and less what came out of nothing.
CREATE FUNCTION pg_temp.company(item bigint) RETURNS numeric LANGUAGE sql AS $$
	SELECT (SELECT sum(on_hand) FROM oms.stock WHERE merchant_id = 1 AND item_id = item)
		+ coalesce((SELECT sum(quantity) FROM oms.stock_in_transit WHERE merchant_id = 1 AND item_id = item), 0)
		+ coalesce((SELECT sum(missing - surplus) FROM oms.stock_transfer_line WHERE merchant_id = 1 AND item_id = item), 0) $$;

-- Ship and receive
SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 6}, {"item": 2, "quantity": 5}]', expected_at => '2030-01-01', request_key => 't', reason => 'season') AS t \gset
SELECT is(oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 6}, {"item": 2, "quantity": 5}]', expected_at => '2030-01-01', request_key => 't', reason => 'season'), :t ::bigint, 'twice is once');
SELECT is(pg_temp.levels(1), '1:4 way:6', 'units are on their way');
SELECT is(oms.available(1, 1), 4::bigint, 'and available nowhere');
SELECT is((SELECT string_agg(available::text, ' ' ORDER BY location_id) FROM oms.stock_level WHERE merchant_id = 1 AND item_id = 1), '4', 'nor in the view');
SELECT throws_ok($$ SELECT oms.place_order(1, '{"allocation": "strict", "lines": [{"sku": "A", "quantity": 5, "unit_price": "1"}]}') $$, 'OM001', NULL, 'nobody is promised them');
SELECT is((SELECT string_agg(kind || ' ' || quantity || ' ' || cause, '/') FROM oms.stock_movement WHERE merchant_id = 1 AND item_id = 1 AND source_kind = 'transfer' AND source_id = :t),
	'transfer -6 transfer ' || :t || ' to location 2', 'the movement names its document');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 1, "quantity": 2}]', request_key => 'r'), 9::bigint, 'a part of it arrives: nine are still on their way');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 1, "quantity": 2}]', request_key => 'r'), 9::bigint, 'twice is once');
SELECT is(pg_temp.levels(1), '1:4 2:2 way:4', 'two are on the shelf');
SELECT throws_ok(format('SELECT oms.cancel_transfer(1, %s)', :t), 'OM008', NULL, 'too late to cancel');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 5}]') $$, :t), 'OM007', NULL, 'more than were shipped are refused');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 5}]', surplus => true) $$, :t), 'OM011', 'argument "reason" is missing', 'or need a reason');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 1, "missing": 1}]') $$, :t), 'OM011', 'argument "reason" is missing', 'so do missing ones');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 1, "missing": 4}]', reason => 'lost') $$, :t), 'OM007', NULL, 'not more can be missing than are on their way');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 3, "quantity": 1}]') $$, :t), 'OM002', NULL, 'nor another item arrive');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 1, "damaged": 2}]') $$, :t), 'OM003', NULL, 'nor more be damaged than arrive');
SELECT throws_ok(format('SELECT oms.receive_transfer(1, %s, close => true, lines => %L)', :t, '[{"item": 1, "quantity": 1}]'), 'OM011', NULL, 'closing short needs a reason');
SELECT is(pg_temp.company(1) || ' ' || pg_temp.company(2), '10 5', 'what was refused changed nothing');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 1, "quantity": 2, "damaged": 1, "missing": 1}]', reason => 'fell off the truck'), 6::bigint, 'some damaged, one missing');
SELECT is((SELECT on_hand || ' ' || damaged FROM oms.stock WHERE merchant_id = 1 AND item_id = 1 AND location_id = 2), '4 1', 'the damaged one lies there, but is not for sale');
SELECT is(oms.available(1, 1, 2), 3::bigint, 'three are');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 1, "quantity": 1}]', close => true, reason => 'never came'), 0::bigint, 'closed: the rest is missing');
SELECT is((SELECT state || ' ' || (closed_at IS NOT NULL) FROM oms.stock_transfer WHERE merchant_id = 1 AND transfer_id = :t), 'received true', 'it is received');
SELECT is((SELECT string_agg(concat_ws(' ', item_id, quantity, received, missing, surplus), '/' ORDER BY item_id) FROM oms.stock_transfer_line WHERE merchant_id = 1 AND transfer_id = :t),
	'1 6 5 1 0/2 5 0 5 0', 'its lines add up');
SELECT is(pg_temp.company(1) || ' ' || pg_temp.company(2), '10 5', 'the company has what it had, losses counted');
SELECT throws_ok(format('SELECT oms.receive_transfer(1, %s)', :t), 'OM008', NULL, 'nothing more to receive');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 2, "quantity": 3}]', reason => 'was on the next truck'), 0::bigint, 'what was missing is found');
SELECT is(pg_temp.levels(2), '2:3', 'and on the shelf');
SELECT is((SELECT sum(missing) FROM oms.stock_transfer_receipt WHERE merchant_id = 1 AND transfer_id = :t AND item_id = 2), 2::numeric, 'two stay missing');
SELECT is(pg_temp.company(2), 5::numeric, 'the company has what it had');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- More than was shipped
SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 1}]') AS s \gset
SELECT is(oms.receive_transfer(1, :s, '[{"item": 1, "quantity": 3}]', surplus => true, reason => 'packed three'), 0::bigint, 'three arrive of one');
SELECT is((SELECT received || ' ' || surplus FROM oms.stock_transfer_line WHERE merchant_id = 1 AND transfer_id = :s), '1 2', 'two are a surplus');
SELECT is(pg_temp.company(1), 10::numeric, 'which the company total knows');

-- Promises stay; drafts keep nothing; cancelling
SELECT oms.place_order(1, '{"location": "MAIN", "allocation": "strict", "lines": [{"sku": "A", "quantity": 2, "unit_price": "1"}]}') AS o \gset
SELECT throws_ok($$ SELECT oms.transfer_stock(1, 1, 3, '[{"item": 1, "quantity": 2}]') $$, 'OM001', NULL, 'what is promised does not leave');
SELECT oms.transfer_stock(1, 1, 3, '[{"item": 1, "quantity": 2}]', ship => false) AS d \gset
SELECT is(oms.available(1, 1, 1), 1::bigint, 'a draft takes nothing');
SELECT throws_ok(format('SELECT oms.receive_transfer(1, %s)', :d), 'OM008', NULL, 'and cannot be received');
SELECT throws_ok(format('SELECT oms.ship_transfer(1, %s)', :d), 'OM001', NULL, 'shipping asks for the stock');
SELECT is(oms.cancel_order(1, :o), :o ::bigint, 'once it is free');
SELECT is(oms.ship_transfer(1, :d), 2::bigint, 'it goes');
SELECT throws_ok(format('SELECT oms.ship_transfer(1, %s)', :d), 'OM008', NULL, 'once');
SELECT is(oms.cancel_transfer(1, :d, reason => 'truck broke down'), 2::bigint, 'cancelled on its way');
SELECT is(pg_temp.levels(1), '1:3 2:8', 'they are back');
SELECT is(oms.cancel_transfer(1, :d), 0::bigint, 'cancelling again does nothing');

-- Backorders at the destination get what arrives
SELECT oms.place_order(1, '{"location": "WEST", "allocation": "backorder", "lines": [{"sku": "A", "quantity": 8, "unit_price": "1"}]}') AS o \gset
SELECT is((SELECT allocated || ' ' || backordered FROM oms.order_line WHERE merchant_id = 1 AND order_id = :o), '7 1', 'one waits');
SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 3}]') AS b \gset
SELECT is(oms.receive_transfer(1, :b), 0::bigint, 'all of it arrives');
SELECT is((SELECT allocated || ' ' || backordered FROM oms.order_line WHERE merchant_id = 1 AND order_id = :o), '8 0', 'and is promised to who waits');

-- By hand
SELECT throws_ok('UPDATE oms.stock_transfer_line SET received = 0', 'OM009', NULL, 'lines are not typed');
SELECT throws_ok('DELETE FROM oms.stock_transfer_receipt', 'OM009', NULL, 'receipts stay');
SELECT is((SELECT count(*) FROM oms.event WHERE merchant_id = 1 AND subject_type = 'transfer' AND subject_id = :t), 5::bigint, 'each step is an event');

-- What verify() finds
CREATE FUNCTION pg_temp.seed(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text;
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE statement;
	SET LOCAL session_replication_role = origin;
	SELECT string_agg(DISTINCT v.rule, ' ' ORDER BY v.rule) INTO said FROM oms.verify(1) v;
	RAISE EXCEPTION USING errcode = 'XX999', message = coalesce(said, '');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
SELECT is(array_agg(pg_temp.seed(s)), '{"transfer_conserves transfer_receipts",transfer_receipts,transfer_state,"stock_is_ledger transfer_conserves","movement_has_stock transfer_conserves","transfer_receipts transfer_state"}', 'each fault by its rule')
FROM unnest(ARRAY[
	format('UPDATE oms.stock_transfer_line SET received = received - 1 WHERE transfer_id = %s AND item_id = 1; UPDATE oms.stock_transfer_line SET missing = missing + 1 WHERE transfer_id = %1$s AND item_id = 1', :t),
	format('DELETE FROM oms.stock_transfer_receipt WHERE transfer_id = %s AND item_id = 2', :t),
	format('UPDATE oms.stock_transfer SET state = ''shipped'', closed_at = NULL WHERE transfer_id = %s', :t),
	format('DELETE FROM oms.stock_movement WHERE source_kind = ''transfer'' AND source_id = %s AND quantity < 0 AND item_id = 1', :t),
	format('INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, source_kind, source_id) VALUES (1, 3, 1, ''transfer'', 1, ''x'', ''transfer'', %s)', :t),
	format('UPDATE oms.stock_transfer_line SET missing = missing - 1 WHERE transfer_id = %s AND item_id = 1', :t)]) s;
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
