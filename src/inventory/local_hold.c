/*-------------------------------------------------------------------------
 * local_hold.c
 *	  Holds that end with their transaction or session, and have no row.
 *
 *	  Such a hold is nothing but units taken from the gate, remembered in this
 *	  backend.  Whatever ends the backend gives them back: at an orderly exit,
 *	  a terminated backend's included, a callback does; after kill -9 the
 *	  postmaster throws all shared memory away, and counters are read from the
 *	  rows, which never knew of it.
 *
 *	  Within the transaction that takes it, its units belong to the gate's
 *	  books of the transaction, so an abort gives them back by itself; here the
 *	  list only follows, by subtransaction.  The hold pins its counter, for a
 *	  reload from the rows would lose it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "lib/ilist.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "inventory/inventory.h"

typedef struct LocalHold
{
	dlist_node	node;
	int64		id;
	OmsGateKey	key;
	int64		quantity;
	bool		transaction_only;
	OmsGateEntry *pinned;
	SubTransactionId taken_in;	/* invalid: taken by a transaction that has committed */
	SubTransactionId released_in;	/* invalid: not released */
} LocalHold;

static dlist_head local_holds = DLIST_STATIC_INIT(local_holds);
static int64 last_id = 0;

/* Forgets a hold; back: units that go back to the counter right now. */
static void
drop(LocalHold *hold, int64 back)
{
	oms_gate_unpin(hold->pinned, hold->taken_in == InvalidSubTransactionId ? hold->quantity : 0, back);
	dlist_delete(&hold->node);
	pfree(hold);
}

/*
 * The end of the transaction.  Before it, holds of the transaction go into its
 * credit, and a prepared one is refused, for its end will not be told to us.
 */
static void
transaction_ended(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &local_holds)
	{
		LocalHold  *hold = dlist_container(LocalHold, node, iter.cur);

		switch (event)
		{
			case XACT_EVENT_PRE_PREPARE:
				if (hold->taken_in != InvalidSubTransactionId || hold->released_in != InvalidSubTransactionId)
					ereport(ERROR,
							(errcode(OMS_STATE),
							 errmsg("a transaction that took or released a hold of its session cannot be prepared"),
							 errhint("Use a stored hold.")));
				break;
			case XACT_EVENT_PRE_COMMIT:
				if (hold->transaction_only && hold->released_in == InvalidSubTransactionId)
				{
					oms_gate_give(&hold->key, hold->quantity);
					hold->released_in = GetCurrentSubTransactionId();
				}
				break;
			case XACT_EVENT_COMMIT:
				if (hold->released_in != InvalidSubTransactionId)
					drop(hold, 0);
				else if (hold->taken_in != InvalidSubTransactionId)
				{
					oms_gate_kept(hold->pinned, hold->quantity);
					hold->taken_in = InvalidSubTransactionId;
				}
				break;
			case XACT_EVENT_ABORT:
				if (hold->taken_in != InvalidSubTransactionId)
					drop(hold, 0);
				else
					hold->released_in = InvalidSubTransactionId;
				break;
			default:
				break;
		}
	}
}

/* Savepoints: what was done in one is undone with it, or passes to the outer level. */
static void
subtransaction_ended(SubXactEvent event, SubTransactionId my, SubTransactionId parent, void *arg)
{
	dlist_mutable_iter iter;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	dlist_foreach_modify(iter, &local_holds)
	{
		LocalHold  *hold = dlist_container(LocalHold, node, iter.cur);

		if (hold->released_in == my)
			hold->released_in = event == SUBXACT_EVENT_COMMIT_SUB ? parent : InvalidSubTransactionId;
		if (hold->taken_in != my)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			hold->taken_in = parent;
		else
			drop(hold, 0);
	}
}

/*
 * The end of the session.  It runs before a running transaction aborts, which
 * gives back itself what it took.
 */
static void
session_ended(int code, Datum arg)
{
	while (!dlist_is_empty(&local_holds))
	{
		LocalHold  *hold = dlist_head_element(LocalHold, node, &local_holds);

		drop(hold, hold->taken_in == InvalidSubTransactionId ? hold->quantity : 0);
	}
}

int64
oms_local_hold_take(const OmsGateKey *key, int64 quantity, bool transaction_only)
{
	static bool registered = false;
	int64		available = 0;
	LocalHold  *hold;

	if (!registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		RegisterSubXactCallback(subtransaction_ended, NULL);
		before_shmem_exit(session_ended, (Datum) 0);
		registered = true;
	}
	/* Memory first, so that no failure can leave units taken or a pin behind. */
	hold = MemoryContextAllocZero(TopMemoryContext, sizeof(LocalHold));
	if (!oms_stock_take(NULL, key, quantity, &available))
	{
		pfree(hold);
		oms_error_shortage(key, quantity, available);
	}
	hold->id = --last_id;
	hold->key = *key;
	hold->quantity = quantity;
	hold->transaction_only = transaction_only;
	hold->taken_in = GetCurrentSubTransactionId();
	hold->released_in = InvalidSubTransactionId;
	hold->pinned = oms_gate_pin(key);
	dlist_push_head(&local_holds, &hold->node);
	return hold->id;
}

bool
oms_local_hold_release(int32 merchant, int64 id, OmsGateKey *key, int64 *quantity)
{
	dlist_iter	iter;

	dlist_foreach(iter, &local_holds)
	{
		LocalHold  *hold = dlist_container(LocalHold, node, iter.cur);

		if (hold->id != id || hold->key.merchant != merchant || hold->released_in != InvalidSubTransactionId)
			continue;
		oms_gate_give(&hold->key, hold->quantity);
		hold->released_in = GetCurrentSubTransactionId();
		*key = hold->key;
		*quantity = hold->quantity;
		return true;
	}
	return false;
}
