/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Permutations: elements move, within a group or between it and a scalar. */
#include "vector.h"

#include <string.h>

/* --- slides and gathers --- */
#define PERMUTE(size, T, S_, W_, V_, name)                                                                   \
    static void slide_up_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)            \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            ((T *)out)[i] = i < v->x ? ((const T *)d)[i] : ((const T *)b)[i - v->x];                         \
        }                                                                                                    \
    }                                                                                                        \
    static void slide_down_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)          \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            ((T *)out)[i] = v->x < v->max - i ? ((const T *)b)[i + v->x] : 0;                                \
        }                                                                                                    \
    }                                                                                                        \
    static void slide1_up_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)           \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            ((T *)out)[i] = i ? ((const T *)b)[i - 1] : (T)v->x;                                             \
        }                                                                                                    \
    }                                                                                                        \
    static void slide1_down_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)         \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            ((T *)out)[i] = i + 1 < v->to ? ((const T *)b)[i + 1] : (T)v->x;                                 \
        }                                                                                                    \
    }                                                                                                        \
    static void gather_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)              \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            uint64_t from = ((const T *)a)[i];                                                               \
            ((T *)out)[i] = from < v->max ? ((const T *)b)[from] : 0;                                        \
        }                                                                                                    \
    }                                                                                                        \
    static void gather16_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)            \
    {                                                                                                        \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            unsigned from = ((const uint16_t *)a)[i];                                                        \
            ((T *)out)[i] = from < v->max ? ((const T *)b)[from] : 0;                                        \
        }                                                                                                    \
    }                                                                                                        \
    static void gather_x_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)            \
    {                                                                                                        \
        T value = v->x < v->max ? ((const T *)b)[v->x] : 0;                                                  \
        for (unsigned i = v->from; i < v->to; i++) {                                                         \
            ((T *)out)[i] = value;                                                                           \
        }                                                                                                    \
    }                                                                                                        \
    static void compress_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)            \
    {                                                                                                        \
        unsigned n = 0;                                                                                      \
        for (unsigned i = 0; i < v->to; i++) {                                                               \
            if (v_bit(a, i)) {                                                                               \
                ((T *)out)[n++] = ((const T *)b)[i];                                                         \
            }                                                                                                \
        }                                                                                                    \
        memcpy((T *)out + n, (const T *)d + n, (v->to - n) * sizeof(T));                                     \
    }                                                                                                        \
    static void to_element_##size(VInsn *v, void *out, const void *d, const void *b, const void *a)          \
    {                                                                                                        \
        *(T *)out = v->x;                                                                                    \
    }
V_INTS(PERMUTE, 0)
V_INT64(PERMUTE, 0)

V_TRANS(vslideup_vx, V_X, V_SAME, V_SAME, V_NONE, V_APART, V_LOOPS(slide_up))
V_TRANS(vslideup_vi, V_IMM, V_SAME, V_SAME, V_NONE, V_APART, V_LOOPS(slide_up))
V_TRANS(vslidedown_vx, V_X, V_SAME, V_SAME, V_NONE, 0, V_LOOPS(slide_down))
V_TRANS(vslidedown_vi, V_IMM, V_SAME, V_SAME, V_NONE, 0, V_LOOPS(slide_down))
V_TRANS(vslide1up_vx, V_X, V_SAME, V_SAME, V_NONE, V_APART, V_LOOPS(slide1_up))
V_TRANS(vslide1down_vx, V_X, V_SAME, V_SAME, V_NONE, 0, V_LOOPS(slide1_down))
#define SLIDES_F(name)                                                                                       \
    {                                                                                                        \
        NULL, name##_16, name##_32, name##_64                                                                \
    }
V_TRANS(vfslide1up_vf, IR_ZERO, V_SAME, V_SAME, V_NONE, V_APART | V_FLOAT | V_F_SCALAR, SLIDES_F(slide1_up))
V_TRANS(vfslide1down_vf, IR_ZERO, V_SAME, V_SAME, V_NONE, V_FLOAT | V_F_SCALAR, SLIDES_F(slide1_down))
V_TRANS(vrgather_vv, IR_ZERO, V_SAME, V_SAME, V_SAME, V_APART, V_LOOPS(gather))
V_TRANS(vrgatherei16_vv, IR_ZERO, V_SAME, V_SAME, V_16, V_APART, V_LOOPS(gather16))
V_TRANS(vrgather_vx, V_X, V_SAME, V_SAME, V_NONE, V_APART, V_LOOPS(gather_x))
V_TRANS(vrgather_vi, V_IMM, V_SAME, V_SAME, V_NONE, V_APART, V_LOOPS(gather_x))
V_TRANS(vcompress_vm, IR_ZERO, V_SAME, V_SAME, V_MASK, V_APART | V_NO_VSTART, V_LOOPS(compress))

/* --- element 0 and scalars --- */
V_TRANS(vmv_s_x, V_X, V_SCALAR, V_NONE, V_NONE, 0, V_LOOPS(to_element))
V_TRANS(vfmv_s_f, IR_ZERO, V_SCALAR, V_NONE, V_NONE, V_FLOAT | V_F_SCALAR, SLIDES_F(to_element))

static uint64_t helper_vmv_x_s(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    unsigned shift;
    VInsn v;

    vector_begin(&v, env, raw, false);
    shift = 64 - (8u << v.sew);
    vector_end(&v);
    return (int64_t)(v_get(v_reg(&v, v.vs2), 0, v.sew) << shift) >> shift;
}

bool trans_vmv_x_s(DisasContext *ctx, const RISCVInsn *i)
{
    return vector_gen(ctx, i, i->rd, helper_vmv_x_s, NULL, IR_ZERO);
}

static uint64_t helper_vfmv_f_s(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    static const VOp op = {.d = V_NONE, .b = V_SCALAR, .a = V_NONE, .flags = V_FLOAT};
    uint64_t value;
    VInsn v;

    vector_begin(&v, env, raw, false);
    v.op = &op;
    vector_check(&v, vector_float_possible(&v));
    vector_float_begin(&v);
    vector_end(&v);
    value = v_get(v_reg(&v, v.vs2), 0, v.sew);
    return v.sew == 3 ? value : value | ~MAKE_64BIT_MASK(0, 8u << v.sew);
}

bool trans_vfmv_f_s(DisasContext *ctx, const RISCVInsn *i)
{
    IRRef t = ir_temp(ctx->ir);

    gen_fp_check(ctx, i, false);
    vector_gen(ctx, i, t, helper_vfmv_f_s, NULL, IR_ZERO);
    ir_emit(ctx->ir, IR_FMV_TO_F, f_var(i->rd), t, IR_NONE, 0)->type = IR_F64;
    return true;
}

/* --- whole registers --- */
static uint64_t helper_move_whole(TCGEnv *env, uint64_t raw, uint64_t b, uint64_t c)
{
    unsigned count, size, from;
    VInsn v;

    vector_begin(&v, env, raw, false);
    count = v.vs1 + 1;
    vector_check(&v, !((v.vd | v.vs2) & (count - 1)));
    size = count * v.cpu->cfg.vlenb;
    from = v.from << v.sew;
    if (from < size) {
        memmove((uint8_t *)v_reg(&v, v.vd) + from, (uint8_t *)v_reg(&v, v.vs2) + from, size - from);
    }
    vector_end(&v);
    return 0;
}

#define MOVE_WHOLE(insn)                                                                                     \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return vector_gen(ctx, i, IR_NONE, helper_move_whole, NULL, IR_ZERO);                                \
    }
MOVE_WHOLE(vmv1r_v)
MOVE_WHOLE(vmv2r_v)
MOVE_WHOLE(vmv4r_v)
MOVE_WHOLE(vmv8r_v)
