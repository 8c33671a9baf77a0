/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reductions, and what computes with masks. */
#include "vector.h"

/* --- reductions: out[0] = a[0] with all active elements --- */
#define REDUCE(size, T_, S_, W_, V_, name, AT, BT, expr)                                                     \
    static void name##_##size(VInsn *v, void *out, const void *d, const void *b_, const void *a_)            \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        AT a = *(const AT *)a_;                                                                              \
        for (unsigned i = 0; i < v->to; i++) {                                                               \
            if (v_active(v, i)) {                                                                            \
                BT b = ((const BT *)b_)[i];                                                                  \
                a = (expr);                                                                                  \
            }                                                                                                \
        }                                                                                                    \
        *(AT *)out = a;                                                                                      \
    }
#define REDUCTION(insn, expr)                                                                                \
    V_INTS(REDUCE, insn, T, T, expr)                                                                         \
    V_INT64(REDUCE, insn, T, T, expr)                                                                        \
    V_TRANS(insn##_vs, IR_ZERO, V_SCALAR, V_SAME, V_SCALAR, V_NO_VSTART, V_LOOPS(insn))
REDUCTION(vredsum, a + b)
REDUCTION(vredand, a & b)
REDUCTION(vredor, a | b)
REDUCTION(vredxor, a ^ b)
REDUCTION(vredminu, a < b ? a : b)
REDUCTION(vredmin, (S)a < (S)b ? a : b)
REDUCTION(vredmaxu, a > b ? a : b)
REDUCTION(vredmax, (S)a > (S)b ? a : b)
V_INTS(REDUCE, vwredsumu, W, T, a + b)
V_INTS(REDUCE, vwredsum, W, S, a + (W)b)
V_TRANS(vwredsumu_vs, IR_ZERO, V_WIDE_SCALAR, V_SAME, V_WIDE_SCALAR, V_NO_VSTART, V_LOOPS_32(vwredsumu))
V_TRANS(vwredsum_vs, IR_ZERO, V_WIDE_SCALAR, V_SAME, V_WIDE_SCALAR, V_NO_VSTART, V_LOOPS_32(vwredsum))

/* --- logic of whole masks --- */
#define ANY_SEW(loop)                                                                                        \
    {                                                                                                        \
        loop, loop, loop, loop                                                                               \
    }
#define MASK_LOGIC(insn, expr)                                                                               \
    static void insn##_bytes(VInsn *v, void *out, const void *d, const void *b_, const void *a_)             \
    {                                                                                                        \
        for (unsigned i = v->from / 8; i <= (v->to - 1) / 8; i++) {                                          \
            unsigned b = ((const uint8_t *)b_)[i], a = ((const uint8_t *)a_)[i];                             \
            ((uint8_t *)out)[i] = (expr);                                                                    \
        }                                                                                                    \
    }                                                                                                        \
    V_TRANS(insn##_mm, IR_ZERO, V_MASK, V_MASK, V_MASK, 0, ANY_SEW(insn##_bytes))
MASK_LOGIC(vmand, b & a)
MASK_LOGIC(vmnand, ~(b & a))
MASK_LOGIC(vmandn, b & ~a)
MASK_LOGIC(vmxor, b ^ a)
MASK_LOGIC(vmor, b | a)
MASK_LOGIC(vmnor, ~(b | a))
MASK_LOGIC(vmorn, b | ~a)
MASK_LOGIC(vmxnor, ~(b ^ a))

/* --- the first active bit that is set --- */
static unsigned first_set(const VInsn *v, const void *bits)
{
    unsigned i = 0;

    while (i < v->to && !(v_active(v, i) && v_bit(bits, i))) {
        i++;
    }
    return i;
}

#define SET_FIRST(insn, expr)                                                                                \
    static void insn##_bits(VInsn *v, void *out, const void *d, const void *b, const void *a)                \
    {                                                                                                        \
        unsigned first = first_set(v, b);                                                                    \
        for (unsigned i = 0; i < v->to; i++) {                                                               \
            v_set_bit(out, i, (expr));                                                                       \
        }                                                                                                    \
    }                                                                                                        \
    V_TRANS(insn##_m, IR_ZERO, V_MASK, V_MASK, V_NONE, V_NO_VSTART | V_APART, ANY_SEW(insn##_bits))
SET_FIRST(vmsbf, i < first)
SET_FIRST(vmsif, i <= first)
SET_FIRST(vmsof, i == first)

static void begin_count(VInsn *v, TCGEnv *env, uint64_t raw)
{
    vector_begin(v, env, raw, false);
    vector_check(v, v->from == 0);
}

static uint64_t helper_vcpop(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    uint64_t count = 0;
    const void *bits;
    VInsn v;

    begin_count(&v, env, raw);
    bits = v_reg(&v, v.vs2);
    for (unsigned i = 0; i < v.to; i++) {
        count += v_active(&v, i) && v_bit(bits, i);
    }
    return count;
}

static uint64_t helper_vfirst(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    unsigned first;
    VInsn v;

    begin_count(&v, env, raw);
    first = first_set(&v, v_reg(&v, v.vs2));
    return first < v.to ? first : UINT64_MAX;
}

bool trans_vcpop_m(DisasContext *ctx, const RISCVInsn *i)
{
    return vector_gen(ctx, i, i->rd, helper_vcpop, NULL, IR_ZERO);
}

bool trans_vfirst_m(DisasContext *ctx, const RISCVInsn *i)
{
    return vector_gen(ctx, i, i->rd, helper_vfirst, NULL, IR_ZERO);
}

/* --- counting along the elements --- */
#define COUNTING(size, T_, S_, W_, V_, name)                                                                 \
    static void viota_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)               \
    {                                                                                                        \
        unsigned count = 0;                                                                                  \
        for (unsigned i = 0; i < v->to; i++) {                                                               \
            ((T_ *)out)[i] = count;                                                                          \
            count += v_active(v, i) && v_bit(b, i);                                                          \
        }                                                                                                    \
    }                                                                                                        \
    static void vid_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)                 \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            ((T_ *)out)[i] = i;                                                                              \
        }                                                                                                    \
    }
V_INTS(COUNTING, 0)
V_INT64(COUNTING, 0)
V_TRANS(viota_m, IR_ZERO, V_SAME, V_MASK, V_NONE, V_NO_VSTART | V_APART, V_LOOPS(viota))
V_TRANS(vid_v, IR_ZERO, V_SAME, V_NONE, V_NONE, 0, V_LOOPS(vid))
