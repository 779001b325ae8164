-- Low stock.

CREATE FUNCTION oms.reorder_rule_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_reorder_rule_guard';
COMMENT ON FUNCTION oms.reorder_rule_guard() IS 'Trigger: the level of a watched item is written by alert_low_stock() alone (OM009)';

CREATE FUNCTION oms.alert_low_stock(merchant int, actor text DEFAULT NULL)
	RETURNS TABLE (item_id bigint, location_id int, level text, previous text, available bigint, suggested bigint)
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_alert_low_stock';
COMMENT ON FUNCTION oms.alert_low_stock(int, text) IS 'Compares watched items (reorder_rule) with the levels seen last, and writes one event stock.low for each that has become worse: one alert a crossing, however many orders made it and however many sessions call this at once. One that is better again is noted, and alerts anew at its next crossing. To be called from time to time. Returns the alerts: item, location, the level and the one before, units available, units to reorder. Raises OM011';
