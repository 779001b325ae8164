-- Shipping: tariffs and what a parcel costs.

CREATE FUNCTION oms.tariff_guard() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'oms_tariff_guard';
COMMENT ON FUNCTION oms.tariff_guard() IS 'A tariff begins as a draft, becomes active by activate_tariff() alone (OM009), and is frozen from then on but for its name and end (OM008)';

CREATE FUNCTION oms.tariff_part_guard() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'oms_tariff_part_guard';
COMMENT ON FUNCTION oms.tariff_part_guard() IS 'Zones, rates and surcharges change only while their tariff is a draft (OM008); zones are written the one way they are compared';

CREATE FUNCTION oms.activate_tariff(merchant int, tariff bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_activate_tariff';
COMMENT ON FUNCTION oms.activate_tariff(int, bigint, text, text, text) IS 'Checks a draft tariff and freezes it: from valid_from on its service is quoted with it. Returns the tariff. Raises OM002 (no such tariff), OM008 (not a draft, or valid at the same time as another active tariff of the service), OM016 (no zones, a zone without rates, a gap between weight breaks)';

CREATE FUNCTION oms.rate_shop(merchant int, from_location int, to_address jsonb, parcels jsonb, at timestamptz DEFAULT NULL, from_address jsonb DEFAULT NULL,
	OUT rank int, OUT carrier text, OUT service text, OUT currency text, OUT price numeric, OUT transit_days int, OUT refusal text, OUT detail text,
	OUT zone text, OUT base numeric, OUT discount numeric, OUT accessorials numeric, OUT fuel numeric, OUT handling numeric, OUT tax numeric,
	OUT tariff_id bigint, OUT tariff text, OUT weight_unit text, OUT parcel_parts jsonb)
	RETURNS SETOF record LANGUAGE C STABLE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_rate_shop';
COMMENT ON FUNCTION oms.rate_shop(int, int, jsonb, jsonb, timestamptz, jsonb) IS 'What a shipment costs with each active service, or why the service refuses it. From a location or, with from_location null, from from_address; addresses are documents with at least country (ISO alpha-2), and postcode, region, company, residential (where residential is absent, an address without company is residential). parcels: [{"weight_g":1200,"length_mm":300,"width_mm":200,"height_mm":100}], sides optional. at: the instant whose tariffs count, default now.
Rows: first the services with a price, rank 1 the cheapest, ties by transit days, preference, carrier, service; then the refused ones with refusal (no_tariff, no_zone, over_weight, over_side, over_girth, no_rate) and detail. price = base + discount + accessorials + fuel + handling + tax, each in currency; parcel_parts has billable weight (in weight_unit), base and surcharges of each parcel. Raises OM002 (no such location or merchant), OM003 (malformed document), OM011 (argument missing), OM016 (location without address, tariff unusable)';
