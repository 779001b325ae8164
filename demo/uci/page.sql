\echo '<h2>The reconciliation</h2><p class="note">Every line of the file in exactly one class; the right-hand figures are what the rows of oms say.</p><div class="two">'
SELECT page.grid('{Class,Lines,In the file,In oms,Difference}', 'lrrrr', jsonb_agg(r), 'By class, GBP')
FROM (
	SELECT jsonb_build_array(coalesce(class, 'all'), page.number(count(*)), page.number(sum(in_file), 3), page.number(sum(in_oms), 3), page.number(sum(in_oms) - sum(in_file), 3)) AS r
	FROM uci.outcome GROUP BY ROLLUP (class) ORDER BY class NULLS LAST
) AS q;
SELECT page.grid('{Month,Lines,In the file,In oms,Difference}', 'lrrrr', jsonb_agg(r), 'By month, GBP')
FROM (
	SELECT jsonb_build_array(coalesce(to_char(month, 'YYYY-MM'), 'all'), page.number(count(*)), page.number(sum(in_file), 3), page.number(sum(in_oms), 3), page.number(sum(in_oms) - sum(in_file), 3)) AS r
	FROM uci.outcome GROUP BY ROLLUP (month) ORDER BY month NULLS LAST
) AS q;
\echo '</div>'
