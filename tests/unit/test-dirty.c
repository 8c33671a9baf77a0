/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dirty bitmaps: invariants D1 to D6, and random work against a model with one bool per page. */
#include <string.h>

#include "system/memory.h"
#include "system/physmem.h"
#include "system/runstate.h"
#include "util/bits.h"

#define PAGE      TARGET_PAGE_SIZE
#define MIGRATION DIRTY_MEMORY_MIGRATION

/* --- a stand-in for the accelerator --- */

static struct {
    unsigned rearms, quiesces, invalidations;
    ram_addr_t start;
    uint64_t length;
    char order[16]; /* 'r' and 'q' as they came */
} seen;

static void note(char c)
{
    size_t n = strlen(seen.order);

    if (n + 1 < sizeof(seen.order)) {
        seen.order[n] = c;
    }
}

static void fake_rearm(ram_addr_t start, uint64_t length)
{
    seen.rearms++;
    seen.start = start;
    seen.length = length;
    note('r');
}

static void fake_quiesce(void)
{
    seen.quiesces++;
    note('q');
}

static void fake_invalidate_code(ram_addr_t start, uint64_t length)
{
    seen.invalidations++;
    seen.start = start;
    seen.length = length;
}

static const DirtyListenerOps fake_accel = {
    .rearm = fake_rearm,
    .quiesce = fake_quiesce,
    .invalidate_code = fake_invalidate_code,
};

static RAMBlock *new_block(const char *name, uint64_t pages)
{
    return ram_block_new_anonymous(name, pages * PAGE, 0, RAM_MIGRATABLE | RAM_NORESERVE, NULL);
}

static unsigned long *new_bmap(RAMBlock *block)
{
    return bitmap_new(block->used_length >> TARGET_PAGE_BITS);
}

static void free_block(RAMBlock *block)
{
    g_clear_pointer(&block->bmap, g_free);
    ram_block_free(block);
}

static void mark_page(RAMBlock *block, uint64_t page)
{
    physical_memory_set_dirty_range(block->offset + page * PAGE, PAGE, 1 << MIGRATION);
}

/* --- D1 --- */

static void test_d1_write_marks_before_it_returns(void)
{
    MemoryRegion mr;
    RAMBlock *block;

    g_assert_true(memory_region_init_ram(&mr, NULL, "d1", 8 * PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x80000000, &mr);
    block = mr.ram_block;
    g_assert_true(memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, NULL));
    g_assert_false(physical_memory_get_dirty(block->offset, 8 * PAGE, MIGRATION));
    /* the last byte of page 2 and the first of page 3 */
    g_assert_cmpint(address_space_write(&address_space_memory, 0x80000000 + 3 * PAGE - 1, "ab", 2), ==,
                    MEMTX_OK);
    for (unsigned page = 0; page < 8; page++) {
        g_assert_cmpint(physical_memory_get_dirty_flag(block->offset + page * PAGE, MIGRATION), ==,
                        page == 2 || page == 3);
    }
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
    memory_region_del_subregion(get_system_memory(), &mr);
    memory_region_destroy(&mr);
}

/* --- D2 --- */

static void test_d2_snapshot_rearms_then_quiesces(void)
{
    MemoryRegion mr;
    DirtyBitmapSnapshot *snap;

    g_assert_true(memory_region_init_ram(&mr, NULL, "d2", 8 * PAGE, NULL));
    memory_region_set_log(&mr, true, DIRTY_MEMORY_VGA);
    memset(&seen, 0, sizeof(seen));
    snap = memory_region_snapshot_and_clear_dirty(&mr, 0, 8 * PAGE, DIRTY_MEMORY_VGA);
    g_assert_cmpstr(seen.order, ==, "rq");
    memory_region_set_dirty(&mr, 0, PAGE);
    g_assert_true(memory_region_snapshot_get_dirty(snap, 5 * PAGE, 1)); /* a display draws all of it first */
    memory_region_snapshot_free(snap);
    snap = memory_region_snapshot_and_clear_dirty(&mr, 0, 8 * PAGE, DIRTY_MEMORY_VGA);
    g_assert_true(memory_region_snapshot_get_dirty(snap, 100, 4));
    g_assert_false(memory_region_snapshot_get_dirty(snap, PAGE, 7 * PAGE));
    memory_region_snapshot_free(snap);
    memory_region_set_log(&mr, false, DIRTY_MEMORY_VGA);
    memory_region_destroy(&mr);
}

/* --- D3 --- */

static void test_d3_taking_leaves_other_clients_alone(void)
{
    RAMBlock *block = new_block("d3", 100);
    uint8_t all = 1 << DIRTY_MEMORY_VGA | 1 << DIRTY_MEMORY_CODE | 1 << MIGRATION;

    physical_memory_set_dirty_range(block->offset, 100 * PAGE, all);
    g_assert_cmpuint(physical_memory_test_and_clear_dirty(block->offset, 100 * PAGE, MIGRATION, NULL), ==,
                     100);
    g_assert_cmpuint(physical_memory_count_dirty(block->offset, 100 * PAGE, DIRTY_MEMORY_VGA), ==, 100);
    g_assert_cmpuint(physical_memory_count_dirty(block->offset, 100 * PAGE, DIRTY_MEMORY_CODE), ==, 100);
    g_assert_cmpuint(physical_memory_count_dirty(block->offset, 100 * PAGE, MIGRATION), ==, 0);
    free_block(block);
}

/* --- D4 --- */

static void test_d4_rearm_is_at_the_true_address(void)
{
    RAMBlock *first = new_block("first", 1000);
    RAMBlock *second = new_block("second", 77);

    second->bmap = new_bmap(second);
    g_assert_cmpuint(second->offset, !=, 0);
    mark_page(second, 5);
    memset(&seen, 0, sizeof(seen));
    g_assert_cmpuint(physical_memory_sync_dirty_bitmap(second), ==, 1);
    g_assert_true(test_bit(5, second->bmap));
    g_assert_cmpuint(seen.rearms, ==, 1);
    g_assert_cmphex(seen.start, ==, second->offset);
    g_assert_cmphex(seen.length, ==, second->used_length);
    free_block(second);
    free_block(first);
}

static void test_d4_rearm_although_already_pending(void)
{
    RAMBlock *block = new_block("pending", 200);

    block->bmap = new_bmap(block);
    bitmap_fill(block->bmap, 200);
    mark_page(block, 130);
    memset(&seen, 0, sizeof(seen));
    g_assert_cmpuint(physical_memory_sync_dirty_bitmap(block), ==, 0); /* nothing new... */
    g_assert_cmpuint(seen.rearms, ==, 1);                              /* ...and still */
    free_block(block);
}

static void test_d4_one_rearm_per_range(void)
{
    RAMBlock *block = new_block("many", 3 * DIRTY_MEMORY_BLOCK_PAGES / 2);

    block->bmap = new_bmap(block);
    for (uint64_t page = 0; page < 3 * DIRTY_MEMORY_BLOCK_PAGES / 2; page += 999) {
        mark_page(block, page);
    }
    memset(&seen, 0, sizeof(seen));
    physical_memory_sync_dirty_bitmap(block);
    g_assert_cmpuint(seen.rearms, ==, 1);
    physical_memory_sync_dirty_bitmap(block); /* nothing to clear: nothing to withdraw */
    g_assert_cmpuint(seen.rearms, ==, 1);
    free_block(block);
}

static unsigned clears;
static MemoryRegionSection last_clear;

static void count_log_clear(MemoryListener *l, MemoryRegionSection *section)
{
    clears++;
    last_clear = *section;
}

static void test_d4_remote_log_is_cleared_once_per_range(void)
{
    MemoryListener listener = {.name = "remote", .log_clear = count_log_clear};
    MemoryRegion mr;

    g_assert_true(memory_region_init_ram(&mr, NULL, "remote", 1024 * PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x80000000, &mr);
    memory_listener_register(&listener, &address_space_memory);
    clears = 0;
    physical_memory_set_dirty_range(mr.ram_block->offset, 1024 * PAGE, 1 << MIGRATION);
    physical_memory_test_and_clear_dirty(mr.ram_block->offset + 100 * PAGE, 500 * PAGE, MIGRATION, NULL);
    g_assert_cmpuint(clears, ==, 1);
    g_assert_cmphex(last_clear.offset_within_address_space, ==, 0x80000000 + 100 * PAGE);
    g_assert_cmphex(last_clear.offset_within_region, ==, 100 * PAGE);
    g_assert_cmphex(last_clear.size, ==, 500 * PAGE);
    memory_listener_unregister(&listener);
    memory_region_del_subregion(get_system_memory(), &mr);
    memory_region_destroy(&mr);
}

/* --- D5 --- */

static void test_d5_mask_names_only_consumers(void)
{
    MemoryRegion mr;

    g_assert_true(memory_region_init_ram(&mr, NULL, "d5", 8 * PAGE, NULL));
    g_assert_cmphex(memory_region_is_logging(&mr), ==, 0);
    memory_region_set_log(&mr, true, DIRTY_MEMORY_VGA);
    g_assert_cmphex(memory_region_is_logging(&mr), ==, 1 << DIRTY_MEMORY_VGA);
    memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, NULL);
    memory_global_dirty_log_start(GLOBAL_DIRTY_DIRTY_RATE, NULL);
    g_assert_cmphex(memory_region_is_logging(&mr), ==, 1 << DIRTY_MEMORY_VGA | 1 << MIGRATION);
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
    g_assert_cmphex(memory_region_is_logging(&mr), ==, 1 << DIRTY_MEMORY_VGA | 1 << MIGRATION);
    memory_global_dirty_log_stop(GLOBAL_DIRTY_DIRTY_RATE);
    memory_region_set_log(&mr, false, DIRTY_MEMORY_VGA);
    g_assert_cmphex(memory_region_is_logging(&mr), ==, 0);
    memory_region_destroy(&mr);
}

static void test_d5_write_without_consumer_marks_nothing(void)
{
    MemoryRegion mr;

    g_assert_true(memory_region_init_ram(&mr, NULL, "d5", 8 * PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x80000000, &mr);
    address_space_write(&address_space_memory, 0x80000000, "x", 1);
    g_assert_cmpuint(physical_memory_count_dirty(mr.ram_block->offset, 8 * PAGE, MIGRATION), ==, 0);
    g_assert_cmpuint(physical_memory_count_dirty(mr.ram_block->offset, 8 * PAGE, DIRTY_MEMORY_VGA), ==, 0);
    memory_region_del_subregion(get_system_memory(), &mr);
    memory_region_destroy(&mr);
}

static void test_start_withdraws_fast_stores(void)
{
    RAMBlock *block = new_block("start", 8);

    mark_page(block, 3); /* left over from earlier */
    memset(&seen, 0, sizeof(seen));
    memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, NULL);
    g_assert_cmpstr(seen.order, ==, "rq");
    g_assert_cmpuint(physical_memory_count_dirty(block->offset, 8 * PAGE, MIGRATION), ==, 0);
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
    free_block(block);
}

static void test_memory_that_appears_while_logging_is_dirty(void)
{
    RAMBlock *block;

    memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, NULL);
    block = new_block("late", 70);
    g_assert_cmpuint(physical_memory_count_dirty(block->offset, 70 * PAGE, MIGRATION), ==, 70);
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
    free_block(block);
}

/* --- D6 --- */

#define D6_MARKS 200000

typedef struct Marker {
    RAMBlock *block;
    uint64_t pages;
    uint32_t started;
} Marker;

static void *mark_steadily(void *opaque)
{
    Marker *m = opaque;

    atomic_store_release(&m->started, 1);
    for (uint64_t i = 0; i < D6_MARKS; i++) {
        mark_page(m->block, i * 7919 % m->pages);
    }
    return NULL;
}

static void test_d6_growth_loses_no_mark(void)
{
    RAMBlock *blocks[12] = {new_block("grow0", 50021)};
    Marker marker = {blocks[0], 50021};
    GThread *thread;
    uint64_t taken = 0;

    blocks[0]->bmap = new_bmap(blocks[0]);
    thread = g_thread_new("marker", mark_steadily, &marker);
    while (!atomic_load_acquire(&marker.started)) {
        g_thread_yield();
    }
    for (unsigned i = 1; i < G_N_ELEMENTS(blocks); i++) { /* each needs one more piece of bitmap */
        g_autofree char *name = g_strdup_printf("grow%u", i);

        blocks[i] = new_block(name, DIRTY_MEMORY_BLOCK_PAGES - 13);
        taken += physical_memory_sync_dirty_bitmap(blocks[0]);
    }
    g_thread_join(thread);
    taken += physical_memory_sync_dirty_bitmap(blocks[0]);
    g_assert_cmpuint(taken, ==, 50021); /* 7919 is prime to it: every page was marked */
    g_assert_true(bitmap_full(blocks[0]->bmap, 50021));
    for (unsigned i = 0; i < G_N_ELEMENTS(blocks); i++) {
        free_block(blocks[i]);
    }
}

/* Each mark that comes after a take is seen by a later one: nothing vanishes between the two. */
typedef struct Race {
    RAMBlock *block;
    uint64_t data[256]; /* atomics: what the "pages" hold */
    uint32_t done;
} Race;

static void *write_and_mark(void *opaque)
{
    Race *race = opaque;
    uint32_t seed = 1;

    for (unsigned i = 0; i < 100000; i++) {
        unsigned page = (seed = seed * 1664525 + 1013904223) >> 24;

        atomic_set(&race->data[page], i + 1);
        mark_page(race->block, page);
    }
    atomic_store_release(&race->done, 1);
    return NULL;
}

static void test_d1_racing_writer_is_copied_in_the_end(void)
{
    Race race = {.block = new_block("race", 256)};
    GThread *thread = g_thread_new("writer", write_and_mark, &race);
    uint64_t copy[256] = {0};
    bool last = false;

    race.block->bmap = new_bmap(race.block);
    for (;;) {
        physical_memory_sync_dirty_bitmap(race.block);
        for (uint64_t page = 0; (page = find_next_bit(race.block->bmap, 256, page)) < 256; page++) {
            clear_bit(page, race.block->bmap);
            copy[page] = atomic_read(&race.data[page]);
        }
        if (last) {
            break;
        }
        last = atomic_load_acquire(&race.done);
    }
    g_thread_join(thread);
    g_assert_cmpmem(copy, sizeof(copy), race.data, sizeof(copy));
    free_block(race.block);
}

/* --- translated code --- */

static void test_write_drops_translated_code_only(void)
{
    MemoryRegion mr;
    ram_addr_t base;

    g_assert_true(memory_region_init_ram(&mr, NULL, "code", 8 * PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x80000000, &mr);
    base = mr.ram_block->offset;
    physical_memory_enable_code_log();
    memset(&seen, 0, sizeof(seen));
    address_space_write(&address_space_memory, 0x80000000 + 2 * PAGE, "x", 1);
    g_assert_cmpuint(seen.invalidations, ==, 0);
    physical_memory_test_and_clear_dirty(base + 2 * PAGE, PAGE, DIRTY_MEMORY_CODE, NULL);
    address_space_write(&address_space_memory, 0x80000000 + 2 * PAGE + 8, "xyz", 3);
    g_assert_cmpuint(seen.invalidations, ==, 1);
    g_assert_cmphex(seen.start, ==, base + 2 * PAGE + 8);
    g_assert_cmphex(seen.length, ==, 3);
    /* the translator owns the bit (D3) */
    g_assert_false(physical_memory_get_dirty_flag(base + 2 * PAGE, DIRTY_MEMORY_CODE));
    memory_region_del_subregion(get_system_memory(), &mr);
    memory_region_destroy(&mr);
}

/* --- against a model --- */

#define MODEL_BLOCKS 4

typedef struct Model {
    RAMBlock *block;
    uint64_t pages;
    bool *dirty, *pending;
} Model;

static void model_mark(Model *m, GRand *rand)
{
    uint64_t start = g_rand_int_range(rand, 0, m->pages * PAGE);
    uint64_t length = g_rand_int_range(rand, 1, 300 * PAGE);

    length = MIN(length, m->pages * PAGE - start);
    physical_memory_set_dirty_range(m->block->offset + start, length, 1 << MIGRATION);
    for (uint64_t page = start / PAGE; page <= (start + length - 1) / PAGE; page++) {
        m->dirty[page] = true;
    }
}

static void model_take(Model *m, GRand *rand)
{
    uint64_t first = g_rand_int_range(rand, 0, m->pages);
    uint64_t n = g_rand_int_range(rand, 1, m->pages - first + 1);
    uint64_t expected = 0, gained;
    bool any = false;

    for (uint64_t page = first; page < first + n; page++) {
        any |= m->dirty[page];
        expected += m->dirty[page] && !m->pending[page];
        m->pending[page] |= m->dirty[page];
        m->dirty[page] = false;
    }
    memset(&seen, 0, sizeof(seen));
    gained = physical_memory_test_and_clear_dirty(m->block->offset + first * PAGE, n * PAGE, MIGRATION,
                                                  m->block->bmap);
    g_assert_cmpuint(gained, ==, expected);
    g_assert_cmpuint(seen.rearms, ==, any);
    if (any) {
        g_assert_cmphex(seen.start, ==, m->block->offset + first * PAGE);
        g_assert_cmphex(seen.length, ==, n * PAGE);
    }
}

static void model_check(Model *m)
{
    for (uint64_t page = 0; page < m->pages; page++) {
        g_assert_cmpint(physical_memory_get_dirty_flag(m->block->offset + page * PAGE, MIGRATION), ==,
                        m->dirty[page]);
        g_assert_cmpint(test_bit(page, m->block->bmap), ==, m->pending[page]);
    }
}

static void test_random_work_equals_model(void)
{
    static const uint64_t sizes[MODEL_BLOCKS] = {1, 63, 1000, 4097};
    g_autoptr(GRand) rand = g_rand_new_with_seed(2025);
    Model models[MODEL_BLOCKS];

    for (unsigned i = 0; i < MODEL_BLOCKS; i++) {
        g_autofree char *name = g_strdup_printf("model%u", i);

        models[i] =
            (Model){new_block(name, sizes[i]), sizes[i], g_new0(bool, sizes[i]), g_new0(bool, sizes[i])};
        models[i].block->bmap = new_bmap(models[i].block);
        physical_memory_clear_dirty(models[i].block->offset, sizes[i] * PAGE, MIGRATION);
    }
    for (unsigned step = 0; step < 2000; step++) {
        Model *m = &models[g_rand_int_range(rand, 0, MODEL_BLOCKS)];

        if (g_rand_boolean(rand)) {
            model_mark(m, rand);
        } else {
            model_take(m, rand);
        }
        if (step % 100 == 99) {
            model_check(m);
        }
    }
    for (unsigned i = 0; i < MODEL_BLOCKS; i++) {
        model_check(&models[i]);
        g_free(models[i].dirty);
        g_free(models[i].pending);
        free_block(models[i].block);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    memory_init();
    physical_memory_set_dirty_listener(&fake_accel);
    g_test_add_func("/physmem/D1/write-marks-before-it-returns", test_d1_write_marks_before_it_returns);
    g_test_add_func("/physmem/D1/racing-writer-is-copied-in-the-end",
                    test_d1_racing_writer_is_copied_in_the_end);
    g_test_add_func("/physmem/D2/snapshot-rearms-then-quiesces", test_d2_snapshot_rearms_then_quiesces);
    g_test_add_func("/physmem/D3/taking-leaves-other-clients-alone",
                    test_d3_taking_leaves_other_clients_alone);
    g_test_add_func("/physmem/D4/rearm-is-at-the-true-address", test_d4_rearm_is_at_the_true_address);
    g_test_add_func("/physmem/D4/rearm-although-already-pending", test_d4_rearm_although_already_pending);
    g_test_add_func("/physmem/D4/one-rearm-per-range", test_d4_one_rearm_per_range);
    g_test_add_func("/physmem/D4/remote-log-is-cleared-once-per-range",
                    test_d4_remote_log_is_cleared_once_per_range);
    g_test_add_func("/physmem/D5/mask-names-only-consumers", test_d5_mask_names_only_consumers);
    g_test_add_func("/physmem/D5/write-without-consumer-marks-nothing",
                    test_d5_write_without_consumer_marks_nothing);
    g_test_add_func("/physmem/log-start/withdraws-fast-stores", test_start_withdraws_fast_stores);
    g_test_add_func("/physmem/log-start/memory-that-appears-is-dirty",
                    test_memory_that_appears_while_logging_is_dirty);
    g_test_add_func("/physmem/D6/growth-loses-no-mark", test_d6_growth_loses_no_mark);
    g_test_add_func("/physmem/take-dirty/random-work-equals-model", test_random_work_equals_model);
    g_test_add_func("/physmem/code/write-drops-translated-code-only", test_write_drops_translated_code_only);
    return g_test_run();
}
