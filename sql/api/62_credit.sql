-- Gift cards and store credit.

CREATE FUNCTION oms.new_code() RETURNS text
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(substr('ABCDEFGHJKLMNPQRSTUVWXYZ23456789', (get_byte(r.bytes, i) & 31) + 1, 1), '' ORDER BY i)
	FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) AS bytes) r, generate_series(0, 23) i
$$;
COMMENT ON FUNCTION oms.new_code() IS 'A code that nobody guesses, for a gift card or a pay link: 24 letters and digits, 120 random bits, without those that look alike. It is kept nowhere: keep it until the command that takes it has succeeded';

CREATE FUNCTION oms.code_hash(merchant int, code text) RETURNS bytea
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT sha256(convert_to(merchant || ':' || upper(translate(code, ' -', '')), 'UTF8')) $$;
COMMENT ON FUNCTION oms.code_hash(int, text) IS 'What is kept of a code: SHA-256 of merchant and code, spaces, dashes and case left out';

CREATE FUNCTION oms.issue_gift_card(merchant int, code text, amount numeric, currency text, expires_at timestamptz DEFAULT NULL,
		customer_id bigint DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_issue_gift_card';
COMMENT ON FUNCTION oms.issue_gift_card(int, text, numeric, text, timestamptz, bigint, text, text, text) IS
'Issues a gift card. The code comes from the caller (new_code()), and only its hash is kept, so a repeated call needs no secret that oms had to remember.
merchant. code: at least 12 letters and digits; spaces, dashes and case do not matter. amount, currency: what is on it. expires_at: from when on it can no longer be spent (UTC instant), null: no end. customer_id: who bought or got it, where known. request_key: the same key again answers the first call.
Returns the account''s id.
OM002 no such customer; OM008 code in use; OM010 request key used before with other content; OM011 argument missing or out of range; OM012 no such currency; OM017 amount too fine or too large.';

CREATE FUNCTION oms.issue_store_credit(merchant int, customer_id bigint, amount numeric, currency text, expires_at timestamptz DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_issue_store_credit';
COMMENT ON FUNCTION oms.issue_store_credit(int, bigint, numeric, text, timestamptz, text, text, text) IS
'Gives a customer credit that his orders may be paid with: a new account, so that each keeps its own end.
merchant, customer_id. amount, currency. expires_at: from when on it can no longer be spent (UTC instant), null: no end. request_key: the same key again answers the first call.
Returns the account''s id.
OM002 no such customer; OM010 request key used before with other content; OM011 argument missing or out of range; OM012 no such currency; OM017 amount too fine or too large.';

CREATE FUNCTION oms.adjust_credit(merchant int, account_id bigint, amount numeric,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_adjust_credit';
COMMENT ON FUNCTION oms.adjust_credit(int, bigint, numeric, text, text, text) IS
'Puts money on a gift card or store credit, or takes some off it, by hand; also where it is blocked or expired.
merchant, account_id. amount: in its currency, negative: taken off. reason: kept with the entry.
Returns the account''s id.
OM002 no such account; OM007 more than its balance; OM010 request key used before with other content; OM011, OM017 amount out of range.';

CREATE FUNCTION oms.extend_credit(merchant int, account_id bigint, expires_at timestamptz,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_extend_credit';
COMMENT ON FUNCTION oms.extend_credit(int, bigint, timestamptz, text, text, text) IS
'Gives a gift card or store credit another end (UTC instant, to come; null: none).
Returns the account''s id.
OM002 no such account; OM010 request key used before with other content; OM011 in the past.';

CREATE FUNCTION oms.block_credit(merchant int, account_id bigint, blocked boolean DEFAULT true,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_block_credit';
COMMENT ON FUNCTION oms.block_credit(int, bigint, boolean, text, text, text) IS
'Blocks a gift card or store credit, or releases it (blocked false). What orders hold of it already stays theirs.
Returns the account''s id.
OM002 no such account; OM010 request key used before with other content; OM011 argument missing.';

CREATE FUNCTION oms.expire_credit(merchant int, actor text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_expire_credit';
COMMENT ON FUNCTION oms.expire_credit(int, text) IS
'Writes off the balances of all accounts past their end, an entry for each. To be called by a job; without it they cannot be spent either.
Returns how many.
OM011 argument missing.';

CREATE FUNCTION oms.pay_with_credit(merchant int, order_id bigint, code text DEFAULT NULL, account_id bigint DEFAULT NULL, amount numeric DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_pay_with_credit';
COMMENT ON FUNCTION oms.pay_with_credit(int, bigint, text, bigint, numeric, text, text, text) IS
'Pays for an order with a gift card or with its customer''s store credit: a payment that is authorized at once; capture on shipment, void and refund work as with any other, are answered at once, and give back to the same account.
merchant, order_id: the order, not cancelled. code: of a gift card; or account_id: store credit of the order''s customer. amount: in the order''s currency, null: what the order owes, at most the balance. request_key: the same key again answers the first payment.
Returns the payment''s id.
OM002 no such order, card or account; OM007 more than the balance, or than the order owes; OM008 order cancelled, account blocked, expired or another customer''s; OM010 request key used before with other content; OM011 argument missing or out of range; OM012 account in another currency; OM017 amount too fine or too large.';

CREATE FUNCTION oms.credit_balance(merchant int, code text)
	RETURNS TABLE (account_id bigint, balance numeric, currency text, expires_at timestamptz, state text)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT v.account_id, v.balance, v.currency, v.expires_at, v.state
	FROM oms.credit_account a
	JOIN oms.credit_accounts v ON v.merchant_id = a.merchant_id AND v.account_id = a.account_id
	WHERE a.merchant_id = merchant AND a.code_hash = oms.code_hash(merchant, code)
$$;
COMMENT ON FUNCTION oms.credit_balance(int, text) IS 'What a gift card has, for who knows its code: balance in currency, its end, and whether it can be used (usable, empty, expired, blocked). No row for an unknown code';
