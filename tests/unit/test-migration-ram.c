/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory as it travels in a stream: pages that nobody touched, runs of pages, and what a store in between does. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/migration-internal.h"
#include "system/memory.h"
#include "system/runstate.h"

#define PAGE  TARGET_PAGE_SIZE
#define PAGES (4 * PRISTINE_MIN_PAGES)

static const StreamConfig native_config = {.machine = "toy", .profile = STATE_PROFILE_NATIVE};

/* A block that travels, and the stream it travels in. */
typedef struct Travel {
    RAMBlock *block;
    StreamWriter *writer;
    RamStats stats;
    RamState rs;
} Travel;

static RAMBlock *new_block(unsigned flags)
{
    RAMBlock *block = ram_block_new_anonymous("travels", PAGES * PAGE, 0, RAM_MIGRATABLE | flags, NULL);

    g_assert_nonnull(block);
    g_clear_pointer(&block->written, g_free); /* as after a machine ran: only the host can tell what was touched */
    return block;
}

/* Up to the first sync. */
static void travel_begin(Travel *t, RAMBlock *block, bool skip_pristine)
{
    memset(t, 0, sizeof(*t));
    t->block = block;
    t->writer = writer_new(NULL);
    sections_write_header(t->writer, &native_config);
    g_assert_true(ram_setup(&t->rs, t->writer, false, &t->stats, NULL));
    pristine_look_init(&t->rs.pristine, skip_pristine);
    t->rs.zero_detection = ZERO_PAGE_DETECTION_LEGACY;
    t->rs.runs = true;
    g_assert_true(ram_save_setup(&t->rs, NULL));
    migration_bitmap_sync(&t->rs);
    ram_part_begin(&t->rs, SECTION_END);
}

static void store(Travel *t, uint64_t page, uint8_t value)
{
    t->block->host[page * PAGE] = value;
    physical_memory_set_dirty_range(t->block->offset + page * PAGE, PAGE, 1 << DIRTY_MEMORY_MIGRATION);
}

/* Sends what is left and loads it: the block is then what the destination has. */
static void travel_end(Travel *t)
{
    SectionLoader loader;
    StreamReader *reader;
    RamLoad load;

    while (ram_save_block(&t->rs)) {
    }
    ram_part_end(&t->rs);
    writer_u8(t->writer, SECTION_EOF);
    bql_unlock();
    ram_cleanup(&t->rs);
    bql_lock();
    memset(t->block->host, 0xee, t->block->used_length);
    reader = reader_new_memory(t->writer->memory->data, t->writer->memory->len);
    section_loader_init(&loader, reader, &native_config);
    ram_load_init(&load, false, "travels");
    loader.iterative = &ram_section;
    loader.iterative_opaque = &load;
    loader.lock_bql = true;
    bql_unlock();
    if (!sections_load_header(&loader) || !sections_load(&loader)) {
        g_error("%s", reader->error->message);
    }
    bql_lock();
    ram_load_clear(&load);
    section_loader_clear(&loader);
    reader_free(reader);
    writer_free(t->writer);
}

static unsigned host_pages(const RAMBlock *block)
{
    uint8_t present[PAGES];
    unsigned n = 0;

    g_assert_cmpint(mincore(block->host, PAGES * PAGE, present), ==, 0);
    for (unsigned i = 0; i < PAGES; i++) {
        n += present[i] & 1;
    }
    return n;
}

static void check_pages(const RAMBlock *block, uint64_t page, uint8_t value)
{
    for (uint64_t i = 0; i < PAGES; i++) {
        g_assert_cmpint(block->host[i * PAGE], ==, i == page ? value : 0);
        g_assert_cmpint(block->host[i * PAGE + PAGE - 1], ==, 0);
    }
}

/* --- pristine pages --- */

static void test_pristine_pages_are_not_read(void)
{
    RAMBlock *block = new_block(0);
    Travel t;

    travel_begin(&t, block, true);
    while (ram_save_block(&t.rs)) {
    }
    g_assert_cmpuint(host_pages(block), ==, 0);
    g_assert_cmpuint(t.stats.pristine, ==, PAGES);
    g_assert_cmpuint(t.stats.duplicate, ==, PAGES);
    travel_end(&t);
    check_pages(block, PAGES, 0);
    ram_block_free(block);
}

static void test_pages_before_and_behind_a_touched_one_are_pristine(void)
{
    RAMBlock *block = new_block(0);
    Travel t;

    block->host[100 * PAGE] = 5;
    travel_begin(&t, block, true);
    while (ram_save_block(&t.rs)) {
    }
    g_assert_cmpuint(t.stats.normal, ==, 1);
    g_assert_cmpuint(t.stats.pristine, ==, PAGES - host_pages(block));
    travel_end(&t);
    check_pages(block, 100, 5);
    ram_block_free(block);
}

static void test_page_touched_between_look_and_send_is_sent(void)
{
    RAMBlock *block = new_block(0);
    Travel t;

    travel_begin(&t, block, true);
    g_assert_true(ram_save_block(&t.rs)); /* the first run: the look covers the whole block */
    g_assert_cmpuint(t.rs.pristine.end, ==, PAGES);
    store(&t, PAGES - 1, 7);
    while (ram_save_block(&t.rs)) {
    }
    migration_bitmap_sync(&t.rs);
    travel_end(&t);
    check_pages(block, PAGES - 1, 7);
    ram_block_free(block);
}

/* The bit that tells of the store is taken in the middle of the pass, when the page is still to be sent. */
static void test_take_in_the_middle_of_a_pass_makes_a_new_look(void)
{
    RAMBlock *block = new_block(0);
    Travel t;

    travel_begin(&t, block, true);
    g_assert_true(ram_save_block(&t.rs));
    store(&t, PAGES - 1, 7);
    migration_bitmap_sync(&t.rs);
    travel_end(&t);
    check_pages(block, PAGES - 1, 7);
    ram_block_free(block);
}

static void test_switched_off_all_pages_are_read(void)
{
    RAMBlock *block = new_block(0);
    Travel t;

    travel_begin(&t, block, false);
    while (ram_save_block(&t.rs)) {
    }
    g_assert_cmpuint(t.stats.pristine, ==, 0);
    g_assert_cmpuint(t.stats.duplicate, ==, PAGES);
    travel_end(&t);
    ram_block_free(block);
}

/* Another process may have written there: its pages need not be mapped here. */
static void test_shared_memory_is_read(void)
{
    RAMBlock *block = ram_block_new_memfd("travels", PAGES * PAGE, RAM_MIGRATABLE | RAM_SHARED, NULL);
    uint8_t seven = 7;
    Travel t;

    g_assert_nonnull(block);
    g_assert_cmpint(pwrite(block->fd, &seven, 1, 3 * PAGE), ==, 1);
    travel_begin(&t, block, true);
    travel_end(&t);
    check_pages(block, 3, 7);
    ram_block_free(block);
}

/* --- runs --- */

static void test_run_of_pages_is_one_record(void)
{
    RAMBlock *block = new_block(0);
    uint64_t before;
    Travel t;

    memset(block->host, 1, PAGES * PAGE);
    travel_begin(&t, block, true);
    before = t.writer->position;
    g_assert_true(ram_save_block(&t.rs));
    g_assert_cmpuint(t.writer->position - before, ==, 8 + 1 + strlen("travels") + 4 + PRISTINE_MIN_PAGES * PAGE);
    travel_end(&t);
    for (uint64_t i = 0; i < PAGES * PAGE; i++) {
        g_assert_cmpint(block->host[i], ==, 1);
    }
    ram_block_free(block);
}

static void check_bad_run(uint64_t page, uint32_t n)
{
    RAMBlock *block = new_block(0);
    StreamWriter *writer = writer_new(NULL);
    StreamReader *reader;
    RamLoad load;

    writer_be64(writer, block->used_length | RAM_SAVE_MEM_SIZE);
    writer_counted_string(writer, block->idstr);
    writer_be64(writer, block->used_length);
    writer_be64(writer, page * PAGE | RAM_SAVE_ZERO | RAM_SAVE_RUN);
    writer_counted_string(writer, block->idstr);
    writer_be32(writer, n);
    writer_u8(writer, 0);
    writer_be64(writer, RAM_SAVE_EOS);
    reader = reader_new_memory(writer->memory->data, writer->memory->len);
    ram_load_init(&load, false, NULL);
    bql_unlock();
    g_assert_false(ram_section.load(reader, &load));
    bql_lock();
    g_assert_nonnull(strstr(reader->error->message, "cannot be in RAM 'travels'"));
    ram_load_clear(&load);
    reader_free(reader);
    writer_free(writer);
    ram_block_free(block);
}

static void test_run_past_the_end_is_refused(void)
{
    check_bad_run(1, PAGES);
}

static void test_longest_run_is_refused(void)
{
    check_bad_run(0, UINT32_MAX);
}

static void test_run_of_no_pages_is_refused(void)
{
    check_bad_run(0, 0);
}

#define TEST(path, name) g_test_add_func("/migration-ram/" path, test_##name)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    memory_init();
    TEST("pristine/pages-are-not-read", pristine_pages_are_not_read);
    TEST("pristine/around-a-touched-page", pages_before_and_behind_a_touched_one_are_pristine);
    TEST("pristine/page-touched-between-look-and-send-is-sent", page_touched_between_look_and_send_is_sent);
    TEST("pristine/take-in-the-middle-of-a-pass-makes-a-new-look", take_in_the_middle_of_a_pass_makes_a_new_look);
    TEST("pristine/switched-off-all-pages-are-read", switched_off_all_pages_are_read);
    TEST("pristine/shared-memory-is-read", shared_memory_is_read);
    TEST("runs/one-record", run_of_pages_is_one_record);
    TEST("runs/past-the-end-is-refused", run_past_the_end_is_refused);
    TEST("runs/longest-is-refused", longest_run_is_refused);
    TEST("runs/of-no-pages-is-refused", run_of_no_pages_is_refused);
    return g_test_run();
}
