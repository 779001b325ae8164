/*-------------------------------------------------------------------------
 * reopen.h
 *	  Closed orders that go on.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_REOPEN_H
#define OMS_REOPEN_H

/*
 * Why the units that the order's last cancellation took cannot be brought back,
 * for people; null: they can, as far as holds, stock and its workflow allow.
 */
extern char *oms_reopen_obstacle(int32 merchant, int64 order_id);

#endif							/* OMS_REOPEN_H */
