/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System instructions.  Traps and returns change state in C and go on at the new address without the main
 * loop.
 *
 * A CSR access is inline where the register is plain memory, else a helper.  The helper of an access in the
 * middle of a block leaves the block by itself in the rare case that the write changed the mode or let an
 * interrupt in.
 */
#include "translate.h"

#include <sched.h>

#define SPIN_HINTS_PER_YIELD 64

#define CSR_OFFSET(field) ((int64_t)offsetof(RISCVCPU, field))

/* --- traps and returns --- */
static const void *helper_trap(TCGEnv *env, uint64_t cause, uint64_t tval_is_pc, uint64_t c)
{
    uint64_t pc = tcg_env_pc(env);

    riscv_trap(env_riscv(env), cause, tval_is_pc ? pc : 0, pc);
    return tcg_lookup_next(env);
}

static const void *illegal(TCGEnv *env, uint64_t raw)
{
    riscv_trap(env_riscv(env), CAUSE_ILLEGAL, raw, tcg_env_pc(env));
    return tcg_lookup_next(env);
}

/* After env->pc was set: an interrupt that is enabled now comes first. */
static const void *go_on(TCGEnv *env)
{
    riscv_exec_interrupt(env);
    return tcg_lookup_next(env);
}

static const void *helper_mret(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    return riscv_mret(env_riscv(env)) ? go_on(env) : illegal(env, raw);
}

static const void *helper_sret(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    return riscv_sret(env_riscv(env)) ? go_on(env) : illegal(env, raw);
}

static const void *helper_wfi(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    RISCVCPU *cpu = env_riscv(env);

    if (cpu->priv == PRIV_U || (cpu->priv == PRIV_S && (cpu->mstatus & MSTATUS_TW))) {
        return illegal(env, raw);
    }
    env->pc = tcg_env_pc(env) + 4;
    if (riscv_mip(cpu) & cpu->mie) {
        return go_on(env);
    }
    cpu->cs.halted = true;
    return tcg_exit_address(TCG_EXIT_HALT);
}

static bool may_fence_vma(RISCVCPU *cpu)
{
    return cpu->priv == PRIV_M || (cpu->priv == PRIV_S && !(cpu->mstatus & MSTATUS_TVM));
}

enum { SFENCE_HAS_ADDR = 1, SFENCE_HAS_ASID = 2 };

static const void *helper_sfence_vma(TCGEnv *env, uint64_t addr, uint64_t asid, uint64_t raw_and_kind)
{
    if (!may_fence_vma(env_riscv(env))) {
        return illegal(env, (uint32_t)raw_and_kind);
    }
    switch (raw_and_kind >> 32) {
    case 0:
        tlb_flush(env);
        break;
    case SFENCE_HAS_ADDR:
        tlb_flush_page(env, addr);
        break;
    case SFENCE_HAS_ASID:
        tlb_flush_asid(env, asid);
        break;
    default:
        tlb_flush_page_asid(env, addr, asid);
        break;
    }
    env->pc = tcg_env_pc(env) + 4;
    return tcg_lookup_next(env);
}

bool trans_ecall(DisasContext *ctx, const RISCVInsn *i)
{
    gen_call_jump(ctx, helper_trap, gen_const(ctx, CAUSE_ECALL_U + ctx->priv), IR_ZERO, IR_ZERO);
    return true;
}

bool trans_ebreak(DisasContext *ctx, const RISCVInsn *i)
{
    gen_call_jump(ctx, helper_trap, gen_const(ctx, CAUSE_BREAKPOINT), gen_const(ctx, 1), IR_ZERO);
    return true;
}

bool trans_mret(DisasContext *ctx, const RISCVInsn *i)
{
    gen_call_jump(ctx, helper_mret, gen_const(ctx, i->raw), IR_ZERO, IR_ZERO);
    return true;
}

bool trans_sret(DisasContext *ctx, const RISCVInsn *i)
{
    gen_call_jump(ctx, helper_sret, gen_const(ctx, i->raw), IR_ZERO, IR_ZERO);
    return true;
}

bool trans_wfi(DisasContext *ctx, const RISCVInsn *i)
{
    gen_call_jump(ctx, helper_wfi, gen_const(ctx, i->raw), IR_ZERO, IR_ZERO);
    return true;
}

bool trans_sfence_vma(DisasContext *ctx, const RISCVInsn *i)
{
    uint64_t kind = (i->rs1 ? SFENCE_HAS_ADDR : 0) | (i->rs2 ? SFENCE_HAS_ASID : 0);

    gen_call_jump(ctx, helper_sfence_vma, i->rs1, i->rs2, gen_const(ctx, i->raw | kind << 32));
    return true;
}

bool trans_sinval_vma(DisasContext *ctx, const RISCVInsn *i)
{
    return trans_sfence_vma(ctx, i);
}

/* sinval.vma has done all the work. */
bool trans_sfence_w_inval(DisasContext *ctx, const RISCVInsn *i)
{
    return ctx->priv >= PRIV_S;
}

bool trans_sfence_inval_ir(DisasContext *ctx, const RISCVInsn *i)
{
    if (ctx->priv < PRIV_S) {
        return false;
    }
    gen_jump(ctx, ctx->next);
    return true;
}

static uint64_t helper_hfence(TCGEnv *env, uint64_t raw, uint64_t unused1, uint64_t unused2)
{
    RISCVCPU *cpu = env_riscv(env);

    if (!riscv_has_hyper(cpu) || cpu->priv < PRIV_S) {
        riscv_raise(env, CAUSE_ILLEGAL, raw);
    }
    return 0;
}

/* There are no translations of a guest's guest to forget. */
bool trans_hfence_vvma(DisasContext *ctx, const RISCVInsn *i)
{
    gen_call(ctx, IR_NONE, helper_hfence, gen_const(ctx, i->raw), IR_ZERO, IR_ZERO);
    return true;
}

bool trans_hfence_gvma(DisasContext *ctx, const RISCVInsn *i)
{
    return trans_hfence_vvma(ctx, i);
}

/*
 * In a loop that waits for another hart: whose thread may be waiting for a processor of the host, this one.
 * Most waits are short, so only every so many hints give it away.
 */
static uint64_t helper_spin_hint(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    RISCVCPU *cpu = env_riscv(env);

    cpu_relax();
    if (++cpu->spin_hints % SPIN_HINTS_PER_YIELD == 0) {
        cpu_leave_guest(env);
        sched_yield();
        cpu_enter_guest(env);
    }
    return 0;
}

void gen_spin_hint(DisasContext *ctx)
{
    if (ctx->ir->parallel) {
        gen_call(ctx, IR_NONE, helper_spin_hint, IR_ZERO, IR_ZERO, IR_ZERO);
    }
}

/* Waiting may end at any time, so it ends soon; wrs.nto obeys TW like wfi only if it would wait. */
bool trans_wrs_nto(DisasContext *ctx, const RISCVInsn *i)
{
    gen_spin_hint(ctx);
    return true;
}

bool trans_wrs_sto(DisasContext *ctx, const RISCVInsn *i)
{
    gen_spin_hint(ctx);
    return true;
}

/* --- CSRs by helper --- */
static CSROp csr_op(uint32_t raw)
{
    unsigned funct3 = (raw >> 12) & 7, source = (raw >> 15) & 31;

    if ((funct3 & 3) == 1) {
        return CSR_OP_WRITE;
    }
    if (source == 0) {
        return CSR_OP_READ;
    }
    return (funct3 & 3) == 2 ? CSR_OP_SET : CSR_OP_CLEAR;
}

/* Does the access as the instruction @raw says; rd and the pc are left to the caller. */
static bool csr_instruction(TCGEnv *env, uint64_t operand, uint32_t raw, uint64_t *old)
{
    return riscv_csr_access(env_riscv(env), raw >> 20, csr_op(raw), operand, old);
}

static void set_rd(TCGEnv *env, uint32_t raw, uint64_t value)
{
    unsigned rd = (raw >> 7) & 31;

    if (rd) {
        env->var[rd] = value;
    }
}

static uint64_t helper_csr(TCGEnv *env, uint64_t operand, uint64_t raw, uint64_t c)
{
    uint32_t flags = riscv_tb_flags(env);
    uint64_t old;

    if (!csr_instruction(env, operand, raw, &old)) {
        riscv_raise(env, CAUSE_ILLEGAL, raw);
    }
    if (unlikely(riscv_tb_flags(env) != flags || riscv_pending_interrupt(env_riscv(env)) >= 0)) {
        set_rd(env, raw, old);
        env->pc = tcg_env_pc(env) + 4;
        riscv_exec_interrupt(env);
        tcg_exit_to_loop(env, TCG_EXIT_LOOKUP);
    }
    return old;
}

static const void *helper_csr_jump(TCGEnv *env, uint64_t operand, uint64_t raw, uint64_t c)
{
    uint64_t old;

    if (!csr_instruction(env, operand, raw, &old)) {
        return illegal(env, raw);
    }
    set_rd(env, raw, old);
    env->pc = tcg_env_pc(env) + 4;
    return go_on(env);
}

static uint64_t helper_csr_read(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    uint64_t old;

    if (!csr_instruction(env, 0, raw, &old)) {
        riscv_raise(env, CAUSE_ILLEGAL, raw);
    }
    return old;
}

/* sstatus.SIE was set inline: only a waiting interrupt needs more. */
static uint64_t helper_interrupts_enabled(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    if (riscv_pending_interrupt(env_riscv(env)) >= 0) {
        env->pc = tcg_env_pc(env) + 4;
        riscv_exec_interrupt(env);
        tcg_exit_to_loop(env, TCG_EXIT_LOOKUP);
    }
    return 0;
}

/* --- CSRs inline --- */
typedef struct PlainCSR {
    uint16_t csr;
    int64_t offset;
    uint64_t write_mask; /* bits that can be written, the others being 0; 0: not inline */
} PlainCSR;

static const PlainCSR plain_csrs[] = {
    {0x140, CSR_OFFSET(sscratch), UINT64_MAX},
    {0x141, CSR_OFFSET(sepc), ~UINT64_C(1)},
    {0x142, CSR_OFFSET(scause), UINT64_MAX},
    {0x143, CSR_OFFSET(stval), UINT64_MAX},
    {0x105, CSR_OFFSET(stvec), 0},
    {0x340, CSR_OFFSET(mscratch), UINT64_MAX},
    {0x341, CSR_OFFSET(mepc), ~UINT64_C(1)},
    {0x342, CSR_OFFSET(mcause), UINT64_MAX},
    {0x343, CSR_OFFSET(mtval), UINT64_MAX},
    {0x305, CSR_OFFSET(mtvec), 0},
    {0x300, CSR_OFFSET(mstatus), 0},
    {0x302, CSR_OFFSET(medeleg), 0},
    {0x303, CSR_OFFSET(mideleg), 0},
    {0x304, CSR_OFFSET(mie), 0},
};

static const PlainCSR *plain_csr(DisasContext *ctx, unsigned csr)
{
    if (ctx->priv < ((csr >> 8) & 3)) {
        return NULL;
    }
    for (unsigned n = 0; n < ARRAY_SIZE(plain_csrs); n++) {
        if (plain_csrs[n].csr == csr) {
            return &plain_csrs[n];
        }
    }
    return NULL;
}

static IRRef load_env(DisasContext *ctx, IRRef dst, int64_t offset)
{
    ir_emit(ctx->ir, IR_LDENV, dst, IR_NONE, IR_NONE, offset)->mem = 3;
    return dst;
}

static void store_env(DisasContext *ctx, IRRef value, int64_t offset)
{
    ir_emit(ctx->ir, IR_STENV, IR_NONE, value, IR_NONE, offset)->mem = 3;
}

static void plain_write(DisasContext *ctx, const PlainCSR *p, unsigned rd, IRRef value)
{
    IRRef old = IR_ZERO, legal = value;

    if (rd) {
        old = load_env(ctx, ir_temp(ctx->ir), p->offset);
    }
    if (~p->write_mask) {
        legal = ir_temp(ctx->ir);
        ir_emit(ctx->ir, IR_AND, legal, value, IR_IMM, p->write_mask);
    }
    store_env(ctx, legal, p->offset);
    if (rd) {
        ir_emit(ctx->ir, IR_MOV, rd, old, IR_NONE, 0);
    }
}

/* sstatus of S- and M-mode is mstatus under a mask. */
static void read_sstatus(DisasContext *ctx, unsigned rd)
{
    IRRef t = load_env(ctx, ir_temp(ctx->ir), CSR_OFFSET(mstatus));

    ir_emit(ctx->ir, IR_AND, rd, t, IR_IMM, (int64_t)SSTATUS_READ);
}

/* csrsi/csrci sstatus, SIE: what kernels do around every critical section */
static bool inline_sie(DisasContext *ctx, const RISCVInsn *i)
{
    IRRef t, u;

    if (i->imm != 0x100 || i->rs1 != MSTATUS_SIE || ctx->priv < PRIV_S) {
        return false;
    }
    t = load_env(ctx, ir_temp(ctx->ir), CSR_OFFSET(mstatus));
    u = ir_temp(ctx->ir);
    if (i->id == INSN_csrrci) {
        ir_emit(ctx->ir, IR_AND, u, t, IR_IMM, ~(int64_t)MSTATUS_SIE);
    } else {
        ir_emit(ctx->ir, IR_OR, u, t, IR_IMM, MSTATUS_SIE);
    }
    store_env(ctx, u, CSR_OFFSET(mstatus));
    if (i->rd) {
        ir_emit(ctx->ir, IR_AND, i->rd, t, IR_IMM, (int64_t)SSTATUS_READ);
    }
    if (i->id == INSN_csrrsi) {
        gen_call(ctx, IR_NONE, helper_interrupts_enabled, IR_ZERO, IR_ZERO, IR_ZERO);
    }
    return true;
}

/*
 * Will the write flip sstatus.SUM, so that the next instruction runs in another mode?  A guess, which only
 * makes it faster.  Kernels hold the bit in some register around their accesses to user memory; the other
 * register they write so is a saved interrupt state, fresh from an andi.
 */
static bool likely_changes_sum(DisasContext *ctx, const RISCVInsn *i)
{
    const RISCVInsn *before = ctx->at ? &ctx->insns[ctx->at - 1].insn : NULL;

    if (i->imm != 0x100 || (i->id != INSN_csrrs && i->id != INSN_csrrc)) {
        return false;
    }
    if (ctx->lui_valid & BIT(i->rs1)) {
        return ctx->lui[i->rs1] & MSTATUS_SUM;
    }
    return !before || before->id != INSN_andi || before->rd != i->rs1 || before->imm < 0;
}

/* fflags: what libm does around quiet comparisons */
static bool inline_fflags(DisasContext *ctx, const RISCVInsn *i, IRRef operand)
{
    CSROp kind = csr_op(i->raw);
    IRRef old;

    if (i->imm != 1 || ctx->soft_fp || !riscv_has(ctx->cpu, EXT_f) || (kind != CSR_OP_READ && kind != CSR_OP_WRITE)) {
        return false;
    }
    gen_fp_check(ctx, i, false);
    if (kind == CSR_OP_READ) {
        ir_emit(ctx->ir, IR_FP_GET_FLAGS, i->rd, IR_NONE, IR_NONE, 0);
        return true;
    }
    old = i->rd ? ir_temp(ctx->ir) : IR_NONE;
    if (i->rd) {
        ir_emit(ctx->ir, IR_FP_GET_FLAGS, old, IR_NONE, IR_NONE, 0);
    }
    ir_emit(ctx->ir, IR_FP_SET_FLAGS, IR_NONE, operand, IR_NONE, 0);
    if (i->rd) {
        ir_emit(ctx->ir, IR_MOV, i->rd, old, IR_NONE, 0);
    }
    return true;
}

static bool csr_read(DisasContext *ctx, const RISCVInsn *i)
{
    const PlainCSR *p = plain_csr(ctx, i->imm);

    if (inline_fflags(ctx, i, IR_ZERO)) {
        return true;
    }
    if (p) {
        load_env(ctx, i->rd, p->offset);
    } else if (i->imm == 0x100 && ctx->priv >= PRIV_S) {
        read_sstatus(ctx, i->rd);
    } else {
        gen_call(ctx, i->rd, helper_csr_read, gen_const(ctx, i->raw), IR_ZERO, IR_ZERO);
    }
    return true;
}

static bool csr_write(DisasContext *ctx, const RISCVInsn *i, IRRef operand)
{
    const PlainCSR *p = plain_csr(ctx, i->imm);

    if (inline_fflags(ctx, i, operand)) {
        return true;
    }
    if (p && p->write_mask && csr_op(i->raw) == CSR_OP_WRITE) {
        plain_write(ctx, p, i->rd, operand);
    } else if (riscv_csr_ends_block(i->imm) || likely_changes_sum(ctx, i)) {
        gen_call_jump(ctx, helper_csr_jump, operand, gen_const(ctx, i->raw), IR_ZERO);
    } else {
        gen_call(ctx, i->rd, helper_csr, operand, gen_const(ctx, i->raw), IR_ZERO);
    }
    if (riscv_csr_changes_fp(i->imm)) {
        ctx->fp_checked = false;
    }
    return true;
}

bool trans_csrrw(DisasContext *ctx, const RISCVInsn *i)
{
    return csr_write(ctx, i, i->rs1);
}

bool trans_csrrs(DisasContext *ctx, const RISCVInsn *i)
{
    return i->rs1 ? csr_write(ctx, i, i->rs1) : csr_read(ctx, i);
}

bool trans_csrrc(DisasContext *ctx, const RISCVInsn *i)
{
    return i->rs1 ? csr_write(ctx, i, i->rs1) : csr_read(ctx, i);
}

bool trans_csrrwi(DisasContext *ctx, const RISCVInsn *i)
{
    return csr_write(ctx, i, gen_const(ctx, i->rs1));
}

bool trans_csrrsi(DisasContext *ctx, const RISCVInsn *i)
{
    if (!i->rs1) {
        return csr_read(ctx, i);
    }
    return inline_sie(ctx, i) || csr_write(ctx, i, gen_const(ctx, i->rs1));
}

bool trans_csrrci(DisasContext *ctx, const RISCVInsn *i)
{
    if (!i->rs1) {
        return csr_read(ctx, i);
    }
    return inline_sie(ctx, i) || csr_write(ctx, i, gen_const(ctx, i->rs1));
}
