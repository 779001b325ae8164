# The postmaster is killed while eight clients place orders. Every order that a
# client was told of must be there once, no other but at most one per client
# whose answer was lost, and none in part.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use Shop;

my $clients = 8;
my $node = server('crash', "fsync = on\nsynchronous_commit = on\nmax_connections = 30\n");
shop($node, 'shop');

# Each client numbers its orders, and pgbench logs a line for each one answered.
my $tmp = PostgreSQL::Test::Utils::tempdir;
my $document = Shop::document('SKU:sku:1', 'SKU7:2', 'KIT:1') =~ s/SKU:sku/SKU' || :sku || '/r;
append_to_file("$tmp/place.sql", <<"SQL");
\\set n :n + 1
\\set sku random(1, 20)
SELECT oms.place_order(1, ('$document')::jsonb, request_key => :client_id || '-' || :n);
SQL

for my $round (1 .. 3)
{
	my $load = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', 60, '-D', 'n=' . ($round * 1000000), '-l', "--log-prefix=$tmp/round$round",
			'-f', "$tmp/place.sql", $node->connstr('shop') ],
		'>', \my $out, '2>', \my $err);
	$node->poll_query_until('shop', "SELECT count(*) > 200 FROM oms.request WHERE split_part(request_key, '-', 2)::int > $round * 1000000")
		or die 'no load';
	sleep(0.2 * $round);
	$node->kill9;
	$load->finish;

	# Old backends hold the memory until they notice.
	for (1 .. 300)
	{
		last if $node->start(fail_ok => 1);
		sleep 0.1;
		$node->stop('fast', fail_ok => 1);
	}

	# What the clients know: so many answers each, in order.
	my %answered = map { $_ => 0 } 0 .. $clients - 1;
	for my $log (glob "$tmp/round$round.*")
	{
		/^(\d+) / and $answered{$1}++ for split /\n/, slurp_file($log);
	}
	my $answers = 0;
	$answers += $_ for values %answered;
	note "round $round: $answers orders answered";

	my %kept = map { $_ => {} } 0 .. $clients - 1;
	for (split /\n/, $node->safe_psql('shop', "SELECT request_key FROM oms.request WHERE split_part(request_key, '-', 2)::int > $round * 1000000"))
	{
		my ($client, $n) = split /-/;
		$kept{$client}{ $n - $round * 1000000 } = 1;
	}
	my @lost  = grep { my $c = $_; grep { !$kept{$c}{$_} } 1 .. $answered{$c} } 0 .. $clients - 1;
	my @extra = grep { my $c = $_; grep { $_ > $answered{$c} + 1 } keys %{ $kept{$c} } } 0 .. $clients - 1;
	ok($answers > 200, "round $round: there was a load");
	is_deeply(\@lost,  [], "round $round: no answered order is lost");
	is_deeply(\@extra, [], "round $round: no order that nobody placed");
	is($node->safe_psql('shop', 'SELECT count(*) FROM oms.sales_order'),
		$node->safe_psql('shop', 'SELECT count(DISTINCT result) FROM oms.request'), "round $round: one order per request");
	is($node->safe_psql('shop', <<'SQL'), '', "round $round: no order is half there");
SELECT order_id FROM oms.sales_order o
	WHERE (SELECT count(*) FROM oms.order_line l WHERE (l.merchant_id, l.order_id) = (o.merchant_id, o.order_id)) <> 3
		OR (SELECT count(*) FROM oms.event e WHERE e.merchant_id = o.merchant_id AND e.subject_id = o.order_id AND e.type = 'order.placed') <> 1
		OR total <> (SELECT sum(l.total) FROM oms.order_line l WHERE (l.merchant_id, l.order_id) = (o.merchant_id, o.order_id)) + shipping
SQL
	is_sound($node, 'shop', "round $round");
}

# A client that did not get its answer asks again, and has one order.
my $before = $node->safe_psql('shop', 'SELECT count(*) FROM oms.sales_order');
my $again = $document =~ s/' \|\| :sku \|\| '/1/r;
my ($first, $second) = map { $node->safe_psql('shop', "SELECT oms.place_order(1, '$again', request_key => 'again')") } 1 .. 2;
is($second, $first, 'the same request answers the same order');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.sales_order'), $before + 1, 'and places one');

done_testing();
