/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several threads at once: fixed-ram files (mapped, checked, written in parallel), and multifd over sockets. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "helpers.h"

/* --- fixed-ram files --- */

static void save_fixed(QTestState *from, const char *uri, bool live)
{
    set_capability(from, "fixed-ram", true);
    fast_migration(from);
    if (live) {
        migrate_live(from, uri);
    } else {
        migrate(from, uri);
        wait_status(from, "completed");
    }
}

static void save_and_restore(const Guest *guest, bool live, const char *options)
{
    g_autofree char *uri = file_uri();
    QTestState *from = start_source(guest), *to;

    save_fixed(from, uri, live);
    to = start_destination(guest, uri, options);
    finish(from, to, guest);
}

static void test_mapped(void)
{
    save_and_restore(&two_harts, true, "");
}

static void test_eager(void)
{
    save_and_restore(&two_harts, true, "-global migration.mapped-restore=off");
}

static void test_eager_direct(void)
{
    save_and_restore(&plain, false, "-global migration.mapped-restore=off -global migration.direct-io=on");
}

static void test_qemu_profile_is_read(void)
{
    static const Guest old = {.args = "-M virt -m 64M -global migration.profile=qemu-10.0"};

    save_and_restore(&old, true, "");
}

/* What the restored machine writes stays its own, and the file may go. */
static void test_mapping_is_private(void)
{
    g_autofree char *uri = file_uri();
    QTestState *from = start_source(&plain), *first, *second;
    uint64_t at = RAM_BASE + 60 * MIB;

    qtest_memset(from, at, 0x11, 4096);
    save_fixed(from, uri, false);
    first = start_destination(&plain, uri, "");
    wait_status(first, "completed");
    qtest_memset(first, at, 0x22, 4096);
    second = start_destination(&plain, uri, "");
    wait_status(second, "completed");
    g_assert_cmphex(qtest_readb(second, at), ==, 0x11);
    g_assert_cmphex(qtest_readb(first, at), ==, 0x22);
    g_assert_cmpint(unlink(helpers_path("saved")), ==, 0);
    check_guest_runs(second, "destination");
    qtest_quit(first);
    qtest_quit(second);
    qtest_quit(from);
}

/* What the machine has lost it cannot go on without; the process can, and a reset needs nothing of it. */
static void test_file_made_shorter(void)
{
    g_autofree char *uri = file_uri();
    g_autofree char *said = NULL;
    QTestState *from = start_source(&plain), *to;
    JsonObject *reply;

    save_fixed(from, uri, false);
    qtest_quit(from);
    to = start_destination(&plain, uri, "");
    wait_status(to, "completed");
    g_assert_cmpint(truncate(helpers_path("saved"), MIB), ==, 0);
    qtest_qmp_assert_success(to, "{'execute': 'cont'}");
    wait_run_status(to, "internal-error");
    reply = qtest_qmp(to, "{'execute': 'cont'}");
    g_assert_true(json_object_has_member(reply, "error"));
    json_object_unref(reply);
    said = qtest_stderr(to);
    g_assert_nonnull(strstr(said, "which is mapped from"));
    qtest_qmp_assert_success(to, "{'execute': 'system_reset'}");
    wait_run_status(to, "prelaunch");
    qtest_qmp_assert_success(to, "{'execute': 'cont'}");
    check_guest_runs(to, "destination");
    qtest_quit(to);
}

/* Its memory is in the file that it is saved to again. */
static void test_saved_over_the_file_it_runs_from(void)
{
    g_autofree char *uri = file_uri();
    QTestState *from = start_source(&plain), *to, *again;

    save_fixed(from, uri, false);
    to = start_destination(&plain, uri, "");
    wait_status(to, "completed");
    qtest_quit(from);
    check_guest_runs(to, "destination");
    save_fixed(to, uri, true);
    again = start_destination(&plain, uri, "");
    finish(to, again, &plain);
}

static void test_container_that_is_in_use(void)
{
    g_autofree char *uri = g_strdup_printf("file:%s,offset=1M", helpers_path("container"));
    QTestState *from = start_source(&plain), *to;
    JsonObject *reply;

    save_fixed(from, uri, false);
    to = start_destination(&plain, uri, "");
    wait_status(to, "completed");
    set_capability(to, "fixed-ram", true);
    reply = qtest_qmp(to, "{'execute': 'migrate', 'arguments': {'uri': %s}}", uri);
    g_assert_nonnull(strstr(json_object_get_string_member(json_object_get_object_member(reply, "error"), "desc"),
                            "is in use"));
    json_object_unref(reply);
    qtest_quit(from);
    qtest_quit(to);
}

/* A byte of a page that is present in the file. */
static void damage_saved(const char *mark)
{
    g_autofree char *bytes = NULL;
    gsize size;
    char *p;

    g_assert_true(g_file_get_contents(helpers_path("saved"), &bytes, &size, NULL));
    p = memmem(bytes, size, mark, strlen(mark));
    g_assert_nonnull(p);
    p[3] ^= 1;
    g_assert_true(g_file_set_contents(helpers_path("saved"), bytes, (gssize)size, NULL));
}

static void check_damage(const char *mark, const char *expected)
{
    static const Guest eager = {.args = "-M virt -m 64M -global migration.mapped-restore=off"};
    g_autofree char *uri = file_uri();
    g_autofree char *said = NULL;
    QTestState *from = start_source(&plain);

    qtest_memwrite(from, RAM_BASE + 60 * MIB, "this is a page", 14);
    save_fixed(from, uri, false);
    damage_saved(mark);
    g_assert_cmpint(run_destination_to_end(&eager, uri, &said), ==, 1);
    if (!strstr(said, expected)) {
        g_error("'%s' does not say '%s'", said, expected);
    }
    qtest_quit(from);
}

static void test_damaged_page(void)
{
    check_damage("this is a page", "the pages of RAM 'riscv_virt_board.ram' are damaged");
}

static void test_damaged_record(void)
{
    check_damage("GWFR", "fixed-ram record of RAM");
}

/* A failed load leaves nothing behind: the next one may come through a socket. */
static void test_socket_after_a_mapped_load_that_failed(void)
{
    g_autofree char *uri = file_uri();
    g_autofree char *socket = g_strconcat("unix:", helpers_path("socket"), NULL);
    QTestState *from = start_source(&plain), *to;
    struct stat st;

    save_fixed(from, uri, false);
    g_assert_cmpint(stat(helpers_path("saved"), &st), ==, 0);
    g_assert_cmpint(truncate(helpers_path("saved"), st.st_size - 6000), ==, 0);
    to = start_destination(&plain, "defer", "");
    qtest_qmp_assert_success(to, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s, 'exit-on-error': %i}}",
                             uri, false);
    wait_status(to, "failed");
    set_capability(from, "fixed-ram", false);
    qtest_qmp_assert_success(from, "{'execute': 'cont'}");
    qtest_qmp_assert_success(to, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}", socket);
    migrate_live(from, socket);
    finish(from, to, &plain);
}

/* --- several writers --- */

static void parallel_file(const Guest *guest, const char *direct, const char *options)
{
    g_autofree char *uri = file_uri();
    QTestState *from = start_source(guest), *to;

    set_capability(from, "multifd", true);
    set_parameter(from, "multifd-channels", 4);
    set_text_parameter(from, "direct-io", direct);
    save_fixed(from, uri, true);
    to = start_destination(guest, uri, options);
    finish(from, to, guest);
}

static void test_parallel_file(void)
{
    parallel_file(&two_harts, "false", "");
}

static void test_parallel_file_direct(void)
{
    parallel_file(&two_blocks, "true",
                  "-global migration.x-multifd=on -global migration.mapped-restore=off -global migration.direct-io=on");
}

/* --- multifd over sockets --- */

#define MULTIFD "-global migration.x-multifd=on -global migration.multifd-channels=%u " \
                "-global migration.multifd-compression=%s"

static void set_multifd(QTestState *qts, unsigned channels, const char *compression)
{
    g_autofree char *quoted = g_strdup_printf("\"%s\"", compression);

    set_capability(qts, "multifd", true);
    set_parameter(qts, "multifd-channels", channels);
    set_text_parameter(qts, "multifd-compression", quoted);
}

static void multifd(const Guest *guest, const char *listen, unsigned channels, const char *compression,
                    const char *zero_detection)
{
    g_autofree char *options = g_strdup_printf(MULTIFD, channels, compression);
    g_autofree char *quoted = g_strdup_printf("\"%s\"", zero_detection);
    QTestState *from = start_source(guest);
    QTestState *to = start_destination(guest, listen, options);
    g_autofree char *uri = g_str_has_prefix(listen, "tcp:") ? tcp_uri(to) : g_strdup(listen);

    set_multifd(from, channels, compression);
    set_text_parameter(from, "zero-page-detection", quoted);
    migrate_live(from, uri);
    g_assert_cmpint(query_number(from, "ram", "multifd-bytes"), >, 0);
    g_assert_cmpint(query_number(from, "ram", "normal"), >, 0);
    finish(from, to, guest);
}

static void test_multifd_one(void)
{
    g_autofree char *uri = unix_uri();

    multifd(&two_blocks, uri, 1, "none", "multifd");
}

static void test_multifd_four(void)
{
    g_autofree char *uri = unix_uri();

    multifd(&two_harts, uri, 4, "none", "multifd");
}

static void test_multifd_many(void)
{
    g_autofree char *uri = unix_uri();

    multifd(&two_harts, uri, 255, "none", "legacy");
}

static void test_multifd_tcp_zlib(void)
{
    multifd(&two_harts, "tcp:127.0.0.1:0", 2, "zlib", "multifd");
}

static void test_multifd_zstd(void)
{
    g_autofree char *uri = unix_uri();

    multifd(&two_harts, uri, 3, "zstd", "none");
}

static void test_multifd_cancel(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *options = g_strdup_printf(MULTIFD, 4, "none");
    QTestState *from = start_source(&two_harts), *to;

    set_multifd(from, 4, "none");
    for (int round = 0; round < 4; round++) {
        to = start_destination(&two_harts, uri, options);
        slow_migration(from);
        set_parameter(from, "max-bandwidth", round % 2 ? 0 : 1000000);
        set_parameter(from, "downtime-limit", 0);
        migrate(from, uri);
        wait_status(from, "active");
        if (round >= 2) { /* the peer stands still, and everything is full */
            qtest_set_expected_status(to, -1);
            qtest_kill(to, SIGSTOP);
            g_usleep(20000);
        }
        qtest_qmp_assert_success(from, "{'execute': 'migrate_cancel'}");
        wait_status(from, "cancelled");
        wait_run_status(from, "running");
        check_guest_runs(from, "source");
        if (round >= 2) {
            qtest_kill(to, SIGKILL);
        } else {
            qtest_set_expected_status(to, 1);
            g_assert_cmpint(qtest_wait_exit(to), ==, 1);
        }
        qtest_quit(to);
    }
    to = start_destination(&two_harts, uri, options);
    migrate_live(from, uri);
    finish(from, to, &two_harts);
}

static void test_multifd_destination_dies(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *options = g_strdup_printf(MULTIFD, 4, "zstd");
    QTestState *from = start_source(&two_harts), *to = start_destination(&two_harts, uri, options);

    set_multifd(from, 4, "zstd");
    set_parameter(from, "max-bandwidth", 0);
    set_parameter(from, "downtime-limit", 0);
    migrate(from, uri);
    wait_status(from, "active");
    qtest_set_expected_status(to, -1);
    qtest_kill(to, SIGKILL);
    qtest_quit(to);
    g_free(wait_failed(from));
    wait_run_status(from, "running");
    check_guest_runs(from, "source");
    to = start_destination(&two_harts, uri, options);
    migrate_live(from, uri);
    finish(from, to, &two_harts);
}

static void test_multifd_pause_before_switchover(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *options = g_strdup_printf(MULTIFD, 2, "none");
    QTestState *from = start_source(&two_harts), *to = start_destination(&two_harts, uri, options);

    set_multifd(from, 2, "none");
    set_capability(from, "pause-before-switchover", true);
    fast_migration(from);
    migrate(from, uri);
    wait_status(from, "pre-switchover");
    qtest_qmp_assert_success(from, "{'execute': 'migrate_cancel'}");
    wait_status(from, "cancelled");
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    g_assert_cmpint(qtest_wait_exit(to), ==, 1);
    qtest_quit(to);
    to = start_destination(&two_harts, uri, options);
    migrate(from, uri);
    wait_status(from, "pre-switchover");
    qtest_qmp_assert_success(from, "{'execute': 'migrate-continue', 'arguments': {'state': 'pre-switchover'}}");
    wait_status(from, "completed");
    finish(from, to, &two_harts);
}

/* Two channels without compression, to a destination with @options: the source says @expected and runs on. */
static void check_multifd_refused(const char *options, const char *expected)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *message = NULL;
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, options);

    set_multifd(from, 2, "none");
    fast_migration(from);
    migrate(from, uri);
    message = wait_failed(from);
    if (!strstr(message, expected)) {
        g_error("the source says '%s', not '%s'", message, expected);
    }
    check_guest_runs(from, "source");
    qtest_set_expected_status(to, 1);
    qtest_quit(to);
    qtest_quit(from);
}

static void test_multifd_is_off_at_the_destination(void)
{
    check_multifd_refused("", "multifd");
}

static void test_multifd_other_compression(void)
{
    g_autofree char *options = g_strdup_printf(MULTIFD, 2, "zlib");

    check_multifd_refused(options, "is multifd-compression the same on both sides?");
}

/* --- switchover-ack --- */

static void test_switchover_ack(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, uri, "-global migration.x-return-path=on "
                                                    "-global migration.x-switchover-ack=on");

    set_capability(from, "return-path", true);
    set_capability(from, "switchover-ack", true);
    migrate_live(from, uri);
    finish(from, to, &plain);
}

/* --- xbzrle --- */

static void test_xbzrle(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&two_blocks);
    QTestState *to = start_destination(&two_blocks, uri, "");

    set_capability(from, "xbzrle", true);
    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    /* on a busy host whole passes go by in which the guest writes nothing */
    while (query_number(from, "ram", "dirty-sync-count") < 4 || !query_number(from, "xbzrle-cache", "pages")) {
        g_autofree char *status = migration_status(from);

        g_assert_cmpstr(status, ==, "active");
        set_parameter(from, "max-bandwidth", 0);
        g_usleep(1000);
    }
    fast_migration(from);
    wait_status(from, "completed");
    finish(from, to, &two_blocks);
}

static void test_xbzrle_small_cache(void)
{
    g_autofree char *uri = unix_uri();
    QTestState *from = start_source(&two_harts);
    QTestState *to = start_destination(&two_harts, uri, "");

    set_capability(from, "xbzrle", true);
    set_parameter(from, "xbzrle-cache-size", 1048576);
    migrate_live(from, uri);
    finish(from, to, &two_harts);
}

/* --- hostile packets: this test is the source --- */

static int connect_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    return fd;
}

static void put32(uint8_t *to, uint32_t value)
{
    value = GUINT32_TO_BE(value);
    memcpy(to, &value, 4);
}

static void send_bytes(int fd, const void *bytes, size_t size)
{
    g_assert_cmpint(send(fd, bytes, size, MSG_NOSIGNAL), ==, (ssize_t)size);
}

/* The START section of a machine with one 64 MiB block and the boot ROMs does not matter: channels fail before. */
static void check_hostile(size_t size, const uint8_t *packet, const uint8_t *initial, const char *expected)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *options = g_strdup_printf(MULTIFD " -S", 1, "none");
    g_autofree char *said = NULL;
    QTestState *to = start_destination(&plain, uri, options);
    int main_fd = connect_unix(helpers_path("socket")), fd = connect_unix(helpers_path("socket"));

    send_bytes(main_fd, "QEVM\0\0\0\3", 8);
    send_bytes(fd, initial, 64);
    if (size) {
        send_bytes(fd, packet, size);
    }
    qtest_set_expected_status(to, 1);
    g_assert_cmpint(qtest_wait_exit(to), ==, 1);
    said = qtest_stderr(to);
    if (!strstr(said, expected)) {
        g_error("'%s' does not say '%s'", said, expected);
    }
    close(fd);
    close(main_fd);
    qtest_quit(to);
}

/* The destination waits for four connections, the source has two: neither waits for ever. */
static void test_multifd_too_few_connections(void)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *options = g_strdup_printf(MULTIFD, 4, "none");
    QTestState *from = start_source(&plain);
    QTestState *to = start_destination(&plain, "defer", options);
    g_autofree char *said = NULL;
    g_autofree char *why = NULL;

    qtest_qmp_assert_success(to, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s, 'exit-on-error': false}}",
                             uri);
    set_multifd(from, 2, "none");
    migrate(from, uri);
    said = wait_failed(to);
    g_assert_nonnull(strstr(said, "2 of 4 connections of capability multifd came"));
    why = wait_failed(from);
    check_guest_runs(from, "source");
    qtest_quit(from);
    qtest_quit(to);
}

static void good_initial(uint8_t packet[64])
{
    memset(packet, 0, 64);
    put32(packet, 0x11223344);
    put32(packet + 4, 1);
}

static void good_packet(uint8_t packet[1344])
{
    memset(packet, 0, 1344);
    put32(packet, 0x11223344);
    put32(packet + 4, 1);
    put32(packet + 12, 128);
}

static void check_field(unsigned at, uint32_t value, const char *expected)
{
    uint8_t initial[64], packet[1344];

    good_initial(initial);
    good_packet(packet);
    put32(packet + at, value);
    check_hostile(sizeof(packet), packet, initial, expected);
}

static void test_hostile_packets(void)
{
    uint8_t initial[64];

    qtest_quit(start_source(&plain)); /* writes the guest's image */
    good_initial(initial);
    put32(initial + 4, 2);
    check_hostile(0, NULL, initial, "field 'version' is 0x2");
    good_initial(initial);
    initial[10] = 7;
    check_hostile(0, NULL, initial, "field 'uuid'");
    good_initial(initial);
    initial[24] = 1;
    check_hostile(0, NULL, initial, "field 'id' is 1, but parameter multifd-channels is 1 here");
    check_field(0, 0, "multifd channel 0: field 'magic' is 0x0");
    check_field(8, 0x80, "multifd channel 0: field 'flags' is 0x80");
    check_field(12, 129, "multifd channel 0: field 'pages_alloc' is 0x81");
    check_field(16, 129, "multifd channel 0: field 'normal_pages' is 0x81");
    check_field(16, 0xffffffff, "multifd channel 0: field 'normal_pages' is 0xffffffff");
    check_field(32, 129, "multifd channel 0: field 'zero_pages' is 0x81");
    check_field(20, 4096, "multifd channel 0: field 'next_packet_size' is 0x1000");
    check_field(32, 1, "multifd channel 0: pages come before the list of RAM");
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/parallel/fixed-ram/mapped", test_mapped);
    g_test_add_func("/parallel/fixed-ram/eager", test_eager);
    g_test_add_func("/parallel/fixed-ram/eager-direct-io", test_eager_direct);
    g_test_add_func("/parallel/fixed-ram/qemu-profile-is-read", test_qemu_profile_is_read);
    g_test_add_func("/parallel/fixed-ram/mapping-is-private", test_mapping_is_private);
    g_test_add_func("/parallel/fixed-ram/file-made-shorter", test_file_made_shorter);
    g_test_add_func("/parallel/fixed-ram/saved-over-the-file-it-runs-from", test_saved_over_the_file_it_runs_from);
    g_test_add_func("/parallel/fixed-ram/container-that-is-in-use", test_container_that_is_in_use);
    g_test_add_func("/parallel/fixed-ram/damaged-page-is-noticed", test_damaged_page);
    g_test_add_func("/parallel/fixed-ram/damaged-record-is-noticed", test_damaged_record);
    g_test_add_func("/parallel/fixed-ram/socket-after-a-mapped-load-that-failed",
                    test_socket_after_a_mapped_load_that_failed);
    g_test_add_func("/parallel/fixed-ram/several-writers", test_parallel_file);
    g_test_add_func("/parallel/fixed-ram/several-writers-direct-io", test_parallel_file_direct);
    g_test_add_func("/parallel/multifd/one-channel", test_multifd_one);
    g_test_add_func("/parallel/multifd/four-channels", test_multifd_four);
    g_test_add_func("/parallel/multifd/255-channels", test_multifd_many);
    g_test_add_func("/parallel/multifd/tcp-zlib", test_multifd_tcp_zlib);
    g_test_add_func("/parallel/multifd/zstd-without-zero-detection", test_multifd_zstd);
    g_test_add_func("/parallel/multifd/cancel-and-again", test_multifd_cancel);
    g_test_add_func("/parallel/multifd/destination-dies-and-again", test_multifd_destination_dies);
    g_test_add_func("/parallel/multifd/pause-before-switchover", test_multifd_pause_before_switchover);
    g_test_add_func("/parallel/multifd/off-at-the-destination", test_multifd_is_off_at_the_destination);
    g_test_add_func("/parallel/multifd/other-compression", test_multifd_other_compression);
    g_test_add_func("/parallel/switchover-ack/native", test_switchover_ack);
    g_test_add_func("/parallel/xbzrle/two-blocks", test_xbzrle);
    g_test_add_func("/parallel/xbzrle/small-cache", test_xbzrle_small_cache);
    g_test_add_func("/parallel/multifd/hostile-packets", test_hostile_packets);
    if (g_test_slow()) {
        g_test_add_func("/parallel/multifd/too-few-connections", test_multifd_too_few_connections);
    }
    return helpers_run();
}
