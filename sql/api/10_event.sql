-- Events, tasks and messages: reading the log, working off tasks, writing to customers.

CREATE FUNCTION oms.event_position() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_event_position';
COMMENT ON FUNCTION oms.event_position() IS 'Trigger: event.tx is the writer''s, whatever an INSERT says';

CREATE FUNCTION oms.message_template_guard() RETURNS trigger LANGUAGE C
	AS 'MODULE_PATHNAME', 'oms_message_template_guard';
COMMENT ON FUNCTION oms.message_template_guard() IS 'Trigger of message_template: refuses placeholders that the kind does not have (OM016) and counts the version up';

-- Reading the log

CREATE FUNCTION oms.event_horizon() RETURNS bigint
	LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_event_horizon';
COMMENT ON FUNCTION oms.event_horizon() IS 'First event.tx that may not be read yet, because a transaction that began before is still running. Events below it are complete for good';

CREATE FUNCTION oms.subscribe(merchant int, consumer text, types text[] DEFAULT NULL, from_start boolean DEFAULT false,
		OUT tx bigint, OUT event_id bigint) RETURNS record
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_subscribe';
COMMENT ON FUNCTION oms.subscribe(int, text, text[], boolean) IS 'Makes a named consumer of the log and returns its cursor. types: those it wants, as order.placed or order.* (null: all). from_start: begin with the oldest event kept, else with the next one. Again: the cursor stays, the types are replaced. Raises OM002 (merchant), OM011';

CREATE FUNCTION oms.unsubscribe(merchant int, consumer text) RETURNS boolean
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_unsubscribe';
COMMENT ON FUNCTION oms.unsubscribe(int, text) IS 'Removes the consumer and its cursor; returns whether there was one. Raises OM011';

CREATE FUNCTION oms.fetch_events(merchant int, consumer text, n int DEFAULT 100)
	RETURNS TABLE (tx bigint, event_id bigint, at timestamptz, type text, version smallint, subject_type text, subject_id bigint,
		order_id bigint, actor text, reason text, correlation_id text, data jsonb)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_fetch_events';
COMMENT ON FUNCTION oms.fetch_events(int, text, int) IS 'The next n (1 to 100000) events behind the consumer''s cursor, in order of (tx, event_id). Moves nothing: acknowledge with ack_events(). Runs on a standby. Raises OM002 (consumer), OM011';

CREATE FUNCTION oms.take_events(merchant int, consumer text, n int DEFAULT 100)
	RETURNS TABLE (tx bigint, event_id bigint, at timestamptz, type text, version smallint, subject_type text, subject_id bigint,
		order_id bigint, actor text, reason text, correlation_id text, data jsonb)
	LANGUAGE C SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_take_events';
COMMENT ON FUNCTION oms.take_events(int, text, int) IS 'fetch_events() and ack_events() in one, for consumers that write into this database: cursor and their own writes are one transaction, so each event counts exactly once. Another session that takes for the same consumer waits. Raises OM002 (consumer), OM011';

CREATE FUNCTION oms.ack_events(merchant int, consumer text, INOUT tx bigint DEFAULT NULL, INOUT event_id bigint DEFAULT NULL) RETURNS record
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_ack_events';
COMMENT ON FUNCTION oms.ack_events(int, text, bigint, bigint) IS 'Moves the consumer''s cursor behind the event at (tx, event_id), and on over events its filter leaves out; never back. Without a position it only skips what the filter leaves out: call it so after a fetch that gave nothing. Returns the cursor. Raises OM002 (consumer), OM007 (beyond what can be read), OM011';

CREATE FUNCTION oms.replay(merchant int, consumer text, INOUT tx bigint, INOUT event_id bigint) RETURNS record
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_replay';
COMMENT ON FUNCTION oms.replay(int, text, bigint, bigint) IS 'Sets the consumer''s cursor so that the event at (tx, event_id) is read next; (0, 0) is the start. Returns the cursor. Raises OM002 (consumer), OM007 (beyond what can be read), OM011';

CREATE FUNCTION oms.replay(merchant int, consumer text, since timestamptz, OUT tx bigint, OUT event_id bigint) RETURNS record
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_replay_since';
COMMENT ON FUNCTION oms.replay(int, text, timestamptz) IS 'Sets the consumer''s cursor before the first event written at that instant or later; nothing that happened since is left out. Returns the cursor. Raises OM002 (consumer), OM011';

CREATE PROCEDURE oms.purge_events(merchant int, before timestamptz, INOUT removed bigint DEFAULT NULL)
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_purge_events';
COMMENT ON PROCEDURE oms.purge_events(int, timestamptz, bigint) IS 'Removes events older than that instant which every consumer has behind it; the only way events leave. removed: how many. Raises OM002 (merchant), OM011';

-- Tasks

CREATE FUNCTION oms.add_task(merchant int, kind text, payload jsonb DEFAULT '{}', dedup_key text DEFAULT NULL, order_id bigint DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_add_task';
COMMENT ON FUNCTION oms.add_task(int, text, jsonb, text, bigint) IS 'Adds work of a kind of your own for a process outside and returns its task id; a dedup_key used before for the kind returns that task. Raises OM002 (merchant, order), OM011';

CREATE FUNCTION oms.claim_tasks(merchant int, kind text, n int DEFAULT 1, lease_time interval DEFAULT '5 minutes', worker text DEFAULT NULL)
	RETURNS TABLE (merchant_id int, task_id bigint, lease int, kind text, order_id bigint, subject_type text, subject_id bigint,
		payload jsonb, attempts int, leased_until timestamptz)
	LANGUAGE C SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_claim_tasks';
COMMENT ON FUNCTION oms.claim_tasks(int, text, int, interval, text) IS 'Leases up to n (1 to 10000) due tasks of the kind, longest due first, and returns them. merchant null: of all merchants. lease_time: at most 7 days; when it has run out the task is claimable again at that instant. worker: name shown in task_queue (default: the calling role). The lease number must be given with the answer. Never waits for another session. Raises OM011';

CREATE FUNCTION oms.extend_lease(merchant int, task bigint, lease int, lease_time interval DEFAULT '5 minutes') RETURNS timestamptz
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_extend_lease';
COMMENT ON FUNCTION oms.extend_lease(int, bigint, int, interval) IS 'Lets the lease end so long from now; returns that instant. Raises OM002 (task), OM008 (the lease is lost), OM011';

CREATE FUNCTION oms.complete_task(merchant int, task bigint, lease int, result jsonb DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_complete_task';
COMMENT ON FUNCTION oms.complete_task(int, bigint, int, jsonb) IS 'Answers a claimed task: done, with a result to keep. Returns the task id; again under the same lease it changes nothing. Raises OM002 (task), OM008 (the lease is lost: another worker has the task or had it), OM011';

CREATE FUNCTION oms.fail_task(merchant int, task bigint, lease int, error text, retry boolean DEFAULT true) RETURNS text
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_fail_task';
COMMENT ON FUNCTION oms.fail_task(int, bigint, int, text, boolean) IS 'Answers a claimed task: it failed, and why. Returns ready (tried again after 30 seconds, each time twice as long, at most 6 hours) or dead (retry was false or the attempts are used up; event task.dead). Raises OM002 (task), OM008 (the lease is lost), OM011';

CREATE FUNCTION oms.retry_task(merchant int, task bigint, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_retry_task';
COMMENT ON FUNCTION oms.retry_task(int, bigint, text, text) IS 'Makes a dead task ready again with all its attempts; returns the task id. Raises OM002 (task), OM008 (not dead), OM011';

-- Messages

CREATE FUNCTION oms.send_message(merchant int, order_id bigint, kind text, fact text, data jsonb DEFAULT '{}') RETURNS bigint
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_send_message';
COMMENT ON FUNCTION oms.send_message(int, bigint, text, text, jsonb) IS 'Writes a message to the customer of an order and its send_message task; returns the message id. fact: what it tells, as a key; told before, the first message''s id is returned. data: fields for the template beside the order''s. Null when there is no template for the kind. Raises OM002 (order, kind), OM003 (data is no object), OM011';

CREATE FUNCTION oms.render_message(merchant int, order_id bigint, kind text, data jsonb DEFAULT '{}', language text DEFAULT NULL)
	RETURNS TABLE (recipient text, language text, subject text, body text)
	LANGUAGE C STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_render_message';
COMMENT ON FUNCTION oms.render_message(int, bigint, text, jsonb, text) IS 'What a message of the kind would say of the order now; writes nothing. language: instead of the order''s. No row when there is no template. Raises OM002 (order, kind), OM003 (data is no object), OM011';

CREATE FUNCTION oms.render_message(merchant int, message bigint) RETURNS TABLE (recipient text, language text, subject text, body text)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT m.recipient, m.language, m.subject, m.body FROM oms.message m WHERE m.merchant_id = merchant AND m.message_id = message
$$;
COMMENT ON FUNCTION oms.render_message(int, bigint) IS 'A message as it was written; no row when there is none';

CREATE FUNCTION oms.receive_message(merchant int, source text, id text, payload jsonb) RETURNS text
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_receive_message';
COMMENT ON FUNCTION oms.receive_message(int, text, text, jsonb) IS 'Keeps what another system sent, once per (source, id): new the first time; repeated when it comes again; conflict when it comes with other content, which is kept beside the first. Act only on new. Raises OM002 (merchant), OM011';

CREATE FUNCTION oms.purge_work(merchant int, before timestamptz, OUT tasks bigint, OUT messages bigint, OUT inbound bigint) RETURNS record
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_purge_work';
COMMENT ON FUNCTION oms.purge_work(int, timestamptz) IS 'Removes what is done since before an instant (UTC): tasks that are done, messages of completed or cancelled orders that are not waiting to be sent, and messages received that came last before it and without conflict. Kept: tasks ready, leased or dead, the sending of messages that are kept, conflicts to settle. Forgotten with them: dedup keys, the facts that were told, the ids that were received; so keep them longer than anybody repeats them. Returns how many of each. For the owner of oms alone. Raises OM002 (merchant), OM011';
