/*-------------------------------------------------------------------------
 * guard.c
 *	  The triggers on sales_order, order_line and order_hold: what may be
 *	  written by hand, which transitions there are, and that the axes follow.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"
#include "inventory/inventory.h"
#include "inventory/supply.h"
#include "order/expire.h"
#include "order/order.h"
#include "order/sourcing.h"

PG_FUNCTION_INFO_V1(oms_sales_order_guard);
PG_FUNCTION_INFO_V1(oms_sales_order_moved);
PG_FUNCTION_INFO_V1(oms_order_line_guard);
PG_FUNCTION_INFO_V1(oms_order_line_refresh);
PG_FUNCTION_INFO_V1(oms_order_hold_refresh);
PG_FUNCTION_INFO_V1(oms_merchant_seed);

/* Columns of sales_order and order_line that the guards name. */
enum
{
	ORDER_MERCHANT = 1, ORDER_ID = 3, ORDER_REVISION = 7, ORDER_ON_HOLD = 9, ORDER_LIFECYCLE = 11, ORDER_TOTAL = 20,
	ORDER_SHIP_TO = 22, ORDER_BILL_TO = 23, ORDER_NUMBER = 24, ORDER_EMAIL = 26, ORDER_GIFT_NOTE = 30, ORDER_LAST = 32
};
enum
{
	LINE_NO = 2, LINE_ORDER = 3, LINE_ORDERED = 5, LINE_CANCELLED, LINE_ALLOCATED, LINE_BACKORDERED, LINE_PICKED,
	LINE_PACKED, LINE_SHIPPED, LINE_DELIVERED, LINE_RETURN_REQUESTED, LINE_RETURNED, LINE_INSTRUCTIONS = 22
};

enum
{
	ST_TOUCHED,
	ST_OPEN_UNITS,
	ST_WAYS_OUT,
	ST_MERGED,
	ST_SEED
};

static OmsStatement statements[] = {
	[ST_TOUCHED] = {"SELECT DISTINCT merchant_id, order_id FROM changed", 0, {0}},
	[ST_OPEN_UNITS] = {
		"SELECT coalesce(sum(ordered - cancelled - shipped), 0), coalesce(sum(shipped), 0) FROM oms.order_line "
		"WHERE merchant_id = $1 AND order_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_WAYS_OUT] = {
		"SELECT string_agg(to_state, ', ' ORDER BY to_state) FROM oms.transition WHERE merchant_id = $1 AND from_state = $2",
		2, {INT4OID, TEXTOID}
	},
	[ST_MERGED] = {
		"SELECT 1 FROM oms.order_link WHERE merchant_id = $1 AND source_id = $2 AND kind = 'merge'", 2, {INT4OID, INT8OID}
	},
	[ST_SEED] = {
		"INSERT INTO oms.transition (merchant_id, from_state, to_state, action) "
		"SELECT $1, from_state, to_state, action FROM oms.core_transition ON CONFLICT DO NOTHING",
		1, {INT4OID}
	},
};

static char *
row_text(TriggerData *trigdata, HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = oms_row_get(trigdata, tuple, column, &isnull);

	return TextDatumGetCString(value);
}

/* The columns of an order that anybody with the right to UPDATE may change. */
static bool
is_free_column(int column)
{
	return column == ORDER_SHIP_TO || column == ORDER_BILL_TO || column == ORDER_LIFECYCLE ||
		column == ORDER_REVISION ||
		(column >= ORDER_EMAIL && column <= ORDER_GIFT_NOTE) || column > ORDER_LAST;
}

/* Refuses a lifecycle that its units, its holds or the state machine do not allow. */
static void
check_transition(TriggerData *trigdata, HeapTuple old, HeapTuple new)
{
	bool		isnull;
	char	   *from;
	char	   *to;
	OmsOrderHead head = {0};
	Datum		values[2];

	/* No state at all is refused by the column's constraint, which comes later. */
	(void) oms_row_get(trigdata, new, ORDER_LIFECYCLE, &isnull);
	if (isnull)
		return;
	from = row_text(trigdata, old, ORDER_LIFECYCLE);
	to = row_text(trigdata, new, ORDER_LIFECYCLE);
	head.merchant = DatumGetInt32(oms_row_get(trigdata, new, ORDER_MERCHANT, &isnull));
	head.order_id = DatumGetInt64(oms_row_get(trigdata, new, ORDER_ID, &isnull));
	head.on_hold = DatumGetBool(oms_row_get(trigdata, new, ORDER_ON_HOLD, &isnull));
	values[0] = Int32GetDatum(head.merchant);
	oms_begin_trigger(trigdata);
	if (oms_transition_action(head.merchant, from, to) == NULL)
	{
		values[1] = CStringGetTextDatum(from);
		oms_run(&statements[ST_WAYS_OUT], values, NULL);
		ereport(ERROR,
				(errcode(OMS_TRANSITION),
				 errmsg("order " INT64_FORMAT " cannot go from %s to %s", head.order_id, from, to),
				 errdetail("From %s the ways are: %s.", from, oms_is_null(0, 1) ? "none" : oms_get_text(0, 1)),
				 errhint("The state machine is the table oms.transition.")));
	}
	if (strcmp(to, "confirmed") == 0)
	{
		oms_order_require_no_hold(&head, "confirm");
		oms_order_require_unexpired(&head, "confirming");
	}
	else if (strcmp(to, "cancelled") == 0 || strcmp(to, "completed") == 0)
	{
		values[1] = Int64GetDatum(head.order_id);
		oms_run(&statements[ST_OPEN_UNITS], values, NULL);
		if (oms_get_int64(0, 1) > 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("order " INT64_FORMAT " cannot be %s yet", head.order_id, to),
					 errdetail(INT64_FORMAT " units are neither shipped nor cancelled.", oms_get_int64(0, 1)),
					 errhint(strcmp(to, "cancelled") == 0 ? "Use cancel_order(), which also releases its stock." :
							 "Ship or cancel them: the order then completes by itself.")));
	}
	oms_end();
}

/* Own numbers are no plain digits, which would be taken for order ids (OM011). */
static void
check_number(TriggerData *trigdata, HeapTuple tuple)
{
	bool		isnull;
	Datum		value = oms_row_get(trigdata, tuple, ORDER_NUMBER, &isnull);
	char	   *number;

	if (isnull)
		return;
	number = TextDatumGetCString(value);
	if (strspn(number, "0123456789") == strlen(number))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("order number \"%s\" is nothing but digits", number),
				 errdetail("Plain digits are the default numbers of orders."),
				 errhint("Use a prefix.")));
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on sales_order.  Orders are made by
 * commands and stay; by hand only addresses, contact and texts change, and the
 * lifecycle as far as the state machine allows.  Raises OM004, OM005, OM008,
 * OM009.
 */
Datum
oms_sales_order_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	Relation	rel = trigdata->tg_relation;
	HeapTuple	new = trigdata->tg_newtuple;
	int			natts = RelationGetDescr(rel)->natts;
	int			revision_column = ORDER_REVISION;
	Datum		revision;
	bool		isnull;
	int			column;

	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		if (!oms_guard_is_open())
			oms_error_guarded(rel, "Orders are made by commands, so that stock, money and events agree with them.",
							  "Use place_order().");
		check_number(trigdata, trigdata->tg_trigtuple);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		oms_error_guarded(rel, "Orders are never deleted.", "Use cancel_order().");
	if (!oms_guard_is_open())
		for (column = 1; column <= natts; column++)
			if (!is_free_column(column) && !oms_row_same(trigdata, column))
				oms_error_guarded(rel, psprintf("Column \"%s\" is frozen at placement or follows from other rows.",
												NameStr(TupleDescAttr(RelationGetDescr(rel), column - 1)->attname)),
								  "By hand only addresses, contact, instructions, gift note and lifecycle may change.");
	check_number(trigdata, new);
	if (!oms_row_same(trigdata, ORDER_LIFECYCLE))
		check_transition(trigdata, trigdata->tg_trigtuple, new);
	revision = oms_row_get(trigdata, trigdata->tg_trigtuple, ORDER_REVISION, &isnull);
	revision = Int32GetDatum(DatumGetInt32(revision) + 1);
	isnull = false;
	return PointerGetDatum(heap_modify_tuple_by_cols(new, RelationGetDescr(rel), 1, &revision_column, &revision, &isnull));
}

/* Whether an order was emptied by merge_orders(): its customer is told of no cancellation. */
static bool
is_merged(TriggerData *trigdata, int32 merchant, int64 order_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};
	bool		isnull;
	Datum		total = oms_row_get(trigdata, trigdata->tg_newtuple, ORDER_TOTAL, &isnull);

	return strspn(DatumGetCString(DirectFunctionCall1(numeric_out, total)), "0.") > 0 &&
		oms_run(&statements[ST_MERGED], values, NULL) > 0;
}

static bool
has_open_units(int32 merchant, int64 order_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};

	oms_run(&statements[ST_OPEN_UNITS], values, NULL);
	return oms_get_int64(0, 1) > 0;
}

/* AFTER UPDATE row on sales_order, where the lifecycle changed: one event per transition. */
Datum
oms_sales_order_moved(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	OmsEvent	event = {0};
	OmsJson		json;
	bool		isnull;
	char	   *from = row_text(trigdata, trigdata->tg_trigtuple, ORDER_LIFECYCLE);
	char	   *to = row_text(trigdata, trigdata->tg_newtuple, ORDER_LIFECYCLE);

	oms_begin_trigger(trigdata);
	oms_json_begin(&json);
	oms_json_add_text(&json, "from", from);
	oms_json_add_text(&json, "to", to);
	event.merchant = DatumGetInt32(oms_row_get(trigdata, trigdata->tg_newtuple, ORDER_MERCHANT, &isnull));
	event.subject_type = "order";
	event.subject_id = event.order_id = DatumGetInt64(oms_row_get(trigdata, trigdata->tg_newtuple, ORDER_ID, &isnull));
	event.type = strcmp(to, "confirmed") == 0 ? "order.confirmed" :
		strcmp(to, "cancelled") == 0 ? "order.cancelled" :
		strcmp(to, "completed") == 0 ? "order.completed" : "order.transitioned";
	event.data = oms_json_end(&json);
	oms_event_write(&event);
	/* An order of charges alone is completed by being confirmed; cancelled, its charges fall away. */
	if (strcmp(to, "cancelled") == 0 || (strcmp(to, "confirmed") == 0 && !has_open_units(event.merchant, event.order_id)))
		oms_order_refresh(event.merchant, event.order_id);
	if (strcmp(to, "confirmed") == 0)
		oms_reserve_confirmed(event.merchant, event.order_id);
	if (strcmp(to, "cancelled") == 0 && !is_merged(trigdata, event.merchant, event.order_id))
		oms_message_add(event.merchant, event.order_id, "cancellation", "cancelled", event.data);
	oms_end();
	return PointerGetDatum(NULL);
}

/*
 * Refuses counters that contradict each other (OM006).
 */
static void
check_counters(TriggerData *trigdata, HeapTuple tuple)
{
	int32		c[LINE_RETURNED + 1];
	bool		isnull;
	int			column;

	for (column = LINE_ORDERED; column <= LINE_RETURNED; column++)
		c[column] = DatumGetInt32(oms_row_get(trigdata, tuple, column, &isnull));
	if (c[LINE_ORDERED] > 0 && c[LINE_CANCELLED] >= 0 && c[LINE_ALLOCATED] >= 0 && c[LINE_BACKORDERED] >= 0 && c[LINE_DELIVERED] >= 0 &&
		c[LINE_RETURN_REQUESTED] >= 0 && c[LINE_RETURNED] >= 0 &&
		(int64) c[LINE_ALLOCATED] + c[LINE_BACKORDERED] + c[LINE_SHIPPED] + c[LINE_CANCELLED] <= c[LINE_ORDERED] &&
		c[LINE_DELIVERED] <= c[LINE_SHIPPED] && c[LINE_SHIPPED] <= c[LINE_PACKED] && c[LINE_PACKED] <= c[LINE_PICKED] &&
		c[LINE_PICKED] <= c[LINE_ORDERED] - c[LINE_CANCELLED] &&
		c[LINE_PICKED] - c[LINE_SHIPPED] <= c[LINE_ALLOCATED] &&
		(int64) c[LINE_RETURN_REQUESTED] + c[LINE_RETURNED] <= c[LINE_SHIPPED])
		return;
	ereport(ERROR,
			(errcode(OMS_COUNTERS),
			 errmsg("the counters of order " INT64_FORMAT " line %d would contradict each other",
					DatumGetInt64(oms_row_get(trigdata, tuple, LINE_ORDER, &isnull)),
					DatumGetInt32(oms_row_get(trigdata, tuple, LINE_NO, &isnull))),
			 errdetail("Ordered %d, cancelled %d, allocated %d, backordered %d, picked %d, packed %d, shipped %d, "
					   "delivered %d, return requested %d, returned %d.",
					   c[LINE_ORDERED], c[LINE_CANCELLED], c[LINE_ALLOCATED], c[LINE_BACKORDERED], c[LINE_PICKED],
					   c[LINE_PACKED], c[LINE_SHIPPED], c[LINE_DELIVERED], c[LINE_RETURN_REQUESTED], c[LINE_RETURNED]),
			 errhint("More was asked for than the line has units left for.")));
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on order_line: a snapshot with counters
 * that commands move; by hand only the instructions change.  Raises OM009.
 */
Datum
oms_order_line_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	Relation	rel = trigdata->tg_relation;
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	int			column;

	if (oms_guard_is_open() && !TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		HeapTuple	tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;

		check_counters(trigdata, tuple);
		oms_backorder_count(trigdata);
		oms_preorder_cancelled(trigdata);
		return PointerGetDatum(tuple);
	}
	/* A line that has moved to another order leaves nothing behind. */
	if (oms_guard_is_open())
		return PointerGetDatum(trigdata->tg_trigtuple);
	if (!update)
		oms_error_guarded(rel, "Lines are part of an order as it was placed.",
						  "Use place_order(), cancel_line() and their kin.");
	for (column = 1; column < LINE_INSTRUCTIONS; column++)
		if (!oms_row_same(trigdata, column))
			oms_error_guarded(rel, psprintf("Column \"%s\" is frozen at placement or counted by commands.",
											NameStr(TupleDescAttr(RelationGetDescr(rel), column - 1)->attname)),
							  "Use cancel_line(), confirm_pick(), pack(), ship(), receive_return() and their kin.");
	return PointerGetDatum(trigdata->tg_newtuple);
}

/* AFTER UPDATE statement on order_line: the axes of each order touched follow. */
Datum
oms_order_line_refresh(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	SPITupleTable *touched;
	uint64		rows;
	uint64		i;

	oms_begin_trigger(trigdata);
	if (SPI_register_trigger_data(trigdata) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not read the changed lines")));
	rows = oms_run(&statements[ST_TOUCHED], NULL, NULL);
	touched = SPI_tuptable;
	for (i = 0; i < rows; i++)
	{
		bool		isnull;
		Datum		merchant = SPI_getbinval(touched->vals[i], touched->tupdesc, 1, &isnull);
		Datum		order_id = SPI_getbinval(touched->vals[i], touched->tupdesc, 2, &isnull);

		oms_order_refresh(DatumGetInt32(merchant), DatumGetInt64(order_id));
	}
	oms_end();
	return PointerGetDatum(NULL);
}

/* AFTER INSERT OR UPDATE row on order_hold: the order's hold axis follows. */
Datum
oms_order_hold_refresh(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		isnull;
	int32		merchant = DatumGetInt32(oms_row_get(trigdata, trigdata->tg_trigtuple, 1, &isnull));
	int64		order_id = DatumGetInt64(oms_row_get(trigdata, trigdata->tg_trigtuple, 2, &isnull));

	oms_begin_trigger(trigdata);
	oms_order_refresh(merchant, order_id);
	oms_end();
	return PointerGetDatum(NULL);
}

/* AFTER INSERT row on merchant: the core lifecycle to start with. */
Datum
oms_merchant_seed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		isnull;
	Datum		values[1] = {oms_row_get(trigdata, trigdata->tg_trigtuple, 1, &isnull)};

	oms_begin_trigger(trigdata);
	oms_run(&statements[ST_SEED], values, NULL);
	oms_end();
	return PointerGetDatum(NULL);
}
