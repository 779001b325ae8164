# Real orders: the loaders of demo/ run on the files of ../shared/data, and what
# comes out agrees with them to the last digit. A part of the UCI file is
# enough here; make demo DATA=... runs it whole.
use strict;
use warnings;
use Test::More;

my $data = $ENV{OMS_REAL_DATA} // '';
plan skip_all => 'real data is looked for in ../shared/data, which is not there' if $data eq '';
plan skip_all => "$data cannot be read by this user" if !-r "$data/orders";

# Why the files of a folder cannot be had; nothing if they can.
sub missing
{
	my ($name, $pattern) = @_;
	my @files = glob "$data/orders/$name/$pattern";
	return @files && -r $files[0] ? '' : "$data/orders/$name has no file $pattern to read";
}

# Runs the demo in a database of its own.
sub demo
{
	my ($name, %env) = @_;
	local %ENV = (%ENV, DATA => "$data/orders/$name", DB => "oms_$name", OUT => "$ENV{TESTDIR}/$name.html", %env);
	my $out = `sh '$ENV{TESTDIR}/demo/run' 2>&1`;
	is($?, 0, "$name is loaded") or diag($out);
	return;
}

sub value
{
	my ($name, $sql) = @_;
	my $value = `psql -XAtq -d oms_$name -c "$sql"`;
	chomp $value;
	return $value;
}

SKIP:
{
	my $name = 'uci_online_retail';
	my $missing = missing($name, '*.csv*');
	skip $missing, 9 if $missing;
	demo($name, LINES => 40000);

	is(value($name, 'SELECT count(*) FROM uci.line'), 40000, 'as many lines as asked for');
	is(value($name, 'SELECT count(class) FROM uci.outcome'), 40000, 'each has a class');
	is(value($name, 'SELECT count(*) FROM uci.outcome WHERE in_oms IS NULL OR in_oms <> in_file OR units_in_oms IS DISTINCT FROM units_in_file'), 0,
		'each line is answered by rows of oms, with its amount and units');
	is(value($name, 'SELECT sum(in_oms) FROM uci.outcome'), value($name, 'SELECT sum(quantity * unit_price) FROM uci.line'), 'the sums agree');
	is(value($name, 'SELECT trim_scale(sum - file) FROM uci.from_oms'), 0, 'and so does the sum from the tables of oms alone');
	is(value($name, 'SELECT count(*) FROM oms.staged_order WHERE order_id IS NULL'), 0, 'no document is left or refused');
	cmp_ok(value($name, q{SELECT count(*) FROM uci.outcome WHERE class IN ('cancelled', 'returned')}), '>', 100, 'credits found their sales');
	is(value($name, 'SELECT count(*) FROM oms.verify(1)'), 0, 'and oms is sound');
}

SKIP:
{
	my $name = 'northwind';
	my $missing = missing($name, '*.sql*');
	skip $missing, 5 if $missing;
	demo($name);

	is(value($name, 'SELECT count(*) FROM oms.sales_order'), 830, 'all orders');
	is(value($name, 'SELECT sum(freight_in_oms) FROM northwind.outcome'), '64942.69', 'freight in all');
	is(value($name, 'SELECT count(*) FROM northwind.outcome WHERE freight_in_oms IS DISTINCT FROM freight OR gross_in_oms IS DISTINCT FROM gross OR lines_in_oms IS DISTINCT FROM lines'), 0,
		'freight, lines and amounts of each order');
	is(value($name, 'SELECT count(*) FROM oms.verify(1)'), 0, 'and oms is sound');
}

done_testing();
