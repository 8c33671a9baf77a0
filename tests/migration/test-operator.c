/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An operator who says the right thing at the wrong time, the wrong thing, or who is not alone on the network. */
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "helpers.h"

static void check_refused(QTestState *qts, const char *uri, const char *part)
{
    check_error(qtest_qmp(qts, "{'execute': 'migrate', 'arguments': {'uri': %s}}", uri), part);
}

/* --- limits --- */

/* At a byte a second the next page is due in an hour: the new limit must not wait for it. */
static void test_raised_bandwidth(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");

    set_parameter(from, "max-bandwidth", 1);
    migrate(from, uri);
    wait_status(from, "active");
    while (!query_number(from, "ram", "normal")) {
        g_usleep(1000); /* between two looks */
    }
    fast_migration(from);
    wait_status(from, "completed");
    finish(from, to, &plain);
}

/* What the last sync found takes longer than a number of nanoseconds can say. */
static void test_expected_downtime_is_not_negative(void)
{
    static const Guest large = {.args = "-M virt -m 16G"};
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&large);
    QTestState *to = start_destination(&large, uri, "");

    set_parameter(from, "avail-switchover-bandwidth", 1);
    set_parameter(from, "max-bandwidth", 1);
    migrate(from, uri);
    wait_status(from, "active");
    g_assert_cmpint(query_number(from, NULL, "expected-downtime"), >, 0);
    execute(from, "migrate_cancel");
    wait_status(from, "cancelled");
    qtest_set_expected_status(to, 1);
    g_assert_cmpint(qtest_wait_exit(to), ==, 1);
    qtest_quit(to);
    qtest_quit(from);
}

/* More than the machine's memory is of no use, and would be the host's. */
static void test_huge_xbzrle_cache(void)
{
    QTestState *from = start_source(&plain);

    set_capability(from, "xbzrle", true);
    set_parameter(from, "xbzrle-cache-size", INT64_C(1) << 42);
    fast_migration(from);
    migrate(from, "exec:cat >/dev/null");
    wait_status(from, "completed");
    qtest_quit(from);
}

/* --- what cannot work, before anything is touched --- */

static void test_refused_file_is_left_alone(void)
{
    static const char *const caps[] = {"multifd", "return-path", "postcopy-ram"};
    g_autofree char *uri = file_uri();
    QTestState *from = start_source(&plain);

    g_assert_true(g_file_set_contents(uri + strlen("file:"), "precious", -1, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(caps); i++) {
        g_autofree char *kept = NULL;

        set_capability(from, caps[i], true);
        check_refused(from, uri, caps[i]);
        set_capability(from, caps[i], false);
        g_assert_true(g_file_get_contents(uri + strlen("file:"), &kept, NULL, NULL));
        g_assert_cmpstr(kept, ==, "precious");
    }
    qtest_quit(from);
}

static void test_refused_command_is_not_started(void)
{
    static const char *const caps[] = {"mapped-ram", "return-path", "postcopy-ram"};
    g_autofree char *touched = g_strdup(helpers_path("touched"));
    g_autofree char *uri = g_strdup_printf("exec:touch %s; cat >/dev/null", touched);
    QTestState *from = start_source(&plain);

    for (unsigned i = 0; i < G_N_ELEMENTS(caps); i++) {
        set_capability(from, caps[i], true);
        check_refused(from, uri, caps[i]);
        set_capability(from, caps[i], false);
    }
    migrate(from, "exec:cat >/dev/null");
    wait_status(from, "completed"); /* a command that came before would have run by now */
    g_assert_cmpint(access(touched, F_OK), !=, 0);
    qtest_quit(from);
}

/* A number that the user did not give to the process belongs to something in it. */
static void test_own_descriptors_are_not_taken(void)
{
    QTestState *from = start_source(&plain);

    for (int fd = 3; fd < 64; fd++) {
        g_autofree char *uri = g_strdup_printf("fd:%d", fd);

        check_refused(from, uri, "fd ");
    }
    check_guest_runs(from, "source");
    qtest_quit(from);
}

/* Each write goes to the file's end, wherever it was meant for: the machine would be gone and the file of no use. */
static void test_file_that_only_grows(void)
{
    QTestState *from = start_source(&plain);
    int fd = open(helpers_path("growing"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    json_object_unref(qtest_qmp_fds(from, &fd, 1, "{'execute': 'getfd', 'arguments': {'fdname': 'f'}}"));
    json_object_unref(qtest_qmp_fds(from, &fd, 1, "{'execute': 'add-fd', 'arguments': {'fdset-id': 1}}"));
    check_refused(from, "fd:f", "O_APPEND");
    check_refused(from, "file:/dev/fdset/1", "O_APPEND");
    check_guest_runs(from, "source");
    close(fd);
    qtest_quit(from);
}

static void test_snapshots_that_are_not_here(void)
{
    static const char *const commands[] = {"savevm x", "loadvm x", "delvm x", "info snapshots"};
    QTestState *from = start_source(&plain);

    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *said = qtest_hmp(from, "%s", commands[i]);

        g_assert_nonnull(strstr(said, "'migrate file:PATH' saves the machine"));
    }
    qtest_quit(from);
}

/* --- peers and resets --- */

static void pause_before_switchover(QTestState *from, const char *uri)
{
    set_capability(from, "pause-before-switchover", true);
    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "pre-switchover");
}

static void reset(QTestState *qts)
{
    execute(qts, "system_reset");
    qtest_qmp_eventwait(qts, "RESET");
}

/* It was running, so it runs, from its start. */
static void test_reset_then_cancel(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");

    pause_before_switchover(from, uri);
    reset(from);
    check_run_status(from, "finish-migrate");
    execute(from, "migrate_cancel");
    wait_status(from, "cancelled");
    check_run_status(from, "running");
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    g_assert_cmpint(qtest_wait_exit(to), ==, 1);
    qtest_quit(to);
    qtest_quit(from);
}

/* Before its state was saved: the machine arrives as it is after the reset. */
static void test_reset_then_continue(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");

    pause_before_switchover(from, uri);
    reset(from);
    qtest_qmp_assert_success(from, "{'execute': 'migrate-continue', 'arguments': {'state': 'pre-switchover'}}");
    wait_status(from, "completed");
    wait_status(to, "completed");
    check_guest_runs(to, "destination");
    qtest_quit(to);
    qtest_quit(from);
}

/* Reads all and says nothing. */
static gpointer swallow(gpointer opaque)
{
    int fd = GPOINTER_TO_INT(opaque);
    char buffer[4096];

    while (read(fd, buffer, sizeof(buffer)) > 0) {
    }
    close(fd);
    return NULL;
}

static GThread *next_peer(int listener)
{
    int fd = accept(listener, NULL, NULL);

    g_assert_cmpint(fd, >=, 0);
    return g_thread_new("peer", swallow, GINT_TO_POINTER(fd));
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    unlink(path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    return fd;
}

/* After its state was saved: that is not the machine any more, which goes on here. */
static void test_reset_while_the_destination_loads(void)
{
    g_autofree char *uri = unix_uri();
    int listener = listen_at(uri + strlen("unix:"));
    QTestState *from = start_source(&plain);
    GThread *peer;

    fast_migration(from);
    migrate(from, uri);
    peer = next_peer(listener);
    wait_status(from, "device");
    reset(from);
    execute(from, "migrate_cancel");
    wait_status(from, "cancelled");
    check_run_status(from, "running");
    check_guest_runs(from, "source");
    g_thread_join(peer);
    close(listener);
    qtest_quit(from);
}

/* One of multifd's connections breaks, and the destination does not know it: nobody waits for the other for ever. */
static void test_one_of_the_connections_breaks(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *why = NULL;
    int listener = listen_at(uri + strlen("unix:"));
    QTestState *from = start_source(&plain);
    GThread *peers[2];

    set_capability(from, "multifd", true); /* two, beside the main one */
    fast_migration(from);
    migrate(from, uri);
    peers[0] = next_peer(listener); /* the main one comes first */
    peers[1] = next_peer(listener);
    close(accept(listener, NULL, NULL));
    why = wait_failed(from);
    g_assert_nonnull(strstr(why, "writing to"));
    check_run_status(from, "running");
    check_guest_runs(from, "source");
    for (unsigned i = 0; i < G_N_ELEMENTS(peers); i++) {
        g_thread_join(peers[i]);
    }
    close(listener);
    qtest_quit(from);
}

static void test_no_reset_of_what_comes_in(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "");

    pause_before_switchover(from, uri);
    check_error(qtest_qmp(to, "{'execute': 'system_reset'}"), "waits for an incoming migration");
    qtest_qmp_assert_success(from, "{'execute': 'migrate-continue', 'arguments': {'state': 'pre-switchover'}}");
    wait_status(from, "completed");
    finish(from, to, &plain);
}

/* --- strangers --- */

/* Connects to @uri ("tcp:HOST:PORT"), says @words, and goes or stays. */
static GSocketConnection *visit(const char *uri, const void *words, gsize size, bool stays)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    GError *error = NULL;
    GSocketConnection *connection =
        g_socket_client_connect_to_host(client, uri + strlen("tcp:"), 0, NULL, &error);
    gsize done;

    g_assert_no_error(error);
    g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(connection)), words, size, &done, NULL,
                              &error);
    g_assert_no_error(error);
    if (!stays) {
        g_clear_object(&connection);
    }
    return connection;
}

static void move_among_strangers(bool multifd)
{
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, "tcp:127.0.0.1:0",
                                       multifd ? "-global migration.x-multifd=on" : "");
    g_autofree char *uri = tcp_uri(to);
    g_autoptr(GSocketConnection) http = NULL, half = NULL, silent = NULL;

    visit(uri, "", 0, false);
    visit(uri, "QE", 2, false);
    http = visit(uri, "GET / HTTP/1.0\r\n\r\n", 18, true);
    half = visit(uri, "QE", 2, true);
    silent = visit(uri, "", 0, true);
    set_capability(from, "multifd", multifd);
    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "completed");
    finish(from, to, &plain);
}

static void test_strangers(void)
{
    move_among_strangers(false);
}

static void test_strangers_multifd(void)
{
    move_among_strangers(true);
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/operator/limits/raised-bandwidth-counts-at-once", test_raised_bandwidth);
    g_test_add_func("/operator/limits/expected-downtime-is-not-negative", test_expected_downtime_is_not_negative);
    g_test_add_func("/operator/limits/huge-xbzrle-cache", test_huge_xbzrle_cache);
    g_test_add_func("/operator/refusal/file-is-left-alone", test_refused_file_is_left_alone);
    g_test_add_func("/operator/refusal/command-is-not-started", test_refused_command_is_not_started);
    g_test_add_func("/operator/refusal/own-descriptors-are-not-taken", test_own_descriptors_are_not_taken);
    g_test_add_func("/operator/refusal/file-that-only-grows", test_file_that_only_grows);
    g_test_add_func("/operator/refusal/snapshots-that-are-not-here", test_snapshots_that_are_not_here);
    g_test_add_func("/operator/peer/one-of-the-connections-breaks", test_one_of_the_connections_breaks);
    g_test_add_func("/operator/reset/then-cancel", test_reset_then_cancel);
    g_test_add_func("/operator/reset/then-continue", test_reset_then_continue);
    g_test_add_func("/operator/reset/while-the-destination-loads", test_reset_while_the_destination_loads);
    g_test_add_func("/operator/reset/not-of-what-comes-in", test_no_reset_of_what_comes_in);
    g_test_add_func("/operator/strangers/one-connection", test_strangers);
    g_test_add_func("/operator/strangers/multifd", test_strangers_multifd);
    return helpers_run();
}
