/*-------------------------------------------------------------------------
 * promotion.c
 *	  What promotions take off an order: compiled conditions and actions,
 *	  applied one after the other, lowest priority first, each to what the ones
 *	  before it left.
 *
 *	  An order of a merchant without promotions pays the test of a pointer.
 *	  What each gave is a row per line or charge; uses that are limited are
 *	  counted under the lock of the promotion's counter, so only orders that
 *	  use one and the same limited promotion wait for one another.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "core/cache.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/money.h"
#include "core/rows.h"
#include "order/draft.h"

enum
{
	ST_ANY,
	ST_LOAD,
	ST_USED,
	ST_USED_BY,
	ST_COUNT,
	ST_WRITE
};

static OmsStatement statements[] = {
	[ST_ANY] = {"SELECT 1 FROM oms.promotion LIMIT 1", 0, {0}},
	[ST_LOAD] = {
		"SELECT promotion_id, code, kind, value, currency, coalesce(channel_id, 0), coalesce(group_id, 0), min_amount, min_quantity, "
		"buy_quantity, get_quantity, items, exclusive, coalesce(usage_limit, -1), coalesce(customer_limit, -1), valid_from, valid_to "
		"FROM oms.promotion WHERE merchant_id = $1 AND active ORDER BY priority, promotion_id",
		1, {INT4OID}
	},
	[ST_USED] = {"SELECT used FROM oms.promotion_counter WHERE merchant_id = $1 AND promotion_id = $2", 2, {INT4OID, INT8OID}},
	[ST_USED_BY] = {
		"SELECT count(*) FROM oms.sales_order o WHERE o.merchant_id = $1 AND o.customer_id = $3 AND EXISTS (SELECT 1 "
		"FROM oms.discount_allocation d WHERE d.merchant_id = $1 AND d.order_id = o.order_id AND d.promotion_id = $2)",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_COUNT] = {
		"INSERT INTO oms.promotion_counter (merchant_id, promotion_id, used) VALUES ($1, $2, 1) "
		"ON CONFLICT (merchant_id, promotion_id) DO UPDATE SET used = promotion_counter.used + 1 RETURNING used",
		2, {INT4OID, INT8OID}
	},
	[ST_WRITE] = {
		"INSERT INTO oms.discount_allocation (merchant_id, order_id, allocation_no, promotion_id, line_no, charge_no, amount) "
		"SELECT merchant_id, order_id, allocation_no, promotion_id, line_no, charge_no, amount FROM unnest($1)",
		1, {0}
	},
};

/* Columns of discount_allocation. */
enum
{
	GIVEN_MERCHANT = 1, GIVEN_ORDER, GIVEN_NO, GIVEN_PROMOTION, GIVEN_LINE, GIVEN_CHARGE, GIVEN_AMOUNT
};

typedef enum Kind
{
	PERCENT,
	AMOUNT,
	BUY_GET,
	FREE_SHIPPING
} Kind;

typedef struct Promotion
{
	int64		id;
	char	   *code;			/* null: applies by itself */
	Kind		kind;
	int64		value;			/* percent or amount, scaled by 10^OMS_PRICE_SCALE */
	char		currency[4];	/* of amounts; empty: of percentages */
	int32		channel;		/* 0: any */
	int32		group;			/* 0: any */
	int64		min_amount;		/* scaled */
	int32		min_quantity;
	int32		buy;
	int32		get;
	int			nitems;			/* 0: all */
	int64	   *items;
	bool		exclusive;
	int64		usage_limit;	/* -1: none */
	int64		customer_limit;
	TimestampTz valid_from;
	TimestampTz valid_to;
} Promotion;

typedef struct MerchantPromotions
{
	int32		merchant;
	bool		loaded;
	int			n;
	Promotion  *promotions;		/* in the order in which they apply */
} MerchantPromotions;

/* What a promotion took off a line or a charge. */
typedef struct OmsGiven
{
	int64		promotion;
	const char *name;			/* for errors */
	int64		usage_limit;
	int64		customer_limit;
	int			line;			/* index, or -1 */
	int			charge;			/* index, or -1 */
	int64		amount;
} OmsGiven;

static OmsCache cache = {
	.name = "promotions",
	.tables = {"promotion"},
};

/* In the cache: there are none at all. */
static const char no_promotions = 0;

static Kind
kind_of(const char *word)
{
	return strcmp(word, "percent") == 0 ? PERCENT : strcmp(word, "amount") == 0 ? AMOUNT :
		strcmp(word, "buy_get") == 0 ? BUY_GET : FREE_SHIPPING;
}

static void
load_promotion(Promotion *promotion, int row)
{
	MemoryContext context = cache.context;
	bool		isnull;
	char	   *text = oms_get_text(row, 2);
	Datum		items;

	memset(promotion, 0, sizeof(Promotion));
	promotion->id = oms_get_int64(row, 1);
	promotion->code = text == NULL ? NULL : MemoryContextStrdup(context, text);
	promotion->kind = kind_of(oms_get_text(row, 3));
	promotion->value = oms_get_money(row, 4, OMS_PRICE_SCALE);
	text = oms_get_text(row, 5);
	strlcpy(promotion->currency, text == NULL ? "" : text, sizeof(promotion->currency));
	promotion->channel = oms_get_int32(row, 6);
	promotion->group = oms_get_int32(row, 7);
	promotion->min_amount = oms_get_money(row, 8, OMS_PRICE_SCALE);
	promotion->min_quantity = oms_get_int32(row, 9);
	promotion->buy = oms_get_int32(row, 10);
	promotion->get = oms_get_int32(row, 11);
	items = oms_get(row, 12, &isnull);
	if (!isnull)
	{
		ArrayType  *array = DatumGetArrayTypeP(items);

		promotion->nitems = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		promotion->items = MemoryContextAlloc(context, (promotion->nitems + 1) * sizeof(int64));
		memcpy(promotion->items, ARR_DATA_PTR(array), promotion->nitems * sizeof(int64));
	}
	promotion->exclusive = oms_get_bool(row, 13);
	promotion->usage_limit = oms_get_int64(row, 14);
	promotion->customer_limit = oms_get_int64(row, 15);
	promotion->valid_from = oms_get_int64(row, 16);
	promotion->valid_to = oms_get_int64(row, 17);
}

/* The merchant's promotions, compiled; null when there are none anywhere. */
static MerchantPromotions *
merchant_promotions(int32 merchant)
{
	Datum		values[1] = {Int32GetDatum(merchant)};
	MerchantPromotions *of = NULL;
	HASHCTL		ctl = {0};
	bool		found;
	int			i;

	if (likely(oms_cache_fresh(&cache) && cache.data == &no_promotions))
		return NULL;
	if (cache.data != NULL)
		of = hash_search(cache.data, &merchant, HASH_ENTER, &found);
	if (of != NULL && found && of->loaded)
		return of;
	oms_begin();
	if (cache.data == NULL && oms_run(&statements[ST_ANY], NULL, NULL) == 0)
		cache.data = unconstify(char *, &no_promotions);
	else
	{
		if (cache.data == NULL)
		{
			ctl.keysize = sizeof(int32);
			ctl.entrysize = sizeof(MerchantPromotions);
			ctl.hcxt = cache.context;
			cache.data = hash_create("oms promotions", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		of = hash_search(cache.data, &merchant, HASH_ENTER, &found);
		of->loaded = false;
		of->n = (int) oms_run(&statements[ST_LOAD], values, NULL);
		of->promotions = MemoryContextAlloc(cache.context, (of->n + 1) * sizeof(Promotion));
		for (i = 0; i < of->n; i++)
			load_promotion(&of->promotions[i], i);
		of->loaded = true;
	}
	oms_end();
	return of;
}

static bool
has_item(const Promotion *promotion, int64 item)
{
	int			i;

	if (promotion->items == NULL)
		return true;
	for (i = 0; i < promotion->nitems; i++)
		if (promotion->items[i] == item)
			return true;
	return false;
}

/* The amount of a scaled figure in the draft's smallest unit. */
static int64
in_minor(const OmsDraft *draft, int64 scaled)
{
	return oms_money_amount(scaled, 1, draft->exponent, draft->rounding);
}

/* Whether it was used as often as it may be, by all or by the draft's customer; null when it may be used again. */
static const char *
used_up(const OmsDraft *draft, const Promotion *promotion)
{
	Datum		values[3] = {Int32GetDatum(draft->merchant), Int64GetDatum(promotion->id), Int64GetDatum(draft->customer_id)};
	const char *reason = NULL;

	if (promotion->usage_limit < 0 && promotion->customer_limit < 0)
		return NULL;
	if (promotion->customer_limit >= 0 && draft->customer_id == 0)
		return "it is for known customers";
	oms_begin();
	if (promotion->usage_limit >= 0 &&
		(promotion->usage_limit == 0 ||
		 (oms_run(&statements[ST_USED], values, NULL) > 0 && oms_get_int64(0, 1) >= promotion->usage_limit)))
		reason = "it has been used as often as it may be";
	else if (promotion->customer_limit >= 0)
	{
		oms_run(&statements[ST_USED_BY], values, NULL);
		if (oms_get_int64(0, 1) >= promotion->customer_limit)
			reason = "the customer has used it as often as he may";
	}
	oms_end();
	return reason;
}

/* Why a promotion does not apply; null when it does. */
static const char *
why_not(const OmsDraft *draft, const Promotion *promotion, bool alone)
{
	int64		amount = 0;
	int64		quantity = 0;
	int			i;

	if (draft->placed_at < promotion->valid_from || draft->placed_at >= promotion->valid_to)
		return "it is not in force";
	if (promotion->channel != 0 && promotion->channel != draft->channel)
		return "it is for another channel";
	if (promotion->group != 0 && promotion->group != draft->group)
		return "it is for another group of customers";
	if (promotion->currency[0] != '\0' && strcmp(promotion->currency, draft->currency) != 0)
		return "it is in another currency";
	for (i = 0; i < draft->nlines; i++)
		if (has_item(promotion, draft->lines[i].item))
		{
			amount = oms_money_add(amount, draft->lines[i].subtotal);
			quantity += draft->lines[i].quantity;
		}
	if (quantity == 0 && promotion->kind != FREE_SHIPPING)
		return "the order has none of its items";
	if (amount < in_minor(draft, promotion->min_amount) || quantity < promotion->min_quantity)
		return "the order is too small for it";
	if (promotion->exclusive && !alone)
		return "it cannot be combined with another";
	return used_up(draft, promotion);
}

static void
give(OmsDraft *draft, const Promotion *promotion, int line, int charge, int64 amount)
{
	if (amount <= 0)
		return;
	if (draft->ngiven % 16 == 0)
		draft->given = draft->given == NULL ? palloc(16 * sizeof(OmsGiven)) :
			repalloc(draft->given, (draft->ngiven + 16) * sizeof(OmsGiven));
	draft->given[draft->ngiven++] = (OmsGiven) {
		promotion->id,
		promotion->code == NULL ? psprintf("promotion " INT64_FORMAT, promotion->id) : psprintf("coupon \"%s\"", promotion->code),
		promotion->usage_limit, promotion->customer_limit, line, charge, amount
	};
	if (line >= 0)
		draft->lines[line].own_discount += amount;
	else
		draft->charges[charge].amount -= amount;
}

/* Percent (scaled) of an amount, rounded, never more than it. */
static int64
percent_of(const OmsDraft *draft, int64 amount, int64 percent)
{
	int64		share = 0;

	(void) oms_mul_div(amount, percent, 100 * OMS_PRICE_ONE, draft->rounding, &share);
	return Min(share, amount);
}

static void
give_percent(OmsDraft *draft, const Promotion *promotion)
{
	int			i;

	for (i = 0; i < draft->nlines; i++)
		if (has_item(promotion, draft->lines[i].item))
			give(draft, promotion, i, -1,
				 percent_of(draft, draft->lines[i].subtotal - draft->lines[i].own_discount, promotion->value));
}

/* Spreads an amount over its lines by what they cost now; no line goes below zero. */
static void
give_amount(OmsDraft *draft, const Promotion *promotion)
{
	int64	   *weights = palloc0((draft->nlines + 1) * sizeof(int64));
	int64	   *shares = palloc0((draft->nlines + 1) * sizeof(int64));
	int64		left = 0;
	int			i;

	for (i = 0; i < draft->nlines; i++)
		if (has_item(promotion, draft->lines[i].item))
		{
			weights[i] = draft->lines[i].subtotal - draft->lines[i].own_discount;
			left = oms_money_add(left, weights[i]);
		}
	if (left == 0)
		return;
	(void) oms_prorate(Min(in_minor(draft, promotion->value), left), weights, draft->nlines, shares);
	for (i = 0; i < draft->nlines; i++)
		give(draft, promotion, i, -1, shares[i]);
}

static const OmsDraft *sorted;

/* Cheaper units first, the earlier line of equals. */
static int
compare_prices(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	if (sorted->lines[x].unit_price != sorted->lines[y].unit_price)
		return sorted->lines[x].unit_price < sorted->lines[y].unit_price ? -1 : 1;
	return x - y;
}

/* Of each buy + get units of its items, get are cheaper: the cheapest of all. */
static void
give_units(OmsDraft *draft, const Promotion *promotion)
{
	int		   *lines = palloc((draft->nlines + 1) * sizeof(int));
	int64		units = 0;
	int			n = 0;
	int			i;

	for (i = 0; i < draft->nlines; i++)
		if (has_item(promotion, draft->lines[i].item))
		{
			lines[n++] = i;
			units += draft->lines[i].quantity;
		}
	units = units / (promotion->buy + promotion->get) * promotion->get;
	sorted = draft;
	qsort(lines, n, sizeof(int), compare_prices);
	for (i = 0; i < n && units > 0; i++)
	{
		OmsDraftLine *line = &draft->lines[lines[i]];
		int64		cheaper = Min(units, line->quantity);
		int64		amount = oms_money_amount(line->unit_price, cheaper, draft->exponent, draft->rounding);

		give(draft, promotion, lines[i], -1,
			 Min(percent_of(draft, amount, promotion->value), line->subtotal - line->own_discount));
		units -= cheaper;
	}
}

static void
give_shipping(OmsDraft *draft, const Promotion *promotion)
{
	int			i;

	for (i = 0; i < draft->ncharges; i++)
		if (strcmp(draft->charges[i].kind, "shipping") == 0 && draft->charges[i].amount > 0 && !draft->charges[i].has_tax)
			give(draft, promotion, -1, i, percent_of(draft, draft->charges[i].amount, promotion->value));
}

static int
coupon(const OmsDraft *draft, const char *code)
{
	int			i;

	for (i = 0; i < draft->ncoupons; i++)
		if (strcmp(draft->coupons[i], code) == 0)
			return i;
	return -1;
}

static void
error_coupon(const char *code, const char *reason)
{
	ereport(ERROR,
			(errcode(OMS_STATE),
			 errmsg("coupon \"%s\" does not apply", code),
			 errdetail("For this order %s.", reason),
			 errhint("Leave it out.")));
}

void
oms_promotions_apply(OmsDraft *draft)
{
	const MerchantPromotions *of;
	bool	   *met;
	int			applied = 0;
	bool		closed = false;
	int			i;

	if (draft->no_promotions || draft->accepted)
		return;
	of = merchant_promotions(draft->merchant);
	if (likely(of == NULL && draft->ncoupons == 0))
		return;
	met = palloc0((draft->ncoupons + 1) * sizeof(bool));
	for (i = 0; of != NULL && i < of->n; i++)
	{
		const Promotion *promotion = &of->promotions[i];
		int			given = promotion->code == NULL ? -1 : coupon(draft, promotion->code);
		const char *reason;

		if (promotion->code != NULL && given < 0)
			continue;
		reason = closed ? "it cannot be combined with another" : why_not(draft, promotion, applied == 0);
		if (given >= 0)
			met[given] = true;
		if (reason != NULL)
		{
			if (given >= 0 && !draft->compared)
				error_coupon(promotion->code, reason);
			continue;
		}
		switch (promotion->kind)
		{
			case PERCENT:
				give_percent(draft, promotion);
				break;
			case AMOUNT:
				give_amount(draft, promotion);
				break;
			case BUY_GET:
				give_units(draft, promotion);
				break;
			case FREE_SHIPPING:
				give_shipping(draft, promotion);
				break;
		}
		applied++;
		closed = promotion->exclusive;
	}
	for (i = 0; i < draft->ncoupons; i++)
		if (!met[i] && !draft->compared)
			oms_error_unknown_code("coupon", draft->merchant, draft->coupons[i]);
}

/* A use of a promotion by an order, to be counted. */
typedef struct Use
{
	const OmsDraft *draft;
	const OmsGiven *given;
} Use;

static int
compare_uses(const void *a, const void *b)
{
	const Use  *x = a;
	const Use  *y = b;

	return x->given->promotion < y->given->promotion ? -1 : x->given->promotion > y->given->promotion;
}

/* Counts one use, under the lock of the counter: orders that use the same limited promotion pass one by one. */
static void
count_use(const Use *use)
{
	const OmsGiven *given = use->given;
	Datum		values[3];

	values[0] = Int32GetDatum(use->draft->merchant);
	values[1] = Int64GetDatum(given->promotion);
	values[2] = Int64GetDatum(use->draft->customer_id);
	oms_run_guarded(&statements[ST_COUNT], values, NULL);
	if (given->usage_limit >= 0 && oms_get_int64(0, 1) > given->usage_limit)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("%s has been used up", given->name),
				 errdetail("It may be used " INT64_FORMAT " times in all.", given->usage_limit),
				 errhint("Place the order again; it will be without it.")));
	/* The own use is written already. */
	if (given->customer_limit >= 0)
	{
		oms_run(&statements[ST_USED_BY], values, NULL);
		if (oms_get_int64(0, 1) > given->customer_limit)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("%s has been used by the customer as often as he may", given->name),
					 errdetail("Customer " INT64_FORMAT "; " INT64_FORMAT " times.", use->draft->customer_id, given->customer_limit),
					 errhint("Place the order again; it will be without it.")));
	}
}

void
oms_promotions_write(OmsDraft **drafts, int n)
{
	OmsRows    *rows = oms_rows_begin("discount_allocation");
	Use		   *uses;
	int			nuses = 0;
	int			size = 0;
	int			i;
	int			j;

	for (i = 0; i < n; i++)
		size += drafts[i]->ngiven;
	uses = palloc((size + 1) * sizeof(Use));
	for (i = 0; i < n; i++)
		for (j = 0; j < drafts[i]->ngiven && !drafts[i]->repeated; j++)
		{
			const OmsGiven *given = &drafts[i]->given[j];

			oms_rows_set(rows, GIVEN_MERCHANT, Int32GetDatum(drafts[i]->merchant));
			oms_rows_set(rows, GIVEN_ORDER, Int64GetDatum(drafts[i]->order_id));
			oms_rows_set(rows, GIVEN_NO, Int32GetDatum(j + 1));
			oms_rows_set(rows, GIVEN_PROMOTION, Int64GetDatum(given->promotion));
			if (given->line >= 0)
				oms_rows_set(rows, GIVEN_LINE, Int32GetDatum(given->line + 1));
			else
				oms_rows_set(rows, GIVEN_CHARGE, Int32GetDatum(given->charge + 1));
			oms_rows_set(rows, GIVEN_AMOUNT, oms_scaled_to_numeric(given->amount, drafts[i]->exponent));
			oms_rows_add(rows);
			if ((given->usage_limit >= 0 || given->customer_limit >= 0) &&
				(j == 0 || given[-1].promotion != given->promotion))
				uses[nuses++] = (Use) {drafts[i], given};
		}
	if (rows->n == 0)
		return;
	(void) oms_rows_run(&statements[ST_WRITE], &rows, 1);
	qsort(uses, nuses, sizeof(Use), compare_uses);
	for (i = 0; i < nuses; i++)
		count_use(&uses[i]);
}
