/*-------------------------------------------------------------------------
 * install.c
 *	  CALL oms.install(): makes the tables, views and triggers as ordinary
 *	  objects, from the scripts installed beside the control file.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "common/string.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/guc.h"

#include "core/comments.h"
#include "event/event.h"
#include "inventory/gate.h"

PG_FUNCTION_INFO_V1(oms_install);

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* The names of the scripts of a folder, in order. */
static List *
script_names(const char *folder)
{
	DIR		   *dir = AllocateDir(folder);
	struct dirent *entry;
	List	   *names = NIL;

	while ((entry = ReadDir(dir, folder)) != NULL)
		if (pg_str_endswith(entry->d_name, ".sql"))
			names = lappend(names, pstrdup(entry->d_name));
	FreeDir(dir);
	list_sort(names, compare_names);
	return names;
}

static char *
read_script(const char *path)
{
	StringInfoData buf;
	FILE	   *file = AllocateFile(path, "r");
	char		chunk[8192];
	size_t		n;

	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	initStringInfo(&buf);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		appendBinaryStringInfo(&buf, chunk, n);
	FreeFile(file);
	return buf.data;
}

/*
 * Runs every script; each may be run again, so that install() also brings back
 * what DROP EXTENSION ... CASCADE took (views and triggers), and loses nothing.
 */
Datum
oms_install(PG_FUNCTION_ARGS)
{
	char		share[MAXPGPATH];
	char		folder[MAXPGPATH];
	List	   *names;
	ListCell   *cell;
	int			level = NewGUCNestLevel();

	get_share_path(my_exec_path, share);
	snprintf(folder, sizeof(folder), "%s/extension/oms/schema", share);
	names = script_names(folder);
	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	foreach(cell, names)
	{
		char	   *path = psprintf("%s/%s", folder, (char *) lfirst(cell));
		int			result;

		oms_begin();
		result = SPI_execute(read_script(path), false, 0);
		if (result < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not run script \"%s\": %s", path, SPI_result_code_string(result))));
		oms_end();
	}
	CommandCounterIncrement();
	oms_describe_views();
	AtEOXact_GUC(true, level);
	oms_gate_forget();
	/* Notes which cluster this is, or the first writer would make all others wait for its commit. */
	oms_begin();
	(void) oms_event_tx();
	oms_end();
	PG_RETURN_VOID();
}
