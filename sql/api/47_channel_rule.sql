-- Channel quantity rules.

CREATE FUNCTION oms.published_quantity(merchant int, channel int, items bigint[] DEFAULT NULL)
	RETURNS TABLE (item_id bigint, sku text, available bigint, quantity bigint, rule_id int)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT q.item_id, q.sku, q.available, q.quantity, q.rule_id FROM oms.channel_quantity q
	WHERE q.merchant_id = $1 AND q.channel_id = $2 AND ($3 IS NULL OR q.item_id = ANY ($3)) ORDER BY q.item_id $$;
COMMENT ON FUNCTION oms.published_quantity(int, int, bigint[]) IS 'For feeds: what a channel is to be told of the items of a list, or (null) of all. One row an item: units available to the channel, the quantity to publish, and the rule it comes from. From the rows, so it runs on a standby. See view channel_quantity and table channel_rule';
