-- Recurring orders.

CREATE FUNCTION oms.recurrence_due(starts_on date, period text, every int, month_day int, at_time time, time_zone text, period_no int) RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT (d.day + $5) AT TIME ZONE $6
	FROM (SELECT date_trunc('month', $1::timestamp) + make_interval(months => $7 * $3 * CASE $2 WHEN 'yearly' THEN 12 ELSE 1 END) AS month) m,
	LATERAL (SELECT CASE $2
		WHEN 'daily' THEN $1 + $7 * $3
		WHEN 'weekly' THEN $1 + 7 * $7 * $3
		ELSE m.month::date + least($4, extract(day FROM m.month + interval '1 month - 1 day')::int) - 1 END AS day) d $$;
COMMENT ON FUNCTION oms.recurrence_due(date, text, int, int, time, text, int) IS 'When a period (number, from 0) of a recurrence is due, as an instant (UTC): each day, week, month or year (daily, weekly, monthly, yearly), or every so many, counted from starts_on, at a time of day in a time zone. Monthly and yearly: on that day of the month, in a shorter month on its last day. A time that the clock jumps over in spring is an hour later; of one that comes twice in autumn it is the second';

CREATE FUNCTION oms.recur_order(merchant int, order_id bigint, period text, every int DEFAULT 1, starts_on date DEFAULT NULL, ends_on date DEFAULT NULL,
	at_time time DEFAULT '00:00', month_day int DEFAULT NULL, max_attempts int DEFAULT 5, retry_minutes int DEFAULT 60,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_recur_order';
COMMENT ON FUNCTION oms.recur_order(int, bigint, text, int, date, date, time, int, int, int, text, text, text) IS 'Has the items of an order placed again once a period (daily, weekly, monthly, yearly; every so many of them), counted from the date starts_on (null: today) until the date ends_on (null: no end), at a time of day, all in the channel''s time zone. month_day: day of the month of monthly and yearly ones, in a shorter month its last day (null: that of starts_on). Periods due already get no order. run_recurring() places the orders; a refused one is tried again after retry_minutes, max_attempts times in all. Returns the recurrence (view recurrences). Raises OM002, OM010, OM011';

CREATE FUNCTION oms.set_recurrence(merchant int, recurrence bigint, paused boolean DEFAULT NULL, ends_on date DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_set_recurrence';
COMMENT ON FUNCTION oms.set_recurrence(int, bigint, boolean, date, text, text, text) IS 'Pauses a recurrence, goes on with it, or sets its last date (in the channel''s time zone); null leaves as it is. Periods that came due while it was paused or had ended get no order. Returns the recurrence. Raises OM002, OM010, OM011';

CREATE FUNCTION oms.run_recurring(merchant int, until timestamptz DEFAULT NULL, max_orders int DEFAULT 1000,
	OUT recurrence_id bigint, OUT period_no int, OUT due_at timestamptz, OUT order_id bigint, OUT error_code text, OUT error_message text)
	RETURNS SETOF record LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_run_recurring';
COMMENT ON FUNCTION oms.run_recurring(int, timestamptz, int) IS 'Places the orders of all periods due by an instant (UTC; null: now; at most a year ahead), one for each period however often and from however many sessions it is called, also of those missed since it ran last, and tries those again that were refused and whose time has come. At most max_orders. Prices, promotions and taxes are those of now; the new order refers to its source (view order_relation, kind recurrence). A refused one leaves the others alone and is kept with its reason (view recurring_order). Recurrences that another session is working on are passed over. Returns what became of each, with SQLSTATE and message where refused. Call it from a scheduler. Raises OM011, OM015';

CREATE FUNCTION oms.retry_recurrence(merchant int, recurrence bigint, period_no int,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'oms_retry_recurrence';
COMMENT ON FUNCTION oms.retry_recurrence(int, bigint, int, text, text, text) IS 'Places the order of a period that was refused, given up or waiting for its next attempt, also of a recurrence that is paused or has ended: at prices, promotions and taxes of now. Returns the order; what refuses it again is raised, and the period stays as it was. Raises OM002, OM008 where the period was not refused or has its order, OM010, OM011, and what place_order() raises';
