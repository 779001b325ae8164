# What pg_dump writes is all there is: each format, restored into another
# cluster, gives the same rows and the same behaviour. And the extension can
# be dropped and made again without losing any.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $old = server('old');
my $new = server('new');
shop($old, 'shop');
trade($old, 'shop');
is_sound($old, 'shop', 'before');
is($old->safe_psql('shop', 'SELECT (SELECT count(*) FROM oms.shipment), (SELECT count(*) FROM oms.refund)'), '15|5', 'there is something to lose');

my $contents = contents($old, 'shop', 'views');
my $counters = counters($old, 'shop');
my $schema = schema($old, 'shop');
my $tmp = PostgreSQL::Test::Utils::tempdir;

my %dump = (
	plain     => [ '-Fp' ],
	custom    => [ '-Fc' ],
	directory => [ '-Fd', '-j2' ],
);
for my $format (sort keys %dump)
{
	my $file = "$tmp/$format";
	command_ok([ 'pg_dump', @{ $dump{$format} }, '-f', $file, '-d', $old->connstr('shop') ], "$format: dump");
	$new->safe_psql('postgres', "CREATE DATABASE $format");
	my $connection = $new->connstr($format);
	command_ok($format eq 'plain'
		? [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $connection, '-o', '/dev/null', '-f', $file ]
		: [ 'pg_restore', '--exit-on-error', ($format eq 'directory' ? '-j2' : ()), '-d', $connection, $file ],
		"$format: restore");
	is_same(contents($new, $format, 'views'), $contents, "$format: same rows in tables and views");
	is_same(counters($new, $format), $counters, "$format: same sequences");
	is_same(schema($new, $format), $schema, "$format: same definitions");
	is_sound($new, $format, $format);
	ok(place($new, $format, 'SKU1:1', 'KIT:2'), "$format: next order");
	is_sound($new, $format, "$format and next order");
}

# Take one of them away from its code, and give it back.
$contents = contents($new, 'custom');
$schema = schema($old, 'shop', 'views');
$new->safe_psql('custom', 'SET client_min_messages = warning; DROP EXTENSION oms CASCADE');
is_same(contents($new, 'custom'), $contents, 'drop: same rows');
$new->safe_psql('custom', 'CREATE EXTENSION oms; CALL oms.install()');
is_same(contents($new, 'custom'), $contents, 'create: same rows');
is_same(schema($new, 'custom', 'views'), $schema, 'create: same definitions');
is_sound($new, 'custom', 'create');
ok(place($new, 'custom', 'SKU3:1'), 'create: next order');

# install() again on a living database changes nothing.
$contents = contents($new, 'custom');
$new->safe_psql('custom', 'CALL oms.install()');
is_same(contents($new, 'custom'), $contents, 'install again: same rows');
is_same(schema($new, 'custom', 'views'), $schema, 'install again: same definitions');

done_testing();
