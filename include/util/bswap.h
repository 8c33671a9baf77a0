/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte order: unaligned loads and stores of a stated byte order, and swaps for values in memory.
 * ld/st + size (ub sb uw sw l q) + order (le be he = host) + _p; l loads are unsigned 32-bit.
 */
#ifndef UTIL_BSWAP_H
#define UTIL_BSWAP_H

#include <string.h>

#include "util/compiler.h"

static inline uint16_t bswap16(uint16_t value)
{
    return __builtin_bswap16(value);
}

static inline uint32_t bswap32(uint32_t value)
{
    return __builtin_bswap32(value);
}

static inline uint64_t bswap64(uint64_t value)
{
    return __builtin_bswap64(value);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_BIG_ENDIAN   0
#define le_bswap(v, size) (v)
#define be_bswap(v, size) bswap##size(v)
#else
#define HOST_BIG_ENDIAN   1
#define le_bswap(v, size) bswap##size(v)
#define be_bswap(v, size) (v)
#endif
#define he_bswap(v, size) (v)

#define CPU_CONVERT(order, size)                                                                             \
    static inline uint##size##_t cpu_to_##order##size(uint##size##_t value)                                  \
    {                                                                                                        \
        return order##_bswap(value, size);                                                                   \
    }                                                                                                        \
    static inline uint##size##_t order##size##_to_cpu(uint##size##_t value)                                  \
    {                                                                                                        \
        return order##_bswap(value, size);                                                                   \
    }

CPU_CONVERT(le, 16)
CPU_CONVERT(le, 32)
CPU_CONVERT(le, 64)
CPU_CONVERT(be, 16)
CPU_CONVERT(be, 32)
CPU_CONVERT(be, 64)
#undef CPU_CONVERT

static inline uint8_t ldub_p(const void *p)
{
    return *(const uint8_t *)p;
}

static inline int8_t ldsb_p(const void *p)
{
    return *(const int8_t *)p;
}

static inline void stb_p(void *p, uint8_t value)
{
    *(uint8_t *)p = value;
}

#define LOAD_STORE(order)                                                                                    \
    static inline uint16_t lduw_##order##_p(const void *p)                                                   \
    {                                                                                                        \
        uint16_t value;                                                                                      \
        memcpy(&value, p, sizeof(value));                                                                    \
        return order##_bswap(value, 16);                                                                     \
    }                                                                                                        \
    static inline int16_t ldsw_##order##_p(const void *p)                                                    \
    {                                                                                                        \
        return (int16_t)lduw_##order##_p(p);                                                                 \
    }                                                                                                        \
    static inline uint32_t ldl_##order##_p(const void *p)                                                    \
    {                                                                                                        \
        uint32_t value;                                                                                      \
        memcpy(&value, p, sizeof(value));                                                                    \
        return order##_bswap(value, 32);                                                                     \
    }                                                                                                        \
    static inline uint64_t ldq_##order##_p(const void *p)                                                    \
    {                                                                                                        \
        uint64_t value;                                                                                      \
        memcpy(&value, p, sizeof(value));                                                                    \
        return order##_bswap(value, 64);                                                                     \
    }                                                                                                        \
    static inline void stw_##order##_p(void *p, uint16_t value)                                              \
    {                                                                                                        \
        value = order##_bswap(value, 16);                                                                    \
        memcpy(p, &value, sizeof(value));                                                                    \
    }                                                                                                        \
    static inline void stl_##order##_p(void *p, uint32_t value)                                              \
    {                                                                                                        \
        value = order##_bswap(value, 32);                                                                    \
        memcpy(p, &value, sizeof(value));                                                                    \
    }                                                                                                        \
    static inline void stq_##order##_p(void *p, uint64_t value)                                              \
    {                                                                                                        \
        value = order##_bswap(value, 64);                                                                    \
        memcpy(p, &value, sizeof(value));                                                                    \
    }

LOAD_STORE(le)
LOAD_STORE(be)
LOAD_STORE(he)
#undef LOAD_STORE

/* @size is 1, 2, 4 or 8: one value of a register file, zero extended. */
static inline uint64_t ldn_le_p(const void *p, unsigned size)
{
    return size == 1 ? ldub_p(p) : size == 2 ? lduw_le_p(p) : size == 4 ? ldl_le_p(p) : ldq_le_p(p);
}

static inline uint64_t ldn_be_p(const void *p, unsigned size)
{
    return size == 1 ? ldub_p(p) : size == 2 ? lduw_be_p(p) : size == 4 ? ldl_be_p(p) : ldq_be_p(p);
}

static inline void stn_le_p(void *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        stb_p(p, value);
        break;
    case 2:
        stw_le_p(p, value);
        break;
    case 4:
        stl_le_p(p, value);
        break;
    default:
        stq_le_p(p, value);
    }
}

static inline void stn_be_p(void *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        stb_p(p, value);
        break;
    case 2:
        stw_be_p(p, value);
        break;
    case 4:
        stl_be_p(p, value);
        break;
    default:
        stq_be_p(p, value);
    }
}

#endif
