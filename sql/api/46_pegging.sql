-- Promises by date: what may be promised, who is pegged to what.

CREATE FUNCTION oms.available_to_promise(merchant int, item bigint, location int DEFAULT NULL, at timestamptz DEFAULT NULL) RETURNS bigint
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_available_to_promise';
COMMENT ON FUNCTION oms.available_to_promise(int, bigint, int, timestamptz) IS 'Units of an item that may be promised by an instant (null: now), at a location or (null) at all: what is on the shelf and what will have come, less what is pegged to lines that wait. Supply without date, or with one that is past, does not count. Of a kit, what its parts make at each location. Raises OM002, OM011';

CREATE FUNCTION oms.promise_profile(merchant int, item bigint, location int DEFAULT NULL)
	RETURNS TABLE (at timestamptz, units bigint, pegged bigint, free bigint, available_to_promise bigint)
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_promise_profile';
COMMENT ON FUNCTION oms.promise_profile(int, bigint, int) IS 'An item date by date, at a location or (null) at all: from when (UTC instant; -infinity for the shelf, null without date), units there or coming, of these pegged to lines that wait and free, and what may be promised by then. See view supply_profile. Raises OM011';

CREATE FUNCTION oms.pegs(merchant int, item bigint)
	RETURNS TABLE (order_id bigint, line_no int, supply_id bigint, supply_line int, location_id int, quantity bigint, expected_at timestamptz)
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_pegs';
COMMENT ON FUNCTION oms.pegs(int, bigint) IS 'Which units will serve which line that waits for an item (a kit''s lines wait for its parts): lines in the order of setting backorder_fill, each pegged to the earliest units at its channel''s locations that no line before has. A null supply_id is the shelf. See view peg. Raises OM011';

CREATE FUNCTION oms.renew_promises(merchant int, item bigint DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_renew_promises';
COMMENT ON FUNCTION oms.renew_promises(int, bigint, text, text) IS 'Tells lines that wait for an item, or (null) for any with supply, what has changed for them: changes of supply and new lines do so by themselves; this is for time that passed, cancellations and changed urgency. Each move is an event order.promise_moved. Returns the lines that were told. Raises OM010, OM011';
