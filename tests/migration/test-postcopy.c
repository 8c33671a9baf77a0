/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Postcopy of a guest that never stops writing: memory, requests, broken links, both channels, and what is refused. */
#include <signal.h>
#include <string.h>

#include "helpers.h"
#include "proxy.h"

#define CAPABILITIES " -global migration.x-postcopy-ram=on "
#define PREEMPT      CAPABILITIES "-global migration.x-postcopy-preempt=on "

/* 16 MiB: long enough on its way for postcopy to begin. */
static const Guest big = {.args = "-M virt -m 64M", .bytes = 16 * MIB};
static const Guest big_harts = {.args = "-M virt -m 64M", .harts = 2, .bytes = 8 * MIB};
static const Guest big_blocks = {.args = TWO_BLOCKS, .start = RAM_BASE + 36 * MIB, .bytes = 16 * MIB};

typedef struct Pair {
    const Guest *guest;
    QTestState *from, *to;
    bool preempt;
} Pair;

static Pair start_pair(const Guest *guest, bool preempt, const char *more)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *options = g_strconcat(preempt ? PREEMPT : CAPABILITIES, more, NULL);
    Pair pair = {guest, .preempt = preempt};

    pair.from = start_source(guest);
    set_capability(pair.from, "postcopy-ram", true);
    set_capability(pair.from, "postcopy-preempt", preempt);
    pair.to = start_destination(guest, uri, options);
    return pair;
}

/* Unasked pages: so slow that they play no part, or as fast as they can. */
static void slow_background(Pair *pair)
{
    set_parameter(pair->from, "max-postcopy-bandwidth", 64 * 1024);
}

static void fast_background(Pair *pair)
{
    set_parameter(pair->from, "max-postcopy-bandwidth", 0);
}

/*
 * Precopy, and in the middle of its first pass postcopy: some pages have come, and some of them have changed since.  What is
 * left takes the second that a busy host may need to get here.
 */
static void start_postcopy(Pair *pair)
{
    g_autofree char *uri = unix_uri();
    int64_t first;

    set_parameter(pair->from, "max-bandwidth", 10 * MIB);
    migrate(pair->from, uri);
    wait_status(pair->from, "active");
    first = query_number(pair->from, "ram", "transferred");
    while (query_number(pair->from, "ram", "transferred") < first + 2 * (int64_t)MIB) {
        g_usleep(1000);
    }
    execute(pair->from, "migrate-start-postcopy");
    wait_status(pair->from, "postcopy-active");
    wait_status(pair->to, "postcopy-active");
}

/* Most of the memory, which the guest never touches, stays at the source while the background is slow. */
static void start_postcopy_early(Pair *pair)
{
    g_autofree char *uri = unix_uri();

    slow_background(pair);
    slow_migration(pair->from);
    migrate(pair->from, uri);
    execute(pair->from, "migrate-start-postcopy");
    wait_status(pair->from, "postcopy-active");
    wait_status(pair->to, "postcopy-active");
}

static void run_destination(Pair *pair)
{
    execute(pair->to, "cont");
}

/* The guest prints, there. */
static void check_runs_there(Pair *pair)
{
    wait_run_status(pair->to, "running");
    check_guest_runs(pair->to, "destination");
}

static void quit_pair(Pair *pair)
{
    qtest_quit(pair->from);
    qtest_quit(pair->to);
}

/* All memory has come, and the guest lost no store. */
static void finish_running(Pair *pair)
{
    wait_status(pair->from, "completed");
    wait_status(pair->to, "completed");
    wait_run_status(pair->from, "postmigrate");
    check_guest_runs(pair->to, "destination");
    execute(pair->to, "stop");
    check_guest_pages(pair->to, pair->guest);
    quit_pair(pair);
}

/* --- memory --- */

static void stopped_machine(const Guest *guest, bool preempt)
{
    Pair pair = start_pair(guest, preempt, "");

    set_parameter(pair.from, "max-postcopy-bandwidth", 200 * MIB); /* long enough for the status to be seen */
    start_postcopy(&pair);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, guest);
}

static void test_all_memory_arrives(void)
{
    stopped_machine(&big, false);
}

static void test_second_block(void)
{
    stopped_machine(&big_blocks, false);
}

static void running_machine(const Guest *guest, bool preempt)
{
    Pair pair = start_pair(guest, preempt, "");

    run_destination(&pair);
    start_postcopy_early(&pair);
    check_runs_there(&pair);
    g_assert_cmpint(query_number(pair.from, "ram", "postcopy-requests"), >, 0);
    fast_background(&pair);
    finish_running(&pair);
}

static void test_guest_runs_before_its_memory(void)
{
    running_machine(&big_harts, false);
}

static void test_preempt(void)
{
    running_machine(&big_harts, true);
}

static void test_preempt_stopped(void)
{
    stopped_machine(&big_blocks, true);
}

static void test_before_the_first_pass(void)
{
    Pair pair = start_pair(&big, false, "");
    g_autofree char *uri = unix_uri();

    slow_migration(pair.from);
    run_destination(&pair);
    migrate(pair.from, uri);
    execute(pair.from, "migrate-start-postcopy");
    finish_running(&pair);
}

static void test_never_started_is_precopy(void)
{
    Pair pair = start_pair(&big, true, "");
    g_autofree char *uri = unix_uri();

    migrate_live(pair.from, uri);
    g_assert_cmpint(query_number(pair.from, "ram", "postcopy-bytes"), ==, 0);
    finish(pair.from, pair.to, &big);
}

static void test_peer_profile(void)
{
    Pair pair = start_pair(&big, false, "");

    set_text_parameter(pair.from, "x-profile", "\"qemu-10.0\"");
    slow_background(&pair);
    start_postcopy(&pair);
    fast_background(&pair);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &big);
}

static void test_release_ram(void)
{
    Pair pair = start_pair(&big, false, "");

    set_capability(pair.from, "release-ram", true);
    run_destination(&pair);
    start_postcopy_early(&pair);
    fast_background(&pair);
    finish_running(&pair);
}

/* --- requests --- */

static void wanted_page_first(bool preempt)
{
    Pair pair = start_pair(&big, preempt, "");
    uint64_t addr = GUEST_START + big.bytes - 4096;
    uint64_t value;

    slow_background(&pair);
    start_postcopy(&pair);
    value = qtest_readq(pair.to, addr); /* at 64 KiB/s it would come in minutes */
    g_assert_cmphex(value, ==, qtest_readq(pair.from, addr));
    g_assert_cmpint(query_number(pair.from, "ram", "remaining"), >, 0);
    fast_background(&pair);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &big);
}

static void test_wanted_page_first(void)
{
    wanted_page_first(false);
}

static void test_wanted_page_first_preempt(void)
{
    wanted_page_first(true);
}

static void test_blocktime(void)
{
    Pair pair = start_pair(&big_harts, false, "-global migration.x-postcopy-blocktime=on");
    JsonNode *info;
    JsonObject *object;

    run_destination(&pair);
    start_postcopy_early(&pair);
    check_runs_there(&pair);
    info = qtest_qmp_assert_success_ref(pair.to, "{'execute': 'query-migrate'}");
    object = json_node_get_object(info);
    g_assert_true(json_object_has_member(object, "postcopy-blocktime"));
    g_assert_cmpint(json_array_get_length(json_object_get_array_member(object, "postcopy-vcpu-blocktime")), ==, 2);
    json_node_unref(info);
    fast_background(&pair);
    finish_running(&pair);
}

/* --- broken links --- */

static void break_link(Pair *pair, QTestState *by)
{
    execute(by, "migrate-pause");
    wait_status(pair->from, "postcopy-paused");
    wait_status(pair->to, "postcopy-paused");
}

static void recover(Pair *pair)
{
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);

    qtest_qmp_assert_success(pair->to, "{'execute': 'migrate-recover', 'arguments': {'uri': %s}}", uri);
    qtest_qmp_assert_success(pair->from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", uri);
    wait_status(pair->from, "postcopy-active");
    wait_status(pair->to, "postcopy-active");
}

static void pause_and_recover(const Guest *guest, bool preempt)
{
    Pair pair = start_pair(guest, preempt, "");

    run_destination(&pair);
    start_postcopy_early(&pair);
    check_runs_there(&pair);
    break_link(&pair, pair.from);
    for (unsigned i = 0; i < 3; i++) { /* vCPUs that wait for memory stop and go on all the same */
        execute(pair.to, "stop");
        execute(pair.to, "cont");
    }
    recover(&pair);
    check_runs_there(&pair);
    break_link(&pair, pair.to);
    recover(&pair);
    fast_background(&pair);
    finish_running(&pair);
}

static void test_recover(void)
{
    pause_and_recover(&big, false);
}

static void test_recover_preempt(void)
{
    pause_and_recover(&big_harts, true);
}

static void test_source_does_not_run_again(void)
{
    Pair pair = start_pair(&big, false, "");
    JsonObject *reply;

    slow_background(&pair);
    start_postcopy(&pair);
    break_link(&pair, pair.from);
    reply = qtest_qmp(pair.from, "{'execute': 'cont'}");
    g_assert_true(json_object_has_member(reply, "error"));
    json_object_unref(reply);
    execute(pair.from, "migrate_cancel");
    wait_status(pair.from, "postcopy-paused");
    recover(&pair);
    fast_background(&pair);
    wait_status(pair.from, "completed");
    reply = qtest_qmp(pair.from, "{'execute': 'cont'}");
    g_assert_true(json_object_has_member(reply, "error"));
    json_object_unref(reply);
    finish(pair.from, pair.to, &big);
}

static void test_failed_recovery_can_be_repeated(void)
{
    Pair pair = start_pair(&big, false, "");
    g_autofree char *nobody = g_strconcat("unix:", helpers_path("nobody"), NULL);

    slow_background(&pair);
    start_postcopy(&pair);
    break_link(&pair, pair.to);
    qtest_qmp_assert_success(pair.from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", nobody);
    wait_status(pair.from, "postcopy-paused");
    recover(&pair);
    fast_background(&pair);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &big);
}

typedef struct Read {
    QTestState *qts;
    uint64_t addr, value;
} Read;

static gpointer read_thread(gpointer opaque)
{
    Read *read = opaque;

    read->value = qtest_readq(read->qts, read->addr);
    return NULL;
}

/* The main loop waits for a page that is at the other end of a broken link. */
static void test_recover_out_of_band(void)
{
    Pair pair = start_pair(&big, false, "");
    Read read = {pair.to, GUEST_START + 4096};
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);
    GThread *reader;

    slow_background(&pair);
    start_postcopy(&pair);
    break_link(&pair, pair.from);
    reader = g_thread_new("read", read_thread, &read);
    qtest_qmp_assert_success(pair.to, "{'exec-oob': 'migrate-recover', 'id': 1, 'arguments': {'uri': %s}}", uri);
    qtest_qmp_assert_success(pair.from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", uri);
    g_thread_join(reader);
    g_assert_cmphex(read.value, ==, qtest_readq(pair.from, read.addr));
    fast_background(&pair);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &big);
}

/* The same for a client without out-of-band commands. */
static void test_recover_while_the_main_loop_waits(void)
{
    Pair pair = start_pair(&big, false, "");
    Read read = {pair.to, GUEST_START + big.bytes - 4096};
    g_autofree char *status = NULL;
    GThread *reader;

    start_postcopy_early(&pair);
    break_link(&pair, pair.from);
    reader = g_thread_new("read", read_thread, &read);
    while (query_number(pair.to, NULL, "x-postcopy-waiting") < 1) { /* with the big lock */
        g_usleep(1000);
    }
    status = migration_status(pair.to);
    g_assert_cmpstr(status, ==, "postcopy-paused");
    recover(&pair);
    g_thread_join(reader);
    g_assert_cmphex(read.value, ==, qtest_readq(pair.from, read.addr));
    fast_background(&pair);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &big);
}

/* The destination has everything and runs, and the source is not told. */
static void test_lost_last_message(void)
{
    Pair pair = start_pair(&big, false, "");
    g_autofree char *there = unix_uri(), *uri = g_strconcat("unix:", helpers_path("proxy"), NULL);
    g_autofree char *again = g_strconcat("unix:", helpers_path("again"), NULL);
    Proxy *proxy = proxy_new(uri + strlen("unix:"), there + strlen("unix:"));
    JsonNode *info;

    slow_background(&pair);
    slow_migration(pair.from);
    migrate(pair.from, uri);
    execute(pair.from, "migrate-start-postcopy");
    wait_status(pair.from, "postcopy-active");
    wait_status(pair.to, "postcopy-active");
    proxy_lose_answers(proxy);
    fast_background(&pair);
    wait_status(pair.to, "completed");
    wait_status(pair.from, "postcopy-paused");
    proxy_free(proxy);
    info = qtest_qmp_assert_success_ref(pair.from, "{'execute': 'query-migrate'}");
    g_assert_nonnull(strstr(json_object_get_string_member(json_node_get_object(info), "error-desc"),
                            "did not confirm it"));
    json_node_unref(info);
    qtest_qmp_assert_success(pair.to, "{'execute': 'migrate-recover', 'arguments': {'uri': %s}}", again);
    qtest_qmp_assert_success(pair.from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", again);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &big);
}

/* The destination says what it is waiting for, still answers, stops and ends. */
static void test_source_is_killed(void)
{
    Pair pair = start_pair(&big_harts, false, "");
    g_autofree char *status = NULL;

    run_destination(&pair);
    start_postcopy_early(&pair);
    break_link(&pair, pair.from);
    qtest_set_expected_status(pair.from, -SIGKILL);
    qtest_kill(pair.from, SIGKILL);
    qtest_wait_exit(pair.from);
    status = migration_status(pair.to);
    g_assert_cmpstr(status, ==, "postcopy-paused");
    execute(pair.to, "stop");
    execute(pair.to, "cont");
    execute(pair.to, "stop");
    quit_pair(&pair);
}

/* --- what is refused --- */

static JsonObject *try_capability(QTestState *qts, const char *name)
{
    return qtest_qmp(qts, "{'execute': 'migrate-set-capabilities', 'arguments': {'capabilities': "
                     "[{'capability': %s, 'state': true}]}}", name);
}

static void test_refusals(void)
{
    static const char *const excluded[] = {"multifd", "mapped-ram", "background-snapshot"};
    QTestState *qts = start_source(&big);

    check_error(qtest_qmp(qts, "{'execute': 'migrate-start-postcopy'}"), "no migration is active");
    check_error(qtest_qmp(qts, "{'execute': 'migrate-pause'}"), "no postcopy");
    check_error(qtest_qmp(qts, "{'execute': 'migrate-recover', 'arguments': {'uri': 'tcp:127.0.0.1:0'}}"),
                 "no broken postcopy");
    check_error(qtest_qmp(qts, "{'execute': 'migrate', 'arguments': {'uri': 'tcp:127.0.0.1:1', 'resume': true}}"),
                 "no broken postcopy");
    check_error(try_capability(qts, "postcopy-preempt"), "needs capability 'postcopy-ram'");
    set_capability(qts, "postcopy-ram", true);
    for (unsigned i = 0; i < G_N_ELEMENTS(excluded); i++) {
        check_error(try_capability(qts, excluded[i]), "exclude each other");
    }
    check_error(qtest_qmp(qts, "{'execute': 'migrate', 'arguments': {'uri': 'exec:cat >/dev/null'}}"),
                 "needs a socket");
    check_guest_runs(qts, "source");
    qtest_quit(qts);
}

/* What has not come yet would be sent on as zeroes. */
static void test_no_migration_before_memory_has_come(void)
{
    Pair pair = start_pair(&big, false, "");

    run_destination(&pair);
    start_postcopy_early(&pair);
    set_capability(pair.to, "postcopy-ram", false);
    check_error(qtest_qmp(pair.to, "{'execute': 'migrate', 'arguments': {'uri': 'exec:cat >/dev/null'}}"),
                 "memory of the machine is still at the source");
    fast_background(&pair);
    wait_status(pair.to, "completed");
    migrate(pair.to, "exec:cat >/dev/null");
    wait_status(pair.to, "completed");
    quit_pair(&pair);
}

/* The file keeps what it holds. */
static void test_resume_to_a_file(void)
{
    Pair pair = start_pair(&big, false, "");
    g_autofree char *uri = file_uri();
    g_autofree char *kept = NULL;

    run_destination(&pair);
    start_postcopy_early(&pair);
    break_link(&pair, pair.from);
    g_assert_true(g_file_set_contents(uri + strlen("file:"), "precious", -1, NULL));
    check_error(qtest_qmp(pair.from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", uri),
                 "needs a socket");
    check_error(qtest_qmp(pair.to, "{'execute': 'migrate-recover', 'arguments': {'uri': %s}}", uri),
                 "needs a socket");
    g_assert_true(g_file_get_contents(uri + strlen("file:"), &kept, NULL, NULL));
    g_assert_cmpstr(kept, ==, "precious");
    recover(&pair);
    fast_background(&pair);
    finish_running(&pair);
}

/* It would write to memory that has yet to move. */
static void test_no_reset_at_the_source(void)
{
    Pair pair = start_pair(&big, false, "");

    run_destination(&pair);
    start_postcopy_early(&pair);
    check_error(qtest_qmp(pair.from, "{'execute': 'system_reset'}"), "the machine has moved");
    fast_background(&pair);
    finish_running(&pair);
}

static void test_destination_without_the_capability(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *why = NULL;
    QTestState *from = start_source(&big);
    QTestState *to = start_destination(&big, uri, "");

    set_capability(from, "postcopy-ram", true);
    migrate(from, uri);
    why = wait_failed(from);
    g_assert_nonnull(strstr(why, "turn it on here as well"));
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    qtest_wait_exit(to);
    qtest_quit(from);
    qtest_quit(to);
}

/* The package does not load: the machine has not moved, and goes on. */
static void test_destination_that_lacks_a_device(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *why = NULL;
    QTestState *from = start_source(&big);
    QTestState *to = start_destination(&big_harts, uri, CAPABILITIES);

    set_capability(from, "postcopy-ram", true);
    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    execute(from, "migrate-start-postcopy");
    why = wait_failed(from);
    g_assert_true(g_str_has_prefix(why, "the destination failed: section 'riscv_mtimer'"));
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    qtest_wait_exit(to);
    qtest_quit(from);
    qtest_quit(to);
}

static void test_cancel_before_the_start(void)
{
    Pair pair = start_pair(&big, true, "");
    g_autofree char *uri = unix_uri();

    slow_migration(pair.from);
    migrate(pair.from, uri);
    wait_status(pair.from, "active");
    execute(pair.from, "migrate_cancel");
    wait_status(pair.from, "cancelled");
    check_guest_runs(pair.from, "source");
    qtest_set_expected_status(pair.to, 1);
    qtest_wait_exit(pair.to);
    quit_pair(&pair);
}

static void hmp(QTestState *qts, const char *line, const char *part)
{
    g_autofree char *out = qtest_hmp(qts, "%s", line);

    if (!strstr(out, part)) {
        g_error("'%s' says '%s', not '%s'", line, out, part);
    }
}

static void test_hmp(void)
{
    Pair pair = start_pair(&big, false, "");
    g_autofree char *uri = unix_uri();
    g_autofree char *to_again = g_strdup_printf("migrate_recover unix:%s", helpers_path("again"));
    g_autofree char *from_again = g_strdup_printf("migrate -d -r unix:%s", helpers_path("again"));

    slow_background(&pair);
    slow_migration(pair.from);
    migrate(pair.from, uri);
    wait_status(pair.from, "active");
    hmp(pair.from, "migrate_start_postcopy", "");
    wait_status(pair.from, "postcopy-active");
    wait_status(pair.to, "postcopy-active");
    hmp(pair.to, "migrate_pause", "");
    wait_status(pair.to, "postcopy-paused");
    wait_status(pair.from, "postcopy-paused");
    hmp(pair.from, "info migrate", "postcopy-paused");
    hmp(pair.to, to_again, "");
    hmp(pair.from, from_again, "");
    wait_status(pair.from, "postcopy-active");
    fast_background(&pair);
    wait_status(pair.from, "completed");
    hmp(pair.from, "info migrate", "postcopy ram:");
    finish(pair.from, pair.to, &big);
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/postcopy/memory/all-arrives", test_all_memory_arrives);
    g_test_add_func("/postcopy/memory/second-block", test_second_block);
    g_test_add_func("/postcopy/memory/guest-runs-before-it-came", test_guest_runs_before_its_memory);
    g_test_add_func("/postcopy/memory/start-before-the-first-pass", test_before_the_first_pass);
    g_test_add_func("/postcopy/memory/never-started-is-precopy", test_never_started_is_precopy);
    g_test_add_func("/postcopy/memory/qemu-profile", test_peer_profile);
    g_test_add_func("/postcopy/memory/release-ram", test_release_ram);
    g_test_add_func("/postcopy/preempt/guest-runs-before-memory-came", test_preempt);
    g_test_add_func("/postcopy/preempt/all-memory-arrives", test_preempt_stopped);
    g_test_add_func("/postcopy/requests/wanted-page-comes-first", test_wanted_page_first);
    g_test_add_func("/postcopy/requests/wanted-page-comes-first-preempt", test_wanted_page_first_preempt);
    g_test_add_func("/postcopy/requests/blocktime", test_blocktime);
    g_test_add_func("/postcopy/link/pause-and-recover", test_recover);
    g_test_add_func("/postcopy/link/pause-and-recover-preempt", test_recover_preempt);
    g_test_add_func("/postcopy/link/source-does-not-run-again", test_source_does_not_run_again);
    g_test_add_func("/postcopy/link/failed-recovery-can-be-repeated", test_failed_recovery_can_be_repeated);
    g_test_add_func("/postcopy/link/recover-out-of-band", test_recover_out_of_band);
    g_test_add_func("/postcopy/link/recover-while-the-main-loop-waits", test_recover_while_the_main_loop_waits);
    g_test_add_func("/postcopy/link/lost-last-message", test_lost_last_message);
    g_test_add_func("/postcopy/link/killed-source-leaves-a-clear-state", test_source_is_killed);
    g_test_add_func("/postcopy/control/refusals", test_refusals);
    g_test_add_func("/postcopy/control/no-migration-before-memory-has-come", test_no_migration_before_memory_has_come);
    g_test_add_func("/postcopy/control/resume-to-a-file", test_resume_to_a_file);
    g_test_add_func("/postcopy/control/no-reset-at-the-source", test_no_reset_at_the_source);
    g_test_add_func("/postcopy/control/destination-without-the-capability", test_destination_without_the_capability);
    g_test_add_func("/postcopy/control/destination-that-lacks-a-device", test_destination_that_lacks_a_device);
    g_test_add_func("/postcopy/control/cancel-before-the-start", test_cancel_before_the_start);
    g_test_add_func("/postcopy/control/hmp", test_hmp);
    return helpers_run();
}
