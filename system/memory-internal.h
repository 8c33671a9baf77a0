/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the memory model share: flat views, growth of the dirty bitmaps, the two calls between them. */
#ifndef SYSTEM_MEMORY_INTERNAL_H
#define SYSTEM_MEMORY_INTERNAL_H

#include "system/memory.h"
#include "system/physmem.h"
#include "util/rcu.h"

/* --- flatview.c --- */

/* [start, last] of an address space shows @mr from @offset_in_region on. */
typedef struct FlatRange {
    hwaddr start, last; /* inclusive: the range may end at 2^64 - 1 */
    hwaddr offset_in_region;
    MemoryRegion *mr;
    bool readonly;
    bool romd_mode;
    uint8_t dirty_log_mask;
} FlatRange;

/* Constant once published. */
typedef struct FlatView {
    RcuHead rcu;
    MemoryRegion *root;
    unsigned n, allocated;
    FlatRange *ranges; /* sorted, disjoint */
} FlatView;

FlatView *flatview_render(MemoryRegion *root); /* big lock */
void flatview_free_rcu(FlatView *view);
/* The range that holds @addr, NULL when nobody does. */
const FlatRange *flatview_lookup(const FlatView *view, hwaddr addr);
bool flatrange_equal(const FlatRange *a, const FlatRange *b);
/* The same place and region, whatever is logged. */
bool flatrange_same_place(const FlatRange *a, const FlatRange *b);

/* --- memory.c --- */

GPtrArray *memory_address_spaces(void); /* of AddressSpace *; big lock */

static inline FlatView *address_space_flatview(AddressSpace *as)
{
    void **map = &as->current_map;

    return rcu_dereference(*map);
}

/* Runs log_clear of every listener for a range of the block: once per section that shows it. */
void memory_log_clear(RAMBlock *block, uint64_t offset, uint64_t length);
/* The block's used_length changed: its region follows.  Big lock. */
void memory_region_ram_resized(MemoryRegion *mr);

/* --- dirty-memory.c --- */

/* The clients that log the block now. */
uint8_t ram_block_log_mask(const RAMBlock *block);
/* Makes room for the pages below @end.  Called before a block there is published.  Big lock. */
void dirty_memory_extend(ram_addr_t end);
/* Brings the bits of a range that (again) belongs to a block to their first state. */
void dirty_memory_reset_range(ram_addr_t start, uint64_t length);
/* Turns the MIGRATION client on and off: all blocks.  On: bits start clean, and every later store is logged. */
void dirty_memory_set_migration_log(bool on);
void dirty_memory_set_vga_log(RAMBlock *block, bool on);
/* What physical_memory_invalidate_and_set_dirty() does, for a place in a block. */
void ram_block_written(RAMBlock *block, uint64_t offset, uint64_t length);
/* Translated code of a range goes before the range gets another meaning. */
void dirty_memory_forget_code(ram_addr_t start, uint64_t length);

/*
 * Bugs for tests of the tests: a storm that does not notice them within seconds proves nothing.  Nothing a user can
 * reach sets one.
 */
typedef enum DirtyFault {
    DIRTY_FAULT_NONE,
    DIRTY_FAULT_REARM_OFFSET,      /* re-arms at the offset in the block, not at the ram_addr_t */
    DIRTY_FAULT_REARM_CONDITIONAL, /* re-arms only when the destination gained a page */
    DIRTY_FAULT_NO_REARM,
    DIRTY_FAULT_NO_QUIESCE,
} DirtyFault;
void dirty_memory_set_fault(DirtyFault fault);

/* --- ramblock.c --- */

/* Under RCU; false when the block is on its way out. */
bool ram_block_try_ref(RAMBlock *block);
void ram_block_unref(RAMBlock *block);

#endif
