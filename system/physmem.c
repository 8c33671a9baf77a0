/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of RAM blocks: where each lies on the ram_addr_t line, finding them, changing their length.
 *
 * The list is changed under the big lock and read under RCU.  A block is complete, with its bits in the dirty
 * bitmaps, before it is published; who finds a block therefore finds its bits.
 */
#include "memory-internal.h"
#include "ramblock-internal.h"

#include <string.h>

#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(ram_block_add, "'%s' offset 0x%" PRIx64 " length 0x%" PRIx64 " host %p");
TRACE_EVENT(ram_block_remove, "'%s'");

#define BLOCK_ALIGN    (64 * TARGET_PAGE_SIZE)
#define RAM_ADDR_LIMIT (UINT64_C(1) << 62)

static RAMBlock *ram_list;    /* RCU; longest first */
static uint32_t list_version; /* any thread, atomic */

RAMBlock *ram_list_first(void)
{
    return rcu_dereference(ram_list);
}

uint32_t ram_list_version(void)
{
    return atomic_load_acquire(
        &list_version); /* pairs with list_changed(): a new number shows the new list */
}

static void list_changed(void)
{
    atomic_store_release(&list_version, list_version + 1);
}

ram_addr_t ram_list_end(void)
{
    RCU_READ_LOCK_GUARD();
    RAMBlock *block;
    ram_addr_t end = 0;

    RAMBLOCK_FOREACH (block) {
        end = MAX(end, block->offset + block->max_length);
    }
    return end;
}

uint64_t ram_bytes_total(void)
{
    RCU_READ_LOCK_GUARD();
    RAMBlock *block;
    uint64_t total = 0;

    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        total += block->used_length;
    }
    return total;
}

/* --- the line --- */

/* How many bytes are free from @start on. */
static uint64_t gap_at(ram_addr_t start)
{
    ram_addr_t next = RAM_ADDR_LIMIT;
    RAMBlock *block;

    RAMBLOCK_FOREACH (block) {
        if (start < block->offset + block->max_length) {
            if (start >= block->offset) {
                return 0;
            }
            next = MIN(next, block->offset);
        }
    }
    return next > start ? next - start : 0;
}

/* The smallest gap that fits, so that the line, and with it the bitmaps, stays short. */
static ram_addr_t find_place(uint64_t length)
{
    ram_addr_t best = RAM_ADDR_INVALID;
    uint64_t best_gap = UINT64_MAX, gap;
    RAMBlock *block;

    gap = gap_at(0);
    if (gap >= length) {
        best = 0;
        best_gap = gap;
    }
    RAMBLOCK_FOREACH (block) {
        ram_addr_t start = ROUND_UP(block->offset + block->max_length, BLOCK_ALIGN);

        gap = gap_at(start);
        if (gap >= length && gap < best_gap) {
            best = start;
            best_gap = gap;
        }
    }
    return best;
}

bool ram_list_insert(RAMBlock *block, GError **error)
{
    RAMBlock **link = &ram_list;

    if (ram_block_by_name(block->idstr)) {
        return fail(error, "there is already memory called '%s'", block->idstr);
    }
    block->offset = find_place(block->max_length);
    if (block->offset == RAM_ADDR_INVALID) {
        return fail(error, "no room for memory '%s'", block->idstr);
    }
    dirty_memory_extend(block->offset + block->max_length);
    dirty_memory_reset_range(block->offset, block->max_length);
    while (*link && (*link)->max_length >= block->max_length) {
        link = &(*link)->next;
    }
    block->next = *link;
    rcu_assign_pointer(*link, block);
    list_changed();
    trace(ram_block_add, block->idstr, block->offset, block->used_length, block->host);
    return true;
}

void ram_list_remove(RAMBlock *block)
{
    RAMBlock **link = &ram_list;

    while (*link && *link != block) {
        link = &(*link)->next;
    }
    if (*link) {
        rcu_assign_pointer(*link, block->next);
        list_changed();
        /* the next block at this place must not run the code of this one */
        dirty_memory_forget_code(block->offset, block->max_length);
        trace(ram_block_remove, block->idstr);
    }
}

/* --- finding --- */

RAMBlock *ram_block_by_name(const char *idstr)
{
    RAMBlock *block;

    RAMBLOCK_FOREACH (block) {
        if (!strcmp(block->idstr, idstr)) {
            return block;
        }
    }
    return NULL;
}

RAMBlock *ram_block_by_addr(ram_addr_t addr)
{
    RAMBlock *block;

    RAMBLOCK_FOREACH (block) {
        if (addr - block->offset < block->max_length) {
            return block;
        }
    }
    return NULL;
}

RAMBlock *ram_block_from_host(const void *ptr, ram_addr_t *offset)
{
    RAMBlock *block;

    RAMBLOCK_FOREACH (block) {
        uint64_t distance = (uintptr_t)ptr - (uintptr_t)block->host;

        if (distance < block->max_length) {
            if (offset) {
                *offset = distance;
            }
            return block;
        }
    }
    return NULL;
}

bool ram_block_offset_valid(const RAMBlock *block, uint64_t offset, uint64_t length)
{
    uint64_t used = atomic_read(&block->used_length);

    return length <= used && offset <= used - length;
}

/* --- changing --- */

bool ram_block_resize(RAMBlock *block, uint64_t new_length, GError **error)
{
    uint64_t length = ROUND_UP(new_length, block->page_size);
    uint64_t old = block->used_length;

    if (length == old) {
        return true;
    }
    if (!(block->flags & RAM_RESIZEABLE)) {
        return fail(error, "memory '%s' has 0x%" PRIx64 " bytes and cannot get 0x%" PRIx64, block->idstr, old,
                    new_length);
    }
    if (!length || length < new_length || length > block->max_length) {
        return fail(error, "memory '%s' cannot have 0x%" PRIx64 " bytes: at most 0x%" PRIx64, block->idstr,
                    new_length, block->max_length);
    }
    atomic_set(&block->used_length, length);
    list_changed();
    /* not for the translator: what was translated is still there */
    physical_memory_set_dirty_range(block->offset, length,
                                    ram_block_log_mask(block) & ~(1 << DIRTY_MEMORY_CODE));
    if (block->mr) {
        memory_region_ram_resized(block->mr);
    }
    if (block->resized) {
        block->resized(block->idstr, length, block->host);
    }
    return true;
}

static char *page_size_text(uint64_t size)
{
    if (size >= (UINT64_C(1) << 30)) {
        return g_strdup_printf("%" PRIu64 " GiB", size >> 30);
    }
    if (size >= (UINT64_C(1) << 20)) {
        return g_strdup_printf("%" PRIu64 " MiB", size >> 20);
    }
    return g_strdup_printf("%" PRIu64 " KiB", size >> 10);
}

void ram_block_print_all(GString *out)
{
    RCU_READ_LOCK_GUARD();
    RAMBlock *block;

    g_string_append_printf(out, "%24s %8s  %18s %18s %18s %18s %3s\n", "Block Name", "PSize", "Offset",
                           "Used", "Total", "HVA", "RO");
    RAMBLOCK_FOREACH (block) {
        g_autofree char *page_size = page_size_text(block->page_size);

        g_string_append_printf(
            out, "%24s %8s  0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 " %3s\n",
            block->idstr, page_size, block->offset, block->used_length, block->max_length,
            (uint64_t)(uintptr_t)block->host, block->mr && block->mr->readonly ? "ro" : "rw");
    }
}
