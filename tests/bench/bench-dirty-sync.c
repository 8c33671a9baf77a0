/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long one sync of the migration bitmap takes over 256 GiB of guest memory, which is reserved and never
 * touched.
 *
 * "aligned": one block; dirty log and migration bitmap have the same word boundaries.  "misaligned": blocks
 * of a size that is no multiple of 64 pages.  "shifted": ranges that start in the middle of a word of the log
 * and go into a map of their own from bit 0 on, as display snapshots do: each word is split in two.
 *
 * Then the same sync while others mark pages at full speed, and with listeners that have a log of their own (vhost-like)
 * and are to clear it: they are called once for each range that had dirty pages, not for each page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "system/memory.h"
#include "system/physmem.h"
#include "system/runstate.h"

#define GIB    (UINT64_C(1) << 30)
#define TOTAL  (256 * GIB)
#define ROUNDS 5
#define MAX_BLOCKS    16
#define MAX_LISTENERS 16
#define MAX_WRITERS   4

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

typedef struct Layout {
    const char *name;
    unsigned n;
    bool shifted;
    RAMBlock *blocks[MAX_BLOCKS];
    MemoryRegion regions[MAX_BLOCKS];
} Layout;

static void make_layout(Layout *l, uint64_t odd_pages)
{
    hwaddr at = 0;

    for (unsigned i = 0; i < l->n; i++) {
        g_autofree char *name = g_strdup_printf("%s%u", l->name, i);
        GError *error = NULL;

        l->blocks[i] = ram_block_new_anonymous(name, TOTAL / l->n - odd_pages * TARGET_PAGE_SIZE, 0,
                                               RAM_MIGRATABLE | RAM_NORESERVE, &error);
        if (!l->blocks[i]) {
            g_printerr("%s\n", error->message);
            exit(1);
        }
        l->blocks[i]->bmap = bitmap_new(l->blocks[i]->used_length >> TARGET_PAGE_BITS);
        memory_region_init_ram_block(&l->regions[i], NULL, name, l->blocks[i]);
        memory_region_add_subregion(get_system_memory(), at, &l->regions[i]);
        at += l->blocks[i]->used_length;
    }
}

static void free_layout(Layout *l)
{
    for (unsigned i = 0; i < l->n; i++) {
        g_clear_pointer(&l->blocks[i]->bmap, g_free);
        memory_region_del_subregion(get_system_memory(), &l->regions[i]);
        memory_region_destroy(&l->regions[i]);
    }
    rcu_barrier();
}

static void mark_random(Layout *l, uint64_t pages, GRand *rand)
{
    for (uint64_t i = 0; i < pages; i++) {
        RAMBlock *block = l->blocks[g_rand_int_range(rand, 0, l->n)];
        uint64_t page = ((uint64_t)g_rand_int(rand) * (block->used_length >> TARGET_PAGE_BITS)) >> 32;

        physical_memory_set_dirty_flag(block->offset + page * TARGET_PAGE_SIZE, DIRTY_MEMORY_MIGRATION);
    }
}

static uint64_t sync_all(Layout *l)
{
    uint64_t skip = l->shifted ? 37 * TARGET_PAGE_SIZE : 0;
    uint64_t pages = 0;

    for (unsigned i = 0; i < l->n; i++) {
        RAMBlock *b = l->blocks[i];

        pages += l->shifted ? physical_memory_take_dirty_to(b->offset + skip, b->used_length - skip,
                                                            DIRTY_MEMORY_MIGRATION, b->bmap)
                            : physical_memory_sync_dirty_bitmap(b);
    }
    return pages;
}

/* The best of some rounds. */
static void measure(Layout *l, const char *what, uint64_t pages)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    double best = 1e9;
    uint64_t found = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        double start;

        for (unsigned i = 0; i < l->n; i++) {
            bitmap_zero(l->blocks[i]->bmap, l->blocks[i]->used_length >> TARGET_PAGE_BITS);
        }
        mark_random(l, pages, rand);
        start = now_ms();
        found = sync_all(l);
        best = MIN(best, now_ms() - start);
    }
    printf("%-12s %-12s %10" PRIu64 " pages %9.3f ms\n", l->name, what, found, best);
}

/* --- while others mark pages --- */

static uint32_t writers_end; /* atomic */

static gpointer mark_until_end(gpointer opaque)
{
    Layout *l = opaque;
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);

    while (!atomic_read(&writers_end)) {
        mark_random(l, 100, rand);
    }
    return NULL;
}

static void measure_with_writers(Layout *l, unsigned n)
{
    g_autofree char *what = g_strdup_printf("%u writers", n);
    GThread *threads[MAX_WRITERS];

    atomic_set(&writers_end, 0);
    for (unsigned i = 0; i < n; i++) {
        threads[i] = g_thread_new("writer", mark_until_end, l);
    }
    measure(l, what, 2600000);
    atomic_set(&writers_end, 1);
    for (unsigned i = 0; i < n; i++) {
        g_thread_join(threads[i]);
    }
    sync_all(l); /* nothing is left for the next measurement */
}

/* --- listeners with a log of their own --- */

static uint64_t clear_calls;

static void count_clear(MemoryListener *listener, MemoryRegionSection *section)
{
    clear_calls++;
}

static void measure_with_listeners(Layout *l, unsigned n)
{
    g_autofree char *what = g_strdup_printf("%u listeners", n);
    MemoryListener listeners[MAX_LISTENERS];

    for (unsigned i = 0; i < n; i++) {
        listeners[i] = (MemoryListener){.name = "bench", .log_clear = count_clear};
        memory_listener_register(&listeners[i], &address_space_memory);
    }
    clear_calls = 0;
    measure(l, what, (TOTAL >> TARGET_PAGE_BITS) / 100);
    printf("%-12s %-12s %10.1f log_clear calls a sync, %u blocks\n", l->name, what, (double)clear_calls / ROUNDS, l->n);
    for (unsigned i = 0; i < n; i++) {
        memory_listener_unregister(&listeners[i]);
    }
}

int main(void)
{
    static Layout layouts[] = {
        {"aligned", 1, false, {0}}, {"misaligned", 16, false, {0}}, {"shifted", 16, true, {0}}};
    uint64_t all = TOTAL >> TARGET_PAGE_BITS;

    bql_init();
    bql_lock();
    memory_init();
    for (unsigned i = 0; i < G_N_ELEMENTS(layouts); i++) {
        Layout *l = &layouts[i];

        make_layout(l, i ? 13 : 0);
        measure(l, "0 %", 0);
        measure(l, "0.01 %", all / 10000);
        measure(l, "1 %", all / 100);
        measure(l, "10 GB/s 1 s", 2600000);
        measure(l, "10 %", all / 10);
        measure_with_writers(l, 1);
        measure_with_writers(l, MAX_WRITERS);
        measure_with_listeners(l, 1);
        measure_with_listeners(l, MAX_LISTENERS);
        free_layout(l);
    }
    return 0;
}
