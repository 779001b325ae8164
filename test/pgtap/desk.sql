-- Work on orders: priority, assignee, tags, notes, and lists of them by index.
BEGIN;
SELECT plan(19);

CREATE ROLE oms_t_clerk;
SELECT oms.grant_role('oms_t_clerk', 'clerk') \g /dev/null
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 1, 'A', 'Apple', 'stocked');
SELECT oms.receive_stock(1, 1, 1, 1000, 'opening') \g /dev/null
SELECT oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 1, "unit_price": "1"}]}') AS o, oms.place_order(1, '{"lines": [{"sku": "A", "quantity": 1, "unit_price": "1"}]}') AS p \gset
SET LOCAL ROLE oms_t_clerk;
SELECT is(oms.assign_order(1, :o, 'Ann'), 'Ann', 'assigned');
SELECT is(oms.assign_order(1, :o, 'Bob', 'Ann'), 'Bob', 'handed over');
SELECT is(oms.tag_order(1, :o, '{vip,gift,vip}'), 2::bigint, 'tagged');
SELECT is(oms.tag_order(1, :o, '{vip,late}'), 1::bigint, 'what it has stays');
SELECT is(oms.untag_order(1, :o, '{gift,none}'), 1::bigint, 'and goes');
SELECT is(oms.tag_order(1, :p, '{late}'), 1::bigint, 'another');
SELECT ok(oms.add_note(1, :o, 'called') < oms.add_note(1, :o, 'it is on its way', true, 'Bob'), 'noted');
SELECT oms.set_urgency(1, :o, 5) \g /dev/null
SELECT results_eq($$ SELECT assignee, tags, notes, priority FROM oms.order_desk WHERE merchant_id = 1 AND order_id = $$ || :o, $$ VALUES ('Bob', '{late,vip}'::text[], 2::bigint, 5) $$, 'the desk shows it');
SELECT results_eq($$ SELECT assignee, tags, notes, priority FROM oms.order_desk WHERE merchant_id = 1 AND order_id = $$ || :p, $$ VALUES (NULL::text, '{late}'::text[], 0::bigint, 0) $$, 'and what nobody has');
SELECT results_eq($$ SELECT order_id FROM oms.order_desk WHERE merchant_id = 1 AND order_id IN (SELECT order_id FROM oms.tagged_order WHERE merchant_id = 1 AND tag = 'late') ORDER BY priority DESC $$,
	$$ VALUES ($$ || :o || '::bigint), (' || :p || ')', 'by tag, the urgent first');
SELECT results_eq($$ SELECT author, note, for_customer FROM oms.order_notes WHERE order_id = $$ || :o || ' ORDER BY note_id', $$ VALUES ('oms_t_clerk', 'called', false), ('Bob', 'it is on its way', true) $$, 'notes say who');
SELECT is(oms.assign_order(1, :o), NULL, 'nobody has it now');
SELECT is((SELECT assignee FROM oms.order_desk WHERE order_id = :o), NULL, 'indeed');
SELECT throws_ok('SELECT oms.add_note(1, 987654, ''x'')', 'OM002', NULL, 'no note on an unknown order');
SELECT throws_ok('SELECT oms.tag_order(1, 987654, ''{x}'')', 'OM002', NULL, 'nor a tag');
RESET ROLE;
SELECT throws_ok('UPDATE oms.order_note SET note = ''x''', 'OM009', NULL, 'notes are not changed');

-- By index
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text; p text := '';
BEGIN
	FOR r IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		p := p || r || E'\n';
	END LOOP;
	RETURN p;
END $$;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT matches(pg_temp.plan_of($$ SELECT order_id FROM oms.order_desk WHERE merchant_id = 1 AND assignee = 'Ann' $$), 'order_assignment_assignee', 'assignee by index');
SELECT matches(pg_temp.plan_of($$ SELECT order_id FROM oms.tagged_order WHERE merchant_id = 1 AND tag = 'vip' $$), 'order_tag_tag', 'tag by index');
SELECT matches(pg_temp.plan_of($$ SELECT order_id FROM oms.order_urgency WHERE merchant_id = 1 AND priority <> 0 ORDER BY priority DESC, order_id $$), 'order_urgency_priority', 'priority by index');
SELECT * FROM finish();
ROLLBACK;
