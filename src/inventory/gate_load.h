/*-------------------------------------------------------------------------
 * gate_load.h
 *	  Reading a counter of the gate from the rows.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_GATE_LOAD_H
#define OMS_GATE_LOAD_H

#include "inventory/gate.h"

/* Tables behind a counter. */
#define OMS_GATE_TABLES 3

/*
 * What may still be promised by the rows that others have committed, nothing
 * of the own transaction counted.  relids: reservation, stock and stock_hold,
 * locked by the caller.  Expired holds count until they are reclaimed;
 * *expiring says that there are holds that expire.  Where prepared transactions are possible, what running ones
 * would take is taken off, and *doubtful says that there were any.
 */
extern int64 oms_gate_load(const OmsGateKey *key, const Oid *relids, bool *doubtful, bool *expiring);

#endif							/* OMS_GATE_LOAD_H */
