/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's side of guest memory: bitmaps, syncs, and the search for the next page to send.  See ram.h. */
#include "ram.h"

#include <string.h>

#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/counters.h"
#include "util/error.h"
#include "util/file.h"
#include "util/trace.h"

/* A run is sent between two looks at rate limit and cancel. */
#define RUN_PAGES 64

TRACE_EVENT(migration_sync, "sync %" PRIu64 ": %" PRIu64 " pages gained, %" PRIu64 " to send, took %" PRId64 " us");
COUNTER(migration_syncs, "times migration took the dirty bits of all RAM");

/* --- blocks --- */

/* Pins the block and gives it bitmaps.  Big lock. */
static bool add_block(RamState *rs, RAMBlock *block, GError **error)
{
    uint64_t pages = ram_block_pages(block), max_pages = DIV_ROUND_UP(block->max_length, TARGET_PAGE_SIZE);
    unsigned long *bmap = bitmap_try_new(max_pages);
    unsigned long *shadow = rs->fixed_ram ? bitmap_try_new(max_pages) : NULL;

    if (!bmap || (rs->fixed_ram && !shadow) || !ram_block_try_ref(block)) {
        g_free(bmap);
        g_free(shadow);
        return fail(error, "no memory for the dirty bitmap of RAM '%s'", block->idstr);
    }
    bitmap_set(bmap, 0, pages);
    block->shadow_bmap = shadow;
    rcu_assign_pointer(block->bmap, bmap); /* pairs with readers' rcu_dereference() */
    g_ptr_array_add(rs->blocks, block);
    g_array_append_val(rs->lengths, block->used_length);
    rs->dirty_pages += pages;
    atomic_set(&rs->stats->total, rs->stats->total + block->used_length);
    return true;
}

static bool is_pinned(const RamState *rs, const RAMBlock *block)
{
    return g_ptr_array_find(rs->blocks, block, NULL);
}

static bool add_new_blocks(RamState *rs, bool *changed, GError **error)
{
    RAMBlock *block;

    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        if (is_pinned(rs, block)) {
            continue;
        }
        *changed = true;
        if (!add_block(rs, block, error)) {
            return false;
        }
    }
    rs->list_version = ram_list_version();
    return true;
}

bool ram_setup(RamState *rs, StreamWriter *writer, bool fixed_ram, RamStats *stats, GError **error)
{
    bool changed;

    memset(rs, 0, sizeof(*rs));
    rs->writer = writer;
    rs->fixed_ram = fixed_ram;
    rs->stats = stats;
    rs->blocks = g_ptr_array_new();
    rs->lengths = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    /* logged from here on; the first sync's quiesce comes before the first page is read */
    if (!memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, error)) {
        g_clear_pointer(&rs->blocks, g_ptr_array_unref);
        g_clear_pointer(&rs->lengths, g_array_unref);
        return false;
    }
    return add_new_blocks(rs, &changed, error);
}

static bool block_still_there(RAMBlock *wanted)
{
    RAMBlock *block;

    RAMBLOCK_FOREACH (block) {
        if (block == wanted) {
            return true;
        }
    }
    return false;
}

bool ram_check_blocks(RamState *rs, bool *changed, GError **error)
{
    *changed = false;
    for (unsigned i = 0; i < rs->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, i);

        if (rs->list_version != ram_list_version() && !block_still_there(block)) {
            return fail(error, "RAM '%s' was removed while it was being migrated", block->idstr);
        }
        if (block->used_length != g_array_index(rs->lengths, uint64_t, i)) {
            return fail(error, "RAM '%s' changed its size while it was being migrated", block->idstr);
        }
    }
    if (rs->list_version == ram_list_version()) {
        return true;
    }
    if (!add_new_blocks(rs, changed, error)) {
        return false;
    }
    if (*changed && rs->fixed_ram) {
        return fail(error, "RAM was added while the machine was being saved, and a fixed-ram file has no place for it");
    }
    return true;
}

static void free_bitmaps(RAMBlock *block)
{
    g_clear_pointer(&block->bmap, g_free);
    g_clear_pointer(&block->shadow_bmap, g_free);
}

void ram_cleanup(RamState *rs)
{
    if (!rs->blocks) {
        return;
    }
    bql_lock();
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
    bql_unlock();
    synchronize_rcu(); /* who looked at a bitmap is done with it */
    for (unsigned i = 0; i < rs->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, i);

        free_bitmaps(block);
        ram_block_unref(block);
    }
    g_clear_pointer(&rs->blocks, g_ptr_array_unref);
    g_clear_pointer(&rs->lengths, g_array_unref);
}

/* --- syncs --- */

static void update_dirty_rate(RamState *rs, uint64_t gained, int64_t now)
{
    int64_t elapsed = now - rs->last_sync_ns;

    if (rs->last_sync_ns && elapsed > 0) {
        atomic_set(&rs->stats->dirty_pages_rate, (uint64_t)((double)gained * 1e9 / (double)elapsed));
    }
    rs->last_sync_ns = now;
    rs->dirtied_last_sync = gained;
}

void migration_bitmap_sync(RamState *rs)
{
    bool locked = bql_locked();
    int64_t start = g_get_monotonic_time() * 1000, end;
    uint64_t gained = 0;

    if (!locked) {
        bql_lock();
    }
    memory_global_dirty_log_sync();
    if (!locked) {
        bql_unlock();
    }
    for (unsigned i = 0; i < rs->blocks->len; i++) {
        gained += physical_memory_sync_dirty_bitmap(g_ptr_array_index(rs->blocks, i));
    }
    physical_memory_quiesce(); /* D2: no store that a cleared bit speaks of is still under way */
    rs->dirty_pages += gained;
    end = g_get_monotonic_time() * 1000;
    rs->last_sync_took_ns = end - start;
    update_dirty_rate(rs, gained, end);
    atomic_set(&rs->stats->sync_count, rs->stats->sync_count + 1);
    atomic_set(&rs->stats->remaining_pages, rs->dirty_pages);
    counter_inc(migration_syncs);
    trace(migration_sync, rs->stats->sync_count, gained, rs->dirty_pages, rs->last_sync_took_ns / 1000);
}

uint64_t ram_remaining_bytes(const RamState *rs)
{
    return rs->dirty_pages * TARGET_PAGE_SIZE;
}

/* --- sending --- */

static void save_list(RamState *rs, unsigned first)
{
    uint64_t total = 0;

    for (unsigned i = first; i < rs->blocks->len; i++) {
        total += ((RAMBlock *)g_ptr_array_index(rs->blocks, i))->used_length;
    }
    writer_be64(rs->writer, total | RAM_SAVE_MEM_SIZE);
    for (unsigned i = first; i < rs->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, i);

        writer_counted_string(rs->writer, block->idstr);
        writer_be64(rs->writer, block->used_length);
        if (rs->fixed_ram) {
            fixed_ram_save_setup(rs->writer, block);
        }
    }
    rs->blocks_listed = rs->blocks->len;
}

bool ram_save_setup(RamState *rs, GError **error)
{
    if (rs->fixed_ram && !fixed_ram_check_space(rs->writer->channel, rs->blocks, error)) {
        return false;
    }
    section_begin(rs->writer, SECTION_START, ram_section.id, ram_section.name, 0, (uint32_t)ram_section.version);
    save_list(rs, 0);
    writer_be64(rs->writer, RAM_SAVE_EOS);
    section_end(rs->writer, ram_section.id);
    writer_flush(rs->writer);
    return writer_ok(rs->writer, error);
}

void ram_save_joined(RamState *rs)
{
    if (rs->blocks_listed < rs->blocks->len) {
        save_list(rs, rs->blocks_listed);
        rs->last_sent = NULL;
    }
}

void ram_part_begin(RamState *rs, uint8_t type)
{
    section_begin(rs->writer, type, ram_section.id, NULL, 0, 0);
    rs->last_sent = NULL;
    ram_save_joined(rs);
}

void ram_part_end(RamState *rs)
{
    writer_be64(rs->writer, RAM_SAVE_EOS);
    section_end(rs->writer, ram_section.id);
}

static void record_head(RamState *rs, RAMBlock *block, uint64_t page, uint64_t flag)
{
    bool again = rs->last_sent == block;

    writer_be64(rs->writer, page * TARGET_PAGE_SIZE | flag | (again ? RAM_SAVE_CONTINUE : 0));
    if (!again) {
        writer_counted_string(rs->writer, block->idstr);
        rs->last_sent = block;
    }
}

static void stream_save_run(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    uint64_t zero = 0;

    for (uint64_t i = page; i < page + n; i++) {
        const uint8_t *host = block->host + i * TARGET_PAGE_SIZE;

        if (is_zero(host, TARGET_PAGE_SIZE)) {
            record_head(rs, block, i, RAM_SAVE_ZERO);
            writer_u8(rs->writer, 0);
            zero++;
        } else {
            record_head(rs, block, i, RAM_SAVE_PAGE);
            writer_guest_memory(rs->writer, host, TARGET_PAGE_SIZE);
        }
    }
    atomic_add_relaxed(&rs->stats->duplicate, zero);
    atomic_add_relaxed(&rs->stats->normal, n - zero);
}

/* The next run of pages to send, from the cursor on and around. */
static RAMBlock *find_dirty_run(RamState *rs, uint64_t *page, uint64_t *n)
{
    if (!rs->dirty_pages) {
        return NULL;
    }
    for (unsigned tried = 0; tried <= rs->blocks->len; tried++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, rs->cursor_block);
        uint64_t pages = ram_block_pages(block);
        uint64_t start = find_next_bit(block->bmap, pages, rs->cursor_page);

        if (start < pages) {
            *page = start;
            *n = find_next_zero_bit(block->bmap, MIN(pages, start + RUN_PAGES), start) - start;
            rs->cursor_page = start + *n;
            return block;
        }
        rs->cursor_page = 0;
        rs->cursor_block = (rs->cursor_block + 1) % rs->blocks->len;
    }
    return NULL;
}

bool ram_save_block(RamState *rs)
{
    uint64_t page, n, before = rs->writer->position;
    RAMBlock *block = find_dirty_run(rs, &page, &n);

    if (!block) {
        return false;
    }
    bitmap_clear(block->bmap, page, n); /* before the pages are read: a later store sets its bit for the next sync */
    rs->dirty_pages -= n;
    if (rs->fixed_ram) {
        fixed_ram_save_run(rs, block, page, n);
    } else {
        stream_save_run(rs, block, page, n);
        before = rs->writer->position - before;
        atomic_add_relaxed(&rs->stats->transferred, before);
        atomic_add_relaxed(rs->switchover ? &rs->stats->downtime_bytes : &rs->stats->precopy_bytes, before);
    }
    atomic_set(&rs->stats->remaining_pages, rs->dirty_pages);
    return true;
}

void ram_save_finish(RamState *rs)
{
    for (unsigned i = 0; rs->fixed_ram && i < rs->blocks->len; i++) {
        fixed_ram_save_bitmap(rs->writer, g_ptr_array_index(rs->blocks, i));
    }
}
