/*-------------------------------------------------------------------------
 * rate_core.c
 *	  What a parcel costs under one tariff.  See rate_core.h for the units.
 *
 * The order of computation is fixed: limits, billable weight (actual,
 * dimensional, minimum, then rounded up to the step), base by zone and weight,
 * contract discount with its minimum, accessorials, fuel, handling, tax, and
 * one rounding.
 *-------------------------------------------------------------------------
 */
#include "rate_core.h"

#include <stdlib.h>
#include <string.h>

typedef __int128 int128_t;

/* A factor as a fraction, for unit conversions that must stay exact. */
typedef struct Fraction
{
	int64_t		num;
	int64_t		den;
} Fraction;

/* Thousandths of the weight unit in one gram: 1 lb is 453.59237 g, 1 oz a sixteenth of it. */
static const Fraction weight_per_gram[] = {
	[OMS_WEIGHT_G] = {1000, 1},
	[OMS_WEIGHT_KG] = {1, 1},
	[OMS_WEIGHT_OZ] = {1600000000, 45359237},
	[OMS_WEIGHT_LB] = {100000000, 45359237}
};

/* Thousandths of the length unit in one millimetre. */
static const Fraction length_per_mm[] = {
	[OMS_LENGTH_MM] = {1000, 1},
	[OMS_LENGTH_CM] = {100, 1},
	[OMS_LENGTH_IN] = {5000, 127}
};

/*
 * A parcel's sides, longest first, as numbers that times scale give
 * thousandths of the tariff's length unit.
 */
typedef struct Sides
{
	int64_t		side[3];
	Fraction	scale;
	bool		known;
} Sides;

static int128_t
ceil_div(int128_t a, int128_t b)
{
	return (a + b - 1) / b;
}

/* Thousandths of the length unit, rounded up: for showing, not for deciding. */
static int64_t
show_length(const Sides *sides, int64_t length)
{
	return (int64_t) ceil_div((int128_t) length * sides->scale.num, sides->scale.den);
}

static bool
length_over(const Sides *sides, int64_t length, int64_t limit)
{
	return limit >= 0 && (int128_t) length * sides->scale.num > (int128_t) limit * sides->scale.den;
}

static bool
volume_over(const Sides *sides, int64_t limit)
{
	int128_t	volume = (int128_t) sides->side[0] * sides->side[1] * sides->side[2];
	int128_t	num = (int128_t) sides->scale.num * sides->scale.num * sides->scale.num;
	int128_t	den = (int128_t) sides->scale.den * sides->scale.den * sides->scale.den;

	/* side products carry thousandths cubed; the limit is thousandths of one cubic unit */
	if (limit < 0)
		return false;

	/*
	 * volume is at most 10^15 and num 1.25 * 10^11 with a denominator, or 10^9
	 * without: the product stays below 2 * 10^26.
	 */
	return volume * num > (int128_t) limit * den * (OMS_RATE_MILLI * OMS_RATE_MILLI);
}

static int64_t
girth(const Sides *sides)
{
	return sides->side[0] + 2 * (sides->side[1] + sides->side[2]);
}

static bool
weight_over(const OmsRateTariff *tariff, int64_t weight_g, int64_t limit)
{
	const Fraction *f = &weight_per_gram[tariff->weight_unit];

	return limit >= 0 && (int128_t) weight_g * f->num > (int128_t) limit * f->den;
}

/* Sides in whole units of the tariff where it rounds them, else in millimetres. */
static Sides
measure(const OmsRateTariff *tariff, const OmsRateParcel *parcel)
{
	const Fraction *f = &length_per_mm[tariff->length_unit];
	Sides		sides;

	sides.side[0] = parcel->length_mm;
	sides.side[1] = parcel->width_mm;
	sides.side[2] = parcel->height_mm;
	sides.scale = *f;
	sides.known = parcel->length_mm > 0 && parcel->width_mm > 0 && parcel->height_mm > 0;

	if (tariff->side_rounding != OMS_SIDE_EXACT)
	{
		int128_t	den = (int128_t) f->den * OMS_RATE_MILLI;

		for (int i = 0; i < 3; i++)
		{
			int128_t	num = (int128_t) sides.side[i] * f->num;

			if (tariff->side_rounding == OMS_SIDE_UP)
				sides.side[i] = (int64_t) ceil_div(num, den);
			else
				sides.side[i] = (int64_t) ((2 * num + den) / (2 * den));
		}
		sides.scale.num = OMS_RATE_MILLI;
		sides.scale.den = 1;
	}

	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2 - i; j++)
			if (sides.side[j] < sides.side[j + 1])
			{
				int64_t		swap = sides.side[j];

				sides.side[j] = sides.side[j + 1];
				sides.side[j + 1] = swap;
			}
	return sides;
}

/* Actual or dimensional weight, whichever is larger, at least `minimum`, up to the next step. */
static int64_t
billable_weight(const OmsRateTariff *tariff, const OmsRateParcel *parcel, const Sides *sides, int64_t minimum,
				bool *dimensional)
{
	const Fraction *f = &weight_per_gram[tariff->weight_unit];
	int64_t		step = tariff->weight_step;
	int128_t	steps = ceil_div((int128_t) parcel->weight_g * f->num, (int128_t) f->den * step);
	int128_t	least = ceil_div(minimum, step);

	*dimensional = false;
	if (tariff->divisor > 0 && sides->known && (tariff->volume_threshold <= 0 || volume_over(sides, tariff->volume_threshold)))
	{
		int128_t	volume = (int128_t) sides->side[0] * sides->side[1] * sides->side[2];
		int128_t	num = (int128_t) sides->scale.num * sides->scale.num * sides->scale.num;
		int128_t	den = (int128_t) sides->scale.den * sides->scale.den * sides->scale.den;
		int128_t	dim;

		/*
		 * cubic thousandths / 10^9 = cubic units; / (divisor / 1000) = weight
		 * units; * 1000 = thousandths of it.  So divide by divisor * 1000.
		 */
		dim = ceil_div(volume * num, den * tariff->divisor * OMS_RATE_MILLI * step);
		if (dim > steps)
		{
			steps = dim;
			*dimensional = true;
		}
	}
	if (least > steps)
	{
		steps = least;
		*dimensional = false;
	}
	return (int64_t) (steps * step);
}

/* Bits of the surcharges that the parcel incurs in this zone; the first of a group wins. */
static uint64_t
find_surcharges(const OmsRateTariff *tariff, const OmsRateParcel *parcel, const Sides *sides, int32_t zone, bool residential)
{
	uint64_t	bits = 0;

	for (int i = 0; i < tariff->nsurcharges; i++)
	{
		const OmsRateSurcharge *s = &tariff->surcharges[i];
		bool		applies;

		if (s->zone >= 0 && s->zone != zone)
			continue;
		applies = s->always || (s->residential && residential) ||
			weight_over(tariff, parcel->weight_g, s->over_weight) ||
			length_over(sides, sides->side[0], s->over_side) ||
			length_over(sides, sides->side[1], s->over_second) ||
			length_over(sides, girth(sides), s->over_girth) ||
			volume_over(sides, s->over_volume);
		for (int j = 0; applies && s->group != 0 && j < i; j++)
			if ((bits >> j & 1) != 0 && tariff->surcharges[j].group == s->group)
				applies = false;
		if (applies)
			bits |= UINT64_C(1) << i;
	}
	return bits;
}

static int
compare_int64(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* More specific shapes first. */
static int
compare_shape(const OmsRateZone *a, const OmsRateZone *b)
{
	int			c;

	if ((c = (int) b->postal_length - (int) a->postal_length) != 0)
		return c;
	if ((c = (b->region != 0) - (a->region != 0)) != 0)
		return c;
	if ((c = (b->country != 0) - (a->country != 0)) != 0)
		return c;
	if ((c = (int) b->origin_length - (int) a->origin_length) != 0)
		return c;
	return (b->origin_country != 0) - (a->origin_country != 0);
}

/* Within a shape: everything that is compared for equality, then the postal range. */
static int
compare_key(const OmsRateZone *a, const OmsRateZone *b)
{
	int			c;

	if ((c = compare_int64(a->country, b->country)) != 0)
		return c;
	if ((c = compare_int64(a->region, b->region)) != 0)
		return c;
	if ((c = compare_int64(a->origin_country, b->origin_country)) != 0)
		return c;
	return compare_int64(a->origin_low, b->origin_low);
}

static int
compare_zone(const void *va, const void *vb)
{
	const OmsRateZone *a = va;
	const OmsRateZone *b = vb;
	int			c;

	if ((c = compare_shape(a, b)) != 0)
		return c;
	if ((c = compare_key(a, b)) != 0)
		return c;
	if ((c = compare_int64(a->postal_low, b->postal_low)) != 0)
		return c;
	return compare_int64(a->zone, b->zone);
}

static int
compare_break(const void *va, const void *vb)
{
	const OmsRateBreak *a = va;
	const OmsRateBreak *b = vb;
	int			c;

	if ((c = compare_int64(a->zone, b->zone)) != 0)
		return c;
	return compare_int64(a->from, b->from);
}

static bool
in_range(int64_t value, int64_t low, int64_t high)
{
	return value >= low && value <= high;
}

/* Numbers within what the arithmetic was sized for. */
static bool
header_sound(const OmsRateTariff *t)
{
	const int64_t most = INT64_C(1000000000000);	/* 10^9 units in thousandths */

	return in_range(t->weight_step, 1, most) && in_range(t->minimum_weight, 0, most) &&
		in_range(t->divisor, 0, most) && in_range(t->volume_threshold, 0, most) &&
		in_range(t->max_weight, -1, most) && in_range(t->max_side, -1, most) && in_range(t->max_girth, -1, most) &&
		in_range(t->discount_ppm, 0, OMS_RATE_PPM) && in_range(t->minimum_charge, 0, OMS_RATE_MAX_PRICE) &&
		in_range(t->fuel_ppm, 0, OMS_RATE_MAX_PPM) && in_range(t->handling, 0, OMS_RATE_MAX_PRICE) &&
		in_range(t->tax_ppm, 0, OMS_RATE_MAX_PPM) && in_range(t->exponent, 0, 4) &&
		in_range(t->nsurcharges, 0, OMS_RATE_MAX_SURCHARGES);
}

OmsRateFault
oms_rate_compile(OmsRateTariff *tariff, void *(*alloc) (size_t size), int32_t *row)
{
	int32_t		highest = -1;

	*row = -1;
	tariff->nshapes = 0;
	tariff->nzone_names = 0;
	if (!header_sound(tariff))
		return OMS_RATE_FAULT_RANGE;

	for (int32_t i = 0; i < tariff->nzones; i++)
	{
		const OmsRateZone *z = &tariff->zones[i];

		*row = i;
		if (z->zone < 0 || z->region < 0 || z->postal_low > z->postal_high || z->origin_low > z->origin_high ||
			z->postal_length > OMS_RATE_POSTAL_LENGTH || z->origin_length > OMS_RATE_POSTAL_LENGTH)
			return OMS_RATE_FAULT_RANGE;
		if (z->zone > highest)
			highest = z->zone;
	}
	for (int32_t i = 0; i < tariff->nbreaks; i++)
	{
		const OmsRateBreak *b = &tariff->breaks[i];

		*row = i;
		if (b->zone < 0 || b->from < 0 || b->from >= b->to || !in_range(b->price, 0, OMS_RATE_MAX_PRICE))
			return OMS_RATE_FAULT_RANGE;
		if (b->zone > highest)
			highest = b->zone;
	}
	for (int32_t i = 0; i < tariff->nsurcharges; i++)
	{
		*row = i;
		if (!in_range(tariff->surcharges[i].amount, 0, OMS_RATE_MAX_PRICE) ||
			!in_range(tariff->surcharges[i].minimum_weight, 0, INT64_C(1000000000000)))
			return OMS_RATE_FAULT_RANGE;
	}

	if (tariff->nzones > 1)
		qsort(tariff->zones, (size_t) tariff->nzones, sizeof(OmsRateZone), compare_zone);
	if (tariff->nbreaks > 1)
		qsort(tariff->breaks, (size_t) tariff->nbreaks, sizeof(OmsRateBreak), compare_break);

	/* shapes, and no two rows equally specific for one place */
	for (int32_t i = 0; i < tariff->nzones; i++)
	{
		const OmsRateZone *z = &tariff->zones[i];
		const OmsRateZone *before = i > 0 ? &tariff->zones[i - 1] : NULL;

		*row = i;
		if (before == NULL || compare_shape(before, z) != 0)
			tariff->nshapes++;
		else if (compare_key(before, z) == 0 && before->postal_high >= z->postal_low)
			return OMS_RATE_FAULT_ZONE_OVERLAP;
	}
	tariff->shapes = alloc(sizeof(OmsRateShape) * (size_t) (tariff->nshapes > 0 ? tariff->nshapes : 1));
	tariff->zone_first = alloc(sizeof(int32_t) * (size_t) (highest + 2));
	if (tariff->shapes == NULL || tariff->zone_first == NULL)
		return OMS_RATE_FAULT_MEMORY;
	for (int32_t i = 0, n = -1; i < tariff->nzones; i++)
	{
		const OmsRateZone *z = &tariff->zones[i];

		if (i == 0 || compare_shape(&tariff->zones[i - 1], z) != 0)
		{
			OmsRateShape *shape = &tariff->shapes[++n];

			shape->first = i;
			shape->count = 0;
			shape->country = z->country != 0;
			shape->region = z->region != 0;
			shape->origin_country = z->origin_country != 0;
			shape->postal_length = z->postal_length;
			shape->origin_length = z->origin_length;
		}
		tariff->shapes[n].count++;
	}

	tariff->nzone_names = highest + 1;
	for (int32_t zone = 0, i = 0; zone <= tariff->nzone_names; zone++)
	{
		while (i < tariff->nbreaks && tariff->breaks[i].zone < zone)
			i++;
		tariff->zone_first[zone] = i;
	}
	for (int32_t i = 1; i < tariff->nbreaks; i++)
	{
		*row = i;
		if (tariff->breaks[i].zone == tariff->breaks[i - 1].zone && tariff->breaks[i - 1].to > tariff->breaks[i].from)
			return OMS_RATE_FAULT_BREAK_OVERLAP;
	}
	*row = -1;
	return OMS_RATE_SOUND;
}

/* The first `length` characters of a postal code, as the low end of that prefix. */
static int64_t
postal_prefix(int64_t code, int length)
{
	int64_t		unit = 1;

	for (int i = length; i < OMS_RATE_POSTAL_LENGTH; i++)
		unit *= 37;
	return code / unit * unit;
}

/* Whether the code has at least so many characters: a shorter one matches no longer prefix. */
static bool
postal_has(int64_t code, int length)
{
	int64_t		unit = 1;

	for (int i = length; i < OMS_RATE_POSTAL_LENGTH; i++)
		unit *= 37;
	return length == 0 || code / unit % 37 != 0;
}

const OmsRateZone *
oms_rate_find_zone(const OmsRateTariff *tariff, const OmsRatePlace *from, const OmsRatePlace *to)
{
	for (int32_t s = 0; s < tariff->nshapes; s++)
	{
		const OmsRateShape *shape = &tariff->shapes[s];
		const OmsRateZone *rows = tariff->zones + shape->first;
		OmsRateZone key;
		int32_t		low = 0;
		int32_t		high = shape->count;

		if ((shape->country && to->country == 0) || (shape->region && to->region == 0) ||
			(shape->origin_country && from->country == 0))
			continue;
		if (shape->postal_length > 0 && (!to->has_postal || !postal_has(to->postal, shape->postal_length)))
			continue;
		if (shape->origin_length > 0 && (!from->has_postal || !postal_has(from->postal, shape->origin_length)))
			continue;

		memset(&key, 0, sizeof(key));
		key.country = shape->country ? to->country : 0;
		key.region = shape->region ? to->region : 0;
		key.origin_country = shape->origin_country ? from->country : 0;
		key.origin_low = shape->origin_length > 0 ? postal_prefix(from->postal, shape->origin_length) : 0;
		key.postal_low = shape->postal_length > 0 ? to->postal : 0;

		/* the last row whose key and lower bound are not above what is sought */
		while (low < high)
		{
			int32_t		middle = low + (high - low) / 2;
			int			c = compare_key(&rows[middle], &key);

			if (c == 0)
				c = compare_int64(rows[middle].postal_low, key.postal_low);
			if (c <= 0)
				low = middle + 1;
			else
				high = middle;
		}
		if (low > 0 && compare_key(&rows[low - 1], &key) == 0 &&
			(shape->postal_length == 0 || key.postal_low <= rows[low - 1].postal_high))
			return &rows[low - 1];
	}
	return NULL;
}

const OmsRateBreak *
oms_rate_find_break(const OmsRateTariff *tariff, int32_t zone, int64_t weight)
{
	int32_t		low;
	int32_t		high;
	int32_t		first;

	if (zone < 0 || zone >= tariff->nzone_names)
		return NULL;
	first = low = tariff->zone_first[zone];
	high = tariff->zone_first[zone + 1];
	while (low < high)
	{
		int32_t		middle = low + (high - low) / 2;

		if (tariff->breaks[middle].from <= weight)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > first && weight < tariff->breaks[low - 1].to)
		return &tariff->breaks[low - 1];
	return NULL;
}

/* Price scale and three percentages: ten-thousandths of a currency unit times 10^18. */
static int64_t
round_money(const OmsRateTariff *tariff, int128_t exact)
{
	int128_t	unit = 1;
	int128_t	whole;
	int128_t	rest;
	bool		negative = exact < 0;

	for (int i = tariff->exponent; i < 22; i++)
		unit *= 10;
	if (negative)
		exact = -exact;
	whole = exact / unit;
	rest = exact % unit;
	if (2 * rest > unit || (2 * rest == unit && (tariff->half_up || whole % 2 != 0)))
		whole++;
	return (int64_t) (negative ? -whole : whole);
}

static bool
refuse(OmsRateQuote *quote, OmsRateStatus status, int parcel, int64_t value, int64_t limit)
{
	quote->status = status;
	quote->parcel = parcel;
	quote->value = value;
	quote->limit = limit;
	return false;
}

/* Billable weight, base and surcharges of one parcel; false when it is refused. */
static bool
rate_parcel(const OmsRateTariff *tariff, int32_t zone, bool residential, const OmsRateParcel *parcel, int number,
			OmsRateParcelResult *result, OmsRateQuote *quote)
{
	const Fraction *f = &weight_per_gram[tariff->weight_unit];
	const OmsRateBreak *price;
	Sides		sides;
	int64_t		minimum = tariff->minimum_weight;

	if (!in_range(parcel->weight_g, 0, OMS_RATE_MAX_WEIGHT_G) || !in_range(parcel->length_mm, 0, OMS_RATE_MAX_SIDE_MM) ||
		!in_range(parcel->width_mm, 0, OMS_RATE_MAX_SIDE_MM) || !in_range(parcel->height_mm, 0, OMS_RATE_MAX_SIDE_MM))
		return refuse(quote, OMS_RATE_BAD_INPUT, number, 0, 0);

	sides = measure(tariff, parcel);
	if (weight_over(tariff, parcel->weight_g, tariff->max_weight))
		return refuse(quote, OMS_RATE_OVER_WEIGHT, number,
					  (int64_t) ceil_div((int128_t) parcel->weight_g * f->num, f->den), tariff->max_weight);
	if (length_over(&sides, sides.side[0], tariff->max_side))
		return refuse(quote, OMS_RATE_OVER_SIDE, number, show_length(&sides, sides.side[0]), tariff->max_side);
	if (length_over(&sides, girth(&sides), tariff->max_girth))
		return refuse(quote, OMS_RATE_OVER_GIRTH, number, show_length(&sides, girth(&sides)), tariff->max_girth);

	result->surcharges = find_surcharges(tariff, parcel, &sides, zone, residential);
	for (int i = 0; i < tariff->nsurcharges; i++)
		if ((result->surcharges >> i & 1) != 0 && tariff->surcharges[i].minimum_weight > minimum)
			minimum = tariff->surcharges[i].minimum_weight;

	result->billable = billable_weight(tariff, parcel, &sides, minimum, &result->dimensional);
	price = oms_rate_find_break(tariff, zone, result->billable);
	if (price == NULL)
		return refuse(quote, OMS_RATE_NO_RATE, number, result->billable, 0);
	result->base = price->price;
	return true;
}

void
oms_rate_quote(const OmsRateTariff *tariff, const OmsRatePlace *from, const OmsRatePlace *to, bool residential,
			   const OmsRateParcel *parcels, int nparcels, OmsRateParcelResult *parcels_out, OmsRateQuote *quote)
{
	const OmsRateZone *zone;
	int128_t	base = 0;		/* ten-thousandths */
	int128_t	net = 0;		/* ... times 10^6 */
	int128_t	extra = 0;		/* ten-thousandths */
	int128_t	extra_fuelled = 0;
	int128_t	sum;
	int64_t		rounded;
	int64_t		next;

	memset(quote, 0, sizeof(*quote));
	quote->zone = -1;
	quote->transit_days = -1;
	if (nparcels < 1 || nparcels > OMS_RATE_MAX_PARCELS)
	{
		refuse(quote, OMS_RATE_BAD_INPUT, 0, 0, 0);
		return;
	}
	zone = oms_rate_find_zone(tariff, from, to);
	if (zone == NULL)
	{
		refuse(quote, OMS_RATE_NO_ZONE, 0, 0, 0);
		return;
	}
	quote->zone = zone->zone;
	quote->transit_days = zone->transit_days;

	for (int i = 0; i < nparcels; i++)
	{
		OmsRateParcelResult *result = &parcels_out[i];
		int128_t	discounted;
		int128_t	least = (int128_t) tariff->minimum_charge * OMS_RATE_PPM;

		if (!rate_parcel(tariff, zone->zone, residential, &parcels[i], i, result, quote))
			return;
		base += result->base;
		discounted = (int128_t) result->base * (OMS_RATE_PPM - tariff->discount_ppm);
		net += discounted < least ? least : discounted;
		for (int j = 0; j < tariff->nsurcharges; j++)
			if ((result->surcharges >> j & 1) != 0)
			{
				extra += tariff->surcharges[j].amount;
				if (tariff->surcharges[j].fuel)
					extra_fuelled += tariff->surcharges[j].amount;
			}
	}

	/*
	 * The exact running sum, always at the scale of round_money(); a part is
	 * the growth of the rounded sum, so parts add up to the total and the
	 * total itself is rounded once.
	 */
	{
		const int128_t million = OMS_RATE_PPM;
		const int128_t m2 = million * million;
		const int128_t m3 = m2 * million;

		sum = base * m3;
		rounded = quote->base = round_money(tariff, sum);

		sum = net * m2;
		next = round_money(tariff, sum);
		quote->discount = next - rounded;
		rounded = next;

		sum += extra * m3;
		next = round_money(tariff, sum);
		quote->accessorials = next - rounded;
		rounded = next;

		sum += (net + extra_fuelled * million) * tariff->fuel_ppm * million;
		next = round_money(tariff, sum);
		quote->fuel = next - rounded;
		rounded = next;

		sum += (int128_t) tariff->handling * m3;
		next = round_money(tariff, sum);
		quote->handling = next - rounded;
		rounded = next;

		/* exact: the sum is a multiple of a million up to here */
		sum += sum / million * tariff->tax_ppm;
		quote->total = round_money(tariff, sum);
		quote->tax = quote->total - rounded;
	}
	quote->status = OMS_RATE_OK;
}

uint16_t
oms_rate_country(const char *code)
{
	unsigned	letters[2];

	if (code == NULL || strlen(code) != 2)
		return 0;
	for (int i = 0; i < 2; i++)
	{
		letters[i] = (unsigned char) code[i];
		if (letters[i] >= 'a' && letters[i] <= 'z')
			letters[i] -= 'a' - 'A';
		if (letters[i] < 'A' || letters[i] > 'Z')
			return 0;
	}
	return (uint16_t) (letters[0] << 8 | letters[1]);
}

/* Up to OMS_RATE_POSTAL_LENGTH characters; *count says how many there are in all. */
static int64_t
postal_digits(const char *text, int *count)
{
	int64_t		code = 0;

	*count = 0;
	for (; text != NULL && *text != '\0'; text++)
	{
		int			digit;

		if (*text >= '0' && *text <= '9')
			digit = *text - '0' + 1;
		else if (*text >= 'A' && *text <= 'Z')
			digit = *text - 'A' + 11;
		else if (*text >= 'a' && *text <= 'z')
			digit = *text - 'a' + 11;
		else
			continue;
		if (++*count <= OMS_RATE_POSTAL_LENGTH)
			code = code * 37 + digit;
	}
	return code;
}

bool
oms_rate_postal_range(const char *text, int64_t *low, int64_t *high, int *length)
{
	*low = *high = postal_digits(text, length);
	if (*length == 0 || *length > OMS_RATE_POSTAL_LENGTH)
		return false;
	for (int i = *length; i < OMS_RATE_POSTAL_LENGTH; i++)
	{
		*low = *low * 37;
		*high = *high * 37 + 36;
	}
	return true;
}

bool
oms_rate_postal(const char *text, int64_t *code)
{
	int			count;

	*code = postal_digits(text, &count);
	for (int i = count; i < OMS_RATE_POSTAL_LENGTH; i++)
		*code = *code * 37;
	return count > 0;
}
