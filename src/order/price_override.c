/*-------------------------------------------------------------------------
 * price_override.c
 *	  Prices that are given and are not the listed ones: who may, why, and what
 *	  they were.  Channels that do not ask pay a comparison of an enum.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/rows.h"
#include "order/draft.h"

enum
{
	ST_WRITE
};

/* Columns of price_override in the order of sql/schema/53_price_override.sql. */
enum
{
	P_MERCHANT = 1, P_ORDER, P_ID, P_LINE, P_AT, P_LISTED, P_GIVEN, P_CAUSE, P_REASON, P_ACTOR, P_ROLE
};
#define COLUMNS "merchant_id, order_id, line_no, overridden_at, listed_price, given_price, cause, reason, actor, role_name"

static OmsTarget target = {"price_override", COLUMNS};

static OmsStatement statements[] = {
	[ST_WRITE] = {"INSERT INTO oms.price_override (" COLUMNS ") SELECT " COLUMNS " FROM unnest($1)", 1, {0}},
};

/* Why a line has the price it has; null: not said. */
static const char *
reason_of(const OmsDraft *draft, const OmsDraftLine *line)
{
	return line->price_reason != NULL ? line->price_reason : draft->price_reason;
}

void
oms_price_overrides_check(const OmsDraft *draft)
{
	const char *role;
	int			i;

	if (draft->override != OMS_OVERRIDE_REASON || draft->price_agreed)
		return;
	for (i = 0; i < draft->nlines; i++)
	{
		const OmsDraftLine *line = &draft->lines[i];

		if (line->overridden && reason_of(draft, line) == NULL)
			ereport(ERROR,
					(errcode(OMS_ARGUMENT),
					 errmsg("the price of item \"%s\" needs a reason", line->sku),
					 errdetail("Given %s, listed %s.", oms_price_text(line->unit_price),
							   line->listed < 0 ? "none" : oms_price_text(line->listed)),
					 errhint("Give price_reason beside unit_price, or leave unit_price out.")));
	}
	role = oms_setting(draft->merchant, draft->channel, "price_override_role");
	if (role[0] != '\0' && !oms_caller_has(role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not give prices of its own", oms_calling_role()),
				 errdetail("Members of role \"%s\" may.", role),
				 errhint("Leave unit_price out, or ask one of them.")));
}

void
oms_price_overrides_write(OmsDraft **drafts, int n)
{
	const OmsCommand *command = oms_current_command();
	OmsRows    *rows = oms_rows_for(&target);
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		const OmsDraft *draft = drafts[i];

		for (j = 0; j < draft->nlines && draft->noverrides > 0 && !draft->repeated; j++)
		{
			const OmsDraftLine *line = &draft->lines[j];
			const char *reason = reason_of(draft, line);

			if (!line->overridden)
				continue;
			oms_rows_set(rows, P_MERCHANT, Int32GetDatum(draft->merchant));
			oms_rows_set(rows, P_ORDER, Int64GetDatum(draft->order_id));
			oms_rows_set(rows, P_LINE, Int32GetDatum(line->line_no != 0 ? line->line_no : j + 1));
			oms_rows_set(rows, P_AT, TimestampTzGetDatum(oms_now()));
			if (line->listed >= 0)
				oms_rows_set(rows, P_LISTED, oms_price_to_numeric(line->listed, draft->exponent));
			oms_rows_set(rows, P_GIVEN, oms_price_to_numeric(line->unit_price, draft->exponent));
			oms_rows_set_text(rows, P_CAUSE, draft->price_cause != NULL ? draft->price_cause : "order");
			oms_rows_set_text(rows, P_REASON, reason);
			oms_rows_set_text(rows, P_ACTOR, command != NULL ? command->actor : oms_calling_role());
			oms_rows_set_text(rows, P_ROLE, oms_calling_role());
			oms_rows_add(rows);
		}
	}
	if (rows->n > 0)
		oms_rows_insert(&statements[ST_WRITE], &rows, 1);
}
