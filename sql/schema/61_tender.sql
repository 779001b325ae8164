-- Rules of means of payment: in which order they are charged and refunded, and what becomes of authorizations.

CREATE TABLE IF NOT EXISTS oms.payment_method (
	merchant_id	int NOT NULL REFERENCES oms.merchant,
	method		text NOT NULL CHECK (method <> ''),
	charge_rank	int NOT NULL DEFAULT 100,
	refund_rank	int NOT NULL DEFAULT 100,
	rest		text NOT NULL DEFAULT 'keep' CHECK (rest IN ('keep', 'release', 'expire')),
	lasts		interval CHECK (lasts > interval '0'),
	PRIMARY KEY (merchant_id, method)
);
COMMENT ON TABLE oms.payment_method IS 'Rules of a means of payment; one without a row has the defaults. Plain configuration: write it with INSERT and UPDATE';
COMMENT ON COLUMN oms.payment_method.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.payment_method.method IS 'payment.method: card, gift_card, ...';
COMMENT ON COLUMN oms.payment_method.charge_rank IS 'Of several payments of an order those of the lowest rank are captured first, the older first within a rank';
COMMENT ON COLUMN oms.payment_method.refund_rank IS 'Money goes back (void, refund) to those of the lowest rank first, the newer first within a rank';
COMMENT ON COLUMN oms.payment_method.rest IS 'What becomes of the authorization that a capture leaves, where capture() does not say: keep, release (a void is asked for), expire (the gateway lets go by itself, which is recorded)';
COMMENT ON COLUMN oms.payment_method.lasts IS 'How long an authorization lasts where the gateway does not say; null: unknown';

INSERT INTO oms.table_class VALUES ('payment_method', 'merchant', 'payment') ON CONFLICT (table_name) DO NOTHING;

CREATE INDEX IF NOT EXISTS payment_replaces ON oms.payment (merchant_id, order_id, replaces_id) WHERE replaces_id IS NOT NULL;

CREATE OR REPLACE VIEW oms.authorization_expiry AS
SELECT a.merchant_id, a.order_id, a.payment_id, a.method, a.gateway, a.currency, a.capturable, a.expires_at, d.ships_at,
	   CASE WHEN a.expires_at <= oms.clock() THEN 'lapsed'
			WHEN a.expires_at <= d.ships_at THEN 'dies_first'
			WHEN d.ships_at IS NULL AND d.waits THEN 'unknown'
			ELSE 'lasts' END AS state
FROM (
	SELECT p.merchant_id, p.order_id, p.payment_id, p.method, p.gateway, p.currency, p.capture_pending,
		   p.authorized - p.voided - p.void_pending - p.expired - p.captured - p.capture_pending AS capturable,
		   coalesce(p.authorization_expires_at, (SELECT max(e.occurred_at) FROM oms.payment_event e
			WHERE e.merchant_id = p.merchant_id AND e.payment_id = p.payment_id AND e.kind = 'authorized') + m.lasts) AS expires_at
	FROM oms.payment p
	LEFT JOIN oms.payment_method m ON m.merchant_id = p.merchant_id AND m.method = p.method
	WHERE p.account_id IS NULL AND p.authorized > p.voided + p.void_pending + p.expired + p.captured + p.capture_pending
) a
CROSS JOIN LATERAL (
	SELECT greatest((SELECT s.ship_at FROM oms.order_schedule s WHERE s.merchant_id = a.merchant_id AND s.order_id = a.order_id),
					max(l.promised_at)) AS ships_at, count(*) > count(l.promised_at) AS waits
	FROM (SELECT p.promised_at FROM oms.order_line l
		  LEFT JOIN oms.line_promise p ON p.merchant_id = l.merchant_id AND p.order_id = l.order_id AND p.line_no = l.line_no
		  WHERE l.merchant_id = a.merchant_id AND l.order_id = a.order_id AND l.backordered > 0) l
) d
WHERE a.expires_at IS NOT NULL;
COMMENT ON VIEW oms.authorization_expiry IS 'Authorizations with money left to capture and a known end, against the date their order ships: those in state dies_first are to be authorized anew (reauthorize), those in state lapsed are written off by expire_authorizations()';
COMMENT ON COLUMN oms.authorization_expiry.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.authorization_expiry.order_id IS 'Order';
COMMENT ON COLUMN oms.authorization_expiry.payment_id IS 'Payment';
COMMENT ON COLUMN oms.authorization_expiry.method IS 'Means of payment';
COMMENT ON COLUMN oms.authorization_expiry.gateway IS 'Who carries it out';
COMMENT ON COLUMN oms.authorization_expiry.currency IS 'ISO 4217';
COMMENT ON COLUMN oms.authorization_expiry.capturable IS 'Authorized and not captured, given up or asked for, in currency';
COMMENT ON COLUMN oms.authorization_expiry.expires_at IS 'When it lapses (UTC instant): as the gateway said, else the newest authorization and payment_method.lasts';
COMMENT ON COLUMN oms.authorization_expiry.ships_at IS 'The latest of the order''s ship date and what its waiting lines were promised (UTC instant); null: nothing says that it must wait, or nobody knows';
COMMENT ON COLUMN oms.authorization_expiry.state IS 'lapsed: past its end; dies_first: ends before the order ships; unknown: a line waits and nobody knows how long; lasts: none of these';

CREATE TABLE IF NOT EXISTS oms.payment_tolerance (
	merchant_id	int NOT NULL,
	channel_id	int NOT NULL,
	under		numeric NOT NULL DEFAULT 0 CHECK (under >= 0),
	over		numeric NOT NULL DEFAULT 0 CHECK (over >= 0),
	PRIMARY KEY (merchant_id, channel_id),
	FOREIGN KEY (merchant_id, channel_id) REFERENCES oms.channel
);
COMMENT ON TABLE oms.payment_tolerance IS 'How far what was paid may be from what is owed (bank charges, rounding) before the order counts as partly paid or overpaid. Plain configuration; a payment keeps what was in force when it was made. The difference stays visible and is never spent by itself';
COMMENT ON COLUMN oms.payment_tolerance.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.payment_tolerance.channel_id IS 'Channel';
COMMENT ON COLUMN oms.payment_tolerance.under IS 'So much less still counts as paid, in the channel''s currency';
COMMENT ON COLUMN oms.payment_tolerance.over IS 'So much more does not count as overpaid, in the channel''s currency';

INSERT INTO oms.table_class VALUES ('payment_tolerance', 'merchant', 'payment') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.payment_difference AS
SELECT b.merchant_id, b.order_id, b.currency, b.owed, b.owed - b.due AS paid, -b.due AS difference,
	   CASE WHEN b.due > p.tolerance_under THEN 'under' WHEN -b.due > p.tolerance_over THEN 'over' ELSE 'within' END AS verdict
FROM oms.payment_balance b
JOIN oms.payment_sum p ON p.merchant_id = b.merchant_id AND p.order_id = b.order_id
WHERE p.captured > 0 AND b.due <> 0 AND p.capturable = 0 AND p.authorize_pending = 0 AND p.capture_pending = 0 AND p.refund_pending = 0
  AND b.refund_due = 0;
COMMENT ON VIEW oms.payment_difference IS 'Orders that were paid another amount than they owe, with nothing authorized, asked for or to be refunded that could settle it';
COMMENT ON COLUMN oms.payment_difference.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.payment_difference.order_id IS 'Order';
COMMENT ON COLUMN oms.payment_difference.currency IS 'ISO 4217';
COMMENT ON COLUMN oms.payment_difference.owed IS 'What the order owes, in currency';
COMMENT ON COLUMN oms.payment_difference.paid IS 'What it has, less what went back';
COMMENT ON COLUMN oms.payment_difference.difference IS 'paid - owed; below 0: too little';
COMMENT ON COLUMN oms.payment_difference.verdict IS 'within: the channel''s tolerance; under, over: beyond it';

CREATE OR REPLACE VIEW oms.chargebacks AS
SELECT c.merchant_id, c.order_id, c.payment_id, c.reference, c.currency, c.amount, c.charged_back_at, c.reversed_at,
	   CASE WHEN c.taken THEN c.amount ELSE greatest(c.amount - coalesce(c.reversed, c.amount), 0) END AS lost,
	   CASE WHEN c.amount IS NULL THEN 'unknown' WHEN c.taken THEN 'taken' WHEN c.reversed < c.amount THEN 'won_in_part' ELSE 'won' END AS state
FROM (
	SELECT e.merchant_id, p.order_id, e.payment_id, e.event_reference AS reference, p.currency,
		   max(e.amount) FILTER (WHERE e.kind = 'charged_back') AS amount, max(e.amount) FILTER (WHERE e.kind <> 'charged_back') AS reversed,
		   max(e.occurred_at) FILTER (WHERE e.kind = 'charged_back') AS charged_back_at,
		   max(e.occurred_at) FILTER (WHERE e.kind <> 'charged_back') AS reversed_at,
		   (array_agg(e.kind = 'charged_back' ORDER BY e.occurred_at DESC, e.kind))[1] AS taken
	FROM oms.payment_event e
	JOIN oms.payment p ON p.merchant_id = e.merchant_id AND p.payment_id = e.payment_id
	WHERE e.kind IN ('charged_back', 'chargeback_reversed')
	GROUP BY e.merchant_id, p.order_id, e.payment_id, e.event_reference, p.currency
) c;
COMMENT ON VIEW oms.chargebacks IS 'Chargebacks, one row for each dispute that a gateway told of';
COMMENT ON COLUMN oms.chargebacks.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.chargebacks.order_id IS 'Order';
COMMENT ON COLUMN oms.chargebacks.payment_id IS 'Payment';
COMMENT ON COLUMN oms.chargebacks.reference IS 'The gateway''s id of the dispute';
COMMENT ON COLUMN oms.chargebacks.currency IS 'ISO 4217';
COMMENT ON COLUMN oms.chargebacks.amount IS 'What was taken back, in currency; null: only a reversal was told of yet';
COMMENT ON COLUMN oms.chargebacks.charged_back_at IS 'When it was taken (UTC instant)';
COMMENT ON COLUMN oms.chargebacks.reversed_at IS 'When it was given again (UTC instant); null: not';
COMMENT ON COLUMN oms.chargebacks.lost IS 'What is gone as it stands, in currency';
COMMENT ON COLUMN oms.chargebacks.state IS 'taken, won (reversed), won_in_part, or unknown (only a reversal was told of yet)';
