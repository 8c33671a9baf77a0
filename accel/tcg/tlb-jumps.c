/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft TLB's side of the jump tables: what translated code finds there goes when the mapping of its page goes.
 * Hashes of pages say which flushes need not look.
 */
#include "tlb-internal.h"

#define JUMP_WORDS         ((1u << JUMP_TABLE_BITS) / 64)
#define JUMP_WORDS_OF_PAGE (TARGET_PAGE_SIZE / 2 / 64)

static void empty_jump(TcgCpu *tc, unsigned mode, unsigned slot)
{
    tc->env->jump[mode][slot].pc = UINT64_MAX;
    slot_remove(tc->tlb.mode[mode].jump_filled, slot);
}

void tlb_flush_jumps(TcgCpu *tc, unsigned mode, bool keep_global)
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

static uint64_t jump_target(TcgCpu *tc, unsigned mode, unsigned slot)
{
    return tc->env->jump[mode][slot].pc;
}

/*
 * Most pages that are flushed hold no code.  The slots of a page lie side by side; the one before them may be of a block
 * at the end of the page before, which may straddle into this one.
 */
void tlb_flush_jump_page(TcgCpu *tc, unsigned mode, vaddr page)
{
    TLBMode *m = &tc->tlb.mode[mode];
    unsigned first = jump_table_index(page), before = jump_table_index(page - 2);

    if (!slot_in(m->jump_pages, jump_page_hash(page))) {
        return;
    }
    if (jump_target(tc, mode, before) == page - 2) {
        empty_jump(tc, mode, before);
    }
    FOREACH_SLOT (n, m->jump_filled + first / 64, JUMP_WORDS_OF_PAGE, NULL) {
        if (PAGE_OF(jump_target(tc, mode, first + n)) == page) {
            empty_jump(tc, mode, first + n);
        }
    }
}

void tlb_flush_jumps_near(TcgCpu *tc, unsigned mode, vaddr addr, LeafReach reach)
{
    if (reach == REACH_MORE || slot_in(tc->tlb.mode[mode].jump_2m, jump_2m_hash(addr))) {
        tlb_flush_jumps(tc, mode, false);
    }
}

void tlb_jump_flush(TcgCpu *tc, unsigned mode)
{
    tlb_flush_jumps(tc, mode, false);
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
