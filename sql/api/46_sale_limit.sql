-- Limits of what is sold in all.

CREATE FUNCTION oms.set_sale_limit(merchant int, item bigint, quantity bigint, channel int DEFAULT NULL,
	valid_from timestamptz DEFAULT '-infinity', valid_to timestamptz DEFAULT 'infinity') RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_sale_limit';
COMMENT ON FUNCTION oms.set_sale_limit(int, bigint, bigint, int, timestamptz, timestamptz) IS 'How many units of an item may be sold in all by orders placed from valid_from until before valid_to (UTC instants), by a channel or (null) all together. Shipped units count on, cancelled ones do not. An order or edit that would pass it is refused (OM007), also when several come at once. One limit for each item, channel and valid_from: set again it has another quantity or end; a null quantity ends it. Waits for running transactions that write order lines. Returns the units sold, which may be more. Raises OM002, OM008 under REPEATABLE READ, OM011';
