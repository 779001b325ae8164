# Eight clients on two items: holds that expire within milliseconds, holds of
# sessions and transactions, extensions, releases, orders with and without
# holds, cancellations, savepoints and disconnects. Never more is promised and
# held than there is, and at rest each counter equals its rows.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = server('hold_stress', "max_connections = 30\n");
shop($node, 'shop');
$node->safe_psql('shop', <<'SQL');
INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 50, 'HOT', 'Hot'), (1, 51, 'WARM', 'Warm');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 50, 'EUR', 1), (1, 51, 'EUR', 1);
SELECT oms.receive_stock(1, 50, 1, 40, 'forty'), oms.receive_stock(1, 51, 1, 20, 'twenty');
SQL

# Refusals are part of the game.
my %script = (
	hold => q{SELECT oms.hold_stock(1, 50 + :r % 2, 1, 1 + :r % 7, duration => '3 milliseconds');},
	long => q{SELECT oms.hold_stock(1, 50, 1, 1 + :r % 3, duration => '1 second', purpose => 'long');},
	local => q{BEGIN; SELECT oms.hold_stock(1, 50, 1, 1 + :r % 5, scope => CASE :r % 2 WHEN 0 THEN 'session' ELSE 'transaction' END) AS h \gset
SAVEPOINT a; SELECT oms.release_stock(1, :h); ROLLBACK TO a; SELECT oms.release_stock(1, :h); COMMIT;},
	leave => q{SELECT oms.hold_stock(1, 51, 1, 1, scope => 'session');},
	extend => q{SELECT oms.extend_hold(1, hold_id, '5 milliseconds') FROM oms.stock_hold ORDER BY random() LIMIT 1;},
	release => q{SELECT oms.release_stock(1, hold_id) FROM oms.stock_hold WHERE expires_at > now() ORDER BY random() LIMIT 1;},
	purge => q{SELECT oms.purge_holds(now() - interval '1 second');},
	order => q{SELECT oms.place_order(1, '{"channel":"web","lines":[{"sku":"HOT","quantity":2},{"sku":"WARM","quantity":1}]}');},
	convert => q{SELECT oms.place_order(1, jsonb_build_object('channel', 'web', 'holds', (SELECT jsonb_agg(hold_id) FROM (SELECT hold_id FROM oms.stock_hold ORDER BY random() LIMIT 2) x), 'lines', '[{"sku":"HOT","quantity":3}]'::jsonb));},
	cancel => q{SELECT oms.cancel_order(1, order_id) FROM oms.reservation ORDER BY random() LIMIT 1;},
);
my $tmp = PostgreSQL::Test::Utils::tempdir;
srand(20260101);
my @runs;
my @mix = (sort(keys %script), ('hold') x 6, ('order') x 2);
for my $client (1 .. 8)
{
	my @names = map { $mix[ int(rand(@mix)) ] } 1 .. 400;
	my $sql = join "\n", map { my $r = int(rand(1000)); my $s = $script{$_}; $s =~ s/:r\b/$r/g; $s =~ /^BEGIN/ ? "$s\nROLLBACK;" : $s } @names;
	append_to_file("$tmp/client$client.sql", "$sql\n");
	push @runs, IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('shop'), '-f', "$tmp/client$client.sql" ], '>', \my $out, '2>', "$tmp/err$client");
}
my $over = 0;
my $looks = 0;
while (grep { $_->pumpable } @runs)
{
	$_->pumpable and eval { $_->pump_nb } for @runs;
	$over += $node->safe_psql('shop', q{SELECT count(*) FROM oms.verify(1)});
	$over += $node->safe_psql('shop', q{SELECT count(*) FROM generate_series(50, 51) i WHERE oms.available(1, i, 1) < 0});
	$looks++;
}
eval { $_->finish } for @runs;
my %seen;
for my $client (1 .. 8)
{
	$seen{$1}++ for slurp_file("$tmp/err$client") =~ /ERROR:  (\w+ \w+)/g;
}
note join ', ', map { "$_: $seen{$_}" } sort keys %seen;
note "$looks looks";
ok($node->safe_psql('shop', 'SELECT count(*) FROM oms.sales_order') > 50, 'orders were placed');
ok($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_hold WHERE NOT counted') > 0, 'units of expired holds were taken');
is($over, 0, 'at no time was more given than there was');
is_deeply([ grep { !/^(not enough|merchant 1|a hold|deadlock detected|unrecognized|syntax error|current transaction)/ } keys %seen ], [], 'refusals are those to expect');
ok(!$seen{'deadlock detected'}, 'no deadlock');
is_sound($node, 'shop', 'afterwards');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_gate WHERE pins <> 0 OR counter <> recomputed'), '0', 'counters equal the rows');
$node->safe_psql('shop', q{SELECT oms.cancel_order(1, order_id) FROM (SELECT DISTINCT order_id FROM oms.reservation) x; SELECT oms.purge_holds('infinity'); SELECT pg_sleep(1.1)});
is($node->safe_psql('shop', 'SELECT oms.available(1, 50, 1), oms.available(1, 51, 1)'), '40|20', 'everything comes back');
is($node->safe_psql('shop', q{SELECT oms.place_order(1, '{"channel":"web","lines":[{"sku":"HOT","quantity":40},{"sku":"WARM","quantity":20}]}') > 0}), 't', 'and can be sold to the last unit');
is_sound($node, 'shop', 'at the end');

done_testing();
