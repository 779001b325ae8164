/*-------------------------------------------------------------------------
 * module.c
 *	  Module start: everything that is registered with PostgreSQL, in a fixed
 *	  order.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "utils/guc.h"

#include "core/guard.h"
#include "core/module.h"
#include "event/event.h"
#include "inventory/gate.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

static void
transaction_ended(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		oms_statement_abort(0);
}

static void
subtransaction_ended(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		oms_statement_abort(GetCurrentTransactionNestLevel());
}

/*
 * A command's memory comes and goes with each call.  With the allocator's
 * defaults the heap's end moves to and fro with it, which costs a fifth of a
 * small order in system calls and page faults; so keep what a call needs.
 */
static void
keep_heap(void)
{
#ifdef __GLIBC__
	(void) mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
	(void) mallopt(M_TOP_PAD, 1024 * 1024);
#endif
}

void
_PG_init(void)
{
	keep_heap();
	oms_clock_init();
	oms_statement_init();
	oms_cache_init();
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
	oms_gate_init();
	MarkGUCPrefixReserved("oms");
}
