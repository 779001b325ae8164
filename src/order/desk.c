/*-------------------------------------------------------------------------
 * desk.c
 *	  Work on orders: assignee, tags, notes, urgency.
 *
 *	  Single statements on tables that nothing else follows from; they are here
 *	  for what they refuse, which an order's desk reads.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(oms_assign_order);
PG_FUNCTION_INFO_V1(oms_tag_order);
PG_FUNCTION_INFO_V1(oms_add_note);
PG_FUNCTION_INFO_V1(oms_set_urgency);

#define MAX_NAME 200
#define MAX_NOTE 10000

enum
{
	ST_ORDER,
	ST_ASSIGN,
	ST_UNASSIGN,
	ST_TAG,
	ST_NOTE,
	ST_URGENCY
};

static OmsStatement statements[] = {
	[ST_ORDER] = {"SELECT FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2 FOR KEY SHARE", 2, {INT4OID, INT8OID}},
	[ST_ASSIGN] = {
		"INSERT INTO oms.order_assignment (merchant_id, order_id, assigned_at, assignee, assigned_by) VALUES ($1, $2, $3, $4, $5) "
		"ON CONFLICT (merchant_id, order_id) DO UPDATE SET assigned_at = excluded.assigned_at, assignee = excluded.assignee, "
		"assigned_by = excluded.assigned_by",
		5, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_UNASSIGN] = {"DELETE FROM oms.order_assignment WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}},
	[ST_TAG] = {
		"INSERT INTO oms.order_tag (merchant_id, order_id, tagged_at, tag, tagged_by) SELECT $1, $2, $3, t.tag, $5 FROM unnest($4) t (tag) "
		"ON CONFLICT DO NOTHING",
		5, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTOID}
	},
	[ST_NOTE] = {
		"INSERT INTO oms.order_note (merchant_id, order_id, noted_at, note, author, for_customer) VALUES ($1, $2, $3, $4, $5, $6) RETURNING note_id",
		6, {INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, BOOLOID}
	},
	[ST_URGENCY] = {
		"INSERT INTO oms.order_urgency AS u (merchant_id, order_id, priority, promised_at, original_promised_at) VALUES ($1, $2, $3, $4, $4) "
		"ON CONFLICT (merchant_id, order_id) DO UPDATE SET priority = excluded.priority, promised_at = excluded.promised_at, "
		"original_promised_at = coalesce(u.original_promised_at, excluded.promised_at)",
		4, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID}
	},
};

/* Begins a call on an order that stays while it lasts; fills merchant, order and now.  Raises OM002, OM011. */
static void
begin_on_order(FunctionCallInfo fcinfo, Datum *values)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");

	values[0] = Int32GetDatum(merchant);
	values[1] = Int64GetDatum(order_id);
	values[2] = TimestampTzGetDatum(oms_now());
	oms_begin();
	if (oms_run(&statements[ST_ORDER], values, NULL) == 0)
		oms_error_unknown("order", merchant, order_id);
}

/* Who does it: the argument, else the calling role. */
static Datum
actor(FunctionCallInfo fcinfo, int n)
{
	char	   *name = oms_arg_text_or_null(fcinfo, n, "actor", MAX_NAME);

	return CStringGetTextDatum(name != NULL ? name : oms_calling_role());
}

/* SQL: assign_order(merchant, order_id, assignee, actor).  Raises OM002, OM011. */
Datum
oms_assign_order(PG_FUNCTION_ARGS)
{
	char	   *assignee = oms_arg_text_or_null(fcinfo, 2, "assignee", MAX_NAME);
	Datum		values[5];

	values[4] = actor(fcinfo, 3);
	begin_on_order(fcinfo, values);
	if (assignee != NULL)
		values[3] = CStringGetTextDatum(assignee);
	oms_run(&statements[assignee != NULL ? ST_ASSIGN : ST_UNASSIGN], values, NULL);
	oms_end();
	if (assignee == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(assignee));
}

/* SQL: tag_order(merchant, order_id, tags, actor).  Raises OM002, OM011. */
Datum
oms_tag_order(PG_FUNCTION_ARGS)
{
	Datum		values[5];
	Datum	   *tags;
	bool	   *nulls;
	int			ntags;
	int			i;
	int64		added;

	oms_arg_require(fcinfo, 2, "tags");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &tags, &nulls, &ntags);
	for (i = 0; i < ntags; i++)
	{
		int			length = nulls[i] ? 0 : pg_mbstrlen_with_len(VARDATA_ANY(DatumGetTextPP(tags[i])), VARSIZE_ANY_EXHDR(DatumGetTextPP(tags[i])));

		if (length == 0 || length > MAX_NAME)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("tag %d is %s", i + 1, length == 0 ? "missing" : "too long"),
					 errdetail("A tag has 1 to %d characters.", MAX_NAME)));
	}
	values[4] = actor(fcinfo, 3);
	begin_on_order(fcinfo, values);
	values[3] = PG_GETARG_DATUM(2);
	added = (int64) oms_run(&statements[ST_TAG], values, NULL);
	oms_end();
	PG_RETURN_INT64(added);
}

/* SQL: add_note(merchant, order_id, note, for_customer, actor).  Raises OM002, OM011. */
Datum
oms_add_note(PG_FUNCTION_ARGS)
{
	char	   *note = oms_arg_text(fcinfo, 2, "note", MAX_NOTE);
	Datum		values[6];
	int64		note_id;

	values[4] = actor(fcinfo, 4);
	begin_on_order(fcinfo, values);
	values[3] = CStringGetTextDatum(note);
	values[5] = BoolGetDatum(!PG_ARGISNULL(3) && PG_GETARG_BOOL(3));
	oms_run(&statements[ST_NOTE], values, NULL);
	note_id = oms_get_int64(0, 1);
	oms_end();
	PG_RETURN_INT64(note_id);
}

/* SQL: set_urgency(merchant, order_id, priority, promised_at).  Raises OM002, OM011. */
Datum
oms_set_urgency(PG_FUNCTION_ARGS)
{
	Datum		values[4];

	begin_on_order(fcinfo, values);
	values[2] = Int32GetDatum(PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2));
	values[3] = PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3);
	oms_run(&statements[ST_URGENCY], values, PG_ARGISNULL(3) ? "   n" : NULL);
	oms_end();
	PG_RETURN_NULL();			/* void, as of a statement without a row */
}
