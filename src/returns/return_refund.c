/*-------------------------------------------------------------------------
 * return_refund.c
 *	  What a return is worth: the one computation behind inspect_return() and
 *	  suggested_refund().
 *-------------------------------------------------------------------------
 */
#include "returns/return_internal.h"

#include "core/config.h"

PG_FUNCTION_INFO_V1(oms_suggested_refund);

enum
{
	ST_SHIPPING,
	ST_ORDER
};

static OmsStatement statements[] = {
	[ST_SHIPPING] = {
		"SELECT coalesce((SELECT sum(c.total) FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.kind = 'shipping'), 0), "
		"coalesce((SELECT sum(c.tax) FROM oms.order_charge c WHERE c.merchant_id = $1 AND c.order_id = $2 AND c.kind = 'shipping'), 0), "
		"coalesce((SELECT sum(f.shipping) FROM oms.refund f WHERE f.merchant_id = $1 AND f.order_id = $2), 0), "
		"coalesce((SELECT sum(f.shipping_tax) FROM oms.refund f WHERE f.merchant_id = $1 AND f.order_id = $2), 0)",
		2, {INT4OID, INT8OID}
	},
	[ST_ORDER] = {
		"SELECT s.order_id, s.currency, s.channel_id FROM oms.return_order r "
		"JOIN oms.sales_order s ON s.merchant_id = r.merchant_id AND s.order_id = r.order_id "
		"WHERE r.merchant_id = $1 AND r.return_id = $2",
		2, {INT4OID, INT8OID}
	},
};

/* a * b / divisor, rounded. */
static int64
share(int64 a, int64 b, int64 divisor, OmsRounding rounding)
{
	int64		result;

	if (!oms_mul_div(a, b, divisor, rounding, &result))
		ereport(ERROR,
				(errcode(OMS_MONEY_RANGE),
				 errmsg("a share of an amount does not fit into 64 bits")));
	return result;
}

/*
 * Shipping that this return still gives back: what was decided, less what it
 * gave, and over all refunds of the order never more than was charged.  Tax by
 * differences of running shares, so that the parts sum exactly.
 */
static void
compute_shipping(const OmsOrderHead *head, const OmsReturn *ret, OmsRefund *refund)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	int64		want = ret->shipping - ret->shipping_before;
	int64		charged;
	int64		tax;
	int64		before;
	int64		tax_before;

	if (want <= 0)
		return;
	oms_run(&statements[ST_SHIPPING], values, NULL);
	charged = oms_get_money(0, 1, head->exponent);
	tax = oms_get_money(0, 2, head->exponent);
	before = oms_get_money(0, 3, head->exponent);
	tax_before = oms_get_money(0, 4, head->exponent);
	want = Min(want, charged - before);
	if (want <= 0)
		return;
	refund->shipping = want;
	refund->shipping_tax = Min(Max(share(tax, before + want, charged, OMS_HALF_EVEN) - tax_before, 0), want);
}

/*
 * Computes the refund of the units that ret->lines[].refund name: what was
 * paid for exactly these units, tax in it; shipping; less the fee (rounded as
 * the channel's setting says); and never
 * more than the order is still worth or has paid beyond that (*limit is what
 * this takes off, because money was given back before).
 */
void
oms_return_compute(const OmsOrderHead *head, const OmsReturn *ret, OmsRefund *refund, int64 *limit)
{
	OmsPaymentBalance balance;
	const OmsChannel *channel;
	int64		gross;
	int64		percent_fee;
	int64		cap;

	refund->return_id = ret->return_id;
	refund->cause = "return";
	refund->cause_id = ret->return_id;
	refund->lines = palloc(sizeof(OmsRefundLine) * Max(ret->nlines, 1));
	for (int i = 0; i < ret->nlines; i++)
	{
		const OmsReturnLine *line = &ret->lines[i];
		OmsRefundLine *part = &refund->lines[refund->nlines];
		int32		to = line->refunded_before + line->refund;

		if (line->refund <= 0)
			continue;
		if (to > line->shipped)
			ereport(ERROR,
					(errcode(OMS_LIMIT),
					 errmsg("line %d of order " INT64_FORMAT " cannot refund %d units", line->line_no, head->order_id, line->refund),
					 errdetail("Of %d shipped, %d are refunded.", line->shipped, line->refunded_before),
					 errhint("At most %d units can be refunded.", line->shipped - line->refunded_before)));
		part->line_no = line->line_no;
		part->from_unit = line->refunded_before;
		part->quantity = line->refund;
		part->amount = oms_units_share(line->total, line->ordered, line->refunded_before, to);
		part->tax = oms_units_share(line->tax, line->ordered, line->refunded_before, to);
		refund->lines_amount = oms_money_add(refund->lines_amount, part->amount);
		refund->tax = oms_money_add(refund->tax, part->tax);
		refund->nlines++;
	}
	compute_shipping(head, ret, refund);
	refund->tax = oms_money_add(refund->tax, refund->shipping_tax);

	channel = oms_channel(head->merchant, head->channel);
	percent_fee = share(refund->lines_amount, ret->percent, 100 * OMS_PRICE_ONE,
						channel != NULL ? channel->rounding : OMS_HALF_EVEN);
	refund->fixed_fee = Min(ret->fee - ret->fee_before, refund->lines_amount - percent_fee);
	refund->fee = percent_fee + refund->fixed_fee;

	gross = oms_money_add(refund->lines_amount, refund->shipping) - refund->fee;
	oms_payment_balance(head, &balance);
	cap = Max(balance.owed, balance.owed - balance.due - balance.refund_due);
	refund->amount = Max(Min(gross, cap), 0);
	*limit = gross - refund->amount;
	if (*limit > 0)
		refund->tax = share(refund->tax, refund->amount, gross, OMS_HALF_EVEN);
}

static void
put_row(ReturnSetInfo *rsinfo, const OmsOrderHead *head, const char *part, int32 line_no, int32 quantity, int64 amount, int64 tax)
{
	Datum		values[6];
	bool		nulls[6] = {false, line_no == 0, quantity == 0, false, false, false};

	values[0] = CStringGetTextDatum(part);
	values[1] = Int32GetDatum(line_no);
	values[2] = Int32GetDatum(quantity);
	values[3] = oms_scaled_to_numeric(amount, head->exponent);
	values[4] = oms_scaled_to_numeric(tax, head->exponent);
	values[5] = CStringGetTextDatum(head->currency);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * suggested_refund(merchant, return_id): what inspect_return(merchant,
 * return_id) would grant now; while nothing waits for inspection, what it
 * would grant once all that is expected has come.  Takes no lock.  Raises
 * OM002.
 */
Datum
oms_suggested_refund(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		return_id = oms_arg_int64(fcinfo, 1, "return_id");
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[2] = {Int32GetDatum(merchant), Int64GetDatum(return_id)};
	OmsOrderHead head = {0};
	OmsReturn	ret;
	OmsRefund	refund = {0};
	int64		limit;
	bool		waits = false;

	InitMaterializedSRF(fcinfo, 0);
	oms_begin();
	if (oms_run(&statements[ST_ORDER], values, NULL) == 0)
		oms_error_unknown("return", merchant, return_id);
	head.merchant = merchant;
	head.order_id = oms_get_int64(0, 1);
	strlcpy(head.currency, oms_get_text(0, 2), sizeof(head.currency));
	head.channel = oms_get_int32(0, 3);
	head.exponent = oms_currency_exponent(head.currency);
	oms_return_load(&head, return_id, &ret);
	for (int i = 0; i < ret.nlines; i++)
	{
		OmsReturnLine *line = &ret.lines[i];

		line->refund = line->received;
		for (int d = 0; d < OMS_DISPOSITIONS; d++)
			line->refund -= line->put[d];
		if (line->refund > 0)
			waits = true;
	}
	for (int i = 0; i < ret.nlines && !waits; i++)
		ret.lines[i].refund = ret.expires_at <= oms_now() ? 0 : ret.lines[i].expected;

	oms_return_compute(&head, &ret, &refund, &limit);
	for (int i = 0; i < refund.nlines; i++)
		put_row(rsinfo, &head, "line", refund.lines[i].line_no, refund.lines[i].quantity, refund.lines[i].amount, refund.lines[i].tax);
	if (refund.shipping > 0)
		put_row(rsinfo, &head, "shipping", 0, 0, refund.shipping, refund.shipping_tax);
	if (refund.fee > 0)
		put_row(rsinfo, &head, "fee", 0, 0, -refund.fee, 0);
	if (limit > 0)
		put_row(rsinfo, &head, "limit", 0, 0, -limit, 0);
	put_row(rsinfo, &head, "total", 0, 0, refund.amount, refund.tax);
	oms_end();
	return (Datum) 0;
}
