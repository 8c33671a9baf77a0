/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fixed point: saturating and averaging arithmetic, scaling shifts and clips.
 *
 * One line per operation, with the types of integer.c.  Only active elements may set vxsat, so the loops ask.
 */
#include "vector.h"

/* What rounding adds to value >> shift: @low are the bits that go, @lsb the lowest that stays. */
static inline unsigned round_up(unsigned vxrm, bool lsb, uint64_t low, unsigned shift)
{
    uint64_t half;

    if (!shift || !low) {
        return 0;
    }
    half = UINT64_C(1) << (shift - 1);
    switch (vxrm) {
    case 0: /* to nearest, up */
        return low >= half;
    case 1: /* to nearest, even */
        return low > half || (low == half && lsb);
    case 2: /* down */
        return 0;
    default: /* to odd */
        return !lsb;
    }
}

/* value >> shift, rounded, for a type wide enough to hold the sum */
#define ROUNDED(value, shift)                                                                                \
    (((value) >> (shift)) + round_up(vxrm, ((value) >> (shift)) & 1,                                         \
                                     (shift) ? (uint64_t)(value)&MAKE_64BIT_MASK(0, (shift)) : 0, (shift)))

#define FIXED(size, T_, S_, W_, V_, name, BT, expr)                                                          \
    static void name##_##size(VInsn *v, void *out, const void *d, const void *b_, const void *a_)            \
    {                                                                                                        \
        V_TYPES(T_, S_, W_, V_)                                                                              \
        enum { BITS G_GNUC_UNUSED = size };                                                                  \
        const S S_MIN G_GNUC_UNUSED = (S)((T)1 << (size - 1)), S_MAX G_GNUC_UNUSED = (S) ~(T)S_MIN;          \
        const unsigned vxrm G_GNUC_UNUSED = v->cpu->vector.vxrm;                                             \
        const bool scalar = v->op->a == V_NONE;                                                              \
        bool saturated = false;                                                                              \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            BT b = ((const BT *)b_)[i];                                                                      \
            T a = ((const T *)a_)[scalar ? 0 : i];                                                           \
            if (v_active(v, i)) {                                                                            \
                ((T *)out)[i] = (expr);                                                                      \
            }                                                                                                \
        }                                                                                                    \
        v->saturated = saturated;                                                                            \
    }
#define FIXED_LOOPS(name, expr)                                                                              \
    V_INTS(FIXED, name, T, expr)                                                                             \
    V_INT64(FIXED, name, T, expr)

/* @value if @fits, else @limit */
#define SATURATE(fits, value, limit) ((fits) ? (T)(value) : (saturated = true, (T)(limit)))
#define SIGNED_LIMIT                 ((S)b < 0 ? S_MIN : S_MAX)
#define SUM                          ((T)(b + a))
#define DIFFERENCE                   ((T)(b - a))

FIXED_LOOPS(vsaddu, SATURATE(SUM >= b, SUM, (T)-1))
FIXED_LOOPS(vsadd, SATURATE((S)((SUM ^ b) & (SUM ^ a)) >= 0, SUM, SIGNED_LIMIT))
FIXED_LOOPS(vssubu, SATURATE(b >= a, DIFFERENCE, 0))
FIXED_LOOPS(vssub, SATURATE((S)((b ^ a) & (DIFFERENCE ^ b)) >= 0, DIFFERENCE, SIGNED_LIMIT))
FIXED_LOOPS(vaaddu, (T)ROUNDED((W)b + (W)a, 1))
FIXED_LOOPS(vaadd, (T)ROUNDED((V)(S)b + (V)(S)a, 1))
FIXED_LOOPS(vasubu, (T)ROUNDED((W)b - (W)a, 1))
FIXED_LOOPS(vasub, (T)ROUNDED((V)(S)b - (V)(S)a, 1))
FIXED_LOOPS(vsmul, SATURATE((S)b != S_MIN || (S)a != S_MIN, ROUNDED((V)(S)b * (V)(S)a, BITS - 1), S_MAX))
FIXED_LOOPS(vssrl, (T)ROUNDED(b, (unsigned)(a & (BITS - 1))))
FIXED_LOOPS(vssra, (T)ROUNDED((S)b, (unsigned)(a & (BITS - 1))))

#define FIXED_OP(insn, suffix, scalar, a, flags)                                                             \
    V_TRANS(insn##_##suffix, scalar, V_SAME, V_SAME, a, flags, V_LOOPS(insn))
#define FIXED_VX(insn, flags)                                                                                \
    FIXED_OP(insn, vv, IR_ZERO, V_SAME, flags)                                                               \
    FIXED_OP(insn, vx, V_X, V_NONE, flags)
#define FIXED_VXI(insn)                                                                                      \
    FIXED_VX(insn, 0)                                                                                        \
    FIXED_OP(insn, vi, V_IMM, V_NONE, 0)
FIXED_VXI(vsaddu)
FIXED_VXI(vsadd)
FIXED_VX(vssubu, 0)
FIXED_VX(vssub, 0)
FIXED_VX(vaaddu, 0)
FIXED_VX(vaadd, 0)
FIXED_VX(vasubu, 0)
FIXED_VX(vasub, 0)
FIXED_VX(vsmul, V_HIGH)
FIXED_VXI(vssrl)
FIXED_VXI(vssra)

/* --- clips: sources are twice as wide --- */
#define CLIP_SHIFT ((unsigned)(a & (2 * BITS - 1)))
/* the sum of a 64-bit value and its rounding may need one more bit */
#define CLIPPED_U ROUNDED((unsigned __int128)b, CLIP_SHIFT)
#define CLIPPED_S ROUNDED((__int128)(V)b, CLIP_SHIFT)
V_INTS(FIXED, vnclipu, W, SATURATE(CLIPPED_U <= (T)-1, CLIPPED_U, (T)-1))
V_INTS(FIXED, vnclip, W,
       SATURATE(CLIPPED_S >= S_MIN && CLIPPED_S <= S_MAX, CLIPPED_S, CLIPPED_S < 0 ? S_MIN : S_MAX))

#define CLIP(insn)                                                                                           \
    V_TRANS(insn##_wv, IR_ZERO, V_SAME, V_WIDE, V_SAME, 0, V_LOOPS_32(insn))                                 \
    V_TRANS(insn##_wx, V_X, V_SAME, V_WIDE, V_NONE, 0, V_LOOPS_32(insn))                                     \
    V_TRANS(insn##_wi, V_IMM, V_SAME, V_WIDE, V_NONE, 0, V_LOOPS_32(insn))
CLIP(vnclipu)
CLIP(vnclip)
