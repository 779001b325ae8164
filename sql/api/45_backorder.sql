-- Backorders: limits, and filling them when stock comes.

CREATE FUNCTION oms.set_backorder_limit(merchant int, item bigint, quantity bigint) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_backorder_limit';
COMMENT ON FUNCTION oms.set_backorder_limit(int, bigint, bigint) IS 'How many units of an item may be backordered at a time, over all orders; null: no limit. Waits for running transactions that write order lines. Returns how many are backordered now, which may be more. Raises OM002, OM008, OM011';

CREATE FUNCTION oms.allocate_backorders(merchant int, item bigint DEFAULT NULL, location int DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_allocate_backorders';
COMMENT ON FUNCTION oms.allocate_backorders(int, bigint, int, text, text) IS 'Promises what is available to backordered lines, in the order of setting backorder_fill; of one item or all, at one location or all. Movements that bring stock, cancellations, edits and holds that end do so by themselves; this is for what they passed over because somebody was working on it. Returns the units filled. Raises OM010, OM011';

CREATE FUNCTION oms.set_urgency(merchant int, order_id bigint, priority int DEFAULT 0, promised_at timestamptz DEFAULT NULL) RETURNS void
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_urgency';
COMMENT ON FUNCTION oms.set_urgency(int, bigint, int, timestamptz) IS 'Says how urgent an order is: higher priorities are filled first under backorder_fill = priority, earlier promises under promise. The first date promised is kept beside the current one. Raises OM002 for an unknown order, OM011';
