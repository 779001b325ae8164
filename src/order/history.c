/*-------------------------------------------------------------------------
 * history.c
 *	  What an order was: each change of its rows is logged, old and new values
 *	  of the columns that differ.
 *
 *	  Placing logs nothing: the first rows of an order follow from those it has
 *	  and the changes since.  Numbers of changes are drawn while the row is
 *	  locked, and by commands while the order is, so that they rise in the
 *	  order in which things happened.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/rows.h"
#include "event/event.h"
#include "order/history.h"

PG_FUNCTION_INFO_V1(oms_order_history);
PG_FUNCTION_INFO_V1(oms_order_part_guard);
PG_FUNCTION_INFO_V1(oms_purge_history);

extern Datum oms_guard_command_only(PG_FUNCTION_ARGS);

/* Columns of order_change, in the order of sql/schema/44_history.sql. */
enum
{
	CHANGE_MERCHANT = 1, CHANGE_ORDER, CHANGE_ID, CHANGE_AT, CHANGE_TX, CHANGE_TABLE, CHANGE_OPERATION, CHANGE_KEY, CHANGE_OLD, CHANGE_NEW,
	CHANGE_ACTOR, CHANGE_REASON
};

#define CHANGE_COLUMNS "merchant_id, order_id, at, tx, table_name, operation, key, old, new, actor, reason"

enum
{
	ST_WRITE,
	ST_PURGE,
	ST_HORIZON
};

static OmsStatement statements[] = {
	[ST_WRITE] = {
		"INSERT INTO oms.order_change (" CHANGE_COLUMNS ") SELECT " CHANGE_COLUMNS " FROM unnest($1)", 1, {0}
	},
	/* A change is as late as the latest before it: the order of numbers decides. */
	[ST_PURGE] = {
		"DELETE FROM oms.order_change c WHERE c.merchant_id = $1 AND c.at < $2 AND NOT EXISTS (SELECT 1 FROM oms.order_change e "
		"WHERE e.merchant_id = c.merchant_id AND e.order_id = c.order_id AND e.change_id < c.change_id AND e.at >= $2)",
		2, {INT4OID, TIMESTAMPTZOID}
	},
	[ST_HORIZON] = {
		"INSERT INTO oms.history_horizon AS h (merchant_id, since) SELECT m.merchant_id, $2 FROM oms.merchant m WHERE m.merchant_id = $1 "
		"ON CONFLICT (merchant_id) DO UPDATE SET since = greatest(h.since, excluded.since)",
		2, {INT4OID, TIMESTAMPTZOID}
	},
};

static OmsTarget target = {"order_change", CHANGE_COLUMNS};

static bool placing = false;

bool
oms_history_placing(void)
{
	bool		before = placing;

	placing = true;
	return before;
}

void
oms_history_placed(bool before)
{
	placing = before;
}

static void
add_value(OmsJson *json, Form_pg_attribute att, Datum value, bool isnull)
{
	const char *name = NameStr(att->attname);

	if (isnull)
		oms_json_add_null(json, name);
	else if (att->atttypid == INT4OID)
		oms_json_add_int(json, name, DatumGetInt32(value));
	else if (att->atttypid == INT8OID)
		oms_json_add_int(json, name, DatumGetInt64(value));
	else if (att->atttypid == TEXTOID)
		oms_json_add_text(json, name, TextDatumGetCString(value));
	else
		oms_json_add_jsonb(json, name, oms_to_jsonb(att->atttypid, value));
}

/* The values of the columns that differ; false when none does. */
static bool
difference(TriggerData *trigdata, Datum *old, Datum *new)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	OmsRow		old_row = oms_row_read(trigdata, trigdata->tg_trigtuple);
	OmsRow		new_row = oms_row_read(trigdata, trigdata->tg_newtuple);
	OmsJson		was;
	OmsJson		is;
	bool		any = false;
	int			column;

	oms_json_begin(&was);
	oms_json_begin(&is);
	for (column = 1; column <= desc->natts; column++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, column - 1);

		if (att->attisdropped || oms_row_agrees(trigdata, &old_row, &new_row, column))
			continue;
		any = true;
		add_value(&was, att, old_row.values[column - 1], old_row.nulls[column - 1]);
		add_value(&is, att, new_row.values[column - 1], new_row.nulls[column - 1]);
	}
	*old = oms_json_end(&was);
	*new = oms_json_end(&is);
	return any;
}

static Datum
whole_row(TriggerData *trigdata, HeapTuple tuple)
{
	return oms_to_jsonb(trigdata->tg_relation->rd_rel->reltype,
						heap_copy_tuple_as_datum(tuple, RelationGetDescr(trigdata->tg_relation)));
}

/* What tells the row from others of the order: the primary key without merchant and order. */
static Datum
row_key(TriggerData *trigdata, HeapTuple tuple, const Bitmapset *key, int merchant_column, int order_column)
{
	OmsJson		json;
	int			i = -1;

	oms_json_begin(&json);
	while ((i = bms_next_member(key, i)) >= 0)
	{
		int			column = i + FirstLowInvalidHeapAttributeNumber;
		Datum		value;
		bool		isnull;

		if (column == merchant_column || column == order_column)
			continue;
		value = oms_row_get(trigdata, tuple, column, &isnull);
		add_value(&json, TupleDescAttr(RelationGetDescr(trigdata->tg_relation), column - 1), value, isnull);
	}
	return oms_json_end(&json);
}

/* Adds a change to the rows to be written; the tuple says which row it is. */
static void
add_change(OmsRows *rows, TriggerData *trigdata, const char *operation, HeapTuple tuple, const Bitmapset *key, Datum old, Datum new)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	int			merchant_column = SPI_fnumber(desc, "merchant_id");
	int			order_column = SPI_fnumber(desc, "order_id");
	const OmsCommand *command = oms_current_command();
	bool		isnull;

	oms_rows_set(rows, CHANGE_MERCHANT, oms_row_get(trigdata, tuple, merchant_column, &isnull));
	oms_rows_set(rows, CHANGE_ORDER, oms_row_get(trigdata, tuple, order_column, &isnull));
	oms_rows_set(rows, CHANGE_AT, TimestampTzGetDatum(oms_now()));
	oms_rows_set(rows, CHANGE_TX, Int64GetDatum(oms_event_tx()));
	oms_rows_set_text(rows, CHANGE_TABLE, RelationGetRelationName(trigdata->tg_relation));
	oms_rows_set_text(rows, CHANGE_OPERATION, operation);
	oms_rows_set(rows, CHANGE_KEY, row_key(trigdata, tuple, key, merchant_column, order_column));
	if (old != (Datum) 0)
		oms_rows_set(rows, CHANGE_OLD, old);
	if (new != (Datum) 0)
		oms_rows_set(rows, CHANGE_NEW, new);
	oms_rows_set_text(rows, CHANGE_ACTOR, command != NULL ? command->actor : oms_calling_role());
	if (command != NULL)
		oms_rows_set_text(rows, CHANGE_REASON, command->reason);
	oms_rows_add(rows);
}

static bool
same_key(TriggerData *trigdata, const Bitmapset *key)
{
	int			i = -1;

	while ((i = bms_next_member(key, i)) >= 0)
		if (!oms_row_same(trigdata, i + FirstLowInvalidHeapAttributeNumber))
			return false;
	return true;
}

/* Logs one change, as the owner of the table.  A row that gets another key leaves as one and comes as another. */
static void
log_change(TriggerData *trigdata)
{
	HeapTuple	was = trigdata->tg_trigtuple;
	HeapTuple	is = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : was;
	Bitmapset  *key;
	OmsRows    *rows;
	Datum		old;
	Datum		new;

	oms_begin_trigger(trigdata);
	key = RelationGetIndexAttrBitmap(trigdata->tg_relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	rows = oms_rows_for(&target);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) && same_key(trigdata, key))
	{
		if (difference(trigdata, &old, &new))
			add_change(rows, trigdata, "update", was, key, old, new);
	}
	else
	{
		if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
			add_change(rows, trigdata, "delete", was, key, whole_row(trigdata, was), (Datum) 0);
		if (!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
			add_change(rows, trigdata, "insert", is, key, (Datum) 0, whole_row(trigdata, is));
	}
	if (rows->n > 0)
		oms_rows_insert(&statements[ST_WRITE], &rows, 1);
	oms_end();
}

/*
 * AFTER INSERT OR UPDATE OR DELETE row, on any table with merchant_id and
 * order_id: logs the change, unless it is part of placing the order.
 */
Datum
oms_order_history(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);

	if (!placing || !TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		log_change(trigdata);
	return PointerGetDatum(NULL);
}

void
oms_history_added(TriggerData *trigdata)
{
	if (!placing)
		log_change(trigdata);
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on what belongs to an order from its
 * placement: guard_command_only(), and the log of what is added later, for
 * which placing pays no trigger of its own.  Raises OM009.
 */
Datum
oms_order_part_guard(PG_FUNCTION_ARGS)
{
	Datum		row = oms_guard_command_only(fcinfo);
	TriggerData *trigdata = oms_trigger_data(fcinfo);

	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		oms_history_added(trigdata);
	return row;
}

/*
 * SQL: purge_history(merchant, before) -> changes removed.  Those that are
 * left tell every instant from then on.
 */
Datum
oms_purge_history(PG_FUNCTION_ARGS)
{
	Datum		values[2];
	uint64		removed;

	values[0] = Int32GetDatum(oms_arg_merchant(fcinfo));
	oms_arg_require(fcinfo, 1, "before");
	values[1] = PG_GETARG_DATUM(1);
	oms_begin();
	if (oms_run_guarded(&statements[ST_HORIZON], values, NULL) == 0)
		oms_error_unknown("merchant", DatumGetInt32(values[0]), DatumGetInt32(values[0]));
	removed = oms_run_guarded(&statements[ST_PURGE], values, NULL);
	oms_end();
	PG_RETURN_INT64((int64) removed);
}
