-- Events, tasks and messages: what follows an order out of the database.
-- Positions, instants and ids vary from run to run, so this story shows none.
\set VERBOSITY terse

-- A shop with its own prefix for order numbers, and something to sell.
INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency, time_zone, number_prefix)
	VALUES (1, 10, 'books', 'Book shop', 'EUR', 'Europe/Berlin', 'B-');
INSERT INTO oms.item (merchant_id, sku, title, kind) VALUES (1, 'EV-WRAP', 'Gift wrapping', 'service');

-- Templates decide what customers are told. A field that does not exist is refused at once.
INSERT INTO oms.message_template (merchant_id, language, kind, subject, body)
	VALUES (1, 'en', 'confirmation', 'Your order {{ordernumber}}', 'Thank you');
INSERT INTO oms.message_template (merchant_id, language, kind, subject, body)
	VALUES (1, 'en', 'confirmation', 'Your order {{number}}', E'Dear {{name}},\nyou ordered\n{{lines}}\nfor {{total}} {{currency}}.');
INSERT INTO oms.message_template (merchant_id, channel_id, language, kind, subject, body)
	VALUES (1, 10, 'de', 'confirmation', 'Ihre Bestellung {{number}}', E'Guten Tag {{name}},\nSie bestellten\n{{lines}}\nfür {{total}} {{currency}}.');

-- Two followers of the log: one wants all from now on, one only orders from the start.
SELECT count(*) FROM oms.subscribe(1, 'search');
SELECT count(*) FROM oms.subscribe(1, 'billing', '{order.*}', from_start => true);

SELECT oms.place_order(1, '{"channel": "books", "external_ref": "EV-1", "email": "ada@example.com", "ship_to": {"name": "Ada", "country": "GB"},
	"lines": [{"sku": "EV-WRAP", "quantity": 2, "unit_price": "2.50"}]}', actor => 'shop') IS NOT NULL AS placed;
SELECT oms.place_order(1, '{"channel": "books", "external_ref": "EV-2", "email": "karl@example.com", "language": "de", "ship_to": {"name": "Karl", "country": "DE"},
	"lines": [{"sku": "EV-WRAP", "quantity": 1, "unit_price": "2.50"}]}', actor => 'shop') IS NOT NULL AS placed;

-- A transaction that fails leaves no event and no message.
BEGIN;
SELECT oms.place_order(1, '{"channel": "books", "external_ref": "EV-3", "email": "eve@example.com", "ship_to": {"name": "Eve", "country": "DE"},
	"lines": [{"sku": "EV-WRAP", "quantity": 1, "unit_price": "2.50"}]}') IS NOT NULL AS placed;
ROLLBACK;

-- What the followers see, and again until they say that they have it.
SELECT e.type, o.external_ref, e.actor FROM oms.fetch_events(1, 'search') e LEFT JOIN oms.sales_order o USING (order_id) ORDER BY e.tx, e.event_id;
SELECT count(*) > 0 AS still_there FROM oms.fetch_events(1, 'search');
SELECT count(*) AS acknowledged FROM oms.fetch_events(1, 'search') e, oms.ack_events(1, 'search', e.tx, e.event_id);
SELECT count(*) FROM oms.fetch_events(1, 'search');

-- A follower inside the database moves its cursor in the transaction of its own writes.
CREATE TABLE billed AS SELECT 0::bigint AS order_id WHERE false;
BEGIN;
INSERT INTO billed SELECT order_id FROM oms.take_events(1, 'billing') WHERE type = 'order.placed';
ROLLBACK;
BEGIN;
INSERT INTO billed SELECT order_id FROM oms.take_events(1, 'billing') WHERE type = 'order.placed';
COMMIT;
INSERT INTO billed SELECT order_id FROM oms.take_events(1, 'billing') WHERE type = 'order.placed';
SELECT external_ref FROM billed JOIN oms.sales_order USING (order_id) WHERE external_ref LIKE 'EV-%' ORDER BY 1;

-- Back to the start.
SELECT count(*) FROM oms.replay(1, 'search', 0, 0);
SELECT count(*) > 1 AS all_of_it FROM oms.fetch_events(1, 'search');

-- The log is append-only; old events go by one procedure, and never past a follower.
UPDATE oms.event SET actor = 'nobody';
DELETE FROM oms.event;
CALL oms.purge_events(1, now());

-- Messages: one per order, in the order's language and the channel's words.
SELECT o.external_ref, m.language, replace(m.subject, 'B-' || o.order_id, 'B-#') AS subject, m.body
FROM oms.message m JOIN oms.sales_order o USING (merchant_id, order_id) WHERE o.external_ref LIKE 'EV-%' ORDER BY 1;

-- With each goes a task for the process that sends mail.
SELECT payload ->> 'recipient' AS recipient, attempts FROM oms.claim_tasks(1, 'send_message', n => 10, lease_time => '1 minute', worker => 'mailer-1') ORDER BY 1;
SELECT count(*) FROM oms.claim_tasks(1, 'send_message', n => 10, worker => 'mailer-2');

-- One mail went out, the other one did not.
SELECT oms.complete_task(1, task_id, lease, '{"smtp": 250}') IS NOT NULL AS done FROM oms.task WHERE kind = 'send_message' AND payload ->> 'recipient' = 'ada@example.com';
SELECT oms.fail_task(1, task_id, lease, 'mailbox full') FROM oms.task WHERE kind = 'send_message' AND payload ->> 'recipient' = 'karl@example.com';
SELECT kind, state, attempts, last_error FROM oms.task_queue WHERE kind = 'send_message';

-- It is tried again later; who gives up says so, and somebody can see it and try again.
SET oms.test_clock = '2100-01-01';
SELECT oms.fail_task(1, t.task_id, t.lease, 'mailbox gone', retry => false) FROM oms.claim_tasks(1, 'send_message', worker => 'mailer-1') t;
SELECT kind, attempts, last_error FROM oms.dead_letter;
SELECT oms.retry_task(1, task_id, reason => 'customer called') IS NOT NULL AS revived FROM oms.dead_letter;
RESET oms.test_clock;

-- An answer to a task that is not held is refused (the id is left out).
\set VERBOSITY sqlstate
SELECT oms.complete_task(1, task_id, lease) FROM oms.task WHERE kind = 'send_message' AND state = 'ready';
\set VERBOSITY terse

-- A second message about the same fact is the first one.
SELECT count(DISTINCT oms.send_message(1, order_id, 'confirmation', 'placed')) FROM oms.sales_order, generate_series(1, 3) WHERE external_ref = 'EV-1';

-- What others send comes in once.
SELECT oms.receive_message(1, 'gateway', 'evt-1', '{"charge": "ok"}');
SELECT oms.receive_message(1, 'gateway', 'evt-1', '{"charge": "ok"}');
SELECT oms.receive_message(1, 'gateway', 'evt-1', '{"charge": "failed"}');
SELECT source, id, payload, repeated, conflicts, conflict_payload FROM oms.inbound_message WHERE id = 'evt-1';

-- Errors name what is wrong.
SELECT oms.fetch_events(1, 'nobody');
SELECT oms.fetch_events(1, NULL);
SELECT oms.fetch_events(1, 'search', 0);
SELECT oms.subscribe(1, 'x', '{or*}');
SELECT oms.claim_tasks(1, 'send_message', 1, '-1 minute');
SELECT oms.send_message(1, 0, 'confirmation', 'x');

SELECT oms.unsubscribe(1, 'search'), oms.unsubscribe(1, 'billing');
DROP TABLE billed;
SELECT * FROM oms.verify_event;
