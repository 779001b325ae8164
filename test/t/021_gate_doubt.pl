# What the gate cannot be told of: prepared transactions, and rows written while
# its triggers were off. It errs low, never high, and heals by itself.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use Shop;

my $node = server('gate', "max_prepared_transactions = 10\nfsync = on\n");
shop($node, 'shop');
$node->safe_psql('shop', <<'SQL');
INSERT INTO oms.item (merchant_id, item_id, sku, title) SELECT 1, n, 'FEW' || n, 'Ten of ' || n FROM generate_series(101, 111) n;
INSERT INTO oms.price (merchant_id, item_id, currency, amount) SELECT 1, n, 'EUR', 1 FROM generate_series(101, 111) n;
INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause) SELECT 1, 1, n, 'opening', 10, 'opening' FROM generate_series(101, 111) n;
SQL

# What is to be had of an item by placing an order: 1 when the quantity is, 0 on OM001.
sub may_have
{
	my ($sku, $quantity) = @_;
	my ($status, $out, $err) = $node->psql('shop', "\\set VERBOSITY verbose\nSELECT oms.place_order(1, '" . Shop::document("$sku:$quantity") . "')");
	return 1 if $out =~ /^\d+$/;
	die $err unless $err =~ /OM001/;
	return 0;
}

sub prepare
{
	my ($name, $sku, $quantity) = @_;
	$node->safe_psql('shop', "BEGIN; SELECT oms.place_order(1, '" . Shop::document("$sku:$quantity") . "'); PREPARE TRANSACTION '$name'");
	return;
}

sub counter
{
	my ($item) = @_;
	return $node->safe_psql('shop', "SELECT counter, recomputed, doubtful FROM oms.stock_gate WHERE item_id = $item AND location_id = 1");
}

# Rolled back.
prepare('back', 'FEW101', 3);
is(may_have('FEW101', 8), 0, 'prepared units are taken');
is(may_have('FEW101', 7), 1, 'the others are not');
$node->safe_psql('shop', "ROLLBACK PREPARED 'back'");
is(may_have('FEW101', 3), 1, 'rolled back, they are free again');
is(counter(101), '0|0|f', 'and the counter is what the rows say');

# Committed.
prepare('kept', 'FEW102', 3);
$node->safe_psql('shop', "COMMIT PREPARED 'kept'");
is(may_have('FEW102', 8), 0, 'committed, they stay taken');
is(may_have('FEW102', 7), 1, 'the others are not');
is(counter(102), '0|0|f', 'and the counter is what the rows say');

# A recall that is prepared stops the lot already, also for who reads the counter anew.
$node->safe_psql('shop', <<'SQL');
INSERT INTO oms.item (merchant_id, item_id, sku, title, tracking) VALUES (1, 190, 'LOT190', 'In lots', 'lot');
INSERT INTO oms.price (merchant_id, item_id, currency, amount) VALUES (1, 190, 'EUR', 1);
SELECT oms.receive_lot(1, 190, 1, 'A', 10, 'opening');
BEGIN; SELECT oms.set_lot_status(1, 190, 'A', 'recalled'); PREPARE TRANSACTION 'recall';
SQL
is(may_have('LOT190', 1), 0, 'a prepared recall stops the lot');
$node->safe_psql('shop', "ROLLBACK PREPARED 'recall'");
is(may_have('LOT190', 4), 1, 'rolled back, it is for sale');
$node->safe_psql('shop', "BEGIN; SELECT oms.set_lot_status(1, 190, 'A', 'recalled'); PREPARE TRANSACTION 'recall'");
$node->safe_psql('shop', "COMMIT PREPARED 'recall'");
is(may_have('LOT190', 1), 0, 'committed, it is not');
is(counter(190), '-4|-4|f', 'and the counter is what the rows say');

# A release that is prepared frees nothing before it is committed.
my $order = place($node, 'shop', 'FEW103:10');
$node->safe_psql('shop', "BEGIN; SELECT oms.cancel_order(1, $order); PREPARE TRANSACTION 'release'");
is(may_have('FEW103', 1), 0, 'a prepared release frees nothing');
$node->safe_psql('shop', "COMMIT PREPARED 'release'");
is(may_have('FEW103', 10), 1, 'committed, it does');

# Killed and started with prepared transactions left behind: the memory is gone, the rows are not visible yet.
prepare('left', 'FEW104', 4);
prepare('left too', 'FEW105', 4);
$node->kill9;
for (1 .. 300)
{
	last if $node->start(fail_ok => 1);
	sleep 0.1;
	$node->stop('fast', fail_ok => 1);
}
is(may_have('FEW104', 7), 0, 'after a restart prepared units are taken');
is(may_have('FEW104', 6), 1, 'the others are not');
$node->safe_psql('shop', "COMMIT PREPARED 'left'");
$node->safe_psql('shop', "ROLLBACK PREPARED 'left too'");
is(may_have('FEW104', 1), 0, 'committed after the restart, nothing is left');
is(may_have('FEW105', 10), 1, 'rolled back after the restart, all is there');
is_sound($node, 'shop', 'prepared');

# Rows written while a superuser had the triggers off.
is(may_have('FEW106', 4), 1, 'some are promised');
$node->safe_psql('shop', <<'SQL');
BEGIN;
ALTER TABLE oms.reservation DISABLE TRIGGER reservation_gate;
UPDATE oms.reservation SET quantity = 9 WHERE item_id = 106;
ALTER TABLE oms.reservation ENABLE ALWAYS TRIGGER reservation_gate;
COMMIT;
SQL
is(may_have('FEW106', 2), 0, 'rows written without the trigger count');
is(may_have('FEW106', 1), 1, 'and what they left is there');

# The same by a transaction that uses the gate itself before its end: the counter it loads is without its own rows.
place($node, 'shop', 'FEW110:1');
my $other = Shop::document('FEW110:1');
$node->safe_psql('shop', <<"SQL");
BEGIN;
ALTER TABLE oms.reservation DISABLE TRIGGER reservation_gate;
UPDATE oms.reservation SET quantity = 7 WHERE item_id = 110;
ALTER TABLE oms.reservation ENABLE ALWAYS TRIGGER reservation_gate;
SELECT oms.place_order(1, '$other');
COMMIT;
SQL
is(may_have('FEW110', 3), 0, 'rows written without the trigger count, also when their writer loaded the counter');
is(may_have('FEW110', 2), 1, 'and what they left is there');

# A table emptied and filled behind the gate's back, as by pg_restore --disable-triggers.
is(may_have('FEW107', 10), 1, 'all are promised');
$node->safe_psql('shop', <<'SQL');
BEGIN;
ALTER TABLE oms.reservation DISABLE TRIGGER ALL;
DELETE FROM oms.reservation WHERE item_id = 107;
ALTER TABLE oms.reservation ENABLE TRIGGER ALL;
ALTER TABLE oms.reservation ENABLE ALWAYS TRIGGER reservation_gate;
COMMIT;
SQL
is(may_have('FEW107', 10), 1, 'rows gone without the trigger are seen gone');

# Rows of another node arrive in replica role: recorded, counted, not refused.
$order = place($node, 'shop', 'FEW108:1');
$node->safe_psql('shop', <<"SQL");
SET session_replication_role = replica;
INSERT INTO oms.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (1, 1, 108, $order, 1, 9);
SQL
is(may_have('FEW108', 1), 0, 'replicated promises count');

# Terminated while it reads a counter, which is made to wait by a lock on what planning needs: the next one reads it.
{
	my ($in, $out, $err) = ("\\set ON_ERROR_STOP 0\nSELECT oms.hold_stock(1, -1, 1, 1);\n", '', '');
	my $loader = IPC::Run::start([ 'psql', '-Xq', $node->connstr('shop') . ' application_name=loader' ], '<', \$in, '>', \$out, '2>', \$err);
	my ($lock_in, $lock_out, $lock_err) = ('', '', '');
	$loader->pump until $err =~ /ERROR/;
	my $locker = IPC::Run::start([ 'psql', '-XAtq', $node->connstr('shop') ], '<', \$lock_in, '>', \$lock_out, '2>', \$lock_err);
	$lock_in = "BEGIN; LOCK pg_catalog.pg_statistic; SELECT 'locked';\n";
	$locker->pump until $lock_out =~ /locked/;
	$in = "SELECT oms.hold_stock(1, 111, 1, 1);\n";
	$loader->pump_nb;
	my $pid;
	for (1 .. 300)
	{
		$lock_out = '';
		$lock_in  = "SELECT 'pid', pid, wait_event_type FROM pg_stat_get_activity(NULL) WHERE application_name = 'loader';\n";
		$locker->pump until $lock_out =~ /\n/;
		last if ($pid) = $lock_out =~ /pid\|(\d+)\|Lock/;
		$loader->pump_nb;
		sleep 0.1;
	}
	ok($pid, 'a session waits while it reads a counter');
	$lock_out = '';
	$lock_in  = "SELECT 'killed', pg_terminate_backend($pid, 10000); ROLLBACK;\n";
	$locker->pump until $lock_out =~ /killed/;
	$locker->finish;
	eval { $loader->finish };
	is($node->safe_psql('shop', "SET statement_timeout = '10s'; SELECT oms.hold_stock(1, 111, 1, 10) > 0"), 't', 'terminated, it leaves the counter to the next one');
}

# Extension dropped and made again.
is(may_have('FEW109', 6), 1, 'before');
$node->safe_psql('shop', 'SET client_min_messages = error; DROP EXTENSION oms CASCADE; CREATE EXTENSION oms; CALL oms.install()');
is(may_have('FEW109', 5), 0, 'after a drop and a new start what was promised is');
is(may_have('FEW109', 4), 1, 'and the rest is not');

done_testing();
