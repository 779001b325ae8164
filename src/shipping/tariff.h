/*-------------------------------------------------------------------------
 * tariff.h
 *	  Compiled tariffs and the services they price.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_TARIFF_H
#define OMS_TARIFF_H

#include "shipping/rate_core.h"
#include "utils/jsonb.h"

typedef struct OmsTariff
{
	int64		tariff_id;
	char	   *name;
	char		currency[4];
	char	   *weight_unit;
	char	   *length_unit;
	TimestampTz valid_from;
	TimestampTz valid_to;
	bool		compiled;		/* rate and what follows are there */
	OmsRateTariff rate;
	int			nnames;
	char	  **zone_names;		/* sorted; position is the zone's number */
	int			nregions;
	char	  **regions;		/* sorted, upper case; position + 1 is the region's number */
	char	  **surcharge_codes;	/* same order as rate.surcharges */
} OmsTariff;

typedef struct OmsService
{
	int32		service_id;
	int32		carrier_id;
	char	   *carrier;		/* codes */
	char	   *service;
	int32		transit_days;	/* -1: not known */
	int32		preference;
	bool		active;
	int			ntariffs;
	OmsTariff  *tariffs;		/* active ones by valid_from */
} OmsService;

/*
 * Services of the merchant, by carrier and service code.  Valid until the
 * next call that may reload; see cache.h.
 */
extern OmsService *oms_services(int32 merchant, int *count);

/* The service's active tariff at an instant, or null. */
extern OmsTariff *oms_tariff_at(OmsService *service, TimestampTz at);

/* Reads zones, rates and surcharges of the tariff, when that is not done yet. */
extern void oms_tariff_compile(int32 merchant, OmsTariff *tariff);

/* The tariff's number of a region, 0 when it names no such. */
extern int32 oms_tariff_region(const OmsTariff *tariff, const char *region);

/* Upper case of a region by the rules of the default collation. */
extern char *oms_tariff_region_key(const char *region);

/*
 * The lowest price in a currency of one parcel from address to address, with
 * any active service; false when there is none, or an address has no country.
 * Raises OM003 for a malformed address, OM016 for an unusable tariff.
 */
extern bool oms_rate_cheapest(int32 merchant, Jsonb *from, Jsonb *to, int64 weight_g, TimestampTz at,
							  const char *currency, int64 *price);

/* The rows a guard has seen as draft may now be of an active tariff. */
extern void oms_tariff_guard_forget(void);

#endif							/* OMS_TARIFF_H */
