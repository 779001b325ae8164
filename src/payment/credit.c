/*-------------------------------------------------------------------------
 * credit.c
 *	  Gift cards and store credit.  An account is spent through payments like
 *	  any other: an intent, a fact, the fold; but the answer comes at once and
 *	  from here.  The balance follows the fold of its payments: what they have
 *	  authorized and neither given up nor refunded is gone from it.
 *
 *	  Locks: order, payment, account.
 *-------------------------------------------------------------------------
 */
#include "payment/credit.h"

#include "core/guard.h"
#include "core/json.h"
#include "event/event.h"

PG_FUNCTION_INFO_V1(oms_issue_gift_card);
PG_FUNCTION_INFO_V1(oms_issue_store_credit);
PG_FUNCTION_INFO_V1(oms_adjust_credit);
PG_FUNCTION_INFO_V1(oms_extend_credit);
PG_FUNCTION_INFO_V1(oms_block_credit);
PG_FUNCTION_INFO_V1(oms_expire_credit);
PG_FUNCTION_INFO_V1(oms_pay_with_credit);

#define CODE_LETTERS 12			/* least letters and digits of a code */

enum
{
	ST_CUSTOMER,
	ST_CREATE,
	ST_MOVE,
	ST_ENTRY,
	ST_LOCK,
	ST_LOCK_CODE,
	ST_EXTEND,
	ST_BLOCK,
	ST_EXPIRE
};

#define ACCOUNT_COLUMNS \
	"SELECT account_id, kind, customer_id, currency, balance, blocked, expires_at IS NOT NULL AND expires_at <= $3 FROM oms.credit_account "

static OmsStatement statements[] = {
	[ST_CUSTOMER] = {
		"SELECT 1 FROM oms.customer WHERE merchant_id = $1 AND customer_id = $2",
		2, {INT4OID, INT8OID}
	},
	[ST_CREATE] = {
		"INSERT INTO oms.credit_account (merchant_id, kind, customer_id, created_at, expires_at, currency, code_hash, code_end, actor) "
		"VALUES ($1, $2, $3, $4, $5, $6, oms.code_hash($1, $7), right($7, 4), $8) "
		"ON CONFLICT (merchant_id, code_hash) DO NOTHING RETURNING account_id",
		8, {INT4OID, TEXTOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID}
	},
	[ST_MOVE] = {
		"UPDATE oms.credit_account SET balance = balance + $3 WHERE merchant_id = $1 AND account_id = $2 AND balance + $3 >= 0 "
		"AND ($3 > 0 OR $4 OR (NOT blocked AND (expires_at IS NULL OR expires_at > $5))) RETURNING balance",
		5, {INT4OID, INT8OID, NUMERICOID, BOOLOID, TIMESTAMPTZOID}
	},
	[ST_ENTRY] = {
		"INSERT INTO oms.credit_entry (merchant_id, account_id, at, amount, balance, kind, payment_id, actor, reason) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		9, {INT4OID, INT8OID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, TEXTOID, INT8OID, TEXTOID, TEXTOID}
	},
	[ST_LOCK] = {
		ACCOUNT_COLUMNS "WHERE merchant_id = $1 AND account_id = $2 FOR NO KEY UPDATE",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_LOCK_CODE] = {
		ACCOUNT_COLUMNS "WHERE merchant_id = $1 AND code_hash = oms.code_hash($1, $2) FOR NO KEY UPDATE",
		3, {INT4OID, TEXTOID, TIMESTAMPTZOID}
	},
	[ST_EXTEND] = {
		"UPDATE oms.credit_account SET expires_at = $3 WHERE merchant_id = $1 AND account_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_BLOCK] = {
		"UPDATE oms.credit_account SET blocked = $3 WHERE merchant_id = $1 AND account_id = $2",
		3, {INT4OID, INT8OID, BOOLOID}
	},
	[ST_EXPIRE] = {
		"WITH due AS (SELECT merchant_id, account_id, balance FROM oms.credit_account "
		"WHERE merchant_id = $1 AND expires_at <= $2 AND balance > 0 ORDER BY account_id FOR NO KEY UPDATE), "
		"done AS (UPDATE oms.credit_account a SET balance = 0 FROM due d "
		"WHERE a.merchant_id = d.merchant_id AND a.account_id = d.account_id) "
		"INSERT INTO oms.credit_entry (merchant_id, account_id, at, amount, balance, kind, actor) "
		"SELECT merchant_id, account_id, $2, -balance, 0, 'expire', $3 FROM due",
		3, {INT4OID, TIMESTAMPTZOID, TEXTOID}
	},
};

/* A row of ACCOUNT_COLUMNS, locked. */
typedef struct Account
{
	int64		account_id;
	char	   *kind;
	int64		customer_id;	/* 0: none */
	char	   *currency;
	int64		balance;
	bool		blocked;
	bool		expired;
} Account;

static void
read_account(Account *account)
{
	account->account_id = oms_get_int64(0, 1);
	account->kind = oms_get_text(0, 2);
	account->customer_id = oms_get_int64(0, 3);
	account->currency = oms_get_text(0, 4);
	account->balance = oms_get_money(0, 5, oms_currency_exponent(account->currency));
	account->blocked = oms_get_bool(0, 6);
	account->expired = oms_get_bool(0, 7);
}

/* Locks an account; OM002 when there is none. */
static void
lock_account(int32 merchant, int64 account_id, Account *account)
{
	Datum		values[3] = {Int32GetDatum(merchant), Int64GetDatum(account_id), TimestampTzGetDatum(oms_now())};

	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("credit account", merchant, account_id);
	read_account(account);
}

/* Locks the gift card of a code; OM002 without saying the code again. */
static void
lock_card(int32 merchant, const char *code, Account *account)
{
	Datum		values[3] = {Int32GetDatum(merchant), CStringGetTextDatum(code), TimestampTzGetDatum(oms_now())};

	if (oms_run(&statements[ST_LOCK_CODE], values, NULL) == 0)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("no gift card has this code"),
				 errhint("Spaces, dashes and case do not matter; every other character does.")));
	read_account(account);
}

/* Refuses (OM008) to take from an account that is blocked or past its end. */
static void
require_usable(const Account *account)
{
	if (account->blocked || account->expired)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("credit account " INT64_FORMAT " cannot be used", account->account_id),
				 errdetail("It is %s.", account->blocked ? "blocked" : "past its end"),
				 errhint(account->blocked ? "Release it with block_credit(..., blocked => false)." : "Give it a later end with extend_credit().")));
}

/*
 * Moves the balance and writes the entry.  Taking is guarded in the statement
 * itself: two that take the last of it at once never both succeed.  Where
 * forced, blocked and expired accounts move too.  OM007, OM008.
 */
static void
move(int32 merchant, int64 account_id, const char *currency, int64 amount, bool forced, const char *kind, int64 payment_id,
	 const char *actor, const char *reason)
{
	int			exponent = oms_currency_exponent(currency);
	Datum		values[9];
	char		nulls[10] = "         ";
	Datum		guard[5] = {
		Int32GetDatum(merchant), Int64GetDatum(account_id), oms_scaled_to_numeric(amount, exponent), BoolGetDatum(forced),
		TimestampTzGetDatum(oms_now())
	};

	if (oms_run_guarded(&statements[ST_MOVE], guard, NULL) == 0)
	{
		Account		account;

		lock_account(merchant, account_id, &account);
		if (!forced)
			require_usable(&account);
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("credit account " INT64_FORMAT " has not enough", account_id),
				 errdetail("Its balance is %s %s; %s are to be taken.", oms_money_text(account.balance, exponent), currency,
						   oms_money_text(-amount, exponent)),
				 errhint("Take at most its balance, and the rest by other means.")));
	}
	values[0] = guard[0];
	values[1] = guard[1];
	values[2] = guard[4];
	values[3] = guard[2];
	values[4] = oms_scaled_to_numeric(oms_get_money(0, 1, exponent), exponent);
	values[5] = CStringGetTextDatum(kind);
	values[6] = Int64GetDatum(payment_id);
	if (payment_id == 0)
		nulls[6] = 'n';
	values[7] = CStringGetTextDatum(actor);
	values[8] = reason != NULL ? CStringGetTextDatum(reason) : (Datum) 0;
	if (reason == NULL)
		nulls[8] = 'n';
	oms_run_guarded(&statements[ST_ENTRY], values, nulls);
}

/* Who did what to an account: the log has no code in it. */
static void
write_event(const OmsCall *call, int64 account_id, const char *type, const char *currency, int64 amount)
{
	OmsEvent	event = {0};
	OmsJson		data;

	oms_json_begin(&data);
	if (currency != NULL)
	{
		oms_json_add_scaled(&data, "amount", amount, oms_currency_exponent(currency));
		oms_json_add_text(&data, "currency", currency);
	}
	event.merchant = call->merchant;
	event.subject_type = "credit";
	event.subject_id = account_id;
	event.type = type;
	event.actor = call->actor;
	event.reason = call->reason;
	event.data = oms_json_end(&data);
	oms_event_write(&event);
}

static void
error_argument(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(OMS_ARGUMENT),
			 errmsg("argument \"%s\" is out of range", name),
			 errdetail("%s", detail)));
}

/* An end: finite and to come, or 0 when null.  OM011. */
static TimestampTz
arg_end(FunctionCallInfo fcinfo, int n)
{
	TimestampTz at;

	if (PG_ARGISNULL(n))
		return 0;
	at = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(at) || at <= oms_now())
		error_argument("expires_at", "It is past or not finite; null is without end.");
	return at;
}

/* A code of enough letters and digits; OM011. */
static char *
arg_code(FunctionCallInfo fcinfo, int n)
{
	char	   *code = oms_arg_text(fcinfo, n, "code", OMS_KEY_LENGTH);
	int			letters = 0;

	for (const char *p = code; *p != '\0'; p++)
	{
		bool		counts = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z');

		if (!counts && *p != ' ' && *p != '-')
			error_argument("code", "A code has letters, digits, spaces and dashes alone.");
		letters += counts;
	}
	if (letters < CODE_LETTERS)
		error_argument("code", psprintf("A code has at least %d letters and digits; new_code() makes one.", CODE_LETTERS));
	return code;
}

/* Makes an account with its first entry.  OM002, OM008, OM011, OM012, OM017. */
static int64
issue(const OmsCall *call, FunctionCallInfo fcinfo, const char *kind, const char *code, int64 customer_id, int amount_argument,
	  TimestampTz expires_at)
{
	char	   *currency = oms_arg_text(fcinfo, amount_argument + 1, "currency", OMS_KEY_LENGTH);
	int64		amount;
	int64		account_id;
	Datum		values[8];
	char		nulls[9] = "        ";

	oms_arg_require(fcinfo, amount_argument, "amount");
	amount = oms_arg_amount(fcinfo, amount_argument, "amount", oms_currency_exponent(currency));
	values[0] = Int32GetDatum(call->merchant);
	values[1] = Int64GetDatum(customer_id);
	if (customer_id != 0 && oms_run(&statements[ST_CUSTOMER], values, NULL) == 0)
		oms_error_unknown("customer", call->merchant, customer_id);
	values[1] = CStringGetTextDatum(kind);
	values[2] = Int64GetDatum(customer_id);
	if (customer_id == 0)
		nulls[2] = 'n';
	values[3] = TimestampTzGetDatum(oms_now());
	values[4] = TimestampTzGetDatum(expires_at);
	if (expires_at == 0)
		nulls[4] = 'n';
	values[5] = CStringGetTextDatum(currency);
	values[6] = code != NULL ? CStringGetTextDatum(code) : (Datum) 0;
	if (code == NULL)
		nulls[6] = 'n';
	values[7] = CStringGetTextDatum(call->actor);
	if (oms_run_guarded(&statements[ST_CREATE], values, nulls) == 0)
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("a gift card has this code already"),
				 errhint("Take another from new_code(); a repeated call has the request key of the first.")));
	account_id = oms_get_int64(0, 1);
	move(call->merchant, account_id, currency, amount, true, "issue", 0, call->actor, call->reason);
	write_event(call, account_id, "credit.issued", currency, amount);
	return account_id;
}

/* issue_gift_card(merchant, code, amount, currency, expires_at, customer_id, request_key, actor, reason). */
Datum
oms_issue_gift_card(PG_FUNCTION_ARGS)
{
	char	   *code = arg_code(fcinfo, 1);
	TimestampTz expires_at = arg_end(fcinfo, 4);
	OmsCall		call;
	int64		account_id;

	if (oms_call_repeated(fcinfo, "issue_gift_card", 6, &call, &account_id))
		PG_RETURN_INT64(account_id);
	account_id = issue(&call, fcinfo, "gift_card", code, PG_ARGISNULL(5) ? 0 : PG_GETARG_INT64(5), 2, expires_at);
	oms_call_done(&call, account_id);
	PG_RETURN_INT64(account_id);
}

/* issue_store_credit(merchant, customer_id, amount, currency, expires_at, request_key, actor, reason). */
Datum
oms_issue_store_credit(PG_FUNCTION_ARGS)
{
	int64		customer_id = oms_arg_int64(fcinfo, 1, "customer_id");
	TimestampTz expires_at = arg_end(fcinfo, 4);
	OmsCall		call;
	int64		account_id;

	if (oms_call_repeated(fcinfo, "issue_store_credit", 5, &call, &account_id))
		PG_RETURN_INT64(account_id);
	account_id = issue(&call, fcinfo, "store_credit", NULL, customer_id, 2, expires_at);
	oms_call_done(&call, account_id);
	PG_RETURN_INT64(account_id);
}

/* adjust_credit(merchant, account_id, amount, request_key, actor, reason): more, or less, by hand. */
Datum
oms_adjust_credit(PG_FUNCTION_ARGS)
{
	int64		account_id = oms_arg_int64(fcinfo, 1, "account_id");
	OmsCall		call;
	Account		account;
	int64		amount;
	int			exponent;
	int64		result;

	oms_arg_require(fcinfo, 2, "amount");
	if (oms_call_repeated(fcinfo, "adjust_credit", 3, &call, &result))
		PG_RETURN_INT64(result);
	lock_account(call.merchant, account_id, &account);
	exponent = oms_currency_exponent(account.currency);
	amount = oms_numeric_to_scaled(PG_GETARG_DATUM(2), exponent, "amount");
	if (amount == 0 || oms_amount_is_large(amount < 0 ? -amount : amount, exponent))
		error_argument("amount", "It is zero, or 10^15 or more.");
	move(call.merchant, account_id, account.currency, amount, true, "adjust", 0, call.actor, call.reason);
	write_event(&call, account_id, "credit.adjusted", account.currency, amount);
	oms_call_done(&call, account_id);
	PG_RETURN_INT64(account_id);
}

/* extend_credit(merchant, account_id, expires_at, request_key, actor, reason): another end, null: none. */
Datum
oms_extend_credit(PG_FUNCTION_ARGS)
{
	int64		account_id = oms_arg_int64(fcinfo, 1, "account_id");
	TimestampTz expires_at = arg_end(fcinfo, 2);
	OmsCall		call;
	Account		account;
	Datum		values[3];
	int64		result;

	if (oms_call_repeated(fcinfo, "extend_credit", 3, &call, &result))
		PG_RETURN_INT64(result);
	lock_account(call.merchant, account_id, &account);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(account_id);
	values[2] = TimestampTzGetDatum(expires_at);
	oms_run_guarded(&statements[ST_EXTEND], values, expires_at == 0 ? "  n" : NULL);
	write_event(&call, account_id, "credit.extended", NULL, 0);
	oms_call_done(&call, account_id);
	PG_RETURN_INT64(account_id);
}

/* block_credit(merchant, account_id, blocked, request_key, actor, reason). */
Datum
oms_block_credit(PG_FUNCTION_ARGS)
{
	int64		account_id = oms_arg_int64(fcinfo, 1, "account_id");
	OmsCall		call;
	Account		account;
	Datum		values[3];
	int64		result;

	oms_arg_require(fcinfo, 2, "blocked");
	if (oms_call_repeated(fcinfo, "block_credit", 3, &call, &result))
		PG_RETURN_INT64(result);
	lock_account(call.merchant, account_id, &account);
	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(account_id);
	values[2] = PG_GETARG_DATUM(2);
	oms_run_guarded(&statements[ST_BLOCK], values, NULL);
	write_event(&call, account_id, PG_GETARG_BOOL(2) ? "credit.blocked" : "credit.unblocked", NULL, 0);
	oms_call_done(&call, account_id);
	PG_RETURN_INT64(account_id);
}

/* expire_credit(merchant, actor): writes off the balances of accounts past their end.  Returns how many. */
Datum
oms_expire_credit(PG_FUNCTION_ARGS)
{
	int32		merchant = oms_arg_merchant(fcinfo);
	const char *actor = oms_actor(fcinfo, 1);
	Datum		values[3] = {Int32GetDatum(merchant), TimestampTzGetDatum(oms_now()), CStringGetTextDatum(actor)};
	int64		n;

	oms_begin();
	oms_command(actor, NULL, NULL);
	n = (int64) oms_run_guarded(&statements[ST_EXPIRE], values, NULL);
	oms_end();
	PG_RETURN_INT64(n);
}

/* See credit.h.  Raises OM002, OM007, OM008, OM012. */
int64
oms_credit_pay(const OmsOrderHead *head, const char *code, int64 account_id, int64 amount, int64 at_most,
			   const OmsPaymentCause *cause, int64 *paid)
{
	Account		account;
	OmsPayment	payment = {.gateway = "oms"};

	if (code != NULL)
		lock_card(head->merchant, code, &account);
	else
		lock_account(head->merchant, account_id, &account);
	if (code == NULL && (strcmp(account.kind, "store_credit") != 0 || account.customer_id != head->customer_id))
		ereport(ERROR,
				(errcode(OMS_STATE),
				 errmsg("credit account " INT64_FORMAT " does not pay for order " INT64_FORMAT, account.account_id, head->order_id),
				 errdetail("A gift card is spent with its code, store credit for an order of its own customer."),
				 errhint("Give the code, or an account of the order's customer.")));
	if (strcmp(account.currency, head->currency) != 0)
		ereport(ERROR,
				(errcode(OMS_CURRENCY),
				 errmsg("credit account " INT64_FORMAT " does not pay for order " INT64_FORMAT, account.account_id, head->order_id),
				 errdetail("The account is in %s, the order in %s.", account.currency, head->currency)));
	require_usable(&account);
	if (amount < 0)
		amount = Min(account.balance, at_most);
	if (amount <= 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("credit account " INT64_FORMAT " has nothing to pay with", account.account_id),
				 errdetail("Its balance is %s %s; order " INT64_FORMAT " owes %s.", oms_money_text(account.balance, head->exponent),
						   account.currency, head->order_id, oms_money_text(Max(at_most, 0), head->exponent)),
				 errhint("Use another means of payment.")));
	payment.method = account.kind;
	payment.account_id = account.account_id;
	oms_payment_create(head, &payment, amount, cause->actor);
	(void) oms_payment_request(&payment, "authorize", amount, 0, cause);
	*paid = amount;
	return payment.payment_id;
}

/*
 * pay_with_credit(merchant, order_id, code, account_id, amount, request_key,
 * actor, reason).  Locks the order, then the account.  Raises OM002, OM007,
 * OM008, OM010, OM011, OM012, OM017.
 */
Datum
oms_pay_with_credit(PG_FUNCTION_ARGS)
{
	int64		order_id = oms_arg_int64(fcinfo, 1, "order_id");
	char	   *code = oms_arg_text_or_null(fcinfo, 2, "code", OMS_KEY_LENGTH);
	int64		account_id = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3);
	OmsCall		call;
	OmsOrderHead head;
	OmsPaymentBalance balance;
	int64		payment_id;
	int64		paid;

	if ((code == NULL) == PG_ARGISNULL(3))
		error_argument("code", "Give either the code of a gift card or the account of a customer.");
	if (oms_call_repeated(fcinfo, "pay_with_credit", 5, &call, &payment_id))
		PG_RETURN_INT64(payment_id);
	oms_order_lock(call.merchant, order_id, &head);
	oms_payment_require_not_cancelled(&head, "paid");
	oms_payment_balance(&head, &balance);
	payment_id = oms_credit_pay(&head, code, account_id, oms_arg_amount(fcinfo, 4, "amount", head.exponent),
								balance.due - balance.capturable - balance.authorize_pending, oms_payment_by_hand(&call), &paid);
	oms_call_done(&call, payment_id);
	PG_RETURN_INT64(payment_id);
}

/* What a payment has taken from its account. */
static int64
taken(const OmsPaymentAmounts *a)
{
	return a->authorized - a->voided - a->expired - a->refunded;
}

/* See credit.h.  Raises OM007 for a fact beyond the limits: there is no gateway that could have done it. */
void
oms_credit_follow(const OmsPayment *payment, const OmsPaymentAmounts *before, const char *actor)
{
	const OmsPaymentAmounts *a = &payment->amounts;
	int64		more = taken(a) - taken(before);

	if (a->captured > a->authorized - a->voided - a->expired || a->refunded > a->captured || a->charged_back > 0)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("payment " INT64_FORMAT " is from a credit account and stays within its limits", payment->payment_id),
				 errdetail("Of %s authorized, %s would be given up, %s captured, %s refunded and %s charged back.",
						   oms_money_text(a->authorized, payment->exponent), oms_money_text(a->voided + a->expired, payment->exponent),
						   oms_money_text(a->captured, payment->exponent), oms_money_text(a->refunded, payment->exponent),
						   oms_money_text(a->charged_back, payment->exponent)),
				 errhint("Use capture(), void() and refund().")));
	if (more != 0)
		move(payment->merchant, payment->account_id, payment->currency, -more, false, more > 0 ? "spend" : "restore",
			 payment->payment_id, actor, NULL);
}

/* See credit.h. */
void
oms_credit_answer(const OmsPayment *payment, const OmsPaymentKind *info, const OmsPaymentFact *fact, const char *actor)
{
	static const char *const done[] = {
		[OMS_PAY_AUTHORIZE] = "authorized", [OMS_PAY_CAPTURE] = "captured", [OMS_PAY_VOID] = "voided", [OMS_PAY_REFUND] = "refunded"
	};

	oms_payment_record(payment, done[info->class], fact->reference, fact->amount, oms_now(), actor);
}
