/* Stand-ins until their domains land; weak, so that the real ones win. This file then goes. */
#include "core/oms.h"

#include "event/event.h"
#include "payment/payment.h"

__attribute__((weak)) int64
oms_task_add(int32 m, const char *k, int64 o, const char *s, int64 i, const char *d, Datum p)
{
	return 0;
}

__attribute__((weak)) void
oms_message_add(int32 m, int64 o, const char *k, const char *f, Datum d)
{
}

__attribute__((weak)) int64
oms_payment_void_or_refund(const OmsOrderHead *head, int64 amount, const char *cause_kind, int64 cause_id,
						   const char *actor, const char *reason)
{
	return 0;
}
