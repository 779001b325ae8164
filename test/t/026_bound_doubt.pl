# Bounds on promises, and reserves that start later, where the gate cannot be
# told: prepared transactions, a server that was killed. Low, never high.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use Shop;

my $node = server('bound', "max_prepared_transactions = 10\nfsync = on\n");
shop($node, 'shop');
$node->safe_psql('shop', <<'SQL');
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'FEW' || n, 'Ten of ' || n FROM generate_series(101, 104) n;
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, n, 'EUR', 1 FROM generate_series(101, 104) n;
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) SELECT 1, 1, n, 'opening', 10, 'opening' FROM generate_series(101, 104) n;
INSERT INTO oms.promise_bound (merchant_id, bound_id, item_id, channel_id, quantity) SELECT 1, n, n, 1, 5 FROM generate_series(101, 103) n;
SQL

# What placing an order of so many ends with: ok, or its SQLSTATE.
sub try_order
{
	my ($sku, $quantity) = @_;
	my ($status, $out, $err) = $node->psql('shop', "\\set VERBOSITY verbose\nSELECT oms.place_order(1, '" . Shop::document("$sku:$quantity") . "')");
	return 'ok' if $out =~ /^\d+$/;
	return $err =~ /(OM\d\d\d)/ ? $1 : $err;
}

sub prepare
{
	my ($name, $sql) = @_;
	$node->safe_psql('shop', "BEGIN; $sql; PREPARE TRANSACTION '$name'");
	return;
}

sub prepare_order
{
	my ($name, $sku, $quantity) = @_;
	prepare($name, "SELECT oms.place_order(1, '" . Shop::document("$sku:$quantity") . "')");
	return;
}

prepare_order('kept', 'FEW101', 3);
is(try_order('FEW101', 3), 'OM007', 'prepared promises count');
is(try_order('FEW101', 2), 'ok', 'others have the rest');
$node->safe_psql('shop', "COMMIT PREPARED 'kept'");
is(try_order('FEW101', 1), 'OM007', 'committed, they still count');

prepare_order('back', 'FEW102', 3);
$node->safe_psql('shop', "ROLLBACK PREPARED 'back'");
is(try_order('FEW102', 5), 'ok', 'rolled back, they do not');

# Lowered by a prepared transaction, and a server killed meanwhile.
prepare('lower', 'UPDATE oms.promise_bound SET quantity = 2 WHERE bound_id = 103');
prepare('keep', "SELECT oms.hold_stock(1, 104, 1, 4, starts_at => now() + interval '2 seconds', expires_at => now() + interval '1 hour', purpose => 'reserve', channel => 1)");
$node->kill9;
for (1 .. 300)
{
	last if $node->start(fail_ok => 1);
	sleep 0.1;
	$node->stop('fast', fail_ok => 1);
}
is(try_order('FEW103', 3), 'OM007', 'what a prepared transaction may lower is not given out');
$node->safe_psql('shop', "COMMIT PREPARED 'lower'");
is(try_order('FEW103', 3), 'OM007', 'lowered');
is(try_order('FEW103', 2), 'ok', 'to that');
is(try_order('FEW101', 1), 'OM007', 'a restart forgets no promise');

# A reserve by the real clock: started with nobody there to start it.
$node->safe_psql('shop', "COMMIT PREPARED 'keep'");
$node->poll_query_until('shop', 'SELECT oms.available(1, 104) = 6') or die 'the reserve does not start';
$node->safe_psql('shop', "INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, 44, 'other', 'Other', 'EUR'); INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, 44, 1)");
my $other = "SELECT oms.place_order(1, '{\"channel\":44,\"lines\":[{\"sku\":\"FEW104\",\"quantity\":%d}]}')";
my ($status, $out, $err) = $node->psql('shop', "\\set VERBOSITY verbose\n" . sprintf($other, 7));
like($err, qr/OM001/, 'another channel may not have it');
$node->safe_psql('shop', sprintf($other, 6));
is(try_order('FEW104', 4), 'ok', 'its channel has it');
is($node->safe_psql('shop', 'SELECT counter, recomputed, doubtful FROM oms.stock_gate WHERE item_id = 104 AND location_id = 1'), '0|0|f', 'the counter is what the rows say');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_gate_entries() e JOIN oms.promise_bounds b ON b.bound_id = - e.location_id WHERE e.counter <> b.quantity - b.promised'), '0', 'and so are those of the bounds');
is_sound($node, 'shop', 'bounds and reserves');
$node->stop;
done_testing();
