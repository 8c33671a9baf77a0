/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks and timers, the virtual clock in the test's hand. */
#include "system/clock.h"

#include <glib.h>

#include "system/guest-time.h"

static GString *fired;

static void fire(void *opaque)
{
    g_string_append_printf(fired, "%s@%" PRId64 " ", (const char *)opaque, clock_get_ns(CLOCK_TYPE_VIRTUAL));
}

static void begin(void)
{
    clock_virtual_enable(false);
    clock_virtual_set_manual(false);
    clock_virtual_set_offset(0);
    clock_virtual_set_manual(true);
    fired = g_string_new(NULL);
}

static void end(const char *expected)
{
    g_assert_cmpstr(fired->str, ==, expected);
    g_string_free(fired, true);
    clock_virtual_set_manual(false);
}

static void test_advance_fires_in_order(void)
{
    Timer a, b, c;

    begin();
    timer_init(&a, CLOCK_TYPE_VIRTUAL, fire, "a");
    timer_init(&b, CLOCK_TYPE_VIRTUAL, fire, "b");
    timer_init(&c, CLOCK_TYPE_VIRTUAL, fire, "c");
    timer_mod(&a, 300);
    timer_mod(&b, 100);
    timer_mod(&c, 300);
    g_assert_cmpint(clock_virtual_next_expire_ns(), ==, 100);
    g_assert_cmpint(clock_virtual_advance_to(1000), ==, 1000);
    g_assert_cmpint(clock_virtual_next_expire_ns(), ==, -1);
    end("b@100 a@300 c@300 ");
}

static void test_modified_timer_fires_once(void)
{
    Timer a;

    begin();
    timer_init(&a, CLOCK_TYPE_VIRTUAL, fire, "a");
    timer_mod(&a, 100);
    timer_mod(&a, 200);
    g_assert_cmpint(timer_expire_ns(&a), ==, 200);
    clock_virtual_advance_to(500);
    g_assert_false(timer_pending(&a));
    end("a@200 ");
}

static void test_deleted_timer_stays_silent(void)
{
    Timer a;

    begin();
    timer_init(&a, CLOCK_TYPE_VIRTUAL, fire, "a");
    timer_mod(&a, 100);
    timer_del(&a);
    clock_virtual_advance_to(500);
    end("");
}

typedef struct Periodic {
    Timer timer;
    unsigned runs;
} Periodic;

static void fire_again_now(void *opaque)
{
    Periodic *p = opaque;

    p->runs++;
    timer_mod(&p->timer, 0);
}

static void test_timer_in_the_past_starves_nobody(void)
{
    Periodic p = {.runs = 0};

    timer_init(&p.timer, CLOCK_TYPE_REALTIME, fire_again_now, &p);
    timer_mod(&p.timer, 0);
    g_assert_cmpint(clock_deadline_ns(), ==, 0);
    clock_run_timers();
    g_assert_cmpuint(p.runs, ==, 1);
    timer_del(&p.timer);
    g_assert_cmpint(clock_deadline_ns(), ==, -1);
}

static void test_standing_clock_fires_nothing(void)
{
    Timer a;

    begin();
    clock_virtual_set_manual(false);
    timer_init(&a, CLOCK_TYPE_VIRTUAL, fire, "a");
    timer_mod(&a, 0);
    g_assert_cmpint(clock_deadline_ns(), ==, -1);
    clock_run_timers();
    g_assert_true(timer_pending(&a));
    timer_del(&a);
    end("");
}

static void test_offset_survives_stop_and_start(void)
{
    clock_virtual_enable(false);
    clock_virtual_set_offset(5 * NANOSECONDS_PER_SECOND);
    g_assert_cmpint(clock_virtual_get_offset(), ==, 5 * NANOSECONDS_PER_SECOND);
    clock_virtual_enable(true);
    g_assert_cmpint(clock_get_ns(CLOCK_TYPE_VIRTUAL), >=, 5 * NANOSECONDS_PER_SECOND);
    g_assert_cmpint(clock_get_ns(CLOCK_TYPE_VIRTUAL), <, 3600 * NANOSECONDS_PER_SECOND);
    clock_virtual_enable(false);
}

static unsigned notified;

static void count_notify(void)
{
    notified++;
}

static void test_only_an_earlier_deadline_notifies(void)
{
    Timer a, b;

    timer_init(&a, CLOCK_TYPE_VIRTUAL, fire, "a");
    timer_init(&b, CLOCK_TYPE_VIRTUAL, fire, "b");
    clocks_set_notify(count_notify);
    timer_mod(&a, 1000);
    g_assert_cmpuint(notified, ==, 1);
    timer_mod(&b, 2000);
    g_assert_cmpuint(notified, ==, 1);
    timer_mod(&b, 500);
    g_assert_cmpuint(notified, ==, 2);
    clocks_set_notify(NULL);
    timer_del(&a);
    timer_del(&b);
}

/* The time may come between any two looks at the clock: even then there is a deadline, and it is no negative one. */
static void test_due_timer_has_a_deadline(void)
{
    Timer t;

    timer_init(&t, CLOCK_TYPE_REALTIME, fire, "t");
    for (int i = 0; i < 200000; i++) {
        timer_mod(&t, clock_get_ns(CLOCK_TYPE_REALTIME) + i % 400);
        g_assert_cmpint(clock_deadline_ns(), >=, 0);
    }
    timer_del(&t);
}

/* Timers for it would fire at once, again and again. */
static void test_far_guest_time_is_never(void)
{
    guest_time_set_delta(-1000000);
    g_assert_cmpint(guest_time_to_ns(UINT64_MAX), ==, INT64_MAX);
    g_assert_cmpint(guest_time_to_ns(UINT64_MAX - 999999), ==, INT64_MAX);
    guest_time_set_delta(INT64_MIN);
    g_assert_cmpint(guest_time_to_ns(UINT64_MAX), ==, INT64_MAX);
    guest_time_set_delta(0);
    g_assert_cmpint(guest_time_to_ns(UINT64_MAX), ==, INT64_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock/advance/fires-in-order", test_advance_fires_in_order);
    g_test_add_func("/clock/timer/modified-fires-once", test_modified_timer_fires_once);
    g_test_add_func("/clock/timer/deleted-stays-silent", test_deleted_timer_stays_silent);
    g_test_add_func("/clock/timer/in-the-past-starves-nobody", test_timer_in_the_past_starves_nobody);
    g_test_add_func("/clock/virtual/standing-fires-nothing", test_standing_clock_fires_nothing);
    g_test_add_func("/clock/virtual/offset-survives-stop-and-start", test_offset_survives_stop_and_start);
    g_test_add_func("/clock/notify/only-an-earlier-deadline", test_only_an_earlier_deadline_notifies);
    g_test_add_func("/clock/guest-time/far-one-is-never", test_far_guest_time_is_never);
    g_test_add_func("/clock/deadline/of-a-timer-that-is-due", test_due_timer_has_a_deadline);
    return g_test_run();
}
