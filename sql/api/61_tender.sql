-- Authorizations that die, and orders paid by several means.

CREATE FUNCTION oms.reauthorize(merchant int, payment_id bigint, amount numeric DEFAULT NULL, gateway_reference text DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_reauthorize';
COMMENT ON FUNCTION oms.reauthorize(int, bigint, numeric, text, text, text, text) IS
'Asks for an authorization in the place of one that dies or has died: a new payment of the same method and gateway, and a task "authorize". Once the gateway has authorized it, what is left of the old one is voided in the same transaction: it replaces, it does not add.
merchant, payment_id: the old payment. amount: in its currency; null: what is, or was, left of it to capture, as far as the order owes it. gateway_reference: the gateway''s id of the new payment, where known. request_key: the same key again answers the first call.
Returns the new payment''s id.
OM002 no such payment; OM007 nothing left, or the order does not owe so much; OM008 order cancelled, or replaced already; OM010 request key used before with other content; OM011, OM017 amount out of range.';

CREATE FUNCTION oms.expire_authorizations(merchant int, grace interval DEFAULT '0', actor text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_expire_authorizations';
COMMENT ON FUNCTION oms.expire_authorizations(int, interval, text) IS
'Records as lapsed (authorization_expired, at its end) what view authorization_expiry says is past its end by at least grace. Payments with a capture under way are left. A capture that the gateway tells of later still counts. To be called by a job; at most 10,000 at a time.
Returns how many payments.
OM002 no such merchant; OM011 argument missing.';
