# A serial model of stock, for the random load: what each client was told, added up one transaction after the other.
#
# It knows nothing of the gate. A client's log has, in order, what statements did ("e table item location rows units",
# told by triggers of the test) and what the client did itself: begin N, save, back, keep, asked, ok N (everything but
# the commit), done N (commit acknowledged), gone N (rollback acknowledged). Which transactions of the others, whose
# answer was lost or which were prepared and left, have been committed is told by a table that each writes its number to.
package Model;
use strict;
use warnings;

sub new
{
	my ($class) = @_;
	return bless { transactions => {}, errors => {}, asked => {}, rows => 0 }, $class;
}

# Reads a part of a client's log; returns how many promises were written by transactions that are known to be committed.
sub read_log
{
	my ($self, $log) = @_;
	my ($n, @levels, %now);
	my $rows = 0;

	for (split /\n/, $log)
	{
		if (/NOTICE:\s+00000: e (\w) (\d+) (\d+) (-?\d+) (-?\d+)/) { push @{ $levels[-1] }, [ $1, $2, $3, $4, $5 ] if @levels }
		elsif (/^begin (\d+)/)                  { $n = $1; @levels = ([]) }
		elsif (/^save/)                         { push @levels, [] }
		elsif (/^back/ && @levels > 1)          { pop @levels }
		elsif (/^keep/ && @levels > 1)          { my $top = pop @levels; push @{ $levels[-1] }, @$top }
		elsif (/^asked (\d+)/)                  { $self->{asked}{$1}++ }
		elsif (/NOTICE:\s+00000: sold (\d+)/)   { $now{$n}{sold}{$1}++ }
		elsif (/^ok (\d+)/)                     { $now{$1}{effects} = [ map { @$_ } @levels ]; @levels = () }
		elsif (/^(done|gone) (\d+)/)            { $now{$2}{said} = $1 }
		elsif (/(?:ERROR|FATAL|PANIC):\s+(\w{5}):(.*deadlock)?/) { $self->{errors}{ $2 ? 'deadlock' : $1 }++ }
	}
	for my $number (keys %now)
	{
		next unless $now{$number}{effects};
		$self->{transactions}{$number} = $now{$number};
		next unless ($now{$number}{said} // '') eq 'done';
		$rows += $_->[3] for grep { $_->[0] ne 's' && $_->[3] > 0 } @{ $now{$number}{effects} };
	}
	return $rows;
}

# Of the transactions that the database says are committed: acknowledged ones that are missing, rolled back ones that
# are there, and such that no client has asked to commit.
sub lies
{
	my ($self, $committed) = @_;
	my $all = $self->{transactions};
	return grep { my $said = $all->{$_}{said} // ''; $committed->{$_} ? $said eq 'gone' || !$all->{$_} : $said eq 'done' } sort keys %{ { %$all, %$committed } };
}

# What there must be: {table}{"item location"} = units, tables being s (on the shelf), r (promised), h (held).
sub levels
{
	my ($self, $committed) = @_;
	my (%levels, %sold);
	for my $number (grep { $committed->{$_} } keys %{ $self->{transactions} })
	{
		my $transaction = $self->{transactions}{$number};
		$levels{ $_->[0] }{"$_->[1] $_->[2]"} += $_->[4] for @{ $transaction->{effects} };
		$sold{$_} += $transaction->{sold}{$_} for keys %{ $transaction->{sold} // {} };
	}
	return (\%levels, \%sold);
}

1;
