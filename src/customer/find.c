/*-------------------------------------------------------------------------
 * find.c
 *	  Finding orders by what a customer says: one text, every indexed way.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "catalog/pg_collation.h"
#include "mb/pg_wchar.h"
#include "utils/formatting.h"

PG_FUNCTION_INFO_V1(oms_find_orders);

#define MAX_ROWS	1000

/* E-mail addresses and names are found by their beginning, if that has so many characters. */
#define MIN_PREFIX	3

enum
{
	ST_FIND
};

#define FOUND_NCOLUMNS 15

static OmsStatement statements[] = {
	/*
	 * $2 as given, $3 and $4 bounds of the lower-case prefix (null: too
	 * short), $5 orders below that id, $6 rows.
	 */
	[ST_FIND] = {
		"WITH found AS ("
		" SELECT o.order_id, 'number' AS found_by FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.number = $2 "
		" UNION ALL "
		" SELECT o.order_id, 'number' FROM oms.channel c "
		"  JOIN oms.sales_order o ON o.merchant_id = c.merchant_id AND o.channel_id = c.channel_id AND o.number IS NULL "
		"   AND o.order_id = CASE WHEN starts_with($2, c.number_prefix) AND substr($2, length(c.number_prefix) + 1) ~ '^[1-9][0-9]{0,17}$' "
		"    THEN substr($2, length(c.number_prefix) + 1)::bigint END "
		"  WHERE c.merchant_id = $1 "
		" UNION ALL "
		" SELECT o.order_id, 'external reference' FROM oms.channel c "
		"  JOIN oms.sales_order o ON o.merchant_id = c.merchant_id AND o.channel_id = c.channel_id AND o.external_ref = $2 "
		"  WHERE c.merchant_id = $1 "
		" UNION ALL "
		" SELECT s.order_id, 'tracking number' FROM oms.shipment s WHERE s.merchant_id = $1 AND s.tracking_number = $2 "
		" UNION ALL "
		" SELECT o.order_id, 'e-mail' FROM oms.sales_order o "
		"  WHERE o.merchant_id = $1 AND lower(o.email) ~>=~ $3 AND lower(o.email) ~<~ $4 "
		" UNION ALL "
		" SELECT o.order_id, 'e-mail' FROM oms.customer u "
		"  JOIN oms.sales_order o ON o.merchant_id = u.merchant_id AND o.customer_id = u.customer_id "
		"  WHERE u.merchant_id = $1 AND lower(u.email) ~>=~ $3 AND lower(u.email) ~<~ $4 "
		" UNION ALL "
		" SELECT o.order_id, 'name' FROM oms.customer u "
		"  JOIN oms.sales_order o ON o.merchant_id = u.merchant_id AND o.customer_id = u.customer_id "
		"  WHERE u.merchant_id = $1 AND lower(u.name) ~>=~ $3 AND lower(u.name) ~<~ $4 "
		" UNION ALL "
		" SELECT o.order_id, 'name' FROM oms.sales_order o "
		"  WHERE o.merchant_id = $1 AND o.customer_id IS NULL "
		"  AND lower(o.ship_to ->> 'name') ~>=~ $3 AND lower(o.ship_to ->> 'name') ~<~ $4), "
		"page AS ("
		" SELECT f.order_id, string_agg(DISTINCT f.found_by, ', ' ORDER BY f.found_by) AS found_by "
		" FROM found f WHERE f.order_id < $5 GROUP BY f.order_id ORDER BY f.order_id DESC LIMIT $6) "
		"SELECT o.order_id, coalesce(o.number, c.number_prefix || o.order_id), o.external_ref, c.code, o.placed_at, "
		"coalesce(o.ship_to ->> 'name', u.name), coalesce(o.email, u.email), o.lifecycle, o.payment_state, o.fulfilment_state, "
		"o.return_state, o.on_hold, o.total, o.currency, p.found_by "
		"FROM page p "
		"JOIN oms.sales_order o ON o.merchant_id = $1 AND o.order_id = p.order_id "
		"JOIN oms.channel c ON c.merchant_id = o.merchant_id AND c.channel_id = o.channel_id "
		"LEFT JOIN oms.customer u ON u.merchant_id = o.merchant_id AND u.customer_id = o.customer_id "
		"ORDER BY o.order_id DESC",
		6, {INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID}
	},
};

/*
 * SQL: find_orders(merchant, search, max_rows, before) -> orders, newest first.
 * Every branch of the query is an index scan; the next page is asked for with
 * the last order_id as before.
 */
Datum
oms_find_orders(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	char	   *search = oms_arg_text(fcinfo, 1, "search", OMS_KEY_LENGTH);
	int32		max_rows = oms_arg_int32(fcinfo, 2, "max_rows");
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[6];
	char		nulls[7] = "      ";
	uint64		rows;

	if (max_rows < 1 || max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"%s\" is out of range", "max_rows"),
				 errdetail("%d was given; 1 to %d are allowed.", max_rows, MAX_ROWS)));
	values[0] = Int32GetDatum(merchant);
	values[1] = CStringGetTextDatum(search);
	if (pg_mbstrlen(search) >= MIN_PREFIX)
	{
		char	   *from = str_tolower(search, strlen(search), DEFAULT_COLLATION_OID);

		/* Above every text that begins so: the last code point, or the last byte of a one-byte encoding. */
		values[2] = CStringGetTextDatum(from);
		values[3] = CStringGetTextDatum(psprintf("%s%s", from,
												 GetDatabaseEncoding() == PG_UTF8 ? "\xF4\x8F\xBF\xBF" : "\xFF"));
	}
	else
	{
		values[2] = values[3] = (Datum) 0;
		nulls[2] = nulls[3] = 'n';
	}
	values[4] = Int64GetDatum(PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_INT64(3));
	values[5] = Int64GetDatum(max_rows);
	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	rows = oms_run(&statements[ST_FIND], values, nulls);
	for (uint64 row = 0; row < rows; row++)
	{
		Datum		out[FOUND_NCOLUMNS];
		bool		isnull[FOUND_NCOLUMNS];

		for (int i = 0; i < FOUND_NCOLUMNS; i++)
			out[i] = oms_get(row, i + 1, &isnull[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, out, isnull);
	}
	oms_end();
	return (Datum) 0;
}
