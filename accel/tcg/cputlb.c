/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory accesses that translated code could not do by itself: TLB misses, stores that somebody waits
 * for, devices, page crossings, atomics.
 *
 * Stores and dirty bits (D1).  A store is plain only under a write entry, or when tlb_install_write() has
 * just found every client's bit set; in a page that the vCPU remembers, nobody but translators waits (code-stores.c).
 * Otherwise it goes through notdirty_write(): store, drop translations,
 * set bits.  In either case the vCPU reaches no safe point between the check (or the store) and the last bit,
 * so a client that takes bits, re-arms and quiesces (D2) finds the data stored and, if its take came too
 * early, the bit set again for the next one.
 */
#include "host-mem.h"
#include "internal.h"

/* --- devices --- */

static uint64_t device_load(TcgCpu *tc, vaddr addr, hwaddr paddr, unsigned size)
{
    uint64_t value = 0;
    MemTxResult result;

    tcg_stat(tc, device_loads);
    cpu_leave_guest(tc->env);
    result = address_space_load(tc->cpu->as, paddr, size, &value);
    cpu_enter_guest(tc->env);
    if (unlikely(result != MEMTX_OK)) {
        tc->ops->transaction_failed(tc->env, addr, MMU_DATA_LOAD, result);
    }
    return value;
}

static void device_store(TcgCpu *tc, vaddr addr, hwaddr paddr, uint64_t value, unsigned size)
{
    MemTxResult result;

    tcg_stat(tc, device_stores);
    cpu_leave_guest(tc->env);
    result = address_space_store(tc->cpu->as, paddr, size, value);
    cpu_enter_guest(tc->env);
    if (unlikely(result != MEMTX_OK)) {
        tc->ops->transaction_failed(tc->env, addr, MMU_DATA_STORE, result);
    }
}

/* --- stores to RAM --- */

static void mark_for_clients(TcgCpu *tc, const PageAccess *pa, uint8_t clients)
{
    for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
        if (clients & (1 << client) && client != DIRTY_MEMORY_CODE) {
            physical_memory_set_dirty_flag(pa->ram, client);
        }
    }
    if (clients & (1 << DIRTY_MEMORY_MIGRATION)) {
        cpu_count_dirty_page(tc->cpu);
    }
}

/*
 * The rest of a store whose data is in place: whoever waits for a store to this page learns of it. Translated
 * code of other bytes stays.  No safe point since the store was decided upon (D1).
 */
static void notdirty_write(TcgCpu *tc, const PageAccess *pa, unsigned size)
{
    uint8_t waiting;

    tcg_stat(tc, notdirty_stores);
    smp_mb(); /* data before bits and claims; pairs with takes, and with tb_claim_page() */
    waiting = tlb_clients_waiting(pa);
    if (waiting & (1 << DIRTY_MEMORY_CODE)) {
        tb_store_in_code_page(pa->ram, size);
    }
    mark_for_clients(tc, pa, waiting);
}

static void ram_store(TcgCpu *tc, vaddr addr, uint64_t value, unsigned size, unsigned mmu_idx,
                      const PageAccess *pa)
{
    bool fast = tlb_install_write(tc, addr, mmu_idx, pa);

    host_store(pa->host, value, size);
    if (!fast) {
        notdirty_write(tc, pa, size);
        if (!tlb_install_write(tc, addr, mmu_idx, pa)) {
            code_store_remember(tc, addr, mmu_idx, pa);
        }
    }
}

/* --- accesses that cross into the next page: both pages are resolved before a byte moves --- */

typedef struct Crossing {
    PageAccess part[2];
    vaddr addr[2];
    unsigned size[2];
} Crossing;

static bool crosses(vaddr addr, unsigned size)
{
    return (addr & ~TARGET_PAGE_MASK) + size > TARGET_PAGE_SIZE;
}

static void resolve_crossing(TcgCpu *tc, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx,
                             Crossing *c)
{
    uint64_t flushes;

    tcg_stat(tc, crossings);
    c->addr[0] = addr;
    c->addr[1] = (addr & TARGET_PAGE_MASK) + TARGET_PAGE_SIZE;
    c->size[0] = c->addr[1] - addr;
    c->size[1] = size - c->size[0];
    do { /* a lookup that waits voids the other part when the topology changed meanwhile */
        flushes = tc->tlb.flushes;
        for (int i = 0; i < 2; i++) {
            tlb_lookup(tc, c->addr[i], c->size[i], access, mmu_idx, false, &c->part[i]);
        }
    } while (flushes != tc->tlb.flushes);
}

static uint64_t load_crossing(TcgCpu *tc, vaddr addr, unsigned size, unsigned mmu_idx)
{
    uint64_t value = 0;
    unsigned shift = 0;
    Crossing c;

    resolve_crossing(tc, addr, size, MMU_DATA_LOAD, mmu_idx, &c);
    for (int i = 0; i < 2; i++) {
        for (unsigned n = 0; n < c.size[i]; n++, shift += 8) {
            uint64_t byte = c.part[i].host_read ? host_load(c.part[i].host + n, 1)
                                                : device_load(tc, c.addr[i] + n, c.part[i].paddr + n, 1);

            value |= byte << shift;
        }
    }
    return value;
}

static void store_crossing(TcgCpu *tc, vaddr addr, uint64_t value, unsigned size, unsigned mmu_idx)
{
    Crossing c;

    resolve_crossing(tc, addr, size, MMU_DATA_STORE, mmu_idx, &c);
    for (int i = 0; i < 2; i++) {
        for (unsigned n = 0; n < c.size[i]; n++, value >>= 8) {
            if (c.part[i].host_write) {
                PageAccess byte = c.part[i];

                byte.host += n;
                byte.ram += n;
                ram_store(tc, c.addr[i] + n, value & 0xff, 1, mmu_idx, &byte);
            } else {
                device_store(tc, c.addr[i] + n, c.part[i].paddr + n, value & 0xff, 1);
            }
        }
    }
}

/* --- slow paths of translated code --- */

static void check_aligned(TcgCpu *tc, vaddr addr, uint32_t mop, MMUAccessType access)
{
    if (mop & IR_MEM_ALIGN && addr & (MOP_SIZE(mop) - 1)) {
        tc->ops->misaligned(tc->env, addr, access);
    }
}

static uint64_t load(TcgCpu *tc, vaddr addr, unsigned size, unsigned mmu_idx)
{
    PageAccess pa;

    if (unlikely(crosses(addr, size))) {
        return load_crossing(tc, addr, size, mmu_idx);
    }
    tlb_lookup(tc, addr, size, MMU_DATA_LOAD, mmu_idx, false, &pa);
    if (unlikely(!pa.host_read)) {
        return device_load(tc, addr, pa.paddr, size);
    }
    tlb_install_load(tc, addr, mmu_idx, &pa);
    return host_load(pa.host, size);
}

static void store(TcgCpu *tc, vaddr addr, uint64_t value, unsigned size, unsigned mmu_idx)
{
    PageAccess pa;

    if (unlikely(crosses(addr, size))) {
        store_crossing(tc, addr, value, size, mmu_idx);
        return;
    }
    tlb_note_store(tc, addr, mmu_idx);
    tlb_lookup(tc, addr, size, MMU_DATA_STORE, mmu_idx, false, &pa);
    if (unlikely(!pa.host_write)) {
        device_store(tc, addr, pa.paddr, value, size);
    } else {
        ram_store(tc, addr, value, size, mmu_idx, &pa);
    }
}

uint64_t tcg_load_slow(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    TcgCpu *tc = env_tcg_cpu(env);

    tcg_stat(tc, slow_loads);
    check_aligned(tc, addr, mop, MMU_DATA_LOAD);
    return extend(load(tc, addr, MOP_SIZE(mop), MOP_MMU_IDX(mop)), mop);
}

void tcg_store_slow(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop)
{
    TcgCpu *tc = env_tcg_cpu(env);

    tcg_stat(tc, slow_stores);
    if (code_store(tc, addr, value, mop)) {
        return;
    }
    check_aligned(tc, addr, mop, MMU_DATA_STORE);
    store(tc, addr, value, MOP_SIZE(mop), MOP_MMU_IDX(mop));
}

/*
 * Bits are set before the operation here: the caller does it before its next safe point, so a client that
 * took the bit in between waits for it (D1, D2).
 */
static void settle_for_host_write(TcgCpu *tc, vaddr addr, unsigned size, unsigned mmu_idx,
                                  const PageAccess *pa)
{
    uint8_t waiting;

    if (tlb_install_write(tc, addr, mmu_idx, pa)) {
        return;
    }
    waiting = tlb_clients_waiting(pa);
    if (waiting & (1 << DIRTY_MEMORY_CODE)) {
        tb_atomic_in_code_page(pa->ram, size);
    }
    mark_for_clients(tc, pa, waiting);
    tlb_install_write(tc, addr, mmu_idx, pa);
}

void *tcg_atomic_host(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    TcgCpu *tc = env_tcg_cpu(env);
    unsigned size = MOP_SIZE(mop);
    PageAccess pa;

    tcg_stat(tc, slow_atomics);
    check_aligned(tc, addr, mop | IR_MEM_ALIGN, MMU_DATA_STORE);
    tlb_lookup(tc, addr, size, MMU_DATA_STORE, MOP_MMU_IDX(mop), false, &pa);
    if (!pa.host_write) {
        tc->ops->transaction_failed(env, addr, MMU_DATA_STORE, MEMTX_ERROR);
        return NULL;
    }
    settle_for_host_write(tc, addr, size, MOP_MMU_IDX(mop), &pa);
    return pa.host;
}

uint64_t tcg_load_reserved(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    TcgCpu *tc = env_tcg_cpu(env);
    PageAccess pa;
    uint64_t value;

    check_aligned(tc, addr, mop | IR_MEM_ALIGN, MMU_DATA_LOAD);
    tlb_lookup(tc, addr, MOP_SIZE(mop), MMU_DATA_LOAD, MOP_MMU_IDX(mop), false, &pa);
    if (!pa.host_read) {
        tc->ops->transaction_failed(env, addr, MMU_DATA_LOAD, MEMTX_ERROR);
        return 0;
    }
    tlb_install_read(tc, addr, MOP_MMU_IDX(mop), &pa);
    value = extend(host_load(pa.host, MOP_SIZE(mop)), mop);
    env->lr_addr = addr;
    env->lr_value = value;
    return value;
}

/* --- page slots --- */

void tcg_retranslate_sites(TcgCpu *tc)
{
    TCGEnv *env = tc->env;

    while (env->n_bad_sites) {
        uint64_t site = env->bad_site[--env->n_bad_sites];

        tcg_stat(tc, bad_sites);
        tcg_site_without_slot(site);
        tb_translate_again(site);
    }
}

/* --- helpers' accesses --- */

static bool hits(const TLBEntry *e, vaddr addr, unsigned size)
{
    return (addr ^ atomic_read(&e->tag)) <= TARGET_PAGE_SIZE - size;
}

uint64_t cpu_load(TCGEnv *env, vaddr addr, unsigned size_log2, unsigned mmu_idx)
{
    const TLBEntry *e = &env->tlb_read[mmu_idx][tlb_index(addr)];

    if (likely(hits(e, addr, 1u << size_log2))) {
        return host_load((void *)(uintptr_t)(addr + e->addend), 1u << size_log2);
    }
    return tcg_load_slow(env, addr, size_log2 | mmu_idx << 8);
}

void cpu_store(TCGEnv *env, vaddr addr, uint64_t value, unsigned size_log2, unsigned mmu_idx)
{
    const TLBEntry *e = &env->tlb_write[mmu_idx][tlb_index(addr)];

    if (likely(hits(e, addr, 1u << size_log2))) {
        host_store((void *)(uintptr_t)(addr + e->addend), value, 1u << size_log2);
    } else {
        tcg_store_slow(env, addr, value, size_log2 | mmu_idx << 8);
    }
}

void *cpu_probe_host(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx)
{
    TcgCpu *tc = env_tcg_cpu(env);
    bool is_store = access == MMU_DATA_STORE;
    PageAccess pa;

    if (!tc || crosses(addr, size) || !tlb_lookup(tc, addr, size, access, mmu_idx, true, &pa)) {
        return NULL;
    }
    if (!is_store) {
        return pa.host_read ? pa.host : NULL;
    }
    if (!pa.host_write || tlb_install_write(tc, addr, mmu_idx, &pa)) {
        return pa.host_write ? pa.host : NULL;
    }
    /* not with translated code in the page: the caller stores with cpu_store(), which looks closer */
    mark_for_clients(tc, &pa, tlb_clients_waiting(&pa));
    return tlb_install_write(tc, addr, mmu_idx, &pa) ? pa.host : NULL;
}
