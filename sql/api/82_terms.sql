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

CREATE FUNCTION oms.account_statement(merchant int, customer_id bigint DEFAULT NULL, company_id bigint DEFAULT NULL, as_of date DEFAULT NULL)
	RETURNS TABLE (day date, kind text, document text, order_id bigint, amount numeric, balance numeric, currency text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH o AS (
		SELECT s.merchant_id, s.order_id, z.time_zone, coalesce($4, z.today) AS until
		FROM oms.sales_order s
		JOIN oms.customer c ON c.merchant_id = s.merchant_id AND c.customer_id = s.customer_id
		JOIN oms.order_calendar z ON z.merchant_id = s.merchant_id AND z.order_id = s.order_id
		WHERE s.merchant_id = $1 AND num_nonnulls($2, $3) > 0
		  AND ($2 IS NULL OR c.customer_id = $2) AND ($3 IS NULL OR (c.company_id = $3 AND s.company_id = $3))
	), operation AS (
		-- the newest word by the end of that day on each operation of a gateway
		SELECT p.order_id, p.payment_id, p.currency, x.class, e.event_reference,
			   min((e.occurred_at AT TIME ZONE o.time_zone)::date) AS day,
			   (array_agg(e.kind ORDER BY e.occurred_at DESC, e.kind))[1] AS word,
			   (array_agg(e.amount ORDER BY e.occurred_at DESC, e.kind))[1] AS said,
			   max(e.amount) FILTER (WHERE e.kind IN ('captured', 'refunded', 'charged_back', 'capture_moved')) AS whole
		FROM o
		JOIN oms.payment p ON p.merchant_id = o.merchant_id AND p.order_id = o.order_id
		JOIN oms.payment_event e ON e.merchant_id = p.merchant_id AND e.payment_id = p.payment_id
		JOIN (VALUES ('captured', 'payment'), ('capture_failed', 'payment'), ('refunded', 'refund'), ('refund_failed', 'refund'),
			('charged_back', 'chargeback'), ('chargeback_reversed', 'chargeback'), ('capture_moved', 'moved')) x (kind, class) ON x.kind = e.kind
		WHERE (e.occurred_at AT TIME ZONE o.time_zone)::date <= o.until
		GROUP BY p.order_id, p.payment_id, p.currency, x.class, e.event_reference
	), entry AS (
		SELECT i.invoice_date AS day, i.kind, i.number AS document, i.order_id,
			   CASE i.kind WHEN 'invoice' THEN i.total ELSE -i.total END AS amount, i.currency
		FROM o JOIN oms.invoices i ON i.merchant_id = o.merchant_id AND i.order_id = o.order_id AND i.invoice_date <= o.until
		UNION ALL
		SELECT p.day, p.class, p.event_reference, p.order_id,
			   CASE p.word WHEN 'captured' THEN -p.said WHEN 'refunded' THEN p.said WHEN 'charged_back' THEN p.said WHEN 'capture_moved' THEN p.said
				   WHEN 'chargeback_reversed' THEN greatest(p.whole - coalesce(p.said, p.whole), 0) END, p.currency
		FROM operation p)
	SELECT e.day, e.kind, e.document, e.order_id, e.amount,
		   sum(e.amount) OVER (PARTITION BY e.currency ORDER BY e.day, e.kind <> 'invoice', e.kind, e.order_id, e.document ROWS UNBOUNDED PRECEDING), e.currency
	FROM entry e
	WHERE e.amount <> 0
	ORDER BY e.currency, e.day, e.kind <> 'invoice', e.kind, e.order_id, e.document $$;
COMMENT ON FUNCTION oms.account_statement(int, bigint, bigint, date) IS
'Statement of account as it stood at the end of a day: invoices, credit notes, payments, refunds and chargebacks of the orders of a customer, or of those that customers of a company placed for it (or both), each with the balance after it. Read from documents and facts that do not change, so that a past day is told the same whenever it is asked, but for facts that a gateway tells late.
merchant; customer_id or company_id: whose. as_of: the day, in the calendar of the legal entity''s time zone; null: today.
Returns rows by currency and day: kind (invoice, credit_note, payment, refund, chargeback, moved: to another order by a split), document (number of the invoice, else the gateway''s reference), amount (above 0: owed more), balance (what is owed in that currency by then; below 0: paid in advance). No rows without a customer or company.';
