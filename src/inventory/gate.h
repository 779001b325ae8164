/*-------------------------------------------------------------------------
 * gate.h
 *	  The escrow gate: what may still be promised of an item at a location,
 *	  as a counter in shared memory.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_GATE_H
#define OMS_GATE_H

/* No padding: hashed and compared as bytes. */
typedef struct OmsGateKey
{
	int32		merchant;
	int32		location;
	int64		item;
} OmsGateKey;

/*
 * Takes quantity for the running transaction; false when there is not so much.
 * *available (may be null) is what there was.  What was taken and is not
 * consumed by a row of reservation goes back when the transaction ends.
 */
extern bool oms_gate_take(const OmsGateKey *key, int64 quantity, int64 *available);

/* Takes although it goes below zero: physical facts. */
extern void oms_gate_take_forced(const OmsGateKey *key, int64 quantity);

/* Gives back: usable by this transaction at once, by others from commit on. */
extern void oms_gate_give(const OmsGateKey *key, int64 quantity);

/*
 * Gives back what a row that counts since an instant took, whether it was there
 * or not: of it only what was there is usable by this transaction.  OM015 as
 * for taking, for the counter must have come to count the row.
 */
extern void oms_gate_give_covered(const OmsGateKey *key, int64 quantity);

/* What this transaction could take now. */
extern int64 oms_gate_available(const OmsGateKey *key);

/*
 * What any other transaction could take now, without pinning or loading the
 * counter; false when it is not in memory, cannot be believed as it is, or
 * counts holds that may have expired.
 */
extern bool oms_gate_peek(const OmsGateKey *key, int64 *available);

/*
 * Sets a counter that is not in use to zero, whatever was left of it in memory:
 * its rows are only now being written.  OM015 when somebody uses it.
 */
extern void oms_gate_restart(const OmsGateKey *key);

/* A hold with an expiry was written: a shortage is worth a look for expired ones. */
extern void oms_gate_expiring(const OmsGateKey *key);

/* Whether a hold of the key may have expired. */
extern bool oms_gate_may_reclaim(const OmsGateKey *key);

/*
 * A row was written that makes the figure fall at an instant, by time alone
 * (it takes from then on, or offers until then): once it has come the counter
 * is read from the rows again before anything is taken from it.
 */
extern void oms_gate_deadline(const OmsGateKey *key, TimestampTz deadline);

/*
 * Keeps the counter in memory beyond the transaction, for holds that live in
 * this backend.  Units are kept once the transaction that took them has
 * committed.  Unpinning needs no transaction, ends keeping and gives units
 * back at once.
 */
typedef struct OmsGateEntry OmsGateEntry;
extern OmsGateEntry *oms_gate_pin(const OmsGateKey *key);
extern void oms_gate_kept(OmsGateEntry *pinned, int64 quantity);
extern void oms_gate_unpin(OmsGateEntry *pinned, int64 kept, int64 back);

/* Drops every counter that no transaction uses: they are read from the rows again. */
extern void oms_gate_forget(void);

extern void oms_gate_init(void);

#endif							/* OMS_GATE_H */
