\set c random(1, 10000)
select oms.place_order(1, 1, :c::bigint, '{1}'::bigint[], '{1}'::int[]);
