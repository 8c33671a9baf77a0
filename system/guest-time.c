/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest time is the virtual clock in ticks plus one delta, read without a lock. */
#include "system/guest-time.h"

#include "system/clock.h"
#include "util/atomic.h"

static int64_t delta_ticks;          /* atomic; written under the big lock */
static GuestTimeNotifier *notifiers; /* big lock */

uint64_t guest_time_get(void)
{
    return (uint64_t)clock_get_ns(CLOCK_TYPE_VIRTUAL) / GUEST_TIME_TICK_NS +
           (uint64_t)atomic_read(&delta_ticks);
}

int64_t guest_time_get_delta(void)
{
    return atomic_read(&delta_ticks);
}

void guest_time_set_delta(int64_t ticks)
{
    if (ticks == atomic_read(&delta_ticks)) {
        return;
    }
    atomic_set(&delta_ticks, ticks);
    for (GuestTimeNotifier *n = notifiers; n; n = n->next) {
        n->changed(n);
    }
}

int64_t guest_time_to_ns(uint64_t ticks)
{
    uint64_t now = guest_time_get();
    uint64_t clock_ticks = ticks - (uint64_t)atomic_read(&delta_ticks);

    if (ticks <= now) {
        return clock_get_ns(CLOCK_TYPE_VIRTUAL);
    }
    /* with a delta below zero a far time may look like one long ago */
    if (ticks - now > INT64_MAX / GUEST_TIME_TICK_NS || clock_ticks > INT64_MAX / GUEST_TIME_TICK_NS) {
        return INT64_MAX;
    }
    return (int64_t)clock_ticks * GUEST_TIME_TICK_NS;
}

void guest_time_add_notifier(GuestTimeNotifier *notifier)
{
    notifier->next = notifiers;
    notifiers = notifier;
}

void guest_time_remove_notifier(GuestTimeNotifier *notifier)
{
    for (GuestTimeNotifier **at = &notifiers; *at; at = &(*at)->next) {
        if (*at == notifier) {
            *at = notifier->next;
            return;
        }
    }
}
