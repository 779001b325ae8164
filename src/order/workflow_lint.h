/*-------------------------------------------------------------------------
 * workflow_lint.h
 *	  What is wrong with a workflow.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_WORKFLOW_LINT_H
#define OMS_WORKFLOW_LINT_H

#include "order/workflow.h"

typedef struct OmsFinding
{
	const char *finding;
	const char *state;			/* null: none */
	const char *path;			/* null: none */
	const char *detail;
} OmsFinding;

typedef struct OmsFindings
{
	int			n;
	int			max;
	OmsFinding *all;
} OmsFindings;

extern void oms_workflow_lint(const OmsWorkflow *workflow, OmsFindings *findings);

#endif							/* OMS_WORKFLOW_LINT_H */
