/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The toy guest's translator and what else an accelerator asks a CPU model for. */
#include "tests/lib/toy-guest.h"

#include <string.h>

void (*toy_map)(const ToyCPU *toy, vaddr addr, MMUAccessType access, TlbFill *fill);
uint64_t (*toy_call)(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c);

/* --- translation --- */

static uint64_t help_halt(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    ((ToyCPU *)env)->cs.halted = true;
    return 0;
}

static IROp *emit_call(IRBlock *ir, intptr_t helper)
{
    IROp *op = ir_emit(ir, IR_CALL, IR_ZERO, IR_ZERO, IR_ZERO, helper);

    op->c = IR_ZERO;
    return op;
}

static void emit_branch(IRBlock *ir, IRCond cond, IRRef a, IRRef b, uint32_t target)
{
    ir_emit(ir, IR_BRCOND, IR_ZERO, a, b, target)->cond = cond;
}

static void emit_jump(IRBlock *ir, IROpcode opc, uint32_t target)
{
    ir_emit(ir, opc, IR_ZERO, IR_ZERO, IR_ZERO, target);
}

/* False: the block ends. */
static bool translate_one(IRBlock *ir, uint32_t at, uint32_t word)
{
    unsigned op = word & 0xff, rd = word >> 8 & 15, rs = word >> 16 & 15;
    int64_t imm = (int8_t)(word >> 24);

    ir_emit(ir, IR_INSN, IR_ZERO, IR_ZERO, IR_ZERO, at)->aux = 4;
    switch (op) {
    case ADDI:
        ir_emit(ir, IR_ADD, rd, rs, IR_IMM, imm);
        return true;
    case LI:
        ir_emit(ir, IR_MOVI, rd, IR_ZERO, IR_ZERO, imm);
        return true;
    case LD:
        ir_emit(ir, IR_LD, rd, rs, IR_ZERO, imm)->mem = 3;
        return true;
    case ST:
        ir_emit(ir, IR_ST, IR_ZERO, rs, rd, imm)->mem = 3;
        return true;
    case AMOADD:
        ir_emit(ir, IR_AMO_ADD, rd, rs, rd, 0)->mem = 3 | IR_MEM_ALIGN;
        return true;
    case MARK:
        ir_emit(ir, IR_LABEL, IR_ZERO, IR_ZERO, IR_ZERO, at);
        return true;
    case LOOP:
        emit_branch(ir, IR_NE, rd, rs, at + imm * 4);
        return true;
    case CALL:
        emit_call(ir, (intptr_t)toy_call)->flags = IR_CALL_WRITES_VARS;
        return true;
    case BNE:
    case BLTU:
        emit_branch(ir, op == BNE ? IR_NE : IR_LTU, rd, rs, at + imm * 4);
        emit_jump(ir, IR_JMP, at + 4);
        return false;
    case JMP:
        emit_jump(ir, IR_JMP, at + imm * 4);
        return false;
    case JR:
        ir_emit(ir, IR_JMP_IND, IR_ZERO, rs, IR_ZERO, 0);
        return false;
    default:
        emit_call(ir, (intptr_t)help_halt);
        ir_emit(ir, IR_EXIT, IR_ZERO, IR_ZERO, IR_ZERO, at)->aux = TCG_EXIT_HALT;
        return false;
    }
}

static void toy_translate(TranslateContext *ctx)
{
    uint32_t at = ctx->offset;
    bool more = true;

    while (more) {
        uint32_t word;

        memcpy(&word, ctx->page + at, 4);
        more = translate_one(ctx->ir, at, word);
        at += 4;
        ctx->n_insns++;
        if (more && (ctx->n_insns == ctx->max_insns || at == TARGET_PAGE_SIZE)) {
            emit_jump(ctx->ir, at == TARGET_PAGE_SIZE ? IR_JMP_FAR : IR_JMP, at);
            more = false;
        }
    }
    ctx->end_offset = at;
}

/* --- memory --- */

static bool toy_tlb_fill(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx,
                         bool probe, TlbFill *fill)
{
    const ToyCPU *toy = (const ToyCPU *)env;

    *fill = (TlbFill){.paddr = addr & TARGET_PAGE_MASK,
                      .prot = PAGE_READ | PAGE_WRITE | PAGE_EXEC,
                      .page_bits = 12,
                      .asid = toy->asid,
                      .global = true};
    if (toy_map) {
        toy_map(toy, addr, access, fill);
    }
    return true;
}

static void toy_failed(TCGEnv *env, vaddr addr, MMUAccessType access, MemTxResult result)
{
    g_error("access to 0x%" PRIx64 " failed", addr);
}

static void toy_misaligned(TCGEnv *env, vaddr addr, MMUAccessType access)
{
    g_error("misaligned access to 0x%" PRIx64, addr);
}

/* --- what it does not have --- */

static uint32_t toy_tb_flags(TCGEnv *env)
{
    return 0;
}

static unsigned toy_fetch_mmu_idx(TCGEnv *env)
{
    return 0;
}

static bool toy_exec_interrupt(TCGEnv *env)
{
    return false;
}

static void toy_fp_check(TCGEnv *env)
{
}

static void toy_reset(CPUState *cs)
{
}

static bool toy_has_work(CPUState *cs)
{
    return false;
}

static const uint8_t toy_pins[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0};
static const TCGGuest toy_guest = {.n_vars = 16, .pin_order = toy_pins};
static const TcgCpuOps toy_tcg_ops = {
    .guest = &toy_guest,
    .tb_flags = toy_tb_flags,
    .translate = toy_translate,
    .tlb_fill = toy_tlb_fill,
    .fetch_mmu_idx = toy_fetch_mmu_idx,
    .exec_interrupt = toy_exec_interrupt,
    .transaction_failed = toy_failed,
    .misaligned = toy_misaligned,
    .fp_check = toy_fp_check,
};
static const CpuOps toy_ops = {
    .env_size = sizeof(ToyCPU),
    .cpu_state_offset = offsetof(ToyCPU, cs),
    .reset = toy_reset,
    .has_work = toy_has_work,
    .tcg = &toy_tcg_ops,
};
CPU_MODEL(toy, .name = "toy", .help = "test", .ops = &toy_ops);
