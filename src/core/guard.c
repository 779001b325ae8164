/*-------------------------------------------------------------------------
 * guard.c
 *	  Ready-made trigger functions: append-only tables, tables written only by
 *	  commands, and parents whose key stays.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "access/htup_details.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "core/guard.h"

PG_FUNCTION_INFO_V1(oms_guard_append_only);
PG_FUNCTION_INFO_V1(oms_guard_command_only);
PG_FUNCTION_INFO_V1(oms_guard_parent);

void
oms_error_guarded(Relation rel, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(OMS_GUARDED),
			 errmsg("table \"%s\" may not be written so", RelationGetRelationName(rel)),
			 errdetail("%s", detail),
			 errhint("%s", hint),
			 errtable(rel)));
}

TriggerData *
oms_trigger_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this function of oms is a trigger and may not be called directly")));
	return (TriggerData *) fcinfo->context;
}

Datum
oms_row_get(TriggerData *trigdata, HeapTuple tuple, int column, bool *isnull)
{
	return heap_getattr(tuple, column, RelationGetDescr(trigdata->tg_relation), isnull);
}

/* Whether an UPDATE leaves the column as it is. */
bool
oms_row_same(TriggerData *trigdata, int column)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	Form_pg_attribute att = TupleDescAttr(desc, column - 1);
	bool		oldnull,
				newnull;
	Datum		oldval = heap_getattr(trigdata->tg_trigtuple, column, desc, &oldnull);
	Datum		newval = heap_getattr(trigdata->tg_newtuple, column, desc, &newnull);

	if (oldnull || newnull)
		return oldnull && newnull;
	return datum_image_eq(oldval, newval, att->attbyval, att->attlen);
}

OmsRow
oms_row_read(TriggerData *trigdata, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	OmsRow		row = {palloc(desc->natts * sizeof(Datum)), palloc(desc->natts * sizeof(bool))};

	heap_deform_tuple(tuple, desc, row.values, row.nulls);
	return row;
}

/* Whether both have the same in the column. */
bool
oms_row_agrees(TriggerData *trigdata, const OmsRow *old, const OmsRow *new, int column)
{
	int			i = column - 1;
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(trigdata->tg_relation), i);

	if (old->nulls[i] || new->nulls[i])
		return old->nulls[i] && new->nulls[i];
	return datum_image_eq(old->values[i], new->values[i], att->attbyval, att->attlen);
}

/* What the trigger returns to let the row through. */
static HeapTuple
accepted(TriggerData *trigdata)
{
	return TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
}

/*
 * BEFORE UPDATE OR DELETE row, BEFORE TRUNCATE statement: rows of an
 * append-only table stay as they were written.  Raises OM009.
 */
Datum
oms_guard_append_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);

	if (oms_guard_is_open() && TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		return PointerGetDatum(accepted(trigdata));
	oms_error_guarded(trigdata->tg_relation,
					  "Its rows are facts: they are added, never changed or removed.",
					  trigdata->tg_trigger->tgnargs > 0 ? trigdata->tg_trigger->tgargs[0] :
					  "Correct a fact by adding another one.");
	return (Datum) 0;
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row: the table is written by commands
 * alone; the trigger's argument names them.  Raises OM009.
 */
Datum
oms_guard_command_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);

	if (oms_guard_is_open() && TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		return PointerGetDatum(accepted(trigdata));
	oms_error_guarded(trigdata->tg_relation,
					  "Its rows are kept by commands, so that they always agree with the rest.",
					  trigdata->tg_trigger->tgnargs > 0 ? trigdata->tg_trigger->tgargs[0] :
					  "Use the command for it.");
	return (Datum) 0;
}

/*
 * BEFORE UPDATE OR DELETE row, BEFORE TRUNCATE statement: a row that others
 * point at without a foreign key keeps its primary key and is never deleted,
 * so that "it exists" once seen is true for good.  Raises OM014.
 */
Datum
oms_guard_parent(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	Relation	rel = trigdata->tg_relation;

	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) && TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		Bitmapset  *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
		int			i = -1;
		bool		same = true;

		while (same && (i = bms_next_member(key, i)) >= 0)
			same = oms_row_same(trigdata, i + FirstLowInvalidHeapAttributeNumber);
		bms_free(key);
		if (same)
			return PointerGetDatum(trigdata->tg_newtuple);
	}
	ereport(ERROR,
			(errcode(OMS_REFERENCED),
			 errmsg("rows of table \"%s\" may not be deleted or re-keyed", RelationGetRelationName(rel)),
			 errdetail("Other rows point at them."),
			 errhint("%s", trigdata->tg_trigger->tgnargs > 0 ? trigdata->tg_trigger->tgargs[0] :
					 "Set the row inactive instead."),
			 errtable(rel)));
	return (Datum) 0;
}
