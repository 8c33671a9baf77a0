/* SPDX-License-Identifier: GPL-2.0-or-later */
/* util/softfloat against the host's SSE unit, and half precision against exact arithmetic in double. */
#include "util/softfloat.h"

#include <glib.h>
#include <math.h>
#include <string.h>

static double to_double(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, 8);
    return d;
}

static uint64_t random_f64(GRand *r)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       0x000fffffffffffff,
                                       0x0010000000000000,
                                       0x0010000000000001,
                                       0x3ff0000000000000,
                                       0x3ff0000000000001,
                                       0x3fefffffffffffff,
                                       0x4000000000000000,
                                       0x7fefffffffffffff,
                                       0x7ff0000000000000,
                                       0x7ff8000000000000,
                                       0x7ff0000000000001,
                                       0x7fffffffffffffff,
                                       0x3ca0000000000000,
                                       0x4330000000000001,
                                       0x41dfffffffc00000,
                                       0x41e0000000000000,
                                       0x41efffffffe00000,
                                       0x43e0000000000000,
                                       0x43f0000000000000,
                                       0x3fe0000000000000,
                                       0x3ff8000000000000,
                                       0x4004000000000000,
                                       0x3810000000000000,
                                       0x380fffffffffffff,
                                       0x36a0000000000000};
    uint64_t v = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);

    switch (g_rand_int_range(r, 0, 4)) {
    case 0:
        return special[g_rand_int_range(r, 0, G_N_ELEMENTS(special))] | (v & 1ULL << 63);
    case 1:
        return (v & 0x800fffffffffffff) | (uint64_t)g_rand_int_range(r, 1023 - 70, 1023 + 70) << 52;
    case 2:
        /* few significant bits: ties and exact results */
        return (v & 0x800f000000000000) | (uint64_t)g_rand_int_range(r, 1023 - 8, 1023 + 8) << 52;
    default:
        return v;
    }
}

static uint64_t random_f32(GRand *r)
{
    static const uint32_t special[] = {0,          1,          2,          0x007fffff, 0x00800000, 0x00800001,
                                       0x3f800000, 0x3f800001, 0x3f7fffff, 0x7f7fffff, 0x7f800000, 0x7fc00000,
                                       0x7f800001, 0x4f000000, 0x4effffff, 0x4f800000, 0x5f000000, 0x5f800000,
                                       0x3f000000, 0x3fc00000, 0x33800000};
    uint32_t v = g_rand_int(r);

    switch (g_rand_int_range(r, 0, 4)) {
    case 0:
        return special[g_rand_int_range(r, 0, G_N_ELEMENTS(special))] | (v & 1u << 31);
    case 1:
        return (v & 0x807fffff) | (uint32_t)g_rand_int_range(r, 127 - 40, 127 + 40) << 23;
    case 2:
        return (v & 0x80780000) | (uint32_t)g_rand_int_range(r, 127 - 8, 127 + 8) << 23;
    default:
        return v;
    }
}

#ifdef __x86_64__
#include <xmmintrin.h>

static const uint8_t mxcsr_rc[] = {[FLOAT_RNE] = 0, [FLOAT_RTZ] = 3, [FLOAT_RDN] = 1, [FLOAT_RUP] = 2};

static uint8_t host_flags(void)
{
    unsigned m = _mm_getcsr();

    return (m >> 5 & 1) | (m >> 3 & 2) | (m >> 1 & 4) | (m << 1 & 8) | (m << 4 & 16);
}

#define HOST_OP(name, type, bits, insn)                                                                      \
    static uint64_t host_##name(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)                         \
    {                                                                                                        \
        unsigned saved = _mm_getcsr();                                                                       \
        bits ba = a, bb = b;                                                                                 \
        type x, y;                                                                                           \
                                                                                                             \
        memcpy(&x, &ba, sizeof(x));                                                                          \
        memcpy(&y, &bb, sizeof(y));                                                                          \
        _mm_setcsr(0x1f80 | (unsigned)mxcsr_rc[rm] << 13);                                                   \
        __asm__ volatile(insn " %1, %0" : "+x"(x) : "x"(y));                                                 \
        *flags = host_flags();                                                                               \
        _mm_setcsr(saved);                                                                                   \
        memcpy(&ba, &x, sizeof(x));                                                                          \
        return ba;                                                                                           \
    }

HOST_OP(f64_add, double, uint64_t, "addsd")
HOST_OP(f64_sub, double, uint64_t, "subsd")
HOST_OP(f64_mul, double, uint64_t, "mulsd")
HOST_OP(f64_div, double, uint64_t, "divsd")
HOST_OP(f64_sqrt, double, uint64_t, "sqrtsd")
HOST_OP(f32_add, float, uint32_t, "addss")
HOST_OP(f32_sub, float, uint32_t, "subss")
HOST_OP(f32_mul, float, uint32_t, "mulss")
HOST_OP(f32_div, float, uint32_t, "divss")
HOST_OP(f32_sqrt, float, uint32_t, "sqrtss")

static uint64_t f64_sqrt_b(uint64_t a, uint64_t b, FloatStatus *s)
{
    return f64_sqrt(b, s);
}

static uint64_t f32_sqrt_b(uint64_t a, uint64_t b, FloatStatus *s)
{
    return f32_sqrt(b, s);
}

typedef struct BinaryCase {
    const char *name;
    bool f64;
    uint64_t (*soft)(uint64_t a, uint64_t b, FloatStatus *s);
    uint64_t (*host)(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags);
} BinaryCase;

static const BinaryCase binary_cases[] = {
    {"f64_add", true, f64_add, host_f64_add},      {"f64_sub", true, f64_sub, host_f64_sub},
    {"f64_mul", true, f64_mul, host_f64_mul},      {"f64_div", true, f64_div, host_f64_div},
    {"f64_sqrt", true, f64_sqrt_b, host_f64_sqrt}, {"f32_add", false, f32_add, host_f32_add},
    {"f32_sub", false, f32_sub, host_f32_sub},     {"f32_mul", false, f32_mul, host_f32_mul},
    {"f32_div", false, f32_div, host_f32_div},     {"f32_sqrt", false, f32_sqrt_b, host_f32_sqrt},
};

static void check(const char *name, uint64_t a, uint64_t b, unsigned rm, uint64_t got, uint8_t flags,
                  uint64_t want, uint8_t want_flags)
{
    if (got != want || flags != want_flags) {
        g_error("%s(0x%" G_GINT64_MODIFIER "x, 0x%" G_GINT64_MODIFIER "x) rm %u: 0x%" G_GINT64_MODIFIER
                "x flags %x, expected 0x%" G_GINT64_MODIFIER "x flags %x",
                name, a, b, rm, got, flags, want, want_flags);
    }
}

static void test_arithmetic(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(1);

    for (unsigned i = 0; i < 300000; i++) {
        const BinaryCase *c = &binary_cases[i % G_N_ELEMENTS(binary_cases)];
        uint64_t a = c->f64 ? random_f64(r) : random_f32(r), b = c->f64 ? random_f64(r) : random_f32(r), want,
                 got;
        unsigned rm = g_rand_int_range(r, 0, 4);
        FloatStatus s = {.rm = rm};
        uint8_t flags;

        want = c->host(a, b, rm, &flags);
        if (c->f64 ? f64_is_nan(want) : f32_is_nan(want)) {
            want = c->f64 ? FLOAT_NAN_F64 : FLOAT_NAN_F32;
        }
        got = c->soft(a, b, &s);
        check(c->name, a, b, rm, got, s.flags, want, flags);
    }
}

static uint64_t host_convert(unsigned kind, uint64_t a, unsigned rm, uint8_t *flags)
{
    unsigned saved = _mm_getcsr();
    uint32_t a32 = (uint32_t)a, r32;
    uint64_t result;
    float f;
    double d;

    memcpy(&f, &a32, 4);
    memcpy(&d, &a, 8);
    _mm_setcsr(0x1f80 | (unsigned)mxcsr_rc[rm] << 13);
    switch (kind) {
    case 0:
        __asm__ volatile("cvtss2sd %1, %0" : "=x"(d) : "x"(f), "0"(0.0));
        memcpy(&result, &d, 8);
        break;
    case 1:
        __asm__ volatile("cvtsd2ss %1, %0" : "=x"(f) : "x"(d), "0"(0.0f));
        memcpy(&r32, &f, 4);
        result = r32;
        break;
    case 2:
        __asm__ volatile("cvtsd2si %1, %0" : "=r"(result) : "x"(d));
        break;
    case 3:
        __asm__ volatile("cvtsi2sdq %1, %0" : "=x"(d) : "r"(a), "0"(0.0));
        memcpy(&result, &d, 8);
        break;
    default:
        __asm__ volatile("cvtsi2ssq %1, %0" : "=x"(f) : "r"(a), "0"(0.0f));
        memcpy(&r32, &f, 4);
        result = r32;
    }
    *flags = host_flags();
    _mm_setcsr(saved);
    return result;
}

static void test_conversions(void)
{
    static const char *const names[] = {"f32_to_f64", "f64_to_f32", "f64_to_i64", "f64_from_i64",
                                        "f32_from_i64"};
    g_autoptr(GRand) r = g_rand_new_with_seed(2);

    for (unsigned i = 0; i < 200000; i++) {
        unsigned kind = i % 5, rm = g_rand_int_range(r, 0, 4);
        uint64_t a = kind == 0 ? random_f32(r) : random_f64(r), got, want;
        FloatStatus s = {.rm = rm};
        uint8_t flags;

        if (kind >= 3) {
            a = (uint64_t)((int64_t)a >> g_rand_int_range(r, 0, 64));
        }
        want = host_convert(kind, a, rm, &flags);
        switch (kind) {
        case 0:
            got = f32_to_f64(a, &s);
            want = f64_is_nan(want) ? FLOAT_NAN_F64 : want;
            break;
        case 1:
            got = f64_to_f32(a, &s);
            want = f32_is_nan(want) ? FLOAT_NAN_F32 : want;
            break;
        case 2:
            got = (uint64_t)f64_to_i64(a, &s);
            if (flags & FLOAT_NV) {
                want = f64_is_nan(a) || !(a >> 63) ? INT64_MAX : (uint64_t)INT64_MIN;
            }
            break;
        case 3:
            got = f64_from_i64((int64_t)a, &s);
            break;
        default:
            got = f32_from_i64((int64_t)a, &s);
        }
        check(names[kind], a, 0, rm, got, s.flags, want, flags);
    }
}

static void test_fma(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(3);

    if (!__builtin_cpu_supports("fma")) {
        g_test_skip("the host has no FMA");
        return;
    }
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t a = random_f64(r), b = random_f64(r), c = random_f64(r), want, got;
        unsigned rm = g_rand_int_range(r, 0, 4), saved = _mm_getcsr();
        FloatStatus s = {.rm = rm};
        double x = to_double(a), y = to_double(b), z = to_double(c);
        uint8_t flags;

        if (i & 1) {
            /* nearly cancelling */
            FloatStatus t = {.rm = rm};

            c = f64_mul(a, b, &t) ^ 1ULL << 63;
            z = to_double(c);
        }
        _mm_setcsr(0x1f80 | (unsigned)mxcsr_rc[rm] << 13);
        __asm__ volatile("vfmadd213sd %2, %1, %0" : "+x"(x) : "x"(y), "x"(z));
        flags = host_flags();
        _mm_setcsr(saved);
        memcpy(&want, &x, 8);
        if (f64_is_nan(want)) {
            want = FLOAT_NAN_F64;
            if ((isinf(to_double(a)) && to_double(b) == 0) || (isinf(y) && to_double(a) == 0)) {
                flags |= FLOAT_NV;
            }
        }
        got = f64_fma(a, b, c, 0, &s);
        check("f64_fma", a, b, rm, got, s.flags, want, flags);
    }
}
#endif

static void test_compare(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(4);

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t a = random_f64(r), b = i % 5 ? random_f64(r) : a;
        double x = to_double(a), y = to_double(b);
        FloatStatus s = {0};

        g_assert_cmpint(f64_eq(a, b, &s), ==, x == y);
        g_assert_cmpint(f64_lt(a, b, &s), ==, isless(x, y));
        g_assert_cmpint(f64_le(a, b, &s), ==, islessequal(x, y));
        g_assert_cmpint(s.flags, ==, isunordered(x, y) ? FLOAT_NV : 0);
    }
}

static void test_min_max(void)
{
    FloatStatus s = {0};

    g_assert_cmphex(f64_min(1ULL << 63, 0, &s), ==, 1ULL << 63);
    g_assert_cmphex(f64_min(0, 1ULL << 63, &s), ==, 1ULL << 63);
    g_assert_cmphex(f64_max(1ULL << 63, 0, &s), ==, 0);
    g_assert_cmphex(f64_max(FLOAT_NAN_F64, 5, &s), ==, 5);
    g_assert_cmphex(f64_minimum(FLOAT_NAN_F64, 5, &s), ==, FLOAT_NAN_F64);
    g_assert_cmpint(s.flags, ==, 0);
    g_assert_cmphex(f64_min(0x7ff0000000000001, 5, &s), ==, 5);
    g_assert_cmpint(s.flags, ==, FLOAT_NV);
}

static void test_saturation(void)
{
    static const struct {
        double value;
        int32_t i32;
        uint32_t u32;
        uint8_t flags_i32, flags_u32;
    } cases[] = {
        {-0.5, 0, 0, FLOAT_NX, FLOAT_NX},
        {-1.0, -1, 0, 0, FLOAT_NV},
        {2147483647.0, INT32_MAX, INT32_MAX, 0, 0},
        {2147483648.0, INT32_MAX, 2147483648u, FLOAT_NV, 0},
        {-2147483648.5, INT32_MIN, 0, FLOAT_NX, FLOAT_NV},
        {-2147483649.0, INT32_MIN, 0, FLOAT_NV, FLOAT_NV},
        {4294967295.5, INT32_MAX, UINT32_MAX, FLOAT_NV, FLOAT_NX},
        {4294967296.0, INT32_MAX, UINT32_MAX, FLOAT_NV, FLOAT_NV},
        {NAN, INT32_MAX, UINT32_MAX, FLOAT_NV, FLOAT_NV},
        {-INFINITY, INT32_MIN, 0, FLOAT_NV, FLOAT_NV},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        FloatStatus s = {.rm = FLOAT_RTZ}, u = {.rm = FLOAT_RTZ};
        uint64_t bits;

        memcpy(&bits, &cases[i].value, 8);
        g_assert_cmpint(f64_to_i32(bits, &s), ==, cases[i].i32);
        g_assert_cmpint(s.flags, ==, cases[i].flags_i32);
        g_assert_cmpuint(f64_to_u32(bits, &u), ==, cases[i].u32);
        g_assert_cmpint(u.flags, ==, cases[i].flags_u32);
    }
}

static void test_ties_away(void)
{
    FloatStatus s = {.rm = FLOAT_RMM};
    uint64_t half = 0x3fe0000000000000, minus_five_halves = 0xc004000000000000;

    g_assert_cmpint(f64_to_i32(half, &s), ==, 1);
    g_assert_cmpint(f64_to_i32(minus_five_halves, &s), ==, -3);
    /* 1 + 2^-53 */
    g_assert_cmphex(f64_add(0x3ff0000000000000, 0x3ca0000000000000, &s), ==, 0x3ff0000000000001);
    g_assert_cmphex(f64_round_to_integral(minus_five_halves, false, &s), ==, 0xc008000000000000);
}

static void test_modular(void)
{
    static const struct {
        double value;
        int32_t result;
        uint8_t flags;
    } cases[] = {{1.5, 1, FLOAT_NX},
                 {-1.5, -1, FLOAT_NX},
                 {4294967296.0 + 7, 7, FLOAT_NV},
                 {-4294967303.0, -7, FLOAT_NV},
                 {2147483648.0, INT32_MIN, FLOAT_NV},
                 {1e300, 0, FLOAT_NV},
                 {NAN, 0, FLOAT_NV},
                 {INFINITY, 0, FLOAT_NV},
                 {0.25, 0, FLOAT_NX},
                 {9007199254740993.0 * 1024, 2048, FLOAT_NV},
                 {-3.0, -3, 0}};

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        FloatStatus s = {0};
        uint64_t bits;

        memcpy(&bits, &cases[i].value, 8);
        if (i == 9) {
            g_assert_cmpint(f64_to_i32_modular(bits, &s), ==, (int32_t)(uint32_t)(uint64_t)cases[i].value);
        } else {
            g_assert_cmpint(f64_to_i32_modular(bits, &s), ==, cases[i].result);
        }
        g_assert_cmpint(s.flags, ==, cases[i].flags);
    }
}

/* --- half precision: every result is exact in double before it is rounded --- */

static double f16_value(uint64_t bits)
{
    int exp = bits >> 10 & 31, frac = bits & 1023;
    double magnitude = exp == 31 ? (frac ? NAN : INFINITY)
                       : exp     ? ldexp(1024 + frac, exp - 25)
                                 : ldexp(frac, -24);

    return bits >> 15 ? -magnitude : magnitude;
}

static void test_f16_widens(void)
{
    for (unsigned bits = 0; bits < 65536; bits++) {
        FloatStatus s = {0};
        double want = f16_value(bits), got = to_double(f16_to_f64(bits, &s));

        g_assert_true(isnan(want) ? isnan(got) : want == got && signbit(want) == signbit(got));
    }
}

static void test_f16_narrows(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(6);

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t bits =
            (random_f64(r) & 0x800fffffffffffff) | (uint64_t)g_rand_int_range(r, 1023 - 27, 1023 + 16) << 52;
        FloatStatus down = {.rm = FLOAT_RDN}, up = {.rm = FLOAT_RUP}, near = {.rm = FLOAT_RNE};
        double x = to_double(bits), below = f16_value(f64_to_f16(bits, &down)),
               above = f16_value(f64_to_f16(bits, &up));
        uint64_t nearest = f64_to_f16(bits, &near);
        double n = f16_value(nearest);

        g_assert_true(below <= x && x <= above);
        g_assert_cmpint((near.flags & FLOAT_NX) != 0, ==, below != above);
        g_assert_true(n == below || n == above);
        if (isfinite(below) && isfinite(above) && below != above) {
            double to_below = x - below, to_above = above - x;

            g_assert_true(to_below == to_above ? !(nearest & 1) : n == (to_below < to_above ? below : above));
        }
    }
}

static void test_f16_arithmetic(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(7);

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t a = g_rand_int(r) & 0xffff, b = g_rand_int(r) & 0xffff, got, want;
        unsigned rm = g_rand_int_range(r, 0, 4);
        FloatStatus s = {.rm = rm}, w = {.rm = rm};
        uint64_t wide_a = f16_to_f64(a, &w), wide_b = f16_to_f64(b, &w);

        switch (i % 4) {
        case 0:
            got = f16_add(a, b, &s);
            want = f64_to_f16(f64_add(wide_a, wide_b, &w), &w);
            break;
        case 1:
            got = f16_mul(a, b, &s);
            want = f64_to_f16(f64_mul(wide_a, wide_b, &w), &w);
            break;
        case 2:
            got = f16_div(a, b, &s);
            want = f64_to_f16(f64_div(wide_a, wide_b, &w), &w);
            break;
        default:
            got = f16_sqrt(a, &s);
            want = f64_to_f16(f64_sqrt(wide_a, &w), &w);
            if (f16_classify(b) == 1 << 8) {
                w.flags = s.flags;
            }
        }
        g_assert_cmphex(got, ==, want);
        g_assert_cmpint(s.flags, ==, w.flags);
    }
}

static void test_classify(void)
{
    static const uint64_t values[] = {
        0xfff0000000000000, 0xbff0000000000000, 0x8000000000000001, 1ULL << 63,   0, 1,
        0x3ff0000000000000, 0x7ff0000000000000, 0x7ff0000000000001, FLOAT_NAN_F64};

    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        g_assert_cmpuint(f64_classify(values[i]), ==, 1u << i);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef __x86_64__
    g_test_add_func("/softfloat/arithmetic/agrees-with-host", test_arithmetic);
    g_test_add_func("/softfloat/conversions/agree-with-host", test_conversions);
    g_test_add_func("/softfloat/fma/agrees-with-host", test_fma);
#endif
    g_test_add_func("/softfloat/compare/agrees-with-host", test_compare);
    g_test_add_func("/softfloat/min-max/numbers-win-and-zeroes-have-signs", test_min_max);
    g_test_add_func("/softfloat/to-integer/saturates", test_saturation);
    g_test_add_func("/softfloat/to-integer/modular", test_modular);
    g_test_add_func("/softfloat/rounding/ties-away", test_ties_away);
    g_test_add_func("/softfloat/f16/widens-exactly", test_f16_widens);
    g_test_add_func("/softfloat/f16/narrows-to-a-neighbour", test_f16_narrows);
    g_test_add_func("/softfloat/f16/arithmetic-is-rounded-double", test_f16_arithmetic);
    g_test_add_func("/softfloat/classify/each-class", test_classify);
    return g_test_run();
}
