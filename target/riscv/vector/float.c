/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point, with softfloat: one line per operation, for the formats that SEW can name.
 *
 * In an expression F(f) is the softfloat function f of SEW's format, H(f) that of the next wider one; d, b, a
 * are the operands' bits and s is the status.
 */
#include "vector.h"

/* --- loops --- */
/* log2 of the bytes of an operand's elements */
static unsigned size_of(const VInsn *v, int kind)
{
    return kind == V_WIDE || kind == V_WIDE_SCALAR ? v->sew + 1u : v->sew;
}

static inline uint64_t operand_a(const VInsn *v, const void *a, unsigned i)
{
    return v->op->a == V_NONE ? v->x : v_get(a, i, v->sew);
}

static void each(VInsn *v, void *out, const void *d, const void *b, const void *a)
{
    VFloat *fn = v->op->fp[v->sew];
    unsigned d_size = size_of(v, v->op->d), b_size = size_of(v, v->op->b);

    for (unsigned i = v->from; i < v->to; i++) {
        if (v_active(v, i)) {
            v_put(out, i, d_size, fn(v_get(d, i, d_size), v_get(b, i, b_size), operand_a(v, a, i), &v->fp));
        }
    }
}

static void each_compare(VInsn *v, void *out, const void *d, const void *b, const void *a)
{
    VFloat *fn = v->op->fp[v->sew];

    for (unsigned i = v->from; i < v->to; i++) {
        if (v_active(v, i)) {
            v_set_bit(out, i, fn(0, v_get(b, i, v->sew), operand_a(v, a, i), &v->fp));
        }
    }
}

/* a[0] with all active elements, in order */
static void reduce(VInsn *v, void *out, const void *d, const void *b, const void *a)
{
    VFloat *fn = v->op->fp[v->sew];
    unsigned size = size_of(v, v->op->d);
    uint64_t sum = v_get(a, 0, size);

    for (unsigned i = 0; i < v->to; i++) {
        if (v_active(v, i)) {
            sum = fn(0, v_get(b, i, v->sew), sum, &v->fp);
        }
    }
    v_put(out, 0, size, sum);
}

/* --- the functions, by format --- */
#define FORMAT(name, f, h, expr)                                                                             \
    static G_GNUC_UNUSED uint64_t name##_##f(uint64_t d, uint64_t b, uint64_t a, FloatStatus *s)             \
    {                                                                                                        \
        expr;                                                                                                \
    }
#define FLOATS(name, expr16, expr32, expr64)                                                                 \
    FORMAT(name, f16, f32, return expr16)                                                                    \
    FORMAT(name, f32, f64, return expr32)                                                                    \
    FORMAT(name, f64, none, return expr64)
#define FN(name)                                                                                             \
    {                                                                                                        \
        NULL, name##_f16, name##_f32, name##_f64                                                             \
    }
#define FN_WIDE(name)                                                                                        \
    {                                                                                                        \
        NULL, name##_f16, name##_f32                                                                         \
    }
#define LOOP(loop)                                                                                           \
    {                                                                                                        \
        NULL, loop, loop, loop                                                                               \
    }
#define LOOP_WIDE(loop)                                                                                      \
    {                                                                                                        \
        NULL, loop, loop                                                                                     \
    }
#define LOOP_INT(loop)                                                                                       \
    {                                                                                                        \
        loop, loop, loop                                                                                     \
    }

/* an operation written with op(add)(b, a, s) */
#define WITH_f16(f)     f16_##f
#define WITH_f32(f)     f32_##f
#define WITH_f64(f)     f64_##f
#define SIMPLE(name, M) FLOATS(name, M(WITH_f16), M(WITH_f32), M(WITH_f64))

#define VF_FLAGS (V_FLOAT | V_F_SCALAR)
#define OP_VV(insn, flags, host)                                                                             \
    V_TRANS(insn##_vv, IR_ZERO, V_SAME, V_SAME, V_SAME, V_FLOAT | (flags), LOOP(each), FN(insn), host)
#define OP_VF(insn, flags, host)                                                                             \
    V_TRANS(insn##_vf, IR_ZERO, V_SAME, V_SAME, V_NONE, VF_FLAGS | (flags), LOOP(each), FN(insn), host)
#define OPS(insn, flags, host)                                                                               \
    OP_VV(insn, flags, host)                                                                                 \
    OP_VF(insn, flags, host)
#define ARITH(insn, M, host)                                                                                 \
    SIMPLE(insn, M)                                                                                          \
    OPS(insn, 0, host)
#define ARITH_F(insn, M, host)                                                                               \
    SIMPLE(insn, M)                                                                                          \
    OP_VF(insn, 0, host)

#define M_ADD(F)  F(add)(b, a, s)
#define M_SUB(F)  F(sub)(b, a, s)
#define M_RSUB(F) F(sub)(a, b, s)
#define M_MUL(F)  F(mul)(b, a, s)
#define M_DIV(F)  F(div)(b, a, s)
#define M_RDIV(F) F(div)(a, b, s)
#define M_MIN(F)  F(min)(b, a, s)
#define M_MAX(F)  F(max)(b, a, s)
ARITH(vfadd, M_ADD, V_HOST(add))
ARITH(vfsub, M_SUB, V_HOST(sub))
ARITH_F(vfrsub, M_RSUB, V_HOST(rsub))
ARITH(vfmul, M_MUL, V_HOST(mul))
ARITH(vfdiv, M_DIV, V_HOST(div))
ARITH_F(vfrdiv, M_RDIV, V_HOST(rdiv))
ARITH(vfmin, M_MIN, NULL)
ARITH(vfmax, M_MAX, NULL)

/* --- fused: acc has the addend in d, add in b --- */
#define FUSED(insn, x, y, z, negate, host)                                                                   \
    FLOATS(insn, f16_fma(x, y, z, negate, s), f32_fma(x, y, z, negate, s), f64_fma(x, y, z, negate, s))      \
    OPS(insn, V_FUSED, host)
#define NEGATE_BOTH (FLOAT_NEGATE_PRODUCT | FLOAT_NEGATE_ADDEND)
FUSED(vfmacc, b, a, d, 0, V_HOST(macc))
FUSED(vfnmacc, b, a, d, NEGATE_BOTH, V_HOST(nmacc))
FUSED(vfmsac, b, a, d, FLOAT_NEGATE_ADDEND, V_HOST(msac))
FUSED(vfnmsac, b, a, d, FLOAT_NEGATE_PRODUCT, V_HOST(nmsac))
FUSED(vfmadd, d, a, b, 0, V_HOST(madd))
FUSED(vfnmadd, d, a, b, NEGATE_BOTH, V_HOST(nmadd))
FUSED(vfmsub, d, a, b, FLOAT_NEGATE_ADDEND, V_HOST(msub))
FUSED(vfnmsub, d, a, b, FLOAT_NEGATE_PRODUCT, V_HOST(nmsub))

/* --- signs: @sign is the top bit --- */
#define SIGN_OP(insn, M)                                                                                     \
    FLOATS(insn, M(UINT64_C(0x8000)), M(UINT64_C(0x80000000)), M(UINT64_C(0x8000000000000000)))              \
    OPS(insn, 0, NULL)
#define M_SGNJ(sign)  (b & ~(sign)) | (a & (sign))
#define M_SGNJN(sign) (b & ~(sign)) | (~a & (sign))
#define M_SGNJX(sign) b ^ (a & (sign))
SIGN_OP(vfsgnj, M_SGNJ)
SIGN_OP(vfsgnjn, M_SGNJN)
SIGN_OP(vfsgnjx, M_SGNJX)

/* --- comparisons --- */
#define COMPARE      LOOP(each_compare)
#define CMP_VV(insn) V_TRANS(insn##_vv, IR_ZERO, V_MASK, V_SAME, V_SAME, V_FLOAT, COMPARE, FN(insn))
#define CMP_VF(insn) V_TRANS(insn##_vf, IR_ZERO, V_MASK, V_SAME, V_NONE, VF_FLAGS, COMPARE, FN(insn))
#define M_EQ(F)      F(eq)(b, a, s)
#define M_NE(F)      !F(eq)(b, a, s)
#define M_LT(F)      F(lt)(b, a, s)
#define M_LE(F)      F(le)(b, a, s)
#define M_GT(F)      F(lt)(a, b, s)
#define M_GE(F)      F(le)(a, b, s)
SIMPLE(vmfeq, M_EQ)
SIMPLE(vmfne, M_NE)
SIMPLE(vmflt, M_LT)
SIMPLE(vmfle, M_LE)
SIMPLE(vmfgt, M_GT)
SIMPLE(vmfge, M_GE)
CMP_VV(vmfeq)
CMP_VF(vmfeq)
CMP_VV(vmfne)
CMP_VF(vmfne)
CMP_VV(vmflt)
CMP_VF(vmflt)
CMP_VV(vmfle)
CMP_VF(vmfle)
CMP_VF(vmfgt)
CMP_VF(vmfge)

/* --- one operand --- */
#define UNARY(insn, M, host)                                                                                 \
    SIMPLE(insn, M)                                                                                          \
    V_TRANS(insn, IR_ZERO, V_SAME, V_SAME, V_NONE, V_FLOAT, LOOP(each), FN(insn), host)
#define M_SQRT(F)  F(sqrt)(b, s)
#define M_CLASS(F) F(classify)(b)
UNARY(vfsqrt_v, M_SQRT, V_HOST(sqrt))
UNARY(vfclass_v, M_CLASS, NULL)
#define M_A(F) a
SIMPLE(scalar, M_A)
V_TRANS(vfmv_v_f, IR_ZERO, V_SAME, V_NONE, V_NONE, VF_FLAGS, LOOP(each), FN(scalar))

static void merge(VInsn *v, void *out, const void *d, const void *b, const void *a)
{
    for (unsigned i = v->from; i < v->to; i++) {
        v_put(out, i, v->sew, v_bit(v->v0, i) ? v->x : v_get(b, i, v->sew));
    }
}
V_TRANS(vfmerge_vfm, IR_ZERO, V_SAME, V_SAME, V_NONE, VF_FLAGS | V_CARRY, LOOP(merge))

/* --- seven bits of 1 / sqrt(x) and 1 / x --- */
typedef struct Format {
    unsigned fraction, exponent; /* bits */
    uint64_t nan;
} Format;
static const Format formats[4] = {
    {0, 0, 0}, {10, 5, FLOAT_NAN_F16}, {23, 8, FLOAT_NAN_F32}, {52, 11, FLOAT_NAN_F64}};

/* The specification's tables: by the exponent's low bit and six bits of the fraction; by seven bits of it. */
static const uint8_t rsqrt7_table[128] = {
    52,  51,  50,  48,  47,  46,  44,  43,  42,  41,  40,  39,  38,  36,  35,  34, 33, 32, 31, 30, 30,  29,
    28,  27,  26,  25,  24,  23,  23,  22,  21,  20,  19,  19,  18,  17,  16,  16, 15, 14, 14, 13, 12,  12,
    11,  10,  10,  9,   9,   8,   7,   7,   6,   6,   5,   4,   4,   3,   3,   2,  2,  1,  1,  0,  127, 125,
    123, 121, 119, 118, 116, 114, 113, 111, 109, 108, 106, 105, 103, 102, 100, 99, 97, 96, 95, 93, 92,  91,
    90,  88,  87,  86,  85,  84,  83,  82,  80,  79,  78,  77,  76,  75,  74,  73, 72, 71, 70, 70, 69,  68,
    67,  66,  65,  64,  63,  63,  62,  61,  60,  59,  59,  58,  57,  56,  56,  55, 54, 53,
};
static const uint8_t rec7_table[128] = {
    127, 125, 123, 121, 119, 117, 116, 114, 112, 110, 109, 107, 105, 104, 102, 100, 99, 97, 96, 94, 93, 91,
    90,  88,  87,  85,  84,  83,  81,  80,  79,  77,  76,  75,  74,  72,  71,  70,  69, 68, 66, 65, 64, 63,
    62,  61,  60,  59,  58,  57,  56,  55,  54,  53,  52,  51,  50,  49,  48,  47,  46, 45, 44, 43, 42, 41,
    40,  40,  39,  38,  37,  36,  35,  35,  34,  33,  32,  31,  31,  30,  29,  28,  28, 27, 26, 25, 25, 24,
    23,  23,  22,  21,  21,  20,  19,  19,  18,  17,  17,  16,  15,  15,  14,  14,  13, 12, 12, 11, 11, 10,
    9,   9,   8,   8,   7,   7,   6,   5,   5,   4,   4,   3,   3,   2,   2,   1,   1,  0,
};

static uint64_t pack(const Format *f, bool sign, uint64_t exponent, uint64_t fraction)
{
    return (uint64_t)sign << (f->fraction + f->exponent) | exponent << f->fraction | fraction;
}

static uint64_t rsqrt7(const Format *f, uint64_t x, unsigned class, FloatStatus *s)
{
    uint64_t exponent_mask = MAKE_64BIT_MASK(0, f->exponent), fraction = x & MAKE_64BIT_MASK(0, f->fraction);
    int64_t exponent = (x >> f->fraction) & exponent_mask, bias = exponent_mask >> 1;
    bool sign = x >> (f->fraction + f->exponent);

    if (class & (BIT(8) | BIT(0) | BIT(1) | BIT(2))) { /* signalling; negative */
        s->flags |= FLOAT_NV;
        return f->nan;
    }
    if (class & BIT(9)) {
        return f->nan;
    }
    if (class & (BIT(3) | BIT(4))) {
        s->flags |= FLOAT_DZ;
        return pack(f, sign, exponent_mask, 0);
    }
    if (class & BIT(7)) {
        return 0;
    }
    if (exponent == 0) {
        while (!(fraction >> (f->fraction - 1) & 1)) {
            exponent--;
            fraction <<= 1;
        }
        fraction = (fraction << 1) & MAKE_64BIT_MASK(0, f->fraction);
    }
    return pack(f, 0, (3 * bias - 1 - exponent) / 2,
                (uint64_t)rsqrt7_table[(exponent & 1) << 6 | fraction >> (f->fraction - 6)]
                    << (f->fraction - 7));
}

static uint64_t rec7(const Format *f, uint64_t x, unsigned class, FloatStatus *s)
{
    uint64_t exponent_mask = MAKE_64BIT_MASK(0, f->exponent), fraction = x & MAKE_64BIT_MASK(0, f->fraction);
    int64_t exponent = (x >> f->fraction) & exponent_mask, bias = exponent_mask >> 1, result;
    bool sign = x >> (f->fraction + f->exponent) & 1;
    uint64_t out;

    if (class & (BIT(8) | BIT(9))) {
        s->flags |= class & BIT(8) ? FLOAT_NV : 0;
        return f->nan;
    }
    if (class & (BIT(3) | BIT(4))) {
        s->flags |= FLOAT_DZ;
        return pack(f, sign, exponent_mask, 0);
    }
    if (class & (BIT(0) | BIT(7))) {
        return pack(f, sign, 0, 0);
    }
    if (exponent == 0) {
        while (!(fraction >> (f->fraction - 1) & 1)) {
            exponent--;
            fraction <<= 1;
        }
        fraction = (fraction << 1) & MAKE_64BIT_MASK(0, f->fraction);
        if (exponent < -1) { /* too large: infinity or the largest number */
            bool to_largest =
                s->rm == FLOAT_RTZ || (s->rm == FLOAT_RDN && !sign) || (s->rm == FLOAT_RUP && sign);

            s->flags |= FLOAT_NX | FLOAT_OF;
            return to_largest ? pack(f, sign, exponent_mask - 1, MAKE_64BIT_MASK(0, f->fraction))
                              : pack(f, sign, exponent_mask, 0);
        }
    }
    result = 2 * bias - 1 - exponent;
    out = (uint64_t)rec7_table[fraction >> (f->fraction - 7)] << (f->fraction - 7);
    if (result <= 0) { /* a subnormal result */
        out = (out >> 1) | UINT64_C(1) << (f->fraction - 1);
        if (result < 0) {
            out >>= 1;
            result = 0;
        }
    }
    return pack(f, sign, result, out);
}

#define ESTIMATE(insn, fn)                                                                                   \
    FLOATS(insn, fn(&formats[1], b, f16_classify(b), s), fn(&formats[2], b, f32_classify(b), s),             \
           fn(&formats[3], b, f64_classify(b), s))                                                           \
    V_TRANS(insn, IR_ZERO, V_SAME, V_SAME, V_NONE, V_FLOAT, LOOP(each), FN(insn))
ESTIMATE(vfrsqrt7_v, rsqrt7)
ESTIMATE(vfrec7_v, rec7)

/* --- wider results --- */
#define WIDE_FLAGS (V_FLOAT | V_FLOAT_WIDE)
#define FLOATS_WIDE(name, expr16, expr32)                                                                    \
    FORMAT(name, f16, f32, return expr16)                                                                    \
    FORMAT(name, f32, f64, return expr32)
#define UP16(x) f16_to_f32(x, s)
#define UP32(x) f32_to_f64(x, s)
#define WIDE_V(insn, name, b, flags)                                                                         \
    V_TRANS(insn##v, IR_ZERO, V_WIDE, b, V_SAME, WIDE_FLAGS | (flags), LOOP_WIDE(each), FN_WIDE(name))
#define WIDE_F(insn, name, b, flags)                                                                         \
    V_TRANS(insn##f, IR_ZERO, V_WIDE, b, V_NONE, WIDE_FLAGS | V_F_SCALAR | (flags), LOOP_WIDE(each),         \
            FN_WIDE(name))
#define WIDE_ARITH(insn, f)                                                                                  \
    FLOATS_WIDE(insn, f32_##f(UP16(b), UP16(a), s), f64_##f(UP32(b), UP32(a), s))                            \
    WIDE_V(insn##_v, insn, V_SAME, 0)                                                                        \
    WIDE_F(insn##_v, insn, V_SAME, 0)
#define WIDE_ARITH_W(insn, f)                                                                                \
    FLOATS_WIDE(insn##_w, f32_##f(b, UP16(a), s), f64_##f(b, UP32(a), s))                                    \
    WIDE_V(insn##_w, insn##_w, V_WIDE, 0)                                                                    \
    WIDE_F(insn##_w, insn##_w, V_WIDE, 0)
#define WIDE_FUSED(insn, negate)                                                                             \
    FLOATS_WIDE(insn, f32_fma(UP16(b), UP16(a), d, negate, s), f64_fma(UP32(b), UP32(a), d, negate, s))      \
    WIDE_V(insn##_v, insn, V_SAME, V_READS_D)                                                                \
    WIDE_F(insn##_v, insn, V_SAME, V_READS_D)
WIDE_ARITH(vfwadd, add)
WIDE_ARITH(vfwsub, sub)
WIDE_ARITH(vfwmul, mul)
WIDE_ARITH_W(vfwadd, add)
WIDE_ARITH_W(vfwsub, sub)
WIDE_FUSED(vfwmacc, 0)
WIDE_FUSED(vfwnmacc, NEGATE_BOTH)
WIDE_FUSED(vfwmsac, FLOAT_NEGATE_ADDEND)
WIDE_FUSED(vfwnmsac, FLOAT_NEGATE_PRODUCT)

/* --- reductions --- */
#define REDUCTION(insn, name)                                                                                \
    V_TRANS(insn, IR_ZERO, V_SCALAR, V_SAME, V_SCALAR, V_FLOAT | V_NO_VSTART, LOOP(reduce), FN(name))
REDUCTION(vfredusum_vs, vfadd)
REDUCTION(vfredosum_vs, vfadd)
REDUCTION(vfredmin_vs, vfmin)
REDUCTION(vfredmax_vs, vfmax)
FLOATS_WIDE(wide_sum, f32_add(a, UP16(b), s), f64_add(a, UP32(b), s))
#define REDUCTION_WIDE(insn)                                                                                 \
    V_TRANS(insn, IR_ZERO, V_WIDE_SCALAR, V_SAME, V_WIDE_SCALAR, WIDE_FLAGS | V_NO_VSTART,                   \
            LOOP_WIDE(reduce), FN_WIDE(wide_sum))
REDUCTION_WIDE(vfwredusum_vs)
REDUCTION_WIDE(vfwredosum_vs)

/* --- conversions --- */
/* an integer of fewer than 32 bits: what is out of range is invalid, not inexact */
static uint64_t clamp(int64_t value, int64_t min, int64_t max, uint8_t flags_before, FloatStatus *s)
{
    if (value >= min && value <= max) {
        return value;
    }
    s->flags = flags_before | FLOAT_NV;
    return value < min ? min : max;
}
#define TO_SMALL(name, f, convert, min, max)                                                                 \
    static uint64_t name(uint64_t d, uint64_t b, uint64_t a, FloatStatus *s)                                 \
    {                                                                                                        \
        uint8_t before = s->flags;                                                                           \
        return clamp(f##_##convert(b, s), min, max, before, s);                                              \
    }
TO_SMALL(f16_to_u8, f16, to_i32, 0, UINT8_MAX)
TO_SMALL(f16_to_i8, f16, to_i32, INT8_MIN, INT8_MAX)
TO_SMALL(f16_to_u16, f16, to_i32, 0, UINT16_MAX)
TO_SMALL(f16_to_i16, f16, to_i32, INT16_MIN, INT16_MAX)
TO_SMALL(f32_to_u16, f32, to_i32, 0, UINT16_MAX)
TO_SMALL(f32_to_i16, f32, to_i32, INT16_MIN, INT16_MAX)

#define CONVERT(name, expr)                                                                                  \
    static uint64_t cvt_##name(uint64_t d, uint64_t b, uint64_t a, FloatStatus *s)                           \
    {                                                                                                        \
        return expr;                                                                                         \
    }
CONVERT(f16_u32, f16_to_u32(b, s))
CONVERT(f16_i32, (uint32_t)f16_to_i32(b, s))
CONVERT(f32_u32, f32_to_u32(b, s))
CONVERT(f32_i32, (uint32_t)f32_to_i32(b, s))
CONVERT(f32_u64, f32_to_u64(b, s))
CONVERT(f32_i64, f32_to_i64(b, s))
CONVERT(f64_u32, f64_to_u32(b, s))
CONVERT(f64_i32, (uint32_t)f64_to_i32(b, s))
CONVERT(f64_u64, f64_to_u64(b, s))
CONVERT(f64_i64, f64_to_i64(b, s))
CONVERT(u8_f16, f16_from_u64(b, s))
CONVERT(i8_f16, f16_from_i64((int8_t)b, s))
CONVERT(u16_f16, f16_from_u64(b, s))
CONVERT(i16_f16, f16_from_i64((int16_t)b, s))
CONVERT(u32_f16, f16_from_u64(b, s))
CONVERT(i32_f16, f16_from_i64((int32_t)b, s))
CONVERT(u16_f32, f32_from_u64(b, s))
CONVERT(i16_f32, f32_from_i64((int16_t)b, s))
CONVERT(u32_f32, f32_from_u64(b, s))
CONVERT(i32_f32, f32_from_i64((int32_t)b, s))
CONVERT(u64_f32, f32_from_u64(b, s))
CONVERT(i64_f32, f32_from_i64((int64_t)b, s))
CONVERT(u32_f64, f64_from_u64(b, s))
CONVERT(i32_f64, f64_from_i64((int32_t)b, s))
CONVERT(u64_f64, f64_from_u64(b, s))
CONVERT(i64_f64, f64_from_i64((int64_t)b, s))
CONVERT(f16_f32, f16_to_f32(b, s))
CONVERT(f32_f64, f32_to_f64(b, s))
CONVERT(f32_f16, f32_to_f16(b, s))
CONVERT(f64_f32, f64_to_f32(b, s))

/* To odd: truncated, and the last bit says that something was lost. */
#define TO_ODD(name, convert)                                                                                \
    static uint64_t name(uint64_t d, uint64_t b, uint64_t a, FloatStatus *s)                                 \
    {                                                                                                        \
        FloatStatus exact = {.rm = FLOAT_RTZ};                                                               \
        uint64_t result = convert(b, &exact);                                                                \
        s->flags |= exact.flags;                                                                             \
        return result | (exact.flags & FLOAT_NX ? 1 : 0);                                                    \
    }
TO_ODD(odd_f32_f16, f32_to_f16)
TO_ODD(odd_f64_f32, f64_to_f32)

#define CVT(insn, d, b, flags, loops, ...)                                                                   \
    V_TRANS(insn, IR_ZERO, d, b, V_NONE, flags, loops(each), {__VA_ARGS__})
#define CVT_TO_INT(insn, flags, u)                                                                           \
    CVT(vf##insn, V_SAME, V_SAME, V_FLOAT | (flags), LOOP, NULL, f16_to_##u##16, cvt_f32_##u##32,            \
        cvt_f64_##u##64)
#define CVT_TO_WIDE(insn, flags, u)                                                                          \
    CVT(vf##insn, V_WIDE, V_SAME, V_FLOAT | (flags), LOOP_WIDE, NULL, cvt_f16_##u##32, cvt_f32_##u##64)
#define CVT_TO_NARROW(insn, flags, u)                                                                        \
    CVT(vf##insn, V_SAME, V_WIDE, V_FLOAT_WIDE | (flags), LOOP_INT, f16_to_##u##8, f32_to_##u##16,           \
        cvt_f64_##u##32)
CVT_TO_INT(cvt_xu_f_v, 0, u)
CVT_TO_INT(cvt_x_f_v, 0, i)
CVT_TO_INT(cvt_rtz_xu_f_v, V_RTZ, u)
CVT_TO_INT(cvt_rtz_x_f_v, V_RTZ, i)
CVT_TO_WIDE(wcvt_xu_f_v, 0, u)
CVT_TO_WIDE(wcvt_x_f_v, 0, i)
CVT_TO_WIDE(wcvt_rtz_xu_f_v, V_RTZ, u)
CVT_TO_WIDE(wcvt_rtz_x_f_v, V_RTZ, i)
CVT_TO_NARROW(ncvt_xu_f_w, 0, u)
CVT_TO_NARROW(ncvt_x_f_w, 0, i)
CVT_TO_NARROW(ncvt_rtz_xu_f_w, V_RTZ, u)
CVT_TO_NARROW(ncvt_rtz_x_f_w, V_RTZ, i)
#define CVT_FROM_INT(u, insn)                                                                                \
    CVT(vfcvt_f_##insn##_v, V_SAME, V_SAME, V_FLOAT, LOOP, NULL, cvt_##u##16_f16, cvt_##u##32_f32,           \
        cvt_##u##64_f64)                                                                                     \
    CVT(vfwcvt_f_##insn##_v, V_WIDE, V_SAME, V_FLOAT_WIDE, LOOP_INT, cvt_##u##8_f16, cvt_##u##16_f32,        \
        cvt_##u##32_f64)                                                                                     \
    CVT(vfncvt_f_##insn##_w, V_SAME, V_WIDE, V_FLOAT, LOOP_WIDE, NULL, cvt_##u##32_f16, cvt_##u##64_f32)
CVT_FROM_INT(u, xu)
CVT_FROM_INT(i, x)
CVT(vfwcvt_f_f_v, V_WIDE, V_SAME, WIDE_FLAGS | V_F16_MIN, LOOP_WIDE, NULL, cvt_f16_f32, cvt_f32_f64)
CVT(vfncvt_f_f_w, V_SAME, V_WIDE, WIDE_FLAGS | V_F16_MIN, LOOP_WIDE, NULL, cvt_f32_f16, cvt_f64_f32)
CVT(vfncvt_rod_f_f_w, V_SAME, V_WIDE, WIDE_FLAGS, LOOP_WIDE, NULL, odd_f32_f16, odd_f64_f32)
