/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses of a memory group that the group's check does not vouch for: thunks that look in the first level of the
 * soft TLB and go on to C only when it does not have the page.
 *
 * In line such a look takes several times the bytes of the call, for each access of each group, and most never run.
 */
#include "tcg/x86_64/emit.h"

static void push_pop(Asm *a, int opcode, int reg)
{
    asm_byte(a, opcode | reg);
}

static const void *begin(Asm *a)
{
    while ((uintptr_t)a->p & 15) {
        asm_byte(a, 0xcc);
    }
    return a->p - a->rx_delta;
}

/* rax: address, edx: for C -> rax */
static const void *make_load(Asm *a, unsigned mode, unsigned mem)
{
    const void *thunk = begin(a);

    push_pop(a, 0x50, RDX);
    asm_tlb_index(a, RAX, mode, false, 1u << (mem & IR_MEM_SIZE));
    push_pop(a, 0x58, RDX);
    asm_jcc(a, CC_A, x86_host.thunks.load);
    asm_tlb_addend(a, mode, false);
    asm_raw_load(a, RAX, rm_sib(RCX, RAX, 0, 0), mem);
    asm_byte(a, 0xc3);
    return thunk;
}

/* rax: address, rcx: value, edx: for C */
static const void *make_store(Asm *a, unsigned mode, unsigned size)
{
    const void *thunk = begin(a);
    uint32_t miss;

    push_pop(a, 0x50, RCX);
    push_pop(a, 0x50, RDX);
    asm_tlb_index(a, RAX, mode, true, 1u << size);
    push_pop(a, 0x58, RDX);
    miss = asm_jcc_short(a, CC_A);
    asm_tlb_addend(a, mode, true);
    push_pop(a, 0x58, RDX);
    asm_raw_store(a, rm_sib(RCX, RAX, 0, 0), RDX, size);
    asm_byte(a, 0xc3);
    asm_patch_short(a, miss);
    push_pop(a, 0x58, RCX);
    asm_jmp(a, x86_host.thunks.store);
    return thunk;
}

void make_alone_thunks(Asm *a)
{
    for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
        for (unsigned mem = 0; mem < 8; mem++) {
            x86_host.thunks.load_alone[mode][mem] = make_load(a, mode, mem);
        }
        for (unsigned size = 0; size < 4; size++) {
            x86_host.thunks.store_alone[mode][size] = make_store(a, mode, size);
        }
    }
}

const void *alone_load_thunk(const Emit *e, const IROp *op)
{
    unsigned kind = op->mem & (IR_MEM_SIZE | IR_MEM_SIGN);

    return op->mem & IR_MEM_FP_BOX ? x86_host.thunks.load : x86_host.thunks.load_alone[e->b->mmu_idx % TCG_MMU_MODES][kind];
}

const void *alone_store_thunk(const Emit *e, const IROp *op)
{
    return x86_host.thunks.store_alone[e->b->mmu_idx % TCG_MMU_MODES][op->mem & IR_MEM_SIZE];
}
