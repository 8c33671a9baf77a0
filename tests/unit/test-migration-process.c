/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole migrations inside this process: through files, commands and sockets, cancelled, and refused. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration-fake.h"
#include "migration/migration.h"
#include "util/bswap.h"
#include "util/event-loop.h"

static char *dir;

static char *path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* There is no event to wait for in a process without a monitor. */
static void let_others_work(void)
{
    bql_unlock();
    g_usleep(200);
    bql_lock();
}

/* Until the source has ended; returns its status. */
static MigrationStatus run_source(const char *uri, char **message)
{
    MigrationInfo info;
    GError *error = NULL;

    if (!migration_start(uri, &error)) {
        *message = g_strdup(error->message);
        g_clear_error(&error);
        return MIGRATION_FAILED;
    }
    while (migration_is_busy()) {
        let_others_work();
    }
    migration_get_info(&info);
    *message = info.error;
    return info.status;
}

static MigrationStatus run_destination(const char *uri, char **message)
{
    MigrationStatus status;
    JsonNode *address = NULL;

    runstate_set(RUN_STATE_PRELAUNCH);
    runstate_set(RUN_STATE_INMIGRATE);
    if (!incoming_start(uri, false, NULL)) {
        return MIGRATION_FAILED;
    }
    while ((status = incoming_status(message, &address)) == MIGRATION_SETUP || status == MIGRATION_ACTIVE) {
        g_clear_pointer(&address, json_node_unref);
        g_clear_pointer(message, g_free);
        let_others_work();
    }
    g_clear_pointer(&address, json_node_unref);
    runstate_set(RUN_STATE_PAUSED);
    runstate_set(RUN_STATE_PRELAUNCH);
    return status;
}

static void set_capability(const char *name, const char *value)
{
    g_autofree char *property = g_strconcat("x-", name, NULL);

    g_assert_true(migration_set_global(property, value, NULL));
}

static void save_to(const char *uri)
{
    char *message = NULL;
    MigrationStatus status = run_source(uri, &message);

    g_assert_cmpstr(message, ==, NULL);
    g_assert_cmpint(status, ==, MIGRATION_COMPLETED);
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_POSTMIGRATE);
    runstate_set(RUN_STATE_PRELAUNCH);
}

static void forget_machine(void)
{
    memset(&fake, 0, sizeof(fake));
    memset(ram0->host, 0xee, ram0->used_length);
    memset(ram1->host, 0xee, ram1->used_length);
}

static void check_machine(unsigned seed)
{
    g_assert_cmpint(fake.extra, ==, seed);
    g_assert_cmpint(ram0->host[0], ==, seed);
    g_assert_true(ram0->host[PAGE] == 0 && ram0->host[ram0->used_length - 1] == 0);
    g_assert_cmpint(ram1->host[PAGE + 77], ==, seed);
    g_assert_cmpint(ram1->host[ram1->used_length - 1], ==, 1);
}

static void check_round_trip(const char *save_uri, const char *load_uri, unsigned seed)
{
    char *message = NULL;

    fill_machine(seed);
    save_to(save_uri);
    forget_machine();
    g_assert_cmpint(run_destination(load_uri, &message), ==, MIGRATION_COMPLETED);
    g_assert_cmpstr(message, ==, NULL);
    check_machine(seed);
}

static void test_file_round_trip(void)
{
    g_autofree char *path = path_of("plain");
    g_autofree char *uri = g_strconcat("file:", path, NULL);

    check_round_trip(uri, uri, 11);
}

static void test_file_offset_keeps_what_stands_before(void)
{
    g_autofree char *path = path_of("offset");
    g_autofree char *uri = g_strconcat("file:", path, ",offset=0x1234", NULL);
    g_autofree char *contents = NULL;

    g_assert_true(g_file_set_contents(path, "head", 4, NULL));
    check_round_trip(uri, uri, 12);
    g_assert_true(g_file_get_contents(path, &contents, NULL, NULL));
    g_assert_true(!memcmp(contents, "head", 4) && !memcmp(contents + 0x1234, "QEVM", 4));
}

static void test_exec_round_trip(void)
{
    g_autofree char *path = path_of("exec");
    g_autofree char *save = g_strconcat("exec:cat > ", path, NULL);
    g_autofree char *load = g_strconcat("exec:cat ", path, NULL);

    check_round_trip(save, load, 13);
}

static void test_exec_that_fails_is_reported(void)
{
    char *message = NULL;

    fill_machine(1);
    g_assert_cmpint(run_source("exec:cat > /dev/null; exit 3", &message), ==, MIGRATION_FAILED);
    assert_contains(message, "ended with status 3");
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PRELAUNCH);
}

/* The command has everything and does not end: @then.  Cancelled, it has the last word. */
static MigrationStatus cancel_command(const char *first, const char *then, char **message)
{
    g_autofree char *path = path_of("ready");
    g_autofree char *uri = g_strdup_printf("exec:%s cat > /dev/null; touch %s; %s", first, path, then);
    MigrationInfo info;

    fill_machine(1);
    g_assert_true(migration_start(uri, NULL));
    while (access(path, F_OK) < 0) {
        let_others_work();
    }
    unlink(path);
    migration_cancel();
    while (migration_is_busy()) {
        let_others_work();
    }
    migration_get_info(&info);
    *message = info.error;
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_POSTMIGRATE);
    runstate_set(RUN_STATE_PRELAUNCH);
    return info.status;
}

static void test_exec_cancelled_after_the_last_byte(void)
{
    char *message = NULL;

    g_assert_cmpint(cancel_command("", "exec sleep 1000", &message), ==, MIGRATION_FAILED);
    assert_contains(g_strdup(message), "ended by signal 15");
    assert_contains(message, "'cont' here only if it does not run there");
}

static void test_exec_that_does_not_want_to_end(void)
{
    char *message = NULL;

    g_assert_cmpint(cancel_command("trap '' TERM;", "exec sleep 1000", &message), ==, MIGRATION_FAILED);
    assert_contains(message, "ended by signal 9");
}

static void test_exec_that_ends_well_although_cancelled(void)
{
    char *message = NULL;

    g_assert_cmpint(cancel_command("trap 'exit 0' TERM;", "while :; do sleep 0.01; done", &message), ==,
                    MIGRATION_COMPLETED);
    g_assert_cmpstr(message, ==, NULL);
}

static void test_fixed_ram_round_trip(void)
{
    g_autofree char *path = path_of("fixed");
    g_autofree char *uri = g_strconcat("file:", path, NULL);

    set_capability("fixed-ram", "on");
    check_round_trip(uri, uri, 14);
    check_round_trip(uri, uri, 15);
    set_capability("mapped-ram", "off");
}

static void test_fixed_ram_zero_pages_are_holes(void)
{
    g_autofree char *path = path_of("holes");
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    struct stat st;

    fill_machine(3);
    set_capability("fixed-ram", "on");
    save_to(uri);
    set_capability("fixed-ram", "off");
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, >, 2 << 20);
    g_assert_cmpint(st.st_blocks * 512, <, 256 << 10);
}

static void test_fixed_ram_into_a_pipe_is_refused(void)
{
    char *message = NULL;

    set_capability("fixed-ram", "on");
    g_assert_cmpint(run_source("exec:cat > /dev/null", &message), ==, MIGRATION_FAILED);
    set_capability("fixed-ram", "off");
    assert_contains(message, "fixed-ram (mapped-ram) needs a file");
}

/* Where in the file the first block's fixed-ram header stands. */
#define HEADER_OF_RAM1 "\4ram1"

static void check_fixed_ram_header(size_t at, const void *bytes, size_t size, const char *expected)
{
    g_autofree char *path = path_of("absurd");
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    g_autofree char *contents = NULL;
    gsize length;
    char *message = NULL, *p;

    fill_machine(4);
    set_capability("fixed-ram", "on");
    save_to(uri);
    set_capability("fixed-ram", "off");
    g_assert_true(g_file_get_contents(path, &contents, &length, NULL));
    p = memmem(contents, length, HEADER_OF_RAM1, 5);
    g_assert_nonnull(p);
    memcpy(p + 5 + 8 + at, bytes, size);
    g_assert_true(g_file_set_contents(path, contents, (gssize)length, NULL));
    g_assert_cmpint(run_destination(uri, &message), ==, MIGRATION_FAILED);
    assert_contains(message, expected);
}

static void test_fixed_ram_page_size_zero_is_refused(void)
{
    check_fixed_ram_header(4, "\0\0\0\0\0\0\0\0", 8, "page size 0 is not 4096");
}

static void test_fixed_ram_version_is_checked(void)
{
    check_fixed_ram_header(0, "\0\0\0\2", 4, "has version 2, this program knows 1");
}

static void test_fixed_ram_bitmap_past_the_file_is_refused(void)
{
    check_fixed_ram_header(12, "\x7f\xff\xff\xff\xff\xff\xff\xf8", 8, "bitmap at 0x7ffffffffffffff8 does not fit");
}

static void test_fixed_ram_pages_past_everything_are_refused(void)
{
    check_fixed_ram_header(20, "\xff\xff\xff\xff\xff\xff\xf0\0", 8, "do not fit the file");
}

static void test_fixed_ram_pages_past_the_end_are_refused(void)
{
    check_fixed_ram_header(20, "\0\0\0\xff\xff\xff\xf0\0", 8, "ends at offset");
}

static void test_unfinished_file_is_refused(void)
{
    g_autofree char *path = path_of("unfinished");
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    char *message = NULL;
    int fd;

    fill_machine(5);
    save_to(uri);
    fd = open(path, O_WRONLY);
    g_assert_cmpint(pwrite(fd, "GWIP", 4, 0), ==, 4);
    close(fd);
    g_assert_cmpint(run_destination(uri, &message), ==, MIGRATION_FAILED);
    assert_contains(message, "the save into this file did not complete");
}

static void test_full_disk_fails_and_the_machine_stays(void)
{
    char *message = NULL;

    if (access("/dev/full", W_OK) < 0) {
        g_test_skip("no /dev/full");
        return;
    }
    fill_machine(6);
    g_assert_cmpint(run_source("file:/dev/full", &message), ==, MIGRATION_FAILED);
    g_free(message);
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PRELAUNCH);
}

static void test_nobody_listens_fails_and_the_machine_stays(void)
{
    g_autofree char *path = path_of("nobody");
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    char *message = NULL;

    g_assert_cmpint(run_source(uri, &message), ==, MIGRATION_FAILED);
    assert_contains(message, "connect");
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PRELAUNCH);
}

/* The machine stays here, whoever listens. */
static void check_cancel(Channel *listener)
{
    MigrationInfo info;

    migration_cancel();
    while (migration_is_busy()) {
        let_others_work();
    }
    migration_get_info(&info);
    g_assert_cmpint(info.status, ==, MIGRATION_CANCELLED);
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PRELAUNCH);
    channel_free(listener);
}

static void test_cancel_while_connecting(void)
{
    g_autofree char *path = path_of("silent");
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    Channel *listener = channel_open(uri, true, NULL); /* connects, and never answers */

    g_assert_true(migration_start(uri, NULL));
    check_cancel(listener);
}

static void test_cancel_while_waiting_for_the_answer(void)
{
    g_autofree char *path = path_of("mute");
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    Channel *listener = channel_open(uri, true, NULL);
    MigrationInfo info;

    fill_machine(1);
    g_assert_true(migration_start(uri, NULL));
    do {
        let_others_work();
        migration_get_info(&info);
    } while (info.status != MIGRATION_DEVICE);
    check_cancel(listener);
}

/* Nobody reads the pipe, and it has room for all but the end of the stream. */
static void test_cancel_in_the_last_bytes(void)
{
    enum { PIPE_SIZE = 64 * 1024 };
    g_autofree char *path = path_of("measured"), *bytes = NULL, *junk = NULL, *uri = NULL;
    g_autofree char *file = g_strconcat("file:", path, NULL);
    MigrationInfo info;
    int fds[2];
    gsize size;

    fill_machine(1);
    save_to(file);
    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    g_assert_cmpuint(size, <, PIPE_SIZE);
    g_assert_cmpint(pipe(fds), ==, 0);
    g_assert_cmpint(fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE), ==, PIPE_SIZE);
    junk = g_malloc0(PIPE_SIZE);
    g_assert_cmpint(write(fds[1], junk, PIPE_SIZE - size + 100), ==, PIPE_SIZE - size + 100);
    uri = g_strdup_printf("fd:%d", fds[1]);
    g_assert_true(migration_start(uri, NULL));
    do {
        let_others_work();
        migration_get_info(&info);
    } while (info.status != MIGRATION_DEVICE);
    for (unsigned i = 0; i < 100; i++) { /* it comes to the last bytes, and waits */
        let_others_work();
    }
    check_cancel(NULL);
    close(fds[0]);
}

static void test_incoming_cancel_ends_the_wait(void)
{
    g_autofree char *path = path_of("wait");
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    char *message = NULL;
    JsonNode *address = NULL;
    MigrationStatus status;

    runstate_set(RUN_STATE_INMIGRATE);
    g_assert_true(incoming_start(uri, false, NULL));
    incoming_cancel();
    while ((status = incoming_status(&message, &address)) == MIGRATION_SETUP) {
        g_clear_pointer(&address, json_node_unref);
        g_clear_pointer(&message, g_free);
        let_others_work();
    }
    g_assert_cmpint(status, ==, MIGRATION_CANCELLED);
    g_clear_pointer(&address, json_node_unref);
    g_free(message);
    runstate_set(RUN_STATE_PAUSED);
    runstate_set(RUN_STATE_PRELAUNCH);
}

static void test_unknown_scheme_has_a_suggestion(void)
{
    GError *error = NULL;

    g_assert_null(channel_open("unx:/tmp/x", false, &error));
    g_assert_nonnull(strstr(error->message, "did you mean 'unix:'"));
    g_clear_error(&error);
}

static void test_port_zero_gets_a_port(void)
{
    Channel *channel = channel_open("tcp:127.0.0.1:0", true, NULL);
    JsonObject *address = json_node_get_object(channel->address);

    g_assert_cmpstr(json_object_get_string_member(address, "type"), ==, "inet");
    g_assert_cmpint(atoi(json_object_get_string_member(address, "port")), >, 0);
    channel_free(channel);
}

static void test_channels_argument(void)
{
    g_autoptr(JsonNode) node = json_from_string(
        "[{\"channel-type\": \"main\", \"addr\": {\"transport\": \"socket\", \"type\": \"inet\", \"host\": \"::1\", "
        "\"port\": \"4444\"}}]", NULL);
    g_autofree char *uri = channel_uri_from_json(node, NULL);

    g_assert_cmpstr(uri, ==, "tcp:[::1]:4444");
}

static void test_capability_not_supported_is_said(void)
{
    GError *error = NULL;

    g_assert_false(migration_set_global("x-dirty-bitmaps", "on", &error));
    g_assert_nonnull(strstr(error->message, "capability 'dirty-bitmaps' is not supported yet by this build"));
    g_clear_error(&error);
}

void add_process_tests(void)
{
    dir = g_dir_make_tmp("test-migration-XXXXXX", NULL);
    TEST("file/round-trip", file_round_trip);
    TEST("file/offset-keeps-what-stands-before", file_offset_keeps_what_stands_before);
    TEST("file/unfinished-is-refused", unfinished_file_is_refused);
    TEST("file/full-disk-fails-and-the-machine-stays", full_disk_fails_and_the_machine_stays);
    TEST("exec/round-trip", exec_round_trip);
    TEST("exec/command-that-fails-is-reported", exec_that_fails_is_reported);
    TEST("exec/cancelled-after-the-last-byte", exec_cancelled_after_the_last_byte);
    TEST("exec/command-that-does-not-want-to-end", exec_that_does_not_want_to_end);
    TEST("exec/command-that-ends-well-although-cancelled", exec_that_ends_well_although_cancelled);
    TEST("fixed-ram/round-trip", fixed_ram_round_trip);
    TEST("fixed-ram/zero-pages-are-holes", fixed_ram_zero_pages_are_holes);
    TEST("fixed-ram/into-a-pipe-is-refused", fixed_ram_into_a_pipe_is_refused);
    TEST("fixed-ram/page-size-zero-is-refused", fixed_ram_page_size_zero_is_refused);
    TEST("fixed-ram/version-is-checked", fixed_ram_version_is_checked);
    TEST("fixed-ram/bitmap-past-the-file-is-refused", fixed_ram_bitmap_past_the_file_is_refused);
    TEST("fixed-ram/pages-past-everything-are-refused", fixed_ram_pages_past_everything_are_refused);
    TEST("fixed-ram/pages-past-the-end-are-refused", fixed_ram_pages_past_the_end_are_refused);
    TEST("source/nobody-listens-fails-and-the-machine-stays", nobody_listens_fails_and_the_machine_stays);
    TEST("source/cancel-while-connecting", cancel_while_connecting);
    TEST("source/cancel-while-waiting-for-the-answer", cancel_while_waiting_for_the_answer);
    TEST("source/cancel-in-the-last-bytes", cancel_in_the_last_bytes);
    TEST("incoming/cancel-ends-the-wait", incoming_cancel_ends_the_wait);
    TEST("channel/unknown-scheme-has-a-suggestion", unknown_scheme_has_a_suggestion);
    TEST("channel/port-zero-gets-a-port", port_zero_gets_a_port);
    TEST("channel/channels-argument", channels_argument);
    TEST("options/capability-not-supported-is-said", capability_not_supported_is_said);
}

void end_process_tests(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", dir);

    g_assert_cmpint(system(command), ==, 0);
    g_free(dir);
}
