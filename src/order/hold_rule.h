/*-------------------------------------------------------------------------
 * hold_rule.h
 *	  Orders held by rules and block lists.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_HOLD_RULE_H
#define OMS_HOLD_RULE_H

/* Whether the merchant has anything to judge orders by: a pointer test when nobody has. */
extern bool oms_orders_are_judged(int32 merchant);

/*
 * Judges an order by rules and block lists, places the holds for what was not
 * found before, and asks for the approvals it needs; locks the order.  Returns
 * how many things were found.
 * Other judges of an order, such as a credit limit, place theirs with
 * oms_order_hold() beside it.
 */
extern int64 oms_order_judge(int32 merchant, int64 order_id, const char *actor);

#endif							/* OMS_HOLD_RULE_H */
