/*-------------------------------------------------------------------------
 * template.h
 *	  Message templates, compiled once per backend.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_TEMPLATE_H
#define OMS_TEMPLATE_H

#include "utils/jsonb.h"

typedef struct OmsTemplateText OmsTemplateText;

typedef struct OmsTemplate
{
	int32		channel;			/* 0: all */
	char	   *language;
	char	   *kind;
	int32		version;
	OmsTemplateText *subject;
	OmsTemplateText *body;
} OmsTemplate;

/*
 * Whether the merchant has a template of that kind at all.  Costs no query
 * once the merchant's templates are read.  Inside oms_begin().
 */
extern bool oms_template_exists(int32 merchant, const char *kind);

/*
 * The template for a channel and language, by the fallback chain, or null.
 * Valid until the next oms_template_* call.
 */
extern const OmsTemplate *oms_template_find(int32 merchant, int32 channel, const char *language, const char *kind);

/* Whether subject or body names the field. */
extern bool oms_template_names(const OmsTemplate *template, const char *field);

/* Fills in the fields of a jsonb object; a field it does not have is empty. */
extern char *oms_template_render(const OmsTemplateText *text, Jsonb *data);

#endif							/* OMS_TEMPLATE_H */
