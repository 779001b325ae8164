-- Work on orders: assignee, tags, notes.

CREATE FUNCTION oms.assign_order(merchant int, order_id bigint, assignee text DEFAULT NULL, actor text DEFAULT NULL) RETURNS text
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH nobody AS (DELETE FROM oms.order_assignment a WHERE a.merchant_id = $1 AND a.order_id = $2 AND $3 IS NULL)
	INSERT INTO oms.order_assignment AS a (merchant_id, order_id, assigned_at, assignee, assigned_by)
	SELECT $1, $2, oms.clock(), $3, coalesce($4, nullif(current_setting('role'), 'none'), session_user) WHERE $3 IS NOT NULL
	ON CONFLICT ON CONSTRAINT order_assignment_pkey DO UPDATE SET assigned_at = excluded.assigned_at, assignee = excluded.assignee,
		assigned_by = excluded.assigned_by
	RETURNING a.assignee $$;
COMMENT ON FUNCTION oms.assign_order(int, bigint, text, text) IS 'Says who works on an order, a person or a team; null: nobody. Returns the assignee. Raises 23503 for an unknown order';

CREATE FUNCTION oms.tag_order(merchant int, order_id bigint, tags text[], actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH added AS (
		INSERT INTO oms.order_tag (merchant_id, order_id, tagged_at, tag, tagged_by)
		SELECT $1, $2, oms.clock(), t.tag, coalesce($4, nullif(current_setting('role'), 'none'), session_user) FROM unnest($3) t (tag)
		ON CONFLICT DO NOTHING RETURNING 1)
	SELECT count(*) FROM added $$;
COMMENT ON FUNCTION oms.tag_order(int, bigint, text[], text) IS 'Adds tags to an order; those that it has stay. Returns how many are new. Raises 23503 for an unknown order';

CREATE FUNCTION oms.untag_order(merchant int, order_id bigint, tags text[]) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH gone AS (DELETE FROM oms.order_tag t WHERE t.merchant_id = $1 AND t.order_id = $2 AND t.tag = ANY ($3) RETURNING 1)
	SELECT count(*) FROM gone $$;
COMMENT ON FUNCTION oms.untag_order(int, bigint, text[]) IS 'Takes tags from an order. Returns how many it had';

CREATE FUNCTION oms.add_note(merchant int, order_id bigint, note text, for_customer boolean DEFAULT false, actor text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO oms.order_note (merchant_id, order_id, noted_at, for_customer, author, note)
	VALUES ($1, $2, oms.clock(), coalesce($4, false), coalesce($5, nullif(current_setting('role'), 'none'), session_user), $3)
	RETURNING note_id $$;
COMMENT ON FUNCTION oms.add_note(int, bigint, text, boolean, text) IS 'Adds a note to an order; for_customer: the customer may see it. Returns the note. Raises 23503 for an unknown order';
