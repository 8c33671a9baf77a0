/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads, stores, atomics, fences and cache block operations. */
#include "translate.h"

static bool load(DisasContext *ctx, const RISCVInsn *i, unsigned mem)
{
    ir_emit(ctx->ir, IR_LD, i->rd, i->rs1, IR_NONE, i->imm)->mem = mem;
    return true;
}

static bool store(DisasContext *ctx, const RISCVInsn *i, unsigned mem)
{
    ir_emit(ctx->ir, IR_ST, IR_NONE, i->rs1, i->rs2, i->imm)->mem = mem;
    return true;
}

static bool fp_load(DisasContext *ctx, const RISCVInsn *i, unsigned mem)
{
    gen_fp_check(ctx, i, false);
    ir_emit(ctx->ir, IR_LD, f_var(i->rd), i->rs1, IR_NONE, i->imm)->mem = mem;
    return true;
}

static bool fp_store(DisasContext *ctx, const RISCVInsn *i, unsigned mem)
{
    gen_fp_check(ctx, i, false);
    ir_emit(ctx->ir, IR_ST, IR_NONE, i->rs1, f_var(i->rs2), i->imm)->mem = mem;
    return true;
}

#define TRANS(insn, expression)                                                                              \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return expression;                                                                                   \
    }

TRANS(lb, load(ctx, i, 0 | IR_MEM_SIGN))
TRANS(lh, load(ctx, i, 1 | IR_MEM_SIGN))
TRANS(lw, load(ctx, i, 2 | IR_MEM_SIGN))
TRANS(ld, load(ctx, i, 3))
TRANS(lbu, load(ctx, i, 0))
TRANS(lhu, load(ctx, i, 1))
TRANS(lwu, load(ctx, i, 2))
TRANS(sb, store(ctx, i, 0))
TRANS(sh, store(ctx, i, 1))
TRANS(sw, store(ctx, i, 2))
TRANS(sd, store(ctx, i, 3))
TRANS(flh, fp_load(ctx, i, 1 | IR_MEM_FP_BOX))
TRANS(flw, fp_load(ctx, i, 2 | IR_MEM_FP_BOX))
TRANS(fld, fp_load(ctx, i, 3))
TRANS(fsh, fp_store(ctx, i, 1))
TRANS(fsw, fp_store(ctx, i, 2))
TRANS(fsd, fp_store(ctx, i, 3))

/* --- atomics: always sequentially consistent, so aq and rl say nothing new --- */
static bool atomic(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, unsigned size)
{
    ir_emit(ctx->ir, opc, i->rd, i->rs1, i->rs2, 0)->mem = size | IR_MEM_SIGN | IR_MEM_ALIGN;
    return true;
}

static bool load_reserved(DisasContext *ctx, const RISCVInsn *i, unsigned size)
{
    ir_emit(ctx->ir, IR_LR, i->rd, i->rs1, IR_NONE, 0)->mem = size | IR_MEM_SIGN | IR_MEM_ALIGN;
    return true;
}

TRANS(lr_w, load_reserved(ctx, i, 2))
TRANS(lr_d, load_reserved(ctx, i, 3))
TRANS(sc_w, atomic(ctx, i, IR_SC, 2))
TRANS(sc_d, atomic(ctx, i, IR_SC, 3))
#define TRANS_AMO(insn, opc)                                                                                 \
    TRANS(insn##_w, atomic(ctx, i, IR_AMO_##opc, 2))                                                         \
    TRANS(insn##_d, atomic(ctx, i, IR_AMO_##opc, 3))
TRANS_AMO(amoswap, SWAP)
TRANS_AMO(amoadd, ADD)
TRANS_AMO(amoand, AND)
TRANS_AMO(amoor, OR)
TRANS_AMO(amoxor, XOR)
TRANS_AMO(amomin, MINS)
TRANS_AMO(amomax, MAXS)
TRANS_AMO(amominu, MINU)
TRANS_AMO(amomaxu, MAXU)

/* --- fences --- */
enum { FENCE_W = 1, FENCE_R = 2, FENCE_O = 4, FENCE_I = 8, FENCE_MODE_TSO = 8 };
#define INSN_PAUSE 0x0100000f /* Zihintpause: a fence that orders nothing */

bool trans_fence(DisasContext *ctx, const RISCVInsn *i)
{
    /* rs1: predecessors, rs2: successors, imm: mode; what is reserved orders like mode 0 */
    bool tso = i->imm == FENCE_MODE_TSO && i->rs1 == (FENCE_R | FENCE_W) && i->rs2 == (FENCE_R | FENCE_W);
    bool store_before = i->rs1 & (FENCE_W | FENCE_O), load_after = i->rs2 & (FENCE_R | FENCE_I);

    if (i->raw == INSN_PAUSE) {
        gen_spin_hint(ctx);
        return true;
    }
    ir_emit(ctx->ir, IR_FENCE, IR_NONE, IR_NONE, IR_NONE, tso || !store_before || !load_after);
    return true;
}

/* Stores into code drop its translation at once; only the rest of this block could be stale. */
bool trans_fence_i(DisasContext *ctx, const RISCVInsn *i)
{
    gen_jump(ctx, ctx->next);
    return true;
}

/* --- cache blocks --- */
/* May this mode do what the field @bits of the envcfg registers controls?  It must not be 0. */
static bool envcfg_allows(RISCVCPU *cpu, uint64_t bits)
{
    if (cpu->priv == PRIV_M) {
        return true;
    }
    return (cpu->menvcfg & bits) && (cpu->priv == PRIV_S || (cpu->senvcfg & bits));
}

static vaddr block_of(vaddr addr)
{
    return ROUND_DOWN(addr, (uint64_t)RISCV_CACHE_BLOCK);
}

/* To all of the block. */
static bool access_allowed(TCGEnv *env, vaddr addr, MMUAccessType access)
{
    unsigned mmu_idx = riscv_data_mmu_idx(env_riscv(env));
    TlbFill fill;

    return riscv_tlb_fill(env, block_of(addr), RISCV_CACHE_BLOCK, access, mmu_idx, true, &fill);
}

/* The fault names the address in the register, not the block's. */
static void raise_store_fault(TCGEnv *env, vaddr addr)
{
    TlbFill fill;

    riscv_tlb_fill(env, addr, 1, MMU_DATA_STORE, riscv_data_mmu_idx(env_riscv(env)), false, &fill);
    riscv_raise_access(env, addr, MMU_DATA_STORE, false); /* another part of the block is closed */
}

/* Caches are coherent here: a management instruction is only its permission check. */
static uint64_t helper_cbo(TCGEnv *env, uint64_t addr, uint64_t raw, uint64_t bits)
{
    if (!envcfg_allows(env_riscv(env), bits)) {
        riscv_raise(env, CAUSE_ILLEGAL, raw);
    }
    if (!access_allowed(env, addr, MMU_DATA_LOAD) && !access_allowed(env, addr, MMU_DATA_STORE)) {
        raise_store_fault(env, addr);
    }
    return 0;
}

static uint64_t helper_cbo_zero(TCGEnv *env, uint64_t addr, uint64_t raw, uint64_t c)
{
    unsigned mmu_idx = riscv_data_mmu_idx(env_riscv(env));
    vaddr block = block_of(addr);
    void *host;

    if (!envcfg_allows(env_riscv(env), ENVCFG_CBZE)) {
        riscv_raise(env, CAUSE_ILLEGAL, raw);
    }
    host = cpu_store_host(env, block, RISCV_CACHE_BLOCK, mmu_idx);
    if (likely(host)) {
        memset(host, 0, RISCV_CACHE_BLOCK);
        return 0;
    }
    if (!access_allowed(env, addr, MMU_DATA_STORE)) {
        raise_store_fault(env, addr);
    }
    for (unsigned n = 0; n < RISCV_CACHE_BLOCK; n += 8) {
        cpu_store(env, block + n, 0, 3, mmu_idx);
    }
    return 0;
}

static bool cbo(DisasContext *ctx, const RISCVInsn *i, IRHelper fn, uint64_t bits)
{
    gen_call(ctx, IR_NONE, fn, i->rs1, gen_const(ctx, i->raw), gen_const(ctx, bits));
    return true;
}

TRANS(cbo_inval, cbo(ctx, i, helper_cbo, ENVCFG_CBIE))
TRANS(cbo_clean, cbo(ctx, i, helper_cbo, ENVCFG_CBCFE))
TRANS(cbo_flush, cbo(ctx, i, helper_cbo, ENVCFG_CBCFE))
TRANS(cbo_zero, cbo(ctx, i, helper_cbo_zero, 0))
