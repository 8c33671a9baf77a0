/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The moment in which the machine changes hands, and links that break in it: one machine runs, or none until somebody says. */
#include <signal.h>
#include <string.h>

#include "helpers.h"
#include "proxy.h"

typedef struct Pair {
    QTestState *from, *to;
} Pair;

static void check_says(QTestState *qts, const char *part)
{
    g_autofree char *text = qtest_hmp(qts, "info migrate");

    if (!strstr(text, part)) {
        g_error("info migrate says '%s', not '%s'", text, part);
    }
}

/* A machine on its way whose link breaks at @what. */
static Pair broken_pair(ProxyCut what)
{
    g_autofree char *there = unix_uri(), *uri = g_strconcat("unix:", helpers_path("proxy"), NULL);
    Proxy *proxy = proxy_new(uri + strlen("unix:"), there + strlen("unix:"));
    Pair pair = {start_source(&plain), start_destination(&plain, there, "")};

    proxy_cut(proxy, what);
    set_capability(pair.from, "events", true);
    fast_migration(pair.from);
    migrate(pair.from, uri);
    wait_status(pair.from, "handover-paused");
    proxy_free(proxy);
    check_run_status(pair.from, "postmigrate");
    return pair;
}

/* HANDOVER was lost: both machines stand still. */
static Pair undecided_pair(void)
{
    Pair pair = broken_pair(PROXY_CUT_HANDOVER);

    wait_status(pair.to, "handover-paused");
    check_run_status(pair.to, "inmigrate");
    return pair;
}

static void listen_again(QTestState *to, const char *uri)
{
    qtest_qmp_assert_success(to, "{'execute': 'migrate-recover', 'arguments': {'uri': %s}}", uri);
}

static void resume(QTestState *from, const char *uri)
{
    qtest_qmp_assert_success(from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", uri);
}

static void recover(Pair *pair)
{
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);

    listen_again(pair->to, uri);
    resume(pair->from, uri);
    wait_status(pair->from, "completed");
}

static void test_lost_handover(void)
{
    Pair pair = undecided_pair();

    check_says(pair.from, "the destination may be running: 'cont' here only if it is not");
    check_says(pair.to, "the source may have given the machine up");
    recover(&pair);
    finish(pair.from, pair.to, &plain);
}

static void test_lost_confirmation(void)
{
    Pair pair = broken_pair(PROXY_CUT_TAKEN);

    wait_status(pair.to, "completed");
    recover(&pair);
    finish(pair.from, pair.to, &plain);
}

static void test_events(void)
{
    static const char *const expected[] = {"setup", "active", "device", "handover-paused", "handover-recover",
                                           "completed"};
    Pair pair = undecided_pair();

    recover(&pair);
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        expect_status(pair.from, expected[i]);
    }
    finish(pair.from, pair.to, &plain);
}

/* The user knows that the destination does not run it, and sees to that. */
static void test_cont_takes_the_machine_back(void)
{
    Pair pair = undecided_pair();
    g_autofree char *uri = unix_uri();
    g_autofree char *why = NULL;

    execute(pair.to, "migrate_cancel");
    wait_status(pair.to, "cancelled");
    execute(pair.from, "cont");
    why = wait_failed(pair.from);
    g_assert_nonnull(strstr(why, "let run here"));
    check_guest_runs(pair.from, "source");
    qtest_qmp_assert_success(pair.to, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}", uri);
    migrate(pair.from, uri);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &plain);
}

/* Used here again, the machine is not handed over by an old promise. */
static void test_reset_machine_is_not_handed_over(void)
{
    Pair pair = undecided_pair();
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);
    g_autofree char *why = NULL;

    execute(pair.from, "system_reset");
    wait_run_status(pair.from, "prelaunch");
    listen_again(pair.to, uri);
    resume(pair.from, uri);
    why = wait_failed(pair.from);
    g_assert_nonnull(strstr(why, "in use here again"));
    check_run_status(pair.to, "inmigrate");
    qtest_quit(pair.from);
    qtest_quit(pair.to);
}

/* The source is gone for good, and what it was is at the destination. */
static void test_user_takes_the_machine(void)
{
    Pair pair = undecided_pair();

    qtest_set_expected_status(pair.from, -SIGKILL);
    qtest_kill(pair.from, SIGKILL);
    qtest_wait_exit(pair.from);
    qtest_qmp_assert_success(pair.to,
                             "{'execute': 'migrate-continue', 'arguments': {'state': 'handover-paused'}}");
    wait_status(pair.to, "completed");
    check_guest_runs(pair.to, "destination");
    execute(pair.to, "stop");
    check_guest_pages(pair.to, &plain);
    qtest_quit(pair.from);
    qtest_quit(pair.to);
}

static void test_machine_of_another_migration(void)
{
    Pair pair = undecided_pair(), other = undecided_pair();
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);

    listen_again(other.to, uri);
    resume(pair.from, uri);
    wait_status(other.to, "handover-paused");
    wait_status(pair.from, "handover-paused");
    check_says(other.to, "of another migration");
    check_run_status(other.to, "inmigrate");
    recover(&pair);
    recover(&other);
    qtest_quit(pair.from);
    qtest_quit(pair.to);
    finish(other.from, other.to, &plain); /* the one that started last owns the file of the serial port */
}

static void test_failed_recovery_can_be_repeated(void)
{
    Pair pair = undecided_pair();
    g_autofree char *nobody = g_strconcat("unix:", helpers_path("nobody"), NULL);

    resume(pair.from, nobody);
    wait_status(pair.from, "handover-paused");
    check_says(pair.from, "nobody");
    recover(&pair);
    finish(pair.from, pair.to, &plain);
}

/* In the qemu-10.0 profile the destination starts with the last byte: a lost answer leaves the source in doubt for good. */
static void test_lost_answer_of_the_peer_profile(void)
{
    static const Guest old = {.args = "-M virt -m 64M -global migration.profile=qemu-10.0"};
    g_autofree char *there = unix_uri(), *uri = g_strconcat("unix:", helpers_path("proxy"), NULL);
    g_autofree char *why = NULL;
    Proxy *proxy = proxy_new(uri + strlen("unix:"), there + strlen("unix:"));
    QTestState *from = start_source(&old), *to = start_destination(&old, there, "");

    proxy_lose_answers(proxy);
    set_capability(from, "return-path", true);
    fast_migration(from);
    migrate(from, uri);
    why = wait_failed(from);
    proxy_free(proxy);
    g_assert_nonnull(strstr(why, "'cont' here only if it does not run there"));
    finish(from, to, &old);
}

static char *listening_at(QTestState *qts)
{
    JsonNode *info = qtest_qmp_assert_success_ref(qts, "{'execute': 'query-migrate'}");
    JsonArray *list = json_object_get_array_member(json_node_get_object(info), "socket-address");
    char *path = g_strdup(json_object_get_string_member(json_array_get_object_element(list, 0), "path"));

    json_node_unref(info);
    return path;
}

static void refused_second(ProxyCut cut, const char *status, const char *why)
{
    Pair pair = broken_pair(cut);
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);
    g_autofree char *other = g_strconcat("unix:", helpers_path("other"), NULL);
    g_autofree char *path = NULL;

    wait_status(pair.to, status);
    listen_again(pair.to, uri);
    check_error(qtest_qmp(pair.to, "{'execute': 'migrate-recover', 'arguments': {'uri': %s}}", other), why);
    check_error(qtest_qmp(pair.to, "{'execute': 'migrate-recover', 'arguments': {'uri': %s}}", uri), why);
    path = listening_at(pair.to);
    g_assert_cmpstr(path, ==, uri + strlen("unix:"));
    resume(pair.from, uri);
    wait_status(pair.from, "completed");
    finish(pair.from, pair.to, &plain);
}

static void test_refused_second_recovery(void)
{
    refused_second(PROXY_CUT_HANDOVER, "handover-paused", "no broken postcopy or handover");
}

static void test_refused_second_epilogue(void)
{
    refused_second(PROXY_CUT_TAKEN, "completed", "waits for its source already");
}

static void test_refusals(void)
{
    Pair pair = undecided_pair();
    JsonObject *reply = qtest_qmp(pair.from, "{'execute': 'migrate', 'arguments': {'uri': 'tcp:127.0.0.1:1'}}");

    check_error(reply, "active already");
    execute(pair.from, "migrate_cancel");
    wait_status(pair.from, "handover-paused");
    check_error(qtest_qmp(pair.to, "{'execute': 'migrate-incoming', 'arguments': {'uri': 'tcp:127.0.0.1:1'}}"),
                "active already");
    check_error(qtest_qmp(pair.from, "{'execute': 'migrate-continue', 'arguments': {'state': 'handover-paused'}}"),
                "no machine waits here");
    qtest_quit(pair.from); /* both end although they wait */
    qtest_set_expected_status(pair.to, -1);
    qtest_quit(pair.to);
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/handover/lost/handover", test_lost_handover);
    g_test_add_func("/handover/lost/confirmation", test_lost_confirmation);
    g_test_add_func("/handover/lost/events", test_events);
    g_test_add_func("/handover/lost/answer-of-the-qemu-profile", test_lost_answer_of_the_peer_profile);
    g_test_add_func("/handover/user/cont-takes-the-machine-back", test_cont_takes_the_machine_back);
    g_test_add_func("/handover/user/reset-machine-is-not-handed-over", test_reset_machine_is_not_handed_over);
    g_test_add_func("/handover/user/destination-takes-the-machine", test_user_takes_the_machine);
    g_test_add_func("/handover/recover/machine-of-another-migration", test_machine_of_another_migration);
    g_test_add_func("/handover/recover/can-be-repeated", test_failed_recovery_can_be_repeated);
    g_test_add_func("/handover/recover/refused-second-changes-nothing", test_refused_second_recovery);
    g_test_add_func("/handover/recover/refused-second-changes-nothing-once-completed", test_refused_second_epilogue);
    g_test_add_func("/handover/refusals", test_refusals);
    return helpers_run();
}
