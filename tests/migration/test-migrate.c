/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moving a guest that never stops writing: every transport, files, cancel, failures, several blocks and vCPUs. */
#include <inttypes.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helpers.h"

static void precopy(const Guest *guest, const char *listen, const char *connect)
{
    QTestState *from = start_source(guest);
    QTestState *to = start_destination(guest, listen, "");

    migrate_live(from, connect);
    finish(from, to, guest);
}

static void test_unix(void)
{
    g_autofree char *uri = unix_uri();

    precopy(&plain, uri, uri);
}

static void check_socket_is_gone(void)
{
    struct stat st;

    g_assert_cmpint(lstat(helpers_path("socket"), &st), ==, -1);
}

static void test_socket_goes_with_the_listener(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *to;

    precopy(&plain, uri, uri);
    check_socket_is_gone();
    to = start_destination(&plain, uri, "");
    qtest_quit(to); /* by a signal, while it waits */
    check_socket_is_gone();
    to = start_destination(&plain, uri, "");
    qtest_qmp_assert_success(to, "{'execute': 'migrate_cancel'}");
    check_socket_is_gone();
    qtest_quit(to);
}

static void test_two_harts(void)
{
    g_autofree char *uri = unix_uri();

    precopy(&two_harts, uri, uri);
}

static void test_two_blocks(void)
{
    g_autofree char *uri = unix_uri();

    precopy(&two_blocks, uri, uri);
}

static void test_tcp_port_zero(void)
{
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, "tcp:127.0.0.1:0", "");
    g_autofree char *uri = tcp_uri(to);

    migrate_live(from, uri);
    finish(from, to, &plain);
}

static void test_fd(void)
{
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, "defer", "");
    int pair[2];
    JsonObject *reply;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    reply = qtest_qmp_fds(to, &pair[0], 1, "{'execute': 'getfd', 'arguments': {'fdname': 'in'}}");
    json_object_unref(reply);
    reply = qtest_qmp_fds(from, &pair[1], 1, "{'execute': 'getfd', 'arguments': {'fdname': 'out'}}");
    json_object_unref(reply);
    close(pair[0]);
    close(pair[1]);
    qtest_qmp_assert_success(to, "{'execute': 'migrate-incoming', 'arguments': {'uri': 'fd:in'}}");
    migrate_live(from, "fd:out");
    finish(from, to, &plain);
}

static void test_exec(void)
{
    g_autofree char *save = g_strdup_printf("exec:cat > %s", helpers_path("exec"));
    g_autofree char *load = g_strdup_printf("exec:cat %s", helpers_path("exec"));
    QTestState *from = start_source(&plain), *to;

    fast_migration(from);
    migrate(from, save);
    wait_status(from, "completed");
    to = start_destination(&plain, load, "");
    finish(from, to, &plain);
}

static void save_and_restore(const Guest *guest, const char *options, bool fixed_ram, bool stopped)
{
    g_autofree char *uri = g_strdup_printf("file:%s%s", helpers_path("saved"), options);
    QTestState *from = start_source(guest), *to;

    set_capability(from, "fixed-ram", fixed_ram);
    if (stopped) {
        qtest_qmp_assert_success(from, "{'execute': 'stop'}");
    }
    fast_migration(from);
    if (fixed_ram && !stopped) {
        migrate_live(from, uri);
    } else {
        migrate(from, uri);
        wait_status(from, "completed");
    }
    to = start_destination(guest, uri, "");
    finish(from, to, guest);
}

static void test_file(void)
{
    save_and_restore(&plain, "", false, false);
}

static void test_file_offset(void)
{
    save_and_restore(&plain, ",offset=0x1000", false, true);
}

static void test_fixed_ram_live(void)
{
    save_and_restore(&two_harts, "", true, false);
}

static void test_fixed_ram_stopped(void)
{
    save_and_restore(&plain, "", true, true);
}

static void test_fixed_ram_offset(void)
{
    save_and_restore(&two_blocks, ",offset=0x345000", true, true);
}

/* --- cancel --- */

/* Whatever it was cancelled in: the source runs, and can be moved afterwards. */
static void check_cancelled(QTestState *from, QTestState *to)
{
    g_autofree char *uri = unix_uri();
    QTestState *again;

    wait_status(from, "cancelled");
    wait_run_status(from, "running");
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    g_assert_cmpint(qtest_wait_exit(to), ==, 1);
    qtest_quit(to);
    set_capability(from, "pause-before-switchover", false);
    again = start_destination(&plain, uri, "");
    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "completed");
    finish(from, again, &plain);
}

static void test_cancel_active(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");

    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    qtest_qmp_assert_success(from, "{'execute': 'migrate_cancel'}");
    check_cancelled(from, to);
}

static void test_cancel_pre_switchover(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");

    set_capability(from, "pause-before-switchover", true);
    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "pre-switchover");
    qtest_qmp_assert_success(from, "{'execute': 'migrate_cancel'}");
    check_cancelled(from, to);
}

static void test_pause_before_switchover(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");

    set_capability(from, "pause-before-switchover", true);
    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "pre-switchover");
    qtest_qmp_assert_success(from, "{'execute': 'migrate-continue', 'arguments': {'state': 'pre-switchover'}}");
    wait_status(from, "completed");
    finish(from, to, &plain);
}

/* --- failures --- */

/* Migrates to @to, which must refuse with @expected on both sides; the source runs on. */
static void check_refused(QTestState *from, QTestState *to, const char *uri, const char *expected)
{
    g_autofree char *message = NULL;
    g_autofree char *said = NULL;

    fast_migration(from);
    migrate(from, uri);
    message = wait_failed(from);
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    g_assert_cmpint(qtest_wait_exit(to), ==, 1);
    said = qtest_stderr(to);
    if (!strstr(message, expected) || !strstr(said, expected)) {
        g_error("the source says '%s', the destination '%s', and not '%s'", message, said, expected);
    }
    qtest_quit(from);
    qtest_quit(to);
}

static void test_other_ram_size(void)
{
    static const Guest other = {.args = "-M virt -m 128M"};
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&other, uri, "");

    check_refused(from, to, uri, "destination has -m 128M, source -m 64M");
}

static void test_other_number_of_harts(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&two_harts);
    QTestState *to = start_destination(&plain, uri, "");

    check_refused(from, to, uri, "section 'cpu_common' instance 1");
}

static void test_nobody_listens(void)
{
    QTestState *from = start_source(&plain);
    g_autofree char *uri = g_strconcat("unix:", helpers_path("nobody"), NULL);
    g_autofree char *message = NULL;

    migrate(from, uri);
    message = wait_failed(from);
    g_assert_nonnull(strstr(message, "connect"));
    check_guest_runs(from, "source");
    qtest_quit(from);
}

static void test_destination_dies(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");
    g_autofree char *message = NULL;

    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    qtest_set_expected_status(to, -1);
    qtest_kill(to, SIGKILL);
    qtest_quit(to);
    message = wait_failed(from);
    check_guest_runs(from, "source");
    qtest_quit(from);
}

static void test_truncated_file(void)
{
    g_autofree char *uri = g_strdup_printf("file:%s", helpers_path("saved"));
    QTestState *from = start_source(&plain);
    g_autofree char *said = NULL;

    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "completed");
    g_assert_cmpint(truncate(helpers_path("saved"), 100000), ==, 0);
    g_assert_cmpint(run_destination_to_end(&plain, uri, &said), ==, 1);
    g_assert_nonnull(strstr(said, "the stream ends here"));
    qtest_quit(from);
}

static void test_failed_incoming_can_stay(void)
{
    QTestState *to;
    g_autofree char *uri = g_strconcat("file:", helpers_path("junk"), NULL);
    g_autofree char *status = NULL;

    g_assert_true(g_file_set_contents(helpers_path("junk"), "this is no stream", -1, NULL));
    to = start_destination(&plain, "defer", "");
    qtest_qmp_assert_success(to, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s, 'exit-on-error': %i}}",
                             uri, false);
    wait_status(to, "failed");
    status = run_status(to);
    g_assert_cmpstr(status, ==, "inmigrate");
    qtest_quit(to);
}

static void test_profile_qemu(void)
{
    g_autofree char *uri = g_strdup_printf("file:%s", helpers_path("saved"));
    static const Guest old = {.args = "-M virt -m 64M -global migration.profile=qemu-10.0"};
    QTestState *from = start_source(&old), *to;

    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "completed");
    to = start_destination(&plain, uri, "");
    finish(from, to, &plain);
}

/* --- RAM that comes while a migration runs --- */

#define DIMM_ARGS "-M virt -m 64M,slots=2,maxmem=256M"
#define DIMM_SIZE (16 * MIB)

static const Guest with_slots = {.args = DIMM_ARGS};
static const Guest with_dimm = {
    .args = DIMM_ARGS " -object memory-backend-ram,id=mem1,size=16M -device pc-dimm,id=d1,memdev=mem1",
};

static void plug_dimm(QTestState *qts)
{
    qtest_qmp_assert_success(qts, "{'execute': 'object-add', 'arguments': {'qom-type': 'memory-backend-ram', "
                                  "'id': 'mem1', 'size': 16777216}}");
    qtest_qmp_assert_success(qts, "{'execute': 'device_add', 'arguments': {'driver': 'pc-dimm', 'id': 'd1', "
                                  "'memdev': 'mem1'}}");
}

static uint64_t dimm_address(QTestState *qts)
{
    JsonNode *node = qtest_qmp_assert_success_ref(qts, "{'execute': 'query-memory-devices'}");
    JsonObject *device = json_array_get_object_element(json_node_get_array(node), 0);
    uint64_t address = (uint64_t)json_object_get_int_member(json_object_get_object_member(device, "data"), "addr");

    json_node_unref(node);
    return address;
}

static void test_hot_added_ram_joins(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree uint8_t *bytes = g_malloc(DIMM_SIZE);
    QTestState *from = start_source(&with_slots);
    QTestState *to = start_destination(&with_dimm, uri, "");
    uint64_t address;

    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    plug_dimm(from);
    address = dimm_address(from);
    g_assert_cmphex(address, ==, dimm_address(to));
    qtest_memset(from, address, 0x5a, DIMM_SIZE);
    fast_migration(from);
    wait_status(from, "completed");
    wait_status(to, "completed");
    read_memory(to, address, bytes, DIMM_SIZE);
    for (uint64_t at = 0; at < DIMM_SIZE; at++) {
        g_assert_cmphex(bytes[at], ==, 0x5a);
    }
    finish(from, to, &with_dimm);
}

static void test_hot_added_ram_that_the_destination_lacks(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *message = NULL;
    QTestState *from = start_source(&with_slots);
    QTestState *to = start_destination(&with_slots, uri, "");

    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    plug_dimm(from);
    fast_migration(from);
    message = wait_failed(from);
    g_assert_nonnull(strstr(message, "the source has RAM 'mem1' (16M), this machine has not"));
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    qtest_quit(to);
    qtest_quit(from);
}

/* --- what is told about it --- */

static void test_events(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "-global migration.x-events=on");

    set_capability(from, "events", true);
    fast_migration(from);
    migrate(from, uri);
    expect_status(from, "setup");
    qtest_qmp_eventwait(from, "MIGRATION_PASS");
    expect_status(from, "active");
    qtest_qmp_eventwait(from, "STOP");
    expect_status(from, "device");
    expect_status(from, "completed");
    expect_status(to, "active");
    expect_status(to, "completed");
    finish(from, to, &plain);
}

static void test_hmp(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");
    g_autofree char *set = qtest_hmp(from, "migrate_set_parameter downtime-limit 30000");
    g_autofree char *said = qtest_hmp(from, "migrate -d %s", uri);
    g_autofree char *info = NULL;

    g_assert_cmpstr(set, ==, "");
    g_assert_cmpstr(said, ==, "");
    wait_status(from, "completed");
    info = qtest_hmp(from, "info migrate");
    g_assert_nonnull(strstr(info, "Migration status: completed"));
    g_assert_nonnull(strstr(info, "dirty sync count: "));
    finish(from, to, &plain);
}

/* calc-dirty-rate's answer, in MiB/s. */
static int64_t wait_measured(QTestState *qts)
{
    for (;;) {
        JsonNode *node = qtest_qmp_assert_success_ref(qts, "{'execute': 'query-dirty-rate'}");
        JsonObject *info = json_node_get_object(node);
        bool measured = !strcmp(json_object_get_string_member(info, "status"), "measured");
        int64_t rate = measured ? json_object_get_int_member(info, "dirty-rate") : 0;

        json_node_unref(node);
        if (measured) {
            return rate;
        }
        g_usleep(1000);
    }
}

/*
 * What the guest writes is known once it has been round in the time that is measured: all of its 16 MiB and nothing
 * else.  On a host that is so busy that it does not get round, the next measurement takes longer.
 */
static void test_dirty_rate(void)
{
    static const Guest busy = {.args = "-M virt -m 64M", .bytes = 16 * MIB};
    QTestState *qts = start_source(&busy);
    int64_t ms = 100, takes_before, takes, pages_before, pages, rate;
    gint64 start, longest_us;

    do {
        ms *= 2;
        start = g_get_monotonic_time();
        pages_before = dirty_map_pages(qts, &takes_before);
        qtest_qmp_assert_success(qts, "{'execute': 'calc-dirty-rate', 'arguments': {'calc-time': %d, "
                                      "'calc-time-unit': 'millisecond', 'mode': 'dirty-bitmap'}}", (int)ms);
        check_guest_runs(qts, "source");
        check_guest_runs(qts, "source"); /* whole rounds since the last 'B' */
        dirty_map_pages(qts, &takes);    /* none yet: the log is still open */
        rate = wait_measured(qts);
        longest_us = g_get_monotonic_time() - start;
    } while (takes > takes_before);
    pages = dirty_map_pages(qts, &takes);
    g_assert_cmpint(takes, ==, takes_before + 1);
    g_assert_cmpint(pages - pages_before, ==, 16 * MIB / 4096);
    g_assert_cmpint(rate, <=, 16 * 1000 / ms);
    g_assert_cmpint(rate, >=, 16 * G_USEC_PER_SEC / longest_us);
    qtest_quit(qts);
}

/* What a migration takes from the log nobody else can count: no result rather than a wrong one. */
static void test_dirty_rate_of_an_absurd_time_is_refused(void)
{
    static const int64_t times[] = {INT64_MIN, -1, 0, 61, INT64_MAX};
    QTestState *qts = start_source(&plain);

    for (unsigned i = 0; i < G_N_ELEMENTS(times); i++) {
        check_error(qtest_qmp(qts, "{'execute': 'calc-dirty-rate', 'arguments': {'calc-time': %" PRId64 "}}", times[i]),
                    "calc-time is not between");
    }
    qtest_quit(qts);
}

static void test_dirty_rate_that_a_migration_disturbs(void)
{
    g_autofree char *uri = file_uri();
    QTestState *qts = start_source(&plain);
    JsonObject *info;

    qtest_qmp_assert_success(qts, "{'execute': 'calc-dirty-rate', 'arguments': {'calc-time': 1, 'mode': "
                             "'dirty-bitmap'}}");
    set_capability(qts, "pause-before-switchover", true);
    fast_migration(qts);
    migrate(qts, uri);
    wait_status(qts, "pre-switchover");
    for (bool measuring = true; measuring;) {
        JsonNode *node = qtest_qmp_assert_success_ref(qts, "{'execute': 'query-dirty-rate'}");

        info = json_node_get_object(node);
        measuring = !strcmp(json_object_get_string_member(info, "status"), "measuring");
        g_assert_false(json_object_has_member(info, "dirty-rate"));
        json_node_unref(node);
        g_usleep(10000); /* between two looks */
    }
    qtest_qmp_assert_success(qts, "{'execute': 'migrate_cancel'}");
    wait_status(qts, "cancelled");
    check_guest_runs(qts, "source");
    qtest_quit(qts);
}

static void test_incoming_cancel(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, "defer", "");
    g_autofree char *status = NULL;

    qtest_qmp_assert_success(to, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}", uri);
    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    qtest_qmp_assert_success(to, "{'execute': 'migrate_cancel'}");
    wait_status(to, "cancelled");
    g_free(wait_failed(from));
    status = run_status(to);
    g_assert_cmpstr(status, ==, "inmigrate");
    qtest_qmp_assert_success(to, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}", uri);
    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "completed");
    finish(from, to, &plain);
}

/* --- regressions: the two ways to lose a store --- */

/*
 * The sync in the middle of a pass finds only pages that are still pending: their fast-write permission must go all
 * the same (D4).  auto-converge makes such syncs.
 */
static void test_pages_pending_at_a_sync_are_rearmed(void)
{
    static const Guest busy = {.args = "-M virt -m 64M", .bytes = 16 * MIB};
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&busy);
    QTestState *to = start_destination(&busy, uri, "");

    set_capability(from, "auto-converge", true);
    slow_migration(from);
    set_parameter(from, "max-bandwidth", 2 * 1000 * 1000);
    migrate(from, uri);
    wait_status(from, "active");
    while (query_number(from, "ram", "dirty-sync-count") < 4) {
        g_usleep(10000);
    }
    fast_migration(from);
    wait_status(from, "completed");
    finish(from, to, &busy);
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/migrate/precopy/unix", test_unix);
    g_test_add_func("/migrate/precopy/socket-goes-with-the-listener", test_socket_goes_with_the_listener);
    g_test_add_func("/migrate/precopy/tcp-port-zero", test_tcp_port_zero);
    g_test_add_func("/migrate/precopy/fd", test_fd);
    g_test_add_func("/migrate/precopy/exec", test_exec);
    g_test_add_func("/migrate/precopy/two-harts", test_two_harts);
    g_test_add_func("/migrate/precopy/pause-before-switchover", test_pause_before_switchover);
    g_test_add_func("/migrate/file/stream", test_file);
    g_test_add_func("/migrate/file/offset", test_file_offset);
    g_test_add_func("/migrate/file/truncated-is-refused", test_truncated_file);
    g_test_add_func("/migrate/file/qemu-profile-loads", test_profile_qemu);
    g_test_add_func("/migrate/fixed-ram/live", test_fixed_ram_live);
    g_test_add_func("/migrate/fixed-ram/stopped", test_fixed_ram_stopped);
    g_test_add_func("/migrate/fixed-ram/offset", test_fixed_ram_offset);
    g_test_add_func("/migrate/cancel/active", test_cancel_active);
    g_test_add_func("/migrate/cancel/pre-switchover", test_cancel_pre_switchover);
    g_test_add_func("/migrate/failure/other-ram-size", test_other_ram_size);
    g_test_add_func("/migrate/failure/other-number-of-harts", test_other_number_of_harts);
    g_test_add_func("/migrate/failure/nobody-listens", test_nobody_listens);
    g_test_add_func("/migrate/failure/destination-dies", test_destination_dies);
    g_test_add_func("/migrate/failure/incoming-can-stay", test_failed_incoming_can_stay);
    g_test_add_func("/migrate/cancel/destination-and-again", test_incoming_cancel);
    g_test_add_func("/migrate/hot-add/joins", test_hot_added_ram_joins);
    g_test_add_func("/migrate/hot-add/unknown-to-the-destination", test_hot_added_ram_that_the_destination_lacks);
    g_test_add_func("/migrate/control/events", test_events);
    g_test_add_func("/migrate/control/hmp", test_hmp);
    g_test_add_func("/migrate/control/dirty-rate-sees-the-guest", test_dirty_rate);
    g_test_add_func("/migrate/control/dirty-rate-of-an-absurd-time", test_dirty_rate_of_an_absurd_time_is_refused);
    g_test_add_func("/migrate/control/dirty-rate-that-a-migration-disturbs", test_dirty_rate_that_a_migration_disturbs);
    g_test_add_func("/migrate/D4/second-block-is-rearmed-at-its-address", test_two_blocks);
    g_test_add_func("/migrate/D4/pages-pending-at-a-sync-are-rearmed", test_pages_pending_at_a_sync_are_rearmed);
    return helpers_run();
}
