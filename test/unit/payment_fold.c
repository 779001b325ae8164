/*
 * The fold of payment events, as a pure core: what it says of named cases, and
 * that neither the order of the facts nor that of the array matters, for
 * random sets of events.
 */
#include "payment/payment_fold.c"

#include <stdio.h>
#include <stdlib.h>

static int	tests = 0;

static void
ok(bool right, const char *name)
{
	printf("%sok %d - %s\n", right ? "" : "not ", ++tests, name);
}

static uint64_t state = 20260131;

static int
below(int n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int) ((state >> 33) % (uint64_t) n);
}

static OmsPaymentFact
fact(int64_t id, OmsPaymentClass class, OmsPaymentRole role, int64_t amount, int64_t at, const char *reference, int64_t intent)
{
	OmsPaymentFact f = {0};

	f.event_id = id;
	f.class = class;
	f.role = role;
	f.amount = amount;
	f.occurred_at = at;
	f.reference = reference;
	f.intent_id = intent;
	return f;
}

static void
named_cases(void)
{
	OmsPaymentAmounts a;
	OmsPaymentFact f[8];

	ok(oms_payment_fold(f, 0, &a) && a.captured == 0 && a.expires_at == 0, "no events, no amounts");

	f[0] = fact(1, OMS_PAY_CAPTURE, OMS_PAY_REQUEST, 500, 1, "oms-1", 0);
	oms_payment_fold(f, 1, &a);
	ok(a.capture_pending == 500 && a.captured == 0, "what was asked for is pending");
	f[1] = fact(2, OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, 500, 2, "ch_1", 0);
	oms_payment_fold(f, 2, &a);
	ok(a.capture_pending == 0 && a.captured == 500, "an answer of the same amount takes it from pending");
	f[2] = fact(3, OMS_PAY_CAPTURE, OMS_PAY_FAILURE, -1, 3, "ch_1", 0);
	oms_payment_fold(f, 3, &a);
	ok(a.capture_pending == 0 && a.captured == 0, "a later failure of the same operation takes it back");
	f[2].occurred_at = 1;
	oms_payment_fold(f, 3, &a);
	ok(a.captured == 500, "an earlier failure does not, though it came later");
	f[2].occurred_at = 2;
	oms_payment_fold(f, 3, &a);
	ok(a.captured == 500, "at the same instant the success counts");

	f[0] = fact(5, OMS_PAY_CAPTURE, OMS_PAY_REQUEST, 500, 1, "oms-5", 0);
	oms_payment_fold(f, 2, &a);
	ok(a.capture_pending == 500 && a.captured == 500, "what was recorded before the intent does not answer it");
	f[1].intent_id = 5;
	oms_payment_fold(f, 2, &a);
	ok(a.capture_pending == 0, "unless it names it");
	f[1] = fact(6, OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, 300, 2, "oms-5", 0);
	oms_payment_fold(f, 2, &a);
	ok(a.capture_pending == 0 && a.captured == 300, "our own reference given back names it, whatever the amount");
	f[1].reference = "ch_9";
	oms_payment_fold(f, 2, &a);
	ok(a.capture_pending == 500 && a.captured == 300, "another amount without a name leaves it pending");
	f[2] = fact(7, OMS_PAY_CAPTURE, OMS_PAY_FAILURE, -1, 3, "ch_10", 0);
	oms_payment_fold(f, 3, &a);
	ok(a.capture_pending == 0 && a.captured == 300, "a failure that names nothing answers it");
	f[2].first = f[2].event_id = 4;
	oms_payment_fold(f, 3, &a);
	ok(a.capture_pending == 500, "but not one recorded before it");

	f[0] = fact(1, OMS_PAY_AUTHORIZE, OMS_PAY_SUCCESS, 1000, 1, "a1", 0);
	f[0].expires_at = 99;
	f[1] = fact(2, OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, 300, 2, "c1", 0);
	f[2] = fact(3, OMS_PAY_EXPIRY, OMS_PAY_SUCCESS, -1, 5, "a1", 0);
	f[3] = fact(4, OMS_PAY_AUTHORIZE, OMS_PAY_SUCCESS, 700, 6, "a2", 0);
	f[4] = fact(5, OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, 700, 7, "c2", 0);
	oms_payment_fold(f, 3, &a);
	ok(a.authorized == 1000 && a.expired == 700 && a.expires_at == 99, "an expiry takes what is not captured by then");
	oms_payment_fold(f, 5, &a);
	ok(a.authorized == 1700 && a.expired == 700 && a.captured == 1000, "a re-authorization after it stands");

	f[0] = fact(1, OMS_PAY_AUTHORIZE, OMS_PAY_SUCCESS, 1000, 1, "a1", 0);
	f[1] = fact(2, OMS_PAY_VOID, OMS_PAY_REQUEST, 400, 2, "oms-2", 0);
	f[2] = fact(3, OMS_PAY_VOID, OMS_PAY_SUCCESS, -1, 3, "v1", 0);
	oms_payment_fold(f, 3, &a);
	ok(a.void_pending == 0 && a.voided == 0 && a.expired == 1000, "a void of everything answers requests and releases all");

	f[0] = fact(1, OMS_PAY_AUTHORIZE, OMS_PAY_REQUEST, 1000, 1, "oms-1", 0);
	f[1] = fact(2, OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, 900, 2, "c1", 0);
	oms_payment_fold(f, 2, &a);
	ok(a.authorize_pending == 0 && a.authorized == 0 && a.captured == 900, "a capture answers the request to authorize");

	f[0] = fact(1, OMS_PAY_CHARGEBACK, OMS_PAY_FAILURE, -1, 9, "d1", 0);
	oms_payment_fold(f, 1, &a);
	ok(a.charged_back == 0, "a reversal before its chargeback is nothing");
	f[1] = fact(2, OMS_PAY_CHARGEBACK, OMS_PAY_SUCCESS, 250, 5, "d1", 0);
	oms_payment_fold(f, 2, &a);
	ok(a.charged_back == 0, "and takes it back when that comes");
	f[0].amount = 100;
	oms_payment_fold(f, 2, &a);
	ok(a.charged_back == 150, "a reversal in part leaves the rest");

	f[0] = fact(1, OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, INT64_MAX - 1, 1, "c1", 0);
	f[1] = fact(2, OMS_PAY_CAPTURE, OMS_PAY_SUCCESS, 2, 1, "c2", 0);
	ok(!oms_payment_fold(f, 2, &a), "a sum beyond 64 bits is refused, not wrapped");
}

/* A random set: requests first, then facts over few references and amounts, so that many of them meet. */
static int
random_set(OmsPaymentFact *f, int requests, int facts)
{
	static const char *const references[] = {"x", "y", "z", "oms-1", "oms-2"};
	int			n = 0;

	for (int i = 0; i < requests; i++)
	{
		static char names[16][16];

		snprintf(names[i], sizeof(names[i]), "oms-%d", i + 1);
		f[n++] = fact(i + 1, (OmsPaymentClass) below(4), OMS_PAY_REQUEST, 100 * (1 + below(3)), 1 + below(5), names[i], 0);
	}
	while (facts-- > 0)
	{
		OmsPaymentFact new;
		bool		again = false;
		OmsPaymentClass class = (OmsPaymentClass) below(6);
		OmsPaymentRole role = class == OMS_PAY_EXPIRY || below(3) > 0 ? OMS_PAY_SUCCESS : OMS_PAY_FAILURE;

		new = fact(0, class, role, 100 * (1 + below(3)), 1 + below(5), references[below(5)], 0);
		if (class == OMS_PAY_EXPIRY || (role == OMS_PAY_FAILURE && below(2) == 0) || (class == OMS_PAY_VOID && below(4) == 0))
			new.amount = -1;
		if (class < OMS_PAY_CHARGEBACK && below(4) == 0)
			for (int i = 0; i < requests; i++)
				if (f[i].class == class)
					new.intent_id = f[i].event_id;
		/* the table keeps one event per kind and reference */
		for (int i = requests; i < n; i++)
			again = again || (f[i].class == class && f[i].role == role && strcmp(f[i].reference, new.reference) == 0);
		if (again)
			continue;
		new.event_id = n + 1;
		f[n++] = new;
	}
	return n;
}

static void
shuffle(OmsPaymentFact *f, int from, int to)
{
	for (int i = to - 1; i > from; i--)
	{
		int			j = from + below(i - from + 1);
		OmsPaymentFact t = f[i];

		f[i] = f[j];
		f[j] = t;
	}
}

static void
permutations(void)
{
	int			differ = 0;
	int			negative = 0;
	int			sets = 0;

	for (int s = 0; s < 20000; s++)
	{
		OmsPaymentFact f[32];
		OmsPaymentAmounts first;
		OmsPaymentAmounts again;
		int			requests = below(7);
		int			n = random_set(f, requests, 1 + below(14));

		oms_payment_fold(f, n, &first);
		negative += first.captured < 0 || first.refunded < 0 || first.charged_back < 0 || first.expired < 0 ||
			first.capture_pending < 0 || first.refund_pending < 0 || first.void_pending < 0 || first.authorize_pending < 0;
		for (int p = 0; p < 5; p++)
		{
			/* recorded in another order: other ids */
			shuffle(f, requests, n);
			for (int i = requests; i < n; i++)
				f[i].event_id = i + 1;
			/* and read in yet another */
			shuffle(f, 0, n);
			oms_payment_fold(f, n, &again);
			differ += memcmp(&first, &again, sizeof(first)) != 0;
			sets++;
			/* requests to the front again */
			for (int i = 0, r = 0; i < n; i++)
				if (f[i].role == OMS_PAY_REQUEST)
				{
					OmsPaymentFact t = f[r];

					f[r++] = f[i];
					f[i] = t;
				}
		}
	}
	printf("# %d orders of 20000 random sets\n", sets);
	ok(differ == 0, "the order of recording and of reading changes no amount");
	ok(negative == 0, "no amount is negative");
}

int
main(void)
{
	named_cases();
	permutations();
	printf("1..%d\n", tests);
	return 0;
}
