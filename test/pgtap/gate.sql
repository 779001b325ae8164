-- What lock-free reservations of other databases do not allow, and these do; each is a promise that passes the gate.
BEGIN;
SELECT plan(46);

INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'SOUTH', 'South');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'G' || n, 'Item ' || n FROM generate_series(1, 4) n;
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, n, 'EUR', 1 FROM generate_series(1, 4) n;
SELECT oms.receive_stock(1, n, l, 10, 'opening') FROM generate_series(1, 3) n, generate_series(1, 2) l \g /dev/null
-- An order of three lines that has no promise yet.
SELECT oms.place_order(1, '{"allocation": "none", "lines": [{"sku": "G1", "quantity": 500}, {"sku": "G2", "quantity": 500}, {"sku": "G3", "quantity": 500}]}') AS o \gset
CREATE FUNCTION pg_temp.free() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(format('%s@%s=%s', item_id, location_id, oms.available(1, item_id, location_id)), ' ' ORDER BY item_id, location_id) FROM oms.stock WHERE item_id < 4 $$;
CREATE FUNCTION pg_temp.gate() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM oms.stock_gate WHERE counter > recomputed $$;

SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 1, %s, 1, 3)', :o), 'a promise');
SELECT results_eq('SELECT item_id, quantity FROM oms.reservation', 'VALUES (1::bigint, 3::bigint)', 'own promise is read before commit');
SELECT is(oms.available(1, 1, 1), 7::bigint, 'and what is left');
SELECT is((SELECT allocated FROM oms.order_line WHERE order_id = :o AND line_no = 1), 3, 'and the line has it');
SELECT results_eq(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 2, %s, 2, 4) RETURNING item_id, quantity', :o), 'VALUES (2::bigint, 4::bigint)', 'RETURNING of an INSERT');
SELECT results_eq('UPDATE oms.reservation SET quantity = quantity - 1 WHERE item_id = 2 RETURNING quantity', 'VALUES (3::bigint)', 'RETURNING of an UPDATE');
SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 1, %1$s, 1, 1), (1, 2, 1, %1$s, 1, 2), (1, 2, 2, %1$s, 2, 2), (1, 1, 3, %1$s, 3, 5)', :o), 'several items in one statement');
SELECT is(pg_temp.free(), '1@1=6 1@2=8 2@1=7 2@2=8 3@1=5 3@2=10', 'each counts where it is');
SELECT throws_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 1, %1$s, 1, 1), (1, 1, 3, %1$s, 3, 6)', :o), 'OM001', NULL, 'one of several is short: none is promised');
SELECT is(pg_temp.free(), '1@1=6 1@2=8 2@1=7 2@2=8 3@1=5 3@2=10', 'as before');
SELECT lives_ok('UPDATE oms.reservation SET quantity = quantity + 1 WHERE quantity BETWEEN 2 AND 3 AND order_id IN (SELECT order_id FROM oms.sales_order WHERE placed_at < now() + interval ''1 day'')', 'any WHERE');
SELECT is(pg_temp.free(), '1@1=5 1@2=7 2@1=6 2@2=7 3@1=5 3@2=10', 'counts each row');
SELECT lives_ok('UPDATE oms.reservation SET quantity = 2, location_id = 2 WHERE item_id = 3', 'several columns: fewer units, of another location');
SELECT is(pg_temp.free(), '1@1=5 1@2=7 2@1=6 2@2=7 3@1=10 3@2=8', 'are taken there and free here');
SELECT throws_ok('UPDATE oms.reservation SET quantity = 11 WHERE item_id = 3', 'OM001', NULL, 'bounds per location: ten are there, though there are ten elsewhere');
SELECT lives_ok('DELETE FROM oms.reservation r USING oms.item i WHERE i.item_id = r.item_id AND i.sku = ''G3''', 'DELETE with a join');
SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 2, 3, %s, 3, 10)', :o), 'what was released is used at once by who released it');
SELECT lives_ok('DELETE FROM oms.reservation', 'DELETE without WHERE');
SELECT is(pg_temp.free(), '1@1=10 1@2=10 2@1=10 2@2=10 3@1=10 3@2=10', 'frees all');

-- In bulk.
SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) SELECT 1, 1, 1, %s, 1, 1 FROM generate_series(1, 10)', :o), 'ten rows of one unit');
SELECT throws_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) SELECT 1, 1, 2, %s, 2, 1 FROM generate_series(1, 11)', :o), 'OM001', NULL, 'eleven of ten are not');
SELECT lives_ok(format('COPY oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) FROM PROGRAM ''printf "1\t2\t1\t%s\t1\t4\n1\t2\t1\t%1$s\t1\t6\n"''', :o), 'COPY');
SELECT throws_ok(format('COPY oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) FROM PROGRAM ''printf "1\t2\t1\t%s\t1\t1\n"''', :o), 'OM001', NULL, 'COPY of what is not there');
SELECT lives_ok($$ MERGE INTO oms.reservation r USING (SELECT max(reservation_id) AS id FROM oms.reservation) x ON r.reservation_id = x.id
	WHEN MATCHED THEN UPDATE SET quantity = 2 $$, 'MERGE that changes');
SELECT is(oms.available(1, 1, 2), 4::bigint, 'counts');
SELECT lives_ok(format('MERGE INTO oms.reservation r USING (VALUES (0)) x (id) ON r.reservation_id = x.id
	WHEN NOT MATCHED THEN INSERT (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 2, 1, %s, 1, 3)', :o), 'MERGE that inserts');
SELECT is(oms.available(1, 1, 2), 1::bigint, 'counts');
SELECT lives_ok($$ MERGE INTO oms.reservation r USING (SELECT 1) x ON r.item_id = 1 WHEN MATCHED THEN DELETE $$, 'MERGE that deletes');
SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, reservation_id, order_id, line_no, quantity) VALUES (1, 1, 1, -1, %s, 1, 4)', :o), 'with an id of one''s own');
SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, reservation_id, order_id, line_no, quantity) VALUES (1, 1, 1, -1, %s, 1, 4) ON CONFLICT DO NOTHING', :o), 'ON CONFLICT DO NOTHING');
SELECT is(oms.available(1, 1, 1), 6::bigint, 'a row that is not written takes nothing');
SELECT lives_ok(format('INSERT INTO oms.reservation AS r (merchant_id, location_id, item_id, reservation_id, order_id, line_no, quantity) VALUES (1, 1, 1, -1, %s, 1, 4) ON CONFLICT (merchant_id, item_id, location_id, reservation_id) DO UPDATE SET quantity = r.quantity + excluded.quantity', :o), 'ON CONFLICT DO UPDATE');
SELECT is(oms.available(1, 1, 1), 2::bigint, 'takes the difference once');

-- The table is one's own: columns, indexes, constraints and triggers of it too.
ALTER TABLE oms.reservation ADD COLUMN note text, ADD COLUMN twice bigint GENERATED ALWAYS AS (quantity * 2) STORED, ADD CHECK (quantity < 100);
CREATE INDEX ON oms.reservation (quantity);
CREATE FUNCTION pg_temp.drop_nine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN new.quantity <> 9 THEN new END; END';
CREATE TRIGGER drop_nine BEFORE INSERT ON oms.reservation FOR EACH ROW EXECUTE FUNCTION pg_temp.drop_nine();
SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity, note) VALUES (1, 1, 2, %s, 2, 9, ''dropped'')', :o), 'a row that a trigger drops');
SELECT is(oms.available(1, 2, 1), 10::bigint, 'takes nothing');
SELECT throws_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 2, %s, 2, 100)', :o), '23514', NULL, 'a row that a constraint refuses');
SELECT results_eq(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity, note) VALUES (1, 1, 2, %s, 2, 8, ''mine'') RETURNING twice, note', :o), $$ VALUES (16::bigint, 'mine'::text) $$, 'columns of one''s own');

-- Permitted oversell, and expiry.
SELECT oms.set_backorder_limit(1, 4, 3) \g /dev/null
SELECT lives_ok($$ SELECT oms.place_order(1, '{"allocation": "backorder", "lines": [{"sku": "G4", "quantity": 3}]}') $$, 'oversell up to a limit');
SELECT throws_ok($$ SELECT oms.place_order(1, '{"allocation": "backorder", "lines": [{"sku": "G4", "quantity": 1}]}') $$, 'OM007', NULL, 'and no further');
SET LOCAL oms.test_clock = '2026-01-01 12:00+00';
SELECT ok(oms.hold_stock(1, 3, 1, 10, '1 hour') > 0, 'all held for an hour');
SELECT throws_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 3, %s, 3, 10)', :o), 'OM001', NULL, 'nothing is left');
SET LOCAL oms.test_clock = '2026-01-01 13:00+00';
SELECT lives_ok(format('INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 3, %s, 3, 10)', :o), 'expired, it is free at that instant');

-- TRUNCATE, in replica role too.
SELECT throws_ok('TRUNCATE oms.reservation', 'OM014', NULL, 'promises are not truncated');
SET LOCAL session_replication_role = replica;
SELECT throws_ok('TRUNCATE oms.reservation', 'OM014', NULL, 'nor in replica role');
SET LOCAL session_replication_role = origin;
DELETE FROM oms.reservation;
SELECT lives_ok('TRUNCATE oms.reservation', 'an empty table may be');
SELECT is(pg_temp.gate(), 0::bigint, 'no counter is higher than its rows');
SELECT * FROM finish();
ROLLBACK;
