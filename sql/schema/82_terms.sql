-- Payment terms: when parts of an order fall due, by event and day. What is overdue is a question of the day: no job.

CREATE TABLE IF NOT EXISTS oms.payment_term (
	merchant_id	int NOT NULL REFERENCES oms.merchant,
	code		text NOT NULL CHECK (code <> ''),
	description	text,
	PRIMARY KEY (merchant_id, code)
);
COMMENT ON TABLE oms.payment_term IS 'Payment terms: net 30, half in advance, three instalments, ...';
COMMENT ON COLUMN oms.payment_term.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.payment_term.code IS 'Code, unique per merchant';
COMMENT ON COLUMN oms.payment_term.description IS 'Text for people';

CREATE TABLE IF NOT EXISTS oms.payment_term_part (
	merchant_id			int NOT NULL,
	part_no				int NOT NULL CHECK (part_no > 0),
	days				int NOT NULL DEFAULT 0 CHECK (days BETWEEN 0 AND 3650),
	discount_days		int CHECK (discount_days BETWEEN 0 AND 3650),
	month_end			boolean NOT NULL DEFAULT false,
	event				text NOT NULL CHECK (event IN ('placed', 'shipped', 'invoiced')),
	share				numeric NOT NULL CHECK (share > 0 AND share < 1000000),
	discount_percent	numeric CHECK (discount_percent > 0 AND discount_percent <= 100),
	amount				numeric CHECK (amount > 0),
	required_before		text CHECK (required_before IN ('pick', 'ship')),
	code				text NOT NULL,
	PRIMARY KEY (merchant_id, code, part_no),
	FOREIGN KEY (merchant_id, code) REFERENCES oms.payment_term,
	CONSTRAINT payment_term_part_discount CHECK ((discount_percent IS NULL) = (discount_days IS NULL)),
	CONSTRAINT payment_term_part_deposit CHECK (event = 'placed' OR (amount IS NULL AND required_before IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS payment_term_part_amount ON oms.payment_term_part (merchant_id, code) WHERE amount IS NOT NULL;
COMMENT ON TABLE oms.payment_term_part IS 'Parts of payment terms: a deposit is a part that falls due when the order is placed. Copied to an order when it gets the terms; later changes are for later orders';
COMMENT ON COLUMN oms.payment_term_part.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.payment_term_part.part_no IS 'Number of the part, from 1';
COMMENT ON COLUMN oms.payment_term_part.days IS 'Days after the event''s day, in the calendar of the legal entity''s time zone';
COMMENT ON COLUMN oms.payment_term_part.discount_days IS 'Days after the event''s day within which discount_percent is granted';
COMMENT ON COLUMN oms.payment_term_part.month_end IS 'True: at the end of the month of that day';
COMMENT ON COLUMN oms.payment_term_part.event IS 'placed; shipped: with each shipment, by its share of the lines'' value; invoiced: with each invoice, by its share of the order';
COMMENT ON COLUMN oms.payment_term_part.share IS 'Share of the order: parts are in proportion to their shares and sum to what is owed exactly (largest remainder)';
COMMENT ON COLUMN oms.payment_term_part.discount_percent IS 'Early payment discount in percent of the amount';
COMMENT ON COLUMN oms.payment_term_part.amount IS 'Fixed amount instead of a share, in the order''s currency, at most what is owed; one part of the terms, due when the order is placed. The other parts share the rest. Null: by share';
COMMENT ON COLUMN oms.payment_term_part.required_before IS 'Step of the order that waits until the part is received: pick (then ship too) or ship. Null: none, it falls due and no more';
COMMENT ON COLUMN oms.payment_term_part.code IS 'The terms';

CREATE TABLE IF NOT EXISTS oms.order_term_part (
	merchant_id			int NOT NULL,
	part_no				int NOT NULL,
	order_id			bigint NOT NULL,
	days				int NOT NULL,
	discount_days		int,
	month_end			boolean NOT NULL,
	event				text NOT NULL,
	share				numeric NOT NULL,
	discount_percent	numeric,
	amount				numeric,
	required_before		text,
	code				text NOT NULL,
	PRIMARY KEY (merchant_id, order_id, part_no),
	FOREIGN KEY (merchant_id, order_id) REFERENCES oms.sales_order
);
CREATE INDEX IF NOT EXISTS order_term_part_required ON oms.order_term_part (merchant_id, order_id) WHERE required_before IS NOT NULL;
COMMENT ON TABLE oms.order_term_part IS 'Terms of an order, as they were when it got them: from the account of its buyer at placement, or by set_terms(). An order without rows is due with its invoices';
COMMENT ON COLUMN oms.order_term_part.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_term_part.part_no IS 'Number of the part';
COMMENT ON COLUMN oms.order_term_part.order_id IS 'Order';
COMMENT ON COLUMN oms.order_term_part.days IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.discount_days IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.month_end IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.event IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.share IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.discount_percent IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.amount IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.required_before IS 'As in payment_term_part';
COMMENT ON COLUMN oms.order_term_part.code IS 'The terms they were copied from';

INSERT INTO oms.table_class VALUES
	('payment_term', 'merchant', 'payment'), ('payment_term_part', 'merchant', 'payment'), ('order_term_part', 'merchant', 'payment')
	ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.order_calendar AS
SELECT s.merchant_id, s.order_id, z.time_zone, (oms.clock() AT TIME ZONE z.time_zone)::date AS today
FROM oms.sales_order s
JOIN oms.merchant m ON m.merchant_id = s.merchant_id
CROSS JOIN LATERAL (
	SELECT coalesce((SELECT e.time_zone FROM oms.legal_entity e WHERE e.merchant_id = s.merchant_id
		AND e.code = coalesce(
			(SELECT v.value FROM oms.setting v WHERE v.merchant_id = s.merchant_id AND v.name = 'legal_entity'
				AND v.channel_id IN (0, s.channel_id) ORDER BY v.channel_id DESC LIMIT 1),
			(SELECT d.default_value FROM oms.setting_definition d WHERE d.name = 'legal_entity'))), m.time_zone) AS time_zone) z;
COMMENT ON VIEW oms.order_calendar IS 'The calendar by which an order''s money falls due';
COMMENT ON COLUMN oms.order_calendar.time_zone IS 'IANA time zone of the legal entity, else of the merchant';
COMMENT ON COLUMN oms.order_calendar.today IS 'The day it is there now';

CREATE OR REPLACE VIEW oms.payment_due AS
WITH part AS (
	-- what each part is of what the order owes, and the day it counts from; the last step is what has not happened yet
	SELECT t.merchant_id, t.order_id, t.part_no, t.event, t.code, t.days, t.month_end, t.discount_days, t.discount_percent,
		   s.currency, u.exponent, z.time_zone, z.today, v.cause_id, v.day,
		   a.amounts[array_position(a.parts, t.part_no)] + CASE WHEN t.amount IS NULL THEN 0 ELSE a.fixed END AS amount,
		   coalesce(sum(v.value) OVER w / nullif(sum(v.value) OVER p, 0), 1) AS upto, row_number() OVER w AS n,
		   coalesce((SELECT sum(c.captured - c.charged_back - c.refunded) FROM oms.payment c
			   WHERE c.merchant_id = t.merchant_id AND c.order_id = t.order_id), 0) AS money
	FROM oms.order_term_part t
	JOIN oms.sales_order s ON s.merchant_id = t.merchant_id AND s.order_id = t.order_id
	JOIN oms.currency u ON u.code = s.currency
	JOIN oms.order_calendar z ON z.merchant_id = t.merchant_id AND z.order_id = t.order_id
	CROSS JOIN LATERAL (
		-- a fixed amount first, the rest by shares; a fixed part without others is all
		SELECT oms.prorate(b.owed - f.fixed, CASE WHEN x.amount IS NULL OR f.alone THEN x.share ELSE 0 END, s.currency ORDER BY x.part_no) AS amounts,
			   array_agg(x.part_no ORDER BY x.part_no) AS parts, min(f.fixed) AS fixed
		FROM oms.order_term_part x
		JOIN oms.payment_balance b ON b.merchant_id = t.merchant_id AND b.order_id = t.order_id
		CROSS JOIN LATERAL (
			SELECT CASE WHEN count(y.amount) IN (0, count(*)) THEN 0 ELSE least(round(sum(y.amount), u.exponent), b.owed) END AS fixed,
				   count(*) = count(y.amount) AS alone
			FROM oms.order_term_part y WHERE y.merchant_id = t.merchant_id AND y.order_id = t.order_id) f
		WHERE x.merchant_id = t.merchant_id AND x.order_id = t.order_id) a
	CROSS JOIN LATERAL (
		SELECT CASE t.event WHEN 'invoiced' THEN s.total - s.cancelled_total
			ELSE (SELECT coalesce(sum(oms.units_share(l.total, l.ordered, 0, l.ordered - l.cancelled, s.currency)), 0) FROM oms.order_line l
				WHERE l.merchant_id = t.merchant_id AND l.order_id = t.order_id) END AS value) whole
	CROSS JOIN LATERAL (
		WITH done AS (
			SELECT h.shipment_id AS cause_id, (h.shipped_at AT TIME ZONE z.time_zone)::date AS day, sum(x.total) AS value
			FROM oms.shipment h
			JOIN oms.shipment_line x ON x.merchant_id = h.merchant_id AND x.shipment_id = h.shipment_id
			WHERE t.event = 'shipped' AND h.merchant_id = t.merchant_id AND h.order_id = t.order_id
			GROUP BY h.merchant_id, h.shipment_id
			UNION ALL
			SELECT i.invoice_id, i.invoice_date, i.total FROM oms.invoices i
			WHERE t.event = 'invoiced' AND i.merchant_id = t.merchant_id AND i.order_id = t.order_id AND i.kind = 'invoice' AND i.voided_by IS NULL)
		SELECT d.cause_id, d.day, d.value FROM done d
		UNION ALL
		SELECT NULL, CASE WHEN t.event = 'placed' OR whole.value = 0 THEN (s.placed_at AT TIME ZONE z.time_zone)::date END,
			   greatest(whole.value - coalesce(r.value, 0), 0)
		FROM (SELECT sum(d.value) AS value FROM done d) r
		WHERE r.value IS NULL OR r.value < whole.value) v
	WINDOW p AS (PARTITION BY t.merchant_id, t.order_id, t.part_no), w AS (p ORDER BY v.day NULLS LAST, v.cause_id)
), due AS (
	SELECT d.*, coalesce(sum(d.amount) OVER (o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before,
		   round(d.amount * d.discount_percent / 100, d.exponent) AS discount, d.day + d.discount_days AS discount_until
	FROM (
		SELECT p.merchant_id, p.order_id, p.part_no, p.event, p.code, p.cause_id, p.currency, p.exponent, p.time_zone, p.today, p.day, p.money,
			   p.discount_percent, p.discount_days,
			   round(p.amount * p.upto, p.exponent)
			   - coalesce(lag(round(p.amount * p.upto, p.exponent)) OVER (PARTITION BY p.merchant_id, p.order_id, p.part_no ORDER BY p.n), 0) AS amount,
			   CASE WHEN p.month_end THEN (date_trunc('month', (p.day + p.days)::timestamp) + interval '1 month' - interval '1 day')::date
				   ELSE p.day + p.days END AS due_on
		FROM part p) d
	WINDOW o AS (PARTITION BY d.merchant_id, d.order_id ORDER BY d.due_on NULLS LAST, d.part_no, d.cause_id)
), taken AS (
	SELECT d.*, coalesce(d.discount > 0 AND least(d.money, (
			SELECT coalesce(sum(e.amount), 0) FROM oms.payment c JOIN oms.payment_event e ON e.merchant_id = c.merchant_id AND e.payment_id = c.payment_id
			WHERE c.merchant_id = d.merchant_id AND c.order_id = d.order_id AND e.kind = 'captured'
			  AND e.occurred_at < (d.discount_until + 1)::timestamp AT TIME ZONE d.time_zone)) >= d.before + d.amount - d.discount, false) AS discount_taken
	FROM due d
), net AS (
	SELECT t.*, t.amount - CASE WHEN t.discount_taken THEN t.discount ELSE 0 END AS payable,
		   coalesce(sum(t.amount - CASE WHEN t.discount_taken THEN t.discount ELSE 0 END)
			   OVER (PARTITION BY t.merchant_id, t.order_id ORDER BY t.due_on NULLS LAST, t.part_no, t.cause_id
				   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS payable_before
	FROM taken t
), paid AS (
	SELECT n.*, least(n.payable, greatest(n.money - n.payable_before, 0)) AS paid FROM net n
)
SELECT merchant_id, order_id, part_no, code AS terms, event, cause_id, due_on, amount, currency, discount, discount_until, discount_taken, paid,
	   payable - paid AS open, CASE WHEN due_on < today AND paid < payable THEN today - due_on ELSE 0 END AS days_overdue,
	   CASE WHEN paid >= payable THEN 'paid' WHEN due_on IS NULL THEN 'waiting' WHEN due_on < today THEN 'overdue'
			WHEN due_on = today THEN 'due' ELSE 'not due' END AS state
FROM paid;
COMMENT ON VIEW oms.payment_due IS 'What falls due when, of orders with terms: a row per part and event. The rows of an order sum to what it owes (payment_balance.owed) exactly; its money is told on them in the order of their days';
COMMENT ON COLUMN oms.payment_due.terms IS 'Code of the terms';
COMMENT ON COLUMN oms.payment_due.event IS 'placed, shipped or invoiced';
COMMENT ON COLUMN oms.payment_due.cause_id IS 'The shipment or invoice; null: the order, or what is not shipped or invoiced yet';
COMMENT ON COLUMN oms.payment_due.due_on IS 'Last day to pay, in the calendar of the legal entity''s time zone; null: the event has not happened';
COMMENT ON COLUMN oms.payment_due.amount IS 'In the order''s currency';
COMMENT ON COLUMN oms.payment_due.discount IS 'Early payment discount, in currency; null: none';
COMMENT ON COLUMN oms.payment_due.discount_until IS 'Last day for it';
COMMENT ON COLUMN oms.payment_due.discount_taken IS 'What was captured by that day covers the amount less discount';
COMMENT ON COLUMN oms.payment_due.paid IS 'Captured less charged back and refunded, as far as it reaches';
COMMENT ON COLUMN oms.payment_due.open IS 'amount, less discount where taken, less paid';
COMMENT ON COLUMN oms.payment_due.days_overdue IS 'Days since due_on, while something is open';
COMMENT ON COLUMN oms.payment_due.state IS 'waiting (for the event), not due, due (today), overdue, paid';

CREATE OR REPLACE VIEW oms.receivable AS
SELECT d.merchant_id, d.order_id, s.customer_id, s.company_id, d.part_no, CASE WHEN d.event = 'invoiced' THEN d.cause_id END AS invoice_id,
	   d.due_on, d.amount, d.paid, d.open, d.currency, d.days_overdue
FROM oms.payment_due d
JOIN oms.sales_order s ON s.merchant_id = d.merchant_id AND s.order_id = d.order_id
WHERE d.due_on IS NOT NULL AND d.open > 0
UNION ALL
SELECT b.merchant_id, b.order_id, b.customer_id, b.company_id, NULL, b.invoice_id, b.invoice_date, b.total - b.credited, b.paid, b.open, b.currency,
	   greatest(z.today - b.invoice_date, 0)
FROM oms.invoice_balance b
JOIN oms.order_calendar z ON z.merchant_id = b.merchant_id AND z.order_id = b.order_id
WHERE b.open > 0 AND NOT EXISTS (SELECT FROM oms.order_term_part t WHERE t.merchant_id = b.merchant_id AND t.order_id = b.order_id);
COMMENT ON VIEW oms.receivable IS 'What is owed and has its day: parts of terms whose event has happened, and invoices of orders without terms, due on their date';
COMMENT ON COLUMN oms.receivable.part_no IS 'Part of the terms; null: the order has none';
COMMENT ON COLUMN oms.receivable.invoice_id IS 'Invoice it falls due with';
COMMENT ON COLUMN oms.receivable.due_on IS 'Last day to pay';
COMMENT ON COLUMN oms.receivable.currency IS 'ISO 4217, the order''s';
COMMENT ON COLUMN oms.receivable.amount IS 'In currency';
COMMENT ON COLUMN oms.receivable.open IS 'Not paid of it, more than 0';
COMMENT ON COLUMN oms.receivable.days_overdue IS 'Days since due_on; 0: not overdue';

CREATE OR REPLACE VIEW oms.receivable_ageing AS
SELECT r.merchant_id, r.customer_id, r.company_id, r.currency, sum(r.open) AS open,
	   coalesce(sum(r.open) FILTER (WHERE r.days_overdue <= 0), 0) AS not_overdue,
	   coalesce(sum(r.open) FILTER (WHERE r.days_overdue BETWEEN 1 AND 30), 0) AS days_1_30,
	   coalesce(sum(r.open) FILTER (WHERE r.days_overdue BETWEEN 31 AND 60), 0) AS days_31_60,
	   coalesce(sum(r.open) FILTER (WHERE r.days_overdue BETWEEN 61 AND 90), 0) AS days_61_90,
	   coalesce(sum(r.open) FILTER (WHERE r.days_overdue > 90), 0) AS days_over_90
FROM oms.receivable r
GROUP BY r.merchant_id, r.customer_id, r.company_id, r.currency;
COMMENT ON VIEW oms.receivable_ageing IS 'Receivables by age, per customer, company and currency: the columns of days sum to open';
COMMENT ON COLUMN oms.receivable_ageing.currency IS 'ISO 4217 of the amounts';
COMMENT ON COLUMN oms.receivable_ageing.open IS 'Sum of receivable.open, in currency';
COMMENT ON COLUMN oms.receivable_ageing.not_overdue IS 'Due today or later';
COMMENT ON COLUMN oms.receivable_ageing.days_1_30 IS 'Overdue since 1 to 30 days';
COMMENT ON COLUMN oms.receivable_ageing.days_31_60 IS 'Overdue since 31 to 60 days';
COMMENT ON COLUMN oms.receivable_ageing.days_61_90 IS 'Overdue since 61 to 90 days';
COMMENT ON COLUMN oms.receivable_ageing.days_over_90 IS 'Overdue since more than 90 days';

CREATE OR REPLACE VIEW oms.verify_terms AS
SELECT b.merchant_id, 'terms_sum'::text AS rule, 'order ' || b.order_id AS object, b.owed::text AS expected, coalesce(d.amount, 0)::text AS found
FROM (SELECT DISTINCT t.merchant_id, t.order_id FROM oms.order_term_part t) t
JOIN oms.payment_balance b ON b.merchant_id = t.merchant_id AND b.order_id = t.order_id
LEFT JOIN LATERAL (SELECT sum(d.amount) AS amount FROM oms.payment_due d WHERE d.merchant_id = t.merchant_id AND d.order_id = t.order_id) d ON true
WHERE b.owed <> coalesce(d.amount, 0)
UNION ALL
SELECT t.merchant_id, 'terms_order', format('order %s part %s', t.order_id, t.part_no), 'one code, a known event, a share above 0', format('%s, %s, %s', t.code, t.event, t.share)
FROM oms.order_term_part t
WHERE t.share <= 0 OR t.event NOT IN ('placed', 'shipped', 'invoiced')
   OR EXISTS (SELECT FROM oms.order_term_part o WHERE o.merchant_id = t.merchant_id AND o.order_id = t.order_id AND o.code <> t.code);
COMMENT ON VIEW oms.verify_terms IS 'Broken invariants of terms: what falls due sums to what is owed';
COMMENT ON COLUMN oms.verify_terms.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_terms.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_terms.object IS 'Where';
COMMENT ON COLUMN oms.verify_terms.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_terms.found IS 'What is';

CREATE OR REPLACE TRIGGER payment_term_part_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.payment_term_part
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER order_term_part_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.order_term_part
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use set_terms().');
CREATE OR REPLACE TRIGGER order_term_part_guard_truncate BEFORE TRUNCATE ON oms.order_term_part
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_append_only();
