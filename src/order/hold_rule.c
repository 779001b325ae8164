/*-------------------------------------------------------------------------
 * hold_rule.c
 *	  Orders held by rules and block lists: conditions checked when they are
 *	  defined, and orders judged when they are placed or changed.
 *
 *	  A condition is a jsonpath: PostgreSQL keeps it compiled.  What it misses
 *	  is to refuse a name that no order has, which would never hold anything.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/jsonpath.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/cache.h"
#include "core/guard.h"
#include "core/request.h"
#include "order/approval.h"
#include "order/hold_rule.h"
#include "order/order.h"

PG_FUNCTION_INFO_V1(oms_condition_guard);
PG_FUNCTION_INFO_V1(oms_check_condition);
PG_FUNCTION_INFO_V1(oms_block_list_guard);
PG_FUNCTION_INFO_V1(oms_order_changed);
PG_FUNCTION_INFO_V1(oms_judge_order);

#define ORDER_TOTAL 20			/* column of sales_order */

enum
{
	ST_MERCHANTS,
	ST_LOCK_PARTS,
	ST_KEY,
	ST_FIND,
	ST_NOTE,
	ST_ORDER_OF_PAYMENT
};

static OmsStatement statements[] = {
	[ST_MERCHANTS] = {
		"SELECT m.merchant_id FROM oms.merchant m "
		"WHERE EXISTS (SELECT 1 FROM oms.hold_rule r WHERE r.merchant_id = m.merchant_id AND r.active) "
		"OR EXISTS (SELECT 1 FROM oms.block_list b WHERE b.merchant_id = m.merchant_id) "
		"OR EXISTS (SELECT 1 FROM oms.approval_level l WHERE l.merchant_id = m.merchant_id AND l.active) "
		"OR EXISTS (SELECT 1 FROM oms.order_approval a WHERE a.merchant_id = m.merchant_id)",
		0, {0}
	},
	/* Approvals look at all parts of an order: who changes one of them waits for who changes another. */
	[ST_LOCK_PARTS] = {
		"SELECT FROM oms.order_link WHERE merchant_id = $1 AND kind = 'split' AND source_id IN (SELECT oms.split_parts($1, $2)) "
		"ORDER BY source_id, target_id FOR NO KEY UPDATE",
		2, {INT4OID, INT8OID}
	},
	[ST_KEY] = {"SELECT oms.block_key($1, $2)", 2, {TEXTOID, TEXTOID}},
	/* What was found before is not found again; in the order in which holds are placed. */
	[ST_FIND] = {
		"WITH f AS MATERIALIZED (SELECT facts, md5((facts - 'margin')::text) AS mark FROM oms.order_facts "
		" WHERE merchant_id = $1 AND order_id = $2), found AS ("
		" SELECT r.kind, 'rule ' || r.rule_id AS cause, f.mark, coalesce(r.reason, r.name) AS reason "
		" FROM oms.hold_rule r, f WHERE r.merchant_id = $1 AND r.active AND f.facts @@ r.condition "
		" UNION ALL "
		" SELECT b.hold_kind, b.kind || ' ' || b.value, '', coalesce(b.reason, b.kind || ' is on the block list') "
		" FROM oms.order_key k JOIN oms.block_list b ON b.merchant_id = $1 AND b.kind = k.kind AND b.value = k.value "
		" WHERE k.merchant_id = $1 AND k.order_id = $2 AND (b.listed_until IS NULL OR b.listed_until > $3)) "
		"SELECT kind, cause, mark, reason FROM found WHERE NOT EXISTS (SELECT 1 FROM oms.order_finding x "
		" WHERE x.merchant_id = $1 AND x.order_id = $2 AND x.cause = found.cause AND x.mark = found.mark) ORDER BY kind, cause",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_NOTE] = {
		"INSERT INTO oms.order_finding (merchant_id, order_id, hold_id, found_at, cause, mark, reason) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7)",
		7, {INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID}
	},
	[ST_ORDER_OF_PAYMENT] = {
		"SELECT order_id FROM oms.payment WHERE merchant_id = $1 AND payment_id = $2", 2, {INT4OID, INT8OID}
	},
};

/* The merchants that have rules, lists or levels of approval; data is null when none has. */
typedef struct Judged
{
	int			n;
	int32		merchants[FLEXIBLE_ARRAY_MEMBER];
} Judged;

static OmsCache cache = {
	.name = "hold rules",
	.tables = {"hold_rule", "block_list", "approval_level"},
};

bool
oms_orders_are_judged(int32 merchant)
{
	const Judged *judged;
	int			i;

	if (unlikely(!oms_cache_fresh(&cache)))
	{
		uint64		rows;
		Judged	   *loaded = NULL;

		oms_begin();
		rows = oms_run(&statements[ST_MERCHANTS], NULL, NULL);
		if (rows > 0)
		{
			loaded = MemoryContextAlloc(cache.context, offsetof(Judged, merchants) + rows * sizeof(int32));
			for (loaded->n = 0; loaded->n < (int) rows; loaded->n++)
				loaded->merchants[loaded->n] = oms_get_int32(loaded->n, 1);
		}
		oms_end();
		cache.data = loaded;
	}
	judged = cache.data;
	if (likely(judged == NULL))
		return false;
	for (i = 0; i < judged->n; i++)
		if (judged->merchants[i] == merchant)
			return true;
	return false;
}

static int64
judge(int32 merchant, int64 order_id, const char *actor, bool settled)
{
	OmsOrderHead head;
	Datum		values[7];
	SPITupleTable *found;
	uint64		rows;
	uint64		i;

	oms_order_lock(merchant, order_id, &head);
	if (strcmp(head.lifecycle, "cancelled") == 0)
		return 0;
	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(order_id);
	values[2] = TimestampTzGetDatum(oms_now());
	oms_run(&statements[ST_LOCK_PARTS], values, NULL);
	rows = oms_run(&statements[ST_FIND], values, NULL);
	found = SPI_tuptable;
	values[3] = values[2];
	for (i = 0; i < rows; i++)
	{
		char	   *kind = SPI_getvalue(found->vals[i], found->tupdesc, 1);
		char	   *reason = SPI_getvalue(found->vals[i], found->tupdesc, 4);

		/* One hold of a kind stands for all that was found of it. */
		values[2] = Int64GetDatum(oms_order_hold(&head, kind, reason, actor));
		values[4] = CStringGetTextDatum(SPI_getvalue(found->vals[i], found->tupdesc, 2));
		values[5] = CStringGetTextDatum(SPI_getvalue(found->vals[i], found->tupdesc, 3));
		values[6] = CStringGetTextDatum(reason);
		oms_run_guarded(&statements[ST_NOTE], values, NULL);
	}
	if (oms_approval_check(&head, actor, settled))
		oms_order_confirm_if_free(merchant, order_id, actor);
	return (int64) rows;
}

int64
oms_order_judge(int32 merchant, int64 order_id, const char *actor)
{
	return judge(merchant, order_id, actor, true);
}

/*
 * AFTER UPDATE row on sales_order, and AFTER INSERT row on payment_event where
 * it tells a token: judges the order.  Where its total changes, a command is
 * not done with it yet: holds are placed, what lets it go waits for the end.
 */
Datum
oms_order_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	bool		payment = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);
	HeapTuple	tuple = payment ? trigdata->tg_trigtuple : trigdata->tg_newtuple;
	bool		isnull;
	int32		merchant = DatumGetInt32(oms_row_get(trigdata, tuple, 1, &isnull));
	Datum		values[2] = {Int32GetDatum(merchant), oms_row_get(trigdata, tuple, payment ? 2 : 3, &isnull)};
	oms_begin_trigger(trigdata);
	if (oms_orders_are_judged(merchant))
	{
		const OmsCommand *command = oms_current_command();

		if (payment)
		{
			oms_run(&statements[ST_ORDER_OF_PAYMENT], values, NULL);
			values[1] = Int64GetDatum(oms_get_int64(0, 1));
		}
		(void) judge(merchant, DatumGetInt64(values[1]), command != NULL ? command->actor : oms_calling_role(),
					 payment || oms_row_same(trigdata, ORDER_TOTAL));
	}
	oms_end();
	return PointerGetDatum(NULL);
}

/* SQL: judge_order(merchant, order_id, request_key, actor, reason) */
Datum
oms_judge_order(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	int64		found;

	if (!oms_call_repeated(fcinfo, "judge_order", 2, &call, &found))
	{
		found = oms_order_judge(call.merchant, order_id, call.actor);
		oms_call_done(&call, found);
	}
	PG_RETURN_INT64(found);
}

/* Names that view order_facts has, at any depth. */
static bool
is_fact(const char *name, int length)
{
	static const char *const names[] = {
		"bill_to", "channel", "city", "company", "country", "currency", "customer", "discount", "email", "first_order", "guest",
		"item", "language", "line", "lines", "margin", "name", "origin", "phone", "postcode", "quantity", "region", "ship_to",
		"shipping", "sku", "street", "street2", "subtotal", "tax", "title", "total", "unit_price", "units", "unmapped"
	};
	int			i;

	for (i = 0; i < lengthof(names); i++)
		if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
			return true;
	return false;
}

/* Refuses names that no order has, and variables, which nobody gives values to (OM011). */
static void
check_names(JsonPathItem *item)
{
	JsonPathItem other;
	int32		length;
	char	   *name;

	check_stack_depth();
	switch (item->type)
	{
		case jpiKey:
			name = jspGetString(item, &length);
			if (!is_fact(name, length))
				ereport(ERROR,
						(errcode(OMS_ARGUMENT),
						 errmsg("condition names \"%.*s\", which orders do not have", length, name),
						 errhint("The names are those of view order_facts.")));
			break;
		case jpiVariable:
			name = jspGetString(item, &length);
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("condition has a variable, \"%.*s\"", length, name),
					 errhint("Write its value.")));
			break;
		case jpiAnd:
		case jpiOr:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiAdd:
		case jpiSub:
		case jpiMul:
		case jpiDiv:
		case jpiMod:
		case jpiStartsWith:
			jspGetLeftArg(item, &other);
			check_names(&other);
			jspGetRightArg(item, &other);
			check_names(&other);
			break;
		case jpiNot:
		case jpiIsUnknown:
		case jpiExists:
		case jpiFilter:
		case jpiPlus:
		case jpiMinus:
			jspGetArg(item, &other);
			check_names(&other);
			break;
		case jpiLikeRegex:
			jspInitByBuffer(&other, item->base, item->content.like_regex.expr);
			check_names(&other);
			break;
		default:
			break;
	}
	if (jspGetNext(item, &other))
		check_names(&other);
}

/* Refuses what is no predicate over the facts of an order (OM011). */
static void
check_condition(JsonPath *condition)
{
	JsonPathItem item;

	jspInit(&item, condition);
	switch (item.type)
	{
		case jpiAnd:
		case jpiOr:
		case jpiNot:
		case jpiIsUnknown:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiExists:
		case jpiStartsWith:
		case jpiLikeRegex:
			break;
		default:
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("condition is no predicate"),
					 errdetail("It finds values instead of being true or false."),
					 errhint("Compare something, or write exists(...).")));
	}
	check_names(&item);
}

/* SQL: check_condition(condition) */
Datum
oms_check_condition(PG_FUNCTION_ARGS)
{
	oms_arg_require(fcinfo, 0, "condition");
	check_condition(PG_GETARG_JSONPATH_P(0));
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* BEFORE INSERT OR UPDATE row on tables with a condition.  Nulls are left to the table's constraints. */
Datum
oms_condition_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	bool		isnull;
	Datum		condition = oms_row_get(trigdata, tuple, SPI_fnumber(RelationGetDescr(trigdata->tg_relation), "condition"), &isnull);

	if (!isnull)
		check_condition(DatumGetJsonPathP(condition));
	return PointerGetDatum(tuple);
}

/* BEFORE INSERT OR UPDATE row on block_list: the value as it is compared.  Raises OM011 where nothing is left of it. */
Datum
oms_block_list_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	int			column = 3;
	bool		nokind;
	bool		novalue;
	Datum		values[2] = {oms_row_get(trigdata, tuple, 2, &nokind), oms_row_get(trigdata, tuple, column, &novalue)};
	Datum		key;

	if (nokind || novalue)
		return PointerGetDatum(tuple);
	oms_begin_trigger(trigdata);
	oms_run(&statements[ST_KEY], values, NULL);
	key = oms_get(0, 1, &novalue);
	if (novalue || VARSIZE_ANY_EXHDR(DatumGetPointer(key)) == 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("\"%s\" is no %s to look for", TextDatumGetCString(values[1]), TextDatumGetCString(values[0])),
				 errhint("An address needs a street.")));
	key = oms_copy_out(key, false, -1);
	oms_end();
	return PointerGetDatum(heap_modify_tuple_by_cols(tuple, RelationGetDescr(trigdata->tg_relation), 1, &column, &key, &novalue));
}
