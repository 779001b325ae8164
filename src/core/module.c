/*-------------------------------------------------------------------------
 * module.c
 *	  Module start: everything that is registered with PostgreSQL, in a fixed
 *	  order.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

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

void
_PG_init(void)
{
	oms_clock_init();
	oms_cache_init();
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
	oms_gate_init();
	MarkGUCPrefixReserved("oms");
}
