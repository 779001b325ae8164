/*-------------------------------------------------------------------------
 * payment_fold.c
 *	  The amounts of a payment as a pure function of the set of its events.
 *
 * Facts are grouped into operations: same class, same gateway reference.  Of
 * an operation the newest word counts, by the gateway's time; at the same
 * instant a success outweighs a failure.
 *
 * A request is answered by the operation that names it (intent_id, or our own
 * reference given back).  An operation that names none answers a request of
 * the same class and amount that was recorded before it.  Requests are served
 * from the newest to the oldest, because a newer one has fewer operations to
 * choose from; so as many as can be are answered, whatever the facts' order.
 * A failure that names neither request nor amount answers one that is still open
 * then.  A void of everything answers every request to void recorded before it, and
 * a capture every request to authorize: who sells in one step says only that.
 *
 * Nothing here depends on the order of the facts after the requests they
 * answer, nor on how often one was delivered (the table keeps it once).
 *-------------------------------------------------------------------------
 */
#include "payment/payment_fold.h"

#include <stddef.h>
#include <string.h>

/* Adds without wrapping; false when the sum does not fit. */
static bool
add(int64_t *sum, int64_t value)
{
	if ((value > 0 && *sum > INT64_MAX - value) || (value < 0 && *sum < INT64_MIN - value))
		return false;
	*sum += value;
	return true;
}

/* Whether the first of two facts is the newer word on their operation. */
static bool
newer(const OmsPaymentFact *a, const OmsPaymentFact *b)
{
	if (a->occurred_at != b->occurred_at)
		return a->occurred_at > b->occurred_at;
	return a->role == OMS_PAY_SUCCESS && b->role != OMS_PAY_SUCCESS;
}

/* Puts a fact into the operation whose first fact is given. */
static void
join(OmsPaymentFact *facts, int operation, int i)
{
	OmsPaymentFact *head = &facts[operation];
	bool		is_newest = newer(&facts[i], &facts[head->newest]);

	facts[i].operation = operation;
	if (is_newest)
		head->newest = i;
	if (facts[i].amount >= 0 && (is_newest || head->value < 0))
		head->value = facts[i].amount;
	if (facts[i].event_id < head->first)
		head->first = facts[i].event_id;
}

/* Finds the operation of each fact. */
static void
group(OmsPaymentFact *facts, int n)
{
	for (int i = 0; i < n; i++)
	{
		OmsPaymentFact *fact = &facts[i];

		fact->operation = -1;
		fact->answer = -1;
		fact->taken = false;
		if (fact->role == OMS_PAY_REQUEST)
			continue;
		for (int j = 0; j < i && fact->operation < 0; j++)
			if (facts[j].operation == j && facts[j].class == fact->class &&
				strcmp(facts[j].reference, fact->reference) == 0)
				join(facts, j, i);
		if (fact->operation < 0)
		{
			fact->operation = i;
			fact->newest = i;
			fact->value = fact->amount;
			fact->first = fact->event_id;
		}
	}
}

static const OmsPaymentFact *
newest(const OmsPaymentFact *facts, int operation)
{
	return &facts[facts[operation].newest];
}

/* Whether the operation stands as done, and with what amount (0 when not). */
bool
oms_payment_operation_done(const OmsPaymentFact *facts, int operation, int64_t *amount)
{
	const OmsPaymentFact *best = newest(facts, operation);
	bool		done = best->role == OMS_PAY_SUCCESS;

	*amount = done && best->amount > 0 ? best->amount : 0;
	return done;
}

/* Whether operation a stands for a request rather than b: the earlier, then by reference. */
static bool
preferred(const OmsPaymentFact *facts, int a, int b)
{
	const OmsPaymentFact *x = newest(facts, a);
	const OmsPaymentFact *y = newest(facts, b);

	if (x->occurred_at != y->occurred_at)
		return x->occurred_at < y->occurred_at;
	return strcmp(x->reference, y->reference) < 0;
}

/*
 * Answers given by name.  Several operations may name one request (a retry):
 * one that succeeded stands for it rather than one that failed.
 */
static void
answer_named(OmsPaymentFact *facts, int n)
{
	for (int i = 0; i < n; i++)
	{
		OmsPaymentFact *request = &facts[i];

		if (request->role != OMS_PAY_REQUEST)
			continue;
		for (int j = 0; j < n; j++)
		{
			const OmsPaymentFact *fact = &facts[j];
			bool		old_done,
						new_done;
			int64_t		amount;

			if (fact->role == OMS_PAY_REQUEST || fact->class != request->class)
				continue;
			if (fact->intent_id != 0 ? fact->intent_id != request->event_id :
				strcmp(fact->reference, request->reference) != 0)
				continue;
			facts[fact->operation].taken = true;
			if (request->answer < 0)
			{
				request->answer = fact->operation;
				continue;
			}
			old_done = oms_payment_operation_done(facts, request->answer, &amount);
			new_done = oms_payment_operation_done(facts, fact->operation, &amount);
			if (old_done == new_done ? preferred(facts, fact->operation, request->answer) : new_done)
				request->answer = fact->operation;
		}
	}
}

/* Whether an operation released all that was authorized. */
static bool
releases_all(const OmsPaymentFact *facts, int operation)
{
	const OmsPaymentFact *best = newest(facts, operation);

	return best->role == OMS_PAY_SUCCESS &&
		(best->class == OMS_PAY_EXPIRY || (best->class == OMS_PAY_VOID && best->amount < 0));
}

/*
 * Answers implied: a void of everything answers every request to void, and a
 * capture every request to authorize, that was recorded before it.
 */
static void
answer_implied(OmsPaymentFact *facts, int n)
{
	for (int i = 0; i < n; i++)
	{
		OmsPaymentClass class;
		int64_t		amount;

		if (facts[i].operation != i)
			continue;
		if (facts[i].class == OMS_PAY_VOID && releases_all(facts, i))
			class = OMS_PAY_VOID;
		else if (facts[i].class == OMS_PAY_CAPTURE && oms_payment_operation_done(facts, i, &amount))
			class = OMS_PAY_AUTHORIZE;
		else
			continue;
		for (int j = 0; j < n; j++)
			if (facts[j].role == OMS_PAY_REQUEST && facts[j].class == class &&
				facts[j].answer < 0 && facts[j].event_id < facts[i].first)
				facts[j].answer = i;
	}
}

/* Whether an operation that names no request may answer this one: of its amount, or a failure without any. */
static bool
may_answer(const OmsPaymentFact *facts, int operation, const OmsPaymentFact *request, bool nameless)
{
	const OmsPaymentFact *head = &facts[operation];

	if (head->operation != operation || head->class != request->class || head->taken || head->first < request->event_id)
		return false;
	return nameless ? head->value < 0 && newest(facts, operation)->role == OMS_PAY_FAILURE : head->value == request->amount;
}

/* Answers that name no request: by class and amount, or by class alone. */
static void
answer_unnamed(OmsPaymentFact *facts, int n, bool nameless)
{
	int64_t		before = INT64_MAX;

	for (;;)
	{
		OmsPaymentFact *request = NULL;
		int			best = -1;

		/* the newest open request not looked at yet */
		for (int i = 0; i < n; i++)
			if (facts[i].role == OMS_PAY_REQUEST && facts[i].answer < 0 && facts[i].event_id < before &&
				(request == NULL || facts[i].event_id > request->event_id))
				request = &facts[i];
		if (request == NULL)
			return;
		before = request->event_id;

		for (int i = 0; i < n; i++)
			if (may_answer(facts, i, request, nameless) && (best < 0 || preferred(facts, i, best)))
				best = i;
		if (best >= 0)
		{
			request->answer = best;
			facts[best].taken = true;
		}
	}
}

/* What a chargeback takes: all, unless reversed; then what was not reversed. */
static int64_t
charged_back(const OmsPaymentFact *facts, int n, int operation)
{
	const OmsPaymentFact *best = newest(facts, operation);
	int64_t		given = -1;
	int64_t		reversed = best->amount;

	if (best->role == OMS_PAY_SUCCESS)
		return best->amount;
	for (int i = operation; i < n; i++)
		if (facts[i].operation == operation && facts[i].role == OMS_PAY_SUCCESS)
			given = facts[i].amount;
	if (given < 0)				/* the chargeback was told under another reference, or not yet */
		return reversed > 0 ? -reversed : 0;
	return reversed < 0 || reversed > given ? 0 : given - reversed;
}

/* Sums the class's done operations up to an instant; false on overflow. */
static bool
sum_done(const OmsPaymentFact *facts, int n, OmsPaymentClass class, int64_t until, int64_t *sum)
{
	*sum = 0;
	for (int i = 0; i < n; i++)
	{
		int64_t		amount;

		if (facts[i].operation == i && facts[i].class == class &&
			oms_payment_operation_done(facts, i, &amount) &&
			newest(facts, i)->occurred_at <= until && !add(sum, amount))
			return false;
	}
	return true;
}

/* Sums the class's open requests; false on overflow. */
static bool
sum_open(const OmsPaymentFact *facts, int n, OmsPaymentClass class, int64_t *sum)
{
	*sum = 0;
	for (int i = 0; i < n; i++)
		if (facts[i].role == OMS_PAY_REQUEST && facts[i].class == class && facts[i].answer < 0 &&
			!add(sum, facts[i].amount))
			return false;
	return true;
}

/* Sums done operations less those that moved to another payment; false on overflow. */
static bool
sum_kept(const OmsPaymentFact *facts, int n, OmsPaymentClass class, OmsPaymentClass moved_class, int64_t until, int64_t *sum)
{
	int64_t		moved;

	return sum_done(facts, n, class, until, sum) && sum_done(facts, n, moved_class, until, &moved) && add(sum, -moved);
}

/*
 * Folds the facts; fills in their operation and answer.  Returns false when a
 * sum does not fit into 64 bits.
 *
 * A void without an amount and an expiry release all that was authorized, and
 * neither captured nor voided, up to that instant; what is authorized later
 * (a re-authorization) stands.
 */
bool
oms_payment_fold(OmsPaymentFact *facts, int n, OmsPaymentAmounts *amounts)
{
	int64_t		released_at = INT64_MIN;
	const OmsPaymentFact *authorization = NULL;

	memset(amounts, 0, sizeof(*amounts));
	group(facts, n);
	answer_named(facts, n);
	answer_implied(facts, n);
	answer_unnamed(facts, n, false);
	answer_unnamed(facts, n, true);

	if (!sum_kept(facts, n, OMS_PAY_AUTHORIZE, OMS_PAY_MOVE_AUTHORIZED, INT64_MAX, &amounts->authorized) ||
		!sum_kept(facts, n, OMS_PAY_CAPTURE, OMS_PAY_MOVE_CAPTURED, INT64_MAX, &amounts->captured) ||
		!sum_done(facts, n, OMS_PAY_VOID, INT64_MAX, &amounts->voided) ||
		!sum_done(facts, n, OMS_PAY_REFUND, INT64_MAX, &amounts->refunded) ||
		!sum_open(facts, n, OMS_PAY_AUTHORIZE, &amounts->authorize_pending) ||
		!sum_open(facts, n, OMS_PAY_CAPTURE, &amounts->capture_pending) ||
		!sum_open(facts, n, OMS_PAY_VOID, &amounts->void_pending) ||
		!sum_open(facts, n, OMS_PAY_REFUND, &amounts->refund_pending))
		return false;

	for (int i = 0; i < n; i++)
	{
		const OmsPaymentFact *best;

		if (facts[i].operation != i)
			continue;
		best = newest(facts, i);
		if (best->class == OMS_PAY_CHARGEBACK && !add(&amounts->charged_back, charged_back(facts, n, i)))
			return false;
		if (releases_all(facts, i) && best->occurred_at > released_at)
			released_at = best->occurred_at;
		if (best->class == OMS_PAY_AUTHORIZE && best->role == OMS_PAY_SUCCESS &&
			(authorization == NULL || best->occurred_at > authorization->occurred_at ||
			 (best->occurred_at == authorization->occurred_at && best->expires_at > authorization->expires_at)))
			authorization = best;
	}
	if (amounts->charged_back < 0)
		amounts->charged_back = 0;
	if (authorization != NULL)
		amounts->expires_at = authorization->expires_at;

	if (released_at > INT64_MIN)
	{
		int64_t		authorized,
					captured,
					voided;

		if (!sum_kept(facts, n, OMS_PAY_AUTHORIZE, OMS_PAY_MOVE_AUTHORIZED, released_at, &authorized) ||
			!sum_kept(facts, n, OMS_PAY_CAPTURE, OMS_PAY_MOVE_CAPTURED, released_at, &captured) ||
			!sum_done(facts, n, OMS_PAY_VOID, released_at, &voided))
			return false;
		amounts->expired = authorized - captured - voided;
		if (amounts->expired < 0)
			amounts->expired = 0;
	}
	return true;
}
