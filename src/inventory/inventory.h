/*-------------------------------------------------------------------------
 * inventory.h
 *	  What the files of inventory, and placing orders, share.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_INVENTORY_H
#define OMS_INVENTORY_H

#include "inventory/gate.h"

/* The largest quantity of one movement or level: far from overflow in sums. */
#define OMS_MAX_STOCK INT64CONST(1000000000000)

/* OM001: not enough stock, with what was wanted and what is there. */
extern void oms_error_shortage(const OmsGateKey *key, int64 wanted, int64 available) pg_attribute_noreturn();

#endif							/* OMS_INVENTORY_H */
