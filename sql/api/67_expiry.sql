-- Expiry of unpaid orders.

CREATE FUNCTION oms.expire_orders(merchant int, max_orders int DEFAULT 1000, look_back interval DEFAULT '7 days',
	OUT order_id bigint, OUT deadline timestamptz)
	RETURNS SETOF record LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_expire_orders';
COMMENT ON FUNCTION oms.expire_orders(int, int, interval) IS 'Cancels orders whose deadline (unpaid_policy, set_payment_deadline) has come and that are neither paid nor authorized in full; each is looked at once more under its lock. Promises are released, part payments voided or refunded, event order.expired written. An order expires by the instant and not by this call: it only gives the stock back. Earliest deadline first, at most max_orders; of those whose deadline follows from the policy, only orders placed within look_back. Orders that somebody is working on are passed over. Returns them with their deadlines. Call it from a scheduler. Raises OM011, OM015';

CREATE FUNCTION oms.set_payment_deadline(merchant int, order_id bigint, deadline timestamptz,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_payment_deadline';
COMMENT ON FUNCTION oms.set_payment_deadline(int, bigint, timestamptz, text, text, text) IS 'Gives an order a deadline of its own (UTC instant) by which it must be paid or authorized in full; null: it never expires. An order whose deadline has come is not revived. Returns the order. Raises OM002, OM008 (order closed, or expired), OM010, OM011, OM016 (its channel has no row of unpaid_policy in force)';
