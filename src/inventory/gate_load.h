/*-------------------------------------------------------------------------
 * gate_load.h
 *	  Reading a counter of the gate from the rows.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_GATE_LOAD_H
#define OMS_GATE_LOAD_H

#include "inventory/gate.h"

/* Tables behind a counter. */
#define OMS_GATE_TABLES 4

/* What the rows say. */
typedef struct OmsGateFigure
{
	int64		counter;		/* what may still be promised */
	bool		doubtful;		/* less what running transactions may take: there were any */
	bool		expiring;		/* there are holds that expire; they count until they are reclaimed */
	TimestampTz deadline;		/* when it falls by time alone; PG_INT64_MAX: never */
} OmsGateFigure;

/*
 * What may still be promised by the rows that others have committed, nothing
 * of the own transaction counted.  relids: reservation, stock, stock_hold and
 * lot_stock, locked by the caller.  Where prepared transactions are possible, what
 * running ones would take is taken off.
 */
extern void oms_gate_load(const OmsGateKey *key, const Oid *relids, OmsGateFigure *figure);

#endif							/* OMS_GATE_LOAD_H */
