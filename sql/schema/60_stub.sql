CREATE OR REPLACE VIEW oms.payment_order AS SELECT merchant_id, order_id, payment_state AS state FROM oms.sales_order;
