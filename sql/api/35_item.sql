-- Items that change.

CREATE FUNCTION oms.item_kind_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_item_kind_guard';
COMMENT ON FUNCTION oms.item_kind_guard() IS 'Trigger: an item becomes another kind of item only while no promise, hold, level or open line lives by the old one (OM008)';
