/*-------------------------------------------------------------------------
 * low_stock.c
 *	  One alert for each level that a watched item crosses.
 *
 *	  Orders know nothing of it: from time to time somebody compares the levels
 *	  there are with those seen last, one session at a time.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"

PG_FUNCTION_INFO_V1(oms_reorder_rule_guard);
PG_FUNCTION_INFO_V1(oms_alert_low_stock);

/* Of the advisory lock of those who compare, with the merchant. */
#define ALERT_LOCK 0x6f6d736c

/* Columns of reorder_rule, in the order of sql/schema/48_low_stock.sql. */
enum
{
	RULE_LEVEL = 12, RULE_LEVEL_SINCE
};

enum
{
	ST_COMPARE,
	ST_WRITE_EVENTS
};

/* Columns of an alert. */
enum
{
	ALERT_ITEM, ALERT_LOCATION, ALERT_LEVEL, ALERT_PREVIOUS, ALERT_AVAILABLE, ALERT_SUGGESTED, ALERT_NCOLUMNS
};

static OmsStatement statements[] = {
	/* Answers those that became worse. */
	[ST_COMPARE] = {
		"WITH moved AS (UPDATE oms.reorder_rule r SET level = w.level, level_since = $2 FROM oms.stock_watch w "
		"WHERE r.merchant_id = $1 AND w.merchant_id = $1 AND w.item_id = r.item_id AND w.location_id = r.location_id AND w.level <> r.level "
		"RETURNING w.item_id, w.location_id, w.level, w.alerted_level, w.available, w.suggested) "
		"SELECT * FROM moved WHERE array_position('{ok,approaching,before_delivery,below_minimum}', level) > "
		"array_position('{ok,approaching,before_delivery,below_minimum}', alerted_level) ORDER BY item_id, location_id",
		2, {INT4OID, TIMESTAMPTZOID}
	},
	[ST_WRITE_EVENTS] = {
		"INSERT INTO oms.event (" OMS_EVENT_COLUMNS ") SELECT " OMS_EVENT_COLUMNS " FROM unnest($1)", 1, {0}
	},
};

/* BEFORE INSERT OR UPDATE row on reorder_rule: levels are not typed by hand (OM009). */
Datum
oms_reorder_rule_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	bool		isnull;
	bool		typed;

	if (oms_guard_is_open())
		return PointerGetDatum(tuple);
	if (update)
		typed = !oms_row_same(trigdata, RULE_LEVEL) || !oms_row_same(trigdata, RULE_LEVEL_SINCE);
	else
	{
		Datum		level = oms_row_get(trigdata, tuple, RULE_LEVEL, &isnull);

		typed = !isnull && strcmp(TextDatumGetCString(level), "ok") != 0;
		(void) oms_row_get(trigdata, tuple, RULE_LEVEL_SINCE, &isnull);
		typed = typed || !isnull;
	}
	if (typed)
		oms_error_guarded(trigdata->tg_relation, "The level is what was seen last.", "Use alert_low_stock().");
	return PointerGetDatum(tuple);
}

static void
add_event(OmsRows *events, int32 merchant, uint64 row)
{
	OmsEvent	event = {0};
	OmsJson		json;

	oms_json_begin(&json);
	oms_json_add_text(&json, "level", oms_get_text(row, ALERT_LEVEL + 1));
	oms_json_add_int(&json, "location", oms_get_int32(row, ALERT_LOCATION + 1));
	oms_json_add_text(&json, "previous", oms_get_text(row, ALERT_PREVIOUS + 1));
	oms_json_add_int(&json, "available", oms_get_int64(row, ALERT_AVAILABLE + 1));
	oms_json_add_int(&json, "suggested", oms_get_int64(row, ALERT_SUGGESTED + 1));
	event.merchant = merchant;
	event.subject_type = "stock";
	event.subject_id = oms_get_int64(row, ALERT_ITEM + 1);
	event.type = "stock.low";
	event.data = oms_json_end(&json);
	oms_event_add(events, &event);
}

/* SQL: alert_low_stock(merchant, actor) */
Datum
oms_alert_low_stock(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		merchant = oms_arg_merchant(fcinfo);
	Datum		values[2] = {Int32GetDatum(merchant), TimestampTzGetDatum(oms_now())};
	OmsRows    *events;
	uint64		rows;
	uint64		row;

	InitMaterializedSRF(fcinfo, 0);
	/* One at a time, and each with what the one before has seen. */
	(void) DirectFunctionCall2(pg_advisory_xact_lock_int4, Int32GetDatum(ALERT_LOCK), Int32GetDatum(merchant));
	oms_begin();
	oms_command(oms_actor(fcinfo, 1), NULL, NULL);
	/* Before the rows are there: its first use looks things up. */
	(void) oms_event_tx();
	events = oms_rows_begin("event");
	rows = oms_run_guarded(&statements[ST_COMPARE], values, NULL);
	for (row = 0; row < rows; row++)
	{
		Datum		alert[ALERT_NCOLUMNS];
		bool		nulls[ALERT_NCOLUMNS];
		int			i;

		for (i = 0; i < ALERT_NCOLUMNS; i++)
			alert[i] = oms_get(row, i + 1, &nulls[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, alert, nulls);
		add_event(events, merchant, row);
	}
	if (rows > 0)
		oms_rows_run(&statements[ST_WRITE_EVENTS], &events, 1);
	oms_end();
	return (Datum) 0;
}
