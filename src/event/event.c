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

enum
{
	ST_WRITE,
	ST_NODE,
	ST_MOVE_NODE
};

static OmsStatement statements[] = {
	[ST_WRITE] = {
		"INSERT INTO oms.event (merchant_id, tx, subject_type, subject_id, order_id, type, version, actor, "
		"reason, correlation_id, data, at) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING event_id",
		12, {INT4OID, INT8OID, TEXTOID, INT8OID, INT8OID, TEXTOID, INT2OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TIMESTAMPTZOID}
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

/* Writes one event; returns its id.  Runs inside oms_begin(). */
int64
oms_event_write(const OmsEvent *event)
{
	Datum		values[12];
	char		nulls[12] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
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
	if (actor == NULL)
		actor = oms_calling_role();
	values[0] = Int32GetDatum(event->merchant);
	values[1] = Int64GetDatum(oms_event_tx());
	values[2] = CStringGetTextDatum(event->subject_type);
	values[3] = Int64GetDatum(event->subject_id);
	values[4] = Int64GetDatum(event->order_id);
	values[5] = CStringGetTextDatum(event->type);
	values[6] = Int16GetDatum(event->version == 0 ? 1 : event->version);
	values[7] = CStringGetTextDatum(actor);
	values[8] = reason != NULL ? CStringGetTextDatum(reason) : (Datum) 0;
	values[9] = correlation_id != NULL ? CStringGetTextDatum(correlation_id) : (Datum) 0;
	values[10] = event->data;
	values[11] = TimestampTzGetDatum(oms_now());
	if (event->order_id == 0)
		nulls[4] = 'n';
	if (reason == NULL)
		nulls[8] = 'n';
	if (correlation_id == NULL)
		nulls[9] = 'n';
	if (event->data == (Datum) 0)
	{
		OmsJson		json;

		oms_json_begin(&json);
		values[10] = oms_json_end(&json);
	}
	oms_run_guarded(&statements[ST_WRITE], values, nulls);
	return oms_get_int64(0, 1);
}
