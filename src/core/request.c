/*-------------------------------------------------------------------------
 * request.c
 *	  Idempotency by request key: table request.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "common/hashfn.h"
#include "utils/lsyscache.h"

#include "core/request.h"
#include "core/rows.h"

enum
{
	ST_CLAIM,
	ST_READ,
	ST_DONE
};

/* Columns in the order of sql/schema/05_core.sql. */
#define REQUEST_COLUMNS "merchant_id, request_key, command, content_hash, result, at"

static OmsTarget target = {"request", REQUEST_COLUMNS};

static OmsStatement statements[] = {
	[ST_CLAIM] = {
		"INSERT INTO oms.request (" REQUEST_COLUMNS ") "
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, request_key) DO NOTHING",
		6, {INT4OID, TEXTOID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_READ] = {
		"SELECT command, content_hash, result FROM oms.request WHERE merchant_id = $1 AND request_key = $2",
		2, {INT4OID, TEXTOID}
	},
	[ST_DONE] = {
		"UPDATE oms.request SET result = $3 WHERE merchant_id = $1 AND request_key = $2",
		3, {INT4OID, TEXTOID, INT8OID}
	},
};

uint64
oms_hash_bytes(uint64 hash, const void *bytes, size_t length)
{
	return hash_combine64(hash, hash_bytes_extended(bytes, (int) length, 0));
}

uint64
oms_hash_text(uint64 hash, const char *text)
{
	return text == NULL ? hash_combine64(hash, 1) : oms_hash_bytes(hash, text, strlen(text));
}

uint64
oms_hash_int64(uint64 hash, int64 value)
{
	return hash_combine64(hash, hash_bytes_extended((unsigned char *) &value, sizeof(value), 0));
}

/*
 * Hash of the bytes of every argument except the request key.  A call through
 * the fast path of the protocol (PQfn) has no expression to tell the types.
 */
uint64
oms_hash_arguments(FunctionCallInfo fcinfo, int key_argument)
{
	uint64		hash = 0;
	Oid		   *declared = NULL;
	int			i;

	if (fcinfo->flinfo->fn_expr == NULL)
		(void) get_func_signature(fcinfo->flinfo->fn_oid, &declared, &i);
	for (i = 0; i < PG_NARGS(); i++)
	{
		int16		typlen;
		bool		typbyval;

		if (i == key_argument)
			continue;
		if (PG_ARGISNULL(i))
		{
			hash = hash_combine64(hash, 1);
			continue;
		}
		get_typlenbyval(declared != NULL ? declared[i] : get_fn_expr_argtype(fcinfo->flinfo, i), &typlen, &typbyval);
		if (typbyval)
			hash = oms_hash_int64(hash, (int64) PG_GETARG_DATUM(i));
		else if (typlen == -1)
		{
			struct varlena *value = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(i));

			hash = oms_hash_bytes(hash, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
		}
		else
			hash = oms_hash_bytes(hash, PG_GETARG_POINTER(i), typlen);
	}
	return hash;
}

/* Answers from the row that the first call left; refuses other content (OM010). */
static int64
first_result(int32 merchant, const char *key, const char *command, uint64 hash)
{
	Datum		values[2] = {Int32GetDatum(merchant), CStringGetTextDatum(key)};

	if (oms_run(&statements[ST_READ], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_BUSY),
				 errmsg("the first call with request key \"%s\" has just ended", key),
				 errhint("Try again.")));
	if (strcmp(oms_get_text(0, 1), command) != 0 || (uint64) oms_get_int64(0, 2) != hash)
		ereport(ERROR,
				(errcode(OMS_REQUEST_REUSED),
				 errmsg("request key \"%s\" was used before with other content", key),
				 errdetail("It belongs to a call of %s(); this is a call of %s() with %s arguments.",
						   oms_get_text(0, 1), command,
						   strcmp(oms_get_text(0, 1), command) != 0 ? "its own" : "other"),
				 errhint("Use a new key for a new request; repeat a request with exactly the same arguments.")));
	if (oms_is_null(0, 3))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("the call with request key \"%s\" has not finished", key),
				 errhint("Do not use one key for a call inside another.")));
	return oms_get_int64(0, 3);
}

/*
 * Claims the key with a result known beforehand.  True when it was claimed
 * before: *result is then the first call's.  A concurrent claim waits.
 */
bool
oms_request_claim(int32 merchant, const char *key, const char *command, uint64 hash, int64 *result)
{
	Datum		values[6];
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};
	OmsRows    *rows;
	int			i;

	if (key == NULL)
		return false;
	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(key);
	values[2] = CStringGetTextDatum(command);
	values[3] = Int64GetDatum((int64) hash);
	values[4] = Int64GetDatum(*result);
	values[5] = TimestampTzGetDatum(oms_now());
	if (*result == 0)
		nulls[4] = 'n';
	rows = oms_rows_for(&target);
	for (i = 0; i < lengthof(values); i++)
		if (nulls[i] == ' ')
			oms_rows_set(rows, i + 1, values[i]);
	oms_rows_add(rows);
	if (oms_rows_insert_new(rows) || oms_run(&statements[ST_CLAIM], values, nulls) > 0)
		return false;
	*result = first_result(merchant, key, command, hash);
	return true;
}

bool
oms_request_seen(int32 merchant, const char *key, const char *command, uint64 hash, int64 *result)
{
	*result = 0;
	return oms_request_claim(merchant, key, command, hash, result);
}

/* Keeps the result for repetitions. */
void
oms_request_done(int32 merchant, const char *key, int64 result)
{
	Datum		values[3];

	if (key == NULL)
		return;
	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(key);
	values[2] = Int64GetDatum(result);
	oms_run(&statements[ST_DONE], values, NULL);
}

/* See request.h. */
bool
oms_call_repeated(FunctionCallInfo fcinfo, const char *command, int key_argument, OmsCall *call, int64 *result)
{
	uint64		hash;

	call->merchant = oms_arg_merchant(fcinfo);
	call->key = oms_arg_text_or_null(fcinfo, key_argument, "request_key", OMS_KEY_LENGTH);
	call->actor = oms_actor(fcinfo, key_argument + 1);
	call->reason = oms_arg_text_or_null(fcinfo, key_argument + 2, "reason", OMS_TEXT_LENGTH);
	oms_begin();
	oms_command(call->actor, call->reason, call->key);
	hash = call->key != NULL ? oms_hash_arguments(fcinfo, key_argument) : 0;
	if (!oms_request_seen(call->merchant, call->key, command, hash, result))
		return false;
	oms_end();
	return true;
}

/* See request.h. */
void
oms_call_done(const OmsCall *call, int64 result)
{
	oms_request_done(call->merchant, call->key, result);
	oms_end();
}
