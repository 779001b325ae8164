/*
 * The pure rating core against a slow and plain twin of it, on random tariffs
 * and parcels, and on cases worked out by hand.  Prints TAP.
 *
 *	rate_test [seed]
 */
#include "shipping/rate_core.c"

#include <stdio.h>
#include <time.h>

static int	tests;
static int	failed;

static void
ok(bool good, const char *what)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++tests, what);
	failed += !good;
}

/* A small generator of its own, so that a seed says the same everywhere. */
static uint64_t seed = 1;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int64_t
pick(int64_t low, int64_t high)
{
	return low + (int64_t) (next_random() % (uint64_t) (high - low + 1));
}

static void
release(OmsRateTariff *t)
{
	free(t->shapes);
	free(t->zone_first);
	t->shapes = NULL;
	t->zone_first = NULL;
}

static OmsRateTariff
empty_tariff(void)
{
	OmsRateTariff t;

	memset(&t, 0, sizeof(t));
	t.weight_unit = OMS_WEIGHT_LB;
	t.length_unit = OMS_LENGTH_IN;
	t.side_rounding = OMS_SIDE_HALF_UP;
	t.weight_step = 1000;
	t.max_weight = t.max_side = t.max_girth = -1;
	t.exponent = 2;
	return t;
}

static OmsRateSurcharge
no_surcharge(void)
{
	OmsRateSurcharge s;

	memset(&s, 0, sizeof(s));
	s.zone = -1;
	s.over_weight = s.over_side = s.over_second = s.over_girth = s.over_volume = -1;
	return s;
}

/* ---- the twin: scans, no sorting, fractions written out ---- */

/* How many characters a code has. */
static int
twin_length(int64_t code)
{
	int			length = OMS_RATE_POSTAL_LENGTH;

	while (length > 0 && code % 37 == 0)
	{
		code /= 37;
		length--;
	}
	return length;
}

static bool
twin_zone_matches(const OmsRateZone *z, const OmsRatePlace *from, const OmsRatePlace *to)
{
	if (z->country && z->country != to->country)
		return false;
	if (z->region && z->region != to->region)
		return false;
	if (z->origin_country && z->origin_country != from->country)
		return false;
	if (z->postal_length && (!to->has_postal || to->postal < z->postal_low || to->postal > z->postal_high ||
							 twin_length(to->postal) < z->postal_length))
		return false;
	if (z->origin_length && (!from->has_postal || from->postal < z->origin_low || from->postal > z->origin_high))
		return false;
	return true;
}

static const OmsRateZone *
twin_find_zone(const OmsRateTariff *t, const OmsRatePlace *from, const OmsRatePlace *to)
{
	const OmsRateZone *best = NULL;
	int64_t		best_score = -1;

	for (int i = 0; i < t->nzones; i++)
	{
		const OmsRateZone *z = &t->zones[i];
		int64_t		score = z->postal_length * 10000 + (z->region ? 2000 : 0) + (z->country ? 1000 : 0) +
			z->origin_length * 10 + (z->origin_country ? 1 : 0);

		if (twin_zone_matches(z, from, to) && score > best_score)
		{
			best = z;
			best_score = score;
		}
	}
	return best;
}

static const OmsRateBreak *
twin_find_break(const OmsRateTariff *t, int32_t zone, int64_t weight)
{
	for (int i = 0; i < t->nbreaks; i++)
		if (t->breaks[i].zone == zone && t->breaks[i].from <= weight && weight < t->breaks[i].to)
			return &t->breaks[i];
	return NULL;
}

/* The exact price of a quote as an integer of 10^-22, from the parcels' results. */
static __int128
twin_exact(const OmsRateTariff *t, const OmsRateParcelResult *r, int n)
{
	__int128	total = 0;

	for (int i = 0; i < n; i++)
	{
		__int128	net = (__int128) r[i].base * (1000000 - t->discount_ppm);

		if (net < (__int128) t->minimum_charge * 1000000)
			net = (__int128) t->minimum_charge * 1000000;
		total += net * (1000000 + t->fuel_ppm);
		for (int j = 0; j < t->nsurcharges; j++)
			if (r[i].surcharges >> j & 1)
				total += (__int128) t->surcharges[j].amount * 1000000 *
					(1000000 + (t->surcharges[j].fuel ? t->fuel_ppm : 0));
	}
	total += (__int128) t->handling * 1000000 * 1000000;
	return total * (1000000 + t->tax_ppm);
}

static bool
twin_rounds_to(const OmsRateTariff *t, __int128 exact, int64_t minor)
{
	__int128	unit = 1;
	__int128	off;

	for (int i = t->exponent; i < 22; i++)
		unit *= 10;
	off = exact - (__int128) minor * unit;
	if (2 * off == unit)
		return !t->half_up && minor % 2 == 0;
	if (2 * off == -unit)
		return t->half_up || minor % 2 == 0;
	return 2 * off < unit && 2 * off > -unit;
}

/* ---- random tariffs ---- */

static const char *const countries[] = {"US", "CA", "GB", "DE"};

static void
random_postal(char *text, int length)
{
	for (int i = 0; i < length; i++)
		text[i] = "01289ABZ"[pick(0, 7)];
	text[length] = '\0';
}

static void
random_zone(OmsRateZone *z)
{
	char		text[16];
	char		other[16];
	int			length;
	int64_t		low;
	int64_t		high;

	memset(z, 0, sizeof(*z));
	z->zone = (int32_t) pick(0, 5);
	z->transit_days = (int32_t) pick(-1, 9);
	if (pick(0, 4) > 0)
	{
		z->country = oms_rate_country(countries[pick(0, 3)]);
		z->region = (int32_t) (pick(0, 2) == 0 ? pick(1, 3) : 0);
		if (pick(0, 1))
		{
			random_postal(text, (int) pick(1, 3));
			memcpy(other, text, sizeof(other));
			if (pick(0, 1))
				random_postal(other, (int) strlen(text));
			oms_rate_postal_range(text, &z->postal_low, &high, &length);
			oms_rate_postal_range(other, &low, &z->postal_high, &length);
			if (z->postal_low > z->postal_high)
				oms_rate_postal_range(text, &z->postal_low, &z->postal_high, &length);
			z->postal_length = (uint8_t) length;
		}
	}
	if (pick(0, 2) == 0)
	{
		z->origin_country = oms_rate_country(countries[pick(0, 3)]);
		if (pick(0, 1))
		{
			random_postal(text, (int) pick(1, 2));
			oms_rate_postal_range(text, &z->origin_low, &z->origin_high, &length);
			z->origin_length = (uint8_t) length;
		}
	}
}

static bool
zones_clash(const OmsRateZone *a, const OmsRateZone *b)
{
	return a->country == b->country && a->region == b->region && a->origin_country == b->origin_country &&
		a->postal_length == b->postal_length && a->origin_length == b->origin_length && a->origin_low == b->origin_low &&
		a->postal_low <= b->postal_high && b->postal_low <= a->postal_high;
}

static OmsRatePlace
random_place(void)
{
	OmsRatePlace p;
	char		text[16];

	memset(&p, 0, sizeof(p));
	if (pick(0, 9) > 0)
		p.country = oms_rate_country(countries[pick(0, 3)]);
	p.region = (int32_t) pick(0, 3);
	random_postal(text, (int) pick(0, 5));
	p.has_postal = oms_rate_postal(text, &p.postal);
	return p;
}

static OmsRateTariff
random_tariff(void)
{
	OmsRateTariff t = empty_tariff();
	int			zones = (int) pick(0, 40);

	t.weight_unit = (OmsWeightUnit) pick(0, 3);
	t.length_unit = (OmsLengthUnit) pick(0, 2);
	t.side_rounding = (OmsSideRounding) pick(0, 2);
	t.weight_step = pick(0, 2) == 0 ? 1 : pick(1, 2000);
	t.minimum_weight = pick(0, 3) == 0 ? pick(0, 5000) : 0;
	t.divisor = pick(0, 1) ? pick(1, 6000000) : 0;
	t.volume_threshold = pick(0, 1) ? pick(0, 3000000) : 0;
	t.discount_ppm = pick(0, 1) ? pick(0, 1000000) : 0;
	t.minimum_charge = pick(0, 1) ? pick(0, 100000) : 0;
	t.fuel_ppm = pick(0, 1) ? pick(0, 400000) : 0;
	t.handling = pick(0, 1) ? pick(0, 50000) : 0;
	t.tax_ppm = pick(0, 1) ? pick(0, 250000) : 0;
	t.exponent = (int) pick(0, 3);
	t.half_up = pick(0, 1);
	if (pick(0, 3) == 0)
		t.max_weight = pick(0, 500000);
	if (pick(0, 3) == 0)
		t.max_side = pick(0, 3000000);
	if (pick(0, 3) == 0)
		t.max_girth = pick(0, 6000000);

	t.zones = malloc(sizeof(OmsRateZone) * 41);
	for (int i = 0; i < zones; i++)
	{
		OmsRateZone z;
		bool		clash = false;

		random_zone(&z);
		for (int j = 0; j < t.nzones; j++)
			clash |= zones_clash(&z, &t.zones[j]);
		if (!clash)
			t.zones[t.nzones++] = z;
	}

	t.breaks = malloc(sizeof(OmsRateBreak) * 6 * 30);
	for (int32_t zone = 0; zone < 6; zone++)
	{
		int64_t		from = pick(0, 2) == 0 ? pick(0, 3000) : 0;
		int			rows = (int) pick(0, 25);

		for (int i = 0; i < rows; i++)
		{
			OmsRateBreak *b = &t.breaks[t.nbreaks++];

			b->zone = zone;
			b->from = from;
			b->to = from + pick(1, 20000);
			b->price = pick(0, 2000000);
			from = b->to + (pick(0, 9) == 0 ? pick(1, 500) : 0);
		}
	}
	/* the order given does not matter */
	for (int i = t.nbreaks - 1; i > 0; i--)
	{
		int			j = (int) pick(0, i);
		OmsRateBreak swap = t.breaks[i];

		t.breaks[i] = t.breaks[j];
		t.breaks[j] = swap;
	}

	t.nsurcharges = (int32_t) pick(0, 6);
	t.surcharges = malloc(sizeof(OmsRateSurcharge) * 7);
	for (int i = 0; i < t.nsurcharges; i++)
	{
		OmsRateSurcharge *s = &t.surcharges[i];

		*s = no_surcharge();
		s->zone = (int32_t) pick(-1, 5);
		s->group = (int32_t) pick(0, 2);
		s->amount = pick(0, 500000);
		s->fuel = pick(0, 1);
		s->always = pick(0, 5) == 0;
		s->residential = pick(0, 3) == 0;
		if (pick(0, 3) == 0)
			s->over_weight = pick(0, 100000);
		if (pick(0, 3) == 0)
			s->over_side = pick(0, 100000);
		if (pick(0, 3) == 0)
			s->over_second = pick(0, 100000);
		if (pick(0, 3) == 0)
			s->over_girth = pick(0, 200000);
		if (pick(0, 3) == 0)
			s->over_volume = pick(0, 9000000);
		s->minimum_weight = pick(0, 3) == 0 ? pick(0, 90000) : 0;
	}
	return t;
}

static void
drop(OmsRateTariff *t)
{
	release(t);
	free(t->zones);
	free(t->breaks);
	free(t->surcharges);
}

static void
test_random(void)
{
	int			quotes = 0;
	int			priced = 0;
	int			compile_bad = 0,
				zone_bad = 0,
				break_bad = 0,
				parts_bad = 0,
				round_bad = 0,
				order_bad = 0,
				less_bad = 0;

	for (int round = 0; round < 1500; round++)
	{
		OmsRateTariff t = random_tariff();
		int32_t		row;

		if (oms_rate_compile(&t, malloc, &row) != OMS_RATE_SOUND)
		{
			compile_bad++;
			drop(&t);
			continue;
		}
		for (int i = 0; i < 40; i++)
		{
			OmsRatePlace from = random_place();
			OmsRatePlace to = random_place();
			OmsRateParcel parcels[5];
			OmsRateParcelResult results[5];
			OmsRateParcel swapped[5];
			OmsRateParcelResult swapped_results[5];
			OmsRateQuote quote;
			OmsRateQuote other;
			int			n = (int) pick(1, 5);
			int64_t		weight = pick(0, 1) ? pick(0, 600000) : t.nbreaks ? t.breaks[pick(0, t.nbreaks - 1)].to - pick(0, 1) : 0;
			int32_t		zone = (int32_t) pick(0, 6);

			zone_bad += oms_rate_find_zone(&t, &from, &to) != twin_find_zone(&t, &from, &to);
			break_bad += oms_rate_find_break(&t, zone, weight) != twin_find_break(&t, zone, weight);

			for (int p = 0; p < n; p++)
			{
				parcels[p].weight_g = pick(0, 3) ? pick(0, 30000) : pick(0, 500);
				parcels[p].length_mm = pick(0, 4) ? pick(0, 900) : 0;
				parcels[p].width_mm = pick(0, 900);
				parcels[p].height_mm = pick(0, 900);
			}
			quotes++;
			oms_rate_quote(&t, &from, &to, pick(0, 1), parcels, n, results, &quote);
			if (quote.status != OMS_RATE_OK)
				continue;
			priced++;
			parts_bad += quote.base + quote.discount + quote.accessorials + quote.fuel + quote.handling + quote.tax != quote.total;
			round_bad += !twin_rounds_to(&t, twin_exact(&t, results, n), quote.total);

			/* neither the order of parcels nor that of a parcel's sides changes the price */
			oms_rate_quote(&t, &from, &to, true, parcels, n, results, &quote);
			for (int p = 0; p < n; p++)
			{
				swapped[p].weight_g = parcels[n - 1 - p].weight_g;
				swapped[p].length_mm = parcels[n - 1 - p].height_mm;
				swapped[p].width_mm = parcels[n - 1 - p].length_mm;
				swapped[p].height_mm = parcels[n - 1 - p].width_mm;
			}
			oms_rate_quote(&t, &from, &to, true, swapped, n, swapped_results, &other);
			order_bad += quote.status != other.status || (quote.status == OMS_RATE_OK && quote.total != other.total);

			/* a heavier parcel is never billed at less weight */
			for (int p = 0; quote.status == OMS_RATE_OK && p < n; p++)
			{
				OmsRateParcel heavier = parcels[p];
				OmsRateParcelResult heavy;

				heavier.weight_g += pick(1, 100);
				oms_rate_quote(&t, &from, &to, true, &heavier, 1, &heavy, &other);
				if (other.status == OMS_RATE_OK)
					less_bad += heavy.billable < results[p].billable;
			}
		}
		drop(&t);
	}
	printf("# %d quotes on 1500 random tariffs, %d of them with a price\n", quotes, priced);
	ok(compile_bad == 0, "sound tariffs compile");
	ok(zone_bad == 0, "the zone found is the one a scan finds");
	ok(break_bad == 0, "the break found is the one a scan finds");
	ok(priced > 5000, "enough quotes have a price");
	ok(parts_bad == 0, "the parts sum to the total");
	ok(round_bad == 0, "the total is the exact sum rounded once");
	ok(order_bad == 0, "parcels and their sides may come in any order");
	ok(less_bad == 0, "more weight is never billed as less");
}

/* Any bytes as parcels: no crash, no overflow (the sanitizers watch), a refusal or a price. */
static void
test_extremes(void)
{
	static const int64_t edge[] = {INT64_MIN, -1, 0, 1, 999, 1000, OMS_RATE_MAX_SIDE_MM, OMS_RATE_MAX_SIDE_MM + 1,
	OMS_RATE_MAX_WEIGHT_G, OMS_RATE_MAX_WEIGHT_G + 1, INT64_MAX};
	OmsRateZone zone;
	OmsRateBreak rate = {0, 0, INT64_MAX, OMS_RATE_MAX_PRICE};
	OmsRateSurcharge surcharges[OMS_RATE_MAX_SURCHARGES];
	OmsRateTariff t = empty_tariff();
	OmsRatePlace place = {0};
	static OmsRateParcel many[OMS_RATE_MAX_PARCELS];
	static OmsRateParcelResult results[OMS_RATE_MAX_PARCELS];
	OmsRateQuote quote;
	int32_t		row;
	bool		good = true;

	memset(&zone, 0, sizeof(zone));
	t.zones = &zone;
	t.nzones = 1;
	t.breaks = &rate;
	t.nbreaks = 1;
	t.surcharges = surcharges;
	t.nsurcharges = OMS_RATE_MAX_SURCHARGES;
	for (int i = 0; i < OMS_RATE_MAX_SURCHARGES; i++)
	{
		surcharges[i] = no_surcharge();
		surcharges[i].always = true;
		surcharges[i].fuel = true;
		surcharges[i].amount = OMS_RATE_MAX_PRICE;
		surcharges[i].over_volume = INT64_C(1000000000000);
		surcharges[i].minimum_weight = INT64_C(1000000000000);
	}
	t.fuel_ppm = t.tax_ppm = OMS_RATE_MAX_PPM;
	t.handling = t.minimum_charge = OMS_RATE_MAX_PRICE;
	t.divisor = 1;
	t.exponent = 4;
	for (int unit = 0; unit < 36; unit++)
	{
		t.weight_unit = (OmsWeightUnit) (unit % 4);
		t.length_unit = (OmsLengthUnit) (unit / 4 % 3);
		t.side_rounding = (OmsSideRounding) (unit / 12);
		t.weight_step = unit % 2 ? 1 : INT64_C(1000000000000);
		good &= oms_rate_compile(&t, malloc, &row) == OMS_RATE_SOUND;
		for (size_t a = 0; a < sizeof(edge) / sizeof(edge[0]); a++)
			for (size_t b = 0; b < sizeof(edge) / sizeof(edge[0]); b++)
			{
				OmsRateParcel p = {edge[a], edge[b], edge[(a + b) % 11], edge[(a * b) % 11]};

				oms_rate_quote(&t, &place, &place, true, &p, 1, results, &quote);
				good &= quote.status == OMS_RATE_OK || quote.status == OMS_RATE_BAD_INPUT || quote.status == OMS_RATE_NO_RATE;
			}
		release(&t);
	}
	ok(good, "extreme parcels get a price or a refusal");

	t.weight_step = 1000;
	good = oms_rate_compile(&t, malloc, &row) == OMS_RATE_SOUND;
	for (int i = 0; i < OMS_RATE_MAX_PARCELS; i++)
		many[i] = (OmsRateParcel) {OMS_RATE_MAX_WEIGHT_G, OMS_RATE_MAX_SIDE_MM, OMS_RATE_MAX_SIDE_MM, OMS_RATE_MAX_SIDE_MM};
	oms_rate_quote(&t, &place, &place, true, many, OMS_RATE_MAX_PARCELS, results, &quote);
	/* ((1 + 64) * 10^8 * 11 * 1000 + 10^8) * 11 units, in ten-thousandths */
	ok(good && quote.status == OMS_RATE_OK && quote.total == (INT64_C(71500000000000) + 100000000) * 11 * 10000,
	   "the largest tariff on the largest shipment stays within 64 bits");
	oms_rate_quote(&t, &place, &place, true, many, 0, results, &quote);
	ok(quote.status == OMS_RATE_BAD_INPUT, "no parcels are refused");
	release(&t);
}

/* Published FedEx Ground rules: 139 divisor, half inches up, next pound. */
static void
test_cases(void)
{
	OmsRateZone zones[4];
	OmsRateBreak breaks[150];
	OmsRateSurcharge surcharges[3];
	OmsRateTariff t = empty_tariff();
	OmsRatePlace from = {0};
	OmsRatePlace to = {0};
	OmsRateParcel p = {0};
	OmsRateParcelResult r;
	OmsRateQuote q;
	int64_t		low;
	int64_t		high;
	int64_t		code;
	int			length;
	int32_t		row;
	bool		good;

	memset(zones, 0, sizeof(zones));
	zones[0].country = zones[1].country = zones[2].country = zones[3].country = oms_rate_country("us");
	zones[1].region = 1;
	zones[1].zone = 1;
	oms_rate_postal_range("902", &zones[2].postal_low, &zones[2].postal_high, &length);
	zones[2].postal_length = 3;
	zones[2].zone = 2;
	zones[2].transit_days = 5;
	oms_rate_postal_range("90210", &zones[3].postal_low, &zones[3].postal_high, &length);
	zones[3].postal_length = 5;
	zones[3].zone = 3;
	t.zones = zones;
	t.nzones = 4;
	for (int i = 0; i < 150; i++)
	{
		breaks[i].zone = 0;
		breaks[i].from = (i + 1) * 1000;
		breaks[i].to = (i + 2) * 1000;
		breaks[i].price = 100000 + i * 1000;
	}
	t.breaks = breaks;
	t.nbreaks = 150;
	t.divisor = 139000;
	t.max_weight = 150000;
	t.max_side = 108000;
	surcharges[0] = no_surcharge();
	surcharges[0].group = 1;
	surcharges[0].amount = 2400000;
	surcharges[0].over_side = 96000;
	surcharges[0].over_girth = 130000;
	surcharges[0].minimum_weight = 90000;
	surcharges[1] = no_surcharge();
	surcharges[1].group = 1;
	surcharges[1].amount = 300000;
	surcharges[1].over_side = 48000;
	surcharges[1].over_weight = 50000;
	surcharges[1].minimum_weight = 40000;
	surcharges[2] = no_surcharge();
	surcharges[2].residential = true;
	surcharges[2].amount = 59500;
	surcharges[2].fuel = true;
	t.surcharges = surcharges;
	t.nsurcharges = 3;
	ok(oms_rate_compile(&t, malloc, &row) == OMS_RATE_SOUND, "the published tariff compiles");

	to.country = oms_rate_country("US");
	to.has_postal = oms_rate_postal("10001", &to.postal);
	ok(oms_rate_find_zone(&t, &from, &to)->zone == 0, "country alone");
	to.region = 1;
	ok(oms_rate_find_zone(&t, &from, &to)->zone == 1, "a region is more specific than its country");
	to.has_postal = oms_rate_postal("90299-1234", &to.postal);
	ok(oms_rate_find_zone(&t, &from, &to)->zone == 2, "a postal prefix is more specific than a region");
	to.has_postal = oms_rate_postal(" 902 10 ", &to.postal);
	ok(oms_rate_find_zone(&t, &from, &to)->zone == 3, "a longer prefix is more specific, blanks do not count");
	to.has_postal = oms_rate_postal("90", &to.postal);
	ok(oms_rate_find_zone(&t, &from, &to)->zone == 1, "a code shorter than the prefix is not in it");
	to.country = oms_rate_country("CA");
	ok(oms_rate_find_zone(&t, &from, &to) == NULL, "another country is in no zone");
	to.country = oms_rate_country("US");
	to.region = 0;
	to.has_postal = false;

#define QUOTE(w, l, wi, h) \
	(p = (OmsRateParcel) {w, l, wi, h}, oms_rate_quote(&t, &from, &to, false, &p, 1, &r, &q))

	QUOTE(453, 0, 0, 0);
	ok(q.status == OMS_RATE_OK && r.billable == 1000, "453 g are 1 lb");
	QUOTE(454, 0, 0, 0);
	ok(r.billable == 2000, "454 g are over 1 lb, so 2 lb");
	QUOTE(4535, 0, 0, 0);
	ok(r.billable == 10000, "4535 g are 10 lb");
	QUOTE(4536, 0, 0, 0);
	ok(r.billable == 11000, "4536 g are 11 lb");
	QUOTE(0, 0, 0, 0);
	ok(q.status == OMS_RATE_NO_RATE && q.value == 0, "no weight is in no break of this table");
	/* 12 x 12 x 12 in = 1728 / 139 = 12.4 */
	QUOTE(1000, 305, 305, 305);
	ok(r.billable == 13000 && r.dimensional, "a cubic foot bills 13 lb");
	/* 12.49 in rounds to 12, 12.5 in to 13: 317 mm = 12.48 in, 318 mm = 12.52 in */
	QUOTE(1000, 317, 305, 305);
	ok(r.billable == 13000, "12.48 in count as 12");
	QUOTE(1000, 318, 305, 305);
	ok(r.billable == 14000, "12.52 in count as 13");
	QUOTE(6350, 305, 305, 305);
	ok(r.billable == 14000 && !r.dimensional, "the actual weight decides when it is larger");
	/* 48 in = 1219.2 mm; 1231 mm = 48.46 -> 48; 1232 mm = 48.50 -> 49 */
	QUOTE(1000, 1231, 100, 100);
	ok(r.surcharges == 0, "48 in are not over 48 in");
	QUOTE(1000, 1232, 100, 100);
	ok(r.surcharges == 2 && r.billable == 40000, "over 48 in: additional handling, at least 40 lb");
	QUOTE(1000, 2500, 100, 100);
	ok(r.surcharges == 1 && r.billable == 90000 && q.accessorials == 24000, "over 96 in: oversize alone, at least 90 lb");
	/* 150 lb = 68038.8555 g */
	QUOTE(68038, 0, 0, 0);
	ok(q.status == OMS_RATE_OK && r.billable == 150000, "150 lb are carried");
	QUOTE(68039, 0, 0, 0);
	ok(q.status == OMS_RATE_OVER_WEIGHT && q.limit == 150000 && q.value == 150001, "a gram over 150 lb is refused with value and limit");
	QUOTE(1000, 3000, 100, 100);
	ok(q.status == OMS_RATE_OVER_SIDE && q.limit == 108000 && q.value == 118000, "118 in are refused");

	/* rule 23: (10.10 - 25%) + 5.95, fuel 10 % on both, 2 handling, 20 % tax, one rounding */
	t.discount_ppm = 250000;
	t.fuel_ppm = 100000;
	t.handling = 20000;
	t.tax_ppm = 200000;
	p = (OmsRateParcel) {900, 0, 0, 0};
	oms_rate_quote(&t, &from, &to, true, &p, 1, &r, &q);
	/* 7.575 + 5.95 = 13.525; * 1.1 = 14.8775; + 2 = 16.8775; * 1.2 = 20.253 */
	ok(q.base == 1010 && q.discount == -252 && q.accessorials == 594 && q.fuel == 136 && q.handling == 200 && q.tax == 337 && q.total == 2025,
	   "order of computation, one rounding at the end");
	t.minimum_charge = 90000;
	oms_rate_quote(&t, &from, &to, false, &p, 1, &r, &q);
	ok(q.base + q.discount == 900, "a discount does not go below the minimum charge");
	release(&t);

	/* faults */
	breaks[1].from = 1999;
	ok(oms_rate_compile(&t, malloc, &row) == OMS_RATE_FAULT_BREAK_OVERLAP && row == 1, "overlapping breaks are a fault");
	release(&t);
	breaks[1].from = 2000;
	zones[3] = zones[2];
	for (int i = 0; i < 4; i++)
		zones[i].zone = 0;
	ok(oms_rate_compile(&t, malloc, &row) == OMS_RATE_FAULT_ZONE_OVERLAP, "two rows equally specific are a fault");
	release(&t);
	t.weight_step = 0;
	ok(oms_rate_compile(&t, malloc, &row) == OMS_RATE_FAULT_RANGE, "a step of nothing is a fault");

	good = oms_rate_postal_range("SW1A 1AA", &low, &high, &length) && length == 7;
	good &= oms_rate_postal("sw1a1aa", &code) && code >= low && code <= high;
	ok(good, "British codes compare without case and blank");
	ok(!oms_rate_postal_range("1234567890123", &low, &high, &length) && !oms_rate_postal_range("--", &low, &high, &length),
	   "a postal range needs 1 to 12 letters or digits");
	ok(oms_rate_country("USA") == 0 && oms_rate_country("u1") == 0 && oms_rate_country(NULL) == 0, "countries are two letters");
}

/* How fast: printed, not judged. */
static void
show_speed(void)
{
	OmsRateTariff t;
	OmsRatePlace from;
	OmsRatePlace to;
	OmsRateParcel p = {2300, 305, 200, 150};
	OmsRateParcelResult r;
	OmsRateQuote q;
	int32_t		row;
	clock_t		start;
	int64_t		sum = 0;

	for (;;)
	{
		t = random_tariff();
		from = random_place();
		to = random_place();
		if (oms_rate_compile(&t, malloc, &row) == OMS_RATE_SOUND)
		{
			p.weight_g = 10000;
			oms_rate_quote(&t, &from, &to, false, &p, 1, &r, &q);
			if (q.status == OMS_RATE_OK)
				break;
		}
		drop(&t);
	}
	start = clock();
	for (int i = 0; i < 100000; i++)
	{
		p.weight_g = 100 + i % 20000;
		oms_rate_quote(&t, &from, &to, false, &p, 1, &r, &q);
		sum += q.total;
	}
	printf("# %.0f quotes a second under the sanitizers (%lld)\n",
		   100000 * (double) CLOCKS_PER_SEC / (double) (clock() - start + 1), (long long) sum % 10);
	drop(&t);
}

int
main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20251124;
	printf("# seed %llu\n", (unsigned long long) seed);
	test_random();
	test_extremes();
	test_cases();
	show_speed();
	printf("1..%d\n", tests);
	return failed > 0;
}
