-- Catalogue: guards of plain tables.

CREATE FUNCTION oms.kit_component_guard() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_kit_component_guard';
COMMENT ON FUNCTION oms.kit_component_guard() IS 'Trigger: only items of kind kit have parts, and no kit contains itself (OM011)';
CREATE FUNCTION oms.merchant_seed() RETURNS trigger LANGUAGE C AS 'MODULE_PATHNAME', 'oms_merchant_seed';
COMMENT ON FUNCTION oms.merchant_seed() IS 'Trigger: a new merchant starts with the core lifecycle';
