-- Lots and serial numbers.

CREATE FUNCTION oms.lot_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_lot_guard';
COMMENT ON FUNCTION oms.lot_guard() IS 'Trigger: a lot is of a tracked item, keeps its key and is never deleted (OM008, OM014)';
CREATE FUNCTION oms.lot_follow() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_lot_follow';
COMMENT ON FUNCTION oms.lot_follow() IS 'Trigger: levels of a lot follow its status and sell_by, and the gate with them; what is for sale again goes to lines that wait';
CREATE FUNCTION oms.lot_stock_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_lot_stock_guard';
COMMENT ON FUNCTION oms.lot_stock_guard() IS 'Trigger: levels of lots change by movements alone (OM009), never below nothing or what is picked (OM001)';
CREATE FUNCTION oms.lot_stock_gate() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_lot_stock_gate';
COMMENT ON FUNCTION oms.lot_stock_gate() IS 'Trigger: takes units of expired and stopped lots out of the gate, and tells it when others expire';
CREATE FUNCTION oms.item_tracking_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_item_tracking_guard';
COMMENT ON FUNCTION oms.item_tracking_guard() IS 'Trigger: tracking of an item changes only while nothing of it was ever moved (OM008)';

CREATE FUNCTION oms.receive_lot(merchant int, item bigint, location int, lot text, quantity bigint, cause text,
	expires_at timestamptz DEFAULT NULL, minimum_life interval DEFAULT NULL, origin text DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_receive_lot';
COMMENT ON FUNCTION oms.receive_lot(int, bigint, int, text, bigint, text, timestamptz, interval, text, text, text) IS 'Receives units of a lot, or (quantity 1) one serial number, of a tracked item: one movement of kind receipt with its cause. Makes the lot where it is new, with expires_at, the life that must remain when a unit is sold, and its origin; what is given for a known one must be as it is there. Returns the movement. Raises OM001, OM002, OM008 (not tracked; other dates; a serial number that was received before), OM010, OM011, 23505 (the serial number is in another place)';

CREATE FUNCTION oms.adjust_lot(merchant int, item bigint, location int, lot text, quantity bigint, cause text,
	forced boolean DEFAULT false, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_adjust_lot';
COMMENT ON FUNCTION oms.adjust_lot(int, bigint, int, text, bigint, text, boolean, text, text) IS 'Corrects the level of a lot by a quantity of either sign, with its cause. Promised units may be taken away only when forced, picked ones never. Returns the movement. Raises OM001, OM002, OM010, OM011';

CREATE FUNCTION oms.set_lot_status(merchant int, item bigint, lot text, status text,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_lot_status';
COMMENT ON FUNCTION oms.set_lot_status(int, bigint, text, text, text, text, text) IS 'Recalls, blocks or releases a lot: status recalled, blocked or released. From then on nothing of a lot that is not released is promised, picked or shipped; promises that cannot be kept are in view lot_shortage. What is released goes to lines that wait first, as a receipt does. Returns the lot. Raises OM002, OM010, OM011';

CREATE FUNCTION oms.place_lot(merchant int, item bigint, location int, lot text, bin text,
	request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_place_lot';
COMMENT ON FUNCTION oms.place_lot(int, bigint, int, text, text, text, text) IS 'Says in which bin of a location a lot lies (null: none), for setting lot_order = pick_face. Returns the lot. Raises OM002 (the lot was never there), OM010, OM011, 23503 (no such bin)';
