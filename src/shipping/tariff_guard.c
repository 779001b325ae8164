/*-------------------------------------------------------------------------
 * tariff_guard.c
 *	  What holds a tariff together: drafts may change, an active one is frozen,
 *	  and only activate_tariff() makes it active.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "utils/rel.h"

#include "core/guard.h"
#include "core/request.h"
#include "event/event.h"
#include "shipping/tariff.h"

PG_FUNCTION_INFO_V1(oms_tariff_guard);
PG_FUNCTION_INFO_V1(oms_tariff_part_guard);
PG_FUNCTION_INFO_V1(oms_activate_tariff);

enum
{
	ST_DRAFT,
	ST_LOCK,
	ST_LOCK_SERVICE,
	ST_MISSING,
	ST_OVERLAP,
	ST_ACTIVATE
};

static OmsStatement statements[] = {
	[ST_DRAFT] = {
		"SELECT state = 'draft' FROM oms.tariff WHERE merchant_id = $1 AND tariff_id = $2 FOR KEY SHARE",
		2, {INT4OID, INT8OID}
	},
	[ST_LOCK] = {
		"SELECT state, name FROM oms.tariff WHERE merchant_id = $1 AND tariff_id = $2 FOR UPDATE",
		2, {INT4OID, INT8OID}
	},
	/* one activation of a service after the other */
	[ST_LOCK_SERVICE] = {
		"SELECT 1 FROM oms.carrier_service s JOIN oms.tariff t ON t.merchant_id = s.merchant_id AND t.service_id = s.service_id "
		"WHERE t.merchant_id = $1 AND t.tariff_id = $2 FOR NO KEY UPDATE OF s",
		2, {INT4OID, INT8OID}
	},
	/* what keeps a tariff from being activated, one row at most */
	[ST_MISSING] = {
		"(SELECT 1, 'it has no zones' WHERE NOT EXISTS "
		"(SELECT FROM oms.tariff_zone WHERE merchant_id = $1 AND tariff_id = $2)) "
		"UNION ALL (SELECT 2, format('zone %s has no rates', z.zone) FROM oms.tariff_zone z "
		"WHERE z.merchant_id = $1 AND z.tariff_id = $2 AND NOT EXISTS (SELECT FROM oms.tariff_rate r "
		"WHERE r.merchant_id = $1 AND r.tariff_id = $2 AND r.zone = z.zone) ORDER BY z.zone LIMIT 1) "
		"UNION ALL (SELECT 3, format('zone %s has no price for weights from %s to %s', zone, from_weight, to_weight) "
		"FROM oms.tariff_gap WHERE merchant_id = $1 AND tariff_id = $2 ORDER BY zone, from_weight LIMIT 1) "
		"UNION ALL (SELECT 4, format('it has %s surcharge rows, 64 are possible', count(*)) FROM oms.tariff_surcharge "
		"WHERE merchant_id = $1 AND tariff_id = $2 HAVING count(*) > 64) "
		"ORDER BY 1 LIMIT 1",
		2, {INT4OID, INT8OID}
	},
	[ST_OVERLAP] = {
		"SELECT o.tariff_id, o.name, o.valid_from::text, o.valid_to::text FROM oms.tariff t "
		"JOIN oms.tariff o ON o.merchant_id = t.merchant_id AND o.service_id = t.service_id AND o.state = 'active' "
		"AND o.valid_from < t.valid_to AND t.valid_from < o.valid_to "
		"WHERE t.merchant_id = $1 AND t.tariff_id = $2 ORDER BY o.valid_from LIMIT 1",
		2, {INT4OID, INT8OID}
	},
	[ST_ACTIVATE] = {
		"UPDATE oms.tariff SET state = 'active' WHERE merchant_id = $1 AND tariff_id = $2",
		2, {INT4OID, INT8OID}
	},
};

/* What decides a price. Columns that an owner added are not ours to freeze. */
static const char *const frozen_columns[] = {
	"merchant_id", "tariff_id", "service_id", "currency", "valid_from", "weight_unit", "weight_step", "minimum_weight",
	"length_unit", "side_rounding", "divisor", "volume_threshold", "max_weight", "max_side", "max_girth",
	"discount_percent", "minimum_charge", "fuel_percent", "handling", "tax_percent"
};

/*
 * The tariff that the last row of this command belonged to, seen as draft and
 * locked, so that a bulk load asks once.
 */
static struct
{
	int32		merchant;
	int64		tariff;
	TransactionId xid;
	SubTransactionId subxid;
	CommandId	command;
}			seen_draft;

void
oms_tariff_guard_forget(void)
{
	seen_draft.merchant = 0;
}

static void
refuse_frozen(int64 tariff, const char *what)
{
	ereport(ERROR,
			(errcode(OMS_STATE),
			 errmsg("tariff %lld is not a draft", (long long) tariff),
			 errdetail("%s may not change once it was active, or quotes given with it could not be explained.", what),
			 errhint("Set valid_to to end it and load a new version as a draft.")));
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row of tariff.  A new tariff is a draft;
 * once active only its name and end may change, and it may be withdrawn.
 * Raises OM008 and, when it is set active by hand, OM009.
 */
Datum
oms_tariff_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	HeapTuple	old = trigdata->tg_trigtuple;
	HeapTuple	new = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	int			state_column = SPI_fnumber(desc, "state");
	int			id_column = SPI_fnumber(desc, "tariff_id");
	char	   *old_state = SPI_getvalue(old, desc, state_column);
	char	   *new_state = SPI_getvalue(new, desc, state_column);
	bool		isnull;
	int64		tariff = DatumGetInt64(heap_getattr(old, id_column, desc, &isnull));
	int			i;

	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		if (new_state != NULL && strcmp(new_state, "draft") != 0)
			oms_error_guarded(trigdata->tg_relation, "A tariff begins as a draft.", "Load it, then call activate_tariff().");
		return PointerGetDatum(new);
	}
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		if (strcmp(old_state, "draft") != 0)
			refuse_frozen(tariff, "It");
		return PointerGetDatum(old);
	}

	if (new_state != NULL && strcmp(old_state, new_state) != 0)
	{
		if (strcmp(new_state, "active") == 0 && strcmp(old_state, "draft") == 0)
		{
			if (!oms_guard_is_open())
				oms_error_guarded(trigdata->tg_relation, "A tariff becomes active by a command that checks it.",
								  "Call activate_tariff().");
		}
		else if (strcmp(new_state, "withdrawn") != 0)
			refuse_frozen(tariff, "Its state");
	}
	for (i = 0; i < lengthof(frozen_columns) && strcmp(old_state, "draft") != 0; i++)
		if (!oms_row_same(trigdata, SPI_fnumber(desc, frozen_columns[i])))
			refuse_frozen(tariff, psprintf("Its %s", frozen_columns[i]));
	oms_tariff_guard_forget();
	return PointerGetDatum(new);
}

/* Refuses (OM008) a row of a tariff that is not a draft, and keeps it one until commit. */
static void
require_draft(TriggerData *trigdata, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	bool		isnull;
	int32		merchant = DatumGetInt32(heap_getattr(tuple, SPI_fnumber(desc, "merchant_id"), desc, &isnull));
	int64		tariff = DatumGetInt64(heap_getattr(tuple, SPI_fnumber(desc, "tariff_id"), desc, &isnull));
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(tariff)};
	uint64		rows;
	bool		draft;

	if (seen_draft.merchant == merchant && seen_draft.tariff == tariff &&
		TransactionIdEquals(seen_draft.xid, GetTopTransactionIdIfAny()) &&
		seen_draft.subxid == GetCurrentSubTransactionId() &&
		seen_draft.command == GetCurrentCommandId(false))
		return;
	oms_begin_trigger(trigdata);
	rows = oms_run(&statements[ST_DRAFT], values, NULL);
	draft = rows == 0 || oms_get_bool(0, 1);	/* none: the foreign key says so */
	oms_end();
	if (!draft)
		refuse_frozen(tariff, "What belongs to it");
	if (rows > 0)
	{
		seen_draft.merchant = merchant;
		seen_draft.tariff = tariff;
		seen_draft.xid = GetTopTransactionIdIfAny();
		seen_draft.subxid = GetCurrentSubTransactionId();
		seen_draft.command = GetCurrentCommandId(false);
	}
}

/* A text column of a row, empty for null. */
static char *
text_of(HeapTuple tuple, TupleDesc desc, const char *column)
{
	char	   *value = SPI_getvalue(tuple, desc, SPI_fnumber(desc, column));

	return value != NULL ? value : "";
}

/* Upper case without blanks and punctuation: how countries and postal codes are compared. */
static char *
plain_postal(const char *text)
{
	char	   *plain = palloc(strlen(text) + 1);
	int			n = 0;

	for (; *text != '\0'; text++)
		if (isalnum((unsigned char) *text) && (unsigned char) *text < 128)
			plain[n++] = pg_toupper((unsigned char) *text);
	plain[n] = '\0';
	return plain;
}

/* One way of writing a place, and the numbers its postal codes are compared by. */
static HeapTuple
normal_zone(TriggerData *trigdata, HeapTuple tuple)
{
	static const char *const columns[] = {
		"origin_country", "origin_postal", "country", "region", "postal_from", "postal_to", "postal_low", "postal_high"
	};
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	int			numbers[lengthof(columns)];
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)] = {0};
	char	   *from = plain_postal(text_of(tuple, desc, "postal_from"));
	char	   *to = plain_postal(text_of(tuple, desc, "postal_to"));
	int64		low = 0;
	int64		high = 0;
	int64		other;
	int			length;
	int			i;

	if (to[0] == '\0')
		to = from;
	if (from[0] != '\0' || to[0] != '\0')
	{
		if (!oms_rate_postal_range(from, &low, &other, &length) || !oms_rate_postal_range(to, &other, &high, &length) ||
			strlen(from) != strlen(to) || low > high)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("postal range \"%s\" to \"%s\" is no range", from, to),
					 errdetail("Both ends need the same length, 1 to %d letters or digits, in ascending order.", OMS_RATE_POSTAL_LENGTH)));
	}
	for (i = 0; i < lengthof(columns); i++)
		numbers[i] = SPI_fnumber(desc, columns[i]);
	values[0] = CStringGetTextDatum(plain_postal(text_of(tuple, desc, "origin_country")));
	values[1] = CStringGetTextDatum(plain_postal(text_of(tuple, desc, "origin_postal")));
	values[2] = CStringGetTextDatum(plain_postal(text_of(tuple, desc, "country")));
	values[3] = CStringGetTextDatum(oms_tariff_region_key(text_of(tuple, desc, "region")));
	values[4] = CStringGetTextDatum(from);
	values[5] = CStringGetTextDatum(to);
	values[6] = Int64GetDatum(low);
	values[7] = Int64GetDatum(high);
	return heap_modify_tuple_by_cols(tuple, desc, lengthof(columns), numbers, values, nulls);
}

/*
 * BEFORE INSERT OR UPDATE OR DELETE row of what belongs to a tariff: only a
 * draft changes (OM008).  Takes FOR KEY SHARE on the tariff, so that it is not
 * activated meanwhile.  With the argument 'zone' it also writes places the one
 * way they are compared.
 */
Datum
oms_tariff_part_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	tuple = trigdata->tg_trigtuple;

	require_draft(trigdata, tuple);
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		return PointerGetDatum(tuple);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		tuple = trigdata->tg_newtuple;
		require_draft(trigdata, tuple);
	}
	if (trigdata->tg_trigger->tgnargs > 0)
		tuple = normal_zone(trigdata, tuple);
	return PointerGetDatum(tuple);
}

/* Refuses with what ST_MISSING or ST_OVERLAP say. */
static void
require_complete(int64 tariff, Datum *values)
{
	if (oms_run(&statements[ST_MISSING], values, NULL) > 0)
		ereport(ERROR,
				(errcode(OMS_CONFIGURATION),
				 errmsg("tariff %lld is not complete", (long long) tariff),
				 errdetail("In it, %s.", oms_get_text(0, 2)),
				 errhint("Every zone of oms.tariff_zone needs rows in oms.tariff_rate without gaps.")));
	if (oms_run(&statements[ST_OVERLAP], values, NULL) > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("tariff %lld is valid at the same time as another of its service", (long long) tariff),
				 errdetail("Tariff %lld \"%s\" is active from %s to %s.", (long long) oms_get_int64(0, 1),
						   oms_get_text(0, 2), oms_get_text(0, 3), oms_get_text(0, 4)),
				 errhint("End that one by its valid_to, or begin this one later.")));
}

/*
 * activate_tariff(merchant, tariff, request_key, actor, reason): checks a
 * draft and freezes it.  Locks the tariff FOR UPDATE, then its service.  Raises OM002, OM008,
 * OM016.
 */
Datum
oms_activate_tariff(PG_FUNCTION_ARGS)
{
	int64		tariff = oms_arg_int64(fcinfo, 1, "tariff");
	OmsCall		call;
	Datum		values[2] = {Int32GetDatum(oms_arg_merchant(fcinfo)), Int64GetDatum(tariff)};
	OmsEvent	event = {0};
	char	   *state;
	int64		result;

	if (oms_call_repeated(fcinfo, "activate_tariff", 2, &call, &result))
		PG_RETURN_INT64(result);
	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("tariff", call.merchant, tariff);
	state = oms_get_text(0, 1);
	if (strcmp(state, "draft") != 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("tariff %lld cannot be activated", (long long) tariff),
				 errdetail("It is %s.", state)));
	(void) oms_run(&statements[ST_LOCK_SERVICE], values, NULL);
	require_complete(tariff, values);
	oms_run_guarded(&statements[ST_ACTIVATE], values, NULL);
	oms_tariff_guard_forget();

	event.merchant = call.merchant;
	event.subject_type = "tariff";
	event.subject_id = tariff;
	event.type = "tariff.activated";
	oms_event_write(&event);
	oms_call_done(&call, tariff);
	PG_RETURN_INT64(tariff);
}
