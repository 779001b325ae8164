-- Invoices and credit notes.

CREATE FUNCTION oms.issue_invoice(merchant int, order_id bigint, shipment_id bigint DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_issue_invoice';
COMMENT ON FUNCTION oms.issue_invoice(int, bigint, bigint, text, text, text) IS
'Issues an invoice: the next number of the series of the channel''s legal entity (setting legal_entity), the year in the entity''s time zone. It holds the series until the transaction ends, so that numbers have no gaps; call it late in a transaction.
merchant, order_id: the order, confirmed or completed. shipment_id: invoice the units of that shipment; null: all units that are not cancelled. Either way what stands on an invoice already is left out, and the charges that stand on none go with it. request_key: the same key again answers the first invoice. actor, reason: kept with it.
Returns the invoice''s id (views invoices, invoice_lines, invoice_tax, invoice_balance).
OM002 no such order or shipment; OM008 order not confirmed or cancelled, or nothing left to invoice; OM010 request key used before with other content; OM011 argument missing; OM015 another transaction holds the series too long: try again; OM016 no legal entity of that code.';

CREATE FUNCTION oms.issue_credit_note(merchant int, order_id bigint, refund_id bigint DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_issue_credit_note';
COMMENT ON FUNCTION oms.issue_credit_note(int, bigint, bigint, text, text, text) IS
'Issues a credit note that corrects invoices of an order, in a series of its own. Each line names the line of the invoice it corrects.
merchant, order_id: the order. refund_id: the refund it is for, granted by a return (its units and shipping, the fee as a line of its own) or by refund() (its amount spread over what stands invoiced); its total and tax are the refund''s. null: for units that were invoiced and cancelled since, and for the charges once the order is cancelled. request_key: the same key again answers the first credit note. actor, reason: kept with it.
Returns the credit note''s id (views invoices, invoice_lines).
OM002 no such order or refund of it; OM008 nothing to credit, the refund has a credit note, is of a cancellation or failed, or is for what stands on no invoice; OM010 request key used before with other content; OM011 argument missing; OM015 another transaction holds the series too long: try again; OM016 no legal entity.';

CREATE FUNCTION oms.void_invoice(merchant int, invoice_id bigint,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_void_invoice';
COMMENT ON FUNCTION oms.void_invoice(int, bigint, text, text, text) IS
'Takes an invoice back as a whole, by a credit note over all of it: the only way, since documents are never changed. Its units and charges may be invoiced anew.
merchant, invoice_id: an invoice that no credit note corrects. request_key: the same key again answers the first credit note. actor, reason: kept with it.
Returns the credit note''s id.
OM002 no such invoice; OM008 it is a credit note, was voided before, or is corrected by credit notes already; OM010 request key used before with other content; OM011 argument missing; OM015 another transaction holds the series too long: try again.';
