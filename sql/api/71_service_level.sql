-- Working time, by which service levels are kept.

CREATE FUNCTION oms.business_minutes(merchant int, calendar text, from_at timestamptz, until_at timestamptz, pauses tstzmultirange DEFAULT NULL)
	RETURNS bigint STABLE LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_business_minutes';
COMMENT ON FUNCTION oms.business_minutes(int, text, timestamptz, timestamptz, tstzmultirange) IS 'Whole minutes of working time of a calendar between two instants (UTC), without what lies in pauses; below zero when until_at is before from_at. Hours are those of the calendar''s time zone on each day: a day of 23 or 25 hours has what its clocks show. Raises OM002 (no such calendar), OM011';

CREATE FUNCTION oms.business_due(merchant int, calendar text, start timestamptz, minutes int DEFAULT NULL, days int DEFAULT NULL, cut_off time DEFAULT NULL, pauses tstzmultirange DEFAULT NULL)
	RETURNS timestamptz STABLE LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_business_due';
COMMENT ON FUNCTION oms.business_due(int, text, timestamptz, int, int, time, tstzmultirange) IS 'When so much working time of a calendar has passed since start (UTC instants): minutes of it, or days: until the close of business of the so-manieth working day after the first that has working time left (0: of that day itself). From cut_off on (time of day in the calendar''s time zone) it starts with the next day. Pauses do not count, and move the end on by as much working time as lies in them. Null: not within ten years. Raises OM002 (no such calendar), OM011';
