-- Lots and serial numbers that are transferred and counted: each lot arrives as it left, and is counted by itself.
BEGIN;
SELECT plan(67);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'WEST', 'West'), (1, 3, 'EAST', 'East');
INSERT INTO oms.item (merchant_id, item_id, sku, title, tracking) VALUES (1, 1, 'MILK', 'Milk', 'lot'), (1, 2, 'PHONE', 'Phone', 'serial'), (1, 3, 'BOX', 'Box', 'none');
SET LOCAL oms.test_clock = '2026-01-01 12:00+00';
SELECT oms.receive_stock(1, 3, 1, 10, 'po'), oms.receive_lot(1, 1, 1, 'B', 10, 'po', expires_at => '2026-03-01'), oms.receive_lot(1, 1, 1, 'A', 10, 'po', expires_at => '2026-02-01'),
	oms.receive_lot(1, 1, 1, 'R', 5, 'po', expires_at => '2026-01-15') \gset
SELECT count(oms.receive_lot(1, 2, 1, 'S' || i, 1, 'po')) FROM generate_series(1, 5) i \gset
SELECT oms.set_lot_status(1, 1, 'R', 'recalled') \gset

CREATE FUNCTION pg_temp.lots(item bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT string_agg(location_id || ':' || lot || '=' || on_hand, ' ' ORDER BY location_id, lot) FROM oms.lot_level WHERE merchant_id = 1 AND item_id = item),
		(SELECT string_agg('way:' || lot || '=' || quantity, ' ' ORDER BY lot) FROM oms.lot_in_transit WHERE merchant_id = 1 AND item_id = item)) $$;
-- What the company has of each lot: on shelves, on the way, declared missing, and less what came out of nothing.
CREATE FUNCTION pg_temp.company(item bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(o.lot || '=' || coalesce((SELECT sum(on_hand) FROM oms.lot_stock s WHERE s.merchant_id = 1 AND s.item_id = item AND s.lot_id = o.lot_id), 0)
		+ coalesce((SELECT sum(quantity) FROM oms.lot_in_transit w WHERE w.merchant_id = 1 AND w.item_id = item AND w.lot_id = o.lot_id), 0)
		+ coalesce((SELECT sum(missing - surplus) FROM oms.stock_transfer_lot l WHERE l.merchant_id = 1 AND l.item_id = item AND l.lot_id = o.lot_id), 0), ' ' ORDER BY o.lot)
	FROM oms.lot o WHERE o.merchant_id = 1 AND o.item_id = item $$;

-- Chosen by the order of picking, or named
SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 12}, {"item": 2, "quantity": 2, "lots": ["S4", "S2"]}, {"item": 3, "quantity": 3}]') AS t \gset
SELECT is(pg_temp.lots(1), '1:B=8 1:R=5 way:A=10 way:B=2', 'what expires first leaves first, what is stopped not at all');
SELECT is(pg_temp.lots(2), '1:S1=1 1:S3=1 1:S5=1 way:S2=1 way:S4=1', 'or what is named');
SELECT is(oms.available(1, 1), 8::bigint, 'on the way nothing is available');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound on the way');
SELECT throws_ok($$ SELECT oms.adjust_lot(1, 2, 3, 'S4', 1, 'found') $$, 'OM008', NULL, 'a serial number on its way is nowhere else');
SELECT throws_ok($$ INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, lot_id)
	SELECT 1, 3, 2, 'transfer', 1, 'by hand', lot_id FROM oms.lot WHERE lot = 'S4' $$, 'OM008', NULL, 'typed by hand neither');
SELECT throws_ok($$ SELECT oms.count_stock(1, 2, 3, 1, 0, reason => 'found', lot => 'S4') $$, 'OM008', NULL, 'nor counted there');
SELECT throws_ok($$ SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 3, "lots": [{"lot": "B", "quantity": 2}]}]') $$, 'OM011', NULL, 'all units are named, or none');
SELECT throws_ok($$ SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 1, "lots": ["X"]}]') $$, 'OM002', NULL, 'an unknown lot');
SELECT throws_ok($$ SELECT oms.transfer_stock(1, 1, 2, '[{"item": 3, "quantity": 1, "lots": ["X"]}]') $$, 'OM011', NULL, 'an item without lots');
SELECT throws_ok($$ SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 9}]') $$, 'OM001', NULL, 'more than lots for sale have');
SELECT throws_ok($$ SELECT oms.transfer_stock(1, 1, 2, '[{"item": 1, "quantity": 9, "lots": [{"lot": "B", "quantity": 9}]}]') $$, 'OM001', NULL, 'or than the one named has');
SELECT throws_ok($$ SELECT oms.transfer_stock(1, 1, 2, '[{"item": 2, "quantity": 1, "lots": ["S4"]}]') $$, 'OM001', NULL, 'it does not leave twice');

-- Received into the same lot
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 5}]') $$, :t), 'OM011', 'it is not said which lots of item 1 arrive', 'which of two lots arrives has to be said');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 1, "quantity": 5, "damaged": 1, "lots": [{"lot": "A", "quantity": 4}, "B"]}]'), 12::bigint, 'a part arrives');
SELECT is(pg_temp.lots(1), '1:B=8 1:R=5 2:A=4 2:B=1 way:A=6 way:B=1', 'in its own lots');
SELECT is((SELECT string_agg(t.lot, ' ') FROM oms.lot_stock s JOIN oms.lot t USING (merchant_id, item_id, lot_id) WHERE s.location_id = 2 AND s.damaged = 1), 'B', 'the last one named is the damaged one');
SELECT is(oms.available(1, 1, 2), 4::bigint, 'and not for sale');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 2, "quantity": 1, "missing": 1}]', reason => 'lost') $$, :t), 'OM011', NULL, 'which serial number came has to be said');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 2, "quantity": 1, "missing": 1, "lots": ["S2"]}]', reason => 'lost'), 10::bigint, 'then the missing one is the other');
SELECT is(pg_temp.lots(2), '1:S1=1 1:S3=1 1:S5=1 2:S2=1', 'one arrived');
SELECT is(pg_temp.company(2), 'S1=1 S2=1 S3=1 S4=1 S5=1', 'each serial number is accounted for');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 2, "lots": [{"lot": "B", "quantity": 2}]}]') $$, :t), 'OM007', NULL, 'more of a lot than left is a surplus');
SELECT throws_ok(format($$ SELECT oms.receive_transfer(1, %s, '[{"item": 1, "quantity": 0, "missing": 2}]', reason => 'lost') $$, :t), 'OM011', NULL, 'which lot is missing has to be said');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 1, "quantity": 6, "missing": 1, "lots": [{"lot": "A", "quantity": 5}, "R"], "missing_lots": ["A"]}]', surplus => true, reason => 'R was under it'), 4::bigint, 'a surplus of a lot that was not of it');
SELECT is(pg_temp.lots(1), '1:B=8 1:R=5 2:A=9 2:B=1 2:R=1 way:B=1', 'is there now');
SELECT is(oms.available(1, 1, 2), 9::bigint, 'stopped as it is');
SELECT is(pg_temp.company(1), 'A=10 B=10 R=5', 'the company has of each lot what it had');
SELECT is(oms.receive_transfer(1, :t), 0::bigint, 'the rest needs no names');
SELECT is(oms.receive_transfer(1, :t, '[{"item": 2, "quantity": 1, "lots": ["S4"]}]', reason => 'was in the truck'), 0::bigint, 'a missing one is found');
SELECT is((SELECT concat_ws(' ', received, missing, surplus) FROM oms.stock_transfer_line WHERE merchant_id = 1 AND transfer_id = :t AND item_id = 1), '11 1 1', 'the line is the sum of its lots');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT throws_ok('UPDATE oms.stock_transfer_lot SET received = 0', 'OM009', NULL, 'lots of transfers are not typed');

-- Drafts and cancelling; a stopped lot by name
SELECT oms.transfer_stock(1, 1, 3, '[{"item": 1, "quantity": 5, "lots": [{"lot": "R", "quantity": 5}]}, {"item": 2, "quantity": 2}]', ship => false) AS d \gset
SELECT is(pg_temp.lots(1), '1:B=8 1:R=5 2:A=9 2:B=2 2:R=1', 'a draft moves nothing');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound as a draft');
SELECT oms.ship_transfer(1, :d) \gset
SELECT is(pg_temp.lots(1) || ' ' || oms.available(1, 1, 1), '1:B=8 2:A=9 2:B=2 2:R=1 way:R=5 8', 'a recalled lot goes by name');
SELECT is(pg_temp.lots(2), '1:S5=1 2:S2=1 2:S4=1 way:S1=1 way:S3=1', 'the others were chosen when it left');
SELECT is(oms.cancel_transfer(1, :d, reason => 'no truck'), 7::bigint, 'cancelled');
SELECT is(pg_temp.lots(1) || ' ' || oms.available(1, 1, 1), '1:B=8 1:R=5 2:A=9 2:B=2 2:R=1 8', 'they are back in their lots');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- Counts, lot by lot
SELECT throws_ok($$ SELECT oms.count_stock(1, 1, 1, 12, 13, reason => 'x') $$, 'OM011', 'argument "lot" is missing', 'a count names the lot');
SELECT throws_ok($$ SELECT oms.count_stock(1, 3, 1, 6, 7, reason => 'x', lot => 'B') $$, 'OM011', NULL, 'of a tracked item');
SELECT throws_ok($$ SELECT oms.count_stock(1, 1, 1, 7, 13, reason => 'x', lot => 'B') $$, 'OM008', NULL, 'what is expected is of the lot');
SELECT ok(oms.count_stock(1, 1, 1, 7, 8, reason => 'spilt', lot => 'B') > 0, 'one is missing');
SELECT is(pg_temp.lots(1), '1:B=7 1:R=5 2:A=9 2:B=2 2:R=1', 'of that lot');
SELECT throws_ok($$ SELECT oms.count_stock(1, 1, 2, 0, 2, reason => 'x', lot => 'B') $$, 'OM008', NULL, 'fewer than lie there damaged');
SELECT throws_ok($$ SELECT oms.count_stock(1, 2, 1, 2, 1, reason => 'x', lot => 'S5') $$, 'OM008', NULL, 'a serial number is one unit');
SELECT throws_ok($$ SELECT oms.count_stock(1, 2, 1, 1, 0, reason => 'x', lot => 'S2') $$, '23505', NULL, 'in one place');
SELECT oms.place_order(1, '{"location": "MAIN", "allocation": "strict", "lines": [{"sku": "MILK", "quantity": 6, "unit_price": "1"}]}') AS o \gset
SELECT ok(oms.count_stock(1, 1, 1, 3, 5, reason => 'destroyed', lot => 'R') > 0, 'what is not for sale hits no promise');
SELECT throws_ok($$ SELECT oms.count_stock(1, 1, 1, 5, 7, reason => 'spilt', lot => 'B') $$, 'OM001', NULL, 'what is promised is not counted away silently');
SELECT is((SELECT short FROM oms.count_shortfall(1, 1, 1, 8)), 1::bigint, 'stopped units cover nothing');
SELECT ok(oms.count_stock(1, 1, 1, 5, 7, shortfall => 'backorder', reason => 'spilt', lot => 'B') > 0, 'or somebody decides');
SELECT is((SELECT allocated || ' ' || backordered FROM oms.order_line WHERE merchant_id = 1 AND order_id = :o), '5 1', 'that one waits');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

-- A session
SELECT oms.receive_lot(1, 1, 1, 'C', 5, 'po', expires_at => '2026-04-01') \gset
SELECT oms.open_count(1, 1) AS s \gset
SELECT is((SELECT string_agg(concat_ws('=', sku, lot), ' ' ORDER BY sku, lot) FROM oms.count_lines WHERE session_id = :s), 'BOX MILK=B MILK=C MILK=R PHONE=S1 PHONE=S3 PHONE=S5', 'each lot is on the list');
SELECT is(oms.record_count(1, :s, 1, 0, lot => 'B', reason => 'labelled C'), -5::bigint, 'five too few of one');
SELECT is(oms.record_count(1, :s, 1, 10, lot => 'C', reason => 'labelled C'), 5::bigint, 'too many of the other');
SELECT oms.record_count(1, :s, 2, 0, lot => 'S1', reason => 'stolen'), oms.record_count(1, :s, 2, 1, lot => 'S3'), oms.record_count(1, :s, 3, 7) \gset
SELECT is(oms.post_count(1, :s), 5::bigint, 'posted: no promise is hit, for the item has what it had');
SELECT is(pg_temp.lots(1) || ' ' || pg_temp.lots(2), '1:C=10 1:R=3 2:A=9 2:B=2 2:R=1 1:S3=1 1:S5=1 2:S2=1 2:S4=1', 'each lot as counted');
SELECT is((SELECT string_agg(variance || ' ' || (count_id IS NOT NULL), '/' ORDER BY lot) FROM oms.count_lines WHERE session_id = :s AND sku = 'MILK' AND counted IS NOT NULL), '-5 true/5 true', 'each line its count');
INSERT INTO oms.count_cycle (merchant_id, location_id, item_id, every_days) VALUES (1, 1, 1, 30), (1, 1, 2, 30), (1, 3, 1, 30);
SELECT is((SELECT string_agg(sku || ' ' || location_id, ',' ORDER BY sku) FROM oms.count_due), 'PHONE 1', 'due while one lot was never counted, and not where nothing lies');

-- What is for sale again goes to who waits, as what is received
SELECT oms.set_lot_status(1, 1, 'C', 'recalled') \gset
SELECT oms.place_order(1, '{"location": "MAIN", "allocation": "backorder", "lines": [{"sku": "MILK", "quantity": 4, "unit_price": "1"}]}') AS w \gset
SELECT oms.place_order(1, '{"location": "MAIN", "allocation": "backorder", "lines": [{"sku": "MILK", "quantity": 3, "unit_price": "1"}]}') AS x \gset
SELECT is((SELECT string_agg(allocated || ' ' || backordered, '/' ORDER BY order_id) FROM oms.order_line WHERE merchant_id = 1 AND order_id IN (:o, :w)), '6 0/0 4', 'it waits');
SELECT oms.set_lot_status(1, 1, 'C', 'released') \gset
SELECT is((SELECT string_agg(allocated || ' ' || backordered, '/' ORDER BY order_id) FROM oms.order_line WHERE merchant_id = 1 AND order_id IN (:o, :w)), '6 0/4 0', 'a released lot fills it at once');
UPDATE oms.lot SET expires_at = '2025-12-01', status = 'released' WHERE lot = 'R';
SELECT is((SELECT allocated || ' ' || backordered FROM oms.order_line WHERE merchant_id = 1 AND order_id = :x), '0 3', 'an expired lot fills nothing');
UPDATE oms.lot SET expires_at = '2026-06-01' WHERE lot = 'R';
SELECT is((SELECT allocated || ' ' || backordered FROM oms.order_line WHERE merchant_id = 1 AND order_id = :x), '3 0', 'until its date is moved');

-- verify finds faults
SET LOCAL session_replication_role = replica;
UPDATE oms.stock_transfer_lot SET received = received - 1, missing = missing + 1 WHERE transfer_id = :t AND item_id = 1 AND received > 1;
UPDATE oms.stock_count SET lot_id = (SELECT lot_id FROM oms.lot WHERE lot = 'B') WHERE lot_id = (SELECT lot_id FROM oms.lot WHERE lot = 'C');
SELECT is((SELECT string_agg(DISTINCT rule, ' ' ORDER BY rule) FROM oms.verify(1)), 'count_is_movement session_is_counts transfer_conserves_lot transfer_lots', 'a lot that is another one is found');
UPDATE oms.stock_transfer SET state = 'shipped', closed_at = NULL WHERE transfer_id = :d;
SELECT ok(EXISTS (SELECT 1 FROM oms.verify(1) WHERE rule = 'serial_has_one_place'), 'and a serial number in two places');

SELECT * FROM finish();
ROLLBACK;
