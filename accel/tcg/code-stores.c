/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores to pages that hold translated code, when they come often: data beside code, and code being written.
 *
 * Such a page has no write entry in the soft TLB.  The vCPU remembers a few of these pages, each with the CodePage
 * that knows which lines hold code, and stores to them without a look at page tables, dirty bits or locks.
 * What it remembers is void when the vCPU flushed anything (SoftTLB.flushes), or when somebody took a dirty
 * bit or protected a page (SoftTLB.rearms): like a write entry it is looked at before each store, with no safe point
 * between the look and the store, and was made under write_lock when nobody but translators waited (D1, D4).
 */
#include "internal.h"

#define MOP_MMU_IDX(mop) (((mop) >> 8) % TCG_MMU_MODES)

static CodeStoreEntry *entry_of(TcgCpu *tc, vaddr addr)
{
    return &tc->code_stores[(addr >> TARGET_PAGE_BITS) % CODE_STORE_ENTRIES];
}

static void NO_TSAN put(void *host, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        atomic_set((uint8_t *)host, value);
        break;
    case 2:
        atomic_set((uint16_t *)host, value);
        break;
    case 4:
        atomic_set((uint32_t *)host, value);
        break;
    default:
        atomic_set((uint64_t *)host, value);
    }
}

bool code_store(TcgCpu *tc, vaddr addr, uint64_t value, uint32_t mop)
{
    CodeStoreEntry *e = entry_of(tc, addr);
    unsigned size = 1u << (mop & IR_MEM_SIZE), offset = addr & ~TARGET_PAGE_MASK;

    if (tcg_accel_config.no_code_stores || e->tag != ((addr & TARGET_PAGE_MASK) | MOP_MMU_IDX(mop)) || addr & (size - 1) ||
        e->flushes != tc->tlb.flushes || e->rearms != atomic_read(&tc->tlb.rearms)) {
        return false;
    }
    put(e->host + offset, value, size);
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

    if (!cp || !pa->leaf_bits) {
        return;
    }
    spin_lock(&tlb->write_lock);
    if (tlb_clients_waiting(pa) == 1 << DIRTY_MEMORY_CODE) {
        *entry_of(tc, addr) = (CodeStoreEntry){
            .tag = (addr & TARGET_PAGE_MASK) | mmu_idx,
            .flushes = tlb->flushes,
            .rearms = tlb->rearms,
            .host = pa->host - (addr & ~TARGET_PAGE_MASK),
            .cp = cp,
        };
    }
    spin_unlock(&tlb->write_lock);
}
