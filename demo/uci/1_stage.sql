-- The file as it is: one row per line, nothing changed, nothing left out.

CREATE SCHEMA uci;

CREATE TABLE uci.line (
	line_no		bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	invoice		text NOT NULL,
	code		text NOT NULL,
	description	text,
	quantity	int NOT NULL,
	invoiced_at	timestamp NOT NULL,
	unit_price	numeric NOT NULL,
	customer	text,
	country		text NOT NULL
);
COMMENT ON TABLE uci.line IS 'UCI Online Retail as published; line_no is the place in the file, invoiced_at is London time, money is GBP';
