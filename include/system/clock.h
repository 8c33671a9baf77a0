/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers.  All times are int64_t nanoseconds.
 *
 * CLOCK_TYPE_VIRTUAL runs while the machine runs; CLOCK_TYPE_HOST is the wall clock; CLOCK_TYPE_REALTIME is monotonic
 * and always runs.  Timer callbacks run on the main loop with the big lock held.  Under accel qtest the virtual
 * clock moves only by clock_step.
 */
#ifndef SYSTEM_CLOCK_H
#define SYSTEM_CLOCK_H

#include "system/types.h"

typedef enum ClockType { CLOCK_TYPE_REALTIME, CLOCK_TYPE_VIRTUAL, CLOCK_TYPE_HOST, CLOCK_TYPE_NUM } ClockType;

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)
#define TIMER_NOT_ARMED        INT64_C(-1)

typedef void (*TimerFunc)(void *opaque);

typedef struct Timer {
    ClockType clock;
    TimerFunc func;
    void *opaque;
    int64_t expire_ns; /* under the timer lock; TIMER_NOT_ARMED */
    struct Timer *next;
} Timer;

int64_t clock_get_ns(ClockType clock); /* any thread */

void timer_init(Timer *t, ClockType clock, TimerFunc func, void *opaque);
/* Any thread.  Replaces an earlier expiry; one in the past fires as soon as the main loop comes round. */
void timer_mod(Timer *t, int64_t expire_ns);
void timer_del(Timer *t); /* with the big lock held the callback does not run after this */
bool timer_pending(const Timer *t);
int64_t timer_expire_ns(const Timer *t); /* TIMER_NOT_ARMED when not pending */

/* --- the main loop's part --- */
int64_t clock_deadline_ns(void);  /* until the next timer of any running clock; -1: none */
void clock_run_timers(void);      /* big lock */
void clocks_set_notify(void (*notify)(void)); /* called on any thread when an earlier deadline appears */

/* --- the machine's part: big lock --- */
void clock_virtual_enable(bool running); /* cpus.c on run state changes */
/* qtest and accel qtest: the virtual clock by hand. */
void clock_virtual_set_manual(bool manual);
int64_t clock_virtual_advance_to(int64_t ns); /* runs the timers on the way, in order; returns the new time */
int64_t clock_virtual_next_expire_ns(void);   /* -1: none */
/* Migration: the offset that "timer" state carries. */
int64_t clock_virtual_get_offset(void);
void clock_virtual_set_offset(int64_t ns);

#endif
