/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single and double precision on the host's own unit, many elements at a time.
 *
 * Called from translated code the loops find the guest's rounding mode and flags in the host's control
 * register; else they have one of their own.  The flags they leave are the ones that the specification wants,
 * but for one: a fused product of zero and infinity is invalid even when the addend is a quiet NaN.  A result
 * that is a NaN is looked at again, which also makes it the default NaN.
 */
#include "vector.h"

#ifdef __x86_64__
#include <emmintrin.h>

#ifndef __clang__
#pragma GCC optimize("O3") /* what vectorises the loops; clang does it at any rate */
#endif

#define MXCSR_MASKED 0x1f80u
/* what uses the operands stays between the two */
#define KEEP_ORDER() __asm__ volatile("" ::: "memory")

/* Returns what leave() puts back; 0: nothing. */
static uint32_t enter(const VInsn *v)
{
    static const uint8_t rounding[4] = {[FLOAT_RNE] = 0, [FLOAT_RTZ] = 3, [FLOAT_RDN] = 1, [FLOAT_RUP] = 2};
    uint32_t before;

    if (likely(tcg_fp_is_live(v->env))) {
        return 0;
    }
    before = _mm_getcsr();
    _mm_setcsr(MXCSR_MASKED | (uint32_t)rounding[v->fp.rm] << 13);
    KEEP_ORDER();
    return before;
}

static void leave(VInsn *v, uint32_t before)
{
    uint32_t now;

    KEEP_ORDER();
    if (likely(!before)) {
        return;
    }
    now = _mm_getcsr();
    _mm_setcsr(before);
    v->fp.flags |= (now >> 5 & FLOAT_NX) | (now >> 3 & FLOAT_UF) | (now >> 1 & FLOAT_OF) |
                   (now << 1 & FLOAT_DZ) | (now << 4 & FLOAT_NV);
}

/* All elements that are NaNs once more, exactly. */
static void mend(VInsn *v, void *out, const void *d, const void *b, const void *a)
{
    VFloat *fn = v->op->fp[v->sew];

    for (unsigned i = v->from; i < v->to; i++) {
        uint64_t r = v_get(out, i, v->sew);
        bool is_nan = v->sew == 2 ? f32_is_nan(r) : f64_is_nan(r);

        if (is_nan && v_active(v, i)) {
            uint64_t x = v->op->a == V_NONE ? v->x : v_get(a, i, v->sew);

            v_put(out, i, v->sew, fn(v_get(d, i, v->sew), v_get(b, i, v->sew), x, &v->fp));
        }
    }
}

/* x is a[i], or the scalar */
#define ELEMENTS(F, x, expr)                                                                                 \
    if (v->masked) {                                                                                         \
        for (unsigned i = v->from; i < to; i++) {                                                            \
            if (v_active(v, i)) {                                                                            \
                F d G_GNUC_UNUSED = dp[i], b = bp[i], a G_GNUC_UNUSED = x, r = (expr);                       \
                op[i] = r;                                                                                   \
                nan |= r != r;                                                                               \
            }                                                                                                \
        }                                                                                                    \
    } else {                                                                                                 \
        for (unsigned i = v->from; i < to; i++) {                                                            \
            F d G_GNUC_UNUSED = dp[i], b = bp[i], a G_GNUC_UNUSED = x, r = (expr);                           \
            op[i] = r;                                                                                       \
            nan |= r != r;                                                                                   \
        }                                                                                                    \
    }

#define LOOP(name, TARGET, F, expr)                                                                          \
    TARGET static void name(VInsn *v, void *out, const void *d_, const void *b_, const void *a_)             \
    {                                                                                                        \
        F *restrict op = out;                                                                                \
        const F *dp = d_, *bp = b_, *ap = a_;                                                                \
        unsigned to = v->to;                                                                                 \
        uint32_t before = enter(v);                                                                          \
        int nan = 0;                                                                                         \
        if (v->op->a == V_NONE) {                                                                            \
            const F scalar = *(const F *)&v->x;                                                              \
            ELEMENTS(F, scalar, expr)                                                                        \
        } else {                                                                                             \
            ELEMENTS(F, ap[i], expr)                                                                         \
        }                                                                                                    \
        leave(v, before);                                                                                    \
        if (unlikely(nan)) {                                                                                 \
            mend(v, out, d_, b_, a_);                                                                        \
        }                                                                                                    \
    }
#define LOOPS(name, TARGET, expr32, expr64)                                                                  \
    LOOP(name##_f32, TARGET, float, expr32)                                                                  \
    LOOP(name##_f64, TARGET, double, expr64)                                                                 \
    const VHostLoops vector_host_##name = {name##_f32, name##_f64};
#define PLAIN(name, expr)    LOOPS(name, , expr, expr)
#define FUSED_TARGET         __attribute__((target("avx2,fma")))
#define FUSED(name, x, y, z) LOOPS(name, FUSED_TARGET, __builtin_fmaf(x, y, z), __builtin_fma(x, y, z))

PLAIN(add, b + a)
PLAIN(sub, b - a)
PLAIN(rsub, a - b)
PLAIN(mul, b * a)
PLAIN(div, b / a)
PLAIN(rdiv, a / b)
LOOPS(sqrt, , _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(b))),
      _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(b))))
FUSED(macc, b, a, d)
FUSED(nmacc, -b, a, -d)
FUSED(msac, b, a, -d)
FUSED(nmsac, -b, a, d)
FUSED(madd, d, a, b)
FUSED(nmadd, -d, a, -b)
FUSED(msub, d, a, -b)
FUSED(nmsub, -d, a, b)

VLoop *vector_host_loop(const VInsn *v)
{
    const VHostLoops *host = v->op->host;

    if (!host || v->sew < 2 || v->fp.rm > FLOAT_RUP) {
        return NULL;
    }
    if ((v->op->flags & V_FUSED) && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) {
        return NULL;
    }
    return v->sew == 2 ? host->f32 : host->f64;
}
#else
VLoop *vector_host_loop(const VInsn *v)
{
    return NULL;
}
#endif
