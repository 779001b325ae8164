/*-------------------------------------------------------------------------
 * lot_pick.h
 *	  Which lots and serial numbers go to an order.  Bound when they are
 *	  picked; nothing here costs anything where no item is tracked.  The
 *	  caller holds the order's lock.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_LOT_PICK_H
#define OMS_LOT_PICK_H

#include "fulfilment/fulfilment.h"

/*
 * Binds lots to units that are picked: those named, else by the setting
 * lot_order.  Locks the lots it takes.  Raises OM001, OM002, OM008, OM011.
 */
extern void oms_lot_pick(const OmsOrderHead *head, const OmsFulfilment *fulfilment, const OmsUnits *units, int n);
/* The bound units into a carton: lots that are named first, then in the order they were picked. */
extern void oms_lot_pack(const OmsFulfilment *fulfilment, const OmsUnits *units, int n, int64 carton);
extern void oms_lot_unpack(const OmsFulfilment *fulfilment, int64 carton);
/* What has not left is free again. */
extern void oms_lot_unpick(const OmsFulfilment *fulfilment);
/* What is in the cartons leaves: movements, one per lot.  Raises OM008 for what may not be sold any more. */
extern void oms_lot_ship(const OmsOrderHead *head, const int64 *cartons, int n, int64 shipment, const char *actor);
/* Units of an item that are not found: the ledger loses those lots that would have been picked. */
extern void oms_lot_lose(const OmsOrderHead *head, const OmsFulfilment *fulfilment, int64 item, int64 quantity, const char *actor);

#endif							/* OMS_LOT_PICK_H */
