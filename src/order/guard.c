/*-------------------------------------------------------------------------
 * guard.c
 *	  The triggers on sales_order, order_line and order_hold: what may be
 *	  written by hand, which transitions there are, and that the axes follow.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "core/config.h"
#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"
#include "inventory/inventory.h"
#include "inventory/supply.h"
#include "order/columns.h"
#include "order/expire.h"
#include "order/history.h"
#include "order/order.h"
#include "order/sale_limit.h"
#include "order/sourcing.h"
#include "order/workflow.h"
#include "payment/condition.h"

PG_FUNCTION_INFO_V1(oms_sales_order_guard);
PG_FUNCTION_INFO_V1(oms_sales_order_moved);
PG_FUNCTION_INFO_V1(oms_order_line_guard);
PG_FUNCTION_INFO_V1(oms_order_line_refresh);
PG_FUNCTION_INFO_V1(oms_order_hold_refresh);
PG_FUNCTION_INFO_V1(oms_merchant_seed);

enum
{
	ST_WAYS_OUT,
	ST_MERGED,
	ST_SEED
};

static OmsStatement statements[] = {
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

/* The columns of an order that anybody with the right to UPDATE may change. */
static bool
is_free_column(int column)
{
	return column == ORDER_SHIP_TO || column == ORDER_BILL_TO || column == ORDER_LIFECYCLE ||
		column == ORDER_STATE || column == ORDER_REVISION ||
		(column >= ORDER_EMAIL && column <= ORDER_GIFT_NOTE) || column > ORDER_LAST;
}

static char *
text_of(const OmsRow *row, int column)
{
	return TextDatumGetCString(row->values[column - 1]);
}

/* The order of a row as far as the checks below need it. */
static OmsOrderHead
head_of(const OmsRow *row)
{
	OmsOrderHead head = {0};

	head.merchant = DatumGetInt32(row->values[ORDER_MERCHANT - 1]);
	head.order_id = DatumGetInt64(row->values[ORDER_ID - 1]);
	head.on_hold = DatumGetBool(row->values[ORDER_ON_HOLD - 1]);
	head.workflow = row->nulls[ORDER_WORKFLOW - 1] ? 0 : DatumGetInt32(row->values[ORDER_WORKFLOW - 1]);
	return head;
}

/* Units that are neither shipped nor cancelled. */
static int64
open_units(const OmsOrderHead *head)
{
	uint64		lines = oms_order_read(OMS_ORDER_LINES, head->merchant, head->order_id);
	int64		units = 0;
	uint64		i;

	for (i = 0; i < lines; i++)
		units += oms_get_int32(i, LINE_ORDERED) - oms_get_int32(i, LINE_CANCELLED) - oms_get_int32(i, LINE_SHIPPED);
	return units;
}

static bool
is_closed(const char *lifecycle)
{
	return strcmp(lifecycle, "cancelled") == 0 || strcmp(lifecycle, "completed") == 0;
}

/* Refuses a lifecycle that the order's holds or units do not allow. */
static void
check_lifecycle(const OmsOrderHead *head, const char *from, const char *to)
{
	if (is_closed(from) && !is_closed(to) && open_units(head) == 0)
		ereport(ERROR,
				(errcode(OMS_TRANSITION),
				 errmsg("order " INT64_FORMAT " cannot go from %s to %s", head->order_id, from, to),
				 errdetail("No unit of it is open."),
				 errhint("reopen_order() brings units back that were cancelled.")));
	if (strcmp(to, "confirmed") == 0)
	{
		oms_order_require_no_hold(head, "confirm");
		oms_order_require_unexpired(head, "confirming");
	}
	else if (strcmp(to, "cancelled") == 0 || strcmp(to, "completed") == 0)
	{
		int64		units = open_units(head);

		if (units > 0)
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("order " INT64_FORMAT " cannot be %s yet", head->order_id, to),
					 errdetail(INT64_FORMAT " units are neither shipped nor cancelled.", units),
					 errhint(strcmp(to, "cancelled") == 0 ? "Use cancel_order(), which also releases its stock." :
							 "Ship or cancel them: the order then completes by itself.")));
	}
}

/* Refuses a lifecycle that the state machine, the order's holds or units do not allow. */
static void
check_transition(const OmsOrderHead *head, const char *from, const char *to)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), CStringGetTextDatum(from)};

	if (oms_transition_action(head->merchant, from, to) == NULL)
	{
		oms_run(&statements[ST_WAYS_OUT], values, NULL);
		ereport(ERROR,
				(errcode(OMS_TRANSITION),
				 errmsg("order " INT64_FORMAT " cannot go from %s to %s", head->order_id, from, to),
				 errdetail("From %s the ways are: %s.", from, oms_is_null(0, 1) ? "none" : oms_get_text(0, 1)),
				 errhint("The state machine is the table oms.transition.")));
	}
	check_lifecycle(head, from, to);
}

/*
 * The transition of the order's workflow that a change of state (new_state not
 * null), or else of lifecycle, is; its checks and the hook before it are run.
 * Answers the state and the lifecycle that the row gets, in this context.
 */
static void
follow_workflow(const OmsOrderHead *head, const char *old_state, const char *new_state, const char *old_core,
				const char *new_core, MemoryContext context, char **state, char **core)
{
	const OmsWorkflow *workflow = oms_workflow(head->merchant, head->workflow);
	const OmsTransition *transition;
	int			from = oms_workflow_state(workflow, old_state);
	int			to = new_state == NULL ? -1 : oms_workflow_state(workflow, new_state);
	int			chosen;

	if (new_state != NULL &&
		(to < 0 || (strcmp(new_core, old_core) != 0 && strcmp(new_core, workflow->states[to].core) != 0)))
		ereport(ERROR,
				(errcode(OMS_TRANSITION),
				 errmsg("order " INT64_FORMAT " cannot go from %s to %s", head->order_id, old_state, new_state),
				 to < 0 ? errdetail("Workflow %d has no such state.", head->workflow) :
				 errdetail("In workflow %d it is %s, not %s.", head->workflow, workflow->states[to].core, new_core)));
	chosen = oms_workflow_choose(workflow, head->merchant, head->order_id, from, to, new_core, NULL, NULL);
	workflow = oms_workflow(head->merchant, head->workflow);
	transition = &workflow->transitions[chosen];
	*state = MemoryContextStrdup(context, workflow->states[transition->to].name);
	*core = MemoryContextStrdup(context, workflow->states[transition->to].core);
	if (strcmp(*core, old_core) != 0)
		check_lifecycle(head, old_core, *core);
	workflow = oms_workflow(head->merchant, head->workflow);
	transition = &workflow->transitions[chosen];
	oms_transition_hook(transition->before_hook, workflow, transition, head->merchant, head->order_id);
}

/* Checks a change of lifecycle or state.  Answers both as the row gets them, null where it has no workflow. */
static void
check_move(TriggerData *trigdata, const OmsRow *old, const OmsRow *new, char **core, char **state)
{
	MemoryContext context = CurrentMemoryContext;
	OmsOrderHead head = head_of(new);

	/* No lifecycle at all is refused by the column's constraint, which comes later. */
	if (new->nulls[ORDER_LIFECYCLE - 1])
		return;
	if (new->nulls[ORDER_STATE - 1] != (head.workflow == 0))
		oms_error_guarded(trigdata->tg_relation, "The state is one of the order's workflow; without a workflow it is null.",
						  "Workflows begin when an order is placed: see activate_workflow().");
	oms_begin_trigger(trigdata);
	if (head.workflow == 0)
		check_transition(&head, text_of(old, ORDER_LIFECYCLE), text_of(new, ORDER_LIFECYCLE));
	else
		follow_workflow(&head, text_of(old, ORDER_STATE),
						oms_row_agrees(trigdata, old, new, ORDER_STATE) ? NULL : text_of(new, ORDER_STATE),
						text_of(old, ORDER_LIFECYCLE), text_of(new, ORDER_LIFECYCLE),
						context, state, core);
	oms_end();
}

/* A new order gets the workflow in force, at the first state of its lifecycle. */
static HeapTuple
begin_workflow(TriggerData *trigdata, HeapTuple tuple)
{
	int			columns[2] = {ORDER_WORKFLOW, ORDER_STATE};
	bool		isnull;
	int32		merchant = DatumGetInt32(oms_row_get(trigdata, tuple, ORDER_MERCHANT, &isnull));
	const OmsWorkflow *workflow;
	Datum		values[2];
	bool		nulls[2] = {false, false};
	char	   *core;
	int			state;

	workflow = oms_workflow_in_force(merchant, DatumGetInt32(oms_row_get(trigdata, tuple, ORDER_CHANNEL, &isnull)));
	if (workflow == NULL)
		return tuple;
	core = TextDatumGetCString(oms_row_get(trigdata, tuple, ORDER_LIFECYCLE, &isnull));
	state = oms_workflow_entry(workflow, core);
	if (state < 0)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("workflow %d has no state for orders that are %s", workflow->workflow_id, core)));
	values[0] = Int32GetDatum(workflow->workflow_id);
	values[1] = CStringGetTextDatum(workflow->states[state].name);
	return heap_modify_tuple_by_cols(tuple, RelationGetDescr(trigdata->tg_relation), 2, columns, values, nulls);
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
	int			columns[3] = {ORDER_REVISION, ORDER_LIFECYCLE, ORDER_STATE};
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	char	   *core = NULL;
	char	   *state = NULL;
	OmsRow		old_row;
	OmsRow		new_row;
	int			column;

	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		if (!oms_guard_is_open())
			oms_error_guarded(rel, "Orders are made by commands, so that stock, money and events agree with them.",
							  "Use place_order().");
		check_number(trigdata, trigdata->tg_trigtuple);
		trigdata->tg_trigtuple = begin_workflow(trigdata, trigdata->tg_trigtuple);
		oms_history_added(trigdata);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		oms_error_guarded(rel, "Orders are never deleted.", "Use cancel_order().");
	old_row = oms_row_read(trigdata, trigdata->tg_trigtuple);
	new_row = oms_row_read(trigdata, new);
	if (!oms_guard_is_open())
		for (column = 1; column <= natts; column++)
			if (!is_free_column(column) && !oms_row_agrees(trigdata, &old_row, &new_row, column))
				oms_error_guarded(rel, psprintf("Column \"%s\" is frozen at placement or follows from other rows.",
												NameStr(TupleDescAttr(RelationGetDescr(rel), column - 1)->attname)),
								  "By hand only addresses, contact, instructions, gift note and lifecycle may change.");
	check_number(trigdata, new);
	if (!oms_row_agrees(trigdata, &old_row, &new_row, ORDER_LIFECYCLE) || !oms_row_agrees(trigdata, &old_row, &new_row, ORDER_STATE))
		check_move(trigdata, &old_row, &new_row, &core, &state);
	values[0] = Int32GetDatum(DatumGetInt32(old_row.values[ORDER_REVISION - 1]) + 1);
	if (core != NULL)
	{
		values[1] = CStringGetTextDatum(core);
		values[2] = CStringGetTextDatum(state);
	}
	return PointerGetDatum(heap_modify_tuple_by_cols(new, RelationGetDescr(rel), core != NULL ? 3 : 1, columns, values, nulls));
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

/* What a transition of a workflow adds to its event, and the hook after it. */
static void
moved_along(const OmsOrderHead *head, const char *from, const char *to, OmsJson *json, int *chosen)
{
	const OmsWorkflow *workflow = oms_workflow(head->merchant, head->workflow);
	int			i = 0;

	while (i < workflow->ntransitions &&
		   (strcmp(workflow->states[workflow->transitions[i].from].name, from) != 0 ||
			strcmp(workflow->states[workflow->transitions[i].to].name, to) != 0))
		i++;
	*chosen = i < workflow->ntransitions ? i : -1;
	oms_json_add_text(json, "state_from", from);
	oms_json_add_text(json, "state_to", to);
	oms_json_add_int(json, "workflow", head->workflow);
	if (*chosen >= 0)
		oms_json_add_text(json, "action", workflow->transitions[i].action);
}

/* AFTER UPDATE row on sales_order, where the lifecycle or the state changed: one event per transition. */
Datum
oms_sales_order_moved(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	OmsRow		old_row = oms_row_read(trigdata, trigdata->tg_trigtuple);
	OmsRow		new_row = oms_row_read(trigdata, trigdata->tg_newtuple);
	OmsOrderHead head = head_of(&new_row);
	OmsJson		json;
	char	   *from = text_of(&old_row, ORDER_LIFECYCLE);
	char	   *to = text_of(&new_row, ORDER_LIFECYCLE);
	bool		moved = strcmp(from, to) != 0;
	int			chosen = -1;
	const char *type;
	Datum		data;

	oms_begin_trigger(trigdata);
	oms_json_begin(&json);
	oms_json_add_text(&json, "from", from);
	oms_json_add_text(&json, "to", to);
	if (head.workflow != 0)
		moved_along(&head, text_of(&old_row, ORDER_STATE), text_of(&new_row, ORDER_STATE), &json, &chosen);
	type = !moved ? "order.transitioned" :
		is_closed(from) && !is_closed(to) ? "order.reopened" :
		strcmp(to, "confirmed") == 0 ? "order.confirmed" :
		strcmp(to, "cancelled") == 0 ? "order.cancelled" :
		strcmp(to, "completed") == 0 ? "order.completed" : "order.transitioned";
	data = oms_json_end(&json);
	oms_event_of_order(head.merchant, head.order_id, type, NULL, NULL, data);
	/* An order of charges alone is completed by being confirmed; cancelled, its charges fall away. */
	if (moved && (strcmp(to, "cancelled") == 0 || (strcmp(to, "confirmed") == 0 && open_units(&head) == 0)))
		oms_order_refresh(head.merchant, head.order_id);
	if (moved && strcmp(to, "confirmed") == 0)
		oms_reserve_confirmed(head.merchant, head.order_id);
	if (moved && strcmp(to, "cancelled") == 0 && !is_merged(trigdata, head.merchant, head.order_id))
		oms_message_add(head.merchant, head.order_id, "cancellation", "cancelled", data);
	if (chosen >= 0)
	{
		const OmsWorkflow *workflow = oms_workflow(head.merchant, head.workflow);
		const OmsTransition *transition = &workflow->transitions[chosen];

		oms_transition_hook(transition->after_hook, workflow, transition, head.merchant, head.order_id);
	}
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

/* A new line's item is what the transaction's snapshot says; 40001. */
static void
require_current_item(TriggerData *trigdata)
{
	bool		unmapped;
	bool		isnull;
	Datum		item;

	if (!IsolationUsesXactSnapshot())
		return;
	item = oms_row_get(trigdata, trigdata->tg_trigtuple, LINE_ITEM, &unmapped);
	if (unmapped)
		return;
	oms_begin_trigger(trigdata);
	oms_item_require_current(DatumGetInt32(oms_row_get(trigdata, trigdata->tg_trigtuple, LINE_MERCHANT, &isnull)), DatumGetInt64(item));
	oms_end();
}

/* Refuses units more picked or shipped of an order that waits for money (OM005), by whatever way. */
static void
check_paid(TriggerData *trigdata)
{
	bool		isnull;
	int32		merchant = DatumGetInt32(oms_row_get(trigdata, trigdata->tg_newtuple, LINE_MERCHANT, &isnull));
	int64		order_id;
	int			column;

	if (likely(!oms_payment_has_conditions(merchant)))
		return;
	order_id = DatumGetInt64(oms_row_get(trigdata, trigdata->tg_newtuple, LINE_ORDER, &isnull));
	for (column = LINE_PICKED; column <= LINE_SHIPPED; column++)
		if (DatumGetInt32(oms_row_get(trigdata, trigdata->tg_newtuple, column, &isnull)) >
			DatumGetInt32(oms_row_get(trigdata, trigdata->tg_trigtuple, column, &isnull)))
		{
			oms_begin_trigger(trigdata);
			oms_payment_require(merchant, order_id, column == LINE_SHIPPED ? "ship" : "pick");
			oms_end();
		}
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row on order_line: a snapshot with counters
 * that commands move; by hand only the instructions change.  Raises OM005, OM009.
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
		if (update)
			check_paid(trigdata);
		oms_backorder_count(trigdata);
		oms_preorder_cancelled(trigdata);
		oms_sale_limit_changed(trigdata);
		if (!update)
		{
			require_current_item(trigdata);
			oms_history_added(trigdata);
		}
		return PointerGetDatum(tuple);
	}
	/* A line that has moved to another order leaves nothing behind. */
	if (oms_guard_is_open())
	{
		oms_sale_limit_changed(trigdata);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
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

typedef struct OrderKey
{
	int32		merchant;
	int64		order_id;
} OrderKey;

static int
compare_keys(const void *a, const void *b)
{
	const OrderKey *x = a;
	const OrderKey *y = b;

	if (x->merchant != y->merchant)
		return x->merchant < y->merchant ? -1 : 1;
	return x->order_id < y->order_id ? -1 : x->order_id > y->order_id;
}

/* The orders of a statement's lines, each once where they come together; returns how many. */
static int
read_touched(TriggerData *trigdata, OrderKey **keys)
{
	Tuplestorestate *store = trigdata->tg_newtable;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation), &TTSOpsMinimalTuple);
	int			pointer = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);
	int			size = 8;
	int			n = 0;

	*keys = palloc(size * sizeof(OrderKey));
	tuplestore_select_read_pointer(store, pointer);
	tuplestore_rescan(store);
	while (tuplestore_gettupleslot(store, true, false, slot))
	{
		bool		isnull;
		OrderKey	key = {DatumGetInt32(slot_getattr(slot, 1, &isnull)), DatumGetInt64(slot_getattr(slot, LINE_ORDER, &isnull))};

		if (n > 0 && compare_keys(&key, &(*keys)[n - 1]) == 0)
			continue;
		if (n == size)
			*keys = repalloc_huge(*keys, (size *= 2) * sizeof(OrderKey));
		(*keys)[n++] = key;
	}
	tuplestore_select_read_pointer(store, 0);
	ExecDropSingleTupleTableSlot(slot);
	qsort(*keys, n, sizeof(OrderKey), compare_keys);
	return n;
}

/* AFTER UPDATE statement on order_line: the axes of each order touched follow. */
Datum
oms_order_line_refresh(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	OrderKey   *keys;
	int			n;
	int			i;

	oms_begin_trigger(trigdata);
	n = read_touched(trigdata, &keys);
	for (i = 0; i < n; i++)
		if (i == 0 || compare_keys(&keys[i], &keys[i - 1]) != 0)
			oms_order_refresh(keys[i].merchant, keys[i].order_id);
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
