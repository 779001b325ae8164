\pset footer off
\pset null '-'
\echo '# The reconciliation'
\echo '> Freight, by shipper and in all: the dump, and what the orders in oms charge.'
\set ECHO queries
SELECT coalesce(shipper, 'all') AS shipper, count(*) AS orders, sum(freight) AS freight, sum(freight_in_oms) AS freight_in_oms,
	sum(freight_in_oms) - sum(freight) AS difference
FROM northwind.outcome
GROUP BY ROLLUP (shipper)
ORDER BY outcome.shipper NULLS LAST;
SELECT coalesce(carrier_in_oms, 'not shipped') AS carrier, count(*) AS orders, sum(freight_in_oms) AS freight
FROM northwind.outcome
GROUP BY 1
ORDER BY 1;
\set ECHO none
\echo '> Lines, and their amounts before and after discount; rounding is what cents make of the discounts.'
\set ECHO queries
SELECT sum(lines) AS lines, sum(lines_in_oms) AS in_oms, sum(gross) AS gross, sum(gross_in_oms) AS gross_in_oms,
	sum(net) AS net, sum(net_in_oms) AS net_in_oms, sum(net_in_oms) - sum(net) AS rounding
FROM northwind.outcome;
\set ECHO none
\echo '> Orders that differ in freight, lines, amounts or shipper; freight also from the exact decimals of the other dump, if it is there.'
\set ECHO queries
SELECT count(*) FILTER (WHERE freight_in_oms IS DISTINCT FROM freight) AS freight,
	count(freight_exact) AS compared, count(*) FILTER (WHERE freight_in_oms <> freight_exact) AS freight_exact,
	count(*) FILTER (WHERE lines_in_oms IS DISTINCT FROM lines) AS lines,
	count(*) FILTER (WHERE gross_in_oms IS DISTINCT FROM gross) AS gross,
	count(*) FILTER (WHERE shipped AND carrier_in_oms IS DISTINCT FROM shipper) AS shipper
FROM northwind.outcome;
\pset footer on
SELECT * FROM oms.verify(1);
\pset footer off
\set ECHO none
