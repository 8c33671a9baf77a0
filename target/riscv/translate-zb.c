/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bit manipulation and conditional operations (Zba, Zbb, Zbc, Zbs, Zicond) and may-be-operations (Zimop). */
#include "translate.h"

static bool reg_reg(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type)
{
    ir_emit(ctx->ir, opc, i->rd, i->rs1, i->rs2, 0)->type = type;
    return true;
}

static bool reg_imm(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type)
{
    ir_emit(ctx->ir, opc, i->rd, i->rs1, IR_IMM, i->imm)->type = type;
    return true;
}

static bool unary(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type)
{
    ir_emit(ctx->ir, opc, i->rd, i->rs1, IR_NONE, 0)->type = type;
    return true;
}

static bool shift_add(DisasContext *ctx, const RISCVInsn *i, int shift, IRType type)
{
    ir_emit(ctx->ir, IR_SHADD, i->rd, i->rs1, i->rs2, shift)->type = type;
    return true;
}

#define TRANS(insn, expression)                                                                              \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return expression;                                                                                   \
    }

TRANS(add_uw, reg_reg(ctx, i, IR_ADDUW, IR_I64))
TRANS(sh1add, shift_add(ctx, i, 1, IR_I64))
TRANS(sh2add, shift_add(ctx, i, 2, IR_I64))
TRANS(sh3add, shift_add(ctx, i, 3, IR_I64))
TRANS(sh1add_uw, shift_add(ctx, i, 1, IR_I32))
TRANS(sh2add_uw, shift_add(ctx, i, 2, IR_I32))
TRANS(sh3add_uw, shift_add(ctx, i, 3, IR_I32))

bool trans_slli_uw(DisasContext *ctx, const RISCVInsn *i)
{
    ir_emit(ctx->ir, IR_SHLUW, i->rd, i->rs1, IR_NONE, i->imm);
    return true;
}

TRANS(andn, reg_reg(ctx, i, IR_ANDN, IR_I64))
TRANS(orn, reg_reg(ctx, i, IR_ORN, IR_I64))
TRANS(xnor, reg_reg(ctx, i, IR_XNOR, IR_I64))
TRANS(clz, unary(ctx, i, IR_CLZ, IR_I64))
TRANS(ctz, unary(ctx, i, IR_CTZ, IR_I64))
TRANS(cpop, unary(ctx, i, IR_POPCNT, IR_I64))
TRANS(clzw, unary(ctx, i, IR_CLZ, IR_I32))
TRANS(ctzw, unary(ctx, i, IR_CTZ, IR_I32))
TRANS(cpopw, unary(ctx, i, IR_POPCNT, IR_I32))
TRANS(sext_b, unary(ctx, i, IR_SEXT8, IR_I64))
TRANS(sext_h, unary(ctx, i, IR_SEXT16, IR_I64))
TRANS(zext_h, unary(ctx, i, IR_ZEXT16, IR_I64))
TRANS(orc_b, unary(ctx, i, IR_ORCB, IR_I64))
TRANS(rev8, unary(ctx, i, IR_BSWAP, IR_I64))
TRANS(min, reg_reg(ctx, i, IR_MINS, IR_I64))
TRANS(max, reg_reg(ctx, i, IR_MAXS, IR_I64))
TRANS(minu, reg_reg(ctx, i, IR_MINU, IR_I64))
TRANS(maxu, reg_reg(ctx, i, IR_MAXU, IR_I64))
TRANS(rol, reg_reg(ctx, i, IR_ROTL, IR_I64))
TRANS(ror, reg_reg(ctx, i, IR_ROTR, IR_I64))
TRANS(rori, reg_imm(ctx, i, IR_ROTR, IR_I64))
TRANS(rolw, reg_reg(ctx, i, IR_ROTL, IR_I32))
TRANS(rorw, reg_reg(ctx, i, IR_ROTR, IR_I32))
TRANS(roriw, reg_imm(ctx, i, IR_ROTR, IR_I32))

TRANS(clmul, reg_reg(ctx, i, IR_CLMUL, IR_I64))
TRANS(clmulh, reg_reg(ctx, i, IR_CLMULH, IR_I64))
TRANS(clmulr, reg_reg(ctx, i, IR_CLMULR, IR_I64))

TRANS(bclr, reg_reg(ctx, i, IR_BCLR, IR_I64))
TRANS(bext, reg_reg(ctx, i, IR_BEXT, IR_I64))
TRANS(binv, reg_reg(ctx, i, IR_BINV, IR_I64))
TRANS(bset, reg_reg(ctx, i, IR_BSET, IR_I64))
TRANS(bclri, reg_imm(ctx, i, IR_BCLR, IR_I64))
TRANS(bexti, reg_imm(ctx, i, IR_BEXT, IR_I64))
TRANS(binvi, reg_imm(ctx, i, IR_BINV, IR_I64))
TRANS(bseti, reg_imm(ctx, i, IR_BSET, IR_I64))

bool trans_czero_eqz(DisasContext *ctx, const RISCVInsn *i)
{
    ir_emit(ctx->ir, IR_CZERO_EQZ, i->rd, i->rs2, i->rs1, 0);
    return true;
}

bool trans_czero_nez(DisasContext *ctx, const RISCVInsn *i)
{
    ir_emit(ctx->ir, IR_CZERO_NEZ, i->rd, i->rs2, i->rs1, 0);
    return true;
}

/* Without an extension that gives them a meaning these write zero. */
bool trans_mop_r(DisasContext *ctx, const RISCVInsn *i)
{
    ir_emit(ctx->ir, IR_MOVI, i->rd, IR_NONE, IR_NONE, 0);
    return true;
}

bool trans_mop_rr(DisasContext *ctx, const RISCVInsn *i)
{
    return trans_mop_r(ctx, i);
}
