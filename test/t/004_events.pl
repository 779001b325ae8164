# Positions of the log in another cluster: transaction ids start anew there,
# consumers go on where they were, and nothing is lost or read twice.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $old = server('old', "autovacuum = off\n", allows_streaming => 1);
shop($old, 'shop');

# What the consumer gets next, and that it has it.
sub take
{
	my ($node, $db) = @_;
	return $node->safe_psql($db, q(SELECT string_agg(type || ' ' || coalesce(data ->> 'n', ''), ', ' ORDER BY tx, event_id) FROM oms.take_events(1, 'reader', 1000)));
}

# An event, whatever was placed before.
sub write_event
{
	my $n = shift;
	return "INSERT INTO oms.event (merchant_id, subject_type, subject_id, type, data) VALUES (1, 'test', 1, 'test.done', '{\"n\": $n}')";
}

# Burn ids, so that the old cluster is far ahead of the new one.
$old->safe_psql('shop', 'CREATE TABLE burn (n int)');
$old->safe_psql('shop', q(DO $$ BEGIN FOR i IN 1 .. 20000 LOOP BEGIN INSERT INTO burn VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$));
$old->safe_psql('shop', q(SELECT oms.subscribe(1, 'reader', '{test.*}')));
$old->safe_psql('shop', write_event($_)) for 1 .. 3;
is(take($old, 'shop'), 'test.done 1, test.done 2, test.done 3', 'read on the old cluster');
$old->safe_psql('shop', write_event($_)) for 4 .. 5;

# A standby can be read, but not moved.
$old->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($old, 'backup', has_streaming => 1);
$standby->start;
$old->wait_for_catchup($standby, 'replay', $old->lsn('insert'));
is($standby->safe_psql('shop', q(SELECT string_agg(data ->> 'n', ',' ORDER BY tx, event_id) FROM oms.fetch_events(1, 'reader'))), '4,5', 'read on a standby');
$standby->stop;

# Into another cluster, whose ids are low.
my $file = PostgreSQL::Test::Utils::tempdir . '/dump';
my $new = server('new', "autovacuum = off\n");
$new->safe_psql('postgres', 'CREATE DATABASE shop');
command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $old->connstr('shop') ], 'dump');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('shop'), $file ], 'restore');
cmp_ok($new->safe_psql('shop', 'SELECT pg_current_xact_id()'), '<', $old->safe_psql('shop', 'SELECT min(tx) FROM oms.event'), 'its ids are below those of the events');
is($new->safe_psql('shop', 'SELECT * FROM oms.verify(1)'), '', 'verify() takes the old positions');
is($new->safe_psql('shop', q(SELECT string_agg(data ->> 'n', ',' ORDER BY tx, event_id) FROM oms.fetch_events(1, 'reader'))), '4,5', 'the consumer goes on where it was');
is(take($new, 'shop'), 'test.done 4, test.done 5', 'and moves');

# The first writer here is overtaken: a transaction that began before it writes
# and commits later. Its event must not lie behind the cursor.
my $early = write_event(6);
my $connection = $new->connstr('shop');
my $out = $new->safe_psql('shop', <<"SQL");
BEGIN;
INSERT INTO burn VALUES (0);
\\setenv LATE `echo "$connection"`
\\! for i in 1 2 3 4 5; do psql -Xq -d "\$LATE" -c "INSERT INTO burn VALUES (0)"; done
\\! psql -Xq -d "\$LATE" -c "INSERT INTO oms.event (merchant_id, subject_type, subject_id, type, data) VALUES (1, 'test', 1, 'test.done', jsonb_build_object('n', 7))"
\\! psql -Xqt -d "\$LATE" -c "SELECT count(*) FROM oms.take_events(1, 'reader')"
$early;
COMMIT;
SQL
is($out =~ s/\s//gr, '0', 'the late one waits for the early one');
is(take($new, 'shop'), 'test.done 6, test.done 7', 'then both are read, in their order');
is(take($new, 'shop'), '', 'once');
is($new->safe_psql('shop', q(SELECT min(tx) FILTER (WHERE data ->> 'n' IN ('6', '7')) > max(tx) FILTER (WHERE data ->> 'n' = '5') FROM oms.event)), 't', 'positions have gone on rising');
is($new->safe_psql('shop', 'SELECT * FROM oms.verify(1)'), '', 'sound');

done_testing();
