/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every floating point op as a C function over util/softfloat: the interpreter's arithmetic, and what inline
 * code falls back to.  Handles NaN boxing; integers only, so the host's floating point state is not touched.
 */
#include "tcg/tcg-internal.h"
#include "util/softfloat.h"

/* The last argument: rounding mode in the low byte, IROp.imm in the next. */
static uint8_t rounding_mode(const TCGEnv *env, uint64_t rm)
{
    rm &= 0xff;
    return rm == IR_DYN ? env->frm : rm;
}

static uint64_t unbox_f64(uint64_t v)
{
    return v;
}

static uint64_t unbox_f32(uint64_t v)
{
    return v >> 32 == 0xffffffff ? (uint32_t)v : FLOAT_NAN_F32;
}

static uint64_t unbox_f16(uint64_t v)
{
    return v >> 16 == 0xffffffffffff ? (uint16_t)v : FLOAT_NAN_F16;
}

static uint64_t box_f64(uint64_t v)
{
    return v;
}

static uint64_t box_f32(uint64_t v)
{
    return v | 0xffffffff00000000;
}

static uint64_t box_f16(uint64_t v)
{
    return v | 0xffffffffffff0000;
}

#define SIGN_f64 (1ULL << 63)
#define SIGN_f32 (1ULL << 31)
#define SIGN_f16 (1ULL << 15)

/* One function: @body computes from x, y, z (unboxed) and st, and its value is the result. */
#define FP_OP(f, name, body)                                                                                 \
    static uint64_t f##_op_##name(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c, uint64_t rm)              \
    {                                                                                                        \
        FloatStatus status = {.rm = rounding_mode(env, rm)}, *st = &status;                                  \
        uint64_t x = unbox_##f(a), y = unbox_##f(b), z = unbox_##f(c), r;                                    \
                                                                                                             \
        (void)x, (void)y, (void)z;                                                                           \
        r = body;                                                                                            \
        tcg_fp_or_flags(env, st->flags);                                                                     \
        return r;                                                                                            \
    }

#define FP_OPS(f)                                                                                            \
    FP_OP(f, add, box_##f(f##_add(x, y, st)))                                                                \
    FP_OP(f, sub, box_##f(f##_sub(x, y, st)))                                                                \
    FP_OP(f, mul, box_##f(f##_mul(x, y, st)))                                                                \
    FP_OP(f, div, box_##f(f##_div(x, y, st)))                                                                \
    FP_OP(f, sqrt, box_##f(f##_sqrt(x, st)))                                                                 \
    FP_OP(f, madd, box_##f(f##_fma(x, y, z, 0, st)))                                                         \
    FP_OP(f, msub, box_##f(f##_fma(x, y, z, FLOAT_NEGATE_ADDEND, st)))                                       \
    FP_OP(f, nmsub, box_##f(f##_fma(x, y, z, FLOAT_NEGATE_PRODUCT, st)))                                     \
    FP_OP(f, nmadd, box_##f(f##_fma(x, y, z, FLOAT_NEGATE_PRODUCT | FLOAT_NEGATE_ADDEND, st)))               \
    FP_OP(f, sgnj, box_##f((x & ~SIGN_##f) | (y & SIGN_##f)))                                                \
    FP_OP(f, sgnjn, box_##f((x & ~SIGN_##f) | (~y & SIGN_##f)))                                              \
    FP_OP(f, sgnjx, box_##f(x ^ (y & SIGN_##f)))                                                             \
    FP_OP(f, min, box_##f(f##_min(x, y, st)))                                                                \
    FP_OP(f, max, box_##f(f##_max(x, y, st)))                                                                \
    FP_OP(f, minm, box_##f(f##_minimum(x, y, st)))                                                           \
    FP_OP(f, maxm, box_##f(f##_maximum(x, y, st)))                                                           \
    FP_OP(f, eq, f##_eq(x, y, st))                                                                           \
    FP_OP(f, lt, f##_lt(x, y, st))                                                                           \
    FP_OP(f, le, f##_le(x, y, st))                                                                           \
    FP_OP(f, ltq, f##_lt_quiet(x, y, st))                                                                    \
    FP_OP(f, leq, f##_le_quiet(x, y, st))                                                                    \
    FP_OP(f, class, f##_classify(x))                                                                         \
    FP_OP(f, round, box_##f(f##_round_to_integral(x, rm >> 8 & 1, st)))                                      \
    FP_OP(f, to_w, (uint64_t)(int64_t)f##_to_i32(x, st))                                                     \
    FP_OP(f, to_wu, (uint64_t)(int64_t)(int32_t)f##_to_u32(x, st))                                           \
    FP_OP(f, to_l, (uint64_t)f##_to_i64(x, st))                                                              \
    FP_OP(f, to_lu, f##_to_u64(x, st))                                                                       \
    FP_OP(f, from_w, box_##f(f##_from_i64((int32_t)a, st)))                                                  \
    FP_OP(f, from_wu, box_##f(f##_from_u64((uint32_t)a, st)))                                                \
    FP_OP(f, from_l, box_##f(f##_from_i64((int64_t)a, st)))                                                  \
    FP_OP(f, from_lu, box_##f(f##_from_u64(a, st)))

FP_OPS(f64)
FP_OPS(f32)
FP_OPS(f16)
FP_OP(f64, mod, (uint64_t)f64_to_i32_modular(x, st))
FP_OP(f64, move_to_f, a)
FP_OP(f32, move_to_f, box_f32((uint32_t)a))
FP_OP(f16, move_to_f, box_f16((uint16_t)a))
FP_OP(f64, move_to_x, a)
FP_OP(f32, move_to_x, (uint64_t)(int64_t)(int32_t)a)
FP_OP(f16, move_to_x, (uint64_t)(int64_t)(int16_t)a)
FP_OP(f64, from_f32, f32_to_f64(unbox_f32(a), st))
FP_OP(f64, from_f16, f16_to_f64(unbox_f16(a), st))
FP_OP(f32, from_f64, box_f32(f64_to_f32(a, st)))
FP_OP(f32, from_f16, box_f32(f16_to_f32(unbox_f16(a), st)))
FP_OP(f16, from_f64, box_f16(f64_to_f16(a, st)))
FP_OP(f16, from_f32, box_f16(f32_to_f16(unbox_f32(a), st)))
FP_OP(f64, nan, FLOAT_NAN_F64)

static uint64_t get_flags(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c, uint64_t rm)
{
    return tcg_fp_get_flags(env);
}

static uint64_t set_flags(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c, uint64_t rm)
{
    tcg_fp_set(env, env->frm, a & 31);
    return 0;
}

#define ALL_TYPES(name)                                                                                      \
    {                                                                                                        \
        f64_op_##name, f32_op_##name, f16_op_##name                                                          \
    }

/* Indexed by type - IR_F64. */
static const FpFunction functions[IR_NUM_OPS][3] = {
    [IR_FADD] = ALL_TYPES(add),
    [IR_FSUB] = ALL_TYPES(sub),
    [IR_FMUL] = ALL_TYPES(mul),
    [IR_FDIV] = ALL_TYPES(div),
    [IR_FSQRT] = ALL_TYPES(sqrt),
    [IR_FMADD] = ALL_TYPES(madd),
    [IR_FMSUB] = ALL_TYPES(msub),
    [IR_FNMSUB] = ALL_TYPES(nmsub),
    [IR_FNMADD] = ALL_TYPES(nmadd),
    [IR_FSGNJ] = ALL_TYPES(sgnj),
    [IR_FSGNJN] = ALL_TYPES(sgnjn),
    [IR_FSGNJX] = ALL_TYPES(sgnjx),
    [IR_FMIN] = ALL_TYPES(min),
    [IR_FMAX] = ALL_TYPES(max),
    [IR_FMINM] = ALL_TYPES(minm),
    [IR_FMAXM] = ALL_TYPES(maxm),
    [IR_FEQ] = ALL_TYPES(eq),
    [IR_FLT] = ALL_TYPES(lt),
    [IR_FLE] = ALL_TYPES(le),
    [IR_FLTQ] = ALL_TYPES(ltq),
    [IR_FLEQ] = ALL_TYPES(leq),
    [IR_FCLASS] = ALL_TYPES(class),
    [IR_FROUND] = ALL_TYPES(round),
    [IR_FCVTMOD] = {f64_op_mod, f64_op_mod, f64_op_mod},
    [IR_FCVT_W] = ALL_TYPES(to_w),
    [IR_FCVT_WU] = ALL_TYPES(to_wu),
    [IR_FCVT_L] = ALL_TYPES(to_l),
    [IR_FCVT_LU] = ALL_TYPES(to_lu),
    [IR_FCVT_FROM_W] = ALL_TYPES(from_w),
    [IR_FCVT_FROM_WU] = ALL_TYPES(from_wu),
    [IR_FCVT_FROM_L] = ALL_TYPES(from_l),
    [IR_FCVT_FROM_LU] = ALL_TYPES(from_lu),
    [IR_FMV_TO_F] = ALL_TYPES(move_to_f),
    [IR_FMV_TO_X] = ALL_TYPES(move_to_x),
    [IR_FP_GET_FLAGS] = {get_flags, get_flags, get_flags},
    [IR_FP_SET_FLAGS] = {set_flags, set_flags, set_flags},
};

/* To the row's type from the column's. */
static const FpFunction conversions[3][3] = {
    {f64_op_move_to_f, f64_op_from_f32, f64_op_from_f16},
    {f32_op_from_f64, f32_op_move_to_f, f32_op_from_f16},
    {f16_op_from_f64, f16_op_from_f32, f16_op_move_to_f},
};

FpFunction fp_function(const IROp *op)
{
    unsigned type = op->type >= IR_F64 ? op->type - IR_F64 : 0;
    FpFunction fn;

    if (type > 2) {
        return f64_op_nan;
    }
    if (op->opc == IR_FCVT_FF) {
        unsigned from = op->imm >= IR_F64 && op->imm <= IR_F16 ? op->imm - IR_F64 : 0;

        return conversions[type][from];
    }
    fn = functions[op->opc][type];
    return fn ? fn : f64_op_nan;
}

uint64_t fp_function_rm(const IROp *op)
{
    return op->rm | (op->imm & 1) << 8;
}

uint64_t ir_eval_fp(const IROp *op, TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    return fp_function(op)(env, a, b, c, fp_function_rm(op));
}
