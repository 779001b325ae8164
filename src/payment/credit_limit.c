/*-------------------------------------------------------------------------
 * credit_limit.c
 *	  Credit limits: what is owed for the orders of an account, and one more.
 *
 *	  The account's row is the lock: who checks writes it, so that of two
 *	  orders that race for the last credit the second sees the first, in any
 *	  isolation level.  It is locked after the order, where there is one.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "utils/array.h"

#include "core/cache.h"
#include "core/money.h"
#include "payment/credit_limit.h"

PG_FUNCTION_INFO_V1(oms_check_credit);

/* The kind of hold of orders over the limit. */
#define CREDIT_HOLD "credit"

enum
{
	ST_ANY,
	ST_LOCK,
	ST_EXPOSURE,
	ST_ORDER
};

static OmsStatement statements[] = {
	[ST_ANY] = {"SELECT 1 FROM oms.buyer_account LIMIT 1", 0, {0}},
	/* In the order of their ids; a company's account before its customers'. */
	[ST_LOCK] = {
		"WITH l AS (SELECT account_id FROM oms.buyer_account WHERE merchant_id = $1 "
		"AND (customer_id = ANY ($2) OR company_id = ANY ($3)) ORDER BY account_id FOR NO KEY UPDATE), "
		"u AS (UPDATE oms.buyer_account a SET checks = a.checks + 1 FROM l WHERE a.merchant_id = $1 AND a.account_id = l.account_id "
		"RETURNING a.account_id, a.company_id, a.customer_id, a.credit_limit, a.currency, a.terms) "
		"SELECT account_id, company_id, customer_id, credit_limit, currency, terms FROM u ORDER BY company_id NULLS LAST",
		3, {INT4OID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_EXPOSURE] = {
		"SELECT coalesce(sum(greatest(amount, 0)), 0) FROM oms.credit_use "
		"WHERE merchant_id = $1 AND account_id = $2 AND currency = account_currency AND NOT held AND order_id <> $3",
		3, {INT4OID, INT8OID, INT8OID}
	},
	[ST_ORDER] = {
		"SELECT s.company_id, coalesce((SELECT u.amount FROM oms.credit_use u WHERE u.merchant_id = $1 AND u.order_id = $2 LIMIT 1), 0) "
		"FROM oms.sales_order s WHERE s.merchant_id = $1 AND s.order_id = $2",
		2, {INT4OID, INT8OID}
	},
};

static OmsCache cache = {
	.name = "buyer accounts",
	.tables = {"buyer_account"},
};

/* A locked account. */
typedef struct Account
{
	int64		account_id;
	int64		company_id;		/* one of these two, */
	int64		customer_id;	/* the other one 0 */
	bool		limited;
	int64		limit;			/* minor units */
	int64		exposure;
	int			exponent;
	char		currency[4];
	char	   *terms;			/* null: none */
} Account;

/* Whether there are accounts at all. */
static bool
any_accounts(void)
{
	if (!oms_cache_fresh(&cache))
		cache.data = oms_run_limit(&statements[ST_ANY], NULL, NULL, 1) > 0 ? &cache : NULL;
	return cache.data != NULL;
}

/*
 * Locks the accounts of these customers and companies and reads what they owe,
 * but for one order (0: none).
 */
static int
lock_accounts(int32 merchant, Datum *customers, int ncustomers, Datum *companies, int ncompanies, int64 order_id, Account **accounts)
{
	Datum		values[3] = {Int32GetDatum(merchant)};
	int			n;
	int			i;

	values[1] = PointerGetDatum(construct_array(customers, ncustomers, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = PointerGetDatum(construct_array(companies, ncompanies, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	n = (int) oms_run(&statements[ST_LOCK], values, NULL);
	*accounts = palloc0((n + 1) * sizeof(Account));
	for (i = 0; i < n; i++)
	{
		Account    *account = &(*accounts)[i];

		account->account_id = oms_get_int64(i, 1);
		account->company_id = oms_get_int64(i, 2);
		account->customer_id = oms_get_int64(i, 3);
		account->limited = !oms_is_null(i, 4);
		strlcpy(account->currency, oms_get_text(i, 5), sizeof(account->currency));
		account->terms = oms_get_text(i, 6);
		account->exponent = oms_currency_exponent(account->currency);
		account->limit = oms_get_money(i, 4, account->exponent);
	}
	for (i = 0; i < n; i++)
	{
		Account    *account = &(*accounts)[i];

		if (!account->limited)
			continue;
		values[1] = Int64GetDatum(account->account_id);
		values[2] = Int64GetDatum(order_id);
		oms_run(&statements[ST_EXPOSURE], values, NULL);
		account->exposure = oms_get_money(0, 1, account->exponent);
	}
	return n;
}

/* The account an order counts on: its company's, else its customer's; null: none. */
static Account *
account_of(Account *accounts, int n, int64 customer_id, int64 company_id)
{
	int			i;

	for (i = 0; i < n; i++)
		if (accounts[i].company_id != 0 ? accounts[i].company_id == company_id : accounts[i].customer_id == customer_id)
			return &accounts[i];
	return NULL;
}

/* Why the account does not allow so much more; null: it does, and it is added. */
static const char *
refused(Account *account, const char *currency, int64 amount)
{
	if (account == NULL || !account->limited)
		return NULL;
	if (strcmp(account->currency, currency) != 0)
		return psprintf("The credit is in %s, the order in %s", account->currency, currency);
	if (amount > 0 && oms_money_add(account->exposure, amount) > account->limit)
		return psprintf("%s are owed, the order adds %s, the limit is %s", oms_money_text(account->exposure, account->exponent),
						oms_money_text(amount, account->exponent), oms_money_text(account->limit, account->exponent));
	account->exposure += amount;
	return NULL;
}

void
oms_credit_admit(OmsDraft **drafts, int n)
{
	Datum	   *customers;
	Datum	   *companies;
	Account    *accounts;
	int			ncustomers = 0;
	int			ncompanies = 0;
	int			naccounts;
	int			i;

	if (likely(!any_accounts()))
		return;
	customers = palloc(n * sizeof(Datum));
	companies = palloc(n * sizeof(Datum));
	for (i = 0; i < n; i++)
	{
		if (drafts[i]->customer_id != 0)
			customers[ncustomers++] = Int64GetDatum(drafts[i]->customer_id);
		if (drafts[i]->company_id != 0)
			companies[ncompanies++] = Int64GetDatum(drafts[i]->company_id);
	}
	if (ncustomers == 0)
		return;
	naccounts = lock_accounts(drafts[0]->merchant, customers, ncustomers, companies, ncompanies, 0, &accounts);
	for (i = 0; i < n; i++)
	{
		Account    *account = drafts[i]->customer_id == 0 ? NULL :
			account_of(accounts, naccounts, drafts[i]->customer_id, drafts[i]->company_id);

		drafts[i]->over_credit = refused(account, drafts[i]->currency, drafts[i]->total);
		drafts[i]->terms = account == NULL ? NULL : account->terms;
	}
}

bool
oms_credit_recheck(const OmsOrderHead *head, const char *actor)
{
	Datum		values[2] = {Int32GetDatum(head->merchant), Int64GetDatum(head->order_id)};
	Datum		customer = Int64GetDatum(head->customer_id);
	Datum		company;
	Account    *accounts;
	const char *why;
	int64		amount;
	int			n;

	if (head->customer_id == 0 || !any_accounts())
		return true;
	oms_run(&statements[ST_ORDER], values, NULL);
	company = Int64GetDatum(oms_get_int64(0, 1));
	amount = oms_get_money(0, 2, head->exponent);
	n = lock_accounts(head->merchant, &customer, 1, &company, 1, head->order_id, &accounts);
	why = refused(account_of(accounts, n, head->customer_id, DatumGetInt64(company)), head->currency, amount);
	if (why != NULL && amount > 0)
	{
		(void) oms_order_hold(head, CREDIT_HOLD, why, actor);
		return false;
	}
	if (head->on_hold && oms_order_release(head, CREDIT_HOLD, actor, "within the limit"))
		oms_order_confirm_if_free(head->merchant, head->order_id, actor);
	return true;
}

/* SQL: check_credit(merchant, order_id, actor) */
Datum
oms_check_credit(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	const char *actor = oms_actor(fcinfo, 2);
	OmsOrderHead head;
	bool		within;

	oms_begin();
	oms_command(actor, NULL, NULL);
	oms_order_lock(merchant, order_id, &head);
	within = oms_credit_recheck(&head, actor);
	oms_end();
	PG_RETURN_BOOL(within);
}
