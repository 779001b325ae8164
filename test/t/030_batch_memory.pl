# place_orders() over many staged orders: memory is that of one chunk, a timeout
# in the middle leaves nothing behind, and a second call completes.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = server('batch', "log_min_messages = fatal\n");
shop($node, 'shop');

$node->safe_psql('shop', <<'SQL');
INSERT INTO oms.staged_order (merchant_id, source, position, document)
	SELECT 1, 'many', n, jsonb_build_object('channel', 'web', 'external_ref', 'M' || n, 'email', n || '@example.com', 'shipping', '4.90',
		'ship_to', jsonb_build_object('name', 'Customer ' || n, 'street', repeat('street ', 10), 'country', 'DE'),
		'lines', jsonb_build_array(jsonb_build_object('sku', 'SKU' || 1 + n % 20, 'quantity', 1 + n % 3), jsonb_build_object('sku', 'KIT', 'quantity', 1),
			jsonb_build_object('sku', CASE WHEN n % 100 = 0 THEN 'SKU1' ELSE 'SKU2' END, 'quantity', CASE WHEN n % 50 = 0 THEN 100000000 ELSE 1 END)))
	FROM generate_series(1, 30000) n;
-- What the backend has for itself: the peak, without shared memory, in kB.
CREATE FUNCTION private_kb() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(m[1]::bigint)::bigint FROM regexp_matches(pg_read_file('/proc/self/status'), '(?:RssAnon):\s+(\d+) kB', 'g') m $$;
SQL

# A timeout in the middle.
my ($code, $out, $err) = $node->psql('shop', q(
	SET statement_timeout = '700ms';
	SELECT * FROM oms.place_orders(1, 'many');
));
like($err, qr/statement timeout/, 'a timeout ends the call');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.sales_order'), '0', 'and leaves no order');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.reservation'), '0', 'no promise');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.event'), '0', 'no event');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.staged_order WHERE order_id IS NOT NULL OR error_code IS NOT NULL'), '0', 'all are waiting still');
is($node->safe_psql('shop', 'SELECT count(*) FROM oms.stock_gate WHERE counter <> recomputed'), '0', 'the gate has its units back');

# One session: a timeout, a short call, then the rest; its memory before and after.
my $session = $node->safe_psql('shop', q(
	\set ON_ERROR_STOP off
	SET statement_timeout = '300ms';
	SELECT oms.place_orders(1, 'many');
	RESET statement_timeout;
	\set ON_ERROR_STOP on
	SELECT orders FROM oms.place_orders(1, 'many', 2000);
	SELECT private_kb();
	SELECT orders FROM oms.place_orders(1, 'many', 8000);
	SELECT private_kb();
	SELECT orders FROM oms.place_orders(1, 'many');
	SELECT private_kb();
	SELECT orders FROM oms.place_orders(1, 'many');
), on_error_stop => 0);
my ($first, $m2, $second, $m10, $third, $m30, $rest) = split /\n/, $session;
is("$first $second $third $rest", '2000 8000 20000 0', 'the same session goes on after its timeout and completes');
note("private memory: $m2 kB after 2,000 orders, $m10 kB after 10,000, $m30 kB after 30,000");
cmp_ok($m10 - $m2, '<', 24 * 1024, '8,000 orders take no memory that stays');
cmp_ok($m30 - $m10, '<', 24 * 1024, '20,000 more neither');

# The peak while it runs, of a call over 10,000 and of one over 30,000.
my %peak;
for my $n (10000, 30000)
{
	$node->safe_psql('shop', "INSERT INTO oms.staged_order (merchant_id, source, position, document) SELECT 1, 'again $n', position, document || jsonb_build_object('external_ref', 'A$n-' || position) FROM oms.staged_order WHERE source = 'many' AND position <= $n");
	my $status = $node->safe_psql('shop', "SELECT orders FROM oms.place_orders(1, 'again $n'); SELECT pg_read_file('/proc/self/status')");
	my ($orders) = $status =~ /^(\d+)/;
	is($orders, $n, "$n orders in one call");
	# shared memory grows with the pages touched; what counts is what is left of the peak
	my ($hwm) = $status =~ /VmHWM:\s+(\d+)/;
	my ($file, $shared) = ($status =~ /RssFile:\s+(\d+)/, $status =~ /RssShmem:\s+(\d+)/);
	$peak{$n} = $hwm - $file - $shared;
}
note("peak: $peak{10000} kB for 10,000 orders in one call, $peak{30000} kB for 30,000");
cmp_ok($peak{30000} - $peak{10000}, '<', 32 * 1024, 'the peak does not grow with the orders');
cmp_ok($peak{30000}, '<', 512 * 1024, 'and is below 512 MB');

is($node->safe_psql('shop', 'SELECT count(*) FROM oms.staged_order WHERE (order_id IS NULL) = (error_code IS NULL)'), '0', 'each has an order or an error');
is($node->safe_psql('shop', q(SELECT error_code, count(*) FROM oms.staged_order WHERE source = 'many' AND order_id IS NULL GROUP BY 1)), 'OM001|600', 'refusals are those of the empty shelf');
is($node->safe_psql('shop', q(SELECT count(*) FROM oms.sales_order WHERE external_ref LIKE 'M%')), '29400', 'all else are orders');
is_sound($node, 'shop', 'afterwards');

done_testing();
