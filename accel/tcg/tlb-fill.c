/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filling the first level of the soft TLB, and when a store may be plain (D4). */
#include "host-mem.h"
#include "tlb-internal.h"

#include "system/ram-gate.h"
#include "util/bitmap.h"

/*
 * Most refills find the index as it must be.  A store less matters: while the data of one miss is on its way, the
 * host goes on to the next only as far as its queue of stores reaches.
 */
static ALWAYS_INLINE void note_filled(TLBIndex *index, unsigned slot, bool global, uint8_t leaf_bits)
{
    if (!slot_in(index->filled, slot)) {
        slot_add(index->filled, slot);
    }
    if (slot_in(index->global, slot) != global) {
        slot_put(index->global, slot, global);
    }
    if (index->leaf_bits[slot] != leaf_bits) {
        index->leaf_bits[slot] = leaf_bits;
    }
}

static ALWAYS_INLINE void install_read(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    unsigned slot = tlb_index(addr);
    TLBEntry *e = &tc->env->tlb_read[mmu_idx][slot];

    if (pa->host_read && pa->leaf_bits) {
        e->addend = (uintptr_t)pa->host - addr;
        atomic_set(&e->tag, PAGE_OF(addr));
        note_filled(&tc->tlb.mode[mmu_idx].read, slot, pa->global, pa->leaf_bits);
    }
}

void tlb_install_read(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    install_read(tc, addr, mmu_idx, pa);
}

uint8_t tlb_clients_waiting(const PageAccess *pa)
{
    uint8_t mask = memory_region_is_logging(pa->mr);
    uint8_t waiting = 0;

    for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
        if (mask & (1 << client) && !physical_memory_get_dirty_flag(pa->ram, client)) {
            waiting |= 1 << client;
        }
    }
    return waiting;
}

/* --- entries for stores --- */

/* rearms first: a rearm that is counted later is counted after the mask was changed. */
void tlb_refresh_window(SoftTLB *tlb, RamWindow *window)
{
    window->rearms = atomic_load_acquire(&tlb->rearms); /* pairs with atomic_inc() in tcg_withdraw_writes() */
    window->log_mask = memory_region_is_logging(window->mr);
}

/* Whether the window's dirty bits say that nobody waits for a store to @ram, and are the right ones to ask. */
static ALWAYS_INLINE bool nobody_waits(const SoftTLB *tlb, const RamWindow *window, ram_addr_t ram)
{
    uint64_t bit = ram >> TARGET_PAGE_BITS & (DIRTY_MEMORY_BLOCK_PAGES - 1);

    if (window->rearms != atomic_load_acquire(&tlb->rearms)) {
        return false;
    }
    for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
        const unsigned long *piece = window->dirty[client];

        if (window->log_mask & (1 << client) && !(piece && test_bit(bit, piece))) {
            return false;
        }
    }
    return true;
}

static ALWAYS_INLINE void put_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    TLBMode *m = &tc->tlb.mode[mmu_idx];
    unsigned slot = tlb_index(addr);
    TLBEntry *e = &tc->env->tlb_write[mmu_idx][slot];

    atomic_set(&m->write_page[slot], pa->ram & TARGET_PAGE_MASK);
    note_filled(&m->write, slot, pa->global, pa->leaf_bits);
    e->addend = (uintptr_t)pa->host - addr;
    atomic_set(&e->tag, PAGE_OF(addr));
}

/*
 * D4 against a refill: who takes a bit clears it and looks at the entries afterwards.  Here the entry is filled and
 * the bits are looked at afterwards.  So either the look sees the clear bit, or the entry is there to be
 * emptied; the barrier pairs with heavy_barrier() in tcg_withdraw_writes().
 */
static ALWAYS_INLINE bool keep_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    unsigned slot = tlb_index(addr);

    tcg_light_barrier();
    if (nobody_waits(&tc->tlb, pa->window, pa->ram)) {
        return true;
    }
    atomic_set(&tc->env->tlb_write[mmu_idx][slot].tag, TLB_EMPTY_TAG(slot));
    return false;
}

void tlb_put_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    put_write(tc, addr, mmu_idx, pa);
}

bool tlb_keep_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    return keep_write(tc, addr, mmu_idx, pa);
}

/* A window that was replaced since the lookup cannot be asked. */
static bool window_is_there(const PageAccess *pa)
{
    const RamWindow *w = pa->window;

    return w->mr == pa->mr && pa->paddr >= w->first && pa->paddr <= w->last;
}

bool tlb_install_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    if (!pa->host_write) {
        return false;
    }
    if (!pa->leaf_bits || !window_is_there(pa)) {
        return !tlb_clients_waiting(pa);
    }
    tlb_refresh_window(&tc->tlb, pa->window); /* each time: a client that stops re-arms nothing */
    put_write(tc, addr, mmu_idx, pa);
    return keep_write(tc, addr, mmu_idx, pa);
}

/*
 * Stores foreseen.  Code that changes what it read, one page after the other, would miss twice in each.  One
 * load in sixteen is left alone, to see whether that is still so.
 */
#define FORESEEN_AT_ONCE 15

static ALWAYS_INLINE void note_store(TcgCpu *tc, vaddr addr, unsigned mmu_idx)
{
    SoftTLB *tlb = &tc->tlb;

    if (tlb->lone_load == (PAGE_OF(addr) | mmu_idx)) {
        tlb->lone_load = NO_LONE_LOAD;
        tlb->foreseen = FORESEEN_AT_ONCE;
    }
}

void tlb_note_store(TcgCpu *tc, vaddr addr, unsigned mmu_idx)
{
    note_store(tc, addr, mmu_idx);
}

/* A store of its own would pass the gate first, and lockstep has to see the first store to a page. */
static ALWAYS_INLINE bool may_foresee(const PageAccess *pa)
{
    return pa->leaf_bits && pa->prot & PAGE_WRITE && !ram_gate_closed() && !tcg_accel_config.no_store_ahead &&
           !tcg_accel_config.lockstep;
}

static ALWAYS_INLINE void install_load(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    SoftTLB *tlb = &tc->tlb;

    install_read(tc, addr, mmu_idx, pa);
    if (!may_foresee(pa)) {
        return;
    }
    if (!tlb->foreseen) {
        tlb->lone_load = PAGE_OF(addr) | mmu_idx;
        return;
    }
    tlb->foreseen--;
    if (!pa->host_write) {
        return;
    }
    put_write(tc, addr, mmu_idx, pa);
    if (keep_write(tc, addr, mmu_idx, pa)) {
        tcg_stat(tc, stores_ahead);
    }
}

void tlb_install_load(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    install_load(tc, addr, mmu_idx, pa);
}

/* --- the way of most misses: no call, no barrier --- */

/* RAM that the second level knows and may be accessed so. */
static ALWAYS_INLINE bool find_ram(SoftTLB *tlb, vaddr addr, unsigned mmu_idx, unsigned prot, PageAccess *pa)
{
    FoundLeaf leaf;

    if (ram_gate_closed() || !tlb_find_leaf(tlb, addr, mmu_idx, &leaf) || !(leaf.prot & prot)) {
        return false;
    }
    *pa = (PageAccess){.paddr = leaf.paddr,
                       .leaf_bits = leaf.leaf_bits,
                       .prot = leaf.prot,
                       .global = leaf.global,
                       .window = tlb_known_window(tlb, leaf.paddr)};
    if (!pa->window) {
        return false;
    }
    tlb_locate_in(pa->window, pa);
    return prot == PAGE_READ ? pa->host_read : pa->host_write;
}

TCGFastLoad tcg_load_fast(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    TcgCpu *tc = current_cpu->accel;
    unsigned size = MOP_SIZE(mop);
    PageAccess pa;

    if (addr & (size - 1) || !find_ram(&tc->tlb, addr, MOP_MMU_IDX(mop), PAGE_READ, &pa)) {
        return (TCGFastLoad){0};
    }
    /* one load instruction for all of the guest's: the host may think that it waits for a store and hold it back */
    __builtin_prefetch(pa.host);
    tcg_stat(tc, fast_loads);
    install_load(tc, addr, MOP_MMU_IDX(mop), &pa);
    return (TCGFastLoad){extend(host_load(pa.host, size), mop), true};
}

bool tcg_store_fast(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop)
{
    TcgCpu *tc = current_cpu->accel;
    unsigned size = MOP_SIZE(mop), mmu_idx = MOP_MMU_IDX(mop);
    PageAccess pa;

    if (addr & (size - 1) || code_store_knows(tc, addr, mmu_idx) ||
        !find_ram(&tc->tlb, addr, mmu_idx, PAGE_WRITE, &pa)) {
        return false;
    }
    put_write(tc, addr, mmu_idx, &pa);
    if (!keep_write(tc, addr, mmu_idx, &pa)) {
        return false;
    }
    tcg_stat(tc, fast_stores);
    note_store(tc, addr, mmu_idx);
    host_store(pa.host, value, size);
    return true;
}
