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

CREATE FUNCTION oms.split_payment(merchant int, order_id bigint, tenders jsonb,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_split_payment';
COMMENT ON FUNCTION oms.split_payment(int, bigint, jsonb, text, text, text) IS
'Pays what an order owes by several means at once, all or none: a payment for each, as authorize() and pay_with_credit() make them.
merchant, order_id: the order, not cancelled. tenders: a list of objects {"method", "gateway", "gateway_reference", "amount"}, or {"code", "amount"} for a gift card, or {"account", "amount"} for store credit. Amounts in the order''s currency. One tender may leave its amount out and pays the rest; a card without amount pays what it has. They must sum to what the order owes and has neither paid, authorized nor asked for. request_key: the same key again answers the first call.
Returns the number of tenders.
OM002 no such order, card or account; OM003 list malformed; OM007 the sum is another, or a card has not enough; OM008 order cancelled, or account blocked or expired; OM010 request key used before with other content; OM012 account in another currency.';
