/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IEEE 754 arithmetic on one unpacked form that holds any of the formats: a class, a sign, an exponent and a
 * 64-bit significand whose top bit is set.  An operation computes an exact or sticky-extended significand and
 * rounds once, when it packs the result into its format.
 */
#include "util/softfloat.h"
#include "util/bits.h"

typedef unsigned __int128 u128;

typedef struct FloatFormat {
    int exp_bits, frac_bits;
} FloatFormat;

static const FloatFormat format_f16 = {5, 10}, format_f32 = {8, 23}, format_f64 = {11, 52};

typedef enum FloatClass { ZERO, NORMAL, INFINITE, QUIET_NAN, SIGNALLING_NAN } FloatClass;

/* NORMAL: (-1)^sign * sig / 2^63 * 2^exp, sig has bit 63 set. */
typedef struct Parts {
    FloatClass class;
    bool sign;
    int exp;
    uint64_t sig;
} Parts;

static ALWAYS_INLINE int format_bias(FloatFormat f)
{
    return (1 << (f.exp_bits - 1)) - 1;
}

static ALWAYS_INLINE int format_width(FloatFormat f)
{
    return 1 + f.exp_bits + f.frac_bits;
}

static ALWAYS_INLINE uint64_t pack_raw(FloatFormat f, bool sign, uint64_t exp, uint64_t frac)
{
    return (uint64_t)sign << (format_width(f) - 1) | exp << f.frac_bits | frac;
}

static ALWAYS_INLINE uint64_t default_nan(FloatFormat f)
{
    return pack_raw(f, false, (1u << f.exp_bits) - 1, 1ULL << (f.frac_bits - 1));
}

static ALWAYS_INLINE uint64_t pack_infinity(FloatFormat f, bool sign)
{
    return pack_raw(f, sign, (1u << f.exp_bits) - 1, 0);
}

static ALWAYS_INLINE Parts unpack(FloatFormat f, uint64_t bits)
{
    uint64_t frac = bits & ((1ULL << f.frac_bits) - 1);
    int exp = bits >> f.frac_bits & ((1u << f.exp_bits) - 1);
    Parts p = {.sign = bits >> (format_width(f) - 1) & 1};

    if (exp == (1 << f.exp_bits) - 1) {
        p.class = !frac ? INFINITE : frac >> (f.frac_bits - 1) ? QUIET_NAN : SIGNALLING_NAN;
    } else if (exp) {
        p.class = NORMAL;
        p.exp = exp - format_bias(f);
        p.sig = 1ULL << 63 | frac << (63 - f.frac_bits);
    } else if (frac) {
        int shift = clz64(frac);

        p.class = NORMAL;
        p.sig = frac << shift;
        p.exp = 1 - format_bias(f) + (63 - f.frac_bits) - shift;
    }
    return p;
}

static ALWAYS_INLINE bool is_nan(Parts p)
{
    return p.class >= QUIET_NAN;
}

/* The increment that rounding adds below @lsb_bits dropped bits; @odd: the last kept bit is set. */
static ALWAYS_INLINE bool rounds_up(unsigned rm, bool sign, bool odd, uint64_t rest, uint64_t half,
                                    bool sticky)
{
    switch (rm) {
    case FLOAT_RTZ:
        return false;
    case FLOAT_RDN:
        return sign && (rest || sticky);
    case FLOAT_RUP:
        return !sign && (rest || sticky);
    case FLOAT_RMM:
        return rest >= half;
    default:
        return rest > half || (rest == half && (sticky || odd));
    }
}

static uint64_t overflow(FloatFormat f, bool sign, FloatStatus *s)
{
    bool to_infinity = s->rm == FLOAT_RNE || s->rm == FLOAT_RMM || s->rm == (sign ? FLOAT_RDN : FLOAT_RUP);

    s->flags |= FLOAT_OF | FLOAT_NX;
    return to_infinity ? pack_infinity(f, sign)
                       : pack_raw(f, sign, (1u << f.exp_bits) - 2, (1ULL << f.frac_bits) - 1);
}

/* Rounds (-1)^sign * (sig.sticky) / 2^63 * 2^exp into the format; sig has bit 63 set. */
static uint64_t round_pack(FloatFormat f, bool sign, int exp, uint64_t sig, bool sticky, FloatStatus *s)
{
    const int drop = 63 - f.frac_bits;
    const uint64_t half = 1ULL << (drop - 1), mask = (1ULL << drop) - 1;
    int min_exp = 1 - format_bias(f);
    bool tiny = false;
    uint64_t rest, kept;

    if (exp < min_exp) {
        int shift = min_exp - exp;

        /* Tiny after rounding: not when rounding with unbounded exponent reaches the smallest normal number.
         */
        kept = sig >> drop;
        tiny = !(shift == 1 && kept == (2ULL << f.frac_bits) - 1 &&
                 rounds_up(s->rm, sign, true, sig & mask, half, sticky));
        if (shift > 63) {
            sticky = true;
            sig = 0;
        } else {
            sticky |= (sig & ((1ULL << shift) - 1)) != 0;
            sig >>= shift;
        }
        exp = min_exp;
    }
    rest = sig & mask;
    kept = sig >> drop;
    if (rest || sticky) {
        s->flags |= FLOAT_NX | (tiny ? FLOAT_UF : 0);
        kept += rounds_up(s->rm, sign, kept & 1, rest, half, sticky);
    }
    if (kept >> (f.frac_bits + 1)) {
        kept >>= 1;
        exp++;
    }
    if (exp > format_bias(f)) {
        return overflow(f, sign, s);
    }
    /* A subnormal lacks the implicit bit: its exponent field comes out as 0. */
    return pack_raw(f, sign, 0, 0) + ((uint64_t)(exp + format_bias(f) - 1) << f.frac_bits) + kept;
}

/* Normalises a 128-bit significand (value wide / 2^127 * 2^exp) and rounds it. */
static uint64_t round_pack_wide(FloatFormat f, bool sign, int exp, u128 wide, FloatStatus *s)
{
    int shift = wide >> 64 ? clz64(wide >> 64) : 64 + clz64(wide);

    wide <<= shift;
    return round_pack(f, sign, exp - shift, wide >> 64, (uint64_t)wide != 0, s);
}

static u128 shift_right_sticky(u128 v, int shift)
{
    if (shift == 0) {
        return v;
    }
    if (shift > 127) {
        return v != 0;
    }
    return v >> shift | ((v << (128 - shift)) != 0);
}

static uint64_t invalid(FloatFormat f, FloatStatus *s)
{
    s->flags |= FLOAT_NV;
    return default_nan(f);
}

static uint64_t propagate_nan(FloatFormat f, Parts a, Parts b, FloatStatus *s)
{
    if (a.class == SIGNALLING_NAN || b.class == SIGNALLING_NAN) {
        s->flags |= FLOAT_NV;
    }
    return default_nan(f);
}

/*
 * The sum of two finite non-zero terms, sig / 2^127 * 2^exp.  Both have at least 22 zero bits at the bottom,
 * so that the shifts by one or two places that can be followed by cancellation lose nothing.
 */
static uint64_t add_wide(FloatFormat f, bool sign_a, int exp_a, u128 a, bool sign_b, int exp_b, u128 b,
                         FloatStatus *s)
{
    if (exp_a < exp_b || (exp_a == exp_b && a < b)) {
        u128 t = a;
        int e = exp_a;
        bool sign = sign_a;

        a = b, exp_a = exp_b, sign_a = sign_b;
        b = t, exp_b = e, sign_b = sign;
    }
    a >>= 1;
    b = shift_right_sticky(b, 1 + (exp_a - exp_b < 1000 ? exp_a - exp_b : 1000));
    if (sign_a == sign_b) {
        a += b;
    } else if (a >= b) {
        a -= b;
    } else {
        a = b - a;
        sign_a = sign_b;
    }
    if (!a) {
        return pack_raw(f, s->rm == FLOAT_RDN, 0, 0);
    }
    return round_pack_wide(f, sign_a, exp_a + 1, a, s);
}

static uint64_t add_parts(FloatFormat f, Parts a, Parts b, FloatStatus *s)
{
    if (is_nan(a) || is_nan(b)) {
        return propagate_nan(f, a, b, s);
    }
    if (a.class == INFINITE) {
        return b.class == INFINITE && a.sign != b.sign ? invalid(f, s) : pack_infinity(f, a.sign);
    }
    if (b.class == INFINITE) {
        return pack_infinity(f, b.sign);
    }
    if (a.class == ZERO && b.class == ZERO) {
        return pack_raw(f, a.sign == b.sign ? a.sign : s->rm == FLOAT_RDN, 0, 0);
    }
    if (a.class == ZERO) {
        return round_pack(f, b.sign, b.exp, b.sig, false, s);
    }
    if (b.class == ZERO) {
        return round_pack(f, a.sign, a.exp, a.sig, false, s);
    }
    return add_wide(f, a.sign, a.exp, (u128)a.sig << 64, b.sign, b.exp, (u128)b.sig << 64, s);
}

static uint64_t mul_parts(FloatFormat f, Parts a, Parts b, FloatStatus *s)
{
    bool sign = a.sign ^ b.sign;

    if (is_nan(a) || is_nan(b)) {
        return propagate_nan(f, a, b, s);
    }
    if (a.class == INFINITE || b.class == INFINITE) {
        return a.class == ZERO || b.class == ZERO ? invalid(f, s) : pack_infinity(f, sign);
    }
    if (a.class == ZERO || b.class == ZERO) {
        return pack_raw(f, sign, 0, 0);
    }
    return round_pack_wide(f, sign, a.exp + b.exp + 1, (u128)a.sig * b.sig, s);
}

static uint64_t div_parts(FloatFormat f, Parts a, Parts b, FloatStatus *s)
{
    bool sign = a.sign ^ b.sign, smaller = a.sig < b.sig;
    u128 dividend;
    uint64_t quotient;

    if (is_nan(a) || is_nan(b)) {
        return propagate_nan(f, a, b, s);
    }
    if (a.class == INFINITE) {
        return b.class == INFINITE ? invalid(f, s) : pack_infinity(f, sign);
    }
    if (b.class == ZERO) {
        if (a.class == ZERO) {
            return invalid(f, s);
        }
        s->flags |= FLOAT_DZ;
        return pack_infinity(f, sign);
    }
    if (a.class == ZERO || b.class == INFINITE) {
        return pack_raw(f, sign, 0, 0);
    }
    dividend = (u128)a.sig << (smaller ? 64 : 63);
    quotient = dividend / b.sig;
    return round_pack(f, sign, a.exp - b.exp - smaller, quotient, dividend % b.sig != 0, s);
}

static uint64_t sqrt_parts(FloatFormat f, Parts a, FloatStatus *s)
{
    u128 rest, bit = (u128)1 << 126, root = 0;

    if (is_nan(a)) {
        return propagate_nan(f, a, a, s);
    }
    if (a.class == ZERO) {
        return pack_raw(f, a.sign, 0, 0);
    }
    if (a.sign) {
        return invalid(f, s);
    }
    if (a.class == INFINITE) {
        return pack_infinity(f, false);
    }
    /* An even exponent, so that the root of the significand is in [1, 2). */
    rest = (u128)a.sig << (a.exp & 1 ? 64 : 63);
    while (bit) {
        if (rest >= root + bit) {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    return round_pack(f, false, (a.exp - (a.exp & 1)) / 2, root, rest != 0, s);
}

static uint64_t fma_parts(FloatFormat f, Parts a, Parts b, Parts c, FloatStatus *s)
{
    bool sign = a.sign ^ b.sign;

    if ((a.class == INFINITE && b.class == ZERO) || (a.class == ZERO && b.class == INFINITE)) {
        return invalid(f, s);
    }
    if (is_nan(a) || is_nan(b) || is_nan(c)) {
        propagate_nan(f, c, c, s);
        return propagate_nan(f, a, b, s);
    }
    if (a.class == INFINITE || b.class == INFINITE) {
        return c.class == INFINITE && c.sign != sign ? invalid(f, s) : pack_infinity(f, sign);
    }
    if (c.class == INFINITE) {
        return pack_infinity(f, c.sign);
    }
    if (a.class == ZERO || b.class == ZERO) {
        Parts product = {.class = ZERO, .sign = sign};

        return add_parts(f, product, c, s);
    }
    if (c.class == ZERO) {
        return mul_parts(f, a, b, s);
    }
    return add_wide(f, sign, a.exp + b.exp + 1, (u128)a.sig * b.sig, c.sign, c.exp, (u128)c.sig << 64, s);
}

/* -1, 0, 1, or 2 when unordered. */
static int compare(Parts a, Parts b, bool signalling, FloatStatus *s)
{
    int order;

    if (is_nan(a) || is_nan(b)) {
        if (signalling || a.class == SIGNALLING_NAN || b.class == SIGNALLING_NAN) {
            s->flags |= FLOAT_NV;
        }
        return 2;
    }
    if (a.class == ZERO && b.class == ZERO) {
        return 0;
    }
    if (a.class == ZERO) {
        return b.sign ? 1 : -1;
    }
    if (b.class == ZERO || a.sign != b.sign) {
        return a.sign ? -1 : 1;
    }
    if (a.class != b.class) {
        order = a.class == INFINITE ? 1 : -1;
    } else if (a.class == INFINITE) {
        order = 0;
    } else {
        order = a.exp != b.exp ? (a.exp > b.exp ? 1 : -1) : a.sig != b.sig ? (a.sig > b.sig ? 1 : -1) : 0;
    }
    return a.sign ? -order : order;
}

/* The smaller (@want -1) or larger (1); @nan_wins: minimum rather than minimumNumber. */
static uint64_t select_extreme(FloatFormat f, uint64_t x, uint64_t y, int want, bool nan_wins, FloatStatus *s)
{
    Parts a = unpack(f, x), b = unpack(f, y);
    int order = compare(a, b, false, s);

    if (order == 2) {
        if (nan_wins || (is_nan(a) && is_nan(b))) {
            return default_nan(f);
        }
        return is_nan(a) ? y : x;
    }
    if (order == 0) {
        /* Zeroes of different sign compare equal. */
        return a.sign == (want < 0) ? x : y;
    }
    return order == want ? x : y;
}

/* The magnitude rounded to an integer; *@too_big when it does not fit 64 bits. */
static uint64_t round_magnitude(Parts a, unsigned rm, bool *inexact, bool *too_big)
{
    uint64_t kept, rest, half;
    int shift = 63 - a.exp;

    *inexact = *too_big = false;
    if (a.class == ZERO) {
        return 0;
    }
    if (shift < 0) {
        *too_big = true;
        return 0;
    }
    if (shift == 0) {
        return a.sig;
    }
    if (shift > 64) {
        kept = 0, rest = 1, half = 2;
    } else {
        kept = shift == 64 ? 0 : a.sig >> shift;
        rest = shift == 64 ? a.sig : a.sig & ((1ULL << shift) - 1);
        half = 1ULL << (shift - 1);
    }
    *inexact = rest != 0;
    return kept + rounds_up(rm, a.sign, kept & 1, rest, half, false);
}

static int64_t to_signed(Parts a, int bits, FloatStatus *s)
{
    int64_t max = (int64_t)(~0ULL >> (65 - bits));
    bool inexact, too_big;
    uint64_t value = 0;

    if (is_nan(a) || a.class == INFINITE) {
        s->flags |= FLOAT_NV;
        return is_nan(a) || !a.sign ? max : -max - 1;
    }
    value = round_magnitude(a, s->rm, &inexact, &too_big);
    if (too_big || value > (uint64_t)max + a.sign) {
        s->flags |= FLOAT_NV;
        return a.sign ? -max - 1 : max;
    }
    s->flags |= inexact ? FLOAT_NX : 0;
    return (int64_t)(a.sign ? -value : value);
}

static uint64_t to_unsigned(Parts a, int bits, FloatStatus *s)
{
    uint64_t max = ~0ULL >> (64 - bits), value;
    bool inexact, too_big;

    if (is_nan(a) || a.class == INFINITE) {
        s->flags |= FLOAT_NV;
        return is_nan(a) || !a.sign ? max : 0;
    }
    value = round_magnitude(a, s->rm, &inexact, &too_big);
    if (too_big || value > max || (a.sign && value)) {
        s->flags |= FLOAT_NV;
        return a.sign ? 0 : max;
    }
    s->flags |= inexact ? FLOAT_NX : 0;
    return value;
}

static uint64_t from_magnitude(FloatFormat f, bool sign, uint64_t value, FloatStatus *s)
{
    int shift = clz64(value);

    return value ? round_pack(f, sign, 63 - shift, value << shift, false, s) : 0;
}

static uint64_t round_to_integral(FloatFormat f, uint64_t bits, bool exact, FloatStatus *s)
{
    FloatStatus discard = {.rm = s->rm};
    Parts a = unpack(f, bits);
    bool inexact, too_big;
    uint64_t value;

    if (is_nan(a)) {
        return propagate_nan(f, a, a, s);
    }
    if (a.class != NORMAL || a.exp >= f.frac_bits) {
        return bits;
    }
    value = round_magnitude(a, s->rm, &inexact, &too_big);
    s->flags |= inexact && exact ? FLOAT_NX : 0;
    return value ? from_magnitude(f, a.sign, value, &discard) : pack_raw(f, a.sign, 0, 0);
}

static unsigned classify(FloatFormat f, uint64_t bits)
{
    Parts a = unpack(f, bits);
    bool subnormal = a.class == NORMAL && a.exp < 1 - format_bias(f);

    switch (a.class) {
    case QUIET_NAN:
        return 1 << 9;
    case SIGNALLING_NAN:
        return 1 << 8;
    case INFINITE:
        return a.sign ? 1 << 0 : 1 << 7;
    case ZERO:
        return a.sign ? 1 << 3 : 1 << 4;
    default:
        return subnormal ? (a.sign ? 1 << 2 : 1 << 5) : (a.sign ? 1 << 1 : 1 << 6);
    }
}

static uint64_t convert(FloatFormat from, FloatFormat to, uint64_t bits, FloatStatus *s)
{
    Parts a = unpack(from, bits);

    if (is_nan(a)) {
        return propagate_nan(to, a, a, s);
    }
    if (a.class == INFINITE) {
        return pack_infinity(to, a.sign);
    }
    return a.class == ZERO ? pack_raw(to, a.sign, 0, 0) : round_pack(to, a.sign, a.exp, a.sig, false, s);
}

#define FLOAT_DEFINE(f)                                                                                      \
    uint64_t f##_add(uint64_t a, uint64_t b, FloatStatus *s)                                                 \
    {                                                                                                        \
        return add_parts(format_##f, unpack(format_##f, a), unpack(format_##f, b), s);                       \
    }                                                                                                        \
    uint64_t f##_sub(uint64_t a, uint64_t b, FloatStatus *s)                                                 \
    {                                                                                                        \
        Parts negated = unpack(format_##f, b);                                                               \
                                                                                                             \
        negated.sign = !negated.sign;                                                                        \
        return add_parts(format_##f, unpack(format_##f, a), negated, s);                                     \
    }                                                                                                        \
    uint64_t f##_mul(uint64_t a, uint64_t b, FloatStatus *s)                                                 \
    {                                                                                                        \
        return mul_parts(format_##f, unpack(format_##f, a), unpack(format_##f, b), s);                       \
    }                                                                                                        \
    uint64_t f##_div(uint64_t a, uint64_t b, FloatStatus *s)                                                 \
    {                                                                                                        \
        return div_parts(format_##f, unpack(format_##f, a), unpack(format_##f, b), s);                       \
    }                                                                                                        \
    uint64_t f##_sqrt(uint64_t a, FloatStatus *s)                                                            \
    {                                                                                                        \
        return sqrt_parts(format_##f, unpack(format_##f, a), s);                                             \
    }                                                                                                        \
    uint64_t f##_fma(uint64_t a, uint64_t b, uint64_t c, unsigned negate, FloatStatus *s)                    \
    {                                                                                                        \
        Parts pa = unpack(format_##f, a), pc = unpack(format_##f, c);                                        \
                                                                                                             \
        pa.sign ^= (negate & FLOAT_NEGATE_PRODUCT) != 0;                                                     \
        pc.sign ^= (negate & FLOAT_NEGATE_ADDEND) != 0;                                                      \
        return fma_parts(format_##f, pa, unpack(format_##f, b), pc, s);                                      \
    }                                                                                                        \
    bool f##_eq(uint64_t a, uint64_t b, FloatStatus *s)                                                      \
    {                                                                                                        \
        return compare(unpack(format_##f, a), unpack(format_##f, b), false, s) == 0;                         \
    }                                                                                                        \
    bool f##_lt(uint64_t a, uint64_t b, FloatStatus *s)                                                      \
    {                                                                                                        \
        return compare(unpack(format_##f, a), unpack(format_##f, b), true, s) == -1;                         \
    }                                                                                                        \
    bool f##_le(uint64_t a, uint64_t b, FloatStatus *s)                                                      \
    {                                                                                                        \
        return compare(unpack(format_##f, a), unpack(format_##f, b), true, s) <= 0;                          \
    }                                                                                                        \
    bool f##_lt_quiet(uint64_t a, uint64_t b, FloatStatus *s)                                                \
    {                                                                                                        \
        return compare(unpack(format_##f, a), unpack(format_##f, b), false, s) == -1;                        \
    }                                                                                                        \
    bool f##_le_quiet(uint64_t a, uint64_t b, FloatStatus *s)                                                \
    {                                                                                                        \
        return compare(unpack(format_##f, a), unpack(format_##f, b), false, s) <= 0;                         \
    }                                                                                                        \
    uint64_t f##_min(uint64_t a, uint64_t b, FloatStatus *s)                                                 \
    {                                                                                                        \
        return select_extreme(format_##f, a, b, -1, false, s);                                               \
    }                                                                                                        \
    uint64_t f##_max(uint64_t a, uint64_t b, FloatStatus *s)                                                 \
    {                                                                                                        \
        return select_extreme(format_##f, a, b, 1, false, s);                                                \
    }                                                                                                        \
    uint64_t f##_minimum(uint64_t a, uint64_t b, FloatStatus *s)                                             \
    {                                                                                                        \
        return select_extreme(format_##f, a, b, -1, true, s);                                                \
    }                                                                                                        \
    uint64_t f##_maximum(uint64_t a, uint64_t b, FloatStatus *s)                                             \
    {                                                                                                        \
        return select_extreme(format_##f, a, b, 1, true, s);                                                 \
    }                                                                                                        \
    int32_t f##_to_i32(uint64_t a, FloatStatus *s)                                                           \
    {                                                                                                        \
        return (int32_t)to_signed(unpack(format_##f, a), 32, s);                                             \
    }                                                                                                        \
    uint32_t f##_to_u32(uint64_t a, FloatStatus *s)                                                          \
    {                                                                                                        \
        return (uint32_t)to_unsigned(unpack(format_##f, a), 32, s);                                          \
    }                                                                                                        \
    int64_t f##_to_i64(uint64_t a, FloatStatus *s)                                                           \
    {                                                                                                        \
        return to_signed(unpack(format_##f, a), 64, s);                                                      \
    }                                                                                                        \
    uint64_t f##_to_u64(uint64_t a, FloatStatus *s)                                                          \
    {                                                                                                        \
        return to_unsigned(unpack(format_##f, a), 64, s);                                                    \
    }                                                                                                        \
    uint64_t f##_from_i64(int64_t a, FloatStatus *s)                                                         \
    {                                                                                                        \
        return from_magnitude(format_##f, a < 0, a < 0 ? -(uint64_t)a : (uint64_t)a, s);                     \
    }                                                                                                        \
    uint64_t f##_from_u64(uint64_t a, FloatStatus *s)                                                        \
    {                                                                                                        \
        return from_magnitude(format_##f, false, a, s);                                                      \
    }                                                                                                        \
    uint64_t f##_round_to_integral(uint64_t a, bool exact, FloatStatus *s)                                   \
    {                                                                                                        \
        return round_to_integral(format_##f, a, exact, s);                                                   \
    }                                                                                                        \
    unsigned f##_classify(uint64_t a)                                                                        \
    {                                                                                                        \
        return classify(format_##f, a);                                                                      \
    }                                                                                                        \
    bool f##_is_nan(uint64_t a)                                                                              \
    {                                                                                                        \
        return is_nan(unpack(format_##f, a));                                                                \
    }

FLOAT_DEFINE(f16)
FLOAT_DEFINE(f32)
FLOAT_DEFINE(f64)

uint64_t f16_to_f32(uint64_t a, FloatStatus *s)
{
    return convert(format_f16, format_f32, a, s);
}

uint64_t f16_to_f64(uint64_t a, FloatStatus *s)
{
    return convert(format_f16, format_f64, a, s);
}

uint64_t f32_to_f16(uint64_t a, FloatStatus *s)
{
    return convert(format_f32, format_f16, a, s);
}

uint64_t f32_to_f64(uint64_t a, FloatStatus *s)
{
    return convert(format_f32, format_f64, a, s);
}

uint64_t f64_to_f16(uint64_t a, FloatStatus *s)
{
    return convert(format_f64, format_f16, a, s);
}

uint64_t f64_to_f32(uint64_t a, FloatStatus *s)
{
    return convert(format_f64, format_f32, a, s);
}

int64_t f64_to_i32_modular(uint64_t a, FloatStatus *s)
{
    FloatStatus truncate = {.rm = FLOAT_RTZ};
    Parts p = unpack(format_f64, a);
    uint64_t value = 0;

    to_signed(p, 32, &truncate);
    s->flags |= truncate.flags;
    if (p.class == NORMAL && p.exp < 96) {
        value = p.exp > 63 ? p.sig << (p.exp - 63) : p.exp < 0 ? 0 : p.sig >> (63 - p.exp);
    }
    return (int32_t)(uint32_t)(p.sign ? -value : value);
}
