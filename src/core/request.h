/*-------------------------------------------------------------------------
 * request.h
 *	  Idempotent commands: the same request key answers the first result.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_REQUEST_H
#define OMS_REQUEST_H

/* What every command is told besides its own arguments. */
typedef struct OmsCall
{
	int32		merchant;
	const char *key;			/* null: none */
	const char *actor;
	const char *reason;			/* null: none */
} OmsCall;

/*
 * Usage in a command, after its own arguments are read and checked:
 *
 *		if (oms_call_repeated(fcinfo, "capture", 3, &call, &result))
 *			PG_RETURN_INT64(result);
 *		... do the work ...
 *		oms_call_done(&call, result);
 *
 * A null key does nothing.  The row is inserted first, so that a concurrent
 * duplicate waits for the first call and then answers its result.
 */

/*
 * Opens a command: reads merchant (the first argument) and request_key, actor,
 * reason (from key_argument on; those that exist), calls oms_begin() and
 * oms_command(), and claims the key.  True when the key was used before for the
 * same call: *result is the first call's and the command is closed already, it
 * just returns it.  Raises OM010, OM011, OM015.
 */
extern bool oms_call_repeated(FunctionCallInfo fcinfo, const char *command, int key_argument, OmsCall *call, int64 *result);
/* Keeps the result for repetitions and closes the command. */
extern void oms_call_done(const OmsCall *call, int64 result);

/* The parts of it, inside oms_begin(), for commands that open otherwise. */
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
