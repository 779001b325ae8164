-- Units of measure: exact conversions.

CREATE FUNCTION oms.base_quantity(merchant int, item bigint, quantity numeric, unit text DEFAULT NULL) RETURNS bigint
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_base_quantity';
COMMENT ON FUNCTION oms.base_quantity(int, bigint, numeric, text) IS 'A quantity of a unit (item_unit; null: the base unit) in base units, exactly: for receive_stock(), adjust_stock() and other commands. quantity: up to 8 decimals, of either sign. Raises OM002 no such unit, OM011 not a whole number of base units, OM017';

CREATE FUNCTION oms.unit_quantity(merchant int, item bigint, quantity bigint, unit text DEFAULT NULL) RETURNS numeric
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_unit_quantity';
COMMENT ON FUNCTION oms.unit_quantity(int, bigint, bigint, text) IS 'A quantity of base units in a unit, exactly, with up to 8 decimals: base_quantity() of it is the same quantity again. Raises OM002 no such unit, OM011 no exact decimal (7 in thirds), OM017';

CREATE FUNCTION oms.base_price(merchant int, item bigint, price numeric, unit text DEFAULT NULL) RETURNS numeric
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_base_price';
COMMENT ON FUNCTION oms.base_price(int, bigint, numeric, text) IS 'The price or cost of one unit as that of one base unit, exactly, with up to 8 decimals: a case of 12 at 18.00 is 1.5. Raises OM002 no such unit, OM011 no exact decimal (10.00 for 12), OM017';

CREATE FUNCTION oms.sold_quantity(merchant int, item bigint, quantity bigint, channel int DEFAULT 0,
	OUT quantity bigint, OUT minimum bigint, OUT step bigint, OUT mode text) RETURNS record
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT greatest(ceil(greatest($3, r.minimum)::numeric / r.step), 1)::bigint * r.step, r.minimum, r.step, r.mode
	FROM (SELECT q.minimum::bigint, coalesce(q.multiple * u.numerator / gcd(q.multiple * u.numerator, u.denominator), q.multiple)::bigint AS step, q.mode, q.channel_id
		FROM oms.quantity_rule q
		LEFT JOIN oms.item_unit u ON u.merchant_id = q.merchant_id AND u.item_id = q.item_id AND u.unit = q.unit
		WHERE q.merchant_id = $1 AND q.item_id = $2 AND q.channel_id IN (0, $4)
		UNION ALL SELECT 1, 1, NULL, -1) r
	ORDER BY r.channel_id DESC LIMIT 1 $$;
COMMENT ON FUNCTION oms.sold_quantity(int, bigint, bigint, int) IS 'What quantity of base units an item is sold in, when so many are asked for in a channel: the next one up that keeps its quantity_rule. Gives the rule too: least units, the step (multiple x unit, in base units), and its mode; null where no rule is';
