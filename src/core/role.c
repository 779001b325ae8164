/*-------------------------------------------------------------------------
 * role.c
 *	  What a profile may call and read: granted to a role from the table
 *	  oms.privilege, which says so for every function and view.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(oms_grant_role);
PG_FUNCTION_INFO_V1(oms_revoke_role);
PG_FUNCTION_INFO_V1(oms_refresh_roles);

enum
{
	ST_ROLE,
	ST_PROFILES,
	ST_FUNCTIONS,
	ST_VIEWS,
	ST_REMEMBER,
	ST_FORGET,
	ST_REMEMBERED
};

static OmsStatement statements[] = {
	[ST_ROLE] = {"SELECT 1 FROM pg_roles WHERE rolname = $1", 1, {TEXTOID}},
	[ST_PROFILES] = {"SELECT string_agg(p.profile, ', ' ORDER BY p.profile), bool_or(p.profile = $1) FROM oms.profile p",
	1, {TEXTOID}},
	[ST_FUNCTIONS] = {"SELECT f.proname::text, f.proargtypes FROM pg_proc f "
		"JOIN oms.privilege v ON v.kind = 'function' AND v.name = f.proname "
		"WHERE f.pronamespace = 'oms'::regnamespace AND $1 = ANY (v.profiles) ORDER BY f.oid", 1, {TEXTOID}},
	[ST_VIEWS] = {"SELECT c.relname::text FROM pg_class c "
		"JOIN oms.privilege v ON v.kind = 'view' AND v.name = c.relname "
		"WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind = 'v' AND $1 = ANY (v.profiles) ORDER BY c.oid",
	1, {TEXTOID}},
	[ST_REMEMBER] = {"INSERT INTO oms.role_profile (role_name, profile, granted_at) VALUES ($1, $2, $3) "
		"ON CONFLICT (role_name) DO UPDATE SET profile = excluded.profile, granted_at = excluded.granted_at",
	3, {TEXTOID, TEXTOID, TIMESTAMPTZOID}},
	[ST_FORGET] = {"DELETE FROM oms.role_profile WHERE role_name = $1", 1, {TEXTOID}},
	[ST_REMEMBERED] = {"SELECT p.role_name, p.profile FROM oms.role_profile p "
		"JOIN pg_roles r ON r.rolname = p.role_name ORDER BY p.role_name", 0, {0}},
};

/* One GRANT or REVOKE to the role; built as a parse tree, so that no name is ever quoted. */
static GrantStmt *
grant(const char *role, bool is_grant, ObjectType type, const char *privilege)
{
	GrantStmt  *stmt = makeNode(GrantStmt);
	RoleSpec   *grantee = makeNode(RoleSpec);

	grantee->roletype = ROLESPEC_CSTRING;
	grantee->rolename = pstrdup(role);
	grantee->location = -1;
	stmt->is_grant = is_grant;
	stmt->objtype = type;
	stmt->grantees = list_make1(grantee);
	stmt->behavior = DROP_RESTRICT;
	if (privilege != NULL)
	{
		AccessPriv *priv = makeNode(AccessPriv);

		priv->priv_name = pstrdup(privilege);
		stmt->privileges = list_make1(priv);
	}
	return stmt;
}

/* Takes all of oms from the role. */
static void
revoke_all(const char *role)
{
	ObjectType	types[] = {OBJECT_ROUTINE, OBJECT_TABLE, OBJECT_SEQUENCE};

	for (int i = 0; i < lengthof(types); i++)
	{
		GrantStmt  *stmt = grant(role, false, types[i], NULL);

		stmt->targtype = ACL_TARGET_ALL_IN_SCHEMA;
		stmt->objects = list_make1(makeString(pstrdup("oms")));
		ExecuteGrantStmt(stmt);
	}
	CommandCounterIncrement();
}

/* Gives the role what the profile has; returns how many functions and views that are. */
static int32
grant_profile(const char *role, const char *profile)
{
	Datum		values[1] = {CStringGetTextDatum(profile)};
	GrantStmt  *functions = grant(role, true, OBJECT_ROUTINE, "execute");
	GrantStmt  *views = grant(role, true, OBJECT_TABLE, "select");
	uint64		rows;

	rows = oms_run(&statements[ST_FUNCTIONS], values, NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		ObjectWithArgs *object = makeNode(ObjectWithArgs);
		bool		isnull;
		oidvector  *types = (oidvector *) DatumGetPointer(oms_get(row, 2, &isnull));

		object->objname = list_make2(makeString(pstrdup("oms")), makeString(oms_get_text(row, 1)));
		for (int i = 0; i < types->dim1; i++)
			object->objargs = lappend(object->objargs, makeTypeNameFromOid(types->values[i], -1));
		functions->objects = lappend(functions->objects, object);
	}
	rows = oms_run(&statements[ST_VIEWS], values, NULL);
	for (uint64 row = 0; row < rows; row++)
		views->objects = lappend(views->objects, makeRangeVar(pstrdup("oms"), oms_get_text(row, 1), -1));

	revoke_all(role);
	if (functions->objects != NIL)
		ExecuteGrantStmt(functions);
	if (views->objects != NIL)
		ExecuteGrantStmt(views);
	CommandCounterIncrement();
	return list_length(functions->objects) + list_length(views->objects);
}

/* Raises OM002 unless the role exists. */
static char *
arg_role(FunctionCallInfo fcinfo)
{
	return oms_arg_text(fcinfo, 0, "role_name", NAMEDATALEN - 1);
}

static void
require_role(const char *role)
{
	Datum		values[1] = {CStringGetTextDatum(role)};

	if (oms_run(&statements[ST_ROLE], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("role \"%s\" does not exist", role),
				 errhint("Make it first: CREATE ROLE %s;", quote_identifier(role))));
}

/*
 * SQL: grant_role(role_name, profile) -> number of functions and views granted.
 * What the role had of oms before is revoked first.
 */
Datum
oms_grant_role(PG_FUNCTION_ARGS)
{
	char	   *role = arg_role(fcinfo);
	char	   *profile = oms_arg_text(fcinfo, 1, "profile", OMS_KEY_LENGTH);
	Datum		values[3];
	int32		result;

	oms_begin();
	require_role(role);
	values[0] = CStringGetTextDatum(profile);
	(void) oms_run(&statements[ST_PROFILES], values, NULL);
	if (!oms_get_bool(0, 2))
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("profile \"%s\" does not exist", profile),
				 errdetail("Profiles are %s.", oms_get_text(0, 1)),
				 errhint("See table oms.profile.")));
	result = grant_profile(role, profile);
	values[0] = CStringGetTextDatum(role);
	values[1] = CStringGetTextDatum(profile);
	values[2] = TimestampTzGetDatum(oms_now());
	(void) oms_run(&statements[ST_REMEMBER], values, NULL);
	oms_end();
	PG_RETURN_INT32(result);
}

/* SQL: revoke_role(role_name) -> whether it had a profile.  Takes all of oms from the role. */
Datum
oms_revoke_role(PG_FUNCTION_ARGS)
{
	char	   *role = arg_role(fcinfo);
	Datum		values[1] = {CStringGetTextDatum(role)};
	bool		had;

	oms_begin();
	require_role(role);
	revoke_all(role);
	had = oms_run(&statements[ST_FORGET], values, NULL) > 0;
	oms_end();
	PG_RETURN_BOOL(had);
}

/*
 * SQL: refresh_roles() -> number of roles.  Grants anew what each remembered
 * role's profile has now: install() ends with it.
 */
Datum
oms_refresh_roles(PG_FUNCTION_ARGS)
{
	uint64		rows;
	char	  **names;
	char	  **profiles;

	oms_begin();
	rows = oms_run(&statements[ST_REMEMBERED], NULL, NULL);
	names = palloc(sizeof(char *) * (rows + 1));
	profiles = palloc(sizeof(char *) * (rows + 1));
	for (uint64 row = 0; row < rows; row++)
	{
		names[row] = oms_get_text(row, 1);
		profiles[row] = oms_get_text(row, 2);
	}
	for (uint64 row = 0; row < rows; row++)
		(void) grant_profile(names[row], profiles[row]);
	oms_end();
	PG_RETURN_INT32((int32) rows);
}
