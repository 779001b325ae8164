-- Customers: the secret behind tracking links.

CREATE TABLE IF NOT EXISTS oms.track_secret (
	merchant_id	int PRIMARY KEY REFERENCES oms.merchant,
	secret		text NOT NULL
);
COMMENT ON TABLE oms.track_secret IS 'Secret that tracking tokens of a merchant are made with, seeded with the merchant. Another value makes all links given out worthless';
COMMENT ON COLUMN oms.track_secret.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.track_secret.secret IS 'Random text, readable by the owner alone';

INSERT INTO oms.table_class VALUES ('track_secret', 'merchant', 'customer') ON CONFLICT (table_name) DO NOTHING;

INSERT INTO oms.track_secret (merchant_id, secret)
	SELECT m.merchant_id, gen_random_uuid()::text || gen_random_uuid()::text FROM oms.merchant m
	ON CONFLICT (merchant_id) DO NOTHING;
CREATE OR REPLACE TRIGGER track_secret_seed AFTER INSERT ON oms.merchant
	FOR EACH ROW EXECUTE FUNCTION oms.track_secret_seed();
