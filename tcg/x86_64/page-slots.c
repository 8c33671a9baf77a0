/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page slots: a site of translated code first asks whether it accesses the page that it accessed last.
 *
 * That takes fewer instructions than the first level of the soft TLB, and the host address no longer waits for
 * the guest address: the processor predicts the answer.  A site that keeps changing pages would be mispredicted
 * instead, so when a slot is filled too often in too short a time, the accelerator is told, and has the site
 * that did it translated again without (tcg_site_without_slot()).
 *
 * Slots hold what the first level held and are emptied when the first level is.  Write slots are emptied by
 * other threads too, and are filled without a lock: fill, full barrier, look whether the first level still has
 * the page; who empties does it in the opposite order (tlb_drop_writes()).
 */
#include "tcg/x86_64/emit.h"
#include "util/atomic.h"

#include <string.h>

#define JUDGED_FILLS 64   /* a site is judged when its slot was filled this often, */
#define MIN_CYCLES   2000 /* and must have taken that long for each; by the time stamp counter */

_Static_assert(PAGE_SLOT_LIMIT == TCG_PAGE_SIZE - 8 + 1, "what fits into 8 bytes may not cross the page");

/* --- which sites: those in loops within the block --- */

/* Elsewhere code is too seldom back at a site while its slot still holds its page. */
void plan_slots(Emit *e)
{
    if (!e->n_labels) {
        return;
    }
    memset(e->in_loop, 0, e->b->n_ops);
    for (unsigned i = 0; i < e->b->n_ops; i++) {
        const IROp *op = &e->b->ops[i];
        EmitLabel *label = op->opc == IR_BRCOND || op->opc == IR_JMP ? find_label(e, op->imm) : NULL;

        if (label && label->op_index <= i) {
            memset(e->in_loop + label->op_index, 1, i - label->op_index);
        }
    }
}

bool site_has_slot(const Emit *e)
{
    uint64_t site = e->b->code_page + e->insn_offset;

    return e->n_labels && e->in_loop[e->op - e->b->ops] && !tcg_state.config.no_page_slots &&
           !tcg_site_is_plain(site);
}

/* --- the site --- */

/* What filling needs to know; lies in the code, behind the site's slow path. */
typedef struct SiteInfo {
    uint64_t site;
    int64_t slot; /* in the env, from rbp */
} SiteInfo;

static int32_t slot_disp(const Emit *e, bool write)
{
    unsigned n = e->insn_offset / 2 % PAGE_SLOTS;
    size_t array = write ? offsetof(TCGEnv, write_slot) : offsetof(TCGEnv, read_slot);

    return (int32_t)(array + (e->b->mmu_idx * PAGE_SLOTS + n) * sizeof(PageSlot)) - ENV_BIAS;
}

static RM slot_field(int32_t slot, size_t field)
{
    return rm_mem(RBP, slot + (int32_t)field);
}

static void jump_to_offset(Asm *a, uint32_t offset)
{
    asm_byte(a, 0xe9);
    asm_u32(a, 0);
    asm_patch_to(a, asm_offset(a) - 4, offset);
}

/* The slot does not have the page: as without slots, but for filling it when the first level has the page. */
static void slow_slot(Emit *e, const SlowPath *s)
{
    Asm *a = &e->a;
    uint32_t lea;

    asm_tlb_index(a, s->reg, e->b->mmu_idx, s->write, s->span);
    asm_byte(a, 0x0f);
    asm_byte(a, 0x80 | CC_A);
    asm_u32(a, 0);
    asm_patch_to(a, asm_offset(a) - 4, s->miss->at);
    /* lea rdx, [rip + the SiteInfo] */
    asm_byte(a, 0x48);
    asm_byte(a, 0x8d);
    asm_byte(a, 0x15);
    asm_u32(a, 0);
    lea = asm_offset(a) - 4;
    asm_call(a, x86_host.thunks.fill_slot[s->write][e->b->mmu_idx % TCG_MMU_MODES]);
    asm_tlb_addend(a, e->b->mmu_idx, s->write);
    jump_to_offset(a, s->back);
    while ((uintptr_t)a->p % _Alignof(SiteInfo)) {
        asm_byte(a, 0xcc);
    }
    asm_patch_here(a, lea);
    asm_u64(a, e->b->code_page + s->insn_offset);
    asm_u64(a, (int64_t)slot_disp(e, s->write));
}

void emit_slot_check(Emit *e, int addr, bool write, unsigned span, SlowPath *miss)
{
    SlowPath *s = new_slow(e, slow_slot);
    int32_t slot = slot_disp(e, write);
    Asm *a = &e->a;

    s->reg = addr;
    s->write = write;
    s->span = span;
    s->miss = miss;
    asm_mov_rr(a, 1, RDX, addr);
    asm_alu(a, ALU_XOR, 1, RDX, slot_field(slot, offsetof(PageSlot, tag)));
    if (span > 8) {
        /* the last 8 bytes too */
        asm_lea(a, 1, RCX, rm_mem(addr, (int32_t)span - 8));
        asm_alu(a, ALU_XOR, 1, RCX, slot_field(slot, offsetof(PageSlot, tag)));
        asm_alu(a, ALU_OR, 1, RDX, rm_reg(RCX));
    }
    asm_alu(a, ALU_CMP, 1, RDX, slot_field(slot, offsetof(PageSlot, limit)));
    slow_from(e, s, CC_AE);
    asm_load(a, 1, RCX, slot_field(slot, offsetof(PageSlot, addend)));
    s->back = asm_offset(a);
}

/*
 * The slot's fills ran out.  Called with registers, xmm too, as translated code has them: no sanitizer may report from
 * here.
 */
__attribute__((target("general-regs-only"), no_sanitize("thread", "address", "undefined"))) static void
judge(TCGEnv *env, const SiteInfo *info)
{
    PageSlot *slot = (PageSlot *)((char *)env + ENV_BIAS + info->slot);
    uint64_t now = __builtin_ia32_rdtsc(), took = now - slot->since;

    slot->since = now;
    slot->fills = JUDGED_FILLS;
    if (took < JUDGED_FILLS * MIN_CYCLES && env->n_bad_sites < TCG_BAD_SITES) {
        env->bad_site[env->n_bad_sites++] = info->site;
        atomic_set(&env->exit_request, TCG_EXIT_WANTED);
    }
}

/* --- filling --- */

static void push_pop(Asm *a, int opcode, int reg)
{
    if (reg & 8) {
        asm_byte(a, 0x41);
    }
    asm_byte(a, opcode | (reg & 7));
}

static void make_judge(Asm *a)
{
    static const uint8_t saved[] = {RCX, RSI, RDI, R8, R9, R10, R11};

    for (unsigned i = 0; i < sizeof(saved); i++) {
        push_pop(a, 0x50, saved[i]);
    }
    asm_mov_rr(a, 1, RSI, RDX);
    asm_lea(a, 1, RDI, rm_mem(RBP, -ENV_BIAS));
    asm_mov_imm(a, RAX, (uintptr_t)judge);
    asm_modrm(a, 0xff, 0, 2, rm_reg(RAX), 0);
    for (unsigned i = sizeof(saved); i-- > 0;) {
        push_pop(a, 0x58, saved[i]);
    }
}

/* rdx becomes the tag of the entry that rcx says; jumps when another thread has just emptied it. */
static uint32_t emit_entry_tag(Asm *a, int32_t table)
{
    asm_load(a, 1, RDX, rm_sib(RBP, RCX, 0, table + (int32_t)offsetof(TLBEntry, tag)));
    asm_mov_rr(a, 0, RSI, RDX);
    asm_shift_imm(a, SH_SHR, 0, RSI, TCG_PAGE_BITS - 4);
    asm_alu_imm(a, ALU_AND, 0, rm_reg(RSI), (TLB_ENTRIES - 1) * (int)sizeof(TLBEntry));
    asm_alu(a, ALU_CMP, 0, RSI, rm_reg(RCX));
    return asm_jcc_forward(a, CC_NE);
}

/* call; rdx: SiteInfo, rcx: 16 times the index of a first-level entry that was valid; keeps all but rdx. */
static void make_fill(Asm *a, bool write, unsigned mode)
{
    size_t array = write ? offsetof(TCGEnv, tlb_write) : offsetof(TCGEnv, tlb_read);
    int32_t table = (int32_t)(array + mode * sizeof(TLBEntry) * TLB_ENTRIES) - ENV_BIAS;
    uint32_t judged, emptied;

    push_pop(a, 0x50, RAX);
    asm_movsxd(a, RAX, rm_mem(RDX, offsetof(SiteInfo, slot)));
    asm_alu(a, ALU_ADD, 1, RAX, rm_reg(RBP));
    asm_alu_imm(a, ALU_SUB, 1, rm_mem(RAX, offsetof(PageSlot, fills)), 1);
    judged = asm_jcc_forward(a, CC_S);
    push_pop(a, 0x50, RSI);
    emptied = emit_entry_tag(a, table);
    asm_store(a, 1, rm_mem(RAX, offsetof(PageSlot, tag)), RDX);
    asm_load(a, 1, RSI, rm_sib(RBP, RCX, 0, table + (int32_t)offsetof(TLBEntry, addend)));
    asm_store(a, 1, rm_mem(RAX, offsetof(PageSlot, addend)), RSI);
    asm_mov_imm(a, RSI, PAGE_SLOT_LIMIT);
    if (write) {
        uint32_t still;

        asm_modrm(a, 0x87, 1, RSI, rm_mem(RAX, offsetof(PageSlot, limit)), 0); /* xchg: a full barrier */
        asm_alu(a, ALU_CMP, 1, RDX, rm_sib(RBP, RCX, 0, table + (int32_t)offsetof(TLBEntry, tag)));
        still = asm_jcc_short(a, CC_E);
        asm_store_imm32(a, 1, rm_mem(RAX, offsetof(PageSlot, limit)), 0);
        asm_patch_short(a, still);
    } else {
        asm_store(a, 1, rm_mem(RAX, offsetof(PageSlot, limit)), RSI);
    }
    asm_patch_here(a, emptied);
    push_pop(a, 0x58, RSI);
    push_pop(a, 0x58, RAX);
    asm_byte(a, 0xc3);
    asm_patch_here(a, judged);
    make_judge(a);
    push_pop(a, 0x58, RAX);
    asm_byte(a, 0xc3);
}

void make_slot_thunks(Asm *a)
{
    for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
        for (int write = 0; write < 2; write++) {
            while ((uintptr_t)a->p & 15) {
                asm_byte(a, 0xcc);
            }
            x86_host.thunks.fill_slot[write][mode] = a->p - a->rx_delta;
            make_fill(a, write, mode);
        }
    }
}
