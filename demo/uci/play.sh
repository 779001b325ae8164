# UCI Online Retail, sourced by ../run: $uci is the file.

some() { if [ -n "${LINES:-}" ]; then awk -v n="$LINES" 'NR <= n + 1'; else cat; fi; }

read_file()
{
	quietly uci/1_stage.sql
	unpack "$uci" | some | query -c "\\copy uci.line (invoice, code, description, quantity, invoiced_at, unit_price, customer, country) FROM STDIN WITH (FORMAT csv, HEADER)"
	query -c 'ANALYZE uci.line'
}

echo "# UCI Online Retail: the invoices of a web shop become orders
> $(basename "$uci")${LINES:+, the first $LINES lines}; the rules are in docs/real-data.md" | show
echo
step 'lines read, as they are' 'SELECT count(*) FROM uci.line' read_file
step 'credit lines that an earlier sale answers' 'SELECT count(DISTINCT credit_line) FROM uci.match' quietly uci/2_classify.sql
step 'articles, with customers and opening stock' 'SELECT count(*) FROM oms.item WHERE merchant_id = 1' quietly uci/3_set_up.sql
step 'documents made' "SELECT count(*) FROM oms.staged_order WHERE merchant_id = 1" quietly uci/4_place.sql

place_head 'SELECT * FROM oms.place_orders(1, source), a month at a time'
months=$(query -c 'SELECT DISTINCT substr(source, 5) FROM oms.staged_order WHERE merchant_id = 1 ORDER BY 1')
for month in $months; do
	place_source "uci $month" "$month"
done
refused

echo '# What happened to them then' | show
echo
phase() { step "$(sed -n '1s/^-- //p' "uci/5_$1.sql")" "$(sed -n '2s/^-- count: //p' "uci/5_$1.sql")" quietly "uci/5_$1.sql"; }
query -c ANALYZE	# a database filled within minutes has no statistics yet
phase cancel
phase pay
for month in $months; do
	step "orders shipped by the end of $month" 'SELECT count(*) FROM oms.shipment WHERE merchant_id = 1' query -o /dev/null -v month="$month" -f uci/5_ship.sql
done
phase adjust
phase return

query -c ANALYZE
quietly uci/6_reconcile.sql
play uci/7_show.sql
page 'UCI Online Retail in oms' "$(query -c "SELECT format('%s lines of %s invoices, %s to %s, loaded by documents and commands', to_char(count(*), 'FM999,999'), to_char(count(DISTINCT invoice), 'FM999,999'), min(invoiced_at)::date, max(invoiced_at)::date) FROM uci.line")" uci/page.sql
