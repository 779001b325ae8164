-- Credit limits.

CREATE FUNCTION oms.check_credit(merchant int, order_id bigint, actor text DEFAULT NULL)
	RETURNS boolean LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_check_credit';
COMMENT ON FUNCTION oms.check_credit(int, bigint, text) IS
'Checks an order against the credit of its company or customer again (table buyer_account): after money came or the limit was raised. Releases its hold of kind credit when it is within the limit, and confirms the order where nothing else holds it; places one when it is not.
merchant, order_id: the order. actor: kept with the hold. The exposure is what the account owes for its other orders, invoiced or not, that wait in no such hold; the order is added. Orders without an account are within the limit.
Returns whether it is within the limit.
OM002 no such order; OM011 argument missing; OM015 another transaction checks the account: try again.';
