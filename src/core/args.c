/*-------------------------------------------------------------------------
 * args.c
 *	  Arguments of SQL functions: a missing or impossible one is OM011 and
 *	  named.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "mb/pg_wchar.h"
#include "utils/acl.h"

/* Refuses a null argument. */
void
oms_arg_require(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (n >= PG_NARGS() || PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is missing", name),
				 errdetail("It may not be null."),
				 errhint("Give a value for \"%s\".", name)));
}

int32
oms_arg_int32(FunctionCallInfo fcinfo, int n, const char *name)
{
	oms_arg_require(fcinfo, n, name);
	return PG_GETARG_INT32(n);
}

int64
oms_arg_int64(FunctionCallInfo fcinfo, int n, const char *name)
{
	oms_arg_require(fcinfo, n, name);
	return PG_GETARG_INT64(n);
}

/* The merchant: always the first argument. */
int32
oms_arg_merchant(FunctionCallInfo fcinfo)
{
	int32		merchant = oms_arg_int32(fcinfo, 0, "merchant");

	if (merchant <= 0)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"merchant\" is out of range"),
				 errdetail("%d was given; merchants are positive.", merchant)));
	return merchant;
}

/* A text of 1 to maxlen characters. */
char *
oms_arg_text(FunctionCallInfo fcinfo, int n, const char *name, int maxlen)
{
	oms_arg_require(fcinfo, n, name);
	return oms_arg_text_or_null(fcinfo, n, name, maxlen);
}

/* The same, but null stays null. */
char *
oms_arg_text_or_null(FunctionCallInfo fcinfo, int n, const char *name, int maxlen)
{
	text	   *value;
	int			length;

	if (n >= PG_NARGS() || PG_ARGISNULL(n))
		return NULL;
	value = PG_GETARG_TEXT_PP(n);
	length = pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (length == 0 || length > maxlen)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" has a length out of range", name),
				 errdetail("It has %d characters; 1 to %d are allowed.", length, maxlen)));
	return text_to_cstring(value);
}

/* The role the caller acts as: SET ROLE included, SECURITY DEFINER not. */
const char *
oms_calling_role(void)
{
	return GetUserNameFromId(GetOuterUserId(), false);
}

void
oms_arg_not_future(FunctionCallInfo fcinfo, int n, const char *name, const char *what, const char *age)
{
	if (PG_GETARG_TIMESTAMPTZ(n) > oms_now())
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("It lies in the future."),
				 errhint("Give the time up to which %s may go, as now() - interval '%s'.", what, age)));
}

/* Whether the caller, not the definer of the command, has the rights of the role; of one that is gone only a superuser has. */
bool
oms_caller_has(const char *role)
{
	Oid			roleid = get_role_oid(role, true);

	return OidIsValid(roleid) ? has_privs_of_role(GetOuterUserId(), roleid) : superuser_arg(GetOuterUserId());
}

/*
 * Who does it: the argument, else the calling role.
 */
const char *
oms_actor(FunctionCallInfo fcinfo, int n)
{
	const char *actor = oms_arg_text_or_null(fcinfo, n, "actor", OMS_KEY_LENGTH);

	return actor != NULL ? actor : oms_calling_role();
}
