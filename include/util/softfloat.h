/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IEEE 754 arithmetic in integers only: half, single and double precision with the choices RISC-V makes.
 *
 * NaN results are the default NaN; tininess is detected after rounding; conversions to integers saturate, with NaN
 * as the largest value.  Values are bit patterns in the low bits of a uint64_t; bits above them must be zero.
 * Functions OR their exceptions into status->flags.
 */
#ifndef UTIL_SOFTFLOAT_H
#define UTIL_SOFTFLOAT_H

#include "util/compiler.h"

/* Rounding modes, RISC-V encoding: to nearest even, to zero, down, up, to nearest with ties away. */
enum { FLOAT_RNE, FLOAT_RTZ, FLOAT_RDN, FLOAT_RUP, FLOAT_RMM };
/* Exceptions, RISC-V encoding. */
enum { FLOAT_NX = 1, FLOAT_UF = 2, FLOAT_OF = 4, FLOAT_DZ = 8, FLOAT_NV = 16 };
/* For fma: which of its terms change sign. */
enum { FLOAT_NEGATE_PRODUCT = 1, FLOAT_NEGATE_ADDEND = 2 };

typedef struct FloatStatus {
    uint8_t rm, flags;
} FloatStatus;

#define FLOAT_NAN_F16 0x7e00ULL
#define FLOAT_NAN_F32 0x7fc00000ULL
#define FLOAT_NAN_F64 0x7ff8000000000000ULL

#define FLOAT_DECLARE(f)                                                                                     \
    uint64_t f##_add(uint64_t a, uint64_t b, FloatStatus *s);                                                \
    uint64_t f##_sub(uint64_t a, uint64_t b, FloatStatus *s);                                                \
    uint64_t f##_mul(uint64_t a, uint64_t b, FloatStatus *s);                                                \
    uint64_t f##_div(uint64_t a, uint64_t b, FloatStatus *s);                                                \
    uint64_t f##_sqrt(uint64_t a, FloatStatus *s);                                                           \
    /* a * b + c with one rounding; @negate: FLOAT_NEGATE_* */                                               \
    uint64_t f##_fma(uint64_t a, uint64_t b, uint64_t c, unsigned negate, FloatStatus *s);                   \
    /* eq is quiet, lt and le signal; the _quiet forms do not */                                             \
    bool f##_eq(uint64_t a, uint64_t b, FloatStatus *s);                                                     \
    bool f##_lt(uint64_t a, uint64_t b, FloatStatus *s);                                                     \
    bool f##_le(uint64_t a, uint64_t b, FloatStatus *s);                                                     \
    bool f##_lt_quiet(uint64_t a, uint64_t b, FloatStatus *s);                                               \
    bool f##_le_quiet(uint64_t a, uint64_t b, FloatStatus *s);                                               \
    /* a number wins over a NaN; -0 is less than +0 */                                                       \
    uint64_t f##_min(uint64_t a, uint64_t b, FloatStatus *s);                                                \
    uint64_t f##_max(uint64_t a, uint64_t b, FloatStatus *s);                                                \
    /* a NaN wins */                                                                                         \
    uint64_t f##_minimum(uint64_t a, uint64_t b, FloatStatus *s);                                            \
    uint64_t f##_maximum(uint64_t a, uint64_t b, FloatStatus *s);                                            \
    int32_t f##_to_i32(uint64_t a, FloatStatus *s);                                                          \
    uint32_t f##_to_u32(uint64_t a, FloatStatus *s);                                                         \
    int64_t f##_to_i64(uint64_t a, FloatStatus *s);                                                          \
    uint64_t f##_to_u64(uint64_t a, FloatStatus *s);                                                         \
    uint64_t f##_from_i64(int64_t a, FloatStatus *s);                                                        \
    uint64_t f##_from_u64(uint64_t a, FloatStatus *s);                                                       \
    /* @exact: raise inexact when the value changes */                                                       \
    uint64_t f##_round_to_integral(uint64_t a, bool exact, FloatStatus *s);                                  \
    /* the bit mask of the RISC-V fclass instruction */                                                      \
    unsigned f##_classify(uint64_t a);                                                                       \
    bool f##_is_nan(uint64_t a);

FLOAT_DECLARE(f16)
FLOAT_DECLARE(f32)
FLOAT_DECLARE(f64)
#undef FLOAT_DECLARE

uint64_t f16_to_f32(uint64_t a, FloatStatus *s);
uint64_t f16_to_f64(uint64_t a, FloatStatus *s);
uint64_t f32_to_f16(uint64_t a, FloatStatus *s);
uint64_t f32_to_f64(uint64_t a, FloatStatus *s);
uint64_t f64_to_f16(uint64_t a, FloatStatus *s);
uint64_t f64_to_f32(uint64_t a, FloatStatus *s);
/* The low 32 bits of the integer that @a truncates to, sign-extended; flags as f64_to_i32 with FLOAT_RTZ; 0 for NaN and infinity. */
int64_t f64_to_i32_modular(uint64_t a, FloatStatus *s);

#endif
