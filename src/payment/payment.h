/*-------------------------------------------------------------------------
 * payment.h
 *	  What other domains may ask of payments: money follows goods.
 *
 * All of these expect the order to be locked (oms_order_lock) and run inside
 * oms_begin().  None of them talks to a gateway: they write intents, which a
 * worker carries out, and none raises for a payment that cannot do it: a
 * payment problem never un-ships and never un-cancels.  What could not be
 * asked for stays visible in the view payment_balance (due, refund_due).
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PAYMENT_H
#define OMS_PAYMENT_H

#include "order/order.h"

/* amount for oms_payment_capture_share: "the share of what has shipped". */
#define OMS_SHIPPED_SHARE	INT64CONST(-1)

/*
 * Capture on ship.  Call after the counters of the shipped lines are written.
 *
 * With OMS_SHIPPED_SHARE the captured sum is brought to the exact value of all
 * units shipped so far (oms_units_share of each line) plus the charges in
 * proportion; with an amount, that much is captured.  Either way the shipment
 * that leaves no unit open takes the remainder of what the order owes.
 *
 * Takes the order's payments in the order of their ids, each up to what it may
 * still capture.  Does nothing while a hold blocks "capture".  Returns what was
 * asked for, in minor units; 0 when nothing is authorized or all is captured.
 */
extern int64 oms_payment_capture_share(const OmsOrderHead *head, int64 amount,
									   const char *cause_kind, int64 cause_id, const char *actor);

/*
 * Gives back after a cancellation.  Call after the cancelled counters (and
 * cancelled charges, if any) are written.
 *
 * Void before capture, refund after: authorizations not needed any more are
 * voided first, newest payment first, and what remains is refunded, newest
 * payment first again.  Never gives back more than the order's payments hold
 * beyond what it still owes, so an order that was not paid in full, or a second
 * call, does nothing.  The refund writes a row of oms.refund and a message.
 * Returns what was voided plus what was refunded, in minor units.
 */
extern int64 oms_payment_void_or_refund(const OmsOrderHead *head, int64 amount,
										const char *cause_kind, int64 cause_id,
										const char *actor, const char *reason);

/*
 * The same after the order's total became less, by an amount with that much
 * tax in it: the refund's cause is edit.
 */
extern int64 oms_payment_less_owed(const OmsOrderHead *head, int64 amount, int64 tax, const char *cause_kind, int64 cause_id,
								   const char *actor, const char *reason);

/* What the locked order still owes beyond what is captured, authorized or asked for. */
extern int64 oms_payment_to_pay(const OmsOrderHead *head);

/*
 * Moves a share of what is captured and authorized to payments of another
 * order, both locked: by what each order is to owe, largest remainder.  The
 * facts are authorization_moved and capture_moved; nothing is asked of gateways.
 */
extern void oms_payment_move_share(const OmsOrderHead *from, const OmsOrderHead *to, int64 keeps, int64 gets, const char *actor);

/* Makes all payments of an order those of another, both locked. */
extern void oms_payment_move_all(const OmsOrderHead *from, const OmsOrderHead *to);

#endif							/* OMS_PAYMENT_H */
