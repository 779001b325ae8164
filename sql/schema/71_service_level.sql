-- Service levels: by when each step of an order is to be done, in working time. Read from what happened, nothing is written for it.

CREATE TABLE IF NOT EXISTS oms.calendar (
	merchant_id	int NOT NULL REFERENCES oms.merchant,
	calendar	text NOT NULL CHECK (calendar <> '' AND length(calendar) <= 200),
	time_zone	text NOT NULL CHECK (timestamp '2000-01-01' AT TIME ZONE time_zone IS NOT NULL),
	PRIMARY KEY (merchant_id, calendar)
);
COMMENT ON TABLE oms.calendar IS 'Calendars of working time. Plain INSERT, UPDATE and DELETE, as of their hours and days';
COMMENT ON COLUMN oms.calendar.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.calendar.calendar IS 'Name';
COMMENT ON COLUMN oms.calendar.time_zone IS 'IANA time zone of its hours and days';

CREATE TABLE IF NOT EXISTS oms.calendar_hours (
	merchant_id	int NOT NULL,
	calendar	text NOT NULL,
	weekday		int NOT NULL CHECK (weekday BETWEEN 1 AND 7),
	opens		time NOT NULL,
	closes		time NOT NULL CHECK (closes > opens),
	PRIMARY KEY (merchant_id, calendar, weekday, opens),
	FOREIGN KEY (merchant_id, calendar) REFERENCES oms.calendar
);
COMMENT ON TABLE oms.calendar_hours IS 'Working hours of a week. What two rows of a day both cover counts once; a shift over midnight is two rows';
COMMENT ON COLUMN oms.calendar_hours.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.calendar_hours.calendar IS 'Calendar';
COMMENT ON COLUMN oms.calendar_hours.weekday IS '1 Monday to 7 Sunday';
COMMENT ON COLUMN oms.calendar_hours.opens IS 'From this time of day on, in the calendar''s time zone';
COMMENT ON COLUMN oms.calendar_hours.closes IS 'Until this time of day; 24:00 is midnight';

CREATE TABLE IF NOT EXISTS oms.calendar_day (
	merchant_id	int NOT NULL,
	calendar	text NOT NULL,
	day			date NOT NULL CHECK (day BETWEEN '0001-01-01' AND '9999-12-31'),
	opens		time NOT NULL DEFAULT '00:00',
	closes		time NOT NULL DEFAULT '00:00' CHECK (closes >= opens),
	reason		text,
	PRIMARY KEY (merchant_id, calendar, day, opens),
	FOREIGN KEY (merchant_id, calendar) REFERENCES oms.calendar
);
COMMENT ON TABLE oms.calendar_day IS 'Days that are not like their weekday: holidays, short days, days worked for once. A day with a row here has these hours alone';
COMMENT ON COLUMN oms.calendar_day.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.calendar_day.calendar IS 'Calendar';
COMMENT ON COLUMN oms.calendar_day.day IS 'Date in the calendar''s time zone';
COMMENT ON COLUMN oms.calendar_day.opens IS 'From this time of day on';
COMMENT ON COLUMN oms.calendar_day.closes IS 'Until this time of day; the same as opens: closed';
COMMENT ON COLUMN oms.calendar_day.reason IS 'Why, such as the name of the holiday';

CREATE TABLE IF NOT EXISTS oms.service_level (
	merchant_id		int NOT NULL REFERENCES oms.merchant,
	channel_id		int NOT NULL DEFAULT 0,
	service_id		int NOT NULL DEFAULT 0,
	milestone		text NOT NULL CHECK (milestone IN ('confirmed', 'picked', 'shipped', 'delivered')),
	valid_from		timestamptz NOT NULL DEFAULT '-infinity',
	since			text NOT NULL DEFAULT 'placed' CHECK (since IN ('placed', 'confirmed', 'picked', 'shipped')),
	calendar		text NOT NULL,
	minutes			int CHECK (minutes >= 0),
	days			int CHECK (days BETWEEN 0 AND 1000),
	cut_off			time,
	warn_minutes	int NOT NULL DEFAULT 60 CHECK (warn_minutes >= 0),
	pauses			text[] NOT NULL DEFAULT '{}',
	PRIMARY KEY (merchant_id, channel_id, service_id, milestone, valid_from),
	FOREIGN KEY (merchant_id, calendar) REFERENCES oms.calendar,
	CHECK (minutes IS NULL OR days IS NULL),
	CHECK (since <> milestone)
);
COMMENT ON TABLE oms.service_level IS 'By when orders are to reach a milestone. Of the rows in force when an order was placed, for each milestone: its channel''s before that of all channels, of these that of the service it was shipped with before that of all services, of these the latest. Plain INSERT, UPDATE and DELETE';
COMMENT ON COLUMN oms.service_level.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.service_level.channel_id IS 'Channel; 0: every channel that has no row of its own for the milestone';
COMMENT ON COLUMN oms.service_level.service_id IS 'Carrier service that a shipment of the order went with; 0: any, or not shipped yet';
COMMENT ON COLUMN oms.service_level.milestone IS 'confirmed, picked, shipped or delivered: the whole order, without what was cancelled';
COMMENT ON COLUMN oms.service_level.valid_from IS 'For orders placed from then on (UTC instant)';
COMMENT ON COLUMN oms.service_level.since IS 'Milestone that the time counts from: placed, confirmed, picked, shipped';
COMMENT ON COLUMN oms.service_level.calendar IS 'Calendar by which it counts';
COMMENT ON COLUMN oms.service_level.minutes IS 'Minutes of working time; neither these nor days: no target';
COMMENT ON COLUMN oms.service_level.days IS 'Instead of minutes: until the close of business of the so-manieth working day after the one it starts on; 0: of that day';
COMMENT ON COLUMN oms.service_level.cut_off IS 'What starts from this time of day on starts with the next working day; null: no cut-off';
COMMENT ON COLUMN oms.service_level.warn_minutes IS 'Due soon: no more than so many minutes of working time are left';
COMMENT ON COLUMN oms.service_level.pauses IS 'Kinds of holds while which the clock stands still; * for all kinds';

INSERT INTO oms.table_class VALUES ('calendar', 'merchant', 'order'), ('calendar_hours', 'merchant', 'order'), ('calendar_day', 'merchant', 'order'),
	('service_level', 'merchant', 'order') ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE TRIGGER calendar_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.calendar
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER calendar_hours_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.calendar_hours
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER calendar_day_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.calendar_day
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();

CREATE OR REPLACE VIEW oms.order_milestone AS
SELECT o.merchant_id, o.order_id, 'placed' AS milestone, o.placed_at AS at
FROM oms.sales_order o
UNION ALL
SELECT o.merchant_id, o.order_id, 'confirmed', coalesce((SELECT min(e.at) FROM oms.event e
	WHERE e.merchant_id = o.merchant_id AND e.order_id = o.order_id
		AND (e.type = 'order.confirmed' OR e.type IN ('order.placed', 'order.transitioned') AND coalesce(e.data ->> 'to', e.data ->> 'lifecycle') IN ('confirmed', 'completed'))), o.placed_at)
FROM oms.sales_order o
WHERE o.lifecycle IN ('confirmed', 'completed')
UNION ALL
SELECT o.merchant_id, o.order_id, 'picked', coalesce((SELECT max(e.at) FROM oms.event e
		WHERE e.merchant_id = o.merchant_id AND e.order_id = o.order_id AND e.type = 'fulfilment.picked'),
	(SELECT max(s.shipped_at) FROM oms.shipment s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id AND s.kind <> 'forward'), o.placed_at)
FROM oms.sales_order o
WHERE o.lifecycle <> 'cancelled' AND NOT EXISTS (SELECT 1 FROM oms.order_line l
	WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.picked < l.ordered - l.cancelled)
UNION ALL
SELECT o.merchant_id, o.order_id, 'shipped',
	coalesce((SELECT max(s.shipped_at) FROM oms.shipment s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id AND s.kind <> 'forward'), o.placed_at)
FROM oms.sales_order o
WHERE o.fulfilment_state IN ('fulfilled', 'delivered')
UNION ALL
SELECT o.merchant_id, o.order_id, 'delivered',
	coalesce((SELECT max(s.delivered_at) FROM oms.shipment s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id), o.placed_at)
FROM oms.sales_order o
WHERE o.fulfilment_state = 'delivered';
COMMENT ON VIEW oms.order_milestone IS 'When each order reached the milestones that it has reached, all of its units that are not cancelled; read from its events and shipments. Ask for one order';
COMMENT ON COLUMN oms.order_milestone.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_milestone.order_id IS 'Order';
COMMENT ON COLUMN oms.order_milestone.milestone IS 'placed, confirmed, picked, shipped, delivered';
COMMENT ON COLUMN oms.order_milestone.at IS 'When (UTC instant); where its events were purged, placed_at';

CREATE OR REPLACE VIEW oms.order_clock AS
SELECT c.merchant_id, c.order_id, c.channel_id, c.placed_at, c.milestone, c.since, c.calendar, c.started_at, c.due_at, c.reached_at,
	CASE WHEN c.reached_at IS NULL AND c.due_at IS NOT NULL THEN oms.business_minutes(c.merchant_id, c.calendar, oms.clock(), c.due_at) END AS minutes_left,
	CASE WHEN c.reached_at <= c.due_at THEN 'met' WHEN c.reached_at > c.due_at THEN 'missed'
		WHEN c.due_at IS NULL THEN 'waiting' WHEN c.due_at < oms.clock() THEN 'late' WHEN c.paused THEN 'paused'
		WHEN oms.business_minutes(c.merchant_id, c.calendar, oms.clock(), c.due_at) <= c.warn_minutes THEN 'due_soon' ELSE 'running' END AS state
FROM (
	SELECT o.merchant_id, o.order_id, o.channel_id, o.placed_at, s.milestone, s.since, s.calendar, s.warn_minutes, f.at AS started_at, r.at AS reached_at,
		h.open AS paused, d.due_at
	FROM oms.sales_order o
	CROSS JOIN LATERAL (
		SELECT DISTINCT ON (s.milestone) s.* FROM oms.service_level s
		WHERE s.merchant_id = o.merchant_id AND s.channel_id IN (0, o.channel_id) AND s.valid_from <= o.placed_at
			AND (s.service_id = 0 OR EXISTS (SELECT 1 FROM oms.shipment p
				WHERE p.merchant_id = o.merchant_id AND p.order_id = o.order_id AND p.service_id = s.service_id))
		ORDER BY s.milestone, s.channel_id = 0, s.service_id = 0, s.valid_from DESC) s
	CROSS JOIN LATERAL (SELECT (SELECT m.at FROM oms.order_milestone m
		WHERE m.merchant_id = o.merchant_id AND m.order_id = o.order_id AND m.milestone = s.since) AS at OFFSET 0) f
	CROSS JOIN LATERAL (SELECT (SELECT m.at FROM oms.order_milestone m
		WHERE m.merchant_id = o.merchant_id AND m.order_id = o.order_id AND m.milestone = s.milestone) AS at OFFSET 0) r
	CROSS JOIN LATERAL (
		SELECT range_agg(tstzrange(h.placed_at, greatest(h.placed_at, coalesce(h.released_at, oms.clock())))) AS during,
			coalesce(bool_or(h.released_at IS NULL), false) AS open
		FROM oms.order_hold h
		WHERE h.merchant_id = o.merchant_id AND h.order_id = o.order_id AND (h.kind = ANY (s.pauses) OR '*' = ANY (s.pauses))) h
	CROSS JOIN LATERAL (SELECT
		CASE WHEN f.at IS NOT NULL THEN oms.business_due(o.merchant_id, s.calendar, f.at, s.minutes, s.days, s.cut_off, h.during) END AS due_at OFFSET 0) d
	WHERE o.lifecycle <> 'cancelled' AND (s.minutes IS NOT NULL OR s.days IS NOT NULL)) c;
COMMENT ON VIEW oms.order_clock IS 'The clocks of orders, one for each milestone that service_level has a target for; none of cancelled orders. Read from what happened and the present instant: no job keeps it. Ask for one order, or bound placed_at (which has an index)';
COMMENT ON COLUMN oms.order_clock.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_clock.order_id IS 'Order';
COMMENT ON COLUMN oms.order_clock.channel_id IS 'Its channel';
COMMENT ON COLUMN oms.order_clock.placed_at IS 'When it was placed (UTC instant)';
COMMENT ON COLUMN oms.order_clock.milestone IS 'confirmed, picked, shipped, delivered';
COMMENT ON COLUMN oms.order_clock.since IS 'Milestone that the time counts from';
COMMENT ON COLUMN oms.order_clock.calendar IS 'Calendar by which it counts';
COMMENT ON COLUMN oms.order_clock.started_at IS 'When that was reached (UTC instant); null: not yet';
COMMENT ON COLUMN oms.order_clock.due_at IS 'By when it is to be reached (UTC instant); of a paused clock as if it went on now. Null: not started, or the calendar has not so much working time in ten years';
COMMENT ON COLUMN oms.order_clock.reached_at IS 'When it was (UTC instant); null: not yet';
COMMENT ON COLUMN oms.order_clock.minutes_left IS 'Whole minutes of working time until due_at, below zero since; null when reached or not started';
COMMENT ON COLUMN oms.order_clock.state IS 'met, missed; waiting (not started), running, due_soon (no more than warn_minutes are left), paused (by a hold), late (past due_at)';
