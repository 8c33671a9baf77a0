/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest time: the machine's 10 MHz counter, which mtime shows and CPUs read.
 *
 * It follows CLOCK_TYPE_VIRTUAL plus a delta, which the guest sets by writing mtime and which migration
 * carries.
 */
#ifndef SYSTEM_GUEST_TIME_H
#define SYSTEM_GUEST_TIME_H

#include <stdint.h>

#define GUEST_TIME_FREQUENCY 10000000u
#define GUEST_TIME_TICK_NS   100

uint64_t guest_time_get(void); /* any thread */
int64_t guest_time_get_delta(void);
/* Big lock.  Calls the notifiers when the delta changed, so that they arm their timers again. */
void guest_time_set_delta(int64_t ticks);

/* The virtual clock's time when guest time reaches @ticks; INT64_MAX: not in this life. */
int64_t guest_time_to_ns(uint64_t ticks);

typedef struct GuestTimeNotifier {
    void (*changed)(struct GuestTimeNotifier *notifier);
    struct GuestTimeNotifier *next;
} GuestTimeNotifier;
void guest_time_add_notifier(GuestTimeNotifier *notifier); /* big lock */
void guest_time_remove_notifier(GuestTimeNotifier *notifier);

#endif
