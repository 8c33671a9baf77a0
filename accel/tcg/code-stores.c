/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores to pages that hold translated code, when they come often: data beside code, and code being written.
 *
 * Such a page has no write entry in the soft TLB.  The vCPU remembers a few of these pages, each with the CodePage
 * that knows which lines hold code, and stores to them without a look at page tables, dirty bits or locks.
 * What it remembers is void when the vCPU flushed anything (SoftTLB.flushes), or when somebody took a dirty
 * bit or protected a page (SoftTLB.rearms): like a write entry it is looked at before each store, with no safe point
 * between the look and the store, and was made when nobody but translators waited (D1, D4).
 */
#include "host-mem.h"
#include "internal.h"

bool code_store(TcgCpu *tc, vaddr addr, uint64_t value, uint32_t mop)
{
    CodeStoreEntry *e = code_store_entry(tc, addr);
    unsigned size = MOP_SIZE(mop), offset = addr & ~TARGET_PAGE_MASK;

    if (tcg_accel_config.no_code_stores || e->tag != ((addr & TARGET_PAGE_MASK) | MOP_MMU_IDX(mop)) || addr & (size - 1) ||
        e->flushes != tc->tlb.flushes || e->rearms != atomic_read(&tc->tlb.rearms)) {
        return false;
    }
    host_store(e->host + offset, value, size);
    code_page_stored(e->cp, offset, size);
    tcg_stat(tc, code_stores);
    if (unlikely(atomic_read(&e->cp->state) == CODE_PAGE_OPEN)) {
        e->tag = CODE_STORE_EMPTY;
    }
    return true;
}

void code_store_remember(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    CodePage *cp = code_page_find(pa->ram & TARGET_PAGE_MASK);
    SoftTLB *tlb = &tc->tlb;
    uint64_t rearms;

    if (!cp || !pa->leaf_bits) {
        return;
    }
    /* rearms first: who clears a bit counts it afterwards, so the look below sees the bit or the count is old */
    rearms = atomic_load_acquire(&tlb->rearms);
    if (tlb_clients_waiting(pa) == 1 << DIRTY_MEMORY_CODE) {
        *code_store_entry(tc, addr) = (CodeStoreEntry){
            .tag = (addr & TARGET_PAGE_MASK) | mmu_idx,
            .flushes = tlb->flushes,
            .rearms = rearms,
            .host = pa->host - (addr & ~TARGET_PAGE_MASK),
            .cp = cp,
        };
    }
}
