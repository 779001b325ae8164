-- Work on orders: assignee, tags, notes.

CREATE FUNCTION oms.assign_order(merchant int, order_id bigint, assignee text DEFAULT NULL, actor text DEFAULT NULL) RETURNS text
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_assign_order';
COMMENT ON FUNCTION oms.assign_order(int, bigint, text, text) IS 'Says who works on an order, a person or a team; null: nobody. Returns the assignee. Raises OM002 for an unknown order, OM011';

CREATE FUNCTION oms.tag_order(merchant int, order_id bigint, tags text[], actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_tag_order';
COMMENT ON FUNCTION oms.tag_order(int, bigint, text[], text) IS 'Adds tags to an order; those that it has stay. Returns how many are new. Raises OM002 for an unknown order, OM011';

CREATE FUNCTION oms.untag_order(merchant int, order_id bigint, tags text[]) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH gone AS (DELETE FROM oms.order_tag t WHERE t.merchant_id = $1 AND t.order_id = $2 AND t.tag = ANY ($3) RETURNING 1)
	SELECT count(*) FROM gone $$;
COMMENT ON FUNCTION oms.untag_order(int, bigint, text[]) IS 'Takes tags from an order. Returns how many it had';

CREATE FUNCTION oms.add_note(merchant int, order_id bigint, note text, for_customer boolean DEFAULT false, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_add_note';
COMMENT ON FUNCTION oms.add_note(int, bigint, text, boolean, text) IS 'Adds a note to an order; for_customer: the customer may see it. Returns the note. Raises OM002 for an unknown order, OM011';
