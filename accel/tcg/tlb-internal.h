/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the soft TLB share: sets of slots, the second level, and what flushes ask of each part. */
#ifndef ACCEL_TCG_TLB_INTERNAL_H
#define ACCEL_TCG_TLB_INTERNAL_H

#include "internal.h"
#include "util/bits.h"

#define PAGE_OF(addr) ((addr)&TARGET_PAGE_MASK)
#define LEAF_2M_BITS  21
#define LEAF_1G_BITS  30
#define TLB_WORDS     (TLB_ENTRIES / 64)

/* --- sets of slots: one thread changes them, others may look --- */

static inline void slot_add(uint64_t *slots, unsigned slot)
{
    atomic_set(&slots[slot / 64], slots[slot / 64] | BIT_ULL(slot % 64));
}

static inline void slot_remove(uint64_t *slots, unsigned slot)
{
    atomic_set(&slots[slot / 64], slots[slot / 64] & ~BIT_ULL(slot % 64));
}

static inline bool slot_in(const uint64_t *slots, unsigned slot)
{
    return slots[slot / 64] >> slot % 64 & 1;
}

static inline void slot_put(uint64_t *slots, unsigned slot, bool in)
{
    if (in) {
        slot_add(slots, slot);
    } else {
        slot_remove(slots, slot);
    }
}

/* Runs the statement that follows for each member of @filled, without those of @but (may be NULL). */
#define FOREACH_SLOT(slot, filled, words, but)                                                               \
    for (unsigned w_ = 0; w_ < (words); w_++)                                                                \
        for (uint64_t bits_ = atomic_read(&(filled)[w_]) & ~((but) ? ((const uint64_t *)(but))[w_] : 0), slot;             \
             bits_ && (slot = w_ * 64 + __builtin_ctzll(bits_), true); bits_ &= bits_ - 1)

/* How large a leaf may be that an address lies in. */
typedef enum LeafReach { REACH_PAGE, REACH_2M, REACH_MORE } LeafReach;

/* --- the second level --- */

/* TLB2Entry.leaf, below the physical address: PAGE_*, and */
#define LEAF_PROT       7u
#define LEAF_GLOBAL     8u
#define LEAF_SIZE_SHIFT 4 /* 6 bits: how large it really is; a leaf of 64 KiB is kept as single pages */

static ALWAYS_INLINE TLB2Entry *leaf_set(SoftTLB *tlb, vaddr addr, unsigned class_bits)
{
    switch (class_bits) {
    case LEAF_1G_BITS:
        return tlb->leaf_1g[(addr >> LEAF_1G_BITS) % TLB2_SETS_1G];
    case LEAF_2M_BITS:
        return tlb->leaf_2m[(addr >> LEAF_2M_BITS) % TLB2_SETS_2M];
    default:
        /* neighbours share a set, so that those of few pages lie in few of the host's cache lines */
        return tlb->leaf_4k[((addr >> (TARGET_PAGE_BITS + 2)) ^ (addr >> 25)) % TLB2_SETS_4K];
    }
}

/* The way that is asked first: with many pages in use the processor cannot predict which of four it will be. */
static inline unsigned home_way(vaddr addr, unsigned class_bits)
{
    return (addr >> class_bits) % TLB2_WAYS;
}

static ALWAYS_INLINE TLB2Entry *find_leaf_in(SoftTLB *tlb, vaddr addr, unsigned mode, unsigned class_bits)
{
    const TLBMode *m = &tlb->mode[mode];
    vaddr base = addr >> class_bits << class_bits;
    TLB2Entry *set = leaf_set(tlb, addr, class_bits);
    unsigned home = home_way(addr, class_bits);

    for (unsigned i = 0; i < TLB2_WAYS; i++) {
        TLB2Entry *e = &set[home ^ i];
        uint64_t context = e->tag ^ base;

        if (context == m->context || context == m->global_context) {
            return e;
        }
    }
    return NULL;
}

typedef struct FoundLeaf {
    hwaddr paddr; /* of the address that was looked for */
    uint8_t prot, leaf_bits;
    bool global;
} FoundLeaf;

static ALWAYS_INLINE FoundLeaf leaf_of(const TLB2Entry *e, vaddr addr, unsigned class_bits)
{
    return (FoundLeaf){
        .paddr = PAGE_OF(e->leaf) + (addr & (BIT_ULL(class_bits) - 1)),
        .prot = e->leaf & LEAF_PROT,
        .leaf_bits = e->leaf >> LEAF_SIZE_SHIFT & 63,
        .global = e->leaf & LEAF_GLOBAL,
    };
}

bool tlb_find_large(SoftTLB *tlb, vaddr addr, unsigned mode, FoundLeaf *found);

/* False: a page walk must say.  Large leaves first: their sets stay in the host's cache. */
static ALWAYS_INLINE bool tlb_find_leaf(SoftTLB *tlb, vaddr addr, unsigned mode, FoundLeaf *found)
{
    const TLB2Entry *e;

    if (tlb->mode[mode].any_large && tlb_find_large(tlb, addr, mode, found)) {
        return true;
    }
    e = find_leaf_in(tlb, addr, mode, TARGET_PAGE_BITS);
    if (e) {
        *found = leaf_of(e, addr, TARGET_PAGE_BITS);
    }
    return e;
}

/* --- tlb-leaves.c --- */
void tlb_init_leaves(SoftTLB *tlb);
void tlb_insert_leaf(SoftTLB *tlb, vaddr addr, unsigned mode, const TlbFill *fill);
/* @asid < 0: all, global ones too.  @large: leaves above 4 KiB that hold the address as well. */
void tlb_drop_leaf(SoftTLB *tlb, vaddr addr, int asid, bool large);
void tlb_forget_leaves_of_mode(SoftTLB *tlb, unsigned mode);
/* Those of the address space that are not global, in all modes. */
void tlb_forget_leaves_of_asid(SoftTLB *tlb, uint16_t asid);
/* What lookups find from now on. */
void tlb_use_asid(SoftTLB *tlb, unsigned mode, uint16_t asid);
LeafReach tlb_leaf_reach(const TLBMode *m, vaddr addr);

/* --- RAM windows --- */

static ALWAYS_INLINE RamWindow *tlb_known_window(SoftTLB *tlb, hwaddr paddr)
{
    for (unsigned i = 0; i < RAM_WINDOWS; i++) {
        if (paddr >= tlb->window[i].first && paddr <= tlb->window[i].last) {
            return &tlb->window[i];
        }
    }
    return NULL;
}

static ALWAYS_INLINE void tlb_locate_in(RamWindow *window, PageAccess *pa)
{
    uint64_t offset = pa->paddr - window->first;

    pa->host = window->host + offset;
    pa->ram = window->ram + offset;
    pa->window = window;
    pa->mr = window->mr;
    pa->host_read = window->readable;
    pa->host_write = window->writable;
}

/* --- tlb-fill.c --- */
/* What clients want to know of stores now. */
void tlb_refresh_window(SoftTLB *tlb, RamWindow *window);
/*
 * The two steps of tlb_install_write(), without a safe point between them: fills the entry; keeps it if nobody
 * waits for stores to the page.
 */
void tlb_put_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa);
bool tlb_keep_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa);

/* --- tlb-lookup.c --- */
void tlb_forget_windows(SoftTLB *tlb);
void tlb_flush_fetch(SoftTLB *tlb, unsigned idx_mask, bool keep_global);
/* The page; @large: all that lie in one large leaf with it, too. */
void tlb_flush_fetch_leaf(SoftTLB *tlb, vaddr addr, bool large);

/* --- tlb-jumps.c --- */
void tlb_flush_jumps(TcgCpu *tc, unsigned mode, bool keep_global);
void tlb_flush_jump_page(TcgCpu *tc, unsigned mode, vaddr page);
/* Those of the large leaf that holds @addr, and others. */
void tlb_flush_jumps_near(TcgCpu *tc, unsigned mode, vaddr addr, LeafReach reach);

#endif
