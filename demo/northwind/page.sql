\echo '<h2>The reconciliation</h2><p class="note">Freight of the dump beside the shipping charges of the orders in oms.</p><div class="two">'
SELECT page.grid('{Shipper,Orders,In the dump,In oms,Difference}', 'lrrrr', jsonb_agg(r), 'Freight by shipper, USD')
FROM (
	SELECT jsonb_build_array(coalesce(shipper, 'all'), page.number(count(*)), page.number(sum(freight), 2), page.number(sum(freight_in_oms), 2), page.number(sum(freight_in_oms) - sum(freight), 2)) AS r
	FROM northwind.outcome GROUP BY ROLLUP (shipper) ORDER BY shipper NULLS LAST
) AS q;
SELECT page.grid('{Sum of lines,In the dump,In oms,Difference}', 'lrrr', jsonb_agg(r), 'Amounts, USD')
FROM (
	SELECT jsonb_build_array('before discount', page.number(sum(gross), 2), page.number(sum(gross_in_oms), 2), page.number(sum(gross_in_oms) - sum(gross), 2)) AS r FROM northwind.outcome
	UNION ALL
	SELECT jsonb_build_array('after discount, in cents', page.number(sum(net), 4), page.number(sum(net_in_oms), 4), page.number(sum(net_in_oms) - sum(net), 4)) FROM northwind.outcome
) AS q;
\echo '</div>'
