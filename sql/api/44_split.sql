-- Splitting and merging orders.

CREATE FUNCTION oms.split_order(merchant int, order_id bigint, lines jsonb,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_split_order';
COMMENT ON FUNCTION oms.split_order(int, bigint, jsonb, text, text, text) IS 'Moves units of an order into a new order of the same customer, addresses and placing time, and returns its id. lines: [{"line": 1, "quantity": 2}]. Totals, taxes, discounts, charges and payments of both sum to what they were, to the cent: units take their exact share of the line, charges and payments are shared by what each order then owes (largest remainder). Promises go along and are never free between; promised units go first. A payment is shared as a payment of the new order, gateway_reference "<reference>#<order>". Refused with its reason (OM008): closed order, expired unpaid, an open hold, fulfilments, refunds, returns, invoices, an open edit, a payment that is not answered, preordered units, or nothing left behind. Raises OM002, OM003, OM005, OM007, OM008, OM010, OM011';

CREATE FUNCTION oms.merge_orders(merchant int, into_order bigint, orders bigint[],
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_merge_orders';
COMMENT ON FUNCTION oms.merge_orders(int, bigint, bigint[], text, text, text) IS 'Moves lines, charges, promises and payments of orders into another one, and returns it. The emptied orders end cancelled with a total of 0, keep their numbers and references, and point at where they went (view order_relation). Refused with its reason (OM008) where split_order() would be, and where channel, customer (of guests: email), tax inclusion, delivery address, payment terms or lifecycle differ; OM012 where currencies differ. Raises OM002, OM005, OM008, OM010, OM011, OM012';

CREATE FUNCTION oms.split_parts(merchant int, order_id bigint) RETURNS SETOF bigint
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE up AS (
		SELECT split_parts.order_id AS id
		UNION
		SELECT l.source_id FROM up JOIN oms.order_link l ON l.merchant_id = split_parts.merchant AND l.target_id = up.id AND l.kind = 'split'
	), down AS (
		SELECT id FROM up
		UNION
		SELECT l.target_id FROM down JOIN oms.order_link l ON l.merchant_id = split_parts.merchant AND l.source_id = down.id AND l.kind = 'split'
	)
	SELECT id FROM down
$$;
COMMENT ON FUNCTION oms.split_parts(int, bigint) IS 'The orders that were one before split_order(), the given one among them, also where parts were split again; of an order that was never split just itself';
