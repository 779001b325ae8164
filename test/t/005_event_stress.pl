# Many writers of different length, some of which fail, and two readers of one
# consumer at once: every committed event is taken exactly once, and in order.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = server('stress');
shop($node, 'shop');
$node->safe_psql('shop', q(
	CREATE TABLE taken (n bigint GENERATED ALWAYS AS IDENTITY, tx bigint, event_id bigint);
	CREATE TABLE committed (k bigint);
	SELECT oms.subscribe(1, 'stress', '{test.*}')));

$ENV{PGDATABASE} = 'shop';
$node->pgbench('-n -c 10 -j 2 -T 5', 0, [qr/processed/], [qr/^$/], 'writers and readers',
	{
		'writer@12' => q(
\set wait random(0, 30)
\set commit random(1, 5)
\set k random(1, 1000000000)
BEGIN;
INSERT INTO oms.event (merchant_id, subject_type, subject_id, type) VALUES (1, 'test', :k, 'test.one');
\sleep :wait ms
INSERT INTO oms.event (merchant_id, subject_type, subject_id, type) VALUES (1, 'test', :k, 'test.two');
INSERT INTO committed VALUES (:k), (:k);
\if :commit > 1
COMMIT;
\else
ROLLBACK;
\endif
),
		'reader@2' => q(
BEGIN;
INSERT INTO taken (tx, event_id) SELECT tx, event_id FROM oms.take_events(1, 'stress', 20);
COMMIT;
),
	});

# What was written last can be read now that all have ended.
$node->poll_query_until('shop', 'SELECT oms.event_horizon() > max(tx) FROM oms.event') or BAIL_OUT('the horizon does not move');
$node->safe_psql('shop', 'INSERT INTO taken (tx, event_id) SELECT tx, event_id FROM oms.take_events(1, $$stress$$, 100000)');

my $written = $node->safe_psql('shop', q(SELECT count(*) FROM oms.event WHERE type LIKE 'test.%'));
cmp_ok($written, '>', 1000, "$written events were written");
is($node->safe_psql('shop', 'SELECT count(*) FROM committed'), $written, 'those of committed transactions alone');
is($node->safe_psql('shop', 'SELECT count(*) FROM taken'), $written, 'as many were taken');
is($node->safe_psql('shop', 'SELECT count(*) FROM (SELECT tx, event_id FROM oms.event WHERE type LIKE $$test.%$$ EXCEPT SELECT tx, event_id FROM taken) x'), '0', 'none was skipped');
is($node->safe_psql('shop', 'SELECT count(*) FROM (SELECT tx, event_id, lag((tx, event_id)) OVER (ORDER BY n) AS before FROM taken) x WHERE (tx, event_id) <= before'), '0', 'each came behind the one before');
is($node->safe_psql('shop', 'SELECT * FROM oms.verify(1)'), '', 'sound');

done_testing();
