-- Cloned orders.

CREATE FUNCTION oms.clone_order(merchant int, order_id bigint,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_clone_order';
COMMENT ON FUNCTION oms.clone_order(int, bigint, text, text, text) IS 'Places the items of an order once more: same channel, customer, addresses and quantities as first ordered, prices, promotions and taxes of now, no charges and no discounts of then. The new order refers to its source (view order_relation, kind clone). Returns it. Raises OM001, OM002, OM007, OM008 (an item or the channel is not active any more, or a line was never mapped to an item), OM010, OM011, OM016';
