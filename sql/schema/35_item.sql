-- Items that change: what lives by an item's kind keeps it.

CREATE OR REPLACE TRIGGER item_kind BEFORE UPDATE OF kind ON oms.item
	FOR EACH ROW WHEN (new.kind IS DISTINCT FROM old.kind) EXECUTE FUNCTION oms.item_kind_guard();

CREATE OR REPLACE VIEW oms.verify_item AS
SELECT r.merchant_id, 'promise_is_stocked' AS rule, format('reservation %s', r.reservation_id) AS object,
	'a stocked item' AS expected, format('item %s is %s', i.item_id, i.kind) AS found
FROM oms.reservation r JOIN oms.item i ON i.merchant_id = r.merchant_id AND i.item_id = r.item_id
WHERE i.kind <> 'stocked'
UNION ALL
SELECT s.merchant_id, 'level_is_stocked', format('item %s at location %s', s.item_id, s.location_id),
	'a stocked item', format('a %s with units', i.kind)
FROM oms.stock s JOIN oms.item i ON i.merchant_id = s.merchant_id AND i.item_id = s.item_id
WHERE i.kind <> 'stocked' AND (s.on_hand, s.damaged, s.quality_control, s.quarantine) <> (0, 0, 0, 0);
COMMENT ON VIEW oms.verify_item IS 'Promises and levels of items that have no shelf; see verify()';
COMMENT ON COLUMN oms.verify_item.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_item.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_item.object IS 'Where';
COMMENT ON COLUMN oms.verify_item.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_item.found IS 'What is';
