# Northwind, sourced by ../run: $northwind is the dump. Of its statements only
# the INSERTs into tables that are wanted are run.

read_dump()
{
	quietly northwind/1_stage.sql
	{
		echo 'SET search_path = northwind;'
		echo 'BEGIN;'
		for table in customers shippers products orders order_details; do
			unpack "$northwind" | grep -a "^INSERT INTO $table VALUES (.*);\$"
		done
		echo 'COMMIT;'
	} | query -f -
	other=$(find_file '*.sql*' '^INSERT "Order Details" VALUES')
	[ -z "$other" ] || unpack "$other" | tr -d '\r' |
		sed -n "s/^VALUES (\([0-9]*\),N'[A-Z]*',[0-9],'[^']*','[^']*',\('[^']*'\|NULL\),[0-9],\([0-9.]*\),.*/\1	\3/p" |
		query -c '\copy northwind.exact_freight FROM STDIN'
}

echo "# Northwind: the orders of a wholesaler
> $(basename "$northwind"); the rules are in docs/real-data.md" | show
echo
step 'orders read' 'SELECT count(*) FROM northwind.orders' read_dump
step 'articles, with customers and opening stock' 'SELECT count(*) FROM oms.item WHERE merchant_id = 1' quietly northwind/2_set_up.sql
step 'documents made' 'SELECT count(*) FROM oms.staged_order WHERE merchant_id = 1' quietly northwind/3_place.sql

place_head "SELECT * FROM oms.place_orders(1, 'northwind')"
place_source northwind northwind
refused

echo '# What happened to them then' | show
echo
step 'orders shipped on their day' 'SELECT count(*) FROM oms.shipment WHERE merchant_id = 1' quietly northwind/4_ship.sql

query -c ANALYZE
quietly northwind/5_reconcile.sql
play northwind/6_show.sql
page 'Northwind in oms' "$(query -c "SELECT format('%s orders, %s to %s, loaded by documents and commands', count(*), min(order_date), max(order_date)) FROM northwind.orders")" northwind/page.sql
