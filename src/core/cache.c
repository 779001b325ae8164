/*-------------------------------------------------------------------------
 * cache.c
 *	  The one mechanism behind every compiled configuration.
 *
 *	  A statement trigger on each configuration table sends a relcache
 *	  invalidation of that table; every backend drops what it compiled from it
 *	  before its next statement.  Invalidations are sent after the change is
 *	  visible, so what is loaded later reads it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/cache.h"
#include "core/guard.h"
#include "core/module.h"

PG_FUNCTION_INFO_V1(oms_config_changed);

#define MAX_CACHES 32

static OmsCache *caches[MAX_CACHES];
static int	ncaches = 0;
static bool any_transient = false;

static void
relation_changed(Datum arg, Oid relid)
{
	int			i;
	int			j;

	for (i = 0; i < ncaches; i++)
		for (j = 0; caches[i]->tables[j] != NULL; j++)
			if (!OidIsValid(relid) || caches[i]->relids[j] == relid)
				caches[i]->valid = false;
}

/*
 * What was compiled under the snapshot of a REPEATABLE READ transaction may be
 * older than a change whose invalidation has already come: it ends with it.
 */
static void
transaction_ended(XactEvent event, void *arg)
{
	int			i;

	if (!any_transient ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	for (i = 0; i < ncaches; i++)
		if (caches[i]->transient)
			caches[i]->valid = caches[i]->transient = false;
	any_transient = false;
}

/* Called once, when the module is loaded. */
void
oms_cache_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	RegisterXactCallback(transaction_ended, NULL);
}

bool
oms_cache_fresh(OmsCache *cache)
{
	Oid			schema;
	int			i;

	if (cache->valid)
		return true;
	if (!cache->registered)
	{
		if (ncaches >= MAX_CACHES)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("too many caches of oms")));
		cache->context = AllocSetContextCreate(CacheMemoryContext, "oms configuration", ALLOCSET_DEFAULT_SIZES);
		MemoryContextSetIdentifier(cache->context, cache->name);
		caches[ncaches++] = cache;
		cache->registered = true;
	}
	MemoryContextReset(cache->context);
	cache->data = NULL;
	schema = get_namespace_oid("oms", false);
	for (i = 0; cache->tables[i] != NULL; i++)
	{
		cache->relids[i] = get_relname_relid(cache->tables[i], schema);
		if (!OidIsValid(cache->relids[i]))
			ereport(ERROR,
					(errcode(OMS_NOT_INSTALLED),
					 errmsg("table oms.%s does not exist", cache->tables[i]),
					 errhint("Run CALL oms.install();")));
	}
	cache->valid = true;
	cache->transient = IsolationUsesXactSnapshot();
	any_transient |= cache->transient;
	return false;
}

void *
oms_cache_of_merchant(OmsCache *cache, int32 merchant, Size entry_size)
{
	void	   *entry;
	bool		found;

	if (!oms_cache_fresh(cache))
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(int32);
		ctl.entrysize = entry_size;
		ctl.hcxt = cache->context;
		cache->data = hash_create(cache->name, 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(cache->data, &merchant, HASH_ENTER, &found);
	if (!found)
		memset((char *) entry + sizeof(int32), 0, entry_size - sizeof(int32));
	return entry;
}

int64
oms_cache_nextval(OmsCache *sequence)
{
	(void) oms_cache_fresh(sequence);
	return nextval_internal(sequence->relids[0], false);
}

/* AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE statement, on configuration tables. */
Datum
oms_config_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);

	CacheInvalidateRelcache(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}
