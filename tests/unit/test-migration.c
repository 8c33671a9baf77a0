/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration without a machine: streams in memory, fake devices and blocks, and whole saves and restores through files
 * inside this process.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/migration-internal.h"
#include "migration/migration.h"
#include "migration/sections.h"
#include "migration/state-io.h"
#include "migration/stream.h"
#include "system/memory.h"
#include "system/physmem.h"
#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/bswap.h"
#include "util/event-loop.h"

#define PAGE TARGET_PAGE_SIZE

/* --- a device that has one field of each kind --- */

typedef struct Fake {
    bool flag;
    uint8_t small;
    uint16_t shorts[3];
    uint32_t word;
    uint64_t wide;
    int64_t sign;
    uint8_t bytes[5];
    uint32_t extra; /* travels only when not 0 */
    uint32_t inner[3];
} Fake;

static void fake_fields(StateIO *io, void *opaque)
{
    Fake *s = opaque;

    STATE_BOOL(io, s->flag);
    STATE_U8_RANGE(io, s->small, 0, 100);
    STATE_U16S(io, s->shorts, 3);
    STATE_U32(io, s->word);
    STATE_U64(io, s->wide);
    STATE_I64(io, s->sign);
    STATE_BUFFER(io, s->bytes, 5);
    state_unused(io, 3);
    for (int i = 0; i < 3; i++) {
        state_struct_begin(io, "inner", "fake/inner", 2, i);
        STATE_U32(io, s->inner[i]);
        state_struct_end(io);
    }
    if (state_subsection(io, "fake/extra", 1, s->extra != 0)) {
        STATE_U32(io, s->extra);
        state_subsection_end(io);
    }
}

static const StateSection fake_section = {.name = "fake", .version = 3, .min_version = 2, .fields = fake_fields};
static Fake fake;
static RAMBlock *ram0, *ram1;

static const StreamConfig native_config = {.machine = "toy", .profile = STATE_PROFILE_NATIVE};
static const StreamConfig qemu_config = {.machine = "toy", .profile = STATE_PROFILE_QEMU};

static void fill_machine(unsigned seed)
{
    fake = (Fake){true, 42, {1, 2, 3}, 0x12345678, UINT64_C(0x123456789abcdef0), -5, "abcd", seed, {7, 8, 9}};
    memset(ram0->host, 0, ram0->used_length);
    memset(ram1->host, 0, ram1->used_length);
    ram0->host[0] = (uint8_t)seed;
    memset(ram1->host + PAGE, (int)seed, PAGE);
    ram1->host[ram1->used_length - 1] = 1;
}

/* The whole machine as a stream in memory. */
static GByteArray *save_machine(const StreamConfig *config)
{
    StreamWriter *writer = writer_new(NULL);
    GByteArray *bytes = writer->memory;
    RamStats stats = {0};
    RamState rs;
    GError *error = NULL;

    sections_write_header(writer, config);
    g_assert_true(ram_setup(&rs, writer, false, &stats, &error));
    g_assert_true(ram_save_setup(&rs, &error));
    migration_bitmap_sync(&rs);
    ram_part_begin(&rs, SECTION_END);
    while (ram_save_block(&rs)) {
    }
    ram_part_end(&rs);
    g_assert_true(sections_save_devices(writer, config, &error));
    bql_unlock();
    ram_cleanup(&rs);
    bql_lock();
    g_byte_array_ref(bytes);
    writer_free(writer);
    return bytes;
}

static char *load_machine(const void *data, size_t size, const StreamConfig *config)
{
    StreamReader *reader = reader_new_memory(data, size);
    SectionLoader loader;
    RamLoad ram;
    char *message = NULL;

    section_loader_init(&loader, reader, config);
    ram_load_init(&ram, false, "ram0");
    loader.iterative = &ram_section;
    loader.iterative_opaque = &ram;
    loader.lock_bql = true;
    bql_unlock();
    if (!sections_load_header(&loader) || !sections_load(&loader)) {
        g_assert_nonnull(reader->error);
        message = g_strdup(reader->error->message);
    }
    bql_lock();
    ram_load_clear(&ram);
    section_loader_clear(&loader);
    reader_free(reader);
    return message;
}

#define assert_contains(text, part)                                                                          \
    do {                                                                                                     \
        g_autofree char *text_ = (text);                                                                     \
        if (!text_ || !strstr(text_, part)) {                                                                \
            g_error("'%s' does not say '%s'", text_ ? text_ : "(success)", part);                            \
        }                                                                                                    \
    } while (0)

/* --- streams --- */

static void test_reader_short_stream_is_an_error(void)
{
    StreamReader *reader = reader_new_memory("\1\2\3", 3);

    g_assert_cmphex(reader_be16(reader), ==, 0x0102);
    g_assert_cmphex(reader_be32(reader), ==, 0);
    g_assert_nonnull(strstr(reader->error->message, "offset 0x3"));
    reader_free(reader);
}

static void test_reader_name_with_zero_byte_is_refused(void)
{
    StreamReader *reader = reader_new_memory("\3a\0b", 4);
    char name[256];

    g_assert_false(reader_counted_string(reader, name));
    reader_free(reader);
}

static void test_load_gives_back_what_was_saved(void)
{
    GByteArray *stream;
    Fake saved;
    char *message;

    fill_machine(9);
    saved = fake;
    stream = save_machine(&native_config);
    memset(&fake, 0, sizeof(fake));
    memset(ram0->host, 0xee, ram0->used_length);
    memset(ram1->host, 0xee, ram1->used_length);
    message = load_machine(stream->data, stream->len, &native_config);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_cmpint(fake.sign, ==, saved.sign);
    g_assert_cmpint(fake.shorts[2], ==, 3);
    g_assert_cmpint(fake.extra, ==, 9);
    g_assert_cmpint(ram0->host[0], ==, 9);
    g_assert_cmpint(ram0->host[PAGE], ==, 0);
    g_assert_cmpint(ram1->host[2 * PAGE - 1], ==, 9);
    g_assert_cmpint(ram1->host[ram1->used_length - 1], ==, 1);
    g_byte_array_unref(stream);
}

static void test_load_truncated_anywhere_is_an_error(void)
{
    GByteArray *stream;
    size_t end;

    fill_machine(9);
    stream = save_machine(&native_config);
    end = stream->len;
    while (stream->data[end - 1] == '}' || memcmp(stream->data + end - 1, "\6\0\0", 3)) {
        end--; /* the description at the end may be missing */
    }
    for (size_t n = 0; n + 1 < end; n += n > 200 && n + 400 < end ? 61 : 1) {
        g_autofree void *copy = g_memdup2(stream->data, n); /* a heap block of its own: a checker sees overruns */
        g_autofree char *message = load_machine(copy, n, &native_config);

        g_assert_nonnull(message);
    }
    g_byte_array_unref(stream);
}

/* Every bit of what is not page contents: an error or a success, never anything else. */
static void test_load_flipped_bit_is_survived(void)
{
    GByteArray *stream;
    const uint8_t *page;
    size_t skip_from, skip_to;

    fill_machine(0x5a);
    stream = save_machine(&native_config);
    page = stream->data;
    while (page[0] != 0x5a || page[1] != 0x5a || page[2] != 0x5a) {
        page++;
    }
    skip_from = (size_t)(page - stream->data) + 16;
    skip_to = skip_from + PAGE - 32;
    for (size_t i = 0; i < stream->len; i += i == skip_from ? skip_to - skip_from : 1) {
        for (int bit = 0; bit < 8; bit++) {
            g_autofree char *message = NULL;

            if (i > 1000 && i + 1500 < stream->len && bit != (int)(i % 8)) {
                continue; /* page contents and their neighbourhood: one bit of each byte */
            }
            stream->data[i] ^= (uint8_t)(1 << bit);
            message = load_machine(stream->data, stream->len, &native_config);
            stream->data[i] ^= (uint8_t)(1 << bit);
        }
    }
    g_byte_array_unref(stream);
}

static GByteArray *patched(const void *find, size_t size, size_t at, uint8_t value)
{
    GByteArray *stream;
    uint8_t *p;

    fill_machine(9);
    stream = save_machine(&native_config);
    p = memmem(stream->data, stream->len, find, size);
    g_assert_nonnull(p);
    p[at] = value;
    return stream;
}

static void check_patched(const void *find, size_t size, size_t at, uint8_t value, const char *expected)
{
    GByteArray *stream = patched(find, size, at, value);

    assert_contains(load_machine(stream->data, stream->len, &native_config), expected);
    g_byte_array_unref(stream);
}

static void test_load_newer_version_is_named(void)
{
    check_patched("\4fake\0\0\0\0\0\0\0\3", 13, 12, 4, "section 'fake' has version 4, this program knows up to 3");
}

static void test_load_older_version_is_named(void)
{
    check_patched("\4fake\0\0\0\0\0\0\0\3", 13, 12, 1, "section 'fake' has version 1, this program knows 2 and later");
}

static void test_load_unknown_section_is_named(void)
{
    check_patched("\4fake\0\0\0\0", 9, 2, 'o', "section 'foke' instance 0");
}

static void test_load_unknown_subsection_is_named(void)
{
    check_patched("fake/extra", 10, 9, 'o', "subsection 'fake/extro' is unknown here");
}

static void test_load_value_out_of_range_names_the_field(void)
{
    check_patched("\3\1\52\0\1", 5, 2, 101, "field 's->small' is 101");
}

static void test_load_bool_that_is_none_names_the_field(void)
{
    check_patched("\3\1\52\0\1", 5, 1, 2, "section 'fake' instance 0, field 's->flag', offset 0x");
}

static void test_load_unknown_block_is_named(void)
{
    check_patched("\4ram1\0\0\0\0", 9, 4, '7', "the source has RAM 'ram7'");
}

static void test_load_block_of_other_size_speaks_of_the_command_line(void)
{
    check_patched("\4ram0\0\0\0\0\0\0\x40", 12, 11, 0x30, "destination has -m 0x4000 bytes, source -m 0x3000 bytes");
}

static void test_load_other_machine_is_named(void)
{
    check_patched("\7\0\0\0\3toy", 8, 7, 'p', "the source is machine 'top' (-M), this one is 'toy'");
}

static void test_load_missing_section_is_an_error(void)
{
    static Fake other;
    static const StateSection other_section = {.name = "other", .version = 1, .min_version = 1, .fields = fake_fields};
    GByteArray *stream;

    fill_machine(9);
    stream = save_machine(&native_config);
    state_register(&other_section, NULL, 0, &other);
    assert_contains(load_machine(stream->data, stream->len, &native_config), "section 'other' instance 0 is missing");
    state_unregister(&other_section, &other);
    g_byte_array_unref(stream);
}

static void test_qemu_profile_has_no_subsection_of_ours(void)
{
    GByteArray *stream;
    char *message;

    fill_machine(9);
    stream = save_machine(&qemu_config);
    g_assert_null(memmem(stream->data, stream->len, "godwit", 6));
    message = load_machine(stream->data, stream->len, &native_config);
    g_assert_cmpstr(message, ==, NULL);
    g_byte_array_unref(stream);
}

/* A struct with a subsection of its own. */
static void nesting_fields(StateIO *io, void *opaque)
{
    uint32_t *word = opaque;

    state_struct_begin(io, "outer", "nesting/outer", 1, -1);
    STATE_U32(io, *word);
    if (state_subsection(io, "nesting/more", 1, true)) {
        STATE_U32(io, *word);
        state_subsection_end(io);
    }
    state_struct_end(io);
}

static void test_vmdesc_sizes_count_subsections(void)
{
    static const StateSection section = {.name = "nesting", .version = 1, .min_version = 1, .fields = nesting_fields};
    static uint32_t word;
    g_autoptr(GPtrArray) entries = NULL;
    g_autofree char *expected = NULL;
    GString *text;

    state_register(&section, NULL, 0, &word);
    entries = state_entries();
    text = vmdesc_build("toy", entries, STATE_PROFILE_NATIVE);
    /* the word, then mark, length, name, version and word of the subsection */
    expected = g_strdup_printf("]}]}, \"size\": %zu}", 4 + 1 + 1 + strlen("nesting/more") + 4 + 4);
    assert_contains(g_strdup(text->str), expected);
    g_string_free(text, TRUE);
    state_unregister(&section, &word);
}

static void test_vmdesc_is_json_that_names_the_fields(void)
{
    g_autoptr(GPtrArray) entries = state_entries();
    g_autoptr(JsonNode) node = NULL;
    JsonArray *devices;
    GString *text;
    bool found = false;

    fill_machine(9);
    text = vmdesc_build("toy", entries, STATE_PROFILE_NATIVE);
    node = json_from_string(text->str, NULL);
    g_assert_nonnull(node);
    devices = json_object_get_array_member(json_node_get_object(node), "devices");
    for (guint i = 0; i < json_array_get_length(devices); i++) {
        JsonObject *device = json_array_get_object_element(devices, i);

        if (!strcmp(json_object_get_string_member(device, "name"), "fake")) {
            JsonArray *fields = json_object_get_array_member(device, "fields");
            JsonObject *inner = json_array_get_object_element(fields, 8);

            found = json_array_get_length(fields) == 9 && json_object_get_int_member(inner, "array_len") == 3 &&
                    json_array_get_length(json_object_get_array_member(device, "subsections")) == 1;
        }
    }
    g_assert_true(found);
    g_string_free(text, TRUE);
}

/* --- syncs --- */

static void test_sync_sends_pages_that_changed_and_only_those(void)
{
    StreamWriter *writer = writer_new(NULL);
    RamStats stats = {0};
    RamState rs;

    g_assert_true(ram_setup(&rs, writer, false, &stats, NULL));
    migration_bitmap_sync(&rs);
    while (ram_save_block(&rs)) {
    }
    g_assert_cmpuint(rs.dirty_pages, ==, 0);
    physical_memory_set_dirty_range(ram1->offset + PAGE, PAGE, 1 << DIRTY_MEMORY_MIGRATION);
    migration_bitmap_sync(&rs);
    g_assert_cmpuint(rs.dirty_pages, ==, 1);
    g_assert_true(test_bit(1, ram1->bmap));
    g_assert_true(ram_save_block(&rs));
    g_assert_false(ram_save_block(&rs));
    bql_unlock();
    ram_cleanup(&rs);
    bql_lock();
    g_assert_null(ram1->bmap);
    writer_free(writer);
}

static void test_block_that_comes_joins(void)
{
    StreamWriter *writer = writer_new(NULL);
    RamStats stats = {0};
    RamState rs;
    RAMBlock *late;
    bool changed;

    g_assert_true(ram_setup(&rs, writer, false, &stats, NULL));
    migration_bitmap_sync(&rs);
    while (ram_save_block(&rs)) {
    }
    late = ram_block_new_anonymous("late", 3 * PAGE, 0, RAM_MIGRATABLE, NULL);
    g_assert_true(ram_check_blocks(&rs, &changed, NULL));
    g_assert_true(changed);
    g_assert_cmpuint(rs.dirty_pages, ==, 3);
    bql_unlock();
    ram_cleanup(&rs);
    bql_lock();
    ram_block_free(late);
    writer_free(writer);
}

static void test_block_that_goes_is_an_error(void)
{
    StreamWriter *writer = writer_new(NULL);
    RAMBlock *gone = ram_block_new_anonymous("gone", 3 * PAGE, 0, RAM_MIGRATABLE, NULL);
    GError *error = NULL;
    RamStats stats = {0};
    RamState rs;
    bool changed;

    g_assert_true(ram_setup(&rs, writer, false, &stats, NULL));
    ram_block_free(gone);
    g_assert_false(ram_check_blocks(&rs, &changed, &error));
    g_assert_nonnull(strstr(error->message, "'gone' was removed"));
    g_clear_error(&error);
    bql_unlock();
    ram_cleanup(&rs);
    bql_lock();
    writer_free(writer);
}

/* --- whole migrations inside this process --- */

static char *dir;

static char *path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* Turns the main loop until the source has ended; returns its status. */
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
        bql_unlock();
        g_usleep(200); /* there is no event to wait for in a process without a monitor */
        bql_lock();
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
        bql_unlock();
        g_usleep(200);
        bql_lock();
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

static void test_cancel_while_connecting(void)
{
    g_autofree char *path = path_of("silent");
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    Channel *listener = channel_open(uri, true, NULL); /* connects, and never answers */
    MigrationInfo info;

    g_assert_true(migration_start(uri, NULL));
    migration_cancel();
    while (migration_is_busy()) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    migration_get_info(&info);
    g_assert_cmpint(info.status, ==, MIGRATION_CANCELLED);
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PRELAUNCH);
    channel_free(listener);
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
        bql_unlock();
        g_usleep(200);
        bql_lock();
        migration_get_info(&info);
    } while (info.status != MIGRATION_DEVICE);
    migration_cancel();
    while (migration_is_busy()) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    migration_get_info(&info);
    g_assert_cmpint(info.status, ==, MIGRATION_CANCELLED);
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PRELAUNCH);
    channel_free(listener);
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
        bql_unlock();
        g_usleep(200);
        bql_lock();
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

static void remove_dir(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", dir);

    g_assert_cmpint(system(command), ==, 0);
    g_free(dir);
}

#define TEST(path, name) g_test_add_func("/migration/" path, test_##name)

int main(int argc, char **argv)
{
    int result;

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
    dir = g_dir_make_tmp("test-migration-XXXXXX", NULL);
    bql_init();
    bql_lock();
    event_loop_main();
    memory_init();
    migration_init();
    ram0 = ram_block_new_anonymous("ram0", 4 * PAGE, 0, RAM_MIGRATABLE, NULL);
    ram1 = ram_block_new_anonymous("ram1", 67 * PAGE, 0, RAM_MIGRATABLE, NULL);
    state_register(&fake_section, NULL, 0, &fake);
    TEST("reader/short-stream-is-an-error", reader_short_stream_is_an_error);
    TEST("reader/name-with-zero-byte-is-refused", reader_name_with_zero_byte_is_refused);
    TEST("load/gives-back-what-was-saved", load_gives_back_what_was_saved);
    TEST("load/truncated-anywhere-is-an-error", load_truncated_anywhere_is_an_error);
    TEST("load/flipped-bit-is-survived", load_flipped_bit_is_survived);
    TEST("load/newer-version-is-named", load_newer_version_is_named);
    TEST("load/older-version-is-named", load_older_version_is_named);
    TEST("load/unknown-section-is-named", load_unknown_section_is_named);
    TEST("load/unknown-subsection-is-named", load_unknown_subsection_is_named);
    TEST("load/value-out-of-range-names-the-field", load_value_out_of_range_names_the_field);
    TEST("load/bool-that-is-none-names-the-field", load_bool_that_is_none_names_the_field);
    TEST("load/unknown-block-is-named", load_unknown_block_is_named);
    TEST("load/block-of-other-size-speaks-of-the-command-line", load_block_of_other_size_speaks_of_the_command_line);
    TEST("load/other-machine-is-named", load_other_machine_is_named);
    TEST("load/missing-section-is-an-error", load_missing_section_is_an_error);
    TEST("save/qemu-profile-has-no-subsection-of-ours", qemu_profile_has_no_subsection_of_ours);
    TEST("vmdesc/is-json-that-names-the-fields", vmdesc_is_json_that_names_the_fields);
    TEST("vmdesc/sizes-count-subsections", vmdesc_sizes_count_subsections);
    TEST("sync/sends-pages-that-changed-and-only-those", sync_sends_pages_that_changed_and_only_those);
    TEST("ram/block-that-comes-joins", block_that_comes_joins);
    TEST("ram/block-that-goes-is-an-error", block_that_goes_is_an_error);
    TEST("file/round-trip", file_round_trip);
    TEST("file/offset-keeps-what-stands-before", file_offset_keeps_what_stands_before);
    TEST("file/unfinished-is-refused", unfinished_file_is_refused);
    TEST("file/full-disk-fails-and-the-machine-stays", full_disk_fails_and_the_machine_stays);
    TEST("exec/round-trip", exec_round_trip);
    TEST("exec/command-that-fails-is-reported", exec_that_fails_is_reported);
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
    TEST("incoming/cancel-ends-the-wait", incoming_cancel_ends_the_wait);
    TEST("channel/unknown-scheme-has-a-suggestion", unknown_scheme_has_a_suggestion);
    TEST("channel/port-zero-gets-a-port", port_zero_gets_a_port);
    TEST("channel/channels-argument", channels_argument);
    TEST("options/capability-not-supported-is-said", capability_not_supported_is_said);
    result = g_test_run();
    migration_shutdown();
    ram_block_free(ram0);
    ram_block_free(ram1);
    remove_dir();
    return result;
}
