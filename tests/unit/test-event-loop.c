/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event loops: what is posted runs once and in order, on the right thread. */
#include "util/event-loop.h"

#include <unistd.h>

#include "util/atomic.h"

static EventLoop *loop;

static void start(void)
{
    loop = event_loop_new_thread("test-loop", NULL);
    g_assert_nonnull(loop);
}

static unsigned posted;

static void expect_number(void *opaque)
{
    g_assert_true(event_loop_in_thread(loop));
    g_assert_cmpuint(GPOINTER_TO_UINT(opaque), ==, posted);
    posted++;
}

static void test_post_order(void)
{
    start();
    posted = 0;
    g_assert_false(event_loop_in_thread(loop));
    for (unsigned i = 0; i < 1000; i++) {
        event_loop_post(loop, expect_number, GUINT_TO_POINTER(i));
    }
    event_loop_free(loop);
    g_assert_cmpuint(posted, ==, 1000);
}

static void increment(void *opaque)
{
    ++*(unsigned *)opaque;
}

static void test_call(void)
{
    unsigned runs = 0;

    start();
    event_loop_call(loop, increment, &runs);
    g_assert_cmpuint(runs, ==, 1);
    event_loop_free(loop);
}

static void test_bh_coalesces(void)
{
    EventLoop *main_loop = event_loop_main();
    unsigned runs = 0;
    BottomHalf *bh = bh_new(main_loop, increment, &runs);

    g_assert_true(event_loop_in_thread(main_loop));
    for (unsigned i = 0; i < 3; i++) {
        bh_schedule(bh);
    }
    while (event_loop_run_once(main_loop, false)) {
    }
    g_assert_cmpuint(runs, ==, 1);
    bh_schedule(bh);
    bh_cancel(bh);
    while (event_loop_run_once(main_loop, false)) {
    }
    g_assert_cmpuint(runs, ==, 1);
    bh_schedule(bh);
    bh_free(bh);
    while (event_loop_run_once(main_loop, false)) {
    }
    g_assert_cmpuint(runs, ==, 1);
}

static unsigned produced, consumed;

static void consume(void *opaque)
{
    atomic_set(&consumed, atomic_read(&produced));
}

/* Each schedule is followed by a run that sees what was written before it. */
static void test_bh_other_thread(void)
{
    BottomHalf *bh;

    start();
    bh = bh_new(loop, consume, NULL);
    for (unsigned i = 0; i < 2000; i++) {
        atomic_set(&produced, i + 1);
        bh_schedule(bh);
    }
    while (atomic_read(&consumed) != 2000) {
        g_thread_yield();
    }
    bh_free(bh);
    event_loop_free(loop);
}

static bool read_bytes(int fd, GIOCondition condition, void *opaque)
{
    char byte;

    if (read(fd, &byte, 1) != 1) {
        return false;
    }
    atomic_inc((unsigned *)opaque);
    return true;
}

static void test_watch(void)
{
    unsigned bytes = 0;
    Watch *watch;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    start();
    watch = event_loop_watch_fd(loop, fds[0], G_IO_IN, read_bytes, &bytes);
    g_assert_cmpint(write(fds[1], "abc", 3), ==, 3);
    while (atomic_read(&bytes) < 3) {
        g_thread_yield();
    }
    watch_remove(watch);
    event_loop_free(loop);
    close(fds[0]);
    close(fds[1]);
}

static void test_watch_ends_itself(void)
{
    EventLoop *main_loop = event_loop_main();
    unsigned bytes = 0;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    event_loop_watch_fd(main_loop, fds[0], G_IO_IN, read_bytes, &bytes);
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    close(fds[1]);
    while (event_loop_run_once(main_loop, false)) {
    }
    g_assert_cmpuint(bytes, ==, 1);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event-loop/post/runs-in-order", test_post_order);
    g_test_add_func("/event-loop/call/waits-until-it-ran", test_call);
    g_test_add_func("/event-loop/bottom-half/coalesces-and-cancels", test_bh_coalesces);
    g_test_add_func("/event-loop/bottom-half/sees-what-was-written-before", test_bh_other_thread);
    g_test_add_func("/event-loop/watch/runs-while-readable", test_watch);
    g_test_add_func("/event-loop/watch/ends-when-it-returns-false", test_watch_ends_itself);
    return g_test_run();
}
