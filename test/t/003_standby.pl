# Looking works on a standby; after promotion work goes on with the same stock.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $primary = server('primary', '', allows_streaming => 1);
shop($primary, 'shop');
trade($primary, 'shop');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

place($primary, 'shop', 'SKU5:3');
$primary->wait_for_catchup($standby);

is_same(contents($standby, 'shop'), contents($primary, 'shop'), 'standby: same rows');
is_sound($standby, 'shop', 'standby');

# Every view and every query function that takes nothing but the merchant.
for my $view (split /\n/, $standby->safe_psql('shop', "SELECT oid::regclass FROM pg_class WHERE relkind = 'v' AND relname <> 'stock_gate' AND relnamespace::regnamespace::text IN ('oms', 'oms_report') ORDER BY 1"))
{
	is($standby->safe_psql('shop', "SELECT count(*) FROM $view"), $primary->safe_psql('shop', "SELECT count(*) FROM $view"), "standby: $view");
}
my ($status, $out, $err) = $standby->psql('shop', "SELECT oms.place_order(1, '" . Shop::document('SKU1:1') . "')");
like($err, qr/read-only|recovery/, 'standby: placing is refused');

my $available = $standby->safe_psql('shop', 'SELECT oms.available(1, 5, 1)');
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('shop', 'SELECT oms.available(1, 5, 1)'), $available, 'promoted: same stock');
ok(place($standby, 'shop', 'SKU5:1', 'KIT:1'), 'promoted: next order');
is($standby->safe_psql('shop', 'SELECT oms.available(1, 5, 1)'), $available - 1, 'promoted: stock moves on');
is_sound($standby, 'shop', 'promoted');

done_testing();
