-- Reference data from the file: a channel, a location, articles, customers, opening stock.

CREATE TABLE uci.country (name text PRIMARY KEY, code text NOT NULL);
\copy uci.country FROM 'uci/countries.csv' WITH (FORMAT csv, HEADER)

INSERT INTO oms.location (merchant_id, location_id, code, name, time_zone) VALUES (1, 11, 'UCI', 'Warehouse', 'Europe/London');
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, time_zone, tax_included)
VALUES (1, 11, 'uci', 'UCI Online Retail', 'GBP', 'Europe/London', true);
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 11, 11);

-- An article's title is the one it was sold under most often; only sales count, for write-offs say things like "damaged?".
INSERT INTO oms.item (merchant_id, sku, title)
	SELECT DISTINCT ON (sku) 1, sku, coalesce(title, 'Article ' || sku)
	FROM (
		SELECT sku, CASE WHEN unit_price > 0 THEN trim(description) END AS title, count(*) AS lines
		FROM uci.read
		WHERE goods
		GROUP BY 1, 2
	) AS t
	ORDER BY sku, title IS NULL, lines DESC, title;

-- Codes that appear in another case too: the channel's own spelling.
INSERT INTO oms.item_alias (merchant_id, channel_id, sku, item_id)
	SELECT DISTINCT 1, 11, l.code, i.item_id
	FROM uci.line l
	JOIN oms.item i ON i.merchant_id = 1 AND i.sku = upper(l.code)
	WHERE l.code <> upper(l.code);

-- Six customers moved; the address of an order is that of its invoice anyhow.
INSERT INTO oms.customer (merchant_id, external_ref, name, ship_to)
	SELECT DISTINCT ON (customer) 1, customer, 'Customer ' || customer, jsonb_strip_nulls(jsonb_build_object('name', 'Customer ' || customer, 'country', c.code))
	FROM uci.read r
	LEFT JOIN uci.country c ON c.name = r.country
	WHERE customer IS NOT NULL
	ORDER BY customer, invoiced_at DESC;

-- The file starts with full shelves and does not say how full: what left the house later must have been there.
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, at)
	SELECT 1, 11, i.item_id, 'opening', sum(abs(r.quantity)), 'opening: all that the file sells or writes off', '2010-12-01 00:00 Europe/London'
	FROM uci.read r
	JOIN uci.class c USING (line_no)
	JOIN oms.item i ON i.merchant_id = 1 AND i.sku = r.sku
	WHERE c.class IN ('sold', 'sold to guest', 'free', 'written off')
	GROUP BY i.item_id;
