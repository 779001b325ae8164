-- Shipped only when paid.

CREATE FUNCTION oms.explain_payment(merchant int, order_id bigint)
	RETURNS TABLE (step text, verdict text, decides boolean, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 4 SET search_path = pg_catalog, pg_temp AS $$
	SELECT ('{exempt,terms,deposit,channel}'::text[])[v.n], v.verdict, v.n = s.decides, v.reason
	FROM oms.payment_standing s, unnest(s.verdicts, s.reasons) WITH ORDINALITY v (verdict, reason, n)
	WHERE s.merchant_id = $1 AND s.order_id = $2
	ORDER BY v.n $$;
COMMENT ON FUNCTION oms.explain_payment(int, bigint) IS 'Whether the money of an order lets it be picked and shipped, as four rows: exempt (the order was let through, or its customer or company is exempt), terms (payment terms with nothing overdue, or credit it is within), deposit (of the terms, else of the channel), channel (table payment_condition). verdict: allows, refuses, or passes to the next; decides: true of the one that counts; reason: with the amounts, in the order''s currency. No rows: no such order';

CREATE FUNCTION oms.awaits_payment(merchant int, order_id bigint, step text) RETURNS boolean
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_awaits_payment';
COMMENT ON FUNCTION oms.awaits_payment(int, bigint, text) IS 'Whether a step of an order, pick or ship, waits for money: explain_payment() says why. Costs a test of a pointer where the merchant has no such rules. Raises OM011';
