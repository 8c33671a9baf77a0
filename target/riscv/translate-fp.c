/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Floating point: one IR op per instruction, after one check per path that the unit is on. */
#include "translate.h"

/* 5 and 6 name no rounding mode. */
static bool rm_valid(const RISCVInsn *i)
{
    return i->rm <= IR_RMM || i->rm == IR_DYN;
}

static void set_op(IROp *op, IRType type, unsigned rm)
{
    op->type = type;
    op->rm = rm;
}

/* f = op(f, f), rounded */
static bool rounded(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type)
{
    if (!rm_valid(i)) {
        return false;
    }
    gen_fp_check(ctx, i, i->rm == IR_DYN);
    set_op(ir_emit(ctx->ir, opc, f_var(i->rd), f_var(i->rs1), f_var(i->rs2), 0), type, i->rm);
    return true;
}

static bool fused(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type)
{
    IROp *op;

    if (!rm_valid(i)) {
        return false;
    }
    gen_fp_check(ctx, i, i->rm == IR_DYN);
    op = ir_emit(ctx->ir, opc, f_var(i->rd), f_var(i->rs1), f_var(i->rs2), 0);
    op->c = f_var(i->rs3);
    set_op(op, type, i->rm);
    return true;
}

/* @dst = op(f) with @imm, rounded */
static bool convert(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type, IRRef dst, IRRef src,
                    int imm)
{
    if (!rm_valid(i)) {
        return false;
    }
    gen_fp_check(ctx, i, i->rm == IR_DYN);
    set_op(ir_emit(ctx->ir, opc, dst, src, IR_NONE, imm), type, i->rm);
    return true;
}

/* @dst = op(...), exact or with its own rounding */
static bool exact(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type, IRRef dst, IRRef a,
                  IRRef b)
{
    gen_fp_check(ctx, i, false);
    set_op(ir_emit(ctx->ir, opc, dst, a, b, 0), type, IR_RNE);
    return true;
}

#define TRANS(insn, expression)                                                                              \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return expression;                                                                                   \
    }
#define TRANS_FORMATS(insn, s, d, h)                                                                         \
    TRANS(insn##_s, s)                                                                                       \
    TRANS(insn##_d, d)                                                                                       \
    TRANS(insn##_h, h)
#define TRANS_ROUNDED(insn, opc)                                                                             \
    TRANS_FORMATS(insn, rounded(ctx, i, opc, IR_F32), rounded(ctx, i, opc, IR_F64),                          \
                  rounded(ctx, i, opc, IR_F16))
#define TRANS_FUSED(insn, opc)                                                                               \
    TRANS_FORMATS(insn, fused(ctx, i, opc, IR_F32), fused(ctx, i, opc, IR_F64), fused(ctx, i, opc, IR_F16))
#define F_FF(opc, type)       exact(ctx, i, opc, type, f_var(i->rd), f_var(i->rs1), f_var(i->rs2))
#define X_FF(opc, type)       exact(ctx, i, opc, type, i->rd, f_var(i->rs1), f_var(i->rs2))
#define X_F(opc, type)        exact(ctx, i, opc, type, i->rd, f_var(i->rs1), IR_NONE)
#define F_X(opc, type)        exact(ctx, i, opc, type, f_var(i->rd), i->rs1, IR_NONE)
#define TRANS_F_FF(insn, opc) TRANS_FORMATS(insn, F_FF(opc, IR_F32), F_FF(opc, IR_F64), F_FF(opc, IR_F16))
#define TRANS_X_FF(insn, opc) TRANS_FORMATS(insn, X_FF(opc, IR_F32), X_FF(opc, IR_F64), X_FF(opc, IR_F16))

TRANS_ROUNDED(fadd, IR_FADD)
TRANS_ROUNDED(fsub, IR_FSUB)
TRANS_ROUNDED(fmul, IR_FMUL)
TRANS_ROUNDED(fdiv, IR_FDIV)
TRANS_FUSED(fmadd, IR_FMADD)
TRANS_FUSED(fmsub, IR_FMSUB)
TRANS_FUSED(fnmsub, IR_FNMSUB)
TRANS_FUSED(fnmadd, IR_FNMADD)
TRANS_F_FF(fsgnj, IR_FSGNJ)
TRANS_F_FF(fsgnjn, IR_FSGNJN)
TRANS_F_FF(fsgnjx, IR_FSGNJX)
TRANS_F_FF(fmin, IR_FMIN)
TRANS_F_FF(fmax, IR_FMAX)
TRANS_F_FF(fminm, IR_FMINM)
TRANS_F_FF(fmaxm, IR_FMAXM)
TRANS_X_FF(feq, IR_FEQ)
TRANS_X_FF(flt, IR_FLT)
TRANS_X_FF(fle, IR_FLE)
TRANS_X_FF(fltq, IR_FLTQ)
TRANS_X_FF(fleq, IR_FLEQ)
TRANS_FORMATS(fclass, X_F(IR_FCLASS, IR_F32), X_F(IR_FCLASS, IR_F64), X_F(IR_FCLASS, IR_F16))

TRANS(fmv_x_w, X_F(IR_FMV_TO_X, IR_F32))
TRANS(fmv_x_d, X_F(IR_FMV_TO_X, IR_F64))
TRANS(fmv_x_h, X_F(IR_FMV_TO_X, IR_F16))
TRANS(fmv_w_x, F_X(IR_FMV_TO_F, IR_F32))
TRANS(fmv_d_x, F_X(IR_FMV_TO_F, IR_F64))
TRANS(fmv_h_x, F_X(IR_FMV_TO_F, IR_F16))

#define F_F(opc, type, imm) convert(ctx, i, opc, type, f_var(i->rd), f_var(i->rs1), imm)
#define TRANS_F_F(insn, opc, imm)                                                                            \
    TRANS_FORMATS(insn, F_F(opc, IR_F32, imm), F_F(opc, IR_F64, imm), F_F(opc, IR_F16, imm))
TRANS_F_F(fsqrt, IR_FSQRT, 0)
TRANS_F_F(fround, IR_FROUND, 0)
TRANS_F_F(froundnx, IR_FROUND, 1)
TRANS(fcvt_s_d, F_F(IR_FCVT_FF, IR_F32, IR_F64))
TRANS(fcvt_d_s, F_F(IR_FCVT_FF, IR_F64, IR_F32))
TRANS(fcvt_s_h, F_F(IR_FCVT_FF, IR_F32, IR_F16))
TRANS(fcvt_h_s, F_F(IR_FCVT_FF, IR_F16, IR_F32))
TRANS(fcvt_d_h, F_F(IR_FCVT_FF, IR_F64, IR_F16))
TRANS(fcvt_h_d, F_F(IR_FCVT_FF, IR_F16, IR_F64))

#define TO_INT(opc, type)   convert(ctx, i, opc, type, i->rd, f_var(i->rs1), 0)
#define FROM_INT(opc, type) convert(ctx, i, opc, type, f_var(i->rd), i->rs1, 0)
#define TRANS_INT(int, INT)                                                                                  \
    TRANS_FORMATS(fcvt_##int, TO_INT(IR_FCVT_##INT, IR_F32), TO_INT(IR_FCVT_##INT, IR_F64),                  \
                  TO_INT(IR_FCVT_##INT, IR_F16))                                                             \
    TRANS(fcvt_s_##int, FROM_INT(IR_FCVT_FROM_##INT, IR_F32))                                                \
    TRANS(fcvt_d_##int, FROM_INT(IR_FCVT_FROM_##INT, IR_F64))                                                \
    TRANS(fcvt_h_##int, FROM_INT(IR_FCVT_FROM_##INT, IR_F16))
TRANS_INT(w, W)
TRANS_INT(wu, WU)
TRANS_INT(l, L)
TRANS_INT(lu, LU)
TRANS(fcvtmod_w_d, X_F(IR_FCVTMOD, IR_F64))

/* --- fli: constants --- */
typedef struct FliValue {
    uint64_t d;
    uint32_t s;
    uint16_t h;
} FliValue;

static const FliValue fli_values[32] = {
    {0xbff0000000000000, 0xbf800000, 0xbc00}, /* -1 */
    {0x0010000000000000, 0x00800000, 0x0400}, /* smallest normal */
    {0x3ef0000000000000, 0x37800000, 0x0100}, /* 2^-16 */
    {0x3f00000000000000, 0x38000000, 0x0200}, /* 2^-15 */
    {0x3f70000000000000, 0x3b800000, 0x1c00}, /* 2^-8 */
    {0x3f80000000000000, 0x3c000000, 0x2000}, /* 2^-7 */
    {0x3fb0000000000000, 0x3d800000, 0x2c00}, /* 0.0625 */
    {0x3fc0000000000000, 0x3e000000, 0x3000}, /* 0.125 */
    {0x3fd0000000000000, 0x3e800000, 0x3400}, /* 0.25 */
    {0x3fd4000000000000, 0x3ea00000, 0x3500}, /* 0.3125 */
    {0x3fd8000000000000, 0x3ec00000, 0x3600}, /* 0.375 */
    {0x3fdc000000000000, 0x3ee00000, 0x3700}, /* 0.4375 */
    {0x3fe0000000000000, 0x3f000000, 0x3800}, /* 0.5 */
    {0x3fe4000000000000, 0x3f200000, 0x3900}, /* 0.625 */
    {0x3fe8000000000000, 0x3f400000, 0x3a00}, /* 0.75 */
    {0x3fec000000000000, 0x3f600000, 0x3b00}, /* 0.875 */
    {0x3ff0000000000000, 0x3f800000, 0x3c00}, /* 1 */
    {0x3ff4000000000000, 0x3fa00000, 0x3d00}, /* 1.25 */
    {0x3ff8000000000000, 0x3fc00000, 0x3e00}, /* 1.5 */
    {0x3ffc000000000000, 0x3fe00000, 0x3f00}, /* 1.75 */
    {0x4000000000000000, 0x40000000, 0x4000}, /* 2 */
    {0x4004000000000000, 0x40200000, 0x4100}, /* 2.5 */
    {0x4008000000000000, 0x40400000, 0x4200}, /* 3 */
    {0x4010000000000000, 0x40800000, 0x4400}, /* 4 */
    {0x4020000000000000, 0x41000000, 0x4800}, /* 8 */
    {0x4030000000000000, 0x41800000, 0x4c00}, /* 16 */
    {0x4060000000000000, 0x43000000, 0x5800}, /* 128 */
    {0x4070000000000000, 0x43800000, 0x5c00}, /* 256 */
    {0x40e0000000000000, 0x47000000, 0x7800}, /* 2^15 */
    {0x40f0000000000000, 0x47800000, 0x7c00}, /* 2^16; infinity as half */
    {0x7ff0000000000000, 0x7f800000, 0x7c00}, /* infinity */
    {0x7ff8000000000000, 0x7fc00000, 0x7e00}, /* NaN */
};

static bool load_constant(DisasContext *ctx, const RISCVInsn *i, uint64_t value)
{
    gen_fp_check(ctx, i, false);
    ir_emit(ctx->ir, IR_MOVI, f_var(i->rd), IR_NONE, IR_NONE, value);
    return true;
}

TRANS(fli_s, load_constant(ctx, i, 0xffffffff00000000 | fli_values[i->rs1].s))
TRANS(fli_d, load_constant(ctx, i, fli_values[i->rs1].d))
TRANS(fli_h, load_constant(ctx, i, 0xffffffffffff0000 | fli_values[i->rs1].h))
