/*-------------------------------------------------------------------------
 * tender.c
 *	  One order paid by several means at once, exactly.
 *-------------------------------------------------------------------------
 */
#include "payment/credit.h"

#include "core/json.h"

PG_FUNCTION_INFO_V1(oms_split_payment);

#define MAX_TENDERS 20

typedef struct Tender
{
	char	   *method;
	char	   *gateway;
	char	   *reference;
	char	   *code;
	int64		account_id;		/* 0: none */
	int64		amount;			/* -1: what is left, or what the card has */
} Tender;

static bool
is_credit(const Tender *tender)
{
	return tender->code != NULL || tender->account_id != 0;
}

static void
read_tender(Tender *tender, JsonbContainer *object, const OmsPath *path, int exponent)
{
	static const char *const fields[] = {"method", "gateway", "gateway_reference", "code", "account", "amount", NULL};

	oms_json_only(object, path, fields);
	tender->code = oms_json_text(object, path, "code", OMS_KEY_LENGTH, false);
	if (!oms_json_int64(object, path, "account", 1, PG_INT64_MAX, &tender->account_id))
		tender->account_id = 0;
	if (tender->code != NULL && tender->account_id != 0)
		oms_error_document(path, "account", "nothing beside a code");
	tender->method = oms_json_text(object, path, "method", OMS_KEY_LENGTH, !is_credit(tender));
	tender->gateway = oms_json_text(object, path, "gateway", OMS_KEY_LENGTH, false);
	tender->reference = oms_json_text(object, path, "gateway_reference", OMS_KEY_LENGTH, false);
	if (!oms_json_scaled(object, path, "amount", exponent, &tender->amount))
		tender->amount = -1;
	else if (tender->amount <= 0 || oms_amount_is_large(tender->amount, exponent))
		oms_error_document(path, "amount", "a positive amount below 10^15");
}

/*
 * Refuses (OM007) tenders that do not sum to what the order owes; amounts not
 * given are worked out: cards pay what they have, one other pays the rest.
 */
static void
require_sum(const OmsOrderHead *head, int64 sum, int64 owed)
{
	if (sum != owed)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("the tenders do not sum to what order " INT64_FORMAT " owes", head->order_id),
				 errdetail("They sum to %s %s; %s are not paid, authorized or asked for yet.", oms_money_text(sum, head->exponent),
						   head->currency, oms_money_text(owed, head->exponent)),
				 errhint("Leave the amount of one tender out: it pays the rest.")));
}

/*
 * split_payment(merchant, order_id, tenders, request_key, actor, reason): pays
 * what the order owes by several means, all or none.  Locks the order, then
 * the accounts in their order in the list.  Raises OM002, OM003, OM007, OM008,
 * OM010, OM011, OM012, OM017.
 */
Datum
oms_split_payment(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	OmsCall		call;
	OmsOrderHead head;
	OmsPaymentBalance balance;
	const OmsPaymentCause *cause;
	JsonbContainer *array;
	OmsPath		path = {NULL, "tenders", 0};
	Tender	   *tenders;
	Tender	   *open = NULL;
	int64		owed;
	int64		given = 0;
	int64		result;
	int			n;

	oms_arg_require(fcinfo, 2, "tenders");
	if (oms_call_repeated(fcinfo, "split_payment", 3, &call, &result))
		PG_RETURN_INT64(result);
	oms_order_lock(call.merchant, order_id, &head);
	oms_payment_require_not_cancelled(&head, "paid");
	array = &PG_GETARG_JSONB_P(2)->root;
	n = JsonContainerIsArray(array) && !JsonContainerIsScalar(array) ? JsonContainerSize(array) : 0;
	if (n < 1 || n > MAX_TENDERS)
		oms_error_document(&path, NULL, psprintf("a list of 1 to %d tenders", MAX_TENDERS));
	tenders = palloc0(sizeof(Tender) * n);
	for (int i = 0; i < n; i++)
	{
		OmsPath		element = {&path, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&element, NULL, "an object");
		read_tender(&tenders[i], value->val.binary.data, &element, head.exponent);
		if (tenders[i].amount >= 0)
			given = oms_money_add(given, tenders[i].amount);
		else if (!is_credit(&tenders[i]))
		{
			if (open != NULL)
				oms_error_document(&element, "amount", "an amount: only one tender pays the rest");
			open = &tenders[i];
		}
	}

	oms_payment_balance(&head, &balance);
	owed = balance.due - balance.capturable - balance.authorize_pending;
	cause = oms_payment_by_hand(&call);
	/* cards without an amount pay what they have of what no other names */
	for (int i = 0; i < n; i++)
	{
		int64		part;

		if (!is_credit(&tenders[i]))
			continue;
		(void) oms_credit_pay(&head, tenders[i].code, tenders[i].account_id, tenders[i].amount, owed - given, cause, &part);
		if (tenders[i].amount < 0)
			given += part;
	}
	if (open != NULL)
	{
		open->amount = owed - given;
		given = owed;
	}
	require_sum(&head, given, owed);
	for (int i = 0; i < n; i++)
	{
		OmsPayment	payment = {.method = tenders[i].method, .gateway_reference = tenders[i].reference,
		.gateway = tenders[i].gateway != NULL ? tenders[i].gateway : "manual"};

		if (is_credit(&tenders[i]) || tenders[i].amount <= 0)
			continue;			/* the cards have paid it all */
		oms_payment_create(&head, &payment, tenders[i].amount, call.actor);
		(void) oms_payment_request(&payment, "authorize", tenders[i].amount, 0, cause);
	}
	oms_call_done(&call, n);
	PG_RETURN_INT64(n);
}
