/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What litmus shapes are made of: accesses, fences and dependencies that no compiler changes. */
#ifndef TESTS_GUEST_LITMUS_H
#define TESTS_GUEST_LITMUS_H

#include "guest.h"

#define LOAD(p)     ({ u64 v_; asm volatile("ld %0, (%1)" : "=r"(v_) : "r"(p) : "memory"); v_; })
#define STORE(p, v) asm volatile("sd %1, (%0)" : : "r"(p), "r"((u64)(v)) : "memory")
#define FENCE(a, b) asm volatile("fence " #a ", " #b : : : "memory")

/* 0, by way of @v: what uses it depends on @v. */
#define NOTHING_OF(v) ({ u64 n_; asm volatile("xor %0, %1, %1" : "=r"(n_) : "r"(v)); n_; })
#define LOAD_AFTER(v, p)       LOAD((volatile u64 *)((u64)(p) + NOTHING_OF(v)))
#define STORE_AFTER(v, p, one) STORE(p, (one) + NOTHING_OF(v))

#define LOAD_ACQUIRE(p)                                                                                      \
    ({ u64 v_; asm volatile("amoor.d.aq %0, x0, (%1)" : "=r"(v_) : "r"(p) : "memory"); v_; })
#define STORE_RELEASE(p, v) asm volatile("amoswap.d.rl x0, %1, (%0)" : : "r"(p), "r"((u64)(v)) : "memory")
#define SWAP(p)             asm volatile("amoswap.d.aqrl x0, %0, (%1)" : : "r"(1UL), "r"(p) : "memory")

static inline u64 next_random(u64 *seed)
{
    *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
    return *seed;
}

static inline void wait_a_little(unsigned n)
{
    while (n--) {
        asm volatile("");
    }
}

#endif
