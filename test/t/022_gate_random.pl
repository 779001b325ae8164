# A random workload on few units: orders in both forms, cancellations, shipments, receipts, adjustments, promises
# typed by hand, savepoints, timeouts, cancelled and terminated backends, and the postmaster killed in the middle.
# At rest every counter is what the rows say and nothing is sold twice.
#
# SEED=n repeats the clients' choices, SOAK_SECONDS=n and CLIENTS=n make it longer and wider (make soak).
use strict;
use warnings;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Shop;

my $seed    = $ENV{SEED}         || time() % 1000000 | 0;
my $seconds = $ENV{SOAK_SECONDS} || 40;
my $clients = $ENV{CLIENTS}      || 16;
note "SEED=$seed SOAK_SECONDS=$seconds CLIENTS=$clients";
diag "SEED=$seed" if $ENV{SOAK_SECONDS};

my $node = server('random', "max_connections = 120\nmax_prepared_transactions = 0\ndeadlock_timeout = 200ms\n");
shop($node, 'shop');

# Items 101 to 112 are traded in every way; of 201 to 203 single units are ordered and nothing else is done.
my %units = (201 => 150, 202 => 400, 203 => 1000000);
$node->safe_psql('shop', <<"SQL");
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'R' || n, 'Few of ' || n FROM generate_series(101, 112) n;
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'R' || n, 'So many of ' || n FROM generate_series(201, 203) n;
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, item_id, 'EUR', 1 FROM oms.item WHERE item_id > 100;
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause)
	SELECT 1, l, n, 'opening', 20 * l, 'opening' FROM generate_series(101, 112) n, generate_series(1, 2) l;
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES
	(1, 1, 201, 'opening', $units{201}, 'opening'), (1, 1, 202, 'opening', $units{202}, 'opening'), (1, 1, 203, 'opening', $units{203}, 'opening');
SQL

my $tmp = PostgreSQL::Test::Utils::tempdir;
sub any { return $_[ int rand @_ ] }
sub item { return 101 + int rand 12 }

# An order or a promise that may be there: one of the last.
my $an_order = "(SELECT order_id FROM (SELECT order_id FROM oms.sales_order s WHERE merchant_id = 1 AND lifecycle IN ('placed', 'confirmed') AND NOT EXISTS (SELECT 1 FROM oms.order_line l WHERE l.merchant_id = 1 AND l.order_id = s.order_id AND l.item_id > 200) ORDER BY order_id DESC LIMIT 60) x ORDER BY random() LIMIT 1) o";
my $a_line = "(SELECT l.* FROM $an_order JOIN oms.order_line l ON l.merchant_id = 1 AND l.order_id = o.order_id AND l.item_id BETWEEN 101 AND 112 LIMIT 1) l";

my $lock_order = "BEGIN;\nSELECT order_id AS o FROM oms.sales_order JOIN $an_order USING (order_id) WHERE merchant_id = 1 FOR UPDATE OF sales_order \\gset\n";

my %action = (
	place => sub {
		my $allocation = any('strict', 'strict', 'strict', 'backorder');
		my $document = Shop::document(map { 'R' . item() . ':' . (1 + int rand 3) } 1 .. 1 + int rand 3) =~ s/^\{/{"allocation": "$allocation", /r;
		return "SELECT oms.place_order(1, '$document');";
	},
	place_array => sub { return 'SELECT oms.place_order(1, 1, NULL, ARRAY[' . item() . ', ' . item() . ']::bigint[], ARRAY[1, ' . (1 + int rand 2) . ']);' },
	cancel      => sub { return "SELECT oms.cancel_order(1, order_id) FROM $an_order;" },
	cancel_line => sub { return "SELECT oms.cancel_line(1, order_id, line_no, 1) FROM $a_line;" },
	ship        => sub { return "SELECT oms.ship_order(1, order_id) FROM $an_order;" },
	receive     => sub { return 'SELECT oms.receive_stock(1, ' . item() . ', ' . any(1, 2) . ', ' . (1 + int rand 4) . ", 'random');" },
	adjust      => sub { return 'SELECT oms.adjust_stock(1, ' . item() . ', ' . any(1, 2) . ', ' . any(-2, -1, 1) . ", 'random');" },
	# By hand: the order first, as every command does.
	release => sub { return $lock_order . "DELETE FROM oms.reservation WHERE merchant_id = 1 AND order_id = :o;\n" . any('COMMIT;', 'ROLLBACK;') },
	promise => sub {
		return $lock_order . 'INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) SELECT 1, ' . any(1, 2)
			. ", item_id, order_id, line_no, 1 FROM oms.order_line WHERE merchant_id = 1 AND order_id = :o AND item_id BETWEEN 101 AND 112 AND ordered - cancelled - shipped - allocated - backordered > 0;\n"
			. any('COMMIT;', 'COMMIT;', 'ROLLBACK;');
	},
	resize => sub {
		return $lock_order . "UPDATE oms.reservation SET quantity = quantity - 1 WHERE merchant_id = 1 AND order_id = :o AND quantity > 1;\n"
			. any('COMMIT;', 'COMMIT;', 'ROLLBACK;');
	},
	single => sub { my $n = 201 + int rand 3; return "\\echo asked $n\nSELECT 'sold $n' FROM oms.place_order(1, 1, NULL, ARRAY[$n]::bigint[], ARRAY[1]);" },
);
my @weights = ((('place') x 4), (('place_array') x 4), ('cancel') x 3, 'cancel_line', ('ship') x 2, ('receive') x 2, 'adjust', 'release', 'promise', 'resize', ('single') x 3, ('nested') x 4, 'timeout');

# Transactions of some statements: part of them in savepoints that go back or stay.
$action{nested} = sub {
	my @inner = map { $action{ any('place', 'place_array', 'place') }->() } 1 .. 3;
	return join "\n", 'BEGIN;', any($inner[0], ''), 'SAVEPOINT one;', $inner[1], any('ROLLBACK TO one;', 'ROLLBACK TO one;', 'RELEASE one;'), 'SAVEPOINT two;',
		$inner[2], any('ROLLBACK TO two;', 'RELEASE two;'), any('COMMIT;', 'COMMIT;', 'ROLLBACK;');
};
$action{timeout} = sub { return 'SET statement_timeout = ' . (1 + int rand 12) . ";\n" . $action{ any('place', 'place_array', 'cancel', 'receive') }->() . "\nRESET statement_timeout;" };

# One client: psql after psql, each of some transactions, until the time is over. What it saw goes into a file.
sub client
{
	my ($n, $until, @do) = @_;
	my %saw;
	srand($seed * 1000 + $n);
	while (time() < $until)
	{
		my @names = map { any(@do) } 1 .. 40;
		my $script = join "\n", '\set VERBOSITY sqlstate', '\set o 0', map { '\set o 0' . "\n" . $action{$_}->() } @names;
		my ($out, $err) = ('', '');
		my $ok = eval {
			IPC::Run::run([ 'psql', '-XAtq', $node->connstr('shop') . ' application_name=client' ], '<', \$script, '>', \$out, '2>', \$err);
		};
		$saw{transactions} += @names;
		$saw{$_}++ for $out =~ /^((?:asked|sold) \d+)$/mg;
		$saw{"error $_"}++ for $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})\b/g;
		$saw{disconnected}++ unless $ok;
		sleep 0.1 unless $ok;
	}
	append_to_file("$tmp/client$n", join '', map { "$_=$saw{$_}\n" } sort keys %saw);
	return;
}

sub in_background
{
	my ($code) = @_;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	eval { $code->(); 1 } or print STDERR $@;
	POSIX::_exit(0);
}

# Cancels and terminates clients at random.
sub killer
{
	my ($until) = @_;
	srand($seed);
	while (time() < $until)
	{
		my $how = any('pg_cancel_backend', 'pg_cancel_backend', 'pg_terminate_backend');
		my ($out, $err) = ('', '');
		my $sql = "SELECT $how(pid) FROM pg_stat_activity WHERE application_name = 'client' AND state <> 'idle' ORDER BY random() LIMIT 1";
		eval { IPC::Run::run([ 'psql', '-XAtq', $node->connstr('shop'), '-c', $sql ], '>', \$out, '2>', \$err) };
		sleep(0.1 + rand 0.3);
	}
	return;
}

# Every counter at rest, and what verify() says.
sub at_rest
{
	my ($name) = @_;
	$node->poll_query_until('shop', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'client'") or die 'clients stay';
	is($node->safe_psql('shop', 'SELECT item_id, location_id, counter, recomputed, pins, doubtful FROM oms.stock_gate WHERE counter <> recomputed OR pins <> 0 OR doubtful ORDER BY 1, 2'),
		'', "$name: every counter is what the rows say");
	cmp_ok($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_gate'), '>', 20, "$name: there are counters");
	is($node->safe_psql('shop', 'SELECT item_id, location_id, oms.available(1, item_id, location_id) FROM oms.stock WHERE oms.available(1, item_id, location_id) < 0'),
		'', "$name: nothing is promised that is not there");
	is_sound($node, 'shop', $name);
	return;
}

my %saw;
sub collect
{
	for my $file (glob "$tmp/client*")
	{
		/^(.*)=(\d+)$/ and $saw{$1} += $2 for split /\n/, slurp_file($file);
		unlink $file;
	}
	return;
}

# First half, a crash in its middle; second half without one.
for my $half (1, 2)
{
	my $until = time() + $seconds / 2;
	my @pids = map { my $n = $half * 1000 + $_; in_background(sub { client($n, $until, @weights) }) } 1 .. $clients;
	my $killer = in_background(sub { killer($until) });
	if ($half == 1)
	{
		sleep $seconds / 4;
		$node->kill9;
		for (1 .. 300)
		{
			last if $node->start(fail_ok => 1);
			sleep 0.1;
			$node->stop('fast', fail_ok => 1);
		}
	}
	waitpid $_, 0 for @pids, $killer;
	collect();
	at_rest($half == 1 ? 'after a crash' : 'after cancellations and terminations');
}
note "$_: $saw{$_}" for sort keys %saw;
diag join ', ', map { "$_: $saw{$_}" } sort keys %saw if $ENV{SOAK_SECONDS};
cmp_ok($saw{transactions}, '>', 10 * $clients, 'there was a load');

# Refusals of the shop; cancelled, terminated, crashed; statements after them, and savepoints that were not reached.
my %expected = map { ("error $_" => 1) } qw(OM001 OM004 OM006 OM007 OM008 57014 57P01 57P02 57P03 25P02 3B001);
is(join(' ', grep { /^error/ && !$expected{$_} } sort keys %saw), '', 'no deadlock and no unexpected error reached a client');

# Single units: a client knows of each sale; one whose answer was lost may have been made.
for my $n (sort keys %units)
{
	my ($asked, $told) = map { $saw{"$_ $n"} // 0 } qw(asked sold);
	my $sold = $node->safe_psql('shop', "SELECT count(*) FROM oms.order_line WHERE merchant_id = 1 AND item_id = $n");
	cmp_ok($sold, '<=', $units{$n} < $asked ? $units{$n} : $asked, "item $n: $sold sold, $asked asked, $units{$n} there");
	cmp_ok($sold, '>=', $told, "item $n: all $told sales that a client knows of are there");
}

# Without disturbance it is the serial model to the unit: sold = min(stock, asked).
for my $case ([ 211, 100, 300 ], [ 212, 300, 100 ], [ 213, 0, 50 ])
{
	my ($n, $stock, $ask) = @$case;
	$node->safe_psql('shop', <<"SQL");
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, $n, 'R$n', 'Model');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, $n, 'EUR', 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) SELECT 1, 1, $n, 'opening', $stock, 'opening' WHERE $stock > 0;
SQL
	my @pids = map {
		in_background(sub {
			my $script = "SELECT oms.place_order(1, 1, NULL, ARRAY[$n]::bigint[], ARRAY[1]);\n" x ($ask / 10);
			my ($out, $err);
			IPC::Run::run([ 'psql', '-XAtq', $node->connstr('shop') ], '<', \$script, '>', \$out, '2>', \$err);
		})
	} 1 .. 10;
	waitpid $_, 0 for @pids;
	is($node->safe_psql('shop', "SELECT count(*), (SELECT count(*) FROM oms.reservation WHERE item_id = $n) FROM oms.order_line WHERE merchant_id = 1 AND item_id = $n"),
		join('|', ($stock < $ask ? $stock : $ask) x 2), "of $stock units $ask asked for: as many sold as in a row");
}

done_testing();
