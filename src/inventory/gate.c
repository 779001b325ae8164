/*-------------------------------------------------------------------------
 * gate.c
 *	  The escrow gate.
 *
 *	  Truth is rows: stock, reservation, stock_hold and lot_stock.  The gate is one counter per (database,
 *	  table, merchant, item, location) in shared memory that says how much may
 *	  still be promised.  It is a cache: loaded from the rows on first touch,
 *	  moved by the row triggers on these tables, forgotten at restart.
 *
 *	  A transaction keeps for each counter it touched
 *		taken	what it took out of the counter, returned on abort
 *		credit	what it may use without asking: taken but not consumed, or
 *				released by itself; given to the counter at commit
 *	  so that a decrement counts for everybody at once, and an increment for
 *	  others only from commit on.  Savepoints keep both as they were.
 *
 *	  Why a load is exact: whoever writes rows of an item pins its entry in the
 *	  row's own trigger, before commit, and unpins after the commit is visible
 *	  and applied.  A loader reads what is committed, without its own rows, by
 *	  a snapshot taken while the entry is marked as loading.  A writer is
 *	  therefore either visible to that snapshot and had applied everything to
 *	  an entry that is gone, or it is not visible and will apply its change to
 *	  the loaded counter.  An entry is only evicted without pins.
 *
 *	  Doubt is always resolved downwards.  An entry is in doubt when a prepared
 *	  transaction touched it, when rows of a running transaction were seen while
 *	  loading, or when the tables' triggers changed since (somebody may have
 *	  written without them).  Such an entry is loaded again by the first
 *	  transaction that is alone with it; in the last case new ones wait for that
 *	  moment, because the counter may be too high, and nothing is taken from it.
 *	  So do they once an instant has come at which the figure falls by itself,
 *	  with no row written (a lot expires): its deadline.
 *
 *	  No SQL runs under a lock of this file.  The loader takes its table locks
 *	  before it marks the entry, or a queued ALTER TABLE would make a deadlock
 *	  that nobody detects.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_trigger.h"
#include "common/hashfn.h"
#include "lib/dshash.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/dsa.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "core/cache.h"
#include "inventory/gate.h"
#include "inventory/gate_load.h"

PG_FUNCTION_INFO_V1(oms_stock_gate_entries);

/* What a counter belongs to; the table's identity so that a re-made table never meets its old counters. */
typedef struct EntryKey
{
	Oid			database;
	Oid			relation;
	OmsGateKey	key;
} EntryKey;

typedef enum EntryState
{
	ENTRY_EMPTY,
	ENTRY_LOADING,
	ENTRY_READY
} EntryState;

typedef struct Entry
{
	EntryKey	key;			/* must be first */
	pg_atomic_uint64 counter;	/* int64: what may still be promised */
	pg_atomic_uint32 pins;		/* transactions that touched it; raised under the partition lock only */
	pg_atomic_uint32 used;		/* touched since the last sweep */
	pg_atomic_uint64 hits;
	pg_atomic_uint32 expiring;	/* there may be a hold that expires */
	pg_atomic_uint64 deadline;	/* TimestampTz: from then on the counter is too high */
	slock_t		mutex;			/* protects those below, and all writing of a loaded counter */
	uint32		keepers;		/* of the pins: holds that outlive their transaction */
	int64		kept;			/* units of those whose transaction has committed: no row has them */
	EntryState	state;
	bool		doubtful;
	uint64		generation;		/* of the tables' triggers when it was loaded */
	ConditionVariable loaded;
} Entry;

/* The small named struct through which backends find the rest. */
typedef struct Control
{
	LWLock		lock;
	int			tranche;
	bool		ready;
	dsa_handle	area;
	dshash_table_handle table;
	uint32		fingerprint;	/* of the tables' triggers, see tables_changed() */
	pg_atomic_uint64 generation;	/* rises whenever that changes */
	pg_atomic_uint64 entries;
} Control;

/* What the running transaction has to do with one counter. */
typedef struct Hold
{
	OmsGateKey	key;			/* must be first */
	struct Hold *next;
	Entry	   *entry;
	int			level;			/* nest level of the last change */
	int64		taken;
	int64		credit;
	int64		deferred;		/* like credit, but of no use before the commit */
	TimestampTz deadline;		/* the earliest of rows it wrote; 0: none */
	bool		loading;		/* it is reading the counter from the rows */
	EntryState	before;			/* what the entry was before that */
	struct Saved *saved;		/* books of outer levels, innermost first */
} Hold;

/*
 * The books of a counter as they were at an outer level, kept for the rollback
 * of the level that changed them.  All of them form one stack, so that the end
 * of a savepoint looks at nothing but what changed in it.
 */
typedef struct Saved
{
	struct Saved *below;		/* in the stack */
	struct Saved *outer;		/* of the same counter */
	Hold	   *hold;
	int			changed_at;		/* level that would roll back to this */
	int			level;			/* level the books belong to */
	int64		taken;
	int64		credit;
	int64		deferred;
} Saved;

static Control *control = NULL;
static dsa_area *area = NULL;
static dshash_table *table = NULL;

static HTAB *holds = NULL;		/* of the running transaction */
static Hold *hold_list = NULL;
static Saved *saved_stack = NULL;

/* How often, and how long each time, a transaction waits for those who use an outdated counter. */
#define DRAIN_WAITS		200
#define DRAIN_WAIT_MS	5

/* oms.gate_entries: how many counters are kept before idle ones are swept out */
static int	gate_entries = 100000;

static OmsCache relation_cache = {
	.name = "reservation",
	.tables = {"reservation", "stock", "stock_hold", "lot_stock"},
};

/* Attaches this backend to the shared table, making it when it is the first. */
static void
attach(void)
{
	dshash_parameters params = {
		.key_size = sizeof(EntryKey),
		.entry_size = sizeof(Entry),
		.compare_function = dshash_memcmp,
		.hash_function = dshash_memhash,
		OMS_DSHASH_COPY
	};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	control = ShmemInitStruct("oms gate", sizeof(Control), &found);
	if (!found)
	{
		control->tranche = LWLockNewTrancheId();
		LWLockInitialize(&control->lock, control->tranche);
		pg_atomic_init_u64(&control->entries, 0);
		pg_atomic_init_u64(&control->generation, 1);
		control->fingerprint = 0;
		control->ready = false;
	}
	LWLockRelease(AddinShmemInitLock);
	LWLockRegisterTranche(control->tranche, "oms gate");
	params.tranche_id = control->tranche;

	LWLockAcquire(&control->lock, LW_EXCLUSIVE);
	if (!control->ready)
	{
		area = dsa_create(control->tranche);
		table = dshash_create(area, &params, NULL);
		dsa_pin(area);
		control->area = dsa_get_handle(area);
		control->table = dshash_get_hash_table_handle(table);
		control->ready = true;
	}
	else
	{
		area = dsa_attach(control->area);
		table = dshash_attach(area, &params, control->table, NULL);
	}
	dsa_pin_mapping(area);
	LWLockRelease(&control->lock);
	MemoryContextSwitchTo(old);
}

/*
 * A mark of the triggers on the tables that changes whenever somebody changes
 * them: rows written while they were off never reached a counter.  While the
 * change is our own and not committed it is another mark than afterwards: what
 * is loaded before the commit lacks the rows that this transaction wrote so.
 */
static uint32
trigger_fingerprint(const Oid *relids)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	uint32		fingerprint = 0;
	int			i;

	for (i = 0; i < OMS_GATE_TABLES; i++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relids[i]));
		scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
		while ((tuple = systable_getnext(scan)) != NULL)
		{
			fingerprint = hash_combine(fingerprint, HeapTupleHeaderGetRawXmin(tuple->t_data));
			fingerprint = hash_combine(fingerprint, hash_bytes((unsigned char *) &tuple->t_self, sizeof(ItemPointerData)));
			if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(tuple->t_data)))
				fingerprint = hash_combine(fingerprint, 1);
		}
		systable_endscan(scan);
	}
	table_close(triggers, AccessShareLock);
	return hash_combine(fingerprint, relids[0]);
}

/*
 * The tables behind the gate: reservation, to which the counters belong, stock,
 * stock_hold and lot_stock.  After a change of one, looks whether it was one of their triggers.
 */
static const Oid *
relations(void)
{
	static bool looked = false;

	if (!oms_cache_fresh(&relation_cache))
		looked = false;
	/* What is interrupted here is done again by the next call. */
	if (!looked)
	{
		uint32		fingerprint = trigger_fingerprint(relation_cache.relids);

		LWLockAcquire(&control->lock, LW_EXCLUSIVE);
		if (control->fingerprint != fingerprint)
		{
			control->fingerprint = fingerprint;
			pg_atomic_fetch_add_u64(&control->generation, 1);
		}
		LWLockRelease(&control->lock);
		looked = true;
	}
	return relation_cache.relids;
}

/*
 * Throws out entries that nobody touched since the last sweep, once there are
 * too many; they are loaded again when needed.
 */
static void
sweep(void)
{
	dshash_seq_status scan;
	Entry	   *entry;

	dshash_seq_init(&scan, table, true);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (pg_atomic_exchange_u32(&entry->used, 0) == 0 && pg_atomic_read_u32(&entry->pins) == 0)
		{
			dshash_delete_current(&scan);
			pg_atomic_fetch_sub_u64(&control->entries, 1);
		}
	}
	dshash_seq_term(&scan);
}

/* Every counter is read from the rows again once nobody uses it. */
void
oms_gate_forget(void)
{
	if (table == NULL)
		attach();
	pg_atomic_fetch_add_u64(&control->generation, 1);
}

/* Whether the counter may be too high: the tables' triggers changed since it was loaded, or its deadline has come. */
static inline bool
is_past(Entry *entry)
{
	return unlikely(entry->generation != pg_atomic_read_u64(&control->generation) ||
					(TimestampTz) pg_atomic_read_u64(&entry->deadline) <= oms_now());
}

/*
 * Whether a ready entry must be loaded again, and may be: nobody else uses it,
 * but for holds that outlive their transaction.  With its mutex.
 */
static bool
is_stale(Entry *entry)
{
	return (entry->doubtful || is_past(entry)) && pg_atomic_read_u32(&entry->pins) == entry->keepers + 1;
}

/*
 * Whether the entry cannot be believed any more and cannot be loaded again
 * because others, besides so many own pins, use it.
 */
static bool
is_outdated(Entry *entry, uint32 own)
{
	bool		outdated;

	if (!is_past(entry))
		return false;
	SpinLockAcquire(&entry->mutex);
	outdated = entry->state == ENTRY_READY && is_past(entry) && pg_atomic_read_u32(&entry->pins) > entry->keepers + own;
	SpinLockRelease(&entry->mutex);
	return outdated;
}

/*
 * Ends the reading of a counter.  After a failure (no figure) it is what it
 * was: the books of this transaction belong to it.
 */
static void
loading_ended(Hold *hold, const OmsGateFigure *figure, uint64 generation)
{
	Entry	   *entry = hold->entry;

	SpinLockAcquire(&entry->mutex);
	if (figure != NULL)
	{
		pg_atomic_write_u64(&entry->counter, (uint64) (figure->counter - hold->taken - entry->kept));
		entry->doubtful = figure->doubtful;
		entry->generation = generation;
	}
	entry->state = figure != NULL ? ENTRY_READY : hold->before;
	SpinLockRelease(&entry->mutex);
	hold->loading = false;
	ConditionVariableBroadcast(&entry->loaded);
}

/*
 * Makes the pinned entry of the books ready: loads it, or waits for whoever
 * does.  A stale one is loaded again if that is allowed here; then what the own
 * transaction took is taken off what the rows of others say.
 */
static void
ensure_loaded(Hold *hold, bool may_reload)
{
	Entry	   *entry = hold->entry;
	volatile EntryState state;
	volatile bool done = false;
	bool		again;
	uint64		generation = pg_atomic_read_u64(&control->generation);
	OmsGateFigure figure = {.deadline = PG_INT64_MAX};

	for (;;)
	{
		SpinLockAcquire(&entry->mutex);
		state = entry->state;
		again = state == ENTRY_READY && may_reload && is_stale(entry);
		if (state == ENTRY_EMPTY || again)
			entry->state = ENTRY_LOADING;
		SpinLockRelease(&entry->mutex);
		if (state != ENTRY_LOADING)
			break;
		ConditionVariablePrepareToSleep(&entry->loaded);
		SpinLockAcquire(&entry->mutex);
		state = entry->state;
		SpinLockRelease(&entry->mutex);
		if (state == ENTRY_LOADING)
			ConditionVariableSleep(&entry->loaded, PG_WAIT_EXTENSION);
		ConditionVariableCancelSleep();
	}
	if (state == ENTRY_READY && !again)
		return;
	hold->before = state;
	hold->loading = true;
	PG_TRY();
	{
		oms_gate_load(&hold->key, relation_cache.relids, &figure);
		if (figure.expiring)
			pg_atomic_write_u32(&entry->expiring, 1);
		if (hold->deadline != 0)
			figure.deadline = Min(figure.deadline, hold->deadline);
		pg_atomic_write_u64(&entry->deadline, (uint64) figure.deadline);
		done = true;
	}
	PG_FINALLY();
	{
		loading_ended(hold, done ? &figure : NULL, generation);
	}
	PG_END_TRY();
}

/* The running transaction's books on a counter, pinned and loaded on first touch; never in a parallel plan (25000). */
static Hold *
touch(const OmsGateKey *key)
{
	Hold	   *hold;
	bool		found;
	EntryKey	entry_key;
	Entry	   *entry;
	const Oid  *relids;
	int			i;

	if (holds == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(OmsGateKey);
		ctl.entrysize = sizeof(Hold);
		ctl.hcxt = TopMemoryContext;
		holds = hash_create("oms gate holds", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	hold = hash_search(holds, key, HASH_FIND, &found);
	if (found && hold->entry != NULL)
	{
		if (hold->entry->state != ENTRY_READY)
			ensure_loaded(hold, false);
		return hold;
	}
	/* A function with a wrong label: a worker's books would end with nobody to apply them. */
	PreventCommandIfParallelMode("a change of what may be promised");
	if (table == NULL)
		attach();
	relids = relations();
	for (i = 0; i < OMS_GATE_TABLES; i++)
		LockRelationOid(relids[i], AccessShareLock);
	/* With the locks came word of changes committed before them. */
	relids = relations();
	memset(&entry_key, 0, sizeof(entry_key));
	entry_key.database = MyDatabaseId;
	entry_key.relation = relids[0];
	entry_key.key = *key;
	if (pg_atomic_read_u64(&control->entries) > (uint64) gate_entries)
		sweep();

	/* The books come first, so that no failure can leave a pin behind. */
	hold = hash_search(holds, key, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) hold + sizeof(OmsGateKey), 0, sizeof(Hold) - sizeof(OmsGateKey));
		hold->next = hold_list;
		hold_list = hold;
	}
	for (i = 0;; i++)
	{
		entry = dshash_find_or_insert(table, &entry_key, &found);
		if (!found || i == DRAIN_WAITS || !is_outdated(entry, 0))
			break;
		/*
		 * Without a pin, so that the last of those who use it leaves somebody
		 * alone with it.  Not for ever: they may wait for a lock of ours.
		 */
		dshash_release_lock(table, entry);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, DRAIN_WAIT_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	if (!found)
	{
		pg_atomic_init_u64(&entry->counter, 0);
		pg_atomic_init_u32(&entry->pins, 0);
		pg_atomic_init_u32(&entry->used, 1);
		pg_atomic_init_u64(&entry->hits, 0);
		pg_atomic_init_u32(&entry->expiring, 0);
		pg_atomic_init_u64(&entry->deadline, PG_INT64_MAX);
		SpinLockInit(&entry->mutex);
		entry->keepers = 0;
		entry->kept = 0;
		entry->state = ENTRY_EMPTY;
		entry->doubtful = false;
		entry->generation = 0;
		ConditionVariableInit(&entry->loaded);
		pg_atomic_fetch_add_u64(&control->entries, 1);
	}
	pg_atomic_fetch_add_u32(&entry->pins, 1);
	if (pg_atomic_read_u32(&entry->used) == 0)
		pg_atomic_write_u32(&entry->used, 1);
	hold->entry = entry;
	dshash_release_lock(table, entry);
	pg_atomic_fetch_add_u64(&entry->hits, 1);
	ensure_loaded(hold, true);
	return hold;
}

/* Before a change: keeps the books of the outer level for its rollback. */
static void
save_level(Hold *hold)
{
	int			level = GetCurrentTransactionNestLevel();
	Saved	   *saved;

	if (hold->level >= level)
		return;
	if (level > 1)
	{
		saved = MemoryContextAlloc(TopTransactionContext, sizeof(Saved));
		saved->below = saved_stack;
		saved->outer = hold->saved;
		saved->hold = hold;
		saved->changed_at = level;
		saved->level = hold->level;
		saved->taken = hold->taken;
		saved->credit = hold->credit;
		saved->deferred = hold->deferred;
		hold->saved = saved_stack = saved;
	}
	hold->level = level;
}

/*
 * Before units are taken from a counter that is pinned since before: a deadline
 * and word of changed triggers that have come since then count too.  Alone with
 * such a counter the transaction loads it again, else it gives up: others may
 * be waiting for a lock of ours.
 */
static void
require_current(Hold *hold)
{
	AcceptInvalidationMessages();
	(void) relations();
	if (!is_past(hold->entry))
		return;
	ensure_loaded(hold, true);
	if (is_outdated(hold->entry, 1))
		ereport(ERROR,
				(errcode(OMS_BUSY),
				 errmsg("what may be promised of item " INT64_FORMAT " at location %d is not known now", hold->key.item, hold->key.location),
				 errdetail("While transactions were using it, units expired, or the triggers of the tables behind it were changed."),
				 errhint("Try again when these have ended.")));
}

bool
oms_gate_take(const OmsGateKey *key, int64 quantity, int64 *available)
{
	Hold	   *hold = touch(key);
	int64		need = quantity - hold->credit;
	uint64		counter;

	save_level(hold);
	if (need <= 0)
	{
		hold->credit -= quantity;
		return true;
	}
	require_current(hold);
	counter = pg_atomic_read_u64(&hold->entry->counter);
	do
	{
		if ((int64) counter < need)
		{
			if (available != NULL)
				*available = Max((int64) counter + hold->deferred + hold->credit, 0);
			return false;
		}
	} while (!pg_atomic_compare_exchange_u64(&hold->entry->counter, &counter, counter - need));
	hold->taken += need;
	hold->credit = 0;
	return true;
}

void
oms_gate_take_forced(const OmsGateKey *key, int64 quantity)
{
	Hold	   *hold = touch(key);
	int64		need = Max(quantity - hold->credit, 0);

	save_level(hold);
	pg_atomic_fetch_sub_u64(&hold->entry->counter, need);
	hold->taken += need;
	hold->credit -= quantity - need;
}

void
oms_gate_give(const OmsGateKey *key, int64 quantity)
{
	Hold	   *hold = touch(key);

	save_level(hold);
	hold->credit += quantity;
}

void
oms_gate_give_covered(const OmsGateKey *key, int64 quantity)
{
	Hold	   *hold = touch(key);
	int64		missing;

	require_current(hold);
	save_level(hold);
	missing = -(int64) pg_atomic_read_u64(&hold->entry->counter) - hold->deferred;
	missing = Min(Max(missing, 0), quantity);
	hold->deferred += missing;
	hold->credit += quantity - missing;
}

int64
oms_gate_available(const OmsGateKey *key)
{
	Hold	   *hold = touch(key);

	return (int64) pg_atomic_read_u64(&hold->entry->counter) + hold->deferred + hold->credit;
}

bool
oms_gate_peek(const OmsGateKey *key, int64 *available)
{
	EntryKey	entry_key;
	Entry	   *entry;
	bool		known;

	if (table == NULL)
		attach();
	memset(&entry_key, 0, sizeof(entry_key));
	entry_key.database = MyDatabaseId;
	entry_key.relation = relations()[0];
	entry_key.key = *key;
	entry = dshash_find(table, &entry_key, false);
	if (entry == NULL)
		return false;
	SpinLockAcquire(&entry->mutex);
	known = entry->state == ENTRY_READY && !entry->doubtful && !is_past(entry) && pg_atomic_read_u32(&entry->expiring) == 0;
	*available = (int64) pg_atomic_read_u64(&entry->counter);
	SpinLockRelease(&entry->mutex);
	dshash_release_lock(table, entry);
	return known;
}

void
oms_gate_restart(const OmsGateKey *key)
{
	Hold	   *hold = touch(key);
	bool		alone;

	SpinLockAcquire(&hold->entry->mutex);
	alone = pg_atomic_read_u32(&hold->entry->pins) == 1 && hold->taken == 0 && hold->credit == 0;
	if (alone)
	{
		pg_atomic_write_u64(&hold->entry->counter, 0);
		hold->entry->doubtful = false;
		hold->entry->generation = pg_atomic_read_u64(&control->generation);
	}
	SpinLockRelease(&hold->entry->mutex);
	if (!alone)
		ereport(ERROR,
				(errcode(OMS_BUSY),
				 errmsg("what may be promised of item " INT64_FORMAT " is counted by others now", key->item),
				 errhint("Try again when they have ended.")));
}

void
oms_gate_expiring(const OmsGateKey *key)
{
	pg_atomic_write_u32(&touch(key)->entry->expiring, 1);
}

bool
oms_gate_may_reclaim(const OmsGateKey *key)
{
	return pg_atomic_read_u32(&touch(key)->entry->expiring) != 0;
}

void
oms_gate_deadline(const OmsGateKey *key, TimestampTz deadline)
{
	Hold	   *hold = touch(key);
	Entry	   *entry = hold->entry;
	uint64		old = pg_atomic_read_u64(&entry->deadline);

	if (hold->deadline == 0 || deadline < hold->deadline)
		hold->deadline = deadline;
	while (deadline < (TimestampTz) old &&
		   !pg_atomic_compare_exchange_u64(&entry->deadline, &old, (uint64) deadline))
		;
}

OmsGateEntry *
oms_gate_pin(const OmsGateKey *key)
{
	Entry	   *entry = touch(key)->entry;

	/* The transaction's own pin keeps it from going meanwhile. */
	SpinLockAcquire(&entry->mutex);
	entry->keepers++;
	pg_atomic_fetch_add_u32(&entry->pins, 1);
	SpinLockRelease(&entry->mutex);
	return (OmsGateEntry *) entry;
}

void
oms_gate_kept(OmsGateEntry *pinned, int64 quantity)
{
	Entry	   *entry = (Entry *) pinned;

	SpinLockAcquire(&entry->mutex);
	entry->kept += quantity;
	SpinLockRelease(&entry->mutex);
}

void
oms_gate_unpin(OmsGateEntry *pinned, int64 kept, int64 back)
{
	Entry	   *entry = (Entry *) pinned;

	SpinLockAcquire(&entry->mutex);
	entry->kept -= kept;
	if (back != 0)
		pg_atomic_fetch_add_u64(&entry->counter, back);
	entry->keepers--;
	pg_atomic_fetch_sub_u32(&entry->pins, 1);
	SpinLockRelease(&entry->mutex);
}

/* Applies the transaction to the counters and drops its pins. */
static void
transaction_ended(XactEvent event, void *arg)
{
	Hold	   *hold;

	if (hold_list == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			for (hold = hold_list; hold != NULL; hold = hold->next)
			{
				Entry	   *entry = hold->entry;
				int64		back = event == XACT_EVENT_COMMIT ? hold->credit + hold->deferred : hold->taken;

				if (entry == NULL)
					continue;
				/* The backend is terminated: nothing else tells those who wait for it. */
				if (hold->loading)
					loading_ended(hold, NULL, 0);
				if (event == XACT_EVENT_PREPARE)
				{
					/* Its end will not be told to us: what it took stays taken until the rows decide. */
					SpinLockAcquire(&entry->mutex);
					entry->doubtful = true;
					SpinLockRelease(&entry->mutex);
				}
				else if (back != 0)
					pg_atomic_fetch_add_u64(&entry->counter, back);
				pg_atomic_fetch_sub_u32(&entry->pins, 1);
			}
			if (hash_get_num_entries(holds) > 1024)
			{
				hash_destroy(holds);
				holds = NULL;
			}
			else
				while (hold_list != NULL)
				{
					hold = hold_list;
					hold_list = hold->next;
					hash_search(holds, &hold->key, HASH_REMOVE, NULL);
				}
			hold_list = NULL;
			saved_stack = NULL;
			break;
		default:
			break;
	}
}

/* Savepoints: committed ones pass their books to the outer level, rolled back ones give back. */
static void
subtransaction_ended(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	Saved	  **link = &saved_stack;
	Saved	   *saved;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while ((saved = *link) != NULL && saved->changed_at >= level)
	{
		Hold	   *hold = saved->hold;

		if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			pg_atomic_fetch_add_u64(&hold->entry->counter, hold->taken - saved->taken);
			hold->taken = saved->taken;
			hold->credit = saved->credit;
			hold->deferred = saved->deferred;
			hold->level = saved->level;
		}
		else
		{
			hold->level = saved->changed_at = level - 1;
			if (level - 1 > 1 && saved->level < level - 1)
			{
				/* The outer level has a rollback of its own to come. */
				link = &saved->below;
				continue;
			}
		}
		*link = saved->below;
		hold->saved = saved->outer;
		pfree(saved);
	}
}

/* SQL: stock_gate_entries(): the counters of this database. */
Datum
oms_stock_gate_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	dshash_seq_status scan;
	Entry	   *entry;
	Oid			relation;

	InitMaterializedSRF(fcinfo, 0);
	if (table == NULL)
		attach();
	relation = relations()[0];
	dshash_seq_init(&scan, table, false);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		Datum		values[7];
		bool		nulls[7] = {false};

		if (entry->key.database != MyDatabaseId || entry->key.relation != relation)
			continue;
		values[0] = Int32GetDatum(entry->key.key.merchant);
		values[1] = Int64GetDatum(entry->key.key.item);
		values[2] = Int32GetDatum(entry->key.key.location);
		values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&entry->counter));
		values[4] = Int32GetDatum((int32) pg_atomic_read_u32(&entry->pins));
		values[5] = Int64GetDatum((int64) pg_atomic_read_u64(&entry->hits));
		values[6] = BoolGetDatum(entry->state != ENTRY_READY || entry->doubtful || is_past(entry));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	dshash_seq_term(&scan);
	return (Datum) 0;
}

void
oms_gate_init(void)
{
	DefineCustomIntVariable("oms.gate_entries",
							"Counters kept in shared memory before idle ones are dropped.",
							"A counter takes about 150 bytes; a dropped one is read from the tables again.",
							&gate_entries, 100000, 1000, 100000000, PGC_SUSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
}
