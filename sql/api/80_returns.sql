-- Returns: request, decide, receive, inspect; what may come back and what it is worth.

CREATE FUNCTION oms.request_return(merchant int, order_id bigint, lines jsonb DEFAULT NULL, reason text DEFAULT NULL,
		expires_at timestamptz DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_request_return';
COMMENT ON FUNCTION oms.request_return(int, bigint, jsonb, text, timestamptz, text, text) IS
'Makes a return (RMA) of shipped units.
merchant, order_id: the order. lines: [{"line": 1, "quantity": 2, "reason": "too small"}, ...]; null: all that is returnable. reason: why. expires_at: until when it must have come (UTC instant); null: setting return_days from now. request_key: the same key again answers the first return.
Returns the return''s id.
OM002 no such order; OM003 lines malformed, path in the message; OM007 more than shipped less what is in live returns; OM010 request key used before with other content; OM011 argument missing or out of range.';

CREATE FUNCTION oms.decide_return(merchant int, return_id bigint, decision text, lines jsonb DEFAULT NULL, restocking_fee numeric DEFAULT NULL,
		restocking_percent numeric DEFAULT NULL, refund_shipping numeric DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_decide_return';
COMMENT ON FUNCTION oms.decide_return(int, bigint, text, jsonb, numeric, numeric, numeric, text, text, text) IS
'Approves or rejects a requested return, and sets what its refund keeps back or adds.
merchant, return_id: the return, requested. decision: approve or reject. lines: [{"line": 1, "quantity": 1}, ...] to approve a part, lines left out are not approved; null: all. restocking_fee: kept back once, in the order''s currency. restocking_percent: kept back of the units'' value, 0 to 100. refund_shipping: part of the order''s shipping to give back, in its currency, tax included.
Returns the return''s id.
OM002 no such return; OM003 lines malformed; OM007 more shipping than is left to refund; OM008 already decided, expired or cancelled; OM010 request key used before with other content; OM011, OM017 argument out of range.';

CREATE FUNCTION oms.receive_return(merchant int, return_id bigint, lines jsonb DEFAULT NULL, location int DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_receive_return';
COMMENT ON FUNCTION oms.receive_return(int, bigint, jsonb, int, text, text, text) IS
'Records what really came back: less, more, or other lines of the order than were approved. Nothing enters stock and nothing is refunded before inspect_return().
merchant, return_id: the return, approved or received in part. lines: [{"line": 1, "quantity": 1}, ...]; null: all that is expected. location: id of the location that has it; null: the channel''s first one.
Returns the return''s id.
OM002 no such return or location; OM003 lines malformed; OM007 more than was shipped and is not back; OM008 not approved, expired, or received elsewhere before; OM010 request key used before with other content; OM016 channel without location.';

CREATE FUNCTION oms.inspect_return(merchant int, return_id bigint, lines jsonb DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_inspect_return';
COMMENT ON FUNCTION oms.inspect_return(int, bigint, jsonb, text, text, text) IS
'Says what received units are fit for, puts them into stock accordingly, once, and refunds exactly what was paid for them, tax included. Closes the return when nothing of it is expected or left to inspect.
merchant, return_id: the return, received. lines: [{"line": 1, "sellable": 1, "damaged": 0, "quarantine": 0, "scrap": 0, "vendor_return": 0, "refund": 1}, ...] in units; refund: how many of them are paid back, default all; null: all that waits is sellable and paid back. sellable raises what is available; damaged and quarantine enter stock as such, vendor_return as quarantine; scrap never enters. lots: ["S1", {"lot": "A", "quantity": 2}] of what goes into stock of tracked items, sellable units first, then damaged, then quarantine; left out where the lots shipped leave no choice, else OM011.
Returns the id of the refund granted (table refund; its money is asked of the gateways as far as it was captured), null when nothing is paid back.
OM002 no such return; OM003 lines malformed; OM007 more than was received; OM008 not received; OM010 request key used before with other content.';

CREATE FUNCTION oms.close_return(merchant int, return_id bigint,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_close_return';
COMMENT ON FUNCTION oms.close_return(int, bigint, text, text, text) IS
'Ends a return of which not all came: what is still expected may be requested anew.
merchant, return_id: the return, received, all that came inspected. Returns the return''s id.
OM002 no such return; OM008 nothing came (use cancel_return), or something waits for inspection; OM010 request key used before with other content.';

CREATE FUNCTION oms.cancel_return(merchant int, return_id bigint,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_cancel_return';
COMMENT ON FUNCTION oms.cancel_return(int, bigint, text, text, text) IS
'Ends a return of which nothing came: its units may be requested anew.
merchant, return_id: the return, requested or approved. Returns the return''s id.
OM002 no such return; OM008 received, or ended before; OM010 request key used before with other content.';

CREATE FUNCTION oms.expire_returns(merchant int)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_expire_returns';
COMMENT ON FUNCTION oms.expire_returns(int) IS
'Brings the rows in line with returns that have expired; to be called now and then. What an expired return still expected is free from the instant of expiry, whether this has run or not.
Returns how many orders it touched.';

CREATE FUNCTION oms.suggested_refund(merchant int, return_id bigint)
	RETURNS TABLE (part text, line_no int, quantity int, amount numeric, tax numeric, currency text)
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_suggested_refund';
COMMENT ON FUNCTION oms.suggested_refund(int, bigint) IS
'What inspect_return(merchant, return_id) would grant now, part by part; while nothing waits for inspection, what it would grant once all that is expected has come.
Returns rows: part line (line_no, quantity), shipping, fee (negative), limit (negative: what the order is not worth any more because money was given back before) and last total; amount with tax, and the tax in it, in currency.
OM002 no such return.';

CREATE FUNCTION oms.returnable(merchant int, order_id bigint)
	RETURNS TABLE (line_no int, sku text, title text, shipped int, returned int, in_returns int, returnable int, value numeric, currency text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT l.line_no, l.sku, l.title, l.shipped, l.returned, r.live, l.shipped - l.returned - r.live,
		   CASE WHEN l.shipped - l.returned - r.live > 0 THEN
				oms.units_share(l.total, l.ordered, f.refunded, f.refunded + l.shipped - l.returned - r.live, s.currency) END,
		   s.currency
	FROM oms.sales_order s
	JOIN oms.order_line l ON l.merchant_id = s.merchant_id AND l.order_id = s.order_id
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(x.expected), 0)::int AS live
		FROM oms.return_line x
		JOIN oms.return_order o ON o.merchant_id = x.merchant_id AND o.return_id = x.return_id
		WHERE x.merchant_id = l.merchant_id AND x.order_id = l.order_id AND x.line_no = l.line_no
		  AND x.expected > 0 AND o.expires_at > oms.clock()
	) r
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(x.quantity), 0)::int AS refunded
		FROM oms.refund_line x
		WHERE x.merchant_id = l.merchant_id AND x.order_id = l.order_id AND x.line_no = l.line_no
	) f
	WHERE s.merchant_id = $1 AND s.order_id = $2 AND l.shipped > 0
	ORDER BY l.line_no
	$$;
COMMENT ON FUNCTION oms.returnable(int, bigint) IS
'What of an order may be requested to come back: shipped - returned - what live returns expect. An expired return counts no more.
Returns one row per line with anything shipped: units shipped, returned, in_returns and returnable; value: what was paid for the returnable units together, tax included, in currency.';
