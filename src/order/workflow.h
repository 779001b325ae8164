/*-------------------------------------------------------------------------
 * workflow.h
 *	  Workflows of merchants' own, compiled: states, each of a core state, and
 *	  the transitions between them with their guards, hooks and rights.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_WORKFLOW_H
#define OMS_WORKFLOW_H

typedef struct OmsTransition
{
	int			from;			/* index of states */
	int			to;
	char	   *action;
	char	   *guard;			/* schema.name of a function; null: none */
	char	   *before_hook;
	char	   *after_hook;
	int			nroles;			/* 0: whoever may call the command */
	char	  **roles;
} OmsTransition;

typedef struct OmsState
{
	char	   *name;
	char	   *core;			/* placed, confirmed, completed, cancelled */
} OmsState;

/* One version.  What is in the cache lives until the next call of oms_workflow() or oms_workflow_in_force(). */
typedef struct OmsWorkflow
{
	int32		workflow_id;
	int32		channel;		/* 0: all */
	TimestampTz valid_from;
	int			nstates;
	OmsState   *states;			/* in the order defined */
	int			ntransitions;
	OmsTransition *transitions; /* in the order they are asked: those with a guard first */
} OmsWorkflow;

/* The version that a new order of the channel gets; null: none, its lifecycle goes by oms.transition. */
extern const OmsWorkflow *oms_workflow_in_force(int32 merchant, int32 channel);

/* A version that an order has; OM016 when it is gone. */
extern const OmsWorkflow *oms_workflow(int32 merchant, int32 workflow_id);

/* A version as its rows say, activated or not, in the current memory context. */
extern OmsWorkflow *oms_workflow_load(int32 merchant, int32 workflow_id);

/* Index of a state by name, or the first of a core state; -1: none. */
extern int	oms_workflow_state(const OmsWorkflow *workflow, const char *name);
extern int	oms_workflow_entry(const OmsWorkflow *workflow, const char *core);

/* Whether the caller has one of the transition's roles. */
extern bool oms_transition_permitted(const OmsTransition *transition);

/* Whether the transition's guard holds for the order; OM016 when the function is gone or fails. */
extern bool oms_transition_holds(const OmsTransition *transition, int32 merchant, int64 order_id);

/* Runs a hook: what it says instead of null refuses the transition (OM008). */
extern void oms_transition_hook(const char *hook, const OmsWorkflow *workflow, const OmsTransition *transition,
								int32 merchant, int64 order_id);

/* What its hook before would refuse the transition with; null: nothing, or none is foreseen because the hook is volatile. */
extern char *oms_transition_foreseen(const OmsWorkflow *workflow, const OmsTransition *transition, int32 merchant, int64 order_id);

/*
 * Whether there is such a function: a guard (int, bigint) returning boolean, or
 * a hook (int, bigint, text, text) returning text; whose it is, and whether it
 * is volatile, so that calling it may have effects.
 */
extern bool oms_workflow_function(const char *name, bool guard, Oid *owner, bool *is_volatile);

/*
 * The transition that leads an order from a state to another (to) or, when to
 * is -1, to one of the core state or by the action: the first that the caller
 * may take and whose guard holds.  When there is none: -1, and why (a reason
 * for people), unless why is null, then it raises OM004, OM008 or 42501.
 */
extern int	oms_workflow_choose(const OmsWorkflow *workflow, int32 merchant, int64 order_id, int from, int to,
								const char *core, const char *action, const char **why);

#endif							/* OMS_WORKFLOW_H */
