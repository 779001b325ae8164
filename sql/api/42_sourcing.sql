-- Sourcing: from where and when an order is promised, and who must give way.

CREATE FUNCTION oms.sourcing_rule_guard() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'oms_sourcing_rule_guard';
COMMENT ON FUNCTION oms.sourcing_rule_guard() IS 'A sourcing rule names a function that exists and takes and returns what it must (OM016)';

CREATE FUNCTION oms.preview_sourcing(merchant int, document jsonb,
	OUT location_id int, OUT rank int, OUT value numeric, OUT units bigint, OUT reason text, OUT detail text, OUT rule_id int, OUT strategy text)
	RETURNS SETOF record LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_preview_sourcing';
COMMENT ON FUNCTION oms.preview_sourcing(int, jsonb) IS 'From where an order would be promised if it were placed now; document as for place_order(). Takes and writes nothing. One row per location of the channel, the best first, rejected ones last: columns as in view sourcing_decision. Raises what place_order() raises for the document, OM016 for a sourcing function that fails';

CREATE FUNCTION oms.reserve(merchant int, order_id bigint, line_no int DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_reserve';
COMMENT ON FUNCTION oms.reserve(int, bigint, int, text, text, text) IS 'Asks for stock for the units of an order (of one line) that have none: reserved by hand, or again after a short pick; by the rule that placing it would follow now. What is missing stays backordered or unreserved, as it was. Returns the units promised. Raises OM002, OM007 (a cap of preorders, for an order whose stock was put off), OM008 (order cancelled), OM010, OM011, OM015, OM016';

CREATE FUNCTION oms.reserve_due(merchant int, until timestamptz DEFAULT NULL, max_orders int DEFAULT 1000,
	OUT order_id bigint, OUT promised int, OUT missing int)
	RETURNS SETOF record LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_reserve_due';
COMMENT ON FUNCTION oms.reserve_due(int, timestamptz, int) IS 'Asks for the stock of orders whose time has come: due_at of order_schedule not after until (null: now), earliest first, then by order; where there are more than max_orders, those never asked for, then those asked for longest ago. One row per order: units promised, units missing. Missing units are backordered where the order''s allocation is backorder or the item is in preorder; else the order stays due and is asked for again next time. Orders that somebody is working on are passed over. Call it from a scheduler. Raises OM011, OM015, OM016';

CREATE FUNCTION oms.set_ship_date(merchant int, order_id bigint, ship_at timestamptz,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS timestamptz
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_ship_date';
COMMENT ON FUNCTION oms.set_ship_date(int, bigint, timestamptz, text, text, text) IS 'Says when an order is to be shipped (UTC instant). Stock that was asked for stays; where the order waits for its date, due_at moves along. Returns due_at, null where it does not wait for a date. Raises OM002, OM008 (order cancelled), OM010, OM011';

CREATE FUNCTION oms.displace(merchant int, order_id bigint, line_no int DEFAULT NULL, promised_at timestamptz DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_displace';
COMMENT ON FUNCTION oms.displace(int, bigint, int, timestamptz, text, text, text) IS 'Gives an urgent order (set_urgency) the units it lacks, where stock is free, else from orders of lower priority: the lowest first, then the youngest. Units that are planned for picking or picked are never taken. Who loses units has them backordered, with event order.displaced, and is promised a new date by what is to come (view backorder); promised_at is a date of your own for their orders, as set_urgency() gives it. All in one transaction: nobody else can have the units between. Orders that somebody is working on are passed over. Returns the units promised. Raises OM002, OM008 (order cancelled; REPEATABLE READ), OM010, OM011';
