/*-------------------------------------------------------------------------
 * rate_core.h
 *	  What a parcel costs under one tariff.  No PostgreSQL in here, so that it
 *	  can be fuzzed and timed alone: the caller fills the arrays, compiles
 *	  them once and asks as often as it likes.
 *
 * Units.  Weights of parcels are whole grams, sides whole millimetres.  A
 * tariff speaks its own units (lb and in, kg and cm ...); what it says is held
 * in thousandths of them.  Prices are ten-thousandths of the currency unit,
 * percentages parts per million.  All arithmetic is exact in 128 bits and is
 * rounded once, at the end, to the currency's smallest unit.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_RATE_CORE_H
#define OMS_RATE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OMS_RATE_MILLI			1000
#define OMS_RATE_PRICE_ONE		10000
#define OMS_RATE_PPM			1000000
#define OMS_RATE_MAX_PRICE		INT64_C(1000000000000)	/* 10^8 currency units */
#define OMS_RATE_MAX_PPM		10000000	/* 1000 % */
#define OMS_RATE_MAX_PARCELS	1000
#define OMS_RATE_MAX_WEIGHT_G	INT64_C(1000000000)
#define OMS_RATE_MAX_SIDE_MM	INT64_C(100000)
#define OMS_RATE_MAX_SURCHARGES 64
#define OMS_RATE_POSTAL_LENGTH	12

typedef enum OmsWeightUnit
{
	OMS_WEIGHT_G,
	OMS_WEIGHT_KG,
	OMS_WEIGHT_OZ,
	OMS_WEIGHT_LB
} OmsWeightUnit;

typedef enum OmsLengthUnit
{
	OMS_LENGTH_MM,
	OMS_LENGTH_CM,
	OMS_LENGTH_IN
} OmsLengthUnit;

typedef enum OmsSideRounding
{
	OMS_SIDE_EXACT,
	OMS_SIDE_HALF_UP,			/* to a whole unit, half and more up */
	OMS_SIDE_UP
} OmsSideRounding;

/*
 * One way from origin to destination.  Absent parts are 0 (countries, region)
 * or have length 0 (postal codes).  Postal codes are those of
 * oms_rate_postal_range().
 */
typedef struct OmsRateZone
{
	uint16_t	country;
	uint16_t	origin_country;
	uint8_t		postal_length;
	uint8_t		origin_length;
	int32_t		region;			/* caller's numbering, from 1 */
	int64_t		postal_low;
	int64_t		postal_high;
	int64_t		origin_low;
	int64_t		origin_high;
	int32_t		zone;			/* caller's numbering, from 0 */
	int32_t		transit_days;	/* -1: that of the service */
} OmsRateZone;

/* A price for a weight in [from, to) thousandths of the tariff's unit. */
typedef struct OmsRateBreak
{
	int32_t		zone;
	int64_t		from;
	int64_t		to;
	int64_t		price;
} OmsRateBreak;

/*
 * An accessorial: applies to a parcel when it is flat, when the address is
 * residential, or when the parcel passes one of the limits (-1: no limit).
 * Of the surcharges of one group (not 0) only the first in the array applies.
 */
typedef struct OmsRateSurcharge
{
	int32_t		zone;			/* -1: every zone */
	int32_t		group;
	int64_t		amount;
	bool		always;
	bool		residential;
	bool		fuel;			/* fuel is charged on it too */
	int64_t		over_weight;	/* actual weight */
	int64_t		over_side;		/* longest side */
	int64_t		over_second;	/* second longest side */
	int64_t		over_girth;		/* longest side + 2 * (the other two) */
	int64_t		over_volume;
	int64_t		minimum_weight; /* billable weight is at least this; 0: none */
} OmsRateSurcharge;

/* Zone rows of the same shape (which parts are given) lie together, sorted. */
typedef struct OmsRateShape
{
	int32_t		first;
	int32_t		count;
	bool		country;
	bool		region;
	bool		origin_country;
	uint8_t		postal_length;
	uint8_t		origin_length;
} OmsRateShape;

typedef struct OmsRateTariff
{
	OmsWeightUnit weight_unit;
	OmsLengthUnit length_unit;
	OmsSideRounding side_rounding;
	int64_t		weight_step;	/* billable weight rounds up to a multiple */
	int64_t		minimum_weight;
	int64_t		divisor;		/* cubic length units per weight unit; 0: no dimensional weight */
	int64_t		volume_threshold;	/* dimensional weight counts above this volume */
	int64_t		max_weight;		/* limits of what is carried; -1: none */
	int64_t		max_side;
	int64_t		max_girth;
	int64_t		discount_ppm;	/* off the base */
	int64_t		minimum_charge; /* a parcel's base after discount is at least this */
	int64_t		fuel_ppm;
	int64_t		handling;		/* once per shipment */
	int64_t		tax_ppm;
	int			exponent;		/* of the currency */
	bool		half_up;		/* else half to even */

	int32_t		nzones;			/* zone rows */
	OmsRateZone *zones;
	int32_t		nbreaks;
	OmsRateBreak *breaks;
	int32_t		nsurcharges;
	OmsRateSurcharge *surcharges;

	/* made by oms_rate_compile() */
	int32_t		nshapes;
	OmsRateShape *shapes;
	int32_t		nzone_names;	/* highest zone number + 1 */
	int32_t    *zone_first;		/* nzone_names + 1 positions in breaks */
} OmsRateTariff;

typedef struct OmsRatePlace
{
	uint16_t	country;
	int32_t		region;			/* 0: none or unknown to the tariff */
	bool		has_postal;
	int64_t		postal;
} OmsRatePlace;

typedef struct OmsRateParcel
{
	int64_t		weight_g;
	int64_t		length_mm;		/* 0: not known, no dimensional weight */
	int64_t		width_mm;
	int64_t		height_mm;
} OmsRateParcel;

typedef enum OmsRateStatus
{
	OMS_RATE_OK,
	OMS_RATE_NO_ZONE,
	OMS_RATE_OVER_WEIGHT,
	OMS_RATE_OVER_SIDE,
	OMS_RATE_OVER_GIRTH,
	OMS_RATE_NO_RATE,
	OMS_RATE_BAD_INPUT
} OmsRateStatus;

typedef struct OmsRateParcelResult
{
	int64_t		billable;		/* thousandths of the weight unit */
	bool		dimensional;	/* the dimensional weight decided */
	int64_t		base;			/* price of the break */
	uint64_t	surcharges;		/* bit i: surcharges[i] applies */
} OmsRateParcelResult;

typedef struct OmsRateQuote
{
	OmsRateStatus status;
	int			parcel;			/* refused: which parcel, from 0 */
	int64_t		value;			/* refused: what it has, thousandths */
	int64_t		limit;			/* refused: what is allowed, thousandths */
	int32_t		zone;
	int32_t		transit_days;	/* -1: not said by the zone */
	/* smallest units of the currency; the parts sum to the total */
	int64_t		base;
	int64_t		discount;		/* of contract and minimum charge; negative takes off */
	int64_t		accessorials;
	int64_t		fuel;
	int64_t		handling;
	int64_t		tax;
	int64_t		total;
} OmsRateQuote;

typedef enum OmsRateFault
{
	OMS_RATE_SOUND,
	OMS_RATE_FAULT_RANGE,		/* a number out of its range */
	OMS_RATE_FAULT_ZONE_OVERLAP,	/* two zone rows equally specific for one place */
	OMS_RATE_FAULT_BREAK_OVERLAP,	/* one weight in two breaks */
	OMS_RATE_FAULT_MEMORY
} OmsRateFault;

/*
 * Sorts zones and breaks in place and builds the search arrays with `alloc`
 * (which may return null).  *row is the faulty row after sorting.
 */
extern OmsRateFault oms_rate_compile(OmsRateTariff *tariff, void *(*alloc) (size_t size), int32_t *row);

/* The zone row that decides, or null: longest postal code, region, country, then the same of the origin. */
extern const OmsRateZone *oms_rate_find_zone(const OmsRateTariff *tariff, const OmsRatePlace *from, const OmsRatePlace *to);
extern const OmsRateBreak *oms_rate_find_break(const OmsRateTariff *tariff, int32_t zone, int64_t weight);

/* The whole sum for a shipment; `parcels_out` has as many elements as parcels. */
extern void oms_rate_quote(const OmsRateTariff *tariff, const OmsRatePlace *from, const OmsRatePlace *to,
						   bool residential, const OmsRateParcel *parcels, int nparcels,
						   OmsRateParcelResult *parcels_out, OmsRateQuote *quote);

/* Two letters, else 0. */
extern uint16_t oms_rate_country(const char *code);

/*
 * Postal codes as numbers whose order is that of the letters: upper case,
 * without blanks and punctuation.  A prefix is the range [low, high].  False
 * when longer than OMS_RATE_POSTAL_LENGTH (a range) or without any letter.
 */
extern bool oms_rate_postal_range(const char *text, int64_t *low, int64_t *high, int *length);
extern bool oms_rate_postal(const char *text, int64_t *code);

#endif							/* OMS_RATE_CORE_H */
