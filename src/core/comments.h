/*-------------------------------------------------------------------------
 * comments.h
 *	  Comments on the columns of views.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_COMMENTS_H
#define OMS_COMMENTS_H

/* Gives each column of a view without a comment that of the column it shows, by name. */
extern void oms_describe_views(void);

#endif							/* OMS_COMMENTS_H */
