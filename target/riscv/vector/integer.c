/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Integer arithmetic: one line per operation, as an expression of d (old destination), b (vs2) and a (vs1 or
 * scalar).
 *
 * In an expression T and S are the unsigned and signed types of SEW, W and V those twice as wide; BITS is
 * SEW.
 */
#include "vector.h"

#ifndef __clang__
#pragma GCC optimize("O3") /* what vectorises the loops; clang does it at any rate */
#endif

/* --- loops: element types of out and d, b, a --- */
/* every element for itself: even where groups are the same the compiler may compute many at once */
#ifdef __clang__
#define INDEPENDENT
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define LOOP_BODY(name, size, T_, S_, W_, V_, DT, BT, AT, expr)                                              \
    static G_GNUC_UNUSED void name##_v_##size(VInsn *v, void *out, const void *d_, const void *b_,           \
                                              const void *a_)                                                \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        enum { BITS G_GNUC_UNUSED = size };                                                                  \
        unsigned to = v->to;                                                                                 \
        INDEPENDENT                                                                                          \
        for (unsigned i = v->from; i < to; i++) {                                                            \
            G_GNUC_UNUSED DT d = ((const DT *)d_)[i];                                                        \
            G_GNUC_UNUSED BT b = ((const BT *)b_)[i];                                                        \
            G_GNUC_UNUSED AT a = ((const AT *)a_)[i];                                                        \
            ((DT *)out)[i] = (expr);                                                                         \
        }                                                                                                    \
    }                                                                                                        \
    static G_GNUC_UNUSED void name##_x_##size(VInsn *v, void *out, const void *d_, const void *b_,           \
                                              const void *a_)                                                \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        enum { BITS G_GNUC_UNUSED = size };                                                                  \
        G_GNUC_UNUSED const AT a = *(const AT *)a_;                                                          \
        unsigned to = v->to;                                                                                 \
        INDEPENDENT                                                                                          \
        for (unsigned i = v->from; i < to; i++) {                                                            \
            G_GNUC_UNUSED DT d = ((const DT *)d_)[i];                                                        \
            G_GNUC_UNUSED BT b = ((const BT *)b_)[i];                                                        \
            ((DT *)out)[i] = (expr);                                                                         \
        }                                                                                                    \
    }

#define SAME(size, T, S, W, V, name, expr)   LOOP_BODY(name, size, T, S, W, V, T, T, T, expr)
#define WIDEN(size, T, S, W, V, name, expr)  LOOP_BODY(name, size, T, S, W, V, W, T, T, expr)
#define WIDE_B(size, T, S, W, V, name, expr) LOOP_BODY(name, size, T, S, W, V, W, W, T, expr)
#define NARROW(size, T, S, W, V, name, expr) LOOP_BODY(name, size, T, S, W, V, T, W, T, expr)

/* --- same width --- */
#define VX(insn, flags)                                                                                      \
    V_TRANS(insn##_vv, IR_ZERO, V_SAME, V_SAME, V_SAME, flags, V_LOOPS(insn##_v))                            \
    V_TRANS(insn##_vx, V_X, V_SAME, V_SAME, V_NONE, flags, V_LOOPS(insn##_x))
#define VI(insn)              V_TRANS(insn##_vi, V_IMM, V_SAME, V_SAME, V_NONE, 0, V_LOOPS(insn##_x))
#define INT_LOOPS(insn, expr) V_INTS(SAME, insn, expr) V_INT64(SAME, insn, expr)
#define INT_VX(insn, expr)    INT_LOOPS(insn, expr) VX(insn, 0)
#define INT_VXI(insn, expr)   INT_VX(insn, expr) VI(insn)

INT_VXI(vadd, b + a)
INT_VX(vsub, b - a)
INT_VX(vminu, b < a ? b : a)
INT_VX(vmin, (S)b < (S)a ? b : a)
INT_VX(vmaxu, b > a ? b : a)
INT_VX(vmax, (S)b > (S)a ? b : a)
INT_VXI(vand, b & a)
INT_VXI(vor, b | a)
INT_VXI(vxor, b ^ a)
INT_VXI(vsll, b << (a & (BITS - 1)))
INT_VXI(vsrl, b >> (a & (BITS - 1)))
INT_VXI(vsra, (S)b >> (a & (BITS - 1)))
INT_VX(vmul, (uint64_t)b * a)
INT_VX(vdivu, a ? b / a : (T)-1)
INT_VX(vdiv, !a ? (T)-1 : (S)a == -1 ? (T)-b : (T)((S)b / (S)a))
INT_VX(vremu, a ? b % a : b)
INT_VX(vrem, !a ? b : (S)a == -1 ? 0 : (T)((S)b % (S)a))
INT_LOOPS(vmulh, ((V)(S)b * (V)(S)a) >> BITS)
INT_LOOPS(vmulhu, ((W)b * (W)a) >> BITS)
INT_LOOPS(vmulhsu, ((V)(S)b * (V)a) >> BITS)
VX(vmulh, V_HIGH)
VX(vmulhu, V_HIGH)
VX(vmulhsu, V_HIGH)
INT_LOOPS(vrsub, a - b)
V_TRANS(vrsub_vx, V_X, V_SAME, V_SAME, V_NONE, 0, V_LOOPS(vrsub_x))
VI(vrsub)

/* the destination is an operand */
INT_VX(vmacc, d + (uint64_t)b * a)
INT_VX(vnmsac, d - (uint64_t)b * a)
INT_VX(vmadd, (uint64_t)d * a + b)
INT_VX(vnmsub, b - (uint64_t)d * a)

/* --- twice as wide --- */
#define WIDE_LOOPS(name, shape, expr) V_INTS(shape, name, expr)
#define WIDE_OPS(insn, flags, expr)                                                                          \
    WIDE_LOOPS(insn, WIDEN, expr)                                                                            \
    V_TRANS(insn##_vv, IR_ZERO, V_WIDE, V_SAME, V_SAME, flags, V_LOOPS_32(insn##_v))                         \
    V_TRANS(insn##_vx, V_X, V_WIDE, V_SAME, V_NONE, flags, V_LOOPS_32(insn##_x))
#define WIDE_VX(insn, expr) WIDE_OPS(insn, 0, expr)
#define WIDE_WX(insn, expr)                                                                                  \
    WIDE_LOOPS(insn##_w, WIDE_B, expr)                                                                       \
    V_TRANS(insn##_wv, IR_ZERO, V_WIDE, V_WIDE, V_SAME, 0, V_LOOPS_32(insn##_w_v))                           \
    V_TRANS(insn##_wx, V_X, V_WIDE, V_WIDE, V_NONE, 0, V_LOOPS_32(insn##_w_x))

WIDE_VX(vwaddu, (W)b + (W)a)
WIDE_VX(vwadd, (W)(V)(S)b + (W)(V)(S)a)
WIDE_VX(vwsubu, (W)b - (W)a)
WIDE_VX(vwsub, (W)(V)(S)b - (W)(V)(S)a)
WIDE_WX(vwaddu, b + (W)a)
WIDE_WX(vwadd, b + (W)(V)(S)a)
WIDE_WX(vwsubu, b - (W)a)
WIDE_WX(vwsub, b - (W)(V)(S)a)
#define PRODUCT(btype, atype) ((uint64_t)(int64_t)(V)(btype)b * (uint64_t)(int64_t)(V)(atype)a)
WIDE_VX(vwmulu, PRODUCT(T, T))
WIDE_VX(vwmulsu, PRODUCT(S, T))
WIDE_VX(vwmul, PRODUCT(S, S))
WIDE_OPS(vwmaccu, V_READS_D, d + PRODUCT(T, T))
WIDE_OPS(vwmacc, V_READS_D, d + PRODUCT(S, S))
WIDE_OPS(vwmaccsu, V_READS_D, d + PRODUCT(T, S))
WIDE_LOOPS(vwmaccus, WIDEN, d + PRODUCT(S, T))
V_TRANS(vwmaccus_vx, V_X, V_WIDE, V_SAME, V_NONE, V_READS_D, V_LOOPS_32(vwmaccus_x))

/* --- half as wide --- */
#define NARROW_VXI(insn, expr)                                                                               \
    V_INTS(NARROW, insn, expr)                                                                               \
    V_TRANS(insn##_wv, IR_ZERO, V_SAME, V_WIDE, V_SAME, 0, V_LOOPS_32(insn##_v))                             \
    V_TRANS(insn##_wx, V_X, V_SAME, V_WIDE, V_NONE, 0, V_LOOPS_32(insn##_x))                                 \
    V_TRANS(insn##_wi, V_IMM, V_SAME, V_WIDE, V_NONE, 0, V_LOOPS_32(insn##_x))
NARROW_VXI(vnsrl, b >> (a & (2 * BITS - 1)))
NARROW_VXI(vnsra, (V)b >> (a & (2 * BITS - 1)))

/* --- extension --- */
#define EXTEND(name, TO, FROM)                                                                               \
    static void name(VInsn *v, void *out, const void *d, const void *b, const void *a)                       \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            ((TO *)out)[i] = ((const FROM *)b)[i];                                                           \
        }                                                                                                    \
    }
EXTEND(zext_8_16, uint16_t, uint8_t)
EXTEND(zext_8_32, uint32_t, uint8_t)
EXTEND(zext_8_64, uint64_t, uint8_t)
EXTEND(zext_16_32, uint32_t, uint16_t)
EXTEND(zext_16_64, uint64_t, uint16_t)
EXTEND(zext_32_64, uint64_t, uint32_t)
EXTEND(sext_8_16, int16_t, int8_t)
EXTEND(sext_8_32, int32_t, int8_t)
EXTEND(sext_8_64, int64_t, int8_t)
EXTEND(sext_16_32, int32_t, int16_t)
EXTEND(sext_16_64, int64_t, int16_t)
EXTEND(sext_32_64, int64_t, int32_t)
V_TRANS(vzext_vf2, IR_ZERO, V_SAME, V_F2, V_NONE, 0, {NULL, zext_8_16, zext_16_32, zext_32_64})
V_TRANS(vzext_vf4, IR_ZERO, V_SAME, V_F4, V_NONE, 0, {NULL, NULL, zext_8_32, zext_16_64})
V_TRANS(vzext_vf8, IR_ZERO, V_SAME, V_F8, V_NONE, 0, {NULL, NULL, NULL, zext_8_64})
V_TRANS(vsext_vf2, IR_ZERO, V_SAME, V_F2, V_NONE, 0, {NULL, sext_8_16, sext_16_32, sext_32_64})
V_TRANS(vsext_vf4, IR_ZERO, V_SAME, V_F4, V_NONE, 0, {NULL, NULL, sext_8_32, sext_16_64})
V_TRANS(vsext_vf8, IR_ZERO, V_SAME, V_F8, V_NONE, 0, {NULL, NULL, NULL, sext_8_64})

/* --- the mask as an operand: m is this element's bit --- */
#define MASKED(size, T_, S_, W_, V_, name, expr, put)                                                        \
    static G_GNUC_UNUSED void name##_v_##size(VInsn *v, void *out, const void *d, const void *b_,            \
                                              const void *a_)                                                \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        const bool carry G_GNUC_UNUSED = !((v->raw >> 25) & 1);                                              \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            T b G_GNUC_UNUSED = ((const T *)b_)[i], a = ((const T *)a_)[i];                                  \
            bool m G_GNUC_UNUSED = carry && v_bit(v->v0, i);                                                 \
            put(T, expr);                                                                                    \
        }                                                                                                    \
    }                                                                                                        \
    static G_GNUC_UNUSED void name##_x_##size(VInsn *v, void *out, const void *d, const void *b_,            \
                                              const void *a_)                                                \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        const bool carry G_GNUC_UNUSED = !((v->raw >> 25) & 1);                                              \
        const T a = *(const T *)a_;                                                                          \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            T b G_GNUC_UNUSED = ((const T *)b_)[i];                                                          \
            bool m G_GNUC_UNUSED = carry && v_bit(v->v0, i);                                                 \
            put(T, expr);                                                                                    \
        }                                                                                                    \
    }
#define PUT_ELEMENT(T, expr)        ((T *)out)[i] = (expr)
#define PUT_BIT(T, expr)            v_set_bit(out, i, (expr))
#define MASK_LOOPS(name, expr, put) V_INTS(MASKED, name, expr, put) V_INT64(MASKED, name, expr, put)

MASK_LOOPS(vadc, b + a + m, PUT_ELEMENT)
MASK_LOOPS(vsbc, b - a - m, PUT_ELEMENT)
MASK_LOOPS(vmadc, m ? (T)(b + a + 1) <= b : (T)(b + a) < b, PUT_BIT)
MASK_LOOPS(vmsbc, m ? b <= a : b < a, PUT_BIT)
MASK_LOOPS(vmerge, m ? a : b, PUT_ELEMENT)
MASK_LOOPS(vmv, a, PUT_ELEMENT)
V_TRANS(vadc_vvm, IR_ZERO, V_SAME, V_SAME, V_SAME, V_CARRY, V_LOOPS(vadc_v))
V_TRANS(vadc_vxm, V_X, V_SAME, V_SAME, V_NONE, V_CARRY, V_LOOPS(vadc_x))
V_TRANS(vadc_vim, V_IMM, V_SAME, V_SAME, V_NONE, V_CARRY, V_LOOPS(vadc_x))
V_TRANS(vsbc_vvm, IR_ZERO, V_SAME, V_SAME, V_SAME, V_CARRY, V_LOOPS(vsbc_v))
V_TRANS(vsbc_vxm, V_X, V_SAME, V_SAME, V_NONE, V_CARRY, V_LOOPS(vsbc_x))
V_TRANS(vmadc_vvm, IR_ZERO, V_MASK, V_SAME, V_SAME, V_CARRY, V_LOOPS(vmadc_v))
V_TRANS(vmadc_vxm, V_X, V_MASK, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmadc_x))
V_TRANS(vmadc_vim, V_IMM, V_MASK, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmadc_x))
V_TRANS(vmadc_vv, IR_ZERO, V_MASK, V_SAME, V_SAME, V_CARRY, V_LOOPS(vmadc_v))
V_TRANS(vmadc_vx, V_X, V_MASK, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmadc_x))
V_TRANS(vmadc_vi, V_IMM, V_MASK, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmadc_x))
V_TRANS(vmsbc_vvm, IR_ZERO, V_MASK, V_SAME, V_SAME, V_CARRY, V_LOOPS(vmsbc_v))
V_TRANS(vmsbc_vxm, V_X, V_MASK, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmsbc_x))
V_TRANS(vmsbc_vv, IR_ZERO, V_MASK, V_SAME, V_SAME, V_CARRY, V_LOOPS(vmsbc_v))
V_TRANS(vmsbc_vx, V_X, V_MASK, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmsbc_x))
V_TRANS(vmerge_vvm, IR_ZERO, V_SAME, V_SAME, V_SAME, V_CARRY, V_LOOPS(vmerge_v))
V_TRANS(vmerge_vxm, V_X, V_SAME, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmerge_x))
V_TRANS(vmerge_vim, V_IMM, V_SAME, V_SAME, V_NONE, V_CARRY, V_LOOPS(vmerge_x))
V_TRANS(vmv_v_v, IR_ZERO, V_SAME, V_NONE, V_SAME, 0, V_LOOPS(vmv_v))
V_TRANS(vmv_v_x, V_X, V_SAME, V_NONE, V_NONE, 0, V_LOOPS(vmv_x))
V_TRANS(vmv_v_i, V_IMM, V_SAME, V_NONE, V_NONE, 0, V_LOOPS(vmv_x))

/* --- comparisons --- */
#define COMPARE(size, T_, S_, W_, V_, name, expr)                                                            \
    static G_GNUC_UNUSED void name##_v_##size(VInsn *v, void *out, const void *d, const void *b_,            \
                                              const void *a_)                                                \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            T b = ((const T *)b_)[i], a = ((const T *)a_)[i];                                                \
            v_set_bit(out, i, (expr));                                                                       \
        }                                                                                                    \
    }                                                                                                        \
    static G_GNUC_UNUSED void name##_x_##size(VInsn *v, void *out, const void *d, const void *b_,            \
                                              const void *a_)                                                \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        const T a = *(const T *)a_;                                                                          \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            T b = ((const T *)b_)[i];                                                                        \
            v_set_bit(out, i, (expr));                                                                       \
        }                                                                                                    \
    }
#define COMPARE_LOOPS(insn, expr) V_INTS(COMPARE, insn, expr) V_INT64(COMPARE, insn, expr)
#define COMPARE_VV(insn)          V_TRANS(insn##_vv, IR_ZERO, V_MASK, V_SAME, V_SAME, 0, V_LOOPS(insn##_v))
#define COMPARE_VX(insn)          V_TRANS(insn##_vx, V_X, V_MASK, V_SAME, V_NONE, 0, V_LOOPS(insn##_x))
#define COMPARE_VI(insn)          V_TRANS(insn##_vi, V_IMM, V_MASK, V_SAME, V_NONE, 0, V_LOOPS(insn##_x))
COMPARE_LOOPS(vmseq, b == a)
COMPARE_LOOPS(vmsne, b != a)
COMPARE_LOOPS(vmsltu, b < a)
COMPARE_LOOPS(vmslt, (S)b < (S)a)
COMPARE_LOOPS(vmsleu, b <= a)
COMPARE_LOOPS(vmsle, (S)b <= (S)a)
COMPARE_LOOPS(vmsgtu, b > a)
COMPARE_LOOPS(vmsgt, (S)b > (S)a)
COMPARE_VV(vmseq)
COMPARE_VX(vmseq)
COMPARE_VI(vmseq)
COMPARE_VV(vmsne)
COMPARE_VX(vmsne)
COMPARE_VI(vmsne)
COMPARE_VV(vmsltu)
COMPARE_VX(vmsltu)
COMPARE_VV(vmslt)
COMPARE_VX(vmslt)
COMPARE_VV(vmsleu)
COMPARE_VX(vmsleu)
COMPARE_VI(vmsleu)
COMPARE_VV(vmsle)
COMPARE_VX(vmsle)
COMPARE_VI(vmsle)
COMPARE_VX(vmsgtu)
COMPARE_VI(vmsgtu)
COMPARE_VX(vmsgt)
COMPARE_VI(vmsgt)
