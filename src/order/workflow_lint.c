/*-------------------------------------------------------------------------
 * workflow_lint.c
 *	  What is wrong with a workflow: found by walking its states from the start
 *	  and back from its ends, each finding with the way to it.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/acl.h"

#include "order/workflow_lint.h"

/* One walk: for each state the transition it was first reached by, -1 at the beginning, -2 when it was not. */
typedef struct Walk
{
	int		   *by;
	int		   *queue;
	int			head;
	int			tail;
} Walk;

static Walk
walk_begin(const OmsWorkflow *workflow)
{
	Walk		walk = {palloc((workflow->nstates + 1) * sizeof(int)), palloc((workflow->nstates + 1) * sizeof(int)), 0, 0};

	for (int i = 0; i < workflow->nstates; i++)
		walk.by[i] = -2;
	return walk;
}

static void
walk_reach(Walk *walk, int state, int by)
{
	if (walk->by[state] != -2)
		return;
	walk->by[state] = by;
	walk->queue[walk->tail++] = state;
}

/* Follows the transitions, or goes them backward, until nothing new comes. */
static void
walk_on(const OmsWorkflow *workflow, Walk *walk, bool backward)
{
	while (walk->head < walk->tail)
	{
		int			state = walk->queue[walk->head++];

		for (int i = 0; i < workflow->ntransitions; i++)
		{
			const OmsTransition *transition = &workflow->transitions[i];

			if ((backward ? transition->to : transition->from) == state)
				walk_reach(walk, backward ? transition->from : transition->to, i);
		}
	}
}

/* The way a walk came to the state. */
static char *
way_to(const OmsWorkflow *workflow, const Walk *walk, int state)
{
	char	   *path = workflow->states[state].name;

	while (walk->by[state] >= 0)
	{
		state = workflow->transitions[walk->by[state]].from;
		path = psprintf("%s -> %s", workflow->states[state].name, path);
	}
	return path;
}

static bool
is_final(const OmsState *state)
{
	return strcmp(state->core, "completed") == 0 || strcmp(state->core, "cancelled") == 0;
}

/* Whether a lifecycle ever makes that step; the table of the core lifecycle, said once more because it never changes. */
static bool
is_core_step(const char *from, const char *to)
{
	return strcmp(from, to) == 0 ||
		(strcmp(from, "placed") == 0 && (strcmp(to, "confirmed") == 0 || strcmp(to, "cancelled") == 0)) ||
		(strcmp(from, "confirmed") == 0 && (strcmp(to, "completed") == 0 || strcmp(to, "cancelled") == 0)) ||
		(strcmp(from, "cancelled") == 0 && strcmp(to, "placed") == 0) || (strcmp(from, "completed") == 0 && strcmp(to, "confirmed") == 0);
}

static void
add(OmsFindings *findings, const char *finding, const char *state, const char *path, const char *detail)
{
	OmsFinding *one;

	if (findings->n == findings->max)
	{
		findings->max = findings->max * 2 + 8;
		findings->all = findings->all == NULL ? palloc(findings->max * sizeof(OmsFinding)) :
			repalloc(findings->all, findings->max * sizeof(OmsFinding));
	}
	one = &findings->all[findings->n++];
	one->finding = finding;
	one->state = state;
	one->path = path;
	one->detail = detail;
}

/* Functions and roles that a transition names and that are not there. */
static void
check_names(OmsFindings *findings, const OmsTransition *transition, const char *state, const char *path)
{
	const char *functions[] = {transition->guard, transition->before_hook, transition->after_hook};
	Oid			owner;
	bool		is_volatile;

	for (int i = 0; i < lengthof(functions); i++)
		if (functions[i] != NULL && !oms_workflow_function(functions[i], i == 0, &owner, &is_volatile))
			add(findings, "function", state, path,
				psprintf(i == 0 ? "there is no guard %s (int, bigint) returning boolean" :
						 "there is no hook %s (int, bigint, text, text) returning text", functions[i]));
	for (int i = 0; i < transition->nroles; i++)
		if (!OidIsValid(get_role_oid(transition->roles[i], true)))
			add(findings, "role", state, path, psprintf("there is no role \"%s\"", transition->roles[i]));
}

void
oms_workflow_lint(const OmsWorkflow *workflow, OmsFindings *findings)
{
	int			start = oms_workflow_entry(workflow, "placed");
	Walk		there = walk_begin(workflow);
	Walk		back = walk_begin(workflow);

	memset(findings, 0, sizeof(*findings));
	if (start < 0)
	{
		add(findings, "no_start", NULL, NULL, "no state is of core state placed");
		return;
	}
	walk_reach(&there, start, -1);
	walk_on(workflow, &there, false);
	for (int i = 0; i < workflow->nstates; i++)
		if (is_final(&workflow->states[i]))
			walk_reach(&back, i, -1);
	walk_on(workflow, &back, true);

	for (int i = 0; i < workflow->nstates; i++)
	{
		char	   *name = workflow->states[i].name;

		if (there.by[i] == -2)
		{
			/* The chain of states before it, as far as there is one, none of which the start leads to. */
			Walk		before = walk_begin(workflow);
			int			first;

			walk_reach(&before, i, -1);
			walk_on(workflow, &before, true);
			first = before.queue[before.tail - 1];
			{
				StringInfoData path;
				int			at = first;

				initStringInfo(&path);
				appendStringInfoString(&path, workflow->states[at].name);
				while (before.by[at] >= 0)
				{
					at = workflow->transitions[before.by[at]].to;
					appendStringInfo(&path, " -> %s", workflow->states[at].name);
				}
				add(findings, "unreachable", name, path.data,
					psprintf("no way leads to it from %s", workflow->states[start].name));
			}
		}
		else if (back.by[i] == -2)
			add(findings, "trapped", name, way_to(workflow, &there, i), "no way leads on to a completed or cancelled state");
	}
	for (int i = 0; i < workflow->ntransitions; i++)
	{
		const OmsTransition *a = &workflow->transitions[i];
		const OmsState *from = &workflow->states[a->from];
		const OmsState *to = &workflow->states[a->to];
		char	   *path = there.by[a->from] == -2 ? from->name : way_to(workflow, &there, a->from);

		if (!is_core_step(from->core, to->core))
			add(findings, "core", from->name, psprintf("%s -> %s", path, to->name),
				psprintf("no lifecycle goes from %s to %s", from->core, to->core));
		check_names(findings, a, from->name, psprintf("%s -> %s", path, to->name));
		for (int j = i + 1; j < workflow->ntransitions; j++)
		{
			const OmsTransition *b = &workflow->transitions[j];

			if (a->from == b->from && strcmp(a->action, b->action) == 0 &&
				strcmp(a->guard ? a->guard : "", b->guard ? b->guard : "") == 0)
				add(findings, "ambiguous", from->name, path,
					psprintf("action %s leads to %s and to %s, %s", a->action, to->name, workflow->states[b->to].name,
							 a->guard ? psprintf("both by guard %s", a->guard) : "both without a guard"));
		}
	}
}
