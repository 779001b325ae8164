/*-------------------------------------------------------------------------
 * event.c
 *	  Writing the log, and the position of each event in it.
 *
 *	  The position is (tx, event_id), where tx is the writer's transaction id
 *	  plus the node's base.  Transaction ids start anew in another cluster: the
 *	  first writer after a restore notices the other system identifier and
 *	  moves the base, so that positions go on rising.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/xlog.h"
#include "utils/rel.h"

#include "core/cache.h"
#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"

PG_FUNCTION_INFO_V1(oms_event_position);

/* Columns of event, in the order of sql/schema/10_event.sql. */
enum
{
	EVENT_MERCHANT = 1, EVENT_VERSION, EVENT_TX, EVENT_ID, EVENT_AT, EVENT_SUBJECT_ID, EVENT_ORDER,
	EVENT_SUBJECT_TYPE, EVENT_TYPE, EVENT_ACTOR, EVENT_REASON, EVENT_CORRELATION, EVENT_DATA
};

enum
{
	ST_WRITE,
	ST_NODE,
	ST_MOVE_NODE
};

static OmsStatement statements[] = {
	[ST_WRITE] = {
		"INSERT INTO oms.event (" OMS_EVENT_COLUMNS ") SELECT " OMS_EVENT_COLUMNS " FROM unnest($1)",
		1, {0}
	},
	[ST_NODE] = {"SELECT system_identifier, tx_base FROM oms.node", 0, {0}},
	/*
	 * Above every position there is, events' and cursors', for every
	 * transaction that may still write: also one that began before this one
	 * and will find the base already moved.
	 */
	[ST_MOVE_NODE] = {
		"INSERT INTO oms.node (system_identifier, tx_base) "
		"VALUES ($1, coalesce((SELECT max(p.tx) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM ("
		"SELECT e.tx FROM oms.merchant m, LATERAL (SELECT e.tx FROM oms.event e WHERE e.merchant_id = m.merchant_id "
		"ORDER BY e.tx DESC, e.event_id DESC LIMIT 1) e "
		"UNION ALL SELECT c.tx FROM oms.consumer c WHERE (c.tx, c.event_id) > (0, 0)) p), 0)) "
		"ON CONFLICT (only_row) DO UPDATE SET system_identifier = excluded.system_identifier, "
		"tx_base = CASE WHEN node.system_identifier = excluded.system_identifier "
		"THEN node.tx_base ELSE excluded.tx_base END RETURNING tx_base",
		1, {INT8OID}
	},
};

static OmsTarget target = {"event", OMS_EVENT_COLUMNS};

static OmsCache node_cache = {
	.name = "node",
	.tables = {"node"},
};

/*
 * The base of this node; moves it when the rows come from another cluster.
 * Two first writers at once: the second waits on the row and takes the first's.
 */
static int64
node_base(void)
{
	if (!oms_cache_fresh(&node_cache))
	{
		int64		own = (int64) GetSystemIdentifier();
		int64		base;

		oms_begin();
		if (oms_run(&statements[ST_NODE], NULL, NULL) > 0 && oms_get_int64(0, 1) == own)
			base = oms_get_int64(0, 2);
		else
		{
			Datum		values[1] = {Int64GetDatum(own)};

			(void) GetTopFullTransactionId();
			oms_run_guarded(&statements[ST_MOVE_NODE], values, NULL);
			base = oms_get_int64(0, 1);
		}
		oms_end();
		node_cache.data = MemoryContextAlloc(node_cache.context, sizeof(int64));
		*(int64 *) node_cache.data = base;
	}
	else if (node_cache.data == NULL)
	{
		node_cache.valid = false;
		return node_base();
	}
	return *(int64 *) node_cache.data;
}

/* The tx of events that the running transaction writes. */
int64
oms_event_tx(void)
{
	int64		base = node_base();

	return base + (int64) U64FromFullTransactionId(GetTopFullTransactionId());
}

/* BEFORE INSERT row on event: whatever the statement says, tx is the writer's. */
Datum
oms_event_position(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = trigdata->tg_trigtuple;
	int			column = 0;
	Datum		value;
	bool		isnull = false;

	if (oms_guard_is_open())
		return PointerGetDatum(tuple);
	column = SPI_fnumber(RelationGetDescr(trigdata->tg_relation), "tx");
	value = Int64GetDatum(oms_event_tx());
	return PointerGetDatum(heap_modify_tuple_by_cols(tuple, RelationGetDescr(trigdata->tg_relation),
													 1, &column, &value, &isnull));
}

OmsRows *
oms_event_rows(void)
{
	return oms_rows_for(&target);
}

void
oms_event_add(OmsRows *rows, const OmsEvent *event)
{
	const OmsCommand *command = oms_current_command();
	const char *actor = event->actor;
	const char *reason = event->reason;
	const char *correlation_id = event->correlation_id;

	if (command != NULL)
	{
		actor = actor != NULL ? actor : command->actor;
		reason = reason != NULL ? reason : command->reason;
		correlation_id = correlation_id != NULL ? correlation_id : command->correlation_id;
	}
	oms_rows_set(rows, EVENT_MERCHANT, Int32GetDatum(event->merchant));
	oms_rows_set(rows, EVENT_VERSION, Int16GetDatum(event->version == 0 ? 1 : event->version));
	oms_rows_set(rows, EVENT_TX, Int64GetDatum(oms_event_tx()));
	oms_rows_set(rows, EVENT_AT, TimestampTzGetDatum(oms_now()));
	oms_rows_set(rows, EVENT_SUBJECT_ID, Int64GetDatum(event->subject_id));
	if (event->order_id != 0)
		oms_rows_set(rows, EVENT_ORDER, Int64GetDatum(event->order_id));
	oms_rows_set_text(rows, EVENT_SUBJECT_TYPE, event->subject_type);
	oms_rows_set_text(rows, EVENT_TYPE, event->type);
	oms_rows_set_text(rows, EVENT_ACTOR, actor != NULL ? actor : oms_calling_role());
	oms_rows_set_text(rows, EVENT_REASON, reason);
	oms_rows_set_text(rows, EVENT_CORRELATION, correlation_id);
	if (event->data != (Datum) 0)
		oms_rows_set(rows, EVENT_DATA, event->data);
	else
	{
		OmsJson		json;

		oms_json_begin(&json);
		oms_rows_set(rows, EVENT_DATA, oms_json_end(&json));
	}
	oms_rows_add(rows);
}

/* Writes one event.  Runs inside oms_begin(). */
void
oms_event_write(const OmsEvent *event)
{
	OmsRows    *rows = oms_event_rows();

	oms_event_add(rows, event);
	oms_rows_insert(&statements[ST_WRITE], &rows, 1);
}

void
oms_event_of_order(int32 merchant, int64 order_id, const char *type, const char *actor, const char *reason, Datum data)
{
	oms_event_write(&(OmsEvent) {
		.merchant = merchant, .subject_type = "order", .subject_id = order_id, .order_id = order_id,
		.type = type, .actor = actor, .reason = reason, .data = data
	});
}
