-- verify() names each fault of inventory and orders: seed it behind the triggers' back, see its rule, undo it.
BEGIN;
SELECT plan(11);

INSERT INTO oms.customer (merchant_id, customer_id, name) VALUES (1, 1, 'Ann');
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked'), (1, 2, 'K', 'Kit', 'kit'), (1, 3, 'B', 'Box', 'stocked');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 2, 1, 2), (1, 2, 3, 1);
SELECT oms.receive_stock(1, 1, 1, 100, 'opening'), oms.receive_stock(1, 3, 1, 100, 'opening');
SELECT oms.place_order(1, '{"customer": 1, "external_ref": "X", "shipping": "5", "lines": [{"sku": "A", "quantity": 3, "unit_price": "1", "tax_rate": "0.19"}, {"sku": "K", "quantity": 2, "unit_price": "2"}]}') AS o,
	oms.place_order(1, '{"lines": [{"sku": "WHAT", "quantity": 1, "unit_price": "1"}]}') AS u \gset
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound to begin with');

CREATE TEMPORARY TABLE fault (rule text, domain text, object text, statement text);
INSERT INTO fault VALUES
	('stock_is_ledger', 'inventory', 'item 1 at location 1', 'UPDATE oms.stock SET on_hand = on_hand + 1 WHERE item_id = 1'),
	('stock_is_ledger', 'inventory', 'item 1 at location 1', 'UPDATE oms.stock SET damaged = 1 WHERE item_id = 1'),
	('stock_is_ledger', 'inventory', 'item 1 at location 1', 'UPDATE oms.stock SET quality_control = 1 WHERE item_id = 1'),
	('stock_is_ledger', 'inventory', 'item 1 at location 1', 'UPDATE oms.stock SET quarantine = 1 WHERE item_id = 1'),
	('stock_is_ledger', 'inventory', 'item 1 at location 1', 'DELETE FROM oms.stock_movement WHERE item_id = 1'),
	('movement_has_stock', 'inventory', 'item 1 at location 1', 'DELETE FROM oms.stock WHERE item_id = 1'),
	('no_oversell', 'inventory', 'item 1 at location 1', 'UPDATE oms.reservation SET quantity = 101 WHERE item_id = 1 AND line_no = 1'),
	('no_oversell', 'inventory', 'item 1 at location 1', 'UPDATE oms.stock SET safety = 94 WHERE item_id = 1'),
	('shelf_not_negative', 'inventory', 'item 1 at location 1', 'UPDATE oms.stock SET on_hand = -1 WHERE item_id = 1'),
	('order_axes', 'order', 'order :o', 'UPDATE oms.sales_order SET fulfilment_state = ''partial'' WHERE order_id = :o'),
	('closed_is_done', 'order', 'order :o', 'UPDATE oms.sales_order SET lifecycle = ''cancelled'' WHERE order_id = :o'),
	('closed_is_done', 'order', 'order :o', 'UPDATE oms.sales_order SET lifecycle = ''completed'' WHERE order_id = :o'),
	('order_axes', 'order', 'order :o', 'UPDATE oms.sales_order SET return_state = ''returned'' WHERE order_id = :o'),
	('order_axes', 'order', 'order :o', 'UPDATE oms.sales_order SET on_hold = true WHERE order_id = :o'),
	('order_axes', 'order', 'order :u', 'DELETE FROM oms.order_hold WHERE order_id = :u'),
	('order_axes', 'order', 'order :o', 'UPDATE oms.sales_order SET cancelled_total = 1 WHERE order_id = :o'),
	('order_axes', 'order', 'order :o', 'UPDATE oms.order_line SET cancelled = ordered, allocated = 0 WHERE order_id = :o'),
	('payment_state', 'order', 'order :o', 'UPDATE oms.sales_order SET payment_state = ''paid'' WHERE order_id = :o'),
	('order_total', 'order', 'order :o', 'UPDATE oms.sales_order SET total = total + 0.01 WHERE order_id = :o'),
	('order_total', 'order', 'order :o', 'UPDATE oms.sales_order SET subtotal = subtotal + 0.01 WHERE order_id = :o'),
	('order_total', 'order', 'order :o', 'UPDATE oms.sales_order SET tax = tax + 0.01 WHERE order_id = :o'),
	('order_total', 'order', 'order :o', 'UPDATE oms.sales_order SET shipping = 0, charges = 5 WHERE order_id = :o'),
	('order_total', 'order', 'order :o', 'UPDATE oms.sales_order SET discount = 1 WHERE order_id = :o'),
	('order_total', 'order', 'order :o', 'UPDATE oms.order_line SET total = total + 0.01 WHERE order_id = :o AND line_no = 1'),
	('order_total', 'order', 'order :o', 'DELETE FROM oms.order_charge WHERE order_id = :o'),
	('line_total', 'order', 'order :o line 1', 'UPDATE oms.order_line SET total = -1 WHERE order_id = :o AND line_no = 1'),
	('line_promises', 'order', 'order :o line 1', 'UPDATE oms.order_line SET allocated = 2 WHERE order_id = :o AND line_no = 1'),
	('line_promises', 'order', 'order :o line 1', 'DELETE FROM oms.reservation WHERE order_id = :o AND line_no = 1'),
	('line_promises', 'order', 'order :o line 2', 'DELETE FROM oms.reservation WHERE order_id = :o AND line_no = 2 AND item_id = 3'),
	('line_promises', 'order', 'order :o line 2', 'UPDATE oms.reservation SET quantity = 3 WHERE order_id = :o AND line_no = 2 AND item_id = 1'),
	('promise_has_line', 'order', 'reservation', 'UPDATE oms.reservation SET order_id = 987654 WHERE order_id = :o AND line_no = 1'),
	('promise_is_of_line', 'order', 'reservation', 'UPDATE oms.reservation SET item_id = 3 WHERE order_id = :o AND line_no = 1'),
	('line_has_order', 'order', 'order :o line 1', 'DELETE FROM oms.sales_order WHERE order_id = :o'),
	('line_has_item', 'order', 'order :o line 1', 'UPDATE oms.order_line SET item_id = 987654 WHERE order_id = :o AND line_no = 1'),
	('order_has_parents', 'order', 'order :o', 'UPDATE oms.sales_order SET channel_id = 987654 WHERE order_id = :o'),
	('order_has_parents', 'order', 'order :o', 'UPDATE oms.sales_order SET customer_id = 987654 WHERE order_id = :o'),
	('order_was_placed', 'order', 'order :o', 'INSERT INTO oms.event (merchant_id, tx, subject_type, subject_id, order_id, type) SELECT merchant_id, tx, subject_type, subject_id, order_id, type FROM oms.event WHERE order_id = :o AND type = ''order.placed'''),
	('unmapped_is_unknown', 'order', 'order :u line 1', 'UPDATE oms.item SET sku = ''WHAT'' WHERE item_id = 3'),
	('unmapped_is_held', 'order', 'order :u line 1', 'DELETE FROM oms.order_hold WHERE order_id = :u');
-- Each inequality of the counters by itself.
INSERT INTO fault SELECT 'line_counters', 'order', 'order :o line 1', format('UPDATE oms.order_line SET %s WHERE order_id = :o AND line_no = 1', set)
FROM unnest('{"ordered = 0",cancelled = -1,allocated = -1,backordered = -1,delivered = -1,returned = -1,return_requested = -1,backordered = 1,delivered = 1,
	"picked = 1, packed = 1, shipped = 1",packed = 1,"picked = 1, shipped = 1","picked = 4, cancelled = 0","allocated = 0, picked = 1",return_requested = 1,returned = 1}'::text[]) set;

-- What verify() says of the fault's object, as a superuser without triggers wrote it; then it is undone.
CREATE TEMPORARY TABLE found (rule text, object text, statement text, said text[]);
CREATE FUNCTION pg_temp.seed(rule text, object text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE said text[];
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		EXECUTE statement;
		SET LOCAL session_replication_role = origin;
		SELECT array_agg(v.rule || ': ' || v.object) INTO said FROM oms.verify(1) v;
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		INSERT INTO found VALUES (rule, object, statement, said);
	END;
END $$;
SELECT pg_temp.seed(rule, replace(replace(object, ':o', :'o'), ':u', :'u'), replace(replace(statement, ':o', :'o'), ':u', :'u')) FROM fault \g /dev/null

SELECT is((SELECT count(*) FROM found), (SELECT count(*) FROM fault), 'all faults were seeded');
SELECT is_empty($$ SELECT rule, object, statement, said FROM found WHERE NOT EXISTS (SELECT 1 FROM unnest(said) s WHERE s LIKE rule || ': ' || object || '%') $$,
	'each is named with its rule and object');
-- A rule that is added must be seeded here. (Inventory has more files of tests.)
SELECT is_empty($$ SELECT DISTINCT m[1] FROM regexp_matches(pg_get_viewdef('oms.verify_order'), 'merchant_id,\s+''(\w+)''', 'g') m EXCEPT SELECT rule FROM fault $$,
	'no rule of orders is left out');
SELECT cmp_ok((SELECT count(*) FROM regexp_matches(pg_get_viewdef('oms.verify_order'), 'merchant_id,\s+''(\w+)''', 'g')), '>=', 12::bigint, 'as read from the views');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound again');
-- Faults that a constraint keeps out as well: it is taken away to seed them.
DELETE FROM found;
SELECT pg_temp.seed('tariff_overlap', 'tariff 1', 'ALTER TABLE oms.tariff DROP CONSTRAINT tariff_overlap;
	INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency, state, valid_from, valid_to) VALUES (1, 1, 1, ''old'', ''EUR'', ''active'', ''2026-01-01'', ''2026-07-01''), (1, 2, 1, ''new'', ''EUR'', ''active'', ''2026-06-30'', ''infinity'')') \g /dev/null
SELECT pg_temp.seed('tariff_rate_overlap', 'tariff 1 zone A from 0', 'ALTER TABLE oms.tariff_rate DROP CONSTRAINT tariff_rate_overlap;
	INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price) VALUES (1, 1, ''A'', 0, 5, 1), (1, 1, ''A'', 4, 10, 2)') \g /dev/null
SELECT pg_temp.seed('refund_amount', 'refund 987654', 'INSERT INTO oms.refund (merchant_id, refund_id, order_id, granted_at, amount, tax, shipping, fee, currency, cause, actor)
	VALUES (1, 987654, ' || :o || ', now(), 2, 0, 2, 1, ''EUR'', ''return'', ''me'')') \g /dev/null
SELECT ok(rule || ': ' || object = ANY (said), rule || ' is found') FROM found;
-- Forced facts are no fault.
SELECT oms.adjust_stock(1, 1, 1, -120, 'stolen', forced => true);
SELECT is_empty('SELECT * FROM oms.verify(1)', 'a shelf below nothing and promises beyond it, by a forced movement');
SELECT is_empty('SELECT * FROM oms.verify(2)', 'nothing to say of a merchant that is not there');

SELECT * FROM finish();
ROLLBACK;
