-- Payment terms.

CREATE FUNCTION oms.set_terms(merchant int, order_id bigint, terms text,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_set_terms';
COMMENT ON FUNCTION oms.set_terms(int, bigint, text, text, text, text) IS
'Gives an order payment terms instead of those it has: its parts are copied, and view payment_due says what falls due when. Orders of a buyer whose account (table buyer_account) has terms get them when they are placed.
merchant, order_id: the order, not cancelled. terms: code of the terms (table payment_term); null: none, the order is due with its invoices. request_key: the same key again answers the first call. actor, reason: kept with the event.
Returns the number of parts.
OM002 no such order or terms; OM008 order cancelled; OM010 request key used before with other content; OM011 argument missing; OM016 the terms have no parts.';
