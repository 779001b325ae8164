-- Payments: intents for gateway workers, and what gateways said.

CREATE FUNCTION oms.authorize(merchant int, order_id bigint, method text, amount numeric DEFAULT NULL, gateway text DEFAULT 'manual',
		gateway_reference text DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL,
		not_before timestamptz DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_authorize';
COMMENT ON FUNCTION oms.authorize(int, bigint, text, numeric, text, text, text, text, text, timestamptz) IS
'Makes a payment for an order and asks its gateway to authorize: a task "authorize" for the worker outside; the answer comes by record_payment_event().
merchant, order_id: the order, not cancelled. method: card, transfer, cash, ... as the shop names it. amount: in the order''s currency, null: what it owes and has neither paid nor authorized. gateway: who carries it out. gateway_reference: its id of the payment, where known. request_key: the same key again answers the first payment. actor, reason: kept with the intent. not_before: when the worker is to ask (UTC instant), for goods that come later; null: at once.
Returns the payment''s id.
OM002 no such order; OM007 the order does not owe so much; OM008 order cancelled, or the gateway''s reference is another payment''s; OM010 request key used before with other content; OM011 argument missing or out of range; OM017 more decimals than the currency has.';

CREATE FUNCTION oms.capture(merchant int, payment_id bigint, amount numeric DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL, rest text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_capture';
COMMENT ON FUNCTION oms.capture(int, bigint, numeric, text, text, text, text) IS
'Asks the gateway to capture authorized money: a task "capture" for the worker outside. What is asked for counts at once (capture_pending).
merchant, payment_id: the payment. amount: in its currency; null: all that is authorized and not captured, as far as the order owes it. rest: what becomes of the authorization that is left once this is captured: keep (it stays until captured, voided or expired), release (a void of it is asked for then), expire (the gateway lets go of it by itself; recorded as authorization_expired); null: as payment_method says for the method, else keep.
Returns the number of the intent (payment_event.event_id), which record_payment_event() may name.
OM002 no such payment; OM005 a hold blocks capture; OM007 more than is authorized, or more than the order owes; OM008 order cancelled; OM010 request key used before with other content; OM011, OM017 amount out of range.';

CREATE FUNCTION oms.void(merchant int, payment_id bigint, amount numeric DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_void';
COMMENT ON FUNCTION oms.void(int, bigint, numeric, text, text, text) IS
'Asks the gateway to give up an authorization, or a part of it: a task "void" for the worker outside.
merchant, payment_id: the payment. amount: in its currency; null: all that is authorized and neither captured nor asked for.
Returns the number of the intent (payment_event.event_id).
OM002 no such payment; OM007 more than is left; OM010 request key used before with other content; OM011, OM017 amount out of range.';

CREATE FUNCTION oms.refund(merchant int, payment_id bigint, amount numeric DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_refund';
COMMENT ON FUNCTION oms.refund(int, bigint, numeric, text, text, text) IS
'Gives captured money back without a return or cancellation (goodwill, overpayment): grants a refund and asks the gateway, by a task "refund". What is asked for counts at once (refund_pending), a refusal gives it back.
merchant, payment_id: the payment. amount: in its currency; null: all that is captured and neither refunded nor asked for.
Returns the refund''s id (table refund).
OM002 no such payment; OM005 a hold blocks refunds; OM007 more than was captured, by the payment or by all payments of the order; OM010 request key used before with other content; OM011, OM017 amount out of range.';

CREATE FUNCTION oms.request_refund(merchant int, refund_id bigint,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_request_refund';
COMMENT ON FUNCTION oms.request_refund(int, bigint, text, text, text) IS
'Asks again for the part of a granted refund that is neither moved nor asked for: after the gateway refused, or once money was captured. Takes the order''s payments, newest first.
Returns the refund''s id.
OM002 no such refund; OM005 a hold blocks refunds; OM007 nothing captured to take it from; OM008 refund is done; OM010 request key used before with other content.';

CREATE FUNCTION oms.record_payment_event(merchant int, payment_id bigint, kind text, amount numeric DEFAULT NULL, event_reference text DEFAULT NULL,
		occurred_at timestamptz DEFAULT NULL, data jsonb DEFAULT NULL, gateway text DEFAULT NULL, gateway_reference text DEFAULT NULL,
		order_id bigint DEFAULT NULL, method text DEFAULT NULL, currency text DEFAULT NULL, intent bigint DEFAULT NULL,
		expires_at timestamptz DEFAULT NULL, actor text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_record_payment_event';
COMMENT ON FUNCTION oms.record_payment_event(int, bigint, text, numeric, text, timestamptz, jsonb, text, text, bigint, text, text, bigint, timestamptz, text) IS
'Records what a gateway said. Any order and any repetition of the same facts give the same amounts.
merchant. payment_id: the payment; or null, and gateway (default manual) with gateway_reference names it; with order_id besides, a payment not known yet is made (money taken elsewhere), by method (default external).
kind: authorized, authorization_failed, authorization_expired, captured, capture_failed, voided, void_failed, refunded, refund_failed, charged_back, chargeback_reversed. amount: positive, in the order''s currency; may be null for failures, for voided (then all that is not captured by then) and chargeback_reversed (the whole), must be null for authorization_expired.
event_reference: the gateway''s id of the operation (its capture, refund, dispute), not of the notification. Of facts with one reference the newest counts, by occurred_at (UTC instant, default now): a failure after a success takes it back, and the other way round.
data: what else the gateway said, an object. currency: checked against the order''s. intent: number of the intent answered; without it the fact answers an open intent of the same kind and amount. expires_at: when an authorization lapses.
Returns the payment''s id. The same fact again has no effect. Facts beyond the limits are kept: see view payment_anomaly.
OM002 no such payment, order or intent; OM008 gateway reference of another payment or order; OM010 same kind and reference with other content; OM011 argument missing or out of range; OM012 other currency than the order''s; OM017 amount too fine or too large.';

CREATE FUNCTION oms.payment_event_fold() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_payment_event_fold';
COMMENT ON FUNCTION oms.payment_event_fold() IS 'AFTER INSERT on payment_event: locks order and payment, folds the amounts, refuses what a kind does not have (OM011) and intents beyond the limits (OM007), makes the task, the event, and the states of refunds and order';

CREATE FUNCTION oms.return_money(merchant int, order_id bigint, amount numeric DEFAULT NULL,
		request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS numeric LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_return_money';
COMMENT ON FUNCTION oms.return_money(int, bigint, numeric, text, text, text) IS
'Gives money of an order back by whatever way is right, and all of the amount or nothing: what it has beyond what it owes is voided first, and refunded where it is captured; an amount beyond that is a refund granted by hand, of captured money alone. Over its payments by their refund ranks.
merchant, order_id: the order. amount: in its currency; null: all that it has beyond what it owes. request_key: the same key again answers the first call. actor, reason: kept with intents and refunds.
Returns how much of it is voided, in the order''s currency; the rest is refunded.
OM002 no such order; OM005 a hold blocks refunds; OM007 nothing, or not so much, can be returned; OM010 request key used before with other content; OM011 argument missing or out of range; OM017 too large.';
