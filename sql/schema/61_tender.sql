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
