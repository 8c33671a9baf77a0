/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways into, round and out of a block.
 *
 * A jump to another block of the page is a rel32 that first leads to a stub behind the block, which returns
 * to C with the block's cookie; linking points it at the other block's entry.  Jumps elsewhere look in the
 * vCPU's jump table. Only backward jumps and table entries poll exit_request: every endless path has one of
 * them.
 */
#include "tcg/x86_64/emit.h"

#include "util/counters.h"
#include <string.h>

COUNTER(jit_short_jumps, "jumps and polls whose code is shorter than with 'no-short-jumps'");

static bool use_short_jump(Emit *e)
{
    e->n_short_jumps += !tcg_state.config.no_short_jumps;
    return !tcg_state.config.no_short_jumps;
}

/*
 * Returns the condition that holds afterwards if somebody wants the thread.  A comparison with esp fuses with the
 * jump, which one of memory with 0 does not, and no other register has a value that is known everywhere.
 */
static int emit_poll(Emit *e)
{
    if (!use_short_jump(e)) {
        asm_alu_imm(&e->a, ALU_CMP, 0, ENV(exit_request), 0);
        return CC_NE;
    }
    asm_alu(&e->a, ALU_CMP, 0, RSP, ENV(exit_request));
    return CC_B;
}

/* The table entry's first instruction must cover the five bytes of the jump that tcg_kill() writes. */
void emit_table_entry(Emit *e)
{
    Asm *a = &e->a;

    e->code->table_entry = asm_offset(a);
    /* lea rcx, [rax - page_offset] with a 32-bit displacement in any case: 7 bytes */
    asm_byte(a, 0x48);
    asm_byte(a, 0x8d);
    asm_byte(a, 0x88);
    asm_u32(a, -e->b->page_offset);
    asm_store(a, 1, ENV(page_base), RCX);
    asm_jcc(a, emit_poll(e), x86_host.thunks.exit_table);
    e->code->entry = asm_offset(a);
    memcpy(&e->code->alive, a->start + e->code->table_entry, sizeof(e->code->alive));
}

/* --- labels --- */

static bool is_jumped_to_earlier(const Emit *e, unsigned label)
{
    for (unsigned i = 0; i < label; i++) {
        const IROp *op = &e->b->ops[i];

        if ((op->opc == IR_BRCOND || op->opc == IR_JMP) && op->imm == e->b->ops[label].imm) {
            return true;
        }
    }
    return false;
}

void collect_labels(Emit *e)
{
    for (unsigned i = 0; i < e->b->n_ops && e->n_labels < IR_MAX_LABELS; i++) {
        if (e->b->ops[i].opc == IR_LABEL && !find_label(e, e->b->ops[i].imm)) {
            e->labels[e->n_labels++] = (EmitLabel){
                .offset = e->b->ops[i].imm, .op_index = i, .forward = is_jumped_to_earlier(e, i)};
        }
    }
}

EmitLabel *find_label(Emit *e, int64_t offset)
{
    for (unsigned i = 0; i < e->n_labels; i++) {
        if (e->labels[i].offset == offset) {
            return &e->labels[i];
        }
    }
    return NULL;
}

void emit_label(Emit *e, const IROp *op)
{
    EmitLabel *label = find_label(e, op->imm);

    e->boxed = 0;
    if (!label || label->op_index != op - e->b->ops) {
        /* A label too many, or twice: nobody jumps here, but values must not be assumed either. */
        fp_sync(e);
        fp_cache_clear(e);
        return;
    }
    if (label->forward) {
        /* Registers may only hold what can be loaded from homes without a doubt. */
        fp_sync(e);
        fp_cache_clear(e);
    }
    fp_prepare_loop(e, label);
    e->boxed = 0;
    label->loop = asm_offset(&e->a);
    label->fp = e->fp;
    label->placed = true;
}

static void add_fixup(Emit *e, uint32_t at, const EmitLabel *label)
{
    if (e->n_fixups == MAX_FIXUPS) {
        e->a.overflow = true;
        return;
    }
    e->fixups[e->n_fixups++] = (LabelFixup){.at = at, .label = label - e->labels};
}

/* The jump at rel32 @at goes to @label; FP registers are as the label wants them at its loop entry. */
static void bind_to_label(Emit *e, uint32_t at, const EmitLabel *label)
{
    if (label->placed) {
        asm_patch_to(&e->a, at, label->loop);
    } else {
        add_fixup(e, at, label);
    }
}

static unsigned loop_of_label(const Emit *e, const EmitLabel *label)
{
    return loop_at(e, label->op_index);
}

/* --- exits --- */

static void slow_chain_stub(Emit *e, const SlowPath *s)
{
    unsigned n = s->arg;
    TCGJump *jump = &e->code->jumps[n];

    jump->stub = asm_offset(&e->a);
    asm_mov_imm_keep_flags(&e->a, RDX, jump->target | n << 16);
    if (e->chain_common) {
        asm_byte(&e->a, 0xe9);
        asm_u32(&e->a, 0);
        asm_patch_to(&e->a, asm_offset(&e->a) - 4, e->chain_common);
        return;
    }
    e->chain_common = asm_offset(&e->a);
    asm_mov_imm_keep_flags(&e->a, RAX, e->cookie);
    asm_jmp(&e->a, x86_host.thunks.exit_chain);
}

static void store_pc(Emit *e, int64_t offset)
{
    asm_load(&e->a, 1, RDX, ENV(page_base));
    asm_alu_imm(&e->a, ALU_ADD, 1, rm_reg(RDX), (int32_t)offset);
    asm_store(&e->a, 1, ENV(pc), RDX);
}

static void emit_exit(Emit *e, int64_t offset, unsigned reason)
{
    store_pc(e, offset);
    asm_mov_imm_keep_flags(&e->a, RAX, reason);
    asm_jmp(&e->a, x86_host.thunks.exit);
}

static void slow_exit_lookup(Emit *e, const SlowPath *s)
{
    emit_exit(e, s->op->imm, TCG_EXIT_LOOKUP);
}

/* The jump whose rel32 ends at the current position goes to offset @target of the page. */
static void add_chained_jump(Emit *e, int64_t target)
{
    TCGCode *code = e->code;
    bool linkable = code->n_jumps < TCG_MAX_JUMPS && target >= 0 && target < 0xffff;
    SlowPath *s = new_slow(e, linkable ? slow_chain_stub : slow_exit_lookup);

    s->from[s->n_from++] = asm_offset(&e->a) - 4;
    if (linkable) {
        s->arg = code->n_jumps++;
        code->jumps[s->arg].patch = asm_offset(&e->a) - 4;
        code->jumps[s->arg].target = target;
        e->n_short_jumps += (uintptr_t)(e->a.p - 4) % 4 != 0;
    }
}

/*
 * Padding that a rel32 which would start @ahead bytes from now needs so as to lie within 8 aligned bytes.  The long
 * form has it aligned.
 */
static unsigned rel32_padding(const Emit *e, unsigned ahead)
{
    unsigned off = (uintptr_t)(e->a.p + ahead) & 7;

    if (tcg_state.config.no_short_jumps) {
        return -off & 3;
    }
    return off > 4 ? 8 - off : 0;
}

static void align_rel32(Emit *e, unsigned ahead)
{
    asm_nops(&e->a, rel32_padding(e, ahead));
}

static void slow_poll(Emit *e, const SlowPath *s)
{
    fp_sync_slow(e, &s->fp);
    enter_loop(e, 0);
    asm_mov_imm_keep_flags(&e->a, RDX, s->op->imm);
    asm_jmp(&e->a, x86_host.thunks.exit_request);
}

/* Is a jump from the current op to offset @target backward, so that it must poll? */
static bool is_backward(Emit *e, const EmitLabel *label, int64_t target)
{
    if (label) {
        return label->op_index <= (unsigned)(e->op - e->b->ops);
    }
    return target <= (int64_t)e->insn_offset;
}

static void emit_jump(Emit *e, const IROp *op)
{
    EmitLabel *label = find_label(e, op->imm);

    if (is_backward(e, label, op->imm)) {
        SlowPath *s = new_slow(e, slow_poll);

        slow_from(e, s, emit_poll(e));
    }
    if (label) {
        if (label->placed) {
            fp_match(e, &label->fp);
        } else {
            fp_sync(e);
        }
        enter_loop(e, loop_of_label(e, label));
        bind_to_label(e, asm_jmp_forward(&e->a), label);
        return;
    }
    fp_sync(e);
    enter_loop(e, 0);
    align_rel32(e, 1);
    asm_jmp_forward(&e->a);
    add_chained_jump(e, op->imm);
}

/* --- conditional branches --- */

static void compare(Emit *e, const IROp *op)
{
    emit_compare(e, op->a, op->b, op->c == IR_IMM, op->aux, op->type);
}

/* exit_request was seen before a backward branch: leave if it would be taken. */
static void slow_branch_poll(Emit *e, const SlowPath *s)
{
    compare(e, s->op);
    asm_byte(&e->a, 0x0f);
    asm_byte(&e->a, 0x80 | (cc_of(s->op->cond) ^ 1));
    asm_u32(&e->a, 0);
    asm_patch_to(&e->a, asm_offset(&e->a) - 4, s->back);
    slow_poll(e, s);
}

/* Taken: brings registers to where the loop head wants them. */
static void slow_branch_match(Emit *e, const SlowPath *s)
{
    EmitLabel *label = find_label(e, s->op->imm);
    FpCache now = e->fp;

    e->fp = s->fp;
    fp_match(e, &label->fp);
    e->fp = now;
    enter_loop(e, loop_of_label(e, label));
    bind_to_label(e, asm_jmp_forward(&e->a), label);
}

/* Taken, while FP registers are newer than their homes, or vars are elsewhere than the target expects them. */
static void slow_branch_sync(Emit *e, const SlowPath *s)
{
    EmitLabel *label = find_label(e, s->op->imm);

    fp_sync_slow(e, &s->fp);
    enter_loop(e, label ? loop_of_label(e, label) : 0);
    if (label) {
        /* further on: it is entered with empty registers */
        add_fixup(e, asm_jmp_forward(&e->a), label);
    } else {
        align_rel32(e, 1);
        asm_jmp_forward(&e->a);
        add_chained_jump(e, s->op->imm);
    }
}

/* The compare emitted since @start moves so that the rel32 of the jcc after it is aligned and the two stay
 * fused. */
static void align_compare(Emit *e, uint32_t start)
{
    Asm *a = &e->a;
    unsigned n = rel32_padding(e, 2);
    uint8_t saved[64];
    uint32_t length = asm_offset(a) - start;

    if (!n || length > sizeof(saved)) {
        align_rel32(e, 2);
        return;
    }
    for (uint32_t i = 0; i < length; i++) {
        saved[i] = a->start[start + i];
    }
    a->p = a->start + start;
    asm_nops(a, n);
    for (uint32_t i = 0; i < length; i++) {
        asm_byte(a, saved[i]);
    }
}

static void emit_branch(Emit *e, const IROp *op)
{
    EmitLabel *label = find_label(e, op->imm);
    SlowPath *poll = NULL;
    uint32_t start;
    bool moves;

    if (label && label->placed) {
        fp_match_homes(e, &label->fp);
    }
    if (is_backward(e, label, op->imm)) {
        poll = new_slow(e, slow_branch_poll);
        slow_from(e, poll, emit_poll(e));
    }
    start = asm_offset(&e->a);
    compare(e, op);
    moves = e->loop != (label ? loop_of_label(e, label) : 0);
    if (label && label->placed && (moves || !fp_matches(e, &label->fp))) {
        SlowPath *s = new_slow(e, slow_branch_match);

        slow_from(e, s, cc_of(op->cond));
    } else if (!(label && label->placed) && (moves || e->fp.dirty)) {
        slow_from(e, new_slow(e, slow_branch_sync), cc_of(op->cond));
    } else if (label) {
        bind_to_label(e, asm_jcc_forward(&e->a, cc_of(op->cond)), label);
    } else {
        align_compare(e, start);
        asm_jcc_forward(&e->a, cc_of(op->cond));
        add_chained_jump(e, op->imm);
    }
    if (poll) {
        poll->back = asm_offset(&e->a);
    }
}

/* --- jumps through the table --- */

/*
 * rax: pc.  Bit 0 may be set: then the comparison is with an entry's host address, which is even, and fails, and
 * thunks.lookup clears the bit.
 */
static void emit_table_jump(Emit *e)
{
    Asm *a = &e->a;
    int scale = 3;
    int32_t table = ENV_DISP(jump) + (int32_t)(e->b->jump_mode * sizeof(JumpTableEntry) << JUMP_TABLE_BITS);

    if (e->b->jump_mode >= TCG_MMU_MODES || tcg_state.config.no_jump_table) {
        asm_jmp(a, x86_host.thunks.lookup);
        return;
    }
    /* jump_table_index() * 16: the low half of eax times 8, as pc is even. */
    _Static_assert(sizeof(JumpTableEntry) == 16 && JUMP_TABLE_BITS == 15, "index by the low 16 bits of pc");
    if (use_short_jump(e)) {
        asm_modrm(a, A_0F | 0xb7, 0, RCX, rm_reg(RAX), 0);
    } else {
        asm_lea(a, 0, RCX, rm_sib(NO_REG, RAX, 3, 0));
        asm_alu_imm(a, ALU_AND, 0, rm_reg(RCX), 0xffff * 8);
        scale = 0;
    }
    asm_alu(a, ALU_CMP, 1, RAX, rm_sib(RBP, RCX, scale, table + (int32_t)offsetof(JumpTableEntry, pc)));
    asm_jcc(a, CC_NE, x86_host.thunks.lookup);
    asm_modrm(a, 0xff, 0, 4, rm_sib(RBP, RCX, scale, table + (int32_t)offsetof(JumpTableEntry, host)), 0);
}

static void emit_jump_far(Emit *e, const IROp *op)
{
    asm_load(&e->a, 1, RAX, ENV(page_base));
    if (fits_s32(op->imm)) {
        asm_alu_imm(&e->a, ALU_ADD, 1, rm_reg(RAX), (int32_t)op->imm);
    } else {
        asm_mov_imm(&e->a, RCX, op->imm);
        asm_alu(&e->a, ALU_ADD, 1, RAX, rm_reg(RCX));
    }
    emit_table_jump(e);
}

static void emit_jump_indirect(Emit *e, const IROp *op)
{
    RM base = rm_of(e, op->a);

    if (op->imm && base.reg != NO_REG && fits_s32(op->imm)) {
        asm_lea(&e->a, 1, RAX, rm_mem(base.reg, (int32_t)op->imm));
    } else {
        load_ref(e, RAX, op->a);
        if (op->imm == 0) {
            /* it is there */
        } else if (fits_s32(op->imm)) {
            asm_alu_imm(&e->a, ALU_ADD, 1, rm_reg(RAX), (int32_t)op->imm);
        } else {
            asm_mov_imm(&e->a, RCX, op->imm);
            asm_alu(&e->a, ALU_ADD, 1, RAX, rm_reg(RCX));
        }
    }
    emit_table_jump(e);
}

/* --- calls --- */

static void emit_call_arguments(Emit *e, const IROp *op)
{
    asm_mov_imm_keep_flags(&e->a, RAX, (uint64_t)op->imm);
    asm_store(&e->a, 1, ENV(scratch[0]), RAX);
    if (!(op->flags & IR_CALL_PURE)) {
        asm_store_imm32(&e->a, 0, ENV(insn_offset), e->insn_offset);
    }
    load_ref(e, RAX, op->a);
    load_ref(e, RDX, op->b);
    load_ref(e, RCX, op->c);
}

void emit_call(Emit *e, const IROp *op)
{
    bool vars = op->flags & IR_CALL_WRITES_VARS;

    fp_sync(e);
    emit_call_arguments(e, op);
    call_thunk(e, vars ? x86_host.thunks.call_vars : x86_host.thunks.call);
    fp_cache_clear(e);
    if (vars) {
        e->boxed = 0;
    }
    put_ref(e, op->dst, RAX);
}

void emit_flow(Emit *e, const IROp *op)
{
    if (op->opc != IR_BRCOND && op->opc != IR_JMP) {
        fp_sync(e);
        enter_loop(e, 0);
    }
    switch (op->opc) {
    case IR_BRCOND:
        emit_branch(e, op);
        break;
    case IR_JMP:
        emit_jump(e, op);
        break;
    case IR_JMP_FAR:
        emit_jump_far(e, op);
        break;
    case IR_JMP_IND:
        emit_jump_indirect(e, op);
        break;
    case IR_CALL_JUMP:
        emit_call_arguments(e, op);
        asm_jmp(&e->a, x86_host.thunks.call_jump);
        break;
    default:
        emit_exit(e, op->imm, op->aux);
    }
}

/* --- the end --- */

static void emit_paths(Emit *e)
{
    for (unsigned i = 0; i < e->n_slow && asm_room(&e->a, 2048); i++) {
        SlowPath *s = &e->slow[i];

        s->at = asm_offset(&e->a);
        for (unsigned k = 0; k < s->n_from; k++) {
            asm_patch_here(&e->a, s->from[k]);
        }
        e->op = s->op;
        e->insn_offset = s->insn_offset;
        set_loop(e, s->loop);
        e->fp = s->fp;
        e->boxed = 0;
        s->emit(e, s);
    }
}

void emit_end(Emit *e)
{
    /* A list without an end leaves at its end. */
    if (e->b->n_ops == 0 || !ir_op_is(e->b->ops[e->b->n_ops - 1].opc, IR_P_ENDS)) {
        fp_sync(e);
        enter_loop(e, 0);
        emit_exit(e, e->b->end_offset, TCG_EXIT_LOOKUP);
    }
}

void emit_slow_paths(Emit *e)
{
    emit_loop_movers(e);
    emit_paths(e);
    for (unsigned i = 0; i < e->n_fixups && !e->a.overflow && asm_room(&e->a, 2048); i++) {
        const EmitLabel *label = &e->labels[e->fixups[i].label];

        /* Forward: the FP registers are not as a loop head wants them. */
        asm_patch_here(&e->a, e->fixups[i].at);
        fp_enter_loop(e, label);
        asm_patch_to(&e->a, asm_jmp_forward(&e->a), label->loop);
    }
    counter_add(jit_short_jumps, e->n_short_jumps);
}
