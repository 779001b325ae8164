/*-------------------------------------------------------------------------
 * batch.c
 *	  place_orders(): many staged orders in one statement.
 *
 *	  Chunks of staged rows go through three steps.  Reading and admitting run
 *	  order by order, each in a savepoint, so that one refusal leaves the
 *	  others alone and each order sees what those before it took.  Writing is a
 *	  few statements for the whole chunk.  Memory is that of one chunk.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "order/draft.h"
#include "order/order.h"
#include "order/place.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_place_orders);

#define CHUNK 500

enum
{
	ST_WAITING,
	ST_PLACED,
	ST_REFUSED
};

static OmsStatement statements[] = {
	/* Locked, so that a second call waits for the first to end and passes over what it has placed. */
	[ST_WAITING] = {
		"SELECT source, position, document FROM oms.staged_order WHERE merchant_id = $1 "
		"AND (source = $2 OR $2 IS NULL) AND order_id IS NULL AND error_code IS NULL ORDER BY source, position FOR NO KEY UPDATE",
		2, {INT4OID, TEXTOID}
	},
	[ST_PLACED] = {
		"UPDATE oms.staged_order s SET order_id = p.order_id FROM unnest($2, $3, $4) AS p (source, position, order_id) "
		"WHERE s.merchant_id = $1 AND s.source = p.source AND s.position = p.position",
		4, {INT4OID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_REFUSED] = {
		"UPDATE oms.staged_order SET error_code = $4, error_message = $5, error_detail = $6 "
		"WHERE merchant_id = $1 AND source = $2 AND position = $3",
		6, {INT4OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID}
	},
};

/* A staged order on its way. */
typedef struct Staged
{
	Datum		source;
	int64		position;
	Datum		document;
	OmsDraft   *draft;			/* null once refused */
	ErrorData  *error;			/* why it was refused */
	struct Staged *first;		/* the one of the chunk that it repeats */
} Staged;

typedef struct Batch
{
	int32		merchant;
	const char *actor;
	MemoryContext chunk_context;
	int			n;
	Staged		staged[CHUNK];
	int64		orders;
	int64		accepted;
	int64		repeated;
	int64		refused;
	int64		lines;
} Batch;

typedef void (*Step) (Batch *batch, Staged *staged);

/*
 * Whether a failure says nothing of the order: a cancel, a lock that was not
 * had in time, memory, serialization.  Another attempt may well succeed.
 */
static bool
ends_all(int code)
{
	int			class = ERRCODE_TO_CATEGORY(code);

	return class == ERRCODE_TO_CATEGORY(ERRCODE_QUERY_CANCELED) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) ||
		code == ERRCODE_LOCK_NOT_AVAILABLE || code == OMS_BUSY || code == OMS_NOT_INSTALLED;
}

/*
 * Runs a step in a savepoint, in a memory context that keeps what it makes.
 * Returns null, or why it was refused; what is not about the order ends the
 * whole statement.
 */
ErrorData *
oms_place_try(MemoryContext memory, void (*step) (void *), void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(memory);
	PG_TRY();
	{
		step(argument);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(memory);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (ends_all(error->sqlerrcode))
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

/* A step and what it is for. */
typedef struct Attempt
{
	Batch	   *batch;
	Staged	   *staged;
	Step		step;
} Attempt;

static void
run_step(void *argument)
{
	Attempt    *attempt = argument;

	attempt->step(attempt->batch, attempt->staged);
}

/* Runs a step for one order in a savepoint; a refusal is kept with the order. */
static bool
in_savepoint(Batch *batch, Staged *staged, Step step)
{
	Attempt		attempt = {batch, staged, step};
	ErrorData  *error = oms_place_try(batch->chunk_context, run_step, &attempt);

	if (error == NULL)
		return true;
	staged->error = error;
	staged->draft = NULL;
	return false;
}

static void
read_step(Batch *batch, Staged *staged)
{
	staged->draft = oms_draft_from_document(batch->merchant, staged->document, batch->actor);
	staged->draft->of_batch = true;
}

static void
admit_step(Batch *batch, Staged *staged)
{
	OmsDraft   *draft = staged->draft;

	draft->order_id = oms_draft_existing(draft);
	draft->repeated = draft->order_id != 0;
	if (draft->repeated)
		return;
	oms_draft_resolve(draft);
	oms_draft_admit(draft);
}

static void
write_step(Batch *batch, Staged *staged)
{
	oms_draft_write(&staged->draft, 1);
}

/* Places one that was taken for a repetition of an order that could not be written. */
static void
place_step(Batch *batch, Staged *staged)
{
	admit_step(batch, staged);
	if (!staged->draft->repeated)
		oms_draft_write(&staged->draft, 1);
}

/* All orders of the chunk that are to be written, in one go. */
static void
write_all_step(Batch *batch, Staged *unused)
{
	OmsDraft   *drafts[CHUNK];
	int			n = 0;
	int			i;

	for (i = 0; i < batch->n; i++)
		if (batch->staged[i].draft != NULL && !batch->staged[i].draft->repeated)
			drafts[n++] = batch->staged[i].draft;
	if (n > 0)
		oms_draft_write(drafts, n);
}

/* The key of an external reference within the chunk. */
typedef struct Reference
{
	char		key[OMS_KEY_LENGTH * MAX_MULTIBYTE_CHAR_LEN + 16];
	Staged	   *first;
} Reference;

/*
 * The earlier order of the same chunk with the same reference, if any: it is
 * not written yet, so the table cannot answer.
 */
static Staged *
first_of_reference(HTAB *references, Staged *staged)
{
	const OmsDraft *draft = staged->draft;
	char		key[sizeof(((Reference *) 0)->key)];
	Reference  *reference;
	bool		found;

	memset(key, 0, sizeof(key));
	snprintf(key, sizeof(key), "%d/%s", draft->channel, draft->external_ref);
	reference = hash_search(references, key, HASH_ENTER, &found);
	if (found && reference->first->draft != NULL && reference->first->draft->order_id != 0)
		return reference->first;
	reference->first = staged;
	return NULL;
}

/* Reads and admits the chunk, order by order. */
static void
admit_chunk(Batch *batch)
{
	HASHCTL		ctl = {0};
	HTAB	   *references;
	int			i;

	ctl.keysize = sizeof(((Reference *) 0)->key);
	ctl.entrysize = sizeof(Reference);
	ctl.hcxt = batch->chunk_context;
	references = hash_create("oms references", CHUNK, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	for (i = 0; i < batch->n; i++)
	{
		Staged	   *staged = &batch->staged[i];

		CHECK_FOR_INTERRUPTS();
		if (!in_savepoint(batch, staged, read_step))
			continue;
		if (staged->draft->external_ref != NULL)
			staged->first = first_of_reference(references, staged);
		if (staged->first != NULL)
		{
			staged->draft->repeated = true;
			staged->draft->order_id = staged->first->draft->order_id;
		}
		else if (in_savepoint(batch, staged, admit_step) && !staged->draft->repeated)
			staged->draft->order_id = oms_next_order_id();
	}
}

/* Writes the chunk; when something in it cannot be written, order by order. */
static void
write_chunk(Batch *batch)
{
	Staged		whole = {0};
	bool		repeated[CHUNK] = {false};
	int			promises[CHUNK] = {0};
	int			i;

	for (i = 0; i < batch->n; i++)
		if (batch->staged[i].draft != NULL)
		{
			repeated[i] = batch->staged[i].draft->repeated;
			promises[i] = batch->staged[i].draft->npromises;
		}
	if (in_savepoint(batch, &whole, write_all_step))
		return;
	for (i = 0; i < batch->n; i++)
	{
		Staged	   *staged = &batch->staged[i];
		OmsDraft   *draft = staged->draft;

		if (draft == NULL)
			continue;
		/* What was found repeated, and given back, went with the savepoint. */
		draft->repeated = repeated[i];
		draft->npromises = promises[i];
		if (staged->first != NULL && staged->first->draft == NULL)
			(void) in_savepoint(batch, staged, place_step);
		else if (!draft->repeated && !in_savepoint(batch, staged, write_step))
			oms_draft_give_back(draft);
	}
}

static Datum
text_or_null(const char *value, char *null)
{
	*null = value == NULL ? 'n' : ' ';
	return value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

/* Writes into the staged rows what became of them, and counts. */
static void
report_chunk(Batch *batch)
{
	Datum		sources[CHUNK];
	Datum		positions[CHUNK];
	Datum		ids[CHUNK];
	Datum		values[6];
	char		nulls[6];
	int			n = 0;
	int			i;

	values[0] = Int32GetDatum(batch->merchant);
	for (i = 0; i < batch->n; i++)
	{
		Staged	   *staged = &batch->staged[i];

		batch->orders++;
		if (staged->draft != NULL)
		{
			if (staged->draft->repeated)
			{
				/* Another session's order came first while we wrote. */
				if (oms_draft_existing(staged->draft) != 0)
					staged->draft->order_id = oms_draft_existing(staged->draft);
				batch->repeated++;
			}
			else
			{
				batch->accepted++;
				batch->lines += staged->draft->nlines;
			}
			sources[n] = staged->source;
			positions[n] = Int64GetDatum(staged->position);
			ids[n++] = Int64GetDatum(staged->draft->order_id);
			continue;
		}
		batch->refused++;
		values[1] = staged->source;
		values[2] = Int64GetDatum(staged->position);
		memset(nulls, ' ', sizeof(nulls));
		values[3] = CStringGetTextDatum(unpack_sql_state(staged->error->sqlerrcode));
		values[4] = text_or_null(staged->error->message, &nulls[4]);
		values[5] = text_or_null(staged->error->detail, &nulls[5]);
		oms_run(&statements[ST_REFUSED], values, nulls);
	}
	if (n == 0)
		return;
	values[1] = PointerGetDatum(construct_array(sources, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(positions, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	oms_run(&statements[ST_PLACED], values, NULL);
}

/* Fetches the next chunk of staged rows; false at the end. */
static bool
fetch_chunk(Batch *batch, Portal portal, int64 limit)
{
	uint64		i;

	SPI_cursor_fetch(portal, true, oms_sourcing_counts(batch->merchant) ? 1 : (long) Min(limit, CHUNK));
	batch->n = (int) SPI_processed;
	for (i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(batch->chunk_context);
		Staged	   *staged = &batch->staged[i];
		bool		isnull;

		memset(staged, 0, sizeof(*staged));
		staged->source = datumCopy(oms_get(i, 1, &isnull), false, -1);
		staged->position = oms_get_int64(i, 2);
		staged->document = PointerGetDatum(PG_DETOAST_DATUM_COPY(oms_get(i, 3, &isnull)));
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
	return batch->n > 0;
}

/* SQL: place_orders(merchant, source, max_orders) */
Datum
oms_place_orders(PG_FUNCTION_ARGS)
{
	Batch	   *batch = palloc0(sizeof(Batch));
	int64		limit = PG_ARGISNULL(2) ? PG_INT64_MAX : PG_GETARG_INT64(2);
	Datum		arguments[2];
	char		nulls[2] = {' ', ' '};
	TupleDesc	desc;
	Datum		values[5];
	bool		isnull[5] = {false};
	Portal		portal;

	batch->merchant = oms_arg_merchant(fcinfo);
	batch->actor = oms_calling_role();
	if (limit < 1)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"max_orders\" is out of range"),
				 errdetail(INT64_FORMAT " was given; 1 or more are placed.", limit)));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("place_orders needs its declared result")));
	batch->chunk_context = AllocSetContextCreate(CurrentMemoryContext, "oms chunk", ALLOCSET_DEFAULT_SIZES);
	arguments[0] = Int32GetDatum(batch->merchant);
	if (PG_ARGISNULL(1))
		nulls[1] = 'n';
	else
		arguments[1] = PG_GETARG_DATUM(1);
	oms_begin();
	oms_command(batch->actor, NULL, NULL);
	portal = oms_open_cursor(&statements[ST_WAITING], arguments, nulls);
	while (limit > 0 && fetch_chunk(batch, portal, limit))
	{
		limit -= batch->n;
		/* A connection of its own: SPI keeps the answers of all queries until its end. */
		oms_begin();
		admit_chunk(batch);
		write_chunk(batch);
		report_chunk(batch);
		oms_end();
		MemoryContextReset(batch->chunk_context);
	}
	SPI_cursor_close(portal);
	oms_end();
	values[0] = Int64GetDatum(batch->orders);
	values[1] = Int64GetDatum(batch->accepted);
	values[2] = Int64GetDatum(batch->repeated);
	values[3] = Int64GetDatum(batch->refused);
	values[4] = Int64GetDatum(batch->lines);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}
