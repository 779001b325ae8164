select twin.capture(1, w.payment_id, 1) from (select nextval('bench.capture_theirs') as n offset 0) s join bench.work w on w.op = 'capture' and w.n = s.n;
