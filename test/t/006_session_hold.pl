# A hold of a session or transaction ends with it, however it ends: goodbye,
# client killed, backend terminated, backend killed (which restarts the server).
# No row counts, no job runs, and nothing is ever sold twice.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = server('hold', "restart_after_crash = on\n");
shop($node, 'shop');
$node->safe_psql('shop', <<'SQL');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 50, 'LAST', 'Ten of them');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 50, 'EUR', 1);
SELECT oms.receive_stock(1, 50, 1, 10, 'ten');
SQL

# A psql that stays; says its pid once the statements are done.
sub session
{
	my ($sql) = @_;
	my %s = (in => '', out => '', err => '');
	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('shop') ], '<', \$s{in}, '>', \$s{out}, '2>', \$s{err},
		IPC::Run::timeout(60));
	$s{in} .= "$sql\nSELECT 'pid', pg_backend_pid();\n";
	$s{run}->pump until $s{out} =~ /^pid\|(\d+)$/m;
	$s{pid} = $1;
	return \%s;
}

# Whether ten can be had by somebody else, tried in a transaction that is rolled back.
sub free
{
	my ($n) = @_;
	my ($code, $out, $err) = $node->psql('shop',
		qq(BEGIN; SELECT oms.place_order(1, '{"channel":"web","lines":[{"sku":"LAST","quantity":$n}]}') > 0; ROLLBACK;));
	return $code == 0 ? 'free' : $err =~ /not enough stock/ ? 'held' : $err;
}

sub soon_free
{
	my ($name) = @_;
	my $state;
	for (1 .. 600)
	{
		$state = free(10);
		last if $state eq 'free';
		select(undef, undef, undef, 0.05);
	}
	is($state, 'free', "$name: the units are free");
	is($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_hold'), '0', "$name: no row");
	is($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_gate WHERE item_id = 50 AND pins = 0 AND counter <> recomputed'), '0',
		"$name: the gate agrees with the rows");
	is_sound($node, 'shop', $name);
	return;
}

my $hold = "SELECT oms.hold_stock(1, 50, 1, 4, scope => 'session');";

my $s = session($hold);
is(free(10), 'held', 'a session hold holds');
is(free(6), 'free', 'what it does not hold is free');
$node->safe_psql('shop', 'SELECT oms.receive_stock(1, 50, 1, 1, $$one more$$), oms.adjust_stock(1, 50, 1, -1, $$and less$$)');
is(free(7), 'held', 'movements beside it change nothing');
$s->{in} .= "\\q\n";
$s->{run}->finish;
soon_free('goodbye');

$s = session($hold);
is(free(7), 'held', 'held again');
$s->{run}->kill_kill;
soon_free('the client is killed');

$s = session($hold);
$node->safe_psql('shop', "SELECT pg_terminate_backend($s->{pid}, 10000)");
$s->{run}->kill_kill;
soon_free('the backend is terminated');

# Terminated within a transaction that has taken, released and not finished.
$s = session("$hold\nBEGIN; SELECT oms.release_stock(1, -1);\nSELECT oms.hold_stock(1, 50, 1, 2, scope => 'session');\n"
	. "SELECT oms.hold_stock(1, 50, 1, 2, scope => 'transaction');");
is(free(7), 'held', 'until it commits, all of it is held');
$node->safe_psql('shop', "SELECT pg_terminate_backend($s->{pid}, 10000)");
$s->{run}->kill_kill;
soon_free('terminated in the middle');

# A hold survives its transaction, and the rollback of its release.
$s = session("BEGIN;\n$hold\nCOMMIT;\nBEGIN; SELECT oms.release_stock(1, -1); ROLLBACK;");
is(free(7), 'held', 'after commit and rollback');
kill 'KILL', $s->{pid};
$s->{run}->kill_kill;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
soon_free('the backend is killed');

# A rollback takes the hold with it, a commit ends one of the transaction.
$s = session("BEGIN;\n$hold\nROLLBACK;\nBEGIN; SELECT oms.hold_stock(1, 50, 1, 4, scope => 'transaction'); COMMIT;");
is(free(10), 'free', 'nothing is left while the session lives');
$s->{run}->kill_kill;
soon_free('the end');

done_testing();
