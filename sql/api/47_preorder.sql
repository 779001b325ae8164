-- Preorders: opening, capping, releasing.

CREATE FUNCTION oms.set_preorder(merchant int, item bigint, available_at timestamptz,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_preorder';
COMMENT ON FUNCTION oms.set_preorder(int, bigint, timestamptz, text, text, text) IS 'Puts an item in preorder until an instant, or moves the instant of its open preorder and the promises of its lines with it. Orders get what there is; the rest is kept as backordered, on strict channels too, promised for that instant. Waits for running preorders. Returns the preorder. Raises OM002, OM008 under REPEATABLE READ, OM010, OM011';

CREATE FUNCTION oms.set_preorder_cap(merchant int, item bigint, quantity bigint, channel int DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_preorder_cap';
COMMENT ON FUNCTION oms.set_preorder_cap(int, bigint, bigint, int) IS 'How many units may be preordered of an item in preorder, by a channel or (null) in all; a null quantity ends the cap. Waits for running preorders. Returns how many are, which may be more. Raises OM002, OM008, OM011';

CREATE FUNCTION oms.release_preorder(merchant int, item bigint,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_release_preorder';
COMMENT ON FUNCTION oms.release_preorder(int, bigint, text, text, text) IS 'Ends an item''s preorder: its lines get what is there, in the order of setting backorder_fill, and wait on for the rest; new orders meet the stock alone. Returns the units filled. Raises OM008, OM010, OM011';
