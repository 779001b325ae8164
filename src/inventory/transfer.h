/*-------------------------------------------------------------------------
 * transfer.h
 *	  What the files of transfers share.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_TRANSFER_H
#define OMS_TRANSFER_H

#include "inventory/lot.h"

typedef struct OmsTransfer
{
	int32		merchant;
	int64		id;
	int32		from;
	int32		to;
	char		state[12];
	const char *actor;
} OmsTransfer;

/* An item of a transfer, or a lot of it, and what is done with it now. */
typedef struct OmsTransferLine
{
	int64		item;
	int64		lot;			/* 0: the item as a whole */
	int64		quantity;		/* leaves, or as given: arrives */
	int64		received;		/* before */
	int64		missing;		/* before, or as given */
	/* as given, where the item is tracked: */
	OmsLotUnits *lots;			/* which leave or arrive */
	int			nlots;
	OmsLotUnits *missing_lots;
	int			nmissing;
	/* now: */
	int64		arrived;
	int64		damaged;
	int64		lost;			/* negative: found again */
	int64		surplus;
} OmsTransferLine;

/*
 * What is given of a line means for it: first units on their way arrive, then
 * those that were declared missing, and what is more is a surplus; with closing
 * the rest is lost.  Returns what stays on its way.  Raises OM007.
 */
extern int64 oms_transfer_settle(const OmsTransfer *transfer, OmsTransferLine *line, const OmsTransferLine *given, bool closing,
								 bool surplus);

/*
 * transfer_lot.c.  The lots that lines of a new transfer name are kept.  Raises
 * OM002, OM011.
 */
extern void oms_transfer_name_lots(const OmsTransfer *transfer, const OmsTransferLine *lines, int n);
/*
 * Lots for the lines that name none, by the settings, as for an order without a
 * customer; those named must be free.  Locks them.  Raises OM001.
 */
extern void oms_transfer_choose_lots(const OmsTransfer *transfer, const OmsTransferLine *lines, int n);
/* The lots of an item of the transfer, in the order of their ids, with room for so many more. */
extern OmsTransferLine *oms_transfer_lots(const OmsTransfer *transfer, int64 item, int room, int *n);
/*
 * What is given of an item settled lot by lot; the line gets the sums.
 * *settled are its lots, as many as returned; *open is raised by what stays on
 * its way.  Raises OM002, OM007, OM011.
 */
extern int	oms_transfer_settle_lots(const OmsTransfer *transfer, OmsTransferLine *line, const OmsTransferLine *given, bool closing,
									 bool surplus, OmsTransferLine **settled, int64 *open);

#endif							/* OMS_TRANSFER_H */
