\set l random(0, 8)
select sum(a.available) from bench.list, oms.available(1, items, 1) a where n = :l;
