/*-------------------------------------------------------------------------
 * return_lot.c
 *	  Returned units of tracked items go back to the lots they were shipped
 *	  from; a returned serial number is in stock again.
 *-------------------------------------------------------------------------
 */
#include "returns/return_internal.h"

#include "fulfilment/fulfilment.h"
#include "utils/array.h"

enum
{
	ST_NEEDS,
	ST_SHIPPED,
	ST_RESTOCK
};

static OmsStatement statements[] = {
	[ST_NEEDS] = {
		"SELECT p.line_no, p.item_id, i.sku, p.per_unit FROM oms.return_part p "
		"JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = p.item_id AND i.tracking <> 'none' "
		"WHERE p.merchant_id = $1 AND p.order_id = $2 AND p.line_no = ANY ($3) ORDER BY 2, 1",
		3, {INT4OID, INT8OID, INT4ARRAYOID}
	},
	/* lots that the line got of the item, and how many of them have not come back */
	[ST_SHIPPED] = {
		"SELECT x.lot_id, x.lot, x.quantity - coalesce((SELECT sum(m.quantity) FROM oms.stock_movement m "
		"JOIN oms.return_order r ON r.merchant_id = $1 AND r.return_id = m.source_id AND r.order_id = $2 "
		"WHERE m.merchant_id = $1 AND m.item_id = $4 AND m.lot_id = x.lot_id AND m.kind = 'return' AND m.source_kind = 'return'), 0)::bigint "
		"FROM (SELECT p.lot_id, t.lot, sum(p.quantity)::bigint AS quantity, min(p.lot_pick_id) AS first FROM oms.lot_pick p "
		"JOIN oms.lot t ON t.merchant_id = $1 AND t.item_id = $4 AND t.lot_id = p.lot_id "
		"WHERE p.merchant_id = $1 AND p.order_id = $2 AND p.line_no = $3 AND p.item_id = $4 AND p.shipment_id IS NOT NULL "
		"GROUP BY 1, 2) x ORDER BY x.first",
		4, {INT4OID, INT8OID, INT4OID, INT8OID}
	},
	[ST_RESTOCK] = {
		"INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, damaged, quarantine, cause, "
		"source_kind, source_id, actor, at, lot_id) VALUES ($1, $2, $3, 'return', $4, $5, $6, $7, 'return', $8, $9, $10, $11)",
		11, {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT8OID}
	},
};

/* Units of a tracked item that come back with a line. */
typedef struct Need
{
	const OmsReturnLine *line;
	int64		item;
	char	   *sku;
	int64		put[3];			/* sellable, damaged, quarantine */
} Need;

/* A lot that was shipped, and how many of it can come back. */
typedef struct Shipped
{
	int64		lot_id;
	char	   *lot;
	int64		out;
	int64		back;			/* come back now */
} Shipped;

/* Says how many of each lot come back: as named, else what leaves no choice. */
static void
assign(const OmsOrderHead *head, const Need *need, Shipped *shipped, int n)
{
	const OmsReturnLine *line = need->line;
	int64		wanted = need->put[0] + need->put[1] + need->put[2];
	int64		out = 0;
	int64		named = 0;
	int			open = 0;
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		for (j = 0; j < line->nlots; j++)
			if (strcmp(line->lots[j].lot, shipped[i].lot) == 0)
			{
				shipped[i].back = line->lots[j].quantity;
				line->lots[j].used = true;
			}
		if (shipped[i].back > shipped[i].out)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("of lot \"%s\" not so many units can come back with line %d", shipped[i].lot, line->line_no),
					 errdetail(INT64_FORMAT " are named, " INT64_FORMAT " were shipped and have not come back.", shipped[i].back,
							   shipped[i].out)));
		named += shipped[i].back;
		out += Max(shipped[i].out, 0);
		open += shipped[i].out > 0;
	}
	if (named == 0 && (open == 1 || out == wanted))
		for (i = 0; i < n; i++)
		{
			shipped[i].back = Min(Max(shipped[i].out, 0), wanted - named);
			named += shipped[i].back;
		}
	if (named != wanted)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("which lots of item \"%s\" come back with line %d of order " INT64_FORMAT " is not said", need->sku,
						line->line_no, head->order_id),
				 errdetail(INT64_FORMAT " units go into stock, lots are named for " INT64_FORMAT ".", wanted, named),
				 errhint("Add \"lots\" to the line; view oms.lot_trace shows what the order got.")));
}

void
oms_return_restock_lots(const OmsOrderHead *head, const OmsReturn *ret, const char *cause, const char *actor)
{
	int32	   *lines = palloc((ret->nlines + 1) * sizeof(int32));
	Datum		values[11];
	Need	   *needs;
	int			nneeds;
	int			n = 0;
	int			i;
	int			j;

	for (i = 0; i < ret->nlines; i++)
		if (ret->lines[i].changed &&
			ret->lines[i].now[OMS_SELLABLE] + ret->lines[i].now[OMS_DAMAGED] + ret->lines[i].now[OMS_QUARANTINE] +
			ret->lines[i].now[OMS_VENDOR_RETURN] > 0)
			lines[n++] = ret->lines[i].line_no;
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = oms_int4_array(lines, n);
	nneeds = (int) oms_run(&statements[ST_NEEDS], values, NULL);
	needs = palloc((nneeds + 1) * sizeof(Need));
	for (i = 0; i < nneeds; i++)
	{
		const OmsReturnLine *line = ret->lines;
		int64		per_unit = oms_get_int32(i, 4);

		while (line->line_no != oms_get_int32(i, 1))
			line++;
		needs[i] = (Need) {line, oms_get_int64(i, 2), pstrdup(oms_get_text(i, 3)),
			{per_unit * line->now[OMS_SELLABLE], per_unit * line->now[OMS_DAMAGED],
			per_unit * (line->now[OMS_QUARANTINE] + line->now[OMS_VENDOR_RETURN])}};
	}
	for (i = 0; i < nneeds; i++)
	{
		Need	   *need = &needs[i];
		Shipped    *shipped;
		int			nshipped;

		values[2] = Int32GetDatum(need->line->line_no);
		values[3] = Int64GetDatum(need->item);
		nshipped = (int) oms_run(&statements[ST_SHIPPED], values, NULL);
		shipped = palloc((nshipped + 1) * sizeof(Shipped));
		for (j = 0; j < nshipped; j++)
			shipped[j] = (Shipped) {oms_get_int64(j, 1), pstrdup(oms_get_text(j, 2)), oms_get_int64(j, 3), 0};
		assign(head, need, shipped, nshipped);
		for (j = 0; j < nshipped; j++)
		{
			int64		left = shipped[j].back;
			int64		part[3];

			if (left == 0)
				continue;
			for (int d = 0; d < 3; d++)
			{
				part[d] = Min(left, need->put[d]);
				need->put[d] -= part[d];
				left -= part[d];
			}
			values[1] = Int32GetDatum(ret->location);
			values[2] = Int64GetDatum(need->item);
			values[3] = Int64GetDatum(shipped[j].back);
			values[4] = Int64GetDatum(part[1]);
			values[5] = Int64GetDatum(part[2]);
			values[6] = CStringGetTextDatum(cause);
			values[7] = Int64GetDatum(ret->return_id);
			values[8] = CStringGetTextDatum(actor);
			values[9] = TimestampTzGetDatum(oms_now());
			values[10] = Int64GetDatum(shipped[j].lot_id);
			oms_run(&statements[ST_RESTOCK], values, NULL);
		}
		values[1] = Int64GetDatum(head->order_id);
	}
	for (i = 0; i < ret->nlines; i++)
		for (j = 0; j < ret->lines[i].nlots; j++)
			if (!ret->lines[i].lots[j].used)
				ereport(ERROR,
						(errcode(OMS_UNKNOWN),
						 errmsg("line %d of order " INT64_FORMAT " did not get lot \"%s\"", ret->lines[i].line_no, head->order_id,
								ret->lines[i].lots[j].lot),
						 errhint("View oms.lot_trace shows what the order got.")));
}
