\set c random(1, 10000)
select bench.try_place(:c, 20001);
