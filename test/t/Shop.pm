# A small shop for the tests of whole servers.
package Shop;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(server shop trade place is_sound is_same contents schema counters);

# A running cluster; more settings as text.
sub server
{
	my ($name, $conf, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%init);
	$node->append_conf('postgresql.conf', "timezone = 'UTC'\njit = off\n" . ($conf // ''));
	$node->start;
	return $node;
}

# A database with oms: what install() seeds, a second location, 20 items and a kit, all well stocked.
sub shop
{
	my ($node, $db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, <<'SQL');
CREATE EXTENSION oms;
CALL oms.install();
INSERT INTO oms.location (merchant_id, location_id, code, name) VALUES (1, 2, 'SOUTH', 'Warehouse in the south');
INSERT INTO oms.channel_location (merchant_id, channel_id, location_id, priority) VALUES (1, 1, 2, 2);
INSERT INTO oms.item (merchant_id, item_id, sku, title, weight_g)
	SELECT 1, n, 'SKU' || n, 'Item ' || n, 100 * n FROM generate_series(1, 20) n;
INSERT INTO oms.item (merchant_id, item_id, sku, title, kind) VALUES (1, 21, 'KIT', 'Two of a kind', 'kit');
INSERT INTO oms.kit_component (merchant_id, kit_id, item_id, quantity) VALUES (1, 21, 1, 2), (1, 21, 2, 1);
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, item_id, 'EUR', item_id + 0.99 FROM oms.item;
INSERT INTO oms.tax_rule (merchant_id, tax_class, rate) VALUES (1, 'standard', 0.19);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause)
	SELECT 1, l, n, 'opening', 1000000, 'opening stock' FROM generate_series(1, 20) n, generate_series(1, 2) l;
SQL
	return;
}

# Orders in every stage of their life.
sub trade
{
	my ($node, $db) = @_;
	my @orders = map { place($node, $db, 'SKU' . (1 + $_ % 20) . ':' . (1 + $_ % 3), 'KIT:1') } 1 .. 30;
	$node->safe_psql($db, <<"SQL");
SELECT oms.cancel_order(1, $orders[0]);
SELECT oms.cancel_line(1, $orders[1], 2);
SELECT oms.hold(1, $orders[2], 'fraud', 'address and card disagree');
SELECT oms.adjust_stock(1, 5, 1, -7, 'broken in the rain');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 40, 'SOON', 'Still to come');
SELECT oms.set_preorder(1, 40, '2099-01-01Z'), oms.set_preorder_cap(1, 40, 10);
SELECT oms.order_supply(1, '{"location": "SOUTH", "lines": [{"sku": "SOON", "quantity": 5, "expected_at": "2099-02-01T00:00:00Z"}]}');
SELECT oms.place_order(1, '{"channel": 1, "lines": [{"sku": "SOON", "quantity": 4, "unit_price": "9"}]}');
SELECT oms.receive_supply(1, supply_id, 1, 2) FROM oms.supply_line WHERE item_id = 40;
SQL
	for my $order (@orders[5 .. 19])
	{
		my $payment = $node->safe_psql($db, "SELECT oms.authorize(1, $order, 'card')");
		$node->safe_psql($db, <<"SQL");
SELECT oms.record_payment_event(1, $payment, 'authorized', total, 'auth-' || order_id) FROM oms.sales_order WHERE merchant_id = 1 AND order_id = $order;
SELECT oms.ship_order(1, $order);
SELECT oms.record_payment_event(1, payment_id, 'captured', amount, 'capture-' || event_id)
	FROM oms.payment_event WHERE merchant_id = 1 AND payment_id = $payment AND kind = 'capture_requested';
SQL
	}
	for my $order (@orders[5 .. 9])
	{
		my $return = $node->safe_psql($db, qq(SELECT oms.request_return(1, $order, '[{"line": 2, "quantity": 1}]', 'too small')));
		$node->safe_psql($db, "SELECT oms.decide_return(1, $return, 'approve')");
		$node->safe_psql($db, "SELECT oms.receive_return(1, $return)");
		$node->safe_psql($db, "SELECT oms.inspect_return(1, $return)");
	}
	$node->safe_psql($db, "SELECT oms.plan_fulfilment(1, $_)") for @orders[20 .. 24];
	return;
}

# The document of an order of some lines.
sub document
{
	my @lines = map { my ($sku, $quantity) = /(.*):(\d+)/; qq({"sku": "$sku", "quantity": $quantity}) } @_;
	return '{"channel": "web", "email": "ann@example.com", "ship_to": {"name": "Ann", "country": "DE"}, "lines": [' . join(', ', @lines) . ']}';
}

# Place an order; its id.
sub place
{
	my ($node, $db, @lines) = @_;
	my $document = document(@lines);
	return $node->safe_psql($db, "SELECT oms.place_order(1, '$document')");
}

sub is_sound
{
	my ($node, $db, $name) = @_;
	is($node->safe_psql($db, 'SELECT * FROM oms.verify(1)'), '', "$name: verify() finds nothing");
	return;
}

# Like is(), for long texts: shows what differs.
sub is_same
{
	my ($got, $expected, $name) = @_;
	return 1 if ok($got eq $expected, $name);
	my $dir = PostgreSQL::Test::Utils::tempdir;
	append_to_file("$dir/got", $got);
	append_to_file("$dir/expected", $expected);
	my ($diff) = run_command([ 'diff', '-U1', "$dir/expected", "$dir/got" ]);
	diag(substr($diff, 0, 4000));
	return 0;
}

# Rows and checksum of each table, and view; what belongs to the node is left out, and the view of its memory.
sub contents
{
	my ($node, $db, $views) = @_;
	my $kinds = $views ? "'r', 'p', 'v'" : "'r', 'p'";
	my $query = $node->safe_psql($db, <<"SQL");
SELECT string_agg(format('SELECT %L, count(*), md5(string_agg(t::text, E''\\n'' ORDER BY t::text COLLATE "C")) FROM %s t',
		relname, oid::regclass), ' UNION ALL ')
	FROM pg_class WHERE relnamespace = 'oms'::regnamespace AND relkind IN ($kinds)
		AND relname NOT IN (SELECT table_name FROM oms.table_class WHERE class = 'local')
		AND relname <> 'stock_gate'
SQL
	return join "\n", sort split /\n/, $node->safe_psql($db, $query);
}

# Where the sequences stand.
sub counters
{
	my ($node, $db) = @_;
	return $node->safe_psql($db, 'SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2');
}

# The definition of everything, as pg_dump says it; without the text of views
# unless asked for, and without parentheses: PostgreSQL puts both a little
# differently once it has read its own words.
sub schema
{
	my ($node, $db, $views) = @_;
	my ($out, $err) = run_command([ 'pg_dump', '-s', '-d', $node->connstr($db) ]);
	$out =~ s/^\\(?:un)?restrict.*\n//mg;
	$out =~ tr/()//d;
	$out =~ s/^(CREATE (?:OR REPLACE )?VIEW \S+).*?;$/$1/msg unless $views;
	return $out;
}

1;
