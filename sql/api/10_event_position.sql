-- Events: the position of each in the log.
CREATE FUNCTION oms.event_position() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_event_position';
COMMENT ON FUNCTION oms.event_position() IS 'Trigger: event.tx is the writer''s, whatever an INSERT says';
