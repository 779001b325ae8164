/*-------------------------------------------------------------------------
 * request.h
 *	  Idempotent commands: the same request key answers the first result.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_REQUEST_H
#define OMS_REQUEST_H

/*
 * Usage in a command, inside oms_begin():
 *
 *		if (oms_request_seen(merchant, key, "capture", hash, &result))
 *			return result of the first call;
 *		... do the work ...
 *		oms_request_done(merchant, key, result);
 *
 * A null key does nothing.  The row is inserted first, so that a concurrent
 * duplicate waits for the first call and then answers its result.
 */
extern uint64 oms_hash_bytes(uint64 hash, const void *bytes, size_t length);
extern uint64 oms_hash_text(uint64 hash, const char *text);
extern uint64 oms_hash_int64(uint64 hash, int64 value);
/* Hash of all arguments but the request key itself. */
extern uint64 oms_hash_arguments(FunctionCallInfo fcinfo, int key_argument);
/* The same with the result known beforehand: one write less. */
extern bool oms_request_claim(int32 merchant, const char *key, const char *command, uint64 hash, int64 *result);
extern bool oms_request_seen(int32 merchant, const char *key, const char *command, uint64 hash, int64 *result);
extern void oms_request_done(int32 merchant, const char *key, int64 result);

#endif							/* OMS_REQUEST_H */
