-- Everything verify() looks at: one view per domain.

CREATE OR REPLACE VIEW oms.verify_all AS
SELECT merchant_id, rule, object, expected, found FROM oms.verify_inventory
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_transfer
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_item
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_cost
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_count
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_lot
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_order
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_workflow
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_expiry
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_split
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_quote
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_blanket
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_history
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_recurrence
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_unit
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_approval
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_edit
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_backorder
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_supply
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_promise_bound
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_sale_limit
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_promise
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_preorder
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_sourcing
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_promotion
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_shipping
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_payment
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_credit
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_fulfilment
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_returns
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_invoice
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_terms
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_event
UNION ALL SELECT merchant_id, rule, object, expected, found FROM oms.verify_trigger;
COMMENT ON VIEW oms.verify_all IS 'Every broken invariant of every merchant; oms.verify(merchant) asks for one';
