-- Core: what every domain stands on. Executed by oms.install(); each statement may be run again.

CREATE TABLE IF NOT EXISTS oms.table_class (
	table_name	text PRIMARY KEY,
	class		text NOT NULL CHECK (class IN ('merchant', 'reference', 'local')),
	domain		text NOT NULL
);
COMMENT ON TABLE oms.table_class IS 'Class of each table: merchant (has merchant_id first in every key), reference (small, the same for all), local (belongs to this node, rebuilt after restore)';
COMMENT ON COLUMN oms.table_class.table_name IS 'Table name without schema';
COMMENT ON COLUMN oms.table_class.class IS 'merchant, reference or local';
COMMENT ON COLUMN oms.table_class.domain IS 'Domain that owns the table: core, catalogue, inventory, order, payment, fulfilment, shipping, returns, event, customer';

CREATE TABLE IF NOT EXISTS oms.currency (
	code			text PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
	numeric_code	smallint NOT NULL,
	exponent		smallint NOT NULL CHECK (exponent BETWEEN 0 AND 4),
	name			text NOT NULL
);
COMMENT ON TABLE oms.currency IS 'ISO 4217 currencies with their minor-unit exponents';
COMMENT ON COLUMN oms.currency.code IS 'ISO 4217 alphabetic code';
COMMENT ON COLUMN oms.currency.numeric_code IS 'ISO 4217 numeric code';
COMMENT ON COLUMN oms.currency.exponent IS 'Decimal places of the smallest unit: 0 (JPY), 2 (EUR), 3 (KWD)';
COMMENT ON COLUMN oms.currency.name IS 'English name';

CREATE TABLE IF NOT EXISTS oms.merchant (
	merchant_id	int PRIMARY KEY CHECK (merchant_id > 0),
	name		text NOT NULL,
	currency	text NOT NULL REFERENCES oms.currency,
	time_zone	text NOT NULL DEFAULT 'UTC'
);
COMMENT ON TABLE oms.merchant IS 'One shop, brand or 3PL client: the boundary of every key and of row security. install() creates merchant 1';
COMMENT ON COLUMN oms.merchant.merchant_id IS 'First column of every key';
COMMENT ON COLUMN oms.merchant.name IS 'Trading name';
COMMENT ON COLUMN oms.merchant.currency IS 'Base currency of reports, ISO 4217';
COMMENT ON COLUMN oms.merchant.time_zone IS 'IANA time zone of the merchant''s business day';

CREATE TABLE IF NOT EXISTS oms.setting_definition (
	name			text PRIMARY KEY,
	default_value	text NOT NULL,
	allowed			text[],
	description		text NOT NULL
);
COMMENT ON TABLE oms.setting_definition IS 'Settings that exist, with default and allowed values';
COMMENT ON COLUMN oms.setting_definition.name IS 'Setting name';
COMMENT ON COLUMN oms.setting_definition.default_value IS 'Value where neither channel nor merchant says otherwise';
COMMENT ON COLUMN oms.setting_definition.allowed IS 'Allowed values; null where any text is';
COMMENT ON COLUMN oms.setting_definition.description IS 'What the setting decides';

CREATE TABLE IF NOT EXISTS oms.setting (
	merchant_id	int NOT NULL REFERENCES oms.merchant,
	channel_id	int NOT NULL DEFAULT 0,
	name		text NOT NULL REFERENCES oms.setting_definition,
	value		text NOT NULL,
	PRIMARY KEY (merchant_id, channel_id, name)
);
COMMENT ON TABLE oms.setting IS 'Settings by level: the channel''s row decides, else the merchant''s (channel_id 0), else the default. Write with set_setting()';
COMMENT ON COLUMN oms.setting.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.setting.channel_id IS 'Channel, or 0 for the whole merchant';
COMMENT ON COLUMN oms.setting.name IS 'Setting name';
COMMENT ON COLUMN oms.setting.value IS 'Value as text';

CREATE TABLE IF NOT EXISTS oms.request (
	merchant_id		int NOT NULL,
	request_key		text COLLATE "C" NOT NULL,
	command			text NOT NULL,
	content_hash	bigint NOT NULL,
	result			bigint,
	at				timestamptz NOT NULL,
	PRIMARY KEY (merchant_id, request_key)
);
COMMENT ON TABLE oms.request IS 'Idempotency: one row per request key. The same key with the same content answers the first result, with other content it is refused (OM010). Rows are removed by purge_requests()';
COMMENT ON COLUMN oms.request.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.request.request_key IS 'Key chosen by the caller, unique per merchant';
COMMENT ON COLUMN oms.request.command IS 'Command the key was used for';
COMMENT ON COLUMN oms.request.content_hash IS '64-bit hash of command and arguments';
COMMENT ON COLUMN oms.request.result IS 'Id the command returned: order, payment, fulfilment, return or refund';
COMMENT ON COLUMN oms.request.at IS 'When the first call ran (UTC instant)';

CREATE TABLE IF NOT EXISTS oms.node (
	only_row			boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	system_identifier	bigint NOT NULL,
	tx_base				bigint NOT NULL
);
COMMENT ON TABLE oms.node IS 'The cluster whose transaction ids the event positions follow. After restore into another cluster the base is moved so that positions go on rising';
COMMENT ON COLUMN oms.node.only_row IS 'Always true: the table has one row';
COMMENT ON COLUMN oms.node.system_identifier IS 'pg_control system identifier of the cluster';
COMMENT ON COLUMN oms.node.tx_base IS 'Added to the transaction id to give event.tx';

CREATE OR REPLACE TRIGGER currency_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.currency
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER currency_exponent BEFORE UPDATE OF exponent ON oms.currency
	FOR EACH ROW WHEN (old.exponent <> new.exponent)
	EXECUTE FUNCTION oms.guard_append_only('Amounts are held in that unit; a currency that is redenominated has a new code.');
CREATE OR REPLACE TRIGGER currency_truncate BEFORE TRUNCATE ON oms.currency
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_append_only('Orders and prices name currencies.');
CREATE OR REPLACE TRIGGER setting_definition_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.setting_definition
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER setting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.setting
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER setting_guard BEFORE INSERT OR UPDATE ON oms.setting
	FOR EACH ROW EXECUTE FUNCTION oms.setting_guard();
CREATE OR REPLACE TRIGGER node_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.node
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER merchant_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.merchant
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER merchant_guard BEFORE UPDATE OR DELETE ON oms.merchant
	FOR EACH ROW EXECUTE FUNCTION oms.guard_parent('Merchants stay; revoke access instead.');

INSERT INTO oms.table_class VALUES
	('table_class', 'reference', 'core'), ('currency', 'reference', 'core'), ('merchant', 'merchant', 'core'),
	('setting_definition', 'reference', 'core'), ('setting', 'merchant', 'core'), ('request', 'merchant', 'core'),
	('node', 'local', 'core')
	ON CONFLICT (table_name) DO NOTHING;

INSERT INTO oms.setting_definition VALUES
	('rounding', 'half-even', '{half-even,half-up}', 'How a computed amount is rounded to the currency''s smallest unit'),
	('allocation', 'strict', '{strict,backorder,none}', 'What placing does on shortage: strict refuses the order (OM001), backorder promises what is there and backorders the rest, none reserves nothing'),
	('confirmation', 'auto', '{auto,manual}', 'Whether a placed order without holds is confirmed at once')
	ON CONFLICT (name) DO NOTHING;

-- ISO 4217 (maintained list of active currencies with a minor unit).
INSERT INTO oms.currency VALUES
	('AED', 784, 2, 'UAE Dirham'),
	('AFN', 971, 2, 'Afghani'),
	('ALL', 8, 2, 'Lek'),
	('AMD', 51, 2, 'Armenian Dram'),
	('AOA', 973, 2, 'Kwanza'),
	('ARS', 32, 2, 'Argentine Peso'),
	('AUD', 36, 2, 'Australian Dollar'),
	('AWG', 533, 2, 'Aruban Florin'),
	('AZN', 944, 2, 'Azerbaijan Manat'),
	('BAM', 977, 2, 'Convertible Mark'),
	('BBD', 52, 2, 'Barbados Dollar'),
	('BDT', 50, 2, 'Taka'),
	('BHD', 48, 3, 'Bahraini Dinar'),
	('BIF', 108, 0, 'Burundi Franc'),
	('BMD', 60, 2, 'Bermudian Dollar'),
	('BND', 96, 2, 'Brunei Dollar'),
	('BOB', 68, 2, 'Boliviano'),
	('BOV', 984, 2, 'Mvdol'),
	('BRL', 986, 2, 'Brazilian Real'),
	('BSD', 44, 2, 'Bahamian Dollar'),
	('BTN', 64, 2, 'Ngultrum'),
	('BWP', 72, 2, 'Pula'),
	('BYN', 933, 2, 'Belarusian Ruble'),
	('BZD', 84, 2, 'Belize Dollar'),
	('CAD', 124, 2, 'Canadian Dollar'),
	('CDF', 976, 2, 'Congolese Franc'),
	('CHE', 947, 2, 'WIR Euro'),
	('CHF', 756, 2, 'Swiss Franc'),
	('CHW', 948, 2, 'WIR Franc'),
	('CLF', 990, 4, 'Unidad de Fomento'),
	('CLP', 152, 0, 'Chilean Peso'),
	('CNY', 156, 2, 'Yuan Renminbi'),
	('COP', 170, 2, 'Colombian Peso'),
	('COU', 970, 2, 'Unidad de Valor Real'),
	('CRC', 188, 2, 'Costa Rican Colon'),
	('CUP', 192, 2, 'Cuban Peso'),
	('CVE', 132, 2, 'Cabo Verde Escudo'),
	('CZK', 203, 2, 'Czech Koruna'),
	('DJF', 262, 0, 'Djibouti Franc'),
	('DKK', 208, 2, 'Danish Krone'),
	('DOP', 214, 2, 'Dominican Peso'),
	('DZD', 12, 2, 'Algerian Dinar'),
	('EGP', 818, 2, 'Egyptian Pound'),
	('ERN', 232, 2, 'Nakfa'),
	('ETB', 230, 2, 'Ethiopian Birr'),
	('EUR', 978, 2, 'Euro'),
	('FJD', 242, 2, 'Fiji Dollar'),
	('FKP', 238, 2, 'Falkland Islands Pound'),
	('GBP', 826, 2, 'Pound Sterling'),
	('GEL', 981, 2, 'Lari'),
	('GHS', 936, 2, 'Ghana Cedi'),
	('GIP', 292, 2, 'Gibraltar Pound'),
	('GMD', 270, 2, 'Dalasi'),
	('GNF', 324, 0, 'Guinean Franc'),
	('GTQ', 320, 2, 'Quetzal'),
	('GYD', 328, 2, 'Guyana Dollar'),
	('HKD', 344, 2, 'Hong Kong Dollar'),
	('HNL', 340, 2, 'Lempira'),
	('HTG', 332, 2, 'Gourde'),
	('HUF', 348, 2, 'Forint'),
	('IDR', 360, 2, 'Rupiah'),
	('ILS', 376, 2, 'New Israeli Sheqel'),
	('INR', 356, 2, 'Indian Rupee'),
	('IQD', 368, 3, 'Iraqi Dinar'),
	('IRR', 364, 2, 'Iranian Rial'),
	('ISK', 352, 0, 'Iceland Krona'),
	('JMD', 388, 2, 'Jamaican Dollar'),
	('JOD', 400, 3, 'Jordanian Dinar'),
	('JPY', 392, 0, 'Yen'),
	('KES', 404, 2, 'Kenyan Shilling'),
	('KGS', 417, 2, 'Som'),
	('KHR', 116, 2, 'Riel'),
	('KMF', 174, 0, 'Comorian Franc '),
	('KPW', 408, 2, 'North Korean Won'),
	('KRW', 410, 0, 'Won'),
	('KWD', 414, 3, 'Kuwaiti Dinar'),
	('KYD', 136, 2, 'Cayman Islands Dollar'),
	('KZT', 398, 2, 'Tenge'),
	('LAK', 418, 2, 'Lao Kip'),
	('LBP', 422, 2, 'Lebanese Pound'),
	('LKR', 144, 2, 'Sri Lanka Rupee'),
	('LRD', 430, 2, 'Liberian Dollar'),
	('LSL', 426, 2, 'Loti'),
	('LYD', 434, 3, 'Libyan Dinar'),
	('MAD', 504, 2, 'Moroccan Dirham'),
	('MDL', 498, 2, 'Moldovan Leu'),
	('MGA', 969, 2, 'Malagasy Ariary'),
	('MKD', 807, 2, 'Denar'),
	('MMK', 104, 2, 'Kyat'),
	('MNT', 496, 2, 'Tugrik'),
	('MOP', 446, 2, 'Pataca'),
	('MRU', 929, 2, 'Ouguiya'),
	('MUR', 480, 2, 'Mauritius Rupee'),
	('MVR', 462, 2, 'Rufiyaa'),
	('MWK', 454, 2, 'Malawi Kwacha'),
	('MXN', 484, 2, 'Mexican Peso'),
	('MXV', 979, 2, 'Mexican Unidad de Inversion (UDI)'),
	('MYR', 458, 2, 'Malaysian Ringgit'),
	('MZN', 943, 2, 'Mozambique Metical'),
	('NAD', 516, 2, 'Namibia Dollar'),
	('NGN', 566, 2, 'Naira'),
	('NIO', 558, 2, 'Cordoba Oro'),
	('NOK', 578, 2, 'Norwegian Krone'),
	('NPR', 524, 2, 'Nepalese Rupee'),
	('NZD', 554, 2, 'New Zealand Dollar'),
	('OMR', 512, 3, 'Rial Omani'),
	('PAB', 590, 2, 'Balboa'),
	('PEN', 604, 2, 'Sol'),
	('PGK', 598, 2, 'Kina'),
	('PHP', 608, 2, 'Philippine Peso'),
	('PKR', 586, 2, 'Pakistan Rupee'),
	('PLN', 985, 2, 'Zloty'),
	('PYG', 600, 0, 'Guarani'),
	('QAR', 634, 2, 'Qatari Rial'),
	('RON', 946, 2, 'Romanian Leu'),
	('RSD', 941, 2, 'Serbian Dinar'),
	('RUB', 643, 2, 'Russian Ruble'),
	('RWF', 646, 0, 'Rwanda Franc'),
	('SAR', 682, 2, 'Saudi Riyal'),
	('SBD', 90, 2, 'Solomon Islands Dollar'),
	('SCR', 690, 2, 'Seychelles Rupee'),
	('SDG', 938, 2, 'Sudanese Pound'),
	('SEK', 752, 2, 'Swedish Krona'),
	('SGD', 702, 2, 'Singapore Dollar'),
	('SHP', 654, 2, 'Saint Helena Pound'),
	('SLE', 925, 2, 'Leone'),
	('SOS', 706, 2, 'Somali Shilling'),
	('SRD', 968, 2, 'Surinam Dollar'),
	('SSP', 728, 2, 'South Sudanese Pound'),
	('STN', 930, 2, 'Dobra'),
	('SVC', 222, 2, 'El Salvador Colon'),
	('SYP', 760, 2, 'Syrian Pound'),
	('SZL', 748, 2, 'Lilangeni'),
	('THB', 764, 2, 'Baht'),
	('TJS', 972, 2, 'Somoni'),
	('TMT', 934, 2, 'Turkmenistan New Manat'),
	('TND', 788, 3, 'Tunisian Dinar'),
	('TOP', 776, 2, 'Pa''anga'),
	('TRY', 949, 2, 'Turkish Lira'),
	('TTD', 780, 2, 'Trinidad and Tobago Dollar'),
	('TWD', 901, 2, 'New Taiwan Dollar'),
	('TZS', 834, 2, 'Tanzanian Shilling'),
	('UAH', 980, 2, 'Hryvnia'),
	('UGX', 800, 0, 'Uganda Shilling'),
	('USD', 840, 2, 'US Dollar'),
	('USN', 997, 2, 'US Dollar (Next day)'),
	('UYI', 940, 0, 'Uruguay Peso en Unidades Indexadas (UI)'),
	('UYU', 858, 2, 'Peso Uruguayo'),
	('UYW', 927, 4, 'Unidad Previsional'),
	('UZS', 860, 2, 'Uzbekistan Sum'),
	('VED', 926, 2, 'Bolivar Soberano'),
	('VES', 928, 2, 'Bolivar Soberano'),
	('VND', 704, 0, 'Dong'),
	('VUV', 548, 0, 'Vatu'),
	('WST', 882, 2, 'Tala'),
	('XAD', 396, 2, 'Arab Accounting Dinar'),
	('XAF', 950, 0, 'CFA Franc BEAC'),
	('XCD', 951, 2, 'East Caribbean Dollar'),
	('XCG', 532, 2, 'Caribbean Guilder'),
	('XOF', 952, 0, 'CFA Franc BCEAO'),
	('XPF', 953, 0, 'CFP Franc'),
	('YER', 886, 2, 'Yemeni Rial'),
	('ZAR', 710, 2, 'Rand'),
	('ZMW', 967, 2, 'Zambian Kwacha'),
	('ZWG', 924, 2, 'Zimbabwe Gold')
	ON CONFLICT (code) DO NOTHING;

-- The one shop of a database that serves one shop.  transition rows follow when the order tables exist.
INSERT INTO oms.merchant VALUES (1, 'Shop', 'EUR', 'UTC') ON CONFLICT (merchant_id) DO NOTHING;
