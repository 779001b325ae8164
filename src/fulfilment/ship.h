/*-------------------------------------------------------------------------
 * ship.h
 *	  Shipping cartons of a locked order.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_SHIP_H
#define OMS_SHIP_H

#include "fulfilment/fulfilment.h"

/* With whom, as told by the caller. */
typedef struct OmsShipping
{
	char	   *carrier;		/* codes; null: none */
	char	   *service;
	char	   *tracking_number;
	Datum		cost;			/* numeric, when cost_currency is there */
	char	   *cost_currency;
	int32		carrier_id;		/* found by oms_find_carrier(); 0: none */
	int32		service_id;
} OmsShipping;

extern void oms_find_carrier(int32 merchant, OmsShipping *shipping);
extern void oms_check_cartons(const OmsOrderHead *head, const int64 *cartons, int n, bool forward);
extern int64 oms_ship_cartons(const OmsOrderHead *head, const int64 *cartons, int ncartons, OmsShipping *shipping,
							  const OmsCall *call);
extern int64 oms_forward_cartons(const OmsOrderHead *head, const int64 *cartons, int ncartons, OmsShipping *shipping,
								 const OmsCall *call);

#endif							/* OMS_SHIP_H */
