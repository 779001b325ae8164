# The twin in PL/pgSQL (test/bench/twin) as oracle: the same random commands on both, and after each the same answer,
# after all the same states, counters, sums and promises. SEED=n repeats a run.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Shop;
use Test::More;

my $twin = "$ENV{TESTDIR}/twin.sql";
my $seed = $ENV{SEED} // time;
srand $seed;
note "seed $seed";

my $node = server('twin');
shop($node, 'shop');

# Orders of some lines, with charges and payments.
my $orders = 120;
my @setup = ("SELECT oms.set_setting(1, 'confirmation', 'manual')");
for my $n (1 .. $orders)
{
	my $lines = join ', ', map { sprintf '{"sku": "SKU%d", "quantity": %d, "unit_price": "%.2f", "tax_rate": "0.19"}', 1 + int rand 20, 1 + int rand 4, rand 30 } 1 .. 1 + int rand 3;
	push @setup, sprintf q{SELECT oms.place_order(1, '{"channel": "web", "lines": [%s]%s}')}, $lines, rand() < 0.5 ? sprintf(', "shipping": "%.2f"', rand 9) : '';
}
push @setup, q{SELECT oms.authorize(1, order_id, 'card') FROM oms.sales_order WHERE total > 0 AND order_id % 3 <> 0};
push @setup, q{SELECT oms.record_payment_event(1, payment_id, 'authorized', amount, 'auth-' || payment_id) FROM oms.payment WHERE payment_id % 4 <> 0};
$node->safe_psql('shop', join ";\n", @setup);
$node->safe_psql('shop', slurp($twin));
$node->safe_psql('shop', <<'SQL');
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SQL

sub slurp
{
	open my $in, '<', $_[0] or die "$_[0]: $!";
	local $/;
	return <$in>;
}

my @ids = split /\n/, $node->safe_psql('shop', 'SELECT order_id FROM oms.sales_order ORDER BY 1');
my %pays = map { split /\|/ } split /\n/, $node->safe_psql('shop', 'SELECT payment_id, amount FROM oms.payment');
my @payments = sort { $a <=> $b } keys %pays;

sub command
{
	my $id = $ids[ rand @ids ];
	my $payment = $payments[ rand @payments ];
	my $amount = sprintf '%.2f', 0.01 + rand() * $pays{$payment} * 0.7;
	my @some = (
		["transition(1, $id, '%s')", qw(confirmed confirmed confirmed cancelled completed placed)],
		["cancel_line(1, $id, %s)", map { (1 + int rand 3) . ', ' . (1 + int rand 3) } 1],
		["cancel_line(1, $id, %s)", map { (1 + int rand 3) . ', ' . (1 + int rand 3) } 1],
		["capture(1, $payment, %s)", $amount],
		["capture(1, $payment, %s)", $amount],
		["hold(1, $id, '%s')", qw(fraud address)],
		["record(1, $payment, '%s'", 'captured', 'captured', 'capture_failed']);
	push @some, ["cancel_order(1, %s)", $id] if rand() < 0.3;
	my ($call, @choice) = @{ $some[ rand @some ] };
	return sprintf $call, $choice[ rand @choice ];
}

# The call in a schema, quoted. The gateway answers the oldest request that it has not answered.
sub statement
{
	my ($schema, $n, $call) = @_;
	if ($call =~ /^record\(1, (\d+)/)
	{
		$call .= ", amount, 'answer-$n') FROM (SELECT amount FROM $schema.payment_event WHERE payment_id = $1 AND kind = 'capture_requested'
			AND amount NOT IN (SELECT amount FROM $schema.payment_event WHERE payment_id = $1 AND kind IN ('captured', 'capture_failed')) ORDER BY event_id LIMIT 1) e";
		$call =~ s/^record/record_payment_event/ if $schema eq 'oms';
	}
	$call =~ s/'/''/g;
	return "SELECT $schema.$call";
}

my $steps = $ENV{STEPS} // 1500;
my @script = map
{
	my ($n, $call) = ($_, command());
	my ($ours, $theirs) = map { statement($_, $n, $call) } qw(oms twin);
	"SELECT $n, try('$ours'), try('$theirs'), regexp_replace('$theirs', E'\\\\s+', ' ', 'g')";
} 1 .. $steps;
my @answers = split /\n/, $node->safe_psql('shop', join ";\n", @script);
is(scalar @answers, $steps, "$steps commands");
my @other = grep { my (undef, $ours, $theirs) = split /\|/; $ours ne $theirs } @answers;
is(scalar @other, 0, 'each is answered alike') or diag(join "\n", "seed $seed", @other[ 0 .. ($#other < 9 ? $#other : 9) ]);
my %seen;
$seen{ (split /\|/)[1] }++ for @answers;
cmp_ok($seen{done} // 0, '>', $steps / 5, 'many succeed');
cmp_ok(scalar keys %seen, '>=', 5, 'others are refused for ' . join ', ', sort grep { $_ ne 'done' } keys %seen);

for my $what (
	['orders', 'order_id, lifecycle, payment_state, fulfilment_state, return_state, on_hold, trim_scale(cancelled_total) FROM %s.sales_order'],
	['lines', 'order_id, line_no, ordered, cancelled, allocated, backordered FROM %s.order_line'],
	['promises', 'item_id, order_id, line_no, sum(quantity) FROM %s.reservation GROUP BY 1, 2, 3'],
	['payments', 'payment_id, ' . join(', ', map {"trim_scale($_)"} qw(authorized captured voided refunded authorize_pending capture_pending void_pending refund_pending)) . ' FROM %s.payment'],
	['refunds', 'order_id, cause, count(*), trim_scale(sum(amount)) FROM %s.refund GROUP BY 1, 2'],
	['transitions', q{order_id, type, count(*) FROM %s.event WHERE type IN ('order.confirmed', 'order.cancelled', 'order.completed', 'order.line_cancelled') GROUP BY 1, 2}],
	['tasks', 'kind, subject_id, count(*) FROM %s.task WHERE kind IN (\'capture\', \'void\', \'refund\') GROUP BY 1, 2'])
{
	my ($name, $query) = @$what;
	my ($ours, $theirs) = map { sprintf "SELECT $query", $_ } qw(oms twin);
	is($node->safe_psql('shop', "(SELECT 'ours', x.* FROM ($ours EXCEPT $theirs) x) UNION ALL (SELECT 'twin', x.* FROM ($theirs EXCEPT $ours) x) ORDER BY 2 LIMIT 10"), '', "the same $name");
}
is($node->safe_psql('shop', 'SELECT count(*) FROM twin.stock s WHERE promised <> (SELECT coalesce(sum(quantity), 0) FROM oms.reservation r
	WHERE r.merchant_id = s.merchant_id AND r.item_id = s.item_id AND r.location_id = s.location_id)'), 0, 'the same units promised');
is_sound($node, 'shop', 'and ours is sound');
done_testing();
