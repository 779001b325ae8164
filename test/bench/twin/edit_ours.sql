select w.order_id as o, 2 + w.n % 2 as q from (select nextval('bench.edit_ours') as n offset 0) s join bench.work w on w.op = 'edit' and w.n = s.n \gset
select oms.edit_order(1, :o, jsonb_build_array(jsonb_build_object('action', 'quantity', 'line', 1, 'quantity', :q::int)));
select oms.confirm_edit(1, :o);
