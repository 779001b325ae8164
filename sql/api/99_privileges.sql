-- Roles, and nothing to PUBLIC: the last script, so that it sees every function.

CREATE FUNCTION oms.grant_role(role_name text, profile text) RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_grant_role';
COMMENT ON FUNCTION oms.grant_role(text, text) IS 'Gives a database role a profile (app, clerk, warehouse, finance, analyst, connector) and takes what it had of oms before. Returns how many functions and views it may use now; oms.privilege says which. For the owner of oms alone. Raises OM002 (role, profile), OM011';

CREATE FUNCTION oms.revoke_role(role_name text) RETURNS boolean
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_revoke_role';
COMMENT ON FUNCTION oms.revoke_role(text) IS 'Takes all of oms from a database role; returns whether it had a profile. For the owner of oms alone. Raises OM002 (role), OM011';

CREATE FUNCTION oms.refresh_roles() RETURNS int
	LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_refresh_roles';
COMMENT ON FUNCTION oms.refresh_roles() IS 'Grants every remembered role (oms.role_profile) what its profile has now; install() ends with it. Returns how many roles. For the owner of oms alone';

REVOKE ALL ON ALL ROUTINES IN SCHEMA oms FROM PUBLIC;
GRANT USAGE ON SCHEMA oms TO PUBLIC;
