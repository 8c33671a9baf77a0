/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile postcopy streams, for the whole incoming side in one process.
 *
 * A good stream (advise, list, discards, package, pages, end) has every bit flipped that is no page content, and is cut
 * at every byte.  Each case ends in an error with a message, in a broken link, or in a machine with all its memory; the
 * unharmed stream loads afterwards.  FUZZ_STRIDE: only each n-th case.
 */
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/migration-internal.h"
#include "migration/migration.h"
#include "migration/postcopy.h"
#include "migration/sections.h"
#include "migration/state-io.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/bswap.h"
#include "util/event-loop.h"

#define PAGE TARGET_PAGE_SIZE
#define MARK 0x5a

static RAMBlock *ram0, *ram1;
static uint64_t device_word;
static struct {
    uint64_t cases, failed, paused, completed;
} count;

static void device_fields(StateIO *io, void *opaque)
{
    STATE_U64(io, device_word);
}

static const StateSection device_section = {.name = "device", .version = 1, .min_version = 1, .fields = device_fields};

/* --- the good stream --- */

static void write_list(StreamWriter *writer)
{
    const RAMBlock *blocks[] = {ram0, ram1};

    section_begin(writer, SECTION_START, SECTION_ID_RAM, "ram", 0, 4);
    writer_be64(writer, (ram0->used_length + ram1->used_length) | RAM_SAVE_MEM_SIZE);
    for (unsigned i = 0; i < G_N_ELEMENTS(blocks); i++) {
        writer_counted_string(writer, blocks[i]->idstr);
        writer_be64(writer, blocks[i]->used_length);
    }
    writer_be64(writer, RAM_SAVE_EOS);
    section_end(writer, SECTION_ID_RAM);
}

/* All zero but the last page of each block. */
static void write_pages(StreamWriter *writer, uint8_t type, RAMBlock *block)
{
    static const uint8_t mark[TARGET_PAGE_SIZE] = {[0 ... TARGET_PAGE_SIZE - 1] = MARK};
    uint64_t pages = ram_block_pages(block);

    section_begin(writer, type, SECTION_ID_RAM, NULL, 0, 0);
    for (uint64_t i = 0; i < pages; i++) {
        bool last = i == pages - 1;

        writer_be64(writer, i * PAGE | (last ? RAM_SAVE_PAGE : RAM_SAVE_ZERO) | (i ? RAM_SAVE_CONTINUE : 0));
        if (!i) {
            writer_counted_string(writer, block->idstr);
        }
        writer_bytes(writer, mark, last ? PAGE : 0);
        writer_bytes(writer, "", last ? 0 : 1);
    }
    writer_be64(writer, RAM_SAVE_EOS);
    section_end(writer, SECTION_ID_RAM);
}

static void write_ping(StreamWriter *writer, uint32_t cookie)
{
    cookie = cpu_to_be32(cookie);
    stream_command(writer, STREAM_COMMAND_PING, &cookie, sizeof(cookie));
}

static void write_discard(StreamWriter *writer)
{
    writer_u8(writer, SECTION_COMMAND);
    writer_be16(writer, STREAM_COMMAND_POSTCOPY_RAM_DISCARD);
    writer_be16(writer, (uint16_t)(3 + strlen(ram0->idstr) + 32));
    writer_u8(writer, 0);
    writer_counted_string(writer, ram0->idstr);
    writer_u8(writer, 0);
    writer_be64(writer, 0);
    writer_be64(writer, 2 * PAGE);
    writer_be64(writer, ram0->used_length - PAGE);
    writer_be64(writer, PAGE);
}

static void write_package(StreamWriter *writer, const StreamConfig *config)
{
    StreamWriter *package = writer_new(NULL);
    uint32_t size;

    stream_command(package, STREAM_COMMAND_POSTCOPY_LISTEN, NULL, 0);
    g_assert_true(sections_save_states(package, config, NULL));
    write_ping(package, POSTCOPY_PING_PACKAGED);
    stream_command(package, STREAM_COMMAND_POSTCOPY_RUN, NULL, 0);
    size = cpu_to_be32(package->memory->len);
    stream_command(writer, STREAM_COMMAND_PACKAGED, &size, sizeof(size));
    writer_bytes(writer, package->memory->data, package->memory->len);
    writer_free(package);
}

static GByteArray *good_stream(void)
{
    StreamWriter *writer = writer_new(NULL);
    GByteArray *bytes = g_byte_array_ref(writer->memory);
    uint64_t advise[2] = {cpu_to_be64(postcopy_page_sizes()), cpu_to_be64(PAGE)};
    StreamConfig config;

    stream_config_local(&config, migration_options());
    sections_write_header(writer, &config);
    stream_command(writer, STREAM_COMMAND_OPEN_RETURN_PATH, NULL, 0);
    stream_command(writer, STREAM_COMMAND_POSTCOPY_ADVISE, advise, POSTCOPY_ADVISE_SIZE);
    write_list(writer);
    write_pages(writer, SECTION_PART, ram0);
    write_discard(writer);
    globalstate_set("paused");
    write_package(writer, &config);
    write_pages(writer, SECTION_PART, ram1);
    write_pages(writer, SECTION_PART, ram0);
    stream_command(writer, STREAM_COMMAND_PING, "\0\0\0\4", 4);
    section_begin(writer, SECTION_END, SECTION_ID_RAM, NULL, 0, 0);
    writer_be64(writer, RAM_SAVE_EOS);
    section_end(writer, SECTION_ID_RAM);
    writer_u8(writer, SECTION_EOF);
    writer_free(writer);
    return bytes;
}

/* --- a case --- */

static MigrationStatus ask_status(char **message)
{
    JsonNode *address = NULL;
    MigrationStatus status = incoming_status(message, &address);

    g_clear_pointer(&address, json_node_unref);
    return status;
}

static bool is_settled(MigrationStatus status)
{
    return status == MIGRATION_COMPLETED || status == MIGRATION_FAILED || status == MIGRATION_CANCELLED;
}

static bool is_paused(MigrationStatus status)
{
    return status == MIGRATION_POSTCOPY_PAUSED || status == MIGRATION_HANDOVER_PAUSED;
}

static MigrationStatus wait_settled(bool or_paused, char **message)
{
    for (;;) {
        MigrationStatus status = ask_status(message);

        if (is_settled(status) || (or_paused && is_paused(status))) {
            return status;
        }
        g_clear_pointer(message, g_free);
        bql_unlock();
        g_usleep(50);
        bql_lock();
    }
}

static MigrationStatus load(const uint8_t *data, size_t size)
{
    g_autofree char *message = NULL, *uri = NULL;
    MigrationStatus status;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    g_assert_cmpint(send(pair[0], data, size, 0), ==, size);
    shutdown(pair[0], SHUT_WR);
    uri = g_strdup_printf("fd:%d", pair[1]);
    memset(ram0->host, 0xee, ram0->used_length);
    memset(ram1->host, 0xee, ram1->used_length);
    runstate_set(RUN_STATE_PRELAUNCH);
    runstate_set(RUN_STATE_INMIGRATE);
    g_assert_true(incoming_start(uri, false, NULL));
    status = wait_settled(true, &message);
    if (is_paused(status)) {
        g_assert_nonnull(message);
        g_clear_pointer(&message, g_free);
        incoming_shutdown();
        if (wait_settled(false, &message) == MIGRATION_FAILED) { /* else all memory had come before */
            g_assert_nonnull(message);
        }
    }
    g_assert_true(status != MIGRATION_FAILED || message);
    if (runstate_is_running()) {
        vm_stop(RUN_STATE_PAUSED);
    } else {
        runstate_set(RUN_STATE_PAUSED);
    }
    close(pair[0]);
    count.cases++;
    count.failed += status == MIGRATION_FAILED;
    count.paused += is_paused(status);
    count.completed += status == MIGRATION_COMPLETED;
    return status;
}

static void check_unharmed(const GByteArray *stream)
{
    g_assert_cmpint(load(stream->data, stream->len), ==, MIGRATION_COMPLETED);
    g_assert_cmpint(ram0->host[0], ==, 0);
    g_assert_cmpint(ram0->host[ram0->used_length - 1], ==, MARK);
    g_assert_cmpint(ram1->host[ram1->used_length - 1], ==, MARK);
}

static size_t stride(void)
{
    const char *text = g_getenv("FUZZ_STRIDE");

    return MAX(1, text ? g_ascii_strtoull(text, NULL, 0) : 1);
}

/* Past the content of a page that begins at or near @n. */
static size_t skip_page(const GByteArray *stream, size_t n)
{
    static const uint8_t mark[TARGET_PAGE_SIZE - 32] = {[0 ... TARGET_PAGE_SIZE - 33] = MARK};

    return n + sizeof(mark) <= stream->len && !memcmp(stream->data + n, mark, sizeof(mark)) ? n + sizeof(mark) : n;
}

static void test_flipped(void)
{
    g_autoptr(GByteArray) stream = good_stream();
    size_t step = stride();

    check_unharmed(stream);
    for (size_t n = 0; n < stream->len * 8; n += step) {
        size_t after = skip_page(stream, n / 8);

        if (after != n / 8) {
            n = after * 8;
        }
        stream->data[n / 8] ^= (uint8_t)(1 << n % 8);
        load(stream->data, stream->len);
        stream->data[n / 8] ^= (uint8_t)(1 << n % 8);
    }
    check_unharmed(stream);
}

static void test_truncated(void)
{
    g_autoptr(GByteArray) stream = good_stream();
    size_t step = stride();

    for (size_t n = 0; n < stream->len; n = skip_page(stream, n + step)) {
        g_assert_cmpint(load(stream->data, n), !=, MIGRATION_COMPLETED);
    }
    check_unharmed(stream);
}

int main(int argc, char **argv)
{
    int status;

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    event_loop_main();
    memory_init();
    migration_init();
    ram0 = ram_block_new_anonymous("ram0", 4 * PAGE, 0, RAM_MIGRATABLE, NULL);
    ram1 = ram_block_new_anonymous("ram1", 7 * PAGE, 0, RAM_MIGRATABLE, NULL);
    state_register(&device_section, NULL, 0, &device_word);
    g_assert_true(migration_set_global("x-postcopy-ram", "on", NULL));
    g_test_add_func("/fuzz/postcopy/any-bit-flipped", test_flipped);
    g_test_add_func("/fuzz/postcopy/truncated-anywhere", test_truncated);
    status = g_test_run();
    printf("# %" PRIu64 " cases: %" PRIu64 " failed, %" PRIu64 " broken links, %" PRIu64 " completed\n", count.cases,
           count.failed, count.paused, count.completed);
    fflush(stdout);
    _exit(status);
}
