/*-------------------------------------------------------------------------
 * transfer_lot.c
 *	  Lots and serial numbers of transfers: which ones leave, and which of them
 *	  arrive or are missing.  Each lot of a line is settled as a line is, so the
 *	  company has of each lot what it had.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "fulfilment/fulfilment.h"
#include "inventory/inventory.h"
#include "inventory/transfer.h"

enum
{
	ST_ADD,
	ST_LOCK,
	ST_SHORT,
	ST_LOTS
};

static OmsStatement statements[] = {
	[ST_ADD] = {
		"INSERT INTO oms.stock_transfer_lot (merchant_id, item_id, transfer_id, lot_id, quantity) "
		"SELECT $1, $3, $2, v.lot_id, v.quantity FROM unnest($4::bigint[], $5::bigint[]) v(lot_id, quantity)",
		5, {INT4OID, INT8OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_LOCK] = {
		"SELECT 1 FROM oms.lot_stock s JOIN oms.stock_transfer_lot l ON l.merchant_id = $1 AND l.transfer_id = $2 AND l.item_id = $3 "
		"AND l.lot_id = s.lot_id WHERE s.merchant_id = $1 AND s.item_id = $3 AND s.location_id = $4 ORDER BY s.lot_id FOR UPDATE OF s",
		4, {INT4OID, INT8OID, INT8OID, INT4OID}
	},
	[ST_SHORT] = {
		"SELECT t.lot, l.quantity, coalesce(s.on_hand - s.damaged - s.quality_control - s.quarantine - s.picked, 0) "
		"FROM oms.stock_transfer_lot l JOIN oms.lot t ON t.merchant_id = $1 AND t.item_id = $3 AND t.lot_id = l.lot_id "
		"LEFT JOIN oms.lot_stock s ON s.merchant_id = $1 AND s.item_id = $3 AND s.location_id = $4 AND s.lot_id = l.lot_id "
		"WHERE l.merchant_id = $1 AND l.transfer_id = $2 AND l.item_id = $3 "
		"AND l.quantity > coalesce(s.on_hand - s.damaged - s.quality_control - s.quarantine - s.picked, 0) ORDER BY l.lot_id LIMIT 1",
		4, {INT4OID, INT8OID, INT8OID, INT4OID}
	},
	[ST_LOTS] = {
		"SELECT lot_id, quantity, received, missing FROM oms.stock_transfer_lot "
		"WHERE merchant_id = $1 AND transfer_id = $2 AND item_id = $3 ORDER BY lot_id",
		3, {INT4OID, INT8OID, INT8OID}
	},
};

static void
add_lots(const OmsTransfer *transfer, int64 item, const int64 *lots, const int64 *units, int n)
{
	Datum		values[5] = {Int32GetDatum(transfer->merchant), Int64GetDatum(transfer->id), Int64GetDatum(item),
	oms_int8_array(lots, n), oms_int8_array(units, n)};

	oms_run_guarded(&statements[ST_ADD], values, NULL);
}

/* OM011: the lots named are not all the units. */
static void
check_sum(int64 item, const OmsLotUnits *lots, int n, int64 units, const char *what)
{
	int64		named = 0;
	int			i;

	for (i = 0; i < n; i++)
		named += lots[i].quantity;
	if (named != units)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("the lots of item " INT64_FORMAT " are not what %s", item, what),
				 errdetail(INT64_FORMAT " units of lots are named, of " INT64_FORMAT ".", named, units),
				 errhint("Name all of them, or none.")));
}

/* OM011: only who looks at them can tell. */
static void
error_ambiguous(int64 item, const char *what, const char *key)
{
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("it is not said which lots of item " INT64_FORMAT " %s", item, what),
			 errdetail("More than one is possible."),
			 errhint("Name them: \"%s\" beside the item; view oms.lot_in_transit shows what is on its way.", key)));
}

void
oms_transfer_name_lots(const OmsTransfer *transfer, const OmsTransferLine *lines, int n)
{
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		const OmsTransferLine *line = &lines[i];
		int64	   *lots;
		int64	   *units;

		if (line->nlots == 0)
			continue;
		oms_lot_check(transfer->merchant, line->item, oms_lot_tracking(transfer->merchant, line->item), true);
		check_sum(line->item, line->lots, line->nlots, line->quantity, "leave");
		lots = palloc(line->nlots * sizeof(int64));
		units = palloc(line->nlots * sizeof(int64));
		for (j = 0; j < line->nlots; j++)
		{
			lots[j] = oms_lot_id(transfer->merchant, line->item, line->lots[j].lot);
			units[j] = line->lots[j].quantity;
		}
		add_lots(transfer, line->item, lots, units, line->nlots);
	}
}

void
oms_transfer_choose_lots(const OmsTransfer *transfer, const OmsTransferLine *lines, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		const OmsTransferLine *line = &lines[i];
		Datum		values[4] = {Int32GetDatum(transfer->merchant), Int64GetDatum(transfer->id), Int64GetDatum(line->item),
		Int32GetDatum(transfer->from)};
		OmsGateKey	key = {transfer->merchant, transfer->from, line->item};
		int64	   *lots;
		int64	   *units;
		int64		there;
		int			nlots;

		if (oms_lot_tracking(transfer->merchant, line->item) == OMS_UNTRACKED)
			continue;
		(void) oms_transfer_lots(transfer, line->item, 0, &nlots);
		if (nlots > 0)
		{
			oms_run(&statements[ST_LOCK], values, NULL);
			if (oms_run(&statements[ST_SHORT], values, NULL) > 0)
				ereport(ERROR,
						(errcode(OMS_SHORTAGE),
						 errmsg("not so many units of lot \"%s\" of item " INT64_FORMAT " are free at location %d", oms_get_text(0, 1),
								line->item, transfer->from),
						 errdetail(INT64_FORMAT " are to leave, " INT64_FORMAT " are there that are sound and not picked.",
								   oms_get_int64(0, 2), oms_get_int64(0, 3)),
						 errhint("View oms.lot_level shows where lots lie.")));
			continue;
		}
		lots = palloc(Min(line->quantity, OMS_MOST_LOTS) * sizeof(int64));
		units = palloc(Min(line->quantity, OMS_MOST_LOTS) * sizeof(int64));
		nlots = oms_lot_choose(transfer->merchant, 0, 0, transfer->from, line->item, line->quantity, lots, units, &there);
		if (there < line->quantity)
			oms_error_shortage(&key, line->quantity, there);
		add_lots(transfer, line->item, lots, units, nlots);
	}
}

OmsTransferLine *
oms_transfer_lots(const OmsTransfer *transfer, int64 item, int room, int *n)
{
	Datum		values[3] = {Int32GetDatum(transfer->merchant), Int64GetDatum(transfer->id), Int64GetDatum(item)};
	OmsTransferLine *lots;
	int			i;

	*n = (int) oms_run(&statements[ST_LOTS], values, NULL);
	lots = palloc0((*n + room + 1) * sizeof(OmsTransferLine));
	for (i = 0; i < *n; i++)
	{
		lots[i].item = item;
		lots[i].lot = oms_get_int64(i, 1);
		lots[i].quantity = oms_get_int64(i, 2);
		lots[i].received = oms_get_int64(i, 3);
		lots[i].missing = oms_get_int64(i, 4);
	}
	return lots;
}

/* Which of the lots has the name; one that the transfer had not is added, for a surplus of it. */
static int
find_lot(const OmsTransfer *transfer, int64 item, const char *name, OmsTransferLine *lots, int *n)
{
	int64		id = oms_lot_id(transfer->merchant, item, name);
	int64		nothing = 0;
	int			i;

	for (i = 0; i < *n; i++)
		if (lots[i].lot == id)
			return i;
	lots[*n].item = item;
	lots[*n].lot = id;
	add_lots(transfer, item, &id, &nothing, 1);
	return (*n)++;
}

static int64
on_its_way(const OmsTransferLine *lot)
{
	return lot->quantity - lot->received - lot->missing;
}

/* Which lots arrive: as named, or as there is only one way to have it. */
static void
give_arriving(const OmsTransfer *transfer, const OmsTransferLine *given, OmsTransferLine *lots, OmsTransferLine *parts, int *n)
{
	int64		damaged = given->damaged;
	int64		open = 0;
	int			candidates = 0;
	int			last = 0;
	int			i;

	if (given->nlots > 0)
	{
		check_sum(given->item, given->lots, given->nlots, given->quantity, "arrives");
		for (i = given->nlots - 1; i >= 0; i--)
		{
			OmsTransferLine *part = &parts[find_lot(transfer, given->item, given->lots[i].lot, lots, n)];

			part->quantity = given->lots[i].quantity;
			part->damaged = Min(damaged, part->quantity);
			damaged -= part->damaged;
		}
		return;
	}
	for (i = 0; i < *n; i++)
		if (on_its_way(&lots[i]) > 0)
		{
			open += on_its_way(&lots[i]);
			candidates++;
			last = i;
		}
	if (*n == 1 || (candidates == 1 && given->quantity <= open))
	{
		parts[last].quantity = given->quantity;
		parts[last].damaged = damaged;
	}
	else if (given->quantity == open && (damaged == 0 || damaged == open))
	{
		for (i = 0; i < *n; i++)
		{
			parts[i].quantity = on_its_way(&lots[i]);
			parts[i].damaged = damaged == 0 ? 0 : parts[i].quantity;
		}
	}
	else if (given->quantity > 0)
		error_ambiguous(given->item, "arrive", "lots");
}

/* Which lots are missing, of those that do not arrive. */
static void
give_missing(const OmsTransfer *transfer, const OmsTransferLine *given, OmsTransferLine *lots, OmsTransferLine *parts, int *n)
{
	int64		rest = 0;
	int			candidates = 0;
	int			last = 0;
	int			i;

	if (given->nmissing > 0)
	{
		check_sum(given->item, given->missing_lots, given->nmissing, given->missing, "is missing");
		for (i = 0; i < given->nmissing; i++)
			parts[find_lot(transfer, given->item, given->missing_lots[i].lot, lots, n)].missing = given->missing_lots[i].quantity;
		return;
	}
	for (i = 0; i < *n; i++)
		if (on_its_way(&lots[i]) > parts[i].quantity)
		{
			rest += on_its_way(&lots[i]) - parts[i].quantity;
			candidates++;
			last = i;
		}
	if (candidates <= 1 || given->missing > rest)
		parts[last].missing = given->missing;
	else if (given->missing == rest)
	{
		for (i = 0; i < *n; i++)
			parts[i].missing = Max(on_its_way(&lots[i]) - parts[i].quantity, 0);
	}
	else if (given->missing > 0)
		error_ambiguous(given->item, "are missing", "missing_lots");
}

int
oms_transfer_settle_lots(const OmsTransfer *transfer, OmsTransferLine *line, const OmsTransferLine *given, bool closing, bool surplus,
						 OmsTransferLine **settled, int64 *open)
{
	int			room = given->nlots + given->nmissing;
	int			n;
	OmsTransferLine *lots = oms_transfer_lots(transfer, line->item, room, &n);
	OmsTransferLine *parts = palloc0((n + room + 1) * sizeof(OmsTransferLine));
	int			i;

	give_arriving(transfer, given, lots, parts, &n);
	give_missing(transfer, given, lots, parts, &n);
	for (i = 0; i < n; i++)
	{
		*open += oms_transfer_settle(transfer, &lots[i], &parts[i], closing, surplus);
		line->arrived += lots[i].arrived;
		line->damaged += lots[i].damaged;
		line->lost += lots[i].lost;
		line->surplus += lots[i].surplus;
	}
	*settled = lots;
	return n;
}
