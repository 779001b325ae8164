/*-------------------------------------------------------------------------
 * fulfilment.h
 *	  What the files of fulfilment share.  Every command locks the order
 *	  first, so all work on one order is one after the other.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_FULFILMENT_H
#define OMS_FULFILMENT_H

#include "core/money.h"
#include "core/request.h"
#include "fulfilment/promise.h"
#include "inventory/lot.h"
#include "order/order.h"
#include "utils/jsonb.h"

typedef struct OmsFulfilment
{
	int32		merchant;
	int64		fulfilment_id;
	int64		order_id;
	int32		location;
	char		state[12];
} OmsFulfilment;

/* A line and a number of its units, as commands are told. */
typedef struct OmsUnits
{
	int32		line_no;
	int32		quantity;
	int			nlots;			/* 0: not said */
	OmsLotUnits *lots;
} OmsUnits;

/* A line of a fulfilment. */
typedef struct OmsFulfilmentLine
{
	int32		line_no;
	int32		quantity;
	int32		picked;
	int32		packed;
	int32		shipped;
} OmsFulfilmentLine;

typedef enum OmsShipmentPolicy
{
	OMS_SHIP_AS_AVAILABLE,
	OMS_SHIP_LINE_COMPLETE,
	OMS_SHIP_ORDER_COMPLETE
} OmsShipmentPolicy;

/* fulfilment.c */

/* Locks the order of the fulfilment, then reads both.  OM002 when there is none. */
extern void oms_fulfilment_lock(int32 merchant, int64 fulfilment_id, OmsFulfilment *fulfilment, OmsOrderHead *head);
extern OmsFulfilmentLine *oms_fulfilment_lines(const OmsFulfilment *fulfilment, int *n);
/* The line of that number; OM002 with a hint at the view when there is none. */
extern const OmsFulfilmentLine *oms_fulfilment_line(const OmsFulfilment *fulfilment, const OmsFulfilmentLine *lines, int n,
													int32 line_no, const char *view);
/* Counts units as picked, as packed (1), or no longer (-1), in fulfilment and order, and refreshes the states. */
extern void oms_fulfilment_count(const OmsFulfilment *fulfilment, const OmsUnits *units, int n, int picked, int packed);
/* [{"line":1,"quantity":2,"lots":["S1",{"lot":"A","quantity":1}]}]; OM003 with the path where it is none, or names a line or lot twice. */
extern OmsUnits *oms_units_document(Jsonb *document, int *n);
extern Datum oms_units_lines(const OmsUnits *units, int n);
extern Datum oms_units_quantities(const OmsUnits *units, int n);
extern Datum oms_int4_array(const int32 *values, int n);
extern Datum oms_int8_array(const int64 *values, int n);
/*
 * Sets the states of the order's fulfilments from their lines.  Statements
 * here name the order beside their own key: few rows whatever else there is,
 * so that even a plan made while the tables were empty is a good one.
 */
extern void oms_fulfilment_refresh(int32 merchant, int64 order_id);
/* What the order's policy asks for at this instant. */
extern OmsShipmentPolicy oms_shipment_policy(const OmsOrderHead *head);
/* One event about the fulfilment. */
extern void oms_fulfilment_event(const OmsFulfilment *fulfilment, const char *type, const OmsUnits *units, int n,
								 int64 carton);

/* plan.c, pick.c, pack.c, ship.c: the commands' work, under the order's lock and inside oms_begin() */
extern int	oms_plan(const OmsOrderHead *head, const OmsCall *call, int64 **fulfilments);
extern int64 oms_pick(const OmsOrderHead *head, const OmsFulfilment *fulfilment, const OmsUnits *units, int n);

/* Cancels all open fulfilments of the order, for an order that is cancelled: what was picked goes back on the shelf. */
extern void oms_fulfilment_undo_all(const OmsOrderHead *head);

typedef struct OmsCartonMeasures
{
	int32		weight_g;		/* -1: not given */
	int32		length_mm;
	int32		width_mm;
	int32		height_mm;
	char	   *sscc;
} OmsCartonMeasures;

extern int64 oms_pack_units(const OmsFulfilment *fulfilment, const OmsUnits *units, int n, int64 carton,
							const OmsCartonMeasures *measures, const OmsCall *call);

#endif							/* OMS_FULFILMENT_H */
