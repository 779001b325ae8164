-- Bounds on live promises.

CREATE FUNCTION oms.promise_bound_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_promise_bound_guard';
COMMENT ON FUNCTION oms.promise_bound_guard() IS 'Trigger: computes the ceiling of a bound; what is bounded does not change (OM009)';
CREATE FUNCTION oms.promise_bound_gate() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_promise_bound_gate';
COMMENT ON FUNCTION oms.promise_bound_gate() IS 'Trigger: moves the counter of a bound by what it allows more or less';
