-- The log and its consumers, tasks, messages, the inbox: behaviour and bad input.
BEGIN;
SELECT plan(134);

INSERT INTO oms.item (merchant_id, sku, title, kind) VALUES (1, 'E-1', 'Engraving', 'service');
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (2, 'Other', 'EUR');
SELECT oms.place_order(1, '{"channel": 1, "email": "Ada@Example.com", "ship_to": {"name": "Ada", "city": "Bonn", "country": "DE"},
	"lines": [{"sku": "E-1", "quantity": 2, "unit_price": "5.00"}]}') AS o \gset

-- Append-only, and the position is the database's
INSERT INTO oms.event (merchant_id, tx, subject_type, subject_id, type) VALUES (1, 99999999999, 'test', 1, 'test.one');
SELECT is((SELECT tx FROM oms.event WHERE type = 'test.one'),
	(SELECT tx_base + pg_current_xact_id()::text::bigint FROM oms.node), 'a hand-typed INSERT cannot lie about its position');
SELECT throws_ok('UPDATE oms.event SET type = ''x''', 'OM009', NULL, 'events cannot be changed');
SELECT throws_ok('DELETE FROM oms.event', 'OM009', NULL, 'events cannot be deleted');
SELECT throws_ok('TRUNCATE oms.event', 'OM009', NULL, 'events cannot be truncated');

-- subscribe
SELECT throws_ok('SELECT oms.subscribe(NULL, ''c'')', 'OM011', 'argument "merchant" is missing');
SELECT throws_ok('SELECT oms.subscribe(0, ''c'')', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(-1, ''c'')', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(99, ''c'')', 'OM002');
SELECT throws_ok('SELECT oms.subscribe(1, NULL)', 'OM011', 'argument "consumer" is missing');
SELECT throws_ok('SELECT oms.subscribe(1, '''')', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, repeat(''x'', 1000000))', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, ''c'', ''{}'')', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, ''c'', ARRAY[NULL]::text[])', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, ''c'', ''{or*}'')', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, ''c'', ''{*}'')', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, ''c'', ''{{a.b},{c.d}}'')', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, ''c'', ARRAY[repeat(''x'', 1000000)])', 'OM011');
SELECT throws_ok('SELECT oms.subscribe(1, ''c'', NULL, NULL)', 'OM011', 'argument "from_start" is missing');
SELECT lives_ok('SELECT oms.subscribe(1, ''c'', ''{order.*,test.one}'', true)', 'subscribes');
SELECT is((SELECT (tx, event_id)::text FROM oms.subscribe(1, 'c', '{order.*}')), '(0,0)', 'again: the cursor stays');
SELECT is((SELECT types FROM oms.consumer WHERE name = 'c'), '{order.*}', 'and the filter is replaced');
SELECT is_empty('SELECT * FROM oms.fetch_events(1, ''c'')', 'what this transaction wrote cannot be read before it commits');

-- fetch, take, ack, replay
SELECT throws_ok('SELECT oms.fetch_events(NULL, ''c'')', 'OM011');
SELECT throws_ok('SELECT oms.fetch_events(1, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.fetch_events(1, ''nobody'')', 'OM002', 'consumer "nobody" does not exist');
SELECT throws_ok('SELECT oms.fetch_events(2, ''c'')', 'OM002', NULL, 'another merchant''s consumer is unknown');
SELECT throws_ok('SELECT oms.fetch_events(1, ''c'', 0)', 'OM011');
SELECT throws_ok('SELECT oms.fetch_events(1, ''c'', -1)', 'OM011');
SELECT throws_ok('SELECT oms.fetch_events(1, ''c'', NULL)', 'OM011');
SELECT throws_ok('SELECT oms.fetch_events(1, ''c'', 2147483647)', 'OM011');
SELECT throws_ok('SELECT oms.take_events(1, ''nobody'')', 'OM002');
SELECT throws_ok('SELECT oms.take_events(1, ''c'', 0)', 'OM011');
SELECT throws_ok('SELECT oms.ack_events(1, ''nobody'', 0, 0)', 'OM002');
SELECT throws_ok('SELECT oms.ack_events(1, ''c'', 1, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.ack_events(1, ''c'', -1, 1)', 'OM011');
SELECT throws_ok('SELECT oms.ack_events(1, ''c'', 9223372036854775807, 9223372036854775807)', 'OM007', NULL, 'a position beyond the horizon is refused');
SELECT throws_ok('SELECT oms.replay(1, ''c'', 9223372036854775807, 0)', 'OM007');
SELECT throws_ok('SELECT oms.replay(1, ''c'', NULL, 0)', 'OM011');
SELECT throws_ok('SELECT oms.replay(1, ''c'', NULL::timestamptz)', 'OM011');
SELECT throws_ok('SELECT oms.replay(1, ''nobody'', now())', 'OM002');
SELECT lives_ok('SELECT oms.replay(1, ''c'', ''-infinity''::timestamptz), oms.replay(1, ''c'', ''infinity''::timestamptz)', 'replay takes infinity');
SELECT throws_ok('CALL oms.purge_events(1, NULL)', 'OM011');
SELECT throws_ok('CALL oms.purge_events(1, ''infinity'')', 'OM011');
SELECT throws_ok('CALL oms.purge_events(99, ''-infinity'')', 'OM002');
SELECT is(oms.unsubscribe(1, 'c'), true, 'unsubscribes');
SELECT is(oms.unsubscribe(1, 'c'), false, 'there was none');

-- Tasks
SELECT throws_ok('SELECT oms.add_task(99, ''k'')', 'OM002');
SELECT throws_ok('SELECT oms.add_task(1, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.add_task(1, ''k'', order_id => -5)', 'OM002');
SELECT throws_ok('SELECT oms.add_task(1, ''k'', dedup_key => '''')', 'OM011');
SELECT oms.add_task(1, 'k', '{"n": 1}', 'once') AS t \gset
SELECT is(oms.add_task(1, 'k', '{"n": 2}', 'once'), :t::bigint, 'one task per kind and key');
SELECT throws_ok('SELECT oms.claim_tasks(0, ''k'')', 'OM011');
SELECT throws_ok('SELECT oms.claim_tasks(1, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.claim_tasks(1, ''k'', 0)', 'OM011');
SELECT throws_ok('SELECT oms.claim_tasks(1, ''k'', 1, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.claim_tasks(1, ''k'', 1, ''0'')', 'OM011');
SELECT throws_ok('SELECT oms.claim_tasks(1, ''k'', 1, ''-1 minute'')', 'OM011');
SELECT throws_ok('SELECT oms.claim_tasks(1, ''k'', 1, ''1 month'')', 'OM011');
SELECT throws_ok('SELECT oms.claim_tasks(1, ''k'', 1, ''1000000 hours'')', 'OM011');
SELECT results_eq($$ SELECT task_id, lease, attempts, payload FROM oms.claim_tasks(NULL, 'k', 5, '1 minute', 'w') $$,
	$$ SELECT task_id, 1, 1, '{"n": 1}'::jsonb FROM oms.task WHERE kind = 'k' $$, 'claimed, over all merchants');
SELECT is_empty($$ SELECT oms.claim_tasks(1, 'k') $$, 'a leased task is not claimable');
SELECT throws_ok('SELECT oms.complete_task(1, 0, 1)', 'OM002');
SELECT throws_ok(format('SELECT oms.complete_task(2, %s, 1)', :t), 'OM002');
SELECT throws_ok(format('SELECT oms.complete_task(1, %s, NULL)', :t), 'OM011');
SELECT throws_ok(format('SELECT oms.complete_task(1, %s, 2)', :t), 'OM008', format('lease 2 of task %s is lost', :t));
SELECT throws_ok(format('SELECT oms.fail_task(1, %s, 1, NULL)', :t), 'OM011');
SELECT throws_ok(format('SELECT oms.fail_task(1, %s, 1, repeat(''x'', 1000000))', :t), 'OM011');
SELECT throws_ok(format('SELECT oms.extend_lease(1, %s, 1, NULL)', :t), 'OM011');
SELECT is(oms.extend_lease(1, :t, 1, '2 minutes'), now() + interval '2 minutes', 'the lease is extended');
SELECT is(oms.fail_task(1, :t, 1, 'gateway down'), 'ready', 'a failed task is ready again');
SELECT is((SELECT run_at FROM oms.task WHERE task_id = :t), now() + interval '30 seconds', 'after 30 seconds');
SELECT is_empty($$ SELECT oms.claim_tasks(1, 'k') $$, 'not before');
SET LOCAL oms.test_clock = '2100-01-01 00:00:00+00';
SELECT is((SELECT lease FROM oms.claim_tasks(1, 'k')), 2, 'then it is claimed anew');
SELECT is(oms.fail_task(1, :t, 2, 'gateway down'), 'ready', 'and fails again');
SELECT is((SELECT run_at FROM oms.task WHERE task_id = :t), timestamptz '2100-01-01 00:01:00+00', 'after twice as long');
UPDATE oms.task SET run_at = '2100-01-01', attempts = 7 WHERE task_id = :t;
SELECT is((SELECT attempts FROM oms.claim_tasks(1, 'k', lease_time => '1 minute')), 8, 'the last attempt');
SET LOCAL oms.test_clock = '2100-01-01 00:01:00+00';
SELECT is_empty($$ SELECT oms.claim_tasks(1, 'k') $$, 'whose lease runs out without an answer');
SELECT is((SELECT last_error FROM oms.dead_letter WHERE task_id = :t), 'lease 3 of worker postgres ran out', 'is dead');
SELECT is((SELECT count(*) FROM oms.event WHERE subject_type = 'task' AND subject_id = :t AND type = 'task.dead'), 1::bigint, 'and the log says so');
SELECT throws_ok(format('SELECT oms.complete_task(1, %s, 3)', :t), 'OM008', NULL, 'no answer for a dead task');
SELECT throws_ok('SELECT oms.retry_task(1, 0)', 'OM002');
SELECT is(oms.retry_task(1, :t, reason => 'gateway is back'), :t::bigint, 'revived by hand');
SELECT throws_ok(format('SELECT oms.retry_task(1, %s)', :t), 'OM008');
SELECT is((SELECT lease FROM oms.claim_tasks(1, 'k')), 5, 'leases go on rising');
SELECT is(oms.complete_task(1, :t, 5, '{"ok": true}'), :t::bigint, 'done');
SELECT is(oms.complete_task(1, :t, 5), :t::bigint, 'done twice is done once');
SELECT is((SELECT result FROM oms.task WHERE task_id = :t), '{"ok": true}', 'with the first result');
SELECT oms.add_task(1, 'k2') AS t2 \gset
SELECT is((SELECT oms.fail_task(1, task_id, lease, 'never', false) FROM oms.claim_tasks(1, 'k2')), 'dead', 'dead at once where retry is false');
RESET oms.test_clock;

-- Messages
SELECT is(oms.send_message(1, :o, 'confirmation', 'x'), NULL, 'no template, no message');
SELECT throws_ok($$ INSERT INTO oms.message_template VALUES (1, 0, 'en', 'confirmation', 1, 'Order', '{{nmae}}') $$, 'OM016',
	'body of the template names a field "nmae" that does not exist');
SELECT throws_ok($$ INSERT INTO oms.message_template VALUES (1, 0, 'en', 'confirmation', 1, 'Order {{number', 'x') $$, 'OM016');
INSERT INTO oms.message_template VALUES (1, 0, 'en', 'confirmation', 1, 'Order {{number}}', 'Dear {{ name }}, {{total}} {{currency}}');
SELECT throws_ok($$ SELECT oms.send_message(1, 0, 'confirmation', 'x') $$, 'OM002');
SELECT throws_ok(format($$ SELECT oms.send_message(2, %s, 'confirmation', 'x') $$, :o), 'OM002');
SELECT throws_ok(format($$ SELECT oms.send_message(1, %s, 'nonsense', 'x') $$, :o), 'OM002');
SELECT throws_ok(format($$ SELECT oms.send_message(1, %s, 'confirmation', '') $$, :o), 'OM011');
SELECT throws_ok(format($$ SELECT oms.send_message(1, %s, 'confirmation', NULL) $$, :o), 'OM011');
SELECT throws_ok(format($$ SELECT oms.send_message(1, %s, 'confirmation', 'x', '[]') $$, :o), 'OM003');
SELECT oms.send_message(1, :o, 'confirmation', 'x') AS m \gset
SELECT is(oms.send_message(1, :o, 'confirmation', 'x', '{"name": "Eve"}'), :m::bigint, 'one message per fact, however often it is sent');
SELECT results_eq(format($$ SELECT recipient, language, subject, body FROM oms.render_message(1, %s::bigint) $$, :m),
	format($$ VALUES ('Ada@Example.com', 'en', 'Order %s', 'Dear Ada, 10.00 EUR') $$, :o), 'in the text of the moment');
SELECT is((SELECT count(*) FROM oms.task WHERE kind = 'send_message' AND subject_id = :m), 1::bigint, 'with one task');
SELECT throws_ok('UPDATE oms.message SET body = ''x''', 'OM009');
SELECT throws_ok('DELETE FROM oms.message', 'OM009');
INSERT INTO oms.message_template VALUES (1, 0, 'de', 'confirmation', 1, 'Bestellung', 'alle, de'), (1, 1, 'en', 'confirmation', 1, 'Order', 'channel, en');
SELECT is((SELECT body FROM oms.render_message(1, :o, 'confirmation', language => 'de')), 'channel, en', 'channel and en goes before all channels and the language');
INSERT INTO oms.message_template VALUES (1, 1, 'de', 'confirmation', 1, 'Bestellung', 'channel, de');
SELECT is((SELECT body FROM oms.render_message(1, :o, 'confirmation', language => 'de')), 'channel, de', 'channel and language goes first');
DELETE FROM oms.message_template WHERE channel_id = 1;
SELECT is((SELECT body FROM oms.render_message(1, :o, 'confirmation', language => 'de')), 'alle, de', 'all channels and the language');
SELECT is((SELECT body FROM oms.render_message(1, :o, 'confirmation', language => 'fr')), 'Dear Ada, 10.00 EUR', 'all channels and en');
SAVEPOINT s;
UPDATE oms.message_template SET body = 'gone with the savepoint' WHERE language = 'de';
SELECT is((SELECT body FROM oms.render_message(1, :o, 'confirmation', language => 'de')), 'gone with the savepoint', 'a change is seen at once');
SELECT is((SELECT version FROM oms.message_template WHERE language = 'de'), 2, 'and counted');
ROLLBACK TO s;
SELECT is((SELECT body FROM oms.render_message(1, :o, 'confirmation', language => 'de')), 'alle, de', 'and gone with its savepoint');
SELECT throws_ok($$ SELECT oms.render_message(1, 0, 'confirmation') $$, 'OM002');
SELECT throws_ok(format($$ SELECT oms.render_message(1, %s, 'nonsense') $$, :o), 'OM002');
SELECT throws_ok(format($$ SELECT oms.render_message(1, %s, 'confirmation', '7') $$, :o), 'OM003');

INSERT INTO oms.message_template VALUES (1, 0, 'en', 'delivered', 1, 'Order {{number}}', 'link/{{track_token}}');
SELECT is((SELECT body FROM oms.render_message(1, :o, 'delivered')), 'link/' || oms.track_token(1, :o), 'a message can carry the tracking token');
SELECT oms.send_message(1, :o, 'delivered', 'x') AS m2 \gset
SELECT is((SELECT data ? 'track_token' FROM oms.message WHERE message_id = :m2), false, 'which is not kept beside it');
INSERT INTO oms.customer (merchant_id, customer_id, name, email, language) VALUES (1, 990001, 'Carl', 'carl@example.com', 'de');
SELECT oms.place_order(1, '{"channel": 1, "customer": 990001, "lines": [{"sku": "E-1", "quantity": 1, "unit_price": "5.00"}]}') AS oc \gset
SELECT results_eq(format($$ SELECT recipient, language, body FROM oms.render_message(1, %s, 'confirmation') $$, :oc),
	$$ VALUES ('carl@example.com', 'de', 'alle, de') $$, 'a customer''s own address and language');

-- The inbox
SELECT is(oms.receive_message(1, 'gw', 'e1', '{"a": 1}'), 'new', 'new');
SELECT is(oms.receive_message(1, 'gw', 'e1', '{"a": 1.0}'), 'repeated', 'repeated');
SELECT is(oms.receive_message(1, 'gw', 'e1', '{"a": 2}'), 'conflict', 'conflict');
SELECT is((SELECT payload FROM oms.inbound_message WHERE merchant_id = 1 AND id = 'e1'), '{"a": 1}', 'the first content stays');
SELECT is(oms.receive_message(2, 'gw', 'e1', '{"a": 3}'), 'new', 'another merchant''s is another');
SELECT throws_ok($$ SELECT oms.receive_message(99, 'gw', 'e1', '{}') $$, 'OM002');
SELECT throws_ok($$ SELECT oms.receive_message(1, '', 'e1', '{}') $$, 'OM011');
SELECT throws_ok($$ SELECT oms.receive_message(1, 'gw', NULL, '{}') $$, 'OM011');
SELECT throws_ok($$ SELECT oms.receive_message(1, 'gw', repeat('x', 1000000), '{}') $$, 'OM011');
SELECT throws_ok($$ SELECT oms.receive_message(1, 'gw', 'e2', NULL) $$, 'OM011');
SELECT throws_ok('UPDATE oms.inbound_message SET payload = ''{}''', 'OM009');

-- Roles
SELECT throws_ok('SELECT oms.grant_role(NULL, ''app'')', 'OM011');
SELECT throws_ok('SELECT oms.grant_role(''no_such_role'', ''app'')', 'OM002');
SELECT throws_ok('SELECT oms.grant_role(current_user, ''emperor'')', 'OM002');
SELECT throws_ok('SELECT oms.grant_role(current_user, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.grant_role(''x"; DROP TABLE oms.event; --'', ''app'')', 'OM002');
SELECT throws_ok('SELECT oms.revoke_role(''no_such_role'')', 'OM002');

-- Each fault that verify() must see, with the triggers out of the way
SELECT is_empty('SELECT * FROM oms.verify_event', 'sound');
ALTER TABLE oms.event DISABLE TRIGGER USER;
ALTER TABLE oms.message DISABLE TRIGGER USER;
INSERT INTO oms.event (merchant_id, tx, subject_type, subject_id, type) VALUES (1, 9000000000000000, 'test', 1, 'test.future');
INSERT INTO oms.event (merchant_id, tx, subject_type, subject_id, type) VALUES (77, 1, 'test', 1, 'test.no_merchant');
INSERT INTO oms.event (merchant_id, tx, subject_type, subject_id, type, order_id) VALUES (1, 1, 'test', 1, 'test.no_order', -1);
INSERT INTO oms.consumer (merchant_id, name, tx) VALUES (1, 'ahead', 9000000000000000);
INSERT INTO oms.task (merchant_id, kind, order_id, attempts, max_attempts) VALUES (1, 'fault', -1, 3, 2);
ALTER TABLE oms.task DROP CONSTRAINT task_leased;
INSERT INTO oms.task (merchant_id, kind, state) VALUES (1, 'fault', 'leased');
DELETE FROM oms.task WHERE kind = 'send_message';
INSERT INTO oms.message (merchant_id, template_channel_id, order_id, template_version, kind, fact, language, subject, body)
	VALUES (1, 0, -1, 1, 'confirmation', 'fault', 'en', 'x', 'x');
SELECT set_eq('SELECT DISTINCT rule FROM oms.verify_event', ARRAY['event_position', 'event_merchant', 'event_order', 'consumer_cursor',
	'task_order', 'task_lease', 'task_attempts', 'message_order', 'message_task'], 'verify() sees each fault');

SELECT * FROM finish();
ROLLBACK;
