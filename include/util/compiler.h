/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for what the compiler can do, and the few macros every file wants.
 * MIN, MAX, G_N_ELEMENTS and friends come from GLib.
 */
#ifndef UTIL_COMPILER_H
#define UTIL_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)            __builtin_expect(!!(x), 1)
#define unlikely(x)          __builtin_expect(!!(x), 0)
#define PRINTF_LIKE(fmt, va) __attribute__((format(printf, fmt, va)))
#define ALWAYS_INLINE        inline __attribute__((always_inline))
#define NO_INLINE            __attribute__((noinline))
/* For functions that read guest memory while vCPUs write it: a race on purpose. */
#define NO_TSAN              __attribute__((no_sanitize("thread")))
#define CACHE_LINE           64
#define CACHE_ALIGNED        __attribute__((aligned(CACHE_LINE)))

#define glue_(a, b) a##b
#define glue(a, b)  glue_(a, b)

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif

/* The object of @type whose member @member @ptr points at. */
#define container_of(ptr, type, member)                                                                      \
    ({                                                                                                       \
        const __typeof__(((type *)0)->member) *member_ptr_ = (ptr);                                          \
        (type *)((uintptr_t)member_ptr_ - offsetof(type, member));                                           \
    })

/* @align is a power of two; the result has the wider of both types. */
#define ROUND_DOWN(n, align) ((n) & ~((__typeof__((n) + (align)))(align) - 1))
#define ROUND_UP(n, align)   ROUND_DOWN((n) + (__typeof__((n) + (align)))(align) - 1, align)
#define IS_ALIGNED(n, align) (((n) & ((__typeof__((n) + (align)))(align) - 1)) == 0)
#define DIV_ROUND_UP(n, d)   (((n) + (d) - 1) / (d))

#endif
