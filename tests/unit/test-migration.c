/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Migration without a machine: streams in memory, what they say when they are wrong, and which pages they have. */
#include <signal.h>

#include "migration-fake.h"
#include "migration/stream.h"
#include "util/bitmap.h"

/* --- streams --- */

static void test_reader_short_stream_is_an_error(void)
{
    StreamReader *reader = reader_new_memory("\1\2\3", 3);

    g_assert_cmphex(reader_be16(reader), ==, 0x0102);
    g_assert_cmphex(reader_be32(reader), ==, 0);
    g_assert_nonnull(strstr(reader->error->message, "offset 0x3"));
    reader_free(reader);
}

/* A look past the end used to move what was left to the front. */
static void test_reader_memory_of_others_stays_as_it_is(void)
{
    const char bytes[] = "0123456789";
    char copy[sizeof(bytes)];
    StreamReader *reader;

    memcpy(copy, bytes, sizeof(copy));
    reader = reader_new_memory(copy, sizeof(copy));
    g_assert_true(reader_skip(reader, 4));
    g_assert_null(reader_peek(reader, 8));
    g_assert_cmpmem(copy, sizeof(copy), bytes, sizeof(bytes));
    g_assert_cmpint(reader_u8(reader), ==, '4');
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

int main(int argc, char **argv)
{
    int result;

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
    make_machine();
    TEST("reader/short-stream-is-an-error", reader_short_stream_is_an_error);
    TEST("reader/memory-of-others-stays-as-it-is", reader_memory_of_others_stays_as_it_is);
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
    add_process_tests();
    result = g_test_run();
    end_machine();
    end_process_tests();
    return result;
}
