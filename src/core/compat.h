/*-------------------------------------------------------------------------
 * compat.h
 *	  The differences between PostgreSQL 15 and 18, and nowhere else.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_COMPAT_H
#define OMS_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "oms needs PostgreSQL 15 or later"
#endif

/* Functions that do not return: a suffix until 17, a prefix since. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* GUC extra data comes from malloc before 16. */
#if PG_VERSION_NUM < 160000
#define guc_malloc(elevel, size) malloc(size)
#endif

/* dshash_attach/create: the parameter struct gained a copy function in 17. */
#if PG_VERSION_NUM >= 170000
#define OMS_DSHASH_COPY dshash_memcpy,
#else
#define OMS_DSHASH_COPY
#endif

/* DecodeDateTime: 16 added the extra-information argument. */
#if PG_VERSION_NUM < 160000
#define OMS_DECODE_DATETIME(field, ftype, nf, dtype, tm, fsec, tz) \
	DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tz)
#else
#define OMS_DECODE_DATETIME(field, ftype, nf, dtype, tm, fsec, tz) \
	DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tz, &(DateTimeErrorExtra) {0})
#endif

/* ON CONFLICT: the index functions gained arguments in 16 and 18. */
#if PG_VERSION_NUM < 160000
#define OMS_INSERT_INDEX_TUPLES(info, slot, estate, no_error, conflict, arbiters) \
	ExecInsertIndexTuples(info, slot, estate, false, no_error, conflict, arbiters)
#else
#define OMS_INSERT_INDEX_TUPLES(info, slot, estate, no_error, conflict, arbiters) \
	ExecInsertIndexTuples(info, slot, estate, false, no_error, conflict, arbiters, false)
#endif
#if PG_VERSION_NUM < 180000
#define OMS_CHECK_INDEX_CONSTRAINTS(info, slot, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(info, slot, estate, conflict, arbiters)
#else
#define OMS_CHECK_INDEX_CONSTRAINTS(info, slot, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(info, slot, estate, conflict, &(slot)->tts_tid, arbiters)
#endif

/* An UPDATE by the executor's parts: 16 tells which indexes, 18 has more arguments and constraints that are not enforced. */
#if PG_VERSION_NUM < 160000
#define OMS_UPDATE_INDEXES bool
#define OMS_EVAL_PLAN_QUAL_INIT(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1)
#define OMS_BEFORE_UPDATE(estate, epq, info, tid, slot) ExecBRUpdateTriggers(estate, epq, info, tid, NULL, slot, NULL)
#define OMS_UPDATE_INDEX_TUPLES(info, slot, estate, indexes) \
	ExecInsertIndexTuples(info, slot, estate, true, false, NULL, NIL)
#else
#define OMS_UPDATE_INDEXES TU_UpdateIndexes
#define OMS_EVAL_PLAN_QUAL_INIT(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1, NIL)
#if PG_VERSION_NUM < 180000
#define OMS_BEFORE_UPDATE(estate, epq, info, tid, slot) ExecBRUpdateTriggers(estate, epq, info, tid, NULL, slot, NULL, NULL)
#else
#define OMS_BEFORE_UPDATE(estate, epq, info, tid, slot) ExecBRUpdateTriggers(estate, epq, info, tid, NULL, slot, NULL, NULL, false)
#endif
#define OMS_UPDATE_INDEX_TUPLES(info, slot, estate, indexes) \
	ExecInsertIndexTuples(info, slot, estate, true, false, NULL, NIL, indexes == TU_Summarizing)
#endif
#if PG_VERSION_NUM < 180000
#define OMS_CHECK_STATES(info) ((info)->ri_ConstraintExprs)
#define OMS_CHECK_IS_ENFORCED(check) true
#else
#define OMS_CHECK_STATES(info) ((info)->ri_CheckConstraintExprs)
#define OMS_CHECK_IS_ENFORCED(check) ((check).ccenforced)
#endif

/* The number of the running transaction within its backend moved in 17. */
#if PG_VERSION_NUM < 170000
#define OMS_LOCAL_TRANSACTION (MyProc->lxid)
#else
#define OMS_LOCAL_TRANSACTION (MyProc->vxid.lxid)
#endif

#endif							/* OMS_COMPAT_H */
