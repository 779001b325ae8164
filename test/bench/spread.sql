\set c random(1, 10000)
\set i random(1, 10000)
select oms.place_order(1, 1, :c::bigint, array[:i::bigint], '{1}'::int[]);
