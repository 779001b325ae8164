/*-------------------------------------------------------------------------
 * order_base.c
 *	  What few orders have besides: their amounts in the merchant's currency
 *	  with the rate they were placed at, and the certificate of a tax
 *	  exemption.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/guard.h"
#include "order/draft.h"

enum
{
	ST_BASE,
	ST_EXEMPT
};

static OmsStatement statements[] = {
	/* The rate in force when the order was placed; an order without one has no row. */
	[ST_BASE] = {
		"INSERT INTO oms.order_base (merchant_id, order_id, base_currency, rate, base_total, base_tax) "
		"SELECT o.merchant_id, o.order_id, m.currency, r.rate, round(o.total * r.rate, c.exponent), round(o.tax * r.rate, c.exponent) "
		"FROM oms.sales_order o JOIN oms.merchant m ON m.merchant_id = $1 JOIN oms.currency c ON c.code = m.currency "
		"CROSS JOIN LATERAL (SELECT x.rate FROM oms.exchange_rate x WHERE x.merchant_id = $1 AND x.currency = o.currency "
		"AND x.valid_from <= o.placed_at ORDER BY x.valid_from DESC LIMIT 1) r "
		"WHERE o.merchant_id = $1 AND o.order_id = ANY ($2)",
		2, {INT4OID, INT8ARRAYOID}
	},
	[ST_EXEMPT] = {
		"INSERT INTO oms.order_exemption (merchant_id, order_id, certificate) SELECT $1, o, c FROM unnest($2, $3) u (o, c)",
		3, {INT4OID, INT8ARRAYOID, TEXTARRAYOID}
	},
};

void
oms_order_base_write(OmsDraft **drafts, int n)
{
	Datum	   *ids = palloc(n * sizeof(Datum));
	Datum		values[2];
	int			count = 0;
	int			i;

	for (i = 0; i < n; i++)
		if (drafts[i]->foreign && !drafts[i]->repeated)
			ids[count++] = Int64GetDatum(drafts[i]->order_id);
	values[0] = Int32GetDatum(drafts[0]->merchant);
	values[1] = PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	oms_run_guarded(&statements[ST_BASE], values, NULL);
}

void
oms_exemptions_write(OmsDraft **drafts, int n)
{
	Datum	   *ids = palloc(n * sizeof(Datum));
	Datum	   *certificates = palloc(n * sizeof(Datum));
	Datum		values[3];
	int			count = 0;
	int			i;

	for (i = 0; i < n; i++)
		if (drafts[i]->certificate != NULL && !drafts[i]->repeated)
		{
			ids[count] = Int64GetDatum(drafts[i]->order_id);
			certificates[count++] = CStringGetTextDatum(drafts[i]->certificate);
		}
	values[0] = Int32GetDatum(drafts[0]->merchant);
	values[1] = PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = PointerGetDatum(construct_array(certificates, count, TEXTOID, -1, false, TYPALIGN_INT));
	oms_run_guarded(&statements[ST_EXEMPT], values, NULL);
}
