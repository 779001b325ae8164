/*-------------------------------------------------------------------------
 * cache.h
 *	  Compiled configuration: read once per backend into its own memory
 *	  context, dropped by relcache invalidation when a table behind it changes.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_CACHE_H
#define OMS_CACHE_H

#define OMS_CACHE_TABLES 12

typedef struct OmsCache
{
	const char *name;
	const char *tables[OMS_CACHE_TABLES];	/* of schema oms, null-terminated */
	/* below: private to cache.c, but for context and data */
	Oid			relids[OMS_CACHE_TABLES];
	bool		registered;
	bool		valid;
	bool		transient;		/* holds for the running transaction only */
	MemoryContext context;
	void	   *data;			/* what the loader keeps; null after a reset */
} OmsCache;

/*
 * True when what is in the cache still holds.  Else empties it, counts it as
 * valid from now on (a change during loading drops it again) and returns
 * false: the caller loads into cache->context.  The tables must carry the
 * trigger oms.config_changed().  Pointers into the cache live until the next
 * call; never hold them over SQL that may come back here.
 */
extern bool oms_cache_fresh(OmsCache *cache);

/*
 * The merchant's entry in a cache that has one per merchant, made with zeros
 * where there is none yet: what it holds is loaded by the caller.  The entry
 * begins with an int32, the merchant.
 */
extern void *oms_cache_of_merchant(OmsCache *cache, int32 merchant, Size entry_size);

/* The next number of the sequence that is the cache's only table. */
extern int64 oms_cache_nextval(OmsCache *sequence);

#endif							/* OMS_CACHE_H */
