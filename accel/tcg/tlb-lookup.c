/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a guest address lies: second level, page walk, RAM or not, and the gate before RAM. */
#include "tlb-internal.h"

#include "system/ram-gate.h"

#define MAX_LEAF_BITS 63

/* --- RAM windows --- */

void tlb_forget_windows(SoftTLB *tlb)
{
    for (unsigned i = 0; i < RAM_WINDOWS; i++) {
        tlb->window[i] = (RamWindow){.first = 1, .last = 0};
    }
}

/* The part of the section that is whole pages. */
static bool make_window(const MemoryRegionSection *section, RamWindow *window)
{
    MemoryRegion *mr = section->mr;
    hwaddr first = ROUND_UP(section->offset_within_address_space, TARGET_PAGE_SIZE);
    hwaddr end = section->size == UINT64_MAX ? 0 : section->offset_within_address_space + section->size;
    uint64_t skip = first - section->offset_within_address_space;

    if (!memory_region_is_ram(mr) || !memory_region_is_direct(mr, false)) {
        return false;
    }
    *window = (RamWindow){
        .first = first,
        .last = PAGE_OF(end) - 1,
        .host = (uint8_t *)memory_region_get_ram_ptr(mr) + section->offset_within_region + skip,
        .ram = memory_region_get_ram_addr(mr) + section->offset_within_region + skip,
        .mr = mr,
        .readable = true,
        .writable = memory_region_is_direct(mr, true) && !section->readonly,
    };
    /* dirty bits are per page of ram_addr_t */
    return window->first < window->last && IS_ALIGNED(window->ram, TARGET_PAGE_SIZE);
}

/* To where the dirty bits lie side by side with those of @paddr. */
static void narrow_window(RamWindow *window, hwaddr paddr)
{
    const uint64_t piece = DIRTY_MEMORY_BLOCK_PAGES << TARGET_PAGE_BITS;
    ram_addr_t ram = window->ram + (paddr - window->first), start = ram & ~(piece - 1);

    if (start > window->ram) {
        uint64_t skip = start - window->ram;

        window->first += skip;
        window->host += skip;
        window->ram = start;
    }
    window->last = MIN(window->last, window->first + (start + piece - window->ram) - 1);
    for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
        window->dirty[client] = physical_memory_dirty_piece(ram, client);
    }
}

static RamWindow *find_window(TcgCpu *tc, hwaddr paddr)
{
    SoftTLB *tlb = &tc->tlb;
    RamWindow *slot = tlb_known_window(tlb, paddr);
    MemoryRegionSection section;
    RamWindow window;
    hwaddr xlat;
    bool found;

    if (slot) {
        return slot;
    }
    rcu_read_lock();
    found = address_space_translate(tc->cpu->as, paddr, &section, &xlat) && make_window(&section, &window);
    rcu_read_unlock();
    if (!found || paddr < window.first || paddr > window.last) {
        return NULL;
    }
    narrow_window(&window, paddr);
    slot = &tlb->window[tlb->window_victim++ % RAM_WINDOWS];
    *slot = window;
    tlb_refresh_window(tlb, slot);
    return slot;
}

static void locate(TcgCpu *tc, PageAccess *pa)
{
    RamWindow *window = find_window(tc, pa->paddr);

    pa->host = NULL;
    pa->host_read = pa->host_write = false;
    if (window) {
        tlb_locate_in(window, pa);
    }
}

/*
 * RAM that somebody must see to first.  The vCPU is at a safe point while it waits; when the topology changed then,
 * *@again: what was found is void.  False: this access must not be.
 */
static bool pass_gate(TcgCpu *tc, MMUAccessType access, const PageAccess *pa, bool *again)
{
    bool is_store = access == MMU_DATA_STORE;
    uint64_t flushes = tc->tlb.flushes;
    RAMBlock *block;
    uint64_t page;
    bool passed;

    if (!(is_store ? pa->host_write : pa->host_read)) {
        return true; /* the access goes to the address space, which looks at the gate */
    }
    block = pa->mr->ram_block;
    page = (pa->ram & TARGET_PAGE_MASK) - block->offset;
    passed = ram_block_try_ref(block);
    if (passed) {
        cpu_leave_guest(tc->env);
        ram_gate_restartable = true;
        passed = is_store ? ram_gate_pass_write(block, page, TARGET_PAGE_SIZE)
                          : ram_gate_pass_read(block, page, TARGET_PAGE_SIZE);
        ram_gate_restartable = false;
        cpu_enter_guest(tc->env);
        ram_block_unref(block);
    }
    *again = flushes != tc->tlb.flushes;
    return passed;
}

void *tlb_ram_host(TCGEnv *env, hwaddr paddr)
{
    TcgCpu *tc = current_cpu && current_cpu->env == env ? current_cpu->accel : NULL;
    bool usable = tc && tcg_in_guest_code(tc) && !ram_gate_closed();
    const RamWindow *window = usable ? find_window(tc, paddr) : NULL;

    return window && window->writable ? window->host + (paddr - window->first) : NULL;
}

/* --- lookups --- */

static const uint8_t prot_needed[] = {
    [MMU_DATA_LOAD] = PAGE_READ,
    [MMU_DATA_STORE] = PAGE_WRITE,
    [MMU_INST_FETCH] = PAGE_EXEC,
};

static bool find_page(TcgCpu *tc, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx, bool probe,
                      PageAccess *pa)
{
    TlbFill fill = {0};
    FoundLeaf leaf;

    if (tlb_find_leaf(&tc->tlb, addr, mmu_idx, &leaf) && leaf.prot & prot_needed[access]) {
        tcg_stat(tc, level2_hits);
        *pa = (PageAccess){
            .paddr = leaf.paddr, .leaf_bits = leaf.leaf_bits, .prot = leaf.prot, .global = leaf.global};
        locate(tc, pa);
        return true;
    }
    tcg_stat(tc, walks);
    if (!tc->ops->tlb_fill(tc->env, addr, size, access, mmu_idx, probe, &fill)) {
        return false;
    }
    fill.page_bits = MIN(fill.page_bits, MAX_LEAF_BITS);
    *pa = (PageAccess){
        .paddr = PAGE_OF(fill.paddr) | (addr & ~TARGET_PAGE_MASK), .prot = fill.prot, .global = fill.global};
    if (fill.page_bits >= TARGET_PAGE_BITS) {
        tlb_insert_leaf(&tc->tlb, addr, mmu_idx, &fill);
        pa->leaf_bits = fill.page_bits;
    }
    locate(tc, pa);
    return true;
}

bool tlb_lookup(TcgCpu *tc, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx, bool probe,
                PageAccess *pa)
{
    bool again;

    do {
        again = false;
        if (!find_page(tc, addr, size, access, mmu_idx, probe, pa)) {
            return false;
        }
        if (ram_gate_closed() && !pass_gate(tc, access, pa, &again)) {
            if (!probe) {
                tc->ops->transaction_failed(tc->env, addr, access, MEMTX_ERROR);
            }
            return false;
        }
    } while (again);
    return true;
}

static FetchEntry *fetch_slot(SoftTLB *tlb, vaddr addr)
{
    return &tlb->fetch[(addr >> TARGET_PAGE_BITS) % FETCH_TLB_ENTRIES];
}

bool tlb_lookup_fetch(TcgCpu *tc, vaddr addr, unsigned mmu_idx, bool probe, PageAccess *pa)
{
    FetchEntry *e = fetch_slot(&tc->tlb, addr);
    uint64_t offset = addr & ~TARGET_PAGE_MASK;

    if (likely(e->tag == (PAGE_OF(addr) | mmu_idx))) {
        *pa = (PageAccess){.host = e->host + offset,
                           .ram = e->ram_page + offset,
                           .global = e->global,
                           .leaf_bits = e->leaf_bits,
                           .host_read = true};
        return true;
    }
    tcg_stat(tc, fetch_misses);
    if (!tlb_lookup(tc, addr, 2, MMU_INST_FETCH, mmu_idx, probe, pa)) {
        return false;
    }
    if (!pa->host) {
        if (!probe) {
            tc->ops->transaction_failed(tc->env, addr, MMU_INST_FETCH, MEMTX_DECODE_ERROR);
        }
        return false;
    }
    if (pa->leaf_bits) {
        *e = (FetchEntry){.tag = PAGE_OF(addr) | mmu_idx,
                          .host = pa->host - offset,
                          .ram_page = pa->ram - offset,
                          .global = pa->global,
                          .leaf_bits = pa->leaf_bits};
    }
    return true;
}

/* --- flushes --- */

void tlb_flush_fetch(SoftTLB *tlb, unsigned idx_mask, bool keep_global)
{
    for (unsigned i = 0; i < FETCH_TLB_ENTRIES; i++) {
        FetchEntry *e = &tlb->fetch[i];

        if (e->tag != UINT64_MAX && idx_mask & (1u << (e->tag & ~TARGET_PAGE_MASK)) &&
            !(keep_global && e->global)) {
            e->tag = UINT64_MAX;
        }
    }
}

void tlb_flush_fetch_leaf(SoftTLB *tlb, vaddr addr, bool large)
{
    FetchEntry *e = fetch_slot(tlb, addr);

    if (PAGE_OF(e->tag) == PAGE_OF(addr)) {
        e->tag = UINT64_MAX;
    }
    for (unsigned i = 0; large && i < FETCH_TLB_ENTRIES; i++) {
        e = &tlb->fetch[i];
        if (e->leaf_bits > TARGET_PAGE_BITS && !((e->tag ^ addr) >> e->leaf_bits)) {
            e->tag = UINT64_MAX;
        }
    }
}
