# Orders while the catalog's rows of their tables change all the time: what a backend keeps of a table is read anew in
# the middle of commands, and a relation's own memory may go while it is read (a crash that came once in some ten thousand
# orders). An index built beside them misses no row.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = server('catalog', "max_connections = 50\n");
shop($node, 'shop');

sub session
{
	my ($script) = @_;
	my ($in, $out, $err) = ($script, '', '');
	my $session = IPC::Run::start([ 'psql', '-XAtq', $node->connstr('shop') ], '<', \$in, '>', \$out, '2>', \$err);
	return { run => $session, err => \$err, in => \$in, out => \$out };
}

my $order  = "SELECT oms.place_order(1, 1, NULL, '{1,2}', '{1,1}') AS o \\gset\n";
my $life   = $order . "SELECT oms.hold(1, :o, 'manual', 'look'); SELECT oms.release_hold(1, :o, 'manual'); SELECT oms.transition(1, :o, 'confirmed'); SELECT oms.cancel_order(1, :o);\n";
my $change = join('', map { "ALTER TABLE oms.$_ SET (autovacuum_analyze_threshold = 50); " } qw(event order_line sales_order reservation order_change)) . "\n";

my @clients = ((map { session($order x 1500) } 1 .. 6), (map { session($life x 200) } 1 .. 2));
my @changes = map { session($change x 10_000) } 1, 2;
my $index   = session("CREATE INDEX CONCURRENTLY beside ON oms.event (event_id); DROP INDEX CONCURRENTLY oms.beside;\n" x 8 . "CREATE INDEX CONCURRENTLY beside ON oms.event (event_id);\n");
$_->{run}->finish for @clients, $index;
$_->{run}->kill_kill for @changes;

is(${ $_->{err} } =~ /(server closed.*|crash.*|ERROR.*)/ ? $1 : '', '', 'a client got what it asked for') for @clients, $index;
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.sales_order'), 6 * 1500 + 2 * 200, 'each order is there');
$node->safe_psql('shop', 'CREATE EXTENSION amcheck');
is($node->safe_psql('shop', "SELECT bt_index_check('oms.beside', true)"), '', 'and each event in the index that was built meanwhile');
is_sound($node, 'shop', 'after all');

done_testing();
