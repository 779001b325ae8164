-- The five tables of the dump that an order system has a use for. Their
-- columns are single precision there, and so they are here: 9.80000019 is 9.8.

CREATE SCHEMA northwind;
SET search_path = northwind;

CREATE TABLE customers (
	customer_id text PRIMARY KEY, company_name text NOT NULL, contact_name text, contact_title text, address text,
	city text, region text, postal_code text, country text, phone text, fax text
);
CREATE TABLE shippers (shipper_id int PRIMARY KEY, company_name text NOT NULL, phone text);
CREATE TABLE products (
	product_id int PRIMARY KEY, product_name text NOT NULL, supplier_id int, category_id int, quantity_per_unit text,
	unit_price real, units_in_stock int, units_on_order int, reorder_level int, discontinued int
);
CREATE TABLE orders (
	order_id int PRIMARY KEY, customer_id text, employee_id int, order_date date, required_date date, shipped_date date,
	ship_via int REFERENCES shippers, freight real, ship_name text, ship_address text, ship_city text, ship_region text,
	ship_postal_code text, ship_country text
);
CREATE TABLE order_details (
	order_id int NOT NULL REFERENCES orders, product_id int NOT NULL REFERENCES products, unit_price real NOT NULL,
	quantity int NOT NULL, discount real NOT NULL, PRIMARY KEY (order_id, product_id)
);

-- Country names of the dump in the code that an address wants.
CREATE TABLE country (name text PRIMARY KEY, code text NOT NULL);
INSERT INTO country VALUES
	('Argentina', 'AR'), ('Austria', 'AT'), ('Belgium', 'BE'), ('Brazil', 'BR'), ('Canada', 'CA'), ('Denmark', 'DK'), ('Finland', 'FI'),
	('France', 'FR'), ('Germany', 'DE'), ('Ireland', 'IE'), ('Italy', 'IT'), ('Mexico', 'MX'), ('Norway', 'NO'), ('Poland', 'PL'),
	('Portugal', 'PT'), ('Spain', 'ES'), ('Sweden', 'SE'), ('Switzerland', 'CH'), ('UK', 'GB'), ('USA', 'US'), ('Venezuela', 'VE');

-- Freight as exact decimals, when the other dump of the same orders is there.
CREATE TABLE exact_freight (order_id int PRIMARY KEY, freight numeric NOT NULL);
RESET search_path;
