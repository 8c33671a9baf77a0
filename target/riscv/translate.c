/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest code to IR, block by block.
 *
 * A block is decoded first and translated second.  Decoding finds how far it reaches (past branches not taken
 * and through forward jumps in the page; up to calls, indirect jumps, backward jumps and whatever changes
 * translation) and which of its instructions its own backward branches go to: those become labels, so that a
 * loop stays in one block. Nothing here may depend on the virtual address of the page.
 */
#include "translate.h"

#include "util/bswap.h"

static const TranslateFn translate_table[INSN_COUNT] = {
#define TRANSLATE_ENTRY(ident, name, operands) [INSN_##ident] = trans_##ident,
    RISCV_INSNS(TRANSLATE_ENTRY)
#undef TRANSLATE_ENTRY
};

/* Hottest first, as histograms of compiled code have it. */
static const uint8_t pin_order[] = {15, 10, 11, 13, 14, 12, 2, 8, 9, 16, 1, 5, 6, 17, 18, 7, 0};

const TCGGuest riscv_guest = {
    .n_vars = 64,
    .var_names = {"zero", "ra",  "sp",  "gp",   "tp",   "t0",  "t1",  "t2",   "s0",  "s1",  "a0",
                  "a1",   "a2",  "a3",  "a4",   "a5",   "a6",  "a7",  "s2",   "s3",  "s4",  "s5",
                  "s6",   "s7",  "s8",  "s9",   "s10",  "s11", "t3",  "t4",   "t5",  "t6",  "ft0",
                  "ft1",  "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1", "fa0", "fa1",
                  "fa2",  "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4", "fs5", "fs6",
                  "fs7",  "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"},
    .fp_vars = UINT64_C(0xffffffff) << 32,
    .pin_order = pin_order,
};

/* --- emitting --- */
IRRef gen_const(DisasContext *ctx, uint64_t value)
{
    IRRef t;

    if (value == 0) {
        return IR_ZERO;
    }
    t = ir_temp(ctx->ir);
    ir_emit(ctx->ir, IR_MOVI, t, IR_NONE, IR_NONE, value);
    return t;
}

void gen_call(DisasContext *ctx, IRRef dst, IRHelper fn, IRRef a, IRRef b, IRRef c)
{
    IROp *op = ir_emit(ctx->ir, IR_CALL, dst, a, b, (intptr_t)fn);

    op->c = c;
    op->flags = IR_CALL_RAISES;
}

void gen_call_jump(DisasContext *ctx, IRJumpHelper fn, IRRef a, IRRef b, IRRef c)
{
    IROp *op = ir_emit(ctx->ir, IR_CALL_JUMP, IR_NONE, a, b, (intptr_t)fn);

    op->c = c;
    op->flags = IR_CALL_RAISES | IR_CALL_WRITES_VARS;
    ctx->done = true;
}

static const void *helper_illegal(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    riscv_trap(env_riscv(env), CAUSE_ILLEGAL, raw, tcg_env_pc(env));
    return tcg_lookup_next(env);
}

void gen_illegal(DisasContext *ctx, uint32_t raw)
{
    gen_call_jump(ctx, helper_illegal, gen_const(ctx, raw), IR_ZERO, IR_ZERO);
}

void gen_jump(DisasContext *ctx, int64_t target)
{
    ir_emit(ctx->ir, in_page(target) ? IR_JMP : IR_JMP_FAR, IR_NONE, IR_NONE, IR_NONE, target);
    ctx->done = true;
}

const RISCVInsn *peek_insn(DisasContext *ctx)
{
    const BlockInsn *n = &ctx->insns[ctx->at + 1];

    if (ctx->at + 1 >= ctx->n_insns || !n->valid || n->label || n->offset != ctx->next) {
        return NULL;
    }
    return &n->insn;
}

void swallow_insn(DisasContext *ctx)
{
    const BlockInsn *n = &ctx->insns[ctx->at + 1 + ctx->skip++];
    IROp *op = ir_emit(ctx->ir, IR_INSN, IR_NONE, IR_NONE, IR_NONE, n->offset);

    op->aux = n->insn.length;
    ctx->offset = n->offset;
    ctx->next = n->offset + n->insn.length;
}

/* Slow rounding modes: the block calls softfloat; whether the unit may be used is asked each time. */
static uint64_t helper_soft_fp_check(TCGEnv *env, uint64_t raw, uint64_t dynamic_rm, uint64_t c)
{
    RISCVCPU *cpu = env_riscv(env);

    if (!(cpu->mstatus & MSTATUS_FS) || (dynamic_rm && env->frm > IR_RMM)) {
        riscv_raise(env, CAUSE_ILLEGAL, raw);
    }
    if ((cpu->mstatus & MSTATUS_FS) != MSTATUS_FS) {
        riscv_put_mstatus(cpu, cpu->mstatus | MSTATUS_FS);
    }
    return 0;
}

void gen_fp_check(DisasContext *ctx, const RISCVInsn *i, bool dynamic_rm)
{
    if (ctx->soft_fp) {
        if (!ctx->fp_checked || dynamic_rm) {
            gen_call(ctx, IR_NONE, helper_soft_fp_check, gen_const(ctx, i->raw), gen_const(ctx, dynamic_rm),
                     IR_ZERO);
        }
    } else if (!ctx->fp_checked) {
        ir_emit(ctx->ir, IR_FP_CHECK, IR_NONE, IR_NONE, IR_NONE, 0);
    }
    ctx->fp_checked = true;
}

/* --- finding the block --- */
static uint32_t fetch(TranslateContext *tc, uint32_t offset)
{
    uint32_t raw = translate_fetch16(tc, offset);

    if (riscv_insn_length(raw) == 4) {
        raw |= (uint32_t)translate_fetch16(tc, offset + 2) << 16;
    }
    return raw;
}

static bool extension_present(const RISCVCPU *cpu, const RISCVInsn *i)
{
    return riscv_has(cpu, i->need) && riscv_has(cpu, i->need2);
}

/* Does the instruction end every block it is in? */
static bool always_last(const RISCVInsn *i)
{
    switch (i->id) {
    case INSN_jalr:
    case INSN_ecall:
    case INSN_ebreak:
    case INSN_mret:
    case INSN_sret:
    case INSN_wfi:
    case INSN_fence_i:
    case INSN_sfence_vma:
    case INSN_sinval_vma:
    case INSN_sfence_inval_ir:
        return true;
    case INSN_csrrw:
    case INSN_csrrwi:
        return riscv_csr_ends_block(i->imm);
    case INSN_csrrs:
    case INSN_csrrc:
    case INSN_csrrsi:
    case INSN_csrrci:
        return i->rs1 && riscv_csr_ends_block(i->imm);
    default:
        return false;
    }
}

static bool is_branch(const RISCVInsn *i)
{
    return i->id == INSN_beq || i->id == INSN_bne || i->id == INSN_blt || i->id == INSN_bge ||
           i->id == INSN_bltu || i->id == INSN_bgeu;
}

static BlockInsn *find_insn(DisasContext *ctx, int64_t offset)
{
    for (unsigned n = 0; n < ctx->n_insns; n++) {
        if (ctx->insns[n].offset == offset) {
            return &ctx->insns[n];
        }
    }
    return NULL;
}

static void add_label(DisasContext *ctx, BlockInsn *at)
{
    if (!at->label && ctx->n_labels < IR_MAX_LABELS - 1) {
        at->label = true;
        ctx->n_labels++;
    }
}

/* Where decoding goes on after @b, or -1: the block ends with it. */
static int32_t follow(DisasContext *ctx, const BlockInsn *b)
{
    const RISCVInsn *i = &b->insn;
    int32_t next = b->offset + i->length;

    if (!b->valid || always_last(i)) {
        return -1;
    }
    if (i->id == INSN_jal || is_branch(i)) {
        int64_t target = (int64_t)b->offset + i->imm;
        BlockInsn *own = target <= b->offset ? find_insn(ctx, target) : NULL;

        if (own) {
            add_label(ctx, own);
        }
        if (i->id == INSN_jal) {
            return i->rd == 0 && target > b->offset && in_page(target) ? (int32_t)target : -1;
        }
        if (!in_page(target)) {
            return -1;
        }
    }
    return next;
}

/* An instruction that straddles the page end is a block of its own. */
static bool straddles(TranslateContext *tc, int32_t offset)
{
    return offset == TCG_PAGE_SIZE - 2 && riscv_insn_length(translate_fetch16(tc, offset)) == 4;
}

static void find_block(DisasContext *ctx)
{
    TranslateContext *tc = ctx->tc;
    unsigned limit = MIN(tc->max_insns, MAX_BLOCK_INSNS);
    int32_t offset = tc->offset;

    if (tc->flags & TB_ONE_INSN) {
        limit = 1;
    }
    while (ctx->n_insns < limit && in_page(offset)) {
        BlockInsn *b = &ctx->insns[ctx->n_insns];
        uint32_t raw;

        if (straddles(tc, offset)) {
            if (ctx->n_insns > 0) {
                break;
            }
            limit = 1;
        }
        raw = fetch(tc, offset);
        b->valid = riscv_decode(raw, &b->insn) && extension_present(ctx->cpu, &b->insn);
        b->offset = offset;
        b->label = false;
        ctx->n_insns++;
        offset = follow(ctx, b);
    }
}

/* --- translating --- */
static void start_insn(DisasContext *ctx, const BlockInsn *b)
{
    IROp *op;

    ctx->offset = b->offset;
    ctx->next = b->offset + b->insn.length;
    ctx->skip = 0;
    if (b->label) {
        ir_emit(ctx->ir, IR_LABEL, IR_NONE, IR_NONE, IR_NONE, b->offset);
        ctx->fp_checked = false;
        ctx->lui_valid = 0;
    }
    op = ir_emit(ctx->ir, IR_INSN, IR_NONE, IR_NONE, IR_NONE, b->offset);
    op->aux = b->insn.length;
}

static void translate_one(DisasContext *ctx, const BlockInsn *b)
{
    start_insn(ctx, b);
    if (!b->valid || !translate_table[b->insn.id](ctx, &b->insn)) {
        gen_illegal(ctx, b->insn.raw);
    }
    if (b->insn.id != INSN_lui) {
        ctx->lui_valid &= ~BIT(b->insn.rd);
    }
}

void riscv_translate(TranslateContext *tc)
{
    DisasContext ctx = {
        .tc = tc,
        .ir = tc->ir,
        .cpu = env_riscv(tc->env),
        .priv = (tc->flags >> TB_PRIV_SHIFT) & 3,
        .soft_fp = tc->flags & TB_SOFT_FP,
    };
    uint32_t end = tc->offset;

    tc->ir->mmu_idx = tc->flags & TB_MMU_IDX;
    tc->ir->jump_mode = tc->flags & TB_NO_TABLE ? TCG_MMU_MODES : tc->flags & TB_MMU_IDX;
    tc->ir->soft_fp = ctx.soft_fp;
    tc->ir->page_offset = tc->offset;
    find_block(&ctx);
    while (!ctx.done && ctx.at < ctx.n_insns && !ir_block_nearly_full(tc->ir)) {
        translate_one(&ctx, &ctx.insns[ctx.at]);
        ctx.at += 1 + ctx.skip;
        end = MAX(end, (uint32_t)ctx.next);
    }
    tc->n_insns = ctx.at;
    if (!ctx.done) {
        /* not the next address if the last one was a jump that the block went through */
        gen_jump(&ctx, ctx.at < ctx.n_insns ? ctx.insns[ctx.at].offset : ctx.next);
    }
    tc->end_offset = end;
    tc->ir->end_offset = end;
}
