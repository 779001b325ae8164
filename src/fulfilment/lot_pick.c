/*-------------------------------------------------------------------------
 * lot_pick.c
 *	  Lots and serial numbers on their way to an order: chosen when picked,
 *	  put into cartons, gone with a shipment.
 *
 *	  Promises know no lots, so that promising locks nothing.  Here the rows
 *	  of lot_stock that are taken are locked, until the pick commits.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/config.h"
#include "core/guard.h"
#include "fulfilment/lot_pick.h"
#include "inventory/inventory.h"

enum
{
	ST_NEEDS,
	ST_NAMED,
	ST_BIND,
	ST_PACK,
	ST_UNPACK,
	ST_UNPICK,
	ST_LEAVE
};

static OmsStatement statements[] = {
	/* what the units take of tracked items, kits by their parts */
	[ST_NEEDS] = {
		"SELECT v.line_no, i.item_id, i.sku, v.units::bigint * coalesce(c.per_unit, 1) "
		"FROM unnest($3::int[], $4::int[]) v(line_no, units) "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = v.line_no "
		"JOIN oms.item i ON i.merchant_id = $1 AND i.item_id = coalesce(c.item_id, l.item_id) "
		"WHERE i.tracking <> 'none' ORDER BY 2, 1",
		4, {INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID}
	},
	[ST_NAMED] = {
		"SELECT s.lot_id, s.on_hand - s.damaged - s.quality_control - s.quarantine - s.picked, s.stopped OR s.sell_by <= $4 "
		"FROM oms.lot t JOIN oms.lot_stock s ON s.merchant_id = $1 AND s.item_id = $2 AND s.location_id = $3 AND s.lot_id = t.lot_id "
		"WHERE t.merchant_id = $1 AND t.item_id = $2 AND t.lot = $5 FOR UPDATE OF s",
		5, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, TEXTOID}
	},
	[ST_BIND] = {
		"WITH chosen AS (SELECT lot_id, quantity FROM unnest($8::bigint[], $9::bigint[]) v(lot_id, quantity)), "
		"counted AS (UPDATE oms.lot_stock s SET picked = s.picked + c.quantity FROM chosen c WHERE s.merchant_id = $1 "
		"AND s.item_id = $2 AND s.location_id = $3 AND s.lot_id = c.lot_id) "
		"INSERT INTO oms.lot_pick (merchant_id, location_id, item_id, lot_id, order_id, line_no, fulfilment_id, quantity, picked_at, actor) "
		"SELECT $1, $3, $2, lot_id, $5, $6, $7, quantity, $4, $10 FROM chosen",
		10, {INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID, INT4OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID, TEXTOID}
	},
	/* whole rows get the carton; the last one may have to be cut in two */
	[ST_PACK] = {
		"WITH need AS (SELECT v.line_no, coalesce(c.item_id, l.item_id) AS item_id, v.units::bigint * coalesce(c.per_unit, 1) AS quantity "
		"FROM unnest($4::int[], $5::int[]) v(line_no, units) "
		"JOIN oms.order_line l ON l.merchant_id = $1 AND l.order_id = $2 AND l.line_no = v.line_no "
		"LEFT JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = $2 AND c.line_no = v.line_no), "
		"take AS (SELECT p.*, least(p.quantity, greatest(0, n.quantity - (sum(p.quantity) OVER (PARTITION BY p.line_no, p.item_id "
		"ORDER BY t.lot = ANY ($7) DESC, p.lot_pick_id) - p.quantity)))::bigint AS take FROM oms.lot_pick p "
		"JOIN need n ON n.line_no = p.line_no AND n.item_id = p.item_id "
		"JOIN oms.lot t ON t.merchant_id = $1 AND t.item_id = p.item_id AND t.lot_id = p.lot_id "
		"WHERE p.merchant_id = $1 AND p.order_id = $2 AND p.fulfilment_id = $3 AND p.carton_id IS NULL), "
		"whole AS (UPDATE oms.lot_pick p SET carton_id = $6 FROM take k WHERE p.merchant_id = $1 AND p.lot_pick_id = k.lot_pick_id "
		"AND k.take = k.quantity), "
		"cut AS (UPDATE oms.lot_pick p SET quantity = p.quantity - k.take FROM take k WHERE p.merchant_id = $1 "
		"AND p.lot_pick_id = k.lot_pick_id AND k.take > 0 AND k.take < k.quantity) "
		"INSERT INTO oms.lot_pick (merchant_id, location_id, item_id, lot_id, order_id, line_no, fulfilment_id, quantity, carton_id, "
		"picked_at, actor) SELECT merchant_id, location_id, item_id, lot_id, order_id, line_no, fulfilment_id, take, $6, picked_at, actor "
		"FROM take WHERE take > 0 AND take < quantity",
		7, {INT4OID, INT8OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT8OID, TEXTARRAYOID}
	},
	[ST_UNPACK] = {
		"UPDATE oms.lot_pick SET carton_id = NULL WHERE merchant_id = $1 AND order_id = $2 AND carton_id = $3",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_UNPICK] = {
		"WITH gone AS (DELETE FROM oms.lot_pick WHERE merchant_id = $1 AND order_id = $2 AND fulfilment_id = $3 "
		"AND shipment_id IS NULL RETURNING location_id, item_id, lot_id, quantity) "
		"UPDATE oms.lot_stock s SET picked = s.picked - g.quantity "
		"FROM (SELECT location_id, item_id, lot_id, sum(quantity) AS quantity FROM gone GROUP BY 1, 2, 3) g "
		"WHERE s.merchant_id = $1 AND s.item_id = g.item_id AND s.location_id = g.location_id AND s.lot_id = g.lot_id",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_LEAVE] = {
		"WITH gone AS (UPDATE oms.lot_pick SET shipment_id = $5 WHERE merchant_id = $1 AND order_id = $2 AND carton_id = ANY ($3) "
		"RETURNING location_id, item_id, lot_id, quantity), "
		"part AS (SELECT location_id, item_id, lot_id, sum(quantity)::bigint AS quantity FROM gone GROUP BY 1, 2, 3), "
		"counted AS (UPDATE oms.lot_stock s SET picked = s.picked - p.quantity FROM part p WHERE s.merchant_id = $1 "
		"AND s.item_id = p.item_id AND s.location_id = p.location_id AND s.lot_id = p.lot_id) "
		"INSERT INTO oms.stock_movement (merchant_id, location_id, item_id, kind, quantity, cause, source_kind, source_id, actor, at, lot_id) "
		"SELECT $1, location_id, item_id, 'shipment', -quantity, 'shipped for an order', 'shipment', $5, $6, $4, lot_id FROM part "
		"ORDER BY item_id, location_id, lot_id",
		6, {INT4OID, INT8OID, INT8ARRAYOID, TIMESTAMPTZOID, INT8OID, TEXTOID}
	},
};

/* Units of a tracked item that a line needs. */
typedef struct Need
{
	int32		line_no;
	int64		item;
	char	   *sku;
	int64		quantity;
} Need;

static const char *
who(void)
{
	const OmsCommand *command = oms_current_command();

	return command != NULL && command->actor != NULL ? command->actor : oms_calling_role();
}

static void
refuse_shortage(const OmsFulfilment *fulfilment, const char *sku, int64 wanted, int64 there)
{
	ereport(ERROR,
			(errcode(OMS_SHORTAGE),
			 errmsg("not so many units of item \"%s\" can be picked at location %d", sku, fulfilment->location),
			 errdetail(INT64_FORMAT " are wanted; lots that may be sold have " INT64_FORMAT " left.", wanted, there),
			 errhint("Name other lots, or let the units be backordered: short_pick() with adjust => false.")));
}

/* The lots that the line names and the item has, locked; 0 when it names none of the item. */
static int
take_named(const OmsFulfilment *fulfilment, const Need *need, const OmsUnits *line, int64 *lots, int64 *units, int64 *there)
{
	Datum		values[5];
	int			n = 0;
	int			i;

	values[0] = Int32GetDatum(fulfilment->merchant);
	values[1] = Int64GetDatum(need->item);
	values[2] = Int32GetDatum(fulfilment->location);
	values[3] = TimestampTzGetDatum(oms_now());
	*there = 0;
	for (i = 0; i < line->nlots; i++)
	{
		OmsLotUnits *named = &line->lots[i];

		values[4] = CStringGetTextDatum(named->lot);
		if (named->used || oms_run(&statements[ST_NAMED], values, NULL) == 0)
			continue;
		if (oms_get_bool(0, 3))
			ereport(ERROR,
					(errcode(OMS_STATE),
					 errmsg("lot \"%s\" of item \"%s\" may not be sold", named->lot, need->sku),
					 errdetail("It is expired, blocked or recalled."),
					 errhint("Pick another one; view oms.lot_level shows them.")));
		if (oms_get_int64(0, 2) < named->quantity)
			refuse_shortage(fulfilment, need->sku, named->quantity, oms_get_int64(0, 2));
		named->used = true;
		lots[n] = oms_get_int64(0, 1);
		units[n++] = named->quantity;
		*there += named->quantity;
	}
	if (n > 0 && *there != need->quantity)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("the lots of line %d are not what is picked of item \"%s\"", need->line_no, need->sku),
				 errdetail(INT64_FORMAT " units are picked, " INT64_FORMAT " are named.", need->quantity, *there),
				 errhint("Name all of them, or none.")));
	return n;
}

void
oms_lot_pick(const OmsOrderHead *head, const OmsFulfilment *fulfilment, const OmsUnits *units, int n)
{
	Datum		values[10];
	Need	   *needs;
	int			nneeds = 0;
	int			i;
	int			j;

	if (oms_lots_used(fulfilment->merchant))
	{
		values[0] = Int32GetDatum(fulfilment->merchant);
		values[1] = Int64GetDatum(fulfilment->order_id);
		values[2] = oms_units_lines(units, n);
		values[3] = oms_units_quantities(units, n);
		nneeds = (int) oms_run(&statements[ST_NEEDS], values, NULL);
	}
	needs = palloc((nneeds + 1) * sizeof(Need));
	for (i = 0; i < nneeds; i++)
		needs[i] = (Need) {oms_get_int32(i, 1), oms_get_int64(i, 2), pstrdup(oms_get_text(i, 3)), oms_get_int64(i, 4)};
	for (i = 0; i < nneeds; i++)
	{
		const Need *need = &needs[i];
		const OmsUnits *line = units;
		int64	   *lots;
		int64	   *taken;
		int64		there;
		int			nlots;

		while (line->line_no != need->line_no)
			line++;
		lots = palloc((Min(need->quantity, OMS_MOST_LOTS) + line->nlots) * sizeof(int64));
		taken = palloc((Min(need->quantity, OMS_MOST_LOTS) + line->nlots) * sizeof(int64));
		nlots = take_named(fulfilment, need, line, lots, taken, &there);
		if (nlots == 0)
			nlots = oms_lot_choose(head->merchant, head->channel, head->customer_id, fulfilment->location, need->item, need->quantity,
								   lots, taken, &there);
		if (there < need->quantity)
			refuse_shortage(fulfilment, need->sku, need->quantity, there);
		values[1] = Int64GetDatum(need->item);
		values[2] = Int32GetDatum(fulfilment->location);
		values[3] = TimestampTzGetDatum(oms_now());
		values[4] = Int64GetDatum(fulfilment->order_id);
		values[5] = Int32GetDatum(need->line_no);
		values[6] = Int64GetDatum(fulfilment->fulfilment_id);
		values[7] = oms_int8_array(lots, nlots);
		values[8] = oms_int8_array(taken, nlots);
		values[9] = CStringGetTextDatum(who());
		oms_run_guarded(&statements[ST_BIND], values, NULL);
	}
	for (i = 0; i < n; i++)
		for (j = 0; j < units[i].nlots; j++)
			if (!units[i].lots[j].used)
				ereport(ERROR,
						(errcode(OMS_UNKNOWN),
						 errmsg("line %d has no lot \"%s\" at location %d", units[i].line_no, units[i].lots[j].lot, fulfilment->location),
						 errhint("View oms.lot_level shows where lots lie.")));
}

void
oms_lot_pack(const OmsFulfilment *fulfilment, const OmsUnits *units, int n, int64 carton)
{
	Datum		values[7];
	Datum	   *named;
	int			count = 0;
	int			i;
	int			j;

	if (!oms_lots_used(fulfilment->merchant))
		return;
	for (i = 0; i < n; i++)
		count += units[i].nlots;
	named = palloc((count + 1) * sizeof(Datum));
	for (i = 0, count = 0; i < n; i++)
		for (j = 0; j < units[i].nlots; j++)
			named[count++] = CStringGetTextDatum(units[i].lots[j].lot);
	values[0] = Int32GetDatum(fulfilment->merchant);
	values[1] = Int64GetDatum(fulfilment->order_id);
	values[2] = Int64GetDatum(fulfilment->fulfilment_id);
	values[3] = oms_units_lines(units, n);
	values[4] = oms_units_quantities(units, n);
	values[5] = Int64GetDatum(carton);
	values[6] = PointerGetDatum(construct_array(named, count, TEXTOID, -1, false, TYPALIGN_INT));
	oms_run_guarded(&statements[ST_PACK], values, NULL);
}

void
oms_lot_unpack(const OmsFulfilment *fulfilment, int64 carton)
{
	Datum		values[3] = {Int32GetDatum(fulfilment->merchant), Int64GetDatum(fulfilment->order_id), Int64GetDatum(carton)};

	if (oms_lots_used(fulfilment->merchant))
		oms_run_guarded(&statements[ST_UNPACK], values, NULL);
}

void
oms_lot_unpick(const OmsFulfilment *fulfilment)
{
	Datum		values[3] = {Int32GetDatum(fulfilment->merchant), Int64GetDatum(fulfilment->order_id),
		Int64GetDatum(fulfilment->fulfilment_id)};

	if (oms_lots_used(fulfilment->merchant))
		oms_run_guarded(&statements[ST_UNPICK], values, NULL);
}

void
oms_lot_ship(const OmsOrderHead *head, const int64 *cartons, int n, int64 shipment, const char *actor)
{
	Datum		values[6];

	if (!oms_lots_used(head->merchant))
		return;
	values[0] = Int32GetDatum(head->merchant);
	values[1] = Int64GetDatum(head->order_id);
	values[2] = oms_int8_array(cartons, n);
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = Int64GetDatum(shipment);
	values[5] = CStringGetTextDatum(actor);
	oms_run_guarded(&statements[ST_LEAVE], values, NULL);
}

void
oms_lot_lose(const OmsOrderHead *head, const OmsFulfilment *fulfilment, int64 item, int64 quantity, const char *actor)
{
	int64	   *lots = palloc(Min(quantity, OMS_MOST_LOTS) * sizeof(int64));
	int64	   *units = palloc(Min(quantity, OMS_MOST_LOTS) * sizeof(int64));
	int64		there;
	int			n = oms_lot_choose(head->merchant, head->channel, head->customer_id, fulfilment->location, item, quantity, lots, units,
								   &there);
	int			i;

	if (there < quantity)
		refuse_shortage(fulfilment, oms_catalogue_item(head->merchant, item)->sku, quantity, there);
	for (i = 0; i < n; i++)
		(void) oms_stock_move(&(OmsMove) {
			.key = {head->merchant, fulfilment->location, item}, .kind = "adjustment", .quantity = -units[i],
			.cause = "short pick", .source_kind = "fulfilment", .source_id = fulfilment->fulfilment_id,
			.actor = actor, .lot = lots[i]
		});
}
