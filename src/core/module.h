/*-------------------------------------------------------------------------
 * module.h
 *	  Start functions that only module.c calls.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_MODULE_H
#define OMS_MODULE_H

extern void oms_clock_init(void);
extern void oms_statement_init(void);
extern void oms_cache_init(void);

#endif							/* OMS_MODULE_H */
