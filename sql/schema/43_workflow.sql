-- Workflows of merchants' own: versions, their states and transitions. An order keeps the version it was placed under.

CREATE TABLE IF NOT EXISTS oms.workflow (
	merchant_id		int NOT NULL REFERENCES oms.merchant,
	workflow_id		int NOT NULL,
	channel_id		int,
	name			text NOT NULL CHECK (name <> ''),
	defined_at		timestamptz NOT NULL,
	defined_by		text NOT NULL,
	valid_from		timestamptz,
	activated_at	timestamptz,
	activated_by	text,
	PRIMARY KEY (merchant_id, workflow_id),
	FOREIGN KEY (merchant_id, channel_id) REFERENCES oms.channel (merchant_id, channel_id),
	CHECK ((valid_from IS NULL) = (activated_at IS NULL) AND (valid_from IS NULL) = (activated_by IS NULL))
);
COMMENT ON TABLE oms.workflow IS 'Versions of workflows: from valid_from on, new orders of the channel get the latest one, that of the channel before one of all channels; orders keep theirs. Without any, the lifecycle goes by oms.transition. Written by define_workflow() and activate_workflow()';
COMMENT ON COLUMN oms.workflow.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.workflow.workflow_id IS 'Version, from 1 on';
COMMENT ON COLUMN oms.workflow.channel_id IS 'Channel; null: all that have none of their own';
COMMENT ON COLUMN oms.workflow.name IS 'Name';
COMMENT ON COLUMN oms.workflow.defined_at IS 'When it was defined (UTC instant)';
COMMENT ON COLUMN oms.workflow.defined_by IS 'Who defined it';
COMMENT ON COLUMN oms.workflow.valid_from IS 'UTC instant from which new orders get it; null: not activated';
COMMENT ON COLUMN oms.workflow.activated_at IS 'When it was activated (UTC instant)';
COMMENT ON COLUMN oms.workflow.activated_by IS 'Who activated it';

CREATE TABLE IF NOT EXISTS oms.workflow_state (
	merchant_id	int NOT NULL,
	workflow_id	int NOT NULL,
	position	int NOT NULL,
	state		text NOT NULL CHECK (state <> ''),
	core_state	text NOT NULL CHECK (core_state IN ('placed', 'confirmed', 'completed', 'cancelled')),
	PRIMARY KEY (merchant_id, workflow_id, state),
	UNIQUE (merchant_id, workflow_id, position),
	FOREIGN KEY (merchant_id, workflow_id) REFERENCES oms.workflow
);
COMMENT ON TABLE oms.workflow_state IS 'States of a workflow, each of a core state, which is the lifecycle of orders in it';
COMMENT ON COLUMN oms.workflow_state.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.workflow_state.workflow_id IS 'Workflow';
COMMENT ON COLUMN oms.workflow_state.position IS 'Order of definition, from 1; the first of core state placed is where orders start';
COMMENT ON COLUMN oms.workflow_state.state IS 'Name: sales_order.state';
COMMENT ON COLUMN oms.workflow_state.core_state IS 'sales_order.lifecycle: placed, confirmed, completed, cancelled; the last two are final';

CREATE TABLE IF NOT EXISTS oms.workflow_transition (
	merchant_id	int NOT NULL,
	workflow_id	int NOT NULL,
	position	int NOT NULL,
	from_state	text NOT NULL,
	to_state	text NOT NULL,
	action		text NOT NULL CHECK (action <> ''),
	guard		text,
	before_hook	text,
	after_hook	text,
	roles		text[],
	PRIMARY KEY (merchant_id, workflow_id, from_state, to_state),
	FOREIGN KEY (merchant_id, workflow_id, from_state) REFERENCES oms.workflow_state (merchant_id, workflow_id, state),
	FOREIGN KEY (merchant_id, workflow_id, to_state) REFERENCES oms.workflow_state (merchant_id, workflow_id, state),
	CHECK (from_state <> to_state)
);
COMMENT ON TABLE oms.workflow_transition IS 'Transitions of a workflow. What is not here is refused to its orders, also when typed by hand';
COMMENT ON COLUMN oms.workflow_transition.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.workflow_transition.workflow_id IS 'Workflow';
COMMENT ON COLUMN oms.workflow_transition.position IS 'Order of definition, from 1; of several that fit the first is taken, those with a guard before those without';
COMMENT ON COLUMN oms.workflow_transition.from_state IS 'State before';
COMMENT ON COLUMN oms.workflow_transition.to_state IS 'State after';
COMMENT ON COLUMN oms.workflow_transition.action IS 'Action that leads there, as in perform_action()';
COMMENT ON COLUMN oms.workflow_transition.guard IS 'schema.name of a function (merchant int, order_id bigint) RETURNS boolean that must say true; null: none. It runs with the rights of its owner';
COMMENT ON COLUMN oms.workflow_transition.before_hook IS 'schema.name of a function (merchant int, order_id bigint, from_state text, to_state text) RETURNS text, run before the row changes: null lets it go on, a text refuses with that reason. It runs with the rights of its owner';
COMMENT ON COLUMN oms.workflow_transition.after_hook IS 'The same, run after the row has changed; a text undoes all';
COMMENT ON COLUMN oms.workflow_transition.roles IS 'Database roles one of which the caller must have; null: whoever may call the command';

CREATE OR REPLACE TRIGGER workflow_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.workflow
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use define_workflow() and activate_workflow()');
CREATE OR REPLACE TRIGGER workflow_truncate BEFORE TRUNCATE ON oms.workflow
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Use define_workflow() and activate_workflow()');
CREATE OR REPLACE TRIGGER workflow_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.workflow
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER workflow_state_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.workflow_state
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Define another version with define_workflow()');
CREATE OR REPLACE TRIGGER workflow_state_truncate BEFORE TRUNCATE ON oms.workflow_state
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Define another version with define_workflow()');
CREATE OR REPLACE TRIGGER workflow_transition_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.workflow_transition
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Define another version with define_workflow()');
CREATE OR REPLACE TRIGGER workflow_transition_truncate BEFORE TRUNCATE ON oms.workflow_transition
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Define another version with define_workflow()');

INSERT INTO oms.table_class VALUES
	('workflow', 'merchant', 'order'), ('workflow_state', 'merchant', 'order'), ('workflow_transition', 'merchant', 'order')
	ON CONFLICT (table_name) DO NOTHING;

CREATE OR REPLACE VIEW oms.verify_workflow AS
SELECT o.merchant_id, 'state_is_core' AS rule, format('order %s', o.order_id) AS object,
	coalesce(s.core_state, 'a state of workflow ' || o.workflow_id) AS expected, format('%s, lifecycle %s', o.state, o.lifecycle) AS found
FROM oms.sales_order o
LEFT JOIN oms.workflow_state s ON s.merchant_id = o.merchant_id AND s.workflow_id = o.workflow_id AND s.state = o.state
WHERE o.workflow_id IS NOT NULL AND s.core_state IS DISTINCT FROM o.lifecycle;
COMMENT ON VIEW oms.verify_workflow IS 'Broken invariants of workflows; see verify()';
COMMENT ON COLUMN oms.verify_workflow.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_workflow.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_workflow.object IS 'Where';
COMMENT ON COLUMN oms.verify_workflow.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_workflow.found IS 'What is';
