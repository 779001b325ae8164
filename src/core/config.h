/*-------------------------------------------------------------------------
 * config.h
 *	  The compiled configuration of a merchant: channels, taxes, transitions,
 *	  currencies.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_CONFIG_H
#define OMS_CONFIG_H

#include "core/money_core.h"

typedef enum OmsAllocation
{
	OMS_ALLOCATE_STRICT,
	OMS_ALLOCATE_BACKORDER,
	OMS_ALLOCATE_NONE
} OmsAllocation;

/* When an order's stock is asked for. */
typedef enum OmsReserve
{
	OMS_RESERVE_PLACEMENT,
	OMS_RESERVE_CONFIRMATION,
	OMS_RESERVE_MANUAL,
	OMS_RESERVE_SHIP_DATE
} OmsReserve;

/* What of an order is promised all or not at all. */
typedef enum OmsWhole
{
	OMS_WHOLE_NO,
	OMS_WHOLE_LINE,
	OMS_WHOLE_ORDER
} OmsWhole;

/* What is asked of a price that is given and is not the listed one. */
typedef enum OmsOverride
{
	OMS_OVERRIDE_FREE,			/* nothing, and it is not kept */
	OMS_OVERRIDE_KEEP,			/* nothing, but it is kept */
	OMS_OVERRIDE_REASON			/* a reason and the right */
} OmsOverride;

typedef struct OmsChannel
{
	int32		merchant;
	int32		channel;
	char	   *code;
	char		currency[4];
	int			exponent;
	char	   *language;
	char	   *number_prefix;
	bool		tax_included;
	bool		foreign;		/* another currency than the merchant's */
	bool		active;
	bool		confirm;		/* setting confirmation = auto */
	OmsRounding rounding;
	OmsAllocation allocation;
	OmsReserve	reserve;
	int			reserve_days;
	OmsWhole	whole;
	OmsOverride override;
	int			nlocations;
	int32	   *locations;		/* active ones, by priority, then id */
} OmsChannel;

/*
 * Null when there is none.  Pointers live until the next call of a function of
 * this header: never hold one over SQL.
 */
extern const OmsChannel *oms_channel(int32 merchant, int32 channel);
extern const OmsChannel *oms_channel_by_code(int32 merchant, const char *code);

/* Rate scaled by 10^OMS_PRICE_SCALE; most specific of (class, country, region) wins, 0 when no rule. */
extern int64 oms_tax_rate(int32 merchant, const char *tax_class, const char *country, const char *region);

/* Id of a location by code; OM002. */
extern int32 oms_location_id(int32 merchant, const char *code);

/* The action that leads from one lifecycle state to another, or null. */
extern const char *oms_transition_action(int32 merchant, const char *from, const char *to);

/* A setting's effective value: channel, else merchant, else default; OM002 when there is no such setting. */
extern const char *oms_setting(int32 merchant, int32 channel, const char *name);

#endif							/* OMS_CONFIG_H */
