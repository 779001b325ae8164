/*-------------------------------------------------------------------------
 * order.h
 *	  What other domains may ask of an order.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_ORDER_H
#define OMS_ORDER_H

typedef struct OmsOrderHead
{
	int32		merchant;
	int64		order_id;
	int32		channel;
	int64		customer_id;	/* 0: guest */
	char		currency[4];
	int			exponent;
	bool		tax_included;
	bool		on_hold;
	char		lifecycle[24];
	char		payment_state[24];
	char		fulfilment_state[24];
	char		return_state[24];
	int64		total;			/* minor units */
	int64		shipping;
	int64		cancelled_total;
	int32		workflow;		/* 0: none, oms.transition counts */
	const char *state;			/* of its workflow; lives until oms_end() */
} OmsOrderHead;

/*
 * Locks the order row (FOR NO KEY UPDATE) and reads it: the first thing every
 * command on an order does.  Lock order everywhere: customer, order, payment.
 * Raises OM002 when there is no such order, 40001 when another transaction did
 * something to it after the snapshot of a REPEATABLE READ one.
 */
extern void oms_order_lock(int32 merchant, int64 order_id, OmsOrderHead *head);

/* The tables that an order's rows are in. */
typedef enum OmsOrderTable
{
	OMS_ORDER_ROW, OMS_ORDER_LINES, OMS_ORDER_CHARGES, OMS_ORDER_HOLDS
} OmsOrderTable;

/* Its rows in one of them, by number, as oms_run() gives rows; columns as in columns.h. */
extern uint64 oms_order_read(OmsOrderTable table, int32 merchant, int64 order_id);

/*
 * Refuses (OM005, naming the hold) when an open hold blocks the step: confirm,
 * pick, ship, capture, refund, cancel, edit; or when pick or ship wait for money.
 */
extern void oms_order_require_no_hold(const OmsOrderHead *head, const char *step);

/* The same as a question, for money that follows goods. */
extern bool oms_order_is_held(const OmsOrderHead *head, const char *step);

/* Refuses (OM008) unless the order is confirmed (or completed) and has not expired unpaid; doing is a gerund: "picking". */
extern void oms_order_require_live(const OmsOrderHead *head, const char *doing);

/* Places a hold with the default steps; an open one of the kind is returned instead. */
extern int64 oms_order_hold(const OmsOrderHead *head, const char *kind, const char *reason, const char *actor);

/* The same that blocks the steps of a text array. */
extern int64 oms_order_hold_steps(const OmsOrderHead *head, const char *kind, const char *reason, Datum blocks, const char *actor);

/* Releases the open hold of a kind; false when there is none. */
extern bool oms_order_release(const OmsOrderHead *head, const char *kind, const char *actor, const char *reason);

/* Confirms a placed order that nothing holds and its workflow lets, where its channel confirms by itself. */
extern void oms_order_confirm_if_free(int32 merchant, int64 order_id, const char *actor);
/* The same, whatever the channel does. */
extern void oms_order_confirm_unless_held(int32 merchant, int64 order_id, const char *actor);

/*
 * Cancels all units of a locked order that may be cancelled: planned work ends,
 * promises are released, authorizations voided, captures refunded.
 */
extern void oms_order_cancel(const OmsOrderHead *head, const char *actor, const char *reason);

/*
 * Recomputes the derived columns of the order from lines, charges, holds and
 * payments, and writes what differs.  Changes of lines and holds come here by
 * trigger; payments call it.
 */
extern void oms_order_refresh(int32 merchant, int64 order_id);
/* The same where only payments changed. */
extern void oms_order_refresh_payment(int32 merchant, int64 order_id);

/* Moves an order to a lifecycle state, or to a state of its workflow; the guard on sales_order has the last word. */
extern void oms_order_move(const OmsOrderHead *head, const char *to, bool own, const char *actor, const char *reason,
						   const char *correlation);

/* The next id of oms.order_id_seq. */
extern int64 oms_next_order_id(void);

#endif							/* OMS_ORDER_H */
