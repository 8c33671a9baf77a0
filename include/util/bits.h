/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bit twiddling on single integers. */
#ifndef UTIL_BITS_H
#define UTIL_BITS_H

#include "util/compiler.h"

#define BIT(n)     (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))

/* The low @length bits set; @length may be 0 to 64. */
#define MAKE_64BIT_MASK(shift, length) ((uint64_t)((length) ? (~0ULL >> (64 - (length))) << (shift) : 0))

static inline bool is_power_of_2(uint64_t value)
{
    return value && !(value & (value - 1));
}

/* Bit counts of 0 are the width of the type. */
static inline int ctz32(uint32_t value)
{
    return value ? __builtin_ctz(value) : 32;
}

static inline int clz32(uint32_t value)
{
    return value ? __builtin_clz(value) : 32;
}

static inline int ctz64(uint64_t value)
{
    return value ? __builtin_ctzll(value) : 64;
}

static inline int clz64(uint64_t value)
{
    return value ? __builtin_clzll(value) : 64;
}

static inline int popcount32(uint32_t value)
{
    return __builtin_popcount(value);
}

static inline int popcount64(uint64_t value)
{
    return __builtin_popcountll(value);
}

/* The power of two not below @value (0 gives 1); 0 when that does not fit. */
static inline uint64_t pow2ceil(uint64_t value)
{
    if (value <= 1) {
        return 1;
    }
    return value > (1ULL << 63) ? 0 : 1ULL << (64 - __builtin_clzll(value - 1));
}

/* Field access: @start + @length <= width, @length >= 1. */
static inline uint32_t extract32(uint32_t value, int start, int length)
{
    return (value >> start) & (~0U >> (32 - length));
}

static inline int32_t sextract32(uint32_t value, int start, int length)
{
    return (int32_t)(value << (32 - length - start)) >> (32 - length);
}

static inline uint32_t deposit32(uint32_t value, int start, int length, uint32_t field)
{
    uint32_t mask = (~0U >> (32 - length)) << start;

    return (value & ~mask) | ((field << start) & mask);
}

static inline uint64_t extract64(uint64_t value, int start, int length)
{
    return (value >> start) & (~0ULL >> (64 - length));
}

static inline int64_t sextract64(uint64_t value, int start, int length)
{
    return (int64_t)(value << (64 - length - start)) >> (64 - length);
}

static inline uint64_t deposit64(uint64_t value, int start, int length, uint64_t field)
{
    uint64_t mask = (~0ULL >> (64 - length)) << start;

    return (value & ~mask) | ((field << start) & mask);
}

static inline uint32_t rol32(uint32_t value, unsigned shift)
{
    return (value << (shift & 31)) | (value >> (-shift & 31));
}

static inline uint32_t ror32(uint32_t value, unsigned shift)
{
    return (value >> (shift & 31)) | (value << (-shift & 31));
}

static inline uint64_t rol64(uint64_t value, unsigned shift)
{
    return (value << (shift & 63)) | (value >> (-shift & 63));
}

static inline uint64_t ror64(uint64_t value, unsigned shift)
{
    return (value >> (shift & 63)) | (value << (-shift & 63));
}

#endif
