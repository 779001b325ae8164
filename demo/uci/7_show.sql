\pset footer off
\pset null '-'
\echo '# The reconciliation'
\echo '> Every line of the file, in exactly one class; in_oms is what the rows of oms say.'
\set ECHO queries
SELECT coalesce(class, 'all') AS class, count(*) AS lines, sum(in_file) AS in_file, sum(in_oms) AS in_oms,
	sum(in_oms) - sum(in_file) AS difference
FROM uci.outcome
GROUP BY ROLLUP (class)
ORDER BY outcome.class NULLS LAST;
SELECT coalesce(to_char(month, 'YYYY-MM'), 'all') AS month, count(*) AS lines, sum(in_file) AS in_file, sum(in_oms) AS in_oms,
	sum(in_oms) - sum(in_file) AS difference
FROM uci.outcome
GROUP BY ROLLUP (month)
ORDER BY outcome.month NULLS LAST;
\set ECHO none
\echo '> Lines of the file that nothing in oms answers for, or that differ:'
\set ECHO queries
SELECT count(*) FILTER (WHERE in_oms IS NULL) AS unanswered,
	count(*) FILTER (WHERE in_oms <> in_file OR units_in_oms IS DISTINCT FROM units_in_file) AS different
FROM uci.outcome;
\set ECHO none
\echo '> The same sum from the tables of oms alone, and what rounding the line totals to pennies makes of it:'
\set ECHO queries
SELECT * FROM uci.from_oms;
\pset footer on
SELECT * FROM oms.verify(1);
\pset footer off
\set ECHO none
