# A random workload on few units: orders in both forms and by the batch, cancellations, shipments, receipts,
# adjustments, promises typed by hand, holds by the hundred, savepoints, timeouts, clients that hang up, cancelled and
# terminated backends, transactions prepared and left behind, and the postmaster killed in the middle. At rest every
# counter is what the rows say, and the rows are what a serial model (Model.pm) makes of the clients' logs.
#
# N=n: so many promises (200,000; make soak: 10 million). SEED=n repeats the clients' choices, CLIENTS=n is the width.
use strict;
use warnings;
use IPC::Run;
use List::Util qw(min);
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Model;
use Shop;

my $seed    = $ENV{SEED}    || time() % 1000000 | 0;
my $n       = $ENV{N}       || 200_000;
my $clients = $ENV{CLIENTS} || 64;
note "SEED=$seed N=$n CLIENTS=$clients";
diag "SEED=$seed" if $ENV{N};

my $node = server('random', <<'CONF');
max_connections = 150
max_prepared_transactions = 150
max_locks_per_transaction = 256
deadlock_timeout = 200ms
shared_buffers = 256MB
max_wal_size = 4GB
log_min_messages = fatal
log_statement = none
CONF
shop($node, 'shop');

# Items 101 to 112 are few and traded in every way; of 201 to 203 single units are ordered and nothing else is done;
# 301 to 320 are many, held by the hundred and ordered by the batch.
my %units = (201 => 150, 202 => 400, 203 => 100_000_000);
my $many = 5000 + int $n / 10;
$node->safe_psql('shop', <<"SQL");
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'R' || n, 'So many of ' || n FROM generate_series(101, 320) n WHERE n <= 112 OR n BETWEEN 201 AND 203 OR n > 300;
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, item_id, 'EUR', 1 FROM oms.item WHERE item_id > 100;
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause)
	SELECT 1, l, item_id, 'opening', CASE WHEN item_id < 200 THEN 20 * l ELSE $many END, 'opening' FROM oms.item, generate_series(1, 2) l WHERE item_id > 100 AND (item_id < 200 OR item_id > 300);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) VALUES
	(1, 1, 201, 'opening', $units{201}, 'opening'), (1, 1, 202, 'opening', $units{202}, 'opening'), (1, 1, 203, 'opening', $units{203}, 'opening');

CREATE INDEX ON oms.stock_hold (purpose);
CREATE SCHEMA trial;
CREATE TABLE trial.committed (number bigint PRIMARY KEY);
CREATE FUNCTION trial.mark(number bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO trial.committed VALUES (number)';
CREATE FUNCTION trial.tell() RETURNS trigger LANGUAGE plpgsql AS \$\$
DECLARE x record;
BEGIN
	IF TG_OP <> 'DELETE' THEN
		FOR x IN EXECUTE format('SELECT item_id, location_id, count(*) AS rows, sum(%s) AS units FROM new_rows GROUP BY 1, 2', TG_ARGV[1]) LOOP
			RAISE NOTICE 'e % % % % %', TG_ARGV[0], x.item_id, x.location_id, CASE TG_OP WHEN 'INSERT' THEN x.rows ELSE 0 END, x.units;
		END LOOP;
	END IF;
	IF TG_OP <> 'INSERT' THEN
		FOR x IN EXECUTE format('SELECT item_id, location_id, sum(%s) AS units FROM old_rows GROUP BY 1, 2', TG_ARGV[1]) LOOP
			RAISE NOTICE 'e % % % 0 %', TG_ARGV[0], x.item_id, x.location_id, -x.units;
		END LOOP;
	END IF;
	RETURN NULL;
END \$\$;
SELECT format('CREATE TRIGGER trial_%s AFTER %1\$s ON oms.%s REFERENCING %s FOR EACH STATEMENT EXECUTE FUNCTION trial.tell(%L, %L)', op, t, rows, letter, units)
FROM (VALUES ('stock', 's', 'on_hand'), ('reservation', 'r', 'quantity'), ('stock_hold', 'h', 'CASE WHEN counted THEN quantity ELSE 0 END')) v (t, letter, units),
	(VALUES ('INSERT', 'NEW TABLE AS new_rows'), ('UPDATE', 'NEW TABLE AS new_rows OLD TABLE AS old_rows'), ('DELETE', 'OLD TABLE AS old_rows')) o (op, rows) \\gexec
SQL

my $tmp = PostgreSQL::Test::Utils::tempdir;
my $tx;    # number of the client's transaction
my $me;    # of the client
sub any { return $_[ int rand @_ ] }
sub item { return 101 + int rand 12 }

# An order with promises, and a line of one.
my $an_order = "(SELECT order_id FROM (SELECT DISTINCT order_id FROM oms.reservation WHERE merchant_id = 1 AND item_id BETWEEN 101 AND 112) x ORDER BY random() LIMIT 1) o";
my $a_line = "(SELECT l.* FROM $an_order JOIN oms.order_line l ON l.merchant_id = 1 AND l.order_id = o.order_id AND l.item_id BETWEEN 101 AND 112 LIMIT 1) l";

# By hand: the order first, as every command does.
my $lock_order = "SELECT order_id AS o FROM oms.sales_order JOIN $an_order USING (order_id) WHERE merchant_id = 1 FOR UPDATE OF sales_order \\gset\n";

# The rest of a transaction: committed, rolled back, or prepared and ended otherwise.
my $mark = sub { return "SELECT trial.mark($tx);\n\\if :ERROR\n\\else\n\\warn ok $tx\n\\endif\n" };
my $commit = sub { return $mark->() . "COMMIT;\n\\if :ERROR\n\\else\n\\warn done $tx\n\\endif" };
my $end = sub { return any(1, 1, 1, 1, 0) ? $commit->() : $mark->() . "ROLLBACK;\n\\if :ERROR\n\\else\n\\warn gone $tx\n\\endif" };
my $prepare = sub {
	my $how = any('COMMIT PREPARED', 'ROLLBACK PREPARED', '');
	my $said = $how =~ /^C/ ? 'done' : 'gone';
	return $mark->() . "PREPARE TRANSACTION '$tx';\n" . ($how ? "\\if :ERROR\n\\else\n$how '$tx';\n\\if :ERROR\n\\else\n\\warn $said $tx\n\\endif\n\\endif" : '');
};

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
	release     => sub { return $lock_order . 'DELETE FROM oms.reservation WHERE merchant_id = 1 AND order_id = :o;' },
	promise     => sub {
		return $lock_order . 'INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) SELECT 1, ' . any(1, 2)
			. ', item_id, order_id, line_no, 1 FROM oms.order_line WHERE merchant_id = 1 AND order_id = :o AND item_id BETWEEN 101 AND 112 AND ordered - cancelled - shipped - allocated - backordered > 0;';
	},
	resize => sub { return $lock_order . 'UPDATE oms.reservation SET quantity = quantity - 1 WHERE merchant_id = 1 AND order_id = :o AND quantity > 1;' },
	single => sub { my $i = 201 + int rand 3; return "\\warn asked $i\nSELECT oms.place_order(1, 1, NULL, ARRAY[$i]::bigint[], ARRAY[1]);\nDO \$\$ BEGIN RAISE NOTICE 'sold $i'; END \$\$;" },
	hold   => sub { return 'SELECT oms.hold_stock(1, ' . item() . ', ' . any(1, 2) . ", 1, '" . any('1 hour', '50 milliseconds', '0.5 seconds') . "', purpose => 'one');" },
	unhold => sub { return "SELECT oms.release_stock(1, hold_id) FROM oms.stock_hold WHERE purpose = 'one' ORDER BY random() LIMIT 1;" },
	# By the hundred.
	hold_many => sub {
		my $i = 301 + int rand 20;
		return "INSERT INTO oms.stock_hold (merchant_id, location_id, item_id, quantity, purpose) SELECT 1, 1 + i % 2, 301 + ($i + i / 50) % 20, 1, 'of $me' FROM generate_series(1, 400) i;";
	},
	unhold_many => sub { return "DELETE FROM oms.stock_hold WHERE purpose = 'of $me' AND item_id > 300;" },
	batch       => sub {
		my $i = int rand 20;
		return "INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 1, '$tx', i, jsonb_build_object('channel', 'web', 'lines', jsonb_build_array(jsonb_build_object('sku', 'R' || 301 + ($i + i) % 20, 'quantity', 1), jsonb_build_object('sku', 'R' || 301 + ($i + 7 * i + 1) % 20, 'quantity', 1 + i % 2))) FROM generate_series(1, 40) i;\nSELECT * FROM oms.place_orders(1, '$tx');";
	},
);
my %weight = (place => 4, place_array => 4, cancel => 3, cancel_line => 1, ship => 2, receive => 2, adjust => 1, release => 1, promise => 1, resize => 1,
	single => 3, hold => 2, unhold => 1, hold_many => 5, unhold_many => 3, batch => 3, nested => 4, timeout => 2, prepared => 2, hang_up => 0.3);
my @weights = map { ($_) x ($weight{$_} * 10) } sort keys %weight;

# Parts of it in savepoints that go back or stay.
$action{nested} = sub {
	my @inner = map { $action{ any('place', 'place_array', 'hold', 'promise') }->() } 1 .. 3;
	return join "\n", any($inner[0], ''), 'SAVEPOINT one;', '\warn save', $inner[1], any("ROLLBACK TO one;\n\\warn back", "RELEASE one;\n\\warn keep"), 'SAVEPOINT two;', '\warn save',
		$inner[2], any("ROLLBACK TO two;\n\\warn back", "RELEASE two;\n\\warn keep");
};
$action{timeout} = sub { return 'SET LOCAL statement_timeout = ' . (1 + int rand 12) . ";\n" . $action{ any('place', 'place_array', 'cancel', 'receive', 'hold_many', 'batch') }->() . "\nSET LOCAL statement_timeout = 0;" };
$action{prepared} = sub { return $action{ any('place', 'place_array', 'hold') }->() };

sub transaction
{
	my $name = any(@weights);
	$tx++;
	return "\\warn begin $tx\nBEGIN;\n" . $action{place}->() . "\n\\q" if $name eq 'hang_up';
	return "\\set o 0\n\\warn begin $tx\nBEGIN;\n" . $action{$name}->() . "\n" . ($name eq 'prepared' ? $prepare : $name =~ /many|batch/ ? $commit : $end)->();
}

# One client: psql after psql, each of many transactions, until its share is done. What it was told goes into a file.
sub client
{
	my ($half, $number, $share) = @_;
	$me = "$half.$number";
	$tx = ($half * 1000 + $number) * 10_000_000;
	srand($seed * 1000 + $half * 500 + $number);
	my $model = Model->new;
	my $rows  = 0;
	while ($rows < $share)
	{
		# By files: psql may die of a long script before it has read it, and what it said until then counts.
		my ($script, $log) = ("$tmp/script$me", "$tmp/log$me.$tx");
		unlink $script;
		append_to_file($script, join "\n", '\set VERBOSITY verbose', 'SET lock_timeout = 300;', map { transaction() } 1 .. POSIX::ceil(min(300, ($share - $rows) / 40 + 3)));
		my $ok = eval { IPC::Run::run([ 'psql', '-XAtq', $node->connstr('shop') . ' application_name=client' ], '<', $script, '>', '/dev/null', '2>', $log) };
		$rows += $model->read_log(slurp_file($log));
		append_to_file("$tmp/rows$me.new", $rows);
		rename "$tmp/rows$me.new", "$tmp/rows$me";
		sleep 0.1 unless $ok;
	}
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

# Not safe_psql, for the server may be down.
sub try_sql
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	eval { IPC::Run::run([ 'psql', '-XAtq', $node->connstr('shop'), '-c', $sql ], '>', \$out, '2>', \$err) };
	return $out;
}

# Promises that are not there, in one snapshot; %s: of which items.
my $oversold = 'SELECT item_id, location_id, s.on_hand, x.units FROM oms.stock s JOIN (SELECT item_id, location_id, sum(quantity) AS units FROM (SELECT item_id, location_id, quantity FROM oms.reservation UNION ALL SELECT item_id, location_id, quantity FROM oms.stock_hold WHERE counted) r WHERE %s GROUP BY 1, 2) x USING (item_id, location_id) WHERE x.units > s.on_hand';

# Cancels and terminates clients, ends prepared transactions that are left over, and looks for too many promises.
sub disturber
{
	srand($seed);
	while (1)
	{
		my $how = any('pg_cancel_backend', 'pg_cancel_backend', 'pg_terminate_backend');
		try_sql("SELECT $how(pid) FROM pg_stat_activity WHERE application_name = 'client' AND state <> 'idle' ORDER BY random() LIMIT 1");
		my $gid = try_sql('SELECT gid FROM pg_prepared_xacts ORDER BY random() LIMIT 1 OFFSET 5');
		try_sql(any('COMMIT', 'ROLLBACK') . " PREPARED '" . $gid =~ s/\n//r . "'") if $gid;
		my $found = try_sql(sprintf $oversold, 'item_id IN (101, 102, 103, 201, ' . (301 + int rand 20) . ')');
		append_to_file("$tmp/oversold", $found) if $found;
		sleep(0.2 + rand 0.4);
	}
	return;
}

my $model = Model->new;
my $made  = 0;
my $left_prepared = 0;

# Every counter at rest, what verify() says, and what the model says.
sub at_rest
{
	my ($name) = @_;
	$node->poll_query_until('shop', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'client'") or die 'clients stay';
	my @left = split /\n/, $node->safe_psql('shop', 'SELECT gid FROM pg_prepared_xacts');
	$left_prepared += @left;
	note "$name: " . @left . ' transactions are left prepared';
	$node->safe_psql('shop', any('COMMIT', 'ROLLBACK') . " PREPARED '$_'") for @left;
	is($node->safe_psql('shop', 'SELECT count(*) FROM pg_prepared_xacts'), 0, "$name: they are ended");
	# Whoever touches a doubtful counter reads it again.
	$node->safe_psql('shop', 'BEGIN; DO $$ DECLARE s record; BEGIN FOR s IN SELECT item_id, location_id FROM oms.stock WHERE item_id > 100 LOOP BEGIN PERFORM oms.hold_stock(1, s.item_id, s.location_id, 1, scope => \'transaction\'); EXCEPTION WHEN SQLSTATE \'OM001\' THEN END; END LOOP; END $$; ROLLBACK');
	is($node->safe_psql('shop', 'SELECT item_id, location_id, counter, recomputed, pins, doubtful FROM oms.stock_gate WHERE counter <> recomputed OR pins <> 0 OR doubtful ORDER BY 1, 2'),
		'', "$name: every counter is what the rows say");
	cmp_ok($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_gate'), '>', 60, "$name: there are counters");
	is($node->safe_psql('shop', sprintf $oversold, 'true'), '', "$name: nothing is promised that is not there");
	is_sound($node, 'shop', $name);

	$model = Model->new;
	$made = 0;
	$made += $model->read_log(slurp_file($_)) for glob "$tmp/log*";
	my %committed = map { ($_ => 1) } split /\n/, $node->safe_psql('shop', 'SELECT number FROM trial.committed');
	is(join(' ', $model->lies(\%committed)), '', "$name: what a client was told of a commit or rollback is true");
	my ($levels) = $model->levels(\%committed);
	my %opening = map { split /\|/ } split /\n/, $node->safe_psql('shop', "SELECT format('%s %s', item_id, location_id), sum(quantity) FROM oms.stock_movement WHERE kind = 'opening' AND item_id > 100 GROUP BY 1");
	my %is = (
		s => 'SELECT item_id, location_id, on_hand FROM oms.stock WHERE item_id > 100',
		r => 'SELECT item_id, location_id, sum(quantity) FROM oms.reservation WHERE item_id > 100 GROUP BY 1, 2',
		h => 'SELECT item_id, location_id, sum(quantity) FROM oms.stock_hold WHERE counted GROUP BY 1, 2',
	);
	for my $table (sort keys %is)
	{
		my %there = map { /^(\d+)\|(\d+)\|(-?\d+)$/ ? ("$1 $2" => $3) : () } split /\n/, $node->safe_psql('shop', $is{$table});
		my @differ;
		for my $key (sort keys %{ { %there, %{ $levels->{$table} // {} }, %opening } })
		{
			my $must = ($levels->{$table}{$key} // 0) + ($table eq 's' ? $opening{$key} // 0 : 0);
			push @differ, "$key: $must, is " . ($there{$key} // 0) if $must != ($there{$key} // 0);
		}
		is(join(', ', @differ), '', "$name: the model agrees to the unit: $table");
	}
	return \%committed;
}

# First half, a crash in its middle; second half without one.
my $started = time();
my $committed;
for my $half (1, 2)
{
	my @pids = map { my $i = $_; in_background(sub { client($half, $i, $n / 2 / $clients) }) } 1 .. $clients;
	my $disturber = in_background(\&disturber);
	if ($half == 1)
	{
		for (1 .. 100_000)
		{
			my $rows = 0;
			$rows += slurp_file($_) for glob "$tmp/rows1.*[0-9]";
			last if $rows > $n / 4;
			sleep 0.1;
		}
		$node->kill9;
		for (1 .. 300)
		{
			last if $node->start(fail_ok => 1);
			sleep 0.1;
			$node->stop('fast', fail_ok => 1);
		}
	}
	waitpid $_, 0 for @pids;
	kill 'TERM', $disturber;
	waitpid $disturber, 0;
	$committed = at_rest($half == 1 ? 'after a crash' : 'after cancellations and terminations');
}
my $took = time() - $started;
my $said = sprintf '%d promises, %d transactions, %.0f s: %.0f promises a second', $made, scalar keys %$committed, $took, $made / $took;
note $said;
note "$_: $model->{errors}{$_}" for sort keys %{ $model->{errors} };
diag join "\n", $said, join ', ', map { "$_: $model->{errors}{$_}" } sort keys %{ $model->{errors} } if $ENV{N};
cmp_ok($made, '>=', $n, "$n promises were made");
cmp_ok($left_prepared, '>', 0, "$left_prepared transactions were left prepared by their clients");
ok(!-e "$tmp/oversold", 'at no time was more promised than there is');

# Refusals of the shop, and a hold that another has released; cancelled, terminated, crashed; statements after them, and
# savepoints that were not reached; locks of prepared transactions that were not had in time, in a command or outside;
# too many prepared, or none after a failure.
my %expected = map { ($_ => 1) } qw(OM001 OM002 OM004 OM006 OM007 OM008 OM015 57014 57P01 57P02 57P03 25P02 3B001 55P03 53400 42704);
is(join(' ', grep { !$expected{$_} } sort keys %{ $model->{errors} }), '', 'no deadlock and no unexpected error reached a client');

# Single units.
my (undef, $sold) = $model->levels($committed);
for my $i (sort keys %units)
{
	my $there = $node->safe_psql('shop', "SELECT count(*) FROM oms.order_line WHERE merchant_id = 1 AND item_id = $i");
	my $asked = $model->{asked}{$i} // 0;
	is($there, $sold->{$i} // 0, "item $i: $there sold, as the model says");
	cmp_ok($there, '<=', $units{$i} < $asked ? $units{$i} : $asked, "item $i: $asked asked, $units{$i} there");
}

# Without disturbance it is the serial model to the unit: sold = min(stock, asked).
for my $case ([ 211, 100, 300 ], [ 212, 300, 100 ], [ 213, 0, 50 ])
{
	my ($item, $stock, $ask) = @$case;
	$node->safe_psql('shop', <<"SQL");
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, $item, 'R$item', 'Model');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, $item, 'EUR', 1);
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) SELECT 1, 1, $item, 'opening', $stock, 'opening' WHERE $stock > 0;
SQL
	my @pids = map {
		in_background(sub {
			my $script = "SELECT oms.place_order(1, 1, NULL, ARRAY[$item]::bigint[], ARRAY[1]);\n" x ($ask / 10);
			my ($out, $err);
			IPC::Run::run([ 'psql', '-XAtq', $node->connstr('shop') ], '<', \$script, '>', \$out, '2>', \$err);
		})
	} 1 .. 10;
	waitpid $_, 0 for @pids;
	is($node->safe_psql('shop', "SELECT count(*), (SELECT count(*) FROM oms.reservation WHERE item_id = $item) FROM oms.order_line WHERE merchant_id = 1 AND item_id = $item"),
		join('|', ($stock < $ask ? $stock : $ask) x 2), "of $stock units $ask asked for: as many sold as in a row");
}

done_testing();
