\set c random(1, 10000)
\set a random(1, 1000)
\set b 1 + mod(:a + random(1, 499) - 1, 1000)
\set d 1 + mod(:a + 499 + random(1, 499) - 1, 1000)
\set k random(1, 9000000000000000)
select oms.place_order(1, 1, :c::bigint, array[:a::bigint, :b::bigint, :d::bigint], '{1,1,1}'::int[], 'k' || :k);
