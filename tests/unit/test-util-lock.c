/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks: ownership, and that a wrong order is caught with both names. */
#include "util/lock.h"

#include <glib.h>

static Lock outer, inner, inner2;

static void setup(void)
{
    lock_init(&outer, RANK_BQL, "outer");
    lock_init(&inner, RANK_TB, "inner");
    lock_init(&inner2, RANK_TB, "inner2");
    lock_set_checking(true);
}

static void *other_thread_sees_not_held(void *opaque)
{
    g_assert_false(lock_held_by_me(&outer));
    g_assert_false(lock_try(&outer));
    return NULL;
}

static void test_owner(void)
{
    setup();
    g_assert_false(lock_held_by_me(&outer));
    lock_acquire(&outer);
    g_assert_true(lock_held_by_me(&outer));
    g_thread_join(g_thread_new("other", other_thread_sees_not_held, NULL));
    lock_release(&outer);
    g_assert_false(lock_held_by_me(&outer));
}

static void test_rising(void)
{
    setup();
    lock_acquire(&outer);
    lock_acquire(&inner);
    lock_release(&outer);
    lock_release(&inner);
    lock_acquire(&outer);
    lock_release(&outer);
}

static void test_falling(void)
{
    if (g_test_subprocess()) {
        setup();
        lock_acquire(&inner);
        lock_acquire(&outer);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*taking 'outer'*holding 'inner'*");
}

static void test_same_rank(void)
{
    if (g_test_subprocess()) {
        setup();
        lock_acquire(&inner);
        lock_acquire(&inner2);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
}

static void test_same_rank_allowed(void)
{
    setup();
    lock_allow_same_rank(&inner2);
    lock_acquire(&inner);
    {
        LOCK_GUARD(&inner2);
        g_assert_true(lock_held_by_me(&inner2));
    }
    g_assert_false(lock_held_by_me(&inner2));
    lock_release(&inner);
}

static void test_recursion(void)
{
    if (g_test_subprocess()) {
        setup();
        lock_allow_same_rank(&inner);
        lock_acquire(&inner);
        lock_acquire(&inner);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
}

static void test_try_any_rank(void)
{
    setup();
    lock_acquire(&inner);
    g_assert_true(lock_try(&outer));
    lock_release(&outer);
    lock_release(&inner);
}

static Cond cond;
static bool ready;

static void *wake(void *opaque)
{
    LOCK_GUARD(&outer);
    ready = true;
    cond_broadcast(&cond);
    return NULL;
}

static void test_cond(void)
{
    GThread *thread;

    setup();
    cond_init(&cond);
    lock_acquire(&outer);
    g_assert_false(cond_timedwait_ns(&cond, &outer, 1000));
    thread = g_thread_new("wake", wake, NULL);
    while (!ready) {
        cond_wait(&cond, &outer);
    }
    g_assert_true(lock_held_by_me(&outer));
    lock_release(&outer);
    g_thread_join(thread);
    cond_destroy(&cond);
}

#define ROUNDS 20000
static SpinLock spin;
static int counted;

static void *count(void *opaque)
{
    for (int i = 0; i < ROUNDS; i++) {
        spin_lock(&spin);
        counted++;
        spin_unlock(&spin);
    }
    return NULL;
}

static void test_spin(void)
{
    GThread *a = g_thread_new("a", count, NULL), *b = g_thread_new("b", count, NULL);

    g_thread_join(a);
    g_thread_join(b);
    g_assert_cmpint(counted, ==, 2 * ROUNDS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lock/owner/is-the-holding-thread", test_owner);
    g_test_add_func("/lock/rank/rising-order-passes", test_rising);
    g_test_add_func("/lock/rank/falling-order-is-caught", test_falling);
    g_test_add_func("/lock/rank/same-rank-is-caught", test_same_rank);
    g_test_add_func("/lock/rank/same-rank-passes-when-allowed", test_same_rank_allowed);
    g_test_add_func("/lock/rank/recursion-is-caught", test_recursion);
    g_test_add_func("/lock/try/takes-any-rank", test_try_any_rank);
    g_test_add_func("/lock/cond/wakes-and-times-out", test_cond);
    g_test_add_func("/lock/spin/excludes", test_spin);
    return g_test_run();
}
