-- Two carriers, three services, their tariffs: zones, weight breaks in kg, fuel, a surcharge for what is long.

INSERT INTO oms.carrier (merchant_id, carrier_id, code, name, tracking_url) VALUES
	(1, 1, 'NP', 'Nordpost', 'https://nordpost.example/{tracking_number}'),
	(1, 2, 'HC', 'Harbour Couriers', 'https://harbour.example/t/{tracking_number}');
INSERT INTO oms.carrier_service (merchant_id, service_id, carrier_id, code, name, transit_days, preference) VALUES
	(1, 1, 1, 'PARCEL', 'Nordpost Parcel', 3, 0), (1, 2, 1, 'EXPRESS', 'Nordpost Express', 1, 1), (1, 3, 2, 'ROAD', 'Harbour Road', 4, 0);
INSERT INTO oms.tariff (merchant_id, tariff_id, service_id, name, currency, weight_unit, weight_step, length_unit, divisor, max_weight, fuel_percent, minimum_charge) VALUES
	(1, 1, 1, 'Parcel 2026', 'EUR', 'kg', 0.5, 'cm', 5000, 31.5, 0, 0),
	(1, 2, 2, 'Express 2026', 'EUR', 'kg', 0.5, 'cm', 5000, 20, 12.5, 0),
	(1, 3, 3, 'Road 2026', 'EUR', 'kg', 1, 'cm', 4000, 40, 6, 4);
INSERT INTO oms.tariff_zone (merchant_id, tariff_id, country, zone)
	SELECT 1, t, c, z
	FROM generate_series(1, 3) AS t, (VALUES
		('DE', 'near'), ('DK', 'near'), ('NL', 'near'), ('BE', 'near'), ('AT', 'near'), ('FR', 'mid'), ('SE', 'mid'), ('CZ', 'mid'), ('IT', 'mid'), ('GB', 'mid'),
		('HU', 'far'), ('PT', 'far'), ('ES', 'far'), ('EE', 'far'), ('NO', 'far')) AS v(c, z)
	WHERE NOT (t = 3 AND z = 'far');
INSERT INTO oms.tariff_rate (merchant_id, tariff_id, zone, from_weight, to_weight, price)
	SELECT 1, t, z, w.low, w.high, round((w.price * CASE t WHEN 1 THEN 1 WHEN 2 THEN 2.4 ELSE 0.93 END * CASE z WHEN 'near' THEN 1 WHEN 'mid' THEN 1.7 ELSE 2.3 END)::numeric, 2)
	FROM generate_series(1, 3) AS t, unnest(ARRAY['near', 'mid', 'far']) AS z,
		(VALUES (0, 1, 3.90), (1, 2, 4.60), (2, 5, 5.80), (5, 10, 8.20), (10, 20, 12.50), (20, 31.5, 18.90), (31.5, 40.001, 27.00)) AS w(low, high, price)
	WHERE NOT (t = 3 AND z = 'far');
INSERT INTO oms.tariff_surcharge (merchant_id, tariff_id, code, amount, over_side) VALUES (1, 1, 'long', 4.50, 60), (1, 3, 'long', 3.00, 80);
SELECT oms.activate_tariff(1, t) FROM generate_series(1, 3) AS t;
