/*-------------------------------------------------------------------------
 * lookup.c
 *	  What the event domain asks before it writes.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "event/lookup.h"

enum
{
	ST_MERCHANT,
	ST_ORDER
};

static OmsStatement statements[] = {
	[ST_MERCHANT] = {"SELECT 1 FROM oms.merchant WHERE merchant_id = $1", 1, {INT4OID}},
	[ST_ORDER] = {"SELECT 1 FROM oms.sales_order WHERE merchant_id = $1 AND order_id = $2", 2, {INT4OID, INT8OID}},
};

/* Raises OM002 unless the merchant exists. */
void
oms_event_require_merchant(int32 merchant)
{
	Datum		values[1] = {Int32GetDatum(merchant)};

	if (oms_run(&statements[ST_MERCHANT], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("merchant %d does not exist", merchant),
				 errhint("Merchants are rows of oms.merchant; install() makes number 1.")));
}

/* Raises OM002 unless the merchant has the order. */
void
oms_event_require_order(int32 merchant, int64 order_id)
{
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(order_id)};

	if (oms_run(&statements[ST_ORDER], values, NULL) == 0)
		oms_error_unknown("order", merchant, order_id);
}
