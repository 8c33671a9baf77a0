/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dirty limits and the dirty map, with the guest that never stops writing: 32 MiB per hart, as fast as it can. */
#include <string.h>
#include <unistd.h>

#include "helpers.h"

#define GUEST_BYTES (32 * MIB)
#define LIMIT       2 /* MiB/s */

static const Guest writer = {.args = "-M virt -m 64M", .bytes = GUEST_BYTES};
static const Guest two_writers = {.args = "-M virt -m 128M", .harts = 2, .bytes = GUEST_BYTES};

static void limit_all(QTestState *qts, int64_t mib_per_second)
{
    qtest_qmp_assert_success(qts, "{'execute': 'set-vcpu-dirty-limit', 'arguments': {'dirty-rate': %d}}",
                             (int)mib_per_second);
}

/* -1: that vCPU has no limit. */
static int64_t limit_member(QTestState *qts, int64_t cpu, const char *member)
{
    JsonNode *node = qtest_qmp_assert_success_ref(qts, "{'execute': 'query-vcpu-dirty-limit'}");
    JsonArray *list = json_node_get_array(node);
    int64_t value = -1;

    for (unsigned i = 0; i < json_array_get_length(list); i++) {
        JsonObject *info = json_array_get_object_element(list, i);

        if (json_object_get_int_member(info, "cpu-index") == cpu) {
            value = json_object_get_int_member(info, member);
        }
    }
    json_node_unref(node);
    return value;
}

/* Until the log was taken that often since the emulator started; returns the pages that were dirty in it. */
static int64_t wait_takes(QTestState *qts, int64_t wanted)
{
    int64_t takes, pages;

    while (pages = dirty_map_pages(qts, &takes), takes < wanted) {
        g_usleep(10000); /* between two looks */
    }
    return pages;
}

#define AHEAD_BYTES (MIB / 8) /* more than the vCPU gets ahead of the clock */

/*
 * A busy host makes the guest write less, and takes come later, but no more than the limit is ever dirtied between two
 * moments.  The first take does not count: it has what was dirtied while the limit was on its way to the vCPU.
 */
static void test_writer_is_held(void)
{
    QTestState *qts = start_source(&writer);
    gint64 before_take, now = g_get_monotonic_time();
    int64_t takes, first, pages;

    limit_all(qts, LIMIT);
    do {
        before_take = now;
        g_usleep(10000);
        now = g_get_monotonic_time();
        first = dirty_map_pages(qts, &takes);
    } while (!takes);
    pages = wait_takes(qts, takes + 2) - first;
    now = g_get_monotonic_time();
    g_assert_cmpint(pages, >, 0);
    g_assert_cmpfloat((double)pages * 4096, <=, LIMIT * (double)MIB * (double)(now - before_take) / 1e6 + AHEAD_BYTES);
    g_assert_cmpint(limit_member(qts, 0, "limit-rate"), ==, LIMIT);
    g_assert_cmpint(limit_member(qts, 0, "current-rate"), <=, LIMIT + 1); /* what the vCPU is ahead may round up */
    qtest_qmp_assert_success(qts, "{'execute': 'stop'}");
    check_guest_pages(qts, &writer);
    qtest_quit(qts);
}

static void test_limit_ends(void)
{
    QTestState *qts = start_source(&writer);

    limit_all(qts, LIMIT);
    qtest_qmp_assert_success(qts, "{'execute': 'cancel-vcpu-dirty-limit'}");
    g_assert_cmpint(limit_member(qts, 0, "limit-rate"), ==, -1);
    check_guest_runs(qts, "source"); /* 32 rounds of 32 MiB: minutes under the limit */
    qtest_quit(qts);
}

static void test_one_vcpu_only(void)
{
    QTestState *qts = start_source(&two_writers);

    qtest_qmp_assert_success(qts,
                             "{'execute': 'set-vcpu-dirty-limit', 'arguments': {'dirty-rate': 1, 'cpu-index': 1}}");
    g_assert_cmpint(limit_member(qts, 0, "limit-rate"), ==, -1);
    g_assert_cmpint(limit_member(qts, 1, "limit-rate"), ==, 1);
    check_guest_runs(qts, "source"); /* hart 0 does */
    qtest_quit(qts);
}

/* A vCPU that sleeps for its limit stops at once, and so does the emulator. */
static void test_stop_does_not_wait(void)
{
    QTestState *qts = start_source(&writer);
    gint64 start;

    limit_all(qts, 1);
    wait_takes(qts, 1);
    start = g_get_monotonic_time();
    for (unsigned i = 0; i < 50; i++) {
        qtest_qmp_assert_success(qts, "{'execute': 'stop'}");
        qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    }
    g_assert_cmpint(g_get_monotonic_time() - start, <, 20 * G_USEC_PER_SEC);
    qtest_quit(qts);
}

static void test_unknown_vcpu(void)
{
    QTestState *qts = start_source(&writer);
    JsonObject *reply = qtest_qmp(qts, "{'execute': 'set-vcpu-dirty-limit', 'arguments': "
                                       "{'dirty-rate': 1, 'cpu-index': 7}}");

    g_assert_true(json_object_has_member(reply, "error"));
    json_object_unref(reply);
    g_assert_cmpint(limit_member(qts, 0, "limit-rate"), ==, -1);
    qtest_quit(qts);
}

static void test_excludes_auto_converge(void)
{
    QTestState *qts = start_source(&writer);
    JsonObject *reply;

    set_capability(qts, "dirty-limit", true);
    reply = qtest_qmp(qts, "{'execute': 'migrate-set-capabilities', 'arguments': {'capabilities': "
                           "[{'capability': 'auto-converge', 'state': true}]}}");
    g_assert_true(json_object_has_member(reply, "error"));
    json_object_unref(reply);
    qtest_quit(qts);
}

/* 8 MB/s of bandwidth and a guest that dirties 32 MiB at once: it arrives because it is held to 1 MiB/s. */
static void test_migration_converges(void)
{
    g_autofree char *uri = g_strconcat("unix:", helpers_path("socket"), NULL);
    QTestState *from = start_source(&writer);
    QTestState *to = start_destination(&writer, uri, "");

    set_capability(from, "dirty-limit", true);
    set_parameter(from, "x-vcpu-dirty-limit-period", 200);
    set_parameter(from, "vcpu-dirty-limit", 1);
    set_parameter(from, "max-bandwidth", 8 * 1000 * 1000);
    set_parameter(from, "downtime-limit", 500);
    migrate(from, uri);
    while (limit_member(from, 0, "limit-rate") != 1) {
        g_autofree char *status = migration_status(from);

        g_assert_cmpstr(status, !=, "completed"); /* not before it was held back */
        g_assert_cmpstr(status, !=, "failed");
        g_usleep(1000);
    }
    wait_status(from, "completed");
    g_assert_cmpint(limit_member(from, 0, "limit-rate"), ==, -1);
    finish(from, to, &writer);
}

static void test_map_shows_where(void)
{
    QTestState *qts = start_source(&writer);
    g_autofree char *text = NULL;

    limit_all(qts, 16);
    wait_takes(qts, 1);
    text = qtest_hmp(qts, "info dirty_map");
    g_assert_nonnull(strstr(text, "riscv_virt_board.ram: 64.0 MiB"));
    g_assert_nonnull(strstr(text, "          ]\n")); /* the half that nobody writes to */
    qtest_quit(qts);
}

static void test_map_is_a_picture(void)
{
    QTestState *qts = start_source(&writer);
    g_autofree char *line = g_strdup_printf("info dirty_map -o %s", helpers_path("map.png"));
    g_autofree char *said = NULL;
    g_autofree char *bytes = NULL;
    gsize size;

    limit_all(qts, 16);
    wait_takes(qts, 1);
    said = qtest_hmp(qts, "%s", line);
    g_assert_cmpstr(said, ==, "");
    g_assert_true(g_file_get_contents(helpers_path("map.png"), &bytes, &size, NULL));
    g_assert_cmpuint(size, >, 1000);
    g_assert_cmpint(memcmp(bytes, "\x89PNG\r\n\x1a\n", 8), ==, 0);
    g_assert_cmpint(memcmp(bytes + size - 8, "IEND", 4), ==, 0);
    qtest_quit(qts);
}

static void test_map_needs_a_take(void)
{
    QTestState *qts = start_source(&writer);
    g_autofree char *text = qtest_hmp(qts, "info dirty_map");

    g_assert_nonnull(strstr(text, "nothing was recorded yet"));
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/dirty-limit/writer/is-held", test_writer_is_held);
    g_test_add_func("/dirty-limit/cancel/writer-runs-on", test_limit_ends);
    g_test_add_func("/dirty-limit/vcpu/only-the-one", test_one_vcpu_only);
    g_test_add_func("/dirty-limit/vcpu/unknown-is-refused", test_unknown_vcpu);
    g_test_add_func("/dirty-limit/stop/does-not-wait", test_stop_does_not_wait);
    g_test_add_func("/dirty-limit/migration/converges", test_migration_converges);
    g_test_add_func("/dirty-limit/migration/excludes-auto-converge", test_excludes_auto_converge);
    g_test_add_func("/dirty-map/text/shows-where", test_map_shows_where);
    g_test_add_func("/dirty-map/text/needs-a-take", test_map_needs_a_take);
    g_test_add_func("/dirty-map/picture/is-a-png", test_map_is_a_picture);
    return helpers_run();
}
