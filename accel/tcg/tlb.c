/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emptying the soft TLB, by its own vCPU or for a client that takes dirty bits.  See tlb.h. */
#include "tlb-internal.h"

#define ALL_MODES   ((1u << TCG_MMU_MODES) - 1)
#define WORDS_OF_2M ((1u << (LEAF_2M_BITS - TARGET_PAGE_BITS)) / 64)
#define FOREACH_MODE(m, mask)                                                                                \
    for (unsigned m = 0; m < TCG_MMU_MODES; m++)                                                             \
        if ((mask) & (1u << m))

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

/* --- flushes --- */

/* The first level, the fetch TLB and the jump tables of some modes. */
static void flush_first_level(TcgCpu *tc, unsigned idx_mask, bool keep_global)
{
    SoftTLB *tlb = &tc->tlb;

    tlb->flushes++;
    FOREACH_MODE (m, idx_mask) {
        empty_table(tc->env->tlb_read[m], &tlb->mode[m].read, keep_global);
        empty_table(tc->env->tlb_write[m], &tlb->mode[m].write, keep_global);
        empty_page_slots(tc->env->read_slot[m]);
        empty_page_slots(tc->env->write_slot[m]);
        tlb_flush_jumps(tc, m, keep_global);
    }
    tlb_flush_fetch(tlb, idx_mask, keep_global);
}

void tlb_flush_by_mmuidx(TCGEnv *env, unsigned idx_mask)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (!tc) {
        return;
    }
    flush_first_level(tc, idx_mask, false);
    FOREACH_MODE (m, idx_mask) {
        tlb_forget_leaves_of_mode(&tc->tlb, m);
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
    bool large = reach != REACH_PAGE;

    empty_leaf(tc->env->tlb_read[mode], &m->read, addr, reach);
    empty_leaf(tc->env->tlb_write[mode], &m->write, addr, reach);
    if (large) {
        empty_page_slots(tc->env->read_slot[mode]);
        empty_page_slots(tc->env->write_slot[mode]);
        tlb_flush_jumps_near(tc, mode, addr, reach);
    } else {
        empty_page_slots_of(tc->env->read_slot[mode], PAGE_OF(addr));
        empty_page_slots_of(tc->env->write_slot[mode], PAGE_OF(addr));
        tlb_flush_jump_page(tc, mode, PAGE_OF(addr));
    }
}

/* @asid < 0: all of them, and global pages. */
static void flush_page(TcgCpu *tc, vaddr addr, int asid)
{
    bool any_large = false;

    tcg_stat(tc, flushes_page);
    tc->tlb.flushes++;
    FOREACH_MODE (m, ALL_MODES) {
        LeafReach reach = tlb_leaf_reach(&tc->tlb.mode[m], addr);

        any_large |= reach != REACH_PAGE;
        if (asid < 0 || asid == tc->tlb.mode[m].asid) {
            flush_mode_page(tc, m, addr, reach);
        }
    }
    tlb_flush_fetch_leaf(&tc->tlb, addr, any_large);
    tlb_drop_leaf(&tc->tlb, addr, asid, any_large);
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
    tlb_forget_leaves_of_asid(&tc->tlb, asid);
}

void tlb_switch_asid(TCGEnv *env, unsigned idx_mask, uint16_t asid)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (!tc) {
        return;
    }
    tcg_stat(tc, asid_switches);
    FOREACH_MODE (m, idx_mask) {
        tlb_use_asid(&tc->tlb, m, asid);
    }
    flush_first_level(tc, idx_mask, true);
}

void tlb_forget_all(TcgCpu *tc)
{
    tlb_flush(tc->env);
    tlb_forget_windows(&tc->tlb);
}

/*
 * The vCPU may be refilling what is emptied here, with another page: then it loses an entry for nothing.  That slots
 * of empty entries stay in the index does no harm.
 */
void tlb_drop_writes(TcgCpu *tc, ram_addr_t start, uint64_t length)
{
    ram_addr_t first = start & TARGET_PAGE_MASK;
    ram_addr_t last = start + length - 1;

    for (unsigned m = 0; m < TCG_MMU_MODES; m++) {
        const TLBMode *mode = &tc->tlb.mode[m];

        FOREACH_SLOT (slot, mode->write.filled, TLB_WORDS, NULL) {
            ram_addr_t page = atomic_read(&mode->write_page[slot]);

            if (page >= first && page <= last) {
                atomic_set(&tc->env->tlb_write[m][slot].tag, TLB_EMPTY_TAG(slot));
            }
        }
    }
    /* entries before page slots; pairs with the barrier between filling a slot and looking at its entry again */
    smp_mb();
    for (unsigned m = 0; m < TCG_MMU_MODES; m++) {
        empty_page_slots(tc->env->write_slot[m]);
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
    }
    tlb_init_leaves(tlb);
    for (unsigned i = 0; i < FETCH_TLB_ENTRIES; i++) {
        tlb->fetch[i].tag = UINT64_MAX;
    }
    tlb->lone_load = NO_LONE_LOAD;
    tlb_forget_windows(tlb);
}
