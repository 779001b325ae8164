-- Roles: what each profile may call and read, and which role has which profile.

CREATE TABLE IF NOT EXISTS oms.profile (
	profile		text PRIMARY KEY,
	description	text NOT NULL
);
COMMENT ON TABLE oms.profile IS 'Profiles that grant_role() knows';
COMMENT ON COLUMN oms.profile.profile IS 'Name';
COMMENT ON COLUMN oms.profile.description IS 'Who should have it';

CREATE TABLE IF NOT EXISTS oms.privilege (
	kind		text NOT NULL CHECK (kind IN ('function', 'view')),
	name		text NOT NULL,
	profiles	text[] NOT NULL,
	PRIMARY KEY (kind, name)
);
COMMENT ON TABLE oms.privilege IS 'For every function and view of oms the profiles that may call or read it. Written by install(); granted by grant_role()';
COMMENT ON COLUMN oms.privilege.kind IS 'function (also procedures and aggregates) or view';
COMMENT ON COLUMN oms.privilege.name IS 'Name without schema; all functions of that name';
COMMENT ON COLUMN oms.privilege.profiles IS 'Profiles; empty: internal or for the owner alone';

CREATE TABLE IF NOT EXISTS oms.role_profile (
	role_name	text PRIMARY KEY,
	profile		text NOT NULL REFERENCES oms.profile,
	granted_at	timestamptz NOT NULL
);
COMMENT ON TABLE oms.role_profile IS 'Profile of each role that got one by grant_role(); granted again by refresh_roles()';
COMMENT ON COLUMN oms.role_profile.role_name IS 'Database role';
COMMENT ON COLUMN oms.role_profile.profile IS 'Its profile';
COMMENT ON COLUMN oms.role_profile.granted_at IS 'When it got it (UTC instant)';

INSERT INTO oms.table_class VALUES
	('profile', 'reference', 'core'), ('privilege', 'reference', 'core'), ('role_profile', 'local', 'core')
	ON CONFLICT (table_name) DO NOTHING;

INSERT INTO oms.profile VALUES
	('app', 'The shop: places orders, shows them to their customers, takes returns'),
	('clerk', 'Customer service: finds, edits, holds, cancels, refunds'),
	('warehouse', 'Stock, picking, packing, shipping, receiving returns'),
	('finance', 'Payments, refunds, reconciliation'),
	('analyst', 'Reads the views and nothing else'),
	('connector', 'Gateways, carriers, marketplaces: events, tasks, answers')
	ON CONFLICT (profile) DO UPDATE SET description = excluded.description;

-- The matrix. A function or view that is not here fails test/pgtap/privileges.sql.
INSERT INTO oms.privilege (kind, name, profiles)
SELECT v.kind, n.name, v.profiles
FROM (VALUES
	-- For everybody: what says something about oms, or computes
	('function', '{app,clerk,warehouse,finance,analyst,connector}'::text[], '{version,clock,available,units_share,prorate}'::text[]),
	('function', '{app,clerk,warehouse,finance,analyst,connector}',
		'{money,amount,currency,abs,sum,min,max,money_plus,money_minus,money_negative,money_times,number_times_money,money_over_number,money_ratio,money_smaller,money_larger}'),
	('function', '{app,clerk,warehouse,finance,analyst,connector}',
		'{money_in,money_out,money_recv,money_send,money_eq,money_ne,money_lt,money_le,money_gt,money_ge,money_cmp,money_hash,money_hash_extended}'),
	('function', '{app,clerk,warehouse,finance,analyst,connector}', '{effective_setting}'),
	('function', '{clerk,warehouse,finance,analyst}', '{verify}'),
	-- Orders
	('function', '{app,clerk,connector}', '{place_order,place_orders,order_differences,quote_order,accept_quote}'),
	('function', '{clerk,connector}', '{import_order,import_document,import_differences,x12_transactions}'),
	('function', '{app,clerk,connector}', '{cancel_order,cancel_line}'),
	('function', '{clerk}', '{reopen_order}'),
	('view', '{clerk,finance,analyst}', '{price_overrides}'),
	('function', '{app,clerk,warehouse,finance,connector}', '{hold}'),
	('function', '{clerk,finance}', '{release_hold,transition}'),
	('function', '{clerk,warehouse,finance}', '{perform_action}'),
	('function', '{clerk,finance,analyst}', '{workflow_findings}'),
	('view', '{}', '{verify_workflow}'),
	('function', '{app,clerk,warehouse,finance,connector}', '{blocked_by}'),
	('view', '{clerk,warehouse,finance,analyst}', '{order_blocked}'),
	('function', '{clerk}', '{edit_order,preview_edit,confirm_edit,decline_edit,split_order,merge_orders}'),
	('function', '{clerk,finance,analyst}', '{split_parts}'),
	('view', '{clerk,finance,analyst}', '{order_edits}'),
	('view', '{}', '{verify_edit}'),
	-- Looking up
	('function', '{app,clerk,warehouse,finance}', '{find_orders,order_document,order_timeline,allowed_actions,fulfilment_actions}'),
	('function', '{app,clerk}', '{track,track_token}'),
	('function', '{app,clerk,warehouse,finance}', '{preview,preview_all,preview_images}'),
	('function', '{}', '{preview_capture,order_history,order_part_guard,purge_history}'),
	('function', '{app,clerk,warehouse,finance}', '{order_as_of}'),
	('function', '{clerk,finance}', '{order_rows_as_of,replay_order}'),
	('view', '{clerk,finance}', '{order_history}'),
	('view', '{}', '{order_row,verify_history}'),
	-- Stock
	('function', '{warehouse}', '{receive_stock,adjust_stock,count_stock,transfer_stock,receive_transfer}'),
	('function', '{app,clerk,warehouse,finance,connector}', '{available_to_promise}'),
	('function', '{clerk,warehouse,analyst}', '{promise_profile}'),
	('function', '{clerk,warehouse,finance,analyst}', '{pegs}'),
	('function', '{clerk,warehouse,connector}', '{renew_promises}'),
	('function', '{clerk}', '{set_preorder,set_preorder_cap,release_preorder}'),
	('function', '{warehouse,connector}', '{order_supply,revise_supply,receive_supply,close_supply}'),
	('function', '{warehouse,finance}', '{add_landed_cost}'),
	('function', '{finance}', '{revalue_stock}'),
	('function', '{clerk,finance,analyst}', '{inventory_value,shipped_cost}'),
	('view', '{clerk,finance,analyst}', '{inventory_valuation,transit_value,movement_cost,cost_of_goods}'),
	('view', '{}', '{verify_cost,verify_unit}'),
	('function', '{app,clerk,warehouse,finance,connector}', '{base_quantity,unit_quantity,base_price,sold_quantity}'),
	('function', '{warehouse}', '{receive_lot,adjust_lot,set_lot_status,place_lot}'),
	('function', '{clerk}', '{set_urgency,set_backorder_limit,set_sale_limit}'),
	('function', '{app,clerk,warehouse}', '{hold_stock,extend_hold,release_stock,release_pending,allocate_backorders}'),
	('function', '{clerk,warehouse,connector}', '{reserve,reserve_due,set_ship_date}'),
	('function', '{clerk}', '{displace}'),
	('function', '{clerk,connector}', '{expire_orders}'),
	('function', '{clerk,finance}', '{set_payment_deadline}'),
	('function', '{app,clerk,connector}', '{revise_quote,call_off,clone_order}'),
	('function', '{clerk}', '{blanket_order}'),
	('function', '{app,clerk}', '{recur_order,set_recurrence}'),
	('function', '{clerk,connector}', '{run_recurring,retry_recurrence}'),
	('function', '{app,clerk,finance,analyst,connector}', '{recurrence_due}'),
	('view', '{app,clerk,finance,analyst}', '{recurrences,recurring_order}'),
	('view', '{app,clerk,finance,analyst}', '{quotes,blanket_rest}'),
	('function', '{app,clerk,warehouse}', '{preview_sourcing}'),
	('function', '{app,clerk,connector}', '{published_quantity}'),
	('function', '{warehouse,connector}', '{alert_low_stock}'),
	-- Fulfilment and shipping
	('function', '{clerk,warehouse,connector}', '{plan_fulfilment,cancel_fulfilment,set_shipment_policy,complete_services}'),
	('function', '{warehouse}', '{create_wave,claim_pick,confirm_pick,short_pick,pack,unpack,unship,forward}'),
	('function', '{warehouse,connector}', '{ship,ship_order,record_tracking,buy_label,void_label,close_manifest}'),
	('function', '{clerk,warehouse}', '{packing_slip,pick_list}'),
	('function', '{app,clerk,warehouse,connector}', '{rate_shop,rate_shop_batch,explain_rate,promise_date}'),
	('function', '{}', '{activate_tariff}'),
	-- Payments
	('function', '{app,clerk,finance,connector}', '{authorize,capture,void,request_payment}'),
	('function', '{clerk,finance}', '{refund,request_refund,return_money}'),
	('function', '{clerk,finance,connector}', '{reauthorize,expire_authorizations}'),
	('view', '{clerk,finance,analyst,connector}', '{authorization_expiry}'),
	('function', '{app,clerk,finance,connector}', '{split_payment,pay_with_credit,credit_balance,new_code}'),
	('function', '{clerk,finance}', '{issue_gift_card,issue_store_credit,adjust_credit,extend_credit,block_credit}'),
	('function', '{finance,connector}', '{expire_credit}'),
	('function', '{}', '{code_hash}'),
	('view', '{clerk,finance,analyst}', '{credit_accounts,credit_liability,payment_difference,chargebacks,pay_links}'),
	('function', '{app,clerk,finance,connector}', '{create_pay_link,use_pay_link,pay_link}'),
	('function', '{clerk,finance}', '{cancel_pay_link}'),
	('view', '{}', '{verify_credit}'),
	('function', '{finance,connector}', '{record_payment_event}'),
	('function', '{finance}', '{issue_credit,import_settlement,reconcile}'),
	('function', '{finance,connector}', '{issue_invoice,issue_credit_note,void_invoice}'),
	('view', '{clerk,finance,analyst,connector}', '{invoices,invoice_lines,invoice_tax,invoice_balance,to_invoice}'),
	('view', '{}', '{invoiced,verify_invoice,verify_terms,credit_use,order_calendar}'),
	('function', '{clerk,finance}', '{check_credit}'),
	('function', '{clerk,finance}', '{set_terms,account_statement}'),
	('function', '{app,clerk,warehouse,finance,analyst,connector}', '{awaits_payment}'),
	('function', '{app,clerk,warehouse,finance,connector}', '{explain_payment}'),
	('view', '{clerk,warehouse,finance,analyst}', '{awaiting_payment}'),
	('view', '{}', '{payment_standing}'),
	('view', '{clerk,finance,analyst}', '{credit_exposure,payment_due,receivable,receivable_ageing}'),
	-- Returns
	('function', '{app,clerk,connector}', '{request_return,cancel_return,returnable}'),
	('function', '{clerk,warehouse}', '{decide_return,receive_return,inspect_return,close_return}'),
	('function', '{clerk,finance,warehouse}', '{suggested_refund}'),
	('function', '{clerk,connector}', '{expire_returns}'),
	-- Holds by rule
	('function', '{clerk,warehouse,finance}', '{assign_order,tag_order,untag_order,add_note}'),
	('view', '{clerk,warehouse,finance,analyst}', '{order_desk,tagged_order,order_notes}'),
	('view', '{clerk,warehouse,finance,analyst}', '{order_problem,order_milestone,order_clock}'),
	('function', '{app,clerk,warehouse,finance,analyst,connector}', '{business_minutes,business_due}'),
	('function', '{clerk,finance}', '{approve_order,reject_order}'),
	('view', '{clerk,finance,analyst}', '{approval_queue}'),
	('view', '{}', '{approval_need,verify_approval}'),
	('function', '{clerk,finance}', '{judge_order,dry_run_condition,block_key,check_condition}'),
	('view', '{clerk,finance,analyst}', '{hold_override,order_facts}'),
	('view', '{}', '{order_key}'),
	('function', '{}', '{caller_has_role,condition_guard,block_list_guard,order_changed}'),
	-- Events, tasks, messages
	('function', '{connector}', '{event_horizon,subscribe,unsubscribe,fetch_events,take_events,ack_events,replay}'),
	('function', '{app,clerk,warehouse,finance,connector}', '{add_task}'),
	('function', '{connector}', '{claim_tasks,extend_lease,complete_task,fail_task}'),
	('function', '{clerk,finance,connector}', '{retry_task}'),
	('function', '{app,clerk,connector}', '{send_message,render_message}'),
	('function', '{connector}', '{receive_message}'),
	-- Transfers, counts
	('function', '{warehouse}', '{ship_transfer,cancel_transfer,open_count,record_count,post_count,cancel_count}'),
	('function', '{clerk,warehouse}', '{count_shortfall}'),
	('function', '{clerk,warehouse,finance,analyst}', '{stock_as_of}'),
	('view', '{clerk,warehouse,finance,analyst}', '{stock_in_transit,lot_in_transit,count_due,count_lines}'),
	('view', '{}', '{verify_transfer,verify_count,verify_item}'),
	('function', '{}', '{item_kind_guard}'),
	-- The owner alone
	('function', '{}', '{install,set_setting,define_workflow,activate_workflow,grant_role,revoke_role,refresh_roles,purge_events,purge_requests,purge_work,purge_holds}'),
	-- Internal
	('function', '{}', '{guard_append_only,guard_command_only,guard_parent,config_changed,setting_guard,event_position,message_template_guard,kit_component_guard,merchant_seed,track_secret_seed}'),
	('function', '{}', '{stock_guard,stock_gate,stock_movement_apply,reservation_gate,stock_hold_gate,sales_order_guard,sales_order_moved,order_line_guard,order_line_refresh,order_hold_refresh,map_lines,map_units}'),
	('function', '{}', '{gate_truncate}'),
	('function', '{}', '{supply_line_guard,supply_line_moved}'),
	('function', '{}', '{promise_bound_guard,promise_bound_gate,reorder_rule_guard}'),
	('function', '{}', '{sourcing_rule_guard}'),
	('function', '{}', '{tariff_guard,tariff_part_guard,payment_event_fold,fulfilment_follow,prorate_step,prorate_final,stock_gate_entries}'),
	('function', '{}', '{lot_guard,lot_follow,lot_stock_guard,lot_stock_gate,item_tracking_guard}'),
	-- Views
	('view', '{clerk,warehouse,analyst}', '{lot_level,lot_trace,lot_shortage}'),
	('view', '{}', '{verify_lot}'),
	('view', '{app,clerk,warehouse,finance,analyst,connector}', '{orders,order_lines,stock_level,shipments}'),
	('view', '{clerk,warehouse,finance,analyst,connector}', '{supply,preorders}'),
	('view', '{clerk,warehouse,analyst}', '{peg,supply_profile}'),
	('view', '{app,clerk,finance,analyst,connector}', '{messages,payments,payment_balance}'),
	('view', '{clerk,finance,analyst}', '{customers,customer_value,sales_by_day,payment_detail,order_money}'),
	('view', '{clerk,warehouse,finance,analyst}', '{open_work,return_open,stock_holds,backorder}'),
	('view', '{clerk,warehouse,finance,analyst}', '{promise_bounds,sale_limits,channel_quantity,stock_watch,low_stock}'),
	('view', '{clerk,warehouse,analyst}', '{ready_to_plan,ready_to_pick,ready_to_pack,ready_to_ship}'),
	('view', '{clerk,finance,analyst}', '{refund_not_moved,payment_anomaly}'),
	('view', '{warehouse,analyst}', '{tariff_gap}'),
	('view', '{clerk,warehouse,analyst}', '{sourcing_decision}'),
	('view', '{clerk,finance,analyst}', '{unpaid_order}'),
	('view', '{}', '{verify_expiry,verify_split,verify_quote,verify_blanket,verify_recurrence}'),
	('view', '{app,clerk,warehouse,finance,analyst}', '{order_relation}'),
	('view', '{clerk,finance,analyst,connector}', '{task_queue,dead_letter,consumer_lag}'),
	('view', '{}', '{payment_sum,payment_order,payment_fold,order_axes,return_part,stock_gate}'),
	('view', '{}', '{verify_trigger}'),
	('view', '{}', '{verify_promise_bound,verify_sale_limit}'),
	('view', '{}', '{verify_supply,verify_promise,verify_preorder}'),
	('view', '{}', '{verify_sourcing}'),
	('view', '{clerk,finance,analyst}', '{order_amounts,promotion_result}'),
	('view', '{}', '{verify_promotion}'),
	('view', '{}', '{verify_all,verify_event,verify_inventory,verify_order,verify_backorder,verify_payment,verify_fulfilment,verify_returns,verify_shipping}')
) v (kind, profiles, names), unnest(v.names) n (name)
ON CONFLICT (kind, name) DO UPDATE SET profiles = excluded.profiles;

-- What is not there (any more, or yet) has no privileges.
DELETE FROM oms.privilege v
WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE v.kind = 'function' AND p.proname = v.name AND p.pronamespace = 'oms'::regnamespace)
	AND NOT EXISTS (SELECT FROM pg_class c WHERE v.kind = 'view' AND c.relname = v.name AND c.relkind = 'v' AND c.relnamespace = 'oms'::regnamespace);

-- Who had a profile before DROP EXTENSION or an upgrade has it again, with what came new.
SELECT oms.refresh_roles();
