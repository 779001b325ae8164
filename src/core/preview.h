/*-------------------------------------------------------------------------
 * preview.h
 *	  Running commands for their difference alone.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_PREVIEW_H
#define OMS_PREVIEW_H

#include "nodes/execnodes.h"

/* Whether what is written is noted. */
extern bool oms_previewing;

/* While it is: notes what is written to the table that was opened for it.  The executor's statements are watched anyway. */
extern void oms_preview_watch(EState *estate, ResultRelInfo *info);

#endif							/* OMS_PREVIEW_H */
