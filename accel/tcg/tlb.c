/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of the soft TLB: looking addresses up, level by level, and the flushes.  See tlb.h. */
#include "internal.h"

#include "system/ram-gate.h"
#include "util/bits.h"

#define PAGE_OF(addr) ((addr)&TARGET_PAGE_MASK)
#define LEAF_2M_BITS  21
#define LEAF_1G_BITS  30
#define MAX_LEAF_BITS 63
#define ALL_MODES     ((1u << TCG_MMU_MODES) - 1)
#define FOREACH_MODE(m, mask)                                                                                \
    for (unsigned m = 0; m < TCG_MMU_MODES; m++)                                                             \
        if ((mask) & (1u << m))

/* --- sets of slots --- */

static void slot_add(uint64_t *slots, unsigned slot)
{
    slots[slot / 64] |= BIT_ULL(slot % 64);
}

static void slot_remove(uint64_t *slots, unsigned slot)
{
    slots[slot / 64] &= ~BIT_ULL(slot % 64);
}

static bool slot_in(const uint64_t *slots, unsigned slot)
{
    return slots[slot / 64] >> slot % 64 & 1;
}

static void slot_put(uint64_t *slots, unsigned slot, bool in)
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
        for (uint64_t bits_ = (filled)[w_] & ~((but) ? ((const uint64_t *)(but))[w_] : 0), slot;             \
             bits_ && (slot = w_ * 64 + __builtin_ctzll(bits_), true); bits_ &= bits_ - 1)

#define TLB_WORDS   (TLB_ENTRIES / 64)
#define WORDS_OF_2M ((1u << (LEAF_2M_BITS - TARGET_PAGE_BITS)) / 64)
#define JUMP_WORDS  ((1u << JUMP_TABLE_BITS) / 64)

/* --- first level --- */

static void empty_slot(TLBEntry *table, TLBIndex *index, unsigned slot)
{
    atomic_set(&table[slot].tag, TLB_EMPTY_TAG(slot));
    slot_remove(index->filled, slot);
}

static void empty_table(TLBEntry *table, TLBIndex *index, bool keep_global)
{
    FOREACH_SLOT (slot, index->filled, TLB_WORDS, keep_global ? index->global : NULL) {
        empty_slot(table, index, slot);
    }
}

/* How large a leaf may be that an address lies in. */
typedef enum LeafReach { REACH_PAGE, REACH_2M, REACH_MORE } LeafReach;

/* Drops the page, and every page that shares a large leaf with it; those of 2 MiB have neighbouring slots. */
static void empty_leaf(TLBEntry *table, TLBIndex *index, vaddr addr, LeafReach reach)
{
    unsigned slot = tlb_index(addr);

    if (atomic_read(&table[slot].tag) == PAGE_OF(addr)) {
        empty_slot(table, index, slot);
    }
    if (reach != REACH_PAGE) {
        unsigned start = reach == REACH_2M ? tlb_index(addr >> LEAF_2M_BITS << LEAF_2M_BITS) : 0;
        unsigned words = reach == REACH_2M ? MIN(WORDS_OF_2M, TLB_WORDS) : TLB_WORDS;

        FOREACH_SLOT (n, index->filled + start / 64, words, NULL) {
            unsigned other = start + n;
            unsigned bits = index->leaf_bits[other];

            if (bits > TARGET_PAGE_BITS && !((atomic_read(&table[other].tag) ^ addr) >> bits)) {
                empty_slot(table, index, other);
            }
        }
    }
}

static void note_filled(TLBIndex *index, unsigned slot, const PageAccess *pa)
{
    slot_add(index->filled, slot);
    slot_put(index->global, slot, pa->global);
    index->leaf_bits[slot] = pa->leaf_bits;
}

/* --- page slots (see include/tcg/env.h): emptied after the entries that they may be filled from --- */

/* Any thread, for write slots. */
static void empty_page_slots(PageSlot *slots)
{
    for (unsigned n = 0; n < PAGE_SLOTS; n++) {
        if (atomic_read(&slots[n].limit)) {
            atomic_set(&slots[n].limit, 0);
        }
    }
}

static void empty_page_slots_of(PageSlot *slots, vaddr page)
{
    for (unsigned n = 0; n < PAGE_SLOTS; n++) {
        if (slots[n].tag == page) {
            atomic_set(&slots[n].limit, 0);
        }
    }
}

/* --- jump tables --- */

static void empty_jump(TcgCpu *tc, unsigned mode, unsigned slot)
{
    tc->env->jump[mode][slot].pc = UINT64_MAX;
    slot_remove(tc->tlb.mode[mode].jump_filled, slot);
}

static void flush_jumps(TcgCpu *tc, unsigned mode, bool keep_global)
{
    TLBMode *m = &tc->tlb.mode[mode];

    FOREACH_SLOT (slot, m->jump_filled, JUMP_WORDS, keep_global ? m->jump_global : NULL) {
        empty_jump(tc, mode, slot);
    }
    if (!keep_global) {
        memset(m->jump_pages, 0, sizeof(m->jump_pages));
        memset(m->jump_2m, 0, sizeof(m->jump_2m));
    }
}

static unsigned jump_page_hash(uint64_t pc)
{
    return ((pc >> TARGET_PAGE_BITS) ^ (pc >> 25)) % JUMP_PAGE_BITS;
}

static unsigned jump_2m_hash(uint64_t pc)
{
    return ((pc >> LEAF_2M_BITS) ^ (pc >> 33)) % JUMP_PAGE_BITS;
}

/* Most pages that are flushed hold no code.  A block at the end of the page before may straddle into this
 * one. */
static void flush_jump_page(TcgCpu *tc, unsigned mode, vaddr page)
{
    TLBMode *m = &tc->tlb.mode[mode];
    unsigned hash = jump_page_hash(page);

    if (!slot_in(m->jump_pages, hash)) {
        return;
    }
    FOREACH_SLOT (slot, m->jump_filled, JUMP_WORDS, NULL) {
        uint64_t pc = tc->env->jump[mode][slot].pc;

        if (PAGE_OF(pc) == page || PAGE_OF(pc + 2) == page) {
            empty_jump(tc, mode, slot);
        }
    }
}

void tlb_jump_flush(TcgCpu *tc, unsigned mode)
{
    flush_jumps(tc, mode, false);
}

void tlb_jump_insert(TcgCpu *tc, unsigned mode, uint64_t pc, const void *host, bool global)
{
    unsigned slot = jump_table_index(pc);
    TLBMode *m = &tc->tlb.mode[mode];

    tc->env->jump[mode][slot] = (JumpTableEntry){pc, host};
    slot_add(m->jump_filled, slot);
    slot_put(m->jump_global, slot, global);
    slot_add(m->jump_pages, jump_page_hash(pc));
    slot_add(m->jump_pages, jump_page_hash(pc + 2));
    slot_add(m->jump_2m, jump_2m_hash(pc));
    slot_add(m->jump_2m, jump_2m_hash(pc + 2));
}

/* --- where large leaves may be; these ask for less than a lookup and may say yes for nothing --- */

typedef struct LargeHash {
    unsigned one, two;
} LargeHash;

/* Two bits a place: with one, every thirtieth page would be taken for large where the guest maps 1 GiB. */
static LargeHash large_hash(vaddr addr, unsigned class_bits)
{
    uint64_t hash = (addr >> class_bits) * UINT64_C(0x9e3779b97f4a7c15);

    return (LargeHash){hash >> (64 - LARGE_HASH_BITS), hash << LARGE_HASH_BITS >> (64 - LARGE_HASH_BITS)};
}

static bool large_in(const uint64_t *slots, LargeHash hash)
{
    return slot_in(slots, hash.one) && slot_in(slots, hash.two);
}

static void large_add(uint64_t *slots, LargeHash hash)
{
    slot_add(slots, hash.one);
    slot_add(slots, hash.two);
}

static bool in_large_2m(const TLBMode *m, vaddr addr)
{
    return large_in(m->large_2m, large_hash(addr, LEAF_2M_BITS));
}

static bool in_large_1g(const TLBMode *m, vaddr addr)
{
    return large_in(m->large_1g, large_hash(addr, LEAF_1G_BITS));
}

static LeafReach leaf_reach(const TLBMode *m, vaddr addr)
{
    if (m->larger_than_1g || in_large_1g(m, addr)) {
        return REACH_MORE;
    }
    return in_large_2m(m, addr) ? REACH_2M : REACH_PAGE;
}

/* --- second level --- */

static TLB2Entry *leaf_set(SoftTLB *tlb, vaddr addr, unsigned class_bits)
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

static bool leaf_valid(const SoftTLB *tlb, const TLB2Entry *e)
{
    return e->mode_gen == tlb->mode_gen[e->mode] &&
           (e->global || e->asid_gen == tlb->asid_gen[e->asid % TLB2_ASID_GENS]);
}

static TLB2Entry *find_leaf_in(SoftTLB *tlb, vaddr addr, unsigned mode, unsigned class_bits)
{
    vaddr base = addr >> class_bits << class_bits;
    TLB2Entry *set = leaf_set(tlb, addr, class_bits);

    for (unsigned way = 0; way < TLB2_WAYS; way++) {
        TLB2Entry *e = &set[way];

        if (e->vbase == base && e->mode == mode && leaf_valid(tlb, e) &&
            (e->global || e->asid == tlb->mode[mode].asid)) {
            return e;
        }
    }
    return NULL;
}

/* Large leaves first: their sets stay in the host's cache. */
static TLB2Entry *find_leaf(SoftTLB *tlb, vaddr addr, unsigned mode)
{
    const TLBMode *m = &tlb->mode[mode];
    TLB2Entry *e = NULL;

    if (in_large_2m(m, addr)) {
        e = find_leaf_in(tlb, addr, mode, LEAF_2M_BITS);
    }
    if (!e && in_large_1g(m, addr)) {
        e = find_leaf_in(tlb, addr, mode, LEAF_1G_BITS);
    }
    return e ? e : find_leaf_in(tlb, addr, mode, TARGET_PAGE_BITS);
}

static unsigned leaf_class(unsigned leaf_bits)
{
    return leaf_bits >= LEAF_1G_BITS   ? LEAF_1G_BITS
           : leaf_bits >= LEAF_2M_BITS ? LEAF_2M_BITS
                                       : TARGET_PAGE_BITS;
}

static void note_large(TLBMode *m, vaddr addr, unsigned leaf_bits)
{
    if (leaf_bits <= LEAF_2M_BITS) {
        large_add(m->large_2m, large_hash(addr, LEAF_2M_BITS));
    } else {
        large_add(m->large_1g, large_hash(addr, LEAF_1G_BITS));
    }
    m->larger_than_1g |= leaf_bits > LEAF_1G_BITS;
}

static TLB2Entry *leaf_to_replace(SoftTLB *tlb, vaddr addr, unsigned mode, unsigned class_bits)
{
    TLB2Entry *old = find_leaf_in(tlb, addr, mode, class_bits);
    TLB2Entry *set = leaf_set(tlb, addr, class_bits);

    for (unsigned way = 0; !old && way < TLB2_WAYS; way++) {
        old = leaf_valid(tlb, &set[way]) ? NULL : &set[way];
    }
    return old ? old : &set[tlb->victim++ % TLB2_WAYS];
}

static void insert_leaf(SoftTLB *tlb, vaddr addr, unsigned mode, const TlbFill *fill)
{
    unsigned class_bits = leaf_class(fill->page_bits);
    uint64_t in_class = BIT_ULL(class_bits) - 1;
    TLB2Entry *e;

    if (fill->page_bits > TARGET_PAGE_BITS) {
        note_large(&tlb->mode[mode], addr, fill->page_bits);
    }
    tlb->mode[mode].asid = fill->asid;
    e = leaf_to_replace(tlb, addr, mode, class_bits);
    *e = (TLB2Entry){
        .vbase = addr & ~in_class,
        .pbase = PAGE_OF(fill->paddr) - (PAGE_OF(addr) & in_class),
        .mode_gen = tlb->mode_gen[mode],
        .asid_gen = tlb->asid_gen[fill->asid % TLB2_ASID_GENS],
        .asid = fill->asid,
        .mode = mode,
        .prot = fill->prot,
        .leaf_bits = fill->page_bits,
        .global = fill->global,
    };
}

/* Generation 0 is never present, so zeroed entries are invalid. */
static void next_generation(SoftTLB *tlb, uint32_t *generation)
{
    if (++*generation == 0) {
        *generation = 1;
        memset(tlb->leaf_4k, 0, sizeof(tlb->leaf_4k));
        memset(tlb->leaf_2m, 0, sizeof(tlb->leaf_2m));
        memset(tlb->leaf_1g, 0, sizeof(tlb->leaf_1g));
    }
}

/* @asid < 0: all, global ones too. */
static void drop_leaf_in(SoftTLB *tlb, vaddr addr, int asid, unsigned class_bits)
{
    TLB2Entry *set = leaf_set(tlb, addr, class_bits);

    for (unsigned way = 0; way < TLB2_WAYS; way++) {
        TLB2Entry *e = &set[way];

        if (e->vbase == addr >> class_bits << class_bits && (asid < 0 || (!e->global && e->asid == asid))) {
            e->mode_gen = 0;
        }
    }
}

/* Leaves above 1 GiB are kept as several entries of 1 GiB. */
static void drop_giant_leaf(SoftTLB *tlb, vaddr addr, int asid)
{
    for (unsigned i = 0; i < TLB2_SETS_1G * TLB2_WAYS; i++) {
        TLB2Entry *e = &tlb->leaf_1g[i / TLB2_WAYS][i % TLB2_WAYS];

        if (!((e->vbase ^ addr) >> e->leaf_bits) && (asid < 0 || (!e->global && e->asid == asid))) {
            e->mode_gen = 0;
        }
    }
}

static void drop_leaf(SoftTLB *tlb, vaddr addr, int asid, bool large)
{
    drop_leaf_in(tlb, addr, asid, TARGET_PAGE_BITS);
    if (large) {
        drop_leaf_in(tlb, addr, asid, LEAF_2M_BITS);
        drop_giant_leaf(tlb, addr, asid);
        /* leaves of 64 KiB (Svnapot) are kept as single pages */
        for (unsigned i = 0; i < 16; i++) {
            drop_leaf_in(tlb, (addr & ~UINT64_C(0xffff)) + i * TARGET_PAGE_SIZE, asid, TARGET_PAGE_BITS);
        }
    }
}

/* --- RAM windows --- */

static void forget_windows(SoftTLB *tlb)
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

static const RamWindow *find_window(TcgCpu *tc, hwaddr paddr)
{
    SoftTLB *tlb = &tc->tlb;
    MemoryRegionSection section;
    RamWindow window;
    hwaddr xlat;
    bool found;

    for (unsigned i = 0; i < RAM_WINDOWS; i++) {
        if (paddr >= tlb->window[i].first && paddr <= tlb->window[i].last) {
            return &tlb->window[i];
        }
    }
    rcu_read_lock();
    found = address_space_translate(tc->cpu->as, paddr, &section, &xlat) && make_window(&section, &window);
    rcu_read_unlock();
    if (!found || paddr < window.first || paddr > window.last) {
        return NULL;
    }
    RamWindow *slot = &tlb->window[tlb->window_victim++ % RAM_WINDOWS];
    *slot = window;
    return slot;
}

static void locate(TcgCpu *tc, PageAccess *pa)
{
    const RamWindow *window = find_window(tc, pa->paddr);

    pa->host = NULL;
    pa->host_read = pa->host_write = false;
    if (window) {
        uint64_t offset = pa->paddr - window->first;

        pa->host = window->host + offset;
        pa->ram = window->ram + offset;
        pa->mr = window->mr;
        pa->host_read = window->readable;
        pa->host_write = window->writable;
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
    TLB2Entry *e = find_leaf(&tc->tlb, addr, mmu_idx);
    TlbFill fill = {0};

    if (e && e->prot & prot_needed[access]) {
        tcg_stat(tc, level2_hits);
        *pa = (PageAccess){.paddr = e->pbase + (addr - e->vbase),
                           .leaf_bits = e->leaf_bits,
                           .prot = e->prot,
                           .global = e->global};
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
        insert_leaf(&tc->tlb, addr, mmu_idx, &fill);
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

static void flush_fetch(SoftTLB *tlb, unsigned idx_mask, bool keep_global)
{
    for (unsigned i = 0; i < FETCH_TLB_ENTRIES; i++) {
        FetchEntry *e = &tlb->fetch[i];

        if (e->tag != UINT64_MAX && idx_mask & (1u << (e->tag & ~TARGET_PAGE_MASK)) &&
            !(keep_global && e->global)) {
            e->tag = UINT64_MAX;
        }
    }
}

static void flush_fetch_leaf(SoftTLB *tlb, vaddr addr, bool large)
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

/* The first level, the fetch TLB and the jump tables of some modes. */
static void flush_first_level(TcgCpu *tc, unsigned idx_mask, bool keep_global)
{
    SoftTLB *tlb = &tc->tlb;

    tlb->flushes++;
    FOREACH_MODE (m, idx_mask) {
        empty_table(tc->env->tlb_read[m], &tlb->mode[m].read, keep_global);
        spin_lock(&tlb->write_lock);
        empty_table(tc->env->tlb_write[m], &tlb->mode[m].write, keep_global);
        spin_unlock(&tlb->write_lock);
        empty_page_slots(tc->env->read_slot[m]);
        empty_page_slots(tc->env->write_slot[m]);
        flush_jumps(tc, m, keep_global);
    }
    flush_fetch(tlb, idx_mask, keep_global);
}

void tlb_flush_by_mmuidx(TCGEnv *env, unsigned idx_mask)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (!tc) {
        return;
    }
    flush_first_level(tc, idx_mask, false);
    FOREACH_MODE (m, idx_mask) {
        next_generation(&tc->tlb, &tc->tlb.mode_gen[m]);
        memset(tc->tlb.mode[m].large_2m, 0, sizeof(tc->tlb.mode[m].large_2m));
        memset(tc->tlb.mode[m].large_1g, 0, sizeof(tc->tlb.mode[m].large_1g));
        tc->tlb.mode[m].larger_than_1g = false;
    }
}

void tlb_flush(TCGEnv *env)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (tc) {
        tcg_stat(tc, flushes_all);
        tlb_flush_by_mmuidx(env, ALL_MODES);
    }
}

/* The biggest leaf that may hold @addr decides how far its jump table entries are dropped. */
static void flush_mode_page(TcgCpu *tc, unsigned mode, vaddr addr, LeafReach reach)
{
    TLBMode *m = &tc->tlb.mode[mode];
    const TLBEntry *write = &tc->env->tlb_write[mode][tlb_index(addr)];
    bool large = reach != REACH_PAGE;

    empty_leaf(tc->env->tlb_read[mode], &m->read, addr, reach);
    /* other threads only empty write entries: one that is absent stays so */
    if (large || atomic_read(&write->tag) == PAGE_OF(addr)) {
        spin_lock(&tc->tlb.write_lock);
        empty_leaf(tc->env->tlb_write[mode], &m->write, addr, reach);
        spin_unlock(&tc->tlb.write_lock);
    }
    if (large) {
        empty_page_slots(tc->env->read_slot[mode]);
        empty_page_slots(tc->env->write_slot[mode]);
        if (reach == REACH_MORE || slot_in(m->jump_2m, jump_2m_hash(addr))) {
            flush_jumps(tc, mode, false);
        }
    } else {
        empty_page_slots_of(tc->env->read_slot[mode], PAGE_OF(addr));
        empty_page_slots_of(tc->env->write_slot[mode], PAGE_OF(addr));
        flush_jump_page(tc, mode, PAGE_OF(addr));
    }
}

/* @asid < 0: all of them, and global pages. */
static void flush_page(TcgCpu *tc, vaddr addr, int asid)
{
    bool any_large = false;

    tcg_stat(tc, flushes_page);
    tc->tlb.flushes++;
    FOREACH_MODE (m, ALL_MODES) {
        LeafReach reach = leaf_reach(&tc->tlb.mode[m], addr);

        any_large |= reach != REACH_PAGE;
        if (asid < 0 || asid == tc->tlb.mode[m].asid) {
            flush_mode_page(tc, m, addr, reach);
        }
    }
    flush_fetch_leaf(&tc->tlb, addr, any_large);
    drop_leaf(&tc->tlb, addr, asid, any_large);
}

void tlb_flush_page(TCGEnv *env, vaddr addr)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (tc) {
        flush_page(tc, addr, -1);
    }
}

void tlb_flush_page_asid(TCGEnv *env, vaddr addr, uint16_t asid)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (tc) {
        flush_page(tc, addr, asid);
    }
}

void tlb_flush_asid(TCGEnv *env, uint16_t asid)
{
    TcgCpu *tc = env_tcg_cpu(env);
    unsigned present = 0;

    if (!tc) {
        return;
    }
    tcg_stat(tc, flushes_asid);
    FOREACH_MODE (m, ALL_MODES) {
        present |= tc->tlb.mode[m].asid == asid ? 1u << m : 0;
    }
    flush_first_level(tc, present, true);
    next_generation(&tc->tlb, &tc->tlb.asid_gen[asid % TLB2_ASID_GENS]);
}

void tlb_switch_asid(TCGEnv *env, unsigned idx_mask, uint16_t asid)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (!tc) {
        return;
    }
    tcg_stat(tc, asid_switches);
    FOREACH_MODE (m, idx_mask) {
        tc->tlb.mode[m].asid = asid;
    }
    flush_first_level(tc, idx_mask, true);
}

void tlb_forget_all(TcgCpu *tc)
{
    tlb_flush(tc->env);
    forget_windows(&tc->tlb);
}

void tlb_drop_writes(TcgCpu *tc, ram_addr_t start, uint64_t length)
{
    SoftTLB *tlb = &tc->tlb;
    ram_addr_t first = start & TARGET_PAGE_MASK;
    ram_addr_t last = start + length - 1;

    spin_lock(&tlb->write_lock);
    atomic_set(&tlb->rearms, tlb->rearms + 1);
    for (unsigned m = 0; m < TCG_MMU_MODES; m++) {
        TLBIndex *index = &tlb->mode[m].write;

        FOREACH_SLOT (slot, index->filled, TLB_WORDS, NULL) {
            ram_addr_t page = tlb->mode[m].write_page[slot];

            if (page >= first && page <= last) {
                empty_slot(tc->env->tlb_write[m], index, slot);
            }
        }
    }
    /* entries before page slots; pairs with the barrier between filling a slot and looking at its entry again */
    smp_mb();
    for (unsigned m = 0; m < TCG_MMU_MODES; m++) {
        empty_page_slots(tc->env->write_slot[m]);
    }
    spin_unlock(&tlb->write_lock);
}

/* --- filling the first level --- */

void tlb_install_read(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    unsigned slot = tlb_index(addr);
    TLBEntry *e = &tc->env->tlb_read[mmu_idx][slot];

    if (pa->host_read && pa->leaf_bits) {
        e->addend = (uintptr_t)pa->host - addr;
        atomic_set(&e->tag, PAGE_OF(addr));
        note_filled(&tc->tlb.mode[mmu_idx].read, slot, pa);
    }
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

/*
 * D4 against a refill: who takes a bit clears it and then empties entries under this lock.  The look at the
 * bits and the fill are one step under it, so either the look comes later and sees the clear bit, or the
 * entry is there to be emptied.
 */
bool tlb_install_write(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    SoftTLB *tlb = &tc->tlb;
    TLBMode *m = &tlb->mode[mmu_idx];
    unsigned slot = tlb_index(addr);
    TLBEntry *e = &tc->env->tlb_write[mmu_idx][slot];
    bool fast;

    spin_lock(&tlb->write_lock);
    fast = pa->host_write && !tlb_clients_waiting(pa);
    if (fast && pa->leaf_bits) {
        e->addend = (uintptr_t)pa->host - addr;
        atomic_set(&e->tag, PAGE_OF(addr));
        m->write_page[slot] = pa->ram & TARGET_PAGE_MASK;
        note_filled(&m->write, slot, pa);
    }
    spin_unlock(&tlb->write_lock);
    return fast;
}

/*
 * Stores foreseen.  Code that changes what it read, one page after the other, would miss twice in each.  One
 * load in sixteen is left alone, to see whether that is still so.
 */
#define FORESEEN_AT_ONCE 15

void tlb_note_store(TcgCpu *tc, vaddr addr, unsigned mmu_idx)
{
    SoftTLB *tlb = &tc->tlb;

    if (tlb->lone_load == (PAGE_OF(addr) | mmu_idx)) {
        tlb->lone_load = NO_LONE_LOAD;
        tlb->foreseen = FORESEEN_AT_ONCE;
    }
}

/* A store of its own would pass the gate first, and lockstep has to see the first store to a page. */
static bool may_foresee(const PageAccess *pa)
{
    return pa->leaf_bits && pa->prot & PAGE_WRITE && !ram_gate_closed() && !tcg_accel_config.no_store_ahead &&
           !tcg_accel_config.lockstep;
}

void tlb_install_load(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa)
{
    SoftTLB *tlb = &tc->tlb;

    tlb_install_read(tc, addr, mmu_idx, pa);
    if (!may_foresee(pa)) {
        return;
    }
    if (!tlb->foreseen) {
        tlb->lone_load = PAGE_OF(addr) | mmu_idx;
        return;
    }
    tlb->foreseen--;
    if (tlb_install_write(tc, addr, mmu_idx, pa)) {
        tcg_stat(tc, stores_ahead);
    }
}

void tlb_init(TcgCpu *tc)
{
    SoftTLB *tlb = &tc->tlb;

    for (unsigned m = 0; m < TCG_MMU_MODES; m++) {
        for (unsigned slot = 0; slot < TLB_ENTRIES; slot++) {
            tc->env->tlb_read[m][slot].tag = TLB_EMPTY_TAG(slot);
            tc->env->tlb_write[m][slot].tag = TLB_EMPTY_TAG(slot);
        }
        for (unsigned slot = 0; slot < 1u << JUMP_TABLE_BITS; slot++) {
            tc->env->jump[m][slot].pc = UINT64_MAX;
        }
        tlb->mode_gen[m] = 1;
    }
    for (unsigned i = 0; i < TLB2_ASID_GENS; i++) {
        tlb->asid_gen[i] = 1;
    }
    for (unsigned i = 0; i < FETCH_TLB_ENTRIES; i++) {
        tlb->fetch[i].tag = UINT64_MAX;
    }
    tlb->lone_load = NO_LONE_LOAD;
    forget_windows(tlb);
    spin_init(&tlb->write_lock);
}
