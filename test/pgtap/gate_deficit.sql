-- Units that come back in the transaction that took them by force make good what is promised first; only the rest is for sale.
BEGIN;
SELECT plan(8);
INSERT INTO oms.item (merchant_id, item_id, sku, title, tracking) VALUES (1, 1, 'A', 'Apple', 'none'), (1, 2, 'L', 'Lotted', 'lot');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 1, 'EUR', 1), (1, 2, 'EUR', 1);
CREATE FUNCTION pg_temp.order(item bigint, units int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM oms.place_order(1, 1, NULL, ARRAY[item], ARRAY[units]);
	RETURN 'placed';
EXCEPTION WHEN SQLSTATE 'OM001' THEN
	RETURN 'refused';
END $$;
SELECT oms.receive_stock(1, 1, 1, 10, 'delivery');
SELECT is(pg_temp.order(1, 3), 'placed', 'three of ten are promised');
SELECT oms.adjust_stock(1, 1, 1, -10, 'all gone', forced => true);
SELECT oms.receive_stock(1, 1, 1, 10, 'found again');
SELECT is(pg_temp.order(1, 8), 'refused', 'ten came back: three of them are promised');
SELECT is(pg_temp.order(1, 7), 'placed', 'seven are for sale');
SELECT is(oms.available(1, 1), 0::bigint, 'that is all');

SELECT oms.receive_lot(1, 2, 1, 'L1', 10, 'delivery');
SELECT is(pg_temp.order(2, 3), 'placed', 'three of a lot of ten');
UPDATE oms.lot SET status = 'recalled' WHERE item_id = 2;
UPDATE oms.lot SET status = 'released' WHERE item_id = 2;
SELECT is(pg_temp.order(2, 8), 'refused', 'recalled and released: three are promised still');
SELECT is(pg_temp.order(2, 7), 'placed', 'seven are for sale');
SELECT is_empty($$ SELECT * FROM oms.verify(1) $$, 'sound');
SELECT * FROM finish();
ROLLBACK;
