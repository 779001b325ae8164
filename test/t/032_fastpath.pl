# Commands called through the fast path of the protocol (PQfn, JDBC's Fastpath), where a function is not told the
# types of its arguments: the request key works there too, and knows a call typed as SQL again.
use strict;
use warnings;
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = server('fastpath');
shop($node, 'shop');
my $oid = $node->safe_psql('shop', "SELECT 'oms.receive_stock'::regproc::oid");
my $user = $node->safe_psql('shop', 'SELECT current_user');

my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "no connection: $!";
sub message
{
	my ($got, $type, $length, $body) = ('', '', 0, '');
	read($socket, $got, 5) == 5 or die 'the server is gone';
	($type, $length) = unpack 'aN', $got;
	read($socket, $body, $length - 4) == $length - 4 or die 'the server is gone' if $length > 4;
	return ($type, $body);
}
# what came before the server was ready again
sub answer
{
	my $said = '';
	while (1)
	{
		my ($type, $body) = message();
		return $said if $type eq 'Z';
		$said = unpack 'x4 a*', $body if $type eq 'V';
		$said = $body =~ s/.*\0C(\w+)\0M([^\0]*)\0.*/$1 $2/sr if $type eq 'E';
	}
}
sub receive
{
	my $body = pack 'N n n', $oid, 0, scalar @_;
	$body .= defined ? pack('N/a*', $_) : pack('N', 0xffffffff) for @_;
	$body .= pack 'n', 0;
	$socket->syswrite('F' . pack('N', 4 + length $body) . $body);
	return answer();
}

my $start = pack 'N Z* Z* Z* Z* x', 196608, 'user', $user, 'database', 'shop';
$socket->syswrite(pack('N', 4 + length $start) . $start);
answer();

my $first = receive(1, 1, 1, 5, 'van', 'delivery 1', undef, undef, undef);
like($first, qr/^\d+$/, 'a command by the fast path');
is(receive(1, 1, 1, 5, 'van', 'delivery 1', undef, undef, undef), $first, 'repeated, it answers the first result');
like(receive(1, 1, 1, 6, 'van', 'delivery 1', undef, undef, undef), qr/^OM010 /, 'with other content it is refused');
is($node->safe_psql('shop', "SELECT oms.receive_stock(1, 1, 1, 5, 'van', 'delivery 1')"), $first, 'typed as SQL it is the same call');
is($node->safe_psql('shop', "SELECT count(*) FROM oms.stock_movement WHERE cause = 'van'"), '1', 'and moved stock once');
is_sound($node, 'shop', 'afterwards');

done_testing();
