-- Each line of the file gets exactly one class, and with it one place in oms.
-- The rules are told in docs/real-data.md.

-- Codes that are no goods: what kind of charge they become. A code that is
-- neither goods nor in this list is an adjustment.
CREATE TABLE uci.charge_code (code text PRIMARY KEY, kind text NOT NULL, meaning text NOT NULL);
INSERT INTO uci.charge_code VALUES
	('POST', 'shipping', 'postage'), ('DOT', 'shipping', 'postage of the web shop'), ('C2', 'shipping', 'carriage'),
	('AMAZONFEE', 'fee', 'marketplace fee'), ('BANK CHARGES', 'fee', 'bank charges'), ('CRUK', 'fee', 'commission of a charity'),
	('M', 'adjustment', 'entered by hand'), ('D', 'adjustment', 'discount'), ('S', 'adjustment', 'samples'),
	('B', 'adjustment', 'bad debt');

-- Upper and lower case of a code mean the same article. A code is goods when it
-- starts with five digits (or with the web shop's DCGS), and when its price is
-- finer than a penny: an order line keeps such a price, a charge could not.
CREATE TABLE uci.read AS
	SELECT l.line_no, l.invoice, upper(l.code) AS sku, l.quantity, l.unit_price, l.invoiced_at,
			split_part(l.customer, '.', 1) AS customer, l.country, l.description,
			l.invoice LIKE 'C%' AS credit,
			upper(l.code) ~ '^([0-9]{5}|DCGS|PADS$)' OR scale(trim_scale(l.unit_price)) > 2 AS goods,
			bool_or(l.customer IS NOT NULL OR l.unit_price <> 0) OVER (PARTITION BY l.invoice) AS is_sale
	FROM uci.line l;

-- Credits of goods are met with what the same customer bought before, of the
-- same article at the same price: the oldest units first. matched_to is the
-- running sum of units met; it can rise neither past what was credited nor
-- past what had been bought by then, so it is the smaller of the two with
-- every earlier credit looked at again.
CREATE TABLE uci.credit AS
	WITH moves AS (
		SELECT line_no, credit, customer, sku, unit_price, quantity, invoiced_at,
				sum(greatest(quantity, 0)) OVER w AS bought, sum(greatest(-quantity, 0)) OVER w AS credited
		FROM uci.read
		WHERE goods AND customer IS NOT NULL AND unit_price > 0 AND credit = (quantity < 0)
		WINDOW w AS (PARTITION BY customer, sku, unit_price ORDER BY invoiced_at, credit, line_no)
	), met AS (
		SELECT *, credited + least(0, min(bought - credited) FILTER (WHERE credit) OVER w) AS matched_to
		FROM moves
		WINDOW w AS (PARTITION BY customer, sku, unit_price ORDER BY invoiced_at, credit, line_no)
	)
	SELECT line_no, customer, sku, unit_price, -quantity AS units, invoiced_at,
			matched_to - coalesce(lag(matched_to) OVER (PARTITION BY customer, sku, unit_price ORDER BY invoiced_at, line_no), 0) AS matched,
			matched_to
	FROM met
	WHERE credit;

-- Which units of which sale each credit takes: two running sums laid over each other.
-- On the day of the sale nothing has left the house: the units are cancelled. Later they come back as a return.
CREATE TABLE uci.match AS
	WITH sale AS (
		SELECT line_no, customer, sku, unit_price, quantity, invoiced_at,
				sum(quantity) OVER (PARTITION BY customer, sku, unit_price ORDER BY invoiced_at, line_no) AS upto
		FROM uci.read
		WHERE goods AND NOT credit AND quantity > 0 AND customer IS NOT NULL AND unit_price > 0
	)
	SELECT c.line_no AS credit_line, s.line_no AS sale_line,
			(least(c.matched_to, s.upto) - greatest(c.matched_to - c.matched, s.upto - s.quantity))::int AS units,
			c.invoiced_at, c.invoiced_at::date = s.invoiced_at::date AS same_day
	FROM uci.credit c
	JOIN sale s USING (customer, sku, unit_price)
	WHERE least(c.matched_to, s.upto) > greatest(c.matched_to - c.matched, s.upto - s.quantity);

CREATE TABLE uci.class AS
	SELECT r.line_no,
			CASE
				WHEN NOT r.goods AND r.quantity * r.unit_price < 0 THEN 'charge back'
				WHEN NOT r.goods THEN 'charge'
				WHEN r.credit AND c.matched > 0 AND c.matched < c.units THEN 'partly matched'
				WHEN r.credit AND c.matched > 0 AND m.later THEN 'returned'
				WHEN r.credit AND c.matched > 0 THEN 'cancelled'
				WHEN r.credit OR r.quantity * r.unit_price < 0 THEN 'unmatched credit'
				WHEN r.quantity < 0 THEN 'written off'
				WHEN NOT r.is_sale THEN 'found'
				WHEN r.unit_price = 0 THEN 'free'
				WHEN r.customer IS NULL THEN 'sold to guest'
				ELSE 'sold'
			END AS class,
			r.quantity + coalesce(c.matched, 0)::int AS unmatched	-- units of a credit that no sale answers, negative
	FROM uci.read r
	LEFT JOIN uci.credit c USING (line_no)
	LEFT JOIN (SELECT credit_line, bool_or(NOT same_day) AS later FROM uci.match GROUP BY credit_line) m ON m.credit_line = r.line_no;
ALTER TABLE uci.class ADD PRIMARY KEY (line_no);
