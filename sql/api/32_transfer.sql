-- Transfers between locations: ship here, receive there.

CREATE FUNCTION oms.transfer_stock(merchant int, from_location int, to_location int, lines jsonb, ship boolean DEFAULT true,
	expected_at timestamptz DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_transfer_stock';
COMMENT ON FUNCTION oms.transfer_stock(int, int, int, jsonb, boolean, timestamptz, text, text, text) IS 'Makes a transfer of items, [{"item": 17, "quantity": 5}], and ships it, unless ship is false: then it is a draft that moves and keeps nothing. What is promised or held stays where it is. Lots of tracked items are those that "lots" names, ["S1", {"lot": "L-17", "quantity": 2}], else chosen when it is shipped, as for an order. Returns the transfer. Raises OM001, OM002, OM003, OM008 for a kit or service, OM010, OM011';

CREATE FUNCTION oms.ship_transfer(merchant int, transfer bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_ship_transfer';
COMMENT ON FUNCTION oms.ship_transfer(int, bigint, text, text) IS 'Ships a draft: its units leave the one location and are on their way (stock_in_transit), available nowhere. Returns how many. Raises OM001, OM002, OM008, OM010, OM011';

CREATE FUNCTION oms.receive_transfer(merchant int, transfer bigint, lines jsonb DEFAULT NULL, close boolean DEFAULT false,
	surplus boolean DEFAULT false, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_receive_transfer';
COMMENT ON FUNCTION oms.receive_transfer(int, bigint, jsonb, boolean, boolean, text, text, text) IS 'Receives units of a transfer: [{"item": 17, "quantity": 4, "damaged": 1, "missing": 1}], or (null) all that are on their way. Of tracked items "lots" and "missing_lots" name the lots; they may be left out where only one way is possible, and the last ones named are the damaged ones. What is not named stays on its way, or with close is declared missing. More than were on their way are first taken for units declared missing before, then refused (OM007) unless surplus. Missing, found and surplus units need a reason. Returns the units still on their way. Raises OM002, OM003, OM007, OM008, OM010, OM011';

CREATE FUNCTION oms.cancel_transfer(merchant int, transfer bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL,
	reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_cancel_transfer';
COMMENT ON FUNCTION oms.cancel_transfer(int, bigint, text, text, text) IS 'Cancels a transfer of which nothing was received or declared missing; its units are back where they left. Returns how many came back. Raises OM002, OM008, OM010, OM011';
