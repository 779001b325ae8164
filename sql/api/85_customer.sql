-- Customers: looking orders up, by staff and by the customer.

CREATE FUNCTION oms.find_orders(merchant int, search text, max_rows int DEFAULT 50, before bigint DEFAULT NULL)
	RETURNS TABLE (order_id bigint, number text, external_ref text, channel text, placed_at timestamptz, name text, email text,
		lifecycle text, payment_state text, fulfilment_state text, return_state text, on_hold boolean, total numeric, currency text,
		found_by text)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_find_orders';
COMMENT ON FUNCTION oms.find_orders(int, text, int, bigint) IS 'Orders by what somebody says: number, external reference, tracking number (exact), e-mail address or name (their beginning, 3 characters or more, in any case). Newest first, at most max_rows (1 to 1000); the next page with the last order_id as before. found_by: which of them matched. Raises OM011';

CREATE FUNCTION oms.order_document(merchant int, order_id bigint) RETURNS jsonb
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_order_document';
COMMENT ON FUNCTION oms.order_document(int, bigint) IS 'The whole order as one document: header with its states and amounts, lines with their counters, charges, holds, payments, fulfilments, shipments with tracking, returns, refunds, messages. Amounts are numbers in the order''s currency, instants ISO 8601. Null when the merchant has no such order. Raises OM011';

CREATE FUNCTION oms.order_timeline(merchant int, order_id bigint)
	RETURNS TABLE (at timestamptz, type text, actor text, reason text, subject_type text, subject_id bigint, data jsonb, tx bigint, event_id bigint, correlation_id text)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 20 SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT e.at, e.type, e.actor, e.reason, e.subject_type, e.subject_id, e.data, e.tx, e.event_id, e.correlation_id
	FROM oms.event e
	WHERE e.merchant_id = merchant AND e.order_id = order_timeline.order_id
	ORDER BY e.at, e.tx, e.event_id
$$;
COMMENT ON FUNCTION oms.order_timeline(int, bigint) IS 'Everything that happened to the order, oldest first: instant, type of event, who, why, what about, and what ties the events of one operation together (correlation_id, usually the request key). Each transition of the lifecycle is one row, with data from and to; the last to is the lifecycle now, or that of order.placed. No rows when the merchant has no such order';

-- Tracking by the customer

CREATE FUNCTION oms.track_secret_seed() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_track_secret_seed';
COMMENT ON FUNCTION oms.track_secret_seed() IS 'Trigger: a new merchant has a secret for its tracking links';

CREATE FUNCTION oms.track_token(merchant int, order_id bigint) RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT encode(sha256(convert_to(s.secret, 'UTF8') || sha256(convert_to(s.secret || ':' || o.merchant_id || ':' || o.order_id, 'UTF8'))), 'hex')
	FROM oms.sales_order o
	JOIN oms.track_secret s ON s.merchant_id = o.merchant_id
	WHERE o.merchant_id = merchant AND o.order_id = track_token.order_id
$$;
COMMENT ON FUNCTION oms.track_token(int, bigint) IS 'Token for a link that shows the order''s customer where it is: the secret that track() takes instead of an e-mail address. The same for the order every time; also field track_token of messages. Null when the merchant has no such order';

CREATE FUNCTION oms.track(merchant int, number text, secret text) RETURNS jsonb
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_track';
COMMENT ON FUNCTION oms.track(int, text, text) IS 'Where is my order: stage, lines, parcels with carrier, tracking number and events, for who knows the order''s number and a secret (its e-mail address in any case, or the token of track_token()). Null for a wrong pair, whether the order exists or not';
