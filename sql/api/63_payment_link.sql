-- Pay links.

CREATE FUNCTION oms.create_pay_link(merchant int, order_id bigint, token text, expires_at timestamptz, amount numeric DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_create_pay_link';
COMMENT ON FUNCTION oms.create_pay_link(int, bigint, text, timestamptz, numeric, text, text, text) IS
'Makes a link by which an order is paid. The token comes from the caller (new_code()) and goes into the address that the customer gets; only its hash is kept.
merchant, order_id: the order, not cancelled. token: at least 20 characters. expires_at: from when on it can no longer be used (UTC instant). amount: in the order''s currency; null: all that it owes and that is neither authorized nor asked for; such a link is stale as soon as that is another amount. request_key: the same key again answers the first call.
Returns the link''s id.
OM002 no such order; OM007 the order does not owe so much; OM008 order cancelled, or token in use; OM010 request key used before with other content; OM011 argument missing or out of range; OM017 amount too fine or too large.';

CREATE FUNCTION oms.use_pay_link(merchant int, token text, method text, gateway text DEFAULT 'manual', gateway_reference text DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_use_pay_link';
COMMENT ON FUNCTION oms.use_pay_link(int, text, text, text, text, text, text) IS
'Makes the payment that a pay link stands for and asks its gateway to authorize, as authorize() does. A link pays once; if the gateway refuses, it can be used again.
merchant. token: of the link. method, gateway, gateway_reference: as for authorize(). request_key: the same key again answers the first payment.
Returns the payment''s id.
OM002 no such link; OM007 the order owes another amount now; OM008 link used, expired or cancelled; OM010 request key used before with other content; OM011 argument missing.';

CREATE FUNCTION oms.cancel_pay_link(merchant int, link_id bigint,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_cancel_pay_link';
COMMENT ON FUNCTION oms.cancel_pay_link(int, bigint, text, text, text) IS
'Cancels a pay link that is not used.
Returns the link''s id.
OM002 no such link; OM008 it is used; OM010 request key used before with other content; OM011 argument missing.';

CREATE FUNCTION oms.pay_link(merchant int, token text)
	RETURNS TABLE (number text, amount numeric, currency text, expires_at timestamptz, state text)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT o.number, v.amount, v.currency, v.expires_at, v.state
	FROM oms.pay_link l
	JOIN oms.pay_links v ON v.merchant_id = l.merchant_id AND v.link_id = l.link_id
	JOIN oms.orders o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
	WHERE l.merchant_id = merchant AND l.token_hash = oms.code_hash(merchant, token)
$$;
COMMENT ON FUNCTION oms.pay_link(int, text) IS 'What a pay link is over, for who has its token: the order''s number, amount in currency, end, and state (see view pay_links). No row for an unknown token';
