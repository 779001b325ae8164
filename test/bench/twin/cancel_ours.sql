select oms.cancel_order(1, w.order_id) from (select nextval('bench.cancel_ours') as n offset 0) s join bench.work w on w.op = 'cancel' and w.n = s.n;
