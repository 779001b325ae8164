-- Costing: landed cost, revaluation, and what stock was worth.

CREATE FUNCTION oms.add_landed_cost(merchant int, movements bigint[], amount numeric, cause text, basis text DEFAULT 'value',
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_add_landed_cost';
COMMENT ON FUNCTION oms.add_landed_cost(int, bigint[], numeric, text, text, text, text, text) IS 'Adds freight, duty or the like (negative: a rebate) to receipts, given by their movements; spread by value, quantity or weight (weight_g) with the largest remainder, in the currency the items are costed in. Of each share the part of the units still there raises the value of stock, the rest the cost of the movements that took them: fifo by the receipt''s own layer; average as if what came first had left first. Transfers pass theirs on to where they went, shipments to what came back. Returns the landed cost. Raises OM002 a movement that is no costed receipt, OM007 a rebate beyond the cost, OM008 not costed, OM010, OM011, OM012 receipts in two currencies, OM016 no weight, OM017';

CREATE FUNCTION oms.revalue_stock(merchant int, item bigint, location int, unit_cost numeric,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_revalue_stock';
COMMENT ON FUNCTION oms.revalue_stock(int, bigint, int, numeric, text, text, text) IS 'Gives the stock of an item at a location another value: units on hand x unit_cost (base currency, up to 8 decimals), rounded once. For stock that was there before costing began, and for write-downs. What has left keeps its cost. Returns the entry of stock_cost, whose value is the change. Raises OM002 no stock there, OM008 nothing on hand or not costed, OM010, OM011, OM017';

CREATE FUNCTION oms.inventory_value(merchant int, at timestamptz DEFAULT NULL, item bigint DEFAULT NULL, location int DEFAULT NULL)
	RETURNS TABLE (item_id bigint, location_id int, quantity bigint, value numeric, currency text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT e.item_id, e.location_id, sum(e.quantity)::bigint, sum(e.value), c.currency
	FROM oms.stock_cost e
	JOIN oms.item_cost c ON c.merchant_id = e.merchant_id AND c.item_id = e.item_id AND c.location_id = e.location_id
	WHERE e.merchant_id = $1 AND e.at <= coalesce($2, 'infinity') AND (e.item_id = $3 OR $3 IS NULL) AND (e.location_id = $4 OR $4 IS NULL)
	GROUP BY e.item_id, e.location_id, c.currency HAVING sum(e.quantity) <> 0 OR sum(e.value) <> 0
	ORDER BY e.item_id, e.location_id $$;
COMMENT ON FUNCTION oms.inventory_value(int, timestamptz, bigint, int) IS 'What stock was worth at an instant (null: now), per item and location, by the ledger of cost; of one item or location, or (null) of all. Corrections count from the instant they were made. The same now as view inventory_valuation without what is in transit';

CREATE FUNCTION oms.shipped_cost(merchant int, order_id bigint, line_no int DEFAULT NULL)
	RETURNS TABLE (line_no int, unit int, shipment_id bigint, cost numeric, currency text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT g.line_no, g.from_unit + u, g.shipment_id, sum(oms.units_share(g.cost, g.quantity, u - 1, u, g.currency)), g.currency
	FROM oms.cost_of_goods g, generate_series(1, g.quantity) u
	WHERE g.merchant_id = $1 AND g.order_id = $2 AND (g.line_no = $3 OR $3 IS NULL)
	GROUP BY 1, 2, 3, 5 ORDER BY 1, 2 $$;
COMMENT ON FUNCTION oms.shipped_cost(int, bigint, int) IS 'Cost of goods sold of each shipped unit of an order, or of one of its lines: units numbered from 1 as they were shipped; they sum to view cost_of_goods exactly. Items that are not costed have no rows';
