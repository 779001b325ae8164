-- Soft holds.

CREATE FUNCTION oms.stock_hold_gate() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_stock_hold_gate';
COMMENT ON FUNCTION oms.stock_hold_gate() IS 'Trigger: every hold passes the gate, whoever writes it (OM001)';

CREATE FUNCTION oms.hold_stock(merchant int, item bigint, location int, quantity bigint, duration interval DEFAULT NULL,
	expires_at timestamptz DEFAULT NULL, scope text DEFAULT 'stored', purpose text DEFAULT 'checkout', customer bigint DEFAULT NULL,
	channel int DEFAULT NULL, starts_at timestamptz DEFAULT NULL, external_ref text DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_hold_stock';
COMMENT ON FUNCTION oms.hold_stock(int, bigint, int, bigint, interval, timestamptz, text, text, bigint, int, timestamptz, text, text, text) IS 'Holds units of an item at a location. Scope stored: a row, for a duration, until an instant, or (neither given) until released; from now on, or from starts_at, when it takes what is there. external_ref: the channel''s reference of an order to come, which uses the hold by itself; purpose reserve: orders of the customer or channel take from it what they would be short of. Scope session or transaction: no row; the units are free at the moment the session or transaction ends, however it ends. Returns the hold, negative where it has no row. Raises OM001, OM002, OM008 for a location that is not active, OM010, OM011';

CREATE FUNCTION oms.extend_hold(merchant int, hold bigint, duration interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS timestamptz
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_extend_hold';
COMMENT ON FUNCTION oms.extend_hold(int, bigint, interval, timestamptz, text, text) IS 'Gives a stored hold a new end: a duration from now, or an instant. One that has expired comes back to life only if the stock still covers it (OM001). Returns the end. Raises OM001, OM002, OM010, OM011';

CREATE FUNCTION oms.release_stock(merchant int, hold bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_release_stock';
COMMENT ON FUNCTION oms.release_stock(int, bigint, text, text) IS 'Ends a hold of any scope. Returns the units that come free: 0 where it had expired. Raises OM002, OM010, OM011';

CREATE FUNCTION oms.purge_holds(before timestamptz) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH gone AS (DELETE FROM oms.stock_hold WHERE expires_at < least($1, oms.clock()) RETURNING 1)
	SELECT count(*) FROM gone $$;
COMMENT ON FUNCTION oms.purge_holds(timestamptz) IS 'Removes the rows of holds that expired before an instant; they hold nothing, and can then no longer be extended. Returns how many';

CREATE FUNCTION oms.release_pending(merchant int, channel int, external_ref text) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH gone AS (DELETE FROM oms.stock_hold h WHERE h.merchant_id = $1 AND h.channel_id = $2 AND h.external_ref = $3 RETURNING h.quantity)
	SELECT coalesce(sum(quantity), 0)::bigint FROM gone $$;
COMMENT ON FUNCTION oms.release_pending(int, int, text) IS 'Ends the holds of an order that will not come, by the channel and its reference. Returns the units they were for';
