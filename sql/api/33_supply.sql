-- Supply: ordering, revising, receiving, closing.

CREATE FUNCTION oms.supply_line_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_supply_line_guard';
COMMENT ON FUNCTION oms.supply_line_guard() IS 'Trigger: what came and what was closed is written by commands; item and location stay (OM009)';
CREATE FUNCTION oms.supply_line_moved() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_supply_line_moved';
COMMENT ON FUNCTION oms.supply_line_moved() IS 'Trigger: a supply line that is new or changes is an event';

CREATE FUNCTION oms.order_supply(merchant int, document jsonb, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_order_supply';
COMMENT ON FUNCTION oms.order_supply(int, jsonb, text, text) IS
'Notes supply that was ordered; returns its id. The document: kind (purchase, production, other; default purchase), supplier, external_ref, ordered_at (ISO 8601), note, location (code, for lines without their own), currency (ISO 4217, of the costs), expected_at (for lines without their own),
lines: [{sku or item, quantity, location, expected_at, unit_cost, tolerance_percent}]. Raises OM002 unknown item or location, OM003 malformed (with the path), OM008 for a kit or service or a second order of the reference, OM010, OM011, 23503 unknown currency';

CREATE FUNCTION oms.revise_supply(merchant int, supply_id bigint, line_no int, expected_at timestamptz DEFAULT NULL, ordered bigint DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_revise_supply';
COMMENT ON FUNCTION oms.revise_supply(int, bigint, int, timestamptz, bigint, text, text, text) IS 'Changes when a supply line is expected, or how many units were ordered; null leaves what it is. The first date is kept beside. Returns the units still to come. Raises OM002, OM007 for less than came or was closed, OM010, OM011';

CREATE FUNCTION oms.receive_supply(merchant int, supply_id bigint, line_no int, quantity bigint, damaged bigint DEFAULT 0, quality_control bigint DEFAULT 0,
	lot text DEFAULT NULL, expires_at timestamptz DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_receive_supply';
COMMENT ON FUNCTION oms.receive_supply(int, bigint, int, bigint, bigint, bigint, text, timestamptz, text, text, text) IS 'Receives units of a supply line: one movement of kind receipt, source supply. Of the quantity, units may be damaged or wait for inspection; the others fill backorders at once. lot and expires_at: of a tracked item, as in receive_lot(). Returns the movement. Raises OM002, OM007 for more than is open and the line''s tolerance, OM008, OM010, OM011';

CREATE FUNCTION oms.close_supply(merchant int, supply_id bigint, line_no int DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_close_supply';
COMMENT ON FUNCTION oms.close_supply(int, bigint, int, text, text, text) IS 'Closes a supply line short, or (null) every open line of the supply order: what is still to come will not. A reason is required. Returns the units closed. Raises OM002, OM010, OM011';
