-- One clock: views and functions ask it and nothing else, only a superuser's test moves it, and what ends by time ends
-- by it, on days of 23 and 25 hours and over the end of a year as on any other.
BEGIN;
SELECT plan(20);

SELECT is(oms.clock(), now(), 'the transaction''s start');
SET LOCAL oms.test_clock = '2026-03-29 00:59:59.999999+00';
SELECT is(oms.clock(), '2026-03-29 00:59:59.999999+00', 'moved, to the microsecond');
CREATE ROLE clock_user;
SELECT oms.grant_role('clock_user', 'finance') \g /dev/null
SET LOCAL ROLE clock_user;
SELECT throws_ok($$ SET LOCAL oms.test_clock = '2000-01-01' $$, '42501', NULL, 'by a superuser alone');
SELECT is(oms.clock(), '2026-03-29 00:59:59.999999+00', 'everybody reads the same');
RESET ROLE;

-- A column's default is for hand-typed rows; all else is computed by the clock.
SELECT is_empty($$ SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind = 'v'
	AND pg_get_viewdef(c.oid) ~* '\m(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\(|\mcurrent_(date|time|timestamp)\M|\mlocaltime' $$, 'no view reads another clock');
SELECT is_empty($$ SELECT p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'oms'::regnamespace AND l.lanname = 'sql'
	AND p.prosrc ~* '\m(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\(|\mcurrent_(date|time|timestamp)\M|\mlocaltime' $$, 'nor does a function in SQL');
SELECT is_empty($$ SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind = 'v'
	AND pg_get_viewdef(c.oid) ~* 'timezone\(\s*''|current_setting\(''timezone' $$, 'no view has a time zone of its own');

-- What an order's money depends on follows the entity's calendar, whatever the session's zone is.
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, 'A', 'Apple');
SELECT oms.receive_stock(1, 1, 1, 100, 'opening') \g /dev/null
UPDATE oms.legal_entity SET time_zone = 'Europe/Berlin' WHERE merchant_id = 1;
INSERT INTO oms.payment_term VALUES (1, 'net1', NULL);
INSERT INTO oms.payment_term_part (merchant_id, code, part_no, event, share, days) VALUES (1, 'net1', 1, 'invoiced', 1, 1);
CREATE FUNCTION pg_temp.invoiced(at text, zone text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE o bigint; i bigint;
BEGIN
	PERFORM set_config('oms.test_clock', at, true), set_config('TimeZone', zone, true);
	o := oms.place_order(1, '{"channel":1,"lines":[{"item":1,"quantity":1,"unit_price":"10"}]}');
	PERFORM oms.set_terms(1, o, 'net1');
	i := oms.issue_invoice(1, o);
	RETURN (SELECT v.invoice_date || ' ' || d.due_on || ' ' || d.state FROM oms.invoices v JOIN oms.payment_due d USING (merchant_id, order_id) WHERE v.invoice_id = i);
END $$;
CREATE FUNCTION pg_temp.overdue(at text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('oms.test_clock', at, true);
	RETURN (SELECT count(*) FROM oms.receivable WHERE days_overdue > 0);
END $$;
SELECT is(pg_temp.invoiced('2026-03-28 22:59:59+00', 'Asia/Tokyo'), '2026-03-28 2026-03-29 not due', 'the last second before the day of 23 hours');
SELECT is(pg_temp.invoiced('2026-03-28 23:00:00+00', 'America/Los_Angeles'), '2026-03-29 2026-03-30 not due', 'its first');
SELECT is(pg_temp.overdue('2026-03-29 21:59:59+00'), 0::bigint, 'its last: nothing is overdue');
SELECT is(pg_temp.overdue('2026-03-29 22:00:00+00'), 1::bigint, 'an hour earlier than a day before, one is');
SELECT is(pg_temp.invoiced('2026-10-24 21:59:59+00', 'UTC'), '2026-10-24 2026-10-25 not due', 'before the day of 25 hours');
SELECT is(pg_temp.overdue('2026-10-25 22:59:59+00'), 2::bigint, 'its last second');
SELECT is(pg_temp.overdue('2026-10-25 23:00:00+00'), 3::bigint, 'and the next');
SELECT is(pg_temp.invoiced('2026-12-31 22:59:59+00', 'Pacific/Kiritimati'), '2026-12-31 2027-01-01 not due', 'the last second of the year');
SELECT is(pg_temp.invoiced('2026-12-31 23:00:00+00', 'Pacific/Kiritimati'), '2027-01-01 2027-01-02 not due', 'the first of the next');
SELECT is((SELECT string_agg(number, ' ' ORDER BY invoice_id DESC) FROM (SELECT * FROM oms.invoices ORDER BY invoice_id DESC LIMIT 2) i), 'INV-2027-000001 INV-2026-000004', 'each in its series');

-- A default that says now() is for rows typed by hand: commands give the instant themselves.
SELECT oms.place_order(1, '{"channel":1,"lines":[{"item":1,"quantity":1,"unit_price":"10"}]}') AS o \gset
SELECT oms.authorize(1, :o, 'card') AS p \gset
SELECT oms.record_payment_event(1, :p, 'authorized', 10, 'a'), oms.hold(1, :o, 'manual', 'wait'), oms.subscribe(1, 'reader'), oms.add_task(1, 'call', '{}') \g /dev/null
CREATE FUNCTION pg_temp.of_now() RETURNS TABLE (tab text, col text, n bigint, wrong bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR tab, col IN SELECT c.relname, a.attname FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum
		WHERE c.relnamespace = 'oms'::regnamespace AND pg_get_expr(d.adbin, d.adrelid) LIKE '%now()%' LOOP
		EXECUTE format('SELECT count(*), count(*) FILTER (WHERE %I = now()) FROM oms.%I', col, tab) INTO n, wrong;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT is_empty('SELECT * FROM pg_temp.of_now() WHERE wrong > 0', 'no command leaves an instant to the default');
SELECT cmp_ok((SELECT count(*)::int FROM pg_temp.of_now() WHERE n > 0), '>=', 8, 'of many tables');
SELECT is_empty('SELECT * FROM oms.verify(1)', 'sound');

SELECT * FROM finish();
ROLLBACK;
