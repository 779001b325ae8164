/*-------------------------------------------------------------------------
 * item_kind.c
 *	  An item becomes another kind of item only while nothing lives by the old
 *	  one: no promise, hold, level or open line is left behind.
 *
 *	  Renaming and retiring an item, closing a location, and changing the parts
 *	  of a kit need no guard: promises know items and locations by their ids,
 *	  which never change, and lines keep the parts they were placed with.
 *
 *	  Both sides look as of now once they hold their locks, so an older snapshot
 *	  (REPEATABLE READ, SERIALIZABLE) hides neither from the other.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "lib/stringinfo.h"

#include "core/guard.h"
#include "inventory/inventory.h"

PG_FUNCTION_INFO_V1(oms_item_kind_guard);

/* Columns of item, in the order of sql/schema/20_catalogue.sql. */
enum
{
	ITEM_MERCHANT = 1, ITEM_ID, ITEM_SKU, ITEM_TITLE, ITEM_KIND
};

enum
{
	ST_LOCK,
	ST_LIVE,
	ST_CURRENT
};

static OmsStatement statements[] = {
	/* Whoever writes lines or movements by the old kind now is waited for; who comes later looks again. */
	[ST_LOCK] = {"LOCK TABLE oms.order_line, oms.stock_movement IN SHARE MODE", 0, {0}},
	/* What lives by the item's kind, and how much of each. */
	[ST_LIVE] = {
		"SELECT what, units::text FROM ("
		"SELECT 1 AS n, 'units of open order lines' AS what, (SELECT sum(l.ordered - l.cancelled - l.shipped) FROM oms.order_line l "
		"WHERE l.merchant_id = $1 AND l.item_id = $2) AS units "
		"UNION ALL SELECT 2, 'units in kits that wait', (SELECT sum(l.backordered::bigint * c.per_unit) FROM oms.order_line l "
		"JOIN oms.order_line_component c ON c.merchant_id = $1 AND c.order_id = l.order_id AND c.line_no = l.line_no AND c.item_id = $2 "
		"WHERE l.merchant_id = $1 AND l.backordered > 0) "
		"UNION ALL SELECT 3, 'units promised', (SELECT sum(r.quantity) FROM oms.reservation r WHERE r.merchant_id = $1 AND r.item_id = $2) "
		"UNION ALL SELECT 4, 'units held', (SELECT sum(h.quantity) FROM oms.stock_hold h WHERE h.merchant_id = $1 AND h.item_id = $2 "
		"AND h.counted AND (h.expires_at IS NULL OR h.expires_at > oms.clock())) "
		"UNION ALL SELECT 5, 'units on shelves or kept back', (SELECT sum(abs(s.on_hand) + s.damaged + s.quality_control + s.quarantine + s.safety) "
		"FROM oms.stock s WHERE s.merchant_id = $1 AND s.item_id = $2) "
		"UNION ALL SELECT 6, 'units on their way', (SELECT sum(t.quantity) FROM oms.stock_in_transit t WHERE t.merchant_id = $1 AND t.item_id = $2) "
		"UNION ALL SELECT 7, 'units on order', (SELECT sum(s.ordered - s.received - s.closed) FROM oms.supply_line s "
		"WHERE s.merchant_id = $1 AND s.item_id = $2 AND s.received + s.closed < s.ordered) "
		"UNION ALL SELECT 8, 'units in open returns', (SELECT sum(l.return_requested) FROM oms.order_line l "
		"WHERE l.merchant_id = $1 AND l.item_id = $2) "
		"UNION ALL SELECT 9, 'parts', (SELECT count(*) FROM oms.kit_component k WHERE k.merchant_id = $1 AND k.kit_id = $2) "
		"UNION ALL SELECT 10, 'kits that it is a part of', (SELECT count(*) FROM oms.kit_component k WHERE k.merchant_id = $1 AND k.item_id = $2)"
		") x WHERE units <> 0 ORDER BY n",
		2, {INT4OID, INT8OID}
	},
	[ST_CURRENT] = {"SELECT kind || tracking FROM oms.item WHERE merchant_id = $1 AND item_id = $2", 2, {INT4OID, INT8OID}},
};

void
oms_item_require_current(int32 merchant, int64 item)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(item)};
	char	   *seen;

	if (!IsolationUsesXactSnapshot() || oms_run(&statements[ST_CURRENT], values, NULL) == 0)
		return;
	seen = oms_get_text(0, 1);
	if (oms_run_latest(&statements[ST_CURRENT], values, NULL) == 0 || strcmp(seen, oms_get_text(0, 1)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("Item " INT64_FORMAT " has become another kind of item since the transaction began.", item),
				 errhint("Try again.")));
}

/* BEFORE UPDATE OF kind row on item, where it changes.  Raises OM008. */
Datum
oms_item_kind_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = oms_trigger_data(fcinfo);
	HeapTuple	new = trigdata->tg_newtuple;
	StringInfoData live;
	Datum		values[2];
	Datum		kind;
	bool		isnull;
	uint64		rows;
	uint64		i;

	/* No kind at all is refused by the column's constraint, which comes later. */
	kind = oms_row_get(trigdata, new, ITEM_KIND, &isnull);
	if (isnull)
		return PointerGetDatum(new);
	oms_begin_trigger(trigdata);
	oms_run(&statements[ST_LOCK], NULL, NULL);
	values[0] = oms_row_get(trigdata, trigdata->tg_trigtuple, ITEM_MERCHANT, &isnull);
	values[1] = oms_row_get(trigdata, trigdata->tg_trigtuple, ITEM_ID, &isnull);
	rows = oms_run_latest(&statements[ST_LIVE], values, NULL);
	initStringInfo(&live);
	for (i = 0; i < rows; i++)
		appendStringInfo(&live, "%s%s %s", i == 0 ? "" : ", ", oms_get_text(i, 2), oms_get_text(i, 1));
	if (rows > 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("item \"%s\" cannot become a %s item now",
						TextDatumGetCString(oms_row_get(trigdata, trigdata->tg_trigtuple, ITEM_SKU, &isnull)), TextDatumGetCString(kind)),
				 errdetail("It is %s and has %s.",
						   TextDatumGetCString(oms_row_get(trigdata, trigdata->tg_trigtuple, ITEM_KIND, &isnull)), live.data),
				 errhint("Ship, cancel or move them first; or make another item, rename this one, and give its SKU to the other.")));
	oms_end();
	return PointerGetDatum(new);
}
