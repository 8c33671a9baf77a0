/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When precopy stops the machine: the rule alone, without a machine or a clock. */
#include <glib.h>

#include "migration/switchover.h"

#define MB UINT64_C(1000000)
#define GB 1e9 /* bytes/s */

/* 1 MB takes 1 ms here. */
static SwitchoverView view_of(double left_ms, double back)
{
    return (SwitchoverView){
        .left = (uint64_t)(left_ms * (double)MB),
        .bandwidth = GB,
        .speed = GB,
        .dirtied = back * GB,
        .sync_ms = 0.1,
        .limit_ms = 300,
    };
}

static bool is_due(double left_ms, double back)
{
    SwitchoverView view = view_of(left_ms, back);

    return switchover_is_due(&view);
}

static void test_more_than_the_limit_never(void)
{
    SwitchoverView view = view_of(301, 0.9);

    g_assert_false(switchover_fits(&view));
    g_assert_false(switchover_is_due(&view));
    view.waited_ms = 1e6;
    g_assert_false(switchover_is_due(&view));
}

static void test_sync_counts_as_downtime(void)
{
    SwitchoverView view = view_of(299, 0.9);

    g_assert_true(switchover_fits(&view));
    view.sync_ms = 2;
    g_assert_false(switchover_fits(&view));
}

static void test_unknown_bandwidth_does_not_fit(void)
{
    SwitchoverView view = view_of(1, 0);

    view.bandwidth = view.speed = 0;
    g_assert_false(switchover_is_due(&view));
    view.left = 0;
    g_assert_true(switchover_is_due(&view));
}

static void test_idle_machine_sends_all_first(void)
{
    g_assert_false(is_due(100, 0));
    g_assert_false(is_due(5, 0));
    g_assert_true(is_due(0.9, 0));
}

static void test_slow_writer_sends_all_first(void)
{
    g_assert_false(is_due(100, 0.1));
    g_assert_false(is_due(5, 0.1));
}

/* Here one more pass would make the whole longer by a third of what the downtime wins. */
static void test_busy_writer_stops_at_a_moment(void)
{
    g_assert_false(is_due(100, 0.3));
    g_assert_false(is_due(21, 0.3));
    g_assert_true(is_due(19, 0.3));
}

static void test_fast_writer_stops_as_soon_as_it_fits(void)
{
    g_assert_true(is_due(250, 0.6));
}

static void test_patience_ends(void)
{
    SwitchoverView view = view_of(100, 0.1);

    g_assert_false(switchover_is_due(&view));
    view.waited_ms = 1000;
    g_assert_true(switchover_is_due(&view));
}

/* On a busy host a sync waits for vCPUs that have no processor: passes shorter than that only make it longer. */
static void test_no_pass_shorter_than_a_sync(void)
{
    SwitchoverView view = view_of(5, 0.01);

    g_assert_false(switchover_is_due(&view));
    view.sync_ms = 6;
    g_assert_true(switchover_is_due(&view));
}

/* avail-switchover-bandwidth says what the network has then, not how fast memory travels now. */
static void test_speed_now_decides_what_comes_back(void)
{
    SwitchoverView view = view_of(100, 0.1);

    view.speed = GB / 10;
    g_assert_true(switchover_is_due(&view));
}

#define TEST(path, name) g_test_add_func("/switchover/" path, test_##name)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("limit/more-than-it-never", more_than_the_limit_never);
    TEST("limit/sync-counts", sync_counts_as_downtime);
    TEST("limit/unknown-bandwidth-does-not-fit", unknown_bandwidth_does_not_fit);
    TEST("rest/idle-machine-sends-all-first", idle_machine_sends_all_first);
    TEST("rest/slow-writer-sends-all-first", slow_writer_sends_all_first);
    TEST("rest/busy-writer-stops-at-a-moment", busy_writer_stops_at_a_moment);
    TEST("rest/fast-writer-stops-as-soon-as-it-fits", fast_writer_stops_as_soon_as_it_fits);
    TEST("rest/patience-ends", patience_ends);
    TEST("rest/no-pass-shorter-than-a-sync", no_pass_shorter_than_a_sync);
    TEST("rest/speed-now-decides-what-comes-back", speed_now_decides_what_comes_back);
    return g_test_run();
}
