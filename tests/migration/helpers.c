/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "helpers.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "ab-kernel.h"

#define TIMEOUT_US (G_USEC_PER_SEC * 120)

static char *dir;

const char *helpers_path(const char *name)
{
    static char *slots[8];
    static unsigned next;
    char **slot = &slots[next++ % 8];

    g_free(*slot);
    *slot = g_build_filename(dir, name, NULL);
    return *slot;
}

char *unix_uri(void)
{
    return g_strconcat("unix:", helpers_path("socket"), NULL);
}

char *file_uri(void)
{
    return g_strconcat("file:", helpers_path("saved"), NULL);
}

void helpers_init(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    dir = g_dir_make_tmp("godwit-migration-XXXXXX", NULL);
    g_assert_nonnull(dir);
}

int helpers_run(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", dir);
    int result = g_test_run();

    g_assert_cmpint(system(command), ==, 0);
    g_clear_pointer(&dir, g_free);
    return result;
}

/* --- guests --- */

const Guest plain = {.args = "-M virt -m 64M"};
const Guest two_harts = {.args = "-M virt -m 64M", .harts = 2};
const Guest two_blocks = {.args = TWO_BLOCKS, .start = RAM_BASE + 40 * MIB};

static uint64_t guest_start(const Guest *guest)
{
    return guest->start ? guest->start : GUEST_START;
}

static uint64_t guest_bytes(const Guest *guest)
{
    return guest->bytes ? guest->bytes : 4 * MIB;
}

static unsigned guest_harts(const Guest *guest)
{
    return guest->harts ? guest->harts : 1;
}

static void write_image(const Guest *guest)
{
    uint32_t image[G_N_ELEMENTS(ab_kernel)];
    uint64_t words[2] = {GUINT64_TO_LE(guest_start(guest)), GUINT64_TO_LE(guest_bytes(guest))};

    for (unsigned i = 0; i < G_N_ELEMENTS(ab_kernel); i++) {
        image[i] = GUINT32_TO_LE(ab_kernel[i]);
    }
    memcpy((char *)image + sizeof(image) - sizeof(words), words, sizeof(words));
    g_assert_true(g_file_set_contents(helpers_path("guest.bin"), (char *)image, sizeof(image), NULL));
}

static char *machine_args(const Guest *guest, const char *who)
{
    return g_strdup_printf("-accel tcg -nodefaults -smp %u %s -bios %s -serial file:%s", guest_harts(guest),
                           guest->args, helpers_path("guest.bin"), helpers_path(who));
}

/* Waits until the guest of @who has printed @want at or after @from; returns where its output ends. */
static gsize wait_serial(const char *who, gsize from, char want)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

    while (g_get_monotonic_time() < deadline) {
        g_autofree char *text = NULL;
        gsize size;

        if (g_file_get_contents(helpers_path(who), &text, &size, NULL) && size > from &&
            memchr(text + from, want, size - from)) {
            return size;
        }
        g_usleep(1000); /* between two looks; nothing depends on it */
    }
    g_error("the guest of '%s' does not print '%c'", who, want);
}

QTestState *start_source(const Guest *guest)
{
    g_autofree char *args = NULL;
    QTestState *qts;

    unlink(helpers_path("source"));
    write_image(guest);
    args = machine_args(guest, "source");
    qts = qtest_init(args);
    wait_serial("source", 0, 'A');
    wait_serial("source", 0, 'B');
    return qts;
}

QTestState *start_destination(const Guest *guest, const char *uri, const char *more)
{
    g_autofree char *args = NULL;
    g_autofree char *all = NULL;

    unlink(helpers_path("destination"));
    args = machine_args(guest, "destination");
    all = g_strdup_printf("%s -S -incoming '%s' %s", args, uri, more);
    return qtest_init(all);
}

char *tcp_uri(QTestState *to)
{
    JsonNode *info = qtest_qmp_assert_success_ref(to, "{'execute': 'query-migrate'}");
    JsonArray *list = json_object_get_array_member(json_node_get_object(info), "socket-address");
    JsonObject *address = json_array_get_object_element(list, 0);
    char *uri = g_strdup_printf("tcp:%s:%s", json_object_get_string_member(address, "host"),
                                json_object_get_string_member(address, "port"));

    json_node_unref(info);
    return uri;
}

int run_destination_to_end(const Guest *guest, const char *uri, char **said)
{
    g_autofree char *args = machine_args(guest, "destination");
    g_autofree char *all = g_strdup_printf("%s -S -display none -incoming '%s'", args, uri);

    return qtest_run(all, NULL, said);
}

void set_capability(QTestState *qts, const char *name, bool on)
{
    qtest_qmp_assert_success(qts,
                             "{'execute': 'migrate-set-capabilities', 'arguments': {'capabilities': "
                             "[{'capability': %s, 'state': %i}]}}",
                             name, on);
}

void set_text_parameter(QTestState *qts, const char *name, const char *value)
{
    g_autofree char *text = g_strdup_printf(
        "{\"execute\": \"migrate-set-parameters\", \"arguments\": {\"%s\": %s}}", name, value);
    JsonObject *reply;

    qtest_qmp_send_raw(qts, text);
    reply = qtest_qmp_receive(qts);
    g_assert_true(json_object_has_member(reply, "return"));
    json_object_unref(reply);
}

void set_parameter(QTestState *qts, const char *name, int64_t value)
{
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, value);

    set_text_parameter(qts, name, text);
}

void migrate(QTestState *qts, const char *uri)
{
    qtest_qmp_assert_success(qts, "{'execute': 'migrate', 'arguments': {'uri': %s}}", uri);
}

static JsonObject *query(QTestState *qts, const char *command)
{
    JsonNode *node = qtest_qmp_assert_success_ref(qts, "{'execute': %s}", command);
    JsonObject *object = json_object_ref(json_node_get_object(node));

    json_node_unref(node);
    return object;
}

char *migration_status(QTestState *qts)
{
    g_autoptr(JsonObject) info = query(qts, "query-migrate");

    return g_strdup(json_object_has_member(info, "status") ? json_object_get_string_member(info, "status") : "");
}

static bool is_final(const char *status)
{
    return !strcmp(status, "completed") || !strcmp(status, "failed") || !strcmp(status, "cancelled");
}

static char *json_object_to_text(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_alloc();

    json_node_init_object(node, object);
    return json_to_string(node, FALSE);
}

void wait_status(QTestState *qts, const char *goal)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

    while (g_get_monotonic_time() < deadline) {
        g_autoptr(JsonObject) info = query(qts, "query-migrate");
        const char *status = json_object_has_member(info, "status") ? json_object_get_string_member(info, "status") : "";

        if (!strcmp(status, goal)) {
            return;
        }
        if (is_final(status)) {
            g_autofree char *all = json_object_to_text(info);

            g_error("migration is '%s', not '%s': %s", status, goal, all);
        }
        g_usleep(1000);
    }
    g_error("no status '%s'", goal);
}

char *wait_failed(QTestState *qts)
{
    g_autoptr(JsonObject) info = NULL;

    wait_status(qts, "failed");
    info = query(qts, "query-migrate");
    return g_strdup(json_object_get_string_member(info, "error-desc"));
}

void expect_status(QTestState *qts, const char *status)
{
    g_autoptr(JsonObject) got = qtest_qmp_eventwait_ref(qts, "MIGRATION");

    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(got, "data"), "status"), ==, status);
}

int64_t query_number(QTestState *qts, const char *object, const char *name)
{
    g_autoptr(JsonObject) info = query(qts, "query-migrate");
    JsonObject *from = object ? json_object_get_object_member(info, object) : info;

    return json_object_get_int_member(from, name);
}

char *run_status(QTestState *qts)
{
    g_autoptr(JsonObject) info = query(qts, "query-status");

    return g_strdup(json_object_get_string_member(info, "status"));
}

void wait_run_status(QTestState *qts, const char *goal)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

    while (g_get_monotonic_time() < deadline) {
        g_autofree char *now = run_status(qts);

        if (!strcmp(now, goal)) {
            return;
        }
        g_usleep(1000);
    }
    g_error("no run status '%s'", goal);
}

void check_guest_runs(QTestState *qts, const char *who)
{
    g_autofree char *now = run_status(qts);
    g_autofree char *text = NULL;
    gsize size = 0;

    if (!strcmp(now, "paused")) {
        qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    } else {
        g_assert_cmpstr(now, ==, "running");
    }
    g_file_get_contents(helpers_path(who), &text, &size, NULL);
    wait_serial(who, size, 'B');
}

int64_t dirty_map_pages(QTestState *qts, int64_t *takes)
{
    g_autoptr(JsonObject) map = query(qts, "x-query-dirty-map");
    JsonArray *blocks = json_object_get_array_member(map, "blocks");
    int64_t sum = 0;

    *takes = json_object_get_int_member(map, "takes");
    for (unsigned i = 0; i < json_array_get_length(blocks); i++) {
        JsonArray *pages =
            json_object_get_array_member(json_array_get_object_element(blocks, i), "dirtied-pages");

        for (unsigned j = 0; j < json_array_get_length(pages); j++) {
            sum += json_array_get_int_element(pages, j);
        }
    }
    return sum;
}

void read_memory(QTestState *qts, uint64_t addr, void *bytes, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += MIB) {
        qtest_bufread(qts, addr + at, (char *)bytes + at, MIN(MIB, size - at));
    }
}

static void *read_guest(QTestState *qts, const Guest *guest, uint64_t *size)
{
    void *bytes;

    *size = guest_bytes(guest) * guest_harts(guest);
    bytes = g_malloc(*size);
    read_memory(qts, guest_start(guest), bytes, *size);
    return bytes;
}

/* v, v, ..., v-1, v-1: at most one step down. */
static void check_part(const uint8_t *part, uint64_t bytes, unsigned hart)
{
    uint8_t first = part[0];
    bool stepped = false;

    for (uint64_t at = 4096; at < bytes; at += 4096) {
        uint8_t expected = stepped ? (uint8_t)(first - 1) : first;

        if (part[at] == expected) {
            continue;
        }
        if (!stepped && part[at] == (uint8_t)(first - 1)) {
            stepped = true;
            continue;
        }
        g_error("hart %u: page at +0x%" PRIx64 " holds %u, expected %u: a store was lost", hart, at, part[at], expected);
    }
}

void check_guest_pages(QTestState *qts, const Guest *guest)
{
    uint64_t size;
    g_autofree uint8_t *bytes = read_guest(qts, guest, &size);

    for (unsigned i = 0; i < guest_harts(guest); i++) {
        check_part(bytes + i * guest_bytes(guest), guest_bytes(guest), i);
    }
}

void check_same_memory(QTestState *from, QTestState *to, const Guest *guest)
{
    uint64_t size;
    g_autofree uint8_t *a = read_guest(from, guest, &size);
    g_autofree uint8_t *b = read_guest(to, guest, &size);

    for (uint64_t at = 0; at < size; at++) {
        if (a[at] != b[at]) {
            g_error("byte at +0x%" PRIx64 " is 0x%02x at the source and 0x%02x at the destination", at, a[at], b[at]);
        }
    }
    check_guest_pages(to, guest);
}

void slow_migration(QTestState *qts)
{
    set_parameter(qts, "max-bandwidth", 3 * 1000 * 1000);
    set_parameter(qts, "downtime-limit", 1);
}

void fast_migration(QTestState *qts)
{
    set_parameter(qts, "max-bandwidth", 0);
    set_parameter(qts, "downtime-limit", 30000);
}

void migrate_live(QTestState *from, const char *uri)
{
    slow_migration(from);
    migrate(from, uri);
    wait_status(from, "active");
    while (query_number(from, "ram", "dirty-sync-count") < 2) {
        set_parameter(from, "max-bandwidth", 0);
        g_usleep(1000);
    }
    fast_migration(from);
    wait_status(from, "completed");
}

void finish(QTestState *from, QTestState *to, const Guest *guest)
{
    wait_status(to, "completed");
    wait_run_status(to, "paused");
    wait_run_status(from, "postmigrate");
    check_same_memory(from, to, guest);
    check_guest_runs(to, "destination");
    qtest_qmp_assert_success(to, "{'execute': 'stop'}");
    check_guest_pages(to, guest);
    qtest_quit(from);
    qtest_quit(to);
}

void check_error(JsonObject *reply, const char *part)
{
    const char *said;

    g_assert_true(json_object_has_member(reply, "error"));
    said = json_object_get_string_member(json_object_get_object_member(reply, "error"), "desc");
    if (!strstr(said, part)) {
        g_error("'%s' does not say '%s'", said, part);
    }
    json_object_unref(reply);
}

void execute(QTestState *qts, const char *command)
{
    qtest_qmp_assert_success(qts, "{'execute': %s}", command);
}

void check_run_status(QTestState *qts, const char *expected)
{
    g_autofree char *now = run_status(qts);

    g_assert_cmpstr(now, ==, expected);
}
