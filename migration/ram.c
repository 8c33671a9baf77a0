/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's side of guest memory: bitmaps, syncs, and the search for the next page to send.  See ram.h. */
#include "ram.h"
#include "dirty-map.h"
#include "multifd.h"

#include <string.h>

#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/counters.h"
#include "util/error.h"
#include "util/file.h"
#include "util/trace.h"

/* A run is sent between two looks at rate limit and cancel; in a file it is one write. */
#define RUN_PAGES       64
#define RUN_PAGES_FIXED 512

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
    block->page_sums = NULL;
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

static void init(RamState *rs, StreamWriter *writer, bool fixed_ram, RamStats *stats)
{
    memset(rs, 0, sizeof(*rs));
    rs->writer = writer;
    rs->fixed_ram = fixed_ram;
    rs->stats = stats;
    rs->blocks = g_ptr_array_new();
    rs->lengths = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    pristine_look_init(&rs->pristine, false);
}

bool ram_setup(RamState *rs, StreamWriter *writer, bool fixed_ram, RamStats *stats, GError **error)
{
    bool changed;

    init(rs, writer, fixed_ram, stats);
    /* logged from here on; the first sync's quiesce comes before the first page is read */
    if (!memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, error)) {
        g_clear_pointer(&rs->blocks, g_ptr_array_unref);
        g_clear_pointer(&rs->lengths, g_array_unref);
        return false;
    }
    rs->logged = true;
    return add_new_blocks(rs, &changed, error);
}

bool ram_setup_unlogged(RamState *rs, StreamWriter *writer, bool fixed_ram, RamStats *stats, GError **error)
{
    bool changed;

    init(rs, writer, fixed_ram, stats);
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
    g_clear_pointer(&block->page_sums, g_free);
}

void ram_cleanup(RamState *rs)
{
    if (!rs->blocks) {
        return;
    }
    if (rs->logged) {
        bql_lock();
        memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
        bql_unlock();
    }
    synchronize_rcu(); /* who looked at a bitmap is done with it */
    for (unsigned i = 0; i < rs->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, i);

        free_bitmaps(block);
        ram_block_unref(block);
    }
    g_clear_pointer(&rs->blocks, g_ptr_array_unref);
    g_clear_pointer(&rs->lengths, g_array_unref);
    pristine_look_clear(&rs->pristine);
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

/* Not while the machine stands still for the switchover: it would stand longer. */
static void note_dirty_map(RamState *rs)
{
    if (!rs->stats->sync_count) {
        dirty_map_begin();
    } else if (runstate_is_running()) {
        dirty_map_sample();
    }
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
    note_dirty_map(rs);
    for (unsigned i = 0; i < rs->blocks->len; i++) {
        gained += physical_memory_sync_dirty_bitmap(g_ptr_array_index(rs->blocks, i));
    }
    physical_memory_quiesce(); /* D2: no store that a cleared bit speaks of is still under way */
    pristine_forget(&rs->pristine);
    rs->dirty_pages += gained;
    rs->barrier_due = rs->multifd != NULL;
    if (rs->xbzrle) {
        xbzrle_cache_new_pass(rs->xbzrle);
    }
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
        if (rs->postcopy && block->page_size > TARGET_PAGE_SIZE) {
            writer_be64(rs->writer, block->page_size);
        }
        if (rs->fixed_ram) {
            fixed_ram_save_setup(&rs->fixed, rs->writer, block);
        }
    }
    rs->blocks_listed = rs->blocks->len;
}

/* Native fixed-ram files: what is to become the checksums. */
static bool make_page_sums(RamState *rs, GError **error)
{
    for (unsigned i = 0; rs->fixed.records && i < rs->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, i);

        block->page_sums = g_try_new0(uint64_t, ram_block_pages(block));
        if (!block->page_sums) {
            return fail(error, "no memory for the checksums of RAM '%s'", block->idstr);
        }
    }
    return true;
}

/* Takes *@error over to where everybody looks; a pointer, because the call that sets it is another argument. */
static bool multifd_ok(RamState *rs, bool ok, GError **error)
{
    if (!ok && !rs->writer->error) {
        rs->writer->error = g_steal_pointer(error);
    } else {
        g_clear_error(error);
    }
    return ok;
}

/* Inside a part: what is queued from here on arrives after what was queued before. */
static void barrier(RamState *rs)
{
    GError *error = NULL;

    if (!rs->barrier_due) {
        return;
    }
    rs->barrier_due = false;
    if (multifd_ok(rs, multifd_send_barrier(rs->multifd, &error), &error) && multifd_send_has_packets(rs->multifd)) {
        writer_be64(rs->writer, RAM_SAVE_MULTIFD_FLUSH);
        writer_flush(rs->writer); /* until it arrives the channels stand still */
    }
}

bool ram_save_setup(RamState *rs, GError **error)
{
    if (rs->fixed_ram && !make_page_sums(rs, error)) {
        return false;
    }
    if (rs->fixed_ram && !fixed_ram_check_space(rs->writer->channel, rs->blocks, error)) {
        return false;
    }
    section_begin(rs->writer, SECTION_START, ram_section.id, ram_section.name, 0, (uint32_t)ram_section.version);
    save_list(rs, 0);
    rs->barrier_due = rs->multifd != NULL;
    barrier(rs);
    writer_be64(rs->writer, RAM_SAVE_EOS);
    section_end(rs->writer, ram_section.id);
    writer_flush(rs->writer);
    return writer_ok(rs->writer, error);
}

void ram_save_joined(RamState *rs)
{
    if (rs->blocks_listed < rs->blocks->len) {
        save_list(rs, rs->blocks_listed);
        rs->barrier_due = rs->multifd != NULL; /* the channels may speak of the new blocks only after it */
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

static void write_head(StreamWriter *writer, RAMBlock **last, RAMBlock *block, uint64_t page, uint64_t flag)
{
    bool again = *last == block;

    writer_be64(writer, page * TARGET_PAGE_SIZE | flag | (again ? RAM_SAVE_CONTINUE : 0));
    if (!again) {
        writer_counted_string(writer, block->idstr);
        *last = block;
    }
}

static void record_head(RamState *rs, RAMBlock *block, uint64_t page, uint64_t flag)
{
    write_head(rs->writer, &rs->last_sent, block, page, flag);
}

void ram_write_pages(StreamWriter *writer, RAMBlock **last, RAMBlock *block, uint64_t page, uint64_t n, RamStats *stats)
{
    uint64_t zero = 0;

    for (uint64_t i = page; i < page + n; i++) {
        const uint8_t *host = block->host + i * TARGET_PAGE_SIZE;

        if (is_zero(host, TARGET_PAGE_SIZE)) {
            write_head(writer, last, block, i, RAM_SAVE_ZERO);
            writer_u8(writer, 0);
            zero++;
        } else {
            write_head(writer, last, block, i, RAM_SAVE_PAGE);
            writer_guest_memory(writer, host, TARGET_PAGE_SIZE);
        }
    }
    atomic_add_relaxed(&stats->duplicate, zero);
    atomic_add_relaxed(&stats->normal, n - zero);
}

/* In the first pass there is nothing to compare with, and all of memory would go through the cache. */
static bool use_xbzrle(const RamState *rs)
{
    return rs->xbzrle && rs->stats->sync_count > 1;
}

/* What goes into the cache is what is sent, byte for byte, even when the page changes meanwhile. */
static void save_delta(RamState *rs, RAMBlock *block, uint64_t page, const uint8_t *host)
{
    const uint8_t *data;
    size_t size;

    switch (xbzrle_cache_update(rs->xbzrle, block->offset + page * TARGET_PAGE_SIZE, host, &rs->stats->xbzrle, &data,
                                &size)) {
    case XBZRLE_SAME:
        break;
    case XBZRLE_DELTA:
        record_head(rs, block, page, RAM_SAVE_XBZRLE);
        writer_u8(rs->writer, 1);
        writer_be16(rs->writer, (uint16_t)size);
        writer_bytes(rs->writer, data, size);
        break;
    case XBZRLE_PAGE:
        record_head(rs, block, page, RAM_SAVE_PAGE);
        writer_bytes(rs->writer, data, TARGET_PAGE_SIZE);
        break;
    case XBZRLE_MISS:
        record_head(rs, block, page, RAM_SAVE_PAGE);
        writer_guest_memory(rs->writer, host, TARGET_PAGE_SIZE);
        break;
    }
}

static void save_deltas(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host)
{
    for (uint64_t i = 0; i < n; i++) {
        save_delta(rs, block, page + i, host + i * TARGET_PAGE_SIZE);
    }
}

/* The pages that the next record speaks of: one, or a run where runs are known. */
static uint64_t record_pages(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, uint64_t flag)
{
    if (!rs->runs) {
        record_head(rs, block, page, flag);
        return 1;
    }
    record_head(rs, block, page, flag | RAM_SAVE_RUN);
    writer_be32(rs->writer, (uint32_t)n);
    return n;
}

static void save_zeroes(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    for (uint64_t i = page; rs->xbzrle && i < page + n; i++) {
        xbzrle_cache_forget(rs->xbzrle, block->offset + i * TARGET_PAGE_SIZE);
    }
    while (n) {
        uint64_t done = record_pages(rs, block, page, n, RAM_SAVE_ZERO);

        writer_u8(rs->writer, 0);
        page += done;
        n -= done;
    }
}

static void save_pages(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host)
{
    while (n) {
        uint64_t done = record_pages(rs, block, page, n, RAM_SAVE_PAGE);

        writer_guest_memory(rs->writer, host, done * TARGET_PAGE_SIZE);
        page += done;
        host += done * TARGET_PAGE_SIZE;
        n -= done;
    }
}

static bool sends_as_zero(const RamState *rs, const uint8_t *host)
{
    return rs->zero_detection != ZERO_PAGE_DETECTION_NONE && is_zero(host, TARGET_PAGE_SIZE);
}

static void stream_save_run(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host)
{
    uint64_t end = page + n, zeroes = 0;

    while (page < end) {
        bool zero = sends_as_zero(rs, host);
        uint64_t same = 1;

        while (page + same < end && sends_as_zero(rs, host + same * TARGET_PAGE_SIZE) == zero) {
            same++;
        }
        if (zero) {
            save_zeroes(rs, block, page, same);
            zeroes += same;
        } else if (use_xbzrle(rs)) {
            save_deltas(rs, block, page, same, host);
        } else {
            save_pages(rs, block, page, same, host);
        }
        page += same;
        host += same * TARGET_PAGE_SIZE;
    }
    atomic_add_relaxed(&rs->stats->duplicate, zeroes);
    atomic_add_relaxed(&rs->stats->normal, n - zeroes);
}

/* The next run of pages to send, from the cursor on and around. */
static RAMBlock *find_dirty_run(RamState *rs, uint64_t *page, uint64_t *n)
{
    unsigned run_pages = rs->fixed_ram ? RUN_PAGES_FIXED : RUN_PAGES;

    if (!rs->dirty_pages) {
        return NULL;
    }
    for (unsigned tried = 0; tried <= rs->blocks->len; tried++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, rs->cursor_block);
        uint64_t pages = ram_block_pages(block);
        uint64_t start = find_next_bit(block->bmap, pages, rs->cursor_page);

        if (start < pages) {
            *page = start;
            *n = find_next_zero_bit(block->bmap, MIN(pages, start + run_pages), start) - start;
            rs->cursor_page = start + *n;
            return block;
        }
        rs->cursor_page = 0;
        rs->cursor_block = (rs->cursor_block + 1) % rs->blocks->len;
    }
    return NULL;
}

static void count_bytes(RamState *rs, uint64_t bytes)
{
    atomic_add_relaxed(&rs->stats->transferred, bytes);
    atomic_add_relaxed(rs->switchover ? &rs->stats->downtime_bytes : &rs->stats->precopy_bytes, bytes);
}

static void fixed_save_run(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host)
{
    FixedRamCounts counts = {0};

    if (!rs->writer->error) {
        fixed_ram_save_run(&rs->fixed, block, page, n, host, &counts, &rs->writer->error);
    }
    atomic_add_relaxed(&rs->stats->normal, counts.normal);
    atomic_add_relaxed(&rs->stats->duplicate, counts.zero);
    count_bytes(rs, counts.normal * TARGET_PAGE_SIZE);
}

static void multifd_save_run(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    GError *error = NULL;

    multifd_ok(rs, multifd_send_run(rs->multifd, block, page, n, &error), &error);
}

/* zero-page-detection=legacy: zero pages go into the main stream, the others to the channels. */
static void multifd_split_run(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    uint64_t end = page + n;

    while (page < end) {
        uint64_t stop = page;

        while (stop < end && !is_zero(block->host + stop * TARGET_PAGE_SIZE, TARGET_PAGE_SIZE)) {
            stop++;
        }
        if (stop > page) {
            multifd_save_run(rs, block, page, stop - page);
        } else {
            save_zeroes(rs, block, stop++, 1);
            atomic_add_relaxed(&rs->stats->duplicate, 1);
        }
        page = stop;
    }
}

/* @host: the bytes of the pages, in the block or (without multifd) a copy of them. */
static void save_run(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host)
{
    uint64_t before = rs->writer->position;

    if (rs->fixed_ram && !rs->multifd) {
        fixed_save_run(rs, block, page, n, host);
        return;
    }
    if (!rs->multifd) {
        stream_save_run(rs, block, page, n, host);
    } else if (rs->fixed_ram || rs->zero_detection != ZERO_PAGE_DETECTION_LEGACY) {
        multifd_save_run(rs, block, page, n);
    } else {
        multifd_split_run(rs, block, page, n);
    }
    count_bytes(rs, rs->writer->position - before);
}

uint64_t ram_run_alike(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, bool *pristine)
{
    n = pristine_run(&rs->pristine, block, page, n, pristine);
    rs->cursor_page = page + n;
    return n;
}

/* With multifd, too, they go into the main stream: the channels are for what has bytes. */
void ram_save_pristine(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    uint64_t before = rs->writer->position;

    if (rs->fixed_ram) {
        fixed_ram_save_zeroes(&rs->fixed, block, page, n);
    } else {
        save_zeroes(rs, block, page, n);
        count_bytes(rs, rs->writer->position - before);
    }
    atomic_add_relaxed(&rs->stats->duplicate, n);
    atomic_add_relaxed(&rs->stats->pristine, n);
}

bool ram_save_block(RamState *rs)
{
    uint64_t page, n;
    RAMBlock *block = find_dirty_run(rs, &page, &n);
    bool pristine;

    if (!block) {
        return false;
    }
    n = ram_run_alike(rs, block, page, n, &pristine);
    bitmap_clear(block->bmap, page, n); /* before the pages are read: a later store sets its bit for the next sync */
    rs->dirty_pages -= n;
    barrier(rs);
    if (pristine) {
        ram_save_pristine(rs, block, page, n);
    } else {
        save_run(rs, block, page, n, block->host + page * TARGET_PAGE_SIZE);
    }
    atomic_set(&rs->stats->remaining_pages, rs->dirty_pages);
    return true;
}

void ram_save_copy(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *copy)
{
    save_run(rs, block, page, n, copy);
}

void ram_save_wait(RamState *rs)
{
    GError *error = NULL;

    if (rs->multifd) {
        multifd_ok(rs, multifd_send_wait(rs->multifd, &error), &error);
    }
}

void ram_save_finish(RamState *rs)
{
    rs->barrier_due = rs->multifd != NULL;
    barrier(rs);
    ram_save_wait(rs);
    for (unsigned i = 0; rs->fixed_ram && !rs->writer->error && i < rs->blocks->len; i++) {
        fixed_ram_save_bitmap(&rs->fixed, g_ptr_array_index(rs->blocks, i), &rs->writer->error);
    }
}
