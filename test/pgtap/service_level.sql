-- Working time and the clocks of orders: hours, holidays, cut-off, pauses, days of 23 and 25 hours, the end of a year.
BEGIN;
SELECT plan(48);
SET LOCAL TimeZone = 'UTC';

-- Monday to Friday 9 to 17 with a break, Saturday until noon; the clock of Berlin.
INSERT INTO oms.calendar VALUES (1, 'desk', 'Europe/Berlin'), (1, 'night', 'Europe/Berlin'), (1, 'all', 'Europe/Berlin'), (1, 'none', 'UTC');
INSERT INTO oms.calendar_hours SELECT 1, 'desk', d, o, c FROM generate_series(1, 5) d, (VALUES ('09:00'::time, '12:00'::time), ('13:00', '17:00'), ('10:00', '11:00')) v (o, c);
INSERT INTO oms.calendar_hours VALUES (1, 'desk', 6, '09:00', '12:00');
INSERT INTO oms.calendar_hours SELECT 1, 'night', d, o, c FROM generate_series(1, 7) d, (VALUES ('22:00'::time, '24:00'::time), ('00:00', '06:00')) v (o, c);
INSERT INTO oms.calendar_hours SELECT 1, 'all', d, '00:00', '24:00' FROM generate_series(1, 7) d;
INSERT INTO oms.calendar_day (merchant_id, calendar, day, reason) VALUES (1, 'desk', '2026-12-25', 'Christmas'), (1, 'desk', '2027-01-01', 'New Year');
INSERT INTO oms.calendar_day VALUES (1, 'desk', '2026-12-24', '09:00', '12:00', 'Christmas Eve');

CREATE FUNCTION pg_temp.minutes(c text, f timestamptz, u timestamptz, p tstzmultirange DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$ SELECT oms.business_minutes(1, $1, $2, $3, $4) $$;
CREATE FUNCTION pg_temp.due(c text, s timestamptz, m int, d int DEFAULT NULL, cut time DEFAULT NULL, p tstzmultirange DEFAULT NULL) RETURNS text LANGUAGE sql AS
	$$ SELECT to_char(oms.business_due(1, $1, $2, $3, $4, $5, $6) AT TIME ZONE 'Europe/Berlin', 'Dy YYYY-MM-DD HH24:MI') $$;

-- Monday 2026-03-02.
SELECT is(pg_temp.minutes('desk', '2026-03-02 00:00+01', '2026-03-03 00:00+01'), 420::bigint, 'a day, what two rows cover once');
SELECT is(pg_temp.minutes('desk', '2026-03-02 00:00+01', '2026-03-09 00:00+01'), 2280::bigint, 'a week');
SELECT is(pg_temp.minutes('desk', '2026-03-02 11:59:30+01', '2026-03-02 13:00:29+01'), 0::bigint, 'whole minutes alone');
SELECT is(pg_temp.minutes('desk', '2026-03-03 00:00+01', '2026-03-02 16:00+01'), -60::bigint, 'backwards below zero');
SELECT is(pg_temp.minutes('desk', '2026-03-02 00:00+01', '2026-03-03 00:00+01', '{[2026-03-02 08:00+01,2026-03-02 10:00+01),[2026-03-02 12:30+01,2026-03-02 14:00+01)}'), 300::bigint, 'without pauses');
SELECT is(pg_temp.minutes('desk', '2026-03-02 00:00+01', '2026-03-03 00:00+01', '{(,)}'), 0::bigint, 'all of it paused');
SELECT is(pg_temp.due('desk', '2026-03-02 11:00+01', 120), 'Mon 2026-03-02 14:00', 'over the break');
SELECT is(pg_temp.due('desk', '2026-03-02 16:30+01', 60), 'Tue 2026-03-03 09:30', 'over the night');
SELECT is(pg_temp.due('desk', '2026-03-07 11:00+01', 90), 'Mon 2026-03-09 09:30', 'over the week''s end');
SELECT is(pg_temp.due('desk', '2026-03-02 09:00+01', 420), 'Mon 2026-03-02 17:00', 'a whole day ends with it');
SELECT is(pg_temp.due('desk', '2026-03-02 03:00+01', 0), 'Mon 2026-03-02 03:00', 'no time at all is at once');
SELECT is(pg_temp.due('desk', '2026-03-02 09:00+01', 60, p => '{[2026-03-02 09:30+01,2026-03-02 11:30+01)}'), 'Mon 2026-03-02 12:00', 'a pause moves it on');
SELECT is(pg_temp.due('desk', '2026-03-02 09:00+01', NULL, 0), 'Mon 2026-03-02 17:00', 'the same day');
SELECT is(pg_temp.due('desk', '2026-03-02 14:00+01', NULL, 0, '14:00'), 'Tue 2026-03-03 17:00', 'from the cut-off on the next');
SELECT is(pg_temp.due('desk', '2026-03-02 13:59:59+01', NULL, 0, '14:00'), 'Mon 2026-03-02 17:00', 'a second before it not');
SELECT is(pg_temp.due('desk', '2026-03-02 18:00+01', NULL, 0), 'Tue 2026-03-03 17:00', 'nor is a day counted that is over');
SELECT is(pg_temp.due('desk', '2026-03-06 10:00+01', NULL, 2), 'Mon 2026-03-09 17:00', 'Sunday is no working day');
SELECT is(pg_temp.due('desk', '2026-03-06 14:30+01', 60, cut => '14:00'), 'Sat 2026-03-07 10:00', 'minutes have a cut-off too');
SELECT is(pg_temp.due('desk', '2026-03-02 10:00+01', NULL, 0, p => '{[2026-03-02 13:00+01,2026-03-02 14:00+01)}'), 'Tue 2026-03-03 10:00', 'days are moved on by pauses');
SELECT is(pg_temp.due('none', '2026-03-02 10:00+01', 1), NULL, 'a calendar without hours has no end');

-- Holidays, and the end of the year.
SELECT is(pg_temp.due('desk', '2026-12-23 16:00+01', 241), 'Sat 2026-12-26 09:01', 'a short day, and one that is none');
SELECT is(pg_temp.due('desk', '2026-12-31 16:59+01', 2), 'Sat 2027-01-02 09:01', 'over New Year');
SELECT is(pg_temp.due('desk', '2026-12-31 23:30+00', NULL, 0), 'Sat 2027-01-02 12:00', 'the year begins in Berlin first');
SELECT is(pg_temp.minutes('all', '2026-12-31 00:00+01', '2027-01-02 00:00+01'), 2880::bigint, 'two days of it');

-- Berlin, 2026-03-29 has 23 hours, 2026-10-25 has 25.
SELECT is(pg_temp.minutes('all', '2026-03-29 00:00+01', '2026-03-30 00:00+02'), 1380::bigint, 'a day of 23 hours');
SELECT is(pg_temp.minutes('all', '2026-10-25 00:00+02', '2026-10-26 00:00+01'), 1500::bigint, 'a day of 25');
SELECT is(pg_temp.minutes('night', '2026-03-28 12:00+01', '2026-03-29 12:00+02'), 420::bigint, 'a night without an hour');
SELECT is(pg_temp.minutes('night', '2026-10-24 12:00+02', '2026-10-25 12:00+01'), 540::bigint, 'a night with one more');
SELECT is(pg_temp.due('night', '2026-03-28 22:00+01', 240), 'Sun 2026-03-29 03:00', 'four hours, the third of which the clock jumps over');
SELECT is(pg_temp.due('night', '2026-10-24 22:00+02', 300), 'Sun 2026-10-25 02:00', 'five, the last of which comes twice');
SELECT is(pg_temp.due('desk', '2026-03-28 11:00+01', 120), 'Mon 2026-03-30 10:00', 'local hours stay what they are in spring');
SELECT is(pg_temp.due('desk', '2026-10-24 11:00+02', 120), 'Mon 2026-10-26 10:00', 'and in autumn');
INSERT INTO oms.calendar_day VALUES (1, 'all', '2026-03-29', '02:00', '02:30', NULL), (1, 'all', '2026-03-29', '03:00', '04:00', NULL);
SELECT is(pg_temp.minutes('all', '2026-03-29 00:00+01', '2026-03-30 00:00+02'), 60::bigint, 'hours that do not exist count once with those after them; a changed calendar is seen at once');

SELECT throws_ok($$ SELECT oms.business_due(1, 'nowhere', now(), 1) $$, 'OM002', NULL, 'an unknown calendar');
SELECT throws_ok($$ SELECT oms.business_due(1, 'desk', now(), 1, 1) $$, 'OM011', NULL, 'minutes or days');
SELECT throws_ok($$ SELECT oms.business_due(1, 'desk', 'infinity', 1) $$, 'OM011', NULL, 'an instant that is none');
SELECT throws_ok($$ INSERT INTO oms.calendar VALUES (1, 'x', 'Europe/Berlinn') $$, '22023', NULL, 'an unknown time zone');

-- Clocks. Confirmed at once, so there are picked (in two hours), shipped (the same day) and delivered (two days after).
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
SELECT oms.receive_stock(1, 1, 1, 100, 'opening') \g /dev/null
CREATE FUNCTION pg_temp.at(at text) RETURNS void LANGUAGE sql AS $$ SELECT set_config('oms.test_clock', $1, true) $$;
CREATE FUNCTION pg_temp.clocks(o bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', milestone, state, minutes_left), ', ' ORDER BY milestone) FROM oms.order_clock WHERE merchant_id = 1 AND order_id = $1 $$;
SELECT pg_temp.at('2026-03-02 09:00+01') \g /dev/null
SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 2, "unit_price": "10"}]}') AS o, oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 1, "unit_price": "10"}]}') AS gone \gset
SELECT oms.cancel_order(1, :gone) \g /dev/null
SELECT is(pg_temp.clocks(:o), NULL, 'no level, no clock');
INSERT INTO oms.service_level (merchant_id, channel_id, milestone, since, calendar, minutes, pauses) VALUES (1, 0, 'picked', 'confirmed', 'desk', 600, '{}'), (1, 1, 'picked', 'confirmed', 'desk', 120, '{fraud}');
INSERT INTO oms.service_level (merchant_id, milestone, since, calendar, days, minutes) VALUES (1, 'shipped', 'placed', 'desk', 0, NULL), (1, 'delivered', 'shipped', 'all', NULL, 2880);
SELECT is(pg_temp.clocks(:o), 'delivered waiting, picked running 120, shipped running 420', 'the channel''s own first; what waits for another step waits');
SELECT is(pg_temp.clocks(:gone), NULL, 'a cancelled order has none');
SELECT pg_temp.at('2026-03-02 10:30+01') \g /dev/null
SELECT is(pg_temp.clocks(:o), 'delivered waiting, picked due_soon 30, shipped running 330', 'due soon');
SELECT oms.hold(1, :o, 'fraud') \g /dev/null
SELECT pg_temp.at('2026-03-02 13:30+01') \g /dev/null
SELECT is(pg_temp.clocks(:o), 'delivered waiting, picked paused 30, shipped running 210', 'a named hold stops the clock, of that level alone');
SELECT oms.release_hold(1, :o, 'fraud') \g /dev/null
SELECT pg_temp.at('2026-03-02 14:01+01') \g /dev/null
SELECT is(pg_temp.clocks(:o), 'delivered waiting, picked late -1, shipped running 179', 'it goes on where it stood, and is late');
SELECT is((SELECT string_agg(detail, ', ') FROM oms.order_problem WHERE merchant_id = 1 AND order_id = :o AND problem = 'late'), 'not picked, 1 minutes of working time past', 'which is a problem of the order');
SELECT oms.ship_order(1, :o) AS parcel \gset
SELECT is(pg_temp.clocks(:o), 'delivered running 2880, picked missed, shipped met', 'done late, and done in time');
SELECT pg_temp.at('2026-03-04 14:02+01') \g /dev/null
SELECT oms.record_tracking(1, s.shipment_id, 'delivered', '2026-03-04 14:01:01+01', 'd1') FROM oms.shipment s WHERE s.order_id = :o \g /dev/null
SELECT is(pg_temp.clocks(:o), 'delivered missed, picked missed, shipped met', 'by the carrier''s word');
SELECT is((SELECT count(*) FROM oms.order_problem WHERE merchant_id = 1 AND order_id = :o AND problem = 'late'), 0::bigint, 'nothing is late that is done');
SELECT pg_temp.at('') \g /dev/null
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');
SELECT * FROM finish();
ROLLBACK;
