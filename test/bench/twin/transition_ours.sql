select oms.transition(1, w.order_id, 'confirmed') from (select nextval('bench.transition_ours') as n offset 0) s join bench.work w on w.op = 'transition' and w.n = s.n;
