/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Background snapshots: what is saved is one moment of a guest that never stops writing, and the guest goes on.
 *
 * The guest's pages are v, v, ..., v-1, v-1 at any moment, and its registers say where the step is: a page of another
 * moment, or registers of another one, show up when the snapshot is loaded, and again after it has run.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers.h"

static const Guest wide = {.args = "-M virt -m 128M", .bytes = 56 * MIB}; /* more than waits in the queue */

static void snapshot(QTestState *from, const char *uri)
{
    set_capability(from, "background-snapshot", true);
    migrate(from, uri);
    wait_status(from, "completed");
}

/* The guest goes on here, and has lost nothing. */
static void check_source(QTestState *from, const Guest *guest)
{
    wait_run_status(from, "running");
    check_guest_runs(from, "source");
    qtest_qmp_assert_success(from, "{'execute': 'stop'}");
    check_guest_pages(from, guest);
}

/* One moment in memory, and the registers of that moment. */
static void check_moment(QTestState *to, const Guest *guest)
{
    wait_status(to, "completed");
    check_guest_pages(to, guest);
    check_guest_runs(to, "destination");
    qtest_qmp_assert_success(to, "{'execute': 'stop'}");
    check_guest_pages(to, guest);
}

static void save_and_load(const Guest *guest, const char *save, const char *load, bool fixed_ram)
{
    QTestState *from = start_source(guest), *to;

    set_capability(from, "fixed-ram", fixed_ram);
    snapshot(from, save);
    check_source(from, guest);
    qtest_quit(from);
    to = start_destination(guest, load, "");
    check_moment(to, guest);
    qtest_quit(to);
}

static void test_file(void)
{
    g_autofree char *uri = file_uri();

    save_and_load(&plain, uri, uri, false);
}

static void test_two_harts(void)
{
    g_autofree char *uri = file_uri();

    save_and_load(&two_harts, uri, uri, false);
}

static void test_two_blocks(void)
{
    g_autofree char *uri = file_uri();

    save_and_load(&two_blocks, uri, uri, false);
}

static void test_fixed_ram(void)
{
    g_autofree char *uri = file_uri();

    save_and_load(&two_harts, uri, uri, true);
}

static void test_exec(void)
{
    g_autofree char *save = g_strdup_printf("exec:cat > %s", helpers_path("exec"));
    g_autofree char *load = g_strdup_printf("exec:cat %s", helpers_path("exec"));

    save_and_load(&plain, save, load, false);
}

static void test_unix(void)
{
    g_autofree char *uri = g_strconcat("unix:", helpers_path("socket"), NULL);
    QTestState *from = start_source(&two_harts);
    QTestState *to = start_destination(&two_harts, uri, "");

    snapshot(from, uri);
    check_moment(to, &two_harts);
    check_source(from, &two_harts);
    qtest_quit(from);
    qtest_quit(to);
}

static void test_qemu_profile(void)
{
    static const Guest old = {.args = "-M virt -m 64M -global migration.profile=qemu-10.0"};
    g_autofree char *uri = file_uri();

    save_and_load(&old, uri, uri, false);
}

/* --- a reader that is in no hurry: most pages are saved because the guest is about to write them --- */

typedef struct SlowReader {
    int fd;
    GThread *thread;
    GByteArray *bytes;
    uint32_t go; /* atomic */
} SlowReader;

static gpointer read_all(gpointer opaque)
{
    SlowReader *r = opaque;
    uint8_t buf[65536];
    ssize_t n;

    while (!__atomic_load_n(&r->go, __ATOMIC_ACQUIRE)) {
        g_usleep(1000);
    }
    while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
        g_byte_array_append(r->bytes, buf, (guint)n);
    }
    return NULL;
}

static void reader_start(SlowReader *r, QTestState *from)
{
    int pair[2];
    JsonObject *reply;

    *r = (SlowReader){.bytes = g_byte_array_new()};
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    reply = qtest_qmp_fds(from, &pair[1], 1, "{'execute': 'getfd', 'arguments': {'fdname': 'out'}}");
    json_object_unref(reply);
    close(pair[1]);
    r->fd = pair[0];
    r->thread = g_thread_new("reader", read_all, r);
}

static void reader_go(SlowReader *r)
{
    __atomic_store_n(&r->go, 1, __ATOMIC_RELEASE);
}

static GByteArray *reader_join(SlowReader *r)
{
    reader_go(r);
    g_thread_join(r->thread);
    close(r->fd);
    return r->bytes;
}

/* The sender has ended: what it sent is to be found at file_uri(). */
static void reader_save(SlowReader *r)
{
    g_autoptr(GByteArray) bytes = reader_join(r);

    g_assert_true(g_file_set_contents(helpers_path("saved"), (char *)bytes->data, bytes->len, NULL));
}

static void reader_stop(SlowReader *r)
{
    g_byte_array_unref(reader_join(r));
}

static void begin_stuck(const Guest *guest, QTestState **from, SlowReader *r)
{
    *from = start_source(guest);
    reader_start(r, *from);
    set_capability(*from, "background-snapshot", true);
    migrate(*from, "fd:out");
    wait_status(*from, "active");
}

static void test_slow_reader_guest_runs(void)
{
    g_autofree char *uri = file_uri();
    SlowReader r;
    QTestState *from, *to;

    begin_stuck(&two_harts, &from, &r);
    check_guest_runs(from, "source"); /* while not a byte moves: 8 MiB of writes wait in the queue */
    check_guest_runs(from, "source");
    reader_go(&r);
    wait_status(from, "completed");
    check_source(from, &two_harts);
    qtest_quit(from);
    reader_save(&r);
    to = start_destination(&two_harts, uri, "");
    check_moment(to, &two_harts);
    qtest_quit(to);
}

#define QUEUE_BYTES (32 * MIB)

static void wait_full(QTestState *from)
{
    while (query_number(from, "ram", "total") - query_number(from, "ram", "remaining") < (int64_t)QUEUE_BYTES) {
        g_usleep(1000);
    }
}

/* The guest wants to write more than the queue holds: it waits, and whoever wants it to stop does not. */
static void test_full_queue_stop_and_cancel(void)
{
    SlowReader r;
    QTestState *from;

    begin_stuck(&wide, &from, &r);
    wait_full(from);
    qtest_qmp_assert_success(from, "{'execute': 'stop'}");
    check_guest_pages(from, &wide);
    qtest_qmp_assert_success(from, "{'execute': 'cont'}");
    qtest_qmp_assert_success(from, "{'execute': 'migrate_cancel'}");
    wait_status(from, "cancelled");
    check_source(from, &wide);
    qtest_quit(from);
    reader_stop(&r);
}

static void test_full_queue_quit(void)
{
    SlowReader r;
    QTestState *from;

    begin_stuck(&wide, &from, &r);
    wait_full(from);
    qtest_quit(from);
    reader_stop(&r);
}

static void test_full_queue_goes_on(void)
{
    g_autofree char *uri = file_uri();
    SlowReader r;
    QTestState *from, *to;

    begin_stuck(&wide, &from, &r);
    wait_full(from);
    reader_go(&r);
    wait_status(from, "completed");
    check_source(from, &wide);
    qtest_quit(from);
    reader_save(&r);
    to = start_destination(&wide, uri, "");
    check_moment(to, &wide);
    qtest_quit(to);
}

/* What devices and the monitor write counts as well. */
static void test_writes_from_outside(void)
{
    g_autofree char *uri = file_uri();
    g_autofree uint8_t *bytes = g_malloc(MIB);
    uint64_t at = RAM_BASE + 40 * MIB;
    SlowReader r;
    QTestState *from, *to;

    from = start_source(&plain);
    qtest_memset(from, at, 0x11, MIB);
    reader_start(&r, from);
    set_capability(from, "background-snapshot", true);
    migrate(from, "fd:out");
    wait_status(from, "active");
    qtest_memset(from, at, 0x22, MIB);
    reader_go(&r);
    wait_status(from, "completed");
    read_memory(from, at, bytes, MIB);
    g_assert_cmphex(bytes[12345], ==, 0x22);
    qtest_quit(from);
    reader_save(&r);
    to = start_destination(&plain, uri, "");
    wait_status(to, "completed");
    read_memory(to, at, bytes, MIB);
    for (uint64_t i = 0; i < MIB; i++) {
        g_assert_cmphex(bytes[i], ==, 0x11);
    }
    qtest_quit(to);
}

/* --- control --- */

static void test_again_and_again(void)
{
    g_autofree char *uri = file_uri();
    QTestState *from = start_source(&two_harts), *to;

    for (int i = 0; i < 3; i++) {
        snapshot(from, uri);
    }
    to = start_destination(&two_harts, uri, "");
    check_moment(to, &two_harts);
    qtest_quit(to);
    check_source(from, &two_harts);
    qtest_quit(from);
}

static void test_stopped_machine_stays_stopped(void)
{
    g_autofree char *uri = file_uri();
    g_autofree char *status = NULL;
    QTestState *from = start_source(&plain), *to;

    qtest_qmp_assert_success(from, "{'execute': 'stop'}");
    snapshot(from, uri);
    status = run_status(from);
    g_assert_cmpstr(status, ==, "paused");
    to = start_destination(&plain, uri, "");
    wait_status(to, "completed");
    check_same_memory(from, to, &plain);
    qtest_quit(from);
    qtest_quit(to);
}

static void test_reader_dies(void)
{
    g_autofree char *message = NULL;
    SlowReader r;
    QTestState *from;

    begin_stuck(&wide, &from, &r);
    shutdown(r.fd, SHUT_RDWR);
    message = wait_failed(from);
    check_source(from, &wide);
    reader_stop(&r);
    qtest_quit(from);
}

/* A limit that was asked for holds: at 64 KiB/s the memory takes a quarter of an hour. */
static void test_bandwidth_limit_holds(void)
{
    g_autofree char *uri = file_uri(), *status = NULL;
    QTestState *from = start_source(&wide);

    set_capability(from, "background-snapshot", true);
    set_parameter(from, "max-bandwidth", 64 * 1024);
    migrate(from, uri);
    while (query_number(from, NULL, "total-time") < 500) {
        g_usleep(1000);
    }
    status = migration_status(from);
    g_assert_cmpstr(status, ==, "active");
    set_parameter(from, "max-bandwidth", 0);
    wait_status(from, "completed");
    check_source(from, &wide);
    qtest_quit(from);
}

static void test_events(void)
{
    g_autofree char *uri = file_uri();
    QTestState *from = start_source(&plain);

    set_capability(from, "events", true);
    set_capability(from, "background-snapshot", true);
    migrate(from, uri);
    expect_status(from, "setup");
    qtest_qmp_eventwait(from, "STOP");
    qtest_qmp_eventwait(from, "RESUME");
    expect_status(from, "active");
    expect_status(from, "device");
    expect_status(from, "completed");
    qtest_quit(from);
}

static void test_conflicts(void)
{
    static const char *const others[] = {"return-path",   "multifd", "pause-before-switchover",
                                         "auto-converge", "xbzrle",  "validate-uuid"};
    QTestState *from = start_source(&plain);

    set_capability(from, "background-snapshot", true);
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        JsonObject *error = qtest_qmp_assert_failure_ref(
            from,
            "{'execute': 'migrate-set-capabilities', 'arguments': {'capabilities': "
            "[{'capability': %s, 'state': %i}]}}",
            others[i], true);

        json_object_unref(error);
    }
    qtest_quit(from);
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/snapshot/moment/file", test_file);
    g_test_add_func("/snapshot/moment/two-harts", test_two_harts);
    g_test_add_func("/snapshot/moment/two-blocks", test_two_blocks);
    g_test_add_func("/snapshot/moment/fixed-ram", test_fixed_ram);
    g_test_add_func("/snapshot/moment/exec", test_exec);
    g_test_add_func("/snapshot/moment/unix", test_unix);
    g_test_add_func("/snapshot/moment/qemu-profile", test_qemu_profile);
    g_test_add_func("/snapshot/moment/writes-from-outside", test_writes_from_outside);
    g_test_add_func("/snapshot/slow-reader/guest-runs", test_slow_reader_guest_runs);
    g_test_add_func("/snapshot/slow-reader/full-queue-goes-on", test_full_queue_goes_on);
    g_test_add_func("/snapshot/slow-reader/full-queue-stop-and-cancel", test_full_queue_stop_and_cancel);
    g_test_add_func("/snapshot/slow-reader/full-queue-quit", test_full_queue_quit);
    g_test_add_func("/snapshot/control/again-and-again", test_again_and_again);
    g_test_add_func("/snapshot/control/stopped-machine-stays-stopped", test_stopped_machine_stays_stopped);
    g_test_add_func("/snapshot/control/reader-dies", test_reader_dies);
    g_test_add_func("/snapshot/control/bandwidth-limit-holds", test_bandwidth_limit_holds);
    g_test_add_func("/snapshot/control/events", test_events);
    g_test_add_func("/snapshot/control/conflicts", test_conflicts);
    return helpers_run();
}
