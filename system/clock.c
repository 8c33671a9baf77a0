/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers.
 *
 * The virtual clock is the monotonic clock plus an offset while the machine runs and a constant while it
 * stands; vCPUs read it for every rdtime, so readers use a sequence counter and take no lock.  Timers are
 * sorted lists per clock, run by the main loop.  qtest takes the virtual clock in its own hand ("manual").
 */
#include "system/clock.h"

#include <glib.h>
#include <time.h>

#include "util/lock.h"

/* All fields are atomics; written under clock_lock. */
static struct {
    uint32_t sequence; /* odd while it changes */
    bool running;
    bool manual;
    int64_t offset; /* running: to add to the monotonic clock.  Standing: the time */
    int64_t manual_ns;
} virtual_clock;

static Lock clock_lock = LOCK_INITIALIZER(RANK_TIMER, "timers");
static Timer *timer_lists[CLOCK_TYPE_NUM]; /* sorted by expiry; under clock_lock */
static void (*deadline_notify)(void);

static int64_t host_clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

static int64_t virtual_now_unlocked(void)
{
    if (atomic_read(&virtual_clock.manual)) {
        return atomic_read(&virtual_clock.manual_ns);
    }
    if (!atomic_read(&virtual_clock.running)) {
        return atomic_read(&virtual_clock.offset);
    }
    return host_clock_ns(CLOCK_MONOTONIC) + atomic_read(&virtual_clock.offset);
}

static int64_t virtual_now(void)
{
    for (;;) {
        uint32_t before = atomic_load_acquire(&virtual_clock.sequence); /* pairs with virtual_write_end() */
        int64_t now = virtual_now_unlocked();

        smp_rmb(); /* the fields before the second look; pairs with smp_wmb() in virtual_write_begin() */
        if (likely(!(before & 1) && before == atomic_read(&virtual_clock.sequence))) {
            return now;
        }
        cpu_relax();
    }
}

static void virtual_write_begin(void)
{
    lock_acquire(&clock_lock);
    atomic_set(&virtual_clock.sequence, virtual_clock.sequence + 1);
    smp_wmb();
}

static void virtual_write_end(void)
{
    atomic_store_release(&virtual_clock.sequence, virtual_clock.sequence + 1);
    lock_release(&clock_lock);
}

int64_t clock_get_ns(ClockType clock)
{
    switch (clock) {
    case CLOCK_TYPE_VIRTUAL:
        return virtual_now();
    case CLOCK_TYPE_HOST:
        return host_clock_ns(CLOCK_REALTIME);
    default:
        return host_clock_ns(CLOCK_MONOTONIC);
    }
}

static void notify(void)
{
    if (deadline_notify) {
        deadline_notify();
    }
}

void clocks_set_notify(void (*fn)(void))
{
    deadline_notify = fn;
}

/* --- timers --- */

void timer_init(Timer *t, ClockType clock, TimerFunc func, void *opaque)
{
    *t = (Timer){.clock = clock, .func = func, .opaque = opaque, .expire_ns = TIMER_NOT_ARMED};
}

static void unlink_locked(Timer *t)
{
    Timer **link = &timer_lists[t->clock];

    if (t->expire_ns == TIMER_NOT_ARMED) {
        return;
    }
    while (*link && *link != t) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = t->next;
    }
    t->next = NULL;
    atomic_set(&t->expire_ns, TIMER_NOT_ARMED);
}

/* Returns whether it is now the first of its clock.  Equal expiries keep the order of arming. */
static bool link_locked(Timer *t, int64_t expire_ns)
{
    Timer **link = &timer_lists[t->clock];

    atomic_set(&t->expire_ns, MAX(expire_ns, 0));
    while (*link && (*link)->expire_ns <= t->expire_ns) {
        link = &(*link)->next;
    }
    t->next = *link;
    *link = t;
    return link == &timer_lists[t->clock];
}

void timer_mod(Timer *t, int64_t expire_ns)
{
    bool first;

    lock_acquire(&clock_lock);
    unlink_locked(t);
    first = link_locked(t, expire_ns);
    lock_release(&clock_lock);
    if (first) {
        notify();
    }
}

void timer_del(Timer *t)
{
    LOCK_GUARD(&clock_lock);

    unlink_locked(t);
}

int64_t timer_expire_ns(const Timer *t)
{
    return atomic_read(&t->expire_ns);
}

bool timer_pending(const Timer *t)
{
    return timer_expire_ns(t) != TIMER_NOT_ARMED;
}

/* --- the main loop's part --- */

/* Whether the main loop drives this clock now. */
static bool clock_ticks(ClockType clock)
{
    return clock != CLOCK_TYPE_VIRTUAL ||
           (atomic_read(&virtual_clock.running) && !atomic_read(&virtual_clock.manual));
}

static int64_t first_expiry(ClockType clock)
{
    LOCK_GUARD(&clock_lock);

    return timer_lists[clock] ? timer_lists[clock]->expire_ns : -1;
}

int64_t clock_deadline_ns(void)
{
    int64_t deadline = -1;

    for (ClockType clock = 0; clock < CLOCK_TYPE_NUM; clock++) {
        int64_t expiry = clock_ticks(clock) ? first_expiry(clock) : -1;

        if (expiry >= 0) {
            int64_t wait = expiry - clock_get_ns(clock); /* once: MAX() would ask twice, and time passes between */

            wait = MAX(wait, 0);
            deadline = deadline < 0 ? wait : MIN(deadline, wait);
        }
    }
    return deadline;
}

static unsigned count_due(ClockType clock, int64_t now)
{
    LOCK_GUARD(&clock_lock);
    unsigned n = 0;

    for (const Timer *t = timer_lists[clock]; t && t->expire_ns <= now; t = t->next) {
        n++;
    }
    return n;
}

static Timer *pop_due(ClockType clock, int64_t now)
{
    LOCK_GUARD(&clock_lock);
    Timer *t = timer_lists[clock];

    if (!t || t->expire_ns > now) {
        return NULL;
    }
    unlink_locked(t);
    return t;
}

/*
 * As many timers as are due at the start: one that arms itself in the past again and again (a guest can ask
 * for that) gets its turn each time round and starves nobody.
 */
static void run_due(ClockType clock, int64_t now)
{
    for (unsigned n = count_due(clock, now); n > 0; n--) {
        Timer *t = pop_due(clock, now);

        if (!t) {
            return;
        }
        t->func(t->opaque);
    }
}

void clock_run_timers(void)
{
    for (ClockType clock = 0; clock < CLOCK_TYPE_NUM; clock++) {
        if (clock_ticks(clock)) {
            run_due(clock, clock_get_ns(clock));
        }
    }
}

/* --- the machine's part --- */

void clock_virtual_enable(bool running)
{
    if (running == virtual_clock.running) {
        return;
    }
    virtual_write_begin();
    atomic_set(&virtual_clock.offset,
               virtual_clock.offset + (running ? -1 : 1) * host_clock_ns(CLOCK_MONOTONIC));
    atomic_set(&virtual_clock.running, running);
    virtual_write_end();
    notify();
}

void clock_virtual_set_manual(bool manual)
{
    int64_t now = virtual_now();

    virtual_write_begin();
    atomic_set(&virtual_clock.manual_ns, now);
    atomic_set(&virtual_clock.manual, manual);
    virtual_write_end();
    notify();
}

static void set_manual_ns(int64_t ns)
{
    virtual_write_begin();
    atomic_set(&virtual_clock.manual_ns, MAX(virtual_clock.manual_ns, ns));
    virtual_write_end();
}

int64_t clock_virtual_next_expire_ns(void)
{
    return first_expiry(CLOCK_TYPE_VIRTUAL);
}

#define MAX_ROUNDS_AT_ONE_INSTANT 1000

int64_t clock_virtual_advance_to(int64_t ns)
{
    int64_t next, last = -1;
    unsigned rounds = 0;

    while ((next = clock_virtual_next_expire_ns()) >= 0 && next <= ns) {
        rounds = next == last ? rounds + 1 : 0;
        if (rounds > MAX_ROUNDS_AT_ONE_INSTANT) {
            break;
        }
        last = next;
        set_manual_ns(next);
        run_due(CLOCK_TYPE_VIRTUAL, virtual_now());
    }
    set_manual_ns(ns);
    return virtual_now();
}

int64_t clock_virtual_get_offset(void)
{
    return virtual_now();
}

void clock_virtual_set_offset(int64_t ns)
{
    virtual_write_begin();
    atomic_set(&virtual_clock.offset, virtual_clock.running ? ns - host_clock_ns(CLOCK_MONOTONIC) : ns);
    atomic_set(&virtual_clock.manual_ns, ns);
    virtual_write_end();
    notify();
}
